/* Notices: acks and silences. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "promises/calendar.h"
#include "promises/notices_impl.h"

static char *words_copy(const char *text)
{
	size_t n = strlen(text);

	/* Not within a UTF-8 sequence */
	if (n > NOTICE_WORDS_MAX)
		for (n = NOTICE_WORDS_MAX; n && ((unsigned char)text[n] & 0xc0) == 0x80;)
			n--;
	return strndup(text, n);
}

/* ---- acks -------------------------------------------------------------------------------------------------------- */

static void ack_free(struct ack *a)
{
	if (!a)
		return;
	free(a->by);
	free(a->because);
	free(a);
}

void ack_end(struct notices *n, struct incident *i)
{
	size_t k = 0;

	if (!i->ack)
		return;
	while (n->acked[k] != i)
		k++;
	memmove(n->acked + k, n->acked + k + 1, (n->n_acked - k - 1) * sizeof(struct incident *));
	n->n_acked--;
	ack_free(i->ack);
	i->ack = NULL;
	notices_changed(n);
}

static int acked_reserve(struct notices *n)
{
	size_t size = n->size_acked ? n->size_acked * 2 : 8;
	struct incident **acked;

	if (n->n_acked < n->size_acked)
		return 0;
	if (n->n_acked >= NOTICE_ACKS_MAX)
		return -ENOSPC;
	acked = realloc(n->acked, size * sizeof(struct incident *));
	if (!acked)
		return -ENOMEM;
	n->acked = acked;
	n->size_acked = size;
	return 0;
}

int ack_set(struct notices *n, struct incident *i, const struct notice_ack *from)
{
	struct ack *a = calloc(1, sizeof(*a));
	int err = a ? 0 : -ENOMEM;

	if (!err && !i->ack)
		err = acked_reserve(n);
	if (!err) {
		*a = (struct ack){ from->at, from->until, words_copy(from->by), words_copy(from->because) };
		err = a->by && a->because ? 0 : -ENOMEM;
	}
	if (err < 0) {
		ack_free(a);
		return err;
	}
	if (i->ack)
		ack_free(i->ack);
	else
		n->acked[n->n_acked++] = i;
	i->ack = a;
	earlier_of(&n->quiet_next, a->until);
	notices_changed(n);
	return 0;
}

int notices_ack(struct notices *n, struct promise *pr, const struct notice_ack *ack, int64_t now)
{
	struct notice_ack a = *ack;
	struct incident *i = promise_mark(pr);
	struct promise_info info;
	int err;

	if (now > n->now)
		n->now = now;
	promise_look(pr, &info);
	if (info.assessment != KITH_BROKEN && (!i || i->state == INCIDENT_KEPT || i->state == INCIDENT_GONE))
		return -ENOENT;
	a.at = n->now;
	if (!i)
		i = incident_open(n, pr, &info);
	err = i ? ack_set(n, i, &a) : -ENOMEM;
	if (i && err < 0)
		incident_settle(n, i);
	notices_look(n);
	notices_arm(n);
	notices_asked(n);
	return err;
}

int notices_unack(struct notices *n, struct promise *pr, int64_t now)
{
	struct incident *i = promise_mark(pr);

	if (!i || !i->ack)
		return -ENOENT;
	if (now > n->now)
		n->now = now;
	ack_end(n, i);
	incident_settle(n, i);
	notices_look(n);
	notices_arm(n);
	notices_asked(n);
	return 0;
}

static void ack_show(const struct incident *i, struct notice_ack *ret_ack)
{
	*ret_ack = (struct notice_ack){ i->key, i->promiser, i->ack->at, i->ack->until, i->ack->by, i->ack->because };
}

bool notices_acked(const struct notices *n, const struct promise *pr, struct notice_ack *ret_ack)
{
	const struct incident *i = n->n_acked ? promise_mark(pr) : NULL;

	if (!i || !i->ack)
		return false;
	ack_show(i, ret_ack);
	return true;
}

int notices_ack_at(const struct notices *n, size_t index, struct notice_ack *ret_ack)
{
	if (index >= n->n_acked)
		return -ENOENT;
	ack_show(n->acked[index], ret_ack);
	return 0;
}

/* ---- silences ---------------------------------------------------------------------------------------------------- */

static void silence_free(struct silence *s)
{
	free((char *)(uintptr_t)s->is.pattern);
	free((char *)(uintptr_t)s->is.promiser);
	free((char *)(uintptr_t)s->is.by);
	free((char *)(uintptr_t)s->is.because);
}

void silences_free(struct notices *n)
{
	for (size_t i = 0; i < n->n_silences; i++)
		silence_free(&n->silences[i]);
	free(n->silences);
}

/* Does it hold? *ret_next: when that may change; 0: never again */
static bool silence_holds(const struct notice_silence *s, int64_t now, int64_t *ret_next)
{
	int64_t next;

	if (now < s->from) {
		*ret_next = s->from;
		return false;
	}
	if (s->every) {
		bool holds = calendar_window(s->day_from, s->day_until, s->days, now, &next);

		*ret_next = next;
		return holds;
	}
	*ret_next = now < s->to ? s->to : 0;
	return now < s->to;
}

