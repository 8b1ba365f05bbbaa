# SPDX-License-Identifier: Apache-2.0
"""SOS_ENV=production: unsafe settings are refused, all at once; safe ones start, and capabilities hold there."""

import json
import os
import pathlib
import signal
import subprocess
import time
import unittest

import sos_wire
from swarm import BINARY, Swarm

FLAG_WRITE = 8
UNAVAILABLE = 1003
SLOW_S = 5  # a machine that has much else to do

PARTS = (("up",), ("up", "--detach"), ("up", "--single"), ("broker",), ("gateway",), ("actor", "memory"))


class Refusals(unittest.TestCase):
    def refused(self, swarm, *arguments):
        done = swarm.run(*arguments, check=False)
        self.assertEqual(done.returncode, 2, done.stdout + done.stderr)
        self.assertIn("env is production", done.stderr)
        return done.stderr

    def test_all_are_listed_at_once_each_with_its_fix(self):
        with Swarm.home_only("require_capabilities=false", "gateway.bind=0.0.0.0", "broker.bind=0.0.0.0",
                             "cors_origins=*") as swarm:
            swarm.environment["SOS_ENV"] = "production"
            secrets = pathlib.Path(swarm.home, "secrets")
            secrets.mkdir(mode=0o700)
            (secrets / "river.key").write_text("{}")
            (secrets / "river.key").chmod(0o644)
            config = pathlib.Path(swarm.home, "config")
            config.mkdir(mode=0o700)
            (config / "sos.json").write_text('{"services": {"x": {"api_key": "abcdefgh12345"}}}')
            text = self.refused(swarm, "up")
            for named in ("require_capabilities (from command line)", "gateway.bind", "broker.bind", "cors_origins",
                          "secrets/river.key: mode is 0644", "config/sos.json:1"):
                self.assertIn(named, text)
            self.assertIn("6 things are unsafe", text)
            self.assertEqual(text.count("fix: "), 6)
            self.assertNotIn("abcdefgh12345", text)
            self.assertFalse(os.path.exists(os.path.join(swarm.home, "run")), "nothing may have been started")

    def test_no_part_starts_alone_either(self):
        with Swarm.home_only("env=production", "cors_origins=*") as swarm:
            for arguments in PARTS:
                self.assertIn("cors_origins", self.refused(swarm, *arguments))

    def test_doors_open_to_others_need_the_word_of_a_tls_proxy(self):
        with Swarm.home_only("env=production", "gateway.bind=0.0.0.0", "gateway.allow_remote=true") as swarm:
            self.assertIn("gateway.tls_proxy", self.refused(swarm, "up"))

    def test_a_home_of_everybody(self):
        with Swarm.home_only("env=production") as swarm:
            os.chmod(swarm.home, 0o777)
            self.assertIn("mode is 0777", self.refused(swarm, "up"))

    def test_a_home_below_a_folder_of_everybody(self):
        with Swarm.home_only("env=production") as swarm:
            outer = swarm.home
            shared = os.path.join(outer, "shared")
            os.mkdir(shared)
            os.chmod(shared, 0o777)
            swarm.home = os.path.join(shared, "home")
            try:
                self.assertIn(shared, self.refused(swarm, "up"))
            finally:
                swarm.home = outer

    def test_a_link_to_a_home_below_a_folder_of_everybody(self):
        with Swarm.home_only("env=production") as swarm:
            outer = swarm.home
            shared = os.path.join(outer, "shared")
            os.makedirs(os.path.join(shared, "home"), mode=0o700)
            os.chmod(shared, 0o777)
            swarm.home = os.path.join(outer, "link")
            os.symlink(os.path.join(shared, "home"), swarm.home)
            try:
                self.assertIn(shared, self.refused(swarm, "up"))
            finally:
                swarm.home = outer

    def test_the_environment_cannot_be_misspelt_into_development(self):
        with Swarm.home_only() as swarm:
            for word in ("Production", "prod", "production ", ""):
                swarm.environment["SOS_ENV"] = word
                done = swarm.run("up", check=False)
                self.assertEqual(done.returncode, 2, word)
                self.assertIn("development production", done.stderr)

    def test_a_later_layer_may_not_switch_capabilities_off(self):
        with Swarm.home_only() as swarm:
            os.mkdir(os.path.join(swarm.home, "config"), 0o700)
            pathlib.Path(swarm.home, "config", "sos.json").write_text('{"env": "production"}')
            swarm.environment["SOS_REQUIRE_CAPABILITIES"] = "0"
            self.assertIn("require_capabilities (from SOS_REQUIRE_CAPABILITIES)", self.refused(swarm, "up"))

    def test_names_of_files_do_not_steer_the_terminal(self):
        with Swarm.home_only("env=production") as swarm:
            agents = pathlib.Path(swarm.home, "agents")
            agents.mkdir(mode=0o700)
            (agents / "a\033[2Jb.json").write_text("{}")
            (agents / "a\033[2Jb.json").chmod(0o644)
            self.assertNotIn("\033", self.refused(swarm, "up"))


