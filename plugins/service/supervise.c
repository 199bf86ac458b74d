/*
 * s6 and runit: folders of services. What changes is told by inotify on the services' supervise/status, which is replaced at each
 * change, and for s6 by a fifo of ours in event/ (fifodir(7) of s6), which is sooner and says when a service has given up. The open
 * end of supervise/control tells when the supervisor itself is gone.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <utlist.h>

#include "service/service.h"

#define SERVED_MAX 4096
#define READS_MAX 16 /* of a fifo in one go */

/* One service folder */
struct served {
	struct served *next, *prev;
	struct scan *scan;
	struct unit *unit;   /* NULL: not supervised, or another supervisor has the name */
	char *path;
	int fifo, control;   /* -1: none */
	char *fifo_path;
	struct kith_watch *fifo_watch, *control_watch, *status_watch;
	int64_t pid;         /* by the last status */
	bool was_up, gave_up, seen, log;
	bool ran;            /* it was started since the last look, by the fifo */
	double restarts;
	int error;           /* why its status cannot be read */
	char name[];
};

struct scan {
	struct scan *next, *prev;
	struct service *s;
	enum supervisor kind;
	char *path;
	struct kith_watch *watch;
	struct served *all;
	uint32_t n;
	int error;
};

static int served_look(struct served *v);

static void served_watch_free(struct served *v, struct kith_watch **w)
{
	if (*w)
		v->scan->s->h->unwatch(v->scan->s->h, *w);
	*w = NULL;
}

/* ---- the fifo --------------------------------------------------------------------------------------------------- */

static void fifo_close(struct served *v)
{
	served_watch_free(v, &v->fifo_watch);
	if (v->fifo < 0)
		return;
	unlink(v->fifo_path);
	close(v->fifo);
	free(v->fifo_path);
	v->fifo_path = NULL;
	v->fifo = -1;
	v->scan->s->fifos--;
}

static int on_fifo(int fd, uint32_t events, void *user)
{
	struct served *v = user;
	unsigned char bytes[128];
	unsigned found = 0;
	ssize_t n = 0;

	(void)events;
	for (int i = 0; i < READS_MAX && (n = read(fd, bytes, sizeof(bytes))) > 0; i++) {
		unsigned now = ftrig_parse(bytes, (size_t)n);

		if (now & FTRIG_STARTED) {
			v->ran = true;
			v->gave_up = false;
		}
		if (now & FTRIG_GAVE_UP)
			v->gave_up = true;
		found |= now;
	}
	return found ? served_look(v) : 0;
}

/*
 * As the listeners of s6 make theirs: first under a name with a dot, which notifiers pass over, then renamed to "ftrig1:@", a TAI64N
 * time in hexadecimal, ":" and six characters; ours and to be written by the supervisor (0622). Open for reading and writing, so that it
 * has no end of file while nobody writes. A fifo that nobody reads (kithd was killed) is removed by the next notifier.
 */
static int fifo_make(struct served *v)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
	char hidden[PATH_MAX], path[PATH_MAX], suffix[7];
	unsigned char random[6];
	struct timespec t;
	struct stat st;
	int fd, r;

	clock_gettime(CLOCK_REALTIME, &t);
	if (getrandom(random, sizeof(random), GRND_NONBLOCK) != (ssize_t)sizeof(random))
		return -EAGAIN;
	for (int i = 0; i < 6; i++)
		suffix[i] = letters[random[i] % (sizeof(letters) - 1)];
	suffix[6] = '\0';
	if (snprintf(hidden, sizeof(hidden), "%s/event/.ftrig1:@%016llx%08lx:%s", v->path, (unsigned long long)t.tv_sec + (1ull << 62) + 37,
	             (unsigned long)t.tv_nsec, suffix) >= (int)sizeof(hidden))
		return -ENAMETOOLONG;
	if (mkfifo(hidden, 0600) < 0)
		return -errno;
	fd = open(hidden, O_RDWR | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0 || fchmod(fd, 0622) < 0)
		goto fail;
	errno = EEXIST;
	if (!S_ISFIFO(st.st_mode))
		goto fail;
	snprintf(path, sizeof(path), "%s/event/%s", v->path, strrchr(hidden, '/') + 2);
	if (rename(hidden, path) < 0)
		goto fail;
	v->fifo_path = strdup(path);
	r = v->fifo_path ? v->scan->s->h->watch_fd(v->scan->s->h, fd, KITH_READ, on_fifo, v, &v->fifo_watch) : -ENOMEM;
	if (r < 0) {
		unlink(path);
		free(v->fifo_path);
		v->fifo_path = NULL;
		close(fd);
		return r;
	}
	v->fifo = fd;
	v->scan->s->fifos++;
	return 0;
