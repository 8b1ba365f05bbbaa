# SPDX-License-Identifier: Apache-2.0
import pathlib
import pickle
import re
import unittest

import mumega
from mumega import errors, wire

ROOT = pathlib.Path(__file__).resolve().parents[2]


class Errors(unittest.TestCase):
    def test_every_failure_of_the_status_table_has_a_class(self):
        text = (ROOT / "kernel" / "status.h").read_text().replace("\\\n", " ")
        rows = re.findall(r'X\(([A-Z_]+),\s*(\d+),\s*(\d+),\s*"([a-z_]+)"', text)
        self.assertGreater(len(rows), 40)
        for name, code, http, word in rows:
            if name in ("OK", "PENDING"):
                continue
            kind = errors.BY_CODE[int(code)]
            self.assertEqual((kind.code, kind.http, kind.word), (int(code), int(http), word))
            self.assertTrue(issubclass(kind, mumega.MumegaError))

    def test_a_refusal_keeps_code_word_message_and_field(self):
        error = errors.from_status(1005, wire.pack({"message": "content: missing", "detail": "validation_error",
                                                    "context": {"field": "content"}}))
        self.assertIsInstance(error, mumega.ValidationError)
        self.assertEqual((error.code, error.word, error.message, error.field),
                         (1005, "validation_error", "content: missing", "content"))

    def test_a_finer_word_stays_with_its_class(self):
        error = errors.from_status(3001, wire.pack({"message": "no", "detail": "memory_not_found"}))
        self.assertIsInstance(error, mumega.NotFoundError)
        self.assertEqual(error.detail, "memory_not_found")

    def test_any_payload_gives_an_error(self):
        for payload in (b"", b"\xc1", wire.pack(5), wire.pack([1]), wire.pack({"message": 7, "detail": b"x", "context": 1}),
                        wire.pack({"message": "x" * 100000})):
            error = errors.from_status(2002, payload)
            self.assertEqual((type(error), error.code), (mumega.ForbiddenError, 2002))
            self.assertLess(len(str(error)), 5000)

    def test_an_unknown_number_is_kept(self):
        error = errors.from_status(9999, b"")
        self.assertEqual((type(error), error.code), (mumega.MumegaError, 9999))

    def test_a_deadline_is_a_timeout_for_python_too(self):
        self.assertTrue(issubclass(mumega.DeadlineError, TimeoutError))

    def test_errors_can_be_pickled(self):
        error = pickle.loads(pickle.dumps(errors.from_status(1005, wire.pack({"message": "m", "context": {"field": "f"}}))))
        self.assertEqual((error.message, error.field), ("m", "f"))


if __name__ == "__main__":
    unittest.main()
