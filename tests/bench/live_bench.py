# SPDX-License-Identifier: Apache-2.0
"""What others cost: a tap, ten thousand idle peers, and neighbours that do not keep up. Each figure stands beside the
same without them, measured in the same rounds by the loads of the other rows."""

import contextlib
import json
import os
import pathlib
import resource
import signal
import statistics
import subprocess
import tempfile
import time

from bus_bench import Loads, Lost, Process, measure_one_way, measure_requests, sos_broker
from mail_bench import LIMITS, measure_sends, sos_system

NEIGHBOUR = pathlib.Path(__file__).with_name("neighbour.py")
CROWDS = (10, 100, 1000, 10000)
CROWD_PROCESS = 1000  # peers of one process
IDLE_S = 60


def median(figures):
    return statistics.median(figures)


def table(heads, rows):
    print("| " + " | ".join(heads) + " |")
    print("|---" * len(heads) + "|")
    for row in rows:
        print("| " + " | ".join(row) + " |")


class Stand:
    """A broker and the systems that load it."""

    def __init__(self, stack, binary, skipped, *settings):
        self.folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="sos-bench-"))
        loads = Loads(binary, skipped)
        self.program = loads.find("sos")
        if not self.program:
            raise SystemExit(skipped[-1])
        self.files, self.pid = stack.enter_context(sos_broker(self.folder, *LIMITS, *settings))
        self.requests = sos_system("requests", self.program, self.files)
        self.durable = sos_system("mail", self.program, self.files, "--durable")


# ---- neighbours, the tap among them


@contextlib.contextmanager
def reading_tap(stand, counts):
    """A tap that reads all it gets; counts: gets (records, dropped)."""
    process = Process(stand.program, "tap", "--address", "home", "--keys", stand.files["agent:bench"], "--token",
                      stand.files["token"])
    try:
        process.await_ready()
        yield
        process.stop()
        result = process.result(30)
        counts.append((result["done"], result["lost"]))
    finally:
        process.end()


@contextlib.contextmanager
def neighbour(stand, role, *arguments):
    """One of tests/bench/neighbour.py, which is said to be ready when its session stands."""
    identity = "agent:box-0" if role == "receiver" else "agent:bench"
    process = Process("/usr/bin/python3", NEIGHBOUR, role, stand.files[identity], *arguments)
    try:
        process.await_ready()
        yield
        if process.process.poll() is not None:
            raise SystemExit(f"neighbour {role} ended by itself")
    finally:
        process.end()


def requests_figures(stand, seconds):
    rate, _, p99 = measure_requests(stand.requests, seconds)
    return rate, p99


def events_figures(stand, seconds):
    return (measure_one_way(stand.requests, seconds),)


def mail_figures(stand, seconds):
    return (measure_sends(stand.durable, seconds)[0],)


# What the others reach: how it is measured, and the heads of its figures.
LOADS = [(requests_figures, ["requests/s", "their p99, µs"]), (events_figures, ["events/s to a healthy subscriber"]),
         (mail_figures, ["durable messages/s"])]


def beside_and_alone(stand, seconds, rounds, load, enter):
    """Pairs of figures, each beside somebody and right before or after that, in turn, without: what else the machine
    does comes and goes slower than that."""
    for turn in range(rounds):
        alone = load(stand, seconds) if turn % 2 == 0 else None
        with enter():
            beside = load(stand, seconds)
        yield beside, alone or load(stand, seconds)


def alternate_with(stand, seconds, rounds, cases):
    """cases: (name, function that makes the context)."""
    measure_sends(stand.durable, seconds)  # an inbox whose receiver stops reading is full from the beginning
    rows, nobody = [[name] for name, _ in cases], []
    for load, heads in LOADS:
        alones = []
        for row, (_, enter) in zip(rows, cases):
            pairs = list(beside_and_alone(stand, seconds, rounds, load, enter))
            alones += [alone for _, alone in pairs]
            row += [f"{median([beside[i] for beside, _ in pairs]):,.0f} "
                    f"({median([beside[i] / alone[i] for beside, alone in pairs]):.2f})" for i in range(len(heads))]
        nobody += [f"{median([alone[i] for alone in alones]):,.0f}" for i in range(len(heads))]
    table(["who is there", *(head for _, heads in LOADS for head in heads)], [["nobody", *nobody], *rows])


