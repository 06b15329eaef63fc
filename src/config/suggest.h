/* suggest.h: the known word that a misspelt one was probably meant to be. */
#ifndef PGSLUICE_CONFIG_SUGGEST_H
#define PGSLUICE_CONFIG_SUGGEST_H

#include <stddef.h>

/* The candidate nearest to the word by edit distance (case folded), or NULL: none is near. */
const char *suggest_nearest(const char *word, const char *const *candidates, size_t count);

#endif
