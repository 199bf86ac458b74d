/* What a bad promise file is answered: place, underlining, text and hint of each fault */
#include "promise_help.h"

static struct world *w;

static void setup(void)
{
	w = world_new();
}

static void teardown(void)
{
	world_free(w);
}

/* Conditions, as the `keep` of a promise on line 3, from column 8 on. Promiser df:* when it begins with '*'. */
static const struct {
	const char *keep;
	unsigned column, width;
	const char *text, *hint;
} conditions[] = {
	{ "df:/:fre > 1GiB", 8, 8, "family \"df\" has no metric \"fre\"", "did you mean \"df:/:free\"?" },
	{ "df:/:xyzzyx > 1", 8, 11, "family \"df\" has no metric \"xyzzyx\"", "it has free, free_percent, total" },
	{ "df:/:free > 10%", 20, 3, "a size (B) cannot be compared with a percentage (%)", "did you mean \"df:/:free_percent\"?" },
	{ "df:/:free_percent > 1GiB", 28, 4, "a percentage (%) cannot be compared with a size (B)", "did you mean \"df:/:free\"?" },
	{ "memory:available > 10s", 27, 3, "a size (B) cannot be compared with a duration (s)", "write a value such as 1GiB" },
	{ "interface:lo:rx_bytes > 1MB/s", 32, 5, "a size (B) cannot be compared with a rate (B/s)",
	  "did you mean rate(interface:lo:rx_bytes)?" },
	{ "interface:lo:rx_errors > 1/s", 33, 3, "a number of errors cannot be compared with a rate (/s)",
	  "did you mean rate(interface:lo:rx_errors)?" },
	{ "rate(interface:lo:rx_bytes) > 1MB", 38, 3, "a rate (B/s) cannot be compared with a size (B)",
	  "write a value such as 1MiB/s" },
	{ "df:/:free + df:/:free_percent > 1", 20, 17, "a size (B) cannot be added to a percentage (%)",
	  "did you mean \"df:/:free_percent\"?" },
	{ "df:/:free * df:/:free > 1", 20, 9, "a size (B) cannot be multiplied by a size (B)", NULL },
	{ "df:/:free / 1s > 1MiB", 25, 4, "a rate (B/s) cannot be compared with a size (B)", "write a value such as 1MiB/s" },
	{ "df:/:free_percent > 10% margin 1GiB", 39, 4, "the margin is a size (B), the comparison a percentage (%)",
	  "write a value such as 10%" },
	{ "df:/:free == 5B margin 1B", 31, 2, "a margin goes with < <= > >= alone", NULL },
	{ "df:/:free > 5B and df:/:total > 3 margin", 46, 1, "expected how far behind the threshold, such as 2%, found \"}\"", NULL },
	{ "interface:lo:state == \"uo\"", 30, 4, "state has no state \"uo\"", "did you mean \"up\"?" },
	{ "interface:lo:state == \"active\"", 30, 8, "state has no state \"active\"",
	  "it is one of \"up\", \"down\", \"dormant\"" },
	{ "interface:lo:state > \"up\"", 8, 25, "states have no order", "use == or !=, or in [ … ]" },
	{ "interface:lo:state == 1", 30, 1, "state is a state, it cannot be compared with a number",
	  "it is one of \"up\", \"down\", \"dormant\"" },
	{ "interface:lo:state == up", 30, 2, "unknown word \"up\" in a condition", "a state is written in quotes: \"up\"" },
	{ "interface:lo:state in [\"up\", \"dwon\"]", 37, 6, "state has no state \"dwon\"", "did you mean \"down\"?" },
	{ "interface:lo:state in \"up\"", 30, 4, "expected \"[\", found \"up\"", "in [\"up\", \"dormant\"]" },
	{ "df:/:free in [\"up\"]", 22, 4, "a number cannot be compared with a string", NULL },
	{ "df:/:free == \"up\"", 21, 4, "a string is compared with a state alone", NULL },
	{ "df:/:free", 8, 9, "a condition is needed here, this is a size (B)", "compare it: … > value" },
	{ "interface:lo:state", 8, 18, "a condition is needed here, this is a state", "compare it: … == \"state\"" },
	{ "df:/:free > 1 and 5", 26, 1, "a condition is needed here, this is a number", "compare it with something" },
	{ "not nginx:x", 12, 7, "a condition is needed here, this is a value", "compare it with something" },
	{ "df:*:free > 1", 8, 9, "\"df:*\" stands for many", "write all, any, none or some N before the comparison" },
	{ "*df:/*:free > 1", 8, 10, "\"df:/*\" stands for many", "write df:*:free, as the promiser does, or all, any, none or some N before it" },
	{ "all df:/:free > 1", 12, 13, "\"all\" needs a name with a pattern", "write * for the instance" },
	{ "all (df:/a*:free > 1 or df:/b*:free > 1)", 13, 34, "\"all\" goes over one pattern, there are several here", "split it" },
	{ "all (df:*:free > 1 and any interface:*:state == \"up\")", 31, 29, "all, any, none and some cannot be nested",
	  "split it into two promises" },
	{ "df:free > 1", 8, 7, "a name of family \"df\" has a mount point and a metric", "write df:NAME:free, or all df:*:free" },
	{ "memory:x:available > 1", 8, 18, "family \"memory\" has no instances", "did you mean \"memory:available\"?" },
	{ "df:/:* > 1", 8, 6, "a metric cannot be a pattern: name it", NULL },
	{ "df:/:free@web1 > 1", 8, 14, "\"@web1\" is not supported yet in this version", "a promise speaks of its own host" },
	{ "df:/:free > 10parsec", 20, 8, "\"10parsec\" is not a number with a unit",
	  "units: ns us ms s m h d w, B kB MB GB TB KiB MiB GiB TiB, %; /s after any makes a rate" },
	{ "df:/:free > 1 < 3", 22, 1, "comparisons do not chain", "write: a < x and x < b" },
	{ "df:/:free = 5", 18, 1, "expected a comparison, found \"=\"", "did you mean \"==\"?" },
	{ "df:/:free > 1 && df:/:free < 3", 22, 2, "unknown operator", "did you mean \"and\"?" },
	{ "df:/:free > 5 || true", 22, 2, "unknown operator", "did you mean \"or\"?" },
	{ "! df:/:free > 5", 8, 1, "unknown operator", "did you mean \"not\"?" },
	{ "df:/:free > (5", 23, 1, "expected \")\", found \"}\"", NULL },
	{ "df:/:free >", 20, 1, "expected a name, a value or \"(\", found \"}\"", NULL },
	{ "df:/:free > 5 df:/:free < 6", 22, 9, "expected an operator or the next statement, found \"df:/:free\"", NULL },
	{ "avg(df:/:free) > 5", 21, 1, "avg() needs a window: avg(df:/:free, 5m)", "write the time that it looks back" },
	{ "avg(df:/:free, 5) > 5", 23, 1, "a window needs a unit of time: ms s m h d w", "did you mean 5s?" },
	{ "avg(df:/:free, 0s) > 5", 23, 2, "a window is at least 1ms", NULL },
	{ "avg(df:/:free, 5GiB) > 5", 23, 4, "a window needs a unit of time: ms s m h d w", NULL },
	{ "rate(5) > 5", 13, 1, "expected a name such as interface:lo:rx_bytes, found \"5\"", NULL },
	{ "rate(interface:lo:state) > 5", 13, 18, "rate() takes a number", "state is a state" },
	{ "rtae(df:/:free) > 5", 8, 4, "unknown function \"rtae\"", "did you mean \"rate\"?" },
	{ "average(df:/:free, 5m) > 5B", 8, 7, "unknown function \"average\"", "did you mean \"avg\"?" },
	{ "median (df:/:free, 5m) > 5B", 8, 6, "unknown function \"median\"", "did you mean \"p50\"?" },
	{ "smooth(df:/:free, 5m) > 5B", 8, 6, "unknown function \"smooth\"",
	  "there are rate delta avg min max sum count stddev p50 … p999 forecast changed age" },
	{ "p1000(df:/:free, 1m) > 5B", 8, 5, "p99 is 99 %, p999 is 99.9 %: there is no \"p1000\"", "max() is the greatest; p10 is so many of a hundred" },
	{ "df:/:free / df:/:total > 10%", 33, 3, "a plain number cannot be compared with a percentage (%)",
	  "write the bare number, or make it a percentage: … * 100%" },
	{ "count(df:/:free, 1m) < 5s", 31, 2, "a plain number cannot be compared with a duration (s)", "write the bare number" },
	{ "count(df:/:free, 1m) < 5 margin 1%", 40, 2, "the margin is a percentage (%), the comparison a plain number",
	  "write the bare number: how much it is, not which part of it" },
	{ "df:/:free_percent < 5% margin 20%", 8, 33, "once broken this can never be kept again", "take a smaller margin" },
	{ "df:/:free_percent <= 5% margin 5.1%", 8, 35, "once broken this can never be kept again", "take a smaller margin" },
	{ "not df:/:free_percent > 5% margin 6%", 12, 32, "once broken this can never be kept again", "take a smaller margin" },
	{ "df:/:free / 0 > 5B", 8, 13, "a division by zero", "this is never known" },
	{ "df:/:free / (1 - 1) > 5B", 8, 19, "a division by zero", "this is never known" },
	{ "df:/:fr?e > 1", 8, 9, "a metric cannot be a pattern: name it", NULL },
	{ "df:/:free*2 > 5B", 8, 11, "a metric cannot be a pattern: name it", "as an operator * has blanks around it" },
	{ "forecast(df:/:free) > 0B", 26, 1, "forecast() needs a time: forecast(df:/:free, 4h)", "write how far it looks ahead" },
	{ "forecast(df:/:free, 4) > 0B", 28, 1, "a time ahead needs a unit of time: ms s m h d w", "did you mean 4s?" },
	{ "forecast(df:/:free, 4h, 0s) > 0B", 32, 2, "a window is at least 1ms", NULL },
	{ "forecast(df:/:free, 4h) > 0%", 34, 2, "a size (B) cannot be compared with a percentage (%)", "write a value such as 1GiB" },
	{ "age(df:/:free, 1m) < 1m", 21, 1, "expected \")\", found \",\"", "age(name) is the time since its last sample" },
	{ "age(df:/:free) < 1B", 25, 2, "a duration (s) cannot be compared with a size (B)", "write a value such as 10s" },
	{ "changed(df:/:free)", 25, 1, "changed() needs a window: changed(df:/:free, 5m)", "write the time that it looks back" },
	{ "changed(df:/:free, 1m) > 5", 8, 26, "a truth value cannot be compared with a number", "use and, or, not" },
	{ "p99(df:/:free) > 5B", 21, 1, "p99() needs a window: p99(df:/:free, 5m)", "write the time that it looks back" },
	{ "p99(interface:lo:state, 1m) > 5", 12, 18, "p99() takes a number", "state is a state" },
	{ "p5(df:/:free, 1m) > 5B", 8, 2, "unknown function \"p5\"", "did you mean \"p95\"?" },
	{ "p95(df:/:free, 1m) > 5%", 29, 2, "a size (B) cannot be compared with a percentage (%)", "write a value such as 1GiB" },
	{ "p100(df:/:free, 1m) > 5B", 8, 4, "p99 is 99 %, p999 is 99.9 %: there is no \"p100\"", "max() is the greatest; p10 is so many of a hundred" },
	{ "p00(df:/:free, 1m) > 5B", 8, 3, "unknown function \"p00\"",
	  "there are rate delta avg min max sum count stddev p50 … p999 forecast changed age" },
	{ "stddev(df:/:free) > 5B", 24, 1, "stddev() needs a window: stddev(df:/:free, 5m)", "write the time that it looks back" },
	{ "stdev(df:/:free, 1m) > 5B", 8, 5, "unknown function \"stdev\"", "did you mean \"stddev\"?" },
	{ "some df:*:free > 5B", 13, 9, "expected how many, found \"df:*:free\"", "some 3 (…), some 30% (…)" },
	{ "some 0 df:*:free > 5B", 13, 1, "\"some\" takes a whole number or a percentage up to 100%", "some 3 (…), some 30% (…)" },
	{ "some 2.5 df:*:free > 5B", 13, 3, "\"some\" takes a whole number or a percentage up to 100%", "some 3 (…), some 30% (…)" },
	{ "some 101% df:*:free > 5B", 13, 4, "\"some\" takes a whole number or a percentage up to 100%", "some 3 (…), some 30% (…)" },
	{ "some 3s df:*:free > 5B", 13, 2, "\"some\" takes a whole number or a percentage up to 100%", "some 3 (…), some 30% (…)" },
	{ "count(records) < 5", 21, 1, "expected \",\" and a window, found \")\"",
	  "count(records of \"kmsg:*\" at error matching \"I/O\", 10m)" },
	{ "count(records at eror, 1m) < 5", 25, 4, "expected emergency, alert, critical, error, warning, notice, info or debug, found \"eror\"",
	  "count(records at error, 10m)" },
	{ "count(records of kmsg, 1m) < 5", 25, 4, "expected a subject in quotes, found \"kmsg\"",
	  "count(records of \"kmsg:*\" at error matching \"I/O\", 10m)" },
	{ "count(records matching \"a(\", 1m) < 5", 31, 4, "this is no regular expression: Missing ')'", "POSIX extended: ^eth[0-9]+$, error|fail" },
	{ "df:/:free > 1 between 1B and 5B", 30, 2, "expected a time of day, found \"1B\"", "between 08:00 and 20:00 on mon..fri" },
	{ "interface:lo:state matches \"u{\"", 35, 4, "this is no regular expression: Missing '}'", "POSIX extended: ^eth[0-9]+$, error|fail" },
	{ "df:/:free > \"five", 20, 5, "this string does not end", "a string ends with \" on its line" },
	{ "interface:lo:state == \"u\\p\"", 32, 2, "unknown escape in a string", "there are \\\" \\\\ \\n \\t" },
	{ "(df:/:free > 5) > 3", 9, 18, "a truth value cannot be compared with a number", "use and, or, not" },
	{ "-interface:lo:state > 3", 9, 18, "a minus takes numbers, this is a state", NULL },
	{ "df:/:free > 50 % 3", 23, 1, "there is no operator %", "% is a unit here: 10%" },
	{ "df:/:free > 5;", 21, 1, "unexpected character \";\"", NULL },
};

