/* Triggers of the kernel's pressure stall information. Its files always report EPOLLIN; a trigger reports EPOLLPRI. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "source/kinds.h"
#include "sources/pressure.h"

struct pressure_reader {
	struct source *source;
	struct loop *loop;
};

struct trigger {
	struct pressure_reader *reader;
	struct source_sub *sub;
	struct loop_watch *watch;
	int fd;
	uint32_t flags;
	char path[];
};

static int pressure_open(struct source *s, const struct source_env *env, void **ret_reader)
{
	struct pressure_reader *p = malloc(sizeof(*p));

	if (!p)
		return -ENOMEM;
	*p = (struct pressure_reader){ s, env->loop };
	*ret_reader = p;
	return 0;
}

static void pressure_close(void *reader)
{
	free(reader);
}

static void pressure_remove(void *reader, void *own)
{
	struct trigger *t = own;

	(void)reader;
	if (!t)
		return;
	loop_remove(t->reader->loop, t->watch);
	close(t->fd);
	free(t);
}

/* A group that is removed takes its file away: the trigger then reports an error for good, and reading says ENODEV. */
static bool pressure_gone(int fd)
{
	char byte;

	return pread(fd, &byte, 1, 0) < 0 && errno != EINTR;
}

static void pressure_cb(int fd, unsigned events, void *user)
{
	struct trigger *t = user;
	struct kith_pressure_event event = { sizeof(event), t->flags, t->path, clock_wall() };

	(void)events;
	if (!pressure_gone(fd)) {
		source_tell_one(t->sub, &event);
		return;
	}
	loop_remove(t->reader->loop, t->watch);
	t->watch = NULL;
	source_tell_one(t->sub, NULL);
}

static int trigger_set(struct trigger *t, const char *root, const struct kith_pressure_filter *f)
{
	struct buf path = BUF_INIT;
	char text[64];
	int length, r = 0;

	buf_printf(&path, "%s%s", root, f->path);
	t->fd = open(buf_text(&path), O_RDWR | O_NONBLOCK | O_CLOEXEC);
	buf_free(&path);
	if (t->fd < 0)
		return -errno;
	length = snprintf(text, sizeof(text), "%s %lld %lld", f->flags & KITH_PRESSURE_FULL ? "full" : "some",
	                  (long long)(f->stall / 1000), (long long)(f->window / 1000));
	/* With its NUL: the kernel cuts the last byte off. A trigger that was refused and is waited for spins. */
	if (write(t->fd, text, (size_t)length + 1) < 0) {
		r = -errno;
		close(t->fd);
	}
	return r;
}

static int pressure_add(void *reader, struct source_sub *sub, const void *filter, void **ret_own)
{
	const struct kith_pressure_filter *f = filter;
	struct pressure_reader *p = reader;
	struct trigger *t;
	int r;

	if (!f->path || *f->path != '/' || f->stall <= 0 || f->window < f->stall || f->window > 10 * NS_PER_S)
		return -EINVAL;
	t = calloc(1, sizeof(*t) + strlen(f->path) + 1);
	if (!t)
		return -ENOMEM;
	t->reader = p;
	t->sub = sub;
	t->flags = f->flags & KITH_PRESSURE_FULL;
	memcpy(t->path, f->path, strlen(f->path) + 1);
	r = trigger_set(t, source_env(p->source)->root, f);
	if (r < 0)
		goto fail;
	r = loop_pri(p->loop, t->fd, pressure_cb, t, &t->watch);
	if (r < 0)
		goto fail_fd;
	*ret_own = t;
	return 0;
fail_fd:
	close(t->fd);
fail:
	free(t);
	return r;
}

const struct source_kind source_pressure = {
	.id = KITH_SOURCE_PRESSURE,
	.name = "pressure",
	.filter_size = sizeof(struct kith_pressure_filter),
	.filter_needed = true,
	.open = pressure_open,
	.close = pressure_close,
	.add = pressure_add,
	.remove = pressure_remove,
};
