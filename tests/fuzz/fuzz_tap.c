/* SPDX-License-Identifier: Apache-2.0 */
/* The tap's filters, redaction and packing: any query over any record; what comes out is one
 * msgpack map, and what the filter wants the sieve lets pass. */
#include <stdint.h>
#include <stdlib.h>

#include "broker/core/tap_gather.h"
#include "kernel/assert.h"
#include "kernel/pack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const secret_names[] = {"password", NULL};
static const struct operation operations[] = {{.type = "login", .secrets = secret_names},
                                              {.type = "open"}};
static const struct contract shop = {.operations = operations, .operation_count = 2};
static const struct contract *const shops[] = {&shop, NULL};

struct input {
    const uint8_t *at;
    const uint8_t *end;
};

/* The next part: a byte with its size, then so many of what is left. */
static struct text
take(struct input *input)
{
    if (input->at == input->end)
        return (struct text){"", 0};
    size_t size = *input->at++;
    size_t left = (size_t)(input->end - input->at);
    if (size > left)
        size = left;
    struct text text = {(const char *)input->at, size};
    input->at += size;
    return text;
}

static struct text
cut(struct text text, size_t most)
{
    return (struct text){text.data, text.size < most ? text.size : most};
}

static void
free_chunk(void *context, struct tap_chunk **chunk_p)
{
    (void)context;
    struct buffer all;
    struct value value, record;
    buffer_init(&all);
    pack_array(&all, (*chunk_p)->count);
    buffer_append(&all, (*chunk_p)->records.data, (*chunk_p)->records.size);
    ASSERT(value_parse(buffer_bytes(&all), &value));
    struct entries entries = value_entries(&value);
    while (entries_next(&entries, &record)) {
        struct value payload, password;
        ASSERT(record.type == VALUE_MAP);
        if (value_find(&record, "payload", &payload) && payload.type == VALUE_MAP) {
            struct text type = {"", 0};
            value_find_text(&record, "type", &type);
            if (!text_equal_string(type, "open") && value_find(&payload, "password", &password))
                ASSERT(text_equal_string(password.as.text, "[redacted]"));
        }
    }
    buffer_clear(&all);
    tap_chunk_destroy(chunk_p);
}

static struct tap_sighting
make_sighting(struct input *input)
{
    struct text numbers = take(input);
    struct tap_sighting sighting = {.slots = 1,
                                    .source = take(input),
                                    .target = take(input),
                                    .type = cut(take(input), MESSAGE_TYPE_MAX),
                                    .principal = take(input),
                                    .verdict = cut(take(input), 96),
                                    .capability = take(input)};
    for (size_t i = 0; i < numbers.size; i++) {
        uint8_t byte = (uint8_t)numbers.data[i];
        sighting.kind = (enum kind)(byte % (KIND_ERROR + 1));
        sighting.status = sighting.status << 8 | byte;
        sighting.seq = sighting.seq << 8 | byte;
        sighting.at_us = sighting.at_us * 31 + byte;
        sighting.id.bytes[i % 16] = byte;
        sighting.has_trace = byte & 1;
        sighting.trace[i % sizeof sighting.trace] = byte;
    }
    return sighting;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, data + size};
    struct tap_query query = {.source = take(&input),
                              .target = take(&input),
                              .type = take(&input),
                              .kind = take(&input),
                              .verdict = take(&input),
                              .trace = take(&input),
                              .status = take(&input),
                              .header = take(&input)};
    struct tap_sighting sighting = make_sighting(&input);
    struct tap_header header = tap_sighting_header(&sighting);
    struct tap_opening *opening = calloc(1, sizeof *opening);
    if (!opening || tap_filter_new(&opening->filter, &query, NULL) != STATUS_OK) {
        free(opening);
        return 0;
    }
    if (tap_filter_matches(opening->filter, &header))
        ASSERT(tap_sieve_passes(tap_filter_sieve(opening->filter), sighting.kind, sighting.source,
                                sighting.target, sighting.type, header.trace));
    struct tap_secrets *secrets = tap_secrets_new(shops);
    struct tap_gather *gather = tap_gather_new(secrets, free_chunk, NULL);
    opening->payload = true;
    tap_gather_open(gather, &opening);
    sighting.payload = (struct bytes){input.at, (size_t)(input.end - input.at)};
    sighting.payload_size = (uint32_t)sighting.payload.size;
    if (sighting.payload.size > TAP_PAYLOAD_MAX)
        sighting.payload.size = 0;
    tap_gather_take(gather, &sighting);
    tap_gather_flush(gather);
    tap_gather_destroy(&gather);
    tap_secrets_destroy(&secrets);
    return 0;
}
