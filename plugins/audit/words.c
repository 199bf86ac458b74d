#include <stdio.h>
#include <string.h>

#include "audit.h"

const char *const audit_class_names[AUDIT_CLASSES] = { "logins", "logins_failed", "denials", "anomalies", "config", "seccomp", "users", "other" };

static const struct {
	uint32_t type;
	const char *name;
} types[] = {
	{ 1005, "USER" }, { 1006, "LOGIN" }, { 1100, "USER_AUTH" }, { 1101, "USER_ACCT" }, { 1102, "USER_MGMT" }, { 1103, "CRED_ACQ" },
	{ 1104, "CRED_DISP" }, { 1105, "USER_START" }, { 1106, "USER_END" }, { 1107, "USER_AVC" }, { 1108, "USER_CHAUTHTOK" }, { 1109, "USER_ERR" },
	{ 1110, "CRED_REFR" }, { 1111, "USYS_CONFIG" }, { 1112, "USER_LOGIN" }, { 1113, "USER_LOGOUT" }, { 1114, "ADD_USER" }, { 1115, "DEL_USER" },
	{ 1116, "ADD_GROUP" }, { 1117, "DEL_GROUP" }, { 1119, "CHGRP_ID" }, { 1121, "TRUSTED_APP" }, { 1122, "USER_SELINUX_ERR" }, { 1123, "USER_CMD" },
	{ 1124, "USER_TTY" }, { 1125, "CHUSER_ID" }, { 1126, "GRP_AUTH" }, { 1127, "SYSTEM_BOOT" }, { 1128, "SYSTEM_SHUTDOWN" },
	{ 1129, "SYSTEM_RUNLEVEL" }, { 1130, "SERVICE_START" }, { 1131, "SERVICE_STOP" }, { 1132, "GRP_MGMT" }, { 1133, "GRP_CHAUTHTOK" },
	{ 1134, "MAC_CHECK" }, { 1135, "ACCT_LOCK" }, { 1136, "ACCT_UNLOCK" }, { 1138, "SOFTWARE_UPDATE" }, { 1200, "DAEMON_START" },
	{ 1201, "DAEMON_END" }, { 1202, "DAEMON_ABORT" }, { 1203, "DAEMON_CONFIG" }, { 1300, "SYSCALL" }, { 1302, "PATH" }, { 1303, "IPC" },
	{ 1304, "SOCKETCALL" }, { 1305, "CONFIG_CHANGE" }, { 1306, "SOCKADDR" }, { 1307, "CWD" }, { 1309, "EXECVE" }, { 1318, "OBJ_PID" }, { 1319, "TTY" },
	{ 1321, "BPRM_FCAPS" }, { 1323, "MMAP" }, { 1324, "NETFILTER_PKT" }, { 1325, "NETFILTER_CFG" }, { 1326, "SECCOMP" }, { 1327, "PROCTITLE" },
	{ 1328, "FEATURE_CHANGE" }, { 1329, "REPLACE" }, { 1330, "KERN_MODULE" }, { 1331, "FANOTIFY" }, { 1334, "BPF" }, { 1335, "EVENT_LISTENER" },
	{ 1400, "AVC" }, { 1401, "SELINUX_ERR" }, { 1402, "AVC_PATH" }, { 1403, "MAC_POLICY_LOAD" }, { 1404, "MAC_STATUS" }, { 1405, "MAC_CONFIG_CHANGE" },
	{ 1503, "APPARMOR_DENIED" }, { 1505, "APPARMOR_STATUS" }, { 1506, "APPARMOR_ERROR" }, { 1700, "ANOM_PROMISCUOUS" }, { 1701, "ANOM_ABEND" },
	{ 1702, "ANOM_LINK" }, { 1703, "ANOM_CREAT" }, { 1800, "INTEGRITY_DATA" }, { 1807, "INTEGRITY_POLICY_RULE" }, { 2000, "KERNEL" },
	{ 2100, "ANOM_LOGIN_FAILURES" }, { 2101, "ANOM_LOGIN_TIME" }, { 2102, "ANOM_LOGIN_SESSIONS" }, { 2103, "ANOM_LOGIN_ACCT" },
	{ 2104, "ANOM_LOGIN_LOCATION" }, { 2110, "ANOM_MK_EXEC" }, { 2300, "USER_ROLE_CHANGE" }, { 2404, "CRYPTO_KEY_USER" }, { 2502, "VIRT_MACHINE_ID" },
};

