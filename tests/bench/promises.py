"""Promises: what a sample through them costs, rules beside pmie and collectd's threshold, crossings between rounds."""
import random
import statistics
import subprocess
import time

import detection
from holders import CollectdHolder, KithdHolder, Pmcd, Pmie, collectd_rules, kith_rules, pmie_rules, present
from measure import Snapshot, memory, say

ROUNDS = 2  # in a window


def engine(bench, quick):
    """Rows of bench_promises: {"samples": [...], "loads": [...]}"""
    argv = ["taskset", "-c", str(bench.cpu), bench.helper("bench_promises")] + (["--quick"] if quick else [])
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip())
    samples, loads = [], []
    for line in done.stdout.splitlines():
        kind, *cells = line.split("\t")
        if kind == "sample":
            names = ("group", "what", "ns", "min_ns", "max_ns", "allocations")
            samples.append(dict(zip(names, cells[:2] + [float(c) for c in cells[2:]])))
        else:
            names = ("what", "promises", "bytes", "check_ms", "load_ms", "again_ms", "drop_ms")
            loads.append(dict(zip(names, cells[:1] + [float(c) for c in cells[1:]])))
    return {"samples": samples, "loads": loads}


def make_holders(bench, n, wanted):
    programs = [KithdHolder(bench, kith_rules(n))]
    if "collectd" in wanted:
        programs.append(CollectdHolder(bench, collectd_rules(n)))
    if "pmie" in wanted:
        pmcd = Pmcd(bench)
        programs += [pmcd, Pmie(bench, pmie_rules(n), pmcd)]
    return programs


def sleep_to(phase):
    time.sleep((phase - time.time()) % 1)


def measure_holders(programs, n, windows):
    """One row for each program, all of them side by side: their rounds are at different times of a second."""
    starts = {}
    for p in programs:
        sleep_to(p.phase)
        p.start(1)
        # The first rounds are within that; they are taken off again below.
        time.sleep(0.6)
        starts[p.name] = Snapshot(p.process.pid).cpu_ns / 1000
    time.sleep(3)
    cpu = {p.name: [] for p in programs}
    for _ in range(windows):
        sleep_to(0.85)
        before = {p.name: Snapshot(p.process.pid) for p in programs}
        time.sleep(ROUNDS - 0.1)
        sleep_to(0.85)
        for p in programs:
            after = Snapshot(p.process.pid)
            rounds = round(after.time - before[p.name].time)
            cpu[p.name].append((after.cpu_ns - before[p.name].cpu_ns) / 1000 / rounds)
    rows = []
    for p in programs:
        p.check()
        held = p.held()
        if held not in (None, n):
            raise RuntimeError(f"{p.name} holds {held} of {n} rules")
        rss, anonymous = memory(p.process.pid)
        median = statistics.median(cpu[p.name])
        rows.append(
            {
                "program": p.name,
                "rules": n,
                "cpu_us": median,
                "windows_cpu_us": cpu[p.name],
                "start_us": max(0, starts[p.name] - median),
                "rss": rss,
                "anonymous": anonymous,
            }
        )
        say(f"  {p.name:9} {n:5} rules  {median:8.0f} us a round")
    return rows


def rules(bench, quick, wanted):
    rows = []
    counts = [0, 100] if quick else [0, 10, 100, 1000]
    random.shuffle(counts)
    for n in counts:
        programs = make_holders(bench, n, wanted)
        try:
            rows += measure_holders(programs, n, 3 if quick else 10)
        finally:
            for p in reversed(programs):
                p.stop()
    rows.sort(key=lambda r: r["rules"])
    for row in rows:
        bare = next(r for r in rows if r["program"] == row["program"] and r["rules"] == 0)
        row["cpu_us_rule"] = (row["cpu_us"] - bare["cpu_us"]) / row["rules"] if row["rules"] else None
    return rows


def run(bench, quick):
    """(all that was measured, skipped)"""
    found = {"samples": [], "loads": [], "rules": [], "room": [], "level": []}
    wanted, skipped = present(bench)
    for what, call in (
        ("the engine alone", lambda: found.update(engine(bench, quick))),
        ("rules held", lambda: found.update(rules=rules(bench, quick, wanted))),
    ):
        say("promises: " + what)
        try:
            call()
        except (RuntimeError, OSError, subprocess.SubprocessError) as error:
            skipped.append(f"skipped: promises, {what}: {error}")
            say(skipped[-1])
    say("promises: crossings")
    crossings, missing = detection.run(bench, quick, wanted)
    found.update(crossings)
    return found, skipped + missing
