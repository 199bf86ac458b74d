/* package: what dpkg and rpm have installed, read when their databases change. See README. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "package/package.h"

#define SETTLE (300 * NS_PER_MS) /* after the last event */
#define SETTLE_MAX (5 * NS_PER_S) /* after the first */
#define LOCKED (60 * NS_PER_S)   /* a lock that nobody lets go tells nothing: it is looked at again */
#define STATUS_MAX (256u << 20)
#define RPM "/usr/bin/rpm"

#define E KITH_METRIC_EVENT
static const char *const states[] = { "absent", "config_files", "half_installed", "unpacked", "half_configured", "triggers_awaited",
	                              "triggers_pending", "installed", NULL };
static const char *const no_yes[] = { "no", "yes", NULL };
static const char *const versions[] = { "expected", "other", NULL };
static const char *const databases[] = { "ok", "damaged", NULL };
static const struct kith_metric metrics[N_METRICS] = {
	[STATE] = { "state", NULL, "its state, as dpkg has it", states, KITH_STATE, E },
	[INSTALLED] = { "installed", NULL, "whether it is there and can be used", no_yes, KITH_STATE, E },
	[VERSION] = { "version", NULL, "whether it has the version that kith.conf expects", versions, KITH_STATE, E },
};
static const struct kith_metric totals[N_TOTALS] = {
	[TOTAL_INSTALLED] = { "installed", "packages", "that are installed", NULL, KITH_GAUGE, E },
	[TOTAL_BROKEN] = { "broken", "packages", "that are half installed, unpacked, half configured or wait for triggers", NULL, KITH_GAUGE, E },
	[TOTAL_CONFIG_FILES] = { "config_files", "packages", "removed ones whose configuration is left", NULL, KITH_GAUGE, E },
	[TOTAL_HELD] = { "held", "packages", "that are to stay as they are", NULL, KITH_GAUGE, E },
	[TOTAL_CHANGES] = { "changes", "changes", "installations, upgrades, removals and changes of state", NULL, KITH_COUNTER, E },
	[TOTAL_DATABASE] = { "database", NULL, "whether it can be read", databases, KITH_STATE, E },
	[TOTAL_REBOOT] = { "reboot_required", NULL, "whether a package asked for it (/run/reboot-required)", no_yes, KITH_STATE, E },
};
#undef E

static const struct kith_family families[] = {
	[FAMILY_PACKAGE] = { KITH_FAMILY_INIT, "package", "packages that somebody named", "package", metrics, N_METRICS, 0 },
	[FAMILY_PACKAGES] = { KITH_FAMILY_INIT, "packages", "all packages together", NULL, totals, N_TOTALS, 0 },
};

static const struct kith_option options[] = {
	{ "packages", NULL, "packages and patterns beside those that promises name", 0, 0, KITH_OPTION_LIST, 0 },
	{ "expect", NULL, "NAME=VERSION: what package:NAME:version is \"expected\" for", 0, 0, KITH_OPTION_LIST, 0 },
	{ "admindir", "/var/lib/dpkg", "dpkg's folder", 0, 0, KITH_OPTION_STRING, 0 },
	{ "rpmdb", "/var/lib/rpm", "the folder of rpm's database", 0, 0, KITH_OPTION_STRING, 0 },
};

static bool real_path(const struct db *d, const char *name, char path[PATH_MAX])
{
	return snprintf(path, PATH_MAX, "%s%s%s%s", d->p->h->root(d->p->h), d->folder, *name ? "/" : "", name) < PATH_MAX;
}

/* ---- what was read ---------------------------------------------------------------------------------------------- */

static void unwatch(struct packages *p, struct kith_watch **w)
{
	if (*w)
		p->h->unwatch(p->h, *w);
	*w = NULL;
}

static void damaged(struct db *d, const char *why)
{
	struct packages *p = d->p;
	char message[DATABASE_WHY_MAX + 120];
	struct kith_field fields[] = { { "database", d->name } };

	snprintf(message, sizeof(message), "%s's database in %.60s cannot be believed: %s; what was known of it before stays", d->name, d->folder, why);
	if (!d->damaged)
		tell_record(p, KITH_ERR, "packages", message, fields, 1);
	p->h->note(p->h, message);
	d->damaged = true;
	tell_totals(p);
}

static void take(struct db *d, struct snapshot *s_take)
{
	struct packages *p = d->p;
	struct snapshot *before = d->s;

	if (s_take->faults || (!s_take->n && before && before->n > 1)) {
		damaged(d, s_take->faults ? s_take->why : "it is empty");
		snapshot_free(s_take);
		return;
	}
	if (d->damaged) {
		struct kith_field fields[] = { { "database", d->name } };

		p->h->note(p->h, NULL);
		tell_record(p, KITH_NOTICE, "packages", "the database can be read again", fields, 1);
	}
	d->damaged = false;
	d->s = s_take;
	if (before)
		tell_changes(p, before, d->s);
	snapshot_free(before);
	tell_instances(p);
	tell_totals(p);
}

