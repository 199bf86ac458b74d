/* What the files of this plugin share */
#ifndef MOUNT_MOUNT_H
#define MOUNT_MOUNT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "plugin.h"
#include "sources/mount.h"
#include "sources/quota.h"

#define NAME_SIZE 256 /* of an instance, with its NUL */
#define TEXT_SIZE 1024
#define BUCKETS 256
#define DEVICES 16

enum family { MOUNTS, QUOTAS };
enum mount_metric { STATE, READ_ONLY, TURNED };
enum { ABSENT, MOUNTED };
enum quota_metric { HARD, SOFT, GRACE, BELOW, QUOTA_METRICS };

struct top {
	uint32_t mount; /* its id */
	uint32_t major, minor;
	uint32_t flags;
};

/* A mount point: one that is there, or that somebody names. The mount on top counts. */
struct point {
	struct point *next;
	kith_id id;
	struct top top, found; /* found: by the look that goes on */
	int64_t since;  /* wall ns since when it is known; 0: it was there before the plugin */
	int state;
	bool turned;    /* it could be written to, and is read-only now */
	bool seen;      /* by the look that goes on */
	char name[];
};

struct quota {
	struct quota *next;
	kith_id id;
	double counts[QUOTA_METRICS];
	char name[];
};

struct want {
	struct want *next;
	char name[];
};

struct state {
	const struct kith_host *h;
	struct point *points[BUCKETS];
	struct want *wants; /* that are no pattern */
	struct quota *quotas;
	struct kith_watch *again; /* timer: the kernel said something of "read-only" */
	struct { uint32_t major, minor; } told[DEVICES]; /* file systems whose options were told of since SETTLED */
	size_t n_told;
	bool stacked;  /* the look that goes on found several on one point, and which one is on top is not sure yet */
	int64_t since; /* wall ns of the first look; 0: it is going on */
};

/* Control characters and what is no UTF-8 as \ooo. False: it did not fit, and is cut. */
bool clean(const char *from, char *to, size_t size);
bool is_read_only(uint32_t flags);
bool is_ignored(const struct state *s, const struct kith_mount_event *e);
struct point *point_find(const struct state *s, const char *name);
/* tell.c: records. `p`: the mount point of it; NULL: none that is followed */
int tell_mount(struct state *s, const struct kith_mount_event *e, const struct point *p);
int on_quota(const void *event, void *user);
void quotas_free(struct state *s);

/* A mount that becomes read-only this soon after it was made was meant to be so: that takes two system calls. */
#define SETTLING INT64_C(2000000000)

#endif
