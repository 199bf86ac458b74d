"""What a peer measured, held against what kithd measured on the same host at the same time.

A recorder asks kithd for everything, again and again. A peer's value of time T was read between kith's last sample from before T - SLACK
and its first one from after T: a counter lies between these two, always. A gauge is, within its tolerance, what kith's samples around T
are, or between two of them that follow each other. On a host that is busy it may well go up and down between two looks at it: it is right
when ENOUGH of the peer's values fit.
"""
import datetime
import math
import os
import signal
import subprocess
import threading
import time

from kithtest import wait_for

SLACK = 1.0  # seconds that a busy host may let pass between a peer's reading of a value and the time that it gives it
NEAR = 0.5  # seconds: what kith's samples around a gauge of a peer are
ENOUGH = 2  # values of a gauge that have to fit
PAGE = os.sysconf("SC_PAGE_SIZE")
HZ = os.sysconf("SC_CLK_TCK")


class Recorder:
    """kith get '*:*:*', again and again: what it gave, by name"""

    def __init__(self, daemon):
        self.daemon = daemon
        self.samples, self.units, self.lock = {}, {}, threading.Lock()
        self.ended, self.failure = threading.Event(), None
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        try:
            while not self.ended.is_set():
                self.look()
                self.ended.wait(0.1)
        except Exception as e:  # told by after()
            self.failure = e

    def look(self):
        found = self.daemon.get("*:*", "*:*:*")
        with self.lock:
            for name, x in found.items():
                if isinstance(x["value"], (int, float)):
                    at = datetime.datetime.fromisoformat(x["time"].replace("Z", "+00:00")).timestamp()
                    samples = self.samples.setdefault(name, [])
                    if not samples or samples[-1][0] != at:
                        samples.append((at, x["value"]))
                    self.units[name] = x["unit"]

    def of(self, name):
        assert not self.failure, self.failure
        with self.lock:
            return list(self.samples.get(name, []))

    def unit(self, name):
        return self.units.get(name)

    def between(self, name, at):
        """(before, after): what kith had read for sure before and after a peer's value of this time; None: not yet, or too early"""
        samples = self.of(name)
        before = [v for t, v in samples if t <= at - SLACK]
        after = [v for t, v in samples if t >= at]
        return (before[-1], after[0]) if before and after else None

    def near(self, name, at, without=None):
        """kith's samples around that time, with the ones just outside; None as long as the later ones are missing"""
        samples = self.of(name)
        if without:
            other = dict(self.of(without))
            samples = [(t, v - other[t]) for t, v in samples if t in other]
        if not samples or samples[-1][0] < at + NEAR:
            return None
        inside = [v for t, v in samples if abs(t - at) < NEAR]
        before = [v for t, v in samples if t <= at - NEAR][-1:]
        return before + inside + [v for t, v in samples if t >= at + NEAR][:1]

    def end(self):
        self.ended.set()
        self.thread.join()


class Counter:
    """Always between kith's value before and kith's value after. `back`: how far the peer may be behind, in kith's unit"""

    def __init__(self, name, unit, factor=1, back=0):
        self.name, self.unit, self.factor, self.back = name, unit, factor, back

    def judge(self, recorder, values):
        """(how many values fit, what is wrong)"""
        fit = 0
        for at, value in values:
            limits = recorder.between(self.name, at)
            if not limits:
                continue
            value, rounding = value * self.factor, 1e-9 * abs(value * self.factor)
            if not limits[0] - self.back - rounding <= value <= limits[1] + rounding:
                return fit, "%.15g %s, not between %.15g and %.15g of %s" % (value, self.unit, *limits, self.name)
            fit += 1
        return fit, None


