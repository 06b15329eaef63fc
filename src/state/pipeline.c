/* pipeline.c: which message of the frontend a message of the backend answers. */
#include "state/pipeline.h"

#include "base/check.h"
#include "base/memory.h"
#include "pg/message.h"

#include <stdlib.h>

#define INITIAL_CAPACITY 16u

static struct pipeline_entry *entry_at(const struct pipeline *pipeline, unsigned index)
{
    return &pipeline->ring[(pipeline->head + index) & (pipeline->capacity - 1)];
}

static bool owes_ready(const struct pipeline_entry *entry)
{
    return ((PIPELINE_READY_KINDS >> entry->kind) & 1u) != 0;
}

static void tell_done(const struct pipeline *pipeline, const struct pipeline_entry *entry,
                      enum pipeline_end end)
{
    if (pipeline->done != NULL)
        pipeline->done(entry, end, pipeline->context);
}

void pipeline_grow(struct pipeline *pipeline)
{
    check(pipeline->count < PIPELINE_MAX);
    unsigned capacity = pipeline->capacity == 0 ? INITIAL_CAPACITY : pipeline->capacity * 2;
    struct pipeline_entry *ring = memory_zeroed(capacity * sizeof *ring);
    for (unsigned i = 0; i < pipeline->count; i++)
        ring[i] = *entry_at(pipeline, i);
    free(pipeline->ring);
    pipeline->ring = ring;
    pipeline->capacity = capacity;
    pipeline->head = 0;
}

static void take_head(struct pipeline *pipeline, enum pipeline_end end)
{
    struct pipeline_entry entry = *entry_at(pipeline, 0);
    pipeline->head++;
    pipeline->count--;
    pipeline->phase = PIPELINE_PHASE_START;
    if (owes_ready(&entry))
        pipeline->ready_owed--;
    tell_done(pipeline, &entry, end);
}

/* A COPY_END that gets to the front was sent outside COPY IN: the server ignores it. */
static void take_stray_copy_ends(struct pipeline *pipeline)
{
    while (pipeline->count > 0 && entry_at(pipeline, 0)->kind == PIPELINE_COPY_END)
        take_head(pipeline, PIPELINE_SKIPPED);
}

static void finish_head(struct pipeline *pipeline, enum pipeline_end end)
{
    take_head(pipeline, end);
    take_stray_copy_ends(pipeline);
}

/* The `number` entries behind the head leave, last first; the head stays. */
static void drop_behind_head(struct pipeline *pipeline, unsigned number,
                             enum pipeline_end copy_end_ends)
{
    struct pipeline_entry head = *entry_at(pipeline, 0);
    for (unsigned i = number; i > 0; i--) {
        struct pipeline_entry entry = *entry_at(pipeline, i);
        entry_at(pipeline, i)->subject = NULL; /* done() may look at what is still in the ring */
        if (owes_ready(&entry))
            pipeline->ready_owed--;
        tell_done(pipeline, &entry,
                  entry.kind == PIPELINE_COPY_END ? copy_end_ends : PIPELINE_SKIPPED);
    }
    pipeline->head += number;
    pipeline->count -= number;
    *entry_at(pipeline, 0) = head;
}

/* What a COPY IN of the head reads, if it lives to: Syncs, then the COPY_END. */
struct copy_run {
    unsigned syncs;
    bool ended;       /* a COPY_END follows the Syncs */
    bool interrupted; /* another message follows them */
};

static struct copy_run find_copy_run(const struct pipeline *pipeline)
{
    struct copy_run run = {0};
    unsigned index = 1;
    while (index < pipeline->count && entry_at(pipeline, index)->kind == PIPELINE_SYNC)
        index++;
    run.syncs = index - 1;
    if (index < pipeline->count) {
        run.ended = entry_at(pipeline, index)->kind == PIPELINE_COPY_END;
        run.interrupted = !run.ended;
    }
    return run;
}

static void begin_copy_in(struct pipeline *pipeline)
{
    struct copy_run run = find_copy_run(pipeline);
    pipeline->phase = PIPELINE_PHASE_COPY_IN;
    pipeline->copying_in = !run.ended && !run.interrupted;
}

/* The COPY IN has succeeded, so it has read its end. False where no end was sent. */
static bool complete_copy_in(struct pipeline *pipeline)
{
    struct copy_run run = find_copy_run(pipeline);
    if (!run.ended)
        return false;
    drop_behind_head(pipeline, run.syncs + 1, PIPELINE_COMPLETED);
    return true;
}

