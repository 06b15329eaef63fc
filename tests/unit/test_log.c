/*
 * test_log.c: exercises base/log.c, log_sink.c, escape.c and check.c. Each test logs in a child
 * process whose stderr is a pipe, and reads the lines at the pipe's other end. The journal's
 * client function is replaced by one of this program.
 */
#include "base/check.h"
#include "base/escape.h"
#include "base/log.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

#include <cmocka.h>

#define MANY_LINES 60000

struct child {
    pid_t process;
    int output; /* read end of its stderr */
    int ready;  /* read end of a pipe that tell_ready writes to */
};

static int ready_descriptor;

static void tell_ready(void)
{
    check(write(ready_descriptor, "x", 1) == 1);
}

static struct child child_start(void (*body)(void))
{
    int output[2];
    int ready[2];
    assert_int_equal(pipe(output), 0);
    assert_int_equal(pipe(ready), 0);
    fflush(NULL);
    pid_t process = fork();
    assert_true(process >= 0);
    if (process == 0) {
        signal(SIGABRT, SIG_DFL);
        dup2(output[1], STDERR_FILENO);
        close(output[0]);
        close(output[1]);
        close(ready[0]);
        ready_descriptor = ready[1];
        body();
        _exit(EXIT_SUCCESS);
    }
    close(output[1]);
    close(ready[1]);
    return (struct child){process, output[0], ready[0]};
}

/* All that the child writes; freed by the caller. */
static char *child_output(struct child *child)
{
    char *text = NULL;
    size_t size = 0;
    FILE *memory = open_memstream(&text, &size);
    char piece[4096];
    ssize_t got;
    while ((got = read(child->output, piece, sizeof(piece))) > 0) {
        fwrite(piece, 1, (size_t)got, memory);
    }
    fclose(memory);
    close(child->output);
    close(child->ready);
    return text;
}

static int child_status(struct child *child)
{
    int status;
    assert_int_equal(waitpid(child->process, &status, 0), child->process);
    return status;
}

static void assert_clean_end(struct child *child)
{
    int status = child_status(child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS);
}

static void log_each_severity(void)
{
    log_info(NULL, "before the start");
    log_start();
    log_debug(NULL, "not to be seen");
    log_set_severity(LOG_SEVERITY_DEBUG);
    log_debug(NULL, "fine");
    log_warning("client 7 app/alice@10.0.0.1:5000", "slow: %d s", 3);
    errno = ENOENT;
    log_error(NULL, "open: %m");
    check(errno == ENOENT);
    log_set_severity(LOG_SEVERITY_ERROR);
    log_warning(NULL, "not to be seen either");
    log_stop();
    log_error(NULL, "after the stop");
}

static void lines_have_time_process_severity_and_prefix(void **state)
{
    (void)state;
    struct child child = child_start(log_each_severity);
    char *text = child_output(&child);
    assert_clean_end(&child);
    static const char *const wanted[] = {
        "INFO:  before the start",
        "DEBUG:  fine",
        "WARNING:  client 7 app/alice@10.0.0.1:5000: slow: 3 s",
        "ERROR:  open: No such file or directory",
        "ERROR:  after the stop",
    };
    char *rest = text;
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        char *line = strsep(&rest, "\n");
        int year, month, day, hour, minute, second, milli, process, length = 0;
        assert_int_equal(sscanf(line, "%4d-%2d-%2d %2d:%2d:%2d.%3d UTC [%d] %n", &year, &month,
                                &day, &hour, &minute, &second, &milli, &process, &length),
                         8);
        assert_int_equal(process, child.process);
        assert_string_equal(line + length, wanted[i]);
    }
    assert_string_equal(rest, "");
    free(text);
}

static void log_forged_line(void)
{
    log_start();
    log_info("client 1 evil\n\x1b[31m", "user \"%s\"",
             "x\nFATAL:  forged\t\x7f\xff\xc3\xa9\xc2\x9b");
    log_stop();
}

static void peer_cannot_forge_a_line(void **state)
{
    (void)state;
    struct child child = child_start(log_forged_line);
    char *text = child_output(&child);
    assert_clean_end(&child);
    char *line = strstr(text, "INFO:");
    assert_non_null(line);
    assert_string_equal(line, "INFO:  client 1 evil\\n\\x1b[31m: user "
                              "\"x\\nFATAL:  forged\\t\\x7f\\xff\xc3\xa9\\xc2\\x9b\"\n");
    free(text);
}

