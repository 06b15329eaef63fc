/*
 * pipeline.h: what a server connection still owes replies to, in order ("Message Flow", "Extended
 * Query", "Pipelining", "COPY Operations"). Every message that is sent to the server and has a
 * reply is pushed, and so are CopyDone and CopyFail; every reply is shown to pipeline_reply(),
 * which says whom it is for. Pure; belongs to one worker.
 *
 * What it knows of the server:
 *  - An error from an extended message (Parse, Bind, Describe, Execute, Close) makes the server
 *    skip everything up to the next Sync, Query and FunctionCall too. An error from a Query, a
 *    FunctionCall or a Sync skips nothing.
 *  - In COPY IN the server ignores Sync and Flush. CopyDone or CopyFail ends it. Any other message
 *    makes it end the connection: an error, then "protocol synchronization was lost". So such a
 *    message needs no accounting: send it, push it, and the server's end comes of itself.
 *  - Outside COPY IN it ignores CopyData, CopyDone and CopyFail.
 *
 * The doubt. Where a COPY IN fails, nobody can tell from outside whether the server had read (and
 * ignored) the Syncs sent before the copy's end, or has them still before it and will answer. libpq
 * always sends such a Sync, right behind the Execute. These Syncs leave the pipeline as skipped and
 * are counted in `doubtful`; the next reply that is no ReadyForQuery settles what became of them.
 * Where none is to come, pipeline_must_probe() turns true after that error. Then the caller, once
 * the message that it is relaying has gone out whole and before it sends another,
 *   1. calls pipeline_push_probe() and sends what it says, a Query with empty text for the most;
 *   2. takes no message from the client while pipeline_must_hold() (one round trip).
 * A doubtful Sync that the server does answer is FORWARDed, as the client would have it. Only where
 * the client has sent other messages between a doubtful Sync and the next one (no library does) is
 * there no telling what the server skips: the error itself is then a VIOLATION.
 */
#ifndef PGSLUICE_STATE_PIPELINE_H
#define PGSLUICE_STATE_PIPELINE_H

#include "base/check.h"
#include "pg/message.h"

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
    bool ours;     /* pgsluice put it there: its replies are not the client's */
    uint8_t note;  /* the caller's */
    void *subject; /* the caller's; handed back exactly once, in done() */
};

/* How an entry left the pipeline. */
enum pipeline_end {
    PIPELINE_COMPLETED,
    PIPELINE_ERRORED, /* the server answered it with an error */
    PIPELINE_SKIPPED, /* the server skipped it after an earlier error, or ignored it (COPY) */
    PIPELINE_DROPPED, /* pipeline_clear */
};

/* How far the replies to the head have come. Private to pipeline.c and the inlines below. */
enum pipeline_phase {
    PIPELINE_PHASE_START,
    PIPELINE_PHASE_ROWS,           /* RowDescription (Query) or a DataRow (Execute) was seen */
    PIPELINE_PHASE_COPY_IN,        /* CopyInResponse */
    PIPELINE_PHASE_COPY_OUT,       /* CopyOutResponse */
    PIPELINE_PHASE_COPY_OUT_ENDED, /* the server's CopyDone */
    PIPELINE_PHASE_COMMAND_ENDED,  /* Query: a CommandComplete; more may follow */
    PIPELINE_PHASE_FINISHED,       /* only ReadyForQuery, or an error, may follow */
    PIPELINE_PHASE_ERRORED,        /* the same, after an error */
    PIPELINE_PHASE_PARAMETERS,     /* Describe: ParameterDescription */
};

/* A zeroed struct with done (may be NULL) and context set is an empty pipeline. */
struct pipeline {
    struct pipeline_entry *ring; /* owned; NULL until the first push */
    unsigned capacity;           /* a power of two */
    unsigned head;
    unsigned count;
    unsigned ready_owed;   /* ReadyForQuery messages to come: Sync, Query and Call entries */
    unsigned doubtful;     /* further ReadyForQuery that may come or not: see above */
    uint8_t phase;         /* enum pipeline_phase */
    bool skipping;         /* the server skips until a Sync that is not sent yet */
    bool copying_in;       /* the server is in COPY IN and no message that ends it was pushed */
    bool unsynced;         /* an extended message was pushed and no Sync or Query behind it */
    bool probe_due;        /* the probe is not sent yet */
    bool skip_after_doubt; /* the probe's own Sync must not end the client's skipping */
    /*
     * Called as each entry leaves; it must not change the pipeline. Where an error makes entries
     * leave, they leave last in, first out, the erroneous one last: each can undo what its push
     * did. What a COPY IN has used up leaves before the Query or Execute that began it.
     */
    void (*done)(const struct pipeline_entry *entry, enum pipeline_end end, void *context);
    void *context;
};

enum pipeline_verdict {
    PIPELINE_FORWARD,   /* the client's */
    PIPELINE_SWALLOW,   /* a reply to something of ours */
    PIPELINE_ASYNC,     /* notice, notification, parameter status, or an error with nothing owed */
    PIPELINE_VIOLATION, /* it must not say this now, or cannot be followed: end the connection */
};

/* At most PIPELINE_MAX entries may be open: the caller stops reading from the client before. */
#define PIPELINE_MAX 65536

