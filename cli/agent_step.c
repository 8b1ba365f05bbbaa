/* SPDX-License-Identifier: Apache-2.0 */
/* cli/agent_step.c - `sos agent suspend|reactivate|terminate … NAME`: one step of an agent's
 * onboarding machine, taken by the home's operator. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/agent.h"
#include "cli/bus_caller.h"
#include "cli/bus_show.h"
#include "contracts/identity.h"

struct agent_move {
    const struct agent_step_row *row;
    struct agent_name agent;
    const char *reason;
    const char *squad;
};

static const struct agent_step_row {
    const char *word;
    unsigned operation;
    bool takes_squad;
    bool asks; /* it cannot be undone */
} steps[] = {
    {"reject", OP_IDENTITY_REJECT, false, false},
    {"assign", OP_IDENTITY_ASSIGN_SQUAD, true, false},
    {"activate", OP_IDENTITY_ACTIVATE, false, false},
    {"suspend", OP_IDENTITY_SUSPEND, false, false},
    {"reactivate", OP_IDENTITY_REACTIVATE, false, false},
    {"terminate", OP_IDENTITY_TERMINATE, false, true},
};

static const struct agent_step_row *
find_step(const char *word)
{
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++)
        if (strcmp(word, steps[i].word) == 0)
            return &steps[i];
    return NULL;
}

bool
agent_is_step(const char *word)
{
    return find_step(word) != NULL;
}

static enum status
pack(void *context, const struct bus_caller *caller, struct buffer *out, struct error *error)
{
    const struct agent_move *move = context;
    (void)caller, (void)error;
    pack_map(out, 1u + (move->reason ? 1 : 0) + (move->squad ? 1 : 0));
    pack_pair_string(out, "id", move->agent.identity);
    if (move->reason)
        pack_pair_string(out, "reason", move->reason);
    if (move->squad)
        pack_pair_string(out, "squad_id", move->squad);
    return STATUS_OK;
}

static int
show(void *context, const struct bus_caller *caller, struct bytes answer)
{
    const struct agent_move *move = context;
    struct value agent;
    if (caller->cli->json)
        return show_json(caller, answer);
    if (!value_parse(answer, &agent))
        return command_fail("agent", EXIT_FAILED, "the answer cannot be read");
    printf("%s is %.*s\n", move->agent.identity, TEXT_ARGS(show_text(&agent, "state")));
    return EXIT_OK;
}

int
agent_take_step(struct cli *cli, int argc, char **argv)
{
    struct bus_caller caller = {0};
    struct agent_move move = {.row = find_step(argv[0])};
    const char *words[2] = {NULL, NULL};
    char squad[MESSAGE_NAME_MAX + 1];
    bool yes = false;
    const struct option_row rows[] = {{"--reason", &move.reason}};
    const struct flag_row flags[] = {{"--yes", &yes}};
    struct options_line line = {rows, 1, flags, 1, words, move.row->takes_squad ? 2 : 1, 0};
    int code = options_parse("agent", &line, argc, argv);
    if (code == EXIT_OK && line.word_count < line.words_max)
        code = command_fail("agent", EXIT_USAGE, "expected: sos agent %s NAME%s", argv[0],
                            move.row->takes_squad ? " SQUAD" : "");
    if (code == EXIT_OK)
        code = agent_name(cli, words[0], &move.agent);
    if (code != EXIT_OK)
        return code;
    if (move.row->takes_squad) {
        const char *prefix = strncmp(words[1], "squad:", 6) == 0 ? "" : "squad:";
        if (snprintf(squad, sizeof squad, "%s%s", prefix, words[1]) >= (int)sizeof squad)
            return command_fail("agent", EXIT_USAGE, "SQUAD: the name is too long");
        move.squad = squad;
    }
    if (move.row->asks && !yes && !isatty(STDIN_FILENO))
        return command_fail("agent", EXIT_USAGE, "%s %s: say --yes where nobody can be asked",
                            argv[0], words[0]);
    if (move.row->asks && !yes && !agent_confirms(move.agent.identity))
        return command_fail("agent", EXIT_FAILED, "nothing was done");
    return bus_caller_run(
        &caller, cli, "agent",
        &(struct bus_task){&identity_contract.operations[move.row->operation], pack, show, &move});
}
