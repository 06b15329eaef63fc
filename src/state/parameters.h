/*
 * parameters.h: the ParameterStatus values that a server has reported, or that a client was told:
 * interned like guc sets (equal sets are one object, compared by pointer), any thread.
 */
#ifndef PGSLUICE_STATE_PARAMETERS_H
#define PGSLUICE_STATE_PARAMETERS_H

#include "base/buffer.h"
#include "pg/pairs.h"

#include <stdbool.h>
#include <stdint.h>

struct parameters;

struct parameters *parameters_intern(const struct pairs *pairs);
/* A hash of what the constants of a text depend on that is read under these values; never 0. With
 * the client's encoding, which the bytes of a text depend on. */
uint64_t parameters_context(const struct parameters *parameters, bool with_encoding);
struct parameters *parameters_retain(struct parameters *parameters);
void parameters_release(struct parameters **parameters);
const struct pairs *parameters_pairs(const struct parameters *parameters);
/* With one value added or changed; one reference for the caller. */
struct parameters *parameters_with(const struct parameters *parameters, const char *name,
                                   const char *value);
/* The value, or NULL. */
const char *parameters_find(const struct parameters *parameters, const char *name);
/* Appends a ParameterStatus message for each value of `to` that `from` (may be NULL) has not. */
void parameters_write_difference(const struct parameters *from, const struct parameters *to,
                                 struct buffer *messages);

#endif
