/*
 * Performance data: 'label'=value[unit];[warn];[crit];[min];[max], separated by blanks. What is wrong is skipped up to the next blank (or
 * semicolon, within a value), and the first such part is told with the reason.
 */
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exec/output.h"

#define NUMBER_MAX 63 /* characters */
#define UNIT_MAX 16

struct unit {
	const char *name;
	enum perf_family family;
	double factor; /* of bytes: of the powers of 1024, or by `power` */
	int power;     /* of `kilo`, for bytes with a prefix of ten; 0: none */
};

static const struct unit units[] = {
	{ "", PERF_NUMBER, 1, 0 },       { "s", PERF_SECONDS, 1, 0 },      { "sec", PERF_SECONDS, 1, 0 },
	{ "ms", PERF_SECONDS, 1e-3, 0 }, { "msec", PERF_SECONDS, 1e-3, 0 }, { "us", PERF_SECONDS, 1e-6, 0 },
	{ "usec", PERF_SECONDS, 1e-6, 0 }, { "\xc2\xb5s", PERF_SECONDS, 1e-6, 0 }, { "\xce\xbcs", PERF_SECONDS, 1e-6, 0 },
	{ "ns", PERF_SECONDS, 1e-9, 0 }, { "min", PERF_SECONDS, 60, 0 },   { "h", PERF_SECONDS, 3600, 0 },
	{ "d", PERF_SECONDS, 86400, 0 }, { "B", PERF_BYTES, 1, 0 },        { "bytes", PERF_BYTES, 1, 0 },
	{ "kB", PERF_BYTES, 1, 1 },      { "KB", PERF_BYTES, 1, 1 },       { "MB", PERF_BYTES, 1, 2 },
	{ "GB", PERF_BYTES, 1, 3 },      { "TB", PERF_BYTES, 1, 4 },       { "PB", PERF_BYTES, 1, 5 },
	{ "EB", PERF_BYTES, 1, 6 },      { "KiB", PERF_BYTES, 1024., 0 },  { "kiB", PERF_BYTES, 1024., 0 },
	{ "MiB", PERF_BYTES, 1048576., 0 }, { "GiB", PERF_BYTES, 1073741824., 0 }, { "TiB", PERF_BYTES, 1099511627776., 0 },
	{ "PiB", PERF_BYTES, 1125899906842624., 0 }, { "EiB", PERF_BYTES, 1152921504606846976., 0 },
	{ "%", PERF_PERCENT, 1, 0 },     { "c", PERF_COUNT, 1, 0 },
};
/* Any other unit: its values are plain numbers */
static const struct unit unit_other = { "?", PERF_NUMBER, 1, 0 };

struct parser {
	const char *at, *end;
	double kilo;
	struct output *o;
	size_t size; /* of o->perfs */
};

struct range {
	bool inside; /* alert within, not outside */
	double low, high;
	bool low_given;
};

static void skipped(struct parser *p, const char *from, const char *to, const char *format, ...)
        __attribute__((format(printf, 4, 5)));
static void skipped(struct parser *p, const char *from, const char *to, const char *format, ...)
{
	struct output *o = p->o;
	char part[64];
	va_list args;
	size_t n;

	if (o->bad++)
		return;
	text_clean(from, (size_t)(to - from), part, sizeof(part));
	n = (size_t)snprintf(o->why, sizeof(o->why), "\"%s\": ", part);
	va_start(args, format);
	vsnprintf(o->why + n, sizeof(o->why) - n, format, args);
	va_end(args);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\v' || c == '\f';
}

static bool is_digit(const char *s, const char *end)
{
	return s < end && *s >= '0' && *s <= '9';
}

/* A decimal number, with a point or a comma, perhaps an exponent. Moves *at behind it. false: there is none, or it is too long or too large. */
static bool number(const char **at, const char *end, double *ret_value)
{
	char text[NUMBER_MAX + 1];
	const char *s = *at;
	size_t n = 0, digits = 0;
	double v;

	if (s < end && (*s == '-' || *s == '+'))
		s++;
	for (; is_digit(s, end); s++)
		digits++;
	if (s < end && (*s == '.' || *s == ',')) {
		for (s++; is_digit(s, end); s++)
			digits++;
	}
	if (!digits)
		return false;
	if (s < end && (*s == 'e' || *s == 'E')) {
		const char *e = s + 1;

		if (e < end && (*e == '-' || *e == '+'))
			e++;
		if (is_digit(e, end))
			for (s = e; is_digit(s, end); s++)
				;
	}
	if (s - *at > NUMBER_MAX)
		return false;
	for (const char *c = *at; c < s; c++)
		text[n++] = *c == ',' ? '.' : *c;
	text[n] = '\0';
	v = strtod(text, NULL); /* kithd stays in the C locale */
	if (!isfinite(v))
		return false;
	*at = s;
	*ret_value = v;
	return true;
}

