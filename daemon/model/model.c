#include "model/impl.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

/* A kith_id: 6 bits of generation, 19 of slot (from 1), 7 of metric. The generation makes the id of an ended instance stale. */
#define ID_METRIC_BITS 7
#define ID_SLOT_BITS 19
#define ID_METRIC_MASK ((1u << ID_METRIC_BITS) - 1)
#define ID_SLOT_MASK ((1u << ID_SLOT_BITS) - 1)
#define ID_GENERATIONS (1u << (32 - ID_METRIC_BITS - ID_SLOT_BITS))
#define MAX_INSTANCES_DEFAULT 16384u

_Static_assert(KITH_METRICS_MAX == 1u << ID_METRIC_BITS, "a metric's index must fit its bits");

int model_new(struct model **ret_model)
{
	struct model *m = calloc(1, sizeof(*m));

	if (!m)
		return -ENOMEM;
	m->n_slots = 1; /* slot 0 stays empty: KITH_ID_NONE */
	*ret_model = m;
	return 0;
}

void model_free(struct model *m)
{
	if (!m)
		return;
	while (m->families)
		family_remove(m, m->families);
	wants_free(m);
	free(m->slots);
	free(m);
}

void model_observe(struct model *m, struct model_observer *o)
{
	struct model_observer **at = &m->observers;

	while (*at)
		at = &(*at)->next;
	o->next = NULL;
	*at = o;
}

void model_unobserve(struct model *m, struct model_observer *o)
{
	for (struct model_observer **at = &m->observers; *at; at = &(*at)->next)
		if (*at == o) {
			*at = o->next;
			return;
		}
}

void model_set_now(struct model *m, int64_t now)
{
	m->now = now;
}

int64_t model_now(const struct model *m)
{
	return m->now;
}

/* ---- families --------------------------------------------------------------------------------------------------- */

static const struct kith_metric *metric_at(const struct kith_family *f, uint32_t i)
{
	return (const void *)((const char *)f->metrics + (size_t)i * f->metric_size);
}

static const char *metric_fault(const struct kith_family *f, uint32_t i)
{
	const struct kith_metric *metric = metric_at(f, i);

	if (!metric->name || !name_part_valid(metric->name))
		return "a metric's name is not of [a-z0-9_]";
	if (metric->kind > KITH_STATE)
		return "a metric's kind is unknown";
	if (metric->kind == KITH_STATE && (!metric->states || !metric->states[0]))
		return "a state metric names no states";
	for (uint32_t j = 0; j < i; j++)
		if (!strcmp(metric_at(f, j)->name, metric->name))
			return "two metrics have one name";
	return NULL;
}

static const char *family_fault(const struct kith_family *f)
{
	if (f->size < offsetof(struct kith_family, flags) || f->metric_size < sizeof(struct kith_metric))
		return "its table is too short";
	if (!f->name || !name_part_valid(f->name))
		return "its name is not of [a-z0-9_]";
	if (!f->n_metrics || f->n_metrics > KITH_METRICS_MAX || !f->metrics)
		return "it has no metrics, or more than 128";
	for (uint32_t i = 0; i < f->n_metrics; i++) {
		const char *why = metric_fault(f, i);

		if (why)
			return why;
	}
	return NULL;
}

static void metric_free(struct metric *metric)
{
	for (uint32_t i = 0; i < metric->n_states; i++)
		free(metric->states[i]);
	free(metric->states);
	free(metric->name);
	free(metric->unit);
	free(metric->help);
}

static int metric_copy(struct metric *to, const struct kith_metric *from)
{
	to->name = strdup(from->name);
	to->unit = strdup(from->unit && *from->unit ? from->unit : "1");
	to->help = strdup(from->help ? from->help : "");
	to->kind = from->kind;
	to->flags = from->flags;
	if (!to->name || !to->unit || !to->help)
		return -ENOMEM;
	if (from->kind != KITH_STATE)
		return 0;
	for (uint32_t n = 0; ; n++)
		if (!from->states[n]) {
			to->states = calloc(n + 1, sizeof(*to->states));
			break;
		}
	if (!to->states)
		return -ENOMEM;
	for (; from->states[to->n_states]; to->n_states++) {
		to->states[to->n_states] = strdup(from->states[to->n_states]);
		if (!to->states[to->n_states])
			return -ENOMEM;
	}
	return 0;
}

