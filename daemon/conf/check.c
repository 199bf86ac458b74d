/* Reads one key by its type: numbers with ranges, strings, lists. The top level and plugins' sections use the same. */
#include "conf/parse.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void conf_value_clear(struct conf_option *v)
{
	free(v->string);
	for (size_t i = 0; i < v->n_list; i++)
		free(v->list[i]);
	free(v->list);
	*v = (struct conf_option){ .option = v->option, .number = NAN };
}

char *conf_found(const struct conf_node *n, char out[static CONF_FOUND_MAX])
{
	static const char *const names[] = {
		[CONF_NULL] = "null",         [CONF_BOOL] = "the boolean",     [CONF_NUMBER] = "the number",
		[CONF_DURATION] = "the duration", [CONF_SIZE] = "the size",    [CONF_PERCENT] = "the percentage",
		[CONF_STRING] = "the string", [CONF_LIST] = "a list",          [CONF_OBJECT] = "a section",
	};
	char shown[CONF_SHOW_MAX];

	if (n->type == CONF_NULL || n->type == CONF_LIST || n->type == CONF_OBJECT || !n->string)
		snprintf(out, CONF_FOUND_MAX, "%s", names[n->type]);
	else
		snprintf(out, CONF_FOUND_MAX, n->type == CONF_STRING ? "%s \"%s\"" : "%s %s", names[n->type],
		         conf_show(n->string, strlen(n->string), shown));
	return out;
}

static const char *wanted(enum kith_option_type type, bool whole)
{
	switch (type) {
	case KITH_OPTION_BOOL:
		return "true or false";
	case KITH_OPTION_NUMBER:
		return whole ? "a whole number" : "a number";
	case KITH_OPTION_DURATION:
		return "a duration such as 10s";
	case KITH_OPTION_SIZE:
		return "a size such as 10MiB";
	case KITH_OPTION_STRING:
		return "a string";
	case KITH_OPTION_LIST:
		return "a list of strings";
	}
	return "something else";
}

static const char *wanted_hint(enum kith_option_type type, const struct conf_node *n)
{
	enum conf_type unquoted;
	double number;

	if (n->type == CONF_STRING && scalar_classify(n->string, strlen(n->string), &unquoted, &number) == 0 &&
	    unquoted != CONF_STRING && unquoted != CONF_NULL)
		return "leave out the quotes";
	switch (type) {
	case KITH_OPTION_BOOL:
		return "write true or false; yes, no, on and off will do too";
	case KITH_OPTION_NUMBER:
		return NULL;
	case KITH_OPTION_DURATION:
		return "a number, and right behind it ns, us, ms, s, min, h, d, w or y";
	case KITH_OPTION_SIZE:
		return "a number, and right behind it B, KiB, MiB, GiB or TiB";
	case KITH_OPTION_STRING:
	case KITH_OPTION_LIST:
		return n->type < CONF_STRING ? "put quotes around it if it is a text" : NULL;
	}
	return NULL;
}

static int wrong_type(const struct conf_node *n, const struct kith_option *o, bool whole, struct faults *faults)
{
	char found[CONF_FOUND_MAX];

	conf_fault(faults, false, n->file, n->at, n->width, wanted_hint((enum kith_option_type)o->type, n),
	           "%s wants %s, found %s", o->name, wanted((enum kith_option_type)o->type, whole), conf_found(n, found));
	return -EINVAL;
}

static int check_range(const struct conf_node *n, const struct kith_option *o, double value, struct faults *faults)
{
	enum kith_option_type type = (enum kith_option_type)o->type;
	char least[CONF_SHOW_MAX], most[CONF_SHOW_MAX], shown[CONF_SHOW_MAX], hint[2 * CONF_SHOW_MAX + 32];

	if ((o->min == 0 && o->max == 0) || (value >= o->min && value <= o->max))
		return 0;
	scalar_format(o->min, type, least);
	scalar_format(o->max, type, most);
	snprintf(hint, sizeof(hint), "write a value from %s to %s", least, most);
	conf_fault(faults, false, n->file, n->at, n->width, hint, "%s is %s: the %s is %s", o->name,
	           conf_show(n->string, strlen(n->string), shown), value < o->min ? "least" : "most",
	           value < o->min ? least : most);
	return -EINVAL;
}

