/* The package plugin's own: when the databases are read (package.c), what of them is told and put (tell.c), what they hold (database.c). */
#ifndef KITH_PACKAGE_PACKAGE_H
#define KITH_PACKAGE_PACKAGE_H

#include <sys/stat.h>
#include <uthash.h>

#include "package/database.h"
#include "plugin.h"

#define NS_PER_S INT64_C(1000000000)
#define NS_PER_MS INT64_C(1000000)

enum { FAMILY_PACKAGE, FAMILY_PACKAGES };
enum package_metric { STATE, INSTALLED, VERSION, N_METRICS };
enum total_metric { TOTAL_INSTALLED, TOTAL_BROKEN, TOTAL_CONFIG_FILES, TOTAL_HELD, TOTAL_CHANGES, TOTAL_DATABASE, TOTAL_REBOOT, N_TOTALS };
enum { DB_DPKG, DB_RPM, N_DBS };

struct packages;

struct db {
	struct packages *p;
	const char *name;
	char *folder;               /* without the root; NULL: not looked for */
	struct snapshot *s;         /* NULL: not read, or there is none */
	struct stat read;           /* the file as it was then */
	bool running, damaged;
	struct job *job;            /* that a worker is at, or was and is not taken yet */
	struct kith_watch *timer;
	int64_t since;              /* wall ns of the first event that is not answered; 0: none */
};

/* Somebody names it, or an option */
struct want {
	struct want *next;
	unsigned users;
	char name[];
};

struct instance {
	UT_hash_handle hh;
	kith_id id;
	bool seen;
	char name[];
};

struct expected {
	struct expected *next;
	const char *version; /* within name */
	char name[];
};

struct packages {
	const struct kith_host *h;
	struct db dbs[N_DBS];
	struct want *wants;
	struct instance *instances; /* uthash */
	struct expected *expected;
	kith_id totals;
	double changes;
	bool reboot, full_said;
};

/* tell.c */
void tell_changes(struct packages *p, const struct snapshot *before, const struct snapshot *now);
void tell_instances(struct packages *p);
void tell_totals(struct packages *p);
void tell_record(struct packages *p, enum kith_priority priority, const char *subject, const char *message, const struct kith_field *fields,
                 uint32_t n_fields);

#endif
