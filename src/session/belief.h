/*
 * belief.h: settings that a client's plain SET commands (pg/lexer_set.h) or a RESET ALL among what
 * its driver's pool sends (pg/lexer_reset.h) have changed, taken from their text once the server
 * has carried them out and the transaction has committed, so that the server need not be asked.
 * Where anything else may have happened, it is asked after all. Worker's
 * thread; the server is leased.
 */
#ifndef PGSLUICE_SESSION_BELIEF_H
#define PGSLUICE_SESSION_BELIEF_H

#include "pg/tag.h"

#include <stdbool.h>
#include <stddef.h>

struct belief;
struct client;
struct server;
struct server_undo;

/* For the pipeline's entry of a Query with this text, as its subject under SERVER_NOTE_SET; NULL
 * where it is none to be believed. */
struct server_undo *belief_of_text(const char *sql, size_t length)
    __attribute__((warn_unused_result));
/* The same for a text that only gives back what the session has, of a client with no more than
 * settings: nothing but these can have changed by it. */
struct server_undo *belief_of_reset(const struct client *client, const char *sql, size_t length)
    __attribute__((warn_unused_result));
/* It has been carried out. */
void belief_add(struct server *server, const struct server_undo *set);
/* A text whose set_config() calls are all for the transaction is about to be carried out: its
 * custom names will be there, and empty. */
void belief_add_local(struct server *server, const char *sql, size_t length);
/* A command with this tag has ended: COMMIT and ROLLBACK matter. */
void belief_command(struct server *server, enum tag tag);
/* True where a ParameterStatus for this setting is no news: a SET of it is under way or believed.
 */
bool belief_covers(const struct server *server, const char *name);
/* At ReadyForQuery; server->transaction_status is the new one. Only where server->belief is set. */
void belief_ready(struct server *server);
/* Something has failed: the server is to be asked. Nothing where there is no belief. */
void belief_doubt(struct server *server);
void belief_free(struct belief **belief);

#endif
