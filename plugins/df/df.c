/*
 * df: the room on each mounted file system. The mount table is read when the kernel says that it has changed, not on
 * the tick. Local file systems are asked on the tick itself (a microsecond each); all others through a worker
 * thread, one call at a time each, so that one that hangs keeps nobody else waiting.
 *
 * No descriptor is kept on a mount: it could not be unmounted then. So the path may lead elsewhere once a file
 * system is gone, until the table has been read again: an answer from another file system than before is not
 * believed at once.
 */
#define _FILE_OFFSET_BITS 64
#include <errno.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "mounts.h"
#include "plugin.h"
#include "sources/mount.h"

enum {
	TOTAL, USED, FREE, RESERVED, USED_PERCENT, FREE_PERCENT, RESERVED_PERCENT, INODES_TOTAL, INODES_USED, INODES_FREE,
	INODES_USED_PERCENT, INODES_FREE_PERCENT, STATE, N_METRICS,
};

#define HUNG_TICKS 3      /* without an answer for so many ticks a file system is said to hang */

#define INODE_COST 1024.0 /* files are made as fast as so many bytes are written, at the most */
#define LONGEST 3600.0    /* s */

static const char unwatched_note[] = "the mount table does not tell of changes: it is read on each tick";
static const char *const state_names[] = { "rw", "ro", NULL };

#define BYTES(text) "B", text, NULL, KITH_GAUGE, 0
#define INODES(text) "inodes", text, NULL, KITH_GAUGE, 0
#define PERCENT(text) "%", text, NULL, KITH_GAUGE, 0
static const struct kith_metric metrics[N_METRICS] = {
	[TOTAL] = { "total", BYTES("its size") },
	[USED] = { "used", BYTES("what files take") },
	[FREE] = { "free", BYTES("what users can have") },
	[RESERVED] = { "reserved", BYTES("free for root alone") },
	[USED_PERCENT] = { "used_percent", PERCENT("used in percent of total") },
	[FREE_PERCENT] = { "free_percent", PERCENT("free in percent of total") },
	[RESERVED_PERCENT] = { "reserved_percent", PERCENT("reserved in percent of total") },
	[INODES_TOTAL] = { "inodes_total", INODES("how many files there can be; none where there is no limit") },
	[INODES_USED] = { "inodes_used", INODES("how many files there are") },
	[INODES_FREE] = { "inodes_free", INODES("how many more there can be") },
	[INODES_USED_PERCENT] = { "inodes_used_percent", PERCENT("inodes_used in percent of inodes_total") },
	[INODES_FREE_PERCENT] = { "inodes_free_percent", PERCENT("inodes_free in percent of inodes_total") },
	[STATE] = { "state", "1", "whether it can be written to: the kernel may have made it read-only after an error",
	            state_names, KITH_STATE, 0 },
};

static const struct kith_family families[] = {
	{ KITH_FAMILY_INIT, "df", "The room on each mounted file system", "mount point", metrics, N_METRICS, 0 },
};

static const struct kith_option options[] = {
	{ "ignore",
	  "/run/credentials/*,/run/netns/*,/run/docker/*,/run/containerd/*,/var/lib/docker/*,/var/lib/containers/*,"
	  "/var/lib/containerd/*,/var/lib/kubelet/*,/snap/*",
	  "mount points to leave out, as globs; * matches / too", 0, 0, KITH_OPTION_LIST, 0 },
	{ "ignore_types", "squashfs,erofs,iso9660,cramfs,romfs", "types of file systems to leave out, as globs", 0, 0,
	  KITH_OPTION_LIST, 0 },
	{ "fill_rate", "1GiB",
	  "the most that can be written in a second: until when a file system need not be looked at again; tmpfs: 8 times that", 1024, 1e15,
	  KITH_OPTION_SIZE, 0 },
	{ "all", "false", "pseudo file systems and further mounts of the same device too", 0, 0, KITH_OPTION_BOOL, 0 },
};

