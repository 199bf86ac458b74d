/*
 * Actions that may not start yet: all places are taken, or too many started of late. First come, first served; what no longer stands as its action
 * asks for is passed over. A storm costs a link of a list each.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "promises/engine.h"

#define QUEUE_RETRY NS_PER_S /* with nothing to wait for */

void queue_add(struct promises *p, struct action_state *s)
{
	if (s->queue_link)
		return;
	if (!p->queue_tail)
		p->queue_tail = &p->queue;
	s->queue_next = NULL;
	s->queue_link = p->queue_tail;
	*p->queue_tail = s;
	p->queue_tail = &s->queue_next;
	p->n_queue++;
}

void queue_remove(struct promises *p, struct action_state *s)
{
	if (!s->queue_link)
		return;
	*s->queue_link = s->queue_next;
	if (s->queue_next)
		s->queue_next->queue_link = s->queue_link;
	else
		p->queue_tail = s->queue_link;
	s->queue_link = NULL;
	s->queue_next = NULL;
	p->n_queue--;
}

/* ---- the limit of all -------------------------------------------------------------------------------------------- */

int promises_limit_actions(struct promises *p, unsigned at_most, int64_t per)
{
	int64_t *starts;

	if (!at_most || per <= 0)
		return -EINVAL;
	if (at_most == p->starts_most && per == p->starts_per)
		return 0;
	starts = calloc(at_most, sizeof(*starts));
	if (!starts)
		return -ENOMEM;
	free(p->starts);
	p->starts = starts;
	p->starts_most = at_most;
	p->starts_per = per;
	p->n_starts = p->next_start = 0;
	return 0;
}

int64_t queue_opens(const struct promises *p, int64_t time)
{
	int64_t oldest;

	if (!p->starts || p->n_starts < p->starts_most)
		return 0;
	oldest = p->starts[p->next_start];
	return time - oldest >= p->starts_per ? 0 : oldest + p->starts_per;
}

void queue_started(struct promises *p, int64_t time)
{
	if (!p->starts)
		return;
	p->starts[p->next_start] = time;
	p->next_start = (p->next_start + 1) % p->starts_most;
	if (p->n_starts < p->starts_most)
		p->n_starts++;
}

static void queue_say_held(struct promises *p, int64_t time)
{
	struct kith_record record = { .size = sizeof(record), .priority = KITH_WARNING, .time = time, .subject = "kith:promises" };
	struct buf b = BUF_INIT;

	if (!p->queue_held || (p->queue_said && time - p->queue_said < p->starts_per))
		return;
	p->queue_said = time;
	buf_printf(&b, "%u actions had to wait: at most %u start in ", p->queue_held, p->starts_most);
	word_duration(&b, p->starts_per);
	record.message = buf_text(&b);
	p->queue_held = 0;
	model_record(p->model, &record);
	buf_free(&b);
}

void queue_hold(struct promises *p)
{
	if (p->queue_held < p->n_queue)
		p->queue_held = p->n_queue;
}

/* ---- their turn -------------------------------------------------------------------------------------------------- */

/* -EAGAIN: it stays where it is */
static int queue_try(struct promises *p, struct action_state *s, int64_t time)
{
	struct promise *pr = s->promise;
	struct buf because = BUF_INIT;
	int r = 0;

	if (s->waiting && pr->assessment == s->action->when && !pr->dead) {
		word_because(&because, pr);
		r = action_begin(pr, s, pr->from, time, buf_text(&because));
		buf_free(&because);
	}
	if (r != -EAGAIN) {
		s->waiting = false;
		queue_remove(p, s);
	}
	return r;
}

void queue_run(struct promises *p, int64_t time)
{
	p->queue_at = 0;
	if (!p->queue)
		return;
	if (!queue_opens(p, time))
		queue_say_held(p, time);
	while (p->queue) {
		int64_t opens = queue_opens(p, time);

		if (opens) {
			p->queue_at = opens;
			queue_hold(p);
			return;
		}
		if (queue_try(p, p->queue, time) == -EAGAIN) {
			p->queue_at = time + QUEUE_RETRY;
			return;
		}
	}
}

void queue_jump(struct promises *p, int64_t jump)
{
	for (unsigned i = 0; i < p->n_starts; i++)
		p->starts[i] += jump;
	if (p->queue_at)
		p->queue_at += jump;
	if (p->queue_said)
		p->queue_said += jump;
}
