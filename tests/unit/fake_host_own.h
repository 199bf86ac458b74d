/*
 * What the files of the fake host share: fake_host.c is its life and what a test asks, fake_table.c and fake_watch.c what
 * the plugin calls.
 */
#ifndef KITH_TESTS_FAKE_HOST_OWN_H
#define KITH_TESTS_FAKE_HOST_OWN_H

#include "fake_host.h"

#include <stdio.h>
#include <stdlib.h>

enum watch_kind {
	WATCH_FD,
	WATCH_PRI,
	WATCH_TIMER,
	WATCH_SAMPLE,
	WATCH_NETLINK,
	WATCH_PROCESS,
	WATCH_FILE,
	WATCH_WANTED,
	WATCH_SOURCE,
};

struct fake_watch {
	struct fake_watch *next;
	enum watch_kind kind;
	bool dead;
	int fd; /* or protocol, or source */
	uint32_t events; /* or group, or family */
	int64_t due, every;
	char *path;        /* or a copy of the source's filter */
	union {
		kith_fn call;
		kith_fd_fn fd;
		kith_netlink_fn netlink;
		kith_process_fn process;
		kith_file_fn file;
		kith_wanted_fn wanted;
		kith_source_fn source;
	} fn;
	void *user;
};

struct fake_work {
	struct fake_work *next;
	kith_work_fn fn; /* NULL: spawn */
	kith_done_fn done;
	void *user;
};

struct fake_answer {
	struct fake_answer *next;
	int protocol;
	uint16_t type;
	uint32_t source;   /* of dump_source; 0: of netlink_dump */
	size_t length;
	void *message;
};

struct fake_want {
	struct fake_want *next;
	uint32_t family, count;
	char *instance;
};

struct fake_option {
	struct fake_option *next;
	const struct kith_option *option;
	char *text;        /* NULL: unset */
	char *parts;       /* the list's strings */
	const char **list;
	size_t n_list;
};

#define die(...) \
	do { \
		fprintf(stderr, "fake_host: " __VA_ARGS__); \
		fputc('\n', stderr); \
		abort(); \
	} while (0)

static inline void *must(void *p)
{
	if (!p)
		die("out of memory");
	return p;
}

static inline struct fake_host *fake(const struct kith_host *h)
{
	return h->self;
}

/* fake_table.c: all but the watches, work and spawn */
void fake_table_calls(struct kith_host *h);
void fake_family_append(struct fake_host *f, const struct kith_family *family);
void fake_family_free(struct kith_family *family); /* may be NULL */
struct fake_instance *fake_instance_by_id(const struct fake_host *f, kith_id id, uint32_t *ret_metric);

/* fake_watch.c: those, and firing them */
void fake_table_watches(struct kith_host *h);
void fake_watches_sweep(struct fake_host *f, bool all); /* those that are dead, or all */
void fake_filter_free(struct fake_host *f);

#endif