/* ---- dpkg: read in a worker ------------------------------------------------------------------------------------- */

/* When the plugin goes meanwhile nobody takes what was read: whoever of the two comes second frees it. */
struct job {
	atomic_bool left;
	struct db *db;       /* for job_done alone */
	struct snapshot *s;
	struct stat st;
	char path[];
};

static void job_leave(struct job *j)
{
	if (!atomic_exchange(&j->left, true))
		return;
	snapshot_free(j->s);
	free(j);
}

static int read_status(struct job *j)
{
	int fd = open(j->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), r = 0;
	size_t n = 0, size;
	char *text;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &j->st) < 0 || !S_ISREG(j->st.st_mode) || j->st.st_size > STATUS_MAX) {
		close(fd);
		return -EINVAL;
	}
	size = (size_t)j->st.st_size + 1;
	text = malloc(size);
	while (text && n < size) {
		ssize_t got = read(fd, text + n, size - n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			r = -errno;
		if (got <= 0)
			break;
		n += (size_t)got;
	}
	if (r == 0)
		r = text ? database_dpkg(text, n, &j->s) : -ENOMEM;
	free(text);
	close(fd);
	return r;
}

static int job_read(void *user)
{
	int r = read_status(user);

	job_leave(user);
	return r;
}

static void soon(struct db *d);

static int job_done(int result, void *user)
{
	struct job *j = user;
	struct db *d = j->db;

	d->running = false;
	d->job = NULL;
	if (result == 0) {
		d->read = j->st;
		take(d, j->s);
	} else if (result != -ENOENT && result != -ENOTDIR) {
		damaged(d, strerror(-result));
	} else if (d->s) {
		damaged(d, "the file status is gone");
	}
	free(j);
	if (d->since)
		soon(d);
	return 0;
}

static int dpkg_begin(struct db *d)
{
	char path[PATH_MAX];
	struct job *j;
	int r;

	if (!real_path(d, "status", path))
		return -ENAMETOOLONG;
	j = calloc(1, sizeof(*j) + strlen(path) + 1);
	if (!j)
		return -ENOMEM;
	j->db = d;
	strcpy(j->path, path);
	r = d->p->h->work(d->p->h, job_read, job_done, j);
	if (r < 0)
		free(j);
	else
		d->job = j;
	return r;
}

/* dpkg, or a front end that runs it several times, is at work */
static bool is_locked(const struct db *d)
{
	static const char *const names[] = { "lock-frontend", "lock" };
	char path[PATH_MAX];
	bool locked = false;

	for (int k = 0; k < 2 && !locked; k++) {
		struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
		int fd = real_path(d, names[k], path) ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;

		if (fd < 0)
			continue;
		locked = fcntl(fd, F_GETLK, &l) == 0 && l.l_type != F_UNLCK;
		close(fd);
	}
	return locked;
}

/* ---- rpm: asked by its own program, which alone knows all its formats ------------------------------------------- */

static int rpm_ended(const struct kith_ended *ended, void *user)
{
	struct db *d = user;
	struct snapshot *s = NULL;
	char path[PATH_MAX];

	d->running = false;
	/* It opens the database for writing, which is an event: the file as it is now is the one that was read. */
	if (real_path(d, "rpmdb.sqlite", path) && stat(path, &d->read) < 0 && real_path(d, "Packages", path))
		(void)!stat(path, &d->read);
	if (ended->status != 0 || (ended->flags & (KITH_ENDED_CUT | KITH_ENDED_TIMEOUT)))
		damaged(d, "rpm -qa failed");
	else if (database_rpm(ended->output, ended->output_length, &s) == 0)
		take(d, s);
	if (d->since)
		soon(d);
	return 0;
}

static int rpm_begin(struct db *d)
{
	char path[PATH_MAX];
	const char *const argv[] = { RPM, "--dbpath", path, "-qa", "--queryformat", "%{NAME}\\t%|EPOCH?{%{EPOCH}:}|%{VERSION}-%{RELEASE}\\t%{ARCH}\\n", NULL };
	struct kith_program program = { .size = sizeof(program), .argv = argv, .timeout = 60 * NS_PER_S, .keep = 1 << 20 };

	if (!real_path(d, "", path))
		return -ENAMETOOLONG;
	return d->p->h->spawn_capture(d->p->h, &program, rpm_ended, d, NULL);
}

/* ---- when ------------------------------------------------------------------------------------------------------- */

