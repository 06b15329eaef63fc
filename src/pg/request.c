/* request.c: "Message Formats" in the PostgreSQL manual, the frontend's side. */
#include "pg/request.h"

#include "pg/message.h"
#include "pg/writer.h"

#include <string.h>

static void write_empty(struct buffer *buffer, uint8_t type)
{
    struct writer writer = writer_begin(buffer, type);

    writer_end(&writer);
}

static void write_string(struct buffer *buffer, uint8_t type, const char *string)
{
    struct writer writer = writer_begin(buffer, type);

    writer_string(&writer, string);
    writer_end(&writer);
}

static void write_target(struct buffer *buffer, uint8_t type, char what, const char *name)
{
    struct writer writer = writer_begin(buffer, type);

    writer_uint8(&writer, (uint8_t)what);
    writer_string(&writer, name);
    writer_end(&writer);
}

void request_query(struct buffer *buffer, const char *sql)
{
    write_string(buffer, MESSAGE_QUERY, sql);
}

void request_parse(struct buffer *buffer, const char *name, const uint8_t *content, size_t length)
{
    struct writer writer = writer_begin(buffer, MESSAGE_PARSE);

    writer_string(&writer, name);
    writer_bytes(&writer, content, length);
    writer_end(&writer);
}

void request_close(struct buffer *buffer, char what, const char *name)
{
    write_target(buffer, MESSAGE_CLOSE, what, name);
}

void request_describe(struct buffer *buffer, char what, const char *name)
{
    write_target(buffer, MESSAGE_DESCRIBE, what, name);
}

void request_bind(struct buffer *buffer, const char *portal, const char *statement)
{
    struct writer writer = writer_begin(buffer, MESSAGE_BIND);

    writer_string(&writer, portal);
    writer_string(&writer, statement);
    writer_uint16(&writer, 0); /* formats of parameters, parameters, formats of results */
    writer_uint16(&writer, 0);
    writer_uint16(&writer, 0);
    writer_end(&writer);
}

void request_flush(struct buffer *buffer)
{
    write_empty(buffer, MESSAGE_FLUSH);
}

void request_sync(struct buffer *buffer)
{
    write_empty(buffer, MESSAGE_SYNC);
}

void request_copy_fail(struct buffer *buffer, const char *reason)
{
    write_string(buffer, MESSAGE_COPY_FAIL, reason);
}

void request_terminate(struct buffer *buffer)
{
    write_empty(buffer, MESSAGE_TERMINATE);
}

void request_password(struct buffer *buffer, const char *password)
{
    write_string(buffer, MESSAGE_PASSWORD, password);
}

void request_sasl_initial(struct buffer *buffer, const char *mechanism, const char *data)
{
    struct writer writer = writer_begin(buffer, MESSAGE_PASSWORD);
    size_t length = strlen(data);

    writer_string(&writer, mechanism);
    writer_uint32(&writer, (uint32_t)length);
    writer_bytes(&writer, data, length);
    writer_end(&writer);
}

void request_sasl_response(struct buffer *buffer, const char *data)
{
    struct writer writer = writer_begin(buffer, MESSAGE_PASSWORD);

    writer_bytes(&writer, data, strlen(data));
    writer_end(&writer);
}
