/* The audit log: lines taken apart and joined, and what the plugin makes of events */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit/audit.h"
#include "base/clock.h"
#include "fake_host.h"
#include "source/audit.h"

extern const struct kith_plugin kith_plugin;

#define LOGIN "audit(1364481363.243:24287): pid=1 uid=0 auid=4294967295 ses=4294967295 msg='op=login acct=\"root\" exe=\"/usr/sbin/sshd\" hostname=? addr=10.0.0.1 terminal=ssh res=failed'"
#define APPARMOR "audit(1700000000.001:7): apparmor=\"DENIED\" operation=\"open\" profile=\"a b\" name=2F746D702FC3A90A pid=5 comm=\"cat\" requested_mask=\"r\""

static struct audit_parts parts;
static struct audit_pool pool;
static struct kith_audit_event event;

static void begin(void)
{
	memset(&parts, 0, sizeof(parts));
}

static void line(uint32_t type, const char *text)
{
	size_t body;

	ck_assert(audit_head(text, strlen(text), &parts.time, &parts.serial, &body));
	audit_add(&parts, type, text + body, strlen(text) - body);
	audit_event(&parts, &pool, &event);
}

static void one(uint32_t type, const char *text)
{
	begin();
	line(type, text);
}

static void value_is(const char *key, const char *value)
{
	const char *is = audit_value(&event, key);

	ck_assert_msg(is && value ? !strcmp(is, value) : is == value, "%s is %s, not %s", key, is ? is : "missing", value ? value : "missing");
}

START_TEST(values)
{
	one(1112, LOGIN);
	ck_assert_int_eq(event.time, INT64_C(1364481363243) * NS_PER_MS);
	ck_assert_uint_eq(event.serial, 24287);
	value_is("pid", "1");
	value_is("op", "login");
	value_is("acct", "root");
	value_is("res", "failed");
	value_is("exe", "/usr/sbin/sshd");
	one(1400, APPARMOR);
	value_is("profile", "a b");
	value_is("name", "/tmp/\xc3\xa9");
	/* a0 is a text of EXECVE, a number of SYSCALL; NULs of a command line are blanks */
	one(1309, "audit(1.0:1): argc=2 a0=\"sh\" a1=2D63");
	value_is("a1", "-c");
	line(1300, "audit(1.0:1): syscall=59 a0=2d63 success=yes key=(null)\x1d" "ARCH=x86_64 SYSCALL=execve");
	ck_assert_str_eq(event.lines[1].fields[1].value, "2d63");
	value_is("SYSCALL", "execve");
	line(1327, "audit(1.0:1): proctitle=7368002D63FF");
	value_is("proctitle", "sh -c\\377");
	one(1400, "audit(1.0:1): avc:  denied  { read write } for  pid=5 comm=\"x\" =y z= tclass=file\n");
	value_is("comm", "x");
	value_is("z", "");
	value_is("tclass", "file");
}
END_TEST

START_TEST(cut_anywhere)
{
	static const char *const lines[] = { LOGIN, APPARMOR };

	for (size_t k = 0; k < KITH_COUNT(lines); k++) {
		size_t whole = strlen(lines[k]), head;
		uint64_t serial;
		int64_t time;

		ck_assert(audit_head(lines[k], whole, &time, &serial, &head));
		for (size_t n = 0; n <= whole; n++) {
			char *text = malloc(n + 1);
			size_t body;

			memcpy(text, lines[k], n);
			ck_assert_int_eq(audit_head(text, n, &time, &serial, &body), n >= head - 1);
			if (n >= head - 1) {
				begin();
				audit_add(&parts, 1400, text + body, n - body);
				audit_event(&parts, &pool, &event);
				ck_assert_uint_eq(event.n_lines, 1);
			}
			free(text);
		}
	}
}
END_TEST

/* More lines, fields and text than are kept: said, and nothing written beyond */
START_TEST(bounded)
{
	size_t length = AUDIT_TEXT_MAX;
	char *text = malloc(length + 1);

	begin();
	for (int i = 0; i < 40; i++)
		line(1302, "audit(1.0:1): item=0 name=\"x\"");
	ck_assert(event.n_lines == AUDIT_LINES_MAX && event.flags & KITH_AUDIT_CUT);
	for (size_t i = 0; i < length; i++)
		text[i] = i % 4 == 0 ? 'k' : i % 4 == 1 ? '=' : i % 4 == 2 ? '\x01' : ' ';
	begin();
	for (int i = 0; i < 4; i++)
		audit_add(&parts, 1302, text, length / 3);
	audit_event(&parts, &pool, &event);
	ck_assert(event.flags & KITH_AUDIT_CUT && event.lines[0].n_fields == AUDIT_FIELDS_MAX);
	memset(text, 0x80, length);
	begin();
	audit_add(&parts, 1302, text, length);
	audit_add(&parts, 1302, text, length);
	audit_event(&parts, &pool, &event);
	ck_assert(event.flags & KITH_AUDIT_CUT);
	one(1302, "audit(1.0:1): item=0");
	ck_assert(!(event.flags & KITH_AUDIT_CUT));
	free(text);
}
END_TEST

