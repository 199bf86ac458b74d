/* The journal's way to the disk and back. What fails is tried again: nothing here is a reason to stop. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "store/journal_impl.h"

#define RETRY (1 * NS_PER_S)

/* ---- the kernel, or what stands for it -------------------------------------------------------------------------------- */

static int io_open(const struct journal *j, const char *name, int flags)
{
	const struct journal_io *io = &j->config.io;
	int fd = io->open ? io->open(j->folder, name, flags, 0600, io->user) : openat(j->folder, name, flags, 0600);

	return fd < 0 ? -errno : fd;
}

static ssize_t io_writev(const struct journal *j, const struct iovec *iov, int n)
{
	const struct journal_io *io = &j->config.io;
	ssize_t done;

	do
		done = io->writev ? io->writev(j->fd, iov, n, io->user) : writev(j->fd, iov, n);
	while (done < 0 && errno == EINTR);
	return done < 0 ? -errno : done;
}

static int io_truncate(const struct journal *j, int fd, off_t length)
{
	const struct journal_io *io = &j->config.io;

	return (io->truncate ? io->truncate(fd, length, io->user) : ftruncate(fd, length)) < 0 ? -errno : 0;
}

static int io_unlink(const struct journal *j, uint64_t number)
{
	const struct journal_io *io = &j->config.io;
	char name[SEGMENT_NAME_SIZE];

	segment_name(number, name);
	return (io->unlink ? io->unlink(j->folder, name, io->user) : unlinkat(j->folder, name, 0)) < 0 ? -errno : 0;
}

/* ---- off and on ------------------------------------------------------------------------------------------------------ */

static void off(struct journal *j, int error, int64_t now)
{
	j->counts.failures++;
	j->retry = now + RETRY;
	if (j->off && !strcmp(j->off, strerror(-error)))
		return;
	log_err("journal: %s cannot be written: %s; samples stay in memory, as many as there is room for", j->path, strerror(-error));
	free(j->off);
	j->off = strdup(strerror(-error));
}

static void on(struct journal *j)
{
	if (!j->off)
		return;
	log_notice("journal: %s is written again", j->path);
	free(j->off);
	j->off = NULL;
	j->lost_told = 0;
}

