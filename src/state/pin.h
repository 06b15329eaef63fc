/*
 * pin.h: why a client keeps its server connection beyond its transaction: what its session is made
 * of there cannot be moved. A set of reasons is a bit mask.
 */
#ifndef PGSLUICE_STATE_PIN_H
#define PGSLUICE_STATE_PIN_H

#include <stddef.h>

enum pin {
    PIN_TEMPORARY = 1, /* temporary tables, views, … */
    PIN_ADVISORY = 2,  /* session-level advisory locks */
    PIN_CURSOR = 4,    /* cursors WITH HOLD */
    PIN_PREPARE = 8,   /* statements prepared by SQL */
    PIN_LISTEN = 16,
    PIN_LOAD = 32,
    PIN_SETTING = 64,   /* a setting whose name only the server saw */
    PIN_SEQUENCE = 128, /* it asks for currval or lastval */
    PIN_SEED = 256,     /* setseed */
    PIN_FUNCTION = 512, /* one of session_functions */
};

/* The server can say whether these still hold; the others last as long as the client. */
#define PIN_ASKABLE (PIN_TEMPORARY | PIN_ADVISORY | PIN_CURSOR | PIN_PREPARE | PIN_LISTEN)

/* What counts against max_pinned: a LISTEN lasts no longer than its hand-over takes. */
#define PIN_COUNTS (~(unsigned)PIN_LISTEN)

/* What no DISCARD ALL undoes: the server connection is closed when the client leaves it. */
#define PIN_CLOSES (PIN_LOAD | PIN_SEED | PIN_FUNCTION)

/* Room for pin_format's longest answer. */
#define PIN_TEXT_SIZE 100

/* "TEMPORARY", "ADVISORY", …: the reason of that name, or 0. */
unsigned pin_of_name(const char *name);
/* The reasons' names, comma-separated; "" for none. */
void pin_format(unsigned pins, char text[PIN_TEXT_SIZE]);
/* What the first of the reasons is, as in "because of a cursor WITH HOLD". */
const char *pin_effect(unsigned pins);
/* What an application may do instead, as an error's hint; or NULL. */
const char *pin_way_out(unsigned pins);

#endif
