#include <stdio.h>
#include <string.h>

#include "interface/interface.h"

#define NS_PER_S INT64_C(1000000000)
#define STORM_ROUNDS 5 /* seconds after which a storm that goes on is told */
#define LOOK_AGAIN (NS_PER_S / 20)
#define LOOK_ONCE_MORE (NS_PER_S / 2)

static const char *const words[N_TOLD] = {
	[TOLD_APPEARED] = "links appeared",        [TOLD_REMOVED] = "removed",
	[TOLD_UP] = "came up",                     [TOLD_DOWN] = "went down",
	[TOLD_RENAMED] = "were renamed",           [TOLD_ADDED] = "addresses added",
	[TOLD_TAKEN] = "addresses removed",        [TOLD_RULE_ADDED] = "rules added",
	[TOLD_RULE_TAKEN] = "rules removed",       [TOLD_OTHER] = "other changes",
};
static const char *const keys[N_TOLD] = {
	[TOLD_APPEARED] = "appeared",         [TOLD_REMOVED] = "removed",         [TOLD_UP] = "up",
	[TOLD_DOWN] = "down",                 [TOLD_RENAMED] = "renamed",         [TOLD_ADDED] = "address_added",
	[TOLD_TAKEN] = "address_removed",     [TOLD_RULE_ADDED] = "rule_added",   [TOLD_RULE_TAKEN] = "rule_removed",
	[TOLD_OTHER] = "other",
};

static void put_record(struct interface *p, enum kith_priority priority, const char *subject, const char *message, const struct kith_field *fields,
                       uint32_t n)
{
	struct kith_record r = { .size = sizeof(r), .priority = (uint32_t)priority, .subject = subject, .message = message, .fields = fields,
		                 .n_fields = n };

	/* -ENOSPC: what was dropped is counted by the host */
	p->h->record(p->h, &r);
}

static void storm_record(struct interface *p)
{
	struct storm *s = &p->storm;
	char numbers[N_TOLD][24], text[400];
	struct kith_field fields[N_TOLD + 1] = { { "event", "storm" } };
	uint32_t n = 1;
	int length = snprintf(text, sizeof(text), "more happened to the network than is said one by one:");

	for (int i = 0; i < N_TOLD; i++) {
		if (!s->counts[i])
			continue;
		snprintf(numbers[i], sizeof(numbers[i]), "%llu", (unsigned long long)s->counts[i]);
		length += snprintf(text + length, sizeof(text) - (size_t)length, "%s %s %s", n > 1 ? "," : "", numbers[i], words[i]);
		fields[n++] = (struct kith_field){ keys[i], numbers[i] };
	}
	put_record(p, KITH_NOTICE, NULL, text, fields, n);
}

static int on_storm(void *user)
{
	struct interface *p = user;
	struct storm *s = &p->storm;

	/* It goes on */
	if (s->total != s->at_timer && ++s->rounds < STORM_ROUNDS) {
		s->at_timer = s->total;
		return 0;
	}
	p->h->unwatch(p->h, s->timer);
	storm_record(p);
	*s = (struct storm){ 0 };
	return 0;
}

/* True: it is counted instead of said. Without a timer all are said, as far as the host takes them. */
static bool storm_takes(struct interface *p, enum told what)
{
	struct storm *s = &p->storm;
	int64_t now = p->h->now(p->h);

	if (now - s->began >= NS_PER_S || now < s->began) {
		s->began = now;
		memset(s->said, 0, sizeof(s->said));
	}
	if (!s->counts[what] && s->said[what]++ < TELL_MAX)
		return false;
	if (!s->timer && p->h->watch_timer(p->h, NS_PER_S, NS_PER_S, NS_PER_S / 4, on_storm, p, &s->timer) < 0)
		return false;
	s->counts[what]++;
	s->total++;
	return true;
}

void tell(struct interface *p, enum told what, enum kith_priority priority, const char *subject, const char *message, const struct kith_field *fields,
          uint32_t n)
{
	if (!p->quiet && !storm_takes(p, what))
		put_record(p, priority, subject, message, fields, n);
}

/* ---- looking ------------------------------------------------------------------------------------------------------ */

static int on_look(void *user)
{
	struct look *l = user;
	int r;

	l->p->h->unwatch(l->p->h, l->timer);
	l->timer = NULL;
	l->last = l->p->h->now(l->p->h);
	r = l->fn(l->p);
	if (!l->again || l->timer)
		return r;
	l->again--;
	l->p->h->watch_timer(l->p->h, LOOK_ONCE_MORE, 0, LOOK_ONCE_MORE / 5, on_look, l, &l->timer);
	return r;
}

int look_soon(struct look *l)
{
	int64_t now = l->p->h->now(l->p->h);

	if (l->last && now >= l->last && now - l->last < LOOK_AGAIN) {
		if (l->timer)
			l->p->h->unwatch(l->p->h, l->timer);
		return l->p->h->watch_timer(l->p->h, LOOK_AGAIN, 0, LOOK_AGAIN / 5, on_look, l, &l->timer);
	}
	l->last = now;
	return l->fn(l->p);
}

int look_later(struct look *l)
{
	l->again = 1;
	if (l->timer)
		return 0;
	return l->p->h->watch_timer(l->p->h, LOOK_AGAIN, 0, LOOK_AGAIN / 5, on_look, l, &l->timer);
}
