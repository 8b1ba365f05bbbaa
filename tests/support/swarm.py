# SPDX-License-Identifier: Apache-2.0
"""A real swarm for one test: the built binary, a temporary home, free ports."""

import http.client
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

import sos_wire

BINARY = os.environ.get("SOS_BINARY") or str(
    pathlib.Path(__file__).resolve().parents[2] / "build" / "dev" / "sos")


class Answer:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def json(self):
        return json.loads(self.body)


class Swarm:
    """with Swarm() as swarm: … ; `settings` become --set arguments."""

    def __init__(self, *settings, home=None, up_arguments=(), environment=None):
        self.settings = ["ports=auto", *settings]
        self.home = home or tempfile.mkdtemp(prefix="sos-test-")
        self.keep_home = home is not None
        self.up_arguments = list(up_arguments)
        self.environment = {name: value for name, value in os.environ.items()
                            if not name.startswith("SOS_")} | (environment or {})
        self.process = None
        self.ports = {}
        self.up_at_enter = True
        self.up_seconds = 0.0

    def __enter__(self):
        try:
            if self.up_at_enter:
                self.up()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, *_):
        if self.process:
            self.down()
        if not self.keep_home:
            shutil.rmtree(self.home, ignore_errors=True)

    @classmethod
    def home_only(cls, *settings):
        """with Swarm.home_only() as swarm: nothing runs yet; the home goes at the end."""
        swarm = cls(*settings)
        swarm.up_at_enter = False
        return swarm

    # ---- life

    def arguments(self, *arguments):
        sets = [part for setting in self.settings for part in ("--set", setting)]
        return [BINARY, "--home", self.home, *sets, *arguments]

    def run(self, *arguments, check=True, timeout=60, input=None):
        """One sos command on this home; returns its CompletedProcess."""
        done = subprocess.run(self.arguments(*arguments), capture_output=True, text=True,
                              timeout=timeout, env=self.environment, input=input,
                              stdin=subprocess.DEVNULL if input is None else None)
        if check and done.returncode != 0:
            raise AssertionError(f"sos {' '.join(arguments)}: exit {done.returncode}\n"
                                 f"{done.stdout}{done.stderr}")
        return done

    def up(self):
        """Returns when `sos up` says that the swarm is healthy; up_seconds is how long it took."""
        started = time.monotonic()
        self.process = subprocess.Popen(
            self.arguments("up", *self.up_arguments), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=self.environment)
        lines = []
        for line in self.process.stdout:
            lines.append(line)
            if "up and healthy" in line:
                break
        else:
            self.process.wait()
            self.process.stdout.close()
            self.process = None
            raise AssertionError("the swarm did not start:\n" + "".join(lines))
        self.up_seconds = time.monotonic() - started
        # Its log goes on: take it away so that the pipe never fills.
        self.drain = subprocess.Popen(["cat"], stdin=self.process.stdout,
                                      stdout=subprocess.DEVNULL)
        self.process.stdout.close()
        with open(os.path.join(self.home, "run", "gateway.json"), encoding="utf-8") as file:
            self.ports = json.load(file)["ports"]

    def down(self):
        """SIGTERM; returns the exit code."""
        process, self.process = self.process, None
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            code = process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError("the swarm did not stop within 60 s") from None
        finally:
            self.drain.wait()
        return code

    def pids(self):
        """{part: pid} of the children of the supervisor ("supervisor" itself included)."""
        found = {"supervisor": self.process.pid}
        path = f"/proc/{self.process.pid}/task/{self.process.pid}/children"
        for pid in pathlib.Path(path).read_text().split():
            try:
                words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            except (FileNotFoundError, ProcessLookupError):
                continue
            for part in ("broker", "gateway", "memory", "engine", "identity"):
                if part.encode() in words:
                    found[part] = int(pid)
        return found

    def memory_kib(self, part, field="VmRSS"):
        """VmRSS (now) or VmHWM (the most so far) of a part, in KiB."""
        for line in pathlib.Path(f"/proc/{self.pids()[part]}/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1])
        raise AssertionError(f"no {field} of {part}")

    def log(self):
        """The swarm's log so far."""
        return pathlib.Path(self.home, "logs", "sos.log").read_text(encoding="utf-8")

    def kill(self, part):
        """kill -9 of one part."""
        os.kill(self.pids()[part], signal.SIGKILL)

    def kill_all(self):
        """kill -9 of every process at once; the swarm is then down."""
        process = self.process
        for pid in sorted(self.pids().values()):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        process.wait()
        self.drain.wait()
        self.process = None

    def wait_healthy(self, timeout_s=20.0):
        """Awaits `ok` from every service over the bus; returns the seconds it took."""
        started = time.monotonic()
        while time.monotonic() - started < timeout_s:
            if self.run("status", check=False).returncode == 0:
                return time.monotonic() - started
        raise AssertionError("not healthy:\n" + self.run("status", check=False).stdout)

    # ---- doors

    def http(self, method, door, path, body=None, headers=None, timeout=30):
        """One HTTP call; a dict or list body goes as JSON."""
        connection = http.client.HTTPConnection("127.0.0.1", self.ports[door], timeout=timeout)
        headers = dict(headers or {})
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
            headers.setdefault("Content-Type", "application/json")
        try:
            connection.request(method, path, body=body, headers=headers)
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()

    def connection(self, name):
        """Connection dict of "operator", a service ("memory") or an agent ("agent:x", made when new)."""
        if name.startswith("agent:"):
            path = os.path.join(self.home, "agents", name.split(":", 1)[1] + ".json")
            if not os.path.exists(path):
                self.run("agent", "new", name.split(":", 1)[1])
        else:
            path = os.path.join(self.home, "secrets", name + ".key")
        with open(path, encoding="utf-8") as file:
            own = json.load(file)
        with open(os.path.join(self.home, "config", "swarm.json"), encoding="utf-8") as file:
            own.update(json.load(file))
        return own

    def peer(self, name, **options):
        return sos_wire.Peer(self.connection(name), **options)
