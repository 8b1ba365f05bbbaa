/* SPDX-License-Identifier: Apache-2.0 */
/* cli/bench.c - `sos bench`: what the running swarm does in a second, measured from here. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <zmq.h>

#include "cli/bus_caller.h"
#include "cli/bus_show.h"
#include "cli/bus_values.h"
#include "cli/client.h"

enum {
    SAMPLES_MAX = 1 << 20,
    SENDS_MAX = 50000, /* of each measurement: what an inbox surely holds */
    BATCH = 256,
    SECONDS_DEFAULT = 5,
    SECONDS_MAX = 300,
    PHASES = 5
};

#define SECOND_US UINT64_C(1000000)

struct figure {
    const char *name;
    unsigned in_flight;
    uint64_t count;
    double rate; /* a second */
    uint32_t p50_us, p99_us;
};

struct bench {
    struct bus_caller caller;
    uint64_t phase_us;
    char inbox[64];
    struct figure figures[PHASES];
    size_t figure_count;
    uint32_t *samples;
};

/* One kind of call, again and again. */
struct load {
    struct bench *bench;
    struct peer_request request;
    unsigned window;
    uint64_t end_us, count_max;
    uint64_t sent, done;
    size_t sampled;
    enum status status; /* the first that was not OK */
    struct error error;
    struct slot *spare;
};

struct slot {
    struct load *load;
    uint64_t sent_us;
    struct slot *next;
};

static uint64_t
now_us(const struct bench *bench)
{
    return clock_now(bench->caller.cli->clock).monotonic_us;
}

static void
on_reply(void *context, const struct peer_answer *answer)
{
    struct slot *slot = context;
    struct load *load = slot->load;
    uint64_t took_us = now_us(load->bench) - slot->sent_us;
    load->done++;
    if (answer->status != STATUS_OK && load->status == STATUS_OK) {
        load->status = answer->status;
        error_unpack(answer->payload, &load->error);
    }
    if (load->sampled < SAMPLES_MAX)
        load->bench->samples[load->sampled++] =
            took_us < UINT32_MAX ? (uint32_t)took_us : UINT32_MAX;
    slot->next = load->spare;
    load->spare = slot;
}

static void
fill(struct load *load)
{
    struct uuid id;
    while (load->status == STATUS_OK && load->spare && load->sent < load->count_max &&
           now_us(load->bench) < load->end_us) {
        struct slot *slot = load->spare;
        load->request.on_reply = on_reply;
        load->request.context = slot;
        slot->sent_us = now_us(load->bench);
        enum status status = peer_call(load->bench->caller.peer, &load->request, &id, &load->error);
        if (status != STATUS_OK) {
            load->status = status;
            return;
        }
        load->spare = slot->next;
        load->sent++;
    }
}

/* Until everything that was asked is answered, also when a signal or a failure ends it early. */
static enum status
drive(struct load *load)
{
    struct bus_caller *caller = &load->bench->caller;
    for (;;) {
        fill(load);
        while (peer_process(caller->peer))
            fill(load);
        if (load->done == load->sent &&
            (load->status != STATUS_OK || load->sent >= load->count_max ||
             now_us(load->bench) >= load->end_us))
            return load->status;
        if (load->spare && load->sent < load->count_max && load->status == STATUS_OK &&
            now_us(load->bench) < load->end_us)
            continue;
        zmq_pollitem_t items[] = {
            {.socket = peer_socket(caller->peer), .events = ZMQ_POLLIN},
            {.socket = peer_monitor(caller->peer), .events = ZMQ_POLLIN},
            {.fd = caller->signal_fd, .events = ZMQ_POLLIN},
        };
        zmq_poll(items, 3, invoke_timeout_ms(caller->peer, caller->cli->clock));
        if (invoke_take_signal(caller->signal_fd) && load->status == STATUS_OK)
            load->status = STATUS_CANCELLED;
    }
}

static int
compare(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a;
    uint32_t right = *(const uint32_t *)b;
    return left < right ? -1 : left > right;
}

static void
keep_figure(struct bench *bench, const char *name, const struct load *load, uint64_t took_us)
{
    struct figure *figure = &bench->figures[bench->figure_count++];
    size_t count = load->sampled;
    qsort(bench->samples, count, sizeof *bench->samples, compare);
    *figure = (struct figure){
        .name = name,
        .in_flight = load->window,
        .count = load->done,
        .rate = took_us > 0 ? (double)load->done * 1e6 / (double)took_us : 0,
        .p50_us = count > 0 ? bench->samples[count / 2] : 0,
        .p99_us = count > 0 ? bench->samples[count - count / 100 - 1] : 0,
    };
}

