/*
 * A client of the admin console: simple queries, one at a time, that the rooms above answer
 * (service_upward). The extended protocol is told that it is not there.
 */
#include "base/check.h"
#include "base/memory.h"
#include "pg/frame.h"
#include "pg/message.h"
#include "pg/reply.h"
#include "pg/sqlstate.h"
#include "session/client.h"
#include "session/worker.h"

#include <stdlib.h>

#define CONSOLE_MAX_QUERY ((size_t)65536)

static bool console_send_ready(struct client *client, struct buffer *reply)
{
    reply_ready(reply, MESSAGE_IDLE);
    bool sent = client_send(client, reply);
    buffer_release(reply);
    return sent;
}

static void console_unsupported(struct client *client)
{
    struct buffer reply = {0};
    reply_error(&reply, "ERROR", SQLSTATE_FEATURE_NOT_SUPPORTED,
                "the admin console takes simple queries only", NULL, NULL);
    client->skipping = true;
    (void)client_send(client, &reply);
    buffer_release(&reply);
}

static void console_message(struct client *client, const struct frame *frame)
{
    if (frame->type == MESSAGE_TERMINATE) {
        client_close(client, "client hung up");
        return;
    }
    if (frame->type == MESSAGE_SYNC) {
        struct buffer reply = {0};
        client->skipping = false;
        (void)console_send_ready(client, &reply);
        return;
    }
    if (client->skipping)
        return;
    if (frame->type != MESSAGE_QUERY) {
        console_unsupported(client);
        return;
    }
    size_t length = frame->size - FRAME_HEADER_SIZE;
    if (length == 0 || frame->body[length - 1] != '\0') {
        client_fatal(client, SQLSTATE_PROTOCOL_VIOLATION, "invalid string in message", NULL, NULL);
        return;
    }
    client->busy = true; /* until client_console_finish */
    client->worker->service->upward->console_query(client, (const char *)frame->body);
}

/* The next message; false where there is none. */
static bool console_take(struct client *client)
{
    struct frame frame;
    enum frame_result result =
        frame_from_client(buffer_bytes(client->input), buffer_length(client->input), &frame);
    if (result == FRAME_NOTHING || (result == FRAME_PART && frame.size <= CONSOLE_MAX_QUERY))
        return false;
    if (result != FRAME_WHOLE) {
        client_fatal(client, SQLSTATE_PROTOCOL_VIOLATION, "invalid message", NULL, NULL);
        return false;
    }
    /* It may close the client, and its input: its bytes are copied first. */
    struct buffer message = {0};
    buffer_append(&message, buffer_bytes(client->input), frame.size);
    frame.body = buffer_bytes(&message) + FRAME_HEADER_SIZE;
    buffer_consume(client->input, frame.size);
    console_message(client, &frame);
    buffer_release(&message);
    return true;
}

/* A query that is answered at once calls this from within: the loop that runs goes on. */
void client_console_resume(struct client *client)
{
    if (client->resume_soon)
        return;
    client->resume_soon = true;
    while (client->state == CLIENT_CONSOLE && !client->busy && client->input != NULL &&
           console_take(client))
        continue;
    client->resume_soon = false;
}

void client_console_readable(struct client *client)
{
    size_t size;
    struct worker *worker = client->worker;
    switch (stream_read(&client->stream, worker->scratch, WORKER_READ_SIZE, &size)) {
    case STREAM_DONE:
        break;
    case STREAM_BLOCKED:
        return;
    case STREAM_END:
    case STREAM_FAILED:
        client_close(client, "client closed the connection");
        return;
    }
    if (client->input == NULL)
        client->input = memory_new(struct buffer);
    buffer_append(client->input, worker->scratch, size);
    if (buffer_length(client->input) > 2 * CONSOLE_MAX_QUERY) {
        client_fatal(client, SQLSTATE_PROTOCOL_VIOLATION, "too many bytes are waiting", NULL, NULL);
        return;
    }
    client_console_resume(client);
}

void client_console_finish(struct worker *worker, uint32_t slot, uint32_t secret,
                           struct buffer *replies)
{
    struct client *client = worker_slot_client(worker, slot);
    if (client == NULL || client->secret != secret || client->state != CLIENT_CONSOLE)
        return;
    client->busy = false;
    if (client_send(client, replies))
        client_console_resume(client);
}
