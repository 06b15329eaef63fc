/*
 * pipeline.h: what a server connection still owes replies to, in order ("Message Flow", "Extended
 * Query", "Pipelining", "COPY Operations"). Every message that is sent to the server and has a
 * reply is pushed; every reply is shown to pipeline_reply(), which says whom it is for. Pure.
 *
 * Rules it knows: an error makes the server skip everything up to the next Sync, Query and
 * FunctionCall too (if it came from an extended message); Sync and Flush sent into a COPY IN are
 * ignored by the server; any other message than copy messages ends a COPY IN with an error and is
 * itself used up.
 */
#ifndef PGSLUICE_STATE_PIPELINE_H
#define PGSLUICE_STATE_PIPELINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum pipeline_kind {
    PIPELINE_PARSE,    /* ends with ParseComplete */
    PIPELINE_BIND,     /* BindComplete */
    PIPELINE_DESCRIBE, /* [ParameterDescription] RowDescription or NoData */
    PIPELINE_CLOSE,    /* CloseComplete */
    PIPELINE_EXECUTE,  /* CommandComplete, EmptyQueryResponse or PortalSuspended */
    PIPELINE_SYNC,     /* ReadyForQuery */
    PIPELINE_QUERY,    /* ReadyForQuery */
    PIPELINE_CALL,     /* FunctionCallResponse, then ReadyForQuery */
    PIPELINE_COPY_END, /* CopyDone or CopyFail: no reply of its own */
};

struct pipeline_entry {
    uint8_t kind;
    bool ours;      /* pgsluice put it there: its replies are not the client's */
    uint8_t note;   /* the caller's */
    void *subject;  /* the caller's; handed back exactly once, in done() */
};

/* How an entry left the pipeline. */
enum pipeline_end {
    PIPELINE_COMPLETED,
    PIPELINE_ERRORED, /* the server answered it with an error */
    PIPELINE_SKIPPED, /* the server skipped it after an earlier error, or ignored it (COPY) */
    PIPELINE_DROPPED, /* pipeline_clear */
};

struct pipeline {
    struct pipeline_entry *ring; /* owned; NULL until the first push */
    unsigned capacity;           /* a power of two */
    unsigned head;
    unsigned count;
    unsigned ready_owed; /* ReadyForQuery messages to come: Sync, Query and Call entries */
    bool skipping;       /* the server skips until a Sync that is not sent yet */
    bool copying_in;     /* the server is in COPY IN and the client has not ended it */
    /* Called as each entry leaves; entries that are skipped leave last in, first out. */
    void (*done)(const struct pipeline_entry *entry, enum pipeline_end end, void *context);
    void *context;
};

enum pipeline_verdict {
    PIPELINE_FORWARD, /* the client's */
    PIPELINE_SWALLOW, /* a reply to something of ours */
    PIPELINE_ASYNC,   /* notice, notification, parameter status, or an error with nothing owed */
    PIPELINE_VIOLATION, /* the server must not say this now */
};

/*
 * True where the message must be sent and pushed; false where the server would ignore it (while
 * skipping): then it is neither sent nor pushed. A Sync ends skipping.
 * Types that have no reply (CopyData, Flush) are not asked about.
 */
bool pipeline_accepts(const struct pipeline *pipeline, enum pipeline_kind kind);
/* At most PIPELINE_MAX entries may be open: the caller stops reading from the client before. */
#define PIPELINE_MAX 65536
void pipeline_push(struct pipeline *pipeline, struct pipeline_entry entry);
/* The oldest entry that the server still owes, or NULL. */
const struct pipeline_entry *pipeline_head(const struct pipeline *pipeline);
/* type: the server's message, one of enum message_backend. */
enum pipeline_verdict pipeline_reply(struct pipeline *pipeline, uint8_t type);
/* Nothing is owed and nothing is half-way: with status 'I' the lease may end. */
bool pipeline_is_empty(const struct pipeline *pipeline);
/* Drops all entries (done() is called for each, last first). */
void pipeline_clear(struct pipeline *pipeline);
/* Clears and frees the ring. */
void pipeline_release(struct pipeline *pipeline);

#endif