/* What follows the number up to `end`. NULL: that is no unit */
static const struct unit *unit_find(const char *at, const char *end)
{
	size_t n = (size_t)(end - at);

	for (size_t k = 0; k < sizeof(units) / sizeof(units[0]); k++)
		if (strlen(units[k].name) == n && !memcmp(units[k].name, at, n))
			return &units[k];
	for (const char *c = at; c < end; c++)
		if ((*c >= '0' && *c <= '9') || strchr(".,+-='\":;|~@", *c) || (unsigned char)*c < 0x20)
			return NULL;
	return n <= UNIT_MAX ? &unit_other : NULL;
}

static double scale(const struct parser *p, const struct unit *u)
{
	double f = u->factor;

	for (int i = 0; i < u->power; i++)
		f *= p->kilo;
	return f;
}

/* A number of a threshold, min or max: in the value's unit, or with one of its own that measures the same */
static bool amount(const struct parser *p, const char **at, const char *end, const struct unit *unit, double *ret_value)
{
	const struct unit *own;
	const char *s = *at;
	double v;

	if (!number(&s, end, &v))
		return false;
	*at = s;
	while (s < end && *s != ':')
		s++;
	own = unit_find(*at, s);
	if (!own || (s > *at && own->family != unit->family))
		return false;
	v *= scale(p, s > *at ? own : unit);
	if (!isfinite(v))
		return false;
	*at = s;
	*ret_value = v;
	return true;
}

/* [@][low:][high], low may be ~ for minus infinity. A single number N is 0:N. */
static bool range_parse(const struct parser *p, const char *at, const char *end, const struct unit *unit, struct range *ret)
{
	struct range r = { .low = 0, .high = INFINITY };
	const char *colon;

	if (at < end && *at == '@') {
		r.inside = true;
		at++;
	}
	if (at == end)
		return false;
	colon = memchr(at, ':', (size_t)(end - at));
	if (colon) {
		r.low_given = colon > at;
		if (colon - at == 1 && *at == '~') {
			r.low = -INFINITY;
			at++;
		} else if (colon > at && !amount(p, &at, colon, unit, &r.low)) {
			return false;
		}
		if (at != colon)
			return false;
		at = colon + 1;
	}
	if (at < end && !amount(p, &at, end, unit, &r.high))
		return false;
	/* Even infinite ends say something only with a colon. */
	if (at != end || r.low > r.high)
		return false;
	*ret = r;
	return true;
}

static bool range_alerts(const struct range *r, double value)
{
	bool within = value >= r->low && value <= r->high;

	return r->inside ? within : !within;
}

static void range_put(struct perf *perf, const struct range *r, enum perf_level level, double *ret_high, double *ret_low)
{
	if (isfinite(r->high))
		*ret_high = r->high;
	if (r->low_given && isfinite(r->low))
		*ret_low = r->low;
	if (isnan(perf->level))
		perf->level = PERF_OK;
	if (range_alerts(r, perf->value) && perf->level < (double)level)
		perf->level = level;
}

/* The fields after the value; `at` is behind the first semicolon */
static void fields_parse(struct parser *p, const char *from, const char *at, const char *end, const struct unit *unit, struct perf *perf)
{
	static const char *const names[] = { "warning threshold", "critical threshold", "minimum", "maximum" };
	struct range range;

	for (unsigned k = 0; at <= end; k++) {
		const char *stop = memchr(at, ';', (size_t)(end - at)), *s = at;
		double v = NAN;

		if (!stop)
			stop = end;
		if (k >= 4 && stop > at) {
			skipped(p, from, end, "more than a value and four fields");
			return;
		}
		if (stop > at && k < 2) {
			if (range_parse(p, at, stop, unit, &range))
				range_put(perf, &range, k ? PERF_CRITICAL : PERF_WARNING, k ? &perf->crit : &perf->warn,
				          k ? &perf->crit_low : &perf->warn_low);
			else
				skipped(p, from, end, "its %s is no range", names[k]);
		} else if (stop > at && !(stop - at == 1 && *at == 'U')) {
			if (!amount(p, &s, stop, unit, &v) || s != stop)
				skipped(p, from, end, "its %s is no number", names[k]);
			else if (k == 2)
				perf->min = v;
			else
				perf->max = v;
		}
		at = stop + 1;
	}
}

