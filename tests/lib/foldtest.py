"""For tests of kith-fold: journals that are made, what they come to by the most simple reckoning, and RRD files as rrdtool sees them."""
import math
import os
import re
import shutil
import subprocess

from kithtest import BUILD, environment

FOLD = os.path.join(BUILD, "kith-fold")
SEGMENTS = os.path.join(BUILD, "tests", "host", "kith-segments")
S = 10 ** 9
T0 = 1750000000  # a multiple of 10; of the past
GAUGE, COUNTER, STATE = 0, 1, 2
EVENT = 1
NAN = float("nan")


class Family:
    """`metrics`: (name, unit, kind, flags, states)"""

    def __init__(self, name, metrics, label="thing", stale=30.0):
        self.name, self.metrics, self.label, self.stale = name, metrics, label, stale

    def lines(self):
        yield "family\t%s\t%s\t%d\t%d" % (self.name, self.label, self.stale * S, len(self.metrics))
        for name, unit, kind, flags, states in self.metrics:
            yield "\t".join([name, unit, str(kind), str(flags), *states])


class Journal:
    """Samples, put in the order of time: put(family, instance, metric, time in s, value). A segment begins with turn()."""

    def __init__(self, state, first=1):
        self.state, self.number = state, first - 1
        self.folder = os.path.join(state, "journal")
        os.makedirs(self.folder, exist_ok=True)
        self.lines, self.known, self.families, self.places = [], {}, {}, {}
        self.samples, self.ends, self.turns = {}, {}, []
        self.last = None

    def turn(self, begin, seal=True, start=False):
        if self.lines and seal:
            self.lines.append("seal")
        self.number += 1
        self.known, self.families = {}, {}
        self.lines.append("segment\t%d\t%d" % (self.number, round(begin * S)))
        if start:
            self.lines.append("start")
        self.turns.append((self.last, begin, start))

    def place(self, family, instance):
        key = (family.name, instance)
        if key not in self.known:
            if self.families.get(family.name, (None,))[0] is not family:
                self.families[family.name] = (family, len([x for x in self.lines_of_segment() if x.startswith("family\t")]))
                self.lines += list(family.lines())
            self.known[key] = self.places.setdefault(key, len(self.places))
            self.lines.append("instance\t%d\t%d\t%s" % (self.known[key], self.families[family.name][1], instance))
        return self.known[key]

    def lines_of_segment(self):
        for n in range(len(self.lines) - 1, -1, -1):
            if self.lines[n].startswith("segment\t"):
                return self.lines[n:]
        return []

    def put(self, family, instance, metric, time, value):
        place = self.place(family, instance)
        index = [m[0] for m in family.metrics].index(metric)
        ns = round(time * S)
        self.lines.append("put\t%d\t%d\t%s\t%d" % (place, index, repr(float(value)), ns))
        self.samples.setdefault((family.name, instance, metric), []).append((ns, float(value)))
        self.last = time

    def end(self, family, instance):
        """At the time of the last sample"""
        self.lines.append("end\t%d" % self.place(family, instance))
        del self.known[(family.name, instance)]
        self.ends.setdefault((family.name, instance), []).append(round(self.last * S))

    def write(self, seal=True):
        if seal:
            self.lines.append("seal")
        subprocess.run([SEGMENTS, self.folder], input="\n".join(self.lines) + "\n", text=True, check=True, env=environment())
        self.lines = []

    def snapshot(self):
        return subprocess.run([SEGMENTS, "-"], input=("\n".join(self.lines) + "\n").encode(), stdout=subprocess.PIPE, check=True,
                              env=environment()).stdout

    def folded(self):
        try:
            with open(os.path.join(self.folder, "folded")) as f:
                return int(f.read().split()[0])
        except FileNotFoundError:
            return None

    # -- what it comes to

    def naive(self, family, instance, metric, first, last, step=10):
        """{end of the step in s: value} of the steps that are known, from each sample anew"""
        kind, flags = next((m[2], m[3]) for m in family.metrics if m[0] == metric)
        samples = self.samples.get((family.name, instance, metric), [])
        hold = math.inf if flags & EVENT or not family.stale else family.stale * S
        cuts = sorted(self.ends.get((family.name, instance), []) + [round(a * S) for a, b, start in self.turns if a is not None
                                                                               and (start or (family.stale and b - a > family.stale))])
        found = {}
        for b in range(first, last + 1, step):
            value = one_step(samples, kind, hold, cuts, (b - step) * S, b * S)
            if not math.isnan(value):
                found[b] = value
        return found


