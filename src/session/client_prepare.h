/*
 * client_prepare.h: what goes ahead of a client's message about a prepared statement, so that the
 * server connection that it leases has the statement, and has it as this client knows it.
 * Worker's thread.
 *
 * PostgreSQL fixes what a statement returns at its Parse: where a changed table or search_path
 * would change that, its use fails ("cached plan must not change result type"). A client may get a
 * server connection that prepares its statement only now, or has it from another client, under
 * another state of the tables. So the columns that a statement returned at the client's own Parse,
 * its shape, are kept with the client's name of it, and those of each server connection's with that
 * connection's. Where they are equal the server says all that is to be said. Where not, the
 * statement is prepared anew and described, which the client's message waits for; where they still
 * differ, the client gets the error.
 */
#ifndef PGSLUICE_SESSION_CLIENT_PREPARE_H
#define PGSLUICE_SESSION_CLIENT_PREPARE_H

#include "session/client_statement.h"

#include <stdbool.h>

struct statement;
struct statement_named;

enum client_prepare_answer {
    CLIENT_PREPARE_DONE,    /* it has it, as the client knows it */
    CLIENT_PREPARE_AWAITED, /* it is asked for that: the client's message waits for the answer */
    CLIENT_PREPARE_CHANGED, /* the statement has another shape now */
};

/* Closes a statement ahead of its Parse: the server connection may have it against expectation,
 * since an earlier Close was skipped. */
void client_prepare_close(struct server *server, struct batch *batch, const char *server_name);
/* Close and Parse of a statement under the name made from its content; takes it into the
 * connection's cache, in a shape that is not known yet. */
void client_prepare_parse(struct server *server, struct batch *batch, struct statement *statement);
/* The same of one that nobody is to use: it is not taken into the cache. */
void client_prepare_unused(struct server *server, struct batch *batch, struct statement *statement);
/* Asks for the shape of a statement that was just prepared for this name of the client's. `tells`:
 * by its own Parse, whose answer it gets with this one: an error here is that Parse's. */
void client_prepare_describe(struct server *server, struct batch *batch, const char *name,
                             struct statement *statement, bool tells);
/* The least recently used statements leave a server connection that has more than its limit. */
void client_prepare_evict(struct server *server, struct batch *batch);
/* Makes sure that the server connection has the client's statement of this name. */
enum client_prepare_answer client_prepare_named(struct client *client, struct batch *batch,
                                                const char *name, struct statement_named *named);
/* Makes the server fail where the client's message would stand, as it would where it had the
 * statement from before the change. */
void client_prepare_fail(struct server *server, struct batch *batch);
/* Makes the server connection's unnamed statement the client's, or none where it has none. */
void client_prepare_unnamed(struct client *client, struct batch *batch);
/* True where it is not known what the unnamed statement is, because the last message about it is
 * ahead of an earlier Sync and has no answer yet. */
bool client_prepare_unnamed_is_in_doubt(const struct server *server);
/* True where a Parse that was put in front for this statement stands ahead of an earlier Sync and
 * has no answer yet: an error in front of it would make the server skip it. */
bool client_prepare_is_in_doubt(const struct server *server, const struct statement *statement);

#endif
