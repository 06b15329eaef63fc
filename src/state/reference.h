/*
 * reference.h: counting references to interned objects, whose last release must not race with a
 * lookup that finds them. Only the holder of the table's lock takes a count from 1 to 0 or raises
 * it for a lookup; who has a reference already needs no lock to take another or to give back one
 * that is not the last.
 */
#ifndef PGSLUICE_STATE_REFERENCE_H
#define PGSLUICE_STATE_REFERENCE_H

#include "base/check.h"

#include <stdbool.h>

/* By a holder of a reference, or under the table's lock. */
static inline void reference_take(unsigned *references)
{
    unsigned before = __atomic_fetch_add(references, 1, __ATOMIC_RELAXED);
    check(before != 0);
}

/* Gives a reference back; false, with nothing done, where it seems to be the last. */
static inline bool reference_give_shared(unsigned *references)
{
    unsigned seen = __atomic_load_n(references, __ATOMIC_RELAXED);
    while (seen > 1) {
        if (__atomic_compare_exchange_n(references, &seen, seen - 1, true, __ATOMIC_RELEASE,
                                        __ATOMIC_RELAXED))
            return true;
    }
    return false;
}

/* Under the table's lock: gives a reference back; true where it was the last. */
static inline bool reference_give_locked(unsigned *references)
{
    unsigned before = __atomic_fetch_sub(references, 1, __ATOMIC_ACQ_REL);
    check(before != 0);
    return before == 1;
}

#endif