static void expect(const char *text, unsigned line, unsigned column, unsigned width, const char *message, const char *hint)
{
	struct faults faults = { 0 };
	struct buf b = BUF_INIT;
	const struct fault *f;

	ck_assert_int_eq(world_try(w, text, T0, &faults), -EINVAL);
	ck_assert_uint_eq(promises_count(w->p), 0);
	for (f = faults.first; f && f->warning; f = f->next)
		;
	ck_assert_ptr_nonnull(f);
	fault_format(f, &b);
	ck_assert_msg(!strcmp(f->text, message), "%s\nexpected: %s", buf_text(&b), message);
	ck_assert_msg(!hint == !f->hint && (!hint || !strcmp(f->hint, hint)), "%s\nexpected hint: %s", buf_text(&b), hint);
	ck_assert_msg(f->line == line && f->column == column && f->width == width, "%s\nexpected %u:%u+%u, is %u:%u+%u", buf_text(&b), line,
	              column, width, f->line, f->column, f->width);
	ck_assert_msg(faults.n_errors == 1, "%u errors, the first\n%s", faults.n_errors, buf_text(&b));
	buf_free(&b);
	faults_free(&faults);
}

START_TEST(test_bad_condition)
{
	const char *keep = conditions[_i].keep;
	bool each = *keep == '*';
	char text[1024];

	snprintf(text, sizeof(text), "bundle b { promise p {\npromiser %s\n  keep %s\n}\n}\n", each ? "df:*" : "x", keep + each);
	/* What is missing at the end is found missing on the next line. */
	if (!strcmp(keep, "df:/:free > (5") || !strcmp(keep, "df:/:free >") || strstr(keep, "> 3 margin"))
		expect(text, 4, 1, conditions[_i].width, conditions[_i].text, conditions[_i].hint);
	else
		expect(text, 3, conditions[_i].column, conditions[_i].width, conditions[_i].text, conditions[_i].hint);
}
END_TEST

