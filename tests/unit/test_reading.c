/* host/reading.c: what several plugins read of one file on one tick is read once, and nobody gets what is not in the file. Reads are counted. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "host_fixture.h"

#define SHORT_MAX 2048             /* as SHORT_READ, LOOK_EVERY and SHARED_TEXT_MAX of reading.c */
#define LOOK_EVERY 60
#define SHARED_MAX (256u << 10)

/* Every pread of the program comes through here. `piece_ino` gives at most `piece` bytes at a time, as files of /proc do. */
static int preads;
static ino_t piece_ino;
static size_t piece;

ssize_t __real_pread(int fd, void *buffer, size_t size, off_t at);
ssize_t __wrap_pread(int fd, void *buffer, size_t size, off_t at);
ssize_t __wrap_pread(int fd, void *buffer, size_t size, off_t at)
{
	struct stat st;

	preads++;
	if (piece && fstat(fd, &st) == 0 && st.st_ino == piece_ino && size > piece)
		size = piece;
	return __real_pread(fd, buffer, size, at);
}

/* Plugins a and b, sampled in this order on the same tick. Each reads its `fd` and keeps what it got. */
static struct reader {
	const struct kith_host *h;
	struct kith_plugin d;
	int fd, times;    /* reads with each sample */
	bool spoil;       /* takes the text apart in place */
	int rounds, reads, result;
	char *text;
	size_t length;
} a, b;
static struct host_fixture f;
static char path[2][160];

static void reader_read(struct reader *r)
{
	int before = preads;
	char *text;

	r->result = r->h->read(r->h, r->fd, &text, &r->length);
	r->reads = preads - before;
	if (r->result < 0)
		return;
	ck_assert_int_eq(text[r->length], '\0');
	free(r->text);
	r->text = malloc(r->length + 1);
	memcpy(r->text, text, r->length + 1);
	if (r->spoil)
		memset(text, '#', r->length);
}

static int reader_sample(void *user)
{
	struct reader *r = user;

	for (int i = 0; i < r->times; i++)
		reader_read(r);
	r->rounds++;
	return 0;
}

static int a_init(const struct kith_host *h, void **ret_state)
{
	a.h = h;
	*ret_state = &a;
	return h->sample(h, reader_sample, &a, NULL);
}

static int b_init(const struct kith_host *h, void **ret_state)
{
	b.h = h;
	*ret_state = &b;
	return h->sample(h, reader_sample, &b, NULL);
}

static void reader_fini(void *state)
{
	struct reader *r = state;

	close(r->fd);
	r->fd = -1;
}

static void fill(int which, size_t length, char with)
{
	FILE *file = fopen(path[which], "r+");

	if (!file)
		file = fopen(path[which], "w");
	ck_assert_ptr_nonnull(file);
	for (size_t i = 0; i < length; i++)
		putc(with, file);
	fflush(file);
	ck_assert_int_eq(ftruncate(fileno(file), (off_t)length), 0);
	fclose(file);
}

static void is_all(const struct reader *r, size_t length, char with)
{
	ck_assert_int_eq(r->result, 0);
	ck_assert_uint_eq(r->length, length);
	for (size_t i = 0; i < length; i++)
		ck_assert_int_eq(r->text[i], with);
}

/* Both open the first file, 100 bytes of 'x'. */
static void start(void)
{
	fixture_start(&f, "interval = 100ms\n");
	for (int i = 0; i < 2; i++)
		snprintf(path[i], sizeof(path[i]), "%s/file%d", f.dir, i);
	fill(0, 100, 'x');
	a = (struct reader){ .d = { KITH_PLUGIN_INIT, .name = "a", .init = a_init, .fini = reader_fini }, .times = 1 };
	b = (struct reader){ .d = { KITH_PLUGIN_INIT, .name = "b", .init = b_init, .fini = reader_fini }, .times = 1 };
	ck_assert_int_eq(host_add_builtin(f.host, &a.d), 0);
	ck_assert_int_eq(host_add_builtin(f.host, &b.d), 0);
	a.fd = a.h->open(a.h, path[0]);
	b.fd = b.h->open(b.h, path[0]);
	ck_assert_int_ge(a.fd, 0);
	ck_assert_int_ge(b.fd, 0);
}