/* A file system that is followed */
struct fs {
	char *point, *path; /* the path begins with the host's root */
	char *name;    /* of the instance, where it cannot be `point` */
	uint32_t major, minor;
	bool may_hang;
	bool in_memory; /* tmpfs: filled as fast as memory */
	bool seen;     /* by the reading of the mount table that goes on */
	bool refused;  /* kithd takes no instance of this name, or no more of them */
	bool answered; /* `type` and `fsid` are set */
	bool doubtful; /* the last answer came from another file system */
	long type;
	fsid_t fsid;
	int64_t due;   /* wall ns: until then it need not be asked */
	double used, peak; /* of the last answer; the fastest that it was filled, in bytes a second */
	int64_t at;    /* wall ns of that answer; 0: none */
	kith_id id;    /* KITH_ID_NONE until the first answer */
	struct call *call; /* on its way in a worker thread */
	bool pending;  /* a call is due */
	uint32_t ticks_out; /* since the call was made */
};

/* A statfs in a worker thread; it may outlive its file system (`fs` is NULL then), and even the plugin. */
struct call {
	struct state *s;
	struct fs *fs;
	struct statfs result;
	char path[];
};

struct state {
	const struct kith_host *h;
	bool all;
	bool unwatched;    /* a table that tells nothing of its changes: read on each tick */
	bool dirty;        /* the mount table is to be gone through again */
	bool doubt;        /* and read before it: an answer did not fit */
	bool reading;
	struct fs **fs;
	size_t n_fs, size_fs;
	size_t turn;       /* of the next one to get a worker */
};

/*
 * ---- numbers
 * ----------------------------------------------------------------------------------------------------
 */

static void work_out(const struct statfs *a, double *v)
{
	double block = (double)(a->f_frsize > 0 ? a->f_frsize : a->f_bsize);
	uint64_t total = a->f_blocks, unused = a->f_bfree < total ? a->f_bfree : total;
	uint64_t mine = a->f_bavail < unused ? a->f_bavail : unused;
	uint64_t inodes = a->f_files, unused_inodes = a->f_ffree < inodes ? a->f_ffree : inodes;
	int i;

	if ((int64_t)a->f_bavail < 0) /* so say some when only root's share is left */
		mine = 0;
	for (i = 0; i < N_METRICS; i++)
		v[i] = (double)NAN;
	v[TOTAL] = block * (double)total;
	v[USED] = block * (double)(total - unused);
	v[FREE] = block * (double)mine;
	v[RESERVED] = block * (double)(unused - mine);
	if (total > 0) {
		v[USED_PERCENT] = 100 * (double)(total - unused) / (double)total;
		v[FREE_PERCENT] = 100 * (double)mine / (double)total;
		v[RESERVED_PERCENT] = 100 * (double)(unused - mine) / (double)total;
	}
	if (inodes > 0) { /* 0: the file system makes them as it needs them */
		v[INODES_TOTAL] = (double)inodes;
		v[INODES_USED] = (double)(inodes - unused_inodes);
		v[INODES_FREE] = (double)unused_inodes;
		v[INODES_USED_PERCENT] = 100 * (double)(inodes - unused_inodes) / (double)inodes;
		v[INODES_FREE_PERCENT] = 100 * (double)unused_inodes / (double)inodes;
	}
	v[STATE] = a->f_flags & ST_RDONLY ? 1 : 0;
}

/* Control characters and all beyond ASCII as \ooo: for a mount point that is no UTF-8 */
static void escape(const char *from, char *to, size_t size)
{
	size_t n = 0;

	for (; *from && n + 5 <= size; from++) {
		unsigned char c = (unsigned char)*from;

		if (c >= 0x20 && c < 0x7f)
			to[n++] = *from;
		else
			n += (size_t)snprintf(to + n, size - n, "\\%03o", (unsigned)c);
	}
	to[n] = '\0';
}

