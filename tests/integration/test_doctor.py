# SPDX-License-Identifier: Apache-2.0
"""sos doctor on real homes: fine ones, damaged ones, with the swarm up and down."""

import json
import os
import pathlib
import resource
import shutil
import socket
import subprocess
import unittest

from swarm import Swarm

# In two parts, so that nobody takes this file for one that holds secrets.
SECRET = "sk-" + "Abcdefghij0123456789klmnopqrst"


class DoctorCase(unittest.TestCase):
    def doctor(self, swarm, expected, *arguments):
        done = swarm.run("doctor", "--json", *arguments, check=False)
        self.assertEqual(done.returncode, expected, done.stdout + done.stderr)
        report = json.loads(done.stdout)
        self.assertEqual(report["content"], expected == 0)
        self.assertEqual(report["errors"], sum(row["severity"] == "error" for row in report["findings"]))
        for row in report["findings"]:
            self.assertTrue(row["fix"] or row["severity"] == "ok", row)
        return report

    def find(self, report, severity, check, where="", what=""):
        found = [row for row in report["findings"]
                 if row["severity"] == severity and row["check"] == check
                 and where in row["where"] and what in row["what"]]
        self.assertTrue(found, json.dumps(report["findings"], indent=1))
        return found[0]


class FreshHome(DoctorCase):
    def test_a_home_that_is_not_there_is_no_error_and_is_not_made(self):
        with Swarm.home_only() as swarm:
            os.rmdir(swarm.home)
            report = self.doctor(swarm, 0)
            self.find(report, "note", "keys", what="no home")
            self.assertFalse(os.path.exists(swarm.home))

    def test_an_empty_home_stays_empty(self):
        with Swarm.home_only() as swarm:
            self.doctor(swarm, 0)
            self.assertEqual(os.listdir(swarm.home), [])

    def test_every_check_reports_for_people_too(self):
        with Swarm.home_only() as swarm:
            report = self.doctor(swarm, 0)
            done = swarm.run("doctor")
            for check in {row["check"] for row in report["findings"]}:
                self.assertIn(check, done.stdout)
            self.assertRegex(done.stdout, r"0 errors, \d+ warnings?, \d+ notes?\n$")

    def test_an_argument_is_a_usage_error(self):
        with Swarm.home_only() as swarm:
            self.assertEqual(swarm.run("doctor", "now", check=False).returncode, 2)


class RunningSwarm(DoctorCase):
    def test_up_and_down_a_good_home_is_content(self):
        with Swarm() as swarm:
            report = self.doctor(swarm, 0)
            self.assertEqual(report["swarm_pid"], swarm.process.pid)
            self.find(report, "ok", "ports", what="all the swarm's")
            self.find(report, "ok", "keys")
            before = self.listing(swarm.home)
            self.doctor(swarm, 0)
            self.assertEqual(self.listing(swarm.home), before)
            swarm.down()
            report = self.doctor(swarm, 0)
            self.assertEqual(report["swarm_pid"], 0)

    @staticmethod
    def listing(home):
        """Files but those that a running swarm writes by itself."""
        return sorted(str(path) for path in pathlib.Path(home).rglob("*")
                      if not {"data", "logs"} & set(path.relative_to(home).parts))

    def test_a_part_that_is_gone_is_named(self):
        with Swarm() as swarm:
            ports = json.loads(pathlib.Path(swarm.home, "run", "gateway.json").read_text())
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                ports["ports"]["engine"] = free.getsockname()[1]
            pathlib.Path(swarm.home, "run", "gateway.json").write_text(json.dumps(ports))
            self.find(self.doctor(swarm, 1), "error", "ports", "gateway.engine_port", "nobody listens")


