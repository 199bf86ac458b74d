/* Programs that run on and write collectd's protocol: their lives, and their lines. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "exec/exec.h"
#include "exec/putval.h"
#include "exec/values.h"

#define PROGRAMS_MAX 64
#define BACK_OFF_MAX (600 * NS_PER_S)
#define HEALTHY (60 * NS_PER_S) /* after it has run for so long, the next wait is the first again */
#define LINE_RATE 2000.0        /* lines a second over time that are read of one program, */
#define LINE_BURST 20000.0      /* and at once */

struct program {
	struct programs *all;
	struct entry *e;
	kith_id id;
	struct kith_watch *running, *timer;
	int64_t started, back_off; /* ns */
	double tokens;
	int64_t tokens_at;
	uint64_t starts, lines, faults, dropped;
	uint64_t line;             /* number of it since the start */
	bool said;                 /* a fault since the start */
	bool said_dropped;
	bool skip;                 /* to the end of a line that is too long */
	bool seen;
	size_t length;
	char text[PUT_LINE_MAX + 1];
};

struct programs {
	struct exec *x;
	struct values *values;
	struct program *all[PROGRAMS_MAX];
	size_t n;
};

/* ---- lines ------------------------------------------------------------------------------------------------------ */

static void put_numbers(struct program *p, double state, double code)
{
	const struct kith_host *h = p->all->x->h;
	double v[N_PROGRAM] = { [PROGRAM_STATE] = state, [PROGRAM_STARTS] = (double)p->starts, [PROGRAM_EXIT_CODE] = code,
		                [PROGRAM_LINES] = (double)p->lines, [PROGRAM_FAULTS] = (double)p->faults,
		                [PROGRAM_DROPPED] = (double)p->dropped };

	h->put_all(h, p->id, v, N_PROGRAM);
}

static void record(struct program *p, enum kith_priority priority, const char *message)
{
	const struct kith_host *h = p->all->x->h;
	char subject[ENTRY_NAME_MAX + 16];
	struct kith_field fields[] = { { "program", p->e->name } };
	struct kith_record r = { .size = sizeof(r), .priority = priority, .subject = subject, .message = message, .fields = fields, .n_fields = 1 };

	snprintf(subject, sizeof(subject), "program:%s", p->e->name);
	h->record(h, &r);
}

static int on_values(const struct put_id *id, int64_t interval, const struct put_values *values, char *why, void *user)
{
	struct program *p = user;

	return values_put(p->all->values, p, id, interval ? interval : p->e->every, values, why);
}

static int on_notification(const struct put_notification *n, char *why, void *user)
{
	static const uint32_t priorities[] = { [PUT_FAILURE] = KITH_ERR, [PUT_WARNING] = KITH_WARNING, [PUT_OKAY] = KITH_NOTICE };
	static const char *const severities[] = { [PUT_FAILURE] = "failure", [PUT_WARNING] = "warning", [PUT_OKAY] = "okay" };
	struct program *p = user;
	const struct kith_host *h = p->all->x->h;
	char instance[256] = "", subject[PUT_PART_MAX + 280], message[PUT_MESSAGE_MAX];
	struct kith_field fields[] = { { "program", p->e->name },         { "severity", severities[n->severity] },
		                       { "host", n->id.host },            { "plugin", n->id.plugin },
		                       { "plugin_instance", n->id.plugin_instance }, { "type", n->id.type },
		                       { "type_instance", n->id.type_instance } };
	struct kith_record r = { .size = sizeof(r), .priority = priorities[n->severity], .subject = subject, .message = message, .fields = fields,
		                 .n_fields = KITH_COUNT(fields), .time = n->time };

	if (*n->id.plugin && values_instance(p->all->values, &n->id, instance) < 0)
		*instance = '\0';
	if (*instance)
		snprintf(subject, sizeof(subject), "collectd_%s:%s", *n->id.type ? n->id.type : "notification", instance);
	else
		snprintf(subject, sizeof(subject), "program:%s", p->e->name);
	text_clean(n->message, strlen(n->message), message, sizeof(message));
	if (h->record(h, &r) == -ENOSPC) {
		snprintf(why, PUT_WHY_MAX, "more notifications than records may be");
		return -ENOSPC;
	}
	return 0;
}

static void fault(struct program *p, const char *why)
{
	const struct kith_host *h = p->all->x->h;
	char message[PUT_WHY_MAX + 64], clean[PUT_WHY_MAX];

	p->faults++;
	text_clean(why, strlen(why), clean, sizeof(clean));
	snprintf(message, sizeof(message), "line %llu: %s", (unsigned long long)p->line, clean);
	h->log(h, KITH_WARNING, "program %s: %s", p->e->name, message);
	if (!p->said)
		record(p, KITH_WARNING, message);
	p->said = true;
}

static bool take_token(struct program *p)
{
	int64_t now = p->all->x->h->now(p->all->x->h);

	if (now > p->tokens_at)
		p->tokens += (double)(now - p->tokens_at) / (double)NS_PER_S * LINE_RATE;
	if (p->tokens > LINE_BURST)
		p->tokens = LINE_BURST;
	p->tokens_at = now;
	if (p->tokens < 1)
		return false;
	p->tokens -= 1;
	return true;
}

