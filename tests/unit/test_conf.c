/* conf/: the syntax, faults word by word, the schema, conf.d */
#include <math.h>

#include "conf_examples.h"
#include "conf_help.h"

static const char sample[] = "# a comment\n"
                             "interval = 10s; log_level: notice\n"
                             "tags = [\"web\", db\n 'x']\n"
                             "plugin interface { ignore = [\"docker*\", \"\\u00e9\"]; interval = 1s }\n"
                             "plugin df\n{\n\tnumber 5%, size = 1.5GiB\r\n\ttext = <<EOD\nline\nEOD\n}\n"
                             "/* /* nested */ */ exporter openmetrics { listen = 127.0.0.1:9177 # here\n }\n";

/* ---- helpers ---------------------------------------------------------------------------------------------------- */

static void dump(struct buf *b, const struct conf_node *n)
{
	static const char kinds[] = "-bndz%";

	if (n->key)
		buf_printf(b, "%s=", n->key);
	if (n->type == CONF_STRING) {
		buf_printf(b, "\"%s\"", n->string);
	} else if (n->type == CONF_LIST || n->type == CONF_OBJECT) {
		buf_putc(b, n->type == CONF_LIST ? '[' : '{');
		for (const struct conf_node *c = n->children; c; c = c->next) {
			dump(b, c);
			if (c->next)
				buf_putc(b, ' ');
		}
		buf_putc(b, n->type == CONF_LIST ? ']' : '}');
	} else {
		buf_printf(b, "%c%.15g", kinds[n->type], n->number);
	}
}

static void write_string(struct buf *b, const char *s)
{
	buf_putc(b, '"');
	for (; *s; s++) {
		if ((unsigned char)*s < 0x20 || *s == '"' || *s == '\\')
			buf_printf(b, "\\u%04x", (unsigned char)*s);
		else
			buf_putc(b, *s);
	}
	buf_putc(b, '"');
}

/* The tree in JSON, save for the units */
static void write_json(struct buf *b, const struct conf_node *n)
{
	if (n->key) {
		write_string(b, n->key);
		buf_putc(b, ':');
	}
	if (n->type == CONF_STRING) {
		write_string(b, n->string);
	} else if (n->type == CONF_LIST || n->type == CONF_OBJECT) {
		buf_putc(b, n->type == CONF_LIST ? '[' : '{');
		for (const struct conf_node *c = n->children; c; c = c->next) {
			write_json(b, c);
			if (c->next)
				buf_puts(b, ",\n");
		}
		buf_putc(b, n->type == CONF_LIST ? ']' : '}');
	} else {
		buf_puts(b, n->string);
	}
}

/* From memory of exactly its size, so that a read behind it is seen */
static int parse(const char *text, size_t length, struct conf_node **ret_node, struct faults *faults)
{
	struct conf_file file = { .path = (char *)"t", .text = malloc(length ? length : 1), .length = length };
	struct conf_node *node = NULL;
	int r;

	memcpy(file.text, text, length);
	r = conf_parse(&file, &node, faults);
	ck_assert(r == 0 || (r == -EINVAL && !node && faults->n_errors > 0));
	if (r == 0)
		*ret_node = node; /* its places are of no more use: `file` is gone */
	free(file.text);
	return r;
}

static void load_fails(const char *expected)
{
	struct faults faults = { 0 };
	struct conf *c = (void *)1;
	int r = conf_load("kith.conf", true, &c, &faults);
	char *text = all_faults(&faults);

	ck_assert_str_eq(text, expected);
	ck_assert_int_eq(r, -EINVAL);
	ck_assert_ptr_eq(c, (void *)1);
	free(text);
}

/* ---- syntax ----------------------------------------------------------------------------------------------------- */

