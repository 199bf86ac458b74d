/*
 * Windows computed the naive way: every sample is kept and all is computed anew, in long doubles. Gives the bounds in
 * which the running state's answer must be.
 */
#ifndef KITH_TESTS_NAIVE_WINDOWS_H
#define KITH_TESTS_NAIVE_WINDOWS_H

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "promises/window.h"

#define SAMPLES 8192

/* Times are those of a clock that nobody sets. */
struct sample {
	int64_t time, from; /* held: the value counts from here on */
	double value, increase;
	int64_t since;      /* the sample before it; ns */
};

struct naive {
	struct window_spec spec;
	int64_t width;
	int buckets;
	struct sample s[SAMPLES];
	int n;
	int64_t now;    /* held: what time has come to; else of the last sample */
	int64_t reset, change;
	bool changed;
	uint64_t seed;
	double worst;   /* relative error of a percentile where 1 % is promised */
};

/* What a held value was for a time, or a sample */
struct piece {
	double value;
	int64_t from, weight;
};

static void naive_open(struct naive *m, const struct window_spec *spec)
{
	m->spec = *spec;
	m->buckets = spec->op == OP_PERCENTILE ? 16 : 64;
	m->width = (spec->length + m->buckets - 1) / m->buckets;
	m->n = 0;
	m->now = m->reset = INT64_MIN;
	m->changed = false;
}

static int64_t floor_to(int64_t time, int64_t width)
{
	return time >= 0 ? time / width : -((-time + width - 1) / width);
}

static int64_t naive_begin(const struct naive *m)
{
	return (floor_to(m->now, m->width) - m->buckets + 1) * m->width;
}

static void naive_forget(struct naive *m)
{
	int64_t begin = naive_begin(m);
	int out = 0;

	while (out + 1 < m->n && m->s[out + 1].from < begin && m->s[out + 1].time < begin)
		out++;
	ck_assert_int_gt(out, 0);
	m->n -= out;
	memmove(m->s, m->s + out, (size_t)m->n * sizeof(m->s[0]));
}

static void naive_advance(struct naive *m, int64_t now)
{
	if (m->spec.held && m->n && now > m->now)
		m->now = now;
}

static void naive_put(struct naive *m, double value, int64_t time)
{
	const struct sample *last = m->n ? &m->s[m->n - 1] : NULL;
	struct sample s = { .time = time, .value = value };

	if (last && s.time < last->time)
		s.time = last->time;
	if (!m->n || s.time > m->now)
		m->now = s.time;
	s.from = m->spec.held ? m->now : s.time;
	if (last) {
		s.since = s.time - last->time;
		s.increase = m->spec.counter && value < last->value ? value : value - last->value;
		if (m->spec.counter && value < last->value)
			m->reset = s.from;
		if (value != last->value) {
			m->changed = true;
			m->change = s.from;
		}
	}
	if (m->n == SAMPLES)
		naive_forget(m);
	m->s[m->n++] = s;
}

static int naive_pieces(const struct naive *m, struct piece *pieces)
{
	int64_t begin = naive_begin(m);
	int n = 0;

	for (int i = 0; i < m->n; i++) {
		int64_t from = m->s[i].from, to = i + 1 < m->n ? m->s[i + 1].from : m->now;

		if (m->spec.op == OP_FORECAST && m->spec.counter && from < m->reset)
			continue;
		if (m->spec.op == OP_FORECAST && m->spec.counter && i + 1 < m->n && from == m->reset) {
			bool before = false; /* one of the same time that came before the reset */

			for (int j = i + 1; j < m->n && m->s[j].from == from; j++)
				before |= m->s[j].value < m->s[j - 1].value;
			if (before)
				continue;
		}
		if (!m->spec.held) {
			if (from >= begin)
				pieces[n++] = (struct piece){ m->s[i].value, from, 1 };
			continue;
		}
		if (from < begin)
			from = begin;
		if (to > from)
			pieces[n++] = (struct piece){ m->s[i].value, from, to - from };
	}
	return n;
}

static struct piece pieces[SAMPLES];

static double weight_of(const struct naive *m, const struct piece *p)
{
	return m->spec.held ? (double)p->weight * 1e-9 : (double)p->weight;
}

/* Least value and greatest that the sums, extremes and counts may be */
struct answer {
	double low, high;
};

static struct answer about(double value, double error)
{
	return (struct answer){ value - error, value + error };
}

static struct answer naive_sums(const struct naive *m)
{
	double inc = 0, time = 0, sum = 0, size = 0, steps = 0, min = INFINITY, max = -INFINITY;
	int64_t begin = naive_begin(m);
	int count = 0;

	for (int i = 0; i < m->n; i++) {
		const struct sample *s = &m->s[i];
		bool held = m->spec.held && s->from < begin && (i + 1 == m->n || m->s[i + 1].from >= begin);

		if (s->from < begin && !held)
			continue;
		min = fmin(min, s->value);
		max = fmax(max, s->value);
		if (held)
			continue;
		inc += s->increase;
		steps += fabs(s->increase);
		time += (double)s->since * 1e-9;
		sum += s->value;
		size += fabs(s->value);
		count++;
	}
	switch ((int)m->spec.op) {
	case OP_RATE:
		if (m->spec.held)
			time = (double)m->spec.length * 1e-9;
		else if (!(time > 0))
			return (struct answer){ NAN, NAN };
		return about(inc / time, 1e-11 * steps / time);
	case OP_DELTA:
		return about(inc, 1e-11 * steps);
	case OP_MIN:
		return about(min, 0);
	case OP_MAX:
		return about(max, 0);
	case OP_COUNT:
		return about(count, 0);
	}
	return about(sum, m->spec.op == OP_RECORDS ? 0 : 1e-11 * size);
}

