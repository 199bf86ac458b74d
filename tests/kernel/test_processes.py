#!/usr/bin/python3
"""Processes of a promised name: how they end, that they run again, what they use; where there are no process events, by pidfd."""
import os
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import kerneltest  # noqa: E402
from kithtest import BUILD, KITHD, PLUGINS, Skip, Suite, sanitized, scale, wait_for  # noqa: E402

suite = Suite()
BUILT = os.path.join(BUILD, "tests", "kernel", "kith-forker")
FORKED = "kithfork%d" % os.getpid()  # other tests have storms of theirs at the same time
STORM = scale(50000, 6000)
NAME = "kithnap%d" % os.getpid()  # 15 bytes at most
PROMISE = """
bundle nap {
    promise runs {
        promiser  process:%s
        keep      process:%s:count >= 1
    }
}
""" % (NAME, NAME)
folder = suite.folder()
nap = os.path.join(folder, NAME)
shutil.copy(shutil.which("perl") or sys.executable, nap)
perl = bool(shutil.which("perl"))
FORKER = os.path.join(folder, FORKED)
if os.path.exists(BUILT):
    shutil.copy(BUILT, FORKER)


def have_statistics():
    if os.getuid() != 0:
        raise Skip("needs root")
    if not os.path.exists(BUILT):
        raise Skip("kith-forker is not built")


