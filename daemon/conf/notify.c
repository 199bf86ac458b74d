/* Sections notify NAME { }: whom a person's messages go to */
#include "conf/parse.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define MONTH (31 * 86400.)
#define ARGS_MAX 64
#define PATTERNS_MAX 256

enum { NOTIFY_RUN, NOTIFY_WAIT, NOTIFY_REPEAT, NOTIFY_SEVERITY, NOTIFY_PROMISES, NOTIFY_KEPT, NOTIFY_UNKNOWN, NOTIFY_USER, NOTIFY_TIMEOUT, N_NOTIFY };

const struct kith_option conf_notify_keys[] = {
	[NOTIFY_RUN] = { "run", NULL, "the program and its arguments", 0, 0, KITH_OPTION_LIST },
	[NOTIFY_WAIT] = { "wait", "10s", "what changes within this is one message", 1, 3600, KITH_OPTION_DURATION },
	[NOTIFY_REPEAT] = { "repeat", "4h", "told again while broken; 0: never", 0, MONTH, KITH_OPTION_DURATION },
	[NOTIFY_SEVERITY] = { "severity", "warning", "the mildest that is told", 0, 0, KITH_OPTION_STRING },
	[NOTIFY_PROMISES] = { "promises", "", "patterns of promises; none: all", 0, 0, KITH_OPTION_LIST },
	[NOTIFY_KEPT] = { "kept", "true", "told when kept again", 0, 0, KITH_OPTION_BOOL },
	[NOTIFY_UNKNOWN] = { "unknown", "0", "told when unknown for so long; 0: never", 0, MONTH, KITH_OPTION_DURATION },
	[NOTIFY_USER] = { "user", NULL, "as whom it runs; kithd's own without", 0, 0, KITH_OPTION_STRING },
	[NOTIFY_TIMEOUT] = { "timeout", "30s", "how long it may run", 1, 600, KITH_OPTION_DURATION },
};
const size_t conf_n_notify_keys = N_NOTIFY;
static const char *const severities[] = { "emergency", "alert", "critical", "error", "warning", "notice", "info", "debug" };

void conf_notify_free(struct conf_notify *s)
{
	for (char **t = s->run; t && *t; t++)
		free(*t);
	for (char **t = s->promises; t && *t; t++)
		free(*t);
	free(s->run);
	free(s->promises);
	free(s->user);
	free(s->name);
	conf_node_free(s->node);
	free(s);
}

static int add_notify(struct conf *c, const struct conf_node *n, struct faults *faults)
{
	struct conf_notify **at = &c->notifies, *s;
	unsigned count = 0;

	if (section_check(n, "notify", faults) < 0)
		return -EINVAL;
	if (!strcmp(n->key, "zone")) {
		conf_fault(faults, false, n->file, n->key_at, n->key_width, "choose another name", "zone means this host's neighbours: it is no receiver");
		return -EINVAL;
	}
	while (*at && strcmp((*at)->name, n->key) != 0)
		at = &(*at)->next, count++;
	if (*at)
		return section_merge((*at)->node, n);
	if (count >= CONF_NOTIFY_MAX) {
		conf_fault(faults, false, n->file, n->key_at, n->key_width, NULL, "more than %d sections notify", CONF_NOTIFY_MAX);
		return -EINVAL;
	}
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->name = strdup(n->key);
	s->node = section_copy(n);
	*at = s;
	return s->name && s->node ? 0 : -ENOMEM;
}

int conf_add_notifies(struct conf *c, const struct conf_node *n, struct faults *faults)
{
	char found[CONF_FOUND_MAX];
	int r, error = 0;

	if (n->type == CONF_NULL)
		return 0;
	if (n->type != CONF_OBJECT) {
		conf_fault(faults, false, n->file, n->at, n->width, "write notify NAME { run = [...] }", "notify wants a section, found %s",
		           conf_found(n, found));
		return -EINVAL;
	}
	for (const struct conf_node *s = n->children; s; s = s->next) {
		r = s->type == CONF_NULL ? 0 : add_notify(c, s, faults);
		if (r == -ENOMEM)
			return r;
		if (r < 0)
			error = r;
	}
	return error;
}

static int bad(const struct conf_notify *s, const struct conf_node *n, struct faults *faults, const char *hint, const char *text)
{
	bool whole = n == s->node;

	conf_fault(faults, false, n->file, whole ? n->key_at : n->at, whole ? n->key_width : n->width, hint, "notify %s: %s", s->name, text);
	return -EINVAL;
}

static bool plain(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			return false;
	return true;
}

static int take_run(struct conf_notify *s, struct conf_option *v, const struct conf_node *n, struct faults *faults)
{
	if (!v->n_list)
		return bad(s, n ? n : s->node, faults, "write run = [\"/usr/share/kith/actions/mail\", \"ops@example.org\"]", "run is missing");
	if (v->n_list > ARGS_MAX)
		return bad(s, n, faults, NULL, "run has more than 64 words");
	if (*v->list[0] != '/')
		return bad(s, n, faults, "write its path, from '/' on", "run does not begin with an absolute path");
	s->run = v->list;
	v->list = NULL;
	v->n_list = 0;
	return 0;
}

