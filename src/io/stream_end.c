#include "io/stream.h"

#include <errno.h>
#include <sys/socket.h>

bool stream_peer(const struct stream *stream, struct address *peer)
{
    peer->length = sizeof peer->storage;
    return getpeername(stream->descriptor, &peer->any, &peer->length) == 0;
}

bool stream_finish(struct stream *stream)
{
    if (stream_is_blocked(stream))
        return true;
    return shutdown(stream->descriptor, SHUT_WR) == 0 || errno == ENOTCONN;
}
