/* SPDX-License-Identifier: Apache-2.0 */
/* cli/doctor_host.h - what `sos doctor` asks the operating system, as a table: tests put a host of
 * their own in its place.
 *
 * Files of /proc and /sys are read below `root`. */
#ifndef SOS_CLI_DOCTOR_HOST_H
#define SOS_CLI_DOCTOR_HOST_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "kernel/bytes.h"

struct host_disk {
    const char *kind; /* "ext4"; static */
    bool memory;      /* is gone with the power */
    bool remote;      /* another machine's, or one's that a program makes up */
    bool read_only;
    uint64_t free_bytes; /* for who is not root */
    uint64_t size_bytes;
    uint64_t free_files; /* inodes; UINT64_MAX: it does not count them */
};

enum host_limit { HOST_LIMIT_FILES, HOST_LIMIT_LOCKED_BYTES };

struct doctor_host {
    const char *root; /* "" */
    uid_t user;       /* effective */

    /* These return 0 or an errno. */
    int (*disk)(const char *path, struct host_disk *disk);
    /* Median of a few writes that are made to last, in a file that is gone when it returns. */
    int (*sync)(const char *folder, uint64_t *median_us);
    /* Whether the address could be bound just now. */
    int (*bind)(const char *address, uint16_t port);
    int (*limit)(enum host_limit limit, uint64_t *soft, uint64_t *hard);
    /* Does the kernel hold its clock to a source of time? */
    int (*clock_synchronised)(bool *synchronised);
    /* Can this user make a user namespace? */
    int (*user_namespace)(void);
    /* The first line of `program --version`. */
    int (*program_version)(const char *program, char *line, size_t size);
};

extern const struct doctor_host doctor_host;

#endif
