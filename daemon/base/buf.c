#include "base/buf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void buf_free(struct buf *b)
{
	free(b->data);
	*b = BUF_INIT;
}

void buf_reset(struct buf *b)
{
	b->length = 0;
	b->failed = false;
	if (b->data)
		b->data[0] = '\0';
}

/* Makes room for `more` characters and the NUL. */
static bool buf_reserve(struct buf *b, size_t more)
{
	size_t size = b->size ? b->size : 64;
	char *data;

	if (b->failed || more > SIZE_MAX / 4 - b->length)
		return false;
	if (b->length + more < b->size)
		return true;
	while (size <= b->length + more)
		size *= 2;
	data = realloc(b->data, size);
	if (!data) {
		b->failed = true;
		return false;
	}
	b->data = data;
	b->size = size;
	return true;
}

void buf_append(struct buf *b, const void *data, size_t length)
{
	if (!buf_reserve(b, length))
		return;
	if (length)
		memcpy(b->data + b->length, data, length);
	b->length += length;
	b->data[b->length] = '\0';
}

void buf_puts(struct buf *b, const char *text)
{
	buf_append(b, text, strlen(text));
}

void buf_putc(struct buf *b, char c)
{
	buf_append(b, &c, 1);
}

void buf_vprintf(struct buf *b, const char *format, va_list args)
{
	va_list again;
	int n;

	va_copy(again, args);
	n = vsnprintf(NULL, 0, format, again);
	va_end(again);
	if (n < 0) {
		b->failed = true;
		return;
	}
	if (!buf_reserve(b, (size_t)n))
		return;
	vsnprintf(b->data + b->length, (size_t)n + 1, format, args);
	b->length += (size_t)n;
}

void buf_printf(struct buf *b, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	buf_vprintf(b, format, args);
	va_end(args);
}

const char *buf_text(const struct buf *b)
{
	return b->data ? b->data : "";
}

char *buf_take(struct buf *b)
{
	char *data = b->failed ? NULL : b->data;

	if (!b->failed && !data)
		data = strdup("");
	if (b->failed)
		free(b->data);
	*b = BUF_INIT;
	return data;
}

int file_read_all(const char *path, size_t max, char **ret_text, size_t *ret_length)
{
	struct buf b = BUF_INIT;
	char chunk[16384];
	ssize_t n;
	int fd, r = 0;

	/* O_NONBLOCK: a FIFO that somebody put there must not hang the daemon. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	for (;;) {
		n = read(fd, chunk, sizeof(chunk));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			r = -errno;
		if (n <= 0)
			break;
		if (b.length + (size_t)n > max) {
			r = -EFBIG;
			break;
		}
		buf_append(&b, chunk, (size_t)n);
	}
	close(fd);
	if (!r && b.failed)
		r = -ENOMEM;
	if (r) {
		buf_free(&b);
		return r;
	}
	n = (ssize_t)b.length;
	*ret_text = buf_take(&b);
	if (!*ret_text)
		return -ENOMEM;
	*ret_length = (size_t)n;
	return 0;
}

static int write_all(int fd, const char *data, size_t length)
{
	while (length) {
		ssize_t n = write(fd, data, length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		data += n;
		length -= (size_t)n;
	}
	return 0;
}

int file_replace(const char *path, const char *beside, const void *data, size_t length, bool sync)
{
	int fd, r;

	if (unlink(beside) < 0 && errno != ENOENT)
		return -errno;
	fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	r = write_all(fd, data, length);
	if (r == 0 && sync && fsync(fd) < 0)
		r = -errno;
	if (close(fd) < 0 && r == 0)
		r = -errno;
	if (r == 0 && rename(beside, path) < 0)
		r = -errno;
	if (r < 0)
		unlink(beside);
	return r;
}

size_t utf8_length(const unsigned char *s, size_t left)
{
	size_t n = s[0] < 0x80 ? 1 : s[0] >= 0xc2 && s[0] < 0xe0 ? 2 : s[0] >= 0xe0 && s[0] < 0xf0 ? 3 : s[0] >= 0xf0 && s[0] < 0xf5 ? 4 : 0;

	if (!n || n > left)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return n;
}

void buf_clean(struct buf *b, const char *bytes, size_t length)
{
	const unsigned char *s = (const void *)bytes;

	for (size_t i = 0, n; i < length; i += n ? n : 1) {
		n = utf8_length(s + i, length - i);
		if (!n)
			buf_putc(b, '?');
		else if (n == 1 && s[i] != '\n' && (s[i] < 0x20 || s[i] == 0x7f))
			buf_putc(b, ' ');
		else
			buf_append(b, bytes + i, n);
	}
}

void buf_clean_line(struct buf *b, const char *bytes, size_t length, size_t max)
{
	const unsigned char *s = (const void *)bytes;

	for (size_t i = 0, n; i < length; i += n ? n : 1) {
		n = utf8_length(s + i, length - i);
		if (i + (n ? n : 1) > max) {
			buf_puts(b, "…");
			return;
		}
		if (n > 1 || (n == 1 && s[i] >= 0x20 && s[i] != 0x7f))
			buf_append(b, bytes + i, n);
		else
			buf_putc(b, n ? ' ' : '?');
	}
}

void buf_json(struct buf *b, const char *text)
{
	buf_putc(b, '"');
	for (const unsigned char *c = (const void *)text; *c; c++) {
		if (*c == '"' || *c == '\\')
			buf_printf(b, "\\%c", *c);
		else if (*c == '\n')
			buf_puts(b, "\\n");
		else if (*c < 0x20 || *c == 0x7f)
			buf_printf(b, "\\u%04x", *c);
		else
			buf_putc(b, (char)*c);
	}
	buf_putc(b, '"');
}
