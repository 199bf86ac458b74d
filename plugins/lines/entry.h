/* From a line to kithd's record of it */
#ifndef KITH_LINES_ENTRY_H
#define KITH_LINES_ENTRY_H

#include "lines/line.h"

#define ENTRY_FIELDS_MAX 32
#define ENTRY_OWN_MAX (ENTRY_FIELDS_MAX - LINE_PARAMS_MAX - 7) /* fields that the plugin itself may add */

/* Made once for all lines of a plugin: its record is valid until the next one. */
struct entry {
	struct kith_record record;
	struct kith_field fields[ENTRY_FIELDS_MAX];
	char subject[8 + LINE_NAME_MAX];
	char left_out[12], local_host[LINE_NAME_MAX + 1];
	int64_t skew; /* ns that a line's own time may be away from now; 0: it is always the arrival's */
};

void entry_init(struct entry *e, int64_t skew); /* looks up this host's name */
/*
 * Subject log:IDENTIFIER (log:- without; log:`fallback` if that is not NULL), priority by the severity or `priority`, the line's time where it is sane.
 * Fields host (of another one), pid, facility, msgid or sequence, structured data, left_out.
 */
void entry_fill(struct entry *e, const struct line *l, int64_t now, uint32_t priority, const char *fallback);
/* One more field; kept as it is. Beyond ENTRY_OWN_MAX nothing happens. */
void entry_add(struct entry *e, const char *key, const char *value);

#endif
