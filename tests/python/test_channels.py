# SPDX-License-Identifier: Apache-2.0
"""Subscriptions and events over losses and slow readers."""

import time
import unittest

import mumega
import sos_wire
from fake_broker import FakeBroker
from mumega import MumegaClient, channels
from sos_wire import ACK, CONTROL, EVENT, PUBLISH, SUBSCRIBE, UNSUBSCRIBE


class Subscribing(unittest.TestCase):
    def setUp(self):
        self.broker = self.enterContext(FakeBroker())
        self.last = 0
        self.broker.rules[SUBSCRIBE] = self.subscribed
        self.broker.rules[UNSUBSCRIBE] = lambda broker, record: broker.answer(record, ACK)
        self.client = MumegaClient(self.broker.connection())
        self.addCleanup(self.client.close)

    def subscribed(self, broker, record):
        self.peer = record
        broker.answer(record, ACK, seq=self.last)

    def say(self, seq, channel="squad:x", payload=None):
        self.broker.say(self.peer, EVENT, payload, id=sos_wire.new_id(), source="agent:athena", type="news", seq=seq,
                        target=channel)

    def test_events_come_with_what_was_said(self):
        subscription = self.client.bus.subscribe("squad:x")
        self.say(1, payload={"n": 1})
        event = next(subscription)
        self.assertEqual((event.channel, event.seq, event.source, event.type, event.payload, event.missed),
                         ("squad:x", 1, "agent:athena", "news", {"n": 1}, 0))
        self.assertEqual(self.broker.wait(SUBSCRIBE)[0]["payload"], {"channel": "squad:x"})

    def test_history_is_asked_for_by_number(self):
        self.client.bus.subscribe("squad:x", after=0)
        self.assertEqual(self.broker.wait(SUBSCRIBE)[0]["payload"], {"channel": "squad:x", "after": 0})

    def test_after_a_loss_it_goes_on_where_it_was(self):
        self.last = 7
        quiet, loud, pattern = (self.client.bus.subscribe(name) for name in ("squad:quiet", "squad:loud", "squad:*"))
        self.say(8, "squad:loud")
        self.say(9, "squad:loud")
        self.assertEqual([next(loud).seq, next(loud).seq], [8, 9])
        self.assertEqual([next(pattern).seq, next(pattern).seq], [8, 9])
        self.broker.epoch -= 1  # start() takes the next one: as if the connection alone had broken
        epoch = self.broker.epoch
        self.broker.stop()
        self.broker.start()
        self.broker.epoch = epoch
        again = {record["payload"]["channel"]: record["payload"].get("after")
                 for record in self.broker.wait(SUBSCRIBE, 6)[3:]}
        self.assertEqual(again, {"squad:quiet": 7, "squad:loud": 9, "squad:*": None})
        self.say(9, "squad:loud")  # once more
        self.say(10, "squad:loud")
        self.assertEqual(next(loud).seq, 10)
        self.assertEqual(next(pattern).seq, 10)
        self.assertEqual((loud.missed, quiet.missed), (0, 0))

    def test_numbers_that_jump_with_a_new_broker_are_no_loss(self):
        self.last = 5
        subscription = self.client.bus.subscribe("squad:x")
        self.say(6)
        next(subscription)
        self.broker.stop()
        self.last = 1000000
        self.broker.start()
        self.broker.wait(SUBSCRIBE, 2)
        self.say(1000001)
        self.say(1000003)
        self.assertEqual([next(subscription).missed, next(subscription).missed], [0, 1])

    def test_a_gap_in_the_numbers_is_told(self):
        self.last = 5
        subscription = self.client.bus.subscribe("squad:x")
        for seq in (6, 9):
            self.say(seq)
        self.assertEqual([next(subscription).missed, next(subscription).missed], [0, 2])
        self.assertEqual(subscription.missed, 2)

    def test_a_slow_reader_loses_events_and_is_told_how_many(self):
        self.last = 100
        subscription = self.client.bus.subscribe("squad:x", limit=3)
        marker = self.client.bus.subscribe("squad:marker")
        for seq in range(101, 111):
            self.say(seq)
        self.say(101, "squad:marker")
        next(marker)
        self.assertEqual([next(subscription).seq for _ in range(3)], [101, 102, 103])
        self.assertEqual(subscription.missed, 7)

    def test_each_event_goes_to_every_subscription_that_matches(self):
        exact, pattern, other = (self.client.bus.subscribe(name) for name in ("squad:x", "squad:*", "agent:*"))
        self.say(1)
        self.assertEqual((next(exact).seq, next(pattern).seq), (1, 1))
        self.assertIsNone(other.get(0.05))

    def test_the_last_one_that_leaves_unsubscribes(self):
        first, second = self.client.bus.subscribe("squad:x"), self.client.bus.subscribe("squad:x")
        first.close()
        self.say(1)
        next(second)
        self.assertEqual(self.broker.count(UNSUBSCRIBE), 0)
        second.close()
        self.assertEqual(self.broker.wait(UNSUBSCRIBE)[0]["payload"], {"channel": "squad:x"})
        self.assertEqual(list(second), [])

    def test_no_permission_is_told(self):
        self.broker.rules[SUBSCRIBE] = lambda broker, record: broker.refuse(record, 2006, "missing_capability")
        with self.assertRaises(mumega.errors.CapabilityMissingError):
            self.client.bus.subscribe("squad:x")

    def test_what_the_broker_dropped_is_counted(self):
        subscription = self.client.bus.subscribe("squad:x")
        for payload in ({"dropped": 5}, {"dropped": "x"}, 7, None):
            self.broker.say(self.peer, CONTROL, payload, type="events_dropped")
        self.say(1)
        next(subscription)
        self.assertEqual(self.client._way._channels.dropped, 5)


