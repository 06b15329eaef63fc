/* failure.c: fields of ErrorResponse that pgsluice hands on; the others (position, file, …) name
 * things that the waiting client has not sent. */
#include "pg/failure.h"

#include "base/check.h"
#include "base/memory.h"
#include "pg/reader.h"
#include "pg/reply.h"

#include <stdlib.h>
#include <string.h>

static char *copy_or_null(const char *string)
{
    return string == NULL ? NULL : memory_string(string);
}

struct failure *failure_new(const char *sqlstate, const char *message, const char *detail,
                            const char *hint)
{
    struct failure *failure = memory_new(struct failure);

    check(strlen(sqlstate) == sizeof failure->sqlstate - 1);
    failure->references = 1;
    memcpy(failure->sqlstate, sqlstate, sizeof failure->sqlstate);
    failure->message = memory_string(message);
    failure->detail = copy_or_null(detail);
    failure->hint = copy_or_null(hint);
    return failure;
}

struct failure *failure_parse(const uint8_t *body, size_t length)
{
    struct reader reader;
    const char *sqlstate = NULL;
    const char *message = NULL;
    const char *detail = NULL;
    const char *hint = NULL;
    uint8_t field;

    reader_init(&reader, body, length);
    while ((field = reader_uint8(&reader)) != 0) {
        const char *value = reader_string(&reader);
        switch (field) {
        case 'C':
            sqlstate = value;
            break;
        case 'M':
            message = value;
            break;
        case 'D':
            detail = value;
            break;
        case 'H':
            hint = value;
            break;
        default: /* "frontends should silently ignore fields of unrecognized type" */
            break;
        }
    }
    if (!reader_finished(&reader) || message == NULL || sqlstate == NULL || strlen(sqlstate) != 5)
        return NULL;
    return failure_new(sqlstate, message, detail, hint);
}

struct failure *failure_retain(struct failure *failure)
{
    __atomic_add_fetch(&failure->references, 1, __ATOMIC_RELAXED);
    return failure;
}

void failure_release(struct failure **failure)
{
    struct failure *released = *failure;

    *failure = NULL;
    if (released == NULL)
        return;
    unsigned before = __atomic_fetch_sub(&released->references, 1, __ATOMIC_ACQ_REL);
    check(before > 0);
    if (before > 1)
        return;
    free(released->message);
    free(released->detail);
    free(released->hint);
    free(released);
}

void failure_write(struct buffer *buffer, const char *severity, const struct failure *failure)
{
    reply_error(buffer, severity, failure->sqlstate, failure->message, failure->detail,
                failure->hint);
}
