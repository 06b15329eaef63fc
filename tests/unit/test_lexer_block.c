/* What lexer_block.c takes for the begin or the end of a transaction block, and what for more. */
#include "pg/lexer_block.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void first_statements_are_told(void **state)
{
    static const struct {
        const char *sql;
        enum lexer_block block;
        bool alone;
    } cases[] = {
        {"BEGIN", LEXER_BLOCK_BEGINS, true},
        {"begin ;", LEXER_BLOCK_BEGINS, true},
        {" /* a */ BEGIN WORK -- b", LEXER_BLOCK_BEGINS, true},
        {"BEGIN ISOLATION LEVEL SERIALIZABLE, READ ONLY;", LEXER_BLOCK_BEGINS, true},
        {"START TRANSACTION READ WRITE", LEXER_BLOCK_BEGINS, true},
        {"BEGIN; SELECT 1", LEXER_BLOCK_BEGINS, false},
        {"BEGIN 1", LEXER_BLOCK_BEGINS, false},
        {"COMMIT", LEXER_BLOCK_COMMITS, true},
        {"END TRANSACTION;;", LEXER_BLOCK_COMMITS, true},
        {"COMMIT AND CHAIN", LEXER_BLOCK_COMMITS, false},
        {"COMMIT PREPARED 'x'", LEXER_BLOCK_COMMITS, false},
        {"COMMIT; SELECT 1", LEXER_BLOCK_COMMITS, false},
        {"ROLLBACK", LEXER_BLOCK_ROLLS_BACK, true},
        {"; abort work", LEXER_BLOCK_ROLLS_BACK, true},
        {"ROLLBACK; BEGIN", LEXER_BLOCK_ROLLS_BACK, false},
        {"ROLLBACK TO a", LEXER_BLOCK_OTHER, false},
        {"ROLLBACK WORK TO SAVEPOINT a", LEXER_BLOCK_OTHER, false},
        {"START", LEXER_BLOCK_OTHER, false},
        {"BEGINNING", LEXER_BLOCK_OTHER, false},
        {"COMMITTED", LEXER_BLOCK_OTHER, false},
        {"\"commit\"", LEXER_BLOCK_OTHER, false},
        {"SELECT 1; COMMIT", LEXER_BLOCK_OTHER, false},
        {"", LEXER_BLOCK_OTHER, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bool alone = true;
        enum lexer_block block = lexer_block_parse(cases[i].sql, strlen(cases[i].sql), &alone);
        if (block != cases[i].block || alone != cases[i].alone)
            fail_msg("%s: %d, alone %d", cases[i].sql, (int)block, alone);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_statements_are_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
