#include "cli/history.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/units.h"
#include "cli/command_options.h"
#include "cli/status.h"

/* ---- asking ------------------------------------------------------------------------------------------------------------ */

struct hearing {
	const struct history_ask *ask;
	struct history_series **series; /* by their numbers in the answer, from 1 */
	size_t n;
	bool progress; /* is shown on standard error, and has something on its line */
	bool failed;
};

static void series_free(struct history_series *s)
{
	for (size_t i = 0; s->states && i < s->n_states; i++)
		free(s->states[i]);
	free(s->states);
	free(s->name);
	free(s->unit);
	free(s);
}

static struct history_series *series_copy(const Control__Span *span)
{
	struct history_series *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->name = strdup(span->name);
	s->unit = strdup(span->unit);
	s->kind = span->kind;
	s->event = span->event;
	s->stale_after = span->stale_after;
	s->states = calloc(span->n_states + 1, sizeof(*s->states));
	while (s->states && s->n_states < span->n_states && (s->states[s->n_states] = strdup(span->states[s->n_states])))
		s->n_states++;
	if (s->name && s->unit && s->states && s->n_states == span->n_states)
		return s;
	series_free(s);
	return NULL;
}

static void on_span(struct hearing *h, const Control__Span *span)
{
	struct history_series **more, *s;

	if (span->number != h->n + 1) {
		h->failed = true;
		return;
	}
	more = realloc(h->series, (h->n + 1) * sizeof(struct history_series *));
	if (more)
		h->series = more;
	s = more ? series_copy(span) : NULL;
	if (!s) {
		h->failed = true;
		return;
	}
	h->series[h->n++] = s;
	if (h->ask->series)
		h->ask->series(s, h->ask->user);
}

static void on_points(struct hearing *h, const Control__Points *p)
{
	bool steps = p->n_least == p->n_values && p->n_most == p->n_values && p->n_values;
	size_t extra = 0;
	int64_t time = 0;

	if (!p->number || p->number > h->n || p->n_times != p->n_values) {
		h->failed = true;
		return;
	}
	for (size_t i = 0; i < p->n_values; i++) {
		struct history_point at = { .value = p->values[i], .least = NAN, .most = NAN, .step = p->step };

		time = (int64_t)((uint64_t)time + (uint64_t)p->times[i]);
		at.time = time;
		at.extra = extra < p->n_extra && p->extra[extra] == i;
		extra += at.extra;
		if (steps) {
			at.least = p->least[i];
			at.most = p->most[i];
		}
		if (h->ask->point)
			h->ask->point(h->series[p->number - 1], &at, h->ask->user);
	}
}

static void progress_clear(struct hearing *h)
{
	if (h->progress)
		fputs("\r\033[K", stderr);
	h->progress = false;
}

static void on_progress(struct hearing *h, const Control__Progress *p)
{
	struct buf what = BUF_INIT;

	if (!isatty(STDERR_FILENO))
		return;
	out_clean(&what, p->what);
	if (p->of)
		fprintf(stderr, "\r\033[K%s: %.0f %%", buf_text(&what), (double)p->done * 100 / (double)p->of);
	else
		fprintf(stderr, "\r\033[K%s", buf_text(&what));
	buf_free(&what);
	h->progress = true;
}

static void on_answer(const Control__Answer *answer, void *user)
{
	struct hearing *h = user;

	if (answer->is_case == CONTROL__ANSWER__IS_PROGRESS) {
		on_progress(h, answer->progress);
		return;
	}
	progress_clear(h);
	if (answer->is_case == CONTROL__ANSWER__IS_SPAN)
		on_span(h, answer->span);
	else if (answer->is_case == CONTROL__ANSWER__IS_POINTS)
		on_points(h, answer->points);
}

int history_ask(struct cli *cli, const struct history_ask *ask)
{
	Control__Request request = CONTROL__REQUEST__INIT;
	Control__HistoryRequest history = CONTROL__HISTORY_REQUEST__INIT;
	struct hearing h = { .ask = ask };
	int status;

	history.patterns = ask->patterns;
	history.n_patterns = ask->n_patterns;
	history.from = ask->from;
	history.to = ask->to;
	history.step = ask->step;
	history.raw = ask->raw;
	request.ask_case = CONTROL__REQUEST__ASK_HISTORY;
	request.history = &history;
	status = ask_long(cli, &request, on_answer, &h);
	progress_clear(&h);
	for (size_t i = 0; i < h.n; i++)
		series_free(h.series[i]);
	free(h.series);
	if (status == CLI_YES && h.failed) {
		cli_fail("kithd gave an answer that cannot be read, or there is no memory for it");
		return CLI_UNREACHABLE;
	}
	return status == CLI_YES && !h.n ? CLI_NO : status;
}

