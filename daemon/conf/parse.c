/* The parser of kith.conf: one file into a tree. After a fault it goes on at the next setting. */
#include "conf/parse.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Where the next node of an object or a list goes */
struct list {
	struct conf_node **tail;
};

static bool parse_value(struct lex *l, struct conf_node *n, enum bare where, unsigned depth);
static void parse_entries(struct lex *l, struct conf_node *object, unsigned depth, size_t opened_at);

void conf_node_free(struct conf_node *node)
{
	while (node) {
		struct conf_node *next = node->next;

		conf_node_free(node->children); /* no deeper than CONF_DEPTH_MAX */
		free(node->key);
		free(node->string);
		free(node);
		node = next;
	}
}

static bool too_many_errors(struct lex *l)
{
	if (l->stopped || l->faults->n_errors - l->errors_before < CONF_ERRORS_MAX)
		return l->stopped;
	lex_fault(l, l->at, 1, NULL, "more than %d faults: the rest of this file is not read", CONF_ERRORS_MAX);
	lex_stop(l);
	return true;
}

/* NULL: the bound of nodes is hit, or memory ran out; reading has stopped */
static struct conf_node *node_new(struct lex *l)
{
	struct conf_node *n = NULL;

	if (l->stopped)
		return NULL;
	if (l->n_nodes == CONF_NODES_MAX) {
		lex_fault(l, l->at, 1, "split it, or say less", "more than %d settings in one file", CONF_NODES_MAX);
		lex_stop(l);
		return NULL;
	}
	n = calloc(1, sizeof(*n));
	if (!n) {
		l->nomem = true;
		lex_stop(l);
		return NULL;
	}
	l->n_nodes++;
	n->file = l->file;
	return n;
}

static void append(struct list *list, struct conf_node *n)
{
	*list->tail = n;
	list->tail = &n->next;
}

/* To the next of `ends`, over whole blocks when one opens on the way; the end of the block around is left to the caller */
static void recover(struct lex *l, const char *ends)
{
	size_t depth = 0;

	for (; l->at < l->length; l->at++) {
		char c = l->text[l->at];

		if (c == '{' || c == '[') {
			depth++;
		} else if (c == '}' || c == ']') {
			if (depth == 0)
				return;
			depth--;
		} else if (depth == 0 && c && strchr(ends, c)) {
			return;
		}
	}
}

static char *take(struct lex *l, struct buf *b)
{
	char *text;

	text = b->failed ? NULL : b->data ? buf_take(b) : calloc(1, 1);
	if (!text) {
		l->nomem = true;
		lex_stop(l);
	}
	return text;
}

static char *copy(struct lex *l, size_t at, size_t width)
{
	struct buf b = BUF_INIT;
	char *text;

	buf_append(&b, l->text + at, width);
	text = take(l, &b);
	buf_free(&b);
	return text;
}

static void not_closed(struct lex *l, size_t opened_at, const char *what)
{
	if (!l->unclosed)
		lex_fault(l, opened_at, 1, "close it", "this %s is not closed", what);
	l->unclosed = true;
}

static bool too_deep(struct lex *l, unsigned depth)
{
	if (depth < CONF_DEPTH_MAX)
		return false;
	lex_fault(l, l->at, 1, NULL, "more than %d sections and lists within each other", CONF_DEPTH_MAX);
	return true;
}

/* `word =` or `word {`: in a list, what follows a forgotten ']' */
static bool setting_starts(const struct lex *now)
{
	struct lex look = *now;
	size_t n = lex_word(&look, true);

	look.at += n;
	while (lex_peek(&look) == ' ' || lex_peek(&look) == '\t')
		look.at++;
	return n > 0 && (lex_peek(&look) == '=' || lex_peek(&look) == '{');
}

/* `at` is on the '[' */
static bool parse_list(struct lex *l, struct conf_node *list_node, unsigned depth)
{
	struct list items = { &list_node->children };
	size_t opened_at = l->at;
	bool separated = true;

	list_node->type = CONF_LIST;
	if (too_deep(l, depth))
		return false;
	l->at++;
	while (!too_many_errors(l)) {
		struct conf_node *n;
		size_t line = l->at;
		bool broken; /* a new line separates items too */
		int c;

		lex_skip_space(l);
		broken = memchr(l->text + line, '\n', l->at - line);
		c = lex_peek(l);
		if (c == ',' || c == ';') {
			l->at++;
			separated = true;
			continue;
		}
		if (c == ']') {
			l->at++;
			list_node->width = l->at - opened_at;
			return true;
		}
		if (c < 0 || c == '}') {
			not_closed(l, opened_at, "'['");
			return c < 0; /* the '}' closes the section around it */
		}
		if (broken && !separated && list_node->children && setting_starts(l)) {
			lex_fault(l, opened_at, 1, "close it", "this '[' is not closed");
			l->at = line;
			return true;
		}
		if (!separated && !broken)
			lex_fault(l, l->at, 1, NULL, "a ',' is missing before this");
		n = node_new(l);
		if (!n)
			return true;
		if (parse_value(l, n, BARE_ITEM, depth + 1)) {
			append(&items, n);
		} else {
			conf_node_free(n);
			recover(l, ",;\n");
		}
		separated = false;
	}
	return true;
}

