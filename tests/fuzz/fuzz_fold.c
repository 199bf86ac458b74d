/* What kith-fold reads of its own: the undo file, .family, .state, heads of RRD files, lists of archives. The first byte says which. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/archives.h"
#include "base/clock.h"
#include "base/crc.h"
#include "base/log.h"
#include "store/fold/family.h"
#include "store/fold/rrdfile.h"
#include "store/fold/state.h"
#include "store/fold/undo.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int on_entry(const char *path, const uint8_t *head, size_t length, void *user)
{
	size_t *sum = user;

	*sum += strlen(path) + head[length - 1];
	return 0;
}

/* As it is, and with a checksum that fits */
static void undo(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size + 4);
	size_t sum = 0;
	uint32_t crc = crc32c(0, data, size);

	undo_parse(data, size, on_entry, &sum);
	if (!copy)
		abort();
	memcpy(copy, data, size);
	for (unsigned k = 0; k < 4; k++)
		copy[size + k] = (uint8_t)(crc >> 8 * k);
	undo_parse(copy, size + 4, on_entry, &sum);
	free(copy);
}

static char *text_of(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	if (!text)
		abort();
	memcpy(text, data, size);
	text[size] = '\0';
	return text;
}

/* What was read is written as what is read as the same. */
static void family(const uint8_t *data, size_t size)
{
	struct buf b = BUF_INIT, c = BUF_INIT;
	char *text = text_of(data, size);
	struct fold_family *f, *again;

	if (known_new("df", &f) < 0 || known_new("df", &again) < 0 || known_parse(text, f) < 0)
		abort();
	known_format(f, &b);
	free(text);
	text = text_of((const uint8_t *)b.data, b.length);
	if (known_parse(text, again) < 0)
		abort();
	known_format(again, &c);
	if (strcmp(buf_text(&b), buf_text(&c)) != 0)
		abort();
	known_free(f);
	known_free(again);
	buf_free(&b);
	buf_free(&c);
	free(text);
}

static int on_instance(const char *family_name, const char *name, int64_t step, void *user)
{
	size_t *sum = user;

	if (step <= 0)
		abort();
	*sum += strlen(family_name) + strlen(name);
	return 0;
}

static int ignore(const struct resample_run *run, void *user)
{
	(void)run;
	(void)user;
	return 0;
}

static int on_series(const struct state_series *s, void *user)
{
	struct resample r = s->series;
	size_t *sum = user;

	*sum += strlen(s->metric);
	/* What is taken up goes on. */
	r.step = 10 * NS_PER_S;
	resample_put(&r, r.time + NS_PER_S, 5, ignore, NULL);
	return 0;
}

static int on_row(int64_t at, const char *metric, double value, void *user)
{
	size_t *sum = user;

	(void)value;
	if (at <= 0)
		abort();
	*sum += strlen(metric);
	return 0;
}

static void state(const uint8_t *data, size_t size)
{
	static const struct state_fns fns = { on_instance, on_series, on_row };
	struct state_head head;
	struct buf b = BUF_INIT;
	size_t sum = 0;
	char *text;

	buf_append(&b, data, size);
	buf_printf(&b, "%scrc\t", size && data[size - 1] == '\n' ? "" : "\n");
	b.length -= 4;
	buf_printf(&b, "crc\t%08x\n", crc32c(0, b.data, b.length));
	text = text_of((const uint8_t *)b.data, b.length);
	state_parse(text, b.length, &fns, &sum, &head);
	free(text);
	text = text_of(data, size);
	state_parse(text, size, &fns, &sum, &head);
	free(text);
	buf_free(&b);
}

static void head_of(const uint8_t *data, size_t size)
{
	size_t length, fixed;
	uint64_t rows;
	uint8_t *copy = malloc(size + 1);

	if (!copy)
		abort();
	/* Where malloc puts it, its numbers may be read as such. */
	memcpy(copy, data, size);
	if (rrd_head_length(copy, size, &length, &fixed) == 0 && length <= size)
		rrd_head_check(copy, length, &rows);
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf why = BUF_INIT;
	struct archives a;
	char *text;

	log_set_level((enum log_level)0);
	if (!size)
		return 0;
	switch (data[0]) {
	case 'u':
		undo(data + 1, size - 1);
		break;
	case 'f':
		family(data + 1, size - 1);
		break;
	case 's':
		state(data + 1, size - 1);
		break;
	case 'h':
		head_of(data + 1, size - 1);
		break;
	default:
		text = text_of(data, size);
		if (archives_parse(text, 10 * NS_PER_S, &a, &why) == 0 && (!a.n || a.n > ARCHIVES_MAX))
			abort();
		free(text);
		buf_free(&why);
	}
	return 0;
}
