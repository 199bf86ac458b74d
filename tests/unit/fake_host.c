#include "fake_host.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum watch_kind {
	WATCH_FD,
	WATCH_PRI,
	WATCH_TIMER,
	WATCH_SAMPLE,
	WATCH_NETLINK,
	WATCH_PROCESS,
	WATCH_FILE,
	WATCH_WANTED,
};

struct fake_watch {
	struct fake_watch *next;
	enum watch_kind kind;
	bool dead;
	int fd; /* or protocol */
	uint32_t events; /* or group, or family */
	int64_t due, every;
	char *path;
	union {
		kith_fn call;
		kith_fd_fn fd;
		kith_netlink_fn netlink;
		kith_process_fn process;
		kith_file_fn file;
		kith_wanted_fn wanted;
	} fn;
	void *user;
};

struct fake_work {
	struct fake_work *next;
	kith_work_fn fn; /* NULL: spawn */
	kith_done_fn done;
	void *user;
};

struct fake_answer {
	struct fake_answer *next;
	int protocol;
	uint16_t type;
	size_t length;
	void *message;
};

struct fake_want {
	struct fake_want *next;
	uint32_t family, count;
	char *instance;
};

struct fake_option {
	struct fake_option *next;
	const struct kith_option *option;
	char *text;        /* NULL: unset */
	char *parts;       /* the list's strings */
	const char **list;
	size_t n_list;
};

#define die(...) \
	do { \
		fprintf(stderr, "fake_host: " __VA_ARGS__); \
		fputc('\n', stderr); \
		abort(); \
	} while (0)

static void *must(void *p)
{
	if (!p)
		die("out of memory");
	return p;
}

static struct fake_host *fake(const struct kith_host *h)
{
	return h->self;
}

/* ---- families, series, samples ------------------------------------------------------------------------------------ */

static void family_append(struct fake_host *f, const struct kith_family *family)
{
	if (family->size != sizeof(*family) || family->metric_size != sizeof(struct kith_metric))
		die("family %s: its sizes are wrong", family->name);
	if (family->n_metrics == 0 || family->n_metrics > KITH_METRICS_MAX)
		die("family %s: %u metrics", family->name, family->n_metrics);
	for (uint32_t i = 0; i < family->n_metrics; i++) {
		const struct kith_metric *m = &family->metrics[i];

		if (!m->name || !m->help || (m->kind == KITH_STATE) != (m->states != NULL))
			die("family %s: metric %u is badly declared", family->name, i);
	}
	f->families = must(realloc(f->families, (f->n_families + 1) * sizeof(*f->families)));
	f->families[f->n_families++] = (struct fake_family){ .family = family };
}

static int do_declare(const struct kith_host *h, const struct kith_family *family, uint32_t *ret_number)
{
	struct fake_host *f = fake(h);

	for (uint32_t i = 0; i < f->n_families; i++)
		if (!strcmp(f->families[i].family->name, family->name))
			return -EEXIST;
	family_append(f, family);
	if (ret_number)
		*ret_number = f->n_families - 1;
	return 0;
}

static int do_series(const struct kith_host *h, uint32_t family, const char *instance, kith_id *ret_id)
{
	struct fake_host *f = fake(h);
	struct fake_instance *i;

	f->n_series_calls++;
	if (family >= f->n_families)
		die("series: no family %u", family);
	if (!instance)
		instance = "";
	if ((f->families[family].family->instance == NULL) != (*instance == '\0') || strlen(instance) > 255)
		return -EINVAL;
	for (uint32_t k = f->n_instances; k-- > 0;) {
		i = f->instances[k];
		if (!i->ended && i->family == family && !strcmp(i->name, instance)) {
			*ret_id = (k + 1) * FAKE_INSTANCE_METRICS;
			return 0;
		}
	}
	if (f->families[family].max_instances && f->families[family].n_instances >= f->families[family].max_instances)
		return -ENOSPC;
	if (f->n_instances == f->size_instances) {
		f->size_instances = f->size_instances ? f->size_instances * 2 : 16;
		f->instances = must(realloc(f->instances, f->size_instances * sizeof(*f->instances)));
	}
	i = must(calloc(1, sizeof(*i)));
	i->name = must(strdup(instance));
	i->family = family;
	f->instances[f->n_instances++] = i;
	f->families[family].n_instances++;
	*ret_id = f->n_instances * FAKE_INSTANCE_METRICS;
	return 0;
}