const char *audit_type_name(uint32_t type, char name[AUDIT_NAME])
{
	for (size_t i = 0; i < KITH_COUNT(types); i++)
		if (types[i].type == type)
			return types[i].name;
	snprintf(name, AUDIT_NAME, "UNKNOWN[%u]", type);
	return name;
}

static const char *line_value(const struct kith_audit_line *line, const char *key)
{
	for (uint32_t i = 0; i < line->n_fields; i++)
		if (!strcmp(line->fields[i].key, key))
			return line->fields[i].value;
	return NULL;
}

const char *audit_value(const struct kith_audit_event *e, const char *key)
{
	for (uint32_t i = 0; i < e->n_lines; i++) {
		const char *value = line_value(&e->lines[i], key);

		if (value)
			return value;
	}
	return NULL;
}

/* ---- what it is about -------------------------------------------------------------------------------------------- */

static bool has_failed(const struct kith_audit_line *line)
{
	const char *res = line_value(line, "res");

	return res && (!strcmp(res, "failed") || !strcmp(res, "0") || !strcmp(res, "no"));
}

static enum audit_class mac_class(const struct kith_audit_line *line)
{
	const char *apparmor = line_value(line, "apparmor");

	if (apparmor)
		return !strcmp(apparmor, "DENIED") ? DENIALS : !strcmp(apparmor, "STATUS") ? CONFIG : OTHER;
	return strstr(line->text, "denied") ? DENIALS : OTHER;
}

static enum audit_class line_class(const struct kith_audit_line *line)
{
	switch (line->type) {
	case 1112: /* USER_LOGIN */
		return has_failed(line) ? LOGINS_FAILED : LOGINS;
	case 1100: /* USER_AUTH, USER_ERR: of one that fails it is all there is, often */
	case 1109:
		return has_failed(line) ? LOGINS_FAILED : OTHER;
	case 1107: /* USER_AVC, AVC */
	case 1400:
		return mac_class(line);
	case 1503:
		return DENIALS;
	case 1111:
	case 1305:
	case 1328:
	case 1403:
	case 1404:
	case 1405:
	case 1505:
		return CONFIG;
	case 1326:
		return SECCOMP;
	case 1102:
	case 1108:
	case 1114:
	case 1115:
	case 1116:
	case 1117:
	case 1119:
	case 1125:
	case 1132:
	case 1133:
	case 1135:
	case 1136:
		return USERS;
	default:
		break;
	}
	if (line->type >= 1200 && line->type <= 1203)
		return CONFIG;
	return (line->type >= 1700 && line->type <= 1799) || (line->type >= 2100 && line->type <= 2199) ? ANOMALIES : OTHER;
}

enum audit_class audit_class_of(const struct kith_audit_event *e)
{
	enum audit_class found = OTHER;

	for (uint32_t i = 0; i < e->n_lines && found == OTHER; i++)
		found = line_class(&e->lines[i]);
	return found;
}

/* ---- the record -------------------------------------------------------------------------------------------------- */

static const char *or_else(const char *value, const char *other)
{
	return value && *value && strcmp(value, "?") != 0 && strcmp(value, "(null)") != 0 ? value : other;
}

/* The line that made it of its class: the first of such */
static const struct kith_audit_line *main_line(const struct kith_audit_event *e, enum audit_class class)
{
	for (uint32_t i = 0; i < e->n_lines; i++)
		if (line_class(&e->lines[i]) == class)
			return &e->lines[i];
	return &e->lines[0];
}

