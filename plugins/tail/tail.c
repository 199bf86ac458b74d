/* tail: files of lines, read as they are written. See README. */
#include "tail/tail.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <time.h>
#include <unistd.h>

/*
 * Events wait until those that come with them are there; the next ones for so long that looking takes no more than a twentieth of a processor. While a look
 * is planned the kernel's events wait too.
 */
#define DELAY_MIN (5 * NS_PER_MS)
#define DELAY_MAX (500 * NS_PER_MS)
#define DELAY_SHARE 20
#define BATCH_TIME (4 * NS_PER_MS) /* of looks, before others have their turn */
#define PUBLISH_EVERY NS_PER_S
#define SAVE_EVERY NS_PER_S

#define E KITH_METRIC_EVENT
static const struct kith_metric metrics[N_METRICS] = {
	[LINES] = { "lines", "lines", "lines that were read", NULL, KITH_COUNTER, E },
	[BYTES] = { "bytes", "B", "bytes that were read", NULL, KITH_COUNTER, E },
	[DROPPED] = { "dropped", "lines", "of those, lines that no record was made of: they came too fast for too long", NULL, KITH_COUNTER, E },
	[LAG] = { "lag", "B", "bytes that are not read yet", NULL, KITH_GAUGE, E },
	[ROTATED] = { "rotated", "times", "times that another file took its name, or none", NULL, KITH_COUNTER, E },
	[TRUNCATED] = { "truncated", "times", "times that it was emptied, or written anew", NULL, KITH_COUNTER, E },
};
#undef E

static const struct kith_family families[] = {
	[FAMILY_TAIL] = { KITH_FAMILY_INIT, "tail", "Files of lines that are followed", "path", metrics, N_METRICS, 0 },
};

static const struct kith_option options[] = {
	{ "files", NULL, "paths and patterns of files that are followed", 0, 0, KITH_OPTION_LIST, 0 },
	{ "format", "plain", "plain or syslog; \"PATTERN syslog\" for some", 0, 0, KITH_OPTION_LIST, 0 },
	{ "multiline", NULL, "what begins a record: a regular expression, or indent; \"PATTERN EXPRESSION\" for some", 0, 0, KITH_OPTION_LIST, 0 },
	{ "priority", "info", "of lines that have none: emergency to debug; \"PATTERN error\" for some", 0, 0, KITH_OPTION_LIST, 0 },
	{ "guess", "false", "priority by words like error and warning near a line's beginning", 0, 0, KITH_OPTION_BOOL, 0 },
	{ "from", "end", "where a file is read from that was there before it was asked for: end or start", 0, 0, KITH_OPTION_STRING, 0 },
	{ "wait", "1s", "how long lines of one record may take", 0.01, 3600, KITH_OPTION_DURATION, 0 },
	{ "rate", "10000", "lines a second of one file, over time; what is more waits in the file", 1, 1e7, KITH_OPTION_NUMBER, 0 },
	{ "burst", "50000", "lines of one file at once", 1, 1e7, KITH_OPTION_NUMBER, 0 },
	{ "max_lag", "64MiB", "lines of a file that is further behind than this are dropped", 0, 1e15, KITH_OPTION_SIZE, 0 },
	{ "max_skew", "1d", "a line's own time that is further from now than this is not believed; 0s: none is", 0, 1e9, KITH_OPTION_DURATION, 0 },
	{ "linger", "60s", "how long a file that was renamed or removed is read on without a new line", 0.1, 1e6, KITH_OPTION_DURATION, 0 },
};

static const char *const priorities[] = { "emergency", "alert", "critical", "error", "warning", "notice", "info", "debug" };

int64_t mono_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * NS_PER_S + t.tv_nsec;
}

static void drop_watch(struct tail *t, struct kith_watch **w)
{
	if (*w)
		t->h->unwatch(t->h, *w);
	*w = NULL;
}

/* ---- names --------------------------------------------------------------------------------------------------------------- */

/* Of a list of values and of "PATTERN value": the last that is for `path`. "" without one */
static const char *value_for(struct tail *t, const char *option, const char *path)
{
	const char *const *list = NULL, *value = "";
	size_t n = t->h->option_list(t->h, option, &list);
	char pattern[4096];

	for (size_t i = 0; i < n; i++) {
		const char *blank = *list[i] == '/' ? strchr(list[i], ' ') : NULL;

		if (!blank) {
			value = *list[i] == '/' ? value : list[i];
			continue;
		}
		snprintf(pattern, sizeof(pattern), "%.*s", (int)(blank - list[i]), list[i]);
		if (fnmatch(pattern, path + strlen(t->h->root(t->h)), FNM_PATHNAME | FNM_PERIOD) == 0)
			value = blank + 1;
	}
	return value;
}

