/*
 * reader.h: typed reads from the body of one message. A read past the end, or a string without its
 * zero byte, sets `failed` and answers 0, "" or NULL from then on; check `failed` (or
 * reader_finished) once at the end. Nothing is copied: strings point into the message.
 */
#ifndef PGSLUICE_PG_READER_H
#define PGSLUICE_PG_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct reader {
    const uint8_t *at;
    const uint8_t *end;
    bool failed;
};

struct frame;

void reader_init(struct reader *reader, const uint8_t *bytes, size_t length);
/* Over the body of a whole frame. */
void reader_init_frame(struct reader *reader, const struct frame *frame);
uint8_t reader_uint8(struct reader *reader);
uint16_t reader_uint16(struct reader *reader);
uint32_t reader_uint32(struct reader *reader);
const char *reader_string(struct reader *reader);
const uint8_t *reader_bytes(struct reader *reader, size_t length);
size_t reader_left(const struct reader *reader);
/* True where nothing failed and exactly all bytes were read. */
bool reader_finished(const struct reader *reader);

#endif
