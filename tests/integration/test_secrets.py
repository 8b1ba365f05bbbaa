# SPDX-License-Identifier: Apache-2.0
"""Secrets in a real swarm: kept, shown, used by the engine, and nowhere to be found in plain form."""

import json
import os
import pathlib
import pty
import subprocess
import time
import unittest

import tokens
from openai_server import OpenAiServer
from swarm import BINARY, Swarm

VALUE = "sk-live-2f6b1d9c0a7e4853"
OTHER = "sk-live-77c0ffee12345678"
MODEL = "test-model"


def files_with(home, text):
    """Every file below the home that holds these bytes."""
    needle = text.encode()
    return [str(path) for path in pathlib.Path(home).rglob("*")
            if path.is_file() and needle in path.read_bytes()]


def set_secret(swarm, name, value, **options):
    return swarm.run("secret", "set", name, input=value, **options)


def at_terminal(swarm, arguments, answers):
    """What a terminal of its own shows of a command whose prompts are answered so; and its exit code."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(BINARY, swarm.arguments(*arguments), swarm.environment)
    shown = b""
    try:
        for answer in answers:
            asked = len(shown)
            while b": " not in shown[asked:]:
                shown += os.read(terminal, 1024)
            os.write(terminal, answer)
        while chunk := os.read(terminal, 1024):
            shown += chunk
    except OSError:
        pass  # the other end is closed
    finally:
        os.close(terminal)
    return shown.decode(), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


class Secrets(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.swarm = Swarm("log_level=debug")
        cls.swarm.__enter__()

    @classmethod
    def tearDownClass(cls):
        cls.swarm.__exit__(None, None, None)

    def get(self, name, **options):
        return self.swarm.run("secret", "get", name, **options)

    def test_a_secret_is_kept_listed_shown_and_forgotten(self):
        self.assertIn("kept", set_secret(self.swarm, "openai", VALUE + "\n").stdout)
        self.assertEqual(self.get("openai").stdout, VALUE)
        self.assertIn("replaced", set_secret(self.swarm, "openai", OTHER).stdout)
        self.assertEqual(self.get("openai").stdout, OTHER)
        listed = self.swarm.run("secret", "list").stdout
        self.assertIn("openai", listed)
        self.assertNotIn(OTHER, listed)
        self.assertIn("openai", [row["name"] for row in json.loads(self.swarm.run("--json", "secret", "list").stdout)])
        self.swarm.run("secret", "rm", "openai")
        done = self.get("openai", check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("there is no secret openai", done.stderr)

    def test_the_command_line_takes_no_value_and_no_bad_name(self):
        for arguments in (("set", "a", "value"), ("set",), ("set", "A"), ("set", "a/b"), ("get",), ("list", "x"),
                          ("drop", "a")):
            with self.subTest(arguments):
                self.assertEqual(self.swarm.run("secret", *arguments, check=False, input="v").returncode, 2)
        self.assertEqual(self.swarm.run("secret", "set", "a", check=False, input="x" * 16385).returncode, 1)
        self.assertEqual(self.swarm.run("secret", "set", "a", check=False, input="").returncode, 1)
        self.swarm.run("secret", "set", "large", input="x" * 16384 + "\n")
        self.assertEqual(self.get("large").stdout, "x" * 16384)

    def test_a_terminal_does_not_show_what_is_typed(self):
        shown, code = at_terminal(self.swarm, ("secret", "set", "typed"), [b"wrongX\x7f\x15" + VALUE.encode() + b"\r"])
        self.assertEqual((code, "kept" in shown), (0, True), shown)
        self.assertNotIn("sk-live", shown)
        self.assertNotIn("wrong", shown)
        self.assertEqual(self.get("typed").stdout, VALUE)
        shown, code = at_terminal(self.swarm, ("secret", "set", "typed"), [b"other\x03"])
        self.assertEqual((code, "cancelled" in shown), (1, True), shown)
        self.assertEqual(self.get("typed").stdout, VALUE)

    def test_nothing_in_the_home_holds_the_value(self):
        set_secret(self.swarm, "hidden", VALUE)
        self.assertEqual(self.get("hidden").stdout, VALUE)
        self.assertEqual(files_with(self.swarm.home, VALUE), [])
        self.assertTrue(files_with(self.swarm.home, '"event":"secret.accessed"'))
        self.assertIn('"resource":"secret:hidden"', pathlib.Path(
            self.swarm.home, "data", "audit", "identity.jsonl").read_text(encoding="utf-8"))
        self.assertEqual(os.stat(os.path.join(self.swarm.home, "secrets", "master.key")).st_mode & 0o777, 0o600)

    def test_the_tap_shows_no_value(self):
        recording = os.path.join(self.swarm.home, "tap.recording")
        tap = subprocess.Popen(self.swarm.arguments("tap", "--payload", "--record", recording, "--type", "secret_*",
                                                    "--count", "4"),
                               env=self.swarm.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            deadline = time.monotonic() + 20
            while tap.poll() is None and time.monotonic() < deadline:
                set_secret(self.swarm, "tapped", VALUE)
                self.get("tapped")
            seen = tap.communicate(timeout=20)[0]
        finally:
            if tap.poll() is None:
                tap.kill()
                tap.communicate()
        self.assertIn("[redacted]", seen + pathlib.Path(recording).read_text(encoding="utf-8", errors="replace"))
        self.assertNotIn(VALUE, seen)
        self.assertEqual(files_with(self.swarm.home, VALUE), [])
        os.unlink(recording)

    def test_http_has_no_door_to_secrets(self):
        for method, path in (("GET", "/secrets"), ("POST", "/secret/get"), ("GET", "/secret/hidden")):
            self.assertEqual(self.swarm.http(method, "identity", path).status, 404)

    def test_an_agent_needs_the_right_to_that_very_secret(self):
        set_secret(self.swarm, "mine", VALUE)
        set_secret(self.swarm, "other", OTHER)
        self.swarm.connection("agent:reader")
        self.assertIn("capability", self.get("mine", check=False).stderr + self.swarm.run(
            "secret", "get", "mine", "--as", "reader", check=False).stderr)
        path = os.path.join(self.swarm.home, "reader.cap")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(tokens.make(tokens.river_key(self.swarm.home), "agent:reader", "secret:read", "secret:mine"), file)
        done = self.swarm.run("secret", "get", "mine", "--as", "reader", "--cap", path)
        self.assertEqual(done.stdout, VALUE)
        for command in (("get", "other"), ("list",), ("rm", "mine"), ("set", "mine")):
            with self.subTest(command):
                done = self.swarm.run("secret", *command, "--as", "reader", "--cap", path, check=False, input="x")
                self.assertEqual(done.returncode, 1)
                self.assertNotIn("sk-live", done.stdout + done.stderr)
        os.unlink(path)


class SecretsAfterHarm(unittest.TestCase):
    def test_what_was_acked_outlives_kill_9(self):
        with Swarm() as swarm:
            for i in range(5):
                set_secret(swarm, f"s{i}", f"{VALUE}-{i}")
                swarm.kill("identity")
                swarm.wait_healthy()
                self.assertEqual(swarm.run("secret", "get", f"s{i}").stdout, f"{VALUE}-{i}")
            set_secret(swarm, "last", VALUE)
            swarm.kill_all()
            swarm.up()
            self.assertEqual(swarm.run("secret", "get", "last").stdout, VALUE)
            self.assertEqual(files_with(swarm.home, VALUE), [])

    def test_without_its_key_file_nothing_opens_and_nothing_is_made_anew(self):
        with Swarm() as swarm:
            set_secret(swarm, "a", VALUE)
            key = os.path.join(swarm.home, "secrets", "master.key")
            os.rename(key, key + ".away")
            swarm.kill("identity")
            swarm.wait_healthy()
            done = swarm.run("secret", "get", "a", check=False)
            self.assertEqual(done.returncode, 1)
            self.assertIn("master.key is missing", done.stderr)
            self.assertFalse(os.path.exists(key))
            os.rename(key + ".away", key)
            self.assertEqual(swarm.run("secret", "get", "a").stdout, VALUE)

    def test_a_passphrase_seals_in_place_of_a_file(self):
        with Swarm(environment={"SOS_SECRETS_PASSPHRASE": "open sesame 4711"}) as swarm:
            set_secret(swarm, "a", VALUE)
            self.assertFalse(os.path.exists(os.path.join(swarm.home, "secrets", "master.key")))
            swarm.down()
            swarm.environment["SOS_SECRETS_PASSPHRASE"] = "open sesame 4712"
            swarm.up()
            done = swarm.run("secret", "get", "a", check=False)
            self.assertEqual((done.returncode, done.stdout), (1, ""))
            self.assertIn("not the one", done.stderr)
            swarm.down()
            swarm.environment["SOS_SECRETS_PASSPHRASE"] = "open sesame 4711"
            swarm.up()
            self.assertEqual(swarm.run("secret", "get", "a").stdout, VALUE)
            self.assertEqual(files_with(swarm.home, "sesame"), [])
            self.assertEqual(files_with(swarm.home, VALUE), [])

    def test_up_asks_for_the_passphrase(self):
        with Swarm.home_only() as swarm:
            up = ("up", "--detach", "--ask-passphrase")
            shown, code = at_terminal(swarm, up, [b"open sesame\r", b"open sesamE\r"])
            self.assertEqual((code, "differ" in shown), (1, True), shown)
            shown, code = at_terminal(swarm, up, [b"open sesame\r", b"open sesame\r"])
            self.assertEqual((code, "sesame" in shown), (0, False), shown)
            try:
                set_secret(swarm, "a", VALUE)
                self.assertEqual(swarm.run("secret", "get", "a").stdout, VALUE)
                self.assertFalse(os.path.exists(os.path.join(swarm.home, "secrets", "master.key")))
                self.assertEqual(files_with(swarm.home, "sesame"), [])
            finally:
                swarm.run("down")

    def test_a_passphrase_is_refused_on_the_command_line(self):
        done = subprocess.run([BINARY, "--set", "secrets.passphrase=open sesame", "version"],
                              capture_output=True, text=True, timeout=30)
        self.assertNotEqual(done.returncode, 0)
        self.assertNotIn("sesame", done.stdout + done.stderr)


class ProviderKey(unittest.TestCase):
    """openai.api_key=secret:openai"""

    def setUp(self):
        self.server = OpenAiServer()
        self.server.__enter__()
        self.addCleanup(self.server.__exit__, None, None, None)
        self.swarm = Swarm(f"openai.base_url={self.server.url}", f"openai.model={MODEL}", "log_level=debug",
                           "openai.api_key=secret:openai")
        self.swarm.__enter__()
        self.addCleanup(self.swarm.__exit__, None, None, None)

    def chat(self):
        return self.swarm.http("POST", "engine", "/chat",
                               {"message": "Why?", "agent_id": "agent:a", "model": MODEL, "memory_enabled": False},
                               timeout=40)

    def test_the_engine_uses_the_secret_and_says_when_it_has_none(self):
        answer = self.chat()
        self.assertEqual((answer.status, answer.json["detail"]), (503, "model_unavailable"), answer.body)
        self.assertIn("openai", answer.json["error"]["message"])
        self.assertEqual([m["status"] for m in self.swarm.http("GET", "engine", "/models").json if m["id"] == MODEL],
                         ["unavailable"])
        set_secret(self.swarm, "openai", VALUE)
        deadline = time.monotonic() + 40
        while (answer := self.chat()).status != 200 and time.monotonic() < deadline:
            pass
        self.assertEqual(answer.status, 200, answer.body)
        self.assertEqual(self.server.requests[-1]["headers"]["Authorization"], f"Bearer {VALUE}")
        self.assertEqual(files_with(self.swarm.home, VALUE), [])
        trail = pathlib.Path(self.swarm.home, "data", "audit", "identity.jsonl").read_text(encoding="utf-8")
        accessed = [json.loads(line) for line in trail.splitlines() if '"secret.accessed"' in line]
        self.assertEqual({(line["actor"], line["resource"]) for line in accessed},
                         {("service:engine", "secret:openai")})


if __name__ == "__main__":
    unittest.main()
