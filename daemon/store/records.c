/* What waits in memory, and how it comes to the open file */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "store/records_impl.h"

#define JUMP_MIN (60 * NS_PER_S)
#define DROP_AT_ONCE (64u << 10) /* bytes: to make room is rare, then */
#define SIZE_DEFAULT (INT64_C(64) << 20)
#define AGE_DEFAULT (30 * 24 * 3600 * NS_PER_S)

/* ---- what is dropped ---------------------------------------------------------------------------------------------- */

static void count_lost(struct records_lost *lost, const struct record_row *row)
{
	size_t length = strcspn(row->subject, ":"), i = 0;

	if (!lost->all++)
		lost->from = row->time;
	lost->to = row->time;
	if (length >= SOURCE_MAX)
		length = SOURCE_MAX - 1;
	while (i < lost->n && (strncmp(lost->sources[i].name, row->subject, length) != 0 || lost->sources[i].name[length]))
		i++;
	if (i == SOURCES) {
		lost->others++;
		return;
	}
	if (i == lost->n)
		memcpy(lost->sources[lost->n++].name, row->subject, length);
	lost->sources[i].dropped++;
}

/* The oldest go, some at once; what is left moves up. */
static void make_room(struct records *r)
{
	size_t begin = r->start;
	struct record_row row;

	while (r->start < r->end && r->start - begin < DROP_AT_ONCE) {
		size_t size = row_get(r->wait + r->start, r->end - r->start, &row);

		if (!size)
			break;
		count_lost(&r->lost, &row);
		r->counts.dropped++;
		r->waiting--;
		r->start += size;
	}
	memmove(r->wait + WAIT_HEAD, r->wait + r->start, r->end - r->start);
	r->end -= r->start - WAIT_HEAD;
	r->start = WAIT_HEAD;
}

/* ---- out ---------------------------------------------------------------------------------------------------------- */

/* The open file is done: the next one has the next number. */
static void seal(struct records *r)
{
	if (r->fd >= 0)
		close(r->fd);
	r->fd = -1;
	r->sequence++;
	worker_wake(r);
}

static int open_ready(struct records *r)
{
	int x = r->dir < 0 ? records_folder_open(r) : 0;

	if (x == 0 && r->fd >= 0 && r->torn)
		seal(r);
	for (int i = 0; x == 0 && r->fd < 0 && i < 16; i++) {
		x = records_file_new(r);
		if (x != -EAGAIN)
			break;
		x = 0;
	}
	/* Somebody took the folder away. */
	if (x == -ENOENT && r->dir >= 0) {
		worker_join(r, true);
		records_folder_close(r);
		x = records_folder_open(r);
		if (x == 0 && r->fd < 0)
			x = records_file_new(r);
	}
	return x == 0 && r->fd < 0 ? -EEXIST : x;
}

/* One frame of all that waits, with one write(2) */
static int write_frame(struct records *r)
{
	size_t head = r->size ? FRAME_HEAD : WAIT_HEAD;
	uint8_t *frame = r->wait + r->start - FRAME_HEAD, *data = r->wait + r->start - head;
	int x;

	frame_head_put(frame, r->end - r->start);
	if (!r->size)
		open_head_put(data, r->sequence);
	x = records_write_all(r->io, r->fd, data, r->end + head - r->start);
	if (x < 0) {
		if (r->io->truncate(r->fd, r->size, r->io->user) < 0)
			r->torn = true;
		return x;
	}
	r->size += (off_t)(r->end + head - r->start);
	return 0;
}

int records_flush(struct records *r)
{
	bool large = r->end > WAIT_KEEP;
	struct record_row first;
	int x;

	if (!r->waiting)
		return 0;
	x = open_ready(r);
	if (x == 0 && !r->size && row_get(r->wait + r->start, r->end - r->start, &first))
		r->begun = first.time;
	if (x == 0)
		x = write_frame(r);
	if (x < 0) {
		r->tried = model_now(r->model);
		r->failing = true;
		r->error = x;
		return x;
	}
	r->failing = false;
	r->counts.kept += r->waiting;
	r->waiting = 0;
	r->start = r->end = WAIT_HEAD;
	if (large)
		madvise(r->wait + WAIT_KEEP, WAIT_SIZE - WAIT_KEEP, MADV_DONTNEED);
	if (r->size >= (off_t)r->block_size)
		seal(r);
	return 0;
}

static void append(struct records *r, const struct kith_record *record, uint64_t number, unsigned flags)
{
	int64_t since = model_now(r->model) - r->tried;

	if (r->end + ROW_MAX > WAIT_SIZE)
		make_room(r);
	r->end += row_put(r->wait + r->end, record, number, flags);
	if (!r->waiting++ && r->soon)
		r->soon(r->user);
	if (r->end - r->start >= WAIT_WRITE && (!r->failing || since >= TRY_EVERY || since < 0))
		records_flush(r);
}

