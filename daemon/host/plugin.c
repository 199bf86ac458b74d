/* One plugin's life: load, start, stop. */
#include "host/impl.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"

#define RESYNC_SHARE 200 /* percent of the rest that the budget asks for: its callbacks need some of it too */
#define RESYNC_REST_MAX (10 * NS_PER_S)

struct plugin *plugin_new(struct host *h, const char *name, const char *path, unsigned folder)
{
	struct plugin *p = calloc(1, sizeof(*p)), **at;

	if (!p)
		return NULL;
	p->host = h;
	p->folder = folder;
	p->name = strdup(name);
	p->path = strdup(path);
	if (!p->name || !p->path) {
		plugin_free(p);
		return NULL;
	}
	p->owner.name = p->name;
	p->owner.user = p;
	p->owner.attend = tick_attend;
	table_init(p);
	for (at = &h->plugins; *at; at = &(*at)->next)
		;
	*at = p;
	return p;
}

static void plugin_undeclare(struct plugin *p)
{
	while (p->n_families)
		family_remove(p->host->parts.model, p->families[--p->n_families]);
	free(p->families);
	p->families = NULL;
}

/* Of a plugin that is on no list any more */
void plugin_free(struct plugin *p)
{
	/* One that was only described never stops. */
	plugin_undeclare(p);
	conf_options_free(p->options, p->d.n_options);
	library_release(p->library);
	free(p->name);
	free(p->path);
	free(p->reason);
	free(p->note);
	free(p->capped);
	free(p->state_folder);
	free(p);
}

void plugin_set_reason(struct plugin *p, const char *format, ...)
{
	struct buf b = BUF_INIT;
	va_list args;

	va_start(args, format);
	buf_vprintf(&b, format, args);
	va_end(args);
	free(p->reason);
	p->reason = buf_take(&b);
}

void plugin_clear_reason(struct plugin *p)
{
	free(p->reason);
	p->reason = NULL;
}

/* To the log and to the records: what happens to a plugin concerns both. */
void plugin_say(struct plugin *p, enum kith_priority priority, const char *format, ...)
{
	struct kith_field field = { "plugin", p->name };
	struct kith_record record = { .size = sizeof(record), .priority = priority, .fields = &field, .n_fields = 1 };
	struct buf b = BUF_INIT, subject = BUF_INIT;
	va_list args;

	va_start(args, format);
	buf_vprintf(&b, format, args);
	va_end(args);
	log_line(priority < KITH_ERR ? LOG_LEVEL_ERR : (enum log_level)priority, "plugin %s: %s", p->name, buf_text(&b));
	buf_printf(&subject, "plugin:%s", p->name);
	record.subject = buf_text(&subject);
	record.message = buf_text(&b);
	record.time = clock_wall();
	model_record(p->host->parts.model, &record);
	buf_free(&b);
	buf_free(&subject);
}

static void plugin_refuse(struct plugin *p, enum host_state state, const char *why)
{
	plugin_set_reason(p, "%s", why);
	p->state = state;
	plugin_say(p, state == HOST_SKIPPED ? KITH_NOTICE : KITH_WARNING, "%s: %s (%s)", host_state_name(state), why,
	           p->builtin ? "part of kithd" : p->path);
}

int plugin_declare(struct plugin *p, const struct kith_family *f, uint32_t *ret_number)
{
	const char *why = "";
	struct family **families, *family;
	int r;

	families = realloc(p->families, (p->n_families + 1) * sizeof(*families));
	if (!families)
		return -ENOMEM;
	p->families = families;
	r = family_add(p->host->parts.model, &p->owner, f, p->max_instances, &family, &why);
	if (r == -EINVAL)
		log_err("plugin %s: family %s: %s", p->name, f->name ? f->name : "(no name)", why);
	if (r < 0)
		return r;
	p->families[p->n_families] = family;
	*ret_number = p->n_families++;
	return 0;
}

static const struct conf *plugin_conf(const struct plugin *p)
{
	return p->host->parts.conf;
}

/* Takes the settings that every plugin has from its section and the daemon's. */
void plugin_settle(struct plugin *p)
{
	const struct conf *conf = plugin_conf(p);
	struct conf_plugin *s = conf ? conf_plugin_find(conf, p->name) : NULL;
	int64_t before = p->interval;

	p->section = s;
	p->interval = s && s->interval ? s->interval : conf ? conf->interval : 10 * NS_PER_S;
	p->cpu_budget = s && s->cpu_budget > 0 ? s->cpu_budget : conf ? conf->cpu_budget : 5;
	p->max_instances = s && s->max_instances ? s->max_instances : conf ? conf->max_instances : 0;
	p->steady_interval = s && s->steady_interval ? s->steady_interval : conf ? conf->steady_interval : 10 * NS_PER_S;
	p->owner.stale_after = 3 * p->interval;
	/* Another interval begins at once; the same one goes on as it was. */
	if (p->interval != before || p->owner.slow)
		p->due = 0;
	p->steady = 0;
	p->again = 0;
	p->owner.slow = false;
	p->near_interval = 0;
	p->regular = 0;
}