static struct answer naive_moments(const struct naive *m)
{
	int n = naive_pieces(m, pieces);
	long double weight = 0, mean = 0, size = 0, time = 0, yy = 0, tt = 0, ty = 0, slope, sd, end;
	const long double base = n ? pieces[0].value : 0;
	int64_t start = n ? pieces[0].from : 0;

	for (int i = 0; i < n; i++) {
		long double w = weight_of(m, &pieces[i]);
		long double middle = (long double)(pieces[i].from - start) * 1e-9L + (m->spec.held ? w / 2 : 0);

		weight += w;
		mean += w * (pieces[i].value - base);
		size += w * fabsl(pieces[i].value);
		time += w * middle;
	}
	if (!n) {
		if (m->spec.op == OP_FORECAST)
			return (struct answer){ NAN, NAN };
		return about(m->spec.op == OP_AVG ? m->s[m->n - 1].value : 0, 0);
	}
	mean /= weight;
	time /= weight;
	if (m->spec.op == OP_AVG)
		return about((double)(base + mean), 1e-11 * (double)(size / weight));
	for (int i = 0; i < n; i++) {
		long double w = weight_of(m, &pieces[i]), y = pieces[i].value - base - mean;
		long double t = (long double)(pieces[i].from - start) * 1e-9L + (m->spec.held ? w / 2 : 0) - time;

		yy += w * y * y;
		tt += w * t * t + (m->spec.held ? w * w * w / 12 : 0);
		ty += w * t * y;
	}
	sd = sqrtl(yy / weight);
	if (m->spec.op == OP_STDDEV)
		return about((double)sd, 1e-9 * (double)sd);
	end = m->spec.held ? m->now : m->s[m->n - 1].time;
	if ((!m->spec.held && n < 3) || 2 * ((int64_t)end - start) < m->spec.length)
		return (struct answer){ NAN, NAN };
	slope = ty / tt;
	end = (end - start + m->spec.horizon) * 1e-9L;
	mean += slope * (end - time);
	sd += sqrtl(yy / tt) * fabsl(end - time);
	mean += base;
	return about((double)mean, 1e-9 * (double)sd + 4e-16 * (double)fabsl(mean));
}

/* ---- percentiles ------------------------------------------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
	const struct piece *x = a, *y = b;

	return x->value < y->value ? -1 : x->value > y->value;
}

static double at_rank(const struct piece *p, int n, int64_t rank)
{
	int i = 0;

	for (int64_t below = p[0].weight; below < rank && i + 1 < n; below += p[i].weight)
		i++;
	return p[i].value;
}

static double promised_error(const struct piece *p, int n)
{
	double low[2] = { INFINITY, INFINITY }, high[2] = { 0, 0 };

	for (int i = 0; i < n; i++)
		if (p[i].value != 0) {
			low[p[i].value < 0] = fmin(low[p[i].value < 0], fabs(p[i].value));
			high[p[i].value < 0] = fmax(high[p[i].value < 0], fabs(p[i].value));
		}
	for (int level = 0;; level++) {
		double bins = 1; /* zero */

		for (int sign = 0; sign < 2; sign++)
			if (high[sign] > 0)
				bins += ceil(log(high[sign] / low[sign]) / (ldexp(2, level + 1) * atanh(0.01))) + 1;
		if (bins <= 128)
			return tanh(ldexp(atanh(0.01), level));
	}
}

static double beyond(double value, double error)
{
	return value + fabs(value) * error * (1 + 1e-9);
}

static struct answer naive_percentile(struct naive *m, double got)
{
	int n = naive_pieces(m, pieces);
	int64_t total = 0, rank, slack = 0;
	double error, low, high;
	struct answer a;

	if (!n)
		return about(m->s[m->n - 1].value, 0);
	for (int i = 0; i < n; i++)
		total += pieces[i].weight;
	rank = (int64_t)(((__int128)llround(m->spec.share * 1000) * total + 999) / 1000);
	if (m->spec.held && m->width > INT32_MAX)
		slack = (2 * n + 40) * (m->width >> 30); /* of rounded times */
	error = promised_error(pieces, n);
	qsort(pieces, (size_t)n, sizeof(pieces[0]), by_value);
	low = at_rank(pieces, n, rank - slack);
	high = at_rank(pieces, n, rank + slack);
	if (!slack && error <= 0.01 + 1e-9 && low != 0)
		m->worst = fmax(m->worst, fabs(got - low) / fabs(low));
	a = (struct answer){ -beyond(-low, error), beyond(high, error) };
	a.low = fmax(a.low, pieces[0].value);
	a.high = fmin(a.high, pieces[n - 1].value);
	return a;
}

static struct answer naive_value(struct naive *m, double got)
{
	if (!m->n)
		return m->spec.op == OP_RECORDS ? about(0, 0) : (struct answer){ NAN, NAN };
	if (m->spec.op == OP_CHANGED)
		return about(m->changed && m->now - m->change < m->spec.length, 0);
	if (m->spec.op == OP_PERCENTILE)
		return naive_percentile(m, got);
	if (m->spec.op == OP_STDDEV || m->spec.op == OP_FORECAST || m->spec.op == OP_AVG)
		return naive_moments(m);
	return naive_sums(m);
}

#endif
