/* control/: watches: who is told what and when, who is cut off, and what all that costs */
#include <check.h>

#include "base/alloc.h"
#include "control_raw.h"

START_TEST(watch_subscribes_then_tells)
{
	struct raw r = raw_open();
	kith_id id = add(f.ticks, "a"), state = add(f.events, "e");
	const Control__Answer *a;

	put(id, 1); /* before: not told */
	ask_watch(&r, NULL, 0);
	ck_assert_uint_eq(next_of(&r, CONTROL__ANSWER__IS_SUBSCRIBED)->subscribed->series, 3);
	put(id, 2);
	put(id + 1, 3);
	put(state, 1);
	/* An event's sample goes at once, and what waited goes with it, in order: the loop has not run since. */
	raw_receive(&r);
	a = raw_take(&r);
	ck_assert_ptr_nonnull(a);
	ck_assert_double_eq(a->sample->number, 2);
	a = raw_take(&r);
	ck_assert_str_eq(a->sample->name, "tick:a:total");
	a = raw_take(&r);
	ck_assert_str_eq(a->sample->state, "up");
	ck_assert_int_eq(a->sample->time, model_now(f.model));
	/* A tick's samples wait for the end of the round. */
	put(id, 4);
	raw_receive(&r);
	ck_assert_ptr_null(raw_take(&r));
	ck_assert_double_eq(next_of(&r, CONTROL__ANSWER__IS_SAMPLE)->sample->number, 4);
	raw_close(&r);
}
END_TEST

START_TEST(watch_follows_instances)
{
	struct raw r = raw_open();
	kith_id id;

	add(f.ticks, "b1");
	ask_watch(&r, "tick:a*:level", 0);
	ck_assert_uint_eq(next_of(&r, CONTROL__ANSWER__IS_SUBSCRIBED)->subscribed->series, 0);
	for (int i = 0; i < 3; i++) {
		id = add(f.ticks, "a1");
		put(id, i);
		put(id + 1, 99);
		put(add(f.ticks, "b1"), 98);
		ck_assert_double_eq(next_of(&r, CONTROL__ANSWER__IS_SAMPLE)->sample->number, i);
		instance_end(f.model, instance_of(f.model, id));
	}
	id = add(f.ticks, "a2");
	family_remove(f.model, f.ticks);
	turn(2);
	raw_receive(&r);
	ck_assert_ptr_null(raw_take(&r));
	ck_assert(!r.ended);
	raw_close(&r);
}
END_TEST

/* At once: without a turn of the loop */
static const Control__Answer *told(struct raw *r)
{
	raw_receive(r);
	return raw_take(r);
}

START_TEST(watch_transitions_and_records)
{
	struct raw all = raw_open(), room = raw_open(), df = raw_open(), records = raw_open();
	const Control__Answer *a;

	ask_watch(&all, NULL, 0);
	ask_watch(&room, "room.*", 0);
	ask_watch(&df, "df:/:free_percent", 0);
	ask_watch(&records, NULL, WATCH_RECORDS);
	next_of(&all, CONTROL__ANSWER__IS_SUBSCRIBED);
	next_of(&room, CONTROL__ANSWER__IS_SUBSCRIBED);
	next_of(&df, CONTROL__ANSWER__IS_SUBSCRIBED);
	next_of(&records, CONTROL__ANSWER__IS_SUBSCRIBED);

	transition("room.disk", "df:/");
	a = told(&all);
	ck_assert_ptr_nonnull(a);
	ck_assert_int_eq((int)a->is_case, CONTROL__ANSWER__IS_TRANSITION);
	ck_assert_str_eq(a->transition->name, "room.disk");
	ck_assert_str_eq(a->transition->promiser, "df:/");
	ck_assert_str_eq(a->transition->because, "so");
	ck_assert_int_eq((int)a->transition->to, CONTROL__ASSESSMENT__BROKEN);
	ck_assert_ptr_nonnull(told(&room));
	ck_assert_ptr_nonnull(told(&df));
	transition("network.up", "interface:eth0");
	ck_assert_ptr_nonnull(told(&all));
	ck_assert_ptr_null(told(&room));
	ck_assert_ptr_null(told(&df));

	record("df:/", "was remounted");
	a = told(&all);
	ck_assert_ptr_nonnull(a);
	ck_assert_int_eq((int)a->is_case, CONTROL__ANSWER__IS_RECORD);
	ck_assert_str_eq(a->record->message, "was remounted");
	ck_assert_uint_eq(a->record->n_fields, 2);
	ck_assert_str_eq(a->record->fields[1]->key, "code");
	ck_assert_int_eq(a->record->time, model_now(f.model));
	ck_assert_ptr_null(told(&room));
	ck_assert_ptr_nonnull(told(&df));
	a = told(&records);
	ck_assert_int_eq((int)a->is_case, CONTROL__ANSWER__IS_RECORD);
	ck_assert_ptr_null(told(&records));
	raw_close(&all);
	raw_close(&room);
	raw_close(&df);
	raw_close(&records);
	turn(3);
	ck_assert_uint_eq(f.control->n_peers, 0);
	transition("room.disk", "df:/");
}
END_TEST

