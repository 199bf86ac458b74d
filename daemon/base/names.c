#include "base/names.h"

#include <errno.h>
#include <string.h>

int name_split(const char *text, size_t length, struct name *ret_name)
{
	struct name name = { 0 };
	const char *end = text + length, *first, *last, *at;

	for (size_t i = 0; i < length; i++)
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
			return -EINVAL;
	/* The '@' that no colon follows; an instance such as getty@tty1.service keeps its own. */
	at = memrchr(text, '@', length);
	if (at && !memchr(at, ':', (size_t)(end - at))) {
		name.where = (struct slice){ at + 1, (size_t)(end - at - 1) };
		if (!name.where.length)
			return -EINVAL;
		end = at;
	}
	first = memchr(text, ':', (size_t)(end - text));
	last = first ? memrchr(text, ':', (size_t)(end - text)) : NULL;
	name.family = (struct slice){ text, (size_t)((first ? first : end) - text) };
	if (last)
		name.metric = (struct slice){ last + 1, (size_t)(end - last - 1) };
	if (last && last != first)
		name.instance = (struct slice){ first + 1, (size_t)(last - first - 1) };
	if (!name.family.length || name.family.length > NAME_PART_MAX)
		return -EINVAL;
	/* Of two parts the second may be an instance. */
	if (last && (!name.metric.length || name.metric.length > (last == first ? NAME_INSTANCE_MAX : NAME_PART_MAX)))
		return -EINVAL;
	if (name.instance.at && (!name.instance.length || name.instance.length > NAME_INSTANCE_MAX))
		return -EINVAL;
	*ret_name = name;
	return 0;
}

bool glob_match(const char *pattern, size_t pattern_length, const char *text)
{
	const char *p = pattern, *end = pattern + pattern_length, *star = NULL, *mark = NULL;

	/* One star to go back to is enough: an earlier one never needs to take more. */
	while (*text) {
		if (p < end && *p == '*') {
			star = p++;
			mark = text;
		} else if (p < end && (*p == '?' || *p == *text)) {
			p++;
			text++;
		} else if (star) {
			p = star + 1;
			text = ++mark;
		} else {
			return false;
		}
	}
	while (p < end && *p == '*')
		p++;
	return p == end;
}

bool glob_is(const char *text, size_t length)
{
	return memchr(text, '*', length) || memchr(text, '?', length);
}

static bool slice_match(struct slice s, const char *text)
{
	return glob_match(s.at, s.length, text);
}

bool name_match(const struct name *pattern, const char *family, const char *instance, const char *metric)
{
	if (!slice_match(pattern->family, family))
		return false;
	if (pattern->instance.at)
		return slice_match(pattern->instance, instance) && slice_match(pattern->metric, metric);
	if (!pattern->metric.at)
		return true;
	if (*instance)
		return slice_match(pattern->metric, instance);
	return slice_match(pattern->metric, metric);
}

bool name_part_valid(const char *text)
{
	size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_");

	return n && n <= NAME_PART_MAX && !text[n];
}
