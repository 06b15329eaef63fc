/*
 * log.h: lines with a severity and, for a connection, its prefix.
 *
 * Any thread may call. A line is formatted by its caller and put into a bounded queue; a thread of
 * the log's own writes it to stderr, or by the journal's native protocol where stderr is the
 * journal, so that no event loop waits for a disk or a pipe. Lines that find the queue full are
 * counted, and the count is logged when there is room again. Before log_start() and after
 * log_stop() lines are written directly.
 */
#ifndef PGSLUICE_BASE_LOG_H
#define PGSLUICE_BASE_LOG_H

#include <stdbool.h>

enum log_severity {
    LOG_SEVERITY_DEBUG,
    LOG_SEVERITY_INFO,
    LOG_SEVERITY_WARNING,
    LOG_SEVERITY_ERROR,
    LOG_SEVERITY_FATAL, /* the process cannot go on: its surroundings' fault */
    LOG_SEVERITY_PANIC, /* the process cannot go on: our bug */
};

void log_start(void);
/* Writes what is queued and ends the log's thread. */
void log_stop(void);
void log_set_severity(enum log_severity least);
bool log_enabled(enum log_severity severity);

/*
 * One line. `prefix` names the connection ("client 7 app/alice@10.0.0.1:5000") or is NULL.
 * Control characters and bytes that are not UTF-8 are escaped in both: a peer cannot forge a line.
 * A text of more than 4 kB is cut off. Keeps errno.
 */
void log_write(enum log_severity severity, const char *prefix, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#define log_debug(prefix, ...)                                                                     \
    (log_enabled(LOG_SEVERITY_DEBUG) ? log_write(LOG_SEVERITY_DEBUG, prefix, __VA_ARGS__) : (void)0)
#define log_info(prefix, ...) log_write(LOG_SEVERITY_INFO, prefix, __VA_ARGS__)
#define log_warning(prefix, ...) log_write(LOG_SEVERITY_WARNING, prefix, __VA_ARGS__)
#define log_error(prefix, ...) log_write(LOG_SEVERITY_ERROR, prefix, __VA_ARGS__)

/*
 * Writes what is queued and one line with severity PANIC, from the calling thread and whatever it
 * holds, and aborts. For check.h and for want of memory.
 */
_Noreturn void log_panic(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Logs with severity FATAL, writes what is queued, and exits with status 1. */
_Noreturn void log_fatal(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
