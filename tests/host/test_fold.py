#!/usr/bin/python3
"""kith-fold: samples of the journal into RRD files, as the most simple reckoning and rrdtool say."""
import fcntl
import math
import os
import random
import shutil
import stat
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from foldtest import (COUNTER, EVENT, FOLD, GAUGE, S, STATE, T0, Family, Journal, dump, dumps, fetch, fold, rrd_path, same)  # noqa: E402
from kithtest import NOBODY, Skip, Suite, environment, wait_for  # noqa: E402

suite = Suite()
DF = Family("df", [("free", "B", GAUGE, 0, []), ("reads", "1", COUNTER, 0, []), ("state", "1", STATE, 0, ["down", "up", "odd"]),
                   ("changes", "1", COUNTER, EVENT, []), ("mode", "1", STATE, EVENT, ["ro", "rw"])], "mount point")


def some(state, seed, ticks=200, instances=("/", "/var/lib"), segments=5):
    """Ticks of 10 s with a little delay, some left out; ends, restarts, resets"""
    r = random.Random(seed)
    j = Journal(state)
    t, begun = T0 + r.randrange(10), set()
    j.turn(t, start=True)
    counts = {i: r.randrange(1000) for i in instances}
    for tick in range(ticks):
        t += r.choice([10, 10, 10, 10, 10, 3, 7, 20, 25, 45]) + r.random() / 100
        if tick and tick % (ticks // segments) == 0:
            restart = r.random() < 0.4
            t += r.choice([0, 5, 400]) if restart else 0
            j.turn(t, start=restart)
        for i in instances:
            if i in begun and r.random() < 0.02:
                j.end(DF, i)
                begun.discard(i)
                continue
            begun.add(i)
            counts[i] = counts[i] + r.randrange(500) if r.random() < 0.97 else r.randrange(10)
            j.put(DF, i, "free", t, r.choice([5, 7.5, 1 << 33, r.random(), -3]))
            j.put(DF, i, "reads", t, counts[i])
            if r.random() < 0.9:
                j.put(DF, i, "state", t, r.randrange(3))
            if r.random() < 0.05:
                j.put(DF, i, "changes", t, counts[i] // 10)
            if r.random() < 0.05:
                j.put(DF, i, "mode", t, r.randrange(2))
    j.write()
    return j, t


def end_of(t, step=10):
    """The last step that is certain for all: those of counters wait for a sample that may come"""
    return int(t - 31) // step * step


def compare(state, j, t, files={"/": "%2F", "/var/lib": "%2Fvar%2Flib"}, step=10):
    last = end_of(t, step)
    for instance, file in files.items():
        for metric, *_ in DF.metrics:
            wanted = j.naive(DF, instance, metric, T0 // step * step + step, last, step)
            found = fetch(rrd_path(state, "df", file), metric, T0 // step * step + step, last, step)
            same(found, wanted, "%s %s" % (instance, metric))
            assert len(wanted) > 20 or metric in ("changes", "mode"), (metric, len(wanted))


for seed in range(6):
    with suite.check("steps are what the most simple reckoning says, seed %d" % seed):
        state = suite.folder()
        j, t = some(state, seed)
        fold(state)
        assert j.folded() == j.number, j.folded()
        compare(state, j, t)

with suite.check("folded in any pieces it comes to the same"):
    whole, pieces = suite.folder(), suite.folder()
    j, t = some(whole, 100, segments=20)
    fold(whole)
    os.makedirs(os.path.join(pieces, "journal"))
    for name in sorted(os.listdir(j.folder)):
        if not name.endswith(".seg"):
            continue
        shutil.copy(os.path.join(j.folder, name), os.path.join(pieces, "journal"))
        fold(pieces)
        # kithd keeps the last one that was folded
        for old in sorted(x for x in os.listdir(os.path.join(pieces, "journal")) if x.endswith(".seg"))[:-1]:
            os.unlink(os.path.join(pieces, "journal", old))
    assert dumps(whole) == dumps(pieces)
    compare(pieces, j, t)

with suite.check("folded before there is a row: what was gathered is not forgotten"):
    state, short = suite.folder(), suite.folder()
    j = Journal(state)
    for n in range(30):
        j.turn(T0 + 2 * n + 0.5)
        j.put(DF, "/", "free", T0 + 2 * n + 1, n * n)
        j.put(DF, "/", "reads", T0 + 2 * n + 1, n * n)
    j.write()
    fold(state)
    os.makedirs(os.path.join(short, "journal"))
    for n in range(1, 31):
        shutil.copy(os.path.join(j.folder, "%016x.seg" % n), os.path.join(short, "journal"))
        fold(short)
    assert dumps(short) == dumps(state)
    same(fetch(rrd_path(short, "df", "%2F"), "free", T0, T0 + 50), j.naive(DF, "/", "free", T0, T0 + 50), "free")

with suite.check("a second time changes nothing; what is said"):
    before = dumps(whole)
    said = fold(whole, "-v")
    assert dumps(whole) == before and "0 segments" in said, said

with suite.check("without what it knows of series, from the segments that are there, to the same"):
    os.unlink(os.path.join(pieces, "rrd", ".state"))
    fold(whole)
    os.unlink(os.path.join(whole, "rrd", ".state"))
    fold(whole)
    assert dumps(whole) == before

with suite.check("what is not sealed is left for the next time"):
    state = suite.folder()
    j = Journal(state)
    j.turn(T0)
    for n in range(10):
        j.put(DF, "/", "free", T0 + n * 10 + 1, n)
    j.turn(T0 + 100)
    j.put(DF, "/", "free", T0 + 101, 3)
    j.write(seal=False)
    fold(state)
    assert j.folded() == 1
    with open(os.path.join(j.folder, "%016x.seg" % 2), "ab") as f:
        f.write(b"torn")
    fold(state)
    assert j.folded() == 1

with suite.check("archives: as said, by default and else; LAST where there are states"):
    text = dump(rrd_path(whole, "df", "%2F"))
    shape = [(text.split("<cf>")[k].split("</cf>")[0].strip(), int(text.split("<pdp_per_row>")[k].split("<")[0])) for k in range(1, 14)]
    assert shape == [("AVERAGE", 1)] + [(cf, n) for n in (6, 60, 720) for cf in ("AVERAGE", "MIN", "MAX", "LAST")], shape
    state = suite.folder()
    j, t = some(state, 3)
    fold(state, "--step", "30s", "--archives", "30s:1h,5min:1d")
    compare(state, j, t, step=30)
    assert dump(rrd_path(state, "df", "%2F")).count("<cf>") == 5
    # Files that are there keep their step.
    fold(state, "--step", "10s")
    for bad in (["--archives", "15s:1h"], ["--archives", "10s"], ["--step", "0s"], ["--archives", "10s:5s"], ["--step", "1.5s"], ["x"],
                ["--archives", "1min:1h,10s:1h"]):
        assert "kith-fold" in fold(state, *bad, check=2), bad

with suite.check("names of instances: any, there and back"):
    state = suite.folder()
    j = Journal(state)
    names = ["", "%", "_", ".", "..", ".hidden", "a/b c", "ä€😀", "x" * 255, "x" * 254 + "y", "/" * 255, "é" * 127, "a:b", "%2F", "a\\b", "-"]
    j.turn(T0)
    for n in range(3):
        for k, name in enumerate(names):
            j.put(DF, name, "free", T0 + 10 * n + 5, k)
    j.write()
    fold(state)
    fold(state)
    with open(os.path.join(state, "rrd", "df", ".family"), encoding="utf-8") as f:
        lines = [x.rstrip("\n").split("\t") for x in f]
    files = {x[2].replace("\\\\", "\\"): x[1] for x in lines if x[0] == "file"}
    assert sorted(files) == sorted(names), set(names) ^ set(files)
    assert len(set(files.values())) == len(names)
    for k, name in enumerate(names):
        assert fetch(os.path.join(state, "rrd", "df", files[name]), "free", T0 + 10, T0 + 20) == {T0 + 10: k, T0 + 20: k}, name
    assert files[""] == "%.rrd" and files["a/b c"] == "a%2Fb%20c.rrd" and files[".hidden"] == "%2Ehidden.rrd", files
    metrics = {x[2]: x for x in lines if x[0] == "metric"}
    assert metrics["state"] == ["metric", "state", "state", "state", "1", "-", "down", "up", "odd"], metrics
    assert metrics["mode"][5] == "event"

with suite.check("long names of metrics; new metrics in an old file, gone ones"):
    state = suite.folder()
    long_a, long_b = "a_metric_with_a_rather_long_name_1", "a_metric_with_a_rather_long_name_2"
    one = Family("many", [("old", "1", GAUGE, 0, []), (long_a, "1", GAUGE, 0, [])])
    two = Family("many", [(long_b, "1", GAUGE, 0, []), (long_a, "1", GAUGE, 0, [])])
    j = Journal(state)
    j.turn(T0)
    for n in range(6):
        j.put(one, "x", "old", T0 + 10 * n + 1, n)
        j.put(one, "x", long_a, T0 + 10 * n + 1, n + 100)
    j.turn(T0 + 60)
    j.write()
    fold(state)
    before = fetch(rrd_path(state, "many", "x"), "old", T0, T0 + 50)
    assert len(before) == 5, before
    j.turn(T0 + 60)
    for n in range(6, 12):
        j.put(two, "x", long_b, T0 + 10 * n + 1, n)
        j.put(two, "x", long_a, T0 + 10 * n + 1, n + 100)
    j.write()
    fold(state)
    with open(os.path.join(state, "rrd", "many", ".family")) as f:
        source = {x.split("\t")[2]: x.split("\t")[1] for x in f if x.startswith("metric")}
    assert all(len(x) <= 19 for x in source.values()) and len(set(source.values())) == 3, source
    path = rrd_path(state, "many", "x")
    assert fetch(path, source["old"], T0, T0 + 50) == before
    assert fetch(path, source[long_b], T0, T0 + 110) == {T0 + 10 * n + 10: n for n in range(6, 11)}
    same(fetch(path, source[long_a], T0, T0 + 110), {T0 + 10 * n + 10: n + 100 for n in range(11)})

with suite.check("the clock was set back: steps that were told are left out, and counted"):
    state = suite.folder()
    j = Journal(state)
    j.turn(T0)
    for n in range(10):
        j.put(DF, "/", "free", T0 + 10 * n + 1, n)
    j.turn(T0 + 50)
    j.write()
    fold(state)
    j.turn(T0 + 50)
    for n in range(5, 20):
        j.put(DF, "/", "free", T0 + 10 * n + 2, n + 100)
    j.write()
    said = fold(state)
    assert "clock was set back" in said, said
    found = fetch(rrd_path(state, "df", "%2F"), "free", T0, T0 + 200)
    assert found[T0 + 60] == 5 and found[T0 + 120] == 111 and max(found) == T0 + 190, found

with suite.check("samples and files of the future are left out"):
    state = suite.folder()
    j = Journal(state)
    j.turn(T0)
    for n in range(5):
        j.put(DF, "/", "free", T0 + 10 * n + 1, n)
    j.put(DF, "/", "free", T0 + 10 * 365 * 86400, n)
    j.write()
    said = fold(state)
    assert "ahead of the clock" in said, said
    subprocess.run(["rrdtool", "create", rrd_path(state, "df", "later"), "-s", "10", "-b", str(T0 + 10 * 365 * 86400), "DS:free:GAUGE:20:U:U",
                    "RRA:AVERAGE:0.5:1:10"], check=True)
    j.turn(T0 + 60)
    j.put(DF, "later", "free", T0 + 61, 1)
    j.put(DF, "later", "free", T0 + 75, 1)
    j.write()
    said = fold(state, check=1)
    assert "of the future" in said and os.path.exists(rrd_path(state, "df", "later") + ".bad"), said
    assert j.folded() == j.number

with suite.check("damaged files are moved aside, of another type left alone; the others go on"):
    state = suite.folder()
    j = Journal(state)
    paths = {}
    for n in range(2):
        j.turn(T0 + 100 * n)
        for k in range(10):
            for i in ("a", "b", "c", "d", "e", "f"):
                j.put(DF, i, "free", T0 + 100 * n + 10 * k + 1, k)
        j.write()
        if n:
            break
        fold(state)
        paths = {i: rrd_path(state, "df", i) for i in "abcdef"}
        with open(paths["a"], "r+b") as f:
            f.write(b"XXXX")
        os.truncate(paths["b"], os.path.getsize(paths["b"]) - 8)
        os.truncate(paths["c"], 0)
        os.unlink(paths["d"])
        os.mkdir(paths["d"])
        os.unlink(paths["e"])
        subprocess.run(["rrdtool", "create", paths["e"], "-s", "10", "-b", str(T0), "DS:free:COUNTER:20:U:U", "RRA:AVERAGE:0.5:1:10"], check=True)
    said = fold(state, check=1)
    for i in "abcd":
        assert "df/%s.rrd" % i in said and os.path.exists(paths[i] + ".bad"), (i, said)
        assert fetch(paths[i], "free", T0, T0 + 200), i
    assert "another type" in said and not os.path.exists(paths["e"] + ".bad"), said
    assert len(fetch(paths["f"], "free", T0, T0 + 190)) == 19
    assert j.folded() == 2

with suite.check("segments that are damaged cost what is in them"):
    state = suite.folder()
    j = Journal(state)
    for n in range(4):
        j.turn(T0 + 100 * n)
        for k in range(10):
            j.put(DF, "/", "free", T0 + 100 * n + 10 * k + 1, n)
    j.write()
    with open(os.path.join(j.folder, "%016x.seg" % 2), "r+b") as f:
        f.write(b"XXXX")
    with open(os.path.join(j.folder, "%016x.seg" % 3), "r+b") as f:
        f.seek(60)
        f.write(b"\xff\xff\xff")
    said = fold(state, check=1)
    assert "%016x.seg" % 2 in said, said
    found = fetch(rrd_path(state, "df", "%2F"), "free", T0, T0 + 400)
    assert found[T0 + 100] == 0 and T0 + 200 not in found and found[T0 + 390] == 3, found
    assert j.folded() == 4

with suite.check("one at a time"):
    state = suite.folder()
    j, t = some(state, 1)
    os.makedirs(os.path.join(state, "rrd"))
    with open(os.path.join(state, "rrd", ".fold.lock"), "w") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        assert "another kith-fold" in fold(state, check=1)
        assert j.folded() is None
    fold(state)
    assert j.folded() == j.number

with suite.check("instances that vanished go after a while, those that are there stay"):
    state = suite.folder()
    j = Journal(state)
    j.turn(T0)
    for n in range(5):
        for i in ("gone", "stays"):
            j.put(DF, i, "free", T0 + 10 * n + 1, n)
        j.put(Family("brief", [("x", "1", GAUGE, 0, [])]), "", "x", T0 + 10 * n + 1, n)
    j.turn(T0 + 86400)
    for n in range(5):
        j.put(DF, "stays", "free", T0 + 86400 + 10 * n + 1, n)
    j.write()
    fold(state, "--keep", "2d")
    assert os.path.exists(rrd_path(state, "df", "gone"))
    fold(state, "--keep", "1h")
    assert not os.path.exists(rrd_path(state, "df", "gone")) and os.path.exists(rrd_path(state, "df", "stays"))
    assert not os.path.exists(os.path.join(state, "rrd", "brief"))
    with open(os.path.join(state, "rrd", "df", ".family")) as f:
        text = f.read()
    assert "gone" not in text and "stays" in text, text

with suite.check("a full disk: nothing is lost, and it goes on when there is room"):
    if os.geteuid() != 0:
        raise Skip("needs root")
    state, reference = suite.folder(), suite.folder()
    j, t = some(reference, 5, instances=["i%d" % n for n in range(8)])
    fold(reference)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "none", state], stderr=subprocess.DEVNULL).returncode != 0:
        raise Skip("no tmpfs can be mounted")
    try:
        shutil.copytree(j.folder, os.path.join(state, "journal"), ignore=lambda d, n: [x for x in n if x == "folded"])
        said = fold(state, check=1)
        assert "No space" in said or "space" in said, said
        j.folder = os.path.join(state, "journal")
        assert j.folded() is None
        assert len(dumps(state)) >= 2
        subprocess.run(["mount", "-o", "remount,size=64m", state], check=True)
        fold(state)
        assert j.folded() == j.number
        assert dumps(state) == dumps(reference)
        # And full in the middle of it: all that is to be updated is there.
        before = dumps(state)
        j.turn(t + 5)
        for n in range(20):
            j.put(DF, "i0", "free", t + 5 + 10 * n, n)
        j.write()
        with open(os.path.join(state, "filler"), "wb") as f:
            try:
                while True:
                    f.write(bytes(1 << 16))
            except OSError:
                pass
        fold(state, check=1)
        assert dumps(state) == before and j.folded() == j.number - 1
        os.unlink(os.path.join(state, "filler"))
        fold(state)
        assert j.folded() == j.number
        # Read-only
        subprocess.run(["mount", "-o", "remount,ro", state], check=True)
        before = dumps(state)
        assert "Read-only" in fold(state, check=1)
        assert dumps(state) == before
    finally:
        subprocess.run(["umount", state], check=True)

with suite.check("as somebody who may not: said, and the rest goes on"):
    if os.geteuid() != 0:
        raise Skip("needs root")
    state = suite.folder()
    j, t = some(state, 7)
    public = suite.folder()
    shutil.copy(FOLD, public)
    fold(state)
    j.turn(t + 5)
    for n in range(20):
        for i in ("/", "/var/lib"):
            j.put(DF, i, "free", t + 5 + 10 * n, n)
    j.write()
    subprocess.run(["chown", "-R", "65534:65534", state], check=True)
    os.chown(rrd_path(state, "df", "%2F"), 0, 0)
    os.chmod(rrd_path(state, "df", "%2F"), 0o600)
    p = subprocess.run(NOBODY + [os.path.join(public, "kith-fold"), "--state-dir", state], capture_output=True, text=True, env=environment())
    assert p.returncode == 1 and "%2F.rrd" in p.stderr and "denied" in p.stderr, p.stderr
    assert j.folded() == j.number - 1
    assert max(fetch(rrd_path(state, "df", "%2Fvar%2Flib"), "free", T0, int(t) + 300)) > t
    os.chown(rrd_path(state, "df", "%2F"), 65534, 65534)
    p = subprocess.run(NOBODY + [os.path.join(public, "kith-fold"), "--state-dir", state], capture_output=True, text=True, env=environment())
    assert p.returncode == 0, p.stderr
    assert j.folded() == j.number
    assert max(fetch(rrd_path(state, "df", "%2F"), "free", T0, int(t) + 300)) > t

with suite.check("through rrdcached it comes to the same"):
    if not shutil.which("rrdcached"):
        raise Skip("rrdcached is not installed")
    state, reference = suite.folder(), suite.folder()
    j, t = some(reference, 8, segments=8)
    fold(reference)
    os.makedirs(os.path.join(state, "journal"))
    sock = os.path.join(state, "sock")
    cached = subprocess.Popen(["rrdcached", "-g", "-l", "unix:" + sock, "-b", state, "-p", os.path.join(state, "pid"), "-w", "1800"],
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        wait_for("rrdcached", lambda: os.path.exists(sock))
        for name in sorted(x for x in os.listdir(j.folder) if x.endswith(".seg")):
            shutil.copy(os.path.join(j.folder, name), os.path.join(state, "journal"))
            fold(state, "--cached", "unix:" + sock)
        assert dumps(state) == dumps(reference)
    finally:
        cached.terminate()
        cached.wait()
        cached.stderr.close()
    assert "cannot be reached" in fold(state, "--cached", "unix:" + sock, check=1)

with suite.check("low priority"):
    state = suite.folder()
    j, t = some(state, 9, ticks=3000)
    p = subprocess.Popen([FOLD, "--state-dir", state], env=environment())
    nice = []

    def look():
        try:
            nice.append(os.getpriority(os.PRIO_PROCESS, p.pid))
        except ProcessLookupError:
            return True
        return nice[-1] == 19 or p.poll() is not None
    wait_for("its priority", look)
    assert p.wait() == 0 and nice[-1] == 19, nice

with suite.check("what says how far it went: lost in part, it is written anew, although there is nothing to fold"):
    state = suite.folder()
    j = Journal(state)
    for n in range(3):
        j.turn(T0 + 100 * n, start=n == 0)
        for k in range(10):
            j.put(DF, "a", "free", T0 + 100 * n + 10 * k + 1, k)
    j.write()
    fold(state)
    told = os.path.join(j.folder, "folded")
    with open(told) as f:
        good = f.read()
    assert int(good.split()[0]) == j.number, good
    for bad in ("", good.replace(good[0], str(int(good[0]) - 1), 1), good[:-2] + "x\n", "99999 00000000\n"):
        with open(told, "w") as f:
            f.write(bad)
        before = dumps(state)
        fold(state)
        with open(told) as f:
            assert f.read() == good, bad
        assert dumps(state) == before

suite.end()
