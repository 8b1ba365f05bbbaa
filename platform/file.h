/* SPDX-License-Identifier: Apache-2.0 */
/* platform/file.h - small files as a whole: read with a bound, replaced atomically.
 *
 * For keys, tables and settings. Calls block; any thread. */
#ifndef SOS_PLATFORM_FILE_H
#define SOS_PLATFORM_FILE_H

#include <stdbool.h>
#include <sys/types.h>

#include "kernel/bytes.h"
#include "kernel/error.h"
#include "kernel/status.h"

/* Appends the whole file. NOT_FOUND when there is none, TOO_LARGE beyond size_max, FORBIDDEN when
 * `private_only` and group or others may read or write it, INTERNAL for the rest; the error names
 * the path. */
enum status file_load(const char *path, size_t size_max, bool private_only, struct buffer *out,
                      struct error *error);

/* Replaces or makes the file so that after a crash either the old or the new content is
 * there: temporary file beside it, fsync, rename, fsync of the folder. */
enum status file_save(const char *path, struct bytes content, mode_t mode, struct error *error);

/* Makes one folder, mode 0700; fine when it is there already. */
enum status folder_make(const char *path, struct error *error);

#endif
