#include "admin/console.h"
#include "pg/reply.h"

#include "config.h"

static void begin(struct console_request *request, struct worker *worker)
{
    static const struct reply_column columns[] = {{"version", REPLY_TEXT}};
    const char *values[] = {PACKAGE_STRING};
    (void)worker;
    reply_row_description(console_request_reply(request), columns, 1);
    reply_data_row(console_request_reply(request), values, 1);
}

const struct console_command console_show_version = {
    .words = "SHOW VERSION", .begin = begin, .tag = "SHOW"};
