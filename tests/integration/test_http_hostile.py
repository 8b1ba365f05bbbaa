# SPDX-License-Identifier: Apache-2.0
"""What browsers, careless clients and attackers send to the HTTP doors, and the documented answers."""

import contextlib
import errno
import json
import os
import re
import resource
import select
import socket
import struct
import time
import unittest

import raw_http
from raw_http import connect, read_answer, request, send
from swarm import Swarm

MIB = 1 << 20
HALF_OPEN = int(os.environ.get("SOS_TEST_HALF_OPEN") or 10000)
DOORS = ("engine", "memory", "memory2", "economy", "tools", "tools2", "identity", "voice", "unified")
WITHOUT_SERVICE = ("economy", "tools", "tools2", "voice")
JSON_TYPE = "Content-Type: application/json"
GATEWAY_GROWTH_KIB = 256 * 1024


def raise_descriptor_limit():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


class HttpCase(unittest.TestCase):
    settings = ()

    @classmethod
    def setUpClass(cls):
        cls.swarm = Swarm(*cls.settings)
        cls.swarm.__enter__()
        cls.gateway_pid = cls.swarm.pids()["gateway"]
        cls.before_kib = cls.swarm.memory_kib("gateway")

    @classmethod
    def tearDownClass(cls):
        cls.swarm.__exit__(None, None, None)

    def tearDown(self):
        self.assertEqual(self.swarm.pids()["gateway"], self.gateway_pid, "the gateway died")
        self.assertEqual(self.swarm.http("GET", "memory", "/stats").status, 200)

    def raw(self, door, data, **options):
        return send(self.swarm.ports[door], data, **options)

    def post(self, body, *headers, door="memory", path="/store"):
        body = body.encode() if isinstance(body, str) else body
        return self.raw(door, request("POST", path, *(headers or (JSON_TYPE,)), body=body))

    def assert_error(self, answer, status, word):
        """The error body of the specification."""
        self.assertIsNotNone(answer, "the connection was closed without an answer")
        self.assertEqual(answer.status, status, answer.body)
        body = json.loads(answer.body)
        self.assertIs(body["ok"], False)
        self.assertEqual(body["detail"], word)
        self.assertEqual(set(body["error"]) - {"context"}, {"code", "message", "detail"})
        self.assertRegex(answer.headers["x-sos-trace-id"], "^[0-9a-f]{32}$")
        return body["error"]

    def metric(self, pattern):
        text = self.swarm.http("GET", "unified", "/metrics").body.decode()
        return sum(float(value) for value in re.findall(rf"^{pattern} (\S+)$", text, re.MULTILINE))


