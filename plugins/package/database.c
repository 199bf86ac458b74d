#include "package/database.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_MAX_BYTES 200
#define VERSION_MAX 200
#define PACKAGES_MAX 200000

struct slice {
	const char *at;
	size_t n;
};

/* While it is read */
struct found {
	struct slice name, version, arch;
	enum package_state state;
	bool held;
};

struct reading {
	struct found *all;
	size_t n, size;
	unsigned faults;
	char why[DATABASE_WHY_MAX];
};

static void fault(struct reading *r, size_t line, const char *why)
{
	if (!r->faults++)
		snprintf(r->why, sizeof(r->why), "line %zu: %s", line, why);
}

static int add(struct reading *r, const struct found *f)
{
	if (r->n == r->size) {
		size_t size = r->size ? 2 * r->size : 1024;
		struct found *all = size > PACKAGES_MAX * 2 ? NULL : realloc(r->all, size * sizeof(*all));

		if (!all)
			return -ENOMEM;
		r->all = all;
		r->size = size;
	}
	r->all[r->n++] = *f;
	return 0;
}

static bool slice_is(struct slice s, const char *text)
{
	return s.n == strlen(text) && !memcmp(s.at, text, s.n);
}

/* Names of fields, which dpkg takes in any case */
static bool field_is(struct slice s, const char *text)
{
	return s.n == strlen(text) && !strncasecmp(s.at, text, s.n);
}

static struct slice word(const char **at, const char *end)
{
	struct slice s;

	while (*at < end && (**at == ' ' || **at == '\t'))
		(*at)++;
	s.at = *at;
	while (*at < end && **at != ' ' && **at != '\t')
		(*at)++;
	s.n = (size_t)(*at - s.at);
	return s;
}

/* What may stand in names and versions: printable, no blank */
static bool good(struct slice s, size_t max)
{
	for (size_t k = 0; k < s.n; k++)
		if ((unsigned char)s.at[k] <= 0x20 || (unsigned char)s.at[k] >= 0x7f)
			return false;
	return s.n > 0 && s.n <= max;
}

/* ---- the snapshot ----------------------------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b, void *user)
{
	const struct snapshot *s = user;

	return strcmp(s->text + *(const uint32_t *)a + 2, s->text + *(const uint32_t *)b + 2);
}

static int pack(struct reading *r, struct slice native, struct snapshot **ret_snapshot)
{
	size_t size = sizeof(struct snapshot) + r->n * sizeof(uint32_t), at = 0, texts = 0, n = 0;
	struct snapshot *s;

	for (size_t k = 0; k < r->n; k++)
		texts += r->all[k].name.n + r->all[k].version.n + r->all[k].arch.n + 5;
	size += texts;
	s = calloc(1, size);
	if (!s)
		return -ENOMEM;
	s->size = size;
	s->at = (uint32_t *)(s + 1);
	s->text = (char *)(s->at + r->n);
	for (size_t k = 0; k < r->n; k++) {
		const struct found *f = &r->all[k];
		bool foreign = native.n && f->arch.n && !slice_is(f->arch, "all") && (f->arch.n != native.n || memcmp(f->arch.at, native.at, native.n));

		s->at[n++] = (uint32_t)at;
		s->text[at++] = (char)f->state;
		s->text[at++] = f->held;
		memcpy(s->text + at, f->name.at, f->name.n);
		at += f->name.n;
		if (foreign) {
			s->text[at++] = ':';
			memcpy(s->text + at, f->arch.at, f->arch.n);
			at += f->arch.n;
		}
		at++;
		if (f->version.n)
			memcpy(s->text + at, f->version.at, f->version.n);
		at += f->version.n + 1;
	}
	s->n = n;
	qsort_r(s->at, s->n, sizeof(*s->at), by_name, s);
	/* Of one name the last of the file counts (qsort of glibc keeps the order of equals where it has memory, and offsets tell it anyway). */
	n = 0;
	for (size_t k = 0; k < s->n; k++) {
		if (n && !strcmp(s->text + s->at[n - 1] + 2, s->text + s->at[k] + 2)) {
			if (s->at[k] > s->at[n - 1])
				s->at[n - 1] = s->at[k];
			continue;
		}
		s->at[n++] = s->at[k];
	}
	s->n = n;
	for (size_t k = 0; k < s->n; k++) {
		s->counts[(unsigned char)s->text[s->at[k]]]++;
		s->held += s->text[s->at[k] + 1] != 0;
	}
	s->faults = r->faults;
	memcpy(s->why, r->why, sizeof(s->why));
	*ret_snapshot = s;
	return 0;
}

