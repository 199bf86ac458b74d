/* textfile: node_exporter's drop-in files, read when they are replaced. See README. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "textfile/textfile.h"

/*
 * Events wait until those that come with them are there; the next ones for so long that looking takes no more than a twentieth of a
 * processor: one file is known in a moment, a storm goes into few looks.
 */
#define DELAY_MIN NS_PER_MS
#define DELAY_MAX (500 * NS_PER_MS)
#define DELAY_SHARE 20
#define BATCH_BYTES (1 << 20) /* that are read before others have their turn */
#define SIZE_MAX_BYTES (2 << 20)
#define FILES_MAX 1024

#define E KITH_METRIC_EVENT
static const char *const states[] = { [STATE_OK] = "ok", [STATE_ERROR] = "error", [STATE_STALE] = "stale", NULL };
static const struct kith_metric metrics[N_METRICS] = {
	[STATE] = { "state", NULL, "error: part of it could not be read; stale: it is older than max_age", states, KITH_STATE, E },
	[MODIFIED] = { "modified", "s", "when it was written, since 1970", NULL, KITH_GAUGE, E },
	[SERIES] = { "series", "series", "values that it gives", NULL, KITH_GAUGE, E },
	[FAULTS] = { "faults", "lines", "lines that could not be used", NULL, KITH_GAUGE, E },
};
#undef E

static const struct kith_family families[] = {
	[FAMILY_TEXTFILE] = { KITH_FAMILY_INIT, "textfile", "drop-in files in Prometheus' text format", "file", metrics, N_METRICS, 0 },
};

static const struct kith_option options[] = {
	{ "directory", "/var/lib/kith/textfile", "the folder of *.prom files", 0, 0, KITH_OPTION_STRING, 0 },
	{ "max_age", "0s", "values of a file that was not written for this long end; 0s: they stay", 0, 1e9, KITH_OPTION_DURATION, 0 },
	{ "max_series", "4096", "how many values there may be in all files", 1, 16384, KITH_OPTION_NUMBER, 0 },
	{ "max_metrics", "200", "how many different metrics there may be", 1, 200, KITH_OPTION_NUMBER, 0 },
};

static void record(struct file *f, enum kith_priority priority, const char *message, const char *fault)
{
	char subject[300], faults[24];
	struct kith_field fields[] = { { "file", f->name }, { "faults", faults }, { "first", fault } };
	struct kith_record r = { .size = sizeof(r), .priority = priority, .subject = subject, .message = message, .fields = fields,
		                 .n_fields = *fault ? 3 : 1 };

	snprintf(faults, sizeof(faults), "%u", f->n_faults);
	snprintf(subject, sizeof(subject), "textfile:%s", f->name);
	f->t->h->record(f->t->h, &r);
}

/* The first file that is not as it should be, for `kith plugins` */
static void note(struct textfile *t)
{
	char text[WHY_MAX + 120];
	struct file *first = NULL;
	unsigned n = 0;

	for (struct file *f = t->files; f; f = f->hh.next)
		if (f->state == STATE_ERROR && !n++)
			first = f;
	snprintf(text, sizeof(text), "%u of %u files have faults: %s", n, HASH_COUNT(t->files), first ? first->first : "");
	t->h->note(t->h, first ? text : NULL);
}

/* ---- one file --------------------------------------------------------------------------------------------------- */

static bool is_ours(const char *name)
{
	size_t n = strlen(name);

	if (n < 6 || n > 200 || *name == '.' || strcmp(name + n - 5, ".prom") != 0)
		return false;
	for (; *name; name++)
		if ((unsigned char)*name < 0x20 || (unsigned char)*name >= 0x7f)
			return false;
	return true;
}

static void soon(struct textfile *t);

static void file_dirty(struct file *f)
{
	struct textfile *t = f->t;

	soon(t);
	if (f->dirty)
		return;
	f->dirty = true;
	f->next_dirty = NULL;
	*t->dirty_end = f;
	t->dirty_end = &f->next_dirty;
}

void files_retry(struct textfile *t, const struct file *f)
{
	for (struct file *other = t->files; other; other = other->hh.next)
		if (other->refused && other != f)
			file_dirty(other);
}

static void file_event(struct textfile *t, const char *name)
{
	struct file *f;

	if (!is_ours(name))
		return;
	HASH_FIND(hh, t->files, name, strlen(name), f);
	if (!f && HASH_COUNT(t->files) >= FILES_MAX) {
		t->h->log(t->h, KITH_WARNING, "more than %d files: %s is left out", FILES_MAX, name);
		return;
	}
	if (!f) {
		f = calloc(1, sizeof(*f) + strlen(name) + 1);
		if (!f)
			return;
		f->t = t;
		f->state = -1;
		strcpy(f->name, name);
		HASH_ADD(hh, t->files, name[0], strlen(name), f);
	}
	file_dirty(f);
}

