/* What typed sources have in common, with kinds of the test's own in place of the real ones */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "source/source.h"

#define PLAIN 1 /* nothing of each subscriber */
#define KEEN 2  /* a filter, which has to be there */
#define NEVER 3 /* cannot be opened */

struct filter {
	uint32_t size, least;
};

struct event {
	uint32_t size, value;
};

/* What the kinds were asked; of this process alone, as a kind is a constant */
static struct {
	int opened, closed, added, removed, add_fails;
	struct source *source[4];
} kinds;

static int test_open(struct source *s, const struct source_env *env, void **ret_reader)
{
	static int plain = PLAIN;

	ck_assert_str_eq(env->root, "/somewhere");
	kinds.opened++;
	kinds.source[PLAIN] = s;
	*ret_reader = &plain;
	return 0;
}

static int keen_open(struct source *s, const struct source_env *env, void **ret_reader)
{
	(void)env;
	kinds.opened++;
	kinds.source[KEEN] = s;
	*ret_reader = s;
	return 0;
}

static int never_open(struct source *s, const struct source_env *env, void **ret_reader)
{
	(void)s;
	(void)env;
	(void)ret_reader;
	return -EPERM;
}

static void test_close(void *reader)
{
	ck_assert_ptr_nonnull(reader);
	kinds.closed++;
}

static int keen_add(void *reader, struct source_sub *sub, const void *filter, void **ret_own)
{
	struct filter *copy;

	ck_assert_ptr_nonnull(reader);
	ck_assert_ptr_nonnull(sub);
	if (kinds.add_fails)
		return kinds.add_fails;
	copy = malloc(sizeof(*copy));
	memcpy(copy, filter, sizeof(*copy));
	*ret_own = copy;
	kinds.added++;
	return 0;
}

static void keen_remove(void *reader, void *own)
{
	ck_assert_ptr_nonnull(reader);
	kinds.removed++;
	free(own);
}

static bool keen_accepts(const void *own, const void *event)
{
	const struct filter *f = own;
	const struct event *e = event;

	return e->value >= f->least;
}

static int plain_dump(void *reader, const void *filter, int (*fn)(const void *event, void *user), void *user)
{
	ck_assert_ptr_nonnull(reader);
	ck_assert_ptr_null(filter);
	for (uint32_t i = 0; i < 5; i++) {
		struct event e = { sizeof(e), i };
		int r = fn(&e, user);

		if (r < 0)
			return r;
	}
	return 0;
}

static const struct source_kind plain = { .id = PLAIN, .name = "plain", .open = test_open, .close = test_close, .dump = plain_dump };
static const struct source_kind keen = { .id = KEEN, .name = "keen", .filter_size = sizeof(struct filter), .filter_needed = true,
	                                 .open = keen_open, .close = test_close, .add = keen_add, .remove = keen_remove,
	                                 .accepts = keen_accepts };
static const struct source_kind never = { .id = NEVER, .name = "never", .open = never_open, .close = test_close };

const struct source_kind *source_kind_find(uint32_t id)
{
	return id == PLAIN ? &plain : id == KEEN ? &keen : id == NEVER ? &never : NULL;
}

/* ---- a subscriber ------------------------------------------------------------------------------------------------ */

struct hearer {
	struct sources *all;
	struct source_sub *sub;
	unsigned heard, lost, gone;
	uint32_t last;
	struct hearer *drops; /* whom it unsubscribes when it hears something */
	struct hearer *adds;  /* whom it subscribes */
};

static void hear(const void *event, void *user);
static void hear_lost(void *user)
{
	((struct hearer *)user)->lost++;
}

static int subscribe(struct hearer *h, uint32_t id, uint32_t least)
{
	struct filter f = { sizeof(f), least };
	struct source_listener listener = { h, hear, hear_lost };

	return source_subscribe(h->all, id, id == KEEN ? &f : NULL, &listener, &h->sub);
}

static void drop(struct hearer *h)
{
	if (h->sub)
		source_unsubscribe(h->sub);
	h->sub = NULL;
}