#define KEEPS(text) "bundle b {\npromise p { promiser x\nkeep " text " }\n}\n"
#define IN(text) "bundle b {\npromise p { promiser x\n" text "\nkeep true }\n}\n"
static const struct {
	const char *text;
	unsigned line, column, width;
	const char *message, *hint;
} files[] = {
	{ "promise p { promiser x\nkeep true }", 1, 1, 7, "a promise stands in a bundle", "bundle NAME { promise … }" },
	{ "bundel b { }", 1, 1, 6, "expected \"bundle\", found \"bundel\"", "did you mean \"bundle\"?" },
	{ "bundle b {\nPromise p { promiser x\nkeep true } }", 2, 1, 7, "unknown word \"Promise\"", "did you mean \"promise\"?" },
	{ "bundle b {\npromise p 89 { promiser x\nkeep true } }", 2, 11, 2, "expected \"{\", found \"89\"", NULL },
	{ "bundle b {\npromise p\npromiser x\nkeep true\n}\n}", 3, 1, 8, "expected \"{\", found \"promiser\"", NULL },
	{ IN("only on os == debian"), 3, 15, 6,
	  "expected a fact: host, zone, tag, os, os_version, kernel, arch, virtual, init, cpus or memory, found \"debian\"",
	  "a text is written in quotes: \"debian\"" },
	{ IN("settle 5 minutes"), 3, 8, 1, "settle needs a unit of time: ms s m h d w", "did you mean 5m?" },
	{ IN("grace 200 ms"), 3, 7, 3, "grace needs a unit of time: ms s m h d w", "did you mean 200ms?" },
	{ IN("on broken run \"/x\" at most 3 per hour"), 3, 34, 4, "expected a time such as 10s, found \"hour\"", "did you mean 1h?" },
	{ "bundle { promise p { promiser x\nkeep true } }", 1, 8, 1, "expected the bundle's name, found \"{\"", NULL },
	{ "bundle b.c { promise p { promiser x\nkeep true } }", 1, 8, 3, "a bundle's name has letters, digits, _ and -, at most 63",
	  NULL },
	{ "bundle b { promise p { promiser x\nkeep true }", 2, 12, 1, "expected \"}\" at the bundle's end, found the end of the file", NULL },
	{ "bundle b { promise p { promiser x\nkeep true", 2, 10, 1, "expected \"}\" at the promise's end, found the end of the file",
	  NULL },
	{ "bundle b { promise p { keep true } }", 1, 20, 1, "this promise has no promiser", "promiser df:*" },
	{ "bundle b { promise p { promiser x } }", 1, 20, 1, "this promise has no condition", "keep memory:available_percent > 5%" },
	{ "bundle b {\npromise p { promiser x\nkeep true }\npromise p { promiser y\nkeep true }\n}", 4, 9, 1,
	  "there is a promise \"b.p\" already", "the other is at t.promise:2" },
	{ "bundle b { promis p { } }", 1, 12, 6, "unknown word \"promis\"", "did you mean \"promise\"?" },
	{ IN("grace 3"), 3, 7, 1, "grace needs a unit of time: ms s m h d w", "did you mean 3s?" },
	{ IN("grace soon"), 3, 7, 4, "expected grace such as 10s, found \"soon\"", NULL },
	{ IN("settle 400d"), 3, 8, 4, "settle is at most 366d", NULL },
	{ IN("grace 1s\ngrace 2s"), 4, 1, 5, "\"grace\" is there already", NULL },
	{ IN("graec 1s"), 3, 1, 5, "unknown word \"graec\"", "did you mean \"grace\"?" },
	{ IN("severity criticall"), 3, 10, 9,
	  "expected emergency, alert, critical, error, warning, notice, info or debug, found \"criticall\"", "did you mean \"critical\"?" },
	{ IN("depends network.up"), 3, 9, 10, "there is no promise \"network.up\" to depend on", NULL },
	{ IN("depends"), 4, 1, 4, "expected a promise's name, found \"keep\"", "depends network.up" },
	{ IN("depends \"p\""), 3, 9, 3, "expected a promise's name, found \"p\"", "depends network.up" },
	{ IN("depends p"), 3, 9, 1, "b.p depends on itself", "take one of them out" },
	{ IN("depends b.q"), 3, 9, 3, "there is no promise \"b.q\" to depend on", NULL },
	{ IN("let x 3"), 3, 7, 1, "expected \"=\", found \"3\"", "let limit = 10%" },
	{ IN("on brokn run \"/x\""), 3, 4, 5, "expected broken, kept or unknown, found \"brokn\"", "did you mean \"broken\"?" },
	{ IN("on broken run x"), 3, 15, 1, "expected a program in quotes, found \"x\"",
	  "run \"/usr/local/bin/mend\" \"argument\"" },
	{ IN("on broken run \"mend\""), 3, 15, 6, "a program is named by its whole path", "no shell and no search path: begin with /" },
	{ IN("on broken run \"/x\" at most 0 per 1m"), 3, 28, 1, "expected how many runs, from 1 to 1000, found \"0\"",
	  "at most 3 per 10m" },
	{ IN("on broken run \"/x\" at most 3 in 1m"), 3, 30, 2, "expected \"per\", found \"in\"", "at most 3 per 10m" },
	{ IN("only on tag"), 4, 1, 4, "expected a string, found \"keep\"", "only on tag \"web\"" },
	{ IN("only on tags \"x\""), 3, 9, 4, "expected a fact: host, zone, tag, os, os_version, kernel, arch, virtual, init, cpus or memory, found \"tags\"",
	  "did you mean \"tag\"?" },
	{ "bundle b { promise p { promiser memory:*\nkeep true } }", 1, 33, 8, "family \"memory\" has no instances", NULL },
	{ "bundle b { promise p { promiser x\nkeep true\nkeep false } }", 3, 1, 4, "\"keep\" is there already", NULL },
	{ "bundle b { promise p { promiser x\nkeep true \x01 } }", 2, 11, 1, "unexpected byte 0x01", NULL },
	{ IN("let 5 = 3B"), 3, 5, 1, "expected a name of letters, digits and _, found \"5\"", "let limit = 10%" },
	{ IN("let limit 5B"), 3, 11, 2, "expected \"=\", found \"5B\"", "let limit = 10%" },
	{ IN("let keep = 5B"), 3, 5, 4, "\"keep\" is a word of the language", "take another name" },
	{ IN("let limit = "), 4, 1, 4,
	  "unknown word \"keep\" in a condition", "a state is written in quotes: \"keep\"" },
	{ "bundle b {\nlet a = 5B\nlet a = 6B\npromise p { promiser x keep df:/:free > a }\n}\n", 3, 5, 1,
	  "there is a let \"a\" already", NULL },
	{ IN("only on"), 4, 1, 4,
	  "expected a fact: host, zone, tag, os, os_version, kernel, arch, virtual, init, cpus or memory, found \"keep\"", "only on tag \"web\"" },
	{ IN("only on host"), 3, 9, 4, "a condition is needed here, this is a string", "compare it with something" },
	{ IN("only on hots \"x\""), 3, 9, 4,
	  "expected a fact: host, zone, tag, os, os_version, kernel, arch, virtual, init, cpus or memory, found \"hots\"", "did you mean \"host\"?" },
	{ IN("only on cpus"), 3, 9, 4, "a condition is needed here, this is a number", "compare it with something" },
	{ IN("only on os > 5"), 3, 9, 2, "a string is compared with a state alone", NULL },
	{ IN("only on memory > 5s"), 3, 18, 2,
	  "a size (B) cannot be compared with a duration (s)", "write a value such as 1GiB" },
	{ IN("only on os matches \"(\""), 3, 20, 3,
	  "this is no regular expression: Missing ')'", "POSIX extended: ^eth[0-9]+$, error|fail" },
	{ IN("only on cpus > 4 margin 1"), 3, 25, 1, "facts do not move: no margin", NULL },
	{ IN("only on df:/:free > 5B"), 3, 9, 9,
	  "\"only on\" asks about facts of the host, not about series", "what a promise speaks of stands in its keep" },
	{ IN("only off host \"x\""), 3, 6, 3, "expected \"on\", found \"off\"", "only on tag \"web\"" },
	{ IN("between 8 and 20"), 3, 9, 1,
	  "expected a time of day, found \"8\"", "between 08:00 and 20:00 on mon..fri" },
	{ IN("between 08:00"), 4, 1, 4, "expected \"and\", found \"keep\"", "between 08:00 and 20:00 on mon..fri" },
	{ IN("between 08:00 and 25:00"), 3, 19, 5,
	  "expected a time of day, found \"25:00\"", "between 08:00 and 20:00 on mon..fri" },
	{ IN("between 08:00 and 20:00 on mo"), 3, 28, 2,
	  "expected a day: sun, mon, tue, wed, thu, fri or sat, found \"mo\"", "on mon..fri, sun" },
	{ IN("between 08:00 and 20:00 on mon.."), 3, 28, 5,
	  "expected a day: sun, mon, tue, wed, thu, fri or sat, found \"mon..\"", "on mon..fri, sun" },
	{ IN("between 08:00 and 08:00"), 3, 1, 23, "nothing is between these", "all day is between 00:00 and 24:00" },
	{ KEEPS("between 08:00 and 20:00 on"), 3, 33, 1,
	  "expected a day: sun, mon, tue, wed, thu, fri or sat, found \"}\"", "on mon..fri, sun" },
	{ IN("depends 5"), 3, 9, 1, "expected a promise's name, found \"5\"", "depends network.up" },
	{ IN("depends a.b.c"), 3, 9, 5, "there is no promise \"a.b.c\" to depend on", NULL },
	{ IN("tell"), 4, 1, 4, "expected a word: whom to tell, found \"keep\"", NULL },
	{ IN("tell 5"), 3, 6, 1, "expected a word: whom to tell, found \"5\"", NULL },
	{ IN("promisee"), 4, 1, 4, "expected a word: who it is promised to, found \"keep\"", NULL },
	{ IN("promisee 7up"), 3, 10, 3,
	  "\"7up\" is not a number with a unit", "units: ns us ms s m h d w, B kB MB GB TB KiB MiB GiB TiB, %; /s after any makes a rate" },
	{ IN("severity 3"), 3, 10, 1,
	  "expected emergency, alert, critical, error, warning, notice, info or debug, found \"3\"", NULL },
	{ IN("severity"), 4, 1, 4,
	  "expected emergency, alert, critical, error, warning, notice, info or debug, found \"keep\"", NULL },
	{ IN("grace -3s"), 3, 7, 1, "expected grace such as 10s, found \"-\"", NULL },
	{ IN("grace 3s 4s"), 3, 10, 2, "expected a statement or \"}\", found \"4s\"", NULL },
	{ IN("settle 1GiB"), 3, 8, 4, "settle needs a unit of time: ms s m h d w", NULL },
	{ IN("grace"), 4, 1, 4, "expected grace such as 10s, found \"keep\"", NULL },
	{ IN("on kept"), 4, 1, 4, "expected \"run\", found \"keep\"", NULL },
	{ IN("on kept run"), 4, 1, 4,
	  "expected a program in quotes, found \"keep\"", "run \"/usr/local/bin/mend\" \"argument\"" },
	{ IN("on unknown ran \"/x\""), 3, 12, 3, "expected \"run\", found \"ran\"", NULL },
	{ IN("on broken run \"/x\" timeout"), 4, 1, 4, "expected a timeout such as 10s, found \"keep\"", NULL },
	{ IN("on broken run \"/x\" timeout 0s"), 3, 29, 1, "a timeout is more than 0", NULL },
	{ IN("on broken run \"/x\" timeout 5"), 3, 28, 1,
	  "a timeout needs a unit of time: ms s m h d w", "did you mean 5s?" },
	{ IN("on broken run \"/x\" at most 3"), 4, 1, 4, "expected \"per\", found \"keep\"", "at most 3 per 10m" },
	{ IN("on broken run \"/x\" at most 3 per"), 4, 1, 4, "expected a time such as 10s, found \"keep\"", NULL },
	{ IN("on broken run \"/x\" at most 2000 per 1m"), 3, 28, 4,
	  "expected how many runs, from 1 to 1000, found \"2000\"", "at most 3 per 10m" },
	{ IN("on broken run \"/x\" at most 3 per 0s"), 3, 35, 1, "the time of a limit is more than 0", NULL },
	{ IN("on broken run \"/x\" as"), 4, 1, 4, "expected a user's name, found \"keep\"", "as nobody" },
	{ IN("on broken run \"/x\" 5"), 3, 20, 1, "expected a statement or \"}\", found \"5\"", NULL },
	{ KEEPS("some 30 percent df:*:free > 1B"), 3, 14, 7,
	  "unknown word \"percent\" in a condition", "a state is written in quotes: \"percent\"" },
	{ KEEPS("some df:/:free > 1B"), 3, 11, 9,
	  "expected how many, found \"df:/:free\"", "some 3 (…), some 30% (…)" },
	{ KEEPS("some 5 df:/:free > 1B"), 3, 13, 14,
	  "\"some 5\" needs a name with a pattern", "write * for the instance" },
	{ KEEPS("none df:/:free > 1B"), 3, 11, 14,
	  "\"none\" needs a name with a pattern", "write * for the instance" },
	{ KEEPS("all 5 > 3"), 3, 10, 5, "\"all\" needs a name with a pattern", "write * for the instance" },
	{ KEEPS("count(record, 1m) < 5"), 3, 12, 6,
	  "expected a name such as interface:lo:rx_bytes, found \"record\"", NULL },
	{ KEEPS("count(records of \"x\", 1m)"), 3, 6, 25,
	  "a condition is needed here, this is a number", "compare it with something" },
	{ KEEPS("count(df:*:free, 1m) < 5"), 3, 12, 9,
	  "\"df:*\" stands for many", "write all, any, none or some N before the comparison" },
	{ KEEPS("delta(df:/:free, 1x) > 5B"), 3, 23, 2,
	  "\"1x\" is not a number with a unit", "units: ns us ms s m h d w, B kB MB GB TB KiB MiB GiB TiB, %; /s after any makes a rate" },
	{ KEEPS("max(df:/:free, 400d) > 5B"), 3, 21, 4, "a window is at most 366d", NULL },
	{ KEEPS("min() > 5"), 3, 10, 1, "expected a name such as interface:lo:rx_bytes, found \")\"", NULL },
	{ KEEPS("rate(df:/:free, ) > 5B/s"), 3, 22, 1, "expected a window such as 10s, found \")\"", NULL },
	{ KEEPS("memory:available matches \"5\""), 3, 6, 16, "\"matches\" takes a state or a text", NULL },
	{ KEEPS("interface:lo:state matches up"), 3, 33, 2,
	  "expected a regular expression in quotes, found \"up\"", "matches \"^fail\"" },
	{ KEEPS("interface:lo:state matches \"^sleep\""), 3, 6, 35,
	  "no state of state matches \"^sleep\"", "it is one of \"up\", \"down\", \"dormant\"" },
	{ KEEPS("interface:lo:state == \"up\" == true"), 3, 33, 2,
	  "comparisons do not chain", "write: a < x and x < b" },
	{ KEEPS("\"up\" == \"down\""), 3, 14, 6, "a string is compared with a state alone", NULL },
	{ KEEPS("df:/:free > 5B and"), 3, 25, 1, "expected a name, a value or \"(\", found \"}\"", NULL },
	{ KEEPS("df:/:free > 5B or or true"), 3, 24, 2,
	  "unknown word \"or\" in a condition", "a state is written in quotes: \"or\"" },
	{ KEEPS("not"), 3, 10, 1, "expected a name, a value or \"(\", found \"}\"", NULL },
	{ KEEPS("()"), 3, 7, 1, "expected a name, a value or \"(\", found \")\"", NULL },
	{ KEEPS("df:/:free > 1e400"), 3, 18, 5,
	  "\"1e400\" is not a number with a unit", "units: ns us ms s m h d w, B kB MB GB TB KiB MiB GiB TiB, %; /s after any makes a rate" },
	{ KEEPS("df:/:free > 0x10"), 3, 18, 4,
	  "\"0x10\" is not a number with a unit", "units: ns us ms s m h d w, B kB MB GB TB KiB MiB GiB TiB, %; /s after any makes a rate" },
	{ KEEPS("df:/:free >> 5B"), 3, 17, 1, "expected a name, a value or \"(\", found \">\"", NULL },
	{ KEEPS("df:/:free <> 5B"), 3, 17, 1, "expected a name, a value or \"(\", found \">\"", NULL },
	{ KEEPS("df:/:free > 5 B"), 3, 20, 1, "expected an operator or the next statement, found \"B\"", NULL },
	{ KEEPS("df::free > 5B"), 3, 6, 8,
	  "\"df::free\" is no name", "a name is family:metric or family:instance:metric" },
	{ KEEPS(":free > 5B"), 3, 6, 1, "unexpected character \":\"", NULL },
	{ KEEPS("df:/:free > 5B # nothing"), 5, 1, 1,
	  "expected \"}\" at the bundle's end, found the end of the file", NULL },
	{ "bundle b {\npromise p promiser x keep true }\n", 2, 11, 8, "expected \"{\", found \"promiser\"", NULL },
	{ "bundle b\npromise p { promiser x keep true } }\n", 2, 1, 7, "expected \"{\", found \"promise\"", NULL },
	{ "bundle b { } }\n", 1, 14, 1, "expected \"bundle\", found \"}\"", NULL },
	{ "{ }\n", 1, 1, 1, "expected \"bundle\", found \"{\"", NULL },
	{ "\"bundle\" b { }\n", 1, 1, 8, "expected \"bundle\", found \"bundle\"", NULL },
	{ "bundle b { promise p { promiser x promiser y keep true } }\n", 1, 35, 8,
	  "\"promiser\" is there already", NULL },
	{ "bundle b { promise p { promiser x keep tru } }\n", 1, 40, 3,
	  "unknown word \"tru\" in a condition", "did you mean \"true\"?" },
	{ "bundle b { promise p { promiser x keep true } } trailing\n", 1, 49, 8,
	  "expected \"bundle\", found \"trailing\"", NULL },
	{ "bundle b { only on tag \"x\" only on tag \"y\" promise p { promiser x keep true } let a = 5 }\n", 1, 79, 3,
	  "\"let\" stands before the bundle's promises", NULL },
};

