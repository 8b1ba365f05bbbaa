/* SPDX-License-Identifier: Apache-2.0 */
/* cli/doctor_swarm.c - what only the running swarm knows: capabilities that end soon, and who was
 * let in by pairing. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/doctor.h"
#include "cli/home.h"
#include "kernel/pack.h"

enum { PAGE = 100, PAGES_MAX = 50, TOLD_MAX = 20 };

#define HOUR_US (UINT64_C(3600) * 1000000)
#define SOON_US (24 * HOUR_US)
/* What is issued for less is meant to end soon. */
#define LONG_LIVED_US (48 * HOUR_US)

/* Of service:identity, by name; NULL: this version has none. */
static const struct operation *
find_operation(const char *name)
{
    const struct contract *contract = contract_find(text_of("identity"));
    for (size_t i = 0; contract && i < contract->operation_count; i++)
        if (strcmp(contract->operations[i].name, name) == 0)
            return &contract->operations[i];
    return NULL;
}

/* Can it be asked? Otherwise a finding says why not. */
static bool
may_ask(struct doctor *doctor, const struct operation *operation)
{
    if (doctor->call && operation)
        return true;
    if (!operation)
        doctor_add(doctor, FINDING_OK, "", "", "this version keeps none");
    else if (!doctor->swarm_pid)
        doctor_add(doctor, FINDING_OK, "", "", "not looked at: no swarm runs");
    else
        doctor_add(doctor, FINDING_ERROR, HOME_OPERATOR, "see why: sos status, sos logs bus",
                   "cannot connect to the swarm, which runs");
    return false;
}

/* A call whose answer is of this type; the finding is made where it is not. The payload is let go.
 */
static bool
ask(struct doctor *doctor, const struct operation *operation, struct buffer *payload,
    enum value_type type, struct buffer *reply, struct value *answer)
{
    struct error error = ERROR_INIT;
    enum status status = payload->failed ? STATUS_NOMEM
                                         : doctor->call(doctor->call_context, operation,
                                                        buffer_bytes(payload), reply, &error);
    buffer_clear(payload);
    if (status != STATUS_OK)
        doctor_add(doctor, FINDING_WARNING, operation->name,
                   "see why: sos status, sos logs identity", "cannot be asked: %s",
                   error.message[0] ? error.message : status_text(status));
    else if (value_parse(buffer_bytes(reply), answer) && answer->type == type)
        return true;
    else
        doctor_add(doctor, FINDING_WARNING, operation->name,
                   "stop the swarm and start it with this version", "gave another kind of answer");
    return false;
}

static bool
find_time(const struct value *record, const char *name, uint64_t *wall_us)
{
    struct text text;
    return value_find_text(record, name, &text) && timestamp_parse(text, wall_us);
}

/* ---- capabilities */

struct rights {
    struct doctor *doctor;
    uint64_t now_us;
    size_t live;
    size_t soon;
};

static void
take_capability(void *context, const struct value *record)
{
    struct rights *rights = context;
    struct text id = {"", 0};
    struct text subject = {"", 0};
    struct text action = {"", 0};
    struct text state = {"", 0};
    uint64_t issued_us = 0;
    uint64_t expires_us = 0;
    value_find_text(record, "id", &id);
    value_find_text(record, "subject", &subject);
    value_find_text(record, "action", &action);
    value_find_text(record, "state", &state);
    if (!text_equal_string(state, "issued") || !find_time(record, "issued_at", &issued_us) ||
        !find_time(record, "expires_at", &expires_us) || expires_us <= rights->now_us)
        return;
    rights->live++;
    if (expires_us - rights->now_us > SOON_US || expires_us - issued_us < LONG_LIVED_US)
        return;
    if (rights->soon++ < TOLD_MAX) {
        char place[128];
        snprintf(place, sizeof place, "%.*s", TEXT_ARGS(id));
        doctor_add(rights->doctor, FINDING_WARNING, place,
                   "let its holder ask anew: sos cap request", "%.*s of %.*s ends in %" PRIu64 " h",
                   TEXT_ARGS(action), TEXT_ARGS(subject), (expires_us - rights->now_us) / HOUR_US);
    }
}

/* One page of the list; how many it held, or -1 after a finding. */
static int
take_page(struct rights *rights, const struct operation *operation, uint64_t offset)
{
    struct buffer payload;
    struct buffer reply;
    struct value list;
    struct value record;
    int count = -1;
    buffer_init(&payload);
    buffer_init(&reply);
    pack_map(&payload, 2);
    pack_pair_uint(&payload, "limit", PAGE);
    pack_pair_uint(&payload, "offset", offset);
    if (ask(rights->doctor, operation, &payload, VALUE_ARRAY, &reply, &list)) {
        struct entries entries = value_entries(&list);
        for (count = 0; entries_next(&entries, &record); count++)
            take_capability(rights, &record);
    }
    buffer_clear(&reply);
    return count;
}

void
doctor_check_capabilities(struct doctor *doctor)
{
    struct rights rights = {.doctor = doctor, .now_us = clock_now(doctor->clock).wall_us};
    const struct operation *operation = find_operation("capability_list");
    uint64_t offset = 0;
    int count = 1;
    if (!may_ask(doctor, operation))
        return;
    for (size_t page = 0; count > 0 && page < PAGES_MAX; page++) {
        count = take_page(&rights, operation, offset);
        offset += count > 0 ? (uint64_t)count : 0;
    }
    if (count > 0)
        doctor_add(doctor, FINDING_NOTE, operation->name,
                   "list the rest: sos call identity.capability_list",
                   "there are more than the %" PRIu64 " that were looked at", offset);
    if (rights.soon > TOLD_MAX)
        doctor_add(doctor, FINDING_WARNING, operation->name, "let their holders ask anew",
                   "%zu more end within a day", rights.soon - TOLD_MAX);
    if (count == 0 && rights.soon == 0)
        doctor_add(doctor, FINDING_OK, "", "", "%zu in force, none that ends unexpectedly soon",
                   rights.live);
}

/* ---- pairing */

void
doctor_check_pairing(struct doctor *doctor)
{
    static const struct {
        const char *member;
        const char *what;
        const char *fix;
    } rows[] = {
        {"pending", "codes wait for somebody who approves",
         "approve them: sos call identity.pairing_approve; or let them expire"},
        {"locked", "codes were ended by wrong guesses",
         "find out who guesses: sos audit search; then let the senders ask anew"},
        {"closed_channels", "channels are closed for a while by wrong guesses",
         "find out who guesses: sos audit search"},
        {"allowed_ended", "allowed senders have a capability that ended",
         "pair them anew, or remove them: sos call identity.allowlist_remove"},
    };
    const struct operation *operation = find_operation("pairing_summary");
    struct buffer payload;
    struct buffer reply;
    struct value summary;
    uint64_t number = 0;
    if (!may_ask(doctor, operation))
        return;
    buffer_init(&payload);
    buffer_init(&reply);
    pack_map(&payload, 0);
    if (ask(doctor, operation, &payload, VALUE_MAP, &reply, &summary)) {
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
            if (value_find_uint(&summary, rows[i].member, &number) && number > 0)
                doctor_add(doctor, FINDING_NOTE, operation->name, rows[i].fix, "%" PRIu64 " %s",
                           number, rows[i].what);
        if (value_find_uint(&summary, "allowed", &number))
            doctor_add(doctor, FINDING_OK, "", "",
                       "%" PRIu64 " senders of other channels are allowed", number);
    }
    buffer_clear(&reply);
}
