/*
 * ask.h: asking a server connection what its session's state is, behind the client's last command,
 * and taking the answer (question.h has the SQL and the rows). Worker's thread.
 */
#ifndef PGSLUICE_SESSION_ASK_H
#define PGSLUICE_SESSION_ASK_H

#include <stdbool.h>

struct client;
struct server;

/* What is asked for: bits of server->look. */
enum ask {
    ASK_ALL = 1,
    ASK_SETTINGS = 2, /* GUCs and roles */
    ASK_OBJECTS = 4,  /* what pins, SQL-prepared statements, channels */
    ASK_CATALOG = 8,  /* first of all: which functions change sessions (catalog.h) */
};

/* What to ask for after a text with these changes (enum lexer_change). */
unsigned ask_for(unsigned changes);

/* Whether the state may have changed, so that it must be asked for before the lease ends. */
bool ask_is_due(const struct client *client, const struct server *server);
/* The client's new messages wait until the answer has come; ask_take_answer follows. */
void ask_begin(struct client *client, struct server *server);
/* Asks within a transaction, and of nothing but what pins; ask_take_pins follows. */
void ask_what_pins(struct client *client, struct server *server);
/* False where the server has not told. */
bool ask_take_pins(struct server *server, unsigned *pins) __attribute__((warn_unused_result));
/* NOTE_ASK has come back: the client has what its session has. Where the answer is of no use, the
 * client is closed and the server connection is to be reset. */
void ask_take_answer(struct server *server);

#endif
