/* model/: families, instances, series, samples, staleness, records, wants; no allocation on a sample's way */
#include <check.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "model/model.h"

#define S NS_PER_S

static const char *const states[] = { "down", "up", NULL };
static const struct kith_metric metrics[] = {
	{ "value", "B", "help", NULL, KITH_GAUGE, 0 },
	{ "count", NULL, "", NULL, KITH_COUNTER, 0 },
	{ "state", NULL, "", states, KITH_STATE, KITH_METRIC_EVENT },
};
static const struct kith_family thing = { KITH_FAMILY_INIT, "thing", "things", "name", metrics, 3, 0 };
static const struct kith_family single = { KITH_FAMILY_INIT, "single", "", NULL, metrics, 1, 0 };

static struct model *m;
static struct owner owner, stranger;
static struct family *f;
static const char *why;

static void setup(void)
{
	owner = (struct owner){ .name = "a", .stale_after = 3 * S };
	stranger = (struct owner){ .name = "b" };
	ck_assert_int_eq(model_new(&m), 0);
	ck_assert_int_eq(family_add(m, &owner, &thing, 0, &f, &why), 0);
	model_set_now(m, 100 * S);
}

static void teardown(void)
{
	model_free(m);
}

static struct instance *add(const char *name)
{
	struct instance *i = NULL;

	ck_assert_int_eq(instance_add(m, f, name, &i), 0);
	return i;
}

static int put(kith_id id, double value, int64_t time)
{
	return model_put(m, &owner, id, value, time);
}

/* ---- families ----------------------------------------------------------------------------------------------------- */

START_TEST(families_are_copied)
{
	struct kith_metric changing[1] = { { "x", "B", "", NULL, KITH_GAUGE, 0 } };
	struct kith_family other = { KITH_FAMILY_INIT, "other", NULL, NULL, changing, 1, 0 };
	struct family *copy = NULL;

	ck_assert_int_eq(family_add(m, &stranger, &other, 7, &copy, &why), 0);
	changing[0].name = "y";
	other.name = "z";
	ck_assert_ptr_eq(family_find(m, "other", 5), copy);
	ck_assert_str_eq(copy->metrics[0].name, "x");
	ck_assert_str_eq(copy->help, "");
	ck_assert_uint_eq(copy->max_instances, 7);
	ck_assert_str_eq(f->metrics[1].unit, "1");
	ck_assert_uint_eq(f->metrics[2].n_states, 2);
	ck_assert_str_eq(f->metrics[2].states[1], "up");
	ck_assert_uint_eq(f->max_instances, 16384);
	ck_assert_ptr_eq(family_first(m), f);
	ck_assert_ptr_eq(family_next(f), copy);
	ck_assert_int_eq(family_metric(f, "count", 5), 1);
	ck_assert_int_eq(family_metric(f, "coun", 4), -ENOENT);
	ck_assert_int_eq(family_metric(f, "counter", 7), -ENOENT);
	family_remove(m, copy);
	ck_assert_ptr_null(family_find(m, "other", 5));
}
END_TEST

START_TEST(bad_families_are_refused)
{
	struct kith_metric bad_metrics[2] = { metrics[0], metrics[1] };
	struct kith_family bad = { KITH_FAMILY_INIT, "bad", "", NULL, bad_metrics, 2, 0 };
	struct family *none = NULL;

	ck_assert_int_eq(family_add(m, &owner, &thing, 0, &none, &why), -EEXIST);
#define REFUSED(change) \
	do { \
		struct kith_family saved = bad; \
		struct kith_metric first = bad_metrics[0]; \
		why = NULL; \
		change; \
		ck_assert_int_eq(family_add(m, &owner, &bad, 0, &none, &why), -EINVAL); \
		ck_assert_ptr_nonnull(why); \
		ck_assert_ptr_null(none); \
		bad = saved; \
		bad_metrics[0] = first; \
	} while (0)
	REFUSED(bad.name = NULL);
	REFUSED(bad.name = "");
	REFUSED(bad.name = "a:b");
	REFUSED(bad.n_metrics = 0);
	REFUSED(bad.n_metrics = KITH_METRICS_MAX + 1);
	REFUSED(bad.metrics = NULL);
	REFUSED(bad.size = 8);
	REFUSED(bad.metric_size = 8);
	REFUSED(bad_metrics[0].name = NULL);
	REFUSED(bad_metrics[0].name = "A");
	REFUSED(bad_metrics[0].name = "count");
	REFUSED(bad_metrics[0].kind = 9);
	REFUSED(bad_metrics[0].kind = KITH_STATE);
	ck_assert_int_eq(family_add(m, &owner, &bad, 0, &none, &why), 0);
}
END_TEST

