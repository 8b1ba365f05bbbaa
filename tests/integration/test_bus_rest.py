# SPDX-License-Identifier: Apache-2.0
"""The bus over HTTP: inboxes, channels, dead letters, presence, and streams of events."""

import contextlib
import json
import threading
import time
import unittest
import urllib.parse

import raw_http
import tokens
from swarm import Swarm


class Events:
    """A stream of events, read line by line."""

    def __init__(self, port, path, *headers, timeout=10.0, receive_buffer=None):
        self.client = raw_http.connect(port, timeout, receive_buffer)
        self.client.sendall(raw_http.request("GET", path, *headers))
        self.rest = b""
        self.answer = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.client.close()

    def head(self):
        self.answer = raw_http.read_answer(self.client, head_only=True)
        self.rest = self.answer.body
        return self.answer

    def next(self):
        """The next event that says something."""
        while True:
            while b"\n\n" not in self.rest:
                part = self.client.recv(65536)
                if not part:
                    return None
                self.rest += part
            event, _, self.rest = self.rest.partition(b"\n\n")
            # What stands around it is the chunked coding of HTTP.
            start = event.find(b"data: ")
            if start >= 0 and event[start + 6:] != b"{}":
                return json.loads(event[start + 6:])


class BusCase(unittest.TestCase):
    settings = ()

    @classmethod
    def setUpClass(cls):
        cls.swarm = Swarm(*cls.settings)
        cls.swarm.__enter__()

    @classmethod
    def tearDownClass(cls):
        cls.swarm.__exit__(None, None, None)

    def call(self, method, path, body=None, status=200, word=None, headers=None, door="unified"):
        answer = self.swarm.http(method, door, path, body, headers)
        self.assertEqual(answer.status, status, answer.body)
        if word:
            self.assertEqual(answer.json["detail"], word)
        return answer.json

    def send(self, to, payload=None, sender="agent:sender", **more):
        return self.call("POST", "/bus/send", {"from": sender, "to": to, "payload": payload, **more})

    def inbox(self, agent, **query):
        return self.call("GET", f"/bus/inbox/{agent}?{urllib.parse.urlencode(query)}")

    def in_flight(self):
        """Requests of the gateway that the broker has not answered, but for the one that asks."""
        for peer in self.call("GET", "/bus/peers?pattern=service:gateway")["peers"]:
            return peer["in_flight"] - 1
        raise AssertionError("no gateway")

    def await_in_flight(self, wanted, timeout_s=10):
        end = time.monotonic() + timeout_s
        while (found := self.in_flight()) > wanted:
            self.assertLess(time.monotonic(), end, f"{found} requests in flight, expected {wanted}")


