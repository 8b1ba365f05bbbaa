# SPDX-License-Identifier: Apache-2.0
"""What the edition's policy says of quotas and features reaches the services while the swarm runs."""

import json
import os
import pathlib
import time
import unittest

from swarm import Swarm

POLICIES = pathlib.Path(__file__).resolve().parents[2] / "deploy" / "policies"
AGENT = "agent:kasra"
SOON = 20  # seconds: the file is looked at every second, news told every five


class PolicyServices(unittest.TestCase):
    def setUp(self):
        self.swarm = Swarm.home_only()
        self.addCleanup(self.swarm.__exit__, None, None, None)
        self.write_policy(memories_max=2)
        self.swarm.up()

    def write_policy(self, persistent_memory=True, **quotas):
        policy = json.loads((POLICIES / "business.json").read_text(encoding="utf-8"))
        policy["features"]["persistent_memory"] = persistent_memory
        policy["quotas"].update(quotas)
        self.write_file(json.dumps(policy))

    def write_file(self, text):
        folder = pathlib.Path(self.swarm.home, "config", "policies")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "business.json.new").write_text(text, encoding="utf-8")
        os.replace(folder / "business.json.new", folder / "business.json")

    def await_that(self, what, is_so):
        end = time.monotonic() + SOON
        while not is_so():
            self.assertLess(time.monotonic(), end, f"{what}: not within {SOON} s\n{self.swarm.log()[-2000:]}")
            time.sleep(0.1)

    def bound(self):
        return self.swarm.http("GET", "memory", "/stats").json.get("memories_max")

    def store(self):
        return self.swarm.http("POST", "memory", "/store", {"content": "a thing", "agent_id": AGENT})

    def say(self):
        return self.swarm.http("POST", "engine", "/chat", {
            "message": "a long answer", "agent_id": AGENT, "model": "sos-mock-v1",
            "memory_enabled": False}).json["content"]

    def assert_refused(self, answer, status, code):
        self.assertEqual((answer.status, answer.json["detail"]), (status, code), answer.body)

    def test_a_changed_policy_reaches_memory_and_engine(self):
        self.await_that("the policy of the start", lambda: self.bound() == 2)
        self.assertEqual([self.store().status for _ in range(2)], [200, 200])
        self.assert_refused(self.store(), 429, "memory_full")
        self.assertEqual(self.say(), "a long answer")

        self.write_policy(memories_max=3, response_length_max=6)
        self.await_that("a raised bound", lambda: self.bound() == 3)
        self.assertEqual(self.store().status, 200)
        self.assert_refused(self.store(), 429, "memory_full")
        self.await_that("a shorter answer", lambda: self.say() == "a long")

        self.write_policy(memories_max=1)
        self.await_that("a lowered bound", lambda: self.bound() == 1)
        self.assert_refused(self.store(), 429, "memory_full")
        kept = self.swarm.http("GET", "memory", "/stats").json
        self.assertEqual(kept["memories"], 3, kept)
        self.await_that("the whole answer", lambda: self.say() == "a long answer")

        self.write_policy(persistent_memory=False, memories_max=100)
        self.await_that("no memory", lambda: self.bound() == 0)
        self.assert_refused(self.store(), 403, "memory_disabled")

        self.write_file("{")
        self.await_that("a broken file", lambda: "the policy before stays in force" in self.swarm.log())
        self.assert_refused(self.store(), 403, "memory_disabled")

    def test_what_is_in_force_survives_a_restart_of_the_service(self):
        self.await_that("the policy of the start", lambda: self.bound() == 2)
        self.assertEqual([self.store().status for _ in range(2)], [200, 200])
        before = self.swarm.pids()["memory"]
        self.swarm.kill("memory")
        self.await_that("another process", lambda: self.swarm.pids().get("memory", before) != before)
        self.await_that("the policy again", lambda: self.bound() == 2)
        self.assert_refused(self.store(), 429, "memory_full")


if __name__ == "__main__":
    unittest.main()
