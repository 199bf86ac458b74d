# The shape of the sources
EDGES_TESTS = tests/edges/test_edges.py
TESTS += $(EDGES_TESTS)
EXTRA_DIST += $(EDGES_TESTS)
