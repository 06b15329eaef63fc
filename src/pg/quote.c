#include "pg/quote.h"

#include <string.h>

/* The text, with each of these letters twice. */
static void quote_doubled(struct buffer *sql, const char *text, const char *letters)
{
    while (*text != '\0') {
        size_t plain = strcspn(text, letters);
        buffer_append(sql, text, plain);
        text += plain;
        if (*text == '\0')
            break;
        buffer_append(sql, text, 1);
        buffer_append(sql, text, 1);
        text++;
    }
}

void quote_literal(struct buffer *sql, const char *text)
{
    buffer_append(sql, "E'", 2);
    quote_doubled(sql, text, "'\\");
    buffer_append(sql, "'", 1);
}

void quote_identifier(struct buffer *sql, const char *name)
{
    buffer_append(sql, "\"", 1);
    quote_doubled(sql, name, "\"");
    buffer_append(sql, "\"", 1);
}

bool quote_is_ascii(const char *text)
{
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text >= 0x80)
            return false;
    }
    return true;
}