def one_step(samples, kind, hold, cuts, begin, end):
    inside = [v for t, v in samples if begin < t <= end]
    before = [(t, v) for t, v in samples if t <= end]
    if kind != COUNTER:
        if inside:
            return inside[-1] if kind == STATE else sum(inside) / len(inside)
        if not before:
            return NAN
        t, v = before[-1]
        return NAN if end - t > hold or any(t <= c < end for c in cuts) else v
    known, sum_ = 0, 0.0
    for (t0, v0), (t1, v1) in zip(samples, samples[1:] + [(math.inf, 0.0)]):
        cut = min([c for c in cuts if t0 <= c < t1], default=None)
        increase = v1 - v0 if v1 >= v0 else v1
        if math.isinf(hold):  # put when it changes
            stands = min(t1, cut if cut is not None else t1)
            known += max(0, min(end, stands) - max(begin, t0))
            if cut is None and begin < t1 <= end:
                sum_ += increase
        elif cut is None and t1 - t0 <= hold:
            part = max(0, min(end, t1) - max(begin, t0))
            known += part
            sum_ += increase * part / (t1 - t0) if t1 > t0 else 0
    return sum_ / (known / S) if known * 2 >= end - begin else NAN


def fold(state, *args, check=0, **more):
    """What it said"""
    p = subprocess.run([FOLD, "--state-dir", state, *args], capture_output=True, text=True, env=environment(), timeout=120, **more)
    assert check is None or p.returncode == check, "kith-fold ended with %d: %s" % (p.returncode, p.stderr)
    assert "Sanitizer" not in p.stderr and "runtime error" not in p.stderr, p.stderr
    return p.stderr


def rrd_path(state, family, file):
    return os.path.join(state, "rrd", family, file + ".rrd")


def fetch(path, source, first, last, step=10, function="AVERAGE"):
    """{time: value} as rrdtool says"""
    out = subprocess.run(["rrdtool", "fetch", path, function, "-r", str(step), "-s", str(first - step), "-e", str(last)],
                         capture_output=True, text=True, check=True).stdout.splitlines()
    names = out[0].split()
    found = {}
    for line in out[1:]:
        m = re.match(r"(\d+): (.*)", line)
        if m and first <= int(m.group(1)) <= last:
            value = float(m.group(2).split()[names.index(source)])
            if not math.isnan(value):
                found[int(m.group(1))] = value
    return found


def dump(path):
    return subprocess.run(["rrdtool", "dump", path], capture_output=True, text=True, check=True).stdout


def dumps(state):
    """{path: dump} of all RRD files"""
    found = {}
    for at, _, names in os.walk(os.path.join(state, "rrd")):
        for n in names:
            if n.endswith(".rrd"):
                found[os.path.relpath(os.path.join(at, n), state)] = dump(os.path.join(at, n))
    return found


def same(found, wanted, what=""):
    """Two of {time: value}, to twelve digits"""
    assert set(found) == set(wanted), "%s: other times: too many %s, missing %s" % (
        what, sorted(set(found) - set(wanted))[:10], sorted(set(wanted) - set(found))[:10])
    for t in wanted:
        assert math.isclose(found[t], wanted[t], rel_tol=1e-9, abs_tol=1e-9), "%s at %d: %r, not %r" % (what, t, found[t], wanted[t])


def copy(state, to):
    shutil.copytree(state, to, symlinks=True)
    return to


# ---- requests and answers of control.proto, as bytes: tests use the standard library alone

def varint(n):
    n &= (1 << 64) - 1
    out = b""
    while n >= 0x80:
        out += bytes([n & 0x7f | 0x80])
        n >>= 7
    return out + bytes([n])


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def take_varint(data, at):
    n = shift = 0
    while True:
        byte = data[at]
        n |= (byte & 0x7f) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return n, at


