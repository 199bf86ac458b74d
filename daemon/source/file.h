/*
 * File events by inotify, shared: one inotify descriptor, watches on directories so that atomic replacement is
 * followed.
 */
#ifndef KITH_SOURCE_FILE_H
#define KITH_SOURCE_FILE_H

#include "loop/loop.h"
#include "plugin.h"

struct file_source;
struct file_sub;

struct file_listener {
	void *user;
	void (*event)(const struct kith_file_event *event, void *user);
	void (*lost)(void *user); /* IN_Q_OVERFLOW: look at everything again */
};

int file_source_new(struct loop *l, struct file_source **ret_source);
void file_source_free(struct file_source *s);
/*
 * `path`: a directory (events of its entries, `name` set) or a file, which need not exist (events of it, by its
 * directory). A
 * directory that is missing is followed by the nearest ancestor that exists, and watched when it appears: what it
 * holds by then is told
 * as ADDED and CHANGED, after an ADDED with an empty name for itself. A directory that goes away is told as REMOVED with an
 * empty name, and followed again; its own owner, mode and times are ATTR with an empty name.
 * What comes complete (renamed in, linked in) is ADDED and CHANGED: one who wants whole files subscribes CHANGED and
 * REMOVED alone.
 * An ancestor that is renamed while the directory exists goes unnoticed.
 */
int file_subscribe(struct file_source *s, const char *path, bool directory, uint32_t events,
                   const struct file_listener *listener, struct file_sub **ret_sub);
void file_unsubscribe(struct file_source *s, struct file_sub *sub);

#endif
