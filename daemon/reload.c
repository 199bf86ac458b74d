/* The configuration: at the start, on SIGHUP, and when its files change. A faulty one leaves the running one. */
#include "daemon.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"

/* Files are read when they have been quiet for this long. */
#define RELOAD_DELAY (50 * NS_PER_MS)

int reload_first(struct daemon *d)
{
	struct faults faults = { 0 };
	int r = conf_load(d->options.config, d->options.config_given, &d->conf, &faults);

	faults_log(&faults);
	if (r < 0)
		log_err("%s: not started; mend the configuration (kithd -t checks it)", d->options.config);
	faults_free(&faults);
	if (r == 0)
		log_set_level((enum log_level)d->conf->log_level);
	return r;
}

static void records_soon(void *user)
{
	struct daemon *d = user;

	if (d->flush_soon)
		loop_timer_set(d->loop, d->flush_soon, RECORDS_SOON);
}

int reload_records(struct daemon *d, const struct conf *conf)
{
	struct records_config config = { .folder = d->options.state_dir, .max_size = conf->records_max_size,
		                         .max_age = conf->records_max_age, .soon = records_soon, .user = d };

	if (d->records && !conf->records) {
		records_free(d->records);
		d->records = NULL;
	} else if (d->records) {
		records_configure(d->records, conf->records_max_size, conf->records_max_age);
	} else if (conf->records) {
		return records_new(d->model, &config, &d->records);
	}
	return 0;
}

static void reload_conf(struct daemon *d)
{
	struct faults faults = { 0 };
	struct promises_facts facts;
	struct conf *conf = NULL, *old = d->conf;
	int r;

	r = conf_load(d->options.config, d->options.config_given, &conf, &faults);
	if (r == 0)
		r = host_check_conf(d->host, conf, &faults);
	faults_log(&faults);
	faults_free(&faults);
	if (r < 0) {
		log_err("%s: the configuration has faults; the one that runs goes on", d->options.config);
		conf_free(conf);
		return;
	}
	log_info("configuration read");
	d->conf = conf;
	log_set_level((enum log_level)conf->log_level);
	host_configure(d->host, conf);
	kept_configure(d, old);
	promised_facts(d, conf, &facts);
	promises_set_facts(d->promises, &facts);
	if (promises_limit_actions(d->promises, conf->max_action_starts, 60 * NS_PER_S) < 0)
		log_err("max_action_starts stays as it was: out of memory");
	if (reload_records(d, conf) < 0)
		log_err("records are not kept: out of memory");
	if (notified_configure(d, conf) < 0)
		log_err("who is notified stays as it was: out of memory");
	conf_free(old);
}

static void reload_cb(void *user)
{
	struct daemon *d = user;

	start_notify("RELOADING=1");
	model_set_now(d->model, clock_wall());
	reload_conf(d);
	promised_load(d);
	start_notify("READY=1");
}

static void changed_cb(const struct kith_file_event *event, void *user)
{
	struct daemon *d = user;

	(void)event;
	loop_timer_set(d->loop, d->conf_reload, RELOAD_DELAY);
}

static void lost_cb(void *user)
{
	struct daemon *d = user;

	loop_timer_set(d->loop, d->conf_reload, RELOAD_DELAY);
}

static void hangup_cb(void *user)
{
	struct daemon *d = user;

	loop_timer_set(d->loop, d->conf_reload, 0);
}

static void subscribe(struct daemon *d, const char *path, bool directory, struct file_sub **ret_sub)
{
	struct file_listener listener = { d, changed_cb, lost_cb };
	int r = file_subscribe(d->file, path, directory, KITH_FILE_CHANGED | KITH_FILE_ADDED | KITH_FILE_REMOVED, &listener, ret_sub);

	if (r < 0)
		log_warning("%s cannot be watched: %s; a change of it needs SIGHUP", path, strerror(-r));
}

int reload_start(struct daemon *d)
{
	const char *slash = strrchr(d->options.config, '/');
	struct buf dir = BUF_INIT;
	int r;

	r = loop_timer(d->loop, -1, 0, 0, reload_cb, d, &d->conf_reload);
	if (r == 0)
		r = loop_signal(d->loop, SIGHUP, hangup_cb, d, &d->signals[2]);
	if (r < 0)
		return r;
	if (slash)
		buf_append(&dir, d->options.config, (size_t)(slash - d->options.config));
	else
		buf_puts(&dir, ".");
	buf_puts(&dir, "/conf.d");
	subscribe(d, d->options.config, false, &d->conf_subs[0]);
	subscribe(d, buf_text(&dir), true, &d->conf_subs[1]);
	buf_free(&dir);
	return 0;
}

void reload_stop(struct daemon *d)
{
	for (int i = 0; i < 2; i++)
		if (d->conf_subs[i])
			file_unsubscribe(d->file, d->conf_subs[i]);
	loop_remove(d->loop, d->conf_reload);
	loop_remove(d->loop, d->signals[2]);
}
