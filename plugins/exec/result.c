/* What a run gave: series, performance data, and a record when the state changes. */
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "exec/exec.h"

#define PERF_ABSENT 3 /* runs without a value that was there before: then its series end */

const char *const check_state_names[] = { [STATE_OK] = "ok", [STATE_WARNING] = "warning", [STATE_CRITICAL] = "critical",
	                                  [STATE_UNKNOWN] = "unknown", NULL };

/* ---- series and records ----------------------------------------------------------------------------------------- */

static void record(struct check *c, enum check_state state, const char *message, const char *output)
{
	static const uint32_t priorities[] = { [STATE_OK] = KITH_NOTICE, [STATE_WARNING] = KITH_WARNING, [STATE_CRITICAL] = KITH_CRIT,
		                               [STATE_UNKNOWN] = KITH_ERR };
	struct kith_field fields[] = {
		{ "check", c->e->name },
		{ "state", check_state_names[state] },
		{ "was", c->state < 0 ? "" : check_state_names[c->state] },
		{ "output", output },
	};
	char subject[6 + ENTRY_NAME_MAX + 1];
	struct kith_record r = { .size = sizeof(r), .priority = priorities[state], .subject = subject, .message = message,
		                 .fields = fields, .n_fields = KITH_COUNT(fields) };

	snprintf(subject, sizeof(subject), "check:%s", c->e->name);
	c->x->h->record(c->x->h, &r);
}

/* `message` begins with the reason where the program did not end by itself with 0 to 3. */
static void put(struct check *c, enum check_state state, const char *message, const char *output, double took, double code)
{
	double values[N_CHECK] = { [CHECK_STATE] = state, [CHECK_DURATION] = took, [CHECK_EXIT_CODE] = code };

	for (int k = CHECK_RUNS; k < N_CHECK; k++)
		values[k] = (double)c->counts[k];
	c->x->h->put_all(c->x->h, c->id, values, N_CHECK);
	/* That all is well at the first look is no news. */
	if (c->state >= 0 ? c->state != (int)state : state != STATE_OK)
		record(c, state, message, output);
	c->state = (int)state;
}

/* ---- performance data ------------------------------------------------------------------------------------------- */

static void perf_end(struct check *c, struct perf_series **at)
{
	struct perf_series *s = *at;

	*at = s->next;
	c->x->h->end(c->x->h, s->id);
	free(s);
}

void result_forget(struct check *c, bool end)
{
	struct perf_series **at = &c->perfs;

	while (*at)
		if (end || ++(*at)->absent >= PERF_ABSENT)
			perf_end(c, at);
		else
			at = &(*at)->next;
}

static int perf_begin(struct check *c, const struct perf *p, struct perf_series **ret_series)
{
	char name[ENTRY_NAME_MAX + 1 + PERF_LABEL_MAX + 1];
	struct perf_series *s;
	int r;

	s = malloc(sizeof(*s) + strlen(p->label) + 1);
	if (!s)
		return -ENOMEM;
	snprintf(name, sizeof(name), "%s/%s", c->e->name, p->label);
	r = c->x->h->series(c->x->h, FAMILY_PERF + p->family, name, &s->id);
	if (r < 0) {
		free(s);
		return r;
	}
	s->family = p->family;
	strcpy(s->label, p->label);
	s->next = c->perfs;
	c->perfs = s;
	*ret_series = s;
	return 0;
}

static int perf_put(struct check *c, const struct perf *p)
{
	double values[N_PERF] = { [VALUE] = p->value, [LEVEL] = p->level, [WARN] = p->warn, [WARN_LOW] = p->warn_low, [CRIT] = p->crit,
		                  [CRIT_LOW] = p->crit_low, [MIN] = p->min, [MAX] = p->max };
	struct perf_series **at, *s;
	int r;

	if (isnan(p->value))
		return 0;
	for (at = &c->perfs; *at && strcmp((*at)->label, p->label); at = &(*at)->next)
		;
	/* In another unit it is another series. */
	if (*at && (*at)->family != p->family)
		perf_end(c, at);
	s = *at && !strcmp((*at)->label, p->label) ? *at : NULL;
	if (!s) {
		r = perf_begin(c, p, &s);
		if (r < 0)
			return r;
	}
	s->absent = 0;
	return c->x->h->put_all(c->x->h, s->id, values, N_PERF);
}

