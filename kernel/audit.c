/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/audit.h"

#include <sodium.h>
#include <string.h>

#include "kernel/assert.h"
#include "kernel/clock.h"
#include "kernel/json.h"

_Static_assert(AUDIT_HASH_SIZE == crypto_hash_sha256_BYTES, "the hash is SHA-256");

enum { TRACE_ID_SIZE = 16, HEX_SIZE = AUDIT_HEX_SIZE - 1 };

static const char line_begin[] = "{\"seq\":";
static const char prev_begin[] = ",\"prev\":\"";
static const char hash_begin[] = ",\"hash\":\"";
static const char line_end[] = "\"}";

enum { TAIL_SIZE = sizeof hash_begin - 1 + HEX_SIZE + sizeof line_end - 1 };

void
audit_hash_format(const struct audit_hash *hash, char hex[static AUDIT_HEX_SIZE])
{
    sodium_bin2hex(hex, AUDIT_HEX_SIZE, hash->bytes, sizeof hash->bytes);
}

bool
audit_hash_equal(const struct audit_hash *a, const struct audit_hash *b)
{
    return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

bool
audit_hash_is_zero(const struct audit_hash *hash)
{
    static const struct audit_hash zero;
    return audit_hash_equal(hash, &zero);
}

static void
add_member(struct buffer *out, const char *name, struct text value)
{
    buffer_append_format(out, ",\"%s\":", name);
    if (value.size > AUDIT_TEXT_MAX)
        value.size = AUDIT_TEXT_MAX;
    if (value.size == 0)
        buffer_append_string(out, "null");
    else
        json_append_text(out, value);
}

void
audit_format(const struct audit_entry *entry, uint64_t wall_us, struct buffer *out)
{
    char when[TIMESTAMP_TEXT_SIZE];
    char trace[2 * TRACE_ID_SIZE + 1] = "";
    timestamp_format(wall_us, when);
    if (entry->trace.size >= TRACE_ID_SIZE)
        sodium_bin2hex(trace, sizeof trace, entry->trace.data, TRACE_ID_SIZE);
    buffer_append_format(out, "\"ts\":\"%s\"", when);
    add_member(out, "event", text_of(entry->event));
    add_member(out, "actor", entry->actor);
    add_member(out, "subject", entry->subject);
    add_member(out, "action", entry->action);
    add_member(out, "resource", entry->resource);
    add_member(out, "capability_id", entry->capability_id);
    add_member(out, "trace_id", text_of(trace));
    add_member(out, "outcome", text_of(entry->outcome));
    add_member(out, "detail", entry->detail);
}

/* ---- the chain */

void
audit_chain(struct audit_link *link, uint64_t seq, struct text members, struct buffer *out)
{
    ASSERT(seq >= link->seq);
    char hex[AUDIT_HEX_SIZE];
    size_t begin = out->size;
    audit_hash_format(&link->hash, hex);
    buffer_append_format(out, "%s%llu%s%s\",", line_begin, (unsigned long long)seq, prev_begin,
                         hex);
    buffer_append(out, members.data, members.size);
    if (out->failed)
        return;
    struct audit_link next = {.seq = seq};
    crypto_hash_sha256(next.hash.bytes, out->data + begin, out->size - begin);
    audit_hash_format(&next.hash, hex);
    buffer_append_format(out, "%s%s%s\n", hash_begin, hex, line_end);
    if (!out->failed)
        *link = next;
}

static bool
skip(struct text *rest, const char *expected)
{
    size_t size = strlen(expected);
    if (rest->size < size || memcmp(rest->data, expected, size) != 0)
        return false;
    rest->data += size;
    rest->size -= size;
    return true;
}

/* Digits without a leading zero, so that a number has one form only. */
static bool
read_number(struct text *rest, uint64_t *number)
{
    uint64_t value = 0;
    size_t digits = 0;
    for (; digits < rest->size && rest->data[digits] >= '0' && rest->data[digits] <= '9';
         digits++) {
        uint64_t digit = (uint64_t)(rest->data[digits] - '0');
        if (value > (UINT64_MAX - digit) / 10 || (digits > 0 && value == 0))
            return false;
        value = value * 10 + digit;
    }
    rest->data += digits;
    rest->size -= digits;
    *number = value;
    return digits > 0;
}

static int
nibble(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool
read_hash(struct text *rest, struct audit_hash *hash)
{
    if (rest->size < HEX_SIZE)
        return false;
    for (size_t i = 0; i < AUDIT_HASH_SIZE; i++) {
        int high = nibble(rest->data[2 * i]), low = nibble(rest->data[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        hash->bytes[i] = (uint8_t)(high << 4 | low);
    }
    rest->data += HEX_SIZE;
    rest->size -= HEX_SIZE;
    return true;
}

static bool
read_line(struct text text, struct audit_line *line)
{
    if (text.size >= AUDIT_LINE_MAX || text.size < TAIL_SIZE)
        return false;
    struct text head = {text.data, text.size - TAIL_SIZE};
    struct text tail = {text.data + head.size, TAIL_SIZE};
    return skip(&head, line_begin) && read_number(&head, &line->link.seq) &&
           skip(&head, prev_begin) && read_hash(&head, &line->prev) && skip(&head, "\",") &&
           skip(&tail, hash_begin) && read_hash(&tail, &line->link.hash) && skip(&tail, line_end);
}

enum audit_finding
audit_check(struct text text, const struct audit_link *former, struct audit_line *line)
{
    struct audit_line found;
    struct audit_hash own;
    if (!read_line(text, &found))
        return AUDIT_LINE_FOREIGN;
    *line = found;
    crypto_hash_sha256(own.bytes, (const uint8_t *)text.data, text.size - TAIL_SIZE);
    if (!audit_hash_equal(&own, &found.link.hash))
        return AUDIT_LINE_ALTERED;
    if (former && (!audit_hash_equal(&found.prev, &former->hash) || found.link.seq < former->seq))
        return AUDIT_LINE_MISPLACED;
    return AUDIT_LINE_GOOD;
}
