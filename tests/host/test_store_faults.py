#!/usr/bin/python3
"""Faults of the disk under a kithd that runs: promises go on being assessed, what is dropped is counted and said once, and when it is over
all goes on by itself."""
import contextlib
import json
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "kernel"))
from kerneltest import namespaces, run  # noqa: E402
from kithtest import KITH, TEST_PLUGINS, Suite, environment, install, wait_for, write_file  # noqa: E402
from storetest import segments  # noqa: E402

namespaces("mount")
suite = Suite()
plugins = suite.folder()
for name in ("level", "probe"):
    install(os.path.join(TEST_PLUGINS, name + ".so"), os.path.join(plugins, name + ".so"))
value = os.path.join(suite.folder(), "value")
CONF = """interval = 100ms
plugin level { from = "%s" }
plugin probe { records = %%d }
journal { ring = 256KiB; fold = 300ms; step = 1s; archives = "1s:1h" }
""" % value
PROMISE = {"a.promise": "bundle a { promise low { promiser level:0 keep level:0:value < 5 } }\n"}


def on_tmpfs(size, records=0):
    """A kithd whose state is on a small file system"""
    write_file(value, "1\n")
    d = suite.daemon(conf=CONF % records, plugins=(plugins,), promises=PROMISE)
    os.mkdir(d.state)
    run("mount", "-t", "tmpfs", "-o", "size=%s" % size, "kithtest", d.state)
    return d


def status(d):
    return d.kith("status")[1]


def both_ways(d):
    """The promise breaks and is kept again"""
    write_file(value, "9\n")
    d.wait_promise("a.low", "broken")
    write_file(value, "1\n")
    d.wait_promise("a.low", "kept")


def told(d, since):
    """What is known of the level since then, in the journal: told by one who does not ask kithd's memory too"""
    p = subprocess.run([KITH, "export", "csv", "--state-dir", d.state, "level:0:value"], capture_output=True, text=True, env=environment(), timeout=60)
    assert p.returncode in (0, 1), p.stderr
    return [x for x in p.stdout.splitlines()[1:] if x > time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(since))]


def goes_on(d):
    """It writes again, by itself: samples of from now on are on the disk"""
    since = time.time() + 1
    wait_for("the journal to be written", lambda: status(d)["journal"]["off"] is None, alive=d)
    wait_for("samples on the disk", lambda: len(told(d, since)) > 5, alive=d)


def flip(path, at):
    with open(path, "r+b") as f:
        f.seek(at)
        byte = f.read(1)
        f.seek(at)
        f.write(bytes([byte[0] ^ 0x10]))


with suite.check("a full disk: counted, said once, and over when there is room"), on_tmpfs("2m", records=200) as d:
    pid = d.process.pid
    d.wait_promise("a.low", "kept")
    wait_for("RRD files", lambda: os.path.isdir(os.path.join(d.state, "rrd", "level")), alive=d)
    filler = os.path.join(d.state, "filler")
    for _ in range(2):
        with contextlib.suppress(OSError), open(filler, "ab", buffering=0) as f:
            while True:
                f.write(bytes(4096))
        both_ways(d)

    def dropped():
        # What the journal makes room with is gone, too.
        with contextlib.suppress(OSError), open(filler, "ab", buffering=0) as f:
            f.write(bytes(4096))
        s = status(d)
        return s["journal"]["dropped"] > 0 and s["record_store"]["dropped"] > 0
    wait_for("something to be dropped", dropped, deadline=90, alive=d)
    both_ways(d)
    assert len(d.lines("records cannot be written: No space left")) == 1, d.log()
    assert 1 <= len(d.lines("journal: .* samples from .* were dropped")) <= 2, d.log()
    assert len(d.lines("journal: .* cannot be written: No space left")) <= 3, d.log()
    os.unlink(filler)
    goes_on(d)
    both_ways(d)
    d.wait_log("records are written again; .* were dropped")
    wait_for("all to be folded", lambda: status(d)["journal"]["unfolded"] <= 1, alive=d)
    assert d.process.pid == pid

with suite.check("a read-only disk at the start: promises are assessed, and it is written when it can be"), on_tmpfs("16m") as d:
    d.wait_promise("a.low", "kept")
    time.sleep(1)
    d.stop()
    before = sorted(segments(os.path.join(d.state, "journal")))
    run("mount", "-o", "remount,ro", d.state)
    os.path.exists(d.socket) and os.unlink(d.socket)
    d.start()
    d.wait_log("journal: .* cannot be written: Read-only")
    both_ways(d)
    assert "Read-only" in status(d)["journal"]["off"] and status(d)["journal"]["dropped"] == 0, status(d)["journal"]
    both_ways(d)
    assert sorted(segments(os.path.join(d.state, "journal"))) == before
    assert len(d.lines("journal: .* cannot be written: Read-only")) == 1 and len(d.lines("records cannot be written: Read-only")) <= 1, d.log()
    run("mount", "-o", "remount,rw", d.state)
    goes_on(d)
    both_ways(d)

with suite.check("bytes turned in segments, .state, .family, folded and records, while it runs and over a restart"), on_tmpfs("32m", records=5) as d:
    d.wait_promise("a.low", "kept")
    rrd, journal, records = (os.path.join(d.state, x) for x in ("rrd", "journal", "records"))
    wait_for("a fold to be done", lambda: os.path.exists(os.path.join(rrd, ".state")), alive=d)
    for restart in (False, True, False, True):
        if restart:
            d.stop()
        there = segments(journal)
        flip(there[sorted(there)[len(there) // 2]], 60)
        flip(there[max(there)], 4)
        flip(os.path.join(rrd, ".state"), 150)
        flip(os.path.join(rrd, "level", ".family"), 9)
        for name in os.listdir(records):
            flip(os.path.join(records, name), os.path.getsize(os.path.join(records, name)) // 2)
        if restart:
            d.start()
        both_ways(d)
        goes_on(d)
        assert subprocess.run([KITH, "-s", d.socket, "log", "--json", "-n", "10"], capture_output=True, env=environment(), timeout=60).returncode == 0
        p = subprocess.run([KITH, "-s", d.socket, "--json", "get", "level:0:value", "--since", "1m"], capture_output=True, text=True, env=environment())
        assert p.returncode == 0 and len(json.loads(p.stdout)) > 10, p.stderr

suite.end()
