/* The record store: what it writes, what is damaged, full, failing or too much, and what is left then */
#include "records_help.h"

#include "store/records_sum.h"

static struct world w;

static void setup(void)
{
	world_open(&w);
}

static void teardown(void)
{
	world_close(&w);
}

static struct numbers look(void)
{
	struct numbers x = { 0 };

	read_all(&w, count_number, &x);
	return x;
}

static void all_there(uint64_t n)
{
	struct numbers x = look();

	ck_assert_msg(x.n == n && !x.doubled && !x.missing, "%lu of %lu, %lu doubled, %lu missing", (unsigned long)x.n, (unsigned long)n,
	              (unsigned long)x.doubled, (unsigned long)x.missing);
}

/* ---- the format ----------------------------------------------------------------------------------------------------- */

START_TEST(sums)
{
	static const char *const texts[] = { "", "a", "abc", "The quick brown fox jumps over the lazy dog" };
	static const uint64_t wanted[] = { UINT64_C(0xEF46DB3751D8E999), UINT64_C(0xD24EC4F1A98C6E5B), UINT64_C(0x44BC2CF5AD770999),
		                           UINT64_C(0x0B242D361FDA71BC) };

	for (size_t i = 0; i < KITH_COUNT(texts); i++)
		ck_assert_uint_eq(records_sum((const uint8_t *)texts[i], strlen(texts[i])), wanted[i]);
}
END_TEST

static void row_back(const struct kith_record *record)
{
	uint8_t *at = malloc(ROW_MAX);
	struct record_row row;
	size_t size = row_put(at, record, 42, 0);
	uint8_t *exact = malloc(size);
	const char *p, *key, *value;
	uint32_t n = 0;

	ck_assert_uint_le(size, ROW_MAX);
	memcpy(exact, at, size);
	ck_assert_uint_eq(row_get(exact, size, &row), size);
	ck_assert(row.time == record->time && row.priority == record->priority && row.number == 42);
	ck_assert_int_eq(strncmp(row.subject, record->subject, strlen(row.subject)), 0);
	ck_assert_int_eq(strncmp(row.message, record->message, strlen(row.message)), 0);
	for (p = row.fields; (key = row_field(&row, &p, &value)); n++) {
		ck_assert_str_eq(key, record->fields[n].key);
		ck_assert_str_eq(value, record->fields[n].value);
	}
	ck_assert_uint_eq(n, row.n_fields);
	for (size_t cut = 0; cut < size && cut < 200; cut++)
		ck_assert_uint_eq(row_get(exact, cut, &row), 0);
	free(exact);
	free(at);
}

START_TEST(rows)
{
	struct kith_field fields[40];
	char *text = malloc(100001);
	struct kith_record record = { .size = sizeof(record), .priority = 7, .time = -5, .subject = "", .message = "", .fields = fields };
	uint8_t *at = malloc(ROW_MAX);
	struct record_row row;

	row_back(&record);
	for (int i = 0; i < 40; i++)
		fields[i] = (struct kith_field){ "k", "" };
	record.n_fields = 40;
	row_back(&record);
	memset(text, 'x', 100000);
	text[100000] = '\0';
	record.subject = record.message = text;
	row_back(&record);
	fields[0].value = text;
	/* What does not fit is left out, and what fits behind it is there. */
	ck_assert_uint_gt(row_get(at, row_put(at, &record, 0, 0), &row), 0);
	ck_assert_uint_eq(row.n_fields, ROW_N_FIELDS_MAX);
	/* Cut between characters, wherever that is */
	for (int shift = 0; shift < 4; shift++) {
		memset(text, 'x', (size_t)shift);
		for (int i = shift; i + 4 < 100000; i += 4)
			memcpy(text + i, "\xf0\x9f\x98\x80", 4);
		record.n_fields = 0;
		row_get(at, row_put(at, &record, 0, 0), &row);
		for (const char *p = row.message; *p;) {
			size_t n = utf8_length((const unsigned char *)p, strlen(p));

			ck_assert_uint_gt(n, 0);
			p += n;
		}
		ck_assert_uint_gt(strlen(row.message), ROW_MESSAGE_MAX - 4);
	}
	free(at);
	free(text);
}
END_TEST

