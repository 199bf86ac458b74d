/*
 * mine: a complete plugin for kithd. Copy this file, rename it and everything called "mine", and measure something of your own.
 *
 * It counts the files in folders, one instance a folder, and says when a folder came or went:
 *
 *   mine:/var/spool/cron:files        gauge    how many entries the folder has
 *   mine:/var/spool/cron:state        state    "present" or "missing"
 *
 *   plugin mine { folders = ["/var/spool/cron", "/tmp"] }    # in kith.conf
 *
 * See kith-plugin(7) for every function used here, and the README beside this file for how to build it.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <kith/plugin.h>

#ifndef MINE_VERSION
#define MINE_VERSION "1.0"
#endif

/* ---- what is measured: tables that kithd reads once, when it loads the plugin ------------------------------------- */

enum { METRIC_FILES, METRIC_STATE, N_METRICS };
enum { STATE_MISSING, STATE_PRESENT };

static const char *const states[] = { [STATE_MISSING] = "missing", [STATE_PRESENT] = "present", NULL };

static const struct kith_metric metrics[N_METRICS] = {
	[METRIC_FILES] = { "files", "files", "entries of the folder, without . and ..", NULL, KITH_GAUGE, 0 },
	[METRIC_STATE] = { "state", NULL, "whether the folder is there", states, KITH_STATE, 0 },
};

static const struct kith_family families[] = {
	{ KITH_FAMILY_INIT, "mine", "Folders and what is in them", "folder", metrics, N_METRICS, 0 },
};
#define FAMILY_MINE 0 /* its index in the table above */

static const struct kith_option options[] = {
	{ "folders", "/tmp", "absolute paths of the folders to look into", 0, 0, KITH_OPTION_LIST, 0 },
	{ "hidden", "false", "whether names that begin with a dot count too", 0, 0, KITH_OPTION_BOOL, 0 },
};

/* ---- state: everything hangs on one structure, so that the plugin can be unloaded without a trace ----------------- */

struct folder {
	char *path;
	kith_id id;    /* of the instance's first metric; metric K has id + K */
	int was;       /* STATE_*, or -1 before the first look */
};

struct mine {
	const struct kith_host *h;
	struct folder *folders;
	size_t n_folders;
	int hidden;
};

/* ---- sampling ----------------------------------------------------------------------------------------------------- */

static void tell_change(struct mine *m, const struct folder *f, int now)
{
	char subject[512];
	struct kith_field field = { "folder", f->path };
	struct kith_record record = {
		.size = sizeof(record),
		.priority = now == STATE_PRESENT ? KITH_NOTICE : KITH_WARNING,
		.subject = subject,
		.message = now == STATE_PRESENT ? "the folder is there" : "the folder is gone",
		.fields = &field,
		.n_fields = 1,
	};

	snprintf(subject, sizeof(subject), "mine:%s", f->path);
	m->h->record(m->h, &record); /* bounded by kithd: more than a few hundred a second are dropped, and counted */
}

/* A missing folder is a state like any other and no failure: a sampler that returns an error is called less and less. */
static int look(struct mine *m, struct folder *f)
{
	double files = 0;
	struct dirent *entry;
	int now = STATE_MISSING;
	DIR *dir = opendir(f->path);

	if (!dir && errno != ENOENT && errno != ENOTDIR && errno != EACCES)
		return -errno;
	if (dir) {
		now = STATE_PRESENT;
		while ((entry = readdir(dir)) != NULL)
			if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
			    (m->hidden || entry->d_name[0] != '.'))
				files++;
		closedir(dir);
		m->h->put(m->h, f->id + METRIC_FILES, files);
	}
	if (f->was >= 0 && f->was != now)
		tell_change(m, f, now);
	f->was = now;
	return m->h->put(m->h, f->id + METRIC_STATE, now);
}

/* On kithd's tick, at this plugin's interval. It must not block: what could (a network file system) belongs into work(). */
static int sample(void *user)
{
	struct mine *m = user;
	int r = 0;

	for (size_t i = 0; i < m->n_folders; i++) {
		int one = look(m, &m->folders[i]);

		if (one < 0)
			r = one;
	}
	return r;
}

/* ---- start and end ------------------------------------------------------------------------------------------------ */

/* kithd drops the watches, the series and the families itself: here goes what the plugin allocated and opened. */
static void fini(void *state)
{
	struct mine *m = state;

	for (size_t i = 0; i < m->n_folders; i++)
		free(m->folders[i].path);
	free(m->folders);
	free(m);
}

static int add_folder(struct mine *m, const char *path)
{
	struct folder *f = &m->folders[m->n_folders];
	int r;

	if (*path != '/') {
		m->h->log(m->h, KITH_ERR, "folders: \"%s\" is no absolute path: write it from the root on", path);
		return -EINVAL;
	}
	*f = (struct folder){ .path = strdup(path), .was = -1 };
	if (!f->path)
		return -ENOMEM;
	r = m->h->series(m->h, FAMILY_MINE, path, &f->id);
	if (r < 0) {
		free(f->path);
		return r;
	}
	m->n_folders++;
	return 0;
}

/* 0, or -errno and nothing left behind: fini is not called then. */
static int init(const struct kith_host *h, void **ret_state)
{
	const char *const *list = NULL;
	size_t n = h->option_list(h, "folders", &list);
	struct mine *m = calloc(1, sizeof(*m));
	int r;

	if (!m)
		return -ENOMEM;
	m->h = h;
	m->hidden = h->option_bool(h, "hidden");
	m->folders = calloc(n ? n : 1, sizeof(*m->folders));
	if (!m->folders) {
		r = -ENOMEM;
		goto fail;
	}
	for (size_t i = 0; i < n; i++) {
		r = add_folder(m, list[i]);
		if (r < 0)
			goto fail;
	}
	r = h->sample(h, sample, m, NULL);
	if (r < 0)
		goto fail;
	*ret_state = m;
	return 0;
fail:
	fini(m);
	return r;
}

/* No `reconfigure`: when its section of kith.conf changes, kithd stops the plugin and starts it with the new options. */
KITH_PLUGIN = {
	KITH_PLUGIN_INIT,
	.name = "mine", /* the file must be called mine.so */
	.version = MINE_VERSION,
	.help = "Folders and what is in them",
	.provides = KITH_PROVIDES_SAMPLES | KITH_PROVIDES_RECORDS,
	.families = families,
	.n_families = KITH_COUNT(families),
	.option_size = sizeof(struct kith_option),
	.options = options,
	.n_options = KITH_COUNT(options),
	.init = init,
	.fini = fini,
	.hears = "stat(2) of the folders on the tick",
	.costs = "2 us a tick for each folder",
};
