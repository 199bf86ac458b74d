/*
 * disk: what goes to and from block devices, from /proc/diskstats. Devices stand in that file in an order that
 * seldom changes: the line of each is compared with how it began the last time, and only a change is looked at
 * closer.
 */
#include <errno.h>
#include <fnmatch.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "plugin.h"

/* The kernel's columns, in its order: 11, with discards (4.18) 15, with flushes (5.5) 17 */
enum {
	READ_OPS, READ_MERGED, READ_BYTES, READ_TIME, WRITE_OPS, WRITE_MERGED, WRITE_BYTES, WRITE_TIME, IN_FLIGHT, IO_TIME,
	WEIGHTED_IO_TIME, N_OLDEST,
	DISCARD_OPS = N_OLDEST, DISCARD_MERGED, DISCARD_BYTES, DISCARD_TIME, FLUSH_OPS, FLUSH_TIME, N_METRICS,
};

#define OPS(text) "ops", text, NULL, KITH_COUNTER, 0
#define BYTES(text) "B", text, NULL, KITH_COUNTER, 0
#define TIME(text) "s", text, NULL, KITH_COUNTER, 0
static const struct kith_metric metrics[N_METRICS] = {
	[READ_OPS] = { "read_ops", OPS("reads that were completed") },
	[READ_MERGED] = { "read_merged", OPS("reads that became part of another one") },
	[READ_BYTES] = { "read_bytes", BYTES("read") },
	[READ_TIME] = { "read_time", TIME("time that reads took, all added up") },
	[WRITE_OPS] = { "write_ops", OPS("writes that were completed") },
	[WRITE_MERGED] = { "write_merged", OPS("writes that became part of another one") },
	[WRITE_BYTES] = { "write_bytes", BYTES("written") },
	[WRITE_TIME] = { "write_time", TIME("time that writes took, all added up") },
	[IN_FLIGHT] = { "in_flight", "ops", "what the device works on now", NULL, KITH_GAUGE, 0 },
	[IO_TIME] = { "io_time", TIME("time during which the device had work") },
	[WEIGHTED_IO_TIME] = { "weighted_io_time", TIME("the same, times what it had in flight") },
	[DISCARD_OPS] = { "discard_ops", OPS("discards that were completed") },
	[DISCARD_MERGED] = { "discard_merged", OPS("discards that became part of another one") },
	[DISCARD_BYTES] = { "discard_bytes", BYTES("discarded") },
	[DISCARD_TIME] = { "discard_time", TIME("time that discards took, all added up") },
	[FLUSH_OPS] = { "flush_ops", OPS("flushes of the device's cache") },
	[FLUSH_TIME] = { "flush_time", TIME("time that flushes took, all added up") },
};

/*
 * From the kernel's units: a sector is 512 bytes here, whatever the device's are; times are in ms. They are
 * divided, since a product with 0.001 would not be the nearest number.
 */
static const double multiply[N_METRICS] = {
	1, 1, 512, 1, 1, 1, 512, 1, 1, 1, 1, 1, 1, 512, 1, 1, 1,
};
static const double divide[N_METRICS] = {
	1, 1, 1, 1000, 1, 1, 1, 1000, 1, 1000, 1000, 1, 1, 1, 1000, 1, 1000,
};

static const struct kith_family families[] = {
	{ KITH_FAMILY_INIT, "disk", "What goes to and from block devices", "device", metrics, N_METRICS, 0 },
};

static const struct kith_option options[] = {
	{ "ignore", "loop*,ram*", "devices to leave out, as globs", 0, 0, KITH_OPTION_LIST, 0 },
};

/* How a device's line begins: numbers and name, with the blank behind it. A name has at most 31 characters. */
#define HEAD_MAX 64

struct disk {
	kith_id id; /* KITH_ID_NONE: ignored, or over the cap of instances */
	bool seen;
	uint8_t length;
	char head[HEAD_MAX];
};

struct state {
	const struct kith_host *h;
	int fd;
	struct disk *disks; /* in the file's order */
	size_t n_disks, size;
};

/*
 * The part of the line at `p` that names the device, up to `end`: `major minor name `. Its length, and where the
 * name begins; 0: no such line.
 */
static size_t scan_head(const char *p, const char *end, const char **ret_name)
{
	const char *name = p, *blank;
	uint64_t number;

	if (kith_scan_u64(&name, &number) != 0 || *name != ' ' || kith_scan_u64(&name, &number) != 0 || *name != ' ')
		return 0;
	name++;
	blank = memchr(name, ' ', (size_t)(end - name));
	if (!blank || blank == name || blank - p >= HEAD_MAX)
		return 0;
	*ret_name = name;
	return (size_t)(blank - p) + 1;
}

static bool is_ignored(const struct state *s, const char *name)
{
	const char *const *globs;
	size_t i, n = s->h->option_list(s->h, "ignore", &globs);

	for (i = 0; i < n; i++)
		if (fnmatch(globs[i], name, 0) == 0)
			return true;
	return false;
}

static int begin_disk(struct state *s, struct disk *d, const char *head, size_t length, const char *name)
{
	size_t n = length - 1 - (size_t)(name - head);
	char text[HEAD_MAX];
	int r;

	*d = (struct disk){ .length = (uint8_t)length };
	memcpy(d->head, head, length);
	memcpy(text, name, n);
	text[n] = '\0';
	if (is_ignored(s, text))
		return 0;
	r = s->h->series(s->h, 0, text, &d->id);
	if (r == -EINVAL)
		s->h->log(s->h, KITH_WARNING, "device %s is left out: its name cannot be an instance's", text);
	return r == -ENOSPC || r == -EINVAL ? 0 : r;
}

