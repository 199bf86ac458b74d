/*
 * Answers that come by the piece: a cursor that goes on as the socket drains, so that a long answer needs no long
 * queue.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "control/server.h"
#include "store/reliability.h"
#include "store/trail.h"

enum answer_kind { ANSWER_GET, ANSWER_PROMISES, ANSWER_PLUGINS, ANSWER_COST, ANSWER_EXPLAIN, ANSWER_CHECK, ANSWER_SILENCES };

struct answer {
	enum answer_kind kind;
	struct patterns patterns;
	size_t index; /* of promises, plugins, parts */
	/* get: where it stands. Kept valid by answer_leave_*. */
	struct family *family;
	struct instance *instance; /* NULL: the family was not entered yet */
	uint32_t metric;
	bool trails;               /* get: recent samples instead of the last */
	const struct family *told; /* whose TrailFamily was said last */
	unsigned phase;            /* silences: silences, acks, receivers */
	bool promises;             /* cost: through with the plugins */
	struct reliability *reliability; /* promises, explain: NULL: not asked for */
	bool added, read;          /* promises: all were added to it; it was read */
	struct promise_explanation explanation;
	bool explained;            /* there is one */
	struct faults faults;
	struct fault *fault;       /* check: the next */
};

void answer_free(struct answer *a)
{
	if (!a)
		return;
	patterns_free(&a->patterns);
	if (a->explained)
		promise_explanation_free(&a->explanation);
	reliability_free(a->reliability);
	faults_free(&a->faults);
	free(a);
}

static int answer_new(struct peer *p, enum answer_kind kind)
{
	struct answer *a = calloc(1, sizeof(*a));

	if (!a)
		return -ENOMEM;
	a->kind = kind;
	p->answer = a;
	return 0;
}

/* With patterns; says why when they are refused */
static int answer_new_matching(struct peer *p, enum answer_kind kind, char **texts, size_t n)
{
	struct patterns patterns;
	struct buf why = BUF_INIT;
	int r;

	r = patterns_parse(&patterns, texts, n, control_host(p->control), &why);
	if (r < 0) {
		peer_say_refused(p, r, &why);
		buf_free(&why);
		return -EINVAL;
	}
	buf_free(&why);
	r = answer_new(p, kind);
	if (r < 0) {
		patterns_free(&patterns);
		return r;
	}
	p->answer->patterns = patterns;
	return 0;
}

/* The last piece: which patterns matched nothing. They number PATTERNS_MAX at most, from a request of 64 KiB. */
static bool answer_end(struct peer *p, const struct faults *faults)
{
	struct answer *a = p->answer;
	Control__End end = CONTROL__END__INIT;
	char *unmatched[PATTERNS_MAX];

	if ((a->kind == ANSWER_GET && !a->trails) || a->kind == ANSWER_PROMISES) {
		for (size_t i = 0; i < a->patterns.n; i++)
			if (!a->patterns.list[i].matched)
				unmatched[end.n_unmatched++] = a->patterns.list[i].text;
		end.unmatched = unmatched;
	}
	if (faults) {
		end.errors = faults->n_errors;
		end.warnings = faults->n_warnings;
	}
	peer_say_end(p, &end);
	p->answer = NULL;
	answer_free(a);
	return false;
}

/* ---- get -------------------------------------------------------------------------------------------------------- */

int answer_get(struct peer *p, char **patterns, size_t n)
{
	int r = answer_new_matching(p, ANSWER_GET, patterns, n);

	if (r == 0)
		p->answer->family = family_first(p->control->model);
	return r;
}

int answer_trail(struct peer *p, char **patterns, size_t n)
{
	int r = answer_get(p, patterns, n);

	if (r == 0)
		p->answer->trails = true;
	return r;
}

