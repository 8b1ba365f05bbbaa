# SPDX-License-Identifier: Apache-2.0
"""The WebSockets of the gateway: an agent's feed, the tap, and what hostile clients send."""

import asyncio
import json
import os
import resource
import socket
import struct
import time
import unittest

import websockets

import raw_http
import tokens
from raw_websocket import (BINARY, CLOSE, CONTINUE, FIN, KEY, PING, TEXT, UPGRADE, RawWebSocket, frame)
from swarm import Swarm

IDLE = int(os.environ.get("SOS_TEST_IDLE_WEBSOCKETS") or 1000)
NERVOUS = "/ws/nervous-system/agent%3A"


class WebSocketCase(unittest.IsolatedAsyncioTestCase):
    settings = ()

    @classmethod
    def setUpClass(cls):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft < hard:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        cls.swarm = Swarm(*cls.settings)
        cls.swarm.__enter__()
        cls.gateway_pid = cls.swarm.pids()["gateway"]

    @classmethod
    def tearDownClass(cls):
        cls.swarm.__exit__(None, None, None)

    def tearDown(self):
        self.assertEqual(self.swarm.pids()["gateway"], self.gateway_pid, "the gateway died")
        self.assertEqual(self.swarm.http("GET", "engine", "/health").status, 200)

    def port(self, door="engine"):
        return self.swarm.ports[door]

    def token(self, subject, action, resource):
        return tokens.make(tokens.river_key(self.swarm.home), subject, action, resource)

    def post(self, path, body):
        answer = self.swarm.http("POST", "engine", path, body)
        self.assertEqual(answer.status, 200, answer.body)
        return answer.json

    def mail(self, to, payload):
        return self.post("/bus/send", {"from": "agent:sender", "to": to, "payload": payload})["message_id"]

    def open(self, path, door="engine", **options):
        return websockets.connect(f"ws://127.0.0.1:{self.port(door)}{path}", max_size=None, **options)

    async def next(self, client, timeout=10):
        return json.loads(await asyncio.wait_for(client.recv(), timeout))

    async def ready(self, client, of="listen"):
        self.assertEqual(await self.next(client), {"kind": "ready", "of": of})

    async def closed(self, client):
        """(code, reason) of the end, and the messages before it."""
        said = []
        try:
            while True:
                said.append(await self.next(client))
        except websockets.ConnectionClosed as end:
            return end.rcvd.code, end.rcvd.reason, said

    def in_flight(self):
        answer = self.swarm.http("GET", "engine", "/bus/peers?pattern=service:gateway")
        return answer.json["peers"][0]["in_flight"] - 1

    async def await_in_flight(self, wanted):
        end = time.monotonic() + 10
        while (found := self.in_flight()) > wanted:
            self.assertLess(time.monotonic(), end, f"{found} requests in flight, expected {wanted}")
            await asyncio.sleep(0.01)