START_TEST(test_good)
{
	const struct example *e = &good[_i];
	struct faults faults = { 0 };
	struct conf_node *node, *again;
	struct buf b = BUF_INIT, json = BUF_INIT;

	ck_assert_int_eq(parse(e->text, strlen(e->text), &node, &faults), 0);
	ck_assert_uint_eq(faults.n_errors + faults.n_warnings, 0);
	dump(&b, node);
	ck_assert_str_eq(buf_text(&b), e->result);

	write_json(&json, node);
	ck_assert_int_eq(parse(json.data, json.length, &again, &faults), 0);
	buf_reset(&b);
	dump(&b, again);
	ck_assert_str_eq(buf_text(&b), e->result);
	conf_node_free(node);
	conf_node_free(again);
	buf_free(&b);
	buf_free(&json);
}
END_TEST

START_TEST(test_bad)
{
	const struct example *e = &bad[_i];
	struct faults faults = { 0 };
	struct conf_node *node;
	char *text;

	ck_assert_int_eq(parse(e->text, e->length ? e->length : strlen(e->text), &node, &faults), -EINVAL);
	text = all_faults(&faults);
	ck_assert_str_eq(text, e->result);
	free(text);
}
END_TEST

static void parse_any(const char *text, size_t length)
{
	struct faults faults = { 0 };
	struct conf_node *node;

	if (parse(text, length, &node, &faults) == 0) {
		ck_assert_uint_eq(faults.n_errors, 0);
		conf_node_free(node);
	}
	faults_free(&faults);
}

START_TEST(test_prefixes)
{
	struct faults faults = { 0 };
	struct conf_node *node;

	ck_assert_int_eq(parse(sample, sizeof(sample) - 1, &node, &faults), 0);
	conf_node_free(node);
	for (size_t n = 0; n < sizeof(sample); n++)
		parse_any(sample, n);
}
END_TEST

START_TEST(test_mutations)
{
	char text[sizeof(sample)];

	memcpy(text, sample, sizeof(sample));
	for (size_t i = 0; i < sizeof(sample) - 1; i++) {
		for (unsigned c = 0; c < 256; c++) {
			text[i] = (char)c;
			parse_any(text, sizeof(sample) - 1);
		}
		text[i] = sample[i];
		/* and without the byte */
		memmove(text + i, sample + i + 1, sizeof(sample) - i - 1);
		parse_any(text, sizeof(sample) - 2);
		memcpy(text, sample, sizeof(sample));
	}
}
END_TEST

/* `text` n times behind `head`, and the number of errors that gives; the first one's text in *ret_first */
static unsigned repeated(const char *head, const char *text, size_t n, const char *tail, char ret_first[static 128])
{
	struct faults faults = { 0 };
	struct conf_node *node;
	struct buf b = BUF_INIT;
	unsigned errors;

	buf_puts(&b, head);
	for (size_t i = 0; i < n; i++)
		buf_puts(&b, text);
	buf_puts(&b, tail);
	ck_assert(!b.failed);
	if (parse(b.data, b.length, &node, &faults) == 0)
		conf_node_free(node);
	errors = faults.n_errors;
	snprintf(ret_first, 128, "%s", faults.first ? faults.first->text : "");
	faults_free(&faults);
	buf_free(&b);
	return errors;
}

START_TEST(test_bounds)
{
	char first[128];

	ck_assert_uint_eq(repeated("a = ", "[", 32, "]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]", first), 0);
	ck_assert_uint_eq(repeated("a = ", "[", 33, "]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]", first), 1);
	ck_assert_str_eq(first, "more than 32 sections and lists within each other");
	ck_assert_uint_eq(repeated("", "a { ", 32, "}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}", first), 0);
	ck_assert_uint_eq(repeated("", "a { ", 33, "}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}", first), 1);
	ck_assert_uint_eq(repeated("", "a ", 32, "{}", first), 0);
	ck_assert_uint_eq(repeated("", "a ", 33, "{}", first), 1);

	ck_assert_uint_eq(repeated("", "a=1\n", 65535, "", first), 0); /* and the top itself */
	ck_assert_uint_eq(repeated("", "a=1\n", 65536, "", first), 1);
	ck_assert_str_eq(first, "more than 65536 settings in one file");
	ck_assert_uint_eq(repeated("a = [", "1,", 70000, "]", first), 1);
	ck_assert_str_eq(first, "more than 65536 settings in one file");

	ck_assert_uint_eq(repeated("#", "1234567890123456", 65536, "", first), 1);
	ck_assert_str_eq(first, "the file is larger than 1 MiB");
	ck_assert_uint_eq(repeated("", "1234567890123456", 65535, " = 1", first), 0);
	ck_assert_uint_eq(repeated("", "a\n", 5000, "", first), 101); /* then it says that it stops */
	ck_assert_uint_eq(repeated("", "\x01", 5000, "", first), 20);
	ck_assert_uint_eq(repeated("", "/*", 100000, "", first), 1);
	ck_assert_uint_eq(repeated("a ", "b ", 100000, "", first), 0);
}
END_TEST

