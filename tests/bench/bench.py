"""make bench: what kithd costs and how soon it knows, beside a bare daemon and the peers that are installed.

It installs nothing. Each program runs alone, pinned to one processor, as root; CPU time, switches and memory come
from the kernel's accounting of its own threads. All that a run writes is in one temporary folder (TMPDIR), which is
removed at the end.
"""
import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

import cost
import latency
import promises
import report
import report_promises
import sources
from measure import say


class Bench:
    """What all parts share"""

    def __init__(self, build, source, keep):
        self.build = os.path.abspath(build)
        self.source = os.path.abspath(source)
        self.keep = keep
        # Short: a socket's path has room for 107 bytes.
        self.folder = tempfile.mkdtemp(prefix="kith-bench-")
        self.counted = {}
        self.end = threading.Event()  # parts that run side by side end early
        cpus = sorted(os.sched_getaffinity(0))
        self.cpu = cpus[-1]
        # What measures does not sit where the measured runs.
        if len(cpus) > 1:
            os.sched_setaffinity(0, cpus[:-1])
        self.all_cpus = cpus

    def helper(self, name):
        return os.path.join(self.build, "tests", "bench", name)

    def make_folder(self, name):
        return tempfile.mkdtemp(prefix=name + "-", dir=self.folder)

    def close(self):
        if self.keep:
            say(f"kept: {self.folder}")
        else:
            shutil.rmtree(self.folder, ignore_errors=True)


def options():
    here = os.path.dirname(os.path.abspath(__file__))
    parser = argparse.ArgumentParser(
        prog="make bench BENCH_ARGS=", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--build", default=".", help="folder of the build (.)")
    parser.add_argument("--source", default=os.path.dirname(os.path.dirname(here)), help="folder of the sources")
    parser.add_argument(
        "--quick", action="store_true", help="shorter windows, less at 10 s, fewer rounds: under 5 minutes"
    )
    parser.add_argument(
        "--only", metavar="LIST", default="", help="only these, by comma: " + ",".join(k.name for k in cost.SERIES)
    )
    parser.add_argument("--cost-only", action="store_true", help="no latencies")
    parser.add_argument("--latency-only", action="store_true", help="latencies alone")
    parser.add_argument("--promises-only", action="store_true", help="promises alone: make bench-promises")
    parser.add_argument("--sources-only", action="store_true", help="each source's latency and cost: make bench-sources")
    parser.add_argument("--sources", metavar="LIST", default="", help="these sources and peers alone, by comma; with --sources-only")
    parser.add_argument("--json", metavar="FILE", help="write all figures to FILE")
    parser.add_argument("--strict", action="store_true", help="exit with 1 when a budget is not met")
    parser.add_argument("--keep", action="store_true", help="keep the temporary folder")
    o = parser.parse_args()
    o.only = [name for name in o.only.split(",") if name]
    for name in o.only:
        if name not in [k.name for k in cost.SERIES]:
            parser.error(f'--only: there is no "{name}"; there are ' + ", ".join(k.name for k in cost.SERIES))
    if o.cost_only + o.latency_only + o.promises_only + o.sources_only > 1:
        parser.error("--cost-only, --latency-only, --promises-only and --sources-only: one of them")
    return o


def check_start(build):
    """Why this cannot run; None when it can"""
    if os.geteuid() != 0:
        return "it must run as root: the accounting of other programs and network namespaces need it"
    for tool in ("taskset", "unshare", "nsenter", "ip"):
        if not shutil.which(tool):
            return f"{tool} is missing (apt-get install util-linux iproute2)"
    for name in (
        "kithd",
        "kith",
        "tests/bench/bare",
        "tests/bench/latency",
        "tests/bench/sleepers",
        "tests/bench/stamp",
        "tests/bench/bench_promises",
        "tests/host/plugins/level.so",
    ):
        if not os.access(os.path.join(build, name), os.X_OK):
            return f"{name} is not built in {build}: use make bench"
    with open(os.path.join(build, "config.h"), encoding="utf-8") as f:
        if "#define KITH_SANITIZED 1" in f.read():
            return "this build has sanitizers, which cost more than all the rest: configure without --enable-sanitizers"
    return None


def measure(bench, o):
    began = time.monotonic()
    result = {
        "host": {"cpus": os.cpu_count(), "kernel": os.uname().release, "load_before": os.getloadavg()[0]},
        "cost": [],
        "latency": [],
        "promises": None,
        "skipped": [],
        "notes": [],
    }
    version = subprocess.run(
        [os.path.join(bench.build, "kithd"), "--version"], capture_output=True, text=True, check=True
    ).stdout.split()
    result["version"] = version[1]
    if not shutil.which("strace"):
        result["skipped"].append("skipped: system calls: strace is not installed (apt-get install strace)")
    if not (o.latency_only or o.promises_only):
        result["cost"], skipped = cost.run(bench, o.only, o.quick)
        result["skipped"] += skipped
        result["notes"] += [
            f"{k.name}: {k.note}" for k in cost.SERIES if k.note and any(r["program"] == k.name for r in result["cost"])
        ]
    if not (o.cost_only or o.latency_only or o.only):
        result["promises"], skipped = promises.run(bench, o.quick)
        result["skipped"] += skipped
    if not (o.cost_only or o.promises_only):
        os.sched_setaffinity(0, bench.all_cpus)
        result["latency"], skipped = latency.run(bench, o.quick)
        result["skipped"] += skipped
    result["budgets"] = report.budgets(result["cost"], result["latency"]) + report_promises.budgets(result["promises"])
    result["host"]["load_after"] = os.getloadavg()[0]
    result["seconds"] = time.monotonic() - began
    if result["host"]["load_before"] > 0.5 * os.cpu_count():
        result["notes"].append("the host was busy with other things: the figures are higher than on an idle one")
    return result


def main():
    o = options()
    why = check_start(o.build)
    if why:
        print(f"bench: {why}", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    bench = Bench(o.build, o.source, o.keep)
    try:
        if o.sources_only:
            os.sched_setaffinity(0, bench.all_cpus)
            found = sources.run(bench, o.quick, [name for name in o.sources.split(",") if name])
            print(sources.text(found.rows, found.left, found.notes), flush=True)
            if o.json:
                report.write_json(o.json, {"sources": found.rows, "notes": found.notes, "left": found.left})
            return 0
        result = measure(bench, o)
    except KeyboardInterrupt:
        print("bench: stopped", file=sys.stderr)
        return 130
    finally:
        bench.close()
    print(report.text(result), flush=True)
    if o.json:
        report.write_json(o.json, result)
    return 1 if o.strict and not all(b["met"] for b in result["budgets"]) else 0


if __name__ == "__main__":
    sys.exit(main())