/* An unquoted value */
static bool parse_bare(struct lex *l, struct conf_node *n, enum bare where)
{
	n->at = l->at;
	if (!lex_bare(l, where, &n->width))
		return false;
	if (n->width == 0) {
		lex_fault(l, l->at, 1, NULL, "a value is missing here");
		return false;
	}
	if (scalar_classify(l->text + n->at, n->width, &n->type, &n->number) < 0) {
		n->type = CONF_NULL;
		lex_fault(l, n->at, n->width, "put quotes around it if it is a text", "this number is too large");
		return false;
	}
	n->string = copy(l, n->at, n->width);
	if (!n->string)
		n->type = CONF_NULL;
	return true;
}

static bool parse_value(struct lex *l, struct conf_node *n, enum bare where, unsigned depth)
{
	struct buf b = BUF_INIT;
	int c = lex_peek(l);
	bool ok;

	n->at = l->at;
	n->width = 1;
	if (c == '{') {
		n->type = CONF_OBJECT;
		if (too_deep(l, depth))
			return false;
		l->at++;
		parse_entries(l, n, depth + 1, n->at);
		return true;
	}
	if (c == '[')
		return parse_list(l, n, depth);
	if (c != '"' && c != '\'' && !lex_is_heredoc(l))
		return parse_bare(l, n, where);
	ok = c == '<' ? lex_heredoc(l, &b) : lex_quoted(l, &b);
	n->width = l->at - n->at;
	if (ok) {
		n->string = take(l, &b);
		n->type = n->string ? CONF_STRING : CONF_NULL;
	}
	buf_free(&b);
	return ok;
}

/* A key or a section's name; NULL: a fault was added */
static char *parse_key(struct lex *l, bool key, size_t *ret_at, size_t *ret_width)
{
	struct buf b = BUF_INIT;
	char *text = NULL, shown[CONF_SHOW_MAX];
	int c = lex_peek(l);
	size_t start = l->at, width;

	if (c == '"' || c == '\'') {
		if (lex_quoted(l, &b))
			text = take(l, &b);
		buf_free(&b);
		if (text && !*text) {
			lex_fault(l, start, l->at - start, NULL, "a key cannot be empty");
			free(text);
			text = NULL;
		}
	} else {
		width = lex_word(l, key);
		if (width > 0 && *(l->text + l->at) == '.' && key) {
			conf_show(l->text + start, width, shown);
			lex_fault(l, start, width, "put the file into conf.d: every *.conf there is read, in the order of their names",
			          "%s is not read: there are no macros here", shown);
		} else if (width > 0) {
			text = copy(l, start, width);
			l->at += width;
		} else if (c == '=' || c == ':') {
			lex_fault(l, start, 1, NULL, "a key is missing before '%c'", c);
		} else {
			lex_fault(l, start, 1, c == '{' ? "write NAME { ... }" : NULL,
			          c == '{' ? "a section needs a name" : "a key was expected, not '%c'", c);
		}
	}
	if (text) {
		*ret_at = start;
		*ret_width = l->at - start;
	}
	return text;
}

/* Are there names and then a '{', maybe on a later line? `at` stays. */
static bool names_then_brace(const struct lex *now)
{
	struct faults none = { 0 };
	struct lex look = *now;
	bool found = false;

	look.faults = &none;
	for (;;) {
		int c;
		size_t n;

		lex_skip_blanks(&look);
		c = lex_peek(&look);
		if (c == '\n') {
			lex_skip_space(&look);
			found = lex_peek(&look) == '{';
			break;
		}
		if (c == '{') {
			found = true;
			break;
		}
		n = lex_word(&look, false);
		if (c == '"' || c == '\'') {
			for (n = 1; look.at + n < look.length && look.text[look.at + n] != c; n++)
				if (look.text[look.at + n] == '\n')
					break;
			if (look.at + n >= look.length || look.text[look.at + n] == '\n')
				break;
			n++;
		}
		if (n == 0)
			break;
		look.at += n;
	}
	faults_free(&none);
	return found;
}

/* `plugin interface {`: each name is one more object around what is in the braces. False: a fault was added. */
static bool parse_names(struct lex *l, struct conf_node *n, unsigned depth)
{
	for (;;) {
		struct conf_node *inner;

		lex_skip_space(l);
		if (lex_peek(l) == '{')
			return parse_value(l, n, BARE_KEY, depth);
		if (too_deep(l, ++depth))
			return false;
		inner = node_new(l);
		if (!inner)
			return true;
		n->type = CONF_OBJECT;
		n->children = inner;
		inner->key = parse_key(l, false, &inner->key_at, &inner->key_width);
		n->at = inner->key_at;
		n->width = inner->key_width;
		if (!inner->key)
			return false;
		n = inner;
	}
}

