/* file: what is promised of files and directories, looked at after an event alone. See README. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "file/file.h"

/*
 * Events wait until those that come with them are there; the next ones for so long that looking takes no more than a twentieth of a
 * processor: one file is known in a moment, a storm goes into few looks.
 */
#define DELAY_MIN NS_PER_MS
#define DELAY_MAX (500 * NS_PER_MS)
#define DELAY_SHARE 20
#define BATCH 256           /* looks before others have their turn */

static const char *const no_yes[] = { "no", "yes", NULL };
static const char *const types[] = { [TYPE_FILE] = "file", [TYPE_DIRECTORY] = "directory", [TYPE_SYMLINK] = "symlink",
	                             [TYPE_SOCKET] = "socket", [TYPE_FIFO] = "fifo", [TYPE_BLOCK] = "block",
	                             [TYPE_CHARACTER] = "character", NULL };
static const char *const contents[] = { [CONTENT_SAME] = "same", [CONTENT_CHANGED] = "changed",
	                                [CONTENT_UNREADABLE] = "unreadable", NULL };

#define E KITH_METRIC_EVENT
static const struct kith_metric metrics[N_METRICS] = {
	[EXISTS] = { "exists", NULL, "whether it is there", no_yes, KITH_STATE, E },
	[TYPE] = { "type", NULL, "what it is", types, KITH_STATE, E },
	[SIZE] = { "size", "B", "its size", NULL, KITH_GAUGE, E },
	[MODE] = { "mode", NULL, "its permission bits, as their octal digits read: 644, 4755", NULL, KITH_GAUGE, E },
	[OWNER] = { "owner", NULL, "user id of its owner", NULL, KITH_GAUGE, E },
	[GROUP] = { "group", NULL, "its group id", NULL, KITH_GAUGE, E },
	[MODIFIED] = { "modified", "s", "when its content was changed last, since 1970", NULL, KITH_GAUGE, E },
	[LINKS] = { "links", "links", "names that it has", NULL, KITH_GAUGE, E },
	[CHANGES] = { "changes", "changes", "times that its content or itself was seen to have changed", NULL, KITH_COUNTER, E },
	[CONTENT] = { "content", NULL, "whether its SHA-256 is what is written in kith.conf, or what it was at the start", contents, KITH_STATE, E },
	[ENTRIES] = { "entries", "entries", "how many a directory has", NULL, KITH_GAUGE, E },
	[NEWEST] = { "newest", "s", "newest change of a directory or of what is in it, since 1970", NULL, KITH_GAUGE, E },
};
#undef E

static const struct kith_family families[] = {
	[FAMILY_FILE] = { KITH_FAMILY_INIT, "file", "files and directories that somebody named", "path", metrics, N_METRICS, 0 },
	[FAMILY_TREE] = { KITH_FAMILY_INIT, "tree", "directories with all that is below them", "path", tree_metrics, TREE_N_METRICS, 0 },
};

static const struct kith_option options[] = {
	{ "paths", NULL, "files, directories and patterns (* ? [...]) beside those that promises name", 0, 0, KITH_OPTION_LIST, 0 },
	{ "trees", NULL, "directories of which every change below is counted and recorded, beside those that promises name", 0, 0, KITH_OPTION_LIST, 0 },
	{ "sha256", NULL, "patterns of the files whose content is compared by SHA-256", 0, 0, KITH_OPTION_LIST, 0 },
	{ "expect", NULL, "what these contents have to be: lines as sha256sum writes them", 0, 0, KITH_OPTION_LIST, 0 },
	{ "sha256_max", "1GiB", "larger files are not read for it", 1, 1e15, KITH_OPTION_SIZE, 0 },
	{ "follow", "true", "what a symbolic link leads to, not the link itself", 0, 0, KITH_OPTION_BOOL, 0 },
	{ "keep", "false", "files that a pattern found stay when they go, with exists at no", 0, 0, KITH_OPTION_BOOL, 0 },
	{ "max", "4096", "how many files there may be in all", 1, 16384, KITH_OPTION_NUMBER, 0 },
};

int files_real(const struct files *f, const char *path, char *real)
{
	const char *root = f->h->root(f->h); /* not kept: a new configuration brings another string */
	size_t n = strlen(root), m = strlen(path);

	if (n + m >= PATH_MAX)
		return -ENAMETOOLONG;
	memcpy(real, root, n);
	memcpy(real + n, path, m + 1);
	return 0;
}

void files_record(struct files *f, enum kith_priority priority, const char *name, const char *message, const struct kith_field *fields,
                  uint32_t n_fields)
{
	char subject[NAME_MAX_BYTES + 8];
	struct kith_record r = { .size = sizeof(r), .priority = priority, .subject = subject, .message = message, .fields = fields,
		                 .n_fields = n_fields };

	snprintf(subject, sizeof(subject), "file:%s", name);
	f->h->record(f->h, &r);
}

