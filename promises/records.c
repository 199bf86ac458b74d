/* count(records …): each record that is heard is looked at by each of them; the window forgets it again. */
#include "promises/engine.h"
#include "promises/regex.h"

#define ROUNDS_MAX 16 /* of records that cause transitions that cause records */

void records_begin(struct promises *p, struct node *node)
{
	node->next_user = p->records;
	p->records = node;
}

void records_end(struct promises *p, struct node *node)
{
	for (struct node **at = &p->records; *at; at = &(*at)->next_user)
		if (*at == node) {
			*at = node->next_user;
			node->next_user = NULL;
			return;
		}
}

static bool record_counts(const struct expr *e, const struct kith_record *record)
{
	const char *subject = record->subject ? record->subject : "", *message = record->message ? record->message : "";

	return record->priority <= e->priority && (!e->subject || glob_match(e->subject, strlen(e->subject), subject)) &&
	       (!e->regex || regex_matches(e->regex, message));
}

void records_hear(struct promises *p, const struct kith_record *record)
{
	/* It counts from when it is heard, whatever its own time says. */
	int64_t time = model_now(p->model) > p->now ? model_now(p->model) : p->now;
	bool any = false;

	for (struct node *n = p->records; n; n = n->next_user)
		if (record_counts(n->e, record)) {
			window_put(n->window, 1, time);
			any = true;
		}
	if (!any)
		return;
	p->records_heard = true;
	if (p->depth)
		return;
	engine_enter(p);
	if (time > p->now)
		p->now = time;
	engine_leave(p);
}

/* One whose count is another now; true: there may be more */
static bool records_one(struct promises *p)
{
	for (struct node *n = p->records; n; n = n->next_user) {
		struct promise *pr = n->tree->promise;

		if (!records_changed(n))
			continue;
		pr->evaluations++;
		if (pr->tree->nodes[0].truth != pr->truth)
			promise_assess(pr, p->now); /* the list may be another one after this */
		promise_schedule(pr);
		return true;
	}
	return false;
}

void records_assess(struct promises *p)
{
	size_t left = ROUNDS_MAX;

	for (const struct node *n = p->records; n; n = n->next_user)
		left += ROUNDS_MAX;
	p->records_heard = false;
	while (left-- && records_one(p))
		;
}