static void hear(const void *event, void *user)
{
	struct hearer *h = user;

	if (!event) {
		h->gone++;
		return;
	}
	h->heard++;
	h->last = ((const struct event *)event)->value;
	if (h->drops)
		drop(h->drops);
	if (h->adds && !h->adds->sub)
		ck_assert_int_eq(subscribe(h->adds, KEEN, 0), 0);
}

static struct sources *start(void)
{
	struct source_env env = { .root = "/somewhere" };
	struct sources *all;

	memset(&kinds, 0, sizeof(kinds));
	ck_assert_int_eq(sources_new(&env, &all), 0);
	return all;
}

static void tell(uint32_t id, uint32_t value)
{
	struct event e = { sizeof(e), value };

	source_tell(kinds.source[id], &e);
}

START_TEST(opened_for_the_first_closed_after_the_last)
{
	struct sources *all = start();
	struct hearer a = { .all = all }, b = { .all = all };

	ck_assert_int_eq(subscribe(&a, PLAIN, 0), 0);
	ck_assert_int_eq(subscribe(&b, PLAIN, 0), 0);
	ck_assert_int_eq(kinds.opened, 1);
	tell(PLAIN, 7);
	ck_assert_uint_eq(a.heard + b.heard, 2);
	source_lost(kinds.source[PLAIN]);
	ck_assert_uint_eq(a.lost + b.lost, 2);
	drop(&a);
	ck_assert_int_eq(kinds.closed, 0);
	drop(&b);
	ck_assert_int_eq(kinds.closed, 1);
	ck_assert_int_eq(subscribe(&a, PLAIN, 0), 0);
	ck_assert_int_eq(kinds.opened, 2);
	sources_free(all); /* with who is left */
	ck_assert_int_eq(kinds.closed, 2);
}
END_TEST

START_TEST(each_hears_what_its_filter_accepts)
{
	struct sources *all = start();
	struct hearer a = { .all = all }, b = { .all = all };

	ck_assert_int_eq(subscribe(&a, KEEN, 3), 0);
	ck_assert_int_eq(subscribe(&b, KEEN, 5), 0);
	for (uint32_t i = 0; i < 8; i++)
		tell(KEEN, i);
	ck_assert_uint_eq(a.heard, 5);
	ck_assert_uint_eq(b.heard, 3);
	sources_free(all);
	ck_assert_int_eq(kinds.added, kinds.removed);
}
END_TEST

START_TEST(what_cannot_be_had_leaves_nothing)
{
	struct sources *all = start();
	struct hearer a = { .all = all };
	struct filter shorter = { sizeof(shorter) - 1, 0 }, f = { sizeof(f), 0 };
	struct source_listener listener = { &a, hear, hear_lost };

	ck_assert_int_eq(subscribe(&a, NEVER, 0), -EPERM);
	ck_assert_int_eq(subscribe(&a, 99, 0), -EOPNOTSUPP);
	ck_assert_int_eq(source_subscribe(all, KEEN, NULL, &listener, &a.sub), -EINVAL);
	ck_assert_int_eq(source_subscribe(all, KEEN, &shorter, &listener, &a.sub), -EINVAL);
	ck_assert_int_eq(source_subscribe(all, PLAIN, &f, &listener, &a.sub), -EINVAL); /* it takes none */
	kinds.add_fails = -ENOSPC;
	ck_assert_int_eq(subscribe(&a, KEEN, 0), -ENOSPC);
	ck_assert_ptr_null(a.sub);
	ck_assert_int_eq(kinds.opened, 1);
	ck_assert_int_eq(kinds.closed, 1);
	ck_assert_int_eq(kinds.removed, 0);
	sources_free(all);
}
END_TEST