class Bodies(HttpCase):
    def test_a_body_of_100_mib_announced(self):
        started = time.monotonic()
        with connect(self.swarm.ports["memory"]) as client:
            client.sendall(request("POST", "/store", JSON_TYPE, f"Content-Length: {100 * MIB}"))
            with contextlib.suppress(OSError):
                for _ in range(100):
                    client.sendall(bytes(MIB))
            answer = None
            with contextlib.suppress(ConnectionResetError):
                answer = read_answer(client)
        if answer:  # a client that goes on sending may see its connection reset instead
            self.assert_error(answer, 413, "payload_too_large")
        self.assertLess(time.monotonic() - started, 10)

    def test_a_body_that_is_announced_too_large_is_refused_before_it_comes(self):
        answer = self.raw("memory", request("POST", "/store", JSON_TYPE, f"Content-Length: {100 * MIB}"))
        self.assert_error(answer, 413, "payload_too_large")
        answer = self.raw("memory", request("POST", "/store", JSON_TYPE,
                                            f"Content-Length: {100 * MIB}", "Expect: 100-continue"))
        self.assert_error(answer, 413, "payload_too_large")

    def test_a_chunked_body_of_100_mib(self):
        with connect(self.swarm.ports["memory"]) as client:
            client.sendall(request("POST", "/store", JSON_TYPE, "Transfer-Encoding: chunked"))
            sent = 0
            with contextlib.suppress(OSError):
                for _ in range(1600):
                    client.sendall(b"10000\r\n" + b" " * 65536 + b"\r\n")
                    sent += 65536
                    if select.select([client], [], [], 0)[0]:
                        break
            self.assertLess(sent, 100 * MIB)
            answer = None
            with contextlib.suppress(ConnectionResetError):
                answer = read_answer(client)
        if answer:
            self.assert_error(answer, 413, "payload_too_large")

    def test_a_body_just_within_the_limit_is_read(self):
        answer = self.post(json.dumps({"content": "x", "agent_id": "agent:a"}).ljust(MIB))
        self.assertEqual(answer.status, 200, answer.body)

    def test_deep_nesting(self):
        for opening, closing in (("[", "]"), ('{"a":', "}")):
            for levels in (100000, 1000):
                body = opening * levels + "1" + closing * levels
                self.assert_error(self.post(body), 400, "invalid_request")
                body = '{"content":"x","agent_id":"agent:a","metadata":{"deep":' + body + "}}"
                self.assert_error(self.post(body), 400, "invalid_request")
        self.assert_error(self.post("[" * 100000), 400, "invalid_request")

    def test_bodies_that_are_not_json(self):
        good = '{"content":"x","agent_id":"agent:a"}'
        for name, body in {
                "blank": "   ", "text": "hello", "cut": good[:-1], "trailing": good + "x",
                "two": good + good, "single quotes": good.replace('"', "'"), "comment": "/**/" + good,
                "comma": '{"content":"x","agent_id":"agent:a",}', "bare": "{content:1}",
                "duplicate": '{"content":"x","content":"y","agent_id":"agent:a"}',
                "duplicate deep": '{"content":"x","agent_id":"agent:a","metadata":{"a":1,"a":2}}',
                "escaped duplicate": '{"content":"x","cont\\u0065nt":"y","agent_id":"agent:a"}',
                "NaN": '{"content":"x","agent_id":"agent:a","importance":NaN}',
                "Infinity": '{"content":"x","agent_id":"agent:a","importance":-Infinity}',
                "huge number": '{"content":"x","agent_id":"agent:a","importance":1e999}',
                "huge integer": '{"content":"x","agent_id":"agent:a","importance":' + "9" * 400 + "}",
                "leading zero": '{"content":"x","agent_id":"agent:a","importance":01}',
                "plus": '{"content":"x","agent_id":"agent:a","importance":+1}',
                "lone surrogate": '{"content":"\\ud800","agent_id":"agent:a"}',
                "bad escape": '{"content":"\\x","agent_id":"agent:a"}',
                "raw newline": '{"content":"a\nb","agent_id":"agent:a"}',
                "invalid UTF-8": b'{"content":"\xff\xfe","agent_id":"agent:a"}',
                "overlong UTF-8": b'{"content":"\xc0\xaf","agent_id":"agent:a"}',
                "surrogate in UTF-8": b'{"content":"\xed\xa0\x80","agent_id":"agent:a"}',
                "UTF-16": '{"content":"x"}'.encode("utf-16"),
                "NUL after": good.encode() + b"\0"}.items():
            with self.subTest(name):
                self.assert_error(self.post(body, JSON_TYPE, f"Content-Length: {len(body)}"),
                                  400, "invalid_request")

    def test_json_that_is_no_object(self):
        for body in ("[]", "1", '"x"', "null", "true"):
            with self.subTest(body):
                self.assertIn(self.post(body).status, (400, 422))

    def test_integers_beyond_64_bits(self):
        for number in (2**64, 10**30, -2**63 - 1):
            body = '{"query":"x","agent_id":"agent:a","limit":%d}' % number
            answer = self.post(body, path="/search")
            self.assertIn(answer.status, (400, 422), number)

    def test_ill_typed_fields_are_422_and_named(self):
        for field, value in (("content", 1), ("content", None), ("content", {}), ("agent_id", ""),
                             ("agent_id", ["agent:a"]), ("importance", "0.5"), ("importance", True),
                             ("importance", -0.1), ("memory_type", "dream"), ("metadata", "x"), ("agent_id", "x" * 1000)):
            body = {"content": "x", "agent_id": "agent:a", field: value}
            with self.subTest(field=field, value=value):
                error = self.assert_error(self.post(json.dumps(body)), 422, "validation_error")
                self.assertEqual(error["context"]["field"], field)
                self.assertIn(field, error["message"])

    def test_fields_that_are_not_known_are_ignored(self):
        answer = self.post('{"content":"x","agent_id":"agent:a","colour":"blue","n":[{}]}')
        self.assertEqual(answer.status, 200, answer.body)

    def test_content_types(self):
        good = '{"content":"x","agent_id":"agent:a"}'
        for type_ in ("application/json", "application/json; charset=utf-8", "Application/JSON"):
            self.assertEqual(self.post(good, f"Content-Type: {type_}").status, 200, type_)
        # Browsers send these across sites without asking first.
        for type_ in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x",
                      "text/plain; application/json", "application/json5", ""):
            with self.subTest(type_):
                self.assert_error(self.post(good, f"Content-Type: {type_}"), 400, "invalid_request")
        self.assert_error(self.post(good, "X-Nothing: 1"), 400, "invalid_request")

    def test_lengths_that_lie(self):
        good = b'{"content":"x","agent_id":"agent:a"}'
        for headers in ((f"Content-Length: {len(good)}", "Transfer-Encoding: chunked"),
                        ("Content-Length: 10", "Content-Length: 36"), ("Content-Length: -1",),
                        ("Content-Length: 99999999999999999999999",), ("Content-Length: 0x24",),
                        ("Transfer-Encoding: gzip",), ("Transfer-Encoding: chunked, chunked",)):
            with self.subTest(headers=headers):
                started = time.monotonic()
                answer = self.raw("memory", request("POST", "/store", JSON_TYPE, *headers, body=good))
                if answer:
                    self.assertEqual(answer.status // 100, 4, answer.body)
                self.assertLess(time.monotonic() - started, 5)


class Heads(HttpCase):
    def test_headers_that_are_too_large(self):
        for headers in (["X-Pad: " + "x" * 100000], [f"X-{n}: {'y' * 50}" for n in range(2000)],
                        ["X-SOS-Capability: " + "A" * 60000]):
            answer = self.raw("memory", request("GET", "/health", *headers))
            if answer:
                self.assertIn(answer.status, (400, 413, 431, 500))
        answer = self.raw("memory", request("GET", "/" + "a" * 100000))
        if answer:
            self.assertIn(answer.status, (400, 404, 413, 414, 431))

    def test_a_missing_or_doubled_host(self):
        answer = self.raw("memory", request("GET", "/health", host=None))
        self.assertEqual(answer.status, 400)
        answer = self.raw("memory", request("GET", "/health", "Host: evil.example"))
        self.assertEqual(answer.status, 400)

    def test_dns_rebinding(self):
        port = self.swarm.ports["memory"]
        for host in ("evil.example", f"evil.example:{port}", "127.0.0.1.evil.example", "localhost.evil.example",
                     "169.254.169.254", "0.0.0.0", "user@localhost", "localhost:x", "[::1", "a b",
                     "127.0.0.1:99999999"):
            with self.subTest(host):
                answer = self.raw("memory", request("GET", "/health", host=host))
                self.assertIn(answer.status, (400, 403), host)
                self.assertNotIn(b"uptime", answer.body)
        for host in ("localhost", f"localhost:{port}", f"127.0.0.1:{port}", "127.0.0.1", f"[::1]:{port}"):
            self.assertEqual(self.raw("memory", request("GET", "/health", host=host)).status, 200, host)

    def test_calls_from_other_sites(self):
        body = b'{"content":"x","agent_id":"agent:a"}'
        for origin in ("https://evil.example", "http://localhost.evil.example", "null", "file://",
                       "http://127.0.0.1.evil.example", "chrome-extension://abc"):
            with self.subTest(origin):
                answer = self.raw("memory", request("POST", "/store", JSON_TYPE, f"Origin: {origin}",
                                                    body=body))
                self.assert_error(answer, 403, "origin_not_allowed")
                answer = self.raw("memory", request("GET", "/stats", f"Origin: {origin}"))
                self.assertNotIn("access-control-allow-origin", answer.headers)
        for origin in ("http://localhost:3000", "http://127.0.0.1:8080", "tauri://localhost"):
            answer = self.raw("memory", request("POST", "/store", JSON_TYPE, f"Origin: {origin}", body=body))
            self.assertEqual(answer.status, 200, origin)
            self.assertEqual(answer.headers["access-control-allow-origin"], origin)

    def test_preflights(self):
        asks = ("Access-Control-Request-Method: POST",
                "Access-Control-Request-Headers: content-type,x-sos-capability")
        for origin in ("http://localhost:3000", "http://127.0.0.1:8080", "tauri://localhost",
                       "https://localhost"):
            answer = self.raw("engine", request("OPTIONS", "/chat", f"Origin: {origin}", *asks))
            self.assertEqual(answer.status, 204)
            self.assertEqual(answer.headers["access-control-allow-origin"], origin)
            self.assertIn("POST", answer.headers["access-control-allow-methods"])
            allowed = answer.headers["access-control-allow-headers"].lower()
            for name in ("content-type", "x-sos-capability", "x-sos-trace-id", "idempotency-key"):
                self.assertIn(name, allowed)
        for origin in ("https://evil.example", "null"):
            answer = self.raw("engine", request("OPTIONS", "/chat", f"Origin: {origin}", *asks))
            self.assertFalse([name for name in answer.headers if name.startswith("access-control")])

    def test_paths(self):
        for path in ("/docs/../../etc/passwd", "/docs/%2e%2e/%2e%2e/etc/passwd", "/docs/..%2f..%2fetc%2fpasswd",
                     "/docs//etc/passwd", "/docs/..\\..\\etc\\passwd", "/%2e%2e/%2e%2e/secrets/river.key",
                     "/docs/docs.js/..", "/docs/%00", "/docs/.%00./", "//etc/passwd", "/./health/../../x"):
            with self.subTest(path):
                answer = self.raw("unified", request("GET", path))
                self.assertIn(answer.status, (400, 404), path)
                self.assertNotIn(b"root:", answer.body)

    def test_percent_encoding(self):
        get = lambda path: self.raw("memory", request("GET", path))
        self.assertEqual(get("/%68ealth").status, 200)
        for path in ("/memories/%", "/memories/%1", "/memories/%zz", "/memories/%ff%fe", "/memories/a%00b",
                     "/stats?agent_id=%zz", "/stats?agent_id=%ff"):
            with self.subTest(path):
                self.assert_error(get(path), 400, "invalid_request")
        # An encoded slash is a character of the id, not a separator.
        self.assert_error(get("/memories/..%2f..%2fx"), 404, "memory_not_found")
        self.assert_error(get("/memories%2fx"), 404, "not_found")
        self.assertEqual(get("/stats?" + "&".join(f"x{n}=1" for n in range(100))).status, 400)
        for path in ("http://127.0.0.1/health", "*", "health"):
            answer = get(path)
            if answer:
                self.assertIn(answer.status, (200, 400, 404), path)

    def test_methods(self):
        answer = self.raw("memory", request("GET", "/store"))
        self.assert_error(answer, 405, "method_not_allowed")
        self.assertIn("POST", answer.headers["allow"])
        answer = self.raw("memory", request("DELETE", "/memories/x/y"))
        self.assert_error(answer, 404, "not_found")
        answer = self.raw("memory", request("PUT", "/memories/x", JSON_TYPE, body=b"{}"))
        self.assert_error(answer, 405, "method_not_allowed")
        self.assertEqual({"GET", "HEAD", "DELETE", "OPTIONS"},
                         set(answer.headers["allow"].replace(" ", "").split(",")))
        answer = self.raw("memory", request("POST", "/health", JSON_TYPE, body=b"{}"))
        self.assert_error(answer, 405, "method_not_allowed")
        for method in ("TRACE", "CONNECT", "PROPFIND", "get", "X" * 200):
            with self.subTest(method):
                answer = self.raw("memory", request(method, "/health"))
                if answer:
                    self.assertGreaterEqual(answer.status, 400)
        answer = self.raw("memory", request("OPTIONS", "/store"))
        self.assertEqual(answer.status, 204)
        self.assertIn("POST", answer.headers["allow"])

    def test_head_is_get_without_a_body(self):
        for door, path in (("memory", "/health"), ("memory", "/stats"), ("unified", "/openapi.json"),
                           ("engine", "/models"), ("memory", "/nothing")):
            got = self.swarm.http("GET", door, path)
            with connect(self.swarm.ports[door]) as client:
                client.sendall(request("HEAD", path))
                head = read_answer(client, head_only=True)
                self.assertEqual((head.status, head.body), (got.status, b""), path)
                client.sendall(request("GET", "/version"))
                after = read_answer(client)
                self.assertEqual(json.loads(after.body)["protocol"], "SOS/1", path)

    def test_requests_one_after_another_on_one_connection(self):
        with connect(self.swarm.ports["memory"]) as client:
            client.sendall(request("GET", "/version") * 3)
            data = b""
            while data.count(b'"protocol"') < 3:
                data += client.recv(65536)
            for _ in range(20):
                client.sendall(request("POST", "/search", JSON_TYPE,
                                       body=b'{"query":"x","agent_id":"agent:a"}'))
                self.assertEqual(read_answer(client).status, 200)


class Answers(HttpCase):
    settings = ("cors_origins=https://app.example",)

    def test_traces(self):
        trace = "0123456789abcdef0123456789abcdef"
        dashed = "01234567-89ab-cdef-0123-456789abcdef"
        for door in DOORS:
            for given in (trace, dashed, trace.upper()):
                answer = self.raw(door, request("GET", "/health", f"X-SOS-Trace-ID: {given}"))
                self.assertEqual(answer.headers["x-sos-trace-id"], trace, (door, given))
                self.assertRegex(answer.headers["x-sos-span-id"], "^[0-9a-f]{16}$")
        spans = {self.raw("memory", request("GET", "/health", f"X-SOS-Trace-ID: {trace}"))
                 .headers["x-sos-span-id"] for _ in range(5)}
        self.assertEqual(len(spans), 5)
        for bad in ("", "x", trace[:-1], trace + "0", "g" * 32, "0" * 32, trace + "\t", "é" * 16):
            with self.subTest(bad):
                answer = self.raw("memory", request("GET", "/health", f"X-SOS-Trace-ID: {bad}"))
                if bad.strip() == trace:
                    continue  # blanks around a value are not part of it
                self.assertRegex(answer.headers["x-sos-trace-id"], "^[0-9a-f]{32}$")
                self.assertNotEqual(answer.headers["x-sos-trace-id"], bad)
                self.assertNotEqual(answer.headers["x-sos-trace-id"], "0" * 32)

    def test_traceparent(self):
        trace, span = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
        answer = self.raw("memory", request("GET", "/stats", f"traceparent: 00-{trace}-{span}-01"))
        version, got, own, _ = answer.headers["traceparent"].split("-")
        self.assertEqual((version, got), ("00", trace))
        self.assertNotEqual(own, span)
        self.assertEqual(answer.headers["x-sos-trace-id"], trace)
        self.assertEqual(answer.headers["x-sos-parent-span-id"], span)
        for bad in ("00-zz-x-01", f"ff-{trace}-{span}-01", f"00-{'0' * 32}-{span}-01",
                    f"00-{trace}-{'0' * 16}-01", f"00-{trace}-{span}"):
            answer = self.raw("memory", request("GET", "/stats", f"traceparent: {bad}"))
            self.assertNotEqual(answer.headers["x-sos-trace-id"], trace, bad)

    def test_errors_carry_traces_too(self):
        trace = "ab" * 16
        for data in (request("GET", "/nothing", f"X-SOS-Trace-ID: {trace}"),
                     request("POST", "/store", JSON_TYPE, f"X-SOS-Trace-ID: {trace}", body=b"{"),
                     request("GET", "/store", f"X-SOS-Trace-ID: {trace}")):
            self.assertEqual(self.raw("memory", data).headers["x-sos-trace-id"], trace)

    def test_every_door_says_how_it_is(self):
        for door in DOORS:
            with self.subTest(door):
                service = {"memory2": "memory", "tools2": "tools", "unified": "gateway"}.get(door, door)
                health = self.swarm.http("GET", door, "/health")
                self.assertEqual(health.json["service"], service)
                self.assertLessEqual({"status", "version", "service", "uptime_seconds", "checks"},
                                     set(health.json))
                self.assertIn(health.json["status"], ("ok", "degraded", "unhealthy"))
                expected = "degraded" if door in WITHOUT_SERVICE else "ok"
                self.assertEqual((health.status, health.json["status"]), (200, expected), health.body)
                metrics = self.swarm.http("GET", door, "/metrics")
                self.assertEqual(metrics.status, 200)
                self.assertTrue(metrics.headers["Content-Type"].startswith("text/plain"))
                for name in ("sos_requests_total", "sos_request_duration_seconds_bucket",
                             "sos_uptime_seconds", "sos_active_connections"):
                    self.assertIn(name, metrics.body.decode(), door)
                version = self.swarm.http("GET", door, "/version")
                self.assertEqual(version.status, 200)
                self.assertEqual(version.json["version"], health.json["version"])

    def test_metrics_are_well_formed(self):
        for door in ("memory", "engine", "unified", "economy"):
            families = {}
            for line in self.swarm.http("GET", door, "/metrics").body.decode().splitlines():
                if line.startswith("# TYPE "):
                    name, type_ = line[7:].split(" ")
                    self.assertNotIn(name, families, f"{door}: {name} twice")
                    families[name] = type_
                elif line and not line.startswith("#"):
                    self.assertRegex(line, r'^[a-z_]+(\{([a-z_]+="[^"]*",?)*\})? [-+0-9.eInfNa]+$')
                    name = re.split(r"[{ ]", line)[0]
                    base = re.sub(r"_(bucket|sum|count)$", "", name)
                    self.assertTrue(name in families or families.get(base) == "histogram", line)

    def test_requests_are_counted(self):
        count = lambda: re.findall(r'sos_requests_total\{service="memory",status="(\w+)"\} (\d+)',
                                   self.swarm.http("GET", "memory", "/metrics").body.decode())
        before = {word: int(number) for word, number in count()}
        self.swarm.http("GET", "memory", "/stats")
        self.swarm.http("GET", "memory", "/nothing")
        after = {word: int(number) for word, number in count()}
        self.assertGreater(after["success"], before.get("success", 0))
        self.assertGreater(after["error"], before.get("error", 0))

    def test_doors_without_a_service_are_503(self):
        for door in WITHOUT_SERVICE:
            for method, path in (("GET", "/"), ("GET", "/balance/agent:a"), ("POST", "/x/y"),
                                 ("GET", "/docs"), ("GET", "/openapi.json")):
                with self.subTest(door=door, path=path):
                    answer = self.raw(door, request(method, path))
                    self.assert_error(answer, 503, "service_unavailable")
                    self.assertGreater(int(answer.headers["retry-after"]), 0)
        for service in ("economy", "tools", "voice"):
            answer = self.raw("unified", request("GET", f"/{service}/balance/x"))
            self.assert_error(answer, 503, "service_unavailable")

    def test_the_unified_port_serves_every_service(self):
        stored = self.swarm.http("POST", "unified", "/memory/store",
                                 {"content": "through the unified port", "agent_id": "agent:u"})
        self.assertEqual(stored.status, 200, stored.body)
        memory_id = stored.json["memory_id"]
        for path in (f"/memory/memories/{memory_id}",):
            self.assertEqual(self.swarm.http("GET", "unified", path).json["id"], memory_id)
        self.assertEqual(self.swarm.http("GET", "memory2", f"/memories/{memory_id}").status, 200)
        for path in ("/engine/models", "/identity/agents", "/memory/health", "/engine/version",
                     "/identity/metrics"):
            self.assertEqual(self.swarm.http("GET", "unified", path).status, 200, path)
        for path in ("/store", "/nothing", "/nothing/store", "/memory", "/memory/"):
            self.assertEqual(self.swarm.http("GET", "unified", path).status, 404, path)

    def test_documents(self):
        for door in ("unified", "memory", "engine"):
            answer = self.swarm.http("GET", door, "/openapi.json")
            self.assertEqual(answer.status, 200)
            self.assertEqual(answer.json["openapi"], "3.1.0")
            self.assertIn("/memory/store", answer.json["paths"])
        page = self.swarm.http("GET", "unified", "/docs")
        self.assertEqual(page.status, 200)
        self.assertIn("default-src 'none'", page.headers["Content-Security-Policy"])
        html = page.body.decode()
        self.assertEqual(re.findall(r"(?:src|href)=[\"']?(?:https?:)?//", html), [], "loads from elsewhere")
        assets = [name for name in re.findall(r"(?:src|href)=[\"']([^\"']+)[\"']", html)
                  if not name.startswith("data:")]
        self.assertGreaterEqual(len(assets), 2)
        for asset in assets:
            path = asset if asset.startswith("/") else "/docs/" + asset.removeprefix("docs/")
            self.assertEqual(self.swarm.http("GET", "unified", path).status, 200, asset)
        root = self.swarm.http("GET", "unified", "/")
        self.assertEqual((root.status, root.headers["Location"]), (302, "/docs"))

    def test_configured_origins(self):
        body = b'{"content":"x","agent_id":"agent:a"}'
        answer = self.raw("memory", request("POST", "/store", JSON_TYPE, "Origin: https://app.example",
                                            body=body))
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.headers["access-control-allow-origin"], "https://app.example")

    def test_idempotency_keys(self):
        body = {"content": "once", "agent_id": "agent:once"}
        store = lambda key, **more: self.swarm.http("POST", "memory", "/store", {**body, **more},
                                                    {"Idempotency-Key": key})
        first, second = store("k1"), store("k1")
        self.assertEqual((first.status, first.json), (200, second.json))
        self.assertNotEqual(store("k2").json["memory_id"], first.json["memory_id"])
        self.assertEqual(store("k1", content="other").status, 409)
        for key in ("", "x" * 256, "a b", "\t", "é"):
            answer = self.raw("memory", request("POST", "/store", JSON_TYPE, f"Idempotency-Key: {key}",
                                                body=json.dumps(body).encode()))
            self.assertEqual(answer.status, 400, key)
        answer = self.raw("memory", request("POST", "/store", JSON_TYPE, "Idempotency-Key: a",
                                            "Idempotency-Key: b", body=json.dumps(body).encode()))
        self.assertEqual(answer.status, 400)

    def test_paths_that_are_not_there(self):
        self.assert_error(self.raw("memory", request("GET", "/nothing")), 404, "not_found")
        self.assert_error(self.raw("memory", request("GET", "/memories/none")), 404, "memory_not_found")
        self.assert_error(self.raw("engine", request("GET", "/store")), 404, "not_found")

    def test_a_stopped_service_is_503_with_retry_after(self):
        with Swarm("broker.hold_ms=200") as swarm:
            os.kill(swarm.pids()["memory"], 19)  # SIGSTOP: alive for the kernel, silent for the bus
            try:
                answer = swarm.http("POST", "memory", "/search", {"query": "x", "agent_id": "agent:a"},
                                    timeout=60)
                self.assertEqual(answer.status, 503, answer.body)
                self.assertGreater(int(answer.headers["Retry-After"]), 0)
                self.assertEqual(swarm.http("GET", "memory", "/version").status, 200)
            finally:
                os.kill(swarm.pids()["memory"], 18)


