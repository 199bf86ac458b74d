#include "store/pack.h"

#include <errno.h>
#include <string.h>

#include "store/pack_scale.h"

#define NUMBER_MAX 10u      /* bytes */
#define KIB_FROM 1048576.0  /* values from which on 1024 is tried as a scale */

static uint8_t *put_number(uint8_t *at, uint64_t number)
{
	while (number >= 0x80) {
		*at++ = (uint8_t)(number | 0x80);
		number >>= 7;
	}
	*at++ = (uint8_t)number;
	return at;
}

static uint64_t fold(int64_t number)
{
	return (uint64_t)number << 1 ^ (number < 0 ? UINT64_MAX : 0);
}

static uint8_t *put_text(uint8_t *at, const char *text, size_t length)
{
	at = put_number(at, length);
	memcpy(at, text, length);
	return at + length;
}

void packer_begin(struct packer *p, uint32_t chunk, uint8_t *data, size_t size, int64_t time)
{
	*p = (struct packer){ .data = data, .size = size, .chunk = chunk, .time = time };
}

void packer_settle(struct packer *p)
{
	p->run = NULL;
}

/* ---- what there is ------------------------------------------------------------------------------------------------- */

static size_t text_size(const char *text)
{
	return strlen(text) + NUMBER_MAX;
}

static size_t family_size(const char *name, const char *label, const struct pack_metric *metrics, uint32_t n)
{
	size_t size = 1 + text_size(name) + text_size(label) + 2 * NUMBER_MAX;

	for (uint32_t i = 0; i < n; i++) {
		size += text_size(metrics[i].name) + text_size(metrics[i].unit) + 3 * NUMBER_MAX;
		for (uint32_t k = 0; k < metrics[i].n_states; k++)
			size += text_size(metrics[i].states[k]);
	}
	return size;
}

static uint8_t *put_metric(uint8_t *at, const struct pack_metric *m)
{
	at = put_text(at, m->name, strlen(m->name));
	at = put_text(at, m->unit, strlen(m->unit));
	at = put_number(at, m->kind);
	at = put_number(at, m->flags);
	at = put_number(at, m->n_states);
	for (uint32_t k = 0; k < m->n_states; k++)
		at = put_text(at, m->states[k], strlen(m->states[k]));
	return at;
}

int packer_family(struct packer *p, const char *name, const char *label, int64_t stale_after, const struct pack_metric *metrics, uint32_t n)
{
	uint8_t *at = p->data + p->length;

	if (family_size(name, label, metrics, n) > p->size - p->length)
		return -ENOSPC;
	*at++ = PACK_FAMILY;
	at = put_text(at, name, strlen(name));
	at = put_text(at, label, strlen(label));
	at = put_number(at, fold(stale_after));
	at = put_number(at, n);
	for (uint32_t i = 0; i < n; i++)
		at = put_metric(at, &metrics[i]);
	p->length = (size_t)(at - p->data);
	p->run = NULL;
	return 0;
}

int packer_instance(struct packer *p, struct pack_place *place, uint32_t family, const char *name)
{
	uint8_t *at = p->data + p->length;

	if (1 + 2 * NUMBER_MAX + text_size(name) > p->size - p->length)
		return -ENOSPC;
	*at++ = PACK_INSTANCE;
	at = put_number(at, place->number);
	at = put_number(at, family);
	at = put_text(at, name, strlen(name));
	p->length = (size_t)(at - p->data);
	p->run = NULL;
	place->chunk = p->chunk;
	for (uint32_t i = 0; i < place->n; i++)
		place->cells[i] = (struct pack_cell){ .next = place->number * PACK_METRICS + i + 1 };
	return 0;
}

int packer_end(struct packer *p, struct pack_place *place)
{
	uint8_t *at = p->data + p->length;

	if (p->last >= place->cells && p->last < place->cells + place->n)
		p->last = NULL;
	if (place->chunk != p->chunk)
		return 0;
	if (1 + NUMBER_MAX > p->size - p->length)
		return -ENOSPC;
	*at++ = PACK_END;
	at = put_number(at, place->number);
	p->length = (size_t)(at - p->data);
	p->run = NULL;
	return 0;
}