/* The label of what begins at p->at; moves it behind the =. NULL: skipped, or no memory (*ret_error) */
static char *label_parse(struct parser *p, int *ret_error)
{
	const char *from = p->at, *s = p->at;
	bool quoted = *s == '\'', closed = false;
	char raw[4 * PERF_LABEL_MAX], *label;
	size_t n = 0, length = 0, cleaned;

	if (quoted)
		s++;
	for (; s < p->end && *s != '\n'; s++) {
		if (quoted && *s == '\'') {
			if (s + 1 < p->end && s[1] == '\'') {
				s++;
			} else {
				closed = true;
				s++;
				break;
			}
		} else if (!quoted && (*s == '=' || is_blank(*s))) {
			break;
		}
		length++;
		if (n < sizeof(raw))
			raw[n++] = *s;
	}
	if (quoted && !closed) {
		/* A quote that nothing ends: what follows the next blank may be good. */
		for (s = from; s < p->end && !is_blank(*s); s++)
			;
		skipped(p, from, s, "the quote of its label is not closed");
		p->at = s;
		return NULL;
	}
	if (s >= p->end || *s != '=') {
		while (s < p->end && !is_blank(*s))
			s++;
		skipped(p, from, s, "no = after its label");
		p->at = s;
		return NULL;
	}
	p->at = s + 1;
	label = malloc(PERF_LABEL_MAX + 8);
	if (!label) {
		*ret_error = -ENOMEM;
		return NULL;
	}
	cleaned = text_clean(raw, n, label, PERF_LABEL_MAX + 8);
	if (length == n && cleaned > 0 && cleaned <= PERF_LABEL_MAX)
		return label;
	for (s = p->at; s < p->end && !is_blank(*s); s++)
		;
	if (cleaned)
		skipped(p, from, s, "its label is longer than %d bytes", PERF_LABEL_MAX);
	else
		skipped(p, from, s, "its label is empty");
	p->at = s;
	free(label);
	return NULL;
}

static int perf_add(struct parser *p, const char *from, struct perf *perf)
{
	struct output *o = p->o;

	for (size_t i = 0; i < o->n_perfs; i++)
		if (!strcmp(o->perfs[i].label, perf->label)) {
			skipped(p, from, p->at, "its label is there twice");
			free(perf->label);
			return 0;
		}
	if (o->n_perfs >= PERF_MAX) {
		skipped(p, from, p->at, "more than %d values", PERF_MAX);
		free(perf->label);
		return 0;
	}
	if (o->n_perfs == p->size) {
		size_t size = p->size ? 2 * p->size : 8;
		struct perf *all = realloc(o->perfs, size * sizeof(*all));

		if (!all) {
			free(perf->label);
			return -ENOMEM;
		}
		o->perfs = all;
		p->size = size;
	}
	o->perfs[o->n_perfs++] = *perf;
	return 0;
}

/* One of them, from p->at on, which is no blank */
static int perf_one(struct parser *p)
{
	struct perf perf = { .value = NAN, .warn = NAN, .warn_low = NAN, .crit = NAN, .crit_low = NAN, .min = NAN, .max = NAN,
		             .level = NAN };
	const char *from = p->at, *at, *stop, *end;
	const struct unit *unit = &units[0];
	int r = 0;

	perf.label = label_parse(p, &r);
	if (!perf.label)
		return r;
	at = p->at;
	for (end = at; end < p->end && !is_blank(*end); end++)
		;
	p->at = end;
	stop = memchr(at, ';', (size_t)(end - at));
	if (!stop)
		stop = end;
	if (stop - at == 1 && *at == 'U')
		return perf_add(p, from, &perf);
	if (!number(&at, stop, &perf.value)) {
		skipped(p, from, end, stop == at ? "it has no value" : "its value is no number");
		free(perf.label);
		return 0;
	}
	unit = unit_find(at, stop);
	if (!unit) {
		skipped(p, from, end, "its value is no number with a unit");
		free(perf.label);
		return 0;
	}
	perf.family = unit->family;
	perf.value *= scale(p, unit);
	if (!isfinite(perf.value)) {
		skipped(p, from, end, "its value is too large");
		free(perf.label);
		return 0;
	}
	if (stop < end)
		fields_parse(p, from, stop + 1, end, unit, &perf);
	return perf_add(p, from, &perf);
}

int perf_parse(const char *data, size_t length, double kilo, struct output *output)
{
	struct parser p = { .at = data, .end = data + length, .kilo = kilo, .o = output };
	int r = 0;

	while (r == 0) {
		while (p.at < p.end && is_blank(*p.at))
			p.at++;
		if (p.at >= p.end)
			break;
		r = perf_one(&p);
	}
	return r;
}
