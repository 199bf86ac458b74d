/* What is kept of the past: the journal of samples, its syncs off the loop, and kith-fold, which takes what is sealed into RRD files. */
#include <config.h>

#include "daemon.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/places.h"
#include "host/flusher.h"

#define FOLD_TIMEOUT (600 * NS_PER_S)
#define FOLD_SOON (60 * NS_PER_S)     /* after a start, when something waits for it */
#define FOLD_SLACK (10 * NS_PER_S)
#define FOLD_SAYS 4096u               /* bytes of what it says */

static int flush_cb(int fd, void *user)
{
	struct daemon *d = user;

	return flusher_flush(d->flusher, fd);
}

/* ---- kith-fold -------------------------------------------------------------------------------------------------------- */

/* What it said goes to the log, a line each */
static void fold_says(const struct child_output *output, enum log_level level)
{
	const char *at = output->text[1], *end = at + output->length[1];

	while (at < end) {
		const char *line = at, *next = memchr(at, '\n', (size_t)(end - at));

		at = next ? next + 1 : end;
		log_line(level, "kith-fold: %.*s", (int)((next ? next : end) - line), line);
	}
}

static void fold_ended(int status, bool timed_out, const struct child_output *output, void *user)
{
	struct daemon *d = user;
	bool failed = timed_out || !WIFEXITED(status) || WEXITSTATUS(status) != 0;

	d->fold = NULL;
	fold_says(output, failed ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO);
	if (timed_out)
		log_warning("kith-fold took longer than %lld s, and was ended", (long long)(FOLD_TIMEOUT / NS_PER_S));
	journal_folded(d->journal);
}

static void fold_start(struct daemon *d)
{
	const struct conf_journal *c = &d->conf->journal;
	char program[PATH_MAX], step[32], keep[32];
	const char *argv[16] = { program, "--state-dir", d->options.state_dir, "--step", step, "--keep", keep };
	struct child_request request = { .argv = argv, .timeout = FOLD_TIMEOUT, .ended = fold_ended, .keep = FOLD_SAYS, .user = d };
	int r = places_program("kith-fold", program), n = 7;

	snprintf(step, sizeof(step), "%llds", (long long)(c->step / NS_PER_S));
	snprintf(keep, sizeof(keep), "%llds", (long long)(c->keep / NS_PER_S));
	if (c->archives) {
		argv[n++] = "--archives";
		argv[n++] = c->archives;
	}
	if (c->cached) {
		argv[n++] = "--cached";
		argv[n++] = c->cached;
	}
	if (r == 0)
		r = child_start(&d->children, &request, &d->fold);
	if (r < 0 && !d->fold_told)
		log_err("%s cannot be run: %s; what is older than the journal holds is lost", program, strerror(-r));
	d->fold_told = r < 0;
}

static void fold_cb(void *user)
{
	struct daemon *d = user;
	struct journal_counts counts;

	if (d->fold)
		return;
	journal_seal(d->journal);
	journal_tick(d->journal, model_now(d->model));
	journal_counts(d->journal, &counts);
	if (counts.unfolded)
		fold_start(d);
}

/* At the configured interval; earlier where a last kithd left something */
static void fold_plan(struct daemon *d)
{
	int64_t every = d->conf->journal.fold, first = every;
	struct journal_counts counts;

	loop_remove(d->loop, d->fold_timer);
	d->fold_timer = NULL;
	if (!d->journal || !every || !d->conf->journal.enabled)
		return;
	journal_counts(d->journal, &counts);
	if (counts.unfolded && first > FOLD_SOON)
		first = FOLD_SOON;
	if (loop_timer(d->loop, first, every, FOLD_SLACK < every / 10 ? FOLD_SLACK : every / 10, fold_cb, d, &d->fold_timer) < 0)
		log_err("the journal will not be folded: out of memory");
}

/* ---- its life --------------------------------------------------------------------------------------------------------- */

int kept_start(struct daemon *d)
{
	const struct conf_journal *c = &d->conf->journal;
	struct journal_config config = { .ring = c->ring, .disk = c->max_size, .sync = c->sync, .flush = flush_cb, .user = d };
	struct buf path = BUF_INIT;
	int r;

	model_set_now(d->model, clock_wall());
	r = flusher_new(d->loop, &d->flusher);
	if (r < 0)
		return r;
	buf_printf(&path, "%s/journal", d->options.state_dir);
	if (c->enabled)
		config.folder = buf_text(&path);
	r = path.failed ? -ENOMEM : journal_new(d->model, &config, &d->journal);
	buf_free(&path);
	if (r == 0)
		fold_plan(d);
	return r;
}

void kept_configure(struct daemon *d, const struct conf *before)
{
	const struct conf_journal *was = &before->journal, *is = &d->conf->journal;

	journal_limit(d->journal, is->ring, is->max_size, is->sync);
	if (was->fold != is->fold)
		fold_plan(d);
	if (was->enabled != is->enabled)
		log_notice("journal: enabled = %s is heeded at the next start", is->enabled ? "true" : "false");
}

void kept_stop(struct daemon *d)
{
	if (d->fold)
		child_forget(d->fold);
	d->fold = NULL;
	if (d->loop)
		loop_remove(d->loop, d->fold_timer);
	journal_free(d->journal);
	d->journal = NULL;
	flusher_free(d->flusher);
	d->flusher = NULL;
}