static enum status
measure(struct bench *bench, const char *name, const struct operation *operation,
        const struct buffer *payload, unsigned window, struct error *error)
{
    struct slot *slots = calloc(window, sizeof *slots);
    struct load load = {.bench = bench, .window = window, .count_max = SENDS_MAX};
    if (!(operation->flags & OPERATION_WRITE))
        load.count_max = UINT64_MAX;
    enum status status = slots && !payload->failed ? STATUS_OK : STATUS_NOMEM;
    if (status == STATUS_OK)
        status = bus_caller_request(&bench->caller, operation, buffer_bytes(payload), &load.request,
                                    error);
    for (unsigned i = 0; status == STATUS_OK && i < window; i++) {
        slots[i] = (struct slot){&load, 0, load.spare};
        load.spare = &slots[i];
    }
    if (status == STATUS_OK) {
        uint64_t begin_us = now_us(bench);
        load.end_us = begin_us + bench->phase_us;
        status = drive(&load);
        if (status == STATUS_OK)
            keep_figure(bench, name, &load, now_us(bench) - begin_us);
        else if (load.error.message[0])
            *error = load.error;
    }
    free(slots);
    return status;
}

/* ---- what is measured */

static enum status
ask(struct bench *bench, unsigned window, struct error *error)
{
    struct buffer payload;
    buffer_init(&payload);
    pack_map(&payload, 0);
    enum status status = measure(bench, "request and reply", bus_operation(OP_BUS_HEALTH_CHECK),
                                 &payload, window, error);
    buffer_clear(&payload);
    return status;
}

static enum status
publish(struct bench *bench, unsigned window, struct error *error)
{
    char channel[MESSAGE_NAME_MAX + 8];
    struct buffer payload;
    buffer_init(&payload);
    snprintf(channel, sizeof channel, "%s:bench", bench->caller.identity);
    pack_map(&payload, 3);
    pack_pair_string(&payload, "from", bench->caller.identity);
    pack_pair_string(&payload, "channel", channel);
    pack_pair_string(&payload, "payload", "bench");
    enum status status =
        measure(bench, "publish, numbered", bus_operation(OP_BUS_PUBLISH), &payload, window, error);
    buffer_clear(&payload);
    return status;
}

static enum status
send_durably(struct bench *bench, unsigned window, struct error *error)
{
    struct buffer payload;
    buffer_init(&payload);
    pack_map(&payload, 3);
    pack_pair_string(&payload, "from", bench->caller.identity);
    pack_pair_string(&payload, "to", bench->inbox);
    pack_pair_string(&payload, "payload", "bench");
    enum status status = measure(bench, "durable send, fsynced", bus_operation(OP_BUS_SEND),
                                 &payload, window, error);
    buffer_clear(&payload);
    return status;
}

/* Takes a batch out and acknowledges it; *taken is how many there were. */
static enum status
take_batch(struct bench *bench, uint64_t *taken, struct error *error)
{
    struct buffer payload;
    struct buffer answer;
    struct value map;
    struct value mail;
    struct value message;
    buffer_init(&payload);
    buffer_init(&answer);
    *taken = 0;
    pack_map(&payload, 2);
    pack_pair_string(&payload, "agent_id", bench->inbox);
    pack_pair_uint(&payload, "limit", BATCH);
    enum status status = bus_caller_call(&bench->caller, bus_operation(OP_BUS_INBOX),
                                         buffer_bytes(&payload), &answer, error);
    if (status == STATUS_OK && value_parse(buffer_bytes(&answer), &map) &&
        value_find(&map, "messages", &mail) && mail.type == VALUE_ARRAY && mail.as.count > 0) {
        *taken = mail.as.count;
        buffer_reset(&payload);
        pack_map(&payload, 2);
        pack_pair_string(&payload, "agent_id", bench->inbox);
        pack_string(&payload, "ids");
        pack_array(&payload, mail.as.count);
        for (struct entries entries = value_entries(&mail); entries_next(&entries, &message);)
            pack_text(&payload, show_text(&message, "id"));
        struct buffer acked;
        buffer_init(&acked);
        status = bus_caller_call(&bench->caller, bus_operation(OP_BUS_ACK), buffer_bytes(&payload),
                                 &acked, error);
        buffer_clear(&acked);
    }
    buffer_clear(&answer);
    buffer_clear(&payload);
    return status;
}

