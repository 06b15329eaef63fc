/* sim_ledger.h: which tokens were run, committed, cancelled. */
#ifndef PGSLUICE_TESTS_SIM_LEDGER_H
#define PGSLUICE_TESTS_SIM_LEDGER_H

#include <stdbool.h>

#define SIM_MOST_CLIENTS 64
#define SIM_MOST_TOKENS 512 /* of each client */

struct sim_token_entry {
    unsigned short runs;
    bool committed;
};

struct sim_ledger {
    struct sim_token_entry entries[SIM_MOST_CLIENTS][SIM_MOST_TOKENS];
};

void sim_ledger_clear(struct sim_ledger *ledger);
/* "c3.17": client 3's 17th. */
unsigned sim_token_client(const char *token);
struct sim_token_entry *sim_ledger_entry(struct sim_ledger *ledger, const char *token);

#endif
