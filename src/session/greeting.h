/*
 * greeting.h: what clients of a pool are told at login: the ParameterStatus values of a server
 * connection in the state that they ask for. Learned once for each (pool, state) from a server
 * connection; any thread, one lock.
 */
#ifndef PGSLUICE_SESSION_GREETING_H
#define PGSLUICE_SESSION_GREETING_H

struct guc_set;
struct parameters;
struct pool;

/* One reference for the caller, or NULL where it is not known yet. */
struct parameters *greeting_find(const struct pool *pool, const struct guc_set *gucs);
/* Takes references. Where the greeting of the empty state changes (another server version, say),
 * the pool's other greetings are forgotten. */
void greeting_store(const struct pool *pool, struct guc_set *gucs, struct parameters *parameters);
/* At the end of the process. */
void greeting_forget_all(void);

#endif