/* Leaves the inbox empty, however long that takes. */
static enum status
receive(struct bench *bench, struct error *error)
{
    struct load load = {.bench = bench, .window = 1};
    uint64_t total = 0;
    uint64_t taken = 1;
    uint64_t begin_us = now_us(bench);
    enum status status = STATUS_OK;
    while (status == STATUS_OK && taken > 0) {
        uint64_t sent_us = now_us(bench);
        status = take_batch(bench, &taken, error);
        total += taken;
        if (taken > 0 && load.sampled < SAMPLES_MAX)
            bench->samples[load.sampled++] = (uint32_t)(now_us(bench) - sent_us);
    }
    load.done = total;
    if (status == STATUS_OK && bench->figure_count < PHASES)
        keep_figure(bench, "take and ack, by 256", &load, now_us(bench) - begin_us);
    return status;
}

/* ---- the report */

static void
report_json(const struct bench *bench)
{
    printf("[");
    for (size_t i = 0; i < bench->figure_count; i++) {
        const struct figure *figure = &bench->figures[i];
        printf("%s{\"name\":\"%s\",\"in_flight\":%u,\"count\":%llu,\"per_second\":%.1f,"
               "\"p50_us\":%u,\"p99_us\":%u}",
               i ? "," : "", figure->name, figure->in_flight, (unsigned long long)figure->count,
               figure->rate, (unsigned)figure->p50_us, (unsigned)figure->p99_us);
    }
    printf("]\n");
}

static bool
report(const struct bench *bench)
{
    static const char *const headings[] = {"WHAT", ">IN FLIGHT", ">COUNT", ">A SECOND",
                                           ">P50", ">P99",       NULL};
    struct screen screen = screen_of_stdout(COLOR_AUTO);
    struct table *table = table_new(headings);
    if (!table)
        return false;
    for (size_t i = 0; i < bench->figure_count; i++) {
        const struct figure *figure = &bench->figures[i];
        char rate[16];
        char p50[24];
        char p99[24];
        screen_count(figure->rate, rate, sizeof rate);
        screen_duration(&screen, figure->p50_us, p50, sizeof p50);
        screen_duration(&screen, figure->p99_us, p99, sizeof p99);
        table_add(table, text_of(figure->name));
        table_add_format(table, "%u", figure->in_flight);
        table_add_format(table, "%llu", (unsigned long long)figure->count);
        table_add(table, text_of(rate));
        table_add(table, text_of(p50));
        table_add(table, text_of(p99));
    }
    bool printed = table_print(table, &screen);
    table_destroy(&table);
    return printed;
}

static int
run(struct bench *bench)
{
    struct error error = ERROR_INIT;
    struct error later = ERROR_INIT;
    enum status status = ask(bench, 1, &error);
    if (status == STATUS_OK)
        status = ask(bench, 64, &error);
    if (status == STATUS_OK)
        status = publish(bench, 64, &error);
    if (status == STATUS_OK)
        status = send_durably(bench, BATCH, &error);
    enum status emptied = receive(bench, &later);
    if (status == STATUS_OK && emptied != STATUS_OK) {
        status = emptied;
        error = later;
    }
    if (status != STATUS_OK)
        return bus_caller_refused(&bench->caller, status, &error);
    if (bench->caller.cli->json)
        report_json(bench);
    else if (!report(bench))
        return command_fail("bench", EXIT_FAILED, "standard output cannot be written");
    return EXIT_OK;
}

int
run_bench(struct cli *cli, int argc, char **argv)
{
    struct error error = ERROR_INIT;
    const char *seconds = NULL;
    uint64_t number = SECONDS_DEFAULT;
    const struct option_row rows[] = {{"--seconds", &seconds}};
    struct options_line line = {rows, 1, NULL, 0, NULL, 0, 0};
    int code = options_parse("bench", &line, argc, argv);
    if (code != EXIT_OK)
        return code;
    if (seconds &&
        values_number("--seconds", seconds, 1, SECONDS_MAX, &number, &error) != STATUS_OK)
        return command_fail("bench", EXIT_USAGE, "%s", error.message);
    struct bench bench = {.phase_us = number * SECOND_US / PHASES};
    snprintf(bench.inbox, sizeof bench.inbox, "user:bench-%ld", (long)getpid());
    bench.samples = calloc(SAMPLES_MAX, sizeof *bench.samples);
    if (!bench.samples)
        return command_fail("bench", EXIT_FAILED, "out of memory");
    code = bus_caller_open(&bench.caller, cli, "bench");
    if (code == EXIT_OK) {
        code = run(&bench);
        bus_caller_close(&bench.caller);
    }
    free(bench.samples);
    return code;
}
