/*
 * client_text.h: what the text of a client's statement tells ahead of its running, where that is
 * too late afterwards: it pins the client, needs replies held back (deny.h), or is refused.
 * Worker's thread; the client leases, in a mode other than session.
 */
#ifndef PGSLUICE_SESSION_CLIENT_TEXT_H
#define PGSLUICE_SESSION_CLIENT_TEXT_H

#include <stdbool.h>
#include <stddef.h>

struct batch;
struct client;
struct failure;
struct server_undo;
struct statement;

enum client_text_answer {
    CLIENT_TEXT_GO,
    CLIENT_TEXT_WAIT,   /* replies must have come first: keep the message */
    CLIENT_TEXT_REFUSED /* *refusal says why; one reference for the caller */
};

/* What the caller has found already in a simple query. */
struct client_text {
    unsigned changes;    /* lexer_changes() */
    bool names_settings; /* lexer_may_name_settings() */
    bool hides_setting;  /* it may set what it does not name */
};

/* A simple query. */
enum client_text_answer client_text_query(struct client *client, struct batch *batch,
                                          const char *sql, size_t length,
                                          const struct client_text *known, struct failure **refusal)
    __attribute__((warn_unused_result));
/* The rest of a query is too long to be kept, and goes by unread. */
void client_text_unread(struct client *client, struct batch *batch);
/* A statement of that kind has run: its client is pinned, or loses what it has set with the server
 * connection. */
void client_text_has_run_unread(struct client *client);
/* A Parse of it is about to go. */
void client_text_parse(struct client *client, struct batch *batch,
                       const struct statement *statement);
/* A Bind of it is. */
enum client_text_answer client_text_bind(struct client *client, struct batch *batch,
                                         struct statement *statement, struct failure **refusal)
    __attribute__((warn_unused_result));

/*
 * In place of a message that is refused, one that must fail is put into the batch: the server does
 * all that follows from an error, and deny_replace_error() gives the client the refusal's words
 * (consumed). A Query's `undo` (consumed; may be NULL) is that of the unnamed statement, and the
 * caller pushes what is returned; a Bind is pushed here.
 */
struct server_undo *client_text_refuse_query(struct batch *batch, struct server_undo *undo,
                                             struct failure **refusal)
    __attribute__((warn_unused_result));
void client_text_refuse_bind(struct client *client, struct batch *batch, struct failure **refusal);

#endif
