/*
 * Flapping: a promise that broke FLAP_BEGIN times within the last ten minutes does, until it broke fewer than FLAP_END times within them.
 * Counted in ten parts of a minute: 24 bytes a promise, and nothing to do for one that does not break.
 */
#include <string.h>

#include "promises/engine.h"

#define FLAP_PARTS KITH_COUNT(((struct flaps *)0)->breaks)
#define FLAP_PART (FLAP_WINDOW / FLAP_PARTS)
#define FLAP_BEGIN 5
#define FLAP_END 2

/* The parts move on: the newest is the last. */
static void flaps_move(struct flaps *f, int64_t time)
{
	int64_t parts = (time - f->at) / FLAP_PART;

	if (parts <= 0)
		return;
	if (parts >= FLAP_PARTS)
		memset(f->breaks, 0, sizeof(f->breaks));
	else {
		memmove(f->breaks, f->breaks + parts, FLAP_PARTS - (size_t)parts);
		memset(f->breaks + FLAP_PARTS - parts, 0, (size_t)parts);
	}
	f->at += parts * FLAP_PART;
}

static unsigned flaps_sum(const struct flaps *f)
{
	unsigned n = 0;

	for (unsigned i = 0; i < FLAP_PARTS; i++)
		n += f->breaks[i];
	return n;
}

static void flaps_say(struct promise *pr, int64_t time, unsigned n)
{
	const struct rule *r = pr->live->rule;
	struct kith_field field = { "promiser", pr->promiser };
	struct kith_record record = { .size = sizeof(record), .priority = n ? KITH_WARNING : KITH_NOTICE, .time = time, .subject = r->name,
		                      .fields = &field, .n_fields = 1 };
	struct buf text = BUF_INIT;

	buf_printf(&text, "promise %s of %s ", r->name, pr->promiser);
	if (n)
		buf_printf(&text, "flaps: broke %u times in 10 min", n);
	else
		buf_puts(&text, "flaps no more");
	record.message = buf_text(&text);
	model_record(pr->engine->model, &record);
	buf_free(&text);
}

void flapping_broke(struct promise *pr, int64_t time)
{
	struct flaps *f = &pr->flaps;

	/* Of one that was quiet the parts begin here. */
	if (!f->at || time - f->at >= FLAP_PARTS * FLAP_PART)
		*f = (struct flaps){ .at = time, .flaps = f->flaps };
	flaps_move(f, time);
	if (f->breaks[FLAP_PARTS - 1] < UINT8_MAX)
		f->breaks[FLAP_PARTS - 1]++;
	if (f->flaps || flaps_sum(f) < FLAP_BEGIN)
		return;
	f->flaps = true;
	flaps_say(pr, time, flaps_sum(f));
}

void flapping_due(struct promise *pr, int64_t time)
{
	struct flaps *f = &pr->flaps;

	if (!f->flaps)
		return;
	flaps_move(f, time);
	if (flaps_sum(f) >= FLAP_END)
		return;
	f->flaps = false;
	flaps_say(pr, time, 0);
}

int64_t flapping_next(const struct promise *pr)
{
	return pr->flaps.flaps ? pr->flaps.at + FLAP_PART : 0;
}

unsigned flapping_count(const struct promise *pr)
{
	return pr->flaps.flaps ? flaps_sum(&pr->flaps) : 0;
}
