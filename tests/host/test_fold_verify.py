#!/usr/bin/python3
"""kith-fold --verify and --export."""
import csv
import os
import random
import re
import shutil
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from foldtest import COUNTER, FOLD, GAUGE, S, STATE, T0, Family, Journal, dumps, fetch, fold, rrd_path, same  # noqa: E402
from kithtest import Suite, environment  # noqa: E402

suite = Suite()
DF = Family("df", [("free", "B", GAUGE, 0, []), ("reads", "reads", COUNTER, 0, []), ("state", "1", STATE, 0, ["down", "up, or not"])], "mount point")


def run(state, *args, check=0):
    p = subprocess.run([FOLD, "--state-dir", state, *args], capture_output=True, text=True, env=environment(), timeout=60)
    assert p.returncode == check, "%d: %s%s" % (p.returncode, p.stdout, p.stderr)
    return p.stdout


def make(state, segments=6, instances=("/", "/var,lib")):
    j = Journal(state)
    for n in range(segments):
        j.turn(T0 + 100 * n, start=n == 0)
        for k in range(10):
            for i in instances:
                j.put(DF, i, "free", T0 + 100 * n + 10 * k + 1, k + n)
                j.put(DF, i, "reads", T0 + 100 * n + 10 * k + 1, (n * 10 + k) * 5)
                j.put(DF, i, "state", T0 + 100 * n + 10 * k + 1, k % 2)
    return j


with suite.check("all is well"):
    state = suite.folder()
    j = make(state)
    j.write()
    fold(state)
    out = run(state, "--verify")
    assert out == "6 segments with 360 samples, 2 RRD files: 0 faults, 0 repaired\n", out

with suite.check("one that is about to begin is empty: no fault, nothing to fold; another that is empty is one"):
    begun = os.path.join(j.folder, "%016x.seg" % 7)
    open(begun, "w").close()
    out = run(state, "--verify")
    assert out == "7 segments with 360 samples, 2 RRD files: 0 faults, 0 repaired\n", out
    before = dumps(state)
    fold(state)
    assert j.folded() == 6 and dumps(state) == before
    open(os.path.join(j.folder, "%016x.seg" % 8), "w").close()
    assert "0007.seg: it is empty" in run(state, "--verify", check=1)
    os.remove(begun)
    os.remove(os.path.join(j.folder, "%016x.seg" % 8))

with suite.check("what is wrong is said, with its place; what can be repaired is"):
    seg = [os.path.join(j.folder, "%016x.seg" % n) for n in range(1, 7)]
    with open(seg[0], "ab") as f:
        f.write(b"torn")
    with open(seg[1], "r+b") as f:
        f.write(b"XX")
    os.truncate(seg[2], os.path.getsize(seg[2]) - 8)
    os.truncate(seg[5], os.path.getsize(seg[5]) - 3)
    with open(rrd_path(state, "df", "%2F"), "r+b") as f:
        f.write(b"XX")
    shutil.copy(rrd_path(state, "df", "%2Fvar,lib"), rrd_path(state, "df", "other"))
    with open(os.path.join(state, "rrd", ".state"), "r+b") as f:
        f.seek(20)
        f.write(b"?")
    out = run(state, "--verify", check=1)
    for text in ("0001.seg: 4 bytes", "0002.seg: it is no segment", "0003.seg: its seal is missing", "0006.seg: 5 bytes", "%2F.rrd: it is damaged",
                 "other.rrd: df/.family does not say", ".state: it is damaged", "7 faults, 0 repaired"):
        assert text in out, (text, out)
    before = {x: os.path.getsize(x) for x in seg}
    with open(seg[5], "ab"):  # as kithd has it
        out = run(state, "--verify", "--repair")
        assert "6 faults, 6 repaired" in out and "0006.seg" not in out, out
        assert "0002.seg: it is no segment; it is journal/%016x.seg.bad now; repaired" % 2 in out, out
    assert os.path.getsize(seg[5]) == before[seg[5]]
    out = run(state, "--verify", "--repair")
    assert "0006.seg: 5 bytes behind its last good frame are damaged; repaired" in out, out
    assert "0 faults" in run(state, "--verify")
    assert os.path.exists(seg[1] + ".bad") and not os.path.exists(seg[1])
    assert os.path.exists(rrd_path(state, "df", "%2F") + ".bad")