/* ---- instances ---------------------------------------------------------------------------------------------------- */

START_TEST(instances_come_and_go)
{
	struct instance *i = add("a"), *again = add("a"), *none = NULL;
	char name[NAME_INSTANCE_MAX + 2];
	struct family *one;
	kith_id id = i->id;

	ck_assert_ptr_eq(i, again);
	ck_assert_uint_eq(owner.n_series, 3);
	ck_assert_ptr_eq(instance_of(m, id + 2), i);
	ck_assert_ptr_null(instance_of(m, id + 3));
	ck_assert_ptr_null(instance_of(m, KITH_ID_NONE));
	ck_assert_ptr_null(instance_of(m, UINT32_MAX));
	ck_assert_ptr_eq(instance_find(f, "a", 1), i);
	ck_assert_ptr_null(instance_find(f, "ab", 2));
	memset(name, 'n', sizeof(name));
	name[NAME_INSTANCE_MAX + 1] = '\0';
	ck_assert_int_eq(instance_add(m, f, name, &none), -EINVAL);
	name[NAME_INSTANCE_MAX] = '\0';
	ck_assert_int_eq(instance_add(m, f, name, &none), 0);
	ck_assert_int_eq(instance_add(m, f, "tab\there", &none), -EINVAL);
	ck_assert_int_eq(family_add(m, &owner, &single, 0, &one, &why), 0);
	ck_assert_int_eq(instance_add(m, one, "named", &none), -EINVAL);
	ck_assert_int_eq(instance_add(m, one, "", &none), 0);
	instance_end(m, i);
	ck_assert_ptr_null(instance_of(m, id));
	ck_assert_int_eq(put(id, 1, 100 * S), -ESTALE);
	/* A new one in the same place has another id. */
	ck_assert_uint_ne(add("a")->id, id);
	ck_assert_int_eq(put(id, 1, 100 * S), -ESTALE);
}
END_TEST

START_TEST(instances_are_capped)
{
	struct family *small;
	struct instance *i;

	ck_assert_int_eq(family_add(m, &owner, &(struct kith_family){ KITH_FAMILY_INIT, "small", "", "x", metrics, 1, 0 }, 2, &small,
	                            &why), 0);
	ck_assert_int_eq(instance_add(m, small, "a", &i), 0);
	ck_assert_int_eq(instance_add(m, small, "b", &i), 0);
	ck_assert_int_eq(instance_add(m, small, "c", &i), -ENOSPC);
	ck_assert_int_eq(instance_add(m, small, "a", &i), 0);
	ck_assert_uint_eq(small->refused, 1);
	instance_end(m, i);
	ck_assert_int_eq(instance_add(m, small, "c", &i), 0);
}
END_TEST

START_TEST(many_instances_keep_their_ids)
{
	static kith_id ids[5000];
	char name[16];

	for (int i = 0; i < 5000; i++) {
		snprintf(name, sizeof(name), "%d", i);
		ids[i] = add(name)->id;
		ck_assert_int_eq(put(ids[i], i, 100 * S), 0);
	}
	for (int i = 0; i < 5000; i += 2)
		instance_end(m, instance_of(m, ids[i]));
	for (int i = 0; i < 5000; i++) {
		struct instance *at = instance_of(m, ids[i]);

		ck_assert(!at == !(i % 2));
		if (at)
			ck_assert_double_eq(at->series[0].value, i);
	}
	ck_assert_uint_eq(f->n_instances, 2500);
	ck_assert_uint_eq(owner.n_series, 7500);
}
END_TEST

