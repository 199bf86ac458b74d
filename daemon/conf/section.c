/* Sections of plugins and exporters: how they merge over files, and the keys that all of them may have */
#include "conf/parse.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/names.h"

enum { COMMON_ENABLED, COMMON_ISOLATED, COMMON_INTERVAL, COMMON_STEADY_INTERVAL, COMMON_CPU_BUDGET, COMMON_MAX_INSTANCES, N_COMMON };

const struct kith_option conf_plugin_keys[] = {
	[COMMON_ENABLED] = { "enabled", "true", "whether it is loaded", 0, 0, KITH_OPTION_BOOL },
	[COMMON_ISOLATED] = { "isolated", "false", "runs in a process of its own", 0, 0, KITH_OPTION_BOOL },
	[COMMON_INTERVAL] = { "interval", NULL, "time between its samples", 0.1, 3600, KITH_OPTION_DURATION },
	[COMMON_STEADY_INTERVAL] = { "steady_interval", NULL, "the same of steady levels nobody watches", 0.1, 3600,
	                             KITH_OPTION_DURATION },
	[COMMON_CPU_BUDGET] = { "cpu_budget", NULL, "CPU it may use, % of one core", 0.01, 100, KITH_OPTION_NUMBER },
	[COMMON_MAX_INSTANCES] = { "max_instances", NULL, "instances of each of its families", 1, 1 << 20, KITH_OPTION_NUMBER },
};
const size_t conf_n_plugin_keys = N_COMMON;

struct conf_node *section_copy(const struct conf_node *n)
{
	struct conf_node *copy = malloc(sizeof(*copy)), **tail;

	if (!copy)
		return NULL;
	*copy = *n;
	copy->next = copy->children = NULL;
	copy->key = n->key ? strdup(n->key) : NULL;
	copy->string = n->string ? strdup(n->string) : NULL;
	if ((n->key && !copy->key) || (n->string && !copy->string))
		goto fail;
	tail = &copy->children;
	for (const struct conf_node *c = n->children; c; c = c->next) {
		*tail = section_copy(c);
		if (!*tail)
			goto fail;
		tail = &(*tail)->next;
	}
	return copy;
fail:
	conf_node_free(copy);
	return NULL;
}

static void remove_key(struct conf_node *object, const char *key)
{
	for (struct conf_node **at = &object->children; *at;) {
		struct conf_node *n = *at;

		if (strcmp(n->key, key) != 0) {
			at = &n->next;
			continue;
		}
		*at = n->next;
		n->next = NULL;
		conf_node_free(n);
	}
}

int section_merge(struct conf_node *into, const struct conf_node *from)
{
	struct conf_node **tail;

	for (const struct conf_node *c = from->children; c; c = c->next)
		remove_key(into, c->key);
	for (tail = &into->children; *tail; tail = &(*tail)->next)
		;
	for (const struct conf_node *c = from->children; c; c = c->next) {
		*tail = section_copy(c);
		if (!*tail)
			return -ENOMEM;
		tail = &(*tail)->next;
	}
	return 0;
}

/* The name, type and bounds of a section */
int section_check(const struct conf_node *n, const char *kind, struct faults *faults)
{
	char found[CONF_FOUND_MAX], shown[CONF_SHOW_MAX], hint[64];
	size_t n_keys = 0;

	for (const struct conf_node *c = n->children; c; c = c->next)
		n_keys++;
	if (n_keys > CONF_KEYS_MAX) {
		conf_fault(faults, false, n->file, n->key_at, n->key_width, "put what belongs together into a list",
		           "more than %d keys in one section", CONF_KEYS_MAX);
		return -EINVAL;
	}
	if (n->type != CONF_OBJECT) {
		snprintf(hint, sizeof(hint), "write %s NAME { KEY = VALUE }", kind);
		conf_fault(faults, false, n->file, n->at, n->width, hint, "%s %s wants a section, found %s", kind,
		           conf_show(n->key, strlen(n->key), shown), conf_found(n, found));
		return -EINVAL;
	}
	if (name_part_valid(n->key))
		return 0;
	conf_fault(faults, false, n->file, n->key_at, n->key_width, "a name is at most 63 of a-z, 0-9 and _",
	           "\"%s\" cannot be a name of %s %s", conf_show(n->key, strlen(n->key), shown), *kind == 'e' ? "an" : "a", kind);
	return -EINVAL;
}

