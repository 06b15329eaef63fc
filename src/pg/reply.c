/* reply.c: "Message Formats" in the PostgreSQL manual, the backend's side. */
#include "pg/reply.h"

#include "base/check.h"
#include "pg/message.h"
#include "pg/writer.h"

#include <string.h>

/* The word after an Authentication message's header. */
enum authentication {
    AUTHENTICATION_OK = 0,
    AUTHENTICATION_CLEARTEXT = 3,
    AUTHENTICATION_MD5 = 5,
    AUTHENTICATION_SASL = 10,
    AUTHENTICATION_SASL_CONTINUE = 11,
    AUTHENTICATION_SASL_FINAL = 12,
};

static void write_authentication(struct buffer *buffer, enum authentication request,
                                 const void *data, size_t length)
{
    struct writer writer = writer_begin(buffer, MESSAGE_AUTHENTICATION);

    writer_uint32(&writer, request);
    writer_bytes(&writer, data, length);
    writer_end(&writer);
}

void reply_authentication_ok(struct buffer *buffer)
{
    write_authentication(buffer, AUTHENTICATION_OK, NULL, 0);
}

void reply_authentication_cleartext(struct buffer *buffer)
{
    write_authentication(buffer, AUTHENTICATION_CLEARTEXT, NULL, 0);
}

void reply_authentication_md5(struct buffer *buffer, const uint8_t salt[4])
{
    write_authentication(buffer, AUTHENTICATION_MD5, salt, 4);
}

void reply_authentication_sasl(struct buffer *buffer)
{
    /* A list of names that an empty name ends: the literal's own zero byte is that one. */
    static const char mechanisms[] = "SCRAM-SHA-256\0";

    write_authentication(buffer, AUTHENTICATION_SASL, mechanisms, sizeof mechanisms);
}

void reply_authentication_sasl_continue(struct buffer *buffer, const char *data)
{
    write_authentication(buffer, AUTHENTICATION_SASL_CONTINUE, data, strlen(data));
}

void reply_authentication_sasl_final(struct buffer *buffer, const char *data)
{
    write_authentication(buffer, AUTHENTICATION_SASL_FINAL, data, strlen(data));
}

void reply_backend_key(struct buffer *buffer, uint32_t pid, uint32_t secret)
{
    struct writer writer = writer_begin(buffer, MESSAGE_BACKEND_KEY_DATA);

    writer_uint32(&writer, pid);
    writer_uint32(&writer, secret);
    writer_end(&writer);
}

void reply_parameter_status(struct buffer *buffer, const char *name, const char *value)
{
    struct writer writer = writer_begin(buffer, MESSAGE_PARAMETER_STATUS);

    writer_string(&writer, name);
    writer_string(&writer, value);
    writer_end(&writer);
}

void reply_ready(struct buffer *buffer, uint8_t transaction_status)
{
    struct writer writer = writer_begin(buffer, MESSAGE_READY_FOR_QUERY);

    writer_uint8(&writer, transaction_status);
    writer_end(&writer);
}

/* One field of an ErrorResponse or NoticeResponse; nothing where there is no value. */
static void write_field(struct writer *writer, char field, const char *value)
{
    if (value == NULL)
        return;
    writer_uint8(writer, (uint8_t)field);
    writer_string(writer, value);
}

static void write_fields(struct buffer *buffer, uint8_t type, const char *severity,
                         const char *sqlstate, const char *message, const char *detail,
                         const char *hint)
{
    struct writer writer = writer_begin(buffer, type);

    write_field(&writer, 'S', severity);
    write_field(&writer, 'V', severity);
    write_field(&writer, 'C', sqlstate);
    write_field(&writer, 'M', message);
    write_field(&writer, 'D', detail);
    write_field(&writer, 'H', hint);
    writer_uint8(&writer, 0);
    writer_end(&writer);
}

void reply_error(struct buffer *buffer, const char *severity, const char *sqlstate,
                 const char *message, const char *detail, const char *hint)
{
    write_fields(buffer, MESSAGE_ERROR_RESPONSE, severity, sqlstate, message, detail, hint);
}

void reply_notice(struct buffer *buffer, const char *severity, const char *sqlstate,
                  const char *message)
{
    write_fields(buffer, MESSAGE_NOTICE_RESPONSE, severity, sqlstate, message, NULL, NULL);
}

void reply_command_complete(struct buffer *buffer, const char *tag)
{
    struct writer writer = writer_begin(buffer, MESSAGE_COMMAND_COMPLETE);

    writer_string(&writer, tag);
    writer_end(&writer);
}

/* pg_type.typlen: -1 stands for a variable length. */
static uint16_t type_length(uint32_t type)
{
    switch (type) {
    case REPLY_INT4:
        return 4;
    case REPLY_INT8:
        return 8;
    default:
        return UINT16_MAX;
    }
}

void reply_row_description(struct buffer *buffer, const struct reply_column *columns, size_t count)
{
    struct writer writer = writer_begin(buffer, MESSAGE_ROW_DESCRIPTION);

    check(count <= INT16_MAX);
    writer_uint16(&writer, (uint16_t)count);
    for (size_t i = 0; i < count; i++) {
        writer_string(&writer, columns[i].name);
        writer_uint32(&writer, 0); /* of no table */
        writer_uint16(&writer, 0); /* nor a column of it */
        writer_uint32(&writer, columns[i].type);
        writer_uint16(&writer, type_length(columns[i].type));
        writer_uint32(&writer, UINT32_MAX); /* no type modifier: -1 */
        writer_uint16(&writer, 0);          /* text format */
    }
    writer_end(&writer);
}

void reply_data_row(struct buffer *buffer, const char *const *values, size_t count)
{
    struct writer writer = writer_begin(buffer, MESSAGE_DATA_ROW);

    check(count <= INT16_MAX);
    writer_uint16(&writer, (uint16_t)count);
    for (size_t i = 0; i < count; i++) {
        if (values[i] == NULL) {
            writer_uint32(&writer, UINT32_MAX); /* NULL: length -1 */
            continue;
        }
        size_t length = strlen(values[i]);
        writer_uint32(&writer, (uint32_t)length);
        writer_bytes(&writer, values[i], length);
    }
    writer_end(&writer);
}
