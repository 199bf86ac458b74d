/* The mount table: read when the kernel says that it has changed */
#include "source/mount.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "source/kinds.h"

#define GAP_LEAST (20 * NS_PER_MS) /* between two readings; twice as long with each that follows at once, as in a storm of containers */
#define GAP_MOST NS_PER_S
#define READ_FIRST (32u << 10)

struct mount_reader {
	struct source *source;
	struct loop *loop;
	struct loop_watch *watch; /* NULL: the file tells nothing of its changes */
	struct loop_watch *timer; /* for a reading that waits */
	struct mount_table table;
	int64_t read_at;          /* mono ns */
	int64_t gap;
	int fd;
	bool cut, waits, telling;
};

/* All of the file. Bigger than MOUNT_TEXT_MAX: whole lines of its begin. */
static int read_text(struct mount_reader *m, char **ret_text, size_t *ret_length)
{
	size_t size = READ_FIRST, length = 0;
	char *text = NULL;
	ssize_t n = 1;

	while (n > 0 && length < MOUNT_TEXT_MAX) {
		char *more = realloc(text, size + 1);

		if (!more) {
			free(text);
			return -ENOMEM;
		}
		text = more;
		while (length < size && (n = pread(m->fd, text + length, size - length, (off_t)length)) > 0)
			length += (size_t)n;
		size *= 2;
	}
	if (n < 0) {
		int r = -errno;

		free(text);
		return r;
	}
	m->cut = n > 0;
	while (m->cut && length && text[length - 1] != '\n')
		length--;
	text[length] = '\0';
	*ret_text = text;
	*ret_length = length;
	return 0;
}

static int table_read(struct mount_reader *m, struct mount_table *ret_table)
{
	bool cut = m->cut;
	size_t length = 0;
	char *text = NULL;
	int r;

	m->read_at = clock_mono();
	r = read_text(m, &text, &length);
	if (r < 0)
		return r;
	if (m->cut && !cut)
		log_warning("mounts: the table is longer than %u MiB: what is behind that is not followed", MOUNT_TEXT_MAX >> 20);
	return mount_table_parse_take(text, length, ret_table);
}

static struct kith_mount_event settled(const struct mount_reader *m)
{
	return (struct kith_mount_event){ .size = sizeof(struct kith_mount_event), .what = KITH_MOUNT_SETTLED, .time = clock_wall(),
		                          .flags = (m->watch ? 0 : KITH_MOUNT_UNWATCHED) | (m->cut ? KITH_MOUNT_CUT : 0) };
}

static void tell_one(const struct kith_mount_event *e, void *user)
{
	struct mount_reader *m = user;
	struct kith_mount_event timed = *e;

	timed.time = clock_wall();
	source_tell(m->source, &timed);
}

/* The source is held by the caller. */
static int look(struct mount_reader *m)
{
	struct mount_table new, old = m->table;
	struct kith_mount_event end;
	int r = table_read(m, &new);

	if (r < 0)
		return r;
	m->table = new;
	m->telling = true;
	mount_table_compare(&old, &new, tell_one, m);
	end = settled(m);
	source_tell(m->source, &end);
	m->telling = false;
	mount_table_free(&old);
	return 0;
}

static void look_later(struct mount_reader *m, int64_t after)
{
	m->waits = true;
	loop_timer_set(m->loop, m->timer, after);
}

static void look_now(struct mount_reader *m)
{
	int r;

	m->waits = false;
	source_hold(m->source);
	r = look(m);
	if (!source_release(m->source) || r == 0)
		return;
	log_warning("mounts: the table cannot be read: %s; it is tried again", strerror(-r));
	m->gap = GAP_MOST;
	look_later(m, GAP_MOST);
}

static void mount_timer(void *user)
{
	struct mount_reader *m = user;

	if (m->waits)
		look_now(m);
}

static void mount_cb(int fd, unsigned events, void *user)
{
	struct mount_reader *m = user;
	int64_t since = clock_mono() - m->read_at;

	(void)fd;
	(void)events;
	if (m->waits)
		return;
	if (since >= m->gap) {
		m->gap = since >= 2 * GAP_MOST ? GAP_LEAST : m->gap > GAP_LEAST ? m->gap / 2 : GAP_LEAST;
		look_now(m);
		return;
	}
	look_later(m, m->gap - since);
	m->gap = 2 * m->gap < GAP_MOST ? 2 * m->gap : GAP_MOST;
}

/* Below another root "self" would be nobody there: what its first process sees counts. */
static int table_open(const struct source_env *env)
{
	static const char *const names[] = { "/proc/1/mountinfo", "/proc/self/mountinfo" };
	int fd = -ENOENT;

	for (size_t i = *env->root ? 0 : 1; fd < 0 && i < KITH_COUNT(names); i++) {
		struct buf path = BUF_INIT;

		buf_printf(&path, "%s%s", env->root, names[i]);
		fd = open(buf_text(&path), O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			fd = -errno;
		buf_free(&path);
	}
	return fd;
}

static int mount_open(struct source *s, const struct source_env *env, void **ret_reader)
{
	struct mount_reader *m = calloc(1, sizeof(*m));
	int r;

	if (!m)
		return -ENOMEM;
	m->source = s;
	m->loop = env->loop;
	m->gap = GAP_LEAST;
	r = m->fd = table_open(env);
	if (r < 0)
		goto fail;
	/* Before it is read: what changes meanwhile is told of. A plain file, as in a recorded tree, cannot be waited for. */
	r = loop_pri(env->loop, m->fd, mount_cb, m, &m->watch);
	if (r < 0 && r != -EPERM)
		goto fail_fd;
	r = loop_timer(env->loop, GAP_MOST, 0, 0, mount_timer, m, &m->timer);
	if (r < 0)
		goto fail_watch;
	loop_timer_set(env->loop, m->timer, -1);
	r = table_read(m, &m->table);
	if (r < 0 && r != -EBADMSG)
		goto fail_watch;
	/*
	 * The kernel says only once that the table has changed: what changes before the loop waits for it is said to nobody. The timer is up after that.
	 */
	if (r < 0 || m->watch)
		look_later(m, r < 0 ? GAP_MOST : 0);
	*ret_reader = m;
	return 0;
fail_watch:
	loop_remove(env->loop, m->timer);
	loop_remove(env->loop, m->watch);
fail_fd:
	close(m->fd);
fail:
	free(m);
	return r;
}

static void mount_close(void *reader)
{
	struct mount_reader *m = reader;

	loop_remove(m->loop, m->timer);
	loop_remove(m->loop, m->watch);
	mount_table_free(&m->table);
	close(m->fd);
	free(m);
}

static int mount_dump(void *reader, const void *filter, int (*fn)(const void *event, void *user), void *user)
{
	const struct kith_mount_filter *f = filter;
	struct mount_reader *m = reader;
	struct kith_mount_event end;
	int r = 0;

	if (f && f->flags & KITH_MOUNT_AGAIN && !m->telling)
		r = look(m);
	for (size_t i = 0; r >= 0 && i < m->table.n; i++)
		r = fn(&m->table.mounts[i], user);
	if (r < 0)
		return r;
	end = settled(m);
	return fn(&end, user);
}

const struct source_kind source_mount = {
	.id = KITH_SOURCE_MOUNT,
	.name = "mount",
	.filter_size = sizeof(struct kith_mount_filter),
	.open = mount_open,
	.close = mount_close,
	.dump = mount_dump,
};
