/* Does a rule make sense: units, states, names, patterns? Writes what it finds into the rule's condition. */
#ifndef KITH_PROMISES_TYPING_H
#define KITH_PROMISES_TYPING_H

#include "base/buf.h"
#include "base/fault.h"
#include "model/model.h"
#include "promises/syntax.h"

#define TYPING_WARNED_MAX 128

struct typing {
	const struct model *model; /* NULL: no family is known, and nothing is said of it */
	/* Where faults go: to the reader of a file … */
	const char *path, *text;
	size_t length;
	struct faults *faults;
	/* … or, at run time, the first one as a line */
	struct buf *reason;

	/* Families said to be missing: once each */
	const char *warned[TYPING_WARNED_MAX];
	unsigned n_warned;
	/* within a rule */
	const struct rule *rule;
	const struct expr *quantifier;
	unsigned errors;
	const struct expr *senseless; /* a part that can only hold, or only fail */
};

/* False: it has faults, told */
bool typing_check(struct typing *t, struct rule *rule);

/* Told of that part of a condition */
void typing_fault(struct typing *t, bool warning, const struct expr *e, const char *hint, const char *text);

/* sense.c: conditions that can never hold, or never fail. Of a condition that is typed */
void sense_check(struct typing *t, const struct expr *body);

#endif
