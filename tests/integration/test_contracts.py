#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The contract generator: what it writes, and how it refuses contracts that cannot be right."""

import copy
import json
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
CONTRACTS = ROOT / "kernel" / "contracts"
GENERATOR = CONTRACTS / "generate.py"
sys.dont_write_bytecode = True
sys.path.insert(0, str(CONTRACTS))

import emit_c  # noqa: E402
import generate  # noqa: E402

SHARED = {"reserved_types": ["health_check", "metrics"], "types": {"agent": {"type": "identity"}}}
PETS = {
    "service": "pets",
    "summary": "Animals",
    "instances": "one",
    "operations": [
        {
            "name": "feed",
            "type": "pets_feed",
            "summary": "Gives food",
            "http": [{"door": "tools", "method": "POST", "path": "/pets/{id}/feed"}],
            "flags": ["write"],
            "request": [
                {"name": "id", "type": "uuid", "in": "path"},
                {"name": "agent_id", "type": "agent", "required": True},
                {"name": "food", "type": "string", "enum": ["hay", "fish"], "default": "hay"},
                {"name": "grams", "type": "integer", "min": 1, "max": 500, "default": 300},
                {"name": "warmth", "type": "number", "min": 0, "max": 1, "default": 1},
                {"name": "note", "type": "string", "max": 100},
            ],
            "response": [{"name": "fed", "type": "boolean"}],
            "capability": {"action": "pets:feed", "resource": "pets:{agent_id}/{id}", "subject": "agent_id"},
            "errors": [{"status": "NOT_FOUND", "word": "pet_not_found"}],
        },
        {
            "name": "list",
            "type": "pets_list",
            "summary": "Lists them",
            "http": [{"door": "tools", "method": "GET", "path": "/pets"}],
            "flags": ["read"],
            "request": [{"name": "limit", "type": "integer", "in": "query", "min": 1, "max": 10, "default": 5}],
            "response_list": True,
            "response": [{"name": "id", "type": "uuid"}],
        },
    ],
}
FEED, LIST = 0, 1
ID, AGENT, FOOD, GRAMS, WARMTH, NOTE = range(6)


def at(document, *path):
    for step in path:
        document = document[step]
    return document


def change(*path, **values):
    """Sets keys of the object at the path; None takes a key away."""
    def apply(document):
        target = at(document, *path)
        for key, value in values.items():
            if value is None:
                del target[key]
            else:
                target[{"in_": "in"}.get(key, key)] = value
    return apply


def append(*path, value):
    return lambda document: at(document, *path).append(copy.deepcopy(value))


