/* What is known of each series at the end of the last segment that was folded: rrd/.state */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/crc.h"
#include "base/log.h"
#include "base/names.h"
#include "plugin.h"
#include "store/fold/fold.h"
#include "store/fold/lines.h"
#include "store/fold/state.h"

#define STATE_FILE ".state"
#define STATE_MAX (256u << 20)
#define WORDS 600u

/* ---- out ----------------------------------------------------------------------------------------------------------- */

static bool worth(const struct resample *s)
{
	return s->next && (s->live || s->n || s->known);
}

static void put_series(struct buf *b, const char *metric, const struct resample *s)
{
	line_word(b, "series");
	line_word(b, metric);
	line_number(b, s->kind);
	line_number(b, s->hold == RESAMPLE_FOREVER ? 0 : s->hold);
	line_number(b, s->live);
	line_number(b, s->next);
	line_number(b, s->time);
	line_double(b, s->value);
	line_number(b, (int64_t)s->n);
	line_number(b, s->known);
	line_number(b, s->since);
	line_double(b, s->sum);
	line_double(b, s->least);
	line_double(b, s->most);
	buf_putc(b, '\n');
}

static void put_row(struct buf *b, const struct fold_instance *i, size_t row)
{
	const struct fold_family *family = i->group->family;

	line_word(b, "row");
	line_number(b, i->at[row]);
	for (size_t k = 0; k < i->family_size; k++)
		if (i->values[row * i->family_size + k] == i->values[row * i->family_size + k]) {
			line_word(b, family->metrics[k].name);
			line_double(b, i->values[row * i->family_size + k]);
		}
	buf_putc(b, '\n');
}

static void put_instance(struct buf *b, const struct fold_instance *i)
{
	const struct fold_family *family = i->group->family;
	bool any = i->n_rows > 0;

	for (size_t k = 0; !any && k < i->family_size; k++)
		any = worth(&i->series[k]);
	if (!any || i->failed)
		return;
	line_word(b, "instance");
	line_word(b, family->name);
	line_word(b, i->name);
	line_number(b, i->step);
	buf_putc(b, '\n');
	for (size_t k = 0; k < i->family_size; k++)
		if (worth(&i->series[k]))
			put_series(b, family->metrics[k].name, &i->series[k]);
	for (size_t row = 0; row < i->n_rows; row++)
		put_row(b, i, row);
}

int state_save(struct fold *f)
{
	struct fold_instance *i, *next_i;
	struct fold_group *g, *next_g;
	struct buf b = BUF_INIT;
	char *path = NULL, *beside = NULL;
	int r = -ENOMEM;

	buf_puts(&b, "# What kith-fold knows of each series at the end of the last segment that it has folded: kith-journal(5)\n");
	line_word(&b, "state");
	line_number(&b, (int64_t)f->number);
	line_number(&b, f->end);
	buf_putc(&b, '\n');
	HASH_ITER(hh, f->groups, g, next_g)
		HASH_ITER(hh, g->instances, i, next_i)
			put_instance(&b, i);
	buf_printf(&b, "crc\t%08x\n", b.failed ? 0 : crc32c(0, b.data, b.length));
	if (asprintf(&path, "%s/" STATE_FILE, f->rrd_path) < 0)
		path = NULL;
	if (asprintf(&beside, "%s/" STATE_FILE ".new", f->rrd_path) < 0)
		beside = NULL;
	if (path && beside && !b.failed)
		r = file_replace(path, beside, b.data, b.length, true);
	free(path);
	free(beside);
	buf_free(&b);
	return r;
}

/* ---- in ------------------------------------------------------------------------------------------------------------ */

/* The text without its last line, which says what the rest sums up to. False: it does not. */
static bool crc_fine(char *text, size_t length)
{
	char *last, *end;
	unsigned long crc;

	if (length < 14 || memchr(text, 0, length) || text[length - 1] != '\n')
		return false;
	last = memrchr(text, '\n', length - 1);
	last = last ? last + 1 : text;
	if (strncmp(last, "crc\t", 4) != 0)
		return false;
	crc = strtoul(last + 4, &end, 16);
	if (*end != '\n' || crc != crc32c(0, text, (size_t)(last - text)))
		return false;
	*last = '\0';
	return true;
}

static bool parse_series(char **words, size_t n, struct state_series *ret_series)
{
	struct resample s = { 0 };
	int64_t kind, live, count, known;

	if (n < 14 || !word_number(words[2], &kind) || !word_number(words[3], &s.hold) || !word_number(words[4], &live) ||
	    !word_number(words[5], &s.next) || !word_number(words[6], &s.time) || !word_double(words[7], &s.value) ||
	    !word_number(words[8], &count) || !word_number(words[9], &known) || !word_number(words[10], &s.since) ||
	    !word_double(words[11], &s.sum) || !word_double(words[12], &s.least) || !word_double(words[13], &s.most))
		return false;
	if (kind < 0 || kind > KITH_STATE || s.hold < 0 || s.next <= 0 || s.next > INT64_MAX / 2 || s.time <= 0 || s.time > INT64_MAX / 2 ||
	    count < 0 || known < 0 || s.value != s.value)
		return false;
	s.kind = (uint32_t)kind;
	s.hold = s.hold ? s.hold : RESAMPLE_FOREVER;
	s.live = live != 0;
	s.any = true;
	s.n = (uint64_t)count;
	s.known = known;
	*ret_series = (struct state_series){ words[1], s };
	return true;
}

