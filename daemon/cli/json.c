/* JSON out: every text made valid, every number as short as it is exact. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cli/out.h"

#define JSON_FLAGS JSON_COMPACT
#define EXACT_MAX 9007199254740992.0 /* 2^53 */

json_t *json_text(const char *text)
{
	struct buf b = BUF_INIT;
	json_t *made;

	if (!text)
		return json_null();
	made = json_string(text);
	if (made)
		return made;
	for (const unsigned char *s = (const unsigned char *)text; *s;) {
		size_t n = utf8_length(s, strnlen((const char *)s, 4));

		if (n)
			buf_append(&b, s, n);
		else
			buf_puts(&b, "\xef\xbf\xbd");
		s += n ? n : 1;
	}
	made = json_string(buf_text(&b));
	buf_free(&b);
	return made ? made : json_null();
}

json_t *json_fields(Control__Field *const *fields, size_t n)
{
	json_t *all = json_object();

	for (size_t i = 0; i < n; i++) {
		json_t *there = json_object_get(all, fields[i]->key), *list = json_is_array(there) ? there : NULL;

		if (!there) {
			json_object_set_new(all, fields[i]->key, json_text(fields[i]->value));
			continue;
		}
		if (!list) {
			list = json_array();
			json_array_append(list, there);
			json_object_set_new(all, fields[i]->key, list);
		}
		json_array_append_new(list, json_text(fields[i]->value));
	}
	return all;
}

json_t *json_time(int64_t wall)
{
	char text[CLOCK_TEXT_MAX];

	return wall ? json_string(clock_format(wall, text, sizeof(text))) : json_null();
}

json_t *json_double(double value)
{
	if (!isfinite(value))
		return json_null();
	if (value == rint(value) && fabs(value) < EXACT_MAX)
		return json_integer((json_int_t)value);
	return json_real(value);
}

json_t *json_u64(uint64_t value)
{
	return json_integer((json_int_t)(value > INT64_MAX ? INT64_MAX : value));
}

json_t *json_value(const Control__Sample *sample)
{
	if (sample->value_case == CONTROL__SAMPLE__VALUE_STATE)
		return json_text(sample->state);
	if (sample->value_case == CONTROL__SAMPLE__VALUE_NUMBER)
		return json_double(sample->number);
	return json_null();
}

/* jansson writes 17 digits, of which the last are noise for most numbers: as few as give every number in it back */
static size_t real_digits(const json_t *value)
{
	size_t digits = 15, index;
	const char *key;
	json_t *one;
	char text[40];

	if (json_is_real(value)) {
		for (; digits < 17; digits++) {
			snprintf(text, sizeof(text), "%.*g", (int)digits, json_real_value(value));
			if (memcmp(&(double){ strtod(text, NULL) }, &(double){ json_real_value(value) }, sizeof(double)) == 0)
				break;
		}
	} else if (json_is_array(value)) {
		json_array_foreach(value, index, one)
			digits = real_digits(one) > digits ? real_digits(one) : digits;
	} else if (json_is_object(value)) {
		json_object_foreach((json_t *)value, key, one)
			digits = real_digits(one) > digits ? real_digits(one) : digits;
	}
	return digits;
}

static void json_put(json_t *object)
{
	json_dumpf(object, stdout, JSON_FLAGS | JSON_REAL_PRECISION(real_digits(object)));
	json_decref(object);
}

void json_line_take(json_t *object)
{
	json_put(object);
	putchar('\n');
}

void json_array_begin(struct out *o)
{
	o->begun = false;
	putchar('[');
}

void json_array_add_take(struct out *o, json_t *object)
{
	fputs(o->begun ? ",\n " : "\n ", stdout);
	o->begun = true;
	json_put(object);
}

void json_array_end(struct out *o)
{
	fputs(o->begun ? "\n]\n" : "]\n", stdout);
}
