# SPDX-License-Identifier: Apache-2.0
"""HTTP mode against a gateway that says what the test wants."""

import base64
import contextlib
import http.server
import json
import threading
import time
import unittest
import unittest.mock
import urllib.parse

import mumega
from mumega import AsyncMumegaClient, MumegaClient

ID = "0192f3a4-b5c6-7d8e-9fa0-b1c2d3e4f506"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do(self):
        size = int(self.headers.get("Content-Length") or 0)
        url = urllib.parse.urlsplit(self.path)
        asked = {"method": self.command, "path": url.path, "query": dict(urllib.parse.parse_qsl(url.query)),
                 "body": json.loads(self.rfile.read(size)) if size else None, "headers": self.headers,
                 "client": self.client_address}
        gateway = self.server.gateway
        with gateway.changed:
            gateway.asked.append(asked)
            gateway.changed.notify_all()
        for (method, path), rule in gateway.rules.items():
            if (method, path) == (asked["method"], asked["path"]):
                answer = rule(asked)
                break
        else:
            answer = {"version": "test"} if url.path == "/version" else (404, {"error": {"code": 3001}})
        if callable(answer):
            answer(self)
            return
        status, body = answer if isinstance(answer, tuple) else (200, answer)
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_DELETE = do


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        pass


class Gateway:
    def __init__(self):
        self.rules = {}
        self.asked = []
        self.changed = threading.Condition()
        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.gateway = self
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def wait(self, method, path, count=1, timeout_s=10):
        def found():
            return [asked for asked in self.asked if (asked["method"], asked["path"]) == (method, path)]

        with self.changed:
            assert self.changed.wait_for(lambda: len(found()) >= count, timeout_s), [a["path"] for a in self.asked]
            return found()


def events(*values, hold=None):
    """An answer as server-sent events, without an end when hold is an Event."""
    def write(handler):
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream")
        handler.send_header("Connection", "close")
        handler.end_headers()
        for value in values:
            data = value if isinstance(value, bytes) else b"data: " + json.dumps(value).encode() + b"\n\n"
            handler.wfile.write(data)
        handler.wfile.flush()
        if hold:
            hold.wait(10)
        handler.close_connection = True

    return write