/* ---- samples ------------------------------------------------------------------------------------------------------ */

static struct {
	struct series_watch watch;
	int samples, stales, ends;
	double value;
	bool remove;
} w[3];

static void hear(struct series_watch *watch, const struct series *s, enum series_event event)
{
	for (int k = 0; k < 3; k++) {
		if (watch != &w[k].watch)
			continue;
		w[k].samples += event == SERIES_SAMPLE;
		w[k].stales += event == SERIES_STALE;
		w[k].ends += event == SERIES_END;
		w[k].value = s->value;
		if (w[k].remove)
			series_watch_remove(watch);
	}
}

static void watch_it(int k, struct series *s)
{
	memset(&w[k], 0, sizeof(w[k]));
	w[k].watch.fn = hear;
	series_watch_add(s, &w[k].watch);
}

START_TEST(samples_are_checked)
{
	kith_id id = add("a")->id;

	ck_assert_int_eq(put(id, NAN, 100 * S), -EDOM);
	ck_assert_int_eq(put(id, -INFINITY, 100 * S), -EDOM);
	ck_assert_int_eq(put(id + 2, 2, 100 * S), -EDOM);
	ck_assert_int_eq(put(id + 2, -1, 100 * S), -EDOM);
	ck_assert_int_eq(put(id + 2, 0.5, 100 * S), -EDOM);
	ck_assert_int_eq(put(id + 3, 0, 100 * S), -ESTALE);
	ck_assert_int_eq(model_put(m, &stranger, id, 0, 100 * S), -EPERM);
	ck_assert_uint_eq(owner.samples, 0);
	ck_assert_int_eq(put(id, 1, 100 * S), 0);
	ck_assert_int_eq(put(id, 2, 99 * S), -EINVAL);
	/* The clock was set back: now is now. */
	model_set_now(m, 50 * S);
	ck_assert_int_eq(put(id, 3, 50 * S), 0);
	ck_assert_uint_eq(owner.samples, 2);
}
END_TEST

START_TEST(samples_reach_their_watches_alone)
{
	struct instance *a = add("a"), *b = add("b");

	watch_it(0, &a->series[0]);
	watch_it(1, &a->series[0]);
	watch_it(2, &b->series[0]);
	ck_assert_int_eq(put(a->id, 5, 100 * S), 0);
	ck_assert_int_eq(put(a->id + 1, 6, 100 * S), 0);
	ck_assert_int_eq(w[0].samples, 1);
	ck_assert_int_eq(w[1].samples, 1);
	ck_assert_int_eq(w[2].samples, 0);
	ck_assert_double_eq(w[0].value, 5);
	/* Removes itself while it is called */
	w[1].remove = true;
	ck_assert_int_eq(put(a->id, 7, 101 * S), 0);
	ck_assert_int_eq(put(a->id, 8, 102 * S), 0);
	ck_assert_int_eq(w[0].samples, 3);
	ck_assert_int_eq(w[1].samples, 2);
	series_watch_remove(&w[1].watch);
	instance_end(m, a);
	ck_assert_int_eq(w[0].ends, 1);
	ck_assert_int_eq(w[1].ends, 0);
	ck_assert_ptr_null(w[0].watch.link);
	series_watch_remove(&w[2].watch);
}
END_TEST

START_TEST(a_sample_allocates_nothing)
{
	struct instance *i = add("a");
	int64_t before;

	watch_it(0, &i->series[0]);
	put(i->id, 0, 100 * S);
	before = alloc_count();
	for (int k = 1; k <= 10000; k++) {
		put(i->id, k, 100 * S + k);
		put(i->id + 1, k, 100 * S + k);
		model_expire(m, &owner, 100 * S + k);
	}
	ck_assert_int_eq(alloc_count(), before);
	ck_assert_int_eq(w[0].samples, 10001);
	series_watch_remove(&w[0].watch);
}
END_TEST

