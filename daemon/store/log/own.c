/* The store: which blocks and open files there are, read several at a time by a few threads, and put in order */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/log/log.h"
#include "store/records_impl.h"
#include "store/records_walk.h"

#define THREADS_MAX 4
#define BATCH_MAX 16u  /* units at a time */
#define HELD_MAX 96u   /* units whose records wait for others that may be older: then they are written all the same */
#define LATE (3600 * NS_PER_S) /* a record may be of a time so much after it was written */

/* A record that was found and not yet written */
struct pending {
	int64_t time;
	uint64_t order;
	struct held *held;
	size_t at, length;
};
struct held {
	struct held *next;
	struct chunk chunk;
	size_t left; /* records not yet written */
};

struct own {
	const struct query *query;
	struct output *out;
	int dir;
	struct unit *units;
	size_t n, size;
	int64_t *later;    /* the least time of this unit and of those behind it */
	struct scanner scanners[THREADS_MAX];
	unsigned n_threads;
	size_t at, batch;
	struct pending *pending;
	size_t n_pending, pending_size, pending_at;
	struct held *held; /* those that have records in `pending` */
	size_t n_held;
	uint64_t order, done, of;
	struct pending last; /* the one that was given */
};

/* ---- what there is ------------------------------------------------------------------------------------------------- */

static int unit_add(struct own *o, const struct unit *u)
{
	if (o->n == o->size) {
		size_t size = o->size ? 2 * o->size : 256;
		struct unit *units = realloc(o->units, size * sizeof(*units));

		if (!units)
			return -ENOMEM;
		o->units = units;
		o->size = size;
	}
	o->units[o->n++] = *u;
	o->of += (uint64_t)u->size;
	return 0;
}

static bool wanted(const struct query *q, const struct index_entry *e)
{
	return e->from <= q->to && e->to >= q->from && (e->priorities & ((2u << (q->priority & 7)) - 1));
}

/* An open file is held open: it may be made a block at any time. */
static int add_open(struct own *o, const struct records_file *f)
{
	struct unit u = { .file = f->sequence, .open = true };
	struct open_cursor c;
	struct record_row row;
	char name[FILE_NAME_MAX];
	uint8_t *data;
	size_t length;
	int r;

	records_file_name(name, f->sequence, true);
	u.fd = records_system_io.open(o->dir, name, O_RDONLY, NULL);
	if (u.fd < 0)
		return errno == ENOENT ? 0 : -errno;
	r = records_read_all(&records_system_io, u.fd, OPEN_MAX, &data, &length);
	if (r == 0) {
		u.size = (int64_t)length;
		u.entry = (struct index_entry){ .sequence = f->sequence, .from = INT64_MAX, .to = INT64_MIN };
		for (bool more = open_begin(&c, data, length, &(uint64_t){ 0 }); more && (more = open_next(&c, &row));) {
			u.entry.from = row.time < u.entry.from ? row.time : u.entry.from;
			u.entry.to = row.time > u.entry.to ? row.time : u.entry.to;
			u.entry.priorities |= (uint8_t)(1u << row.priority);
		}
		free(data);
		/* One that cannot be read is looked at all the same, to be told of. */
		if (u.entry.priorities ? wanted(o->query, &u.entry) : length > OPEN_HEAD)
			r = unit_add(o, &u);
	}
	if (r < 0 || !o->n || o->units[o->n - 1].fd != u.fd)
		close(u.fd);
	return r == -EFBIG ? 0 : r;
}

static bool is_open(const struct own *o, size_t n_open, uint64_t sequence)
{
	for (size_t i = 0; i < n_open; i++)
		if (o->units[i].file == sequence)
			return true;
	return false;
}

static int add_blocks(struct own *o, const struct records_file *f, size_t n_open)
{
	struct blocks_map map;
	char name[FILE_NAME_MAX];
	struct stat st;
	int fd, r;

	/* What it has is older than the file. */
	if (o->query->from > INT64_MIN + LATE && f->changed < o->query->from - LATE)
		return 0;
	records_file_name(name, f->sequence, false);
	fd = records_system_io.open(o->dir, name, O_RDONLY, NULL);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	r = fstat(fd, &st) < 0 ? -errno : blocks_map(&records_system_io, fd, st.st_size, false, &map);
	close(fd);
	if (r < 0)
		return r;
	o->scanners[0].damaged += map.damaged;
	for (uint32_t i = 0; r == 0 && i < map.n; i++) {
		struct unit u = { .file = f->sequence, .fd = -1, .entry = map.entries[i] };

		u.size = (int64_t)u.entry.header_length + u.entry.data_length;
		if (wanted(o->query, &u.entry) && !is_open(o, n_open, u.entry.sequence))
			r = unit_add(o, &u);
	}
	blocks_map_free(&map);
	return r;
}

