# SPDX-License-Identifier: Apache-2.0
"""A broker that lies: every answer ends in a clear exception within its time; nothing hangs, crashes or grows."""

import concurrent.futures
import os
import resource
import time
import unittest

import msgpack
import mumega
import sos_wire
from fake_broker import FakeBroker, ack_all
from mumega import MumegaClient
from sos_wire import ACK, CHUNK, CONTROL, DELIVER, ERROR, EVENT, HELLO, REPLY, REQUEST, SEND, SUBSCRIBE

GARBAGE = [b"", b"\0", b"\xff" * 100, b"\0\0\0\0", b"\0\0\0\2\0\0", b"\0\0\0\5\0\xff\0\0\0", os.urandom(1000),
           sos_wire.encode(REPLY, source="nobody"), sos_wire.encode(REPLY, source="service:bus", id=b"short"),
           b"\0\0\0\x04\x00\x02\xc1\xc1", b"\x7f\xff\xff\xff" + bytes(1000), b"HTTP/1.1 200 OK\r\n\r\n"]


class Hostile(unittest.TestCase):
    def setUp(self):
        self.broker = self.enterContext(FakeBroker())

    def client(self, **options):
        client = MumegaClient(self.broker.connection(), **options)
        self.addCleanup(client.close)
        return client

    def test_garbage_before_an_answer_is_passed_over(self):
        def rule(broker, record):
            for frame in GARBAGE:
                broker.say_bytes(record, frame)
            broker.answer(record, REPLY, {"ok": True})

        self.broker.rules[REQUEST] = rule
        client = self.client()
        with self.assertLogs("mumega", "WARNING"):
            self.assertEqual(client.memory.stats(), {"ok": True})
        self.assertGreater(client._way.link.session.faults, 5)

    def test_garbage_instead_of_a_welcome_ends_in_no_connection(self):
        for welcome in ([1], {}, {"version": 2, "epoch": 1}, {"version": 1}, {"version": 1, "epoch": "x"}, "x", None):
            with self.subTest(welcome=welcome):
                self.broker.rules[HELLO] = lambda broker, record, welcome=welcome: broker.answer(record, HELLO, welcome)
                with self.assertRaises(mumega.ConnectError), self.assertLogs("mumega", "WARNING"):
                    self.client(connect_timeout=0.3)

    def test_absurd_limits_are_brought_within_bounds(self):
        broker = self.enterContext(FakeBroker(record_max=2**63, stream_credit=-5, requests_max="many", heartbeat_ms=0,
                                              frame_max=None))
        broker.rules[REQUEST] = lambda broker, record: broker.answer(record, REPLY, 1)
        with MumegaClient(broker.connection()) as client:
            limits = client._way.link.session.limits
            self.assertEqual((limits.record_max, limits.stream_credit, limits.requests_max, limits.heartbeat_s),
                             (262144, 1, 1024, 0.05))
            self.assertEqual(client.memory.stats(), 1)

    def test_payloads_of_wrong_types_are_errors_of_the_call(self):
        for raw in (b"\xc1", b"\x81", b"\xdd\xff\xff\xff\xff", b"\x91" * 2000 + b"\xc0", b"\x01\x01"):
            with self.subTest(raw=raw[:8]):
                self.broker.rules[REQUEST] = lambda broker, record, raw=raw: broker.answer(record, REPLY, raw_payload=raw)
                with self.assertRaises(mumega.ProtocolError):
                    self.client().memory.stats()

    def test_errors_of_any_form_are_errors_of_the_call(self):
        for status, payload in ((1, 5), (2**32 - 1, {"message": [1]}), (3001, None), (1002, {"detail": 1, "context": 5})):
            self.broker.rules[REQUEST] = lambda broker, record, status=status, payload=payload: \
                broker.answer(record, ERROR, payload, status=status)
            with self.assertRaises(mumega.MumegaError):
                self.client().memory.stats()

    def test_answers_nobody_asked_for_are_passed_over(self):
        def rule(broker, record):
            for kind in range(1, 19):
                if kind != HELLO:
                    for fields in ({}, {"correlation": sos_wire.new_id()}, {"correlation": record["id"], "status": 7,
                                                                           "type": "credit"} if kind == CONTROL else {}):
                        if kind != sos_wire.BYE:
                            broker.say(record, kind, {"dropped": -1}, **fields)
            broker.answer(record, REPLY, {"ok": True})

        self.broker.rules[REQUEST] = rule
        self.assertEqual(self.client().memory.stats(), {"ok": True})

    def test_every_kind_as_the_answer_to_everything(self):
        def rule(broker, record):
            kind = int(record["type"][len("kind"):])
            broker.answer(record, kind, [1], status=7)

        self.broker.rules[REQUEST] = self.broker.rules[SEND] = rule
        client = self.client()

        def ask(kind, is_mail):
            started = time.monotonic()
            try:
                if is_mail:
                    client.bus.send("agent:b", 1, type=f"kind{kind}", timeout=0.5)
                else:
                    client.request("x", f"kind{kind}", timeout=0.5)
            except mumega.MumegaError:
                return time.monotonic() - started
            return None

        with concurrent.futures.ThreadPoolExecutor(40) as pool:
            asked = [pool.submit(ask, kind, is_mail) for kind in range(2, 19) if kind not in (sos_wire.BYE, ACK)
                     for is_mail in (False, True)]
            for future in asked:
                self.assertLess(future.result(20), 10)

    def test_mail_and_events_of_wrong_forms_do_not_end_the_loop(self):
        def subscribed(broker, record):
            broker.answer(record, ACK, seq=2**64 - 1)
            if "inbox" not in record["payload"]:
                return
            for fields in ({"seq": 0}, {"timestamp": 2**64 - 1}, {"ttl_ms": 2**32 - 1}, {"trace": bytes(24)},
                           {"metadata": {1: 2}}, {"attempt": 2**32 - 1}, {"target": "squad:x"}):
                broker.say(record, DELIVER, {"a": 1}, **{"id": sos_wire.new_id(), **fields})
            broker.say(record, EVENT, {"a": 1}, target=None, seq=None)
            broker.say(record, EVENT, {"a": 1}, target="squad:x", seq=2**64 - 1)

        self.broker.rules[SUBSCRIBE] = subscribed
        self.broker.rules[ACK] = ack_all
        client = self.client()
        subscription = client.bus.subscribe("squad:x", after=0)
        inbox = client.bus.inbox()
        for _ in range(7):
            message = inbox.get(5)
            self.assertEqual(message.payload, {"a": 1})
            repr((message.sent_at, message.expires_in_s, message.trace_id, message.metadata, message))
            message.ack()
        self.assertEqual(subscription.get(5).seq, 2**64 - 1)

    def test_a_frame_beyond_the_limit_costs_the_connection_and_no_memory(self):
        def rule(broker, record):
            if broker.hellos == 1:
                broker.say_bytes(record, bytes(64 * 1024 * 1024))
            else:
                broker.answer(record, REPLY, {"ok": True})

        self.broker.rules[REQUEST] = rule
        client = self.client()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        self.assertEqual(client.memory.stats(), {"ok": True})
        # The test's own broker holds the 64 MiB; the client adds none to them.
        self.assertLess(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, 200 * 1024)

    def test_an_endless_flood_does_not_starve_a_call_and_is_not_kept(self):
        def rule(broker, record):
            flood = sos_wire.encode(CHUNK, "x" * 1000, source="service:bus", correlation=sos_wire.new_id()) * 60
            for _ in range(300):
                broker.say_bytes(record, flood)
            broker.answer(record, REPLY, {"ok": True})

        self.broker.rules[REQUEST] = rule
        client = self.client()
        self.assertEqual(client.memory.stats(timeout=20), {"ok": True})
        self.assertEqual(len(client._way.link.session.pending), 0)

    def test_hello_required_for_ever_ends_with_the_deadline(self):
        self.broker.rules[REQUEST] = lambda broker, record: broker.say(record, CONTROL, type="hello_required")
        started = time.monotonic()
        with self.assertRaises(mumega.MumegaError):
            self.client().memory.stats(timeout=1)
        self.assertLess(time.monotonic() - started, 5)
        self.assertLess(self.broker.hellos, 30)

    def test_a_function_for_tokens_that_fails_says_so_and_harms_nothing(self):
        self.broker.rules[SUBSCRIBE] = lambda broker, record: broker.answer(record, ACK, seq=1)

        def token(operation):
            raise RuntimeError("no token today")

        client = self.client(capability=token)
        with self.assertRaises(RuntimeError):
            client.memory.stats()
        with self.assertLogs("mumega", "WARNING"):
            client.bus.subscribe("squad:x")
        for capability in (5, "x" * 9000, "not base64!", {"a": object()}):
            with self.assertRaises((mumega.ValidationError, TypeError)):
                client.memory.stats(capability=capability)

    def test_a_huge_answer_is_still_one_answer(self):
        rows = [{"n": number} for number in range(20000)]
        self.assertLess(len(msgpack.packb(rows)), 200000)
        self.broker.rules[REQUEST] = lambda broker, record: broker.answer(record, REPLY, rows)
        self.assertEqual(len(self.client().memory.stats()), 20000)


class Fork(unittest.TestCase):
    def test_a_child_is_told_to_make_its_own_client(self):
        with FakeBroker() as broker, MumegaClient(broker.connection()) as client:
            reader, writer = os.pipe()
            pid = os.fork()
            if pid == 0:
                try:
                    client.memory.stats()
                except mumega.ClosedError as error:
                    os.write(writer, str(error).encode())
                finally:
                    client.close()
                    os._exit(0)
            os.close(writer)
            os.waitpid(pid, 0)
            self.assertIn(b"forked", os.read(reader, 1000))
            os.close(reader)
            broker.rules[REQUEST] = lambda broker, record: broker.answer(record, REPLY, 1)
            self.assertEqual(client.memory.stats(), 1)


if __name__ == "__main__":
    unittest.main()