static void end(void)
{
	for (int i = 0; i < 2; i++)
		unlink(path[i]);
	fixture_end(&f);
	free(a.text);
	free(b.text);
}

/* The next tick: both have read. */
static void tick(void)
{
	int rounds = a.rounds + 1;

	fixture_until(&f, a.rounds == rounds);
	ck_assert_int_eq(a.rounds, rounds);
}

/* ---- what is shared ---------------------------------------------------------------------------------------------- */

START_TEST(one_read_serves_both)
{
	start();
	tick();
	is_all(&a, 100, 'x');
	is_all(&b, 100, 'x');
	ck_assert_int_eq(a.reads, 2); /* the text, and that it ends there */
	ck_assert_int_eq(b.reads, 0);
	/* Read again on the same tick, it is still the same moment. */
	a.times = b.times = 3;
	tick();
	ck_assert_int_eq(a.reads, 0);
	ck_assert_int_eq(b.reads, 0);
	end();
}
END_TEST

START_TEST(the_next_tick_reads_anew)
{
	start();
	for (int i = 0; i < 5; i++) {
		fill(0, 100 + (size_t)i, (char)('a' + i));
		tick();
		is_all(&a, 100 + (size_t)i, (char)('a' + i));
		is_all(&b, 100 + (size_t)i, (char)('a' + i));
		ck_assert_int_gt(a.reads, 0);
		ck_assert_int_eq(b.reads, 0);
	}
	end();
}
END_TEST

START_TEST(between_ticks_each_reads_anew)
{
	start();
	tick();
	fill(0, 50, 'y');
	reader_read(&b);
	is_all(&b, 50, 'y');
	ck_assert_int_gt(b.reads, 0);
	fill(0, 60, 'z');
	reader_read(&a);
	is_all(&a, 60, 'z');
	ck_assert_int_gt(a.reads, 0);
	end();
}
END_TEST

START_TEST(each_has_its_own_copy)
{
	start();
	a.spoil = b.spoil = true;
	a.times = b.times = 2;
	for (int i = 0; i < 2; i++) {
		tick();
		is_all(&a, 100, 'x');
		is_all(&b, 100, 'x');
		ck_assert_int_eq(b.reads, 0);
	}
	end();
}
END_TEST

START_TEST(who_reads_alone_reads_each_time)
{
	start();
	fill(1, 10, 'o');
	close(b.fd);
	b.fd = b.h->open(b.h, path[1]);
	a.times = b.times = 2;
	tick();
	is_all(&a, 100, 'x');
	is_all(&b, 10, 'o');
	ck_assert_int_gt(a.reads, 0);
	ck_assert_int_gt(b.reads, 0);
	end();
}
END_TEST

START_TEST(who_stays_alone_goes_on)
{
	start();
	tick();
	ck_assert_int_eq(b.reads, 0);
	log_set_level((enum log_level)0); /* that it is refused is expected */
	fixture_reload(&f, "interval = 100ms\nplugin a { nonsense = 1 }\n");
	ck_assert_int_eq(a.fd, -1);
	b.times = 2;
	for (int i = 0; i < 3; i++) {
		int rounds = b.rounds;

		fill(0, 100, (char)('k' + i));
		fixture_until(&f, b.rounds > rounds);
		is_all(&b, 100, (char)('k' + i));
		ck_assert_int_gt(b.reads, 0);
	}
	/* And shares again with the one that comes back */
	fixture_reload(&f, "interval = 100ms\n");
	a.fd = a.h->open(a.h, path[0]);
	b.times = 1;
	tick();
	tick();
	is_all(&a, 100, 'm');
	is_all(&b, 100, 'm');
	ck_assert_int_eq(b.reads, 0);
	end();
}
END_TEST

/* ---- descriptors that are others now ----------------------------------------------------------------------------- */

