/* The driver of notices: receivers from kith.conf, deadlines, programs that deliver, the file that survives a restart. */
#include "daemon.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "host/saver.h"
#include "host/spawn.h"
#include "promises/notices.h"

#define DELIVERY_OUTPUT_KEEP 1024
#define STATE_MAX (64u << 20)
#define SAVE_EVERY NS_PER_S          /* at most so often */
#define SAVE_AGAIN (30 * NS_PER_S)   /* after it failed */

struct delivery {
	struct delivery *next, **link; /* of those that run */
	struct daemon *daemon;
	struct child *child;
	uint64_t token;
};

/* ---- deliveries -------------------------------------------------------------------------------------------------- */

static void delivery_free(struct delivery *v)
{
	*v->link = v->next;
	if (v->next)
		v->next->link = v->link;
	free(v);
}

static void delivery_ended(int status, bool timed_out, const struct child_output *output, void *user)
{
	struct delivery *v = user;
	struct daemon *d = v->daemon;
	int which = output->length[1] ? 1 : 0;
	uint64_t token = v->token;

	delivery_free(v);
	model_set_now(d->model, loop_now(d->loop));
	notices_sent(d->notices, token, status, timed_out, output->text[which], output->length[which], loop_now(d->loop));
}

static int send_cb(const struct notice_message *m, void *user)
{
	struct daemon *d = user;
	struct delivery *v = malloc(sizeof(*v));
	struct child_request request = { .argv = m->argv, .env = m->env, .input = m->json, .input_length = m->json_length, .timeout = m->timeout,
		                         .user_name = m->user, .ended = delivery_ended, .keep = DELIVERY_OUTPUT_KEEP, .user = v };
	int r;

	if (!v)
		return -ENOMEM;
	*v = (struct delivery){ .daemon = d, .token = m->token };
	r = child_start(&d->children, &request, &v->child);
	if (r < 0) {
		free(v);
		return r;
	}
	v->next = d->deliveries;
	v->link = &d->deliveries;
	if (v->next)
		v->next->link = &v->next;
	d->deliveries = v;
	return 0;
}

static void record_cb(enum kith_priority priority, const char *receiver, const char *message, int64_t now, void *user)
{
	struct daemon *d = user;
	struct buf subject = BUF_INIT;
	struct kith_record record = { .size = sizeof(record), .priority = priority, .time = now, .message = message };

	buf_printf(&subject, "notify:%s", receiver);
	record.subject = buf_text(&subject);
	log_line(priority <= KITH_ERR ? LOG_LEVEL_ERR : LOG_LEVEL_NOTICE, "notify %s", message);
	model_record(d->model, &record);
	buf_free(&subject);
}

/* ---- deadlines --------------------------------------------------------------------------------------------------- */

static void deadline_cb(void *user)
{
	struct daemon *d = user;

	model_set_now(d->model, loop_now(d->loop));
	notices_run(d->notices, loop_now(d->loop));
}

static void arm_cb(int64_t at, void *user)
{
	struct daemon *d = user;
	int64_t after = at - clock_wall();

	loop_timer_set(d->loop, d->notice_timer, !at ? -1 : after > 0 ? after : 0);
}

/* ---- the file ---------------------------------------------------------------------------------------------------- */

static void state_say(struct daemon *d, enum kith_priority priority, const struct buf *line)
{
	struct kith_record record = { .size = sizeof(record), .priority = priority, .time = clock_wall(), .subject = "kith:notices",
		                      .message = buf_text(line) };

	log_line(priority <= KITH_ERR ? LOG_LEVEL_ERR : LOG_LEVEL_NOTICE, "%s", buf_text(line));
	model_record(d->model, &record);
}

/* Said when it begins to fail, and when it works again. */
static void saved_cb(int error, void *user)
{
	struct daemon *d = user;
	struct buf line = BUF_INIT;

	if (error < 0 && !d->notices_unsaved) {
		buf_printf(&line, "%s/notices cannot be written: %s; what was told and silenced is known until a restart, and it is tried again",
		           d->options.state_dir, strerror(-error));
		state_say(d, KITH_ERR, &line);
	} else if (error == 0 && d->notices_unsaved) {
		buf_printf(&line, "%s/notices is written again", d->options.state_dir);
		state_say(d, KITH_NOTICE, &line);
	}
	d->notices_unsaved = error < 0;
	if (error < 0)
		d->notices_dirty = true;
	buf_free(&line);
	loop_timer_set(d->loop, d->notice_save, !d->notices_dirty ? -1 : error < 0 ? SAVE_AGAIN : d->notices_asked ? 0 : SAVE_EVERY);
}

static void save_cb(void *user)
{
	struct daemon *d = user;
	struct buf text = BUF_INIT;
	size_t length;
	int r;

	if (!d->notices_dirty || saver_busy(d->notice_saver))
		return;
	r = notices_save(d->notices, &text);
	length = text.length;
	d->notices_dirty = d->notices_asked = false;
	d->notices_saved = clock_mono();
	if (r == 0)
		r = saver_write_take(d->notice_saver, buf_take(&text), length);
	buf_free(&text);
	if (r < 0)
		saved_cb(r, d);
}

