#include "textfile/prom.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <stdio.h>

struct parser {
	const struct prom_reader *reader;
	const char *begin, *at, *end; /* of the line */
	unsigned line;
	struct prom_sample s;
	char name[PROM_NAME_MAX + 1];
	char label_names[PROM_LABELS_MAX][PROM_NAME_MAX + 1];
	char values[PROM_VALUES_MAX];
	size_t n_values;
	char type_name[PROM_NAME_MAX + 1], help_name[PROM_NAME_MAX + 1], help[PROM_HELP_MAX + 1];
	enum prom_type type;
};

static bool fault(struct parser *p, const char *why)
{
	p->reader->fault(p->line, (unsigned)(p->at - p->begin) + 1, why, p->reader->user);
	return false;
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static void blanks(struct parser *p)
{
	while (p->at < p->end && (*p->at == ' ' || *p->at == '\t'))
		p->at++;
}

/* A metric's name, or a label's, which has no colon */
static bool read_name(struct parser *p, char to[PROM_NAME_MAX + 1], bool colon)
{
	const char *from = p->at;

	while (p->at < p->end && (is_letter(*p->at) || (colon && *p->at == ':') || (p->at > from && is_digit(*p->at))))
		p->at++;
	if (p->at == from)
		return fault(p, colon ? "a metric's name is missing here: letters, digits, _ and :" : "a label's name is missing here: letters, digits and _");
	if (p->at - from > PROM_NAME_MAX) {
		p->at = from;
		return fault(p, "the name is longer than 200 bytes");
	}
	memcpy(to, from, (size_t)(p->at - from));
	to[p->at - from] = '\0';
	return true;
}

/* The length of the character at `s`, 0 when it is no UTF-8 */
static size_t utf8_length(const unsigned char *s, size_t left)
{
	size_t n = *s < 0x80 ? 1 : *s >= 0xc2 && *s < 0xe0 ? 2 : *s >= 0xe0 && *s < 0xf0 ? 3 : *s >= 0xf0 && *s < 0xf5 ? 4 : 0;

	if (n > left)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if (n > 1 && ((*s == 0xe0 && s[1] < 0xa0) || (*s == 0xed && s[1] > 0x9f) || (*s == 0xf0 && s[1] < 0x90) || (*s == 0xf4 && s[1] > 0x8f)))
		return 0;
	return n;
}

/* Behind the opening quote; moves behind the closing one */
static bool read_value(struct parser *p, const char **ret_value)
{
	char *to = p->values + p->n_values;

	*ret_value = to;
	for (;;) {
		size_t n;

		if (p->at >= p->end)
			return fault(p, "the label's value is not closed by a quote");
		if (*p->at == '"')
			break;
		if (p->n_values + 5 > sizeof(p->values))
			return fault(p, "the labels are longer than 4096 bytes");
		if (*p->at == '\\') {
			if (p->end - p->at < 2 || !strchr("\\\"n", p->at[1]) || !p->at[1])
				return fault(p, "behind a backslash stands one of \\ \" n");
			p->values[p->n_values++] = p->at[1] == 'n' ? '\n' : p->at[1];
			p->at += 2;
			continue;
		}
		n = *p->at ? utf8_length((const unsigned char *)p->at, (size_t)(p->end - p->at)) : 0;
		if (!n)
			return fault(p, "this is no UTF-8");
		memcpy(p->values + p->n_values, p->at, n);
		p->n_values += n;
		p->at += n;
	}
	p->values[p->n_values++] = '\0';
	p->at++;
	return true;
}

static bool label_insert(struct parser *p, const char *name, const char *value)
{
	size_t k = p->s.n_labels;

	while (k > 0 && strcmp(p->s.labels[k - 1].name, name) > 0) {
		p->s.labels[k] = p->s.labels[k - 1];
		k--;
	}
	if (k > 0 && !strcmp(p->s.labels[k - 1].name, name))
		return fault(p, "this label is there twice");
	p->s.labels[k] = (struct prom_label){ name, value };
	p->s.n_labels++;
	return true;
}

/* Behind the opening brace; moves behind the closing one */
static bool read_labels(struct parser *p)
{
	for (;;) {
		char *name = p->label_names[p->s.n_labels];
		const char *value = NULL;

		blanks(p);
		if (p->at < p->end && *p->at == '}') {
			p->at++;
			return true;
		}
		if (p->s.n_labels == PROM_LABELS_MAX)
			return fault(p, "more than 32 labels");
		if (p->at >= p->end)
			return fault(p, "the labels are not closed by a brace");
		if (!read_name(p, name, false))
			return false;
		blanks(p);
		if (p->at >= p->end || *p->at != '=')
			return fault(p, "behind the label's name stands =");
		p->at++;
		blanks(p);
		if (p->at >= p->end || *p->at != '"')
			return fault(p, "the label's value stands in quotes");
		p->at++;
		if (!read_value(p, &value) || !label_insert(p, name, value))
			return false;
		blanks(p);
		if (p->at < p->end && *p->at == ',')
			p->at++;
		else if (p->at >= p->end || *p->at != '}')
			return fault(p, "between labels stands a comma, behind them a brace");
	}
}

static bool word_is(const char *word, const char *const *list)
{
	for (; *list; list++)
		if (!strcasecmp(word, *list))
			return true;
	return false;
}

static bool read_number(struct parser *p, double *ret_value)
{
	static const char *const infinite[] = { "inf", "+inf", "-inf", "infinity", "+infinity", "-infinity", NULL }, *const nan[] = { "nan", NULL };
	char word[64], *end;
	size_t n = 0;

	while (p->at + n < p->end && p->at[n] != ' ' && p->at[n] != '\t')
		n++;
	if (n == 0)
		return fault(p, "a value is missing here");
	if (n >= sizeof(word))
		return fault(p, "this is no number");
	memcpy(word, p->at, n);
	word[n] = '\0';
	if (strlen(word) != n)
		return fault(p, "this is no number");
	if (word_is(word, nan))
		*ret_value = NAN;
	else if (word_is(word, infinite))
		*ret_value = *word == '-' ? -INFINITY : INFINITY;
	else {
		*ret_value = strtod(word, &end);
		if (*end || strspn(word, "0123456789.eE+-") != n)
			return fault(p, "this is no number");
	}
	p->at += n;
	return true;
}

static bool read_time(struct parser *p)
{
	bool negative = *p->at == '-';
	int digits = 0;

	p->at += negative;
	for (p->s.time = 0; p->at < p->end && is_digit(*p->at) && digits < 18; p->at++, digits++)
		p->s.time = p->s.time * 10 + (*p->at - '0');
	if (digits == 0 || (p->at < p->end && *p->at != ' ' && *p->at != '\t'))
		return fault(p, "behind the value may stand a time, milliseconds since 1970, alone");
	if (p->s.time > PROM_TIME_MAX)
		return fault(p, "the time is out of range: milliseconds since 1970, up to the year 2262");
	p->s.time = negative ? -p->s.time : p->s.time;
	p->s.has_time = true;
	blanks(p);
	return p->at == p->end || fault(p, "nothing may stand behind the time");
}

/* Whether the sample is of the metric that the last TYPE named */
static bool is_of(const char *sample, const char *metric, enum prom_type type)
{
	static const char *const parts[] = { "_bucket", "_sum", "_count" };
	size_t n = strlen(metric);

	if (strncmp(sample, metric, n) != 0)
		return false;
	if (!sample[n])
		return true;
	for (int k = type == PROM_HISTOGRAM ? 0 : 1; k < 3; k++)
		if (!strcmp(sample + n, parts[k]))
			return type == PROM_HISTOGRAM || type == PROM_SUMMARY;
	return false;
}

static bool read_sample(struct parser *p)
{
	char why[160] = "it cannot be used";

	p->s = (struct prom_sample){ .line = p->line };
	p->n_values = 0;
	if (!read_name(p, p->name, true))
		return false;
	p->s.name = p->name;
	blanks(p);
	if (p->at < p->end && *p->at == '{') {
		p->at++;
		if (!read_labels(p))
			return false;
	}
	blanks(p);
	if (!read_number(p, &p->s.value))
		return false;
	blanks(p);
	if (p->at < p->end && !read_time(p))
		return false;
	p->s.type = *p->type_name && is_of(p->name, p->type_name, p->type) ? p->type : PROM_UNTYPED;
	p->s.help = *p->help_name && is_of(p->name, p->help_name, PROM_HISTOGRAM) ? p->help : "";
	p->at = p->begin;
	return p->reader->sample(&p->s, why, sizeof(why), p->reader->user) == 0 || fault(p, why);
}

static bool read_type(struct parser *p)
{
	static const char *const types[] = { [PROM_UNTYPED] = "untyped", [PROM_COUNTER] = "counter", [PROM_GAUGE] = "gauge",
		                             [PROM_HISTOGRAM] = "histogram", [PROM_SUMMARY] = "summary" };
	size_t n;

	*p->type_name = '\0';
	blanks(p);
	if (!read_name(p, p->type_name, true))
		return false;
	blanks(p);
	for (n = 0; p->at + n < p->end && p->at[n] != ' ' && p->at[n] != '\t'; n++)
		;
	for (size_t k = 0; k < sizeof(types) / sizeof(types[0]); k++)
		if (strlen(types[k]) == n && !memcmp(types[k], p->at, n)) {
			p->type = (enum prom_type)k;
			return true;
		}
	*p->type_name = '\0';
	return fault(p, "there is no such type: counter, gauge, histogram, summary and untyped are there");
}

static bool read_help(struct parser *p)
{
	size_t n = 0;

	blanks(p);
	*p->help_name = '\0';
	if (!read_name(p, p->help_name, true))
		return false;
	blanks(p);
	while (p->at < p->end) {
		size_t length = *p->at ? utf8_length((const unsigned char *)p->at, (size_t)(p->end - p->at)) : 0;

		if (!length)
			return fault(p, "this is no UTF-8");
		if (n + length > PROM_HELP_MAX)
			break;
		if ((unsigned char)*p->at < 0x20 || *p->at == 0x7f || ((unsigned char)*p->at == 0xc2 && (unsigned char)p->at[1] < 0xa0))
			p->help[n++] = ' ';
		else if (*p->at == '\\' && p->end - p->at > 1 && p->at[1] == 'n')
			p->help[n++] = ' ', length = 2;
		else if (*p->at == '\\' && p->end - p->at > 1 && p->at[1] == '\\')
			p->help[n++] = '\\', length = 2;
		else
			memcpy(p->help + n, p->at, length), n += length;
		p->at += length;
	}
	p->help[n] = '\0';
	return true;
}

static bool keyword(struct parser *p, const char *word)
{
	size_t n = strlen(word);

	if ((size_t)(p->end - p->at) <= n || memcmp(p->at, word, n) != 0 || (p->at[n] != ' ' && p->at[n] != '\t'))
		return false;
	p->at += n;
	return true;
}

static void read_line(struct parser *p)
{
	p->at = p->begin;
	blanks(p);
	if (p->at == p->end)
		return;
	if (*p->at != '#') {
		read_sample(p);
		return;
	}
	p->at++;
	blanks(p);
	if (keyword(p, "TYPE"))
		read_type(p);
	else if (keyword(p, "HELP"))
		read_help(p);
	/* Anything else is a comment. */
}

void prom_parse(const char *text, size_t length, const struct prom_reader *reader)
{
	struct parser *p = calloc(1, sizeof(*p));
	const char *end = text + length;

	if (!p) {
		reader->fault(1, 1, "no memory to read it", reader->user);
		return;
	}
	p->reader = reader;
	while (text < end) {
		const char *stop = memchr(text, '\n', (size_t)(end - text));

		p->line++;
		p->begin = text;
		p->end = stop ? stop : end;
		text = stop ? stop + 1 : end;
		if (p->end > p->begin && p->end[-1] == '\r')
			p->end--;
		read_line(p);
	}
	free(p);
}
