#!/usr/bin/python3
"""kith-fold is killed at any moment, hundreds of times: each sample is in the RRD files once all the same."""
import os
import random
import shutil
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from foldtest import COUNTER, EVENT, FOLD, GAUGE, STATE, T0, Family, Journal, dumps, fold  # noqa: E402
from kithtest import Suite, environment, scale  # noqa: E402

KILLS = scale(300, 100)
SEGMENTS = 60
suite = Suite()
A = Family("a", [("free", "B", GAUGE, 0, []), ("reads", "1", COUNTER, 0, []), ("state", "1", STATE, 0, ["down", "up"])])
B = Family("b", [("x", "1", GAUGE, 0, []), ("ups", "1", COUNTER, EVENT, []), ("is", "1", STATE, EVENT, ["no", "yes"])])
B2 = Family("b", [*B.metrics, ("new", "1", GAUGE, 0, [])])


def make(state, r):
    j = Journal(state)
    t, n = T0 + 3.0, 0
    for segment in range(SEGMENTS):
        j.turn(t, start=segment % 25 == 0)
        b = B if segment < SEGMENTS // 2 else B2
        for _ in range(30):
            t += 10 + r.random() / 50
            n += 1
            for i in range(6):
                j.put(A, "a%d" % i, "free", t, r.random())
                j.put(A, "a%d" % i, "reads", t, n * i)
                j.put(A, "a%d" % i, "state", t, r.randrange(2))
            for i in range(2 + segment // 10):
                j.put(b, "b%d" % i, "x", t, n)
                if r.random() < 0.02:
                    j.put(b, "b%d" % i, "ups", t, n)
                    j.put(b, "b%d" % i, "is", t, n % 2)
                if b is B2:
                    j.put(b, "b%d" % i, "new", t, n)
    j.write()
    return j


def killed(state, after, *args):
    """True: it was killed; False: it had ended"""
    p = subprocess.Popen([FOLD, "-v", "--state-dir", state, *args], stderr=subprocess.PIPE, env=environment())
    time.sleep(after)
    p.kill()
    said = p.communicate()[1].decode()
    assert "Sanitizer" not in said and "damaged" not in said, said
    assert p.returncode in (0, -9), (p.returncode, said)
    return p.returncode == -9, said


with suite.check("killed %d times, and all is there once" % KILLS):
    seed = int(os.environ.get("KITH_SEED") or random.SystemRandom().randrange(1 << 32))
    print("# KITH_SEED=%d" % seed)
    r = random.Random(seed)
    state, reference = suite.folder(), suite.folder()
    j = make(reference, r)
    names = sorted(x for x in os.listdir(j.folder) if x.endswith(".seg"))
    folder = os.path.join(state, "journal")
    os.makedirs(folder)
    # The first makes the files, which takes longer; the second tells how long they take.
    for name in names[:3]:
        shutil.copy(os.path.join(j.folder, name), folder)
        begin = time.monotonic()
        fold(state)
        took = time.monotonic() - begin
    kills = cut = undone = 0
    left = names[3:]
    while kills < KILLS:
        # Several segments at once, or one, or none: so that what was left over is taken up by itself too
        if left and r.random() < 0.25:
            shutil.copy(os.path.join(j.folder, left.pop(0)), folder)
        was, said = killed(state, took * r.uniform(0.1, 1.1) * (5 if r.random() < 0.1 else 1))
        kills += was
        cut += "was cut off" in said
        undone += os.path.exists(os.path.join(state, "rrd", ".undo"))
        if not was:
            if left:
                shutil.copy(os.path.join(j.folder, left.pop(0)), folder)
            else:
                # All is folded: once more from what is known, with the last segments as if they had not been
                last = int(open(os.path.join(folder, "folded")).read().split()[0])
                assert last == j.number, last
                for name in ("rrd", "journal"):
                    shutil.rmtree(os.path.join(state, name))
                os.makedirs(folder)
                left = list(names)
    for name in left:
        shutil.copy(os.path.join(j.folder, name), folder)
    print("# %d kills, %d of them within an update, %d times taken back; a run takes %.0f ms" % (kills, undone, cut, took * 1000))
    assert undone > 0, "none came within an update"
    fold(state)
    fold(reference)
    found, wanted = dumps(state), dumps(reference)
    assert sorted(found) == sorted(wanted)
    for path in wanted:
        assert found[path] == wanted[path], path + " is another"
    assert not os.path.exists(os.path.join(state, "rrd", ".undo"))
    stray = [x for x in os.listdir(os.path.join(state, "rrd")) if x.startswith(".new")]
    assert not stray, stray

suite.end()
