#include "admin/console.h"

/* The answer goes into the mailbox of the client's worker ahead of the order to drain: the client
 * reads it before it is told to go. */
static void begin(struct console_request *request, struct worker *worker)
{
    const struct console_actions *actions = console_request_actions(request);
    (void)worker;
    console_request_finish(request, NULL);
    actions->shutdown();
}

const struct console_command console_shutdown = {
    .words = "SHUTDOWN", .begin = begin, .tag = "SHUTDOWN", .is_deferred = true};
