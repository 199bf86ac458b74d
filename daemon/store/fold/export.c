#include "store/fold/export.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/names.h"
#include "plugin.h"
#include "store/fold/open.h"
#include "store/fold/past.h"

#define FOLD_LOCK ".fold.lock"

int export_time(const char *text, int64_t now, int64_t *ret_time)
{
	struct tm tm = { 0 };
	const char *end;
	int64_t ago;
	char *rest;
	double seconds;

	if (!strcmp(text, "now")) {
		*ret_time = now;
		return 0;
	}
	end = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	if (end && !strcmp(end, "Z")) {
		*ret_time = (int64_t)timegm(&tm) * NS_PER_S;
		return *ret_time < 0 ? -EINVAL : 0;
	}
	seconds = strtod(text, &rest);
	if (rest != text && !*rest && seconds >= 1e8 && seconds < 4e9) {
		*ret_time = (int64_t)llrint(seconds * 1e3) * NS_PER_MS;
		return 0;
	}
	if (duration_parse(text, strlen(text), &ago) < 0 || ago > now)
		return -EINVAL;
	*ret_time = now - ago;
	return 0;
}

static int parse(const struct export *e, struct patterns *p)
{
	struct buf why = BUF_INIT;
	char host[256] = "";
	int r;

	gethostname(host, sizeof(host) - 1);
	r = patterns_parse(p, e->patterns, e->n, host, &why);
	if (r < 0)
		log_err("%s", why.length ? buf_text(&why) : strerror(-r));
	buf_free(&why);
	return r;
}

static int unmatched(const struct patterns *p)
{
	int r = 0;

	for (size_t k = 0; k < p->n; k++)
		if (!p->list[k].matched) {
			log_warning("nothing matches \"%s\"", p->list[k].text);
			r = 1;
		}
	return r;
}

/* ---- CSV --------------------------------------------------------------------------------------------------------------------- */

static void put_text(const char *text)
{
	if (!strpbrk(text, ",\"\n\r")) {
		fputs(text, stdout);
		return;
	}
	putchar('"');
	for (; *text; text++) {
		if (*text == '"')
			putchar('"');
		putchar(*text);
	}
	putchar('"');
}

static void put_value(const struct past_series *s, double value)
{
	if (s->kind == KITH_STATE && value >= 0 && value < s->n_states)
		put_text(s->states[(size_t)value]);
	else
		printf("%.15g", value);
}

static void put_bound(double value)
{
	putchar(',');
	if (!isnan(value))
		printf("%.15g", value);
}

static int put_series(const struct past_series *s, void *user)
{
	const struct export *e = user;
	char time[CLOCK_TEXT_MAX], *name;

	if (asprintf(&name, *s->instance ? "%s:%s:%s" : "%s%s:%s", s->family, s->instance, s->metric) < 0)
		return -ENOMEM;
	for (size_t k = 0; k < s->n; k++) {
		if (isnan(s->points[k].value))
			continue;
		fputs(clock_format(s->points[k].time, time, sizeof(time)), stdout);
		putchar(',');
		put_text(name);
		putchar(',');
		put_value(s, s->points[k].value);
		if (e->step) {
			put_bound(s->points[k].least);
			put_bound(s->points[k].most);
		}
		putchar('\n');
	}
	free(name);
	return fflush(stdout) == 0 && !ferror(stdout) ? 0 : -EPIPE;
}

int export_csv(const struct export *e)
{
	struct patterns patterns = { 0 };
	struct past_config past = { .state = e->state, .patterns = &patterns, .from = e->from, .to = e->to, .step = e->step, .series = put_series,
		                    .user = (void *)(uintptr_t)e };
	int r;

	if (e->step && (e->to - e->from) / e->step > (int64_t)PAST_STEPS_MAX) {
		log_err("so short a step for so long a time is too much: more than a million values each");
		return 1;
	}
	if (parse(e, &patterns) < 0)
		return 1;
	puts(e->step ? "time,name,value,min,max" : "time,name,value");
	r = past_run(&past);
	if (r < 0 && r != -EPIPE)
		log_err("%s: %s", e->state, strerror(-r));
	if (r == 0)
		r = unmatched(&patterns);
	patterns_free(&patterns);
	return r ? 1 : 0;
}

/* ---- RRD files ------------------------------------------------------------------------------------------------------------------- */

struct copying {
	struct patterns *patterns;
	int from, to;           /* folders */
	const char *to_path;
};

