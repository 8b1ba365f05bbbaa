/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as the constraints of a capability: taken whole and within their bounds, or refused. */
#include <stdlib.h>
#include <string.h>

#include "kernel/constraints.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct constraints constraints = {.set = ~0u};
    struct error error = ERROR_INIT;
    uint32_t count = 0;
    uint64_t period_us = 0;
    if (constraints_parse((struct bytes){data, size}, &constraints, &error) == STATUS_OK) {
        bool agent = (constraints.set & CONSTRAINT_AGENT_ID) != 0;
        bool filter = (constraints.set & CONSTRAINT_CONTENT_FILTER) != 0;
        if (constraints.max_results < 0 || constraints.max_amount < 0 ||
            constraints.max_response_length < 0 || agent != (constraints.agent_id[0] != '\0') ||
            filter != (constraints.content_filter[0] != '\0') ||
            strlen(constraints.agent_id) > CONSTRAINT_AGENT_MAX)
            abort();
        if ((constraints.set & CONSTRAINT_RATE_LIMIT) &&
            (constraints.rate_count == 0 || constraints.rate_us / constraints.rate_count == 0))
            abort();
    } else if (constraints.set != ~0u || error.message[0] == '\0') {
        abort(); /* written only on success, and a refusal says why */
    }
    if (rate_parse((struct text){(const char *)data, size}, &count, &period_us) &&
        (count == 0 || count > CONSTRAINT_RATE_MAX || period_us == 0))
        abort();
    return 0;
}