void snapshot_free(struct snapshot *s)
{
	free(s);
}

struct package snapshot_get(const struct snapshot *s, size_t k)
{
	const char *t = s->text + s->at[k];

	return (struct package){ t + 2, t + 2 + strlen(t + 2) + 1, (enum package_state)t[0], t[1] != 0 };
}

struct package snapshot_find(const struct snapshot *s, const char *name)
{
	size_t low = 0, high = s ? s->n : 0;

	while (low < high) {
		size_t k = low + (high - low) / 2;
		int c = strcmp(name, s->text + s->at[k] + 2);

		if (c == 0)
			return snapshot_get(s, k);
		if (c < 0)
			high = k;
		else
			low = k + 1;
	}
	return (struct package){ name, "", PACKAGE_ABSENT, false };
}

/* ---- dpkg ------------------------------------------------------------------------------------------------------- */

static bool status_parse(struct slice value, struct found *f)
{
	static const char *const states[] = {
		[PACKAGE_ABSENT] = "not-installed",             [PACKAGE_CONFIG_FILES] = "config-files",
		[PACKAGE_HALF_INSTALLED] = "half-installed",    [PACKAGE_UNPACKED] = "unpacked",
		[PACKAGE_HALF_CONFIGURED] = "half-configured",  [PACKAGE_TRIGGERS_AWAITED] = "triggers-awaited",
		[PACKAGE_TRIGGERS_PENDING] = "triggers-pending", [PACKAGE_INSTALLED] = "installed",
	};
	const char *at = value.at, *end = at + value.n;
	struct slice want = word(&at, end), flag = word(&at, end), state = word(&at, end);

	f->held = slice_is(want, "hold");
	for (size_t k = 0; k < N_PACKAGE_STATES; k++)
		if (slice_is(state, states[k]) && flag.n) {
			f->state = (enum package_state)k;
			return true;
		}
	return false;
}

struct stanza {
	struct found f;
	bool any, status;
	size_t line;
};

static int stanza_end(struct reading *r, struct stanza *s, struct slice *native)
{
	int e = 0;

	if (!s->any)
		return 0;
	if (!good(s->f.name, NAME_MAX_BYTES))
		fault(r, s->line, "a package without a name");
	else if (!s->status)
		fault(r, s->line, "a package without a status");
	else if (s->f.state > PACKAGE_CONFIG_FILES && !good(s->f.version, VERSION_MAX))
		fault(r, s->line, "a package without a version");
	else if (s->f.state != PACKAGE_ABSENT)
		e = add(r, &s->f);
	if (slice_is(s->f.name, "dpkg") && s->f.arch.n)
		*native = s->f.arch;
	*s = (struct stanza){ 0 };
	return e;
}

static void field(struct reading *r, struct stanza *s, const char *line, const char *end, size_t number)
{
	const char *colon = memchr(line, ':', (size_t)(end - line)), *at;
	struct slice key = { line, colon ? (size_t)(colon - line) : 0 }, value;

	if (!s->any)
		s->line = number;
	s->any = true;
	if (!colon || !key.n) {
		fault(r, number, "no field: NAME: value");
		return;
	}
	at = colon + 1;
	while (at < end && (*at == ' ' || *at == '\t'))
		at++;
	while (end > at && (end[-1] == ' ' || end[-1] == '\r' || end[-1] == '\t'))
		end--;
	value = (struct slice){ at, (size_t)(end - at) };
	if (field_is(key, "Package"))
		s->f.name = value;
	else if (field_is(key, "Version"))
		s->f.version = value;
	else if (field_is(key, "Architecture") && good(value, 40))
		s->f.arch = value;
	else if (field_is(key, "Status")) {
		s->status = status_parse(value, &s->f);
		if (!s->status)
			fault(r, number, "no status that dpkg has");
	}
}

