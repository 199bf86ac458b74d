/* The folder of the record store: its files, and where to go on after a start */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/records_impl.h"
#include "store/records_walk.h"

/* ---- the system's calls ------------------------------------------------------------------------------------------- */

static int system_open(int dir, const char *path, int flags, void *user)
{
	(void)user;
	return openat(dir, path, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0640);
}

static ssize_t system_write(int fd, const void *data, size_t length, void *user)
{
	(void)user;
	return write(fd, data, length);
}

static ssize_t system_pread(int fd, void *data, size_t length, off_t at, void *user)
{
	(void)user;
	return pread(fd, data, length, at);
}

static int system_truncate(int fd, off_t length, void *user)
{
	(void)user;
	return ftruncate(fd, length);
}

static int system_sync(int fd, void *user)
{
	(void)user;
	return fdatasync(fd);
}

static int system_unlink(int dir, const char *path, void *user)
{
	(void)user;
	return unlinkat(dir, path, 0);
}

const struct records_io records_system_io = { system_open, system_write, system_pread, system_truncate, system_sync, system_unlink, NULL };

/* ---- names -------------------------------------------------------------------------------------------------------- */

void records_file_name(char name[FILE_NAME_MAX], uint64_t sequence, bool open)
{
	snprintf(name, FILE_NAME_MAX, "%016llx.%s", (unsigned long long)sequence, open ? "open" : "blocks");
}

/* False: it is another's */
static bool parse_name(const char *name, struct records_file *ret_file)
{
	char *end, again[FILE_NAME_MAX];
	struct records_file f = { 0 };

	f.sequence = strtoull(name, &end, 16);
	f.open = !strcmp(end, ".open");
	records_file_name(again, f.sequence, f.open);
	if (strcmp(again, name) != 0)
		return false;
	*ret_file = f;
	return true;
}

static int by_number(const void *a, const void *b)
{
	const struct records_file *x = a, *y = b;

	if (x->sequence != y->sequence)
		return x->sequence < y->sequence ? -1 : 1;
	return (int)x->open - (int)y->open;
}