fail:
	r = -errno;
	if (fd >= 0)
		close(fd);
	unlink(hidden);
	return r;
}

/* ---- the status ------------------------------------------------------------------------------------------------- */

static int open_in(const struct served *v, const char *name, int flags)
{
	char path[PATH_MAX];
	int fd;

	if (snprintf(path, sizeof(path), "%s/%s", v->path, name) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, flags | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	return fd < 0 ? -errno : fd;
}

static bool is_in(const struct served *v, const char *name)
{
	char path[PATH_MAX];

	return snprintf(path, sizeof(path), "%s/%s", v->path, name) < (int)sizeof(path) && access(path, F_OK) == 0;
}

static int status_read(const struct served *v, struct status *ret_status)
{
	unsigned char data[STATUS_SIZE_MAX];
	struct stat st;
	ssize_t n;
	int fd = open_in(v, "supervise/status", O_RDONLY);

	if (fd < 0)
		return fd;
	n = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? read(fd, data, sizeof(data)) : -1;
	close(fd);
	if (n < 0)
		return -EBADMSG;
	return v->scan->kind == S6 ? status_parse_s6(data, (size_t)n, ret_status) : status_parse_runit(data, (size_t)n, ret_status);
}

static void served_put(struct served *v, const struct status *st)
{
	struct service *s = v->scan->s;
	struct unit *u = v->unit;
	enum substate_some sub;
	enum state state;
	bool ended = v->pid && st->pid != v->pid;
	bool was_down = u->values[METRIC_STATE] == STATE_INACTIVE || u->values[METRIC_STATE] == STATE_FAILED ||
	                (u->values[METRIC_SUBSTATE] == SUB_START && !v->pid);

	if (st->pid)
		v->gave_up = false;
	if (st->has_wait && (ended || (!st->pid && (v->ran || st->wait)))) {
		unit_set(s, u, METRIC_RESULT, status_result(st->wait));
		unit_set(s, u, METRIC_EXIT_STATUS, WIFEXITED(st->wait) ? WEXITSTATUS(st->wait) : 0);
		unit_set(s, u, METRIC_SIGNAL, WIFSIGNALED(st->wait) ? WTERMSIG(st->wait) : 0);
	}
	if (ended && st->pid) {
		/* It has died and runs again already: a promise on it is to hear of both. */
		unit_set(s, u, METRIC_STATE, STATE_ACTIVATING);
		unit_set(s, u, METRIC_SUBSTATE, SUB_AUTO_RESTART);
		unit_tell(s, u);
	}
	if (st->pid && st->pid != v->pid && v->was_up)
		v->restarts++;
	v->was_up = st->pid || st->finishing ? st->want_up : v->was_up && st->want_up;
	v->pid = st->pid;
	status_state(st, v->scan->kind == S6 && is_in(v, "notification-fd"), v->gave_up, &state, &sub);
	/* Told to start, and not begun yet */
	if (sub == SUB_AUTO_RESTART && was_down && !ended && !v->ran)
		sub = SUB_START;
	unit_set(s, u, METRIC_STATE, state);
	unit_set(s, u, METRIC_SUBSTATE, sub);
	v->ran = false;
	unit_set(s, u, METRIC_PID, (double)st->pid);
	unit_set(s, u, METRIC_RESTARTS, v->restarts);
	unit_set(s, u, METRIC_SINCE, (double)st->since / 1e9);
	unit_set(s, u, METRIC_LOAD, LOAD_LOADED);
	unit_set(s, u, METRIC_ENABLED, is_in(v, "down") ? ENABLED_DISABLED : ENABLED_ENABLED);
}

/* Its supervisor is gone, or was never there: nobody tells of it. */
static void served_leave(struct served *v)
{
	struct unit *u = v->unit;

	fifo_close(v);
	served_watch_free(v, &v->control_watch);
	if (v->control >= 0)
		close(v->control);
	v->control = -1;
	v->pid = 0;
	v->was_up = v->gave_up = false;
	v->unit = NULL;
	if (u)
		unit_drop(v->scan->s, u);
}

/* The same, and told */
static void served_lost(struct served *v)
{
	bool there = is_in(v, "run");
	char text[NAME_MAX_LENGTH + 60];

	snprintf(text, sizeof(text), "%s is %s", v->name, there ? "not supervised any more" : "gone");
	if (v->unit)
		unit_record(v->scan->s, v->unit, there ? KITH_WARNING : KITH_INFO, there ? "unsupervised" : "removed", text);
	served_leave(v);
}

static int on_control(int fd, uint32_t events, void *user)
{
	(void)fd;
	(void)events;
	served_lost(user);
	return 0;
}

/* A fifo's end for writing has no reader once the supervisor has ended; only then is it readable (EPOLLERR). */
static int served_hold(struct served *v)
{
	struct service *s = v->scan->s;
	struct stat st;
	int fd, r;

	if (v->control >= 0)
		return 0;
	fd = open_in(v, "supervise/control", O_WRONLY);
	if (fd < 0)
		return fd;
	r = fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode) ? s->h->watch_fd(s->h, fd, KITH_READ, on_control, v, &v->control_watch) : -EBADMSG;
	if (r < 0) {
		close(fd);
		return r;
	}
	v->control = fd;
	return 0;
}

