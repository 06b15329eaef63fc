/* sim_stream.c: stands in for src/io/stream.c and what belongs to it. */
#include "sim_stream.h"

#include "sim_loop.h"
#include "sim_random.h"
#include "sim_wire.h"

#include "base/check.h"
#include "base/memory.h"
#include "io/loop.h"
#include "io/stream.h"
#include "io/stream_transport.h"

#include <errno.h>
#include <stdlib.h>

struct stream_output {
    struct buffer kept;
    struct address address; /* while connecting */
};

static const struct sim_network *network;

void sim_stream_use_network(const struct sim_network *new_network)
{
    network = new_network;
}

static struct sim_end *end_of(const struct stream *stream)
{
    return sim_wire_end(stream->descriptor);
}

/* The transport's functions are not called: that it is there says that the stream is open. */
static const struct stream_transport transport;

static void set_up(struct stream *stream, struct loop *loop, int descriptor,
                   const struct stream_handler *handler)
{
    check(sim_loop_current() == loop);
    *stream = (struct stream){
        .loop = loop, .handler = handler, .transport = &transport, .descriptor = descriptor};
    end_of(stream)->stream = stream;
}

void stream_set_options(int descriptor, const struct stream_options *options)
{
    (void)descriptor, (void)options;
}

void stream_open(struct stream *stream, struct loop *loop, int descriptor,
                 const struct stream_handler *handler)
{
    set_up(stream, loop, descriptor, handler);
}

int stream_connect(struct stream *stream, struct loop *loop, const struct address *address,
                   const struct stream_options *options, const struct stream_handler *handler)
{
    (void)options;
    *stream = (struct stream){.descriptor = -1};
    int error = network->fail_at_once();
    if (error != 0)
        return error;
    unsigned room = network->rooms[0] + sim_choose(network->rooms[1] - network->rooms[0] + 1);
    int descriptor = sim_wire_give_descriptor(sim_wire_new(room));
    set_up(stream, loop, descriptor, handler);
    stream->connecting = true;
    stream->output = memory_new(struct stream_output);
    stream->output->address = *address;
    return 0;
}

static void output_free(struct stream *stream)
{
    if (stream->output == NULL)
        return;
    buffer_release(&stream->output->kept);
    free(stream->output);
    stream->output = NULL;
}

void stream_close(struct stream *stream)
{
    if (!stream_is_open(stream))
        return;
    check(stream->loop == NULL || stream->loop == sim_loop_current());
    struct sim_end *end = end_of(stream);
    bool was_connecting = stream->connecting;
    output_free(stream);
    end->stream = NULL;
    if (was_connecting) /* nobody holds the other end */
        sim_end_close(end->peer);
    sim_end_close(end);
    stream->loop = NULL;
    stream->descriptor = -1;
    stream->transport = NULL;
    stream->connecting = false;
}

bool stream_is_open(const struct stream *stream)
{
    return stream->transport != NULL;
}

static enum stream_result fail(struct stream *stream, int error)
{
    stream->error = error;
    return STREAM_FAILED;
}

enum stream_result stream_read(struct stream *stream, void *bytes, size_t capacity, size_t *size)
{
    check(stream_is_open(stream) && capacity > 0 && stream->loop == sim_loop_current());
    struct sim_end *end = end_of(stream);
    *size = sim_end_read(end, bytes, capacity);
    if (*size > 0)
        return STREAM_DONE;
    if (end->broken && !(end->ended && stream->error != 0)) {
        end->broken = false;
        end->ended = true;
        end->finished = true;
        return fail(stream, ECONNRESET);
    }
    if (end->ended)
        return STREAM_END;
    return stream->error != 0 ? STREAM_FAILED : STREAM_BLOCKED;
}

static void keep(struct stream *stream, const struct iovec *parts, int count, size_t sent)
{
    if (stream->output == NULL)
        stream->output = memory_new(struct stream_output);
    for (int i = 0; i < count; i++) {
        size_t skipped = sent < parts[i].iov_len ? sent : parts[i].iov_len;
        sent -= skipped;
        buffer_append(&stream->output->kept, (const char *)parts[i].iov_base + skipped,
                      parts[i].iov_len - skipped);
    }
}