/* Closed unseen, and the number given to another file, which the host did not open */
static void turn(struct reader *r, int which)
{
	int fd = open(path[which], O_RDONLY | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(dup3(fd, r->fd, O_CLOEXEC), r->fd);
	close(fd);
}

START_TEST(a_descriptor_that_is_another_file_now_is_not_believed)
{
	start();
	fill(1, 30, 'o');
	tick();
	/* The second gets none of what the first read … */
	turn(&b, 1);
	tick();
	is_all(&a, 100, 'x');
	is_all(&b, 30, 'o');
	/* … nor the second what the first read of the other file. */
	turn(&b, 0);
	turn(&a, 1);
	tick();
	is_all(&a, 30, 'o');
	is_all(&b, 100, 'x');
	end();
}
END_TEST

START_TEST(a_number_that_another_plugin_has_now)
{
	int number;

	start();
	fill(1, 30, 'o');
	tick();
	number = a.fd;
	close(a.fd);
	close(b.fd);
	b.fd = b.h->open(b.h, path[1]);
	ck_assert_int_eq(b.fd, number); /* the lowest that is free */
	a.fd = a.h->open(a.h, path[0]);
	tick();
	is_all(&a, 100, 'x');
	is_all(&b, 30, 'o');
	end();
}
END_TEST

/* The other one comes in pieces, of more than half a page as those of /proc are. */
START_TEST(that_a_file_ended_early_is_not_believed_of_another)
{
	struct stat st;

	start();
	fill(1, 7000, 'o');
	ck_assert_int_eq(stat(path[1], &st), 0);
	tick();
	tick();
	ck_assert_int_eq(a.reads, 1);
	piece_ino = st.st_ino;
	piece = SHORT_MAX + 1;
	turn(&a, 1);
	tick();
	is_all(&a, 7000, 'o');
	/* Nor of the first, when it is back */
	turn(&a, 0);
	tick();
	is_all(&a, 100, 'x');
	end();
}
END_TEST

START_TEST(a_closed_descriptor_is_an_error)
{
	int fd;

	start();
	tick();
	fd = b.fd;
	close(b.fd);
	tick();
	ck_assert_int_eq(b.result, -EBADF);
	is_all(&a, 100, 'x');
	b.fd = open(path[0], O_RDONLY | O_CLOEXEC);
	ck_assert_int_eq(b.fd, fd);
	tick();
	is_all(&b, 100, 'x');
	end();
}
END_TEST

START_TEST(a_file_that_was_replaced_is_another)
{
	start();
	tick();
	fill(1, 40, 'n');
	ck_assert_int_eq(rename(path[1], path[0]), 0);
	/* The one looks at the new file, the other still at the old one: both are right. */
	close(b.fd);
	b.fd = b.h->open(b.h, path[0]);
	tick();
	is_all(&a, 100, 'x');
	is_all(&b, 40, 'n');
	end();
}
END_TEST

/* ---- sizes ------------------------------------------------------------------------------------------------------- */

START_TEST(a_file_that_grows_and_shrinks)
{
	static const size_t sizes[] = { 0, 1, SHORT_MAX, SHORT_MAX + 1, 16383, 16384, 16385, 100000, SHARED_MAX - 1, 3, 70000, 0, 100 };

	start();
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		fill(0, sizes[i], (char)('a' + i));
		tick();
		is_all(&a, sizes[i], (char)('a' + i));
		is_all(&b, sizes[i], (char)('a' + i));
		ck_assert_int_eq(b.reads, 0);
	}
	end();
}
END_TEST

START_TEST(too_large_to_be_shared)
{
	start();
	for (int i = 0; i < 2; i++) {
		fill(0, SHARED_MAX + 5, 'L');
		tick();
		is_all(&a, SHARED_MAX + 5, 'L');
		is_all(&b, SHARED_MAX + 5, 'L');
		ck_assert_int_gt(a.reads, 0);
		ck_assert_int_gt(b.reads, 0);
		fill(0, 7, 's');
		tick();
		is_all(&a, 7, 's');
		is_all(&b, 7, 's');
		ck_assert_int_eq(b.reads, 0);
	}
	end();
}
END_TEST

/* ---- where a short file ends ------------------------------------------------------------------------------------- */

