/* SPDX-License-Identifier: Apache-2.0 */
/* cli/log_file.h - the home's log, logs/sos.log: appended to, bounded by rotation. */
#ifndef SOS_CLI_LOG_FILE_H
#define SOS_CLI_LOG_FILE_H

#include "kernel/bytes.h"
#include "kernel/error.h"
#include "kernel/status.h"

enum {
    LOG_FILE_SIZE_MAX = 16 * 1024 * 1024,
    LOG_FILES_KEPT = 3 /* sos.log.1 … sos.log.3 */
};

struct log_file;

enum status log_file_open(struct log_file **file_p, const char *home, struct error *error);
void log_file_close(struct log_file **file_p);

/* Appends whole lines; rotates before the file would pass LOG_FILE_SIZE_MAX. A full disk loses
 * lines, not the swarm. */
void log_file_write(struct log_file *file, struct text lines);

#endif