enum stream_result stream_write_vector(struct stream *stream, const struct iovec *parts, int count)
{
    check(stream->loop == sim_loop_current() && !stream->connecting);
    if (stream->error != 0)
        return STREAM_FAILED;
    if (stream->output != NULL) {
        keep(stream, parts, count, 0);
        return STREAM_BLOCKED;
    }
    size_t sent = 0;
    for (int i = 0; i < count; i++) {
        size_t taken;
        int error = sim_end_write(end_of(stream), parts[i].iov_base, parts[i].iov_len, &taken);
        if (error != 0)
            return fail(stream, error);
        sent += taken;
        if (taken < parts[i].iov_len) {
            keep(stream, parts, count, sent);
            return STREAM_BLOCKED;
        }
    }
    return STREAM_DONE;
}

enum stream_result stream_write(struct stream *stream, const void *bytes, size_t size)
{
    struct iovec part = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = size};
    return stream_write_vector(stream, &part, 1);
}

bool stream_is_blocked(const struct stream *stream)
{
    return stream->output != NULL && !stream->connecting;
}

size_t stream_kept_size(const struct stream *stream)
{
    return stream->output != NULL ? buffer_length(&stream->output->kept) : 0;
}

bool stream_is_quiet(struct stream *stream)
{
    check(stream_is_open(stream));
    return !sim_end_is_readable(end_of(stream));
}

bool stream_peer(const struct stream *stream, struct address *peer)
{
    return address_parse_numeric("10.9.9.9", (unsigned)stream->descriptor + 1, peer);
}

bool stream_finish(struct stream *stream)
{
    if (stream_is_blocked(stream))
        return true;
    struct sim_end *end = end_of(stream);
    if (end->broken)
        return sim_chance(500);
    sim_end_finish(end);
    return true;
}

void stream_pause(struct stream *stream)
{
    stream->paused = true;
}

void stream_resume(struct stream *stream)
{
    stream->paused = false;
}

void stream_detach(struct stream *stream)
{
    check(stream->loop == sim_loop_current() && stream->loop != NULL && !stream->connecting);
    stream->loop = NULL;
}

void stream_attach(struct stream *stream, struct loop *loop)
{
    check(stream_is_open(stream) && stream->loop == NULL && loop == sim_loop_current());
    stream->loop = loop;
    end_of(stream)->stream = stream;
}

/* ---- Events ---- */

struct loop *sim_stream_loop(const struct stream *stream)
{
    return stream->loop;
}

bool sim_stream_wants_read(const struct stream *stream)
{
    return !stream->paused && !stream->connecting &&
           (sim_end_is_readable(end_of(stream)) || stream->error != 0);
}

bool sim_stream_wants_write(const struct stream *stream)
{
    return stream_is_blocked(stream) && sim_end_is_writable(end_of(stream));
}

bool sim_stream_wants_connect(const struct stream *stream)
{
    return stream->connecting && network->answer(&stream->output->address) != SIM_CONNECT_SILENT;
}

void sim_stream_read_event(struct stream *stream)
{
    stream->handler->on_readable(stream);
}

void sim_stream_write_event(struct stream *stream)
{
    struct buffer *kept = &stream->output->kept;
    size_t taken;
    int error = sim_end_write(end_of(stream), buffer_bytes(kept), buffer_length(kept), &taken);
    if (error != 0) {
        output_free(stream);
        stream->error = error;
        stream->paused = false;
        return; /* wants_read says the rest */
    }
    buffer_consume(kept, taken);
    if (buffer_length(kept) > 0)
        return;
    output_free(stream);
    stream->handler->on_drained(stream);
}

void sim_stream_connect_event(struct stream *stream)
{
    struct address address = stream->output->address;
    struct sim_end *end = end_of(stream);
    if (network->answer(&address) == SIM_CONNECT_ACCEPTED) {
        output_free(stream);
        stream->connecting = false;
        network->accept(&address, end->peer);
        stream->handler->on_connected(stream, 0);
    } else {
        output_free(stream);
        stream->handler->on_connected(stream, ECONNREFUSED);
    }
}
