/*
 * The model: families, instances, series, samples, records: what flows through the daemon. One writer, the loop thread.
 *
 * A sample's way: model_put finds its series by the id alone, stores value and time, and calls the watches of that series and nobody else.
 * No allocation, no lock, no scan.
 */
#ifndef KITH_MODEL_H
#define KITH_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uthash.h>

#include "base/names.h"
#include "plugin.h"

struct model;
struct family;
struct instance;
struct series;
struct trail;
struct pack_place;

enum series_event {
	SERIES_SAMPLE, /* value and time are new */
	SERIES_STALE,  /* no sample for three intervals: value and time are the last ones, `stale` is set */
	SERIES_END,    /* the instance ends: the watch is removed already, the series is freed after the call */
};

/* Embedded by whoever watches a series; at most one list at a time. A callback may remove its own watch. */
struct series_watch {
	struct series_watch *next, **link; /* link NULL: not on a list */
	const struct series *series;       /* valid while on a list */
	void (*fn)(struct series_watch *watch, const struct series *series, enum series_event event);
	bool patient;                      /* a plain promise: levels may be looked at when they could have come close */
};

struct series {
	double value;                  /* of a state: the index of its name */
	int64_t time;                  /* wall ns of the last sample; 0: none yet */
	struct series_watch *watches;
	struct instance *instance;
	struct trail *trail;           /* its recent samples, for whoever keeps them; NULL: nobody does */
	struct series *older, *newer;  /* the owner's list of watched series by time: staleness without a scan */
	uint16_t metric;               /* index in the family */
	uint8_t kind;                  /* the metric's kind, and whether it has KITH_METRIC_EVENT: at hand where samples pass */
	bool event;
	bool stale, listed;
};

struct instance {
	UT_hash_handle hh;     /* in family->by_name */
	struct family *family;
	uint32_t slot;
	kith_id id;            /* of metric 0 */
	uint64_t since;        /* serial number: grows with every instance made */
	struct pack_place *place; /* the keeper's own; NULL: its samples are not kept */
	char *name;            /* "" for the nameless one */
	struct series series[]; /* one for each of the family's metrics */
};

struct metric {
	char *name, *unit, *help; /* unit is never NULL or "": "1" */
	char **states;            /* NULL-terminated; NULL unless kind is KITH_STATE */
	uint32_t n_states;
	uint32_t kind, flags;
};

struct family {
	UT_hash_handle hh; /* in the model */
	char *name, *help;
	char *instance_label; /* NULL: only a nameless instance */
	struct metric *metrics;
	uint32_t n_metrics;
	struct owner *owner;
	struct instance *by_name; /* uthash of instances, in order of creation */
	uint32_t n_instances, max_instances;
	uint64_t refused;      /* instances beyond the cap */
	uint32_t kept_chunk, kept_number; /* the keeper's own */
};

/*
 * Who puts samples: a plugin, or the daemon itself. Made by the host; series of an owner turn stale when its samples stay out for
 * `stale_after` ns (0: never).
 */
struct owner {
	const char *name;
	int64_t stale_after;
	struct series *oldest, *newest; /* watched, not stale, sampled on the tick */
	uint64_t samples;
	uint64_t moves;                 /* samples that differed from the one before */
	uint32_t n_series, n_watched;   /* n_watched: series with a watch */
	uint32_t n_hasty;               /* watches that are not patient */
	struct telling *telling;        /* of model.c */
	bool slow;                      /* it samples less often, as nobody watches: told through `attend` when somebody does */
	void (*attend)(struct owner *owner, bool now, void *user); /* now: sample before you return; may be NULL */
	void *user;
	/* Attention: what promises say of its series, and what it makes of that */
	uint32_t n_near;                /* its series that stand close to what is promised of them */
	int64_t soon;                   /* ns: one of this round's samples asks for the next one in no more than that; 0: none */
	bool extra;                     /* the round that runs is one more, on account of these two */
	int64_t interval, usual;        /* ns between two of its rounds, now and without attention; 0: it samples nothing */
};

/* What happens to the whole, for those that bind names to series. All may be NULL. */
struct model_observer {
	struct model_observer *next;
	void *user;
	void (*on_family)(const struct family *family, bool begins, void *user);
	void (*on_instance)(struct instance *instance, bool begins, void *user); /* ends: after SERIES_END of its series */
	void (*on_record)(const struct kith_record *record, uint64_t number, void *user);
	void (*on_transition)(const struct kith_transition *transition, void *user);
};

int model_new(struct model **ret_model);
void model_free(struct model *m);
void model_observe(struct model *m, struct model_observer *o);
void model_unobserve(struct model *m, struct model_observer *o);

/* The wall clock that put() stamps samples with: set by the loop's driver before it calls anything */
void model_set_now(struct model *m, int64_t now);
int64_t model_now(const struct model *m);

/* Families. `f` is copied. -EEXIST, -EINVAL (*ret_why says which field, static text). max_instances 0: 16384. */
int family_add(struct model *m, struct owner *owner, const struct kith_family *f, uint32_t max_instances,
               struct family **ret_family, const char **ret_why);
