/*
 * Samples in few bytes: the language of the rings in memory and of the journal on disk, kith-journal(5). What is packed is a chunk: it says of itself
 * which series it tells of, and begins without knowing of any other. Lossless.
 *
 * Samples come in nearly the same order on each tick, and mostly with nearly the same values: after each sample the one that came next the last time is
 * expected, and a run of expected ones that have not moved is one byte.
 */
#ifndef KITH_STORE_PACK_H
#define KITH_STORE_PACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The items: their first byte, and what follows. A number is 7 bits a byte, the lowest first; a signed one is folded (0 -1 1 -2 …) before. */
enum pack_code {
	PACK_NEAR = 0x00,      /* to 0x7e: the expected series' number has grown by the code - 63; not by 0 */
	PACK_NEAR_LAST = 0x7e,
	PACK_RUN = 0x80,       /* to 0xbf: code - 0x7f expected series have their last values again */
	PACK_RUN_LAST = 0xbf,
	PACK_FAR = 0xc0,       /* signed: by how much it has grown */
	PACK_SCALE = 0xc1,     /* to 0xc5: from now on the series is a whole number of units of that scale; signed: the number */
	PACK_BITS = 0xd0,      /* to 0xd8: it is none; as many bytes, the lowest first: the bits in which its double differs from the last one */
	PACK_BITS_LAST = 0xd8,
	PACK_SERIES = 0xe0,    /* number: the instance's place times 128 plus the metric: this one is expected, not the one that was */
	PACK_TIME = 0xe1,      /* signed ns since the time before: that of the samples which follow. What follows is not extra */
	PACK_FAMILY = 0xe2,    /* see pack_family */
	PACK_INSTANCE = 0xe3,  /* number: place; number: which family of the chunk, from 0; text */
	PACK_END = 0xe4,       /* number: the instance of that place has ended */
	PACK_EXTRA = 0xe5,     /* the samples which follow were taken between two rounds, for somebody who looks closely */
	PACK_START = 0xe6,     /* kithd has just started: nothing that was known before is known to be so */
};

#define PACK_SCALES 5
#define PACK_METRICS 128u       /* of an instance, as in plugin.h */
#define PACK_PLACES (1u << 19)
#define PACK_SAMPLE_MAX 40u     /* bytes of one sample, with its time and series */
#define PACK_TEXT_MAX 4096u     /* bytes of a name in it */

/* What is known of a series while a chunk is written or read */
struct pack_cell {
	uint32_t next;          /* the series expected after it; PACK_SERIES' number */
	uint8_t scale;          /* 0: none yet; from 1 on; PACK_SCALES + 1: bits */
};

/* Of an instance, from its beginning to its end */
struct pack_place {
	uint32_t chunk;         /* the one that knows of it; of another one all below is forgotten */
	uint32_t number, n;     /* its place; metrics */
	struct pack_cell cells[];
};

struct packer {
	uint8_t *data;          /* the caller's */
	size_t length, size;
	uint8_t *run;           /* the last byte, while it is a run that may grow; NULL */
	uint32_t chunk;
	uint32_t expected;
	struct pack_cell *last; /* of the sample before; NULL: none */
	int64_t time;
	bool extra;
	uint64_t samples;
};

struct pack_metric {
	const char *name, *unit;
	uint32_t kind;          /* enum kith_kind */
	uint32_t flags;         /* KITH_METRIC_* */
	char *const *states;    /* n_states of them */
	uint32_t n_states;
};

/* A chunk of that number begins in `data`, at `time` */
void packer_begin(struct packer *p, uint32_t chunk, uint8_t *data, size_t size, int64_t time);
/* What is written is not touched any more: it may be on its way to the disk. */
void packer_settle(struct packer *p);
/* -ENOSPC: no room; nothing was written. A family's number in the chunk is how many there were before. */
int packer_family(struct packer *p, const char *name, const char *label, int64_t stale_after, const struct pack_metric *metrics, uint32_t n);
int packer_instance(struct packer *p, struct pack_place *place, uint32_t family, const char *name);
int packer_end(struct packer *p, struct pack_place *place);
int packer_start(struct packer *p);
/* The place was told of in this chunk (place->chunk is p->chunk), and PACK_SAMPLE_MAX bytes are free. `before`: the series' last value */
void packer_put(struct packer *p, struct pack_place *place, uint32_t metric, double value, double before, int64_t time, bool extra);

/* ---- reading ------------------------------------------------------------------------------------------------------ */

/* Names are within the chunk, not NUL-terminated but for what is copied: valid as long as the unpacker. */
struct unpack_family {
	char *name, *label;     /* label: what its instances are called; "" */
	int64_t stale_after;    /* ns; 0: never */
	uint32_t n;
	struct unpack_metric {
		char *name, *unit;
		uint32_t kind, flags, n_states;
		char **states;  /* NULL-terminated; NULL unless it is a state */
	} *metrics;
};

struct unpack_instance {
	const struct unpack_family *family;
	char *name;
	uint32_t place;
	void *user;             /* the reader's own; NULL: its samples are not told */
	struct unpack_cell {
		double value;
		uint32_t next;
		uint8_t scale;
	} cells[];
};

struct unpack_fns {
	/* An instance begins, or a place is another's now: may set its `user`. May be NULL, then all are told */
	int (*instance)(struct unpack_instance *i, void *user);
	/* May be NULL: they are counted alone */
	int (*sample)(const struct unpack_instance *i, uint32_t metric, double value, int64_t time, bool extra, void *user);
	/* An instance ends at that time. May be NULL */
	int (*end)(const struct unpack_instance *i, int64_t time, void *user);
	/* kithd started. May be NULL */
	int (*start)(int64_t time, void *user);
};

struct unpacker;

/* Of one chunk, that begins at `time`. -ENOMEM */
int unpacker_new(int64_t time, const struct unpack_fns *fns, void *user, struct unpacker **ret_unpacker);
/*
 * The chunk's next bytes, whole items. 0; -EBADMSG: they are none (what stood before was told; this unpacker is of no more use); -ENOMEM; or
 * what a function gave that was not 0.
 */
int unpacker_feed(struct unpacker *u, const void *data, size_t length);
int64_t unpacker_time(const struct unpacker *u); /* of the last samples */
uint64_t unpacker_samples(const struct unpacker *u);
void unpacker_free(struct unpacker *u); /* NULL is fine */

#endif
