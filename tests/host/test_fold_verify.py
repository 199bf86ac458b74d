#!/usr/bin/python3
"""kith-fold --verify and --export."""
import csv
import os
import random
import shutil
import subprocess
import sys

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
        out = run(state, "--verify", "--repair", check=1)
        assert "6 faults, 5 repaired" in out and "0006.seg" not in out, out
    assert os.path.getsize(seg[5]) == before[seg[5]]
    out = run(state, "--verify", "--repair", check=1)
    assert "0006.seg: 5 bytes behind its last good frame are damaged; repaired" in out, out
    out = run(state, "--verify", check=1)
    assert "0002.seg" in out and "1 faults" in out, out
    os.unlink(seg[1])
    assert "0 faults" in run(state, "--verify")
    assert os.path.exists(rrd_path(state, "df", "%2F") + ".bad")

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
