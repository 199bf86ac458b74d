#include "source/mount.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "plugin.h"

/* Blank, tab, newline and backslash stand as \ooo in the file. In place. */
static void unescape(char *s)
{
	char *to = s;

	for (; *s; s++) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' && s[2] <= '7' && s[3] >= '0' && s[3] <= '7' &&
		    (s[1] != '0' || s[2] != '0' || s[3] != '0')) {
			*to++ = (char)((s[1] - '0') * 64 + (s[2] - '0') * 8 + (s[3] - '0'));
			s += 3;
		} else {
			*to++ = *s;
		}
	}
	*to = '\0';
}

static bool number(const char *s, uint32_t *ret_value, char end)
{
	uint64_t value;
	const char *p = s;

	if (kith_scan_u64(&p, &value) != 0 || p == s || p - s > 10 || *p != end || value > UINT32_MAX)
		return false;
	*ret_value = (uint32_t)value;
	return true;
}

/* `word` among words with commas between them */
static bool has_word(const char *words, const char *word)
{
	size_t length = strlen(word);

	for (const char *p = words; p; p = strchr(p, ',')) {
		p += *p == ',';
		if (!strncmp(p, word, length) && (p[length] == ',' || !p[length]))
			return true;
	}
	return false;
}

static char *next_word(char **at)
{
	char *word = *at, *blank;

	if (!word || !*word)
		return NULL;
	blank = strchr(word, ' ');
	if (blank)
		*blank = '\0';
	*at = blank ? blank + 1 : NULL;
	return word;
}

/* id parent major:minor root point options [optional fields] - type source super-options. The source may be empty. */
static bool parse_line(char *line, struct kith_mount_event *m)
{
	enum { ID, PARENT, DEVICE, ROOT, POINT, OPTIONS, N_FIXED };
	char *field[N_FIXED], *at = line, *word, *type, *source;
	const char *minor;

	for (int i = 0; i < N_FIXED; i++)
		if (!(field[i] = next_word(&at)) || !*field[i])
			return false;
	while ((word = next_word(&at)) && strcmp(word, "-") != 0)
		;
	type = word ? next_word(&at) : NULL;
	if (!type || !*type || !at)
		return false;
	source = next_word(&at);
	minor = strchr(field[DEVICE], ':');
	if (!minor || !number(field[ID], &m->id, '\0') || !number(field[PARENT], &m->parent, '\0') || !number(field[DEVICE], &m->major, ':') ||
	    !number(minor + 1, &m->minor, '\0') || *field[POINT] != '/')
		return false;
	unescape(field[ROOT]);
	unescape(field[POINT]);
	unescape(type);
	if (source)
		unescape(source);
	m->root = field[ROOT];
	m->point = field[POINT];
	m->type = type;
	m->source = source ? source : "";
	m->options = field[OPTIONS];
	m->super_options = at ? at : "";
	m->flags = (has_word(m->options, "ro") ? KITH_MOUNT_READ_ONLY : 0) |
	           (has_word(m->super_options, "ro") || has_word(m->super_options, "emergency_ro") ? KITH_MOUNT_SUPER_READ_ONLY : 0);
	return true;
}

static int compare_ids(const void *a, const void *b)
{
	const struct kith_mount_event *x = *(struct kith_mount_event *const *)a, *y = *(struct kith_mount_event *const *)b;

	return x->id < y->id ? -1 : x->id > y->id ? 1 : x < y ? -1 : x > y;
}