int packer_start(struct packer *p)
{
	if (p->length == p->size)
		return -ENOSPC;
	p->data[p->length++] = PACK_START;
	p->run = NULL;
	return 0;
}

/* ---- samples ------------------------------------------------------------------------------------------------------- */

/* The first scale after `from` that the value fits: a series goes from coarse ones to fine ones, and never back, or it would go to and fro. */
static uint8_t *put_scale(uint8_t *at, struct pack_cell *c, double value, double before)
{
	uint64_t bits, last = 0;
	unsigned scale, n = 0;
	int64_t number;

	for (scale = c->scale + 1u; scale <= PACK_SCALES; scale++)
		if (!(scale == 1 && fabs(value) < KIB_FROM) && scale_fits(scale, value, &number)) {
			c->scale = (uint8_t)scale;
			*at++ = (uint8_t)(PACK_SCALE + scale - 1);
			return put_number(at, fold(number));
		}
	memcpy(&bits, &value, sizeof(bits));
	if (c->scale != PACK_NONE)
		memcpy(&last, &before, sizeof(last));
	c->scale = PACK_BITS_SCALE;
	bits ^= last;
	while (n < 8 && bits >> 8 * n)
		n++;
	*at++ = (uint8_t)(PACK_BITS + n);
	for (unsigned i = 0; i < n; i++)
		*at++ = (uint8_t)(bits >> 8 * i);
	return at;
}

static uint8_t *put_value(uint8_t *at, struct pack_cell *c, double value, double before)
{
	int64_t number, last;

	if (c->scale == PACK_NONE || c->scale == PACK_BITS_SCALE || !scale_fits(c->scale, value, &number))
		return put_scale(at, c, value, before);
	last = llrint(scale_multiply(c->scale, before));
	number -= last;
	if (number >= -63 && number <= 63) {
		*at++ = (uint8_t)(number + 63);
		return at;
	}
	*at++ = PACK_FAR;
	return put_number(at, fold(number));
}

static uint8_t *put_place(struct packer *p, uint8_t *at, uint32_t series)
{
	*at++ = PACK_SERIES;
	at = put_number(at, series);
	if (p->last)
		p->last->next = series;
	p->run = NULL;
	return at;
}

static uint8_t *put_time(struct packer *p, uint8_t *at, int64_t time, bool extra)
{
	if (time != p->time || (p->extra && !extra)) {
		*at++ = PACK_TIME;
		/* Unsigned: a clock that was set by centuries is no reason to overflow. */
		at = put_number(at, fold((int64_t)((uint64_t)time - (uint64_t)p->time)));
		p->time = time;
		p->extra = false;
	}
	if (extra && !p->extra) {
		*at++ = PACK_EXTRA;
		p->extra = true;
	}
	p->run = NULL;
	return at;
}

static bool same(double a, double b)
{
	return memcmp(&a, &b, sizeof(a)) == 0;
}

void packer_put(struct packer *p, struct pack_place *place, uint32_t metric, double value, double before, int64_t time, bool extra)
{
	struct pack_cell *c = &place->cells[metric];
	uint32_t series = place->number * PACK_METRICS + metric;
	uint8_t *at = p->data + p->length;

	if (time != p->time || extra != p->extra)
		at = put_time(p, at, time, extra);
	if (series != p->expected)
		at = put_place(p, at, series);
	if (c->scale == PACK_NONE || !same(value, before)) {
		at = put_value(at, c, value, before);
		p->run = NULL;
	} else if (p->run && *p->run < PACK_RUN_LAST) {
		++*p->run;
	} else {
		p->run = at;
		*at++ = PACK_RUN;
	}
	p->length = (size_t)(at - p->data);
	p->last = c;
	p->expected = c->next;
	p->samples++;
}
