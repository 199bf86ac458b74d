/* The words of supervisors, and what kith makes of them. No state, no I/O: tested and fuzzed by itself. */
#ifndef KITH_SERVICE_WORDS_H
#define KITH_SERVICE_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Indices of the states below; the words are systemd's, see org.freedesktop.systemd1(5) */
enum state { STATE_INACTIVE, STATE_ACTIVATING, STATE_ACTIVE, STATE_RELOADING, STATE_DEACTIVATING, STATE_FAILED };
enum substate_some { SUB_DEAD, SUB_START, SUB_RUNNING, SUB_PAUSED, SUB_STOP, SUB_FINISH, SUB_AUTO_RESTART, SUB_FAILED };
enum result { RESULT_SUCCESS, RESULT_EXIT_CODE, RESULT_SIGNAL, RESULT_CORE_DUMP, RESULT_START_LIMIT };
enum load { LOAD_LOADED, LOAD_MASKED, LOAD_NOT_FOUND };
enum enabled { ENABLED_ENABLED, ENABLED_DISABLED };

extern const char *const state_words[], *const substate_words[], *const result_words[], *const load_words[], *const enabled_words[];

/* The index of `word`; that of "other", the last one, for a word that is not among them */
double word_index(const char *const *words, const char *word);

/*
 * The name of a unit from its object path: what follows /org/freedesktop/systemd1/unit/, with _XX for each byte that is no letter
 * or digit. Its length, or 0 for what is no such path or does not fit. `name` has NUL at the end.
 */
size_t path_unit(const char *path, char *name, size_t size);

/* ---- s6 and runit ---- */

/* What supervise/status says */
struct status {
	int64_t since;      /* ns since 1970 of the last change */
	int64_t pid;        /* of the service itself; 0: it does not run */
	bool want_up, paused, finishing, ready;
	bool has_wait;      /* `wait` is known: s6 alone */
	int wait;           /* wait status of the last run that ended */
};

#define STATUS_SIZE_MAX 64
/* `size` is the whole file's. -EBADMSG: it is no such file */
int status_parse_s6(const void *data, size_t size, struct status *ret_status);
int status_parse_runit(const void *data, size_t size, struct status *ret_status);

/* Which states that is. `notifies`: the service says itself when it is ready; `gave_up`: its finish script said that it is never to run again */
void status_state(const struct status *status, bool notifies, bool gave_up, enum state *ret_state, enum substate_some *ret_sub);
enum result status_result(int wait);

/* Bytes from an s6 fifodir: 0, or what of these they hold */
#define FTRIG_CHANGED 0x1u /* u U d D s: look at the status */
#define FTRIG_GAVE_UP 0x2u /* O, and no u after it */
#define FTRIG_STARTED 0x4u /* u: what gave up before is started again */
unsigned ftrig_parse(const unsigned char *bytes, size_t n);

#endif