/* The COPY IN has failed. Returns how many entries behind the head belonged to it. */
static unsigned fail_copy_in(struct pipeline *pipeline)
{
    struct copy_run run = find_copy_run(pipeline);
    pipeline->copying_in = false;
    pipeline->doubtful += run.syncs;
    return run.syncs + (run.ended ? 1u : 0u);
}

/* The entries from `index` on will be answered with nothing but ReadyForQuery. */
static bool only_syncs_from(const struct pipeline *pipeline, unsigned index)
{
    for (; index < pipeline->count; index++) {
        uint8_t kind = entry_at(pipeline, index)->kind;
        if (kind != PIPELINE_SYNC && kind != PIPELINE_COPY_END)
            return false;
    }
    return true;
}

/*
 * The server skips to the next Sync; what it has read in a failed COPY IN goes the same way. False
 * where it may as well not skip, because a doubtful Sync came first.
 */
static bool fail_extended(struct pipeline *pipeline)
{
    unsigned number = 0;
    bool known = true;
    if (pipeline->phase == PIPELINE_PHASE_COPY_IN)
        number = fail_copy_in(pipeline);
    while (number + 1 < pipeline->count && entry_at(pipeline, number + 1)->kind != PIPELINE_SYNC) {
        number++;
        if (entry_at(pipeline, number)->kind != PIPELINE_COPY_END)
            known = pipeline->doubtful == 0;
    }
    pipeline->skipping = number + 1 == pipeline->count;
    drop_behind_head(pipeline, number, PIPELINE_SKIPPED);
    take_head(pipeline, PIPELINE_ERRORED);
    pipeline->probe_due = pipeline->doubtful > 0 && only_syncs_from(pipeline, 0);
    return known;
}

/*
 * The head's reply tells that the server is past the doubtful Syncs, all of which were sent before
 * the head: those it has not answered by now it has ignored.
 */
static void settle_doubt(struct pipeline *pipeline)
{
    pipeline->doubtful = 0;
    pipeline->probe_due = false;
    pipeline->skipping |= pipeline->skip_after_doubt;
    pipeline->skip_after_doubt = false;
}

static enum pipeline_verdict error_response(struct pipeline *pipeline)
{
    const struct pipeline_entry *head = pipeline_head(pipeline);
    if (head == NULL)
        return PIPELINE_ASYNC;
    /* The probe itself cannot fail: in doubt, an error is the client's. */
    bool swallow = head->ours && pipeline->doubtful == 0;
    if (head->kind != PIPELINE_SYNC && pipeline->phase != PIPELINE_PHASE_ERRORED)
        settle_doubt(pipeline);
    if (!owes_ready(head))
        return fail_extended(pipeline) ? PIPELINE_FORWARD : PIPELINE_VIOLATION;
    if (pipeline->phase == PIPELINE_PHASE_COPY_IN) {
        drop_behind_head(pipeline, fail_copy_in(pipeline), PIPELINE_SKIPPED);
        pipeline->probe_due = pipeline->doubtful > 0 && only_syncs_from(pipeline, 1);
    }
    pipeline->phase = PIPELINE_PHASE_ERRORED;
    return swallow ? PIPELINE_SWALLOW : PIPELINE_FORWARD;
}

/* The step functions below take one reply to the head: false where it does not fit. */

static bool finish_if(struct pipeline *pipeline, bool fits)
{
    if (fits)
        finish_head(pipeline, PIPELINE_COMPLETED);
    return fits;
}

static bool move_if(struct pipeline *pipeline, bool fits, enum pipeline_phase phase)
{
    if (fits)
        pipeline->phase = (uint8_t)phase;
    return fits;
}

static bool step_describe(struct pipeline *pipeline, uint8_t type)
{
    if (type == MESSAGE_PARAMETER_DESCRIPTION)
        return move_if(pipeline, pipeline->phase == PIPELINE_PHASE_START,
                       PIPELINE_PHASE_PARAMETERS);
    return finish_if(pipeline, type == MESSAGE_ROW_DESCRIPTION || type == MESSAGE_NO_DATA);
}

