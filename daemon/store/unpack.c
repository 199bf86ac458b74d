/* Reading what pack.c writes, and what a damaged disk or somebody else may have made of it: everything is checked, and bounded by its own length. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/pack.h"
#include "plugin.h"
#include "store/pack_scale.h"

#define CELLS_MAX (1u << 20) /* of all instances of a chunk: 24 MiB */
#define STATES_MAX 4096u     /* of a metric */
#define FAMILIES_MAX 4096u

struct unpacker {
	const struct unpack_fns *fns;
	void *user;
	struct unpack_instance **places; /* by number */
	uint32_t n_places;
	struct unpack_family **families;
	uint32_t n_families;
	uint32_t n_cells;
	struct unpack_cell *last;        /* of the sample before, and whose it is */
	struct unpack_instance *last_of;
	uint32_t expected;
	int64_t time;
	bool extra;
	uint64_t samples;
	const uint8_t *at, *end;         /* of what is being fed */
};

int unpacker_new(int64_t time, const struct unpack_fns *fns, void *user, struct unpacker **ret_unpacker)
{
	struct unpacker *u = calloc(1, sizeof(*u));

	if (!u)
		return -ENOMEM;
	u->fns = fns;
	u->user = user;
	u->time = time;
	*ret_unpacker = u;
	return 0;
}

static void family_free(struct unpack_family *f)
{
	for (uint32_t i = 0; f->metrics && i < f->n; i++) {
		for (uint32_t k = 0; f->metrics[i].states && k < f->metrics[i].n_states; k++)
			free(f->metrics[i].states[k]);
		free(f->metrics[i].states);
		free(f->metrics[i].name);
		free(f->metrics[i].unit);
	}
	free(f->metrics);
	free(f->name);
	free(f->label);
	free(f);
}

static void place_free(struct unpacker *u, uint32_t number)
{
	struct unpack_instance *i = u->places[number];

	if (!i)
		return;
	if (u->last_of == i)
		u->last = NULL;
	u->n_cells -= i->family->n;
	u->places[number] = NULL;
	free(i->name);
	free(i);
}

void unpacker_free(struct unpacker *u)
{
	if (!u)
		return;
	for (uint32_t i = 0; i < u->n_places; i++)
		place_free(u, i);
	free(u->places);
	for (uint32_t i = 0; i < u->n_families; i++)
		family_free(u->families[i]);
	free(u->families);
	free(u);
}

int64_t unpacker_time(const struct unpacker *u)
{
	return u->time;
}

uint64_t unpacker_samples(const struct unpacker *u)
{
	return u->samples;
}

/* ---- numbers and texts -------------------------------------------------------------------------------------------- */

static int take_number(struct unpacker *u, uint64_t *ret_number)
{
	uint64_t number = 0;

	for (unsigned shift = 0; shift < 64; shift += 7) {
		uint8_t byte;

		if (u->at == u->end)
			return -EBADMSG;
		byte = *u->at++;
		number |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80)) {
			*ret_number = number;
			return 0;
		}
	}
	return -EBADMSG;
}

static int take_signed(struct unpacker *u, int64_t *ret_number)
{
	uint64_t number;
	int r = take_number(u, &number);

	if (r == 0)
		*ret_number = (int64_t)(number >> 1 ^ (number & 1 ? UINT64_MAX : 0));
	return r;
}

static int take_u32(struct unpacker *u, uint32_t most, uint32_t *ret_number)
{
	uint64_t number;
	int r = take_number(u, &number);

	if (r < 0 || number > most)
		return -EBADMSG;
	*ret_number = (uint32_t)number;
	return 0;
}

/* Names: no NUL in them */
static int take_text(struct unpacker *u, char **ret_text)
{
	uint32_t length;
	char *text;

	if (take_u32(u, PACK_TEXT_MAX, &length) < 0 || length > (size_t)(u->end - u->at) || memchr(u->at, 0, length))
		return -EBADMSG;
	text = malloc(length + 1);
	if (!text)
		return -ENOMEM;
	memcpy(text, u->at, length);
	text[length] = '\0';
	u->at += length;
	*ret_text = text;
	return 0;
}

/* ---- what there is ------------------------------------------------------------------------------------------------- */

