/* What the tests of the record store share: a store in a folder of its own whose calls fail when the test says so, and a naive reader of it */
#ifndef KITH_TEST_RECORDS_HELP_H
#define KITH_TEST_RECORDS_HELP_H

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "store/records_impl.h"
#include "store/records_walk.h"

struct world {
	char folder[64], path[96];
	struct model *m;
	struct records *r;
	struct records_io io;
	struct records_config config;
	struct model_observer observer;
	int64_t now;
	int write_error, open_error, sync_error, truncate_error; /* 0: none */
	int64_t room;       /* bytes that the disk still takes; -1: without end */
	unsigned n_said;
	char said[512];     /* the store's last word */
	char said_sources[256];
};

static inline int world_openat(int dir, const char *path, int flags, void *user)
{
	struct world *w = user;

	if (w->open_error && (flags & O_CREAT)) {
		errno = w->open_error;
		return -1;
	}
	return records_system_io.open(dir, path, flags, NULL);
}

static inline ssize_t world_write(int fd, const void *data, size_t length, void *user)
{
	struct world *w = user;
	ssize_t n = (ssize_t)length;

	if (w->write_error) {
		errno = w->write_error;
		return -1;
	}
	if (w->room >= 0) {
		n = n < w->room ? n : w->room;
		w->room -= n;
		if (!n) {
			errno = ENOSPC;
			return -1;
		}
	}
	return write(fd, data, (size_t)n);
}

static inline ssize_t world_pread(int fd, void *data, size_t length, off_t at, void *user)
{
	(void)user;
	return pread(fd, data, length, at);
}

static inline int world_truncate(int fd, off_t length, void *user)
{
	struct world *w = user;

	if (w->truncate_error) {
		errno = w->truncate_error;
		return -1;
	}
	return ftruncate(fd, length);
}

static inline int world_sync(int fd, void *user)
{
	struct world *w = user;

	(void)fd;
	if (w->sync_error) {
		errno = w->sync_error;
		return -1;
	}
	return 0;
}

static inline int world_unlink(int dir, const char *path, void *user)
{
	(void)user;
	return unlinkat(dir, path, 0);
}

static inline void world_said(const struct kith_record *record, uint64_t number, void *user)
{
	struct world *w = user;

	(void)number;
	if (strcmp(record->subject, "kith:records") != 0)
		return;
	w->n_said++;
	snprintf(w->said, sizeof(w->said), "%s", record->message);
	*w->said_sources = '\0';
	for (uint32_t i = 3; i < record->n_fields; i++)
		snprintf(w->said_sources + strlen(w->said_sources), sizeof(w->said_sources) - strlen(w->said_sources), "%s=%s ",
		         record->fields[i].key, record->fields[i].value);
}

static inline void world_start(struct world *w)
{
	w->config.folder = w->folder;
	w->config.io = &w->io;
	ck_assert_int_eq(records_new(w->m, &w->config, &w->r), 0);
}

