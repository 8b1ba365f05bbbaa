/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/revocations.h"

#include <stdlib.h>

struct revocations {
    struct expiring *ids;
};

struct revocations *
revocations_new(void)
{
    struct revocations *revocations = calloc(1, sizeof *revocations);
    if (!revocations)
        return NULL;
    revocations->ids = expiring_new(REVOCATIONS_MAX);
    if (!revocations->ids)
        revocations_destroy(&revocations);
    return revocations;
}

void
revocations_destroy(struct revocations **revocations_p)
{
    if (!*revocations_p)
        return;
    expiring_destroy(&(*revocations_p)->ids);
    free(*revocations_p);
    *revocations_p = NULL;
}

static enum status
check(const struct revocations *revocations, const struct revocation *list, size_t count,
      uint64_t now_us, struct error *error)
{
    size_t added = 0;
    for (size_t i = 0; i < count; i++) {
        if (list[i].id.size == 0 || list[i].id.size > CAPABILITY_ID_MAX) {
            error_set(error, "the id of a capability has %zu bytes, expected 1 to %d",
                      list[i].id.size, CAPABILITY_ID_MAX);
            return STATUS_VALIDATION;
        }
        added += list[i].expires_us > now_us && !expiring_get(revocations->ids, list[i].id, now_us);
    }
    if (expiring_count(revocations->ids) + added <= REVOCATIONS_MAX)
        return STATUS_OK;
    error_set_word(error, "too_many_revocations",
                   "%zu revoked capabilities have not expired yet, at most %d are kept",
                   expiring_count(revocations->ids), REVOCATIONS_MAX);
    return STATUS_QUOTA_EXCEEDED;
}

enum status
revocations_add(struct revocations *revocations, const struct revocation *list, size_t count,
                uint64_t now_us, struct error *error)
{
    if (expiring_count(revocations->ids) + count > REVOCATIONS_MAX)
        expiring_forget(revocations->ids, now_us);
    enum status status = check(revocations, list, count, now_us, error);
    for (size_t i = 0; i < count && status == STATUS_OK; i++) {
        uint64_t known_us = expiring_get(revocations->ids, list[i].id, now_us);
        if (list[i].expires_us > now_us && list[i].expires_us > known_us)
            status = expiring_set(revocations->ids, list[i].id, list[i].expires_us, now_us);
    }
    return status;
}

bool
revocations_has(const struct revocations *revocations, struct text id, uint64_t now_us)
{
    return expiring_get(revocations->ids, id, now_us) != 0;
}

size_t
revocations_count(const struct revocations *revocations)
{
    return expiring_count(revocations->ids);
}

void
revocations_forget(struct revocations *revocations, uint64_t now_us)
{
    expiring_forget(revocations->ids, now_us);
}

void
revocations_visit(const struct revocations *revocations, uint64_t now_us, expiring_visit_fn *visit,
                  void *context)
{
    expiring_visit(revocations->ids, now_us, visit, context);
}
