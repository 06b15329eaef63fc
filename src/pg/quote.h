/* quote.h: strings and names as they stand in SQL text ("Lexical Structure"). */
#ifndef PGSLUICE_PG_QUOTE_H
#define PGSLUICE_PG_QUOTE_H

#include "base/buffer.h"

#include <stdbool.h>

/* A string constant that is right under any standard_conforming_strings. Where the text is not
 * ASCII, its bytes must be of an encoding in which none of a letter's is a quote or backslash. */
void quote_literal(struct buffer *sql, const char *text);
void quote_identifier(struct buffer *sql, const char *name);
/* Means the same under every client_encoding. */
bool quote_is_ascii(const char *text);

#endif
