# SPDX-License-Identifier: Apache-2.0
"""River: rights that are asked for, given, handed on, used up and taken back; with PyNaCl on the other side, over REST,
by the command line, and across kill -9."""

import json
import os
import tempfile
import threading
import time
import unittest

import tokens
from swarm import Swarm

AGENT = "agent:kasra"
OTHER = "agent:mizan"


class River(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.swarm = Swarm(environment={"SOS_REQUIRE_CAPABILITIES": "1"})
        cls.swarm.__enter__()
        cls.key = tokens.river_key(cls.swarm.home)
        cls.folder = tempfile.TemporaryDirectory(prefix="sos-river-")

    @classmethod
    def tearDownClass(cls):
        cls.swarm.__exit__(None, None, None)
        cls.folder.cleanup()

    def post(self, path, body, token=None):
        headers = {"X-SOS-Capability": tokens.base64url(token)} if token else None
        return self.swarm.http("POST", "identity", path, body, headers)

    def sos(self, *arguments, check=True):
        return self.swarm.run("cap", *arguments, check=check)

    def issue(self, *arguments, subject=AGENT, action="memory:read", resource=f"memory:{AGENT}/*"):
        return json.loads(self.sos("issue", subject, action, resource, *arguments).stdout)

    def keep(self, token):
        path = os.path.join(self.folder.name, token["id"])
        with open(path, "w", encoding="utf-8") as file:
            json.dump(token, file)
        return path

    def stats(self, token):
        return self.swarm.http("GET", "memory", f"/stats?agent_id={AGENT}", None,
                               {"X-SOS-Capability": tokens.base64url(token)})

    def assert_verdict(self, token, detail):
        answer = self.post("/capabilities/verify", {"token": token}).json
        self.assertEqual((answer["valid"], answer["detail"]), (detail is None, detail), answer)

    # ---- both sides sign alike

    CONSTRAINTS = {"max_results": 5, "note": "é \u2028 \U0001f600 \"\\\x7f", "nested": {"b": [1, 2.5, None], "a": True},
                   "tiny": 1e-7, "huge": 1e22, "whole": 3.0, "rate_limit": "100/minute"}

    def test_what_river_issues_verifies_in_python(self):
        token = self.issue("--constraints", json.dumps(self.CONSTRAINTS), "--uses", "3")
        self.assertEqual(token["constraints"], self.CONSTRAINTS)
        self.assertTrue(tokens.verifies(token, self.key.verify_key))
        child = self.post("/capabilities/delegate", {"parent": token, "subject": OTHER, "uses": 2}).json
        self.assertTrue(tokens.verifies(child, self.key.verify_key), child)
        self.assertEqual((child["parent_id"], child["uses_remaining"], child["constraints"]),
                         (token["id"], 2, self.CONSTRAINTS))

    def test_what_python_issues_verifies_here(self):
        parent = tokens.make(self.key, AGENT, "memory:read", "memory:**", constraints=self.CONSTRAINTS,
                             uses_remaining=3)
        self.assert_verdict(parent, None)
        given = self.issue("--constraints", json.dumps(self.CONSTRAINTS), "--uses", "3")
        child = tokens.make(self.key, AGENT, "memory:read", f"memory:{AGENT}/?*", expires_in=60,
                            constraints={**self.CONSTRAINTS, "max_results": 4}, uses_remaining=1,
                            parent_id=given["id"])
        self.assert_verdict(child, None)
        for name, change in {"uses_remaining": 4, "expires_at": tokens.stamp(86400), "action": "memory:write",
                             "resource": "*", "constraints": {}}.items():
            wide = tokens.make(self.key, **{"subject": AGENT, "action": "memory:read", "resource": child["resource"],
                                            "expires_in": 60, "constraints": self.CONSTRAINTS, "uses_remaining": 1,
                                            "parent_id": given["id"], name: change})
            self.assert_verdict(wide, "capability_widened")
        orphan = tokens.make(self.key, AGENT, "memory:read", "memory:**", parent_id="cap_000000000000")
        self.assert_verdict(orphan, "capability_parent_unknown")

    # ---- asking

    def ask(self, action, resource, agent=AGENT, **more):
        door = tokens.make(self.key, agent, "capability:request", agent)
        return self.post("/capabilities/request",
                         {"agent_id": agent, "action": action, "resource": resource, **more}, door)

    def test_the_policy_decides(self):
        given = self.ask("memory:read", f"memory:{AGENT}/*", expires_in=60)
        self.assertEqual(given.status, 200, given.body)
        self.assertTrue(tokens.verifies(given.json, self.key.verify_key))
        self.assertEqual(self.stats(given.json).status, 200)
        denied = self.ask("memory:read", f"memory:{OTHER}/*")
        self.assertEqual(denied.status, 200, denied.body)   # of others: an administrator decides
        denied = self.ask("memory:write", f"memory:{OTHER}/*")
        self.assertEqual((denied.status, denied.json["detail"]), (403, "policy_denied"))
        unasked = self.post("/capabilities/request", {"agent_id": AGENT, "action": "memory:read", "resource": "*"})
        self.assertEqual(unasked.status, 401)

    def test_what_is_dangerous_waits_for_an_administrator(self):
        waiting = self.ask("agent:terminate", OTHER, justification="it went wild").json
        self.assertEqual(waiting["status"], "pending")
        self.assertIn("it went wild", self.sos("approvals", "pending").stdout)
        number = waiting["approval_id"]
        self.assertEqual(self.post(f"/capabilities/approvals/{number}/approve", {}).status, 401)
        token = json.loads(self.sos("approve", number, "--reason", "seen").stdout)
        self.assertTrue(tokens.verifies(token, self.key.verify_key))
        fetched = json.loads(self.sos("fetch", number, AGENT).stdout)
        self.assertEqual(fetched["capability"], token)
        again = self.sos("deny", number, check=False)
        self.assertEqual(again.returncode, 1)
        self.assertIn("approved", again.stderr)

    def test_policies_are_shown(self):
        self.assertEqual(self.swarm.http("GET", "identity", "/policy").json["edition"], "business")
        self.assertFalse(self.swarm.http("GET", "identity", "/policy/kids").json["features"]["economy"])
        self.assertEqual(self.swarm.http("GET", "identity", "/policy/none").status, 404)

    # ---- using and taking back

    def test_a_right_is_used_up(self):
        token = self.issue("--uses", "2")
        self.assertEqual([self.stats(token).status for _ in range(3)], [200, 200, 403])
        self.assertEqual(self.stats(token).json["detail"], "capability_used_up")
        self.assertIn("used_up", self.sos("list", AGENT).stdout)

    def test_a_revoked_right_and_its_children_are_refused_at_once(self):
        parent = self.issue()
        child = json.loads(self.sos("delegate", self.keep(parent), AGENT, "--expires", "60s").stdout)
        self.assertEqual(self.stats(child).status, 200)
        self.assertEqual(self.sos("verify", self.keep(child)).stdout, "good\n")
        self.assertIn("2 revoked", self.sos("revoke", parent["id"], "--reason", "lost").stdout)
        for token in (parent, child):
            refused = self.stats(token)
            self.assertEqual((refused.status, refused.json["detail"]), (403, "capability_revoked"))
            self.assertEqual(self.sos("verify", self.keep(token), check=False).returncode, 1)

    def test_a_token_is_inspected_without_a_swarm(self):
        token = self.issue()
        told = json.loads(self.swarm.run("--json", "cap", "inspect", self.keep(token)).stdout)
        self.assertTrue(told["signed_by_this_home"])
        self.assertEqual(told["resource"], token["resource"])
        self.assertNotIn("signature", told)

    def test_wrong_command_lines_are_told(self):
        for arguments, words in {("issue", AGENT): "expected: sos cap issue", ("bless",): "expected: sos cap",
                                 ("list", "--uses", "3"): "--uses is no option",
                                 ("issue", AGENT, "a:b", "*", "--expires", "soon"): "expires"}.items():
            done = self.sos(*arguments, check=False)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn(words, done.stderr)


class Policies(unittest.TestCase):
    def test_a_changed_policy_comes_into_force_and_a_broken_one_does_not(self):
        with Swarm() as swarm:
            body = {"agent_id": AGENT, "action": "stars:count", "resource": "sky"}
            self.assertEqual(swarm.http("POST", "identity", "/capabilities/request", body).status, 403)
            folder = os.path.join(swarm.home, "config", "policies")
            os.makedirs(folder)
            path = os.path.join(folder, "business.json")

            def write(text):
                with open(path + ".new", "w", encoding="utf-8") as file:
                    file.write(text)
                os.rename(path + ".new", path)

            def wait(condition):
                end = time.monotonic() + 20
                while not condition():
                    self.assertLess(time.monotonic(), end)
                    time.sleep(0.1)

            write(json.dumps({"edition": "business", "rules": [
                {"action": "stars:*", "resource": "*", "effect": "allow"}]}))
            wait(lambda: swarm.http("POST", "identity", "/capabilities/request", body).status == 200)
            write("{")
            wait(lambda: "stays in force" in swarm.http("GET", "identity", "/health").body.decode())
            self.assertEqual(swarm.http("POST", "identity", "/capabilities/request", body).status, 200)

            def trail():
                with open(os.path.join(swarm.home, "data", "audit", "identity.jsonl"), encoding="utf-8") as file:
                    return [json.loads(line) for line in file if "policy.reloaded" in line]

            wait(trail)
            reloaded = trail()
            told = "".join(entry["detail"] for entry in reloaded)
            self.assertIn("-rule 3: approve agent:terminate on *;", told)
            self.assertIn("+rule 1: allow stars:* on *;", told)
            swarm.down()
            with self.assertRaises(AssertionError) as refused:
                swarm.up()
            self.assertIn("config/policies/business.json", str(refused.exception) + swarm.log())


class Kill(unittest.TestCase):
    """kill -9 of the identity service while rights are given and taken back."""

    ROUNDS = 4

    def test_no_acked_grant_is_lost_and_no_acked_revocation_forgotten(self):
        with Swarm() as swarm:
            key = tokens.river_key(swarm.home)
            granted, revoked, stop = {}, set(), threading.Event()

            def work():
                while not stop.is_set():
                    try:
                        given = swarm.http("POST", "identity", "/capabilities/request", {
                            "agent_id": AGENT, "action": "memory:read", "resource": f"memory:{AGENT}/*", "uses": 5})
                        if given.status != 200:
                            continue
                        child = swarm.http("POST", "identity", "/capabilities/delegate",
                                           {"parent": given.json, "subject": OTHER})
                        granted[given.json["id"]] = given.json
                        if child.status == 200:
                            granted[child.json["id"]] = child.json
                        if len(granted) % 3 == 0:
                            right = tokens.make(key, "user:x", "capability:revoke", "*")
                            done = swarm.http("POST", "identity", f"/capabilities/{given.json['id']}/revoke", {},
                                              {"X-SOS-Capability": tokens.base64url(right)})
                            if done.status == 200:
                                revoked.add(given.json["id"])
                            else:
                                granted.pop(given.json["id"])  # nobody knows
                                if child.status == 200:
                                    granted.pop(child.json["id"])
                    except OSError:
                        continue

            workers = [threading.Thread(target=work) for _ in range(3)]
            for worker in workers:
                worker.start()
            try:
                for _ in range(self.ROUNDS):
                    before = len(revoked)
                    end = time.monotonic() + 30
                    while len(revoked) < before + 3 and time.monotonic() < end:
                        time.sleep(0.02)
                    self.assertGreater(len(revoked), before)
                    swarm.kill("identity")
            finally:
                stop.set()
                for worker in workers:
                    worker.join()
            end = time.monotonic() + 30
            while swarm.http("GET", "identity", "/policy").status != 200:
                self.assertLess(time.monotonic(), end)
                time.sleep(0.1)
            for number, token in granted.items():
                verdict = swarm.http("POST", "identity", "/capabilities/verify", {"token": token}).json
                taken = number in revoked or token["parent_id"] in revoked
                self.assertEqual(verdict["valid"], not taken, verdict)
                self.assertEqual(verdict["capability"]["state"], "revoked" if taken else "issued")
            print(f"\n{len(granted)} rights given, {len(revoked)} taken back, identity killed {self.ROUNDS} times")


if __name__ == "__main__":
    unittest.main()
