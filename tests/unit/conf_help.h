/* For the tests of conf/: a folder of its own for each test, with kith.conf and conf.d in it */
#ifndef KITH_TESTS_CONF_HELP_H
#define KITH_TESTS_CONF_HELP_H

#include <check.h>
#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "conf/conf.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))

static inline char *all_faults(struct faults *faults)
{
	struct buf b = BUF_INIT;

	for (const struct fault *f = faults->first; f; f = f->next)
		fault_format(f, &b);
	faults_free(faults);
	return b.data ? buf_take(&b) : strdup("");
}

static inline void write_file(const char *path, const char *text, size_t length)
{
	FILE *f = fopen(path, "wb");

	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(text, 1, length, f), length);
	ck_assert_int_eq(fclose(f), 0);
}

static inline void say(const char *path, const char *text)
{
	write_file(path, text, strlen(text));
}

static char source_dir[PATH_MAX], work_dir[PATH_MAX]; /* set once by the fixture, before each test's own process */

static inline void setup(void)
{
	const char *srcdir = getenv("srcdir"), *tmp = getenv("TMPDIR");

	ck_assert_ptr_nonnull(realpath(srcdir ? srcdir : ".", source_dir));
	snprintf(work_dir, sizeof(work_dir), "%s/test_conf.XXXXXX", tmp ? tmp : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(work_dir));
	ck_assert_int_eq(chdir(work_dir), 0);
	ck_assert_int_eq(mkdir("conf.d", 0755), 0);
}

static inline int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static inline void teardown(void)
{
	ck_assert_int_eq(chdir("/"), 0);
	nftw(work_dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* Loads ./kith.conf, which must be without fault */
static inline struct conf *load(void)
{
	struct faults faults = { 0 };
	struct conf *c = NULL;
	int r = conf_load("kith.conf", true, &c, &faults);
	char *text = all_faults(&faults);

	ck_assert_str_eq(text, "");
	ck_assert_int_eq(r, 0);
	free(text);
	return c;
}

static inline struct conf *load_text(const char *text)
{
	say("kith.conf", text);
	return load();
}

#endif
