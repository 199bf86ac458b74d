/*
 * The files of plugins: opened below the root, read into one buffer that all share. What two plugins read on the same tick (/proc/stat) is read
 * once: making that text is most of what a round costs, and both then speak of the same moment.
 */
#include "host/impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_BUFFER_FIRST (16u << 10)
#define READ_BUFFER_MAX (4u << 20)
#define SHORT_READ 2048u             /* half of a page */
#define LOOK_EVERY 60
#define SHARED_TEXT_MAX (256u << 10) /* larger ones are read by each */

/* A descriptor that h->open gave out. It is the plugin's, which may close it unseen: its file is looked at again before it is believed. */
struct opened {
	struct opened *next;
	struct plugin *plugin;
	int fd;
	dev_t dev;
	ino_t ino;
	struct shared_text *shared; /* NULL: nobody else has this file open */
	bool whole;                 /* one read gave all of it, the last time that its end was looked for */
	uint8_t reads;              /* since then */
};

/* The text of a file that several have open */
struct shared_text {
	unsigned users;
	uint64_t tick; /* on which it was read; 0: not yet */
	char *text;
	size_t length, size;
};

static const char *root_of(const struct host *h)
{
	return h->parts.conf && h->parts.conf->root ? h->parts.conf->root : "";
}

static void opened_free(struct opened **at)
{
	struct opened *o = *at;

	*at = o->next;
	if (o->shared && !--o->shared->users) {
		free(o->shared->text);
		free(o->shared);
	}
	free(o);
}

void reading_forget(struct plugin *p)
{
	for (struct opened **at = &p->host->opened; *at;)
		if ((*at)->plugin == p)
			opened_free(at);
		else
			at = &(*at)->next;
}

/* Without memory for it the file is read by each, which is no fault. */
static void opened_add(struct plugin *p, int fd)
{
	struct host *h = p->host;
	struct opened *o, *twin = NULL;
	struct stat st;

	for (struct opened **at = &h->opened; *at;)
		if ((*at)->fd == fd)
			opened_free(at);
		else
			at = &(*at)->next;
	if (fstat(fd, &st) < 0 || !(o = calloc(1, sizeof(*o))))
		return;
	*o = (struct opened){ h->opened, p, fd, st.st_dev, st.st_ino, NULL };
	for (twin = h->opened; twin && (twin->dev != o->dev || twin->ino != o->ino);)
		twin = twin->next;
	h->opened = o;
	if (!twin)
		return;
	if (!twin->shared && (twin->shared = calloc(1, sizeof(*twin->shared))))
		twin->shared->users = 1;
	o->shared = twin->shared;
	if (o->shared)
		o->shared->users++;
}

int reading_open(const struct kith_host *t, const char *path)
{
	struct plugin *p = table_plugin(t);
	char full[4096];
	int fd;

	if (*path != '/' || snprintf(full, sizeof(full), "%s%s", root_of(p->host), path) >= (int)sizeof(full))
		return -EINVAL;
	fd = open(full, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return -errno;
	opened_add(p, fd);
	return fd;
}

const char *reading_root(const struct kith_host *t)
{
	return root_of(table_plugin(t)->host);
}

static int buffer_reserve(char **buffer, size_t *size, size_t wanted)
{
	size_t next = *size ? *size : READ_BUFFER_FIRST;
	char *larger;

	while (next < wanted)
		next *= 2;
	if (next > READ_BUFFER_MAX)
		return -EFBIG;
	if (next == *size)
		return 0;
	larger = realloc(*buffer, next);
	if (!larger)
		return -ENOMEM;
	*buffer = larger;
	*size = next;
	return 0;
}

/*
 * A read of a file in /proc gives at least as many whole records as fit a page, so that after a short one the end has come, unless a record of half a
 * page follows. No file of which one read was all at the last look has such; the look is taken again now and then.
 */
static bool read_is_all(struct opened *o, size_t length)
{
	if (!o || !o->whole || length > SHORT_READ || ++o->reads >= LOOK_EVERY)
		return false;
	return true;
}

static int read_whole(struct host *h, int fd, struct opened *o, size_t *ret_length)
{
	size_t length = 0, pieces = 0;
	ssize_t n;
	int r;

	for (;;) {
		r = buffer_reserve(&h->buffer, &h->buffer_size, length + 2);
		if (r < 0)
			return r;
		n = pread(fd, h->buffer + length, h->buffer_size - length - 1, (off_t)length);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		length += (size_t)n;
		if (!pieces++ && read_is_all(o, length)) {
			h->buffer[length] = '\0';
			*ret_length = length;
			return 0;
		}
	}
	if (o) {
		o->whole = pieces == 1 && length <= SHORT_READ;
		o->reads = 0;
	}
	h->buffer[length] = '\0';
	*ret_length = length;
	return 0;
}

/* What is known of the plugin's descriptor; NULL: nothing */
static struct opened *opened_of(struct plugin *p, int fd)
{
	for (struct opened *o = p->host->opened; o; o = o->next)
		if (o->fd == fd && o->plugin == p)
			return o;
	return NULL;
}

static bool opened_is(const struct opened *o)
{
	struct stat st;

	return fstat(o->fd, &st) == 0 && st.st_dev == o->dev && st.st_ino == o->ino;
}

/* The text that stands for this descriptor on this tick; NULL: it is read for this plugin alone. */
static struct shared_text *shared_of(struct host *h, const struct opened *o)
{
	if (!h->in_tick || !o || !o->shared || o->shared->users < 2 || !opened_is(o))
		return NULL;
	return o->shared;
}

static void shared_keep(struct host *h, struct shared_text *s, size_t length)
{
	if (length >= SHARED_TEXT_MAX || (s->size < length + 1 && buffer_reserve(&s->text, &s->size, length + 1) < 0))
		return;
	memcpy(s->text, h->buffer, length + 1);
	s->length = length;
	s->tick = h->tick;
}

int reading_read(const struct kith_host *t, int fd, char **ret_text, size_t *ret_length)
{
	struct plugin *p = table_plugin(t);
	struct host *h = p->host;
	struct opened *o = opened_of(p, fd);
	struct shared_text *s = shared_of(h, o);
	size_t length = 0;
	int r;

	if (s && s->tick == h->tick && buffer_reserve(&h->buffer, &h->buffer_size, s->length + 1) == 0) {
		/* A copy: the reader may take its text apart in place. */
		length = s->length;
		memcpy(h->buffer, s->text, length + 1);
	} else {
		r = read_whole(h, fd, o, &length);
		if (r < 0)
			return r;
		if (s)
			shared_keep(h, s, length);
	}
	*ret_text = h->buffer;
	if (ret_length)
		*ret_length = length;
	return 0;
}
