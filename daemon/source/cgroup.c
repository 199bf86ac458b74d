/* The tree of control groups, by inotify. A group's files are watched one by one: that keeps their inodes, without which the kernel announces nothing. */
#include "source/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "source/kinds.h"

#define READ_SIZE 16384
#define READ_BATCH 8 /* a callback: a storm must not starve the other watches */
#define MASK_DIR (IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ONLYDIR | IN_DONT_FOLLOW)
#define TEXT_SIZE 1024

static void resync(struct cgroup_reader *c);

/* ---- telling ----------------------------------------------------------------------------------------------------- */

static void event_make(struct cgroup_reader *c, const struct cgroup_node *node, uint32_t what, struct kith_cgroup_event *ret)
{
	*ret = (struct kith_cgroup_event){ .size = sizeof(*ret), .what = what, .tree = node->tree, .known = node->known, .path = node->path,
		                           .time = clock_wall() };
	buf_reset(&c->folder);
	buf_printf(&c->folder, "%s%s", c->trees[node->tree].at, node->path);
	ret->directory = buf_text(&c->folder);
	memcpy(ret->counts, node->counts, sizeof(ret->counts));
}

static void node_tell(struct cgroup_node *node, uint32_t what)
{
	struct kith_cgroup_event event;

	if (!*node->path || node->reader->closed)
		return;
	event_make(node->reader, node, what, &event);
	source_tell(node->reader->source, &event);
}

static void tell_full(struct cgroup_reader *c, const char *why)
{
	struct kith_cgroup_event event = { .size = sizeof(event), .what = KITH_CGROUP_FULL, .path = why, .directory = "", .time = clock_wall() };

	c->skipped++;
	if (c->told_full)
		return;
	c->told_full = true;
	log_warning("control groups: %s; what happens in further ones goes unseen", why);
	if (!c->closed)
		source_tell(c->source, &event);
}

void cgroup_update(struct cgroup_node *node, uint32_t known, const uint64_t *counts)
{
	struct kith_cgroup_event event;
	uint32_t changed = 0;

	for (unsigned i = 0; i < KITH_CGROUP_COUNTS; i++)
		if ((known & 1u << i) && counts[i] != node->counts[i])
			changed |= 1u << i;
	changed |= known & ~node->known;
	if (!changed || node->reader->closed)
		return;
	node->known |= known;
	event_make(node->reader, node, KITH_CGROUP_CHANGED, &event);
	event.changed = changed;
	for (unsigned i = 0; i < KITH_CGROUP_COUNTS; i++) {
		/* A counter that went back was reset: all of it is new */
		if (changed & 1u << i)
			event.grown[i] = counts[i] >= node->counts[i] ? counts[i] - node->counts[i] : counts[i];
		if (changed & 1u << i)
			node->counts[i] = event.counts[i] = counts[i];
	}
	source_tell(node->reader->source, &event);
}

/* ---- watches ----------------------------------------------------------------------------------------------------- */

/* 0, or -errno: -ENOENT where there is no such file */
static int watch_add(struct cgroup_node *node, enum cgroup_watch_kind kind)
{
	struct cgroup_reader *c = node->reader;
	struct cgroup_watch *w = &node->watches[kind], *other;
	const char *file = cgroup_file_name(node, kind);
	int wd;

	if (w->wd || !file)
		return 0;
	wd = inotify_add_watch(c->fd, cgroup_path(c, node, file), kind == WATCH_DIR ? MASK_DIR : IN_MODIFY);
	if (wd < 0)
		return -errno;
	HASH_FIND_INT(c->watches, &wd, other);
	/* The same file by another path (a bind mount below the hierarchy): heard of once */
	if (other)
		return -EEXIST;
	w->wd = wd;
	w->node = node;
	w->kind = kind;
	HASH_ADD_INT(c->watches, wd, w);
	return 0;
}