/* One id twice, as a reading may have it that a change came in between: the first counts. They are marked by their size, then left out. */
static void drop_doubles(struct mount_table *t)
{
	size_t kept = 0;

	for (size_t i = 0; i < t->n; i++)
		t->by_id[i] = &t->mounts[i];
	qsort(t->by_id, t->n, sizeof(struct kith_mount_event *), compare_ids);
	for (size_t i = 1; i < t->n; i++)
		if (t->by_id[i]->id == t->by_id[i - 1]->id)
			t->by_id[i]->size = 0;
	for (size_t i = 0; i < t->n; i++)
		if (t->mounts[i].size)
			t->mounts[kept++] = t->mounts[i];
	if (kept == t->n)
		return;
	t->n = kept;
	for (size_t i = 0; i < t->n; i++)
		t->by_id[i] = &t->mounts[i];
	qsort(t->by_id, t->n, sizeof(struct kith_mount_event *), compare_ids);
}

int mount_table_parse_take(char *text, size_t length, struct mount_table *ret_table)
{
	struct mount_table t = { .text = text };
	size_t lines = 0;
	char *p, *end;

	if (length == 0 || text[length - 1] != '\n') {
		free(text);
		return -EBADMSG;
	}
	for (p = text; (p = memchr(p, '\n', length - (size_t)(p - text))); p++)
		lines++;
	t.mounts = calloc(lines, sizeof(*t.mounts));
	t.by_id = calloc(lines, sizeof(struct kith_mount_event *));
	if (!t.mounts || !t.by_id) {
		mount_table_free(&t);
		return -ENOMEM;
	}
	for (p = text; (end = memchr(p, '\n', length - (size_t)(p - text))); p = end + 1) {
		*end = '\0';
		t.mounts[t.n] = (struct kith_mount_event){ .size = sizeof(*t.mounts), .what = KITH_MOUNT_ADDED };
		if (parse_line(p, &t.mounts[t.n]))
			t.n++;
	}
	drop_doubles(&t);
	*ret_table = t;
	return 0;
}

void mount_table_free(struct mount_table *t)
{
	free(t->text);
	free(t->mounts);
	free(t->by_id);
	*t = (struct mount_table){ 0 };
}

static bool same_mount(const struct kith_mount_event *a, const struct kith_mount_event *b)
{
	return a->major == b->major && a->minor == b->minor && !strcmp(a->point, b->point) && !strcmp(a->root, b->root) &&
	       !strcmp(a->type, b->type) && !strcmp(a->source, b->source);
}

static void tell(const struct kith_mount_event *m, uint32_t what, const struct kith_mount_event *old,
                 void (*fn)(const struct kith_mount_event *e, void *user), void *user)
{
	struct kith_mount_event e = *m;

	e.what = what;
	if (old) {
		if (old->flags == m->flags && old->parent == m->parent && !strcmp(old->options, m->options) &&
		    !strcmp(old->super_options, m->super_options))
			return;
		e.old_flags = old->flags;
		e.old_options = old->options;
		e.old_super_options = old->super_options;
	}
	fn(&e, user);
}

void mount_table_compare(const struct mount_table *from, const struct mount_table *to, void (*fn)(const struct kith_mount_event *e, void *user), void *user)
{
	static const uint32_t order[] = { KITH_MOUNT_REMOVED, KITH_MOUNT_CHANGED, KITH_MOUNT_ADDED };

	for (size_t round = 0; round < KITH_COUNT(order); round++) {
		uint32_t what = order[round];
		size_t a = 0, b = 0;

		while (a < from->n || b < to->n) {
			const struct kith_mount_event *old = a < from->n ? from->by_id[a] : NULL, *new = b < to->n ? to->by_id[b] : NULL;
			bool both = old && new && old->id == new->id, same = both && same_mount(old, new);

			if (!new || (old && old->id <= new->id))
				a++;
			if (!old || (new && new->id <= old->id))
				b++;
			if (same && what == KITH_MOUNT_CHANGED)
				tell(new, what, old, fn, user);
			else if (!same && what == KITH_MOUNT_REMOVED && old && (both || !new || old->id < new->id))
				tell(old, what, NULL, fn, user);
			else if (!same && what == KITH_MOUNT_ADDED && new && (both || !old || new->id < old->id))
				tell(new, what, NULL, fn, user);
		}
	}
}