static void on_row(const struct record_row *row, const char *subject, void *user)
{
	struct buf *b = user;
	const char *at = row->fields, *key, *value;

	buf_printf(b, "%lld %u %s %s", (long long)row->time, row->priority, subject, row->message);
	while ((key = row_field(row, &at, &value)))
		buf_printf(b, " %s=%s", key, value);
	buf_putc(b, '\n');
}

/* The same out of the open file and out of the block that is made of it */
START_TEST(blocks_say_the_same)
{
	struct kith_transition t = { .size = sizeof(t), .from = KITH_KEPT, .to = KITH_BROKEN, .severity = 3, .time = w.now, .name = "room.disk",
		                     .promiser = "df:/", .because = "it is full", .flags = KITH_TRANSITION_REPAIRED };
	struct buf before = BUF_INIT, after = BUF_INIT;
	char subject[32];

	for (uint64_t i = 0; i < 1000; i++) {
		snprintf(subject, sizeof(subject), "f%lu:%lu", (unsigned long)(i % 7), (unsigned long)(i % 91));
		/* Also back in time */
		put(&w, subject, i % 10 == 9 ? i / 2 : i);
		if (i % 100 == 0)
			model_transition(w.m, &t);
	}
	ck_assert_int_eq(records_flush(w.r), 0);
	ck_assert_uint_eq(read_all(&w, on_row, &before), 0);
	ck_assert_ptr_nonnull(strstr(before.data, " 3 df:/ room.disk is broken: it is full promise=room.disk from=kept to=broken repaired=true\n"));
	w.r->begun = w.now - OPEN_AGE;
	tick(&w, NS_PER_S);
	ck_assert_int_eq(w.r->fd, -1);
	ck_assert_uint_eq(read_all(&w, on_row, &after), 0);
	ck_assert_str_eq(before.data, after.data);
	buf_free(&before);
	buf_free(&after);
}
END_TEST

static void has_all_words(const char *text, const struct block_head *h, unsigned *n)
{
	while (*text) {
		const char *word = text;

		while (word_byte((uint8_t)*text))
			text++;
		if (text > word) {
			ck_assert(filter_has(h, word_hash(word, (size_t)(text - word))));
			(*n)++;
		}
		text += *text && text == word;
	}
}

/* No word that is there is said not to be; most that are not are. */
START_TEST(filters)
{
	int dir, fd;
	struct blocks_map map;
	struct block_head h;
	struct block_dctx *d;
	struct block_cursor c;
	struct record_row row;
	uint8_t *data = NULL, *raw;
	size_t size = 0;
	unsigned n = 0, wrong = 0;
	char word[32];

	for (uint64_t i = 0; i < 400; i++) {
		put(&w, "a:b", i % 40);
		put(&w, "a:b", 7);
	}
	records_flush(w.r);
	w.r->begun = w.now - OPEN_AGE;
	tick(&w, NS_PER_S);
	dir = open(w.path, O_RDONLY);
	fd = openat(dir, "0000000000000001.blocks", O_RDONLY);
	ck_assert_int_eq(blocks_map(&records_system_io, fd, lseek(fd, 0, SEEK_END), false, &map), 0);
	ck_assert_uint_eq(map.n, 1);
	ck_assert_int_eq(block_read(&records_system_io, fd, &map.entries[0], &data, &size, &h), 0);
	ck_assert_uint_gt(h.filter_length, 0);
	ck_assert_int_eq(block_dctx_new(&d), 0);
	raw = malloc(block_raw(&h) + 1);
	ck_assert_int_eq(block_unpack(d, &h, data + h.header_length, raw), 0);
	block_begin(&c, &h, raw);
	while (block_next(&c, &row)) {
		const char *at = row.fields, *key, *value;

		has_all_words(row.message, &h, &n);
		while ((key = row_field(&row, &at, &value))) {
			has_all_words(key, &h, &n);
			has_all_words(value, &h, &n);
		}
	}
	ck_assert_uint_gt(n, 800);
	for (int i = 0; i < 1000; i++) {
		snprintf(word, sizeof(word), "nowhere%d", i);
		wrong += filter_has(&h, word_hash(word, strlen(word)));
	}
	ck_assert_uint_lt(wrong, 200);
	free(raw);
	free(data);
	block_dctx_free(d);
	blocks_map_free(&map);
	close(fd);
	close(dir);
}
END_TEST