def start(code, **how):
    """`code` is of perl"""
    return subprocess.Popen([nap, "-e", "$SIG{PIPE}='DEFAULT';" + code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, **how)


def sleeper(code="<STDIN>; exit 3"):
    p = start("$|=1; print qq(in\\n); " + code)
    assert p.stdout.readline() == b"in\n"
    return p


def end(p):
    p.stdin.close()
    p.wait()
    p.stdout.close()


def series(d, metric, condition):
    return d.wait_series("process:%s:%s" % (NAME, metric), condition)["value"]


def record(watch, *texts):
    return watch.wait("a record of %s" % (texts,), lambda x: x["kind"] == "record" and all(t in x["message"] for t in texts))


def have_events(d):
    if not perl:
        raise Skip("perl is not installed")
    reason = d.plugin("processes")[0]["reason"]
    if "no process events" in reason:
        raise Skip(reason)


# On a busy machine this takes more of its time than a plugin may have, and what is slowed for its CPU counts what it is told of.
d = suite.daemon(conf="interval = 100ms\nplugin processes { cpu_budget = 100% }\n", promises={"nap.promise": PROMISE}).start()
watch = d.watch("--records", "--transitions", "process:*", "nap.runs")
series(d, "count", lambda v: v == 0)

with suite.check("it ends with a status: the record, the counts, the promise"):
    have_events(d)
    p = sleeper()
    d.wait_promise("nap.runs", "kept")
    end(p)
    line = record(watch, NAME, "ended with status 3 after")
    assert "pid %d" % p.pid in line["message"], line
    series(d, "exits", lambda v: v == 1)
    series(d, "failures", lambda v: v == 1)
    series(d, "last_status", lambda v: v == 3)
    d.wait_promise("nap.runs", "broken")

with suite.check("it runs again, and is ended by a signal"):
    have_events(d)
    time.sleep(1.1)  # two ends within a second are one record
    p = sleeper()
    record(watch, NAME, "runs again, after")
    series(d, "restarts", lambda v: v == 1)
    p.send_signal(signal.SIGKILL)
    end(p)
    record(watch, NAME, "ended by signal 9")
    series(d, "last_signal", lambda v: v == 9)

with suite.check("what it uses: CPU, memory, threads, uptime; CPU never goes back"):
    have_events(d)
    p = sleeper("my $x = 'x' x 30000000; my $i = 0; while (times < 0.3) { $i++ } print qq(done\\n); <STDIN>; exit 0")
    assert p.stdout.readline() == b"done\n"
    cpu = series(d, "cpu", lambda v: v is not None and v >= 0.25)
    assert series(d, "memory", lambda v: v is not None and v > 30e6) < 1e9
    series(d, "threads", lambda v: v == 1)
    series(d, "uptime", lambda v: v is not None and 0 <= v < 60)
    end(p)
    series(d, "count", lambda v: v == 0)
    series(d, "threads", lambda v: v == 0)
    assert series(d, "cpu", lambda v: v is not None) >= cpu

with suite.check("many that end at once: counted exactly, told in few words"):
    have_events(d)
    series(d, "count", lambda v: v == 0)  # with the ends of all before
    def settled():
        value = d.value("process:%s:exits" % NAME)
        time.sleep(0.5)
        return value if value is not None and value == d.value("process:%s:exits" % NAME) else None
    before = wait_for("the last of those to be counted", settled, alive=d)
    # A chain: fork and wait
    p = sleeper("for (1..2000) { my $k = fork; exit($_ % 2) unless $k; waitpid $k, 0 } print qq(done\\n); <STDIN>; exit 0")
    assert p.stdout.readline() == b"done\n"  # however long that takes here
    try:
        series(d, "exits", lambda v: v == before + 2000)
    except AssertionError:
        raise AssertionError("%s exits instead of 2000; %s" % (d.value("process:%s:exits" % NAME) - before, d.lines("lost")))
    said = [x for x in watch.lines if x["kind"] == "record" and NAME in x["message"]]
    assert len(said) < 100, len(said)
    end(p)
    record(watch, "more processes of " + NAME)
    watch.end()
    d.stop()

with suite.check("a storm of %d short processes of a promised name, with exit statistics: bounded, the count exact, others not late" % STORM):
    have_statistics()
    storm_promise = PROMISE.replace(NAME, FORKED)
    # On a busy machine some of them take their time.
    # The ring of samples, which fills meanwhile, is not what is looked at.
    with suite.daemon(conf="interval = 100ms\njournal { ring = 256KiB }\nplugin processes { exit_statistics = true; short = 60s; cpu_budget = 100% }\n", promises={"nap.promise": storm_promise}) as d:
        d.wait_series("process:%s:count" % FORKED)
        if d.plugin("processes")[0]["reason"]:
            raise Skip(d.plugin("processes")[0]["reason"])

        def storm(n):
            p = subprocess.run([FORKER, str(n), "0", "start"], input=b"go\n", stdout=subprocess.DEVNULL, timeout=300)
            assert p.returncode == 0
            d.wait_series("process:%s:count" % FORKED, lambda v: v == 0)
        storm(2000)
        before, counted = d.holds(), d.value("short_lived:count")
        time_of = d.get("load:1m")["load:1m"]["time"]
        storm(STORM)
        assert d.get("load:1m")["load:1m"]["time"] != time_of, "others stood still"
        lost = len(d.lines("events were lost"))
        count = d.wait_series("short_lived:count", lambda v: v is not None and v - counted >= (1 if lost else STORM))["value"] - counted
        after, cpu = d.holds(), d.value("short_lived:cpu")
        print("# %d of %d short-lived processes told, %.2f s of CPU, %d losses; anonymous %d KiB before, %d after" %
              (count, STORM, cpu, lost, before["anonymous"], after["anonymous"]))
        assert cpu > 0
        # As many as the socket's buffer has events of may be known at a time: some 5,000, of 300 bytes.
        assert sanitized() or after["anonymous"] <= before["anonymous"] + 1536, (before, after)
        assert after["fds"] <= before["fds"] + 5, (before, after)
        row = next(x for x in d.kith("cost")[1] if x["name"] == "processes")
        assert row["failures"] == 0, row

with suite.check("what is not asked for is not heard: no socket of taskstats"):
    alone = suite.folder()  # other plugins have sockets of generic netlink too
    shutil.copy(os.path.join(PLUGINS, "processes.so"), alone)
    with suite.daemon(conf="interval = 100ms\n", plugins=(alone,), promises={"nap.promise": PROMISE}) as d:
        series(d, "count", lambda v: v is not None)
        assert not [x for x in kerneltest.netlink_sockets(d.process.pid, 16)], "generic netlink"
        assert d.value("short_lived:count") is None

with suite.check("without process events: the end of an own process is noticed by pidfd, long before the next scan"):
    if not perl or subprocess.run(["unshare", "--net", "true"], capture_output=True).returncode:
        raise Skip("needs perl, and a network namespace of its own: there are no process events in it")
    wrapper = os.path.join(folder, "kithd")
    with open(wrapper, "w") as f:
        f.write('#!/bin/sh\nexec unshare --net %s "$@"\n' % KITHD)
    os.chmod(wrapper, 0o755)
    p = sleeper()
    with suite.daemon(conf="interval = 100ms\nplugin processes { scan_interval = 1h }\n", promises={"nap.promise": PROMISE},
                      program=wrapper) as d:
        series(d, "count", lambda v: v == 1)
        assert "no process events" in d.plugin("processes")[0]["reason"], d.plugin("processes")
        watch = d.watch("--records", "process:*")
        end(p)
        record(watch, NAME, "its status is not known")
        series(d, "count", lambda v: v == 0)
        series(d, "exits", lambda v: v == 1)
        watch.end()

suite.end()
