/* What a message of the kernel's is about, as far as it can be told from its words */
#ifndef KITH_PLUGIN_KMSG_RECOGNISE_H
#define KITH_PLUGIN_KMSG_RECOGNISE_H

#include "plugin.h"

enum kmsg_kind {
	KMSG_OOM,
	KMSG_IO_ERROR,
	KMSG_FS_ERROR,
	KMSG_SEGFAULT,
	KMSG_HUNG_TASK,
	KMSG_LOCKUP,
	KMSG_MACHINE_CHECK,
	KMSG_OOPS,
	KMSG_WARNING,
	KMSG_THROTTLED,
	KMSG_ALLOCATION,
	KMSG_TABLE_FULL,
	KMSG_SYN_FLOOD,
	KMSG_TRANSMIT_TIMEOUT,
	KMSG_SERVER_SILENT,
	KMSG_KINDS,
	KMSG_NONE = KMSG_KINDS,
};

#define FOUND_FIELDS 3
#define FOUND_VALUE 128 /* bytes, with the NUL; longer ones are cut off */

struct found {
	enum kmsg_kind kind;
	uint32_t n;
	struct {
		const char *key;
		char value[FOUND_VALUE];
	} fields[FOUND_FIELDS];
};

struct kmsg_kind_info {
	const char *name; /* of its instance */
	enum kith_priority priority; /* of its records, when the kernel gave it a lesser one */
};
extern const struct kmsg_kind_info kmsg_kinds[KMSG_KINDS];

/* KMSG_NONE: it is about nothing of these */
void kmsg_recognise(const char *text, struct found *ret_found);
/* The line before an OOM kill: "oom-kill:…,task_memcg=/a,task=name,pid=1,…". The group into `group`; its process, 0: it is no such line. */
int32_t kmsg_oom_group(const char *text, char group[FOUND_VALUE]);

#endif