/* `gone`: the kernel has dropped it already */
static void watch_remove(struct cgroup_node *node, enum cgroup_watch_kind kind, bool gone)
{
	struct cgroup_watch *w = &node->watches[kind];

	if (!w->wd)
		return;
	/* A removed group's files stay in the kernel for as long as they are watched. */
	if (!gone)
		inotify_rm_watch(node->reader->fd, w->wd);
	HASH_DEL(node->reader->watches, w);
	w->wd = 0;
}

static void node_read(struct cgroup_node *node, enum cgroup_watch_kind kind, uint32_t *known, uint64_t *counts)
{
	const char *file = cgroup_file_name(node, kind);
	char text[TEXT_SIZE];

	if (file && cgroup_read(node->reader, node, file, text, sizeof(text)) >= 0)
		cgroup_parse(kind, text, known, counts);
	if (kind == WATCH_MEMORY)
		node_read(node, READ_LOCAL, known, counts);
}

/* Watches those of its files that are not yet, and reads them. True: one of them is new. */
static bool files_watch(struct cgroup_node *node, uint32_t *known, uint64_t *counts)
{
	bool found = false;

	if (!*node->path)
		return false;
	for (enum cgroup_watch_kind kind = WATCH_EVENTS; kind <= WATCH_PIDS; kind++) {
		int r;

		if (node->watches[kind].wd || !cgroup_file_name(node, kind))
			continue;
		r = watch_add(node, kind);
		if (r == -ENOSPC)
			tell_full(node->reader, "fs.inotify.max_user_watches is reached");
		found |= r == 0;
		/* What is there can be read, watched or not */
		if (node->tree != KITH_CGROUP_V1_MEMORY)
			node_read(node, kind, known, counts);
	}
	if (node->tree == KITH_CGROUP_V1_MEMORY && cgroup_v1_watch(node) == -ENOSPC)
		tell_full(node->reader, "too many groups of version 1 have a memory controller");
	return found;
}

/* ---- nodes ------------------------------------------------------------------------------------------------------- */

static struct cgroup_node *node_find(struct cgroup_reader *c, unsigned tree, const char *path, size_t length)
{
	struct cgroup_node *node;

	HASH_FIND(hh, c->trees[tree].nodes, path, length, node);
	return node;
}

static struct cgroup_node *node_parent(const struct cgroup_node *node)
{
	const char *slash = strrchr(node->path, '/');

	return slash ? node_find(node->reader, node->tree, node->path, (size_t)(slash - node->path)) : NULL;
}

static void pending_drop(struct cgroup_node *node)
{
	struct cgroup_node **at = &node->reader->pending;

	while (*at && *at != node)
		at = &(*at)->pending;
	if (*at)
		*at = node->pending;
}

static void node_free(struct cgroup_node *node)
{
	struct cgroup_reader *c = node->reader;

	for (enum cgroup_watch_kind kind = WATCH_DIR; kind < N_WATCHES; kind++)
		watch_remove(node, kind, false);
	cgroup_v1_unwatch(node);
	pending_drop(node);
	HASH_DEL(c->trees[node->tree].nodes, node);
	c->n_nodes--;
	free(node);
}

static void node_remove(struct cgroup_node *node)
{
	struct cgroup_reader *c = node->reader;

	node_tell(node, KITH_CGROUP_REMOVED);
	if (c->closed)
		return;
	node_free(node);
	if (c->told_full && c->n_nodes < c->max_nodes / 4 * 3)
		c->rescan = true;
}

/* With the groups below it: it was renamed, or its tree is gone */
static void node_remove_all(struct cgroup_node *node)
{
	struct cgroup_reader *c = node->reader;
	struct cgroup_node *other, *next;
	size_t length = strlen(node->path);

	HASH_ITER(hh, c->trees[node->tree].nodes, other, next)
		if (other != node && !strncmp(other->path, node->path, length) && other->path[length] == '/' && !c->closed)
			node_remove(other);
	if (!c->closed)
		node_remove(node);
}

