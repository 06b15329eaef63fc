#include "config/url_rules.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/*
 * What would only make things quicker or quieter is a warning when it is left out; what guards
 * something (encryption, who the server is) is an error, because leaving it out would be unsafe.
 */
struct rule {
    const char *keyword;
    const char *fine; /* values that need no word, with blanks around each; NULL: all are */
    enum url_rules_verdict verdict; /* on the others */
    const char *text;
};

#define NO_TLS_YET "TLS to servers is not there yet; "
#define TCP_KEYS "has no effect in a url; the tcp_… keys of [pgsluice] are for all connections"

static const struct rule rules[] = {
    {"host", NULL, URL_RULES_FINE, NULL},
    {"hostaddr", NULL, URL_RULES_FINE, NULL},
    {"port", NULL, URL_RULES_FINE, NULL},
    {"dbname", NULL, URL_RULES_FINE, NULL},
    {"user", NULL, URL_RULES_FINE, NULL},
    {"password", NULL, URL_RULES_FINE, NULL},
    {"passfile", NULL, URL_RULES_FINE, NULL},
    {"service", NULL, URL_RULES_FINE, NULL},
    {"connect_timeout", NULL, URL_RULES_FINE, NULL},
    {"client_encoding", NULL, URL_RULES_FINE, NULL},
    {"options", NULL, URL_RULES_FINE, NULL},
    {"application_name", NULL, URL_RULES_FINE, NULL},
    {"fallback_application_name", NULL, URL_RULES_FINE, NULL},
    {"target_session_attrs", NULL, URL_RULES_FINE, NULL},

    {"sslmode", " disable allow prefer ", URL_RULES_ERROR,
     NO_TLS_YET "expected disable, allow or prefer"},
    {"channel_binding", " disable prefer ", URL_RULES_ERROR,
     NO_TLS_YET "expected disable or prefer"},
    {"sslnegotiation", " postgres ", URL_RULES_ERROR, NO_TLS_YET "expected postgres"},
    {"gssencmode", " disable prefer ", URL_RULES_ERROR,
     "GSSAPI encryption is not there; expected disable or prefer"},
    {"requirepeer", "", URL_RULES_ERROR, "pgsluice cannot check the server's user yet"},
    {"require_auth", "", URL_RULES_ERROR, "pgsluice cannot demand a method of the server yet"},
    {"replication", " false off no 0 ", URL_RULES_ERROR,
     "replication connections cannot be pooled"},

    {"sslcert", "", URL_RULES_WARNING, NO_TLS_YET "this has no effect"},
    {"sslkey", "", URL_RULES_WARNING, NO_TLS_YET "this has no effect"},
    {"sslpassword", "", URL_RULES_WARNING, NO_TLS_YET "this has no effect"},
    {"sslrootcert", "", URL_RULES_WARNING, NO_TLS_YET "this has no effect"},
    {"sslcrl", "", URL_RULES_WARNING, NO_TLS_YET "this has no effect"},
    {"sslcrldir", "", URL_RULES_WARNING, NO_TLS_YET "this has no effect"},
    {"sslcertmode", " disable allow ", URL_RULES_ERROR, NO_TLS_YET "expected disable or allow"},
    {"sslcompression", " 0 ", URL_RULES_WARNING, NO_TLS_YET "this has no effect"},
    {"sslsni", " 0 1 ", URL_RULES_WARNING, NO_TLS_YET "this has no effect"},
    {"ssl_min_protocol_version", "", URL_RULES_WARNING, NO_TLS_YET "this has no effect"},
    {"ssl_max_protocol_version", "", URL_RULES_WARNING, NO_TLS_YET "this has no effect"},
    {"krbsrvname", " postgres ", URL_RULES_WARNING, "GSSAPI is not there; this has no effect"},
    {"gsslib", "", URL_RULES_WARNING, "GSSAPI is not there; this has no effect"},
    {"gssdelegation", " 0 ", URL_RULES_WARNING, "GSSAPI is not there; this has no effect"},
    {"keepalives", " 1 ", URL_RULES_WARNING, TCP_KEYS},
    {"keepalives_idle", "", URL_RULES_WARNING, TCP_KEYS},
    {"keepalives_interval", "", URL_RULES_WARNING, TCP_KEYS},
    {"keepalives_count", "", URL_RULES_WARNING, TCP_KEYS},
    {"tcp_user_timeout", "", URL_RULES_WARNING, TCP_KEYS},
    {"load_balance_hosts", " disable ", URL_RULES_WARNING,
     "has no effect; hosts are tried in the order in which they are written"},
};

static bool is_among(const char *words, const char *value)
{
    const char *found = strstr(words, value);
    size_t length = strlen(value);
    return found != NULL && found > words && found[-1] == ' ' && found[length] == ' ';
}

enum url_rules_verdict url_rules_judge(const char *keyword, const char *value, const char **text)
{
    for (size_t i = 0; i < sizeof(rules) / sizeof(*rules); i++) {
        if (strcmp(keyword, rules[i].keyword) != 0)
            continue;
        if (rules[i].fine == NULL || is_among(rules[i].fine, value))
            return URL_RULES_FINE;
        *text = rules[i].text;
        return rules[i].verdict;
    }
    *text = "pgsluice does not honour this parameter of libpq";
    return URL_RULES_ERROR;
}
