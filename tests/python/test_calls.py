# SPDX-License-Identifier: Apache-2.0
"""Calls and streams of a client, against a broker that says what the test wants."""

import gc
import threading
import time
import unittest

import mumega
import sos_wire
from fake_broker import FakeBroker
from mumega import MumegaClient
from sos_wire import ACK, BYE, CANCEL, CHUNK, CONTROL, ERROR, HEARTBEAT, HELLO, REPLY, REQUEST


def echo(broker, record):
    """A rule: every request is answered with what it asked."""
    broker.answer(record, REPLY, {"type": record["type"], "asked": record["payload"]}, source=record["target"])


class Calls(unittest.TestCase):
    def setUp(self):
        self.broker = self.enterContext(FakeBroker())

    def client(self, **options):
        client = MumegaClient(self.broker.connection(), **options)
        self.addCleanup(client.close)
        return client

    def test_a_call_gives_its_answer(self):
        self.broker.rules[REQUEST] = echo
        answer = self.client().request("x", "ping", {"a": 1})
        self.assertEqual(answer, {"type": "ping", "asked": {"a": 1}})
        request = self.broker.wait(REQUEST)[0]
        self.assertEqual((request["target"], request["source"]), ("service:x", "agent:kasra"))
        self.assertTrue(29000 < request["ttl_ms"] <= 30000)

    def test_typed_methods_send_what_the_contract_names(self):
        self.broker.rules[REQUEST] = echo
        client = self.client()
        client.memory.store("the sky is blue", importance=0.9, idempotency_key="k-1", timeout=7)
        request = self.broker.wait(REQUEST)[0]
        self.assertEqual((request["type"], request["payload"]),
                         ("memory_store", {"content": "the sky is blue", "importance": 0.9, "agent_id": "agent:kasra"}))
        self.assertEqual(request["metadata"], {"idempotency_key": "k-1"})
        self.assertEqual(request["flags"], sos_wire.FLAG_IDEMPOTENT | 8)
        self.assertTrue(6000 < request["ttl_ms"] <= 7000)

    def test_a_refusal_is_raised_as_its_class(self):
        self.broker.rules[REQUEST] = lambda broker, record: broker.refuse(record, 3001, "memory_not_found", kind=REPLY)
        with self.assertRaises(mumega.NotFoundError) as caught:
            self.client().memory.get("x")
        self.assertEqual(caught.exception.word, "memory_not_found")

    def test_an_error_record_ends_its_call(self):
        self.broker.rules[REQUEST] = lambda broker, record: broker.refuse(record, 2002, "source_forged")
        with self.assertRaises(mumega.ForbiddenError):
            self.client().memory.get("x")

    def test_no_answer_is_a_deadline_and_a_cancel(self):
        client = self.client()
        with self.assertRaises(mumega.DeadlineError):
            client.request("x", "ping", timeout=0.2)
        cancel = self.broker.wait(CANCEL)[0]
        self.assertEqual(cancel["correlation"], self.broker.wait(REQUEST)[0]["id"])

    def test_a_capability_goes_with_the_call_and_is_shown_nowhere(self):
        self.broker.rules[REQUEST] = echo
        asked = []

        def token(operation):
            asked.append(operation.name)
            return {"id": "cap_1", "signature": "secret"}

        client = self.client(capability=token)
        client.memory.stats()
        client.memory.stats(capability='{"id": "cap_2"}')
        tokens = [record["capability"] for record in self.broker.wait(REQUEST, 2)]
        self.assertEqual(tokens, ['{"id": "cap_1", "signature": "secret"}', '{"id": "cap_2"}'])
        self.assertEqual(asked, ["stats"])
        self.assertNotIn("secret", repr(client) + repr(vars(client)))

    def test_an_idempotent_call_is_sent_again_when_the_service_was_away(self):
        answers = iter([1003, 1013, 0])

        def rule(broker, record):
            status = next(answers)
            if status:
                broker.refuse(record, status, "service_busy", kind=REPLY)
            else:
                broker.answer(record, REPLY, {"memories": 1})

        self.broker.rules[REQUEST] = rule
        self.assertEqual(self.client().memory.stats(), {"memories": 1})
        self.assertEqual(len({record["id"] for record in self.broker.wait(REQUEST, 3)}), 1)

    def test_a_write_is_not(self):
        self.broker.rules[REQUEST] = lambda broker, record: broker.refuse(record, 1003, "service_unavailable", kind=REPLY)
        with self.assertRaises(mumega.UnavailableError):
            self.client().memory.store("x")
        self.assertEqual(self.broker.count(REQUEST), 1)

    def test_a_lost_session_makes_a_write_unknown_and_repeats_an_idempotent_call(self):
        client = self.client()
        results = {}

        def call(name, function):
            try:
                results[name] = function()
            except mumega.MumegaError as error:
                results[name] = error

        threads = [threading.Thread(target=call, args=("write", lambda: client.memory.store("x"))),
                   threading.Thread(target=call, args=("read", lambda: client.memory.stats(timeout=20)))]
        for thread in threads:
            thread.start()
        before = self.broker.wait(REQUEST, 2)
        self.broker.stop()
        self.broker.rules[REQUEST] = echo
        self.broker.start()
        for thread in threads:
            thread.join(20)
        self.assertIsInstance(results["write"], mumega.UnknownOutcomeError)
        self.assertEqual(results["read"]["type"], "memory_stats")
        again = self.broker.wait(REQUEST, 3)[2]
        self.assertIn(again["id"], [record["id"] for record in before if record["type"] == "memory_stats"])

    def test_hello_required_begins_the_session_anew(self):
        client = self.client()
        self.broker.rules[REQUEST] = lambda broker, record: (
            broker.say(record, CONTROL, type="hello_required") if broker.hellos == 1 else echo(broker, record))
        self.assertEqual(client.memory.stats()["type"], "memory_stats")
        self.assertEqual(self.broker.hellos, 2)

    def test_calls_beyond_what_the_broker_takes_wait_their_turn(self):
        broker = self.enterContext(FakeBroker(requests_max=2))
        held = []
        broker.rules[REQUEST] = lambda broker, record: held.append(record)
        client = MumegaClient(broker.connection())
        self.addCleanup(client.close)
        threads = [threading.Thread(target=client.memory.stats) for _ in range(5)]
        for thread in threads:
            thread.start()
        for done in range(5):
            broker.wait(REQUEST, min(done + 2, 5))
            self.assertLessEqual(len(held) - done, 2)
            echo(broker, held[done])
        for thread in threads:
            thread.join(10)
            self.assertFalse(thread.is_alive())

    def test_heartbeats_go_on_while_the_user_works(self):
        broker = self.enterContext(FakeBroker(heartbeat_ms=300))
        client = MumegaClient(broker.connection())
        self.addCleanup(client.close)
        end = time.monotonic() + 1
        while time.monotonic() < end:
            sum(range(1000))
        broker.wait(HEARTBEAT, 3)
        self.assertEqual(broker.hellos, 1)

    def test_a_silent_broker_is_lost_and_greeted_again(self):
        broker = self.enterContext(FakeBroker(heartbeat_ms=50))
        broker.rules[HEARTBEAT] = lambda broker, record: None
        client = MumegaClient(broker.connection())
        self.addCleanup(client.close)
        broker.wait(HELLO, 2)

    def test_close_says_bye_and_ends_what_waits(self):
        client = self.client()
        failed = []

        def call():
            try:
                client.memory.stats()
            except mumega.MumegaError as error:
                failed.append(error)

        thread = threading.Thread(target=call)
        thread.start()
        self.broker.wait(REQUEST)
        client.close(0)
        thread.join(10)
        self.assertTrue(failed)
        self.broker.wait(BYE)
        with self.assertRaises(mumega.ClosedError):
            client.memory.stats()
        client.close()

    def test_a_forgotten_client_ends_its_thread(self):
        client = MumegaClient(self.broker.connection())
        thread = client._way.link._thread
        del client
        gc.collect()
        thread.join(10)
        self.assertFalse(thread.is_alive())

    def test_nobody_there_is_told_from_a_key_that_does_not_fit(self):
        connection = self.broker.connection()
        with self.assertRaises(mumega.HandshakeError):
            MumegaClient({**connection, "broker_public_key": self.broker.keys[0].decode()}, connect_timeout=1)
        self.broker.stop()
        with self.assertRaises(mumega.ConnectError) as caught:
            MumegaClient(connection, connect_timeout=1)
        self.assertNotIsInstance(caught.exception, mumega.HandshakeError)

    def test_a_refused_hello_is_told(self):
        self.broker.rules[HELLO] = lambda broker, record: broker.refuse(record, 2002, "source_forged", "not yours")
        with self.assertRaises(mumega.ForbiddenError) as caught:
            MumegaClient(self.broker.connection())
        self.assertEqual(caught.exception.word, "source_forged")
        client = MumegaClient(self.broker.connection(), connect_timeout=0)
        self.addCleanup(client.close)
        self.broker.wait(HELLO, 2)
        time.sleep(0.5)
        self.assertEqual(self.broker.count(HELLO), 2)  # not again and again
        with self.assertRaises(mumega.ForbiddenError):
            client.memory.stats()

    def test_a_hello_that_the_broker_is_too_busy_for_is_said_again(self):
        self.broker.rules[HELLO] = lambda broker, record: (
            broker.refuse(record, 1013, "service_busy") if broker.hellos == 0 else broker.greet(record))
        self.client()
        self.assertEqual(len({record["id"] for record in self.broker.wait(HELLO, 2)}), 1)

    def test_what_cannot_be_packed_names_the_payload(self):
        client = self.client()
        with self.assertRaises(mumega.ValidationError):
            client.memory.store("x", metadata={"a": object()})
        with self.assertRaises(mumega.ValidationError) as caught:
            client.memory.store("x" * 300000)
        self.assertEqual(caught.exception.word, "payload_too_large")


