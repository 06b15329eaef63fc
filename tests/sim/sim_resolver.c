/* sim_resolver.c: stands in for src/io/resolver.c; every name is known, some answers are late. */
#include "sim_random.h"
#include "sim_stream.h"

#include "base/check.h"
#include "base/memory.h"
#include "io/resolver.h"

#include <stdlib.h>
#include <sys/queue.h>

struct resolver_lookup {
    struct resolver *resolver;
    unsigned port;
    resolver_callback *callback;
    void *context;
    TAILQ_ENTRY(resolver_lookup) link;
};

struct resolver {
    TAILQ_HEAD(, resolver_lookup) lookups;
};

struct resolver *resolver_new(struct loop *loop)
{
    struct resolver *resolver = memory_new(struct resolver);
    (void)loop;
    TAILQ_INIT(&resolver->lookups);
    return resolver;
}

void resolver_cancel(struct resolver_lookup *lookup)
{
    TAILQ_REMOVE(&lookup->resolver->lookups, lookup, link);
    free(lookup);
}

void resolver_free(struct resolver *resolver)
{
    struct resolver_lookup *lookup;
    while ((lookup = TAILQ_FIRST(&resolver->lookups)) != NULL)
        resolver_cancel(lookup);
    free(resolver);
}

void resolver_set_files(struct resolver *resolver, const char *hosts, const char *servers)
{
    (void)resolver, (void)hosts, (void)servers;
}

static void answer(resolver_callback *callback, unsigned port, void *context)
{
    struct address address;
    check(address_parse_numeric("10.0.0.1", port, &address));
    callback(&address, 1, NULL, context);
}

struct resolver_lookup *resolver_start(struct resolver *resolver, const char *host, unsigned port,
                                       resolver_callback *callback, void *context)
{
    (void)host;
    if (sim_chance(700)) {
        answer(callback, port, context);
        return NULL;
    }
    struct resolver_lookup *lookup = memory_new(struct resolver_lookup);
    *lookup = (struct resolver_lookup){
        .resolver = resolver, .port = port, .callback = callback, .context = context};
    TAILQ_INSERT_TAIL(&resolver->lookups, lookup, link);
    return lookup;
}

bool sim_resolver_has_answer(const struct resolver *resolver)
{
    return !TAILQ_EMPTY(&resolver->lookups);
}

void sim_resolver_answer(struct resolver *resolver)
{
    struct resolver_lookup lookup = *TAILQ_FIRST(&resolver->lookups);
    resolver_cancel(TAILQ_FIRST(&resolver->lookups));
    answer(lookup.callback, lookup.port, lookup.context);
}
