/*
 * audience.h: the clients of one worker that listen through the shared connection of their pool
 * (notifier.h), by channel. What the notifier posts arrives here in its order, and is handed to
 * those that it is for. Worker's thread, but for audience_tell.
 */
#ifndef PGSLUICE_SESSION_AUDIENCE_H
#define PGSLUICE_SESSION_AUDIENCE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

struct client;
struct listening;
struct notification;
struct pool;
struct worker;

enum audience_news_kind {
    AUDIENCE_UP,       /* the connection is there; text: its client_encoding */
    AUDIENCE_LOST,     /* text: why, or NULL */
    AUDIENCE_RESTORED, /* as UP, number: after so many microseconds */
    AUDIENCE_SYNCED,   /* number: as asked for */
    AUDIENCE_FENCE,    /* slot, number: the token of a client's hand-over */
    AUDIENCE_HEARD,    /* notification */
};

struct audience_news {
    uint64_t number;
    uint32_t slot;
    const char *text;                  /* copied; or NULL */
    struct notification *notification; /* a reference is taken; or NULL */
};

/* Any thread: posts to a worker's audience of a pool. */
void audience_tell(struct worker *worker, struct pool *pool, enum audience_news_kind kind,
                   const struct audience_news *news);

/* One channel of one client: in the channel's list and in the client's. */
struct audience_seat {
    struct audience_channel *channel;
    struct listening *listening;
    uint64_t token; /* of the hand-over that made it shared; 0: the client hears it itself yet */
    bool active;    /* the notifier's notifications are its own from here on */
    TAILQ_ENTRY(audience_seat) in_channel;
    TAILQ_ENTRY(audience_seat) in_listening;
};

TAILQ_HEAD(audience_seats, audience_seat);
TAILQ_HEAD(audience_list, listening);

struct audience;

/* The worker's audience of a pool; made where there is none. */
struct audience *audience_of(struct worker *worker, struct pool *pool);
void audience_enter(struct audience *audience, struct listening *listening);
/* Also gives up every seat. */
void audience_leave(struct audience *audience, struct listening *listening);

struct audience_seat *audience_sit(struct audience *audience, struct listening *listening,
                                   const char *channel);
void audience_stand_up(struct audience *audience, struct audience_seat *seat);
const char *audience_channel_name(const struct audience_seat *seat);

/* The shared connection is there. */
bool audience_is_up(const struct audience *audience);
/* In whose client_encoding the notifications come; "" while that is not known. */
const char *audience_encoding(const struct audience *audience);
/* client_listen_proceed follows once the notifier has caught up with all that is committed now. */
void audience_sync(struct audience *audience, struct listening *listening);
/* A token for a hand-over. */
uint64_t audience_new_token(struct audience *audience);

/* At the worker's end. */
void audience_free_all(struct worker *worker);

#endif
