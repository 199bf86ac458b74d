dnl KITH_PROBE_CFLAG(VARIABLE, FLAG, [required]): adds FLAG to VARIABLE when the compiler takes it
AC_DEFUN([KITH_PROBE_CFLAG], [
	AS_VAR_PUSHDEF([kith_cache], [kith_cv_cflag_$2])
	AC_CACHE_CHECK([whether $CC takes $2], [kith_cache], [
		kith_saved=$CFLAGS
		CFLAGS="-Werror $CFLAGS $2"
		AC_LINK_IFELSE([AC_LANG_PROGRAM([], [])], [AS_VAR_SET([kith_cache], [yes])], [AS_VAR_SET([kith_cache], [no])])
		CFLAGS=$kith_saved
	])
	AS_VAR_IF([kith_cache], [yes], [$1="[$]$1 $2"], [m4_if([$3], [required], [AC_MSG_ERROR([$CC does not take $2])], [:])])
	AS_VAR_POPDEF([kith_cache])
])

dnl KITH_PROBE_LDFLAG(VARIABLE, FLAG)
AC_DEFUN([KITH_PROBE_LDFLAG], [
	AS_VAR_PUSHDEF([kith_cache], [kith_cv_ldflag_$2])
	AC_CACHE_CHECK([whether the linker takes $2], [kith_cache], [
		kith_saved=$LDFLAGS
		LDFLAGS="$LDFLAGS $2"
		AC_LINK_IFELSE([AC_LANG_PROGRAM([], [])], [AS_VAR_SET([kith_cache], [yes])], [AS_VAR_SET([kith_cache], [no])])
		LDFLAGS=$kith_saved
	])
	AS_VAR_IF([kith_cache], [yes], [$1="[$]$1 $2"])
	AS_VAR_POPDEF([kith_cache])
])

dnl KITH_SONAME(VARIABLE, FUNCTION, LIBS): the name that the dynamic linker knows the library by which has FUNCTION
AC_DEFUN([KITH_SONAME], [
	AC_CACHE_CHECK([by which name $2 is to be loaded], [kith_cv_soname_$2], [
		kith_saved=$LIBS
		LIBS="-Wl,--as-needed $3 $LIBS"
		AC_LINK_IFELSE([AC_LANG_CALL([], [$2])], [
			kith_cv_soname_$2=`readelf -d conftest$EXEEXT | sed -n 's/.*(NEEDED).*\@<:@\(@<:@^@:>@@:>@*rrd@<:@^@:>@@:>@*\)\@:>@.*/\1/p' | head -n 1`
		], [kith_cv_soname_$2=])
		LIBS=$kith_saved
	])
	AS_IF([test -z "$kith_cv_soname_$2"], [AC_MSG_ERROR([$2 cannot be linked])])
	$1=$kith_cv_soname_$2
	AC_SUBST([$1])
])