static bool served_enter(struct served *v)
{
	struct service *s = v->scan->s;
	struct unit *u = unit_get(s, v->name, v->scan->kind);
	char text[NAME_MAX_LENGTH + 40];

	if (!u || u->known)
		return false; /* another folder, or systemd, has one of this name */
	u->supervisor = v->scan->kind;
	v->unit = u;
	if (v->scan->kind == S6 && s->fifos < s->fifos_max && fifo_make(v) == -EMFILE)
		s->fifos_max = s->fifos;
	unit_begin(s, u);
	snprintf(text, sizeof(text), "%s is new", v->name);
	unit_record(s, u, KITH_INFO, "appeared", text);
	return true;
}

static void scan_note(struct service *s);

/* Reads the status and puts what it says */
static int served_look(struct served *v)
{
	struct status st;
	int r, before = v->error;

	r = served_hold(v);
	if (r == 0)
		r = status_read(v, &st);
	/* ENOENT, ENXIO: not supervised now. Others are said. */
	v->error = r == -ENOENT || r == -ENXIO ? 0 : -r;
	if (r == 0 && (v->unit || served_enter(v))) {
		served_put(v, &st);
		unit_tell(v->scan->s, v->unit);
	} else if (r < 0 && v->unit && r != -EBADMSG) {
		served_lost(v);
	}
	if (v->error != before)
		scan_note(v->scan->s);
	return 0;
}

static int on_status(const struct kith_file_event *event, void *user)
{
	(void)event;
	return served_look(user);
}

/* ---- the folder of service folders ------------------------------------------------------------------------------ */

static void served_free(struct served *v)
{
	struct service *s = v->scan->s;
	char text[NAME_MAX_LENGTH + 40];

	if (v->unit) {
		snprintf(text, sizeof(text), "%s is gone", v->name);
		unit_record(s, v->unit, KITH_INFO, "removed", text);
	}
	served_watch_free(v, &v->status_watch);
	served_leave(v);
	DL_DELETE(v->scan->all, v);
	v->scan->n--;
	free(v->path);
	free(v);
}

static struct served *served_find(struct scan *c, const char *name)
{
	struct served *v;

	DL_FOREACH(c->all, v)
		if (!strcmp(v->name, name))
			return v;
	return NULL;
}

static void scan_add(struct scan *c, const char *name, bool log)
{
	struct service *s = c->s;
	struct served *v = served_find(c, name);
	char status[PATH_MAX], inner[NAME_MAX_LENGTH + 1];
	struct stat st;

	if (v || *name == '.' || strlen(name) > NAME_MAX_LENGTH || c->n >= SERVED_MAX)
		goto found;
	if (snprintf(status, sizeof(status), "%s/%s/supervise/status", c->path, name) >= (int)sizeof(status))
		return;
	status[strlen(status) - strlen("/supervise/status")] = '\0';
	if (stat(status, &st) < 0 || !S_ISDIR(st.st_mode))
		return;
	v = calloc(1, sizeof(*v) + strlen(name) + 1);
	if (v)
		v->path = strdup(status);
	if (!v || !v->path) {
		free(v);
		return;
	}
	memcpy(v->name, name, strlen(name) + 1);
	v->scan = c;
	v->fifo = v->control = -1;
	v->log = log;
	DL_APPEND(c->all, v);
	c->n++;
	status[strlen(status)] = '/';
	if (s->h->watch_file(s->h, status, KITH_FILE_ADDED | KITH_FILE_CHANGED | KITH_FILE_REMOVED, on_status, v, &v->status_watch) < 0)
		v->status_watch = NULL;
	served_look(v);
found:
	if (!v)
		return;
	v->seen = true;
	/* A service's logger is one folder further down */
	if (!log && is_in(v, "log/run") && snprintf(inner, sizeof(inner), "%s/log", name) < (int)sizeof(inner))
		scan_add(c, inner, true);
}