static void log_long_line(void)
{
    char text[10000];
    memset(text, 'a', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    log_start();
    log_info(NULL, "%s", text);
    log_stop();
}

static void long_text_is_cut_off_visibly(void **state)
{
    (void)state;
    struct child child = child_start(log_long_line);
    char *text = child_output(&child);
    assert_clean_end(&child);
    char *body = strstr(text, "INFO:  ");
    assert_non_null(body);
    assert_int_equal(strlen(body), strlen("INFO:  ") + 4095 + 1);
    assert_string_equal(text + strlen(text) - 5, "a...\n");
    free(text);
}

static void log_many_lines(void)
{
    log_start();
    for (int i = 0; i < MANY_LINES; i++) {
        log_info(NULL, "line %d", i);
    }
    tell_ready();
    log_stop();
}

/* Nobody reads the pipe until the child has logged everything: the queue must fill, and the lines
 * that were written and those that were counted as lost must add up. */
static void lines_lost_are_counted(void **state)
{
    (void)state;
    struct child child = child_start(log_many_lines);
    char byte;
    assert_int_equal(read(child.ready, &byte, 1), 1);
    char *text = child_output(&child);
    assert_clean_end(&child);
    unsigned long written = 0;
    unsigned long lost = 0;
    int last = -1;
    char *rest = text;
    char *line;
    while ((line = strsep(&rest, "\n")) != NULL && *line != '\0') {
        int number;
        unsigned long count;
        char *body = strstr(line, ":  ") + 3;
        if (sscanf(body, "line %d", &number) == 1) {
            assert_true(number > last);
            last = number;
            written++;
        } else {
            assert_int_equal(sscanf(body, "the log's queue was full: %lu lines", &count), 1);
            lost += count;
        }
    }
    assert_true(lost > 0);
    assert_int_equal(written + lost, MANY_LINES);
    free(text);
}

static void *log_from_thread(void *name)
{
    for (int i = 0; i < 500; i++) {
        log_info(name, "number %d", i);
    }
    return NULL;
}

static void log_from_threads(void)
{
    pthread_t threads[3];
    char names[3][8] = {"a", "b", "c"};
    log_start();
    for (int i = 0; i < 3; i++) {
        check(pthread_create(&threads[i], NULL, log_from_thread, names[i]) == 0);
    }
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
    }
    log_stop();
}

static void threads_do_not_mix_their_lines(void **state)
{
    (void)state;
    struct child child = child_start(log_from_threads);
    char *text = child_output(&child);
    assert_clean_end(&child);
    int next[3] = {0, 0, 0};
    char *rest = text;
    char *line;
    while ((line = strsep(&rest, "\n")) != NULL && *line != '\0') {
        char name;
        int number;
        assert_int_equal(sscanf(strstr(line, "INFO:"), "INFO:  %c: number %d", &name, &number), 2);
        assert_int_equal(number, next[name - 'a']++);
    }
    assert_true(next[0] == 500 && next[1] == 500 && next[2] == 500);
    free(text);
}

static void fail_a_check(void)
{
    log_start();
    for (int i = 0; i < 50; i++) {
        log_info(NULL, "before");
    }
    int one = 1;
    check(one == 2);
}

