#include "base/archives.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"

#define DAY (24 * 3600)
#define LONGEST (100 * 365 * (int64_t)DAY) /* s */

int duration_parse(const char *text, size_t length, int64_t *ret_ns)
{
	static const struct {
		const char *name;
		int64_t seconds;
	} units[] = { { "", 1 }, { "s", 1 }, { "m", 60 }, { "min", 60 }, { "h", 3600 }, { "d", DAY }, { "w", 7 * DAY }, { "y", 365 * DAY } };
	int64_t number = 0;
	size_t i = 0;

	for (; i < length && text[i] >= '0' && text[i] <= '9'; i++) {
		number = number * 10 + (text[i] - '0');
		if (number > LONGEST)
			return -EINVAL;
	}
	if (!i || !number)
		return -EINVAL;
	for (size_t k = 0; k < sizeof(units) / sizeof(units[0]); k++)
		if (strlen(units[k].name) == length - i && !memcmp(units[k].name, text + i, length - i)) {
			if (number > LONGEST / units[k].seconds)
				return -EINVAL;
			*ret_ns = number * units[k].seconds * NS_PER_S;
			return 0;
		}
	return -EINVAL;
}

static int archive_parse(const char *text, size_t length, int64_t step, const struct archives *before, struct archive *ret_archive,
                         struct buf *why)
{
	const char *colon = memchr(text, ':', length);
	int64_t row, all;

	if (!colon || duration_parse(text, (size_t)(colon - text), &row) < 0 ||
	    duration_parse(colon + 1, (size_t)(text + length - colon - 1), &all) < 0) {
		buf_printf(why, "\"%.*s\" is not how long a row is and how long rows are kept, such as 1min:2d", (int)length, text);
		return -EINVAL;
	}
	if (row % step != 0)
		buf_printf(why, "\"%.*s\": a row is not a multiple of the step, which is %lld s", (int)length, text, (long long)(step / NS_PER_S));
	else if (before->n && (row <= before->list[before->n - 1].row || row % before->list[0].row))
		buf_printf(why, "\"%.*s\": its rows are not longer than those before, or no multiple of the first", (int)length, text);
	else if (all < row || all / row > ARCHIVE_ROWS_MAX)
		buf_printf(why, "\"%.*s\" is less than one row, or more than %u", (int)length, text, ARCHIVE_ROWS_MAX);
	else if (before->n == ARCHIVES_MAX)
		buf_printf(why, "more than %u archives", ARCHIVES_MAX);
	else {
		*ret_archive = (struct archive){ row, (uint32_t)(all / row) };
		return 0;
	}
	return -EINVAL;
}

int archives_parse(const char *text, int64_t step, struct archives *ret_archives, struct buf *why)
{
	struct archives made = { 0 };

	for (;;) {
		size_t length = strcspn(text, ",");
		struct archive one;
		int r = archive_parse(text, length, step, &made, &one, why);

		if (r < 0)
			return r;
		made.list[made.n++] = one;
		if (!text[length])
			break;
		text += length + 1;
	}
	*ret_archives = made;
	return 0;
}

void archives_default(int64_t step, struct archives *ret_archives)
{
	static const int64_t seconds[][2] = { { 10, 6 * 3600 }, { 60, 2 * DAY }, { 600, 14 * DAY }, { 7200, 2 * 365 * DAY } };
	struct archives made = { 0 };

	for (size_t i = 0; i < sizeof(seconds) / sizeof(seconds[0]); i++) {
		int64_t base = made.n ? made.list[0].row : step, row = seconds[i][0] * NS_PER_S, all = seconds[i][1] * NS_PER_S;

		/* The first is of the step itself, the others of the next multiple of it. */
		row = made.n ? (row + base - 1) / base * base : base;
		if (made.n && row <= made.list[made.n - 1].row)
			made.n--; /* the same rows, for longer */
		made.list[made.n++] = (struct archive){ row, (uint32_t)(all / row < 1 ? 1 : all / row > ARCHIVE_ROWS_MAX ? ARCHIVE_ROWS_MAX : all / row) };
	}
	*ret_archives = made;
}
