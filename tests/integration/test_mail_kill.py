# SPDX-License-Identifier: Apache-2.0
"""kill -9 of the broker and of receivers while mail flows: what was acknowledged to a sender is
handled once by its receiver, and dead letters are the poison alone.

SOS_TEST_MESSAGES (default 6000), SOS_TEST_AGENTS (4 receivers), SOS_TEST_SENDERS (2), SOS_TEST_KILLS (8),
SOS_TEST_SEED.
"""

import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import time
import unittest

from swarm import Swarm

QUICK = bool(os.environ.get("SOS_TEST_QUICK"))
MESSAGES = int(os.environ.get("SOS_TEST_MESSAGES") or (2000 if QUICK else 6000))
AGENTS = int(os.environ.get("SOS_TEST_AGENTS") or 4)
SENDERS = int(os.environ.get("SOS_TEST_SENDERS") or 2)
KILLS = int(os.environ.get("SOS_TEST_KILLS") or (4 if QUICK else 8))
POISON = 50  # one message of so many
WORKER = str(pathlib.Path(__file__).resolve().parents[1] / "support" / "mail_worker.py")


class Agent:
    """A worker process on a connection of its own."""

    def __init__(self, swarm, name, *arguments, what):
        self.name = name
        self.journal = os.path.join(swarm.home, name.split(":")[1] + ".journal")
        path = os.path.join(swarm.home, name.split(":")[1] + ".connection")
        pathlib.Path(path).write_text(json.dumps(swarm.connection(name)), encoding="utf-8")
        self.command = [sys.executable, WORKER, what, path, self.journal, *map(str, arguments)]
        self.process = None
        self.start()

    def start(self):
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL)

    def kill(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def lines(self):
        if not os.path.exists(self.journal):
            return []
        return pathlib.Path(self.journal).read_text(encoding="ascii").splitlines()

    def size(self):
        return os.path.getsize(self.journal) if os.path.exists(self.journal) else 0


class MailKill(unittest.TestCase):
    def setUp(self):
        self.seed = int(os.environ.get("SOS_TEST_SEED") or time.time())
        self.rng = random.Random(self.seed)
        self.deadline = time.monotonic() + 90 + KILLS * 5 + MESSAGES / 200

    def wait(self, condition):
        while not condition():
            self.assertLess(time.monotonic(), self.deadline, f"seed {self.seed}: too slow")
            time.sleep(0.02)  # files and counters tell of no change

    def boxes(self, watcher):
        """{inbox: figures}; the broker may be about to come back."""
        answer = watcher.call("service:bus", "bus_mailboxes", {"pattern": "agent:worker*", "limit": 1000})
        return {box["agent_id"]: box for box in answer["payload"]["mailboxes"]}

    def is_drained(self, swarm):
        with swarm.peer("operator") as watcher:
            return all(box["waiting"] + box["unacked"] + box["delayed"] == 0
                       for box in self.boxes(watcher).values())

    def dead_ids(self, swarm, name):
        found, after = [], ""
        with swarm.peer(name) as peer:
            while True:
                page = peer.call("service:bus", "bus_dead_list",
                                 {"agent_id": name, "after": after, "limit": 100})["payload"]
                found += [letter["message"]["id"] for letter in page["dead_letters"]]
                if not page["dead_letters"]:
                    self.assertEqual(page["count"], len(found))
                    return [id_.replace("-", "") for id_ in found]
                after = page["dead_letters"][-1]["dead_id"]

    def kill_something(self, swarm, receivers):
        if self.rng.random() < 0.4:
            swarm.kill("broker")
            swarm.wait_healthy()
            return "broker"
        victim = self.rng.choice(receivers)
        victim.kill()
        victim.start()
        return victim.name

    def test_nothing_acknowledged_is_lost_or_handled_twice(self):
        with Swarm("log_level=error", "mail.dedup_max=1048576", "mail.dedup_ms=3600000") as swarm:
            names = [f"agent:worker{number}" for number in range(AGENTS)]
            receivers = [Agent(swarm, name, what="receive") for name in names]
            share = MESSAGES // SENDERS
            senders = [Agent(swarm, f"agent:sender{number}", share, self.seed + number, POISON, *names,
                             what="send") for number in range(SENDERS)]
            killed = []
            line = 33  # of a receiver's journal
            try:
                for number in range(KILLS):
                    part = share * SENDERS * (number + 1) // (KILLS + 2)
                    self.wait(lambda: sum(r.size() for r in receivers) // line >= part)
                    killed.append(self.kill_something(swarm, receivers))
                for sender in senders:
                    self.wait(lambda: sender.process.poll() is not None)
                    self.assertEqual(sender.process.returncode, 0, f"seed {self.seed}")
                self.wait(lambda: self.is_drained(swarm))
            finally:
                for agent in senders + receivers:
                    agent.kill()
            swarm.kill("broker")
            swarm.wait_healthy()
            self.check(swarm, senders, receivers, killed)

    def check(self, swarm, senders, receivers, killed):
        acked = [line.split() for sender in senders for line in sender.lines()]
        again = sum(int(times) > 1 for _, _, _, times in acked)
        print(f"\nseed {self.seed}: {len(acked)} acknowledged, {again} of them sent more than once, "
              f"killed: {' '.join(killed)}")
        self.assertEqual(len(acked), MESSAGES // SENDERS * SENDERS)
        self.assertEqual(len({id_ for id_, *_ in acked}), len(acked))
        for receiver in receivers:
            handled = receiver.lines()
            self.assertEqual(len(handled), len(set(handled)), f"seed {self.seed}: handled twice")
            good = {id_ for id_, target, poison, _ in acked if target == receiver.name and poison == "0"}
            bad = {id_ for id_, target, poison, _ in acked if target == receiver.name and poison == "1"}
            self.assertEqual(good - set(handled), set(), f"seed {self.seed}: lost")
            self.assertEqual(set(handled) - good, set(), f"seed {self.seed}: never sent")
            dead = self.dead_ids(swarm, receiver.name)
            self.assertEqual(len(dead), len(set(dead)), f"seed {self.seed}: dead twice")
            self.assertEqual(set(dead), bad, f"seed {self.seed}")


if __name__ == "__main__":
    unittest.main()
