/*
 * spawn_capture of a fake host: nothing is run, the test says how a program ends.
 *
 *   struct fake_spawn s;
 *   fake_spawn_use(&s, f);              // before fake_host_start
 *   fake_spawn_end(&s, "/bin/x", 0, 0, "OK | a=1", "");
 *
 * At most FAKE_SPAWNS_MAX run at a time.
 */
#ifndef KITH_TESTS_FAKE_SPAWN_H
#define KITH_TESTS_FAKE_SPAWN_H

#include "fake_host.h"

#define FAKE_SPAWNS_MAX 32

struct fake_spawn {
	struct fake_host *f;
	struct fake_spawned {
		bool runs;
		char line[256]; /* argv, with a blank between */
		int64_t timeout;
		kith_ended_fn fn;
		void *user;
	} all[FAKE_SPAWNS_MAX];
	unsigned running, started, killed;
	int fail; /* -errno that the next starts give */
	void (*unwatch)(const struct kith_host *h, struct kith_watch *watch); /* the fake host's own */
};

void fake_spawn_use(struct fake_spawn *s, struct fake_host *f);
/* Does a program run whose arguments begin so? */
bool fake_spawn_runs(const struct fake_spawn *s, const char *line);
/* Its end; what the callback gave. -ENOENT: it does not run */
int fake_spawn_end(struct fake_spawn *s, const char *line, int status, uint32_t flags, const char *output, const char *error);

#endif
