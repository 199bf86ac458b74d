#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "service/words.h"

/* Recorded of s6-supervise 2.11.3: up; killed and up again; taken down */
static const unsigned char s6_up[35] = { 0x40, 0, 0, 0, 0x6b, 0x03, 0x6c, 0x89, 0x15, 0xff, 0x12, 0x1d, 0x40, 0, 0, 0, 0x6b, 0x03, 0x6c, 0x89, 0x15, 0xec,
	                                     0x14, 0x0d, 0, 0, 0, 0, 0, 0, 0x4f, 0x89, 0, 0, 4 };
static const unsigned char s6_killed[35] = { 0x40, 0, 0, 0, 0x6b, 0x03, 0x6c, 0x8b, 0x18, 0x24, 0xe3, 0x5d, 0x40, 0, 0, 0, 0x6b, 0x03, 0x6c, 0x8a, 0x17,
	                                         0xed, 0x3c, 0xcf, 0, 0, 0, 0, 0, 0, 0x51, 0xcd, 0, 9, 4 };
static const unsigned char s6_down[35] = { 0x40, 0, 0, 0, 0x6b, 0x03, 0x6c, 0x8c, 0x36, 0x43, 0x7b, 0x49, 0x40, 0, 0, 0, 0x6b, 0x03, 0x6c, 0x8c, 0x36, 0x4d,
	                                       0xfb, 0x0c, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x0f, 8 };

static void state_is(const struct status *s, bool notifies, bool gave_up, enum state state, enum substate_some sub)
{
	enum state got;
	enum substate_some got_sub;

	status_state(s, notifies, gave_up, &got, &got_sub);
	ck_assert_str_eq(state_words[got], state_words[state]);
	ck_assert_str_eq(substate_words[got_sub], substate_words[sub]);
}

START_TEST(test_s6)
{
	struct status s;

	ck_assert_int_eq(status_parse_s6(s6_up, sizeof(s6_up), &s), 0);
	ck_assert_int_eq(s.since, INT64_C(1795386468369037853)); /* 22:27:48 UTC, as it was */
	ck_assert_int_eq(s.pid, 20361);
	ck_assert(s.want_up && !s.ready && !s.paused && !s.finishing && s.has_wait);
	state_is(&s, false, false, STATE_ACTIVE, SUB_RUNNING);
	state_is(&s, true, false, STATE_ACTIVATING, SUB_START);
	ck_assert_int_eq(status_parse_s6(s6_killed, sizeof(s6_killed), &s), 0);
	ck_assert_int_eq(s.pid, 20941);
	ck_assert_int_eq(status_result(s.wait), RESULT_SIGNAL);
	ck_assert_int_eq(status_parse_s6(s6_down, sizeof(s6_down), &s), 0);
	ck_assert_int_eq(s.pid, 0);
	ck_assert_int_eq(status_result(s.wait), RESULT_SUCCESS); /* SIGTERM, as s6-svc -d sends it */
	state_is(&s, false, false, STATE_INACTIVE, SUB_DEAD);
	state_is(&s, false, true, STATE_FAILED, SUB_FAILED);
}
END_TEST

START_TEST(test_s6_flags)
{
	unsigned char data[43] = { 0 };
	struct status s;

	memcpy(data, s6_up, 32);
	data[42] = 1 | 4 | 8; /* from 2.12 on: with a process group */
	data[40] = 3;
	ck_assert_int_eq(status_parse_s6(data, 43, &s), 0);
	ck_assert(s.paused && s.want_up && s.ready);
	ck_assert_int_eq(s.wait, 3 << 8);
	ck_assert_int_eq(status_result(s.wait), RESULT_EXIT_CODE);
	state_is(&s, true, false, STATE_ACTIVE, SUB_PAUSED);
	data[42] = 2 | 4; /* the pid is that of the finish script */
	ck_assert_int_eq(status_parse_s6(data, 43, &s), 0);
	ck_assert_int_eq(s.pid, 0);
	state_is(&s, false, false, STATE_DEACTIVATING, SUB_FINISH);
	memset(data + 24, 0, 16);
	data[42] = 4;
	ck_assert_int_eq(status_parse_s6(data, 43, &s), 0);
	state_is(&s, false, false, STATE_ACTIVATING, SUB_AUTO_RESTART);
	ck_assert_int_eq(status_result(11 | 0x80), RESULT_CORE_DUMP);
}
END_TEST

static void runit_data(unsigned char *data, unsigned pid, char want, int run)
{
	memset(data, 0, 20);
	memcpy(data, s6_up, 12);
	data[12] = pid & 255;
	data[13] = (unsigned char)(pid >> 8);
	data[17] = (unsigned char)want;
	data[19] = (unsigned char)run;
}

START_TEST(test_runit)
{
	unsigned char data[20];
	struct status s;

	runit_data(data, 4711, 'u', 1);
	ck_assert_int_eq(status_parse_runit(data, 20, &s), 0);
	ck_assert_int_eq(s.pid, 4711);
	ck_assert_int_eq(s.since, INT64_C(1795386495369037853));
	state_is(&s, false, false, STATE_ACTIVE, SUB_RUNNING);
	runit_data(data, 0, 'u', 0);
	ck_assert_int_eq(status_parse_runit(data, 20, &s), 0);
	state_is(&s, false, false, STATE_ACTIVATING, SUB_AUTO_RESTART);
	runit_data(data, 0, 'd', 0);
	ck_assert_int_eq(status_parse_runit(data, 20, &s), 0);
	state_is(&s, false, false, STATE_INACTIVE, SUB_DEAD);
	runit_data(data, 17, 'd', 2);
	ck_assert_int_eq(status_parse_runit(data, 20, &s), 0);
	ck_assert_int_eq(s.pid, 0);
	state_is(&s, false, false, STATE_DEACTIVATING, SUB_FINISH);
	runit_data(data, 17, 'd', 3);
	ck_assert_int_eq(status_parse_runit(data, 20, &s), -EBADMSG);
}
END_TEST