static struct fake_instance *instance_by_id(const struct fake_host *f, kith_id id, uint32_t *ret_metric)
{
	uint32_t slot = id / FAKE_INSTANCE_METRICS;
	struct fake_instance *i;

	if (slot == 0 || slot > f->n_instances)
		die("id %u was never given out", id);
	i = f->instances[slot - 1];
	*ret_metric = id % FAKE_INSTANCE_METRICS;
	if (*ret_metric >= f->families[i->family].family->n_metrics)
		die("id %u: %s has no metric %u", id, f->families[i->family].family->name, *ret_metric);
	return i;
}

static int do_end(const struct kith_host *h, kith_id id)
{
	struct fake_host *f = fake(h);
	uint32_t metric;
	struct fake_instance *i = instance_by_id(f, id, &metric);

	if (i->ended)
		return -ESTALE;
	i->ended = true;
	f->families[i->family].n_instances--;
	f->n_ends++;
	return 0;
}

static int do_put_at(const struct kith_host *h, kith_id id, double value, int64_t time)
{
	struct fake_host *f = fake(h);
	uint32_t metric, n_states = 0;
	struct fake_instance *i = instance_by_id(f, id, &metric);
	const struct kith_metric *m = &f->families[i->family].family->metrics[metric];

	if (i->ended)
		return -ESTALE;
	if (!isfinite(value))
		return -EDOM;
	if (m->kind == KITH_STATE) {
		while (m->states[n_states])
			n_states++;
		if (value < 0 || value >= n_states || value != (double)(uint32_t)value)
			return -EDOM;
	}
	if (i->puts[metric] && time < i->times[metric])
		return -EINVAL;
	i->values[metric] = value;
	i->times[metric] = time;
	i->puts[metric]++;
	f->trace[f->n_puts++ % FAKE_TRACE_MAX] = (struct fake_put){ id, value };
	return 0;
}

static int do_put(const struct kith_host *h, kith_id id, double value)
{
	return do_put_at(h, id, value, fake(h)->now);
}

static int do_put_all(const struct kith_host *h, kith_id id, const double *values, uint32_t n)
{
	for (uint32_t k = 0; k < n; k++) {
		int r = isnan(values[k]) ? 0 : do_put(h, id + k, values[k]);

		if (r < 0)
			return r;
	}
	return 0;
}

static int do_record(const struct kith_host *h, const struct kith_record *r)
{
	struct fake_host *f = fake(h);
	char **slot = &f->records[f->n_records++ % FAKE_RECORDS_MAX];
	char text[2048];
	int n;

	if (r->size != sizeof(*r) || r->n_fields > 32 || !r->message)
		die("a bad record");
	n = snprintf(text, sizeof(text), "%u %s %s", r->priority, r->subject ? r->subject : f->plugin->name, r->message);
	for (uint32_t k = 0; k < r->n_fields && n > 0 && (size_t)n < sizeof(text); k++)
		n += snprintf(text + n, sizeof(text) - (size_t)n, " %s=%s", r->fields[k].key, r->fields[k].value);
	free(*slot);
	*slot = must(strdup(text));
	return 0;
}

/* ---- watches ------------------------------------------------------------------------------------------------------ */

static struct fake_watch *watch_new(struct fake_host *f, enum watch_kind kind, void *user, struct kith_watch **ret_watch)
{
	struct fake_watch *w = must(calloc(1, sizeof(*w))), **end = &f->watches;

	w->kind = kind;
	w->user = user;
	while (*end)
		end = &(*end)->next;
	*end = w;
	if (ret_watch)
		*ret_watch = (struct kith_watch *)w;
	return w;
}

static void watches_sweep(struct fake_host *f, bool all)
{
	struct fake_watch **at = &f->watches, *w;

	while ((w = *at)) {
		if (!w->dead && !all) {
			at = &w->next;
			continue;
		}
		*at = w->next;
		free(w->path);
		free(w);
	}
}

static int do_watch_fd(const struct kith_host *h, int fd, uint32_t events, kith_fd_fn fn, void *user, struct kith_watch **ret)
{
	struct fake_watch *w = watch_new(fake(h), WATCH_FD, user, ret);

	w->fd = fd;
	w->events = events;
	w->fn.fd = fn;
	return 0;
}

