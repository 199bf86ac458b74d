#include "base/log.h"

#include <errno.h> /* program_invocation_short_name */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "base/clock.h"

#define LOG_LINE_MAX 2048

static enum log_level log_level = LOG_LEVEL_INFO;
static bool log_syslog;

void log_set_level(enum log_level level)
{
	log_level = level;
}

void log_to_syslog(void)
{
	openlog("kithd", LOG_PID | LOG_NDELAY, LOG_DAEMON);
	log_syslog = true;
}

static const char *level_word(enum log_level level)
{
	switch (level) {
	case LOG_LEVEL_ERR:
		return "error: ";
	case LOG_LEVEL_WARNING:
		return "warning: ";
	case LOG_LEVEL_NOTICE:
	case LOG_LEVEL_INFO:
		return "";
	case LOG_LEVEL_DEBUG:
		return "debug: ";
	}
	return "";
}

/* A newline or control character from outside must not forge a line of its own. */
static size_t make_printable(char *text, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
			text[i] = text[i] == '\n' || text[i] == '\t' ? ' ' : '?';
	return length;
}

void log_vline(enum log_level level, const char *prefix, const char *format, va_list args)
{
	char line[LOG_LINE_MAX];
	size_t n = 0, start;
	int written;

	if (level > log_level)
		return;
	if (log_syslog) {
		n = (size_t)snprintf(line, sizeof(line), "%s%s", level_word(level), prefix ? prefix : "");
		vsnprintf(line + n, sizeof(line) - n, format, args);
		make_printable(line, strlen(line));
		syslog((int)level, "%s", line);
		return;
	}
	/* JOURNAL_STREAM: systemd reads standard error, takes <N> as the priority and adds the time itself. */
	if (getenv("JOURNAL_STREAM")) {
		n = (size_t)snprintf(line, sizeof(line), "<%d>", (int)level);
	} else {
		clock_format(clock_wall(), line, sizeof(line));
		n = strlen(line);
		n += (size_t)snprintf(line + n, sizeof(line) - n, " %s: ", program_invocation_short_name);
	}
	start = n;
	n += (size_t)snprintf(line + n, sizeof(line) - n, "%s%s", level_word(level), prefix ? prefix : "");
	if (n >= sizeof(line) - 1)
		n = sizeof(line) - 2;
	written = vsnprintf(line + n, sizeof(line) - n, format, args);
	if (written > 0)
		n += (size_t)written;
	if (n >= sizeof(line) - 1)
		n = sizeof(line) - 2;
	make_printable(line + start, n - start);
	line[n++] = '\n';
	/* Nowhere to complain to when standard error is closed or full. */
	if (write(STDERR_FILENO, line, n) < 0)
		return;
}

void log_line(enum log_level level, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	log_vline(level, NULL, format, args);
	va_end(args);
}
