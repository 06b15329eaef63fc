/* sim_stream.h: the events of simulated streams and lookups (src/io/stream.h, resolver.h). */
#ifndef PGSLUICE_TESTS_SIM_STREAM_H
#define PGSLUICE_TESTS_SIM_STREAM_H

#include <stdbool.h>

struct address;
struct loop;
struct resolver;
struct sim_end;
struct stream;

/* What becomes of a stream_connect. */
enum sim_connect_answer { SIM_CONNECT_SILENT, SIM_CONNECT_REFUSED, SIM_CONNECT_ACCEPTED };
struct sim_network {
    enum sim_connect_answer (*answer)(const struct address *address);
    /* `end` is the server's from now on. */
    void (*accept)(const struct address *address, struct sim_end *end);
    /* An errno with which the attempt fails at once, or 0. */
    int (*fail_at_once)(void);
    unsigned rooms[2]; /* least and most bytes that a pipe to or from a server takes */
};
void sim_stream_use_network(const struct sim_network *network);

/* Its loop, or NULL. */
struct loop *sim_stream_loop(const struct stream *stream);
bool sim_stream_wants_read(const struct stream *stream);
bool sim_stream_wants_write(const struct stream *stream);
bool sim_stream_wants_connect(const struct stream *stream);
void sim_stream_read_event(struct stream *stream);
void sim_stream_write_event(struct stream *stream);
void sim_stream_connect_event(struct stream *stream);

bool sim_resolver_has_answer(const struct resolver *resolver);
void sim_resolver_answer(struct resolver *resolver);

#endif
