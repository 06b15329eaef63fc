#include "admin/console.h"
#include "pg/reply.h"
#include "session/worker.h"

static void begin(struct console_request *request, struct worker *worker)
{
    static const struct reply_column columns[] = {{"key", REPLY_TEXT},
                                                  {"value", REPLY_TEXT},
                                                  {"default", REPLY_TEXT},
                                                  {"changeable", REPLY_TEXT}};
    reply_row_description(console_request_reply(request), columns, 4);
    struct config_row row;
    for (size_t i = 0; config_row(worker->config, i, &row); i++) {
        const char *values[] = {row.key, row.value, row.default_value,
                                row.changeable ? "yes" : "no"};
        reply_data_row(console_request_reply(request), values, 4);
    }
}

const struct console_command console_show_config = {
    .words = "SHOW CONFIG", .begin = begin, .tag = "SHOW"};
