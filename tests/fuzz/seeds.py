#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the test vectors as fuzzer inputs: seeds.py message FOLDER, or seeds.py pack FOLDER."""

import json
import pathlib
import sys

target, folder = sys.argv[1], pathlib.Path(sys.argv[2])
folder.mkdir(parents=True, exist_ok=True)
vectors = json.loads((pathlib.Path(__file__).parent.parent / "vectors" / "records.json").read_text(encoding="ascii"))
for number, vector in enumerate(vectors):
    if "zeros" in vector:
        continue
    frame = bytes.fromhex(vector["hex"])
    # A header is one msgpack value and so is a payload.
    end = 6 + int.from_bytes(frame[4:6], "big")
    inputs = [frame] if target == "message" else [frame[6:end], frame[end:]]
    for part, data in enumerate(inputs):
        (folder / f"{number:03}-{part}").write_bytes(data)
