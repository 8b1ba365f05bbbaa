/* SPDX-License-Identifier: Apache-2.0 */
/* cli/bus_caller.h - what the commands of the bus share: who calls, with which right, and the calls
 * of service:bus.
 *
 * The home's operator signs what it may with the River key, so that it can look into every inbox
 * and channel also where capabilities are enforced. An agent (--as) has the right to what is its
 * own by its key; anything else needs --cap. */
#ifndef SOS_CLI_BUS_CALLER_H
#define SOS_CLI_BUS_CALLER_H

#include "cli/command.h"
#include "cli/invoke.h"
#include "cli/options.h"
#include "contracts/bus.h"
#include "kernel/contract.h"

enum { BUS_CALLER_OPTIONS = 2 };

struct bus_caller {
    struct cli *cli;
    const char *command; /* whose words are said on stderr */
    const char *as;      /* --as NAME or FILE; NULL: the operator */
    const char *capability_file;
    struct peer *peer;
    int signal_fd; /* of wait_signals() */
    char identity[MESSAGE_NAME_MAX + 1];
    char target[MESSAGE_NAME_MAX + 1]; /* of the last request */
    struct buffer shown;               /* the token of --cap */
    struct buffer token;               /* the last one that was signed … */
    struct buffer right; /* … and what for: the broker checks few new ones a second */
    struct trace trace;
};

/* Fills rows with --as and --cap. */
void bus_caller_options(struct bus_caller *caller,
                        struct option_row rows[static BUS_CALLER_OPTIONS]);

/* Connects. Returns an exit code; after EXIT_OK the caller closes. Blocks the signals that end a
 * command: they are read from signal_fd. */
int bus_caller_open(struct bus_caller *caller, struct cli *cli, const char *command);
void bus_caller_close(struct bus_caller *caller);

/* The request for an operation of any service with its capability. The payload is borrowed; target
 * and token are the caller's until its next request. VALIDATION as contract_validate(). */
enum status bus_caller_request(struct bus_caller *caller, const struct operation *operation,
                               struct bytes payload, struct peer_request *request,
                               struct error *error);

/* One call. The reply is appended. CANCELLED when a signal came. */
enum status bus_caller_call(struct bus_caller *caller, const struct operation *operation,
                            struct bytes payload, struct buffer *reply, struct error *error);

/* A whole command that is one call: connects, packs, calls, shows, and lets go. Returns an exit
 * code. */
struct bus_task {
    const struct operation *operation;
    /* Appends one map; a fault is one of the command line. */
    enum status (*pack)(void *context, const struct bus_caller *caller, struct buffer *out,
                        struct error *error);
    int (*show)(void *context, const struct bus_caller *caller, struct bytes answer);
    void *context;
};
int bus_caller_run(struct bus_caller *caller, struct cli *cli, const char *command,
                   const struct bus_task *task);

/* The same for `sos COMMAND [PATTERN]`, which asks for all that matches. */
int bus_caller_run_pattern(struct cli *cli, int argc, char **argv, unsigned operation,
                           int (*show)(void *context, const struct bus_caller *caller,
                                       struct bytes answer));

/* `bus_listen` until the user has enough: begun anew when its time is over or the broker was lost
 * (said on stderr), each time with what pack() makes. on_chunk as of invoke.h. Returns an exit
 * code.
 */
struct bus_listening {
    void (*pack)(void *context, struct buffer *payload);
    invoke_chunk_fn *on_chunk;
    invoke_tick_fn *on_tick; /* may be NULL */
    void *context;           /* of all */
};
int bus_caller_listen(struct bus_caller *caller, const struct bus_listening *listening);

static inline const struct operation *
bus_operation(unsigned index)
{
    return &bus_contract.operations[index];
}

/* Prints why a call failed: the exit code. */
int bus_caller_refused(const struct bus_caller *caller, enum status status,
                       const struct error *error);

#endif
