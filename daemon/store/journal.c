/* The ring, and the way of a sample into it */
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "store/journal_impl.h"

#define CHUNK_DEFAULT (64u << 10)
#define CHUNK_MIN (4u << 10)
#define RING_DEFAULT (1u << 20)
#define DISK_DEFAULT (64u << 20)
#define APPEND_EVERY (900 * NS_PER_MS) /* rounds that attention adds are written with the next regular one */
#define SAY_EVERY (600 * NS_PER_S)

void chunk_free(struct chunk *c)
{
	if (!c)
		return;
	free(c->data);
	free(c);
}

/* ---- what is lost --------------------------------------------------------------------------------------------------- */

void journal_lose(struct journal *j, uint64_t samples, int64_t from, int64_t to)
{
	if (!samples)
		return;
	if (!j->lost)
		j->lost_from = from;
	j->lost += samples;
	j->lost_to = to;
	j->counts.dropped += samples;
}

/* At once, then now and then for as long as it goes on without room, and when it is over: not for each chunk or segment */
static void say_lost(struct journal *j, int64_t now)
{
	char from[CLOCK_TEXT_MAX], to[CLOCK_TEXT_MAX], text[256];
	struct kith_record r = { .size = sizeof(r), .priority = KITH_WARNING, .subject = "journal", .message = text };

	if (!j->lost || (j->lost_told && now - j->lost_told < SAY_EVERY && now >= j->lost_told))
		return;
	j->lost_told = now;
	snprintf(text, sizeof(text), "%llu samples from %s to %s were dropped: %s", (unsigned long long)j->lost,
	         clock_format(j->lost_from, from, sizeof(from)), clock_format(j->lost_to, to, sizeof(to)),
	         j->off ? j->off : "there was no room for them on the disk");
	log_warning("journal: %s", text);
	j->lost = 0;
	model_record(j->model, &r);
}

/* ---- chunks --------------------------------------------------------------------------------------------------------- */

/* NULL: no memory */
static struct chunk *chunk_new(size_t size)
{
	struct chunk *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->size = size;
	c->data = malloc(size);
	if (c->data)
		return c;
	free(c);
	return NULL;
}

/* The next chunk takes the place of the newest: the spare one where there is one */
static int chunk_turn(struct journal *j)
{
	struct chunk *c = j->spare ? j->spare : chunk_new(j->config.chunk);

	j->spare = NULL;
	if (!c)
		return -ENOMEM;
	c->head = (struct segment_head){ .number = j->number++, .begin = model_now(j->model) };
	c->end = c->head.begin;
	if (j->newest) {
		j->newest->sealed = true;
		j->newest->next = c;
	} else {
		j->oldest = c;
	}
	j->newest = c;
	j->ring += c->size;
	j->counts.samples += j->packer.samples;
	j->counts.bytes += j->packer.length;
	j->chunk = j->chunk == UINT32_MAX ? 1 : j->chunk + 1;
	j->families = 0;
	packer_begin(&j->packer, j->chunk, c->data, c->size, c->head.begin);
	return 0;
}

/* What a sealed chunk does not need goes back. */
static void chunk_shrink(struct journal *j, struct chunk *c)
{
	uint8_t *less;

	if (!c->sealed || c->size == c->length || !c->length)
		return;
	less = realloc(c->data, c->length);
	if (!less)
		return;
	j->ring -= c->size - c->length;
	c->data = less;
	c->size = c->length;
}

static void chunk_drop_oldest(struct journal *j)
{
	struct chunk *c = j->oldest;

	journal_lose(j, j->path ? c->samples - c->written_samples : 0, c->head.begin, c->end);
	j->oldest = c->next;
	j->ring -= c->size;
	chunk_free(c);
}

static void ring_trim(struct journal *j, int64_t now)
{
	while (j->oldest != j->newest) {
		bool written = !j->path || j->oldest->finished, old = now - j->oldest->end > j->config.ring_age;

		if (j->ring <= j->config.ring && !(written && old))
			break;
		chunk_drop_oldest(j);
	}
}

/* ---- a sample's way -------------------------------------------------------------------------------------------------- */

static int declare_family(struct journal *j, struct family *f)
{
	struct pack_metric metrics[PACK_METRICS];
	int r;

	if (f->kept_chunk == j->chunk)
		return 0;
	/* With the first family, so that a chunk in which nothing happens stays empty */
	if (!j->started && packer_start(&j->packer) < 0)
		return -ENOSPC;
	j->started = true;
	for (uint32_t i = 0; i < f->n_metrics; i++)
		metrics[i] = (struct pack_metric){ f->metrics[i].name, f->metrics[i].unit, f->metrics[i].kind, f->metrics[i].flags,
			                           f->metrics[i].states, f->metrics[i].n_states };
	r = packer_family(&j->packer, f->name, f->instance_label ? f->instance_label : "", f->owner->stale_after, metrics, f->n_metrics);
	if (r < 0)
		return r;
	f->kept_chunk = j->chunk;
	f->kept_number = j->families++;
	return 0;
}

