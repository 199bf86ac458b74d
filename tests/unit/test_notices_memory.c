/* Notices without memory: each allocation of a story fails in turn. Nothing is lost but what was asked for, and it is well again afterwards. */
#include <config.h>

#include <stdbool.h>

/* What the tests themselves allocate does not fail. */
static bool armed, aside;
#define TOWN_ASIDE(now) (aside = (now))
#include "notices_help.h"

/* By the linker: --wrap. strdup and the like are in there too, as notices call them. */
static unsigned allocations, fail_at; /* 0: none */

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t n);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t n);

static bool fails(void)
{
	return armed && !aside && ++allocations == fail_at;
}

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *old, size_t size)
{
	return fails() ? NULL : __real_realloc(old, size);
}

char *__wrap_strdup(const char *text)
{
	return fails() ? NULL : __real_strdup(text);
}

char *__wrap_strndup(const char *text, size_t n)
{
	return fails() ? NULL : __real_strndup(text, n);
}

static const char *const abc[] = { "a", "b", "c" };

/* What a person, and time, do; true when all of it went well */
static bool ask(struct town *t)
{
	struct notice_receiver r = town_ops;
	struct notice_ack a = { .by = "root", .because = "why" };
	struct notice_silence s = { .pattern = "b.c", .promiser = "", .by = "root", .because = "", .from = S(0), .to = S(9000) };
	struct buf text = BUF_INIT;
	struct promise *pr = town_info(t, "b.a").promise;
	uint32_t id;
	size_t bad;
	bool well = true;

	armed = true;
	well = notices_configure(t->n, "web1", &r, 1, t->now) == 0 && well;
	well = notices_ack(t->n, pr, &a, t->now) == 0 && well;
	well = notices_silence(t->n, &s, t->now, &id) == 0 && well;
	well = notices_save(t->n, &text) == 0 && well;
	notices_run(t->n, t->now);
	if (well)
		well = notices_load(t->n, buf_text(&text), text.length, t->now, &bad) == 0;
	armed = false;
	buf_free(&text);
	return well;
}

START_TEST(test_memory)
{
	unsigned k = 0;

	do {
		struct town *t = town_new(NULL, 0);

		town_promise(t, abc, 3, NULL);
		for (int i = 0; i < 3; i++)
			town_put(t, abc[i], 2, 1);
		town_to(t, 12);
		ck_assert_uint_eq(t->n_sent, 1);
		allocations = 0;
		fail_at = ++k;
		ck_assert(ask(t) || allocations >= fail_at);
		/* Mended: all that were told are told to be kept, within the silence or after it */
		for (int i = 0; i < 3; i++)
			town_put(t, abc[i], 0, 100);
		town_to(t, 20000);
		ck_assert_uint_ge(t->n_sent, 2);
		for (int i = 0; i < 3; i++) {
			char name[64];
			bool told = false;

			snprintf(name, sizeof(name), "{\"name\":\"b.%s\",\"promiser\":\"svc:%s\",\"promisees\":[],\"what\":\"kept\"", abc[i], abc[i]);
			for (unsigned m = 0; m < t->n_sent; m++)
				told = told || strstr(t->sent[m].json, name);
			ck_assert_msg(told, "allocation %u: nobody was told that %s is kept", k, abc[i]);
		}
		town_free(t);
	} while (allocations >= fail_at);
	ck_assert_uint_gt(k, 20);
}
END_TEST

/* A message that there is no memory for is one that failed: made anew later */
START_TEST(test_message)
{
	for (unsigned k = 1;; k++) {
		struct town *t = town_new(NULL, 0);

		town_promise(t, abc, 3, NULL);
		for (int i = 0; i < 3; i++)
			town_put(t, abc[i], 2, 1);
		t->now = S(11);
		t->armed = 0;
		allocations = 0;
		fail_at = k;
		armed = true;
		notices_run(t->n, t->now);
		armed = false;
		town_to(t, 100);
		ck_assert_uint_eq(t->n_sent, 1);
		ck_assert_uint_eq(t->sent[0].count, 3);
		town_free(t);
		if (allocations < fail_at)
			break;
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("notices memory");
	TCase *c = tcase_create("memory");
	SRunner *runner;
	int failed;

	tcase_set_timeout(c, 120);
	tcase_add_test(c, test_memory);
	tcase_add_test(c, test_message);
	suite_add_tcase(s, c);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
