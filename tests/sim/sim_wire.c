/* sim_wire.c: how bytes, ends of file and resets travel. */
#include "sim_wire.h"

#include "sim_random.h"

#include "base/check.h"
#include "base/memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MOST_DESCRIPTORS 4096

/* Both ends; memory goes when both are closed. */
struct wire {
    struct sim_end ends[2];
};

static struct sim_end *descriptors[MOST_DESCRIPTORS];
static int descriptor_limit;
static unsigned open_count;

struct sim_end *sim_wire_new(size_t room)
{
    struct wire *wire = memory_new(struct wire);
    for (int i = 0; i < 2; i++) {
        wire->ends[i].peer = &wire->ends[1 - i];
        wire->ends[i].room = room;
        wire->ends[i].descriptor = -1;
    }
    open_count += 2;
    return &wire->ends[0];
}

unsigned sim_wire_open_count(void)
{
    return open_count;
}

size_t sim_end_read(struct sim_end *end, void *bytes, size_t capacity)
{
    size_t size = buffer_length(&end->in);
    if (size > capacity)
        size = capacity;
    if (size == 0)
        return 0;
    size = sim_size(size);
    memcpy(bytes, buffer_bytes(&end->in), size);
    buffer_consume(&end->in, size);
    return size;
}

int sim_end_write(struct sim_end *end, const void *bytes, size_t size, size_t *taken)
{
    struct sim_end *peer = end->peer;
    *taken = 0;
    if (end->broken || end->finished)
        return EPIPE;
    if (peer->closed) {
        /* What the first send after the peer's close tells depends on how far the reset is. */
        if (sim_chance(500))
            return EPIPE;
        end->broken = true;
        *taken = size;
        return 0;
    }
    size_t length = buffer_length(&peer->in);
    size_t room = length < peer->room ? peer->room - length : 0;
    if (size > room)
        size = room;
    if (size > 0)
        size = sim_chance(900) ? size : sim_size(size);
    buffer_append(&peer->in, bytes, size);
    *taken = size;
    return 0;
}

bool sim_end_is_readable(const struct sim_end *end)
{
    return buffer_length(&end->in) > 0 || end->ended || end->broken;
}

bool sim_end_is_writable(const struct sim_end *end)
{
    return end->broken || end->peer->closed || buffer_length(&end->peer->in) < end->peer->room;
}

void sim_end_finish(struct sim_end *end)
{
    end->finished = true;
    end->peer->ended = true;
}

static void free_when_both_closed(struct sim_end *end)
{
    struct sim_end *peer = end->peer;
    buffer_release(&end->in);
    open_count--;
    if (!peer->closed)
        return;
    struct sim_end *first = end < peer ? end : peer;
    free(container_of(first, struct wire, ends[0]));
}

static void reset_peer(struct sim_end *peer)
{
    peer->broken = true;
    peer->ended = true;
    if (sim_chance(300))
        buffer_clear(&peer->in);
}

void sim_end_close(struct sim_end *end)
{
    check(!end->closed);
    if (buffer_length(&end->in) > 0 && !end->peer->closed)
        reset_peer(end->peer);
    end->closed = true;
    end->peer->ended = true;
    if (end->descriptor >= 0) {
        descriptors[end->descriptor] = NULL;
        end->descriptor = -1;
    }
    free_when_both_closed(end);
}

void sim_end_break(struct sim_end *end)
{
    if (!end->peer->closed)
        reset_peer(end->peer);
    buffer_clear(&end->in);
    sim_end_close(end);
}

int sim_wire_give_descriptor(struct sim_end *end)
{
    int descriptor = 0;
    while (descriptors[descriptor] != NULL)
        descriptor++;
    check(descriptor < MOST_DESCRIPTORS);
    descriptors[descriptor] = end;
    end->descriptor = descriptor;
    if (descriptor >= descriptor_limit)
        descriptor_limit = descriptor + 1;
    return descriptor;
}

struct sim_end *sim_wire_end(int descriptor)
{
    return descriptors[descriptor];
}

int sim_wire_descriptor_limit(void)
{
    return descriptor_limit;
}