static int do_watch_pri(const struct kith_host *h, int fd, kith_fd_fn fn, void *user, struct kith_watch **ret)
{
	struct fake_watch *w = watch_new(fake(h), WATCH_PRI, user, ret);

	w->fd = fd;
	w->fn.fd = fn;
	return 0;
}

static int do_watch_timer(const struct kith_host *h, int64_t after, int64_t every, int64_t slack, kith_fn fn, void *user,
                          struct kith_watch **ret)
{
	struct fake_watch *w;

	if (after < 0 || every < 0 || slack < 0)
		die("watch_timer: a negative time");
	w = watch_new(fake(h), WATCH_TIMER, user, ret);
	w->due = fake(h)->now + after;
	w->every = every;
	w->fn.call = fn;
	return 0;
}

static int do_sample(const struct kith_host *h, kith_fn fn, void *user, struct kith_watch **ret)
{
	watch_new(fake(h), WATCH_SAMPLE, user, ret)->fn.call = fn;
	return 0;
}

static int do_watch_netlink(const struct kith_host *h, int protocol, uint32_t group, kith_netlink_fn fn, void *user,
                            struct kith_watch **ret)
{
	struct fake_watch *w;

	if (fake(h)->fail_netlink)
		return fake(h)->fail_netlink;
	w = watch_new(fake(h), WATCH_NETLINK, user, ret);
	w->fd = protocol;
	w->events = group;
	w->fn.netlink = fn;
	return 0;
}

static void filter_free(struct fake_host *f)
{
	free((void *)(uintptr_t)f->filter.pids);
	for (uint32_t k = 0; k < f->filter.n_names; k++)
		free((void *)(uintptr_t)f->filter.names[k]);
	free((void *)(uintptr_t)f->filter.names);
	f->filter = (struct kith_process_filter){ 0 };
}

static void filter_copy(struct fake_host *f, const struct kith_process_filter *filter)
{
	int32_t *pids = must(calloc(filter->n_pids + 1, sizeof(*pids)));
	char **names = must(calloc(filter->n_names + 1, sizeof(*names)));

	if (filter->size != sizeof(*filter))
		die("a filter without its size");
	if (filter->n_pids)
		memcpy(pids, filter->pids, filter->n_pids * sizeof(*pids));
	for (uint32_t k = 0; k < filter->n_names; k++)
		names[k] = must(strdup(filter->names[k]));
	filter_free(f);
	f->filter = *filter;
	f->filter.pids = pids;
	f->filter.names = (const char *const *)names;
	f->n_filters++;
}

static int do_watch_process(const struct kith_host *h, const struct kith_process_filter *filter, kith_process_fn fn,
                            void *user, struct kith_watch **ret)
{
	if (fake(h)->fail_process)
		return fake(h)->fail_process;
	filter_copy(fake(h), filter);
	watch_new(fake(h), WATCH_PROCESS, user, ret)->fn.process = fn;
	return 0;
}

static int do_set_process_filter(const struct kith_host *h, struct kith_watch *watch, const struct kith_process_filter *filter)
{
	if (!watch)
		die("set_process_filter without a watch");
	filter_copy(fake(h), filter);
	return 0;
}

static int do_watch_file(const struct kith_host *h, const char *path, uint32_t events, kith_file_fn fn, void *user,
                         struct kith_watch **ret)
{
	struct fake_watch *w = watch_new(fake(h), WATCH_FILE, user, ret);

	w->path = must(strdup(path));
	w->events = events;
	w->fn.file = fn;
	return 0;
}

static int do_watch_wanted(const struct kith_host *h, uint32_t family, kith_wanted_fn fn, void *user, struct kith_watch **ret)
{
	struct fake_watch *w = watch_new(fake(h), WATCH_WANTED, user, ret);
	int r = 0;

	w->events = family;
	w->fn.wanted = fn;
	for (struct fake_want *n = fake(h)->wants; n && !r; n = n->next)
		if (n->family == family && n->count)
			r = fn(n->instance, 1, user);
	return r;
}

static void do_unwatch(const struct kith_host *h, struct kith_watch *watch)
{
	struct fake_watch *w = (struct fake_watch *)watch;

	if (!w)
		return;
	if (w->dead)
		die("unwatch: twice");
	w->dead = true;
	if (w->kind == WATCH_PROCESS)
		filter_free(fake(h));
}

