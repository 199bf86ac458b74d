#include "store/fold/family.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/names.h"
#include "plugin.h"
#include "store/fold/lines.h"

#define WORDS_MAX 4200u /* of a line: a metric and all names of its states */

_Static_assert(KITH_METRIC_EVENT == 1u, "known_hold");

static const char *const kinds[] = { "gauge", "counter", "state" };

int known_new(const char *name, struct fold_family **ret_family)
{
	struct fold_family *f = calloc(1, sizeof(*f));

	if (f) {
		f->name = strdup(name);
		f->label = strdup("");
	}
	if (!f || !f->name || !f->label) {
		known_free(f);
		return -ENOMEM;
	}
	*ret_family = f;
	return 0;
}

static void metric_free(struct fold_metric *m)
{
	for (uint32_t i = 0; i < m->n_states; i++)
		free(m->states[i]);
	free(m->states);
	free(m->name);
	free(m->unit);
}

void known_free(struct fold_family *f)
{
	struct family_file *file, *next;

	if (!f)
		return;
	HASH_ITER(hh, f->files, file, next)
		known_remove_file(f, file);
	for (uint32_t i = 0; i < f->n; i++)
		metric_free(&f->metrics[i]);
	free(f->metrics);
	free(f->name);
	free(f->label);
	free(f);
}

int known_metric(const struct fold_family *f, const char *name)
{
	for (uint32_t i = 0; i < f->n; i++)
		if (!strcmp(f->metrics[i].name, name))
			return (int)i;
	return -1;
}

static bool metric_same(const struct fold_metric *m, const char *unit, uint32_t kind, uint32_t flags, char *const *states, uint32_t n)
{
	if (m->kind != kind || m->flags != flags || m->n_states != n || strcmp(m->unit, unit) != 0)
		return false;
	for (uint32_t i = 0; i < n; i++)
		if (strcmp(m->states[i], states[i]) != 0)
			return false;
	return true;
}

static int metric_copy(struct fold_metric *m, const char *name, const char *unit, uint32_t kind, uint32_t flags, char *const *states, uint32_t n)
{
	struct fold_metric made = { .kind = kind, .flags = flags };

	made.name = strdup(name);
	made.unit = strdup(unit);
	made.states = n ? calloc(n + 1, sizeof(*made.states)) : NULL;
	if (!made.name || !made.unit || (n && !made.states)) {
		metric_free(&made);
		return -ENOMEM;
	}
	for (; made.n_states < n; made.n_states++)
		if (!(made.states[made.n_states] = strdup(states[made.n_states]))) {
			metric_free(&made);
			return -ENOMEM;
		}
	rrd_source_name(name, made.source);
	*m = made;
	return 0;
}

static int known_set(struct fold_family *f, const char *name, const char *unit, uint32_t kind, uint32_t flags, char *const *states, uint32_t n)
{
	int at = known_metric(f, name), r;
	struct fold_metric m, *more;

	if (at >= 0 && metric_same(&f->metrics[at], unit, kind, flags, states, n))
		return 0;
	if (at < 0 && f->n >= FAMILY_METRICS_MAX)
		return -E2BIG;
	if (!name_part_valid(name) || kind > KITH_STATE)
		return -EINVAL;
	r = metric_copy(&m, name, unit, kind, flags, states, n);
	if (r < 0)
		return r;
	f->changed = true;
	if (at >= 0) {
		metric_free(&f->metrics[at]);
		f->metrics[at] = m;
		return 0;
	}
	more = realloc(f->metrics, (f->n + 1) * sizeof(*more));
	if (!more) {
		metric_free(&m);
		return -ENOMEM;
	}
	f->metrics = more;
	f->metrics[f->n++] = m;
	return 0;
}

static int set_label(struct fold_family *f, const char *label, int64_t stale_after)
{
	char *copy;

	f->stale_after = stale_after;
	f->told = true;
	if (!strcmp(f->label, label))
		return 0;
	copy = strdup(label);
	if (!copy)
		return -ENOMEM;
	free(f->label);
	f->label = copy;
	f->changed = true;
	return 0;
}

int known_learn(struct fold_family *f, const struct unpack_family *u)
{
	int r = 0;

	/* How often it is sampled changes often; alone it is no reason to write. */
	r = set_label(f, u->label, u->stale_after);
	for (uint32_t i = 0; r == 0 && i < u->n; i++)
		r = known_set(f, u->metrics[i].name, u->metrics[i].unit, u->metrics[i].kind, u->metrics[i].flags, u->metrics[i].states,
		               u->metrics[i].n_states);
	return r;
}

const struct fold_metric *known_source(const struct fold_family *f, const char *source)
{
	for (uint32_t i = 0; i < f->n; i++)
		if (!strcmp(f->metrics[i].source, source))
			return &f->metrics[i];
	return NULL;
}

int known_take(struct fold_family *f, const struct fold_metric *m)
{
	return known_set(f, m->name, m->unit, m->kind, m->flags, m->states, m->n_states);
}

int known_take_label(struct fold_family *f, const struct fold_family *from)
{
	f->changed = true;
	return set_label(f, from->label, from->stale_after);
}

