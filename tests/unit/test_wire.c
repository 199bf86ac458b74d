/* host/wire: what an isolated plugin's process sends arrives as it was; whatever else comes is found to be wrong, and harms nothing */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "host/wire.h"
#include "model/model.h"

static const char *const states[] = { "down", "up", "", NULL };
static const struct kith_metric metrics[] = {
	{ "value", "B/s", "a help text", NULL, KITH_GAUGE, 0 },
	{ "count", NULL, NULL, NULL, KITH_COUNTER, 0 },
	{ "state", NULL, "", states, KITH_STATE, KITH_METRIC_EVENT },
	{ "other", NULL, "", states, KITH_STATE, 0 },
};
static const struct kith_family thing = { KITH_FAMILY_INIT, "thing", "things", "name", metrics, 4, 0 };
static const struct kith_family single = { KITH_FAMILY_INIT, "single", NULL, NULL, metrics, 1, 0 };

static struct model *m;
static struct owner owner = { .name = "a" };
static struct family *family;
static struct buf b;

static void setup(void)
{
	const char *why;

	ck_assert_int_eq(model_new(&m), 0);
	ck_assert_int_eq(family_add(m, &owner, &thing, 0, &family, &why), 0);
}

static void teardown(void)
{
	model_free(m);
	buf_free(&b);
}

static struct wire_in whole(void)
{
	return (struct wire_in){ (const unsigned char *)b.data, b.length, false };
}

/* Copied to memory of exactly that size: a byte read beyond is seen by the sanitizer. */
static unsigned char *exact(size_t n, struct wire_in *ret_in)
{
	unsigned char *copy = malloc(n ? n : 1);

	ck_assert_ptr_nonnull(copy);
	memcpy(copy, b.data, n);
	*ret_in = (struct wire_in){ copy, n, false };
	return copy;
}

static void put_family(const struct family *f)
{
	size_t at = wire_begin(&b, WIRE_FAMILY);

	wire_put_family(&b, f);
	wire_end(&b, at);
}

static void put_record(void)
{
	struct kith_field fields[2] = { { "key", "a value" }, { "other", "" } };
	struct kith_record r = { sizeof(r), KITH_WARNING, 12345678901, "thing:x", "it happened", fields, 2 };

	wire_put_record(&b, &r);
}

START_TEST(families_arrive)
{
	struct wire_family f;
	struct wire_in in, message;
	uint32_t type;

	put_family(family);
	in = whole();
	ck_assert(wire_next(&in, &type, &message));
	ck_assert_uint_eq(type, WIRE_FAMILY);
	ck_assert_int_eq(wire_family(&message, &f), 0);
	ck_assert_uint_eq(message.left, 0);
	ck_assert_str_eq(f.family.name, "thing");
	ck_assert_str_eq(f.family.help, "things");
	ck_assert_str_eq(f.family.instance, "name");
	ck_assert_uint_eq(f.family.n_metrics, 4);
	ck_assert_str_eq(f.metrics[0].unit, "B/s");
	ck_assert_str_eq(f.metrics[0].help, "a help text");
	ck_assert_ptr_null(f.metrics[0].states);
	ck_assert_uint_eq(f.metrics[1].kind, KITH_COUNTER);
	for (int k = 2; k < 4; k++) {
		ck_assert_str_eq(f.metrics[k].states[0], "down");
		ck_assert_str_eq(f.metrics[k].states[1], "up");
		ck_assert_str_eq(f.metrics[k].states[2], "");
		ck_assert_ptr_null(f.metrics[k].states[3]);
	}
	ck_assert_uint_eq(f.metrics[2].flags, KITH_METRIC_EVENT);
	wire_family_free(&f);
	ck_assert(!wire_next(&in, &type, &message) && !in.bad);
}
END_TEST

START_TEST(a_family_without_instances_has_no_label)
{
	struct wire_in in, message;
	struct family *other;
	struct wire_family f;
	const char *why;
	uint32_t type;

	ck_assert_int_eq(family_add(m, &owner, &single, 0, &other, &why), 0);
	put_family(other);
	in = whole();
	ck_assert(wire_next(&in, &type, &message));
	ck_assert_int_eq(wire_family(&message, &f), 0);
	ck_assert_ptr_null(f.family.instance);
	wire_family_free(&f);
}
END_TEST

START_TEST(records_arrive)
{
	struct wire_in in, message;
	struct wire_record r;
	uint32_t type;

	put_record();
	in = whole();
	ck_assert(wire_next(&in, &type, &message));
	ck_assert_uint_eq(type, WIRE_RECORD);
	wire_record(&message, &r);
	ck_assert(!message.bad && !message.left);
	ck_assert_uint_eq(r.record.priority, KITH_WARNING);
	ck_assert_int_eq(r.record.time, 12345678901);
	ck_assert_str_eq(r.record.subject, "thing:x");
	ck_assert_str_eq(r.record.message, "it happened");
	ck_assert_uint_eq(r.record.n_fields, 2);
	ck_assert_str_eq(r.record.fields[0].key, "key");
	ck_assert_str_eq(r.record.fields[0].value, "a value");
	ck_assert_str_eq(r.record.fields[1].value, "");
}
END_TEST