/* ---- kith get --since ---------------------------------------------------------------------------------------------------- */

enum form { FORM_TABLE, FORM_CSV, FORM_JSON };

struct rows {
	struct cli *cli;
	enum form form;
	bool steps;
	bool known; /* only what is */
	struct table *table; /* of the series that is being told, on a terminal */
	uint64_t n;
};

static void sample_of(const struct history_series *s, const struct history_point *p, Control__Sample *sample)
{
	control__sample__init(sample);
	sample->name = s->name;
	sample->unit = s->unit;
	sample->kind = s->kind;
	sample->time = p->time;
	if (isnan(p->value))
		return;
	if (s->kind == CONTROL__KIND__STATE && p->value >= 0 && p->value < (double)s->n_states) {
		sample->value_case = CONTROL__SAMPLE__VALUE_STATE;
		sample->state = s->states[(size_t)p->value];
	} else {
		sample->value_case = CONTROL__SAMPLE__VALUE_NUMBER;
		sample->number = p->value;
	}
}

static void local_time(int64_t wall, char *text, size_t size)
{
	time_t seconds = (time_t)(wall / NS_PER_S);
	struct tm tm;
	size_t n;

	localtime_r(&seconds, &tm);
	n = strftime(text, size, "%Y-%m-%d %H:%M:%S", &tm);
	if (wall % NS_PER_S)
		snprintf(text + n, size - n, ".%03d", (int)(wall % NS_PER_S / NS_PER_MS));
}

static const char *bound_text(const struct history_series *s, double value, char *text, size_t size)
{
	return isnan(value) ? "-" : unit_format(value, s->unit, text, size);
}

static void table_row(struct rows *r, const struct history_series *s, const struct history_point *p, const Control__Sample *sample)
{
	char text[UNIT_TEXT_MAX], clock[48];

	table_cell(r->table, OUT_PLAIN, "%s", s->name);
	table_cell(r->table, OUT_BOLD, "%s", value_text(sample, text, sizeof(text)));
	if (r->steps) {
		table_cell(r->table, OUT_PLAIN, "%s", bound_text(s, p->least, text, sizeof(text)));
		table_cell(r->table, OUT_PLAIN, "%s", bound_text(s, p->most, text, sizeof(text)));
	}
	local_time(p->time, clock, sizeof(clock));
	table_cell(r->table, OUT_DIM, "%s", clock);
}

static void table_show(struct rows *r)
{
	static const char *const headers[] = { "SERIES", ">VALUE", "TIME", NULL };
	static const char *const step_headers[] = { "SERIES", ">VALUE", ">LEAST", ">MOST", "UNTIL", NULL };

	if (r->table)
		table_print(r->table, &r->cli->out);
	table_free(r->table);
	r->table = table_new(r->steps ? step_headers : headers);
}

/* RFC 4180: quotes where there is what could be taken for the next field */
static void csv_text(const char *text)
{
	if (!strpbrk(text, ",\"\n\r")) {
		fputs(text, stdout);
		return;
	}
	putchar('"');
	for (; *text; text++) {
		if (*text == '"')
			putchar('"');
		putchar(*text);
	}
	putchar('"');
}

static void csv_number(double value)
{
	putchar(',');
	if (!isnan(value))
		printf("%.15g", value);
}

static void csv_row(struct rows *r, const struct history_series *s, const struct history_point *p, const Control__Sample *sample)
{
	char clock[CLOCK_TEXT_MAX];

	printf("%s,", clock_format(p->time, clock, sizeof(clock)));
	csv_text(s->name);
	if (sample->value_case == CONTROL__SAMPLE__VALUE_STATE) {
		putchar(',');
		csv_text(sample->state);
	} else {
		csv_number(p->value);
	}
	if (r->steps) {
		csv_number(p->least);
		csv_number(p->most);
	}
	putchar('\n');
}

static void json_row(struct rows *r, const struct history_point *p, const Control__Sample *sample)
{
	json_t *o = sample_json(sample);

	if (r->steps) {
		json_object_set_new(o, "min", isnan(p->least) ? json_null() : json_double(p->least));
		json_object_set_new(o, "max", isnan(p->most) ? json_null() : json_double(p->most));
	}
	json_array_add_take(&r->cli->out, o);
}

