/* What the model's own files share */
#ifndef KITH_MODEL_IMPL_H
#define KITH_MODEL_IMPL_H

#define HASH_NONFATAL_OOM 1
#include "model/model.h"

struct slot {
	struct instance *instance; /* NULL: free */
	uint32_t next_free;        /* 0: none */
	uint32_t generation;
};

struct model {
	struct family *families; /* uthash, in order of declaration */
	struct slot *slots;
	uint32_t n_slots, size_slots, free_slot, last_free;
	int64_t now;
	uint64_t serial, n_records;
	struct model_observer *observers;
	struct want *wants; /* uthash */
	struct want_watch *want_watches;
	struct model_tracer tracer;
	struct model_keeper keeper;
};

void wants_free(struct model *m);

#endif