/* ---- damage --------------------------------------------------------------------------------------------------------- */

static size_t file_get(const char *name, uint8_t **ret_data)
{
	char path[160];
	size_t length;
	char *text;

	snprintf(path, sizeof(path), "%s/%s", w.path, name);
	ck_assert_int_eq(file_read_all(path, 16 << 20, &text, &length), 0);
	*ret_data = (uint8_t *)text;
	return length;
}

static void file_put(const char *name, const uint8_t *data, size_t length)
{
	char path[160];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", w.path, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	ck_assert_int_eq(write(fd, data, length), (ssize_t)length);
	close(fd);
}

/* Cut anywhere: the frames before are there, what is torn is cut off at the start, and new ones come behind */
START_TEST(torn_anywhere)
{
	size_t length, ends[4];
	char command[160];
	uint8_t *data;

	for (uint64_t i = 0; i < 4; i++) {
		put(&w, "a:b", i);
		records_flush(w.r);
		ends[i] = (size_t)w.r->size;
	}
	world_kill(&w);
	length = file_get("0000000000000001.open", &data);
	ck_assert_uint_eq(length, ends[3]);
	for (size_t cut = 0; cut <= length; cut++) {
		uint64_t whole = 0;

		while (whole < 4 && ends[whole] <= cut)
			whole++;
		file_put("0000000000000001.open", data, cut);
		world_start(&w);
		put(&w, "a:b", whole);
		ck_assert_int_eq(records_flush(w.r), 0);
		world_kill(&w);
		world_start(&w);
		records_free(w.r);
		all_there(whole + 1);
		snprintf(command, sizeof(command), "rm -f %s/*", w.path);
		ck_assert_int_eq(system(command), 0);
	}
	free(data);
	world_start(&w);
}
END_TEST

static void many_blocks(uint64_t n)
{
	w.r->block_size = 4096;
	for (uint64_t i = 0; i < n; i++) {
		put(&w, "a:b", i);
		if (i % 10 == 9)
			records_flush(w.r);
	}
	records_flush(w.r);
	records_settle(w.r);
	tick(&w, NS_PER_S);
}

/* Each byte flipped: one block is lost at most */
START_TEST(flipped_anywhere)
{
	struct numbers before, x;
	size_t length;
	uint8_t *data;
	unsigned damaged = 0;

	many_blocks(300);
	world_kill(&w);
	before = look();
	length = file_get("0000000000000001.blocks", &data);
	for (size_t i = 0; i < length; i += 7) {
		int fd;
		char path[160];

		data[i] ^= (uint8_t)(1u << i % 8);
		file_put("0000000000000001.blocks", data, length);
		data[i] ^= (uint8_t)(1u << i % 8);
		snprintf(path, sizeof(path), "%s/0000000000000001.blocks", w.path);
		x = (struct numbers){ 0 };
		fd = open(path, O_RDONLY);
		for (int distrust = 0; distrust < 2; distrust++) {
			unsigned bad = 0;

			x = (struct numbers){ 0 };
			read_blocks(path, fd, (int64_t)length, distrust, count_number, &x, &bad);
			damaged += bad;
			ck_assert_uint_eq(x.doubled, 0);
			/* A block has some 50. */
			ck_assert_uint_ge(x.n + 80, before.n - 60);
		}
		close(fd);
	}
	ck_assert_uint_gt(damaged, length / 7);
	file_put("0000000000000001.blocks", data, length);
	free(data);
	world_start(&w);
	tick(&w, NS_PER_S);
	ck_assert_uint_eq(look().doubled, 0);
}
END_TEST

