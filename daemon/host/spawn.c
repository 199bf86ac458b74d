#include "host/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

#define CHILD_TIMEOUT_DEFAULT (60 * NS_PER_S)
#define CHILD_INPUT_MAX (60 * 1024) /* fits a pipe's 64 KiB: written at once, never waited for */
#define CHILD_ENV_MAX 256

extern char **environ;

struct child {
	struct child *next, **link; /* of those that run */
	struct loop *loop;
	pid_t pid;
	struct loop_watch *exit, *timer;
	bool timed_out, forgotten;
	child_fn done;
	void *user;
};

static void child_free(struct child *c)
{
	*c->link = c->next;
	if (c->next)
		c->next->link = c->link;
	loop_remove(c->loop, c->timer);
	free(c);
}

static void child_exit_cb(pid_t pid, int status, void *user)
{
	struct child *c = user;

	/* What it left behind in its group goes with it. */
	kill(-pid, SIGKILL);
	if (!c->forgotten)
		c->done(status, c->timed_out, c->user);
	child_free(c);
}

static void child_timeout_cb(void *user)
{
	struct child *c = user;

	c->timed_out = true;
	kill(-c->pid, SIGKILL);
}

void child_forget(struct child *c)
{
	c->forgotten = true;
	kill(-c->pid, SIGKILL);
}

void children_end(struct children *all)
{
	while (all->first) {
		struct child *c = all->first;

		kill(-c->pid, SIGKILL);
		waitpid(c->pid, NULL, WNOHANG);
		loop_remove(c->loop, c->exit);
		child_free(c);
	}
}

/* Standard input: the text in a pipe, or /dev/null */
static int child_input(const struct child_request *request, int *ret_fd)
{
	int ends[2], r;

	if (!request->input) {
		*ret_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
		return *ret_fd < 0 ? -errno : 0;
	}
	if (request->input_length > CHILD_INPUT_MAX)
		return -E2BIG;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	if (write(ends[1], request->input, request->input_length) != (ssize_t)request->input_length) {
		r = errno ? -errno : -EIO;
		close(ends[0]);
		close(ends[1]);
		return r;
	}
	close(ends[1]);
	*ret_fd = ends[0];
	return 0;
}

/* The daemon's environment and what is added; on the stack, borrowed strings */
static void child_environment(const char *const *more, const char *env[CHILD_ENV_MAX + 1])
{
	size_t n = 0;

	for (; more && *more && n < CHILD_ENV_MAX; more++)
		env[n++] = *more;
	for (char **e = environ; *e && n < CHILD_ENV_MAX; e++)
		if (strncmp(*e, "KITH_", 5) != 0 && strncmp(*e, "NOTIFY_SOCKET=", 14) != 0)
			env[n++] = *e;
	env[n] = NULL;
}

static int child_spawn(const struct child_request *request, int input, pid_t *ret_pid)
{
	const char *env[CHILD_ENV_MAX + 1];
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t set;
	int r;

	child_environment(request->env, env);
	posix_spawn_file_actions_init(&files);
	posix_spawnattr_init(&attr);
	posix_spawn_file_actions_adddup2(&files, input, STDIN_FILENO);
	posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
	posix_spawn_file_actions_addopen(&files, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	/* All other descriptors are close-on-exec. */
	sigemptyset(&set);
	posix_spawnattr_setsigmask(&attr, &set);
	sigfillset(&set);
	posix_spawnattr_setsigdefault(&attr, &set);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	r = posix_spawn(ret_pid, request->argv[0], &files, &attr, (char *const *)(uintptr_t)request->argv,
	                (char *const *)(uintptr_t)env);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&files);
	return -r;
}

int child_start(struct children *all, const struct child_request *request, struct child **ret_child)
{
	struct child *c = calloc(1, sizeof(*c));
	int input = -1, r;

	if (!c)
		return -ENOMEM;
	*c = (struct child){ .loop = all->loop, .done = request->done, .user = request->user };
	r = child_input(request, &input);
	if (r < 0)
		goto fail;
	r = child_spawn(request, input, &c->pid);
	close(input);
	if (r < 0)
		goto fail;
	r = loop_child(c->loop, c->pid, child_exit_cb, c, &c->exit);
	if (r < 0) {
		log_err("child %d cannot be watched (%s); it is killed", (int)c->pid, strerror(-r));
		kill(-c->pid, SIGKILL);
		goto fail;
	}
	/* Without a timer the child would only be unbounded; it still runs. */
	r = loop_timer(c->loop, request->timeout > 0 ? request->timeout : CHILD_TIMEOUT_DEFAULT, 0, 10 * NS_PER_MS, child_timeout_cb, c,
	               &c->timer);
	if (r < 0)
		log_warning("child %d runs without a time limit: %s", (int)c->pid, strerror(-r));
	c->next = all->first;
	c->link = &all->first;
	if (c->next)
		c->next->link = &c->next;
	all->first = c;
	*ret_child = c;
	return 0;
fail:
	free(c);
	return r;
}
