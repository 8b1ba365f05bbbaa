# SPDX-License-Identifier: Apache-2.0
"""The Python SDK against a real swarm, and the tutorial as it is written."""

import asyncio
import os
import pathlib
import re
import select
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "sdk" / "python"))

import mumega  # noqa: E402
import swarm as swarms  # noqa: E402
import tokens  # noqa: E402
import zmq  # noqa: E402
from mumega import AsyncMumegaClient, MumegaClient  # noqa: E402

QUICK = bool(os.environ.get("SOS_TEST_QUICK"))
TUTORIAL = ROOT / "docs" / "tutorials" / "two-agents.md"


class Client(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.swarm = swarms.Swarm("bus.anonymous=false").__enter__()
        for name in ("kasra", "athena"):
            cls.swarm.run("agent", "new", name)

    @classmethod
    def tearDownClass(cls):
        cls.swarm.__exit__(None, None, None)

    def client(self, agent="kasra", **options):
        client = MumegaClient(agent=agent, home=self.swarm.home, **options)
        self.addCleanup(client.close)
        return client

    def http(self, agent="kasra", **options):
        client = MumegaClient(http=f"http://127.0.0.1:{self.swarm.ports['unified']}", agent=agent, **options)
        self.addCleanup(client.close)
        return client

    def token(self, action, resource, subject="agent:kasra"):
        return tokens.make(tokens.river_key(self.swarm.home), subject, action, resource)

    # ---- services

    def check_services(self, client):
        kept = client.memory.store("Spiders have eight legs.", importance=0.9)
        self.assertEqual(client.memory.get(kept["memory_id"])["content"], "Spiders have eight legs.")
        found = client.memory.search("spiders", agent_id="agent:kasra")
        self.assertIn("Spiders have eight legs.", [row["memory"]["content"] for row in found])
        self.assertTrue(client.memory.delete(kept["memory_id"])["deleted"])
        with self.assertRaises(mumega.NotFoundError):
            client.memory.get(kept["memory_id"])
        with self.assertRaises(mumega.ValidationError) as caught:
            client.memory.store("x", importance=7)
        self.assertEqual(caught.exception.field, "importance")
        answer = client.chat("Hello.")
        self.assertEqual(answer["agent_id"], "agent:kasra")
        stream = client.chat.stream("Hello.", conversation_id=answer["conversation_id"])
        chunks = [chunk["chunk"] for chunk in stream]
        self.assertTrue(chunks)
        self.assertEqual(stream.answer["conversation_id"], answer["conversation_id"])
        self.assertIn("agent:athena", [row["agent_id"] for row in client.identity.list()])
        self.assertTrue(client.engine.models())
        self.assertEqual(client.health("memory")["status"], "ok")

    def test_services_over_the_bus(self):
        client = self.client()
        self.check_services(client)
        self.assertEqual(client.call("memory.stats")["memories"] >= 0, True)
        self.assertEqual(client.health()["service"], "bus")

    def test_services_over_http(self):
        self.check_services(self.http())

    def test_an_agent_acts_for_itself_only(self):
        with self.assertRaises(mumega.ForbiddenError) as caught:
            self.client().memory.store("planted", agent_id="agent:athena")
        self.assertEqual(caught.exception.word, "capability_subject_mismatch")

    def test_a_write_with_a_key_is_done_once(self):
        client = self.client()
        first = client.memory.store("only once", idempotency_key="once-1")
        self.assertEqual(client.memory.store("only once", idempotency_key="once-1"), first)

    # ---- mail

    def test_mail_waits_for_who_is_away_and_is_answered(self):
        kasra = self.client()
        sent = kasra.bus.send("agent:athena", {"text": "hello"}, type="greeting", metadata={"n": 1})
        again = kasra.bus.send("agent:athena", {"text": "hello"}, message_id=sent.message_id)
        self.assertEqual((sent.copies, sent.duplicate, again.duplicate), (1, False, True))
        athena = self.client("athena")
        with athena.bus.inbox() as inbox, next(inbox) as message:
            self.assertEqual((message.id, message.source, message.type, message.payload, message.metadata),
                             (sent.message_id, "agent:kasra", "greeting", {"text": "hello"}, {"n": 1}))
            message.reply({"text": "hello yourself"})
        with kasra.bus.inbox() as inbox, next(inbox) as reply:
            self.assertEqual((reply.in_reply_to, reply.payload), (sent.message_id, {"text": "hello yourself"}))

    def test_what_is_given_back_comes_again_and_ends_as_a_dead_letter(self):
        kasra, athena = self.client(), self.client("athena")
        sent = kasra.bus.send("agent:athena", "poison")
        inbox = athena.bus.inbox()
        for attempt in range(1, 5):
            message = inbox.get(30)
            self.assertEqual((message.id, message.attempt), (sent.message_id, attempt))
            message.nack(f"try {attempt}", delay_s=0)
        end = time.monotonic() + 10
        while not (dead := athena.bus.dead_list()["dead_letters"]):
            self.assertLess(time.monotonic(), end)
        self.assertEqual((dead[0]["message"]["id"], dead[0]["attempts"]), (sent.message_id, 4))
        self.assertEqual(dead[0]["reason"], "try 4")
        self.assertEqual(athena.bus.dead_get(dead[0]["dead_id"])["message"]["payload"], "poison")
        self.assertEqual(athena.bus.dead_replay(ids=[dead[0]["dead_id"]])["replayed"], 1)
        with inbox.get(10) as message:
            self.assertEqual((message.id, message.attempt), (sent.message_id, 1))
        self.assertEqual(athena.bus.dead_list()["count"], 0)
        kasra.bus.send("agent:athena", "worse")
        inbox.get(10).nack("nobody can read this", dead=True)
        while not (dead := athena.bus.dead_list()["dead_letters"]):
            self.assertLess(time.monotonic(), end)
        self.assertEqual((dead[0]["reason"], dead[0]["attempts"]), ("nobody can read this", 1))
        self.assertEqual(athena.bus.dead_drop(ids=[dead[0]["dead_id"]])["dropped"], 1)

    def test_a_long_handler_keeps_its_message(self):
        kasra, athena = self.client(), self.client("athena")
        kasra.bus.send("agent:athena", "slow")
        inbox = athena.bus.inbox(ack_s=1)
        with inbox.get(10) as message:
            self.assertIsNone(inbox.get(3.5))
            self.assertEqual(message.attempt, 1)
        self.assertIsNone(inbox.get(0.5))

    def test_squad_mail_reaches_each_member(self):
        kasra, athena = self.client(), self.client("athena")
        athena.bus.join("squad:legs")
        self.assertEqual(athena.bus.members("squad:legs")["members"], ["agent:athena"])
        self.assertEqual(kasra.bus.send("squad:legs", "all of you").copies, 1)
        with athena.bus.inbox() as inbox, inbox.get(10) as message:
            self.assertEqual((message.target, message.payload), ("squad:legs", "all of you"))
        athena.bus.leave("squad:legs")
        with self.assertRaises(mumega.NotFoundError) as caught:
            kasra.bus.send("squad:legs", "nobody?")
        self.assertEqual(caught.exception.word, "squad_empty")

    def test_working_memory_and_presence(self):
        kasra = self.client()
        kasra.bus.memory_push({"thought": 1})
        self.assertEqual(kasra.bus.memory_recall(limit=1)["items"][0]["item"], {"thought": 1})
        peers = {peer["identity"]: peer["online"] for peer in kasra.bus.peers()["peers"]}
        self.assertTrue(peers["agent:kasra"])
        kasra.bus.send("user:nobody", "kept")
        boxes = {box["agent_id"]: box["waiting"] for box in kasra.bus.mailboxes()["mailboxes"]}
        self.assertEqual(boxes["user:nobody"], 1)

    # ---- channels

    def test_a_channel_gives_what_was_said_before_and_after(self):
        kasra, athena = self.client(), self.client("athena")
        for number in range(3):
            kasra.bus.publish("squad:talk", number)
        subscription = athena.bus.subscribe("squad:talk", after=0)
        pattern = athena.bus.subscribe("squad:t*")
        last = kasra.bus.publish("squad:talk", 3, type="news")
        events = [subscription.get(10) for _ in range(4)]
        self.assertEqual([event.payload for event in events], [0, 1, 2, 3])
        self.assertEqual((events[3].seq, events[3].type, events[3].source), (last.seq, "news", "agent:kasra"))
        self.assertEqual(pattern.get(10).payload, 3)
        history = kasra.bus.history("squad:talk", after=events[1].seq)
        self.assertEqual([event["payload"] for event in history["events"]], [2, 3])
        self.assertIn("squad:talk", [row["channel"] for row in kasra.bus.channels()["channels"]])

    def test_the_tap_shows_headers_and_needs_a_right(self):
        kasra = self.client()
        with self.assertRaises(mumega.MumegaError):
            next(kasra.bus.tap())
        with kasra.bus.tap(type="memory_stats", capability=self.token("bus:tap", "bus:*")) as tap:
            seen = []
            while {record["kind"] for record in seen} != {"request", "reply"}:
                self.client("athena").memory.stats()
                record = tap.get(0.2)
                while record:
                    seen.append(record)
                    record = tap.get(0.2)
        requests = [record for record in seen if record["kind"] == "request"]
        self.assertEqual({record["source"] for record in requests}, {"agent:athena"})
        self.assertFalse([record for record in seen if "payload" in record])

    # ---- who does not get in

    def refused(self, kind, **changes):
        with self.assertRaises(kind) as caught:
            MumegaClient({**self.swarm.connection("agent:kasra"), **changes}, connect_timeout=3)
        text = str(caught.exception)
        self.assertNotIn(self.swarm.connection("agent:kasra")["curve_secret_key"], text)
        return caught.exception

    def test_a_key_that_the_swarm_does_not_know(self):
        public, secret = (key.decode() for key in zmq.curve_keypair())
        error = self.refused(mumega.KeyRefusedError, curve_public_key=public, curve_secret_key=secret)
        self.assertIn("refused the key of agent:kasra", error.message)

    def test_a_public_key_without_its_secret(self):
        self.refused(mumega.HandshakeError, curve_secret_key=zmq.curve_keypair()[1].decode())

    def test_a_broker_that_is_not_the_one(self):
        self.refused(mumega.HandshakeError, broker_public_key=zmq.curve_keypair()[0].decode())

    def test_a_stolen_name(self):
        athena = self.swarm.connection("agent:athena")
        error = self.refused(mumega.ForbiddenError, curve_public_key=athena["curve_public_key"],
                             curve_secret_key=athena["curve_secret_key"])
        self.assertEqual(error.word, "source_forged")

    def test_a_revoked_key(self):
        self.swarm.run("agent", "new", "eve")
        eve = self.client("eve")
        inbox = eve.bus.inbox()
        token = self.token("agent:terminate", "agent:eve")
        self.client().identity.revoke("agent:eve", capability=token)
        with self.assertRaises(mumega.KeyRefusedError):
            next(inbox)
        with self.assertRaises(mumega.KeyRefusedError):
            eve.memory.stats()
        with self.assertRaises(mumega.KeyRefusedError):
            MumegaClient(agent="eve", home=self.swarm.home)

    # ---- over HTTP

    def test_mail_and_channels_over_http(self):
        kasra, athena = self.http(), self.http("athena")
        subscription = athena.bus.subscribe("squad:http")
        event = kasra.bus.publish("squad:http", {"n": 1})
        got = subscription.get(10)
        self.assertEqual((got.seq, got.payload), (event.seq, {"n": 1}))
        sent = kasra.bus.send("agent:athena", {"text": "by post"}, deliver_at=time.time())
        with athena.bus.inbox() as inbox, inbox.get(15) as message:
            self.assertEqual((message.id, message.source, message.payload),
                             (sent.message_id, "agent:kasra", {"text": "by post"}))
        self.assertTrue(kasra.bus.peers()["peers"])

    def test_asyncio(self):
        async def talk():
            async with AsyncMumegaClient(agent="kasra", home=self.swarm.home) as kasra, \
                    AsyncMumegaClient(agent="athena", home=self.swarm.home) as athena:
                await asyncio.gather(*(kasra.bus.send("agent:athena", number) for number in range(50)))
                got = []
                async with athena.bus.inbox() as inbox:
                    while len(got) < 50:
                        async with await inbox.get(10) as message:
                            got.append(message.payload)
                self.assertEqual(sorted(got), list(range(50)))
                stream = kasra.chat.stream("Hello.")
                self.assertTrue([chunk async for chunk in stream])

        asyncio.run(talk())


class Losses(unittest.TestCase):
    def test_nothing_is_lost_or_handled_twice_while_the_broker_is_killed(self):
        count, kills = (300, 1) if QUICK else (3000, 4)
        with swarms.Swarm() as swarm:
            for name in ("kasra", "athena"):
                swarm.run("agent", "new", name)
            handled, events = [], []
            with MumegaClient(agent="kasra", home=swarm.home) as kasra, \
                    MumegaClient(agent="athena", home=swarm.home) as athena:
                subscription = athena.bus.subscribe("squad:x")
                inbox = athena.bus.inbox(window=64)

                def take():
                    while len(set(handled)) < count:
                        message = inbox.get(60)
                        if message is None:
                            return
                        handled.append(message.payload)
                        message.ack()

                taker = threading.Thread(target=take)
                taker.start()
                futures = []
                for number in range(count):
                    futures.append(kasra.bus.submit("agent:athena", number, timeout=60))
                    if number % (count // kills) == count // kills // 2:
                        futures[-1].result(60)
                        swarm.kill("broker")
                for future in futures:
                    self.assertFalse(future.result(60).duplicate)
                taker.join(120)
                self.assertFalse(taker.is_alive())
                self.assertEqual(sorted(handled), list(range(count)))
                while not events:
                    kasra.bus.publish("squad:x", "still here", timeout=30)
                    event = subscription.get(1)
                    if event:
                        events.append(event)
                self.assertIsNone(inbox.get(5))


class Examples(unittest.TestCase):
    def test_the_examples_run(self):
        with swarms.Swarm() as swarm:
            for name in ("kasra", "athena"):
                swarm.run("agent", "new", name)
            environment = {**swarm.environment, "SOS_HOME": swarm.home, "PYTHONPATH": str(ROOT / "sdk" / "python"),
                           "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1"}

            def start(name, *arguments):
                process = subprocess.Popen(["/usr/bin/python3", str(ROOT / "sdk" / "python" / "examples" / name), *arguments],
                                           env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
                self.addCleanup(process.stdout.close)
                self.addCleanup(process.wait)
                self.addCleanup(process.kill)
                return process

            for http in ("", f"http://127.0.0.1:{swarm.ports['unified']}"):
                environment.update({"SOS_HTTP": http} if http else {})
                said = start("chat.py", "kasra").communicate("Hello.\nAnd again.\n", timeout=30)[0]
                self.assertGreaterEqual(len(said.splitlines()), 2)
            watcher, worker = start("watch.py", "athena", "squad:*"), start("worker.py", "athena")
            with MumegaClient(agent="kasra", home=swarm.home) as kasra:
                sent = [kasra.bus.send("agent:athena", number) for number in range(20)]
                with kasra.bus.inbox() as inbox:
                    answers = [inbox.get(20) for _ in sent]
                    for answer in answers:
                        answer.ack()
                self.assertEqual({answer.in_reply_to for answer in answers}, {message.message_id for message in sent})
                while not select.select([watcher.stdout], [], [], 0.2)[0]:
                    kasra.bus.publish("squad:x", "seen?")
                self.assertIn("squad:x agent:kasra message: seen?", watcher.stdout.readline())
            for process in (watcher, worker):
                process.stdin.close()


class Packaging(unittest.TestCase):
    def test_it_installs_from_its_folder_without_a_network(self):
        with tempfile.TemporaryDirectory(prefix="sos-pip-") as folder:
            copy = pathlib.Path(folder, "python")
            subprocess.run(["cp", "-r", str(ROOT / "sdk" / "python"), str(copy)], check=True)
            venv = pathlib.Path(folder, "venv")
            subprocess.run(["/usr/bin/python3", "-m", "venv", "--system-site-packages", str(venv)], check=True)
            subprocess.run([str(venv / "bin" / "pip"), "install", "--quiet", "--no-index", "--no-build-isolation",
                            "--no-deps", str(copy)], check=True, capture_output=True)
            done = subprocess.run([str(venv / "bin" / "python"), "-c", "import mumega; print(mumega.__file__)"],
                                  check=True, capture_output=True, text=True, cwd=folder,
                                  env={"PATH": "/usr/bin:/bin"})
            self.assertIn(str(venv), done.stdout)
            self.assertTrue(pathlib.Path(done.stdout.strip()).with_name("py.typed").exists())


class Tutorial(unittest.TestCase):
    """Runs the commands of docs/tutorials/two-agents.md with the programs that stand in it."""

    def setUp(self):
        self.text = TUTORIAL.read_text(encoding="utf-8")
        start = self.text.index("## In Python")
        end = self.text.find("\n## ", start + 1)
        self.part = self.text[:self.text.index("\n## In C")] + self.text[start:end] \
            if "\n## In C" in self.text[:start] else self.text[:end]

    def blocks(self, info):
        """[(info words, text)] of the fenced blocks whose info string begins so."""
        found = re.findall(r"^```([^\n]*)\n(.*?)^```$", self.part, re.MULTILINE | re.DOTALL)
        return [(words.split(), text) for words, text in found if words.split()[:1] == [info]]

    def test_the_programs_in_the_text_are_the_files(self):
        programs = self.blocks("python")
        self.assertEqual(len(programs), 2)
        for words, text in programs:
            file = (ROOT / words[1]).read_text(encoding="utf-8")
            self.assertEqual(text, file.split("\n", 1)[1], f"{words[1]} without its first line")
            self.assertLessEqual(len(text.strip().splitlines()), 12)

    def test_the_commands_do_what_the_text_says(self):
        with tempfile.TemporaryDirectory(prefix="sos-tutorial-") as folder, swarms.Swarm.home_only() as swarm:
            os.symlink(swarms.BINARY, os.path.join(folder, "sos"))
            os.makedirs(os.path.join(swarm.home, "config"), exist_ok=True)
            pathlib.Path(swarm.home, "config", "sos.json").write_text('{"ports": "auto"}')
            environment = {**swarm.environment, "SOS_HOME": swarm.home, "PATH": f"{folder}:/usr/bin:/bin",
                           "PYTHONDONTWRITEBYTECODE": "1"}
            running = []
            try:
                for words, text in self.blocks("console"):
                    self.run_block(text, "stays" in words, environment, running)
                for process, lines, expected in running:
                    self.await_lines(lines, expected, process.args)
                [(_, shown)] = [(words, text) for words, text in self.blocks("text") if "tap" in words]
                tapped = next(lines for process, lines, _ in running if "tap" in process.args)
                for line in shown.splitlines():  # acks cross each other
                    self.await_lines(tapped, [self.tap_pattern(line)], "sos tap")
            finally:
                for process, lines, _ in running:
                    process.send_signal(signal.SIGINT)
                for process, lines, _ in running:
                    try:
                        process.wait(10)
                    except subprocess.TimeoutExpired:
                        process.kill()
                        process.wait()
                subprocess.run(["sos", "down"], env=environment, capture_output=True, check=False)

    def run_block(self, text, stays, environment, running):
        commands = re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]
        for index, part in enumerate(commands):
            command, *expected = part.rstrip("\n").split("\n")
            patterns = [self.pattern(line) for line in expected]
            words = shlex.split(command)
            own = dict(environment)
            while "=" in words[0]:
                name, value = words.pop(0).split("=", 1)
                own[name] = value
            if stays and index == len(commands) - 1:
                process = subprocess.Popen(words, cwd=ROOT, env=own, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                           stderr=subprocess.STDOUT, text=True)
                lines = []
                threading.Thread(target=lambda: (lines.extend(iter(process.stdout.readline, "")),
                                                 process.stdout.close()), daemon=True).start()
                running.append((process, lines, patterns))
                if expected:  # its first line, or all that can come by now
                    self.await_lines(lines, patterns[:1], words)
                else:
                    time.sleep(1)  # the tap says nothing until something passes
            else:
                done = subprocess.run(words, cwd=ROOT, env=own, capture_output=True, text=True, timeout=60, check=False)
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
                self.await_lines(done.stdout.splitlines(), patterns, words, 0)

    @staticmethod
    def pattern(line):
        """… stands for anything."""
        return ".*".join(re.escape(part) for part in line.split("…"))

    @staticmethod
    def tap_pattern(line):
        """Of a line of the tap only who, to whom and what: times, sizes and strokes differ."""
        words = re.findall(r"(?:agent|squad|service):\S+|(?<=\s)[a-z]+(?=\s)", line)
        return ".*".join(re.escape(word) for word in words)

    def await_lines(self, lines, patterns, command, timeout_s=30):
        """Every pattern is found, in order."""
        end = time.monotonic() + timeout_s
        while True:
            left = list(patterns)
            for line in list(lines):
                if left and re.search(left[0], line):
                    left.pop(0)
            if not left:
                return
            if time.monotonic() > end:
                self.fail(f"{command}: no line {left[0]!r} in\n" + "\n".join(line.rstrip("\n") for line in lines))
            time.sleep(0.05)


if __name__ == "__main__":
    unittest.main()
