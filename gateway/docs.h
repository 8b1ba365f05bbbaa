/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/docs.h - /openapi.json and the page at /docs, built into the binary: nothing is fetched
 * from elsewhere. */
#ifndef SOS_GATEWAY_DOCS_H
#define SOS_GATEWAY_DOCS_H

#include <stdbool.h>

#include "kernel/bytes.h"

/* All static. */
struct document {
    const char *content_type;
    const char *security_policy; /* Content-Security-Policy; NULL: none */
    struct text body;
};

/* path: decoded and joined, "/docs/docs.js". False: there is none. */
bool docs_find(struct text path, struct document *document);

#endif
