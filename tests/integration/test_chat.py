# SPDX-License-Identifier: Apache-2.0
"""A conversation over HTTP that remembers, also after everything was killed."""

import http.client
import json
import unittest

from swarm import Swarm


def sse_events(swarm, path, body):
    connection = http.client.HTTPConnection("127.0.0.1", swarm.ports["engine"], timeout=30)
    connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
    response = connection.getresponse()
    text = response.read().decode()
    connection.close()
    events = [json.loads(part[len("data: "):]) for part in text.split("\n\n") if part]
    return response, events


class Chat(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.swarm = Swarm()
        cls.swarm.__enter__()

    @classmethod
    def tearDownClass(cls):
        cls.swarm.__exit__(None, None, None)

    def chat(self, message, agent="agent:kasra", **more):
        return self.swarm.http("POST", "engine", "/chat",
                               {"message": message, "agent_id": agent, **more})

    def test_1_recalls_what_it_was_told(self):
        told = self.chat("My cat is called Pishi")
        self.assertEqual(told.status, 200, told.body)
        self.assertEqual(set(told.json), {"content", "agent_id", "model_used", "conversation_id",
                                          "tool_calls", "tokens_used", "metadata"})
        self.assertEqual(told.json["model_used"], "sos-local")
        asked = self.chat("What is my cat called?")
        self.assertIn("Pishi", asked.json["content"])

    def test_2_agents_are_apart(self):
        self.chat("My secret word is xylophone", agent="agent:one")
        answer = self.chat("What is my secret word?", agent="agent:two")
        self.assertNotIn("xylophone", answer.json["content"])

    def test_3_a_conversation_goes_on_by_its_id(self):
        first = self.chat("The meeting is on Thursday", memory_enabled=False).json
        self.assertIn("Thursday", self.chat("When is the meeting?", memory_enabled=False,
                                            conversation_id=first["conversation_id"])
                      .json["content"])

    def test_4_streams_as_server_sent_events(self):
        for path, more in (("/chat", {"stream": True}), ("/chat/stream", {})):
            response, events = sse_events(self.swarm, path, {
                "message": "Hello", "agent_id": "agent:sse", **more})
            self.assertEqual(response.status, 200)
            self.assertTrue(response.headers["Content-Type"].startswith("text/event-stream"))
            self.assertTrue(events[-1]["done"])
            self.assertEqual(events[-1]["agent_id"], "agent:sse")
            self.assertGreater(len("".join(event["chunk"] for event in events[:-1])), 0)

    def test_5_mock_repeats_the_message(self):
        answer = self.chat("say it again", model="sos-mock-v1")
        self.assertIn("say it again", answer.json["content"])
        self.assertEqual(answer.json["model_used"], "sos-mock-v1")

    def test_6_unknown_model_is_refused(self):
        answer = self.chat("hi", model="gpt-nothing")
        self.assertEqual(answer.status, 503, answer.body)
        self.assertIn("gpt-nothing", answer.json["error"]["message"])

    def test_7_bad_requests_name_the_field(self):
        for body, field in (({"agent_id": "agent:a"}, "message"),
                            ({"message": 5, "agent_id": "agent:a"}, "message"),
                            ({"message": "x"}, "agent_id"),
                            ({"message": "x", "agent_id": "agent:a", "stream": "yes"}, "stream")):
            answer = self.swarm.http("POST", "engine", "/chat", body)
            self.assertEqual(answer.status, 422, answer.body)
            self.assertEqual(answer.json["detail"], "validation_error")
            self.assertEqual(answer.json["error"]["context"]["field"], field)

    def test_8_models_are_listed(self):
        models = self.swarm.http("GET", "engine", "/models").json
        self.assertEqual({"sos-local", "sos-mock-v1"} - {model["id"] for model in models}, set())
        self.assertEqual(set(models[0]), {"id", "name", "status", "type"})

    def test_9_survives_the_death_of_every_process(self):
        self.chat("My boat is called Zephyr")
        self.swarm.kill_all()
        self.swarm.up()
        self.assertIn("Zephyr", self.chat("What is my boat called?").json["content"])


if __name__ == "__main__":
    unittest.main()
