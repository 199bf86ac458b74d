/* Inside conf/: the lexer that the parser drives, and what the checks share. Not for other modules. */
#ifndef KITH_CONF_PARSE_H
#define KITH_CONF_PARSE_H

#include "base/buf.h"
#include "base/fault.h"
#include "conf/conf.h"

/* Bounds of one file */
#define CONF_FILE_MAX (1024 * 1024) /* bytes */
#define CONF_DEPTH_MAX 32           /* sections and lists within each other */
#define CONF_NODES_MAX 65536        /* keys and list items */
#define CONF_ERRORS_MAX 100         /* after that many faults the rest is not read */
#define CONF_FILES_MAX 1024         /* files in conf.d */
#define CONF_SECTIONS_MAX 1024      /* plugins and exporters, over all files */
#define CONF_NOTIFY_MAX 32          /* receivers */
#define CONF_KEYS_MAX 1024          /* keys that one of their sections says in one file */

/* ---- lex.c ------------------------------------------------------------------------------------------------------ */

struct lex {
	const struct conf_file *file;
	const char *text; /* not NUL-terminated */
	size_t length, at;
	size_t key_at; /* of the setting that is being read */
	struct faults *faults;
	unsigned errors_before; /* what `faults` held when this file began */
	size_t n_nodes;
	bool stopped; /* a bound was hit or memory ran out: `at` is at the end */
	bool nomem;
	bool unclosed; /* said once: something is not closed at the end */
};

/* `at` may be anywhere in the text; the underline is cut at the line's end */
void conf_fault(struct faults *f, bool warning, const struct conf_file *file, size_t at, size_t width, const char *hint,
                const char *format, ...) __attribute__((format(printf, 7, 8)));
#define lex_fault(l, at, width, hint, ...) conf_fault((l)->faults, false, (l)->file, (at), (width), (hint), __VA_ARGS__)

/* Text of a person for a message: shortened, without control characters. Returns `out`. */
#define CONF_SHOW_MAX 64
char *conf_show(const char *text, size_t length, char out[static CONF_SHOW_MAX]);

/* The next byte, or -1 at the end */
static inline int lex_peek(const struct lex *l)
{
	return l->at < l->length ? (unsigned char)l->text[l->at] : -1;
}
static inline int lex_peek2(const struct lex *l)
{
	return l->at + 1 < l->length ? (unsigned char)l->text[l->at + 1] : -1;
}

void lex_stop(struct lex *l);
/* NUL, control characters, bad UTF-8: each a fault with its place. False: no text at all, not worth parsing. */
bool lex_check_bytes(struct lex *l);
void lex_skip_blanks(struct lex *l); /* blanks and comments */
void lex_skip_space(struct lex *l);  /* and ends of lines */
/* `at` is on the quote (or on "<<"). The decoded text in `b`. False: a fault was added. */
bool lex_quoted(struct lex *l, struct buf *b);
bool lex_heredoc(struct lex *l, struct buf *b);
bool lex_is_heredoc(const struct lex *l);
/* An unquoted word of a key or a section's name, from `at`; its length, 0 when none starts here */
size_t lex_word(const struct lex *l, bool key);
/* What an unquoted value stands behind: decides what a message about it says */
enum bare { BARE_KEY, BARE_EQUALS, BARE_ITEM };
/* An unquoted value from `at` to what ends it, without blanks behind; false: a fault was added */
bool lex_bare(struct lex *l, enum bare where, size_t *ret_width);

/* ---- parse.c ---------------------------------------------------------------------------------------------------- */

/* conf_parse that gives the tree of a file with faults too (-EINVAL; *ret_node may be NULL): what could be read of it */
int conf_parse_partly(const struct conf_file *file, struct conf_node **ret_node, struct faults *faults);

/* ---- scalar.c --------------------------------------------------------------------------------------------------- */

/* What an unquoted text is: fills *ret_number for all but strings. -ERANGE: a number too large for a double. */
int scalar_classify(const char *text, size_t length, enum conf_type *ret_type, double *ret_number);
/* A number whose unit is `m`: a million as a number, minutes as a duration. *ret_count is what stands before it. */
bool scalar_is_m(const char *text, double *ret_count);
/* Has it a multiplier (k, M, g) that makes no sense for a duration? */
bool scalar_has_multiplier(const char *text);
/* As one would write it in kith.conf: "100ms", "1GiB", "16384". Returns `out`. */
char *scalar_format(double value, enum kith_option_type type, char out[static CONF_SHOW_MAX]);

/* ---- section.c -------------------------------------------------------------------------------------------------- */

extern const struct kith_option conf_plugin_keys[]; /* what every plugin's section may say */
extern const size_t conf_n_plugin_keys;

/* Merges the value of a key `plugin` or `exporter` into c->plugins. -EINVAL: faults; -ENOMEM. */
int conf_add_sections(struct conf *c, const struct conf_node *n, bool exporter, struct faults *faults);
/* Fills `p` from the common keys of its section; the others wait for the plugin's descriptor (conf_options) */
int conf_read_section(struct conf_plugin *p, struct faults *faults);

/* What all kinds of sections share. `kind`: "plugin", "notify" … */
int section_check(const struct conf_node *n, const char *kind, struct faults *faults);
struct conf_node *section_copy(const struct conf_node *n);                       /* NULL: out of memory */
int section_merge(struct conf_node *into, const struct conf_node *from);        /* what `from` says replaces what `into` said of the same keys */

/* ---- notify.c */
extern const struct kith_option conf_journal_keys[];
extern const size_t conf_n_journal_keys;
int conf_add_journal(struct conf *c, const struct conf_node *n, struct faults *faults);
int conf_read_journal(struct conf *c, struct faults *faults);
void conf_journal_clear(struct conf_journal *j);

extern const struct kith_option conf_notify_keys[];
extern const size_t conf_n_notify_keys;
int conf_add_notifies(struct conf *c, const struct conf_node *n, struct faults *faults); /* as conf_add_sections */
int conf_read_notify(struct conf_notify *s, struct faults *faults);
void conf_notify_free(struct conf_notify *s);

/* ---- records.c */
extern const struct kith_option conf_records_keys[];
extern const size_t conf_n_records_keys;
int conf_add_records(struct conf *c, const struct conf_node *n, struct faults *faults); /* as conf_add_sections */
int conf_read_records(struct conf *c, struct faults *faults);

/* ---- check.c ---------------------------------------------------------------------------------------------------- */

/*
 * Reads the key `o->name` of an object. > 0: it is there (v->set false: it says null), *ret_node is its (last) node; 0: it
 * is not; -EINVAL: faults; -ENOMEM. `v` is overwritten only when > 0 and owns what it holds: conf_value_clear.
 */
int conf_read(const struct conf_node *object, const struct kith_option *o, bool whole, struct conf_option *v,
              const struct conf_node **ret_node, struct faults *faults);
/* Fills `v` from o->fallback by the same rules; `owner` names the plugin in faults */
int conf_read_fallback(const char *owner, const struct kith_option *o, struct conf_option *v, struct faults *faults);
void conf_value_clear(struct conf_option *v); /* unset; frees */
/* "the string "often"", "a list": what a message says was found. Returns `out`. */
#define CONF_FOUND_MAX (CONF_SHOW_MAX + 32)
char *conf_found(const struct conf_node *n, char out[static CONF_FOUND_MAX]);
/* An unknown key: the nearest of `names`, or the list of them */
void conf_unknown_key(const struct conf_node *n, const char *where, const char *const *names, size_t n_names,
                      struct faults *faults);

#endif
