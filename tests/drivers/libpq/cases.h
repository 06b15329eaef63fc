/* The cases of the driver matrix, each run by every client's thread at the same time. */

#ifndef DRIVERS_LIBPQ_CASES_H
#define DRIVERS_LIBPQ_CASES_H

struct client;

void case_crud(struct client *client);
void case_types(struct client *client);
void case_statements(struct client *client);
void case_batch(struct client *client);
void case_copy(struct client *client);
void case_transactions(struct client *client);
void case_pipeline_errors(struct client *client);
void case_large_rows(struct client *client);
void case_cancel(struct client *client);
void case_notify(struct client *client);
void case_session_set(struct client *client);
void case_schema_change(struct client *client);

#endif
