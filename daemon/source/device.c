/* Uevents of the kernel, by its multicast group. The group of udev's daemon is another one. */
#include "source/device.h"

#include <dirent.h>
#include <errno.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "source/kinds.h"

#define KERNEL_GROUP 1
#define SOCKET_BUFFER (1 << 20)
#define BATCH 64 /* uevents a callback: a storm must not starve the other watches */

struct device_reader {
	struct source *source;
	struct loop *loop;
	struct loop_watch *watch;
	int fd;
	uint64_t expected; /* 0: none was heard */
	bool lost;         /* to be told when the socket is empty */
	char frame[DEVICE_FRAME_MAX + 2];
};

/* ---- one uevent -------------------------------------------------------------------------------------------------- */

static const char *const actions[] = {
	[KITH_DEVICE_ADD] = "add",       [KITH_DEVICE_REMOVE] = "remove",   [KITH_DEVICE_CHANGE] = "change", [KITH_DEVICE_MOVE] = "move",
	[KITH_DEVICE_ONLINE] = "online", [KITH_DEVICE_OFFLINE] = "offline", [KITH_DEVICE_BIND] = "bind",     [KITH_DEVICE_UNBIND] = "unbind",
};

static uint32_t action_of(const char *name)
{
	uint32_t i = 0;

	while (i < KITH_COUNT(actions) && strcmp(actions[i], name))
		i++;
	return i;
}

static const char *text_of(const struct kith_device_event *e, const char *key)
{
	const char *value = kith_device_property(e, key);

	return value ? value : "";
}

/* From its path and properties */
static void event_fill(struct kith_device_event *e)
{
	e->name = strrchr(e->path, '/') + 1;
	e->subsystem = text_of(e, "SUBSYSTEM");
	e->type = text_of(e, "DEVTYPE");
	e->driver = text_of(e, "DRIVER");
	e->node = text_of(e, "DEVNAME");
}

