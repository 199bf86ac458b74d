/*
 * The thread that packs: makes blocks of open files that are done, puts an index behind a file that is large enough, removes what is too much or
 * too old. It finds out by itself what there is to do, from the folder's list. It lives as long as there is something.
 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "store/records_impl.h"
#include "store/records_walk.h"

#define STACK_SIZE (512u << 10)
#define NICE 10
#define FILES 16                     /* so many files hold all that may be kept: that much goes at a time */
#define FILE_MAX (4 << 20)           /* bytes of a file of blocks, a block more or less */
#define FILE_MIN (64 << 10)
#define TOGETHER 16                  /* blocks that one fdatasync(2) is for */

/* A run of the thread */
struct run {
	struct records *r;
	struct packer *packer;
	int fd;                      /* the file of blocks that is added to; -1: none yet */
	uint64_t file;               /* its number */
	struct blocks_map map;
	uint64_t limit;
	int64_t max_size, max_age;
	bool young;
	unsigned made, damaged, removed;
	/* Open files whose blocks are written and may not be on the disk yet: they go when those are. */
	uint64_t packed[TOGETHER];
	unsigned n_packed;
	int64_t synced;              /* where the file of blocks ended at the last sync */
	uint8_t *data;               /* an open file */
	size_t size;
};

void worker_init(struct records_worker *w)
{
	pthread_mutex_init(&w->lock, NULL);
}

static void blocks_close(struct run *run)
{
	if (run->fd >= 0)
		close(run->fd);
	run->fd = -1;
	blocks_map_free(&run->map);
}

/* ---- files of blocks ---------------------------------------------------------------------------------------------- */

static int blocks_open(struct run *run, uint64_t number, int flags)
{
	const struct records_io *io = run->r->io;
	char name[FILE_NAME_MAX];
	off_t size;
	int x;

	records_file_name(name, number, false);
	run->fd = io->open(run->r->dir, name, O_RDWR | O_APPEND | flags, io->user);
	if (run->fd < 0)
		return -errno;
	run->file = number;
	run->n_packed = 0;
	size = lseek(run->fd, 0, SEEK_END);
	x = size < 0 ? -errno : blocks_map(io, run->fd, size, false, &run->map);
	/* Of a try that failed and could not be cut off then */
	if (x == 0 && !run->map.indexed && run->map.end < size && io->truncate(run->fd, run->map.end, io->user) < 0)
		x = -errno;
	run->synced = run->map.end;
	if (x < 0)
		blocks_close(run);
	return x;
}

/* All or nothing. It may not be on the disk yet: blocks_sync */
static int blocks_append(struct run *run, const uint8_t *data, size_t length)
{
	const struct records_io *io = run->r->io;
	int x = records_write_all(io, run->fd, data, length);

	/* If it cannot be cut off either, that is made up for when the file is opened next. */
	if (x < 0 && io->truncate(run->fd, run->map.end, io->user) < 0)
		blocks_close(run);
	return x;
}

static int open_remove(struct run *run, uint64_t number)
{
	const struct records_io *io = run->r->io;
	char name[FILE_NAME_MAX];

	records_file_name(name, number, true);
	return io->unlink(run->r->dir, name, io->user) < 0 && errno != ENOENT ? -errno : 0;
}

/* What was packed goes to the disk, and its open files go. If it does not go there its blocks are taken back. */
static int blocks_sync(struct run *run)
{
	const struct records_io *io = run->r->io;
	unsigned n = run->n_packed;
	int x = 0;

	run->n_packed = 0;
	if (!n || run->fd < 0)
		return 0;
	if (io->sync(run->fd, io->user) < 0) {
		x = -errno;
		run->made -= n;
		if (io->truncate(run->fd, run->synced, io->user) < 0)
			x = -errno;
		blocks_close(run);
		return x;
	}
	run->synced = run->map.end;
	for (unsigned i = 0; i < n; i++) {
		int y = open_remove(run, run->packed[i]);

		x = x < 0 ? x : y;
	}
	return x;
}

/* The index, if it can be had: it is only for speed */
static int blocks_finish(struct run *run)
{
	int x = blocks_sync(run);
	uint8_t *index;
	size_t length;

	if (x == 0 && run->fd >= 0 && !run->map.indexed && blocks_map_index(&run->map, &index, &length) == 0) {
		blocks_append(run, index, length);
		free(index);
	}
	blocks_close(run);
	return x;
}

static int64_t file_max(const struct run *run)
{
	int64_t most = run->max_size / FILES;

	return most > FILE_MAX ? FILE_MAX : most < FILE_MIN ? FILE_MIN : most;
}