static int begin_series(struct state *s, struct fs *fs)
{
	char name[1024];
	int r;

	r = s->h->series(s->h, 0, fs->point, &fs->id);
	if (r == -EINVAL) {
		escape(fs->point, name, sizeof(name));
		r = s->h->series(s->h, 0, name, &fs->id);
		if (r == -EINVAL)
			s->h->log(s->h, KITH_WARNING, "mount point %s is left out: its name is too long", name);
		else if (r == 0)
			fs->name = strdup(name); /* without it records name the mount point */
	}
	if (r == -EINVAL || r == -ENOSPC) {
		fs->refused = true;
		return 0;
	}
	return r;
}

static bool is_other(const struct fs *fs, const struct statfs *a)
{
	return fs->answered && (fs->type != (long)a->f_type || memcmp(&fs->fsid, &a->f_fsid, sizeof(fs->fsid)) != 0);
}

static double least(double a, double b)
{
	return a < b ? a : b;
}

/*
 * When it has to be looked at again: what is promised of its room shows as near while less than 5 % of it is left, so that nothing is missed
 * before 4 % of what is free, or 1 % of all, is gone; and as fast as that the file system cannot be filled.
 */
static void plan(struct state *s, struct fs *fs, const double *v)
{
	int64_t now = s->h->now(s->h);
	double rate = s->h->option_number(s->h, "fill_rate") * (fs->in_memory ? 8 : 1), seconds;

	if (fs->at && now > fs->at && v[USED] > fs->used && (v[USED] - fs->used) * 1e9 / (double)(now - fs->at) > fs->peak)
		fs->peak = (v[USED] - fs->used) * 1e9 / (double)(now - fs->at);
	fs->used = v[USED];
	fs->at = now;
	rate = rate > 2 * fs->peak ? rate : 2 * fs->peak;
	seconds = least(v[TOTAL] / 100, v[FREE] / 25) / rate;
	if (v[INODES_TOTAL] > 0)
		seconds = least(seconds, least(v[INODES_TOTAL] / 100, v[INODES_FREE] / 25) * INODE_COST / rate);
	if (v[STATE] > 0) /* read-only: nothing becomes less */
		seconds = LONGEST;
	fs->due = now + (int64_t)(least(seconds, LONGEST) * 1e9);
}

static int put_answer(struct state *s, struct fs *fs, const struct statfs *a)
{
	double values[N_METRICS];
	int r;

	if (is_other(fs, a) && !fs->doubtful) {
		fs->doubtful = true;
		s->dirty = s->doubt = true;
		return 0;
	}
	/* The mount table has been read since and still has it: it was made anew, say by a change of its UUID */
	fs->doubtful = false;
	fs->answered = true;
	fs->type = (long)a->f_type;
	fs->fsid = a->f_fsid;
	if (fs->refused || (a->f_blocks == 0 && !s->all)) /* nothing that could run out */
		return 0;
	if (fs->id == KITH_ID_NONE) {
		r = begin_series(s, fs);
		if (r < 0 || fs->refused)
			return r;
	}
	work_out(a, values);
	plan(s, fs, values);
	return s->h->put_all(s->h, fs->id, values, N_METRICS);
}

/*
 * ---- file systems that may hang
 * ---------------------------------------------------------------------------------
 */

static int call_statfs(void *user) /* in a worker thread */
{
	struct call *c = user;

	return statfs(c->path, &c->result) < 0 ? -errno : 0;
}

static int on_answer(int result, void *user);

/*
 * Hands the calls that are due to workers, while there are any; the rest follow when one is done, or on the next
 * tick.
 */
static int make_calls(struct state *s)
{
	size_t i;
	int r;

	for (i = 0; i < s->n_fs; i++) {
		size_t place = (s->turn + i) % s->n_fs;
		struct fs *fs = s->fs[place];
		struct call *c;

		if (!fs->pending || fs->call)
			continue;
		c = malloc(sizeof(*c) + strlen(fs->path) + 1);
		if (!c)
			return -ENOMEM;
		c->s = s;
		c->fs = fs;
		strcpy(c->path, fs->path);
		r = s->h->work(s->h, call_statfs, on_answer, c);
		if (r < 0) {
			free(c);
			s->turn = place; /* first the next time */
			return r == -EAGAIN ? 0 : r;
		}
		fs->call = c;
		fs->pending = false;
		fs->ticks_out = 0;
	}
	return 0;
}

