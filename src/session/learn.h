/*
 * learn.h: statements that a question has shown: which of them can follow their client, and the
 * shapes of their results (replay.h). Worker's thread.
 */
#ifndef PGSLUICE_SESSION_LEARN_H
#define PGSLUICE_SESSION_LEARN_H

#include <stdbool.h>

struct client;
struct guc_set;
struct server;

/* The answer has come: its rows of statements become pairs as state/prepared.h has them. True where
 * the server has to describe some first: ask_take_answer follows once more. */
bool learn_statements(struct server *server);
/* The client is pinned as long as one of its statements, which its server connection has, cannot be
 * prepared elsewhere in the same way, be it for settings that have changed since. */
void learn_pin(struct client *client, const struct server *server);
/* A client whose state was `before` keeps the statements that its server connection could not
 * prepare and has stand-ins for. */
void learn_keep_broken(struct client *client, const struct guc_set *before,
                       const struct guc_set *answer);

#endif