/* ---- kith.conf and conf.d --------------------------------------------------------------------------------------- */

START_TEST(test_loaded)
{
	const struct example *e = &loaded[_i];
	struct faults faults = { 0 };
	struct conf *c = (void *)1;
	bool fails;
	char *text;
	int r;

	say("kith.conf", e->text);
	r = conf_load("kith.conf", true, &c, &faults);
	fails = faults.n_errors > 0;
	text = all_faults(&faults);
	ck_assert_str_eq(text, e->result);
	ck_assert_int_eq(r, fails ? -EINVAL : 0);
	if (r == 0)
		conf_free(c);
	else
		ck_assert_ptr_eq(c, (void *)1);
	free(text);
}
END_TEST

START_TEST(test_values)
{
	struct conf *c = load_text("interval = 1.5s; log_level = debug; tags = [web, db]; tags = more; host = web1.example\n"
	                           "root = /mnt/host//; socket_group = adm; cpu_budget = 2.5%; max_instances = 1k; max_actions = 3\n"
	                           "attention_budget = 0\n"
	                           "plugin df { enabled = no; isolated = on; interval = 1min; cpu_budget = 7; max_instances = 9; x = 1 }\n"
	                           "exporter out {}");
	struct conf_plugin *p;

	ck_assert_int_eq(c->interval, 1500000000);
	ck_assert_int_eq(c->log_level, CONF_LOG_DEBUG);
	ck_assert_uint_eq(c->n_tags, 3);
	ck_assert_str_eq(c->tags[0], "web");
	ck_assert_str_eq(c->tags[1], "db");
	ck_assert_str_eq(c->tags[2], "more");
	ck_assert_ptr_null(c->tags[3]);
	ck_assert_str_eq(c->host, "web1.example");
	ck_assert_str_eq(c->root, "/mnt/host");
	ck_assert_str_eq(c->socket_group, "adm");
	ck_assert_double_eq(c->cpu_budget, 2.5);
	ck_assert_double_eq(c->attention_budget, 0);
	ck_assert_uint_eq(c->max_instances, 1000);
	ck_assert_uint_eq(c->max_actions, 3);
	p = conf_plugin_find(c, "df");
	ck_assert(p && !p->exporter && !p->enabled && p->isolated);
	ck_assert_int_eq(p->interval, 60000000000);
	ck_assert_double_eq(p->cpu_budget, 7);
	ck_assert_uint_eq(p->max_instances, 9);
	p = conf_plugin_find(c, "out");
	ck_assert(p && p->exporter && p->enabled && !p->isolated && p->interval == 0 && p->cpu_budget == 0);
	ck_assert_uint_eq(p->max_instances, 0);
	ck_assert_ptr_null(conf_plugin_find(c, "none"));
	conf_free(c);
}
END_TEST

