"""make bench-history: what it costs to keep history, kithd beside collectd's RRD files, pmlogger and netdata.

All of them run side by side, at 10 s, their rounds at different times: what one measures is what all had. kithd is there twice. One folds every two
minutes. The other lives ten times as fast: rounds of 1 s, steps of 1 s, archives a tenth as long, a fold every 6 minutes, which has what the fold of
an hour has at 10 s. From that fold, and from what the first one's daemon writes, comes the row of kithd as it is by default.
"""
import argparse
import json
import os
import signal
import subprocess
import sys
import threading
import time

import report
from bench import Bench
from kith import Kithd, kithd_argv
from measure import Group, Snapshot, allocated, files, io, memory, say
from peers import Collectd, CollectdRrd, Netdata, Pmlogger, is_up
from tables import aligned, number

INTERVAL = 10
SETTLE = 60  # s; collectd's files are made at its first round, kithd's by a fold after 30 s
FIRST_FOLD = 30
DAY = 24 * 60  # minutes
KIB, MB = 1024, 1_000_000
BUDGET_MB = 0.2  # bytes written a minute with history in RRD


def uncache(path):
    """Takes files out of the page cache. What a program has just made lies there in folios of up to 2 MiB on a kernel that has these for the file
    system, and one byte that is changed by way of a mapping makes a whole folio dirty, which all goes to the disk."""
    for name in files(path):
        fd = os.open(name, os.O_RDONLY)
        os.fsync(fd)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(fd)


class KithdHistory(Kithd):
    """Folds after 30 s, which makes the files, then every FOLD"""

    name = "kithd, fold 2 min"
    fold = 120
    interval = INTERVAL
    archives = ""
    grows = False
    note = "the ten base plugins, no interfaces that are down; a fold every two minutes"

    def config(self, fold):
        down = [name for name in sorted(os.listdir("/sys/class/net")) if not is_up(name)]
        text = f"interval = {self.interval}s\nsteady_interval = {self.interval}s\n" + self.others()
        text += f"plugin interface {{ ignore = {json.dumps(down)} }}\n" if down else ""
        return text + f"journal {{ fold = {fold}s\n step = {self.interval}s\n {self.archives} }}\n"

    def prepare(self, interval):
        return kithd_argv(self.bench, self.folder, self.file("kith.conf", self.config(FIRST_FOLD)), self.promise_dir()), {}

    def settled(self):
        """Its files are there: from now on it folds as it is to"""
        if not allocated(self.kept()):
            raise RuntimeError(f"nothing was folded within {SETTLE} s")
        self.file("kith.conf", self.config(self.fold))
        os.kill(self.process.pid, signal.SIGHUP)

    def kept(self):
        return os.path.join(self.folder, "state", "rrd")

    def last_folded(self):
        try:
            with open(os.path.join(self.folder, "state", "journal", "folded"), encoding="ascii") as f:
                return f.read().strip()
        except OSError:
            return ""


class KithdFast(KithdHistory):
    name = "kithd, tenfold time"
    fold = 360
    interval = 1
    archives = 'archives = "1s:36min,6s:288min,1min:2016min,12min:105120min"'
    note = ""


class CollectdPlain(CollectdRrd):
    name = "collectd rrdtool"
    cache = 0
    grows = False
    note = "CacheTimeout 0, its default"

    @property
    def writer(self):
        return f'LoadPlugin rrdtool\n<Plugin rrdtool>\nDataDir "{self.folder}/rrd"\nCacheTimeout {self.cache}\n</Plugin>\n'

    def kept(self):
        return os.path.join(self.folder, "rrd")


class CollectdCached(CollectdPlain):
    name = "collectd rrdtool, cache"
    cache = 120
    note = "CacheTimeout 120: a crash costs up to so many s"


class CollectdDaemon(CollectdPlain):
    name = "collectd rrdcached"
    cached = "/usr/bin/rrdcached"
    note = "-w 120 and its journal, as Debian starts it; both processes"

    def absent(self):
        why = super().absent()
        if not why and not os.access(self.cached, os.X_OK):
            self.package = "rrdcached"
            why = "rrdcached is not installed"
        return why

    @property
    def writer(self):
        return f'LoadPlugin rrdcached\n<Plugin rrdcached>\nDaemonAddress "unix:{self.folder}/s"\nDataDir "{self.folder}/rrd"\n</Plugin>\n'

    def prepare(self, interval):
        argv, environment = super().prepare(interval)
        self.sub_folder("rrd")
        self.sub_folder("journal")
        cached = f"{self.cached} -g -B -R -l unix:{self.folder}/s -w 120 -j {self.folder}/journal -b {self.folder}/rrd -p {self.folder}/cached.pid"
        # The shell waits for both, so that it has their accounting.
        return ["sh", "-c", f"trap : TERM; {cached} & sleep 1; {' '.join(argv)} & wait; wait; wait"], environment


