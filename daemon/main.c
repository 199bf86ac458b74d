/*
 * kithd: the table of contents. What is started, in order; the loop; what is stopped, in reverse.
 *
 * How a value travels: host_load_all (host/host.c) → a plugin's init → its handler or sampler → put (host/table.c → model/model.c) → the promises of
 * that series alone (promises/) → transition → observers (control/, the log, exporters).
 */
#include <config.h>

#include "daemon.h"

#include <errno.h>
#include <grp.h>
#include <locale.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

#define TRAILS_MAX ((size_t)512 << 10) /* bytes: some 90 series */
#define TRAILS_WAIT (120 * NS_PER_S)

static void stop_cb(void *user)
{
	struct daemon *d = user;

	log_info("stopping");
	loop_stop(d->loop);
}

static void jump_cb(int64_t jump, void *user)
{
	struct daemon *d = user;

	log_notice("the clock was set by %+.3f s, or the machine slept", (double)jump / 1e9);
	history_jump(d->history);
	trails_jump(d->trails, jump);
	journal_jump(d->journal);
	promises_jump(d->promises, jump);
	notices_jump(d->notices, jump);
}

static void tick_cb(int64_t now, void *user)
{
	struct daemon *d = user;

	history_tick(d->history);
	journal_tick(d->journal, now);
	records_tick(d->records, now);
}

/* Before the promises: their first assessments are part of it. */
static int main_history(struct daemon *d)
{
	struct history_config config = { .folder = d->options.state_dir };

	return d->conf->history ? history_new(d->model, &config, &d->history) : 0;
}

/* Members of the configured group may ask, too: the socket is 0660. */
static void main_socket_group(struct daemon *d)
{
	struct group *g;

	if (!d->conf->socket_group)
		return;
	g = getgrnam(d->conf->socket_group);
	if (!g)
		log_err("socket_group: there is no group \"%s\"; only kithd's own may use the socket", d->conf->socket_group);
	else if (chown(d->socket, (uid_t)-1, g->gr_gid) < 0)
		log_err("socket_group: %s cannot be given to group \"%s\": %s", d->socket, d->conf->socket_group, strerror(errno));
}

static int main_control(struct daemon *d)
{
	struct control_config config = { 0 };
	struct control_daemon daemon;
	int r;

	if (asprintf(&d->socket, "%s/control.sock", d->options.run_dir) < 0)
		return -ENOMEM;
	config.path = d->socket;
	config.history = d->history;
	answer_daemon(d, &daemon);
	r = control_new(d->loop, d->model, d->promises, &daemon, &config, &d->control);
	if (r < 0)
		return r;
	control_set_notices(d->control, d->notices);
	main_socket_group(d);
	return r;
}

static int main_host(struct daemon *d)
{
	struct host_parts parts = { .loop = d->loop, .model = d->model, .netlink = d->netlink, .process = d->process,
		                    .file = d->file, .children = &d->children, .conf = d->conf, .config = d->options.config,
		                    .state = d->options.state_dir, .foreground = d->options.foreground, .user = d, .on_tick = tick_cb, .on_jump = jump_cb };
	int r = host_new(&parts, &d->host);

	return r < 0 ? r : host_add_builtin(d->host, &self_plugin);
}

/* What was sampled before the last stop, for windows that begin now */
static int main_trails(struct daemon *d)
{
	struct buf path = BUF_INIT;
	char *why = NULL;
	int r = trails_new(d->model, TRAILS_MAX, &d->trails);

	if (r < 0)
		return r;
	buf_printf(&path, "%s/trails", d->options.state_dir);
	r = trails_load(d->trails, buf_text(&path), clock_wall(), &why);
	if (why)
		log_warning("%s", why);
	free(why);
	buf_free(&path);
	return r;
}

static void main_save_trails(struct daemon *d)
{
	struct buf path = BUF_INIT;
	int r;

	buf_printf(&path, "%s/trails", d->options.state_dir);
	r = trails_save(d->trails, buf_text(&path), clock_wall());
	if (r < 0)
		log_err("%s cannot be written: %s; at the next start windows of promises begin with what the journal has", buf_text(&path), strerror(-r));
	buf_free(&path);
}

/* What plugins have handed on is kept a second later: tail counts on it. */
static void flush_soon_cb(void *user)
{
	struct daemon *d = user;

	if (d->records)
		records_flush(d->records);
}

static void forget_cb(void *user)
{
	trails_forget(((struct daemon *)user)->trails);
}