class Feed(WebSocketCase):
    async def test_mail_and_events_come_as_json(self):
        async with self.open(NERVOUS + "ana?channels=squad:one") as client:
            await self.ready(client)
            sent = self.mail("agent:ana", {"hello": ["ä", 1]})
            mail = await self.next(client)
            self.assertEqual(mail["kind"], "mail")
            self.assertEqual(mail["id"], sent)
            self.assertEqual(mail["payload"], {"hello": ["ä", 1]})
            for channel in ("squad:one", "agent:ana:state", "squad:other", "squad:one"):
                self.post("/bus/publish", {"from": "agent:x", "channel": channel, "payload": channel})
            got = [await self.next(client) for _ in range(3)]
            self.assertEqual([event["kind"] for event in got], ["event"] * 3)
            self.assertEqual([event["payload"] for event in got],
                             ["squad:one", "agent:ana:state", "squad:one"])

    async def test_the_global_channel_is_heard_without_asking(self):
        async with self.open(NERVOUS + "ben", door="unified") as client:
            await self.ready(client)
            with self.swarm.peer("agent:visitor"):
                event = await self.next(client)
            self.assertEqual((event["kind"], event["channel"]), ("event", "system:events"))

    async def test_it_stands_on_the_unified_port_too(self):
        for path in ("/engine" + NERVOUS + "ben", NERVOUS + "ben"):
            async with self.open(path, door="unified") as client:
                await self.ready(client)

    async def test_what_the_client_says_is_answered(self):
        async with self.open(NERVOUS + "carl?inbox=none") as client:
            await self.ready(client)
            await client.send(json.dumps({"ref": 1, "send": {"to": "agent:dora", "payload": "hi"}}))
            result = await self.next(client)
            self.assertEqual((result["kind"], result["of"], result["ref"]), ("result", "send", 1))
            self.assertEqual(result["result"]["copies"], 1)
            await client.send(json.dumps({"ref": "p", "publish": {"channel": "agent:carl:x", "payload": 1}}))
            got = {message["kind"]: message for message in [await self.next(client), await self.next(client)]}
            self.assertEqual(got["result"]["ref"], "p")
            self.assertEqual(got["event"]["payload"], 1)
            await client.send(json.dumps({"ref": 2, "send": {"to": "squad:nobody", "payload": 1}}))
            refused = await self.next(client)
            self.assertEqual((refused["kind"], refused["of"], refused["ref"]), ("error", "send", 2))
            self.assertEqual(refused["detail"], "squad_empty")
            await client.send("what?")
            self.assertEqual((await self.next(client))["detail"], "invalid_request")
        inbox = self.swarm.http("GET", "engine", "/bus/inbox/agent%3Adora").json
        self.assertEqual(inbox["messages"][0]["from"], "agent:carl")

    async def test_taken_mail_is_acknowledged_over_the_socket(self):
        ids = [self.mail("agent:eve", n) for n in range(3)]
        async with self.open(NERVOUS + "eve?inbox=take&window=2") as client:
            await self.ready(client)
            got = [(await self.next(client))["id"] for _ in range(2)]
            self.assertEqual(got, ids[:2])
            await client.send(json.dumps({"ref": 1, "ack": got}))
            messages = [await self.next(client) for _ in range(2)]
            kinds = {message["kind"]: message for message in messages}
            self.assertEqual(kinds["result"]["result"], {"acked": 2, "unknown": []})
            self.assertEqual(kinds["mail"]["id"], ids[2])
            await client.send(json.dumps({"nack": {"ids": [ids[2]], "dead": True, "reason": "poison"}}))
            self.assertEqual((await self.next(client))["result"]["nacked"], 1)
        dead = self.swarm.http("GET", "engine", "/bus/dlq/agent%3Aeve").json
        self.assertEqual([letter["reason"] for letter in dead["dead_letters"]], ["poison"])

    async def test_channels_can_be_joined_and_left(self):
        async with self.open(NERVOUS + "fay") as client:
            await self.ready(client)
            await client.send(json.dumps({"ref": 1, "subscribe": "squad:late*"}))
            self.assertEqual(await self.next(client),
                             {"kind": "result", "of": "subscribe", "ref": 1, "channel": "squad:late*", "result": {}})
            self.post("/bus/publish", {"from": "agent:x", "channel": "squad:later", "payload": 7})
            self.assertEqual((await self.next(client))["payload"], 7)
            await client.send(json.dumps({"ref": 2, "unsubscribe": "squad:late*"}))
            self.assertEqual((await self.next(client))["ref"], 2)
            self.post("/bus/publish", {"from": "agent:x", "channel": "squad:later", "payload": 8})
            self.post("/bus/publish", {"from": "agent:x", "channel": "agent:fay:x", "payload": 9})
            self.assertEqual((await self.next(client))["payload"], 9)

    async def test_many_messages_each_way_at_once(self):
        async with self.open(NERVOUS + "gus?inbox=none") as client:
            await self.ready(client)

            async def talk():
                for n in range(500):
                    await client.send(json.dumps({"ref": n, "publish": {"channel": "agent:gus:x", "payload": n}}))

            talking = asyncio.create_task(talk())
            events, refs = [], []
            while len(events) < 500 or len(refs) < 500:
                message = await self.next(client)
                if message["kind"] == "event":
                    events.append(message["payload"])
                else:
                    refs.append(message["ref"])
            await talking
            self.assertEqual(events, list(range(500)))
            self.assertEqual(sorted(refs), list(range(500)))

    async def test_arguments_that_are_wrong_are_told(self):
        async with self.open(NERVOUS + "hal?inbox=steal") as client:
            code, reason, said = await self.closed(client)
            self.assertEqual((code, reason), (1008, "validation_error"))
            self.assertEqual(said[0]["error"]["context"], {"field": "inbox"})
        async with self.open("/ws/nervous-system/squad%3Ax") as client:
            self.assertEqual((await self.closed(client))[:2], (1008, "not_an_inbox"))

    async def test_sockets_that_close_leave_no_stream_behind(self):
        before = self.in_flight()
        clients = [await self.open(NERVOUS + f"n{n}") for n in range(20)]
        for client in clients:
            await self.ready(client)
        self.assertGreaterEqual(self.in_flight(), before + 20)
        for client in clients[:10]:
            await client.close()
        for client in clients[10:]:
            client.transport.abort()
        await self.await_in_flight(before)


