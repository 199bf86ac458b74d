#!/usr/bin/python3
"""The history of promises in the daemon: across an action that mends, kill -9 and restarts; flapping; a state folder that fails."""
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from kithtest import KITH, PLUGINS, TEST_PLUGINS, Skip, Suite, environment, install, wait_for, write_file  # noqa: E402

suite = Suite()
plugins = suite.folder()
install(os.path.join(TEST_PLUGINS, "probe.so"), os.path.join(plugins, "probe.so"))
place = suite.folder()
value = os.path.join(place, "value")
mend = os.path.join(place, "mend")
write_file(mend, '#!/bin/sh\necho 1 > "%s.new" && mv "%s.new" "%s"\n' % (value, value, value))
os.chmod(mend, 0o755)
conf = 'interval = 100ms\nplugin probe { from = "%s" }\n' % value
PROMISE = """bundle b {
    promise one {
        promiser probe:0
        keep probe:0:value < 5
%s    }
    promise quiet { promiser probe:0 keep probe:0:value >= 0 }
}
"""
MENDED = PROMISE % ('        on broken run "%s"\n' % mend)


def set_value(number):
    write_file(value, str(number))


def daemon(**more):
    more.setdefault("conf", conf)
    return suite.daemon(plugins=(PLUGINS, plugins), promises={"a.promise": PROMISE % ""}, **more)


def text(d, *args):
    """(exit status, both of its outputs)"""
    p = subprocess.run([KITH, "-s", d.socket, *args], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment(), timeout=30)
    return p.returncode, p.stdout


def reliability(d, name="b.one"):
    found = d.kith("promises", "--reliability", name)[1]
    assert [p["name"] for p in found] == [name], found
    return found[0]["reliability"]


def history(d):
    with open(os.path.join(d.state, "promises.history")) as f:
        return f.read().splitlines()


def again(d):
    """Starts it once more; the log and the socket of before are there still"""
    before = len(d.lines(r" runs: \d+ promises"))
    d.start()
    d.wait_log(r" runs: \d+ promises", before + 1)


def add_up(windows):
    for name, length in (("1h", 3600), ("1d", 86400), ("30d", 30 * 86400)):
        w = windows[name]
        total = w["kept_seconds"] + w["broken_seconds"] + w["unknown_seconds"]
        assert abs(total - length) < 0.001, (name, w)
        known = w["kept_seconds"] + w["broken_seconds"]
        assert w["reliability"] is None if not known else abs(w["reliability"] - w["kept_seconds"] / known) < 1e-6, w


set_value(1)
d = daemon().start()

with suite.check("breaks and repairs are counted, and the transition says that it was repaired"):
    d.wait_promise("b.one", "kept")
    windows = reliability(d)
    assert sorted(windows) == ["1d", "1h", "30d"], windows
    assert windows["1h"]["reliability"] == 1 and windows["1h"]["breaks"] == 0, windows
    write_file(os.path.join(d.promises, "a.promise"), MENDED)
    wait_for("the action", lambda: len(d.lines("promises from 1 file")) == 2 and d.promise("b.one")["assessment"] == "kept", alive=d)
    watch = d.watch("--transitions")
    set_value(9)
    line = watch.wait("the repair", lambda x: x["name"] == "b.one" and x["to"] == "kept")
    assert line["repaired"] is True, line
    assert all("repaired" not in x for x in watch.end() if x["to"] != "kept")
    w = reliability(d)["1h"]
    assert w["breaks"] == 1 and w["repairs"] == 1 and w["mends"] == 1 and 0 < w["reliability"] < 1, w
    assert 0 < w["broken_seconds"] <= w["longest_break_seconds"] + 1e-6 and w["mend_seconds"] == w["longest_break_seconds"], w
    add_up(reliability(d))

with suite.check("kith explain shows the last transitions, newest last"):
    x = d.kith("explain", "b.one")[1]
    changes = [(t["from"], t["to"], t["repaired"]) for t in x["transitions"]]
    assert changes[-2:] == [("kept", "broken", False), ("broken", "kept", True)], x["transitions"]
    broke, kept = x["transitions"][-2:]
    assert "9" in broke["because"] and broke["seconds"] > 0 and kept["seconds"] >= 0 and broke["time"] < kept["time"], x["transitions"]
    status, out = text(d, "explain", "b.one")
    assert status == 0 and "History:" in out and "broken -> kept, repaired" in out, out

with suite.check("kill -9 and a restart: what was stays, what kithd did not see is unknown"):
    before = reliability(d)["1h"]
    d.kill()
    assert not history(d)[-1].startswith("end"), history(d)[-1]
    again(d)
    d.wait_promise("b.one", "kept")
    assert [x for x in history(d) if x.startswith("begin")][1].split("\t")[2] != "0"
    after = reliability(d)["1h"]
    assert after["breaks"] == 1 and after["repairs"] == 1 and after["broken_seconds"] == before["broken_seconds"], (before, after)
    # What it was between the last line and the end, which is at most a minute, nobody knows.
    assert after["kept_seconds"] > 0, (before, after)
    changes = [(t["from"], t["to"], t["because"]) for t in d.kith("explain", "b.one")[1]["transitions"]]
    assert changes[-2] == ("kept", "unknown", "kithd did not run") and changes[-1][:2] == ("unknown", "kept"), changes