static int find_priority(const char *name)
{
	for (size_t i = 0; i < KITH_COUNT(priorities); i++)
		if (!strcmp(priorities[i], name))
			return (int)i;
	return -EINVAL;
}

/* Names of instances are clean; a path that is not is shown as well as it can be. */
static void name_series(struct name *n)
{
	char text[256];
	size_t length = line_cut(n->path, strlen(n->path), sizeof(text) - 1);

	memcpy(text, n->path, length);
	line_clean(text, length);
	if (n->t->h->series(n->t->h, FAMILY_TAIL, text, &n->id) < 0)
		n->id = KITH_ID_NONE;
}

int name_new(struct tail *t, const char *path, bool literal, struct name **ret_name)
{
	const char *slash = strrchr(path, '/');
	struct name *n;
	char why[128];
	int r;

	if (t->n_names >= NAMES_MAX) {
		t->h->log(t->h, KITH_WARNING, "more than %d files: %s is left out", NAMES_MAX, path);
		return -ENOSPC;
	}
	n = calloc(1, sizeof(*n) + strlen(path) + 1);
	if (!n)
		return -ENOMEM;
	strcpy(n->path, path);
	n->t = t;
	n->literal = literal;
	n->base = n->path + (slash ? slash + 1 - path : 0);
	n->syslog = !strcmp(value_for(t, "format", path), "syslog");
	n->guess = t->h->option_bool(t->h, "guess");
	r = find_priority(value_for(t, "priority", path));
	n->priority = r < 0 ? KITH_INFO : (uint32_t)r;
	n->tokens = t->burst;
	n->tokens_at = t->mono;
	/* It was checked at the start; without memory each line is a record. */
	rules_new(&n->rules, value_for(t, "multiline", path), why, sizeof(why));
	name_series(n);
	n->changed = true;
	n->next = t->names;
	t->names = n;
	t->n_names++;
	*ret_name = n;
	return 0;
}

void name_free(struct name *n)
{
	struct tail *t = n->t;
	struct name **at = &t->names;

	while (*at != n)
		at = &(*at)->next;
	*at = n->next;
	t->n_names--;
	if (n->id != KITH_ID_NONE)
		t->h->end(t->h, n->id);
	rules_free(&n->rules);
	free(n);
}

/* ---- counts and places ----------------------------------------------------------------------------------------------------- */

static void publish(struct tail *t)
{
	t->published = t->mono;
	for (struct name *n = t->names; n; n = n->next) {
		if (n->changed && n->id != KITH_ID_NONE)
			t->h->put_all(t->h, n->id, n->counts, N_METRICS);
		n->changed = false;
	}
}

static int on_publish(void *user)
{
	struct tail *t = user;

	t->publish_timer = NULL;
	t->mono = mono_now();
	publish(t);
	return 0;
}

static void publish_soon(struct tail *t)
{
	bool changed = false;

	for (struct name *n = t->names; n && !changed; n = n->next)
		changed = n->changed;
	if (changed && t->mono - t->published >= PUBLISH_EVERY)
		publish(t);
	else if (changed && !t->publish_timer)
		t->h->watch_timer(t->h, PUBLISH_EVERY, 0, PUBLISH_EVERY / 10, on_publish, t, &t->publish_timer);
}

/* Again until what is there is what is true */
static int on_save(void *user)
{
	struct tail *t = user;
	bool more = false;

	t->save_timer = NULL;
	places_save(t, false);
	for (const struct file *f = t->files; f; f = f->next)
		more |= f->saved != f->offset;
	if (more)
		tail_save_soon(t);
	return 0;
}

void tail_save_soon(struct tail *t)
{
	if (!t->save_timer)
		t->h->watch_timer(t->h, SAVE_EVERY, 0, SAVE_EVERY / 10, on_save, t, &t->save_timer);
}

/* ---- looks ------------------------------------------------------------------------------------------------------------------- */

/* Which files have something new; more than one can be told of with one call */
static void take_events(struct tail *t)
{
	union {
		struct inotify_event align;
		char bytes[16384];
	} buffer;
	ssize_t n;

	while ((n = read(t->notify, buffer.bytes, sizeof(buffer))) > 0)
		for (char *at = buffer.bytes; at < buffer.bytes + n;) {
			const struct inotify_event *e = (const struct inotify_event *)(const void *)at;

			for (struct file *f = t->files; f; f = f->next)
				f->dirty |= f->wd == e->wd || (e->mask & IN_Q_OVERFLOW);
			at += sizeof(*e) + e->len;
		}
}

static int on_notify(int fd, uint32_t events, void *user);

