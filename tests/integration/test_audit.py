# SPDX-License-Identifier: Apache-2.0
"""The audit trail of a service: kill -9 neither loses nor doubles an entry, damage is found, and what
cannot be written down is not done."""

import collections
import hashlib
import http.client
import json
import os
import pathlib
import random
import shutil
import subprocess
import tempfile
import threading
import time
import unittest

from swarm import Swarm

WRITERS = 4
QUICK = bool(os.environ.get("SOS_TEST_QUICK"))
KILLS = int(os.environ.get("SOS_TEST_KILLS") or (3 if QUICK else 8))


def trail_path(swarm, name="identity"):
    return pathlib.Path(swarm.home, "data", "audit", name + ".jsonl")


def lines_of(swarm, name="identity"):
    return [json.loads(line) for line in trail_path(swarm, name).read_text(encoding="utf-8").splitlines()]


class Writer(threading.Thread):
    """Makes users, and tries to join guilds that do not exist; keeps what was answered."""

    def __init__(self, swarm, number, stop):
        super().__init__()
        self.swarm, self.number, self.stop = swarm, number, stop
        self.answered = {}  # (event, resource) -> outcome
        self.sent = 0

    def post(self, path, body):
        connection = http.client.HTTPConnection("127.0.0.1", self.swarm.ports["identity"], timeout=10)
        try:
            connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        finally:
            connection.close()

    def run(self):
        while not self.stop.is_set():
            self.sent += 1
            name = f"w{self.number}-{self.sent}"
            try:
                if self.sent % 3:
                    status, _ = self.post("/users/create", {"name": name})
                    if status == 200:
                        self.answered["identity_user_create", f"user:{name}"] = "ok"
                else:
                    guild = f"guild:{name}"
                    status, _ = self.post("/guilds/join", {"guild_id": guild, "user_id": "user:nobody"})
                    if status == 404:
                        self.answered["identity_guild_join", guild] = "refused"
            except (OSError, http.client.HTTPException, ValueError):
                self.stop.wait(0.02)  # the door is being restarted: not a wait for a result


