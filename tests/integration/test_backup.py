# SPDX-License-Identifier: Apache-2.0
"""Backups: what was acknowledged before one is in it, and a damaged one is never restored."""

import json
import os
import pathlib
import shutil
import stat
import tempfile
import threading
import unittest

from swarm import Swarm


class Backup(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="sos-test-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.backup = os.path.join(self.folder, "backup")
        self.home = os.path.join(self.folder, "restored")

    def store(self, swarm, text, agent="agent:a"):
        answer = swarm.http("POST", "memory", "/store", {"content": text, "agent_id": agent})
        self.assertEqual(answer.status, 200, answer.body)
        return answer.json["memory_id"]

    def restore(self, check=True):
        return Swarm(home=self.home).run("restore", self.backup, check=check)

    def assert_restored(self, acked, turns=()):
        with Swarm(home=self.home) as swarm:
            for memory_id, text in acked.items():
                answer = swarm.http("GET", "memory", f"/memories/{memory_id}")
                self.assertEqual((answer.status, answer.json.get("content")), (200, text))
            if turns:
                found = json.loads(swarm.run("call", "engine.history", "agent_id=agent:a",
                                             "conversation_id=c-1", "limit:=1000").stdout)["turns"]
                said = {turn["content"] for turn in found}
                self.assertEqual(set(turns) - said, set())

    def test_a_backup_while_writing(self):
        with Swarm() as swarm:
            swarm.run("agent", "new", "guest")
            acked, turns, stop, enough = {}, [], threading.Event(), threading.Event()

            def write(number):
                sent = 0
                while not stop.is_set():
                    sent += 1
                    text = f"note {number}-{sent}"
                    acked[self.store(swarm, text)] = text
                    if number == 0:
                        answer = swarm.http("POST", "engine", "/chat", {
                            "message": text, "agent_id": "agent:a", "conversation_id": "c-1",
                            "model": "sos-mock-v1", "memory_enabled": False})
                        self.assertEqual(answer.status, 200, answer.body)
                        turns.append(text)
                    if len(acked) > 100 and len(turns) > 3:
                        enough.set()

            writers = [threading.Thread(target=write, args=(number,)) for number in range(4)]
            for writer in writers:
                writer.start()
            try:
                self.assertTrue(enough.wait(30))
                before, before_turns = dict(acked), list(turns)[-40:]
                done = swarm.run("backup", self.backup)
            finally:
                stop.set()
                for writer in writers:
                    writer.join()
            self.assertIn(self.backup, done.stdout)
            self.assertEqual(swarm.run("status").returncode, 0)
            again = swarm.run("backup", self.backup, check=False)
            self.assertEqual(again.returncode, 1)
            guest = pathlib.Path(swarm.home, "agents", "guest.json").read_text(encoding="utf-8")
        for path in pathlib.Path(self.backup).rglob("*"):
            if path.is_dir() or path.parent.name in ("secrets", "agents"):
                self.assertEqual(stat.S_IMODE(path.stat().st_mode) & 0o077, 0, path)
        self.restore()
        self.assertEqual(pathlib.Path(self.home, "agents", "guest.json").read_text(encoding="utf-8"), guest)
        self.assert_restored(before, before_turns)
        with Swarm(home=self.home) as swarm, swarm.peer("agent:guest") as peer:
            self.assertEqual(peer.call("service:bus", "health_check")["payload"]["status"], "ok")

    def offline(self):
        with Swarm() as swarm:
            acked = {self.store(swarm, f"note {number}"): f"note {number}" for number in range(20)}
            self.assertEqual(swarm.down(), 0)
            swarm.run("backup", self.backup)
        return acked

    def test_a_backup_of_a_swarm_that_does_not_run(self):
        acked = self.offline()
        self.restore()
        self.assert_restored(acked)

    def test_a_damaged_backup_is_refused_by_name(self):
        self.offline()
        files = [path for path in pathlib.Path(self.backup).rglob("*")
                 if path.is_file() and path.stat().st_size and path.parent != pathlib.Path(self.backup)]
        self.assertGreater(len(files), 8)
        for path in files:
            good = path.read_bytes()
            changed = bytearray(good)
            changed[len(good) // 2] ^= 1
            path.write_bytes(changed)
            done = self.restore(check=False)
            self.assertEqual(done.returncode, 1, path)
            self.assertIn(str(path), done.stderr)
            self.assertFalse(os.path.exists(os.path.join(self.home, "data")), "a damaged home was put in place")
            path.write_bytes(good)
            shutil.rmtree(self.home + ".restoring", ignore_errors=True)
        for path in files[:3]:
            path.rename(str(path) + ".away")
            done = self.restore(check=False)
            self.assertEqual(done.returncode, 1, path)
            self.assertIn(str(path), done.stderr)
            pathlib.Path(str(path) + ".away").rename(path)
            shutil.rmtree(self.home + ".restoring", ignore_errors=True)

    def test_a_manifest_that_lies_is_refused(self):
        self.offline()
        manifest = next(path for path in pathlib.Path(self.backup).iterdir() if path.is_file())
        good = manifest.read_text(encoding="utf-8")
        root = json.loads(good)
        for change in ({"path": "../outside"}, {"path": "/etc/passwd"}, {"path": "data/../../x"}, {"path": 7},
                       {"sha256": "0" * 64}, {"sha256": None}):
            changed = json.loads(good)
            changed["files"][0].update(change)
            manifest.write_text(json.dumps(changed), encoding="utf-8")
            self.assertEqual(self.restore(check=False).returncode, 1, change)
            shutil.rmtree(self.home + ".restoring", ignore_errors=True)
        for text in ("", "{", "[]", '{"format":99,"files":[]}', json.dumps({**root, "files": {}})):
            manifest.write_text(text, encoding="utf-8")
            self.assertEqual(self.restore(check=False).returncode, 1, text[:40])
            shutil.rmtree(self.home + ".restoring", ignore_errors=True)
        self.assertFalse(os.path.exists(os.path.join(self.folder, "outside")))

    def test_a_home_that_is_there_is_not_overwritten(self):
        self.offline()
        os.mkdir(self.home)
        keep = os.path.join(self.home, "precious")
        pathlib.Path(keep).write_text("mine", encoding="utf-8")
        done = self.restore(check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("not empty", done.stderr)
        self.assertEqual(os.listdir(self.home), ["precious"])
        os.unlink(keep)
        self.restore()  # an empty folder is as good as none

    def test_only_the_operator_may_have_a_checkpoint_written(self):
        with Swarm() as swarm, swarm.peer("agent:guest") as guest, swarm.peer("operator") as operator:
            target = os.path.join(self.folder, "stolen")
            answer = guest.call("service:memory", "store_checkpoint", {"folder": target})
            self.assertEqual(answer["status"], 2002, answer)
            self.assertFalse(os.path.exists(target))
            os.mkdir(target)
            for folder in (target, "relative", "", 7, None, "/nowhere/at/all", "/" + "x" * 5000):
                answer = operator.call("service:memory", "store_checkpoint", {"folder": folder})
                self.assertNotEqual(answer["status"] or 0, 0, folder)
            self.assertEqual(os.listdir(target), [])
            self.assertEqual(swarm.run("status").returncode, 0)


if __name__ == "__main__":
    unittest.main()
