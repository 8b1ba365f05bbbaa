# SPDX-License-Identifier: Apache-2.0
"""The life of an agent from an unknown key to its end, over REST and over ZMQ, where capabilities are enforced."""

import hashlib
import json
import os
import time
import unittest

import nacl.signing
import sos_wire
import tokens
import zmq
import zmq.utils.z85
from sos_wire import ACK, CONTROL, FLAG_CONFIRM, PUBLISH, SEND, SUBSCRIBE
from swarm import Swarm

CONFLICT, FORBIDDEN, UNAUTHORIZED = 3003, 2002, 2001
SQUAD = "squad:builders"


def anonymous_of(public):
    return "user:anonymous-" + hashlib.sha256(zmq.utils.z85.decode(public)).hexdigest()[:16]


class Agent:
    """What an agent outside has: its keys and the way to the swarm."""

    def __init__(self, swarm, name):
        public, secret = zmq.curve_keypair()
        self.swarm = swarm
        self.id = f"agent:{name}"
        self.anonymous = anonymous_of(public)
        self.key = nacl.signing.SigningKey.generate()
        self.curve = public.decode()
        self.way = {"curve_public_key": public.decode(), "curve_secret_key": secret.decode()}
        with open(os.path.join(swarm.home, "config", "swarm.json"), encoding="utf-8") as file:
            self.way.update(json.load(file))

    def peer(self, identity=None, **options):
        return sos_wire.Peer(dict(self.way, identity=identity or self.id), **options)

    def claim(self, **changes):
        return {"agent_id": self.id, "public_key": self.key.verify_key.encode().hex(),
                "curve_public_key": self.curve, "name": "Nova", "metadata": {"home": "north"}, **changes}

    def proof(self, challenge):
        return "ed25519:" + self.key.sign(challenge.encode()).signature.hex()


