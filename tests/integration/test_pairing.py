# SPDX-License-Identifier: Apache-2.0
"""Pairing over HTTP: codes, approvals, the allowlist, and what a crash leaves."""

import pathlib
import unittest

import tokens
from swarm import Swarm

AGENT = "agent:kasra"
APPROVER = "user:ana"
CHANNEL = "telegram"
ALPHABET = set("23456789ABCDEFGHJKLMNPQRSTUVWXYZ")


def create(swarm, sender="12345", headers=None, **changes):
    return swarm.http("POST", "identity", "/pairing/create",
                      {"channel": CHANNEL, "sender_id": sender, "agent_id": AGENT, **changes}, headers)


def approve(swarm, code, headers=None, **changes):
    return swarm.http("POST", "identity", "/pairing/approve",
                      {"channel": CHANNEL, "code": code, "approver_id": APPROVER, **changes}, headers)


def allowlist(swarm, channel=CHANNEL, headers=None):
    return swarm.http("GET", "identity", f"/allowlist/{channel}", headers=headers)


def files_with(home, text):
    return [str(path) for path in pathlib.Path(home).rglob("*")
            if path.is_file() and text.encode() in path.read_bytes()]


class Pairing(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.swarm = Swarm("log_level=debug")
        cls.swarm.__enter__()
        cls.river = tokens.river_key(cls.swarm.home).verify_key

    @classmethod
    def tearDownClass(cls):
        cls.swarm.__exit__(None, None, None)

    def assert_refused(self, answer, status, word):
        self.assertEqual((answer.status, answer.json["detail"]), (status, word), answer.body)

    def test_the_whole_way(self):
        made = create(self.swarm, channel="whole-way").json
        self.assertEqual(set(made), {"code", "channel", "sender_id", "agent_id", "issued_at", "expires_at", "status"})
        self.assertEqual((len(made["code"]), set(made["code"]) <= ALPHABET, made["status"]), (8, True, "pending"))
        answer = approve(self.swarm, made["code"].lower(), channel="whole-way")
        self.assertEqual(answer.status, 200, answer.body)
        given = answer.json
        self.assertTrue(given["ok"])
        token = given["capability"]
        self.assertTrue(tokens.verifies(token, self.river))
        self.assertEqual((token["subject"], token["action"], token["resource"], token["issuer"]),
                         ("12345", "tool:execute", "channel:whole-way:sender:12345", "river"))
        entries = allowlist(self.swarm, "whole-way").json
        self.assertEqual([(e["sender_id"], e["agent_id"], e["approver_id"], e["capability_id"]) for e in entries],
                         [("12345", AGENT, APPROVER, token["id"])])
        self.assert_refused(approve(self.swarm, made["code"], channel="whole-way"), 400, "pairing_not_pending")
        self.assertEqual(files_with(self.swarm.home, made["code"]), [])

        path = "/allowlist/whole-way/12345"
        gone = self.swarm.http("DELETE", "identity", path)
        self.assertEqual((gone.status, gone.json["deleted"]), (200, True), gone.body)
        self.assertEqual(allowlist(self.swarm, "whole-way").json, [])
        self.assert_refused(self.swarm.http("DELETE", "identity", path), 404, "allowlist_entry_not_found")

    def test_wrong_codes_are_counted_and_close_their_channel(self):
        code = create(self.swarm, channel="closed").json["code"]
        for _ in range(5):
            self.assert_refused(approve(self.swarm, "22222222", channel="closed"), 400, "pairing_not_found")
        self.assert_refused(approve(self.swarm, code, channel="closed"), 429, "pairing_locked")
        self.swarm.kill("identity")
        self.swarm.wait_healthy()
        self.assert_refused(approve(self.swarm, code, channel="closed"), 429, "pairing_locked")

    def test_names_that_would_widen_the_capability_are_refused(self):
        for changes in ({"sender_id": "*"}, {"sender_id": "a?"}, {"sender_id": "[a]"}, {"channel": "a:sender:b"},
                        {"channel": "*"}, {"sender_id": ""}, {"agent_id": "user:ana"}, {"expires_minutes": 0}):
            with self.subTest(changes):
                self.assert_refused(create(self.swarm, **changes), 422, "validation_error")

    def test_a_retry_with_an_idempotency_key_keeps_no_code(self):
        headers = {"Idempotency-Key": "pairing-retry-1"}
        first = create(self.swarm, sender="retry", headers=headers).json["code"]
        second = create(self.swarm, sender="retry", headers=headers).json["code"]
        self.assertNotEqual(first, second)
        self.assertEqual(files_with(self.swarm.home, first) + files_with(self.swarm.home, second), [])
        self.assert_refused(approve(self.swarm, first), 400, "pairing_not_found")
        self.assertEqual(approve(self.swarm, second).status, 200)

    def test_kill_9_loses_no_approval_and_gives_none_twice(self):
        for i in range(4):
            sender = f"crash-{i}"
            code = create(self.swarm, sender=sender).json["code"]
            self.swarm.kill("identity")
            self.swarm.wait_healthy()
            self.assertEqual(approve(self.swarm, code).status, 200)
            self.swarm.kill("identity")
            self.swarm.wait_healthy()
            self.assertIn(sender, [entry["sender_id"] for entry in allowlist(self.swarm).json])
            self.assert_refused(approve(self.swarm, code), 400, "pairing_not_pending")


class PairingEnforced(unittest.TestCase):
    def test_every_step_needs_its_right(self):
        with Swarm(environment={"SOS_REQUIRE_CAPABILITIES": "1"}) as swarm:
            key = tokens.river_key(swarm.home)

            def headers(subject, action, resource=f"channel:{CHANNEL}"):
                return {"X-SOS-Capability": tokens.base64url(tokens.make(key, subject, action, resource))}

            creates = headers(AGENT, "pairing:create")
            approves = headers(APPROVER, "pairing:approve")
            reads = headers(AGENT, "pairing:read")
            self.assertEqual(create(swarm).status, 401)
            self.assertEqual(create(swarm, headers=approves).status, 403)
            made = create(swarm, headers=creates)
            self.assertEqual(made.status, 200, made.body)
            code = made.json["code"]
            self.assertEqual(approve(swarm, code).status, 401)
            self.assertEqual(approve(swarm, code, headers=creates).status, 403)
            self.assertEqual(approve(swarm, code, headers=headers("user:eve", "pairing:approve")).status, 403)
            self.assertEqual(
                approve(swarm, code, headers=headers(APPROVER, "pairing:approve", "channel:matrix")).status, 403)
            self.assertEqual(approve(swarm, code, headers=approves).status, 200)
            self.assertEqual(allowlist(swarm).status, 401)
            self.assertEqual(len(allowlist(swarm, headers=reads).json), 1)
            path = f"/allowlist/{CHANNEL}/12345"
            self.assertEqual(swarm.http("DELETE", "identity", path, headers=reads).status, 403)
            self.assertEqual(swarm.http("DELETE", "identity", path, headers=approves).status, 200)


if __name__ == "__main__":
    unittest.main()
