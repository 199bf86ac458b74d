#!/usr/bin/python3
"""The past, asked of a running kithd: by kith get --since and kith graph, out of memory, the journal and RRD files; over restarts and kill -9."""
import csv
import fcntl
import io
import json
import os
import shutil
import struct
import subprocess
import sys
import termios
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from kithtest import KITH, TEST_PLUGINS, Suite, environment, wait_for, write_file  # noqa: E402

suite = Suite()


def ask(d, *args):
    """(exit status, standard output)"""
    p = subprocess.run([KITH, "-s", d.socket, *args], capture_output=True, text=True, env=environment(), timeout=60)
    assert p.returncode in (0, 1, 2), p.stderr
    return p.returncode, p.stdout


def past(d, *args):
    return json.loads(ask(d, "get", "--json", *args)[1])


def shell(d, command, **more):
    """(exit status, standard output, standard error) of a shell's command, in which $K is kith"""
    p = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60,
                       env=environment({"K": KITH, "KITH_SOCKET": d.socket, "LC_ALL": "C.UTF-8", **more}))
    return p.returncode, p.stdout, p.stderr


def on_terminal(d, columns, *args):
    """(exit status, lines) of kith on a terminal that is so wide"""
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    p = subprocess.Popen([KITH, "-s", d.socket, "--color", "never", *args], stdout=theirs, stderr=theirs, env=environment({"LC_ALL": "C.UTF-8"}))
    os.close(theirs)
    text = b""
    while True:
        try:
            more = os.read(ours, 65536)
        except OSError:  # EIO: the last that had it open is gone
            break
        text += more
    os.close(ours)
    return p.wait(timeout=60), text.decode().replace("\r\n", "\n").splitlines()


def level(path, value):
    write_file(path, "%s\n" % value)


plugins = suite.folder()
shutil.copy(os.path.join(TEST_PLUGINS, "level.so"), plugins)
source = os.path.join(suite.folder(), "level")
level(source, 1)
CONF = 'interval = 100ms\nplugin level { from = "%s" }\n' % source

with suite.check("what a watch heard is what the past says, sample by sample"), suite.daemon(conf=CONF, plugins=(plugins,)) as d:
    name = "level:0:value"
    wait_for("it", lambda: d.value(name) is not None, alive=d)
    w = d.watch("--samples", name)
    for k in range(20):
        level(source, k)
        time.sleep(0.1)
    heard = [(x["time"], x["value"]) for x in w.end()]
    assert len(heard) > 10 and len({v for _, v in heard}) > 5, heard
    told = [(x["time"], x["value"]) for x in past(d, name, "--since", "1m")]
    at = told.index(heard[0])
    assert told[at:at + len(heard)] == heard, (heard[:3], told[at:at + 3])
    rows = list(csv.reader(io.StringIO(ask(d, "get", name, "--since", "1m", "--as", "csv")[1])))
    assert rows[0] == ["time", "name", "value"] and [r[0] for r in rows[1:]][:5] == [t for t, _ in told[:5]], rows[:3]

with suite.check("steps: average, least and most; a graph; bad questions"), suite.daemon(conf=CONF, plugins=(plugins,)) as d:
    level(source, 4)
    wait_for("4", lambda: d.value(name) == 4, alive=d)
    time.sleep(2.5)
    steps = past(d, name, "--since", "10s", "--step", "1s")
    assert steps and all(x["min"] <= x["value"] <= x["max"] for x in steps), steps
    assert steps[-1]["value"] == 4, steps
    status, text = ask(d, "graph", name, "--since", "10s")
    assert status == 0 and name in text, text
    picture = os.path.join(suite.folder(), "a.svg")
    assert ask(d, "graph", name, "--since", "10s", "-o", picture)[0] == 0
    with open(picture) as f:
        assert "<svg" in f.read(2000)
    assert ask(d, "graph", name, "-o", picture + ".gif")[0] == 2
    assert ask(d, "graph", "no:such", "--since", "10s")[0] == 1
    assert ask(d, "get", name, "--since", "yesterdayish")[0] == 2
    assert ask(d, "get", name, "--since", "1m", "--until", "2m")[0] == 2

