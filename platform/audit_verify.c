/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/audit_verify.h"

#include <stdio.h>
#include <string.h>

#include "platform/audit_read.h"

struct verifying {
    struct audit_verdict *verdict;
    uint64_t after; /* lines up to this seq are not judged */
    bool begun;
    int first_file;
    struct audit_hash before; /* that the first line names; zero: none */
    bool is_vouched_for;      /* a later line tells that what stood before it was removed */
};

static void
note_flaw(struct verifying *verifying, const struct audit_place *place, const char *problem)
{
    struct audit_verdict *verdict = verifying->verdict;
    verdict->is_good = false;
    verdict->file = place->file;
    verdict->line = place->line;
    snprintf(verdict->problem, sizeof verdict->problem, "%s", problem);
}

static void
expect_following(struct audit_verdict *verdict)
{
    char hex[AUDIT_HEX_SIZE];
    audit_hash_format(&verdict->last.hash, hex);
    snprintf(verdict->expected, sizeof verdict->expected,
             "a line with \"prev\":\"%s\" and seq %llu or higher", hex,
             (unsigned long long)verdict->last.seq);
}

/* Quotes within members are escaped, so this is found nowhere else. */
static bool
has(struct text line, const char *part)
{
    return memmem(line.data, line.size, part, strlen(part)) != NULL;
}

static void
look_for_voucher(struct verifying *verifying, struct text line)
{
    char hex[AUDIT_HEX_SIZE], resource[sizeof hex + 32];
    if (verifying->is_vouched_for || !has(line, ",\"event\":\"audit.rotated\","))
        return;
    audit_hash_format(&verifying->before, hex);
    snprintf(resource, sizeof resource, ",\"resource\":\"%s\",", hex);
    verifying->is_vouched_for = has(line, resource);
}

static void
judge(struct verifying *verifying, const struct audit_place *place, struct text text)
{
    struct audit_verdict *verdict = verifying->verdict;
    struct audit_line line = {0};
    const struct audit_link *former = verifying->begun ? &verdict->last : NULL;
    enum audit_finding finding = audit_check(text, former, &line);
    if (!verifying->begun && verifying->after > 0 &&
        (finding == AUDIT_LINE_FOREIGN || line.link.seq <= verifying->after))
        return;
    switch (finding) {
    case AUDIT_LINE_FOREIGN:
        note_flaw(verifying, place, "this is no line that a trail writes");
        expect_following(verdict);
        return;
    case AUDIT_LINE_ALTERED:
        note_flaw(verifying, place, "the line was altered: its hash is not that of its bytes");
        snprintf(verdict->expected, sizeof verdict->expected,
                 "the line of seq %llu as it was written", (unsigned long long)line.link.seq);
        return;
    case AUDIT_LINE_MISPLACED:
        note_flaw(verifying, place,
                  "it does not follow the line before: lines were removed, added or moved here");
        expect_following(verdict);
        return;
    case AUDIT_LINE_GOOD:
        break;
    }
    if (has(text, ",\"event\":\"audit.damaged\",")) {
        note_flaw(verifying, place, "the writer of the trail has found it damaged here");
        snprintf(verdict->expected, sizeof verdict->expected, "what its \"detail\" says");
        return;
    }
    if (!verifying->begun) {
        verifying->before = line.prev;
        verifying->first_file = place->file;
        verifying->begun = true;
    }
    look_for_voucher(verifying, text);
    verdict->last = line.link;
    verdict->lines++;
}

static enum status
take_line(void *context, const struct audit_place *place, struct text line, struct error *error)
{
    (void)error;
    struct verifying *verifying = context;
    if (!place->is_whole && place->file == 0)
        verifying->verdict->unfinished = line.size;
    else
        judge(verifying, place, line);
    return verifying->verdict->is_good ? STATUS_OK : STATUS_CANCELLED;
}

enum status
audit_verify(const char *path, struct audit_verdict *verdict, struct error *error)
{
    return audit_verify_after(path, 0, verdict, error);
}

enum status
audit_verify_after(const char *path, uint64_t seq, struct audit_verdict *verdict,
                   struct error *error)
{
    *verdict = (struct audit_verdict){.is_good = true};
    struct verifying verifying = {.verdict = verdict, .after = seq};
    enum status status = audit_read(path, false, take_line, &verifying, &verdict->files, error);
    if (status == STATUS_CANCELLED && !verdict->is_good)
        return STATUS_OK;
    if (status != STATUS_OK)
        return status;
    if (seq == 0 && verifying.begun && !audit_hash_is_zero(&verifying.before) &&
        !verifying.is_vouched_for) {
        const struct audit_place place = {.file = verifying.first_file, .line = 1};
        note_flaw(&verifying, &place,
                  "it names a line before it that is not there: the oldest lines were removed");
        snprintf(verdict->expected, sizeof verdict->expected,
                 "the line before, or a later line audit.rotated that tells of its removal");
    }
    return STATUS_OK;
}
