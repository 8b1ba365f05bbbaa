# SPDX-License-Identifier: Apache-2.0
"""Peers that are known and do all they can to fill the broker's memory: it stays bounded, others are served."""

import threading
import time
import unittest

import sos_wire
import zmq
from sos_wire import REPLY, REQUEST
from swarm import Swarm

PART = bytes(256 * 1024)
PARTS = 4096  # 1 GiB in one message
ROUNDS = 3
LIMIT_KIB = 300 * 1024
REQUESTS = 5000


class Memory(unittest.TestCase):
    def setUp(self):
        self.swarm = Swarm()
        self.addCleanup(self.swarm.__exit__, None, None, None)
        for name in ("mallory", "mallet", "kasra"):
            self.swarm.run("agent", "new", name)
        self.swarm.__enter__()
        self.broker = self.swarm.pids()["broker"]
        self.before_kib = self.swarm.memory_kib("broker")

    def serve_others(self):
        """One real operation for somebody else; returns the seconds that it took."""
        started = time.monotonic()
        with self.swarm.peer("agent:kasra") as kasra:
            answer = kasra.call("service:memory", "memory_query",
                                {"query": "anything", "agent_id": "agent:kasra"})
        self.assertEqual((answer["kind"], answer["status"] or 0), (REPLY, 0), answer)
        return time.monotonic() - started

    def check_memory(self, what):
        self.assertEqual(self.swarm.pids()["broker"], self.broker, "the broker died")
        most_kib = self.swarm.memory_kib("broker", "VmHWM")
        print(f"\n{what}: broker {self.before_kib} KiB before, most {most_kib} KiB, "
              f"{self.swarm.memory_kib('broker')} KiB after", flush=True)
        self.assertLess(most_kib, LIMIT_KIB)

    def pour(self, name, greets, cuts):
        """Sends messages that are never seen to end: to libzmq a message is one, whatever its parts come to,
        and it hands them on as one. It is cut off long before the last part."""
        with sos_wire.Peer(self.swarm.connection(name), hello=greets) as peer:
            for _ in range(ROUNDS):
                for _ in range(PARTS):
                    peer.socket.send(PART, zmq.SNDMORE, copy=False)
                peer.socket.send(PART, copy=False)
                while (event := peer.event(20)) not in (zmq.EVENT_DISCONNECTED, None):
                    pass
                cuts[name] += event == zmq.EVENT_DISCONNECTED

    def test_messages_without_an_end(self):
        cuts = {"agent:mallory": 0, "agent:mallet": 0}
        threads = [threading.Thread(target=self.pour, args=(name, name == "agent:mallet", cuts))
                   for name in cuts]
        for thread in threads:
            thread.start()
        slowest = 0.0
        while any(thread.is_alive() for thread in threads):
            slowest = max(slowest, self.serve_others())
        for thread in threads:
            thread.join()
        self.assertEqual(set(cuts.values()), {ROUNDS}, "messages were not cut off")
        self.check_memory(f"{2 * ROUNDS} endless messages, others waited {slowest:.2f} s at most")
        self.assertLess(slowest, 5)

    def test_replies_that_nobody_reads(self):
        with self.swarm.peer("agent:mallory", receive_queue=1) as flood:
            for number in range(REQUESTS):
                flood.send(REQUEST, {"query": "x" * 5000, "agent_id": "agent:mallory"},
                           target="service:memory", type="memory_query", ttl_ms=20000)
                if number % 1000 == 0:
                    self.serve_others()
            slowest = self.serve_others()
            self.check_memory(f"{REQUESTS} requests whose replies are not read")
            self.assertLess(slowest, 5)
        self.serve_others()


if __name__ == "__main__":
    unittest.main()