START_TEST(watched_series_turn_stale)
{
	struct instance *a = add("a"), *b = add("b");

	watch_it(0, &a->series[0]);
	watch_it(1, &b->series[0]);
	watch_it(2, &a->series[2]);
	put(a->id, 1, 100 * S);
	put(a->id + 2, 1, 100 * S);
	put(b->id, 1, 102 * S);
	model_expire(m, &owner, 103 * S);
	ck_assert_int_eq(w[0].stales, 0);
	model_expire(m, &owner, 103 * S + 1);
	ck_assert_int_eq(w[0].stales, 1);
	ck_assert_int_eq(w[1].stales, 0);
	ck_assert(!series_valid(&a->series[0]));
	ck_assert(series_valid(&b->series[0]));
	model_expire(m, &owner, 104 * S);
	ck_assert_int_eq(w[0].stales, 1);
	/* An event's value holds. */
	model_expire(m, &owner, 1000 * S);
	ck_assert_int_eq(w[2].stales, 0);
	ck_assert_int_eq(w[1].stales, 1);
	/* And is fresh again with the next sample */
	put(a->id, 2, 1000 * S);
	ck_assert(series_valid(&a->series[0]));
	model_expire(m, &owner, 1004 * S);
	ck_assert_int_eq(w[0].stales, 2);
	for (int k = 0; k < 3; k++)
		series_watch_remove(&w[k].watch);
}
END_TEST

START_TEST(unwatched_series_are_stale_by_their_time)
{
	struct instance *a = add("a");

	ck_assert(!series_is_stale(&a->series[0], 1000 * S));
	put(a->id, 1, 100 * S);
	put(a->id + 2, 1, 100 * S);
	ck_assert(!series_is_stale(&a->series[0], 103 * S));
	ck_assert(series_is_stale(&a->series[0], 104 * S));
	ck_assert(!series_is_stale(&a->series[2], 104 * S));
}
END_TEST

/* The order in which series are watched and sampled does not matter: each turns stale in its time. */
START_TEST(staleness_in_any_order)
{
	static struct { struct series_watch watch; int stales; } many[64];
	struct instance *at[64];
	char name[16];

	for (int i = 0; i < 64; i++) {
		snprintf(name, sizeof(name), "%d", i);
		at[i] = add(name);
	}
	srand(1);
	for (int round = 0; round < 50; round++) {
		int64_t now = (1000 + 10 * round) * S;

		for (int i = 0; i < 64; i++)
			put(at[rand() % 64]->id, 1, now + i);
		for (int i = 0; i < 64; i++)
			if (!many[i].watch.link) {
				many[i].watch.fn = hear;
				series_watch_add(&at[i]->series[0], &many[i].watch);
			}
		for (int i = 0; i < 64; i++)
			if (rand() % 3 == 0)
				series_watch_remove(&many[i].watch);
		for (int i = 0; i < 64; i++)
			put(at[i]->id, 1, now + 100);
		model_expire(m, &owner, now + 3 * S);
		for (int i = 0; i < 64; i++)
			ck_assert(!at[i]->series[0].stale);
		model_expire(m, &owner, now + 4 * S);
		for (int i = 0; i < 64; i++)
			ck_assert(at[i]->series[0].stale || !many[i].watch.link);
	}
	for (int i = 0; i < 64; i++)
		series_watch_remove(&many[i].watch);
}
END_TEST