/* What Query and Execute have in common of COPY; `may_begin`: between commands. */
static bool step_copy(struct pipeline *pipeline, uint8_t type, bool may_begin)
{
    bool out = pipeline->phase == PIPELINE_PHASE_COPY_OUT;
    switch (type) {
    case MESSAGE_COPY_IN_RESPONSE:
        if (may_begin)
            begin_copy_in(pipeline);
        return may_begin;
    case MESSAGE_COPY_OUT_RESPONSE:
        return move_if(pipeline, may_begin, PIPELINE_PHASE_COPY_OUT);
    case MESSAGE_COPY_DATA:
        return out;
    case MESSAGE_COPY_DONE:
        return move_if(pipeline, out, PIPELINE_PHASE_COPY_OUT_ENDED);
    default:
        return false;
    }
}

/* The Syncs that the COPY has used up do not end the Execute's transaction. */
static bool complete_execute_copy(struct pipeline *pipeline)
{
    if (!complete_copy_in(pipeline))
        return false;
    finish_head(pipeline, PIPELINE_COMPLETED);
    pipeline->unsynced |= pipeline->count == 0;
    return true;
}

static bool step_execute(struct pipeline *pipeline, uint8_t type)
{
    bool start = pipeline->phase == PIPELINE_PHASE_START;
    bool rows = start || pipeline->phase == PIPELINE_PHASE_ROWS;
    switch (type) {
    case MESSAGE_DATA_ROW:
        return move_if(pipeline, rows, PIPELINE_PHASE_ROWS);
    case MESSAGE_COMMAND_COMPLETE:
        if (pipeline->phase == PIPELINE_PHASE_COPY_IN)
            return complete_execute_copy(pipeline);
        return finish_if(pipeline, rows || pipeline->phase == PIPELINE_PHASE_COPY_OUT_ENDED);
    case MESSAGE_PORTAL_SUSPENDED:
        return finish_if(pipeline, rows);
    case MESSAGE_EMPTY_QUERY_RESPONSE:
        return finish_if(pipeline, start);
    default:
        return step_copy(pipeline, type, start);
    }
}

static bool step_ready(struct pipeline *pipeline, uint8_t type, bool may_end)
{
    if (type != MESSAGE_READY_FOR_QUERY)
        return false;
    if (pipeline->phase == PIPELINE_PHASE_ERRORED) {
        finish_head(pipeline, PIPELINE_ERRORED);
        return true;
    }
    return finish_if(pipeline, may_end);
}

static bool step_query(struct pipeline *pipeline, uint8_t type)
{
    enum pipeline_phase phase = pipeline->phase;
    bool between = phase == PIPELINE_PHASE_START || phase == PIPELINE_PHASE_COMMAND_ENDED;
    bool rows = phase == PIPELINE_PHASE_ROWS;
    switch (type) {
    case MESSAGE_ROW_DESCRIPTION:
        /* A rewrite rule's SELECT describes its rows ahead of the command's own. */
        return move_if(pipeline, between || rows, PIPELINE_PHASE_ROWS);
    case MESSAGE_DATA_ROW:
        return rows;
    case MESSAGE_COMMAND_COMPLETE:
        if (phase == PIPELINE_PHASE_COPY_IN)
            return move_if(pipeline, complete_copy_in(pipeline), PIPELINE_PHASE_COMMAND_ENDED);
        return move_if(pipeline, between || rows || phase == PIPELINE_PHASE_COPY_OUT_ENDED,
                       PIPELINE_PHASE_COMMAND_ENDED);
    case MESSAGE_EMPTY_QUERY_RESPONSE:
        return move_if(pipeline, phase == PIPELINE_PHASE_START, PIPELINE_PHASE_FINISHED);
    case MESSAGE_READY_FOR_QUERY:
        return step_ready(pipeline, type,
                          phase == PIPELINE_PHASE_COMMAND_ENDED ||
                              phase == PIPELINE_PHASE_FINISHED);
    default:
        return step_copy(pipeline, type, between);
    }
}

static bool step_call(struct pipeline *pipeline, uint8_t type)
{
    if (type == MESSAGE_FUNCTION_CALL_RESPONSE)
        return move_if(pipeline, pipeline->phase == PIPELINE_PHASE_START, PIPELINE_PHASE_FINISHED);
    return step_ready(pipeline, type, pipeline->phase == PIPELINE_PHASE_FINISHED);
}

