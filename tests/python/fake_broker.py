# SPDX-License-Identifier: Apache-2.0
"""A broker that says what a test tells it to: a CURVE ROUTER on a free port, which lets every key in. Its records are
made and read by tests/support/sos_wire.py, which shares no code with the SDK."""

import collections
import itertools
import threading
import time

import msgpack
import sos_wire
import zmq

EPOCHS = itertools.count(1000)


class FakeBroker:
    """with FakeBroker() as broker: …; rules[kind] = function(broker, peer, record), called on the broker's thread. Without a
    rule: hello is welcomed, heartbeats are answered, the rest is only written down."""

    def __init__(self, **welcome):
        self.context = zmq.Context()
        self.public_key, secret = zmq.curve_keypair()
        self.secret_key = secret
        self.keys = zmq.curve_keypair()
        self.welcome = {"version": 1, "record_max": 262144, "frame_max": 327680, "stream_credit": 32,
                        "requests_max": 1024, "heartbeat_ms": 1000, **welcome}
        self.rules = {}
        self.records = []
        self.hellos = 0
        self.changed = threading.Condition()
        self.orders = collections.deque()
        self.port = None
        self.thread = None
        self.stopping = False

    @property
    def endpoint(self):
        return f"tcp://127.0.0.1:{self.port}"

    def connection(self, identity="agent:kasra"):
        return {"endpoint": self.endpoint, "broker_public_key": self.public_key.decode(), "identity": identity,
                "curve_public_key": self.keys[0].decode(), "curve_secret_key": self.keys[1].decode()}

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()
        self.context.destroy(linger=0)

    # ---- life

    def start(self):
        """Also after stop(): the same port and key, a new epoch."""
        self.stopping = False
        self.epoch = next(EPOCHS)
        bound = threading.Event()
        self.thread = threading.Thread(target=self._run, args=(bound,), daemon=True)
        self.thread.start()
        assert bound.wait(10)

    def stop(self):
        if self.thread:
            self.stopping = True
            self.thread.join(10)
            self.thread = None

    def _run(self, bound):
        socket = self.context.socket(zmq.ROUTER)
        socket.linger = 0
        socket.sndhwm = socket.rcvhwm = 0  # a ROUTER drops what does not fit
        socket.curve_server = True
        socket.curve_secretkey = self.secret_key
        if self.port is None:
            self.port = socket.bind_to_random_port("tcp://127.0.0.1")
        else:
            end = time.monotonic() + 10
            while True:
                try:
                    socket.bind(self.endpoint)
                    break
                except zmq.ZMQError:
                    if time.monotonic() > end:
                        raise
        bound.set()
        try:
            while not self.stopping:
                while self.orders:
                    peer, data = self.orders.popleft()
                    socket.send_multipart([peer, data])
                if not socket.poll(5):
                    continue
                peer, frame = socket.recv_multipart()
                for record in sos_wire.decode(frame):
                    record["peer"] = peer
                    self._hear(record)
        finally:
            socket.close()

    def _hear(self, record):
        kind = record["kind"]
        rule = self.rules.get(kind)
        if rule:
            rule(self, record)
        elif kind == sos_wire.HELLO:
            self.greet(record)
        elif kind == sos_wire.HEARTBEAT:
            self.say(record, sos_wire.HEARTBEAT)
        with self.changed:
            if kind == sos_wire.HELLO:
                self.hellos += 1
            self.records.append(record)
            self.changed.notify_all()

    # ---- saying

    def say(self, to, kind, payload=None, **fields):
        """One record to the peer of the record `to`."""
        fields.setdefault("source", "service:bus")
        fields.setdefault("target", to["source"])
        self.orders.append((to["peer"], sos_wire.encode(kind, payload, **fields)))

    def say_bytes(self, to, data):
        self.orders.append((to["peer"], data))

    def answer(self, to, kind, payload=None, **fields):
        self.say(to, kind, payload, correlation=to["id"], **fields)

    def greet(self, record):
        self.answer(record, sos_wire.HELLO, {**self.welcome, "epoch": self.epoch})

    def refuse(self, to, status, word, message="refused", kind=sos_wire.ERROR):
        self.answer(to, kind, {"message": message, "detail": word}, status=status)

    # ---- waiting

    def wait(self, kind, count=1, matches=lambda record: True, timeout_s=10.0):
        """The first `count` records of a kind that match."""
        def found():
            return [record for record in self.records if record["kind"] == kind and matches(record)]

        with self.changed:
            assert self.changed.wait_for(lambda: len(found()) >= count, timeout_s), \
                f"{len(found())} records of kind {kind}, expected {count}; came {[r['kind'] for r in self.records]}"
            return found()[:count]

    def count(self, kind):
        with self.changed:
            return sum(1 for record in self.records if record["kind"] == kind)


def ack_all(broker, record):
    """A rule: everything is on disk at once."""
    broker.answer(record, sos_wire.ACK, seq=1)


def pack(value):
    return msgpack.packb(value)
