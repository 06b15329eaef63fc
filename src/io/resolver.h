/*
 * resolver.h: names to addresses without blocking (libevent's evdns), one per loop, owner thread
 * only. /etc/hosts and /etc/resolv.conf are read again when they have changed; answers are not
 * kept, so that a changed DNS answer is noticed at the next lookup. Of the system's ways to find a
 * host these are all: /etc/nsswitch.conf is not asked.
 */
#ifndef PGSLUICE_IO_RESOLVER_H
#define PGSLUICE_IO_RESOLVER_H

#include "io/address.h"

struct loop;
struct resolver;
struct resolver_lookup;

/*
 * `problem` is NULL and count > 0, or it says why there is no address ("Name or service not
 * known"). The arrays are the callee's only for the length of the call.
 */
typedef void resolver_callback(const struct address *addresses, size_t count, const char *problem,
                               void *context);

struct resolver *resolver_new(struct loop *loop);
/* Cancels what is under way; before loop_free. NULL is fine. */
void resolver_free(struct resolver *resolver);
/* Other files than /etc/hosts and /etc/resolv.conf, from the next lookup on. */
void resolver_set_files(struct resolver *resolver, const char *hosts, const char *servers);
/*
 * Looks a name up, a numeric address or the folder of a Unix socket (it starts with '/' or '@');
 * calls back from the loop, perhaps before it returns (then it returns NULL). Otherwise what it
 * returns is good until the callback or resolver_cancel. Addresses come in the order of the answer.
 */
struct resolver_lookup *resolver_start(struct resolver *resolver, const char *host, unsigned port,
                                       resolver_callback *callback, void *context);
/* No callback after this. */
void resolver_cancel(struct resolver_lookup *lookup);

#endif