class Slow(HttpCase):
    """Short deadlines: they end whatever does not come to an end by itself."""

    settings = ("gateway.header_ms=1000", "gateway.body_ms=1000", "gateway.idle_ms=1500")

    def seconds_until_closed(self, client, answer_expected=None):
        started = time.monotonic()
        answer = read_answer(client)
        if answer_expected and answer:
            self.assertEqual(answer.status, answer_expected)
        with contextlib.suppress(OSError):
            while client.recv(65536):
                pass
        return time.monotonic() - started

    def test_a_header_that_never_ends(self):
        with connect(self.swarm.ports["memory"]) as client:
            client.sendall(b"GET /health HTTP/1.1\r\nHost: local")
            self.assertLess(self.seconds_until_closed(client), 5)

    def test_a_header_byte_by_byte(self):
        data = request("GET", "/health", *[f"X-{n}: y" for n in range(50)])
        with connect(self.swarm.ports["memory"]) as client:
            self.drip(client, data)

    def test_a_body_byte_by_byte(self):
        body = json.dumps({"content": "x" * 500, "agent_id": "agent:a"}).encode()
        head = request("POST", "/store", JSON_TYPE, f"Content-Length: {len(body)}")
        with connect(self.swarm.ports["memory"]) as client:
            client.sendall(head)
            self.drip(client, body)

    def test_chunks_that_lie(self):
        for body in (b"ffffffffffffffff\r\n", b"-1\r\nx\r\n", b"zz\r\n", b"5\r\nab", b"\r\n\r\n"):
            with self.subTest(body=body), connect(self.swarm.ports["memory"]) as client:
                client.sendall(request("POST", "/store", JSON_TYPE, "Transfer-Encoding: chunked") + body)
                client.shutdown(socket.SHUT_WR)
                answer = read_answer(client)
                if answer:
                    self.assertGreaterEqual(answer.status, 400, answer.body)

    def test_requests_that_are_not_http(self):
        for data in (b"\0" * 100 + b"\r\n\r\n", b"hello\r\n\r\n", b"GET\r\n\r\n", b"GET /health\r\n\r\n",
                     b"GET /health HTTP/9.9\r\nHost: localhost\r\n\r\n", os.urandom(2000) + b"\r\n\r\n",
                     b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100),
                     b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"):
            with self.subTest(data=data[:30]), connect(self.swarm.ports["memory"]) as client:
                client.sendall(data)
                with contextlib.suppress(OSError):
                    client.shutdown(socket.SHUT_WR)
                answer = read_answer(client)
                if answer:
                    self.assertGreaterEqual(answer.status, 400)

    def drip(self, client, data):
        """A byte every 20 ms would take its time: the deadline has to come first."""
        started = time.monotonic()
        for byte in data:
            try:
                client.sendall(bytes([byte]))
            except OSError:
                break
            if select.select([client], [], [], 0.02)[0]:
                break
        self.assertLess(time.monotonic() - started, 5)
        with contextlib.suppress(OSError):
            answer = read_answer(client)
            if answer:
                self.assertEqual(answer.status, 408)

    def test_a_body_that_never_comes(self):
        with connect(self.swarm.ports["memory"]) as client:
            client.sendall(request("POST", "/store", JSON_TYPE, "Content-Length: 100"))
            self.assertLess(self.seconds_until_closed(client, 408), 5)

    def test_an_idle_connection(self):
        with connect(self.swarm.ports["memory"]) as client:
            client.sendall(request("GET", "/version"))
            self.assertEqual(read_answer(client).status, 200)
            self.assertLess(self.seconds_until_closed(client), 6)

    def test_a_connection_that_says_nothing(self):
        with connect(self.swarm.ports["memory"]) as client:
            self.assertLess(self.seconds_until_closed(client), 6)


