#include "state/pin.h"

#include <stdio.h>
#include <string.h>

static const struct {
    enum pin pin;
    const char *name;
    const char *effect;  /* as in "because of …" */
    const char *way_out; /* an error's hint */
} pin_names[] = {
    {PIN_TEMPORARY, "TEMPORARY", "a temporary table or another temporary object",
     "Create it with ON COMMIT DROP, or use mode = session."},
    {PIN_ADVISORY, "ADVISORY", "a session-level advisory lock",
     "Use pg_advisory_xact_lock() and its kin, whose locks end with the transaction."},
    {PIN_CURSOR, "CURSOR", "a cursor WITH HOLD", "Use a cursor without HOLD within a transaction."},
    {PIN_PREPARE, "PREPARE", "a statement that PREPARE has made", NULL},
    {PIN_LISTEN, "LISTEN", "LISTEN", NULL},
    {PIN_LOAD, "LOAD", "a library that LOAD has loaded",
     "Name it in shared_preload_libraries or session_preload_libraries of the server."},
    {PIN_SETTING, "SETTING", "a setting whose name is not in the text of the statement",
     "Write the setting's name as a plain constant, or set it for the transaction only."},
    {PIN_SEQUENCE, "SEQUENCE", "currval() or lastval()",
     "Use INSERT ... RETURNING, or ask within the transaction that has drawn the value."},
    {PIN_SEED, "SEED", "the seed of random()", NULL},
    {PIN_FUNCTION, "FUNCTION", "a function that session_functions lists", NULL},
};

#define PIN_COUNT (sizeof pin_names / sizeof pin_names[0])

unsigned pin_of_name(const char *name)
{
    for (size_t i = 0; i < PIN_COUNT; i++) {
        if (strcmp(pin_names[i].name, name) == 0)
            return pin_names[i].pin;
    }
    return 0;
}

void pin_format(unsigned pins, char text[PIN_TEXT_SIZE])
{
    size_t length = 0;
    text[0] = '\0';
    for (size_t i = 0; i < PIN_COUNT; i++) {
        if ((pins & pin_names[i].pin) != 0)
            length += (size_t)snprintf(text + length, PIN_TEXT_SIZE - length, "%s%s",
                                       length > 0 ? "," : "", pin_names[i].name);
    }
}

const char *pin_effect(unsigned pins)
{
    for (size_t i = 0; i < PIN_COUNT; i++) {
        if ((pins & pin_names[i].pin) != 0)
            return pin_names[i].effect;
    }
    return "nothing";
}

const char *pin_way_out(unsigned pins)
{
    for (size_t i = 0; i < PIN_COUNT; i++) {
        if ((pins & pin_names[i].pin) != 0)
            return pin_names[i].way_out;
    }
    return NULL;
}
