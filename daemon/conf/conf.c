/* kith.conf and conf.d: which files, their order, how they merge, and what the top level may say */
#include "conf/conf.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "conf/parse.h"

enum { KEY_INTERVAL, KEY_STEADY_INTERVAL, KEY_LOG_LEVEL, KEY_TAGS, KEY_HOST, KEY_ROOT, KEY_SOCKET_GROUP, KEY_CPU_BUDGET,
       KEY_ATTENTION_BUDGET, KEY_MAX_INSTANCES, KEY_MAX_ACTIONS, KEY_MAX_ACTION_STARTS, KEY_HISTORY, N_KEYS };

/* kith.conf.5 and kith.conf.example say the same; a test compares them */
static const struct kith_option keys[N_KEYS] = {
	[KEY_INTERVAL] = { "interval", "10s", "time between samples", 0.1, 3600, KITH_OPTION_DURATION },
	[KEY_STEADY_INTERVAL] = { "steady_interval", "10s", "the same of steady levels nobody watches", 0.1, 3600, KITH_OPTION_DURATION },
	[KEY_LOG_LEVEL] = { "log_level", "info", "err, warning, notice, info or debug", 0, 0, KITH_OPTION_STRING },
	[KEY_TAGS] = { "tags", "", "what promises' `only on tag` asks for", 0, 0, KITH_OPTION_LIST },
	[KEY_HOST] = { "host", NULL, "this host's name; the kernel's without", 0, 0, KITH_OPTION_STRING },
	[KEY_ROOT] = { "root", "/", "where /proc and /sys of the host are", 0, 0, KITH_OPTION_STRING },
	[KEY_SOCKET_GROUP] = { "socket_group", NULL, "group of the control socket", 0, 0, KITH_OPTION_STRING },
	[KEY_CPU_BUDGET] = { "cpu_budget", "5%", "CPU a plugin may use, % of one core", 0.01, 100, KITH_OPTION_NUMBER },
	[KEY_ATTENTION_BUDGET] = { "attention_budget", "0.5%", "CPU for sampling faster near a promise's threshold, % of one core", 0,
	                           100, KITH_OPTION_NUMBER },
	[KEY_MAX_INSTANCES] = { "max_instances", "16384", "instances a family may have", 1, 1 << 20, KITH_OPTION_NUMBER },
	[KEY_MAX_ACTIONS] = { "max_actions", "8", "actions running at a time", 1, 256, KITH_OPTION_NUMBER },
	[KEY_MAX_ACTION_STARTS] = { "max_action_starts", "60", "actions started in a minute", 1, 10000, KITH_OPTION_NUMBER },
	[KEY_HISTORY] = { "history", "true", "whether the history of promises is kept", 0, 0, KITH_OPTION_BOOL },
};
static const char *const levels[] = { "err", "warning", "notice", "info", "debug" }; /* from CONF_LOG_ERR */
#define N_LEVELS (sizeof(levels) / sizeof(levels[0]))
#define TAGS_MAX 64
#define TAG_LENGTH_MAX 63
#define HOST_LENGTH_MAX 253

/* What all files together said of the top level */
struct top {
	struct conf_option values[N_KEYS];
	const struct conf_node *nodes[N_KEYS]; /* NULL: the default */
};

static bool whole(size_t key)
{
	return key == KEY_MAX_INSTANCES || key == KEY_MAX_ACTIONS || key == KEY_MAX_ACTION_STARTS;
}

/* ---- the top level ---------------------------------------------------------------------------------------------- */

static void unknown_top(const struct conf_node *n, struct faults *faults)
{
	const char *names[N_KEYS + 5] = { 0 };
	char hint[CONF_SHOW_MAX + 48], shown[CONF_SHOW_MAX];

	for (size_t i = 0; i < N_KEYS; i++)
		names[i] = keys[i].name;
	names[N_KEYS] = "plugin";
	names[N_KEYS + 1] = "exporter";
	names[N_KEYS + 2] = "notify";
	names[N_KEYS + 3] = "journal";
	names[N_KEYS + 4] = "records";
	if (n->type != CONF_OBJECT || suggest(n->key, strlen(n->key), names + N_KEYS, 5)) {
		conf_unknown_key(n, "", names, N_KEYS + 5, faults);
		return;
	}
	conf_show(n->key, strlen(n->key), shown);
	snprintf(hint, sizeof(hint), "did you mean \"plugin %s { ... }\"?", shown);
	conf_fault(faults, false, n->file, n->key_at, n->key_width, hint, "unknown section \"%s\"", shown);
}

