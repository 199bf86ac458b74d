/* What is asked for */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/log/log.h"

/* ---- what an expression needs -------------------------------------------------------------------------------------- */

/* Of the literal that is being gathered */
struct gather {
	char text[LITERAL_MAX + 1];
	size_t length;
	bool left;       /* a word that it begins with begins there */
	uint64_t words[QUERY_WORDS];
	size_t n_words;
	struct literal *best;
	bool whole;      /* nothing but plain characters so far */
};

static void add_word(uint64_t *words, size_t *n, const char *at, size_t length)
{
	if (*n < QUERY_WORDS)
		words[(*n)++] = word_hash(at, length);
}

/* The words of a text; the first and the last only if they are known to begin and end with it */
static void add_words(uint64_t *words, size_t *n, const char *text, size_t length, bool left, bool right)
{
	size_t at = 0;

	while (at < length) {
		size_t end = at;

		while (end < length && word_byte((uint8_t)text[end]))
			end++;
		if (end > at && (at > 0 || left) && (end < length || right))
			add_word(words, n, text + at, end - at);
		at = end + 1;
	}
}

/* The run of plain characters ends; `right`: a word that it ends with ends there */
static void gather_end(struct gather *g, bool right, bool left)
{
	add_words(g->words, &g->n_words, g->text, g->length, g->left, right);
	if (g->length > g->best->length) {
		memcpy(g->best->text, g->text, g->length);
		g->best->length = g->length;
		g->best->text[g->length] = '\0';
	}
	g->length = 0;
	g->left = left;
}

/* Behind a bracket expression or a group that begins at `at` */
static const char *skip_bracket(const char *at)
{
	at++;
	at += *at == '^';
	at += *at == ']';
	while (*at && *at != ']') {
		if (at[0] == '[' && at[1] && strchr(":.=", at[1])) {
			char end[3] = { at[1], ']', '\0' };
			const char *close = strstr(at + 2, end);

			at = close ? close + 1 : at;
		}
		at++;
	}
	return at + (*at == ']');
}

static const char *skip_group(const char *at)
{
	unsigned depth = 0;

	while (*at) {
		if (*at == '[') {
			at = skip_bracket(at);
			continue;
		}
		if (*at == '\\' && at[1])
			at++;
		else if (*at == '(')
			depth++;
		else if (*at == ')' && !--depth)
			return at + 1;
		at++;
	}
	return at;
}

/* The last plain character is repeated, or may not be there at all: it is none. */
static void gather_repeated(struct gather *g)
{
	if (g->length) {
		/* All of it, if it is one of several bytes */
		while (g->length > 1 && ((unsigned char)g->text[g->length - 1] & 0xc0) == 0x80)
			g->length--;
		g->length--;
		gather_end(g, false, false);
	}
	g->whole = false;
}

/* `*at` is behind a backslash. False: what it begins is not understood here */
static bool gather_escape(struct gather *g, const char **at)
{
	char c = **at;

	if (c == '<' || c == '>') {
		gather_end(g, true, true);
		g->whole = false;
	} else if (c && !word_byte((uint8_t)c)) {
		g->text[g->length++] = c;
	} else {
		return false;
	}
	(*at)++;
	return true;
}

/* One alternative from *at to the next '|' or the end. False: not understood, then nothing is known */
static bool gather_branch(const char **at, struct literal *ret_literal, bool *ret_whole)
{
	struct gather g = { .best = ret_literal, .whole = true };
	const char *p = *at;

	*ret_literal = (struct literal){ 0 };
	while (*p && *p != '|' && g.length < LITERAL_MAX) {
		if (*p == '\\') {
			p++;
			if (!gather_escape(&g, &p))
				return false;
		} else if (strchr("*+?{", *p)) {
			gather_repeated(&g);
			p = *p == '{' ? p + strcspn(p, "}") : p;
			p += *p != '\0';
		} else if (strchr(".[(", *p)) {
			if (p[0] == '(' && p[1] == '?')
				return false;
			gather_end(&g, false, false);
			g.whole = false;
			p = *p == '[' ? skip_bracket(p) : *p == '(' ? skip_group(p) : p + 1;
		} else if (*p == '^' || *p == '$') {
			gather_end(&g, true, true);
			g.whole = false;
			p++;
		} else {
			g.text[g.length++] = *p++;
		}
	}
	if (*p && *p != '|')
		return false;
	gather_end(&g, false, false);
	memcpy(ret_literal->words, g.words, sizeof(g.words));
	ret_literal->n_words = g.n_words;
	*ret_whole = g.whole;
	*at = p;
	return true;
}

/* How common a byte is in logs: what is none of these is rare. */
static size_t commonness(char c)
{
	static const char common[] = "zqjxkvbywgfmupcldhrsniotaeETAOINSR:-./=0123456789 ";
	const char *at = strchr(common, c);

	return at && c ? 1 + (size_t)(at - common) : 0;
}

/* Libc's memmem looks at each place, its memchr at many at once: the rarest byte is searched for, then the rest is compared. */
const char *query_find(const struct literal *l, const char *at, const char *end)
{
	while (at + l->length <= end) {
		const char *hit = memchr(at + l->rare, l->text[l->rare], (size_t)(end - at) - l->length + 1);

		if (!hit)
			break;
		at = hit - l->rare;
		if (!memcmp(at, l->text, l->length))
			return at;
		at++;
	}
	return end;
}

