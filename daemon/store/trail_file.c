/*
 * Trails in a file. All numbers are the machine's own: a file goes from one kithd of this host to the next.
 *
 *   head     "kith trails 1\n" and two bytes of 0, sample size (4 bytes), trails (4), time of writing (8, wall ns)
 *   a trail  kind (4), states (4), samples (4), length of the name (4), the name, the samples from the oldest: time (8; bit 0: extra), value (8)
 *   end      FNV-1a of all before it (8)
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/names.h"
#include "store/trail_impl.h"

#define SAVED_MAX (16 << 20) /* bytes: more is no file of ours */

static const char magic[16] = "kith trails 1\n";

struct head {
	char magic[16];
	uint32_t sample_size, n;
	int64_t time;
};

struct entry {
	uint32_t kind, n_states, n, name_length;
};

static uint64_t checksum(const void *data, size_t length)
{
	const unsigned char *at = data;
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < length; i++)
		h = (h ^ at[i]) * UINT64_C(0x100000001b3);
	return h;
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */

static void trail_write(const struct trail *trail, struct buf *b)
{
	const struct metric *m = series_metric(trail->series);
	char name[NAME_MAX_LENGTH + 1];
	struct entry e = { .kind = m->kind, .n_states = m->n_states, .n = trail->n };

	series_name(trail->series, name);
	e.name_length = (uint32_t)strlen(name);
	buf_append(b, &e, sizeof(e));
	buf_append(b, name, e.name_length);
	for (unsigned i = trail->n; i-- > 0;)
		buf_append(b, &trail->samples[(trail->newest + TRAIL_LENGTH - i) % TRAIL_LENGTH], sizeof(struct stored));
}

int trails_save(struct trails *t, const char *path, int64_t now)
{
	struct head head = { .sample_size = sizeof(struct stored), .n = (uint32_t)t->n, .time = now };
	struct buf b = BUF_INIT, beside = BUF_INIT;
	uint64_t sum;
	int r;

	memcpy(head.magic, magic, sizeof(magic));
	buf_append(&b, &head, sizeof(head));
	for (const struct trail *trail = t->all; trail; trail = trail->next)
		trail_write(trail, &b);
	sum = b.failed ? 0 : checksum(b.data, b.length);
	buf_append(&b, &sum, sizeof(sum));
	buf_printf(&beside, "%s.new", path);
	r = b.failed || beside.failed ? -ENOMEM : file_replace(path, buf_text(&beside), b.data, b.length, false);
	buf_free(&beside);
	buf_free(&b);
	return r;
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

static bool take(const char **at, const char *end, void *ret_value, size_t size)
{
	if ((size_t)(end - *at) < size)
		return false;
	memcpy(ret_value, *at, size);
	*at += size;
	return true;
}

/* False: no trail of ours */
static bool samples_take(struct trail *trail, unsigned n, const char **at, const char *end)
{
	for (unsigned i = 0; i < n; i++)
		if (!take(at, end, &trail->samples[i], sizeof(trail->samples[i])) || !isfinite(trail->samples[i].value))
			return false;
	trail->n = n;
	trail->newest = n ? n - 1 : 0;
	return true;
}

static int trail_read(struct trails *t, const char **at, const char *end, int64_t now)
{
	struct trail *trail;
	struct waiting *w;
	struct entry e;

	if (!take(at, end, &e, sizeof(e)) || e.n > TRAIL_LENGTH || !e.name_length || e.name_length > NAME_MAX_LENGTH ||
	    e.name_length > (size_t)(end - *at))
		return -EBADMSG;
	trail = calloc(1, sizeof(*trail));
	w = calloc(1, sizeof(*w) + e.name_length + 1);
	if (!trail || !w) {
		free(trail);
		free(w);
		return -ENOMEM;
	}
	*w = (struct waiting){ .next = t->waiting, .trail = trail, .kind = e.kind, .n_states = e.n_states };
	take(at, end, w->name, e.name_length);
	t->waiting = w;
	t->n_waiting++;
	trail->until = now;
	if (!samples_take(trail, e.n, at, end) || memchr(w->name, '\0', e.name_length))
		return -EBADMSG;
	return 0;
}

static int text_read(struct trails *t, const char *text, size_t length, int64_t now, const char **ret_why)
{
	const char *at = text, *end = text + length - sizeof(uint64_t);
	struct head head;
	uint64_t sum;

	*ret_why = "it is damaged";
	if (length < sizeof(head) + sizeof(sum))
		return -EBADMSG;
	memcpy(&sum, end, sizeof(sum));
	take(&at, end, &head, sizeof(head));
	if (memcmp(head.magic, magic, sizeof(magic)) != 0 || head.sample_size != sizeof(struct stored)) {
		*ret_why = "it is of another version";
		return -EBADMSG;
	}
	if (checksum(text, length - sizeof(sum)) != sum)
		return -EBADMSG;
	if (head.time > now || now - head.time > TRAILS_AGE) {
		*ret_why = head.time > now ? "it was written in what is the future now" : "it is more than a day old";
		return -EBADMSG;
	}
	t->saved = head.time;
	for (uint32_t i = 0; i < head.n && t->n_waiting < t->most; i++) {
		int r = trail_read(t, &at, end, head.time);

		if (r < 0)
			return r;
	}
	return 0;
}

int trails_load(struct trails *t, const char *path, int64_t now, char **ret_why)
{
	const char *reason = NULL;
	struct buf b = BUF_INIT;
	char *text = NULL;
	size_t length;
	int r = file_read_all(path, SAVED_MAX, &text, &length);

	*ret_why = NULL;
	if (r == 0)
		r = text_read(t, text, length, now, &reason);
	free(text);
	if (r == 0 || r == -ENOENT)
		return 0;
	trails_forget(t);
	t->saved = 0;
	if (r == -ENOMEM)
		return r;
	buf_printf(&b, "%s: %s; windows of promises begin with what the journal has", path, reason ? reason : strerror(-r));
	*ret_why = buf_take(&b);
	return 0;
}
