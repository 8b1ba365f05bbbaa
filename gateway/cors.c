/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/cors.h"

#include <stdlib.h>
#include <strings.h>

#include "gateway/listen.h"

const char cors_methods[] = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";
const char cors_request_headers[] =
    "Content-Type, Authorization, X-SOS-Capability, X-SOS-Trace-ID, "
    "X-SOS-Span-ID, traceparent, Idempotency-Key";
const char cors_exposed_headers[] =
    "X-SOS-Trace-ID, X-SOS-Span-ID, X-SOS-Parent-Span-ID, traceparent, "
    "Retry-After, Allow, X-Voice-Provider";

bool
cors_init(struct cors *cors, const char *origins)
{
    cors->list = text_copy(text_of(origins));
    return cors->list != NULL;
}

void
cors_clear(struct cors *cors)
{
    free(cors->list);
    cors->list = NULL;
}

bool
origin_split(struct text origin, struct text *scheme, struct text *authority)
{
    for (size_t i = 0; i + 3 < origin.size; i++) {
        if (memcmp(origin.data + i, "://", 3) != 0)
            continue;
        if (i == 0 || memchr(origin.data + i + 3, '/', origin.size - i - 3))
            return false;
        *scheme = (struct text){origin.data, i};
        *authority = (struct text){origin.data + i + 3, origin.size - i - 3};
        return true;
    }
    return false;
}

bool
authority_split(struct text authority, struct text *host, struct text *port)
{
    struct text rest;
    if (authority.size > 0 && authority.data[0] == '[') {
        const char *end = memchr(authority.data, ']', authority.size);
        if (!end)
            return false;
        size_t size = (size_t)(end - authority.data);
        *host = (struct text){authority.data + 1, size - 1};
        rest = (struct text){end + 1, authority.size - size - 1};
    } else {
        const char *colon = memchr(authority.data, ':', authority.size);
        size_t size = colon ? (size_t)(colon - authority.data) : authority.size;
        *host = (struct text){authority.data, size};
        rest = (struct text){authority.data + size, authority.size - size};
    }
    *port = (struct text){"", 0};
    if (host->size == 0 || (rest.size > 0 && (rest.data[0] != ':' || rest.size > 6)))
        return false;
    for (size_t i = 1; i < rest.size; i++)
        if (rest.data[i] < '0' || rest.data[i] > '9')
            return false;
    if (rest.size > 1)
        *port = (struct text){rest.data + 1, rest.size - 1};
    return true;
}

static struct text
next_origin(const char **at)
{
    while (**at == ',' || **at == ' ')
        (*at)++;
    size_t size = strcspn(*at, ",");
    struct text origin = {*at, size};
    *at += size;
    while (origin.size > 0 &&
           (origin.data[origin.size - 1] == ' ' || origin.data[origin.size - 1] == '/'))
        origin.size--;
    return origin;
}

static bool
equal_ignoring_case(struct text a, struct text b)
{
    return a.size == b.size && strncasecmp(a.data, b.data, a.size) == 0;
}

bool
cors_allows(const struct cors *cors, struct text origin)
{
    struct text scheme;
    struct text authority;
    struct text host;
    struct text port;
    if (!origin_split(origin, &scheme, &authority) || !authority_split(authority, &host, &port))
        return false;
    if (equal_ignoring_case(scheme, text_of("tauri")) && port.size == 0 &&
        equal_ignoring_case(host, text_of("localhost")))
        return true;
    if ((equal_ignoring_case(scheme, text_of("http")) ||
         equal_ignoring_case(scheme, text_of("https"))) &&
        address_is_loopback(host))
        return true;
    for (const char *at = cors->list; *at;)
        if (equal_ignoring_case(next_origin(&at), origin))
            return true;
    return false;
}

bool
cors_names_host(const struct cors *cors, struct text wanted)
{
    struct text scheme;
    struct text authority;
    struct text host;
    struct text port;
    for (const char *at = cors->list; *at;) {
        struct text origin = next_origin(&at);
        if (origin_split(origin, &scheme, &authority) && authority_split(authority, &host, &port) &&
            equal_ignoring_case(host, wanted))
            return true;
    }
    return false;
}
