/* SPDX-License-Identifier: Apache-2.0 */
/* cli/tree_copy.h - copies folders of regular files and knows what it copied: for backup and
 * restore. */
#ifndef SOS_CLI_TREE_COPY_H
#define SOS_CLI_TREE_COPY_H

#include <stdint.h>

#include "kernel/error.h"
#include "kernel/status.h"

enum { SHA256_TEXT_SIZE = 65 };

/* Called for each regular file, with its path below the root ("data/memory/000012.sst"). */
typedef enum status tree_file_fn(void *context, const char *relative, const char *path,
                                 uint64_t size, struct error *error);

/* Walks root in name order. Symbolic links and special files are refused: a backup holds neither.
 */
enum status tree_walk(const char *root, tree_file_fn *file, void *context, struct error *error);

/* Copies one file, making missing folders (0700) on the way; mode and fsync included. */
enum status tree_copy_file(const char *from, const char *to, struct error *error);

/* Lower-case hex of the file's SHA-256. */
enum status tree_sha256(const char *path, char text[static SHA256_TEXT_SIZE], struct error *error);

#endif