static void family_free(struct family *f)
{
	for (uint32_t i = 0; i < f->n_metrics; i++)
		metric_free(&f->metrics[i]);
	free(f->metrics);
	free(f->name);
	free(f->help);
	free(f->instance_label);
	free(f);
}

static struct family *family_copy(const struct kith_family *f)
{
	struct family *family = calloc(1, sizeof(*family));

	if (!family)
		return NULL;
	family->name = strdup(f->name);
	family->help = strdup(f->help ? f->help : "");
	family->instance_label = f->instance ? strdup(f->instance) : NULL;
	family->metrics = calloc(f->n_metrics, sizeof(*family->metrics));
	if (!family->name || !family->help || !family->metrics || (f->instance && !family->instance_label))
		goto fail;
	for (uint32_t i = 0; i < f->n_metrics; i++) {
		family->n_metrics++;
		if (metric_copy(&family->metrics[i], metric_at(f, i)) < 0)
			goto fail;
	}
	return family;
fail:
	family_free(family);
	return NULL;
}

int family_add(struct model *m, struct owner *owner, const struct kith_family *f, uint32_t max_instances,
               struct family **ret_family, const char **ret_why)
{
	const char *why = family_fault(f);
	struct family *family;

	if (why) {
		*ret_why = why;
		return -EINVAL;
	}
	if (family_find(m, f->name, strlen(f->name)))
		return -EEXIST;
	family = family_copy(f);
	if (!family)
		return -ENOMEM;
	family->owner = owner;
	family->max_instances = max_instances ? max_instances : MAX_INSTANCES_DEFAULT;
	HASH_ADD_KEYPTR(hh, m->families, family->name, strlen(family->name), family);
	if (!family->hh.tbl) {
		family_free(family);
		return -ENOMEM;
	}
	for (struct model_observer *o = m->observers; o; o = o->next)
		if (o->on_family)
			o->on_family(family, true, o->user);
	*ret_family = family;
	return 0;
}

void family_remove(struct model *m, struct family *f)
{
	while (f->by_name)
		instance_end(m, f->by_name);
	HASH_DEL(m->families, f);
	for (struct model_observer *o = m->observers; o; o = o->next)
		if (o->on_family)
			o->on_family(f, false, o->user);
	family_free(f);
}

struct family *family_find(const struct model *m, const char *name, size_t length)
{
	struct family *f;

	HASH_FIND(hh, m->families, name, length, f);
	return f;
}

struct family *family_first(const struct model *m)
{
	return m->families;
}

struct family *family_next(const struct family *f)
{
	return f->hh.next;
}

int family_metric(const struct family *f, const char *name, size_t length)
{
	for (uint32_t i = 0; i < f->n_metrics; i++)
		if (!strncmp(f->metrics[i].name, name, length) && !f->metrics[i].name[length])
			return (int)i;
	return -ENOENT;
}

/* ---- instances -------------------------------------------------------------------------------------------------- */

static int slot_take(struct model *m, uint32_t *ret_slot)
{
	if (m->free_slot) {
		*ret_slot = m->free_slot;
		m->free_slot = m->slots[m->free_slot].next_free;
		if (!m->free_slot)
			m->last_free = 0;
		return 0;
	}
	if (m->n_slots >= ID_SLOT_MASK)
		return -ENOSPC;
	if (m->n_slots >= m->size_slots) {
		uint32_t size = m->size_slots ? m->size_slots * 2 : 64;
		struct slot *slots = realloc(m->slots, size * sizeof(*slots));

		if (!slots)
			return -ENOMEM;
		memset(slots + m->size_slots, 0, (size - m->size_slots) * sizeof(*slots));
		m->slots = slots;
		m->size_slots = size;
	}
	*ret_slot = m->n_slots++;
	return 0;
}

