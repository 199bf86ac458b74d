# shellcheck shell=sh disable=SC2034,SC2086
# Shell functions for ./try and ./check: Debian packages that are missing are installed, and named.

packages_build="gcc make autoconf automake pkg-config libc6-dev libev-dev libprotobuf-c-dev protobuf-c-compiler
	libjansson-dev libtre-dev libsystemd-dev uthash-dev libmd-dev libzstd-dev librrd-dev"
packages_test="check python3 iproute2 binutils mandoc libc6-dbg valgrind clang libclang-rt-dev tmux
	monitoring-plugins-basic shellcheck dash curl msmtp python3-aiosmtpd libfaketime rpm auditd nftables systemd-journal-remote
	bsdutils logrotate rrdtool rrdcached"
packages_peers="collectd-core netdata-core pcp monit prometheus-node-exporter strace s6 runit systemd-container
	puppet-agent ansible-core git cfengine3 prometheus-alertmanager rsyslog"

packages_missing()
{
	for package in "$@"; do
		case $(dpkg-query -W -f '${Status}' "$package" 2>/dev/null) in
		*' installed') ;;
		*) printf '%s ' "$package" ;;
		esac
	done
}

# packages_install NAME…: 0 when all are there afterwards
packages_install()
{
	if ! command -v dpkg-query >/dev/null 2>&1 || ! command -v apt-get >/dev/null 2>&1; then
		if command -v pkg-config >/dev/null 2>&1 && pkg-config --exists libprotobuf-c jansson; then
			return 0
		fi
		echo "This is no Debian system: install what these packages hold, then run this again:" >&2
		echo "  $*" >&2
		return 1
	fi
	missing=$(packages_missing "$@")
	[ -n "$missing" ] || return 0
	if [ "$(id -u)" -ne 0 ]; then
		echo "These packages are missing; install them as root, then run this again:" >&2
		echo "  apt-get install --no-install-recommends $missing" >&2
		return 1
	fi
	echo "Installing: $missing"
	log=$(mktemp)
	export DEBIAN_FRONTEND=noninteractive
	# Services of the peers are not to be started: tests start what they need.
	policy=
	if [ ! -e /usr/sbin/policy-rc.d ]; then
		policy=/usr/sbin/policy-rc.d
		printf '#!/bin/sh\nexit 101\n' >$policy && chmod 755 $policy
	fi
	# Without systemd running, pcp's own script fails over systemctl, which has nothing to do there.
	stub=$(mktemp -d)
	if [ ! -d /run/systemd/system ]; then
		printf '#!/bin/sh\nexit 0\n' >"$stub/systemctl" && chmod 755 "$stub/systemctl"
	fi
	status=0
	{
		apt-get update -q && apt-get install -q -y --no-install-recommends \
			-o "DPkg::Path=$stub:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" $missing
	} >"$log" 2>&1 || status=$?
	[ -z "$policy" ] || rm -f "$policy"
	rm -rf "$stub"
	if [ $status -ne 0 ]; then
		tail -n 20 "$log" >&2
		echo "apt-get failed (above); the whole of its output is in $log" >&2
		return 1
	fi
	rm -f "$log"
}

# packages_configure SOURCE BUILD OPTION…: an up-to-date configure and a configured build folder
packages_configure()
{
	source=$1 build=$2
	shift 2
	if [ ! -x "$source/configure" ] || [ -n "$(find "$source" -path "$source/build*" -prune -o \( -name configure.ac -o -name '*.m4' \
		-o -name Makefile.am -o -name local.mk -o -name unit.mk \) -newer "$source/configure" -print -quit)" ]; then
		echo "Preparing configure"
		(cd "$source" && autoreconf -fi >"$source/autoreconf.log" 2>&1) || { cat "$source/autoreconf.log" >&2; return 1; }
		rm -f "$source/autoreconf.log"
	fi
	mkdir -p "$build" || return 1
	if [ ! -e "$build/Makefile" ] || [ "$source/configure" -nt "$build/config.status" ]; then
		echo "Configuring"
		(cd "$build" && "$source/configure" -q "$@" >configure.out 2>&1) || { cat "$build/configure.out" >&2; return 1; }
	fi
}
