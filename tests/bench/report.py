"""What is printed and what is written as JSON."""
import json

import report_promises
from cost import FEW, MANY
from latency import REFERENCE
from tables import aligned, number

MIB = 1 << 20


def find(rows, program, interval, wanted):
    return next((r for r in rows if (r["program"], r["interval"], r["wanted"]) == (program, interval, wanted)), None)


def cost_table(rows, interval, wanted):
    here = [r for r in rows if r["interval"] == interval and r["wanted"] == wanted]
    if not here:
        return []
    of_kithd = find(rows, "kithd", interval, wanted)
    lines = []
    for r in here:
        ratio = r["cpu_us"] / of_kithd["cpu_us"] if of_kithd and of_kithd["cpu_us"] else None
        lines.append(
            [
                r["program"],
                number(r["cpu_us"]),
                number(ratio, 2),
                number(r["values"]),
                number(r["cpu_us_value"], 2),
                number(r["system_calls"]),
                number(r["switches"], 1),
                number(r["wakeups"]),
                number(r["rss"] / MIB, 1),
                number(r["anonymous"] / MIB, 2),
                number(r["disk_bytes"] / 1024),
                number(r["passed_bytes"] / 1024),
            ]
        )
    header = [
        "program",
        "CPU us/round",
        "x kithd",
        "values",
        "us/value",
        "calls/round",
        "switches/round",
        "wake-ups/min",
        "RSS MiB",
        "anon MiB",
        "disk KiB/min",
        "written KiB/min",
    ]
    title = f"every {interval} s, {here[0]['processes']} processes"
    return ["", title] + aligned(header, lines)


def growth_table(rows):
    """What 500 more processes do to a round"""
    lines = []
    for r in rows:
        more = find(rows, r["program"], r["interval"], MANY)
        if r["wanted"] == FEW and r["interval"] == 1 and more:
            lines.append(
                [
                    r["program"],
                    number(r["cpu_us"]),
                    number(more["cpu_us"]),
                    number(more["cpu_us"] / r["cpu_us"], 2) if r["cpu_us"] else "-",
                ]
            )
    return (
        ["", f"us a round at 1 s, with {FEW} and with {MANY} processes"]
        + aligned(["program", str(FEW), str(MANY), "ratio"], lines)
        if lines
        else []
    )


def parts_table(rows):
    """kithd's own accounting of a round, by plugin; the rest is the loop, the wake-up and the accounting itself"""
    r = find(rows, "kithd", 1, FEW)
    if not r or not r["parts"]:
        return []
    lines = [[p["name"], number(p["cpu_us"], 1), number(p["values"])] for p in r["parts"]]
    return ["", "kithd at 1 s, by plugin (kith cost)"] + aligned(["plugin", "CPU us/round", "values"], lines)


def latency_table(rows):
    if not rows:
        return []
    bare = {r["what"]: r["p50_us"] for r in rows if r["to"].startswith("bare")}
    lines = [
        [
            f"{r['what']} to {r['to']}",
            str(r["rounds"]),
            number(r["min_us"]),
            number(r["p50_us"]),
            number(r["p99_us"]),
            number(r["max_us"]),
            number(r["p50_us"] - bare[r["what"]] if r["what"] in bare else None),
        ]
        for r in rows
    ]
    return (
        ["", "latencies, us"]
        + aligned(["from the system call", "rounds", "min", "p50", "p99", "max", "p50 - bare"], lines)
        + REFERENCE
    )


def budgets(costs, latencies):
    """[{what, value, limit, met}]: the rows of the design's budgets that this run has measured"""
    found = []

    def add(what, value, limit):
        found.append({"what": what, "value": value, "limit": limit, "met": value <= limit})

    bare, kithd, many = find(costs, "bare", 1, FEW), find(costs, "kithd", 1, FEW), find(costs, "kithd", 1, MANY)
    slow = find(costs, "kithd", 10, FEW)
    if bare and kithd and bare["cpu_us"]:
        add("CPU at 1 s, of the bare daemon's", kithd["cpu_us"] / bare["cpu_us"], 1.5)
    if kithd and kithd["cpu_us_value"]:
        add("CPU at 1 s, us a value", kithd["cpu_us_value"], 1.5)
    if kithd and many:
        # Two medians of the same thing differ by some percent.
        add(f"the same with {MANY} processes, of that with {FEW}", many["cpu_us"] / kithd["cpu_us"], 1.1)
    if slow or kithd:
        of = slow or kithd
        add("anonymous memory, MiB (no history kept yet)", of["anonymous"] / MIB, 1.0)
        add("RSS, MiB", of["rss"] / MIB, 4.0)
    if slow:
        add("wake-ups a minute at 10 s", slow["wakeups"], 12)
    for r in latencies:
        if r["what"].startswith("promise file") or r["to"].startswith("bare"):
            continue
        if r["to"] == "transition":
            bare_p50 = next(
                (b["p50_us"] for b in latencies if b["what"] == r["what"] and b["to"].startswith("bare")), None
            )
            if bare_p50 is not None:
                add(f"{r['what']} to transition, p50 us above a bare listener's", r["p50_us"] - bare_p50, 100)
            add(f"{r['what']} to transition, p50 us", r["p50_us"], 100)
            add(f"{r['what']} to transition, p99 us", r["p99_us"], 1000)
        else:
            add(f"{r['what']} to action, p50 us", r["p50_us"], 2000)
    return found


def budget_table(found):
    if not found:
        return []
    lines = [
        [
            b["what"],
            number(b["value"], 2),
            number(b["limit"], 2),
            "" if b["limit"] is None else "met" if b["met"] else "NOT MET",
        ]
        for b in found
    ]
    return ["", "budgets, and ratios for information (without a limit)"] + aligned(["what", "is", "at most", ""], lines)


def text(result):
    host, notes = result["host"], result["notes"]
    lines = [
        f"kith {result['version']} on {host['cpus']} processors, Linux {host['kernel']}; "
        f"load {host['load_before']:.2f} before, "
        f"{host['load_after']:.2f} after; {result['seconds']:.0f} s"
    ]
    for interval in (1, 10):
        for wanted in (FEW, MANY):
            lines += cost_table(result["cost"], interval, wanted)
    lines += (
        growth_table(result["cost"])
        + parts_table(result["cost"])
        + latency_table(result["latency"])
        + report_promises.tables(result["promises"])
        + budget_table(result["budgets"])
    )
    if any(r["interval"] == 10 for r in result["cost"]):
        notes = notes + [
            "disk: pages made dirty, each counted once until it is written back: too short a time for mapped files"
        ]
    if result["skipped"] or notes:
        lines.append("")
    return "\n".join(lines + result["skipped"] + notes)


def write_json(path, result):
    with open(path, "w", encoding="utf-8") as f:
        json.dump(result, f, indent=1)
        f.write("\n")
