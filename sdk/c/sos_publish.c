/* SPDX-License-Identifier: Apache-2.0 */
#include "sdk/c/sos_internal.h"

static enum status
publish(struct sos *sos, const struct sos_publication *given, bool confirmed,
        struct outgoing **outgoing_p, struct error *error)
{
    struct trace trace;
    uint8_t trace_bytes[TRACE_PACKED];
    if (!given->channel || !*given->channel) {
        error_set_field(error, "channel", "missing");
        return STATUS_INVALID;
    }
    enum status status = basic_check_payload(given->payload, error);
    if (status == STATUS_OK)
        status = basic_trace(given->trace, &trace, error);
    if (status != STATUS_OK)
        return status;
    struct message message = {
        .kind = KIND_PUBLISH,
        .flags = confirmed ? MESSAGE_CONFIRM : 0,
        .target = text_of(given->channel),
        .type = text_of(given->type ? given->type : "message"),
        .capability = basic_text(given->capability),
        .trace = basic_trace_bytes(&trace, trace_bytes),
        .payload = {given->payload.data, given->payload.size},
    };
    uint32_t timeout_ms = given->timeout_ms ? given->timeout_ms : PUBLISH_TIMEOUT_MS;
    return outgoing_add(sos, &message, confirmed, timeout_ms, confirmed ? outgoing_wake : NULL,
                        NULL, outgoing_p, error);
}

int
sos_publish_message(struct sos *sos, const struct sos_publication *publication, uint64_t *seq,
                    struct sos_error *told)
{
    struct error error = ERROR_INIT;
    struct outgoing *outgoing = NULL;
    enum status status = client_enter(sos, &error);
    bool entered = status == STATUS_OK;
    if (entered)
        status = publish(sos, publication, true, &outgoing, &error);
    if (status == STATUS_OK)
        status = outgoing_wait(sos, outgoing, seq, &error);
    return client_leave(sos, entered, status, &error, told);
}

int
sos_publish(struct sos *sos, const char *channel, const char *type, struct sos_bytes payload,
            uint64_t *seq, struct sos_error *told)
{
    struct sos_publication publication = {.channel = channel, .type = type, .payload = payload};
    return sos_publish_message(sos, &publication, seq, told);
}

int
sos_publish_async(struct sos *sos, const struct sos_publication *publication,
                  struct sos_error *told)
{
    struct error error = ERROR_INIT;
    enum status status = client_enter(sos, &error);
    bool entered = status == STATUS_OK;
    if (entered)
        status = publish(sos, publication, false, NULL, &error);
    return client_leave(sos, entered, status, &error, told);
}
