/* The functions of plugin.h's struct kith_host, as one plugin sees them. */
#include "host/impl.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/log.h"

#define RECORD_FIELDS_MAX 32
#define RECORD_SIZE_MIN offsetof(struct kith_record, flags) /* what it was in ABI 1.0; what comes after is kithd's to fill in */
#define RECORD_RATE 200.   /* records a second a plugin, over time */
#define RECORD_BURST 2000.
#define DROPPED_EVERY NS_PER_S /* how often it is said what was dropped, at most */
#define LOG_RATE 2.        /* lines a second a plugin, over time */
#define LOG_BURST 20.

static int t_declare(const struct kith_host *t, const struct kith_family *family, uint32_t *ret_number)
{
	return plugin_declare(table_plugin(t), family, ret_number);
}

static void table_say_capped(struct plugin *p, const struct family *f)
{
	struct buf b = BUF_INIT;

	buf_printf(&b, "family %s has %u instances, the most it may have; more are left out (max_instances)", f->name,
	           f->max_instances);
	p->capped = buf_take(&b);
	if (p->capped)
		plugin_say(p, KITH_WARNING, "%s", p->capped);
}

static int t_series(const struct kith_host *t, uint32_t family, const char *instance, kith_id *ret_id)
{
	struct plugin *p = table_plugin(t);
	struct instance *i;
	int r;

	if (family >= p->n_families)
		return -EINVAL;
	r = instance_add(p->host->parts.model, p->families[family], instance ? instance : "", &i);
	if (r == -ENOSPC && !p->capped)
		table_say_capped(p, p->families[family]);
	if (r < 0)
		return r;
	*ret_id = i->id;
	return 0;
}

static int t_end(const struct kith_host *t, kith_id id)
{
	struct plugin *p = table_plugin(t);
	struct instance *i = instance_of(p->host->parts.model, id);

	if (!i)
		return -ESTALE;
	if (i->family->owner != &p->owner)
		return -EPERM;
	instance_end(p->host->parts.model, i);
	return 0;
}

static int t_put(const struct kith_host *t, kith_id id, double value)
{
	struct plugin *p = table_plugin(t);

	return model_put(p->host->parts.model, &p->owner, id, value, model_now(p->host->parts.model));
}

static int t_put_at(const struct kith_host *t, kith_id id, double value, int64_t time)
{
	struct plugin *p = table_plugin(t);

	return model_put(p->host->parts.model, &p->owner, id, value, time);
}

static int t_put_all(const struct kith_host *t, kith_id id, const double *values, uint32_t n)
{
	struct plugin *p = table_plugin(t);

	return model_put_all(p->host->parts.model, &p->owner, id, values, n);
}

void table_say_dropped(struct plugin *p)
{
	uint64_t dropped = p->account.record_dropped;

	if (!dropped || clock_mono() - p->account.dropped_said < DROPPED_EVERY)
		return;
	p->account.record_dropped = 0;
	p->account.dropped_said = clock_mono();
	plugin_say(p, KITH_WARNING, "recorded faster than %.0f a second: %llu records were dropped", RECORD_RATE,
	           (unsigned long long)dropped);
}

/* Lines of logs take no token, and so no look at the clock: there are thousands a second, and the plugin limits its sources. */
int table_record(struct plugin *p, const struct kith_record *record, bool log)
{
	struct account *a = &p->account;
	struct kith_record own;

	if (record->size < RECORD_SIZE_MIN || !record->message || record->priority > KITH_DEBUG ||
	    record->n_fields > RECORD_FIELDS_MAX || (record->n_fields && !record->fields))
		return -EINVAL;
	for (uint32_t i = 0; i < record->n_fields; i++)
		if (!record->fields[i].key || !record->fields[i].value)
			return -EINVAL;
	if (!log && !account_take_token(&a->record_tokens, &a->record_at, RECORD_RATE, RECORD_BURST)) {
		a->record_dropped++;
		return -ENOSPC;
	}
	if (!log)
		table_say_dropped(p);
	memcpy(&own, record, RECORD_SIZE_MIN);
	own.size = sizeof(own);
	own.flags = log ? KITH_RECORD_LOG : 0;
	if (!own.subject)
		own.subject = p->name;
	model_record(p->host->parts.model, &own);
	return 0;
}

static int t_record(const struct kith_host *t, const struct kith_record *record)
{
	struct plugin *p = table_plugin(t);

	return table_record(p, record, p->d.provides & KITH_PROVIDES_LOGS);
}

static int t_netlink_dump(const struct kith_host *t, int protocol, uint16_t type, const void *body, size_t length,
                          kith_netlink_fn fn, void *user)
{
	return netlink_dump(table_plugin(t)->host->parts.netlink, protocol, type, body, length, fn, user);
}

static int t_work(const struct kith_host *t, kith_work_fn fn, kith_done_fn done, void *user)
{
	return work_start(table_plugin(t), fn, done, user);
}

static int t_spawn(const struct kith_host *t, const char *const argv[], int64_t timeout, kith_done_fn done, void *user)
{
	if (!argv || !argv[0] || argv[0][0] != '/')
		return -EINVAL;
	return plugin_spawn(table_plugin(t), argv, timeout, done, user);
}

