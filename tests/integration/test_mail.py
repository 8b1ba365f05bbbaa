# SPDX-License-Identifier: Apache-2.0
"""Inboxes over CURVE, on disk: who gets which message when, and what a killed broker keeps."""

import time
import unittest

import sos_wire
from sos_wire import (ACK, DELIVER, ERROR, FLAG_CONFIRM, HEARTBEAT, NACK, REPLY, SEND, SUBSCRIBE,
                      UNSUBSCRIBE)
from swarm import Swarm

MANY = 3000


class Mail(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.swarm = Swarm()
        cls.addClassCleanup(cls.swarm.__exit__, None, None, None)
        cls.swarm.__enter__()
        cls.count = 0

    def setUp(self):
        # Agents of their own for each test: nothing of another's is left in their inboxes.
        Mail.count += 1
        self.names = [f"agent:{name}{Mail.count}" for name in ("kasra", "river")]
        self.peers = []
        self.kasra, self.river = (self.connect(name) for name in self.names)

    def tearDown(self):
        for peer in self.peers:
            peer.close()

    def connect(self, name):
        peer = self.swarm.peer(name)
        self.peers.append(peer)
        return peer

    def answer_to(self, peer, request, kind=ACK):
        answer = peer.expect(lambda r: r["correlation"] == request and r["kind"] != DELIVER)
        self.assertEqual(answer["kind"], kind, answer)
        answer["seq"] = answer["seq"] or 0
        return answer

    def put(self, payload, to=None, **fields):
        request = self.kasra.send(SEND, payload, target=to or self.names[1], type="note", **fields)
        self.answer_to(self.kasra, request)
        return request

    def subscribe(self, peer, **payload):
        request = peer.send(SUBSCRIBE, {"inbox": peer.identity, **payload})
        return self.answer_to(peer, request)["seq"]

    def delivery(self, peer, timeout_s=5.0):
        return peer.expect(lambda r: r["kind"] == DELIVER, timeout_s)

    def nothing_comes(self, peer, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for other in self.peers:
                other.send(HEARTBEAT)
            record = peer.receive(0.2)
            self.assertTrue(record is None or record["kind"] != DELIVER, record)

    def ack(self, peer, *ids):
        request = peer.send(ACK, list(ids), flags=FLAG_CONFIRM)
        return self.answer_to(peer, request)["seq"]

    def call(self, peer, type_, **payload):
        reply = peer.call("service:bus", type_, payload)
        self.assertEqual((reply["kind"], reply["status"] or 0), (REPLY, 0), reply)
        return reply["payload"]

    def test_mail_waits_for_its_owner(self):
        ids = [self.put({"n": i}) for i in range(10)]
        self.assertEqual(self.subscribe(self.river), 10)
        for i, expected in enumerate(ids):
            message = self.delivery(self.river)
            self.assertEqual((message["id"], message["payload"], message["source"]),
                             (expected, {"n": i}, self.names[0]))
        self.assertEqual(self.ack(self.river, *ids), 10)
        self.assertEqual(self.call(self.river, "bus_inbox", agent_id=self.names[1])["messages"], [])

    def test_order_and_windows_hold_for_many(self):
        self.subscribe(self.river, window=64)
        sent, received = [], []
        for i in range(MANY):
            sent.append(self.kasra.send(SEND, i, target=self.names[1], type="note"))
        while len(received) < MANY:
            message = self.delivery(self.river)
            received.append(message["id"])
            self.river.send(ACK, correlation=message["id"])
        self.assertEqual(received, sent)
        boxes = self.call(self.river, "bus_mailboxes", pattern=self.names[1])["mailboxes"]
        self.assertEqual(sum(box["waiting"] + box["unacked"] for box in boxes), 0, boxes)

    def test_what_is_known_is_not_stored_again(self):
        first = self.put("x")
        self.kasra.send(SEND, "x", id=first, target=self.names[1], type="note")
        self.assertEqual(self.answer_to(self.kasra, first)["seq"], 0)
        self.assertEqual(self.subscribe(self.river), 1)

    def test_poison_is_tried_and_becomes_a_dead_letter(self):
        self.subscribe(self.river)
        poison = self.put({"poison": True})
        for attempt in range(1, 5):
            message = self.delivery(self.river)
            self.assertEqual((message["id"], message["attempt"]), (poison, attempt))
            self.river.send(NACK, {"ids": [poison], "reason": "bad", "delay_ms": 0})
        self.nothing_comes(self.river, 0.5)
        dead = self.call(self.river, "bus_dead_list", agent_id=self.names[1])
        self.assertEqual(dead["count"], 1)
        letter = dead["dead_letters"][0]
        self.assertEqual((letter["attempts"], letter["reason"]), (4, "bad"), letter)
        self.assertNotIn("payload", letter["message"])
        whole = self.call(self.river, "bus_dead_get", agent_id=self.names[1], dead_id=letter["dead_id"])
        self.assertEqual(whole["message"]["payload"], {"poison": True})
        replay = self.call(self.river, "bus_dead_replay", agent_id=self.names[1])
        self.assertEqual((replay["replayed"], replay["left"]), (1, 0))
        message = self.delivery(self.river)
        self.assertEqual((message["id"], message["attempt"]), (poison, 1))
        self.assertEqual(self.ack(self.river, poison), 1)

    def test_a_lost_session_is_charged_its_oldest_message(self):
        self.subscribe(self.river)
        ids = [self.put(i) for i in range(3)]
        for _ in ids:
            self.delivery(self.river)
        other = self.connect(self.names[1])
        self.subscribe(other)
        self.peers.remove(self.river)
        self.river.close()
        got = {}
        for _ in ids:
            message = self.delivery(other)
            got[message["id"]] = message["attempt"]
        self.assertEqual(got, {ids[0]: 2, ids[1]: 1, ids[2]: 1})

    def test_squads_get_copies(self):
        squad = f"squad:test{Mail.count}"
        request = self.kasra.send(SEND, "x", target=squad, type="note")
        refusal = self.answer_to(self.kasra, request, ERROR)
        self.assertEqual(refusal["payload"]["detail"], "squad_empty")
        for peer in (self.kasra, self.river):
            self.call(peer, "bus_join", squad=squad, agent_id=peer.identity)
        self.subscribe(self.river)
        request = self.kasra.send(SEND, "y", target=squad, type="note")
        self.assertEqual(self.answer_to(self.kasra, request)["seq"], 2)
        self.assertEqual(self.delivery(self.river)["target"], squad)
        self.assertEqual(self.subscribe(self.kasra), 1)
        self.assertEqual(self.delivery(self.kasra)["id"], request)

    def test_delayed_mail_comes_when_it_is_due(self):
        self.subscribe(self.river)
        due = time.time() + 1.0
        self.put("later", metadata={"deliver_at": int(due * 1e6)})
        message = self.delivery(self.river)
        self.assertGreaterEqual(time.time(), due - 0.01)
        self.assertEqual(message["payload"], "later")

    def test_mail_has_its_time(self):
        self.put("short", ttl_ms=300)
        lasting = self.put("lasting")
        time.sleep(0.4)
        self.subscribe(self.river)
        self.assertEqual(self.delivery(self.river)["id"], lasting)
        self.nothing_comes(self.river, 0.3)

    def test_calls_take_and_wait(self):
        request = self.river.send(sos_wire.REQUEST, {"agent_id": self.names[1], "wait_ms": 2000},
                                  target="service:bus", type="bus_inbox", ttl_ms=5000)
        sent = self.call(self.kasra, "bus_send", **{"from": self.names[0], "to": self.names[1],
                                                    "payload": {"hello": 1}})
        reply = self.answer_to(self.river, request, REPLY)["payload"]
        message = reply["messages"][0]
        self.assertEqual((message["id"], message["payload"], message["attempt"]),
                         (sent["message_id"], {"hello": 1}, 1))
        acked = self.call(self.river, "bus_ack", agent_id=self.names[1],
                          ids=[message["id"], "nonsense"])
        self.assertEqual(acked, {"acked": 1, "unknown": ["nonsense"]})

    def test_nobody_else_takes(self):
        request = self.kasra.send(SUBSCRIBE, {"inbox": self.names[1]})
        refusal = self.answer_to(self.kasra, request, ERROR)
        self.assertEqual(refusal["payload"]["detail"], "not_your_inbox")
        request = self.river.send(UNSUBSCRIBE, {"inbox": self.names[1]})
        self.assertEqual(self.answer_to(self.river, request)["seq"], 0)

    def test_a_killed_broker_keeps_what_it_acknowledged(self):
        self.subscribe(self.river)
        handled = self.put("handled")
        self.delivery(self.river)
        self.assertEqual(self.ack(self.river, handled), 1)
        kept = [self.put(i) for i in range(20)]
        for _ in kept:
            self.delivery(self.river)
        self.swarm.kill("broker")
        self.swarm.wait_healthy()
        river = self.connect(self.names[1])
        self.assertEqual(self.subscribe(river), 20)
        self.assertEqual([self.delivery(river)["id"] for _ in kept], kept)
        self.assertEqual(self.ack(river, *kept), 20)


if __name__ == "__main__":
    unittest.main()