static void node_add(struct cgroup_reader *c, unsigned tree, const char *parent, const char *name)
{
	size_t length = strlen(parent) + (*name ? 1 + strlen(name) : 0);
	struct cgroup_node *node, *above;
	int r;

	if (c->closed || length + strlen(c->trees[tree].at) + strlen(source_env(c->source)->root) + 32 > PATH_MAX)
		return;
	if (c->n_nodes >= c->max_nodes) {
		tell_full(c, "there are more groups than are watched");
		return;
	}
	node = calloc(1, sizeof(*node) + length + 1);
	if (!node)
		return;
	node->reader = c;
	node->tree = (uint8_t)tree;
	if (*name)
		snprintf(node->path, length + 1, "%s/%s", parent, name);
	above = node_find(c, tree, node->path, length);
	if (above) {
		above->seen = true;
		free(node);
		return;
	}
	node->seen = true;
	r = watch_add(node, WATCH_DIR);
	if (r == -ENOSPC)
		tell_full(c, "fs.inotify.max_user_watches is reached");
	if (r < 0) {
		free(node); /* gone again */
		return;
	}
	HASH_ADD(hh, c->trees[tree].nodes, path, length, node);
	c->n_nodes++;
	files_watch(node, &node->known, node->counts);
	above = node_parent(node);
	if (above)
		watch_add(above, WATCH_CONTROL);
	node->pending = c->pending;
	c->pending = node;
	node_tell(node, KITH_CGROUP_ADDED);
}