class Damage(DoctorCase):
    @classmethod
    def setUpClass(cls):
        with Swarm() as made:
            cls.made = made.home
            made.keep_home = True

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.made)

    def setUp(self):
        self.swarm = Swarm.home_only()
        self.addCleanup(self.swarm.__exit__)
        shutil.copytree(self.made, self.swarm.home, dirs_exist_ok=True, copy_function=shutil.copy)
        self.home = pathlib.Path(self.swarm.home)

    def write(self, relative, content, mode=0o600):
        path = self.home / relative
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.write_text(content)
        path.chmod(mode)

    def test_the_copy_itself_is_fine(self):
        self.doctor(self.swarm, 0)

    def test_modes(self):
        (self.home / "secrets" / "river.key").chmod(0o644)
        self.home.chmod(0o755)
        report = self.doctor(self.swarm, 1)
        self.assertIn("chmod 600", self.find(report, "error", "keys", "secrets/river.key", "0644")["fix"])
        self.find(report, "error", "keys", str(self.home), "0755")

    def test_a_damaged_key(self):
        self.write("secrets/memory.key", '{"identity": "' + SECRET)
        done = self.swarm.run("doctor", check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("secrets/memory.key", done.stdout)
        self.assertNotIn(SECRET, done.stdout + done.stderr)

    def test_a_damaged_key_table(self):
        self.write("data/broker/keys.json", "{")
        self.find(self.doctor(self.swarm, 1), "error", "keys", "data/broker/keys.json")

    def test_settings_that_are_no_json(self):
        self.write("config/sos.json", "{\n")
        self.find(self.doctor(self.swarm, 1), "error", "settings", what="sos.json")

    def test_settings_with_an_unknown_env(self):
        self.write("config/sos.json", '{"env": "prodution"}')
        self.find(self.doctor(self.swarm, 1), "error", "settings", what="prodution")

    def test_a_policy_that_is_no_json(self):
        self.write("config/policies/business.json", "{\"rules\": [")
        self.find(self.doctor(self.swarm, 1), "error", "policies", "business.json")

    def test_a_trail_that_was_altered(self):
        trail = self.home / "data" / "audit" / "bus.jsonl"
        with Swarm(home=str(self.home)) as swarm:
            swarm.run("tap", "--count", "1", "--all")
        self.doctor(self.swarm, 0)
        lines = trail.read_text().splitlines()
        self.write("data/audit/bus.jsonl", lines[0].replace("user:operator", "user:somebody") + "\n"
                   + "".join(line + "\n" for line in lines[1:]))
        self.find(self.doctor(self.swarm, 1), "error", "audit", "bus.jsonl:1")

    def test_secrets_are_found_and_never_printed(self):
        self.write("config/provider.json", json.dumps({"a": 1, "key": SECRET}, indent=1))
        self.write("plugins/p/files/tool.py", f"#!/usr/bin/python3\nKEY = '{SECRET}'\n")
        self.write("plugins/p/key.pem", "-----BEGIN " + "PRIVATE KEY-----\nMIIabc\n")
        report = self.doctor(self.swarm, 1)
        self.find(report, "error", "secrets", "config/provider.json:3", "OpenAI")
        self.find(report, "error", "secrets", "tool.py:2", "OpenAI")
        self.find(report, "error", "secrets", "key.pem:1", "private key")
        for arguments in (("doctor",), ("doctor", "--json")):
            done = self.swarm.run(*arguments, check=False)
            self.assertNotIn(SECRET, done.stdout + done.stderr)
            self.assertNotIn("MIIabc", done.stdout + done.stderr)

    def test_a_port_that_somebody_else_has(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            self.swarm.settings = [f"gateway.engine_port={taken.getsockname()[1]}"]
            row = self.find(self.doctor(self.swarm, 1), "error", "ports", "gateway.engine_port")
            self.assertIn(str(os.getpid()), row["what"])

    def test_an_address_of_another_host(self):
        self.swarm.settings = ["gateway.bind=192.0.2.1", "gateway.allow_remote=true"]
        self.find(self.doctor(self.swarm, 1), "error", "ports", "gateway.bind", "192.0.2.1")

    def test_a_limit_that_is_too_low(self):
        done = subprocess.run(
            self.swarm.arguments("doctor", "--json"), capture_output=True, text=True, env=self.swarm.environment,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (512, 1024)))
        row = self.find(json.loads(done.stdout), "warning", "limits", "broker.peers_max")
        self.assertIn("the hard limit is 1024 (soft 512)", row["what"])

    @unittest.skipIf(os.geteuid() == 0, "root may write everywhere")
    def test_a_home_that_cannot_be_written(self):
        self.home.chmod(0o500)
        try:
            self.find(self.doctor(self.swarm, 1), "error", "sync", what="cannot be made to last")
        finally:
            self.home.chmod(0o700)


if __name__ == "__main__":
    unittest.main()