static bool silence_over(const struct notice_silence *s, int64_t now)
{
	return s->every ? !s->days : now >= s->to;
}

int silence_add(struct notices *n, const struct notice_silence *from)
{
	struct silence s = { *from }, *silences;
	size_t size = n->size_silences ? n->size_silences * 2 : 8;

	if (n->n_silences >= NOTICE_SILENCES_MAX)
		return -ENOSPC;
	if (n->n_silences == n->size_silences) {
		silences = realloc(n->silences, size * sizeof(*silences));
		if (!silences)
			return -ENOMEM;
		n->silences = silences;
		n->size_silences = size;
	}
	s.is.pattern = strdup(from->pattern);
	s.is.promiser = strdup(from->promiser);
	s.is.by = words_copy(from->by);
	s.is.because = words_copy(from->because);
	s.is.active = false;
	if (!s.is.pattern || !s.is.promiser || !s.is.by || !s.is.because) {
		silence_free(&s);
		return -ENOMEM;
	}
	n->silences[n->n_silences++] = s;
	n->quiet_next = n->now; /* whether it holds is seen to then */
	return 0;
}

static void silence_remove(struct notices *n, size_t k)
{
	n->n_active -= n->silences[k].is.active;
	silence_free(&n->silences[k]);
	memmove(n->silences + k, n->silences + k + 1, (n->n_silences - k - 1) * sizeof(*n->silences));
	n->n_silences--;
	notices_changed(n);
}

static bool silence_has(const struct notices *n, uint32_t id)
{
	for (size_t k = 0; k < n->n_silences; k++)
		if (n->silences[k].is.id == id)
			return true;
	return false;
}

int notices_silence(struct notices *n, const struct notice_silence *silence, int64_t now, uint32_t *ret_id)
{
	struct notice_silence s = *silence;
	int err;

	if (now > n->now)
		n->now = now;
	while (!n->next_id || silence_has(n, n->next_id))
		n->next_id++;
	s.id = n->next_id;
	s.made = n->now;
	if (silence_over(&s, n->now) || (!s.every && s.from >= s.to))
		return -EINVAL;
	err = silence_add(n, &s);
	if (err < 0)
		return err;
	n->next_id++;
	/* At once: who asks next is to see it hold. */
	quiet_update(n);
	notices_changed(n);
	notices_look(n);
	notices_arm(n);
	notices_asked(n);
	*ret_id = s.id;
	return 0;
}

int notices_unsilence(struct notices *n, uint32_t id, int64_t now)
{
	size_t k = 0;

	if (now > n->now)
		n->now = now;
	while (k < n->n_silences && n->silences[k].is.id != id)
		k++;
	if (k == n->n_silences)
		return -ENOENT;
	silence_remove(n, k);
	notices_look(n);
	notices_arm(n);
	notices_asked(n);
	return 0;
}

static bool silence_names(const struct notice_silence *s, const char *name, const char *promiser)
{
	return notice_match(s->pattern, name, promiser) && (!*s->promiser || notice_match_promiser(s->promiser, promiser));
}

bool notices_silenced(const struct notices *n, const char *name, const char *promiser, struct notice_silence *ret_silence)
{
	for (size_t k = 0; n->n_active && k < n->n_silences; k++)
		if (n->silences[k].is.active && silence_names(&n->silences[k].is, name, promiser)) {
			*ret_silence = n->silences[k].is;
			return true;
		}
	return false;
}

bool incident_silenced(const struct notices *n, const struct incident *i)
{
	struct notice_silence s;

	return n->n_active && notices_silenced(n, i->key, i->promiser, &s);
}

int notices_silence_at(const struct notices *n, size_t index, struct notice_silence *ret_silence)
{
	if (index >= n->n_silences)
		return -ENOENT;
	*ret_silence = n->silences[index].is;
	return 0;
}

/* ---- time passes ------------------------------------------------------------------------------------------------- */

static bool silences_update(struct notices *n)
{
	bool another = false;

	for (size_t k = 0; k < n->n_silences;) {
		struct notice_silence *s = &n->silences[k].is;
		int64_t next;
		bool holds = silence_holds(s, n->now, &next);

		another = another || holds != s->active;
		if (silence_over(s, n->now)) {
			silence_remove(n, k);
			continue;
		}
		n->n_active += (size_t)holds - (size_t)s->active;
		s->active = holds;
		earlier_of(&n->quiet_next, next);
		k++;
	}
	return another;
}

void quiet_update(struct notices *n)
{
	bool another;

	n->quiet_next = 0;
	another = silences_update(n);
	for (size_t k = 0; k < n->n_acked;) {
		struct incident *i = n->acked[k];
		int64_t until = i->ack->until, gone = i->state == INCIDENT_GONE ? i->changed + NOTICE_RETURN : 0;

		if ((until && until <= n->now) || (gone && gone <= n->now)) {
			ack_end(n, i);
			incident_settle(n, i);
			another = true;
			continue;
		}
		earlier_of(&n->quiet_next, until);
		earlier_of(&n->quiet_next, gone);
		k++;
	}
	if (another)
		notices_look(n);
}