/* What is no key of the top level that stands by itself */
static int read_section(struct conf *c, const struct conf_node *n, struct faults *faults)
{
	if (!strcmp(n->key, "plugin") || !strcmp(n->key, "exporter"))
		return conf_add_sections(c, n, *n->key == 'e', faults);
	if (!strcmp(n->key, "notify"))
		return conf_add_notifies(c, n, faults);
	if (!strcmp(n->key, "journal"))
		return conf_add_journal(c, n, faults);
	if (!strcmp(n->key, "records"))
		return conf_add_records(c, n, faults);
	for (size_t i = 0; i < N_KEYS; i++)
		if (!strcmp(n->key, keys[i].name))
			return 0;
	unknown_top(n, faults);
	return -EINVAL;
}

/* One file over what the files before it said */
static int read_tree(struct conf *c, const struct conf_node *tree, struct top *top, struct faults *faults)
{
	int r, error = 0;

	for (size_t i = 0; i < N_KEYS; i++) {
		r = conf_read(tree, &keys[i], whole(i), &top->values[i], &top->nodes[i], faults);
		if (r == -ENOMEM)
			return r;
		if (r < 0)
			error = r;
	}
	for (const struct conf_node *n = tree->children; n; n = n->next) {
		r = read_section(c, n, faults);
		if (r == -ENOMEM)
			return r;
		if (r < 0)
			error = r;
	}
	return error;
}

static int bad_value(const struct conf_node *n, struct faults *faults, const char *hint, const char *text)
{
	conf_fault(faults, false, n->file, n->at, n->width, hint, "%s %s", n->key, text);
	return -EINVAL;
}

static bool printable(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s <= ' ' || *s == 0x7f)
			return false;
	return true;
}

static int take_level(struct conf *c, const struct conf_option *v, const struct conf_node *n, struct faults *faults)
{
	char hint[64] = "one of: err, warning, notice, info, debug", shown[CONF_SHOW_MAX];
	const char *near;

	for (size_t i = 0; i < N_LEVELS; i++) {
		if (strcmp(v->string, levels[i]) == 0) {
			c->log_level = CONF_LOG_ERR + (unsigned)i;
			return 0;
		}
	}
	near = suggest(v->string, strlen(v->string), levels, N_LEVELS);
	if (near)
		snprintf(hint, sizeof(hint), "did you mean \"%s\"?", near);
	conf_fault(faults, false, n->file, n->at, n->width, hint, "%s cannot be \"%s\"", n->key,
	           conf_show(v->string, strlen(v->string), shown));
	return -EINVAL;
}

static int take_tags(struct conf *c, struct conf_option *v, const struct conf_node *n, struct faults *faults)
{
	if (v->n_list > TAGS_MAX)
		return bad_value(n, faults, NULL, "holds more than 64 tags");
	for (size_t i = 0; i < v->n_list; i++)
		if (!*v->list[i] || strlen(v->list[i]) > TAG_LENGTH_MAX || !printable(v->list[i]))
			return bad_value(n, faults, "a tag is 1 to 63 bytes without blanks: \"web\"", "holds what cannot be a tag");
	c->tags = v->list;
	c->n_tags = v->n_list;
	v->list = NULL;
	v->n_list = 0;
	return 0;
}