def bench_tap(binary, rounds, seconds, skipped):
    with contextlib.ExitStack() as stack:
        stand = Stand(stack, binary, skipped)
        counts = []
        print(f"\nA tap of all headers: requests, events and durable messages as above while it runs, in brackets the "
              f"median ratio to the same without it right before or after; {rounds} rounds of {seconds} s each.\n")
        alternate_with(stand, seconds, rounds, [
            ("a tap that reads", lambda: reading_tap(stand, counts)),
            ("a tap that never reads", lambda: neighbour(stand, "tap", stand.files["token"]))])
        shown, dropped = sum(one for one, _ in counts), sum(one for _, one in counts)
        print(f"\nThe tap that reads was shown {shown:,} records, and told of {dropped:,} that it was not shown.")


def bench_neighbours(binary, rounds, seconds, skipped):
    with contextlib.ExitStack() as stack:
        stand = Stand(stack, binary, skipped)
        healthy = measure_one_way(stand.requests, seconds)
        print(f"\nNeighbours that do not keep up: requests, events and durable messages as above while each is there, in "
              f"brackets the median ratio to nobody right before or after; {rounds} rounds of {seconds} s each.\n")
        alternate_with(stand, seconds, rounds, [
            ("a receiver that stops reading its mail", lambda: neighbour(stand, "receiver")),
            (f"a subscriber that reads {healthy / 100:,.0f} events/s, a hundredth",
             lambda: neighbour(stand, "subscriber", int(healthy / 100) + 1)),
            ("a tap that never reads", lambda: neighbour(stand, "tap", stand.files["token"]))])


# ---- idle peers


def memory_kib(pid, field):
    name = "smaps_rollup" if field == "Pss" else "status"
    for line in pathlib.Path(f"/proc/{pid}/{name}").read_text(encoding="ascii").splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1])
    raise SystemExit(f"no {field} of {pid}")


