# SPDX-License-Identifier: Apache-2.0
"""mumega.wire against tests/vectors, which an encoder without any code in common wrote."""

import json
import pathlib
import time
import unittest
import uuid

from mumega import errors, wire

VECTORS = pathlib.Path(__file__).resolve().parents[1] / "vectors" / "records.json"


def frame_of(vector):
    return bytes.fromhex(vector["hex"]) + bytes(vector.get("zeros", 0))


def fields_of(record):
    """As the vectors write them: what is empty is left out."""
    fields = {"version": 1, "kind": record.kind, "flags": record.flags, "id": record.id.hex(), "source": record.source}
    for name in ("correlation", "trace"):
        if getattr(record, name):
            fields[name] = getattr(record, name).hex()
    for name in ("target", "type", "timestamp", "ttl_ms", "capability", "status", "seq", "principal", "attempt"):
        if getattr(record, name):
            fields[name] = getattr(record, name)
    if record.metadata is not None:
        fields["metadata"] = wire.pack(record.metadata).hex()
    return fields


def expected(vector):
    fields = {name: int(value) if name in ("seq", "timestamp") else value for name, value in vector["fields"].items()}
    return {name: value for name, value in fields.items() if value or name in ("flags", "metadata")}


class Vectors(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.vectors = json.loads(VECTORS.read_text(encoding="ascii"))

    def test_good_records_decode_to_their_fields_and_survive_encoding(self):
        good = [vector for vector in self.vectors if vector["valid"]]
        self.assertGreater(len(good), 30)
        for vector in good:
            with self.subTest(vector["name"]):
                record, used = wire.decode(frame_of(vector))
                self.assertEqual(used, vector["used"])
                self.assertEqual(fields_of(record), expected(vector))
                payload = bytes.fromhex(vector["payload"]) + bytes(vector.get("zeros", 0))
                self.assertEqual(record.payload, payload)
                again, size = wire.decode(wire.encode(record))
                self.assertEqual(fields_of(again), expected(vector))
                self.assertEqual(again.payload, payload)
                self.assertLessEqual(size, wire.RECORD_MAX)

    def test_bad_records_are_refused_with_a_reason(self):
        bad = [vector for vector in self.vectors if not vector["valid"]]
        self.assertGreater(len(bad), 100)
        for vector in bad:
            with self.subTest(vector["name"]):
                with self.assertRaises(wire.WireError) as caught:
                    wire.decode(frame_of(vector))
                self.assertEqual(caught.exception.used, vector["used"])
                self.assertEqual(caught.exception.too_large, vector["status"] == "TOO_LARGE")
                self.assertTrue(str(caught.exception))

    def test_a_good_record_cut_anywhere_is_a_broken_length(self):
        for vector in self.vectors:
            if not vector["valid"] or vector["used"] > 300:
                continue
            frame = frame_of(vector)
            for cut in range(vector["used"]):
                with self.assertRaises(wire.WireError) as caught:
                    wire.decode(frame[:cut])
                self.assertEqual(caught.exception.used, 0, (vector["name"], cut))

    def test_a_frame_gives_its_good_records_and_names_the_bad_ones(self):
        good = wire.encode(wire.Record(wire.HEARTBEAT, id=wire.new_id(), source="agent:kasra"))
        bad = next(frame_of(vector) for vector in self.vectors if vector["name"] == "source without type")
        records, faults = wire.decode_frame(good + bad + good + b"\xff\xff")
        self.assertEqual((len(records), len(faults)), (2, 2))


class Kinds(unittest.TestCase):
    """What peers say in tests/vectors/kinds.json, and what they are answered."""

    def setUp(self):
        self.vectors = json.loads(VECTORS.with_name("kinds.json").read_text(encoding="ascii"))

    def test_every_record_is_one_and_survives_encoding(self):
        kinds = set()
        for vector in self.vectors:
            for step in vector["steps"]:
                data = bytes.fromhex(step["hex"])
                record, used = wire.decode(data)
                self.assertEqual(used, len(data), vector["name"])
                wire.unpack(record.payload)
                again, _ = wire.decode(wire.encode(record))
                self.assertEqual((fields_of(again), again.payload), (fields_of(record), record.payload), vector["name"])
                kinds.add(record.kind)
        self.assertEqual(kinds, set(range(wire.HELLO, wire.ERROR + 1)))

    def test_every_refusal_is_a_status_with_a_class_of_its_own(self):
        answers = [answer for vector in self.vectors for step in vector["steps"] for answer in step["answers"]]
        refusals = [answer for answer in answers if answer.get("status")]
        self.assertGreater(len(refusals), 30)
        for answer in refusals:
            error = errors.from_status(answer["status"], wire.pack({"message": "x", "detail": answer.get("word", "w")}))
            self.assertIsNot(type(error), errors.MumegaError, answer)


class Payloads(unittest.TestCase):
    def test_nothing_is_none(self):
        self.assertIsNone(wire.unpack(b""))

    def test_what_is_not_one_value_is_refused(self):
        for data in (b"\xc1", b"\x81\xa1", b"\x01\x02", b"\xdd\xff\xff\xff\xff", b"\xa2\xc3\x28", b"\x91" * 5000 + b"\xc0"):
            with self.assertRaises(wire.WireError):
                wire.unpack(data)

    def test_nesting_and_long_lists_cost_little(self):
        hostile = b"\xdd\x00\x03\xff\x00" * 50000
        started = time.monotonic()
        with self.assertRaises(wire.WireError):
            wire.unpack(hostile[:wire.RECORD_MAX])
        self.assertLess(time.monotonic() - started, 5)

    def test_numbers_as_keys_are_read_while_they_are_few(self):
        self.assertEqual(wire.unpack(wire.pack({1: "a"})), {1: "a"})
        with self.assertRaises(wire.WireError):
            wire.unpack(wire.pack({number: 0 for number in range(10000)}))

    def test_what_msgpack_cannot_hold_is_an_error(self):
        for value in (object(), 2**64, {"a": {1, 2}}):
            with self.assertRaises((TypeError, ValueError)):
                wire.pack(value)


class Encoding(unittest.TestCase):
    def record(self, **fields):
        return wire.Record(wire.SEND, id=wire.new_id(), source="agent:kasra", **fields)

    def test_limits_hold(self):
        wire.encode(self.record(type="t" * 127))
        for fields in ({"type": "t" * 128}, {"type": "é" * 64}, {"capability": "c" * 8193}, {"principal": "p" * 256},
                       {"payload": bytes(wire.RECORD_MAX)}, {"metadata": {"a": "x" * 70000}}):
            with self.assertRaises(ValueError):
                wire.encode(self.record(**fields))

    def test_ids_are_uuids_of_version_7_and_rise(self):
        ids = [wire.new_id() for _ in range(10000)]
        self.assertEqual(ids, sorted(ids))
        self.assertEqual(len(set(ids)), len(ids))
        for id_ in ids[:10]:
            self.assertEqual((uuid.UUID(bytes=id_).version, uuid.UUID(bytes=id_).variant), (7, uuid.RFC_4122))
        self.assertLess(abs(int.from_bytes(ids[0][:6], "big") / 1000 - time.time()), 5)

    def test_the_repr_of_a_record_shows_neither_payload_nor_token(self):
        text = repr(self.record(target="agent:b", payload=wire.pack("secret"), capability="token-secret"))
        self.assertNotIn("secret", text)


if __name__ == "__main__":
    unittest.main()
