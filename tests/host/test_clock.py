#!/usr/bin/python3
"""A clock that is set, by an hour and by a day, forward and back: no false broken, no false kept, no deadline missed.

libfaketime sets the clock of this kithd alone. Its monotonic clock goes on, as that of a host does.
"""
import glob
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from kithtest import TEST_PLUGINS, Suite, install, sanitized, wait_for, write_file  # noqa: E402

suite = Suite()
folder = suite.folder()
value, offset = os.path.join(folder, "value"), os.path.join(folder, "offset")
write_file(value, "50")
write_file(offset, "+0\n")
plugins = suite.folder()
for name in ("level", "probe"):
    install(os.path.join(TEST_PLUGINS, name + ".so"), os.path.join(plugins, name + ".so"))
env = {"LD_PRELOAD": glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")[0], "FAKETIME_TIMESTAMP_FILE": offset, "FAKETIME_NO_CACHE": "1",
       "FAKETIME_DONT_FAKE_MONOTONIC": "1", "NO_FAKE_STAT": "1"}
if sanitized():
    env["ASAN_OPTIONS"] = os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0:detect_leaks=0"

d = suite.daemon(conf='interval = 200ms\nplugin level { from = "%s" }\n' % value, plugins=(plugins,), env=env, promises={"a.promise": '''
bundle a {
    promise low { promiser level:0 keep level:0:value < 100 }
    promise slow { promiser level:0 keep level:0:value < 200 grace 4s settle 4s }
    promise young { promiser level:0 keep age(level:0:value) < 30s }
    promise steady { promiser level:0 keep rate(level:0:value, 10s) < 1000000/s and avg(level:0:value, 30s) < 1000 }
    promise still { promiser level:0 keep not changed(level:0:value, 1h) or level:0:value < 1000 }
}
'''}).start()
at = [0]


def calls():
    return next(c for c in d.kith("cost")[1] if c["name"] == "probe")["calls"]


def rounds(n):
    before = calls()
    wait_for("%d rounds" % n, lambda: calls() >= before + n, alive=d)


def set_clock(by):
    seen = len(d.lines("the clock was set by"))
    at[0] += by
    write_file(offset, "%+d\n" % at[0])
    wait_for("the new time to be seen", lambda: len(d.lines("the clock was set by")) > seen, alive=d)


def transitions(w):
    return [(x["name"], x["to"]) for x in w.lines if x["kind"] == "transition"]


def all_kept():
    return all(p["assessment"] == "kept" for p in d.kith("promises")[1])


with suite.check("set by an hour and by a day, both ways: nothing changes"):
    wait_for("all to be kept", all_kept, alive=d)
    rounds(20)
    w = d.watch("--transitions")
    for by in (3600, -3600, -3600, 86400, -86400, 7):
        set_clock(by)
        rounds(8)
        assert all_kept()
    assert transitions(w) == [], transitions(w)
    assert "%+.0f" % 3600 in d.lines("the clock was set by")[0]

with suite.check("a grace that runs goes on as long as it would have: neither cut short nor made longer"):
    for by in (3600, -3600):
        before = len(transitions(w))
        write_file(value, "300")
        w.wait("low to break", lambda x: x["kind"] == "transition" and x["name"] == "a.low" and x["to"] == "broken" and
               w.lines.index(x) >= before)
        set_clock(by)
        rounds(8)
        # 4 s are 20 rounds, of which not half have gone.
        assert d.promise("a.slow")["assessment"] == "kept", transitions(w)
        d.wait_promise("a.slow", "broken")
        write_file(value, "50")
        d.wait_promise("a.low", "kept")
        set_clock(-by)
        rounds(8)
        assert d.promise("a.slow")["assessment"] == "broken", transitions(w)
        d.wait_promise("a.slow", "kept")

with suite.check("the history counts none of the time that was passed over"):
    entry = next(p for p in d.kith("promises", "--reliability", "a.young")[1] if p["name"] == "a.young")["reliability"]["30d"]
    assert entry["kept_seconds"] < 300 and entry["broken_seconds"] == 0, entry

w.end()
d.stop()
suite.end()