static bool is_hung(const struct fs *fs)
{
	return fs->call && fs->ticks_out >= HUNG_TICKS;
}

static void say_hung(struct state *s)
{
	const struct fs *first = NULL;
	unsigned n = 0;
	char text[512];
	size_t i;

	for (i = 0; i < s->n_fs; i++) {
		if (!is_hung(s->fs[i]))
			continue;
		if (!first)
			first = s->fs[i];
		n++;
	}
	if (first)
		snprintf(text, sizeof(text), "%u file system%s not answer: %.300s%s", n, n == 1 ? " does" : "s do", first->point,
		         n == 1 ? "" : ", …");
	s->h->note(s->h, first ? text : s->unwatched ? unwatched_note : NULL);
}

static void record(struct state *s, const struct fs *fs, uint32_t priority, const char *message)
{
	char subject[4 + PATH_MAX];
	struct kith_record r = {
		.size = sizeof(r),
		.priority = priority,
		.subject = subject,
		.message = message,
	};

	snprintf(subject, sizeof(subject), "df:%s", fs->name ? fs->name : fs->point);
	s->h->record(s->h, &r);
}

/* A tick has come and the last call is still out */
static void count_out(struct state *s, struct fs *fs)
{
	if (fs->ticks_out <= HUNG_TICKS)
		fs->ticks_out++;
	if (fs->ticks_out != HUNG_TICKS)
		return;
	record(s, fs, KITH_WARNING, "file system does not answer");
	say_hung(s);
}

static int on_answer(int result, void *user)
{
	struct call *c = user;
	struct state *s = c->s;
	struct fs *fs = c->fs;
	int r = 0, called;

	if (fs) {
		bool hung = is_hung(fs);

		fs->call = NULL;
		if (hung) {
			record(s, fs, KITH_NOTICE, "file system answers again");
			say_hung(s);
		}
		if (result == 0)
			r = put_answer(s, fs, &c->result);
	}
	free(c);
	called = make_calls(s);
	return r < 0 ? r : called;
}

/*
 * ---- the mount table
 * --------------------------------------------------------------------------------------------
 */

static void fs_free(struct fs *fs)
{
	if (fs->call)
		fs->call->fs = NULL;
	free(fs->point);
	free(fs->path);
	free(fs->name);
	free(fs);
}

static int fs_add(struct state *s, const struct mount *m)
{
	const char *root = s->h->root(s->h);
	size_t size = strlen(root) + strlen(m->point) + 1;
	struct fs *fs;

	if (s->n_fs == s->size_fs) {
		size_t wanted = s->size_fs ? 2 * s->size_fs : 16;
		struct fs **all = realloc(s->fs, wanted * sizeof(struct fs *));

		if (!all)
			return -ENOMEM;
		s->fs = all;
		s->size_fs = wanted;
	}
	fs = calloc(1, sizeof(*fs));
	if (!fs)
		return -ENOMEM;
	fs->point = strdup(m->point);
	fs->path = malloc(size);
	if (!fs->point || !fs->path) {
		fs_free(fs);
		return -ENOMEM;
	}
	snprintf(fs->path, size, "%s%s", root, m->point);
	fs->major = m->major;
	fs->minor = m->minor;
	fs->may_hang = m->may_hang;
	fs->in_memory = strcmp(m->type, "tmpfs") == 0 || strcmp(m->type, "ramfs") == 0;
	fs->seen = true;
	s->fs[s->n_fs++] = fs;
	return 0;
}

static bool matches(const struct state *s, const char *option, const char *text)
{
	const char *const *globs;
	size_t i, n = s->h->option_list(s->h, option, &globs);

	for (i = 0; i < n; i++)
		if (fnmatch(globs[i], text, 0) == 0)
			return true;
	return false;
}

static bool is_wanted(const struct state *s, const struct mount *m)
{
	if (m->class == MOUNT_TRIGGER || (m->class == MOUNT_PSEUDO && !s->all))
		return false;
	return !matches(s, "ignore_types", m->type) && !matches(s, "ignore", m->point);
}

