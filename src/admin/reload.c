#include "admin/console.h"

static void done(void *context, const char *problems)
{
    console_request_finish(context, problems);
}

static void begin(struct console_request *request, struct worker *worker)
{
    (void)worker;
    console_request_actions(request)->reload(done, request);
}

const struct console_command console_reload = {
    .words = "RELOAD", .begin = begin, .tag = "RELOAD", .is_deferred = true};
