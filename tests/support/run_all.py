#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Builds and runs every test of the project; see tests/run.

Each line of output is one step or one test program. The last line reads
`N passed, N failed`, and the exit code is 0 only when nothing failed.
"""

import argparse
import concurrent.futures
import os
import pathlib
import subprocess
import sys
import time
import xml.etree.ElementTree

ROOT = pathlib.Path(__file__).resolve().parents[2]
JOBS = str(os.cpu_count() or 2)
TEST_TIMEOUT_S = 600
# The unit tests in which more than one of our threads runs, below tests/unit.
THREADED = ("broker/net/*", "sdk/*", "actors/runtime/test_actor", "actors/runtime/test_fetch",
            "store/test_store", "store/test_store_rocksdb", "gateway/test_http",
            "platform/*")


class Count:
    def __init__(self):
        self.passed = 0
        self.failed = 0
        self.failures = []

    def add(self, name, ok, output="", seconds=0.0):
        if ok:
            self.passed += 1
        else:
            self.failed += 1
            self.failures.append(name)
        print(f"{'ok  ' if ok else 'FAIL'} {name} ({seconds:.1f} s)", flush=True)
        if not ok and output:
            print("\n".join("     " + line for line in output.splitlines()[-80:]), flush=True)


def run(command, **options):
    """Runs a command to its end; returns (ok, output, seconds)."""
    started = time.monotonic()
    try:
        done = subprocess.run(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, errors="replace", **options)
        return done.returncode == 0, done.stdout, time.monotonic() - started
    except subprocess.TimeoutExpired as late:
        output = late.stdout or ""
        if isinstance(output, bytes):
            output = output.decode(errors="replace")
        return False, f"{output}\nno end after {late.timeout} s", time.monotonic() - started


def build(count, preset, *definitions, targets=()):
    name = f"build {preset}"
    ok, output, seconds = run(["cmake", "--preset", preset, "-DSOS_WERROR=ON", *definitions])
    if ok:
        more = run(["cmake", "--build", "--preset", preset, "--", "-j", JOBS, *targets])
        ok, output, seconds = more[0], more[1], seconds + more[2]
    count.add(name, ok, output, seconds)
    return ok


def unit_tests(count, preset, *options, environment=None):
    report = ROOT / "build" / preset / "unit.xml"
    report.unlink(missing_ok=True)
    ok, output, seconds = run(
        ["ctest", "--test-dir", f"build/{preset}", "-j", JOBS, "--output-on-failure",
         "--output-junit", str(report), *options], timeout=1200, env=environment)
    if not report.exists():
        count.add(f"unit tests {preset}", False, output, seconds)
        return
    for case in xml.etree.ElementTree.parse(report).getroot().iter("testcase"):
        failed = case.get("status") != "run"
        text = case.findtext("system-out") or ""
        count.add(f"unit {preset} {case.get('name')}", not failed, text, float(case.get("time", 0)))


def thread_tests(count):
    """The tests with threads under ThreadSanitizer; what it is told to pass over: tests/support/tsan.supp."""
    folder = ROOT / "tests" / "unit"
    names = [str(path.relative_to(folder).with_suffix("")) for pattern in THREADED
             for path in sorted(folder.glob(pattern + ".c")) if path.name.startswith("test_")]
    # What libraries do among themselves is not looked at: reporting it, only to be passed over, took ten
    # times as long as the tests, and made peers look silent on a busy machine.
    options = (f"suppressions={ROOT / 'tests' / 'support' / 'tsan.supp'}"
               ":ignore_noninstrumented_modules=1")
    if build(count, "tsan", targets=[name.replace("/", "_") for name in names]):
        unit_tests(count, "tsan", "-R", "^(" + "|".join(names) + ")$",
                   environment=dict(os.environ, TSAN_OPTIONS=options))


def static_checks(count):
    sources = [str(path) for folder in ("kernel", "platform", "store", "sdk", "broker", "actors", "gateway", "cli", "tests")
               for path in sorted((ROOT / folder).rglob("*")) if path.suffix in (".c", ".h", ".cc")]
    checks = {
        "include rules": ["tests/support/check_includes.py"],
        "format": ["clang-format", "--dry-run", "-Werror", *sources],
        "generated files fresh": ["/usr/bin/python3", "tests/support/check_fresh.py"],
        "types of the Python SDK": ["mypy", "--config-file", "sdk/python/mypy.ini", "--cache-dir", "build/mypy"],
    }
    for name, command in checks.items():
        ok, output, seconds = run(command)
        count.add(f"check {name}", ok, output, seconds)


def python_tests(count):
    """The Python SDK by itself, against scripted brokers and gateways."""
    folders = [ROOT / "sdk" / "python", ROOT / "tests" / "support", ROOT / "tests" / "python"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SOS_")}
    environment.update(PYTHONPATH=":".join(map(str, folders)), PYTHONDONTWRITEBYTECODE="1")
    for path in sorted((ROOT / "tests" / "python").glob("test_*.py")):
        ok, output, seconds = run(["/usr/bin/python3", "-m", "unittest", "-v", str(path)],
                                  env=environment, timeout=TEST_TIMEOUT_S)
        count.add(f"python {path.stem}", ok, output, seconds)


def integration_tests(count, binary, quick):
    files = sorted((ROOT / "tests" / "integration").glob("test_*.py"))
    environment = dict(os.environ, SOS_BINARY=str(binary), SOS_TEST_QUICK="1" if quick else "",
                       PYTHONPATH=str(ROOT / "tests" / "support"), PYTHONDONTWRITEBYTECODE="1")
    for name in [name for name in environment if name.startswith("SOS_") and
                 name not in ("SOS_BINARY", "SOS_TEST_QUICK")]:
        del environment[name]

    def one(path):
        return path, run(["/usr/bin/python3", "-m", "unittest", "-v", str(path)],
                         env=environment, timeout=TEST_TIMEOUT_S)

    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
        for path, (ok, output, seconds) in pool.map(one, files):
            count.add(f"integration {path.stem}", ok, output, seconds)


def fuzz(count):
    """A short run of every target from its fixed seeds: it finds what is found at once; longer runs are by hand."""
    for target in sorted((ROOT / "build" / "fuzz").rglob("fuzz_*")):
        if target.is_file() and os.access(target, os.X_OK):
            ok, output, seconds = run([str(target), "-runs=100000", "-max_total_time=20", "-seed=1"],
                                      timeout=120)
            count.add(f"fuzz {target.name}", ok, output, seconds)


def main():
    parser = argparse.ArgumentParser(description="Builds and runs every test of SovereignOS.")
    parser.add_argument("--quick", action="store_true", help="no sanitizers, fuzzing or long tests")
    quick = parser.parse_args().quick
    count = Count()
    static_checks(count)
    python_tests(count)
    if build(count, "dev"):
        unit_tests(count, "dev")
        integration_tests(count, ROOT / "build" / "dev" / "sos", quick)
    if not quick:
        build(count, "release")
        clang = ("-DCMAKE_C_COMPILER=clang", "-DCMAKE_CXX_COMPILER=clang++")
        if build(count, "asan", *clang):
            unit_tests(count, "asan")
        thread_tests(count)
        if build(count, "fuzz"):
            fuzz(count)
    if count.failures:
        print("failed: " + ", ".join(count.failures))
    print(f"{count.passed} passed, {count.failed} failed")
    return 1 if count.failed else 0


if __name__ == "__main__":
    sys.exit(main())