static int take_metric(struct unpacker *u, struct unpack_metric *m)
{
	int r = take_text(u, &m->name);

	if (r == 0)
		r = take_text(u, &m->unit);
	if (r == 0)
		r = take_u32(u, 2, &m->kind);
	if (r == 0)
		r = take_u32(u, UINT32_MAX, &m->flags);
	if (r == 0)
		r = take_u32(u, STATES_MAX, &m->n_states);
	/* Each takes a byte at least */
	if (r < 0 || !m->n_states || m->n_states > (size_t)(u->end - u->at)) {
		if (r == 0 && m->n_states)
			r = -EBADMSG;
		m->n_states = 0;
		return r;
	}
	m->states = calloc(m->n_states + 1, sizeof(*m->states));
	if (!m->states)
		return -ENOMEM;
	for (uint32_t i = 0; r == 0 && i < m->n_states; i++)
		r = take_text(u, &m->states[i]);
	return r;
}

static int take_family(struct unpacker *u)
{
	struct unpack_family *f, **more;
	int r;

	if (u->n_families == FAMILIES_MAX)
		return -EBADMSG;
	more = realloc(u->families, (u->n_families + 1) * sizeof(*more));
	if (!more)
		return -ENOMEM;
	u->families = more;
	f = calloc(1, sizeof(*f));
	if (!f)
		return -ENOMEM;
	r = take_text(u, &f->name);
	if (r == 0)
		r = take_text(u, &f->label);
	if (r == 0)
		r = take_signed(u, &f->stale_after);
	if (r == 0)
		r = take_u32(u, PACK_METRICS, &f->n);
	if (r == 0 && (!f->n || f->n > (size_t)(u->end - u->at)))
		r = -EBADMSG;
	if (r == 0 && !(f->metrics = calloc(f->n, sizeof(*f->metrics))))
		r = -ENOMEM;
	for (uint32_t i = 0; r == 0 && i < f->n; i++)
		r = take_metric(u, &f->metrics[i]);
	if (r < 0) {
		family_free(f);
		return r;
	}
	u->families[u->n_families++] = f;
	return 0;
}

static int places_grow(struct unpacker *u, uint32_t place)
{
	uint32_t n = place < 64 ? 64 : place * 2;
	struct unpack_instance **more;

	if (place < u->n_places)
		return 0;
	more = realloc(u->places, n * sizeof(struct unpack_instance *));
	if (!more)
		return -ENOMEM;
	memset(more + u->n_places, 0, (n - u->n_places) * sizeof(struct unpack_instance *));
	u->places = more;
	u->n_places = n;
	return 0;
}

static int take_instance(struct unpacker *u)
{
	const struct unpack_family *f;
	struct unpack_instance *i;
	uint32_t place, family;
	int r;

	if (take_u32(u, PACK_PLACES - 1, &place) < 0 || take_u32(u, FAMILIES_MAX, &family) < 0 || family >= u->n_families)
		return -EBADMSG;
	f = u->families[family];
	if ((r = places_grow(u, place)) < 0)
		return r;
	place_free(u, place);
	if (u->n_cells + f->n > CELLS_MAX)
		return -EBADMSG;
	i = calloc(1, sizeof(*i) + f->n * sizeof(i->cells[0]));
	if (!i)
		return -ENOMEM;
	r = take_text(u, &i->name);
	if (r < 0) {
		free(i);
		return r;
	}
	i->family = f;
	i->place = place;
	for (uint32_t k = 0; k < f->n; k++)
		i->cells[k].next = place * PACK_METRICS + k + 1;
	u->n_cells += f->n;
	u->places[place] = i;
	return u->fns->instance ? u->fns->instance(i, u->user) : 0;
}

static int take_end(struct unpacker *u)
{
	uint32_t place;
	int r = 0;

	if (take_u32(u, PACK_PLACES - 1, &place) < 0 || place >= u->n_places || !u->places[place])
		return -EBADMSG;
	if (u->fns->end)
		r = u->fns->end(u->places[place], u->time, u->user);
	place_free(u, place);
	return r;
}

/* ---- samples ------------------------------------------------------------------------------------------------------- */

/* The cell of the expected series; NULL: there is none */
static struct unpack_cell *expected(const struct unpacker *u, struct unpack_instance **ret_instance)
{
	uint32_t place = u->expected / PACK_METRICS, metric = u->expected % PACK_METRICS;
	struct unpack_instance *i = place < u->n_places ? u->places[place] : NULL;

	if (!i || metric >= i->family->n)
		return NULL;
	*ret_instance = i;
	return &i->cells[metric];
}

/* It has a new value: of a state, one of its names */
static bool cell_valid(const struct unpack_instance *i, const struct unpack_cell *c)
{
	const struct unpack_metric *m = &i->family->metrics[c - i->cells];

	return isfinite(c->value) && (m->kind != KITH_STATE || (c->value >= 0 && c->value < m->n_states && c->value == rint(c->value)));
}

