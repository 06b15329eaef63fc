/*
 * question.h: what the server says of its session's state: the SQL that asks, the rows that answer.
 */
#ifndef PGSLUICE_SESSION_QUESTION_H
#define PGSLUICE_SESSION_QUESTION_H

#include "base/buffer.h"
#include "pg/pairs.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct guc_set;

/* The answer while its rows come in. */
struct question {
    struct pairs gucs;
    unsigned pins; /* pin.h: those of PIN_ASKABLE that hold */
    bool malformed;
};

/*
 * Appends the SQL: one statement with two text columns, name and value, a row for each setting that
 * the session has beyond its connection's defaults, and one for each thing in it that cannot be
 * moved to another connection. Custom (dotted) names are not listed by the
 * server: those of `custom` are asked for one by one. Every name is qualified; an ordinary role may
 * ask.
 */
void question_write(struct buffer *sql, const char *login_user, const struct pairs *custom,
                    const struct guc_set *known);
struct question *question_new(void);
/* The body of a DataRow. */
void question_take_row(struct question *question, const uint8_t *body, size_t length);
void question_free(struct question **question);

#endif