class Routes(BusCase):
    def test_every_route_stands_at_the_engine_and_twice_on_the_unified_port(self):
        document = self.call("GET", "/openapi.json")
        rows = [(path.removeprefix("/engine"), method, row)
                for path, methods in document["paths"].items() for method, row in methods.items()
                if "bus" in row.get("tags", ())]
        self.assertGreater(len(rows), 15)
        for path, method, row in rows:
            self.assertTrue(row["summary"])
            if path in ("/bus/listen/{agent_id}", "/bus/tap"):
                continue
            path = (path.replace("{agent_id}", "agent%3Ax").replace("{channel}", "squad%3Ax")
                    .replace("{squad}", "squad%3Ax").replace("{dead_id}", "1"))
            answers = set()
            for door, prefix in (("engine", ""), ("unified", "/engine"), ("unified", "")):
                body = {} if method == "post" else None
                answer = self.swarm.http(method.upper(), door, prefix + path, body)
                answers.add((answer.status, answer.json.get("detail")))
            self.assertEqual(len(answers), 1, f"{method} {path}: {answers}")
            self.assertNotIn(("not_found", "method_not_allowed"), [word for _, word in answers])
        self.call("GET", "/bus/bus/peers", status=404)
        self.call("GET", "/bus/send", status=405)

    def test_values_of_path_and_query_have_their_types(self):
        self.call("GET", "/bus/inbox/agent%3Ax?limit=ten", status=422, word="validation_error")
        self.call("GET", "/bus/inbox/agent%3Ax?limit=257", status=422, word="validation_error")
        self.call("GET", "/bus/inbox/agent%3Ax?peek=maybe", status=422, word="validation_error")
        self.call("GET", "/bus/inbox/agent:x?peek=true&limit=1&after=0&wait_ms=0")
        self.call("GET", "/bus/inbox/agent%3Ax%2Fy?peek=1")
        self.call("GET", "/bus/inbox/agent%3", status=400)
        self.call("GET", "/bus/peers?limit=0", status=422)
        self.call("GET", "/bus/inbox/squad%3Ax?peek=true", status=400, word="not_an_inbox")

    def test_mail_from_sending_to_acknowledging(self):
        sent = self.send("agent:one", {"n": 1}, type="greeting", metadata={"k": "v"})
        self.assertFalse(sent["duplicate"])
        again = self.send("agent:one", {"n": 1}, message_id=sent["message_id"], type="greeting")
        self.assertTrue(again["duplicate"])
        looked = self.inbox("agent%3Aone", peek="true")["messages"]
        self.assertEqual([m["payload"] for m in looked], [{"n": 1}])
        taken = self.inbox("agent%3Aone")["messages"]
        self.assertEqual(taken[0]["from"], "agent:sender")
        self.assertEqual(taken[0]["type"], "greeting")
        self.assertEqual(taken[0]["metadata"], {"k": "v"})
        self.assertEqual(self.inbox("agent%3Aone")["messages"], [])
        done = self.call("POST", "/bus/inbox/agent%3Aone/ack", {"ids": [sent["message_id"], "nothing"]})
        self.assertEqual(done, {"acked": 1, "unknown": ["nothing"]})

    def test_dead_letters_are_listed_shown_replayed_and_dropped(self):
        ids = [self.send("agent:dead", n)["message_id"] for n in range(2)]
        self.inbox("agent%3Adead")
        done = self.call("POST", "/bus/inbox/agent%3Adead/nack",
                         {"ids": ids, "dead": True, "reason": "poison"})
        self.assertEqual(done["nacked"], 2)
        listed = self.call("GET", "/bus/dlq/agent%3Adead")
        self.assertEqual(listed["count"], 2)
        first, second = (letter["dead_id"] for letter in listed["dead_letters"])
        whole = self.call("GET", f"/bus/dlq/agent%3Adead/{first}")
        self.assertEqual(whole["reason"], "poison")
        self.assertEqual(whole["message"]["payload"], 0)
        self.assertEqual(self.call("POST", "/bus/dlq/agent%3Adead/replay", {"ids": [first]})["replayed"], 1)
        self.assertEqual(self.inbox("agent%3Adead")["messages"][0]["payload"], 0)
        self.assertEqual(self.call("POST", "/bus/dlq/agent%3Adead/drop", {"ids": [second]})["dropped"], 1)
        self.call("GET", f"/bus/dlq/agent%3Adead/{second}", status=404, word="dead_letter_not_found")

    def test_channels_publish_history_and_list(self):
        for n in range(3):
            self.call("POST", "/bus/publish", {"from": "agent:a", "channel": "squad:h", "payload": n})
        history = self.call("GET", "/bus/channels/squad%3Ah/history?limit=2")
        self.assertEqual([event["payload"] for event in history["events"]], [1, 2])
        behind = history["events"][0]["seq"]
        history = self.call("GET", f"/bus/channels/squad%3Ah/history?after={behind}")
        self.assertEqual([event["payload"] for event in history["events"]], [2])
        self.assertEqual([c["channel"] for c in self.call("GET", "/bus/channels?pattern=squad:h")["channels"]],
                         ["squad:h"])

    def test_squads_and_working_memory(self):
        self.call("POST", "/bus/squads/squad%3As/join", {"agent_id": "agent:m1"})
        self.call("POST", "/bus/squads/squad%3As/join", {"agent_id": "agent:m2"})
        self.assertEqual(self.call("GET", "/bus/squads/squad%3As")["members"], ["agent:m1", "agent:m2"])
        self.assertEqual(self.send("squad:s", "all")["copies"], 2)
        self.call("POST", "/bus/squads/squad%3As/leave", {"agent_id": "agent:m1"})
        self.call("POST", "/bus/memory/agent%3Am1", {"item": {"x": 1}})
        items = self.call("GET", "/bus/memory/agent%3Am1?limit=5")["items"]
        self.assertEqual([item["item"] for item in items], [{"x": 1}])

    def test_a_long_poll_is_answered_by_the_mail_that_comes(self):
        answers = []
        asking = threading.Thread(target=lambda: answers.append(
            (self.inbox("agent%3Apoll", wait_ms=20000), time.monotonic())))
        before = self.in_flight()
        asking.start()
        while self.in_flight() <= before:
            pass
        sent_at = time.monotonic()
        self.send("agent:poll", "now")
        asking.join()
        self.assertEqual(answers[0][0]["messages"][0]["payload"], "now")
        self.assertLess(answers[0][1] - sent_at, 5)

    def test_a_long_poll_that_brings_nothing_ends_in_its_time(self):
        started = time.monotonic()
        self.assertEqual(self.inbox("agent%3Aempty", wait_ms=1500)["messages"], [])
        self.assertGreaterEqual(time.monotonic() - started, 1.4)


