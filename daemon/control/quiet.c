/* Acks and silences: what people say so that they are told less, and what stands of that. */
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "control/server.h"

#define ACKS_TOLD 100u /* of one request; the rest is counted */

/* Who asks: the user's name, or uid 1000 */
static void peer_user(const struct peer *p, char *text, size_t size)
{
	struct ucred who;
	socklen_t length = sizeof(who);
	struct passwd entry, *found = NULL;
	char room[4096];

	snprintf(text, size, "somebody");
	if (getsockopt(p->fd, SOL_SOCKET, SO_PEERCRED, &who, &length) < 0 || length != sizeof(who))
		return;
	if (getpwuid_r(who.uid, &entry, room, sizeof(room), &found) == 0 && found)
		snprintf(text, size, "%s", entry.pw_name);
	else
		snprintf(text, size, "uid %u", (unsigned)who.uid);
}

/* A reason of one line */
static bool words_good(struct peer *p, const char *text)
{
	for (const unsigned char *c = (const unsigned char *)text; *c; c++)
		if (*c < 0x20 || *c == 0x7f) {
			peer_say_fault(p, CONTROL__CODE__USAGE, "--because has control characters in it: say it in one line");
			return false;
		}
	if (strlen(text) <= NOTICE_WORDS_MAX)
		return true;
	peer_say_fault(p, CONTROL__CODE__USAGE, "--because is longer than %d bytes: say it in fewer words", NOTICE_WORDS_MAX);
	return false;
}

static bool quiet_there(struct peer *p)
{
	if (p->control->notices && p->control->promises)
		return true;
	peer_say_fault(p, CONTROL__CODE__INTERNAL, "this kithd tells nobody of anything");
	return false;
}

/* ---- ack --------------------------------------------------------------------------------------------------------- */

struct acking {
	struct peer *p;
	const Control__AckRequest *request;
	struct patterns patterns;
	struct notice_ack ack;
	unsigned done, matched, refused;
	int error;
	char name[256], promiser[512];
	const char *assessment; /* of the first that was refused */
};

static void say_ack(struct peer *p, const struct notice_ack *ack, unsigned more)
{
	Control__Ack message = CONTROL__ACK__INIT;
	Control__Answer answer = CONTROL__ANSWER__INIT;

	message.name = (char *)ack->name;
	message.promiser = (char *)ack->promiser;
	message.at = ack->at;
	message.until = ack->until;
	message.by = (char *)ack->by;
	message.because = (char *)ack->because;
	message.more = more;
	answer.is_case = CONTROL__ANSWER__IS_ACK;
	answer.ack = &message;
	peer_say(p, &answer, false);
}

static void ack_one(struct acking *a, const struct promise_info *info)
{
	struct notices *n = a->p->control->notices;
	int64_t now = loop_now(a->p->control->loop);
	int r;

	a->matched++;
	r = a->request->remove ? notices_unack(n, info->promise, now) : notices_ack(n, info->promise, &a->ack, now);
	if (r == -ENOENT && !a->refused++) {
		snprintf(a->name, sizeof(a->name), "%s", info->name);
		snprintf(a->promiser, sizeof(a->promiser), "%s", info->promiser);
		a->assessment = assessment_name(info->assessment);
	} else if (r < 0 && r != -ENOENT) {
		a->error = r;
	}
	if (r == 0 && a->done++ < ACKS_TOLD) {
		a->ack.name = info->name;
		a->ack.promiser = info->promiser;
		a->ack.at = a->request->remove ? 0 : now;
		say_ack(a->p, &a->ack, 0);
	}
}

