#include "syslog/frame.h"

#include <string.h>

/* What `data` begins with */
enum begins {
	BEGINS_LINE,
	BEGINS_COUNT,
	BEGINS_UNKNOWN, /* more bytes will tell */
};

/* A count is believed when a priority follows it: lines may begin with numbers. */
static enum begins begins_with(const char *data, size_t length, size_t *ret_count, size_t *ret_prefix)
{
	size_t count = 0, n = 0;

	if (*data < '1' || *data > '9')
		return BEGINS_LINE;
	for (; n < length && data[n] >= '0' && data[n] <= '9'; n++) {
		if (n == FRAME_COUNT_MAX)
			return BEGINS_LINE;
		count = count * 10 + (size_t)(data[n] - '0');
	}
	if (n == length || (data[n] == ' ' && n + 1 == length))
		return BEGINS_UNKNOWN;
	if (data[n] != ' ' || data[n + 1] != '<')
		return BEGINS_LINE;
	*ret_count = count;
	*ret_prefix = n + 1;
	return BEGINS_COUNT;
}

/* The byte behind a line is the next one's. */
static void give(char *text, size_t length, bool cut, size_t whole, frame_fn fn, void *user)
{
	char behind = text[length];

	if (length)
		fn(text, length, cut, whole, user);
	text[length] = behind;
}

/* How many bytes were used; 0: more are needed */
static size_t take_counted(struct frame *f, char *body, size_t left, size_t count, frame_fn fn, void *user)
{
	size_t kept = count > LINE_MAX_BYTES ? LINE_MAX_BYTES : count;

	if (left < kept)
		return 0;
	f->skip = count - kept;
	give(body, kept, count > kept, count, fn, user);
	return kept;
}

static size_t take_line(struct frame *f, char *data, size_t left, frame_fn fn, void *user)
{
	size_t most = left > LINE_MAX_BYTES ? LINE_MAX_BYTES + 1 : left;
	char *end = memchr(data, '\n', most), *nul = memchr(data, '\0', end ? (size_t)(end - data) : most);

	end = nul ? nul : end;
	if (!end && left <= LINE_MAX_BYTES)
		return 0;
	if (end) {
		give(data, (size_t)(end - data), false, 0, fn, user);
		return (size_t)(end - data) + 1;
	}
	f->skip_line = true;
	give(data, LINE_MAX_BYTES, true, 0, fn, user);
	return LINE_MAX_BYTES;
}

/* Bytes of what is passed over; `length` at most */
static size_t pass_over(struct frame *f, const char *data, size_t length)
{
	const char *end;
	size_t n = f->skip < length ? f->skip : length;

	if (f->skip) {
		f->skip -= n;
		return n;
	}
	end = memchr(data, '\n', length);
	if (end)
		f->skip_line = false;
	return end ? (size_t)(end - data) + 1 : length;
}

size_t frame_parse(struct frame *f, char *data, size_t length, frame_fn fn, void *user)
{
	size_t at = 0, count = 0, prefix = 0, n;

	while (at < length) {
		if (f->skip || f->skip_line) {
			at += pass_over(f, data + at, length - at);
			continue;
		}
		switch (begins_with(data + at, length - at, &count, &prefix)) {
		case BEGINS_UNKNOWN:
			return at;
		case BEGINS_COUNT:
			n = take_counted(f, data + at + prefix, length - at - prefix, count, fn, user);
			n += n ? prefix : 0;
			break;
		case BEGINS_LINE:
		default:
			n = take_line(f, data + at, length - at, fn, user);
			break;
		}
		if (!n)
			break;
		at += n;
	}
	return at;
}

void frame_end(struct frame *f, char *data, size_t length, frame_fn fn, void *user)
{
	size_t count = 0, prefix = 0;

	if (!length || f->skip || f->skip_line)
		return;
	if (begins_with(data, length, &count, &prefix) == BEGINS_COUNT)
		give(data + prefix, length - prefix, true, count, fn, user);
	else
		give(data, length, false, 0, fn, user);
}
