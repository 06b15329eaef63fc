/*
 * log_sink.h: where log lines go: the journal by its native protocol where stderr is connected to
 * it (systemd says so in $JOURNAL_STREAM), else stderr as text.
 */
#ifndef PGSLUICE_BASE_LOG_SINK_H
#define PGSLUICE_BASE_LOG_SINK_H

#include "base/log.h"

#include <time.h>

struct log_record {
    struct timespec when; /* CLOCK_REALTIME */
    enum log_severity severity;
    const char *prefix; /* names the connection; NULL where there is none */
    const char *text;   /* one line, already escaped like the prefix */
};

/* Any thread; blocks while the sink takes nothing. Takes no lock and, for stderr, no memory. */
void log_sink_write(const struct log_record *record);

#endif
