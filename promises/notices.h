/*
 * Notices: what a person is told of promises, and when. What breaks together goes into one message; what is unknown on account of another promise is
 * told with that one; repeated, told when kept again, quiet while acknowledged or silenced.
 *
 * No I/O, no clock: time is an argument, messages go out through the driver, what is to survive a restart is a text that the caller keeps. What is
 * told follows from how a promise stands and what its receiver was told last, not from a queue of events: a message that fails is made anew later, of
 * what is the case then.
 */
#ifndef KITH_PROMISES_NOTICES_H
#define KITH_PROMISES_NOTICES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "promises/promises.h"

#define NOTICE_LISTED_MAX 50     /* promises in one message; the rest is counted */
#define NOTICE_RECEIVERS_MAX 32
#define NOTICE_SILENCES_MAX 1000
#define NOTICE_ACKS_MAX 10000
#define NOTICE_WORDS_MAX 500     /* bytes of a reason, or of a name of who gave it */
#define NOTICE_WAIT_MIN NS_PER_S

struct notices;

/* A message on its way out; valid during the call */
struct notice_message {
	const char *receiver;
	const char *const *argv; /* NULL-terminated; argv[0] is an absolute path */
	const char *const *env;  /* NULL-terminated KITH_NAME=value */
	const char *json;        /* the document for standard input, less than 60 KiB */
	size_t json_length;
	const char *user;        /* as whom; NULL: the daemon's own */
	int64_t timeout;         /* ns */
	uint64_t token;          /* for notices_sent */
};

struct notices_driver {
	void *user;
	/* notices_run is wanted at wall time `at`, or not at all (0). Replaces the last wish. */
	void (*arm)(int64_t at, void *user);
	/* Starts the delivery; 0 or -errno. At most one a receiver at a time. */
	int (*send)(const struct notice_message *message, void *user);
	/* Delivery began to fail, or works again */
	void (*record)(enum kith_priority priority, const char *receiver, const char *message, int64_t now, void *user);
	/* What notices_save writes is another than before. `asked`: somebody wants it so, and is told that it is */
	void (*changed)(bool asked, void *user);
};

/* Copied by notices_configure */
struct notice_receiver {
	const char *name;
	const char *const *argv; /* NULL-terminated, not empty */
	const char *const *patterns; /* of promises; n_patterns 0: all */
	size_t n_patterns;
	const char *user;        /* NULL: the daemon's own */
	enum kith_priority severity; /* and worse */
	int64_t wait;            /* ns, from NOTICE_WAIT_MIN */
	int64_t repeat, unknown; /* ns; 0: never */
	int64_t timeout;         /* ns */
	bool kept;
};

/* Strings belong to the module, valid until it is called again */
struct notice_receiver_info {
	const char *name, *program;
	int64_t delivered;       /* wall ns of the last delivery; 0: none yet */
	uint64_t messages, failed; /* delivered; tries that failed */
	unsigned failing;        /* tries that failed since the last delivery */
	int64_t again;           /* when it is tried again; 0: nothing waits for that */
	const char *why;         /* the last failure; "" */
	uint64_t mended;         /* promises of which nothing was told: kept again in time */
	unsigned told;           /* of so many it was told, and not yet that they are kept again */
};

struct notice_ack {
	const char *name, *promiser;
	int64_t at, until;       /* until 0: it is kept */
	const char *by, *because; /* `because` may be "" */
};

struct notice_silence {
	uint32_t id;
	const char *pattern, *promiser; /* promiser "": any */
	int64_t made, from, to;  /* to 0: until it is removed */
	bool every;              /* on `days`, from `day_from` to `day_until`, in s since midnight; not before `from` */
	unsigned days;
	int day_from, day_until;
	const char *by, *because;
	bool active;
};

int notices_new(struct promises *p, const struct notices_driver *driver, struct notices **ret_notices);
void notices_free(struct notices *n); /* before the engine */

/* Those of the same name go on with what they were told. -EINVAL, -ENOMEM: all is as before. */
int notices_configure(struct notices *n, const char *host, const struct notice_receiver *receivers, size_t n_receivers, int64_t now);
void notices_run(struct notices *n, int64_t now);
/* The wall clock was set by `jump` ns: waits and repeats move along, silences and what an ack said do not. After promises_jump. */
void notices_jump(struct notices *n, int64_t jump);
/* How a delivery ended: `status` of wait(); or it was stopped at its timeout. `output`: what it wrote, any bytes. */
void notices_sent(struct notices *n, uint64_t token, int status, bool timed_out, const char *output, size_t length, int64_t now);

/* -ENOENT: there is nothing to acknowledge, it is not broken. -ENOSPC, -ENOMEM. Replaces an earlier one; `name`, `promiser` and `at` are ignored. */
int notices_ack(struct notices *n, struct promise *pr, const struct notice_ack *ack, int64_t now);
int notices_unack(struct notices *n, struct promise *pr, int64_t now); /* -ENOENT */
bool notices_acked(const struct notices *n, const struct promise *pr, struct notice_ack *ret_ack);
/* `id`, `made` and `active` are ignored. -ENOSPC, -ENOMEM, -EINVAL: it is over already, or never begins */
int notices_silence(struct notices *n, const struct notice_silence *silence, int64_t now, uint32_t *ret_id);
int notices_unsilence(struct notices *n, uint32_t id, int64_t now); /* -ENOENT */
/* One that holds now; false: none */
bool notices_silenced(const struct notices *n, const char *name, const char *promiser, struct notice_silence *ret_silence);
/* One silence for now, from what a person wrote: NULL what was not given. -EINVAL: `why` says what is wrong, in one line */
struct silence_words {
	const char *from, *to, *length, *every;
};
int silence_parse(const struct silence_words *words, int64_t now, struct notice_silence *silence, struct buf *why);
int ack_until(const char *text, int64_t now, int64_t *ret_until, struct buf *why); /* the same of the end of an ack */
/* Whether this promise is acknowledged or silenced, by whom, until when and why; nothing when it is not */
void word_quiet(struct buf *b, const struct notices *n, const struct promise_info *info);
void word_silence(struct buf *b, const struct notice_silence *silence); /* "every mon..fri from 22:00 to 06:00" */

/* By index; -ENOENT past the end */
int notices_silence_at(const struct notices *n, size_t index, struct notice_silence *ret_silence);
int notices_ack_at(const struct notices *n, size_t index, struct notice_ack *ret_ack);
int notices_receiver_at(const struct notices *n, size_t index, struct notice_receiver_info *ret_info);

/* Does it name this promise: by name (web.*), bundle (web), promiser (df:*) */
bool notice_match(const char *pattern, const char *name, const char *promiser);

bool notice_match_promiser(const char *pattern, const char *promiser);

/*
 * What survives a restart: silences, acks, and what each receiver was told. notices_load comes after notices_configure and before promises are loaded;
 * it takes what it can read of any text. *ret_bad: lines that it could not. -ENOMEM.
 */
int notices_save(const struct notices *n, struct buf *text);
int notices_load(struct notices *n, const char *text, size_t length, int64_t now, size_t *ret_bad);

#endif
