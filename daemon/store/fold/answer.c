#include "store/fold/answer.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "control/frame.h"

#define INPUT_MAX (2048u << 20)
#define PIECE 1000u       /* points of a frame */
#define STEPS_MAX 1000000 /* of an answer */

/* ---- frames ------------------------------------------------------------------------------------------------------------ */

/* A reader that is gone ends the work: SIGPIPE, or this */
static void say(const Control__Answer *answer)
{
	size_t length = control__answer__get_packed_size(answer);
	uint8_t *frame = malloc(FRAME_HEADER + length);

	if (!frame)
		exit(1);
	frame_put_length(frame, length);
	control__answer__pack(answer, frame + FRAME_HEADER);
	if (fwrite(frame, 1, FRAME_HEADER + length, stdout) != FRAME_HEADER + length)
		exit(1);
	free(frame);
}

static int say_fault(Control__Code code, const char *text)
{
	Control__Answer answer = CONTROL__ANSWER__INIT;
	Control__Fault fault = CONTROL__FAULT__INIT;

	fault.code = code;
	fault.text = (char *)(uintptr_t)text;
	answer.is_case = CONTROL__ANSWER__IS_FAULT;
	answer.fault = &fault;
	say(&answer);
	return fflush(stdout) == 0 ? 0 : 1;
}

static void say_span(const struct past_series *s, uint32_t number)
{
	Control__Answer answer = CONTROL__ANSWER__INIT;
	Control__Span span = CONTROL__SPAN__INIT;

	span.name = s->name;
	span.unit = s->unit;
	span.kind = s->states ? CONTROL__KIND__STATE : CONTROL__KIND__GAUGE;
	span.states = s->states;
	while (s->states && s->states[span.n_states])
		span.n_states++;
	span.number = number;
	answer.is_case = CONTROL__ANSWER__IS_SPAN;
	answer.span = &span;
	say(&answer);
}

/* Points on their way out */
struct out {
	uint32_t number;
	bool steps;
	size_t n;
	int64_t before, times[PIECE];
	double values[PIECE], least[PIECE], most[PIECE];
};

static void out_flush(struct out *o)
{
	Control__Answer answer = CONTROL__ANSWER__INIT;
	Control__Points points = CONTROL__POINTS__INIT;

	if (!o->n)
		return;
	points.number = o->number;
	points.n_times = points.n_values = o->n;
	points.times = o->times;
	points.values = o->values;
	if (o->steps) {
		points.n_least = points.n_most = o->n;
		points.least = o->least;
		points.most = o->most;
	}
	answer.is_case = CONTROL__ANSWER__IS_POINTS;
	answer.points = &points;
	say(&answer);
	o->n = 0;
}

static void out_point(struct out *o, const struct past_point *p)
{
	o->times[o->n] = o->n ? p->time - o->before : p->time;
	o->before = p->time;
	o->values[o->n] = p->value;
	o->least[o->n] = p->least;
	o->most[o->n] = p->most;
	if (++o->n == PIECE)
		out_flush(o);
}

/* ---- every sample, or steps ---------------------------------------------------------------------------------------------- */

static const struct past_point *point_at(const struct past_series *s, size_t index)
{
	return index < s->n_old ? &s->old[index] : &s->points[index - s->n_old];
}

static void say_samples(const struct past *p, const struct past_series *s, struct out *o)
{
	for (size_t i = 0; i < s->n_old + s->n; i++) {
		const struct past_point *at = point_at(s, i);

		if (at->time >= p->from && !isnan(at->value))
			out_point(o, at);
	}
}

/* What stands in (end - step, end]: the points in it, or the last one before for as long as that holds */
static bool step_of(const struct past_series *s, size_t *index, int64_t end, struct past_point *ret_point)
{
	struct past_point sum = { end, 0, NAN, NAN };
	size_t n = 0;

	for (; *index < s->n_old + s->n && point_at(s, *index)->time <= end; ++*index) {
		const struct past_point *at = point_at(s, *index);

		if (isnan(at->value))
			continue;
		n++;
		sum.value = s->states ? at->value : sum.value + at->value;
		sum.least = fmin(sum.least, isnan(at->least) ? at->value : at->least);
		sum.most = fmax(sum.most, isnan(at->most) ? at->value : at->most);
	}
	if (n) {
		sum.value = s->states ? sum.value : sum.value / (double)n;
	} else {
		const struct past_point *before = *index ? point_at(s, *index - 1) : NULL;

		if (!before || isnan(before->value) || (s->hold && end - before->time > s->hold))
			return false;
		sum.value = sum.least = sum.most = before->value;
	}
	*ret_point = sum;
	return true;
}

