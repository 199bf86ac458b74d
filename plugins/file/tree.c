/* Whole trees: what changes below a directory is counted and recorded, with who did it. Nothing in them is looked at but what a record tells of. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "file/file.h"
#include "sources/tree.h"

#define DELAY_MIN (10 * NS_PER_MS)
#define DELAY_MAX (500 * NS_PER_MS) /* times CHANGES_MAX records: within what kithd takes of a plugin */
#define CHANGES_MAX 32              /* files told of one by one a batch; the others are told by their number */
#define PATH_TEXT 1024

#define SEEN_MOVED_IN 0x10000u /* beside KITH_TREE_*: another file took the name */

/* What happened to one path since the last batch */
struct change {
	struct tree *tree;
	char *path, *from; /* from: renamed, and there before the batch; else NULL */
	uint32_t seen;     /* KITH_TREE_* and SEEN_* */
	bool directory, was, is;
	int32_t pid;       /* the last one */
	char program[16];
};

struct tree {
	struct tree *next;
	struct trees *all;
	struct kith_watch *watch;
	unsigned named;
	kith_id id;
	int status;             /* as the source told it; -EINPROGRESS: not yet */
	bool dirty;
	bool lost_now;          /* to be recorded */
	double counts[TREE_N_METRICS];
	uint64_t more[TREE_N_METRICS]; /* of this batch, beside those in `changes` */
	char path[];
};

struct trees {
	struct files *f;
	struct tree *first;
	struct kith_watch *timer;
	int64_t delay, last_batch;
	struct change changes[CHANGES_MAX];
	unsigned n_changes;
};

static const char *const states[] = { [TREE_WATCHED] = "watched", [TREE_MISSING] = "missing", [TREE_REFUSED] = "refused", NULL };

#define E KITH_METRIC_EVENT
const struct kith_metric tree_metrics[TREE_N_METRICS] = {
	[TREE_STATE] = { "state", NULL, "whether it is watched; refused: the note of kith plugins says why", states, KITH_STATE, E },
	[TREE_CREATED] = { "created", "files", "files and directories made in it, or moved into it", NULL, KITH_COUNTER, E },
	[TREE_CHANGED] = { "changed", "files", "times that a file was closed after it was open for writing", NULL, KITH_COUNTER, E },
	[TREE_REMOVED] = { "removed", "files", "removed from it, or moved out of it", NULL, KITH_COUNTER, E },
	[TREE_RENAMED] = { "renamed", "files", "renamed within it", NULL, KITH_COUNTER, E },
	[TREE_ATTRIBUTES] = { "attributes", "files", "changes of mode, owner, times or extended attributes", NULL, KITH_COUNTER, E },
	[TREE_LAST] = { "last", "s", "when something in it changed last, since 1970", NULL, KITH_GAUGE, E },
	[TREE_LOST] = { "lost", "losses", "times that the kernel dropped events: the counts are less than what happened", NULL, KITH_COUNTER, E },
};
#undef E

/* ---- records ------------------------------------------------------------------------------------------------------- */

static void record(struct tree *t, enum kith_priority priority, const char *message, const struct kith_field *fields, uint32_t n)
{
	char name[NAME_MAX_BYTES + 1], subject[NAME_MAX_BYTES + 8];
	struct kith_record r = { .size = sizeof(r), .priority = priority, .subject = subject, .message = message, .fields = fields, .n_fields = n };

	if (name_escape(t->path, name) < 0)
		return;
	snprintf(subject, sizeof(subject), "tree:%s", name);
	t->all->f->h->record(t->all->f->h, &r);
}

/* As text; the end of a path that is too long is what tells most */
static const char *path_text(const char *path, char text[PATH_TEXT])
{
	size_t n = strlen(path);

	if (text_escape(path, text, PATH_TEXT) == 0)
		return text;
	memcpy(text, "...", 3);
	return text_escape(path + n - (n < PATH_TEXT / 4 ? n : PATH_TEXT / 4 - 1), text + 3, PATH_TEXT - 3) == 0 ? text : "...";
}

static const char *change_word(const struct change *c, const char **ret_message)
{
	bool replaced = c->seen & (KITH_TREE_CREATED | SEEN_MOVED_IN);

	if (!c->was && !c->is)
		*ret_message = "was created and removed";
	else if (c->was != c->is)
		*ret_message = c->is ? "was created" : "was removed";
	else if (c->from)
		*ret_message = "was renamed";
	else if (replaced)
		*ret_message = "was replaced";
	else
		*ret_message = c->seen & KITH_TREE_CHANGED ? "was changed" : "has another mode, owner or time";
	return c->was != c->is || !c->is ? c->is ? "created" : "removed" : c->from ? "renamed" : replaced ? "replaced" :
	       c->seen & KITH_TREE_CHANGED ? "changed" : "attributes";
}