/* The folder as it is now */
static int scan_read(struct scan *c)
{
	struct served *v, *next;
	struct dirent *entry;
	DIR *dir = opendir(c->path);

	DL_FOREACH(c->all, v)
		v->seen = false;
	c->error = dir ? 0 : errno;
	while (dir && (entry = readdir(dir)))
		if (*entry->d_name != '.')
			scan_add(c, entry->d_name, false);
	if (dir)
		closedir(dir);
	DL_FOREACH_SAFE(c->all, v, next)
		if (!v->seen)
			served_free(v);
	scan_note(c->s);
	return 0;
}

static int on_entry(const struct kith_file_event *event, void *user)
{
	struct scan *c = user;
	char inner[NAME_MAX_LENGTH + 5];
	struct served *v;

	if (!*event->name)
		return scan_read(c);
	if (*event->name == '.')
		return 0;
	if (event->what == KITH_FILE_REMOVED) {
		snprintf(inner, sizeof(inner), "%.*s/log", NAME_MAX_LENGTH, event->name);
		v = served_find(c, inner);
		if (v)
			served_free(v);
		v = served_find(c, event->name);
		if (v)
			served_free(v);
	} else {
		scan_add(c, event->name, false);
	}
	scan_note(c->s);
	return 0;
}

static void scan_note(struct service *s)
{
	static const char *const kinds[N_SUPERVISORS] = { "systemd", "s6", "runit" };
	char *text = s->scan_note;
	size_t size = sizeof(s->scan_note), used = 0;
	struct scan *c;

	*text = '\0';
	DL_FOREACH(s->scans, c) {
		uint32_t refused = 0;
		int error = c->error;
		struct served *v;

		DL_FOREACH(c->all, v) {
			refused += v->error != 0;
			error = v->error ? v->error : error;
		}
		if (used < size)
			used += (size_t)snprintf(text + used, size - used, "%s%s: %s", used ? "; " : "", kinds[c->kind], c->path);
		if (used < size && refused)
			used += (size_t)snprintf(text + used, size - used, " (%u of %u not to be read: %s)", refused, c->n, strerror(error));
		else if (used < size && error)
			used += (size_t)snprintf(text + used, size - used, " (%s)", strerror(error));
	}
	service_note(s);
}

static int scan_new(struct service *s, const char *path, enum supervisor kind)
{
	struct scan *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return -ENOMEM;
	c->path = strdup(path);
	if (!c->path) {
		free(c);
		return -ENOMEM;
	}
	c->s = s;
	c->kind = kind;
	DL_APPEND(s->scans, c);
	/* Before it is read: what comes during that is heard after it */
	r = s->h->watch_file(s->h, path, KITH_FILE_ADDED | KITH_FILE_REMOVED, on_entry, c, &c->watch);
	if (r < 0) {
		c->watch = NULL;
		s->h->log(s->h, KITH_WARNING, "%s cannot be watched: %s", path, strerror(-r));
	}
	return scan_read(c);
}

int supervise_start(struct service *s, const char *option, enum supervisor kind)
{
	const struct kith_host *h = s->h;
	const char *const *list = NULL;
	size_t n = h->option_list(h, option, &list);
	char path[PATH_MAX];
	struct rlimit files;
	struct stat st;
	int r = 0;

	if (!s->fifos_max)
		s->fifos_max = getrlimit(RLIMIT_NOFILE, &files) == 0 ? (uint32_t)(files.rlim_cur < 4096 ? files.rlim_cur : 4096) / 4 : 64;
	for (size_t i = 0; r >= 0 && i < n; i++) {
		if (*list[i] != '/' || snprintf(path, sizeof(path), "%s%s", h->root(h), list[i]) >= (int)sizeof(path)) {
			h->log(h, KITH_WARNING, "%s: \"%s\" is no absolute path", option, list[i]);
			continue;
		}
		/* A supervisor that this host does not have is not waited for */
		if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
			r = scan_new(s, path, kind);
	}
	return r;
}

void supervise_stop(struct service *s)
{
	struct scan *c, *next;
	struct served *v, *after;

	s->quiet = true;
	DL_FOREACH_SAFE(s->scans, c, next) {
		DL_FOREACH_SAFE(c->all, v, after)
			served_free(v);
		if (c->watch)
			s->h->unwatch(s->h, c->watch);
		DL_DELETE(s->scans, c);
		free(c->path);
		free(c);
	}
}

void supervise_resync(struct service *s)
{
	struct served *v, *after;
	struct scan *c;

	DL_FOREACH(s->scans, c) {
		scan_read(c);
		DL_FOREACH_SAFE(c->all, v, after)
			served_look(v);
	}
}