static bool is_as_read(const struct db *d, const char *name)
{
	char path[PATH_MAX];
	struct stat st;

	return d->read.st_ino && real_path(d, name, path) && stat(path, &st) == 0 && st.st_ino == d->read.st_ino && st.st_size == d->read.st_size &&
	       st.st_mtim.tv_sec == d->read.st_mtim.tv_sec && st.st_mtim.tv_nsec == d->read.st_mtim.tv_nsec;
}

static int on_timer(void *user)
{
	struct db *d = user;
	struct packages *p = d->p;
	bool dpkg = d == &p->dbs[DB_DPKG];
	int r;

	unwatch(p, &d->timer);
	if (d->running)
		return 0;
	if (dpkg && is_locked(d)) {
		/* Its end is an event: this is for one that ends without. */
		p->h->watch_timer(p->h, LOCKED, 0, LOCKED / 4, on_timer, d, &d->timer);
		return 0;
	}
	d->since = 0;
	if (dpkg ? is_as_read(d, "status") : is_as_read(d, "rpmdb.sqlite") || is_as_read(d, "Packages"))
		return 0;
	r = dpkg ? dpkg_begin(d) : rpm_begin(d);
	if (r == 0) {
		d->running = true;
	} else if (r == -EAGAIN) {
		d->since = p->h->now(p->h);
		soon(d);
	} else {
		damaged(d, strerror(-r));
	}
	return 0;
}

/* A while after the last event, but not for ever after the first */
static void soon(struct db *d)
{
	struct packages *p = d->p;
	int64_t now = p->h->now(p->h), wait;

	if (!d->since || now < d->since)
		d->since = now;
	wait = d->since + SETTLE_MAX - now;
	wait = wait < SETTLE ? (wait > 0 ? wait : 0) : SETTLE;
	unwatch(p, &d->timer);
	if (p->h->watch_timer(p->h, wait, 0, SETTLE / 3, on_timer, d, &d->timer) < 0)
		d->timer = NULL;
}

static int on_file(const struct kith_file_event *event, void *user)
{
	(void)event;
	soon(user);
	return 0;
}

static void look_reboot(struct packages *p)
{
	char path[PATH_MAX];

	p->reboot = snprintf(path, sizeof(path), "%s/run/reboot-required", p->h->root(p->h)) < PATH_MAX && access(path, F_OK) == 0;
}

static int on_reboot(const struct kith_file_event *event, void *user)
{
	struct packages *p = user;
	bool before = p->reboot;

	(void)event;
	look_reboot(p);
	if (p->reboot && !before)
		tell_record(p, KITH_NOTICE, "packages", "a package asks for a restart of the host", NULL, 0);
	tell_totals(p);
	return 0;
}

static int watch(struct packages *p, struct db *d, const char *name)
{
	char path[PATH_MAX];

	if (!real_path(d, name, path))
		return -ENAMETOOLONG;
	return p->h->watch_file(p->h, path, KITH_FILE_CHANGED | KITH_FILE_REMOVED, on_file, d, NULL);
}

static int watch_all(struct packages *p)
{
	char path[PATH_MAX];
	int r = 0;

	if (p->dbs[DB_DPKG].folder) {
		r = watch(p, &p->dbs[DB_DPKG], "status");
		if (r == 0)
			r = watch(p, &p->dbs[DB_DPKG], "lock");
		if (r == 0)
			r = watch(p, &p->dbs[DB_DPKG], "lock-frontend");
		soon(&p->dbs[DB_DPKG]);
	}
	if (r == 0 && p->dbs[DB_RPM].folder && access(RPM, X_OK) == 0) {
		r = watch(p, &p->dbs[DB_RPM], "rpmdb.sqlite");
		if (r == 0)
			r = watch(p, &p->dbs[DB_RPM], "Packages");
		/* One that is not there is not made by asking for it. */
		if (real_path(&p->dbs[DB_RPM], "rpmdb.sqlite", path) && access(path, R_OK) == 0)
			soon(&p->dbs[DB_RPM]);
		else if (real_path(&p->dbs[DB_RPM], "Packages", path) && access(path, R_OK) == 0)
			soon(&p->dbs[DB_RPM]);
	}
	look_reboot(p);
	if (r == 0 && snprintf(path, sizeof(path), "%s/run/reboot-required", p->h->root(p->h)) < PATH_MAX)
		r = p->h->watch_file(p->h, path, KITH_FILE_CHANGED | KITH_FILE_ADDED | KITH_FILE_REMOVED, on_reboot, p, NULL);
	return r;
}

/* ---- who names what --------------------------------------------------------------------------------------------- */

