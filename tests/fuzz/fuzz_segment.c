/* Any bytes as a segment: what is taken of it is bounded by its length, and the chunk that it holds, fed in any pieces, tells the same */
#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "plugin.h"
#include "store/pack.h"
#include "store/segment.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct told {
	uint64_t samples, instances, ends, sum;
};

static int on_instance(struct unpack_instance *i, void *user)
{
	struct told *t = user;

	if (!i->family->n || i->family->n > PACK_METRICS || strlen(i->name) > PACK_TEXT_MAX || i->place >= PACK_PLACES)
		abort();
	t->instances++;
	/* Some are not wanted. */
	i->user = t->instances % 5 ? t : NULL;
	return 0;
}

static int on_sample(const struct unpack_instance *i, uint32_t metric, double value, int64_t time, bool extra, void *user)
{
	struct told *t = user;
	const struct unpack_metric *m = &i->family->metrics[metric];

	if (metric >= i->family->n || !isfinite(value) || (m->kind == KITH_STATE && (value < 0 || value >= m->n_states || !m->states[(size_t)value])))
		abort();
	t->samples++;
	t->sum = t->sum * 31 + (uint64_t)time + metric + extra;
	return 0;
}

static int on_end(const struct unpack_instance *i, int64_t time, void *user)
{
	struct told *t = user;

	(void)time;
	if (!i->name)
		abort();
	t->ends++;
	return 0;
}

static int on_start(int64_t time, void *user)
{
	(void)time;
	(void)user;
	return 0;
}

static int feed(const uint8_t *data, size_t size, struct told *t)
{
	static const struct unpack_fns fns = { on_instance, on_sample, on_end, on_start };
	struct unpacker *u;
	int r;

	if (unpacker_new(1000, &fns, t, &u) < 0)
		abort();
	r = unpacker_feed(u, data, size);
	if (r != 0 && r != -EBADMSG && r != -ENOMEM)
		abort();
	/* Runs tell several by one byte */
	if (unpacker_samples(u) > size * 64 || t->samples > unpacker_samples(u))
		abort();
	unpacker_free(u);
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct told a = { 0 }, b = { 0 };
	struct segment s;

	if (segment_parse(data, size, &s) == 0) {
		if (s.length > size || s.file_length + s.lost != size)
			abort();
		feed(s.data, s.length, &a);
		segment_free(&s);
		return 0;
	}
	if (feed(data, size, &a) != feed(data, size, &b) || memcmp(&a, &b, sizeof(a)) != 0)
		abort();
	return 0;
}