FEED_REQUEST = ("operations", FEED, "request")
# What is wrong, the change that makes it so, and the words that the refusal must hold.
REFUSALS = [
    ("an unknown key of the contract", change(colour="red"), ['came unknown key "colour"', "operations"]),
    ("an unknown key of an operation", change("operations", FEED, colour="red"), ["operation feed", '"colour"']),
    ("an unknown key of a field", change(*FEED_REQUEST, NOTE, maximum=3), ["operation feed", "field note", '"maximum"', "max"]),
    ("an unknown key of a capability", change("operations", FEED, "capability", who="me"), ["capability", '"who"']),
    ("an unknown key of a route", change("operations", FEED, "http", 0, port=1), ["http", '"port"']),
    ("a missing summary", change("operations", FEED, summary=None), ["summary: missing"]),
    ("a service that is not the file's", change(service="cats"), ['service: came "cats"', "name of the file"]),
    ("instances of another kind", change(instances="two"), ['instances: came "two"', "one, many"]),
    ("no operations", change(operations=[]), ["operations: came []", "at least one operation"]),
    ("an unknown type", change(*FEED_REQUEST, NOTE, type="txt"), ["field note: type", '"txt"', "string"]),
    ("a name in capitals", change(*FEED_REQUEST, NOTE, name="Note"), ['"Note"', "lower-case"]),
    ("a field twice", append(*FEED_REQUEST, value=PETS["operations"][FEED]["request"][NOTE]), ["field note", "the name twice"]),
    ("an operation twice", append("operations", value={**PETS["operations"][LIST], "http": []}), ["operation list"]),
    ("a type twice", change("operations", LIST, type="pets_feed"), ["operation list: type", '"pets_feed"', "a type of its own"]),
    ("a reserved type", change("operations", LIST, type="health_check"), ["operation list: type", '"health_check"']),
    ("a query field as a path parameter", change("operations", LIST, "http", 0, method="POST", path="/pets/{limit}/feed"),
     ["operation list", "{limit}"]),
    ("an unknown door", change("operations", LIST, "http", 0, door="attic"), ["door", '"attic"', "engine"]),
    ("an unknown method", change("operations", LIST, "http", 0, method="get"), ["method", '"get"', "GET"]),
    ("a path without a slash", change("operations", LIST, "http", 0, path="pets"), ["path", '"pets"']),
    ("a path parameter without a field", change("operations", LIST, "http", 0, path="/pets/{name}"), ["{name}", "a field"]),
    ("a path field that the path lacks", change("operations", FEED, "http", 0, path="/pets/feed"), ["{id} once"]),
    ("a path field that is optional", change(*FEED_REQUEST, ID, required=False), ["field id: required", "path"]),
    ("a list in the query", change("operations", LIST, "request", 0, type="list", item="string", min=None, default=None),
     ["field limit: in", "list"]),
    ("a body field where no route has a body", change("operations", LIST, "request", 0, in_="body"), ["field limit", "no route has a body"]),
    ("a text without a bound", change(*FEED_REQUEST, NOTE, max=None), ["field note: max: missing"]),
    ("a list without a type of item", change(*FEED_REQUEST, NOTE, type="list"), ["field note: item"]),
    ("an item for no list", change(*FEED_REQUEST, NOTE, item="string"), ["field note: item"]),
    ("bounds for a boolean", change(*FEED_REQUEST, NOTE, type="boolean"), ["field note: max", "no bounds"]),
    ("bounds the wrong way round", change(*FEED_REQUEST, GRAMS, min=501), ["field grams", "min 501 and max 500"]),
    ("a bound that is no whole number", change(*FEED_REQUEST, GRAMS, min=0.5), ["field grams: min", "0.5"]),
    ("a default above its bound", change(*FEED_REQUEST, GRAMS, default=501),
     ["operation feed", "field grams: default: came 501, expected a whole number from 1 to 500"]),
    ("a default of the wrong type", change(*FEED_REQUEST, GRAMS, default="many"), ["field grams: default", '"many"']),
    ("a boolean as a default of a number", change(*FEED_REQUEST, WARMTH, default=True), ["field warmth: default: came true"]),
    ("a default outside its words", change(*FEED_REQUEST, FOOD, default="meat"), ["field food: default", '"meat"', "hay, fish"]),
    ("a default of a required field", change(*FEED_REQUEST, GRAMS, required=True), ["field grams: default", "required"]),
    ("an empty list of words", change(*FEED_REQUEST, FOOD, enum=[]), ["field food: enum"]),
    ("words for a number", change(*FEED_REQUEST, GRAMS, enum=["a"]), ["field grams: enum", "only for a string"]),
    ("an unknown flag", change("operations", FEED, flags=["write", "fast"]), ["flags", '"fast"', "audited"]),
    ("neither read nor write", change("operations", FEED, flags=["audited"]), ["flags", "read or write"]),
    ("dangerous without a capability", change("operations", LIST, flags=["read", "dangerous"]), ["flags", "dangerous"]),
    ("a timeout of nothing", change("operations", FEED, timeout_ms=0), ["timeout_ms: came 0", "1 to 600000"]),
    ("a capability that names an unknown field", change("operations", FEED, "capability", resource="pets:{owner}"),
     ["capability: resource: came {owner}, expected a field of the request"]),
    ("a capability that names a number", change("operations", FEED, "capability", resource="pets:{grams}"), ["{grams}", "holds text"]),
    ("a capability with a lone brace", change("operations", FEED, "capability", resource="pets:{id"), ["braces"]),
    ("a subject that is no field", change("operations", FEED, "capability", subject="me"), ["subject", '"me"']),
    ("acting for what is no field", change("operations", LIST, acts_for="me"), ["acts_for", '"me"']),
    ("acting for somebody beside a capability", change("operations", FEED, acts_for="agent_id"), ["acts_for", "capability"]),
    ("an action of another form", change("operations", FEED, "capability", action="feed"), ["action", '"feed"']),
    ("an unknown status", change("operations", FEED, "errors", 0, status="LOST"), ["status", '"LOST"', "kernel/status.h"]),
    ("a status that is no error", change("operations", FEED, "errors", 0, status="OK"), ["status", '"OK"']),
    ("a handler that is a C keyword", change("operations", LIST, name="register"), ["handler", '"register"', "C keyword"]),
    ("an operation that takes the count's name", change("operations", LIST, name="count"), ["OP_PETS_COUNT"]),
    ("two kinds of answer", change("operations", LIST, response_type="agent"), ["response", "exactly one"]),
    ("no request", change("operations", LIST, request=None), ["request", "exactly one"]),
    ("a request of an operation that does not exist", change("operations", LIST, request=None, request_of="feet"), ["request_of", '"feet"']),
    ("too many fields", lambda document: at(document, *FEED_REQUEST).extend(
        {"name": f"f{index}", "type": "boolean"} for index in range(30)), ["36 fields", "at most 32", "ARGUMENTS_MAX"]),
    ("a shape in a request", change(*FEED_REQUEST, NOTE, type="map", fields=[]), ["field note", '"fields"']),
]


