#include "store/fold/open.h"

#include <errno.h>
#include <fcntl.h>

#define UPDATE_LOCK ".lock"

int rrd_lock_open(int folder, bool make)
{
	int fd = openat(folder, UPDATE_LOCK, O_RDWR | (make ? O_CREAT : 0) | O_CLOEXEC | O_NOFOLLOW, 0600);

	return fd < 0 ? -errno : fd;
}
