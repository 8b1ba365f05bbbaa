#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Are the committed vectors, and the generated part of the Python SDK, what their makers write? Makes them anew in a
temporary folder and compares."""

import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
VECTORS = ROOT / "tests" / "vectors"
EMITTER = ROOT / "kernel" / "contracts" / "emit_python.py"
SDK = ROOT / "sdk" / "python" / "mumega"


def sdk_is_stale(folder):
    """Prints what differs."""
    done = subprocess.run(["/usr/bin/python3", str(EMITTER), folder], capture_output=True, text=True, timeout=120,
                          check=False)
    if done.returncode != 0:
        print(f"emit_python.py: exit {done.returncode}\n{done.stderr}")
        return True
    differing = [made.name for made in sorted(pathlib.Path(folder).iterdir())
                 if not (SDK / made.name).exists() or (SDK / made.name).read_bytes() != made.read_bytes()]
    for name in differing:
        print(f"sdk/python/mumega/{name}: differs from what kernel/contracts/emit_python.py writes; run it")
    return bool(differing)


def main():
    stale = 0
    with tempfile.TemporaryDirectory(prefix="sos-fresh-sdk-") as folder:
        stale += sdk_is_stale(folder)
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
