/* /dev/kmsg: one read gives one record; EPIPE says that some were overwritten before they were read. */
#include "source/kmsg.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "source/kinds.h"

#define BATCH 256 /* records a callback: a flood must not starve the other watches */

struct kmsg_reader {
	struct source *source;
	struct loop *loop;
	struct loop_watch *watch;
	int fd;
	bool skipped;      /* EPIPE since the last record */
	uint64_t expected; /* sequence of the next record; 0: none was read */
	char record[KMSG_RECORD_MAX + 1];
};

/* ---- one record -------------------------------------------------------------------------------------------------- */

static bool number(char **at, char end, uint64_t *ret_value)
{
	char *p = *at;
	uint64_t v = 0;

	if (*p < '0' || *p > '9')
		return false;
	for (; *p >= '0' && *p <= '9'; p++) {
		if (v > (UINT64_MAX - 9) / 10)
			return false;
		v = v * 10 + (uint64_t)(*p - '0');
	}
	if (*p != end)
		return false;
	*at = p + 1;
	*ret_value = v;
	return true;
}

static int hex(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The kernel writes what is not printable, and the backslash, as \xNN. What that makes is text again, or a blank. */
static void unescape(char *text)
{
	unsigned char *from = (unsigned char *)text, *end, *to = from;

	while (*from) {
		int high = from[0] == '\\' && from[1] == 'x' ? hex((char)from[2]) : -1, low = high >= 0 ? hex((char)from[3]) : -1;

		*to++ = low >= 0 ? (unsigned char)(high * 16 + low) : *from;
		from += low >= 0 ? 4 : 1;
		if (to[-1] < 0x20 || to[-1] == 0x7f)
			to[-1] = ' ';
	}
	end = to;
	while (end > (unsigned char *)text && end[-1] == ' ')
		end--;
	*end = '\0';
	for (from = (unsigned char *)text; from < end;) {
		size_t n = utf8_length(from, (size_t)(end - from));

		if (!n)
			*from = '?';
		from += n ? n : 1;
	}
}

/* The lines behind the text: " SUBSYSTEM=block", " DEVICE=b8:0" */
static void properties(char *at, struct kith_kmsg_event *event)
{
	while (at && *at) {
		char *end = strchr(at, '\n');

		if (end)
			*end++ = '\0';
		unescape(at);
		if (!strncmp(at, " SUBSYSTEM=", 11))
			event->subsystem = at + 11;
		else if (!strncmp(at, " DEVICE=", 8))
			event->device = at + 8;
		at = end;
	}
}

bool kmsg_parse(char *record, size_t length, struct kith_kmsg_event *ret_event)
{
	struct kith_kmsg_event event = { .size = sizeof(event), .subsystem = "", .device = "" };
	char *at = record, *text;
	uint64_t priority = 0, time = 0;

	record[length] = '\0';
	/* "priority,sequence,microseconds,flags[,more];text": what follows the flags may grow */
	if (!number(&at, ',', &priority) || !number(&at, ',', &event.sequence) || !number(&at, ',', &time) ||
	    time > (uint64_t)INT64_MAX / 1000)
		return false;
	text = strchr(at, ';');
	if (!text)
		return false;
	text++;
	event.priority = (uint32_t)(priority & 7);
	event.facility = (uint32_t)(priority >> 3 & 0x1ffffff);
	event.time = (int64_t)time * 1000;
	at = strchr(text, '\n');
	if (at)
		*at++ = '\0';
	unescape(text);
	event.text = text;
	properties(at, &event);
	*ret_event = event;
	return true;
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

/* 1: an event; 0: no more for now; or -errno */
static int kmsg_read(struct kmsg_reader *k, int fd, struct kith_kmsg_event *ret_event)
{
	int64_t start = clock_offset();

	for (;;) {
		ssize_t n = read(fd, k->record, KMSG_RECORD_MAX);

		if (n < 0 && errno == EPIPE) {
			k->skipped = true;
			continue;
		}
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n == 0 || errno == EAGAIN ? 0 : -errno;
		if (!kmsg_parse(k->record, (size_t)n, ret_event))
			continue;
		ret_event->time += start;
		ret_event->lost = k->skipped && k->expected && ret_event->sequence > k->expected ? ret_event->sequence - k->expected : 0;
		k->skipped = false;
		k->expected = ret_event->sequence + 1;
		return 1;
	}
}

static void kmsg_cb(int fd, unsigned events, void *user)
{
	struct kmsg_reader *k = user;
	struct kith_kmsg_event event;

	(void)events;
	source_hold(k->source);
	for (unsigned i = 0; i < BATCH && kmsg_read(k, fd, &event) > 0; i++)
		source_tell(k->source, &event);
	source_release(k->source);
}

static int kmsg_device(const struct source_env *env)
{
	struct buf path = BUF_INIT;
	int fd;

	buf_printf(&path, "%s/dev/kmsg", env->root);
	fd = open(buf_text(&path), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	buf_free(&path);
	return fd < 0 ? -errno : fd;
}

static int kmsg_open(struct source *s, const struct source_env *env, void **ret_reader)
{
	struct kmsg_reader *k = calloc(1, sizeof(*k));
	int r;

	if (!k)
		return -ENOMEM;
	k->source = s;
	k->loop = env->loop;
	r = k->fd = kmsg_device(env);
	if (r < 0)
		goto fail;
	if (lseek(k->fd, 0, SEEK_END) < 0) {
		r = -errno;
		goto fail_fd;
	}
	r = loop_fd(env->loop, k->fd, LOOP_READ, kmsg_cb, k, &k->watch);
	if (r < 0)
		goto fail_fd;
	*ret_reader = k;
	return 0;
fail_fd:
	close(k->fd);
fail:
	free(k);
	return r;
}

static void kmsg_close(void *reader)
{
	struct kmsg_reader *k = reader;

	loop_remove(k->loop, k->watch);
	close(k->fd);
	free(k);
}

/* ---- who hears what ---------------------------------------------------------------------------------------------- */

static int kmsg_add(void *reader, struct source_sub *sub, const void *filter, void **ret_own)
{
	struct kith_kmsg_filter *own;

	(void)reader;
	(void)sub;
	if (!filter)
		return 0;
	own = malloc(sizeof(*own));
	if (!own)
		return -ENOMEM;
	memcpy(own, filter, sizeof(*own));
	*ret_own = own;
	return 0;
}

static void kmsg_remove(void *reader, void *own)
{
	(void)reader;
	free(own);
}

static bool kmsg_accepts(const void *own, const void *what)
{
	const struct kith_kmsg_event *event = what;
	const struct kith_kmsg_filter *f = own;

	if (!f)
		return !event->facility;
	return event->priority <= f->priority && (!event->facility || f->flags & KITH_KMSG_USER);
}

static int kmsg_dump(void *reader, const void *filter, int (*fn)(const void *event, void *user), void *user)
{
	struct kmsg_reader *k = reader, *own = calloc(1, sizeof(*own));
	struct kith_kmsg_event event;
	int fd, r;

	if (!own)
		return -ENOMEM;
	fd = r = kmsg_device(source_env(k->source));
	while (fd >= 0 && (r = kmsg_read(own, fd, &event)) > 0)
		if (kmsg_accepts(filter, &event) && (r = fn(&event, user)) < 0)
			break;
	if (fd >= 0)
		close(fd);
	free(own);
	return r;
}

const struct source_kind source_kmsg = {
	.id = KITH_SOURCE_KMSG,
	.name = "kmsg",
	.filter_size = sizeof(struct kith_kmsg_filter),
	.open = kmsg_open,
	.close = kmsg_close,
	.add = kmsg_add,
	.remove = kmsg_remove,
	.accepts = kmsg_accepts,
	.dump = kmsg_dump,
};
