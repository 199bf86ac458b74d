#include "host/flusher.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

#define FLUSHER_STACK (32 * 1024)

struct flusher {
	struct loop *loop;
	struct loop_watch *wake;
	pthread_t thread;
	bool busy;
	/* the thread's while it runs */
	int fd, error;
};

static void *flusher_thread(void *user)
{
	struct flusher *f = user;

	f->error = fdatasync(f->fd) < 0 ? errno : 0;
	loop_wake(f->loop, f->wake);
	return NULL;
}

static void flusher_wait(struct flusher *f)
{
	if (!f->busy)
		return;
	pthread_join(f->thread, NULL);
	close(f->fd);
	f->busy = false;
}

static void wake_cb(void *user)
{
	struct flusher *f = user;

	if (!f->busy)
		return;
	flusher_wait(f);
	if (f->error)
		log_err("the journal cannot be taken to the disk: %s", strerror(f->error));
}

int flusher_flush(struct flusher *f, int fd)
{
	sigset_t all, before;
	pthread_attr_t attr;
	int r;

	if (f->busy)
		return -EBUSY;
	f->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (f->fd < 0)
		return -errno;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, FLUSHER_STACK > PTHREAD_STACK_MIN ? (size_t)FLUSHER_STACK : (size_t)PTHREAD_STACK_MIN);
	/* Signals are the loop's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&f->thread, &attr, flusher_thread, f);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	if (r != 0) {
		close(f->fd);
		return -r;
	}
	f->busy = true;
	return 0;
}

int flusher_new(struct loop *loop, struct flusher **ret_flusher)
{
	struct flusher *f = calloc(1, sizeof(*f));
	int r;

	if (!f)
		return -ENOMEM;
	f->loop = loop;
	r = loop_async(loop, wake_cb, f, &f->wake);
	if (r < 0) {
		free(f);
		return r;
	}
	*ret_flusher = f;
	return 0;
}

void flusher_free(struct flusher *f)
{
	if (!f)
		return;
	flusher_wait(f);
	loop_remove(f->loop, f->wake);
	free(f);
}