/* However long a plugin's texts are, the record fits a datagram, and is cut between characters. */
START_TEST(long_records_are_cut)
{
	static char text[100001];
	struct kith_field fields[40];
	struct kith_record r = { sizeof(r), KITH_INFO, 1, text, text, fields, 40 };
	struct wire_in in, message;
	struct wire_record got;
	uint32_t type;
	size_t n;

	for (size_t i = 0; i + 2 < sizeof(text); i += 3)
		memcpy(text + i, "\xe2\x82\xac", 3);
	for (int i = 0; i < 40; i++)
		fields[i] = (struct kith_field){ text, text };
	wire_put_record(&b, &r);
	ck_assert_uint_le(b.length, WIRE_DATAGRAM_MAX);
	in = whole();
	ck_assert(wire_next(&in, &type, &message));
	wire_record(&message, &got);
	ck_assert(!message.bad && !message.left);
	ck_assert_uint_eq(got.record.n_fields, WIRE_FIELDS_MAX);
	n = strlen(got.record.message);
	ck_assert(n > 8000 && n % 3 == 0);
	ck_assert_uint_eq(strlen(got.record.fields[31].value) % 3, 0);
}
END_TEST

/* Reads all that there is; true when all was right */
static bool read_all(struct wire_in in)
{
	struct wire_in message;
	bool good = true;
	uint32_t type;

	while (wire_next(&in, &type, &message)) {
		struct wire_family f;
		struct wire_record r;

		if (type == WIRE_FAMILY && wire_family(&message, &f) == 0) {
			for (uint32_t i = 0; i < f.family.n_metrics; i++)
				for (const char *const *s = f.metrics[i].states; s && *s; s++)
					good = good && strlen(*s) < WIRE_DATAGRAM_MAX;
			good = good && strlen(f.family.name) < WIRE_DATAGRAM_MAX;
			wire_family_free(&f);
		} else if (type == WIRE_FAMILY) {
			good = false;
		} else if (type == WIRE_RECORD) {
			wire_record(&message, &r);
			for (uint32_t i = 0; !message.bad && i < r.record.n_fields; i++)
				good = good && strlen(r.fields[i].key) + strlen(r.fields[i].value) < WIRE_DATAGRAM_MAX;
		} else {
			while (message.left && !message.bad)
				good = strlen(wire_text(&message)) < WIRE_DATAGRAM_MAX && good;
		}
		if (message.bad || message.left)
			good = false;
	}
	return good && !in.bad;
}

START_TEST(what_is_cut_off_is_bad)
{
	size_t boundary;

	put_family(family);
	boundary = b.length;
	put_record();
	for (size_t n = 0; n <= b.length; n++) {
		struct wire_in in;
		unsigned char *copy = exact(n, &in);

		ck_assert_int_eq(read_all(in), n == 0 || n == boundary || n == b.length);
		free(copy);
	}
}
END_TEST

START_TEST(a_message_shorter_than_its_content_is_bad)
{
	put_record();
	for (uint32_t size = 0; size < b.length; size++) {
		struct wire_in in;
		unsigned char *copy = exact(b.length, &in);

		memcpy(copy, &size, sizeof(size));
		ck_assert(!read_all(in));
		free(copy);
	}
}
END_TEST

/* Any byte, any value of a few: read to the end within bounds, right or wrong */
START_TEST(damaged_bytes_harm_nothing)
{
	static const unsigned char values[] = { 0x00, 0x01, 0x7f, 0x80, 0xff };
	unsigned bad = 0;

	put_family(family);
	put_record();
	for (size_t n = 0; n < b.length; n++)
		for (size_t v = 0; v < sizeof(values); v++) {
			struct wire_in in;
			unsigned char *copy = exact(b.length, &in);

			copy[n] = values[v];
			bad += !read_all(in);
			free(copy);
		}
	ck_assert_uint_gt(bad, b.length);
}
END_TEST

START_TEST(texts_with_a_nul_inside_or_without_an_end_are_bad)
{
	struct wire_in in;

	wire_put_u32(&b, 3);
	buf_append(&b, "a\0b", 4);
	in = whole();
	ck_assert_str_eq(wire_text(&in), "");
	ck_assert(in.bad);
	buf_reset(&b);
	wire_put_u32(&b, 3);
	buf_append(&b, "abcd", 4);
	in = whole();
	wire_text(&in);
	ck_assert(in.bad);
	/* and so is all that follows */
	ck_assert_uint_eq(wire_u32(&in), 0);
	ck_assert_uint_eq(wire_u64(&in), 0);
	ck_assert(wire_f64(&in) == 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("wire");
	TCase *tc = tcase_create("wire");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, families_arrive);
	tcase_add_test(tc, a_family_without_instances_has_no_label);
	tcase_add_test(tc, records_arrive);
	tcase_add_test(tc, long_records_are_cut);
	tcase_add_test(tc, what_is_cut_off_is_bad);
	tcase_add_test(tc, a_message_shorter_than_its_content_is_bad);
	tcase_add_test(tc, damaged_bytes_harm_nothing);
	tcase_add_test(tc, texts_with_a_nul_inside_or_without_an_end_are_bad);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