/* Not while it is in the list of dirty ones */
static void file_free(struct file *f)
{
	struct textfile *t = f->t;

	series_end_all(f);
	if (f->id != KITH_ID_NONE)
		t->h->end(t->h, f->id);
	HASH_DEL(t->files, f);
	free(f);
}

static void put(struct file *f, enum file_state state)
{
	struct textfile *t = f->t;
	double v[N_METRICS] = { [STATE] = state, [MODIFIED] = (double)f->modified / (double)NS_PER_S, [SERIES] = f->n_series, [FAULTS] = f->n_faults };

	if (f->id == KITH_ID_NONE && t->h->series(t->h, FAMILY_TEXTFILE, f->name, &f->id) < 0)
		return;
	t->h->put_all(t->h, f->id, v, N_METRICS);
	if (state == STATE_ERROR && strcmp(f->first, f->said) != 0)
		record(f, KITH_WARNING, f->first, f->first);
	else if (state == STATE_OK && f->state == STATE_ERROR)
		record(f, KITH_NOTICE, "all of it can be read again", "");
	else if (state == STATE_STALE && f->state != STATE_STALE)
		record(f, KITH_WARNING, "it was not written for longer than max_age: its values ended", "");
	strcpy(f->said, state == STATE_ERROR ? f->first : "");
	f->state = (int)state;
}

static bool is_too_old(const struct file *f)
{
	return f->t->max_age && f->modified + f->t->max_age <= f->t->h->now(f->t->h);
}

static void whole_fault(struct file *f, const char *why)
{
	series_read(f, "", 0);
	f->n_faults = 1;
	snprintf(f->first, sizeof(f->first), "%.120s: %.200s", f->name, why);
	put(f, STATE_ERROR);
}

/* How many bytes were read; -ENOENT: it is gone */
static int64_t file_read(struct file *f)
{
	struct textfile *t = f->t;
	char path[PATH_MAX], *text = NULL;
	size_t length = 0;
	struct stat st;
	int fd, r;

	/* Without waiting, should it be a fifo */
	if (snprintf(path, sizeof(path), "%s%s/%s", t->h->root(t->h), t->directory, f->name) >= (int)sizeof(path))
		return -ENOENT;
	fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP))
		return -ENOENT;
	if (fd < 0) {
		whole_fault(f, strerror(errno));
		return 0;
	}
	r = fstat(fd, &st) < 0 ? -errno : !S_ISREG(st.st_mode) ? -EINVAL : st.st_size > SIZE_MAX_BYTES ? -EFBIG : 0;
	if (r == 0) {
		f->modified = st.st_mtim.tv_sec * NS_PER_S + st.st_mtim.tv_nsec;
		r = t->h->read(t->h, fd, &text, &length);
	}
	close(fd);
	if (r < 0) {
		whole_fault(f, r == -EFBIG ? "it is larger than 2 MiB" : r == -EINVAL ? "it is no file" : strerror(-r));
		return 0;
	}
	if (is_too_old(f)) {
		series_end_all(f);
		put(f, STATE_STALE);
		return 0;
	}
	series_read(f, text, length);
	put(f, f->n_faults ? STATE_ERROR : STATE_OK);
	return (int64_t)length;
}

/* ---- batches ---------------------------------------------------------------------------------------------------- */

static void unwatch(struct textfile *t, struct kith_watch **w)
{
	if (*w)
		t->h->unwatch(t->h, *w);
	*w = NULL;
}

static int on_age(void *user)
{
	struct textfile *t = user;

	unwatch(t, &t->age_timer);
	for (struct file *f = t->files; f; f = f->hh.next)
		if (f->state != STATE_STALE && is_too_old(f))
			file_dirty(f);
	/* Where none is, the clock was set: the next one is looked for. */
	soon(t);
	return 0;
}

static void plan_age(struct textfile *t)
{
	int64_t now = t->h->now(t->h), next = INT64_MAX;

	unwatch(t, &t->age_timer);
	for (struct file *f = t->files; t->max_age && f; f = f->hh.next)
		if (f->state != STATE_STALE && f->modified + t->max_age < next)
			next = f->modified + t->max_age;
	if (next != INT64_MAX)
		t->h->watch_timer(t->h, next > now ? next - now : 0, 0, t->max_age / 20, on_age, t, &t->age_timer);
}

static void scan(struct textfile *t)
{
	char path[PATH_MAX];
	struct dirent *entry;
	DIR *d;

	t->rescan = false;
	for (struct file *f = t->files; f; f = f->hh.next)
		file_dirty(f);
	if (snprintf(path, sizeof(path), "%s%s", t->h->root(t->h), t->directory) >= (int)sizeof(path))
		return;
	d = opendir(path);
	if (!d)
		return;
	while ((entry = readdir(d)))
		file_event(t, entry->d_name);
	closedir(d);
}