static void failed_check_says_where_and_aborts(void **state)
{
    (void)state;
    struct child child = child_start(fail_a_check);
    char *text = child_output(&child);
    int status = child_status(&child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    char *panic = strstr(text, "PANIC:  check failed: one == 2, at ");
    assert_non_null(panic);
    assert_non_null(strstr(panic, "test_log.c:"));
    free(text);
}

static void end_fatally(void)
{
    log_start();
    log_info(NULL, "queued");
    log_fatal("no port %d", 6432);
}

static void fatal_error_flushes_and_exits_with_1(void **state)
{
    (void)state;
    struct child child = child_start(end_fatally);
    char *text = child_output(&child);
    int status = child_status(&child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    char *queued = strstr(text, "INFO:  queued\n");
    assert_non_null(queued);
    assert_non_null(strstr(queued, "FATAL:  no port 6432\n"));
    free(text);
}

/* Stands in for libsystemd's: writes the fields to stderr, one a line. */
int sd_journal_send(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    for (; format != NULL; format = va_arg(arguments, const char *)) {
        /* Takes this field's arguments off the list, too. */
        char field[512];
        const char *first = strstr(format, "%s: %s") != NULL ? va_arg(arguments, char *) : NULL;
        if (first != NULL) {
            const char *second = va_arg(arguments, char *);
            snprintf(field, sizeof(field), "MESSAGE=%s: %s", first, second);
        } else if (strstr(format, "%d") != NULL) {
            snprintf(field, sizeof(field), "PRIORITY=%d", va_arg(arguments, int));
        } else {
            int name = (int)strcspn(format, "=");
            snprintf(field, sizeof(field), "%.*s=%s", name, format, va_arg(arguments, char *));
        }
        dprintf(STDERR_FILENO, "%s\n", field);
    }
    va_end(arguments);
    return 0;
}

static void log_to_journal(void)
{
    struct stat status;
    char stream[64];
    check(fstat(STDERR_FILENO, &status) == 0);
    snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t)status.st_dev, (uintmax_t)status.st_ino);
    setenv("JOURNAL_STREAM", stream, 1);
    log_start();
    log_warning("client 3", "late");
    log_error(NULL, "alone");
    log_stop();
}

static void journal_gets_fields(void **state)
{
    (void)state;
    struct child child = child_start(log_to_journal);
    char *text = child_output(&child);
    assert_clean_end(&child);
    assert_string_equal(text, "MESSAGE=client 3: late\nPRIORITY=4\nPGSLUICE_CONNECTION=client 3\n"
                              "MESSAGE=alone\nPRIORITY=3\n");
    free(text);
}

static void log_with_foreign_journal(void)
{
    setenv("JOURNAL_STREAM", "1:1", 1);
    log_error(NULL, "plain");
}

static void stderr_that_is_not_the_journal_gets_text(void **state)
{
    (void)state;
    struct child child = child_start(log_with_foreign_journal);
    char *text = child_output(&child);
    assert_clean_end(&child);
    assert_non_null(strstr(text, "ERROR:  plain\n"));
    assert_null(strstr(text, "MESSAGE="));
    free(text);
}

static void escape_knows_utf8(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *wanted;
    } cases[] = {
        {"plain", "plain"},
        {"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x90\x98",
         "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x90\x98"},
        {"\x01\r", "\\x01\\r"},
        {"\xc0\xaf", "\\xc0\\xaf"},                   /* longer than needed */
        {"\xe0\x80\xaf", "\\xe0\\x80\\xaf"},          /* the same */
        {"\xed\xa0\x80", "\\xed\\xa0\\x80"},          /* a surrogate */
        {"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"}, /* above U+10FFFF */
        {"\xe2\x82", "\\xe2\\x82"},                   /* ends too soon */
        {"\x80", "\\x80"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char out[64];
        size_t length = escape_line(out, sizeof(out), cases[i].text);
        assert_string_equal(out, cases[i].wanted);
        assert_int_equal(length, strlen(out));
    }
}

static void escape_stops_between_characters(void **state)
{
    (void)state;
    char out[8] = "zzzzzzz";
    assert_int_equal(escape_line(out, 4, "ab\n"), 2);
    assert_string_equal(out, "ab");
    assert_int_equal(escape_line(out, 4, "ab\xc3\xbc"), 2);
    assert_int_equal(escape_line(out, 5, "ab\xc3\xbc"), 4);
    assert_int_equal(escape_line(out, 1, "ab"), 0);
    assert_string_equal(out, "");
    out[0] = 'z';
    assert_int_equal(escape_line(out, 0, "ab"), 0);
    assert_int_equal(out[0], 'z');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_have_time_process_severity_and_prefix),
        cmocka_unit_test(peer_cannot_forge_a_line),
        cmocka_unit_test(long_text_is_cut_off_visibly),
        cmocka_unit_test(lines_lost_are_counted),
        cmocka_unit_test(threads_do_not_mix_their_lines),
        cmocka_unit_test(failed_check_says_where_and_aborts),
        cmocka_unit_test(fatal_error_flushes_and_exits_with_1),
        cmocka_unit_test(journal_gets_fields),
        cmocka_unit_test(stderr_that_is_not_the_journal_gets_text),
        cmocka_unit_test(escape_knows_utf8),
        cmocka_unit_test(escape_stops_between_characters),
    };
    return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
