/*
 * What is installed, as a compact snapshot: dpkg's status file (deb-control(5), dpkg(1)) and a listing of rpm's. Nothing here knows of kithd.
 */
#ifndef KITH_PACKAGE_DATABASE_H
#define KITH_PACKAGE_DATABASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* As dpkg has them; rpm's are all installed */
enum package_state {
	PACKAGE_ABSENT,
	PACKAGE_CONFIG_FILES,
	PACKAGE_HALF_INSTALLED,
	PACKAGE_UNPACKED,
	PACKAGE_HALF_CONFIGURED,
	PACKAGE_TRIGGERS_AWAITED,
	PACKAGE_TRIGGERS_PENDING,
	PACKAGE_INSTALLED,
	N_PACKAGE_STATES
};

#define DATABASE_WHY_MAX 160

/* One allocation: the texts of all packages, and where each begins, by name */
struct snapshot {
	size_t n, size;          /* packages; bytes of the whole */
	uint32_t *at;            /* n offsets into `text` */
	char *text;              /* of each: state, held (bytes), name, NUL, version, NUL */
	size_t counts[N_PACKAGE_STATES], held;
	unsigned faults;         /* parts that could not be read; then it is not to be believed */
	char why[DATABASE_WHY_MAX]; /* the first: line and reason */
};

struct package {
	const char *name, *version;
	enum package_state state;
	bool held;
};

/* 0 or -ENOMEM; whatever the bytes are, nothing else fails. A package of another architecture than dpkg's own is NAME:ARCHITECTURE. */
int database_dpkg(const char *text, size_t length, struct snapshot **ret_snapshot);
/* Lines of name, version, architecture, with a tab between them; of several versions under one name the last counts */
int database_rpm(const char *text, size_t length, struct snapshot **ret_snapshot);
void snapshot_free(struct snapshot *s);
struct package snapshot_get(const struct snapshot *s, size_t k);
/* PACKAGE_ABSENT, with no version, where it is not there */
struct package snapshot_find(const struct snapshot *s, const char *name);
/* Debian's order of versions (deb-version(7)): < 0, 0, > 0 */
int version_compare(const char *a, const char *b);

#endif