static void on_record(const struct kith_record *record, uint64_t number, void *user)
{
	append(user, record, number, 0);
}

static void on_transition(const struct kith_transition *t, void *user)
{
	static const char *const words[] = { [KITH_UNKNOWN] = "unknown", [KITH_KEPT] = "kept", [KITH_BROKEN] = "broken" };
	const char *to = words[t->to <= KITH_BROKEN ? t->to : KITH_UNKNOWN];
	const struct kith_field fields[] = { { "promise", t->name },
		                             { "from", words[t->from <= KITH_BROKEN ? t->from : KITH_UNKNOWN] },
		                             { "to", to },
		                             { "repaired", "true" } };
	bool repaired = t->size > offsetof(struct kith_transition, flags) && (t->flags & KITH_TRANSITION_REPAIRED);
	struct records *r = user;
	char message[2048];
	struct kith_record record = { .size = sizeof(record), .priority = t->to == KITH_BROKEN ? t->severity : KITH_NOTICE,
		                      .time = t->time ? t->time : model_now(r->model), .subject = t->promiser, .message = message,
		                      .fields = fields, .n_fields = repaired ? 4 : 3 };

	snprintf(message, sizeof(message), "%s is %s%s%s", t->name, to, t->because && *t->because ? ": " : "", t->because ? t->because : "");
	append(r, &record, 0, ROW_TRANSITION);
}

/* ---- what is said ------------------------------------------------------------------------------------------------- */

static void say(struct records *r, enum kith_priority priority, const struct kith_field *fields, uint32_t n_fields, const char *format, ...)
        __attribute__((format(printf, 5, 6)));
static void say(struct records *r, enum kith_priority priority, const struct kith_field *fields, uint32_t n_fields, const char *format, ...)
{
	struct kith_record record = { .size = sizeof(record), .priority = priority, .subject = "kith:records", .fields = fields,
		                      .n_fields = n_fields };
	struct buf text = BUF_INIT;
	va_list args;

	va_start(args, format);
	buf_vprintf(&text, format, args);
	va_end(args);
	record.message = buf_text(&text);
	log_line(priority <= KITH_WARNING ? LOG_LEVEL_WARNING : LOG_LEVEL_NOTICE, "%s", record.message);
	model_record(r->model, &record);
	buf_free(&text);
}

static void say_again(struct records *r)
{
	struct records_lost lost = r->lost;
	char number[24], numbers[SOURCES][24], from[CLOCK_TEXT_MAX], to[CLOCK_TEXT_MAX];
	struct kith_field fields[SOURCES + 3] = { { "dropped", number }, { "first", from }, { "last", to } };
	struct buf text = BUF_INIT;

	r->lost = (struct records_lost){ 0 };
	if (!lost.all) {
		say(r, KITH_NOTICE, NULL, 0, "records are written again; nothing was lost");
		return;
	}
	snprintf(number, sizeof(number), "%llu", (unsigned long long)lost.all);
	clock_format(lost.from, from, sizeof(from));
	clock_format(lost.to, to, sizeof(to));
	for (unsigned i = 0; i < lost.n; i++) {
		const char *name = *lost.sources[i].name ? lost.sources[i].name : "-";

		snprintf(numbers[i], sizeof(numbers[i]), "%llu", (unsigned long long)lost.sources[i].dropped);
		fields[3 + i] = (struct kith_field){ name, numbers[i] };
		buf_printf(&text, "%s%s %s", i ? ", " : "", numbers[i], name);
	}
	if (lost.others)
		buf_printf(&text, ", %llu others", (unsigned long long)lost.others);
	say(r, KITH_WARNING, fields, 3 + lost.n, "records are written again; %s were dropped: %s", number, buf_text(&text));
	buf_free(&text);
}

static void say_news(struct records *r)
{
	struct records_counts c;
	int packing;

	if (r->failing && !r->said) {
		r->said = true;
		if (r->error == -EBUSY)
			say(r, KITH_WARNING, NULL, 0, "records are not kept: another kithd, or kith-log --verify, is at %s", r->path);
		else
			say(r, KITH_WARNING, NULL, 0, "records cannot be written: %s; they wait, as far as 512 KiB go", strerror(-r->error));
	} else if (r->said && !r->failing) {
		r->said = false;
		say_again(r);
	}
	records_counts(r, &c);
	pthread_mutex_lock(&r->worker.lock);
	packing = r->worker.error;
	pthread_mutex_unlock(&r->worker.lock);
	/* While nothing can be written at all that is said already. */
	if (packing != r->packing_error && !(packing && r->failing)) {
		r->packing_error = packing;
		if (packing)
			say(r, KITH_WARNING, NULL, 0, "records are kept, and cannot be compressed: %s", strerror(-packing));
	}
	if (c.damaged > r->said_damaged) {
		say(r, KITH_WARNING, NULL, 0, "%s: %llu damaged stretches could not be read; what records were there is lost", r->path,
		    (unsigned long long)(c.damaged - r->said_damaged));
		r->said_damaged = c.damaged;
	}
}

