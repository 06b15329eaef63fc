/*
 * catalog.h: what pgsluice knows of a pool's database from PostgreSQL's catalogue: the functions
 * that change the session of who calls them (state/routines.h), since neither a command's tag nor
 * its text tells that. One for each pool, any thread, one lock; server connections hold what held
 * when their lease began.
 *
 * It is asked for ahead of a lease: where nothing is known yet, or what is known was heard longer
 * than CATALOG_TRUST ago; and behind a client's command that creates or drops functions or
 * triggers. A question that fails changes nothing.
 */
#ifndef PGSLUICE_SESSION_CATALOG_H
#define PGSLUICE_SESSION_CATALOG_H

#include <stdbool.h>

struct pool;
struct server;

/* The pool's; valid until catalog_forget_all. */
struct catalog *catalog_of(const struct pool *pool);
/* A lease begins, or goes on: the server connection has what is known now. */
void catalog_follow(struct server *server);
/* True where it has to be asked first. */
bool catalog_is_due(struct server *server);
/* Asks; the answer comes as that of ask.h's questions, with what is asked for being ASK_CATALOG.
 * False where that closed the server connection. */
bool catalog_ask(struct server *server);
/* server->question has the answer; `failed`: it has none. */
void catalog_take_answer(struct server *server, bool failed);
/* What is known may be wrong: for a server connection whose client left before it was asked, */
void catalog_expire(const struct server *server);
/* and for all. */
void catalog_expire_all(void);
/* At the end of the process. */
void catalog_forget_all(void);

#endif