static struct disk *find_disk(struct disk *disks, size_t n, const char *head, size_t length)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (disks[i].length == length && memcmp(disks[i].head, head, length) == 0)
			return &disks[i];
	return NULL;
}

/* Marks the devices that `text` still has; returns how many lines name one */
static size_t mark_seen(struct state *s, const char *text, size_t length)
{
	const char *p, *end, *name;
	struct disk *d;
	size_t n = 0, head, i;

	for (i = 0; i < s->n_disks; i++)
		s->disks[i].seen = false;
	for (p = text; (end = memchr(p, '\n', length - (size_t)(p - text))); p = end + 1) {
		head = scan_head(p, end, &name);
		if (head == 0)
			continue;
		n++;
		d = find_disk(s->disks, s->n_disks, p, head);
		if (d)
			d->seen = true;
	}
	return n;
}

/*
 * Devices came, went or changed places: ends the series of those that are gone, first, since a new device may have
 * the name of one; then takes the order of the text. A text that is cut off ends nothing.
 */
static int reorder(struct state *s, const char *text, size_t length)
{
	bool whole = length > 0 && text[length - 1] == '\n';
	size_t n = mark_seen(s, text, length), kept = 0, head, i;
	const char *p, *end, *name;
	struct disk *disks, *old;
	int r, failed = 0;

	if (!whole)
		n += s->n_disks;
	disks = calloc(n + 1, sizeof(*disks));
	if (!disks)
		return -ENOMEM;
	for (i = 0; i < s->n_disks; i++)
		if (whole && !s->disks[i].seen && s->disks[i].id != KITH_ID_NONE)
			s->h->end(s->h, s->disks[i].id);
	for (p = text; (end = memchr(p, '\n', length - (size_t)(p - text))); p = end + 1) {
		head = scan_head(p, end, &name);
		if (head == 0 || find_disk(disks, kept, p, head))
			continue;
		old = find_disk(s->disks, s->n_disks, p, head);
		if (old) {
			disks[kept++] = *old;
			continue;
		}
		r = begin_disk(s, &disks[kept++], p, head, name);
		if (r < 0)
			failed = r;
	}
	for (i = 0; !whole && i < s->n_disks; i++)
		if (!s->disks[i].seen)
			disks[kept++] = s->disks[i];
	free(s->disks);
	s->disks = disks;
	s->n_disks = kept;
	return failed;
}

/* Whether each line begins as the device that had its place began the last time, and none is missing */
static bool is_same(const struct state *s, const char *text, size_t length)
{
	const char *p = text, *end;
	size_t i;

	for (i = 0; i < s->n_disks; i++, p = end + 1) {
		const struct disk *d = &s->disks[i];

		end = memchr(p, '\n', length - (size_t)(p - text));
		if (!end || (size_t)(end - p) < d->length || memcmp(p, d->head, d->length) != 0)
			return false;
	}
	return *p == '\0';
}

static int put_disk(const struct state *s, const struct disk *d, const char *p)
{
	double values[N_METRICS];
	uint64_t value;
	int i, n;

	for (n = 0; n < N_METRICS; n++) {
		if (kith_scan_u64(&p, &value) != 0)
			break;
		values[n] = (double)value * multiply[n] / divide[n];
	}
	if (n < N_OLDEST) /* a partition of a kernel before 2.6.25, or nonsense */
		return 0;
	for (i = n; i < N_METRICS; i++)
		values[i] = (double)NAN;
	return s->h->put_all(s->h, d->id, values, N_METRICS);
}

static int sample(void *user)
{
	struct state *s = user;
	const char *p, *end;
	size_t length, i;
	char *text;
	int r, failed = 0;

	r = s->h->read(s->h, s->fd, &text, &length);
	if (r < 0)
		return r;
	if (!is_same(s, text, length)) {
		failed = reorder(s, text, length);
		if (failed == -ENOMEM)
			return failed;
	}
	for (p = text, i = 0; i < s->n_disks; p = end + 1) {
		const struct disk *d = &s->disks[i];

		end = memchr(p, '\n', length - (size_t)(p - text));
		if (!end)
			break;
		if ((size_t)(end - p) < d->length || memcmp(p, d->head, d->length) != 0)
			continue; /* a line that names no device */
		i++;
		if (d->id == KITH_ID_NONE)
			continue;
		r = put_disk(s, d, p + d->length);
		if (r < 0)
			failed = r;
	}
	return failed;
}

static void fini(void *state)
{
	struct state *s = state;

	close(s->fd);
	free(s->disks);
	free(s);
}

static int init(const struct kith_host *h, void **ret_state)
{
	struct state *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->h = h;
	s->fd = r = h->open(h, "/proc/diskstats");
	if (r < 0) {
		h->log(h, KITH_ERR, "cannot open /proc/diskstats: %s: mount proc there", strerror(-r));
		goto fail;
	}
	r = h->sample(h, sample, s, NULL);
	if (r < 0)
		goto fail_close;
	*ret_state = s;
	return 0;

fail_close:
	close(s->fd);
fail:
	free(s);
	return r;
}

KITH_PLUGIN = {
	KITH_PLUGIN_INIT,
	.name = "disk",
	.version = "1",
	.help = "What goes to and from block devices",
	.provides = KITH_PROVIDES_SAMPLES,
	.needs = KITH_NEEDS_PROCFS,
	.families = families,
	.n_families = KITH_COUNT(families),
	.option_size = sizeof(struct kith_option),
	.options = options,
	.n_options = KITH_COUNT(options),
	.init = init,
	.fini = fini,
	.hears = "/proc/diskstats on the tick",
	.costs = "30 us a tick",
};