class Audit(unittest.TestCase):
    def assert_good(self, swarm):
        done = swarm.run("--json", "audit", "verify", check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        answer = json.loads(done.stdout)
        self.assertTrue(answer["ok"])
        return {trail["trail"]: trail for trail in answer["trails"]}

    def assert_flaw(self, swarm, line, problem, file="identity.jsonl"):
        done = swarm.run("--json", "audit", "verify", check=False)
        self.assertEqual(done.returncode, 1, done.stdout)
        trail = {trail["trail"]: trail for trail in json.loads(done.stdout)["trails"]}["identity"]
        self.assertEqual((trail["ok"], trail["file"], trail["line"]), (False, file, line), trail)
        self.assertIn(problem, trail["problem"])
        self.assertTrue(trail["expected"])
        plain = swarm.run("audit", "verify", check=False)
        self.assertEqual(plain.returncode, 1)
        self.assertIn(f"data/audit/{file}, line {line}: ", plain.stdout)
        self.assertIn("expected: ", plain.stdout)

    def test_a_kill_neither_loses_nor_doubles_an_entry(self):
        seed = int(os.environ.get("SOS_TEST_SEED") or time.time())
        rng = random.Random(seed)
        with Swarm("log_level=error") as swarm:
            stop = threading.Event()
            writers = [Writer(swarm, number, stop) for number in range(WRITERS)]
            for writer in writers:
                writer.start()
            try:
                for number in range(KILLS):
                    stop.wait(rng.uniform(0.05, 0.6))
                    if number % 4 == 3:
                        swarm.kill_all()
                        swarm.up()
                    else:
                        swarm.kill("identity")
                        swarm.wait_healthy()
                stop.wait(0.3)
            finally:
                stop.set()
                for writer in writers:
                    writer.join()
            swarm.wait_healthy()
            # The last rows that a crash left behind go to the file when the service starts.
            swarm.kill("identity")
            swarm.wait_healthy()
            swarm.run("call", "identity.user_create", "name=the-last-one")
            self.assert_good(swarm)

            found = collections.Counter()
            traces = collections.Counter()
            outcomes = {}
            for line in lines_of(swarm):
                if line["event"].startswith("identity_"):
                    found[line["event"], line["resource"]] += 1
                    outcomes[line["event"], line["resource"]] = line["outcome"]
                    traces[line["event"], line["trace_id"]] += 1
            answered = {key: value for writer in writers for key, value in writer.answered.items()}
            print(f"\nseed {seed}: {KILLS} kills, {len(answered)} answers, {sum(found.values())} entries")
            self.assertGreater(len(answered), 0)
            for key, outcome in answered.items():
                self.assertEqual(found[key], 1, f"seed {seed}: {key}")
                self.assertTrue(outcomes[key].startswith(outcome), f"seed {seed}: {key} {outcomes[key]}")
            self.assertEqual([key for key, count in traces.items() if count > 1], [], f"seed {seed}")
            # What is told as done was done, also where the answer was lost.
            for (event, resource), outcome in outcomes.items():
                if event == "identity_user_create" and outcome == "ok":
                    answer = swarm.http("GET", "identity", "/users/" + resource)
                    self.assertEqual(answer.status, 200, f"seed {seed}: {resource}")

    def test_damage_is_found_where_it_is(self):
        with Swarm("log_level=error") as swarm:
            for number in range(5):
                swarm.http("POST", "identity", "/users/create", {"name": f"u{number}"})
            swarm.down()
            trails = self.assert_good(swarm)
            self.assertEqual(trails["identity"]["files"], 1)
            path = trail_path(swarm)
            whole = path.read_bytes()
            lines = whole.splitlines(keepends=True)
            self.assertGreaterEqual(len(lines), 5)
            self.assertEqual(trails["identity"]["lines"], len(lines))

            # The chain can be checked without this program.
            head, _, tail = lines[2].rpartition(b',"hash":"')
            self.assertEqual(hashlib.sha256(head).hexdigest().encode(), tail[:64])
            self.assertIn(json.loads(lines[1])["hash"].encode(), head)

            path.write_bytes(whole.replace(b"user:u2", b"user:u9"))
            self.assert_flaw(swarm, next(i for i, line in enumerate(lines, 1) if b"user:u2" in line), "altered")
            path.write_bytes(b"".join(lines[:2] + lines[3:]))
            self.assert_flaw(swarm, 3, "removed, added or moved")
            path.write_bytes(b"".join([lines[0], lines[2], lines[1], *lines[3:]]))
            self.assert_flaw(swarm, 2, "removed, added or moved")
            path.write_bytes(b"".join(lines[1:]))
            self.assert_flaw(swarm, 1, "oldest lines were removed")
            path.write_bytes(lines[0] + b"not of this trail\n" + b"".join(lines[1:]))
            self.assert_flaw(swarm, 2, "no line that a trail writes")

            # Cut off at the end: the service itself misses it, and goes on.
            path.write_bytes(b"".join(lines[:2]))
            swarm.up()
            swarm.http("POST", "identity", "/users/create", {"name": "after"})
            self.assert_flaw(swarm, 3, "found it damaged")
            self.assertIn("lines are missing", lines_of(swarm)[2]["detail"])
            self.assertIn("user:after", [line["resource"] for line in lines_of(swarm)])
            # What comes behind a flaw that is known can be checked by itself.
            known = str(lines_of(swarm)[2]["seq"])
            swarm.run("audit", "verify", "--trail", "identity", "--after", known)
            path.write_bytes(path.read_bytes().replace(b"user:after", b"user:other"))
            self.assertEqual(swarm.run("audit", "verify", "--trail", "identity", "--after", known,
                                       check=False).returncode, 1)

    def test_a_restored_home_goes_on_with_its_trail(self):
        folder = tempfile.mkdtemp(prefix="sos-test-")
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        copy, home = os.path.join(folder, "backup"), os.path.join(folder, "restored")
        with Swarm("log_level=error") as swarm:
            for number in range(3):
                swarm.http("POST", "identity", "/users/create", {"name": f"u{number}"})
            swarm.run("backup", copy)
        Swarm(home=home).run("restore", copy)
        with Swarm("log_level=error", home=home) as restored:
            before = self.assert_good(restored)["identity"]["lines"]
            self.assertGreaterEqual(before, 3)
            restored.http("POST", "identity", "/users/create", {"name": "after"})
            self.assertGreater(self.assert_good(restored)["identity"]["lines"], before)

    def test_what_cannot_be_audited_is_not_done(self):
        with Swarm("log_level=error") as swarm:
            path = trail_path(swarm)
            swarm.http("POST", "identity", "/users/create", {"name": "before"})
            path.unlink()
            path.mkdir()
            # Its entry is in the store, so it is done; from here on it is known that the file takes nothing.
            self.assertEqual(swarm.http("POST", "identity", "/users/create", {"name": "known"}).status, 200)
            answer = swarm.http("POST", "identity", "/users/create", {"name": "ana"})
            self.assertEqual(answer.status, 500)
            self.assertIn("not_audited", answer.body.decode())
            self.assertEqual(swarm.http("GET", "identity", "/users/user:ana").status, 404)
            self.assertEqual(swarm.http("GET", "identity", "/agents").status, 200)
            self.assertEqual(swarm.run("status", check=False).returncode, 1)
            path.rmdir()
            deadline = time.monotonic() + 10
            while True:  # the service tries again every second
                answer = swarm.http("POST", "identity", "/users/create", {"name": "ana"})
                if answer.status == 200 or time.monotonic() > deadline:
                    break
            self.assertEqual(answer.status, 200)
            resources = [line["resource"] for line in lines_of(swarm)]
            self.assertEqual([name for name in resources if name], ["user:known", "user:ana"])
            self.assert_flaw(swarm, 1, "found it damaged")  # the old file is gone

    def test_tail_follows_and_search_finds(self):
        with Swarm("log_level=error") as swarm:
            swarm.http("POST", "identity", "/users/create", {"name": "ana"})
            tail = subprocess.Popen(swarm.arguments("audit", "tail", "-n", "100", "--follow"), text=True,
                                    stdout=subprocess.PIPE, env=swarm.environment)
            try:
                self.await_line(tail, "user:ana")
                swarm.http("POST", "identity", "/users/create", {"name": "bo"})
                self.await_line(tail, "user:bo")
            finally:
                tail.kill()
                tail.wait()
                tail.stdout.close()
            swarm.http("POST", "identity", "/guilds/join", {"guild_id": "guild:none", "user_id": "user:ana"})

            def search(*arguments):
                out = swarm.run("--json", "audit", "search", *arguments).stdout
                return [json.loads(line) for line in out.splitlines()]

            found = search("--event", "identity_user_*", "--since", "1h")
            self.assertEqual([line["resource"] for line in found], ["user:ana", "user:bo"])
            self.assertEqual([line["event"] for line in search("--outcome", "refused*", "--trail", "identity")],
                             ["identity_guild_join"])
            self.assertEqual(search("--event", "identity_user_*", "--until", "1h"), [])
            self.assertEqual(search("--actor", "agent:*"), [])
            limited = swarm.run("audit", "search", "--event", "identity_user_*", "--limit", "1")
            self.assertIn("user:bo", limited.stdout)
            self.assertNotIn("user:ana", limited.stdout)
            self.assertIn("1 older lines match too", limited.stderr)
            self.assertEqual(swarm.run("audit", "search", "--since", "soon", check=False).returncode, 2)
            self.assertEqual(swarm.run("audit", check=False).returncode, 2)

    def await_line(self, process, part):
        timer = threading.Timer(20, process.kill)
        timer.start()
        try:
            for line in process.stdout:
                if part in line:
                    return
            self.fail(f"no line with {part}")
        finally:
            timer.cancel()


if __name__ == "__main__":
    unittest.main()
