# SPDX-License-Identifier: Apache-2.0
"""kill -9 at any instant: nothing that was acknowledged is lost.

SOS_TEST_KILLS sets how many kills the loop does (default 12; 3 with SOS_TEST_QUICK).
"""

import http.client
import json
import os
import random
import threading
import time
import unittest

from swarm import Swarm

CLIENTS = 8
TURNS_MAX = 100  # of one conversation
QUICK = bool(os.environ.get("SOS_TEST_QUICK"))
KILLS = int(os.environ.get("SOS_TEST_KILLS") or (3 if QUICK else 12))
PARTS = ("broker", "gateway", "memory", "engine", "identity", "supervisor")


class Writer(threading.Thread):
    """Writes memories and conversation turns until told to stop; keeps what was acknowledged."""

    def __init__(self, swarm, number, stop):
        super().__init__()
        self.swarm, self.number, self.stop = swarm, number, stop
        self.agent = f"agent:writer{number}"
        self.memories = {}
        self.turns = {}  # conversation id -> what was said in it
        self.sent = 0

    def post(self, door, path, body):
        connection = http.client.HTTPConnection("127.0.0.1", self.swarm.ports[door], timeout=10)
        try:
            connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        finally:
            connection.close()

    def run(self):
        while not self.stop.is_set():
            self.sent += 1
            text = f"note {self.number}-{self.sent}"
            try:
                if self.sent % 4:
                    status, answer = self.post("memory", "/store",
                                               {"content": text, "agent_id": self.agent})
                    if status == 200:
                        self.memories[answer["memory_id"]] = text
                else:
                    # Short conversations, so that one answer of engine.history holds all of one.
                    conversation = f"c-{self.sent // (4 * TURNS_MAX)}"
                    status, answer = self.post("engine", "/chat", {
                        "message": text, "agent_id": self.agent, "model": "sos-mock-v1",
                        "conversation_id": conversation})
                    if status == 200:
                        self.turns.setdefault(conversation, []).append(text)
            except (OSError, http.client.HTTPException, ValueError):
                self.stop.wait(0.02)  # the door is being restarted: not a wait for a result


class Kill(unittest.TestCase):
    def test_nothing_acknowledged_is_lost(self):
        seed = int(os.environ.get("SOS_TEST_SEED") or time.time())
        rng = random.Random(seed)
        slowest = (0.0, "")
        with Swarm("log_level=error") as swarm:
            stop = threading.Event()
            writers = [Writer(swarm, number, stop) for number in range(CLIENTS)]
            for writer in writers:
                writer.start()
            try:
                for number in range(KILLS):
                    stop.wait(rng.uniform(0.05, 0.6))
                    part = PARTS[number % len(PARTS)] if number < len(PARTS) else rng.choice(PARTS)
                    if part == "supervisor":
                        swarm.kill_all() if rng.random() < 0.5 else self.kill_supervisor(swarm)
                        started = time.monotonic()
                        swarm.up()
                        slowest = max(slowest, (time.monotonic() - started, part))
                    else:
                        swarm.kill(part)
                        slowest = max(slowest, (swarm.wait_healthy(), part))
            finally:
                stop.set()
                for writer in writers:
                    writer.join()
            swarm.wait_healthy()
            memories = sum(len(writer.memories) for writer in writers)
            turns = sum(len(said) for writer in writers for said in writer.turns.values())
            print(f"\nseed {seed}: {KILLS} kills, {memories} memories and {turns} turns "
                  f"acknowledged, slowest return to health {slowest[0]:.2f} s ({slowest[1]})")
            self.assertGreater(memories, 0, f"seed {seed}")
            self.assertLess(slowest[0], 10, f"seed {seed}")  # two seconds are the aim, machines differ
            for writer in writers:
                for memory_id, text in writer.memories.items():
                    answer = swarm.http("GET", "memory", f"/memories/{memory_id}")
                    self.assertEqual(answer.status, 200, f"seed {seed}: lost {text}")
                    self.assertEqual(answer.json["content"], text)
            self.check_turns(swarm, writers, seed)

    def kill_supervisor(self, swarm):
        """Only the supervisor: the kernel then stops its children."""
        process = swarm.process
        process.kill()
        process.wait()
        swarm.drain.wait()
        swarm.process = None

    def check_turns(self, swarm, writers, seed):
        """Each acknowledged turn stands in the conversation that the engine keeps."""
        for writer in writers:
            for conversation, acknowledged in writer.turns.items():
                found = swarm.run("call", "engine.history", f"conversation_id={conversation}",
                                  f"agent_id={writer.agent}", "limit:=1000").stdout
                said = {turn["content"] for turn in json.loads(found)["turns"]
                        if turn["role"] == "user"}
                self.assertEqual(set(acknowledged) - said, set(), f"seed {seed}: lost turns")


if __name__ == "__main__":
    unittest.main()
