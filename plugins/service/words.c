#include "service/words.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

const char *const state_words[] = { "inactive", "activating", "active", "reloading", "deactivating", "failed", "maintenance", "refreshing",
	                                "other", NULL };
const char *const substate_words[] = {
	"dead", "start", "running", "paused", "stop", "stop-post", "auto-restart", "failed", "condition", "start-pre", "start-post", "exited",
	"reload", "reload-signal", "reload-notify", "stop-watchdog", "stop-sigterm", "stop-sigkill", "final-watchdog", "final-sigterm",
	"final-sigkill", "cleaning", "dead-before-auto-restart", "failed-before-auto-restart", "dead-resources-pinned", "auto-restart-queued",
	"mounting", "refresh-extensions", "refresh-credentials", "reload-post",
	/* sockets, timers, paths, targets, mounts, devices */
	"listening", "waiting", "elapsed", "active", "mounted", "plugged", "other", NULL };
const char *const result_words[] = { "success", "exit-code", "signal", "core-dump", "start-limit-hit", "watchdog", "timeout", "oom-kill",
	                                 "resources", "protocol", "exec-condition", "other", NULL };
const char *const load_words[] = { "loaded", "masked", "not-found", "bad-setting", "error", "merged", "stub", "other", NULL };
const char *const enabled_words[] = { "enabled", "disabled", "enabled-runtime", "static", "masked", "masked-runtime", "linked", "linked-runtime",
	                                  "alias", "indirect", "generated", "transient", "bad", "other", NULL };

double word_index(const char *const *words, const char *word)
{
	int i;

	for (i = 0; words[i + 1]; i++)
		if (!strcmp(words[i], word))
			return i;
	return i;
}

#define UNIT_PATH "/org/freedesktop/systemd1/unit/"

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

size_t path_unit(const char *path, char *name, size_t size)
{
	size_t n = 0;

	if (strncmp(path, UNIT_PATH, sizeof(UNIT_PATH) - 1) != 0)
		return 0;
	for (path += sizeof(UNIT_PATH) - 1; *path; path++) {
		int c = (unsigned char)*path;

		if (c == '_') {
			int high = hex(path[1]), low = high < 0 ? -1 : hex(path[2]);

			if (low < 0)
				return 0;
			c = high * 16 + low;
			path += 2;
		}
		/* No unit is called so; the host would refuse it as well */
		if (c < 0x20 || c == 0x7f || c == '/' || n + 1 >= size)
			return 0;
		name[n++] = (char)c;
	}
	name[n] = '\0';
	return n;
}

/* ---- status files ----------------------------------------------------------------------------------------------- */

static uint64_t number(const unsigned char *p, int n)
{
	uint64_t v = 0;

	while (n-- > 0)
		v = v << 8 | *p++;
	return v;
}

#define TAI_EPOCH (UINT64_C(1) << 62)
/* The label of 1970 is 10 s on. s6 counts the leap seconds since then too, 27 up to now and none since 2017; runit does not. */
#define TAI_RUNIT 10
#define TAI_S6 37
/* Until the year 2200: anything beyond is no time of a service */
#define SECONDS_MAX UINT64_C(7258118400)

static int tai_parse(const unsigned char *p, unsigned ahead, int64_t *ret_time)
{
	uint64_t seconds = number(p, 8) - TAI_EPOCH, ns = number(p + 8, 4);

	if (seconds > SECONDS_MAX || ns >= 1000000000)
		return -EBADMSG;
	*ret_time = seconds > ahead ? (int64_t)(seconds - ahead) * 1000000000 + (int64_t)ns : 0;
	return 0;
}

#define PID_MAX_EVER (UINT64_C(1) << 31)

/*
 * s6 up to 2.11 and from 2.12 on, which adds the process group: time of the last change, time of readiness (TAI64N, 12 bytes each),
 * pid (8), [process group (8)], wait status (2), flags (1): paused, finishing, wanted up, ready. All big-endian.
 */
