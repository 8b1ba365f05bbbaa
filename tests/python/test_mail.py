# SPDX-License-Identifier: Apache-2.0
"""Sending and receiving mail over losses, redeliveries and slow disks."""

import gc
import threading
import time
import unittest

import mumega
import sos_wire
from fake_broker import FakeBroker, ack_all
from mumega import MumegaClient
from sos_wire import ACK, CONTROL, DELIVER, ERROR, NACK, SEND, SUBSCRIBE, UNSUBSCRIBE


class Sending(unittest.TestCase):
    def setUp(self):
        self.broker = self.enterContext(FakeBroker())
        self.client = MumegaClient(self.broker.connection())
        self.addCleanup(self.client.close)

    def test_a_send_returns_when_it_is_on_disk(self):
        self.broker.rules[SEND] = ack_all
        sent = self.client.bus.send("agent:athena", {"text": "hello"}, type="greeting", ttl_s=60,
                                    metadata={"a": 1}, deliver_at=1735689600.5,
                                    in_reply_to="0192f3a4-b5c6-7d8e-9fa0-b1c2d3e4f506")
        record = self.broker.wait(SEND)[0]
        self.assertEqual(sent, (mumega.wire.id_text(record["id"]), 1, False))
        self.assertEqual((record["target"], record["type"], record["payload"], record["ttl_ms"]),
                         ("agent:athena", "greeting", {"text": "hello"}, 60000))
        self.assertEqual(record["metadata"], {"a": 1, "deliver_at": 1735689600500000})
        self.assertEqual(record["correlation"].hex(), "0192f3a4b5c67d8e9fa0b1c2d3e4f506")

    def test_a_refused_send_says_why(self):
        self.broker.rules[SEND] = lambda broker, record: broker.refuse(record, 4002, "inbox_full", "full")
        with self.assertRaises(mumega.QuotaExceededError) as caught:
            self.client.bus.send("agent:athena", 1)
        self.assertEqual(caught.exception.word, "inbox_full")

    def test_a_known_message_is_a_duplicate(self):
        self.broker.rules[SEND] = lambda broker, record: broker.answer(record, ACK)
        sent = self.client.bus.send("agent:athena", 1, message_id="0192f3a4-b5c6-7d8e-9fa0-b1c2d3e4f506")
        self.assertEqual(sent, ("0192f3a4-b5c6-7d8e-9fa0-b1c2d3e4f506", 0, True))

    def test_unconfirmed_sends_go_again_under_their_ids_and_in_their_order(self):
        futures = [self.client.bus.submit("agent:athena", number) for number in range(100)]
        first = [record["id"] for record in self.broker.wait(SEND, 100)]
        self.broker.stop()
        self.broker.rules[SEND] = ack_all
        self.broker.start()
        results = [future.result(20) for future in futures]
        again = [record["id"] for record in self.broker.wait(SEND, 200)[100:]]
        self.assertEqual(again, first)
        self.assertFalse(any(sent.duplicate for sent in results))
        self.assertEqual(self.broker.count(SEND), 200)

    def test_what_is_sent_while_the_broker_is_away_leaves_when_it_is_back(self):
        self.broker.rules[SEND] = ack_all
        self.broker.stop()
        futures = [self.client.bus.submit("agent:athena", number) for number in range(10)]
        time.sleep(0.2)
        self.broker.start()
        for future in futures:
            future.result(20)
        self.assertEqual([record["payload"] for record in self.broker.wait(SEND, 10)], list(range(10)))

    def test_a_message_that_the_broker_had_before_the_loss_is_no_duplicate_to_its_sender(self):
        future = self.client.bus.submit("agent:athena", 1)
        self.broker.wait(SEND)
        self.broker.stop()
        self.broker.rules[SEND] = lambda broker, record: broker.answer(record, ACK)  # seq 0: it is there
        self.broker.start()
        self.assertFalse(future.result(20).duplicate)

    def test_a_busy_disk_is_tried_again(self):
        seen = []

        def rule(broker, record):
            seen.append(record["id"])
            if len(seen) < 3:
                broker.refuse(record, 1013, "service_busy")
            else:
                ack_all(broker, record)

        self.broker.rules[SEND] = rule
        self.client.bus.send("agent:athena", 1)
        self.assertEqual((len(seen), len(set(seen))), (3, 1))

    def test_no_confirmation_in_time_is_an_unknown_outcome_that_names_the_id(self):
        with self.assertRaises(mumega.UnknownOutcomeError) as caught:
            self.client.bus.send("agent:athena", 1, timeout=0.3)
        self.assertIn(mumega.wire.id_text(self.broker.wait(SEND)[0]["id"]), str(caught.exception))

    def test_nothing_sent_in_time_is_no_connection(self):
        self.broker.stop()
        time.sleep(0.1)
        with self.assertRaises(mumega.ConnectError):
            self.client.bus.send("agent:athena", 1, timeout=0.5)

    def test_too_much_on_its_way_is_busy_and_never_grows(self):
        self.client._way.gate._count_max = 10
        for number in range(10):
            self.client.bus.submit("agent:athena", number)
        with self.assertRaises(mumega.BusyError):
            self.client.bus.submit("agent:athena", 11, timeout=0.2)

    def test_room_comes_back_with_confirmations(self):
        self.broker.rules[SEND] = ack_all
        self.client._way.gate._count_max = 10
        for number in range(500):
            self.client.bus.submit("agent:athena", number)
        self.broker.wait(SEND, 500)

    def test_many_sends_share_frames(self):
        self.broker.rules[SEND] = ack_all
        for future in [self.client.bus.submit("agent:athena", number) for number in range(2000)]:
            future.result(20)
        self.assertEqual([record["payload"] for record in self.broker.wait(SEND, 2000)], list(range(2000)))

    def test_targets_and_ids_are_checked_at_once(self):
        for arguments in ({"to": "kasra"}, {"to": ""}, {"to": "agent:a b"}, {"to": "agent:a", "message_id": "x"},
                          {"to": "agent:a", "in_reply_to": 5}, {"to": "agent:a", "ttl_s": -1},
                          {"to": "agent:a", "deliver_at": -5}, {"to": "agent:a", "payload": object()}):
            with self.assertRaises(mumega.ValidationError):
                self.client.bus.send(**arguments)

    def test_close_waits_for_what_was_submitted(self):
        self.broker.rules[SEND] = ack_all
        futures = [self.client.bus.submit("agent:athena", number) for number in range(300)]
        self.client.close(10)
        self.assertTrue(all(future.result(0).copies == 1 for future in futures))