/* An index that is cut or wrong is done without. */
START_TEST(index_damage)
{
	struct blocks_map map, again;
	uint8_t *index;
	size_t length, index_length;
	char path[160];
	int fd;

	many_blocks(300);
	snprintf(path, sizeof(path), "%s/0000000000000001.blocks", w.path);
	fd = open(path, O_RDWR);
	length = (size_t)lseek(fd, 0, SEEK_END);
	ck_assert_int_eq(blocks_map(&records_system_io, fd, (int64_t)length, false, &map), 0);
	ck_assert(!map.indexed && map.n > 3 && map.end == (int64_t)length && !map.damaged);
	ck_assert_int_eq(blocks_map_index(&map, &index, &index_length), 0);
	for (size_t cut = 0; cut <= index_length; cut++) {
		ck_assert_int_eq(ftruncate(fd, (off_t)length), 0);
		ck_assert_int_eq(pwrite(fd, index, cut, (off_t)length), (ssize_t)cut);
		ck_assert_int_eq(blocks_map(&records_system_io, fd, (int64_t)(length + cut), false, &again), 0);
		ck_assert(again.n == map.n && again.end == map.end && again.indexed == (cut == index_length));
		ck_assert(!memcmp(again.entries, map.entries, map.n * sizeof(*map.entries)));
		blocks_map_free(&again);
	}
	for (size_t i = 0; i < index_length; i++) {
		index[i] ^= 0x10;
		ck_assert_int_eq(pwrite(fd, index, index_length, (off_t)length), (ssize_t)index_length);
		index[i] ^= 0x10;
		ck_assert_int_eq(blocks_map(&records_system_io, fd, (int64_t)(length + index_length), false, &again), 0);
		ck_assert(again.n == map.n && !again.indexed);
		blocks_map_free(&again);
	}
	ck_assert_int_eq(ftruncate(fd, (off_t)length), 0);
	free(index);
	blocks_map_free(&map);
	close(fd);
}
END_TEST

/* ---- what is too much ------------------------------------------------------------------------------------------------ */

static int64_t folder_size(unsigned *ret_files)
{
	struct records_file *files;
	int dir = open(w.path, O_RDONLY);
	int64_t size = 0;
	size_t n;

	ck_assert_int_eq(records_list(dir, &files, &n), 0);
	for (size_t i = 0; i < n; i++)
		size += files[i].size;
	*ret_files = (unsigned)n;
	free(files);
	close(dir);
	return size;
}

START_TEST(cap_of_size)
{
	struct records_counts c;
	struct numbers x;
	unsigned files;

	records_configure(w.r, 1 << 20, 0);
	for (uint64_t i = 0; i < 200000; i++) {
		put(&w, "a:b", i);
		if (i % 5000 == 0) {
			records_flush(w.r);
			records_settle(w.r);
			ck_assert_int_le(folder_size(&files), 1 << 20);
		}
	}
	tick(&w, NS_PER_S);
	x = look();
	records_counts(w.r, &c);
	ck_assert_int_le(folder_size(&files), 1 << 20);
	ck_assert_uint_gt(files, 4);
	ck_assert_uint_gt(c.removed, 2);
	ck_assert_uint_eq(c.dropped, 0);
	/* The newest are there, without a gap: only the first is not number 0. */
	ck_assert_uint_eq(x.next, 200000);
	ck_assert_uint_eq(x.n + x.missing, 200000);
	ck_assert_uint_gt(x.n, 20000);
	ck_assert_int_eq(c.size, folder_size(&files));
}
END_TEST

START_TEST(cap_of_age)
{
	struct timespec old[2] = { { clock_wall() / NS_PER_S - 40 * 86400, 0 }, { clock_wall() / NS_PER_S - 40 * 86400, 0 } };
	char path[160];
	unsigned files;

	many_blocks(100);
	put(&w, "a:b", 100);
	records_flush(w.r);
	snprintf(path, sizeof(path), "%s/0000000000000001.blocks", w.path);
	ck_assert_int_eq(utimensat(AT_FDCWD, path, old, 0), 0);
	/* The clock was set by far: nothing goes for its age for now. */
	tick(&w, 3600 * NS_PER_S);
	w.r->trimmed = 0;
	tick(&w, NS_PER_S);
	ck_assert_int_eq(access(path, F_OK), 0);
	w.r->young_until = 0;
	w.r->trimmed = 0;
	tick(&w, NS_PER_S);
	ck_assert_int_eq(access(path, F_OK), -1);
	folder_size(&files);
	ck_assert_uint_ge(files, 1);
}
END_TEST

/* ---- what fails ------------------------------------------------------------------------------------------------------ */