class Http(unittest.TestCase):
    def setUp(self):
        self.gateway = self.enterContext(Gateway())

    def client(self, **options):
        options.setdefault("agent", "kasra")
        client = MumegaClient(http=self.gateway.url, **options)
        self.addCleanup(client.close)
        return client

    def test_typed_methods_use_the_contracts_routes(self):
        rules = self.gateway.rules
        rules["POST", "/memory/store"] = lambda asked: {"memory_id": ID, "success": True}
        rules["GET", f"/memory/memories/{ID}"] = lambda asked: {"id": ID}
        rules["GET", "/identity/agents"] = lambda asked: []
        client = self.client(capability={"id": "cap_1"})
        self.assertEqual(client.memory.store("blue", metadata={"a": 1}, idempotency_key="k")["memory_id"], ID)
        client.memory.get(ID, embedding=True)
        client.identity.list(limit=5)
        store = self.gateway.wait("POST", "/memory/store")[0]
        self.assertEqual(store["body"], {"content": "blue", "agent_id": "agent:kasra", "metadata": {"a": 1}})
        self.assertEqual(store["headers"]["Idempotency-Key"], "k")
        token = store["headers"]["X-SOS-Capability"]
        self.assertEqual(json.loads(base64.urlsafe_b64decode(token + "==")), {"id": "cap_1"})
        self.assertEqual(self.gateway.wait("GET", f"/memory/memories/{ID}")[0]["query"], {"embedding": "true"})
        self.assertEqual(self.gateway.wait("GET", "/identity/agents")[0]["query"], {"limit": "5"})

    def test_path_parts_are_escaped(self):
        with self.assertRaises(mumega.NotFoundError):
            self.client().memory.get("../x?y=1")
        self.assertTrue(any(asked["path"] == "/memory/memories/..%2Fx%3Fy%3D1" for asked in self.gateway.asked))

    def test_one_connection_is_kept(self):
        self.gateway.rules["GET", "/memory/stats"] = lambda asked: {}
        client = self.client()
        client._way._pool._max_workers = 1
        for _ in range(5):
            client.memory.stats()
        self.assertLessEqual(len({asked["client"] for asked in self.gateway.asked}), 2)

    def test_refusals_have_their_class_and_field(self):
        self.gateway.rules["POST", "/memory/search"] = lambda asked: (422, {"detail": "validation_error", "error": {
            "code": 1005, "message": "query: too long", "detail": "validation_error", "context": {"field": "query"}}})
        with self.assertRaises(mumega.ValidationError) as caught:
            self.client().memory.search("x")
        self.assertEqual((caught.exception.field, caught.exception.message), ("query", "query: too long"))

    def test_an_answer_of_something_else_is_no_answer(self):
        for status, body in ((200, b"<html>"), (200, b'{"a":'), (500, b"<html>"), (502, b"{}"), (404, b"[]"),
                             (200, b"[" * 100000)):
            self.gateway.rules["POST", "/memory/add"] = lambda asked, status=status, body=body: (status, body)
            with self.assertRaises(mumega.ProtocolError):
                self.client().memory.add("x")

    def test_a_read_is_tried_again_and_a_write_is_not(self):
        answers = iter([(503, {"error": {"code": 1013}}), {"ok": 1}])
        self.gateway.rules["GET", "/memory/stats"] = lambda asked: next(answers)
        self.assertEqual(self.client().memory.stats(), {"ok": 1})
        self.gateway.rules["POST", "/memory/add"] = lambda asked: (503, {"error": {"code": 1013}})
        with self.assertRaises(mumega.BusyError):
            self.client().memory.add("x")
        self.assertEqual(len(self.gateway.wait("POST", "/memory/add")), 1)

    def test_a_broken_connection_is_an_unknown_outcome_for_a_write(self):
        def cut(handler):
            handler.connection.shutdown(2)
            handler.close_connection = True

        self.gateway.rules["POST", "/memory/add"] = lambda asked: cut
        with self.assertRaises(mumega.UnknownOutcomeError):
            self.client().memory.add("x")

    def test_a_broken_connection_does_not_end_a_read(self):
        def cut(handler):
            handler.connection.shutdown(2)
            handler.close_connection = True

        answers = iter([cut, cut, {"ok": 1}])
        client = self.client()
        self.gateway.rules["GET", "/memory/stats"] = lambda asked: next(answers)
        self.assertEqual(client.memory.stats(), {"ok": 1})

    def test_an_answer_without_end_is_cut_off(self):
        self.gateway.rules["POST", "/memory/add"] = lambda asked: (200, b" " * 200000)
        with unittest.mock.patch("mumega.httpway.ANSWER_MAX", 100000), self.assertRaises(mumega.ProtocolError) as caught:
            self.client().memory.add("x")
        self.assertIn("more than 100000 bytes", str(caught.exception))

    def test_no_answer_in_time_is_a_deadline(self):
        held = threading.Event()
        self.addCleanup(held.set)
        self.gateway.rules["POST", "/memory/add"] = lambda asked: held.wait(5) and {}
        with self.assertRaises(mumega.DeadlineError):
            self.client().memory.add("x", timeout=0.3)

    def test_a_dripping_answer_ends_with_the_deadline(self):
        def drip(handler):
            handler.send_response(200)
            handler.send_header("Content-Length", "1000")
            handler.end_headers()
            for _ in range(1000):
                handler.wfile.write(b" ")
                handler.wfile.flush()
                time.sleep(0.05)

        self.gateway.rules["POST", "/memory/add"] = lambda asked: drip
        started = time.monotonic()
        with self.assertRaises(mumega.DeadlineError):
            self.client().memory.add("x", timeout=0.5)
        self.assertLess(time.monotonic() - started, 3)

    def test_nobody_there_is_told(self):
        url = self.gateway.url
        self.gateway.server.server_close()
        with self.assertRaises(mumega.ConnectError):
            MumegaClient(http=url, connect_timeout=1)
        for bad in ("localhost:6080", "ftp://x", "http://", "http://x:99999", "http://user:secret@x/", "http://x/?a=1"):
            with self.assertRaises(mumega.ConfigurationError):
                MumegaClient(http=bad)

    def test_what_has_no_route_says_so(self):
        with self.assertRaises(mumega.errors.NotAvailableError):
            self.client().engine.history("c")

    def test_chat_streams(self):
        self.gateway.rules["POST", "/engine/chat/stream"] = lambda asked: events(
            {"chunk": "Hel"}, {"chunk": "lo"}, {"done": True, "model_used": "m", "agent_id": "agent:kasra"})
        stream = self.client().chat.stream("hi")
        self.assertEqual([chunk["chunk"] for chunk in stream], ["Hel", "lo"])
        self.assertEqual(stream.answer, {"model_used": "m", "agent_id": "agent:kasra"})

    def test_a_stream_that_fails_or_breaks_off_says_so(self):
        for tail, kind in (({"error": {"code": 5004, "message": "x"}}, mumega.errors.GenerationFailedError),
                           (b"", mumega.UnknownOutcomeError), (b"data: {\n\n", mumega.ProtocolError),
                           (b"data: 5\n\n", mumega.ProtocolError),
                           (b"data: " + b"x" * (2 * 1024 * 1024), mumega.ProtocolError)):
            self.gateway.rules["POST", "/engine/chat/stream"] = lambda asked, tail=tail: events({"chunk": "a"}, tail)
            stream = self.client().chat.stream("hi")
            self.assertEqual(next(stream), {"chunk": "a"})
            with self.assertRaises(kind):
                next(stream)
        self.gateway.rules["POST", "/engine/chat/stream"] = lambda asked: (503, {"error": {"code": 5005}})
        with self.assertRaises(mumega.errors.NoModelsError):
            next(self.client().chat.stream("hi"))

    def test_an_endless_stream_is_read_only_as_it_is_taken(self):
        stopped = threading.Event()

        def flood(handler):
            handler.send_response(200)
            handler.send_header("Content-Type", "text/event-stream")
            handler.end_headers()
            with contextlib.suppress(OSError):
                while True:
                    handler.wfile.write(b'data: {"chunk":"' + b"x" * 10000 + b'"}\n\n')
            stopped.set()

        self.gateway.rules["POST", "/engine/chat/stream"] = lambda asked: flood
        stream = self.client().chat.stream("hi")
        next(stream)
        time.sleep(0.3)
        self.assertLessEqual(len(stream._feed), 256)
        stream.close()
        self.assertTrue(stopped.wait(10))

    # ---- the bus

    def test_sending_and_publishing(self):
        self.gateway.rules["POST", "/engine/bus/send"] = lambda asked: {
            "message_id": asked["body"]["message_id"], "copies": 1, "duplicate": False}
        self.gateway.rules["POST", "/engine/bus/publish"] = lambda asked: {"message_id": ID, "seq": 9, "subscribers": 1}
        client = self.client()
        sent = client.bus.send("agent:athena", {"a": 1}, message_id=ID, deliver_at=1735689600.25, ttl_s=5)
        self.assertEqual(sent, (ID, 1, False))
        self.assertEqual(self.gateway.wait("POST", "/engine/bus/send")[0]["body"], {
            "from": "agent:kasra", "to": "agent:athena", "type": "message", "payload": {"a": 1}, "message_id": ID,
            "ttl_ms": 5000, "deliver_at": "2025-01-01T00:00:00.250000Z"})
        self.assertEqual(client.bus.publish("squad:x", 1).seq, 9)

    def test_the_bus_needs_an_agent(self):
        with self.assertRaises(mumega.ConfigurationError):
            self.client(agent=None).bus.send("agent:athena", 1)
        token = {"subject": "agent:athena"}
        self.assertEqual(self.client(agent=None, capability=token).agent_id, "agent:athena")

    def mail(self, number, attempt=1):
        return {"id": f"0192f3a4-b5c6-7d8e-9fa0-{number:012d}", "from": "agent:athena", "to": "agent:kasra",
                "type": "message", "payload": number, "sent_at": "2026-01-01T00:00:00.000000Z", "attempt": attempt}

    def test_an_inbox_is_polled_acknowledged_and_extended(self):
        boxes = iter([[self.mail(1)], [self.mail(2), self.mail(1, attempt=2)], [self.mail(3)]])
        empty = threading.Event()
        self.addCleanup(empty.set)

        def poll(asked):
            if asked["query"].get("peek"):
                return {"messages": [self.mail(1)], "waiting": 2}
            box = next(boxes, None)
            if box is None:
                empty.wait(5)
                box = []
            return {"messages": box, "waiting": 0}

        path = "/engine/bus/inbox/agent:kasra"
        self.gateway.rules["GET", path] = poll
        for word, answer in (("ack", {"acked": 1, "unknown": []}), ("nack", {"nacked": 1}), ("extend", {"extended": 1})):
            self.gateway.rules["POST", f"{path}/{word}"] = lambda asked, answer=answer: answer
        inbox = self.client().bus.inbox(window=8)
        self.assertEqual(inbox.waiting, 3)
        time.sleep(0.2)
        self.assertEqual(len(self.gateway.wait("GET", path)), 1)  # nothing is taken ahead of its reader
        messages = [inbox.get(5) for _ in range(3)]
        self.assertEqual([message.payload for message in messages], [1, 2, 3])
        self.assertIsNone(inbox.get(0.2))
        messages[0].ack_confirmed()
        messages[1].nack("no", delay_s=1)
        self.assertEqual(self.gateway.wait("POST", f"{path}/ack")[0]["body"]["ids"], [messages[0].id])
        self.assertEqual(self.gateway.wait("POST", f"{path}/nack")[0]["body"]["delay_ms"], 1000)
        extend = self.gateway.wait("POST", f"{path}/extend")[-1]["body"]
        self.assertEqual(extend["ms"], 10000)
        self.assertEqual([asked["query"]["limit"] for asked in self.gateway.wait("GET", path)], ["1", "1", "2", "4", "4"])
        inbox.close()  # does not wait for the poll
        self.assertEqual(len(self.gateway.wait("POST", f"{path}/nack")), 1)

    def test_events_come_and_what_was_missed_is_read_back(self):
        hold = threading.Event()
        self.addCleanup(hold.set)
        streams = []

        def event(seq):
            return {"id": ID, "channel": "squad:x", "seq": seq, "from": "agent:b", "type": "m", "payload": seq,
                    "sent_at": "2026-01-01T00:00:00Z"}

        def listen(asked):
            streams.append(asked["query"])
            if len(streams) == 1:
                return events({"events": [event(6), event(7)]})
            return events({"events": [event(9), event(10)]}, hold=hold)

        def history(asked):
            after = int(asked["query"]["after"])
            return {"channel": "squad:x", "first_seq": 1, "last_seq": 5 if len(streams) == 1 else 9,
                    "events": [event(seq) for seq in range(after + 1, 10)] if len(streams) > 1 else []}

        self.gateway.rules["GET", "/engine/bus/listen/agent:kasra"] = listen
        self.gateway.rules["GET", "/engine/bus/channels/squad:x/history"] = history
        subscription = self.client().bus.subscribe("squad:x")
        self.assertEqual(subscription.last_seq, 5)
        self.assertEqual([subscription.get(5).seq for _ in range(5)], [6, 7, 8, 9, 10])
        self.assertEqual(subscription.missed, 0)
        self.assertEqual(streams[0], {"inbox": "none", "channels": "squad:x"})

    def test_a_tap_gives_records_and_counts_what_was_dropped(self):
        hold = threading.Event()
        self.addCleanup(hold.set)
        self.gateway.rules["GET", "/engine/bus/tap"] = lambda asked: events(
            {"dropped": 0, "records": [{"kind": "request"}]}, {"dropped": 3, "records": [{"kind": "reply"}, 5]}, hold=hold)
        with self.client().bus.tap(source="agent:*", payload=True) as tap:
            self.assertEqual([next(tap)["kind"], next(tap)["kind"]], ["request", "reply"])
            self.assertEqual(tap.dropped, 3)
        self.assertEqual(self.gateway.wait("GET", "/engine/bus/tap")[0]["query"], {"source": "agent:*", "payload": "true"})


class AsyncHttp(unittest.IsolatedAsyncioTestCase):
    async def test_the_async_client_speaks_http_too(self):
        with Gateway() as gateway:
            gateway.rules["GET", "/memory/stats"] = lambda asked: {"memories": 1}
            gateway.rules["POST", "/engine/chat/stream"] = lambda asked: events({"chunk": "a"}, {"done": True})
            async with AsyncMumegaClient(http=gateway.url, agent="kasra") as client:
                self.assertEqual(await client.memory.stats(), {"memories": 1})
                self.assertEqual([chunk async for chunk in client.chat.stream("x")], [{"chunk": "a"}])


if __name__ == "__main__":
    unittest.main()
