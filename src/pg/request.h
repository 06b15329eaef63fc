/* request.h: messages of a frontend that pgsluice sends to servers, appended to a buffer. */
#ifndef PGSLUICE_PG_REQUEST_H
#define PGSLUICE_PG_REQUEST_H

#include "base/buffer.h"

#include <stddef.h>
#include <stdint.h>

void request_query(struct buffer *buffer, const char *sql);
/* `content` is a Parse message's body after the name: query, zero byte, count, type OIDs. */
void request_parse(struct buffer *buffer, const char *name, const uint8_t *content, size_t length);
/* what: 'S' statement, 'P' portal */
void request_close(struct buffer *buffer, char what, const char *name);
void request_describe(struct buffer *buffer, char what, const char *name);
/* Parameters: none. */
void request_bind(struct buffer *buffer, const char *portal, const char *statement);
void request_flush(struct buffer *buffer);
void request_sync(struct buffer *buffer);
void request_copy_fail(struct buffer *buffer, const char *reason);
void request_terminate(struct buffer *buffer);
void request_password(struct buffer *buffer, const char *password);
void request_sasl_initial(struct buffer *buffer, const char *mechanism, const char *data);
void request_sasl_response(struct buffer *buffer, const char *data);

#endif
