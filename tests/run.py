#!/usr/bin/python3
"""Runs every test of the build and counts.

A test is a program of automake's TESTS. Those of PLAIN_ONLY run in the build without sanitizers (--plain), those of PLAIN_TOO in both. What it prints is counted: libcheck's summary, or TAP lines ("ok", "not ok", "# SKIP why"). One that
prints neither counts as one, by its exit status; 77 is a skip. A skip that tests/expected-skips does not list is a failure.
"""
import argparse
import concurrent.futures
import fnmatch
import itertools
import os
import re
import signal
import subprocess
import sys
import time

TIME_LIMIT = 420
CHECK_SUMMARY = re.compile(r"^\d+%: Checks: (\d+), Failures: (\d+), Errors: (\d+)", re.M)
TAP_LINE = re.compile(r"^(not ok|ok)\b(.*)$", re.M)
FAULT = re.compile(r"^not ok\b|[^ ]+:\d+:[FE]:")  # a TAP line, or libcheck's
EXPLAINS = re.compile(r"#|\s")
SANITIZER = re.compile(r"(ERROR: (Address|Leak)Sanitizer|runtime error:)")


# valgrind and the count of allocations want kithd as it is shipped; loading and unloading is to be seen both ways.
PLAIN_ONLY = ["tests/host/test_valgrind.py", "tests/kernel/test_idle.py"]
# One counts wake-ups with everything loaded, and what other tests do to the machine is something to hear; one is a load that others would wait for.
ALONE = ["tests/kernel/test_idle.py", "tests/host/test_store_kill.py"]
PLAIN_TOO = ["tests/unit/test_journal", "tests/host/test_store_kill.py", "tests/host/test_third_party.py", "tests/unit/test_promises_random"]


class Result:
    def __init__(self, name):
        self.name, self.passed, self.failed, self.skips, self.output = name, 0, 0, [], ""
        self.seconds, self.why = 0.0, ""


def tests_of(build):
    out = subprocess.run(["make", "-s", "-C", build, "print-tests"], capture_output=True, text=True, check=True)
    # What make says of regenerating its own files comes before.
    return out.stdout.splitlines()[-1].split()


def run_process(path, build, env):
    process = subprocess.Popen([path], cwd=build, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True)
    try:
        return process.communicate(timeout=TIME_LIMIT)[0], process.returncode
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        return process.communicate()[0] + "\nthe time limit of %d s was reached\n" % TIME_LIMIT, -1


def count(result, status):
    text = result.output
    for checks, failures, errors in CHECK_SUMMARY.findall(text):
        bad = int(failures) + int(errors)
        result.passed += int(checks) - bad
        result.failed += bad
    for verdict, rest in TAP_LINE.findall(text):
        skip = re.search(r"# SKIP\s*(.*)", rest)
        if skip:
            result.skips.append((rest.split("# SKIP")[0].strip(" -"), skip.group(1)))
        elif verdict == "ok":
            result.passed += 1
        else:
            result.failed += 1
    if status == 77:
        reason = re.search(r"SKIP:?\s*(.*)", text)
        result.skips.append(("", reason.group(1) if reason else "no reason given"))
    elif status != 0 and not result.failed:
        result.failed += 1
        result.why = "exit status %d" % status
    elif status == 0 and not (result.passed or result.failed or result.skips):
        result.passed = 1
    if SANITIZER.search(text):
        result.failed += 1
        result.why = "a sanitizer complained"


def run_one(name, source, build, plain, label=""):
    result = Result(name + label)
    path = os.path.join(build, name)
    if not os.path.exists(path):
        path = os.path.join(source, name)
    env = dict(os.environ, srcdir=source, builddir=build, top_srcdir=source, top_builddir=build, plain_builddir=plain or build)
    start = time.monotonic()
    try:
        result.output, status = run_process(path, build, env)
        count(result, status)
    except OSError as error:
        result.failed, result.why = 1, str(error)
    result.seconds = time.monotonic() - start
    return result


def expected_skips(source):
    with open(os.path.join(source, "tests/expected-skips")) as f:
        lines = [line.split("#")[0].strip() for line in f]
    return [line for line in lines if line]


def report(result, expected):
    for part, reason in result.skips:
        name = result.name + (": " + part if part else "")
        if any(fnmatch.fnmatch(name, pattern) for pattern in expected):
            print("  skipped: %s (%s)" % (name, reason), flush=True)
        else:
            result.failed += 1
            result.why = "skipped, which is not expected: %s (%s)" % (name, reason)
    verdict = "FAILED" if result.failed else "ok"
    print("%-6s %s: %d passed, %d failed, %.1f s%s" % (verdict, result.name, result.passed, result.failed, result.seconds,
                                                     "; " + result.why if result.why else ""), flush=True)
    if result.failed:
        show(result.output.splitlines())


def faults(lines):
    """What failed and why: of a sanitizer the first frames"""
    said = [i for i, line in enumerate(lines) if FAULT.match(line)]
    first = [line for i in said for line in lines[i:i + 1] + list(itertools.takewhile(EXPLAINS.match, lines[i + 1:]))]
    return first + [line for i, line in enumerate(lines) if SANITIZER.search(line) for line in lines[i:i + 25]]


def show(lines):
    """What a test that failed has printed: first what failed and why, then its last lines"""
    first = faults(lines)
    for line in first[-60:] + (["----"] if first else []) + lines[-120:]:
        print("    | " + line, flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True, type=os.path.abspath)
    parser.add_argument("--source", required=True, type=os.path.abspath)
    parser.add_argument("--plain", type=os.path.abspath, help="a build without sanitizers")
    parser.add_argument("--full", action="store_true", help="at the scale that kith promises to stand")
    parser.add_argument("names", nargs="*")
    args = parser.parse_args()
    if args.full:
        os.environ["KITH_FULL"] = "1"
    names = [n for n in tests_of(args.build) if not args.names or any(want in n for want in args.names)]
    if not names:
        print("no test of that name\n0 passed, 1 failed")
        return 1
    # The long ones first, so that the two at a time end together.
    names.sort(key=lambda n: not (n.endswith(".py")))
    runs = [(n, args.build, "") for n in names if not (args.plain and n in PLAIN_ONLY)]
    if args.plain:
        runs = [(n, args.plain, " (plain)") for n in names if n in PLAIN_ONLY + PLAIN_TOO] + runs
    expected = expected_skips(args.source)
    results = []
    for alone, workers in ((True, 1), (False, max(2, os.cpu_count() or 1))):
        with concurrent.futures.ThreadPoolExecutor(max_workers=workers) as pool:
            futures = [pool.submit(run_one, n, args.source, build, args.plain, label) for n, build, label in runs if (n in ALONE) == alone]
            for future in concurrent.futures.as_completed(futures):
                result = future.result()
                report(result, expected)
                results.append(result)
    failed = sum(r.failed for r in results)
    for result in results:
        if result.failed:
            print("FAILED %s%s" % (result.name, "; " + result.why if result.why else ""))
            for line in faults(result.output.splitlines())[:25]:
                print("    | " + line)
    skipped = sum(len(r.skips) for r in results)
    if skipped:
        print("%d skipped" % skipped)
    print("%d passed, %d failed" % (sum(r.passed for r in results), failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
