/* sim_script.c: units, statements and their messages. */
#include "sim_script.h"

#include "sim_ledger.h"
#include "sim_random.h"
#include "sim_sql.h"
#include "sim_trace.h"

#include "pg/message.h"
#include "pg/request.h"
#include "pg/writer.h"

#include <stdio.h>
#include <string.h>

#define TEXT_SIZE 512

static const char *const names[SIM_NAMES] = {"a", "b", "stmt_1"};
static const char *const values[] = {"one", "two", "three", ""};

void sim_script_start(struct sim_script *script, unsigned client)
{
    *script = (struct sim_script){.client = client};
    script->early_sync = sim_chance(300);
    script->block_is_long = sim_chance(300);
}

static void token(struct sim_script *script, char text[SIM_TOKEN_SIZE])
{
    sim_require(script->tokens < SIM_MOST_TOKENS, "a client has used up its tokens");
    snprintf(text, SIM_TOKEN_SIZE, "c%u.%u", script->client, script->tokens++);
}

/* A statement's text without its token; no COPY, no begin or end of a transaction. */
static void body(struct sim_script *script, char text[TEXT_SIZE])
{
    const char *name = sim_gucs[sim_choose(SIM_GUC_COUNT)].name;
    /* One who came with a value of a custom setting gets that again where it sets it to "". */
    const char *value = values[sim_choose(script->may_reset ? 4 : 3)];
    unsigned choice = sim_choose(100);
    if (choice < 30)
        strcpy(text, "SELECT");
    else if (choice < 50)
        strcpy(text, "INSERT");
    else if (choice < 60)
        snprintf(text, TEXT_SIZE, "SHOW %s", name);
    else if (choice < 70)
        snprintf(text, TEXT_SIZE, "SET %s = '%s'", name, value);
    else if (choice < 75)
        snprintf(text, TEXT_SIZE, "SELECT set_config('%s','%s',false)", name, value);
    else if (choice < 78)
        snprintf(text, TEXT_SIZE, "SET LOCAL %s = '%s'", name, value);
    else if (choice < 83)
        snprintf(text, TEXT_SIZE, "ROWS %u", 1 + sim_choose(sim_chance(100) ? 60 : 6));
    else if (choice < 88)
        snprintf(text, TEXT_SIZE, "SLEEP %u", 1 + sim_choose(1000));
    else if (choice < 92)
        strcpy(text, "COPY OUT");
    else if (choice < 96 && script->may_reset)
        snprintf(text, TEXT_SIZE, "RESET %s", name);
    else if (choice < 99)
        strcpy(text, "FAIL");
    else
        strcpy(text, "NONSENSE");
}

/* ---- Messages ---- */

static void bind(struct buffer *out, const char *name, const char *parameter)
{
    struct writer writer = writer_begin(out, MESSAGE_BIND);
    writer_string(&writer, "");
    writer_string(&writer, name);
    writer_uint16(&writer, 0);
    writer_uint16(&writer, 1);
    writer_uint32(&writer, (uint32_t)strlen(parameter));
    writer_bytes(&writer, parameter, strlen(parameter));
    writer_uint16(&writer, 0);
    writer_end(&writer);
}

static void parse(struct buffer *out, const char *name, const char *text)
{
    struct writer writer = writer_begin(out, MESSAGE_PARSE);
    writer_string(&writer, name);
    writer_string(&writer, text);
    writer_uint16(&writer, 0);
    writer_end(&writer);
}

static void execute(struct buffer *out)
{
    struct writer writer = writer_begin(out, MESSAGE_EXECUTE);
    writer_string(&writer, "");
    writer_uint32(&writer, 0);
    writer_end(&writer);
}

static void bare(struct buffer *out, uint8_t type)
{
    struct writer writer = writer_begin(out, type);
    writer_end(&writer);
}

static void sync(struct sim_script *script, struct buffer *out)
{
    script->unsynced = false;
    request_sync(out);
}

static void query(struct sim_script *script, struct buffer *out, const char *text)
{
    char mark[SIM_TOKEN_SIZE];
    char whole[TEXT_SIZE + SIM_TOKEN_SIZE + 8];
    token(script, mark);
    snprintf(whole, sizeof whole, "%s /*%s*/", text, mark);
    request_query(out, whole);
}

/* ---- Extended units ---- */

/* Binds and executes a statement that is there, or was meant to be. */
static void run_prepared(struct sim_script *script, struct buffer *out, const char *name)
{
    char mark[SIM_TOKEN_SIZE];
    token(script, mark);
    bind(out, name, mark);
    if (sim_chance(300))
        request_describe(out, 'P', "");
    execute(out);
    script->unsynced = true;
}

static void extended_text(struct sim_script *script, struct buffer *out, const char *text)
{
    parse(out, "", text);
    script->unsynced = true;
    if (sim_chance(300))
        request_describe(out, 'S', "");
    if (sim_chance(150))
        sync(script, out); /* the rest comes in another lease, perhaps */
    run_prepared(script, out, "");
}

