/*
 * The log: one line to standard error, with a syslog priority prefix when systemd reads it
 * (JOURNAL_STREAM); to syslog once kithd is in the background. A decision is logged once, where it is made. The level and where to are
 * the only mutable file-level state of the project.
 */
#ifndef KITH_BASE_LOG_H
#define KITH_BASE_LOG_H

#include <stdarg.h>

enum log_level { LOG_LEVEL_ERR = 3, LOG_LEVEL_WARNING = 4, LOG_LEVEL_NOTICE = 5, LOG_LEVEL_INFO = 6, LOG_LEVEL_DEBUG = 7 };

void log_set_level(enum log_level level);
void log_to_syslog(void); /* from now on, instead of standard error */
void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));
void log_vline(enum log_level level, const char *prefix, const char *format, va_list args)
        __attribute__((format(printf, 3, 0)));

#define log_err(...) log_line(LOG_LEVEL_ERR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_notice(...) log_line(LOG_LEVEL_NOTICE, __VA_ARGS__)
#define log_info(...) log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
