#include "session/void_block.h"

#include "pg/lexer_block.h"
#include "pg/message.h"
#include "pg/reader.h"

#include <string.h>

/* The text of a Query or Parse that is there as a whole; NULL for any other message. */
static const char *void_text(const struct frame *frame, size_t available)
{
    if (available < frame->size || (frame->type != MESSAGE_QUERY && frame->type != MESSAGE_PARSE))
        return NULL;
    struct reader reader;
    reader_init_frame(&reader, frame);
    if (frame->type == MESSAGE_PARSE)
        (void)reader_string(&reader); /* the statement's name */
    const char *sql = reader_string(&reader);
    return reader.failed ? NULL : sql;
}

bool void_block_begins(const struct frame *frame, size_t available)
{
    bool alone = false;
    const char *sql = frame->type == MESSAGE_QUERY ? void_text(frame, available) : NULL;
    return sql != NULL && lexer_block_parse(sql, strlen(sql), &alone) == LEXER_BLOCK_BEGINS &&
           alone;
}

enum void_block_step void_block_take(const struct frame *frame, size_t available)
{
    bool alone = false;
    const char *sql = void_text(frame, available);
    enum lexer_block block =
        sql != NULL ? lexer_block_parse(sql, strlen(sql), &alone) : LEXER_BLOCK_OTHER;
    if (block != LEXER_BLOCK_COMMITS && block != LEXER_BLOCK_ROLLS_BACK)
        return VOID_BLOCK_REFUSES;
    if (frame->type == MESSAGE_QUERY && alone)
        return VOID_BLOCK_ENDS;
    return block == LEXER_BLOCK_ROLLS_BACK ? VOID_BLOCK_PASSES : VOID_BLOCK_BREAKS;
}
