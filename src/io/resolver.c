#include "io/resolver.h"

#include "base/check.h"
#include "base/log.h"
#include "base/memory.h"
#include "io/loop.h"

#include <event2/dns.h>
#include <event2/util.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/stat.h>

/* More than that many addresses of one name are not looked at. */
#define RESOLVER_MOST_ADDRESSES 64

/* A file and what it looked like when it was read last; zeroes where it was missing. */
struct watched_file {
    char *path; /* owned */
    bool known; /* it was looked at */
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec modified;
};

struct resolver {
    struct loop *loop;
    struct evdns_base *dns; /* owned; NULL until a name has to be looked up */
    struct watched_file hosts;
    struct watched_file servers;
    LIST_HEAD(, resolver_lookup) lookups; /* those that will call back */
    size_t pending;                       /* lookups that evdns has, cancelled ones too */
    bool closed;                          /* goes when nothing is pending */
};

/* Freed in evdns' callback, which comes for a cancelled lookup as well. */
struct resolver_lookup {
    LIST_ENTRY(resolver_lookup) link;
    struct resolver *resolver;
    struct evdns_getaddrinfo_request *request; /* evdns' */
    resolver_callback *callback;               /* NULL when cancelled */
    void *context;
};

static void file_set_path(struct watched_file *file, const char *path)
{
    free(file->path);
    *file = (struct watched_file){.path = memory_string(path)};
}

/* True where the file is not what it was at the last call, and at the first one. */
static bool file_changed(struct watched_file *file)
{
    struct stat status;
    if (stat(file->path, &status) < 0) {
        memset(&status, 0, sizeof(status));
    }
    struct watched_file now = {.path = file->path,
                               .known = true,
                               .device = status.st_dev,
                               .inode = status.st_ino,
                               .size = status.st_size,
                               .modified = status.st_mtim};
    bool changed = !file->known || now.device != file->device || now.inode != file->inode ||
                   now.size != file->size || now.modified.tv_sec != file->modified.tv_sec ||
                   now.modified.tv_nsec != file->modified.tv_nsec;
    *file = now;
    return changed;
}

static void on_evdns_log(int is_warning, const char *text)
{
    log_write(is_warning ? LOG_SEVERITY_WARNING : LOG_SEVERITY_DEBUG, "resolver", "%s", text);
}

static void set_up_evdns(void)
{
    evdns_set_log_fn(on_evdns_log);
}

struct resolver *resolver_new(struct loop *loop)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, set_up_evdns);
    struct resolver *resolver = memory_new(struct resolver);
    resolver->loop = loop;
    LIST_INIT(&resolver->lookups);
    resolver_set_files(resolver, "/etc/hosts", "/etc/resolv.conf");
    return resolver;
}

void resolver_set_files(struct resolver *resolver, const char *hosts, const char *servers)
{
    file_set_path(&resolver->hosts, hosts);
    file_set_path(&resolver->servers, servers);
}

static void resolver_release(void *object)
{
    struct resolver *resolver = object;
    if (resolver->dns != NULL) {
        evdns_base_free(resolver->dns, 0);
    }
    free(resolver->hosts.path);
    free(resolver->servers.path);
    free(resolver);
}

/* evdns still uses its base after a callback: it goes at the end of the turn. */
static void release_when_idle(struct resolver *resolver)
{
    if (resolver->closed && resolver->pending == 0) {
        loop_defer(resolver->loop, resolver_release, resolver);
    }
}

void resolver_free(struct resolver *resolver)
{
    if (resolver == NULL) {
        return;
    }
    struct resolver_lookup *lookup;
    while ((lookup = LIST_FIRST(&resolver->lookups)) != NULL) {
        resolver_cancel(lookup);
    }
    resolver->closed = true;
    release_when_idle(resolver);
}

/* Questions that are under way are asked again of the new servers. */
static void read_servers(struct resolver *resolver)
{
    evdns_base_clear_nameservers_and_suspend(resolver->dns);
    evdns_base_search_clear(resolver->dns);
    evdns_base_resolv_conf_parse(resolver->dns,
                                 DNS_OPTION_SEARCH | DNS_OPTION_NAMESERVERS | DNS_OPTION_MISC,
                                 resolver->servers.path);
    evdns_base_resume(resolver->dns);
}

static void read_hosts(struct resolver *resolver)
{
    evdns_base_clear_host_addresses(resolver->dns);
    evdns_base_load_hosts(resolver->dns, resolver->hosts.path);
}