/* The groups below those that are new. A stack, as groups may nest deeply. */
static void pending_scan(struct cgroup_reader *c)
{
	struct cgroup_node *node;

	while (!c->closed && (node = c->pending)) {
		char *path = strdup(node->path);
		unsigned tree = node->tree;
		const struct dirent *entry;
		DIR *dir;

		c->pending = node->pending;
		node->pending = NULL;
		dir = path ? opendir(cgroup_path(c, node, "")) : NULL;
		while (dir && (entry = readdir(dir)))
			if (entry->d_type == DT_DIR && strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
				node_add(c, tree, path, entry->d_name);
		if (dir)
			closedir(dir);
		free(path);
	}
}

/* Controllers were enabled or disabled for the groups right below: files have come or gone */
static void control_changed(struct cgroup_node *node)
{
	struct cgroup_reader *c = node->reader;
	struct cgroup_node *other, *next;
	size_t length = strlen(node->path);

	HASH_ITER(hh, c->trees[node->tree].nodes, other, next) {
		if (c->closed || strncmp(other->path, node->path, length) || other->path[length] != '/' || strchr(other->path + length + 1, '/'))
			continue;
		files_watch(other, &other->known, other->counts);
		node_tell(other, KITH_CGROUP_FILES);
	}
}

/* ---- inotify ----------------------------------------------------------------------------------------------------- */

static void on_dir(struct cgroup_node *node, const struct inotify_event *e)
{
	struct cgroup_reader *c = node->reader;
	struct cgroup_node *child;
	char path[PATH_MAX];
	int n;

	if (!(e->mask & IN_ISDIR) || !e->len)
		return;
	if (e->mask & (IN_CREATE | IN_MOVED_TO)) {
		node_add(c, node->tree, node->path, e->name);
		return;
	}
	n = snprintf(path, sizeof(path), "%s/%s", node->path, e->name);
	if (n < 0 || n >= (int)sizeof(path))
		return;
	child = node_find(c, node->tree, path, (size_t)n);
	if (child && e->mask & IN_MOVED_FROM)
		node_remove_all(child);
	else if (child)
		node_remove(child);
}

static void on_event(struct cgroup_reader *c, const struct inotify_event *e)
{
	uint64_t counts[KITH_CGROUP_COUNTS];
	struct cgroup_node *node;
	struct cgroup_watch *w;
	uint32_t known;

	HASH_FIND_INT(c->watches, &e->wd, w);
	if (!w)
		return; /* of a watch that was dropped meanwhile */
	node = w->node;
	if (e->mask & IN_IGNORED) {
		enum cgroup_watch_kind kind = w->kind;

		watch_remove(node, kind, true);
		if (kind == WATCH_DIR)
			node_remove_all(node);
	} else if (w->kind == WATCH_DIR) {
		on_dir(node, e);
	} else if (w->kind == WATCH_CONTROL) {
		control_changed(node);
	} else if (node->tree == KITH_CGROUP_V1_MEMORY) {
		cgroup_v1_limit(node);
	} else {
		known = node->known;
		memcpy(counts, node->counts, sizeof(counts));
		node_read(node, w->kind, &known, counts);
		cgroup_update(node, known, counts);
	}
}

static void reader_free(struct cgroup_reader *c)
{
	for (unsigned i = 0; i < KITH_CGROUP_TREES; i++) {
		struct cgroup_node *node, *next;

		HASH_ITER(hh, c->trees[i].nodes, node, next)
			node_free(node);
		free(c->trees[i].at);
	}
	loop_remove(c->loop, c->watch);
	if (c->fd >= 0)
		close(c->fd);
	buf_free(&c->path);
	buf_free(&c->folder);
	free(c->buffer);
	free(c);
}

/* Nodes are freed by path, not by the source: it may be closed already while one of its callbacks runs */
static void busy_end(struct cgroup_reader *c)
{
	c->busy = false;
	if (c->closed)
		reader_free(c);
}

static bool read_batch(struct cgroup_reader *c)
{
	ssize_t n = read(c->fd, c->buffer, READ_SIZE);

	if (n <= 0)
		return false;
	for (ssize_t at = 0; at + (ssize_t)sizeof(struct inotify_event) <= n && !c->closed;) {
		const struct inotify_event *e = (const void *)(c->buffer + at);

		at += (ssize_t)(sizeof(*e) + e->len);
		if (e->mask & IN_Q_OVERFLOW)
			c->lost = true;
		else
			on_event(c, e);
		pending_scan(c);
	}
	return true;
}

static void readable(int fd, unsigned events, void *user)
{
	struct cgroup_reader *c = user;
	bool more = true;

	(void)fd;
	(void)events;
	c->busy = true;
	for (int i = 0; i < READ_BATCH && more && !c->closed; i++)
		more = read_batch(c);
	/* When the queue is empty: what is looked at before that would be looked at again */
	if (!c->closed && !more && (c->lost || c->rescan)) {
		bool lost = c->lost;

		c->lost = c->rescan = false;
		resync(c);
		if (lost && !c->closed)
			source_lost(c->source);
	}
	busy_end(c);
}

/* It is gone. Or it was removed and made again while nobody heard: the watches are the old one's, and tell nothing any more. */
static bool node_stale(struct cgroup_node *node)
{
	struct cgroup_reader *c = node->reader;
	struct cgroup_watch *other;
	int wd;

	if (!*node->path)
		return false;
	wd = inotify_add_watch(c->fd, cgroup_path(c, node, ""), MASK_DIR);
	if (wd == node->watches[WATCH_DIR].wd)
		return false;
	HASH_FIND_INT(c->watches, &wd, other);
	if (wd >= 0 && !other)
		inotify_rm_watch(c->fd, wd);
	return true;
}

/* Everything is looked at; what has changed is told as if it had been announced */
static void resync(struct cgroup_reader *c)
{
	struct cgroup_node *node, *next;

	c->told_full = false;
	c->skipped = 0;
	for (unsigned i = 0; i < KITH_CGROUP_TREES; i++) {
		if (!c->trees[i].at)
			continue;
		HASH_ITER(hh, c->trees[i].nodes, node, next) {
			if (c->closed)
				return;
			if (node_stale(node))
				node_remove(node);
		}
		for (node = c->closed ? NULL : c->trees[i].nodes; node && !c->closed; node = node->hh.next) {
			uint64_t counts[KITH_CGROUP_COUNTS];
			uint32_t known = node->known;

			memcpy(counts, node->counts, sizeof(counts));
			for (enum cgroup_watch_kind kind = WATCH_EVENTS; kind <= WATCH_PIDS && node->tree != KITH_CGROUP_V1_MEMORY; kind++)
				node_read(node, kind, &known, counts);
			if (*node->path)
				cgroup_update(node, known, counts);
			if (!c->closed) {
				pending_drop(node);
				node->pending = c->pending;
				c->pending = node;
			}
		}
	}
	pending_scan(c);
}

/* ---- the source -------------------------------------------------------------------------------------------------- */

static bool there(const char *root, const char *at, const char *file)
{
	struct buf path = BUF_INIT;
	bool found;

	buf_printf(&path, "%s%s/%s", root, at, file);
	found = access(buf_text(&path), F_OK) == 0;
	buf_free(&path);
	return found;
}

static int trees_find(struct cgroup_reader *c, const char *root)
{
	static const struct { unsigned tree; const char *at, *file; } places[] = {
		{ KITH_CGROUP_V2, "/sys/fs/cgroup", "cgroup.controllers" },
		{ KITH_CGROUP_V2, "/sys/fs/cgroup/unified", "cgroup.controllers" },
		{ KITH_CGROUP_V1_MEMORY, "/sys/fs/cgroup/memory", "memory.oom_control" },
		{ KITH_CGROUP_V1_PIDS, "/sys/fs/cgroup/pids", "cgroup.procs" },
	};
	int found = 0;

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		struct cgroup_tree *tree = &c->trees[places[i].tree];

		/* In a v2 tree a group may be called "memory" */
		if (tree->at || (places[i].tree != KITH_CGROUP_V2 && there(root, "/sys/fs/cgroup", "cgroup.controllers")))
			continue;
		if (!there(root, places[i].at, places[i].file))
			continue;
		tree->at = strdup(places[i].at);
		if (!tree->at)
			return -ENOMEM;
		found++;
	}
	return found ? 0 : -EOPNOTSUPP;
}