START_TEST(who_is_told_may_leave_and_bring_others)
{
	struct sources *all = start();
	struct hearer a = { .all = all }, b = { .all = all }, c = { .all = all };

	ck_assert_int_eq(subscribe(&a, KEEN, 0), 0);
	ck_assert_int_eq(subscribe(&b, KEEN, 0), 0);
	a.drops = &b; /* before it is told */
	a.adds = &c;  /* told at once: it stands behind */
	tell(KEEN, 1);
	ck_assert_uint_eq(b.heard, 0);
	ck_assert_uint_eq(c.heard, 1);
	a.drops = &a; /* itself */
	a.adds = NULL;
	tell(KEEN, 2);
	ck_assert_uint_eq(c.heard, 2);
	c.drops = &c; /* the last one closes it, after the call */
	tell(KEEN, 3);
	ck_assert_int_eq(kinds.closed, 1);
	ck_assert_int_eq(kinds.added, kinds.removed);
	sources_free(all);
}
END_TEST

START_TEST(one_alone_is_told)
{
	struct sources *all = start();
	struct hearer a = { .all = all }, b = { .all = all };
	struct event e = { sizeof(e), 4 };

	ck_assert_int_eq(subscribe(&a, KEEN, 9), 0);
	ck_assert_int_eq(subscribe(&b, KEEN, 9), 0);
	ck_assert(source_tell_one(a.sub, &e)); /* by no filter: who tells one knows why */
	ck_assert_uint_eq(a.heard, 1);
	ck_assert_uint_eq(b.heard, 0);
	ck_assert(source_tell_one(a.sub, NULL));
	ck_assert_uint_eq(a.gone, 1);
	b.drops = &b;
	ck_assert(!source_tell_one(b.sub, &e));
	sources_free(all);
}
END_TEST

/* A reader goes on with its batch although nobody is left, and is closed after that. */
START_TEST(held_for_a_batch)
{
	struct sources *all = start();
	struct hearer a = { .all = all };
	struct source *s;

	ck_assert_int_eq(subscribe(&a, KEEN, 0), 0);
	a.drops = &a;
	s = kinds.source[KEEN];
	source_hold(s);
	tell(KEEN, 1);
	tell(KEEN, 2);
	source_lost(s);
	ck_assert_int_eq(kinds.closed, 0);
	ck_assert(!source_release(s));
	ck_assert_int_eq(kinds.closed, 1);
	ck_assert_uint_eq(a.heard, 1);
	ck_assert_uint_eq(a.lost, 0);
	ck_assert_int_eq(subscribe(&a, KEEN, 0), 0);
	source_hold(kinds.source[KEEN]);
	ck_assert(source_release(kinds.source[KEEN]));
	sources_free(all);
}
END_TEST

static int count_to_three(const void *event, void *user)
{
	unsigned *n = user;

	ck_assert_uint_eq(((const struct event *)event)->value, *n);
	return ++*n == 3 ? -ECANCELED : 0;
}

static int count(const void *event, void *user)
{
	(void)event;
	++*(unsigned *)user;
	return 0;
}

START_TEST(a_dump_opens_and_closes)
{
	struct sources *all = start();
	struct filter f = { sizeof(f), 0 };
	unsigned n = 0;

	ck_assert_int_eq(source_dump(all, PLAIN, NULL, count, &n), 0);
	ck_assert_uint_eq(n, 5);
	ck_assert_int_eq(kinds.closed, 1);
	n = 0;
	ck_assert_int_eq(source_dump(all, PLAIN, NULL, count_to_three, &n), -ECANCELED);
	ck_assert_uint_eq(n, 3);
	ck_assert_int_eq(source_dump(all, KEEN, &f, count, &n), -ENOTSUP);
	ck_assert_int_eq(source_dump(all, NEVER, NULL, count, &n), -EPERM);
	ck_assert_int_eq(kinds.opened, kinds.closed);
	sources_free(all);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("source");
	TCase *tcase = tcase_create("typed sources");
	SRunner *runner;
	int failed;

	tcase_add_test(tcase, opened_for_the_first_closed_after_the_last);
	tcase_add_test(tcase, each_hears_what_its_filter_accepts);
	tcase_add_test(tcase, what_cannot_be_had_leaves_nothing);
	tcase_add_test(tcase, who_is_told_may_leave_and_bring_others);
	tcase_add_test(tcase, one_alone_is_told);
	tcase_add_test(tcase, held_for_a_batch);
	tcase_add_test(tcase, a_dump_opens_and_closes);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
