/*
 * client_pin.h: a client that keeps its server connection beyond its transaction (state/pin.h):
 * whether it may, that it is counted, and who is told. Worker's thread.
 */
#ifndef PGSLUICE_SESSION_CLIENT_PIN_H
#define PGSLUICE_SESSION_CLIENT_PIN_H

#include <stdbool.h>

struct client;
struct failure;

/* Has these reasons now, and no others; the pool's count, the log and, where the configuration says
 * so, the client learn of it. It leases, and is between two messages of its server. */
void client_pin_set(struct client *client, unsigned pins);
/* It is pinned, and counted. */
bool client_pin_holds(const struct client *client);
/* Takes a place among the pool's pinned clients, ahead of the statement that may pin it, unless it
 * has one; false where all are taken. It is given back where the lease ends without a pin. */
bool client_pin_reserve(struct client *client) __attribute__((warn_unused_result));
/* True where it is pinned already, or may be now: pins are not refused, and it has a place. */
bool client_pin_may_hold(struct client *client) __attribute__((warn_unused_result));
/* The lease ends, or the client goes. */
void client_pin_let_go(struct client *client);
/* True where pins are refused (pin = deny). */
bool client_pin_is_denied(const struct client *client);
/* The error for a statement that would pin for these reasons; `name` is that of a function, or
 * NULL. One reference for the caller. */
struct failure *client_pin_refusal(struct client *client, unsigned pins, const char *name)
    __attribute__((warn_unused_result));

#endif