static void say_steps(const struct past *p, const struct past_series *s, struct out *o)
{
	int64_t end = p->from - p->from % p->step;
	struct past_point at;
	size_t index = 0;

	/* What stood before the first step */
	step_of(s, &index, end, &at);
	while ((end += p->step) <= p->to)
		if (step_of(s, &index, end, &at))
			out_point(o, &at);
}

static int by_name(struct past_series *a, struct past_series *b)
{
	return strcmp(a->name, b->name);
}

static void say_all(struct past *p)
{
	struct out *o = calloc(1, sizeof(*o));
	uint32_t number = 0;

	if (!o)
		exit(1);
	HASH_SORT(p->series, by_name);
	for (struct past_series *s = p->series; s; s = s->hh.next) {
		say_span(s, ++number);
		o->number = number;
		o->steps = p->step > 0;
		if (p->step)
			say_steps(p, s, o);
		else
			say_samples(p, s, o);
		out_flush(o);
	}
	free(o);
}

static void say_end(const struct past *p)
{
	Control__Answer answer = CONTROL__ANSWER__INIT;
	Control__End end = CONTROL__END__INIT;
	char *unmatched[PATTERNS_MAX];

	end.unmatched = unmatched;
	for (size_t i = 0; i < p->patterns.n; i++)
		if (!p->patterns.list[i].matched)
			unmatched[end.n_unmatched++] = p->patterns.list[i].text;
	answer.is_case = CONTROL__ANSWER__IS_END;
	answer.end = &end;
	say(&answer);
}

/* ---- the question ---------------------------------------------------------------------------------------------------------- */

static int input_read(struct buf *b)
{
	char part[65536];
	ssize_t n;

	while ((n = read(STDIN_FILENO, part, sizeof(part))) != 0) {
		if (n < 0 && errno != EINTR)
			return -errno;
		buf_append(b, part, n > 0 ? (size_t)n : 0);
		if (b->failed || b->length > INPUT_MAX)
			return -ENOMEM;
	}
	return 0;
}

static int history(struct past *p, const Control__HistoryRequest *ask, const uint8_t *ring, size_t length)
{
	struct buf why = BUF_INIT;
	char host[256] = "";
	int r;

	gethostname(host, sizeof(host) - 1);
	p->from = ask->from;
	p->to = ask->to ? ask->to : clock_wall();
	p->step = ask->step;
	if (p->from < 0 || p->to < p->from || p->step < 0)
		return say_fault(CONTROL__CODE__USAGE, "the time that is asked for ends before it begins");
	if (p->step && (p->to - p->from) / p->step > STEPS_MAX)
		return say_fault(CONTROL__CODE__USAGE, "that is more than a million steps: ask for longer ones");
	if (patterns_parse(&p->patterns, ask->patterns, ask->n_patterns, host, &why) < 0)
		return say_fault(CONTROL__CODE__USAGE, buf_text(&why));
	r = past_read_journal(p, ring, length);
	if (r == 0)
		r = past_read_rrd(p);
	if (r < 0)
		return say_fault(CONTROL__CODE__INTERNAL, strerror(-r));
	say_all(p);
	say_end(p);
	return fflush(stdout) == 0 ? 0 : 1;
}

int answer_run(const char *state)
{
	struct past p = { .state = state };
	struct buf input = BUF_INIT;
	Control__Request *request;
	const uint8_t *bytes;
	size_t length;

	if (input_read(&input) < 0 || input.length < FRAME_HEADER)
		return say_fault(CONTROL__CODE__INTERNAL, "kith-fold was asked nothing");
	bytes = (const uint8_t *)input.data;
	length = frame_length(bytes);
	if (length > input.length - FRAME_HEADER)
		return say_fault(CONTROL__CODE__INTERNAL, "kith-fold was asked half a question");
	request = control__request__unpack(NULL, length, bytes + FRAME_HEADER);
	bytes += FRAME_HEADER + length;
	length = input.length - FRAME_HEADER - length;
	if (!request || request->ask_case != CONTROL__REQUEST__ASK_HISTORY)
		return say_fault(CONTROL__CODE__USAGE, "kith-fold does not know that question");
	return history(&p, request->history, bytes, length);
}
