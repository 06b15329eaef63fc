/*
 * client_statement.h: a client's Parse, Bind, Describe and Close: its names of prepared statements
 * become names made from their content, prepared on demand on the server connection that it leases
 * ("Extended Query"). Worker's thread; the client leases.
 */
#ifndef PGSLUICE_SESSION_CLIENT_STATEMENT_H
#define PGSLUICE_SESSION_CLIENT_STATEMENT_H

#include "session/client_text.h"
#include "session/server.h"

#include <stdbool.h>
#include <stddef.h>

struct batch;
struct client;
struct failure;
struct frame;

enum client_statement_answer {
    CLIENT_STATEMENT_FORWARD,  /* pass it on as it is */
    CLIENT_STATEMENT_DROP,     /* the server would skip it */
    CLIENT_STATEMENT_TAKEN,    /* its first *taken bytes are in the batch, rewritten */
    CLIENT_STATEMENT_MORE,     /* more of it, or a reply, must be there first */
    CLIENT_STATEMENT_MALFORMED /* *problem says what */
};

/* True where it cannot be worked on before more of it is there; asked ahead of taking a lease. */
bool client_statement_needs_more(const struct frame *frame, size_t available);
/*
 * One message of these four types, of which `available` bytes are there. What must go ahead of it
 * (a Parse of what this server connection has not, a Close of what it has too much) is added to the
 * batch, and the pipeline is told.
 */
enum client_statement_answer client_statement_message(struct client *client, struct batch *batch,
                                                      const struct frame *frame, size_t available,
                                                      size_t *taken, const char **problem);
/*
 * A simple query, whole: TAKEN where it was DEALLOCATE of a statement of the client's, which is
 * carried out here (drivers that know no Close message do so); else FORWARD, or MORE.
 */
enum client_statement_answer client_statement_query(struct client *client, struct batch *batch,
                                                    const char *sql, size_t length);
/* What else is put into a batch about statements: an entry for the pipeline, and the server's
 * counts of what is under way. */
void client_statement_push(struct server *server, enum pipeline_kind kind, bool ours,
                           enum server_note note, struct server_undo *undo);
/* Ahead of a text that names other statements: the server is to have them under these names.
 * FORWARD, MORE, or DROP: what the text runs has failed, and what follows is skipped. */
enum client_statement_answer client_statement_lend(struct client *client, struct batch *batch,
                                                   const char *sql, size_t length, bool is_query);
/*
 * True where it is not known what the name stands for, because a Parse or Close ahead of an earlier
 * Sync has no answer yet. Behind the same Sync there is no doubt: an error there skips this message
 * too.
 */
bool client_statement_name_is_in_doubt(const struct client *client, const char *name);
/*
 * SQL that the client is about to run: marks the lease where it may change the session's state, and
 * asks client_text.h what else it means. *set is what belongs to the pipeline's entry under
 * SERVER_NOTE_SET where the text, if it is whole, is one plain SET; or NULL.
 */
enum client_text_answer client_statement_look(struct client *client, struct batch *batch,
                                              const char *sql, size_t length,
                                              struct server_undo **set, struct failure **refusal)
    __attribute__((warn_unused_result));

#endif
