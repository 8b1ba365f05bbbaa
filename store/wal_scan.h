/* SPDX-License-Identifier: Apache-2.0 */
/* store/wal_scan.h - judges a RocksDB log file (write-ahead log or MANIFEST) without
 * opening the database: is every record in it whole, does it only lack its last one, or is it
 * damaged?
 *
 * The format (RocksDB 7): blocks of 32 KiB, each a run of fragments
 *
 *     u32 masked CRC-32C of type and payload | u16 length | u8 type | payload     (little-endian)
 *
 * with type FULL, or FIRST MIDDLE… LAST for a record that crosses blocks. Fewer than 7 bytes left
 * in a block are padding. Recyclable, compressed and timestamped fragments are never written by
 * our settings (store_rocksdb.c), so they count as damage. */
#ifndef SOS_STORE_WAL_SCAN_H
#define SOS_STORE_WAL_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel/bytes.h"
#include "kernel/error.h"
#include "kernel/status.h"

enum { WAL_BLOCK_SIZE = 32768 };

enum wal_state {
    WAL_CLEAN,  /* ends with a whole record */
    WAL_TORN,   /* the file ends within its last record, or in zeros: a write that never finished */
    WAL_DAMAGED /* anything else: bytes that were once right are wrong now */
};

struct wal_report {
    enum wal_state state;
    uint64_t offset;    /* TORN, DAMAGED: where the record or fragment begins */
    uint64_t writes;    /* whole records that hold any write; an empty batch holds none */
    const char *reason; /* TORN, DAMAGED: static words */
};

/* Pure. One block after the other, each but the last of WAL_BLOCK_SIZE bytes; an empty file is
 * one empty last block. Once the report says DAMAGED further blocks change nothing. */
struct wal_scanner {
    struct wal_report report;
    uint64_t block_offset;
    uint64_t record_offset; /* of the record begun by FIRST */
    bool in_record;
    bool in_zeros; /* from report.offset on only zeros were seen */
};

void wal_scanner_init(struct wal_scanner *scanner);
void wal_scanner_block(struct wal_scanner *scanner, struct bytes block, bool last);

/* Scans name in the open folder. STORE_FAILED: the file cannot be read (errno in words); the
 * state of a readable file, damaged or not, is in the report. */
enum status wal_scan_file(int folder, const char *name, struct wal_report *report,
                          struct error *error);

/* CRC-32C of bytes, and RocksDB's disguise of it (a CRC over bytes that hold a CRC is weak). */
uint32_t wal_crc32c(struct bytes bytes);
uint32_t wal_crc32c_mask(uint32_t crc);

#endif
