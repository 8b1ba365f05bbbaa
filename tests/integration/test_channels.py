# SPDX-License-Identifier: Apache-2.0
"""Channels over CURVE: events, history, system events, and a subscriber that never reads."""

import os
import time
import unittest

import sos_wire
from sos_wire import (ACK, CHUNK, CONTROL, ERROR, EVENT, FLAG_CONFIRM, FLAG_STREAM, HEARTBEAT, PUBLISH,
                      REPLY, REQUEST, SUBSCRIBE)
from swarm import Swarm

FLOOD = 20000
FLOOD_BYTES = 1000


class Channels(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.swarm = Swarm()
        cls.addClassCleanup(cls.swarm.__exit__, None, None, None)
        for name in ("kasra", "river", "slow"):
            cls.swarm.run("agent", "new", name)
        cls.swarm.__enter__()

    def setUp(self):
        self.kasra = self.swarm.peer("agent:kasra")
        self.addCleanup(self.kasra.close)
        self.river = self.swarm.peer("agent:river")
        self.addCleanup(self.river.close)

    def subscribe(self, peer, channel, **payload):
        request = peer.send(SUBSCRIBE, {"channel": channel, **payload})
        answer = peer.expect(lambda r: r["correlation"] == request)
        self.assertEqual(answer["kind"], ACK, answer)
        return answer["seq"]

    def publish(self, peer, channel, payload):
        request = peer.send(PUBLISH, payload, target=channel, type="note", flags=FLAG_CONFIRM)
        answer = peer.expect(lambda r: r["correlation"] == request)
        self.assertEqual(answer["kind"], ACK, answer)
        return answer["seq"]

    def event(self, peer, channel):
        return peer.expect(lambda r: r["kind"] == EVENT and r["target"] == channel)

    def test_two_agents_talk_on_a_channel_and_read_it_back(self):
        self.subscribe(self.river, "squad:talk")
        first = self.publish(self.kasra, "squad:talk", {"text": "hello"})
        event = self.event(self.river, "squad:talk")
        self.assertEqual((event["source"], event["payload"], event["seq"]),
                         ("agent:kasra", {"text": "hello"}, first))
        second = self.publish(self.river, "squad:talk", "well")
        self.assertEqual(second, first + 1)
        self.subscribe(self.kasra, "squad:talk", after=first - 1)
        self.assertEqual([self.event(self.kasra, "squad:talk")["seq"] for _ in range(2)],
                         [first, second])
        reply = self.kasra.call("service:bus", "bus_history", {"channel": "squad:talk"})
        self.assertEqual([e["payload"] for e in reply["payload"]["events"]],
                         [{"text": "hello"}, "well"])

    def test_a_pattern_hears_channels_that_come_later(self):
        self.subscribe(self.river, "squad:later-*")
        for name in ("a", "b"):
            self.publish(self.kasra, f"squad:later-{name}", name)
            self.assertEqual(self.event(self.river, f"squad:later-{name}")["payload"], name)

    def test_system_events_tell_who_comes_and_goes(self):
        self.subscribe(self.river, "system:events")
        told = {"type": None}

        def matches(type_):
            return lambda r: (r["kind"] == EVENT and r["type"] == type_
                              and r["payload"] == {"identity": "agent:slow"}) and told.update(r) is None

        with self.swarm.peer("agent:slow"):
            self.river.expect(matches("peer.joined"))
            reply = self.river.call("service:bus", "bus_peers", {"pattern": "agent:*"})
            online = {p["identity"] for p in reply["payload"]["peers"] if p["online"]}
            self.assertEqual(online, {"agent:kasra", "agent:river", "agent:slow"})
        self.river.expect(matches("peer.left"))
        self.assertEqual(told["source"], "service:bus")

    def test_a_stream_carries_events_in_chunks(self):
        stream = self.river.send(REQUEST, {"agent_id": "agent:river", "inbox": "none",
                                           "channels": "squad:stream,guild:*"},
                                 target="service:bus", type="bus_listen", flags=FLAG_STREAM,
                                 ttl_ms=600000)
        chunk = self.river.expect(lambda r: r["correlation"] == stream)
        self.assertEqual((chunk["kind"], chunk["payload"]), (CHUNK, {}))
        self.publish(self.kasra, "squad:stream", 1)
        self.publish(self.kasra, "guild:makers", 2)
        payloads = []
        while len(payloads) < 2:
            chunk = self.river.expect(lambda r: r["correlation"] == stream)
            payloads += [e["payload"] for e in chunk["payload"]["events"]]
        self.assertEqual(payloads, [1, 2])

    def test_a_subscriber_that_never_reads_costs_nobody_anything(self):
        """It loses events, hears how many, and reads on; the other one has them all."""
        slow = self.swarm.peer("agent:slow", receive_queue=1)
        self.addCleanup(slow.close)
        self.subscribe(slow, "squad:flood")
        self.subscribe(self.river, "squad:flood")
        before_kib = self.swarm.memory_kib("broker")
        payload = os.urandom(FLOOD_BYTES)
        records, numbers = b"", []
        started = time.monotonic()
        for number in range(FLOOD):
            records += sos_wire.encode(PUBLISH, [number, payload], source="agent:kasra",
                                       target="squad:flood", type="flood")
            if len(records) < 60000 and number < FLOOD - 1:
                continue
            self.kasra.send_bytes(records)
            records = b""
            while len(numbers) <= number:  # who keeps up is not asked for more than it can hold
                numbers.append(self.event(self.river, "squad:flood")["payload"][0])
            for peer in (self.river, slow):
                peer.send(HEARTBEAT)  # one only reads, one does not even do that
        self.assertLess(time.monotonic() - started, 60)
        self.assertEqual(numbers, list(range(FLOOD)))
        self.assertLess(self.swarm.memory_kib("broker") - before_kib, 48 * 1024)

        seen, dropped, last = 0, 0, -1
        while seen + dropped < FLOOD:
            record = slow.expect(lambda r: r["kind"] in (EVENT, CONTROL))
            if record["kind"] == CONTROL:
                self.assertEqual(record["type"], "events_dropped")
                dropped += record["payload"]["dropped"]
            else:
                seen += 1
                self.assertGreater(record["payload"][0], last)
                last = record["payload"][0]
        self.assertEqual(seen + dropped, FLOOD)
        self.assertGreater(dropped, 0)
        self.publish(self.kasra, "squad:flood", [FLOOD, b""])
        self.assertEqual(self.event(slow, "squad:flood")["payload"][0], FLOOD)

    def test_what_is_not_allowed_is_told(self):
        cases = (("system:events", 2002, "channel_reserved"), ("agent:kasra", 1001, "not_a_channel"))
        for target, status, word in cases:
            request = self.kasra.send(PUBLISH, 1, target=target)
            answer = self.kasra.expect(lambda r: r["correlation"] == request)
            self.assertEqual((answer["kind"], answer["status"], answer["payload"]["detail"]),
                             (ERROR, status, word))
        reply = self.kasra.call("service:bus", "bus_publish",
                                {"from": "agent:river", "channel": "squad:talk"})
        self.assertEqual((reply["kind"], reply["payload"]["detail"]),
                         (REPLY, "capability_subject_mismatch"))


if __name__ == "__main__":
    unittest.main()
