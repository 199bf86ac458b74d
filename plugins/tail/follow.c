/* One file: what is new in it becomes records. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "tail/tail.h"


#define HOLE_READS 16 /* of READ_BYTES each, in one look at a file */
#define WAIT_FOR_RATE (100 * NS_PER_MS) /* until the next look at a file that brought more than its rate */

/* ---- its beginning ------------------------------------------------------------------------------------------------------- */

static uint64_t sum_of(const char *data, size_t length)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < length; i++)
		h = (h ^ (unsigned char)data[i]) * UINT64_C(0x100000001b3);
	return h;
}

bool head_read(int fd, int64_t size, struct head *ret_head)
{
	char data[HEAD_BYTES];
	size_t want = size < HEAD_BYTES ? (size_t)size : HEAD_BYTES;
	ssize_t n = want ? pread(fd, data, want, 0) : 0;

	if (n < 0 || (size_t)n < want)
		return false;
	*ret_head = (struct head){ (uint32_t)want, sum_of(data, want) };
	return true;
}

bool head_same(int fd, const struct head *head)
{
	struct head now;

	return !head->length || (head_read(fd, head->length, &now) && now.sum == head->sum);
}

/* ---- one record ------------------------------------------------------------------------------------------------------------ */

/* Words by which a text says how urgent it is, in any case */
static const struct {
	const char *word;
	uint32_t priority;
} words[] = {
	{ "emerg", KITH_EMERG }, { "emergency", KITH_EMERG }, { "panic", KITH_EMERG }, { "alert", KITH_ALERT }, { "crit", KITH_CRIT },
	{ "critical", KITH_CRIT }, { "fatal", KITH_CRIT }, { "severe", KITH_CRIT }, { "err", KITH_ERR }, { "error", KITH_ERR },
	{ "warn", KITH_WARNING }, { "warning", KITH_WARNING }, { "notice", KITH_NOTICE }, { "info", KITH_INFO }, { "debug", KITH_DEBUG },
	{ "trace", KITH_DEBUG },
};

#define GUESS_BYTES 128 /* of a text that are looked at */

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* The first such word near its beginning; `otherwise` without one */
static uint32_t guess_priority(const char *text, uint32_t otherwise)
{
	for (const char *p = text; *p && p < text + GUESS_BYTES;) {
		const char *from = p;

		while (is_letter(*p))
			p++;
		for (size_t i = 0; p > from && i < KITH_COUNT(words); i++)
			if (strlen(words[i].word) == (size_t)(p - from) && !strncasecmp(from, words[i].word, (size_t)(p - from)))
				return words[i].priority;
		if (p == from)
			p++;
	}
	return otherwise;
}

static void record(struct file *f, char *data, const struct piece *p)
{
	struct name *n = f->name;
	struct tail *t = n->t;
	size_t length = p->length;
	bool cut = p->cut;
	char *text = data;

	if (p->lines > 1) {
		length = split_join(data, length, t->joined, &cut);
		text = t->joined;
	}
	if (n->syslog)
		line_parse(text, length, 0, &t->clock, &t->line);
	else
		line_plain(text, length, &t->line);
	entry_fill(&t->entry, &t->line, t->clock.now, n->guess ? guess_priority(t->line.message, n->priority) : n->priority, n->base);
	entry_add(&t->entry, "file", n->path);
	if (cut)
		entry_add(&t->entry, "cut", "yes");
	t->h->record(t->h, &t->entry.record);
}

/* ---- reading ------------------------------------------------------------------------------------------------------------------ */

static void refill(struct name *n)
{
	struct tail *t = n->t;

	if (t->mono > n->tokens_at)
		n->tokens += (double)(t->mono - n->tokens_at) / (double)NS_PER_S * t->rate;
	if (n->tokens > t->burst)
		n->tokens = t->burst;
	n->tokens_at = t->mono;
}

/* What is in the buffer, as records. false: the file has to wait for its rate; *ret_used: bytes that are done with */
static bool take_pieces(struct file *f, size_t length, bool final, bool drop, size_t *ret_used)
{
	struct name *n = f->name;
	struct tail *t = n->t;
	size_t at = 0;
	struct piece p;

	f->waits = false;
	for (;;) {
		/* Of a hole: a writer without O_APPEND goes on at its old place in a file that was emptied. */
		while (at < length && !t->buffer[at] && !f->split.skip)
			at++;
		if (n->tokens < 1 && !drop) {
			*ret_used = at;
			return false;
		}
		if (!split_next(&f->split, &n->rules, t->buffer + at, length - at, !at && length == READ_BYTES, final, &p))
			break;
		if (!p.none) {
			n->counts[LINES] += p.lines;
			if (n->tokens >= 1) {
				n->tokens--;
				record(f, t->buffer + at, &p);
			} else {
				n->counts[DROPPED] += p.lines;
			}
		}
		at += p.used;
	}
	f->waits = at < length;
	*ret_used = at;
	return true;
}

/* It was emptied, or written anew: what it holds is new. */
static void check_truncated(struct file *f, int64_t size)
{
	if (size >= f->offset && head_same(f->fd, &f->head))
		return;
	f->offset = 0;
	f->head = (struct head){ 0 };
	f->split = (struct split){ 0 };
	f->name->counts[TRUNCATED]++;
	f->name->changed = true;
}

