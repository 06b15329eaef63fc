/*
 * lexer_statement.h: the names of prepared statements that SQL text holds: behind EXECUTE, PREPARE
 * and DEALLOCATE.
 */
#ifndef PGSLUICE_PG_LEXER_STATEMENT_H
#define PGSLUICE_PG_LEXER_STATEMENT_H

#include "pg/lexer_token.h"

#include <stdbool.h>
#include <stddef.h>

struct buffer;

/*
 * True where the text may hold such a name: by its first word (EXPLAIN and CREATE TABLE AS may go
 * on with EXECUTE); or, with `many`, because it may be more than one statement. Most texts are told
 * by their first letter.
 */
bool lexer_may_name_statements(const char *sql, size_t length, bool many);
/*
 * The next of these names, as PostgreSQL folds it, with a zero byte (`name` is cleared before);
 * `executes`: it stands behind EXECUTE. False: there is none. What looks like one within another
 * statement (a column named execute) may be told too.
 */
bool lexer_next_statement_name(struct lexer_token_source *source, struct buffer *name,
                               bool *executes);

#endif
