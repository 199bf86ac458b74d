/* What an audit event is about, and its record */
#ifndef AUDIT_AUDIT_H
#define AUDIT_AUDIT_H

#include <stdbool.h>

#include "plugin.h"
#include "sources/audit.h"

#define AUDIT_NAME 24
#define AUDIT_TEXT 1024
#define AUDIT_FIELDS 32

enum audit_class { LOGINS, LOGINS_FAILED, DENIALS, ANOMALIES, CONFIG, SECCOMP, USERS, OTHER, AUDIT_CLASSES };
extern const char *const audit_class_names[AUDIT_CLASSES];

enum audit_class audit_class_of(const struct kith_audit_event *e);
const char *audit_type_name(uint32_t type, char name[AUDIT_NAME]); /* "USER_LOGIN", "UNKNOWN[1999]" */
/* The first of its lines; NULL: none has it */
const char *audit_value(const struct kith_audit_event *e, const char *key);

struct audit_words {
	struct kith_record record;
	struct kith_field fields[AUDIT_FIELDS];
	char subject[32], text[AUDIT_TEXT], serial[24], type[AUDIT_NAME], keys[AUDIT_FIELDS][24];
};
/* The record points into the event, too. */
void audit_words(const struct kith_audit_event *e, enum audit_class class, struct audit_words *ret_words);

#endif
