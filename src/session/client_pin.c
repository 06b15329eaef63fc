#include "session/client_pin.h"
#include "base/log.h"
#include "base/memory.h"
#include "config/settings.h"
#include "io/loop.h"
#include "pg/failure.h"
#include "pg/reply.h"
#include "pg/sqlstate.h"
#include "session/client.h"
#include "session/server.h"
#include "session/worker.h"

#include <stdlib.h>

bool client_pin_is_denied(const struct client *client)
{
    return client->settings->pin == SETTINGS_PIN_DENY;
}

bool client_pin_holds(const struct client *client)
{
    return (client->pins & PIN_COUNTS) != 0;
}

bool client_pin_reserve(struct client *client)
{
    if (!client->pin_counted)
        client->pin_counted = pool_pin(client->pool, false);
    return client->pin_counted;
}

bool client_pin_may_hold(struct client *client)
{
    return client_pin_holds(client) ||
           (!client_pin_is_denied(client) && client_pin_reserve(client));
}

static void pin_warn(struct client *client)
{
    if (client->pin_warned || client->settings->pin != SETTINGS_PIN_WARN)
        return;
    client->pin_warned = true;
    char *text = memory_printf(
        "this session keeps a server connection of the pool of database \"%s\", user \"%s\" (%u of "
        "%u) because of %s",
        client->settings->database, client->settings->user, pool_pinned(client->pool),
        pool_max_pinned(client->pool), pin_effect(client->pins & PIN_COUNTS));
    struct buffer notice = {0};
    reply_notice(&notice, "WARNING", SQLSTATE_WARNING, text);
    (void)client_send(client, &notice);
    buffer_release(&notice);
    free(text);
}

static void pin_log_begin(struct client *client)
{
    char prefix[CLIENT_PREFIX_SIZE];
    char reasons[PIN_TEXT_SIZE];
    client_prefix(client, prefix);
    pin_format(client->pins, reasons);
    log_write(client->settings->pin == SETTINGS_PIN_WARN ? LOG_SEVERITY_WARNING : LOG_SEVERITY_INFO,
              prefix,
              "keeps server connection %u because of %s (%s); pinned clients of the pool: "
              "%u of %u",
              client->server->backend_pid, pin_effect(client->pins & PIN_COUNTS), reasons,
              pool_pinned(client->pool), pool_max_pinned(client->pool));
}

static void pin_log_end(struct client *client)
{
    char prefix[CLIENT_PREFIX_SIZE];
    client_prefix(client, prefix);
    log_info(prefix, "is no longer pinned, after %.1f s",
             (double)(loop_now(client->worker->loop) - client->pinned_at) / 1e6);
}

void client_pin_set(struct client *client, unsigned pins)
{
    unsigned before = client->pins;
    client->pins = (uint16_t)pins;
    if ((pins & PIN_CLOSES) != 0)
        client->server->retire = true;
    if (((before & PIN_COUNTS) == 0) == ((pins & PIN_COUNTS) == 0))
        return;
    if ((pins & PIN_COUNTS) == 0) {
        pin_log_end(client);
        return;
    }
    client->pinned_at = loop_now(client->worker->loop);
    if (!client->pin_counted)
        client->pin_counted = pool_pin(client->pool, true);
    pin_log_begin(client);
    pin_warn(client);
}

void client_pin_let_go(struct client *client)
{
    if (client_pin_holds(client))
        pin_log_end(client);
    client->pins = 0;
    if (client->pin_counted)
        pool_unpin(client->pool);
    client->pin_counted = false;
}

static struct failure *pin_refusal_denied(const struct client *client, unsigned pins,
                                          const char *name)
{
    char *message =
        memory_printf("the statement would keep its server connection because of %s%s%s",
                      pin_effect(pins), name != NULL ? ": " : "", name != NULL ? name : "");
    char *detail = memory_printf("pin = deny holds for database \"%s\", user \"%s\".",
                                 client->settings->database, client->settings->user);
    struct failure *failure =
        failure_new(SQLSTATE_FEATURE_NOT_SUPPORTED, message, detail, pin_way_out(pins));
    free(message);
    free(detail);
    return failure;
}

static struct failure *pin_refusal_full(const struct client *client, unsigned pins,
                                        const char *name)
{
    char *message = memory_printf(
        "no more clients may keep their server connections, as this one would because of %s%s%s",
        pin_effect(pins), name != NULL ? ": " : "", name != NULL ? name : "");
    char *detail = memory_printf(
        "In the pool of database \"%s\", user \"%s\", %u clients do; max_pinned is %u.",
        client->settings->database, client->settings->user, pool_pinned(client->pool),
        pool_max_pinned(client->pool));
    struct failure *failure =
        failure_new(SQLSTATE_CONFIGURATION_LIMIT_EXCEEDED, message, detail, pin_way_out(pins));
    free(message);
    free(detail);
    return failure;
}

struct failure *client_pin_refusal(struct client *client, unsigned pins, const char *name)
{
    struct failure *failure = client_pin_is_denied(client) ? pin_refusal_denied(client, pins, name)
                                                           : pin_refusal_full(client, pins, name);
    char prefix[CLIENT_PREFIX_SIZE];
    client_prefix(client, prefix);
    log_warning(prefix, "%s: %s; %s", failure->sqlstate, failure->message, failure->detail);
    return failure;
}
