/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/listeners.h"

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kernel/paths.h"

enum { STATE_LISTEN = 0x0a };

/* The socket's inode in one table; 0: nobody listens there. */
static unsigned long
inode_in(const char *root, const char *table, uint16_t port, unsigned *user)
{
    char path[PATH_SIZE];
    char line[512];
    unsigned long inode = 0;
    snprintf(path, sizeof path, "%s/proc/net/%s", root, table);
    FILE *file = fopen(path, "re");
    if (!file)
        return 0;
    while (inode == 0 && fgets(line, sizeof line, file)) {
        unsigned local, state, owner;
        unsigned long number;
        if (sscanf(line,
                   " %*u: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x %*x:%*x %*x:%*x %*x %u %*u %lu",
                   &local, &state, &owner, &number) == 4 &&
            local == port && state == STATE_LISTEN) {
            inode = number;
            *user = owner;
        }
    }
    fclose(file);
    return inode;
}

static bool
holds_socket(const char *root, const char *pid, const char *socket)
{
    char path[PATH_SIZE];
    struct dirent *entry;
    bool holds = false;
    snprintf(path, sizeof path, "%s/proc/%s/fd", root, pid);
    DIR *folder = opendir(path);
    if (!folder)
        return false;
    while (!holds && (entry = readdir(folder)) != NULL) {
        char target[64];
        ssize_t size = readlinkat(dirfd(folder), entry->d_name, target, sizeof target - 1);
        if (size > 0) {
            target[size] = '\0';
            holds = strcmp(target, socket) == 0;
        }
    }
    closedir(folder);
    return holds;
}

/* Its name and its parent. */
static long
look_at(const char *root, long pid, char *name, size_t size)
{
    char path[PATH_SIZE];
    char line[512] = {0};
    long parent = 0;
    snprintf(path, sizeof path, "%s/proc/%ld/stat", root, pid);
    FILE *file = fopen(path, "re");
    if (!file)
        return 0;
    size_t got = fread(line, 1, sizeof line - 1, file);
    fclose(file);
    line[got] = '\0';
    /* A name may hold anything, parentheses too. */
    char *open = strchr(line, '(');
    char *end = strrchr(line, ')');
    if (!open || !end || end < open || sscanf(end + 1, " %*c %ld", &parent) != 1)
        return 0;
    if (name)
        snprintf(name, size, "%.*s", (int)(end - open - 1), open + 1);
    return parent;
}

void
listener_find(const char *root, uint16_t port, struct listener *listener)
{
    char path[PATH_SIZE];
    char socket[64];
    struct dirent *entry;
    memset(listener, 0, sizeof *listener);
    unsigned long inode = inode_in(root, "tcp", port, &listener->user);
    if (inode == 0)
        inode = inode_in(root, "tcp6", port, &listener->user);
    if (inode == 0)
        return;
    listener->found = true;
    snprintf(socket, sizeof socket, "socket:[%lu]", inode);
    snprintf(path, sizeof path, "%s/proc", root);
    DIR *folder = opendir(path);
    while (folder && listener->pid == 0 && (entry = readdir(folder)) != NULL)
        if (isdigit((unsigned char)entry->d_name[0]) && holds_socket(root, entry->d_name, socket))
            listener->pid = strtol(entry->d_name, NULL, 10);
    if (folder)
        closedir(folder);
    if (listener->pid)
        look_at(root, listener->pid, listener->program, sizeof listener->program);
}

bool
listener_is_of(const char *root, const struct listener *listener, long pid)
{
    return listener->pid != 0 &&
           (listener->pid == pid || look_at(root, listener->pid, NULL, 0) == pid);
}
