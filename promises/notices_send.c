/* Notices: when a receiver is told, and how a message went. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "promises/notices_impl.h"

#define RETRY_FIRST (30 * NS_PER_S) /* doubled with each failure */
#define RETRY_MOST (600 * NS_PER_S)
#define WHY_OUTPUT_MAX 300

/* ---- what is due ------------------------------------------------------------------------------------------------- */

/* It is broken, or unknown, for itself */
static enum notice_what open_due(const struct notices *n, struct item *item, int64_t *ret_soonest, int64_t *ret_at)
{
	const struct incident *i = item->incident;
	const struct receiver *r = item->receiver;
	enum notice_what want = i->broken ? NOTICE_BROKEN : NOTICE_UNKNOWN;

	if (i->ack || incident_silenced(n, i)) {
		item->quieted = true;
		return NOTICE_NOTHING;
	}
	if (item->told == NOTICE_NOTHING || (item->told == NOTICE_UNKNOWN && i->broken)) {
		*ret_soonest = i->changed + (i->broken ? 0 : r->unknown);
		*ret_at = *ret_soonest + (i->broken && !item->quieted ? r->wait : 0);
		return want;
	}
	if (!item->quieted && !r->repeat)
		return NOTICE_NOTHING;
	*ret_soonest = item->quieted ? n->now : item->told_at + r->repeat / 2;
	*ret_at = item->quieted ? n->now : item->told_at + r->repeat;
	/* After a restart all have this long to show how they stand. */
	if (*ret_soonest < i->changed + r->wait)
		*ret_soonest = i->changed + r->wait;
	if (*ret_at < *ret_soonest)
		*ret_at = *ret_soonest;
	return NOTICE_REPEAT;
}

/*
 * What this receiver is to be told of it next: by itself at *ret_at (0: not unless something happens), along with something else from *ret_soonest on.
 * *ret_over: nothing any more.
 */
enum notice_what item_due(struct notices *n, struct item *item, int64_t *ret_soonest, int64_t *ret_at, bool *ret_over)
{
	const struct incident *i = item->incident;
	const struct receiver *r = item->receiver;

	*ret_soonest = *ret_at = 0;
	*ret_over = false;
	if (item->sending != NOTICE_NOTHING)
		return NOTICE_NOTHING; /* what follows depends on how that goes */
	switch (i->state) {
	case INCIDENT_BROKEN:
		return open_due(n, item, ret_soonest, ret_at);
	case INCIDENT_UNKNOWN:
		/* Told with the one that it depends on; back when that is mended. */
		if (i->blocked || incident_blocked(i))
			return NOTICE_NOTHING;
		*ret_over = item->told == NOTICE_NOTHING && !i->broken && !r->unknown;
		return *ret_over ? NOTICE_NOTHING : open_due(n, item, ret_soonest, ret_at);
	case INCIDENT_KEPT:
	case INCIDENT_GONE:
		break;
	}
	*ret_over = item->told == NOTICE_NOTHING || !r->kept;
	if (*ret_over || incident_silenced(n, i))
		return NOTICE_NOTHING;
	*ret_soonest = i->changed;
	*ret_at = i->changed + r->wait;
	return i->state == INCIDENT_KEPT ? NOTICE_KEPT : NOTICE_GONE;
}

/* ---- sending ----------------------------------------------------------------------------------------------------- */

static void say(struct notices *n, enum kith_priority priority, const struct receiver *r, const struct buf *line)
{
	if (n->driver.record)
		n->driver.record(priority, r->name, buf_text(line), n->now, n->driver.user);
}

static void receiver_failed(struct notices *n, struct receiver *r, const char *why)
{
	int64_t wait = RETRY_FIRST;
	struct buf line = BUF_INIT;

	for (unsigned i = 0; i < r->failing && wait < RETRY_MOST; i++)
		wait *= 2;
	if (wait > RETRY_MOST)
		wait = RETRY_MOST;
	for (struct item *item = r->items; item; item = item->list_next)
		item->sending = NOTICE_NOTHING;
	r->token = 0;
	r->failed++;
	r->not_before = n->now + wait;
	r->next = r->not_before;
	free(r->why);
	r->why = strdup(why);
	if (!r->failing++) {
		buf_printf(&line, "%s cannot be told: %s; it is tried again", r->name, why);
		say(n, KITH_ERR, r, &line);
	}
	buf_free(&line);
}

/*
 * All that is due, and what can go with it: marked in item->sending. What was told before goes with nothing but what is told again as well. The number
 * of them
 */
static size_t receiver_gather(struct notices *n, struct receiver *r, bool repeat)
{
	size_t count = 0;

	for (struct item *item = r->items; item; item = item->list_next) {
		int64_t soonest, at;
		bool over;
		enum notice_what what = item_due(n, item, &soonest, &at, &over);

		if (what == NOTICE_NOTHING || soonest > n->now || (what == NOTICE_REPEAT && !repeat))
			continue;
		item->sending = what;
		count++;
	}
	return count;
}

