#include "admin/console.h"

static void begin(struct console_request *request, struct worker *worker)
{
    (void)worker;
    console_request_actions(request)->shutdown();
}

const struct console_command console_shutdown = {
    .words = "SHUTDOWN", .begin = begin, .tag = "SHUTDOWN"};
