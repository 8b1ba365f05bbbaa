#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Are the committed vectors what their makers write? Makes them anew in a temporary folder and compares."""

import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
VECTORS = ROOT / "tests" / "vectors"


def main():
    stale = 0
    with tempfile.TemporaryDirectory(prefix="sos-fresh-") as folder:
        for maker in sorted(VECTORS.glob("make_*.py")):
            name = maker.stem.removeprefix("make_") + ".json"
            made = pathlib.Path(folder) / name
            done = subprocess.run(["/usr/bin/python3", str(maker), str(made)], capture_output=True,
                                  text=True, timeout=120, check=False)
            committed = VECTORS / name
            if done.returncode != 0:
                print(f"{maker.name}: exit {done.returncode}\n{done.stderr}")
            elif not committed.exists():
                print(f"tests/vectors/{name}: is missing; {maker.name} makes it")
            elif made.read_bytes() != committed.read_bytes():
                print(f"tests/vectors/{name}: differs from what {maker.name} writes; run it")
            else:
                continue
            stale += 1
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
