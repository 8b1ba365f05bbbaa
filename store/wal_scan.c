/* SPDX-License-Identifier: Apache-2.0 */
/* Every damaged byte of a log must be told apart from a write that a crash cut short: the first
 * may hide records that were acknowledged, the second was never acknowledged.
 *
 * A crash leaves a prefix of the last write: file systems grow a file's size only after the bytes
 * under it are there, or fill with zeros. So only two things count as torn: the file ends within
 * a fragment (or before the LAST one of a record), or from a record's start on there are only
 * zeros. A fragment that is there in full length with a wrong checksum is damage even at the very
 * end: it may be an acknowledged record with a flipped bit.
 *
 * A flipped length can make a whole last record look cut short. The checksum does not cover the
 * length, so it still fits the payload: when any prefix of what is left matches it, or a valid
 * record stands further on, the length is what is wrong, and that is damage.
 *
 * RocksDB's own reader does not make these distinctions in any mode: a header of zeros in the
 * middle silently skips the rest of its block, a type byte flipped to a recyclable one silently
 * ends the log. Hence this scan runs before every open, not only after a refusal. */
#include "store/wal_scan.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <isa-l/crc.h>

enum { HEADER_SIZE = 7, TYPE_FULL = 1, TYPE_FIRST, TYPE_MIDDLE, TYPE_LAST };

enum {
    BATCH_COUNT_AT = 8, /* in a write batch: u64 sequence, u32 count, the writes */
    BATCH_HEADER_SIZE = 12
};

struct fragment {
    uint32_t crc; /* masked, as stored */
    size_t length;
    unsigned type;
    const uint8_t *payload;
};

static uint32_t
crc_extend(uint32_t state, const uint8_t *data, size_t size)
{
    /* ISA-L wants an int and, though it only reads, a mutable pointer. */
    while (size > 0) {
        int part = size > 1 << 30 ? 1 << 30 : (int)size;
        state = crc32_iscsi((unsigned char *)(uintptr_t)data, part, state);
        data += part;
        size -= (size_t)part;
    }
    return state;
}

uint32_t
wal_crc32c(struct bytes bytes)
{
    return ~crc_extend(UINT32_MAX, bytes.data, bytes.size);
}

uint32_t
wal_crc32c_mask(uint32_t crc)
{
    return ((crc >> 15) | (crc << 17)) + 0xa282ead8u;
}

