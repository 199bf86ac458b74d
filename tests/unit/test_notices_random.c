/*
 * Random stories of promises that break, are mended, are silenced and acknowledged, of receivers that fail and of kithd that restarts. What is told is
 * held against what a person may expect, reckoned apart from the module: from how each promise stood, and from the messages alone.
 *
 * KITH_SEED=N repeats a run, KITH_ROUNDS=N makes it longer, KITH_TRACE=1 shows what was told.
 */
#include <config.h>

#include <unistd.h>

#include "notices_help.h"

#define PROMISES 6
#define WAIT 10
#define REPEAT 600
#define SLACK 0.5 /* s: after a restart samples come a little later */

/* What a reader of the messages knows of a promise, and how it stood */
struct seen {
	bool broken;             /* it is, now */
	double since;            /* it is as it is */
	bool told;               /* the last that was read of it: broken */
	double told_at;
	bool acked;
	double quiet_until;      /* a silence of it; 0: none */
	double quiet_end;        /* the last end of an ack or a silence */
};

struct story {
	struct town *t;
	unsigned long seed;
	uint64_t state;
	struct seen seen[PROMISES];
	double now, restarted;
	unsigned read, restarts, messages, kept;
	bool failing;
	double failed_until;     /* deliveries that failed are made up for by then */
};

static const char *const names[PROMISES] = { "a", "b", "c", "d", "e", "f" };

static unsigned roll(struct story *s, unsigned n)
{
	s->state = s->state * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(s->state >> 33) % n;
}

#define expect(s, condition, k, what)                                                                                                             \
	do {                                                                                                                                      \
		if (!(condition))                                                                                                                 \
			ck_abort_msg("KITH_SEED=%lu: at %.1f, %s: %s", (s)->seed, (s)->now, (k) < 0 ? "all" : names[(k) < 0 ? 0 : (k)], what);    \
	} while (0)

/* What of this message is said of promise k: 'b'roken, 'r'epeat, 'k'ept, or nothing */
static char said(const char *json, int k)
{
	char start[64], *at;

	snprintf(start, sizeof(start), "{\"name\":\"b.%s\",\"promiser\":\"svc:%s\",\"promisees\":[],\"what\":\"", names[k], names[k]);
	at = strstr(json, start);
	return at ? at[strlen(start)] : '\0';
}

static bool quiet_at(const struct seen *p, double time)
{
	return p->acked || time < p->quiet_until - 0.01;
}

static void read_message(struct story *s, const struct sent *m)
{
	double time = (double)(m->time - T0) / 1e9;
	unsigned count = 0;

	if (getenv("KITH_TRACE"))
		fprintf(stderr, "%.2f: at %.2f %s\n", s->now, time, m->subject);
	for (int k = 0; k < PROMISES; k++) {
		struct seen *p = &s->seen[k];
		char what = said(m->json, k);

		if (!what)
			continue;
		count++;
		switch (what) {
		case 'b':
			expect(s, p->broken && !p->told, k, "told to be broken, and it is not, or that was told");
			expect(s, !quiet_at(p, time), k, "told within a silence or an ack");
			break;
		case 'r':
			expect(s, p->broken && p->told, k, "told to be still broken, and it is not, or it was never told");
			expect(s, !quiet_at(p, time), k, "repeated within a silence or an ack");
			expect(s, time - p->told_at >= REPEAT / 2 - SLACK || p->quiet_end > p->told_at - SLACK, k, "repeated too soon");
			break;
		case 'k':
			expect(s, !p->broken && p->told, k, "told to be kept, and it is not, or it was never told to be broken");
			expect(s, time >= p->quiet_until - 0.01, k, "told to be kept within a silence");
			s->kept++;
			break;
		default:
			expect(s, false, k, "told what does not happen here");
		}
		p->told = what != 'k';
		p->told_at = time;
	}
	expect(s, count == m->count && count, -1, "a message is not about those that it counts");
	s->messages++;
}

/* Messages that were delivered since; one that failed nobody has read */
static void read_on(struct story *s)
{
	for (; s->read < s->t->n_sent; s->read++)
		if (!s->failing)
			read_message(s, &s->t->sent[s->read % SENT_MAX]);
}

/* What should have been told by now was */
static void check_all(struct story *s)
{
	double grace = 3 * WAIT + SLACK;

	if (s->failing || s->now < s->failed_until + grace || s->now < s->restarted + grace)
		return;
	for (int k = 0; k < PROMISES; k++) {
		struct seen *p = &s->seen[k];
		bool quiet = quiet_at(p, s->now) || s->now - p->quiet_end < grace || s->now - p->quiet_until < grace;

		if (quiet || s->now - p->since < grace)
			continue;
		expect(s, p->told == p->broken, k, p->broken ? "nobody was told that it is broken" : "nobody was told that it is kept");
		expect(s, !p->broken || s->now - p->told_at <= REPEAT + grace, k, "it was not repeated");
		expect(s, !p->broken || p->since > p->quiet_end || p->told_at >= p->quiet_end - SLACK, k, "it was not told when an ack or a silence ended");
	}
}

static void go_to(struct story *s, double to)
{
	/* In small steps: what is quiet ends on the way. */
	while (s->now < to) {
		double next = to;

		for (int k = 0; k < PROMISES; k++)
			if (s->seen[k].quiet_until > s->now && s->seen[k].quiet_until < next)
				next = s->seen[k].quiet_until;
		s->now = next;
		town_to(s->t, s->now - 0.001);
		read_on(s);
		for (int k = 0; k < PROMISES; k++)
			if (s->seen[k].quiet_until > 0 && s->seen[k].quiet_until <= s->now && s->seen[k].quiet_end < s->seen[k].quiet_until)
				s->seen[k].quiet_end = s->seen[k].quiet_until;
		town_to(s->t, s->now);
		read_on(s);
	}
	check_all(s);
}

