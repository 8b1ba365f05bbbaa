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
    {"up", "start a swarm and look after it", "[--single] [--detach] [--ask-passphrase]",
     "Runs in the foreground until Ctrl-C or SIGTERM: a broker, a gateway and one process per "
     "service,\n"
     "each started again when it dies. The first start makes the home's keys and "
     "config/swarm.json.\n\n"
     "  --single   everything in this one process, for small devices\n"
     "  --detach   return when the swarm is healthy; it goes on in the background\n"
     "  --ask-passphrase   ask for the passphrase that seals secrets (or set "
     "SOS_SECRETS_PASSPHRASE)\n",
     run_up, NULL},
    {"down", "stop the swarm", "", "Stops in order and returns when every process is gone.\n",
     run_down, NULL},
    {"status", "what runs, how it is, where its doors are", "[--url DOOR]",
     "  --url DOOR   print only the base URL of a door: engine memory economy tools identity\n"
     "               voice unified\n\nExit code 1 when a service is not ok, 3 when no swarm "
     "runs.\n",
     run_status, NULL},
    {"doctor", "find what is wrong, and say how to mend it", "",
     "Looks at settings, keys, ports, clock, disk, limits, policies, secrets that lie about, the "
     "audit\n"
     "trail and what this host can isolate; swarm up or down. Changes nothing, prints no secret.\n"
     "docs/OPERATIONS.md says what each finding means.\n\n"
     "Exit code 0 when nothing is an error, else 1. --json prints one object.\n",
     run_doctor, NULL},
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
    {"tap", "watch what passes the broker", "[FILTERS] [--trace ID] [--record FILE | --from FILE]",
     "One line per record until Ctrl-C: who, to whom, what, how large, and how long an answer "
     "took.\n"
     "What recurs all the time (health checks, chunks, credits) is only counted. Issues itself "
     "the\n"
     "capability with the home's River key. Every tap is audited: data/audit/bus.jsonl.\n\n"
     "Filters, which all must match:\n"
     "  --source --target --type --kind --verdict GLOB\n"
     "  --status STATUS      replies and errors: ok, error or a number\n"
     "  --header REGEX       on the line: kind source target type status verdict\n\n"
     "  --trace ID           draw the tree of one trace when it is answered; ID is 32 hex digits "
     "(the\n"
     "                       X-SOS-Trace-ID of an HTTP answer), or next\n"
     "  --wait SECONDS       for the trace (30)\n"
     "  --payload            payloads too, without what is secret\n"
     "  --all                also health checks, chunks and credits\n"
     "  --count N            stop after N records\n"
     "  --record FILE        write a recording as well\n"
     "  --from FILE          show a recording (- is standard input)\n"
     "  --color WHEN         auto, always or never\n"
     "  --cap FILE           use the capability in FILE instead\n"
     "  --as FILE            connect with this connection file (needs --cap)\n",
     run_tap, NULL},
    {"top", "what the swarm does, on one screen", "[--once] [--interval SECONDS]",
     "Services, rates, times, the slowest operations, inboxes and peers, once a second; q quits.\n"
     "Holds a tap of its own, for headers alone. --json prints one object each time.\n\n"
     "  --once               print it once, after one interval\n"
     "  --interval SECONDS   between two (1)\n"
     "  --color WHEN         auto, always or never\n"
     "  --cap FILE           use the capability in FILE for the tap\n"
     "  --as FILE            connect with this connection file (needs --cap)\n",
     run_top, NULL},
    {"replay", "send the requests of a recording again", "FILE [--send] [FILTERS]",
     "Says what would be sent; with --send it is, one after the other, and each answer's status "
     "is\n"
     "held against the recorded one. Needs a recording with payloads (sos tap --payload "
     "--record).\n"
     "Exit code 1 when an answer differs or a request cannot be sent again.\n\n"
     "  --send               send them, as the home's operator\n"
     "  --rate N             at most N a second\n"
     "  --all                also what services asked each other for\n"
     "  --source --target --type --kind --verdict --status --trace --header   as of sos tap\n"
     "  --cap FILE           send the capability in FILE\n"
     "  --as FILE            connect with this connection file\n"
     "  --color WHEN         auto, always or never\n",
     run_replay, NULL},
    {"send", "put a message into an inbox", "TO [TYPE] PAYLOAD",
     "TO is an inbox (agent:kasra, user:ana) or a squad, whose members get a copy each. PAYLOAD "
     "is\n"
     "JSON, or else the text itself; - reads it from standard input. Done when it is on disk.\n\n"
     "  --from IDENTITY      who sends (default: who calls)\n"
     "  --ttl TIME           dropped when it was not taken within: 30s, 5m, 2h, 7d\n"
     "  --at TIME            not delivered before: +30s, 2026-01-31T12:00:00Z\n"
     "  --id UUID            sending the same id again adds nothing\n"
     "  --reply-to UUID      the message that this one answers\n"
     "  --text               PAYLOAD is text, even if it reads as JSON\n"
     "  --as NAME|FILE       as this agent of the home, or with this connection file (default: "
     "the\n"
     "                       home's operator, who signs what capabilities are needed)\n"
     "  --cap FILE           show the capability in FILE\n"
     "\n"
     "  sos send agent:kasra task '{\"do\":\"count the stars\"}'\n"
     "  date | sos send agent:kasra - --ttl 1h\n",
     run_send, NULL},
    {"inbox", "look into an inbox, take messages out of it", "[AGENT]",
     "One line per message: when (UTC), id, from whom, what type, what it says. Looks only, "
     "unless\n"
     "told to take.\n\n"
     "  --take               hand them out: they come again unless they are acknowledged\n"
     "  --ack                acknowledge what was printed (takes)\n"
     "  --follow             go on with what comes, until Ctrl-C\n"
     "  --peek               look only (what it does anyway)\n"
     "  --limit N            at most N messages (100; at most 256 unless it follows)\n"
     "  --after N            only those behind this number\n"
     "  --wait TIME          wait so long for the first one, at most 30s\n"
     "  --as NAME|FILE       as this agent of the home, or with this connection file (default: "
     "the\n"
     "                       home's operator, who signs what capabilities are needed)\n"
     "  --cap FILE           show the capability in FILE\n"
     "\n"
     "  sos inbox agent:kasra\n"
     "  sos inbox --as kasra --follow --ack\n",
     run_inbox, NULL},
    {"pub", "say something on a channel", "CHANNEL [TYPE] PAYLOAD",
     "Whoever listens gets it, nobody else. PAYLOAD as of sos send.\n\n"
     "  --from IDENTITY      who speaks (default: who calls)\n"
     "  --text               PAYLOAD is text, even if it reads as JSON\n"
     "  --as NAME|FILE       as this agent of the home, or with this connection file (default: "
     "the\n"
     "                       home's operator, who signs what capabilities are needed)\n"
     "  --cap FILE           show the capability in FILE\n"
     "\n"
     "  sos pub squad:engineering build '{\"ok\":true}'\n",
     run_pub, NULL},
    {"sub", "listen to channels", "CHANNEL|PATTERN...",
     "One line per event until Ctrl-C: when (UTC), where, from whom, what type, what it says.\n\n"
     "  --after N            of one channel: begin with what is kept behind number N (0: all)\n"
     "  --count N            stop after N events\n"
     "  --as NAME|FILE       as this agent of the home, or with this connection file (default: "
     "the\n"
     "                       home's operator, who signs what capabilities are needed)\n"
     "  --cap FILE           show the capability in FILE\n"
     "\n"
     "  sos sub 'squad:*' system:events\n"
     "  sos sub squad:engineering --after 0\n",
     run_sub, NULL},
    {"channels", "list channels", "[PATTERN]",
     "Those that have subscribers or a history.\n\n"
     "  --as NAME|FILE       as this agent of the home, or with this connection file (default: "
     "the\n"
     "                       home's operator, who signs what capabilities are needed)\n"
     "  --cap FILE           show the capability in FILE\n",
     run_channels, NULL},
    {"history", "print what was said on a channel", "CHANNEL",
     "The newest events, oldest first.\n\n"
     "  --after N            only those behind this number, from there on\n"
     "  --limit N            at most N (100; at most 1000)\n"
     "  --as NAME|FILE       as this agent of the home, or with this connection file (default: "
     "the\n"
     "                       home's operator, who signs what capabilities are needed)\n"
     "  --cap FILE           show the capability in FILE\n",
     run_history, NULL},
    {"peers", "list who is connected", "[PATTERN]",
     "And who was a while ago.\n\n"
     "  --as NAME|FILE       as this agent of the home, or with this connection file (default: "
     "the\n"
     "                       home's operator, who signs what capabilities are needed)\n"
     "  --cap FILE           show the capability in FILE\n"
     "\n"
     "  sos peers 'agent:*'\n",
     run_peers, NULL},
    {"dlq", "list, replay and drop dead letters", "list|show|replay|drop AGENT [ID...]",
     "What could not be delivered after its last try, was refused by its receiver, with the "
     "reason.\n\n"
     "  list AGENT             what there is, oldest first\n"
     "  show AGENT ID          one, whole\n"
     "  replay AGENT ID...     back into the inbox, with all attempts anew\n"
     "  drop AGENT ID...       for good\n\n"
     "  --all                replay or drop all of them\n"
     "  --as NAME|FILE       as this agent of the home, or with this connection file (default: "
     "the\n"
     "                       home's operator, who signs what capabilities are needed)\n"
     "  --cap FILE           show the capability in FILE\n"
     "\n"
     "  sos dlq list agent:kasra\n"
     "  sos dlq replay agent:kasra --all\n",
     run_dlq, NULL},
    {"cap", "ask for rights, give, hand on and take them back",
     "request|issue|delegate|inspect|verify|revoke|list|approvals|approve|deny|fetch",
     "A capability is printed as JSON on standard output: keep it in a file, show it with "
     "--cap.\n\n"
     "  request AGENT ACTION RESOURCE   ask River: the edition's policy decides, or an "
     "administrator\n"
     "  issue SUBJECT ACTION RESOURCE   give, whatever the policy says\n"
     "  delegate FILE SUBJECT           hand the right in FILE on, as it is or narrower\n"
     "  inspect FILE                    what it says, and who signed it; needs no swarm\n"
     "  verify FILE                     is it good? exit code 1 when it is not\n"
     "  revoke ID [FILE]                take it back, and all that were delegated from it\n"
     "  list [SUBJECT]                  what was given\n"
     "  approvals [STATUS]              what waits for an administrator: pending approved denied "
     "expired\n"
     "  approve ID | deny ID            decide\n"
     "  fetch ID AGENT                  what came of it\n\n"
     "  --uses N             so often\n"
     "  --expires TIME       30s, 5m, 2h, 7d (1h)\n"
     "  --constraints JSON   {\"max_results\":5,\"rate_limit\":\"10/minute\"}\n"
     "  --action --resource --subject   delegate: what is narrower; verify: what it is to allow\n"
     "  --why TEXT           request: for whoever decides\n"
     "  --reason TEXT        revoke, approve, deny: for the audit log\n"
     "  --limit N            list, approvals\n"
     "  --as NAME|FILE       as this agent of the home, or with this connection file (default: "
     "the\n"
     "                       home's operator, who signs what capabilities are needed)\n"
     "  --cap FILE           show the capability in FILE\n"
     "\n"
     "  sos cap issue agent:kasra memory:read 'memory:agent:kasra/*' --uses 10 > read.json\n"
     "  sos cap delegate read.json agent:mizan --uses 2\n",
     run_cap, NULL},
    {"secret", "keep API keys and other secrets", "set NAME | get NAME | list | rm NAME",
     "Sealed in the identity service's store; services read them by name (openai.api_key may be\n"
     "secret:NAME). Every look at one is audited.\n\n"
     "  set NAME             keep what is typed, or comes on standard input, at most 16 KiB\n"
     "  get NAME             print it\n"
     "  list                 names and times\n"
     "  rm NAME              forget it\n\n"
     "  --as NAME|FILE       as this agent of the home, or with this connection file (default: "
     "the\n"
     "                       home's operator, who signs what capabilities are needed)\n"
     "  --cap FILE           show the capability in FILE\n"
     "\n"
     "  sos secret set openai < key.txt\n",
     run_secret, NULL},
    {"bench", "measure the running swarm", "[--seconds N]",
     "Requests and replies, durable messages, events: how many a second, and how long one takes, "
     "from\n"
     "here. Its messages go to an inbox of their own, which is empty again at the end.\n\n"
     "  --seconds N          in all (5)\n",
     run_bench, NULL},
    {"broker", "run the broker alone", "[--keep-ports] [--ready-fd N]",
     "What `sos up` runs; for systemd and containers. Foreground, until SIGTERM.\n", run_broker,
     NULL},
    {"gateway", "run the HTTP gateway alone", "[--keep-ports] [--ready-fd N]",
     "What `sos up` runs; for systemd and containers. Foreground, until SIGTERM.\n", run_gateway,
     NULL},
    {"actor", "run one or more services", "NAME... [--ready-fd N]",
     "What `sos up` runs; for systemd and containers. Foreground, until SIGTERM.\n", run_actor,
     NULL},
    {"key", "list, make and replace CURVE keys",
     "list | new IDENTITY FILE | allow FILE | rotate NAME",
     "  list                 identities and public keys of the home\n"
     "  new IDENTITY FILE    make a key file (mode 0600) and print its public key\n"
     "  allow FILE           let that key onto the bus of this home, while its swarm is down: the\n"
     "                       way in for a service of your own\n"
     "  rotate NAME          give the agent agent:NAME of this home a new key, in its connection "
     "file;\n"
     "                       a running agent has to read it anew while the old one still works\n\n"
     "  --overlap TIME       how long both keys work: 0s, 30m, 12h, at most 30d (1h)\n",
     run_key, NULL},
    {"agent", "let agents connect, suspend them, end them",
     "new NAME | list | rm NAME | assign NAME SQUAD | STEP NAME",
     "  new NAME             make the agent's keys, register agent:NAME with the swarm (running "
     "or\n"
     "                       not), write its connection file, agents/NAME.json below the home\n"
     "  list                 agents, and which of them are connected\n"
     "  rm NAME              take its keys off the bus for good, and remove its connection file\n"
     "  assign NAME SQUAD    put a verified agent into a squad\n"
     "  reject NAME          turn down what an agent claims to be\n"
     "  activate NAME        give an agent that has a squad its full rights\n"
     "  suspend NAME         leave it only the right to read\n"
     "  reactivate NAME      end that\n"
     "  terminate NAME       for good: its keys are revoked\n\n"
     "  --yes                rm, terminate: do not ask\n"
     "  --reason TEXT        for its history and the audit log\n",
     run_agent, NULL},
    {"audit", "read and check the audit trails", "verify | tail | search",
     "data/audit/SERVICE.jsonl of the home, running or not: who did what, and what was refused.\n\n"
     "  verify               is every line as it was written, in its place? Names the first that "
     "is\n"
     "                       not; exit code 1 then\n"
     "  tail                 the newest lines\n"
     "  search               lines that match, oldest first\n\n"
     "  -n N                 tail: so many (50)\n"
     "  --trail NAME         verify, search: of this trail alone (search: a pattern)\n"
     "  --after SEQ          verify: only lines with a higher seq, behind a flaw that is known\n"
     "  --follow             tail: go on with what comes, until Ctrl-C\n"
     "  --event --actor --outcome --resource GLOB   search: all must match\n"
     "  --since --until TIME search: 30m, 2h, 7d (ago) or 2026-01-31T12:00:00Z\n"
     "  --limit N            search: at most so many, the newest (1000)\n\n"
     "  sos audit search --event 'capability.*' --since 2h --json\n",
     run_audit, NULL},
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
