/* Actions: what is run on a transition, how often it may, how it went. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "promises/engine.h"

#define ENV_COUNT 8
#define ACTION_OUTPUT_MAX 4096 /* bytes of what a program wrote, in its record */

void action_record(struct promise *pr, enum kith_priority priority, int64_t time, const char *program,
                        const char *message)
{
	struct kith_field fields[] = { { "promiser", pr->promiser }, { "program", program } };
	struct kith_record record = {
		.size = sizeof(record), .priority = priority, .time = time, .subject = pr->live->rule->name,
		.message = message, .fields = fields, .n_fields = KITH_COUNT(fields),
	};

	model_record(pr->engine->model, &record);
}

/* ---- what the program is told ------------------------------------------------------------------------------------ */

/* An action's environment: the same texts as in its document */
struct telling {
	const char *keys[ENV_COUNT], *values[ENV_COUNT];
	char *env[ENV_COUNT + 1];
	struct buf json;
};

static void telling_free(struct telling *t)
{
	for (int i = 0; i < ENV_COUNT; i++)
		free(t->env[i]);
	buf_free(&t->json);
}

static int telling_make(struct telling *t)
{
	buf_putc(&t->json, '{');
	for (int i = 0; i < ENV_COUNT; i++) {
		struct buf b = BUF_INIT;

		buf_puts(&b, "KITH_");
		for (const char *c = t->keys[i]; *c; c++)
			buf_putc(&b, (char)(*c - 'a' + 'A'));
		buf_printf(&b, "=%s", t->values[i]);
		t->env[i] = buf_take(&b);
		if (!t->env[i])
			return -ENOMEM;
		if (i)
			buf_putc(&t->json, ',');
		buf_json(&t->json, t->keys[i]);
		buf_putc(&t->json, ':');
		buf_json(&t->json, t->values[i]);
	}
	buf_puts(&t->json, "}\n");
	return t->json.failed ? -ENOMEM : 0;
}

/* ---- starting ---------------------------------------------------------------------------------------------------- */

static struct run *run_new(struct promise *pr, struct action_state *s)
{
	struct run *run = calloc(1, sizeof(*run));

	if (!run)
		return NULL;
	run->token = ++pr->engine->token;
	run->promise = pr;
	run->state = s;
	run->name = strdup(pr->live->rule->name);
	run->promiser = strdup(pr->promiser);
	run->program = strdup(s->action->argv[0]);
	run->next = pr->engine->runs;
	pr->engine->runs = run;
	return run;
}

static void run_free(struct promises *p, struct run *run)
{
	struct run **at = &p->runs;

	while (*at && *at != run)
		at = &(*at)->next;
	if (*at)
		*at = run->next;
	free(run->name);
	free(run->promiser);
	free(run->program);
	free(run);
}

static int action_start(struct promise *pr, struct action_state *s, enum kith_assessment from, int64_t time,
                        const char *because)
{
	const struct rule *r = pr->live->rule;
	char since[CLOCK_TEXT_MAX], now[CLOCK_TEXT_MAX];
	struct telling t = {
		.keys = { "promise", "promiser", "from", "to", "severity", "since", "because", "time" },
		.values = { r->name, pr->promiser, assessment_name(from), assessment_name(pr->assessment), severity_name(r->severity),
		            clock_format(pr->since, since, sizeof(since)), because, clock_format(time, now, sizeof(now)) },
	};
	struct promise_action a = { .argv = s->action->argv, .timeout = s->action->timeout, .user = s->action->user,
		                    .promise = r->name };
	struct run *run = NULL;
	int err = telling_make(&t);

	if (err < 0)
		goto out;
	run = run_new(pr, s);
	if (!run || !run->name || !run->promiser || !run->program) {
		err = -ENOMEM;
		goto out;
	}
	a.env = (const char *const *)t.env;
	a.json = buf_text(&t.json);
	a.json_length = t.json.length;
	a.token = run->token;
	s->running = true;
	pr->n_running++;
	err = pr->engine->driver.act ? pr->engine->driver.act(&a, pr->engine->driver.user) : -EOPNOTSUPP;
	if (err < 0) {
		s->running = false;
		pr->n_running--;
	}
out:
	if (err < 0 && run)
		run_free(pr->engine, run);
	telling_free(&t);
	return err;
}

