/* The sockets: what options name, opened and closed. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "syslog/syslog.h"

#define RECEIVE_BUFFER (8 << 20) /* B that the kernel may keep of datagrams while kithd is busy */
#define BACKLOG 64
#define SOCKET_MODE 0666
#define DRAIN_ROUNDS 256 /* of datagrams that are still read before a socket is closed */

/* ---- addresses ------------------------------------------------------------------------------------------------------ */

/* 127.0.0.1:514, [::1]:514, *:514 (all of both kinds) */
static int parse_inet(struct listener *l, const char *text)
{
	const char *colon = strrchr(text, ':');
	size_t n = colon ? (size_t)(colon - text) : 0;
	char host[64], *end;
	unsigned long port;

	if (!n || n >= sizeof(host) || colon[1] < '0' || colon[1] > '9')
		return -EINVAL;
	port = strtoul(colon + 1, &end, 10);
	if (*end || port < 1 || port > 65535)
		return -EINVAL;
	memcpy(host, text, n);
	host[n] = '\0';
	if (!strcmp(host, "*"))
		strcpy(host, "[::]");
	n = strlen(host);
	if (*host == '[' && host[n - 1] == ']') {
		host[n - 1] = '\0';
		l->address.v6 = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port) };
		l->address_length = sizeof(l->address.v6);
		return inet_pton(AF_INET6, host + 1, &l->address.v6.sin6_addr) == 1 ? 0 : -EINVAL;
	}
	l->address.v4 = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	l->address_length = sizeof(l->address.v4);
	return inet_pton(AF_INET, host, &l->address.v4.sin_addr) == 1 ? 0 : -EINVAL;
}

static int parse_path(struct listener *l, const char *text)
{
	const char *root = l->s->h->root(l->s->h);
	int n;

	l->address.path = (struct sockaddr_un){ .sun_family = AF_UNIX };
	l->address_length = sizeof(l->address.path);
	if (*text != '/')
		return -EINVAL;
	n = snprintf(l->address.path.sun_path, sizeof(l->address.path.sun_path), "%s%s", root, text);
	return n < (int)sizeof(l->address.path.sun_path) ? 0 : -EINVAL;
}

int listener_parse(struct listener *l, enum listener_kind kind, const char *text)
{
	static const char *const kinds[] = { [LISTENER_UNIX] = "unix", [LISTENER_UDP] = "udp", [LISTENER_TCP] = "tcp" };

	l->kind = kind;
	l->fd = l->old_fd = -1;
	if (snprintf(l->name, sizeof(l->name), "%s:%s", kinds[kind], text) >= (int)sizeof(l->name))
		return -EINVAL;
	return kind == LISTENER_UNIX ? parse_path(l, text) : parse_inet(l, text);
}

/* IPv4 within IPv6 is written as what it is. */
const char *address_text(const union address *a, char text[INET6_ADDRSTRLEN])
{
	*text = '\0';
	if (a->any.sa_family == AF_INET)
		inet_ntop(AF_INET, &a->v4.sin_addr, text, INET6_ADDRSTRLEN);
	else if (a->any.sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&a->v6.sin6_addr))
		inet_ntop(AF_INET, &a->v6.sin6_addr.s6_addr[12], text, INET6_ADDRSTRLEN);
	else if (a->any.sa_family == AF_INET6)
		inet_ntop(AF_INET6, &a->v6.sin6_addr, text, INET6_ADDRSTRLEN);
	return text;
}

/* ---- opening ------------------------------------------------------------------------------------------------------- */

static int set(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) < 0 ? -errno : 0;
}

