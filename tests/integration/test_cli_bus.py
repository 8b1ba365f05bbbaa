# SPDX-License-Identifier: Apache-2.0
"""The commands of the bus: send, inbox, pub, sub, channels, history, peers, dlq, agent, bench."""

import json
import os
import pathlib
import signal
import subprocess
import threading
import time
import unittest

import tokens
from swarm import Swarm


class Following:
    """A command that goes on until it is told to stop: its lines."""

    def __init__(self, swarm, *arguments):
        self.process = subprocess.Popen(
            swarm.arguments(*arguments), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, env=swarm.environment)
        self.errors = []
        self.reading = threading.Thread(target=lambda: self.errors.extend(self.process.stderr))
        self.reading.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.reading.join()
        self.process.stdout.close()
        self.process.stderr.close()

    def line(self):
        return self.process.stdout.readline().rstrip("\n")

    def stop(self):
        """Ctrl-C; its exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(20)


class BusCommands(unittest.TestCase):
    settings = ()

    @classmethod
    def setUpClass(cls):
        cls.swarm = Swarm(*cls.settings)
        cls.swarm.__enter__()
        for name in ("kasra", "mira"):
            cls.swarm.run("agent", "new", name)

    @classmethod
    def tearDownClass(cls):
        cls.swarm.__exit__(None, None, None)

    def sos(self, *arguments, code=0, input=None):
        done = self.swarm.run(*arguments, check=False, input=input)
        self.assertEqual(done.returncode, code, f"{arguments}\n{done.stdout}{done.stderr}")
        return done

    def json(self, *arguments, **options):
        return json.loads(self.sos("--json", *arguments, **options).stdout)

    def await_listener(self, channel):
        end = time.monotonic() + 20
        while not any(row["subscribers"] for row in self.json("channels", channel)["channels"]):
            self.assertLess(time.monotonic(), end)


class Mail(BusCommands):
    def payloads(self, agent, *arguments):
        return [mail["payload"] for mail in self.json("inbox", agent, *arguments)["messages"]]

    def test_what_is_json_goes_as_json_and_anything_else_as_text(self):
        for words in (("{\"a\":[1,null]}",), ("hello world",), ("5",), ("5", "--text"), ("true",), ("{",),
                      ("--", "--dashes"), ("",)):
            self.sos("send", "user:forms", *words)
        self.sos("send", "user:forms", "-", input="line one\nline two\n")
        self.assertEqual(self.payloads("user:forms"),
                         [{"a": [1, None]}, "hello world", 5, "5", True, "{", "--dashes", "",
                          "line one\nline two"])

    def test_a_message_has_what_the_options_say(self):
        first = self.json("send", "user:opts", "note", "x", "--from", "agent:mira", "--ttl", "1h")
        reply = self.json("send", "user:opts", "y", "--reply-to", first["message_id"])
        again = self.json("send", "user:opts", "y", "--id", reply["message_id"])
        self.assertTrue(again["duplicate"])
        self.sos("send", "user:opts", "z", "--at", "+1h")
        self.sos("send", "user:opts", "z", "--at", "2099-01-01T00:00:00Z")
        mail = self.json("inbox", "user:opts")["messages"]
        self.assertEqual(len(mail), 2)
        self.assertEqual((mail[0]["from"], mail[0]["type"]), ("agent:mira", "note"))
        self.assertLessEqual(mail[0]["expires_in_ms"], 3600_000)
        self.assertEqual(mail[1]["in_reply_to"], first["message_id"])
        self.assertRegex(self.sos("send", "user:opts", "q").stdout, r"^[0-9a-f-]{36}  on disk, 1 inbox\n$")

    def test_wrong_lines_are_2_refusals_1(self):
        for words in (("send",), ("send", "agent:kasra"), ("send", "a", "b", "c", "d"),
                      ("send", "agent:kasra", "x", "--ttl", "soon"), ("send", "agent:kasra", "x", "--ttl"),
                      ("send", "agent:kasra", "x", "--at", "later"), ("send", "agent:kasra", "x", "--loud"),
                      ("send", "agent:kasra", "x", "--as", "nobody"), ("inbox", "--peek", "--ack"),
                      ("inbox", "--follow", "--wait", "1s"), ("inbox", "--limit", "0"), ("inbox", "a", "b"),
                      ("pub", "squad:x"), ("sub",), ("sub", "squad:*", "--after", "0"), ("history",),
                      ("dlq",), ("dlq", "list"), ("dlq", "eat", "agent:kasra"), ("dlq", "drop", "agent:kasra"),
                      ("agent",), ("agent", "rm"), ("agent", "rm", "a/b"), ("agent", "list", "x"),
                      ("bench", "--seconds", "0"), ("bench", "x"), ("peers", "a", "b")):
            done = self.sos(*words, code=2)
            self.assertEqual(done.stdout, "", words)
            self.assertTrue(done.stderr.startswith(f"sos {words[0]}: "), done.stderr)
        self.assertIn("squad_empty", self.sos("send", "squad:none", "x", code=1).stderr)
        refused = self.json("send", "squad:none", "x", code=1)
        self.assertEqual((refused["ok"], refused["detail"]), (False, "squad_empty"))
        self.assertIn("not_an_inbox", self.sos("inbox", "squad:x", code=1).stderr)
        self.assertIn("not_a_channel", self.sos("sub", "nonsense", code=1).stderr)

    def test_looking_takes_nothing_taking_does_and_acknowledging_ends_it(self):
        for n in range(3):
            self.sos("send", "agent:kasra", str(n))
        self.assertEqual(self.payloads("agent:kasra"), [0, 1, 2])
        self.assertEqual(self.payloads("agent:kasra"), [0, 1, 2])
        last = self.json("inbox", "agent:kasra", "--limit", "1")["messages"][0]["seq"]
        self.assertEqual(self.payloads("agent:kasra", "--after", str(last)), [1, 2])
        done = self.sos("inbox", "--as", "kasra", "--ack", "--limit", "2")
        self.assertEqual([line.rsplit("  ", 1)[1] for line in done.stdout.splitlines()], ["0", "1"])
        self.assertEqual(done.stderr, "1 more wait\n")
        self.assertEqual(self.payloads("agent:kasra", "--as", "agent:kasra", "--take"), [2])
        end = time.monotonic() + 20
        while self.payloads("agent:kasra") != [2]:  # nobody acknowledged it: it comes again
            self.assertLess(time.monotonic(), end)

    def test_waiting_for_the_first_one(self):
        with Following(self.swarm, "--json", "inbox", "user:waited", "--ack", "--wait", "20s") as waiting:
            end = time.monotonic() + 20
            while not self.json("peers", "user:operator")["peers"][0]["in_flight"]:
                self.assertLess(time.monotonic(), end)
            self.sos("send", "user:waited", "now")
            self.assertEqual(json.loads(waiting.line())["messages"][0]["payload"], "now")
            self.assertEqual(waiting.process.wait(10), 0)

    def test_following_prints_what_comes_and_acknowledges_it(self):
        with Following(self.swarm, "--json", "inbox", "--as", "mira", "--follow", "--ack") as following:
            for n in range(5):
                self.sos("send", "agent:mira", str(n))
            self.assertEqual([json.loads(following.line())["payload"] for _ in range(5)], list(range(5)))
            end = time.monotonic() + 20
            while self.payloads("agent:mira"):
                self.assertLess(time.monotonic(), end)
            self.assertEqual(following.stop(), 0)
        with Following(self.swarm, "inbox", "user:watched", "--follow") as following:
            end = time.monotonic() + 20
            shown = None
            while not shown:  # copies come from when it listens on
                self.sos("send", "user:watched", "see")
                ready = subprocess.run(["timeout", "0.2", "cat"], stdin=following.process.stdout,
                                       capture_output=True, text=True, check=False)
                shown = ready.stdout
                self.assertLess(time.monotonic(), end)
            self.assertIn('"see"', shown)
            self.assertEqual(following.stop(), 0)
        self.assertGreaterEqual(len(self.payloads("user:watched")), 1)

    def test_dead_letters_are_listed_shown_replayed_and_dropped(self):
        for n in range(3):
            self.sos("send", "user:dead", "task", f'{{"n":{n}}}')
        ids = [mail["id"] for mail in self.json("inbox", "user:dead", "--take")["messages"]]
        self.sos("call", "bus.nack", "agent_id=user:dead", "ids:=" + json.dumps(ids), "dead:=true",
                 "reason=poison")
        letters = self.json("dlq", "list", "user:dead")["dead_letters"]
        self.assertEqual([letter["reason"] for letter in letters], ["poison"] * 3)
        table = self.sos("dlq", "list", "user:dead").stdout.splitlines()
        self.assertEqual(len(table), 4)
        self.assertRegex(table[1], r"^\S+ +\d\d-\d\d \d\d:\d\d:\d\d +1  user:operator  task  poison$")
        first, second, third = (letter["dead_id"] for letter in letters)
        self.assertIn('{"n":0}', self.sos("dlq", "show", "user:dead", first).stdout)
        self.assertEqual(self.json("dlq", "show", "user:dead", first)["message"]["payload"], {"n": 0})
        self.assertEqual(self.sos("dlq", "replay", "user:dead", first).stdout, "1 back in the inbox, 2 left\n")
        self.assertEqual(self.payloads("user:dead"), [{"n": 0}])
        done = self.sos("dlq", "drop", "user:dead", second, "nothing", code=1)
        self.assertEqual((done.stdout, done.stderr), ("1 dropped, 1 left\n", "sos dlq: no dead letter nothing\n"))
        self.sos("dlq", "show", "user:dead", second, code=1)
        self.assertEqual(self.json("dlq", "drop", "user:dead", "--all")["dropped"], 1)
        self.assertEqual(self.sos("dlq", "list", "user:dead").stdout, "")
        self.assertNotEqual(third, first)


class Channels(BusCommands):
    def test_events_are_printed_as_they_are_said(self):
        with Following(self.swarm, "sub", "squad:a*", "user:operator:x", "--count", "3") as listening:
            self.await_listener("user:operator:x")
            self.sos("pub", "squad:abc", "hello")
            self.sos("pub", "squad:other", "no")
            self.sos("pub", "user:operator:x", "kind", '{"n":1}')
            self.assertEqual(self.sos("pub", "squad:ade", "3", "--from", "agent:mira").stdout.split(", ")[1],
                             "1 subscriber\n")
            lines = [listening.line() for _ in range(3)]
            self.assertRegex(lines[0], r'^\d\d:\d\d:\d\d\.\d{3}  squad:abc +user:operator +message +"hello"$')
            self.assertRegex(lines[1], r'user:operator:x +user:operator +kind +\{"n":1\}$')
            self.assertRegex(lines[2], r"squad:ade +agent:mira +message +3$")
            self.assertEqual(listening.process.wait(10), 0)

    def test_nothing_is_missed_or_doubled_between_history_and_now(self):
        wanted = 400
        for n in range(100):
            self.call_publish("squad:gapless", n)
        speaking = threading.Thread(target=lambda: [self.call_publish("squad:gapless", n)
                                                    for n in range(100, wanted)])
        speaking.start()
        with Following(self.swarm, "--json", "sub", "squad:gapless", "--after", "0", "--count",
                       str(wanted)) as listening:
            heard = [json.loads(listening.line())["payload"] for _ in range(wanted)]
            self.assertEqual(listening.process.wait(10), 0)
        speaking.join()
        self.assertEqual(heard, list(range(wanted)))

    def call_publish(self, channel, payload):
        answer = self.swarm.http("POST", "engine", "/bus/publish",
                                 {"from": "user:operator", "channel": channel, "payload": payload})
        self.assertEqual(answer.status, 200, answer.body)

    def test_history_and_lists(self):
        for n in range(5):
            self.sos("pub", "squad:past", str(n))
        events = self.json("history", "squad:past", "--limit", "3")["events"]
        self.assertEqual([event["payload"] for event in events], [2, 3, 4])
        lines = self.sos("history", "squad:past", "--after", str(events[1]["seq"])).stdout.splitlines()
        self.assertEqual([line.rsplit("  ", 1)[1] for line in lines], ["4"])
        self.assertEqual(self.sos("history", "squad:never").stderr, "nothing\n")
        row = self.sos("channels", "squad:past").stdout.splitlines()
        self.assertRegex(row[0], "^CHANNEL +SUBSCRIBERS +KEPT +SIZE +LAST$")
        self.assertRegex(row[1], r"^squad:past +0 +5 ")
        peers = self.sos("peers", "service:*").stdout.splitlines()
        self.assertRegex(peers[0], "^IDENTITY +STATE ")
        self.assertEqual({line.split()[0] for line in peers[1:]},
                         {"service:engine", "service:gateway", "service:identity", "service:memory"})
        self.assertIs(self.json("peers", "service:memory")["peers"][0]["online"], True)

    def test_it_goes_on_listening_when_the_broker_was_lost(self):
        with Following(self.swarm, "--json", "sub", "squad:lasting") as listening:
            self.await_listener("squad:lasting")
            self.sos("pub", "squad:lasting", "1")
            self.assertEqual(json.loads(listening.line())["payload"], 1)
            self.swarm.kill("broker")
            self.swarm.wait_healthy()
            self.await_listener("squad:lasting")
            self.sos("pub", "squad:lasting", "2")
            self.assertEqual(json.loads(listening.line())["payload"], 2)
            self.assertEqual(listening.stop(), 0)
        self.assertEqual(listening.errors, ["sos sub: the broker was lost; waiting for it\n"])

    def test_a_reader_that_goes_away_ends_the_command(self):
        with Following(self.swarm, "sub", "squad:pipe") as listening:
            self.await_listener("squad:pipe")
            listening.process.stdout.close()
            self.sos("pub", "squad:pipe", "1")
            self.assertEqual(listening.process.wait(20), 1)
            listening.process.stdout = open(os.devnull, encoding="utf-8")


class Agents(BusCommands):
    def test_agents_are_listed_with_who_is_connected(self):
        with self.swarm.peer("agent:kasra"):
            rows = {row["agent_id"]: row for row in self.json("agent", "list")}
            self.assertIs(rows["agent:kasra"]["online"], True)
            self.assertIs(rows["agent:mira"]["online"], False)
            lines = self.sos("agent", "list").stdout.splitlines()
            self.assertRegex(lines[0], "^AGENT +STATE +STATUS ")
            self.assertTrue(any(line.split()[:3] == ["agent:kasra", "online", "registered"] for line in lines))

    def test_a_removed_agent_is_refused_for_good(self):
        self.sos("agent", "new", "gone")
        connection = self.swarm.connection("agent:gone")
        path = pathlib.Path(self.swarm.home, "agents", "gone.json")
        kept = path.read_text(encoding="utf-8")
        self.assertIn("--yes", self.sos("agent", "rm", "gone", code=2).stderr)
        self.assertTrue(path.exists())
        done = self.sos("agent", "rm", "gone", "--yes", "--reason", "left the swarm")
        self.assertIn("agent:gone is refused", done.stdout)
        self.assertFalse(path.exists())
        self.sos("inbox", "--as", "gone", code=2)
        other = pathlib.Path(self.swarm.home, "kept.json")
        other.touch(mode=0o600)
        other.write_text(kept, encoding="utf-8")
        self.sos("inbox", "--as", str(other), code=3)
        self.assertEqual({row["agent_id"]: row["status"] for row in self.json("agent", "list")}["agent:gone"],
                         "revoked")
        self.assertIn("not_found", self.json("agent", "rm", "never", "--yes", code=1)["detail"])
        self.assertEqual(connection["identity"], "agent:gone")

    def test_a_measurement_leaves_nothing_behind(self):
        figures = self.json("bench", "--seconds", "1")
        self.assertEqual(len(figures), 5)
        for figure in figures:
            self.assertGreater(figure["per_second"], 0, figure)
            self.assertLessEqual(figure["p50_us"], figure["p99_us"])
        left = self.json("call", "bus.mailboxes", "pattern=user:bench-*")["mailboxes"]
        self.assertEqual([box for box in left if box["waiting"] or box["unacked"] or box["dead"]], [])
        self.assertRegex(self.sos("bench", "--seconds", "1").stdout, "^WHAT +IN FLIGHT +COUNT +A SECOND ")


class Enforced(BusCommands):
    settings = ("require_capabilities=true",)

    def test_the_operator_signs_what_is_needed(self):
        self.sos("send", "agent:kasra", "1")
        self.assertEqual(len(self.json("inbox", "agent:kasra", "--ack")["messages"]), 1)
        self.sos("pub", "squad:x", "1")
        self.sos("history", "squad:x")
        self.sos("sub", "squad:x", "--after", "0", "--count", "1")
        self.sos("channels")
        self.sos("peers")
        self.sos("dlq", "list", "agent:kasra")
        self.sos("agent", "list")

    def test_an_agent_has_what_is_its_own_and_needs_a_capability_for_the_rest(self):
        self.sos("send", "--as", "kasra", "agent:mira", "1")
        self.assertEqual(len(self.json("inbox", "--as", "mira", "--ack")["messages"]), 1)
        for words in (("inbox", "agent:mira", "--as", "kasra"), ("send", "agent:mira", "1", "--as", "kasra",
                                                                 "--from", "agent:mira")):
            self.sos(*words, code=1)
        self.assertIn("missing_capability", self.sos("pub", "--as", "kasra", "squad:x", "1", code=1).stderr)
        file = pathlib.Path(self.swarm.home, "token")
        file.write_text(json.dumps(tokens.make(tokens.river_key(self.swarm.home), "agent:kasra",
                                               "bus:publish", "squad:*")), encoding="utf-8")
        self.sos("pub", "--as", "kasra", "squad:x", "1", "--cap", str(file))


class Alone(unittest.TestCase):
    def test_without_a_swarm_every_command_says_so(self):
        with Swarm.home_only() as swarm:
            for words in (("send", "agent:a", "x"), ("inbox",), ("pub", "squad:x", "1"), ("sub", "squad:x"),
                          ("channels",), ("history", "squad:x"), ("peers",), ("dlq", "list", "agent:a"),
                          ("agent", "list"), ("agent", "rm", "a", "--yes"), ("bench",)):
                done = swarm.run(*words, check=False)
                self.assertEqual(done.returncode, 3, f"{words}: {done.stderr}")
                self.assertEqual(done.stdout, "")
                self.assertIn("sos up", done.stderr)


if __name__ == "__main__":
    unittest.main()