static int take_severity(struct conf_notify *s, const struct conf_option *v, const struct conf_node *n, struct faults *faults)
{
	const size_t count = sizeof(severities) / sizeof(severities[0]);
	const char *near;
	char hint[96] = "one of: emergency, alert, critical, error, warning, notice, info, debug";

	for (size_t i = 0; i < count; i++)
		if (!strcmp(v->string, severities[i])) {
			s->severity = (enum kith_priority)i;
			return 0;
		}
	near = suggest(v->string, strlen(v->string), severities, count);
	if (near)
		snprintf(hint, sizeof(hint), "did you mean \"%s\"?", near);
	return bad(s, n, faults, hint, "that is no severity");
}

static int take_promises(struct conf_notify *s, struct conf_option *v, const struct conf_node *n, struct faults *faults)
{
	if (v->n_list > PATTERNS_MAX)
		return bad(s, n, faults, NULL, "more than 256 patterns of promises");
	for (size_t i = 0; i < v->n_list; i++)
		if (!*v->list[i] || strlen(v->list[i]) > 512 || !plain(v->list[i]))
			return bad(s, n, faults, "such as \"web.*\", \"web\" or \"df:*\"", "promises holds what is no pattern");
	s->promises = v->list;
	s->n_promises = v->n_list;
	v->list = NULL;
	v->n_list = 0;
	return 0;
}

static int take_user(struct conf_notify *s, struct conf_option *v, const struct conf_node *n, struct faults *faults)
{
	if (!v->string)
		return 0;
	if (!*v->string || strlen(v->string) > 255 || !plain(v->string))
		return bad(s, n, faults, "a user of /etc/passwd, such as \"nobody\"", "that is no name of a user");
	s->user = v->string;
	v->string = NULL;
	return 0;
}

static int unknown_keys(const struct conf_notify *s, struct faults *faults)
{
	const char *names[N_NOTIFY];
	char where[CONF_SHOW_MAX + 32];
	int error = 0;

	for (size_t i = 0; i < N_NOTIFY; i++)
		names[i] = conf_notify_keys[i].name;
	snprintf(where, sizeof(where), " of notify %s", s->name);
	for (const struct conf_node *node = s->node->children; node; node = node->next) {
		size_t i = 0;

		while (i < N_NOTIFY && strcmp(names[i], node->key) != 0)
			i++;
		if (i < N_NOTIFY)
			continue;
		conf_unknown_key(node, where, names, N_NOTIFY, faults);
		error = -EINVAL;
	}
	return error;
}

static int64_t to_ns(double seconds)
{
	return llround(seconds * (double)NS_PER_S);
}

static int take_all(struct conf_notify *s, struct conf_option *v, const struct conf_node **nodes, struct faults *faults)
{
	int error = 0;

	s->wait = to_ns(v[NOTIFY_WAIT].number);
	s->repeat = to_ns(v[NOTIFY_REPEAT].number);
	s->unknown = to_ns(v[NOTIFY_UNKNOWN].number);
	s->timeout = to_ns(v[NOTIFY_TIMEOUT].number);
	s->kept = v[NOTIFY_KEPT].number != 0;
	if (take_run(s, &v[NOTIFY_RUN], nodes[NOTIFY_RUN], faults) < 0)
		error = -EINVAL;
	if (take_severity(s, &v[NOTIFY_SEVERITY], nodes[NOTIFY_SEVERITY], faults) < 0)
		error = -EINVAL;
	if (take_promises(s, &v[NOTIFY_PROMISES], nodes[NOTIFY_PROMISES], faults) < 0)
		error = -EINVAL;
	if (take_user(s, &v[NOTIFY_USER], nodes[NOTIFY_USER], faults) < 0)
		error = -EINVAL;
	return error;
}

int conf_read_notify(struct conf_notify *s, struct faults *faults)
{
	struct conf_option v[N_NOTIFY] = { { 0 } };
	const struct conf_node *nodes[N_NOTIFY] = { 0 };
	int r, error = unknown_keys(s, faults);
	bool wrong = false;

	for (size_t i = 0; i < N_NOTIFY; i++) {
		v[i].number = NAN;
		r = conf_read(s->node, &conf_notify_keys[i], false, &v[i], &nodes[i], faults);
		if (r >= 0 && !v[i].set)
			r = conf_read_fallback(s->name, &conf_notify_keys[i], &v[i], faults);
		wrong = wrong || r < 0;
		if (r < 0 && error != -ENOMEM)
			error = r;
	}
	if (!wrong)
		r = take_all(s, v, nodes, faults);
	if (!wrong && r < 0)
		error = r;
	for (size_t i = 0; i < N_NOTIFY; i++)
		conf_value_clear(&v[i]);
	return error;
}