static int message_send(struct notices *n, struct receiver *r, size_t count)
{
	struct item **items = calloc(count, sizeof(*items));
	struct message m = { 0 };
	struct notice_message out = { .receiver = r->name, .argv = (const char *const *)r->argv, .user = r->user, .timeout = r->timeout };
	size_t k = 0;
	int err;

	if (!items)
		return -ENOMEM;
	for (struct item *item = r->items; item && k < count; item = item->list_next)
		if (item->sending != NOTICE_NOTHING)
			items[k++] = item;
	err = message_make(n, r, items, k, &m);
	free(items);
	if (err < 0)
		return err;
	out.env = (const char *const *)m.env;
	out.json = buf_text(&m.json);
	out.json_length = m.json.length;
	out.token = r->token = ++n->token;
	err = n->driver.send ? n->driver.send(&out, n->driver.user) : -EOPNOTSUPP;
	message_free(&m);
	return err;
}

static void receiver_send(struct notices *n, struct receiver *r, bool repeat)
{
	size_t count = receiver_gather(n, r, repeat);
	struct buf why = BUF_INIT;
	int err;

	r->next = 0;
	r->last = n->now;
	err = message_send(n, r, count);
	if (err < 0) {
		buf_printf(&why, "%s cannot be run: %s", r->argv[0], strerror(-err));
		receiver_failed(n, r, buf_text(&why));
	}
	buf_free(&why);
}

void receiver_scan(struct notices *n, struct receiver *r)
{
	int64_t next = 0, free_at = r->last ? r->last + r->wait : 0;
	bool due = false, repeat = false;

	if (r->not_before > free_at)
		free_at = r->not_before;
	for (struct item *item = r->items, *after; item; item = after) {
		struct incident *i = item->incident;
		enum notice_what what;
		int64_t soonest, at;
		bool over;

		after = item->list_next;
		what = item_due(n, item, &soonest, &at, &over);
		if (over) {
			item_over(item);
			incident_settle(n, i);
		} else if (at && at <= n->now) {
			due = true;
			repeat = repeat || what == NOTICE_REPEAT;
		} else {
			earlier_of(&next, at);
		}
	}
	r->next = next;
	if (!due || r->token)
		return; /* with one on its way: looked at when that is done */
	if (free_at > n->now)
		earlier_of(&r->next, free_at);
	else
		receiver_send(n, r, repeat);
}

/* ---- how it went ------------------------------------------------------------------------------------------------- */

static void receiver_delivered(struct notices *n, struct receiver *r)
{
	struct buf line = BUF_INIT;

	for (struct item *item = r->items, *after; item; item = after) {
		struct incident *i = item->incident;
		enum notice_what sent = item->sending;

		after = item->list_next;
		item->sending = NOTICE_NOTHING;
		if (sent == NOTICE_NOTHING)
			continue;
		if (sent == NOTICE_KEPT || sent == NOTICE_GONE) {
			/* Broken again meanwhile: that is told anew. */
			item_told(item, NOTICE_NOTHING);
			item->quieted = false;
			if (i->state != INCIDENT_BROKEN) {
				item_free(item);
				incident_settle(n, i);
			}
			continue;
		}
		item_told(item, sent == NOTICE_REPEAT ? item->told : sent);
		item->told_at = r->last;
		item->quieted = false;
	}
	r->token = 0;
	r->not_before = 0;
	r->messages++;
	r->delivered = n->now;
	r->next = n->now;
	if (r->failing) {
		buf_printf(&line, "%s is told again, after %u %s that failed", r->name, r->failing, r->failing == 1 ? "try" : "tries");
		say(n, KITH_NOTICE, r, &line);
	}
	r->failing = 0;
	buf_free(&line);
	notices_changed(n);
}

static void word_failure(struct buf *b, const struct receiver *r, int status, bool timed_out, const char *output, size_t length)
{
	const char *program = r->argv[0];

	if (timed_out)
		buf_printf(b, "%s was stopped: it took longer than its timeout", program);
	else if (WIFEXITED(status))
		buf_printf(b, "%s failed with exit status %d", program, WEXITSTATUS(status));
	else if (WIFSIGNALED(status))
		buf_printf(b, "%s was killed by signal %d", program, WTERMSIG(status));
	else
		buf_printf(b, "%s failed (status %d)", program, status);
	while (length && strchr("\n \t", output[length - 1]))
		length--;
	if (!length)
		return;
	buf_puts(b, ": ");
	buf_clean_line(b, output, length, WHY_OUTPUT_MAX);
}

void notices_sent(struct notices *n, uint64_t token, int status, bool timed_out, const char *output, size_t length, int64_t now)
{
	struct buf why = BUF_INIT;

	if (now > n->now)
		n->now = now;
	for (size_t i = 0; i < n->n_receivers; i++) {
		struct receiver *r = n->receivers[i];

		if (!token || r->token != token)
			continue;
		if (!timed_out && WIFEXITED(status) && WEXITSTATUS(status) == 0) {
			receiver_delivered(n, r);
		} else {
			word_failure(&why, r, status, timed_out, output, output ? length : 0);
			receiver_failed(n, r, buf_text(&why));
		}
	}
	buf_free(&why);
	notices_arm(n);
}

int notices_receiver_at(const struct notices *n, size_t index, struct notice_receiver_info *ret_info)
{
	const struct receiver *r;

	if (index >= n->n_receivers)
		return -ENOENT;
	r = n->receivers[index];
	*ret_info = (struct notice_receiver_info){
		.name = r->name, .program = r->argv[0], .delivered = r->delivered, .messages = r->messages, .failed = r->failed,
		.failing = r->failing, .again = r->not_before > n->now ? r->not_before : 0, .why = r->failing && r->why ? r->why : "",
		.mended = r->mended, .told = r->n_told,
	};
	return 0;
}
