/*
 * Any bytes as a history of promises: opened, asked, written to, made smaller, asked again. What comes out is a part of the time that there
 * was, whatever came in.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "model/model.h"
#include "store/history.h"
#include "store/history_line.h"
#include "store/reliability.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define T0 (INT64_C(1800100000) * NS_PER_S)

struct fuzz {
	int64_t wall;
};

static void fuzz_clock(int64_t *ret_wall, int64_t *ret_mono, void *user)
{
	const struct fuzz *f = user;

	*ret_wall = f->wall;
	*ret_mono = f->wall - T0;
}

/* One line comes out as it went in. */
static void line(const char *text, size_t length)
{
	struct history_line l;
	struct buf b = BUF_INIT, again = BUF_INIT;
	const char *tab;

	if (history_line_parse(text, length, &l) < 0 || l.kind != HISTORY_TRANSITION)
		return;
	tab = memchr(l.key, '\t', l.key_length);
	if (!tab || l.key < text || l.because + l.because_length != text + length)
		abort();
	history_unescape(&b, l.because, l.because_length);
	history_escape(&again, buf_text(&b), SIZE_MAX);
	buf_reset(&b);
	history_unescape(&b, buf_text(&again), again.length);
	buf_free(&again);
	history_escape(&again, buf_text(&b), SIZE_MAX);
	buf_free(&again);
	buf_free(&b);
}

static void check(const struct reliability_window *w)
{
	for (int i = 0; i < RELIABILITY_WINDOWS; i++)
		if (w[i].kept < 0 || w[i].broken < 0 || w[i].longest < 0 || w[i].mend_time < 0)
			abort();
}

static void ask(struct history *h, int64_t now)
{
	const struct reliability_change *changes;
	struct reliability *r;
	int more;

	for (int i = 0; i < 2; i++) {
		if (reliability_new(h, i == 1, &r) < 0)
			abort();
		if (reliability_add(r, "b.p", "df:/", KITH_KEPT, now - NS_PER_S) < 0)
			abort();
		if (i == 0 && reliability_add(r, "b.q", "df:/", KITH_UNKNOWN, now) < 0)
			abort();
		while ((more = reliability_step(r)) > 0)
			;
		if (more < 0)
			abort();
		check(reliability_of(r, "b.p", "df:/"));
		if (reliability_changes(r, &changes) > RELIABILITY_CHANGES)
			abort();
		reliability_free(r);
	}
}

static void live(struct fuzz *f, struct model *m, const char *folder)
{
	struct history_config config = { .folder = folder, .max = 256, .clock = fuzz_clock, .user = f };
	struct kith_transition t = { .size = sizeof(t), .name = "b.p", .promiser = "df:/", .because = "it is so" };
	struct history *h;

	if (history_new(m, &config, &h) < 0 || history_off(h))
		abort();
	ask(h, f->wall);
	for (int i = 0; i < 4; i++) {
		f->wall += NS_PER_S;
		t.from = i % 2 ? KITH_KEPT : KITH_BROKEN;
		t.to = i % 2 ? KITH_BROKEN : KITH_KEPT;
		t.time = f->wall;
		model_transition(m, &t);
		history_tick(h);
	}
	ask(h, f->wall);
	history_free(h);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char folder[64] = "/dev/shm/kith-fuzz-XXXXXX", path[96];
	struct fuzz f = { .wall = T0 };
	struct model *m;
	size_t begin = 0;
	int fd;

	log_set_level((enum log_level)0);
	for (size_t i = 0; i <= size; i++)
		if (i == size || data[i] == '\n') {
			line((const char *)data + begin, i - begin);
			begin = i + 1;
		}
	if (!mkdtemp(folder) && !mkdtemp(strcpy(folder, "/tmp/kith-fuzz-XXXXXX")))
		return 0;
	snprintf(path, sizeof(path), "%s/promises.history", folder);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, data, size) != (ssize_t)size || close(fd) < 0 || model_new(&m) < 0)
		abort();
	live(&f, m, folder);
	f.wall += 3600 * NS_PER_S;
	live(&f, m, folder);
	model_free(m);
	unlink(path);
	rmdir(folder);
	return 0;
}