static void assert_defaults(const struct conf *c)
{
	ck_assert_int_eq(c->interval, 10000000000);
	ck_assert_int_eq(c->log_level, CONF_LOG_INFO);
	ck_assert_uint_eq(c->n_tags, 0);
	ck_assert(c->tags && !c->tags[0]);
	ck_assert_ptr_null(c->host);
	ck_assert_str_eq(c->root, "");
	ck_assert_ptr_null(c->socket_group);
	ck_assert_double_eq(c->cpu_budget, 5);
	ck_assert_double_eq(c->attention_budget, 0.5);
	ck_assert_uint_eq(c->max_instances, 16384);
	ck_assert_uint_eq(c->max_actions, 8);
	ck_assert(c->records);
	ck_assert(c->journal.enabled);
	ck_assert_uint_eq(c->journal.ring, 1 << 20);
	ck_assert_uint_eq(c->journal.max_size, 64 << 20);
	ck_assert_int_eq(c->journal.fold, INT64_C(3600) * 1000000000);
	/* Those of the example are the same, written out. */
	ck_assert(!c->journal.archives || !strcmp(c->journal.archives, "10s:6h,1min:2d,10min:2w,2h:2y"));
	ck_assert_int_eq(c->records_max_size, 64 << 20);
	ck_assert_int_eq(c->records_max_age, INT64_C(30) * 86400 * 1000000000);
}

START_TEST(test_archives)
{
	struct conf *c = load_text("journal { step = 30s }");

	/* What goes by default fits the step. */
	ck_assert_ptr_null(c->journal.archives);
	conf_free(c);
	c = load_text("journal { step = 1s; archives = '1s:1h,1min:2d' }");
	ck_assert_str_eq(c->journal.archives, "1s:1h,1min:2d");
	conf_free(c);
}
END_TEST

START_TEST(test_defaults)
{
	struct faults faults = { 0 };
	struct conf *c;

	ck_assert_int_eq(conf_load("kith.conf", false, &c, &faults), 0);
	ck_assert_uint_eq(faults.n_errors + faults.n_warnings, 0);
	assert_defaults(c);
	ck_assert_ptr_null(c->plugins);
	conf_free(c);
	ck_assert_int_eq(rmdir("conf.d"), 0);
	ck_assert_int_eq(conf_load("kith.conf", false, &c, &faults), 0);
	conf_free(c);
	load_fails("kith.conf:1:1: cannot be read: No such file or directory\n");
	ck_assert_int_eq(mkdir("kith.conf", 0755), 0);
	load_fails("kith.conf:1:1: cannot be read: Is a directory\n");
}
END_TEST

START_TEST(test_conf_d)
{
	struct conf *c;
	struct conf_plugin *p;
	struct buf b = BUF_INIT;

	say("kith.conf", "interval = 1s; host = a; tags = [x, y]; max_actions = 1\n"
	                 "plugin df { a = [1, 2]; b = 1; c { d = 1 }; enabled = no }");
	say("conf.d/20-second.conf", "interval = 3s; tags = z; plugin df { b = 3; e = 1 }; plugin cpu {}");
	say("conf.d/10-first.conf", "interval = 2s; host = null; plugin df { a = [3]; b = 2; enabled = null }");
	say("conf.d/.hidden.conf", "no such key");
	say("conf.d/99.conf~", "no such key");
	say("conf.d/README", "no such key");
	say("elsewhere", "max_actions = 7");
	ck_assert_int_eq(symlink("../elsewhere", "conf.d/30-link.conf"), 0);
	ck_assert_int_eq(symlink("nowhere", "conf.d/31-dangling.conf"), 0);
	ck_assert_int_eq(mkdir("conf.d/40-dir.conf", 0755), 0);
	ck_assert_int_eq(mkfifo("conf.d/41-fifo.conf", 0644), 0);
	c = load();
	ck_assert_int_eq(c->interval, 3000000000);
	ck_assert_ptr_null(c->host);
	ck_assert_uint_eq(c->n_tags, 1);
	ck_assert_str_eq(c->tags[0], "z");
	ck_assert_uint_eq(c->max_actions, 7);
	p = conf_plugin_find(c, "df");
	ck_assert(p && p->enabled);
	dump(&b, p->node);
	ck_assert_str_eq(buf_text(&b), "df={c={d=n1} a=[n3] enabled=-0 b=n3 e=n1}");
	buf_free(&b);
	ck_assert_ptr_nonnull(conf_plugin_find(c, "cpu"));
	conf_free(c);

	say("kith.conf", "\nhots = a\n");
	say("conf.d/10-first.conf", "interval = 1");
	say("conf.d/20-second.conf", "interval = 1ms; plugin x { interval = 1ms }\ntags =");
	load_fails("kith.conf:2:1: unknown key \"hots\"\n    hots = a\n    ^~~~ did you mean \"host\"?\n"
	           "conf.d/20-second.conf:1:12: interval is 1ms: the least is 100ms\n"
	           "    interval = 1ms; plugin x { interval = 1ms }\n               ^~~ write a value from 100ms to 1h\n"
	           "conf.d/20-second.conf:1:39: interval is 1ms: the least is 100ms\n"
	           "    interval = 1ms; plugin x { interval = 1ms }\n"
	           "                                          ^~~ write a value from 100ms to 1h\n"
	           "conf.d/20-second.conf:2:1: \"tags\" has no value\n    tags =\n    ^~~~ a text may be empty: \"\"\n");
}
END_TEST