static int wanted_now;
static void on_wanted(const char *instance, bool wanted, void *user)
{
	struct instance *i;

	(void)user;
	ck_assert_str_eq(instance, "sshd");
	wanted_now += wanted ? 1 : -1;
	/* as a plugin does: it makes the series and puts its value */
	if (wanted) {
		ck_assert_int_eq(instance_add(f.model, f.ticks, instance, &i), 0);
		put(i->id, 1);
	}
}

START_TEST(watch_wants)
{
	struct want_watch wants = { .family = (char *)"tick", .fn = on_wanted };
	struct raw r = raw_open();

	model_watch_wants(f.model, &wants);
	ask_watch(&r, "tick:sshd:level", 0);
	ck_assert_uint_eq(next_of(&r, CONTROL__ANSWER__IS_SUBSCRIBED)->subscribed->series, 1);
	ck_assert_int_eq(wanted_now, 1);
	raw_close(&r);
	turn(2);
	ck_assert_int_eq(wanted_now, 0);
}
END_TEST

START_TEST(request_while_watching)
{
	struct raw r = raw_open();

	ask_watch(&r, NULL, 0);
	next_of(&r, CONTROL__ANSWER__IS_SUBSCRIBED);
	ask_status(&r);
	ck_assert_int_eq(next_of(&r, CONTROL__ANSWER__IS_FAULT)->fault->code, CONTROL__CODE__USAGE);
	expect_closed(&r);
	raw_close(&r);
	ck_assert_uint_eq(f.control->n_peers, 0);
}
END_TEST

START_TEST(half_closed_watcher_ends)
{
	struct raw r = raw_open();

	ask_watch(&r, NULL, 0);
	next_of(&r, CONTROL__ANSWER__IS_SUBSCRIBED);
	shutdown(r.fd, SHUT_WR);
	expect_closed(&r);
	raw_close(&r);
}
END_TEST

START_TEST(slow_reader_is_cut_off)
{
	struct raw slow = raw_open(), quick = raw_open();
	kith_id id = add(f.ticks, "a");
	size_t longest = 0, told_quick = 0;
	double last = -1;
	int i;

	ask_watch(&slow, NULL, 0);
	ask_watch(&quick, NULL, 0);
	next_of(&slow, CONTROL__ANSWER__IS_SUBSCRIBED);
	next_of(&quick, CONTROL__ANSWER__IS_SUBSCRIBED);
	for (i = 0; i < 100000 && f.control->n_peers == 2; i++) {
		const Control__Answer *a;

		put(id, i);
		turn(i % 7 == 0);
		for (struct peer *p = f.control->peers; p; p = p->next)
			longest = p->out.length > longest ? p->out.length : longest;
		raw_receive(&quick);
		while ((a = raw_take(&quick)) != NULL) {
			ck_assert_double_eq(a->sample->number, last + 1);
			last = a->sample->number;
			told_quick++;
		}
	}
	ck_assert_int_lt(i, 100000);
	ck_assert_uint_eq(f.control->n_cut_off, 1);
	ck_assert_uint_le(longest, f.control->max_queue);
	ck_assert_uint_gt(longest, f.control->max_queue / 2);
	turn(2);
	raw_receive(&quick);
	while (raw_take(&quick))
		told_quick++;
	ck_assert_uint_eq(told_quick, (size_t)i);
	/* What the kernel had taken can still be read, then it ends. */
	raw_receive(&slow);
	ck_assert(slow.ended);
	ck_assert_ptr_nonnull(raw_take(&slow));
	raw_close(&slow);
	raw_close(&quick);
}
END_TEST

/* Many watchers of one series fail while one sample is on its way to all of them. */
START_TEST(all_readers_are_cut_off_at_once)
{
	struct raw r[8];
	kith_id id = add(f.events, "a");

	for (int i = 0; i < 8; i++) {
		r[i] = raw_open();
		ask_watch(&r[i], NULL, 0);
		next_of(&r[i], CONTROL__ANSWER__IS_SUBSCRIBED);
	}
	for (int i = 0; i < 100000 && f.control->n_cut_off < 8; i++)
		put(id, i & 1);
	ck_assert_uint_eq(f.control->n_cut_off, 8);
	ck_assert_uint_eq(f.control->n_peers, 8);
	turn(2);
	ck_assert_uint_eq(f.control->n_peers, 0);
	put(id, 0);
	for (int i = 0; i < 8; i++)
		raw_close(&r[i]);
}
END_TEST

START_TEST(gone_watcher_is_noticed_by_a_write)
{
	struct raw r = raw_open();
	kith_id id = add(f.events, "a");

	ask_watch(&r, NULL, 0);
	next_of(&r, CONTROL__ANSWER__IS_SUBSCRIBED);
	raw_close(&r);
	put(id, 1); /* EPIPE, and no SIGPIPE */
	put(id, 0);
	ck_assert_uint_eq(f.control->n_peers, 1);
	ck_assert(f.control->peers->doomed);
	turn(1);
	ck_assert_uint_eq(f.control->n_peers, 0);
	ck_assert_uint_eq(f.control->n_cut_off, 0);
}
END_TEST