NOTHING = "0 faults, 0 repaired\n"


def mended(state, *texts):
    """--repair says so, and a second --verify is clean"""
    out = run(state, "--verify", check=1)
    assert "; repaired" not in out, out
    out = run(state, "--verify", "--repair")
    for text in texts:
        assert [x for x in out.splitlines() if text in x and x.endswith("; repaired")], (text, out)
    found = run(state, "--verify")
    assert found.endswith(NOTHING), found
    return out


def lines_of(path):
    with open(path) as f:
        return sorted(f.read().splitlines())


with suite.check(".family: what is missing of it comes from the segments, even of names that files do not have whole"):
    state = suite.folder()
    long = "x" * 250
    j = make(state, instances=("/", long))
    j.write()
    fold(state)
    family = os.path.join(state, "rrd", "df", ".family")
    before = lines_of(family)
    assert [x for x in before if long in x]

    def damage(what):
        if what is None:
            os.unlink(family)
        elif isinstance(what, bytes):
            with open(family, "wb") as f:
                f.write(what)
        else:
            with open(family, "w") as f:
                f.writelines(x + "\n" for x in before if not x.startswith(what))

    for what, text in ((None, "df/.family: No such file"), (b"garbage\n", "df/.family: it does not say what the family is"), (b"", "df/.family: it does"),
                       (b"\0\1\2" * 1000, "its data source free"), ("metric\tfree", "its data source free is none"), ("file\t%2F", "%2F.rrd: df/.family does"),
                       ("file\txxx", ".rrd: df/.family does"), ("family", "df/.family: it does not say"), ("file", "%2F.rrd: df/.family does")):
        damage(what)
        mended(state, text)
        assert lines_of(family) == before, (what, lines_of(family))
    os.unlink(family)
    os.mkdir(family)
    out = run(state, "--verify", "--repair", check=1)
    assert "df/.family: it cannot be written" in out and "; repaired" not in out, out
    os.rmdir(family)

with suite.check(".family: without a segment a file says what it can; a cut name is not guessed, and a fold puts right what was"):
    shutil.rmtree(os.path.join(state, "journal"))
    out = run(state, "--verify", "--repair", check=1)
    assert "%2F.rrd: its data source reads is none of the family's; no segment says what it is: a gauge until one does; repaired" in out, out
    assert "xx%-" in out and ".rrd: df/.family does not say whose it is, nor do its name and the segments: it is to be moved away\n" in out, out
    os.unlink(rrd_path(state, "df", next(x for x in os.listdir(os.path.dirname(family)) if x.startswith("xx"))[:-4]))
    assert run(state, "--verify").endswith(NOTHING)
    assert "metric\treads\treads\tgauge\t1\t-" in lines_of(family), lines_of(family)
    j = Journal(state)
    j.turn(T0 + 1000, start=True)
    for k in range(20):
        j.put(DF, "/", "reads", T0 + 1001 + 10 * k, 5 * k)
    j.write()
    fold(state)
    assert lines_of(family) == [x for x in before if long not in x], lines_of(family)
    same(fetch(rrd_path(state, "df", "%2F"), "reads", T0 + 1010, T0 + 1180), j.naive(DF, "/", "reads", T0 + 1010, T0 + 1180), "reads")

with suite.check(".family: a data source of a name that was cut comes from segments alone"):
    state = suite.folder()
    wide = Family("wide", [("a_name_that_is_much_too_long", "B", GAUGE, 0, [])])
    j = Journal(state)
    j.turn(T0, start=True)
    for k in range(10):
        j.put(wide, "", "a_name_that_is_much_too_long", T0 + 10 * k + 1, k)
    j.write()
    fold(state)
    family = os.path.join(state, "rrd", "wide", ".family")
    before = lines_of(family)
    os.unlink(family)
    shutil.move(j.folder, j.folder + ".away")
    out = run(state, "--verify", "--repair", check=1)
    assert "is none of the family's, and no segment says what it is" in out and "2 repaired" in out, out
    shutil.move(j.folder + ".away", j.folder)
    mended(state, "is none of the family's")
    os.unlink(family)
    mended(state, "wide/.family: No such file")
    assert lines_of(family) == before

