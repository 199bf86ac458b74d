/* The file as it is written: a line a transition, what waits while the disk is full, and that kithd lives. */
#include "store/history_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"

#define TOUCH_EVERY (60 * NS_PER_S)
#define TRY_EVERY NS_PER_S
#define JUMP_MIN (100 * NS_PER_MS) /* as the loop's */
#define COMPACT_STEPS 16           /* a tick, of a chunk each */
#define DROP_AT_ONCE 8192u         /* bytes of what waits: to make room for the new one is rare, then */

static const char head[] = "# History of promises: kith-history(5). kithd writes to it.\n";

static void real_clock(int64_t *ret_wall, int64_t *ret_mono, void *user)
{
	(void)user;
	*ret_wall = clock_wall();
	*ret_mono = clock_mono();
}

static ssize_t real_write(int fd, const void *data, size_t length, void *user)
{
	(void)user;
	return write(fd, data, length);
}

void history_say(struct history *h, enum kith_priority priority, const char *format, ...)
{
	struct kith_record record = { .size = sizeof(record), .priority = priority, .subject = "kith:history" };
	struct buf text = BUF_INIT;
	va_list args;

	va_start(args, format);
	buf_vprintf(&text, format, args);
	va_end(args);
	h->config.clock(&record.time, &(int64_t){ 0 }, h->config.user);
	record.message = buf_text(&text);
	log_line(priority <= KITH_WARNING ? LOG_LEVEL_WARNING : LOG_LEVEL_NOTICE, "%s", record.message);
	model_record(h->model, &record);
	buf_free(&text);
}

/* ---- out -------------------------------------------------------------------------------------------------------- */

/* All or nothing, as far as the disk lets it */
static int write_out(struct history *h, const char *data, size_t length, int64_t wall)
{
	ssize_t n = h->config.write(h->fd, data, length, h->config.user);
	int r = n < 0 ? -errno : -ENOSPC;

	if (n >= 0 && (size_t)n == length) {
		h->size += n;
		h->touched = wall;
		return 0;
	}
	h->tried = wall;
	/* A part of a line would be taken for one: off with it. */
	if (n > 0 && ftruncate(h->fd, h->size) < 0) {
		h->size += n;
		h->torn = true;
	}
	return r;
}

static bool is_transition(const char *line)
{
	return !strncmp(line, "kept\t", 5) || !strncmp(line, "broken\t", 7) || !strncmp(line, "unknown\t", 8);
}

static void count_lost(struct history *h, const char *line)
{
	int64_t time = strtoll(strchr(line, '\t') + 1, NULL, 10);

	if (!h->lost++)
		h->lost_from = time;
	h->lost_to = time;
	h->counts.lost++;
}

/* The oldest transitions go. Lines about the clock and about kithd's own times stay: they say what the others' times mean. */
static void wait_drop(struct history *h, bool all)
{
	struct buf left = BUF_INIT;
	size_t dropped = 0;
	char *line = h->waiting.data, *end;

	for (; line && *line && dropped < DROP_AT_ONCE; line = end + 1) {
		end = strchr(line, '\n');
		if (all || is_transition(line))
			dropped += (size_t)(end - line) + 1;
		if (is_transition(line))
			count_lost(h, line);
		else if (!all)
			buf_append(&left, line, (size_t)(end - line) + 1);
	}
	if (line)
		buf_puts(&left, line);
	buf_free(&h->waiting);
	h->waiting = left;
	if (!dropped && !all)
		wait_drop(h, true);
}

static void wait_for_room(struct history *h, const char *data, size_t length)
{
	if (h->waiting.length + length > HISTORY_WAIT_MAX)
		wait_drop(h, false);
	buf_append(&h->waiting, data, length);
	if (!h->waiting.failed)
		return;
	if (is_transition(data))
		count_lost(h, data);
	buf_free(&h->waiting);
}

static void history_flush(struct history *h, int64_t wall)
{
	struct buf out = BUF_INIT;
	uint64_t lost = h->lost;

	if (!h->waiting.length && !lost)
		return;
	if (h->torn)
		buf_putc(&out, '\n');
	if (lost)
		buf_printf(&out, "lost\t%lld\t%lld\t%llu\n", (long long)h->lost_to, (long long)h->lost_from, (unsigned long long)lost);
	buf_append(&out, h->waiting.data, h->waiting.length);
	if (out.failed || write_out(h, out.data, out.length, wall) < 0) {
		buf_free(&out);
		return;
	}
	buf_free(&out);
	buf_free(&h->waiting);
	h->torn = false;
	h->lost = 0;
	if (!h->full)
		return;
	h->full = false;
	if (lost)
		history_say(h, KITH_WARNING, "the history of promises is written again; %llu transitions were lost", (unsigned long long)lost);
	else
		history_say(h, KITH_NOTICE, "the history of promises is written again; nothing was lost");
}

