# SPDX-License-Identifier: Apache-2.0
"""The sos binary as people and scripts use it."""

import json
import os
import pathlib
import re
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import threading
import time
import unittest

import tokens
from swarm import BINARY, Swarm

COMMANDS = ("up", "down", "status", "logs", "call", "chat", "tap", "broker", "gateway", "actor", "key",
            "agent", "backup", "restore", "version", "send", "inbox", "pub", "sub", "channels", "history", "peers",
            "dlq", "bench")
PORT_SETTINGS = ("broker.port", "gateway.port", "gateway.engine_port", "gateway.memory_port",
                 "gateway.memory_port2", "gateway.economy_port", "gateway.tools_port",
                 "gateway.tools_port2", "gateway.identity_port", "gateway.voice_port")


def sos(*arguments, environment=None, timeout=30):
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SOS_")}
    return subprocess.run([BINARY, *arguments], capture_output=True, text=True, timeout=timeout,
                          stdin=subprocess.DEVNULL, env=clean | (environment or {}), check=False)


def processes_of(home):
    """Pids whose command line names the home."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if home.encode() in words and int(path.parent.name) != os.getpid():
            found.append(int(path.parent.name))
    return found


class Words(unittest.TestCase):
    """What needs no swarm."""

    def setUp(self):
        self.home = tempfile.mkdtemp(prefix="sos-test-")
        self.addCleanup(shutil.rmtree, self.home, ignore_errors=True)

    def test_help(self):
        done = sos("--help")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        for name in COMMANDS:
            self.assertRegex(done.stdout, rf"(?m)^  {name} ")
            one = sos(name, "--help")
            self.assertEqual((one.returncode, one.stderr), (0, ""), name)
            self.assertTrue(one.stdout.startswith(f"usage: sos {name}"), one.stdout)
        self.assertEqual(sos().returncode, 2)

    def test_version(self):
        text = sos("version").stdout.strip()
        self.assertRegex(text, r"^sos \d+\.\d+\.\d+")
        self.assertEqual(sos("--version").stdout.strip(), text)
        self.assertEqual("sos " + json.loads(sos("--json", "version").stdout)["version"], text)

    def test_global_options_stand_before_the_command_and_behind_it(self):
        before = sos("--home", self.home, "--json", "--set", "log_level=loud", "status")
        behind = sos("status", "--home", self.home, "--json", "--set", "log_level=loud")
        self.assertEqual((before.returncode, before.stderr), (behind.returncode, behind.stderr))
        self.assertIn("log_level", behind.stderr)
        self.assertIn(self.home, sos("status", f"--home={self.home}").stderr)
        for wrong in (("status", "--home"), ("status", "--set"), ("status", "--set", "x")):
            self.assertEqual(sos(*wrong).returncode, 2, wrong)

    def test_warnings_stay_out_of_results(self):
        done = sos("--home", self.home, "--json", "version", environment={"SOS_NO_SUCH_SETTING": "1"})
        self.assertEqual(set(json.loads(done.stdout)), {"version"})
        self.assertIn("SOS_NO_SUCH_SETTING", done.stderr)

    def test_what_is_not_known_is_said(self):
        for arguments, words in ((("explode",), "unknown command 'explode'"), (("statsu",), "status"),
                                 (("--frobnicate", "up"), "--frobnicate"), (("up", "--dance"), "--dance"),
                                 (("version", "x"), "x"), (("call", "nothing.there"), "nothing.there"),
                                 (("call", "memory.store", "colour=red"), "colour"),
                                 (("call", "memory.store", "agent_id=agent:a"), "content"),
                                 (("call", "memory.store", "content=x", "agent_id=agent:a", "importance=9"),
                                  "importance"),
                                 (("logs", "--lines", "x"), "--lines"), (("tap", "--count", "0"), "--count"),
                                 (("key", "steal"), "key"), (("status", "--url"), "--url")):
            with self.subTest(arguments=arguments):
                done = sos("--home", self.home, *arguments)
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertIn(words, done.stderr)
                self.assertEqual(done.stdout, "")

    def test_bad_settings_are_named(self):
        for assignment, words in (("nonsense", "KEY=VALUE"), ("gateway.port=x", "gateway.port"),
                                  ("gateway.port=70000", "gateway.port"), ("gateway.port=-1", "gateway.port"),
                                  ("require_capabilities=maybe", "require_capabilities"),
                                  ("gateway.idle_ms=1", "gateway.idle_ms"),
                                  ("gateway.bind=0.0.0.0", "gateway.allow_remote"),
                                  ("gateway.bind=nowhere", "gateway.bind")):
            with self.subTest(assignment):
                done = sos("--home", self.home, "--set", "ports=auto", "--set", assignment, "up")
                self.assertIn(done.returncode, (1, 2), done.stderr)
                self.assertIn(words, done.stderr)

    def test_a_bad_settings_file_is_named(self):
        os.makedirs(os.path.join(self.home, "config"))
        path = os.path.join(self.home, "config", "sos.json")
        for text, words in (('{"gateway":{"port":"x"}}', "gateway.port"), ("{", "sos.json"),
                            ('{"log_level":7}', "log_level"), ("[]", "sos.json")):
            pathlib.Path(path).write_text(text, encoding="utf-8")
            done = sos("--home", self.home, "--set", "ports=auto", "up")
            self.assertIn(done.returncode, (1, 2), done.stderr)
            self.assertIn(words, done.stderr)
            self.assertIn(path, done.stderr)

    def test_without_a_swarm(self):
        for arguments in (("status",), ("down",), ("call", "memory.stats"), ("chat", "hello"), ("tap",)):
            done = sos("--home", self.home, *arguments)
            self.assertEqual(done.returncode, 3, (arguments, done.stderr))
            self.assertIn(self.home, done.stderr)
        self.assertEqual(sos("--home", self.home, "logs").returncode, 1)

    def test_new_keys_are_secret(self):
        path = os.path.join(self.home, "a.key")
        done = sos("--home", self.home, "key", "new", "agent:a", path)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        made = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
        self.assertEqual(done.stdout.strip(), made["curve_public_key"])
        self.assertNotIn(made["curve_secret_key"], done.stdout + done.stderr)
        again = sos("--home", self.home, "key", "new", "agent:a", path)
        self.assertEqual(again.returncode, 1)
        self.assertEqual(json.loads(pathlib.Path(path).read_text(encoding="utf-8")), made)

    def test_operations_explain_themselves(self):
        listed = sos("call").stdout
        for operation in ("memory.store", "engine.chat", "identity.register", "bus.tap"):
            self.assertIn(operation, listed)
        text = sos("call", "memory.store", "--help").stdout
        self.assertIn("importance", text)
        self.assertIn("memory:write", text)
        self.assertGreater(len(json.loads(sos("--json", "call").stdout)), 10)


class Running(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.swarm = Swarm("log_level=debug")
        cls.swarm.__enter__()

    @classmethod
    def tearDownClass(cls):
        cls.swarm.__exit__(None, None, None)

    def test_a_second_up_says_so(self):
        done = self.swarm.run("up", check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("already running", done.stderr)
        self.assertIn(self.swarm.home, done.stderr)
        self.assertEqual(self.swarm.run("status").returncode, 0)

    def test_status(self):
        text = self.swarm.run("status").stdout
        for service in ("bus", "memory", "engine", "identity"):
            self.assertRegex(text, rf"(?m)^{service} +ok ")
        found = json.loads(self.swarm.run("--json", "status").stdout)
        self.assertEqual(found["pid"], self.swarm.process.pid)
        self.assertEqual(found["ports"], self.swarm.ports)
        self.assertEqual({row["status"] for row in found["services"]}, {"ok"})
        url = self.swarm.run("status", "--url", "engine").stdout.strip()
        self.assertEqual(url, f"http://127.0.0.1:{self.swarm.ports['engine']}")
        self.assertEqual(self.swarm.run("status", "--url", "nowhere", check=False).returncode, 2)

    def test_call(self):
        stored = json.loads(self.swarm.run("call", "memory.store", "agent_id=agent:cli", "content=Tea at five",
                                           "importance=0.8", 'metadata:={"a":[1]}').stdout)
        got = json.loads(self.swarm.run("call", "memory.get", f"id={stored['memory_id']}").stdout)
        self.assertEqual((got["content"], got["importance"], got["metadata"]),
                         ("Tea at five", 0.8, {"a": [1]}))
        missing = self.swarm.run("call", "memory.get", "id=01890a5d-ac96-774b-bcce-b302099a8057", check=False)
        self.assertEqual(missing.returncode, 1)
        self.assertIn("memory_not_found", missing.stderr + missing.stdout)
        as_json = self.swarm.run("--json", "call", "memory.get",
                                 "id=01890a5d-ac96-774b-bcce-b302099a8057", check=False)
        self.assertEqual(json.loads(as_json.stdout)["detail"], "memory_not_found")
        body = self.swarm.run("call", "memory.search", "--json-body",
                              '{"query":"tea","agent_id":"agent:cli"}').stdout
        self.assertIn("Tea at five", body)
        once = [json.loads(self.swarm.run("call", "memory.add", "content=x", "--idempotency-key", "k").stdout)
                for _ in range(2)]
        self.assertEqual(once[0], once[1])
        directory = json.loads(self.swarm.run("call", "bus.directory").stdout)
        self.assertEqual({row["service"] for row in directory["services"]} & {"memory", "engine", "identity"},
                         {"memory", "engine", "identity"})

    def test_chat(self):
        done = self.swarm.run("chat", "--agent", "agent:cli", "--model", "sos-mock-v1", "good", "morning")
        self.assertIn("good morning", done.stdout)
        talk = self.swarm.run("chat", "--model", "sos-mock-v1", input="first line\nsecond line\n")
        self.assertIn("first line", talk.stdout)
        self.assertIn("second line", talk.stdout)
        refused = self.swarm.run("chat", "--model", "nothing", "hello", check=False)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("nothing", refused.stderr)

    def test_tap(self):
        tap = subprocess.Popen(self.swarm.arguments("--json", "tap", "--type", "memory_query", "--count", "2"),
                               stdout=subprocess.PIPE, text=True, env=self.swarm.environment)
        stop = threading.Event()

        def ask():
            while not stop.wait(0.05):
                self.swarm.http("POST", "memory", "/search", {"query": "secret words", "agent_id": "agent:t"})

        asking = threading.Thread(target=ask)
        asking.start()
        try:
            out, _ = tap.communicate(timeout=20)
        finally:
            stop.set()
            asking.join()
            tap.kill()
        self.assertEqual(tap.returncode, 0)
        records = [json.loads(line) for line in out.splitlines()]
        self.assertEqual(len(records), 2)
        self.assertEqual(records[0]["type"], "memory_query")
        self.assertNotIn("secret words", out)

    def test_tap_ends_cleanly_at_ctrl_c(self):
        tap = subprocess.Popen(self.swarm.arguments("tap"), stdout=subprocess.PIPE, text=True,
                               env=self.swarm.environment)
        while not tap.stdout.readline():
            self.assertIsNone(tap.poll())
        tap.send_signal(signal.SIGINT)
        tap.stdout.close()
        self.assertEqual(tap.wait(10), 0)

    def test_agents_and_keys(self):
        done = self.swarm.run("agent", "new", "newcomer")
        path = os.path.join(self.swarm.home, "agents", "newcomer.json")
        self.assertIn(path, done.stdout)
        made = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
        self.assertEqual(made["identity"], "agent:newcomer")
        self.assertNotIn(made["curve_secret_key"], done.stdout + done.stderr)
        with self.swarm.peer("agent:newcomer") as peer:
            self.assertEqual(peer.call("service:bus", "health_check")["payload"]["status"], "ok")
        stored = self.swarm.run("call", "memory.store", "--as", path, "agent_id=agent:newcomer", "content=mine")
        self.assertIn("memory_id", stored.stdout)
        other = self.swarm.run("call", "memory.store", "--as", path, "agent_id=agent:cli", "content=not mine",
                               check=False)
        self.assertEqual(other.returncode, 1)
        self.assertIn("capability_subject_mismatch", other.stdout + other.stderr)
        again = self.swarm.run("agent", "new", "newcomer", check=False)
        self.assertNotEqual(again.returncode, 0)
        self.assertEqual(json.loads(pathlib.Path(path).read_text(encoding="utf-8")), made)
        for name in ("../evil", "a b", "", "x" * 300):
            self.assertNotEqual(self.swarm.run("agent", "new", name, check=False).returncode, 0, name)
        listed = self.swarm.run("key", "list").stdout
        for identity in ("service:gateway", "service:memory", "user:operator"):
            self.assertIn(identity, listed)

    def test_a_revoked_agent_is_cut_and_stays_out(self):
        self.swarm.run("agent", "new", "leaver")
        folder = tempfile.mkdtemp(prefix="sos-test-")
        self.addCleanup(shutil.rmtree, folder)
        capability = os.path.join(folder, "terminate.json")
        token = tokens.make(tokens.river_key(self.swarm.home), "agent:leaver", "agent:terminate", "agent:leaver")
        pathlib.Path(capability).write_text(json.dumps(token), encoding="utf-8")
        with self.swarm.peer("agent:leaver") as peer:
            refused = self.swarm.run("call", "identity.revoke", "agent_id=agent:leaver", check=False)
            self.assertEqual(refused.returncode, 1)
            self.assertIn("missing_capability", refused.stdout + refused.stderr)
            self.swarm.run("call", "identity.revoke", "agent_id=agent:leaver", "--cap", capability)
            with self.assertRaises(TimeoutError):
                peer.call("service:bus", "health_check", timeout_s=1)
        with self.assertRaises(TimeoutError):
            self.swarm.peer("agent:leaver")

    def test_logs(self):
        lines = self.swarm.run("logs", "--lines", "5").stdout.splitlines()
        self.assertEqual(len(lines), 5)
        for line in lines:
            self.assertLessEqual({"ts", "level", "service", "msg"}, set(json.loads(line)))
        for line in self.swarm.run("logs", "memory").stdout.splitlines():
            self.assertEqual(json.loads(line)["service"], "memory")
        follow = subprocess.Popen(self.swarm.arguments("logs", "-f", "--lines", "1"), stdout=subprocess.PIPE,
                                  text=True, env=self.swarm.environment)
        try:
            first = follow.stdout.readline()
            self.swarm.http("GET", "memory", "/nothing-of-note")  # an access line at level debug
            while "nothing-of-note" not in first:
                first = follow.stdout.readline()
        finally:
            follow.kill()
            follow.wait()
            follow.stdout.close()

    def test_secrets_have_narrow_modes_and_stay_out_of_logs(self):
        home = pathlib.Path(self.swarm.home)
        self.swarm.run("agent", "new", "quiet")
        for path in [home, *home.rglob("*")]:
            if path.is_symlink() or "data" in path.relative_to(home).parts[:1] and path.is_file():
                continue
            mode = stat.S_IMODE(path.stat().st_mode)
            self.assertEqual(mode & 0o077, 0, f"{path} has mode {mode:o}")
        for folder in ("secrets", "agents", "data", "config"):
            self.assertEqual(stat.S_IMODE((home / folder).stat().st_mode), 0o700, folder)
        self.assertEqual(stat.S_IMODE((home / "data" / "broker" / "keys.json").stat().st_mode), 0o600)
        log = self.swarm.log()
        secrets = 0
        for path in [*(home / "secrets").iterdir(), *(home / "agents").iterdir()]:
            for name, value in json.loads(path.read_text(encoding="utf-8")).items():
                if "secret" in name:
                    self.assertNotIn(value, log, f"{name} of {path.name} stands in the log")
                    secrets += 1
        self.assertGreater(secrets, 6)
        self.assertNotIn("ed25519:", log)


class Life(unittest.TestCase):
    """Swarms of their own, for each test one."""

    def assert_gone(self, swarm):
        self.assertEqual(processes_of(swarm.home), [])
        for lock in pathlib.Path(swarm.home, "data").rglob("LOCK"):
            taken = subprocess.run(["/usr/bin/python3", "-c", "import fcntl,sys; fcntl.lockf(open("
                                    "sys.argv[1],'r+'), fcntl.LOCK_EX | fcntl.LOCK_NB)", str(lock)],
                                   capture_output=True, check=False)
            self.assertEqual(taken.returncode, 0, f"{lock} is held")

    def test_sigterm_and_sigint_stop_cleanly(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            with Swarm() as swarm:
                swarm.http("POST", "memory", "/store", {"content": "x", "agent_id": "agent:a"})
                process, swarm.process = swarm.process, None
                process.send_signal(number)
                self.assertEqual(process.wait(30), 0)
                swarm.drain.wait()
                self.assert_gone(swarm)

    def test_down(self):
        with Swarm() as swarm:
            done = swarm.run("down")
            self.assertIn("stopped", done.stdout)
            self.assertEqual(swarm.process.wait(1), 0)
            self.assert_gone(swarm)
            self.assertEqual(swarm.run("down", check=False).returncode, 3)
            self.assertEqual(swarm.run("status", check=False).returncode, 3)

    def test_stopping_under_load_answers_what_was_taken(self):
        with Swarm() as swarm:
            acked, lost, stop = [], [], threading.Event()

            def write(number):
                sent = 0
                while not stop.is_set():
                    sent += 1
                    try:
                        answer = swarm.http("POST", "memory", "/store", {
                            "content": f"{number}-{sent}", "agent_id": f"agent:w{number}"})
                    except OSError:  # the door is closed
                        return
                    except Exception as wrong:  # pylint: disable=broad-except
                        lost.append(repr(wrong))
                        return
                    if answer.status == 200:
                        acked.append(answer.json["memory_id"])
                    else:
                        self.assertEqual(answer.status, 503)

            writers = [threading.Thread(target=write, args=(number,)) for number in range(8)]
            for writer in writers:
                writer.start()
            while len(acked) < 100:
                time.sleep(0.01)
            self.assertEqual(swarm.down(), 0)
            stop.set()
            for writer in writers:
                writer.join()
            self.assertEqual(lost, [])
            self.assert_gone(swarm)
            swarm.up()
            for memory_id in acked:
                self.assertEqual(swarm.http("GET", "memory", f"/memories/{memory_id}").status, 200)

    def test_single(self):
        with Swarm(up_arguments=["--single"]) as swarm:
            self.assertEqual(processes_of(swarm.home), [swarm.process.pid])
            self.assertEqual(swarm.run("status").returncode, 0)
            stored = swarm.http("POST", "memory", "/store", {"content": "one", "agent_id": "agent:a"}).json
            swarm.run("agent", "new", "guest")
            with swarm.peer("agent:guest") as guest:
                self.assertEqual(guest.call("service:bus", "health_check")["payload"]["status"], "ok")
            self.assertEqual(swarm.run("up", check=False).returncode, 1)
            swarm.process.kill()
            swarm.process.wait()
            swarm.drain.wait()
            swarm.up()
            path = f"/memories/{stored['memory_id']}"
            self.assertEqual(swarm.http("GET", "memory", path).json["content"], "one")
            self.assertEqual(swarm.down(), 0)
            self.assert_gone(swarm)

    def test_detach(self):
        with Swarm.home_only() as swarm:
            done = swarm.run("up", "--detach")
            try:
                self.assertIn("up and healthy", done.stdout)
                self.assertEqual(swarm.run("status").returncode, 0)
            finally:
                self.assertEqual(swarm.run("down", check=False).returncode, 0)
            self.assert_gone(swarm)
            with socket.socket() as taken:
                taken.bind(("127.0.0.1", 0))
                taken.listen()
                port = taken.getsockname()[1]
                swarm.settings = [f"{name}=0" for name in PORT_SETTINGS[1:]] + [f"broker.port={port}"]
                refused = swarm.run("up", "--detach", check=False)
                self.assertEqual(refused.returncode, 1)
                self.assertIn(str(port), refused.stderr)

    def test_a_port_in_use_names_port_and_setting(self):
        with socket.socket() as taken, Swarm.home_only() as swarm:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            for setting in ("broker.port", "gateway.engine_port", "gateway.port", "gateway.voice_port"):
                with self.subTest(setting):
                    swarm.settings = [f"{name}={port if name == setting else 0}" for name in PORT_SETTINGS]
                    done = swarm.run("up", check=False)
                    self.assertEqual(done.returncode, 1, done.stdout)
                    last = done.stderr.strip().splitlines()[-1]
                    self.assertIn(str(port), last)
                    self.assertIn(setting, last)
                    self.assert_gone(swarm)

    def test_a_part_that_dies_is_started_again(self):
        with Swarm() as swarm:
            before = swarm.pids()
            for part in ("memory", "gateway", "broker", "engine", "identity"):
                swarm.kill(part)
                swarm.wait_healthy()
                after = swarm.pids()
                self.assertNotEqual(after[part], before[part], part)
                before = after
            ports = dict(swarm.ports)
            with open(os.path.join(swarm.home, "run", "gateway.json"), encoding="utf-8") as file:
                self.assertEqual(json.load(file)["ports"], ports)
            self.assertEqual(swarm.http("GET", "memory", "/stats").status, 200)

    def test_a_key_file_that_others_can_read_is_refused(self):
        with Swarm() as swarm:
            path = os.path.join(swarm.home, "secrets", "memory.key")
            self.assertEqual(swarm.down(), 0)
            os.chmod(path, 0o644)
            done = swarm.run("up", check=False)
            self.assertEqual(done.returncode, 1)
            self.assertIn(path, done.stderr)


if __name__ == "__main__":
    unittest.main()
