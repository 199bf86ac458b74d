/* Names of files and lines of digests, whatever they are: a name is clean, and leads back to its path. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "file/file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "fuzz_file: %s\n", what);
	abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *path = malloc(size + 1), *back = malloc(size + NAME_MAX_BYTES + 1);
	char name[NAME_MAX_BYTES + 1], text[DIGEST_TEXT];
	unsigned char digest[DIGEST];
	const char *of;

	check(path && back, "no memory");
	memcpy(path, data, size);
	path[size] = '\0';
	if (name_escape(path, name) == 0) {
		check(strlen(name) <= NAME_MAX_BYTES, "a long name");
		for (const char *s = name; *s; s++)
			check((unsigned char)*s >= 0x20 && *s != 0x7f, "a control character");
		check(name_unescape(name, back) == 0 && !strcmp(back, path), "it does not lead back");
	}
	if (name_unescape(path, back) == 0)
		check(strlen(back) <= strlen(path), "longer than before");
	if (digest_line(path, digest, &of) == 0) {
		check(*of == '/' && of > path && of < path + size, "no path");
		digest_text(digest, text);
		check(strlen(text) == 2 * DIGEST, "no digest");
	}
	free(path);
	free(back);
	return 0;
}
