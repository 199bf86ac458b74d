/*
 * main() for a fuzz target that is built without libFuzzer: runs it over files, so that a corpus is replayed by `make
 * check`.
 *
 *   fuzz_NAME [--prefixes] [FILE|FOLDER …]
 *
 * Without a file or folder: $srcdir/tests/fuzz/FUZZ_NAME. --prefixes: each file also cut off after every one of its
 * bytes. Each input lies in memory of exactly its size: a read behind it is seen by the address sanitizer.
 */
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#ifndef FUZZ_NAME
#error "FUZZ_NAME: the folder of seeds below tests/fuzz, a string"
#endif

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct replay {
	bool prefixes;
	unsigned long files, inputs;
};

static int run_one(struct replay *r, const uint8_t *data, size_t size)
{
	uint8_t *exact = malloc(size ? size : 1);

	if (!exact)
		return -ENOMEM;
	if (size)
		memcpy(exact, data, size);
	LLVMFuzzerTestOneInput(exact, size);
	free(exact);
	r->inputs++;
	return 0;
}

static int run_file(struct replay *r, const char *path, off_t length)
{
	size_t size = (size_t)length;
	uint8_t *data = NULL;
	FILE *f = fopen(path, "rb");
	int err = 0;

	if (!f)
		return -errno;
	data = malloc(size + 1);
	if (!data || fread(data, 1, size, f) != size) {
		err = -EIO;
		goto out;
	}
	r->files++;
	for (size_t n = r->prefixes ? 0 : size; n <= size && !err; n++)
		err = run_one(r, data, n);
out:
	free(data);
	fclose(f);
	return err;
}

static int run_path(struct replay *r, const char *path)
{
	struct dirent **entries = NULL;
	struct stat st;
	int n, err = 0;

	if (stat(path, &st) < 0)
		return -errno;
	if (!S_ISDIR(st.st_mode))
		return run_file(r, path, st.st_size);
	n = scandir(path, &entries, NULL, alphasort);
	if (n < 0)
		return -errno;
	for (int i = 0; i < n; i++) {
		char *file = NULL;

		if (!err && entries[i]->d_name[0] != '.') {
			if (asprintf(&file, "%s/%s", path, entries[i]->d_name) < 0)
				err = -ENOMEM;
			else
				err = run_path(r, file);
			if (err && file)
				fprintf(stderr, "%s: %s\n", file, strerror(-err));
			free(file);
		}
		free(entries[i]);
	}
	free(entries);
	return err;
}

int main(int argc, char **argv)
{
	struct replay r = { 0 };
	const char *srcdir = getenv("srcdir");
	char *folder = NULL;
	int paths = 0, err = 0;

	for (int i = 1; i < argc && !err; i++) {
		if (!strcmp(argv[i], "--prefixes")) {
			r.prefixes = true;
			continue;
		}
		paths++;
		err = run_path(&r, argv[i]);
	}
	if (!paths && !err) {
		if (asprintf(&folder, "%s/tests/fuzz/%s", srcdir ? srcdir : ".", FUZZ_NAME) < 0)
			return 1;
		err = run_path(&r, folder);
		if (err)
			fprintf(stderr, "%s: %s\n", folder, strerror(-err));
		free(folder);
	}
	printf("%s: %lu files, %lu inputs\n", FUZZ_NAME, r.files, r.inputs);
	return err || !r.files;
}