with suite.check("journal/folded: damaged, it is what .state says, or goes"):
    state = suite.folder()
    j = make(state)
    j.write()
    fold(state)
    folded = os.path.join(j.folder, "folded")
    with open(folded) as f:
        before = f.read()
    for text in ("999999 deadbeef\n", "", "x" * 100, before + "x"):
        with open(folded, "w") as f:
            f.write(text)
        mended(state, "journal/folded: it is damaged")
        with open(folded) as f:
            assert f.read() == before
    with open(folded, "w") as f:
        f.write("x")
    os.unlink(os.path.join(state, "rrd", ".state"))
    mended(state, "journal/folded: it is damaged")
    assert not os.path.exists(folded)
    was = dumps(state)
    fold(state)
    assert j.folded() == 6 and dumps(state) == was

with suite.check("numbers that are missing: a fault with them; kith-fold says it once and goes on; what was folded or is oldest is not missed"):
    state = suite.folder()
    j = make(state, segments=12)
    j.write()
    path = [os.path.join(j.folder, "%016x.seg" % n) for n in range(13)]
    os.unlink(path[1])
    assert NOTHING in run(state, "--verify")
    for n in (4, 6, 7, 8, 11):
        os.unlink(path[n])
    for args in (), ("--repair",):
        out = run(state, "--verify", *args, check=1)
        assert "journal: segment 4 (%016x.seg) is missing: " % 4 in out and "segments 6 to 8 (%016x.seg to %016x.seg) are missing: " % (6, 8) in out, out
        assert "segment 11 (%016x.seg) is missing" % 11 in out and "3 faults, 0 repaired" in out, out
    out = fold(state, check=1)
    assert out.count("missing") == 3 and "segment 4 is missing" in out and "segments 6 to 8 are missing" in out, out
    assert j.folded() == 12 and fold(state) == ""
    assert NOTHING in run(state, "--verify")

with suite.check("the segment behind the one that was folded last is missing"):
    state = suite.folder()
    j = make(state, segments=3)
    j.write()
    fold(state)
    j.turn(T0 + 300)
    j.put(DF, "/", "free", T0 + 301, 1)
    j.turn(T0 + 400)
    j.put(DF, "/", "free", T0 + 401, 1)
    j.write()
    os.unlink(os.path.join(j.folder, "%016x.seg" % 4))
    assert "segment 4 (" in run(state, "--verify", check=1)
    assert "segment 4 is missing" in fold(state, check=1)
    assert fold(state) == "" and j.folded() == 5

with suite.check("a damaged .undo is a fault, removed by --repair, and nothing is taken back then"):
    undo = os.path.join(state, "rrd", ".undo")
    with open(undo, "w") as f:
        f.write("garbage")
    out = mended(state, "rrd/.undo: it is damaged: an update that was cut off cannot be taken back")
    assert "taken back\n" not in out and not os.path.exists(undo), out
    with open(undo, "w") as f:
        f.write("garbage")
    said = fold(state, "-v")
    assert ".undo is damaged, and removed" in said and "was cut off; it is made again" not in said, said

with suite.check("segments that are none at their place are set aside, and folding goes on: an empty one, a copy"):
    state = suite.folder()
    j = make(state)
    j.write()
    path = [os.path.join(j.folder, "%016x.seg" % n) for n in range(8)]
    os.truncate(path[2], 0)
    shutil.copy(path[1], path[4])
    shutil.copy(path[3], path[7])
    with open(path[3], "rb") as f:
        third = f.read()
    out = mended(state, "%016x.seg: it is empty; it is journal/%016x.seg.bad now" % (2, 2),
                 "%016x.seg: it says that it is number 1; it is journal/%016x.seg.bad now" % (4, 4),
                 "%016x.seg: it says that it is number 3; it is journal/%016x.seg.bad now" % (7, 7))
    assert "3 faults, 3 repaired" in out, out
    with open(path[7] + ".bad", "rb") as f:
        assert f.read() == third
    assert [x for x in (2, 4, 7) if os.path.exists(path[x])] == []
    assert fold(state) == "" and j.folded() == 6