void family_remove(struct model *m, struct family *f); /* ends its instances */
struct family *family_find(const struct model *m, const char *name, size_t length);
struct family *family_first(const struct model *m);
struct family *family_next(const struct family *f);
int family_metric(const struct family *f, const char *name, size_t length); /* index or -ENOENT */

/* Instances. -ENOSPC at the cap, -EINVAL for a bad name, -EEXIST is not an error: gives the one there is. */
int instance_add(struct model *m, struct family *f, const char *name, struct instance **ret_instance);
struct instance *instance_find(const struct family *f, const char *name, size_t length);
struct instance *instance_first(const struct family *f);
struct instance *instance_next(const struct instance *i);
void instance_end(struct model *m, struct instance *i);
struct instance *instance_of(const struct model *m, kith_id id); /* NULL: ended, or never was */

/* Samples. -ESTALE, -EDOM, -EINVAL (older than the last one, unless it is now: the clock was set), -EPERM (owner is not the family's) */
int model_put(struct model *m, const struct owner *owner, kith_id id, double value, int64_t time);
/*
 * `values` of `n` metrics from the one of `id` on, now; NANs are left out. An error of one, the last, keeps none of the others back: as above, and
 * -ESTALE for values beyond the last metric.
 */
int model_put_all(struct model *m, const struct owner *owner, kith_id id, const double *values, uint32_t n);
/* Somebody looks at what this owner samples: one that samples less often for want of that does so now. */
void model_attend(struct owner *owner);
/* One more of the owner's series stands close to what is promised of it, or one less. */
void model_near(struct owner *owner, bool near);
/* The wall clock was set: the times of all samples move along, so that none looks new or old that is not. A scan; rare. */
void model_jump(struct model *m, int64_t jump);
/* Its value is not known to hold any more, as if it were stale */
void model_lose(struct model *m, struct series *s);
/* Marks the owner's series without a sample since `now` - stale_after; looks at the oldest only */
void model_expire(struct model *m, struct owner *owner, int64_t now);

void series_watch_add(struct series *s, struct series_watch *w);
void series_watch_remove(struct series_watch *w); /* fine when it is on no list */
static inline const struct metric *series_metric(const struct series *s)
{
	return &s->instance->family->metrics[s->metric];
}
static inline bool series_valid(const struct series *s)
{
	return s->time != 0 && !s->stale;
}
/* Also right for a series that nobody watches */
static inline bool series_is_stale(const struct series *s, int64_t now)
{
	return s->stale || (s->time && !s->event &&
	                    s->instance->family->owner->stale_after && now - s->time > s->instance->family->owner->stale_after);
}
/* `family:instance:metric` into `text` of at least NAME_MAX_LENGTH + 1. Returns `text`. */
char *series_name(const struct series *s, char *text);
/* Finds one series by its full name */
struct series *series_find(const struct model *m, const struct name *name);

/*
 * Trails: the one who keeps recent samples. `want` is called as promises begin and cease to name a series, and may set its `trail`; `put` for each
 * sample of one that has a trail; `end` when such a series ends; `past` and `at` ask for what is kept. None may call back.
 */
struct trail_sample {
	int64_t time; /* wall ns */
	double value; /* of a state: the index of its name */
	bool extra;   /* attention added it */
};
struct past {
	size_t n;      /* samples that are kept */
	int64_t until; /* wall ns: nobody looked from then to now; 0: somebody did */
};
struct model_tracer {
	void (*want)(struct series *s, bool wanted, void *user);
	void (*put)(struct trail *trail, const struct series *s, bool extra);
	void (*end)(struct series *s, void *user);
	struct past (*past)(const struct series *s);
	struct trail_sample (*at)(const struct series *s, size_t index);
	void *user;
};
void model_set_tracer(struct model *m, const struct model_tracer *tracer); /* before any series is watched; NULL: none any more */
bool series_trace(struct model *m, const struct series *s, bool wanted); /* whether it has a trail */
struct past series_past(const struct model *m, const struct series *s);
struct trail_sample series_past_at(const struct model *m, const struct series *s, size_t index); /* 0 is the oldest */

/*
 * Who keeps all samples: called with each one whose instance has a `place`, after it was checked and before anybody hears of it. `before`: the value until
 * now, of no meaning for the first. May not allocate, nor call back.
 */
struct model_keeper {
	void (*put)(struct series *s, double before, bool extra, void *user);
	void *user;
};
void model_set_keeper(struct model *m, const struct model_keeper *keeper); /* NULL: nobody any more */

/* Records and transitions: to every observer, in order. */
void model_record(struct model *m, const struct kith_record *record);
void model_transition(struct model *m, const struct kith_transition *transition);
uint64_t model_n_records(const struct model *m);

/*
 * Interest: somebody names series of a family that are made only when wanted. Counted: each want needs its unwant.
 * `instance` may hold '*'.
 */
struct want_watch {
	struct want_watch *next;
	char *family; /* owned by the caller */
	void (*fn)(const char *instance, bool wanted, void *user);
	void *user;
};
int model_want(struct model *m, const char *family, const char *instance);
void model_unwant(struct model *m, const char *family, const char *instance);
void model_watch_wants(struct model *m, struct want_watch *w); /* told at once of those that stand */
void model_unwatch_wants(struct model *m, struct want_watch *w);

#endif
