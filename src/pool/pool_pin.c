/* pool_pin.c: how many clients keep their server connection beyond their transactions. */
#include "base/check.h"
#include "pool/pool_internal.h"

/* auto: whoever pins nothing has one connection left. */
void pool_pin_configure(struct pool *pool)
{
    unsigned limit = pool_limit(pool);
    unsigned most = pool->settings->max_pinned;
    if (most == 0)
        most = limit > 1 ? limit - 1 : 1;
    atomic_store_explicit(&pool->max_pinned, most, memory_order_relaxed);
}

bool pool_pin(struct pool *pool, bool forced)
{
    unsigned most = pool_max_pinned(pool);
    unsigned count = atomic_load_explicit(&pool->pinned, memory_order_relaxed);
    do {
        if (count >= most && !forced)
            return false;
    } while (!atomic_compare_exchange_weak_explicit(&pool->pinned, &count, count + 1,
                                                    memory_order_relaxed, memory_order_relaxed));
    return true;
}

void pool_unpin(struct pool *pool)
{
    unsigned before = atomic_fetch_sub_explicit(&pool->pinned, 1, memory_order_relaxed);
    check(before > 0);
}

unsigned pool_pinned(struct pool *pool)
{
    return atomic_load_explicit(&pool->pinned, memory_order_relaxed);
}

unsigned pool_max_pinned(struct pool *pool)
{
    return atomic_load_explicit(&pool->max_pinned, memory_order_relaxed);
}

void pool_ask_sequences(struct pool *pool)
{
    atomic_store_explicit(&pool->asks_sequences, true, memory_order_relaxed);
}

bool pool_asks_sequences(struct pool *pool)
{
    return atomic_load_explicit(&pool->asks_sequences, memory_order_relaxed);
}
