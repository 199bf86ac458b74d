#include "host/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

#define CHILD_TIMEOUT_DEFAULT (60 * NS_PER_S)
#define CHILD_INPUT_MAX (60 * 1024) /* fits a pipe's 64 KiB: written at once, never waited for */
#define CHILD_ENV_MAX 256
#define CHILD_FILES_MAX 1024 /* descriptors */
#define CHILD_READ (16 * 1024)
#define CHILD_READS 4 /* in one go, before others have their turn: 64 KiB, all that a pipe holds */

extern char **environ;

/* Standard output or standard error of a child */
struct child_pipe {
	struct child *child;
	int fd; /* -1: closed */
	struct loop_watch *watch;
	char *text;
	size_t length, size, total; /* total: with what was dropped */
};

struct child {
	struct child *next, **link; /* of those that run */
	struct loop *loop;
	pid_t pid;
	struct loop_watch *exit, *timer;
	bool timed_out, forgotten;
	child_fn done;
	child_output_fn ended;
	child_data_fn data;
	void *user;
	struct child_pipe *pipes; /* two; NULL: nobody reads what it writes */
	size_t keep;
	bool cut;
	int64_t started; /* mono ns */
};

/* ---- what it writes --------------------------------------------------------------------------------------------- */

static void pipe_close(struct child_pipe *p)
{
	if (p->fd < 0)
		return;
	loop_remove(p->child->loop, p->watch);
	close(p->fd);
	p->watch = NULL;
	p->fd = -1;
}

static void pipes_free(struct child *c)
{
	for (int i = 0; c->pipes && i < 2; i++) {
		pipe_close(&c->pipes[i]);
		free(c->pipes[i].text);
	}
	free(c->pipes);
	c->pipes = NULL;
}

/* Keeps what there is room for; the rest was read so that the program goes on. */
static void pipe_keep(struct child_pipe *p, const char *data, size_t n)
{
	size_t room = p->child->keep - p->length, size;
	char *text;

	p->total += n;
	if (n > room) {
		p->child->cut = true;
		n = room;
	}
	if (n > p->size - p->length) {
		size = p->length + n > 4096 ? 2 * (p->length + n) : 4096;
		if (size > p->child->keep)
			size = p->child->keep;
		text = realloc(p->text, size);
		if (!text) {
			p->child->cut = true;
			return;
		}
		p->text = text;
		p->size = size;
	}
	if (n)
		memcpy(p->text + p->length, data, n);
	p->length += n;
}

static void pipe_read(struct child_pipe *p)
{
	struct child *c = p->child;
	char data[CHILD_READ];

	for (int i = 0; i < CHILD_READS && p->fd >= 0; i++) {
		ssize_t n = read(p->fd, data, sizeof(data));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (c->data && n > 0) {
			c->data(p == c->pipes ? 1 : 2, data, (size_t)n, c->user);
			/* It may have been forgotten, and the pipe with it. */
			if (c->forgotten)
				return;
			continue;
		}
		if (n > 0)
			pipe_keep(p, data, (size_t)n);
		if (n <= 0 || p->total > CHILD_OUTPUT_MAX)
			pipe_close(p);
	}
}

static void pipe_cb(int fd, unsigned events, void *user)
{
	(void)fd;
	(void)events;
	pipe_read(user);
}

/* ret_ends: what the child writes to, the caller's to close */
static int pipes_open(struct child *c, int ret_ends[2])
{
	int fds[2], r;

	c->pipes = calloc(2, sizeof(*c->pipes));
	if (!c->pipes)
		return -ENOMEM;
	c->pipes[0].child = c->pipes[1].child = c;
	c->pipes[0].fd = c->pipes[1].fd = -1;
	for (int i = 0; i < 2; i++) {
		if (pipe2(fds, O_CLOEXEC) < 0)
			return -errno;
		ret_ends[i] = fds[1];
		c->pipes[i].fd = fds[0];
		/* This end alone: the program may not be ready for a write that fails with EAGAIN. */
		if (fcntl(fds[0], F_SETFL, O_NONBLOCK) < 0)
			return -errno;
		r = loop_fd(c->loop, fds[0], LOOP_READ, pipe_cb, &c->pipes[i], &c->pipes[i].watch);
		if (r < 0)
			return r;
	}
	return 0;
}

/* It has ended, and its group with it. What a process that left the group still holds open is not waited for. */
static void child_tell(struct child *c, int status)
{
	struct child_output o = { .took = clock_mono() - c->started };

	for (int i = 0; i < 2; i++) {
		pipe_read(&c->pipes[i]);
		if (c->forgotten)
			return;
		o.text[i] = c->pipes[i].text;
		o.length[i] = c->pipes[i].length;
	}
	o.cut = c->cut;
	c->ended(status, c->timed_out, &o, c->user);
}

/* ---- its life --------------------------------------------------------------------------------------------------- */

static void child_free(struct child *c)
{
	*c->link = c->next;
	if (c->next)
		c->next->link = c->link;
	loop_remove(c->loop, c->timer);
	pipes_free(c);
	free(c);
}

