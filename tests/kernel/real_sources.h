/* A fake host with kithd's own loop and sources behind it: a plugin hears this kernel without a daemon. */
#ifndef KITH_TESTS_REAL_SOURCES_H
#define KITH_TESTS_REAL_SOURCES_H

#include "loop/loop.h"
#include "source/netlink.h"
#include "source/process.h"
#include "source/source.h"
#include "unit/fake_host.h"

struct real_watch;

struct real {
	struct fake_host *f;
	struct loop *loop;
	struct netlink_source *netlink;
	struct process_source *process;
	struct sources *sources;
	struct real_watch *watches;
	bool resync_due;
	unsigned resyncs;
	int failure; /* the first negative answer of a callback */
};

/* Ends the test with a line on failure. f->host's functions are replaced; options may be set before real_start. */
void real_new(struct real *r, const struct kith_plugin *plugin);
void real_start(struct real *r);
void real_free(struct real *r);
/* Runs the loop for `ns`, with resyncs as they fall due */
void real_run(struct real *r, int64_t ns);
/* Runs the loop until nothing has come for `quiet` ns */
void real_settle(struct real *r, int64_t quiet);
/* Runs the loop until `name` has `value`; false after `ns` */
bool real_until(struct real *r, const char *name, double value, int64_t ns);

/* `SKIP: reason` and exit 77 */
void skip(const char *reason) __attribute__((noreturn));
#define check(condition) \
	do { \
		if (!(condition)) { \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
			exit(1); \
		} \
	} while (0)
#define check_equal(value, expected) \
	do { \
		double check_value = (value), check_expected = (expected); \
		if (!(check_value == check_expected)) { \
			fprintf(stderr, "%s:%d: %s is %g, not %g\n", __FILE__, __LINE__, #value, check_value, check_expected); \
			exit(1); \
		} \
	} while (0)

#endif
