# SPDX-License-Identifier: Apache-2.0
"""Capabilities made by a Python program with PyNaCl, where they are enforced, by every way over HTTP."""

import json
import os
import subprocess
import unittest
import urllib.parse

import nacl.signing
import sos_wire
import tokens
import zmq
from swarm import Swarm

AGENT = "agent:kasra"
OTHER_KEY = nacl.signing.SigningKey(bytes(range(32)))
SECOND_KEY = nacl.signing.SigningKey(bytes(range(1, 33)))


class Capabilities(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.swarm = Swarm(environment={
            "SOS_REQUIRE_CAPABILITIES": "1",
            "SOS_RIVER_PUBLIC_KEY_HEX": SECOND_KEY.verify_key.encode().hex()})
        cls.swarm.__enter__()
        cls.key = tokens.river_key(cls.swarm.home)

    @classmethod
    def tearDownClass(cls):
        cls.swarm.__exit__(None, None, None)

    def write(self, subject=AGENT, action="memory:write", resource=f"memory:{AGENT}/*", key=None, **changes):
        return tokens.make(key or self.key, subject, action, resource, **changes)

    def read(self, **changes):
        return self.write(action="memory:read", **changes)

    def store(self, headers=None, body_capability=None, path="/store", **changes):
        body = {"content": "a thing", "agent_id": AGENT, **changes}
        if body_capability is not None:
            body["capability"] = body_capability
        return self.swarm.http("POST", "memory", path, body, headers)

    def with_token(self, token, **changes):
        return self.store({"X-SOS-Capability": tokens.base64url(token)}, **changes)

    def assert_refused(self, answer, status, word):
        self.assertEqual((answer.status, answer.json["detail"]), (status, word), answer.body)

    # ---- ways in

    def test_every_way_to_carry_one(self):
        token = self.write()
        for name, answer in {
                "header": self.with_token(token),
                "header with padding": self.store({"X-SOS-Capability": tokens.base64url(token, True)}),
                "header as JSON": self.store({"X-SOS-Capability": json.dumps(token)}),
                "bearer": self.store({"Authorization": "Bearer " + tokens.base64url(token)}),
                "body": self.store(body_capability=token)}.items():
            self.assertEqual(answer.status, 200, f"{name}: {answer.body}")

    def test_the_header_wins_over_the_body(self):
        bad = self.write(key=OTHER_KEY)
        self.assertEqual(self.store({"X-SOS-Capability": tokens.base64url(self.write())},
                                    body_capability=bad).status, 200)
        self.assert_refused(self.store({"X-SOS-Capability": tokens.base64url(bad)},
                                       body_capability=self.write()), 401, "token_invalid")

    def test_a_query_string_carries_none(self):
        query = urllib.parse.urlencode({"capability": tokens.base64url(self.write())})
        self.assert_refused(self.store(path="/store?" + query), 401, "missing_capability")
        self.assert_refused(self.swarm.http("GET", "memory", f"/stats?agent_id={AGENT}&" + query), 401,
                            "missing_capability")

    def test_the_second_key_counts_too(self):
        self.assertEqual(self.with_token(self.write(key=SECOND_KEY)).status, 200)

    # ---- refusals

    def test_none_is_401(self):
        self.assert_refused(self.store(), 401, "missing_capability")
        self.assert_refused(self.swarm.http("POST", "memory", "/search",
                                            {"query": "x", "agent_id": AGENT}), 401, "missing_capability")

    def test_unreadable_ones_are_400(self):
        for text in ("@@@", "e30", "{}", "[]", "bnVsbA", '{"id":1}', "A" * 3):
            with self.subTest(text):
                answer = self.store({"X-SOS-Capability": text})
                self.assertEqual(answer.status, 400, answer.body)
                self.assertIn(answer.json["detail"],
                              ("invalid_capability_header", "invalid_capability_payload"))
        for value in ({}, {"id": "cap_1"}, 5, [], "nonsense"):
            with self.subTest(value=value):
                self.assert_refused(self.store(body_capability=value), 400, "invalid_capability_payload")

    def test_wrong_signatures_are_401(self):
        self.assert_refused(self.with_token(self.write(key=OTHER_KEY)), 401, "token_invalid")
        for member, value in (("subject", "agent:ana"), ("resource", "*"), ("action", "*"),
                              ("expires_at", tokens.stamp(10**6)), ("issuer", "lake"),
                              ("constraints", {"max_results": 1}), ("uses_remaining", 5)):
            token = dict(self.write(), **{member: value})
            with self.subTest(member):
                self.assert_refused(self.with_token(token), 401, "token_invalid")
        token = self.write()
        token["signature"] = token["signature"][:-1] + ("0" if token["signature"][-1] != "0" else "1")
        self.assert_refused(self.with_token(token), 401, "token_invalid")

    def test_good_signatures_on_the_wrong_thing_are_403(self):
        for name, token, word in (
                ("expired", self.write(expires_in=-1), "token_expired"),
                ("action", self.read(), "scope_denied"),
                ("resource", self.write(resource="memory:agent:ana/*"), "scope_denied"),
                ("narrower", self.write(resource=f"memory:{AGENT}/old/*"), "scope_denied"),
                ("subject", self.write(subject="agent:ana"), "capability_subject_mismatch"),
                ("used up", self.write(uses_remaining=0), "capability_used_up")):
            with self.subTest(name):
                self.assert_refused(self.with_token(token), 403, word)

    def test_delegated_from_an_unknown_parent_is_refused(self):
        answer = self.with_token(self.write(parent_id="cap_0123456789ab"))
        self.assertIn(answer.status, (401, 403), answer.body)
        self.assertEqual(answer.json["detail"], "capability_parent_unknown")

    def test_limited_uses_are_counted(self):
        token = self.write(uses_remaining=3)
        for _ in range(3):
            self.assertEqual(self.with_token(token).status, 200)
        self.assert_refused(self.with_token(token), 403, "capability_used_up")

    def test_a_retry_with_a_key_uses_one(self):
        token, key = self.write(uses_remaining=2), {"Idempotency-Key": "once"}
        with_key = lambda **more: self.store({"X-SOS-Capability": tokens.base64url(token), **key}, **more)
        first = with_key()
        self.assertEqual([with_key().json for _ in range(4)], [first.json] * 4)
        self.assertEqual(self.with_token(token).status, 200)
        self.assert_refused(self.with_token(token), 403, "capability_used_up")

    def test_constraints_hold(self):
        for _ in range(3):
            self.assertEqual(self.with_token(self.write()).status, 200)
        few = {"X-SOS-Capability": tokens.base64url(self.read(constraints={"max_results": 2}))}
        search = lambda headers, **more: self.swarm.http("POST", "memory", "/search", {
            "query": "a thing", "agent_id": AGENT, **more}, headers)
        self.assertEqual(len(search(few).json), 2)
        self.assertEqual(len(search(few, limit=50).json), 2)
        self.assertEqual(len(search(few, limit=1).json), 1)
        none = {"X-SOS-Capability": tokens.base64url(self.read(constraints={"max_results": 0}))}
        self.assert_refused(search(none), 403, "capability_max_results")
        token = self.write(constraints={"rate_limit": "2/hour"})
        self.assertEqual([self.with_token(token).status for _ in range(2)], [200, 200])
        self.assert_refused(self.with_token(token), 429, "capability_rate_limited")
        self.assert_refused(self.with_token(self.write(constraints={"agent_id": "agent:ana"})), 403,
                            "capability_agent_mismatch")
        self.assert_refused(self.with_token(self.write(constraints={"rate_limit": "often"})), 400,
                            "invalid_capability_payload")
        answer = self.swarm.http("POST", "engine", "/chat", {
            "message": "a long answer", "agent_id": AGENT, "model": "sos-mock-v1", "memory_enabled": False,
            "capability": self.read(constraints={"max_response_length": 6})})
        self.assertEqual(answer.json["content"], "a long")

    def test_acting_for_another_is_refused(self):
        answer = self.with_token(self.write(resource="memory:*"), agent_id="agent:ana")
        self.assert_refused(answer, 403, "capability_subject_mismatch")

    def test_globs_and_constraints(self):
        for resource in ("*", "**", "memory:*", f"memory:{AGENT}/new", "memory:agent:k?sra/*",
                         "memory:agent:[a-k]asra/n*"):
            self.assertEqual(self.with_token(self.write(resource=resource)).status, 200, resource)
        for constraints in ({"max_results": 5, "note": "é😀\u2028\x7f"}, {"floats": [1.0, 1e16, 1e-7, -0.0]},
                            {"a": {"b": [None, True, {"c": []}]}}):
            answer = self.with_token(self.write(constraints=constraints))
            self.assertEqual(answer.status, 200, answer.body)

    def test_reading_deleting_and_owning(self):
        memory_id = self.with_token(self.write()).json["memory_id"]
        path = f"/memories/{memory_id}"
        get = lambda token: self.swarm.http("GET", "memory", path,
                                            headers={"X-SOS-Capability": tokens.base64url(token)})
        self.assert_refused(self.swarm.http("GET", "memory", path), 401, "missing_capability")
        self.assert_refused(get(self.write()), 403, "scope_denied")
        self.assert_refused(get(self.read(subject="agent:ana", resource="memory:agent:ana/*")), 403,
                            "capability_subject_mismatch")
        self.assertEqual(get(self.read()).json["id"], memory_id)
        delete = lambda token: self.swarm.http("DELETE", "memory", path,
                                               headers={"X-SOS-Capability": tokens.base64url(token)})
        self.assert_refused(delete(self.read()), 403, "scope_denied")
        self.assertEqual(delete(self.write(action="memory:delete")).json, {"deleted": True})

    # ---- order, and what is open

    def test_the_order_of_refusals(self):
        bad = {"X-SOS-Capability": tokens.base64url(self.write(key=OTHER_KEY))}
        post = lambda body, headers: self.swarm.http("POST", "memory", "/store", body, {
            "Content-Type": "application/json", **headers}).status
        self.assertEqual(post("{", bad), 400)                          # body before signature
        self.assertEqual(post('{"agent_id":"agent:kasra"}', bad), 422)  # field before signature
        self.assertEqual(post('{"agent_id":"agent:kasra"}', {}), 422)   # field before absence
        good = '{"content":"x","agent_id":"agent:kasra"}'
        self.assertEqual(post(good, bad), 401)
        narrow = {"X-SOS-Capability": tokens.base64url(self.read())}
        self.assertEqual(post(good, narrow), 403)
        missing = "/memories/01890a5d-ac96-774b-bcce-b302099a8057"
        self.assertEqual(self.swarm.http("GET", "memory", missing).status, 401)  # before 404
        self.assertEqual(self.swarm.http("GET", "memory", missing, headers=narrow).status, 404)
        # Idempotency conflicts come after the capability.
        key = {"Idempotency-Key": "order"}
        token = {"X-SOS-Capability": tokens.base64url(self.write())}
        self.assertEqual(post(good, {**key, **token}), 200)
        other = good.replace('"x"', '"y"')
        self.assertEqual(post(other, key), 401)
        self.assertEqual(post(other, {**key, **narrow}), 403)
        self.assertEqual(post(other, {**key, **token}), 409)

    def test_open_paths_need_none(self):
        for door in ("engine", "memory", "identity", "unified"):
            for path in ("/health", "/metrics", "/version"):
                self.assertEqual(self.swarm.http("GET", door, path).status, 200, door + path)
        self.assertEqual(self.swarm.http("GET", "unified", "/openapi.json").status, 200)

    def test_the_chat_needs_none_of_its_own(self):
        answer = self.swarm.http("POST", "engine", "/chat", {
            "message": "hello", "agent_id": AGENT, "model": "sos-mock-v1", "memory_enabled": False})
        self.assertEqual(answer.status, 200, answer.body)

    def test_the_engine_does_no_more_with_memories_than_its_caller_may(self):
        def metadata(**more):
            answer = self.swarm.http("POST", "engine", "/chat", {
                "message": "My dog is called Barnaby", "agent_id": AGENT, **more})
            self.assertEqual(answer.status, 200, answer.body)
            return answer.json["metadata"]

        none = metadata()
        self.assertEqual((none["recall_error"], none["store_error"]), ("missing_capability",) * 2)
        reader = metadata(capability=self.read())
        self.assertNotIn("recall_error", reader)
        self.assertEqual(reader["store_error"], "scope_denied")
        writer = metadata(capability=self.write())
        self.assertIn("memory_id", writer)
        self.assertEqual(writer["recall_error"], "scope_denied")
        other = metadata(capability=self.write(subject="agent:ana", resource="memory:*"))
        self.assertEqual(other["store_error"], "capability_subject_mismatch")


class Issued(unittest.TestCase):
    def test_a_token_of_ours_verifies_in_python(self):
        """`sos tap` signs itself a token: a broker made of Python takes it and checks it."""
        public, secret = zmq.curve_keypair()
        with Swarm.home_only() as swarm, zmq.Context() as context, context.socket(zmq.ROUTER) as router:
            router.linger = 0
            router.curve_server = True
            router.curve_publickey, router.curve_secretkey = public, secret
            port = router.bind_to_random_port("tcp://127.0.0.1")
            swarm.run("agent", "new", "any")  # makes the home and its keys
            with open(os.path.join(swarm.home, "config", "swarm.json"), "w", encoding="utf-8") as file:
                json.dump({"endpoint": f"tcp://127.0.0.1:{port}", "broker_public_key": public.decode()}, file)
            command = subprocess.Popen(swarm.arguments("tap", "--count", "1"), stdout=subprocess.DEVNULL,
                                       stderr=subprocess.DEVNULL, env=swarm.environment)
            try:
                token = json.loads(self.take_tap(router)["capability"])
            finally:
                command.kill()
                command.wait()
            key = tokens.river_key(swarm.home).verify_key
            self.assertTrue(tokens.verifies(token, key), token)
            self.assertEqual((token["subject"], token["action"], token["resource"], token["issuer"]),
                             ("user:operator", "bus:tap", "bus:*", "river"))
            self.assertRegex(token["id"], "^cap_[0-9a-f]{12}$")
            self.assertFalse(tokens.verifies(dict(token, resource="*"), key))

    def take_tap(self, router):
        """Welcomes whoever comes; returns their request."""
        while router.poll(10000):
            peer, frame = router.recv_multipart()
            for record in sos_wire.decode(frame):
                if record["kind"] == sos_wire.REQUEST:
                    return record
                if record["kind"] == sos_wire.HELLO:
                    router.send_multipart([peer, sos_wire.encode(sos_wire.HELLO, {
                        "version": 1, "epoch": 7, "record_max": 262144, "frame_max": 327680,
                        "stream_credit": 32, "requests_max": 100, "heartbeat_ms": 1000},
                        correlation=record["id"], source="service:bus", target=record["source"])])
        raise AssertionError("no request came")


if __name__ == "__main__":
    unittest.main()
