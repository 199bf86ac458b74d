#!/usr/bin/python3
"""Windows of promises across a restart: what was known before counts on; nothing is said that is not so."""
import json
import os
import shutil
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from kithtest import TEST_PLUGINS, Skip, Suite, install, wait_for, write_file  # noqa: E402

suite = Suite()
plugins = suite.folder()
install(os.path.join(TEST_PLUGINS, "probe.so"), os.path.join(plugins, "probe.so"))
value = os.path.join(suite.folder(), "value")
SET = """bundle b {
    promise now   { promiser probe:0 keep probe:0:value < 100 }
    promise spike { promiser probe:0 keep max(probe:0:value, 1h) < 100 }
    promise mean  { promiser probe:0 keep avg(probe:0:value, 1h) < 85 }
    promise many  { promiser probe:0 keep count(probe:0:value, 1h) < 40 }
    promise short { promiser probe:0 keep max(probe:0:value, 300ms) < 100 }
}
"""
CONF = 'interval = 100ms\nplugin probe { from = "%s" }\n' % value


def set_value(number):
    write_file(value, "%s\n" % number)


def daemon(**more):
    return suite.daemon(conf=CONF, plugins=(plugins,), promises={"a.promise": SET}, **more)


def again(d):
    """Starts it once more; the log and the socket of before are there still"""
    before = len(d.lines(r" runs: \d+ promises"))
    d.start()
    d.wait_log(r" runs: \d+ promises", before + 1)


def said(d, promise):
    """What the history has of a promise since the last start: [to]"""
    with open(os.path.join(d.state, "promises.history")) as f:
        lines = f.read().splitlines()
    last = max(i for i, x in enumerate(lines) if x.startswith("begin\t"))
    return [x.split("\t")[0] for x in lines[last:] if promise in x.split("\t")]


def assessments(d):
    return {p["name"]: p["assessment"] for p in d.kith("promises")[1]}


set_value(10)
d = daemon().start()

with suite.check("what broke within the window is broken after a restart too, and never said to be kept"):
    d.wait_promise("b.many", "broken")  # 40 samples
    set_value(500)
    d.wait_promise("b.now", "broken")
    set_value(10)
    for name in ("b.now", "b.short", "b.mean"):
        d.wait_promise(name, "kept")
    found = assessments(d)
    assert found == {"b.now": "kept", "b.spike": "broken", "b.mean": "kept", "b.many": "broken", "b.short": "kept"}, found
    d.stop()
    assert os.path.getsize(os.path.join(d.state, "trails")) > 0
    again(d)
    for name in ("b.now", "b.short"):
        d.wait_promise(name, "kept")
    assert assessments(d) == found, assessments(d)
    assert said(d, "b.spike") == ["broken"] and said(d, "b.many") == ["broken"], (said(d, "b.spike"), said(d, "b.many"))

with suite.check("a bad moment right after the start does not break a promise on a mean"):
    d.stop()
    set_value(90)
    again(d)
    wait_for("the bad moment", lambda: d.value("probe:0:value") == 90, alive=d)
    set_value(10)
    wait_for("its end", lambda: d.value("probe:0:value") == 10, alive=d)
    d.wait_promise("b.mean", "kept")
    assert said(d, "b.mean") == ["kept"], said(d, "b.mean")

with suite.check("kith explain shows the samples of before"):
    part = d.kith("explain", "b.spike")[1]
    assert "500" in json.dumps(part), part

with suite.check("killed, it begins with what the journal has, on top of what the last stop left; without both anew"):
    def forget(*names):
        for name in names:
            shutil.rmtree(os.path.join(d.state, name), ignore_errors=True)
            if os.path.exists(os.path.join(d.state, name)):
                os.remove(os.path.join(d.state, name))

    def samples():
        part = d.kith("explain", "b.spike")[1]
        return [(s["time"], s["value"]) for p in part["parts"] for s in p["samples"] or []]
    d.kill()
    again(d)
    d.wait_promise("b.spike", "broken")
    d.stop()
    forget("trails", "journal")
    again(d)
    d.wait_promise("b.spike", "kept")
    d.stop()
    again(d)
    # A spike that no stop has written down
    set_value(700)
    d.wait_promise("b.spike", "broken")
    set_value(10)
    d.wait_promise("b.now", "kept")
    wait_for("an append", lambda: d.value("probe:0:value") == 10 and time.sleep(1.5) is None, alive=d)
    before = samples()
    d.kill()
    again(d)
    d.wait_promise("b.spike", "broken")
    after = samples()
    assert 700 in [v for _, v in after] and len(after) == len(set(after)) and after == sorted(after), after
    known = [x for x in before if x[0] >= after[0][0]][:-12]  # the last append may be a second old
    assert known and [x for x in after if x in before][:len(known)] == known, (known[:3], after[:3])
    d.kill()
    forget("trails")
    again(d)
    d.wait_promise("b.spike", "broken")
    d.kill()
    forget("trails", "journal")
    again(d)
    d.wait_promise("b.spike", "kept")
    d.stop()

with suite.check("a damaged file is said and does no harm"):
    path = os.path.join(d.state, "trails")
    with open(path, "rb") as f:
        text = f.read()
    for bad in (b"", text[:-1], text[:40], b"x" * 4096, text.replace(b"probe", b"prOBE")):
        write_file(path, bad)
        forget("journal")
        times = len(d.lines("trails: .*; windows of promises begin with what the journal has"))
        again(d)
        d.wait_log("trails: .*; windows of promises begin with what the journal has", times + 1)
        d.wait_promise("b.spike", "kept")
        d.stop()

with suite.check("a full disk when it stops: said, and the end is a good one"):
    small = suite.folder()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", small], capture_output=True).returncode:
        raise Skip("no right to mount a tmpfs")
    try:
        full = daemon()
        full.args[full.args.index("--state-dir") + 1] = full.state = small
        full.start()
        full.wait_promise("b.now", "kept")
        with open(os.path.join(small, "filler"), "wb", buffering=0) as f:
            try:
                while f.write(b"x" * 1024):
                    pass
            except OSError:
                pass
        full.stop()
        assert full.lines("trails cannot be written: No space left on device"), full.log()
        assert not os.path.exists(os.path.join(small, "trails.new")), os.listdir(small)
    finally:
        subprocess.run(["umount", "-l", small])

suite.end()
