# SPDX-License-Identifier: Apache-2.0
"""HTTP by hand, for what no well-behaved client sends."""

import socket


class RawAnswer:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers  # names in lower case; the last of equal ones
        self.body = body


def connect(port, timeout=10.0, receive_buffer=None):
    client = socket.socket()
    client.settimeout(timeout)
    if receive_buffer:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    client.connect(("127.0.0.1", port))
    return client


def read_answer(client, head_only=False):
    """The next answer of the connection; None when it was closed before one came. head_only: no body
    may follow; what was read beyond the head stands in the answer's body."""
    data = b""
    while b"\r\n\r\n" not in data:
        try:
            part = client.recv(65536)
        except ConnectionResetError:
            part = b""
        if not part:
            return None
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    headers = {}
    for line in lines[1:]:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    status = int(lines[0].split(" ")[1])
    size = int(headers.get("content-length", 0))
    if head_only or status in (204, 304):
        size = 0
    while len(body) < size:
        part = client.recv(65536)
        if not part:
            break
        body += part
    return RawAnswer(status, headers, body)


def send(port, data, timeout=10.0, head_only=False):
    """Sends bytes on a connection of their own and returns the answer, or None."""
    with connect(port, timeout) as client:
        try:
            client.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass  # refused before all of it was sent: the answer may stand in the buffer
        return read_answer(client, head_only)


def request(method, target, *headers, body=b"", host="127.0.0.1"):
    """The bytes of a request; headers are whole lines without their end."""
    lines = [f"{method} {target} HTTP/1.1"]
    if host is not None:
        lines.append(f"Host: {host}")
    lines += headers
    if body and not any(line.lower().startswith(("content-length", "transfer-encoding"))
                        for line in headers):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body