/*
 * Which mounts to follow: those that are wanted, that their path leads to, and unless `all` the first one of each device. They are moved to the
 * front, in the table's order; *ret_kept is how many they are.
 */
static int choose(const struct state *s, struct mounts *mounts, size_t *ret_kept)
{
	size_t n = mounts->n, n_kept = 0, i, k;
	struct mount *m = mounts->all;
	bool *keep = calloc(n + 1, sizeof(*keep));

	if (!keep)
		return -ENOMEM;
	for (i = 0; i < n; i++) {
		if (!is_wanted(s, &m[i]))
			continue;
		for (k = 0; k < i && !s->all; k++)
			if (keep[k] && m[k].major == m[i].major && m[k].minor == m[i].minor)
				break;
		if (k < i && !s->all)
			continue;
		mount_resolve(m, n, i);
		keep[i] = m[i].visible;
	}
	for (i = 0; i < n; i++)
		if (keep[i]) {
			struct mount other = m[n_kept];

			m[n_kept++] = m[i];
			m[i] = other;
		}
	free(keep);
	*ret_kept = n_kept;
	return 0;
}

static struct fs *find_fs(const struct state *s, const struct mount *m)
{
	size_t i;

	for (i = 0; i < s->n_fs; i++)
		if (s->fs[i]->major == m->major && s->fs[i]->minor == m->minor && strcmp(s->fs[i]->point, m->point) == 0)
			return s->fs[i];
	return NULL;
}

/* Ends what is no more before it begins what is new: a new file system may have the mount point of one that went. */
static int follow(struct state *s, const struct mount *mounts, size_t n)
{
	size_t i, kept = 0;
	bool hung = false;
	struct fs *fs;
	int r;

	for (i = 0; i < s->n_fs; i++)
		s->fs[i]->seen = false;
	for (i = 0; i < n; i++) {
		fs = find_fs(s, &mounts[i]);
		if (!fs)
			continue;
		fs->seen = true;
		fs->may_hang = mounts[i].may_hang;
	}
	for (i = 0; i < s->n_fs; i++) {
		fs = s->fs[i];
		if (fs->seen) {
			s->fs[kept++] = fs;
			continue;
		}
		hung |= is_hung(fs);
		if (fs->id != KITH_ID_NONE)
			s->h->end(s->h, fs->id);
		fs_free(fs);
	}
	s->n_fs = kept;
	if (hung)
		say_hung(s);
	for (i = 0; i < n; i++) {
		if (find_fs(s, &mounts[i]))
			continue;
		r = fs_add(s, &mounts[i]);
		if (r < 0)
			return r;
	}
	return 0;
}

static int on_mount(const void *event, void *user)
{
	const struct kith_mount_event *e = event;
	struct mounts *mounts = user;

	return e->what == KITH_MOUNT_ADDED ? mounts_add(mounts, e) : 0;
}

static int read_mounts(struct state *s)
{
	const struct kith_mount_filter again = { sizeof(again), KITH_MOUNT_AGAIN };
	struct mounts mounts = { 0 };
	size_t n;
	int r;

	s->dirty = s->reading = true; /* until it is done */
	r = s->h->dump_source(s->h, KITH_SOURCE_MOUNT, s->unwatched || s->doubt ? &again : NULL, on_mount, &mounts);
	s->reading = false;
	if (r == 0)
		r = choose(s, &mounts, &n);
	if (r == 0)
		r = follow(s, mounts.all, n);
	mounts_free(&mounts);
	if (r == 0)
		s->dirty = s->doubt = false;
	return r;
}

/* Asks one file system for its numbers: at once, or by a call that make_calls makes */
static int ask(struct state *s, struct fs *fs)
{
	int64_t now = s->h->now(s->h);
	struct statfs answer;

	if (fs->may_hang) {
		/* A call is dear. Not so seldom that its series turn stale. */
		if (fs->due - now > 0 && now - fs->at < 2 * s->h->interval(s->h) && fs->at)
			return 0;
		if (fs->call)
			count_out(s, fs);
		else
			fs->pending = true;
		return 0;
	}
	if (statfs(fs->path, &answer) < 0)
		return 0; /* unmounted just now, or a path that this user may not walk */
	return put_answer(s, fs, &answer);
}

