/* SPDX-License-Identifier: Apache-2.0 */
/* store/store_folder.h - the folder of a store on disk: made, locked, and examined
 * before RocksDB touches it; private to the store. */
#ifndef SOS_STORE_FOLDER_H
#define SOS_STORE_FOLDER_H

#include <stdbool.h>
#include <stdint.h>

#include "kernel/error.h"
#include "kernel/status.h"

/* Makes the folder and its missing parents (0700, each made durable), opens it and locks it for
 * this opener alone. *path_out: the path without trailing slashes, the caller's. The lock goes
 * with the descriptor. INVALID: a symbolic link or no folder. CONFLICT: locked by somebody else. */
enum status store_folder_open(const char *folder, int *descriptor, char **path_out,
                              struct error *error);

/* What the files say before the database is opened. */
struct store_files {
    bool has_database;
    char torn_log[32]; /* write-ahead log that ends within its last record; "" = none does */
    uint64_t torn_offset;
};

/* Scans the MANIFEST in use and every write-ahead log. STORE_FAILED: a file is damaged (named,
 * with the offset), or the database lost its CURRENT file, or a file cannot be read. */
enum status store_folder_examine(int descriptor, struct store_files *files, struct error *error);

/* After recovery dropped the unfinished record of a log: makes that durable. RocksDB has deleted
 * the log by then, or, when it held no whole record, keeps the file: it then loses its torn end. */
enum status store_folder_cut_log(int descriptor, const char *name, uint64_t size,
                                 struct error *error);

/* Scans the write-ahead logs of a store that is open and not writing. may_be_torn: a write has
 * failed since it was opened. */
enum status store_folder_verify_logs(int descriptor, bool may_be_torn, struct error *error);

/* Bytes of all files in it; 0 when they cannot be listed. */
uint64_t store_folder_size(int descriptor);

/* The same of its tables alone. */
uint64_t store_folder_tables(int descriptor);

/* Makes the entry of path in its parent durable. */
enum status store_folder_sync_parent(const char *path, struct error *error);

#endif