/* `5m` is five million in this syntax, but nobody means five million seconds */
static void warn_minutes(const struct conf_node *n, const struct kith_option *o, double count, struct faults *faults)
{
	char hint[CONF_SHOW_MAX + 64];

	if (!faults)
		return;
	snprintf(hint, sizeof(hint), "write %.15gmin", count);
	conf_fault(faults, true, n->file, n->at, n->width, hint, "%s: %s is taken as minutes here; elsewhere m is a million",
	           o->name, n->string);
}

/* `faults_m`: where to warn of minutes written as m; NULL: not */
static int read_number(const struct conf_node *n, const struct kith_option *o, bool whole, double *ret_number,
                       struct faults *faults, struct faults *faults_m)
{
	double value = n->number, count;
	bool fits = false;

	switch ((enum kith_option_type)o->type) {
	case KITH_OPTION_BOOL:
		if (n->type != CONF_BOOL)
			return wrong_type(n, o, whole, faults);
		*ret_number = value;
		return 0;
	case KITH_OPTION_NUMBER:
		fits = (n->type == CONF_NUMBER || n->type == CONF_PERCENT) && (!whole || value == floor(value));
		break;
	case KITH_OPTION_DURATION:
		fits = n->type == CONF_DURATION || (n->type == CONF_NUMBER && !scalar_has_multiplier(n->string));
		if (n->type == CONF_NUMBER && scalar_is_m(n->string, &count)) {
			fits = true;
			value = count * 60;
			warn_minutes(n, o, count, faults_m);
		}
		break;
	case KITH_OPTION_SIZE:
		fits = n->type == CONF_SIZE || n->type == CONF_NUMBER;
		break;
	case KITH_OPTION_STRING:
	case KITH_OPTION_LIST:
		break;
	}
	if (!fits)
		return wrong_type(n, o, whole, faults);
	if (check_range(n, o, value, faults) < 0)
		return -EINVAL;
	*ret_number = value;
	return 0;
}

