# SPDX-License-Identifier: Apache-2.0
"""The engine and an OpenAI-compatible server behind a real connection, which answers, fails and dies."""

import http.client
import json
import os
import re
import socket
import threading
import time
import unittest

import raw_http
from openai_server import OpenAiServer
from swarm import Swarm

KEY = "sk-test-3f9a77aa0c1d4e5b"
MODEL = "test-model"
TIMEOUT_MS = 1500
GONE_S = 10


class Provider(unittest.TestCase):
    """Each test has a swarm of its own: the circuit breaker remembers failures."""

    def setUp(self):
        self.server = OpenAiServer()
        self.server.__enter__()
        self.addCleanup(self.server.__exit__, None, None, None)
        self.swarm = Swarm(f"openai.base_url={self.server.url}", f"openai.model={MODEL}",
                           f"openai.timeout_ms={TIMEOUT_MS}", "log_level=debug",
                           environment={"SOS_OPENAI_API_KEY": KEY})
        self.swarm.__enter__()
        self.addCleanup(self.swarm.__exit__, None, None, None)

    def chat(self, message="Why is the sky blue?", model=MODEL, agent="agent:a", **more):
        body = {"message": message, "agent_id": agent, **more}
        if model:
            body["model"] = model
        return self.swarm.http("POST", "engine", "/chat", body, timeout=40)

    def stream(self, message="Why is the sky blue?", **more):
        """The events of a streamed answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.swarm.ports["engine"], timeout=40)
        connection.request("POST", "/chat", json.dumps({
            "message": message, "agent_id": "agent:a", "model": MODEL, "stream": True, **more}),
            {"Content-Type": "application/json"})
        response = connection.getresponse()
        text = response.read().decode()
        connection.close()
        if response.status != 200:
            return response.status, json.loads(text)
        return 200, [json.loads(part[len("data: "):]) for part in text.split("\n\n") if part]

    def turns(self, conversation):
        done = self.swarm.run("call", "engine.history", "agent_id=agent:a", f"conversation_id={conversation}",
                              check=False)
        return json.loads(done.stdout)["turns"] if done.returncode == 0 else []

    def memories(self):
        return self.swarm.http("POST", "memory", "/search", {"query": "sky", "agent_id": "agent:a"}).json

    def assert_works_again(self):
        self.server.mode = "answer"
        answer = self.chat()
        self.assertEqual((answer.status, answer.json["content"]), (200, self.server.answer), answer.body)

    def queue_depth(self):
        text = self.swarm.http("GET", "engine", "/metrics").body.decode()
        return sum(float(n) for n in re.findall(r"^sos_queue_depth\{[^}]*\} (\S+)$", text, re.MULTILINE))

    # ---- it works

    def test_an_answer(self):
        answer = self.chat(memory_enabled=False)
        self.assertEqual(answer.status, 200, answer.body)
        self.assertEqual(answer.json["content"], self.server.answer)
        self.assertEqual(answer.json["model_used"], MODEL)
        self.assertEqual(answer.json["tokens_used"], 15)
        request = self.server.requests[-1]
        self.assertEqual(request["path"], "/v1/chat/completions")
        self.assertEqual(request["headers"]["Authorization"], f"Bearer {KEY}")
        self.assertEqual(request["body"]["model"], MODEL)
        self.assertEqual(request["body"]["messages"][-1], {"role": "user", "content": "Why is the sky blue?"})
        listed = {model["id"]: model for model in self.swarm.http("GET", "engine", "/models").json}
        self.assertIn(MODEL, listed)

    def test_a_streamed_answer(self):
        self.server.mode = "drip"
        status, events = self.stream()
        self.assertEqual(status, 200)
        self.assertEqual("".join(event["chunk"] for event in events[:-1]).strip(), self.server.answer)
        self.assertTrue(events[-1]["done"])
        self.assertEqual(events[-1]["model_used"], MODEL)
        self.assertGreater(len(events), 3, "it came in one piece")

    def test_a_conversation_is_handed_on(self):
        first = self.chat("My cat is called Pishi").json
        self.chat("And my dog?", conversation_id=first["conversation_id"])
        messages = self.server.requests[-1]["body"]["messages"]
        self.assertIn({"role": "user", "content": "My cat is called Pishi"}, messages)
        self.assertIn({"role": "assistant", "content": self.server.answer}, messages)

    def test_it_is_the_default_model(self):
        answer = self.chat(model=None)
        self.assertEqual(answer.json["model_used"], MODEL)

    def test_the_key_stays_where_it_belongs(self):
        self.chat()
        self.server.mode = "unauthorized"
        self.chat()
        self.stream()
        self.assertNotIn(KEY, json.dumps([request["body"] for request in self.server.requests]))
        self.assertNotIn(KEY, self.swarm.log())
        for request in self.server.requests:
            self.assertEqual([name for name, value in request["headers"].items() if KEY in value],
                             ["Authorization"])
        for folder, _, names in os.walk(self.swarm.home):
            for name in names:
                with open(os.path.join(folder, name), "rb") as file:
                    self.assertNotIn(KEY.encode(), file.read(), name)
        for pid in self.swarm.pids().values():
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                self.assertNotIn(KEY.encode(), file.read())

    # ---- it fails

    def assert_failed(self, answer, statuses):
        self.assertIn(answer.status, statuses, answer.body)
        self.assertIs(answer.json["ok"], False)
        self.assertNotIn(KEY, answer.body.decode())

    def test_death_in_the_middle_of_a_stream(self):
        self.server.mode = "die"
        status, events = self.stream(conversation_id="c-die")
        self.assertEqual(status, 200)
        self.assertEqual("".join(event["chunk"] for event in events[:-1]).strip(), "The sky")
        self.assertIn("error", events[-1])
        self.assertNotIn("done", events[-1])
        self.assertEqual(self.turns("c-die"), [], "half an answer was stored")
        self.assertEqual(self.memories(), [])
        self.assert_works_again()
        self.assertEqual(self.queue_depth(), 0)

    def test_silence_times_out(self):
        self.server.mode = "hang"
        started = time.monotonic()
        self.assert_failed(self.chat(conversation_id="c-hang"), (502, 503, 504))
        self.assertLess(time.monotonic() - started, TIMEOUT_MS / 1000 + 4)
        self.assertEqual(self.turns("c-hang"), [])
        self.assert_works_again()

    def test_refusals_and_garbage(self):
        for mode in ("error", "unauthorized"):
            self.server.mode = mode
            answer = self.chat()
            self.assert_failed(answer, (502, 503))
            self.assert_works_again()
        self.server.mode = "garbage"
        self.assert_failed(self.chat(), (502, 503))
        self.assert_works_again()

    def test_the_provider_says_slow_down(self):
        self.server.mode = "overloaded"
        answer = self.chat()
        self.assert_failed(answer, (429, 503))
        self.assertGreater(int(answer.headers["Retry-After"]), 0)
        self.assert_works_again()

    def test_an_endless_answer_is_cut(self):
        before = self.swarm.memory_kib("engine")
        self.server.mode = "huge"
        status, events = self.stream()
        if status == 200:
            self.assertIn("error", events[-1])
        self.assertLess(self.swarm.memory_kib("engine", "VmHWM") - before, 96 * 1024)
        self.server.released.set()
        self.assert_works_again()

    def test_a_connection_that_is_refused(self):
        with socket.socket() as nobody:  # bound, not listening
            nobody.bind(("127.0.0.1", 0))
            port = nobody.getsockname()[1]
            with Swarm(f"openai.base_url=http://127.0.0.1:{port}/v1", f"openai.model={MODEL}") as swarm:
                answer = swarm.http("POST", "engine", "/chat", {"message": "hi", "agent_id": "agent:a",
                                                               "model": MODEL})
                self.assert_failed(answer, (502, 503))
                # Without a model named the built-in one answers, and says which it was.
                other = swarm.http("POST", "engine", "/chat", {"message": "hi", "agent_id": "agent:a"})
                self.assertEqual((other.status, other.json["model_used"]), (200, "sos-local"), other.body)

    def test_the_circuit_opens_after_three_failures(self):
        self.server.mode = "error"
        for _ in range(3):
            self.assert_failed(self.chat(), (502, 503))
        asked = len(self.server.requests)
        answer = self.chat()
        self.assertEqual((answer.status, answer.json["detail"]), (503, "circuit_open"), answer.body)
        self.assertRegex(answer.json["error"]["message"], r"\d+ ?(s|second)")
        self.assertGreater(int(answer.headers["Retry-After"]), 0)
        self.assertEqual(len(self.server.requests), asked, "it was asked although the circuit is open")
        fallback = self.chat(model=None)
        self.assertEqual((fallback.status, fallback.json["model_used"]), (200, "sos-local"), fallback.body)
        listed = {model["id"]: model["status"] for model in self.swarm.http("GET", "engine", "/models").json}
        self.assertNotEqual(listed[MODEL], listed["sos-local"])

    def test_failover_when_no_model_was_named(self):
        self.server.mode = "error"
        answer = self.chat(model=None)
        self.assertEqual((answer.status, answer.json["model_used"]), (200, "sos-local"), answer.body)

    def test_a_client_that_leaves_frees_the_provider(self):
        self.server.answer = "word " * 2000
        self.server.mode = "drip"
        body = json.dumps({"message": "long", "agent_id": "agent:a", "model": MODEL, "stream": True}).encode()
        with raw_http.connect(self.swarm.ports["engine"]) as client:
            client.sendall(raw_http.request("POST", "/chat", "Content-Type: application/json", body=body))
            data = b""
            while b"word" not in data:
                data += client.recv(4096)
        self.assertTrue(self.server.closed_by_client.wait(GONE_S), "the provider goes on answering nobody")
        self.server.answer = "short"
        self.assert_works_again()

    def test_many_at_once(self):
        self.server.mode = "drip"
        answers = []
        asking = [threading.Thread(target=lambda n=n: answers.append(self.chat(agent=f"agent:{n}").status))
                  for n in range(20)]
        for one in asking:
            one.start()
        for one in asking:
            one.join()
        self.assertEqual(set(answers), {200})


if __name__ == "__main__":
    unittest.main()
