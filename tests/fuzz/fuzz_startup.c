/*
 * fuzz_startup.c: any first packet, and any value of the parameter `options`. A login that is
 * accepted has the same parameters again when it is written and read back; no packet is accepted
 * before all of it is there.
 */
#include "pg/startup.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool right)
{
    if (!right)
        abort();
}

static void write_and_read_back(const struct pairs *parameters)
{
    struct buffer buffer = {0};
    struct startup again;

    startup_write_login(&buffer, parameters);
    startup_parse(buffer_bytes(&buffer), buffer_length(&buffer), &again);
    require(again.kind == STARTUP_LOGIN && again.size == buffer_length(&buffer));
    require(again.parameters.count == parameters->count);
    for (size_t i = 0; i < parameters->count; i++) {
        require(strcmp(again.parameters.items[i].name, parameters->items[i].name) == 0);
        require(strcmp(again.parameters.items[i].value, parameters->items[i].value) == 0);
    }
    pairs_clear(&again.parameters);
    buffer_release(&buffer);
}

static void check_login(const uint8_t *data, struct startup *startup)
{
    struct buffer answer = {0};

    require(startup->minor <= 0xffff);
    for (size_t i = 0; i < startup->parameters.count; i++)
        require(startup->parameters.items[i].name[0] != '\0');
    write_and_read_back(&startup->parameters);
    startup_write_negotiation(&answer, data, startup->size, 0);
    /* Header, version and count, and names where there are any. */
    require((buffer_length(&answer) > 13) == startup->unknown_protocol_options);
    buffer_release(&answer);
}

static void parse_packet(const uint8_t *data, size_t size)
{
    struct startup startup;
    struct startup shorter;

    startup_parse(data, size, &startup);
    require((startup.kind == STARTUP_BAD) == (startup.problem != NULL));
    require(startup.kind == STARTUP_LOGIN || startup.parameters.items == NULL);
    if (startup.kind == STARTUP_MORE || startup.kind == STARTUP_BAD) {
        require(startup.size == 0);
        return;
    }
    require(startup.size >= 8 && startup.size <= size && startup.size <= STARTUP_MAX_SIZE);
    startup_parse(data, startup.size - 1, &shorter);
    require(shorter.kind == STARTUP_MORE);
    if (startup.kind == STARTUP_CANCEL) {
        require(startup.cancel_key == data + 12);
        require(startup.cancel_key_length == startup.size - 12);
        require(startup.cancel_key_length >= 4 && startup.cancel_key_length <= 256);
    }
    if (startup.kind == STARTUP_LOGIN)
        check_login(data, &startup);
    pairs_clear(&startup.parameters);
}

static void split_options(const uint8_t *data, size_t size)
{
    char *options = malloc(size + 1);
    struct pairs pairs = {0};
    const char *problem = NULL;

    memcpy(options, data, size);
    options[size] = '\0';
    require(startup_split_options(options, &pairs, &problem) == (problem == NULL));
    for (size_t i = 0; i < pairs.count; i++) {
        const char *name = pairs.items[i].name;
        require(name[0] != '\0' && strpbrk(name, "-=") == NULL);
        require(pairs_find(&pairs, name) == pairs.items[i].value); /* each name once */
    }
    pairs_clear(&pairs);
    free(options);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    parse_packet(data, size);
    split_options(data, size);
    return 0;
}