static void word(const struct kith_audit_event *e, enum audit_class class, const struct kith_audit_line *line, struct audit_words *w)
{
	const char *comm = or_else(audit_value(e, "comm"), "a program"), *acct = or_else(audit_value(e, "acct"), or_else(audit_value(e, "auid"), "somebody"));
	const char *from = or_else(audit_value(e, "addr"), or_else(audit_value(e, "terminal"), "an unknown place"));
	const char *op = or_else(audit_value(e, "operation"), or_else(audit_value(e, "op"), NULL));

	if (class == LOGINS || class == LOGINS_FAILED)
		snprintf(w->text, sizeof(w->text), "%s of %s from %s %s", line->type == 1112 ? "login" : "authentication", acct, from,
		         class == LOGINS ? "succeeded" : "failed");
	else if (class == DENIALS)
		snprintf(w->text, sizeof(w->text), "%s was denied %s%s%s", comm, or_else(op, "access"), audit_value(e, "name") ? " of " : "",
		         or_else(audit_value(e, "name"), ""));
	else if (class == SECCOMP)
		snprintf(w->text, sizeof(w->text), "%s made system call %s, which its filter does not allow", comm, or_else(audit_value(e, "syscall"), "?"));
	else if (line->type == 1701)
		snprintf(w->text, sizeof(w->text), "%s (process %s) ended by signal %s", comm, or_else(audit_value(e, "pid"), "?"), or_else(audit_value(e, "sig"), "?"));
	else if (line->type == 1700)
		snprintf(w->text, sizeof(w->text), "%s %s hears all packets", or_else(audit_value(e, "dev"), "a device"),
		         strcmp(or_else(audit_value(e, "prom"), "0"), "0") != 0 ? "now" : "no longer");
	else
		snprintf(w->text, sizeof(w->text), "%s: %.900s", w->type, line->text);
}

static uint32_t priority_of(enum audit_class class)
{
	switch (class) {
	case DENIALS:
	case LOGINS_FAILED:
	case ANOMALIES:
	case SECCOMP:
		return KITH_WARNING;
	case CONFIG:
	case USERS:
		return KITH_NOTICE;
	case LOGINS:
	case OTHER:
	case AUDIT_CLASSES:
		break;
	}
	return KITH_INFO;
}

/* Keys of records are [a-z0-9_]+ */
static bool key_of(const char *from, char to[24])
{
	size_t n = 0;

	for (; *from && n < 23; from++)
		to[n++] = *from >= 'A' && *from <= 'Z' ? (char)(*from + 32) : (*from >= 'a' && *from <= 'z') || (*from >= '0' && *from <= '9') ? *from : '_';
	to[n] = '\0';
	return n && !*from;
}

static bool has_key(const struct audit_words *w, const char *key)
{
	for (uint32_t i = 0; i < w->record.n_fields; i++)
		if (!strcmp(w->fields[i].key, key))
			return true;
	return false;
}

static void add_fields(struct audit_words *w, const struct kith_audit_line *line)
{
	for (uint32_t i = 0; i < line->n_fields && w->record.n_fields < AUDIT_FIELDS; i++) {
		char *key = w->keys[w->record.n_fields];

		if (key_of(line->fields[i].key, key) && !has_key(w, key))
			w->fields[w->record.n_fields++] = (struct kith_field){ key, line->fields[i].value };
	}
}

void audit_words(const struct kith_audit_event *e, enum audit_class class, struct audit_words *ret_words)
{
	const struct kith_audit_line *line = main_line(e, class);
	struct audit_words *w = ret_words;
	char name[AUDIT_NAME];

	w->record = (struct kith_record){ .size = sizeof(w->record), .priority = priority_of(class), .time = e->time, .subject = w->subject,
		                          .message = w->text, .fields = w->fields };
	snprintf(w->subject, sizeof(w->subject), "audit:%s", audit_class_names[class]);
	snprintf(w->type, sizeof(w->type), "%s", audit_type_name(line->type, name));
	snprintf(w->serial, sizeof(w->serial), "%llu", (unsigned long long)e->serial);
	word(e, class, line, w);
	w->fields[w->record.n_fields++] = (struct kith_field){ "type", w->type };
	w->fields[w->record.n_fields++] = (struct kith_field){ "serial", w->serial };
	add_fields(w, line);
	for (uint32_t i = 0; i < e->n_lines; i++)
		if (&e->lines[i] != line)
			add_fields(w, &e->lines[i]);
}