static const struct conf_option *option_of(const struct kith_host *t, const char *name)
{
	struct plugin *p = table_plugin(t);

	for (uint32_t i = 0; i < p->d.n_options; i++)
		if (!strcmp(p->options[i].option->name, name))
			return &p->options[i];
	log_err("plugin %s asks for its option \"%s\", which its descriptor does not have", p->name, name);
	return NULL;
}

static int t_option_bool(const struct kith_host *t, const char *name)
{
	const struct conf_option *o = option_of(t, name);

	return o && o->number == 1;
}

static double t_option_number(const struct kith_host *t, const char *name)
{
	const struct conf_option *o = option_of(t, name);

	return o ? o->number : NAN;
}

static const char *t_option_string(const struct kith_host *t, const char *name)
{
	const struct conf_option *o = option_of(t, name);

	return o ? o->string : NULL;
}

static size_t t_option_list(const struct kith_host *t, const char *name, const char *const **ret_list)
{
	const struct conf_option *o = option_of(t, name);

	if (!o || !o->n_list)
		return 0;
	*ret_list = (const char *const *)o->list;
	return o->n_list;
}

static int64_t t_interval(const struct kith_host *t)
{
	return table_plugin(t)->interval;
}

static int64_t t_now(const struct kith_host *t)
{
	return model_now(table_plugin(t)->host->parts.model);
}

__attribute__((format(printf, 3, 4))) static void t_log(const struct kith_host *t, int priority, const char *format, ...)
{
	struct plugin *p = table_plugin(t);
	struct account *a = &p->account;
	char prefix[NAME_PART_MAX + 8];
	va_list args;

	if (!account_take_token(&a->log_tokens, &a->log_at, LOG_RATE, LOG_BURST)) {
		a->log_dropped++;
		return;
	}
	if (a->log_dropped) {
		log_warning("%s: %llu lines were left out", p->name, (unsigned long long)a->log_dropped);
		a->log_dropped = 0;
	}
	snprintf(prefix, sizeof(prefix), "%s: ", p->name);
	va_start(args, format);
	log_vline(priority < LOG_LEVEL_ERR ? LOG_LEVEL_ERR : (enum log_level)priority, prefix, format, args);
	va_end(args);
}

static int t_dump_source(const struct kith_host *t, uint32_t source, const void *filter, kith_source_fn fn, void *user)
{
	return source_dump(table_plugin(t)->host->sources, source, filter, fn, user);
}

/* STATE/plugins/NAME; of a plugin that is part of kithd too */
static const char *t_state_folder(const struct kith_host *t)
{
	struct plugin *p = table_plugin(t);
	const char *state = p->host->parts.state;
	char *path = NULL;
	int r = 0;

	if (p->state_folder)
		return p->state_folder;
	if (!state || asprintf(&path, "%s/plugins/%s", state, p->name) < 0) {
		errno = state ? ENOMEM : ENOENT;
		return NULL;
	}
	path[strlen(path) - strlen(p->name) - 1] = '\0';
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		r = errno;
	path[strlen(path)] = '/';
	if (r == 0 && mkdir(path, 0700) < 0 && errno != EEXIST)
		r = errno;
	if (r) {
		free(path);
		errno = r;
		return NULL;
	}
	p->state_folder = path;
	return path;
}

static void t_look_again(const struct kith_host *t, int64_t ns)
{
	table_plugin(t)->asked = ns;
}

static void t_note(const struct kith_host *t, const char *text)
{
	struct plugin *p = table_plugin(t);

	if (text && p->note && !strcmp(text, p->note))
		return;
	free(p->note);
	p->note = text ? strdup(text) : NULL;
	if (text)
		log_notice("plugin %s: %s", p->name, text);
}

void table_init(struct plugin *p)
{
	p->table = (struct kith_host){
		.size = sizeof(struct kith_host),
		.abi_major = KITH_ABI_MAJOR,
		.abi_minor = KITH_ABI_MINOR,
		.self = p,
		.declare = t_declare,
		.series = t_series,
		.end = t_end,
		.put = t_put,
		.put_at = t_put_at,
		.put_all = t_put_all,
		.record = t_record,
		.watch_fd = watch_add_fd,
		.watch_pri = watch_add_pri,
		.watch_timer = watch_add_timer,
		.sample = watch_add_sample,
		.watch_netlink = watch_add_netlink,
		.watch_process = watch_add_process,
		.set_process_filter = watch_set_process_filter,
		.watch_file = watch_add_file,
		.watch_wanted = watch_add_wanted,
		.unwatch = watch_remove,
		.netlink_dump = t_netlink_dump,
		.work = t_work,
		.spawn = t_spawn,
		.open = reading_open,
		.root = reading_root,
		.read = reading_read,
		.option_bool = t_option_bool,
		.option_number = t_option_number,
		.option_string = t_option_string,
		.option_list = t_option_list,
		.interval = t_interval,
		.now = t_now,
		.log = t_log,
		.note = t_note,
		.spawn_capture = watch_add_program,
		.spawn_stream = watch_add_stream,
		.watch_source = watch_add_source,
		.dump_source = t_dump_source,
		.look_again = t_look_again,
		.state_folder = t_state_folder,
	};
}
