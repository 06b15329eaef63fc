/*
 * void_block.h: a transaction block that no server connection knows of. Where a client's BEGIN
 * finds no connection, it is told that the block has begun, and its first statement gets the error;
 * so are drivers spared that never forget a BEGIN which failed, and take all that follows for a
 * part of its block (asyncpg sends SAVEPOINT from then on). Pure functions on texts; the steps are
 * client_relay.c's.
 */
#ifndef PGSLUICE_SESSION_VOID_BLOCK_H
#define PGSLUICE_SESSION_VOID_BLOCK_H

#include "pg/frame.h"

#include <stdbool.h>
#include <stddef.h>

enum void_block_step {
    VOID_BLOCK_REFUSES, /* nothing but an error is possible in it */
    VOID_BLOCK_ENDS,    /* a ROLLBACK, or a COMMIT, which is one */
    VOID_BLOCK_PASSES,  /* a ROLLBACK that the server can answer as well, outside of any block */
    VOID_BLOCK_BREAKS,  /* a COMMIT that the server would take for a success */
};

/* A simple query, whole, with BEGIN or START TRANSACTION alone. */
bool void_block_begins(const struct frame *frame, size_t available);
enum void_block_step void_block_take(const struct frame *frame, size_t available);

#endif
