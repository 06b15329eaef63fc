/*
 * lexer_block.h: texts that begin or end a transaction block, for where no server is at hand to be
 * asked ("BEGIN", "COMMIT", "ROLLBACK" in the PostgreSQL manual).
 */
#ifndef PGSLUICE_PG_LEXER_BLOCK_H
#define PGSLUICE_PG_LEXER_BLOCK_H

#include <stdbool.h>
#include <stddef.h>

enum lexer_block {
    LEXER_BLOCK_OTHER,
    LEXER_BLOCK_BEGINS,     /* BEGIN, START TRANSACTION, with modes */
    LEXER_BLOCK_COMMITS,    /* COMMIT, END */
    LEXER_BLOCK_ROLLS_BACK, /* ROLLBACK, ABORT; not to a savepoint */
};

/* What the text's first statement does; *alone: the text says no more than that. */
enum lexer_block lexer_block_parse(const char *sql, size_t length, bool *alone);

#endif
