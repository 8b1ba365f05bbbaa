/* SPDX-License-Identifier: Apache-2.0 */
#include "load.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    SLOTS_MAX = 4096,
    SUBSCRIBERS_MAX = 64,
    SIZE_MIN = 32,
    SIZE_MAX_BYTES = 65536,
    STEPS_PER_OCTAVE = 16,
    BUCKETS = 64 * STEPS_PER_OCTAVE,
    LATE_S = 10 /* so long after the end a message counts as lost */
};

/* At the head of each message; the rest is filling. */
struct head {
    uint64_t number;
    uint32_t index; /* the request's slot, or who gives credit */
    uint32_t last;  /* the publisher's last message, and the credit for it */
};

struct load {
    struct load_options options;
    struct transport *transport;
    uint8_t message[SIZE_MAX_BYTES];
    uint64_t started_ns;
    uint64_t until_ns;
    uint64_t ended_ns;
    uint64_t sent;
    uint64_t done;
    uint64_t wrong; /* not the one that was expected */
    uint64_t dropped;
    bool running; /* the publisher's last, or the subscriber's last, is still to come */
    /* client */
    struct {
        uint64_t number;
        uint64_t sent_ns; /* 0: free */
    } slots[SLOTS_MAX];
    unsigned busy;
    uint64_t buckets[BUCKETS];
    /* publisher */
    uint64_t credit[SUBSCRIBERS_MAX];
    unsigned finished;
};

static volatile sig_atomic_t stopped;

static void
stop(int number)
{
    (void)number;
    stopped = 1;
}

void
load_fail(const char *what, const char *why)
{
    fprintf(stderr, "%s: %s\n", what, why ? why : "failed");
    exit(EXIT_FAILURE);
}

static uint64_t
now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* ---- latencies: 16 steps to a doubling */

static size_t
bucket_of(uint64_t ns)
{
    unsigned octave = ns < STEPS_PER_OCTAVE ? 0 : 59u - (unsigned)__builtin_clzll(ns);
    return octave * STEPS_PER_OCTAVE + (size_t)((ns >> octave) % STEPS_PER_OCTAVE) +
           (octave ? STEPS_PER_OCTAVE : 0);
}

static uint64_t
bucket_ns(size_t bucket)
{
    if (bucket < STEPS_PER_OCTAVE)
        return bucket;
    size_t octave = bucket / STEPS_PER_OCTAVE - 1;
    return (STEPS_PER_OCTAVE + bucket % STEPS_PER_OCTAVE) << octave;
}

static double
percentile_us(const struct load *load, double part)
{
    uint64_t before = 0, wanted = (uint64_t)(part * (double)load->done);
    for (size_t i = 0; i < BUCKETS; i++) {
        before += load->buckets[i];
        if (before > wanted)
            return (double)bucket_ns(i) / 1000;
    }
    return 0;
}

/* ---- roles */

static bool
say(struct load *load, struct head head)
{
    memcpy(load->message, &head, sizeof head);
    return transport_send(load->transport, load->message, load->options.size);
}

static void
ask(struct load *load, unsigned slot, uint64_t at_ns)
{
    struct head head = {load->sent + 1, slot, 0};
    if (!say(load, head))
        return;
    load->sent++;
    load->slots[slot].number = head.number;
    load->slots[slot].sent_ns = at_ns;
    load->busy++;
}

static void
client_received(struct load *load, struct head head)
{
    uint64_t at_ns = now_ns();
    if (head.index >= load->options.in_flight || load->slots[head.index].sent_ns == 0 ||
        load->slots[head.index].number != head.number) {
        load->wrong++;
        return;
    }
    size_t bucket = bucket_of(at_ns - load->slots[head.index].sent_ns);
    load->buckets[bucket < BUCKETS ? bucket : BUCKETS - 1]++;
    load->slots[head.index].sent_ns = 0;
    load->busy--;
    load->done++;
    load->ended_ns = at_ns;
    if (at_ns < load->until_ns)
        ask(load, head.index, at_ns);
}

