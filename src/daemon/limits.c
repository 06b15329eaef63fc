#include "daemon/limits.h"

#include "base/log.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>

/* Listeners, loops, logs, server and cancel connections beside the clients. */
#define LIMITS_RESERVE 512

void limits_raise(const struct config *config)
{
    struct rlimit limit;
    rlim_t wanted = (rlim_t)config->max_clients + LIMITS_RESERVE;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted)
        return;
    rlim_t hard = limit.rlim_max;
    limit.rlim_cur = wanted < hard ? wanted : hard;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
        log_warning(NULL, "cannot raise the limit of open files: %s", strerror(errno));
        return;
    }
    if (limit.rlim_cur < wanted)
        log_warning(NULL,
                    "the hard limit of open files is %llu: max_clients = %u needs %llu; clients "
                    "that find no descriptor are refused",
                    (unsigned long long)hard, config->max_clients, (unsigned long long)wanted);
}