static inline void world_open(struct world *w)
{
	*w = (struct world){ .now = INT64_C(1800000000) * NS_PER_S, .room = -1 };
	w->io = (struct records_io){ world_openat, world_write, world_pread, world_truncate, world_sync, world_unlink, w };
	strcpy(w->folder, "/tmp/kith-test-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(w->folder));
	snprintf(w->path, sizeof(w->path), "%s/records", w->folder);
	ck_assert_int_eq(model_new(&w->m), 0);
	model_set_now(w->m, w->now);
	w->observer = (struct model_observer){ .user = w, .on_record = world_said };
	model_observe(w->m, &w->observer);
	world_start(w);
}

static inline void world_close(struct world *w)
{
	char command[128];

	records_free(w->r);
	model_free(w->m);
	snprintf(command, sizeof(command), "rm -rf '%s'", w->folder);
	ck_assert_int_eq(system(command), 0);
}

/* Killed: what is in memory is gone, and nothing is tidied up */
static inline void world_kill(struct world *w)
{
	records_settle(w->r);
	w->r->waiting = 0;
	w->r->start = w->r->end = WAIT_HEAD;
	records_free(w->r);
}

static inline void put(struct world *w, const char *subject, uint64_t i)
{
	char message[96], value[24];
	const struct kith_field fields[] = { { "n", value }, { "kind", i % 2 ? "odd" : "even" } };
	struct kith_record record = { .size = sizeof(record), .priority = i % 8, .time = w->now + (int64_t)i * NS_PER_MS, .subject = subject,
		                      .message = message, .fields = fields, .n_fields = 2 };

	snprintf(message, sizeof(message), "Message number_%llu of many, 0x%llx", (unsigned long long)i, (unsigned long long)(i * 2654435761u));
	snprintf(value, sizeof(value), "%llu", (unsigned long long)i);
	model_record(w->m, &record);
}

static inline void tick(struct world *w, int64_t ns)
{
	w->now += ns;
	model_set_now(w->m, w->now);
	records_tick(w->r, w->now);
	records_settle(w->r);
}

/* ---- the naive reader ----------------------------------------------------------------------------------------------- */

typedef void (*seen_fn)(const struct record_row *row, const char *subject, void *user);

static inline void read_blocks(const char *path, int fd, int64_t size, bool distrust, seen_fn fn, void *user, unsigned *damaged)
{
	struct blocks_map map;
	struct block_dctx *d;
	uint8_t *data = NULL;
	size_t room = 0;

	(void)path;
	ck_assert_int_eq(blocks_map(&records_system_io, fd, size, distrust, &map), 0);
	ck_assert_int_eq(block_dctx_new(&d), 0);
	*damaged += map.damaged;
	for (uint32_t i = 0; i < map.n; i++) {
		struct block_head h;
		struct block_cursor c;
		struct record_row row;
		uint8_t *raw;

		if (block_read(&records_system_io, fd, &map.entries[i], &data, &room, &h) < 0) {
			(*damaged)++;
			continue;
		}
		raw = malloc(block_raw(&h) + 1);
		ck_assert_int_eq(block_unpack(d, &h, data + h.header_length, raw), 0);
		block_begin(&c, &h, raw);
		while (block_next(&c, &row)) {
			struct block_name name = { 0 };
			char subject[600];
			size_t at = 0;

			for (uint32_t k = 0; k <= c.name; k++)
				ck_assert(block_name(&h, &at, &name));
			snprintf(subject, sizeof(subject), "%.*s", (int)name.length, name.at);
			fn(&row, subject, user);
		}
		ck_assert_uint_eq(c.left, 0);
		free(raw);
	}
	free(data);
	block_dctx_free(d);
	blocks_map_free(&map);
}

/* All records of the folder in order; counts what is damaged */
static inline unsigned read_all(const struct world *w, seen_fn fn, void *user)
{
	int dir = open(w->path, O_RDONLY | O_DIRECTORY);
	struct records_file *files;
	unsigned damaged = 0;
	size_t n;

	ck_assert_int_ge(dir, 0);
	ck_assert_int_eq(records_list(dir, &files, &n), 0);
	for (size_t i = 0; i < n; i++) {
		char name[FILE_NAME_MAX];
		int fd;

		records_file_name(name, files[i].sequence, files[i].open);
		fd = openat(dir, name, O_RDONLY);
		ck_assert_int_ge(fd, 0);
		if (files[i].open) {
			struct open_cursor c;
			struct record_row row;
			uint64_t sequence;
			uint8_t *data;
			size_t length;

			ck_assert_int_eq(records_read_all(&records_system_io, fd, OPEN_MAX, &data, &length), 0);
			if (open_begin(&c, data, length, &sequence))
				while (open_next(&c, &row))
					fn(&row, row.subject, user);
			damaged += c.damaged;
			free(data);
		} else {
			read_blocks(name, fd, files[i].size, false, fn, user, &damaged);
		}
		close(fd);
	}
	free(files);
	close(dir);
	return damaged;
}

/* Those of put(): each once, in order */
struct numbers {
	uint64_t next, n, doubled, missing, others;
};

static inline void count_number(const struct record_row *row, const char *subject, void *user)
{
	struct numbers *x = user;
	const char *at = row->fields, *key, *value = "";
	uint64_t i;

	if (!strncmp(subject, "kith:", 5)) {
		x->others++;
		return;
	}
	while ((key = row_field(row, &at, &value)) && strcmp(key, "n") != 0)
		;
	ck_assert_ptr_nonnull(key);
	i = strtoull(value, NULL, 10);
	ck_assert_uint_eq(row->priority, i % 8);
	x->doubled += i < x->next;
	x->missing += i > x->next ? i - x->next : 0;
	x->next = i + 1 > x->next ? i + 1 : x->next;
	x->n++;
}

#endif