START_TEST(test_load_bounds)
{
	struct faults faults = { 0 };
	struct buf b = BUF_INIT;
	struct conf *c;

	for (int i = 0; i < 1024; i++)
		buf_printf(&b, "plugin p%d {}\n", i);
	conf_free(load_text(buf_text(&b)));
	buf_puts(&b, "plugin p5 { x = 1 }\nplugin one_more {}\n");
	say("kith.conf", buf_text(&b));
	load_fails("kith.conf:1026:8: more than 1024 plugins and exporters\n    plugin one_more {}\n           ^~~~~~~~\n");

	buf_reset(&b);
	buf_puts(&b, "plugin x {\n");
	for (int i = 0; i < 1025; i++)
		buf_printf(&b, "k%d = 1\n", i);
	buf_puts(&b, "}\n");
	say("kith.conf", buf_text(&b));
	load_fails("kith.conf:1:8: more than 1024 keys in one section\n"
	           "    plugin x {\n           ^ put what belongs together into a list\n");

	buf_reset(&b);
	for (int i = 0; i <= 1024 * 1024; i++)
		buf_putc(&b, '\n');
	say("kith.conf", buf_text(&b));
	ck_assert_int_eq(conf_load("kith.conf", true, &c, &faults), -EINVAL);
	ck_assert_str_eq(faults.first->text, "the file is larger than 1 MiB");
	faults_free(&faults);
	buf_free(&b);
}
END_TEST

/* ---- what is written about it ----------------------------------------------------------------------------------- */

static const char *const known[] = { "interval", "steady_interval", "log_level", "tags", "host", "root", "socket_group", "cpu_budget",
	                             "attention_budget", "max_instances", "max_actions", "max_action_starts",
	                             "enabled", "isolated", "run", "wait", "repeat", "severity", "promises", "kept", "unknown", "user",
	                             "timeout", "max_size", "max_age", "ring", "sync", "fold", "step", "archives", "keep",
	                             "cached" }; /* from `enabled` on of sections alone */

static char *read_source(const char *name)
{
	char path[PATH_MAX + 64], *text;
	size_t length;

	snprintf(path, sizeof(path), "%s/daemon/conf/%s", source_dir, name);
	ck_assert_int_eq(file_read_all(path, 1 << 20, &text, &length), 0);
	return text;
}