int records_list(int dir, struct records_file **ret_files, size_t *ret_n)
{
	struct records_file *files = NULL, *grown;
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;
	size_t n = 0;
	struct stat st;

	if (!d) {
		r = -errno;
		if (fd >= 0)
			close(fd);
		return r;
	}
	while ((entry = readdir(d))) {
		struct records_file f;

		if (!parse_name(entry->d_name, &f) || fstatat(dir, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
			continue;
		f.size = st.st_size;
		f.changed = (int64_t)st.st_mtim.tv_sec * NS_PER_S + st.st_mtim.tv_nsec;
		grown = n % 64 ? files : realloc(files, (n + 64) * sizeof(*files));
		if (!grown) {
			r = -ENOMEM;
			break;
		}
		files = grown;
		files[n++] = f;
	}
	closedir(d);
	if (r < 0) {
		free(files);
		return r;
	}
	if (n)
		qsort(files, n, sizeof(*files), by_number);
	*ret_files = files;
	*ret_n = n;
	return 0;
}

/* ---- whole files -------------------------------------------------------------------------------------------------- */

int records_write_all(const struct records_io *io, int fd, const uint8_t *data, size_t length)
{
	ssize_t n;

	do
		n = io->write(fd, data, length, io->user);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return (size_t)n == length ? 0 : -ENOSPC;
}

int records_read_all(const struct records_io *io, int fd, size_t most, uint8_t **ret_data, size_t *ret_length)
{
	struct stat st;
	uint8_t *data;
	int r;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if (st.st_size > (off_t)most)
		return -EFBIG;
	data = malloc((size_t)st.st_size + 1);
	if (!data)
		return -ENOMEM;
	r = records_pread(io, fd, data, (size_t)st.st_size, 0);
	if (r < 0) {
		free(data);
		return r;
	}
	*ret_data = data;
	*ret_length = (size_t)st.st_size;
	return 0;
}

int records_open_mend(const struct records_io *io, int fd, int64_t *ret_size, int64_t *ret_time)
{
	struct open_cursor c;
	struct record_row row;
	uint64_t sequence;
	uint8_t *data;
	size_t length;
	int r = records_read_all(io, fd, OPEN_MAX, &data, &length);

	if (r < 0)
		return r;
	*ret_size = *ret_time = 0;
	if (!open_begin(&c, data, length, &sequence)) {
		free(data);
		return 0;
	}
	while (open_next(&c, &row))
		*ret_time = *ret_time ? *ret_time : row.time;
	*ret_size = (int64_t)c.whole;
	free(data);
	if (c.whole < length && io->truncate(fd, (off_t)c.whole, io->user) < 0)
		return -errno;
	return 0;
}

/* ---- the start ---------------------------------------------------------------------------------------------------- */

/*
 * The last file of blocks: what is behind its last whole block is cut off; the last block's number (0: there is none). Its open file may be
 * there still, as it goes only when the block is on the disk.
 */
static int last_blocks(struct records *r, const struct records_file *f, uint64_t *ret_last)
{
	struct blocks_map map = { 0 };
	struct block_head h;
	uint8_t *data = NULL;
	size_t size = 0;
	char name[FILE_NAME_MAX];
	int fd, x;

	*ret_last = 0;
	records_file_name(name, f->sequence, false);
	fd = r->io->open(r->dir, name, O_RDWR, r->io->user);
	if (fd < 0)
		return -errno;
	x = blocks_map(r->io, fd, f->size, false, &map);
	if (x == 0 && map.n) {
		const struct index_entry *e = &map.entries[map.n - 1];

		*ret_last = e->sequence;
		if (!map.indexed && block_read(r->io, fd, e, &data, &size, &h) == -EBADMSG) {
			/* Only its length came to the disk before the power went. */
			map.end = (int64_t)e->offset;
			*ret_last = map.n > 1 ? map.entries[map.n - 2].sequence : 0;
		}
	}
	if (x == 0 && !map.indexed && map.end < f->size && r->io->truncate(fd, map.end, r->io->user) < 0)
		x = -errno;
	free(data);
	blocks_map_free(&map);
	close(fd);
	return x;
}

/* The last open file is gone on with, unless it is large enough to be a block. */
static int last_open(struct records *r, const struct records_file *f)
{
	char name[FILE_NAME_MAX];
	int64_t size, time;
	int fd, x;

	records_file_name(name, f->sequence, true);
	fd = r->io->open(r->dir, name, O_RDWR | O_APPEND, r->io->user);
	if (fd < 0)
		return -errno;
	x = records_open_mend(r->io, fd, &size, &time);
	if (x < 0 || !size || size >= (int64_t)r->block_size) {
		close(fd);
		if (x == 0 && !size)
			r->io->unlink(r->dir, name, r->io->user);
		r->sequence = f->sequence + 1;
		return x == -EFBIG ? 0 : x;
	}
	r->fd = fd;
	r->size = size;
	r->torn = false;
	r->begun = time;
	r->sequence = f->sequence;
	return 0;
}

static int folder_read(struct records *r)
{
	struct records_file *files = NULL;
	const struct records_file *open = NULL, *blocks = NULL;
	char name[FILE_NAME_MAX];
	uint64_t last = 0;
	size_t n = 0;
	int x = records_list(r->dir, &files, &n);

	for (size_t i = 0; i < n; i++) {
		open = files[i].open ? &files[i] : open;
		blocks = files[i].open ? blocks : &files[i];
		r->counts.size += files[i].size;
	}
	r->sequence = 1;
	if (x == 0 && blocks) {
		x = last_blocks(r, blocks, &last);
		r->sequence = (last > blocks->sequence ? last : blocks->sequence) + 1;
	}
	/* What is a block already is not made one again. */
	for (size_t i = 0; x == 0 && i < n; i++) {
		if (!files[i].open || files[i].sequence > last)
			continue;
		records_file_name(name, files[i].sequence, true);
		r->io->unlink(r->dir, name, r->io->user);
	}
	if (x == 0 && open && open->sequence > last)
		x = last_open(r, open);
	r->counts.size -= r->fd >= 0 ? r->size : 0;
	free(files);
	return x;
}

void records_folder_close(struct records *r)
{
	if (r->fd >= 0)
		close(r->fd);
	if (r->dir >= 0)
		close(r->dir);
	r->fd = r->dir = -1;
}

int records_folder_open(struct records *r)
{
	int x = 0;

	if (mkdir(r->path, 0750) < 0 && errno != EEXIST)
		return -errno;
	r->dir = open(r->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (r->dir < 0)
		return -errno;
	r->counts.size = 0;
	if (flock(r->dir, LOCK_EX | LOCK_NB) < 0)
		x = errno == EWOULDBLOCK ? -EBUSY : -errno;
	if (x == 0)
		x = folder_read(r);
	if (x < 0)
		records_folder_close(r);
	return x;
}

int records_file_new(struct records *r)
{
	char name[FILE_NAME_MAX];
	int fd;

	records_file_name(name, r->sequence, true);
	fd = r->io->open(r->dir, name, O_RDWR | O_APPEND | O_CREAT | O_EXCL, r->io->user);
	if (fd < 0 && errno == EEXIST) {
		r->sequence++;
		return -EAGAIN;
	}
	if (fd < 0)
		return -errno;
	r->fd = fd;
	r->size = 0;
	r->torn = false;
	return 0;
}
