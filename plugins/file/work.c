/*
 * What takes long, in a worker thread, one at a time: reading a file for its SHA-256, and a directory's entries. A job knows its item by the path
 * alone, so that either can go before the other.
 *
 * SHA-256 is libmd's: 47 KB, on every Debian system, as dpkg needs it. It is mapped when the first digest is asked for.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "file/file.h"

#define BLOCK (64u * 1024)
#define PIECE (8u * 1024 * 1024)  /* bytes; after each as long a rest as it took */
#define TRIES_MAX 5               /* times in a row that a file may change while it is read, before that is said */
#define GAP (200 * NS_PER_MS)     /* between two jobs of one item while it keeps changing, doubled each time */
#define GAP_MAX (60 * NS_PER_S)

struct job {
	struct files *f;    /* for on_done alone */
	bool hash;          /* or entries */
	atomic_bool stop;   /* the plugin goes */
	atomic_bool left;   /* by the worker, or by the plugin that goes: the second frees it */
	char *real;         /* one allocation with the job */
	const char *path;
	int64_t size_max;
	void (*init)(void *);
	void (*update)(void *, const uint8_t *, size_t);
	void (*final)(uint8_t *, void *);
	/* what came of it */
	unsigned char digest[DIGEST];
	struct look look;   /* what was read: size, times, inode */
	uint64_t entries;
	int64_t newest;
};

static int64_t clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * NS_PER_S + t.tv_nsec;
}

/* ---- in the worker ---------------------------------------------------------------------------------------------- */

static void of_stat(struct look *l, const struct stat *st)
{
	l->size = st->st_size;
	l->mtime = st->st_mtim.tv_sec * NS_PER_S + st->st_mtim.tv_nsec;
	l->ctime = st->st_ctim.tv_sec * NS_PER_S + st->st_ctim.tv_nsec;
	l->ino = st->st_ino;
	l->dev = st->st_dev;
}

static int read_all(struct job *j, int fd)
{
	unsigned char *block = malloc(BLOCK);
	int64_t begin = clock_ns(), total = 0;
	size_t piece = 0;
	SHA2_CTX sha;
	int r = 0;

	if (!block)
		return -ENOMEM;
	j->init(&sha);
	while (r == 0) {
		ssize_t n = read(fd, block, BLOCK);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			r = n < 0 ? -errno : 0;
			break;
		}
		j->update(&sha, block, (size_t)n);
		total += n;
		piece += (size_t)n;
		if (atomic_load(&j->stop))
			r = -ECANCELED;
		else if (total > j->size_max)
			r = -EFBIG;
		if (piece >= PIECE) {
			int64_t took = clock_ns() - begin;
			struct timespec rest = { took / NS_PER_S, took % NS_PER_S };

			nanosleep(&rest, NULL);
			begin = clock_ns();
			piece = 0;
		}
	}
	j->final(j->digest, &sha);
	free(block);
	return r;
}

