#!/usr/bin/python3
"""kithd and the kith-fold that it started are killed at any moment, hundreds of times, under load: what was on the disk is told afterwards,
once; the RRD files are those of one fold of all segments that ever were; promises' history, acks, silences and records stand."""
import concurrent.futures
import contextlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from foldtest import FOLD, dumps, fold  # noqa: E402
from kithtest import BUILD, KITH, PLUGINS, TEST_PLUGINS, Suite, environment, install, sanitized, scale, wait_for, write_file  # noqa: E402
from storetest import MS, Copies, segments  # noqa: E402

KITH_LOG = os.path.join(BUILD, "kith-log")
WAIT = 240  # s: it runs with the lowest priority, and may wait for a kith-fold that outlived its kithd
KILLS = int(os.environ.get("KITH_KILLS") or (scale(60, 24) if sanitized() else scale(500, 160)))
FOLDING = ("--step", "1s", "--archives", "1s:1h,10s:1d")
NAMES = ("level:0:value", "probe:0:value", "load:1m", "cpu:total:busy_percent")
CONF = """interval = 100ms
plugin level { from = "%(value)s" }
plugin probe { from = "%(value)s"; records = 4 }
journal { ring = %(ring)s; fold = %(fold)s; step = 1s; archives = "1s:1h,10s:1d" }
"""
PROMISES = """bundle a {
    promise low { promiser level:0 keep level:0:value < 50 }
    promise never { promiser level:0 keep level:0:value < 0 }
    promise same { promiser probe:0 keep probe:0:value >= 0 and rate(probe:0:rounds, 5s) < 1000/s }
    promise load { promiser load keep load:1m >= 0 }
    promise busy { promiser cpu keep cpu:total:busy_percent <= 100.1 }
}
"""
# How much stays in memory, and how often it is folded. What is small loses segments to the RRD files.
LIVES = [{"ring": "64MiB", "fold": "300ms"}, {"ring": "64MiB", "fold": "2s"}, {"ring": "256KiB", "fold": "200ms"}, {"ring": "256KiB", "fold": "700ms"}]
suite = Suite()


def children(pid, name):
    with contextlib.suppress(OSError), open("/proc/%d/task/%d/children" % (pid, pid)) as f:
        for child in map(int, f.read().split()):
            with contextlib.suppress(OSError), open("/proc/%d/comm" % child) as f:
                if f.read().strip() == name:
                    return child
    return None


def all_records(state):
    """As kith-log gives them, in order"""
    request = b"\xb2\x01\x02\x48\x01"
    p = subprocess.run([KITH_LOG, "--state-dir", state], input=len(request).to_bytes(4, "little") + request, capture_output=True, env=environment(),
                       timeout=60)
    frames, at = [], 0
    while at < len(p.stdout):
        size = int.from_bytes(p.stdout[at:at + 4], "little")
        frames.append(p.stdout[at + 4:at + 4 + size])
        at += 4 + size
    assert frames and frames[-1][0] >> 3 == 1, (p.returncode, p.stderr, frames[-1:])
    return [f for f in frames if b"one of many" in f or b"level:0" in f]


