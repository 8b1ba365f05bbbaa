/* SPDX-License-Identifier: Apache-2.0 */
/* cli/doctor_disk.c - room for what is to be kept, and does what is said to be kept last? */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/doctor.h"
#include "cli/screen.h"

enum { SYNC_FAST_US = 20, SYNC_SLOW_US = 50000, FILES_MIN = 1000 };

/* The home, or the nearest folder above it that exists. */
static void
existing(const char *home, char path[static PATH_SIZE])
{
    struct stat state;
    snprintf(path, PATH_SIZE, "%s", home);
    for (char *slash; stat(path, &state) != 0 && (slash = strrchr(path, '/')) != NULL;)
        slash[slash == path ? 1 : 0] = '\0';
}

static void
check_kind(struct doctor *doctor, const char *path, const struct host_disk *disk)
{
    if (disk->read_only)
        doctor_add(doctor, FINDING_ERROR, path, "mount it writable, or move the home",
                   "the file system is read-only");
    if (disk->memory)
        doctor_add(doctor, FINDING_WARNING, path, "move the home to a disk",
                   "%s is memory: all of it is gone at the next start of the machine", disk->kind);
    else if (disk->remote)
        doctor_add(doctor, FINDING_WARNING, path, "move the home to a disk of this machine",
                   "%s does not keep what a database relies on: locks, and the order of writes",
                   disk->kind);
}

static void
check_room(struct doctor *doctor, const char *path, const struct host_disk *disk)
{
    uint64_t reserve = config_uint(doctor->config, OPTION_DISK_RESERVE);
    char free_text[16];
    char reserve_text[16];
    screen_size(disk->free_bytes, free_text, sizeof free_text);
    screen_size(reserve, reserve_text, sizeof reserve_text);
    if (disk->free_bytes <= reserve)
        doctor_add(doctor, FINDING_ERROR, path, "make room, or move the home to a larger disk",
                   "%s free, no more than disk_reserve (%s): writes are refused", free_text,
                   reserve_text);
    else if (disk->free_bytes / 4 < reserve || disk->free_bytes < disk->size_bytes / 20)
        doctor_add(doctor, FINDING_WARNING, path, "make room before it is full",
                   "only %s free; writes are refused at %s (disk_reserve)", free_text,
                   reserve_text);
    if (disk->free_files == 0)
        doctor_add(doctor, FINDING_ERROR, path, "remove files: the file system has no inode left",
                   "no more files can be made");
    else if (disk->free_files < FILES_MIN)
        doctor_add(doctor, FINDING_WARNING, path, "remove files before inodes run out",
                   "only %" PRIu64 " more files can be made", disk->free_files);
}

void
doctor_check_disk(struct doctor *doctor)
{
    char path[PATH_SIZE];
    char free_text[16];
    struct host_disk disk;
    existing(doctor->home, path);
    int failure = doctor->host->disk(path, &disk);
    if (failure) {
        doctor_add(doctor, FINDING_ERROR, path, "see what is wrong with this folder",
                   "the file system cannot be asked: %s", strerror(failure));
        return;
    }
    check_kind(doctor, path, &disk);
    check_room(doctor, path, &disk);
    screen_size(disk.free_bytes, free_text, sizeof free_text);
    if (findings_of(&doctor->findings, "disk") == 0)
        doctor_add(doctor, FINDING_OK, path, "", "%s, %s free", disk.kind, free_text);
}

void
doctor_check_sync(struct doctor *doctor)
{
    struct host_disk disk = {.kind = ""};
    struct stat state;
    uint64_t median_us = 0;
    if (stat(doctor->home, &state) != 0) {
        doctor_add(doctor, FINDING_NOTE, doctor->home, "ask again after the first sos up",
                   "there is no home to try a write in");
        return;
    }
    int failure = doctor->host->sync(doctor->home, &median_us);
    if (failure) {
        doctor_add(doctor, FINDING_ERROR, doctor->home,
                   failure == EACCES || failure == EROFS
                       ? "give the home to the user who runs sos"
                       : "the disk cannot be trusted with data: see the kernel's log (dmesg)",
                   "a write cannot be made to last: %s", strerror(failure));
        return;
    }
    bool memory = doctor->host->disk(doctor->home, &disk) == 0 && disk.memory;
    if (median_us < SYNC_FAST_US && !memory)
        doctor_add(doctor, FINDING_NOTE, doctor->home,
                   "look for a cache without a battery, a disk of a virtual machine that ignores "
                   "flushes, or libeatmydata",
                   "a write that lasts took %" PRIu64
                   " us: faster than a disk can be, so a power cut may lose what was acknowledged",
                   median_us);
    else if (median_us > SYNC_SLOW_US)
        doctor_add(doctor, FINDING_WARNING, doctor->home,
                   "use a faster disk, or find who else writes to this one",
                   "a write that lasts takes %" PRIu64 " ms: durable messages wait for it",
                   median_us / 1000);
    else
        doctor_add(doctor, FINDING_OK, doctor->home, "", "a write that lasts takes %" PRIu64 " us",
                   median_us);
}
