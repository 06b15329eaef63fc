/*
 * client_lend.h: a client's named statements under its own names, for SQL that names them: EXECUTE,
 * PREPARE or DEALLOCATE of a name that the client has given to a Parse. On servers such a statement
 * has a name made from its content; ahead of a text that names it, it is prepared under the
 * client's name too, and from there on the server alone knows of it (so that the client's Bind,
 * Close or DEALLOCATE of it is the server's to carry out). When the session's state is asked for,
 * behind the client's last command, what the server still has under these names is the client's
 * again. Worker's thread.
 */
#ifndef PGSLUICE_SESSION_CLIENT_LEND_H
#define PGSLUICE_SESSION_CLIENT_LEND_H

#include "state/pipeline.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct batch;
struct client;
struct pairs;
struct server;
struct server_undo;

enum client_lend_answer {
    CLIENT_LEND_GO,      /* the server has what the text names, or the text names nothing */
    CLIENT_LEND_WAIT,    /* it is being prepared: the message waits for the answer */
    CLIENT_LEND_CHANGED, /* one of these returns now what the client does not know */
};

/* Ahead of a text that lexer_may_name_statements(): a Query's (is_query), or that of a Parse or a
 * bound statement. */
enum client_lend_answer client_lend(struct client *client, struct batch *batch, const char *sql,
                                    size_t length, bool is_query)
    __attribute__((warn_unused_result));
/* Adds the names of what the server has of the client's. */
void client_lend_list(const struct server *server, struct pairs *names);
/* The server skips a Query, because of an error (which the client has) in what went ahead of it:
 * true where something else was put into the batch that gets the ReadyForQuery. */
bool client_lend_end_query(struct client *client, struct batch *batch);

/* The shape of a statement that was lent has come; an entry with NOTE_LEND has left. */
void client_lend_learn(struct server *server, const struct server_undo *undo, uint64_t shape);
void client_lend_done(struct server *server, const struct pipeline_entry *entry,
                      enum pipeline_end end);
/* The server still has those of client_lend_list() that `names` has too: they are the client's
 * again, and are closed under the client's names. */
void client_lend_take_back(struct server *server, const struct pairs *names);
/* The server connection will be reset: all that was lent is the client's again, if it is there. */
void client_lend_end(struct server *server);

#endif
