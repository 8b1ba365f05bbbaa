# SPDX-License-Identifier: Apache-2.0
"""Peers that lie, break the protocol or flood: each gets its documented answer, the swarm keeps serving."""

import contextlib
import json
import os
import pathlib
import socket
import struct
import time
import unittest

import msgpack
import nacl.signing
import sos_wire
import tokens
import zmq
from sos_wire import (BYE, CANCEL, CHUNK, CONTROL, ERROR, FLAG_STREAM, HEARTBEAT, HELLO, READY,
                      REPLY, REQUEST, new_id)
from swarm import Swarm

VECTORS = pathlib.Path(__file__).resolve().parents[1] / "vectors" / "records.json"
GIB = 1 << 30
FLOOD = 5000

INVALID, UNAVAILABLE, TIMEOUT, NOT_IMPLEMENTED = 1001, 1003, 1004, 1010
FORBIDDEN, TOKEN_EXPIRED, TOKEN_INVALID, SCOPE_DENIED, CAPABILITY_MISSING = 2002, 2003, 2004, 2005, 2006
NOT_FOUND, ALREADY_EXISTS, CONFLICT, QUOTA_EXCEEDED = 3001, 3002, 3003, 4002
BUSY, VERSION = 1013, 1016
NAMES = {"INVALID": INVALID, "VERSION": VERSION, "TOO_LARGE": 1006}  # as the vectors say it


