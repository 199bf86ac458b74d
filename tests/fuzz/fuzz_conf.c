/*
 * Fuzz target: any bytes as a kith.conf. What parses is also read as options, copied into values and compared with itself; a
 * tree written out in its plainest form parses again to an equal one.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "conf/conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct kith_option options[] = {
	{ .name = "b", .type = KITH_OPTION_BOOL },
	{ .name = "n", .type = KITH_OPTION_NUMBER, .min = 1, .max = 10 },
	{ .name = "d", .type = KITH_OPTION_DURATION, .fallback = "5m" },
	{ .name = "z", .type = KITH_OPTION_SIZE, .fallback = "1MiB" },
	{ .name = "s", .type = KITH_OPTION_STRING },
	{ .name = "l", .type = KITH_OPTION_LIST, .fallback = "a, b" },
};
#define N_OPTIONS (sizeof(options) / sizeof(options[0]))

static void write_string(struct buf *b, const char *s)
{
	buf_putc(b, '"');
	for (; *s; s++) {
		if ((unsigned char)*s < 0x20 || *s == '"' || *s == '\\' || *s == 0x7f)
			buf_printf(b, "\\u%04x", (unsigned char)*s);
		else
			buf_putc(b, *s);
	}
	buf_putc(b, '"');
}

static void write_node(struct buf *b, const struct conf_node *n)
{
	if (n->key) {
		write_string(b, n->key);
		buf_putc(b, ':');
	}
	if (n->type == CONF_STRING)
		write_string(b, n->string);
	else if (n->type != CONF_LIST && n->type != CONF_OBJECT)
		buf_puts(b, n->string);
	else {
		buf_putc(b, n->type == CONF_LIST ? '[' : '{');
		for (const struct conf_node *c = n->children; c; c = c->next) {
			write_node(b, c);
			buf_putc(b, ',');
		}
		buf_putc(b, n->type == CONF_LIST ? ']' : '}');
	}
}

static void check(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "fuzz_conf: %s\n", what);
	abort();
}

static void round_trip(struct conf_plugin *section)
{
	struct buf b = BUF_INIT;
	struct faults faults = { 0 };
	struct conf_plugin again = *section;

	write_node(&b, section->node);
	struct conf_file file = { .path = (char *)"again", .text = b.data, .length = b.length };
	/* escapes may make it longer than a file may be */
	if (!b.failed && b.length <= 1024 * 1024) {
		check(conf_parse(&file, &again.node, &faults) == 0, "what was written does not parse");
		check(conf_plugin_same(section, &again), "what was written and read is not the same");
		conf_node_free(again.node);
	}
	faults_free(&faults);
	buf_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct conf_file file = { .path = (char *)"fuzz", .text = (char *)(uintptr_t)data, .length = size };
	struct conf_plugin section = { .name = (char *)"fuzz", .enabled = true };
	struct conf_option *values;
	struct faults faults = { 0 };
	struct buf text = BUF_INIT;

	if (conf_parse(&file, &section.node, &faults) == 0) {
		check(faults.n_errors == 0, "errors, but it parsed");
		if (conf_options(&section, options, N_OPTIONS, sizeof(options[0]), &values, &faults) == 0) {
			check(faults.n_errors == 0, "errors, but there are options");
			conf_options_free(values, N_OPTIONS);
		} else {
			check(faults.n_errors > 0, "no options, but no error");
		}
		check(conf_plugin_same(&section, &section), "a section differs from itself");
		round_trip(&section);
		conf_node_free(section.node);
	} else {
		check(faults.n_errors > 0, "it does not parse, but there is no error");
	}
	for (const struct fault *f = faults.first; f; f = f->next)
		fault_format(f, &text);
	buf_free(&text);
	faults_free(&faults);
	return 0;
}