class Tap(WebSocketCase):
    async def test_a_capability_in_the_header_opens_it(self):
        token = tokens.base64url(self.token("user:local", "bus:tap", "bus:*"))
        async with self.open("/ws/tap?type=bus_publish", extra_headers={"X-SOS-Capability": token}) as client:
            await self.ready(client, "tap")
            records = []
            while not records:  # the tap begins a moment after it was accepted
                self.post("/bus/publish", {"from": "agent:x", "channel": "squad:t", "payload": 1})
                try:
                    records = (await self.next(client, 1))["records"]
                except TimeoutError:
                    pass
            self.assertEqual({record["type"] for record in records}, {"bus_publish"})
            self.assertNotIn("payload", records[0])

    async def test_a_capability_in_the_first_message_opens_it(self):
        async with self.open("/ws/tap", door="unified") as client:
            await client.send(json.dumps({"ref": 1, "capability": self.token("user:local", "bus:tap", "bus:*")}))
            self.assertEqual((await self.next(client))["ref"], 1)
            await self.ready(client, "tap")

    async def test_no_or_wrong_capability_opens_nothing(self):
        async with self.open("/ws/tap") as client:
            forged = self.token("user:local", "bus:tap", "bus:*")
            forged["subject"] = "user:other"
            for token, word in ((self.token("user:local", "bus:publish", "bus:*"), "scope_denied"),
                                (forged, "token_invalid"),
                                ({"id": "x"}, "invalid_capability_payload")):
                await client.send(json.dumps({"capability": token}))
                message = await self.next(client)
                if message["kind"] == "result":
                    message = await self.next(client)
                self.assertEqual((message["kind"], message["detail"]), ("error", word))
        with self.assertRaises(websockets.InvalidStatusCode) as refused:
            await self.open("/ws/tap", extra_headers={"X-SOS-Capability": "nonsense"})
        self.assertEqual(refused.exception.status_code, 400)


class Enforced(WebSocketCase):
    settings = ("require_capabilities=true", "gateway.body_ms=2000")

    async def test_a_feed_starts_when_its_capability_comes(self):
        async with self.open(NERVOUS + "ida") as client:
            self.assertEqual((await self.next(client))["detail"], "missing_capability")
            token = self.token("agent:ida", "bus:receive", "agent:ida")
            await client.send(json.dumps({"capability": token}))
            self.assertEqual((await self.next(client))["kind"], "result")
            refused = await self.next(client)  # system:events needs its own
            self.assertEqual((refused["of"], refused["detail"]), ("subscribe", "missing_capability"))
            await self.ready(client)
            await client.send(json.dumps({"send": {"to": "agent:ida", "payload": 1}}))
            self.assertEqual((await self.next(client))["detail"], "scope_denied")
            await client.send(json.dumps({"send": {
                "to": "agent:ida", "payload": 1, "capability": self.token("agent:ida", "bus:send", "agent:*")}}))
            kinds = {(await self.next(client))["kind"] for _ in range(2)}
            self.assertEqual(kinds, {"result", "mail"})

    async def test_channels_of_others_come_with_a_capability_for_them(self):
        header = tokens.base64url(self.token("agent:joe", "bus:receive", "agent:joe"))
        async with self.open(NERVOUS + "joe", extra_headers={"Authorization": "Bearer " + header}) as client:
            self.assertEqual((await self.next(client))["of"], "subscribe")
            await self.ready(client)
            await client.send(json.dumps({"ref": 1, "subscribe": "squad:x"}))
            self.assertEqual((await self.next(client))["kind"], "error")
            await client.send(json.dumps({"capability": self.token("agent:joe", "bus:subscribe", "squad:x")}))
            await self.next(client)
            await client.send(json.dumps({"ref": 2, "subscribe": "squad:x"}))
            self.assertEqual(await self.next(client),
                             {"kind": "result", "of": "subscribe", "ref": 2, "channel": "squad:x", "result": {}})

    async def test_who_shows_none_is_closed_after_a_while(self):
        for path in ("/ws/tap", NERVOUS + "kim"):
            async with self.open(path) as client:
                code, reason, _ = await self.closed(client)
                self.assertEqual((code, reason), (1008, "no capability came in time"))