class Streams(BusCase):
    def test_events_begin_at_once_and_bring_mail_and_channels(self):
        path = "/bus/listen/agent%3Aear?channels=squad:news"
        with Events(self.swarm.ports["engine"], path) as events:
            self.assertEqual(events.head().headers["content-type"], "text/event-stream")
            self.send("agent:ear", "hello")
            self.assertEqual(events.next()["mail"][0]["payload"], "hello")
            self.call("POST", "/bus/publish", {"from": "agent:a", "channel": "squad:news", "payload": 5})
            self.assertEqual(events.next()["events"][0]["payload"], 5)
        self.assertEqual(len(self.inbox("agent%3Aear", peek="true")["messages"]), 1)

    def test_take_hands_over_what_is_acknowledged_by_a_call(self):
        ids = [self.send("agent:taker", n)["message_id"] for n in range(3)]
        with Events(self.swarm.ports["unified"], "/bus/listen/agent%3Ataker?inbox=take") as events:
            events.head()
            got = []
            while len(got) < 3:
                got += [mail["id"] for mail in events.next()["mail"]]
            self.assertEqual(got, ids)
            done = self.call("POST", "/bus/inbox/agent%3Ataker/ack", {"ids": got})
            self.assertEqual(done["acked"], 3)

    def test_a_client_that_leaves_leaves_no_stream_behind(self):
        before = self.in_flight()
        streams = [Events(self.swarm.ports["engine"], f"/bus/listen/agent%3A{n}") for n in range(20)]
        for events in streams:
            events.head()
        self.assertGreaterEqual(self.in_flight(), before + 20)
        for events in streams:
            events.client.close()
        self.await_in_flight(before)

    def test_a_client_that_does_not_read_costs_a_bounded_amount(self):
        path = "/bus/listen/agent%3Adeaf?channels=squad:flood"
        with Events(self.swarm.ports["engine"], path, receive_buffer=4096) as events:
            events.head()
            before = self.swarm.memory_kib("gateway")
            payload = "x" * 60000
            for n in range(600):  # 36 MB
                self.call("POST", "/bus/publish",
                          {"from": "agent:a", "channel": "squad:flood", "payload": payload})
            self.assertLess(self.swarm.memory_kib("gateway") - before, 24 * 1024)
            started = time.monotonic()
            self.send("agent:other", "x")
            self.assertLess(time.monotonic() - started, 2)

    def test_refusals_come_before_the_stream_begins(self):
        self.call("GET", "/bus/listen/agent%3Ax?inbox=steal", status=422, word="validation_error")
        self.call("GET", "/bus/listen/agent%3Ax?channels=nonsense", status=400, word="not_a_channel")
        self.call("GET", "/bus/tap", status=401, word="missing_capability")

    def test_the_tap_shows_records_to_who_may_see_them(self):
        token = tokens.make(tokens.river_key(self.swarm.home), "user:local", "bus:tap", "bus:*")
        with Events(self.swarm.ports["engine"], "/bus/tap?type=bus_send&payload=false",
                    "X-SOS-Capability: " + tokens.base64url(token)) as events:
            self.assertEqual(events.head().status, 200)
            records = []
            events.client.settimeout(1)
            while not records:  # the tap begins a moment after it was accepted
                self.send("agent:seen", "x")
                with contextlib.suppress(TimeoutError):
                    records = events.next()["records"]
            self.assertEqual({record["type"] for record in records}, {"bus_send"})

    def test_streams_end_with_a_word_when_the_gateway_stops(self):
        with Swarm() as swarm:
            with Events(swarm.ports["engine"], "/bus/listen/agent%3Ax") as events:
                events.head()
                started = time.monotonic()
                swarm.down()
                self.assertLess(time.monotonic() - started, 4)
                self.assertEqual(events.next()["error"]["detail"], "service_unavailable")


