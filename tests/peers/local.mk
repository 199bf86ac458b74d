# kithd beside programs that measure the same host: each value of theirs is one of kith's too. Skipped where they are not installed.
PEER_TESTS = tests/peers/test_collectd.py tests/peers/test_configuration.py tests/peers/test_node_exporter.py
TESTS += $(PEER_TESTS)
EXTRA_DIST += $(PEER_TESTS) tests/peers/peertest.py
