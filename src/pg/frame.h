/*
 * frame.h: finds the next message in a run of bytes (PostgreSQL manual, "Message Flow",
 * "Overview": one type byte, then a length that counts itself and not the type byte).
 * Pure: no state is kept between calls.
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

/*
 * From a client, after login: unknown types are FRAME_BAD_TYPE; lengths are bounded as PostgreSQL's
 * own backend bounds them (10,000 bytes, or 1 GB - 1 for Query, Parse, Bind, FunctionCall,
 * CopyData). The password message counts as unknown.
 */
enum frame_result frame_from_client(const uint8_t *bytes, size_t length, struct frame *frame);
/* From a server, at any time; lengths up to 1 GB - 1, 30,000 for what is always short. */
enum frame_result frame_from_server(const uint8_t *bytes, size_t length, struct frame *frame);

#endif
