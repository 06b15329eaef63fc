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

/* What is asked, and of whom. */
struct question_scope {
    bool settings; /* GUCs and roles that the session has beyond its connection's defaults */
    bool objects;  /* what is in it that cannot be moved to another connection */
    bool careful;  /* under no statement_timeout: the session's own has ended the question before */
    bool may_wait; /* its transactions may be deferrable ones, which wait for those of others */
    const char *login_user;
    const struct pairs *custom;  /* dotted names to be asked for, which the server does not list */
    const struct pairs *lent;    /* names of statements of which the server is to tell if they are
                                  * there; or NULL */
    const struct pairs *hidden;  /* the same: those that functions set; or NULL */
    const struct guc_set *known; /* the same: those that the session had */
};

/* The answer while its rows come in. */
struct question {
    uint8_t asked; /* the asker's: what was asked for */
    uint8_t attempt;
    struct pairs gucs;
    struct pairs lent;     /* names of client_lend_list() that are there */
    unsigned pins;         /* pin.h: those of PIN_ASKABLE that hold */
    struct pairs channels; /* names of those that it listens to; no values */
    struct pairs routines; /* the catalogue's: catalog.h */
    uint64_t number;       /* of the question there */
    bool malformed;
    struct buffer row; /* the part of a long row that has come; empty: none is under way */
    size_t row_left;   /* bytes of it that are to come */
};

/* Ahead of the names in rows about functions; no setting's name has a colon. */
#define QUESTION_ROUTINE "routine:"

/* A longer row is malformed. */
#define QUESTION_LONGEST_ROW ((size_t)16 << 20)

/*
 * Appends the SQL: statements with two text columns, name and value, a row for each setting and for
 * each thing that cannot be moved. Every name in it is qualified; an ordinary role may ask.
 */
void question_write(struct buffer *sql, const struct question_scope *scope);
struct question *question_new(void);
/* The body of a DataRow. Values that are not ASCII are kept in the database's encoding. */
void question_take_row(struct question *question, const uint8_t *body, size_t length);
/* A row that comes in pieces: the first one of its body, which has this length in all; the others,
 * until question->row_left is 0. */
void question_begin_row(struct question *question, size_t body_length, const uint8_t *bytes,
                        size_t length);
void question_add_to_row(struct question *question, const uint8_t *bytes, size_t length);
void question_free(struct question **question);

#endif
