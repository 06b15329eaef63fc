/*
 * failure.h: an error or notice as PostgreSQL words it ("Error and Notice Message Fields"),
 * immutable and reference-counted (atomically), so that one failure of a server can be told to all
 * clients that wait for it, on whatever thread.
 */
#ifndef PGSLUICE_PG_FAILURE_H
#define PGSLUICE_PG_FAILURE_H

#include "base/buffer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct failure {
    unsigned references; /* atomic */
    char sqlstate[6];
    char *message;
    char *detail; /* or NULL */
    char *hint;   /* or NULL */
};

/* With one reference. detail and hint may be NULL; everything is copied. */
struct failure *failure_new(const char *sqlstate, const char *message, const char *detail,
                            const char *hint) __attribute__((warn_unused_result));
/* From the body of an ErrorResponse or NoticeResponse; NULL where it is malformed. */
struct failure *failure_parse(const uint8_t *body, size_t length)
    __attribute__((warn_unused_result));
struct failure *failure_retain(struct failure *failure);
/* Gives one reference back and nulls the pointer; a NULL inside is fine. */
void failure_release(struct failure **failure);

/* Appends an ErrorResponse with the given severity ("ERROR", "FATAL"). */
void failure_write(struct buffer *buffer, const char *severity, const struct failure *failure);

#endif
