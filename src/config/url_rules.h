/* url_rules.h: which of libpq's connection parameters pgsluice honours. */
#ifndef PGSLUICE_CONFIG_URL_RULES_H
#define PGSLUICE_CONFIG_URL_RULES_H

enum url_rules_verdict { URL_RULES_FINE, URL_RULES_WARNING, URL_RULES_ERROR };

/* `text` says why where the verdict is not fine (a literal). Keywords not known are an error. */
enum url_rules_verdict url_rules_judge(const char *keyword, const char *value, const char **text);

#endif