with suite.check("a copy with another number: kith-fold leaves it out, and does not count from it again"):
    state = suite.folder()
    j = make(state)
    j.write()
    shutil.copy(os.path.join(j.folder, "%016x.seg" % 1), os.path.join(j.folder, "%016x.seg" % 4))
    assert "%016x.seg says that it is number 1, and is left out" % 4 in fold(state, check=1)
    assert j.folded() == 6 and fold(state) == ""

with suite.check("beside somebody who writes, folds and removes: no false faults"):
    state = suite.folder()
    fold_from, rounds = 1, 0
    j = make(state, segments=2)
    j.write()
    checks = []

    def look():
        while not done:
            p = subprocess.run([FOLD, "--state-dir", state, "--verify"], capture_output=True, text=True, env=environment(), timeout=60)
            checks.append((p.returncode, p.stdout, p.stderr))

    done = False
    thread = threading.Thread(target=look)
    thread.start()
    try:
        for n in range(2, 42):
            j.turn(T0 + 100 * n)
            for k in range(10):
                j.put(DF, "/", "free", T0 + 100 * n + 10 * k + 1, k + n)
            j.write()
            if n % 3 == 0:
                fold(state)
            # As kithd: the oldest goes, when it was folded
            while fold_from < (j.folded() or 0):
                os.unlink(os.path.join(j.folder, "%016x.seg" % fold_from))
                fold_from += 1
    finally:
        done = True
        thread.join()
    bad = [x for x in checks if x[0] != 0 and not all(re.search(r"\.seg: (\d+ bytes behind|its seal is missing)", y)
                                                     for y in x[1].splitlines()[:-1])]
    assert len(checks) > 3 and not bad, (len(checks), bad[:2])

with suite.check("a folder that is none"):
    run(os.path.join(state, "nowhere"), "--verify", check=1)

with suite.check("CSV: samples, rates, names of states"):
    state = suite.folder()
    j = make(state)
    j.write(seal=False)
    rows = list(csv.reader(run(state, "--export", "csv").splitlines()))
    assert rows[0] == ["time", "name", "value"] and len(rows) == 1 + 2 * (60 + 59 + 60), len(rows)
    found = {(r[0], r[1]): r[2] for r in rows}
    assert found[("2025-06-15T15:06:51.000Z", "df:/var,lib:state")] == "up, or not", sorted(found)[:3]
    assert found[("2025-06-15T15:06:51.000Z", "df:/:reads")] == "0.5"
    rows = run(state, "--export", "csv", "--since", str(T0 + 100), "--until", "2025-06-15T15:10:00Z", "--step", "20s", "df:/:free").splitlines()
    assert [r.split(",")[2] for r in rows[1:]] == ["8.5", "1.5", "3.5", "5.5", "7.5", "9.5"], rows
    run(state, "--export", "csv", "nothing", check=1)
    for bad in (["--export", "xml"], ["--export", "rrd"], ["--export", "csv", "--since", "yesterday"], ["--export", "csv", "--to", "x"]):
        run(state, *bad, check=2)

with suite.check("RRD files with what is not folded yet; the state folder is as it was"):
    fold(state)
    before = dumps(state)
    for n in range(6, 9):
        j.turn(T0 + 100 * n)
        for k in range(10):
            for i in ("/", "/var,lib", "new"):
                j.put(DF, i, "free", T0 + 100 * n + 10 * k + 1, k + n)
    j.write(seal=False)
    to = os.path.join(suite.folder(), "out")
    run(state, "--export", "rrd", "--to", to)
    assert dumps(state) == before and j.folded() == 5
    for i in ("%2F", "new"):
        found = fetch(os.path.join(to, "df", i + ".rrd"), "free", T0, T0 + 890)
        same(found, j.naive(DF, i.replace("%2F", "/"), "free", T0, T0 + 890), i)
    assert sorted(os.listdir(to)) == ["df"] and ".family" in os.listdir(os.path.join(to, "df"))
    run(state, "--export", "rrd", "--to", to, check=1)
    to = os.path.join(suite.folder(), "out")
    run(state, "--export", "rrd", "--to", to, "df:new:*")
    assert sorted(os.listdir(os.path.join(to, "df"))) == [".family", "new.rrd"]

suite.end()
