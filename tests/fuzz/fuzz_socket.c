/* What sock_diag says, names of ports, the counters' texts. The first byte chooses. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "socket/socket.h"
#include "source/socket.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "fuzz_socket: %s\n", what);
	abort();
}

static void check_name(const char *text)
{
	struct port_name n, again;
	char whole[128];

	if (!port_name_parse(text, &n))
		return;
	snprintf(whole, sizeof(whole), "%s/%s%u%s%s", port_protocol(n.protocol), n.remote ? "to/" : "", n.port, *n.process ? "/" : "", n.process);
	check(!strcmp(whole, text), "a name has two ways to write it");
	check(port_name_parse(whole, &again) && n.port, "a name that is none");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kith_socket_event e;
	double v;
	char *text;

	if (!size || !(text = malloc(size)))
		return 0;
	memcpy(text, data + 1, size - 1);
	text[size - 1] = '\0';
	switch (data[0] % 4) {
	case 0:
		check_name(text);
		break;
	case 1:
		v = sockstat_value(text, "TCP:", "inuse");
		check(isnan(v) || isfinite(v), "no number");
		break;
	case 2:
		v = snmp_value(text, "Tcp:", "CurrEstab");
		check(isnan(v) || isfinite(v), "no number");
		break;
	case 3:
		if (socket_message(text, size - 1, KITH_SOCKET_TCP, &e) > 0)
			check(e.protocol == KITH_SOCKET_TCP || e.protocol == KITH_SOCKET_UDP, "no protocol");
		break;
	}
	free(text);
	return 0;
}