void sample_fill(Control__Sample *sample, const struct series *s, char name[NAME_MAX_LENGTH + 1])
{
	const struct metric *metric = series_metric(s);

	sample->name = series_name(s, name);
	sample->unit = metric->unit;
	sample->time = s->time;
	sample->stale = s->stale;
	sample->kind = (Control__Kind)metric->kind;
	if (!s->time)
		return;
	if (metric->kind == KITH_STATE) {
		sample->value_case = CONTROL__SAMPLE__VALUE_STATE;
		sample->state = metric->states[(uint32_t)s->value];
	} else {
		sample->value_case = CONTROL__SAMPLE__VALUE_NUMBER;
		sample->number = s->value;
	}
}

static void say_series(struct peer *p, const struct series *s)
{
	Control__Sample sample = CONTROL__SAMPLE__INIT;
	Control__Answer answer = CONTROL__ANSWER__INIT;
	char name[NAME_MAX_LENGTH + 1];

	sample_fill(&sample, s, name);
	answer.is_case = CONTROL__ANSWER__IS_SAMPLE;
	answer.sample = &sample;
	peer_say(p, &answer, false);
}

static void get_next_family(struct answer *a)
{
	a->family = family_next(a->family);
	a->instance = NULL;
	a->metric = 0;
}

static void get_next_instance(struct answer *a)
{
	a->instance = instance_next(a->instance);
	a->metric = 0;
	if (!a->instance)
		get_next_family(a);
}

static bool step_get(struct peer *p, unsigned *work)
{
	struct answer *a = p->answer;
	unsigned cost = a->patterns.n ? (unsigned)a->patterns.n : 1;
	const struct series *s;

	*work -= *work < cost ? *work : cost;
	if (!a->family)
		return answer_end(p, NULL);
	if (!a->instance) {
		if (patterns_family(&a->patterns, a->family->name)) {
			if (!a->trails)
				model_attend(a->family->owner);
			a->instance = instance_first(a->family);
		}
		if (!a->instance)
			get_next_family(a);
		return true;
	}
	s = &a->instance->series[a->metric];
	if ((!a->trails || trail_length(s)) &&
	    patterns_series(&a->patterns, a->family->name, a->instance->name, series_metric(s)->name)) {
		if (a->trails)
			trail_say(p, s, &a->told);
		else
			say_series(p, s);
	}
	if (++a->metric == a->family->n_metrics)
		get_next_instance(a);
	return true;
}

void answer_leave_instance(struct answer *a, const struct instance *instance)
{
	/* It is out of its family's table already, but still knows who comes after it. */
	if (a && a->kind == ANSWER_GET && a->instance == instance)
		get_next_instance(a);
}

void answer_leave_family(struct answer *a, const struct family *family)
{
	if (a && a->kind == ANSWER_GET && a->family == family)
		get_next_family(a);
	if (a && a->told == family)
		a->told = NULL;
}

/* ---- promises, explain ------------------------------------------------------------------------------------------ */

int answer_promises(struct peer *p, const Control__PromisesRequest *request)
{
	const char *off = request->reliability ? history_off(p->control->history) : NULL;
	int r;

	if (off) {
		peer_say_fault(p, CONTROL__CODE__NOT_FOUND, "there is no history of promises: %.900s", off);
		return -EINVAL;
	}
	r = answer_new_matching(p, ANSWER_PROMISES, request->patterns, request->n_patterns);
	if (r < 0 || !request->reliability)
		return r;
	r = reliability_new(p->control->history, false, &p->answer->reliability);
	if (r < 0) {
		answer_free(p->answer);
		p->answer = NULL;
	}
	return r;
}

/* Reads on in the history: four of them are a round. False: it failed, and that was said; *ret_more: it goes on */
static bool step_history(struct peer *p, unsigned *work, bool *ret_more)
{
	int r = reliability_step(p->answer->reliability);

	*work -= *work < CONTROL_WORK / 4 ? *work : CONTROL_WORK / 4;
	*ret_more = r > 0;
	if (r >= 0)
		return true;
	peer_say_fault(p, CONTROL__CODE__INTERNAL, "the history of promises cannot be read: %s", strerror(-r));
	answer_free(p->answer);
	p->answer = NULL;
	return false;
}