static void prepare(struct resolver *resolver)
{
    if (resolver->dns == NULL) {
        resolver->dns = evdns_base_new(loop_base(resolver->loop), EVDNS_BASE_DISABLE_WHEN_INACTIVE);
        check(resolver->dns != NULL);
        /* Some servers do not give a name back in the case in which it was asked. */
        evdns_base_set_option(resolver->dns, "randomize-case:", "0");
    }
    if (file_changed(&resolver->servers)) {
        read_servers(resolver);
    }
    if (file_changed(&resolver->hosts)) {
        read_hosts(resolver);
    }
}

static size_t copy_addresses(const struct evutil_addrinfo *found, struct address *addresses)
{
    size_t count = 0;
    for (; found != NULL && count < RESOLVER_MOST_ADDRESSES; found = found->ai_next) {
        if (found->ai_family == AF_INET || found->ai_family == AF_INET6) {
            addresses[count] = (struct address){.length = (socklen_t)found->ai_addrlen};
            memcpy(&addresses[count].storage, found->ai_addr, (size_t)found->ai_addrlen);
            count++;
        }
    }
    return count;
}

/* The frequent ones in the C library's words, which users know from psql. */
static const char *problem_of(int error)
{
    switch (error) {
    case 0: /* an answer without an address */
    case EVUTIL_EAI_NONAME:
    case EVUTIL_EAI_NODATA:
        return "Name or service not known";
    case EVUTIL_EAI_AGAIN:
        return "Temporary failure in name resolution";
    default:
        return evutil_gai_strerror(error);
    }
}

static void tell(resolver_callback *callback, void *context, int error,
                 const struct evutil_addrinfo *found)
{
    struct address addresses[RESOLVER_MOST_ADDRESSES];
    size_t count = error == 0 ? copy_addresses(found, addresses) : 0;
    if (count > 0) {
        callback(addresses, count, NULL, context);
    } else {
        callback(NULL, 0, problem_of(error), context);
    }
}

static void on_answer(int error, struct evutil_addrinfo *found, void *context)
{
    struct resolver_lookup *lookup = context;
    struct resolver *resolver = lookup->resolver;
    if (lookup->callback != NULL) {
        LIST_REMOVE(lookup, link);
        tell(lookup->callback, lookup->context, error, found);
    }
    if (found != NULL) {
        evutil_freeaddrinfo(found);
    }
    free(lookup);
    resolver->pending--;
    release_when_idle(resolver);
}

static struct resolver_lookup *ask(struct resolver *resolver, const char *host, unsigned port,
                                   resolver_callback *callback, void *context)
{
    struct resolver_lookup *lookup = memory_new(struct resolver_lookup);
    lookup->resolver = resolver;
    lookup->callback = callback;
    lookup->context = context;
    LIST_INSERT_HEAD(&resolver->lookups, lookup, link);
    resolver->pending++;
    char service[16];
    snprintf(service, sizeof(service), "%u", port);
    struct evutil_addrinfo hints = {.ai_family = AF_UNSPEC,
                                    .ai_socktype = SOCK_STREAM,
                                    .ai_protocol = IPPROTO_TCP,
                                    .ai_flags = EVUTIL_AI_NUMERICSERV};
    prepare(resolver);
    struct evdns_getaddrinfo_request *request =
        evdns_getaddrinfo(resolver->dns, host, service, &hints, on_answer, lookup);
    if (request == NULL) {
        return NULL; /* on_answer has been called, and the lookup is gone */
    }
    lookup->request = request;
    return lookup;
}

struct resolver_lookup *resolver_start(struct resolver *resolver, const char *host, unsigned port,
                                       resolver_callback *callback, void *context)
{
    check(!resolver->closed);
    loop_assert_owner(resolver->loop);
    struct address address;
    if (host[0] == '/' || host[0] == '@') {
        bool fits = address_unix(host, port, &address);
        callback(fits ? &address : NULL, fits, fits ? NULL : "Unix-domain socket path is too long",
                 context);
        return NULL;
    }
    if (address_parse_numeric(host, port, &address)) {
        callback(&address, 1, NULL, context);
        return NULL;
    }
    return ask(resolver, host, port, callback, context);
}

void resolver_cancel(struct resolver_lookup *lookup)
{
    loop_assert_owner(lookup->resolver->loop);
    LIST_REMOVE(lookup, link);
    lookup->callback = NULL;
    evdns_getaddrinfo_cancel(lookup->request);
}