START_TEST(test_bad_file)
{
	expect(files[_i].text, files[_i].line, files[_i].column, files[_i].width, files[_i].message, files[_i].hint);
}
END_TEST

/* Told twice into the same list it is one fault, and no less a fault. */
START_TEST(test_told_twice)
{
	struct faults faults = { 0 };

	ck_assert_int_eq(world_try(w, "bundle b {", T0, &faults), -EINVAL);
	ck_assert_int_eq(world_try(w, "bundle b {", T0, &faults), -EINVAL);
	ck_assert_uint_eq(faults.n_errors, 1);
	faults_free(&faults);
}
END_TEST

/* All faults of all files at once, each shown with its line and a caret */
START_TEST(test_all_faults)
{
	static const char one[] = "bundle a {\n\tpromise p {\n\t\tpromiser x\n\t\tkeep df:/:fre > 1\n\t\tgrace 3\n\t}\n"
	                          "\tpromise q {\n\t\tpromiser x\n\t\tkeep mem:x > 3\n\t\tsverity info\n\t}\n}\n";
	static const char two[] = "bundle a { promise p { promiser x\nkeep df:/:free > 10% } }";
	struct promises_file two_files[] = { { "one", one, strlen(one) }, { "two", two, strlen(two) } };
	struct faults faults = { 0 };
	struct buf b = BUF_INIT;

	ck_assert_int_eq(promises_check(w->p, two_files, 2, &faults), -EINVAL);
	for (struct fault *f = faults.first; f; f = f->next)
		fault_format(f, &b);
	ck_assert_str_eq(buf_text(&b),
	                 "one:4:8: family \"df\" has no metric \"fre\"\n    \t\tkeep df:/:fre > 1\n"
	                 "    \t\t     ^~~~~~~~ did you mean \"df:/:free\"?\n"
	                 "one:5:9: grace needs a unit of time: ms s m h d w\n    \t\tgrace 3\n    \t\t      ^ did you mean 3s?\n"
	                 "one:9:8: warning: no plugin gives family \"mem\"\n    \t\tkeep mem:x > 3\n"
	                 "    \t\t     ^~~ did you mean \"memory\"? until it comes this is unknown\n"
	                 "one:10:3: unknown word \"sverity\"\n    \t\tsverity info\n    \t\t^~~~~~~ did you mean \"severity\"?\n"
	                 "two:1:20: there is a promise \"a.p\" already\n    bundle a { promise p { promiser x\n"
	                 "                       ^ the other is at one:2\n"
	                 "two:2:18: a size (B) cannot be compared with a percentage (%)\n    keep df:/:free > 10% } }\n"
	                 "                     ^~~ did you mean \"df:/:free_percent\"?\n");
	buf_free(&b);
	faults_free(&faults);
}
END_TEST