static void ack_end_answer(struct acking *a)
{
	Control__End end = CONTROL__END__INIT;
	char *unmatched[PATTERNS_MAX];
	struct buf others = BUF_INIT;

	if (a->error == -ENOSPC)
		peer_say_fault(a->p, CONTROL__CODE__BUSY, "%d promises are acknowledged already: no more can be", NOTICE_ACKS_MAX);
	else if (a->error < 0)
		peer_say_fault(a->p, CONTROL__CODE__INTERNAL, "kithd is out of memory");
	else if (!a->matched)
		peer_say_fault(a->p, CONTROL__CODE__NOT_FOUND, "no promise is like that: kith promises lists them");
	if (a->error < 0 || !a->matched)
		return;
	if (!a->done) {
		if (a->refused > 1)
			buf_printf(&others, ", and so are %u others", a->refused - 1);
		peer_say_fault(a->p, CONTROL__CODE__NOT_FOUND, a->request->remove ? "%s of %s is not acknowledged%s%s" : "%s of %s is %s%s: there is nothing to acknowledge",
		               a->name, a->promiser, a->request->remove ? "" : a->assessment, buf_text(&others));
		buf_free(&others);
		return;
	}
	if (a->done > ACKS_TOLD) {
		a->ack.name = a->ack.promiser = "";
		say_ack(a->p, &a->ack, a->done - ACKS_TOLD);
	}
	for (size_t i = 0; i < a->patterns.n; i++)
		if (!a->patterns.list[i].matched)
			unmatched[end.n_unmatched++] = a->patterns.list[i].text;
	end.unmatched = unmatched;
	peer_say_end(a->p, &end);
}

int quiet_ack(struct peer *p, const Control__AckRequest *request)
{
	struct acking a = { .p = p, .request = request };
	struct buf why = BUF_INIT;
	struct promise_info info;
	char by[256];
	int r;

	if (!quiet_there(p) || !words_good(p, request->because))
		return 0;
	if (!request->n_patterns) {
		peer_say_fault(p, CONTROL__CODE__USAGE, "which promise? kith ack PROMISE");
		return 0;
	}
	peer_user(p, by, sizeof(by));
	a.ack.by = by;
	a.ack.because = request->because;
	r = *request->until ? ack_until(request->until, loop_now(p->control->loop), &a.ack.until, &why) : 0;
	if (r == 0)
		r = patterns_parse(&a.patterns, request->patterns, request->n_patterns, control_host(p->control), &why);
	if (r < 0) {
		peer_say_refused(p, r, &why);
		buf_free(&why);
		return 0;
	}
	for (size_t i = 0; promises_get(p->control->promises, i, &info) == 0; i++)
		if (patterns_promise(&a.patterns, info.name, info.promiser) &&
		    (!*request->promiser || notice_match_promiser(request->promiser, info.promiser)))
			ack_one(&a, &info);
	ack_end_answer(&a);
	patterns_free(&a.patterns);
	buf_free(&why);
	return 0;
}

/* ---- silence ----------------------------------------------------------------------------------------------------- */

static void say_silence(struct peer *p, const struct notice_silence *s)
{
	Control__Silence message = CONTROL__SILENCE__INIT;
	Control__Answer answer = CONTROL__ANSWER__INIT;
	struct notice_silence window = *s;
	struct buf when = BUF_INIT;

	word_silence(&when, &window);
	message.id = s->id;
	message.pattern = (char *)s->pattern;
	message.promiser = (char *)s->promiser;
	message.made = s->made;
	message.from = s->from;
	message.to = s->to;
	message.every = s->every;
	message.when = (char *)buf_text(&when);
	message.by = (char *)s->by;
	message.because = (char *)s->because;
	message.active = s->active;
	answer.is_case = CONTROL__ANSWER__IS_SILENCE;
	answer.silence = &message;
	peer_say(p, &answer, false);
	buf_free(&when);
}

static int silence_find(const struct notices *n, uint32_t id, struct notice_silence *ret_silence)
{
	for (size_t i = 0; notices_silence_at(n, i, ret_silence) == 0; i++)
		if (ret_silence->id == id)
			return 0;
	return -ENOENT;
}

static void silence_remove_answer(struct peer *p, uint32_t id)
{
	struct notices *n = p->control->notices;
	Control__End end = CONTROL__END__INIT;
	struct notice_silence s;

	if (silence_find(n, id, &s) < 0) {
		peer_say_fault(p, CONTROL__CODE__NOT_FOUND, "there is no silence %u: kith silences lists them", id);
		return;
	}
	say_silence(p, &s);
	notices_unsilence(n, id, loop_now(p->control->loop));
	peer_say_end(p, &end);
}