static int want(struct packages *p, const char *name, bool wanted)
{
	struct want **at = &p->wants, *w;

	while (*at && strcmp((*at)->name, name))
		at = &(*at)->next;
	w = *at;
	if (wanted && !w) {
		w = calloc(1, sizeof(*w) + strlen(name) + 1);
		if (!w)
			return -ENOMEM;
		strcpy(w->name, name);
		*at = w;
	}
	if (wanted)
		w->users++;
	else if (w && --w->users == 0) {
		*at = w->next;
		free(w);
	}
	return 0;
}

static int on_wanted(const char *instance, int wanted, void *user)
{
	struct packages *p = user;
	int r;

	/* "*" alone would make an instance of each of some thousand: the option can. */
	if (!strcmp(instance, "*"))
		return 0;
	r = want(p, instance, wanted != 0);
	tell_instances(p);
	return r;
}

static int read_options(struct packages *p)
{
	const char *const *list = NULL;
	size_t n = p->h->option_list(p->h, "packages", &list);
	int r = 0;

	for (size_t k = 0; k < n && r == 0; k++)
		r = want(p, list[k], true);
	n = p->h->option_list(p->h, "expect", &list);
	for (size_t k = 0; k < n && r == 0; k++) {
		size_t length = strcspn(list[k], "=");
		struct expected *e;

		if (!length || !list[k][length] || !list[k][length + 1]) {
			p->h->log(p->h, KITH_ERR, "expect: \"%.100s\" is not NAME=VERSION: left out", list[k]);
			continue;
		}
		e = malloc(sizeof(*e) + strlen(list[k]) + 1);
		if (!e)
			return -ENOMEM;
		strcpy(e->name, list[k]);
		e->name[length] = '\0';
		e->version = e->name + length + 1;
		e->next = p->expected;
		p->expected = e;
		r = want(p, e->name, true);
	}
	return r;
}

/* ---- its life --------------------------------------------------------------------------------------------------- */

static void package_fini(void *state)
{
	struct packages *p = state;
	struct instance *i, *next;
	struct expected *e;
	struct want *w;

	HASH_ITER(hh, p->instances, i, next) {
		HASH_DEL(p->instances, i);
		free(i);
	}
	while ((e = p->expected)) {
		p->expected = e->next;
		free(e);
	}
	while ((w = p->wants)) {
		p->wants = w->next;
		free(w);
	}
	for (int d = 0; d < N_DBS; d++) {
		if (p->dbs[d].job)
			job_leave(p->dbs[d].job);
		snapshot_free(p->dbs[d].s);
		free(p->dbs[d].folder);
	}
	free(p);
}

static int package_init(const struct kith_host *h, void **ret_state)
{
	static const char *const names[N_DBS] = { "dpkg", "rpm" }, *const places[N_DBS] = { "admindir", "rpmdb" };
	struct packages *p = calloc(1, sizeof(*p));
	int r = 0;

	if (!p)
		return -ENOMEM;
	p->h = h;
	for (int d = 0; d < N_DBS && r == 0; d++) {
		const char *folder = h->option_string(h, places[d]);

		p->dbs[d].p = p;
		p->dbs[d].name = names[d];
		if (folder && *folder != '/') {
			h->note(h, "admindir and rpmdb have to be absolute paths");
			r = -EINVAL;
		} else if (folder) {
			p->dbs[d].folder = strdup(folder);
			r = p->dbs[d].folder ? 0 : -ENOMEM;
		}
	}
	if (r == 0)
		r = read_options(p);
	if (r == 0)
		r = watch_all(p);
	if (r == 0)
		r = h->watch_wanted(h, FAMILY_PACKAGE, on_wanted, p, NULL);
	if (r < 0)
		package_fini(p);
	else
		*ret_state = p;
	return r;
}

static int package_resync(void *state)
{
	struct packages *p = state;

	for (int d = 0; d < N_DBS; d++)
		if (p->dbs[d].s || d == DB_DPKG)
			soon(&p->dbs[d]);
	on_reboot(NULL, p);
	return 0;
}

KITH_PLUGIN = {
	KITH_PLUGIN_INIT,
	.name = "package",
	.version = "1",
	.help = "package: what dpkg and rpm have installed, by events of their databases",
	.provides = KITH_PROVIDES_SAMPLES | KITH_PROVIDES_RECORDS | KITH_PROVIDES_RESYNC,
	.families = families,
	.n_families = KITH_COUNT(families),
	.option_size = sizeof(struct kith_option),
	.options = options,
	.n_options = KITH_COUNT(options),
	.init = package_init,
	.fini = package_fini,
	.resync = package_resync,
	.hears = "inotify on the databases of dpkg and rpm; a worker reads them when a run of the package manager is "
	         "over",
	.costs = "nothing until packages change; then some 30 ms in a worker for 1,000 packages",
};
