#include "base/log.h"

#include "base/check.h"
#include "base/escape.h"
#include "base/log_sink.h"
#include "base/memory.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <time.h>
#include <unistd.h>

#define LOG_TEXT_SIZE 4096
#define LOG_PREFIX_SIZE 512
#define LOG_QUEUE_BYTES ((size_t)1 << 20)
#define LOG_CUT_OFF "..."

struct log_line {
    STAILQ_ENTRY(log_line) link;
    struct log_record record;
    size_t size;    /* of the whole allocation */
    char storage[]; /* what the record points to */
};

STAILQ_HEAD(log_lines, log_line);

/* A bare mutex, for the condition's sake. Leaf of the order of locks in lock.h. */
static pthread_mutex_t queue_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t queue_filled = PTHREAD_COND_INITIALIZER;
/* Under queue_mutex: */
static struct log_lines queue = STAILQ_HEAD_INITIALIZER(queue);
static size_t queue_bytes;
static unsigned long lines_lost;
static bool running;

static pthread_t writer; /* valid while running */
static atomic_int least_severity = LOG_SEVERITY_INFO;

void log_set_severity(enum log_severity least)
{
    atomic_store_explicit(&least_severity, (int)least, memory_order_relaxed);
}

bool log_enabled(enum log_severity severity)
{
    return (int)severity >= atomic_load_explicit(&least_severity, memory_order_relaxed);
}

/* A record that points into memory of the caller's. */
struct log_draft {
    struct log_record record;
    char prefix[LOG_PREFIX_SIZE];
    char text[LOG_TEXT_SIZE * ESCAPE_GROWTH];
};

static void __attribute__((format(printf, 4, 0)))
draft_line(struct log_draft *draft, enum log_severity severity, const char *prefix,
           const char *format, va_list arguments)
{
    char text[LOG_TEXT_SIZE];
    int length = vsnprintf(text, sizeof(text), format, arguments);
    if (length >= LOG_TEXT_SIZE) {
        strcpy(text + sizeof(text) - sizeof(LOG_CUT_OFF), LOG_CUT_OFF);
    }
    escape_line(draft->text, sizeof(draft->text), length >= 0 ? text : format);
    escape_line(draft->prefix, sizeof(draft->prefix), prefix != NULL ? prefix : "");
    clock_gettime(CLOCK_REALTIME, &draft->record.when);
    draft->record.severity = severity;
    draft->record.prefix = prefix != NULL ? draft->prefix : NULL;
    draft->record.text = draft->text;
}

static struct log_line *line_new(const struct log_record *record)
{
    size_t prefix_size = record->prefix != NULL ? strlen(record->prefix) + 1 : 0;
    size_t text_size = strlen(record->text) + 1;
    struct log_line *line = memory_zeroed(sizeof(*line) + prefix_size + text_size);
    line->record = *record;
    line->size = sizeof(*line) + prefix_size + text_size;
    if (record->prefix != NULL) {
        line->record.prefix = memcpy(line->storage, record->prefix, prefix_size);
    }
    line->record.text = memcpy(line->storage + prefix_size, record->text, text_size);
    return line;
}

/* False where nobody empties the queue: the caller writes by itself. */
static bool enqueue(struct log_line *line)
{
    pthread_mutex_lock(&queue_mutex);
    bool accepted = running;
    if (accepted && queue_bytes + line->size <= LOG_QUEUE_BYTES) {
        if (STAILQ_EMPTY(&queue)) {
            pthread_cond_signal(&queue_filled);
        }
        STAILQ_INSERT_TAIL(&queue, line, link);
        queue_bytes += line->size;
        line = NULL;
    } else if (accepted) {
        lines_lost++;
    }
    pthread_mutex_unlock(&queue_mutex);
    free(accepted ? line : NULL);
    return accepted;
}

static void submit(const struct log_record *record)
{
    struct log_line *line = line_new(record);
    if (!enqueue(line)) {
        log_sink_write(record);
        free(line);
    }
}

