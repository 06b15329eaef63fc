#include "config/problems.h"

#include <stdarg.h>

#define LINE_SIZE 2048

static void write_line(struct problems *problems, const struct place *place, const char *severity,
                       const char *where, const char *text)
{
    char line[LINE_SIZE];
    char number[16] = "";
    if (place->line > 0)
        snprintf(number, sizeof(number), ":%u", place->line);
    snprintf(line, sizeof(line), "%s%s: %s%s%s%s", place->file, number, severity,
             where != NULL ? where : "", where != NULL ? ": " : "", text);
    for (char *byte = line; *byte != '\0'; byte++) {
        if ((unsigned char)*byte < ' ' || *byte == '\x7f')
            *byte = '?';
    }
    fprintf(problems->out, "%s\n", line);
}

void problems_error(struct problems *problems, const struct place *place, const char *where,
                    const char *format, ...)
{
    char text[LINE_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    problems->errors++;
    write_line(problems, place, "", where, text);
}

void problems_warning(struct problems *problems, const struct place *place, const char *where,
                      const char *format, ...)
{
    char text[LINE_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    write_line(problems, place, "warning: ", where, text);
}