static void listen_again(struct tail *t)
{
	if (!t->notify_watch)
		t->h->watch_fd(t->h, t->notify, KITH_READ, on_notify, t, &t->notify_watch);
}

static bool wants_look(const struct tail *t, const struct file *f)
{
	return (f->dirty || (f->due && f->due <= t->mono)) && !(f->before && !f->before->ended);
}

/* true: it was closed */
static bool look(struct file *f)
{
	struct tail *t = f->name->t;
	int64_t delay;

	f->dirty = false;
	f->due = 0;
	delay = file_read(f);
	if (file_is_over(f)) {
		t->rescan = true; /* its name may be at its end too */
		/* One that another name leads to is read on under that. */
		if (f->matched) {
			f->due = t->mono + t->linger;
			return false;
		}
		file_free(f);
		return true;
	}
	f->dirty = delay == 0;
	f->due = delay > 0 && delay != LOOK_NEVER ? t->mono + delay : 0;
	return false;
}

/* One after the other, each a part at a time, until the time is over or there is nothing more */
static bool look_around(struct tail *t, int64_t until)
{
	bool more = true;

	while (more && mono_now() < until) {
		struct file *f = t->files, *next;

		for (more = false; f && mono_now() < until; f = next) {
			next = f->next;
			if (wants_look(t, f) && !look(f))
				more |= f->dirty;
		}
		more |= f != NULL;
		/* What one had to wait for may be over. */
		for (f = t->files; f && !more; f = f->next)
			more = wants_look(t, f);
	}
	return more;
}

static int64_t next_due(const struct tail *t)
{
	int64_t due = 0;

	for (const struct file *f = t->files; f; f = f->next)
		if (f->due && !(f->before && !f->before->ended) && (!due || f->due < due))
			due = f->due;
	return due;
}

static void count_lag(struct tail *t)
{
	for (struct name *n = t->names; n; n = n->next)
		n->lag = 0;
	for (const struct file *f = t->files; f; f = f->next)
		f->name->lag += f->size > f->offset ? (double)(f->size - f->offset) : 0;
	for (struct name *n = t->names; n; n = n->next) {
		n->changed |= n->lag < n->counts[LAG] || n->lag > n->counts[LAG];
		n->counts[LAG] = n->lag;
	}
}

static int on_look(void *user)
{
	struct tail *t = user;
	int64_t due, took;
	bool more;

	drop_watch(t, &t->timer);
	t->mono = mono_now();
	t->clock.now = t->h->now(t->h);
	take_events(t);
	if (t->rescan) {
		t->rescan = false;
		find_all(t);
	}
	more = look_around(t, t->mono + BATCH_TIME);
	count_lag(t);
	took = mono_now() - t->mono;
	t->delay = took * DELAY_SHARE < DELAY_MIN ? DELAY_MIN : took * DELAY_SHARE > DELAY_MAX ? DELAY_MAX : took * DELAY_SHARE;
	due = next_due(t);
	publish_soon(t);
	if (!more && !t->rescan)
		listen_again(t);
	if (more || t->rescan)
		tail_soon(t, 0);
	else if (due)
		tail_soon(t, due > t->mono ? due - t->mono : NS_PER_MS);
	return 0;
}

void tail_soon(struct tail *t, int64_t delay)
{
	drop_watch(t, &t->timer);
	if (t->h->watch_timer(t->h, delay, 0, delay / 10, on_look, t, &t->timer) < 0)
		t->timer = NULL;
}

static int on_notify(int fd, uint32_t events, void *user)
{
	struct tail *t = user;

	(void)fd;
	(void)events;
	drop_watch(t, &t->notify_watch);
	tail_soon(t, t->delay);
	return 0;
}

/* ---- its life ------------------------------------------------------------------------------------------------------------------ */

static int bad(struct tail *t, const char *option, const char *value, const char *why)
{
	char note[400];

	snprintf(note, sizeof(note), "%s: \"%.150s\": %.150s", option, value, why);
	t->h->note(t->h, note);
	return -EINVAL;
}

static int check_list(struct tail *t, const char *option, int (*check)(const char *value, char *why, size_t size))
{
	const char *const *list = NULL;
	size_t n = t->h->option_list(t->h, option, &list);
	char why[128] = "";

	for (size_t i = 0; i < n; i++) {
		const char *blank = *list[i] == '/' ? strchr(list[i], ' ') : NULL;

		if (*list[i] == '/' && !blank)
			return bad(t, option, list[i], "a value stands behind a pattern and a blank");
		if (check(blank ? blank + 1 : list[i], why, sizeof(why)) < 0)
			return bad(t, option, list[i], why);
	}
	return 0;
}

static int check_format(const char *value, char *why, size_t size)
{
	snprintf(why, size, "plain or syslog");
	return strcmp(value, "plain") && strcmp(value, "syslog") ? -EINVAL : 0;
}

