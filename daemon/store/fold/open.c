#include "store/fold/open.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>

#include "store/fold/undo.h"

#define UPDATE_LOCK ".lock"

int rrd_lock_open(int folder, bool make)
{
	int fd = openat(folder, UPDATE_LOCK, O_RDWR | (make ? O_CREAT : 0) | O_CLOEXEC | O_NOFOLLOW, 0600);

	return fd < 0 ? -errno : fd;
}

void rrd_lock_read(int folder, int lock)
{
	size_t files;

	if (lock < 0)
		return;
	flock(lock, LOCK_SH);
	if (!undo_pending(folder))
		return;
	flock(lock, LOCK_EX);
	undo_restore(folder, &files);
	flock(lock, LOCK_SH);
}

void rrd_unlock(int lock)
{
	if (lock >= 0)
		flock(lock, LOCK_UN);
}