bool device_parse(char *frame, size_t length, struct kith_device_event *ret_event)
{
	struct kith_device_event e = { .size = sizeof(e) };
	const char *action, *sequence;
	size_t head;

	frame[length] = frame[length + 1] = '\0';
	/* "add@/devices/…", NUL, then the properties */
	head = strlen(frame);
	if (head >= length || !memchr(frame, '@', head))
		return false;
	e.properties = frame + head + 1;
	action = kith_device_property(&e, "ACTION");
	e.path = kith_device_property(&e, "DEVPATH");
	sequence = kith_device_property(&e, "SEQNUM");
	if (!action || !e.path || *e.path != '/' || !sequence || *sequence < '0' || *sequence > '9')
		return false;
	e.action = action_of(action);
	e.sequence = strtoull(sequence, NULL, 10);
	event_fill(&e);
	*ret_event = e;
	return true;
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

static bool device_receive(struct device_reader *d, bool *ret_more)
{
	struct sockaddr_nl from = { 0 };
	struct iovec iov = { d->frame, DEVICE_FRAME_MAX };
	struct msghdr m = { .msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &iov, .msg_iovlen = 1 };
	struct kith_device_event e;
	ssize_t n = recvmsg(d->fd, &m, MSG_DONTWAIT);

	*ret_more = n >= 0 || errno == EINTR || errno == ENOBUFS;
	if (n < 0) {
		d->lost = d->lost || errno == ENOBUFS;
		return false;
	}
	if (m.msg_flags & MSG_TRUNC) {
		d->lost = true;
		return false;
	}
	/* Others may send to the group, too, when they have the right to. */
	if (from.nl_pid || from.nl_groups != 1u << (KERNEL_GROUP - 1) || !device_parse(d->frame, (size_t)n, &e))
		return false;
	e.missed = d->expected && e.sequence > d->expected ? e.sequence - d->expected : 0;
	d->expected = e.sequence + 1;
	e.time = clock_wall();
	source_tell(d->source, &e);
	return true;
}

static void device_cb(int fd, unsigned events, void *user)
{
	struct device_reader *d = user;
	bool more = true;

	(void)fd;
	(void)events;
	source_hold(d->source);
	for (unsigned i = 0; i < BATCH && more; i++)
		device_receive(d, &more);
	if (d->lost && !more) {
		d->lost = false;
		source_lost(d->source);
	}
	source_release(d->source);
}

static int device_open(struct source *s, const struct source_env *env, void **ret_reader)
{
	struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_groups = 1u << (KERNEL_GROUP - 1) };
	struct device_reader *d = calloc(1, sizeof(*d));
	int size = SOCKET_BUFFER, r;

	if (!d)
		return -ENOMEM;
	d->source = s;
	d->loop = env->loop;
	d->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT);
	if (d->fd < 0) {
		r = errno == EPROTONOSUPPORT ? -EOPNOTSUPP : -errno;
		goto fail;
	}
	/* Memory is taken as uevents wait alone. Without the right to that, what net.core.rmem_max allows. */
	if (setsockopt(d->fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		(void)setsockopt(d->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (bind(d->fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		r = -errno;
		goto fail_fd;
	}
	r = loop_fd(env->loop, d->fd, LOOP_READ, device_cb, d, &d->watch);
	if (r < 0)
		goto fail_fd;
	*ret_reader = d;
	return 0;
fail_fd:
	close(d->fd);
fail:
	free(d);
	return r;
}

static void device_close(void *reader)
{
	struct device_reader *d = reader;

	loop_remove(d->loop, d->watch);
	close(d->fd);
	free(d);
}

/* ---- who hears what ---------------------------------------------------------------------------------------------- */

static int device_add(void *reader, struct source_sub *sub, const void *filter, void **ret_own)
{
	const struct kith_device_filter *f = filter;

	(void)reader;
	(void)sub;
	if (!f || !f->subsystem)
		return 0;
	*ret_own = strdup(f->subsystem);
	return *ret_own ? 0 : -ENOMEM;
}

static void device_remove(void *reader, void *own)
{
	(void)reader;
	free(own);
}

static bool device_accepts(const void *own, const void *what)
{
	return !own || !strcmp(own, ((const struct kith_device_event *)what)->subsystem);
}

/* ---- those that are there ---------------------------------------------------------------------------------------- */

static int dump_one(struct device_reader *d, const char *folder, const char *entry, const char *subsystem,
                    int (*fn)(const void *event, void *user), void *user)
{
	const char *root = source_env(d->source)->root, *at;
	char link[4096], *properties = d->frame;
	struct buf path = BUF_INIT;
	struct kith_device_event e = { .size = sizeof(e), .action = KITH_DEVICE_ADD, .subsystem = subsystem, .time = clock_wall() };
	size_t length = 0;
	ssize_t n;
	FILE *f;

	/* "../../devices/pci…/block/sda" */
	buf_printf(&path, "%s%s/%s", root, folder, entry);
	n = readlink(buf_text(&path), link, sizeof(link) - 1);
	link[n > 0 ? n : 0] = '\0';
	at = strstr(link, "/devices/");
	buf_puts(&path, "/uevent");
	f = at ? fopen(buf_text(&path), "re") : NULL;
	buf_free(&path);
	if (!at)
		return 0; /* it has gone, or is no device */
	length = f ? fread(properties, 1, DEVICE_FRAME_MAX, f) : 0;
	if (f)
		fclose(f);
	properties[length] = properties[length + 1] = '\0';
	for (size_t i = 0; i < length; i++)
		if (properties[i] == '\n')
			properties[i] = '\0';
	e.path = at;
	e.properties = properties;
	event_fill(&e);
	e.subsystem = subsystem;
	return fn(&e, user);
}

static int dump_folder(struct device_reader *d, const char *folder, const char *subsystem, int (*fn)(const void *event, void *user), void *user)
{
	struct buf path = BUF_INIT;
	struct dirent *entry;
	DIR *dir;
	int r = 0;

	buf_printf(&path, "%s%s", source_env(d->source)->root, folder);
	dir = opendir(buf_text(&path));
	buf_free(&path);
	if (!dir)
		return -errno;
	while (r >= 0 && (entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			r = dump_one(d, folder, entry->d_name, subsystem, fn, user);
	closedir(dir);
	return r < 0 ? r : 0;
}

/* A subsystem is a class or a bus. -ENOENT: it is neither. */
static int device_dump(void *reader, const void *filter, int (*fn)(const void *event, void *user), void *user)
{
	const struct kith_device_filter *f = filter;
	struct buf folder = BUF_INIT;
	int r;

	if (!f || !f->subsystem || !*f->subsystem || strchr(f->subsystem, '/'))
		return -EINVAL;
	buf_printf(&folder, "/sys/class/%s", f->subsystem);
	r = dump_folder(reader, buf_text(&folder), f->subsystem, fn, user);
	if (r == -ENOENT) {
		buf_reset(&folder);
		buf_printf(&folder, "/sys/bus/%s/devices", f->subsystem);
		r = dump_folder(reader, buf_text(&folder), f->subsystem, fn, user);
	}
	buf_free(&folder);
	return r;
}

const struct source_kind source_device = {
	.id = KITH_SOURCE_DEVICE,
	.name = "device",
	.filter_size = sizeof(struct kith_device_filter),
	.open = device_open,
	.close = device_close,
	.add = device_add,
	.remove = device_remove,
	.accepts = device_accepts,
	.dump = device_dump,
};