static void promise_fill(const struct control *c, Control__Promise *promise, const struct promise_info *info)
{
	quiet_fill(c, promise, info);
	promise->name = (char *)info->name;
	promise->promiser = (char *)info->promiser;
	promise->promisees = (char **)info->promisees;
	promise->n_promisees = info->n_promisees;
	promise->assessment = (Control__Assessment)info->assessment;
	promise->since = info->since;
	promise->severity = (uint32_t)info->severity;
	promise->because = (char *)info->because;
	promise->body = (char *)info->body;
	promise->place = (char *)info->place;
	promise->repaired = info->repaired;
	promise->flapping = info->flapping;
	promise->flap_window = info->flapping ? FLAP_WINDOW : 0;
}

static int promise_at(const struct control *c, size_t index, struct promise_info *ret_info)
{
	return c->promises ? promises_get(c->promises, index, ret_info) : -ENOENT;
}

static void say_promise(struct peer *p, const struct promise_info *info)
{
	const struct reliability_window *w = NULL;
	Control__Promise promise = CONTROL__PROMISE__INIT;
	Control__Answer answer = CONTROL__ANSWER__INIT;
	Control__Reliability windows[RELIABILITY_WINDOWS], *list[RELIABILITY_WINDOWS];

	promise_fill(p->control, &promise, info);
	if (p->answer->reliability)
		w = reliability_of(p->answer->reliability, info->name, info->promiser);
	for (size_t i = 0; w && i < RELIABILITY_WINDOWS; i++) {
		control__reliability__init(&windows[i]);
		windows[i].window = w[i].length;
		windows[i].kept = w[i].kept;
		windows[i].broken = w[i].broken;
		windows[i].breaks = w[i].breaks;
		windows[i].repairs = w[i].repairs;
		windows[i].mends = w[i].mends;
		windows[i].mend_time = w[i].mend_time;
		windows[i].longest = w[i].longest;
		list[promise.n_reliability++] = &windows[i];
	}
	promise.reliability = list;
	answer.is_case = CONTROL__ANSWER__IS_PROMISE;
	answer.promise = &promise;
	peer_say(p, &answer, false);
}

/* With reliability three times: which are asked for, what the history says of them, and then they are told. */
static bool step_promises(struct peer *p, unsigned *work)
{
	struct answer *a = p->answer;
	unsigned cost = (unsigned)a->patterns.n + 4;
	struct promise_info info;
	bool more;

	if (a->added && !a->read) {
		if (!step_history(p, work, &more))
			return false;
		a->read = !more;
		return true;
	}
	*work -= *work < cost ? *work : cost;
	if (promise_at(p->control, a->index++, &info) < 0) {
		if (!a->reliability || a->added)
			return answer_end(p, NULL);
		a->added = true;
		a->index = 0;
	} else if (patterns_promise(&a->patterns, info.name, info.promiser)) {
		if (!a->reliability || a->read)
			say_promise(p, &info);
		else
			/* One that cannot be added is told without windows. */
			reliability_add(a->reliability, info.name, info.promiser, info.assessment, info.since);
	}
	return true;
}

static void say_no_promise(struct peer *p, const Control__ExplainRequest *request)
{
	struct promise_info info;
	const char *near = NULL;
	char *names[256];
	size_t n = 0;

	/* The first of them are enough to find a slip of the pen. */
	for (size_t i = 0; n < 256 && promise_at(p->control, i, &info) == 0; i++)
		if (!n || strcmp(names[n - 1], info.name) != 0) {
			names[n] = strdup(info.name);
			n += names[n] != NULL;
		}
	near = suggest(request->name, strlen(request->name), (const char *const *)names, n);
	if (*request->promiser)
		peer_say_fault(p, CONTROL__CODE__NOT_FOUND, "no promise \"%.200s\" of promiser \"%.300s\": kith promises lists them",
		               request->name, request->promiser);
	else if (near)
		peer_say_fault(p, CONTROL__CODE__NOT_FOUND, "no promise \"%.200s\": did you mean \"%.200s\"?", request->name, near);
	else
		peer_say_fault(p, CONTROL__CODE__NOT_FOUND, "no promise \"%.200s\": kith promises lists them", request->name);
	while (n)
		free(names[--n]);
}

