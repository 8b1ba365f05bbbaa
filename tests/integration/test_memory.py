# SPDX-License-Identifier: Apache-2.0
"""The memory door: every call that this version has, right and wrong."""

import unittest

from swarm import Swarm

AGENT = "agent:kasra"


class Memory(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.swarm = Swarm()
        cls.swarm.__enter__()

    @classmethod
    def tearDownClass(cls):
        cls.swarm.__exit__(None, None, None)

    def store(self, content, **more):
        answer = self.swarm.http("POST", "memory", "/store",
                                 {"content": content, "agent_id": AGENT, **more})
        self.assertEqual(answer.status, 200, answer.body)
        return answer.json["memory_id"]

    def search(self, query, **more):
        return self.swarm.http("POST", "memory", "/search",
                               {"query": query, "agent_id": AGENT, **more})

    def test_store_get_search_delete(self):
        memory_id = self.store("The harbour closes at nine", memory_type="fact", importance=0.9,
                               metadata={"place": "harbour"})
        got = self.swarm.http("GET", "memory", f"/memories/{memory_id}").json
        self.assertEqual(got["content"], "The harbour closes at nine")
        self.assertEqual(got["memory_type"], "fact")
        self.assertEqual(got["metadata"], {"place": "harbour"})
        self.assertNotIn("embedding", got)
        more = self.swarm.http("GET", "memory", f"/memories/{memory_id}?embedding=1").json
        self.assertGreater(len(more["embedding"]), 8)
        again = self.swarm.http("GET", "memory", f"/memories/{memory_id}").json
        self.assertGreater(again["access_count"], got["access_count"])

        found = self.search("when does the harbour close").json
        self.assertEqual(found[0]["memory"]["id"], memory_id)
        self.assertGreater(found[0]["similarity"], 0)

        gone = self.swarm.http("DELETE", "memory", f"/memories/{memory_id}")
        self.assertEqual((gone.status, gone.json), (200, {"deleted": True}))
        missing = self.swarm.http("GET", "memory", f"/memories/{memory_id}")
        self.assertEqual((missing.status, missing.json["detail"]), (404, "memory_not_found"))
        self.assertNotIn(memory_id, [row["memory"]["id"] for row in self.search("harbour").json])

    def test_types_and_similarity_filter(self):
        skill = self.store("Tie a bowline knot", memory_type="skill")
        self.store("A knot in the wood", memory_type="fact")
        found = self.search("knot", memory_types=["skill"]).json
        self.assertEqual([row["memory"]["id"] for row in found], [skill])
        self.assertEqual(self.search("quantum chromodynamics", min_similarity=0.95).json, [])

    def test_short_forms(self):
        added = self.swarm.http("POST", "memory", "/add", {"content": "shared lighthouse note"})
        self.assertEqual(added.json["status"], "stored")
        found = self.swarm.http("POST", "memory", "/search", {"query": "lighthouse note"}).json
        self.assertIn(added.json["id"], [row["id"] for row in found["results"]])

    def test_foreign_ids_are_unknown_not_ill_typed(self):
        for path in ("/memories/nonsense", "/memories/%2e%2e", "/memories/" + "x" * 100):
            self.assertEqual(self.swarm.http("GET", "memory", path).status, 404, path)

    def test_bounds_are_named(self):
        for body, field in (({"content": "", "agent_id": AGENT}, "content"),
                            ({"content": "x" * 65537, "agent_id": AGENT}, "content"),
                            ({"content": "x", "agent_id": AGENT, "importance": 1.5}, "importance"),
                            ({"content": "x", "agent_id": AGENT, "memory_type": "dream"},
                             "memory_type"),
                            ({"content": "x", "agent_id": AGENT, "metadata": []}, "metadata")):
            answer = self.swarm.http("POST", "memory", "/store", body)
            self.assertEqual((answer.status, answer.json["error"]["context"]["field"]),
                             (422, field), answer.body)

    def test_stats_count(self):
        before = self.swarm.http("GET", "memory", f"/stats?agent_id={AGENT}").json
        self.store("one more")
        after = self.swarm.http("GET", "memory", f"/stats?agent_id={AGENT}").json
        self.assertNotEqual(before, after)

    def test_idempotency_key_returns_the_first_answer(self):
        body = {"content": "only once", "agent_id": "agent:once"}
        headers = {"Idempotency-Key": "k-1"}
        first = self.swarm.http("POST", "memory", "/store", body, headers)
        second = self.swarm.http("POST", "memory", "/store", body, headers)
        self.assertEqual(first.json, second.json)
        other = self.swarm.http("POST", "memory", "/store", {**body, "content": "other"}, headers)
        self.assertEqual(other.status, 409, other.body)


if __name__ == "__main__":
    unittest.main()