START_TEST(a_round_is_put_at_once)
{
	struct instance *i = add("a");
	double good[3] = { 7, (double)NAN, 1 }, bad[3] = { 1, INFINITY, 2 }, four[4] = { 2, 1, 0, 4 };
	kith_id id;

	ck_assert_int_eq(model_put_all(m, &owner, i->id, good, 3), 0);
	ck_assert_double_eq(i->series[0].value, 7);
	ck_assert_int_eq(i->series[1].time, 0);
	ck_assert_double_eq(i->series[2].value, 1);
	ck_assert_int_eq(i->series[2].time, 100 * S);
	/* One that is refused keeps none of the others back. */
	ck_assert_int_eq(model_put_all(m, &owner, i->id, bad, 3), -EDOM);
	ck_assert_double_eq(i->series[0].value, 1);
	ck_assert_int_eq(i->series[1].time, 0);
	ck_assert_double_eq(i->series[2].value, 1);
	/* From the second on, and beyond the last */
	ck_assert_int_eq(model_put_all(m, &owner, i->id + 1, four, 4), -ESTALE);
	ck_assert_double_eq(i->series[0].value, 1);
	ck_assert_double_eq(i->series[1].value, 2);
	ck_assert_int_eq(model_put_all(m, &stranger, i->id, good, 3), -EPERM);
	ck_assert_int_eq(model_put_all(m, &owner, i->id + 3, good, 1), -ESTALE);
	ck_assert_double_eq(i->series[0].value, 1);
	id = i->id;
	instance_end(m, i);
	ck_assert_int_eq(model_put_all(m, &owner, id, good, 3), -ESTALE);
}
END_TEST

static struct instance *doomed;

static void end_instance(struct series_watch *one, const struct series *s, enum series_event event)
{
	(void)one;
	(void)s;
	if (event == SERIES_SAMPLE)
		instance_end(m, doomed);
}

START_TEST(a_round_ends_with_its_instance)
{
	struct series_watch ender = { .fn = end_instance };
	double v[3] = { 1, 2, 0 };
	kith_id id;

	doomed = add("a");
	id = doomed->id;
	series_watch_add(&doomed->series[0], &ender);
	ck_assert_int_eq(model_put_all(m, &owner, id, v, 3), -ESTALE);
	ck_assert_uint_eq(owner.samples, 1);
	ck_assert_uint_eq(owner.n_watched, 0);
}
END_TEST

static struct series_watch told[3];
static unsigned n_told;

/* The first that is told takes the next one out, and the last. */
static void take_out(struct series_watch *one, const struct series *s, enum series_event event)
{
	(void)s;
	(void)event;
	n_told++;
	for (int i = 0; i < 3; i++)
		if (&told[i] != one)
			series_watch_remove(&told[i]);
}

static void gone(struct series_watch *one, const struct series *s, enum series_event event)
{
	(void)s;
	ck_assert_int_eq(event, SERIES_END);
	free(one);
}

START_TEST(who_is_told_may_remove_others)
{
	struct instance *i = add("a");
	struct series_watch *later = calloc(1, sizeof(*later)), ender = { .fn = end_instance };

	for (int k = 0; k < 3; k++) {
		told[k].fn = take_out;
		series_watch_add(&i->series[0], &told[k]);
	}
	put(i->id, 1, 100 * S);
	ck_assert_uint_eq(n_told, 1);
	ck_assert_uint_eq(owner.n_watched, 1);
	series_watch_remove(&told[2]);
	/* The first ends the instance; the one behind it is freed as it hears of that. */
	later->fn = gone;
	doomed = i;
	series_watch_add(&i->series[0], later);
	series_watch_add(&i->series[0], &ender);
	put(i->id, 2, 101 * S);
	ck_assert_ptr_null(instance_find(f, "a", 1));
}
END_TEST

static unsigned attended, attended_now;

static void attend(struct owner *o, bool now, void *user)
{
	ck_assert_ptr_eq(user, &attended);
	o->slow = false;
	attended++;
	attended_now += now;
}