static void slot_give(struct model *m, uint32_t slot)
{
	m->slots[slot].instance = NULL;
	m->slots[slot].generation = (m->slots[slot].generation + 1) % ID_GENERATIONS;
	/* Behind the others: the longer it lies idle, the longer its old ids stay known as stale. */
	m->slots[slot].next_free = 0;
	if (m->last_free)
		m->slots[m->last_free].next_free = slot;
	else
		m->free_slot = slot;
	m->last_free = slot;
}

static bool instance_name_valid(const char *name)
{
	size_t n = strlen(name);

	if (n > NAME_INSTANCE_MAX)
		return false;
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)name[i] < 0x20 || name[i] == 0x7f)
			return false;
	return true;
}

static struct instance *instance_make(struct model *m, struct family *f, const char *name, uint32_t slot)
{
	struct instance *i = calloc(1, sizeof(*i) + f->n_metrics * sizeof(i->series[0]));

	if (!i)
		return NULL;
	i->name = strdup(name);
	if (!i->name)
		goto fail;
	i->family = f;
	i->slot = slot;
	i->id = m->slots[slot].generation << (ID_METRIC_BITS + ID_SLOT_BITS) | slot << ID_METRIC_BITS;
	i->since = ++m->serial;
	for (uint32_t k = 0; k < f->n_metrics; k++) {
		i->series[k].instance = i;
		i->series[k].metric = (uint16_t)k;
		i->series[k].kind = (uint8_t)f->metrics[k].kind;
		i->series[k].event = f->metrics[k].flags & KITH_METRIC_EVENT;
	}
	HASH_ADD_KEYPTR(hh, f->by_name, i->name, strlen(i->name), i);
	if (!i->hh.tbl)
		goto fail;
	return i;
fail:
	free(i->name);
	free(i);
	return NULL;
}

int instance_add(struct model *m, struct family *f, const char *name, struct instance **ret_instance)
{
	struct instance *i;
	uint32_t slot = 0;
	int r;

	if (!instance_name_valid(name) || (*name && !f->instance_label))
		return -EINVAL;
	i = instance_find(f, name, strlen(name));
	if (i) {
		*ret_instance = i;
		return 0;
	}
	if (f->n_instances >= f->max_instances) {
		f->refused++;
		return -ENOSPC;
	}
	r = slot_take(m, &slot);
	if (r < 0)
		return r;
	i = instance_make(m, f, name, slot);
	if (!i) {
		slot_give(m, slot);
		return -ENOMEM;
	}
	m->slots[slot].instance = i;
	f->n_instances++;
	f->owner->n_series += f->n_metrics;
	for (struct model_observer *o = m->observers; o; o = o->next)
		if (o->on_instance)
			o->on_instance(i, true, o->user);
	*ret_instance = i;
	return 0;
}

struct instance *instance_find(const struct family *f, const char *name, size_t length)
{
	struct instance *i;

	HASH_FIND(hh, f->by_name, name, length, i);
	return i;
}

struct instance *instance_first(const struct family *f)
{
	return f->by_name;
}

struct instance *instance_next(const struct instance *i)
{
	return i->hh.next;
}

/* ---- staleness: watched series of an owner, the oldest sample first ---------------------------------------------- */

static void list_remove(struct owner *o, struct series *s)
{
	if (!s->listed)
		return;
	if (s->older)
		s->older->newer = s->newer;
	else
		o->oldest = s->newer;
	if (s->newer)
		s->newer->older = s->older;
	else
		o->newest = s->older;
	s->older = s->newer = NULL;
	s->listed = false;
}

static void list_append(struct owner *o, struct series *s)
{
	s->older = o->newest;
	s->newer = NULL;
	if (o->newest)
		o->newest->newer = s;
	else
		o->oldest = s;
	o->newest = s;
	s->listed = true;
}

/* Who is told next. Whoever is told may remove any watch, or end the series. */
struct telling {
	struct series_watch *next;
	struct telling *outer;
};

