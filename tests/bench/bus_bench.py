# SPDX-License-Identifier: Apache-2.0
"""Rows 1 and 2 of the benchmarks: SOS and its peers carry the same messages, played by tests/bench/bus/load.c.

Each system is a context that knows how to start its server and what its load program's arguments are. A round is one
measurement of one system: the server runs already, load processes start, say that they are ready, begin together."""

import contextlib
import getpass
import json
import os
import pathlib
import shutil
import signal
import socket
import statistics
import subprocess
import tempfile
import time

import tokens
import zmq
from swarm import Swarm

READY_S = 20
CERTIFICATE_DAYS = "30"


class Lost(Exception):
    """A run that lost, doubled or mixed up a message counts for nothing."""


class Process:
    """One load process; its lines come through a pipe."""

    def __init__(self, program, role, *arguments):
        self.role = role
        self.process = subprocess.Popen([program, role, *map(str, arguments)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)

    def await_ready(self):
        line = self.process.stdout.readline()
        if line != "ready\n":
            raise SystemExit(f"{self.process.args}: not ready, but {line!r}")

    def go(self):
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def result(self, timeout_s):
        out, _ = self.process.communicate(timeout=timeout_s)
        if self.process.returncode != 0 or not out:
            raise SystemExit(f"{self.process.args}: exit {self.process.returncode}")
        return json.loads(out)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


@contextlib.contextmanager
def playing(system, parts):
    """parts: (role, arguments) in the order in which they start."""
    processes = []
    try:
        for role, arguments in parts:
            processes.append(Process(system.program, role, *system.arguments(role), *arguments))
            processes[-1].await_ready()
        yield processes
    finally:
        for process in processes:
            process.end()


def measure_requests(system, seconds, clients=4, workers=2, in_flight=64, size=256):
    """Requests answered per second by all clients together, and their median p50 and p99 in µs."""
    common = ["--size", size, "--in-flight", in_flight, "--workers", workers, "--seconds", seconds]
    parts = [("worker", [*common, "--index", index]) for index in range(workers)]
    parts += [("client", [*common, "--index", index]) for index in range(clients)]
    with playing(system, parts) as processes:
        asking = [process for process in processes if process.role == "client"]
        for process in asking:
            process.go()
        results = [process.result(seconds + 30) for process in asking]
        serving = [process for process in processes if process.role == "worker"]
        for process in serving:
            process.stop()
        served = sum(process.result(30)["done"] for process in serving)
    done = sum(result["done"] for result in results)
    if served != done or any(result["lost"] or result["wrong"] for result in results):
        raise Lost(f"{system.name}: asked {results}, served {served}")
    rate = sum(result["done"] / result["seconds"] for result in results)
    return rate, max(result["p50_us"] for result in results), max(result["p99_us"] for result in results)


def measure_one_way(system, seconds, subscribers=1, window=4096, size=256):
    """Messages published per second that every subscriber got once and in order."""
    common = ["--size", size, "--window", window, "--subscribers", subscribers, "--seconds", seconds]
    parts = [("subscriber", [*common, "--index", index]) for index in range(subscribers)]
    parts.append(("publisher", common))
    with playing(system, parts) as processes:
        publisher = processes.pop()
        try:
            publisher.go()
            result = publisher.result(seconds + 30)
            got = [process.result(30) for process in processes]
        finally:
            publisher.end()
    if result["lost"] or result["wrong"] or any(one["done"] != result["done"] or one["wrong"] for one in got):
        raise Lost(f"{system.name}: published {result}, received {got}")
    return result["done"] / result["seconds"]


# ---- systems


class System:
    """name: of its row; program: its load program; arguments: a function of the role."""

    def __init__(self, name, program, arguments):
        self.name, self.program, self.arguments = name, program, arguments


def write_connection(path, identity, keys, swarm):
    path.write_text(json.dumps({"identity": identity, "curve_public_key": keys[0], "curve_secret_key": keys[1],
                                "endpoint": swarm["endpoint"], "broker_public_key": swarm["broker_public_key"]}),
                    encoding="ascii")
    os.chmod(path, 0o600)


@contextlib.contextmanager
def sos_broker(folder, *settings, binary=None):
    """A bare broker of a real home, which knows service:bench, agent:bench and agent:box-0 besides its own. Yields
    {identity: connection file; "token": file with agent:bench's right to tap} and the broker's pid. binary: another
    one than SOS_BINARY."""
    keys = {name: [key.decode() for key in zmq.curve_keypair()]
            for name in ("service:bench", "agent:bench", "agent:box-0")}
    with Swarm("log_level=warn", *settings) as swarm:
        swarm.down()
        table = pathlib.Path(swarm.home, "data", "broker", "keys.json")
        known = json.loads(table.read_text(encoding="utf-8"))
        for identity, (public, _) in keys.items():
            known["keys"].append(dict(known["keys"][0], identity=identity, curve_public_key=public,
                                      act_for_others=False, revoked=False))
        table.write_text(json.dumps(known), encoding="utf-8")
        reader, writer = os.pipe()
        command = swarm.arguments("broker", "--ready-fd", str(writer))
        command[0] = binary or command[0]
        broker = subprocess.Popen(command, pass_fds=[writer],
                                  stdout=subprocess.DEVNULL, env=swarm.environment)
        try:
            os.close(writer)
            if not os.read(reader, 1):
                raise SystemExit("the broker did not start")
            own = json.loads(pathlib.Path(swarm.home, "config", "swarm.json").read_text(encoding="utf-8"))
            files = {}
            for identity, pair in keys.items():
                files[identity] = pathlib.Path(folder, identity.replace(":", "-") + ".json")
                write_connection(files[identity], identity, pair, own)
            files["token"] = pathlib.Path(folder, "tap.token")
            files["token"].write_text(json.dumps(tokens.make(tokens.river_key(swarm.home), "agent:bench", "bus:tap",
                                                             "bus:*")), encoding="ascii")
            yield files, broker.pid
        finally:
            os.close(reader)
            broker.send_signal(signal.SIGTERM)
            broker.wait(20)


def free_ports(count):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


@contextlib.contextmanager
def server(command, port, name):
    """A process that is up when it takes a connection."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + READY_S
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            if process.poll() is not None or time.monotonic() > end:
                raise SystemExit(f"{name} did not start")
            time.sleep(0.05)  # between tries to connect: there is no event to await
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def make_certificate(folder):
    """A self-signed one for 127.0.0.1; returns (certificate, key)."""
    certificate, key = pathlib.Path(folder, "tls.crt"), pathlib.Path(folder, "tls.key")
    if not certificate.exists():
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-keyout", key, "-out", certificate, "-days", CERTIFICATE_DAYS, "-subj", "/CN=127.0.0.1",
                        "-addext", "subjectAltName=IP:127.0.0.1"], check=True, stderr=subprocess.DEVNULL)
    return certificate, key


@contextlib.contextmanager
def zmq_proxy(folder, program):
    """Yields what --address and --keys are for clients and workers."""
    pairs = [zmq.curve_keypair() for _ in range(2)]
    keys = pathlib.Path(folder, "proxy.keys")
    keys.write_text("".join(key.decode() + "\n" for pair in pairs for key in pair), encoding="ascii")
    os.chmod(keys, 0o600)
    address = ",".join(f"tcp://127.0.0.1:{port}" for port in free_ports(2))
    arguments = ["--address", address, "--keys", keys]
    process = Process(program, "system", *arguments)
    try:
        process.await_ready()
        yield arguments, process.process.pid
    finally:
        process.end()


@contextlib.contextmanager
def nats(folder, tls, *more):
    port = free_ports(1)[0]
    command = ["nats-server", "-a", "127.0.0.1", "-p", str(port), *more]
    arguments = ["--address", f"nats://127.0.0.1:{port}"]
    if tls:
        certificate, key = make_certificate(folder)
        command += ["--tls", "--tlscert", certificate, "--tlskey", key]
        arguments += ["--keys", certificate]
    with server(command, port, "nats-server") as pid:
        yield arguments, pid


@contextlib.contextmanager
def redis(folder):
    port = free_ports(1)[0]
    command = ["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "no",
               "--dir", folder]
    with server(command, port, "redis-server") as pid:
        yield ["--address", f"127.0.0.1:{port}"], pid


@contextlib.contextmanager
def mosquitto(folder, tls):
    port = free_ports(1)[0]
    # Started by root it would become another user, who cannot read this folder.
    lines = [f"user {getpass.getuser()}", f"listener {port} 127.0.0.1", "allow_anonymous true", "set_tcp_nodelay true", "max_queued_messages 0",
             "max_queued_bytes 0", "max_inflight_messages 0", "persistence false"]
    arguments = ["--address", f"127.0.0.1:{port}"]
    if tls:
        certificate, key = make_certificate(folder)
        lines += [f"certfile {certificate}", f"keyfile {key}"]
        arguments += ["--keys", certificate]
    config = pathlib.Path(folder, "mosquitto-tls.conf" if tls else "mosquitto.conf")
    config.write_text("\n".join(lines) + "\n", encoding="ascii")
    with server([shutil.which("mosquitto") or "/usr/sbin/mosquitto", "-c", config], port, "mosquitto") as pid:
        yield arguments, pid


# ---- rows


class Figures:
    """What one system reached, round by round."""

    def __init__(self, system):
        self.system = system
        self.rates, self.p50, self.p99 = [], [], []

    def add(self, rate, p50=0.0, p99=0.0):
        self.rates.append(rate)
        self.p50.append(p50)
        self.p99.append(p99)

    @property
    def rate(self):
        return statistics.median(self.rates)


def alternate(systems, rounds, measure):
    """Each round measures each system once."""
    rows = [Figures(system) for system in systems]
    for _ in range(rounds):
        for row in rows:
            result = measure(row.system)
            row.add(*(result if isinstance(result, tuple) else (result,)))
    return rows


def ratio(row, rows, name):
    base = next((other for other in rows if other.system.name == name), None)
    return f"{row.rate / base.rate:.2f}" if base else "-"


def print_rows(rows, bases, latencies):
    heads = ["median", "lowest to highest"] + (["p50", "p99"] if latencies else []) + [f"x {base}" for base in bases]
    print("| what | " + " | ".join(heads) + " |")
    print("|---" * (len(heads) + 1) + "|")
    for row in rows:
        cells = [f"{row.rate:,.0f}/s", f"{min(row.rates):,.0f} to {max(row.rates):,.0f}"]
        if latencies:
            cells += [f"{statistics.median(row.p50):,.0f} µs", f"{statistics.median(row.p99):,.0f} µs"]
        cells += [ratio(row, rows, base) for base in bases]
        print(f"| {row.system.name} | " + " | ".join(cells) + " |")


class Loads:
    """Where the load programs are; names those that are missing."""

    def __init__(self, binary, skipped):
        self.folder = pathlib.Path(binary).parent / "tests" / "bench" / "bus"
        self.skipped = skipped

    def find(self, name, *needed):
        """The program, if it and every command that it needs are there."""
        program = self.folder / f"load_{name}"
        if not program.exists():
            self.skipped.append(f"{name}: {program} is not built (deploy/install-packages bench, then cmake "
                                "-DSOS_BENCH=ON and build again)")
            return None
        for command in needed:
            if not shutil.which(command, path=os.environ.get("PATH", "") + ":/usr/sbin"):
                self.skipped.append(f"{name}: {command} is not installed (deploy/install-packages bench)")
                return None
        return str(program)


def fixed(arguments, *more):
    return lambda role: [*arguments, *more]


def start_systems(stack, folder, loads):
    """All servers run side by side, idle but for the one that is measured."""
    systems = []
    program = loads.find("sos")
    if not program:
        raise SystemExit(loads.skipped[-1])
    files, _ = stack.enter_context(sos_broker(folder))

    def sos_arguments(role):
        return ["--address", "home", "--keys", files["service:bench" if role == "worker" else "agent:bench"]]

    systems.append(System("SOS, CURVE", program, sos_arguments))
    systems.append(System("SOS, CURVE, a frame for each record", program,
                          lambda role: [*sos_arguments(role), "--at-once"]))
    if program := loads.find("zmq_proxy"):
        arguments, _ = stack.enter_context(zmq_proxy(folder, program))
        systems.append(System("zmq_proxy, CURVE", program, fixed(arguments)))
    if program := loads.find("nats", "nats-server", "openssl"):
        arguments, _ = stack.enter_context(nats(folder, True))
        systems.append(System("NATS, TLS", program, fixed(arguments)))
        systems.append(System("NATS, TLS, each message at once", program, fixed(arguments, "--at-once")))
        arguments, _ = stack.enter_context(nats(folder, False))
        systems.append(System("NATS, in the clear", program, fixed(arguments)))
    if program := loads.find("redis", "redis-server"):
        arguments, _ = stack.enter_context(redis(folder))
        systems.append(System("Redis publish/subscribe, in the clear", program, fixed(arguments)))
    if program := loads.find("mosquitto", "mosquitto", "openssl"):
        arguments, _ = stack.enter_context(mosquitto(folder, True))
        systems.append(System("Mosquitto, TLS, QoS 0", program, fixed(arguments)))
    return systems


REQUEST_BASES = ("zmq_proxy, CURVE", "NATS, TLS", "NATS, TLS, each message at once")
ONE_WAY_BASES = ("NATS, TLS", "NATS, in the clear")


def bench_bus(binary, rounds, seconds, skipped):
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="sos-bench-"))
        systems = start_systems(stack, folder, Loads(binary, skipped))
        one_way = [system for system in systems if "zmq_proxy" not in system.name and "each" not in system.name]

        print(f"\nRequests: 4 clients with 64 in flight each, 2 workers, 256 bytes both ways; {rounds} alternating rounds "
              f"of {seconds} s.\n")
        print_rows(alternate(systems, rounds, lambda system: measure_requests(system, seconds)), REQUEST_BASES, True)
        print("\nA lone request: 1 client, 1 in flight, 1 worker.\n")
        print_rows(alternate(systems, rounds, lambda system: measure_requests(system, seconds, clients=1, workers=1,
                                                                              in_flight=1)), REQUEST_BASES, True)
        print("\nOne way, 256 bytes, 1 publisher to 1 subscriber, at most 4096 messages ahead of it.\n")
        print_rows(alternate(one_way, rounds, lambda system: measure_one_way(system, seconds)), ONE_WAY_BASES, False)
        print("\nOne way, 1 publisher to 8 subscribers (messages published a second; each is delivered eight times).\n")
        print_rows(alternate(one_way, rounds, lambda system: measure_one_way(system, seconds, subscribers=8)),
                   ONE_WAY_BASES, False)