def message(data):
    """{field: [values]}"""
    found, at = {}, 0
    while at < len(data):
        key, at = take_varint(data, at)
        if key & 7 == 0:
            value, at = take_varint(data, at)
        elif key & 7 == 1:
            value, at = data[at:at + 8], at + 8
        else:
            length, at = take_varint(data, at)
            value, at = data[at:at + length], at + length
            assert len(value) == length
        found.setdefault(key >> 3, []).append(value)
    return found


def zigzags(data):
    out, at = [], 0
    while at < len(data):
        n, at = take_varint(data, at)
        out.append(n >> 1 ^ -(n & 1))
    return out


class Answer:
    """spans: name -> [(time in ns, value, least, most, source, step in ns)]; units, kinds, states: by name"""

    def __init__(self, data):
        self.spans, self.units, self.kinds, self.states = {}, {}, {}, {}
        self.unmatched, self.fault, self.ended, self.progress, self.picture, self.frames = [], None, False, 0, b"", 0
        names, at = {}, 0
        while at < len(data):
            length = int.from_bytes(data[at:at + 4], "little")
            assert len(data) - at - 4 >= length, "a frame is cut off"
            assert not self.ended and self.fault is None, "something behind the end"
            (kind, [body]), = message(data[at + 4:at + 4 + length]).items()
            at += 4 + length
            self.frames += 1
            m = message(body)
            if kind == 1:
                self.ended, self.unmatched = True, [x.decode() for x in m.get(1, [])]
            elif kind == 2:
                self.fault = (m.get(1, [0])[0], m[2][0].decode())
            elif kind == 24:
                name = m[1][0].decode()
                names[m[5][0]] = name
                assert name not in self.spans, name
                self.spans[name] = []
                self.units[name] = m.get(2, [b""])[0].decode()
                self.kinds[name] = m.get(3, [0])[0]
                self.states[name] = [x.decode() for x in m.get(4, [])]
            elif kind == 25:
                self.points(self.spans[names[m[1][0]]], m)
            elif kind == 26:
                self.picture += m[1][0]
            elif kind == 27:
                self.progress += 1
            else:
                raise AssertionError("an answer of kind %d" % kind)

    def points(self, span, m):
        times = zigzags(m[2][0])
        assert len(times) <= 1000
        for n in range(1, len(times)):
            times[n] += times[n - 1]

        def doubles(number):
            return [x[0] for x in __import__("struct").iter_unpack("<d", m[number][0])] if number in m else None
        step = m.get(7, [0])[0]
        values = doubles(3)
        least, most = doubles(4) or values, doubles(5) or values
        assert len(times) == len(values) == len(least) == len(most)
        span += [(t, v, a, b, m[6][0], step) for t, v, a, b in zip(times, values, least, most)]

    def known(self, name):
        """{time in s: value} of what is known"""
        times = [p[0] for p in self.spans[name]]
        assert times == sorted(set(times)), "a time twice, or out of order: %s" % name
        return {p[0] // S: p[1] for p in self.spans[name] if not math.isnan(p[1])}


def request(number, patterns, begin, end, *rest):
    body = b"".join(field(1, p) for p in patterns) + field(2, round(begin * S)) + field(3, round(end * S)) + b"".join(rest)
    body = field(number, body)
    return len(body).to_bytes(4, "little") + body


def ask(state, data, check=0, program=None, env=None):
    p = subprocess.run([program or FOLD, "--answer", "--state-dir", state], input=data, capture_output=True, env=env or environment(), timeout=60)
    assert p.returncode == check and not p.stderr, "%d: %s" % (p.returncode, p.stderr.decode())
    return Answer(p.stdout)


def history(state, patterns, begin, end, step=0, ring=b"", **more):
    return ask(state, request(20, patterns, begin, end, field(4, round(step * S))) + ring, **more)


def graph(state, patterns, begin, end, form="PNG", width=0, height=0, title="", ring=b"", **more):
    # What librrd and its friends do not give back is not looked at.
    env = environment()
    env["ASAN_OPTIONS"] += ":detect_leaks=0"
    return ask(state, request(21, patterns, begin, end, field(4, form), field(5, width), field(6, height), field(7, title)) + ring, env=env, **more)