static void
client_pump(struct load *load)
{
    uint64_t at_ns = now_ns();
    for (unsigned i = 0; i < load->options.in_flight && at_ns < load->until_ns; i++) {
        if (load->busy == load->options.in_flight)
            return;
        if (load->slots[i].sent_ns == 0)
            ask(load, i, at_ns);
    }
}

static void
publisher_pump(struct load *load)
{
    uint64_t limit = UINT64_MAX;
    for (unsigned i = 0; i < load->options.subscribers; i++)
        limit = load->credit[i] < limit ? load->credit[i] : limit;
    limit += load->options.window;
    while (load->running && load->sent < limit) {
        bool last = load->sent % 64 == 0 && now_ns() >= load->until_ns;
        if (!say(load, (struct head){load->sent + 1, 0, last}))
            return;
        load->sent++;
        load->running = !last;
    }
}

static void
publisher_received(struct load *load, struct head head)
{
    if (head.index >= load->options.subscribers) {
        load->wrong++;
        return;
    }
    load->credit[head.index] = head.number;
    load->finished += head.last;
    if (load->finished == load->options.subscribers) {
        load->ended_ns = now_ns();
        load->done = load->sent;
    }
    publisher_pump(load);
}

static void
subscriber_received(struct load *load, struct head head)
{
    if (head.number != load->done + 1)
        load->wrong++;
    load->done++;
    if (head.last || load->done % (load->options.window / 8) == 0) {
        struct head credit = {load->done, load->options.index, head.last};
        while (!say(load, credit))
            continue;
    }
    if (head.last)
        load->running = false;
}

void
load_received(struct load *load, const uint8_t *data, size_t size)
{
    struct head head;
    if (size != load->options.size) {
        load->wrong++;
        return;
    }
    memcpy(&head, data, sizeof head);
    switch (load->options.role) {
    case ROLE_CLIENT:
        client_received(load, head);
        return;
    case ROLE_WORKER:
        load->done++;
        while (!transport_send(load->transport, data, size))
            continue;
        return;
    case ROLE_PUBLISHER:
        publisher_received(load, head);
        return;
    case ROLE_SUBSCRIBER:
        subscriber_received(load, head);
        return;
    default:
        return;
    }
}

void
load_shown(struct load *load, uint64_t records, uint64_t dropped)
{
    load->done += records;
    load->dropped += dropped;
    load->ended_ns = now_ns();
}

void
load_pump(struct load *load)
{
    if (!load->transport)
        return; /* it is being opened */
    if (load->options.role == ROLE_CLIENT)
        client_pump(load);
    else if (load->options.role == ROLE_PUBLISHER)
        publisher_pump(load);
}

bool
load_ended(const struct load *load)
{
    if (stopped)
        return true;
    uint64_t late_ns = load->until_ns + (uint64_t)LATE_S * 1000000000;
    switch (load->options.role) {
    case ROLE_CLIENT:
        return (load->busy == 0 && now_ns() >= load->until_ns) || now_ns() > late_ns;
    case ROLE_PUBLISHER:
        return load->finished == load->options.subscribers || now_ns() > late_ns;
    case ROLE_SUBSCRIBER:
        return !load->running;
    default:
        return false;
    }
}

/* ---- the program */

static unsigned
number(const char *text)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);
    if (*end || value > 1u << 30)
        load_fail(text, "expected a number");
    return (unsigned)value;
}

