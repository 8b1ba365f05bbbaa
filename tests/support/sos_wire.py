# SPDX-License-Identifier: Apache-2.0
"""SOS/1 in Python, written from docs/PROTOCOL.md alone: the tests' independent peer."""

import os
import struct
import time
import uuid

import msgpack
import zmq
import zmq.utils.monitor

HELLO, READY, HEARTBEAT, BYE, REQUEST, REPLY, CHUNK, CANCEL = range(1, 9)
SEND, DELIVER, ACK, NACK, PUBLISH, EVENT, SUBSCRIBE, UNSUBSCRIBE, CONTROL, ERROR = range(9, 19)
FLAG_FINAL, FLAG_STREAM, FLAG_IDEMPOTENT, FLAG_CONFIRM = 1, 2, 4, 16

FIELDS = ("version", "kind", "flags", "id", "correlation", "source", "target", "type", "timestamp",
          "ttl_ms", "trace", "capability", "status", "seq", "principal", "metadata",
          "attempt")


def new_id():
    """A UUIDv7 (RFC 9562)."""
    stamp = int(time.time() * 1000) & (1 << 48) - 1
    tail = int.from_bytes(os.urandom(10), "big")
    value = stamp << 80 | 7 << 76 | (tail >> 64 & 0xFFF) << 64 | 2 << 62 | tail & (1 << 62) - 1
    return uuid.UUID(int=value).bytes


def encode(kind, payload=None, **fields):
    """One record; payload is any value, or bytes under `raw_payload`."""
    raw = fields.pop("raw_payload", None)
    values = {"version": 1, "kind": kind, "flags": 0, "id": new_id(),
              "timestamp": int(time.time() * 1e6)}
    values.update(fields)
    header = msgpack.packb([values.get(name) for name in FIELDS], use_bin_type=True)
    body = raw if raw is not None else b"" if payload is None else msgpack.packb(payload)
    return struct.pack(">IH", 2 + len(header) + len(body), len(header)) + header + body


def decode(frame):
    """The records of a frame as dicts with `payload`."""
    records = []
    while frame:
        length, header_length = struct.unpack(">IH", frame[:6])
        record, frame = frame[6:4 + length], frame[4 + length:]
        header = msgpack.unpackb(record[:header_length])
        fields = dict(zip(FIELDS, header))
        for name in FIELDS[len(header):]:
            fields[name] = None
        payload = record[header_length:]
        fields["payload"] = msgpack.unpackb(payload, strict_map_key=False) if payload else None
        records.append(fields)
    return records


class Peer:
    """A DEALER with a key of its own."""

    def __init__(self, connection, hello=True, receive_queue=None):
        """connection: the dict of a connection file with endpoint and broker_public_key.
        receive_queue: messages that wait unread here before the broker feels it."""
        self.identity = connection["identity"]
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.DEALER)
        self.socket.linger = 0
        self.socket.reconnect_ivl = 10
        if receive_queue is not None:
            self.socket.rcvhwm = receive_queue
            self.socket.rcvbuf = 4096
        self.monitor = self.socket.get_monitor_socket(
            zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
            | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL | zmq.EVENT_HANDSHAKE_FAILED_AUTH
            | zmq.EVENT_DISCONNECTED)
        self.socket.curve_serverkey = connection["broker_public_key"].encode()
        self.socket.curve_publickey = connection["curve_public_key"].encode()
        self.socket.curve_secretkey = connection["curve_secret_key"].encode()
        self.socket.connect(connection["endpoint"])
        self.waiting = []
        self.welcome = None
        if hello:
            try:
                self.hello()
            except BaseException:
                self.close()
                raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.disable_monitor()
        self.context.destroy(linger=0)

    def hello(self):
        """Begins a session; the broker's answer stands in welcome."""
        hello_id = self.send(HELLO, {"version_min": 1, "version_max": 1, "features": [],
                                     "agent": "test"})
        self.welcome = self.expect(lambda r: r["correlation"] == hello_id)["payload"]

    def event(self, timeout_s):
        """The next event of the connection (a zmq.EVENT_ number), or None after timeout_s."""
        if not self.monitor.poll(int(timeout_s * 1000)):
            return None
        return zmq.utils.monitor.recv_monitor_message(self.monitor)["event"]

    def send(self, kind, payload=None, **fields):
        fields.setdefault("id", new_id())
        fields.setdefault("source", self.identity)
        self.socket.send(encode(kind, payload, **fields))
        return fields["id"]

    def send_bytes(self, *frames):
        self.socket.send_multipart(list(frames))

    def receive(self, timeout_s=5.0):
        """The next record, or None after timeout_s."""
        end = time.monotonic() + timeout_s
        while not self.waiting:
            left = end - time.monotonic()
            if left <= 0 or not self.socket.poll(int(left * 1000) + 1):
                return None
            self.waiting = decode(self.socket.recv())
        return self.waiting.pop(0)

    def expect(self, matches, timeout_s=10.0):
        """The first record that matches; others are passed over."""
        end = time.monotonic() + timeout_s
        while True:
            record = self.receive(max(0.0, end - time.monotonic()))
            if record is None:
                raise TimeoutError("no such record came")
            if matches(record):
                return record

    def call(self, target, type_, payload=None, timeout_s=10.0, **fields):
        """One request; its reply record (or error record of that id)."""
        request_id = self.send(REQUEST, {} if payload is None else payload, target=target,
                               type=type_, ttl_ms=int(timeout_s * 1000), **fields)
        return self.expect(lambda r: r["correlation"] == request_id and r["kind"] in (REPLY, ERROR),
                           timeout_s + 2)
