#include "store/segment.h"

#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crc.h"

#define VERSION 1u

static const char magic[8] = "kithseg\n";

static void put32(uint8_t *at, uint32_t value)
{
	value = htole32(value);
	memcpy(at, &value, sizeof(value));
}

static void put64(uint8_t *at, uint64_t value)
{
	value = htole64(value);
	memcpy(at, &value, sizeof(value));
}

static uint32_t get32(const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return le32toh(value);
}

static uint64_t get64(const uint8_t *at)
{
	uint64_t value;

	memcpy(&value, at, sizeof(value));
	return le64toh(value);
}

/* ---- writing ------------------------------------------------------------------------------------------------------ */

void segment_put_head(const struct segment_head *head, uint8_t ret_bytes[SEGMENT_HEAD])
{
	memcpy(ret_bytes, magic, sizeof(magic));
	put32(ret_bytes + 8, VERSION);
	put64(ret_bytes + 16, head->number);
	put64(ret_bytes + 24, (uint64_t)head->begin);
	put32(ret_bytes + 12, 0);
	put32(ret_bytes + 12, crc32c(0, ret_bytes, SEGMENT_HEAD));
}

void segment_put_frame(const void *payload, size_t length, uint8_t ret_bytes[SEGMENT_FRAME])
{
	put32(ret_bytes, (uint32_t)length);
	put32(ret_bytes + 4, crc32c(crc32c(0, ret_bytes, 4), payload, length));
}

static uint32_t seal_crc(uint64_t number, uint64_t length)
{
	uint8_t bytes[16];

	put64(bytes, number);
	put64(bytes + 8, length);
	return crc32c(0, bytes, sizeof(bytes));
}

void segment_put_seal(uint64_t number, uint64_t length, uint8_t ret_bytes[SEGMENT_FRAME])
{
	put32(ret_bytes, 0);
	put32(ret_bytes + 4, seal_crc(number, length));
}

/* ---- reading ------------------------------------------------------------------------------------------------------ */

int segment_head_read(const void *bytes, size_t length, struct segment_head *ret_head)
{
	const uint8_t *file = bytes;
	uint8_t head[SEGMENT_HEAD];

	if (length < SEGMENT_HEAD || memcmp(file, magic, sizeof(magic)) != 0 || get32(file + 8) != VERSION)
		return -EBADMSG;
	memcpy(head, file, sizeof(head));
	put32(head + 12, 0);
	if (get32(file + 12) != crc32c(0, head, sizeof(head)))
		return -EBADMSG;
	ret_head->number = get64(file + 16);
	ret_head->begin = (int64_t)get64(file + 24);
	return 0;
}

int segment_parse(const void *file, size_t length, struct segment *ret_segment)
{
	const uint8_t *bytes = file;
	struct segment s = { .file_length = SEGMENT_HEAD };

	if (segment_head_read(bytes, length, &s.head) < 0)
		return -EBADMSG;
	s.data = malloc(length);
	if (!s.data)
		return -ENOMEM;
	while (!s.sealed && length - s.file_length >= SEGMENT_FRAME) {
		const uint8_t *frame = bytes + s.file_length, *payload = frame + SEGMENT_FRAME;
		uint32_t size = get32(frame);

		if (!size && get32(frame + 4) == seal_crc(s.head.number, s.length))
			s.sealed = true;
		else if (!size || size > length - s.file_length - SEGMENT_FRAME ||
		         get32(frame + 4) != crc32c(crc32c(0, frame, 4), payload, size))
			break;
		memcpy(s.data + s.length, payload, size);
		s.length += size;
		s.file_length += SEGMENT_FRAME + size;
	}
	s.lost = length - s.file_length;
	*ret_segment = s;
	return 0;
}

static int read_all(int fd, size_t size, uint8_t **ret_data, size_t *ret_length)
{
	uint8_t *data = malloc(size ? size : 1);
	size_t length = 0;
	ssize_t n;

	if (!data)
		return -ENOMEM;
	while (length < size && (n = read(fd, data + length, size - length)) != 0) {
		if (n < 0 && errno != EINTR) {
			int r = -errno;

			free(data);
			return r;
		}
		length += n > 0 ? (size_t)n : 0;
	}
	*ret_data = data;
	*ret_length = length;
	return 0;
}

void segment_name(uint64_t number, char ret_name[SEGMENT_NAME_SIZE])
{
	snprintf(ret_name, SEGMENT_NAME_SIZE, SEGMENT_NAME, (unsigned long long)number);
}

int segment_read(int folder, uint64_t number, struct segment *ret_segment)
{
	char name[SEGMENT_NAME_SIZE];
	struct stat st;
	uint8_t *data = NULL;
	size_t length = 0;
	int fd, r;

	segment_name(number, name);
	fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		r = -errno;
	else
		r = !S_ISREG(st.st_mode) ? -EBADMSG : !st.st_size ? -ENODATA : st.st_size > (off_t)SEGMENT_MAX ? -EFBIG : 0;
	if (r == 0)
		r = read_all(fd, (size_t)st.st_size, &data, &length);
	close(fd);
	if (r < 0)
		return r;
	r = segment_parse(data, length, ret_segment);
	free(data);
	return r;
}

void segment_free(struct segment *s)
{
	free(s->data);
	*s = (struct segment){ 0 };
}

/* ---- the folder ---------------------------------------------------------------------------------------------------- */

static bool name_read(const char *name, uint64_t *ret_number)
{
	char again[SEGMENT_NAME_SIZE];
	char *end;

	*ret_number = strtoull(name, &end, 16);
	segment_name(*ret_number, again);
	return !strcmp(name, again);
}

static int by_number(const void *a, const void *b)
{
	uint64_t x = ((const struct segment_file *)a)->number, y = ((const struct segment_file *)b)->number;

	return x < y ? -1 : x > y;
}

static int list_add(struct segment_file **files, size_t *n, const struct segment_file *f)
{
	/* Powers of two: it is full when their number is one */
	if ((*n & (*n - 1)) == 0) {
		struct segment_file *more = realloc(*files, (*n ? *n * 2 : 1) * sizeof(*more));

		if (!more)
			return -ENOMEM;
		*files = more;
	}
	(*files)[(*n)++] = *f;
	return 0;
}

int segment_list(int folder, struct segment_file **ret_files, size_t *ret_n)
{
	int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct segment_file *files = NULL;
	struct dirent *e;
	size_t n = 0;

	if (!d) {
		r = -errno;
		if (fd >= 0)
			close(fd);
		return r;
	}
	while (r == 0 && (e = readdir(d))) {
		struct segment_file f;
		struct stat st;

		if (!name_read(e->d_name, &f.number) || fstatat(folder, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		f.bytes = (uint64_t)st.st_size;
		r = list_add(&files, &n, &f);
	}
	closedir(d);
	if (r < 0) {
		free(files);
		return r;
	}
	if (n)
		qsort(files, n, sizeof(*files), by_number);
	*ret_files = files;
	*ret_n = n;
	return 0;
}

size_t folded_format(uint64_t number, char text[FOLDED_SIZE])
{
	int n = snprintf(text, FOLDED_SIZE, "%llu", (unsigned long long)number);

	return (size_t)(n + snprintf(text + n, FOLDED_SIZE - (size_t)n, " %08x\n", crc32c(0, text, (size_t)n)));
}

bool folded_parse(const char *text, uint64_t *ret_number)
{
	char same[FOLDED_SIZE], *end;
	uint64_t number = strtoull(text, &end, 10);

	folded_format(number, same);
	if (strcmp(text, same) != 0)
		return false;
	*ret_number = number;
	return true;
}