class PmloggerHistory(Pmlogger):
    grows = True
    note = "-o, an archive that grows"

    def kept(self):
        return os.path.join(self.folder, "archive.*")


class NetdataHistory(Netdata):
    name = "netdata dbengine"
    database = {"mode": "dbengine"}
    grows = True
    late = True  # what is there comes at its end
    note = "pages of 1024 values a series wait in memory until they are full: almost 3 h at 10 s"

    def kept(self):
        return os.path.join(self.folder, "cache", "dbengine*", "*")


PROGRAMS = [KithdHistory, KithdFast, CollectdPlain, CollectdCached, CollectdDaemon, PmloggerHistory, NetdataHistory]


class Folds:
    """Looks for kithd's children: how many folds there were, and the most anonymous memory of one"""

    def __init__(self, program):
        self.program = program
        self.count = self.peak = 0
        self.end = threading.Event()
        self.thread = threading.Thread(target=self.look, daemon=True)
        self.thread.start()

    def look(self):
        path = f"/proc/{self.program.process.pid}/task/{self.program.process.pid}/children"
        last = self.program.last_folded()
        rounds = 0
        while not self.end.wait(0.02):
            try:
                with open(path, encoding="ascii") as f:
                    for pid in f.read().split():
                        self.peak = max(self.peak, memory(int(pid))[1])
            except OSError:
                pass
            rounds += 1
            if rounds % 25 == 0 and self.program.last_folded() != last:
                last = self.program.last_folded()
                self.count += 1

    def close(self):
        self.end.set()
        self.thread.join()


class Moment:
    """What a program has used up to now, and what of it its children had that have ended"""

    def __init__(self, program, group):
        pid = program.process.pid
        whole = Snapshot(pid)
        self.time = whole.time
        self.disk, self.passed, self.writes = whole.disk, whole.passed, whole.writes
        self.cpu_ns = group.cpu_ns()
        self.own_cpu_ns = time.clock_gettime_ns((~pid << 3) | 2)
        alive = [io(f"{pid}/task/{task}") for task in os.listdir(f"/proc/{pid}/task")]
        self.own = {key: sum(t[key] for t in alive) for key in ("write_bytes", "wchar", "syscw")}
        self.samples = sum(p["samples"] for name, p in program.parts().items() if name != "kith")


class Run:
    """One program, from its start to its end"""

    def __init__(self, program):
        self.program = program
        self.group = self.folds = self.before = self.after = None
        self.born = self.age = 0.0
        self.space_before = self.space = self.ended = self.anonymous = 0

    def start(self, phase):
        say(f"starting {self.program.name}")
        time.sleep((phase - time.time()) % INTERVAL)
        self.born = time.monotonic()
        self.program.start(INTERVAL)
        self.group = Group("kith-bench", self.program.process.pid)

    def begin(self, warm):
        self.program.check()
        if isinstance(self.program, KithdHistory):
            self.program.settled()
            self.folds = Folds(self.program)
        if not warm:
            uncache(self.program.kept())
        self.space_before = allocated(self.program.kept())
        self.before = Moment(self.program, self.group)

    def end(self):
        """After the window: what it held back until it ended counts for itself."""
        p = self.program
        p.check()
        self.after = Moment(p, self.group)
        self.anonymous = memory(p.process.pid)[1]
        if self.folds:
            self.folds.close()
        before = Snapshot(p.process.pid).disk
        p.end()
        self.ended = io(p.process.pid)["write_bytes"] - before  # a zombie has it still, and what its children did
        self.space = allocated(p.kept())
        self.age = time.monotonic() - self.born

    def row(self):
        p, a, b = self.program, self.before, self.after
        minutes = (b.time - a.time) / 60
        rounds = minutes * 60 / INTERVAL
        values = (b.samples - a.samples) / rounds if b.samples else p.values() or p.bench.counted.get(p.name)
        cpu = (b.cpu_ns - a.cpu_ns) / 1000
        if not p.grows:
            space = self.space
        elif getattr(p, "late", False):
            space = (self.space - self.space_before) / self.age * 60 * DAY
        else:
            space = (self.space - self.space_before) / minutes * DAY
        return {
            "program": p.name,
            "values": values,
            "minutes": minutes,
            "disk": (b.disk - a.disk) / minutes,
            "samples": values and values * 60 / INTERVAL,
            "passed": (b.passed - a.passed) / minutes,
            "writes": (b.writes - a.writes) / minutes,
            "cpu_us_value": cpu / rounds / values if values else None,
            "space_day": space,
            "anonymous": self.anonymous,
            "at_end": self.ended,
            "note": p.note,
        }

    def fold(self):
        """What a fold was, on average; None: there was none"""
        a, b, n = self.before, self.after, self.folds.count
        if not n:
            return None

        def children(of, whole, key):
            return whole - of.own[key]

        return {
            "program": self.program.name,
            "folds": n,
            "disk": (children(b, b.disk, "write_bytes") - children(a, a.disk, "write_bytes")) / n,
            "passed": (children(b, b.passed, "wchar") - children(a, a.passed, "wchar")) / n,
            "writes": (children(b, b.writes, "syscw") - children(a, a.writes, "syscw")) / n,
            "cpu_us": ((b.cpu_ns - a.cpu_ns) - (b.own_cpu_ns - a.own_cpu_ns)) / 1000 / n,
            "samples": (b.samples - a.samples) / (b.time - a.time) * self.program.fold,
            "anonymous": self.folds.peak,
        }

    def close(self):
        if self.folds:
            self.folds.close()
        self.program.stop()
        if self.group:
            self.group.close()
            self.group = None


