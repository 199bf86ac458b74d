SYSTEMD_TESTS = tests/systemd/test_actions.py tests/systemd/test_service.py tests/systemd/test_unit.py
TESTS += $(SYSTEMD_TESTS)
EXTRA_DIST += $(SYSTEMD_TESTS) tests/lib/container.py
