/* What the parts of --verify share */
#ifndef KITH_STORE_FOLD_VERIFY_IMPL_H
#define KITH_STORE_FOLD_VERIFY_IMPL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/fold/family.h"

struct verify {
	const char *state;
	bool repair;
	int journal, rrd;    /* descriptors; negative: there is none */
	char *journal_path, *rrd_path;
	int lock, fold_lock;
	bool cut_off;        /* a fold was, and the next one puts right what it has left */
	uint64_t folded;     /* the last segment of which rrd/.state knows the end; 0: there is none, or it is damaged */
	/* What all segments say of families, when somebody has asked */
	bool learned;
	struct fold_family **families;
	size_t n_families;
	unsigned long segments, files, faults, repaired;
	unsigned long long samples;
};

/* A line; `repaired`: what it says is so no more. */
void verify_fault(struct verify *v, bool repaired, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* verify_family.c: rrd/.undo, rrd/.state, and the folders of families with their files. -ENOMEM and the like */
int verify_rrds(struct verify *v);

/* verify_learn.c: what segments say of a family, and which file is which of its instances; NULL: nothing */
const struct fold_family *verify_learned(struct verify *v, const char *name);
void verify_forget(struct verify *v);

#endif