/* Broken before unknown before kept */
static int worse(enum kith_assessment a)
{
	switch (a) {
	case KITH_BROKEN:
		return 2;
	case KITH_UNKNOWN:
		return 1;
	case KITH_KEPT:
		break;
	}
	return 0;
}

/* The index of the worst one asked for, -ENOENT without; *ret_others: how many more there are */
static ptrdiff_t explain_find(struct peer *p, const char *name, const char *promiser, uint32_t *ret_others)
{
	struct promise_info info;
	ptrdiff_t found = -ENOENT;
	uint32_t n = 0;
	int how_bad = -1;

	for (size_t i = 0; promise_at(p->control, i, &info) == 0; i++) {
		if (strcmp(info.name, name) != 0 || (*promiser && strcmp(info.promiser, promiser) != 0))
			continue;
		n++;
		if (worse(info.assessment) > how_bad) {
			how_bad = worse(info.assessment);
			found = (ptrdiff_t)i;
		}
	}
	*ret_others = n ? n - 1 : 0;
	return found;
}

static void say_explanation(struct peer *p, size_t index, uint32_t others)
{
	const struct promise_explanation *e = &p->answer->explanation;
	Control__Explanation explanation = CONTROL__EXPLANATION__INIT;
	Control__Promise promise = CONTROL__PROMISE__INIT;
	Control__Answer answer = CONTROL__ANSWER__INIT;
	struct buf quiet = BUF_INIT;
	struct promise_info info;

	if (promise_at(p->control, index, &info) < 0)
		return;
	promise_fill(p->control, &promise, &info);
	if (p->control->notices)
		word_quiet(&quiet, p->control->notices, &info);
	explanation.quiet = (char *)buf_text(&quiet);
	explanation.promise = &promise;
	explanation.mend = e->mend;
	explanation.pending = e->pending;
	explanation.actions = e->actions;
	explanation.depends = e->depends;
	explanation.attention = e->attention;
	explanation.others = others;
	explanation.evaluations = info.evaluations;
	explanation.transitions = info.transitions;
	explanation.actions_run = info.actions;
	explanation.no_history = (char *)history_off(p->control->history);
	if (!explanation.no_history)
		explanation.no_history = (char *)"";
	answer.is_case = CONTROL__ANSWER__IS_EXPLANATION;
	answer.explanation = &explanation;
	peer_say(p, &answer, false);
	buf_free(&quiet);
}

/* What the history says of it comes behind its parts; without it that is left out. */
static void explain_history(struct peer *p, size_t index)
{
	struct answer *a = p->answer;
	struct promise_info info;

	if (promise_at(p->control, index, &info) < 0 || reliability_new(p->control->history, true, &a->reliability) < 0)
		return;
	if (reliability_add(a->reliability, info.name, info.promiser, info.assessment, info.since) == 0)
		return;
	reliability_free(a->reliability);
	a->reliability = NULL;
}

int answer_explain(struct peer *p, const Control__ExplainRequest *request)
{
	struct patterns where;
	struct buf why = BUF_INIT;
	uint32_t others = 0;
	ptrdiff_t index;
	int r;

	/* For `@where` alone, which stands behind the promise's name */
	r = patterns_parse(&where, (char *const *)&request->name, 1, control_host(p->control), &why);
	if (r < 0) {
		peer_say_refused(p, r, &why);
		buf_free(&why);
		return -EINVAL;
	}
	index = explain_find(p, where.list[0].text, request->promiser, &others);
	patterns_free(&where);
	if (index < 0) {
		say_no_promise(p, request);
		return -EINVAL;
	}
	r = answer_new(p, ANSWER_EXPLAIN);
	if (r < 0)
		return r;
	r = promises_explain(p->control->promises, (size_t)index, loop_now(p->control->loop), &p->answer->explanation);
	if (r < 0) {
		answer_free(p->answer);
		p->answer = NULL;
		peer_say_fault(p, CONTROL__CODE__INTERNAL, "cannot explain it: %s", strerror(-r));
		return -EINVAL;
	}
	p->answer->explained = true;
	say_explanation(p, (size_t)index, others);
	explain_history(p, (size_t)index);
	return 0;
}