START_TEST(classes)
{
	static const struct {
		uint32_t type;
		const char *text;
		enum audit_class class;
	} cases[] = {
		{ 1112, LOGIN, LOGINS_FAILED },
		{ 1112, "audit(1.0:1): msg='op=login acct=\"x\" res=success'", LOGINS },
		{ 1100, "audit(1.0:1): msg='op=PAM:authentication acct=\"x\" res=success'", OTHER },
		{ 1100, "audit(1.0:1): msg='op=PAM:authentication acct=\"x\" res=failed'", LOGINS_FAILED },
		{ 1400, APPARMOR, DENIALS },
		{ 1400, "audit(1.0:1): apparmor=\"ALLOWED\" operation=\"open\"", OTHER },
		{ 1400, "audit(1.0:1): apparmor=\"STATUS\" operation=\"profile_load\"", CONFIG },
		{ 1400, "audit(1.0:1): avc:  denied  { read } for  pid=1", DENIALS },
		{ 1400, "audit(1.0:1): avc:  granted  { read } for  pid=1", OTHER },
		{ 1305, "audit(1.0:1): op=set audit_enabled=1 old=0 res=1", CONFIG },
		{ 1326, "audit(1.0:1): comm=\"x\" sig=31 syscall=2", SECCOMP },
		{ 1700, "audit(1.0:1): dev=v0 prom=256 old_prom=0", ANOMALIES },
		{ 1701, "audit(1.0:1): comm=\"x\" sig=11", ANOMALIES },
		{ 2100, "audit(1.0:1): x=1", ANOMALIES },
		{ 1114, "audit(1.0:1): msg='op=add-user id=5 res=success'", USERS },
		{ 1203, "audit(1.0:1): op=x", CONFIG },
		{ 1999, "audit(1.0:1): x=1", OTHER },
	};

	for (size_t i = 0; i < KITH_COUNT(cases); i++) {
		one(cases[i].type, cases[i].text);
		ck_assert_msg(audit_class_of(&event) == cases[i].class, "case %zu", i);
	}
}
END_TEST

/* ---- the plugin -------------------------------------------------------------------------------------------------- */

static struct fake_host *f;

static void happens(void)
{
	ck_assert_int_eq(fake_host_source(f, KITH_SOURCE_AUDIT, &event), 0);
}

START_TEST(counts_and_records)
{
	const struct kith_audit_event missed = { .size = sizeof(missed), .missed = 3, .line_size = sizeof(struct kith_audit_line) };

	f = fake_host_new(&kith_plugin, "");
	ck_assert_int_eq(fake_host_start(f), 0);
	ck_assert(fake_host_value(f, "audit:denials:count") == 0 && fake_host_value(f, "audit_log:missed") == 0);
	one(1112, LOGIN);
	happens();
	ck_assert(fake_host_value(f, "audit:logins_failed:count") == 1 && fake_host_value(f, "audit_log:events") == 1);
	ck_assert_ptr_nonnull(fake_host_record(f, "4 audit:logins_failed login of root from 10.0.0.1 failed type=USER_LOGIN serial=24287 pid=1"));
	one(1400, APPARMOR);
	line(1300, "audit(1700000000.001:7): arch=c000003e syscall=257 pid=6 exe=\"/bin/cat\"\x1d" "SYSCALL=openat");
	happens();
	ck_assert_ptr_nonnull(fake_host_record(f, "4 audit:denials cat was denied open of /tmp/\xc3\xa9 type=AVC serial=7 apparmor=DENIED"));
	ck_assert_ptr_null(fake_host_record(f, "pid=6"));
	ck_assert_ptr_nonnull(fake_host_record(f, "exe=/bin/cat"));
	one(1700, "audit(1.0:1): dev=v0 prom=256 old_prom=0");
	happens();
	ck_assert_ptr_nonnull(fake_host_record(f, "4 audit:anomalies v0 now hears all packets"));
	one(1123, "audit(1.0:1): msg='cmd=6C73 res=success'");
	happens();
	ck_assert_uint_eq(f->n_records, 3);
	ck_assert(fake_host_value(f, "audit:other:count") == 1);
	ck_assert_int_eq(fake_host_source(f, KITH_SOURCE_AUDIT, &missed), 0);
	ck_assert(fake_host_value(f, "audit_log:missed") == 3 && fake_host_value(f, "audit_log:events") == 4);
	ck_assert_ptr_nonnull(fake_host_record(f, "4 audit_log 3 audit events were lost on their way here"));
	fake_host_free(f);
}
END_TEST

START_TEST(what_is_recorded)
{
	f = fake_host_new(&kith_plugin, "");
	fake_host_option(f, "records", "USER_CMD, 1326, users");
	ck_assert_int_eq(fake_host_start(f), 0);
	one(1112, LOGIN);
	happens();
	ck_assert_uint_eq(f->n_records, 0);
	one(1123, "audit(1.0:1): msg='cmd=6C73 res=success'");
	happens();
	ck_assert_ptr_nonnull(fake_host_record(f, "6 audit:other USER_CMD: msg='cmd=6C73 res=success' type=USER_CMD serial=1 cmd=ls res=success"));
	one(1326, "audit(1.0:1): comm=\"x\" sig=31 syscall=2");
	happens();
	one(1115, "audit(1.0:1): msg='id=5'");
	happens();
	ck_assert_uint_eq(f->n_records, 3);
	fake_host_free(f);
}
END_TEST

START_TEST(without_the_right)
{
	f = fake_host_new(&kith_plugin, "");
	f->fail_source = -EPERM;
	ck_assert_int_eq(fake_host_start(f), -EOPNOTSUPP);
	ck_assert_ptr_nonnull(strstr(f->note, "CAP_AUDIT_READ"));
	fake_host_free(f);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("audit");
	TCase *t = tcase_create("audit");
	SRunner *runner = srunner_create(s);
	int failed;

	tcase_add_test(t, values);
	tcase_add_test(t, cut_anywhere);
	tcase_add_test(t, bounded);
	tcase_add_test(t, classes);
	tcase_add_test(t, counts_and_records);
	tcase_add_test(t, what_is_recorded);
	tcase_add_test(t, without_the_right);
	suite_add_tcase(s, t);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
