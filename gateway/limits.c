/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/limits.h"

#include <netinet/in.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { BUCKETS = 4096 };

#define TOKEN UINT64_C(1000000)

struct limits {
    uint64_t rate;
    uint8_t hash_key[crypto_shorthash_KEYBYTES];
    struct client *buckets[BUCKETS];
    uint32_t count;
    struct client shared; /* every address beyond LIMITS_CLIENTS_MAX */
};

struct limits *
limits_new(uint64_t rate)
{
    struct limits *limits = calloc(1, sizeof *limits);
    if (!limits)
        return NULL;
    limits->rate = rate;
    randombytes_buf(limits->hash_key, sizeof limits->hash_key);
    return limits;
}

void
limits_destroy(struct limits **limits_p)
{
    struct limits *limits = *limits_p;
    if (!limits)
        return;
    for (size_t i = 0; i < BUCKETS; i++) {
        while (limits->buckets[i]) {
            struct client *client = limits->buckets[i];
            limits->buckets[i] = client->next;
            free(client);
        }
    }
    free(limits);
    *limits_p = NULL;
}

static void
key_of(const struct sockaddr *address, uint8_t key[static 16], bool *loopback)
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    memset(key, 0, 16);
    *loopback = false;
    if (address->sa_family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, address, sizeof v4);
        memcpy(key, mapped, sizeof mapped);
        memcpy(key + 12, &v4.sin_addr, 4);
        *loopback = key[12] == 127;
    } else if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 v6;
        memcpy(&v6, address, sizeof v6);
        *loopback = IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr);
        if (*loopback || IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr))
            memcpy(key, &v6.sin6_addr, 16);
        else
            memcpy(key, &v6.sin6_addr, 8); /* hosts own whole /64 networks */
    }
}

static size_t
bucket_of(const struct limits *limits, const uint8_t key[static 16])
{
    uint8_t hash[crypto_shorthash_BYTES];
    crypto_shorthash(hash, key, 16, limits->hash_key);
    return ((size_t)hash[0] | (size_t)hash[1] << 8) % BUCKETS;
}

static uint64_t
rate_of(const struct limits *limits, const struct client *client)
{
    if (limits->rate > 0)
        return limits->rate;
    return client->loopback ? 0 : LIMITS_REMOTE_DEFAULT;
}

static void
refill(const struct limits *limits, struct client *client, uint64_t now_us)
{
    uint64_t rate = rate_of(limits, client);
    uint64_t full = rate * TOKEN;
    uint64_t passed = now_us - client->filled_us;
    if (client->filled_us == 0 || passed >= UINT64_C(60000000)) {
        client->tokens = full;
    } else {
        client->tokens += passed * rate / 60;
        if (client->tokens > full)
            client->tokens = full;
    }
    client->filled_us = now_us;
}

/* Idle clients are kept only for their used-up requests. */
static void
sweep(struct limits *limits)
{
    uint64_t newest = 0;
    for (size_t i = 0; i < BUCKETS; i++)
        for (struct client *client = limits->buckets[i]; client; client = client->next)
            if (client->filled_us > newest)
                newest = client->filled_us;
    for (size_t i = 0; i < BUCKETS; i++) {
        struct client **link = &limits->buckets[i];
        while (*link) {
            struct client *client = *link;
            if (client->connections == 0 && newest - client->filled_us >= UINT64_C(60000000)) {
                *link = client->next;
                free(client);
                limits->count--;
            } else {
                link = &client->next;
            }
        }
    }
}

struct client *
limits_acquire(struct limits *limits, const struct sockaddr *address)
{
    uint8_t key[16];
    bool loopback;
    key_of(address, key, &loopback);
    size_t bucket = bucket_of(limits, key);
    for (struct client *client = limits->buckets[bucket]; client; client = client->next) {
        if (memcmp(client->key, key, sizeof key) == 0) {
            client->connections++;
            return client;
        }
    }
    if (limits->count >= LIMITS_CLIENTS_MAX)
        sweep(limits);
    if (limits->count >= LIMITS_CLIENTS_MAX) {
        limits->shared.connections++;
        return &limits->shared;
    }
    struct client *client = calloc(1, sizeof *client);
    if (!client)
        return NULL;
    memcpy(client->key, key, sizeof key);
    client->loopback = loopback;
    client->connections = 1;
    client->next = limits->buckets[bucket];
    limits->buckets[bucket] = client;
    limits->count++;
    return client;
}

void
limits_release(struct limits *limits, struct client *client)
{
    client->connections--;
    if (client->connections > 0 || client == &limits->shared || rate_of(limits, client) > 0)
        return;
    struct client **link = &limits->buckets[bucket_of(limits, client->key)];
    while (*link != client)
        link = &(*link)->next;
    *link = client->next;
    free(client);
    limits->count--;
}

bool
limits_admit(struct limits *limits, struct client *client, uint64_t now_us, uint32_t *retry_seconds)
{
    uint64_t rate = rate_of(limits, client);
    if (rate == 0)
        return true;
    refill(limits, client, now_us);
    if (client->tokens >= TOKEN) {
        client->tokens -= TOKEN;
        return true;
    }
    uint64_t wait_us = (TOKEN - client->tokens) * 60 / rate;
    *retry_seconds = (uint32_t)(wait_us / 1000000) + 1;
    return false;
}
