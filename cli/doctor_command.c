/* SPDX-License-Identifier: Apache-2.0 */
/* cli/doctor_command.c - `sos doctor` on this host. */
#include <stdio.h>
#include <unistd.h>

#include "cli/bus_caller.h"
#include "cli/doctor.h"
#include "cli/home.h"
#include "cli/lifecycle.h"
#include "cli/screen.h"
#include "cli/settings.h"

enum { CALL_MS = 3000 /* a service that hangs is one of the things that may be wrong */ };

static enum status
call(void *context, const struct operation *operation, struct bytes payload, struct buffer *reply,
     struct error *error)
{
    struct bus_caller *caller = context;
    struct peer_request request;
    struct invoke invoke = {
        .peer = caller->peer, .signal_fd = caller->signal_fd, .clock = caller->cli->clock};
    enum status status = bus_caller_request(caller, operation, payload, &request, error);
    if (status != STATUS_OK)
        return status;
    request.ttl_ms = CALL_MS;
    return invoke_run(&invoke, &request, reply, error);
}

int
run_doctor(struct cli *cli, int argc, char **argv)
{
    struct doctor_host host = doctor_host;
    struct buffer out;
    if (argc > 1)
        return command_fail("doctor", EXIT_USAGE, "unexpected argument '%s'", argv[1]);
    host.user = geteuid();
    struct doctor doctor = {
        .home = cli->home,
        .config = cli->config,
        .settings_error = cli->settings_error,
        .system_settings = SETTINGS_SYSTEM_FILE,
        .clock = cli->clock,
        .host = &host,
    };
    /* Asking would make the lock. */
    char lock[PATH_SIZE];
    if (paths_join(lock, cli->home, "run/supervisor.lock", NULL) == STATUS_OK &&
        access(lock, F_OK) == 0)
        home_is_running(cli->home, &doctor.swarm_pid);
    struct bus_caller caller = {.signal_fd = -1};
    bool connected = doctor.swarm_pid && bus_caller_open(&caller, cli, "doctor") == EXIT_OK;
    if (connected) {
        doctor.call = call;
        doctor.call_context = &caller;
    }
    doctor_run(&doctor);
    if (connected)
        bus_caller_close(&caller);

    buffer_init(&out);
    doctor_print(&doctor, cli->json, screen_of_stdout(COLOR_AUTO).color, &out);
    bool printed =
        !out.failed && fwrite(out.data, 1, out.size, stdout) == out.size && fflush(stdout) == 0;
    int code = printed && doctor_is_content(&doctor) ? EXIT_OK : EXIT_FAILED;
    buffer_clear(&out);
    findings_clear(&doctor.findings);
    return code;
}