/* Bounds: depth, parts, length */
START_TEST(test_bounds)
{
	struct buf b = BUF_INIT;

	buf_puts(&b, "bundle b { promise p { promiser x\nkeep ");
	for (int i = 0; i < 101; i++)
		buf_putc(&b, '(');
	buf_puts(&b, "\n} }");
	expect(buf_text(&b), 2, 106, 1, "this condition is nested more than 100 deep", NULL);
	buf_reset(&b);
	buf_puts(&b, "bundle b { promise p { promiser x\nkeep 1 < 1");
	for (int i = 0; i < 600; i++)
		buf_puts(&b, " + 1");
	buf_puts(&b, "\n} }");
	expect(buf_text(&b), 2, 2006, 1, "this condition has more than 1000 parts", "split it into several promises");
	buf_free(&b);
}
END_TEST

START_TEST(test_nul)
{
	static const char text[] = "bundle b {\n  \0promise p { promiser x\nkeep true } }";
	struct promises_file file = { "t.promise", text, sizeof(text) - 1 };
	struct faults faults = { 0 };
	struct buf b = BUF_INIT;

	ck_assert_int_eq(promises_load(w->p, &file, 1, T0, &faults), -EINVAL);
	fault_format(faults.first, &b);
	ck_assert_str_eq(buf_text(&b), "t.promise:2:3: this is no text file: it holds a NUL byte\n      \n      ^\n");
	ck_assert_uint_eq(faults.n_errors, 1);
	buf_free(&b);
	faults_free(&faults);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("bad promises");
	TCase *t = tcase_create("faults");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, test_bad_condition, 0, KITH_COUNT(conditions));
	tcase_add_loop_test(t, test_bad_file, 0, KITH_COUNT(files));
	tcase_add_test(t, test_told_twice);
	tcase_add_test(t, test_all_faults);
	tcase_add_test(t, test_bounds);
	tcase_add_test(t, test_nul);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	SRunner *r = srunner_create(suite());
	int failed;

	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