/* One line or several, whole ones */
static void history_put(struct history *h, const char *data, size_t length, int64_t wall)
{
	bool waits = h->waiting.length || h->torn || h->lost;
	int r = 0;

	if (!waits) {
		r = write_out(h, data, length, wall);
		if (r == 0)
			return;
	}
	wait_for_room(h, data, length);
	if (r < 0 && !h->full) {
		h->full = true;
		history_say(h, KITH_WARNING, "the history of promises cannot be written: %s; transitions wait for that, as far as 64 KiB go",
		            strerror(-r));
	} else if (waits && (wall - h->tried >= TRY_EVERY || wall < h->tried)) {
		history_flush(h, wall);
	}
}

static void history_printf(struct history *h, int64_t wall, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void history_printf(struct history *h, int64_t wall, const char *format, ...)
{
	char line[128];
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	history_put(h, line, (size_t)n, wall);
}

int64_t history_clock(struct history *h)
{
	int64_t wall, mono, jump;

	h->config.clock(&wall, &mono, h->config.user);
	jump = wall - mono - h->offset;
	h->offset += jump;
	if (jump < JUMP_MIN && jump > -JUMP_MIN)
		return wall;
	h->touched += jump;
	h->tried += jump;
	if (h->fd >= 0)
		history_printf(h, wall, "jump\t%lld\t%lld\n", (long long)wall, (long long)jump);
	return wall;
}

/* `times`: by how much it must be larger than what it may be */
static void history_compact(struct history *h, int64_t wall, int times)
{
	off_t most = (off_t)h->config.max > 2 * h->compacted ? (off_t)h->config.max : 2 * h->compacted;

	if (!h->compaction && h->size > times * most && !h->full && !h->waiting.length)
		compact_begin(h, wall);
	if (h->compaction && h->size > times * most)
		compact_step(h);
}

static void on_transition(const struct kith_transition *t, void *user)
{
	struct history *h = user;
	int64_t wall = history_clock(h), time = t->time;

	/* A deadline's time is exact, an event's too; one from before the clock was set is not. */
	if (time > wall || time < wall - HISTORY_SLACK)
		time = wall;
	buf_reset(&h->line);
	if (history_put_transition(&h->line, t, time) < 0 || h->line.failed) {
		if (!h->counts.too_long++)
			history_say(h, KITH_WARNING, "a promise's name and promiser are too long for the history, which leaves it out: %.64s…", t->name);
		return;
	}
	h->counts.written++;
	history_put(h, h->line.data, h->line.length, wall);
	/* In a storm the tick is too slow for it. */
	if (h->size > 2 * (off_t)h->config.max)
		history_compact(h, wall, 2);
}

/* ---- the file --------------------------------------------------------------------------------------------------- */

int history_open_file(const char *path, int flags, int *ret_fd)
{
	int fd = open(path, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0640), r = 0;
	struct stat st;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		r = -errno;
	else if (!S_ISREG(st.st_mode))
		r = -ENOTSUP;
	else if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		r = errno == EWOULDBLOCK ? -EBUSY : -errno;
	if (r < 0) {
		close(fd);
		return r;
	}
	*ret_fd = fd;
	return 0;
}

/* The last whole line says when kithd ended; without such a line it was killed, and the file's time says when it last lived. */
static int64_t history_look_back(struct history *h, const struct stat *st)
{
	char text[2 * HISTORY_LINE_MAX];
	struct history_line line;
	off_t from = h->size > (off_t)sizeof(text) ? h->size - (off_t)sizeof(text) : 0;
	ssize_t n = pread(h->fd, text, sizeof(text), from);
	const char *end, *begin;

	if (n <= 0)
		return 0;
	end = memrchr(text, '\n', (size_t)n);
	if (!end) {
		h->torn = true; /* not a history at all; yet what is written now will be one */
		return 0;
	}
	if (end + 1 < text + n) {
		h->size = from + (end + 1 - text);
		if (ftruncate(h->fd, h->size) < 0)
			h->torn = true;
	}
	begin = memrchr(text, '\n', (size_t)(end - text));
	begin = begin ? begin + 1 : text;
	if (history_line_parse(begin, (size_t)(end - begin), &line) == 0 && line.kind == HISTORY_END)
		return line.time;
	return (int64_t)st->st_mtim.tv_sec * NS_PER_S + st->st_mtim.tv_nsec;
}

static int history_begin(struct history *h)
{
	struct stat st;
	int64_t wall = history_clock(h), ended;
	int r = history_open_file(h->path, O_RDWR | O_APPEND | O_CREAT, &h->fd);

	if (r < 0)
		return r;
	unlink(h->new_path); /* of a compaction that was cut short */
	if (fstat(h->fd, &st) < 0)
		st.st_size = 0;
	h->size = st.st_size;
	h->compacted = 0;
	ended = h->size ? history_look_back(h, &st) : 0;
	if (ended < 0)
		ended = 0;
	if (!h->size && !h->torn)
		history_put(h, head, strlen(head), wall);
	history_printf(h, wall, "begin\t%lld\t%lld\n", (long long)wall, (long long)ended);
	return 0;
}

static void history_none(struct history *h, int error)
{
	char *why = NULL;

	if (asprintf(&why, "%s: %s", h->path,
	             error == -EBUSY ? "another kithd writes it; give this one its own --state-dir" :
	             error == -ENOTSUP || error == -ELOOP ? "this is no plain file; remove it" : strerror(-error)) < 0)
		why = NULL;
	h->off = why;
	log_warning("no history of promises is kept: %s", why ? why : strerror(-error));
}

/* Somebody took the file away, or cut it: a new one, as what is written to the old one is lost. */
static void history_check_file(struct history *h, int64_t wall)
{
	struct stat mine, there;
	int r;

	if (fstat(h->fd, &mine) < 0)
		return;
	if (stat(h->path, &there) == 0 && there.st_ino == mine.st_ino && there.st_dev == mine.st_dev) {
		if (mine.st_size < h->size) {
			compact_cancel(h);
			h->size = mine.st_size;
			h->compacted = 0;
			h->torn = mine.st_size > 0;
		}
		if (futimens(h->fd, NULL) == 0)
			h->touched = wall;
		return;
	}
	compact_cancel(h);
	close(h->fd);
	h->fd = -1;
	h->torn = false;
	r = history_begin(h);
	if (r < 0) {
		history_none(h, r);
		model_unobserve(h->model, &h->observer);
	} else {
		history_say(h, KITH_WARNING, "%s was taken away: the history of promises begins anew", h->path);
	}
}

/* ---- its life --------------------------------------------------------------------------------------------------- */

int history_new(struct model *m, const struct history_config *config, struct history **ret_history)
{
	struct history *h = calloc(1, sizeof(*h));
	int64_t wall, mono;
	int r;

	if (!h)
		return -ENOMEM;
	h->model = m;
	h->fd = -1;
	h->config = *config;
	if (!h->config.max)
		h->config.max = 4u << 20;
	if (!h->config.clock)
		h->config.clock = real_clock;
	if (!h->config.write)
		h->config.write = real_write;
	if (asprintf(&h->path, "%s/" HISTORY_FILE, config->folder) < 0)
		h->path = NULL;
	if (asprintf(&h->new_path, "%s/" HISTORY_FILE ".new", config->folder) < 0)
		h->new_path = NULL;
	h->config.folder = NULL;
	if (!h->path || !h->new_path) {
		history_free(h);
		return -ENOMEM;
	}
	h->config.clock(&wall, &mono, h->config.user);
	h->offset = wall - mono;
	r = history_begin(h);
	if (r == 0) {
		h->observer = (struct model_observer){ .user = h, .on_transition = on_transition };
		model_observe(m, &h->observer);
	} else {
		history_none(h, r);
	}
	*ret_history = h;
	return 0;
}

void history_yield(struct history *h)
{
	if (!h || h->fd < 0)
		return;
	model_unobserve(h->model, &h->observer);
	model_observe(h->model, &h->observer);
}

void history_free(struct history *h)
{
	if (!h)
		return;
	compact_cancel(h);
	if (h->fd >= 0) {
		int64_t wall = history_clock(h);

		model_unobserve(h->model, &h->observer);
		history_printf(h, wall, "end\t%lld\n", (long long)wall);
		history_flush(h, wall);
		close(h->fd);
	}
	buf_free(&h->line);
	buf_free(&h->waiting);
	free(h->path);
	free(h->new_path);
	free(h->off);
	free(h);
}

const char *history_off(const struct history *h)
{
	if (!h)
		return "kith.conf says history = false";
	if (h->fd >= 0)
		return NULL;
	return h->off ? h->off : "out of memory";
}

void history_jump(struct history *h)
{
	if (h && h->fd >= 0)
		history_clock(h);
}

void history_tick(struct history *h)
{
	int64_t wall;

	if (!h || h->fd < 0)
		return;
	wall = history_clock(h);
	history_flush(h, wall);
	if (wall - h->touched >= TOUCH_EVERY || wall < h->touched)
		history_check_file(h, wall);
	if (h->fd < 0)
		return;
	for (int i = 0; i < COMPACT_STEPS && h->fd >= 0; i++)
		history_compact(h, wall, 1);
}

void history_unreadable(struct history *h, uint64_t n)
{
	uint64_t before = h->counts.unreadable;

	h->counts.unreadable = n;
	if (n > before)
		history_say(h, KITH_WARNING, "%s: %llu lines cannot be read and are passed over", h->path, (unsigned long long)n);
}

void history_counts(const struct history *h, struct history_counts *ret_counts)
{
	*ret_counts = h->counts;
	ret_counts->size = (uint64_t)h->size;
	ret_counts->waiting = h->waiting.length;
}