with suite.check("what cannot be written is said; a reader that goes away ends it, also in a quiet moment"), \
        suite.daemon(conf="interval = 100ms\n") as d:
    wait_for("two seconds of samples", lambda: len(ask(d, "get", "--since", "1m", "--as", "csv")[1]) > 20000, alive=d)
    wait_for("a picture", lambda: shell(d, "$K graph load:1m --since 10s -o - | wc -c")[1] != "0\n", alive=d)
    for command in ("get --since 1h --json", "get --since 1h --as csv", "get --since 1h --as table", "get --since 1h --step 1s --json", "export csv",
                    "export csv load", "graph load:1m --since 5s", "graph load:1m --since 5s --json", "graph load:1m --since 10s -o -", "log", "status"):
        status, _, said = shell(d, "$K %s > /dev/full" % command)
        assert status == 1 and said == "kith: cannot write: No space left on device\n", (command, status, said)
    assert shell(d, "$K get --since 1h --json | head -1")[1:] == ("[\n", "")
    begun = time.monotonic()
    status, _, said = shell(d, "{ timeout --foreground 50 $K log -f; echo $? >&2; } | head -1")
    assert (status, said) == (0, "1\n") and time.monotonic() - begun < 30, (status, said)

level(source, "5.5e24")  # from the first sample on
with suite.check("times: no end, seconds since 1970; large numbers; widths; a graph as JSON"), suite.daemon(conf=CONF, plugins=(plugins,)) as d:
    wait_for("it", lambda: d.value(name) == 5.5e24, alive=d)
    time.sleep(2.5)
    for until in ("9999-12-31", "2300-01-01", "2262-04-12", "2262-04-11", "4102444800"):
        for more in ((), ("--step", "1s")):
            answer = ask(d, "get", "--json", name, "--since", "10s", "--until", until, *more)
            assert answer[0] == 0 and json.loads(answer[1]), (until, more, answer)
        for command in ("export csv %s --until %s" % (name, until), "graph %s --since 10s --until %s" % (name, until)):
            status, _, said = shell(d, "$K %s" % command)
            assert status == 0 and said == "", (command, status, said)
    since = int(time.time()) - 1
    assert {x["time"] for x in past(d, name, "--since", str(since))} <= {x["time"] for x in past(d, name, "--since", "30s")}
    assert len(past(d, name, "--since", str(since))) < len(past(d, name, "--since", "30s"))
    assert "5.5e+24" in ask(d, "get", name)[1]
    drawn = ask(d, "graph", name, "--since", "10s")[1]
    assert " 6.05e+24 " in drawn and "max 5.5e+24" in drawn, drawn
    for columns in (20, 25, 35, 40, 60, 100):
        for status, lines in (on_terminal(d, columns, "graph", name, "--since", "10s"),
                              (lambda s: (s[0], s[1].splitlines()))(shell(d, "$K graph %s --since 10s" % name, COLUMNS=str(columns)))):
            longest = max(len(x) for x in lines)
            assert status == 0 and columns - 2 <= longest < columns, (columns, lines)
    status, lines = on_terminal(d, 19, "graph", name, "--since", "10s")
    assert status == 2 and lines == ["kith: a graph wants 20 columns, and here are 19: make room, or say --width"], lines
    to = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 1))
    came = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 121))
    drawn = json.loads(ask(d, "graph", name, "--since", came, "--until", to, "--width", "20", "--json")[1])
    assert drawn and drawn == past(d, name, "--since", came, "--until", to, "--step", "3s"), drawn[:3]
    status, _, said = shell(d, "$K explain no.such --since 2100-01-01")
    assert status == 2 and said == "kith: --since 2100-01-01 is in the future\n", said

with suite.check("kill -9: nothing from before the last append is lost, nothing is told twice"), suite.daemon(conf=CONF, plugins=(plugins,)) as d:
    for round_ in range(5):
        w = d.watch("--samples", name)
        for k in range(15):
            level(source, round_ * 100 + k)
            time.sleep(0.1)
        d.process.kill()
        d.process.wait()
        heard = [(x["time"], x["value"]) for x in w.end()]
        d.suite.daemons.remove(d)
        os.unlink(d.socket)
        d.start()
        told = [(x["time"], x["value"]) for x in past(d, name, "--since", "1m")]
        assert len(told) == len(set(told)), "told twice"
        # An append a second at the least; what came after the last one may be gone.
        missing = [x for x in heard if x not in told]
        assert len(missing) <= 12 and missing == heard[len(heard) - len(missing):], (missing, heard)
        assert len(heard) > 5, heard