class Life:
    """One kithd, again and again"""

    def __init__(self, seed, ring, fold):
        self.rng = random.Random(seed)
        self.large = ring == "64MiB"
        self.kills, self.folds, self.torn, self.orphans, self.told, self.undone = 0, 0, 0, 0, 0, 0
        folder = suite.folder()
        self.plugins = os.path.join(folder, "plugins")
        os.mkdir(self.plugins)
        for name in ("level", "probe"):
            install(os.path.join(TEST_PLUGINS, name + ".so"), os.path.join(self.plugins, name + ".so"))
        for name in ("load", "cpu"):
            install(os.path.join(PLUGINS, name + ".so"), os.path.join(self.plugins, name + ".so"))
        self.value = os.path.join(folder, "value")
        write_file(self.value, "1\n")
        self.d = suite.daemon(conf=CONF % {"value": self.value, "ring": ring, "fold": fold}, plugins=(self.plugins,), promises={"a.promise": PROMISES})
        self.journal = os.path.join(self.d.state, "journal")
        self.begun = int(time.time())
        self.d.start()
        self.copies = Copies(self.journal, os.path.join(folder, "copies"))
        self.d.wait_promise("a.never", "broken")
        assert self.d.kith("ack", "a.never")[0] == 0 and self.d.kith("silence", "a.low", "--for", "1d")[0] == 0
        path = os.path.join(self.d.state, "notices")
        wait_for("the state to be written", lambda: os.path.exists(path) and all(x in open(path).read() for x in ("ack\t", "silence\t")))

    def run(self, kills):
        while self.kills < kills:
            self.live()
            self.kill()
            there, at = self.copies.take(), time.time()
            self.after_death(there)
            history, records = self.history(), self.rng.random() < 0.2 and all_records(self.d.state)
            os.unlink(self.d.socket)
            self.d.start()
            wait_for("an answer", lambda: subprocess.run([KITH, "-s", self.d.socket, "status"], capture_output=True, env=environment()).returncode == 0,
                     alive=self.d)
            self.after_start(there, at, history, records)
        return self

    def live(self):
        end = time.monotonic() + self.rng.uniform(0, 1.0)
        wants = self.rng.random() < 0.6
        while time.monotonic() < end or wants:
            write_file(self.value, "%d\n" % self.rng.choice([1, 2, 3, 60, 61]))
            now = time.monotonic()
            stop = now + self.rng.uniform(0.01, 0.15)
            while wants and time.monotonic() < stop:
                child = children(self.d.process.pid, "kith-fold")
                if child:
                    time.sleep(self.rng.uniform(0, 0.03 if not sanitized() else 0.2))
                    wants = False
                    with contextlib.suppress(ProcessLookupError):
                        if children(self.d.process.pid, "kith-fold") == child:
                            os.kill(child, signal.SIGKILL)
                            self.folds += 1
                            self.kills += 1
                time.sleep(0.001)
            wants = wants and now < end + 3
            time.sleep(max(0, min(stop, end) - time.monotonic()))

    def kill(self):
        d = self.d
        orphan = children(d.process.pid, "kith-fold")
        if self.rng.random() < 0.5:
            os.killpg(d.process.pid, signal.SIGKILL)
        else:
            d.process.kill()
            self.orphans += orphan is not None
        d.process.wait()
        suite.daemons.remove(d)
        self.kills += 1
        self.undone += os.path.exists(os.path.join(d.state, "rrd", ".undo"))
        # As a power cut leaves it: what is not sealed is folded by nobody yet.
        there = segments(self.journal)
        if there and self.rng.random() < 0.15:
            path = there[max(there)]
            with open(path, "rb") as f:
                data = f.read()
            self.copies.take()
            if not self.copies.read[max(there)].sealed and len(data) > 33:
                os.truncate(path, self.rng.randrange(33, len(data)))
                self.torn += 1
                self.copies.forget(max(there))

    def after_death(self, there):
        if not sanitized() or self.rng.random() < 0.3:
            p = subprocess.run([FOLD, "--state-dir", self.d.state, "--verify"], capture_output=True, text=True, env=environment(), timeout=WAIT)
            # The two last lines count: segments and files, and records
            faults = [x for x in p.stdout.splitlines()
                      if not re.search(r"\.seg: (\d+ bytes behind its last good frame are damaged|its seal is missing)", x)
                      and not re.match(r"\d+ segments with .* faults, 0 repaired$|\d+ records in .*; all is well ", x)]
            assert p.returncode in (0, 1) and not faults and not p.stderr, p.stdout + p.stderr
        # Numbers grow by one, and a segment goes when it was folded alone.
        known = set(self.copies.sizes)
        assert known == set(range(min(known), max(known) + 1)), sorted(known)
        try:
            with open(os.path.join(self.journal, "folded")) as f:
                folded = int(f.read().split()[0])
        except FileNotFoundError:
            folded = 0
        assert not [n for n in known - there if n >= folded], (sorted(known - there), folded)
        assert not self.large or known == there, sorted(known - there)

    def history(self):
        with open(os.path.join(self.d.state, "promises.history"), "rb") as f:
            data = f.read()
        return data[:data.rfind(b"\n") + 1]

    def after_start(self, there, at, history, records):
        d = self.d
        assert self.history().startswith(history), "the history of promises has lost what it had"
        if records is not False:
            now = all_records(d.state)
            assert now[:len(records)] == records and len(set(now)) == len(now), "records: %d, %d, %d" % (len(records), len(now), len(set(now)))
        s = d.kith("silences")[1]
        assert [x["name"] for x in s["acknowledged"]] == ["a.never"] and [x["pattern"] for x in s["silences"]] == ["a.low"], s
        if self.rng.random() < 0.3:
            d.wait_promise("a.low", "kept" if self.wait_level() < 50 else "broken")
            breaks = d.kith("promises", "--reliability", "a.low")[1][0]["reliability"]["30d"]["breaks"]
            lines = [x.split(b"\t") for x in self.history().splitlines()]
            most = sum(x[0] == b"broken" and b"a.low" in x for x in lines)
            assert (most > 0) == (breaks > 0) and breaks <= most, (breaks, most)
        if not sanitized() or self.rng.random() < 0.5:
            self.past(there, at, 20)

    def wait_level(self):
        value = 1
        write_file(self.value, "1\n")
        wait_for("the level", lambda: self.d.value("level:0:value") == value, alive=self.d)
        return value

    def past(self, there, at, seconds):
        """What the disk had is told, and nothing twice. Where all segments are there, nothing else is told either."""
        begin = int(at - seconds) if seconds else self.begun
        p = subprocess.run([KITH, "-s", self.d.socket, "--json", "get", "--since", stamp(begin * 10 ** 9), *NAMES], capture_output=True, text=True, env=environment(),
                           timeout=60)
        assert p.returncode == 0, p.stderr
        # Without a value: it is not known from then on.
        told = [(x["name"], x["time"], x["value"]) for x in json.loads(p.stdout) if x["value"] is not None]
        keys = [x[:2] for x in told]
        twice = sorted({x for x in keys if keys.count(x) > 1})
        assert not twice, "since %d told twice: %s; on the disk: %s" % (begin % 60, [x for x in told if x[:2] in twice[:1]], [
            (n, x) for n, s in self.copies.read.items() for x in s.samples if (x[0], stamp(x[1])) in twice[:1]])
        wanted = [(name, stamp(t), value) for name, t, value in self.copies.samples(there, NAMES) if t > begin * 1000 * MS]
        found = {x[:2]: x[2] for x in told}
        missing = [x for x in wanted if x[:2] not in found or abs(found[x[:2]] - x[2]) > 1e-9 * max(1, abs(x[2]))]
        assert not missing, "%d of %d, the first %s; told around it: %s" % (len(missing), len(wanted), missing[0], [
            x for x in told if x[0] == missing[0][0] and abs(found_ms(x[1]) - found_ms(missing[0][1])) < 500])
        if self.large:
            surplus = {x for x in keys if found_ms(x[1]) < (at - 0.1) * 1000} - {x[:2] for x in wanted}
            assert not surplus, "since %s: %s" % (stamp(begin * 10 ** 9), sorted(surplus)[:5])
        self.told += len(wanted)

    def end(self):
        """All of it, once more; and the RRD files are those of a single fold"""
        d = self.d
        d.wait_promise("a.never", "broken")
        d.stop()
        there, at = self.copies.take(), time.time()
        if self.large:
            d.start()
            self.past(there, at, 0)
            d.stop()
        fold(d.state, *FOLDING)
        self.copies.take()
        missing = set(range(1, max(self.copies.sizes) + 1)) - set(self.copies.sizes)
        assert not missing, (sorted(missing), len(self.copies.sizes))
        reference = suite.folder()
        shutil.copytree(self.copies.to, os.path.join(reference, "journal"))
        fold(reference, *FOLDING)
        found, wanted = dumps(d.state), dumps(reference)
        assert sorted(found) == sorted(wanted) and len(wanted) > 4, (sorted(found), sorted(wanted))
        for path in wanted:
            assert found[path] == wanted[path], path + " is another"
        for at, _, names in os.walk(os.path.join(d.state, "rrd")):
            assert not [x for x in names if x.endswith((".bad", ".new")) or x == ".undo"], names
            for name in names:
                if name.endswith(".rrd"):
                    subprocess.run(["rrdtool", "info", os.path.join(at, name)], stdout=subprocess.DEVNULL, check=True)
        out = subprocess.run([FOLD, "--state-dir", d.state, "--verify"], capture_output=True, text=True, env=environment(), timeout=WAIT)
        assert out.returncode == 0, out.stdout
        return out.stdout.strip()


