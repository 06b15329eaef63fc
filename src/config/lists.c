#include "config/lists.h"

#include "base/memory.h"
#include "config/config.h"
#include "config/settings.h"
#include "config/units.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

/* What PostgreSQL's clients append to the folder, at its longest. */
#define SOCKET_NAME "/.s.PGSQL.65535"

/* Takes one trimmed item off a comma-separated list; the caller frees it. NULL at the end. */
static char *take_item(const char **text)
{
    if (**text == '\0')
        return NULL;
    const char *from = *text;
    size_t length = strcspn(from, ",");
    *text = from[length] == ',' ? from + length + 1 : from + length;
    while (length > 0 && isspace((unsigned char)*from)) {
        from++;
        length--;
    }
    while (length > 0 && isspace((unsigned char)from[length - 1]))
        length--;
    return length > 0 ? memory_string_of(from, length) : memory_string("");
}

static bool is_numeric(int family, const char *address)
{
    unsigned char bytes[sizeof(struct in6_addr)];
    return inet_pton(family, address, bytes) == 1;
}

static bool parse_port(const char *text, unsigned *port)
{
    int64_t value;
    if (!units_parse_number(text, &value) || value < 1 || value > 65535)
        return false;
    *port = (unsigned)value;
    return true;
}

/* Splits "[address]:port", "address:port" or "address" in place; a bare IPv6 address has no port.
 */
static bool split_port(char *item, char **address, unsigned *port)
{
    char *colon;
    *address = item;
    *port = 0;
    if (*item == '[') {
        char *end = strchr(item, ']');
        if (end == NULL || (end[1] != '\0' && end[1] != ':'))
            return false;
        *end = '\0';
        *address = item + 1;
        if (!is_numeric(AF_INET6, *address))
            return false;
        colon = end + 1;
    } else {
        colon = strchr(item, ':');
        if (colon == NULL || strchr(colon + 1, ':') != NULL)
            return true;
    }
    if (*colon == '\0' && colon > item)
        return *item == '[' || colon[-1] != ':';
    *colon = '\0';
    return parse_port(colon + 1, port);
}

static bool parse_place(char *item, struct config_listen *place)
{
    char *address;
    if (*item == '/') {
        if (strlen(item) + sizeof(SOCKET_NAME) > sizeof(((struct sockaddr_un *)0)->sun_path))
            return false;
        *place = (struct config_listen){.address = memory_string(item), .is_unix = true};
        return true;
    }
    if (!split_port(item, &address, &place->port))
        return false;
    if (strcmp(address, "*") != 0 && !is_numeric(AF_INET, address) &&
        !is_numeric(AF_INET6, address))
        return false;
    place->address = memory_string(address);
    return true;
}

static void clear_listen(struct config *config)
{
    for (size_t i = 0; i < config->listen_count; i++)
        free(config->listen[i].address);
    free(config->listen);
    config->listen = NULL;
    config->listen_count = 0;
}

static bool same_place(const struct config_listen *one, const struct config_listen *other)
{
    return one->is_unix == other->is_unix && one->port == other->port &&
           strcmp(one->address, other->address) == 0;
}

static bool add_place(struct config *config, const char *text, char *problem, size_t size)
{
    struct config_listen place = {0};
    char *copy = memory_string(text);
    bool is_good = parse_place(copy, &place);
    free(copy);
    if (!is_good) {
        snprintf(problem, size,
                 "expected numeric addresses (127.0.0.1, [::1]:6433, *) and folders for Unix "
                 "sockets, with commas between them; this is none: \"%.100s\"",
                 text);
        return false;
    }
    for (size_t i = 0; i < config->listen_count; i++) {
        if (same_place(&config->listen[i], &place)) {
            snprintf(problem, size, "expected each place once, got \"%.100s\" twice", text);
            free(place.address);
            return false;
        }
    }
    config->listen =
        memory_resize(config->listen, (config->listen_count + 1) * sizeof(*config->listen));
    config->listen[config->listen_count++] = place;
    return true;
}

bool lists_set_listen(void *target, const char *text, char *problem, size_t size)
{
    struct config *config = target;
    clear_listen(config);
    char *item;
    bool is_good = true;
    while (is_good && (item = take_item(&text)) != NULL) {
        is_good = add_place(config, item, problem, size);
        free(item);
    }
    if (is_good && config->listen_count == 0) {
        snprintf(problem, size, "expected at least one address or folder");
        return false;
    }
    return is_good;
}

static void clear_admin_users(struct config *config)
{
    for (size_t i = 0; i < config->admin_user_count; i++)
        free(config->admin_users[i]);
    free(config->admin_users);
    config->admin_users = NULL;
    config->admin_user_count = 0;
}

bool lists_set_admin_users(void *target, const char *text, char *problem, size_t size)
{
    struct config *config = target;
    clear_admin_users(config);
    char *item;
    while ((item = take_item(&text)) != NULL) {
        if (*item == '\0') {
            snprintf(problem, size, "expected user names, with commas between them");
            free(item);
            return false;
        }
        config->admin_users = memory_resize(config->admin_users, (config->admin_user_count + 1) *
                                                                     sizeof(*config->admin_users));
        config->admin_users[config->admin_user_count++] = item;
    }
    return true;
}

void lists_clear(struct config *config)
{
    clear_listen(config);
    clear_admin_users(config);
}

void lists_clear_session_functions(struct settings *settings)
{
    for (size_t i = 0; i < settings->session_function_count; i++)
        free(settings->session_functions[i]);
    free(settings->session_functions);
    settings->session_functions = NULL;
    settings->session_function_count = 0;
    settings->session_functions_serial = 0;
}

/* In place: as PostgreSQL folds an unquoted identifier. False where it is none. */
static bool fold_identifier(char *name)
{
    if (*name == '\0' || isdigit((unsigned char)*name))
        return false;
    for (char *at = name; *at != '\0'; at++) {
        unsigned char letter = (unsigned char)*at;
        if (letter < 0x80 && !isalnum(letter) && letter != '_' && letter != '$')
            return false;
        if (letter < 0x80)
            *at = (char)tolower(letter);
    }
    return true;
}

bool lists_set_session_functions(void *target, const char *text, char *problem, size_t size)
{
    static atomic_uint_fast64_t serials;
    struct settings *settings = target;
    lists_clear_session_functions(settings);
    char *item;
    while ((item = take_item(&text)) != NULL) {
        if (!fold_identifier(item)) {
            snprintf(problem, size,
                     "expected names of functions without their schemas, with commas between "
                     "them; this is none: \"%.100s\"",
                     item);
            free(item);
            return false;
        }
        size_t count = settings->session_function_count++;
        settings->session_functions =
            memory_resize(settings->session_functions, (count + 1) * sizeof(char *));
        settings->session_functions[count] = item;
    }
    if (settings->session_function_count > 0)
        settings->session_functions_serial = atomic_fetch_add(&serials, 1) + 1;
    return true;
}