static int parse_row(char **words, size_t n, const struct state_fns *fns, void *user)
{
	int64_t at;
	double value;
	int r = 0;

	if (!word_number(words[1], &at) || at <= 0)
		return 0;
	for (size_t k = 2; r == 0 && k + 1 < n; k += 2)
		if (word_double(words[k + 1], &value) && value == value)
			r = fns->row(at, words[k], value, user);
	return r;
}

int state_parse(char *text, size_t length, const struct state_fns *fns, void *user, struct state_head *ret_head)
{
	struct state_head head = { 0 };
	char *words[WORDS], *line;
	int64_t number, step;
	bool known = false, any = false;
	int r = 0;

	if (!crc_fine(text, length))
		return -EBADMSG;
	while (r == 0 && (line = line_next(&text))) {
		struct state_series s;
		size_t n = *line == '#' ? 0 : line_split(line, words, WORDS);

		if (n >= 3 && !strcmp(words[0], "state") && word_number(words[1], &number) && word_number(words[2], &head.end) && number >= 0) {
			head.number = (uint64_t)number;
			any = true;
		} else if (n >= 4 && !strcmp(words[0], "instance") && word_number(words[3], &step) && step > 0) {
			r = fns ? fns->instance(words[1], words[2], step, user) : -ENOENT;
			known = r == 0;
			r = r == -ENOMEM ? r : 0;
		} else if (known && n >= 3 && !strcmp(words[0], "series") && parse_series(words, n, &s)) {
			r = fns->series(&s, user);
		} else if (known && n >= 3 && !strcmp(words[0], "row")) {
			r = parse_row(words, n, fns, user);
		}
	}
	if (r == 0 && !any)
		r = -EBADMSG;
	if (r == 0)
		*ret_head = head;
	return r;
}

struct loading {
	struct fold *fold;
	struct fold_instance *instance;
};

static int load_instance(const char *family, const char *name, int64_t step, void *user)
{
	struct loading *l = user;
	struct fold_group *g;
	int r;

	/* Of an export, those that it has files of */
	if (l->fold->config.patterns) {
		struct family_file *file = NULL;

		if (!name_part_valid(family) || fold_group(l->fold, family, &g) < 0)
			return -ENOENT;
		HASH_FIND_STR(g->family->files, name, file);
		if (!file)
			return -ENOENT;
	}
	r = fold_find(l->fold, family, name, &l->instance);

	/* Another file has taken its place: what was gathered of a step of its is of no use. */
	return r < 0 ? r : l->instance->step == step ? 0 : -ESTALE;
}

static int load_series(const struct state_series *s, void *user)
{
	struct loading *l = user;
	int at = known_metric(l->instance->group->family, s->metric);

	if (at < 0 || (size_t)at >= l->instance->family_size || l->instance->group->family->metrics[at].kind != s->series.kind)
		return 0;
	l->instance->series[at] = s->series;
	l->instance->series[at].step = l->instance->step;
	return 0;
}

static int load_row(int64_t at, const char *metric, double value, void *user)
{
	struct loading *l = user;
	int k = known_metric(l->instance->group->family, metric);

	if (k < 0 || at % l->instance->step != 0)
		return 0;
	return fold_row(l->fold, l->instance, at, (uint32_t)k, value);
}

int state_read(const char *rrd, char **ret_text, size_t *ret_length)
{
	char *path;
	int r;

	if (asprintf(&path, "%s/" STATE_FILE, rrd) < 0)
		return -ENOMEM;
	r = file_read_all(path, STATE_MAX, ret_text, ret_length);
	free(path);
	return r;
}

int state_load(struct fold *f)
{
	static const struct state_fns fns = { load_instance, load_series, load_row };
	struct loading l = { .fold = f };
	struct state_head head;
	char *text;
	size_t length;
	int r = state_read(f->config.export_only ? f->state_path : f->rrd_path, &text, &length);

	if (r < 0)
		return r;
	r = state_parse(text, length, &fns, &l, &head);
	free(text);
	if (r == -EBADMSG)
		log_warning("rrd/" STATE_FILE " is damaged, and left out: steps that had not ended at the last fold may be unknown");
	if (r < 0)
		return r == -EBADMSG ? -ENOENT : r;
	f->number = head.number;
	f->end = head.end;
	return 0;
}