static void child_exit_cb(pid_t pid, int status, void *user)
{
	struct child *c = user;

	/* What it left behind in its group goes with it. */
	kill(-pid, SIGKILL);
	if (!c->forgotten && c->ended)
		child_tell(c, status);
	else if (!c->forgotten)
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
	pipes_free(c);
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

/* `ends`: of the pipes for standard output and standard error; -1: /dev/null */
static int child_spawn(const struct child_request *request, int input, const int ends[2], pid_t *ret_pid)
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
	for (int i = 0; i < 2; i++) {
		if (ends[i] >= 0)
			posix_spawn_file_actions_adddup2(&files, ends[i], STDOUT_FILENO + i);
		else
			posix_spawn_file_actions_addopen(&files, STDOUT_FILENO + i, "/dev/null", O_WRONLY, 0);
	}
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

/* ---- as another user --------------------------------------------------------------------------------------------- */

static void child_die(const char *what, const char *name)
{
	char text[256];
	int n = snprintf(text, sizeof(text), "%s %s%s%s\n", what, name, errno ? ": " : "", errno ? strerror(errno) : "");

	if (write(STDERR_FILENO, text, (size_t)(n < (int)sizeof(text) ? n : (int)sizeof(text) - 1)) < 0)
		_exit(126);
	_exit(127);
}

static void child_set(const char *env[CHILD_ENV_MAX + 1], const char *key, const char *value)
{
	size_t n = strlen(key), i = 0;
	char *text = NULL;

	if (asprintf(&text, "%s=%s", key, value) < 0)
		return;
	while (env[i] && (strncmp(env[i], key, n) != 0 || env[i][n] != '='))
		i++;
	if (!env[i] && i < CHILD_ENV_MAX)
		env[i + 1] = NULL;
	if (i < CHILD_ENV_MAX)
		env[i] = text;
}

/* In the child: who that is may be asked of a server far away, which shall keep nobody else waiting. */
static void child_become(const char *user, const char *env[CHILD_ENV_MAX + 1])
{
	const struct passwd *u;

	errno = 0;
	u = getpwnam(user);
	if (!u) {
		errno = errno == ENOENT || errno == ESRCH ? 0 : errno; /* some name services' word for it */
		child_die("there is no user", user);
		return;
	}
	if (u->pw_uid != geteuid() && (initgroups(u->pw_name, u->pw_gid) < 0 || setgid(u->pw_gid) < 0 || setuid(u->pw_uid) < 0))
		child_die("cannot become user", user);
	child_set(env, "USER", u->pw_name);
	child_set(env, "LOGNAME", u->pw_name);
	child_set(env, "HOME", u->pw_dir);
}

static int child_fork(const struct child_request *request, int input, const int ends[2], pid_t *ret_pid)
{
	const char *env[CHILD_ENV_MAX + 1];
	sigset_t all, before;
	pid_t pid;

	child_environment(request->env, env);
	/* No handler of the daemon's runs in the child. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	pid = fork();
	if (pid == 0) {
		for (int i = 1; i < NSIG; i++)
			signal(i, SIG_DFL);
		sigemptyset(&all);
		sigprocmask(SIG_SETMASK, &all, NULL);
		setsid();
		dup2(input, STDIN_FILENO);
		for (int i = 0; i < 2; i++) {
			int fd = ends[i] >= 0 ? ends[i] : open("/dev/null", O_WRONLY);

			dup2(fd, STDOUT_FILENO + i);
		}
		child_become(request->user_name, env);
		execve(request->argv[0], (char *const *)(uintptr_t)request->argv, (char *const *)(uintptr_t)env);
		child_die("cannot run", request->argv[0]);
	}
	sigprocmask(SIG_SETMASK, &before, NULL);
	if (pid < 0)
		return -errno;
	*ret_pid = pid;
	return 0;
}

/* Set from outside: posix_spawn cannot. The program may be running already; none of these bounds its first steps. */
static void child_limit(pid_t pid, int64_t timeout)
{
	rlim_t seconds = (rlim_t)(timeout / NS_PER_S) + 1;
	const struct rlimit core = { 0, 0 }, files = { CHILD_FILES_MAX, CHILD_FILES_MAX }, cpu = { seconds, seconds + 1 };

	if (prlimit(pid, RLIMIT_CORE, &core, NULL) < 0 || prlimit(pid, RLIMIT_NOFILE, &files, NULL) < 0 ||
	    prlimit(pid, RLIMIT_CPU, &cpu, NULL) < 0)
		log_debug("child %d: its limits cannot be set: %s", (int)pid, strerror(errno));
}

int child_start(struct children *all, const struct child_request *request, struct child **ret_child)
{
	struct child *c = calloc(1, sizeof(*c));
	int input = -1, ends[2] = { -1, -1 }, r;
	bool own = !request->files, endless = request->data || request->timeout < 0;

	if (!c)
		return -ENOMEM;
	*c = (struct child){ .loop = all->loop, .done = request->done, .ended = request->ended, .data = request->data, .user = request->user };
	c->keep = request->keep < CHILD_OUTPUT_MAX ? request->keep : CHILD_OUTPUT_MAX;
	c->started = clock_mono();
	r = own || request->files[0] < 0 ? child_input(request, &input) : 0;
	if (r == 0 && own && c->ended)
		r = pipes_open(c, ends);
	if (r == 0 && !own)
		r = child_spawn(request, request->files[0] < 0 ? input : request->files[0], request->files + 1, &c->pid);
	else if (r == 0)
		r = request->user_name ? child_fork(request, input, ends, &c->pid) : child_spawn(request, input, ends, &c->pid);
	if (r == 0 && request->nice)
		setpriority(PRIO_PROCESS, (id_t)c->pid, request->nice);
	if (r == 0 && !endless)
		child_limit(c->pid, request->timeout > 0 ? request->timeout : CHILD_TIMEOUT_DEFAULT);
	for (int i = 0; i < 2; i++)
		if (ends[i] >= 0)
			close(ends[i]);
	if (input >= 0)
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
	r = endless ? 0 : loop_timer(c->loop, request->timeout > 0 ? request->timeout : CHILD_TIMEOUT_DEFAULT, 0, 10 * NS_PER_MS, child_timeout_cb, c,
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
	pipes_free(c);
	free(c);
	return r;
}
