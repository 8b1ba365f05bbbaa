/* SPDX-License-Identifier: Apache-2.0 */
/* What tests/integration/test_sdk_c.py runs: a program that uses the installed C library.
 *
 *   sdk_worker send TO COUNT           COUNT numbered messages; prints "stored S copies C"
 *   sdk_worker receive COUNT           prints "number attempt" of each message it handles, until
 * COUNT were handled (0: until SIGTERM) sdk_worker publish CHANNEL COUNT   COUNT numbered events,
 * confirmed; prints "published P" sdk_worker listen CHANNEL COUNT    prints "seq missed number" of
 * each event sdk_worker connect                 prints what became of it sdk_worker crowd THREADS
 * CALLS     calls of many threads; prints "answered A" sdk_worker tap CAPABILITY          prints
 * the type of each record that passes, one a line */
#include <err.h>
#include <pthread.h>
#include <signal.h>
#include <sos.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct sos *sos;
static struct sos_error error;

static void
on_signal(int number)
{
    (void)number;
    sos_stop(sos);
}

static void
check(int status)
{
    if (status != SOS_OK)
        errx(1, "%d %s: %s", error.status, error.word, error.message);
}

static struct sos_map *
numbered(long long number)
{
    struct sos_map *map = sos_map_new();
    sos_map_put_int(map, "number", number);
    return map;
}

/* ---- sending */

struct tally {
    long long ended;
    long long stored;
    unsigned long long copies;
};

static void
on_sent(void *context, const struct sos_error *failure, const struct sos_receipt *receipt)
{
    struct tally *tally = context;
    tally->ended++;
    if (failure) {
        warnx("%d %s: %s", failure->status, failure->word, failure->message);
        return;
    }
    tally->stored++;
    tally->copies += receipt->copies;
}

static void
send_all(const char *to, long long count)
{
    struct tally tally = {0};
    for (long long i = 0; i < count;) {
        struct sos_map *map = numbered(i);
        struct sos_message message = {
            .to = to, .type = "number", .payload = sos_map_payload(map), .timeout_ms = 90000};
        int status = sos_send_async(sos, &message, on_sent, &tally, NULL, &error);
        sos_map_free(&map);
        if (status == SOS_BUSY)
            sos_poll(sos, 1000, NULL);
        else
            check(status);
        i += status == SOS_OK;
    }
    while (tally.ended < count)
        sos_poll(sos, 1000, NULL);
    printf("stored %lld copies %llu\n", tally.stored, tally.copies);
}

/* ---- receiving */

static void
receive_all(long long count)
{
    struct sos_mail *mail = NULL;
    for (long long i = 0; count == 0 || i < count; i++) {
        int status = sos_receive(sos, -1, &mail, &error);
        if (status == SOS_CANCELLED)
            break;
        check(status);
        printf("%lld %u\n", (long long)sos_map_int(sos_mail_map(mail), "number", -1),
               sos_mail_attempt(mail));
        fflush(stdout);
        check(sos_mail_ack(&mail, &error));
    }
    check(sos_flush(sos, 20000, &error));
}

/* ---- channels */

static void
publish_all(const char *channel, long long count)
{
    long long published = 0;
    for (long long i = 0; i < count; i++) {
        struct sos_map *map = numbered(i);
        struct sos_publication publication = {
            .channel = channel, .payload = sos_map_payload(map), .timeout_ms = 30000};
        published += sos_publish_message(sos, &publication, NULL, &error) == SOS_OK;
        sos_map_free(&map);
    }
    printf("published %lld\n", published);
}

static void
listen_to(const char *channel, long long count)
{
    struct sos_subscription *subscription = NULL;
    struct sos_event *event = NULL;
    check(sos_subscribe(sos, channel, &subscription, &error));
    puts("listening");
    fflush(stdout);
    for (long long i = 0; i < count; i++) {
        check(sos_next_event(subscription, 60000, &event, &error));
        printf("%llu %llu %lld\n", (unsigned long long)sos_event_seq(event),
               (unsigned long long)sos_event_missed(event),
               (long long)sos_map_int(sos_event_map(event), "number", -1));
        fflush(stdout);
        sos_event_free(&event);
    }
    sos_unsubscribe(&subscription);
}

/* ---- many threads */

static void *
call_many(void *argument)
{
    long long count = *(long long *)argument;
    long long answered = 0;
    for (long long i = 0; i < count; i++) {
        struct sos_call call = {.target = "service:bus", .type = "health_check"};
        answered += sos_call(sos, &call, NULL, NULL) == SOS_OK;
    }
    return (void *)(size_t)answered;
}

static void
crowd(int threads, long long calls)
{
    pthread_t ids[64];
    long long answered = 0;
    for (int i = 0; i < threads && i < 64; i++)
        pthread_create(&ids[i], NULL, call_many, &calls);
    for (int i = 0; i < threads && i < 64; i++) {
        void *result;
        pthread_join(ids[i], &result);
        answered += (long long)(size_t)result;
    }
    printf("answered %lld\n", answered);
}

static void
tap(const char *capability)
{
    struct sos_stream *stream = NULL;
    struct sos_bytes part = {0};
    check(sos_tap(sos, capability, (struct sos_bytes){0}, &stream, &error));
    int status;
    while ((status = sos_stream_next(stream, -1, &part, &error)) == SOS_OK) {
        struct sos_map *map = NULL;
        check(sos_map_parse(&map, part, &error));
        size_t count = sos_map_count(sos_map_get(map, "records"));
        for (size_t i = 0; i < count; i++) {
            char path[40];
            snprintf(path, sizeof path, "records.%zu.type", i);
            const char *type = sos_map_text(map, path);
            printf("%s\n", type ? type : "-");
        }
        if (count == 0)
            puts("begun");
        fflush(stdout);
        sos_map_free(&map);
        sos_bytes_free(&part);
    }
    if (status != SOS_CANCELLED)
        check(status);
    sos_stream_close(&stream);
}

int
main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    check(sos_connect(&sos, NULL, &error));
    signal(SIGTERM, on_signal);
    if (strcmp(what, "send") == 0 && argc == 4)
        send_all(argv[2], atoll(argv[3]));
    else if (strcmp(what, "receive") == 0 && argc == 3)
        receive_all(atoll(argv[2]));
    else if (strcmp(what, "publish") == 0 && argc == 4)
        publish_all(argv[2], atoll(argv[3]));
    else if (strcmp(what, "listen") == 0 && argc == 4)
        listen_to(argv[2], atoll(argv[3]));
    else if (strcmp(what, "crowd") == 0 && argc == 4)
        crowd(atoi(argv[2]), atoll(argv[3]));
    else if (strcmp(what, "tap") == 0 && argc == 3)
        tap(argv[2]);
    else if (strcmp(what, "connect") == 0)
        printf("connected as %s\n", sos_identity(sos));
    else
        errx(2, "usage: see sdk_worker.c");
    sos_close(&sos);
}
