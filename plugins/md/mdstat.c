#include "md/mdstat.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool begins(const char *s, const char *word)
{
	return !strncmp(s, word, strlen(word));
}

/* The next word of a line: its length, 0 at the line's end; *p at its begin */
static size_t word_next(const char **p)
{
	*p += strspn(*p, " \t");
	return strcspn(*p, " \t\n");
}

static const char *line_end(const char *p)
{
	return p + strcspn(p, "\n");
}

/* How many may be missing: 0 of those that hold each byte once, -1: any but one may */
static int may_miss(const char *level)
{
	if (!strcmp(level, "raid6"))
		return 2;
	if (!strcmp(level, "raid5") || !strcmp(level, "raid4"))
		return 1;
	return !strcmp(level, "raid1") || !strcmp(level, "raid10") ? -1 : 0;
}

/* "sdb1[1](F)": what stands behind the number */
static void member(struct md_array *a, const char *p, size_t length)
{
	const char *bracket = memchr(p, '[', length), *end = p + length;

	if (!bracket)
		return;
	a->members++;
	for (const char *flag = bracket; (flag = memchr(flag, '(', (size_t)(end - flag))); flag++) {
		a->faulty += begins(flag, "(F)");
		a->spare += begins(flag, "(S)");
	}
}

/* "md0 : active (read-only) raid1 sdb1[1] sda1[0]" */
static bool head(struct md_array *a, const char *p)
{
	size_t n = word_next(&p);

	*a = (struct md_array){ .progress = NAN, .speed = NAN, .left = NAN };
	if (!n || n > MD_NAME_MAX || !begins(p + n, " : "))
		return false;
	memcpy(a->name, p, n);
	p += n + 3;
	n = word_next(&p);
	if (n == 6 && begins(p, "active"))
		a->state = MD_ACTIVE;
	else if (!(n == 8 && begins(p, "inactive")) && !(n == 6 && begins(p, "broken")))
		return false;
	for (p += n; (n = word_next(&p)); p += n) {
		if (*p == '(') {
			a->read_only = a->read_only || begins(p, "(read-only)") || begins(p, "(auto-read-only)");
		} else if (a->state == MD_ACTIVE && !*a->level && n <= MD_LEVEL_MAX && !memchr(p, '[', n)) {
			memcpy(a->level, p, n);
		} else {
			member(a, p, n);
		}
	}
	return true;
}

/* "      104320 blocks super 1.2 [2/1] [U_]" */
static void blocks(struct md_array *a, const char *p)
{
	const char *end = line_end(p);
	char *stop;
	int spare;

	a->size = strtod(p, &stop) * 1024;
	for (p = stop; (p = memchr(p, '[', (size_t)(end - p))); p++) {
		unsigned long disks = strtoul(p + 1, &stop, 10), working;

		if (*stop != '/' || stop == p + 1 || disks > 100000)
			continue;
		working = strtoul(stop + 1, &stop, 10);
		if (*stop != ']' || working > disks)
			continue;
		a->disks = (unsigned)disks;
		a->working = (unsigned)working;
		break;
	}
	if (a->state != MD_ACTIVE || !a->disks || a->working == a->disks)
		return;
	spare = may_miss(a->level);
	a->state = MD_DEGRADED;
	if (!a->working || (spare >= 0 && a->disks - a->working > (unsigned)spare))
		a->state = MD_FAILED;
}

static double number_behind(const char *p, const char *end, const char *word)
{
	const char *at = strstr(p, word);

	return at && at < end ? strtod(at + strlen(word), NULL) : (double)NAN;
}

static bool action(struct md_array *a, const char *p)
{
	static const struct {
		const char *word;
		enum md_action action;
	} words[] = { { "resync", MD_RESYNC }, { "recovery", MD_RECOVERY }, { "check", MD_CHECK }, { "reshape", MD_RESHAPE } };
	const char *end = line_end(p), *equal;

	if (*p == '[' && (p = strchr(p, ']')) && p < end)
		p += 1 + strspn(p + 1, " ");
	for (size_t i = 0; p && i < sizeof(words) / sizeof(words[0]); i++) {
		if (!begins(p, words[i].word))
			continue;
		equal = p + strlen(words[i].word);
		equal += strspn(equal, " ");
		if (*equal != '=')
			return false;
		equal += 1 + strspn(equal + 1, " ");
		a->action = *equal >= '0' && *equal <= '9' ? words[i].action : MD_DELAYED;
		if (a->action == MD_DELAYED)
			return true;
		a->progress = strtod(equal, NULL);
		a->left = number_behind(equal, end, "finish=") * 60;
		a->speed = number_behind(equal, end, "speed=") * 1024;
		return true;
	}
	return false;
}

int mdstat_parse(const char *text, int (*fn)(const struct md_array *array, void *user), void *user)
{
	struct md_array a;
	bool have = false;
	int r = 0;

	for (const char *p = text; *p && r >= 0; p += *p == '\n') {
		const char *line = p;

		p = line_end(p);
		if (*line != ' ' && *line != '\t') {
			r = have ? fn(&a, user) : 0;
			have = r >= 0 && head(&a, line);
			continue;
		}
		line += strspn(line, " \t");
		if (have && *line >= '0' && *line <= '9' && begins(line + strspn(line, "0123456789"), " blocks"))
			blocks(&a, line);
		else if (have)
			action(&a, line);
	}
	return r >= 0 && have ? fn(&a, user) : r;
}
