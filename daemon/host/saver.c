#include "host/saver.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"

#define SAVER_STACK (64 * 1024)

struct saver {
	struct loop *loop;
	struct loop_watch *wake;
	char *path, *beside, *folder;
	saver_fn done;
	void *user;
	pthread_t thread;
	bool busy;
	/* the thread's while it runs */
	char *text;
	size_t length;
	int error;
};

/* ---- anywhere ---------------------------------------------------------------------------------------------------- */

/* The new name is on the disk, too. Where folders cannot be synced that is the file system's affair. */
static void sync_folder(const char *folder)
{
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return;
	(void)fsync(fd);
	close(fd);
}

int saver_write_now(const struct saver *s, const char *text, size_t length)
{
	int r = file_replace(s->path, s->beside, text, length, true);

	if (r < 0)
		return r;
	sync_folder(s->folder);
	return 0;
}

static void *saver_thread(void *user)
{
	struct saver *s = user;

	s->error = saver_write_now(s, s->text, s->length);
	loop_wake(s->loop, s->wake);
	return NULL;
}

/* ---- on the loop ------------------------------------------------------------------------------------------------- */

bool saver_busy(const struct saver *s)
{
	return s->busy;
}

void saver_wait(struct saver *s)
{
	if (!s->busy)
		return;
	pthread_join(s->thread, NULL);
	free(s->text);
	s->text = NULL;
	s->busy = false;
}

static void wake_cb(void *user)
{
	struct saver *s = user;

	if (!s->busy)
		return;
	saver_wait(s);
	s->done(s->error, s->user);
}

int saver_write_take(struct saver *s, char *text_take, size_t length)
{
	sigset_t all, before;
	pthread_attr_t attr;
	int r;

	if (s->busy) {
		free(text_take);
		return -EBUSY;
	}
	s->text = text_take;
	s->length = length;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, SAVER_STACK > PTHREAD_STACK_MIN ? (size_t)SAVER_STACK : (size_t)PTHREAD_STACK_MIN);
	/* Signals are the loop's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&s->thread, &attr, saver_thread, s);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	if (r != 0) {
		free(s->text);
		s->text = NULL;
		return -r;
	}
	s->busy = true;
	return 0;
}

int saver_new(struct loop *loop, const char *path, saver_fn done, void *user, struct saver **ret_saver)
{
	struct saver *s = calloc(1, sizeof(*s));
	const char *slash = strrchr(path, '/');
	int r = -ENOMEM;

	if (!s)
		return -ENOMEM;
	s->loop = loop;
	s->done = done;
	s->user = user;
	s->path = strdup(path);
	s->folder = slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : strdup(".");
	if (asprintf(&s->beside, "%s.new", path) < 0)
		s->beside = NULL;
	if (s->path && s->folder && s->beside)
		r = loop_async(loop, wake_cb, s, &s->wake);
	if (r < 0) {
		saver_free(s);
		return r;
	}
	*ret_saver = s;
	return 0;
}

void saver_free(struct saver *s)
{
	if (!s)
		return;
	saver_wait(s);
	loop_remove(s->loop, s->wake);
	free(s->path);
	free(s->folder);
	free(s->beside);
	free(s);
}