static int64_t clock_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* A storm of events may take a share of the time; one that comes by itself is not late for what was before it. */
static int64_t rest_after(int64_t took)
{
	return took * DELAY_SHARE < DELAY_MAX ? took * DELAY_SHARE : DELAY_MAX;
}

static int64_t delay_now(const struct textfile *t)
{
	int64_t left = t->rested - clock_now();

	return left > DELAY_MIN ? left : DELAY_MIN;
}

static int on_batch(void *user)
{
	struct textfile *t = user;
	int64_t began = clock_now(), ended, bytes = 0;

	unwatch(t, &t->timer);
	if (t->rescan)
		scan(t);
	while (t->dirty && bytes < BATCH_BYTES) {
		struct file *f = t->dirty;
		int64_t n;

		t->dirty = f->next_dirty;
		if (!t->dirty)
			t->dirty_end = &t->dirty;
		f->dirty = false;
		n = file_read(f);
		if (n < 0)
			file_free(f);
		bytes += n > 0 ? n : 4096;
	}
	note(t);
	plan_age(t);
	ended = clock_now();
	t->rested = ended + rest_after(ended - began);
	if (t->dirty)
		soon(t);
	return 0;
}

static void soon(struct textfile *t)
{
	if (t->timer)
		return;
	if (t->h->watch_timer(t->h, delay_now(t), 0, 0, on_batch, t, &t->timer) < 0)
		t->timer = NULL;
}

static int watch_folder(struct textfile *t);

static int on_file(const struct kith_file_event *event, void *user)
{
	struct textfile *t = user;

	if (*event->name) {
		file_event(t, event->name);
		return 0;
	}
	/* The folder itself came or went; one that was not there when the watch began has to be watched anew for what is in it. */
	t->rescan = true;
	soon(t);
	return event->what == KITH_FILE_ADDED && !t->is_dir ? watch_folder(t) : 0;
}

static int watch_folder(struct textfile *t)
{
	char path[PATH_MAX];
	struct stat st;

	unwatch(t, &t->folder);
	if (snprintf(path, sizeof(path), "%s%s", t->h->root(t->h), t->directory) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	t->is_dir = stat(path, &st) == 0 && S_ISDIR(st.st_mode);
	return t->h->watch_file(t->h, path, KITH_FILE_CHANGED | KITH_FILE_ADDED | KITH_FILE_REMOVED, on_file, t, &t->folder);
}

/* ---- its life --------------------------------------------------------------------------------------------------- */

static void textfile_fini(void *state)
{
	struct textfile *t = state;
	struct file *f, *next;

	series_free(t);
	HASH_ITER(hh, t->files, f, next) {
		HASH_DEL(t->files, f);
		free(f);
	}
	free(t->directory);
	free(t);
}

static int textfile_init(const struct kith_host *h, void **ret_state)
{
	const char *directory = h->option_string(h, "directory");
	struct textfile *t;
	size_t n;
	int r;

	if (!directory || *directory != '/') {
		h->note(h, "directory is no absolute path");
		return -EINVAL;
	}
	t = calloc(1, sizeof(*t));
	if (!t)
		return -ENOMEM;
	t->h = h;
	t->dirty_end = &t->dirty;
	t->max_series = (unsigned)h->option_number(h, "max_series");
	t->max_families = (unsigned)h->option_number(h, "max_metrics");
	t->max_age = (int64_t)(h->option_number(h, "max_age") * (double)NS_PER_S);
	t->directory = strdup(directory);
	n = t->directory ? strlen(t->directory) : 0;
	while (n > 1 && t->directory[n - 1] == '/')
		t->directory[--n] = '\0';
	r = t->directory ? watch_folder(t) : -ENOMEM;
	if (r < 0) {
		textfile_fini(t);
		return r;
	}
	t->rescan = true;
	on_batch(t);
	*ret_state = t;
	return 0;
}

static int textfile_resync(void *state)
{
	struct textfile *t = state;

	t->rescan = true;
	soon(t);
	return 0;
}

KITH_PLUGIN = {
	KITH_PLUGIN_INIT,
	.name = "textfile",
	.version = "1",
	.help = "textfile: node_exporter's drop-in files, *.prom",
	.provides = KITH_PROVIDES_SAMPLES | KITH_PROVIDES_RECORDS | KITH_PROVIDES_RESYNC,
	.families = families,
	.n_families = KITH_COUNT(families),
	.option_size = sizeof(struct kith_option),
	.options = options,
	.n_options = KITH_COUNT(options),
	.init = textfile_init,
	.fini = textfile_fini,
	.resync = textfile_resync,
	.hears = "inotify on its folder",
	.costs = "nothing while no file is written; 1 us a line when one is",
};
