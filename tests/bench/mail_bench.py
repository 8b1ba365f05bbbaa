# SPDX-License-Identifier: Apache-2.0
"""Row 3 of the benchmarks: a message is acked when it is kept. SOS syncs it to disk first; JetStream acks what it has
written but not synced."""

import contextlib
import pathlib
import tempfile

from bus_bench import (Loads, Lost, System, alternate, fixed, measure_one_way, nats, playing, print_rows, sos_broker)

WINDOW = 1024
LIMITS = ("mail.rate=100000000", "mail.inbox_max=100000000", "mail.inbox_bytes_max=1099511627776",
          "mail.sender_max=100000000", "mail.sender_bytes_max=1099511627776")
BASES = ("JetStream, TLS", "JetStream, in the clear")


def measure_sends(system, seconds, senders=1, in_flight=WINDOW, size=256):
    """Messages acked per second of all senders together, and the highest of their p50 and p99 in µs."""
    parts = [("client", ["--size", size, "--in-flight", in_flight, "--seconds", seconds, "--index", index])
             for index in range(senders)]
    with playing(system, parts) as processes:
        for process in processes:
            process.go()
        results = [process.result(seconds + 30) for process in processes]
    if any(result["lost"] or result["wrong"] for result in results):
        raise Lost(f"{system.name}: sent {results}")
    rate = sum(result["done"] / result["seconds"] for result in results)
    return rate, max(result["p50_us"] for result in results), max(result["p99_us"] for result in results)


def sos_system(name, program, files, *more):
    """A system whose roles have the identities that sos_broker() made."""
    return System(name, program, lambda role: ["--address", "home", "--keys",
                                               files["service:bench" if role == "worker" else "agent:bench"], *more])


def start_systems(stack, folder, loads):
    systems = []
    program = loads.find("sos")
    if not program:
        raise SystemExit(loads.skipped[-1])
    files, _ = stack.enter_context(sos_broker(folder, *LIMITS))
    systems.append(sos_system("SOS, CURVE, synced", program, files, "--durable"))
    if program := loads.find("jetstream", "nats-server", "openssl"):
        for name, tls in zip(BASES, (True, False)):
            arguments, _ = stack.enter_context(nats(folder, tls, "-js", "-sd", str(pathlib.Path(folder, name[-5:]))))
            systems.append(System(name, program, fixed(arguments, "--durable")))
    return systems


def at_once(systems):
    return [System(system.name, system.program, lambda role, system=system: [*system.arguments(role), "--at-once"])
            for system in systems]


def bench_mail(binary, rounds, seconds, skipped):
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="sos-bench-"))
        systems = start_systems(stack, folder, Loads(binary, skipped))
        print(f"\nDurable messages of 256 bytes, acked a second; each sender has {WINDOW} on their way; {rounds} "
              f"alternating rounds of {seconds} s. 1 sender.\n")
        print_rows(alternate(systems, rounds, lambda system: measure_sends(system, seconds)), BASES, True)
        print("\nThe same, 4 senders to 4 inboxes.\n")
        print_rows(alternate(systems, rounds, lambda system: measure_sends(system, seconds, senders=4)), BASES, True)
        print("\nA lone durable message: 1 sender, 1 on its way.\n")
        print_rows(alternate(at_once(systems), rounds, lambda system: measure_sends(system, seconds, in_flight=1)),
                   BASES, True)
        print(f"\nThrough an inbox: 1 sender with {WINDOW} unacked, 1 receiver that acks each ({WINDOW} unacked, a work "
              "queue in JetStream), at most 4096 messages ahead of it.\n")
        print_rows(alternate(systems, rounds, lambda system: measure_one_way(system, seconds)), BASES, False)
