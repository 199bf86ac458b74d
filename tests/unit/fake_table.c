/* What the plugin calls: families, series, records, files, options, words */
#include "fake_host_own.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

/* ---- families, series, samples ------------------------------------------------------------------------------------ */

void fake_family_append(struct fake_host *f, const struct kith_family *family)
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

static const char *copied(const char *text)
{
	return text ? must(strdup(text)) : NULL;
}

/* With all its texts, as kithd does: the plugin may forget its own. Freed with the host. */
static struct kith_family *family_copy(const struct kith_family *family)
{
	struct kith_family *c = must(malloc(sizeof(*c)));
	struct kith_metric *m = must(calloc(family->n_metrics, sizeof(*m)));

	*c = *family;
	c->name = copied(family->name);
	c->help = copied(family->help);
	c->instance = copied(family->instance);
	for (uint32_t i = 0; i < family->n_metrics; i++) {
		m[i] = family->metrics[i]; /* states are the plugin's own */
		m[i].name = copied(m[i].name);
		m[i].unit = copied(m[i].unit);
		m[i].help = copied(m[i].help);
	}
	c->metrics = m;
	return c;
}

void fake_family_free(struct kith_family *family)
{
	for (uint32_t i = 0; family && i < family->n_metrics; i++) {
		free((void *)(uintptr_t)family->metrics[i].name);
		free((void *)(uintptr_t)family->metrics[i].unit);
		free((void *)(uintptr_t)family->metrics[i].help);
	}
	if (!family)
		return;
	free((void *)(uintptr_t)family->metrics);
	free((void *)(uintptr_t)family->name);
	free((void *)(uintptr_t)family->help);
	free((void *)(uintptr_t)family->instance);
	free(family);
}

static int do_declare(const struct kith_host *h, const struct kith_family *family, uint32_t *ret_number)
{
	struct fake_host *f = fake(h);

	for (uint32_t i = 0; i < f->n_families; i++)
		if (!strcmp(f->families[i].family->name, family->name))
			return -EEXIST;
	fake_family_append(f, family_copy(family));
	f->families[f->n_families - 1].own = (struct kith_family *)(uintptr_t)f->families[f->n_families - 1].family;
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

struct fake_instance *fake_instance_by_id(const struct fake_host *f, kith_id id, uint32_t *ret_metric)
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
	struct fake_instance *i = fake_instance_by_id(f, id, &metric);

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
	struct fake_instance *i = fake_instance_by_id(f, id, &metric);
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

static void do_look_again(const struct kith_host *h, int64_t ns)
{
	fake(h)->look_again = ns;
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

static const char *do_state_folder(const struct kith_host *h)
{
	errno = ENOENT;
	return fake(h)->state_dir;
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

/* ---- the table ---------------------------------------------------------------------------------------------------- */

void fake_table_calls(struct kith_host *h)
{
	h->declare = do_declare;
	h->series = do_series;
	h->end = do_end;
	h->put = do_put;
	h->put_at = do_put_at;
	h->put_all = do_put_all;
	h->record = do_record;
	h->open = do_open;
	h->root = do_root;
	h->read = do_read;
	h->option_bool = do_option_bool;
	h->option_number = do_option_number;
	h->option_string = do_option_string;
	h->option_list = do_option_list;
	h->interval = do_interval;
	h->now = do_now;
	h->look_again = do_look_again;
	h->state_folder = do_state_folder;
	h->log = do_log;
	h->note = do_note;
}
