/*
 * resolver.h: names to addresses without blocking (libevent's evdns), one per loop, owner thread
 * only. /etc/hosts is read again when it has changed; answers are not kept, so that a changed DNS
 * answer is noticed at the next lookup.
 */
#ifndef PGSLUICE_IO_RESOLVER_H
#define PGSLUICE_IO_RESOLVER_H

#include "io/address.h"

struct loop;
struct resolver;
struct resolver_lookup;

/* `problem` is NULL and count > 0, or it says why there is no address. */
typedef void resolver_callback(const struct address *addresses, size_t count, const char *problem,
                               void *context);

struct resolver *resolver_new(struct loop *loop);
void resolver_free(struct resolver *resolver);
/*
 * Looks a name (or numeric address) up; calls back from the loop, perhaps before it returns (then
 * it returns NULL).
 */
struct resolver_lookup *resolver_start(struct resolver *resolver, const char *host, unsigned port,
                                       resolver_callback *callback, void *context);
/* No callback after this. */
void resolver_cancel(struct resolver_lookup *lookup);

#endif
