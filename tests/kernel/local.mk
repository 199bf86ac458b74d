# The daemon as a whole against the kernel, in namespaces of the tests' own. In Python, of the standard library alone.
KERNEL_TESTS = \
	tests/kernel/test_link_storm.py \
	tests/kernel/test_links.py
TESTS += $(KERNEL_TESTS)
EXTRA_DIST += $(KERNEL_TESTS) tests/kernel/kerneltest.py
