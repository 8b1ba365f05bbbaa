/* SPDX-License-Identifier: Apache-2.0 */
/* Takes a frame apart record by record. What decodes must encode and decode to the same again. */
#include <stdlib.h>

#include "kernel/assert.h"
#include "kernel/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool
bytes_equal(struct bytes a, struct bytes b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static bool
message_equal(const struct message *a, const struct message *b)
{
    return a->version == b->version && a->kind == b->kind && a->flags == b->flags &&
           uuid_equal(&a->id, &b->id) && uuid_equal(&a->correlation, &b->correlation) &&
           text_equal(a->source, b->source) && text_equal(a->target, b->target) &&
           text_equal(a->type, b->type) && a->timestamp_us == b->timestamp_us &&
           a->ttl_ms == b->ttl_ms && bytes_equal(a->trace, b->trace) &&
           text_equal(a->capability, b->capability) && a->status == b->status && a->seq == b->seq &&
           text_equal(a->principal, b->principal) && bytes_equal(a->metadata, b->metadata) &&
           bytes_equal(a->payload, b->payload);
}

static void
check_round_trip(const struct message *message)
{
    struct buffer out = {0};
    struct message again;
    size_t used;

    /* Later fields are left out and numbers take their shortest form, so it never grows. */
    ASSERT(message_encode(&out, message, NULL) == STATUS_OK);
    ASSERT(out.size <= message->raw.size);
    ASSERT(message_decode(&again, buffer_bytes(&out), &used, NULL) == STATUS_OK);
    ASSERT(used == out.size);
    ASSERT(message_equal(message, &again));
    buffer_clear(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes rest = {data, size};

    while (rest.size > 0) {
        struct message message;
        struct error error = ERROR_INIT;
        size_t used;

        enum status status = message_decode(&message, rest, &used, &error);
        ASSERT(used <= rest.size);
        ASSERT((status == STATUS_OK) == (error.message[0] == '\0'));
        if (status == STATUS_OK) {
            ASSERT(used > 0);
            check_round_trip(&message);
            error_unpack(message.payload, &error);
        }
        if (used == 0)
            break;
        rest.data += used;
        rest.size -= used;
    }
    return 0;
}