static int copy_file(int from, int to, const char *path)
{
	int in = openat(from, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), out, r = 0;
	char block[65536];
	ssize_t n;

	if (in < 0)
		return -errno;
	out = openat(to, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (out < 0) {
		r = -errno;
		close(in);
		return r;
	}
	while (r == 0 && (n = read(in, block, sizeof(block))) != 0) {
		if (n < 0 && errno != EINTR)
			r = -errno;
		for (ssize_t done = 0; r == 0 && done < n;) {
			ssize_t m = write(out, block + done, (size_t)(n - done));

			if (m < 0 && errno != EINTR)
				r = -errno;
			done += m > 0 ? m : 0;
		}
	}
	close(in);
	if (close(out) < 0 && r == 0)
		r = -errno;
	return r;
}

static bool family_wanted(struct patterns *p, const struct fold_family *f, const char *instance)
{
	bool any = false;

	for (uint32_t k = 0; k < f->n; k++)
		any |= patterns_series(p, f->name, instance, f->metrics[k].name);
	return any;
}

static int copy_family(struct copying *c, struct fold_family *f)
{
	struct family_file *file, *next;
	char path[64 + RRD_NAME_SIZE];
	int r = 0;

	HASH_ITER(hh, f->files, file, next) {
		if (r < 0)
			break;
		if (!family_wanted(c->patterns, f, file->instance)) {
			known_remove_file(f, file);
			continue;
		}
		if (mkdirat(c->to, f->name, 0700) < 0 && errno != EEXIST)
			return -errno;
		snprintf(path, sizeof(path), "%s/%s", f->name, file->file);
		r = copy_file(c->from, c->to, path);
		if (r == -ENOENT || r == -ELOOP)
			r = 0;
	}
	f->changed = true;
	return r == 0 && f->files ? known_write(c->to_path, f) : r;
}

static int copy_all(struct copying *c)
{
	int fd = openat(c->from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct fold_family *f;
	struct dirent *e;

	if (!d)
		return -errno;
	while (r == 0 && (e = readdir(d))) {
		if (!name_part_valid(e->d_name) || !patterns_family(c->patterns, e->d_name))
			continue;
		r = known_read(c->from, e->d_name, &f);
		if (r == 0) {
			r = copy_family(c, f);
			known_free(f);
		} else if (r != -ENOMEM) {
			r = 0;
		}
	}
	closedir(d);
	return r;
}

/* What is folded, as it is now. No fold comes in between, as long as the caller holds its lock. */
static int copy_folded(struct copying *c)
{
	int lock = rrd_lock_open(c->from, false), r;

	rrd_lock_read(c->from, lock);
	r = copy_all(c);
	rrd_unlock(lock);
	if (lock >= 0)
		close(lock);
	return r;
}

static int make_folder(const char *path)
{
	struct dirent *e;
	bool empty = true;
	DIR *d;

	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return -errno;
	d = opendir(path);
	if (!d)
		return -errno;
	while ((e = readdir(d)))
		empty &= !strcmp(e->d_name, ".") || !strcmp(e->d_name, "..");
	closedir(d);
	return empty ? 0 : -ENOTEMPTY;
}

static int fold_rest(const struct export *e, const struct fold_config *config, struct patterns *p, const char *to)
{
	struct fold_config fold = *config;
	int folder = open(to, O_RDONLY | O_DIRECTORY | O_CLOEXEC), r;

	fold.state = e->state;
	fold.rrd = to;
	fold.cached = NULL;
	fold.export_only = true;
	fold.patterns = p;
	r = fold_run(&fold);
	if (folder >= 0) {
		unlinkat(folder, ".state", 0);
		unlinkat(folder, FOLD_LOCK, 0);
		unlinkat(folder, ".lock", 0);
		close(folder);
	}
	return r;
}

int export_rrd(const struct export *e, const struct fold_config *config, const char *to)
{
	struct patterns patterns = { 0 };
	struct copying c = { .patterns = &patterns, .to_path = to, .to = -1 };
	int r = make_folder(to), lock = -1;
	char *from;

	if (r < 0) {
		log_err("%s: %s", to, r == -ENOTEMPTY ? "it is not empty" : strerror(-r));
		return 1;
	}
	if (parse(e, &patterns) < 0)
		return 1;
	if (asprintf(&from, "%s/rrd", e->state) < 0)
		return 1;
	c.from = open(from, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	free(from);
	c.to = open(to, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (c.from >= 0 && c.to >= 0) {
		lock = openat(c.from, FOLD_LOCK, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (lock >= 0)
			flock(lock, LOCK_EX);
		r = copy_folded(&c);
	}
	if (r < 0)
		log_err("%s cannot be copied to %s: %s", e->state, to, strerror(-r));
	else
		r = fold_rest(e, config, &patterns, to);
	if (r == 0)
		r = unmatched(&patterns);
	for (int k = 0; k < 3; k++) {
		int fd = (const int[]){ c.from, c.to, lock }[k];

		if (fd >= 0)
			close(fd);
	}
	patterns_free(&patterns);
	return r ? 1 : 0;
}
