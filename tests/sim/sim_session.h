/*
 * sim_session.h: a PostgreSQL session as a pure machine: messages in, replies out, one step at a
 * time. Model servers have one for each connection; each model client has one of its own, which
 * says what a server that serves nobody else would have answered.
 */
#ifndef PGSLUICE_TESTS_SIM_SESSION_H
#define PGSLUICE_TESTS_SIM_SESSION_H

#include "sim_sql.h"

#include "base/buffer.h"
#include "pg/pairs.h"

#include <stdbool.h>
#include <stdint.h>

struct sim_session;

struct sim_session_host {
    /* A statement begins to run (it may still fail). */
    void (*runs)(struct sim_session *session, const struct sim_statement *statement);
    /* An inserted token is there for good. */
    void (*committed)(struct sim_session *session, const char *token);
};

struct sim_value {
    bool set;
    char text[SIM_VALUE_SIZE];
};

#define SIM_MOST_PENDING 64

struct sim_session {
    const struct sim_session_host *host;
    void *context;
    struct buffer out; /* replies */

    uint8_t status; /* as in ReadyForQuery */
    bool in_transaction;
    bool skipping;                         /* up to Sync */
    bool copying;                          /* COPY IN */
    struct sim_value start[SIM_GUC_COUNT]; /* of the startup packet */
    struct sim_value now[SIM_GUC_COUNT], before[SIM_GUC_COUNT], local[SIM_GUC_COUNT];
    char reported[SIM_GUC_COUNT][SIM_VALUE_SIZE];
    char pending[SIM_MOST_PENDING][SIM_TOKEN_SIZE]; /* inserted, not committed */
    unsigned pending_count;
    struct pairs statements, portals;

    /* The message that is worked on. */
    bool busy;
    uint8_t type;
    struct buffer body;
    struct sim_statement list[SIM_MOST_STATEMENTS];
    unsigned count, next;
};

void sim_session_start(struct sim_session *session, const struct sim_session_host *host,
                       void *context);
void sim_session_end(struct sim_session *session);
const char *sim_session_value(const struct sim_session *session, unsigned guc);
/* ParameterStatus of all, as at the end of a login. */
void sim_session_report_all(struct sim_session *session);

/* Takes one message, not while busy; returns its size, or 0 where it is not whole. */
size_t sim_session_take(struct sim_session *session, const uint8_t *bytes, size_t length);
/* While busy: the next step. */
void sim_session_run(struct sim_session *session);
/* The statement that runs next, or NULL. */
const struct sim_statement *sim_session_next(const struct sim_session *session);
/* Instead of the next step, or in a COPY IN: an error; without a sqlstate it is not written. */
void sim_session_error(struct sim_session *session, const char *sqlstate, const char *message);
/* Ahead of an error that the server itself made: the message had begun to be worked on. */
void sim_session_cancel(struct sim_session *session);
/* The message or COPY that an error would end is there. */
bool sim_session_may_fail(const struct sim_session *session);

#endif