/* Nobody reads any more, which is nobody's fault, or it cannot be written: the rest need not come. stdio forgets why, and what it had. */
static void row_failed(struct rows *r, int error)
{
	struct out *o = &r->cli->out;

	if (!o->error)
		o->error = -error;
	exit(out_flush(o) == -EPIPE ? CLI_YES : cli_end(r->cli, CLI_YES));
}

static void on_series(const struct history_series *s, void *user)
{
	struct rows *r = user;

	(void)s;
	if (r->form == FORM_TABLE)
		table_show(r);
}

static void on_point(const struct history_series *s, const struct history_point *p, void *user)
{
	struct rows *r = user;
	Control__Sample sample;

	if (r->known && isnan(p->value))
		return;
	sample_of(s, p, &sample);
	r->n++;
	errno = 0;
	if (r->form == FORM_JSON)
		json_row(r, p, &sample);
	else if (r->form == FORM_CSV)
		csv_row(r, s, p, &sample);
	else
		table_row(r, s, p, &sample);
	if (ferror(stdout))
		row_failed(r, r->form == FORM_TABLE ? 0 : errno); /* a table is written elsewhere */
}

static int form_of(const struct cli *cli, enum form *ret_form)
{
	const char *as = cli_value(cli, GET_AS);

	*ret_form = cli->json ? FORM_JSON : FORM_TABLE;
	if (!as)
		return CLI_YES;
	if (!strcmp(as, "csv"))
		*ret_form = FORM_CSV;
	else if (!strcmp(as, "json"))
		*ret_form = FORM_JSON;
	else if (!strcmp(as, "table"))
		*ret_form = FORM_TABLE;
	else {
		cli_fail("--as %s: say csv, json or table", as);
		return CLI_USAGE;
	}
	return CLI_YES;
}

int history_csv(struct cli *cli, struct history_ask *ask)
{
	struct rows r = { .cli = cli, .form = FORM_CSV, .steps = ask->step, .known = true };
	int status;

	ask->point = on_point;
	ask->user = &r;
	puts(r.steps ? "time,name,value,min,max" : "time,name,value");
	status = history_ask(cli, ask);
	return status == CLI_YES && !r.n ? CLI_NO : status;
}

int history_json(struct cli *cli, struct history_ask *ask)
{
	struct rows r = { .cli = cli, .form = FORM_JSON, .steps = ask->step };
	int status;

	ask->series = NULL;
	ask->point = on_point;
	ask->user = &r;
	json_array_begin(&cli->out);
	status = history_ask(cli, ask);
	json_array_end(&cli->out);
	return status == CLI_YES && !r.n ? CLI_NO : status;
}

int history_span(struct cli *cli, int since, int until, int64_t *ret_from, int64_t *ret_to)
{
	int status = cli_since(cli, since, ret_from);

	if (status == CLI_YES)
		status = cli_time(cli, until, ret_to);
	if (status == CLI_YES && *ret_to && *ret_to <= *ret_from) {
		cli_fail("--until is not after --since");
		return CLI_USAGE;
	}
	/* Nothing is known of what comes, and steps up to there would be too many. */
	if (*ret_to > clock_wall())
		*ret_to = 0;
	return status;
}

int history_get(struct cli *cli)
{
	struct rows r = { .cli = cli };
	struct history_ask ask = { .patterns = cli->args, .n_patterns = cli->n_args, .series = on_series, .point = on_point, .user = &r };
	int status = form_of(cli, &r.form);

	ask.from = clock_wall() - 3600 * NS_PER_S;
	if (status == CLI_YES)
		status = history_span(cli, GET_SINCE, GET_UNTIL, &ask.from, &ask.to);
	if (status == CLI_YES)
		status = cli_duration(cli, GET_STEP, &ask.step);
	if (status != CLI_YES)
		return status;
	if (r.form == FORM_JSON)
		return history_json(cli, &ask);
	r.steps = ask.step;
	if (r.form == FORM_CSV)
		puts(r.steps ? "time,name,value,min,max" : "time,name,value");
	status = history_ask(cli, &ask);
	if (r.form == FORM_TABLE && r.table)
		table_show(&r);
	table_free(r.table);
	return status == CLI_YES && !r.n ? CLI_NO : status;
}