static void series_tell(struct owner *o, struct series *s, enum series_event event)
{
	struct telling t = { .outer = o->telling };

	o->telling = &t;
	for (struct series_watch *w = s->watches; w; w = t.next) {
		t.next = w->next;
		w->fn(w, s, event);
	}
	o->telling = t.outer;
}

void instance_end(struct model *m, struct instance *i)
{
	struct family *f = i->family;

	m->slots[i->slot].instance = NULL;
	HASH_DEL(f->by_name, i);
	f->n_instances--;
	f->owner->n_series -= f->n_metrics;
	for (uint32_t k = 0; k < f->n_metrics; k++) {
		struct series *s = &i->series[k];

		list_remove(f->owner, s);
		if (s->trail)
			m->tracer.end(s, m->tracer.user);
		s->stale = true;
		while (s->watches) {
			struct series_watch *w = s->watches;

			series_watch_remove(w);
			w->fn(w, s, SERIES_END);
		}
	}
	for (struct model_observer *o = m->observers; o; o = o->next)
		if (o->on_instance)
			o->on_instance(i, false, o->user);
	slot_give(m, i->slot);
	free(i->name);
	free(i);
}

static struct series *series_of(const struct model *m, kith_id id)
{
	uint32_t slot = id >> ID_METRIC_BITS & ID_SLOT_MASK, metric = id & ID_METRIC_MASK;
	struct instance *i;

	if (slot >= m->n_slots || !(i = m->slots ? m->slots[slot].instance : NULL))
		return NULL;
	if (id - metric != i->id || metric >= i->family->n_metrics)
		return NULL;
	return &i->series[metric];
}

struct instance *instance_of(const struct model *m, kith_id id)
{
	struct series *s = series_of(m, id);

	return s ? s->instance : NULL;
}

/* ---- samples ---------------------------------------------------------------------------------------------------- */

/* Looks at the series alone: a round's samples are a thousand cache lines otherwise, and cold ones. */
static int series_put(const struct model *m, struct series *s, struct owner *o, double value, int64_t time)
{
	double before;

	if (!isfinite(value))
		return -EDOM;
	if (s->kind == KITH_STATE && !(value >= 0 && value < series_metric(s)->n_states && value == rint(value)))
		return -EDOM;
	if (time < s->time && time != m->now)
		return -EINVAL;
	before = s->value;
	o->moves += before < value || before > value || !s->time;
	s->value = value;
	s->time = time;
	s->stale = false;
	o->samples++;
	if (m->keeper.put && s->instance->place)
		m->keeper.put(s, before, o->extra, m->keeper.user);
	if (!s->watches)
		return 0;
	if (!s->event && o->newest != s) {
		list_remove(o, s);
		list_append(o, s);
	}
	if (s->trail)
		m->tracer.put(s->trail, s, o->extra);
	series_tell(o, s, SERIES_SAMPLE);
	return 0;
}

int model_put(struct model *m, const struct owner *owner, kith_id id, double value, int64_t time)
{
	struct series *s = series_of(m, id);
	struct owner *o;

	if (!s)
		return -ESTALE;
	o = s->instance->family->owner;
	return o == owner ? series_put(m, s, o, value, time) : -EPERM;
}

int model_put_all(struct model *m, const struct owner *owner, kith_id id, const double *values, uint32_t n)
{
	struct series *s = series_of(m, id);
	uint32_t left = s ? s->instance->family->n_metrics - s->metric : 0;
	uint64_t since = s ? s->instance->since : 0;
	struct owner *o;
	int r = n <= left ? 0 : -ESTALE;

	if (!s)
		return -ESTALE;
	o = s->instance->family->owner;
	if (o != owner)
		return -EPERM;
	for (uint32_t i = 0; i < n && i < left; i++) {
		bool heard = s[i].watches != NULL;
		int one = isnan(values[i]) ? 0 : series_put(m, &s[i], o, values[i], m->now);

		if (one < 0)
			r = one;
		/* Whoever heard of it may have ended the instance. */
		if (heard && ((s = series_of(m, id)) == NULL || s->instance->since != since))
			return -ESTALE;
	}
	return r;
}