static int cgroup_open(struct source *s, const struct source_env *env, void **ret_reader)
{
	struct cgroup_reader *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return -ENOMEM;
	*c = (struct cgroup_reader){ .source = s, .loop = env->loop, .fd = -1, .max_nodes = CGROUP_NODES_MAX };
	r = trees_find(c, env->root);
	if (r < 0)
		goto fail;
	c->buffer = malloc(READ_SIZE);
	c->fd = c->buffer ? inotify_init1(IN_NONBLOCK | IN_CLOEXEC) : -1;
	if (c->fd < 0) {
		r = c->buffer ? -errno : -ENOMEM;
		goto fail;
	}
	r = loop_fd(c->loop, c->fd, LOOP_READ, readable, c, &c->watch);
	if (r < 0)
		goto fail;
	for (unsigned i = 0; i < KITH_CGROUP_TREES; i++)
		if (c->trees[i].at)
			node_add(c, i, "", "");
	pending_scan(c);
	*ret_reader = c;
	return 0;
fail:
	reader_free(c);
	return r;
}

static void cgroup_close(void *reader)
{
	struct cgroup_reader *c = reader;

	c->closed = true;
	if (!c->busy)
		reader_free(c);
}

static int cgroup_dump(void *reader, const void *filter, int (*fn)(const void *event, void *user), void *user)
{
	struct cgroup_reader *c = reader;
	struct kith_cgroup_event event;
	int r = 0;

	(void)filter;
	for (unsigned i = 0; i < KITH_CGROUP_TREES; i++)
		for (struct cgroup_node *node = c->trees[i].nodes; node && r >= 0; node = node->hh.next) {
			if (!*node->path)
				continue;
			event_make(c, node, KITH_CGROUP_ADDED, &event);
			r = fn(&event, user);
		}
	return r < 0 ? r : 0;
}

const struct source_kind source_cgroup = {
	.id = KITH_SOURCE_CGROUP,
	.name = "cgroup",
	.open = cgroup_open,
	.close = cgroup_close,
	.dump = cgroup_dump,
};
