TESTS += tests/systemd/test_unit.py
EXTRA_DIST += tests/systemd/test_unit.py