static void line_end(struct program *p)
{
	const struct put_reader reader = { p, on_values, on_notification };
	char why[PUT_WHY_MAX] = "no memory";

	p->line++;
	p->lines++;
	if (p->skip) {
		snprintf(why, sizeof(why), "longer than %d bytes", PUT_LINE_MAX);
		fault(p, why);
	} else if (!take_token(p)) {
		p->dropped++;
		if (!p->said_dropped)
			record(p, KITH_WARNING, "it writes faster than 2000 lines a second: what is more is dropped, and counted (dropped)");
		p->said_dropped = true;
	} else if (put_line(p->text, p->length, &reader, why) < 0 && p->length) {
		fault(p, why);
	}
	p->skip = false;
	p->length = 0;
}

static int on_output(int stream, const char *data, size_t length, void *user)
{
	struct program *p = user;
	const char *end = data + length;
	char text[400];

	if (stream == 2) {
		if (text_clean(data, length, text, sizeof(text)))
			p->all->x->h->log(p->all->x->h, KITH_NOTICE, "program %s: %s", p->e->name, text);
		return 0;
	}
	while (data < end) {
		const char *stop = memchr(data, '\n', (size_t)(end - data));
		size_t n = (size_t)((stop ? stop : end) - data);

		if (p->length + n > PUT_LINE_MAX) {
			p->skip = true;
			n = 0;
			p->length = 0;
		}
		if (!p->skip) {
			memcpy(p->text + p->length, data, n);
			p->length += n;
		}
		if (stop)
			line_end(p);
		data = stop ? stop + 1 : end;
	}
	put_numbers(p, PROGRAM_RUNNING, NAN);
	return 0;
}

/* ---- its life --------------------------------------------------------------------------------------------------- */

static void start(struct program *p);

static void unwatch(struct program *p, struct kith_watch **w)
{
	if (*w)
		p->all->x->h->unwatch(p->all->x->h, *w);
	*w = NULL;
}

static int on_again(void *user)
{
	struct program *p = user;

	unwatch(p, &p->timer);
	start(p);
	return 0;
}

static void wait_for(struct program *p, int64_t ns)
{
	const struct kith_host *h = p->all->x->h;

	if (h->watch_timer(h, ns, 0, ns / 10, on_again, p, &p->timer) < 0) {
		p->timer = NULL;
		h->log(h, KITH_ERR, "program %s: no memory to start it again", p->e->name);
	}
}

static void failed(struct program *p, const char *why)
{
	char message[PUT_WHY_MAX + 100];

	p->back_off = p->back_off == 0 ? p->e->every : p->back_off * 2 < BACK_OFF_MAX ? p->back_off * 2 : BACK_OFF_MAX;
	snprintf(message, sizeof(message), "%s; it is started again in %g s", why, (double)p->back_off / (double)NS_PER_S);
	record(p, KITH_WARNING, message);
	wait_for(p, p->back_off);
}

static int on_ended(const struct kith_ended *ended, void *user)
{
	struct program *p = user;
	const struct kith_host *h = p->all->x->h;
	char why[PUT_WHY_MAX];

	p->running = NULL;
	/* A last line without an end counts, as collectd has it. */
	if (p->length || p->skip)
		line_end(p);
	put_numbers(p, PROGRAM_WAITING, WIFEXITED(ended->status) ? WEXITSTATUS(ended->status) : NAN);
	if (ended->took > HEALTHY)
		p->back_off = 0;
	if (WIFEXITED(ended->status) && WEXITSTATUS(ended->status) == 0) {
		/* One that writes once and ends is started at each interval, as by collectd. */
		int64_t left = p->started + p->e->every - h->now(h);

		p->back_off = 0;
		wait_for(p, left > 0 && left <= p->e->every ? left : p->e->every);
		return 0;
	}
	if (WIFEXITED(ended->status))
		snprintf(why, sizeof(why), "it ended with status %d", WEXITSTATUS(ended->status));
	else
		snprintf(why, sizeof(why), "it was ended by signal %d", WTERMSIG(ended->status));
	failed(p, why);
	return 0;
}

static void start(struct program *p)
{
	const struct kith_host *h = p->all->x->h;
	char host[PUT_PART_MAX + 24], interval[48], why[PUT_WHY_MAX];
	const char *const env[] = { host, interval, NULL };
	struct kith_stream s = { .size = sizeof(s), .argv = p->e->argv, .env = env, .user = p->e->user };
	int r;

	snprintf(host, sizeof(host), "COLLECTD_HOSTNAME=%s", values_host(p->all->values));
	snprintf(interval, sizeof(interval), "COLLECTD_INTERVAL=%.3f", (double)p->e->every / (double)NS_PER_S);
	p->starts++;
	p->line = 0;
	p->length = 0;
	p->skip = p->said = p->said_dropped = false;
	p->started = h->now(h);
	p->tokens = LINE_BURST;
	p->tokens_at = p->started;
	r = h->spawn_stream(h, &s, on_output, on_ended, p, &p->running);
	put_numbers(p, r < 0 ? PROGRAM_WAITING : PROGRAM_RUNNING, NAN);
	if (r < 0) {
		p->running = NULL;
		snprintf(why, sizeof(why), "it cannot be run: %s", strerror(-r));
		failed(p, why);
	}
}

