/*
 * refusal.h: why a client gets no server connection, as it and the log read it: which pool, which
 * limit, how long it has waited, and whose word it is.
 */
#ifndef PGSLUICE_SESSION_REFUSAL_H
#define PGSLUICE_SESSION_REFUSAL_H

#include "pg/failure.h"
#include "pool/pool.h"

/* NULL where nobody is to read it. */
struct failure *refusal_failure(struct pool *pool, const struct pool_refusal *refusal)
    __attribute__((warn_unused_result));

#endif