/* ---- batches ---------------------------------------------------------------------------------------------------- */

static void remount(struct files *f)
{
	struct item *i;

	/* What is below a mount point may be something else now. */
	for (i = f->items; i; i = i->hh.next) {
		if (i->watch)
			item_watch(i);
		free(i->target);
		i->target = NULL;
		item_dirty(i);
	}
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

static int64_t delay_now(const struct files *f)
{
	int64_t left = f->rested - clock_now();

	return left > DELAY_MIN ? left : DELAY_MIN;
}

static int on_batch(void *user)
{
	struct files *f = user;
	int64_t began = clock_now(), ended;

	f->h->unwatch(f->h, f->timer);
	f->timer = NULL;
	if (f->remount_due)
		remount(f);
	if (f->expand_due)
		glob_expand(f);
	f->remount_due = false;
	for (unsigned n = 0; f->dirty && n < BATCH; n++) {
		struct item *i = f->dirty;

		f->dirty = i->next_dirty;
		if (!f->dirty)
			f->dirty_end = &f->dirty;
		i->dirty = false;
		item_look(i);
	}
	f->quiet = false;
	files_say(f);
	ended = clock_now();
	f->rested = ended + rest_after(ended - began);
	if (f->dirty)
		files_soon(f);
	return 0;
}

/* ---- mounts: from the first name on ------------------------------------------------------------------------------ */

static int on_mount(int fd, uint32_t events, void *user)
{
	struct files *f = user;
	char text[4096];
	off_t at = 0;
	ssize_t n;

	(void)events;
	/* Read to its end: then it tells of the next change. */
	while ((n = pread(fd, text, sizeof(text), at)) > 0)
		at += n;
	f->remount_due = f->expand_due = true;
	files_soon(f);
	return 0;
}

static void watch_mounts(struct files *f)
{
	char text[4096];
	off_t at = 0;
	ssize_t n;

	if (f->mounts_tried)
		return;
	f->mounts_tried = true;
	f->mountinfo = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	if (f->mountinfo < 0)
		return;
	while ((n = pread(f->mountinfo, text, sizeof(text), at)) > 0)
		at += n;
	if (f->h->watch_pri(f->h, f->mountinfo, on_mount, f, NULL) < 0) {
		close(f->mountinfo);
		f->mountinfo = -1;
	}
}

void files_soon(struct files *f)
{
	watch_mounts(f);
	if (f->timer)
		return;
	/* Without memory for a timer the next event brings it. */
	if (f->h->watch_timer(f->h, delay_now(f), 0, 0, on_batch, f, &f->timer) < 0)
		f->timer = NULL;
}

void files_say(struct files *f)
{
	char text[sizeof(f->said)] = "", tree[400];

	if (f->no_library)
		snprintf(text, sizeof(text), "no digests: " HASH_LIBRARY " is not there; on Debian: apt-get install libmd0");
	else if (trees_trouble(f, tree))
		snprintf(text, sizeof(text), "%s", tree);
	else if (f->n_denied)
		snprintf(text, sizeof(text), "%u files cannot be looked at for want of rights, the log says which", f->n_denied);
	if (!strcmp(text, f->said))
		return;
	memcpy(f->said, text, sizeof(text));
	f->h->note(f->h, *text ? text : NULL);
}

/* ---- who names what --------------------------------------------------------------------------------------------- */

static int name_path(struct files *f, const char *path, bool named)
{
	return glob_is(path) ? glob_name(f, path, named) : item_name(f, path, named);
}

static int on_wanted(const char *instance, int wanted, void *user)
{
	struct files *f = user;
	char *path;
	int r = 0;

	/* "*" alone, or the like, is what is there anyway. */
	if (*instance != '/')
		return 0;
	path = malloc(strlen(instance) + 1);
	if (!path)
		return -ENOMEM;
	if (name_unescape(instance, path) == 0)
		r = name_path(f, path, wanted != 0);
	free(path);
	return r;
}

static int on_tree_wanted(const char *instance, int wanted, void *user)
{
	struct files *f = user;
	char *path;
	int r = 0;

	/* A pattern is what is there anyway. */
	if (*instance != '/' || glob_is(instance))
		return 0;
	path = malloc(strlen(instance) + 1);
	if (!path)
		return -ENOMEM;
	if (name_unescape(instance, path) == 0)
		r = tree_name(f, path, wanted != 0);
	free(path);
	return r;
}

/* Each of an option's paths, without the slashes at its end */
static int read_paths(struct files *f, const char *option, int (*name)(struct files *f, const char *path, bool named))
{
	const char *const *list = NULL;
	size_t n = f->h->option_list(f->h, option, &list);
	char path[PATH_MAX];
	int r = 0;

	for (size_t k = 0; k < n && r == 0; k++) {
		size_t length = strlen(list[k]);

		if (*list[k] != '/' || length >= sizeof(path)) {
			f->h->log(f->h, KITH_ERR, "%s: \"%.200s\" is no absolute path: left out", option, list[k]);
			continue;
		}
		strcpy(path, list[k]);
		while (length > 1 && path[length - 1] == '/')
			path[--length] = '\0';
		r = name(f, path, true);
	}
	return r;
}

static int read_hashes(struct files *f)
{
	const char *const *list = NULL;
	size_t n = f->h->option_list(f->h, "sha256", &list);

	f->hashes = calloc(n + 1, sizeof(*f->hashes));
	if (!f->hashes)
		return -ENOMEM;
	for (; f->n_hashes < n; f->n_hashes++) {
		f->hashes[f->n_hashes] = strdup(list[f->n_hashes]);
		if (!f->hashes[f->n_hashes])
			return -ENOMEM;
	}
	return 0;
}

static int read_expectations(struct files *f)
{
	const char *const *list = NULL;
	size_t n = f->h->option_list(f->h, "expect", &list);
	int r = 0;

	for (size_t k = 0; k < n && r == 0; k++) {
		unsigned char digest[DIGEST];
		struct expectation *e;
		const char *path;

		if (digest_line(list[k], digest, &path) < 0) {
			f->h->log(f->h, KITH_ERR, "expect: \"%.100s\" is no line of sha256sum's (64 digits, two blanks, an absolute path): left out", list[k]);
			continue;
		}
		e = malloc(sizeof(*e) + strlen(path) + 1);
		if (!e)
			return -ENOMEM;
		memcpy(e->digest, digest, DIGEST);
		strcpy(e->path, path);
		e->next = f->expectations;
		f->expectations = e;
	}
	/* All of them first: an item looks for its own when it is made. */
	for (struct expectation *e = f->expectations; e && r == 0; e = e->next)
		r = item_name(f, e->path, true);
	return r;
}

/* ---- its life --------------------------------------------------------------------------------------------------- */

static void file_fini(void *state)
{
	struct files *f = state;
	struct expectation *e;
	struct item *i, *next;

	work_fini(f);
	trees_fini(f);
	glob_free_all(f);
	HASH_ITER(hh, f->items, i, next)
		item_free(i);
	while ((e = f->expectations)) {
		f->expectations = e->next;
		free(e);
	}
	for (size_t k = 0; k < f->n_hashes; k++)
		free(f->hashes[k]);
	free(f->hashes);
	if (f->mountinfo >= 0)
		close(f->mountinfo);
	free(f);
}

static int file_init(const struct kith_host *h, void **ret_state)
{
	struct files *f = calloc(1, sizeof(*f));
	int r;

	if (!f)
		return -ENOMEM;
	f->h = h;
	f->dirty_end = &f->dirty;
	f->mountinfo = -1;
	f->max = (unsigned)h->option_number(h, "max");
	f->keep = h->option_bool(h, "keep");
	f->follow = h->option_bool(h, "follow");
	f->hash_max = (int64_t)h->option_number(h, "sha256_max");
	f->quiet = true;
	r = read_hashes(f);
	if (r == 0)
		r = read_expectations(f);
	if (r == 0)
		r = read_paths(f, "paths", name_path);
	if (r == 0)
		r = read_paths(f, "trees", tree_name);
	if (r == 0)
		r = h->watch_wanted(h, FAMILY_FILE, on_wanted, f, NULL);
	if (r == 0)
		r = h->watch_wanted(h, FAMILY_TREE, on_tree_wanted, f, NULL);
	if (r < 0) {
		file_fini(f);
		return r;
	}
	*ret_state = f;
	return 0;
}

static int file_resync(void *state)
{
	struct files *f = state;
	struct kith_record r = { .size = sizeof(r), .priority = KITH_NOTICE, .message = "file events were lost: every file is looked at again" };

	if (f->items)
		f->h->record(f->h, &r);
	f->expand_due = true;
	for (struct item *i = f->items; i; i = i->hh.next) {
		i->list_due = true;
		item_dirty(i);
	}
	return 0;
}

KITH_PLUGIN = {
	KITH_PLUGIN_INIT,
	.name = "file",
	.version = "1",
	.help = "file: what is promised of files and directories, by inotify; whole trees, by fanotify",
	.provides = KITH_PROVIDES_SAMPLES | KITH_PROVIDES_RECORDS | KITH_PROVIDES_RESYNC,
	.families = families,
	.n_families = KITH_COUNT(families),
	.option_size = sizeof(struct kith_option),
	.options = options,
	.n_options = KITH_COUNT(options),
	.init = file_init,
	.fini = file_fini,
	.resync = file_resync,
	.hears = "inotify on the folders of files that somebody names; a worker reads contents after an event; fanotify for whole trees that somebody names",
	.costs = "nothing until something changes; 10 us for a change; memory for an inotify watch each folder; of a tree, 50 wake-ups a second at most",
};