static void write_lost(unsigned long count)
{
    char text[96];
    snprintf(text, sizeof(text), "the log's queue was full: %lu lines were lost", count);
    struct log_record record = {.severity = LOG_SEVERITY_WARNING, .text = text};
    clock_gettime(CLOCK_REALTIME, &record.when);
    log_sink_write(&record);
}

static void write_lines(struct log_lines *lines)
{
    struct log_line *line;
    while ((line = STAILQ_FIRST(lines)) != NULL) {
        STAILQ_REMOVE_HEAD(lines, link);
        log_sink_write(&line->record);
        free(line);
    }
}

/* With queue_mutex held. */
static unsigned long take_queue(struct log_lines *lines)
{
    unsigned long lost = lines_lost;
    STAILQ_CONCAT(lines, &queue);
    queue_bytes = 0;
    lines_lost = 0;
    return lost;
}

static void *writer_main(void *unused)
{
    (void)unused;
    bool more = true;
    while (more) {
        struct log_lines lines = STAILQ_HEAD_INITIALIZER(lines);
        pthread_mutex_lock(&queue_mutex);
        while (running && STAILQ_EMPTY(&queue)) {
            pthread_cond_wait(&queue_filled, &queue_mutex);
        }
        unsigned long lost = take_queue(&lines);
        more = running;
        pthread_mutex_unlock(&queue_mutex);
        write_lines(&lines);
        if (lost > 0) {
            write_lost(lost);
        }
    }
    return NULL;
}

void log_start(void)
{
    pthread_mutex_lock(&queue_mutex);
    check(!running);
    running = true;
    pthread_mutex_unlock(&queue_mutex);
    /* Signals are for the thread that owns them: the new thread starts with all blocked. */
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&writer, NULL, writer_main, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error != 0) {
        pthread_mutex_lock(&queue_mutex);
        running = false;
        pthread_mutex_unlock(&queue_mutex);
        log_fatal("could not start the log's thread: %s", strerror(error));
    }
    pthread_setname_np(writer, "log");
}

void log_stop(void)
{
    pthread_mutex_lock(&queue_mutex);
    bool was_running = running;
    running = false;
    pthread_cond_signal(&queue_filled);
    pthread_mutex_unlock(&queue_mutex);
    if (was_running) {
        pthread_join(writer, NULL);
    }
}

void log_write(enum log_severity severity, const char *prefix, const char *format, ...)
{
    if (!log_enabled(severity)) {
        return;
    }
    int error = errno; /* %m in the format, and the caller's use of it afterwards */
    struct log_draft draft;
    va_list arguments;
    va_start(arguments, format);
    draft_line(&draft, severity, prefix, format, arguments);
    va_end(arguments);
    submit(&draft.record);
    errno = error;
}

void log_fatal(const char *format, ...)
{
    struct log_draft draft;
    va_list arguments;
    va_start(arguments, format);
    draft_line(&draft, LOG_SEVERITY_FATAL, NULL, format, arguments);
    va_end(arguments);
    submit(&draft.record);
    log_stop();
    fflush(stdout);
    /* Not exit(): its handlers would take down what other threads still use. */
    _exit(EXIT_FAILURE);
}

/* What led to the end matters most, but the caller may be the one who holds the queue. */
static void write_queue_if_free(void)
{
    if (pthread_mutex_trylock(&queue_mutex) == 0) {
        struct log_lines lines = STAILQ_HEAD_INITIALIZER(lines);
        take_queue(&lines);
        pthread_mutex_unlock(&queue_mutex);
        struct log_line *line;
        STAILQ_FOREACH (line, &lines, link) {
            log_sink_write(&line->record);
        }
    }
}

void log_panic(const char *format, ...)
{
    struct log_draft draft;
    va_list arguments;
    va_start(arguments, format);
    draft_line(&draft, LOG_SEVERITY_PANIC, NULL, format, arguments);
    va_end(arguments);
    write_queue_if_free();
    log_sink_write(&draft.record);
    abort();
}
