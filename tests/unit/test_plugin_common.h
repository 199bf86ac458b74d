/*
 * For the tests of plugins as they are built: loads plugins/NAME.so, starts it on a recorded tree or on a copy
 * that the test changes
 */
#ifndef KITH_TESTS_PLUGIN_COMMON_H
#define KITH_TESTS_PLUGIN_COMMON_H

#include "fake_host.h"

/* The descriptor of plugins/NAME.so of the build; stays loaded. Ends the test when there is none. */
const struct kith_plugin *plugin_load(const char *name);
/* The path of tests/data/proc/TREE, in one of four static buffers */
const char *plugin_tree(const char *tree);
/* The text of tests/data/proc/TREE + path; the caller frees it */
char *plugin_text(const char *tree, const char *path);
/* Copies tests/data/proc/TREE + path to `root` + path */
void plugin_copy(const char *tree, const char *path, const char *root);

/* One series and the value that it must have */
struct expected {
	const char *name;
	double value;
};
/* Ends the test with the name of the first series that differs; NAN: must not have been put */
void plugin_expect(const struct fake_host *f, const struct expected *expected, size_t n);
#define EXPECT(f, ...) \
	do { \
		const struct expected expected_[] = { __VA_ARGS__ }; \
		plugin_expect(f, expected_, sizeof(expected_) / sizeof(expected_[0])); \
	} while (0)

/*
 * Samples every prefix of `text` as `root` + path with a plugin started anew, and ends the test when a value is put
 * that is not the one that the whole text gives.
 */
void plugin_prefixes(const char *plugin, const char *tree, const char *path);

#endif
