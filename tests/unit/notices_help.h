/* What the tests of notices share: a world of promises, receivers whose messages are written down, and time that the test makes. */
#ifndef KITH_TEST_NOTICES_HELP_H
#define KITH_TEST_NOTICES_HELP_H

#include "promise_help.h"
#include "promises/notices.h"

#define SENT_MAX 256

/* Whatever a test does while its own callbacks run */
#ifndef TOWN_ASIDE
#define TOWN_ASIDE(aside) ((void)(aside))
#endif

struct sent {
	char receiver[64], subject[400], what[32], program[64];
	char *json;
	unsigned count;
	uint64_t token;
	int64_t time;
};

struct town {
	struct world *w;
	struct notices *n;
	struct sent sent[SENT_MAX];
	unsigned n_sent, n_records, n_changed, n_asked;
	char record[512];
	int64_t armed, now;
	int send_result;
	bool held; /* deliveries end when the test says so */
	int status; /* with which they end otherwise */
	unsigned n_ended; /* of those that were sent */
};

static inline void town_arm(int64_t at, void *user)
{
	struct town *t = user;

	TOWN_ASIDE(true);
	ck_assert_int_ne(at, t->armed); /* the same wish again */
	t->armed = at;
	TOWN_ASIDE(false);
}

static inline const char *env_of(const struct notice_message *m, const char *name)
{
	size_t n = strlen(name);

	for (const char *const *e = m->env; *e; e++)
		if (!strncmp(*e, name, n) && (*e)[n] == '=')
			return *e + n + 1;
	ck_abort_msg("no %s", name);
	return "";
}

static inline int town_send(const struct notice_message *m, void *user)
{
	struct town *t = user;
	struct sent *s = &t->sent[t->n_sent % SENT_MAX];

	if (t->send_result < 0)
		return t->send_result;
	TOWN_ASIDE(true);
	ck_assert_uint_lt(m->json_length, 60 * 1024);
	ck_assert_ptr_null(strchr(env_of(m, "KITH_SUBJECT"), '\n'));
	free(s->json);
	snprintf(s->receiver, sizeof(s->receiver), "%s", m->receiver);
	snprintf(s->subject, sizeof(s->subject), "%s", env_of(m, "KITH_SUBJECT"));
	snprintf(s->what, sizeof(s->what), "%s", env_of(m, "KITH_WHAT"));
	snprintf(s->program, sizeof(s->program), "%s", m->argv[0]);
	s->count = (unsigned)atoi(env_of(m, "KITH_COUNT"));
	s->json = strndup(m->json, m->json_length);
	s->token = m->token;
	s->time = t->now;
	t->n_sent++;
	TOWN_ASIDE(false);
	return 0;
}

static inline void town_record(enum kith_priority priority, const char *receiver, const char *message, int64_t now, void *user)
{
	struct town *t = user;

	(void)priority;
	(void)receiver;
	(void)now;
	snprintf(t->record, sizeof(t->record), "%s", message);
	t->n_records++;
}

static inline void town_changed(bool asked, void *user)
{
	struct town *t = user;

	t->n_changed++;
	t->n_asked += asked;
}

static const char *const town_argv[] = { "/bin/tell", "ops", NULL };
static const struct notice_receiver town_ops = { .name = "ops", .argv = town_argv, .severity = KITH_WARNING, .wait = 10 * NS_PER_S,
	                                         .repeat = 3600 * NS_PER_S, .timeout = 30 * NS_PER_S, .kept = true };

static inline void town_begin_notices(struct town *t)
{
	struct notices_driver driver = { t, town_arm, town_send, town_record, town_changed };

	t->armed = 0;
	t->n_ended = t->n_sent; /* what was on its way is lost */
	ck_assert_int_eq(notices_new(t->w->p, &driver, &t->n), 0);
}

/* With `n` receivers, of which the first is ops unless one is given */
static inline struct town *town_new(const struct notice_receiver *r, size_t n)
{
	struct town *t = calloc(1, sizeof(*t));

	ck_assert_ptr_nonnull(t);
	t->w = world_new();
	t->now = T0;
	town_begin_notices(t);
	ck_assert_int_eq(notices_configure(t->n, "web1", r ? r : &town_ops, r ? n : 1, T0), 0);
	return t;
}

static inline void town_free(struct town *t)
{
	notices_free(t->n);
	world_free(t->w);
	for (int i = 0; i < SENT_MAX; i++)
		free(t->sent[i].json);
	free(t);
}

static inline struct sent *town_last(struct town *t)
{
	ck_assert_uint_gt(t->n_sent, 0);
	return &t->sent[(t->n_sent - 1) % SENT_MAX];
}

static inline void town_delivered(struct town *t, int status)
{
	ck_assert_uint_lt(t->n_ended, t->n_sent);
	notices_sent(t->n, t->sent[t->n_ended++ % SENT_MAX].token, status << 8, false, "no route\n", 9, t->now);
}

/* Time goes on to T0 + seconds: all that is armed happens at its time. */
static inline void town_to(struct town *t, double seconds)
{
	int64_t end = S(seconds);

	for (unsigned turns = 0;; turns++) {
		int64_t at = end;
		bool mine = false;

		ck_assert_uint_lt(turns, 100000);
		if (t->n_ended < t->n_sent && !t->held) {
			town_delivered(t, t->status);
			continue;
		}
		if (t->w->armed && t->w->armed <= at)
			at = t->w->armed;
		if (t->armed && t->armed <= at) {
			at = t->armed;
			mine = true;
		}
		if (at > t->now)
			t->now = at;
		model_set_now(t->w->m, t->now);
		if (mine) {
			t->armed = 0;
			notices_run(t->n, t->now);
		} else if (t->w->armed && t->w->armed <= t->now) {
			world_time(t->w, t->now);
		} else if (at >= end) {
			return;
		}
	}
}

/* A sample of svc:NAME:load, that all these promises are about: below 1 it is kept */
static inline void town_put(struct town *t, const char *name, double value, double seconds)
{
	town_to(t, seconds);
	put(t->w, "svc", name, "load", value, seconds);
	town_to(t, seconds);
}

/* Promises b.NAME, each of svc:NAME; `more` is added to each */
static inline void town_promise(struct town *t, const char *const *names, size_t n, const char *const *more)
{
	struct buf b = BUF_INIT;

	buf_puts(&b, "bundle b {\n");
	for (size_t i = 0; i < n; i++)
		buf_printf(&b, " promise %s {\n promiser svc:%s\n keep svc:%s:load < 1\n %s\n }\n", names[i], names[i], names[i], more ? more[i] : "");
	buf_puts(&b, "}\n");
	world_load_at(t->w, buf_text(&b), (double)(t->now - T0) / 1e9);
	buf_free(&b);
}

static inline struct promise_info town_info(struct town *t, const char *name)
{
	struct promise_info info;

	for (size_t i = 0; promises_get(t->w->p, i, &info) == 0; i++)
		if (!strcmp(info.name, name))
			return info;
	ck_abort_msg("no promise %s", name);
	return info;
}

#define sent_is(t, k, text) ck_assert_str_eq((t)->sent[k].subject, text)

#endif