static uint32_t
read_u32(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static struct fragment
read_fragment(const uint8_t *at)
{
    return (struct fragment){.crc = read_u32(at),
                             .length = (size_t)at[4] | (size_t)at[5] << 8,
                             .type = at[6],
                             .payload = at + HEADER_SIZE};
}

/* The type byte stands right before the payload, so both are one run. */
static bool
checksum_fits(const struct fragment *fragment)
{
    struct bytes covered = {fragment->payload - 1, fragment->length + 1};
    return wal_crc32c_mask(wal_crc32c(covered)) == fragment->crc;
}

static bool
all_zero(const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (data[i] != 0)
            return false;
    return true;
}

static bool
some_prefix_fits(const struct fragment *fragment, size_t available)
{
    uint32_t state = crc_extend(UINT32_MAX, fragment->payload - 1, 1);
    for (size_t size = 0;; size++) {
        if (wal_crc32c_mask(~state) == fragment->crc)
            return true;
        if (size == available)
            return false;
        state = crc_extend(state, fragment->payload + size, 1);
    }
}

/* MIDDLE and LAST begin a block, so only FULL and FIRST can stand further on in this one. */
static bool
record_stands_behind(struct bytes block, size_t from)
{
    for (size_t at = from; at + HEADER_SIZE <= block.size; at++) {
        struct fragment fragment = read_fragment(block.data + at);
        if ((fragment.type == TYPE_FULL || fragment.type == TYPE_FIRST) &&
            fragment.length <= block.size - at - HEADER_SIZE && checksum_fits(&fragment))
            return true;
    }
    return false;
}

static void
judge(struct wal_scanner *scanner, enum wal_state state, uint64_t offset, const char *reason)
{
    scanner->report.state = state;
    scanner->report.offset = offset;
    scanner->report.reason = reason;
}

/* What no writer makes, whatever the checksum says: NULL when the fragment may stand here.
 * room: bytes for the payload up to the end of the block, were it full. */
static const char *
structure_fault(const struct wal_scanner *scanner, const struct fragment *fragment, size_t at,
                size_t room)
{
    bool begins = fragment->type == TYPE_FULL || fragment->type == TYPE_FIRST;
    bool goes_on = fragment->type == TYPE_FIRST || fragment->type == TYPE_MIDDLE;

    if (fragment->type < TYPE_FULL || fragment->type > TYPE_LAST)
        return "a record type that is never written here";
    if (fragment->length > room || (goes_on && fragment->length != room))
        return "a record length that does not fit its block";
    if (begins && scanner->in_record)
        return "a record begins before the one before it ended";
    if (!begins && (!scanner->in_record || at != 0))
        return "a record goes on that never began";
    return NULL;
}

static void
take_record(struct wal_scanner *scanner, const struct fragment *fragment, uint64_t offset)
{
    if (fragment->type == TYPE_FIRST) {
        scanner->in_record = true;
        scanner->record_offset = offset;
    } else if (fragment->type == TYPE_LAST) {
        scanner->in_record = false;
        scanner->report.writes++;
    } else if (fragment->type == TYPE_FULL) {
        bool empty_batch =
            fragment->length == BATCH_HEADER_SIZE &&
            all_zero(fragment->payload + BATCH_COUNT_AT, BATCH_HEADER_SIZE - BATCH_COUNT_AT);
        scanner->report.writes += empty_batch ? 0 : 1;
    }
}

/* A fragment of which the file holds only the beginning. */
static void
judge_cut_fragment(struct wal_scanner *scanner, const struct fragment *fragment, struct bytes block,
                   size_t at)
{
    uint64_t offset = scanner->block_offset + at;
    if (some_prefix_fits(fragment, block.size - at - HEADER_SIZE))
        judge(scanner, WAL_DAMAGED, offset, "the record is whole but its length is wrong");
    else if (record_stands_behind(block, at + 1))
        judge(scanner, WAL_DAMAGED, offset, "valid records stand behind it");
    else
        judge(scanner, WAL_TORN, scanner->in_record ? scanner->record_offset : offset,
              "the file ends within the record");
}

void
wal_scanner_init(struct wal_scanner *scanner)
{
    *scanner = (struct wal_scanner){.report = {.state = WAL_CLEAN}};
}

static void
scan_fragments(struct wal_scanner *scanner, struct bytes block, bool last)
{
    size_t at = 0;
    while (at + HEADER_SIZE <= WAL_BLOCK_SIZE && at < block.size) {
        uint64_t offset = scanner->block_offset + at;

        if (all_zero(block.data + at, block.size - at)) {
            if (scanner->in_record) {
                judge(scanner, WAL_DAMAGED, offset, "zeros within a record");
                return;
            }
            scanner->in_zeros = true;
            judge(scanner, WAL_TORN, offset, "only zeros follow");
            return;
        }
        if (block.size - at < HEADER_SIZE) {
            judge(scanner, WAL_TORN, scanner->in_record ? scanner->record_offset : offset,
                  "the file ends within a record's header");
            return;
        }

        struct fragment fragment = read_fragment(block.data + at);
        const char *fault =
            structure_fault(scanner, &fragment, at, WAL_BLOCK_SIZE - at - HEADER_SIZE);
        if (fault) {
            judge(scanner, WAL_DAMAGED, offset, fault);
            return;
        }
        if (fragment.length > block.size - at - HEADER_SIZE) {
            judge_cut_fragment(scanner, &fragment, block, at);
            return;
        }
        if (!checksum_fits(&fragment)) {
            judge(scanner, WAL_DAMAGED, offset, "the checksum does not fit");
            return;
        }
        take_record(scanner, &fragment, offset);
        at += HEADER_SIZE + fragment.length;
    }
    if (last && scanner->in_record)
        judge(scanner, WAL_TORN, scanner->record_offset, "the file ends within the record");
}

void
wal_scanner_block(struct wal_scanner *scanner, struct bytes block, bool last)
{
    if (scanner->report.state == WAL_DAMAGED)
        return;
    if (!scanner->in_zeros)
        scan_fragments(scanner, block, last);
    else if (!all_zero(block.data, block.size))
        judge(scanner, WAL_DAMAGED, scanner->report.offset, "a hole of zeros before other bytes");
    scanner->block_offset += block.size;
}

static enum status
read_block(int file, uint8_t *block, size_t size, uint64_t offset, const char *name,
           struct error *error)
{
    size_t done = 0;
    while (done < size) {
        ssize_t got = pread(file, block + done, size - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            error_set(error, "read %s at offset %llu: %s", name,
                      (unsigned long long)(offset + done), strerror(errno));
            return STATUS_STORE_FAILED;
        }
        if (got == 0) {
            error_set(error, "%s became shorter while it was read", name);
            return STATUS_STORE_FAILED;
        }
        done += (size_t)got;
    }
    return STATUS_OK;
}

enum status
wal_scan_file(int folder, const char *name, struct wal_report *report, struct error *error)
{
    enum status status = STATUS_STORE_FAILED;
    uint8_t *block = NULL;
    struct stat info;

    int file = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (file < 0) {
        error_set(error, "open %s: %s", name, strerror(errno));
        return STATUS_STORE_FAILED;
    }
    if (fstat(file, &info) != 0) {
        error_set(error, "stat %s: %s", name, strerror(errno));
        goto done;
    }
    if (!S_ISREG(info.st_mode)) {
        error_set(error, "%s is not a regular file", name);
        goto done;
    }
    block = malloc(WAL_BLOCK_SIZE);
    if (!block) {
        status = STATUS_NOMEM;
        goto done;
    }

    struct wal_scanner scanner;
    wal_scanner_init(&scanner);
    uint64_t size = (uint64_t)info.st_size;
    for (uint64_t offset = 0; offset < size; offset += WAL_BLOCK_SIZE) {
        size_t part = size - offset < WAL_BLOCK_SIZE ? (size_t)(size - offset) : WAL_BLOCK_SIZE;
        status = read_block(file, block, part, offset, name, error);
        if (status != STATUS_OK)
            goto done;
        wal_scanner_block(&scanner, (struct bytes){block, part}, offset + part == size);
    }
    *report = scanner.report;
    status = STATUS_OK;

done:
    free(block);
    close(file);
    return status;
}
