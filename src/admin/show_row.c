#include "admin/show_row.h"

#include "base/check.h"
#include "base/memory.h"
#include "pg/reply.h"

#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

void show_row_text(struct show_row *row, const char *text)
{
    check(row->count < SHOW_ROW_COLUMNS);
    row->values[row->count++] = text;
}

/* Takes the string over. */
static void show_row_own(struct show_row *row, char *text)
{
    row->owned[row->count] = text;
    show_row_text(row, text);
}

void show_row_copy(struct show_row *row, const char *text)
{
    show_row_own(row, memory_string(text));
}

void show_row_number(struct show_row *row, uint64_t number)
{
    show_row_own(row, memory_printf("%" PRIu64, number));
}

void show_row_time(struct show_row *row, microseconds when, microseconds now)
{
    struct timespec wall;
    struct tm parts;
    char text[64];
    clock_gettime(CLOCK_REALTIME, &wall);
    time_t seconds = wall.tv_sec - (time_t)((now - when) / CLOCK_SECOND);
    gmtime_r(&seconds, &parts);
    strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &parts);
    show_row_copy(row, text);
}

void show_row_address(struct show_row *row, const struct address *address)
{
    char text[ADDRESS_TEXT_SIZE] = "";
    if (address != NULL)
        address_format_host(address, text);
    show_row_copy(row, text);
    show_row_number(row, address != NULL ? address_port(address) : 0);
}

void show_row_send(struct show_row *row, struct buffer *reply)
{
    reply_data_row(reply, row->values, row->count);
    for (size_t i = 0; i < row->count; i++)
        free(row->owned[i]);
    *row = (struct show_row){0};
}
