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
#include "plugin.h"

#define POINTS_AT_ONCE 1000u

/* ---- out -------------------------------------------------------------------------------------------------------------- */

static int write_all(int fd, const uint8_t *data, size_t length)
{
	while (length) {
		ssize_t n = write(fd, data, length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EPIPE;
		data += n;
		length -= (size_t)n;
	}
	return 0;
}

/* `message` is a member of the answer: all have a pointer at the same place */
int answer_send(struct answer *a, Control__Answer__IsCase is, ProtobufCMessage *message)
{
	Control__Answer answer = CONTROL__ANSWER__INIT;
	size_t size;

	answer.is_case = is;
	answer.end = (void *)message;
	size = control__answer__get_packed_size(&answer);
	if (size > FRAME_ANSWER_MAX)
		return -EMSGSIZE;
	if (a->frame_size < FRAME_HEADER + size) {
		uint8_t *more = realloc(a->frame, FRAME_HEADER + size);

		if (!more)
			return -ENOMEM;
		a->frame = more;
		a->frame_size = FRAME_HEADER + size;
	}
	frame_put_length(a->frame, size);
	control__answer__pack(&answer, a->frame + FRAME_HEADER);
	return write_all(a->out, a->frame, FRAME_HEADER + size);
}

int answer_fault(struct answer *a, Control__Code code, const char *text)
{
	Control__Fault fault = CONTROL__FAULT__INIT;
	struct buf clean = BUF_INIT;
	int r;

	buf_clean_line(&clean, text, strlen(text), 1000);
	fault.code = code;
	fault.text = clean.failed || !clean.data ? (char *)"" : clean.data;
	r = answer_send(a, CONTROL__ANSWER__IS_FAULT, &fault.base);
	buf_free(&clean);
	return r;
}

static int send_end(struct answer *a, const struct patterns *p)
{
	Control__End end = CONTROL__END__INIT;
	char **unmatched = calloc(p->n ? p->n : 1, sizeof(*unmatched));
	int r;

	if (!unmatched)
		return -ENOMEM;
	end.unmatched = unmatched;
	for (size_t k = 0; k < p->n; k++)
		if (!p->list[k].matched)
			unmatched[end.n_unmatched++] = p->list[k].text;
	r = answer_send(a, CONTROL__ANSWER__IS_END, &end.base);
	free(unmatched);
	return r;
}

/* ---- history ------------------------------------------------------------------------------------------------------------ */

static int send_span(struct answer *a, const struct past_series *s)
{
	Control__Span span = CONTROL__SPAN__INIT;
	char *name = NULL, *unit = NULL;
	int r = -ENOMEM;

	if (asprintf(&name, *s->instance ? "%s:%s:%s" : "%s%s:%s", s->family, s->instance, s->metric) < 0)
		name = NULL;
	if (asprintf(&unit, s->kind == KITH_COUNTER && !a->raw ? "%s/s" : "%s", s->unit) < 0)
		unit = NULL;
	if (name && unit) {
		span.name = name;
		span.unit = unit;
		span.kind = s->kind == KITH_STATE ? CONTROL__KIND__STATE : CONTROL__KIND__GAUGE;
		if (a->raw) {
			span.kind = s->kind == KITH_COUNTER ? CONTROL__KIND__COUNTER : span.kind;
			span.event = s->flags & KITH_METRIC_EVENT;
			span.stale_after = s->stale_after;
		}
		span.n_states = s->kind == KITH_STATE ? s->n_states : 0;
		span.states = s->states;
		span.number = ++a->spans;
		r = answer_send(a, CONTROL__ANSWER__IS_SPAN, &span.base);
	}
	free(name);
	free(unit);
	return r;
}

/* Of one source and one step; `numbers` has room for all of it */
static int send_points(struct answer *a, const struct past_point *p, size_t n, int64_t *times, double *numbers)
{
	uint32_t extra[POINTS_AT_ONCE];
	Control__Points points = CONTROL__POINTS__INIT;

	points.number = a->spans;
	points.from = p->from;
	points.step = p->step;
	points.n_times = points.n_values = n;
	points.times = times;
	points.extra = extra;
	points.values = numbers;
	if (p->step) {
		points.n_least = points.n_most = n;
		points.least = numbers + POINTS_AT_ONCE;
		points.most = numbers + 2 * POINTS_AT_ONCE;
	}
	for (size_t k = 0; k < n; k++) {
		times[k] = k ? p[k].time - p[k - 1].time : p[k].time;
		numbers[k] = p[k].value;
		if (a->raw && p[k].extra)
			extra[points.n_extra++] = (uint32_t)k;
		numbers[POINTS_AT_ONCE + k] = p[k].least;
		numbers[2 * POINTS_AT_ONCE + k] = p[k].most;
	}
	return answer_send(a, CONTROL__ANSWER__IS_POINTS, &points.base);
}

static int send_series(const struct past_series *s, void *user)
{
	struct answer *a = user;
	int64_t *times = malloc(POINTS_AT_ONCE * sizeof(*times));
	double *numbers = malloc(3 * POINTS_AT_ONCE * sizeof(*numbers));
	int r = times && numbers ? send_span(a, s) : -ENOMEM;

	for (size_t k = 0, n; r == 0 && k < s->n; k += n) {
		for (n = 1; n < POINTS_AT_ONCE && k + n < s->n && s->points[k + n].from == s->points[k].from && s->points[k + n].step == s->points[k].step;
		     n++)
			;
		r = send_points(a, s->points + k, n, times, numbers);
	}
	free(times);
	free(numbers);
	return r;
}

static int send_progress(uint64_t done, uint64_t of, void *user)
{
	struct answer *a = user;
	Control__Progress progress = CONTROL__PROGRESS__INIT;

	progress.done = done;
	progress.of = of;
	progress.what = (char *)"segments";
	return answer_send(a, CONTROL__ANSWER__IS_PROGRESS, &progress.base);
}

/* ---- in ------------------------------------------------------------------------------------------------------------------ */

static int read_all(int fd, void *data, size_t length)
{
	uint8_t *at = data;

	while (length) {
		ssize_t n = read(fd, at, length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EBADMSG;
		at += n;
		length -= (size_t)n;
	}
	return 0;
}

static int read_request(int fd, Control__Request **ret_request)
{
	uint8_t head[FRAME_HEADER], *data;
	size_t length;
	int r = read_all(fd, head, sizeof(head));

	if (r < 0)
		return r;
	length = frame_length(head);
	if (length > FRAME_REQUEST_MAX)
		return -EBADMSG;
	data = malloc(length ? length : 1);
	if (!data)
		return -ENOMEM;
	r = read_all(fd, data, length);
	if (r == 0 && !(*ret_request = control__request__unpack(NULL, length, data)))
		r = -EBADMSG;
	free(data);
	return r;
}

/* The rest of standard input */
static int read_ring(int fd, struct buf *ring)
{
	char block[65536];
	ssize_t n;

	while ((n = read(fd, block, sizeof(block))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (ring->length + (size_t)n > PAST_RING_MAX)
			return -EFBIG;
		buf_append(ring, block, (size_t)n);
		if (ring->failed)
			return -ENOMEM;
	}
	return 0;
}

static int run_history(struct answer *a, const Control__HistoryRequest *q, struct past_config *past)
{
	past->from = q->from;
	past->to = q->to ? q->to : clock_wall();
	past->step = q->step;
	past->series = send_series;
	past->progress = send_progress;
	past->user = a;
	past->raw = a->raw = q->raw && !q->step;
	if (q->step < 0 || (q->step && q->step < NS_PER_MS) || past->from > past->to || past->from < 0 || past->to > INT64_MAX / 4)
		return answer_fault(a, CONTROL__CODE__USAGE, "a history's times or step are none") ?: 1;
	if (q->step && (past->to - past->from) / q->step > (int64_t)PAST_STEPS_MAX)
		return answer_fault(a, CONTROL__CODE__USAGE, "so short a step for so long a time is too much: more than a million values each") ?: 1;
	return past_run(past);
}

static int run(struct answer *a, const Control__Request *q, const struct buf *ring)
{
	bool history = q->ask_case == CONTROL__REQUEST__ASK_HISTORY, graph = q->ask_case == CONTROL__REQUEST__ASK_GRAPH;
	struct past_config past = { .state = a->state };
	struct patterns patterns = { 0 };
	struct buf why = BUF_INIT;
	char host[256] = "";
	int r;

	if (!history && !graph)
		return answer_fault(a, CONTROL__CODE__USAGE, "neither a history nor a graph is asked for");
	gethostname(host, sizeof(host) - 1);
	r = patterns_parse(&patterns, history ? q->history->patterns : q->graph->patterns, history ? q->history->n_patterns : q->graph->n_patterns,
	                   host, &why);
	if (r < 0 && r != -ENOMEM) {
		r = answer_fault(a, r == -EHOSTUNREACH ? CONTROL__CODE__NO_NEIGHBOUR : CONTROL__CODE__USAGE, buf_text(&why));
		buf_free(&why);
		return r;
	}
	buf_free(&why);
	if (r < 0)
		return r;
	past.patterns = &patterns;
	past.ring = ring->length ? (const uint8_t *)ring->data : NULL;
	past.ring_length = ring->length;
	r = history ? run_history(a, q->history, &past) : graph_answer(a, q->graph, &past);
	if (r == 0)
		r = send_end(a, &patterns);
	else if (r == 1)
		r = 0; /* a fault was told */
	patterns_free(&patterns);
	return r;
}

int answer_run(const char *state, const char *cached, int in, int out)
{
	struct answer a = { .state = state, .out = out, .cached = cached };
	Control__Request *q = NULL;
	struct buf ring = BUF_INIT;
	int r = read_request(in, &q);

	if (r == 0)
		r = read_ring(in, &ring);
	if (r == 0)
		r = run(&a, q, &ring);
	/* Whoever asks waits for an end. */
	if (r < 0 && r != -EPIPE) {
		char text[256];

		snprintf(text, sizeof(text), "the past cannot be read: %s", r == -EBADMSG ? "what was asked is no request" : strerror(-r));
		answer_fault(&a, CONTROL__CODE__INTERNAL, text);
	}
	if (q)
		control__request__free_unpacked(q, NULL);
	buf_free(&ring);
	free(a.frame);
	return r;
}