/* The file that the block of this number goes to: the last there is, if it has room, or a new one */
static int blocks_ready(struct run *run, uint64_t number, const struct records_file *last)
{
	int x = 0;

	if (run->fd < 0 && last)
		x = blocks_open(run, last->sequence, 0);
	if (x < 0 && x != -ENOENT)
		return x;
	if (run->fd >= 0 && (run->map.indexed || run->map.end >= file_max(run)) &&
	    !(run->map.n && run->map.entries[run->map.n - 1].sequence >= number)) {
		x = blocks_finish(run);
		if (x < 0)
			return x;
	}
	if (run->fd >= 0)
		return 0;
	return blocks_open(run, number, O_CREAT);
}

/* ---- one open file ------------------------------------------------------------------------------------------------ */

static int add_entry(struct run *run, const uint8_t *block)
{
	struct blocks_map *map = &run->map;
	struct index_entry *entries = realloc(map->entries, (map->n + 1) * sizeof(*entries));
	struct block_head h;

	if (!entries || !block_peek(block, BLOCK_HEAD, &h))
		return -ENOMEM;
	map->entries = entries;
	map->entries[map->n++] = (struct index_entry){ .offset = (uint64_t)map->end, .sequence = h.sequence,
		                                       .header_length = h.header_length, .data_length = h.data_length, .from = h.from,
		                                       .to = h.to, .records = h.records, .priorities = h.priorities };
	map->end += (int64_t)h.header_length + h.data_length;
	return 0;
}

static int pack_into(struct run *run, const uint8_t *data, size_t length)
{
	const uint8_t *block;
	size_t size;
	unsigned damaged;
	int x = run->packer ? 0 : packer_new(&run->packer);

	if (x == 0)
		x = packer_pack(run->packer, data, length, PACK_LEVEL, &block, &size, &damaged);
	/* It is no open file at all: nothing is to be had from it. */
	if (x == -EBADMSG) {
		run->damaged++;
		return 0;
	}
	if (x < 0 || !size)
		return x;
	x = blocks_append(run, block, size);
	if (x < 0)
		return x;
	run->made++;
	run->damaged += damaged;
	x = add_entry(run, block);
	/* Without memory for it: back, and anew the next time. */
	if (x < 0 && run->r->io->truncate(run->fd, run->map.end, run->r->io->user) < 0)
		blocks_close(run);
	return x;
}

static int open_read(struct run *run, const char *name, size_t *ret_length)
{
	const struct records_io *io = run->r->io;
	int fd = io->open(run->r->dir, name, O_RDONLY, io->user), x = 0;
	off_t size = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
	uint8_t *data;

	if (fd < 0 || size < 0)
		x = -errno;
	else if (size > (off_t)OPEN_MAX)
		x = -EFBIG;
	if (x == 0 && (size_t)size > run->size) {
		data = realloc(run->data, (size_t)size);
		x = data ? 0 : -ENOMEM;
		run->data = data ? data : run->data;
		run->size = data ? (size_t)size : run->size;
	}
	if (x == 0)
		x = records_pread(io, fd, run->data, (size_t)size, 0);
	if (fd >= 0)
		close(fd);
	*ret_length = size < 0 ? 0 : (size_t)size;
	return x;
}

static int pack_one(struct run *run, const struct records_file *f, const struct records_file *last)
{
	char name[FILE_NAME_MAX];
	unsigned made = run->made;
	size_t length = 0;
	int x = blocks_ready(run, f->sequence, last);

	if (x < 0)
		return x;
	/* When it is a block already, its file only could not be removed. */
	if (run->map.n && run->map.entries[run->map.n - 1].sequence >= f->sequence)
		return open_remove(run, f->sequence);
	records_file_name(name, f->sequence, true);
	x = open_read(run, name, &length);
	if (x == 0)
		x = pack_into(run, run->data, length);
	if (x == -ENOENT)
		return 0;
	if (x == -EFBIG || x == -EBADMSG) {
		run->damaged++;
		x = 0;
	}
	if (x == 0 && run->made == made)
		return open_remove(run, f->sequence);
	if (x == 0)
		run->packed[run->n_packed++] = f->sequence;
	return x == 0 && run->n_packed == TOGETHER ? blocks_sync(run) : x;
}

static bool stopped(struct run *run)
{
	bool stop;

	pthread_mutex_lock(&run->r->worker.lock);
	stop = run->r->worker.stop;
	pthread_mutex_unlock(&run->r->worker.lock);
	return stop;
}

