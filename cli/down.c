/* SPDX-License-Identifier: Apache-2.0 */
/* cli/down.c - `sos down`: stops the swarm of a home and waits until it is gone. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cli/home.h"
#include "cli/lifecycle.h"

enum {
    DOWN_MS = 45000 /* every stage of the supervisor has 10 s, then it kills */
};

int
run_down(struct cli *cli, int argc, char **argv)
{
    long pid = 0;
    if (argc > 1)
        return command_fail("down", EXIT_USAGE, "unknown argument '%s'; expected none", argv[1]);
    if (!home_is_running(cli->home, &pid) || pid <= 0)
        return command_fail("down", EXIT_UNREACHABLE, "no swarm of home %s is running", cli->home);

    /* The pid was written by the holder of the lock; taking the descriptor first and asking again
     * makes sure that it still is that process. */
    long again = 0;
    int fd = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);
    if (fd < 0 || !home_is_running(cli->home, &again) || again != pid) {
        if (fd >= 0)
            close(fd);
        return command_fail("down", EXIT_UNREACHABLE, "the swarm of home %s ended meanwhile",
                            cli->home);
    }
    int code = EXIT_OK;
    if (syscall(SYS_pidfd_send_signal, fd, SIGTERM, NULL, 0) != 0) {
        code = command_fail("down", EXIT_FAILED, "stop process %ld: %s", pid, strerror(errno));
    } else {
        struct pollfd poll_fd = {fd, POLLIN, 0};
        int ready;
        do
            ready = poll(&poll_fd, 1, DOWN_MS);
        while (ready < 0 && errno == EINTR);
        if (ready != 1)
            code = command_fail("down", EXIT_FAILED, "process %ld still runs after %d ms", pid,
                                DOWN_MS);
        else
            printf("stopped\n");
    }
    close(fd);
    return code;
}