class Generator(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="sos-contracts-"))
        self.addCleanup(shutil.rmtree, self.folder)

    def write(self, name, document):
        path = self.folder / name
        path.write_text(document if isinstance(document, str) else json.dumps(document), encoding="utf-8")
        return str(path)

    def generate(self, *documents, output="out"):
        paths = [self.write("shared.json", SHARED)]
        paths += [self.write(name, document) for name, document in documents]
        return self.run_generator(paths, output)

    def run_generator(self, paths, output):
        return subprocess.run([sys.executable, str(GENERATOR), "--output", str(self.folder / output), "--version", "1.2.3", *paths],
                              capture_output=True, text=True, timeout=60, check=False)

    def read(self, name, output="out"):
        return (self.folder / output / name).read_text(encoding="utf-8")

    def assert_refused(self, done, *words):
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertFalse((self.folder / "out").exists(), "something was written")
        self.assertNotIn("Traceback", done.stderr)
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        for word in words:
            self.assertIn(word, done.stderr)

    def test_each_contract_that_cannot_be_right_is_refused_with_its_place(self):
        for title, spoil, words in REFUSALS:
            with self.subTest(title):
                document = copy.deepcopy(PETS)
                spoil(document)
                self.assert_refused(self.generate(("pets.json", document)), "pets.json", *words)

    def test_a_type_that_stands_for_itself_is_refused_when_used(self):
        document = copy.deepcopy(PETS)
        document["types"] = {"loop": {"type": "pool"}, "pool": {"type": "loop"}}
        document["operations"][FEED]["request"][NOTE] = {"name": "note", "type": "loop"}
        self.assert_refused(self.generate(("pets.json", document)), "field note", "stands for itself")

    def test_routes_that_differ_only_in_the_name_of_a_parameter_are_the_same(self):
        document = copy.deepcopy(PETS)
        twin = copy.deepcopy(PETS["operations"][FEED])
        twin.update(name="stuff", type="pets_stuff", capability=None)
        del twin["capability"]
        twin["http"][0]["path"] = "/pets/{pet}/feed"
        twin["request"][ID]["name"] = "pet"
        document["operations"].append(twin)
        self.assert_refused(self.generate(("pets.json", document)), "operation stuff: http",
                            "POST /pets/{pet}/feed at door tools", "operation feed", "a route of its own")

    def test_a_type_of_another_service_is_refused(self):
        other = copy.deepcopy(PETS)
        other["service"] = "zoo"
        other["operations"] = [{**PETS["operations"][LIST], "http": [], "request": []}]
        self.assert_refused(self.generate(("pets.json", PETS), ("zoo.json", other)), "zoo.json: operation list: type",
                            "pets.json: operation list")

    def test_a_file_that_is_no_json_is_refused_with_its_name(self):
        for text in ("{", '{"service": "pets", "service": "pets"}', "[" * 100000, '{"a": NaN}', "[]", "null"):
            with self.subTest(text[:20]):
                self.assert_refused(self.generate(("pets.json", text)), "pets.json")

    def test_a_file_that_is_not_there_is_refused_with_its_name(self):
        self.assert_refused(self.run_generator([str(self.folder / "gone.json")], "out"), "gone.json", "cannot be read")

    def test_values_of_any_wrong_type_are_refused_and_never_a_traceback(self):
        for value in (None, True, 7, "x", [], {}, [[]], [None], {"a": 1}):
            for path in self.places(PETS):
                document = copy.deepcopy(PETS)
                at(document, *path[:-1])[path[-1]] = value
                paths = [self.write("shared.json", SHARED), self.write("pets.json", document)]
                with self.subTest(path=path, value=value):
                    self.assertIsNone(self.run_in_process(paths))

    def run_in_process(self, paths):
        """None when the generator accepts or refuses in its own words; any other exception is raised."""
        try:
            generate.generate(paths, "1.2.3")
        except generate.ContractError:
            pass

    def places(self, document, prefix=()):
        steps = document.items() if isinstance(document, dict) else enumerate(document)
        for step, value in list(steps):
            yield prefix + (step,)
            if isinstance(value, (dict, list)):
                yield from self.places(value, prefix + (step,))

    def test_the_same_contracts_always_give_the_same_bytes(self):
        paths = sorted(str(path) for path in CONTRACTS.glob("*.json"))
        for output, seed in (("one", "1"), ("two", "2")):
            environment = {**os.environ, "PYTHONHASHSEED": seed}
            subprocess.run([sys.executable, str(GENERATOR), "--output", str(self.folder / output), *paths],
                           check=True, env=environment, timeout=60)
        names = sorted(path.name for path in (self.folder / "one").iterdir())
        self.assertEqual(names, sorted(path.name for path in (self.folder / "two").iterdir()))
        self.assertIn("memory.h", names)
        for name in names:
            self.assertEqual(self.read(name, "one"), self.read(name, "two"), name)

    def test_the_source_tree_stays_as_it_is(self):
        before = sorted(CONTRACTS.rglob("*"))
        self.assertEqual(self.generate(("pets.json", PETS)).returncode, 0)
        self.assertEqual(sorted(CONTRACTS.rglob("*")), before)

    def test_defaults_are_packed_as_msgpack(self):
        self.assertEqual(self.generate(("pets.json", PETS)).returncode, 0)
        tables = self.read("pets.c")
        for symbol, data in (("feed_food", b"\xa3hay"), ("feed_grams", b"\xcd\x01\x2c"), ("list_limit", b"\x05"),
                             ("feed_warmth", struct.pack(">Bd", 0xCB, 1.0))):
            self.assertIn(f"{symbol}_fallback[] = {{" + ", ".join(f"0x{byte:02x}" for byte in data) + "}", tables)

    def test_the_packer_follows_the_msgpack_specification(self):
        for value, data in ((0, "00"), (127, "7f"), (128, "cc80"), (255, "ccff"), (256, "cd0100"), (65536, "ce00010000"),
                            (2**32, "cf0000000100000000"), (2**64 - 1, "cf" + "ff" * 8), (-1, "ff"), (-32, "e0"),
                            (-33, "d0df"), (-129, "d1ff7f"), (-32769, "d2ffff7fff"), (-2**63, "d38000000000000000"),
                            (True, "c3"), (False, "c2"), (0.5, "cb3fe0000000000000"), ("", "a0"), ("a" * 31, "bf" + "61" * 31),
                            ("a" * 32, "d920" + "61" * 32), ("a" * 256, "da0100" + "61" * 256),
                            ("a" * 65536, "db00010000" + "61" * 65536), ("é", "a2c3a9")):
            self.assertEqual(emit_c.pack(value).hex(), data, repr(value)[:40])

    def test_the_document_describes_every_route(self):
        self.assertEqual(self.generate(("pets.json", PETS)).returncode, 0)
        document = json.loads(self.read("openapi.json"))
        feed = document["paths"]["/tools/pets/{id}/feed"]["post"]
        body = feed["requestBody"]["content"]["application/json"]["schema"]
        self.assertEqual(document["openapi"], "3.1.0")
        self.assertEqual(document["info"]["version"], "1.2.3")
        self.assertEqual(feed["operationId"], "pets_feed")
        self.assertEqual(feed["tags"], ["pets"])
        self.assertEqual(body["required"], ["agent_id"])
        self.assertEqual(body["properties"]["grams"], {"type": ["integer", "null"], "format": "int64", "minimum": 1,
                                                       "maximum": 500, "default": 300})
        self.assertIn("capability", body["properties"])
        self.assertIn({"capability": []}, feed["security"])
        self.assertIn("pet_not_found", feed["responses"]["404"]["description"])
        self.assertEqual(feed["parameters"][0]["in"], "path")
        self.assertEqual(document["paths"]["/tools/pets"]["get"]["parameters"][0]["schema"]["default"], 5)
        for path in ("/health", "/metrics", "/version"):
            self.assertIn("get", document["paths"][path])
        embedded = [int(number) for line in self.read("openapi.c").splitlines() if line.startswith("    ")
                    for number in line.replace(",", " ").split()]
        self.assertEqual(json.loads(bytes(embedded[:-1])), document)
        self.assertEqual(embedded[-1], 0)

    def test_names_of_secret_fields_reach_c_whatever_their_depth(self):
        document = copy.deepcopy(PETS)
        at(document, *FEED_REQUEST)[NOTE]["secret"] = True
        document["operations"][FEED]["response"] = [
            {"name": "chips", "type": "list", "item": {"type": "map", "fields": [
                {"name": "serial", "type": "string", "secret": True}, {"name": "maker", "type": "string"}]}}]
        document["operations"][FEED]["chunk"] = [{"name": "key", "type": "string", "secret": True}]
        self.assertEqual(self.generate(("pets.json", document)).returncode, 0)
        table = self.read("pets.c")
        self.assertIn('feed_secrets[] = {"key", "note", "serial", NULL};', table)
        self.assertEqual(table.count(".secrets = "), 1)

    def test_texts_reach_c_unharmed(self):
        document = copy.deepcopy(PETS)
        document["summary"] = 'Quotes " and \\ and ??/ and é and */'
        document["operations"][FEED]["request"][FOOD].update(enum=['a"b', "é"], default="é")
        self.assertEqual(self.generate(("pets.json", document)).returncode, 0)
        self.compile("pets.c", "all.c", "openapi.c")

    def compile(self, *names, text=None):
        """Compiles generated files, or a text that includes them; returns what the compiler said."""
        if not (self.folder / "contracts").exists():
            (self.folder / "contracts").symlink_to("out")
        sources = [str(self.folder / "out" / name) for name in names]
        if text:
            sources = [self.write("service.c", text)]
        done = subprocess.run([os.environ.get("CC", "cc"), "-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror",
                               "-c", f"-I{ROOT}", f"-I{self.folder}", *sources],
                              capture_output=True, text=True, timeout=60, check=False, cwd=self.folder)
        if not text:
            self.assertEqual(done.returncode, 0, done.stderr)
        return done

    def test_a_missing_or_an_extra_handler_does_not_compile(self):
        self.assertEqual(self.generate(("pets.json", PETS)).returncode, 0)
        service = """
#include "contracts/pets.h"
typedef int handler_fn(int);
struct handler { unsigned operation; handler_fn *run; };
#define ROW(operation, handler) [operation] = {operation, handler},
static handler_fn %s;
static const struct handler handlers[OP_PETS_COUNT] = {PETS_OPERATIONS(ROW)};
%s
int main(void) { return handlers[OP_PETS_FEED].run(PETS_FEED_AGENT_ID); }
"""
        def define(name):
            return f"static int {name}(int x) {{ return x; }}"
        both = define("feed") + define("list")
        self.assertEqual(self.compile(text=service % ("feed, list", both)).returncode, 0)
        self.assertIn("list", self.compile(text=service % ("feed", define("feed"))).stderr)
        self.assertIn("groom", self.compile(text=service % ("feed, list, groom", both + define("groom"))).stderr)

    def test_the_contracts_of_this_repository_are_well_formed(self):
        paths = sorted(str(path) for path in CONTRACTS.glob("*.json"))
        done = self.run_generator(paths, "out")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.compile("memory.c", "engine.c", "identity.c", "bus.c", "all.c", "openapi.c")


if __name__ == "__main__":
    unittest.main()