/* In order: what comes later uses what came before. */
static int main_start(struct daemon *d)
{
	int r;

	if ((r = loop_new(&d->loop)) < 0 || (r = model_new(&d->model)) < 0 || (r = main_trails(d)) < 0)
		return r;
	d->children.loop = d->loop;
	if ((r = loop_timer(d->loop, RECORDS_SOON, 0, RECORDS_SOON / 4, flush_soon_cb, d, &d->flush_soon)) < 0)
		return r;
	if ((r = loop_signal(d->loop, SIGTERM, stop_cb, d, &d->signals[0])) < 0 ||
	    (r = loop_signal(d->loop, SIGINT, stop_cb, d, &d->signals[1])) < 0)
		return r;
	/* The configuration is watched before it is read: what comes in between is seen. */
	if ((r = file_source_new(d->loop, &d->file)) < 0 || (r = reload_start(d)) < 0 || (r = reload_first(d)) < 0)
		return r;
	/* Before the plugins: what they have to say at their start is kept, too. */
	model_set_now(d->model, clock_wall());
	if ((r = reload_records(d, d->conf)) < 0 || (r = kept_start(d)) < 0 || (r = trails_recall(d->trails, d->journal)) < 0)
		return r;
	if ((r = netlink_source_new(d->loop, &d->netlink)) < 0 || (r = process_source_new(d->loop, &d->process)) < 0)
		return r;
	if ((r = main_host(d)) < 0 || (r = host_load_all(d->host, d->options.plugin_dirs, d->options.n_plugin_dirs)) < 0)
		return r;
	if ((r = main_history(d)) < 0 || (r = promised_start(d)) < 0 || (r = main_control(d)) < 0)
		return r;
	/* What has not been named by then is no more. */
	if ((r = loop_timer(d->loop, TRAILS_WAIT, 0, TRAILS_WAIT, forget_cb, d, &d->forget)) < 0)
		return r;
	/* Who waits for a transition is told of it before it is written and logged. */
	history_yield(d->history);
	records_yield(d->records);
	promised_log(d);
	return 0;
}

static void main_stop(struct daemon *d)
{
	control_free(d->control);
	if (d->running)
		main_save_trails(d);
	if (d->loop)
		reload_stop(d);
	if (d->loop)
		promised_stop(d);
	history_free(d->history);
	d->history = NULL;
	/* Before the plugins: that they end is no end of what they measured. */
	kept_stop(d);
	host_free(d->host);
	records_free(d->records);
	children_end(&d->children);
	if (d->file)
		file_source_free(d->file);
	if (d->process)
		process_source_free(d->process);
	if (d->netlink)
		netlink_source_free(d->netlink);
	trails_free(d->trails);
	model_free(d->model);
	if (d->loop) {
		loop_remove(d->loop, d->signals[0]);
		loop_remove(d->loop, d->signals[1]);
		loop_remove(d->loop, d->forget);
		loop_remove(d->loop, d->flush_soon);
	}
	loop_free(d->loop);
	conf_free(d->conf);
	host_facts_free(&d->facts);
	free(d->socket);
	start_unlock(d);
}

static int main_run(struct daemon *d)
{
	int r;

	/* Until the configuration is watched there is nothing to read again. */
	signal(SIGHUP, SIG_IGN);
	d->started = clock_wall();
	/* These two say themselves what is wrong. */
	if ((r = start_directories(d)) < 0 || (r = start_lock(d)) < 0) {
		main_stop(d);
		return 1;
	}
	r = main_start(d);
	if (r == 0) {
		log_notice("kithd " PACKAGE_VERSION " runs: %zu promises, control socket %s", promises_count(d->promises), d->socket);
		start_ready(d);
		/* What the start alone needed goes back. */
		malloc_trim(0);
		d->running = true;
		loop_run(d->loop);
		start_notify("STOPPING=1");
	} else {
		log_err("kithd does not start: %s", strerror(-r));
	}
	main_stop(d);
	return r < 0 ? 1 : 0;
}

static int main_chosen(struct daemon *d)
{
	if (d->options.help) {
		options_usage();
		return 0;
	}
	if (d->options.version) {
		printf("kithd %s (plugin ABI %d.%d)\n", PACKAGE_VERSION, KITH_ABI_MAJOR, KITH_ABI_MINOR);
		return 0;
	}
	/* One arena is enough for one loop thread; the workers' few allocations share it. */
	mallopt(M_ARENA_MAX, 1);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* a limit on the size of files is an error of write */
	umask(022);
	if (d->options.isolated)
		return isolated_run(d);
	if (d->options.families)
		return replay_families(d);
	if (d->options.replay)
		return replay_run(d);
	if (d->options.test || d->options.n_check_files)
		return test_run(d);
	if (!d->options.foreground) {
		int r = start_background(d);

		if (r < 0) {
			fprintf(stderr, "kithd: %s\n", strerror(-r));
			return 1;
		}
	}
	return main_run(d);
}

int main(int argc, char **argv)
{
	struct daemon d = { .lock = -1, .ready = -1 };
	int status;

	setlocale(LC_CTYPE, "C.UTF-8"); /* which characters are letters, in what `matches` is given */
	if (options_parse(argc, argv, &d.options) < 0)
		return 2;
	/* What was open in the shell or supervisor that started it is nothing for its actions and checks. */
	if (close_range(STDERR_FILENO + 1, ~0u, CLOSE_RANGE_CLOEXEC) < 0)
		log_debug("inherited descriptors stay open to children: %s", strerror(errno));
	status = main_chosen(&d);
	options_free(&d.options);
	return status;
}
