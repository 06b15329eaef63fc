/*
 * sim_wire.h: connections as two byte pipes in memory. An end that pgsluice holds has a descriptor;
 * the others belong to model clients and model servers.
 */
#ifndef PGSLUICE_TESTS_SIM_WIRE_H
#define PGSLUICE_TESTS_SIM_WIRE_H

#include "base/buffer.h"

#include <stdbool.h>
#include <stddef.h>

struct stream;

struct sim_end {
    struct sim_end *peer;
    struct buffer in;      /* sent by the peer, not yet read here */
    size_t room;           /* how much of it there may be */
    bool ended;            /* nothing more comes */
    bool broken;           /* ECONNRESET, told once, when `in` is empty */
    bool closed;           /* this end */
    bool finished;         /* this end sends nothing more */
    int descriptor;        /* or -1 */
    struct stream *stream; /* pgsluice's, or NULL */
};

/* Two connected ends: the one that is returned, and its peer. */
struct sim_end *sim_wire_new(size_t room);
/* Ends that are not closed yet, over all. */
unsigned sim_wire_open_count(void);

/* Up to capacity bytes; 0: none there. */
size_t sim_end_read(struct sim_end *end, void *bytes, size_t capacity);
/* Takes what there is room for, or a part of that. 0: done, *taken may be 0; or an errno. */
int sim_end_write(struct sim_end *end, const void *bytes, size_t size, size_t *taken);
bool sim_end_is_readable(const struct sim_end *end);
bool sim_end_is_writable(const struct sim_end *end);
void sim_end_finish(struct sim_end *end);
/* The peer reads the end of file after what was sent; a reset where bytes lie unread here. */
void sim_end_close(struct sim_end *end);
/* As after a crash or a cut: the peer reads ECONNRESET. */
void sim_end_break(struct sim_end *end);

/* Descriptors of pgsluice's ends. */
int sim_wire_give_descriptor(struct sim_end *end);
struct sim_end *sim_wire_end(int descriptor);
/* One past the greatest descriptor. */
int sim_wire_descriptor_limit(void);

#endif