/* ---- whether and when -------------------------------------------------------------------------------------------- */

/* The earliest time that the limit allows; 0: now */
static int64_t limit_opens(const struct action_state *s, int64_t time)
{
	const struct action *a = s->action;
	int64_t oldest;

	if (!a->at_most || s->n_times < a->at_most)
		return 0;
	oldest = s->times[s->next]; /* the ring is full: the next place holds the oldest */
	return time - oldest >= a->per ? 0 : oldest + a->per;
}

static void say_held_back(struct promise *pr, struct action_state *s, int64_t time)
{
	struct buf b = BUF_INIT;

	if (!s->held_back)
		return;
	buf_printf(&b, "held back %u %s of %s: at most %u per ", s->held_back, s->held_back == 1 ? "run" : "runs",
	           s->action->argv[0], s->action->at_most);
	word_duration(&b, s->action->per);
	s->held_back = 0;
	action_record(pr, KITH_NOTICE, time, s->action->argv[0], buf_text(&b));
	buf_free(&b);
}

static void remember_start(struct action_state *s, int64_t time)
{
	s->runs++;
	if (!s->action->at_most)
		return;
	s->times[s->next] = time;
	s->next = (s->next + 1) % s->action->at_most;
	if (s->n_times < s->action->at_most)
		s->n_times++;
}

static void action_failed_to_start(struct promise *pr, struct action_state *s, int64_t time, int err)
{
	struct buf b = BUF_INIT;

	s->failures++;
	pr->failures++;
	buf_printf(&b, "%s cannot be run: %s", s->action->argv[0], strerror(-err));
	action_record(pr, KITH_WARNING, time, s->action->argv[0], buf_text(&b));
	buf_free(&b);
}

int action_begin(struct promise *pr, struct action_state *s, enum kith_assessment from, int64_t time, const char *because)
{
	int err = action_start(pr, s, from, time, because);

	if (err == -EAGAIN)
		return err;
	if (err < 0) {
		action_failed_to_start(pr, s, time, err);
		return err;
	}
	remember_start(s, time);
	queue_started(pr->engine, time);
	pr->started++;
	if (s->action->when == KITH_BROKEN)
		pr->mending++;
	return 0;
}

static void action_try(struct promise *pr, struct action_state *s, enum kith_assessment from, int64_t time,
                       const char *because)
{
	struct promises *p = pr->engine;
	int64_t opens = limit_opens(s, time), all = queue_opens(p, time);

	s->waiting = false;
	s->again = 0;
	if (pr->n_running) {
		s->waiting = true; /* tried when that one is done */
		return;
	}
	if (opens) {
		s->held_back++;
		s->waiting = true;
		s->again = opens;
		return;
	}
	say_held_back(pr, s, time);
	/* Behind those that wait already */
	if (!all && !p->queue && action_begin(pr, s, from, time, because) != -EAGAIN)
		return;
	s->waiting = true;
	queue_add(p, s);
	if (all)
		queue_hold(p);
	if (!p->queue_at)
		p->queue_at = all ? all : time + ACTION_RETRY;
}

/* Again, as the promise stands now */
static void action_retry(struct promise *pr, struct action_state *s, int64_t time)
{
	struct buf because = BUF_INIT;

	s->waiting = false;
	if (pr->assessment != s->action->when || pr->dead)
		return;
	word_because(&because, pr);
	action_try(pr, s, pr->from, time, buf_text(&because));
	buf_free(&because);
}

void actions_transition(struct promise *pr, enum kith_assessment from, int64_t time, const char *because)
{
	/* Nobody acts for this engine: it looks back. */
	if (!pr->engine->driver.act)
		return;
	for (unsigned i = 0; i < pr->n_actions; i++) {
		struct action_state *s = &pr->actions[i];

		if (s->action->when == pr->assessment)
			action_try(pr, s, from, time, because);
		else
			s->waiting = false;
	}
	promise_schedule(pr);
}

int64_t actions_next(const struct promise *pr)
{
	int64_t at = 0;

	for (unsigned i = 0; i < pr->n_actions; i++)
		if (pr->actions[i].again && (!at || pr->actions[i].again < at))
			at = pr->actions[i].again;
	return at;
}