static void perfs_put(struct check *c, struct output *o)
{
	int r;

	for (size_t i = 0; i < o->n_perfs; i++) {
		r = perf_put(c, &o->perfs[i]);
		if (r < 0 && !o->bad++)
			snprintf(o->why, sizeof(o->why), "\"%.60s\": %s", o->perfs[i].label,
			         r == -ENOSPC ? "there are as many values as there may be (max_instances)" : strerror(-r));
	}
	/* One line, until it is another one */
	if (o->bad && strcmp(o->why, c->why))
		c->x->h->log(c->x->h, KITH_WARNING, "check %s: performance data was left out (%u): %s", c->e->name, o->bad, o->why);
	strcpy(c->why, o->bad ? o->why : "");
}

/* ---- how it ended ----------------------------------------------------------------------------------------------- */

/* The state, and in `why` the reason when it did not end by itself with 0 to 3 */
static enum check_state judge(struct check *c, const struct kith_ended *e, char *why, size_t size)
{
	const char *signal = WIFSIGNALED(e->status) ? sigabbrev_np(WTERMSIG(e->status)) : NULL;

	*why = '\0';
	if (e->flags & KITH_ENDED_TIMEOUT) {
		c->counts[CHECK_TIMEOUTS]++;
		snprintf(why, size, "no answer within %g s: it was killed", (double)c->e->timeout / (double)NS_PER_S);
		return STATE_UNKNOWN;
	}
	if (WIFEXITED(e->status) && WEXITSTATUS(e->status) < N_STATES)
		return (enum check_state)WEXITSTATUS(e->status);
	c->counts[CHECK_FAILURES]++;
	if (WIFEXITED(e->status))
		snprintf(why, size, "it ended with status %d, which is none of 0 to 3", WEXITSTATUS(e->status));
	else if (WTERMSIG(e->status) == SIGPIPE && (e->flags & KITH_ENDED_CUT))
		snprintf(why, size, "it wrote more than 1 MiB and was cut off (SIGPIPE)");
	else
		snprintf(why, size, "it was ended by signal %d (SIG%s)", WTERMSIG(e->status), signal ? signal : "?");
	return STATE_UNKNOWN;
}

/* The reason if there is one, then what the program said. Freed by the caller; NULL: no memory */
static char *join(const char *why, const char *text, const char *standard_error)
{
	size_t size = strlen(why) + strlen(text) + strlen(standard_error) + 64;
	char *s = malloc(size);

	if (!s)
		return NULL;
	if (*text)
		snprintf(s, size, "%s%s%s", why, *why ? "; " : "", text);
	else if (*standard_error)
		snprintf(s, size, "%s%sstandard error: %s", why, *why ? "; " : "", standard_error);
	else
		snprintf(s, size, "%s", *why ? why : "it wrote nothing");
	return s;
}

void result_ended(struct check *c, const struct kith_ended *e)
{
	char why[160], standard_error[512];
	char *message, *all;
	struct output o;
	enum check_state state = judge(c, e, why, sizeof(why));

	if (output_parse(e->output, e->output_length, c->x->kilo, &o) < 0) {
		put(c, STATE_UNKNOWN, "no memory for its output", "", NAN, NAN);
		return;
	}
	text_clean(e->error, e->error_length, standard_error, sizeof(standard_error));
	message = join(why, o.text, standard_error);
	all = join(why, o.all, standard_error);
	result_forget(c, false);
	perfs_put(c, &o);
	put(c, state, message ? message : "", all ? all : "", (double)e->took / (double)NS_PER_S,
	    WIFEXITED(e->status) ? WEXITSTATUS(e->status) : NAN);
	free(message);
	free(all);
	output_free(&o);
}

void result_failed(struct check *c, int error)
{
	char why[512];

	c->counts[CHECK_FAILURES]++;
	snprintf(why, sizeof(why), "it cannot be run: %s (%.300s)", strerror(error), c->e->argv[0]);
	result_forget(c, false);
	put(c, STATE_UNKNOWN, why, why, NAN, NAN);
}

void result_stuck(struct check *c)
{
	const char why[] = "it was killed because its time was up, and does not end: it sleeps in the kernel";

	put(c, STATE_UNKNOWN, why, why, NAN, NAN);
}

void result_skipped(struct check *c)
{
	c->counts[CHECK_SKIPPED]++;
	c->x->h->put(c->x->h, c->id + CHECK_SKIPPED, (double)c->counts[CHECK_SKIPPED]);
}