class Development(unittest.TestCase):
    def test_the_same_only_warns(self):
        with Swarm.home_only("cors_origins=*") as swarm:
            process = subprocess.Popen(swarm.arguments("up"), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                       stderr=subprocess.STDOUT, text=True, env=swarm.environment)
            lines = []
            for line in process.stdout:
                lines.append(line)
                if "up and healthy" in line:
                    break
            process.send_signal(signal.SIGTERM)
            process.stdout.read()
            process.stdout.close()
            self.assertEqual(process.wait(60), 0, "".join(lines))
            warnings = [json.loads(line) for line in lines if line.startswith("{") and "cors_origins" in line]
            self.assertEqual([line["level"] for line in warnings], ["warn"])


class Safe(unittest.TestCase):
    def test_safe_settings_start_and_capabilities_are_required(self):
        with Swarm("env=production") as swarm:
            self.assertEqual(swarm.http("GET", "unified", "/health").status, 200)
            answer = swarm.http("POST", "memory", "/search", {"query": "x", "agent_id": "agent:a"})
            self.assertIn(answer.status, (401, 403), answer.body)
            self.assertEqual(swarm.run("doctor", check=False).returncode, 0)

    def test_safe_settings_start_in_one_process(self):
        with Swarm("env=production", up_arguments=["--single"]) as swarm:
            self.assertEqual(swarm.http("GET", "unified", "/health").status, 200)

    def test_it_asks_nothing_of_a_command_that_starts_nothing(self):
        with Swarm.home_only("env=production", "cors_origins=*") as swarm:
            self.assertEqual(swarm.run("version").returncode, 0)
            self.assertEqual(swarm.run("status", check=False).returncode, 3)


class Stopped(unittest.TestCase):
    """A service that is alive for the kernel and silent for the bus (SIGSTOP): who waits for it is answered."""

    # Three heartbeats of a second are missed before it counts as gone.
    SILENT_S = 3.0

    def ask(self, swarm, operation, payload, flags):
        """Seconds until the answer to a request that is sent as the service falls silent, and the answer."""
        pid = swarm.pids()["memory"]
        with swarm.peer("operator") as peer:
            peer.call("service:memory", "health_check")
            os.kill(pid, signal.SIGSTOP)
            try:
                started = time.monotonic()
                request = peer.send(sos_wire.REQUEST, payload, target="service:memory", type=operation, flags=flags,
                                    ttl_ms=30000)
                record = None
                while record is None or record["correlation"] != request:
                    self.assertLess(time.monotonic() - started, 35, "nobody answered")
                    record = peer.receive(0.5)
                    peer.send(sos_wire.HEARTBEAT)
                took = time.monotonic() - started
            finally:
                os.kill(pid, signal.SIGCONT)
        self.assertEqual((record["source"], record["kind"]), ("service:bus", sos_wire.REPLY), record)
        swarm.wait_healthy()
        return took, record

    def test_what_waits_for_a_stopped_service_is_answered(self):
        reads = ("memory_query", {"query": "x", "agent_id": "agent:a"}, sos_wire.FLAG_IDEMPOTENT)
        writes = ("memory_store", {"content": "x", "agent_id": "agent:a"}, FLAG_WRITE)
        for hold_ms in (5000, 200):
            # What may be done twice waits for another instance as long as broker.hold_ms says; the rest cannot.
            for (operation, payload, flags), held_s in ((reads, hold_ms / 1000), (writes, 0)):
                with self.subTest(operation, hold_ms=hold_ms), Swarm(f"broker.hold_ms={hold_ms}") as swarm:
                    took, record = self.ask(swarm, operation, payload, flags)
                    print(f"{operation} that waits for a stopped service is answered after {took:.2f} s "
                          f"(broker.hold_ms={hold_ms})")
                    self.assertEqual(record["status"], UNAVAILABLE, record)
                    self.assertEqual(record["payload"]["detail"], "service_unavailable")
                    self.assertGreater(took, held_s)
                    self.assertLess(took, self.SILENT_S + held_s + SLOW_S)


if __name__ == "__main__":
    if not os.access(BINARY, os.X_OK):
        raise SystemExit(f"no binary at {BINARY}")
    unittest.main()
