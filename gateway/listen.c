/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    LISTEN_BACKLOG = 1024,
    HOST_TEXT_SIZE = 64,
    PROBE_AFTER_S = 60, /* of silence */
    PROBE_EVERY_S = 10,
    PROBES = 3
};

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static bool
parse_numeric(struct text host, uint16_t port, union address *address, socklen_t *size)
{
    char copy[HOST_TEXT_SIZE];
    if (host.size == 0 || host.size >= sizeof copy)
        return false;
    memcpy(copy, host.data, host.size);
    copy[host.size] = '\0';
    memset(address, 0, sizeof *address);
    if (inet_pton(AF_INET, copy, &address->v4.sin_addr) == 1) {
        address->v4.sin_family = AF_INET;
        address->v4.sin_port = htons(port);
        *size = sizeof address->v4;
        return true;
    }
    if (inet_pton(AF_INET6, copy, &address->v6.sin6_addr) == 1) {
        address->v6.sin6_family = AF_INET6;
        address->v6.sin6_port = htons(port);
        *size = sizeof address->v6;
        return true;
    }
    return false;
}

static bool
has_name(struct text host, const char *name)
{
    size_t size = strlen(name);
    return host.size == size && strncasecmp(host.data, name, size) == 0;
}

bool
address_is_numeric(struct text host)
{
    union address address;
    socklen_t size;
    return parse_numeric(host, 0, &address, &size);
}

bool
address_is_loopback(struct text host)
{
    static const char suffix[] = ".localhost";
    const size_t suffix_size = sizeof suffix - 1;
    union address address;
    socklen_t size;

    if (has_name(host, "localhost"))
        return true;
    if (host.size > suffix_size &&
        strncasecmp(host.data + host.size - suffix_size, suffix, suffix_size) == 0)
        return true;
    if (!parse_numeric(host, 0, &address, &size))
        return false;
    if (address.any.sa_family == AF_INET)
        return ntohl(address.v4.sin_addr.s_addr) >> 24 == 127;
    return IN6_IS_ADDR_LOOPBACK(&address.v6.sin6_addr);
}

/* A client that is gone without a word is noticed also where nothing is sent to it. Connections
 * inherit it; without it they just last longer. */
static void
keep_alive(int fd)
{
    static const struct {
        int level, name, value;
    } options[] = {{SOL_SOCKET, SO_KEEPALIVE, 1},
                   {IPPROTO_TCP, TCP_KEEPIDLE, PROBE_AFTER_S},
                   {IPPROTO_TCP, TCP_KEEPINTVL, PROBE_EVERY_S},
                   {IPPROTO_TCP, TCP_KEEPCNT, PROBES}};
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
        setsockopt(fd, options[i].level, options[i].name, &options[i].value,
                   sizeof options[i].value);
}

enum status
listen_open(const char *text, uint16_t port, const char *setting, int *descriptor, uint16_t *actual,
            struct error *error)
{
    union address address;
    socklen_t size;
    struct text host = has_name(text_of(text), "localhost") ? text_of("127.0.0.1") : text_of(text);
    if (!parse_numeric(host, port, &address, &size)) {
        error_set(error, "gateway.bind: came \"%s\", expected a numeric IPv4 or IPv6 address",
                  text);
        return STATUS_VALIDATION;
    }

    int fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        error_set(error, "socket for %s port %u: %s", text, (unsigned)port, strerror(errno));
        return STATUS_UNAVAILABLE;
    }
    const int on = 1;
    keep_alive(fd);
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
        (address.any.sa_family == AF_INET6 &&
         setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) < 0) ||
        bind(fd, &address.any, size) < 0 || listen(fd, LISTEN_BACKLOG) < 0 ||
        getsockname(fd, &address.any, &size) < 0) {
        error_set(error, "cannot listen at %s port %u (setting %s): %s", text, (unsigned)port,
                  setting, strerror(errno));
        close(fd);
        return STATUS_UNAVAILABLE;
    }
    *descriptor = fd;
    *actual = ntohs(address.any.sa_family == AF_INET ? address.v4.sin_port : address.v6.sin6_port);
    return STATUS_OK;
}

uint64_t
listen_raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return 1024;
    if (limit.rlim_cur < limit.rlim_max) {
        struct rlimit raised = {limit.rlim_max, limit.rlim_max};
        if (setrlimit(RLIMIT_NOFILE, &raised) == 0)
            limit = raised;
    }
    return limit.rlim_cur;
}
