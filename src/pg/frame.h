/*
 * frame.h: finds the next message in a run of bytes (PostgreSQL manual, "Message Flow",
 * "Overview": one type byte, then a length that counts itself and not the type byte).
 * Pure: no state is kept between calls. Inline, because every byte run of every relay passes here.
 */
#ifndef PGSLUICE_PG_FRAME_H
#define PGSLUICE_PG_FRAME_H

#include <stddef.h>
#include <stdint.h>

#define FRAME_HEADER_SIZE 5

enum frame_result {
    FRAME_WHOLE,   /* the whole message is there */
    FRAME_PART,    /* the header is there, the body is not complete */
    FRAME_NOTHING, /* fewer than FRAME_HEADER_SIZE bytes: nothing was set but `type`, if any byte */
    FRAME_BAD_TYPE,
    FRAME_BAD_LENGTH,
};

struct frame {
    uint8_t type;
    size_t size;         /* of the whole message, type byte and length word included */
    const uint8_t *body; /* after the header */
};

/* By type byte: how long a body may be, plus one; 0 for types that do not exist. */
extern const uint32_t frame_client_limits[256];
extern const uint32_t frame_server_limits[256];

static inline enum frame_result frame_find(const uint32_t limits[256], const uint8_t *bytes,
                                           size_t length, struct frame *frame)
{
    if (__builtin_expect(length < FRAME_HEADER_SIZE, 0)) {
        if (length > 0)
            frame->type = bytes[0];
        return FRAME_NOTHING;
    }
    uint32_t word =
        (uint32_t)bytes[1] << 24 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 8 | bytes[4];
    uint32_t limit = limits[bytes[0]];
    frame->type = bytes[0];
    /* A length word under 4 wraps to more than any limit. */
    if (__builtin_expect(word - 4 >= limit, 0))
        return limit == 0 ? FRAME_BAD_TYPE : FRAME_BAD_LENGTH;
    frame->size = (size_t)word + 1;
    frame->body = bytes + FRAME_HEADER_SIZE;
    return frame->size <= length ? FRAME_WHOLE : FRAME_PART;
}

/*
 * From a client, after login: unknown types are FRAME_BAD_TYPE; lengths are bounded as PostgreSQL's
 * own backend bounds them (10,000 bytes, or 1 GB - 2 for Query, Parse, Bind, FunctionCall,
 * CopyData). The password message counts as unknown.
 */
static inline enum frame_result frame_from_client(const uint8_t *bytes, size_t length,
                                                  struct frame *frame)
{
    return frame_find(frame_client_limits, bytes, length, frame);
}

/* From a server, at any time; lengths up to 1 GB - 1, 30,000 for what is always short. */
static inline enum frame_result frame_from_server(const uint8_t *bytes, size_t length,
                                                  struct frame *frame)
{
    return frame_find(frame_server_limits, bytes, length, frame);
}

#endif