#define PIPELINE_READY_KINDS                                                                       \
    ((1u << PIPELINE_SYNC) | (1u << PIPELINE_QUERY) | (1u << PIPELINE_CALL))
#define PIPELINE_EXTENDED_KINDS ((1u << PIPELINE_SYNC) - 1u)

/* Private: the parts of the inlines below that are not on the hot path. */
void pipeline_grow(struct pipeline *pipeline);
void pipeline_copy_end_pushed(struct pipeline *pipeline);
enum pipeline_verdict pipeline_reply_step(struct pipeline *pipeline, uint8_t type);

/*
 * True where the message must be sent and pushed; false where the server would skip it: then it is
 * neither sent nor pushed. A Sync is always sent and ends skipping. Types that have no reply
 * (CopyData, Flush) are not asked about: send them, except that while `skipping` they may be left
 * out.
 */
static inline bool pipeline_accepts(const struct pipeline *pipeline, enum pipeline_kind kind)
{
    return !pipeline->skipping || kind == PIPELINE_SYNC;
}

/* The message must be one that pipeline_accepts(). done() may be called (a stray COPY_END). */
static inline void pipeline_push(struct pipeline *pipeline, struct pipeline_entry entry)
{
    check(pipeline_accepts(pipeline, (enum pipeline_kind)entry.kind));
    if (__builtin_expect(pipeline->count == pipeline->capacity, 0))
        pipeline_grow(pipeline);
    pipeline->ring[(pipeline->head + pipeline->count) & (pipeline->capacity - 1)] = entry;
    pipeline->count++;
    pipeline->skipping = false;
    if (__builtin_expect(entry.kind == PIPELINE_COPY_END, 0)) {
        pipeline_copy_end_pushed(pipeline);
        return;
    }
    pipeline->ready_owed += (PIPELINE_READY_KINDS >> entry.kind) & 1u;
    pipeline->unsynced = ((PIPELINE_EXTENDED_KINDS >> entry.kind) & 1u) != 0;
    pipeline->copying_in &= entry.kind == PIPELINE_SYNC;
}

/* True where pipeline_push_probe() is to be called now: see the top of the file. */
static inline bool pipeline_must_probe(const struct pipeline *pipeline)
{
    return pipeline->probe_due && pipeline->doubtful > 0;
}

/*
 * Only where pipeline_must_probe(): pushes a Query (ours, with the note, without a subject), which
 * the caller then sends with an empty text. Returns true where a Sync was pushed ahead of it and is
 * to be sent first, because the server may be skipping.
 */
bool pipeline_push_probe(struct pipeline *pipeline, uint8_t note);

/* True while it is not known whether the server skips the client's next message: do not read it. */
static inline bool pipeline_must_hold(const struct pipeline *pipeline)
{
    return pipeline->doubtful > 0 && (pipeline->probe_due || pipeline->skip_after_doubt);
}

/* True while the head is a COPY IN. */
static inline bool pipeline_is_in_copy(const struct pipeline *pipeline)
{
    return pipeline->phase == PIPELINE_PHASE_COPY_IN;
}

/* The entry that is the index-th to be answered, from 0; there are pipeline->count. */
static inline struct pipeline_entry *pipeline_at(const struct pipeline *pipeline, unsigned index)
{
    return &pipeline->ring[(pipeline->head + index) & (pipeline->capacity - 1)];
}

/* The oldest entry that the server still owes, or NULL. */
static inline const struct pipeline_entry *pipeline_head(const struct pipeline *pipeline)
{
    if (pipeline->count == 0)
        return NULL;
    return pipeline_at(pipeline, 0);
}

/*
 * True where the server may be at work for the client. The head need not be the client's for that:
 * the server keeps its replies to extended messages until a Sync, so that behind a Parse of ours
 * the client's Execute may run long before the ParseComplete comes.
 */
bool pipeline_may_be_at_clients(const struct pipeline *pipeline);

/*
 * type: the server's message, one of enum message_backend. Replies to entries of ours are
 * SWALLOWed, with one exception: an error on an extended message of ours is FORWARDed, because what
 * the client has sent behind it is skipped, so that it is the client's error. done() is called
 * before it returns, for every entry that the reply makes leave.
 */
static inline enum pipeline_verdict pipeline_reply(struct pipeline *pipeline, uint8_t type)
{
    if (type == MESSAGE_DATA_ROW && pipeline->phase == PIPELINE_PHASE_ROWS)
        return pipeline_head(pipeline)->ours ? PIPELINE_SWALLOW : PIPELINE_FORWARD;
    return pipeline_reply_step(pipeline, type);
}

/*
 * Nothing is owed and nothing is half-way (extended messages without their Sync, skipping, doubt):
 * where the last ReadyForQuery had status 'I', the lease may end.
 */
static inline bool pipeline_is_empty(const struct pipeline *pipeline)
{
    return pipeline->count == 0 && !pipeline->unsynced && !pipeline->skipping &&
           pipeline->doubtful == 0;
}

/* Drops all entries (done() is called for each, last first) and forgets every state. */
void pipeline_clear(struct pipeline *pipeline);
/* Clears and frees the ring. */
void pipeline_release(struct pipeline *pipeline);

#endif
