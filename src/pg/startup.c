/* startup.c: what PostgreSQL's ProcessStartupPacket accepts is accepted here, and no more. */
#include "pg/startup.h"

#include "base/check.h"
#include "base/memory.h"
#include "pg/message.h"
#include "pg/reader.h"
#include "pg/writer.h"

#include <stdlib.h>
#include <string.h>

/* The word after the length: major and minor version, or one of the request codes. */
#define PROTOCOL_3_0 (3u << 16)
#define CODE_CANCEL (1234u << 16 | 5678u)
#define CODE_SSL (1234u << 16 | 5679u)
#define CODE_GSSENC (1234u << 16 | 5680u)

#define HEADER_SIZE 8 /* length and code */
#define CANCEL_KEY_MIN 4
#define CANCEL_KEY_MAX 256

#define PROTOCOL_OPTION_PREFIX "_pq_."

static void set_bad(struct startup *startup, const char *problem)
{
    pairs_clear(&startup->parameters);
    *startup = (struct startup){.kind = STARTUP_BAD, .problem = problem};
}

static bool is_protocol_option(const char *name)
{
    return strncmp(name, PROTOCOL_OPTION_PREFIX, strlen(PROTOCOL_OPTION_PREFIX)) == 0;
}

/*
 * The next parameter; false at the end of the list: reader_finished() then tells whether the empty
 * name was there and was the packet's last byte.
 */
static bool next_parameter(struct reader *reader, const char **name, const char **value)
{
    *name = reader_string(reader);
    if (**name == '\0')
        return false;
    *value = reader_string(reader);
    return !reader->failed;
}

static void parse_login(struct reader *reader, struct startup *startup)
{
    const char *name;
    const char *value;

    startup->kind = STARTUP_LOGIN;
    while (next_parameter(reader, &name, &value)) {
        if (is_protocol_option(name))
            startup->unknown_protocol_options = true;
        else
            pairs_add(&startup->parameters, name, value);
    }
    if (!reader_finished(reader))
        set_bad(startup, "invalid startup packet layout: expected terminator as last byte");
}

static void parse_cancel(struct reader *reader, struct startup *startup)
{
    startup->cancel_pid = reader_uint32(reader);
    startup->cancel_key_length = reader_left(reader);
    startup->cancel_key = reader_bytes(reader, startup->cancel_key_length);
    startup->kind = STARTUP_CANCEL;
    if (reader->failed || startup->cancel_key_length < CANCEL_KEY_MIN ||
        startup->cancel_key_length > CANCEL_KEY_MAX)
        set_bad(startup, "invalid length of cancel request packet");
}

static void parse_encryption(struct reader *reader, struct startup *startup, enum startup_kind kind)
{
    startup->kind = kind;
    if (!reader_finished(reader))
        set_bad(startup, "invalid length of encryption request packet");
}

static void parse_whole(struct reader *reader, struct startup *startup)
{
    uint32_t code = reader_uint32(reader);

    switch (code) {
    case CODE_CANCEL:
        parse_cancel(reader, startup);
        return;
    case CODE_SSL:
        parse_encryption(reader, startup, STARTUP_SSL);
        return;
    case CODE_GSSENC:
        parse_encryption(reader, startup, STARTUP_GSSENC);
        return;
    default:
        break;
    }
    if (code >> 16 != PROTOCOL_3_0 >> 16) {
        set_bad(startup, "unsupported frontend protocol: only version 3 is supported");
        return;
    }
    startup->minor = code & 0xffff;
    parse_login(reader, startup);
}

void startup_parse(const uint8_t *bytes, size_t length, struct startup *startup)
{
    struct reader reader;

    *startup = (struct startup){.kind = STARTUP_MORE};
    reader_init(&reader, bytes, length);
    uint32_t size = reader_uint32(&reader);
    if (reader.failed)
        return;
    if (size < HEADER_SIZE || size > STARTUP_MAX_SIZE) {
        set_bad(startup, "invalid length of startup packet");
        return;
    }
    if (size > length)
        return;
    startup->size = size;
    reader_init(&reader, bytes + 4, size - 4);
    parse_whole(&reader, startup);
}