START_TEST(disk_full)
{
	struct records_counts c;
	struct numbers x;

	put(&w, "a:b", 0);
	tick(&w, NS_PER_S);
	w.room = 100; /* half a frame */
	put(&w, "a:b", 1);
	put(&w, "a:b", 2);
	tick(&w, NS_PER_S);
	ck_assert_ptr_nonnull(strstr(w.said, "records cannot be written: No space left on device"));
	put(&w, "a:b", 3);
	tick(&w, NS_PER_S);
	ck_assert_uint_eq(w.n_said, 1);
	w.room = -1;
	tick(&w, NS_PER_S);
	ck_assert_str_eq(w.said, "records are written again; nothing was lost");
	tick(&w, NS_PER_S);
	all_there(4);
	/* For long: the oldest go, counted by whose they are */
	w.room = 0;
	for (uint64_t i = 4; i < 30004; i++) {
		put(&w, i % 3 ? "kmsg:kernel" : "log:sshd", i);
		if (i % 1000 == 0)
			tick(&w, NS_PER_S);
	}
	records_counts(w.r, &c);
	ck_assert_uint_le(c.waiting, WAIT_SIZE);
	ck_assert_uint_gt(c.dropped, 20000);
	w.room = -1;
	tick(&w, NS_PER_S);
	tick(&w, NS_PER_S);
	records_counts(w.r, &c);
	ck_assert_ptr_nonnull(strstr(w.said, "were dropped: "));
	ck_assert_ptr_nonnull(strstr(w.said_sources, "kmsg="));
	ck_assert_ptr_nonnull(strstr(w.said_sources, "log="));
	x = look();
	ck_assert_uint_eq(x.doubled, 0);
	ck_assert_uint_eq(x.next, 30004);
	ck_assert_uint_le(x.missing, c.dropped);
	ck_assert_uint_eq(x.n + x.others, c.kept);
	ck_assert_uint_eq(c.waiting, 0);
}
END_TEST

START_TEST(read_only_from_the_start)
{
	records_free(w.r);
	w.open_error = EROFS;
	world_start(&w);
	put(&w, "a:b", 0);
	tick(&w, NS_PER_S);
	ck_assert_ptr_nonnull(strstr(w.said, "Read-only file system"));
	w.open_error = 0;
	tick(&w, NS_PER_S);
	tick(&w, NS_PER_S);
	ck_assert_str_eq(w.said, "records are written again; nothing was lost");
	all_there(1);
}
END_TEST

/* What cannot be cut off stays in the old file, and a new one begins. */
START_TEST(half_a_frame_stays)
{
	put(&w, "a:b", 0);
	tick(&w, NS_PER_S);
	w.room = 50;
	w.truncate_error = EIO;
	put(&w, "a:b", 1);
	tick(&w, NS_PER_S);
	w.room = -1;
	w.truncate_error = 0;
	put(&w, "a:b", 2);
	tick(&w, NS_PER_S);
	ck_assert_uint_gt(w.r->sequence, 1);
	all_there(3);
}
END_TEST

/* Blocks that do not come to the disk are made anew, once. */
START_TEST(sync_fails)
{
	w.sync_error = EIO;
	many_blocks(200);
	tick(&w, NS_PER_S);
	ck_assert_ptr_nonnull(strstr(w.said, "cannot be compressed: Input/output error"));
	all_there(200);
	world_kill(&w);
	world_start(&w);
	all_there(200);
	w.sync_error = 0;
	tick(&w, NS_PER_S);
	all_there(200);
	ck_assert_uint_gt(w.r->worker.blocks, 3);
}
END_TEST

/* A block is written and its open file is there still: it is not told twice after the start. */
START_TEST(between_block_and_removal)
{
	uint8_t *data;
	size_t length;

	put(&w, "a:b", 0);
	records_flush(w.r);
	length = file_get("0000000000000001.open", &data);
	w.r->begun = w.now - OPEN_AGE;
	tick(&w, NS_PER_S);
	put(&w, "a:b", 1);
	world_kill(&w);
	file_put("0000000000000001.open", data, length);
	free(data);
	world_start(&w);
	put(&w, "a:b", 1);
	tick(&w, NS_PER_S);
	all_there(2);
}
END_TEST

