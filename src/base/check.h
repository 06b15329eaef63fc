/*
 * check.h: invariants that stay on in production.
 *
 * check() is for what only a bug of ours can break; what a peer, a file or the kernel can cause is
 * handled, never checked. A failed check logs severity PANIC with file and line and aborts.
 */
#ifndef PGSLUICE_BASE_CHECK_H
#define PGSLUICE_BASE_CHECK_H

#include <stddef.h>
#include <stdint.h>

_Noreturn void check_failed(const char *expression, const char *file, int line);

#define check(expression)                                                                          \
    (__builtin_expect(!!(expression), 1) ? (void)0 : check_failed(#expression, __FILE__, __LINE__))

/* The struct that holds member, from a pointer to the member. */
#define container_of(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))

/*
 * Checked cast of a void pointer: every object that passes through a void * starts with a
 * `uint32_t magic`, set once at its birth and cleared at its death.
 */
#define object_cast(type, pointer, MAGIC)                                                          \
    ({                                                                                             \
        type *object_cast_result = (pointer);                                                      \
        check(object_cast_result != NULL && object_cast_result->magic == (MAGIC));                 \
        object_cast_result;                                                                        \
    })

#endif
