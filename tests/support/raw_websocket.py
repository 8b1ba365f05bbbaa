# SPDX-License-Identifier: Apache-2.0
"""WebSocket frames by hand, for what no well-behaved client sends."""

import base64
import os
import struct

import raw_http

CONTINUE, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
FIN = 0x80
KEY = base64.b64encode(bytes(range(16))).decode()
UPGRADE = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
           f"Sec-WebSocket-Key: {KEY}")


def frame(first, payload=b"", mask=True, size=None):
    """size: another length than the payload's, in the longest form."""
    bit = 0x80 if mask else 0
    count = len(payload)
    if size is not None:
        head = struct.pack("!BBQ", first, bit | 127, size)
    elif count < 126:
        head = struct.pack("!BB", first, bit | count)
    elif count < 65536:
        head = struct.pack("!BBH", first, bit | 126, count)
    else:
        head = struct.pack("!BBQ", first, bit | 127, count)
    if not mask:
        return head + payload
    key = os.urandom(4)
    repeated = (key * (count // 4 + 1))[:count]
    masked = (int.from_bytes(payload, "big") ^ int.from_bytes(repeated, "big")).to_bytes(count, "big")
    return head + key + masked


class RawWebSocket:
    """A connection after its handshake."""

    def __init__(self, port, path, *headers, timeout=10.0, receive_buffer=None):
        self.socket = raw_http.connect(port, timeout, receive_buffer)
        self.socket.sendall(raw_http.request("GET", path, *UPGRADE, *headers))
        self.answer = raw_http.read_answer(self.socket, head_only=True)
        self.rest = self.answer.body if self.answer else b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def _take(self, count):
        while len(self.rest) < count:
            part = self.socket.recv(65536)
            if not part:
                raise EOFError
            self.rest += part
        taken, self.rest = self.rest[:count], self.rest[count:]
        return taken

    def next(self):
        """(first byte, payload) of the next frame; None when the connection has ended."""
        try:
            first, size = self._take(2)
            if size == 126:
                size = struct.unpack("!H", self._take(2))[0]
            elif size == 127:
                size = struct.unpack("!Q", self._take(8))[0]
            return first, self._take(size)
        except (EOFError, ConnectionResetError):
            return None

    def closed(self):
        """(code, reason) of the close frame after any other frames; None when there was none."""
        while got := self.next():
            if got[0] == FIN | CLOSE:
                if not got[1]:
                    return 0, ""
                return struct.unpack("!H", got[1][:2])[0], got[1][2:].decode()
        return None
