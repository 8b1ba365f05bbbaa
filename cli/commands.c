/* SPDX-License-Identifier: Apache-2.0 */
/* cli/commands.c - the table of commands: a new one is a row here and a file. */
#include <stdio.h>

#include "cli/client.h"
#include "cli/command.h"
#include "cli/lifecycle.h"

static int
run_version(struct cli *cli, int argc, char **argv)
{
    if (argc > 1)
        return command_fail("version", EXIT_USAGE, "unexpected argument '%s'", argv[1]);
    printf(cli->json ? "{\"version\":\"%s\"}\n" : "sos %s\n", SOS_VERSION);
    return EXIT_OK;
}

const struct command commands[] = {
    {"up", "start a swarm and look after it", "[--single] [--detach]",
     "Runs in the foreground until Ctrl-C or SIGTERM: a broker, a gateway and one process per "
     "service,\n"
     "each started again when it dies. The first start makes the home's keys and "
     "config/swarm.json.\n\n"
     "  --single   everything in this one process, for small devices\n"
     "  --detach   return when the swarm is healthy; it goes on in the background\n",
     run_up, NULL},
    {"down", "stop the swarm", "", "Stops in order and returns when every process is gone.\n",
     run_down, NULL},
    {"status", "what runs, how it is, where its doors are", "[--url DOOR]",
     "  --url DOOR   print only the base URL of a door: engine memory economy tools identity\n"
     "               voice unified\n\nExit code 1 when a service is not ok, 3 when no swarm "
     "runs.\n",
     run_status, NULL},
    {"logs", "print the swarm's log", "[SERVICE] [--lines N] [-f]",
     "One JSON line per event of every process, from logs/sos.log.\n\n"
     "  SERVICE      only the lines of this service\n  --lines N    the last N lines (50)\n"
     "  -f           follow\n",
     run_logs, NULL},
    {"call", "call an operation of a service", "[SERVICE.OPERATION [FIELD=TEXT | FIELD:=JSON]...]",
     "Without arguments it lists every operation; SERVICE.OPERATION --help lists its fields. "
     "Values are\n"
     "typed by the contract and checked before anything is sent. The answer is printed as JSON.\n\n"
     "  FIELD=TEXT           a value; of a list, one more item\n"
     "  FIELD:=JSON          a value as JSON\n"
     "  --json-body JSON     the whole request as a JSON object; fields are added to it\n"
     "  --cap FILE           send the capability in FILE\n"
     "  --as FILE            connect with this connection file (default: the home's operator)\n"
     "  --idempotency-key K  a retry with the same key gets the first answer\n"
     "  --timeout MS         1 to 600000 (default: the operation's)\n\n"
     "  sos call memory.store agent_id=agent:kasra content='Tea at five' importance=0.8\n",
     run_call, explain_call},
    {"chat", "talk with an agent", "[MESSAGE...]",
     "With a message: one answer, as it comes. Without: a conversation, line by line from "
     "standard\n"
     "input; Ctrl-C cuts an answer off, Ctrl-D ends it.\n\n"
     "  --agent AGENT        whom to talk to (agent:river)\n"
     "  --conversation ID    go on with an earlier conversation\n"
     "  --model NAME         a model of: sos call engine.models\n"
     "  --cap FILE           send the capability in FILE\n"
     "  --as FILE            connect with this connection file (default: the home's operator)\n",
     run_chat, NULL},
    {"tap", "watch what passes the broker",
     "[--source GLOB] [--target GLOB] [--type GLOB] [--kind GLOB]",
     "Prints the header of each record, never its payload, until Ctrl-C. Issues itself a "
     "capability\n"
     "for it with the home's River key. --json prints one object a line.\n\n"
     "  --source --target --type --kind --trace GLOB   only records that match\n"
     "  --count N            stop after N records\n"
     "  --cap FILE           use the capability in FILE instead\n"
     "  --as FILE            connect with this connection file (needs --cap)\n",
     run_tap, NULL},
    {"broker", "run the broker alone", "[--keep-ports] [--ready-fd N]",
     "What `sos up` runs; for systemd and containers. Foreground, until SIGTERM.\n", run_broker,
     NULL},
    {"gateway", "run the HTTP gateway alone", "[--keep-ports] [--ready-fd N]",
     "What `sos up` runs; for systemd and containers. Foreground, until SIGTERM.\n", run_gateway,
     NULL},
    {"actor", "run one or more services", "NAME... [--ready-fd N]",
     "What `sos up` runs; for systemd and containers. Foreground, until SIGTERM.\n", run_actor,
     NULL},
    {"key", "list and make CURVE keys", "list | new IDENTITY FILE",
     "  list                 identities and public keys of the home\n"
     "  new IDENTITY FILE    make a key file (mode 0600) and print its public key\n",
     run_key, NULL},
    {"agent", "let an agent connect", "new NAME",
     "Makes the agent's keys, registers agent:NAME with the swarm (running or not) and writes its\n"
     "connection file, agents/NAME.json below the home.\n",
     run_agent, NULL},
    {"backup", "copy the home, running or not", "DIR",
     "Writes a checkpoint of every service's store, keys and settings into the new folder DIR.\n",
     run_backup, NULL},
    {"restore", "make a home from a backup", "DIR",
     "Makes the home (--home, which must not exist or be empty) from the backup in DIR; every file "
     "is\n"
     "checked against its SHA-256 and every store block by block.\n",
     run_restore, NULL},
    {"version", "print the version", "", "", run_version, NULL},
    {NULL, NULL, NULL, NULL, NULL, NULL},
};