int database_dpkg(const char *text, size_t length, struct snapshot **ret_snapshot)
{
	struct reading r = { 0 };
	struct slice native = { NULL, 0 };
	struct stanza s = { 0 };
	const char *end = text + length;
	size_t number = 0;
	int e = 0;

	if (length && end[-1] != '\n')
		fault(&r, 0, "it ends within a line: cut off");
	while (text < end && e == 0) {
		const char *stop = memchr(text, '\n', (size_t)(end - text));

		number++;
		if (!stop)
			stop = end;
		if (stop == text)
			e = stanza_end(&r, &s, &native);
		else if (*text != ' ' && *text != '\t')
			field(&r, &s, text, stop, number);
		text = stop < end ? stop + 1 : end;
	}
	if (e == 0)
		e = stanza_end(&r, &s, &native);
	if (e == 0)
		e = pack(&r, native, ret_snapshot);
	free(r.all);
	return e;
}

/* ---- rpm -------------------------------------------------------------------------------------------------------- */

int database_rpm(const char *text, size_t length, struct snapshot **ret_snapshot)
{
	struct reading r = { 0 };
	const char *end = text + length;
	size_t number = 0;
	int e = 0;

	if (length && end[-1] != '\n')
		fault(&r, 0, "it ends within a line: cut off");
	while (text < end && e == 0) {
		const char *stop = memchr(text, '\n', (size_t)(end - text)), *tab, *second;
		struct found f = { .state = PACKAGE_INSTALLED };

		number++;
		if (!stop)
			stop = end;
		tab = memchr(text, '\t', (size_t)(stop - text));
		second = tab ? memchr(tab + 1, '\t', (size_t)(stop - tab - 1)) : NULL;
		if (second) {
			f.name = (struct slice){ text, (size_t)(tab - text) };
			f.version = (struct slice){ tab + 1, (size_t)(second - tab - 1) };
		}
		if (!good(f.name, NAME_MAX_BYTES) || !good(f.version, VERSION_MAX))
			fault(&r, number, "no line of rpm's");
		else if (!slice_is(f.name, "gpg-pubkey"))
			e = add(&r, &f);
		text = stop < end ? stop + 1 : end;
	}
	if (e == 0)
		e = pack(&r, (struct slice){ NULL, 0 }, ret_snapshot);
	free(r.all);
	return e;
}

/* ---- versions --------------------------------------------------------------------------------------------------- */

static int order(char c)
{
	if ((c >= '0' && c <= '9') || !c)
		return 0;
	if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))
		return c;
	return c == '~' ? -1 : (unsigned char)c + 256;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Parts that are no digits and numbers, by turns, up to `a_end` and `b_end`: there the text is as if it ended */
static int part_compare(const char *a, const char *a_end, const char *b, const char *b_end)
{
#define AT(s, end) ((s) < (end) ? *(s) : '\0')
	while (a < a_end || b < b_end) {
		int first = 0;

		while ((a < a_end && !is_digit(*a)) || (b < b_end && !is_digit(*b))) {
			int x = order(AT(a, a_end)), y = order(AT(b, b_end));

			if (x != y)
				return x - y;
			a += a < a_end;
			b += b < b_end;
		}
		while (a < a_end && *a == '0')
			a++;
		while (b < b_end && *b == '0')
			b++;
		while (a < a_end && b < b_end && is_digit(*a) && is_digit(*b)) {
			if (!first)
				first = *a - *b;
			a++;
			b++;
		}
		if (a < a_end && is_digit(*a))
			return 1;
		if (b < b_end && is_digit(*b))
			return -1;
		if (first)
			return first;
	}
	return 0;
#undef AT
}

int version_compare(const char *a, const char *b)
{
	const char *a_colon = strchr(a, ':'), *b_colon = strchr(b, ':'), *a_dash, *b_dash;
	long x = a_colon ? strtol(a, NULL, 10) : 0, y = b_colon ? strtol(b, NULL, 10) : 0;
	int c;

	if (x != y)
		return x < y ? -1 : 1;
	a = a_colon ? a_colon + 1 : a;
	b = b_colon ? b_colon + 1 : b;
	a_dash = strrchr(a, '-');
	b_dash = strrchr(b, '-');
	c = part_compare(a, a_dash ? a_dash : a + strlen(a), b, b_dash ? b_dash : b + strlen(b));
	if (c)
		return c;
	a_dash = a_dash ? a_dash + 1 : "";
	b_dash = b_dash ? b_dash + 1 : "";
	return part_compare(a_dash, a_dash + strlen(a_dash), b_dash, b_dash + strlen(b_dash));
}
