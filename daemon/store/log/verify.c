/* kith-log --verify: checks every file of the store, mends what can be mended where no kithd is at work */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/log/log.h"
#include "store/records_impl.h"
#include "store/records_walk.h"

struct verify {
	const char *path;
	int dir;
	bool mine;         /* no kithd has it: it may be mended */
	struct block_dctx *dctx;
	uint8_t *data, *raw;
	size_t data_size, raw_size;
	uint64_t records, blocks, open_records;
	unsigned faults;
	uint64_t last;     /* of the block before */
};

static void fault(struct verify *v, const char *name, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void fault(struct verify *v, const char *name, const char *format, ...)
{
	va_list args;

	v->faults++;
	printf("%s/%s: ", v->path, name);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
}

static bool raw_room(struct verify *v, size_t need)
{
	uint8_t *raw = need > v->raw_size ? realloc(v->raw, need) : v->raw;

	if (!raw)
		return false;
	v->raw_size = need > v->raw_size ? need : v->raw_size;
	v->raw = raw;
	return true;
}

/* ---- a block --------------------------------------------------------------------------------------------------------- */

static bool words_there(const struct block_head *h, const char *text, const char *end)
{
	while (text < end) {
		const char *word = text;

		while (text < end && word_byte((uint8_t)*text))
			text++;
		if (text > word && !filter_has(h, word_hash(word, (size_t)(text - word))))
			return false;
		text += text == word;
	}
	return true;
}

/* NULL: all that the header says is so */
static const char *block_wrong(struct verify *v, const struct block_head *h, const struct index_entry *e)
{
	struct block_cursor c;
	struct block_name name;
	struct record_row row;
	int64_t from = INT64_MAX, to = INT64_MIN;
	uint64_t subjects = 0;
	uint8_t priorities = 0;
	size_t at = 0;
	uint32_t n = 0;

	while (n < h->n_names && block_name(h, &at, &name)) {
		subjects += name.subjects;
		n++;
	}
	if (n < h->n_names || at != h->names_length || subjects != h->records)
		return "its names are wrong";
	block_begin(&c, h, v->raw);
	while (block_next(&c, &row)) {
		from = row.time < from ? row.time : from;
		to = row.time > to ? row.time : to;
		priorities |= (uint8_t)(1u << row.priority);
	}
	if (c.left || c.meta != c.meta_end || c.text != c.text_end || c.fields != c.fields_end)
		return "its records are wrong";
	if (from != h->from || to != h->to || priorities != h->priorities)
		return "its times or priorities are wrong";
	if (!words_there(h, (const char *)v->raw + h->meta, c.fields_end))
		return "its filter lacks words";
	if (e->sequence != h->sequence || e->from != h->from || e->to != h->to || e->records != h->records || e->priorities != h->priorities)
		return "the index says something else of it";
	return NULL;
}

static void verify_block(struct verify *v, const char *name, int fd, const struct index_entry *e)
{
	struct block_head h;
	const char *wrong = NULL;
	int r = block_read(&records_system_io, fd, e, &v->data, &v->data_size, &h);

	if (r == 0 && !raw_room(v, block_raw(&h) + 1))
		r = -ENOMEM;
	if (r == 0)
		r = block_unpack(v->dctx, &h, v->data + h.header_length, v->raw);
	if (r == 0)
		wrong = block_wrong(v, &h, e);
	if (r < 0)
		fault(v, name, "the block at %llu cannot be read: %s", (unsigned long long)e->offset,
		      r == -EBADMSG ? "it is damaged" : strerror(-r));
	else if (wrong)
		fault(v, name, "the block at %llu: %s", (unsigned long long)e->offset, wrong);
	else if (v->last && h.sequence <= v->last)
		fault(v, name, "the block at %llu has number %llu, and %llu was before it", (unsigned long long)e->offset,
		      (unsigned long long)h.sequence, (unsigned long long)v->last);
	if (r == 0) {
		v->last = h.sequence;
		v->blocks++;
		v->records += h.records;
	}
}

/* ---- files ----------------------------------------------------------------------------------------------------------- */

static bool same_index(const struct blocks_map *a, const struct blocks_map *b)
{
	return a->n == b->n && a->end == b->end && (!a->n || !memcmp(a->entries, b->entries, a->n * sizeof(*a->entries)));
}

/* Behind the last whole block: an index that tells of all of them */
static void write_index(struct verify *v, const char *name, int fd, const struct blocks_map *map)
{
	uint8_t *index;
	size_t length;

	if (blocks_map_index(map, &index, &length) < 0)
		return;
	if (ftruncate(fd, map->end) < 0 || pwrite(fd, index, length, map->end) != (ssize_t)length || fsync(fd) < 0)
		fault(v, name, "the index cannot be written: %s", strerror(errno));
	else
		printf("%s/%s: the index is made anew, of %u blocks\n", v->path, name, map->n);
	free(index);
}

static void verify_blocks(struct verify *v, const struct records_file *f, bool last)
{
	struct blocks_map map = { 0 }, walked = { 0 };
	char name[FILE_NAME_MAX];
	int fd, r;

	records_file_name(name, f->sequence, false);
	fd = openat(v->dir, name, (v->mine ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0) {
		fault(v, name, "%s", strerror(errno));
		return;
	}
	r = blocks_map(&records_system_io, fd, f->size, false, &map);
	if (r == 0)
		r = blocks_map(&records_system_io, fd, map.indexed ? map.end : f->size, true, &walked);
	if (r < 0)
		fault(v, name, "%s", strerror(-r));
	/* What is torn at the end of the last file is being written, or goes at kithd's next start. */
	if (walked.damaged)
		fault(v, name, "%u stretches are no block", walked.damaged);
	if (walked.torn && (!last || v->mine))
		fault(v, name, "%lld bytes at its end are no whole block", (long long)(f->size - walked.end));
	for (uint32_t i = 0; i < walked.n; i++)
		verify_block(v, name, fd, &walked.entries[i]);
	if (map.indexed && !walked.damaged && !same_index(&map, &walked))
		fault(v, name, "its index is wrong");
	if (!map.indexed && !last && r == 0)
		fault(v, name, "it has no index");
	if (v->mine && r == 0 && ((!map.indexed && !last) || (map.indexed && !same_index(&map, &walked)))) {
		write_index(v, name, fd, &walked);
	} else if (v->mine && r == 0 && walked.torn && walked.end < f->size && !map.indexed) {
		if (ftruncate(fd, walked.end) == 0)
			printf("%s/%s: cut after its last whole block\n", v->path, name);
	}
	blocks_map_free(&map);
	blocks_map_free(&walked);
	close(fd);
}

static void verify_open(struct verify *v, const struct records_file *f)
{
	struct open_cursor c = { 0 };
	struct record_row row;
	char name[FILE_NAME_MAX];
	uint64_t sequence = 0;
	uint8_t *data = NULL;
	size_t length = 0;
	int fd, r;

	records_file_name(name, f->sequence, true);
	fd = openat(v->dir, name, (v->mine ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NOFOLLOW);
	r = fd < 0 ? -errno : records_read_all(&records_system_io, fd, OPEN_MAX, &data, &length);
	/* kithd made a block of it meanwhile. */
	if (r == -ENOENT && !v->mine)
		return;
	if (r < 0)
		fault(v, name, "%s", strerror(-r));
	else if (!open_begin(&c, data, length, &sequence) || sequence != f->sequence)
		fault(v, name, "it is no open file of that number");
	while (c.data && sequence == f->sequence && open_next(&c, &row))
		v->open_records++;
	if (c.damaged && (v->mine || c.whole == c.length || c.damaged > 1))
		fault(v, name, "%u stretches are no records", c.damaged);
	if (v->mine && sequence == f->sequence && c.data && c.whole < length && ftruncate(fd, (off_t)c.whole) == 0)
		printf("%s/%s: %zu bytes cut off its end\n", v->path, name, length - c.whole);
	free(data);
	if (fd >= 0)
		close(fd);
}

int verify_run(const char *state_dir, bool mend)
{
	struct verify v = { 0 };
	struct records_file *files = NULL;
	struct buf path = BUF_INIT;
	size_t n = 0, last = SIZE_MAX;
	int r;

	buf_printf(&path, "%s/" RECORDS_FOLDER, state_dir);
	v.path = buf_text(&path);
	v.dir = open(v.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	r = v.dir < 0 ? -errno : records_list(v.dir, &files, &n);
	if (r == 0)
		r = block_dctx_new(&v.dctx);
	if (r < 0) {
		fprintf(stderr, "kith-log: %s: %s\n", v.path, strerror(-r));
		v.faults++;
	}
	v.mine = mend && r == 0 && flock(v.dir, LOCK_EX | LOCK_NB) == 0;
	for (size_t i = 0; i < n; i++)
		last = files[i].open ? last : i;
	for (size_t i = 0; r == 0 && i < n; i++) {
		if (files[i].open)
			verify_open(&v, &files[i]);
		else
			verify_blocks(&v, &files[i], i == last);
	}
	if (r == 0)
		printf("%llu records in %llu blocks, %llu in open files; %s%s\n", (unsigned long long)v.records, (unsigned long long)v.blocks,
		       (unsigned long long)v.open_records, v.faults ? "NOT all is well" : "all is well",
		       v.mine ? "" : mend ? " (a kithd is at work: nothing was mended)" : " (nothing was mended)");
	free(files);
	free(v.data);
	free(v.raw);
	block_dctx_free(v.dctx);
	if (v.dir >= 0)
		close(v.dir);
	buf_free(&path);
	return v.faults ? 1 : 0;
}