/* -EAGAIN: it changed meanwhile */
static int do_hash(struct job *j)
{
	struct look after = { 0 };
	struct stat st;
	int fd, r;

	fd = open(j->real, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = fstat(fd, &st) < 0 ? -errno : !S_ISREG(st.st_mode) ? -EINVAL : st.st_size > j->size_max ? -EFBIG : 0;
	of_stat(&j->look, &st);
	if (r == 0)
		r = read_all(j, fd);
	/* By its name: it may be another file by now. */
	if (r == 0 && stat(j->real, &st) < 0)
		r = -errno;
	of_stat(&after, &st);
	if (r == 0 && !look_same(&j->look, &after))
		r = -EAGAIN;
	close(fd);
	return r;
}

static int do_list(struct job *j)
{
	struct dirent *entry;
	struct stat st;
	DIR *d = opendir(j->real);

	if (!d)
		return -errno;
	if (fstat(dirfd(d), &st) == 0)
		j->newest = st.st_mtim.tv_sec * NS_PER_S + st.st_mtim.tv_nsec;
	while ((entry = readdir(d)) && !atomic_load(&j->stop)) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		j->entries++;
		if (fstatat(dirfd(d), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    st.st_mtim.tv_sec * NS_PER_S + st.st_mtim.tv_nsec > j->newest)
			j->newest = st.st_mtim.tv_sec * NS_PER_S + st.st_mtim.tv_nsec;
	}
	closedir(d);
	return 0;
}

static void job_leave(struct job *j)
{
	if (atomic_exchange(&j->left, true))
		free(j);
}

static int do_job(void *user)
{
	struct job *j = user;
	int r = j->hash ? do_hash(j) : do_list(j);

	job_leave(j);
	return r;
}

/* ---- what came of it -------------------------------------------------------------------------------------------- */

static void again_later(struct item *i)
{
	struct files *f = i->f;
	int64_t gap = GAP << (i->tries < 10 ? i->tries : 10);

	i->tries++;
	i->hash_due = true;
	f->work_at = f->h->now(f->h) + (gap < GAP_MAX ? gap : GAP_MAX);
}

static void tell_digest(struct item *i, const struct job *j, bool changed)
{
	char name[NAME_MAX_BYTES + 1], now[DIGEST_TEXT], before[DIGEST_TEXT], right[DIGEST_TEXT], message[NAME_MAX_BYTES + 80];
	struct kith_field fields[] = { { "change", changed ? "content" : "unexpected" }, { "sha256", now }, { "before", before },
		                       { "expected", right } };
	bool is_right = !memcmp(j->digest, i->right, DIGEST);

	if (name_escape(i->path, name) < 0)
		return;
	digest_text(j->digest, now);
	digest_text(i->digest, before);
	digest_text(i->right, right);
	if (!changed)
		strcpy(before, right);
	snprintf(message, sizeof(message), "%s: its content %s", name,
	         !changed ? "is not what is written in kith.conf" : is_right ? "is what it was meant to be again" : "is another one");
	files_record(i->f, is_right ? KITH_NOTICE : KITH_WARNING, name, message, fields, KITH_COUNT(fields));
}

static void hash_done(struct item *i, const struct job *j, int result)
{
	struct files *f = i->f;
	char name[NAME_MAX_BYTES + 1];

	if (result == -EAGAIN) {
		again_later(i);
		if (i->tries == TRIES_MAX && name_escape(i->path, name) == 0)
			files_record(f, KITH_NOTICE, name, "it keeps changing while it is read: its digest has to wait", NULL, 0);
		return;
	}
	i->tries = 0;
	if (result < 0) {
		if (result != -ENOENT && result != -ECANCELED && name_escape(i->path, name) == 0)
			f->h->log(f->h, KITH_WARNING, "%s has no digest: %s", name,
			          result == -EFBIG ? "it is larger than sha256_max" : strerror(-result));
		i->hashed = false;
		if (result != -ECANCELED)
			f->h->put(f->h, i->id + CONTENT, CONTENT_UNREADABLE);
		return;
	}
	if (!i->has_right)
		memcpy(i->right, j->digest, DIGEST);
	else if (i->has_digest ? memcmp(i->digest, j->digest, DIGEST) : memcmp(i->right, j->digest, DIGEST))
		tell_digest(i, j, i->has_digest);
	i->has_right = i->has_digest = true;
	memcpy(i->digest, j->digest, DIGEST);
	i->hashed = true;
	i->hashed_of = j->look;
	/* An event that came meanwhile may have been of what was read. */
	if (look_same(&i->last, &j->look))
		i->hash_due = false;
	f->h->put(f->h, i->id + CONTENT, memcmp(i->digest, i->right, DIGEST) ? CONTENT_CHANGED : CONTENT_SAME);
}

static int on_done(int result, void *user)
{
	struct job *j = user;
	struct item *i = NULL;
	struct files *f = j->f;

	f->job = NULL;
	HASH_FIND(hh, f->items, j->path, strlen(j->path), i);
	if (i && i->id != KITH_ID_NONE && j->hash) {
		hash_done(i, j, result);
	} else if (i && i->id != KITH_ID_NONE && result == 0) {
		f->h->put(f->h, i->id + ENTRIES, (double)j->entries);
		f->h->put(f->h, i->id + NEWEST, (double)j->newest / (double)NS_PER_S);
		i->listed = true;
	}
	free(j);
	work_pump(f);
	return 0;
}

/* ---- beginning one ---------------------------------------------------------------------------------------------- */

static bool library_load(struct files *f)
{
	if (f->library || f->no_library)
		return f->library != NULL;
	f->library = dlopen(HASH_LIBRARY, RTLD_NOW | RTLD_LOCAL);
	if (f->library) {
		*(void **)(void *)&f->sha.init = dlsym(f->library, "SHA256Init");
		*(void **)(void *)&f->sha.update = dlsym(f->library, "SHA256Update");
		*(void **)(void *)&f->sha.final = dlsym(f->library, "SHA256Final");
	}
	f->no_library = !f->sha.init || !f->sha.update || !f->sha.final;
	if (f->no_library)
		files_say(f);
	return !f->no_library;
}

static int job_begin(struct files *f, struct item *i, bool hash)
{
	size_t n = strlen(i->path) + 1;
	char real[PATH_MAX];
	struct job *j;
	int r = files_real(f, i->path, real);

	if (r < 0)
		return r;
	j = calloc(1, sizeof(*j) + n + strlen(real) + 1);
	if (!j)
		return -ENOMEM;
	j->f = f;
	j->real = (char *)(j + 1) + n;
	memcpy(j + 1, i->path, n);
	j->path = (char *)(j + 1);
	strcpy(j->real, real);
	j->hash = hash;
	j->size_max = f->hash_max;
	j->init = f->sha.init;
	j->update = f->sha.update;
	j->final = f->sha.final;
	r = f->h->work(f->h, do_job, on_done, j);
	if (r < 0) {
		free(j);
		return r;
	}
	f->job = j;
	return 0;
}

static int on_timer(void *user)
{
	struct files *f = user;

	f->h->unwatch(f->h, f->work_timer);
	f->work_timer = NULL;
	f->work_at = 0;
	work_pump(f);
	return 0;
}

static void pump_later(struct files *f, int64_t ns)
{
	if (!f->work_timer)
		f->h->watch_timer(f->h, ns, 0, ns / 4, on_timer, f, &f->work_timer);
}

void work_pump(struct files *f)
{
	int64_t wait = f->work_at ? f->work_at - f->h->now(f->h) : 0;

	if (f->job || f->work_timer)
		return;
	for (struct item *i = f->items; i; i = i->hh.next) {
		int r;

		if (i->id == KITH_ID_NONE || !(i->hash_due || i->list_due))
			continue;
		if (wait > 0) {
			pump_later(f, wait < GAP_MAX ? wait : GAP_MAX);
			return;
		}
		if (i->hash_due && !library_load(f)) {
			i->hash_due = false;
			continue;
		}
		r = job_begin(f, i, i->hash_due);
		if (r == -EAGAIN) {
			pump_later(f, NS_PER_S);
			return;
		}
		if (i->hash_due)
			i->hash_due = false;
		else
			i->list_due = false;
		/* A directory that goes on changing is read at most this often. */
		f->work_at = i->listed ? f->h->now(f->h) + GAP : f->work_at;
		if (r == 0)
			return;
	}
}

/* A job of it may run: its result finds nobody. */
void work_item_goes(struct item *i)
{
	i->hash_due = i->list_due = false;
}

void work_fini(struct files *f)
{
	/* `done` is not called any more. The library stays mapped while a worker uses it. */
	if (f->job) {
		atomic_store(&f->job->stop, true);
		job_leave(f->job);
	} else if (f->library) {
		dlclose(f->library);
	}
}
