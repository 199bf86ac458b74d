#!/usr/bin/python3
"""kith-fold --answer: histories from memory, segments and RRD files without a seam, and pictures."""
import math
import os
import random
import re
import shutil
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from foldtest import (Answer, COUNTER, EVENT, FOLD, GAUGE, NAN, S, STATE, T0, Family, Journal, ask, field, fold, graph, history, one_step, request,
                      same)  # noqa: E402
from kithtest import BUILD, Suite, environment  # noqa: E402

suite = Suite()
DF = Family("df", [("free", "B", GAUGE, 0, []), ("reads", "reads", COUNTER, 0, []), ("state", "1", STATE, 0, ["down", "up"]),
                   ("mode", "1", STATE, EVENT, ["ro", "rw"])], "mount point")


def make(state, seed=1, segments=10, ticks=60, restart=True):
    r = random.Random(seed)
    j = Journal(state)
    t = T0 + 0.5
    count = 0
    for segment in range(segments):
        begins = segment == 0 or restart and segment == segments // 2
        j.turn(t + (300 if begins and segment else 0), start=begins)
        t += 300 if begins and segment else 0
        for _ in range(ticks):
            t += 10 + r.random() / 100
            count += r.randrange(100)
            j.put(DF, "/", "free", t, r.randrange(1000))
            j.put(DF, "/", "reads", t, count)
            j.put(DF, "/", "state", t, r.randrange(2))
            if begins or r.random() < 0.01:
                j.put(DF, "/", "mode", t, r.randrange(2))
                begins = False
    return j, t


def split(j, state, rrd_upto, disk_from, ring_from):
    """The journal's first segments folded; the segments before disk_from gone; those from ring_from on as the ring's: the ring"""
    lines, parts = list(j.lines), []
    for line in lines:
        if line.startswith("segment\t"):
            parts.append([])
        parts[-1].append(line)
    for p in parts:
        if p[-1] != "seal":
            p.append("seal")
    j.lines = [x for p in parts[:rrd_upto] for x in p]
    j.write(seal=False)
    if rrd_upto:
        fold(state)
    j.lines = [x for p in parts[rrd_upto:] for x in p]
    j.write(seal=False)
    for n in range(1, disk_from):
        os.unlink(os.path.join(j.folder, "%016x.seg" % n))
    j.lines = [x for p in parts[ring_from - 1:] for x in p]
    ring = j.snapshot()
    j.lines = []
    return ring


with suite.check("samples as they are, where they are there"):
    state = suite.folder()
    j, t = make(state)
    j.write()
    a = history(state, ["df:/:free", "df:/:state", "nothing:*"], T0, t + 100)
    assert a.ended and a.unmatched == ["nothing:*"] and sorted(a.spans) == ["df:/:free", "df:/:state"], vars(a)
    for metric in ("free", "state"):
        found = [(p[0], p[1]) for p in a.spans["df:/:" + metric] if not math.isnan(p[1])]
        assert found == j.samples[("df", "/", metric)]
    assert a.kinds["df:/:state"] == 2 and a.states["df:/:state"] == ["down", "up"] and a.units["df:/:free"] == "B"
    # A gap where kithd did not run
    assert len([p for p in a.spans["df:/:free"] if math.isnan(p[1])]) == 1
    assert {p[4] for p in a.spans["df:/:free"]} == {2}

with suite.check("counters as rates between samples; a reset counts from 0"):
    a = history(state, ["df:/:reads"], T0, t + 100)
    samples = j.samples[("df", "/", "reads")]
    wanted = [(t1, (v1 - v0) * S / (t1 - t0)) for (t0, v0), (t1, v1) in zip(samples, samples[1:]) if t1 - t0 < 30 * S]
    found = [(p[0], p[1]) for p in a.spans["df:/:reads"] if not math.isnan(p[1])]
    assert [x[0] for x in found] == [x[0] for x in wanted]
    assert all(math.isclose(x[1], y[1]) for x, y in zip(found, wanted))
    assert a.units["df:/:reads"] == "reads/s" and a.kinds["df:/:reads"] == 0