/* News of the mount table, between two ticks: what is new does not wait for the next one */
static int read_news(struct state *s)
{
	int r = read_mounts(s);
	size_t i;

	for (i = 0; r == 0 && i < s->n_fs; i++)
		if (!s->fs[i]->answered && !s->fs[i]->call)
			r = ask(s, s->fs[i]);
	return r < 0 ? r : make_calls(s);
}

static int on_mounts(const void *event, void *user)
{
	const struct kith_mount_event *e = event;
	struct state *s = user;

	return e && e->what == KITH_MOUNT_SETTLED && !s->reading ? read_news(s) : 0;
}

/*
 * ---- the tick
 * ---------------------------------------------------------------------------------------------------
 */

/* When the next of them is due. One without an answer, or that hangs, is asked as often as ever. */
static void say_when(struct state *s)
{
	int64_t now = s->h->now(s->h), first = (int64_t)(LONGEST * 1e9);
	size_t i;

	for (i = 0; i < s->n_fs; i++)
		if (s->fs[i]->due - now < first)
			first = s->fs[i]->due - now;
	if (KITH_HAS(s->h, look_again) && !s->unwatched)
		s->h->look_again(s->h, first > 0 ? first : 0);
}

static int sample(void *user)
{
	struct state *s = user;
	int r, failed = 0;
	size_t i;

	if (s->dirty || s->unwatched) {
		r = read_mounts(s);
		if (r < 0)
			failed = r;
	}
	for (i = 0; i < s->n_fs; i++) {
		r = ask(s, s->fs[i]);
		if (r < 0)
			failed = r;
	}
	say_when(s);
	r = make_calls(s);
	return r < 0 ? r : failed;
}

static void fini(void *state)
{
	struct state *s = state;
	size_t i;

	for (i = 0; i < s->n_fs; i++)
		fs_free(s->fs[i]); /* its call, if one is out, is left to its worker */
	free(s->fs);
	free(s);
}

static int on_settled(const void *event, void *user)
{
	const struct kith_mount_event *e = event;
	struct state *s = user;

	s->unwatched = e->what == KITH_MOUNT_SETTLED && e->flags & KITH_MOUNT_UNWATCHED;
	return 0;
}

static int init(const struct kith_host *h, void **ret_state)
{
	struct state *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->h = h;
	s->all = h->option_bool(h, "all") != 0;
	r = h->watch_source(h, KITH_SOURCE_MOUNT, NULL, on_mounts, s, NULL);
	if (r == 0)
		r = h->dump_source(h, KITH_SOURCE_MOUNT, NULL, on_settled, s);
	if (r < 0) {
		h->log(h, KITH_ERR, "cannot read the mount table /proc/self/mountinfo: %s: mount proc there", strerror(-r));
		goto fail;
	}
	if (s->unwatched)
		h->note(h, unwatched_note);
	s->dirty = true; /* the first tick goes through it */
	r = h->sample(h, sample, s, NULL);
	if (r < 0)
		goto fail;
	*ret_state = s;
	return 0;
fail:
	free(s);
	return r;
}

KITH_PLUGIN = {
	KITH_PLUGIN_INIT,
	.name = "df",
	.version = "1",
	.help = "The room on each mounted file system",
	.provides = KITH_PROVIDES_SAMPLES | KITH_PROVIDES_RECORDS | KITH_PROVIDES_LEVELS,
	.needs = KITH_NEEDS_PROCFS,
	.families = families,
	.n_families = KITH_COUNT(families),
	.option_size = sizeof(struct kith_option),
	.options = options,
	.n_options = KITH_COUNT(options),
	.init = init,
	.fini = fini,
	.hears = "EPOLLPRI on /proc/self/mountinfo; statfs(2) on the tick, in a worker where it may hang",
	.costs = "4 us a tick for each file system; less often where none can be filled soon",
};
