#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A peer that does not keep up, for tests/bench/live_bench.py: it says its heartbeats and little else.

    neighbour.py receiver CONNECTION              subscribes to its inbox, then never reads
    neighbour.py subscriber CONNECTION RATE       reads so many events of agent:bench:data a second
    neighbour.py tap CONNECTION TOKEN             taps all headers, then never reads
"""

import json
import pathlib
import struct
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

import sos_wire  # noqa: E402  (needs the lines above)
import zmq  # noqa: E402

HEARTBEAT_S = 0.5
QUEUE = 1  # frames that wait here before the broker feels it


def count_records(frame):
    count, at = 0, 0
    while at < len(frame):
        at += 4 + struct.unpack_from(">I", frame, at)[0]
        count += 1
    return count


def read_slowly(peer, rate):
    """One turn of HEARTBEAT_S: no faster than `rate` records a second."""
    end = time.monotonic() + HEARTBEAT_S
    while time.monotonic() < end:
        if peer.socket.poll(10):
            time.sleep(count_records(peer.socket.recv()) / rate)  # the slowness that is wanted


def main():
    role, path, *arguments = sys.argv[1:]
    connection = json.loads(pathlib.Path(path).read_text(encoding="ascii"))
    with sos_wire.Peer(connection, receive_queue=QUEUE) as peer:
        if role == "receiver":
            peer.send(sos_wire.SUBSCRIBE, {"inbox": peer.identity, "window": 1024})
        elif role == "subscriber":
            peer.send(sos_wire.SUBSCRIBE, {"channel": "agent:bench:data"})
        else:
            peer.send(sos_wire.REQUEST, {}, target="service:bus", type="tap", ttl_ms=600000,
                      flags=sos_wire.FLAG_STREAM, capability=pathlib.Path(arguments[0]).read_text(encoding="ascii"))
        first = peer.receive(10)
        if first is None or first["kind"] == sos_wire.ERROR:
            raise SystemExit(f"{role}: {first}")
        print("ready", flush=True)
        while peer.event(0) != zmq.EVENT_DISCONNECTED:
            peer.socket.send(sos_wire.encode(sos_wire.HEARTBEAT, source=peer.identity), zmq.DONTWAIT)
            if role == "subscriber":
                read_slowly(peer, int(arguments[0]))
            else:
                time.sleep(HEARTBEAT_S)  # it reads nothing
        raise SystemExit("the broker cut the connection")


if __name__ == "__main__":
    main()
