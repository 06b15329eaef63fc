/* url_text.h: a url's text made ready for libpq, and libpq's answer made fit to be shown. */
#ifndef PGSLUICE_CONFIG_URL_TEXT_H
#define PGSLUICE_CONFIG_URL_TEXT_H

#include <stddef.h>

/*
 * The text with SQLAlchemy's schemes turned into libpq's; the caller wipes it. NULL: a scheme of
 * another kind, or a parameter that stands twice (libpq would drop one); `problem` says which.
 */
char *url_text_for_libpq(const char *text, char *problem, size_t size)
    __attribute__((warn_unused_result));
/* What libpq said against a url, without what may hold a password. */
void url_text_explain(const char *message, char *problem, size_t size);

#endif
