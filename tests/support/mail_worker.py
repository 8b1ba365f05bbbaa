# SPDX-License-Identifier: Apache-2.0
"""An agent that sends, or handles, mail in a process of its own, to be killed at any instant.

mail_worker.py send CONNECTION JOURNAL COUNT SEED POISON TARGET…   ends when all is acknowledged
mail_worker.py receive CONNECTION JOURNAL                          runs until it is killed

A line of a sender's journal is an acknowledged message: id, target, poison (0 or 1), how often it was
sent. A line of a receiver's is a message that it has handled; the line is the work, and it is on disk
before the message is acknowledged.
"""

import json
import os
import random
import sys
import time

import sos_wire
from sos_wire import ACK, CONTROL, DELIVER, ERROR, HEARTBEAT, NACK, SEND, SUBSCRIBE

WINDOW = 512  # of a sender, unacknowledged
FRAME_RECORDS = 64
BEAT_S = 0.3
ACK_MS = 20000  # machines differ: slow is not dead


class Session:
    """A peer that says hello again, and what else must be said again, when the broker asks for it."""

    def __init__(self, path):
        with open(path, encoding="utf-8") as file:
            self.peer = sos_wire.Peer(json.load(file), hello=False)
        self.begin()

    def begin(self):
        while True:
            try:
                self.peer.hello()
                return
            except TimeoutError:
                continue

    def records(self):
        """What came, soon; a list, empty after a while."""
        first = self.peer.receive(BEAT_S)
        if first is None:
            self.peer.send(HEARTBEAT)
            return []
        found = [first]
        while len(found) < 1024:
            record = self.peer.receive(0)
            if record is None:
                break
            found.append(record)
        return found

    def is_lost(self, records):
        return any(r["kind"] == CONTROL and r["type"] == "hello_required" for r in records)


class Sender:
    def __init__(self, connection, journal, count, seed, poison, targets):
        self.session = Session(connection)
        self.identity = self.session.peer.identity
        self.journal = open(journal, "a", encoding="ascii")
        self.left, self.poison, self.targets = count, poison, targets
        self.rng = random.Random(seed)
        self.out = {}  # id -> [target, poison, times sent]

    def send(self, ids):
        frame, records = b"", 0
        for id_ in ids:
            target, poison, _ = self.out[id_]
            self.out[id_][2] += 1
            frame += sos_wire.encode(SEND, {"poison": poison}, id=id_, source=self.identity,
                                     target=target, type="work")
            records += 1
            if records == FRAME_RECORDS:
                self.session.peer.send_bytes(frame)
                frame, records = b"", 0
        if frame:
            self.session.peer.send_bytes(frame)

    def fill(self):
        fresh = []
        while self.left and len(self.out) < WINDOW:
            id_ = sos_wire.new_id()
            poison = int(self.poison and self.rng.randrange(self.poison) == 0)
            self.out[id_] = [self.rng.choice(self.targets), poison, 0]
            fresh.append(id_)
            self.left -= 1
        self.send(fresh)

    def take(self, record):
        """True: it was refused for now and is to be sent again."""
        id_ = record["correlation"]
        if id_ not in self.out:
            return False
        if record["kind"] == ACK:
            target, poison, times = self.out.pop(id_)
            self.journal.write(f"{id_.hex()} {target} {poison} {times}\n")
        elif record["kind"] == ERROR:
            word = record["payload"]["detail"]
            if record["status"] not in (1003, 1009, 1011, 1013, 4001, 4002):
                raise SystemExit(f"refused: {word} {record['payload']['message']}")
            return True
        return False

    def run(self):
        while self.left or self.out:
            self.fill()
            records = self.session.records()
            if self.session.is_lost(records):
                self.session.begin()
                self.send(list(self.out))
                continue
            again = [r["correlation"] for r in records if self.take(r)]
            self.journal.flush()
            if again:
                time.sleep(0.05)  # the limit that refused them is told by no event
                self.send(again)


class Receiver:
    def __init__(self, connection, journal):
        self.handled = set()
        if os.path.exists(journal):
            with open(journal, "rb") as file:
                whole = file.read()
            # What the last one was writing when it was killed was not acknowledged.
            keep = whole[:whole.rfind(b"\n") + 1]
            if len(keep) < len(whole):
                os.truncate(journal, len(keep))
            self.handled = {bytes.fromhex(line) for line in keep.decode().split()}
        self.journal = open(journal, "ab", buffering=0)
        self.session = Session(connection)
        self.subscribe()

    def subscribe(self):
        peer = self.session.peer
        peer.send(SUBSCRIBE, {"inbox": peer.identity, "window": 256, "ack_ms": ACK_MS})

    def work(self, messages):
        peer, lines, done, bad = self.session.peer, b"", [], []
        for message in messages:
            id_ = message["id"]
            if message["payload"]["poison"]:
                bad.append(id_)
                continue
            done.append(id_)
            if id_ not in self.handled:
                self.handled.add(id_)
                lines += id_.hex().encode() + b"\n"
        if lines:
            self.journal.write(lines)
            os.fsync(self.journal.fileno())
        for at in range(0, len(done), 256):
            peer.send(ACK, done[at:at + 256])
        for at in range(0, len(bad), 256):
            peer.send(NACK, {"ids": bad[at:at + 256], "reason": "poison", "delay_ms": 0})

    def run(self):
        while True:
            records = self.session.records()
            if self.session.is_lost(records):
                self.session.begin()
                self.subscribe()
                continue
            self.work([r for r in records if r["kind"] == DELIVER])


def main(what, connection, journal, *more):
    if what == "send":
        count, seed, poison, *targets = more
        Sender(connection, journal, int(count), seed, int(poison), targets).run()
    else:
        Receiver(connection, journal).run()


if __name__ == "__main__":
    main(*sys.argv[1:])
