/* Settings of plugins: the values of their options, and whether a section changed */
#include "conf/parse.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The table may be an older or newer plugin's: its entries are option_size apart */
static const struct kith_option *option_at(const struct kith_option *options, uint32_t option_size, uint32_t i)
{
	return (const void *)((const char *)options + (size_t)i * option_size);
}

static int unknown_options(const struct conf_plugin *section, const struct kith_option *options, uint32_t n_options,
                           uint32_t option_size, struct faults *faults)
{
	size_t n = 0;
	const char **names = calloc(n_options + conf_n_plugin_keys, sizeof(*names));
	char where[CONF_SHOW_MAX + 32];
	int r = 0;

	if (!names)
		return -ENOMEM;
	for (uint32_t i = 0; i < n_options; i++)
		names[n++] = option_at(options, option_size, i)->name;
	for (size_t i = 0; i < conf_n_plugin_keys; i++)
		names[n++] = conf_plugin_keys[i].name;
	snprintf(where, sizeof(where), " of %s %s", section->exporter ? "exporter" : "plugin", section->name);
	for (const struct conf_node *node = section->node->children; node; node = node->next) {
		size_t i = 0;

		while (i < n && strcmp(names[i], node->key) != 0)
			i++;
		if (i == n) {
			conf_unknown_key(node, where, names, n, faults);
			r = -EINVAL;
		}
	}
	free(names);
	return r;
}

int conf_options(const struct conf_plugin *section, const struct kith_option *options, uint32_t n_options,
                 uint32_t option_size, struct conf_option **ret_values, struct faults *faults)
{
	const struct conf_node *object = section ? section->node : NULL, *node;
	struct conf_option *values;
	int r, error = 0;

	if (n_options > 0 && option_size < sizeof(struct kith_option))
		return -EINVAL;
	values = calloc(n_options ? n_options : 1, sizeof(*values));
	if (!values)
		return -ENOMEM;
	for (uint32_t i = 0; i < n_options; i++) {
		const struct kith_option *o = option_at(options, option_size, i);

		values[i].option = o;
		values[i].number = NAN;
		r = object ? conf_read(object, o, false, &values[i], &node, faults) : 0;
		if (r >= 0 && !values[i].set)
			r = conf_read_fallback(section ? section->name : "?", o, &values[i], faults);
		if (r < 0 && error != -ENOMEM)
			error = r;
	}
	if (object && error != -ENOMEM) {
		r = unknown_options(section, options, n_options, option_size, faults);
		if (r < 0)
			error = r;
	}
	if (error) {
		conf_options_free(values, n_options);
		return error;
	}
	*ret_values = values;
	return 0;
}

void conf_options_free(struct conf_option *values, uint32_t n)
{
	for (uint32_t i = 0; values && i < n; i++)
		conf_value_clear(&values[i]);
	free(values);
}

/* ---- comparing -------------------------------------------------------------------------------------------------- */

struct sorted {
	const struct conf_node *node;
	size_t order;
};

static int by_key(const void *a, const void *b)
{
	const struct sorted *x = a, *y = b;
	int c = strcmp(x->node->key, y->node->key);

	return c ? c : (x->order > y->order) - (x->order < y->order);
}

static bool common_key(const char *key)
{
	for (size_t i = 0; i < conf_n_plugin_keys; i++)
		if (strcmp(key, conf_plugin_keys[i].name) == 0)
			return true;
	return false;
}

/* An object's children by key; those of one key in their order. `skip_common`: without what struct conf_plugin says */
static int sort_children(const struct conf_node *n, bool skip_common, struct sorted **ret_sorted, size_t *ret_n)
{
	struct sorted *sorted;
	size_t count = 0;

	for (const struct conf_node *c = n ? n->children : NULL; c; c = c->next)
		count++;
	sorted = calloc(count + 1, sizeof(*sorted));
	if (!sorted)
		return -ENOMEM;
	count = 0;
	for (const struct conf_node *c = n ? n->children : NULL; c; c = c->next)
		if (!skip_common || !common_key(c->key)) {
			sorted[count] = (struct sorted){ c, count };
			count++;
		}
	qsort(sorted, count, sizeof(*sorted), by_key);
	*ret_sorted = sorted;
	*ret_n = count;
	return 0;
}

static bool node_same(const struct conf_node *a, const struct conf_node *b);

static bool objects_same(const struct conf_node *a, const struct conf_node *b, bool skip_common)
{
	struct sorted *x = NULL, *y = NULL;
	size_t n_x = 0, n_y = 0;
	bool same;

	same = sort_children(a, skip_common, &x, &n_x) == 0 && sort_children(b, skip_common, &y, &n_y) == 0 && n_x == n_y;
	for (size_t i = 0; same && i < n_x; i++)
		same = strcmp(x[i].node->key, y[i].node->key) == 0 && node_same(x[i].node, y[i].node);
	free(x);
	free(y);
	return same;
}

static bool node_same(const struct conf_node *a, const struct conf_node *b)
{
	double count;

	if (a->type != b->type)
		return false;
	switch (a->type) {
	case CONF_NULL:
		return true;
	case CONF_BOOL:
	case CONF_NUMBER:
	case CONF_DURATION:
	case CONF_SIZE:
	case CONF_PERCENT:
		/* 5m and 5000000 are the same number, but not the same duration */
		return a->number == b->number && scalar_is_m(a->string, &count) == scalar_is_m(b->string, &count);
	case CONF_STRING:
		return strcmp(a->string, b->string) == 0;
	case CONF_LIST:
		for (a = a->children, b = b->children; a && b; a = a->next, b = b->next)
			if (!node_same(a, b))
				return false;
		return !a && !b;
	case CONF_OBJECT:
		return objects_same(a, b, false);
	}
	return false;
}

bool conf_plugin_same(const struct conf_plugin *a, const struct conf_plugin *b)
{
	static const struct conf_plugin none = { .enabled = true };

	a = a ? a : &none;
	b = b ? b : &none;
	return a->exporter == b->exporter && a->enabled == b->enabled && a->isolated == b->isolated &&
	       a->interval == b->interval && a->steady_interval == b->steady_interval && a->cpu_budget == b->cpu_budget &&
	       a->max_instances == b->max_instances &&
	       objects_same(a->node, b->node, true);
}
