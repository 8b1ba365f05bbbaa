/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/memory/quota.h"

static const struct {
    const char *edition;
    size_t memories_max;
} rows[] = {
    {"business", 100000},
    {"education", 10000},
    {"kids", 0},
    {"art", 50000},
};

static const size_t bytes_max = (size_t)1 << 30;

enum status
quota_find(struct text edition, struct memories_limits *limits, struct error *error)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (!text_equal_string(edition, rows[i].edition))
            continue;
        *limits = (struct memories_limits){rows[i].memories_max, bytes_max};
        return STATUS_OK;
    }
    error_set(error, "edition: came %.*s, expected business, education, kids or art",
              TEXT_ARGS(edition));
    return STATUS_VALIDATION;
}

struct memories_limits
quota_apply(const struct memories_limits *built_in, const struct edition_policy *policy)
{
    struct memories_limits limits = *built_in;
    uint64_t most;
    bool persists;
    if (value_find_uint(&policy->quotas, "memories_max", &most))
        limits.memories_max = most > SIZE_MAX ? SIZE_MAX : (size_t)most;
    if (value_find_bool(&policy->features, "persistent_memory", &persists) && !persists)
        limits.memories_max = 0;
    return limits;
}
