# The targets are built where what they test is; this one runs them under libFuzzer.
TESTS += tests/fuzz/test_fuzz.py
EXTRA_DIST += tests/fuzz/test_fuzz.py
