/* listen.h: where clients come in: every place of `listen`, on the main thread's loop. */
#ifndef PGSLUICE_DAEMON_LISTEN_H
#define PGSLUICE_DAEMON_LISTEN_H

#include "config/config.h"

struct listen;
struct loop;
struct service;

/* Opens all; NULL where one cannot be (logged). New clients go to the worker with the fewest. */
struct listen *listen_open(const struct config *config, struct loop *loop, struct service *service);
/* New configuration: the options of the sockets that are accepted from now on. */
void listen_take_config(struct listen *listen, const struct config *config);
/* Closes all and nulls the pointer; NULL inside is fine. */
void listen_close(struct listen **listen);

#endif