static int do_netlink_dump(const struct kith_host *h, int protocol, uint16_t type, const void *body, size_t length,
                           kith_netlink_fn fn, void *user)
{
	(void)body;
	(void)length;
	if (fake(h)->fail_netlink)
		return fake(h)->fail_netlink;
	for (struct fake_answer *a = fake(h)->answers; a; a = a->next) {
		int r = a->protocol == protocol && a->type == type ? fn(a->message, a->length, user) : 0;

		if (r < 0)
			return r;
	}
	return 0;
}

static int do_work(const struct kith_host *h, kith_work_fn fn, kith_done_fn done, void *user)
{
	struct fake_work *w, **end = &fake(h)->works;

	if (fake(h)->fail_work)
		return fake(h)->fail_work;
	if (fn && fake_host_waiting_work(fake(h)) >= 2)
		return -EAGAIN;
	w = must(calloc(1, sizeof(*w)));
	*w = (struct fake_work){ NULL, fn, done, user };
	while (*end)
		end = &(*end)->next;
	*end = w;
	return 0;
}

static int do_spawn(const struct kith_host *h, const char *const argv[], int64_t timeout, kith_done_fn done, void *user)
{
	if (!argv[0] || timeout <= 0)
		return -EINVAL;
	return do_work(h, NULL, done, user);
}

/* ---- files, options, words ---------------------------------------------------------------------------------------- */