START_TEST(who_watches_is_known)
{
	struct instance *i = add("a"), *j = add("b");
	struct series_watch three[3] = { { .fn = NULL } };

	owner.attend = attend;
	owner.user = &attended;
	series_watch_add(&i->series[1], &three[0]); /* it is not slow: nobody is told */
	ck_assert_uint_eq(attended, 0);
	series_watch_add(&i->series[1], &three[1]);
	ck_assert_uint_eq(owner.n_watched, 1);
	owner.slow = true;
	series_watch_add(&j->series[1], &three[2]);
	ck_assert_uint_eq(attended, 1);
	ck_assert_uint_eq(attended_now, 0);
	ck_assert_uint_eq(owner.n_watched, 2);
	series_watch_remove(&three[0]);
	series_watch_remove(&three[0]);
	ck_assert_uint_eq(owner.n_watched, 2);
	series_watch_remove(&three[1]);
	series_watch_remove(&three[2]);
	ck_assert_uint_eq(owner.n_watched, 0);
	model_attend(&owner);
	ck_assert_uint_eq(attended, 1);
	owner.slow = true;
	model_attend(&owner);
	ck_assert_uint_eq(attended_now, 1);
}
END_TEST

START_TEST(moves_are_counted)
{
	kith_id id = add("a")->id;

	put(id, 0, 100 * S); /* the first is one, whatever it is */
	ck_assert_uint_eq(owner.moves, 1);
	put(id, 0, 101 * S);
	ck_assert_uint_eq(owner.moves, 1);
	put(id, -1, 102 * S);
	put(id, 1, 103 * S);
	put(id, 1, 104 * S);
	ck_assert_uint_eq(owner.moves, 3);
}
END_TEST

START_TEST(the_clock_jumps)
{
	struct instance *a = add("a");

	watch_it(0, &a->series[0]);
	put(a->id, 1, 100 * S);
	model_jump(m, 3600 * S);
	ck_assert_int_eq(a->series[0].time, 3700 * S);
	ck_assert_int_eq(a->series[1].time, 0);
	model_expire(m, &owner, 3702 * S);
	ck_assert_int_eq(w[0].stales, 0);
	model_jump(m, -3600 * S);
	model_expire(m, &owner, 104 * S);
	ck_assert_int_eq(w[0].stales, 1);
	series_watch_remove(&w[0].watch);
}
END_TEST

START_TEST(series_are_found_by_name)
{
	struct family *one;
	struct instance *i = add("/a:b"), *nameless;
	char text[NAME_MAX_LENGTH + 1];
	struct name name;

	ck_assert_int_eq(family_add(m, &owner, &single, 0, &one, &why), 0);
	ck_assert_int_eq(instance_add(m, one, "", &nameless), 0);
	ck_assert_str_eq(series_name(&i->series[1], text), "thing:/a:b:count");
	ck_assert_int_eq(name_split(text, strlen(text), &name), 0);
	ck_assert_ptr_eq(series_find(m, &name), &i->series[1]);
	ck_assert_str_eq(series_name(&nameless->series[0], text), "single:value");
	ck_assert_int_eq(name_split(text, strlen(text), &name), 0);
	ck_assert_ptr_eq(series_find(m, &name), &nameless->series[0]);
	ck_assert_int_eq(name_split("thing:x:count", 13, &name), 0);
	ck_assert_ptr_null(series_find(m, &name));
	ck_assert_int_eq(name_split("thing", 5, &name), 0);
	ck_assert_ptr_null(series_find(m, &name));
}
END_TEST

/* ---- observers, records, wants ------------------------------------------------------------------------------------ */

static int begins, ends, family_ends, records;
static int64_t record_time;

static void on_family(const struct family *family, bool begin, void *user)
{
	(void)family;
	(void)user;
	family_ends += !begin;
}

static void on_instance(struct instance *instance, bool begin, void *user)
{
	(void)user;
	ck_assert_ptr_nonnull(instance->name);
	begins += begin;
	ends += !begin;
}

static void on_record(const struct kith_record *record, uint64_t number, void *user)
{
	(void)user;
	records++;
	ck_assert_uint_eq(number, (uint64_t)records);
	record_time = record->time;
}

