/* sim_session.c: the message loop and the transactions of a model of PostgreSQL's backend. */
#include "sim_session.h"

#include "sim_trace.h"

#include "base/memory.h"
#include "pg/frame.h"
#include "pg/message.h"
#include "pg/reader.h"
#include "pg/reply.h"
#include "pg/writer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IN_FAILED_TRANSACTION                                                                      \
    "current transaction is aborted, commands ignored until end of transaction block"

void sim_session_start(struct sim_session *session, const struct sim_session_host *host,
                       void *context)
{
    memset(session, 0, sizeof *session);
    session->host = host;
    session->context = context;
    session->status = MESSAGE_IDLE;
}

void sim_session_end(struct sim_session *session)
{
    buffer_release(&session->out);
    buffer_release(&session->body);
    pairs_clear(&session->statements);
    pairs_clear(&session->portals);
}

const char *sim_session_value(const struct sim_session *session, unsigned guc)
{
    if (session->local[guc].set)
        return session->local[guc].text;
    if (session->now[guc].set)
        return session->now[guc].text;
    return session->start[guc].set ? session->start[guc].text : sim_gucs[guc].value;
}

static void report(struct sim_session *session, bool all)
{
    for (unsigned i = 0; i < SIM_GUC_COUNT; i++) {
        const char *value = sim_session_value(session, i);
        if (!sim_gucs[i].is_reported || (!all && strcmp(value, session->reported[i]) == 0))
            continue;
        strcpy(session->reported[i], value);
        reply_parameter_status(&session->out, sim_gucs[i].name, value);
    }
}

void sim_session_report_all(struct sim_session *session)
{
    report(session, true);
}

static void simple(struct sim_session *session, uint8_t type)
{
    struct writer writer = writer_begin(&session->out, type);
    writer_end(&writer);
}

static void ready(struct sim_session *session)
{
    report(session, false);
    reply_ready(&session->out, session->status);
}

/* ---- Transactions ---- */

static void begin_work(struct sim_session *session)
{
    if (session->in_transaction)
        return;
    session->in_transaction = true;
    memcpy(session->before, session->now, sizeof session->now);
}

static void end_work(struct sim_session *session)
{
    session->in_transaction = false;
    session->pending_count = 0;
    memset(session->local, 0, sizeof session->local);
    pairs_clear(&session->portals);
}

static void commit_work(struct sim_session *session)
{
    for (unsigned i = 0; i < session->pending_count; i++)
        session->host->committed(session, session->pending[i]);
    end_work(session);
    session->status = MESSAGE_IDLE;
}

static void abort_work(struct sim_session *session)
{
    if (session->in_transaction)
        memcpy(session->now, session->before, sizeof session->now);
    end_work(session);
}

/* ---- Errors ---- */

static void finish_query(struct sim_session *session)
{
    session->busy = false;
    if (session->status == MESSAGE_IDLE && session->in_transaction)
        commit_work(session);
    ready(session);
}

static bool is_quiet_message(uint8_t type)
{
    return type == MESSAGE_SYNC || type == MESSAGE_FLUSH || type == MESSAGE_COPY_DATA ||
           type == MESSAGE_COPY_DONE || type == MESSAGE_COPY_FAIL;
}

bool sim_session_may_fail(const struct sim_session *session)
{
    return session->copying || (session->busy && !is_quiet_message(session->type));
}

static void remove_pair(struct pairs *pairs, const char *name)
{
    struct pairs kept = {0};
    for (size_t i = 0; i < pairs->count; i++) {
        if (strcmp(pairs->items[i].name, name) != 0)
            pairs_add(&kept, pairs->items[i].name, pairs->items[i].value);
    }
    pairs_clear(pairs);
    *pairs = kept;
}

void sim_session_cancel(struct sim_session *session)
{
    /* A Parse of the unnamed statement has dropped the old one before anything can go wrong. */
    if (session->busy && session->type == MESSAGE_PARSE && buffer_bytes(&session->body)[0] == '\0')
        remove_pair(&session->statements, "");
}