class Hostile(WebSocketCase):
    settings = ("gateway.header_ms=1000", "gateway.body_ms=2000", "gateway.idle_ms=4000")

    def raw(self, path=NERVOUS + "h", *headers, **options):
        client = RawWebSocket(self.port(), path, *headers, **options)
        self.assertEqual(client.answer.status, 101)
        return client

    def refused(self, *headers, path=NERVOUS + "h", method="GET", body=b"", host="127.0.0.1"):
        answer = raw_http.send(self.port(), raw_http.request(method, path, *headers, body=body, host=host))
        return answer.status, json.loads(answer.body)["detail"] if answer.body else None

    def test_handshakes_that_are_none(self):
        self.assertEqual(self.refused(), (426, "upgrade_required"))
        self.assertEqual(self.refused(*UPGRADE[:2], "Sec-WebSocket-Version: 8", UPGRADE[3]),
                         (426, "upgrade_required"))
        self.assertEqual(self.refused(*UPGRADE[:3]), (400, "invalid_request"))
        self.assertEqual(self.refused(*UPGRADE[:3], "Sec-WebSocket-Key: AAAA"), (400, "invalid_request"))
        self.assertEqual(self.refused(*UPGRADE, f"Sec-WebSocket-Key: {KEY}"), (400, "invalid_request"))
        self.assertEqual(self.refused(*UPGRADE, "Origin: https://evil.example"), (403, "origin_not_allowed"))
        self.assertEqual(self.refused(*UPGRADE, "Origin: null"), (403, "origin_not_allowed"))
        self.assertEqual(self.refused(*UPGRADE, host="evil.example"), (403, "host_not_allowed"))
        self.assertEqual(self.refused(*UPGRADE, method="POST", body=b"{}"), (400, "invalid_request"))
        self.assertEqual(self.refused(*UPGRADE, "Content-Type: application/json", body=b"{}"),
                         (400, "invalid_request"))
        self.assertEqual(self.refused(*UPGRADE, path="/ws/other"), (404, "not_found"))
        self.assertEqual(self.refused(*UPGRADE, path="/ws/nervous-system/%zz")[0], 400)

    def test_half_a_handshake_is_cut(self):
        with raw_http.connect(self.port()) as client:
            client.sendall(raw_http.request("GET", NERVOUS + "h", *UPGRADE)[:-2])
            started = time.monotonic()
            answer = raw_http.read_answer(client)
            self.assertEqual(answer.status, 408)
            self.assertLess(time.monotonic() - started, 3)

    def test_frames_that_break_the_rules(self):
        for name, data, code in (
                ("unmasked", frame(FIN | TEXT, b"{}", mask=False), 1002),
                ("reserved bit", frame(0xC0 | TEXT, b"{}"), 1002),
                ("unknown opcode", frame(FIN | 3, b""), 1002),
                ("lone continuation", frame(FIN | CONTINUE, b"x"), 1002),
                ("text in text", frame(TEXT, b"a") + frame(FIN | TEXT, b"b"), 1002),
                ("binary", frame(FIN | BINARY, b"{}"), 1003),
                ("not UTF-8", frame(FIN | TEXT, b"\xff\xfe"), 1007),
                ("close 1005", frame(FIN | CLOSE, struct.pack("!H", 1005)), 1002),
                ("100 MB", frame(FIN | TEXT, b"x", size=100 << 20), 1009),
                ("2^62 bytes", frame(FIN | TEXT, b"x", size=1 << 62), 1009),
                ("300 KB in pieces", frame(TEXT, b"x" * 150000) + frame(FIN | CONTINUE, b"x" * 150000), 1009)):
            with self.subTest(name), self.raw() as client:
                client.send(data)
                self.assertEqual(client.closed()[0], code)

    def test_frames_that_the_library_gives_up_on(self):
        for data in (frame(FIN | PING, b"x" * 126), frame(PING, b"x"), frame(FIN | TEXT, size=1 << 63)):
            with self.raw() as client:
                client.send(data)
                client.closed()
                self.assertIsNone(client.next())

    def test_100_mb_that_are_really_sent_are_not_kept(self):
        before = self.swarm.memory_kib("gateway")
        with self.raw() as client:
            try:
                client.send(frame(FIN | TEXT, size=100 << 20))
                for _ in range(100):
                    client.send(bytes(1 << 20))
            except OSError:
                pass
        self.assertLess(self.swarm.memory_kib("gateway") - before, 8 * 1024)

    def test_a_message_of_the_largest_size_in_one_byte_fragments(self):
        before = self.swarm.memory_kib("gateway")
        with self.raw(NERVOUS + "frag?inbox=none") as client:
            client.send(frame(TEXT, b" "))
            client.send(frame(CONTINUE, b" ") * 100000)
            client.send(frame(FIN | CONTINUE, b"{}"))
            while b'"of":"message"' not in (got := client.next())[1]:
                self.assertIsNotNone(got)
        self.assertLess(self.swarm.memory_kib("gateway") - before, 8 * 1024)

    def test_a_dripped_message_is_cut(self):
        with self.raw() as client:
            client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            started = time.monotonic()
            client.send(struct.pack("!BBQ4x", FIN | TEXT, 0xFF, 100000))
            client.socket.settimeout(0.2)
            closed = None
            while closed is None and time.monotonic() - started < 6:
                client.send(b"x")
                try:
                    closed = client.closed()
                except TimeoutError:
                    pass
            self.assertEqual(closed, (1008, "the message did not come in time"))
            self.assertLess(time.monotonic() - started, 4)

    def test_a_silent_client_is_pinged_and_cut(self):
        with self.raw() as client:
            started = time.monotonic()
            frames = []
            while got := client.next():
                frames.append(got[0])
            self.assertIn(FIN | PING, frames)
            self.assertLess(time.monotonic() - started, 7)
            self.assertGreater(time.monotonic() - started, 3)

    def test_pings_that_nobody_reads_the_answers_of(self):
        before = self.swarm.memory_kib("gateway")
        with self.raw(receive_buffer=4096) as client:
            client.socket.settimeout(1)
            data = frame(FIN | PING, b"x" * 100) * 1000
            try:
                for _ in range(1000):
                    client.send(data)
            except OSError:
                pass
            self.assertLess(self.swarm.memory_kib("gateway") - before, 8 * 1024)

    def test_a_client_that_never_reads_costs_a_bounded_amount_and_delays_nobody(self):
        before = self.in_flight()
        memory = self.swarm.memory_kib("gateway")
        with self.raw(NERVOUS + "deaf?channels=squad:flood", receive_buffer=4096):
            payload = "x" * 60000
            slowest = 0.0
            for _ in range(400):
                started = time.monotonic()
                self.post("/bus/publish", {"from": "agent:a", "channel": "squad:flood", "payload": payload})
                slowest = max(slowest, time.monotonic() - started)
            self.assertLess(self.swarm.memory_kib("gateway") - memory, 16 * 1024)
            self.assertLess(slowest, 1)
            end = time.monotonic() + 10
            while self.in_flight() > before and time.monotonic() < end:
                pass
            self.assertLessEqual(self.in_flight(), before)

    def test_resets_leave_nothing_behind(self):
        before = self.in_flight()
        for _ in range(50):
            client = self.raw()
            client.send(frame(FIN | TEXT, b'{"ref":1,"publish":{"channel":"agent:h:x","payload":1}}'))
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.socket.close()
        end = time.monotonic() + 10
        while self.in_flight() > before and time.monotonic() < end:
            pass
        self.assertLessEqual(self.in_flight(), before)

    def test_many_calls_at_once_are_taken_in_turn(self):
        with self.raw(NERVOUS + "burst?inbox=none") as client:
            client.socket.settimeout(20)
            message = b'{"ref":1,"send":{"to":"agent:burst2","payload":1}}'
            client.send(frame(FIN | TEXT, message) * 2000)
            results = 0
            while results < 2000:
                results += b'"of":"send"' in client.next()[1]


