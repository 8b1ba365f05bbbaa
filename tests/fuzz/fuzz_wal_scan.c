/* SPDX-License-Identifier: Apache-2.0 */
/* Judges any bytes as a log, and a log that was written right and then hurt at one place: a record
 * that was there whole must never be taken for one that was never finished. */
#include <stdlib.h>

#include "kernel/assert.h"
#include "store/wal_scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { HEADER_SIZE = 7, FULL = 1, FIRST, MIDDLE, LAST, LOG_MAX = 5 * WAL_BLOCK_SIZE };

static struct wal_report
scan(struct bytes log)
{
    struct wal_scanner scanner;
    wal_scanner_init(&scanner);
    size_t at = 0;
    do {
        size_t part = log.size - at < WAL_BLOCK_SIZE ? log.size - at : WAL_BLOCK_SIZE;
        uint8_t *block = malloc(part ? part : 1); /* of exactly this size */
        ASSERT(block);
        if (part > 0)
            memcpy(block, log.data + at, part);
        at += part;
        wal_scanner_block(&scanner, (struct bytes){block, part}, at == log.size);
        free(block);
    } while (at < log.size);

    const struct wal_report *report = &scanner.report;
    ASSERT((report->state == WAL_CLEAN) == (report->reason == NULL));
    ASSERT(report->state == WAL_CLEAN || report->offset < log.size);
    return *report;
}

static void
add_fragment(struct buffer *log, uint8_t type, struct bytes payload)
{
    size_t at = log->size;
    uint8_t header[HEADER_SIZE] = {
        0, 0, 0, 0, (uint8_t)payload.size, (uint8_t)(payload.size >> 8), type};
    buffer_append(log, header, sizeof header);
    buffer_append(log, payload.data, payload.size);
    ASSERT(!log->failed);
    uint32_t crc =
        wal_crc32c_mask(wal_crc32c((struct bytes){log->data + at + 6, payload.size + 1}));
    for (size_t i = 0; i < 4; i++)
        log->data[at + i] = (uint8_t)(crc >> (8 * i));
}

static void
add_record(struct buffer *log, struct bytes payload)
{
    bool first = true;
    for (;;) {
        size_t left = WAL_BLOCK_SIZE - log->size % WAL_BLOCK_SIZE;
        if (left < HEADER_SIZE) {
            buffer_append(log, (const uint8_t[HEADER_SIZE]){0}, left);
            left = WAL_BLOCK_SIZE;
        }
        size_t part = payload.size < left - HEADER_SIZE ? payload.size : left - HEADER_SIZE;
        bool last = part == payload.size;
        add_fragment(log, first ? (last ? FULL : FIRST) : (last ? LAST : MIDDLE),
                     (struct bytes){payload.data, part});
        if (last)
            return;
        payload = (struct bytes){payload.data + part, payload.size - part};
        first = false;
    }
}

/* How the input's bytes become records: their sizes, and where each begins. */
struct plan {
    size_t starts[16];
    size_t count;
};

static struct plan
write_log(struct buffer *log, const uint8_t *data, size_t size)
{
    static uint8_t filler[70000];
    struct plan plan = {.count = 0};
    for (size_t at = 0; at + 2 <= size && plan.count < 15 && log->size < LOG_MAX / 2; at += 2) {
        size_t wanted = ((size_t)data[at] << 8 | data[at + 1]) % sizeof filler;
        memset(filler, data[at] | 1, wanted);
        plan.starts[plan.count++] = log->size;
        add_record(log, (struct bytes){filler, wanted});
    }
    plan.starts[plan.count] = log->size;
    return plan;
}

static void
check_cut(const struct buffer *log, const struct plan *plan, size_t size)
{
    struct wal_report report = scan((struct bytes){log->data, size});
    ASSERT(report.state != WAL_DAMAGED);
    size_t whole = 0;
    while (whole < plan->count && plan->starts[whole + 1] <= size)
        whole++;
    ASSERT(report.writes == whole);
    /* Padding at a block's end belongs to no record. */
    if (report.state == WAL_TORN)
        ASSERT(report.offset >= plan->starts[whole]);
}

static void
check_flip(struct buffer *log, const struct plan *plan, size_t at, uint8_t bit)
{
    log->data[at] ^= (uint8_t)(1u << (bit % 8));
    struct wal_report report = scan(buffer_bytes(log));
    /* A flip in the padding harms nothing. */
    if (report.state != WAL_CLEAN)
        ASSERT(report.state == WAL_DAMAGED);
    else
        ASSERT(report.writes == plan->count);
    log->data[at] ^= (uint8_t)(1u << (bit % 8));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    scan((struct bytes){data, size});
    if (size < 4)
        return 0;
    struct buffer log;
    buffer_init(&log);
    size_t place = (size_t)data[0] << 16 | (size_t)data[1] << 8 | data[2];
    struct plan plan = write_log(&log, data + 4, size - 4);
    if (log.size > 0) {
        ASSERT(scan(buffer_bytes(&log)).state == WAL_CLEAN);
        ASSERT(scan(buffer_bytes(&log)).writes == plan.count);
        check_cut(&log, &plan, place % (log.size + 1));
        check_flip(&log, &plan, place % log.size, data[3]);
    }
    buffer_clear(&log);
    return 0;
}