static bool step_changes(struct peer *p, unsigned *work)
{
	const struct reliability_change *changes;
	bool more;

	if (!step_history(p, work, &more))
		return false;
	if (more)
		return true;
	for (size_t i = 0, n = reliability_changes(p->answer->reliability, &changes); i < n; i++) {
		Control__Change change = CONTROL__CHANGE__INIT;
		Control__Answer answer = CONTROL__ANSWER__INIT;

		change.time = changes[i].time;
		change.from = (Control__Assessment)changes[i].from;
		change.to = (Control__Assessment)changes[i].to;
		change.because = changes[i].because ? changes[i].because : (char *)"";
		change.repaired = changes[i].repaired;
		change.lasted = changes[i].lasted;
		answer.is_case = CONTROL__ANSWER__IS_CHANGE;
		answer.change = &change;
		peer_say(p, &answer, false);
	}
	return answer_end(p, NULL);
}

static bool step_explain(struct peer *p, unsigned *work)
{
	struct answer *a = p->answer;
	const struct promise_part *from;
	Control__Part part = CONTROL__PART__INIT;
	Control__Answer answer = CONTROL__ANSWER__INIT;

	--*work;
	if (a->index == a->explanation.n_parts)
		return a->reliability ? step_changes(p, work) : answer_end(p, NULL);
	from = &a->explanation.parts[a->index++];
	part.depth = from->depth;
	part.text = from->text;
	part.value = from->value;
	part.holds = (Control__Assessment)from->holds;
	part.condition = from->condition;
	if (from->series)
		part.series = from->series;
	if (from->away) {
		part.away = from->away;
		part.distance = from->distance;
		part.threshold = from->threshold;
	}
	answer.is_case = CONTROL__ANSWER__IS_PART;
	answer.part = &part;
	peer_say(p, &answer, false);
	return true;
}

/* ---- plugins, cost ---------------------------------------------------------------------------------------------- */

int answer_silences(struct peer *p)
{
	return answer_new(p, ANSWER_SILENCES);
}

int answer_plugins(struct peer *p)
{
	return answer_new(p, ANSWER_PLUGINS);
}

int answer_cost(struct peer *p)
{
	return answer_new(p, ANSWER_COST);
}

static int plugin_at(const struct control *c, size_t index, struct control_plugin *ret_plugin)
{
	return c->daemon.plugin ? c->daemon.plugin(index, ret_plugin, c->daemon.user) : -ENOENT;
}

static bool step_plugins(struct peer *p, unsigned *work)
{
	struct answer *a = p->answer;
	Control__Plugin plugin = CONTROL__PLUGIN__INIT;
	Control__Answer answer = CONTROL__ANSWER__INIT;
	struct control_plugin from = { 0 };

	--*work;
	if (plugin_at(p->control, a->index++, &from) < 0)
		return answer_end(p, NULL);
	plugin.name = (char *)from.name;
	plugin.version = (char *)from.version;
	plugin.state = (char *)from.state;
	plugin.reason = (char *)from.reason;
	plugin.file = (char *)from.file;
	plugin.series = from.series;
	answer.is_case = CONTROL__ANSWER__IS_PLUGIN;
	answer.plugin = &plugin;
	peer_say(p, &answer, false);
	return true;
}

static bool cost_fill(struct peer *p, Control__Cost *cost)
{
	struct answer *a = p->answer;
	struct control_plugin plugin = { 0 };
	struct promise_info info;

	if (!a->promises && plugin_at(p->control, a->index, &plugin) == 0) {
		cost->kind = (char *)"plugin";
		cost->name = (char *)plugin.name;
		cost->calls = plugin.calls;
		cost->cpu_ns = plugin.cpu_ns;
		cost->samples = plugin.samples;
		cost->failures = plugin.failures;
		cost->allocations = plugin.allocations;
		return true;
	}
	if (!a->promises) {
		a->promises = true;
		a->index = 0;
	}
	if (promise_at(p->control, a->index, &info) < 0)
		return false;
	cost->kind = (char *)"promise";
	cost->name = (char *)info.name;
	cost->calls = info.evaluations;
	cost->cpu_ns = info.cpu_ns;
	cost->failures = info.failures;
	cost->allocations = -1;
	return true;
}