static void tell(struct change *c)
{
	char path[PATH_TEXT], from[PATH_TEXT], who[64] = "", pid[16], size[24], mode[8], owner[16], group[16], message[2 * PATH_TEXT + 128];
	struct kith_field fields[9];
	const char *what;
	bool unsure = !c->is && (c->seen & KITH_TREE_CREATED);
	struct look l = { 0 };
	uint32_t n = 0;

	/* What the kernel put into one event has no order: it may have been removed first. */
	if ((c->is || unsure) && look_at(c->tree->all->f, c->path, false, &l) < 0)
		l.exists = false;
	c->is |= unsure && l.exists;
	fields[n++] = (struct kith_field){ "change", change_word(c, &what) };
	fields[n++] = (struct kith_field){ "path", path_text(c->path, path) };
	if (c->from)
		fields[n++] = (struct kith_field){ "from", path_text(c->from, from) };
	if (c->pid > 0) {
		snprintf(pid, sizeof(pid), "%d", c->pid);
		fields[n++] = (struct kith_field){ "pid", pid };
		snprintf(who, sizeof(who), " by process %d", c->pid);
	}
	if (*c->program) {
		fields[n++] = (struct kith_field){ "program", c->program };
		snprintf(who, sizeof(who), " by %s (%d)", c->program, c->pid);
	}
	if (l.exists) {
		snprintf(size, sizeof(size), "%lld", (long long)l.size);
		snprintf(mode, sizeof(mode), "%04o", l.mode);
		snprintf(owner, sizeof(owner), "%u", (unsigned)l.uid);
		snprintf(group, sizeof(group), "%u", (unsigned)l.gid);
		fields[n++] = (struct kith_field){ "size", size };
		fields[n++] = (struct kith_field){ "mode", mode };
		fields[n++] = (struct kith_field){ "owner", owner };
		fields[n++] = (struct kith_field){ "group", group };
	}
	snprintf(message, sizeof(message), "%s %s%s%s%s", path, what, c->from ? " from " : "", c->from ? from : "", who);
	record(c->tree, KITH_NOTICE, message, fields, n);
}

/* Those of a batch that were too many to be told one by one, and losses */
static void tell_more(struct tree *t)
{
	char message[160];

	if (t->lost_now)
		record(t, KITH_WARNING, "the kernel dropped events: less is counted here than happened", NULL, 0);
	t->lost_now = false;
	for (int k = TREE_CREATED; k <= TREE_ATTRIBUTES; k++)
		if (t->more[k]) {
			snprintf(message, sizeof(message), "more at once than is told one by one: %llu created, %llu changed, %llu removed, %llu renamed, "
			         "%llu with another mode, owner or time", (unsigned long long)t->more[TREE_CREATED], (unsigned long long)t->more[TREE_CHANGED],
			         (unsigned long long)t->more[TREE_REMOVED], (unsigned long long)t->more[TREE_RENAMED],
			         (unsigned long long)t->more[TREE_ATTRIBUTES]);
			record(t, KITH_NOTICE, message, (struct kith_field[]){ { "change", "many" } }, 1);
			break;
		}
	memset(t->more, 0, sizeof(t->more));
}

/* ---- batches ------------------------------------------------------------------------------------------------------- */

static void change_free(struct change *c)
{
	free(c->path);
	free(c->from);
	*c = (struct change){ 0 };
}

/* The others of it stay as they are. */
static void change_drop(struct trees *all, struct change *c)
{
	change_free(c);
	*c = all->changes[--all->n_changes];
	all->changes[all->n_changes] = (struct change){ 0 };
}

static void put(struct tree *t)
{
	double v[TREE_N_METRICS];

	memcpy(v, t->counts, sizeof(v));
	v[TREE_STATE] = t->status == 0 ? TREE_WATCHED : t->status == -ENOENT ? TREE_MISSING : TREE_REFUSED;
	if (t->id != KITH_ID_NONE)
		t->all->f->h->put_all(t->all->f->h, t->id, v, TREE_N_METRICS);
	t->dirty = false;
}

static bool is_calm(const struct trees *all, int64_t now)
{
	int64_t since = now - all->last_batch;

	return since < 0 || since > 4 * all->delay;
}