class Many(HttpCase):
    """The default deadlines: these connections stay for ten seconds."""

    def test_half_open_connections(self):
        limit = raise_descriptor_limit()
        count = min(HALF_OPEN, limit - 200)
        if count < HALF_OPEN:
            print(f"\nonly {count} half-open connections: this process may open {limit} files", flush=True)
        clients = []
        refused = 0
        try:
            for number in range(count):
                client = socket.socket()
                client.setblocking(False)
                code = client.connect_ex(("127.0.0.1", self.swarm.ports[DOORS[number % len(DOORS)]]))
                if code not in (0, errno.EINPROGRESS):
                    refused += 1
                    client.close()
                    continue
                clients.append(client)
                if len(clients) % 256 == 0:
                    for ready in clients[-256:]:
                        self.say_half(ready)
            for client in clients[-256:]:
                self.say_half(client)
            started = time.monotonic()
            for door in ("memory", "engine", "unified"):
                answer = self.swarm.http("GET", door, "/version", timeout=20)
                self.assertEqual(answer.status, 200)
            stored = self.swarm.http("POST", "memory", "/store",
                                     {"content": "meanwhile", "agent_id": "agent:a"}, timeout=20)
            self.assertEqual(stored.status, 200, stored.body)
            took = time.monotonic() - started
            print(f"\n{len(clients)} half-open connections ({refused} refused): four calls took "
                  f"{took:.2f} s, gateway {self.swarm.memory_kib('gateway')} KiB "
                  f"({self.before_kib} KiB before)", flush=True)
        finally:
            for client in clients:
                client.close()

    def say_half(self, client):
        with contextlib.suppress(OSError):
            client.send(b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-Half: ")

    def chat_head(self, size, **more):
        body = json.dumps({"message": "word " * (size // 5), "agent_id": "agent:slow", "stream": True,
                           "model": "sos-mock-v1", **more}).encode()
        return request("POST", "/chat", JSON_TYPE, body=body)

    def test_readers_that_do_not_read(self):
        with contextlib.ExitStack() as stack:
            for _ in range(50):
                client = stack.enter_context(connect(self.swarm.ports["engine"], receive_buffer=1024))
                client.sendall(self.chat_head(60000))
            answer = self.swarm.http("POST", "engine", "/chat", {
                "message": "hello", "agent_id": "agent:quick", "model": "sos-mock-v1"})
            self.assertEqual(answer.status, 200, answer.body)
            self.assertEqual(self.swarm.http("GET", "memory", "/health").status, 200)

    def test_a_slow_reader_gets_it_all(self):
        with connect(self.swarm.ports["engine"], receive_buffer=1024) as client:
            client.sendall(self.chat_head(20000))
            data = b""
            while b'"done":true' not in data.replace(b" ", b""):
                part = client.recv(512)
                self.assertTrue(part, "closed before the end")
                data += part
        self.assertGreaterEqual(data.count(b"word"), 4000)

    def assert_calls_end(self):
        """Nothing of a client that left stays behind."""
        end = time.monotonic() + 20
        while self.metric(r'sos_queue_depth\{service="gateway",queue="[a-z_]*"\}') > 1:
            self.assertLess(time.monotonic(), end, "calls of clients that left go on")

    def test_clients_that_leave(self):
        body = json.dumps({"content": "gone", "agent_id": "agent:gone"}).encode()
        for _ in range(100):
            with connect(self.swarm.ports["memory"]) as client:
                client.sendall(request("POST", "/store", JSON_TYPE, body=body))
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            with connect(self.swarm.ports["memory"]) as client:
                client.sendall(request("POST", "/store", JSON_TYPE, body=body)[:-5])
        self.assert_calls_end()

    def test_clients_that_leave_mid_stream(self):
        for _ in range(30):
            with connect(self.swarm.ports["engine"], receive_buffer=1024) as client:
                client.sendall(self.chat_head(60000))
                client.recv(100)
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.assert_calls_end()

    def test_zz_memory_stayed_bounded(self):
        most = self.swarm.memory_kib("gateway", "VmHWM")
        print(f"\ngateway: {self.before_kib} KiB before, {self.swarm.memory_kib('gateway')} KiB after, "
              f"most {most} KiB", flush=True)
        self.assertLess(most - self.before_kib, GATEWAY_GROWTH_KIB)


class Limits(HttpCase):
    settings = ("http_rate_limit=60",)

    def tearDown(self):
        self.assertEqual(self.swarm.pids()["gateway"], self.gateway_pid, "the gateway died")

    def test_too_many_requests_are_429_with_retry_after(self):
        for _ in range(100):
            answer = self.raw("memory", request("GET", "/version"))
            if answer.status == 429:
                break
        self.assert_error(answer, 429, "rate_limited")
        self.assertGreater(int(answer.headers["retry-after"]), 0)


if __name__ == "__main__":
    unittest.main()