class Publishing(unittest.TestCase):
    def setUp(self):
        self.broker = self.enterContext(FakeBroker())
        self.client = MumegaClient(self.broker.connection())
        self.addCleanup(self.client.close)

    def test_a_confirmed_event_has_its_number(self):
        self.broker.rules[PUBLISH] = lambda broker, record: broker.answer(record, ACK, seq=41)
        published = self.client.bus.publish("squad:x", {"a": 1}, type="news")
        record = self.broker.wait(PUBLISH)[0]
        self.assertEqual((published.seq, record["type"], record["flags"]), (41, "news", sos_wire.FLAG_CONFIRM))

    def test_an_unconfirmed_one_does_not_wait(self):
        started = time.monotonic()
        published = self.client.bus.publish("squad:x", 1, confirm=False)
        self.assertIsNone(published.seq)
        self.assertLess(time.monotonic() - started, 1)
        record = self.broker.wait(PUBLISH)[0]
        self.assertEqual((record["flags"], mumega.wire.id_text(record["id"])), (0, published.message_id))

    def test_a_refusal_is_raised_or_logged(self):
        self.broker.rules[PUBLISH] = lambda broker, record: broker.refuse(record, 2006, "missing_capability")
        with self.assertRaises(mumega.errors.CapabilityMissingError):
            self.client.bus.publish("squad:x", 1)
        with self.assertLogs("mumega", "WARNING"):
            self.client.bus.publish("squad:x", 1, confirm=False)
            self.broker.wait(PUBLISH, 2)
            self.client.bus.publish("squad:x", 1, confirm=False)
            with self.assertRaises(mumega.MumegaError):  # behind them, so they were heard
                self.client.bus.publish("squad:x", 1)

    def test_an_event_is_not_said_twice(self):
        future = self.client.bus._say(mumega.bus.Outbound("squad:x", "t", 1, 10.0, is_event=True))
        self.broker.wait(PUBLISH)
        self.broker.stop()
        self.broker.start()
        with self.assertRaises(mumega.UnknownOutcomeError):
            future.result(10)
        self.assertEqual(self.broker.count(PUBLISH), 1)


class Patterns(unittest.TestCase):
    def test_stars_match_colons_too(self):
        for pattern, name, wanted in (("squad:*", "squad:a", True), ("agent:*:events", "agent:kasra:events", True),
                                      ("agent:*:events", "agent:a:b:events", True), ("agent:?", "agent:ab", False),
                                      ("squad:[ab]", "squad:b", True), ("squad:[!ab]", "squad:b", False),
                                      ("squad:a", "squad:ab", False)):
            listener = channels.Listener(pattern, None, mumega.stream.Feed())
            self.assertEqual(listener.wants(name), wanted, (pattern, name))


if __name__ == "__main__":
    unittest.main()
