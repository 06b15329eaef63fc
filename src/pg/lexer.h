/*
 * lexer.h: the small lexer that finds *names* in SQL text: which GUCs a text may set, and whether it
 * is one plain SET. It knows comments, quoted identifiers, string constants ('', E'', U&'', dollar
 * quotes) and nothing of SQL's grammar. It never decides what the session state is (the server is
 * asked); it only tells where to look, and errs on the side of looking.
 */
#ifndef PGSLUICE_PG_LEXER_H
#define PGSLUICE_PG_LEXER_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Called once for every dotted (custom) GUC name that SET, RESET or set_config( names as a literal,
 * folded as PostgreSQL folds it. `name` is valid during the call only.
 */
typedef void lexer_name_callback(const char *name, void *context);

void lexer_custom_names(const char *sql, size_t length, lexer_name_callback *callback,
                        void *context);

/*
 * True where the text may change session state behind another tag: holds set_config, an advisory
 * lock function, nextval/currval/lastval/setval, setseed, in any letter case (a substring check).
 */
bool lexer_may_change_state(const char *sql, size_t length);

#endif
