#include "store/fold/undo.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crc.h"
#include "base/log.h"
#include "store/fold/rrdfile.h"

#define HEAD 8u

static const char magic[] = "kithund\n";

static uint32_t get32(const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return le32toh(value);
}

/* ---- writing ------------------------------------------------------------------------------------------------------ */

static int put(struct undo *u, const void *data, size_t length)
{
	const uint8_t *at = data;

	u->crc = crc32c(u->crc, data, length);
	while (length) {
		ssize_t n = write(u->fd, at, length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -ENOSPC;
		at += n;
		length -= (size_t)n;
	}
	return 0;
}

static int put32(struct undo *u, uint32_t value)
{
	value = htole32(value);
	return put(u, &value, sizeof(value));
}

void undo_give_up(struct undo *u)
{
	if (u->fd >= 0)
		close(u->fd);
	u->fd = -1;
	unlinkat(u->folder, UNDO_NEW, 0);
}

int undo_begin(struct undo *u, int folder)
{
	int r;

	*u = (struct undo){ .folder = folder };
	if (unlinkat(folder, UNDO_NEW, 0) < 0 && errno != ENOENT)
		return -errno;
	u->fd = openat(folder, UNDO_NEW, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (u->fd < 0)
		return -errno;
	r = put(u, magic, HEAD);
	if (r < 0)
		undo_give_up(u);
	return r;
}

int undo_add(struct undo *u, const char *path, const uint8_t *head, size_t length)
{
	size_t n = strlen(path);
	int r;

	if (!n || n > UNDO_PATH_MAX || !length || length > UNDO_HEAD_MAX)
		return -EINVAL;
	r = put32(u, (uint32_t)n);
	if (r == 0)
		r = put32(u, (uint32_t)length);
	if (r == 0)
		r = put(u, path, n);
	if (r == 0)
		r = put(u, head, length);
	u->files += r == 0;
	return r;
}

int undo_ready(struct undo *u)
{
	int r = put32(u, 0);

	if (r == 0)
		r = put32(u, 0);
	if (r == 0)
		r = put32(u, u->crc);
	if (r == 0 && fsync(u->fd) < 0)
		r = -errno;
	if (close(u->fd) < 0 && r == 0)
		r = -errno;
	u->fd = -1;
	if (r == 0 && renameat(u->folder, UNDO_NEW, u->folder, UNDO_FILE) < 0)
		r = -errno;
	if (r < 0)
		undo_give_up(u);
	else
		fsync(u->folder);
	return r;
}

int undo_done(int folder)
{
	return unlinkat(folder, UNDO_FILE, 0) < 0 && errno != ENOENT ? -errno : 0;
}

bool undo_pending(int folder)
{
	return faccessat(folder, UNDO_FILE, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

bool undo_begun(int folder)
{
	return undo_pending(folder) || faccessat(folder, UNDO_NEW, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* ---- reading ------------------------------------------------------------------------------------------------------ */

/* The entry at *at; 0: it is the end. -EBADMSG */
static int entry(const uint8_t *data, size_t length, size_t *at, char path[UNDO_PATH_MAX + 1], const uint8_t **ret_head, size_t *ret_length)
{
	uint32_t n, size;

	if (length - *at < 8)
		return -EBADMSG;
	n = get32(data + *at);
	size = get32(data + *at + 4);
	*at += 8;
	if (!n && !size)
		return *at == length ? 0 : -EBADMSG;
	if (!n || n > UNDO_PATH_MAX || !size || size > UNDO_HEAD_MAX || length - *at < (size_t)n + size || memchr(data + *at, 0, n))
		return -EBADMSG;
	memcpy(path, data + *at, n);
	path[n] = '\0';
	*ret_head = data + *at + n;
	*ret_length = size;
	*at += n + size;
	return 1;
}

int undo_parse(const uint8_t *data, size_t length, undo_fn *fn, void *user)
{
	char path[UNDO_PATH_MAX + 1];
	const uint8_t *head;
	size_t at, size;
	int r;

	if (length < HEAD + 12 || memcmp(data, magic, HEAD) != 0 || get32(data + length - 4) != crc32c(0, data, length - 4))
		return -EBADMSG;
	length -= 4;
	at = HEAD;
	while ((r = entry(data, length, &at, path, &head, &size)) > 0)
		;
	if (r < 0)
		return r;
	at = HEAD;
	while ((r = entry(data, length, &at, path, &head, &size)) > 0) {
		r = fn(path, head, size, user);
		if (r != 0)
			return r;
	}
	return r;
}

struct restore {
	int folder;
	size_t files;
};

/* FAMILY/FILE alone: nobody is led out of the folder. */
static bool path_fine(const char *path)
{
	const char *slash = strchr(path, '/');

	return slash && slash != path && *path != '.' && slash[1] && slash[1] != '.' && !strchr(slash + 1, '/');
}

static int write_at(int fd, const uint8_t *data, size_t length)
{
	size_t done = 0;

	while (done < length) {
		ssize_t n = pwrite(fd, data + done, length - done, (off_t)done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		done += (size_t)n;
	}
	return fdatasync(fd) < 0 ? -errno : 0;
}

/* Is what lies there the file whose head this is? Rows may have been written since. */
static bool same_file(int fd, const uint8_t *head, size_t length)
{
	size_t wanted, fixed;
	uint8_t *now;
	bool same;

	if (rrd_head_length(head, length, &wanted, &fixed) < 0 || wanted != length)
		return false;
	now = malloc(fixed);
	same = now && pread(fd, now, fixed, 0) == (ssize_t)fixed && !memcmp(now, head, fixed);
	free(now);
	return same;
}

static int restore_one(const char *path, const uint8_t *head, size_t length, void *user)
{
	struct restore *s = user;
	struct stat st;
	int fd, r = 0;

	if (!path_fine(path))
		return 0;
	fd = openat(s->folder, path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return errno == ENOENT || errno == ELOOP || errno == ENOTDIR ? 0 : -errno;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && same_file(fd, head, length)) {
		r = write_at(fd, head, length);
		s->files += r == 0;
	}
	close(fd);
	return r;
}

/* What there is, told to `fn`. 0: there is none, or all was told; -EBADMSG: it is damaged */
static int undo_read(int folder, undo_fn *fn, void *user, bool *ret_any)
{
	int fd = openat(folder, UNDO_FILE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK), r;
	struct stat st;
	void *data;

	*ret_any = fd >= 0 || errno == ELOOP;
	if (fd < 0)
		return errno == ENOENT ? 0 : errno == ELOOP ? -EBADMSG : -errno;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size < 1 || st.st_size > (off_t)UNDO_MAX) {
		close(fd);
		return -EBADMSG;
	}
	data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	r = data == MAP_FAILED ? -errno : 0;
	close(fd);
	if (r < 0)
		return r;
	r = undo_parse(data, (size_t)st.st_size, fn, user);
	munmap(data, (size_t)st.st_size);
	return r;
}

static int pass_over(const char *path, const uint8_t *head, size_t length, void *user)
{
	(void)path;
	(void)head;
	(void)length;
	(void)user;
	return 0;
}

int undo_check(int folder)
{
	bool any;

	return undo_read(folder, pass_over, NULL, &any);
}

int undo_restore(int folder, size_t *ret_files)
{
	struct restore s = { .folder = folder };
	bool any;
	int r = undo_read(folder, restore_one, &s, &any), removed;

	if (!any || (r < 0 && r != -EBADMSG))
		return r;
	removed = undo_done(folder);
	if (removed < 0)
		return removed;
	if (r == -EBADMSG) {
		log_warning("rrd/" UNDO_FILE " is damaged, and removed: an update of RRD files that was cut off cannot be taken back");
		return 0;
	}
	*ret_files = s.files;
	return 1;
}