static int tell(struct unpacker *u, struct unpack_instance *i, struct unpack_cell *c)
{
	u->last = c;
	u->last_of = i;
	u->expected = c->next;
	u->samples++;
	if (!u->fns->sample || (u->fns->instance && !i->user))
		return 0;
	return u->fns->sample(i, (uint32_t)(c - i->cells), c->value, u->time, u->extra, u->user);
}

static int take_run(struct unpacker *u, unsigned n)
{
	struct unpack_instance *i;
	struct unpack_cell *c;
	int r = 0;

	while (r == 0 && n--) {
		c = expected(u, &i);
		if (!c || c->scale == PACK_NONE)
			return -EBADMSG;
		r = tell(u, i, c);
	}
	return r;
}

/* A number of the series' units that is `delta` more than the last one, or `delta` itself */
static int take_whole(struct unpacker *u, unsigned scale, int64_t delta)
{
	struct unpack_instance *i;
	struct unpack_cell *c = expected(u, &i);
	double last, value;

	if (!c)
		return -EBADMSG;
	if (scale) {
		c->scale = (uint8_t)scale;
		last = 0;
	} else {
		if (c->scale == PACK_NONE || c->scale == PACK_BITS_SCALE)
			return -EBADMSG;
		last = scale_multiply(c->scale, c->value);
	}
	value = (double)delta + last;
	if (!(fabs(value) < PACK_WHOLE_MAX && fabs(last) < PACK_WHOLE_MAX))
		return -EBADMSG;
	c->value = scale_value(c->scale, llrint(last) + delta);
	return cell_valid(i, c) ? tell(u, i, c) : -EBADMSG;
}

static int take_bits(struct unpacker *u, unsigned n)
{
	struct unpack_instance *i;
	struct unpack_cell *c = expected(u, &i);
	uint64_t bits = 0, change = 0;

	if (!c || n > (size_t)(u->end - u->at))
		return -EBADMSG;
	for (unsigned k = 0; k < n; k++)
		change |= (uint64_t)*u->at++ << 8 * k;
	if (c->scale != PACK_NONE)
		memcpy(&bits, &c->value, sizeof(bits));
	bits ^= change;
	memcpy(&c->value, &bits, sizeof(bits));
	c->scale = PACK_BITS_SCALE;
	return cell_valid(i, c) ? tell(u, i, c) : -EBADMSG;
}

static int take_series(struct unpacker *u)
{
	uint32_t series;

	if (take_u32(u, PACK_PLACES * PACK_METRICS - 1, &series) < 0)
		return -EBADMSG;
	if (u->last)
		u->last->next = series;
	u->expected = series;
	return 0;
}

static int take_time(struct unpacker *u)
{
	int64_t step;

	if (take_signed(u, &step) < 0)
		return -EBADMSG;
	u->time = (int64_t)((uint64_t)u->time + (uint64_t)step);
	u->extra = false;
	return 0;
}

static int take_item(struct unpacker *u, uint8_t code)
{
	int64_t number;

	if (code <= PACK_NEAR_LAST)
		return code == 63 ? -EBADMSG : take_whole(u, 0, (int64_t)code - 63);
	if (code >= PACK_RUN && code <= PACK_RUN_LAST)
		return take_run(u, code - PACK_RUN + 1u);
	if (code >= PACK_FAR && code < PACK_SCALE + PACK_SCALES)
		return take_signed(u, &number) < 0 ? -EBADMSG : take_whole(u, code - PACK_FAR, number);
	if (code >= PACK_BITS && code <= PACK_BITS_LAST)
		return take_bits(u, code - PACK_BITS);
	switch (code) {
	case PACK_SERIES:
		return take_series(u);
	case PACK_TIME:
		return take_time(u);
	case PACK_FAMILY:
		return take_family(u);
	case PACK_INSTANCE:
		return take_instance(u);
	case PACK_END:
		return take_end(u);
	case PACK_EXTRA:
		u->extra = true;
		return 0;
	case PACK_START:
		return u->fns->start ? u->fns->start(u->time, u->user) : 0;
	default:
		return -EBADMSG;
	}
}

int unpacker_feed(struct unpacker *u, const void *data, size_t length)
{
	int r = 0;

	u->at = data;
	u->end = u->at + length;
	while (r == 0 && u->at < u->end)
		r = take_item(u, *u->at++);
	return r;
}
