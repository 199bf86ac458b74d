/*
 * Typed sources: each speaks one protocol of the kernel's and hands over what that says as a structure of plugins/sources. What all of them have in common is
 * here: they are opened when somebody subscribes first and closed after the last, one socket or descriptor each; subscribers
 * may come and go while they are told; a loss is told to all of them.
 *
 * A kind of source is a constant struct source_kind, in the table of kinds.c. Its reader calls source_tell, source_tell_one and source_lost.
 */
#ifndef KITH_SOURCE_SOURCE_H
#define KITH_SOURCE_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "loop/loop.h"
#include "plugin.h"

struct sources;
struct source;     /* one that is open */
struct source_sub;
struct netlink_source;
struct file_source;

/* All are the caller's and outlive the sources. */
struct source_env {
	struct loop *loop;
	struct netlink_source *netlink;
	struct file_source *file;
	const char *root; /* without a slash at its end; may be changed by sources_root */
};

struct source_listener {
	void *user;
	void (*event)(const void *event, void *user); /* NULL: it is gone, nothing more comes. It may unsubscribe any. */
	void (*lost)(void *user);                     /* events were lost: dump */
};

struct source_kind {
	uint32_t id; /* enum kith_source */
	const char *name;
	uint32_t filter_size; /* of its filter as of the first ABI that had it; 0: it takes none */
	bool filter_needed;   /* NULL will not do */
	bool stays;           /* it holds nothing until somebody subscribes, and is not closed after a dump: those on the tick allocate nothing */
	int (*open)(struct source *s, const struct source_env *env, void **ret_reader);
	void (*close)(void *reader);
	/* One more subscriber; what it needs of its own is *ret_own. Both NULL: the source needs nothing of each. */
	int (*add)(void *reader, struct source_sub *sub, const void *filter, void **ret_own);
	void (*remove)(void *reader, void *own);
	bool (*accepts)(const void *own, const void *event); /* of source_tell; NULL: all */
	int (*dump)(void *reader, const void *filter, int (*fn)(const void *event, void *user), void *user); /* NULL: it has none */
};

int sources_new(const struct source_env *env, struct sources **ret_sources);
void sources_root(struct sources *all, const char *root); /* for what is opened from now on */
void sources_free(struct sources *all); /* with what is still subscribed */
/*
 * `filter` begins with its size. -EOPNOTSUPP: there is no such source here. -EINVAL: the filter is too short for this source, or missing.
 */
int source_subscribe(struct sources *all, uint32_t id, const void *filter, const struct source_listener *listener,
                     struct source_sub **ret_sub);
void source_unsubscribe(struct source_sub *sub);
int source_dump(struct sources *all, uint32_t id, const void *filter, int (*fn)(const void *event, void *user), void *user);

/* For the kinds */
void source_tell(struct source *s, const void *event); /* to each whose filter accepts it */
/* To this one alone. False: it has unsubscribed meanwhile, and what it had of its own is removed. */
bool source_tell_one(struct source_sub *sub, const void *event);
void source_lost(struct source *s);
/*
 * Any of these three may close the source and free its reader, when the last subscriber leaves. One that goes on after it, as with the rest of a
 * batch, holds it meanwhile. release false: it is closed now.
 */
void source_hold(struct source *s);
bool source_release(struct source *s);
const struct source_env *source_env(const struct source *s);
/* Each subscriber's own, as `add` gave it: for a filter that the kernel gets */
void source_each(const struct source *s, void (*fn)(void *own, void *user), void *user);

const struct source_kind *source_kind_find(uint32_t id); /* kinds.c; NULL: none */

#endif