def cpu_s(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Crowd:
    """Idle peers, more and more of them."""

    def __init__(self, stand, program):
        self.stand, self.program, self.processes, self.count = stand, program, [], 0
        self.again = 0  # sessions that were lost and begun again

    def grow(self, count):
        while self.count < count:
            more = min(count - self.count, CROWD_PROCESS)
            process = subprocess.Popen([self.program, "--keys", self.stand.files["agent:box-0"], "--count", str(more)],
                                       stdout=subprocess.PIPE, text=True)
            self.processes.append(process)
            if process.stdout.readline() != "ready\n":
                raise SystemExit("the idle peers did not connect")
            self.count += more

    def check(self):
        if any(process.poll() is not None for process in self.processes):
            raise Lost("idle peers were lost")

    def end(self):
        for process in self.processes:
            process.send_signal(signal.SIGTERM)
        for process in self.processes:
            self.again += json.loads(process.communicate(timeout=60)[0] or "{}").get("again", 0)
        self.processes = []


def raise_descriptors(wanted):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


class Cost:
    """Of a message while `count` idle peers are there."""

    def __init__(self, count):
        self.count, self.rates, self.p50, self.lone, self.cpu_us, self.idle = count, [], [], [], [], []

    def measure(self, stand, seconds):
        before, start = cpu_s(stand.pid), time.monotonic()
        time.sleep(seconds)  # what the heartbeats of idle peers cost
        idle = (cpu_s(stand.pid) - before) / (time.monotonic() - start)
        before, start = cpu_s(stand.pid), time.monotonic()
        rate, p50, _ = measure_requests(stand.requests, seconds)
        busy = cpu_s(stand.pid) - before - idle * (time.monotonic() - start)
        self.idle.append(idle * 100)
        self.rates.append(rate)
        self.p50.append(p50)
        self.cpu_us.append(busy / (rate * seconds) * 1e6)
        self.lone.append(measure_requests(stand.requests, seconds, clients=1, workers=1, in_flight=1)[1])

    def cells(self, base):
        def cell(own, other, digits=0):
            return f"{median(own):,.{digits}f} ({median(own) / median(other):.2f})"
        return [f"{self.count:,}", cell(self.cpu_us, base.cpu_us, 2), cell(self.rates, base.rates),
                cell(self.p50, base.p50), cell(self.lone, base.lone), f"{median(self.idle):.1f} %"]


def bench_peers(binary, rounds, seconds, skipped, idle_s=IDLE_S):
    program = pathlib.Path(binary).parent / "tests" / "bench" / "bus" / "bench_peers"
    if not program.exists():
        skipped.append(f"idle peers: {program} is not built (cmake -DSOS_BENCH=ON)")
        return
    limit = raise_descriptors(2 * max(CROWDS))
    crowds = [count for count in CROWDS if count + 200 < limit]
    if len(crowds) < len(CROWDS):
        skipped.append(f"{max(CROWDS):,} idle peers: the limit of open files is {limit} (ulimit -n)")
    with contextlib.ExitStack() as stack:
        stand = Stand(stack, binary, skipped)
        crowd = Crowd(stand, str(program))
        stack.callback(crowd.end)
        measure_requests(stand.requests, seconds)  # what the first messages allocate is not the peers'
        before = {field: memory_kib(stand.pid, field) for field in ("VmRSS", "Pss")}
        costs = []
        for count in crowds:
            crowd.grow(count)
            if count == crowds[-1]:
                then = {field: memory_kib(stand.pid, field) for field in before}
                time.sleep(idle_s)  # idle is what is measured
                later = {field: memory_kib(stand.pid, field) for field in before}
            costs.append(Cost(count))
            for _ in range(rounds):
                costs[-1].measure(stand, seconds)
            crowd.check()
        crowd.end()
        print("\nIdle peers (each a CURVE session that says its heartbeats). The broker's memory in MiB:\n")
        table(["", "before", f"with {crowds[-1]:,}", f"{idle_s} s later", "bytes per peer"],
              [[{"VmRSS": "resident", "Pss": "PSS"}[field], f"{before[field] / 1024:.1f}", f"{then[field] / 1024:.1f}",
                f"{later[field] / 1024:.1f}", f"{(then[field] - before[field]) * 1024 / crowds[-1]:,.0f}"]
               for field in before])
        print("\nCost of a request and its reply among 4 clients (64 in flight each) and 2 workers while they are there; "
              "in brackets the ratio to the first line. Broker CPU is what it takes beyond the idle peers' "
              f"heartbeats; {rounds} rounds of {seconds} s.\n")
        table(["idle peers", "broker CPU per request, µs", "requests/s", "p50, µs", "p50 of a lone request, µs",
               "broker CPU for heartbeats"], [cost.cells(costs[0]) for cost in costs])
        print(f"\nSessions that were lost meanwhile and begun again: {crowd.again}.")


# ---- a lone message, against another build


def bench_lone(binary, other, rounds, seconds, skipped):
    with contextlib.ExitStack() as stack:
        stand = Stand(stack, binary, skipped)
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="sos-bench-"))
        files, _ = stack.enter_context(sos_broker(folder, binary=other))
        systems = [stand.requests, sos_system("the other build's broker", stand.program, files)]
        p50, p99 = ([], []), ([], [])
        for _ in range(rounds):
            for index, system in enumerate(systems):
                _, middle, high = measure_requests(system, seconds, clients=1, workers=1, in_flight=1)
                p50[index].append(middle)
                p99[index].append(high)
        print(f"\nA lone request (1 client, 1 in flight, 1 worker) through this broker and another build's; {rounds} "
              f"alternating rounds of {seconds} s.\n")
        table(["broker", "p50, µs", "p99, µs"],
              [[name, f"{median(p50[index]):.1f}", f"{median(p99[index]):.1f}"]
               for index, name in enumerate(("this build", other))])
