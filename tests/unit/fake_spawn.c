#include "fake_spawn.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The handle is the place in `all`; it lies behind no watch of the fake host. */
static struct fake_spawned *spawned(struct fake_spawn *s, struct kith_watch *w)
{
	struct fake_spawned *p = (struct fake_spawned *)(void *)w;

	return p >= s->all && p < s->all + FAKE_SPAWNS_MAX ? p : NULL;
}

static struct fake_spawn *of_host(const struct kith_host *h)
{
	return ((struct fake_host *)h->self)->watch_data;
}

static int do_spawn_capture(const struct kith_host *h, const struct kith_program *program, kith_ended_fn fn, void *user,
                            struct kith_watch **ret_watch)
{
	struct fake_spawn *s = of_host(h);
	struct fake_spawned *p = s->all;
	size_t n = 0;

	if (program->size != sizeof(*program) || program->flags || program->argv[0][0] != '/' || program->timeout <= 0 || !program->keep) {
		fprintf(stderr, "fake_spawn: a bad request\n");
		abort();
	}
	if (s->fail)
		return s->fail;
	while (p < s->all + FAKE_SPAWNS_MAX && p->runs)
		p++;
	if (p == s->all + FAKE_SPAWNS_MAX) {
		fprintf(stderr, "fake_spawn: too many run\n");
		abort();
	}
	*p = (struct fake_spawned){ .runs = true, .timeout = program->timeout, .fn = fn, .user = user };
	for (const char *const *a = program->argv; *a && n < sizeof(p->line); a++)
		n += (size_t)snprintf(p->line + n, sizeof(p->line) - n, "%s%s", n ? " " : "", *a);
	s->running++;
	s->started++;
	*ret_watch = (struct kith_watch *)(void *)p;
	return 0;
}

static void do_unwatch(const struct kith_host *h, struct kith_watch *w)
{
	struct fake_spawn *s = of_host(h);
	struct fake_spawned *p = spawned(s, w);

	if (!p) {
		s->unwatch(h, w);
		return;
	}
	if (!p->runs) {
		fprintf(stderr, "fake_spawn: %s is unwatched, but has ended\n", p->line);
		abort();
	}
	p->runs = false;
	s->running--;
	s->killed++;
}

void fake_spawn_use(struct fake_spawn *s, struct fake_host *f)
{
	*s = (struct fake_spawn){ .f = f, .unwatch = f->host.unwatch };
	f->watch_data = s;
	f->host.unwatch = do_unwatch;
	f->host.spawn_capture = do_spawn_capture;
}

static struct fake_spawned *find(const struct fake_spawn *s, const char *line)
{
	for (size_t k = 0; k < FAKE_SPAWNS_MAX; k++)
		if (s->all[k].runs && !strncmp(s->all[k].line, line, strlen(line)))
			return (struct fake_spawned *)(uintptr_t)&s->all[k];
	return NULL;
}

bool fake_spawn_runs(const struct fake_spawn *s, const char *line)
{
	return find(s, line);
}

int fake_spawn_end(struct fake_spawn *s, const char *line, int status, uint32_t flags, const char *output, const char *error)
{
	struct fake_spawned *p = find(s, line);
	struct kith_ended ended = { .size = sizeof(ended), .flags = flags, .status = status, .output = output, .error = error,
		                    .output_length = strlen(output), .error_length = strlen(error), .took = 1000000 };

	if (!p)
		return -ENOENT;
	p->runs = false;
	s->running--;
	return p->fn(&ended, p->user);
}
