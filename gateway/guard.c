/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/guard.h"

#include <strings.h>

#include "gateway/listen.h"

enum { IDEMPOTENCY_KEY_MAX = 255, SHOWN_MAX = 80 };

static bool
equal_ignoring_case(struct text a, struct text b)
{
    return a.size == b.size && strncasecmp(a.data, b.data, a.size) == 0;
}

/* What came, cut and free of control characters. */
static const char *
shown(struct text text, char out[static SHOWN_MAX])
{
    error_copy_text(out, SHOWN_MAX, text);
    return out;
}

enum status
guard_host(const struct guard *guard, struct text host_header, struct error *error)
{
    char came[SHOWN_MAX];
    struct text host;
    struct text port;
    /* HTTP/1.0 has none; browsers always send one. */
    if (host_header.size == 0)
        return STATUS_OK;
    if (authority_split(host_header, &host, &port)) {
        if (address_is_loopback(host) || cors_names_host(guard->cors, host) ||
            equal_ignoring_case(host, text_of(guard->bind)) ||
            (guard->allow_remote && address_is_numeric(host)))
            return STATUS_OK;
    }
    error_set_word(error, "host_not_allowed",
                   "Host: came \"%s\", expected localhost, a loopback address or a configured host",
                   shown(host_header, came));
    return STATUS_FORBIDDEN;
}

enum status
guard_socket_origin(const struct guard *guard, struct text origin, struct text host,
                    struct error *error)
{
    char came[SHOWN_MAX];
    struct text scheme;
    struct text authority;
    if (origin.size == 0 || cors_allows(guard->cors, origin))
        return STATUS_OK;
    if (host.size > 0 && origin_split(origin, &scheme, &authority) &&
        equal_ignoring_case(authority, host))
        return STATUS_OK;
    error_set_word(error, "origin_not_allowed",
                   "Origin: came \"%s\", expected a loopback origin or one of cors_origins",
                   shown(origin, came));
    return STATUS_FORBIDDEN;
}

enum status
guard_origin(const struct guard *guard, struct text method, struct text origin, struct text host,
             struct error *error)
{
    if (text_equal_string(method, "GET") || text_equal_string(method, "HEAD") ||
        text_equal_string(method, "OPTIONS"))
        return STATUS_OK;
    return guard_socket_origin(guard, origin, host, error);
}

enum status
guard_framing(struct text content_length, struct text transfer_encoding, struct error *error)
{
    char came[SHOWN_MAX];
    if (transfer_encoding.size == 0)
        return STATUS_OK;
    if (!equal_ignoring_case(transfer_encoding, text_of("chunked"))) {
        error_set(error, "Transfer-Encoding: came \"%s\", expected chunked",
                  shown(transfer_encoding, came));
        return STATUS_INVALID;
    }
    if (content_length.size == 0)
        return STATUS_OK;
    error_set(error, "Content-Length: came beside Transfer-Encoding, expected one of them");
    return STATUS_INVALID;
}

enum status
guard_content_type(struct text content_type, struct error *error)
{
    char came[SHOWN_MAX];
    struct text type = content_type;
    const char *semicolon = type.size > 0 ? memchr(type.data, ';', type.size) : NULL;
    if (semicolon)
        type.size = (size_t)(semicolon - type.data);
    while (type.size > 0 && (type.data[type.size - 1] == ' ' || type.data[type.size - 1] == '\t'))
        type.size--;
    if (equal_ignoring_case(type, text_of("application/json")))
        return STATUS_OK;
    error_set(error, "Content-Type: came \"%s\", expected application/json",
              shown(content_type, came));
    return STATUS_INVALID;
}

enum status
guard_idempotency_key(struct text key, struct error *error)
{
    bool visible = key.size >= 1 && key.size <= IDEMPOTENCY_KEY_MAX;
    for (size_t i = 0; i < key.size && visible; i++)
        visible = key.data[i] > 0x20 && key.data[i] < 0x7f;
    if (visible)
        return STATUS_OK;
    error_set(error, "Idempotency-Key: came %zu bytes, expected 1 to %d visible ASCII characters",
              key.size, IDEMPOTENCY_KEY_MAX);
    return STATUS_INVALID;
}
