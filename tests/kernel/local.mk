# The daemon as a whole against the kernel, in namespaces of the tests' own. In Python, of the standard library alone.
KERNEL_TESTS = \
	tests/kernel/test_df.py \
	tests/kernel/test_fork_storm.py \
	tests/kernel/test_idle.py \
	tests/kernel/test_link_storm.py \
	tests/kernel/test_links.py \
	tests/kernel/test_routes.py
TESTS += $(KERNEL_TESTS)
EXTRA_DIST += $(KERNEL_TESTS) tests/kernel/kerneltest.py tests/kernel/fuse.py

# Without sanitizers, which take longer to start than it has to live
check_PROGRAMS += tests/kernel/kith-forker
tests_kernel_kith_forker_SOURCES = tests/kernel/kith-forker.c
tests_kernel_kith_forker_CFLAGS = -std=gnu11 $(WARN_CFLAGS)
tests_kernel_kith_forker_LDFLAGS = -static
tests_kernel_kith_forker_LDADD =