class Limits(WebSocketCase):
    settings = ("gateway.connections_peer_max=30", "gateway.streams_max=20")

    async def test_streams_and_connections_are_bounded(self):
        clients = []
        for n in range(20):
            clients.append(await self.open(NERVOUS + f"l{n}"))
        for path in (NERVOUS + "more", "/ws/tap"):
            with self.assertRaises(websockets.InvalidStatusCode) as refused:
                await self.open(path)
            self.assertEqual(refused.exception.status_code, 503)
        answer = self.swarm.http("GET", "engine", "/bus/listen/agent%3Amore")
        self.assertEqual((answer.status, answer.json["detail"]), (503, "service_busy"))
        self.assertEqual(self.swarm.http("GET", "engine", "/bus/inbox/agent%3Al1").status, 200)
        for client in clients:
            await client.close()
        async with self.open(NERVOUS + "again") as client:
            await self.ready(client)


class Broken(WebSocketCase):
    async def test_a_lost_broker_is_told_and_closes_with_1012(self):
        async with self.open(NERVOUS + "lost") as client:
            await self.ready(client)
            self.swarm.kill("broker")
            code, reason, said = await self.closed(client)
            self.assertEqual(code, 1012)
            self.assertIn(reason, ("unknown_outcome", "service_unavailable"))
            self.assertEqual((said[-1]["kind"], said[-1]["of"]), ("error", "listen"))
        self.swarm.wait_healthy()
        end = time.monotonic() + 20
        while True:
            try:
                async with self.open(NERVOUS + "lost") as client:
                    await self.ready(client)
                    return
            except (websockets.InvalidStatusCode, websockets.ConnectionClosed):
                self.assertLess(time.monotonic(), end)

    async def test_a_gateway_that_stops_closes_with_1001(self):
        with Swarm() as swarm:
            async with websockets.connect(f"ws://127.0.0.1:{swarm.ports['engine']}{NERVOUS}x") as client:
                await self.ready(client)
                started = time.monotonic()
                await asyncio.to_thread(swarm.down)
                self.assertLess(time.monotonic() - started, 4)
                self.assertEqual((await self.closed(client))[:2], (1001, "the gateway is stopping"))


class Idle(WebSocketCase):
    async def test_idle_sockets_are_cheap(self):
        before = self.swarm.memory_kib("gateway")
        broker = self.swarm.memory_kib("broker")
        clients = []
        for n in range(0, IDLE, 50):
            clients += await asyncio.gather(*(self.open(NERVOUS + f"i{n + k}") for k in range(50)))
        for client in clients:
            await self.ready(client)
        each = (self.swarm.memory_kib("gateway") - before) / len(clients)
        theirs = (self.swarm.memory_kib("broker") - broker) / len(clients)
        print(f"\n{len(clients)} idle WebSockets: {each:.1f} KiB each in the gateway, "
              f"{theirs:.1f} KiB in the broker", flush=True)
        self.assertLess(each, 64)
        self.mail(f"agent:i{IDLE - 1}", "you")
        self.assertEqual((await self.next(clients[-1]))["payload"], "you")
        await asyncio.gather(*(client.close() for client in clients))


if __name__ == "__main__":
    unittest.main()