static int on_batch(void *user)
{
	struct trees *all = user;
	const struct kith_host *h = all->f->h;
	int64_t now = h->now(h);

	h->unwatch(h, all->timer);
	all->timer = NULL;
	all->delay = is_calm(all, now) ? DELAY_MIN : all->delay * 2 < DELAY_MAX ? all->delay * 2 : DELAY_MAX;
	all->last_batch = now;
	for (unsigned i = 0; i < all->n_changes; i++) {
		tell(&all->changes[i]);
		change_free(&all->changes[i]);
	}
	all->n_changes = 0;
	for (struct tree *t = all->first; t; t = t->next) {
		tell_more(t);
		if (t->dirty)
			put(t);
	}
	return 0;
}

static void soon(struct trees *all)
{
	const struct kith_host *h = all->f->h;

	if (all->timer)
		return;
	if (is_calm(all, h->now(h)))
		all->delay = DELAY_MIN;
	if (h->watch_timer(h, all->delay, 0, 0, on_batch, all, &all->timer) < 0)
		all->timer = NULL;
}

/* ---- events -------------------------------------------------------------------------------------------------------- */

static struct change *change_find(struct trees *all, const struct tree *t, const char *path)
{
	for (unsigned i = 0; i < all->n_changes; i++)
		if (all->changes[i].tree == t && !strcmp(all->changes[i].path, path))
			return &all->changes[i];
	return NULL;
}

/* NULL: there are too many, or no memory */
static struct change *change_get(struct trees *all, struct tree *t, const char *path, bool was)
{
	struct change *c = change_find(all, t, path);

	if (c || all->n_changes == CHANGES_MAX)
		return c;
	c = &all->changes[all->n_changes];
	*c = (struct change){ .tree = t, .path = strdup(path), .was = was, .is = true };
	if (!c->path)
		return NULL;
	all->n_changes++;
	return c;
}

/* What was gathered of the old name goes on under the new one, which another file may have had. */
static struct change *renamed(struct trees *all, struct tree *t, const struct kith_tree_event *e)
{
	struct change *old = change_find(all, t, e->old_path), *c = change_find(all, t, e->path);
	bool was = !old || old->was, to_was;

	if (c == old && c)
		return c;
	to_was = c && c->was;
	if (old && !was) {
		/* Made for this: under its new name it is new, or took another's place. That of which nothing was heard may have been there. */
		uint32_t seen = old->seen & ~(KITH_TREE_CREATED | KITH_TREE_REMOVED);

		change_drop(all, old);
		c = change_get(all, t, e->path, true);
		if (!c)
			return NULL;
		c->is = true;
		c->seen |= seen | SEEN_MOVED_IN;
		return c;
	}
	c = change_get(all, t, e->path, to_was);
	if (!c)
		return NULL;
	c->is = true;
	c->was = true;
	c->seen |= SEEN_MOVED_IN;
	free(c->from);
	c->from = strdup(old && old->from ? old->from : e->old_path);
	old = change_find(all, t, e->old_path);
	if (old && old != c) {
		c->seen |= old->seen;
		change_drop(all, old);
		c = change_find(all, t, e->path);
	}
	return c;
}

static int metric_of(uint32_t what)
{
	return what == KITH_TREE_CREATED ? TREE_CREATED : what == KITH_TREE_CHANGED ? TREE_CHANGED : what == KITH_TREE_REMOVED ? TREE_REMOVED :
	       what == KITH_TREE_RENAMED ? TREE_RENAMED : what == KITH_TREE_ATTR ? TREE_ATTRIBUTES : TREE_STATE;
}

static void happened(struct tree *t, const struct kith_tree_event *e)
{
	struct trees *all = t->all;
	int k = metric_of(e->what);
	struct change *c = NULL;

	if (k == TREE_STATE)
		return; /* of a later kithd */
	t->counts[k] += e->count;
	t->counts[TREE_LAST] = (double)e->time / (double)NS_PER_S;
	if (!(e->flags & KITH_TREE_GATHERED))
		c = e->what == KITH_TREE_RENAMED ? renamed(all, t, e) : change_get(all, t, e->path, e->what != KITH_TREE_CREATED);
	if (!c) {
		t->more[k] += e->count;
		return;
	}
	c->seen |= e->what;
	c->is = e->what != KITH_TREE_REMOVED;
	c->directory = e->flags & KITH_TREE_DIRECTORY;
	c->pid = e->pid;
	snprintf(c->program, sizeof(c->program), "%s", e->program);
}

/* Why a tree cannot be watched, for people */
static const char *refusal(int error, char text[120])
{
	switch (error) {
	case -EPERM:
		return "fanotify needs CAP_SYS_ADMIN and CAP_DAC_READ_SEARCH";
	case -EREMOTE:
		return "its file system is one of the network's or FUSE's, where changes are not announced";
	case -EOPNOTSUPP:
	case -ENODEV:
	case -EXDEV:
		return "its file system, or this kernel, cannot be watched as a whole (fanotify by file handles)";
	case -ENOTDIR:
		return "it is no directory";
	default:
		snprintf(text, 120, "%s", strerror(-error));
		return text;
	}
}

