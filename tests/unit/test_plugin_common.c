#include "test_plugin_common.h"

#include <check.h>
#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct kith_plugin *plugin_load(const char *name)
{
	const struct kith_plugin *plugin;
	char path[256];
	void *library;

	snprintf(path, sizeof(path), "./plugins/%s.so", name);
	library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	ck_assert_msg(library != NULL, "%s", dlerror());
	plugin = dlsym(library, "kith_plugin");
	ck_assert_ptr_nonnull(plugin);
	ck_assert_str_eq(plugin->name, name);
	return plugin;
}

const char *plugin_tree(const char *tree)
{
	static char paths[4][1024];
	static unsigned turn;
	const char *srcdir = getenv("srcdir");
	char *path = paths[turn++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/tests/data/proc/%s", srcdir ? srcdir : ".", tree);
	return path;
}

char *plugin_text(const char *tree, const char *path)
{
	char full[2048], *text = calloc(1, 1 << 20);
	FILE *file;

	ck_assert_ptr_nonnull(text);
	snprintf(full, sizeof(full), "%s%s", plugin_tree(tree), path);
	file = fopen(full, "r");
	ck_assert_msg(file != NULL, "%s is missing", full);
	text[fread(text, 1, (1 << 20) - 1, file)] = '\0';
	fclose(file);
	return text;
}

void plugin_copy(const char *tree, const char *path, const char *root)
{
	char *text = plugin_text(tree, path);

	ck_assert_int_eq(fake_write(root, path, text), 0);
	free(text);
}

void plugin_expect(const struct fake_host *f, const struct expected *expected, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		double value = fake_host_value(f, expected[i].name);

		if (isnan(expected[i].value))
			ck_assert_msg(isnan(value), "%s is %.17g and should not be there", expected[i].name, value);
		else
			ck_assert_msg(value == expected[i].value, "%s is %.17g, not %.17g", expected[i].name, value,
			              expected[i].value);
	}
}

/* Each value of `f` must be that of the series of the same name in `whole` */
static void expect_part(const struct fake_host *f, const struct fake_host *whole, size_t length)
{
	for (uint32_t k = 0; k < f->n_instances; k++) {
		const struct fake_instance *i = f->instances[k];
		const struct kith_family *family = f->families[i->family].family;

		if (i->ended)
			continue;
		for (uint32_t m = 0; m < family->n_metrics; m++) {
			char name[512];

			if (i->puts[m] == 0)
				continue;
			snprintf(name, sizeof(name), "%s%s%s:%s", family->name, *i->name ? ":" : "", i->name, family->metrics[m].name);
			ck_assert_msg(fake_host_value(whole, name) == i->values[m], "of %zu bytes: %s is %.17g, not %.17g", length,
			              name, i->values[m], fake_host_value(whole, name));
		}
	}
}

void plugin_prefixes(const char *plugin, const char *tree, const char *path)
{
	const struct kith_plugin *p = plugin_load(plugin);
	char *text = plugin_text(tree, path), root[64];
	struct fake_host *whole, *f;
	size_t length = strlen(text);

	fake_tree_new(root);
	plugin_copy(tree, "/proc/meminfo", root); /* swap reads more than one file */
	plugin_copy(tree, "/proc/vmstat", root);
	plugin_copy(tree, path, root);
	whole = fake_host_new(p, root);
	ck_assert_int_eq(fake_host_start(whole), 0);
	ck_assert_int_eq(fake_host_sample(whole), 0);
	for (;; length--) {
		text[length] = '\0';
		ck_assert_int_eq(fake_write(root, path, text), 0);
		/* anew: nothing is remembered of the whole text */
		f = fake_host_new(p, root);
		ck_assert_int_eq(fake_host_start(f), 0);
		fake_host_sample(f);
		expect_part(f, whole, length);
		fake_host_free(f);
		/* and with what is remembered of it */
		fake_host_sample(whole);
		plugin_copy(tree, path, root);
		fake_host_sample(whole);
		if (length == 0)
			break;
	}
	fake_host_free(whole);
	fake_tree_free(root);
	free(text);
}
