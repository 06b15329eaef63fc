/*
 * test_statement_shape.c: what a statement returns, as a number: equal where PostgreSQL would go on
 * with a prepared statement, different where it would not; and where names and caches keep it.
 */
#include "pg/writer.h"
#include "pg_bytes.h"
#include "state/statement.h"

struct column {
    const char *name;
    uint32_t table;
    uint32_t type;
    uint32_t modifier;
    uint16_t format;
};

static const struct column one = {"one", 16384, 23, UINT32_MAX, 0};
static const struct column two = {"two", 16384, 1043, 24, 0};

static uint64_t shape_of(const struct column *first, const struct column *second)
{
    const struct column *columns[] = {first, second};
    struct buffer buffer = {0};
    struct writer writer = writer_begin(&buffer, 'T');
    writer_uint16(&writer, (uint16_t)((first != NULL) + (second != NULL)));
    for (unsigned i = 0; i < 2 && columns[i] != NULL; i++) {
        writer_string(&writer, columns[i]->name);
        writer_uint32(&writer, columns[i]->table);
        writer_uint16(&writer, (uint16_t)(i + 1));
        writer_uint32(&writer, columns[i]->type);
        writer_uint16(&writer, 4);
        writer_uint32(&writer, columns[i]->modifier);
        writer_uint16(&writer, columns[i]->format);
    }
    writer_end(&writer);
    uint64_t shape = statement_shape_of(buffer_bytes(&buffer) + 5, buffer_length(&buffer) - 5);
    buffer_release(&buffer);
    return shape;
}

static void names_types_and_modifiers_count(void **state)
{
    struct column other;

    (void)state;
    uint64_t shape = shape_of(&one, &two);
    assert_true(shape > STATEMENT_SHAPE_NONE);
    assert_true(shape_of(&one, &two) == shape);
    assert_true(shape_of(&two, &one) != shape);
    assert_true(shape_of(&one, NULL) != shape);
    other = two;
    other.name = "tw0";
    assert_true(shape_of(&one, &other) != shape);
    other = two;
    other.type = 25;
    assert_true(shape_of(&one, &other) != shape);
    other = two;
    other.modifier = 25;
    assert_true(shape_of(&one, &other) != shape);
}

/* A table that was dropped and made anew, or one of the same kind in another schema. */
static void tables_and_formats_do_not(void **state)
{
    struct column other = two;

    (void)state;
    other.table = 16500;
    other.format = 1;
    assert_true(shape_of(&one, &other) == shape_of(&one, &two));
}

static void borders_between_names_count(void **state)
{
    struct column first = one, second = one;

    (void)state;
    first.name = "ab";
    second.name = "c";
    uint64_t shape = shape_of(&first, &second);
    first.name = "a";
    second.name = "bc";
    assert_true(shape_of(&first, &second) != shape);
}

/* SELECT without columns returns rows all the same. */
static void no_columns_are_not_no_rows(void **state)
{
    (void)state;
    assert_true(shape_of(NULL, NULL) > STATEMENT_SHAPE_NONE);
    assert_true(statement_shape_of_long(70000) > STATEMENT_SHAPE_NONE);
    assert_true(statement_shape_of_long(70000) != statement_shape_of_long(70001));
}

static void body_that_ends_early_is_read_no_further(void **state)
{
    static const char body[] = "\0\2one\0\0\0\0\0\0\0\0\0\0\x17\0\4";

    (void)state;
    for (size_t length = 0; length < sizeof body; length++)
        assert_true(statement_shape_of(BYTES(body), length) > STATEMENT_SHAPE_NONE);
}

static void names_and_caches_keep_it(void **state)
{
    struct statement_names *names = NULL;
    struct statement_cache *cache = NULL;
    struct statement *statement = statement_intern(BYTES("select 1\0\0"), 11, 0);

    (void)state;
    assert_null(statement_names_at(names, "a"));
    statement_names_add(&names, "a", statement);
    statement_names_add(&names, "b", statement);
    assert_true(statement_names_at(names, "a")->shape == STATEMENT_SHAPE_UNKNOWN);
    statement_names_at(names, "a")->shape = 7;
    assert_true(statement_names_at(names, "a")->shape == 7);
    assert_true(statement_names_at(names, "b")->shape == STATEMENT_SHAPE_UNKNOWN);
    assert_ptr_equal(statement_names_at(names, "b")->statement, statement);

    assert_null(statement_cache_use(cache, statement));
    statement_cache_add(&cache, statement);
    assert_true(*statement_cache_use(cache, statement) == STATEMENT_SHAPE_UNKNOWN);
    *statement_cache_use(cache, statement) = 8;
    assert_true(*statement_cache_use(cache, statement) == 8);

    statement_names_clear(&names);
    statement_cache_clear(&cache);
    statement_release(&statement);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_types_and_modifiers_count),
        cmocka_unit_test(tables_and_formats_do_not),
        cmocka_unit_test(borders_between_names_count),
        cmocka_unit_test(no_columns_are_not_no_rows),
        cmocka_unit_test(body_that_ends_early_is_read_no_further),
        cmocka_unit_test(names_and_caches_keep_it),
    };
    return cmocka_run_group_tests_name("statement_shape", tests, NULL, NULL);
}
