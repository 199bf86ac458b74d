/* The past as samples: the ring that kithd hands over, and segments for what is not in it */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "plugin.h"
#include "store/fold/answer.h"
#include "store/segment.h"

#define GAP (30 * NS_PER_S)      /* without a chunk: kithd was not there */
#define BEFORE (3600 * NS_PER_S) /* what is read before the time that is asked for: a counter's last value, a state's */

struct chunk {
	struct segment_head head;
	const uint8_t *data; /* of the ring; NULL: of a file */
	size_t length;
};

int past_add(struct past_point **points, size_t *n, size_t *size, const struct past_point *point)
{
	if (*n == *size) {
		size_t more = *size ? *size * 2 : 64;
		struct past_point *grown = realloc(*points, more * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		*points = grown;
		*size = more;
	}
	(*points)[(*n)++] = *point;
	return 0;
}

static char **states_copy(char *const *states)
{
	size_t n = 0;
	char **copy;

	while (states[n])
		n++;
	copy = calloc(n + 1, sizeof(*copy));
	for (size_t i = 0; copy && i < n; i++)
		if (!(copy[i] = strdup(states[i])))
			return NULL; /* the process ends */
	return copy;
}

struct past_series *past_series_get(struct past *p, const char *family, const char *instance, const char *metric, const char *unit, uint32_t kind,
                                    char *const *states, int64_t hold)
{
	struct buf name = BUF_INIT;
	struct past_series *s;

	buf_printf(&name, "%s%s%s:%s", family, *instance ? ":" : "", instance, metric);
	if (name.failed)
		return NULL;
	HASH_FIND_STR(p->series, name.data, s);
	if (s) {
		buf_free(&name);
		return s;
	}
	s = calloc(1, sizeof(*s));
	if (!s || asprintf(&s->unit, "%s%s", unit, kind == KITH_COUNTER ? "/s" : "") < 0)
		return NULL;
	s->name = buf_take(&name);
	s->counter = kind == KITH_COUNTER;
	s->hold = hold;
	if (kind == KITH_STATE && states && !(s->states = states_copy(states)))
		return NULL;
	HASH_ADD_KEYPTR(hh, p->series, s->name, strlen(s->name), s);
	return s;
}

/* ---- samples -------------------------------------------------------------------------------------------------------- */

static int on_instance(struct unpack_instance *i, void *user)
{
	struct past *p = user;
	const struct unpack_family *f = i->family;
	struct past_series **wanted = NULL;

	if (!patterns_family(&p->patterns, f->name))
		return 0;
	for (uint32_t k = 0; k < f->n; k++) {
		const struct unpack_metric *m = &f->metrics[k];

		if (!patterns_series(&p->patterns, f->name, i->name, m->name))
			continue;
		if (!wanted && !(wanted = calloc(f->n, sizeof(struct past_series *))))
			return -ENOMEM;
		wanted[k] = past_series_get(p, f->name, i->name, m->name, m->unit, m->kind, m->states,
		                            m->flags & KITH_METRIC_EVENT ? 0 : f->stale_after);
		if (!wanted[k])
			return -ENOMEM;
		/* Another kithd may have begun: what it counts from is not known. */
		wanted[k]->last_time = 0;
	}
	i->user = wanted; /* few, and the process is short-lived */
	return 0;
}

static int on_sample(const struct unpack_instance *i, uint32_t metric, double value, int64_t time, bool extra, void *user)
{
	struct past *p = user;
	struct past_series *s = ((struct past_series **)i->user)[metric];
	struct past_point point = { time, value, NAN, NAN };

	(void)extra;
	if (!s)
		return 0;
	if (s->counter) {
		double last = s->last;
		int64_t before = s->last_time;

		s->last = value;
		s->last_time = time;
		if (!before || time <= before)
			return 0;
		/* After a reset it counts from nought. */
		point.value = (value < last ? value : value - last) * 1e9 / (double)(time - before);
	}
	if (time < p->from - BEFORE || time > p->to)
		return 0;
	return past_add(&s->points, &s->n, &s->size, &point);
}

static const struct unpack_fns fns = { .instance = on_instance, .sample = on_sample };

/* Nobody knows what was in the meantime: a point without a value ends what stood until then. */
static int gap(struct past *p)
{
	struct past_point none = { p->heard, NAN, NAN, NAN };
	int r = 0;

	for (struct past_series *s = p->series; r == 0 && s; s = s->hh.next)
		if (s->n && !isnan(s->points[s->n - 1].value))
			r = past_add(&s->points, &s->n, &s->size, &none);
	return r;
}

static int chunk_read(struct past *p, int folder, const struct chunk *c)
{
	struct segment s = { .data = (uint8_t *)(uintptr_t)c->data, .length = c->length, .head = c->head };
	struct unpacker *u;
	int r = c->data ? 0 : segment_read(folder, c->head.number, &s);

	if (r < 0)
		return r == -ENOMEM ? r : 0; /* removed meanwhile, or of no use */
	if (p->heard && s.head.begin - p->heard > GAP && (r = gap(p)) < 0)
		return r;
	r = unpacker_new(s.head.begin, &fns, p, &u);
	if (r == 0) {
		r = unpacker_feed(u, s.data, s.length);
		p->heard = unpacker_time(u);
		unpacker_free(u);
	}
	if (!c->data)
		segment_free(&s);
	return r == -EBADMSG ? 0 : r; /* as far as it can be read */
}

/* ---- which ----------------------------------------------------------------------------------------------------------- */

static int chunks_add(struct chunk **chunks, size_t *n, const struct chunk *c)
{
	struct chunk *more = realloc(*chunks, (*n + 1) * sizeof(*more));

	if (!more)
		return -ENOMEM;
	*chunks = more;
	more[(*n)++] = *c;
	return 0;
}

static int ring_chunks(const uint8_t *ring, size_t length, struct chunk **chunks, size_t *n)
{
	int r = 0;

	while (r == 0 && length >= SEGMENT_HEAD + 8 && memcmp(ring, "\377\377\377\377\377\377\377\377", 8) != 0) {
		struct chunk c = { 0 };
		uint64_t number, begin, size;

		memcpy(&number, ring + 16, 8);
		memcpy(&begin, ring + 24, 8);
		memcpy(&size, ring + SEGMENT_HEAD, 8);
		c.head = (struct segment_head){ le64toh(number), (int64_t)le64toh(begin) };
		c.length = le64toh(size);
		ring += SEGMENT_HEAD + 8;
		length -= SEGMENT_HEAD + 8;
		if (c.length > length)
			return -EBADMSG;
		c.data = ring;
		ring += c.length;
		length -= c.length;
		r = chunks_add(chunks, n, &c);
	}
	return r;
}

/* Of those on disk, what the ring does not have. Where the next one begins before the time that is asked for, it is left out. */
static int file_chunks(int folder, uint64_t before, struct chunk **chunks, size_t *n)
{
	struct segment_file *files = NULL;
	size_t n_files = 0;
	int r = segment_list(folder, &files, &n_files);

	for (size_t i = 0; r == 0 && i < n_files && files[i].number < before; i++) {
		struct chunk c = { .head = { .number = files[i].number } };
		uint8_t head[SEGMENT_HEAD];
		char name[SEGMENT_NAME_SIZE];
		struct segment s;
		int fd;

		segment_name(files[i].number, name);
		fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
		if (fd < 0)
			continue;
		if (read(fd, head, sizeof(head)) == (ssize_t)sizeof(head) && segment_parse(head, sizeof(head), &s) == 0) {
			c.head = s.head;
			segment_free(&s);
			r = chunks_add(chunks, n, &c);
		}
		close(fd);
	}
	free(files);
	return r;
}

int past_read_journal(struct past *p, const uint8_t *ring, size_t length)
{
	struct chunk *of_ring = NULL, *chunks = NULL;
	size_t n_ring = 0, n = 0;
	char *path = NULL;
	int folder = -1, r = ring_chunks(ring, length, &of_ring, &n_ring);

	if (r == 0 && asprintf(&path, "%s/journal", p->state) < 0)
		r = -ENOMEM;
	if (r == 0)
		folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder >= 0)
		r = file_chunks(folder, n_ring ? of_ring[0].head.number : UINT64_MAX, &chunks, &n);
	for (size_t i = 0; r == 0 && i < n_ring; i++)
		r = chunks_add(&chunks, &n, &of_ring[i]);
	for (size_t i = 0; r == 0 && i < n; i++)
		if (i + 1 == n || chunks[i + 1].head.begin >= p->from - BEFORE)
			r = chunk_read(p, folder, &chunks[i]);
	if (folder >= 0)
		close(folder);
	free(path);
	free(of_ring);
	free(chunks);
	return r;
}