static int add_section(struct conf *c, const struct conf_node *n, bool exporter, struct faults *faults)
{
	struct conf_plugin **at = &c->plugins, *p;
	size_t n_sections = 0;

	if (section_check(n, exporter ? "exporter" : "plugin", faults) < 0)
		return -EINVAL;
	while (*at && strcmp((*at)->name, n->key) != 0)
		at = &(*at)->next, n_sections++;
	p = *at;
	if (p && p->exporter != exporter) {
		conf_fault(faults, false, n->file, n->key_at, n->key_width, "a name belongs to one of them",
		           "%s is both a plugin and an exporter", p->name);
		return -EINVAL;
	}
	if (p)
		return section_merge(p->node, n);
	if (n_sections >= CONF_SECTIONS_MAX) {
		conf_fault(faults, false, n->file, n->key_at, n->key_width, NULL, "more than %d plugins and exporters",
		           CONF_SECTIONS_MAX);
		return -EINVAL;
	}
	p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	p->exporter = exporter;
	p->enabled = true;
	p->name = strdup(n->key);
	p->node = section_copy(n);
	*at = p;
	return p->name && p->node ? 0 : -ENOMEM;
}

int conf_add_sections(struct conf *c, const struct conf_node *n, bool exporter, struct faults *faults)
{
	char found[CONF_FOUND_MAX], hint[64];
	int r, error = 0;

	if (n->type == CONF_NULL)
		return 0;
	if (n->type != CONF_OBJECT) {
		snprintf(hint, sizeof(hint), "write %s NAME { KEY = VALUE }", n->key);
		conf_fault(faults, false, n->file, n->at, n->width, hint, "%s wants a section, found %s", n->key,
		           conf_found(n, found));
		return -EINVAL;
	}
	for (const struct conf_node *s = n->children; s; s = s->next) {
		r = s->type == CONF_NULL ? 0 : add_section(c, s, exporter, faults);
		if (r == -ENOMEM)
			return r;
		if (r < 0)
			error = r;
	}
	return error;
}

int conf_read_section(struct conf_plugin *p, struct faults *faults)
{
	struct conf_option v[N_COMMON] = { { 0 } };
	const struct conf_node *node;
	int r, error = 0;

	for (size_t i = 0; i < N_COMMON; i++) {
		const struct kith_option *o = &conf_plugin_keys[i];

		v[i].number = NAN;
		r = conf_read(p->node, o, i == COMMON_MAX_INSTANCES, &v[i], &node, faults);
		if (r >= 0 && !v[i].set)
			r = conf_read_fallback(p->name, o, &v[i], faults);
		if (r < 0)
			error = r;
	}
	if (error)
		return error;
	p->enabled = v[COMMON_ENABLED].number != 0;
	p->isolated = v[COMMON_ISOLATED].number != 0;
	p->interval = v[COMMON_INTERVAL].set ? llround(v[COMMON_INTERVAL].number * (double)NS_PER_S) : 0;
	p->steady_interval = v[COMMON_STEADY_INTERVAL].set ? llround(v[COMMON_STEADY_INTERVAL].number * (double)NS_PER_S) : 0;
	p->cpu_budget = v[COMMON_CPU_BUDGET].set ? v[COMMON_CPU_BUDGET].number : 0;
	p->max_instances = v[COMMON_MAX_INSTANCES].set ? (uint32_t)v[COMMON_MAX_INSTANCES].number : 0;
	return 0;
}