static int folder_open(struct journal *j)
{
	if (mkdir(j->path, 0700) < 0 && errno != EEXIST)
		return -errno;
	j->folder = open(j->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return j->folder < 0 ? -errno : 0;
}

/* ---- the list of what is there ------------------------------------------------------------------------------------------ */

static int files_add(struct journal *j, uint64_t number, uint64_t bytes)
{
	struct segment_file *more = realloc(j->files, (j->n_files + 1) * sizeof(*more));

	if (!more)
		return -ENOMEM;
	j->files = more;
	j->files[j->n_files++] = (struct segment_file){ number, bytes };
	return 0;
}

static void files_remove(struct journal *j, size_t index)
{
	memmove(&j->files[index], &j->files[index + 1], (j->n_files - index - 1) * sizeof(*j->files));
	j->n_files--;
}

/* How many samples, and until when. What cannot be read counts as far as it can. */
static uint64_t count_samples(const struct segment *s, int64_t *ret_end)
{
	static const struct unpack_fns fns = { 0 };
	struct unpacker *u;
	uint64_t n;

	*ret_end = s->head.begin;
	if (unpacker_new(s->head.begin, &fns, NULL, &u) < 0)
		return 0;
	unpacker_feed(u, s->data, s->length);
	n = unpacker_samples(u);
	*ret_end = unpacker_time(u);
	unpacker_free(u);
	return n;
}

/* The oldest goes. What was not folded is lost. */
static int drop_oldest(struct journal *j)
{
	uint64_t number = j->files[0].number, n = 0;
	struct segment s = { 0 };
	int64_t end = 0;
	int r;

	if (number > j->folded && segment_read(j->folder, number, &s) == 0)
		n = count_samples(&s, &end);
	r = io_unlink(j, number);
	/* What cannot be removed is there still, and is tried again. */
	if (r == 0)
		journal_lose(j, n, s.head.begin, end);
	segment_free(&s);
	if (r == 0 || r == -ENOENT)
		files_remove(j, 0);
	return r == -ENOENT ? 0 : r;
}

void disk_read_folded(struct journal *j)
{
	char text[FOLDED_SIZE + 1] = { 0 };
	ssize_t n;
	int fd;

	if (j->folder < 0)
		return;
	fd = openat(j->folder, JOURNAL_FOLDED, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	/* What is folded already is known in rrd/.state too: kith-fold writes it anew. */
	if (n < 0 || !folded_parse(text, &j->folded))
		log_warning("journal: %s/" JOURNAL_FOLDED " is damaged: no segment is removed until kith-fold has written it anew", j->path);
}

/* ---- at the start -------------------------------------------------------------------------------------------------------- */

/* The end that a crash cut off goes, and it is sealed: nobody will add to it. */
static void mend(struct journal *j, const struct segment *s)
{
	char name[SEGMENT_NAME_SIZE];
	uint8_t seal[SEGMENT_FRAME];
	int fd;

	segment_name(s->head.number, name);
	if (s->lost) {
		log_warning("journal: the last %zu bytes of %s/%s are damaged, and cut off", s->lost, j->path, name);
		j->counts.damaged += s->lost;
	}
	if (s->sealed)
		return;
	fd = io_open(j, name, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return;
	segment_put_seal(s->head.number, s->length, seal);
	if (io_truncate(j, fd, (off_t)s->file_length) == 0 && write(fd, seal, sizeof(seal)) != (ssize_t)sizeof(seal))
		io_truncate(j, fd, (off_t)s->file_length);
	close(fd);
}

/* A segment as the ring's first chunk. 1: it is one; 0: there is no room for it; -ENOMEM */
static int restore(struct journal *j, struct segment *s)
{
	struct chunk *c;

	if (j->ring + s->length > j->config.ring - j->config.chunk)
		return 0;
	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->head = s->head;
	c->samples = c->written_samples = count_samples(s, &c->end);
	c->data = s->data;
	s->data = NULL;
	c->length = c->size = c->written = s->length;
	c->sealed = c->finished = true;
	c->next = j->oldest;
	if (!j->oldest)
		j->newest = c;
	j->oldest = c;
	j->ring += c->size;
	j->counts.restored += c->samples;
	return 1;
}

/* The newest ones, as far back as the ring goes; what a crash left is mended on the way */
static int restore_all(struct journal *j)
{
	int64_t now = model_now(j->model);
	int r = 0;

	for (size_t k = j->n_files; r >= 0 && k-- > 0;) {
		struct segment s;

		r = segment_read(j->folder, j->files[k].number, &s);
		if (r == -ENOMEM)
			break;
		if (r == -ENODATA) {
			/* It was about to be begun. */
			if (io_unlink(j, j->files[k].number) == 0)
				files_remove(j, k);
			r = 0;
			continue;
		}
		if (r < 0) {
			char name[SEGMENT_NAME_SIZE];

			segment_name(j->files[k].number, name);
			log_warning("journal: %s/%s cannot be read: %s", j->path, name, r == -EBADMSG ? "it is no segment" : strerror(-r));
			j->counts.damaged += j->files[k].bytes;
			r = 0;
			continue;
		}
		mend(j, &s);
		/* Of one whose only frame was cut off nothing is left, and those before it are of use all the same. */
		r = s.length ? restore(j, &s) : 1;
		segment_free(&s);
		if (r == 0 || (j->oldest && now - j->oldest->end > j->config.ring_age))
			break;
	}
	return r < 0 ? r : 0;
}

int disk_open(struct journal *j)
{
	int r = folder_open(j);

	if (r == 0)
		r = segment_list(j->folder, &j->files, &j->n_files);
	if (r == -ENOMEM)
		return r;
	if (r < 0) {
		off(j, r, model_now(j->model));
		return 0;
	}
	disk_read_folded(j);
	r = restore_all(j);
	j->number = (j->n_files ? j->files[j->n_files - 1].number : j->folded) + 1;
	if (j->number <= j->folded)
		j->number = j->folded + 1;
	return r;
}

void disk_close(struct journal *j)
{
	if (j->fd >= 0)
		close(j->fd);
	if (j->folder >= 0)
		close(j->folder);
	j->fd = j->folder = -1;
	free(j->files);
	free(j->off);
	j->files = NULL;
	j->off = NULL;
}

/* ---- appending ------------------------------------------------------------------------------------------------------------- */

static void segment_close(struct journal *j)
{
	close(j->fd);
	j->fd = -1;
	if (!j->fd_size)
		io_unlink(j, j->fd_number); /* nothing of it got through */
	else
		files_add(j, j->fd_number, (uint64_t)j->fd_size); /* without memory it is found again at the next start */
	j->fd_size = 0;
	j->torn = false;
}

static int segment_open(struct journal *j, const struct chunk *c)
{
	char name[SEGMENT_NAME_SIZE];
	int fd;

	if (j->fd >= 0 && j->fd_number == c->head.number)
		return 0;
	if (j->fd >= 0)
		segment_close(j); /* its chunk had to leave memory before it was written whole */
	segment_name(c->head.number, name);
	fd = io_open(j, name, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC | O_NOFOLLOW);
	if (fd == -ENOENT) {
		/* Somebody has removed the folder. */
		close(j->folder);
		j->folder = -1;
	}
	if (fd < 0)
		return fd;
	j->fd = fd;
	j->fd_number = c->head.number;
	j->fd_size = 0;
	return 0;
}

/* What is new of it: head, frame and seal by one write. A part of it would be worth nothing, and is taken back. */
static int chunk_write(struct journal *j, struct chunk *c, int64_t now)
{
	uint8_t head[SEGMENT_HEAD], frame[SEGMENT_FRAME], seal[SEGMENT_FRAME];
	size_t payload = c->length - c->written, total = 0;
	struct iovec iov[4];
	ssize_t done;
	int n = 0, r = segment_open(j, c);

	if (r < 0)
		return r;
	if (!j->fd_size) {
		segment_put_head(&c->head, head);
		iov[n++] = (struct iovec){ head, sizeof(head) };
	}
	if (payload) {
		segment_put_frame(c->data + c->written, payload, frame);
		iov[n++] = (struct iovec){ frame, sizeof(frame) };
		iov[n++] = (struct iovec){ c->data + c->written, payload };
	}
	if (c->sealed) {
		segment_put_seal(c->head.number, c->length, seal);
		iov[n++] = (struct iovec){ seal, sizeof(seal) };
	}
	for (int i = 0; i < n; i++)
		total += iov[i].iov_len;
	done = io_writev(j, iov, n);
	if (done != (ssize_t)total) {
		r = done < 0 ? (int)done : -ENOSPC;
		j->torn = done > 0 && io_truncate(j, j->fd, j->fd_size) < 0;
		return r;
	}
	j->fd_size += done;
	j->dirty = true;
	j->counts.appends++;
	j->counts.written += total;
	c->written = c->length;
	c->written_samples = c->samples;
	if (c->sealed) {
		c->finished = true;
		j->synced = 0; /* a whole segment is worth a sync */
		disk_sync(j, now);
		segment_close(j);
	}
	return 0;
}

static int chunk_append(struct journal *j, struct chunk *c, int64_t now)
{
	int r = 0;

	if (j->torn && (r = io_truncate(j, j->fd, j->fd_size)) == 0)
		j->torn = false;
	if (r == 0)
		r = chunk_write(j, c, now);
	/* The oldest makes room for the newest. */
	if ((r == -ENOSPC || r == -EDQUOT) && !j->torn && j->n_files && drop_oldest(j) == 0)
		r = chunk_write(j, c, now);
	return r;
}

void disk_append(struct journal *j, int64_t now)
{
	int r = 0;

	if (j->off && now < j->retry && now > j->retry - 2 * RETRY)
		return;
	if (j->folder < 0)
		r = folder_open(j);
	for (struct chunk *c = j->oldest; r == 0 && c; c = c->next)
		if (!c->finished && (c->length > c->written || (c->sealed && c->length)))
			r = chunk_append(j, c, now);
	if (r < 0)
		off(j, r, now);
	else
		on(j);
}

void disk_sync(struct journal *j, int64_t now)
{
	if (!j->dirty || j->fd < 0 || (j->synced && now - j->synced < j->config.sync && now >= j->synced))
		return;
	if (j->config.flush && j->config.flush(j->fd, j->config.user) != 0)
		return;
	j->synced = now;
	j->dirty = false;
}

void disk_trim(struct journal *j)
{
	uint64_t total = (uint64_t)j->fd_size;

	if (j->folder < 0)
		return;
	for (size_t i = 0; i < j->n_files; i++)
		total += j->files[i].bytes;
	while (j->n_files) {
		const struct segment_file *f = &j->files[0];
		/* The one that was folded last says what its series were: the next fold begins with it. */
		bool done = f->number < j->folded && f->number < j->oldest->head.number;
		uint64_t bytes = f->bytes;

		if (!done && total <= j->config.disk)
			return;
		if (drop_oldest(j) < 0)
			return;
		total -= bytes;
	}
}