static int pack_all(struct run *run)
{
	struct records_file *files = NULL;
	const struct records_file *last = NULL;
	size_t n = 0;
	int x = records_list(run->r->dir, &files, &n);

	for (size_t i = 0; i < n; i++)
		last = files[i].open ? last : &files[i];
	for (size_t i = 0; x == 0 && i < n && !stopped(run); i++)
		if (files[i].open && files[i].sequence < run->limit)
			x = pack_one(run, &files[i], last);
	/* Also of those before one that failed */
	if (run->n_packed) {
		int y = blocks_sync(run);

		x = x < 0 ? x : y;
	}
	free(files);
	return x;
}

/* ---- what is too much --------------------------------------------------------------------------------------------- */

static int trim(struct run *run, int64_t *ret_size)
{
	const struct records_io *io = run->r->io;
	int64_t room = run->max_size / 4 < WAIT_SIZE ? run->max_size / 4 : WAIT_SIZE, size = 0, now = clock_wall();
	struct records_file *files;
	char name[FILE_NAME_MAX];
	size_t n;
	int x = records_list(run->r->dir, &files, &n);

	if (x < 0)
		return x;
	/* The open file's size is known without a look. */
	for (size_t i = 0; i < n; i++)
		size += files[i].open && files[i].sequence >= run->limit ? 0 : files[i].size;
	for (size_t i = 0; i < n; i++) {
		bool old = !run->young && files[i].changed < now - run->max_age;

		/* The open file's records are younger than all others. */
		if ((files[i].open && files[i].sequence >= run->limit) || (!old && size <= run->max_size - room))
			continue;
		records_file_name(name, files[i].sequence, files[i].open);
		if (io->unlink(run->r->dir, name, io->user) < 0) {
			x = -errno;
			continue;
		}
		size -= files[i].size;
		run->removed++;
	}
	free(files);
	*ret_size = size;
	return x;
}

/* ---- the thread --------------------------------------------------------------------------------------------------- */

static void run_once(struct run *run)
{
	struct records_worker *w = &run->r->worker;
	int64_t size = -1, cpu = clock_thread_cpu();
	int x, y;

	x = pack_all(run);
	/* Somebody may change what is there before the next run. */
	blocks_close(run);
	y = trim(run, &size);
	pthread_mutex_lock(&w->lock);
	w->blocks += run->made;
	w->damaged += run->damaged;
	w->removed += run->removed;
	w->packed_ns += (uint64_t)(clock_thread_cpu() - cpu);
	w->size = size < 0 ? w->size : size;
	w->error = x < 0 ? x : y;
	pthread_mutex_unlock(&w->lock);
	run->made = run->damaged = run->removed = 0;
}

/* True: there is more */
static bool run_next(struct run *run)
{
	struct records_worker *w = &run->r->worker;
	bool more;

	pthread_mutex_lock(&w->lock);
	more = w->again && !w->stop;
	w->again = false;
	w->ended = !more;
	run->limit = w->limit;
	run->max_size = w->max_size;
	run->max_age = w->max_age;
	run->young = w->young;
	pthread_mutex_unlock(&w->lock);
	return more;
}

static void *worker_main(void *user)
{
	struct run run = { .r = user, .fd = -1 };

	/* Of this thread alone, as Linux has it: nobody waits for a block. */
	setpriority(PRIO_PROCESS, 0, NICE);
	while (run_next(&run))
		run_once(&run);
	packer_free(run.packer);
	blocks_close(&run);
	free(run.data);
	malloc_trim(0);
	return NULL;
}

void worker_join(struct records *r, bool wait)
{
	struct records_worker *w = &r->worker;
	bool ended;

	if (!w->running)
		return;
	pthread_mutex_lock(&w->lock);
	ended = w->ended;
	pthread_mutex_unlock(&w->lock);
	if (!ended && !wait)
		return;
	pthread_join(w->thread, NULL);
	w->running = false;
}

/* Its signals are blocked: the daemon's are the loop's. */
static void worker_start(struct records *r)
{
	sigset_t all, before;
	pthread_attr_t attr;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_SIZE);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r->worker.running = pthread_create(&r->worker.thread, &attr, worker_main, r) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
}

void worker_wake(struct records *r)
{
	struct records_worker *w = &r->worker;
	bool start;

	if (r->dir < 0)
		return;
	pthread_mutex_lock(&w->lock);
	w->limit = r->sequence;
	w->again = true;
	w->young = clock_mono() < r->young_until;
	start = !w->stop && (!w->running || w->ended);
	pthread_mutex_unlock(&w->lock);
	if (!start)
		return;
	worker_join(r, true);
	w->ended = false;
	worker_start(r);
}