static int do_open(const struct kith_host *h, const char *path)
{
	char full[4096];
	int fd;

	if (*path != '/' || snprintf(full, sizeof(full), "%s%s", fake(h)->root, path) >= (int)sizeof(full))
		return -EINVAL;
	fd = open(full, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static const char *do_root(const struct kith_host *h)
{
	return fake(h)->root;
}

static int do_read(const struct kith_host *h, int fd, char **ret_text, size_t *ret_length)
{
	struct fake_host *f = fake(h);
	size_t length = 0;

	for (;;) {
		ssize_t n;

		if (f->text_size - length < 2) {
			if (f->text_size >= 4u << 20)
				return -EFBIG;
			f->text_size = f->text_size ? f->text_size * 2 : 4096;
			f->text = must(realloc(f->text, f->text_size));
		}
		n = pread(fd, f->text + length, f->text_size - length - 1, (off_t)length);
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		length += (size_t)n;
	}
	f->text[length] = '\0';
	*ret_text = f->text;
	if (ret_length)
		*ret_length = length;
	return 0;
}

static struct fake_option *option_find(const struct fake_host *f, const char *name, uint32_t type, uint32_t or_type,
                                       uint32_t or_last)
{
	for (struct fake_option *o = f->options; o; o = o->next) {
		if (strcmp(o->option->name, name))
			continue;
		if (o->option->type != type && o->option->type != or_type && o->option->type != or_last)
			die("option %s is read as another type than it was declared", name);
		return o;
	}
	die("option %s is not in the descriptor", name);
}

static int do_option_bool(const struct kith_host *h, const char *name)
{
	struct fake_option *o = option_find(fake(h), name, KITH_OPTION_BOOL, KITH_OPTION_BOOL, KITH_OPTION_BOOL);

	return o->text && !strcmp(o->text, "true");
}

static double do_option_number(const struct kith_host *h, const char *name)
{
	static const struct {
		const char *suffix;
		double factor;
	} units[] = { { "", 1 }, { "%", 1 }, { "ms", 1e-3 }, { "s", 1 }, { "m", 60 }, { "h", 3600 }, { "d", 86400 }, { "B", 1 },
		      { "kB", 1e3 }, { "MB", 1e6 }, { "GB", 1e9 }, { "KiB", 1024 }, { "MiB", 1048576 }, { "GiB", 1073741824 } };
	struct fake_option *o = option_find(fake(h), name, KITH_OPTION_NUMBER, KITH_OPTION_DURATION, KITH_OPTION_SIZE);
	char *end;
	double v;

	if (!o->text)
		return NAN;
	v = strtod(o->text, &end);
	for (size_t k = 0; k < sizeof(units) / sizeof(units[0]); k++)
		if (!strcmp(end, units[k].suffix))
			return v * units[k].factor;
	die("option %s: %s", name, o->text);
}

static const char *do_option_string(const struct kith_host *h, const char *name)
{
	return option_find(fake(h), name, KITH_OPTION_STRING, KITH_OPTION_STRING, KITH_OPTION_STRING)->text;
}

static size_t do_option_list(const struct kith_host *h, const char *name, const char *const **ret_list)
{
	struct fake_option *o = option_find(fake(h), name, KITH_OPTION_LIST, KITH_OPTION_LIST, KITH_OPTION_LIST);

	if (ret_list)
		*ret_list = o->list;
	return o->n_list;
}

static int64_t do_interval(const struct kith_host *h)
{
	return fake(h)->interval;
}

static int64_t do_now(const struct kith_host *h)
{
	return fake(h)->now;
}

__attribute__((format(printf, 3, 4))) static void do_log(const struct kith_host *h, int priority, const char *format, ...)
{
	struct fake_host *f = fake(h);
	char text[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (getenv("FAKE_HOST_VERBOSE"))
		fprintf(stderr, "<%d> %s: %s\n", priority, f->plugin->name, text);
	free(f->last_log);
	f->last_log = must(strdup(text));
	f->n_logs++;
}

static void do_note(const struct kith_host *h, const char *text)
{
	struct fake_host *f = fake(h);
	char *copy = text ? must(strdup(text)) : NULL;

	free(f->note);
	f->note = copy;
	f->n_notes++;
}

/* ---- its life ----------------------------------------------------------------------------------------------------- */

static const struct kith_host table = {
	.size = sizeof(struct kith_host),
	.abi_major = KITH_ABI_MAJOR,
	.abi_minor = KITH_ABI_MINOR,
	.declare = do_declare,
	.series = do_series,
	.end = do_end,
	.put = do_put,
	.put_at = do_put_at,
	.put_all = do_put_all,
	.record = do_record,
	.watch_fd = do_watch_fd,
	.watch_pri = do_watch_pri,
	.watch_timer = do_watch_timer,
	.sample = do_sample,
	.watch_netlink = do_watch_netlink,
	.watch_process = do_watch_process,
	.set_process_filter = do_set_process_filter,
	.watch_file = do_watch_file,
	.watch_wanted = do_watch_wanted,
	.unwatch = do_unwatch,
	.netlink_dump = do_netlink_dump,
	.work = do_work,
	.spawn = do_spawn,
	.open = do_open,
	.root = do_root,
	.read = do_read,
	.option_bool = do_option_bool,
	.option_number = do_option_number,
	.option_string = do_option_string,
	.option_list = do_option_list,
	.interval = do_interval,
	.now = do_now,
	.log = do_log,
	.note = do_note,
};

struct fake_host *fake_host_new(const struct kith_plugin *plugin, const char *root)
{
	struct fake_host *f = must(calloc(1, sizeof(*f)));

	if (plugin->size != sizeof(*plugin) || (plugin->n_options && plugin->option_size != sizeof(struct kith_option)))
		die("%s: the descriptor's sizes are wrong", plugin->name);
	if ((plugin->provides & KITH_PROVIDES_RESYNC) && !plugin->resync)
		die("%s: provides resync without one", plugin->name);
	f->host = table;
	f->host.self = f;
	f->plugin = plugin;
	f->root = must(strdup(root ? root : ""));
	f->now = INT64_C(1700000000) * 1000000000;
	f->interval = INT64_C(10) * 1000000000;
	for (uint32_t k = 0; k < plugin->n_options; k++) {
		struct fake_option *o = must(calloc(1, sizeof(*o)));

		o->option = &plugin->options[k];
		o->next = f->options;
		f->options = o;
		fake_host_option(f, o->option->name, o->option->fallback);
	}
	return f;
}

static void option_clear(struct fake_option *o)
{
	free(o->text);
	free(o->parts);
	free(o->list);
	o->text = o->parts = NULL;
	o->list = NULL;
	o->n_list = 0;
}

void fake_host_option(struct fake_host *f, const char *name, const char *text)
{
	struct fake_option *o = f->options;
	char *save = NULL;

	while (o && strcmp(o->option->name, name))
		o = o->next;
	if (!o)
		die("%s has no option %s", f->plugin->name, name);
	option_clear(o);
	if (!text)
		return;
	o->text = must(strdup(text));
	if (o->option->type != KITH_OPTION_LIST)
		return;
	o->parts = must(strdup(text));
	o->list = must(calloc(strlen(text) + 1, sizeof(*o->list)));
	for (char *part = strtok_r(o->parts, ", ", &save); part; part = strtok_r(NULL, ", ", &save))
		o->list[o->n_list++] = part;
}

int fake_host_start(struct fake_host *f)
{
	int r;

	if (f->started)
		die("started already");
	f->n_families = 0;
	for (uint32_t k = 0; k < f->plugin->n_families; k++)
		family_append(f, &f->plugin->families[k]);
	r = f->plugin->init(&f->host, &f->state);
	if (r < 0) {
		watches_sweep(f, true);
		return r;
	}
	f->started = true;
	return 0;
}

void fake_host_stop(struct fake_host *f)
{
	struct fake_work *w;

	if (f->started && f->plugin->fini)
		f->plugin->fini(f->state);
	f->started = false;
	f->state = NULL;
	watches_sweep(f, true);
	filter_free(f);
	while ((w = f->works)) {
		f->works = w->next;
		free(w);
	}
	for (uint32_t k = 0; k < f->n_instances; k++)
		f->instances[k]->ended = true;
	for (uint32_t k = 0; k < f->n_families; k++)
		f->families[k].n_instances = 0;
	do_note(&f->host, NULL);
}

int fake_host_reconfigure(struct fake_host *f)
{
	if (f->plugin->reconfigure)
		return f->plugin->reconfigure(f->state);
	fake_host_stop(f);
	return fake_host_start(f);
}

void fake_host_free(struct fake_host *f)
{
	struct fake_option *o;
	struct fake_want *w;

	if (!f)
		return;
	fake_host_stop(f);
	fake_host_no_answers(f);
	while ((o = f->options)) {
		f->options = o->next;
		option_clear(o);
		free(o);
	}
	while ((w = f->wants)) {
		f->wants = w->next;
		free(w->instance);
		free(w);
	}
	for (uint32_t k = 0; k < f->n_instances; k++) {
		free(f->instances[k]->name);
		free(f->instances[k]);
	}
	for (size_t k = 0; k < FAKE_RECORDS_MAX; k++)
		free(f->records[k]);
	free(f->instances);
	free(f->families);
	free(f->last_log);
	free(f->note);
	free(f->text);
	free(f->root);
	free(f);
}

/* ---- asking ------------------------------------------------------------------------------------------------------- */

static struct fake_instance *find(const struct fake_host *f, const char *name, uint32_t *ret_metric)
{
	const char *first = strchr(name, ':'), *last = strrchr(name, ':');

	if (!first)
		die("%s is no series' name", name);
	for (uint32_t k = f->n_instances; k-- > 0;) {
		struct fake_instance *i = f->instances[k];
		const struct kith_family *family = f->families[i->family].family;
		size_t length = first == last ? 0 : (size_t)(last - first - 1);

		if (i->ended || strlen(family->name) != (size_t)(first - name) || strncmp(family->name, name, (size_t)(first - name)))
			continue;
		if (strlen(i->name) != length || strncmp(i->name, first + 1, length))
			continue;
		for (*ret_metric = 0; *ret_metric < family->n_metrics; (*ret_metric)++)
			if (!strcmp(family->metrics[*ret_metric].name, last + 1))
				return i;
		die("%s: the family has no such metric", name);
	}
	return NULL;
}

double fake_host_value(const struct fake_host *f, const char *name)
{
	uint32_t metric;
	struct fake_instance *i = find(f, name, &metric);

	return i && i->puts[metric] ? i->values[metric] : NAN;
}

const char *fake_host_state(const struct fake_host *f, const char *name)
{
	uint32_t metric;
	struct fake_instance *i = find(f, name, &metric);

	if (!i || !i->puts[metric])
		return NULL;
	return f->families[i->family].family->metrics[metric].states[(size_t)i->values[metric]];
}

uint64_t fake_host_puts(const struct fake_host *f, const char *name)
{
	uint32_t metric;
	struct fake_instance *i = find(f, name, &metric);

	return i ? i->puts[metric] : 0;
}

bool fake_host_has(const struct fake_host *f, const char *family, const char *instance)
{
	for (uint32_t k = f->n_instances; k-- > 0;)
		if (!f->instances[k]->ended && !strcmp(f->families[f->instances[k]->family].family->name, family) &&
		    !strcmp(f->instances[k]->name, instance))
			return true;
	return false;
}

static struct fake_family *family_named(const struct fake_host *f, const char *family)
{
	for (uint32_t k = 0; k < f->n_families; k++)
		if (!strcmp(f->families[k].family->name, family))
			return &f->families[k];
	die("no family %s", family);
}

uint32_t fake_host_instances(const struct fake_host *f, const char *family)
{
	return family_named(f, family)->n_instances;
}

void fake_host_cap(struct fake_host *f, const char *family, uint32_t max)
{
	family_named(f, family)->max_instances = max;
}

const char *fake_host_record(const struct fake_host *f, const char *needle)
{
	for (uint64_t k = f->n_records; k-- > 0 && f->n_records - k <= FAKE_RECORDS_MAX;)
		if (strstr(f->records[k % FAKE_RECORDS_MAX], needle))
			return f->records[k % FAKE_RECORDS_MAX];
	return NULL;
}

const char *fake_host_trace(const struct fake_host *f, uint64_t k, double *ret_value)
{
	static char text[512];
	const struct fake_put *p = &f->trace[k % FAKE_TRACE_MAX];
	const struct kith_family *family;
	struct fake_instance *i;
	uint32_t metric;

	if (k >= f->n_puts || f->n_puts - k > FAKE_TRACE_MAX)
		die("put number %llu is not kept", (unsigned long long)k);
	i = instance_by_id(f, p->id, &metric);
	family = f->families[i->family].family;
	snprintf(text, sizeof(text), "%s%s%s:%s", family->name, *i->name ? ":" : "", i->name, family->metrics[metric].name);
	if (ret_value)
		*ret_value = p->value;
	return text;
}

/* ---- firing ------------------------------------------------------------------------------------------------------- */

struct fired {
	int result, calls;
};

static void fired(struct fired *r, int result)
{
	r->calls++;
	if (r->result == 0 && result < 0)
		r->result = result;
}

static int fired_all(struct fake_host *f, const struct fired *r)
{
	watches_sweep(f, false);
	return r->calls ? r->result : -ENOENT;
}

int fake_host_sample(struct fake_host *f)
{
	struct fired r = { 0 };

	f->now += f->interval;
	for (struct fake_watch *w = f->watches; w; w = w->next)
		if (!w->dead && w->kind == WATCH_SAMPLE)
			fired(&r, w->fn.call(w->user));
	return fired_all(f, &r);
}

int fake_host_advance(struct fake_host *f, int64_t ns)
{
	int64_t until = f->now + ns;
	struct fired r = { 0 };

	for (;;) {
		struct fake_watch *next = NULL;

		for (struct fake_watch *w = f->watches; w; w = w->next)
			if (!w->dead && w->kind == WATCH_TIMER && w->due <= until && (!next || w->due < next->due))
				next = w;
		if (!next)
			break;
		if (next->due > f->now)
			f->now = next->due;
		if (next->every)
			next->due += next->every;
		else
			next->due = INT64_MAX; /* it has expired; it stays registered until unwatch */
		fired(&r, next->fn.call(next->user));
	}
	f->now = until;
	return fired_all(f, &r);
}

int fake_host_netlink(struct fake_host *f, int protocol, uint32_t group, const void *message, size_t length)
{
	struct fired r = { 0 };

	for (struct fake_watch *w = f->watches; w; w = w->next)
		if (!w->dead && w->kind == WATCH_NETLINK && w->fd == protocol && w->events == group)
			fired(&r, w->fn.netlink(message, length, w->user));
	return fired_all(f, &r);
}

int fake_host_process(struct fake_host *f, uint32_t what, int32_t pid, int32_t parent, int32_t status, const char *name)
{
	struct kith_process_event e = { sizeof(e), what, pid, parent, status, name, f->now };
	struct fired r = { 0 };

	for (struct fake_watch *w = f->watches; w; w = w->next)
		if (!w->dead && w->kind == WATCH_PROCESS)
			fired(&r, w->fn.process(&e, w->user));
	return fired_all(f, &r);
}

int fake_host_file(struct fake_host *f, const char *path, const char *name, uint32_t what)
{
	struct kith_file_event e = { sizeof(e), what, path, name ? name : "" };
	struct fired r = { 0 };

	for (struct fake_watch *w = f->watches; w; w = w->next)
		if (!w->dead && w->kind == WATCH_FILE && (w->events & what) && !strcmp(w->path, path))
			fired(&r, w->fn.file(&e, w->user));
	return fired_all(f, &r);
}

static int fire_fd(struct fake_host *f, enum watch_kind kind, int fd, uint32_t events)
{
	struct fired r = { 0 };

	for (struct fake_watch *w = f->watches; w; w = w->next)
		if (!w->dead && w->kind == kind && w->fd == fd)
			fired(&r, w->fn.fd(fd, events, w->user));
	return fired_all(f, &r);
}

int fake_host_fd(struct fake_host *f, int fd, uint32_t events)
{
	return fire_fd(f, WATCH_FD, fd, events);
}

int fake_host_pri(struct fake_host *f, int fd)
{
	return fire_fd(f, WATCH_PRI, fd, 0);
}

int fake_host_resync(struct fake_host *f)
{
	int r = f->plugin->resync ? f->plugin->resync(f->state) : -ENOENT;

	watches_sweep(f, false);
	return r;
}

void fake_host_want(struct fake_host *f, uint32_t family, const char *instance, bool wanted)
{
	struct fake_want *n = f->wants;

	while (n && (n->family != family || strcmp(n->instance, instance)))
		n = n->next;
	if (!n) {
		n = must(calloc(1, sizeof(*n)));
		n->family = family;
		n->instance = must(strdup(instance));
		n->next = f->wants;
		f->wants = n;
	}
	if (!wanted && n->count == 0)
		die("want %s: taken back twice", instance);
	n->count = wanted ? n->count + 1 : n->count - 1;
	if (n->count != (wanted ? 1u : 0u))
		return;
	for (struct fake_watch *w = f->watches; w; w = w->next)
		if (!w->dead && w->kind == WATCH_WANTED && w->events == family)
			w->fn.wanted(instance, wanted, w->user);
	watches_sweep(f, false);
}

unsigned fake_host_waiting_work(const struct fake_host *f)
{
	unsigned n = 0;

	for (struct fake_work *w = f->works; w; w = w->next)
		n += w->fn != NULL;
	return n;
}

unsigned fake_host_run_work(struct fake_host *f)
{
	struct fake_work *w = f->works, *next;
	unsigned n = 0;

	f->works = NULL;
	for (; w; w = next, n++) {
		int result = w->fn ? w->fn(w->user) : 0;

		next = w->next;
		if (w->done)
			w->done(result, w->user);
		free(w);
	}
	watches_sweep(f, false);
	return n;
}

void fake_host_answer(struct fake_host *f, int protocol, uint16_t type, const void *message, size_t length)
{
	struct fake_answer *a = must(calloc(1, sizeof(*a))), **end = &f->answers;

	a->protocol = protocol;
	a->type = type;
	a->length = length;
	a->message = must(malloc(length ? length : 1));
	memcpy(a->message, message, length);
	while (*end)
		end = &(*end)->next;
	*end = a;
}

void fake_host_no_answers(struct fake_host *f)
{
	struct fake_answer *a;

	while ((a = f->answers)) {
		f->answers = a->next;
		free(a->message);
		free(a);
	}
}

/* ---- trees -------------------------------------------------------------------------------------------------------- */

int fake_write(const char *root, const char *path, const char *text)
{
	char full[4096];
	size_t length = strlen(text);
	int fd, r = 0;

	if (snprintf(full, sizeof(full), "%s%s", root, path) >= (int)sizeof(full))
		return -ENAMETOOLONG;
	for (char *slash = strchr(full + strlen(root) + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(full, 0755) < 0 && errno != EEXIST)
			return -errno;
		*slash = '/';
	}
	fd = open(full, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	if (write(fd, text, length) != (ssize_t)length)
		r = -EIO;
	close(fd);
	return r;
}

char *fake_tree_new(char path[64])
{
	const char *tmp = getenv("TMPDIR");

	if (!tmp || !*tmp || strlen(tmp) > 40)
		tmp = "/tmp";
	snprintf(path, 64, "%s/kith-tree-XXXXXX", tmp);
	if (!mkdtemp(path))
		die("mkdtemp %s: %s", path, strerror(errno));
	return path;
}

static int tree_remove_one(const char *path, const struct stat *st, int type, struct FTW *walk)
{
	(void)st;
	(void)type;
	(void)walk;
	return remove(path);
}

void fake_tree_free(const char *path)
{
	nftw(path, tree_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