class Inbox(unittest.TestCase):
    def setUp(self):
        self.broker = self.enterContext(FakeBroker())
        self.broker.rules[SUBSCRIBE] = self.subscribed
        self.broker.rules[ACK] = lambda broker, record: broker.answer(record, ACK, seq=len(record["payload"]))
        self.broker.rules[NACK] = ack_all
        self.broker.rules[UNSUBSCRIBE] = ack_all
        self.waiting = []  # (id, payload) to be delivered at each subscribe
        self.peer = None
        self.client = MumegaClient(self.broker.connection())
        self.addCleanup(self.client.close)

    def subscribed(self, broker, record):
        self.peer = record
        broker.answer(record, ACK, seq=len(self.waiting))
        for id_, payload in self.waiting:
            self.deliver(id_, payload)

    def deliver(self, id_, payload, attempt=1, **fields):
        fields.setdefault("source", "agent:athena")
        self.broker.say(self.peer, DELIVER, payload, id=id_, type="message", seq=1, attempt=attempt,
                        target="agent:kasra", **fields)

    def ids(self, count):
        ids = [sos_wire.new_id() for _ in range(count)]
        self.waiting = [(id_, number) for number, id_ in enumerate(ids)]
        return ids

    def acked(self):
        return [id_ for record in self.broker.records if record["kind"] == ACK for id_ in record["payload"]]

    def wait_acked(self, count):
        self.broker.wait(ACK, 1)
        end = time.monotonic() + 10
        while len(self.acked()) < count:
            self.assertLess(time.monotonic(), end, f"{len(self.acked())} acked")
            time.sleep(0.005)
        return self.acked()

    def test_messages_come_and_are_acknowledged(self):
        ids = self.ids(3)
        inbox = self.client.bus.inbox(window=16)
        self.assertEqual(inbox.waiting, 3)
        self.assertEqual(self.broker.wait(SUBSCRIBE)[0]["payload"],
                         {"inbox": "agent:kasra", "window": 16, "ack_ms": 10000})
        for number, message in zip(range(3), inbox):
            self.assertEqual((message.source, message.type, message.payload, message.attempt, message.target),
                             ("agent:athena", "message", number, 1, "agent:kasra"))
            message.ack()
        self.assertEqual(self.wait_acked(3), ids)
        self.assertTrue(all(record["flags"] & sos_wire.FLAG_CONFIRM for record in self.broker.wait(ACK)))

    def test_acks_gather_in_few_records(self):
        self.ids(1000)
        inbox = self.client.bus.inbox(window=1024)
        messages = [next(inbox) for _ in range(1000)]
        for message in messages:
            message.ack()
        self.assertEqual(len(set(self.wait_acked(1000))), 1000)
        self.assertTrue(all(len(record["payload"]) <= 256 for record in self.broker.wait(ACK)))
        self.assertLess(self.broker.count(ACK), 500)

    def test_a_block_acknowledges_or_gives_back(self):
        ids = self.ids(2)
        inbox = self.client.bus.inbox()
        with next(inbox):
            pass
        with self.assertRaises(ZeroDivisionError), next(inbox):
            1 / 0
        self.assertEqual(self.wait_acked(1), ids[:1])
        nack = self.broker.wait(NACK)[0]["payload"]
        self.assertEqual((nack["ids"], nack["reason"]), (ids[1:], "ZeroDivisionError: division by zero"))

    def test_nack_may_delay_or_bury(self):
        ids = self.ids(2)
        inbox = self.client.bus.inbox()
        next(inbox).nack("later", delay_s=1.5)
        next(inbox).nack("x" * 1000, dead=True)
        first, second = (record["payload"] for record in self.broker.wait(NACK, 2))
        self.assertEqual(first, {"ids": ids[:1], "reason": "later", "delay_ms": 1500})
        self.assertEqual((second["dead"], len(second["reason"])), (True, 512))

    def test_a_redelivered_message_is_handled_once(self):
        [id_] = self.ids(1)
        inbox = self.client.bus.inbox()
        message = next(inbox)
        self.deliver(id_, 0, attempt=2)  # while it is being handled
        self.assertIsNone(inbox.get(0.1))
        message.ack()
        self.wait_acked(1)
        self.deliver(id_, 0, attempt=3)  # afterwards: the ack was lost
        self.assertEqual(self.wait_acked(2), [id_, id_])
        self.assertIsNone(inbox.get(0.1))

    def test_a_message_that_is_given_back_comes_again(self):
        [id_] = self.ids(1)
        inbox = self.client.bus.inbox()
        next(inbox).nack()
        self.broker.wait(NACK)
        self.deliver(id_, 0, attempt=2)
        self.assertEqual(inbox.get(5).attempt, 2)

    def test_a_dropped_message_is_let_go(self):
        [id_] = self.ids(1)
        inbox = self.client.bus.inbox()
        message = next(inbox)
        del message
        gc.collect()
        self.assertIsNone(inbox.get(0.1))
        self.deliver(id_, 0, attempt=2)
        self.assertEqual(inbox.get(5).attempt, 2)

    def test_after_a_loss_nothing_is_handled_twice_and_acks_are_said_again(self):
        ids = self.ids(4)
        self.broker.rules[ACK] = lambda broker, record: None  # the disk never answers
        inbox = self.client.bus.inbox()
        next(inbox).ack()
        in_hand = next(inbox)
        self.wait_acked(1)
        self.broker.stop()
        self.broker.rules[ACK] = lambda broker, record: broker.answer(record, ACK, seq=1)
        self.broker.start()
        self.assertEqual(self.wait_acked(2)[:2], [ids[0], ids[0]])
        self.broker.wait(SUBSCRIBE, 2)  # delivers all four again
        rest = [inbox.get(5), inbox.get(5)]
        self.assertEqual([message.payload for message in rest], [2, 3])
        in_hand.ack()
        for message in rest:
            message.ack()
        self.assertIsNone(inbox.get(0.2))
        self.wait_acked(5)
        self.assertEqual(set(self.acked()), set(ids))

    def test_unconfirmed_acks_are_said_again_even_if_nothing_is_redelivered(self):
        ids = self.ids(2)
        self.broker.rules[ACK] = lambda broker, record: None  # the disk never answers
        inbox = self.client.bus.inbox()
        for message in (next(inbox), next(inbox)):
            message.ack()
        self.wait_acked(2)
        self.broker.stop()
        self.waiting = []
        self.broker.start()
        self.assertEqual(set(self.wait_acked(4)[2:]), set(ids))

    def test_a_nack_that_was_not_confirmed_is_said_again(self):
        ids = self.ids(1)
        self.broker.rules[NACK] = lambda broker, record: None
        next(self.client.bus.inbox()).nack("no", dead=True)
        self.broker.wait(NACK)
        self.broker.stop()
        self.waiting = []
        self.broker.start()
        self.assertEqual(self.broker.wait(NACK, 2)[1]["payload"], {"ids": ids, "reason": "no", "dead": True})

    def test_what_nobody_took_before_a_loss_is_left_to_others(self):
        self.ids(3)
        inbox = self.client.bus.inbox()
        in_hand = next(inbox)
        self.broker.stop()
        self.waiting = []  # another session of this agent has them now
        self.broker.start()
        self.broker.wait(SUBSCRIBE, 2)
        self.assertIsNone(inbox.get(0.2))
        in_hand.ack()
        self.wait_acked(1)

    def test_leases_are_renewed_while_a_message_is_handled(self):
        ids = self.ids(2)
        inbox = self.client.bus.inbox(ack_s=1)
        message = next(inbox)
        extends = self.broker.wait(CONTROL, 2)
        self.assertEqual({(record["type"], tuple(record["payload"]["ids"]), record["payload"]["ms"]) for record in extends},
                         {("extend", (ids[0],), 1000)})
        message.ack()
        self.broker.wait(CONTROL, matches=lambda record: record["payload"]["ids"] == ids[1:])

    def test_a_message_that_is_handled_for_too_long_is_not_renewed(self):
        self.ids(1)
        inbox = self.client.bus.inbox(ack_s=1, handling_s=0.1)
        message = next(inbox)
        time.sleep(1)
        self.assertEqual(self.broker.count(CONTROL), 0)
        message.ack()

    def test_leaving_the_inbox_gives_back_what_was_not_taken(self):
        self.ids(2)
        with self.client.bus.inbox() as inbox:
            message = next(inbox)
        self.assertEqual(self.broker.wait(UNSUBSCRIBE)[0]["payload"], {"inbox": "agent:kasra"})
        message.ack()  # still counts
        self.wait_acked(1)
        self.assertEqual(list(inbox), [])

    def test_breaking_out_of_a_loop_closes_a_nameless_inbox(self):
        self.ids(2)
        for message in self.client.bus.inbox():
            message.ack()
            break
        del message
        self.broker.wait(UNSUBSCRIBE)

    def test_opening_again_ends_the_one_before_and_loses_nothing(self):
        self.ids(2)
        first = self.client.bus.inbox()
        time.sleep(0.1)
        self.waiting = []
        second = self.client.bus.inbox()
        self.assertEqual([next(second).payload, next(second).payload], [0, 1])
        self.assertEqual(list(first), [])

    def test_no_permission_is_told(self):
        self.broker.rules[SUBSCRIBE] = lambda broker, record: broker.refuse(record, 2006, "missing_capability")
        with self.assertRaises(mumega.errors.CapabilityMissingError):
            self.client.bus.inbox()

    def test_a_window_beyond_the_agreed_one_is_not_kept(self):
        inbox = self.client.bus.inbox(window=2)
        for number in range(5):
            self.deliver(sos_wire.new_id(), number)
        time.sleep(0.2)
        self.assertEqual([inbox.get(1).payload, inbox.get(1).payload], [0, 1])
        self.assertIsNone(inbox.get(0.1))

    def test_a_payload_that_is_no_msgpack_is_told_when_it_is_read(self):
        inbox = self.client.bus.inbox()
        self.broker.say(self.peer, DELIVER, raw_payload=b"\xc1", id=sos_wire.new_id(), type="x", seq=1,
                        source="agent:athena", target="agent:kasra")
        message = next(inbox)
        with self.assertRaises(mumega.ProtocolError):
            message.payload
        message.nack("unreadable", dead=True)

    def test_a_reply_names_what_it_answers(self):
        self.broker.rules[SEND] = ack_all
        [id_] = self.ids(1)
        next(self.client.bus.inbox()).reply({"ok": True})
        record = self.broker.wait(SEND)[0]
        self.assertEqual((record["target"], record["correlation"]), ("agent:athena", id_))

    def test_the_end_of_the_client_ends_the_loop(self):
        inbox = self.client.bus.inbox()
        threading.Timer(0.1, self.client.close).start()
        self.assertEqual(list(inbox), [])

    def test_an_acknowledgement_can_be_awaited(self):
        self.ids(1)
        next(self.client.bus.inbox()).ack_confirmed()
        self.assertEqual(self.broker.count(ACK), 1)

    def test_a_refused_acknowledgement_is_told_to_who_waits(self):
        self.ids(1)
        self.broker.rules[ACK] = lambda broker, record: broker.refuse(record, 1011, "storage_full", kind=ERROR)
        message = next(self.client.bus.inbox())
        with self.assertLogs("mumega", "WARNING"), self.assertRaises(mumega.errors.StoreFailedError):
            message.ack_confirmed()


if __name__ == "__main__":
    unittest.main()