with suite.check("a stop says so in the history, and is no break"):
    d.stop()
    assert history(d)[-1].startswith("end\t"), history(d)[-1]
    again(d)
    d.wait_promise("b.one", "kept")
    assert reliability(d)["30d"]["breaks"] == 1
    add_up(reliability(d))

with suite.check("as text: a row for each, worst first; patterns; one that matches nothing"):
    status, out = text(d, "promises", "--reliability")
    assert status == 0 and len(out.splitlines()) == 2 and " of <0.1 %" in out, out
    status, out = text(d, "promises", "--reliability", "b.quiet")
    assert status == 0 and len(out.splitlines()) == 1 and "100 %" in out, out
    status, out = text(d, "promises", "--reliability", "none.such")
    assert status == 1 and "nothing matches" in out, out

with suite.check("flapping is said in a record, in kith promises and in kith explain"):
    write_file(os.path.join(d.promises, "a.promise"), PROMISE % "")
    wait_for("the file", lambda: not d.kith("explain", "b.one")[1]["actions"], alive=d)
    d.wait_promise("b.one", "kept")
    assert d.promise("b.one")["flapping"] is False
    watch = d.watch("--records")
    for _ in range(5):
        set_value(9)
        d.wait_promise("b.one", "broken")
        set_value(1)
        d.wait_promise("b.one", "kept")
    record = watch.wait("the record", lambda x: x["kind"] == "record" and "flaps" in x["message"])
    watch.end()
    assert record["subject"] == "b.one" and "broke 5 times in 10 min" in record["message"], record
    assert d.promise("b.one")["flapping"] is True and d.promise("b.quiet")["flapping"] is False
    status, out = text(d, "promises", "b.one")
    assert "flapping (5 times in 10 min): " in out, out
    status, out = text(d, "explain", "b.one")
    assert "broke 5 times in the last 10 min: settle, grace or a margin would calm it" in out, out
    assert d.kith("explain", "b.one")[1]["flaps"] == 5
    assert len(d.kith("explain", "b.one")[1]["transitions"]) == 8

with suite.check("a file of garbage is no obstacle: it is passed over, and said"):
    d.stop()
    with open(os.path.join(d.state, "promises.history"), "ab") as f:
        f.write(b"\x00\xff garbage\n" * 1000 + b"begin\t99999999999999999999\t1\nkept\t18446744073709551615\n" + b"x" * 100000)
    again(d)
    d.wait_promise("b.one", "kept")
    add_up(reliability(d))
    assert reliability(d)["30d"]["repairs"] == 1
    assert len(d.lines("lines cannot be read and are passed over")) == 1, d.log()
    d.stop()

with suite.check("without a history: said once, why is told who asks, and all else goes on"), daemon() as d:
    d.wait_promise("b.one", "kept")
    d.stop()
    path = os.path.join(d.state, "promises.history")
    os.remove(path)
    os.mkdir(path)
    again(d)
    d.wait_promise("b.one", "kept")
    assert len(d.lines("no history of promises is kept: ")) == 1, d.log()
    status, out = text(d, "promises", "--reliability")
    assert status == 1 and "there is no history of promises: " + path in out, (status, out)
    status, out = text(d, "explain", "b.one")
    assert status == 0 and "No history:" in out, out
    assert d.kith("explain", "b.one")[1]["transitions"] == []

with suite.check("history = false: none is written"), daemon(conf=conf + "history = false\n") as d:
    d.wait_promise("b.one", "kept")
    assert "promises.history" not in os.listdir(d.state), os.listdir(d.state)
    status, out = text(d, "promises", "--reliability")
    assert status == 1 and "history = false" in out, (status, out)

with suite.check("a full disk: kithd goes on, lines wait, and are written when there is room"):
    if os.geteuid() != 0:
        raise Skip("needs root, for a file system of its own")
    small = suite.folder()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", small], capture_output=True).returncode:
        raise Skip("nothing can be mounted here")
    try:
        set_value(1)
        d = daemon()
        d.args[d.args.index("--state-dir") + 1] = d.state = small
        with d:
            d.wait_promise("b.one", "kept")
            filler = os.path.join(small, "filler")
            with open(filler, "wb", buffering=0) as f:
                try:
                    while f.write(b"x" * 1024):
                        pass
                except OSError:
                    pass
            said = None
            for i in range(200):
                set_value(9)
                d.wait_promise("b.one", "broken")
                set_value(1)
                d.wait_promise("b.one", "kept")
                said = d.lines("the history of promises cannot be written: No space left on device")
                if said:
                    break
            assert len(said) == 1, d.log()
            breaks = reliability(d)["1h"]["breaks"]
            assert breaks == i + 1, (breaks, i)
            os.remove(filler)
            d.wait_log("the history of promises is written again; nothing was lost")
            assert reliability(d)["1h"]["breaks"] == breaks
            assert sum(x.startswith("broken\t") for x in history(d)) == breaks, history(d)
    finally:
        subprocess.run(["umount", "-l", small], check=False)

suite.end()
