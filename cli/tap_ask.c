/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/tap_ask.h"

#include <sodium.h>

#include "cli/home.h"
#include "cli/invoke.h"
#include "platform/river_key.h"

enum { CAPABILITY_SECONDS = 3600 };

void
tap_ask_options(struct tap_ask *ask, struct option_row rows[static TAP_ASK_OPTIONS])
{
    const struct option_row all[TAP_ASK_OPTIONS] = {
        {"--source", &ask->source}, {"--target", &ask->target},   {"--type", &ask->type},
        {"--kind", &ask->kind},     {"--trace", &ask->trace},     {"--status", &ask->status},
        {"--header", &ask->header}, {"--verdict", &ask->verdict},
    };
    memcpy(rows, all, sizeof all);
}

static struct text
optional(const char *text)
{
    return text ? text_of(text) : (struct text){NULL, 0};
}

enum status
tap_ask_filter(const struct tap_ask *ask, struct tap_filter **filter_p, struct error *error)
{
    struct tap_query query = {.source = optional(ask->source),
                              .target = optional(ask->target),
                              .type = optional(ask->type),
                              .kind = optional(ask->kind),
                              .verdict = optional(ask->verdict),
                              .trace = optional(ask->trace),
                              .status = optional(ask->status),
                              .header = optional(ask->header)};
    return tap_filter_new(filter_p, &query, error);
}

void
tap_ask_pack(const struct tap_ask *ask, struct buffer *out)
{
    const struct {
        const char *name, *value;
    } filters[] = {
        {"source", ask->source}, {"target", ask->target},   {"type", ask->type},
        {"kind", ask->kind},     {"trace", ask->trace},     {"status", ask->status},
        {"header", ask->header}, {"verdict", ask->verdict},
    };
    uint32_t count = ask->payload;
    for (size_t i = 0; i < sizeof filters / sizeof *filters; i++)
        count += filters[i].value != NULL;
    pack_map(out, count);
    for (size_t i = 0; i < sizeof filters / sizeof *filters; i++)
        if (filters[i].value)
            pack_pair_string(out, filters[i].name, filters[i].value);
    if (ask->payload)
        pack_pair_bool(out, "payload", true);
}

enum status
tap_ask_token(const struct tap_ask *ask, struct cli *cli, struct buffer *token, struct error *error)
{
    if (ask->capability_file)
        return invoke_read_capability(ask->capability_file, token, error);
    struct river_key key;
    const char *action = ask->payload ? "bus:payload" : "bus:tap";
    enum status status = river_key_load(cli->home, &key, error);
    if (status != STATUS_OK) {
        error_wrap(error, "sign a capability for %s", action);
        return status;
    }
    uint64_t now_us = clock_now(cli->clock).wall_us;
    struct capability_grant grant = {.subject = HOME_OPERATOR,
                                     .action = action,
                                     .resource = "bus:*",
                                     .issued_us = now_us,
                                     .expires_us = now_us + CAPABILITY_SECONDS * UINT64_C(1000000)};
    status = capability_issue(token, &grant, &key.secret_key, error);
    river_key_clear(&key);
    return status;
}

void
tap_ask_wipe(struct buffer *token)
{
    if (token->data)
        sodium_memzero(token->data, token->capacity);
    buffer_clear(token);
}

struct peer_request
tap_ask_request(struct bytes payload, struct text token)
{
    return (struct peer_request){.kind = KIND_REQUEST,
                                 .target = text_of("service:bus"),
                                 .type = text_of("tap"),
                                 .payload = payload,
                                 .flags = MESSAGE_STREAM,
                                 .ttl_ms = TAP_TTL_MS,
                                 .capability = token};
}

bool
tap_chunk_read(struct bytes bytes, uint64_t *dropped, tap_take_fn *take, void *context)
{
    struct value chunk, records, record;
    bool goes_on = true;
    *dropped = 0;
    if (!value_parse(bytes, &chunk))
        return true;
    value_find_uint(&chunk, "dropped", dropped);
    if (!value_find(&chunk, "records", &records) || records.type != VALUE_ARRAY)
        return true;
    struct entries entries = value_entries(&records);
    while (goes_on && entries_next(&entries, &record))
        goes_on = take(context, &record);
    return goes_on;
}