START_TEST(observers_hear)
{
	struct model_observer o = { .on_family = on_family, .on_instance = on_instance, .on_record = on_record }, quiet = { 0 };
	struct kith_record r = { .size = sizeof(r), .message = "x" };

	begins = ends = family_ends = records = 0;
	model_observe(m, &quiet);
	model_observe(m, &o);
	add("a");
	add("a");
	add("b");
	ck_assert_int_eq(begins, 2);
	model_record(m, &r);
	ck_assert_int_eq(record_time, 100 * S);
	r.time = 7;
	model_record(m, &r);
	ck_assert_int_eq(record_time, 7);
	ck_assert_int_eq(r.time, 7);
	ck_assert_uint_eq(model_n_records(m), 2);
	family_remove(m, f);
	ck_assert_int_eq(ends, 2);
	ck_assert_int_eq(family_ends, 1);
	ck_assert_uint_eq(owner.n_series, 0);
	model_unobserve(m, &o);
	model_unobserve(m, &quiet);
	model_unobserve(m, &quiet);
	model_record(m, &r);
	ck_assert_int_eq(records, 2);
}
END_TEST

static int wanted;
static char wanted_name[32];
static void on_want(const char *instance, bool is, void *user)
{
	(void)user;
	wanted += is ? 1 : -1;
	snprintf(wanted_name, sizeof(wanted_name), "%s", instance);
}

START_TEST(wants_are_counted)
{
	static char family[] = "process", other[] = "other";
	struct want_watch watch = { .family = family, .fn = on_want }, deaf = { .family = other, .fn = on_want };

	wanted = 0;
	ck_assert_int_eq(model_want(m, "process", "sshd"), 0);
	model_watch_wants(m, &deaf);
	model_watch_wants(m, &watch);
	ck_assert_int_eq(wanted, 1);
	ck_assert_str_eq(wanted_name, "sshd");
	ck_assert_int_eq(model_want(m, "process", "sshd"), 0);
	ck_assert_int_eq(model_want(m, "process", "get*"), 0);
	ck_assert_int_eq(wanted, 2);
	model_unwant(m, "process", "sshd");
	ck_assert_int_eq(wanted, 2);
	model_unwant(m, "process", "sshd");
	ck_assert_int_eq(wanted, 1);
	model_unwant(m, "process", "sshd");
	model_unwant(m, "process", "never");
	ck_assert_int_eq(wanted, 1);
	model_unwatch_wants(m, &watch);
	model_unwant(m, "process", "get*");
	ck_assert_int_eq(wanted, 1);
	model_unwatch_wants(m, &deaf);
	ck_assert_int_eq(model_want(m, "left", "over"), 0); /* freed with the model */
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("model");
	TCase *tc = tcase_create("model");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, families_are_copied);
	tcase_add_test(tc, bad_families_are_refused);
	tcase_add_test(tc, instances_come_and_go);
	tcase_add_test(tc, instances_are_capped);
	tcase_add_test(tc, many_instances_keep_their_ids);
	tcase_add_test(tc, samples_are_checked);
	tcase_add_test(tc, samples_reach_their_watches_alone);
	tcase_add_test(tc, a_sample_allocates_nothing);
	tcase_add_test(tc, watched_series_turn_stale);
	tcase_add_test(tc, unwatched_series_are_stale_by_their_time);
	tcase_add_test(tc, staleness_in_any_order);
	tcase_add_test(tc, a_round_is_put_at_once);
	tcase_add_test(tc, a_round_ends_with_its_instance);
	tcase_add_test(tc, who_is_told_may_remove_others);
	tcase_add_test(tc, who_watches_is_known);
	tcase_add_test(tc, moves_are_counted);
	tcase_add_test(tc, the_clock_jumps);
	tcase_add_test(tc, series_are_found_by_name);
	tcase_add_test(tc, observers_hear);
	tcase_add_test(tc, wants_are_counted);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