/* Nothing comes after what is there, or nothing came for the time that lines of one record may take */
static bool is_final(const struct file *f, int64_t size, size_t length)
{
	const struct tail *t = f->name->t;
	bool all = f->offset + (int64_t)length >= size;

	if (!all)
		return false;
	if (f->rotated && t->mono - f->grown >= t->wait)
		return true;
	/* A line without an end is not whole, however long it stands there. */
	return f->name->rules.several && length && t->buffer[length - 1] == '\n' && t->mono - f->grown >= t->wait;
}

/* What its end asks for: a look once what is left had its time, or once nothing was written to it for long. */
static int64_t at_end(struct file *f)
{
	const struct tail *t = f->name->t;

	f->ended |= f->rotated && !f->waits;
	if (f->waits && (f->name->rules.several || f->rotated))
		return t->wait;
	return f->rotated ? t->linger : LOOK_NEVER;
}

/* Some bytes from its offset on; where there is nothing but NULs, from behind them. */
static ssize_t read_some(struct file *f)
{
	char *data = f->name->t->buffer;

	for (int i = 0; i < HOLE_READS; i++) {
		ssize_t got = pread(f->fd, data, READ_BYTES, f->offset), nuls = 0;
		off_t behind;

		while (nuls < got && !data[nuls])
			nuls++;
		if (nuls < got || got <= 0 || f->split.skip)
			return got;
		behind = lseek(f->fd, f->offset, SEEK_DATA);
		if (behind < 0 && errno == ENXIO)
			behind = lseek(f->fd, 0, SEEK_END); /* nothing else is behind it */
		f->offset = behind > f->offset + nuls ? behind : f->offset + nuls;
	}
	return 0;
}

int64_t file_read(struct file *f)
{
	struct name *n = f->name;
	struct tail *t = n->t;
	size_t used = 0;
	struct stat st;
	ssize_t got;
	bool drop, in_time;

	if (fstat(f->fd, &st) < 0)
		return LOOK_NEVER;
	check_truncated(f, st.st_size);
	if (st.st_size != f->size) {
		f->size = st.st_size;
		f->grown = t->mono;
	}
	if (f->head.length < HEAD_BYTES && st.st_size > f->head.length)
		head_read(f->fd, st.st_size, &f->head);
	got = read_some(f);
	if (got <= 0) {
		f->waits = false;
		return f->offset < st.st_size && got == 0 ? 0 : at_end(f);
	}
	refill(n);
	drop = st.st_size - f->offset > t->max_lag;
	in_time = take_pieces(f, (size_t)got, is_final(f, st.st_size, (size_t)got), drop, &used);
	f->offset += (int64_t)used;
	n->counts[BYTES] += (double)used;
	if (used) {
		n->changed = true;
		tail_save_soon(t);
	}
	if (!in_time)
		return WAIT_FOR_RATE;
	/* What is left may be the beginning of what comes. */
	return !used || f->offset + (got - (ssize_t)used) >= st.st_size ? at_end(f) : 0;
}

void file_rotate(struct file *f)
{
	if (f->rotated)
		return;
	f->rotated = true;
	f->ended = false;
	f->dirty = true;
	f->grown = f->name->t->mono;
	f->name->counts[ROTATED]++;
	f->name->changed = true;
}

bool file_is_over(const struct file *f)
{
	return f->rotated && f->ended && f->name->t->mono - f->grown >= f->name->t->linger;
}

static void let_go(struct file *f)
{
	for (struct file *o = f->name->t->files; o; o = o->next)
		if (o->before == f)
			o->before = NULL;
}

void file_rename(struct file *f, struct name *n)
{
	let_go(f);
	f->name = n;
	f->rotated = f->ended = false;
	f->dirty = true;
}

/* ---- its life ------------------------------------------------------------------------------------------------------------------ */

/* By its descriptor, so that it is this very file whatever its name leads to by now */
static int watch_file(struct tail *t, int fd)
{
	char path[40];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return inotify_add_watch(t->notify, path, IN_MODIFY);
}

int file_new(struct name *n, int fd, const struct stat *st, bool start, const struct place *place, struct file **ret_file)
{
	struct tail *t = n->t;
	struct file *f = calloc(1, sizeof(*f)), **end = &t->files;

	if (!f) {
		close(fd);
		return -ENOMEM;
	}
	*f = (struct file){ .name = n, .fd = fd, .dev = st->st_dev, .ino = st->st_ino, .dirty = true, .size = st->st_size, .grown = t->mono };
	f->wd = watch_file(t, fd);
	if (f->wd < 0)
		t->h->log(t->h, KITH_WARNING, "%s cannot be watched: %s; see fs.inotify.max_user_watches", n->path, strerror(errno));
	f->offset = place ? place->offset : start ? 0 : st->st_size;
	f->saved = f->save_next = f->offset;
	head_read(fd, st->st_size, &f->head);
	/* In the order of their beginnings: what took another's place comes after it. */
	while (*end)
		end = &(*end)->next;
	*end = f;
	*ret_file = f;
	return 0;
}

void file_free(struct file *f)
{
	struct tail *t = f->name->t;
	struct file **at = &t->files;

	let_go(f);
	while (*at != f)
		at = &(*at)->next;
	*at = f->next;
	if (f->wd >= 0)
		inotify_rm_watch(t->notify, f->wd);
	close(f->fd);
	free(f);
}