def by_default(real, hour):
    """kithd with a fold an hour: what the daemon writes at 10 s, and a sixtieth of a fold of an hour's samples"""
    a, b, row = real.before, real.after, real.row()
    minutes = row["minutes"]
    samples = row["values"] * minutes * 60 / INTERVAL
    own_cpu = (b.own_cpu_ns - a.own_cpu_ns) / 1000
    passed = (b.own["wchar"] - a.own["wchar"]) / minutes
    return {
        **row,
        "program": "kithd",
        "disk": (b.own["write_bytes"] - a.own["write_bytes"]) / minutes + hour["disk"] / 60,
        "passed": passed + hour["passed"] / 60,
        "writes": (b.own["syscw"] - a.own["syscw"]) / minutes + hour["writes"] / 60,
        "cpu_us_value": own_cpu / samples + hour["cpu_us"] / hour["samples"],
        "space_day": real.space + passed * 60,
        "note": "a fold an hour, its default: computed, see below",
    }


def wanted(bench):
    programs, skipped = [], []
    for kind in PROGRAMS:
        program = kind(bench)
        why = program.absent()
        if why:
            skipped.append(f"skipped: {program.name}: {why} (apt-get install {program.package})")
            say(skipped[-1])
        else:
            programs.append(program)
    return programs, skipped


def count_values(run):
    program = run.program
    count = program.count_values()
    if count is not None:
        program.bench.counted[program.name] = count
        if isinstance(program, Collectd):
            program.bench.counted.setdefault(Collectd.name, count)


def step(runs, skipped, call):
    """Of each program; those that fail are left out, but not kithd"""
    good = []
    for r in runs:
        try:
            call(r)
            good.append(r)
        except (RuntimeError, OSError, subprocess.SubprocessError) as error:
            r.close()
            if isinstance(r.program, KithdHistory):
                raise
            skipped.append(f"skipped: {r.program.name}: {error}")
            say(skipped[-1])
    return good


def run_all(bench, seconds, warm):
    """(runs, skipped)"""
    programs, skipped = wanted(bench)
    runs = [Run(p) for p in programs]
    phases = {p.name: 0.7 + i * INTERVAL / (len(programs) + 1) for i, p in enumerate(programs)}
    try:
        say("counting values")
        runs = step(runs, skipped, count_values)
        runs = step(runs, skipped, lambda r: r.start(phases[r.program.name]))
        time.sleep(SETTLE)
        runs = step(runs, skipped, lambda r: r.begin(warm))
        say(f"measuring for {seconds} s")
        time.sleep(seconds)
        runs = step(runs, skipped, lambda r: r.end())
    finally:
        for r in runs:
            r.close()
    return runs, skipped


def result_of(runs, skipped):
    real = next(r for r in runs if type(r.program) is KithdHistory)
    fast = next(r for r in runs if type(r.program) is KithdFast)
    folds = [f for f in (real.fold(), fast.fold()) if f]
    rows = [r.row() for r in runs if r is not fast]
    hour = next((f for f in folds if f["program"] == KithdFast.name), None)
    if hour:
        rows.insert(0, by_default(real, hour))
    budgets = []
    for r in rows:
        limit = BUDGET_MB if r["program"] == "kithd" else None
        value = r["disk"] / MB
        budgets.append({"what": f"{r['program']}: MB written a minute", "value": value, "limit": limit, "met": limit is None or value <= limit})
    return {"rows": rows, "folds": folds, "budgets": budgets, "skipped": skipped}