void actions_due(struct promise *pr, int64_t time)
{
	for (unsigned i = 0; i < pr->n_actions; i++) {
		struct action_state *s = &pr->actions[i];

		if (!s->again || s->again > time)
			continue;
		s->again = 0;
		say_held_back(pr, s, time);
		if (s->waiting)
			action_retry(pr, s, time);
	}
}

/* ---- how it went ------------------------------------------------------------------------------------------------- */

static bool done_words(struct buf *b, const char *program, int status, bool timed_out)
{
	if (timed_out)
		buf_printf(b, "%s was stopped: it took longer than its timeout", program);
	else if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		buf_printf(b, "%s ran", program);
	else if (WIFEXITED(status))
		buf_printf(b, "%s failed with exit status %d", program, WEXITSTATUS(status));
	else if (WIFSIGNALED(status))
		buf_printf(b, "%s was killed by signal %d", program, WTERMSIG(status));
	else
		buf_printf(b, "%s failed (status %d)", program, status);
	return !timed_out && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* As a shell has it: 127 there is no such program or user, 126 it may not be run. Such a one has mended nothing. */
static bool never_ran(const struct promise_result *result)
{
	return WIFEXITED(result->status) && (WEXITSTATUS(result->status) == 127 || WEXITSTATUS(result->status) == 126);
}

static void run_done(struct promise *pr, struct action_state *s, const struct promise_result *result, const char *output, bool well,
                     int64_t now)
{
	s->running = false;
	s->last_status = result->status;
	s->last_timed_out = result->timed_out;
	s->last_time = now;
	free(s->last_output);
	s->last_output = *output ? strndup(output, strcspn(output, "\n")) : NULL;
	pr->n_running--;
	if (s->action->when == KITH_BROKEN && pr->mending && never_ran(result))
		pr->mending--;
	if (!well) {
		s->failures++;
		pr->failures++;
	}
	for (unsigned i = 0; i < pr->n_actions; i++)
		if (pr->actions[i].waiting && !pr->actions[i].again && !pr->actions[i].queue_link)
			action_retry(pr, &pr->actions[i], now);
	promise_schedule(pr);
}

/* As text: no control characters, no half of a UTF-8 sequence, a bound */
static void output_words(struct buf *b, const struct promise_result *result)
{
	size_t n = result->output ? result->length : 0;

	if (n > ACTION_OUTPUT_MAX)
		n = ACTION_OUTPUT_MAX;
	buf_clean(b, result->output, n);
	while (b->length && (b->data[b->length - 1] == '\n' || b->data[b->length - 1] == ' '))
		b->data[--b->length] = '\0';
	if (result->length > ACTION_OUTPUT_MAX)
		buf_puts(b, " …");
}

static void done_record(struct promises *p, const struct run *run, const char *message, const char *output, bool well, int64_t now)
{
	struct kith_field fields[] = { { "promiser", run->promiser }, { "program", run->program }, { "output", output } };
	struct kith_record record = {
		.size = sizeof(record), .priority = well ? KITH_NOTICE : KITH_WARNING, .time = now, .subject = run->name,
		.message = message, .fields = fields, .n_fields = *output ? 3 : 2,
	};

	model_record(p->model, &record);
}

void promises_action_done(struct promises *p, uint64_t token, const struct promise_result *result, int64_t now)
{
	struct run *run = p->runs;
	struct buf b = BUF_INIT, output = BUF_INIT;
	bool well;

	while (run && run->token != token)
		run = run->next;
	if (!run)
		return;
	engine_enter(p);
	if (now > p->now)
		p->now = now;
	well = done_words(&b, run->program, result->status, result->timed_out);
	output_words(&output, result);
	done_record(p, run, buf_text(&b), buf_text(&output), well, now);
	if (run->promise)
		run_done(run->promise, run->state, result, buf_text(&output), well, now);
	run_free(p, run);
	buf_free(&b);
	buf_free(&output);
	queue_run(p, now);
	engine_leave(p);
}

void actions_forget(struct promises *p, struct promise *pr)
{
	for (struct run *run = p->runs; run; run = run->next)
		if (run->promise == pr)
			run->promise = NULL;
	for (unsigned i = 0; i < pr->n_actions; i++)
		queue_remove(p, &pr->actions[i]);
}