void startup_write_login(struct buffer *buffer, const struct pairs *parameters)
{
    struct writer writer = writer_begin(buffer, 0);

    writer_uint32(&writer, PROTOCOL_3_0);
    for (size_t i = 0; i < parameters->count; i++) {
        writer_string(&writer, parameters->items[i].name);
        writer_string(&writer, parameters->items[i].value);
    }
    writer_uint8(&writer, 0);
    writer_end(&writer);
}

void startup_write_cancel(struct buffer *buffer, uint32_t pid, const uint8_t *key,
                          size_t key_length)
{
    struct writer writer = writer_begin(buffer, 0);

    check(key_length >= CANCEL_KEY_MIN && key_length <= CANCEL_KEY_MAX);
    writer_uint32(&writer, CODE_CANCEL);
    writer_uint32(&writer, pid);
    writer_bytes(&writer, key, key_length);
    writer_end(&writer);
}

void startup_write_negotiation(struct buffer *buffer, const uint8_t *packet, size_t size,
                               unsigned minor)
{
    struct buffer names = {0};
    uint32_t count = 0;
    struct reader reader;
    const char *name;
    const char *value;

    check(size >= HEADER_SIZE);
    reader_init(&reader, packet + HEADER_SIZE, size - HEADER_SIZE);
    while (next_parameter(&reader, &name, &value)) {
        if (!is_protocol_option(name))
            continue;
        buffer_append(&names, name, strlen(name) + 1);
        count++;
    }
    struct writer writer = writer_begin(buffer, MESSAGE_NEGOTIATE_PROTOCOL_VERSION);
    /* The manual speaks of the minor version; PostgreSQL sends, and libpq expects, both halves. */
    writer_uint32(&writer, PROTOCOL_3_0 | minor);
    writer_uint32(&writer, count);
    writer_bytes(&writer, names.memory, buffer_length(&names));
    writer_end(&writer);
    buffer_release(&names);
}

/* As isspace() in the C locale, in which PostgreSQL's backend is at that time. */
static bool is_space(char letter)
{
    return letter == ' ' || (letter >= '\t' && letter <= '\r');
}

/* Takes the next word off *options into `word` (room for all of it); false where none is left. */
static bool next_word(const char **options, char *word)
{
    const char *at = *options;
    bool escaped = false;

    while (is_space(*at))
        at++;
    if (*at == '\0')
        return false;
    for (; *at != '\0' && (escaped || !is_space(*at)); at++) {
        if (*at == '\\' && !escaped) {
            escaped = true;
            continue;
        }
        escaped = false;
        *word++ = *at;
    }
    *word = '\0';
    *options = at;
    return true;
}

/* "name=value"; changes the text. */
static bool set_option(char *text, struct pairs *pairs, const char **problem)
{
    char *equals = strchr(text, '=');

    if (equals == NULL || equals == text) {
        *problem = "a setting in the startup parameter \"options\" is not of the form name=value";
        return false;
    }
    *equals = '\0';
    for (char *letter = text; *letter != '\0'; letter++) {
        if (*letter == '-')
            *letter = '_';
    }
    pairs_set(pairs, text, equals + 1);
    return true;
}

static bool split_words(const char *options, char *word, struct pairs *pairs, const char **problem)
{
    while (next_word(&options, word)) {
        char *setting = word + 2;
        if (strcmp(word, "-c") == 0) {
            if (!next_word(&options, word)) {
                *problem = "\"-c\" in the startup parameter \"options\" requires a value";
                return false;
            }
            setting = word;
        } else if (strncmp(word, "-c", 2) != 0 && strncmp(word, "--", 2) != 0) {
            *problem = "only \"-c name=value\" and \"--name=value\" are supported in the startup "
                       "parameter \"options\"";
            return false;
        }
        if (!set_option(setting, pairs, problem))
            return false;
    }
    return true;
}

bool startup_split_options(const char *options, struct pairs *pairs, const char **problem)
{
    char *word = memory_zeroed(strlen(options) + 1);
    bool right = split_words(options, word, pairs, problem);

    free(word);
    return right;
}
