"""What is printed of promises."""
from holders import CANNOT
from tables import aligned, number

MIB = 1 << 20
SAMPLE_NS = 100  # a sample through a promise that names it
MANY_RATIO = 1.25  # 10,000 loaded, of 10: two medians of the same thing differ


def sample(found, group, what):
    return next((r for r in found["samples"] if (r["group"], r["what"]) == (group, what)), None)


def spread(r):
    return [number(r["ns"], 1), number(r["min_ns"], 1), number(r["max_ns"], 1)]


def samples_tables(found):
    if not found["samples"]:
        return []
    none = sample(found, "number", "none")
    lines = []
    for r in found["samples"]:
        if r["group"] in ("number", "spread"):
            on = int(r["what"].split(",")[0]) if r["group"] == "number" and r["what"] != "none" else 0
            each = (r["ns"] - none["ns"]) / on if on else None
            lines.append([r["what"]] + spread(r) + [number(each, 1), number(r["allocations"])])
    text = ["", "ns a sample, by how many promises name its series and how many are loaded: median, min, max of rounds"]
    text += aligned(["promises", "ns", "min", "max", "a promise", "allocations"], lines)
    lines = [
        [r["what"]] + spread(r) + [number(r["allocations"])]
        for r in found["samples"]
        if r["group"] in ("condition", "record")
    ]
    text += ["", "ns a sample through one promise, by its condition; the last ones: ns a record"]
    text += aligned(["condition", "ns", "min", "max", "allocations"], lines)
    return text + functions_table(found)


def functions_table(found):
    lines = []
    names = []
    for r in found["samples"]:
        if r["group"] in ("two", "1m", "1h") and r["what"] not in names:
            names.append(r["what"])
    for name in names:
        short, long = sample(found, "1m", name), sample(found, "1h", name)
        without = sample(found, "two", name)
        lines.append(
            [name]
            + (spread(without) if without else ["-"] * 3)
            + (spread(short) if short else ["-"] * 3)
            + (spread(long) if long else ["-"] * 3)
        )
    header = ["function", "no window", "min", "max", "1 min", "min", "max", "1 h", "min", "max"]
    return [
        "",
        "ns a sample through `f(x) < c`, a sample a second: no window, one of a minute, one of an hour",
    ] + aligned(header, lines)


def loads_table(found):
    if not found["loads"]:
        return []
    lines = [
        [
            r["what"],
            number(r["bytes"]),
            number(r["check_ms"], 1),
            number(r["load_ms"], 1),
            number(r["load_ms"] - r["check_ms"], 1),
            number(r["again_ms"], 1),
            number(r["drop_ms"], 1),
        ]
        for r in found["loads"]
    ]
    header = [
        "10,000 promises",
        "bytes each",
        "read, check ms",
        "load ms",
        "of it bind",
        "unchanged again ms",
        "dropped ms",
    ]
    return ["", "memory (what malloc gave, windows with a minute of samples) and loading"] + aligned(header, lines)


def rules_table(found):
    if not found["rules"]:
        return []
    lines = [
        [
            r["program"],
            number(r["rules"]),
            number(r["cpu_us"]),
            number(r["cpu_us_rule"], 2),
            number(min(r["windows_cpu_us"])),
            number(max(r["windows_cpu_us"])),
            number(r["start_us"] / 1000, 1),
            number(r["anonymous"] / MIB, 2),
            number(r["rss"] / MIB, 1),
        ]
        for r in sorted(found["rules"], key=lambda r: (r["program"], r["rules"]))
    ]
    header = ["program", "rules", "CPU us/round", "us/rule", "min", "max", "start CPU ms", "anon MiB", "RSS MiB"]
    text = ["", "the same rules held, every 1 s; us/rule: what they add to the same program without rules"]
    text += aligned(header, lines)
    text += [
        "pmcd: what pmie asks. pmie without rules asks for nothing: its first rules pay for the values too",
        "us/rule is a difference of two runs: where that is less than min to max of either, it is noise",
    ]
    return text + ["", "what each can say"] + CANNOT


def cpu_minute(r, key):
    return [number(r[key]["cpu_us"]), number(r[key]["wakeups"])] if key in r else ["-", "-"]


def crossings(rows, what, unit):
    if not rows:
        return []
    lines = []
    for r in rows:
        times = [number(r.get(k), 1) for k in ("min_ms", "p50_ms", "p99_ms", "max_ms")]
        lines.append(
            [r["program"], number(r["crossings"] or None), *times, number(r.get("missed"))]
            + cpu_minute(r, "far")
            + cpu_minute(r, "near")
        )
    header = ["program", "crossings", "min", "p50", "p99", "max", "missed"]
    header += ["far us/min", "wake-ups", "near us/min", "wake-ups"]
    return ["", f"{what}: ms from the system call that crosses to the action's first instruction; {unit}"] + aligned(
        header, lines
    )


def tables(found):
    if not found:
        return []
    cost = "CPU and wake-ups a minute, far from the threshold and close to it"
    return (
        samples_tables(found)
        + loads_table(found)
        + rules_table(found)
        + crossings(found["room"], "room on a file system, every 1 s", cost)
        + crossings(found["level"], "attention alone, every 10 s", cost)
    )


def cpu_of(rows, n, *programs):
    """Of a rule and round; None: not all of them ran"""
    found = [r["cpu_us_rule"] for r in rows if r["rules"] == n and r["program"] in programs]
    return sum(found) if len(found) == len(programs) else None


def budgets(found):
    """[{what, value, limit, met}]; those without a limit are for information"""
    rows = []

    def add(what, value, limit=None):
        rows.append({"what": what, "value": value, "limit": limit, "met": limit is None or value <= limit})

    if not found:
        return rows
    one, many = sample(found, "number", "1, 10 loaded"), sample(found, "number", "1, 10000 loaded")
    if one and many:
        add("a sample through a promise that names it, ns", one["ns"], SAMPLE_NS)
        steady = [r for r in found["samples"] if r["group"] != "record"]
        add("allocations on a sample's way, all conditions and functions", sum(r["allocations"] for r in steady), 0)
        add("10,000 promises loaded, one sample: of that with 10", many["ns"] / one["ns"], MANY_RATIO)
    cold = [sample(found, "spread", f"10000 series in turn, {which}") for which in ("no promise", "a promise each")]
    if all(cold):
        add("a promise, of 10,000 series in turn (caches cold), ns", cold[1]["ns"] - cold[0]["ns"])
    most = max((r["rules"] for r in found["rules"]), default=0)
    own = cpu_of(found["rules"], most, "kithd") if most else None
    for name, programs in (("collectd", ["collectd"]), ("pmie", ["pmie"]), ("pmie and pmcd", ["pmie", "pmcd"])):
        value = cpu_of(found["rules"], most, *programs) if most else None
        if own and own > 0 and value is not None:
            add(f"CPU of a rule, {most} held: {name}, of kithd's", value / own)
    own = next((r for r in found["room"] if r["program"] == "kithd" and r.get("p50_ms")), None)
    for r in found["room"]:
        if own and r is not own and r.get("p50_ms"):
            add(f"crossing to action, p50: {r['program']}, of kithd's", r["p50_ms"] / own["p50_ms"])
    return rows
