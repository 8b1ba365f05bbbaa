/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/expiring.h"

#include <sodium.h>
#include <stdlib.h>

enum { PLACES_MIN = 64, SWEEP_MIN = 64 };

struct entry {
    struct entry *next;
    uint64_t until_us;
    uint64_t hash;
    size_t size;
    char name[];
};

struct expiring {
    struct entry **places;
    size_t place_count; /* a power of two */
    size_t count;
    size_t count_max;
    size_t sweep_at; /* entries at which the next walk is worth its time */
    uint8_t key[crypto_shorthash_KEYBYTES];
};

struct expiring *
expiring_new(size_t count_max)
{
    struct expiring *expiring = calloc(1, sizeof *expiring);
    if (!expiring)
        return NULL;
    expiring->places = calloc(PLACES_MIN, sizeof *expiring->places);
    if (!expiring->places) {
        free(expiring);
        return NULL;
    }
    expiring->place_count = PLACES_MIN;
    expiring->count_max = count_max;
    expiring->sweep_at = SWEEP_MIN;
    randombytes_buf(expiring->key, sizeof expiring->key);
    return expiring;
}

void
expiring_destroy(struct expiring **expiring_p)
{
    struct expiring *expiring = *expiring_p;
    if (!expiring)
        return;
    expiring_forget(expiring, UINT64_MAX);
    free(expiring->places);
    free(expiring);
    *expiring_p = NULL;
}

static uint64_t
hash_name(const struct expiring *expiring, struct text name)
{
    uint64_t hash;
    crypto_shorthash((unsigned char *)&hash, (const unsigned char *)name.data, name.size,
                     expiring->key);
    return hash;
}

static struct entry **
place_of(const struct expiring *expiring, uint64_t hash)
{
    return &expiring->places[hash & (expiring->place_count - 1)];
}

static struct entry *
find(const struct expiring *expiring, struct text name, uint64_t hash)
{
    struct entry *entry = *place_of(expiring, hash);
    while (entry &&
           (entry->hash != hash || !text_equal((struct text){entry->name, entry->size}, name)))
        entry = entry->next;
    return entry;
}

/* Without memory the chains get longer, no more. */
static void
grow(struct expiring *expiring)
{
    size_t old_count = expiring->place_count;
    struct entry **old = expiring->places;
    struct entry **places = calloc(old_count * 2, sizeof *places);
    if (!places)
        return;
    expiring->places = places;
    expiring->place_count = old_count * 2;
    for (size_t i = 0; i < old_count; i++) {
        while (old[i]) {
            struct entry *entry = old[i];
            struct entry **place = place_of(expiring, entry->hash);
            old[i] = entry->next;
            entry->next = *place;
            *place = entry;
        }
    }
    free(old);
}

void
expiring_forget(struct expiring *expiring, uint64_t now_us)
{
    for (size_t i = 0; i < expiring->place_count; i++) {
        struct entry **link = &expiring->places[i];
        while (*link) {
            struct entry *entry = *link;
            if (entry->until_us > now_us) {
                link = &entry->next;
                continue;
            }
            *link = entry->next;
            expiring->count--;
            free(entry);
        }
    }
    expiring->sweep_at = expiring->count < SWEEP_MIN ? SWEEP_MIN : expiring->count * 2;
}

enum status
expiring_set(struct expiring *expiring, struct text name, uint64_t until_us, uint64_t now_us)
{
    if (name.size == 0 || name.size > EXPIRING_NAME_MAX)
        return STATUS_INVALID;
    uint64_t hash = hash_name(expiring, name);
    struct entry *entry = find(expiring, name, hash);
    if (entry) {
        entry->until_us = until_us;
        return STATUS_OK;
    }
    if (expiring->count >= expiring->sweep_at || expiring->count >= expiring->count_max)
        expiring_forget(expiring, now_us);
    if (expiring->count >= expiring->count_max)
        return STATUS_QUOTA_EXCEEDED;
    if (expiring->count >= expiring->place_count)
        grow(expiring);
    entry = malloc(sizeof *entry + name.size);
    if (!entry)
        return STATUS_NOMEM;
    struct entry **place = place_of(expiring, hash);
    *entry = (struct entry){.next = *place, .until_us = until_us, .hash = hash, .size = name.size};
    memcpy(entry->name, name.data, name.size);
    *place = entry;
    expiring->count++;
    return STATUS_OK;
}

uint64_t
expiring_get(const struct expiring *expiring, struct text name, uint64_t now_us)
{
    if (expiring->count == 0 || name.size == 0 || name.size > EXPIRING_NAME_MAX)
        return 0;
    const struct entry *entry = find(expiring, name, hash_name(expiring, name));
    return entry && entry->until_us > now_us ? entry->until_us : 0;
}

size_t
expiring_count(const struct expiring *expiring)
{
    return expiring->count;
}

void
expiring_visit(const struct expiring *expiring, uint64_t now_us, expiring_visit_fn *visit,
               void *context)
{
    for (size_t i = 0; i < expiring->place_count; i++)
        for (const struct entry *entry = expiring->places[i]; entry; entry = entry->next)
            if (entry->until_us > now_us)
                visit(context, (struct text){entry->name, entry->size}, entry->until_us);
}
