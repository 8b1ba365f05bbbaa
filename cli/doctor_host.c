/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/doctor_host.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <netdb.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel/paths.h"
#include "platform/system_clock.h"

extern char **environ;

enum { SYNC_WRITES = 15, SYNC_SIZE = 4096 };

#define XFS_MAGIC 0x58465342
#define ZFS_MAGIC 0x2fc12fc1
#define CIFS_MAGIC 0xff534d42
#define F2FS_MAGIC 0xf2f52010

static const struct {
    unsigned long magic;
    const char *kind;
    bool memory;
    bool remote;
} kinds[] = {
    {EXT4_SUPER_MAGIC, "ext4", false, false},
    {XFS_MAGIC, "xfs", false, false},
    {BTRFS_SUPER_MAGIC, "btrfs", false, false},
    {ZFS_MAGIC, "zfs", false, false},
    {F2FS_MAGIC, "f2fs", false, false},
    {OVERLAYFS_SUPER_MAGIC, "overlay", false, false},
    {TMPFS_MAGIC, "tmpfs", true, false},
    {RAMFS_MAGIC, "ramfs", true, false},
    {NFS_SUPER_MAGIC, "nfs", false, true},
    {CIFS_MAGIC, "cifs", false, true},
    {SMB2_SUPER_MAGIC, "smb2", false, true},
    {FUSE_SUPER_MAGIC, "fuse", false, true},
    {V9FS_MAGIC, "9p", false, true},
    {CEPH_SUPER_MAGIC, "ceph", false, true},
};

static int
ask_disk(const char *path, struct host_disk *disk)
{
    struct statvfs state;
    struct statfs kind;
    if (statvfs(path, &state) != 0 || statfs(path, &kind) != 0)
        return errno;
    *disk = (struct host_disk){
        .kind = "another kind",
        .read_only = (state.f_flag & ST_RDONLY) != 0,
        .free_bytes = (uint64_t)state.f_bavail * state.f_frsize,
        .size_bytes = (uint64_t)state.f_blocks * state.f_frsize,
        .free_files = state.f_files ? state.f_favail : UINT64_MAX,
    };
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if ((unsigned long)kind.f_type != kinds[i].magic)
            continue;
        disk->kind = kinds[i].kind;
        disk->memory = kinds[i].memory;
        disk->remote = kinds[i].remote;
    }
    return 0;
}

static int
compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static int
time_writes(int fd, uint64_t times_us[SYNC_WRITES])
{
    uint8_t block[SYNC_SIZE];
    memset(block, 0x5a, sizeof block);
    for (size_t i = 0; i < SYNC_WRITES; i++) {
        uint64_t began = clock_now(&system_clock).monotonic_us;
        ssize_t wrote = pwrite(fd, block, sizeof block, (off_t)(i * sizeof block));
        if (wrote != (ssize_t)sizeof block)
            return wrote < 0 ? errno : ENOSPC;
        if (fdatasync(fd) != 0)
            return errno;
        times_us[i] = clock_now(&system_clock).monotonic_us - began;
    }
    return 0;
}

static int
probe_sync(const char *folder, uint64_t *median_us)
{
    char path[PATH_SIZE];
    uint64_t times_us[SYNC_WRITES];
    if (paths_join(path, folder, ".doctor-XXXXXX", NULL) != STATUS_OK)
        return ENAMETOOLONG;
    int fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0)
        return errno;
    int failure = unlink(path) == 0 ? time_writes(fd, times_us) : errno;
    close(fd);
    if (failure)
        return failure;
    qsort(times_us, SYNC_WRITES, sizeof times_us[0], compare);
    *median_us = times_us[SYNC_WRITES / 2];
    return 0;
}

static int
try_bind(const char *address, uint16_t port)
{
    char service[8];
    struct addrinfo hints = {.ai_flags = AI_NUMERICSERV, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    int yes = 1;
    snprintf(service, sizeof service, "%u", port);
    if (getaddrinfo(address, service, &hints, &found) != 0)
        return EADDRNOTAVAIL;
    int failure = 0;
    int fd = socket(found->ai_family, found->ai_socktype | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0 ||
        bind(fd, found->ai_addr, found->ai_addrlen) != 0)
        failure = errno;
    if (fd >= 0)
        close(fd);
    freeaddrinfo(found);
    return failure;
}

static int
ask_limit(enum host_limit limit, uint64_t *soft, uint64_t *hard)
{
    struct rlimit value;
    if (getrlimit(limit == HOST_LIMIT_FILES ? RLIMIT_NOFILE : RLIMIT_MEMLOCK, &value) != 0)
        return errno;
    *soft = value.rlim_cur == RLIM_INFINITY ? UINT64_MAX : value.rlim_cur;
    *hard = value.rlim_max == RLIM_INFINITY ? UINT64_MAX : value.rlim_max;
    return 0;
}

static int
ask_clock(bool *synchronised)
{
    struct timex state = {.modes = 0};
    int answer = adjtimex(&state);
    if (answer < 0)
        return errno;
    *synchronised = answer != TIME_ERROR && !(state.status & STA_UNSYNC);
    return 0;
}

/* In a child: it cannot be undone. */
static int
try_user_namespace(void)
{
    int outcome = 0;
    pid_t pid = fork();
    if (pid < 0)
        return errno;
    if (pid == 0)
        _exit(unshare(CLONE_NEWUSER) == 0 ? 0 : errno);
    while (waitpid(pid, &outcome, 0) < 0)
        if (errno != EINTR)
            return errno;
    return WIFEXITED(outcome) ? WEXITSTATUS(outcome) : EIO;
}

static int
ask_version(const char *program, char *line, size_t size)
{
    int ends[2];
    pid_t pid;
    char *const arguments[] = {(char *)(uintptr_t)program, (char[]){"--version"}, NULL};
    posix_spawn_file_actions_t actions;
    if (pipe2(ends, O_CLOEXEC) != 0)
        return errno;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    int failure = posix_spawnp(&pid, program, &actions, NULL, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    if (failure == 0) {
        int outcome;
        ssize_t got = read(ends[0], line, size - 1);
        line[got > 0 ? got : 0] = '\0';
        line[strcspn(line, "\n")] = '\0';
        while (waitpid(pid, &outcome, 0) < 0 && errno == EINTR)
            continue;
        failure = WIFEXITED(outcome) && WEXITSTATUS(outcome) == 0 ? 0 : EIO;
    }
    close(ends[0]);
    return failure;
}

const struct doctor_host doctor_host = {
    .root = "",
    .disk = ask_disk,
    .sync = probe_sync,
    .bind = try_bind,
    .limit = ask_limit,
    .clock_synchronised = ask_clock,
    .user_namespace = try_user_namespace,
    .program_version = ask_version,
};