/* Every key stands in the example, commented out; without the '#' it says what holds anyway */
START_TEST(test_example)
{
	char *text = read_source("kith.conf.example"), line[64];
	struct conf *c = load_text(text);
	struct buf b = BUF_INIT;

	assert_defaults(c);
	ck_assert_ptr_null(c->plugins);
	conf_free(c);
	for (size_t i = 0; i < N(known); i++) {
		snprintf(line, sizeof(line), "%s%s = ", i < N(known) - 20 ? "\n#" : "\n#    ", known[i]);
		ck_assert_msg(strstr(text, line), "kith.conf.example says nothing of %s", known[i]);
	}
	for (const char *p = text; *p; p++)
		if (*p != '#' || p[1] == ' ' || p[1] == '\n' || (p != text && p[-1] != '\n') || strncmp(p + 1, "    ", 4) == 0)
			buf_putc(&b, *p);
	for (char *p = b.data; (p = strstr(p, "\n#    ")); p++)
		p[1] = ' ';
	c = load_text(buf_text(&b));
	assert_defaults(c);
	ck_assert_ptr_nonnull(conf_plugin_find(c, "interface"));
	ck_assert(conf_plugin_find(c, "interface")->enabled);
	conf_free(c);
	buf_free(&b);
	free(text);
}
END_TEST

START_TEST(test_man_page)
{
	char *text = read_source("kith.conf.5"), line[64];

	for (size_t i = 0; i < N(known); i++) {
		snprintf(line, sizeof(line), "\n.It Ic %s ", known[i]);
		ck_assert_msg(strstr(text, line), "kith.conf.5 says nothing of %s", known[i]);
	}
	free(text);
}
END_TEST

/* Sections of receivers: defaults, later files over earlier ones, null takes back */
START_TEST(test_notify)
{
	struct faults faults = { 0 };
	const struct conf_notify *s;
	struct conf *c;

	say("kith.conf", "notify ops { run = [/bin/mail, ops]; wait = 30s; severity = error; promises = [\"web.*\"] }\nnotify x { run = /bin/x }\n");
	say("conf.d/a.conf", "notify ops { wait = null; repeat = 0; kept = no; user = nobody; unknown = 1h }\n");
	ck_assert_int_eq(conf_load("kith.conf", true, &c, &faults), 0);
	ck_assert_uint_eq(faults.n_errors + faults.n_warnings, 0);
	s = c->notifies;
	ck_assert_str_eq(s->name, "ops");
	ck_assert_str_eq(s->run[0], "/bin/mail");
	ck_assert_str_eq(s->run[1], "ops");
	ck_assert_ptr_null(s->run[2]);
	ck_assert_int_eq(s->wait, 10000000000);
	ck_assert_int_eq(s->repeat, 0);
	ck_assert_int_eq(s->unknown, 3600000000000);
	ck_assert_int_eq(s->timeout, 30000000000);
	ck_assert_int_eq(s->severity, KITH_ERR);
	ck_assert_uint_eq(s->n_promises, 1);
	ck_assert_str_eq(s->promises[0], "web.*");
	ck_assert_str_eq(s->user, "nobody");
	ck_assert(!s->kept);
	s = s->next;
	ck_assert_str_eq(s->name, "x");
	ck_assert_int_eq(s->repeat, INT64_C(14400) * 1000000000);
	ck_assert_int_eq(s->severity, KITH_WARNING);
	ck_assert(s->kept && !s->user && !s->n_promises && !s->next);
	conf_free(c);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("conf");
	TCase *syntax = tcase_create("syntax"), *files = tcase_create("files");
	SRunner *runner;
	int failed;

	tcase_set_timeout(syntax, 120);
	tcase_add_loop_test(syntax, test_good, 0, N(good));
	tcase_add_loop_test(syntax, test_bad, 0, N(bad));
	tcase_add_test(syntax, test_prefixes);
	tcase_add_test(syntax, test_mutations);
	tcase_add_test(syntax, test_bounds);
	tcase_add_checked_fixture(files, setup, teardown);
	tcase_add_loop_test(files, test_loaded, 0, N(loaded));
	tcase_add_test(files, test_values);
	tcase_add_test(files, test_archives);
	tcase_add_test(files, test_defaults);
	tcase_add_test(files, test_notify);
	tcase_add_test(files, test_conf_d);
	tcase_add_test(files, test_load_bounds);
	tcase_add_test(files, test_example);
	tcase_add_test(files, test_man_page);
	suite_add_tcase(s, syntax);
	suite_add_tcase(s, files);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
