#include "control/pattern.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* The '@' that no colon follows, as in base/names; promise names have no part that is too long for a name. */
static size_t where_at(const char *text, size_t length)
{
	const char *at = memrchr(text, '@', length);

	if (!at || memchr(at, ':', (size_t)(text + length - at)))
		return length;
	return (size_t)(at - text);
}

static bool where_here(const char *where, const char *host)
{
	return !strcasecmp(where, host) || !strcmp(where, "localhost");
}

static int where_check(const char *text, size_t at, const char *host, struct buf *why)
{
	const char *where = text + at + 1;

	if (!text[at])
		return 0;
	if (!*where) {
		buf_printf(why, "\"%s\": a host's name is missing after the '@'", text);
		return -EINVAL;
	}
	if (where_here(where, host))
		return 0;
	buf_printf(why, "no neighbours yet: \"%s\" is not this host, which is \"%s\"", where, host);
	return -EHOSTUNREACH;
}

static int pattern_parse(struct pattern *p, const char *text, bool subjects, const char *host, struct buf *why)
{
	size_t length = where_at(text, strlen(text));
	/* service:getty@tty1.service */
	bool whole = subjects && text[length] && memchr(text, ':', length) && !where_here(text + length + 1, host);
	int r;

	if (whole)
		length = strlen(text);

	for (const char *c = text; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f) {
			buf_puts(why, "a pattern has control characters in it");
			return -EINVAL;
		}
	r = where_check(text, length, host, why);
	if (r < 0)
		return r;
	p->text = strndup(text, length);
	if (!p->text)
		return -ENOMEM;
	p->length = length;
	p->series = !whole && name_split(p->text, length, &p->name) == 0;
	if (!length || (!p->series && !whole && memchr(text, ':', length))) {
		buf_printf(why,
		        "\"%.*s\" names nothing: a series is family:instance:metric or family:metric, a promise bundle.promise",
		           (int)length, text);
		return -EINVAL;
	}
	return 0;
}

static int parse(struct patterns *p, char *const *texts, size_t n, bool subjects, const char *host, struct buf *why)
{
	struct patterns made = { 0 };
	int r;

	if (n > PATTERNS_MAX) {
		buf_printf(why, "%zu patterns are too many: at most %u", n, PATTERNS_MAX);
		return -E2BIG;
	}
	if (n) {
		made.list = calloc(n, sizeof(*made.list));
		if (!made.list)
			return -ENOMEM;
	}
	for (; made.n < n; made.n++) {
		r = pattern_parse(&made.list[made.n], texts[made.n], subjects, host, why);
		if (r < 0) {
			made.n++; /* its text is to be freed as well */
			patterns_free(&made);
			return r;
		}
	}
	*p = made;
	return 0;
}

int patterns_parse(struct patterns *p, char *const *texts, size_t n, const char *host, struct buf *why)
{
	return parse(p, texts, n, false, host, why);
}

int patterns_parse_subjects(struct patterns *p, char *const *texts, size_t n, const char *host, struct buf *why)
{
	return parse(p, texts, n, true, host, why);
}

void patterns_free(struct patterns *p)
{
	for (size_t i = 0; i < p->n; i++)
		free(p->list[i].text);
	free(p->list);
	*p = (struct patterns){ 0 };
}

bool patterns_family(const struct patterns *p, const char *family)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->list[i].series && glob_match(p->list[i].name.family.at, p->list[i].name.family.length, family))
			return true;
	return !p->n;
}

bool patterns_series(struct patterns *p, const char *family, const char *instance, const char *metric)
{
	bool any = !p->n;

	for (size_t i = 0; i < p->n; i++) {
		struct pattern *one = &p->list[i];

		if ((any && one->matched) || !one->series || !name_match(&one->name, family, instance, metric))
			continue;
		one->matched = any = true;
	}
	return any;
}

/* Of three parts the first two, of two parts the family and an instance, of one part the family */
static bool subject_match(const struct pattern *p, const char *subject)
{
	const char *colon = strchr(subject, ':');
	char family[NAME_PART_MAX + 1];
	size_t length = colon ? (size_t)(colon - subject) : strlen(subject);

	if (glob_match(p->text, p->length, subject))
		return true;
	if (!p->series || length >= sizeof(family))
		return false;
	memcpy(family, subject, length);
	family[length] = '\0';
	if (!glob_match(p->name.family.at, p->name.family.length, family))
		return false;
	if (p->name.instance.at)
		return glob_match(p->name.instance.at, p->name.instance.length, colon ? colon + 1 : "");
	if (p->name.metric.at && colon)
		return glob_match(p->name.metric.at, p->name.metric.length, colon + 1);
	return true;
}

static bool promise_match(const struct pattern *p, const char *name, const char *promiser)
{
	const char *dot = strchr(name, '.');

	if (!memchr(p->text, ':', p->length)) {
		if (glob_match(p->text, p->length, name))
			return true;
		if (dot && (size_t)(dot - name) == p->length && !memcmp(p->text, name, p->length))
			return true;
	}
	return subject_match(p, promiser);
}

bool patterns_promise(struct patterns *p, const char *name, const char *promiser)
{
	bool any = !p->n;

	for (size_t i = 0; i < p->n; i++)
		if (promise_match(&p->list[i], name, promiser))
			p->list[i].matched = any = true;
	return any;
}

bool patterns_subject(const struct patterns *p, const char *subject)
{
	for (size_t i = 0; i < p->n; i++)
		if (subject_match(&p->list[i], subject))
			return true;
	return !p->n;
}
