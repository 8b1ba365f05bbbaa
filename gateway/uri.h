/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/uri.h - path and query of a request target (RFC 3986), decoded strictly.
 *
 * A '%' without two hexadecimal digits, a NUL, and what is not UTF-8 after decoding are refused.
 * Paths are split before decoding, so an encoded slash stays inside its segment. */
#ifndef SOS_GATEWAY_URI_H
#define SOS_GATEWAY_URI_H

#include <stdbool.h>
#include <stddef.h>

#include "kernel/bytes.h"
#include "kernel/error.h"
#include "kernel/status.h"

enum {
    URI_SEGMENTS_MAX = 16,
    URI_QUERY_MAX = 64 /* pairs */
};

struct uri_pair {
    struct text name;
    struct text value;
};

/* Views into the buffer that uri_parse() filled. */
struct uri {
    struct text segments[URI_SEGMENTS_MAX]; /* "/" has none; "/a/" has "a" and "" */
    size_t segment_count;
    struct uri_pair query[URI_QUERY_MAX];
    size_t query_count;
};

/* storage is reset, filled, and must live as long as the views. INVALID names the fault; NOT_FOUND
 * for more than URI_SEGMENTS_MAX segments. */
enum status uri_parse(struct text target, struct uri *uri, struct buffer *storage,
                      struct error *error);

#endif