static void program_free(struct program *p)
{
	unwatch(p, &p->running);
	unwatch(p, &p->timer);
	values_forget(p->all->values, p);
	if (p->id != KITH_ID_NONE)
		p->all->x->h->end(p->all->x->h, p->id);
	entry_free(p->e);
	free(p);
}

/* ---- the configuration ------------------------------------------------------------------------------------------ */

size_t programs_count(const struct exec *x)
{
	return x->programs ? x->programs->n : 0;
}

void programs_free(struct exec *x)
{
	struct programs *all = x->programs;

	if (!all)
		return;
	for (size_t k = 0; k < all->n; k++)
		program_free(all->all[k]);
	values_free(all->values);
	free(all);
	x->programs = NULL;
}

static struct program *find(struct programs *all, const char *name)
{
	for (size_t k = 0; k < all->n; k++)
		if (!strcmp(all->all[k]->e->name, name))
			return all->all[k];
	return NULL;
}

static void sweep(struct programs *all)
{
	size_t n = 0;

	for (size_t k = 0; k < all->n; k++)
		if (all->all[k]->seen)
			all->all[n++] = all->all[k];
		else
			program_free(all->all[k]);
	all->n = n;
}

static void take_out(struct programs *all, const struct program *p)
{
	size_t n = 0;

	for (size_t k = 0; k < all->n; k++)
		if (all->all[k] != p)
			all->all[n++] = all->all[k];
	all->n = n;
}

/* `old`: what ran under its name; NULL: nothing */
static int begin(struct programs *all, struct program *old, struct entry *e_take, char *why, size_t size)
{
	struct program *p = calloc(1, sizeof(*p));
	int r;

	if (!p) {
		entry_free(e_take);
		return -ENOMEM;
	}
	/* It ends first: its series have the same name. */
	if (old) {
		take_out(all, old);
		program_free(old);
	}
	p->all = all;
	p->e = e_take;
	p->seen = true;
	r = all->x->h->series(all->x->h, FAMILY_PROGRAM, e_take->name, &p->id);
	if (r < 0) {
		snprintf(why, size, "%s", strerror(-r));
		program_free(p);
		return 0;
	}
	all->all[all->n++] = p;
	start(p);
	return 0;
}

/* Takes the entry. What is wrong with it stands in `why`, which is untouched where nothing is. 0 or -ENOMEM */
static int read_one(struct programs *all, struct entry *e_take, char *why, size_t size)
{
	struct program *p = find(all, e_take->name);

	if (p && p->seen)
		snprintf(why, size, "another program has this name already");
	else if (e_take->n_watch || e_take->n_record)
		snprintf(why, size, "watch= and record= are for checks: this one runs on");
	else if (p && entry_same(p->e, e_take))
		p->seen = true;
	else if (!p && all->n == PROGRAMS_MAX)
		snprintf(why, size, "more than %d programs", PROGRAMS_MAX);
	else
		return begin(all, p, e_take, why, size);
	entry_free(e_take);
	return 0;
}

int programs_configure(struct exec *x, void (*bad)(const char *source, const char *why, void *user), void *user)
{
	const char *const *list = NULL;
	size_t n = x->h->option_list(x->h, "collectd", &list);
	int64_t every = x->h->interval(x->h);
	int r = 0;

	if (!n && !x->programs)
		return 0;
	if (!x->programs) {
		if (!KITH_HAS(x->h, spawn_stream)) {
			bad("collectd", "this kithd is too old: it cannot run a program and hear it; update it", user);
			return 0;
		}
		x->programs = calloc(1, sizeof(*x->programs));
		if (!x->programs)
			return -ENOMEM;
		x->programs->x = x;
		r = values_new(x->h, x->h->option_string(x->h, "types_db"), &x->programs->values);
		if (r < 0) {
			free(x->programs);
			x->programs = NULL;
			return r;
		}
	}
	for (size_t k = 0; k < x->programs->n; k++)
		x->programs->all[k]->seen = false;
	for (size_t k = 0; k < n && r == 0; k++) {
		char name[ENTRY_NAME_MAX + 1], why[256] = "";
		struct entry *e = NULL;
		struct program *p;

		r = entry_parse(list[k], every, 0, &e, name, why, sizeof(why));
		if (r == 0)
			r = read_one(x->programs, e, why, sizeof(why));
		if (r == -ENOMEM)
			break;
		r = 0;
		if (*why)
			bad(list[k], why, user);
		/* What runs under a name whose entry is wrong now goes on. */
		p = *why && *name ? find(x->programs, name) : NULL;
		if (p)
			p->seen = true;
	}
	sweep(x->programs);
	return r;
}
