# SPDX-License-Identifier: Apache-2.0
"""A damaged write-ahead log is refused by name, never skipped; a torn last record is what a crash leaves."""

import pathlib
import re
import unittest

from swarm import Swarm

NOTES = 60


class WalDamage(unittest.TestCase):
    def setUp(self):
        self.swarm = Swarm()
        self.swarm.__enter__()
        self.addCleanup(self.swarm.__exit__, None, None, None)
        self.acked = {}
        for number in range(NOTES):
            text = f"note {number} " + "x" * 200
            answer = self.swarm.http("POST", "memory", "/store", {"content": text, "agent_id": "agent:a"})
            self.assertEqual(answer.status, 200, answer.body)
            self.acked[answer.json["memory_id"]] = text
        self.swarm.kill_all()
        logs = sorted(pathlib.Path(self.swarm.home, "data", "memory").rglob("*.log"),
                      key=lambda path: path.stat().st_size)
        self.wal = logs[-1]
        self.data = self.wal.read_bytes()
        self.assertGreater(len(self.data), NOTES * 200)

    def assert_all_there(self, lost=()):
        for memory_id, text in self.acked.items():
            answer = self.swarm.http("GET", "memory", f"/memories/{memory_id}")
            if memory_id not in lost:
                self.assertEqual((answer.status, answer.json["content"]), (200, text))

    def start_refused(self):
        done = self.swarm.run("up", check=False)
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertNotIn("up and healthy", done.stdout)
        return done.stderr.strip().splitlines()[-1]

    def test_an_undamaged_log_gives_everything_back(self):
        self.swarm.up()
        self.assert_all_there()

    def test_a_flipped_byte_is_refused_by_name(self):
        for place in (0.1, 0.5, 0.8):
            at = int(len(self.data) * place)
            changed = bytearray(self.data)
            changed[at] ^= 0x20
            self.wal.write_bytes(changed)
            words = self.start_refused()
            self.assertIn(str(self.wal.parent), words)
            self.assertIn(self.wal.name, words)
            named = re.search(r"offset (\d+)", words)
            self.assertTrue(named, words)
            self.assertLessEqual(int(named.group(1)), at)
            self.assertLess(at - int(named.group(1)), 40000)
            self.assertEqual(self.wal.read_bytes(), bytes(changed), "the damaged file was touched")
        self.wal.write_bytes(self.data)  # the disk's owner puts the good copy back
        self.swarm.up()
        self.assert_all_there()

    def test_a_torn_last_record_is_no_damage(self):
        # As if power failed in the middle of the next write, which nobody had been told of.
        self.wal.write_bytes(self.data + b"\x12\x34\x56\x78\x40\x00\x01" + b"half a record")
        self.swarm.up()
        self.assert_all_there()

    def test_zeroes_after_the_end_are_no_damage(self):
        self.wal.write_bytes(self.data + bytes(4096))
        self.swarm.up()
        self.assert_all_there()


if __name__ == "__main__":
    unittest.main()
