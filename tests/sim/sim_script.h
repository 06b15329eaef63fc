/* sim_script.h: what a model client sends: random units of messages, as drivers make them. */
#ifndef PGSLUICE_TESTS_SIM_SCRIPT_H
#define PGSLUICE_TESTS_SIM_SCRIPT_H

#include "base/buffer.h"

#include <stdbool.h>

#define SIM_NAMES 3

struct sim_script {
    unsigned client;
    unsigned tokens;    /* given out */
    bool in_block;      /* a BEGIN was sent, and no end of it */
    bool unsynced;      /* extended messages were sent, and no Sync */
    bool may_reset;     /* RESET and DISCARD ALL: it came with no settings of its own */
    bool early_sync;    /* its COPY IN has a Sync behind the Execute, as with libpq */
    bool block_is_long; /* likes long transactions */
    bool prepared[SIM_NAMES];
};

void sim_script_start(struct sim_script *script, unsigned client);
/* Appends one unit; a unit that is `last` leaves no transaction and no COPY open. */
void sim_script_unit(struct sim_script *script, struct buffer *out);
void sim_script_last_unit(struct sim_script *script, struct buffer *out);

#endif
