/* tag.c: the tags of PostgreSQL's command tag list that matter to a session. */
#include "pg/tag.h"

#include <stdbool.h>
#include <string.h>

struct named_tag {
    const char *text;
    size_t length;
    enum tag tag;
};

#define NAMED(text, tag)                                                                           \
    {                                                                                              \
        text, sizeof text - 1, tag                                                                 \
    }

/* What applications say most often comes first. */
static const struct named_tag named_tags[] = {
    NAMED("BEGIN", TAG_BEGIN),
    NAMED("COMMIT", TAG_COMMIT),
    NAMED("ROLLBACK", TAG_ROLLBACK),
    NAMED("SET", TAG_SET),
    NAMED("RESET", TAG_RESET),
    NAMED("DISCARD ALL", TAG_DISCARD_ALL),
    NAMED("DEALLOCATE", TAG_DEALLOCATE),
    NAMED("DEALLOCATE ALL", TAG_DEALLOCATE_ALL),
    NAMED("DO", TAG_DO_OR_CALL),
    NAMED("CALL", TAG_DO_OR_CALL),
    NAMED("PREPARE", TAG_PREPARE),
    NAMED("LISTEN", TAG_LISTEN),
    NAMED("UNLISTEN", TAG_UNLISTEN),
    NAMED("DECLARE CURSOR", TAG_DECLARE_CURSOR),
    NAMED("CLOSE CURSOR", TAG_CLOSE_CURSOR),
    NAMED("CLOSE CURSOR ALL", TAG_CLOSE_CURSOR),
    NAMED("CREATE TABLE", TAG_CREATE_TABLE),
    NAMED("CREATE TABLE AS", TAG_CREATE_TABLE),
    NAMED("SELECT INTO", TAG_CREATE_TABLE),
    NAMED("START TRANSACTION", TAG_BEGIN),
    /* Ends the session's transaction and keeps its settings, as COMMIT does. */
    NAMED("PREPARE TRANSACTION", TAG_COMMIT),
    NAMED("LOAD", TAG_LOAD),
};

static bool starts_with(const char *text, size_t length, const char *start)
{
    size_t start_length = strlen(start);

    return length >= start_length && memcmp(text, start, start_length) == 0;
}

enum tag tag_parse(const char *text, size_t length)
{
    while (length > 0 && text[length - 1] == '\0')
        length--;
    /* A tag that ends in a row count (SELECT, INSERT, UPDATE, FETCH, …) changes no session. */
    if (length == 0 || (text[length - 1] >= '0' && text[length - 1] <= '9'))
        return TAG_OTHER;
    for (size_t i = 0; i < sizeof named_tags / sizeof named_tags[0]; i++) {
        if (named_tags[i].length == length && memcmp(named_tags[i].text, text, length) == 0)
            return named_tags[i].tag;
    }
    if (starts_with(text, length, "CREATE "))
        return TAG_CREATE_OTHER;
    if (starts_with(text, length, "DISCARD "))
        return TAG_DISCARD;
    return TAG_OTHER;
}
