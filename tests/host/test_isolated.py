#!/usr/bin/python3
"""isolated = true: the plugin runs in a child process behind the same table; what it breaks there stays there."""
import os
import re
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from kithtest import PLUGINS, TEST_PLUGINS, Skip, Suite, install, sanitized, wait_for, write_file  # noqa: E402

suite = Suite()
both = (PLUGINS, TEST_PLUGINS)
WILD = os.path.join(TEST_PLUGINS, "wild.so")
# A crash is to be one: AddressSanitizer would make an exit of it, with a report that fails the test.
LET_CRASH = {"ASAN_OPTIONS": "handle_segv=0:handle_abort=0:allow_user_segv_handler=1:exitcode=99:detect_leaks=1"}


def children(pid):
    """The processes of kithd's plugins: pid -> plugin"""
    found = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open("/proc/%s/stat" % entry) as f:
                fields = f.read().rpartition(")")[2].split()
            with open("/proc/%s/cmdline" % entry) as f:
                argv = f.read().split("\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[1]) == pid and fields[0] != "Z" and "--isolated" in argv:
            found[int(entry)] = argv[argv.index("--isolated") + 1]
    return found


def parent(pid):
    try:
        with open("/proc/%s/stat" % pid) as f:
            return int(f.read().rpartition(")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0


def pid_of(d, name):
    """Waits until it runs in a process of its own, and says which"""
    def look():
        p = d.plugin(name)
        m = p and p[0]["state"] == "running" and re.search(r"isolated, pid (\d+)", p[0]["reason"])
        return int(m.group(1)) if m else 0
    return wait_for("plugin %s to run isolated" % name, look, alive=d)


def alive(pid):
    try:
        with open("/proc/%d/stat" % pid) as f:
            return f.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def mapped(d, name):
    with open("/proc/%d/maps" % d.process.pid) as f:
        return "kith-%s.so" % name in f.read()


def wild(order="", interval="100ms", more="", **how):
    """A daemon with plugin wild isolated; its orders go to d.order"""
    how.setdefault("env", LET_CRASH)
    d = suite.daemon(plugins=how.pop("plugins", both), conf="", **how)
    d.order = d.path("order")
    write_file(d.conf, 'interval = %s\nplugin wild {\n isolated = true\n order = "%s"\n fini = "%s"\n%s}\n'
               % (interval, d.order, d.path("fini"), more))
    return d


def give(d, word):
    write_file(d.order, word)
    wait_for("order %r to be taken" % word, lambda: not os.path.exists(d.order), alive=d)


PROMISE = """bundle w {
  promise turns { promiser wild:one keep wild:one:rounds >= 0 }
  promise others { promiser load keep load:1m >= 0 }
}
"""

# What takes long because kithd waits before it kills or stops runs beside the other checks, and is looked at last.
hangs, halts = wild(), suite.daemon(conf="interval = 100ms\nplugin load { isolated = true }\n")
burns = suite.daemon(conf="interval = 100ms\nplugin probe { isolated = true; burn = 90ms; cpu_budget = 1 }\n", plugins=both)
with suite.check("one that hangs, one that is stopped and one that burns CPU begin"):
    hung, halted = pid_of(hangs.start(), "wild"), pid_of(halts.start(), "load")
    os.kill(halted, signal.SIGSTOP)
    give(hangs, "loop")
    burns.start()

with suite.check("values, states and what a plugin says of itself arrive; its code is not in kithd"):
    with wild() as d:
        pid = pid_of(d, "wild")
        d.wait_series("wild:one:rounds", lambda v: v is not None and v > 3)
        assert d.value("wild:one:mood") == "calm" or d.value("wild:one:mood") == 0, d.get("wild:*")
        assert children(d.process.pid) == {pid: "wild"}
        assert d.plugin("wild")[0]["version"] == "1" and d.plugin("wild")[0]["series"] == 2
        assert not mapped(d, "wild") and mapped(d, "load")
        give(d, "note")
        wait_for("the note", lambda: d.plugin("wild")[0]["reason"] == "a note of its own (isolated, pid %d)" % pid, alive=d)
        wait_for("its cost", lambda: next(c for c in d.kith("cost")[1] if c["name"] == "wild")["calls"] > 10, alive=d)
        cost = next(c for c in d.kith("cost")[1] if c["name"] == "wild")
        assert cost["cpu_ns"] > 0 and cost["samples"] > 3, cost

with suite.check("records arrive whole; instances begin and end"):
    with wild() as d:
        pid_of(d, "wild")
        w = d.watch("--records")
        give(d, "record")
        r = w.wait("the record", lambda x: x["kind"] == "record" and "a word from outside" in str(x))
        w.end()
        assert "wild:one" in str(r) and "7" in str(r), r
        give(d, "begin")
        wait_for("the instance", lambda: d.plugin("wild")[0]["series"] == 4, alive=d)
        give(d, "end")
        wait_for("its end", lambda: d.plugin("wild")[0]["series"] == 2, alive=d)

with suite.check("promises on it are kept"):
    with wild(promises={"w.promise": PROMISE}) as d:
        d.wait_promise("w.turns", "kept")

NAMES = ("cpu", "interface", "processes")
with suite.check("cpu, interface and processes have the same series, units and values as inside kithd"):
    conf = "interval = 200ms\n" + "".join("plugin %s { isolated = true }\n" % n for n in NAMES)
    with suite.daemon(conf=conf) as d, suite.daemon(conf="interval = 200ms\n") as inside:
        for name in NAMES:
            pid_of(d, name)
        patterns = ["cpu:*", "interface:lo:*", "processes:*", "cpu:total:*"]

        def shape(one):
            return {(x["name"], x["unit"]) for x in one.get(*patterns).values()}
        wait_for("the same names", lambda: len(shape(inside)) > 20 and shape(d) == shape(inside), alive=d)
        counters = ["cpu:total:user", "cpu:total:system", "interface:lo:rx_bytes"]

        def later(one, than):
            """Its values once all of them are of a later sample"""
            def look():
                got = one.get(*counters)
                return got if len(got) == len(counters) and all(got[c]["time"] > than[c]["time"] for c in than) else None
            return wait_for("later samples", look, alive=one)
        first = later(inside, {})
        here = later(d, first)
        last = later(inside, here)
        for c in counters:
            assert first[c]["value"] <= here[c]["value"] <= last[c]["value"], (c, first[c], here[c], last[c])

with suite.check("what is wanted reaches the child, and that it no longer is"):
    want = 'bundle p {\n  promise there {\n    promiser processes\n    keep process:kithd:count >= 1\n  }\n}\n'
    with suite.daemon(conf="interval = 200ms\nplugin processes { isolated = true }\n") as d:
        pid_of(d, "processes")
        write_file(os.path.join(d.promises, "p.promise"), want)
        d.wait_series("process:kithd:count", lambda v: v is not None and v >= 1)
        d.wait_promise("p.there", "kept")
        os.unlink(os.path.join(d.promises, "p.promise"))
        wait_for("the series to go", lambda: not d.get("process:kithd:*"), alive=d)

for word, said in (("segv", r"killed by signal 11"), ("abort", r"killed by signal 6"), ("exit", r"ended with status 7"),
                   ("close", r"ended with|was killed by")):
    with suite.check("%s: kithd and the others go on, its promises turn unknown, it is started again" % word):
        with wild(promises={"w.promise": PROMISE}) as d:
            pid = pid_of(d, "wild")
            d.wait_promise("w.turns", "kept")
            d.wait_promise("w.others", "kept")
            watch = d.watch()
            give(d, word)
            wait_for("the end of the process", lambda: not alive(pid), alive=d)
            watch.wait("the record", lambda x: x["kind"] == "record" and re.search(said, str(x)))
            watch.wait("the transition", lambda x: x["kind"] == "transition" and x["name"] == "w.turns" and x["to"] == "unknown")
            gone = len(watch.lines)
            wait_for("the others to go on", lambda: [x for x in watch.lines[gone:] if x["kind"] == "sample"], alive=d)
            assert pid_of(d, "wild") != pid
            d.wait_promise("w.turns", "kept")
            assert not [x for x in watch.end() if x["kind"] == "transition" and x["name"] == "w.others"]
            assert next(c for c in d.kith("cost")[1] if c["name"] == "load")["failures"] == 0
            assert len(children(d.process.pid)) == 1

with suite.check("a process that sends what it must not is killed, with that as the reason, and started again"):
    ways = ("short", "torn", "type", "samples", "end", "text", "family", "noise")
    daemons = [wild().start() for _ in ways]
    pids = [pid_of(d, "wild") for d in daemons]
    for d, how in zip(daemons, ways):
        give(d, "garbage " + how)
    for d, pid in zip(daemons, pids):
        wait_for("the end of the process", lambda: not alive(pid), alive=d)
        d.wait_log(r"plugin wild: its process killed: it sent what it must not")
        assert pid_of(d, "wild") != pid
        d.wait_series("wild:one:rounds")
        d.stop()

with suite.check("a process that is busy for 3 s is left alone"):
    with wild() as d:
        pid = pid_of(d, "wild")
        give(d, "sleep")
        before = d.value("wild:one:rounds") or 0
        d.wait_series("wild:one:rounds", lambda v: v is not None and v > before + 3)
        assert pid_of(d, "wild") == pid

with suite.check("the end of a process is the end of its plugin's work: fini is called, kithd ends within a second, nobody is left"):
    with wild() as d:
        pid = pid_of(d, "wild")
        d.stop(within=None if sanitized() else 1)
        assert not alive(pid) and os.path.exists(d.path("fini"))

with suite.check("kithd ends within a second even when the process hangs"):
    with wild() as d:
        pid = pid_of(d, "wild")
        give(d, "loop")
        d.stop(within=None if sanitized() else 1.2)
        assert not alive(pid)

with suite.check("a killed kithd leaves no process, not even one that hangs"):
    with wild() as d, suite.daemon(conf="plugin load { isolated = true }\n") as other:
        pids = [pid_of(d, "wild"), pid_of(other, "load")]
        give(d, "loop")
        d.kill()
        other.kill()
        wait_for("the processes to end", lambda: not any(alive(p) for p in pids))

with suite.check("a wrong option is refused with its place, and a corrected one starts; a changed section restarts the process"):
    with wild(more=" seires = 3\n") as d:
        p = d.wait_plugin("wild", "refused")
        assert "kith.conf:6:" in p["reason"] and "seires" in p["reason"], p
        wait_for("its process to end", lambda: not children(d.process.pid), alive=d)
        with open(d.conf) as f:
            text = f.read()
        write_file(d.conf, text.replace("seires", "series"))
        pid = pid_of(d, "wild")
        wait_for("three instances", lambda: d.plugin("wild")[0]["series"] == 6, alive=d)
        write_file(d.conf, text.replace("seires = 3", "series = 4"))
        wait_for("four instances", lambda: d.plugin("wild")[0]["series"] == 8, alive=d)
        assert pid_of(d, "wild") != pid and not alive(pid)
        write_file(d.conf, text.replace("seires = 3", 'refuse = "no such thing"'))
        assert "no such thing" in d.wait_plugin("wild", "refused")["reason"]

with suite.check("an exporter cannot be isolated: refused with that as the reason, and -t says so, too"):
    d = suite.daemon(conf="plugin odd_exporter { isolated = true }\n", plugins=both)
    with d:
        assert "exporter" in d.wait_plugin("odd_exporter", "refused")["reason"]
    status, said = d.run_out("-t")
    assert "an exporter hears all that happens" in said, said

with suite.check("a plugin that fails is backed off, as inside"):
    d = suite.daemon(plugins=both, conf="")
    fail = d.path("fail")
    write_file(d.conf, 'interval = 100ms\nplugin probe { isolated = true; fail_while = "%s" }\n' % fail)
    with d:
        pid = pid_of(d, "probe")
        write_file(fail, "")
        p = d.wait_plugin("probe", "backed-off")
        assert "fails" in p["reason"] and "isolated, pid %d" % pid in p["reason"], p
        os.unlink(fail)
        assert pid_of(d, "probe") == pid

with suite.check("another interval of all restarts the process, another plugin's section does not"):
    with wild() as d:
        with open(d.conf) as f:
            text = f.read()
        pid = pid_of(d, "wild")
        write_file(d.conf, text + "plugin load { interval = 1s }\n")
        d.wait_log("plugin load: its section changed")
        assert pid_of(d, "wild") == pid
        write_file(d.conf, text.replace("100ms", "200ms"))
        wait_for("another process", lambda: not alive(pid), alive=d)
        assert pid_of(d, "wild") != pid

with suite.check("while kithd does not read, the process keeps within its memory: the oldest samples are dropped, which is said"):
    with wild(more=" series = 10000\n cpu_budget = 100\n") as d:
        pid = pid_of(d, "wild")
        d.process.send_signal(signal.SIGSTOP)
        for _ in range(40):  # samples that it takes meanwhile: more than fit its queue
            give(d, "nothing")
        d.process.send_signal(signal.SIGCONT)
        d.wait_log("faster than it could be read: [0-9]+ samples or records were dropped")
        before = d.value("wild:9999:rounds")
        d.wait_series("wild:9999:rounds", lambda v: v is not None and v > before)
        assert pid_of(d, "wild") == pid

with suite.check("a process that floods kithd is slowed for what reading it costs; the others go on"):
    with wild(more=" cpu_budget = 1\n") as d:
        pid_of(d, "wild")
        give(d, "flood")
        d.wait_log("plugin wild: slowed")
        before = d.get("load:1m")["load:1m"]["time"]
        wait_for("the others to go on", lambda: d.get("load:1m")["load:1m"]["time"] > before, alive=d)

with suite.check("what the process left behind in its group ends with it"):
    with wild() as d:
        pid = pid_of(d, "wild")
        give(d, "fork")
        left = wait_for("the fork", lambda: [int(p) for p in os.listdir("/proc") if p.isdigit() and parent(p) == pid], alive=d)
        give(d, "exit")
        wait_for("all to end", lambda: not alive(pid) and not any(alive(p) for p in left), alive=d)

with suite.check("-t checks the options of an isolated plugin, too"):
    d = wild(more=" seires = 3\n")
    status, said = d.run_out("-t")
    assert status == 1 and "kith.conf:6:" in said and "seires" in said, said

with suite.check("isolated goes both ways without a restart of kithd"):
    with wild() as d:
        with open(d.conf) as f:
            text = f.read()
        for _ in range(3):
            pid = pid_of(d, "wild")
            assert not mapped(d, "wild")
            write_file(d.conf, text.replace("isolated = true", "isolated = false"))
            wait_for("it to run inside", lambda: d.plugin("wild")[0]["state"] == "running" and not children(d.process.pid) and
                     mapped(d, "wild"), alive=d)
            assert not alive(pid) and d.plugin("wild")[0]["reason"] == ""
            d.wait_series("wild:one:rounds")
            write_file(d.conf, text)
        pid_of(d, "wild")

with suite.check("a family of another plugin's is refused"):
    with suite.daemon(conf="plugin clash { isolated = true }\n", plugins=both) as d:
        assert "another plugin's" in d.wait_plugin("clash", "refused")["reason"]
        wait_for("its process to end", lambda: not children(d.process.pid), alive=d)

with suite.check("a great many instances and samples arrive all"):
    with wild(interval="500ms", more=" series = 5000\n cpu_budget = 100\n") as d:
        pid_of(d, "wild")
        assert d.plugin("wild")[0]["series"] == 10000
        d.wait_series("wild:4999:rounds", lambda v: v is not None and v > 2)
        assert not d.lines("were dropped")

with suite.check("dropped in, replaced and removed 50 times: always its newest code, no descriptor and no process is left"):
    folder = suite.folder()
    with wild(plugins=(PLUGINS, folder)) as d:
        target = os.path.join(folder, "wild.so")
        before = None
        for turn in range(50):
            install(WILD, target)
            pid = pid_of(d, "wild")
            if turn % 5 == 0:
                install(WILD, target)
                wait_for("another process", lambda: not alive(pid) and pid_of(d, "wild") != pid, alive=d)
            os.unlink(target)
            d.wait_no_plugin("wild")
            wait_for("its process to end", lambda: not children(d.process.pid), alive=d)
            if turn == 9:  # files of records and promises' history are open by now
                before = d.holds()
        after = d.holds()
        for what in ("fds", "memfds", "plugin maps"):
            assert after[what] == before[what], (what, before, after)
        assert sanitized() or after["anonymous"] < before["anonymous"] + 256, (before, after)

with suite.check("each end in a row makes the next start later"):
    with wild() as d:
        for after in (1, 2):
            pid_of(d, "wild")
            give(d, "exit")
            d.wait_log("plugin wild: its process ended with status 7; it is started again in %d s" % after)
        pid_of(d, "wild")

with suite.check("a user without rights can isolate, too"):
    if os.geteuid() != 0:
        raise Skip("needs root, to be somebody else")
    public = suite.public()
    with suite.daemon(conf="interval = 100ms\nplugin load { isolated = true }\n", plugins=(os.path.join(public, "plugins"),),
                      user=True, program=os.path.join(public, "kithd")) as d:
        pid = pid_of(d, "load")
        d.wait_series("load:1m")
        os.kill(pid, signal.SIGKILL)
        d.wait_log("plugin load: its process was killed by signal 9")
        assert pid_of(d, "load") != pid
        left = list(children(d.process.pid))
        d.kill()
        wait_for("its process to end", lambda: not any(alive(p) for p in left))

with suite.check("kithd --isolated is for kithd alone"):
    d = suite.daemon(bare=True, args=["--isolated", "load", "--plugin-dir", PLUGINS])
    status, said = d.run_out()
    assert status == 2 and "isolated" in said, said

with suite.check("a callback that never returns: killed after 10 s without a sign of life, and started again; so is one that is stopped"):
    for d, name, pid in ((hangs, "wild", hung), (halts, "load", halted)):
        d.wait_log("no sign of life for 10 s")
        assert pid_of(d, name) != pid
        assert not alive(pid)
        d.stop()

with suite.check("over its CPU budget it is slowed, then stopped, as inside"):
    burns.wait_log("plugin probe: slowed")
    p = burns.wait_plugin("probe", "stopped", deadline=90)
    assert "budget" in p["reason"], p
    wait_for("its process to end", lambda: not children(burns.process.pid), alive=burns)
    burns.stop()

suite.end()