with suite.check("folded into RRD files, and told from them"), suite.daemon(conf=CONF + "journal { fold = 2s; step = 1s; archives = \"1s:1h\" }\n", plugins=(plugins,)) as d:
    level(source, 7)
    rrd = os.path.join(d.state, "rrd", "level")
    wait_for("an RRD file", lambda: os.path.isdir(rrd) and any(x.endswith(".rrd") for x in os.listdir(rrd)), alive=d)
    time.sleep(4)
    d.stop()
    shutil.rmtree(os.path.join(d.state, "journal"))
    d.start()
    old = [x for x in past(d, name, "--since", "1m") if x["value"] == 7]
    assert len(old) >= 3, past(d, name, "--since", "1m")
    with open("/proc/%d/maps" % d.process.pid) as f:
        assert "librrd" not in f.read()

def exported(d, *args, socket=True):
    command = [KITH] + (["-s", d.socket] if socket else []) + ["export", *args]
    p = subprocess.run(command, capture_output=True, text=True, env=environment(), timeout=60)
    return p.returncode, list(csv.reader(io.StringIO(p.stdout))), p.stderr

with suite.check("kith export: CSV of a kithd that runs and of one that does not, RRD files"), suite.daemon(conf=CONF, plugins=(plugins,)) as d:
    level(source, 3)
    wait_for("3", lambda: d.value(name) == 3, alive=d)
    time.sleep(2.5)
    status, rows, _ = exported(d, "csv", name)
    assert status == 0 and rows[0] == ["time", "name", "value"] and len(rows) > 10 and all(r[1] == name for r in rows[1:]), rows[:3]
    told = [[x["time"], name, "%g" % x["value"]] for x in past(d, name, "--since", "1m")]
    assert rows[1:] == told[:len(rows) - 1] and len(told) >= len(rows) - 1, (rows[:3], told[:3])
    status, steps, _ = exported(d, "csv", name, "--step", "1s")
    assert status == 0 and steps[0] == ["time", "name", "value", "min", "max"] and steps[-1][2:] == ["3", "3", "3"], steps[-1]
    status, some, _ = exported(d, "csv", name, "--since", rows[5][0])
    assert [r for r in some[1:] if r[0] > rows[5][0]][:len(rows) - 6] == rows[6:], (rows[5:8], some[:3])
    def whole():
        """The folder, once a step of 10 s is over"""
        path = os.path.join(suite.folder(), "rrd")
        status, _, said = exported(d, "rrd", path, "level")
        assert status == 0, said
        return path if os.path.isdir(os.path.join(path, "level")) else None
    folder = wait_for("a step of 10 s", whole, alive=d)
    rrd = [f for f in os.listdir(os.path.join(folder, "level")) if f.endswith(".rrd")]
    text = subprocess.run(["rrdtool", "info", os.path.join(folder, "level", rrd[0])], capture_output=True, text=True, check=True).stdout
    assert "ds[value].type" in text, text[:2000]
    status, _, said = exported(d, "rrd", folder, "level")
    assert status == 1 and folder in said and "not empty" in said, said
    for bad in (("rrd",), ("xml",), ("rrd", folder, "--since", "1h"), ("csv", "--since", "1m", "--until", "2m"), ("csv", "--json")):
        assert exported(d, *bad)[0] == 2, bad
    assert exported(d, "csv", "no:such")[0] == 1
    state = d.kith("status")[1]["state_dir"]
    assert state == d.state, state
    d.stop()
    assert exported(d, "csv", name)[0] == 3
    status, left, _ = exported(d, "csv", "--state-dir", state, name, socket=False)
    assert status == 0 and left[:len(rows)] == rows, (left[:3], rows[:3])

with suite.check("a state is not known while kithd was away"), suite.daemon(conf="interval = 200ms\n") as d:
    wait_for("lo", lambda: d.value("interface:lo:state") is not None, alive=d)
    time.sleep(1.5)
    states = past(d, "interface:lo:state", "--since", "1m")
    assert states and states[-1]["value"] in ("up", "down"), states
    status = d.kith("status")[1]["journal"]
    assert status["samples"] > 100 and status["off"] is None and status["disk"] > 0, status
    if status["samples"] > 3000:
        assert status["bytes"] / status["samples"] < 4, status

suite.end()
