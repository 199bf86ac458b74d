/*
 * What test_conf feeds to the parser. good: text, and the tree as test_conf.c writes it (n number, d seconds, z bytes, % percent,
 * b boolean, - null). bad and loaded: text, and all that conf_parse or conf_load says of it.
 */
#ifndef KITH_TESTS_CONF_EXAMPLES_H
#define KITH_TESTS_CONF_EXAMPLES_H

#include <stddef.h>

struct example {
	const char *text, *result;
	size_t length; /* 0: up to the NUL */
};

static const struct example good[] = {
	{ "", "{}" },
	{ "# nothing\n", "{}" },
	{ "a = 1", "{a=n1}" },
	{ "a: 1", "{a=n1}" },
	{ "a 1", "{a=n1}" },
	{ "a = 1; b = 2, c = 3\nd = 4", "{a=n1 b=n2 c=n3 d=n4}" },
	{ "{ \"a\": 1, \"b\": [1, \"x\", null], }", "{a=n1 b=[n1 \"x\" -0]}" },
	{ "{\"a\":\n true}", "{a=b1}" },
	{ "a { b { c = 1 } }", "{a={b={c=n1}}}" },
	{ "plugin df { n = 1 }", "{plugin={df={n=n1}}}" },
	{ "plugin \"df\" { n = 1 }", "{plugin={df={n=n1}}}" },
	{ "a 'b c' d { e = 1 }", "{a={b c={d={e=n1}}}}" },
	{ "plugin df\n{\n n = 1\n}", "{plugin={df={n=n1}}}" },
	{ "a = { b = 1 }", "{a={b=n1}}" },
	{ "a {} b {}", "{a={} b={}}" },
	{ "a = 1; a = 2", "{a=n1 a=n2}" },
	{ "a = [1, 2,\n3\n4; 5,]", "{a=[n1 n2 n3 n4 n5]}" },
	{ "a [x, y]", "{a=[\"x\" \"y\"]}" },
	{ "a = []", "{a=[]}" },
	{ "a = [[1], {b = 2}]", "{a=[[n1] {b=n2}]}" },
	{ "a = \"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\ud83d\\ude00\"",
	  "{a=\"\"\\/\010\014\n\r\t\303\251\360\237\230\200\"}" },
	{ "a = 'raw \\n \" it\\'s'", "{a=\"raw \\n \" it's\"}" },
	{ "a = two words  # and a comment", "{a=\"two words\"}" },
	{ "a = /run/*/x", "{a=\"/run/*/x\"}" },
	{ "a = http://x/#part", "{a=\"http://x/#part\"}" },
	{ "a 127.0.0.1:9177", "{a=\"127.0.0.1:9177\"}" },
	{ "a = x=y", "{a=\"x=y\"}" },
	{ "a = \"\"", "{a=\"\"}" },
	{ "a = <<EOD\none\n  two # {\n\nEOD\nb = 1", "{a=\"one\n  two # {\n\" b=n1}" },
	{ "a = <<E\nE\n", "{a=\"\"}" },
	{ "a = <<E\r\nx\r\ny\r\nE\r\nb = 1\r\n", "{a=\"x\ny\" b=n1}" },
	{ "a = << x", "{a=\"<< x\"}" },
	{ "a = 1\r\nb = \"y\"\r\n", "{a=n1 b=\"y\"}" },
	{ "\357\273\277a = 1", "{a=n1}" },
	{ "\320\272\320\273\321\216\321\207 = \"\303\274\" ", "{\320\272\320\273\321\216\321\207=\"\303\274\"}" },
	{ "a = 1 /* one /* two */ # three\n still */ ; b = 2", "{a=n1 b=n2}" },
	{ "/**/a=1#x\n#", "{a=\"1#x\"}" },
	{ "a = [0, -1, +2, 1.5, 1e3, 0x1F, -2.5e-1]", "{a=[n0 n-1 n2 n1.5 n1000 n31 n-0.25]}" },
	{ "a = [1k, 1K, 2m, 2M, 3g, 0.5k]", "{a=[n1000 n1000 n2000000 n2000000 n3000000000 n500]}" },
	{ "a = [1b, 1kb, 1KB, 1mb, 1gb, 1tb, 1KiB, 1.5MiB, 2GiB, 1TiB]",
	  "{a=[z1 z1024 z1024 z1048576 z1073741824 z1099511627776 z1024 z1572864 z2147483648 z1099511627776]}" },
	{ "a = [1ns, 1us, 1\302\265s, 10ms, 0.2s, 10min, 1h, 1d, 1w, 1y]",
	  "{a=[d1e-09 d1e-06 d1e-06 d0.01 d0.2 d600 d3600 d86400 d604800 d31536000]}" },
	{ "a = [5%, 0.5%]", "{a=[%5 %0.5]}" },
	{ "a = [true, TRUE, yes, on, false, No, off, null]", "{a=[b1 b1 b1 b1 b0 b0 b0 -0]}" },
	{ "a = [1.2.3.4, 1., .5, 5x, 5 s, 1S, 0x, 1e, -, NULL, nullx, inf, nan, onn]",
	  "{a=[\"1.2.3.4\" \"1.\" \".5\" \"5x\" \"5 s\" \"1S\" \"0x\" \"1e\" \"-\" \"NULL\" \"nullx\" "
	  "\"inf\" \"nan\" \"onn\"]}" },
	{ "a = 5m", "{a=n5000000}" },
	{ "a = \"5\"", "{a=\"5\"}" },
};