/* An old socket that nobody listens on any more is in the way; anything else stays. */
static int remove_stale(const struct listener *l)
{
	struct stat st;
	int fd, r;

	if (lstat(l->address.path.sun_path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	r = connect(fd, &l->address.any, l->address_length) == 0 || errno != ECONNREFUSED ? -EADDRINUSE : 0;
	close(fd);
	if (r == 0 && unlink(l->address.path.sun_path) < 0)
		r = -errno;
	return r;
}

static int bind_path(struct listener *l)
{
	const char *path = l->address.path.sun_path;
	struct stat st;
	int r = remove_stale(l);

	if (r < 0)
		return r;
	if (bind(l->fd, &l->address.any, l->address_length) < 0)
		return -errno;
	if (chmod(path, SOCKET_MODE) < 0 || lstat(path, &st) < 0) {
		r = -errno;
		unlink(path);
		return r;
	}
	l->file = (struct file_id){ st.st_dev, st.st_ino };
	set(l->fd, SOL_SOCKET, SO_PASSCRED, 1);
	return 0;
}

static int bind_inet(struct listener *l)
{
	bool v6 = l->address.any.sa_family == AF_INET6, all = v6 && IN6_IS_ADDR_UNSPECIFIED(&l->address.v6.sin6_addr);
	int r = 0;

	if (v6)
		r = set(l->fd, IPPROTO_IPV6, IPV6_V6ONLY, !all);
	/* The address may come later than kithd; a connection of before may still be closing. */
	if (r == 0)
		r = set(l->fd, IPPROTO_IP, IP_FREEBIND, 1);
	if (r == 0 && l->kind == LISTENER_TCP)
		r = set(l->fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (r == 0 && bind(l->fd, &l->address.any, l->address_length) < 0)
		r = -errno;
	if (r == 0 && l->kind == LISTENER_TCP && listen(l->fd, BACKLOG) < 0)
		r = -errno;
	return r;
}

static int open_socket(struct listener *l)
{
	const struct kith_host *h = l->s->h;
	int type = l->kind == LISTENER_TCP ? SOCK_STREAM : SOCK_DGRAM, r;

	l->fd = socket(l->address.any.sa_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (l->fd < 0)
		return -errno;
	if (l->kind != LISTENER_TCP && set(l->fd, SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER) < 0)
		set(l->fd, SOL_SOCKET, SO_RCVBUF, RECEIVE_BUFFER);
	r = l->kind == LISTENER_UNIX ? bind_path(l) : bind_inet(l);
	if (r == 0)
		r = h->watch_fd(h, l->fd, KITH_READ, l->kind == LISTENER_TCP ? on_connection : on_datagrams, l, &l->watch);
	return r;
}

/* ---- closing, and what others do to the path ------------------------------------------------------------------------- */

static void drain(struct listener *l, int fd)
{
	double before = -1;

	for (int round = 0; round < DRAIN_ROUNDS && fd >= 0 && l->kind != LISTENER_TCP && l->counts[RECEIVED] > before; round++) {
		before = l->counts[RECEIVED];
		on_datagrams(fd, KITH_READ, l);
	}
}

void listener_drain(struct listener *l)
{
	drain(l, l->old_fd);
	drain(l, l->fd);
}

static void close_fd(struct listener *l, int *fd, struct kith_watch **watch)
{
	if (*watch)
		l->s->h->unwatch(l->s->h, *watch);
	*watch = NULL;
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static bool has_path(const struct listener *l, const struct file_id *file)
{
	struct stat st;

	return file->ino && lstat(l->address.path.sun_path, &st) == 0 && st.st_dev == file->dev && st.st_ino == file->ino;
}

/* Its own file alone is removed: another may have taken the path. While it is open no other file can be taken for it. */
static void close_current(struct listener *l)
{
	if (has_path(l, &l->file))
		unlink(l->address.path.sun_path);
	l->file.ino = 0;
	close_fd(l, &l->fd, &l->watch);
}

bool listener_lost(struct listener *l)
{
	if (l->kind != LISTENER_UNIX || l->fd < 0 || has_path(l, &l->file))
		return false;
	/* One old socket is enough: who is still connected to the one before is refused, and what was sent to it taken. */
	if (l->old_fd >= 0) {
		shutdown(l->old_fd, SHUT_RD);
		drain(l, l->old_fd);
		close_fd(l, &l->old_fd, &l->old_watch);
	}
	l->old_fd = l->fd;
	l->old_watch = l->watch;
	l->old_file = l->file;
	l->fd = -1;
	l->watch = NULL;
	l->file.ino = 0;
	return true;
}

int listener_watch_path(struct listener *l, kith_file_fn fn)
{
	const struct kith_host *h = l->s->h;

	if (l->kind != LISTENER_UNIX)
		return 0;
	return h->watch_file(h, l->address.path.sun_path, KITH_FILE_ADDED | KITH_FILE_REMOVED, fn, l, &l->path_watch);
}

/* A folder that was renamed, and is back */
static bool take_back(struct listener *l)
{
	if (l->old_fd < 0 || !has_path(l, &l->old_file))
		return false;
	l->fd = l->old_fd;
	l->watch = l->old_watch;
	l->file = l->old_file;
	l->old_fd = -1;
	l->old_watch = NULL;
	return true;
}

int listener_open(struct listener *l)
{
	int r = take_back(l) ? 0 : open_socket(l);

	l->error = -r;
	if (r < 0)
		close_current(l);
	return r;
}

void listener_close(struct listener *l)
{
	if (l->path_watch)
		l->s->h->unwatch(l->s->h, l->path_watch);
	l->path_watch = NULL;
	close_fd(l, &l->old_fd, &l->old_watch);
	close_current(l);
}