static int declare(struct journal *j, struct instance *i)
{
	int r = declare_family(j, i->family);

	return r < 0 ? r : packer_instance(&j->packer, i->place, i->family->kept_number, i->name);
}

static size_t room(const struct journal *j)
{
	size_t left = j->packer.size - j->packer.length;

	return left > JOURNAL_RESERVE ? left - JOURNAL_RESERVE : 0;
}

static void packed(struct journal *j)
{
	j->newest->length = j->packer.length;
	j->newest->samples = j->packer.samples;
}

/* Room for a sample of an instance that this chunk knows of */
static int prepare(struct journal *j, struct instance *i)
{
	for (int tries = 0; tries < 2; tries++) {
		if (room(j) >= PACK_SAMPLE_MAX && (i->place->chunk == j->chunk || declare(j, i) == 0) && room(j) >= PACK_SAMPLE_MAX)
			return 0;
		packed(j);
		if (chunk_turn(j) < 0)
			return -ENOMEM;
	}
	return -ENOSPC;
}

static void keep(struct series *s, double before, bool extra, void *user)
{
	struct journal *j = user;
	struct instance *i = s->instance;

	if ((i->place->chunk != j->chunk || room(j) < PACK_SAMPLE_MAX) && prepare(j, i) < 0) {
		/* Its last value is not the one that the chunk has: it is told of anew with the next. */
		i->place->chunk = 0;
		j->counts.refused++;
		return;
	}
	packer_put(&j->packer, i->place, s->metric, s->value, before, s->time, extra);
	if (s->time > j->newest->end)
		j->newest->end = s->time;
}

static void on_instance(struct instance *i, bool begins, void *user)
{
	struct journal *j = user;
	struct pack_place *p;

	if (begins) {
		p = calloc(1, sizeof(*p) + i->family->n_metrics * sizeof(p->cells[0]));
		if (p) {
			p->number = i->slot;
			p->n = i->family->n_metrics;
		}
		i->place = p;
		return;
	}
	if (!i->place)
		return;
	/* What the chunk does not know of is told of first: whoever knows it from an earlier one would take it to be there for ever. */
	for (int tries = 0; tries < 2; tries++) {
		if ((i->place->chunk == j->chunk || declare(j, i) == 0) && packer_end(&j->packer, i->place) == 0)
			break;
		packed(j);
		if (chunk_turn(j) < 0)
			break; /* without memory there is none to tell */
	}
	free(i->place);
	i->place = NULL;
}

/* ---- its life -------------------------------------------------------------------------------------------------------- */

static void defaults(struct journal_config *c)
{
	c->chunk = c->chunk ? c->chunk : CHUNK_DEFAULT;
	c->chunk = c->chunk < CHUNK_MIN ? CHUNK_MIN : c->chunk > SEGMENT_MAX / 2 ? SEGMENT_MAX / 2 : c->chunk;
	c->ring = c->ring ? c->ring : RING_DEFAULT;
	c->ring = c->ring < 4 * c->chunk ? 4 * c->chunk : c->ring;
	c->ring_age = c->ring_age ? c->ring_age : 3600 * NS_PER_S;
	c->disk = c->disk ? c->disk : DISK_DEFAULT;
	c->disk = c->disk < 4 * c->chunk ? 4 * c->chunk : c->disk;
	c->sync = c->sync ? c->sync : 30 * NS_PER_S;
}

int journal_new(struct model *m, const struct journal_config *config, struct journal **ret_journal)
{
	struct journal *j = calloc(1, sizeof(*j));
	struct model_keeper keeper = { keep, j };
	int r = -ENOMEM;

	if (!j)
		return -ENOMEM;
	j->model = m;
	j->config = *config;
	defaults(&j->config);
	j->folder = j->fd = -1;
	j->number = 1;
	if (config->folder && !(j->path = strdup(config->folder)))
		goto fail;
	if (j->path && (r = disk_open(j)) < 0)
		goto fail;
	r = chunk_turn(j);
	if (r < 0)
		goto fail;
	j->observer = (struct model_observer){ .user = j, .on_instance = on_instance };
	model_observe(m, &j->observer);
	model_set_keeper(m, &keeper);
	*ret_journal = j;
	return 0;
fail:
	if (j->path)
		disk_close(j);
	while (j->oldest) {
		struct chunk *c = j->oldest;

		j->oldest = c->next;
		chunk_free(c);
	}
	chunk_free(j->spare);
	free(j->path);
	free(j);
	return r;
}

