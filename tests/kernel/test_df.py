#!/usr/bin/python3
"""File systems that come, go and hang, in a mount namespace of the test's own."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from fuse import Fuse  # noqa: E402
from kerneltest import Stopped, namespaces, run, threads  # noqa: E402
from kithtest import Skip, Suite, sanitized, wait_for  # noqa: E402

namespaces("net", "mount")
SOON = 1.0 if not sanitized() else 5.0  # looking for leaks takes its time
WORKERS = 8  # that a plugin may have
suite = Suite()
place = suite.folder()
PROMISES = {"room.promise": """
bundle room {
    promise enough {
        promiser  df:*
        keep      df:*:free_percent > 10%
    }
}
"""}


def path(name):
    os.makedirs(os.path.join(place, name), exist_ok=True)
    return os.path.join(place, name)


def tmpfs(point, size="1m"):
    run("mount", "-t", "tmpfs", "-o", "size=" + size, "kithtest", point)


def df(d, point, metric="free_percent"):
    return d.value("df:%s:%s" % (point, metric))


def assessment(d, point):
    """Of the promise on this file system; None where there is none"""
    return next((p["assessment"] for p in d.kith("promises")[1] if p["promiser"] == "df:" + point), None)


def goes_on(d, name, rounds=1):
    for _ in range(rounds):
        before = d.get(name)[name]["time"]
        wait_for("%s to go on" % name, lambda: d.get(name)[name]["time"] != before, alive=d)


# ---- by event: it samples once an hour

d = suite.daemon(conf="interval = 1h\n", promises=PROMISES).start()
first, second = path("first"), path("second")

with suite.check("a file system that is mounted has its values and its promise at once, not on the next tick"):
    wait_for("df:/", lambda: df(d, "/") is not None, alive=d)
    assert df(d, first) is None
    tmpfs(first)
    wait_for("its values", lambda: df(d, first) == 100, alive=d)
    assert df(d, first, "total") == 1 << 20, df(d, first, "total")
    assert df(d, first, "state") == "rw"
    assert assessment(d, first) == "kept", assessment(d, first)

with suite.check("another one on top of it hides it; taken off, the first is there again"):
    tmpfs(first, "2m")
    wait_for("the upper one", lambda: df(d, first, "total") == 2 << 20, alive=d)
    assert len([p for p in d.kith("promises")[1] if p["promiser"] == "df:" + first]) == 1
    run("umount", first)
    wait_for("the lower one", lambda: df(d, first, "total") == 1 << 20, alive=d)

with suite.check("a second mount of the same file system is not counted twice"):
    run("mount", "--bind", first, second)
    third = path("third")
    tmpfs(third)
    wait_for("one that was mounted later", lambda: df(d, third) == 100, alive=d)
    assert df(d, second) is None

with suite.check("unmounted, it ends, and its promise with it"):
    run("umount", second)
    run("umount", first)
    wait_for("its end", lambda: not d.get("df:%s:*" % first), alive=d)
    assert assessment(d, first) is None, assessment(d, first)
    assert df(d, third) == 100

with suite.check("mounted and unmounted in the same breath it leaves no ghost"):
    with Stopped(d.process.pid):
        for _ in range(20):
            tmpfs(first)
            run("umount", first)
        tmpfs(second)
    wait_for("the one that stays", lambda: df(d, second) == 100, alive=d)
    assert not d.get("df:%s:*" % first), d.get("df:%s:*" % first)

with suite.check("a hundred of them come and go"):
    many = [path("many%d" % i) for i in range(100)]
    for point in many:
        tmpfs(point)
    wait_for("all of them", lambda: all(df(d, p) == 100 for p in (many[0], many[50], many[99])), alive=d)
    assert len(d.get("df:%s/many*:state" % place)) == 100
    run("umount", *many)
    wait_for("their end", lambda: not d.get("df:%s/many*:*" % place), alive=d)
    assert df(d, second) == 100
    d.stop(within=SOON)

# ---- when to look again

# What kithd itself writes moves the file system that it is on.
RATE = """interval = 100ms
steady_interval = 1600ms
journal { enabled = false }
records { enabled = false }
plugin df { fill_rate = %s; ignore = ["/dev*", "/run*", "/sys*", "/proc*", "/tmp/kith-other*", "%s", "%s"] }
"""
filled = path("filled")
tmpfs(filled, "64m")
MINE = {"room.promise": "bundle room { promise enough { promiser df:%s keep df:%s:free_percent > 20%% } }\n" % (filled, filled)}


def calls(d, name):
    return next(c for c in d.kith("cost")[1] if c["name"] == name)["calls"]


def share(d, rounds):
    """Calls of df for each of load, which is sampled every interval"""
    asked, load = calls(d, "df"), calls(d, "load")
    wait_for("%d rounds" % rounds, lambda: calls(d, "load") >= load + rounds, alive=d)
    return (calls(d, "df") - asked) / (calls(d, "load") - load)


def fill(to, step=0):
    with open(os.path.join(filled, "file"), "ab") as f:
        f.write(bytes((to << 20) - f.tell() if not step else step << 20))


with suite.check("where nothing fills fast df is asked as seldom as steady_interval says, with a promise on it"), \
        suite.daemon(conf=RATE % ("1KiB", first, second), promises=MINE) as d:
    d.wait_promise("room.enough", "kept")
    wait_for("it to be asked less often", lambda: share(d, 20) < 0.3, alive=d)
    # What fills is seen step by step: once it moves, its own pace counts, and near the threshold attention does.
    size, load = 0, calls(d, "load")
    while d.promise("room.enough")["assessment"] == "kept" and size < 64:
        fill(0, 1)
        size += 1
        load += 2
        wait_for("two rounds", lambda: calls(d, "load") >= load, alive=d)
    assert 51 <= size <= 56, size  # 80 % of 64 is 51.2
    os.remove(os.path.join(filled, "file"))

with suite.check("where it could be filled at once df is asked each interval, and a tmpfs that is filled is seen as soon as without steady_interval"):
    seen = {}
    for name, conf in (("steady", RATE % ("1GiB", first, second)), ("plain", "interval = 100ms\n")):
        seen[name] = []
        with suite.daemon(conf=conf, promises=MINE) as d:
            for _ in range(3):
                d.wait_promise("room.enough", "kept")
                assert share(d, 25) > 0.8
                asked = calls(d, "df")
                fill(60)
                d.wait_promise("room.enough", "broken")
                seen[name].append(calls(d, "df") - asked)
                os.remove(os.path.join(filled, "file"))
    print("# rounds until it was seen: %s" % seen)
    assert sorted(seen["steady"])[1] <= sorted(seen["plain"])[1] + 2, seen
run("umount", filled)

# ---- file systems that hang

fuses = []
d = suite.daemon(conf="interval = 100ms\n", promises=PROMISES).start()
hung = os.path.join(place, "hung")
if os.path.exists("/dev/fuse"):
    try:
        fuses.append(Fuse(hung))
    except OSError as e:
        refused = str(e)
else:
    refused = "no /dev/fuse"


def need_fuse():
    if not fuses:
        raise Skip("no file system of the test's own: " + refused)


with suite.check("a file system that asks a program is there, and its promise kept"):
    need_fuse()
    watch = d.watch("--records", "--transitions", "df:%s*" % hung, "room.enough")
    wait_for("its values", lambda: df(d, hung) == 50, alive=d)
    wait_for("its promise", lambda: assessment(d, hung) == "kept", alive=d)

with suite.check("when it hangs its promise goes from kept to unknown; that is recorded and shown"):
    need_fuse()
    at = len(watch.lines)
    fuses[0].hang()
    wait_for("its promise", lambda: assessment(d, hung) == "unknown", alive=d)
    def moved():
        return [(x["from"], x["to"]) for x in watch.lines if x["kind"] == "transition" and x["promiser"] == "df:" + hung]
    wait_for("the watch to tell it", lambda: moved()[-1:] == [("kept", "unknown")], alive=d)
    told = (lambda x: x["kind"] == "record" and x["subject"] == "df:" + hung and "does not answer" in x["message"])
    wait_for("the record", lambda: any(told(x) for x in watch.lines[at:]), alive=d)
    plugin = d.plugin("df")[0]
    assert plugin["state"] == "running" and hung in plugin["reason"], plugin
    answered = fuses[0].answered
    goes_on(d, "df:%s:free_percent" % second, 10)
    for name in ("load:1m", "memory:available", "kith:wakeups", "df:/:free"):
        goes_on(d, name)
    assert assessment(d, second) == "kept" and assessment(d, hung) == "unknown"
    assert fuses[0].answered == answered
    got = d.get("df:%s:free_percent" % hung)["df:%s:free_percent" % hung]
    print("# what get says: %s" % got)

with suite.check("when it answers again its promise is kept again"):
    need_fuse()
    fuses[0].answer()
    wait_for("its promise", lambda: assessment(d, hung) == "kept", alive=d)
    wait_for("the record", lambda: [x for x in watch.lines if x["kind"] == "record" and "answers again" in x["message"]], alive=d)
    wait_for("the note to go", lambda: not d.plugin("df")[0]["reason"], alive=d)

with suite.check("more of them hang than there are workers: threads are bounded, local ones go on, all come back"):
    need_fuse()
    fuses += [Fuse("%s%d" % (hung, i)) for i in range(WORKERS + 4)]
    wait_for("all of them", lambda: all(df(d, f.path) == 50 for f in fuses), alive=d)
    for f in fuses:
        f.hang()
    wait_for("their promises", lambda: all(assessment(d, f.path) == "unknown" for f in fuses), alive=d)
    goes_on(d, "df:%s:free_percent" % second, 10)
    assert len(threads(d.process.pid)) <= WORKERS + 1, threads(d.process.pid)
    for f in fuses:
        f.answer()
    wait_for("their promises", lambda: all(assessment(d, f.path) == "kept" for f in fuses), alive=d)

with suite.check("one that is taken away while it hangs ends"):
    need_fuse()
    gone = fuses.pop()
    gone.hang()
    wait_for("its promise", lambda: assessment(d, gone.path) == "unknown", alive=d)
    gone.end()
    wait_for("its end", lambda: not d.get("df:%s:*" % gone.path), alive=d)

with suite.check("after all of it the daemon ends cleanly"):
    if fuses:
        watch.end()
    d.stop(within=SOON)

with suite.check("kithd ends within a second while they hang"):
    need_fuse()
    # To look for leaks the sanitizer stops all threads, which one that hangs in the kernel does not let happen
    with suite.daemon(conf="interval = 100ms\n", env={"ASAN_OPTIONS": "exitcode=99:detect_leaks=0"}) as d:
        wait_for("their values", lambda: all(df(d, f.path) == 50 for f in fuses), alive=d)
        for f in fuses:
            f.hang()
        wait_for("calls that hang", lambda: len(threads(d.process.pid)) == WORKERS + 1, alive=d)
        d.stop(within=1.0)

for f in fuses:
    f.end()
run("umount", second, third)
suite.end()