class Gauge:
    """Within `tolerance` (in kith's unit; or what gives it) of kith's samples around it. `without`: a series of the same ticks that is to
    be subtracted"""

    def __init__(self, name, unit, factor=1, tolerance=0, without=None):
        self.name, self.unit, self.factor, self.tolerance, self.without = name, unit, factor, tolerance, without

    def judge(self, recorder, values):
        fit, wrong = 0, None
        tolerance = self.tolerance() if callable(self.tolerance) else self.tolerance
        for at, value in values:
            samples = recorder.near(self.name, at, self.without)
            if not samples:
                continue
            value, room = value * self.factor, tolerance + 1e-6 * abs(value * self.factor)
            if any(min(pair) - room <= value <= max(pair) + room for pair in zip(samples, samples[1:] or samples)):
                fit += 1
            else:
                wrong = "%.15g %s, more than %g away from %s of %s" % (value, self.unit, tolerance, samples, self.name)
        return fit, None if fit >= ENOUGH else wrong


class Zero:
    """A value that kith leaves out because it is always 0 here: `why`"""

    name = unit = None

    def __init__(self, why):
        self.why = why

    def judge(self, recorder, values):
        wrong = [v for _, v in values if v != 0]
        return len(values), "%g, and kith has no such series; it was to be 0: %s" % (wrong[0], self.why) if wrong else None


def judge(recorder, rule, values):
    """None: still too few values. "": it is right. Else what is wrong"""
    if rule.name and recorder.unit(rule.name) is None:
        return "kith has no series %s" % rule.name
    if rule.name and recorder.unit(rule.name) != rule.unit:
        return "%s has the unit %s, not %s" % (rule.name, recorder.unit(rule.name), rule.unit)
    fit, wrong = rule.judge(recorder, values)
    if wrong:
        return wrong
    return "" if fit >= ENOUGH else None


class Peer:
    """A peer that runs while the block does; ended by its process id"""

    def __init__(self, command, log):
        self.command, self.log = command, log

    def __enter__(self):
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        return self

    def said(self):
        with open(self.log, errors="replace") as f:
            return f.read()[-3000:]

    def __exit__(self, kind, value, trace):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        return False

    def wait(self, what, condition):
        def look():
            assert self.process.poll() is None, "%s ended with %d: %s" % (self.command[0], self.process.returncode, self.said())
            return condition()
        return wait_for(what, look)


class Processes:
    """Some that are stopped and some that are zombies, so that there is something to count"""

    def __enter__(self):
        self.stopped = [subprocess.Popen(["sleep", "600"]) for _ in range(3)]
        for p in self.stopped:
            p.send_signal(signal.SIGSTOP)
        self.zombies = [os.spawnlp(os.P_NOWAIT, "true", "true") for _ in range(2)]
        return self

    def __exit__(self, kind, value, trace):
        for p in self.stopped:
            p.kill()
            p.wait()
        for pid in self.zombies:
            os.waitpid(pid, 0)
        return False


def wait_judged(recorder, rules, values, deadline):
    """Judges each of `rules` (key -> rule) by values() (key -> [(time, value)]) until all are right or the deadline has come:
    key -> what is wrong"""
    end = time.monotonic() + deadline
    while True:
        now = values()
        wrong = {key: judge(recorder, rule, now.get(key, [])) for key, rule in rules().items()}
        wrong = {key: w if w is not None else "too few values to judge" for key, w in wrong.items() if w != ""}
        if not wrong or time.monotonic() > end:
            return wrong
        time.sleep(0.3)


def seen_when_off(recorder, rules, values, factor=1.05):
    """Whether the comparison can fail at all: judges what the peer gave times `factor`. The keys that are seen to be wrong, and those
    that are not. Left out are values to which that makes no difference beside their tolerance, or beside how they moved meanwhile"""
    seen, unseen = [], []
    for key, rule in rules.items():
        tolerance = getattr(rule, "tolerance", 0)
        if not isinstance(rule, (Counter, Gauge)) or callable(tolerance):
            continue
        off = [(at, v * factor) for at, v in values[key]]
        mine = [v for _, v in recorder.of(rule.name)]
        moved = max(mine) - min(mine) + tolerance if mine else math.inf
        if min(v for _, v in values[key]) * rule.factor * (factor - 1) > 2 * moved:
            (unseen if judge(recorder, rule, off) == "" else seen).append(key)
    return seen, unseen
