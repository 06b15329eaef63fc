#include "base/escape.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* The length of the valid UTF-8 character at `text`, which ends in a zero byte; 0 where none is. */
static size_t utf8_character(const uint8_t *text)
{
    uint8_t first = text[0];
    if (first < 0x80) {
        return 1;
    }
    size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
    if (first < 0xC2 || first > 0xF4) {
        return 0;
    }
    for (size_t i = 1; i < length; i++) {
        if ((text[i] & 0xC0) != 0x80) {
            return 0;
        }
    }
    uint8_t second = text[1];
    bool longer_than_needed = (first == 0xE0 && second < 0xA0) || (first == 0xF0 && second < 0x90);
    bool surrogate = first == 0xED && second >= 0xA0;
    bool too_high = first == 0xF4 && second >= 0x90;
    return longer_than_needed || surrogate || too_high ? 0 : length;
}

/* C0 and DEL, and C1 (U+0080 to U+009F), which some terminals obey too. */
static bool is_control(const uint8_t *text)
{
    return text[0] < 0x20 || text[0] == 0x7F || (text[0] == 0xC2 && text[1] < 0xA0);
}

static size_t escape_byte(char out[ESCAPE_GROWTH + 1], uint8_t byte)
{
    switch (byte) {
    case '\n':
        strcpy(out, "\\n");
        return 2;
    case '\r':
        strcpy(out, "\\r");
        return 2;
    case '\t':
        strcpy(out, "\\t");
        return 2;
    default:
        snprintf(out, ESCAPE_GROWTH + 1, "\\x%02x", byte);
        return ESCAPE_GROWTH;
    }
}

size_t escape_line(char *out, size_t capacity, const char *text)
{
    size_t written = 0;
    const uint8_t *next = (const uint8_t *)text;
    while (*next != '\0') {
        char escaped[ESCAPE_GROWTH + 1];
        const char *piece = (const char *)next;
        size_t used = utf8_character(next);
        size_t size = used;
        if (used == 0 || is_control(next)) {
            used = 1;
            size = escape_byte(escaped, *next);
            piece = escaped;
        }
        if (written + size >= capacity) {
            break;
        }
        memcpy(out + written, piece, size);
        written += size;
        next += used;
    }
    if (capacity > 0) {
        out[written] = '\0';
    }
    return written;
}
