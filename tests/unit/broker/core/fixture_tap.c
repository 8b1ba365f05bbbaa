/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture_tap.h"

#include <stdlib.h>

#include "kernel/audit.h"

static void
emit(void *context, struct tap_chunk **chunk_p)
{
    struct fixture_tap *tap = context;
    (*chunk_p)->next = NULL;
    *tap->last = *chunk_p;
    tap->last = &(*chunk_p)->next;
    *chunk_p = NULL;
}

static void
sink_open(void *context, struct tap_opening **opening_p)
{
    struct fixture *f = context;
    (*opening_p)->from = f->tap->number;
    f->tap->open++;
    tap_gather_open(f->tap->gather, opening_p);
}

static void
sink_close(void *context, uint64_t number)
{
    struct fixture *f = context;
    f->tap->open--;
    tap_gather_close(f->tap->gather, number);
}

static bool
sink_put(void *context, const struct tap_sighting *sighting)
{
    struct fixture *f = context;
    struct tap_sighting numbered = *sighting;
    if (f->tap->full)
        return false;
    numbered.number = f->tap->number++;
    f->tap->puts++;
    f->tap->payload_bytes += sighting->payload.size;
    tap_gather_take(f->tap->gather, &numbered);
    return true;
}

static void
sink_return(void *context, struct tap_chunk **chunk_p)
{
    struct fixture *f = context;
    tap_gather_return(f->tap->gather, chunk_p);
}

static bool
sink_audit(void *context, const struct audit_entry *entry, uint64_t ticket)
{
    struct fixture *f = context;
    struct buffer line;
    if (f->tap->audit_full)
        return false;
    buffer_init(&line);
    audit_format(entry, f->now.wall_us, &line);
    assert_true(f->tap->line_count < AUDIT_LINES_MAX);
    f->tap->lines[f->tap->line_count++] = text_copy(buffer_text(&line));
    buffer_clear(&line);
    if (ticket)
        f->tap->ticket = ticket;
    return true;
}

void
fixture_tap_attach(struct fixture *f, struct core_sink *sink)
{
    if (!f->tap) {
        f->tap = calloc(1, sizeof *f->tap);
        f->tap->last = &f->tap->ready;
        f->tap->secrets = tap_secrets_new(contracts);
        f->tap->gather = tap_gather_new(f->tap->secrets, emit, f->tap);
    }
    sink->tap_open = sink_open;
    sink->tap_close = sink_close;
    sink->tap_put = sink_put;
    sink->tap_return = sink_return;
    sink->audit = sink_audit;
}

void
fixture_tap_clear(struct fixture *f)
{
    struct fixture_tap *tap = f->tap;
    assert_int_equal(tap->open, 0);
    while (tap->ready) {
        struct tap_chunk *chunk = tap->ready;
        tap->ready = chunk->next;
        tap_chunk_destroy(&chunk);
    }
    tap_gather_destroy(&tap->gather);
    tap_secrets_destroy(&tap->secrets);
    for (size_t i = 0; i < tap->line_count; i++)
        free(tap->lines[i]);
    free(tap);
    f->tap = NULL;
}

void
fixture_tap_run(struct fixture *f)
{
    struct fixture_tap *tap = f->tap;
    if (tap->ticket && !tap->audit_holds) {
        uint64_t ticket = tap->ticket;
        tap->ticket = 0;
        core_audited(f->core, ticket, true, f->now);
    }
    tap_gather_flush(tap->gather);
    while (tap->ready) {
        struct tap_chunk *chunk = tap->ready;
        tap->ready = chunk->next;
        if (!tap->ready)
            tap->last = &tap->ready;
        core_tap_chunk(f->core, &chunk, f->now);
    }
}

size_t
audited(const struct fixture *f, const char *event, const char *text)
{
    size_t count = 0;
    for (size_t i = 0; i < f->tap->line_count; i++)
        count += strstr(f->tap->lines[i], event) && strstr(f->tap->lines[i], text);
    return count;
}
