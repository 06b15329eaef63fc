/*
 * reply.h: messages of a backend that pgsluice says itself, appended to a buffer.
 */
#ifndef PGSLUICE_PG_REPLY_H
#define PGSLUICE_PG_REPLY_H

#include "base/buffer.h"

#include <stddef.h>
#include <stdint.h>

void reply_authentication_ok(struct buffer *buffer);
void reply_authentication_cleartext(struct buffer *buffer);
void reply_authentication_md5(struct buffer *buffer, const uint8_t salt[4]);
/* Offers SCRAM-SHA-256. */
void reply_authentication_sasl(struct buffer *buffer);
void reply_authentication_sasl_continue(struct buffer *buffer, const char *data);
void reply_authentication_sasl_final(struct buffer *buffer, const char *data);
void reply_backend_key(struct buffer *buffer, uint32_t pid, uint32_t secret);
void reply_parameter_status(struct buffer *buffer, const char *name, const char *value);
void reply_ready(struct buffer *buffer, uint8_t transaction_status);
/* severity is "ERROR", "FATAL"; detail and hint may be NULL. */
void reply_error(struct buffer *buffer, const char *severity, const char *sqlstate,
                 const char *message, const char *detail, const char *hint);
void reply_notice(struct buffer *buffer, const char *severity, const char *sqlstate,
                  const char *message);
void reply_command_complete(struct buffer *buffer, const char *tag);

/* Type OIDs of result columns. */
#define REPLY_TEXT 25
#define REPLY_INT4 23
#define REPLY_INT8 20

struct reply_column {
    const char *name;
    uint32_t type; /* REPLY_TEXT, … */
};

void reply_row_description(struct buffer *buffer, const struct reply_column *columns, size_t count);
/* Text format; a NULL value is SQL's NULL. */
void reply_data_row(struct buffer *buffer, const char *const *values, size_t count);

#endif