/* Only the block's length came to the disk before the power went. */
START_TEST(block_of_nothing)
{
	uint8_t *open, *blocks;
	size_t open_length, length;

	put(&w, "a:b", 0);
	records_flush(w.r);
	open_length = file_get("0000000000000001.open", &open);
	w.r->begun = w.now - OPEN_AGE;
	tick(&w, NS_PER_S);
	world_kill(&w);
	length = file_get("0000000000000001.blocks", &blocks);
	memset(blocks + length - 20, 0, 20);
	file_put("0000000000000001.blocks", blocks, length);
	file_put("0000000000000001.open", open, open_length);
	free(open);
	free(blocks);
	world_start(&w);
	put(&w, "a:b", 1);
	tick(&w, NS_PER_S);
	all_there(2);
}
END_TEST

START_TEST(taken_away)
{
	char command[160];

	put(&w, "a:b", 0);
	tick(&w, NS_PER_S);
	snprintf(command, sizeof(command), "rm -r %s", w.path);
	ck_assert_int_eq(system(command), 0);
	w.r->checked -= CHECK_EVERY;
	put(&w, "a:b", 0);
	tick(&w, NS_PER_S);
	ck_assert_ptr_nonnull(strstr(w.said, "were taken away"));
	put(&w, "a:b", 0);
	put(&w, "a:b", 1);
	tick(&w, NS_PER_S);
	all_there(2);
}
END_TEST

START_TEST(one_at_a_time)
{
	struct records *other;

	ck_assert_int_eq(records_new(w.m, &w.config, &other), 0);
	put(&w, "a:b", 0);
	records_tick(other, w.now);
	ck_assert_ptr_nonnull(strstr(w.said, "another kithd"));
	records_free(w.r);
	put(&w, "a:b", 1);
	records_tick(other, w.now);
	w.r = other;
	ck_assert_uint_gt(look().n, 0);
	ck_assert_int_ge(other->fd, 0);
}
END_TEST

START_TEST(clock_set_back)
{
	for (uint64_t i = 0; i < 10; i++) {
		put(&w, "a:b", i);
		tick(&w, i == 5 ? -86400 * NS_PER_S : NS_PER_S);
	}
	all_there(10);
	ck_assert_uint_eq(w.n_said, 0);
}
END_TEST

START_TEST(no_allocation)
{
	int64_t before;

	put(&w, "a:b", 0);
	records_flush(w.r);
	before = alloc_count();
	for (uint64_t i = 1; i < 1000; i++)
		put(&w, "a:b", i);
	ck_assert_int_eq(alloc_count(), before);
	ck_assert(before != 0);
}
END_TEST

/* What a burst took goes back. */
START_TEST(memory_at_rest)
{
	struct records_counts c;

	for (uint64_t i = 0; i < 50000; i++)
		put(&w, "a:b", i);
	tick(&w, NS_PER_S);
	records_counts(w.r, &c);
	ck_assert_uint_eq(c.waiting, 0);
	ck_assert(!w.r->worker.running);
	all_there(50000);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("records");
	TCase *format = tcase_create("format"), *damage = tcase_create("damage"), *fails = tcase_create("fails");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(format, setup, teardown);
	tcase_add_checked_fixture(damage, setup, teardown);
	tcase_add_checked_fixture(fails, setup, teardown);
	tcase_set_timeout(format, 120);
	tcase_set_timeout(damage, 300);
	tcase_set_timeout(fails, 120);
	tcase_add_test(format, sums);
	tcase_add_test(format, rows);
	tcase_add_test(format, blocks_say_the_same);
	tcase_add_test(format, filters);
	tcase_add_test(damage, torn_anywhere);
	tcase_add_test(damage, flipped_anywhere);
	tcase_add_test(damage, index_damage);
	tcase_add_test(fails, cap_of_size);
	tcase_add_test(fails, cap_of_age);
	tcase_add_test(fails, disk_full);
	tcase_add_test(fails, read_only_from_the_start);
	tcase_add_test(fails, half_a_frame_stays);
	tcase_add_test(fails, sync_fails);
	tcase_add_test(fails, between_block_and_removal);
	tcase_add_test(fails, block_of_nothing);
	tcase_add_test(fails, taken_away);
	tcase_add_test(fails, one_at_a_time);
	tcase_add_test(fails, clock_set_back);
	tcase_add_test(fails, no_allocation);
	tcase_add_test(fails, memory_at_rest);
	suite_add_tcase(s, format);
	suite_add_tcase(s, damage);
	suite_add_tcase(s, fails);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