class Enforced(BusCase):
    settings = ("require_capabilities=true",)

    def token(self, subject, action, resource, **more):
        return tokens.make(tokens.river_key(self.swarm.home), subject, action, resource, **more)

    def header(self, *token):
        return {"X-SOS-Capability": tokens.base64url(self.token(*token))}

    def test_sending_needs_a_capability_of_the_sender_on_the_receiver(self):
        body = {"from": "agent:a", "to": "agent:b", "payload": 1}
        self.call("POST", "/bus/send", body, 401, "missing_capability")
        self.call("POST", "/bus/send", body, 200, headers=self.header("agent:a", "bus:send", "agent:b"))
        self.call("POST", "/bus/send", {**body, "capability": self.token("agent:a", "bus:send", "agent:*")})
        self.call("POST", "/bus/send", body, 403, "capability_subject_mismatch",
                  headers=self.header("agent:z", "bus:send", "agent:b"))
        self.call("POST", "/bus/send", body, 403, headers=self.header("agent:a", "bus:send", "agent:c"))
        self.call("POST", "/bus/send", body, 403, headers=self.header("agent:a", "bus:publish", "agent:b"))
        expired = {"X-SOS-Capability": tokens.base64url(
            self.token("agent:a", "bus:send", "*", expires_in=-1))}
        self.call("POST", "/bus/send", body, 403, "token_expired", headers=expired)
        forged = self.token("agent:a", "bus:send", "*")
        forged["resource"] = "agent:*"
        self.call("POST", "/bus/send", {**body, "capability": forged}, 401, "token_invalid")

    def test_one_clients_capability_is_not_anothers(self):
        self.call("GET", "/bus/inbox/agent%3Ab?peek=true", None, 200,
                  headers=self.header("agent:b", "bus:receive", "agent:b"))
        self.call("GET", "/bus/inbox/agent%3Ab?peek=true", None, 401, "missing_capability")
        self.call("GET", "/bus/listen/agent%3Ab", None, 401, "missing_capability")
        self.call("POST", "/bus/publish", {"from": "agent:b", "channel": "squad:x"}, 401, "missing_capability")
        self.call("POST", "/bus/publish", {"from": "agent:b", "channel": "squad:x"}, 200,
                  headers=self.header("agent:b", "bus:publish", "squad:*"))
        self.call("POST", "/bus/publish", {"from": "agent:b", "channel": "squad:x"}, 401, "missing_capability")

    def test_listening_to_a_channel_needs_bus_subscribe_on_it(self):
        port = self.swarm.ports["engine"]
        receive = "X-SOS-Capability: " + tokens.base64url(self.token("agent:b", "bus:receive", "agent:b"))
        subscribe = "X-SOS-Capability: " + tokens.base64url(self.token("agent:b", "bus:subscribe", "squad:*"))
        for path, header, status in (
                ("/bus/listen/agent%3Ab", receive, 200),
                ("/bus/listen/agent%3Ab?channels=agent:b:x", receive, 200),
                ("/bus/listen/agent%3Ab?channels=squad:x", receive, 401),
                ("/bus/listen/agent%3Ab?inbox=none&channels=squad:x", subscribe, 200),
                ("/bus/listen/agent%3Ab?inbox=none&channels=system:events", subscribe, 403)):
            with Events(port, path, header) as events:
                self.assertEqual(events.head().status, status, path)


class Broken(BusCase):
    def test_without_its_broker_the_gateway_says_so_and_recovers(self):
        with Events(self.swarm.ports["engine"], "/bus/listen/agent%3Alost") as events:
            events.head()
            self.swarm.kill("broker")
            self.assertIn(events.next()["error"]["detail"], ("unknown_outcome", "service_unavailable"))
        self.swarm.wait_healthy()
        end = time.monotonic() + 20
        status = 0
        while status != 200 and time.monotonic() < end:
            with contextlib.suppress(OSError):
                status = self.swarm.http("POST", "engine", "/bus/send",
                                         {"from": "agent:a", "to": "agent:b", "payload": 1}).status
        self.assertEqual(status, 200)


if __name__ == "__main__":
    unittest.main()