static bool silence_read(struct peer *p, const Control__SilenceRequest *request, struct notice_silence *s, struct buf *why)
{
	char *texts[2] = { request->pattern, request->promiser };
	const struct silence_words words = { *request->from ? request->from : NULL, *request->to ? request->to : NULL,
		                             *request->length ? request->length : NULL, *request->every ? request->every : NULL };
	struct patterns where;
	int r;

	/* For `@where`, and what cannot be a name */
	r = patterns_parse(&where, texts, *request->promiser ? 2 : 1, control_host(p->control), why);
	if (r == 0) {
		patterns_free(&where);
		r = silence_parse(&words, loop_now(p->control->loop), s, why);
	}
	if (r < 0)
		peer_say_refused(p, r, why);
	return r == 0;
}

int quiet_silence(struct peer *p, const Control__SilenceRequest *request)
{
	struct notice_silence s = { 0 };
	Control__End end = CONTROL__END__INIT;
	struct buf why = BUF_INIT;
	uint32_t id;
	char by[256], *at;
	int r;

	if (!quiet_there(p) || !words_good(p, request->because))
		return 0;
	if (request->remove) {
		silence_remove_answer(p, request->remove);
		return 0;
	}
	peer_user(p, by, sizeof(by));
	s.by = by;
	s.because = request->because;
	s.promiser = request->promiser;
	if (!silence_read(p, request, &s, &why)) {
		buf_free(&why);
		return 0;
	}
	/* It is this host, as patterns_parse said. */
	at = strrchr(request->pattern, '@');
	if (at && !strchr(at, ':'))
		*at = '\0';
	s.pattern = request->pattern;
	r = notices_silence(p->control->notices, &s, loop_now(p->control->loop), &id);
	if (r == -ENOSPC) {
		peer_say_fault(p, CONTROL__CODE__BUSY, "there are %d silences, which is the most: remove one first", NOTICE_SILENCES_MAX);
		return 0;
	}
	if (r < 0)
		return r;
	if (silence_find(p->control->notices, id, &s) == 0)
		say_silence(p, &s);
	peer_say_end(p, &end);
	return 0;
}

/* ---- silences ---------------------------------------------------------------------------------------------------- */

static void say_receiver(struct peer *p, const struct notice_receiver_info *r)
{
	Control__Receiver message = CONTROL__RECEIVER__INIT;
	Control__Answer answer = CONTROL__ANSWER__INIT;

	message.name = (char *)r->name;
	message.program = (char *)r->program;
	message.delivered = r->delivered;
	message.messages = r->messages;
	message.failed = r->failed;
	message.failing = r->failing;
	message.again = r->again;
	message.why = (char *)r->why;
	message.mended = r->mended;
	message.told = r->told;
	answer.is_case = CONTROL__ANSWER__IS_RECEIVER;
	answer.receiver = &message;
	peer_say(p, &answer, false);
}

bool quiet_step(struct peer *p, unsigned *phase, size_t *index)
{
	const struct notices *n = p->control->notices;
	struct notice_receiver_info receiver;
	struct notice_silence silence;
	struct notice_ack ack;

	if (*phase == 0 && n && notices_silence_at(n, *index, &silence) == 0)
		say_silence(p, &silence);
	else if (*phase == 1 && n && notices_ack_at(n, *index, &ack) == 0)
		say_ack(p, &ack, 0);
	else if (*phase == 2 && n && notices_receiver_at(n, *index, &receiver) == 0)
		say_receiver(p, &receiver);
	else if (++*phase > 2)
		return false;
	else
		*index = (size_t)-1;
	++*index;
	return true;
}

/* ---- beside a promise -------------------------------------------------------------------------------------------- */

void quiet_fill(const struct control *c, Control__Promise *promise, const struct promise_info *info)
{
	struct notice_silence silence;
	struct notice_ack ack;

	if (!c->notices)
		return;
	promise->acknowledged = notices_acked(c->notices, info->promise, &ack);
	promise->silenced = notices_silenced(c->notices, info->name, info->promiser, &silence);
}