def stamp(ns):
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(ns // 10 ** 9)) + ".%03dZ" % (ns // MS % 1000)


def found_ms(text):
    seconds, ms = text[:-1].split(".")
    return (int(time.mktime(time.strptime(seconds + " UTC", "%Y-%m-%dT%H:%M:%S %Z"))) - time.timezone) * 1000 + int(ms)


with suite.check("killed %d times: none lost that was on the disk, none doubled, no file unreadable, and promises' past stands" % KILLS):
    seed = int(os.environ.get("KITH_SEED") or random.SystemRandom().randrange(1 << 32))
    print("# KITH_SEED=%d" % seed, flush=True)
    lives = [Life(seed + n, **how) for n, how in enumerate(LIVES + LIVES)]
    with concurrent.futures.ThreadPoolExecutor(max_workers=len(lives)) as pool:
        for life in [f.result() for f in [pool.submit(life.run, -(-KILLS // len(lives))) for life in lives]]:
            print("# %d kills, %d of kith-fold; %d ends cut off, %d times kith-fold outlived kithd, %d updates cut off; %d samples looked for" %
                  (life.kills, life.folds, life.torn, life.orphans, life.undone, life.told), flush=True)
    for life in lives:
        print("# " + life.end(), flush=True)
    assert sum(life.kills for life in lives) >= KILLS

suite.end()
