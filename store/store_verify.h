/* SPDX-License-Identifier: Apache-2.0 */
/* store/store_verify.h - block checksums of one RocksDB table file: absent from
 * RocksDB's C interface, so a thin C++ shim; private to the store. */
#ifndef SOS_STORE_VERIFY_H
#define SOS_STORE_VERIFY_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Reads every block of the file. False: message has RocksDB's words, cut to size. */
bool store_verify_table(const char *path, char *message, size_t size);

#ifdef __cplusplus
}
#endif

#endif