static int list_push(struct conf_option *v, const char *text, size_t length)
{
	char **grown;

	if (v->n_list % 16 == 0) {
		grown = realloc(v->list, (v->n_list + 17) * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		v->list = grown;
	}
	if (text) {
		v->list[v->n_list] = strndup(text, length);
		if (!v->list[v->n_list])
			return -ENOMEM;
		v->n_list++;
		if (v->n_list % 16 == 0)
			return list_push(v, NULL, 0);
	}
	v->list[v->n_list] = NULL;
	return 0;
}

/* All of one node into v->list */
static int read_list(const struct conf_node *n, const struct kith_option *o, struct conf_option *v,
                     struct faults *faults)
{
	int error = 0;

	if (n->type != CONF_LIST)
		return n->type == CONF_STRING ? list_push(v, n->string, strlen(n->string)) : wrong_type(n, o, false, faults);
	for (const struct conf_node *item = n->children; item; item = item->next) {
		int r = item->type == CONF_STRING ? list_push(v, item->string, strlen(item->string)) :
		                                    wrong_type(item, o, false, faults);

		if (r == -ENOMEM)
			return r;
		if (r < 0)
			error = r;
	}
	return error;
}

static int given_twice(const struct conf_node *first, const struct conf_node *n, struct faults *faults)
{
	char hint[96];
	unsigned line = 1;

	for (size_t i = 0; i < first->key_at; i++)
		line += first->file->text[i] == '\n';
	snprintf(hint, sizeof(hint), "the first is in line %u: keep one", line);
	conf_fault(faults, false, n->file, n->key_at, n->key_width, hint, "%s is given twice", n->key);
	return -EINVAL;
}

/* One of the key's nodes into `v` */
static int read_node(const struct conf_node *n, const struct kith_option *o, bool whole, struct conf_option *v,
                     struct faults *faults)
{
	if (o->type == KITH_OPTION_LIST)
		return read_list(n, o, v, faults);
	if (o->type != KITH_OPTION_STRING)
		return read_number(n, o, whole, &v->number, faults, faults);
	if (n->type != CONF_STRING)
		return wrong_type(n, o, whole, faults);
	v->string = strdup(n->string);
	return v->string ? 0 : -ENOMEM;
}

int conf_read(const struct conf_node *object, const struct kith_option *o, bool whole, struct conf_option *v,
              const struct conf_node **ret_node, struct faults *faults)
{
	struct conf_option got = { .option = o, .number = NAN };
	const struct conf_node *first = NULL, *last = NULL;
	int r = 0, error = 0;

	for (const struct conf_node *n = object->children; n; n = n->next) {
		if (!n->key || strcmp(n->key, o->name) != 0)
			continue;
		if (first && (o->type != KITH_OPTION_LIST || n->type == CONF_NULL || first->type == CONF_NULL)) {
			error = given_twice(first, n, faults);
			break;
		} else if (n->type != CONF_NULL) {
			r = read_node(n, o, whole, &got, faults);
			got.set = true;
		}
		if (r < 0)
			error = r;
		if (r == -ENOMEM)
			break;
		first = first ? first : n;
		last = n;
	}
	if (!error && got.set && o->type == KITH_OPTION_LIST && !got.list)
		error = list_push(&got, NULL, 0);
	if (error || !last) {
		conf_value_clear(&got);
		return error;
	}
	conf_value_clear(v);
	*v = got;
	*ret_node = last;
	return 1;
}

/* "a, b" as a list; blanks around the items are left out */
static int fallback_list(const char *text, struct conf_option *v)
{
	int r = list_push(v, NULL, 0);

	while (r == 0 && *text) {
		size_t n = strcspn(text, ","), start = strspn(text, " \t"), end = n;

		if (start > n)
			start = n;
		while (end > start && (text[end - 1] == ' ' || text[end - 1] == '\t'))
			end--;
		if (end > start)
			r = list_push(v, text + start, end - start);
		text += n + (text[n] == ',');
	}
	return r;
}

int conf_read_fallback(const char *owner, const struct kith_option *o, struct conf_option *v, struct faults *faults)
{
	struct buf path = BUF_INIT;
	struct conf_file file;
	struct conf_node n = { 0 };
	int r = 0;

	v->option = o;
	if (!o->fallback)
		return o->type == KITH_OPTION_LIST ? list_push(v, NULL, 0) : 0;
	if (o->type == KITH_OPTION_LIST)
		return fallback_list(o->fallback, v);
	if (o->type == KITH_OPTION_STRING) {
		v->string = strdup(o->fallback);
		return v->string ? 0 : -ENOMEM;
	}
	buf_printf(&path, "plugin %s, its own default of %s", owner, o->name);
	file = (struct conf_file){ .path = buf_take(&path), .text = strdup(o->fallback), .length = strlen(o->fallback) };
	n = (struct conf_node){ .file = &file, .string = file.text, .width = file.length };
	if (!file.path || !file.text)
		r = -ENOMEM;
	else if (scalar_classify(file.text, file.length, &n.type, &n.number) < 0)
		r = wrong_type(&n, o, false, faults);
	else
		r = read_number(&n, o, false, &v->number, faults, NULL);
	free(file.path);
	free(file.text);
	return r;
}

void conf_unknown_key(const struct conf_node *n, const char *where, const char *const *names, size_t n_names,
                      struct faults *faults)
{
	const char *near = suggest(n->key, strlen(n->key), names, n_names);
	struct buf hint = BUF_INIT;
	char shown[CONF_SHOW_MAX];

	if (near) {
		buf_printf(&hint, "did you mean \"%s\"?", near);
	} else {
		buf_puts(&hint, "known here: ");
		for (size_t i = 0; i < n_names; i++)
			buf_printf(&hint, "%s%s", i ? ", " : "", names[i]);
	}
	conf_fault(faults, false, n->file, n->key_at, n->key_width, buf_text(&hint), "unknown key \"%s\"%s",
	           conf_show(n->key, strlen(n->key), shown), where);
	buf_free(&hint);
}