int status_parse_s6(const void *data, size_t size, struct status *ret_status)
{
	const unsigned char *p = data, *end;
	struct status s = { 0 };
	uint64_t pid;
	int64_t ready;

	if (size != 35 && size != 43)
		return -EBADMSG;
	end = p + size;
	pid = number(p + 24, 8);
	if (tai_parse(p, TAI_S6, &s.since) < 0 || tai_parse(p + 12, TAI_S6, &ready) < 0 || pid >= PID_MAX_EVER || (end[-1] & 0xf0))
		return -EBADMSG;
	s.paused = end[-1] & 1;
	s.finishing = end[-1] & 2;
	s.want_up = end[-1] & 4;
	s.ready = end[-1] & 8;
	s.pid = s.finishing ? 0 : (int64_t)pid;
	s.has_wait = true;
	s.wait = (int)number(end - 3, 2);
	*ret_status = s;
	return 0;
}

/* runit: time of the last change (TAI64N), pid (4, little-endian), paused, wanted ('u' or 'd'), got TERM, 0 down 1 run 2 finish */
int status_parse_runit(const void *data, size_t size, struct status *ret_status)
{
	const unsigned char *p = data;
	struct status s = { 0 };
	uint64_t pid;

	if (size != 20)
		return -EBADMSG;
	pid = p[12] | (uint64_t)p[13] << 8 | (uint64_t)p[14] << 16 | (uint64_t)p[15] << 24;
	if (tai_parse(p, TAI_RUNIT, &s.since) < 0 || pid >= PID_MAX_EVER || p[16] > 1 || p[19] > 2)
		return -EBADMSG;
	s.paused = p[16];
	s.want_up = p[17] == 'u';
	s.finishing = p[19] == 2;
	s.pid = p[19] == 1 ? (int64_t)pid : 0;
	s.ready = true;
	*ret_status = s;
	return 0;
}

void status_state(const struct status *s, bool notifies, bool gave_up, enum state *ret_state, enum substate_some *ret_sub)
{
	enum state state = STATE_INACTIVE;
	enum substate_some sub = SUB_DEAD;

	if (s->pid) {
		state = notifies && !s->ready ? STATE_ACTIVATING : STATE_ACTIVE;
		sub = s->paused ? SUB_PAUSED : state == STATE_ACTIVE ? SUB_RUNNING : SUB_START;
	} else if (s->finishing) {
		state = STATE_DEACTIVATING;
		sub = SUB_FINISH;
	} else if (gave_up) {
		state = STATE_FAILED;
		sub = SUB_FAILED;
	} else if (s->want_up) {
		state = STATE_ACTIVATING;
		sub = SUB_AUTO_RESTART;
	}
	*ret_state = state;
	*ret_sub = sub;
}

/* The signals that systemd takes for a clean end, too */
enum result status_result(int wait)
{
	if (WIFSIGNALED(wait)) {
		int n = WTERMSIG(wait);

		if (WCOREDUMP(wait))
			return RESULT_CORE_DUMP;
		return n == SIGTERM || n == SIGHUP || n == SIGINT || n == SIGPIPE ? RESULT_SUCCESS : RESULT_SIGNAL;
	}
	return WIFEXITED(wait) && WEXITSTATUS(wait) == 0 ? RESULT_SUCCESS : RESULT_EXIT_CODE;
}

unsigned ftrig_parse(const unsigned char *bytes, size_t n)
{
	unsigned found = 0;

	for (size_t i = 0; i < n; i++)
		switch (bytes[i]) {
		case 'u':
			found = (found & ~FTRIG_GAVE_UP) | FTRIG_CHANGED | FTRIG_STARTED;
			break;
		case 'O':
			found |= FTRIG_CHANGED | FTRIG_GAVE_UP;
			break;
		case 'U':
		case 'd':
		case 'D':
		case 's':
		case 'x':
			found |= FTRIG_CHANGED;
			break;
		default:
			break;
		}
	return found;
}