int known_add_file(struct fold_family *f, const char *file, const char *instance)
{
	struct family_file *one;

	HASH_FIND_STR(f->files, instance, one);
	if (one && !strcmp(one->file, file))
		return 0;
	if (one)
		known_remove_file(f, one);
	one = calloc(1, sizeof(*one));
	if (one) {
		one->file = strdup(file);
		one->instance = strdup(instance);
	}
	if (!one || !one->file || !one->instance) {
		if (one) {
			free(one->file);
			free(one->instance);
		}
		free(one);
		return -ENOMEM;
	}
	HASH_ADD_KEYPTR(hh, f->files, one->instance, strlen(one->instance), one);
	f->changed = true;
	return 0;
}

void known_remove_file(struct fold_family *f, struct family_file *file)
{
	HASH_DEL(f->files, file);
	free(file->file);
	free(file->instance);
	free(file);
	f->changed = true;
}

/* ---- the file ------------------------------------------------------------------------------------------------------ */

void known_format(const struct fold_family *f, struct buf *b)
{
	struct family_file *file, *next;

	buf_puts(b, "# What the RRD files here are: kith-journal(5). kith-fold writes it.\n");
	line_word(b, "family");
	line_word(b, f->name);
	line_word(b, f->label);
	line_number(b, f->stale_after);
	for (uint32_t i = 0; i < f->n; i++) {
		const struct fold_metric *m = &f->metrics[i];

		buf_puts(b, "\n");
		line_word(b, "metric");
		line_word(b, m->source);
		line_word(b, m->name);
		line_word(b, kinds[m->kind]);
		line_word(b, m->unit);
		line_word(b, m->flags & KITH_METRIC_EVENT ? "event" : "-");
		for (uint32_t k = 0; k < m->n_states; k++)
			line_word(b, m->states[k]);
	}
	HASH_ITER(hh, f->files, file, next) {
		buf_puts(b, "\n");
		line_word(b, "file");
		line_word(b, file->file);
		line_word(b, file->instance);
	}
	buf_puts(b, "\n");
}

static int parse_metric(struct fold_family *f, char **words, size_t n)
{
	uint32_t flags = !strcmp(words[5], "event") ? KITH_METRIC_EVENT : 0;
	int r;

	for (uint32_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++)
		if (!strcmp(words[3], kinds[k])) {
			r = known_set(f, words[2], words[4], k, flags, words + 6, k == KITH_STATE ? (uint32_t)(n - 6) : 0);
			return r == -ENOMEM ? r : 0;
		}
	return 0;
}

/* A file's name and nothing else */
static bool file_fine(const char *name)
{
	return *name && *name != '.' && !strchr(name, '/') && strlen(name) < RRD_NAME_SIZE;
}

int known_parse(char *text, struct fold_family *f)
{
	char **words = malloc(WORDS_MAX * sizeof(*words)), *line;
	int r = words ? 0 : -ENOMEM;
	int64_t number;

	while (r == 0 && (line = line_next(&text))) {
		size_t n = *line == '#' ? 0 : line_split(line, words, WORDS_MAX);

		/* Of another family it is a copy that somebody made. */
		if (n >= 4 && !strcmp(words[0], "family") && !strcmp(words[1], f->name) && word_number(words[3], &number) && number >= 0)
			r = set_label(f, words[2], number);
		else if (n >= 6 && !strcmp(words[0], "metric"))
			r = parse_metric(f, words, n);
		else if (n >= 3 && !strcmp(words[0], "file") && file_fine(words[1]) && strlen(words[2]) <= NAME_INSTANCE_MAX)
			r = known_add_file(f, words[1], words[2]);
	}
	free(words);
	f->changed = false;
	return r;
}

static int read_file(int rrd, const char *path, size_t max, char **ret_text)
{
	int fd = openat(rrd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK), r = 0;
	size_t length = 0;
	struct stat st;
	char *text;
	ssize_t n;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > (off_t)max) {
		close(fd);
		return -EBADMSG;
	}
	text = malloc((size_t)st.st_size + 1);
	if (!text)
		r = -ENOMEM;
	while (r == 0 && length < (size_t)st.st_size && (n = read(fd, text + length, (size_t)st.st_size - length)) != 0) {
		if (n < 0 && errno != EINTR)
			r = -errno;
		length += n > 0 ? (size_t)n : 0;
	}
	close(fd);
	if (r < 0) {
		free(text);
		return r;
	}
	text[length] = '\0';
	*ret_text = text;
	return 0;
}

int known_read(int rrd, const char *name, struct fold_family **ret_family)
{
	char path[NAME_PART_MAX + 16], *text = NULL;
	struct fold_family *f;
	int r;

	snprintf(path, sizeof(path), "%s/" RRD_FAMILY, name);
	r = read_file(rrd, path, FAMILY_FILE_MAX, &text);
	if (r < 0)
		return r;
	r = known_new(name, &f);
	if (r == 0) {
		r = known_parse(text, f);
		if (r < 0)
			known_free(f);
		else
			*ret_family = f;
	}
	free(text);
	return r;
}

int known_write(const char *path, struct fold_family *f)
{
	char *to = NULL, *beside = NULL;
	struct buf b = BUF_INIT;
	int r = -ENOMEM;

	if (!f->changed)
		return 0;
	known_format(f, &b);
	if (asprintf(&to, "%s/%s/" RRD_FAMILY, path, f->name) < 0)
		to = NULL;
	if (asprintf(&beside, "%s/%s/" RRD_FAMILY ".new", path, f->name) < 0)
		beside = NULL;
	if (!b.failed && to && beside)
		r = file_replace(to, beside, b.data, b.length, true);
	free(to);
	free(beside);
	buf_free(&b);
	if (r == 0)
		f->changed = false;
	return r;
}