static bool step_head(struct pipeline *pipeline, enum pipeline_kind kind, uint8_t type)
{
    switch (kind) {
    case PIPELINE_PARSE:
        return finish_if(pipeline, type == MESSAGE_PARSE_COMPLETE);
    case PIPELINE_BIND:
        return finish_if(pipeline, type == MESSAGE_BIND_COMPLETE);
    case PIPELINE_DESCRIBE:
        return step_describe(pipeline, type);
    case PIPELINE_CLOSE:
        return finish_if(pipeline, type == MESSAGE_CLOSE_COMPLETE);
    case PIPELINE_EXECUTE:
        return step_execute(pipeline, type);
    case PIPELINE_SYNC:
        return step_ready(pipeline, type, true);
    case PIPELINE_QUERY:
        return step_query(pipeline, type);
    case PIPELINE_CALL:
        return step_call(pipeline, type);
    case PIPELINE_COPY_END:
        break;
    }
    check(kind != PIPELINE_COPY_END); /* never left at the front */
    return false;
}

/* A ReadyForQuery that the head cannot have caused: the answer to a doubtful Sync. */
static enum pipeline_verdict doubtful_ready(struct pipeline *pipeline)
{
    pipeline->doubtful--;
    pipeline->skip_after_doubt = false;
    pipeline->skipping = false;
    return PIPELINE_FORWARD;
}

static enum pipeline_verdict reply_to_head(struct pipeline *pipeline, uint8_t type)
{
    const struct pipeline_entry *head = pipeline_head(pipeline);
    bool ready = type == MESSAGE_READY_FOR_QUERY;
    bool doubtful = pipeline->doubtful > 0;
    bool ours = head != NULL && head->ours;
    if (head == NULL || !step_head(pipeline, (enum pipeline_kind)head->kind, type))
        return ready && doubtful ? doubtful_ready(pipeline) : PIPELINE_VIOLATION;
    if (doubtful && !ready)
        settle_doubt(pipeline);
    return ours ? PIPELINE_SWALLOW : PIPELINE_FORWARD;
}

enum pipeline_verdict pipeline_reply_step(struct pipeline *pipeline, uint8_t type)
{
    switch (type) {
    case MESSAGE_NOTICE_RESPONSE:
    case MESSAGE_NOTIFICATION_RESPONSE:
    case MESSAGE_PARAMETER_STATUS:
        return PIPELINE_ASYNC;
    case MESSAGE_ERROR_RESPONSE:
        return error_response(pipeline);
    default:
        return reply_to_head(pipeline, type);
    }
}

bool pipeline_may_be_at_clients(const struct pipeline *pipeline)
{
    for (unsigned i = 0; i < pipeline->count; i++) {
        const struct pipeline_entry *entry = entry_at(pipeline, i);
        if (!entry->ours)
            return true;
        if (owes_ready(entry))
            return false; /* the server sends what it has before it goes on */
    }
    return false;
}

void pipeline_copy_end_pushed(struct pipeline *pipeline)
{
    pipeline->copying_in = false;
    take_stray_copy_ends(pipeline);
}

bool pipeline_push_probe(struct pipeline *pipeline, uint8_t note)
{
    struct pipeline_entry entry = {.ours = true, .note = note};
    bool sync = pipeline->skipping;
    check(pipeline_must_probe(pipeline));
    pipeline->probe_due = false;
    if (sync) {
        pipeline->skip_after_doubt = true;
        entry.kind = PIPELINE_SYNC;
        pipeline_push(pipeline, entry);
    }
    entry.kind = PIPELINE_QUERY;
    pipeline_push(pipeline, entry);
    return sync;
}

void pipeline_clear(struct pipeline *pipeline)
{
    while (pipeline->count > 0) {
        pipeline->count--;
        tell_done(pipeline, entry_at(pipeline, pipeline->count), PIPELINE_DROPPED);
    }
    pipeline->head = 0;
    pipeline->ready_owed = 0;
    pipeline->doubtful = 0;
    pipeline->phase = PIPELINE_PHASE_START;
    pipeline->skipping = false;
    pipeline->copying_in = false;
    pipeline->unsynced = false;
    pipeline->probe_due = false;
    pipeline->skip_after_doubt = false;
}

void pipeline_release(struct pipeline *pipeline)
{
    pipeline_clear(pipeline);
    free(pipeline->ring);
    pipeline->ring = NULL;
    pipeline->capacity = 0;
}
