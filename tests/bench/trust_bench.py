# SPDX-License-Identifier: Apache-2.0
"""What a capability costs: the same request to service:memory without one, and with one that repeats."""

import json
import statistics
import time

import sos_wire
import tokens
from swarm import Swarm

AGENT = "agent:bench"
IN_FLIGHT = 64


def requests_in(peer, seconds, token):
    """Answered requests a second, IN_FLIGHT at a time."""
    fields = {"capability": token} if token else {}

    def ask():
        peer.send(sos_wire.REQUEST, {"agent_id": AGENT}, target="service:memory", type="memory_stats", ttl_ms=30000,
                  **fields)

    for _ in range(IN_FLIGHT):
        ask()
    answered, begun = 0, time.perf_counter()
    while time.perf_counter() - begun < seconds:
        reply = peer.receive(10)
        if reply is None or reply["kind"] != sos_wire.REPLY:
            continue
        if reply["status"]:
            raise SystemExit(f"memory_stats: {reply['payload']}")
        answered += 1
        ask()
    took = time.perf_counter() - begun
    for _ in range(IN_FLIGHT):
        peer.expect(lambda r: r["kind"] == sos_wire.REPLY)
    return answered / took


def bench_trust(rounds, seconds):
    with Swarm() as swarm:
        token = json.dumps(tokens.make(tokens.river_key(swarm.home), AGENT, "memory:read", f"memory:{AGENT}/*"))
        with swarm.peer("operator") as peer:
            requests_in(peer, 0.2, token)
            without, checked = [], []
            for _ in range(rounds):
                without.append(requests_in(peer, seconds, None))
                checked.append(requests_in(peer, seconds, token))
    plain, good = statistics.median(without), statistics.median(checked)
    print(f"\nA request that is checked by a capability beside one that is not (memory_stats, {IN_FLIGHT} in flight, one "
          f"client in Python); {rounds} alternating rounds of {seconds} s. The goal is 0.9.\n")
    print("| requests | a second | ratio |\n|---|---|---|")
    print(f"| without a capability | {plain:,.0f} | 1 |")
    print(f"| with one that repeats | {good:,.0f} | {good / plain:.2f} |")