static const struct example bad[] = {
	{ "a =",
	  "t:1:1: \"a\" has no value\n"
	  "    a =\n"
	  "    ^ a text may be empty: \"\"\n" },
	{ "a = \nb = 1",
	  "t:1:1: \"a\" has no value\n"
	  "    a = \n"
	  "    ^ a text may be empty: \"\"\n" },
	{ "a",
	  "t:1:1: \"a\" has no value\n"
	  "    a\n"
	  "    ^ write KEY = VALUE or NAME { ... }\n" },
	{ "a\nb = 1\nc",
	  "t:1:1: \"a\" has no value\n"
	  "    a\n"
	  "    ^ write KEY = VALUE or NAME { ... }\n"
	  "t:3:1: \"c\" has no value\n"
	  "    c\n"
	  "    ^ write KEY = VALUE or NAME { ... }\n" },
	{ "a }",
	  "t:1:1: \"a\" has no value\n"
	  "    a }\n"
	  "    ^ write KEY = VALUE or NAME { ... }\n"
	  "t:1:3: nothing is open that this '}' could close\n"
	  "    a }\n"
	  "      ^ remove it\n" },
	{ "= 1",
	  "t:1:1: a key is missing before '='\n"
	  "    = 1\n"
	  "    ^\n" },
	{ "{ a = 1",
	  "t:1:1: this '{' is not closed\n"
	  "    { a = 1\n"
	  "    ^ close it\n" },
	{ "a { b { c = 1 }",
	  "t:1:3: this '{' is not closed\n"
	  "    a { b { c = 1 }\n"
	  "      ^ close it\n" },
	{ "a = [1, 2",
	  "t:1:5: this '[' is not closed\n"
	  "    a = [1, 2\n"
	  "        ^ close it\n" },
	{ "a = [1, 2\nb = 3\nc = ",
	  "t:1:5: this '[' is not closed\n"
	  "    a = [1, 2\n"
	  "        ^ close it\n"
	  "t:3:1: \"c\" has no value\n"
	  "    c = \n"
	  "    ^ a text may be empty: \"\"\n" },
	{ "a { b = [1, 2 }\nc =",
	  "t:1:9: this '[' is not closed\n"
	  "    a { b = [1, 2 }\n"
	  "            ^ close it\n"
	  "t:2:1: \"c\" has no value\n"
	  "    c =\n"
	  "    ^ a text may be empty: \"\"\n" },
	{ "}",
	  "t:1:1: nothing is open that this '}' could close\n"
	  "    }\n"
	  "    ^ remove it\n" },
	{ "a = 1 ]",
	  "t:1:7: nothing is open that this ']' could close\n"
	  "    a = 1 ]\n"
	  "          ^ remove it\n" },
	{ "{ a = 1 } b = 2",
	  "t:1:11: text after the closing '}'\n"
	  "    { a = 1 } b = 2\n"
	  "              ^ leave out the braces around the whole file\n" },
	{ "[1]",
	  "t:1:1: a key was expected, not '['\n"
	  "    [1]\n"
	  "    ^\n" },
	{ "{}{}",
	  "t:1:3: text after the closing '}'\n"
	  "    {}{}\n"
	  "      ^ leave out the braces around the whole file\n" },
	{ "a = \"x",
	  "t:1:5: this string is not closed\n"
	  "    a = \"x\n"
	  "        ^~ end it with \"; text of several lines goes between <<EOD and EOD\n" },
	{ "a = 'x\nb =",
	  "t:1:5: this string is not closed\n"
	  "    a = 'x\n"
	  "        ^~ end it with '; text of several lines goes between <<EOD and EOD\n"
	  "t:2:1: \"b\" has no value\n"
	  "    b =\n"
	  "    ^ a text may be empty: \"\"\n" },
	{ "a = \"x\" y",
	  "t:1:9: unexpected text after the value\n"
	  "    a = \"x\" y\n"
	  "            ^ put ';' or a new line between two settings\n" },
	{ "a = \"x\" \"y\"\nb = [1] 2",
	  "t:1:9: unexpected text after the value\n"
	  "    a = \"x\" \"y\"\n"
	  "            ^ put ';' or a new line between two settings\n"
	  "t:2:9: unexpected text after the value\n"
	  "    b = [1] 2\n"
	  "            ^ put ';' or a new line between two settings\n" },
	{ "a = [\"x\" \"y\"]",
	  "t:1:10: a ',' is missing before this\n"
	  "    a = [\"x\" \"y\"]\n"
	  "             ^\n" },
	{ "a = \"\\x\"; b = \"\\u12g4\"; c = \"\\ud800\"; d = \"\\u0000\"",
	  "t:1:6: an unknown escape\n"
	  "    a = \"\\x\"; b = \"\\u12g4\"; c = \"\\ud800\"; d = \"\\u0000\"\n"
	  "         ^~ write \\\\ for a backslash, or use single quotes: nothing is an escape there\n"
	  "t:1:16: a bad \\u escape\n"
	  "    a = \"\\x\"; b = \"\\u12g4\"; c = \"\\ud800\"; d = \"\\u0000\"\n"
	  "                   ^~ four hexadecimal digits follow: \\u00e9\n"
	  "t:1:30: half of a surrogate pair\n"
	  "    a = \"\\x\"; b = \"\\u12g4\"; c = \"\\ud800\"; d = \"\\u0000\"\n"
	  "                                 ^~~~~~ write the character itself, in UTF-8\n"
	  "t:1:44: a string cannot hold the character U+0000\n"
	  "    a = \"\\x\"; b = \"\\u12g4\"; c = \"\\ud800\"; d = \"\\u0000\"\n"
	  "                                               ^~~~~~\n" },
	{ "a = \"\\q\" b",
	  "t:1:6: an unknown escape\n"
	  "    a = \"\\q\" b\n"
	  "         ^~ write \\\\ for a backslash, or use single quotes: nothing is an escape there\n" },
	{ "a = 1 b = 2",
	  "t:1:9: a second '=' in one setting\n"
	  "    a = 1 b = 2\n"
	  "            ^ put ';' or a new line between two settings, or quotes around the value\n" },
	{ "max instances = 5",
	  "t:1:1: a key is one word\n"
	  "    max instances = 5\n"
	  "    ^~~~~~~~~~~~~ join the words with '_'; a value of several words goes between quotes\n" },
	{ "plugin df = { a = 1 }",
	  "t:1:11: no '=' stands between a section's names and its '{'\n"
	  "    plugin df = { a = 1 }\n"
	  "              ^ leave it out\n" },
	{ "a = b { c = 1 }",
	  "t:1:7: '{' in a value without quotes\n"
	  "    a = b { c = 1 }\n"
	  "          ^ leave out the '=' before a section's name, or put quotes around the value\n" },
	{ "a = eth[0]",
	  "t:1:8: '[' in a value without quotes\n"
	  "    a = eth[0]\n"
	  "           ^ put quotes around the value\n" },
	{ "a = x\"y\"",
	  "t:1:6: '\"' in a value without quotes\n"
	  "    a = x\"y\"\n"
	  "         ^ put quotes around the value\n" },
	{ "a = [b c = d]",
	  "t:1:10: a '=' within a list\n"
	  "    a = [b c = d]\n"
	  "             ^ put quotes around the text; a list ends with ']'\n" },
	{ ".include \"other.conf\"",
	  "t:1:1: .include is not read: there are no macros here\n"
	  "    .include \"other.conf\"\n"
	  "    ^~~~~~~~ put the file into conf.d: every *.conf there is read, in the order of their names\n" },
	{ ".priority 3",
	  "t:1:1: .priority is not read: there are no macros here\n"
	  "    .priority 3\n"
	  "    ^~~~~~~~~ put the file into conf.d: every *.conf there is read, in the order of their names\n" },
	{ "{ = 1 }\na { { } }",
	  "t:1:3: a key is missing before '='\n"
	  "    { = 1 }\n"
	  "      ^\n"
	  "t:2:1: text after the closing '}'\n"
	  "    a { { } }\n"
	  "    ^ leave out the braces around the whole file\n" },
	{ "<a> = 1\n(",
	  "t:2:1: \"(\" has no value\n"
	  "    (\n"
	  "    ^ write KEY = VALUE or NAME { ... }\n" },
	{ "a = <<EOD\nx\nEOD \n",
	  "t:1:5: this text is not closed\n"
	  "    a = <<EOD\n"
	  "        ^~~~~ end it with a line that is EOD alone, without blanks\n" },
	{ "a = <<EOD x\nEOD",
	  "t:1:5: something follows <<EOD\n"
	  "    a = <<EOD x\n"
	  "        ^~~~~ the text starts on the next line\n"
	  "t:2:1: \"EOD\" has no value\n"
	  "    EOD\n"
	  "    ^~~ write KEY = VALUE or NAME { ... }\n" },
	{ "a = 1 /* b /* c */\n",
	  "t:1:7: this comment is not closed\n"
	  "    a = 1 /* b /* c */\n"
	  "          ^~ end it with */; comments nest\n" },
	{ "a = 1e999",
	  "t:1:5: this number is too large\n"
	  "    a = 1e999\n"
	  "        ^~~~~ put quotes around it if it is a text\n" },
	{ "a = 9e307y",
	  "t:1:5: this number is too large\n"
	  "    a = 9e307y\n"
	  "        ^~~~~~ put quotes around it if it is a text\n" },
	{ "\"\" = 1",
	  "t:1:1: a key cannot be empty\n"
	  "    \"\" = 1\n"
	  "    ^~\n" },
	{ "a = 1\001\n b = \177",
	  "t:1:6: a control character (0x01)\n"
	  "    a = 1?\n"
	  "         ^ remove it, or write it as an escape in a quoted string\n"
	  "t:2:6: a control character (0x7f)\n"
	  "     b = \177\n"
	  "         ^ remove it, or write it as an escape in a quoted string\n" },
	{ "a = \r2",
	  "t:1:5: a control character (0x0d)\n"
	  "    a = \n"
	  "        ^ remove it, or write it as an escape in a quoted string\n" },
	{ "a = \"\303\251\377\"",
	  "t:1:8: byte 0xff is no UTF-8\n"
	  "    a = \"\303\251\377\"\n"
	  "          ^ save the file as UTF-8\n" },
	{ "a = \300",
	  "t:1:5: byte 0xc0 is no UTF-8\n"
	  "    a = \300\n"
	  "        ^ save the file as UTF-8\n" },
	{ "a = 1\nb\000c",
	  "t:2:2: a NUL byte\n"
	  "    b?c\n"
	  "     ^ this should be a text file\n", .length = 9 },
	{ "\355\240\200",
	  "t:1:1: byte 0xed is no UTF-8\n"
	  "    \355\240\200\n"
	  "    ^ save the file as UTF-8\n"
	  "t:1:2: byte 0xa0 is no UTF-8\n"
	  "    \355\240\200\n"
	  "     ^ save the file as UTF-8\n"
	  "t:1:3: byte 0x80 is no UTF-8\n"
	  "    \355\240\200\n"
	  "      ^ save the file as UTF-8\n"
	  "t:1:1: \"\355\240\200\" has no value\n"
	  "    \355\240\200\n"
	  "    ^~~ write KEY = VALUE or NAME { ... }\n" },
	{ "a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a { }",
	  "t:1:65: more than 32 sections and lists within each other\n"
	  "    a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a { }\n"
	  "                                                                    ^\n" },
	{ "x = [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
	  "t:1:37: more than 32 sections and lists within each other\n"
	  "    x = [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\n"
	  "                                        ^\n"
	  "t:1:36: this '[' is not closed\n"
	  "    x = [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\n"
	  "                                       ^ close it\n" },
	{ "\tkey\t=\t\"x",
	  "t:1:8: this string is not closed\n"
	  "    \tkey\t=\t\"x\n"
	  "    \t   \t \t^~ end it with \"; text of several lines goes between <<EOD and EOD\n" },
	{ "a = '\\'",
	  "t:1:5: this string is not closed\n"
	  "    a = '\\'\n"
	  "        ^~~ end it with '; text of several lines goes between <<EOD and EOD\n" },
	{ "a = [1, b = 2]",
	  "t:1:11: a '=' within a list\n"
	  "    a = [1, b = 2]\n"
	  "              ^ put quotes around the text; a list ends with ']'\n" },
	{ "a { b = }\nc = 1",
	  "t:1:5: \"b\" has no value\n"
	  "    a { b = }\n"
	  "        ^ a text may be empty: \"\"\n" },
	{ "\"k\": \n\n",
	  "t:1:1: \"k\" has no value\n"
	  "    \"k\": \n"
	  "    ^~~ a text may be empty: \"\"\n" },
};

