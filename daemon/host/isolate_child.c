/* The processes of isolated plugins: kithd itself, started again with --isolated. */
#include "host/isolate.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "host/wire.h"

#define TERM_TIME (500 * NS_PER_MS) /* from SIGTERM to SIGKILL */
#define KILL_TIME (200 * NS_PER_MS) /* that kithd's own exit waits for after SIGKILL */
#define SELF "/proc/self/exe"       /* also when the file was replaced meanwhile: both ends stay one program */

extern char **environ;

static void child_free(struct isolate_child *c)
{
	struct loop *loop = c->host->parts.loop;

	loop_remove(loop, c->exit);
	loop_remove(loop, c->kill);
	*c->link = c->next;
	if (c->next)
		c->next->link = c->link;
	free(c);
}

void isolate_child_kill(struct isolate_child *c)
{
	kill(c->pid, SIGKILL);
}

static void kill_cb(void *user)
{
	isolate_child_kill(user);
}

void isolate_child_end(struct isolate_child *c)
{
	kill(c->pid, SIGTERM);
	loop_timer_set(c->host->parts.loop, c->kill, TERM_TIME);
}

void isolate_child_let_go(struct isolate_child *c)
{
	c->isolate = NULL;
	isolate_child_end(c);
}

/* A plugin that waited for the end of its last process */
static void child_gone(struct host *h, const char *name)
{
	for (struct plugin *p = h->plugins; p; p = p->next)
		if (p->waits && !strcmp(p->name, name)) {
			model_set_now(h->parts.model, clock_wall());
			plugin_load(p);
			return;
		}
}

bool isolate_wait(struct plugin *p)
{
	p->waits = false;
	for (struct isolate_child *c = p->host->isolated; c; c = c->next)
		if (!c->isolate && !strcmp(c->name, p->name))
			p->waits = true;
	if (p->waits) {
		p->state = HOST_BACKED_OFF;
		plugin_set_reason(p, "waits for the end of its last process");
	}
	return p->waits;
}

static void exit_cb(pid_t pid, int status, void *user)
{
	struct isolate_child *c = user;
	struct isolate *i = c->isolate;
	struct host *h = c->host;
	char name[NAME_INSTANCE_MAX + 1];

	(void)pid;
	strcpy(name, c->name);
	/* What it left behind in its group goes with it. */
	kill(-c->pid, SIGKILL);
	c->exit = NULL; /* the loop takes this one itself */
	child_free(c);
	if (i)
		isolate_ended(i, status);
	else
		child_gone(h, name);
}

/* kithd's own, but for what is between it and its supervisor alone; freed by the caller */
static char **child_environment(void)
{
	size_t n = 0;
	char **env;

	for (char **e = environ; *e; e++)
		n++;
	env = calloc(n + 1, sizeof(*env));
	if (!env)
		return NULL;
	n = 0;
	for (char **e = environ; *e; e++)
		if (strncmp(*e, "NOTIFY_SOCKET=", 14) != 0 && strncmp(*e, "WATCHDOG_", 9) != 0)
			env[n++] = *e;
	return env;
}

static int child_exec(struct plugin *p, int fd, pid_t *ret_pid)
{
	const struct host_parts *parts = &p->host->parts;
	const char *slash = strrchr(p->path, '/');
	char *folder = strndup(p->path, slash ? (size_t)(slash - p->path) : 0), **env = child_environment();
	const char *argv[] = { "kithd", "--isolated", p->name, "--plugin-dir", folder, "-c", parts->config,
		               parts->state ? "--state-dir" : NULL, parts->state, NULL, NULL };
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t set;
	int r = ENOMEM;

	if (parts->foreground)
		argv[parts->state ? 9 : 7] = "-f";
	if (!folder || !env)
		goto out;
	posix_spawn_file_actions_init(&files);
	posix_spawnattr_init(&attr);
	posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	/* Standard output and error are kithd's: it logs there too. All others are close-on-exec. */
	posix_spawn_file_actions_adddup2(&files, fd, WIRE_FD);
	sigemptyset(&set);
	posix_spawnattr_setsigmask(&attr, &set);
	sigfillset(&set);
	posix_spawnattr_setsigdefault(&attr, &set);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	r = posix_spawn(ret_pid, SELF, &files, &attr, (char *const *)(uintptr_t)argv, env);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&files);
out:
	free(folder);
	free(env);
	return -r;
}

int isolate_child_start(struct isolate *i, struct plugin *p, struct isolate_child **ret_child, int *ret_fd)
{
	struct host *h = p->host;
	struct isolate_child *c = calloc(1, sizeof(*c) + strlen(p->name) + 1);
	int ends[2], r;

	if (!c)
		return -ENOMEM;
	c->host = h;
	c->isolate = i;
	strcpy(c->name, p->name);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0) {
		r = -errno;
		free(c);
		return r;
	}
	r = child_exec(p, ends[1], &c->pid);
	close(ends[1]);
	if (r < 0)
		goto fail;
	r = loop_child(h->parts.loop, c->pid, exit_cb, c, &c->exit);
	if (r == 0)
		r = loop_timer(h->parts.loop, -1, 0, 0, kill_cb, c, &c->kill);
	if (r < 0) {
		kill(c->pid, SIGKILL);
		waitpid(c->pid, NULL, 0);
		goto fail;
	}
	c->next = h->isolated;
	c->link = &h->isolated;
	if (c->next)
		c->next->link = &c->next;
	h->isolated = c;
	*ret_child = c;
	*ret_fd = ends[0];
	return 0;
fail:
	loop_remove(h->parts.loop, c->exit);
	close(ends[0]);
	free(c);
	return r;
}

/* ---- kithd's own exit ------------------------------------------------------------------------------------------- */

void isolate_end_all(struct host *h)
{
	for (struct isolate_child *c = h->isolated; c; c = c->next)
		isolate_child_end(c);
}

/* Has it ended before `by` (mono ns)? */
static bool child_reap(pid_t pid, int64_t by)
{
	struct pollfd p = { .fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN };
	int64_t left = by - clock_mono();
	bool ended;

	if (p.fd >= 0) {
		poll(&p, 1, left > 0 ? (int)(left / NS_PER_MS) + 1 : 0);
		close(p.fd);
	}
	ended = waitpid(pid, NULL, WNOHANG) != 0;
	if (ended)
		kill(-pid, SIGKILL);
	return ended;
}

void isolate_reap_all(struct host *h)
{
	int64_t by = clock_mono() + TERM_TIME;

	for (struct isolate_child *c = h->isolated, *next; c; c = next) {
		next = c->next;
		if (child_reap(c->pid, by))
			child_free(c);
	}
	for (struct isolate_child *c = h->isolated; c; c = c->next)
		isolate_child_kill(c);
	by = clock_mono() + KILL_TIME;
	while (h->isolated) {
		/* One that even SIGKILL does not end sleeps in the kernel: it ends when it wakes. */
		if (!child_reap(h->isolated->pid, by))
			log_warning("the process %d of plugin %s does not end yet", (int)h->isolated->pid, h->isolated->name);
		child_free(h->isolated);
	}
}