static bool step_cost(struct peer *p, unsigned *work)
{
	Control__Cost cost = CONTROL__COST__INIT;
	Control__Answer answer = CONTROL__ANSWER__INIT;

	--*work;
	if (!cost_fill(p, &cost))
		return answer_end(p, NULL);
	p->answer->index++;
	answer.is_case = CONTROL__ANSWER__IS_COST;
	answer.cost = &cost;
	peer_say(p, &answer, false);
	return true;
}

/* ---- check ------------------------------------------------------------------------------------------------------ */

/* A text; what points at its faults relies on that. */
static bool file_is_text(const Control__File *file)
{
	return !file->text.len || !memchr(file->text.data, '\0', file->text.len);
}

int answer_check(struct peer *p, const Control__CheckRequest *request)
{
	struct promises_file *files;
	int r;

	for (size_t i = 0; i < request->n_files; i++)
		if (!file_is_text(request->files[i])) {
			peer_say_fault(p, CONTROL__CODE__USAGE, "%.500s is no text: it has a NUL in it", request->files[i]->path);
			return -EINVAL;
		}

	if (!p->control->promises || !request->n_files) {
		peer_say_fault(p, CONTROL__CODE__USAGE, request->n_files ? "kithd has no promises" : "no file was given");
		return -EINVAL;
	}
	files = calloc(request->n_files, sizeof(*files));
	if (!files)
		return -ENOMEM;
	r = answer_new(p, ANSWER_CHECK);
	if (r < 0) {
		free(files);
		return r;
	}
	for (size_t i = 0; i < request->n_files; i++) {
		files[i].path = request->files[i]->path;
		files[i].text = (const char *)request->files[i]->text.data;
		files[i].length = request->files[i]->text.len;
		if (!files[i].text)
			files[i].text = "";
	}
	r = promises_check(p->control->promises, files, request->n_files, &p->answer->faults);
	free(files);
	if (r < 0 && !p->answer->faults.n_errors) {
		answer_free(p->answer);
		p->answer = NULL;
		peer_say_fault(p, CONTROL__CODE__INTERNAL, "cannot check: %s", strerror(-r));
		return -EINVAL;
	}
	p->answer->fault = p->answer->faults.first;
	return 0;
}

static bool step_check(struct peer *p, unsigned *work)
{
	struct answer *a = p->answer;
	Control__CheckFault fault = CONTROL__CHECK_FAULT__INIT;
	Control__Answer answer = CONTROL__ANSWER__INIT;
	const struct fault *from = a->fault;
	struct buf shown = BUF_INIT;

	*work -= *work < 16 ? *work : 16;
	if (!from)
		return answer_end(p, &a->faults);
	a->fault = from->next;
	fault_format(from, &shown);
	fault.shown = (char *)buf_text(&shown);
	fault.file = from->file;
	fault.line = from->line;
	fault.column = from->column;
	fault.warning = from->warning;
	fault.text = from->text;
	if (from->hint)
		fault.hint = from->hint;
	answer.is_case = CONTROL__ANSWER__IS_CHECK_FAULT;
	answer.check_fault = &fault;
	peer_say(p, &answer, false);
	buf_free(&shown);
	return true;
}

bool answer_step(struct peer *p, unsigned *work)
{
	switch (p->answer->kind) {
	case ANSWER_GET:
		return step_get(p, work);
	case ANSWER_PROMISES:
		return step_promises(p, work);
	case ANSWER_PLUGINS:
		return step_plugins(p, work);
	case ANSWER_COST:
		return step_cost(p, work);
	case ANSWER_EXPLAIN:
		return step_explain(p, work);
	case ANSWER_CHECK:
		return step_check(p, work);
	case ANSWER_SILENCES:
		--*work;
		return quiet_step(p, &p->answer->phase, &p->answer->index) || answer_end(p, NULL);
	}
	return false;
}