int plugin_options(struct plugin *p, struct buf *why)
{
	struct conf_option *options = NULL;
	struct faults faults = { 0 };
	int r;

	r = conf_options(p->section, p->d.options, p->d.n_options, p->d.option_size, &options, &faults);
	if (r < 0 && faults.first)
		buf_printf(why, "%s:%u:%u: %s", faults.first->file, faults.first->line, faults.first->column, faults.first->text);
	else if (r < 0)
		buf_printf(why, "its options: %s", strerror(-r));
	faults_free(&faults);
	if (r < 0)
		return r;
	conf_options_free(p->options, p->d.n_options);
	p->options = options;
	return 0;
}

static int plugin_declare_all(struct plugin *p, struct buf *why)
{
	for (uint32_t i = 0; i < p->d.n_families; i++) {
		uint32_t number;
		int r = plugin_declare(p, &p->d.families[i], &number);

		if (r == -EEXIST)
			buf_printf(why, "its family %s is another plugin's already", p->d.families[i].name);
		else if (r < 0)
			buf_printf(why, "its family number %u is not accepted: %s", i, strerror(-r));
		if (r < 0)
			return r;
	}
	return 0;
}

/* Copies as much of the descriptor as there is; an older, shorter one leaves the rest 0. */
static void plugin_take_descriptor(struct plugin *p, const struct kith_plugin *d)
{
	size_t size = d->size < sizeof(p->d) ? d->size : sizeof(p->d);

	conf_options_free(p->options, p->d.n_options);
	p->options = NULL;
	memset(&p->d, 0, sizeof(p->d));
	memcpy(&p->d, d, size);
}

void plugin_drop_library(struct plugin *p)
{
	conf_options_free(p->options, p->d.n_options);
	p->options = NULL;
	if (!p->builtin) /* its descriptor stays: there is no file to read it from again */
		memset(&p->d, 0, sizeof(p->d));
	library_release(p->library);
	p->library = NULL;
}

/* Opens the file into *ret_library and checks that it is the plugin that its name says. */
int plugin_open(struct plugin *p, struct library **ret_library, struct buf *why)
{
	struct library *l;
	int r = library_open(p->path, &l, why);

	if (r < 0)
		return r;
	if (!name_part_valid(p->name)) {
		buf_puts(why, "its name is not of [a-z0-9_], at most 63 characters: rename it, in its descriptor too");
		library_release(l);
		return -EINVAL;
	}
	if (strcmp(l->descriptor->name, p->name) != 0) {
		buf_printf(why, "it calls itself \"%s\", but its file is %s.so: rename one of them", l->descriptor->name, p->name);
		library_release(l);
		return -EINVAL;
	}
	*ret_library = l;
	return 0;
}

static int plugin_init(struct plugin *p, struct buf *why)
{
	struct account_mark mark = account_enter();
	int r;

	model_set_now(p->host->parts.model, clock_wall());
	p->started = true;
	/* What init registers may call back at once: names that are wanted already. */
	p->state = HOST_RUNNING;
	export_spent_before(p->host, &mark);
	r = p->d.init(&p->table, &p->instance);
	export_spent_after(p->host, &mark);
	p->account.calls++;
	p->account.cpu_ns += (uint64_t)(clock_thread_cpu() - mark.cpu);
	if (r < 0) {
		p->account.failures++;
		p->started = false;
		p->instance = NULL;
		if (r == -EOPNOTSUPP && p->note)
			buf_puts(why, p->note);
		else
			buf_printf(why, "its init fails: %s%s%s", strerror(-r), p->note ? "; " : "", p->note ? p->note : "");
	}
	return r;
}

/* Isolated means that only samples and records come over: not what an exporter hears, nor what is part of kithd. */
static bool plugin_can_isolate(const struct plugin *p, struct buf *why)
{
	if (p->builtin)
		buf_puts(why, "isolated = true: it is part of kithd; leave that out");
	else if (p->d.provides & KITH_PROVIDES_EXPORTER)
		buf_puts(why, "isolated = true: an exporter hears all that happens in kithd, and only runs inside it; leave that out");
	else
		return true;
	return false;
}

/* From a library that is there to a plugin that runs */
void plugin_start(struct plugin *p)
{
	enum host_state state = HOST_REFUSED;
	struct buf why = BUF_INIT;
	int r;

	p->account = (struct account){ .window_start = clock_mono() };
	p->owner.samples = 0;
	p->due = 0;
	plugin_clear_reason(p);
	plugin_settle(p);
	if (!p->builtin)
		plugin_take_descriptor(p, p->library->descriptor);
	if (plugin_options(p, &why) < 0)
		goto refuse;
	if (!needs_granted(p->d.needs, p->table.root(&p->table), &why)) {
		state = HOST_SKIPPED;
		goto refuse;
	}
	if (p->section && p->section->isolated && !plugin_can_isolate(p, &why))
		goto refuse;
	if (plugin_declare_all(p, &why) < 0)
		goto refuse;
	r = plugin_init(p, &why);
	if (r < 0) {
		state = r == -EOPNOTSUPP ? HOST_SKIPPED : HOST_REFUSED;
		goto refuse;
	}
	export_start(p);
	tick_plan(p->host);
	log_debug("plugin %s %s runs", p->name, p->d.version ? p->d.version : "");
	buf_free(&why);
	return;
refuse:
	plugin_release(p);
	plugin_refuse(p, state, buf_text(&why));
	buf_free(&why);
}