/* What a message has in it that the expression matches, if that can be told */
static void query_literals(struct query *q, const char *pattern)
{
	const char *at = pattern;
	bool whole = false;

	do {
		if (q->n_literals == QUERY_LITERALS || !gather_branch(&at, &q->literals[q->n_literals], &whole) ||
		    !q->literals[q->n_literals].length) {
			q->n_literals = 0;
			return;
		}
		for (size_t i = 0; i < q->literals[q->n_literals].length; i++) {
			struct literal *l = &q->literals[q->n_literals];

			l->rare = commonness(l->text[i]) < commonness(l->text[l->rare]) ? i : l->rare;
		}
		q->n_literals++;
	} while (*at++ == '|');
	q->literal_only = whole && q->n_literals == 1;
}

/* ---- the request --------------------------------------------------------------------------------------------------- */

static int query_take_fields(struct query *q, const Control__LogRequest *request, struct buf *why)
{
	size_t length = 0;
	char *at;

	if (request->n_fields > QUERY_FIELDS) {
		buf_printf(why, "%zu fields are too many: at most %d", request->n_fields, QUERY_FIELDS);
		return -EINVAL;
	}
	for (size_t i = 0; i < request->n_fields; i++)
		length += strlen(request->fields[i]) + 1;
	at = q->text = malloc(length + 1);
	if (!at)
		return -ENOMEM;
	for (size_t i = 0; i < request->n_fields; i++) {
		struct query_field *f = &q->fields[q->n_fields++];
		char *equals;

		f->key = at;
		at = stpcpy(at, request->fields[i]) + 1;
		equals = strchr(f->key, '=');
		if (!equals || equals == f->key) {
			buf_printf(why, "\"%s\" is no field: KEY=VALUE", request->fields[i]);
			return -EINVAL;
		}
		*equals = '\0';
		f->value = equals + 1;
		add_words(f->words, &f->n_words, f->key, strlen(f->key), true, true);
		add_words(f->words, &f->n_words, f->value, strlen(f->value), true, true);
	}
	return 0;
}

int query_new(struct query *q, const Control__LogRequest *request, const char *host, int64_t now, struct buf *why)
{
	char regex_why[128];
	int r;

	*q = (struct query){ .from = request->from ? request->from : INT64_MIN, .to = request->to ? request->to : INT64_MAX,
		             .priority = request->priority ? request->priority - 1 : KITH_DEBUG, .last = request->last,
		             .follow = request->follow };
	(void)now;
	q->own = !request->sources || (request->sources & 1);
	q->journal = !request->sources || (request->sources & 2);
	r = patterns_parse_subjects(&q->patterns, request->patterns, request->n_patterns, host, why);
	if (r == 0)
		r = query_take_fields(q, request, why);
	if (r == 0 && request->grep && *request->grep) {
		q->regex = regex_new(request->grep, regex_why, sizeof(regex_why));
		if (!q->regex) {
			buf_printf(why, "\"%s\" is no regular expression: %s", request->grep, regex_why);
			r = *regex_why ? -EINVAL : -ENOMEM;
		}
	}
	if (r < 0) {
		query_free(q);
		return r;
	}
	if (q->regex)
		query_literals(q, request->grep);
	return 0;
}

void query_free(struct query *q)
{
	patterns_free(&q->patterns);
	regex_free_all(q->regex);
	free(q->text);
	*q = (struct query){ 0 };
}

/* ---- what fits ------------------------------------------------------------------------------------------------------ */

static bool has_words(const struct block_head *h, const uint64_t *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!filter_has(h, words[i]))
			return false;
	return true;
}

bool query_words(const struct query *q, const struct block_head *h)
{
	bool any = !q->n_literals;

	for (size_t i = 0; i < q->n_literals && !any; i++)
		any = has_words(h, q->literals[i].words, q->literals[i].n_words);
	for (size_t i = 0; i < q->n_fields && any; i++)
		any = has_words(h, q->fields[i].words, q->fields[i].n_words);
	return any;
}

bool query_block(const struct query *q, const struct block_head *h)
{
	return h->from <= q->to && h->to >= q->from && (h->priorities & ((2u << (q->priority & 7)) - 1)) && query_words(q, h);
}

bool query_message(const struct query *q, const char *message)
{
	bool any = !q->n_literals;

	if (!q->regex)
		return true;
	for (size_t i = 0; i < q->n_literals && !any; i++)
		any = strstr(message, q->literals[i].text) != NULL;
	return any && (q->literal_only || regex_matches(q->regex, message));
}

bool query_fields(const struct query *q, const struct record_row *row)
{
	for (size_t i = 0; i < q->n_fields; i++) {
		const char *at = row->fields, *key, *value;
		bool found = false;

		while (!found && (key = row_field(row, &at, &value)))
			found = !strcmp(key, q->fields[i].key) && !strcmp(value, q->fields[i].value);
		if (!found)
			return false;
	}
	return true;
}

bool query_subject(const struct query *q, const char *subject, const char *promise)
{
	size_t length;

	if (!q->patterns.n || patterns_subject(&q->patterns, subject))
		return true;
	/* A transition is found by its promise, too: room.disk, room.*, room */
	for (size_t i = 0; promise && i < q->patterns.n; i++) {
		const struct pattern *p = &q->patterns.list[i];

		length = strcspn(promise, ".");
		if (glob_match(p->text, p->length, promise) || (length == p->length && !memcmp(p->text, promise, length)))
			return true;
	}
	return false;
}
