/* Its life, and what a test asks; trees of files */
#include "fake_host_own.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- its life ----------------------------------------------------------------------------------------------------- */

struct fake_host *fake_host_new(const struct kith_plugin *plugin, const char *root)
{
	struct fake_host *f = must(calloc(1, sizeof(*f)));

	if (plugin->size != sizeof(*plugin) || (plugin->n_options && plugin->option_size != sizeof(struct kith_option)))
		die("%s: the descriptor's sizes are wrong", plugin->name);
	if ((plugin->provides & KITH_PROVIDES_RESYNC) && !plugin->resync)
		die("%s: provides resync without one", plugin->name);
	f->host = (struct kith_host){ .size = sizeof(f->host), .abi_major = KITH_ABI_MAJOR, .abi_minor = KITH_ABI_MINOR, .self = f };
	fake_table_calls(&f->host);
	fake_table_watches(&f->host);
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
	for (uint32_t k = 0; k < f->n_families; k++)
		fake_family_free(f->families[k].own);
	f->n_families = 0;
	for (uint32_t k = 0; k < f->plugin->n_families; k++)
		fake_family_append(f, &f->plugin->families[k]);
	r = f->plugin->init(&f->host, &f->state);
	if (r < 0) {
		fake_watches_sweep(f, true);
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
	fake_watches_sweep(f, true);
	fake_filter_free(f);
	while ((w = f->works)) {
		f->works = w->next;
		free(w);
	}
	for (uint32_t k = 0; k < f->n_instances; k++)
		f->instances[k]->ended = true;
	for (uint32_t k = 0; k < f->n_families; k++)
		f->families[k].n_instances = 0;
	f->host.note(&f->host, NULL);
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
	for (uint32_t k = 0; k < f->n_families; k++)
		fake_family_free(f->families[k].own);
	free(f->instances);
	free(f->families);
	free(f->last_log);
	free(f->note);
	free(f->text);
	free(f->root);
	free(f->state_dir);
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
	i = fake_instance_by_id(f, p->id, &metric);
	family = f->families[i->family].family;
	snprintf(text, sizeof(text), "%s%s%s:%s", family->name, *i->name ? ":" : "", i->name, family->metrics[metric].name);
	if (ret_value)
		*ret_value = p->value;
	return text;
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