static void extended_named(struct sim_script *script, struct buffer *out)
{
    char text[TEXT_SIZE];
    unsigned i = sim_choose(SIM_NAMES);
    script->unsynced = true;
    if (!script->prepared[i] || sim_chance(60)) {
        body(script, text);
        parse(out, names[i], text);
        script->prepared[i] = true;
        if (sim_chance(300))
            request_describe(out, 'S', names[i]);
        if (sim_chance(300))
            return;
    } else if (sim_chance(150)) {
        request_close(out, 'S', names[i]);
        script->prepared[i] = false;
        if (sim_chance(700))
            return;
    }
    if (sim_chance(100))
        request_describe(out, 'S', names[i]);
    run_prepared(script, out, names[i]);
}

static void extended(struct sim_script *script, struct buffer *out)
{
    char text[TEXT_SIZE];
    unsigned count = sim_chance(700) ? 1 : 2 + sim_choose(3);
    while (count-- > 0) {
        if (sim_chance(500)) {
            extended_named(script, out);
        } else {
            body(script, text);
            extended_text(script, out, text);
        }
        if (sim_chance(50))
            bare(out, MESSAGE_FLUSH);
    }
    if (sim_chance(100))
        bare(out, MESSAGE_FLUSH);
    else
        sync(script, out);
}

/* ---- COPY IN ---- */

static void copy_bytes(struct buffer *out)
{
    for (unsigned i = sim_choose(4); i > 0; i--) {
        struct writer writer = writer_begin(out, MESSAGE_COPY_DATA);
        for (unsigned j = sim_choose(300); j > 0; j--)
            writer_uint8(&writer, 'x');
        writer_end(&writer);
    }
    if (sim_chance(850))
        bare(out, MESSAGE_COPY_DONE);
    else
        request_copy_fail(out, "changed my mind");
}

static void copy_in(struct sim_script *script, struct buffer *out)
{
    if (sim_chance(600)) {
        query(script, out, "COPY IN");
        copy_bytes(out);
        return;
    }
    /* A name of its own, so that no other Bind begins a COPY that nobody ends. */
    parse(out, "copy", "COPY IN");
    run_prepared(script, out, "copy");
    if (script->early_sync)
        request_sync(out);
    copy_bytes(out);
    sync(script, out);
    request_close(out, 'S', "copy");
    sync(script, out);
}

/* ---- Units ---- */

static void simple(struct sim_script *script, struct buffer *out)
{
    char text[TEXT_SIZE];
    body(script, text);
    query(script, out, text);
}

/* Several statements in one Query. */
static void simple_many(struct sim_script *script, struct buffer *out)
{
    char whole[4 * TEXT_SIZE] = "";
    char text[TEXT_SIZE], mark[SIM_TOKEN_SIZE];
    bool block = !script->in_block && sim_chance(400);
    unsigned count = 2 + sim_choose(3);
    for (unsigned i = 0; i < count; i++) {
        if (block && i == 0)
            strcpy(text, "BEGIN");
        else if (block && i == count - 1)
            strcpy(text, "COMMIT");
        else
            body(script, text);
        token(script, mark);
        size_t length = strlen(whole);
        snprintf(whole + length, sizeof whole - length, "%s%s /*%s*/", i > 0 ? ";" : "", text,
                 mark);
    }
    request_query(out, whole);
}

static void statement(struct sim_script *script, struct buffer *out)
{
    unsigned choice = sim_choose(100);
    if (choice < 45)
        simple(script, out);
    else if (choice < 55)
        simple_many(script, out);
    else if (choice < 92)
        extended(script, out);
    else if (choice < 99)
        copy_in(script, out);
    else
        request_query(out, "");
}

static void any_text(struct sim_script *script, struct buffer *out, const char *text)
{
    if (sim_chance(700)) {
        query(script, out, text);
    } else {
        extended_text(script, out, text);
        sync(script, out);
    }
}

static void end_block(struct sim_script *script, struct buffer *out)
{
    any_text(script, out, sim_chance(750) ? "COMMIT" : "ROLLBACK");
    script->in_block = false;
}

void sim_script_unit(struct sim_script *script, struct buffer *out)
{
    if (script->unsynced) {
        if (sim_chance(300))
            extended(script, out);
        else
            sync(script, out);
        return;
    }
    if (script->in_block && sim_chance(script->block_is_long ? 150 : 400)) {
        end_block(script, out);
    } else if (!script->in_block && sim_chance(250)) {
        any_text(script, out, "BEGIN");
        script->in_block = true;
    } else if (!script->in_block && script->may_reset && sim_chance(30)) {
        bool all = sim_chance(500);
        query(script, out, all ? "DISCARD ALL" : "DEALLOCATE ALL");
        memset(script->prepared, 0, sizeof script->prepared);
    } else {
        statement(script, out);
    }
}

void sim_script_last_unit(struct sim_script *script, struct buffer *out)
{
    if (script->unsynced)
        sync(script, out);
    if (script->in_block)
        end_block(script, out);
}