static const struct example loaded[] = {
	{ "records { max_size = 1KiB; max_ages = 1d }",
	  "kith.conf:1:22: max_size is 1KiB: the least is 1MiB\n"
	  "    records { max_size = 1KiB; max_ages = 1d }\n"
	  "                         ^~~~ write a value from 1MiB to 1TiB\n"
	  "kith.conf:1:28: unknown key \"max_ages\" of records\n"
	  "    records { max_size = 1KiB; max_ages = 1d }\n"
	  "                               ^~~~~~~~ did you mean \"max_age\"?\n" },
	{ "journal { fold = 2d; rings = 1MiB }",
	  "kith.conf:1:18: fold is 2d: the most is 1d\n"
	  "    journal { fold = 2d; rings = 1MiB }\n"
	  "                     ^~ write a value from 0s to 1d\n"
	  "kith.conf:1:22: unknown key \"rings\" of journal\n"
	  "    journal { fold = 2d; rings = 1MiB }\n"
	  "                         ^~~~~ did you mean \"ring\"?\n" },
	{ "journal { archives = \"10s\" }",
	  "kith.conf:1:22: archives: \"10s\" is not how long a row is and how long rows are kept, such as 1min:2d\n"
	  "    journal { archives = \"10s\" }\n"
	  "                         ^~~~~ write the length of a row and how long rows are kept, the shortest first: 10s:6h,1min:2d,10min:2w,2h:2y\n" },
	{ "journal { archives = '10s:6h,15s:1d'; fold = 2d }",
	  "kith.conf:1:22: archives: \"15s:1d\": a row is not a multiple of the step, which is 10 s\n"
	  "    journal { archives = '10s:6h,15s:1d'; fold = 2d }\n"
	  "                         ^~~~~~~~~~~~~~~ write the length of a row and how long rows are kept, the shortest first: "
	  "10s:6h,1min:2d,10min:2w,2h:2y\n"
	  "kith.conf:1:46: fold is 2d: the most is 1d\n"
	  "    journal { archives = '10s:6h,15s:1d'; fold = 2d }\n"
	  "                                                 ^~ write a value from 0s to 1d\n" },
	{ "journal { step = 1s; archives = '10s:6h' }\njournal { step = 1min }",
	  "kith.conf:1:33: archives: \"10s:6h\": a row is not a multiple of the step, which is 60 s\n"
	  "    journal { step = 1s; archives = '10s:6h' }\n"
	  "                                    ^~~~~~~~ write the length of a row and how long rows are kept, the shortest first: "
	  "10s:6h,1min:2d,10min:2w,2h:2y\n" },
	{ "journal { step = 1500ms }",
	  "kith.conf:1:18: step is 1500ms: RRD files know whole seconds alone\n"
	  "    journal { step = 1500ms }\n"
	  "                     ^~~~~~ write whole seconds, such as 10s\n" },
	{ "journal = off",
	  "kith.conf:1:11: journal wants a section, found the boolean off\n"
	  "    journal = off\n"
	  "              ^~~ write journal { KEY = VALUE }\n" },
	{ "records = 3",
	  "kith.conf:1:11: records wants a section, found the number 3\n"
	  "    records = 3\n"
	  "              ^ write records { max_size = 64MiB }\n" },
	{ "notify a { }",
	  "kith.conf:1:8: notify a: run is missing\n"
	  "    notify a { }\n"
	  "           ^ write run = [\"/usr/share/kith/actions/mail\", \"ops@example.org\"]\n" },
	{ "notify a { run = mail }",
	  "kith.conf:1:18: notify a: run does not begin with an absolute path\n"
	  "    notify a { run = mail }\n"
	  "                     ^~~~ write its path, from '/' on\n" },
	{ "notify a { run = /m; severity = eror; wait = 10ms; kepd = yes }",
	  "kith.conf:1:46: wait is 10ms: the least is 1s\n"
	  "    notify a { run = /m; severity = eror; wait = 10ms; kepd = yes }\n"
	  "                                                 ^~~~ write a value from 1s to 1h\n"
	  "kith.conf:1:52: unknown key \"kepd\" of notify a\n"
	  "    notify a { run = /m; severity = eror; wait = 10ms; kepd = yes }\n"
	  "                                                       ^~~~ did you mean \"kept\"?\n" },
	{ "notify a { run = /m; severity = eror; promises = [\"\"] }",
	  "kith.conf:1:33: notify a: that is no severity\n"
	  "    notify a { run = /m; severity = eror; promises = [\"\"] }\n"
	  "                                    ^~~~ did you mean \"error\"?\n"
	  "kith.conf:1:50: notify a: promises holds what is no pattern\n"
	  "    notify a { run = /m; severity = eror; promises = [\"\"] }\n"
	  "                                                     ^~~~ such as \"web.*\", \"web\" or \"df:*\"\n" },
	{ "notify zone { run = /m }",
	  "kith.conf:1:8: zone means this host's neighbours: it is no receiver\n"
	  "    notify zone { run = /m }\n"
	  "           ^~~~ choose another name\n" },
	{ "notify = 3",
	  "kith.conf:1:10: notify wants a section, found the number 3\n"
	  "    notify = 3\n"
	  "             ^ write notify NAME { run = [...] }\n" },
	{ "intervall = 10s",
	  "kith.conf:1:1: unknown key \"intervall\"\n"
	  "    intervall = 10s\n"
	  "    ^~~~~~~~~ did you mean \"interval\"?\n" },
	{ "interval = \"often\"",
	  "kith.conf:1:12: interval wants a duration such as 10s, found the string \"often\"\n"
	  "    interval = \"often\"\n"
	  "               ^~~~~~~ a number, and right behind it ns, us, ms, s, min, h, d, w or y\n" },
	{ "interval = often",
	  "kith.conf:1:12: interval wants a duration such as 10s, found the string \"often\"\n"
	  "    interval = often\n"
	  "               ^~~~~ a number, and right behind it ns, us, ms, s, min, h, d, w or y\n" },
	{ "interval = 5ms",
	  "kith.conf:1:12: interval is 5ms: the least is 100ms\n"
	  "    interval = 5ms\n"
	  "               ^~~ write a value from 100ms to 1h\n" },
	{ "interval = 2h",
	  "kith.conf:1:12: interval is 2h: the most is 1h\n"
	  "    interval = 2h\n"
	  "               ^~ write a value from 100ms to 1h\n" },
	{ "interval = 5k",
	  "kith.conf:1:12: interval wants a duration such as 10s, found the number 5k\n"
	  "    interval = 5k\n"
	  "               ^~ a number, and right behind it ns, us, ms, s, min, h, d, w or y\n" },
	{ "interval = [10s]",
	  "kith.conf:1:12: interval wants a duration such as 10s, found a list\n"
	  "    interval = [10s]\n"
	  "               ^~~~~ a number, and right behind it ns, us, ms, s, min, h, d, w or y\n" },
	{ "interval = true",
	  "kith.conf:1:12: interval wants a duration such as 10s, found the boolean true\n"
	  "    interval = true\n"
	  "               ^~~~ a number, and right behind it ns, us, ms, s, min, h, d, w or y\n" },
	{ "interval = \"10s\"",
	  "kith.conf:1:12: interval wants a duration such as 10s, found the string \"10s\"\n"
	  "    interval = \"10s\"\n"
	  "               ^~~~~ leave out the quotes\n" },
	{ "interval = 10 s",
	  "kith.conf:1:12: interval wants a duration such as 10s, found the string \"10 s\"\n"
	  "    interval = 10 s\n"
	  "               ^~~~ a number, and right behind it ns, us, ms, s, min, h, d, w or y\n" },
	{ "interval { a = 1 }",
	  "kith.conf:1:10: interval wants a duration such as 10s, found a section\n"
	  "    interval { a = 1 }\n"
	  "             ^ a number, and right behind it ns, us, ms, s, min, h, d, w or y\n" },
	{ "interval = 5m",
	  "kith.conf:1:12: warning: interval: 5m is taken as minutes here; elsewhere m is a million\n"
	  "    interval = 5m\n"
	  "               ^~ write 5min\n" },
	{ "interval = 10s\ninterval = 20s",
	  "kith.conf:2:1: interval is given twice\n"
	  "    interval = 20s\n"
	  "    ^~~~~~~~ the first is in line 1: keep one\n" },
	{ "interval = -1s",
	  "kith.conf:1:12: interval is -1s: the least is 100ms\n"
	  "    interval = -1s\n"
	  "               ^~~ write a value from 100ms to 1h\n" },
	{ "log_level = inof",
	  "kith.conf:1:13: log_level cannot be \"inof\"\n"
	  "    log_level = inof\n"
	  "                ^~~~ did you mean \"info\"?\n" },
	{ "log_level = 7",
	  "kith.conf:1:13: log_level wants a string, found the number 7\n"
	  "    log_level = 7\n"
	  "                ^ put quotes around it if it is a text\n" },
	{ "log_level = loud",
	  "kith.conf:1:13: log_level cannot be \"loud\"\n"
	  "    log_level = loud\n"
	  "                ^~~~ one of: err, warning, notice, info, debug\n" },
	{ "tags = web",
	  "" },
	{ "tags = [web, 1, true]",
	  "kith.conf:1:14: tags wants a list of strings, found the number 1\n"
	  "    tags = [web, 1, true]\n"
	  "                 ^ put quotes around it if it is a text\n"
	  "kith.conf:1:17: tags wants a list of strings, found the boolean true\n"
	  "    tags = [web, 1, true]\n"
	  "                    ^~~~ put quotes around it if it is a text\n" },
	{ "tags = {a = 1}",
	  "kith.conf:1:8: tags wants a list of strings, found a section\n"
	  "    tags = {a = 1}\n"
	  "           ^\n" },
	{ "tags = [\"\"]",
	  "kith.conf:1:8: tags holds what cannot be a tag\n"
	  "    tags = [\"\"]\n"
	  "           ^~~~ a tag is 1 to 63 bytes without blanks: \"web\"\n" },
	{ "tags = \"a b\"",
	  "kith.conf:1:8: tags holds what cannot be a tag\n"
	  "    tags = \"a b\"\n"
	  "           ^~~~~ a tag is 1 to 63 bytes without blanks: \"web\"\n" },
	{ "host = \"a/b\"",
	  "kith.conf:1:8: host is no host name\n"
	  "    host = \"a/b\"\n"
	  "           ^~~~~ letters, digits, '.', '-' and '_', at most 253\n" },
	{ "host = web1 x",
	  "kith.conf:1:8: host is no host name\n"
	  "    host = web1 x\n"
	  "           ^~~~~~ letters, digits, '.', '-' and '_', at most 253\n" },
	{ "host = 12",
	  "kith.conf:1:8: host wants a string, found the number 12\n"
	  "    host = 12\n"
	  "           ^~ put quotes around it if it is a text\n" },
	{ "host = on",
	  "kith.conf:1:8: host wants a string, found the boolean on\n"
	  "    host = on\n"
	  "           ^~ put quotes around it if it is a text\n" },
	{ "root = sys",
	  "kith.conf:1:8: root is no absolute path\n"
	  "    root = sys\n"
	  "           ^~~ write a path that starts with '/'\n" },
	{ "root = null",
	  "" },
	{ "socket_group = \"\"",
	  "kith.conf:1:16: socket_group is no name of a group\n"
	  "    socket_group = \"\"\n"
	  "                   ^~ a group of /etc/group, such as \"adm\"\n" },
	{ "cpu_budget = 500%",
	  "kith.conf:1:14: cpu_budget is 500%: the most is 100\n"
	  "    cpu_budget = 500%\n"
	  "                 ^~~~ write a value from 0.01 to 100\n" },
	{ "cpu_budget = 0",
	  "kith.conf:1:14: cpu_budget is 0: the least is 0.01\n"
	  "    cpu_budget = 0\n"
	  "                 ^ write a value from 0.01 to 100\n" },
	{ "cpu_budget = 1s",
	  "kith.conf:1:14: cpu_budget wants a number, found the duration 1s\n"
	  "    cpu_budget = 1s\n"
	  "                 ^~\n" },
	{ "max_instances = 1.5",
	  "kith.conf:1:17: max_instances wants a whole number, found the number 1.5\n"
	  "    max_instances = 1.5\n"
	  "                    ^~~\n" },
	{ "max_instances = 0",
	  "kith.conf:1:17: max_instances is 0: the least is 1\n"
	  "    max_instances = 0\n"
	  "                    ^ write a value from 1 to 1048576\n" },
	{ "max_instances = 16kb",
	  "kith.conf:1:17: max_instances wants a whole number, found the size 16kb\n"
	  "    max_instances = 16kb\n"
	  "                    ^~~~\n" },
	{ "max_actions = many",
	  "kith.conf:1:15: max_actions wants a whole number, found the string \"many\"\n"
	  "    max_actions = many\n"
	  "                  ^~~~\n" },
	{ "interface { a = 1 }",
	  "kith.conf:1:1: unknown section \"interface\"\n"
	  "    interface { a = 1 }\n"
	  "    ^~~~~~~~~ did you mean \"plugin interface { ... }\"?\n" },
	{ "plugins df { a = 1 }",
	  "kith.conf:1:1: unknown key \"plugins\"\n"
	  "    plugins df { a = 1 }\n"
	  "    ^~~~~~~ did you mean \"plugin\"?\n" },
	{ "colour = red",
	  "kith.conf:1:1: unknown key \"colour\"\n"
	  "    colour = red\n"
	  "    ^~~~~~ known here: interval, steady_interval, log_level, tags, host, root, socket_group, cpu_budget, attention_budget, "
	  "max_instances, max_actions, max_action_starts, history, plugin, exporter, notify, journal, records\n" },
	{ "plugin = df",
	  "kith.conf:1:10: plugin wants a section, found the string \"df\"\n"
	  "    plugin = df\n"
	  "             ^~ write plugin NAME { KEY = VALUE }\n" },
	{ "plugin df",
	  "kith.conf:1:8: plugin wants a section, found the string \"df\"\n"
	  "    plugin df\n"
	  "           ^~ write plugin NAME { KEY = VALUE }\n" },
	{ "plugin df = off",
	  "kith.conf:1:1: a key is one word\n"
	  "    plugin df = off\n"
	  "    ^~~~~~~~~ join the words with '_'; a value of several words goes between quotes\n" },
	{ "plugin { df = 5 }",
	  "kith.conf:1:15: plugin df wants a section, found the number 5\n"
	  "    plugin { df = 5 }\n"
	  "                  ^ write plugin NAME { KEY = VALUE }\n" },
	{ "plugin Df {}",
	  "kith.conf:1:8: \"Df\" cannot be a name of a plugin\n"
	  "    plugin Df {}\n"
	  "           ^~ a name is at most 63 of a-z, 0-9 and _\n" },
	{ "plugin a-b { x = 1 }",
	  "kith.conf:1:8: \"a-b\" cannot be a name of a plugin\n"
	  "    plugin a-b { x = 1 }\n"
	  "           ^~~ a name is at most 63 of a-z, 0-9 and _\n" },
	{ "exporter x {}\nplugin x {}",
	  "kith.conf:2:8: x is both a plugin and an exporter\n"
	  "    plugin x {}\n"
	  "           ^ a name belongs to one of them\n" },
	{ "plugin x { enabled = 1 }",
	  "kith.conf:1:22: enabled wants true or false, found the number 1\n"
	  "    plugin x { enabled = 1 }\n"
	  "                         ^ write true or false; yes, no, on and off will do too\n" },
	{ "plugin x { isolated = \"yes\"; interval = 1ms; cpu_budget = fast; max_instances = 1.5 }",
	  "kith.conf:1:23: isolated wants true or false, found the string \"yes\"\n"
	  "    plugin x { isolated = \"yes\"; interval = 1ms; cpu_budget = fast; max_instances = 1.5 }\n"
	  "                          ^~~~~ leave out the quotes\n"
	  "kith.conf:1:41: interval is 1ms: the least is 100ms\n"
	  "    plugin x { isolated = \"yes\"; interval = 1ms; cpu_budget = fast; max_instances = 1.5 }\n"
	  "                                            ^~~ write a value from 100ms to 1h\n"
	  "kith.conf:1:59: cpu_budget wants a number, found the string \"fast\"\n"
	  "    plugin x { isolated = \"yes\"; interval = 1ms; cpu_budget = fast; max_instances = 1.5 }\n"
	  "                                                              ^~~~\n"
	  "kith.conf:1:81: max_instances wants a whole number, found the number 1.5\n"
	  "    plugin x { isolated = \"yes\"; interval = 1ms; cpu_budget = fast; max_instances = 1.5 }\n"
	  "                                                                                    ^~~\n" },
	{ "plugin x { interval = 1s; interval = 2s }",
	  "kith.conf:1:27: interval is given twice\n"
	  "    plugin x { interval = 1s; interval = 2s }\n"
	  "                              ^~~~~~~~ the first is in line 1: keep one\n" },
	{ "exporter = null; plugin x = null",
	  "kith.conf:1:18: a key is one word\n"
	  "    exporter = null; plugin x = null\n"
	  "                     ^~~~~~~~ join the words with '_'; a value of several words goes between quotes\n" },
	{ "interval = 1ms\nintervall = 1\nroot = \"x\nhost = \"a b\"\nplugin X {}\nplugin y { interval = no }",
	  "kith.conf:1:12: interval is 1ms: the least is 100ms\n"
	  "    interval = 1ms\n"
	  "               ^~~ write a value from 100ms to 1h\n"
	  "kith.conf:2:1: unknown key \"intervall\"\n"
	  "    intervall = 1\n"
	  "    ^~~~~~~~~ did you mean \"interval\"?\n"
	  "kith.conf:3:8: this string is not closed\n"
	  "    root = \"x\n"
	  "           ^~ end it with \"; text of several lines goes between <<EOD and EOD\n"
	  "kith.conf:4:8: host is no host name\n"
	  "    host = \"a b\"\n"
	  "           ^~~~~ letters, digits, '.', '-' and '_', at most 253\n"
	  "kith.conf:5:8: \"X\" cannot be a name of a plugin\n"
	  "    plugin X {}\n"
	  "           ^ a name is at most 63 of a-z, 0-9 and _\n"
	  "kith.conf:6:23: interval wants a duration such as 10s, found the boolean no\n"
	  "    plugin y { interval = no }\n"
	  "                          ^~ a number, and right behind it ns, us, ms, s, min, h, d, w or y\n" },
};

#endif