static void changed_cb(bool asked, void *user)
{
	struct daemon *d = user;
	int64_t after = d->notices_saved ? d->notices_saved + SAVE_EVERY - clock_mono() : 0;

	/* Somebody is told that it holds: it outlives kithd as soon as the disk has it. */
	if (asked)
		after = 0;
	d->notices_asked |= asked;
	if (d->notices_dirty && !asked)
		return;
	d->notices_dirty = true;
	if (!saver_busy(d->notice_saver))
		loop_timer_set(d->loop, d->notice_save, d->notices_unsaved ? SAVE_AGAIN : after > 0 ? after : 0);
}

/* What can be read of it holds; what cannot is put aside. */
static void state_load(struct daemon *d, const char *path)
{
	struct buf line = BUF_INIT, aside = BUF_INIT;
	size_t length = 0, bad = 0;
	char *text = NULL;
	int r = file_read_all(path, STATE_MAX, &text, &length);

	if (r == -ENOENT)
		return;
	if (r == 0)
		r = notices_load(d->notices, text, length, clock_wall(), &bad);
	free(text);
	buf_printf(&aside, "%s.bad", path);
	if (r < 0)
		buf_printf(&line, "%s cannot be read: %s", path, strerror(-r));
	else if (bad)
		buf_printf(&line, "%s: %zu line%s cannot be read, or it was cut off; the others hold", path, bad, bad == 1 ? "" : "s");
	if (line.length) {
		if (rename(path, buf_text(&aside)) == 0)
			buf_printf(&line, "; the file is kept as %s", buf_text(&aside));
		state_say(d, KITH_ERR, &line);
		changed_cb(false, d);
	}
	buf_free(&line);
	buf_free(&aside);
}

static void state_save_now(struct daemon *d)
{
	struct buf text = BUF_INIT;
	bool again;
	int r;

	if (!d->notice_saver || !d->notices)
		return;
	again = d->notices_dirty || saver_busy(d->notice_saver);
	saver_wait(d->notice_saver);
	if (!again)
		return;
	r = notices_save(d->notices, &text);
	if (r == 0)
		r = saver_write_now(d->notice_saver, buf_text(&text), text.length);
	if (r < 0)
		log_err("%s/notices cannot be written: %s", d->options.state_dir, strerror(-r));
	buf_free(&text);
}

/* ---- the configuration ------------------------------------------------------------------------------------------- */

/* Names, for warnings of those that `tell` names and nobody defines */
int notified_names(struct promises *p, const struct conf *conf)
{
	const char *names[NOTICE_RECEIVERS_MAX + 1];
	size_t n = 0;

	for (const struct conf_notify *s = conf->notifies; s && n < NOTICE_RECEIVERS_MAX; s = s->next)
		names[n++] = s->name;
	return promises_set_receivers(p, names, n);
}

int notified_configure(struct daemon *d, const struct conf *conf)
{
	struct notice_receiver receivers[NOTICE_RECEIVERS_MAX];
	size_t n = 0;
	int r;

	for (const struct conf_notify *s = conf->notifies; s && n < NOTICE_RECEIVERS_MAX; s = s->next)
		receivers[n++] = (struct notice_receiver){
			.name = s->name, .argv = (const char *const *)s->run, .patterns = (const char *const *)s->promises,
			.n_patterns = s->n_promises, .user = s->user, .severity = s->severity, .wait = s->wait, .repeat = s->repeat,
			.unknown = s->unknown, .timeout = s->timeout, .kept = s->kept,
		};
	r = notified_names(d->promises, conf);
	return r < 0 ? r : notices_configure(d->notices, answer_host_name(conf), receivers, n, clock_wall());
}

/* ---- start and stop ---------------------------------------------------------------------------------------------- */

/* After the engine was made, before it holds promises */
int notified_start(struct daemon *d)
{
	struct notices_driver driver = { d, arm_cb, send_cb, record_cb, changed_cb };
	struct buf path = BUF_INIT;
	int r;

	r = loop_timer(d->loop, -1, 0, 0, deadline_cb, d, &d->notice_timer);
	if (r == 0)
		r = loop_timer(d->loop, -1, 0, 0, save_cb, d, &d->notice_save);
	buf_printf(&path, "%s/notices", d->options.state_dir);
	if (r == 0)
		r = saver_new(d->loop, buf_text(&path), saved_cb, d, &d->notice_saver);
	if (r == 0)
		r = notices_new(d->promises, &driver, &d->notices);
	if (r == 0)
		r = notified_configure(d, d->conf);
	if (r == 0)
		state_load(d, buf_text(&path));
	buf_free(&path);
	return r;
}

void notified_stop(struct daemon *d)
{
	while (d->deliveries) {
		child_forget(d->deliveries->child);
		delivery_free(d->deliveries);
	}
	state_save_now(d);
	notices_free(d->notices);
	d->notices = NULL;
	saver_free(d->notice_saver);
	loop_remove(d->loop, d->notice_save);
	loop_remove(d->loop, d->notice_timer);
}