static void stop_cb(void *user)
{
	loop_stop(user);
}

/* How often the loop woke in 30 ms */
static uint64_t wakes(void)
{
	struct loop_watch *w;
	uint64_t before = loop_iterations(f.loop);

	ck_assert_int_eq(loop_timer(f.loop, 30 * NS_PER_MS, 0, 0, stop_cb, f.loop, &w), 0);
	loop_run(f.loop);
	loop_remove(f.loop, w);
	return loop_iterations(f.loop) - before;
}

START_TEST(idle_and_dead_clients_cost_nothing)
{
	struct raw idle = raw_open(), partial = raw_open(), dead = raw_open(), stuck = raw_open(), full = raw_open();
	kith_id id = add(f.events, "a");

	raw_send(&partial, "\x05\0\0\0\x0a", 5);
	ask_watch(&dead, NULL, 0);
	next_of(&dead, CONTROL__ANSWER__IS_SUBSCRIBED);
	ask_watch(&stuck, NULL, 0);
	next_of(&stuck, CONTROL__ANSWER__IS_SUBSCRIBED);
	add_many();
	ask_get(&full, NULL, 0); /* and never reads */
	shutdown(full.fd, SHUT_WR);
	turn(5);
	for (int i = 0; i < 20000 && !f.control->n_cut_off; i++) {
		raw_receive(&dead);
		dead.length = 0;
		put(id, i & 1);
		/* until it is blocked, not yet cut off */
		for (struct peer *p = f.control->peers; p; p = p->next)
			if (p->subscription && p->blocked)
				i = 20000;
	}
	ck_assert_uint_eq(f.control->n_cut_off, 0);
	raw_close(&dead);
	turn(3);
	ck_assert_uint_eq(f.control->n_peers, 4);
	ck_assert_uint_le(wakes(), 2); /* the timer's */
	raw_close(&idle);
	raw_close(&partial);
	raw_close(&stuck);
	raw_close(&full);
	turn(5);
	ck_assert_uint_eq(f.control->n_peers, 0);
	ck_assert_uint_le(wakes(), 2);
}
END_TEST

START_TEST(telling_allocates_nothing)
{
	struct raw r = raw_open();
	kith_id id = add(f.ticks, "a"), state = add(f.events, "e");
	int64_t before = 0;
	char bytes[4096];
	int told = 0;

	if (alloc_count() < 0)
		return; /* this build does not count */
	ask_watch(&r, NULL, 0);
	next_of(&r, CONTROL__ANSWER__IS_SUBSCRIBED);
	/* Not put(): check's assertions allocate. The first rounds are those of buffers that are kept. */
	for (int i = 0; i < 220; i++) {
		if (i == 20)
			before = alloc_count();
		model_put(f.model, &f.owner, id, i, model_now(f.model));
		model_put(f.model, &f.owner, id + 1, i, model_now(f.model));
		turn(1);
		model_put(f.model, &f.owner, state, i & 1, model_now(f.model));
		transition("room.disk", "df:/");
		record("df:/", "hello");
		/* or the socket fills and the queue grows */
		told += recv(r.fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0;
	}
	before = alloc_count() - before;
	ck_assert_int_eq(before, 0);
	ck_assert_int_eq(told, 220);
	raw_close(&r);
}
END_TEST

START_TEST(stopping_says_so)
{
	struct raw r = raw_open();
	const Control__Answer *a;

	add_many(); /* its answers are many more than fit */
	ask_watch(&r, NULL, 0);
	next_of(&r, CONTROL__ANSWER__IS_SUBSCRIBED);
	control_free(f.control);
	f.control = NULL;
	raw_receive(&r);
	a = raw_take(&r);
	ck_assert_ptr_nonnull(a);
	ck_assert_int_eq(a->fault->code, CONTROL__CODE__STOPPING);
	ck_assert(r.ended);
	raw_close(&r);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("control watch");
	TCase *t;
	SRunner *runner;
	int failed;

	t = tcase(s, "watch", setup);
	tcase_add_test(t, watch_subscribes_then_tells);
	tcase_add_test(t, watch_follows_instances);
	tcase_add_test(t, watch_transitions_and_records);
	tcase_add_test(t, watch_wants);
	tcase_add_test(t, request_while_watching);
	tcase_add_test(t, half_closed_watcher_ends);
	tcase_add_test(t, gone_watcher_is_noticed_by_a_write);
	tcase_add_test(t, idle_and_dead_clients_cost_nothing);
	tcase_add_test(t, telling_allocates_nothing);
	tcase_add_test(t, stopping_says_so);
	t = tcase(s, "slow", setup_small_queue);
	tcase_add_test(t, slow_reader_is_cut_off);
	tcase_add_test(t, all_readers_are_cut_off_at_once);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