class Streams(unittest.TestCase):
    def setUp(self):
        self.broker = self.enterContext(FakeBroker())
        self.client = MumegaClient(self.broker.connection())
        self.addCleanup(self.client.close)

    def chunk(self, request, seq, value):
        # The C side writes no 0: a missing seq is the first.
        self.broker.answer(request, CHUNK, {"chunk": value}, seq=seq or None, source=request["target"])

    def test_chunks_come_in_order_and_the_answer_after_them(self):
        def rule(broker, record):
            for seq in range(3):
                self.chunk(record, seq, str(seq))
            broker.answer(record, REPLY, {"content": "012"})

        self.broker.rules[REQUEST] = rule
        stream = self.client.chat.stream("hello")
        self.assertEqual([chunk["chunk"] for chunk in stream], ["0", "1", "2"])
        self.assertEqual(stream.answer, {"content": "012"})
        self.assertEqual(self.broker.wait(REQUEST)[0]["flags"] & sos_wire.FLAG_STREAM, sos_wire.FLAG_STREAM)

    def test_credit_is_given_as_chunks_are_read(self):
        self.broker.rules[REQUEST] = lambda broker, record: [self.chunk(record, seq, "x") for seq in range(32)]
        stream = self.client.chat.stream("hello")
        for _ in range(15):
            next(stream)
        self.assertEqual(self.broker.count(CONTROL), 0)
        next(stream)
        credit = self.broker.wait(CONTROL)[0]
        self.assertEqual((credit["type"], credit["seq"], credit["correlation"]),
                         ("credit", 16, self.broker.wait(REQUEST)[0]["id"]))

    def test_closing_a_stream_cancels_the_call(self):
        self.broker.rules[REQUEST] = lambda broker, record: self.chunk(record, 0, "x")
        with self.client.chat.stream("hello") as stream:
            next(stream)
        self.assertEqual(self.broker.wait(CANCEL)[0]["correlation"], self.broker.wait(REQUEST)[0]["id"])
        with self.assertRaises(mumega.ClosedError):
            next(stream)

    def test_a_stream_that_is_dropped_is_cancelled(self):
        stream = self.client.chat.stream("hello")
        self.broker.wait(REQUEST)
        del stream
        self.broker.wait(CANCEL)

    def test_chunks_out_of_order_or_without_credit_end_the_stream(self):
        for number, seqs in enumerate(((0, 2), (1,), (0, 0), range(33)), 1):
            with self.subTest(seqs=seqs):
                self.broker.rules[REQUEST] = lambda broker, record, seqs=seqs: [
                    self.chunk(record, seq, "x") for seq in seqs]
                stream = self.client.chat.stream("hello")
                request = self.broker.wait(REQUEST, number)[-1]
                self.broker.wait(CANCEL, matches=lambda record, wanted=request["id"]: record["correlation"] == wanted)
                with self.assertRaises(mumega.ProtocolError):
                    list(stream)

    def test_a_failure_comes_behind_the_chunks(self):
        def rule(broker, record):
            self.chunk(record, 0, "x")
            broker.refuse(record, 5004, "generation_failed", kind=REPLY)

        self.broker.rules[REQUEST] = rule
        stream = self.client.chat.stream("hello")
        self.assertEqual(next(stream)["chunk"], "x")
        with self.assertRaises(mumega.errors.GenerationFailedError):
            next(stream)

    def test_a_chunk_for_a_plain_call_is_refused(self):
        self.broker.rules[REQUEST] = lambda broker, record: self.chunk(record, 0, "x")
        with self.assertRaises(mumega.ProtocolError):
            self.client.memory.stats()

    def test_an_ack_for_a_call_is_refused(self):
        self.broker.rules[REQUEST] = lambda broker, record: broker.answer(record, ACK)
        with self.assertRaises(mumega.ProtocolError):
            self.client.memory.stats()

    def test_errors_without_a_call_are_only_logged(self):
        self.broker.rules[REQUEST] = lambda broker, record: (
            broker.say(record, ERROR, {"message": "x"}, status=2002, correlation=sos_wire.new_id()), echo(broker, record))
        with self.assertLogs("mumega", "WARNING"):
            self.client.memory.stats()


if __name__ == "__main__":
    unittest.main()