/* Cut off at every byte, and with bytes behind: in memory of just that size, so that a sanitizer sees what is read beyond it */
START_TEST(test_truncated)
{
	struct status s = { .pid = 7 };
	unsigned char whole[STATUS_SIZE_MAX] = { 0 }, runit[STATUS_SIZE_MAX] = { 0 };

	memcpy(whole, s6_up, sizeof(s6_up));
	runit_data(runit, 4711, 'u', 1);
	for (size_t n = 0; n <= sizeof(whole); n++) {
		unsigned char *copy = malloc(n ? n : 1);

		ck_assert_ptr_nonnull(copy);
		memcpy(copy, whole, n);
		ck_assert_int_eq(status_parse_s6(copy, n, &s), n == 35 || n == 43 ? 0 : -EBADMSG);
		memcpy(copy, runit, n);
		ck_assert_int_eq(status_parse_runit(copy, n, &s), n == 20 ? 0 : -EBADMSG);
		free(copy);
	}
}
END_TEST

START_TEST(test_bad_times)
{
	unsigned char data[35];
	struct status s;

	memcpy(data, s6_up, sizeof(data));
	memset(data + 8, 0xff, 4); /* ns */
	ck_assert_int_eq(status_parse_s6(data, sizeof(data), &s), -EBADMSG);
	memset(data, 0xff, 8);
	ck_assert_int_eq(status_parse_s6(data, sizeof(data), &s), -EBADMSG);
	memset(data, 0, 8); /* before 1970 */
	ck_assert_int_eq(status_parse_s6(data, sizeof(data), &s), -EBADMSG);
	memcpy(data, s6_up, sizeof(data));
	memset(data + 24, 0x7f, 8);
	ck_assert_int_eq(status_parse_s6(data, sizeof(data), &s), -EBADMSG);
}
END_TEST

START_TEST(test_fifo)
{
	ck_assert_uint_eq(ftrig_parse((const unsigned char *)"", 0), 0);
	ck_assert_uint_eq(ftrig_parse((const unsigned char *)"zq\xff\0", 4), 0);
	ck_assert_uint_eq(ftrig_parse((const unsigned char *)"dD", 2), FTRIG_CHANGED);
	ck_assert_uint_eq(ftrig_parse((const unsigned char *)"dODx", 4), FTRIG_CHANGED | FTRIG_GAVE_UP);
	ck_assert_uint_eq(ftrig_parse((const unsigned char *)"dODu", 4), FTRIG_CHANGED | FTRIG_STARTED);
}
END_TEST

START_TEST(test_words)
{
	ck_assert_str_eq(state_words[(int)word_index(state_words, "active")], "active");
	ck_assert_int_eq((int)word_index(state_words, "inactive"), STATE_INACTIVE);
	ck_assert_int_eq((int)word_index(state_words, "failed"), STATE_FAILED);
	ck_assert_int_eq((int)word_index(substate_words, "auto-restart"), SUB_AUTO_RESTART);
	ck_assert_int_eq((int)word_index(substate_words, "failed"), SUB_FAILED);
	ck_assert_int_eq((int)word_index(result_words, "start-limit-hit"), RESULT_START_LIMIT);
	ck_assert_int_eq((int)word_index(load_words, "not-found"), LOAD_NOT_FOUND);
	ck_assert_int_eq((int)word_index(enabled_words, "disabled"), ENABLED_DISABLED);
	ck_assert_str_eq(state_words[(int)word_index(state_words, "what comes in 2030")], "other");
	ck_assert_str_eq(result_words[(int)word_index(result_words, "")], "other");
}
END_TEST

#define UNIT "/org/freedesktop/systemd1/unit/"
START_TEST(test_paths)
{
	static const struct {
		const char *path, *name;
	} rows[] = {
		{ UNIT "nginx_2eservice", "nginx.service" },
		{ UNIT "_31st_2eservice", "1st.service" },
		{ UNIT "many_40with_5cx20space_2eservice", "many@with\\x20space.service" },
		{ UNIT "a_5fb_2eservice", "a_b.service" },
		{ UNIT "x_", NULL },
		{ UNIT "x_2", NULL },
		{ UNIT "x_zz", NULL },
		{ UNIT "x_0a", NULL },
		{ UNIT "x_00", NULL },
		{ UNIT "a/b", NULL },
		{ UNIT, NULL },
		{ "/org/freedesktop/systemd1", NULL },
		{ "", NULL },
	};
	char name[64], small[8];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t n = path_unit(rows[i].path, name, sizeof(name));

		ck_assert_uint_eq(n, rows[i].name ? strlen(rows[i].name) : 0);
		if (rows[i].name)
			ck_assert_str_eq(name, rows[i].name);
	}
	ck_assert_uint_eq(path_unit(UNIT "1234567", small, sizeof(small)), 7);
	ck_assert_uint_eq(path_unit(UNIT "12345678", small, sizeof(small)), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("service words");
	TCase *tc = tcase_create("all");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(tc, test_s6);
	tcase_add_test(tc, test_s6_flags);
	tcase_add_test(tc, test_runit);
	tcase_add_test(tc, test_truncated);
	tcase_add_test(tc, test_bad_times);
	tcase_add_test(tc, test_fifo);
	tcase_add_test(tc, test_words);
	tcase_add_test(tc, test_paths);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