void plugin_load(struct plugin *p)
{
	struct library *library = NULL;
	struct buf why = BUF_INIT;

	plugin_settle(p);
	if (p->section && !p->section->enabled) {
		plugin_stop(p, HOST_SKIPPED);
		plugin_drop_library(p);
		plugin_refuse(p, HOST_SKIPPED, "switched off in the configuration");
		return;
	}
	if (p->builtin) {
		plugin_stop(p, HOST_STOPPED);
		plugin_start(p);
		return;
	}
	if (isolate_wanted(p)) {
		isolate_load(p);
		return;
	}
	isolate_stop(p);
	if (isolate_wait(p))
		return;
	if (plugin_open(p, &library, &why) < 0) {
		/* What runs goes on: a new file that is not whole, or not fit, does not take its place. */
		if (p->started) {
			plugin_set_reason(p, "the file was replaced, and refused: %s; what was loaded before goes on", buf_text(&why));
			plugin_say(p, KITH_WARNING, "%s (%s)", p->reason, p->path);
		} else {
			plugin_refuse(p, HOST_REFUSED, buf_text(&why));
		}
		buf_free(&why);
		return;
	}
	plugin_stop(p, HOST_STOPPED);
	plugin_drop_library(p);
	p->library = library;
	plugin_start(p);
	buf_free(&why);
}

void plugin_describe(struct plugin *p, struct faults *faults)
{
	struct buf why = BUF_INIT;

	plugin_settle(p);
	if (!p->builtin) {
		if (plugin_open(p, &p->library, &why) < 0)
			goto fault;
		plugin_take_descriptor(p, p->library->descriptor);
	}
	if (plugin_declare_all(p, &why) < 0)
		goto fault;
	if (p->section && p->section->isolated && !plugin_can_isolate(p, &why))
		goto fault;
	p->state = HOST_SKIPPED;
	buf_free(&why);
	return;
fault:
	p->state = HOST_REFUSED;
	fault_add(faults, true, p->path, NULL, 0, 0, 0, NULL, "this plugin would be refused: %s", buf_text(&why));
	buf_free(&why);
}

/* Drops all that the plugin registered; its own state is gone already. */
void plugin_release(struct plugin *p)
{
	export_stop(p);
	work_forget(p);
	plugin_spawn_forget(p);
	watch_drop_all(p);
	reading_forget(p);
	plugin_undeclare(p);
	free(p->note);
	free(p->capped);
	p->note = p->capped = NULL;
	p->resync_due = false;
	p->resync_at = 0;
	tick_plan(p->host);
}

void plugin_stop(struct plugin *p, enum host_state state)
{
	p->state = state;
	p->waits = false;
	isolate_stop(p);
	if (!p->started)
		return;
	p->started = false;
	export_stop(p);
	/* No callback comes once fini was called. */
	work_forget(p);
	plugin_spawn_forget(p);
	if (p->d.fini)
		p->d.fini(p->instance);
	p->instance = NULL;
	plugin_release(p);
}

/* The section or the daemon's own settings changed. */
void plugin_configure(struct plugin *p, bool same)
{
	int64_t interval = p->interval;
	struct buf why = BUF_INIT;

	if (same) {
		plugin_settle(p);
		/* The daemon's interval, not its own: no need to start it again. */
		if (interval != p->interval && p->isolate)
			plugin_load(p);
		else if (interval != p->interval && p->started && p->d.reconfigure)
			p->d.reconfigure(p->instance);
		return;
	}
	log_info("plugin %s: its section changed", p->name);
	if (!p->started || !p->d.reconfigure || !conf_plugin_find(plugin_conf(p), p->name) ||
	    !conf_plugin_find(plugin_conf(p), p->name)->enabled) {
		plugin_load(p);
		return;
	}
	plugin_settle(p);
	if (plugin_options(p, &why) < 0 || p->d.reconfigure(p->instance) < 0)
		plugin_load(p);
	buf_free(&why);
}

void plugin_resync(struct plugin *p)
{
	struct account_mark mark;
	int64_t cpu;
	double rest;
	int r;

	p->resync_due = false;
	if (!p->started || !p->d.resync || p->state == HOST_STOPPED)
		return;
	model_set_now(p->host->parts.model, clock_wall());
	mark = account_enter();
	export_spent_before(p->host, &mark);
	r = p->d.resync(p->instance);
	export_spent_after(p->host, &mark);
	cpu = clock_thread_cpu();
	account_leave(p, NULL, mark, cpu, r);
	rest = (double)(cpu - mark.cpu) * RESYNC_SHARE / p->cpu_budget;
	p->resync_at = clock_mono() + (rest < (double)RESYNC_REST_MAX ? (int64_t)rest : RESYNC_REST_MAX);
	if (r < 0)
		plugin_say(p, KITH_WARNING, "resync failed: %s", strerror(-r));
}