static void
parse(struct load_options *options, int argc, char **argv)
{
    static const char *const roles[] = {"client",     "worker", "publisher",
                                        "subscriber", "tap",    "system"};
    static const struct option names[] = {{"address", required_argument, NULL, 'a'},
                                          {"keys", required_argument, NULL, 'k'},
                                          {"index", required_argument, NULL, 'i'},
                                          {"workers", required_argument, NULL, 'w'},
                                          {"subscribers", required_argument, NULL, 'u'},
                                          {"size", required_argument, NULL, 's'},
                                          {"in-flight", required_argument, NULL, 'f'},
                                          {"window", required_argument, NULL, 'n'},
                                          {"seconds", required_argument, NULL, 't'},
                                          {"at-once", no_argument, NULL, 'o'},
                                          {"token", required_argument, NULL, 'p'},
                                          {"durable", no_argument, NULL, 'd'},
                                          {NULL, 0, NULL, 0}};
    *options = (struct load_options){
        .workers = 1, .subscribers = 1, .size = 256, .in_flight = 64, .window = 4096, .seconds = 5};
    for (int c; (c = getopt_long(argc, argv, "", names, NULL)) >= 0;) {
        switch (c) {
        case 'a':
            options->address = optarg;
            break;
        case 'k':
            options->keys = optarg;
            break;
        case 'i':
            options->index = number(optarg);
            break;
        case 'w':
            options->workers = number(optarg);
            break;
        case 'u':
            options->subscribers = number(optarg);
            break;
        case 's':
            options->size = number(optarg);
            break;
        case 'f':
            options->in_flight = number(optarg);
            break;
        case 'n':
            options->window = number(optarg);
            break;
        case 't':
            options->seconds = number(optarg);
            break;
        case 'o':
            options->at_once = true;
            break;
        case 'p':
            options->token = optarg;
            break;
        case 'd':
            options->durable = true;
            break;
        default:
            exit(2);
        }
    }
    size_t role = 0;
    while (role <= ROLE_SYSTEM && (optind >= argc || strcmp(argv[optind], roles[role]) != 0))
        role++;
    if (role > ROLE_SYSTEM || !options->address || options->in_flight < 1 ||
        options->in_flight > SLOTS_MAX || options->subscribers > SUBSCRIBERS_MAX ||
        options->size < SIZE_MIN || options->size > SIZE_MAX_BYTES || options->window < 8 ||
        options->workers < 1)
        load_fail("usage",
                  "client|worker|publisher|subscriber|tap|system --address A [--keys FILE] …");
    options->role = (enum role)role;
}

static void
await_start(void)
{
    char line[16];
    printf("ready\n");
    fflush(stdout);
    if (!fgets(line, sizeof line, stdin))
        exit(EXIT_FAILURE);
}

static void
await_end(void)
{
    char bytes[16];
    while (fread(bytes, 1, sizeof bytes, stdin) > 0)
        continue;
}

static void
print_result(const struct load *load)
{
    uint64_t lost = load->options.role == ROLE_CLIENT ? load->busy : load->sent - load->done;
    if (load->options.role == ROLE_SUBSCRIBER || load->options.role == ROLE_WORKER)
        lost = 0;
    if (load->options.role == ROLE_TAP)
        lost = load->dropped;
    double seconds =
        load->ended_ns > load->started_ns ? (double)(load->ended_ns - load->started_ns) / 1e9 : 0;
    printf("{\"done\": %llu, \"lost\": %llu, \"wrong\": %llu, \"seconds\": %.6f, "
           "\"p50_us\": %.1f, \"p99_us\": %.1f}\n",
           (unsigned long long)load->done, (unsigned long long)lost,
           (unsigned long long)load->wrong, seconds, percentile_us(load, 0.5),
           percentile_us(load, 0.99));
    fflush(stdout);
}

int
main(int argc, char **argv)
{
    struct load *load = calloc(1, sizeof *load);
    if (!load)
        load_fail("start", "out of memory");
    parse(&load->options, argc, argv);
    struct sigaction action = {.sa_handler = stop};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    load->running = true;
    load->transport = transport_open(&load->options, load);
    if (load->options.role == ROLE_CLIENT || load->options.role == ROLE_PUBLISHER) {
        await_start();
    } else {
        printf("ready\n");
        fflush(stdout);
    }
    load->started_ns = now_ns();
    load->until_ns = load->started_ns + (uint64_t)load->options.seconds * 1000000000;
    transport_run(load->transport);
    print_result(load);
    if (load->options.role == ROLE_SUBSCRIBER)
        await_end(); /* its last credit is still on its way */
    transport_close(load->transport);
    free(load);
    return EXIT_SUCCESS;
}
