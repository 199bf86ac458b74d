/* /proc/mdstat taken apart. Format: md_seq_show and status_resync of the kernel's drivers/md/md.c. */
#ifndef KITH_PLUGIN_MD_MDSTAT_H
#define KITH_PLUGIN_MD_MDSTAT_H

#include <stdbool.h>
#include <stdint.h>

#define MD_NAME_MAX 63
#define MD_LEVEL_MAX 15

enum md_state { MD_INACTIVE, MD_ACTIVE, MD_DEGRADED, MD_FAILED };
enum md_action { MD_IDLE, MD_RESYNC, MD_RECOVERY, MD_CHECK, MD_RESHAPE, MD_DELAYED };

struct md_array {
	char name[MD_NAME_MAX + 1];
	char level[MD_LEVEL_MAX + 1]; /* "raid1"; "" of an inactive one */
	bool read_only;               /* also where it is only until the first write */
	enum md_state state;
	enum md_action action;
	unsigned disks, working;      /* of the slots; 0 where the level has none (raid0, linear) */
	unsigned faulty, spare;       /* members that are marked so */
	unsigned members;
	double size;                  /* B */
	double progress, speed, left; /* percent, B/s, s; NaN: nothing goes on */
};

/* Calls `fn` for each array, in the order of the file; its negative answer ends it and is returned. What is no array is passed over. */
int mdstat_parse(const char *text, int (*fn)(const struct md_array *array, void *user), void *user);

#endif
