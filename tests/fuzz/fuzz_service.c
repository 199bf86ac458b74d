/*
 * What the service plugin takes apart itself: status files of s6 and runit, bytes of a fifo, object paths. The first byte chooses. Whatever it
 * is: times, pids and states are in their ranges, and a name fits and has no control characters.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "service/words.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "fuzz_service: %s\n", what);
	abort();
}

static void check_status(const struct status *s)
{
	enum substate_some sub;
	enum state state;

	check(s->since >= 0, "a time before 1970");
	check(s->pid >= 0 && s->pid <= INT32_MAX, "no pid");
	check(!(s->pid && s->finishing), "it runs, and its finish script does");
	check(s->wait >= 0 && s->wait <= 0xffff, "no wait status");
	for (int i = 0; i < 4; i++) {
		status_state(s, i & 1, i & 2, &state, &sub);
		check((unsigned)state <= STATE_FAILED && (unsigned)sub <= SUB_FAILED, "no state");
		check((state == STATE_ACTIVE || sub == SUB_PAUSED || sub == SUB_START) == (s->pid != 0), "a state that does not fit its pid");
	}
	check((unsigned)status_result(s->wait) <= RESULT_CORE_DUMP, "no result");
}

static void check_path(const uint8_t *data, size_t size)
{
	char *path = malloc(size + 40), name[256];
	size_t n, at;

	if (!path)
		return;
	at = (size_t)sprintf(path, "%s", size & 1 ? "/org/freedesktop/systemd1/unit/" : "");
	memcpy(path + at, data, size);
	path[at + size] = '\0';
	n = path_unit(path, name, sizeof(name));
	check(n < sizeof(name) && (n == 0 || strlen(name) == n), "a name of another length");
	for (size_t i = 0; i < n; i++)
		check((unsigned char)name[i] >= 0x20 && name[i] != 0x7f && name[i] != '/', "a control character in a name");
	free(path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct status s;

	if (!size)
		return 0;
	switch (*data & 3) {
	case 0:
		if (status_parse_s6(data + 1, size - 1, &s) == 0)
			check_status(&s);
		break;
	case 1:
		if (status_parse_runit(data + 1, size - 1, &s) == 0)
			check_status(&s);
		break;
	case 2:
		check(!(ftrig_parse(data + 1, size - 1) & ~(FTRIG_CHANGED | FTRIG_GAVE_UP | FTRIG_STARTED)), "unknown flags");
		break;
	default:
		check_path(data + 1, size - 1);
		break;
	}
	return 0;
}
