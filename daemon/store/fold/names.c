#include "store/fold/names.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/crc.h"

#define PLAIN "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.,+=@-"
#define CUT 180u    /* bytes that are left of what is too long */
#define LONGEST 200u
#define SOURCE_KEPT 10

/* FNV-1a: two names that are cut at the same place are told apart by all that they are. */
static uint64_t hash(const char *text)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (; *text; text++)
		h = (h ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
	return h;
}

/* One character of the name, as it is written: its length in `out`; *ret_taken of the text */
static size_t put_one(const char *text, size_t left, bool first, char out[8], size_t *ret_taken)
{
	size_t n = utf8_length((const unsigned char *)text, left);

	if (n > 1 || (n == 1 && strchr(PLAIN, *text) && !(first && *text == '.'))) {
		memcpy(out, text, n);
		*ret_taken = n;
		return n;
	}
	*ret_taken = 1;
	return (size_t)snprintf(out, 8, "%%%02X", (unsigned)(unsigned char)*text);
}

void rrd_file_name(const char *instance, char ret_name[RRD_NAME_SIZE])
{
	size_t length = strlen(instance), used = 0, cut = 0, taken = 0, n, step;
	char one[8];

	if (!length) {
		strcpy(ret_name, "%" RRD_SUFFIX);
		return;
	}
	while (taken < length) {
		n = put_one(instance + taken, length - taken, taken == 0, one, &step);
		if (used + n > LONGEST)
			break;
		memcpy(ret_name + used, one, n);
		used += n;
		taken += step;
		if (used <= CUT)
			cut = used;
	}
	if (taken < length)
		used = cut + (size_t)snprintf(ret_name + cut, RRD_NAME_SIZE - cut, "%%-%016llx", (unsigned long long)hash(instance));
	strcpy(ret_name + used, RRD_SUFFIX);
}

static int digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool rrd_file_instance(const char *file, char *ret_instance, size_t size)
{
	size_t length = strlen(file), n = 0, suffix = strlen(RRD_SUFFIX);
	char again[RRD_NAME_SIZE], text[RRD_NAME_SIZE];

	if (length <= suffix || length >= RRD_NAME_SIZE || strcmp(file + length - suffix, RRD_SUFFIX) != 0)
		return false;
	length -= suffix;
	for (size_t i = 0; i < length && !(length == 1 && *file == '%'); i++) {
		char c = file[i];

		if (c == '%') {
			int high = i + 2 < length ? digit(file[i + 1]) : -1, low = high >= 0 ? digit(file[i + 2]) : -1;

			if (low < 0 || !(high || low))
				return false;
			c = (char)(high * 16 + low);
			i += 2;
		}
		text[n++] = c;
	}
	text[n] = '\0';
	/* One name, one file: whatever else was made by somebody is none of ours. */
	rrd_file_name(text, again);
	if (strcmp(file, again) != 0 || n >= size)
		return false;
	strcpy(ret_instance, text);
	return true;
}

void rrd_source_name(const char *metric, char ret_name[RRD_SOURCE_SIZE])
{
	size_t length = strlen(metric);

	if (length < RRD_SOURCE_SIZE)
		strcpy(ret_name, metric);
	else
		snprintf(ret_name, RRD_SOURCE_SIZE, "%.*s_%08x", SOURCE_KEPT, metric, crc32c(0, metric, length));
}