static void places_free(struct journal *j)
{
	for (struct family *f = family_first(j->model); f; f = family_next(f))
		for (struct instance *i = instance_first(f); i; i = instance_next(i)) {
			free(i->place);
			i->place = NULL;
		}
}

void journal_free(struct journal *j)
{
	if (!j)
		return;
	model_set_keeper(j->model, NULL);
	model_unobserve(j->model, &j->observer);
	places_free(j);
	packed(j);
	j->newest->sealed = true;
	j->retry = 0;
	if (j->path) {
		disk_append(j, model_now(j->model));
		disk_close(j);
	}
	while (j->oldest) {
		struct chunk *c = j->oldest;

		j->oldest = c->next;
		chunk_free(c);
	}
	chunk_free(j->spare);
	free(j->path);
	free(j);
}

void journal_tick(struct journal *j, int64_t now)
{
	packed(j);
	packer_settle(&j->packer);
	if (!j->spare && j->packer.length > j->packer.size / 4 * 3)
		j->spare = chunk_new(j->config.chunk);
	if (j->path && (now - j->appended >= APPEND_EVERY || now < j->appended)) {
		j->appended = now;
		disk_append(j, now);
		disk_sync(j, now);
		disk_trim(j);
	}
	for (struct chunk *c = j->oldest; c != j->newest; c = c->next)
		chunk_shrink(j, c);
	ring_trim(j, now);
	say_lost(j, now);
}

void journal_seal(struct journal *j)
{
	packed(j);
	j->appended = 0;
	if (j->newest->samples)
		chunk_turn(j); /* without memory it is sealed when it is full */
}

void journal_jump(struct journal *j)
{
	journal_seal(j);
	if (!j->newest->length) {
		j->newest->head.begin = j->newest->end = model_now(j->model);
		j->packer.time = j->newest->head.begin;
	}
	j->retry = j->synced = j->appended = 0;
}

void journal_folded(struct journal *j)
{
	if (!j->path)
		return;
	disk_read_folded(j);
	disk_trim(j);
}

void journal_limit(struct journal *j, size_t ring, uint64_t disk, int64_t sync)
{
	j->config.ring = ring;
	j->config.disk = disk;
	j->config.sync = sync;
	defaults(&j->config);
}

bool journal_writes(const struct journal *j)
{
	return j->path;
}

const char *journal_off(const struct journal *j)
{
	return j->off;
}

void journal_counts(const struct journal *j, struct journal_counts *ret_counts)
{
	struct journal_counts c = j->counts;

	c.ring = c.chunks = 0;
	for (const struct chunk *k = j->oldest; k; k = k->next) {
		c.ring += k == j->newest ? j->packer.length : k->length;
		c.chunks++;
	}
	c.samples += j->packer.samples;
	c.bytes += j->packer.length;
	c.disk = (uint64_t)j->fd_size;
	for (size_t i = 0; i < j->n_files; i++) {
		c.disk += j->files[i].bytes;
		c.unfolded += j->files[i].number > j->folded;
	}
	c.segments = j->n_files + (j->fd >= 0);
	*ret_counts = c;
}

int journal_snapshot(struct journal *j, int (*put)(const void *data, size_t length, void *user), void *user)
{
	static const uint8_t end[8] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	int r = 0;

	packed(j);
	packer_settle(&j->packer);
	for (const struct chunk *c = j->oldest; r == 0 && c; c = c->next) {
		uint8_t head[SEGMENT_HEAD + 8];
		uint64_t length = htole64(c->length);

		segment_put_head(&c->head, head);
		memcpy(head + SEGMENT_HEAD, &length, sizeof(length));
		r = put(head, sizeof(head), user);
		if (r == 0)
			r = put(c->data, c->length, user);
	}
	return r == 0 ? put(end, sizeof(end), user) : r;
}

int journal_read(struct journal *j, const struct unpack_fns *fns, void *user)
{
	struct unpacker *u;
	int r = 0;

	packed(j);
	for (const struct chunk *c = j->oldest; c && r == 0; c = c->next) {
		r = unpacker_new(c->head.begin, fns, user, &u);
		if (r < 0)
			return r;
		r = unpacker_feed(u, c->data, c->length);
		unpacker_free(u);
		r = r == -EBADMSG ? 0 : r;
	}
	return r;
}

int64_t journal_end(const struct journal *j)
{
	int64_t end = 0;

	for (const struct chunk *c = j->oldest; c; c = c->next)
		if (c->samples && c->end > end)
			end = c->end;
	return end;
}
