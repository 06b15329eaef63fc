/* sim_ledger.c: tokens are found by their two numbers. */
#include "sim_ledger.h"

#include "sim_trace.h"

#include <stdio.h>
#include <string.h>

void sim_ledger_clear(struct sim_ledger *ledger)
{
    memset(ledger, 0, sizeof *ledger);
}

static void split(const char *token, unsigned *client, unsigned *number)
{
    if (sscanf(token, "c%u.%u", client, number) != 2 || *client >= SIM_MOST_CLIENTS ||
        *number >= SIM_MOST_TOKENS)
        sim_fail("not a token: %s", token);
}

unsigned sim_token_client(const char *token)
{
    unsigned client, number;
    split(token, &client, &number);
    return client;
}

struct sim_token_entry *sim_ledger_entry(struct sim_ledger *ledger, const char *token)
{
    unsigned client, number;
    split(token, &client, &number);
    return &ledger->entries[client][number];
}