static int take_host(struct conf *c, struct conf_option *v, const struct conf_node *n, struct faults *faults)
{
	size_t length = v->string ? strlen(v->string) : 0;

	if (!v->string)
		return 0;
	if (length == 0 || length > HOST_LENGTH_MAX ||
	    strspn(v->string, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_") != length)
		return bad_value(n, faults, "letters, digits, '.', '-' and '_', at most 253", "is no host name");
	c->host = v->string;
	v->string = NULL;
	return 0;
}

static int take_root(struct conf *c, struct conf_option *v, const struct conf_node *n, struct faults *faults)
{
	size_t length = strlen(v->string);

	if (*v->string != '/')
		return bad_value(n, faults, "write a path that starts with '/'", "is no absolute path");
	if (!printable(v->string) && strpbrk(v->string, "\n\r\t"))
		return bad_value(n, faults, NULL, "holds a control character");
	while (length > 0 && v->string[length - 1] == '/')
		v->string[--length] = 0;
	c->root = v->string;
	v->string = NULL;
	return 0;
}

static int take_group(struct conf *c, struct conf_option *v, const struct conf_node *n, struct faults *faults)
{
	if (!v->string)
		return 0;
	if (!*v->string || strlen(v->string) > 255 || !printable(v->string))
		return bad_value(n, faults, "a group of /etc/group, such as \"adm\"", "is no name of a group");
	c->socket_group = v->string;
	v->string = NULL;
	return 0;
}

static int take_top(struct conf *c, struct top *top, struct faults *faults)
{
	int error = 0;

	for (size_t i = 0; i < N_KEYS; i++) {
		int r = top->values[i].set ? 0 : conf_read_fallback("kithd", &keys[i], &top->values[i], faults);

		if (r < 0)
			return r;
	}
	c->interval = llround(top->values[KEY_INTERVAL].number * (double)NS_PER_S);
	c->steady_interval = llround(top->values[KEY_STEADY_INTERVAL].number * (double)NS_PER_S);
	c->attention_budget = top->values[KEY_ATTENTION_BUDGET].number;
	c->cpu_budget = top->values[KEY_CPU_BUDGET].number;
	c->max_instances = (uint32_t)top->values[KEY_MAX_INSTANCES].number;
	c->max_action_starts = (uint32_t)top->values[KEY_MAX_ACTION_STARTS].number;
	c->max_actions = (uint32_t)top->values[KEY_MAX_ACTIONS].number;
	c->history = top->values[KEY_HISTORY].number != 0;
	if (take_level(c, &top->values[KEY_LOG_LEVEL], top->nodes[KEY_LOG_LEVEL], faults) < 0)
		error = -EINVAL;
	if (take_tags(c, &top->values[KEY_TAGS], top->nodes[KEY_TAGS], faults) < 0)
		error = -EINVAL;
	if (take_host(c, &top->values[KEY_HOST], top->nodes[KEY_HOST], faults) < 0)
		error = -EINVAL;
	if (take_root(c, &top->values[KEY_ROOT], top->nodes[KEY_ROOT], faults) < 0)
		error = -EINVAL;
	if (take_group(c, &top->values[KEY_SOCKET_GROUP], top->nodes[KEY_SOCKET_GROUP], faults) < 0)
		error = -EINVAL;
	return error;
}

/* ---- files ------------------------------------------------------------------------------------------------------ */

static void no_file(struct faults *faults, const char *path, int error)
{
	if (error == -EFBIG)
		fault_add(faults, false, path, NULL, 0, 0, 1, "split it into files in conf.d", "the file is larger than 1 MiB");
	else
		fault_add(faults, false, path, NULL, 0, 0, 1, NULL, "cannot be read: %s", strerror(-error));
}

static int conf_d_filter(const struct dirent *entry)
{
	const char *dot = strrchr(entry->d_name, '.');

	return entry->d_name[0] != '.' && dot && strcmp(dot, ".conf") == 0;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name); /* by bytes: the same in every locale */
}

/* Paths in reading order into c->files; the array is not moved after this, nodes point into it */
static int list_files(struct conf *c, const char *path, struct faults *faults)
{
	const char *slash = strrchr(path, '/');
	struct dirent **entries = NULL;
	struct stat st;
	char *dir = NULL;
	int n, r = -ENOMEM;

	if (asprintf(&dir, "%.*sconf.d", slash ? (int)(slash + 1 - path) : 0, path) < 0)
		return -ENOMEM;
	n = scandir(dir, &entries, conf_d_filter, by_name);
	if (n < 0 && errno != ENOENT && errno != ENOTDIR)
		no_file(faults, dir, -errno);
	if (n > CONF_FILES_MAX)
		fault_add(faults, false, dir, NULL, 0, 0, 1, "join some of them", "more than %d files", CONF_FILES_MAX);
	c->files = calloc((size_t)(n > 0 ? n : 0) + 1, sizeof(*c->files));
	if (!c->files)
		goto out;
	c->files[c->n_files].path = strdup(path);
	if (!c->files[c->n_files++].path)
		goto out;
	for (int i = 0; i < n && i < CONF_FILES_MAX; i++) {
		char *file;

		if (asprintf(&file, "%s/%s", dir, entries[i]->d_name) < 0)
			goto out;
		if (stat(file, &st) == 0 && !S_ISREG(st.st_mode))
			free(file);
		else
			c->files[c->n_files++].path = file;
	}
	r = 0;
out:
	for (int i = 0; i < n; i++)
		free(entries[i]);
	free(entries);
	free(dir);
	return r;
}

/* Reads and parses each file, then applies it. Goes on after faults, to find those of all files. */
static int read_files(struct conf *c, bool required, struct top *top, struct faults *faults)
{
	int r, error = 0;

	c->trees = calloc(c->n_files, sizeof(struct conf_node *));
	if (!c->trees)
		return -ENOMEM;
	for (size_t i = 0; i < c->n_files; i++) {
		struct conf_file *f = &c->files[i];

		r = file_read_all(f->path, CONF_FILE_MAX, &f->text, &f->length);
		/* A file of conf.d that went away since it was listed is as good as never there. */
		if (r == -ENOENT && (i > 0 || !required))
			continue;
		if (r < 0) {
			no_file(faults, f->path, r);
			error = -EINVAL;
			continue;
		}
		r = conf_parse_partly(f, &c->trees[c->n_trees], faults);
		if (r < 0)
			error = r;
		if (r != -ENOMEM && c->trees[c->n_trees])
			r = read_tree(c, c->trees[c->n_trees++], top, faults);
		if (r == -ENOMEM)
			return r;
		if (r < 0)
			error = r;
	}
	return error;
}

static size_t file_number(const struct conf *c, const struct fault *fault)
{
	size_t i = 0;

	while (i < c->n_files && strcmp(c->files[i].path, fault->file) != 0)
		i++;
	return i;
}

/* What was found in the order of files and lines. `before`: the last fault of what was there already, or NULL */
static void sort_faults(const struct conf *c, struct faults *faults, struct fault *before)
{
	struct fault **start = before ? &before->next : &faults->first, *rest = *start;

	*start = NULL;
	faults->last = before;
	while (rest) {
		struct fault *fault = rest, **at = start;
		size_t file = file_number(c, fault);

		rest = fault->next;
		for (; *at; at = &(*at)->next) {
			size_t other = file_number(c, *at);

			if (other > file || (other == file && ((*at)->line > fault->line ||
			                                       ((*at)->line == fault->line && (*at)->column > fault->column))))
				break;
		}
		fault->next = *at;
		*at = fault;
		if (!fault->next)
			faults->last = fault;
	}
}

int conf_load_faulty(const char *path, bool required, struct conf **ret_conf, struct faults *faults)
{
	struct conf *c = calloc(1, sizeof(*c));
	struct top top = { 0 };
	struct fault *before = faults->last;
	int r;

	if (!c)
		return -ENOMEM;
	for (size_t i = 0; i < N_KEYS; i++)
		top.values[i] = (struct conf_option){ .option = &keys[i], .number = NAN };
	r = list_files(c, path, faults);
	if (r == 0)
		r = read_files(c, required, &top, faults);
	if (r != -ENOMEM) {
		int r_top = take_top(c, &top, faults);

		if (r_top != -ENOMEM && conf_read_journal(c, faults) == -ENOMEM)
			r_top = -ENOMEM;
		for (struct conf_plugin *p = c->plugins; p && r_top != -ENOMEM; p = p->next)
			if (conf_read_section(p, faults) == -ENOMEM)
				r_top = -ENOMEM;
		for (struct conf_notify *s = c->notifies; s && r_top != -ENOMEM; s = s->next)
			if (conf_read_notify(s, faults) == -ENOMEM)
				r_top = -ENOMEM;
		if (r_top != -ENOMEM && conf_read_records(c, faults) == -ENOMEM)
			r_top = -ENOMEM;
		r = r_top == -ENOMEM || r == 0 ? r_top : r;
	}
	for (size_t i = 0; i < N_KEYS; i++)
		conf_value_clear(&top.values[i]);
	sort_faults(c, faults, before);
	if (r == -ENOMEM) {
		conf_free(c);
		return r;
	}
	*ret_conf = c;
	return 0;
}

int conf_load(const char *path, bool required, struct conf **ret_conf, struct faults *faults)
{
	unsigned errors_before = faults->n_errors;
	struct conf *c;
	int r = conf_load_faulty(path, required, &c, faults);

	if (r < 0)
		return r;
	if (faults->n_errors != errors_before) {
		conf_free(c);
		return -EINVAL;
	}
	*ret_conf = c;
	return 0;
}

void conf_free(struct conf *c)
{
	if (!c)
		return;
	while (c->plugins) {
		struct conf_plugin *next = c->plugins->next;

		free(c->plugins->name);
		conf_node_free(c->plugins->node);
		free(c->plugins);
		c->plugins = next;
	}
	while (c->notifies) {
		struct conf_notify *next = c->notifies->next;

		conf_notify_free(c->notifies);
		c->notifies = next;
	}
	conf_journal_clear(&c->journal);
	conf_node_free(c->records_node);
	for (size_t i = 0; i < c->n_trees; i++)
		conf_node_free(c->trees[i]);
	free(c->trees);
	for (size_t i = 0; i < c->n_files; i++) {
		free(c->files[i].path);
		free(c->files[i].text);
	}
	free(c->files);
	for (size_t i = 0; i < c->n_tags; i++)
		free(c->tags[i]);
	free(c->tags);
	free(c->host);
	free(c->root);
	free(c->socket_group);
	free(c);
}

struct conf_plugin *conf_plugin_find(const struct conf *c, const char *name)
{
	for (struct conf_plugin *p = c->plugins; p; p = p->next)
		if (strcmp(p->name, name) == 0)
			return p;
	return NULL;
}