def main_table(rows):
    base = rows[0]
    lines = []
    for r in rows:
        lines.append(
            [
                r["program"],
                number(r["values"]),
                number(r["disk"] / KIB, 1),
                number(r["disk"] / base["disk"], 2),
                number(r["disk"] / r["samples"] if r["samples"] else None, 1),
                number(r["passed"] / KIB, 1),
                number(r["writes"], 1),
                number(r["cpu_us_value"], 2),
                number(r["cpu_us_value"] / base["cpu_us_value"], 2) if r["cpu_us_value"] else "-",
                number(r["space_day"] / MB, 1),
                number(r["anonymous"] / (1 << 20), 2),
                number(r["at_end"] / KIB),
            ]
        )
    header = ["program", "series", "disk KiB/min", "x kithd", "B/sample", "written KiB/min", "writes/min", "CPU us/sample"]
    return aligned(header + ["x kithd", "MB a day", "anon MiB", "at its end KiB"], lines)


def fold_table(folds):
    if not folds:
        return []
    lines = [
        [
            f["program"],
            str(f["folds"]),
            number(f["samples"]),
            number(f["disk"] / KIB),
            number(f["passed"] / KIB),
            number(f["writes"]),
            number(f["cpu_us"] / 1000, 1),
            number(f["cpu_us"] / f["samples"], 2),
            number(f["anonymous"] / (1 << 20), 2),
        ]
        for f in folds
    ]
    header = ["a fold, with its process", "folds", "samples", "disk KiB", "written KiB", "writes", "CPU ms", "us/sample", "anon MiB"]
    return [""] + aligned(header, lines)


NOTES = [
    "disk: write_bytes of /proc/PID/io, pages made dirty, by children that ended too: in whole pages, those of mapped files too. Not the file",
    "  system's own journal. written: wchar, what was handed to write calls, sockets included; librrd writes through a mapping, which are no calls.",
    "CPU: the control group's, of the daemon and all that it starts, from gathering to the file; a sample is a value of a round",
    "MB a day: RRD files are as large as they ever become, those of kithd for two years, those of collectd for one; growth of an archive, scaled to a",
    "  day. kithd's with an hour of its journal",
    "RRD files were taken out of the page cache before, as after a start of the host: --warm leaves them as they were made there",
    "at its end: made dirty from SIGTERM to the end: what had waited in memory, and in no other column",
]
COMPUTED = (
    "kithd: what the daemon at 10 s wrote and used itself, and of folds what those of the second kithd did, which lives ten times as fast: rounds and\n"
    "  steps of 1 s, archives a tenth as long, a fold each 6 min: as many rows and samples as an hour has. A 60th of one counts for a minute.\n"
    "  Nothing else is scaled."
)
NOT_COMPUTED = f"kithd as it is by default: not computed, there was no fold of an hour's samples: --seconds {KithdFast.fold + 20} or more"


def text(result, seconds):
    lines = [f"history, every {INTERVAL} s, side by side for {seconds} s"]
    lines += main_table(result["rows"]) + fold_table(result["folds"]) + report.budget_table(result["budgets"]) + [""]
    lines += result["skipped"] + NOTES
    lines.append(COMPUTED if result["rows"][0]["program"] == "kithd" else NOT_COMPUTED)
    return "\n".join(lines + [f"{r['program']}: {r['note']}" for r in result["rows"] if r["note"]])


def options():
    here = os.path.dirname(os.path.abspath(__file__))
    parser = argparse.ArgumentParser(
        prog="make bench-history BENCH_ARGS=", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--build", default=".", help="folder of the build (.)")
    parser.add_argument("--source", default=os.path.dirname(os.path.dirname(here)), help="folder of the sources")
    parser.add_argument("--seconds", type=int, default=750, help="how long to look (750): six folds, and two of an hour's samples")
    parser.add_argument("--quick", action="store_true", help="--seconds 390: three folds, and one of an hour's samples")
    parser.add_argument("--warm", action="store_true", help="leave files in the page cache as they were made")
    parser.add_argument("--json", metavar="FILE", help="write all figures to FILE")
    parser.add_argument("--keep", action="store_true", help="keep the temporary folder")
    return parser.parse_args()


def main():
    o = options()
    if os.geteuid() != 0:
        print("history: it must run as root: the accounting of other programs needs it", file=sys.stderr)
        return 2
    seconds = 390 if o.quick else o.seconds
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    bench = Bench(o.build, o.source, o.keep)
    try:
        kind = subprocess.run(["stat", "-fc", "%T", bench.folder], capture_output=True, text=True, check=False).stdout.strip()
        if kind == "tmpfs":
            print("history: TMPDIR is a tmpfs, where nothing counts as written: set it to a folder on a disk", file=sys.stderr)
            return 2
        result = result_of(*run_all(bench, seconds, o.warm))
    except KeyboardInterrupt:
        print("history: stopped", file=sys.stderr)
        return 130
    finally:
        bench.close()
    print(text(result, seconds), flush=True)
    if o.json:
        report.write_json(o.json, result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
