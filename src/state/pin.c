#include "state/pin.h"

#include <stdio.h>
#include <string.h>

static const struct {
    enum pin pin;
    const char *name;
} pin_names[] = {
    {PIN_TEMPORARY, "TEMPORARY"}, {PIN_ADVISORY, "ADVISORY"}, {PIN_CURSOR, "CURSOR"},
    {PIN_PREPARE, "PREPARE"},     {PIN_LISTEN, "LISTEN"},     {PIN_LOAD, "LOAD"},
    {PIN_SETTING, "SETTING"},
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