void model_attend(struct owner *owner)
{
	if (owner->slow && owner->attend)
		owner->attend(owner, true, owner->user);
}

void model_near(struct owner *owner, bool near)
{
	bool before = owner->n_near;

	owner->n_near += near ? 1 : (uint32_t)-1;
	if (before != (owner->n_near != 0) && owner->attend)
		owner->attend(owner, false, owner->user);
}

void model_lose(struct model *m, struct series *s)
{
	struct owner *owner = s->instance->family->owner;

	(void)m;
	if (!series_valid(s))
		return;
	list_remove(owner, s);
	s->stale = true;
	series_tell(owner, s, SERIES_STALE);
}

void model_expire(struct model *m, struct owner *owner, int64_t now)
{
	if (!owner->stale_after)
		return;
	while (owner->oldest && now - owner->oldest->time > owner->stale_after)
		model_lose(m, owner->oldest);
}

void model_jump(struct model *m, int64_t jump)
{
	for (struct family *f = m->families; f; f = f->hh.next)
		for (struct instance *i = f->by_name; i; i = i->hh.next)
			for (uint32_t k = 0; k < f->n_metrics; k++)
				if (i->series[k].time)
					i->series[k].time += jump;
}

void series_watch_add(struct series *s, struct series_watch *w)
{
	struct owner *o = s->instance->family->owner;

	if (!s->watches)
		o->n_watched++;
	o->n_hasty += !w->patient;
	w->series = s;
	w->next = s->watches;
	w->link = &s->watches;
	if (w->next)
		w->next->link = &w->next;
	s->watches = w;
	/* Not in the order of time, perhaps; it is once the others had their next sample. */
	if (s->time && !s->stale && !s->listed && !s->event)
		list_append(o, s);
	if (o->slow && o->attend)
		o->attend(o, false, o->user);
}

void series_watch_remove(struct series_watch *w)
{
	struct owner *o;

	if (!w->link)
		return;
	o = w->series->instance->family->owner;
	o->n_hasty -= !w->patient;
	if (!w->next && w->link == &w->series->watches)
		o->n_watched--;
	for (struct telling *t = o->telling; t; t = t->outer)
		if (t->next == w)
			t->next = w->next;
	*w->link = w->next;
	if (w->next)
		w->next->link = w->link;
	w->next = NULL;
	w->link = NULL;
}

void model_set_tracer(struct model *m, const struct model_tracer *tracer)
{
	m->tracer = tracer ? *tracer : (struct model_tracer){ 0 };
}

void model_set_keeper(struct model *m, const struct model_keeper *keeper)
{
	m->keeper = keeper ? *keeper : (struct model_keeper){ 0 };
}

bool series_trace(struct model *m, const struct series *s, bool wanted)
{
	if (m->tracer.want)
		m->tracer.want(&s->instance->series[s->metric], wanted, m->tracer.user);
	return s->trail;
}

struct past series_past(const struct model *m, const struct series *s)
{
	return s->trail && m->tracer.past ? m->tracer.past(s) : (struct past){ 0 };
}

struct trail_sample series_past_at(const struct model *m, const struct series *s, size_t index)
{
	return m->tracer.at(s, index);
}

char *series_name(const struct series *s, char *text)
{
	const char *parts[3] = { s->instance->family->name, s->instance->name, series_metric(s)->name };
	char *p = text;

	for (int i = 0; i < 3; i++) {
		size_t n = strlen(parts[i]);

		if (!n)
			continue;
		if (p != text)
			*p++ = ':';
		memcpy(p, parts[i], n);
		p += n;
	}
	*p = '\0';
	return text;
}

struct series *series_find(const struct model *m, const struct name *name)
{
	struct family *f = family_find(m, name->family.at, name->family.length);
	struct instance *i;
	int k;

	if (!f || !name->metric.at)
		return NULL;
	k = family_metric(f, name->metric.at, name->metric.length);
	if (k < 0)
		return NULL;
	i = instance_find(f, name->instance.at ? name->instance.at : "", name->instance.length);
	return i ? &i->series[k] : NULL;
}
