# SPDX-License-Identifier: Apache-2.0
import json
import os
import pathlib
import tempfile
import unittest

import mumega
from mumega import connection as connections

KEY = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"
OTHER = "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID"
SECRET = "D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs"


class Discovery(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="sos-discovery-")
        self.addCleanup(folder.cleanup)
        self.home = pathlib.Path(folder.name)
        for name in ("agents", "config", "secrets"):
            (self.home / name).mkdir()
        self.environment = {"SOS_HOME": folder.name}

    def write(self, path, mode=0o600, **members):
        path = self.home / path
        path.write_text(json.dumps(members))
        path.chmod(mode)
        return str(path)

    def agent(self, name, **more):
        return self.write(f"agents/{name}.json", identity=f"agent:{name}", curve_public_key=KEY, curve_secret_key=SECRET,
                          **more)

    def swarm(self):
        return self.write("config/swarm.json", endpoint="tcp://127.0.0.1:5999", broker_public_key=OTHER)

    def find(self, *arguments, **options):
        return connections.discover(*arguments, environment=self.environment, **options)

    def refused(self, *arguments, **options):
        with self.assertRaises(mumega.ConfigurationError) as caught:
            self.find(*arguments, **options)
        self.assertNotIn(SECRET, str(caught.exception))
        return str(caught.exception)

    def test_the_only_agent_of_the_home_is_found(self):
        self.agent("kasra", endpoint="tcp://127.0.0.1:1", broker_public_key=OTHER)
        found = self.find()
        self.assertEqual((found.identity, found.endpoint), ("agent:kasra", "tcp://127.0.0.1:1"))

    def test_an_agent_is_found_by_its_name_in_either_form(self):
        self.agent("kasra")
        self.agent("athena")
        self.swarm()
        self.assertEqual(self.find(agent="athena").identity, "agent:athena")
        self.assertEqual(self.find(agent="agent:kasra").identity, "agent:kasra")
        self.environment["SOS_AGENT"] = "kasra"
        self.assertEqual(self.find().identity, "agent:kasra")

    def test_several_agents_want_a_name(self):
        self.agent("kasra")
        self.agent("athena")
        self.assertIn("SOS_AGENT", self.refused())

    def test_a_file_without_endpoint_takes_it_from_the_swarm_file(self):
        self.agent("kasra")
        self.assertIn("endpoint is missing", self.refused())
        self.swarm()
        found = self.find()
        self.assertEqual((found.endpoint, found.broker_public_key), ("tcp://127.0.0.1:5999", OTHER))

    def test_arguments_beat_the_environment_and_that_beats_files(self):
        path = self.agent("kasra", endpoint="tcp://127.0.0.1:1", broker_public_key=OTHER)
        self.assertEqual(self.find(path).endpoint, "tcp://127.0.0.1:1")
        self.environment.update(SOS_ENDPOINT="tcp://127.0.0.1:2", SOS_BROKER_PUBLIC_KEY=KEY)
        found = self.find(path)
        self.assertEqual((found.endpoint, found.broker_public_key), ("tcp://127.0.0.1:2", KEY))
        self.assertEqual(self.find(path, endpoint="tcp://127.0.0.1:3").endpoint, "tcp://127.0.0.1:3")

    def test_a_connection_file_of_the_environment_beats_the_home(self):
        self.agent("kasra")
        self.swarm()
        self.environment["SOS_CONNECTION"] = self.write("elsewhere.json", identity="agent:athena", curve_public_key=KEY,
                                                        curve_secret_key=SECRET)
        self.assertEqual(self.find().identity, "agent:athena")
        self.assertEqual(self.find(agent="kasra").identity, "agent:kasra")

    def test_a_mapping_is_a_connection(self):
        found = self.find({"identity": "agent:x", "curve_public_key": KEY, "curve_secret_key": SECRET,
                           "endpoint": "ipc:///tmp/x", "broker_public_key": OTHER})
        self.assertEqual(found.endpoint, "ipc:///tmp/x")

    def test_a_secret_file_that_others_may_read_is_refused(self):
        self.swarm()
        path = self.agent("kasra")
        os.chmod(path, 0o644)
        self.assertIn("chmod 600", self.refused())

    def test_what_is_wrong_is_named_without_its_value(self):
        self.swarm()
        cases = [
            ("{", "not JSON"), ("[1]", "JSON object"), ('{"identity": 5}', "member identity"),
            (json.dumps({"identity": "agent:kasra", "curve_public_key": KEY}), "curve_secret_key is missing"),
            (json.dumps({"identity": "agent:kasra", "curve_public_key": KEY, "curve_secret_key": SECRET + "x"}),
             "curve_secret_key: expected a CURVE key"),
            (json.dumps({"identity": "kasra", "curve_public_key": KEY, "curve_secret_key": SECRET}), "identity: came"),
            (" " * 70000, "larger"),
        ]
        for text, words in cases:
            path = self.home / "agents" / "kasra.json"
            path.write_text(text)
            path.chmod(0o600)
            self.assertIn(words, self.refused())

    def test_an_endpoint_must_be_one(self):
        path = self.agent("kasra", endpoint="http://x", broker_public_key=OTHER)
        self.assertIn("tcp://HOST:PORT", self.refused(path))

    def test_nothing_at_all_says_what_to_do(self):
        self.assertIn("sos agent new", self.refused())
        self.assertIn("cannot be read", self.refused(self.home / "no-such-file"))

    def test_a_name_does_not_lead_out_of_the_folder(self):
        for name in ("../secrets/operator", "a/b", "", "..", "."):
            self.assertIn("expected a name", self.refused(agent=name)) if name else None

    def test_no_secret_in_a_repr(self):
        self.agent("kasra")
        self.swarm()
        found = self.find()
        self.assertEqual(repr(found), "<Connection agent:kasra at tcp://127.0.0.1:5999>")


if __name__ == "__main__":
    unittest.main()