class Hostile(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.swarm = Swarm("broker.hold_ms=500", "bus.anonymous=false")
        cls.addClassCleanup(cls.swarm.__exit__, None, None, None)
        for name in ("mallory", "kasra", "victim"):
            cls.swarm.run("agent", "new", name)
        cls.swarm.__enter__()
        cls.before_kib = cls.swarm.memory_kib("broker")
        cls.broker_pid = cls.swarm.pids()["broker"]

    def setUp(self):
        self.peer = self.swarm.peer("agent:mallory")

    def tearDown(self):
        self.peer.close()
        self.assert_serves()

    def assert_serves(self):
        """The broker was not started anew, and a real operation still goes through it. What a flood left in the
        waiting room may take a moment: BUSY is a right answer until then."""
        self.assertEqual(self.swarm.pids()["broker"], self.broker_pid, "the broker died")
        end = time.monotonic() + 10
        with self.swarm.peer("agent:victim") as victim:
            while True:
                answer = victim.call("service:memory", "memory_query",
                                     {"query": "anything", "agent_id": "agent:victim"})
                if answer["status"] != BUSY or time.monotonic() > end:
                    break
            self.assertEqual((answer["kind"], answer["status"] or 0), (REPLY, 0), answer)

    def assert_refused(self, record, status, word=None, kind=None):
        self.assertEqual(record["status"], status, record)
        if word:
            self.assertEqual(record["payload"]["detail"], word, record)
        if kind:
            self.assertEqual(record["kind"], kind, record)

    def answer_to(self, record_id, timeout_s=10.0):
        return self.peer.expect(lambda r: r["correlation"] == record_id, timeout_s)

    def assert_cut(self):
        """The broker closed the connection: a new one is made by itself, and has no session."""
        end = time.monotonic() + 10
        while time.monotonic() < end:
            if self.peer.event(max(0.0, end - time.monotonic())) == zmq.EVENT_DISCONNECTED:
                return
        self.fail("the connection was not cut")

    def assert_lives(self):
        """The session goes on."""
        self.assertEqual(self.peer.call("service:bus", "health_check")["payload"]["status"], "ok")

    # ---- keys

    def first_event(self, connection):
        with sos_wire.Peer(connection, hello=False) as peer:
            return peer.event(5)

    def test_a_right_key_shakes_hands(self):
        self.assertEqual(self.first_event(self.swarm.connection("agent:mallory")),
                         zmq.EVENT_HANDSHAKE_SUCCEEDED)

    def test_an_unknown_key_never_gets_in(self):
        public, secret = zmq.curve_keypair()
        connection = dict(self.swarm.connection("agent:mallory"), curve_public_key=public.decode(),
                          curve_secret_key=secret.decode())
        self.assertEqual(self.first_event(connection), zmq.EVENT_HANDSHAKE_FAILED_AUTH)

    def test_a_public_key_without_its_secret_never_gets_in(self):
        connection = dict(self.swarm.connection("agent:mallory"),
                          curve_secret_key=zmq.curve_keypair()[1].decode())
        self.assertNotEqual(self.first_event(connection), zmq.EVENT_HANDSHAKE_SUCCEEDED)

    def test_a_wrong_server_key_never_gets_in(self):
        connection = dict(self.swarm.connection("agent:mallory"),
                          broker_public_key=zmq.curve_keypair()[0].decode())
        self.assertNotEqual(self.first_event(connection), zmq.EVENT_HANDSHAKE_SUCCEEDED)

    def test_no_security_at_all_never_gets_in(self):
        endpoint = self.swarm.connection("agent:mallory")["endpoint"]
        with zmq.Context() as context, context.socket(zmq.DEALER) as plain:
            plain.linger = 0
            plain.connect(endpoint)
            plain.send(sos_wire.encode(HELLO, {"version_min": 1, "version_max": 1},
                                       source="agent:mallory"))
            self.assertEqual(plain.poll(1000), 0)

    # ---- who speaks

    def test_a_stolen_source_is_refused(self):
        sent = self.peer.send(REQUEST, {}, source="agent:victim", target="service:bus",
                              type="health_check")
        self.assert_refused(self.answer_to(sent), FORBIDDEN, "source_forged", ERROR)
        self.assert_lives()

    def test_a_stolen_principal_is_refused(self):
        answer = self.peer.call("service:memory", "memory_store",
                                {"content": "x", "agent_id": "agent:victim"},
                                principal="agent:victim")
        self.assert_refused(answer, FORBIDDEN, "principal_not_allowed", REPLY)
        self.assert_lives()

    def test_an_agent_does_not_act_for_another(self):
        for type_, payload in (("memory_store", {"content": "planted"}),
                               ("memory_query", {"query": "secret"})):
            answer = self.peer.call("service:memory", type_, {**payload, "agent_id": "agent:victim"})
            self.assert_refused(answer, FORBIDDEN, "capability_subject_mismatch", REPLY)
        answer = self.peer.call("service:engine", "chat",
                                {"message": "hi", "agent_id": "agent:victim"})
        self.assert_refused(answer, FORBIDDEN, "capability_subject_mismatch", REPLY)

    def test_an_agent_is_no_service(self):
        for service in ("memory", "nothing"):
            sent = self.peer.send(READY, {"service": service, "single": True})
            self.assert_refused(self.answer_to(sent), FORBIDDEN, kind=ERROR)
        self.assert_lives()

    def test_an_agent_adds_and_revokes_no_keys(self):
        public = zmq.curve_keypair()[0].decode()
        for type_, payload in (("key_add", {"identity": "agent:new", "curve_public_key": public}),
                               ("key_revoke", {"identity": "agent:victim"}), ("key_list", {})):
            sent = self.peer.send(CONTROL, payload, target="service:bus", type=type_)
            self.assert_refused(self.answer_to(sent), FORBIDDEN)
        self.assert_lives()

    def test_the_identity_service_adds_no_reserved_identity(self):
        # What a broken identity service could do at most: its key is in the home.
        with self.swarm.peer("identity") as identity:
            for name in ("service:memory", "user:operator", "system:river"):
                sent = identity.send(CONTROL, {"identity": name, "curve_public_key":
                                               zmq.curve_keypair()[0].decode()},
                                     target="service:bus", type="key_add")
                answer = identity.expect(lambda r, sent=sent: r["correlation"] == sent)
                self.assert_refused(answer, FORBIDDEN, "identity_reserved")
            sent = identity.send(CONTROL, {"identity": "agent:thief", "curve_public_key": self.swarm
                                           .connection("agent:victim")["curve_public_key"]},
                                 target="service:bus", type="key_add")
            answer = identity.expect(lambda r: r["correlation"] == sent)
            self.assert_refused(answer, ALREADY_EXISTS, "key_exists")

    def test_an_agent_reads_neither_directory_nor_metrics(self):
        for type_ in ("directory", "metrics"):
            self.assert_refused(self.peer.call("service:bus", type_), FORBIDDEN)

    def test_nothing_is_served_before_hello(self):
        with self.swarm.peer("agent:mallory", hello=False) as stranger:
            stranger.send(REQUEST, {}, target="service:bus", type="health_check")
            answer = stranger.receive()
            self.assertEqual((answer["kind"], answer["type"]), (CONTROL, "hello_required"))
            stranger.hello()
            self.assertEqual(stranger.call("service:bus", "health_check")["payload"]["status"], "ok")

    def test_an_unknown_version_is_refused(self):
        sent = self.peer.send(HELLO, {"version_min": 7, "version_max": 9, "features": [],
                                      "agent": "test"})
        self.assert_refused(self.answer_to(sent), VERSION, kind=ERROR)

    # ---- broken frames

    def test_garbage_is_cut(self):
        for garbage in (b"", b"\0", b"\xff" * 100, os.urandom(300), b"GET / HTTP/1.1\r\n\r\n"):
            with self.subTest(garbage=garbage[:20]):
                self.peer.send_bytes(garbage)
                self.assert_cut()
                self.peer.hello()

    def test_several_frames_are_cut(self):
        good = sos_wire.encode(HEARTBEAT, source="agent:mallory")
        self.peer.send_bytes(good, good)
        self.assert_cut()
        self.peer.hello()

    def test_lengths_of_a_gibibyte_are_cut(self):
        head = sos_wire.encode(HEARTBEAT, source="agent:mallory")[6:]
        for length, header_length in ((GIB, len(head)), (0xFFFFFFFF, len(head)), (len(head) + 2, 0xFFFF),
                                      (0, 0), (1, 0), (262145, len(head))):
            with self.subTest(length=length):
                self.peer.send_bytes(struct.pack(">IH", length, header_length) + head)
                self.assert_cut()
                self.peer.hello()

    def test_a_frame_beyond_the_limit_is_cut(self):
        self.peer.send_bytes(bytes(self.peer.welcome["frame_max"] + 1))
        self.assert_cut()
        self.peer.hello()

    def test_lengths_of_a_gibibyte_below_the_protocol_cost_nothing(self):
        host, port = self.swarm.connection("agent:mallory")["endpoint"][len("tcp://"):].split(":")
        before = self.swarm.memory_kib("broker")
        greeting = b"\xff" + bytes(8) + b"\x7f\x03\x01" + b"CURVE".ljust(20, b"\0") + bytes(32)
        with contextlib.ExitStack() as stack:
            for after in (b"\x06" + struct.pack(">Q", GIB), b"\x02" + struct.pack(">Q", 1 << 62),
                          b"\x04\xff\x05HELLO", os.urandom(5000), b""):
                for _ in range(20):
                    client = stack.enter_context(socket.create_connection((host, int(port)), 5))
                    client.sendall(greeting + after)
            self.assert_serves()
            self.assertLess(self.swarm.memory_kib("broker") - before, 32 * 1024)

    def test_a_truncated_record_is_cut(self):
        record = sos_wire.encode(REQUEST, {"a": 1}, source="agent:mallory", target="service:bus",
                                 type="health_check")
        for size in (1, 3, 5, 6, 7, len(record) // 2, len(record) - 1):
            with self.subTest(size=size):
                self.peer.send_bytes(record[:size])
                self.assert_cut()
                self.peer.hello()

    def test_a_good_record_before_a_broken_one_is_served(self):
        good = sos_wire.encode(REQUEST, {}, source="agent:mallory", target="service:bus",
                               type="health_check", id=new_id())
        self.peer.send_bytes(good + good[:10])
        self.assert_cut()
        self.peer.hello()

    def test_a_bad_record_does_not_harm_its_neighbours(self):
        request_id = new_id()
        bad = sos_wire.encode(REQUEST, {}, source="nobody", target="service:bus", type="health_check")
        good = sos_wire.encode(REQUEST, {}, source="agent:mallory", target="service:bus",
                               type="health_check", id=request_id)
        self.peer.send_bytes(bad + good)
        self.assertEqual(self.answer_to(request_id)["payload"]["status"], "ok")

    def test_every_malformed_vector_is_survived(self):
        vectors = [v for v in json.loads(VECTORS.read_text(encoding="ascii")) if not v["valid"]]
        self.assertGreater(len(vectors), 50)
        for vector in vectors:
            frame = bytes.fromhex(vector["hex"]) + bytes(vector.get("zeros", 0))
            with self.subTest(vector=vector["name"]), self.swarm.peer("agent:kasra") as kasra:
                kasra.send_bytes(frame)
                if 0 < vector["used"] == len(frame):
                    answer = kasra.expect(lambda r: r["kind"] == ERROR)
                    self.assertEqual(answer["status"], NAMES[vector["status"]], answer)
                elif "before a good one" not in vector["name"]:
                    while kasra.event(5) not in (zmq.EVENT_DISCONNECTED, None):
                        pass

    def test_nesting_bombs_are_refused(self):
        for bomb in (b"\x91" * 100000 + b"\xc0", b"\x81\xa1k" * 60000 + b"\xc0",
                     b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff\xa1k"):
            for target, type_ in (("service:memory", "memory_query"), ("service:bus", "health_check"),
                                  ("service:engine", "chat"), ("service:identity", "identity_list")):
                with self.subTest(bomb=bomb[:4], target=target):
                    sent = self.peer.send(REQUEST, target=target, type=type_, ttl_ms=5000,
                                          raw_payload=bomb)
                    answer = self.answer_to(sent)
                    if target not in ("service:bus", "service:identity"):  # there nothing is read
                        self.assertIn(answer["status"], (INVALID, 1005), answer)
        deep = {}
        for _ in range(100):
            deep = {"k": deep}
        sent = self.peer.send(REQUEST, {}, target="service:bus", type="health_check", metadata=deep)
        self.assert_refused(self.answer_to(sent), INVALID, kind=ERROR)
        self.assert_lives()

    # ---- requests, replies, streams

    def test_a_reply_to_nothing_is_refused(self):
        sent = self.peer.send(REPLY, {"ok": True}, correlation=new_id(), target="agent:victim")
        self.assert_refused(self.answer_to(sent), NOT_FOUND, "request_unknown", ERROR)
        self.assert_lives()

    def test_a_reply_to_the_request_of_another_is_refused(self):
        with self.swarm.peer("agent:victim") as victim:
            waiting = victim.send(REQUEST, {}, target="service:nothing", type="x", ttl_ms=3000)
            sent = self.peer.send(REPLY, {"forged": True}, correlation=waiting, target="agent:victim")
            self.assert_refused(self.answer_to(sent), NOT_FOUND, "request_unknown", ERROR)
            answer = victim.expect(lambda r: r["correlation"] == waiting)
            self.assert_refused(answer, UNAVAILABLE)

    def test_a_request_id_is_used_once(self):
        request_id = new_id()
        for _ in range(2):
            self.peer.send(REQUEST, {}, id=request_id, target="service:nothing", type="x", ttl_ms=5000)
        self.assert_refused(self.answer_to(request_id), ALREADY_EXISTS, "request_id_pending")
        self.assert_refused(self.answer_to(request_id), UNAVAILABLE)  # the first, in its time

    def test_a_service_that_is_not_there_is_503(self):
        started = time.monotonic()
        answer = self.peer.call("service:nothing", "x")
        self.assert_refused(answer, UNAVAILABLE, kind=REPLY)
        self.assertLess(time.monotonic() - started, 5)

    def test_targets_are_services(self):
        for target in ("agent:victim", "user:operator", "squad:all", "service:", "nonsense", "", None):
            with self.subTest(target=target):
                sent = self.peer.send(REQUEST, {}, target=target, type="x", ttl_ms=1000)
                self.assert_refused(self.answer_to(sent, 3), INVALID)

    def test_an_operation_that_is_not_there_is_refused(self):
        self.assert_refused(self.peer.call("service:bus", "reboot"), INVALID, "type_unknown")
        answer = self.peer.call("service:memory", "memory_explode", {})
        self.assertNotEqual(answer["status"] or 0, 0, answer)
        sent = self.peer.send(CONTROL, {}, target="service:bus", type="reboot")
        self.assert_refused(self.answer_to(sent), INVALID, "control_unknown")

    def test_a_millisecond_is_enough_for_an_answer(self):
        for target, type_ in (("service:memory", "memory_query"), ("service:nothing", "x")):
            sent = self.peer.send(REQUEST, {"query": "x", "agent_id": "agent:mallory"}, target=target,
                                  type=type_, ttl_ms=1)
            self.assertIn(self.answer_to(sent, 3)["status"] or 0, (0, TIMEOUT, UNAVAILABLE))

    def test_chunks_without_a_stream_are_ignored(self):
        for seq in (0, 1, 1 << 40):
            self.peer.send(CHUNK, {"x": 1}, correlation=new_id(), seq=seq, target="service:memory")
        self.peer.send(CANCEL, correlation=new_id())
        self.peer.send(CONTROL, correlation=new_id(), type="credit", seq=1 << 30)
        self.assert_lives()

    def test_what_only_the_broker_says_is_refused(self):
        for kind in (sos_wire.DELIVER, sos_wire.EVENT):
            sent = self.peer.send(kind, {}, target="agent:victim")
            self.assert_refused(self.answer_to(sent), NOT_IMPLEMENTED, kind=ERROR)

    # ---- the tap

    def tap(self, capability=None, peer=None, flags=FLAG_STREAM):
        peer = peer or self.peer
        sent = peer.send(REQUEST, {}, target="service:bus", type="tap", flags=flags, ttl_ms=20000,
                         capability=capability if capability is None or isinstance(capability, str)
                         else json.dumps(capability))
        return sent, peer.expect(lambda r: r["correlation"] == sent)

    def grant(self, subject="agent:mallory", key=None, **changes):
        return tokens.make(key or tokens.river_key(self.swarm.home), subject,
                           changes.pop("action", "bus:tap"), changes.pop("resource", "bus:*"),
                           **changes)

    def test_a_tap_needs_a_good_capability(self):
        other = nacl.signing.SigningKey.generate()
        changed = self.grant()
        changed["resource"] = "*"
        for capability, status in (
                (None, CAPABILITY_MISSING), (self.grant(subject="agent:victim"), SCOPE_DENIED),
                (self.grant(expires_in=-10), TOKEN_EXPIRED), (self.grant(key=other), TOKEN_INVALID),
                (changed, TOKEN_INVALID), (self.grant(action="memory:read"), SCOPE_DENIED),
                (self.grant(resource="memory:*"), SCOPE_DENIED), ("{}", INVALID),
                ("not a token", INVALID), (self.grant(uses_remaining=0), SCOPE_DENIED)):
            with self.subTest(status=status), self.swarm.peer("agent:mallory") as peer:
                _, answer = self.tap(capability, peer)
                self.assert_refused(answer, status, kind=REPLY)
        _, answer = self.tap(self.grant(), flags=0)
        self.assert_refused(answer, INVALID, "stream_required")

    def test_a_tap_shows_headers_and_no_token(self):
        token = self.grant()
        sent, chunk = self.tap(token)
        self.assertEqual(chunk["kind"], CHUNK)
        with self.swarm.peer("agent:kasra") as kasra:
            held = self.grant(subject="agent:kasra", action="memory:read", resource="memory:*")
            kasra.call("service:memory", "memory_query",
                       {"query": "a private question", "agent_id": "agent:kasra"},
                       capability=json.dumps(held))
        seen = b""
        records = []
        while not any(record.get("capability") == held["id"] for record in records):
            self.peer.send(CONTROL, correlation=sent, type="credit", seq=1)
            chunk = self.peer.expect(lambda r: r["correlation"] == sent)
            records += chunk["payload"]["records"]
            seen += msgpack.packb(chunk["payload"])
        self.assertNotIn(held["signature"].encode(), seen)
        self.assertNotIn(token["signature"].encode(), seen)
        self.assertNotIn(b"a private question", seen)
        self.peer.send(CANCEL, correlation=sent)
        self.assert_lives()

    def test_tap_checks_are_rate_limited(self):
        forged = json.dumps(self.grant(key=nacl.signing.SigningKey.generate()))
        sent = [self.peer.send(REQUEST, {}, target="service:bus", type="tap", flags=FLAG_STREAM,
                               capability=forged) for _ in range(20)]
        statuses = [self.answer_to(one)["status"] for one in sent]
        self.assertIn(4001, statuses)

    def test_a_tap_that_is_not_read_slows_nobody(self):
        _, chunk = self.tap(self.grant())
        self.assertEqual(chunk["kind"], CHUNK)
        with self.swarm.peer("agent:kasra") as kasra:
            for _ in range(500):
                self.assertEqual(kasra.call("service:bus", "health_check")["payload"]["status"], "ok")

    # ---- floods

    def test_too_many_refusals_cut_the_peer(self):
        for _ in range(150):
            self.peer.send(REQUEST, {}, source="agent:victim", target="service:bus", type="x")
        self.assert_cut()
        self.peer.hello()

    def test_requests_whose_replies_are_not_read(self):
        with self.swarm.peer("agent:mallory", receive_queue=1) as flood:
            for _ in range(FLOOD):
                flood.send(REQUEST, {"query": "x" * 500, "agent_id": "agent:mallory"},
                           target="service:memory", type="memory_query", ttl_ms=20000)
            self.assert_serves()

    def test_requests_that_wait_for_nobody_are_bounded(self):
        sent = [self.peer.send(REQUEST, {"pad": "x" * 1000}, target="service:nothing", type="x",
                               ttl_ms=20000) for _ in range(FLOOD)]
        # Answers beyond what the connection holds are dropped and counted: the peer did not read them.
        ours = set(sent)
        statuses = set()
        while (record := self.peer.receive(2)) is not None:
            if record["correlation"] in ours:
                statuses.add(record["status"])
        self.assertNotEqual(statuses, set())
        self.assertEqual(statuses - {UNAVAILABLE, BUSY, QUOTA_EXCEEDED}, set())

    def test_a_flood_of_hellos(self):
        for _ in range(2000):
            self.peer.send(HELLO, {"version_min": 1, "version_max": 1, "features": ["x" * 200] * 20,
                                   "agent": "flood"})
        with self.swarm.peer("agent:mallory") as another:
            self.assertEqual(another.call("service:bus", "health_check")["payload"]["status"], "ok")

    def test_sessions_that_come_and_go(self):
        for _ in range(50):
            with self.swarm.peer("agent:mallory") as peer:
                peer.send(REQUEST, {}, target="service:nothing", type="x", ttl_ms=20000)
                peer.send(BYE)

    def test_a_frame_of_the_greatest_size_passes(self):
        request_id = new_id()
        ask = lambda size: sos_wire.encode(REQUEST, source="agent:mallory", target="service:bus",
                                           type="health_check", id=request_id,
                                           raw_payload=b"\x81\xa1x\xc6" + size.to_bytes(4, "big") + bytes(size))
        beat = sos_wire.encode(HEARTBEAT, source="agent:mallory", raw_payload=bytes(100000))
        fill = self.peer.welcome["frame_max"] - len(beat) - len(ask(0))
        self.peer.send_bytes(beat + ask(fill))
        self.assertEqual(self.answer_to(request_id)["payload"]["status"], "ok")

    def test_a_flood_does_not_part_the_service_from_the_broker(self):
        """What waits for a service leaves in frames of the greatest size: they have to arrive."""
        before = self.swarm.log().count("lost the broker")
        for _ in range(6):
            with self.swarm.peer("agent:mallory", receive_queue=1) as flood:
                for number in range(FLOOD // 2):
                    flood.send(REQUEST, {"query": "x" * (400 + number % 50), "agent_id": "agent:mallory"},
                               target="service:memory", type="memory_query", ttl_ms=20000)
        self.assert_serves()
        self.assertEqual(self.swarm.log().count("lost the broker"), before)

    def test_a_record_of_the_greatest_size_passes(self):
        answer = self.peer.call("service:memory", "memory_store",
                                {"content": "x", "agent_id": "agent:mallory",
                                 "metadata": {"pad": "y" * 200000}})
        self.assertIn(answer["status"] or 0, (0, 1005, 1006), answer)

    def test_zz_memory_stayed_bounded(self):
        after_kib = self.swarm.memory_kib("broker")
        print(f"\nbroker: {self.before_kib} KiB before, {after_kib} KiB after, most "
              f"{self.swarm.memory_kib('broker', 'VmHWM')} KiB", flush=True)
        self.assertLess(after_kib - self.before_kib, 64 * 1024)


if __name__ == "__main__":
    unittest.main()
