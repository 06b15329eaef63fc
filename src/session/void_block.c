#include "session/void_block.h"

#include "pg/message.h"

#include <string.h>
#include <strings.h>

/* A text that is read word by word. */
struct void_text {
    const char *at, *end;
};

static bool void_is_blank(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r';
}

static bool void_is_letter(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
}

/* The text of a Query or Parse that is there as a whole; false for any other message. */
static bool void_text_of(const struct frame *frame, size_t available, struct void_text *text)
{
    if (available < frame->size || frame->size <= FRAME_HEADER_SIZE)
        return false;
    const char *body = (const char *)frame->body, *end = body + frame->size - FRAME_HEADER_SIZE;
    if (frame->type == MESSAGE_PARSE) {
        const char *name_end = memchr(body, '\0', (size_t)(end - body));
        body = name_end != NULL ? name_end + 1 : end;
    } else if (frame->type != MESSAGE_QUERY) {
        return false;
    }
    const char *zero = memchr(body, '\0', (size_t)(end - body));
    *text = (struct void_text){body, zero != NULL ? zero : end};
    return zero != NULL;
}

static void void_skip_blanks(struct void_text *text)
{
    while (text->at < text->end && void_is_blank(*text->at))
        text->at++;
}

/* Takes the word, where it stands there. */
static bool void_takes(struct void_text *text, const char *word)
{
    size_t length = strlen(word);
    void_skip_blanks(text);
    if ((size_t)(text->end - text->at) < length || strncasecmp(text->at, word, length) != 0 ||
        (text->at + length < text->end && void_is_letter(text->at[length])))
        return false;
    text->at += length;
    return true;
}

/* Nothing is left but a semicolon. */
static bool void_is_over(struct void_text *text)
{
    void_skip_blanks(text);
    if (text->at < text->end && *text->at == ';')
        text->at++;
    void_skip_blanks(text);
    return text->at == text->end;
}

bool void_block_begins(const struct frame *frame, size_t available)
{
    struct void_text text;
    if (frame->type != MESSAGE_QUERY || !void_text_of(frame, available, &text))
        return false;
    if (!void_takes(&text, "BEGIN") &&
        !(void_takes(&text, "START") && void_takes(&text, "TRANSACTION")))
        return false;
    /* Modes of the transaction: words with commas between them. */
    while (text.at < text.end &&
           (void_is_letter(*text.at) || void_is_blank(*text.at) || *text.at == ','))
        text.at++;
    return void_is_over(&text);
}

enum void_block_step void_block_take(const struct frame *frame, size_t available)
{
    struct void_text text;
    if (!void_text_of(frame, available, &text))
        return VOID_BLOCK_REFUSES;
    bool rolls_back = void_takes(&text, "ROLLBACK") || void_takes(&text, "ABORT");
    if (!rolls_back && !void_takes(&text, "COMMIT") && !void_takes(&text, "END"))
        return VOID_BLOCK_REFUSES;
    if (!void_takes(&text, "WORK"))
        (void)void_takes(&text, "TRANSACTION");
    if (void_takes(&text, "TO")) /* a savepoint that there cannot be */
        return VOID_BLOCK_REFUSES;
    if (frame->type == MESSAGE_QUERY && void_is_over(&text))
        return VOID_BLOCK_ENDS;
    return rolls_back ? VOID_BLOCK_PASSES : VOID_BLOCK_BREAKS;
}