void sim_session_error(struct sim_session *session, const char *sqlstate, const char *message)
{
    if (sqlstate != NULL)
        reply_error(&session->out, "ERROR", sqlstate, message, NULL, NULL);
    session->copying = false;
    bool in_block = session->status != MESSAGE_IDLE;
    abort_work(session);
    if (in_block) {
        session->status = MESSAGE_FAILED_TRANSACTION;
        session->in_transaction = true;
        memcpy(session->before, session->now, sizeof session->now);
    }
    session->busy = false;
    if (session->type == MESSAGE_QUERY)
        ready(session);
    else
        session->skipping = true;
}

/* ---- Statements ---- */

static void one_row(struct sim_session *session, const char *value, bool described)
{
    static const struct reply_column column = {"value", REPLY_TEXT};
    if (described)
        reply_row_description(&session->out, &column, 1);
    reply_data_row(&session->out, &value, 1);
}

static void set_value(struct sim_value values[], unsigned guc, const char *text)
{
    values[guc].set = true;
    strcpy(values[guc].text, text);
}

static void run_set_config(struct sim_session *session, const struct sim_statement *statement,
                           bool described)
{
    const char *at = statement->text;
    const char *end = statement->text + statement->length;
    char value[SIM_VALUE_SIZE];
    bool has_value;
    unsigned guc;
    while ((guc = sim_sql_next_set(&at, end, value, &has_value)) != SIM_GUC_COUNT) {
        session->local[guc].set = false;
        session->now[guc].set = false;
        if (has_value)
            set_value(session->now, guc, value);
    }
    one_row(session, "set", described);
}

static void run_question(struct sim_session *session, const struct sim_statement *statement)
{
    static const struct reply_column columns[] = {{"name", REPLY_TEXT}, {"setting", REPLY_TEXT}};
    reply_row_description(&session->out, columns, 2);
    bool of_settings = statement->text[strlen("SELECT ")] == 'n';
    for (unsigned i = 0; i < SIM_GUC_COUNT && of_settings; i++) {
        const struct sim_guc *guc = &sim_gucs[i];
        if (!session->now[i].set || (guc->is_custom && !sim_sql_asks_for(statement, guc->name)))
            continue;
        const char *row[] = {guc->name, session->now[i].text};
        reply_data_row(&session->out, row, 2);
    }
}

static void run_catalog(struct sim_session *session)
{
    static const struct reply_column columns[] = {{"name", REPLY_TEXT}, {"body", REPLY_TEXT}};
    const char *mark[] = {"routine:", "t1"};
    reply_row_description(&session->out, columns, 2);
    reply_data_row(&session->out, mark, 2);
}

static void run_rows(struct sim_session *session, const struct sim_statement *statement,
                     bool described)
{
    char value[1200];
    memset(value, 'r', sizeof value);
    for (unsigned i = 0; i < statement->number; i++) {
        size_t size = 1 + i * 397 % (sizeof value - 1);
        value[size - 1] = '\0';
        one_row(session, value, described && i == 0);
        value[size - 1] = 'r';
    }
}

static void run_copy_out(struct sim_session *session, const char *token)
{
    struct writer writer = writer_begin(&session->out, MESSAGE_COPY_OUT_RESPONSE);
    writer_uint8(&writer, 0);
    writer_uint16(&writer, 0);
    writer_end(&writer);
    for (int i = 0; i < 3; i++) {
        writer = writer_begin(&session->out, MESSAGE_COPY_DATA);
        writer_string(&writer, token);
        writer_end(&writer);
    }
    simple(session, MESSAGE_COPY_DONE);
}

static void insert(struct sim_session *session, const char *token)
{
    sim_require(session->pending_count < SIM_MOST_PENDING, "too many rows in a transaction");
    strcpy(session->pending[session->pending_count++], token);
}