static int by_sequence(const void *a, const void *b)
{
	const struct unit *x = a, *y = b;

	return (x->entry.sequence > y->entry.sequence) - (x->entry.sequence < y->entry.sequence);
}

/* Open files first: one that becomes a block in between is not missed, and not found twice. */
static int own_list(struct own *o)
{
	struct records_file *files = NULL;
	size_t n = 0, n_open;
	int r = records_list(o->dir, &files, &n);

	for (size_t i = 0; r == 0 && i < n; i++)
		r = files[i].open ? add_open(o, &files[i]) : 0;
	free(files);
	files = NULL;
	n_open = o->n;
	if (r == 0)
		r = records_list(o->dir, &files, &n);
	for (size_t i = 0; r == 0 && i < n; i++)
		r = files[i].open ? 0 : add_blocks(o, &files[i], n_open);
	free(files);
	if (o->n)
		qsort(o->units, o->n, sizeof(*o->units), by_sequence);
	return r;
}

int own_new(const char *state_dir, const struct query *q, struct output *out, struct own **ret_own)
{
	struct own *o = calloc(1, sizeof(*o));
	struct buf path = BUF_INIT;
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	int r = 0;

	if (!o)
		return -ENOMEM;
	o->query = q;
	o->out = out;
	for (int i = 0; i < THREADS_MAX; i++)
		o->scanners[i].fd = -1;
	buf_printf(&path, "%s/" RECORDS_FOLDER, state_dir);
	o->dir = open(buf_text(&path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	r = o->dir < 0 ? -errno : 0;
	buf_free(&path);
	o->n_threads = cpus < 1 ? 1 : cpus > THREADS_MAX ? THREADS_MAX : (unsigned)cpus;
	for (unsigned i = 0; r == 0 && i < o->n_threads; i++)
		r = scanner_open(&o->scanners[i], q, o->dir);
	if (r == 0)
		r = own_list(o);
	if (r < 0) {
		own_free(o);
		return r;
	}
	*ret_own = o;
	return 0;
}

void own_free(struct own *o)
{
	if (!o)
		return;
	while (o->held) {
		struct held *next = o->held->next;

		chunk_free(&o->held->chunk);
		free(o->held);
		o->held = next;
	}
	for (int i = 0; i < THREADS_MAX; i++)
		scanner_close(&o->scanners[i]);
	for (size_t i = 0; i < o->n; i++)
		if (o->units[i].fd >= 0)
			close(o->units[i].fd);
	free(o->units);
	free(o->later);
	free(o->pending);
	if (o->dir >= 0)
		close(o->dir);
	free(o);
}

/* ---- several at a time --------------------------------------------------------------------------------------------- */

struct batch {
	struct own *own;
	struct unit **units;
	struct held **held; /* NULL: only counted */
	size_t n;
	atomic_size_t next;
	atomic_int error;
};
struct batch_thread {
	pthread_t thread;
	struct batch *batch;
	struct scanner *scanner;
};

static void *batch_run(void *user)
{
	struct batch_thread *t = user;
	struct batch *b = t->batch;
	size_t i;

	while ((i = atomic_fetch_add(&b->next, 1)) < b->n && !atomic_load(&b->error)) {
		uint64_t count = 0;
		int r = scanner_scan(t->scanner, b->units[i], b->held ? &b->held[i]->chunk : NULL, &count);

		b->units[i]->count = count;
		b->units[i]->counted = true;
		if (r < 0)
			atomic_store(&b->error, r);
	}
	return NULL;
}

static int batch_all(struct own *o, struct unit **units, struct held **held, size_t n)
{
	struct batch b = { .own = o, .units = units, .held = held, .n = n };
	struct batch_thread threads[THREADS_MAX];
	unsigned started = 1, most = n < o->n_threads ? (unsigned)n : o->n_threads;

	for (unsigned i = 0; i < most; i++)
		threads[i] = (struct batch_thread){ .batch = &b, .scanner = &o->scanners[i] };
	/* This one is the first. One that cannot be had is done without. */
	while (started < most && pthread_create(&threads[started].thread, NULL, batch_run, &threads[started]) == 0)
		started++;
	batch_run(&threads[0]);
	for (unsigned i = 1; i < started; i++)
		pthread_join(threads[i].thread, NULL);
	for (size_t i = 0; i < n; i++)
		o->done += (uint64_t)units[i]->size;
	return output_progress(o->out) ? atomic_load(&b.error) : -EPIPE;
}

/* ---- the last ones -------------------------------------------------------------------------------------------------- */

int own_count(struct own *o, uint64_t most, uint64_t *ret_count)
{
	struct unit *units[BATCH_MAX];
	size_t at = o->n, batch = 1;
	uint64_t count = 0;
	int r = 0;

	while (r == 0 && at && count < most) {
		size_t n = at < batch ? at : batch;

		for (size_t i = 0; i < n; i++)
			units[i] = &o->units[at - 1 - i];
		r = batch_all(o, units, NULL, n);
		/* From the last on: what was counted beyond is not looked at again. */
		for (size_t i = 0; i < n && count < most; i++, at--)
			count += units[i]->count;
		batch = batch < BATCH_MAX ? 2 * batch : BATCH_MAX;
	}
	o->at = at;
	o->of = o->done;
	*ret_count = count;
	return r;
}

/* ---- in order ------------------------------------------------------------------------------------------------------- */

static int by_time(const void *a, const void *b)
{
	const struct pending *x = a, *y = b;

	if (x->time != y->time)
		return x->time < y->time ? -1 : 1;
	return (x->order > y->order) - (x->order < y->order);
}

static void let_go(struct own *o, struct held *held)
{
	struct held **at = &o->held;

	while (*at != held)
		at = &(*at)->next;
	*at = held->next;
	chunk_free(&held->chunk);
	free(held);
	o->n_held--;
}

static int take(struct own *o, struct held *held)
{
	const struct chunk *c = &held->chunk;
	size_t need = o->n_pending + c->n;

	held->left = c->n;
	held->next = o->held;
	o->held = held;
	o->n_held++;
	if (!c->n) {
		let_go(o, held);
		return 0;
	}
	if (need > o->pending_size) {
		struct pending *pending = realloc(o->pending, 2 * need * sizeof(*pending));

		if (!pending)
			return -ENOMEM;
		o->pending = pending;
		o->pending_size = 2 * need;
	}
	for (size_t i = 0; i < c->n; i++)
		o->pending[o->n_pending++] = (struct pending){ c->found[i].time, o->order++, held, c->found[i].at, c->found[i].length };
	return 0;
}

static int own_later(struct own *o)
{
	int64_t least = INT64_MAX;

	o->later = malloc((o->n + 1) * sizeof(*o->later));
	if (!o->later)
		return -ENOMEM;
	o->later[o->n] = least;
	for (size_t i = o->n; i-- > 0;) {
		const struct unit *u = &o->units[i];

		if (!u->counted || u->count)
			least = u->entry.from < least ? u->entry.from : least;
		o->later[i] = least;
	}
	o->batch = 1;
	return 0;
}

/* The next units' records to those that wait */
static int own_more(struct own *o)
{
	struct unit *units[BATCH_MAX];
	struct held *held[BATCH_MAX];
	size_t n = 0;
	int r;

	for (; o->at < o->n && n < o->batch; o->at++)
		if (!o->units[o->at].counted || o->units[o->at].count) {
			held[n] = calloc(1, sizeof(*held[n]));
			if (!held[n])
				break;
			units[n++] = &o->units[o->at];
		}
	r = o->at < o->n && n < o->batch ? -ENOMEM : 0;
	if (r == 0 && n)
		r = batch_all(o, units, held, n);
	if (o->pending_at)
		memmove(o->pending, o->pending + o->pending_at, (o->n_pending - o->pending_at) * sizeof(*o->pending));
	o->n_pending -= o->pending_at;
	o->pending_at = 0;
	for (size_t i = 0; i < n; i++) {
		int taken = r == 0 ? take(o, held[i]) : r;

		if (taken < 0 && r == 0)
			r = taken;
		else if (taken < 0) {
			chunk_free(&held[i]->chunk);
			free(held[i]);
		}
	}
	if (o->n_pending)
		qsort(o->pending, o->n_pending, sizeof(*o->pending), by_time);
	o->batch = o->batch < BATCH_MAX ? 2 * o->batch : BATCH_MAX;
	return r;
}

int own_next(struct own *o, int64_t *ret_time, const uint8_t **ret_frame, size_t *ret_length)
{
	int r = o->later ? 0 : own_later(o);

	if (o->last.held && !--o->last.held->left)
		let_go(o, o->last.held);
	o->last.held = NULL;
	while (r == 0) {
		const struct pending *p = o->pending_at < o->n_pending ? &o->pending[o->pending_at] : NULL;

		if (p && (p->time <= o->later[o->at] || o->n_held > HELD_MAX)) {
			o->last = *p;
			o->pending_at++;
			*ret_time = p->time;
			*ret_frame = p->held->chunk.frames + p->at;
			*ret_length = p->length;
			return 1;
		}
		if (o->at == o->n)
			return 0;
		r = own_more(o);
	}
	return r;
}

void own_progress(const struct own *o, uint64_t *ret_done, uint64_t *ret_of)
{
	*ret_done = o->done;
	*ret_of = o->of > o->done ? o->of : o->done;
}

unsigned own_damaged(const struct own *o, unsigned *ret_gone)
{
	unsigned damaged = 0;

	*ret_gone = 0;
	for (int i = 0; i < THREADS_MAX; i++) {
		damaged += o->scanners[i].damaged;
		*ret_gone += o->scanners[i].gone;
	}
	return damaged;
}
