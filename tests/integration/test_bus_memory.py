# SPDX-License-Identifier: Apache-2.0
"""Peers that are known and do all they can to fill the broker's memory: it stays bounded, others are served."""

import os
import threading
import time
import unittest

import sos_wire
import zmq
from sos_wire import REPLY, REQUEST
from swarm import Swarm

QUICK = bool(os.environ.get("SOS_TEST_QUICK"))
PART = bytes(64 * 1024)
POUR_MIB = 256 if QUICK else 1024  # what each is ready to send: far beyond the limit
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
        self.most_kib = self.before_kib

    def serve_others(self):
        """One real operation for somebody else; returns the seconds that it took."""
        started = time.monotonic()
        with self.swarm.peer("agent:kasra") as kasra:
            answer = kasra.call("service:memory", "memory_query",
                                {"query": "anything", "agent_id": "agent:kasra"})
        self.assertEqual((answer["kind"], answer["status"] or 0), (REPLY, 0), answer)
        self.most_kib = max(self.most_kib, self.swarm.memory_kib("broker"))
        return time.monotonic() - started

    def check_memory(self, what):
        self.assertEqual(self.swarm.pids()["broker"], self.broker, "the broker died")
        most_kib = self.swarm.memory_kib("broker", "VmHWM")
        print(f"\n{what}: broker {self.before_kib} KiB before, most {most_kib} KiB, "
              f"{self.swarm.memory_kib('broker')} KiB after", flush=True)
        self.assertLess(most_kib, LIMIT_KIB)

    def pour(self, name, poured, stop, greets):
        """Parts of one message that never ends, as fast as they are taken."""
        with sos_wire.Peer(self.swarm.connection(name), hello=greets) as peer:
            while not stop.is_set() and poured[name] < POUR_MIB << 20:
                try:
                    peer.socket.send(PART, zmq.SNDMORE | zmq.NOBLOCK)
                    poured[name] += len(PART)
                except zmq.Again:
                    stop.wait(0.01)  # nobody tells when a socket that is cut takes more

    def test_messages_without_an_end(self):
        stop = threading.Event()
        poured = {"agent:mallory": 0, "agent:mallet": 0}
        threads = [threading.Thread(target=self.pour, args=(name, poured, stop, name == "agent:mallet"))
                   for name in poured]
        for thread in threads:
            thread.start()
        slowest = 0.0
        try:
            while any(thread.is_alive() for thread in threads) and slowest < 10:
                slowest = max(slowest, self.serve_others())
                if sum(poured.values()) >= 2 * POUR_MIB << 20:
                    break
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        self.serve_others()
        self.check_memory(f"{sum(poured.values()) >> 20} MiB of endless messages, others waited "
                          f"{slowest:.2f} s at most")
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
