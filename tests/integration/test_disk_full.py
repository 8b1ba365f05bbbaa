# SPDX-License-Identifier: Apache-2.0
"""A disk that fills up under load: a home on a small file system of its own.

Whoever writes is told so, whoever reads goes on, nothing acknowledged is lost, and everything works
again once there is room, without a restart of anything.
"""

import os
import shutil
import subprocess
import tempfile
import time
import unittest

from sos_wire import ACK, DELIVER, ERROR, EVENT, FLAG_CONFIRM, HEARTBEAT, SEND, SUBSCRIBE
from swarm import Swarm

SIZE_MIB = 192
RESERVE_MIB = SIZE_MIB // 8
PAYLOAD = 60 * 1024
MIB = 1 << 20
REFUSALS = ((1011, "storage_full"), (1011, "storage_failed"), (1009, "storage_failed"))


class DiskFull(unittest.TestCase):
    def setUp(self):
        self.disk = tempfile.mkdtemp(prefix="sos-test-")
        self.addCleanup(shutil.rmtree, self.disk, ignore_errors=True)
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE_MIB}m,mode=700", "tmpfs",
                                  self.disk], capture_output=True, text=True) if os.geteuid() == 0 else None
        if mounted is None or mounted.returncode != 0:
            self.skipTest("a small file system cannot be mounted here (needs root)")
        self.addCleanup(subprocess.run, ["umount", "-l", self.disk], check=True)
        self.ballast = os.path.join(self.disk, "ballast")
        self.quiet = []  # peers that have nothing to say
        self.unsure = set()  # messages that may have been kept, though nobody said so

    def free(self):
        disk = os.statvfs(self.disk)
        return disk.f_bavail * disk.f_frsize

    def fill(self, leave):
        """Something else takes the disk but for so many bytes."""
        size = os.path.getsize(self.ballast) if os.path.exists(self.ballast) else 0
        more = self.free() - leave
        if more > 0:
            with open(self.ballast, "ab") as file:
                os.posix_fallocate(file.fileno(), size, more)

    def wait(self, condition, what, seconds=20):
        end = time.monotonic() + seconds
        while not condition():
            self.assertLess(time.monotonic(), end, what)
            self.beat()
            time.sleep(0.05)  # the disk tells of no change

    def wait_while_full(self, leave, condition, what):
        """Stores that tidy up behind themselves make room: it is taken at once."""
        def holds():
            self.fill(leave)
            return condition()
        self.wait(holds, what)

    def beat(self):
        for peer in self.quiet:
            peer.send(HEARTBEAT)

    def checks(self, peer):
        return peer.call("service:bus", "health_check")["payload"]

    def answer(self, peer, request):
        return peer.expect(lambda r: r["correlation"] == request and r["kind"] in (ACK, ERROR))

    def put(self, peer, to, kept):
        """One message; the word it was refused with, or None."""
        request = None
        while True:
            self.beat()
            request = peer.send(SEND, os.urandom(PAYLOAD), target=to, type="note",
                                **({"id": request} if request else {}))
            answer = self.answer(peer, request)
            if answer["kind"] == ACK:
                kept.append(request)
                return None
            word = answer["payload"]["detail"]
            self.assertIn((answer["status"], word), REFUSALS, answer)
            if word != "storage_failed":
                return word
            # The store itself ran out of room, tidying up: it is opened again by itself.
            self.unsure.add(request)
            time.sleep(0.1)  # nothing tells when

    def fill_for_good(self, peer, kept):
        """With mail, until the store has nothing left to tidy up and is full still."""
        refused_since = None
        while refused_since is None or time.monotonic() - refused_since < 2.5:
            if self.put(peer, "agent:receiver", kept) is None:
                refused_since = None
            else:
                refused_since = refused_since or time.monotonic()
                time.sleep(0.1)

    def store(self, swarm, text):
        return swarm.http("POST", "memory", "/store", {"content": text, "agent_id": "agent:a"})

    def is_full_and_degraded(self, swarm):
        health = swarm.http("GET", "memory", "/health").json
        return health["status"] == "degraded" and health["checks"]["store"] == "storage full"

    def receive_all(self, peer, kept):
        """Each is acknowledged on disk."""
        request = peer.send(SUBSCRIBE, {"inbox": peer.identity, "ack_ms": 20000})
        count = self.answer(peer, request)["seq"]
        got, ends = [], {}
        while len(got) < count or ends:
            record = peer.expect(lambda r: r["kind"] in (DELIVER, ACK, ERROR))
            self.beat()
            if record["kind"] == DELIVER:
                got.append(record["id"])
            elif record["kind"] == ACK:
                ends.pop(record["correlation"])
                continue
            else:  # not even that found room, at that instant
                self.assertIn((record["status"], record["payload"]["detail"]), REFUSALS, record)
                time.sleep(0.05)  # nothing tells when there is some
            id_ = record["id"] if record["kind"] == DELIVER else ends.pop(record["correlation"])
            ends[peer.send(ACK, correlation=id_, flags=FLAG_CONFIRM)] = id_
        self.unsure -= set(kept)
        self.assertEqual([id_ for id_ in got if id_ not in self.unsure], kept)

    def expect_event(self, listener, type_):
        event = listener.expect(lambda r: r["kind"] == EVENT and r["type"].startswith("storage"))
        self.assertEqual(event["type"], type_)

    def check_all(self, rounds):
        kept = []
        with Swarm("log_level=error", home=os.path.join(self.disk, "home")) as swarm:
            memory_id = self.store(swarm, "before").json["memory_id"]
            pids = swarm.pids()
            with (swarm.peer("agent:sender") as sender, swarm.peer("operator") as watcher,
                  swarm.peer("operator") as listener):
                swarm.connection("agent:receiver")
                listener.send(SUBSCRIBE, {"channel": "system:events"})
                self.quiet = [listener, watcher]
                for leave in rounds:
                    self.one_round(swarm, sender, watcher, listener, kept, leave, memory_id)
                self.quiet = []
            self.assertEqual(swarm.pids(), pids, "something was started again")
            with swarm.peer("agent:receiver") as peer:
                self.receive_all(peer, kept)
            self.assertEqual(swarm.http("GET", "memory", f"/memories/{memory_id}").status, 200)
            self.assertEqual(self.checks_of(swarm)["status"], "ok")

    def checks_of(self, swarm):
        with swarm.peer("operator") as peer:
            return self.checks(peer)

    def one_round(self, swarm, sender, watcher, listener, kept, leave, memory_id):
        self.fill(leave)
        word = None
        while word is None:
            word = self.put(sender, "agent:receiver", kept)
        self.assertEqual(word, "storage_full")
        self.wait(lambda: self.checks(watcher)["checks"]["mail"] == "storage full", "health of the bus")
        self.expect_event(listener, "storage.full")
        leave = min(leave, RESERVE_MIB * MIB // 2)
        # Reads go on, of mail and of services; writes are refused in words.
        peek = sender.call("service:bus", "bus_mailboxes", {"pattern": "agent:receiver"})["payload"]
        waiting = peek["mailboxes"][0]["waiting"] if peek["mailboxes"] else 0
        self.assertIn(waiting, range(len(kept), len(kept) + len(self.unsure) + 1))
        self.wait_while_full(leave, lambda: self.store(swarm, "a moment late").status != 200,
                             "writes of the service")
        self.fill(leave)
        refused = self.store(swarm, "while full")
        self.assertEqual((refused.status, refused.json["detail"]), (500, "storage_full"))
        found = swarm.http("GET", "memory", f"/memories/{memory_id}")
        self.assertEqual((found.status, found.json.get("content")), (200, "before"), found.body)
        self.wait_while_full(leave, lambda: self.is_full_and_degraded(swarm), "health of the service")

        os.unlink(self.ballast)
        self.wait(lambda: self.checks(watcher)["checks"]["mail"] == "ok", "mail with room again")
        self.expect_event(listener, "storage.ok")
        self.assertIsNone(self.put(sender, "agent:receiver", kept))
        self.assertEqual(self.store(swarm, "after").status, 200)

    def test_load_fills_the_disk(self):
        self.check_all([SIZE_MIB * MIB])

    def test_load_fills_what_little_is_left_again_and_again(self):
        self.check_all([(RESERVE_MIB + 12) * MIB, (RESERVE_MIB + 6) * MIB])

    def test_somebody_else_fills_the_disk_to_its_last_byte(self):
        self.check_all([0, (RESERVE_MIB + 6) * MIB, 0])

    def test_what_is_handled_leaves_a_full_disk_and_makes_room(self):
        kept = []
        with Swarm("log_level=error", home=os.path.join(self.disk, "home")) as swarm:
            with swarm.peer("agent:sender") as sender, swarm.peer("agent:receiver") as receiver:
                self.quiet = [sender, receiver]
                self.fill_for_good(sender, kept)
                self.quiet = [sender]
                self.receive_all(receiver, kept)
                boxes = sender.call("service:bus", "bus_mailboxes", {"pattern": "agent:receiver"})
                self.assertEqual(boxes["payload"]["mailboxes"], [])
                self.quiet = [sender, receiver]
                self.wait(lambda: self.checks(sender)["checks"]["mail"] == "ok", "room of handled mail")
                self.assertIsNone(self.put(sender, "agent:receiver", kept))


if __name__ == "__main__":
    unittest.main()