/* Does it; false where it has failed, or goes on later (COPY IN). */
static bool run_kind(struct sim_session *session, const struct sim_statement *statement,
                     bool described)
{
    switch (statement->kind) {
    case SIM_BEGIN:
        session->status = MESSAGE_IN_TRANSACTION;
        break;
    case SIM_COMMIT:
        commit_work(session);
        break;
    case SIM_ROLLBACK:
        abort_work(session);
        session->status = MESSAGE_IDLE;
        break;
    case SIM_SELECT:
    case SIM_SLEEP:
        one_row(session, statement->token, described);
        break;
    case SIM_SHOW:
        one_row(session, sim_session_value(session, statement->guc), described);
        break;
    case SIM_INSERT:
        insert(session, statement->token);
        break;
    case SIM_ROWS:
        run_rows(session, statement, described);
        break;
    case SIM_COPY_OUT:
        run_copy_out(session, statement->token);
        break;
    case SIM_SET:
        session->local[statement->guc].set = false;
        set_value(session->now, statement->guc, statement->value);
        break;
    case SIM_SET_LOCAL:
        if (session->status == MESSAGE_IN_TRANSACTION)
            set_value(session->local, statement->guc, statement->value);
        break;
    case SIM_RESET:
        session->local[statement->guc].set = session->now[statement->guc].set = false;
        break;
    case SIM_SET_CONFIG:
        run_set_config(session, statement, described);
        break;
    case SIM_CALM:
        break;
    case SIM_QUESTION:
        run_question(session, statement);
        break;
    case SIM_CATALOG:
        run_catalog(session);
        break;
    case SIM_DISCARD_ALL:
        memset(session->now, 0, sizeof session->now);
        memset(session->local, 0, sizeof session->local);
        memset(session->before, 0, sizeof session->before);
        pairs_clear(&session->statements);
        break;
    case SIM_DEALLOCATE_ALL:
        pairs_clear(&session->statements);
        break;
    case SIM_COPY_IN:
    case SIM_FAIL:
    case SIM_EMPTY:
    case SIM_UNKNOWN:
        return false;
    }
    return true;
}

static void begin_copy_in(struct sim_session *session)
{
    struct writer writer = writer_begin(&session->out, MESSAGE_COPY_IN_RESPONSE);
    writer_uint8(&writer, 0);
    writer_uint16(&writer, 0);
    writer_end(&writer);
    session->copying = true;
    session->busy = false;
}

/* True where the statement has ended well. */
static bool run_statement(struct sim_session *session, const struct sim_statement *statement,
                          bool described)
{
    if (statement->kind == SIM_EMPTY) {
        simple(session, MESSAGE_EMPTY_QUERY_RESPONSE);
        return true;
    }
    session->host->runs(session, statement);
    if (session->status == MESSAGE_FAILED_TRANSACTION && !sim_kind_is_exit(statement->kind)) {
        sim_session_error(session, "25P02", IN_FAILED_TRANSACTION);
        return false;
    }
    if (statement->kind == SIM_DISCARD_ALL &&
        (session->status != MESSAGE_IDLE || session->count > 1)) {
        sim_session_error(session, "25001", "DISCARD ALL cannot run inside a transaction block");
        return false;
    }
    bool failed = session->status == MESSAGE_FAILED_TRANSACTION;
    begin_work(session);
    if (statement->kind == SIM_COPY_IN) {
        begin_copy_in(session);
        return false;
    }
    if (statement->kind == SIM_COMMIT && failed) {
        abort_work(session);
        session->status = MESSAGE_IDLE;
        reply_command_complete(&session->out, "ROLLBACK");
        return true;
    }
    if (!run_kind(session, statement, described)) {
        bool wanted = statement->kind == SIM_FAIL;
        sim_session_error(session, wanted ? "22012" : "42601",
                          wanted ? statement->token : "syntax error");
        return false;
    }
    reply_command_complete(&session->out, sim_kind_tag(statement->kind));
    return true;
}

static void run_query(struct sim_session *session)
{
    if (!run_statement(session, &session->list[session->next], true))
        return;
    if (++session->next == session->count)
        finish_query(session);
}

