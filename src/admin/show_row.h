/* show_row.h: one row of a SHOW command, column by column, as text. */
#ifndef PGSLUICE_ADMIN_SHOW_ROW_H
#define PGSLUICE_ADMIN_SHOW_ROW_H

#include "base/buffer.h"
#include "base/clock.h"
#include "io/address.h"

#include <stddef.h>
#include <stdint.h>

#define SHOW_ROW_COLUMNS 40

/* Zero it, add the columns in order, send it: sending frees what it owns. */
struct show_row {
    const char *values[SHOW_ROW_COLUMNS];
    char *owned[SHOW_ROW_COLUMNS];
    size_t count;
};

/* Borrowed until show_row_send; NULL is SQL's NULL. */
void show_row_text(struct show_row *row, const char *text);
void show_row_copy(struct show_row *row, const char *text);
void show_row_number(struct show_row *row, uint64_t number);
/* A point on the monotonic clock as date and time, UTC; `now` is the present one. */
void show_row_time(struct show_row *row, microseconds when, microseconds now);
/* Two columns: address and port; NULL where there is none. */
void show_row_address(struct show_row *row, const struct address *address);
void show_row_send(struct show_row *row, struct buffer *reply);

#endif
