/*
 * fuzz_frame.c: any run of bytes, as from a client and as from a server. The frames that are found
 * lie end to end from the start and never pass the end; and a run that comes in two pieces, with
 * the part of a message kept as a relay keeps it, has the same frames wherever it is cut.
 */
#include "pg/frame.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

typedef enum frame_result finder(const uint8_t *bytes, size_t length, struct frame *frame);

#define MOST_FRAMES 4096
/* Longer runs are cut in one place only, which their first bytes choose. */
#define MOST_CUTS 80

struct found {
    size_t count;
    size_t sizes[MOST_FRAMES];
    uint8_t types[MOST_FRAMES];
    enum frame_result end; /* what came after the last whole frame */
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool right)
{
    if (!right)
        abort();
}

/* Takes whole frames off the bytes; returns how many bytes they were. */
static size_t take(finder *find, const uint8_t *bytes, size_t length, struct found *found)
{
    size_t used = 0;
    struct frame frame;

    while ((found->end = find(bytes + used, length - used, &frame)) == FRAME_WHOLE) {
        require(frame.size >= FRAME_HEADER_SIZE && frame.size <= length - used);
        require(frame.type == bytes[used]);
        require(frame.body == bytes + used + FRAME_HEADER_SIZE);
        if (found->count == MOST_FRAMES)
            break;
        found->sizes[found->count] = frame.size;
        found->types[found->count++] = frame.type;
        used += frame.size;
    }
    require((found->end == FRAME_NOTHING) == (length - used < FRAME_HEADER_SIZE));
    if (found->end == FRAME_PART)
        require(frame.size > length - used);
    return used;
}

static void require_same(const struct found *one, const struct found *other)
{
    require(one->end == other->end && one->count == other->count);
    require(memcmp(one->sizes, other->sizes, one->count * sizeof one->sizes[0]) == 0);
    require(memcmp(one->types, other->types, one->count) == 0);
}

/* The first piece, then what is left of it with the second behind. */
static void take_in_two(finder *find, const uint8_t *bytes, size_t length, size_t cut,
                        const struct found *whole)
{
    static struct found found;
    uint8_t *piece = malloc(length + 1);

    found.count = 0;
    memcpy(piece, bytes, cut);
    size_t used = take(find, piece, cut, &found);
    size_t kept = cut - used;
    memmove(piece, piece + used, kept);
    memcpy(piece + kept, bytes + cut, length - cut);
    take(find, piece, kept + length - cut, &found);
    require_same(whole, &found);
    free(piece);
}

static void run(finder *find, const uint8_t *data, size_t size)
{
    static struct found whole;

    whole.count = 0;
    take(find, data, size, &whole);
    if (size > MOST_CUTS) {
        take_in_two(find, data, size, ((size_t)data[0] << 8 | data[1]) % size, &whole);
        return;
    }
    for (size_t cut = 0; cut <= size; cut++)
        take_in_two(find, data, size, cut, &whole);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* So that no run has more frames than are counted. */
    if (size > MOST_FRAMES * FRAME_HEADER_SIZE)
        return 0;
    run(frame_from_client, data, size);
    run(frame_from_server, data, size);
    return 0;
}
