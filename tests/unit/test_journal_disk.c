/* store/: what becomes of samples when the disk does not do its part, or the clock */
#include "journal_fixture.h"

struct disk {
	int error;         /* what writes fail with; 0: they do not */
	size_t part;       /* bytes that get through all the same */
	int truncate_error;
	unsigned writes;
};
static struct disk disk;

static ssize_t bad_writev(int fd, const struct iovec *iov, int n, void *user)
{
	struct disk *d = user;

	d->writes++;
	if (!d->error)
		return writev(fd, iov, n);
	if (d->part) {
		size_t part = d->part < iov[0].iov_len ? d->part : iov[0].iov_len;

		return write(fd, iov[0].iov_base, part);
	}
	errno = d->error;
	return -1;
}

static int bad_truncate(int fd, off_t length, void *user)
{
	struct disk *d = user;

	if (!d->truncate_error)
		return ftruncate(fd, length);
	errno = d->truncate_error;
	return -1;
}

static void start_bad(void)
{
	disk = (struct disk){ 0 };
	config.io = (struct journal_io){ .writev = bad_writev, .truncate = bad_truncate, .user = &disk };
	start();
}

/* Errors, parts of a write, parts that cannot be taken back: nothing is lost while memory holds it, nothing is doubled. */
START_TEST(fails_and_recovers)
{
	static const struct { int error; size_t part; int truncate_error; } cases[] = {
		{ EIO, 0, 0 }, { EROFS, 0, 0 }, { EIO, 5, 0 }, { EIO, 7, EIO }, { ENOSPC, 0, 0 }, { EINVAL, 1, EROFS },
	};
	struct journal_counts c;
	struct instance *i;
	struct log l;
	int n = 0;

	start_bad();
	i = add(levels, "a");
	two_rounds(i, n, 5);
	n += 5;
	for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++) {
		disk.error = cases[k].error;
		disk.part = cases[k].part;
		disk.truncate_error = cases[k].truncate_error;
		two_rounds(i, n, 5);
		n += 5;
		ck_assert_ptr_nonnull(journal_off(j));
		disk = (struct disk){ 0 };
		two_rounds(i, n, 5);
		n += 5;
		ck_assert_ptr_null(journal_off(j));
		read_disk(&l);
		ck_assert_uint_eq(l.n, (size_t)n * 2);
		for (size_t x = 0; x < l.n; x += 2)
			ck_assert(l.at[x].value == (double)(x / 2));
		log_free(&l);
	}
	journal_counts(j, &c);
	ck_assert_uint_eq(c.dropped, 0);
	ck_assert_uint_gt(c.failures, 0);
}
END_TEST

static uint64_t n_records;
static char last_record[256];

static void on_record(const struct kith_record *r, uint64_t number, void *user)
{
	(void)number;
	(void)user;
	n_records++;
	snprintf(last_record, sizeof(last_record), "%s", r->message);
}

/* For longer than memory holds: the oldest are dropped, counted, and recorded when it goes on */
START_TEST(fails_for_long)
{
	struct model_observer o = { .on_record = on_record };
	struct journal_counts c;
	struct instance *i;
	struct log l;
	char word[32];

	n_records = 0;
	config.chunk = 4096;
	config.ring = 4 * 4096;
	model_observe(m, &o);
	start_bad();
	i = add(levels, "a");
	two_rounds(i, 0, 5);
	disk.error = EIO;
	two_rounds(i, 5, 5000);
	journal_counts(j, &c);
	ck_assert_uint_gt(c.dropped, 1000);
	ck_assert_uint_le(c.ring, 5 * 4096);
	disk = (struct disk){ 0 };
	two_rounds(i, 5005, 5);
	journal_counts(j, &c);
	read_disk(&l);
	/* Each sample is on the disk, or is one of those that were counted. */
	ck_assert_uint_eq(l.n + c.dropped, 5010 * 2);
	snprintf(word, sizeof(word), "%llu samples", (unsigned long long)c.dropped);
	ck_assert_uint_ge(n_records, 1);
	ck_assert_ptr_nonnull(strstr(last_record, "dropped"));
	log_free(&l);
	model_unobserve(m, &o);
}
END_TEST

