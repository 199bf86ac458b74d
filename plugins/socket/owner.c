/*
 * Whether a process of a name holds one of some sockets. Of all processes only the names are read, and only of those that fit the descriptors; in a worker, as
 * /proc of a busy host takes its time; once for each change of who listens. The process that was found is waited for: a child of it, or whoever gave it the
 * socket (systemd, inetd), may hold that further, and then the socket does not close with it.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "socket/socket.h"

#define PROCESSES_MAX 65536
#define DESCRIPTORS_MAX 8192 /* of one process */

/* When the plugin goes meanwhile nobody takes the answer: whoever of the two comes second frees it. */
struct question {
	atomic_bool left;
	struct holder *x;
	uint32_t n, inodes[INODES_MAX];
	uint64_t all;
	enum listening answer;
	int pidfd; /* of who holds it; -1: none */
	char name[NAME_MAX_];
	char root[];
};

static void question_free(struct question *q)
{
	if (q->pidfd >= 0)
		close(q->pidfd);
	free(q);
}

/* A name as the kernel keeps it: 15 bytes */
static bool name_is(int proc, const char *pid, const char *name)
{
	char path[64], text[32];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "%.20s/comm", pid);
	fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n <= 0)
		return false;
	text[n - (text[n - 1] == '\n')] = '\0';
	return !strncmp(text, name, 15) && strlen(text) == (strlen(name) < 15 ? strlen(name) : 15);
}

static bool is_socket(int folder, const char *fd, const struct question *q)
{
	char target[64];
	ssize_t n = readlinkat(folder, fd, target, sizeof(target) - 1);
	unsigned long inode;

	if (n <= 0)
		return false;
	target[n] = '\0';
	if (sscanf(target, "socket:[%lu]", &inode) != 1)
		return false;
	for (uint32_t i = 0; i < q->n; i++)
		if (q->inodes[i] == inode)
			return true;
	return false;
}

static enum listening process_holds(int proc, const char *pid, const struct question *q)
{
	enum listening found = LISTEN_OTHER;
	char path[64];
	struct dirent *e;
	int fd, left = DESCRIPTORS_MAX;
	DIR *d;

	snprintf(path, sizeof(path), "%.20s/fd", pid);
	fd = openat(proc, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return errno == EACCES || errno == EPERM ? LISTEN_UNKNOWN : LISTEN_OTHER;
	d = fdopendir(fd);
	if (!d) {
		close(fd);
		return LISTEN_UNKNOWN;
	}
	while (found == LISTEN_OTHER && (e = readdir(d))) {
		if (*e->d_name == '.')
			continue;
		if (is_socket(fd, e->d_name, q))
			found = LISTEN_YES;
		else if (!--left)
			found = LISTEN_UNKNOWN;
	}
	closedir(d);
	return found;
}

/* Whether this one does, with its pidfd then. That is opened first: should it end meanwhile, and its number be another's, that is told. */
static enum listening process_asked(int proc, const char *pid, struct question *q)
{
	/* -1: a kernel before 5.3, or it has ended */
	int pidfd = (int)syscall(SYS_pidfd_open, (pid_t)strtol(pid, NULL, 10), 0);
	enum listening found = process_holds(proc, pid, q);

	if (found == LISTEN_YES)
		q->pidfd = pidfd;
	else if (pidfd >= 0)
		close(pidfd);
	return found;
}

static int look(void *user)
{
	struct question *q = user;
	char path[4096];
	struct dirent *e;
	int left = PROCESSES_MAX;
	DIR *d;

	snprintf(path, sizeof(path), "%s/proc", q->root);
	d = opendir(path);
	q->answer = d ? LISTEN_OTHER : LISTEN_UNKNOWN;
	while (d && q->answer != LISTEN_YES && (e = readdir(d)) && left--) {
		enum listening found;

		if (*e->d_name < '1' || *e->d_name > '9' || !name_is(dirfd(d), e->d_name, q->name))
			continue;
		found = process_asked(dirfd(d), e->d_name, q);
		if (found != LISTEN_OTHER)
			q->answer = found;
	}
	if (d)
		closedir(d);
	if (atomic_exchange(&q->left, true))
		question_free(q);
	return 0;
}

void owner_forget(struct holder *x)
{
	if (x->question && atomic_exchange(&x->question->left, true))
		question_free(x->question);
	x->question = NULL;
}

void owner_release(struct holder *x)
{
	if (x->ended)
		x->s->h->unwatch(x->s->h, x->ended);
	if (x->pidfd >= 0)
		close(x->pidfd);
	x->ended = NULL;
	x->pidfd = -1;
}

static int on_ended(int fd, uint32_t events, void *user)
{
	struct holder *x = user;

	(void)fd;
	(void)events;
	owner_release(x);
	x->looked = 0;
	return listen_look_soon(x->s);
}

/* Takes the answer's pidfd */
static void owner_hold(struct holder *x, struct question *q)
{
	owner_release(x);
	if (q->pidfd >= 0 && x->s->h->watch_fd(x->s->h, q->pidfd, KITH_READ, on_ended, x, &x->ended) == 0) {
		x->pidfd = q->pidfd;
		q->pidfd = -1;
	}
}

static int looked(int result, void *user)
{
	struct question *q = user;
	struct holder *x = q->x, **at;
	int r = 0;

	(void)result;
	x->question = NULL;
	if (!x->wanted) {
		/* Nobody wants it any more: it was kept for this */
		for (at = &x->s->holders; *at != x; at = &(*at)->next)
			;
		*at = x->next;
		x->s->n_holders--;
		free(x);
	} else if (x->looked == q->all) {
		x->is = q->answer;
		owner_hold(x, q);
		r = holder_put(x);
	} else {
		x->again = true; /* others listen by now */
		r = listen_look_soon(x->s);
	}
	question_free(q);
	return r;
}

int owner_look(struct holder *x, const struct listener *l)
{
	const struct kith_host *h = x->s->h;
	const char *root = h->root(h);
	struct question *q;
	int r;

	x->looked = l->all;
	if (x->question)
		return 0;
	q = calloc(1, sizeof(*q) + strlen(root) + 1);
	if (!q)
		return -ENOMEM;
	q->x = x;
	q->pidfd = -1;
	q->n = l->n_inodes;
	q->all = l->all;
	memcpy(q->inodes, l->inodes, sizeof(q->inodes));
	memcpy(q->name, x->name.process, sizeof(q->name));
	memcpy(q->root, root, strlen(root) + 1);
	r = h->work(h, look, looked, q);
	if (r < 0) {
		free(q);
		x->looked = 0; /* on a later tick */
		return r == -EAGAIN ? 0 : r;
	}
	x->question = q;
	return 0;
}
