/* The promise engine's driver: its files, its deadlines, its actions. */
#include "daemon.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "host/spawn.h"

#define PROMISE_FILE_MAX (1u << 20)
#define PROMISE_FILES_MAX 4096
#define ACTION_OUTPUT_KEEP 4097 /* a byte more than its record takes: so it is known that there was more */
/* A new file may still be written: it is read when it was closed, or this long after it appeared. */
#define PROMISE_NEW_DELAY (50 * NS_PER_MS)

struct action {
	struct action *next, **link; /* of those that run */
	struct daemon *daemon;
	struct child *child;
	uint64_t token;
};

/* ---- files ------------------------------------------------------------------------------------------------------ */

void promised_free_files(struct promises_file *files, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free((char *)(uintptr_t)files[i].path);
		free((char *)(uintptr_t)files[i].text);
	}
	free(files);
}

static bool is_promise_file(const char *name)
{
	size_t n = strlen(name);

	return *name != '.' && n > 8 && !strcmp(name + n - 8, ".promise");
}

static int promise_filter(const struct dirent *e)
{
	return is_promise_file(e->d_name);
}

static int name_order(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* Reads one file into the list; one of the same name from an earlier folder gives way. */
static int promised_read_one(const char *dir, const char *name, struct promises_file **files, size_t *n)
{
	struct promises_file *slot = NULL, *more;
	struct buf path = BUF_INIT;
	char *text = NULL;
	size_t length = 0;
	int r;

	buf_printf(&path, "%s/%s", dir, name);
	r = file_read_all(buf_text(&path), PROMISE_FILE_MAX, &text, &length);
	if (r < 0) {
		/* Gone since the folder was read: no fault. */
		if (r != -ENOENT)
			log_err("%s: %s", buf_text(&path), r == -EFBIG ? "larger than 1 MiB" : strerror(-r));
		buf_free(&path);
		return r == -ENOENT ? 0 : r;
	}
	for (size_t i = 0; i < *n; i++)
		if (!strcmp(base_name((*files)[i].path), name))
			slot = &(*files)[i];
	if (slot) {
		free((char *)(uintptr_t)slot->path);
		free((char *)(uintptr_t)slot->text);
	} else {
		more = *n < PROMISE_FILES_MAX ? realloc(*files, (*n + 1) * sizeof(*more)) : NULL;
		if (!more) {
			free(text);
			buf_free(&path);
			return -ENOMEM;
		}
		*files = more;
		slot = &more[(*n)++];
	}
	*slot = (struct promises_file){ buf_take(&path), text, length };
	return slot->path ? 0 : -ENOMEM;
}

int promised_read(const struct options *o, struct promises_file **ret_files, size_t *ret_n)
{
	struct promises_file *files = NULL;
	size_t n = 0;
	int r = 0;

	for (size_t i = 0; i < o->n_promise_dirs; i++) {
		struct dirent **entries = NULL;
		int count = scandir(o->promise_dirs[i], &entries, promise_filter, name_order);

		if (count < 0 && errno != ENOENT)
			log_warning("promise folder %s: %s", o->promise_dirs[i], strerror(errno));
		for (int k = 0; k < count; k++) {
			int one = promised_read_one(o->promise_dirs[i], entries[k]->d_name, &files, &n);

			if (one < 0)
				r = one;
			free(entries[k]);
		}
		free(entries);
	}
	if (r < 0) {
		promised_free_files(files, n);
		return r;
	}
	*ret_files = files;
	*ret_n = n;
	return 0;
}

static void promised_record(struct daemon *d, enum kith_priority priority, const char *message)
{
	struct kith_record record = { .size = sizeof(record), .priority = priority, .time = loop_now(d->loop),
		                      .subject = "kith:promises", .message = message };

	model_record(d->model, &record);
}

static void promised_say(struct daemon *d, bool bad, const struct buf *line)
{
	log_line(bad ? LOG_LEVEL_ERR : LOG_LEVEL_INFO, "%s", buf_text(line));
	promised_record(d, bad ? KITH_ERR : KITH_INFO, buf_text(line));
}

static bool has_fault(const struct faults *faults, const char *path)
{
	for (const struct fault *f = faults->first; f; f = f->next)
		if (!f->warning && !strcmp(f->file, path))
			return true;
	return false;
}

/*
 * At the start there is no older set to go on with: files without a fault of their own are held, the others left out. A fault that shows only then
 * (two files of which one was left out) leaves all out.
 */
static int promised_load_sound(struct daemon *d, const struct promises_file *files, size_t n, const struct faults *faults)
{
	struct promises_file *sound = calloc(n ? n : 1, sizeof(*sound));
	struct faults more = { 0 };
	size_t n_sound = 0;
	int r = -ENOMEM;

	for (size_t i = 0; sound && i < n; i++)
		if (!has_fault(faults, files[i].path))
			sound[n_sound++] = files[i];
	if (sound)
		r = promises_load(d->promises, sound, n_sound, clock_wall(), &more);
	if (r < 0)
		faults_log(&more);
	faults_free(&more);
	free(sound);
	return r;
}

void promised_load(struct daemon *d)
{
	struct promises_file *files = NULL;
	struct faults faults = { 0 };
	struct buf line = BUF_INIT;
	size_t n = 0;
	int r;

	r = promised_read(&d->options, &files, &n);
	if (r < 0) {
		log_err("the promises could not be read: those that were there go on");
		return;
	}
	model_set_now(d->model, clock_wall());
	r = promises_load(d->promises, files, n, clock_wall(), &faults);
	faults_log(&faults);
	if (r < 0 && !d->promises_loaded) {
		promised_load_sound(d, files, n, &faults);
		buf_printf(&line, "%u fault%s in the promises: the files that have them are left out, %zu promises are held; kithd -t shows each",
		           faults.n_errors, faults.n_errors == 1 ? "" : "s", promises_count(d->promises));
	} else if (r < 0) {
		buf_printf(&line, "%u fault%s in the promises: the %zu that were there go on; kithd -t shows each", faults.n_errors,
		           faults.n_errors == 1 ? "" : "s", promises_count(d->promises));
	} else {
		buf_printf(&line, "%zu promises from %zu files", promises_count(d->promises), n);
	}
	d->promises_loaded = true;
	promised_say(d, r < 0, &line);
	buf_free(&line);
	faults_free(&faults);
	promised_free_files(files, n);
}

static void reload_cb(void *user)
{
	promised_load(user);
}

static void folder_event(const struct kith_file_event *event, void *user)
{
	struct daemon *d = user;

	if (*event->name && !is_promise_file(event->name))
		return;
	loop_timer_set(d->loop, d->promise_reload, event->what == KITH_FILE_ADDED ? PROMISE_NEW_DELAY : 0);
}

static void folder_lost(void *user)
{
	struct daemon *d = user;

	loop_timer_set(d->loop, d->promise_reload, 0);
}

/* ---- deadlines and actions -------------------------------------------------------------------------------------- */

static void deadline_cb(void *user)
{
	struct daemon *d = user;

	model_set_now(d->model, loop_now(d->loop));
	promises_run(d->promises, loop_now(d->loop));
}

static void arm_cb(int64_t at, void *user)
{
	struct daemon *d = user;
	int64_t after = at - clock_wall();

	loop_timer_set(d->loop, d->promise_timer, !at ? -1 : after > 0 ? after : 0);
}

static void action_free(struct action *a)
{
	*a->link = a->next;
	if (a->next)
		a->next->link = a->link;
	a->daemon->n_actions--;
	free(a);
}

/* What it wrote to standard error, when it wrote that, says more than the rest. */
static void action_done(int status, bool timed_out, const struct child_output *output, void *user)
{
	struct action *a = user;
	struct daemon *d = a->daemon;
	int which = output->length[1] ? 1 : 0;
	struct promise_result result = { .status = status, .timed_out = timed_out, .output = output->text[which],
		                         .length = output->length[which] };
	uint64_t token = a->token;

	action_free(a); /* its place is free for those that wait */
	model_set_now(d->model, loop_now(d->loop));
	promises_action_done(d->promises, token, &result, loop_now(d->loop));
}

static int act_cb(const struct promise_action *action, void *user)
{
	struct daemon *d = user;
	struct child_request request = { .argv = action->argv, .env = action->env, .input = action->json,
		                         .input_length = action->json_length, .timeout = action->timeout, .user_name = action->user,
		                         .ended = action_done, .keep = ACTION_OUTPUT_KEEP };
	struct action *a;
	int r;

	if (d->n_actions >= d->conf->max_actions)
		return -EAGAIN;
	a = malloc(sizeof(*a));
	if (!a)
		return -ENOMEM;
	*a = (struct action){ .daemon = d, .token = action->token };
	request.user = a;
	r = child_start(&d->children, &request, &a->child);
	if (r < 0) {
		free(a);
		return r;
	}
	a->next = d->actions;
	a->link = &d->actions;
	if (a->next)
		a->next->link = &a->next;
	d->actions = a;
	d->n_actions++;
	return 0;
}

static void transition_cb(const struct kith_transition *t, void *user)
{
	static const char *const names[] = { "unknown", "kept", "broken" };

	(void)user;
	/* The first assessment after the start is no news, unless it is bad. */
	if (t->from == KITH_UNKNOWN && t->to == KITH_KEPT)
		log_debug("promise %s of %s is kept", t->name, t->promiser);
	else if (t->to == KITH_BROKEN)
		log_warning("promise %s of %s is broken: %s", t->name, t->promiser, t->because);
	else
		log_notice("promise %s of %s is %s: %s", t->name, t->promiser, names[t->to], t->because);
}

void promised_facts(struct daemon *d, const struct conf *conf, struct promises_facts *ret_facts)
{
	struct host_facts *f = &d->facts;

	if (!f->read)
		host_facts_read(f, conf);
	*ret_facts = (struct promises_facts){
		.host = answer_host_name(conf), .zone = "", .tags = (const char *const *)conf->tags, .n_tags = conf->n_tags,
		.os = f->os, .os_version = f->os_version, .kernel = f->kernel, .arch = f->arch, .virtual = f->virtual, .init = f->init,
		.cpus = f->cpus, .memory = f->memory,
	};
}

/* After the plugins: their families are there to be checked against. */
int promised_start(struct daemon *d)
{
	struct promises_driver driver = { d, arm_cb, act_cb };
	struct file_listener listener = { d, folder_event, folder_lost };
	struct promises_facts facts;
	int r;

	r = loop_timer(d->loop, -1, 0, 0, deadline_cb, d, &d->promise_timer);
	if (r == 0)
		r = loop_timer(d->loop, -1, 0, 0, reload_cb, d, &d->promise_reload);
	if (r < 0)
		return r;
	promised_facts(d, d->conf, &facts);
	r = promises_new(d->model, &driver, &facts, &d->promises);
	if (r == 0)
		r = promises_limit_actions(d->promises, d->conf->max_action_starts, 60 * NS_PER_S);
	if (r == 0)
		r = notified_start(d);
	if (r < 0)
		return r;
	/* Watched before they are read: what comes in between is seen. */
	for (size_t i = 0; i < d->options.n_promise_dirs; i++) {
		r = file_subscribe(d->file, d->options.promise_dirs[i], true, KITH_FILE_CHANGED | KITH_FILE_ADDED | KITH_FILE_REMOVED,
		                   &listener, &d->promise_subs[i]);
		if (r < 0)
			log_warning("promise folder %s cannot be watched: %s; changes need SIGHUP", d->options.promise_dirs[i],
			            strerror(-r));
	}
	promised_load(d);
	return 0;
}

/* After the control server: who waits for a transition hears of it before the log is written. */
void promised_log(struct daemon *d)
{
	d->observer = (struct model_observer){ .user = d, .on_transition = transition_cb };
	model_observe(d->model, &d->observer);
}

void promised_stop(struct daemon *d)
{
	for (size_t i = 0; i < d->options.n_promise_dirs; i++)
		if (d->promise_subs[i])
			file_unsubscribe(d->file, d->promise_subs[i]);
	while (d->actions) {
		child_forget(d->actions->child);
		action_free(d->actions);
	}
	if (d->observer.user)
		model_unobserve(d->model, &d->observer);
	notified_stop(d);
	promises_free(d->promises);
	d->promises = NULL;
	loop_remove(d->loop, d->promise_timer);
	loop_remove(d->loop, d->promise_reload);
}