static int check_priority(const char *value, char *why, size_t size)
{
	snprintf(why, size, "emergency, alert, critical, error, warning, notice, info or debug");
	return find_priority(value) < 0 ? -EINVAL : 0;
}

static int check_multiline(const char *value, char *why, size_t size)
{
	struct rules r;
	int e = rules_new(&r, value, why, size);

	if (e == 0)
		rules_free(&r);
	return e;
}

static int check_options(struct tail *t, const char *const *files, size_t n)
{
	const char *from = t->h->option_string(t->h, "from");
	int r;

	for (size_t i = 0; i < n; i++)
		if (*files[i] != '/' || files[i][strlen(files[i]) - 1] == '/')
			return bad(t, "files", files[i], "no absolute path of a file");
	if (strcmp(from, "end") && strcmp(from, "start"))
		return bad(t, "from", from, "end or start");
	if ((r = check_list(t, "format", check_format)) < 0 || (r = check_list(t, "priority", check_priority)) < 0)
		return r;
	return check_list(t, "multiline", check_multiline);
}

static void tail_free(struct tail *t)
{
	find_free(t);
	while (t->files)
		file_free(t->files);
	while (t->names)
		name_free(t->names);
	places_free(t);
	if (t->notify >= 0)
		close(t->notify);
	free(t->buffer);
	free(t);
}

/* What is there at the end is read, as far as that takes no time. */
static void tail_fini(void *state)
{
	struct tail *t = state;

	if (!t->buffer) {
		tail_free(t);
		return;
	}
	t->mono = mono_now();
	t->clock.now = t->h->now(t->h);
	for (struct file *f = t->files; f; f = f->next)
		f->dirty = true;
	look_around(t, t->mono + 10 * BATCH_TIME);
	publish(t);
	if (places_save(t, true) < 0)
		t->h->log(t->h, KITH_WARNING, "where files were read to cannot be kept: they are read from their ends at the next start");
	tail_free(t);
}

static int tail_begin(struct tail *t)
{
	const struct kith_host *h = t->h;

	t->buffer = malloc(READ_BYTES + 1);
	t->notify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (!t->buffer || t->notify < 0)
		return t->buffer ? -errno : -ENOMEM;
	t->delay = DELAY_MIN;
	t->rate = h->option_number(h, "rate");
	t->burst = h->option_number(h, "burst");
	t->max_lag = (int64_t)h->option_number(h, "max_lag");
	t->wait = (int64_t)(h->option_number(h, "wait") * (double)NS_PER_S);
	t->linger = (int64_t)(h->option_number(h, "linger") * (double)NS_PER_S);
	t->first = true;
	t->mono = mono_now();
	entry_init(&t->entry, (int64_t)(h->option_number(h, "max_skew") * (double)NS_PER_S));
	if (places_load(t) == -ENOENT)
		h->note(h, "it has no state folder: where files were read to is not kept over a restart");
	find_all(t);
	listen_again(t);
	tail_soon(t, 0);
	tail_save_soon(t);
	return 0;
}

static int tail_init(const struct kith_host *h, void **ret_state)
{
	const char *const *files = NULL;
	size_t n = h->option_list(h, "files", &files);
	struct tail *t;
	int r;

	t = calloc(1, sizeof(*t));
	if (!t)
		return -ENOMEM;
	t->h = h;
	t->notify = -1;
	/* It runs all the same, so that promises know its family. */
	if (!n) {
		h->note(h, "no file is named: files is empty");
		*ret_state = t;
		return 0;
	}
	r = check_options(t, files, n);
	if (r == 0)
		r = tail_begin(t);
	if (r < 0) {
		tail_free(t);
		return r;
	}
	*ret_state = t;
	return 0;
}

static int tail_resync(void *state)
{
	struct tail *t = state;

	t->rescan = true;
	if (t->buffer)
		tail_soon(t, 0);
	return 0;
}

KITH_PLUGIN = {
	KITH_PLUGIN_INIT,
	.name = "tail",
	.version = "1",
	.help = "tail: files of lines, followed as they are written, rotated and truncated",
	.provides = KITH_PROVIDES_SAMPLES | KITH_PROVIDES_RECORDS | KITH_PROVIDES_LOGS | KITH_PROVIDES_RESYNC,
	.families = families,
	.n_families = KITH_COUNT(families),
	.option_size = sizeof(struct kith_option),
	.options = options,
	.n_options = KITH_COUNT(options),
	.init = tail_init,
	.fini = tail_fini,
	.resync = tail_resync,
	.hears = "inotify on the files that its options name, and on their folders",
	.costs = "nothing while no file is written; 1 us a line",
};
