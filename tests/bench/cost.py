"""Costs: each program alone, its windows, with few and with many processes on the host."""
import http.client
import statistics
import subprocess
import time

from kith import Bare, Kithd, KithdAll, KithdPromises
from measure import Snapshot, between_ticks, fill_to, memory, processes, say, system_calls, window
from peers import PEERS

SERIES = [Bare, Kithd, KithdPromises, KithdAll] + PEERS
FEW, MANY = 100, 600


class Plan:
    """How long to look: windows and rounds in a window, by interval"""

    def __init__(self, quick):
        self.windows = {1: 3 if quick else 6, 10: 1 if quick else 2}
        self.windows_many = {1: 2 if quick else 4, 10: 1}
        self.rounds = {1: 1 if quick else 2, 10: 1}
        self.rounds_traced = 2 if quick else 3
        self.quick = quick

    def slow_interval(self, program):
        return not self.quick or isinstance(program, Kithd)

    def many(self, interval):
        return not self.quick or interval == 1


def median(windows, key):
    return statistics.median(w[key] for w in windows)


def measure_windows(bench, program, interval, count, rounds):
    windows = []
    parts = program.parts()
    whole = Snapshot(program.process.pid)
    for _ in range(count):
        between_ticks(interval)
        windows.append(window(program.process.pid, interval, rounds))
        program.check()
    whole_us = (Snapshot(program.process.pid).cpu_ns - whole.cpu_ns) / 1000
    parts = parts_between(parts, program.parts(), whole_us)
    rss, anonymous = memory(program.process.pid)
    result = {key: median(windows, key) for key in windows[0]}
    # What is written comes in bursts: all of it, over all of the time
    for key in ("disk_bytes", "passed_bytes"):
        result[key] = statistics.mean(w[key] for w in windows)
    result.update(
        {
            "program": program.name,
            "interval": interval,
            "processes": processes(),
            "rss": rss,
            "anonymous": anonymous,
            "windows_cpu_us": [w["cpu_us"] for w in windows],
            "system_calls": None,
            "values": None,
            "parts": parts,
        }
    )
    return result


def parts_between(before, after, whole_us):
    """[{name, cpu_us, values}]: a round of each part, on average, and what is left of the whole"""
    none = {"calls": 0, "cpu_ns": 0, "samples": 0}
    gone = {name: {k: part[k] - before.get(name, none)[k] for k in none} for name, part in after.items()}
    gone = {name: part for name, part in gone.items() if part["calls"] > 0}
    # Most parts are called by the tick alone, and once each; some less often.
    rounds = statistics.median(part["calls"] for part in gone.values()) if gone else 0
    found = [
        {"name": name, "cpu_us": part["cpu_ns"] / 1000 / rounds, "values": part["samples"] / rounds}
        for name, part in gone.items()
    ]
    found.sort(key=lambda part: -part["cpu_us"])
    if found:
        rest = whole_us / rounds - sum(part["cpu_us"] for part in found)
        found.append({"name": "loop, wake-up", "cpu_us": rest, "values": None})
    return found


def measure_program(bench, program, interval, plan, traced=True):
    """Rows with few and with many processes"""
    rows = []
    sleepers = fill_to(bench.helper("sleepers"), FEW)
    try:
        program.start(interval)
        time.sleep(program.settle + (2 if interval > 1 and not plan.quick else 0))
        for many in (False, True) if plan.many(interval) else (False,):
            wanted = MANY if many else FEW
            if many:
                sleepers.close()
                sleepers = fill_to(bench.helper("sleepers"), wanted)
                time.sleep(0.5)
            windows = plan.windows_many if many else plan.windows
            rounds = program.rounds or plan.rounds[interval]
            row = measure_windows(bench, program, interval, windows[interval], rounds if interval == 1 else 1)
            row["wanted"] = wanted
            rows.append(row)
            say(f"  {program.name:15} {interval:3} s  {row['processes']:4} processes  {row['cpu_us']:9.0f} us a round")
            if traced and interval == 1 and not many:
                row["system_calls"] = system_calls(program.process.pid, interval, plan.rounds_traced, program.folder)
                program.check()
        values = program.values()
        if values is None:
            values = bench.counted.get(program.name)
        for row in rows:
            row["values"] = values or sum(p["values"] or 0 for p in row["parts"] if p["name"] != "kith")
    finally:
        program.stop()
        sleepers.close()
    return rows


def again(bench, programs, rows, plan):
    """kithd and the bare daemon once more, after all others: what both runs measured counts, so that a host that got
    slower or faster meanwhile shows less in their ratio."""
    for program in programs:
        if type(program) not in (Bare, Kithd):
            continue
        say(f"{program.name} again")
        for new in measure_program(bench, program, 1, plan, traced=False):
            old = next(
                r for r in rows if (r["program"], r["interval"], r["wanted"]) == (new["program"], 1, new["wanted"])
            )
            old["windows_cpu_us"] += new["windows_cpu_us"]
            old["cpu_us"] = statistics.median(old["windows_cpu_us"])


def wanted_programs(bench, only):
    """Programs that are there and asked for; the others are told of"""
    programs, skipped = [], []
    for kind in SERIES:
        program = kind(bench)
        if only and program.name not in only and not (program.name == "bare" and "kithd" in only):
            continue
        why = program.absent()
        if why:
            skipped.append(
                f"skipped: {program.name}: {why}" + (f" (apt-get install {program.package})" if program.package else "")
            )
            say(skipped[-1])
        else:
            programs.append(program)
    return programs, skipped


def run(bench, only, quick):
    """(rows, skipped)"""
    plan = Plan(quick)
    rows = []
    programs, skipped = wanted_programs(bench, only)
    for program in programs:
        say(f"{program.name}: counting its values" if program.package else program.name)
        try:
            count = program.count_values()
            if count is not None:
                bench.counted[program.name] = count
            for interval in program.intervals:
                if interval == 1 or plan.slow_interval(program):
                    rows += measure_program(bench, program, interval, plan)
        except (RuntimeError, OSError, subprocess.SubprocessError, http.client.HTTPException) as error:
            programs = [p for p in programs if p is not program]
            skipped.append(f"skipped: {program.name}: {error}")
            say(skipped[-1])
        finally:
            program.stop()
    again(bench, programs, rows, plan)
    for row in rows:
        row["cpu_us_value"] = row["cpu_us"] / row["values"] if row["values"] else None
    return rows, skipped
