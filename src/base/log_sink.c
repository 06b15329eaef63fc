#define SD_JOURNAL_SUPPRESS_LOCATION /* every line would name this file */

#include "base/log_sink.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <syslog.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

static const struct {
    const char *word;
    int syslog_priority;
} severities[] = {
    [LOG_SEVERITY_DEBUG] = {"DEBUG", LOG_DEBUG},       [LOG_SEVERITY_INFO] = {"INFO", LOG_INFO},
    [LOG_SEVERITY_WARNING] = {"WARNING", LOG_WARNING}, [LOG_SEVERITY_ERROR] = {"ERROR", LOG_ERR},
    [LOG_SEVERITY_FATAL] = {"FATAL", LOG_CRIT},        [LOG_SEVERITY_PANIC] = {"PANIC", LOG_CRIT},
};

static bool stderr_is_journal;
static pthread_once_t sink_once = PTHREAD_ONCE_INIT;

/* $JOURNAL_STREAM is inherited by programs whose stderr somebody redirected: only where device and
 * inode are those of our stderr is it the journal. */
static void choose_sink(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    uintmax_t device;
    uintmax_t inode;
    struct stat status;
    stderr_is_journal = stream != NULL && sscanf(stream, "%ju:%ju", &device, &inode) == 2 &&
                        fstat(STDERR_FILENO, &status) == 0 && status.st_dev == device &&
                        status.st_ino == inode;
}

static bool write_to_journal(const struct log_record *record)
{
    int priority = severities[record->severity].syslog_priority;
    if (record->prefix == NULL) {
        return sd_journal_send("MESSAGE=%s", record->text, "PRIORITY=%d", priority, NULL) >= 0;
    }
    return sd_journal_send("MESSAGE=%s: %s", record->prefix, record->text, "PRIORITY=%d", priority,
                           "PGSLUICE_CONNECTION=%s", record->prefix, NULL) >= 0;
}

static int format_start(const struct log_record *record, char *start, size_t capacity)
{
    struct tm utc;
    gmtime_r(&record->when.tv_sec, &utc);
    return snprintf(
        start, capacity, "%04d-%02d-%02d %02d:%02d:%02d.%03ld UTC [%ld] %s:  ", utc.tm_year + 1900,
        utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec,
        record->when.tv_nsec / 1000000, (long)getpid(), severities[record->severity].word);
}

/* A stderr that is closed or broken has nobody to tell: the rest of the line is dropped. */
static void write_parts(struct iovec *parts, int count)
{
    while (count > 0) {
        ssize_t size = writev(STDERR_FILENO, parts, count);
        if (size < 0 && errno == EAGAIN) {
            poll(&(struct pollfd){.fd = STDERR_FILENO, .events = POLLOUT}, 1, -1);
        } else if (size < 0 && errno != EINTR) {
            return;
        }
        size_t written = size > 0 ? (size_t)size : 0;
        while (count > 0 && written >= parts->iov_len) {
            written -= parts->iov_len;
            parts++;
            count--;
        }
        if (count > 0) {
            parts->iov_base = (char *)parts->iov_base + written;
            parts->iov_len -= written;
        }
    }
}

static struct iovec part_of(const char *text)
{
    return (struct iovec){.iov_base = (char *)(uintptr_t)text, .iov_len = strlen(text)};
}

static void write_to_stderr(const struct log_record *record)
{
    char start[96];
    format_start(record, start, sizeof(start));
    bool prefixed = record->prefix != NULL;
    struct iovec parts[] = {
        part_of(start),
        part_of(prefixed ? record->prefix : ""),
        part_of(prefixed ? ": " : ""),
        part_of(record->text),
        part_of("\n"),
    };
    write_parts(parts, (int)(sizeof(parts) / sizeof(parts[0])));
}

void log_sink_write(const struct log_record *record)
{
    pthread_once(&sink_once, choose_sink);
    if (!stderr_is_journal || !write_to_journal(record)) {
        write_to_stderr(record);
    }
}