/* Between a key and its value. False: a fault was added. */
static bool parse_separator(struct lex *l, struct conf_node *n, bool *ret_sep)
{
	size_t line;
	int c;
	bool quoted = l->text[n->key_at] == '"';
	char shown[CONF_SHOW_MAX];

	lex_skip_blanks(l);
	c = lex_peek(l);
	*ret_sep = c == '=' || c == ':';
	if (*ret_sep) {
		l->at++;
		lex_skip_blanks(l);
	}
	line = l->at;
	if (lex_peek(l) == '\n') {
		/* JSON may break the line here; otherwise a forgotten value would take the next setting for itself */
		lex_skip_space(l);
		c = lex_peek(l);
		if (c == '{' || (*ret_sep && (c == '[' || c == '"' || (quoted && c >= 0))))
			return true;
		l->at = line;
	}
	c = lex_peek(l);
	if (c >= 0 && !strchr("\n;,}]", c))
		return true;
	conf_show(n->key, strlen(n->key), shown);
	lex_fault(l, n->key_at, n->key_width, *ret_sep ? "a text may be empty: \"\"" : "write KEY = VALUE or NAME { ... }",
	          "\"%s\" has no value", shown);
	return false;
}

/* One setting or section. False: a fault was added and `at` is somewhere within. */
static bool parse_entry(struct lex *l, struct conf_node *n, unsigned depth)
{
	bool sep, ok;

	n->key = parse_key(l, true, &n->key_at, &n->key_width);
	if (!n->key)
		return false;
	l->key_at = n->key_at;
	if (!parse_separator(l, n, &sep))
		return false;
	if (!sep && lex_peek(l) != '{' && names_then_brace(l))
		ok = parse_names(l, n, depth);
	else
		ok = parse_value(l, n, sep ? BARE_EQUALS : BARE_KEY, depth);
	if (!ok || l->stopped || n->type == CONF_OBJECT)
		return ok;
	lex_skip_blanks(l);
	if (lex_peek(l) >= 0 && !strchr("\n;,}]", lex_peek(l))) {
		lex_fault(l, l->at, 1, "put ';' or a new line between two settings", "unexpected text after the value");
		return false;
	}
	return true;
}

/* Settings up to the '}' that belongs to opened_at; SIZE_MAX: up to the end of the file */
static void parse_entries(struct lex *l, struct conf_node *object, unsigned depth, size_t opened_at)
{
	struct list entries = { &object->children };
	bool top = opened_at == SIZE_MAX;

	while (!too_many_errors(l)) {
		struct conf_node *n;
		int c;

		lex_skip_space(l);
		c = lex_peek(l);
		if (c < 0) {
			if (!top)
				not_closed(l, opened_at, "'{'");
			return;
		}
		if (c == ';' || c == ',') {
			l->at++;
		} else if (c == '}' && !top) {
			l->at++;
			return;
		} else if (c == '}' || c == ']') {
			lex_fault(l, l->at, 1, "remove it", "nothing is open that this '%c' could close", c);
			l->at++;
		} else if ((n = node_new(l))) {
			if (parse_entry(l, n, depth) && n->key) {
				append(&entries, n);
				continue;
			}
			conf_node_free(n); /* a setting at fault counts as not made */
			recover(l, ";\n");
		}
	}
}

static void parse_top(struct lex *l, struct conf_node *top)
{
	lex_skip_space(l);
	top->at = l->at;
	if (lex_peek(l) != '{') {
		parse_entries(l, top, 0, SIZE_MAX);
		return;
	}
	l->at++;
	parse_entries(l, top, 1, top->at);
	do {
		lex_skip_space(l);
	} while ((lex_peek(l) == ';' || lex_peek(l) == ',') && ++l->at);
	if (lex_peek(l) >= 0)
		lex_fault(l, l->at, 1, "leave out the braces around the whole file", "text after the closing '}'");
}

int conf_parse_partly(const struct conf_file *file, struct conf_node **ret_node, struct faults *faults)
{
	struct lex l = { .file = file, .text = file->text, .length = file->length, .faults = faults,
		         .errors_before = faults->n_errors };
	struct conf_node *top;

	*ret_node = NULL;
	if (file->length > CONF_FILE_MAX) {
		conf_fault(faults, false, file, 0, 1, "split it into files in conf.d", "the file is larger than 1 MiB");
		return -EINVAL;
	}
	if (l.length >= 3 && memcmp(l.text, "\xef\xbb\xbf", 3) == 0)
		l.at = 3; /* a byte order mark */
	if (!lex_check_bytes(&l))
		return -EINVAL;
	top = node_new(&l);
	if (!top)
		return -ENOMEM;
	top->type = CONF_OBJECT;
	top->width = 1;
	parse_top(&l, top);
	if (l.nomem) {
		conf_node_free(top);
		return -ENOMEM;
	}
	*ret_node = top;
	return faults->n_errors == l.errors_before ? 0 : -EINVAL;
}

int conf_parse(const struct conf_file *file, struct conf_node **ret_node, struct faults *faults)
{
	struct conf_node *top;
	int r = conf_parse_partly(file, &top, faults);

	if (r < 0)
		conf_node_free(top);
	else
		*ret_node = top;
	return r;
}
