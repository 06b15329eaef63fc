/* sim_trace.c: a ring of the last events. */
#include "sim_trace.h"

#include "base/clock.h"
#include "base/log.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define LINES 300
#define LINE_SIZE 240

static char lines[LINES][LINE_SIZE];
static unsigned line_count;
static uint64_t current_seed;
static bool print_all;

void sim_trace_all(void)
{
    print_all = true;
    log_set_severity(LOG_SEVERITY_DEBUG);
}

void sim_trace_start(uint64_t seed)
{
    current_seed = seed;
    line_count = 0;
}

static void __attribute__((format(printf, 2, 0)))
write_event(char line[LINE_SIZE], const char *format, va_list arguments)
{
    int length = snprintf(line, LINE_SIZE, "%12.6f ", (double)clock_monotonic() / 1e6);
    vsnprintf(line + length, LINE_SIZE - (size_t)length, format, arguments);
}

void sim_trace(const char *format, ...)
{
    char *line = lines[line_count++ % LINES];
    va_list arguments;
    va_start(arguments, format);
    write_event(line, format, arguments);
    va_end(arguments);
    if (print_all)
        fprintf(stderr, "%s\n", line);
}

static void print_last(void)
{
    unsigned first = line_count > LINES ? line_count - LINES : 0;
    for (unsigned i = first; i < line_count && !print_all; i++)
        fprintf(stderr, "%s\n", lines[i % LINES]);
    fprintf(stderr, "seed %llu failed; see it again with: --seeds 1 --first %llu --trace\n",
            (unsigned long long)current_seed, (unsigned long long)current_seed);
}

void sim_fail(const char *format, ...)
{
    char line[4 * LINE_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    print_last();
    fprintf(stderr, "FAILED: %s\n", line);
    _exit(1);
}

static void on_abort(int number)
{
    (void)number;
    print_last();
    fprintf(stderr, "FAILED: a check of pgsluice's own\n");
    _exit(1);
}

void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

void sim_trace_catch(void)
{
    signal(SIGABRT, on_abort);
    if (__sanitizer_set_death_callback != NULL)
        __sanitizer_set_death_callback(print_last);
}