/* The disk has no room for more than so much: the oldest segments make it */
START_TEST(full)
{
	struct model_observer o = { .on_record = on_record };
	struct journal_counts c;
	struct instance *i;
	struct log l;

	config.chunk = 4096;
	config.ring = 4 * 4096;
	config.disk = 6 * 4096;
	n_records = 0;
	model_observe(m, &o);
	start();
	i = add(things, "a");
	for (int k = 0; k < 3000; k++) {
		at(T0 + k * S);
		put(i, 0, (double)rnd(1u << 30) / 7);
		put(i, 1, k);
		journal_tick(j, now);
		journal_counts(j, &c);
		ck_assert_uint_le(c.disk, 7 * 4096);
	}
	read_disk(&l);
	ck_assert_uint_eq(l.n + c.dropped, 6000);
	/* Said in 3000 s, not for each segment */
	ck_assert_uint_ge(n_records, 1);
	ck_assert_uint_le(n_records, 6);
	model_unobserve(m, &o);
	ck_assert(l.at[l.n - 1].value == 2999);
	log_free(&l);
}
END_TEST

static int no_unlink(int dir, const char *name, void *user)
{
	(void)dir;
	(void)name;
	(void)user;
	errno = EROFS;
	return -1;
}

/* There is too much, and nothing can be removed: it is there still, so it is not counted as dropped. */
START_TEST(nothing_can_be_removed)
{
	struct journal_counts c;
	struct instance *i;
	struct log l;

	config.chunk = 4096;
	config.disk = 4 * 4096;
	config.io.unlink = no_unlink;
	start();
	i = add(levels, "a");
	for (int k = 0; k < 3000; k += 10) {
		two_rounds(i, k, 10);
		journal_seal(j);
	}
	journal_counts(j, &c);
	ck_assert_uint_gt(c.disk, 4 * 4096);
	ck_assert_uint_eq(c.dropped, 0);
	read_disk(&l);
	ck_assert_uint_ge(l.n, 6000 - 20);
	log_free(&l);
}
END_TEST

START_TEST(folder_goes_and_comes)
{
	struct instance *i;
	struct log l;
	char gone[80];

	config.chunk = 4096;
	start();
	i = add(levels, "a");
	two_rounds(i, 0, 10);
	empty(folder);
	rmdir(folder);
	for (int k = 10; k < 2000; k += 10)
		two_rounds(i, k, 10);
	ck_assert_ptr_null(journal_off(j));
	read_disk(&l);
	ck_assert_uint_gt(l.n, 100);
	ck_assert(l.at[l.n - 1].value == 2999);
	log_free(&l);
	/* One that cannot be had at the start is had later. */
	journal_free(j);
	snprintf(gone, sizeof(gone), "%s/not/here", folder);
	config.folder = gone;
	start();
	ck_assert_ptr_nonnull(journal_off(j));
	two_rounds(i, 2000, 3);
	ck_assert_ptr_nonnull(journal_off(j));
	journal_free(j);
	config.folder = folder;
	start();
}
END_TEST

START_TEST(clock_is_set)
{
	struct instance *i;
	struct log l;

	start();
	i = add(levels, "a");
	two_rounds(i, 0, 10);
	at(T0 - 3600 * S);
	model_jump(m, -3609 * S);
	journal_jump(j);
	two_rounds(i, -3600, 5);
	read_disk(&l);
	ck_assert_uint_eq(l.n, 30);
	ck_assert_int_eq(l.at[29].time, T0 - 3596 * S);
	log_free(&l);
}
END_TEST

static void all(TCase *tc)
{
	tcase_add_test(tc, fails_and_recovers);
	tcase_add_test(tc, fails_for_long);
	tcase_add_test(tc, full);
	tcase_add_test(tc, nothing_can_be_removed);
	tcase_add_test(tc, folder_goes_and_comes);
	tcase_add_test(tc, clock_is_set);
}

int main(void)
{
	return run("journal_disk", all);
}