class Life(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.swarm = Swarm(environment={"SOS_REQUIRE_CAPABILITIES": "1"})
        cls.swarm.__enter__()
        cls.river = tokens.river_key(cls.swarm.home)

    @classmethod
    def tearDownClass(cls):
        cls.swarm.__exit__(None, None, None)

    # ---- the admin

    def token(self, action, resource, subject="user:operator"):
        return tokens.make(self.river, subject, action, resource)

    def over_http(self, agent, action, **body):
        word = {"terminate": "agent:terminate", "suspend": "agent:suspend",
                "reactivate": "agent:suspend"}.get(action, "agent:onboard")
        return self.swarm.http("POST", "identity", f"/agents/{agent.id}/{action}", body,
                               {"X-SOS-Capability": tokens.base64url(self.token(word, agent.id))})

    def over_bus(self, agent, action, **body):
        word = {"terminate": "agent:terminate", "suspend": "agent:suspend",
                "reactivate": "agent:suspend"}.get(action, "agent:onboard")
        with self.swarm.peer("operator") as operator:
            return operator.call("service:identity", f"identity_{action}", {"id": agent.id, **body},
                                 capability=json.dumps(self.token(word, agent.id)))

    def state(self, agent):
        answer = self.swarm.http("GET", "identity", f"/agents/{agent.id}")
        return answer.json["state"] if answer.status == 200 else answer.json["detail"]

    # ---- what an agent may

    def assert_refused(self, record, code, word):
        self.assertEqual((record["status"], record["payload"]["detail"]), (code, word), record)

    def publish(self, peer):
        """The word that refuses it; None when it was taken."""
        sent = peer.send(PUBLISH, {"x": 1}, target=f"{peer.identity}:news", type="note", flags=FLAG_CONFIRM)
        answer = peer.expect(lambda r: r["correlation"] == sent)
        return None if answer["kind"] == ACK else answer["payload"]["detail"]

    def send_mail(self, peer):
        sent = peer.send(SEND, {"x": 1}, target="agent:somebody", type="note")
        answer = peer.expect(lambda r: r["correlation"] == sent)
        return None if answer["kind"] == ACK else answer["payload"]["detail"]

    def assert_only_onboarding(self, peer):
        self.assertEqual(self.publish(peer), "not_active")
        self.assertEqual(self.send_mail(peer), "not_active")
        for kind, fields in ((SUBSCRIBE, {"target": "squad:all"}), (CONTROL, {"type": "extend"})):
            sent = peer.send(kind, {"ids": [], "ms": 1000}, **fields)
            answer = peer.expect(lambda r, sent=sent: r["correlation"] == sent)
            self.assert_refused(answer, FORBIDDEN, "not_active")
        for service, type_, payload in (
                ("bus", "bus_peers", {}), ("memory", "memory_query", {"query": "x", "agent_id": peer.identity}),
                ("identity", "identity_list", {}), ("identity", "identity_get", {"id": "agent:somebody"}),
                ("engine", "chat", {"message": "hi", "agent_id": peer.identity})):
            answer = peer.call(f"service:{service}", type_, payload)
            self.assert_refused(answer, FORBIDDEN, "not_active")
            self.assertIn("identity_verify", answer["payload"]["message"])
        self.assertEqual(peer.call("service:bus", "health_check")["status"] or 0, 0)

    def assert_memory_over_http(self, agent, action, path, body, status, word=None):
        """What somebody with a good token for this agent gets over REST."""
        token = self.token(action, f"memory:{agent.id}/*", agent.id)
        answer = self.swarm.http("POST", "memory", path, {"agent_id": agent.id, **body},
                                 {"X-SOS-Capability": tokens.base64url(token)})
        self.assertEqual(answer.status, status, answer.body)
        if word:
            self.assertEqual(answer.json["detail"], word)

    def assert_store(self, agent, status, word=None):
        self.assert_memory_over_http(agent, "memory:write", "/store", {"content": "tea"}, status, word)

    def assert_search(self, agent, status, word=None):
        self.assert_memory_over_http(agent, "memory:read", "/search", {"query": "tea"}, status, word)

    # ---- lives

    def test_over_rest(self):
        agent = Agent(self.swarm, "rest")
        self.assertEqual(self.state(agent), "agent_not_found")
        self.assertEqual(self.over_http(agent, "activate").status, 404)

        found = self.swarm.http("POST", "identity", "/agents/identify", agent.claim())
        self.assertEqual(found.status, 200, found.body)
        claimed = found.json
        self.assertEqual((claimed["state"], claimed["status"], claimed["metadata"]),
                         ("identified", "registered", {"home": "north"}))
        again = self.swarm.http("POST", "identity", "/agents/identify", agent.claim())
        self.assertEqual((again.status, again.json["detail"]), (409, "conflict"))
        self.assertIn("identified: identify is not allowed", again.json["error"]["message"])
        self.assert_store(agent, 403, "not_active")
        self.assertNotIn("challenge", self.swarm.http("GET", "identity", f"/agents/{agent.id}").json)

        path = f"/agents/{agent.id}/verify"
        other = nacl.signing.SigningKey.generate()
        for signature in ("ed25519:" + other.sign(claimed["challenge"].encode()).signature.hex(),
                          agent.proof(claimed["challenge"] + " "), "ed25519:", "x", "ed25519:" + "0" * 128):
            wrong = self.swarm.http("POST", "identity", path, {"signature": signature})
            self.assertEqual((wrong.status, wrong.json["detail"]), (401, "invalid_proof"), signature)
        self.assertEqual(self.state(agent), "identified")
        proof = {"signature": agent.proof(claimed["challenge"])}
        self.assertEqual(self.swarm.http("POST", "identity", path, proof).json["state"], "verified")
        self.assertEqual(self.swarm.http("POST", "identity", path, proof).status, 409, "a challenge is good once")
        self.assert_store(agent, 403, "not_active")

        early = self.over_http(agent, "activate")
        self.assertEqual(early.status, 409)
        self.assertIn("verified: activate is not allowed", early.json["error"]["message"])
        open_door = self.swarm.http("POST", "identity", f"/agents/{agent.id}/assign_squad", {"squad_id": SQUAD})
        self.assertEqual((open_door.status, open_door.json["detail"]), (401, "missing_capability"))
        self.assertEqual(self.over_http(agent, "assign_squad", squad_id="builders").status, 422)
        self.assertEqual(self.over_http(agent, "assign_squad", squad_id=SQUAD).json["squad_id"], SQUAD)
        self.assert_store(agent, 403, "not_active")

        self.assertEqual(self.over_http(agent, "activate", reason="welcome").json["state"], "active")
        self.assert_store(agent, 200)
        self.assert_search(agent, 200)

        self.assertEqual(self.over_http(agent, "suspend", reason="too loud").json["state"], "suspended")
        self.assert_store(agent, 403, "suspended")
        self.assert_search(agent, 200)
        self.assertEqual(self.over_http(agent, "reactivate").json["state"], "active")
        self.assert_store(agent, 200)

        ended = self.over_http(agent, "terminate", reason="done").json
        self.assertEqual((ended["state"], ended["status"]), ("terminated", "revoked"))
        self.assert_store(agent, 403, "not_active")
        self.assert_search(agent, 403, "not_active")
        for action in ("reactivate", "activate", "suspend", "terminate", "reject"):
            self.assertEqual(self.over_http(agent, action).status, 409, action)
        self.assertEqual([(step["from"], step["action"], step["to"], step["reason"])
                          for step in ended["history"]],
                         [("anonymous", "identify", "identified", None),
                          ("identified", "verify", "verified", None),
                          ("verified", "assign_squad", "squad_assigned", None),
                          ("squad_assigned", "activate", "active", "welcome"),
                          ("active", "suspend", "suspended", "too loud"),
                          ("suspended", "reactivate", "active", None),
                          ("active", "terminate", "terminated", "done")])

    def test_over_zmq(self):
        agent = Agent(self.swarm, "zmq")
        with agent.peer(agent.anonymous) as stranger:
            self.assert_only_onboarding(stranger)
            self.assert_refused(stranger.call("service:identity", "identity_identify",
                                              agent.claim(curve_public_key=zmq.curve_keypair()[0].decode())),
                                FORBIDDEN, "key_mismatch")
            claimed = stranger.call("service:identity", "identity_identify", agent.claim())["payload"]
            self.assertEqual(claimed["state"], "identified")
            self.assert_only_onboarding(stranger)

        with agent.peer() as peer:
            self.assert_only_onboarding(peer)
            self.assertEqual(peer.call("service:identity", "identity_get", {"id": agent.id})["payload"]["state"],
                             "identified")
            self.assert_refused(peer.call("service:identity", "identity_verify",
                                          {"id": agent.id, "signature": "ed25519:" + "1" * 128}),
                                UNAUTHORIZED, "invalid_proof")
            verified = peer.call("service:identity", "identity_verify",
                                 {"id": agent.id, "signature": agent.proof(claimed["challenge"])})
            self.assertEqual(verified["payload"]["state"], "verified")
            self.assert_only_onboarding(peer)
            self.assert_refused(peer.call("service:identity", "identity_activate", {"id": agent.id}),
                                FORBIDDEN, "not_active")

            self.assert_refused(self.over_bus(agent, "suspend"), CONFLICT, "conflict")
            self.assertEqual(self.over_bus(agent, "assign_squad", squad_id=SQUAD)["payload"]["state"],
                             "squad_assigned")
            self.assert_only_onboarding(peer)
            with self.swarm.peer("operator") as operator:
                members = operator.call("service:bus", "bus_members", {"squad": SQUAD}, capability=json.dumps(
                    self.token("bus:subscribe", SQUAD)))["payload"]["members"]
            self.assertIn(agent.id, members)

            self.assertEqual(self.over_bus(agent, "activate")["payload"]["state"], "active")
            self.assertIsNone(self.publish(peer), "in the session that was open before")
            self.assertIsNone(self.send_mail(peer))

            self.over_bus(agent, "suspend", reason="a look")
            self.assertEqual(self.publish(peer), "suspended")
            self.assertEqual(self.send_mail(peer), "suspended")
            note = {"agent_id": agent.id, "content": "x"}
            self.assert_refused(peer.call("service:memory", "memory_store", note), FORBIDDEN, "suspended")
            read = peer.call("service:bus", "bus_memory_recall", {"agent_id": agent.id})
            self.assertEqual(read["status"] or 0, 0, read)
            self.over_bus(agent, "reactivate")
            self.assertIsNone(self.publish(peer))

            self.over_bus(agent, "terminate", reason="done")
            self.assertEqual(peer.event(5), zmq.EVENT_HANDSHAKE_SUCCEEDED)
            self.assertEqual(peer.event(5), zmq.EVENT_DISCONNECTED)
        with agent.peer(hello=False) as peer:
            self.assertEqual(peer.event(5), zmq.EVENT_HANDSHAKE_FAILED_AUTH)
        with self.swarm.peer("operator") as operator:
            members = operator.call("service:bus", "bus_members", {"squad": SQUAD}, capability=json.dumps(
                self.token("bus:subscribe", SQUAD)))["payload"]["members"]
        self.assertNotIn(agent.id, members)

    def test_a_rejected_agent_is_a_stranger_again_and_may_come_back(self):
        agent = Agent(self.swarm, "turned-down")
        self.swarm.http("POST", "identity", "/agents/identify", agent.claim())
        with agent.peer() as peer:
            answer = self.over_http(agent, "reject", reason="who?").json
            self.assertEqual((answer["state"], answer["status"], answer["curve_public_key"]),
                             ("anonymous", "none", None))
            self.assertEqual(peer.event(5), zmq.EVENT_HANDSHAKE_SUCCEEDED)
            self.assertEqual(peer.event(5), zmq.EVENT_DISCONNECTED)
        with agent.peer(agent.anonymous) as stranger:
            back = stranger.call("service:identity", "identity_identify", agent.claim())["payload"]
        self.assertEqual([step["action"] for step in back["history"]], ["identify", "reject", "identify"])

    def test_an_agent_moves_nobody(self):
        victim = self.swarm.connection("agent:victim")["identity"]
        with self.swarm.peer("agent:mallory") as mallory:
            for action in ("suspend", "terminate", "reject", "activate", "reactivate"):
                answer = mallory.call("service:identity", f"identity_{action}", {"id": victim})
                self.assertEqual(answer["payload"]["detail"], "missing_capability", action)
            answer = mallory.call("service:identity", "identity_identify", Agent(self.swarm, "other").claim())
            self.assert_refused(answer, FORBIDDEN, "capability_subject_mismatch")

    def test_what_is_restricted_stays_so_across_a_crash_of_the_broker(self):
        name = "agent:quiet"
        agent = type("Named", (), {"id": name})
        self.swarm.connection(name)
        self.over_bus(agent, "suspend")
        for part in ("broker", "identity"):
            self.swarm.kill(part)
            self.swarm.wait_healthy()
        with self.swarm.peer(name) as peer:
            self.assertEqual(self.publish(peer), "suspended")
        self.over_bus(agent, "reactivate")
        with self.swarm.peer(name) as peer:
            self.assertIsNone(self.publish(peer))


class Keys(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.swarm = Swarm()
        cls.swarm.__enter__()

    @classmethod
    def tearDownClass(cls):
        cls.swarm.__exit__(None, None, None)

    def shakes_hands(self, way):
        with sos_wire.Peer(way, hello=False) as peer:
            return peer.event(5) == zmq.EVENT_HANDSHAKE_SUCCEEDED

    def test_both_keys_work_until_the_old_one_ends(self):
        old = self.swarm.connection("agent:kasra")
        # More than the time that a busy machine takes for what follows.
        done = self.swarm.run("--json", "key", "rotate", "kasra", "--overlap", "12s")
        started = time.monotonic()
        record = json.loads(done.stdout)
        new = self.swarm.connection("agent:kasra")
        self.assertNotEqual(new["curve_public_key"], old["curve_public_key"])
        self.assertEqual((record["curve_public_key"], record["old_curve_public_key"]),
                         (new["curve_public_key"], old["curve_public_key"]))
        again = self.swarm.run("key", "rotate", "kasra", check=False)
        self.assertIn("two keys until", again.stderr)
        os.unlink(os.path.join(self.swarm.home, "agents", "kasra.json.next"))
        self.assertTrue(self.shakes_hands(old) and self.shakes_hands(new))
        self.swarm.kill("identity")
        self.swarm.wait_healthy()
        with sos_wire.Peer(old) as running:
            self.assertEqual(running.event(5), zmq.EVENT_HANDSHAKE_SUCCEEDED)
            cut = running.event(1)
            while cut is None:
                running.send(sos_wire.HEARTBEAT)
                self.assertLess(time.monotonic() - started, 60)
                cut = running.event(1)
        self.assertEqual(cut, zmq.EVENT_DISCONNECTED)
        self.assertGreater(time.monotonic() - started, 11)
        self.assertFalse(self.shakes_hands(old))
        self.assertTrue(self.shakes_hands(new))
        with sos_wire.Peer(new) as peer:
            agent = peer.call("service:identity", "identity_get", {"id": "agent:kasra"})["payload"]
        self.assertIsNone(agent["old_curve_public_key"])

    def test_without_an_overlap_the_old_key_ends_at_once(self):
        old = self.swarm.connection("agent:mira")
        self.swarm.run("key", "rotate", "mira", "--overlap", "0s")
        self.assertFalse(self.shakes_hands(old))
        self.assertTrue(self.shakes_hands(self.swarm.connection("agent:mira")))

    def test_an_agent_gives_itself_a_new_key_and_nobody_else_one(self):
        public = zmq.curve_keypair()[0].decode()
        self.swarm.connection("agent:victim")
        with self.swarm.peer("agent:self") as peer:
            self.assertEqual(peer.call("service:identity", "identity_rotate_key",
                                       {"agent_id": "agent:self", "curve_public_key": public})["status"] or 0, 0)
            stolen = peer.call("service:identity", "identity_rotate_key",
                               {"agent_id": "agent:victim", "curve_public_key": zmq.curve_keypair()[0].decode()})
            self.assertEqual(stolen["payload"]["detail"], "capability_subject_mismatch")

    def test_steps_of_the_command_line(self):
        self.swarm.connection("agent:cli")
        self.assertIn("agent:cli is suspended", self.swarm.run("agent", "suspend", "cli", "--reason", "x").stdout)
        self.assertEqual(self.swarm.run("agent", "suspend", "cli", check=False).returncode, 1)
        rows = json.loads(self.swarm.run("--json", "agent", "list").stdout)
        self.assertEqual({row["agent_id"]: row["state"] for row in rows}["agent:cli"], "suspended")
        self.swarm.run("agent", "reactivate", "cli")
        self.assertEqual(self.swarm.run("agent", "terminate", "cli", check=False).returncode, 2)
        self.swarm.run("agent", "terminate", "cli", "--yes")
        self.assertEqual(self.swarm.run("agent", "terminate", "cli", "--yes", check=False).returncode, 1)

    def test_users_and_guilds(self):
        def post(path, status=200, **body):
            answer = self.swarm.http("POST", "identity", path, body)
            self.assertEqual(answer.status, status, answer.body)
            return answer.json

        def get(path, status=200):
            answer = self.swarm.http("GET", "identity", path)
            self.assertEqual(answer.status, status, answer.body)
            return answer.json

        ana = post("/users/create", name="Ana Maria", bio="gardens")
        self.assertEqual((ana["id"], ana["level"], ana["xp"], ana["avatar_url"]), ("user:Ana_Maria", 1, 0, None))
        self.assertEqual(post("/users/create", 409, name="Ana Maria")["detail"], "user_exists")
        self.assertEqual(get("/users/user:nobody", 404)["detail"], "user_not_found")
        for bad in ("", "a/b", "a:b", "../x", " lead", "é"):
            refused = post("/users/create", 422, name=bad)
            self.assertEqual(refused["error"]["context"]["field"], "name", bad)
        guild = post("/guilds/create", name="The Builders", owner_id=ana["id"], description="d")
        self.assertEqual((guild["id"], guild["member_roles"], guild["channels"]),
                         ("guild:the_builders", {ana["id"]: "leader"}, ["general", "announcements"]))
        self.assertEqual(post("/guilds/create", 409, name="THE builders", owner_id=ana["id"])["detail"],
                         "guild_exists")
        ben = post("/users/create", name="ben")["id"]
        self.assertEqual(post("/guilds/join", guild_id=guild["id"], user_id=ben),
                         {"status": "joined", "guild_id": guild["id"]})
        self.assertEqual(post("/guilds/join", 400, guild_id=guild["id"], user_id=ben)["detail"], "already_a_member")
        self.assertEqual(post("/guilds/join", 404, guild_id="guild:none", user_id=ben)["detail"], "guild_not_found")
        self.assertEqual(post("/guilds/join", 404, guild_id=guild["id"], user_id="user:none")["detail"],
                         "user_not_found")
        self.assertEqual(post("/guilds/join", 422, guild_id=guild["id"], user_id="none")["detail"],
                         "validation_error")
        self.assertEqual(get(f"/guilds/{guild['id']}/members"),
                         [{"id": ana["id"], "name": "Ana Maria", "role": "leader"},
                          {"id": ben, "name": "ben", "role": "member"}])
        self.assertEqual(get(f"/users/{ben}")["guilds"], [guild["id"]])


class Closed(unittest.TestCase):
    def test_strangers_stay_out_where_they_are_not_welcome(self):
        for name, swarm in {"by setting": Swarm("bus.anonymous=false"),
                            "in production": Swarm(environment={"SOS_ENV": "production"})}.items():
            with self.subTest(name), swarm:
                agent = Agent(swarm, "out")
                with agent.peer(agent.anonymous, hello=False) as peer:
                    self.assertEqual(peer.event(5), zmq.EVENT_HANDSHAKE_FAILED_AUTH)
                # What a claim over HTTP gives is a key that may be onboarded, and no more.
                found = swarm.http("POST", "identity", "/agents/identify", agent.claim())
                self.assertEqual(found.status, 200, found.body)
                with agent.peer() as peer:
                    answer = peer.call("service:bus", "bus_peers", {})
                    self.assertEqual(answer["payload"]["detail"], "not_active")


if __name__ == "__main__":
    unittest.main()