/* ---- its life ----------------------------------------------------------------------------------------------------- */

void records_tick(struct records *r, int64_t now)
{
	int64_t mono, jump;
	struct stat st;

	if (!r)
		return;
	mono = clock_mono();
	jump = r->offset ? now - mono - r->offset : 0;
	r->offset = now - mono;
	if (jump > JUMP_MIN || jump < -JUMP_MIN) {
		/* If the clock was set wrong, it would be too late to say so when all is gone for its age. */
		r->young_until = mono + TRIM_EVERY;
		r->begun += jump;
	}
	worker_join(r, false);
	records_flush(r);
	if (r->fd >= 0 && r->size && now - r->begun >= OPEN_AGE)
		seal(r);
	if (r->dir >= 0 && (!r->trimmed || mono - r->trimmed >= TRIM_EVERY)) {
		r->trimmed = mono;
		worker_wake(r);
	}
	if (mono - r->checked >= CHECK_EVERY) {
		r->checked = mono;
		if (r->packing_error)
			worker_wake(r);
		if (r->fd >= 0 && fstat(r->fd, &st) == 0 && !st.st_nlink) {
			worker_join(r, true);
			records_folder_close(r);
			say(r, KITH_WARNING, NULL, 0, "files in %s were taken away: what was in them is lost", r->path);
		}
	}
	say_news(r);
}

void records_counts(struct records *r, struct records_counts *ret_counts)
{
	struct records_worker *w = &r->worker;
	struct records_counts c = r->counts;

	pthread_mutex_lock(&w->lock);
	c.blocks = w->blocks;
	c.damaged = w->damaged;
	c.removed = w->removed;
	c.packed_ns = w->packed_ns;
	if (w->size)
		c.size = w->size;
	pthread_mutex_unlock(&w->lock);
	c.size += r->fd >= 0 ? r->size : 0;
	c.waiting = r->end - r->start;
	*ret_counts = c;
}

void records_configure(struct records *r, int64_t max_size, int64_t max_age)
{
	pthread_mutex_lock(&r->worker.lock);
	r->worker.max_size = max_size ? max_size : SIZE_DEFAULT;
	r->worker.max_age = max_age ? max_age : AGE_DEFAULT;
	pthread_mutex_unlock(&r->worker.lock);
	/* Less may be kept now. */
	r->trimmed = 0;
}

int records_new(struct model *m, const struct records_config *config, struct records **ret_records)
{
	struct records *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	r->model = m;
	r->io = config->io ? config->io : &records_system_io;
	r->soon = config->soon;
	r->user = config->user;
	r->dir = r->fd = -1;
	r->block_size = config->block_size ? config->block_size : BLOCK_SIZE;
	r->sequence = 1;
	r->start = r->end = WAIT_HEAD;
	worker_init(&r->worker);
	records_configure(r, config->max_size, config->max_age);
	/* Not of malloc: what a burst touched can go back to the system, and the rest is never touched. */
	r->wait = mmap(NULL, WAIT_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (asprintf(&r->path, "%s/" RECORDS_FOLDER, config->folder) < 0)
		r->path = NULL;
	if (r->wait == MAP_FAILED || !r->path) {
		records_free(r);
		return -ENOMEM;
	}
	r->error = records_folder_open(r);
	r->failing = r->error < 0;
	r->observer = (struct model_observer){ .user = r, .on_record = on_record, .on_transition = on_transition };
	model_observe(m, &r->observer);
	*ret_records = r;
	return 0;
}

void records_yield(struct records *r)
{
	if (!r)
		return;
	model_unobserve(r->model, &r->observer);
	model_observe(r->model, &r->observer);
}

void records_settle(struct records *r)
{
	worker_join(r, true);
}

void records_free(struct records *r)
{
	if (!r)
		return;
	if (r->observer.user)
		model_unobserve(r->model, &r->observer);
	/* The block that it is at is made; the others are at the next start. */
	pthread_mutex_lock(&r->worker.lock);
	r->worker.stop = true;
	pthread_mutex_unlock(&r->worker.lock);
	worker_join(r, true);
	if (records_flush(r) < 0)
		log_warning("%llu records could not be written: %s", (unsigned long long)r->waiting, strerror(-r->error));
	records_folder_close(r);
	if (r->wait != MAP_FAILED)
		munmap(r->wait, WAIT_SIZE);
	pthread_mutex_destroy(&r->worker.lock);
	free(r->path);
	free(r);
}