static void settled(struct tree *t, int status)
{
	const struct kith_host *h = t->all->f->h;
	char name[NAME_MAX_BYTES + 1], text[120];
	bool first = t->status == -EINPROGRESS;

	if (status < 0 && status != -ENOENT && status != t->status && name_escape(t->path, name) == 0)
		h->log(h, KITH_WARNING, "the tree %s is not watched: %s", name, refusal(status, text));
	if (!first && status == 0)
		record(t, KITH_NOTICE, t->status ? "the tree is there" : "another directory, or another file system, is there now", NULL, 0);
	else if (!first && status == -ENOENT && t->status == 0)
		record(t, KITH_NOTICE, "the tree is gone", NULL, 0);
	t->status = status;
	t->dirty = true;
	files_say(t->all->f);
}

static int on_event(const void *event, void *user)
{
	const struct kith_tree_event *e = event;
	struct tree *t = user;

	if (!e)
		return 0;
	if (e->what == KITH_TREE_SETTLED) {
		settled(t, e->status);
		put(t);
		return 0;
	}
	t->dirty = true;
	if (e->what == KITH_TREE_LOST) {
		t->counts[TREE_LOST]++;
		t->lost_now = true;
	} else {
		happened(t, e);
	}
	soon(t->all);
	return 0;
}

const char *trees_trouble(const struct files *f, char text[400])
{
	char name[NAME_MAX_BYTES + 1], why[120];

	for (const struct tree *t = f->trees ? f->trees->first : NULL; t; t = t->next)
		if (t->status < 0 && t->status != -ENOENT && t->status != -EINPROGRESS && name_escape(t->path, name) == 0) {
			snprintf(text, 400, "the tree %.250s is not watched: %s", name, refusal(t->status, why));
			return text;
		}
	return NULL;
}

/* ---- their life ---------------------------------------------------------------------------------------------------- */

static void tree_free(struct tree *t)
{
	const struct kith_host *h = t->all->f->h;
	struct trees *all = t->all;

	if (t->watch)
		h->unwatch(h, t->watch);
	for (unsigned i = all->n_changes; i-- > 0;)
		if (all->changes[i].tree == t)
			change_drop(all, &all->changes[i]);
	if (t->id != KITH_ID_NONE)
		h->end(h, t->id);
	for (struct tree **at = &all->first; *at; at = &(*at)->next)
		if (*at == t) {
			*at = t->next;
			break;
		}
	free(t);
}

static void tree_watch(struct tree *t)
{
	const struct kith_host *h = t->all->f->h;
	struct kith_tree_filter filter = { sizeof(filter), 0, t->path };
	int r = KITH_HAS(h, watch_source) ? h->watch_source(h, KITH_SOURCE_TREE, &filter, on_event, t, &t->watch) : -EOPNOTSUPP;

	if (r < 0) {
		t->watch = NULL;
		settled(t, r);
		put(t);
	}
}

int tree_name(struct files *f, const char *path, bool named)
{
	char name[NAME_MAX_BYTES + 1];
	struct tree *t;
	int r;

	if (!f->trees) {
		f->trees = calloc(1, sizeof(*f->trees));
		if (!f->trees)
			return -ENOMEM;
		*f->trees = (struct trees){ .f = f, .delay = DELAY_MIN };
	}
	for (t = f->trees->first; t && strcmp(t->path, path);)
		t = t->next;
	if (t) {
		t->named += named ? 1 : -1u;
		if (!t->named)
			tree_free(t);
		return 0;
	}
	if (!named)
		return 0;
	if (name_escape(path, name) < 0) {
		f->h->log(f->h, KITH_WARNING, "trees: %.200s…: its name is longer than %d bytes: left out", path, NAME_MAX_BYTES);
		return 0;
	}
	t = calloc(1, sizeof(*t) + strlen(path) + 1);
	if (!t)
		return -ENOMEM;
	t->all = f->trees;
	t->named = 1;
	t->status = -EINPROGRESS;
	t->counts[TREE_LAST] = NAN;
	strcpy(t->path, path);
	t->next = f->trees->first;
	f->trees->first = t;
	r = f->h->series(f->h, FAMILY_TREE, name, &t->id);
	if (r == -ENOMEM) {
		tree_free(t);
		return r;
	}
	tree_watch(t);
	return 0;
}

void trees_fini(struct files *f)
{
	while (f->trees && f->trees->first)
		tree_free(f->trees->first);
	free(f->trees);
	f->trees = NULL;
}
