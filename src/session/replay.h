/*
 * replay.h: what a client has prepared by SQL follows it: a server connection that lacks one of its
 * statements is made to prepare it by its text, in a Query of its own (whose whole string
 * PostgreSQL keeps as the text), and to describe it: the shape of its result must be what it was.
 * Worker's thread; the client's messages wait meanwhile.
 *
 * A statement that cannot be prepared any more (its table is gone, say) or has another shape now
 * must not end its client: on a connection of its own only an EXECUTE would fail. A stand-in is
 * prepared under its name (PREPARED_BROKEN); who executes it reads what PostgreSQL would say.
 *
 * learn.h uses the same messages to learn the shapes of new statements.
 */
#ifndef PGSLUICE_SESSION_REPLAY_H
#define PGSLUICE_SESSION_REPLAY_H

#include "base/buffer.h"
#include "state/pipeline.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct frame;
struct guc_set;
struct server;

struct replay_item {
    char *pair_name;     /* owned: prepared.h */
    char *value;         /* owned: of the pair; NULL while learning: it is prepared there already */
    size_t row;          /* learning: of the question's answer */
    bool prepared;       /* its PREPARE has succeeded */
    bool described;      /* `shape` is known */
    uint16_t parameters; /* how many it has, once it is described */
    uint64_t shape;      /* of its result: statement.h */
    struct buffer error; /* body of the ErrorResponse to one of the two */
};

/* Statements that are being prepared or described on a server connection (server->replay). */
struct replay {
    struct guc_set *to; /* owned reference: the state that is aimed at; NULL while learning */
    struct replay_item *items;
    size_t count;
    size_t at; /* whose replies come next */
};

/* The errors that stand for the statements that a server connection could not prepare, by the
 * number in their stand-ins (server->broken). */
struct replay_broken {
    struct buffer *errors; /* owned; bodies of ErrorResponses */
    size_t count;
};

/* True where the state has statements that the server lacks and has not just tried to prepare. */
bool replay_is_due(const struct server *server, const struct guc_set *to);
/* Takes note of them; returns the state without them, one reference for the caller: the session has
 * to be brought there first. */
struct guc_set *replay_begin(struct server *server, struct guc_set *to);
void replay_add(struct replay *replay, const char *pair_name, const char *value, size_t row);
/* Sends PREPARE and Describe of all; false where that closed the server connection. */
bool replay_send(struct server *server);
/* All is answered: the server has reached the state (false), or stand-ins are being prepared
 * (true: a SWITCH is under way again, or the server connection has been closed). */
bool replay_goes_on(struct server *server);
void replay_free(struct replay **replay);

/* What the server says to these messages: */
void replay_take_parameters(struct server *server, const struct frame *frame);
void replay_take_shape(struct server *server, const struct frame *frame);
void replay_take_error(struct server *server, const struct frame *frame);
void replay_done(struct server *server, const struct pipeline_entry *entry);

/* The body of the error that the client is to read in place of a stand-in's; NULL: it is another.
 */
const struct buffer *replay_error_instead(const struct server *server, const struct frame *frame);
/* What was broken will be DEALLOCATEd, or is gone. */
void replay_forget_broken(struct server *server);

#endif