/* ---- Extended messages ---- */

static bool aborted(struct sim_session *session, const char *text)
{
    struct sim_statement list[SIM_MOST_STATEMENTS];
    if (session->status != MESSAGE_FAILED_TRANSACTION)
        return false;
    (void)sim_sql_parse(text, list);
    if (sim_kind_is_exit(list[0].kind))
        return false;
    sim_session_error(session, "25P02", IN_FAILED_TRANSACTION);
    return true;
}

static void __attribute__((format(printf, 3, 4)))
name_error(struct sim_session *session, const char *sqlstate, const char *format, ...)
{
    char message[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    sim_session_error(session, sqlstate, message);
}

static void run_parse(struct sim_session *session, struct reader *reader)
{
    const char *name = reader_string(reader);
    const char *text = reader_string(reader);
    struct sim_statement list[SIM_MOST_STATEMENTS];
    if (name[0] == '\0')
        remove_pair(&session->statements, name);
    unsigned count = sim_sql_parse(text, list);
    if (count != 1 || list[0].kind == SIM_UNKNOWN) {
        sim_session_error(session, "42601", "syntax error");
        return;
    }
    if (aborted(session, text))
        return;
    if (pairs_find(&session->statements, name) != NULL) {
        name_error(session, "42P05", "prepared statement \"%s\" already exists", name);
        return;
    }
    begin_work(session);
    pairs_add(&session->statements, name, text);
    simple(session, MESSAGE_PARSE_COMPLETE);
}

static const char *find_statement(struct sim_session *session, const char *name)
{
    const char *text = pairs_find(&session->statements, name);
    if (text == NULL && name[0] == '\0')
        sim_session_error(session, "26000", "unnamed prepared statement does not exist");
    else if (text == NULL)
        name_error(session, "26000", "prepared statement \"%s\" does not exist", name);
    return text;
}

/* The only parameter is the token. */
static void run_bind(struct sim_session *session, struct reader *reader)
{
    const char *portal = reader_string(reader);
    const char *name = reader_string(reader);
    const char *text = find_statement(session, name);
    if (text == NULL || aborted(session, text))
        return;
    (void)reader_uint16(reader);
    (void)reader_uint16(reader);
    size_t length = reader_uint32(reader);
    const uint8_t *token = reader_bytes(reader, length);
    sim_require(token != NULL, "malformed Bind");
    char *bound = memory_printf("%s /*%.*s*/", text, (int)length, (const char *)token);
    begin_work(session);
    remove_pair(&session->portals, portal);
    pairs_add(&session->portals, portal, bound);
    free(bound);
    simple(session, MESSAGE_BIND_COMPLETE);
}

static void describe_rows(struct sim_session *session, const char *text)
{
    static const struct reply_column column = {"value", REPLY_TEXT};
    struct sim_statement list[SIM_MOST_STATEMENTS];
    (void)sim_sql_parse(text, list);
    if (sim_kind_has_rows(list[0].kind))
        reply_row_description(&session->out, &column, 1);
    else
        simple(session, MESSAGE_NO_DATA);
}

static void run_describe(struct sim_session *session, struct reader *reader)
{
    bool portal = reader_uint8(reader) == 'P';
    const char *name = reader_string(reader);
    if (portal) {
        const char *text = pairs_find(&session->portals, name);
        if (text == NULL)
            name_error(session, "34000", "portal \"%s\" does not exist", name);
        else
            describe_rows(session, text);
        return;
    }
    const char *text = find_statement(session, name);
    if (text == NULL || aborted(session, text))
        return;
    struct writer writer = writer_begin(&session->out, MESSAGE_PARAMETER_DESCRIPTION);
    writer_uint16(&writer, 1);
    writer_uint32(&writer, REPLY_TEXT);
    writer_end(&writer);
    describe_rows(session, text);
}

static void run_close(struct sim_session *session, struct reader *reader)
{
    bool portal = reader_uint8(reader) == 'P';
    remove_pair(portal ? &session->portals : &session->statements, reader_string(reader));
    simple(session, MESSAGE_CLOSE_COMPLETE);
}

static void run_execute(struct sim_session *session)
{
    if (session->count == 0) {
        const char *name = (const char *)buffer_bytes(&session->body);
        name_error(session, "34000", "portal \"%s\" does not exist", name);
    } else if (run_statement(session, &session->list[0], false)) {
        session->busy = false;
    }
}

static void run_sync(struct sim_session *session)
{
    session->skipping = false;
    session->busy = false;
    if (session->status == MESSAGE_IDLE && session->in_transaction)
        commit_work(session);
    ready(session);
}

/* ---- The message loop ---- */

void sim_session_run(struct sim_session *session)
{
    struct reader reader;
    reader_init(&reader, buffer_bytes(&session->body), buffer_length(&session->body));
    switch (session->type) {
    case MESSAGE_QUERY:
        run_query(session);
        return;
    case MESSAGE_EXECUTE:
        run_execute(session);
        return;
    case MESSAGE_SYNC:
        run_sync(session);
        return;
    case MESSAGE_PARSE:
        run_parse(session, &reader);
        break;
    case MESSAGE_BIND:
        run_bind(session, &reader);
        break;
    case MESSAGE_DESCRIBE:
        run_describe(session, &reader);
        break;
    case MESSAGE_CLOSE:
        run_close(session, &reader);
        break;
    default: /* Flush; COPY messages where there is no COPY */
        break;
    }
    session->busy = false;
}

const struct sim_statement *sim_session_next(const struct sim_session *session)
{
    if (!session->busy || session->next >= session->count)
        return NULL;
    return &session->list[session->next];
}

/* The portal's text stands in the place of the Execute's body while it runs. */
static void take_execute(struct sim_session *session)
{
    const char *text = pairs_find(&session->portals, (const char *)buffer_bytes(&session->body));
    if (text == NULL)
        return;
    buffer_clear(&session->body);
    buffer_append(&session->body, text, strlen(text) + 1);
    session->count = sim_sql_parse((const char *)buffer_bytes(&session->body), session->list);
}

/* A message within COPY IN. */
static void take_copy(struct sim_session *session, const struct frame *frame)
{
    switch (frame->type) {
    case MESSAGE_COPY_DATA:
    case MESSAGE_SYNC:
    case MESSAGE_FLUSH:
        break;
    case MESSAGE_COPY_DONE: {
        const struct sim_statement *statement = &session->list[session->next];
        session->copying = false;
        insert(session, statement->token);
        reply_command_complete(&session->out, sim_kind_tag(statement->kind));
        session->busy = true;
        if (session->type != MESSAGE_QUERY)
            session->busy = false;
        else if (++session->next == session->count)
            finish_query(session);
        break;
    }
    case MESSAGE_COPY_FAIL:
        sim_session_error(session, "22P04", "COPY from stdin failed");
        break;
    default:
        sim_fail("message '%c' within COPY IN", frame->type);
    }
}

size_t sim_session_take(struct sim_session *session, const uint8_t *bytes, size_t length)
{
    struct frame frame;
    if (frame_from_client(bytes, length, &frame) != FRAME_WHOLE)
        return 0;
    if (session->copying) {
        take_copy(session, &frame);
        return frame.size;
    }
    if (session->skipping && frame.type != MESSAGE_SYNC)
        return frame.size;
    session->type = frame.type;
    session->busy = true;
    session->count = session->next = 0;
    buffer_clear(&session->body);
    buffer_append(&session->body, frame.body, frame.size - FRAME_HEADER_SIZE);
    if (frame.type == MESSAGE_QUERY) {
        remove_pair(&session->statements, "");
        session->count = sim_sql_parse((const char *)buffer_bytes(&session->body), session->list);
    } else if (frame.type == MESSAGE_EXECUTE) {
        take_execute(session);
    }
    return frame.size;
}
