#include <math.h>
#include <string.h>

#include "socket/socket.h"

const char *port_protocol(uint32_t protocol)
{
	return protocol == KITH_SOCKET_TCP ? "tcp" : "udp";
}

bool port_name_parse(const char *text, struct port_name *ret)
{
	struct port_name n = { 0 };
	uint32_t port = 0;

	if (strncmp(text, "tcp/", 4) && strncmp(text, "udp/", 4))
		return false;
	n.protocol = *text == 't' ? KITH_SOCKET_TCP : KITH_SOCKET_UDP;
	text += 4;
	if (!strncmp(text, "to/", 3)) {
		n.remote = true;
		text += 3;
	}
	if (*text < '1' || *text > '9')
		return false;
	while (*text >= '0' && *text <= '9' && port <= 65535)
		port = port * 10 + (uint32_t)(*text++ - '0');
	if (port > 65535)
		return false;
	n.port = (uint16_t)port;
	if (*text == '/') {
		text++;
		if (!*text || strlen(text) >= sizeof(n.process) || n.remote)
			return false;
		memcpy(n.process, text, strlen(text) + 1);
	} else if (*text) {
		return false;
	}
	*ret = n;
	return true;
}

/* The line that begins with `line` and a blank; NULL: none */
static const char *line_find(const char *text, const char *line)
{
	size_t n = strlen(line);

	for (; *text; text = kith_scan_line(text))
		if (!strncmp(text, line, n) && text[n] == ' ')
			return text + n;
	return NULL;
}

static double number(const char *s)
{
	double sign = 1;
	uint64_t v;

	while (*s == ' ')
		s++;
	if (*s == '-') {
		sign = -1;
		s++;
	}
	return kith_scan_u64(&s, &v) == 0 ? sign * (double)v : NAN;
}

/* The next word on this line; NULL: there is none */
static const char *word_next(const char *s, size_t *ret_length)
{
	while (*s == ' ')
		s++;
	*ret_length = strcspn(s, " \n");
	return *ret_length ? s : NULL;
}

double sockstat_value(const char *text, const char *line, const char *key)
{
	const char *s = line_find(text, line);
	size_t n;

	while (s && (s = word_next(s, &n))) {
		if (n == strlen(key) && !strncmp(s, key, n))
			return number(s + n);
		s += n;
	}
	return NAN;
}

double snmp_value(const char *text, const char *line, const char *key)
{
	const char *names = line_find(text, line), *values = names ? line_find(kith_scan_line(names), line) : NULL;
	size_t n, m;

	while (names && values && (names = word_next(names, &n)) && (values = word_next(values, &m))) {
		if (n == strlen(key) && !strncmp(names, key, n))
			return number(values);
		names += n;
		values += m;
	}
	return NAN;
}