START_TEST(the_end_of_a_short_file_is_looked_for_now_and_then)
{
	int looked = 0;

	start();
	fill(0, SHORT_MAX, 'x');
	reader_read(&a);
	ck_assert_int_eq(a.reads, 2);
	for (int i = 1; i <= 3 * LOOK_EVERY; i++) {
		reader_read(&a);
		is_all(&a, SHORT_MAX, 'x');
		ck_assert_int_eq(a.reads, i % LOOK_EVERY ? 1 : 2);
		looked += a.reads == 2;
	}
	ck_assert_int_eq(looked, 3);
	end();
}
END_TEST

START_TEST(the_end_of_a_longer_file_is_looked_for_each_time)
{
	start();
	fill(0, SHORT_MAX + 1, 'x');
	for (int i = 0; i < 5; i++) {
		reader_read(&a);
		is_all(&a, SHORT_MAX + 1, 'x');
		ck_assert_int_eq(a.reads, 2);
	}
	/* A short one that grew */
	fill(0, 10, 'y');
	reader_read(&a);
	reader_read(&a);
	ck_assert_int_eq(a.reads, 1);
	fill(0, SHORT_MAX + 1, 'z');
	reader_read(&a);
	is_all(&a, SHORT_MAX + 1, 'z');
	ck_assert_int_eq(a.reads, 2);
	end();
}
END_TEST

START_TEST(a_file_that_comes_in_pieces_is_read_to_its_end)
{
	struct stat st;

	start();
	ck_assert_int_eq(stat(path[0], &st), 0);
	piece_ino = st.st_ino;
	piece = 1000;
	fill(0, 3500, 'p');
	for (int i = 0; i < 5; i++) {
		reader_read(&a);
		is_all(&a, 3500, 'p');
		ck_assert_int_eq(a.reads, 5);
	}
	/* Within one piece its end is known, and no longer once a look found that more comes. */
	fill(0, 900, 'q');
	reader_read(&a);
	reader_read(&a);
	ck_assert_int_eq(a.reads, 1);
	fill(0, 1500, 'r');
	for (int i = 0; i < LOOK_EVERY; i++)
		reader_read(&a);
	for (int i = 0; i < LOOK_EVERY + 5; i++) {
		reader_read(&a);
		is_all(&a, 1500, 'r');
		ck_assert_int_eq(a.reads, 3);
	}
	end();
}
END_TEST

int main(void)
{
	TCase *shared = tcase_create("shared"), *turned = tcase_create("turned"), *sizes = tcase_create("sizes");
	Suite *suite = suite_create("reading");
	SRunner *runner;
	int failed;

	tcase_set_timeout(shared, 60);
	tcase_set_timeout(turned, 60);
	tcase_set_timeout(sizes, 60);
	tcase_add_test(shared, one_read_serves_both);
	tcase_add_test(shared, the_next_tick_reads_anew);
	tcase_add_test(shared, between_ticks_each_reads_anew);
	tcase_add_test(shared, each_has_its_own_copy);
	tcase_add_test(shared, who_reads_alone_reads_each_time);
	tcase_add_test(shared, who_stays_alone_goes_on);
	suite_add_tcase(suite, shared);
	tcase_add_test(turned, a_descriptor_that_is_another_file_now_is_not_believed);
	tcase_add_test(turned, a_number_that_another_plugin_has_now);
	tcase_add_test(turned, that_a_file_ended_early_is_not_believed_of_another);
	tcase_add_test(turned, a_closed_descriptor_is_an_error);
	tcase_add_test(turned, a_file_that_was_replaced_is_another);
	suite_add_tcase(suite, turned);
	tcase_add_test(sizes, a_file_that_grows_and_shrinks);
	tcase_add_test(sizes, too_large_to_be_shared);
	tcase_add_test(sizes, the_end_of_a_short_file_is_looked_for_now_and_then);
	tcase_add_test(sizes, the_end_of_a_longer_file_is_looked_for_each_time);
	tcase_add_test(sizes, a_file_that_comes_in_pieces_is_read_to_its_end);
	suite_add_tcase(suite, sizes);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