static void do_value(struct story *s)
{
	int k = (int)roll(s, PROMISES);
	bool broken = roll(s, 2);
	struct seen *p = &s->seen[k];

	town_put(s->t, names[k], broken ? 2 : 0, s->now);
	if (p->broken != broken) {
		p->since = s->now;
		if (p->acked && !broken) {
			p->acked = false;
			p->quiet_end = s->now;
		}
	}
	p->broken = broken;
	read_on(s);
}

static void do_ack(struct story *s)
{
	int k = (int)roll(s, PROMISES);
	struct seen *p = &s->seen[k];
	struct notice_ack a = { .by = "x", .because = "" };
	char name[16];
	int r;

	snprintf(name, sizeof(name), "b.%s", names[k]);
	if (roll(s, 3)) {
		r = notices_ack(s->t->n, town_info(s->t, name).promise, &a, s->t->now);
		expect(s, r == (p->broken ? 0 : -ENOENT), k, "an ack");
		p->acked = p->broken;
	} else {
		r = notices_unack(s->t->n, town_info(s->t, name).promise, s->t->now);
		expect(s, r == (p->acked ? 0 : -ENOENT), k, "an ack that is taken back");
		if (p->acked)
			p->quiet_end = s->now;
		p->acked = false;
	}
}

static void do_silence(struct story *s)
{
	int k = (int)roll(s, PROMISES);
	struct seen *p = &s->seen[k];
	struct notice_silence silence = { .promiser = "", .by = "x", .because = "", .from = s->t->now };
	double until = s->now + 1 + roll(s, 400);
	char pattern[16];
	uint32_t id;

	snprintf(pattern, sizeof(pattern), roll(s, 2) ? "b.%s" : "svc:%s", names[k]);
	silence.pattern = pattern;
	silence.to = S(until);
	expect(s, notices_silence(s->t->n, &silence, s->t->now, &id) == 0, k, "a silence");
	if (until > p->quiet_until)
		p->quiet_until = until;
}

static void do_fail(struct story *s)
{
	read_on(s);
	s->failing = !s->failing;
	s->t->status = s->failing ? 1 : 0;
	if (!s->failing)
		s->failed_until = s->now + 600;
}

static void do_restart(struct story *s)
{
	struct town *t = s->t;
	struct notice_receiver r = town_ops;
	struct world *w = t->w;
	struct buf text = BUF_INIT;
	size_t bad = 0;

	r.repeat = REPEAT * NS_PER_S;
	ck_assert_int_eq(notices_save(t->n, &text), 0);
	notices_free(t->n);
	world_free(w);
	t->w = world_new();
	model_set_now(t->w->m, t->now);
	town_begin_notices(t);
	ck_assert_int_eq(notices_configure(t->n, "web1", &r, 1, t->now), 0);
	ck_assert_int_eq(notices_load(t->n, buf_text(&text), text.length, t->now, &bad), 0);
	expect(s, !bad, -1, "the state is not read");
	buf_free(&text);
	town_promise(t, names, PROMISES, NULL);
	for (int k = 0; k < PROMISES; k++)
		town_put(t, names[k], s->seen[k].broken ? 2 : 0, s->now + 0.1);
	s->now += 0.1;
	s->restarted = s->now;
	s->restarts++;
	/* A try that failed is forgotten, too. */
	read_on(s);
}

static void story(unsigned long seed, unsigned steps)
{
	struct story s = { .seed = seed, .state = seed };
	struct notice_receiver r = town_ops;

	r.repeat = REPEAT * NS_PER_S;
	s.t = town_new(&r, 1);
	town_promise(s.t, names, PROMISES, NULL);
	for (int k = 0; k < PROMISES; k++) {
		town_put(s.t, names[k], 0, 1);
		s.seen[k].quiet_end = -1e9;
		s.seen[k].told_at = -1e9;
	}
	s.now = 1;
	s.restarted = s.failed_until = -1e9;
	for (unsigned i = 0; i < steps; i++) {
		unsigned what = roll(&s, 40);

		go_to(&s, s.now + (roll(&s, 4) ? roll(&s, 8) : roll(&s, 300)) + 0.25);
		if (what < 28)
			do_value(&s);
		else if (what < 32)
			do_ack(&s);
		else if (what < 35)
			do_silence(&s);
		else if (what < 37)
			do_fail(&s);
		else if (what < 38)
			do_restart(&s);
	}
	if (steps >= 2000)
		expect(&s, s.messages > 50 && s.kept > 10 && s.restarts > 5, -1, "too little happened");
	town_free(s.t);
}

START_TEST(test_random)
{
	const char *seed = getenv("KITH_SEED"), *rounds = getenv("KITH_ROUNDS");
	unsigned n = rounds ? (unsigned)atoi(rounds) : 30;
	unsigned long first = seed ? strtoul(seed, NULL, 10) : (unsigned long)clock_wall() % 1000000000;

	printf("KITH_SEED=%lu\n", first);
	fflush(stdout);
	for (unsigned i = 0; i < (seed && !rounds ? 1 : n); i++)
		story(first + i, 3000);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("notices random");
	TCase *c = tcase_create("random");
	SRunner *runner;
	int failed;

	tcase_set_timeout(c, 300);
	tcase_add_test(c, test_random);
	suite_add_tcase(s, c);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