with suite.check("a part of the time alone"):
    a = history(state, ["df:/:free"], T0 + 1000, T0 + 2000)
    assert [(p[0], p[1]) for p in a.spans["df:/:free"]] == [x for x in j.samples[("df", "/", "free")] if (T0 + 1000) * S <= x[0] <= (T0 + 2000) * S]

with suite.check("the ring in place of its segments, without a seam"):
    for disk, ring_from in ((1, 3), (1, 10), (11, 1), (5, 5)):
        state = suite.folder()
        j, t = make(state, 2)
        ring = split(j, state, 0, disk, ring_from)
        a = history(state, ["df:/:free"], T0, t, ring=ring)
        found = [(p[0], p[1]) for p in a.spans["df:/:free"] if not math.isnan(p[1])]
        assert found == j.samples[("df", "/", "free")][60 * (min(disk, ring_from) - 1):], (disk, ring_from, len(found))
        assert {p[4] for p in a.spans["df:/:free"]} == ({1} if min(disk, 10) >= ring_from else {1, 2}), (disk, ring_from)

with suite.check("RRD, journal and ring: each time once, and nothing is missing"):
    for rrd, disk, ring_from in ((6, 6, 8), (6, 5, 6), (9, 9, 10), (3, 1, 9), (10, 10, 10)):
        state = suite.folder()
        j, t = make(state, 3, restart=False)
        ring = split(j, state, rrd, disk, ring_from)
        for step in (10, 60, 30):
            a = history(state, ["df:/:*"], T0, t, step=step, ring=ring)
            for metric in ("free", "reads", "state", "mode"):
                name = "df:/:" + metric
                wanted = j.naive(DF, "/", metric, (T0 // step + 2) * step, int(t - 40) // step * step, step)
                found = {k: v for k, v in a.known(name).items() if (T0 // step + 2) * step <= k <= int(t - 40) // step * step}
                # Of coarser steps, RRD rows are means of steps, and samples come in them unevenly
                assert set(found) == set(wanted), (rrd, disk, step, metric, sorted(set(found) ^ set(wanted))[:8])
                for k in wanted:
                    assert step > 10 and metric != "state" and metric != "mode" or math.isclose(found[k], wanted[k], rel_tol=1e-9, abs_tol=1e-9), (
                        rrd, disk, ring_from, step, metric, k, found[k], wanted[k])
            sources = {p[4] for p in a.spans["df:/:free"]}
            assert 3 in sources or disk == 1, (sources, rrd, disk)
        a = history(state, ["df:/:free"], T0, t, ring=ring)
        points = a.spans["df:/:free"]
        exact = [(p[0], p[1]) for p in points if p[4] != 3]
        assert exact == [x for x in j.samples[("df", "/", "free")] if x[0] >= exact[0][0]]
        rows = [p for p in points if p[4] == 3]
        assert disk == 1 or rows and rows[-1][0] <= exact[0][0] and exact[0][0] - rows[-1][0] < 10 * S, (rows[-1], exact[0])
        assert all(p[5] == 10 * S for p in rows) and all(p[5] == 0 for p in points if p[4] != 3)
        a.known("df:/:free")

with suite.check("a value that stands since long ago is known"):
    state = suite.folder()
    j = Journal(state)
    j.turn(T0, start=True)
    j.put(DF, "/", "mode", T0 + 1, 1)
    for n in range(4):
        if n:
            j.turn(T0 + 1000 * n)
        for k in range(100):
            j.put(DF, "/", "free", T0 + 1000 * n + 10 * k + 2, k)
    ring = split(j, state, 2, 2, 4)
    a = history(state, ["df:/:mode"], T0, T0 + 3990, step=10, ring=ring)
    found = a.known("df:/:mode")
    assert set(found.values()) == {1} and len(found) == 399, (len(found), sorted(found)[:2], sorted(found)[-2:])
    a = history(state, ["df:/:mode"], T0 + 3500, T0 + 3990, step=10, ring=ring)
    assert len(a.known("df:/:mode")) == 50, sorted(a.known("df:/:mode"))

with suite.check("least and most of a step"):
    a = history(state, ["df:/:free"], T0 + 3000, T0 + 3900, step=100, ring=ring)
    for t1, v, least, most, _, step in a.spans["df:/:free"]:
        if t1 > (T0 + 3100) * S:
            assert (least, most, step) == (v - 4.5, v + 4.5, 100 * S), (t1, v, least, most)

with suite.check("least and most of a state, and of a counter that is put when it changes; the step that has begun, as far as it goes"):
    B = T0 + 20  # a multiple of 30
    state = suite.folder()
    j = Journal(state)
    j.turn(B + 0.5, start=True)
    put = Family("put", [("state", "1", STATE, EVENT, ["ok", "warn", "bad"]), ("count", "things", COUNTER, EVENT, []), ("level", "1", GAUGE, 0, [])])
    for k, (code, count) in enumerate([(0, 0), (2, 100), (0, 100), (0, 110), (1, 0), (0, 30), (0, 30)]):
        j.put(put, "x", "state", B + 10 * k + 5, code)
        j.put(put, "x", "count", B + 10 * k + 5, count)
        j.put(put, "x", "level", B + 10 * k + 5, 3 * k)
    j.write(seal=False)
    a = history(state, ["put:*"], B, B + 1000, step=30)
    shown = {name[6:]: [(p[0] / S - B, round(p[1], 3), round(p[2], 3), round(p[3], 3)) for p in points] for name, points in a.spans.items()}
    # The last sample is at 65: 5 of the 30 s of its step are known.
    assert shown["state"] == [(30, 0, 0, 2), (60, 0, 0, 1), (65, 0, 0, 0)], shown
    assert shown["level"] == [(30, 3, 0, 6), (60, 12, 9, 15), (65, 18, 18, 18)], shown
    assert [(x[0], x[2], x[3]) for x in shown["count"]] == [(30, 0, 10), (60, 0, 3), (65, 0, 0)], shown
    # A step that is longer than all that is known
    a = history(state, ["put:x:level"], B + 50, B + 1000, step=7200)
    assert [(p[0] / S - B, p[1], p[2], p[3]) for p in a.spans["put:x:level"]] == [(65, 9, 0, 18)], a.spans

with suite.check("what is put when it changes: its value stands at the begin of a time in which it was not put"):
    a = history(state, ["put:*"], B + 66, B + 1000)
    assert {k: [(p[0] / S - B, p[1]) for p in v] for k, v in a.spans.items()} == {"put:x:state": [(66, 0)]}, a.spans
    a = history(state, ["put:x:state"], B + 47, B + 1000)
    assert [(p[0] / S - B, p[1]) for p in a.spans["put:x:state"]] == [(47, 1), (55, 0), (65, 0)], a.spans
    j.turn(B + 70)
    j.put(put, "x", "state", B + 71, 2)
    j.put(put, "y", "state", B + 75, 2)
    j.end(put, "x")
    j.put(put, "y", "state", B + 100, 2)
    j.write(seal=False)
    a = history(state, ["put:x:state"], B + 73, B + 1000)
    assert [(p[0] / S - B, math.isnan(p[1])) for p in a.spans["put:x:state"]] == [(73, False), (75, True)], a.spans
    assert not history(state, ["put:x:state"], B + 76, B + 1000).spans

with suite.check("archives: the finest there is for each time"):
    state = suite.folder()
    j = Journal(state)
    for n in range(30):
        j.turn(T0 + 600 * n, start=n == 0)
        for k in range(60):
            j.put(DF, "/", "free", T0 + 600 * n + 10 * k + 1, 60 * n + k)
            j.put(DF, "/", "state", T0 + 600 * n + 10 * k + 1, n % 2)
    j.write()
    fold(state, "--archives", "10s:10min,1min:1h,10min:2d")
    shutil.rmtree(j.folder)
    end = T0 + 18000
    a = history(state, ["df:/:free", "df:/:state"], T0, end)
    for name in ("df:/:free", "df:/:state"):
        steps = [p[5] // S for p in a.spans[name]]
        assert [s for n, s in enumerate(steps) if n == 0 or steps[n - 1] != s] == [600, 60, 10], steps
        a.known(name)
    for t1, v, least, most, source, step in a.spans["df:/:free"]:
        n = step // S // 10
        last = (t1 // S - T0) // 10 - 1
        assert source == 3 and (least, most) == (last - n + 1, last) and math.isclose(v, last - (n - 1) / 2), (t1, v, least, most)
    assert {v for _, v, *_ in a.spans["df:/:state"]} == {0, 1}
    a = history(state, ["df:/:free"], T0, end, step=3600)
    assert T0 % 3600 == 400
    assert [(p[0] // S - T0, round(p[1], 6)) for p in a.spans["df:/:free"]][1:4] == [(6800, 499.5), (10400, 859.5), (14000, 1219.5)], a.spans

with suite.check("a row that ends as the time begins is of what was before; of samples that begin right after it, each is told once"):
    times = [p[0] // S for p in history(state, ["df:/:free"], end - 300, end - 10).spans["df:/:free"]]
    assert times == list(range(end - 290, end - 9, 10)), times
    # The segments that have samples of that row ended before it, and are not read.
    more = Journal(state, 31)
    for begin, metric, at in ((end - 9, "free", end - 8), (end - 1, "reads", end - 0.5), (end - 0.4, "free", end + 0.0001)):
        more.turn(begin)
        more.put(DF, "/", metric, at, 7)
    more.put(DF, "/", "free", end + 20, 7)
    more.put(DF, "/", "free", end + 60, 7)
    more.write()
    fold(state, "--archives", "10s:10min,1min:1h,10min:2d")
    a = history(state, ["df:/:free"], end, end + 1)
    assert [(p[0], p[1], p[4]) for p in a.spans["df:/:free"]] == [(round((end + 0.0001) * S), 7.0, 2)], a.spans

with suite.check("instances that ended long ago are found by their files"):
    assert history(state, ["df:*:free"], T0, end).spans
    assert history(state, ["df:/nowhere:free"], T0, end).unmatched == ["df:/nowhere:free"]
    # In its time alone
    assert not history(state, ["df:*:free"], T0 + 10 ** 6, T0 + 2 * 10 ** 6).spans

with suite.check("while a fold was cut off, what the files had is put back first"):
    with open(os.path.join(state, "rrd", ".undo"), "wb") as f:
        f.write(b"kithund\n" + bytes(20))
    p = subprocess.run([FOLD, "--answer", "--state-dir", state], input=request(20, ["df"], T0, end), capture_output=True, env=environment())
    assert p.returncode == 0 and b"damaged" in p.stderr and not os.path.exists(os.path.join(state, "rrd", ".undo")), p.stderr

with suite.check("what is no request, or asks for too much"):
    for data, code in ((field(20, field(1, "a:b:c:") + field(2, 0)), 1), (field(1, b""), 1), (field(20, field(1, "df@elsewhere")), 3),
                       (field(20, field(2, 0) + field(3, S * T0) + field(4, 10 ** 6)), 1), (field(21, field(1, "df") + field(4, "GIF")), 1),
                       (field(20, field(2, 5) + field(3, 1)), 1), (field(21, field(1, "nothing") + field(2, 1) + field(3, 10 ** 12)), 2)):
        a = ask(state, len(data).to_bytes(4, "little") + data)
        assert a.fault and a.fault[0] == code, (data, a.fault)
    for data in (b"", b"\xff\xff\xff\xff", b"\x05\0\0\0abc", b"\x03\0\0\0\xff\xff\xff"):
        a = ask(state, data, check=1)
        assert a.fault, data
    a = ask(state, request(20, ["df"], T0, end) + b"no ring" * 20, check=1)
    assert a.fault

with suite.check("a reader that goes away stops the work"):
    state = suite.folder()
    j, t = make(state, segments=40)
    j.write()
    p = subprocess.Popen([FOLD, "--answer", "--state-dir", state], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                         env=environment())
    p.stdin.write(request(20, [], T0, t))
    p.stdout.close()
    p.stdin.close()
    assert p.wait() == 1 and p.stderr.read() == b""
    p.stderr.close()

with suite.check("pictures: PNG and SVG, of one and many series, of samples that are in memory alone"):
    many = Family("many", [("a", "B", GAUGE, 0, [])])
    for n in range(20):
        j.turn(t + 10)
        for k in range(20):
            t += 10
            for i in range(20):
                j.put(many, "i%d:\\%%" % i, "a", t, i * k)
    ring = j.snapshot()
    os.environ["TMPDIR"] = suite.folder()
    for patterns, begin in ((["df:/:free"], T0), (["df:/:state"], T0), (["many:*"], t - 4000), (["df:/:reads", "df:/:free"], T0)):
        png = graph(state, patterns, begin, t, ring=ring, title="what: it is \\ 100 %")
        assert png.ended and png.picture.startswith(b"\x89PNG") and len(png.picture) > 3000, vars(png)
        svg = graph(state, patterns, begin, t, "SVG", 600, 200, ring=ring)
        assert svg.picture.lstrip().startswith(b"<?xml") and b"svg" in svg.picture[:300]
        if shutil.which("file"):
            import tempfile
            with tempfile.NamedTemporaryFile(dir="/tmp") as f:
                f.write(png.picture)
                f.flush()
                assert "PNG image data, " in subprocess.run(["file", f.name], capture_output=True, text=True).stdout
    assert graph(state, ["df:/:free"], T0, t).picture != graph(state, ["df:/:reads"], T0, t).picture
    assert os.listdir(os.environ["TMPDIR"]) == []

with suite.check("librrd is mapped for pictures alone: a history does without"):
    out = subprocess.run(["readelf", "-d", FOLD], capture_output=True, text=True, check=True).stdout
    assert "rrd" not in out and "libev" not in out, out

with suite.check("a day of one series: samples, and RRD rows; how long it takes is printed"):
    state = suite.folder()
    j = Journal(state)
    wide = Family("wide", [("m%d" % n, "B", GAUGE, 0, []) for n in range(20)])
    for n in range(24):
        j.turn(T0 + 3600 * n, start=n == 0)
        for k in range(360):
            for i in range(5):
                for m in range(20):
                    j.put(wide, "i%d" % i, "m%d" % m, T0 + 3600 * n + 10 * k + 1, k * m)
    j.lines.append("seal")
    lines = list(j.lines)
    j.write(seal=False)
    fold(state)
    at = [n for n, x in enumerate(lines) if x.startswith("segment\t")]
    for n in range(1, 24):
        os.unlink(os.path.join(j.folder, "%016x.seg" % n))
    j.lines = lines[at[22]:]
    ring = j.snapshot()
    data = request(20, ["wide:i3:m7"], T0, T0 + 86400) + ring
    best = 1e9
    for _ in range(20):
        begin = time.monotonic()
        p = subprocess.run([FOLD, "--answer", "--state-dir", state], input=data, capture_output=True)
        best = min(best, time.monotonic() - begin)
    points = len(Answer(p.stdout).known("wide:i3:m7"))
    print("# %.1f ms, with the process's start; %d points, ring of %d bytes" % (best * 1000, points, len(ring)))
    assert points > 2000, points

suite.end()
