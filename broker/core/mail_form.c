/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/core/mail_form.h"

#include <stdio.h>

#include "broker/core/form.h"
#include "kernel/pack.h"

static uint32_t
remaining_ms(uint64_t expires_us, uint64_t wall_us)
{
    if (expires_us == 0)
        return 0;
    uint64_t left_ms = expires_us > wall_us ? (expires_us - wall_us + 999) / 1000 : 1;
    return left_ms < UINT32_MAX ? (uint32_t)left_ms : UINT32_MAX;
}

bool
mail_form_deliver(struct bytes record, const struct mail_stamp *stamp, uint64_t wall_us,
                  struct message *message)
{
    size_t used;
    if (message_decode(message, record, &used, NULL) != STATUS_OK)
        return false;
    message->kind = KIND_DELIVER;
    message->flags = 0;
    message->ttl_ms = remaining_ms(stamp->expires_us, wall_us);
    message->capability = (struct text){NULL, 0};
    message->principal = (struct text){NULL, 0};
    message->status = 0;
    message->seq = stamp->seq;
    message->attempt = stamp->tries + 1;
    message->raw = (struct bytes){NULL, 0};
    return true;
}

void
mail_form_pack(struct buffer *out, const struct message *message, bool with_payload)
{
    bool answers = !uuid_is_nil(&message->correlation);
    pack_map(out, 7u + with_payload + answers + (message->ttl_ms > 0) + (message->trace.size > 0) +
                      (message->metadata.size > 0));
    form_uuid(out, "id", &message->id);
    pack_pair_text(out, "from", message->source);
    pack_pair_text(out, "to", message->target);
    pack_pair_text(out, "type", message->type);
    if (with_payload)
        form_payload(out, "payload", message->payload);
    form_time(out, "sent_at", message->timestamp_us);
    pack_pair_uint(out, "attempt", message->attempt);
    pack_pair_uint(out, "seq", message->seq);
    if (answers)
        form_uuid(out, "in_reply_to", &message->correlation);
    if (message->ttl_ms > 0)
        pack_pair_uint(out, "expires_in_ms", message->ttl_ms);
    if (message->trace.size > 0)
        form_trace_id(out, "trace_id", message->trace);
    if (message->metadata.size > 0)
        pack_pair_raw(out, "metadata", message->metadata);
}

bool
mail_form_pack_dead(struct buffer *out, const struct mail_row *row, struct bytes bytes,
                    bool with_payload)
{
    struct message message;
    struct mail_stamp stamp = {.seq = row->seq, .tries = row->attempts};
    if (row->offset > bytes.size || row->reason_size > bytes.size - row->offset ||
        row->record_size > bytes.size - row->offset - row->reason_size)
        return false;
    const uint8_t *at = bytes.data + row->offset;
    struct bytes record = {at + row->reason_size, row->record_size};
    if (!mail_form_deliver(record, &stamp, row->kept_us, &message))
        return false;
    message.attempt = row->attempts;

    char dead_id[24];
    snprintf(dead_id, sizeof dead_id, "%llu", (unsigned long long)row->seq);
    pack_map(out, 5);
    pack_pair_string(out, "dead_id", dead_id);
    pack_pair_text(out, "reason", (struct text){(const char *)at, row->reason_size});
    pack_pair_uint(out, "attempts", row->attempts);
    form_time(out, "died_at", row->kept_us);
    pack_string(out, "message");
    mail_form_pack(out, &message, with_payload);
    return true;
}

uint64_t
mail_form_waiting(struct bytes figures)
{
    struct value list, inbox;
    uint64_t waiting = 0;
    if (!value_parse(figures, &list) || list.type != VALUE_ARRAY)
        return 0;
    struct entries entries = value_entries(&list);
    if (entries_next(&entries, &inbox))
        value_find_uint(&inbox, "waiting", &waiting);
    return waiting;
}
