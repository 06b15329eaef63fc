/*
 * prepared.c: a pair's value is "k", the shape and the context in sixteen hexadecimal digits each,
 * then the text.
 */
#include "state/prepared.h"

#include "state/guc.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEADER_SIZE 33
static const char kinds[] = {
    [PREPARED_FOLLOWS] = 'f', [PREPARED_STAYS] = 's', [PREPARED_BROKEN] = 'b'};

bool prepared_is(const char *pair_name)
{
    return strncmp(pair_name, PREPARED_PREFIX, sizeof PREPARED_PREFIX - 1) == 0;
}

const char *prepared_find(const struct guc_set *set, const char *name)
{
    struct buffer pair_name = {0};
    buffer_append(&pair_name, PREPARED_PREFIX, sizeof PREPARED_PREFIX - 1);
    buffer_append(&pair_name, name, strlen(name) + 1);
    const char *value = guc_find(set, (const char *)buffer_bytes(&pair_name));
    buffer_release(&pair_name);
    return value != NULL ? prepared_read(value).text : NULL;
}

bool prepared_any(const struct guc_set *set)
{
    const struct pairs *pairs = guc_pairs(set);
    for (size_t i = 0; i < pairs->count; i++) {
        if (prepared_is(pairs->items[i].name))
            return true;
    }
    return false;
}

void prepared_write(struct buffer *value, const struct prepared *prepared)
{
    char header[HEADER_SIZE + 1];
    snprintf(header, sizeof header, "%c%016" PRIx64 "%016" PRIx64, kinds[prepared->kind],
             prepared->shape, prepared->context);
    buffer_append(value, header, HEADER_SIZE);
    buffer_append(value, prepared->text, strlen(prepared->text) + 1);
}

/* Sixteen hexadecimal digits. */
static uint64_t read_number(const char *digits)
{
    char number[17];
    memcpy(number, digits, 16);
    number[16] = '\0';
    return strtoull(number, NULL, 16);
}

struct prepared prepared_read(const char *value)
{
    struct prepared prepared = {.kind = PREPARED_STAYS, .text = value};
    if (strlen(value) < HEADER_SIZE)
        return prepared;
    for (size_t i = 0; i < sizeof kinds; i++) {
        if (value[0] == kinds[i])
            prepared.kind = (enum prepared_kind)i;
    }
    prepared.shape = read_number(value + 1);
    prepared.context = read_number(value + 17);
    prepared.text = value + HEADER_SIZE;
    return prepared;
}
