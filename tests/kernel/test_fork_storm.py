#!/usr/bin/python3
"""Thousands of processes in a storm: counted exactly when somebody asks for their name, slept through when nobody does.

Process events exist in the first network and pid namespace alone: only mounts of others are kept out here."""
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from kerneltest import QUIET, CONNECTOR, Stopped, cpu_ns, drops, namespaces, netlink_sockets, quiet_groups, switches  # noqa: E402
from kithtest import BUILD, DEADLINE, Skip, Suite, scale, wait_for, write_file  # noqa: E402

namespaces("mount")
quiet_groups()
FORKER = os.path.join(BUILD, "tests", "kernel", "kith-forker")
NAME = "kith-forker"
SERIES = "process:%s:count" % NAME
STORM, STAY = scale(20000, 5000), 37
FLOOD = 10000  # more than the socket holds the events of
LOST = "events were lost"
PROMISE = """
bundle storm {
    promise few {
        promiser  process:%s
        keep      %s == %d
    }
}
""" % (NAME, SERIES, STAY + 1)

suite = Suite()


def scan():
    """How many processes of the name /proc has, zombies left out"""
    n = 0
    for pid in os.listdir("/proc"):
        if not pid.isdigit():
            continue
        try:
            with open("/proc/%s/stat" % pid) as f:
                text = f.read()
        except (FileNotFoundError, ProcessLookupError):
            continue
        name, rest = text[text.index("(") + 1:text.rindex(")")], text[text.rindex(")") + 1:].split()
        n += name == NAME and rest[0] not in "ZX"
    return n


class Forker:
    """Begins when it is told to; `done` when the storm is over. What stays ends with the block."""

    def __init__(self, storm, stay):
        self.process = subprocess.Popen([FORKER, str(storm), str(stay), "start"], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)

    def begin(self):
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def done(self):
        assert self.process.stdout.readline() == "done\n", "kith-forker failed"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.stdout.close()
        assert self.process.wait(DEADLINE) == 0
        wait_for("its children to end", lambda: scan() == 0)


def exact(d, what, number):
    """kithd's count is that of an own scan, and stays so"""
    assert scan() == number, scan()
    wait_for("%s: %d" % (what, number), lambda: d.value(SERIES) == number, alive=d)
    time_of = d.get("load:1m")["load:1m"]["time"]
    wait_for("ticks", lambda: d.get("load:1m")["load:1m"]["time"] != time_of, alive=d)
    assert d.value(SERIES) == number == scan(), (d.value(SERIES), scan())


def have_events(d):
    reason = d.plugin("processes")[0]["reason"]
    if "no process events" in reason:
        raise Skip(reason)


d = suite.daemon(conf="interval = 100ms\n", promises={"storm.promise": PROMISE}).start()
pid = d.process.pid
watch = d.watch("--records", "--transitions", "plugin:processes", "storm.few")


def lost_said():
    return [x for x in watch.lines if x["kind"] == "record" and LOST in x["message"]]


with suite.check("a name that a promise mentions is counted, by events"):
    d.wait_series(SERIES, lambda v: v == 0)
    have_events(d)
    assert len(netlink_sockets(pid, CONNECTOR)) == 1, netlink_sockets(pid, CONNECTOR)

with suite.check("%d processes and %d that stay: the count is exact afterwards" % (STORM, STAY)), Forker(STORM, STAY) as storm:
    have_events(d)
    before = cpu_ns(pid)
    storm.begin()
    storm.done()
    exact(d, "the count after the storm", STAY + 1)
    d.wait_promise("storm.few", "kept")
    print("# %.1f us of CPU a process; %d times events were lost" % ((cpu_ns(pid) - before) / 1e3 / STORM, len(lost_said())))

with suite.check("what stayed is gone: none is left"):
    have_events(d)
    exact(d, "the count", 0)
    d.wait_promise("storm.few", "broken")

with suite.check("events are lost while kithd does not read: said, and exact afterwards"), Forker(FLOOD, STAY) as storm:
    have_events(d)
    said, lost = len(lost_said()), drops(pid, CONNECTOR)
    with Stopped(pid):
        storm.begin()
        storm.done()
        assert drops(pid, CONNECTOR) > lost, "nothing was lost: the storm is too small"
    wait_for("the record", lambda: len(lost_said()) > said, alive=d)
    exact(d, "the count after the loss", STAY + 1)
    d.wait_promise("storm.few", "kept")
    said, lost = len(lost_said()), drops(pid, CONNECTOR)

with suite.check("and those that end while it does not read are missed nowhere"):
    have_events(d)
    exact(d, "the count", 0)
    with Forker(0, STAY) as more:
        more.begin()
        more.done()
        exact(d, "the count", STAY + 1)
        with Stopped(pid):
            more.process.stdin.close()
            wait_for("all to end", lambda: scan() == 0)
        exact(d, "the count", 0)

with suite.check("slowed by its budget perhaps, it has not failed, is not stopped, and told of losses but once a resync"):
    have_events(d)
    plugin = d.plugin("processes")[0]
    cost = next(x for x in d.kith("cost")[1] if x["name"] == "processes")
    print("# %s, %s; %s" % (plugin["state"], plugin["reason"] or "no reason", cost))
    assert plugin["state"] in ("running", "backed-off") and cost["failures"] == 0, (plugin, cost)
    assert len(lost_said()) < 50, len(lost_said())

with suite.check("with the promise its socket goes"):
    os.remove(os.path.join(d.promises, "storm.promise"))
    wait_for("the promise to go", lambda: not d.promise("storm.few"), alive=d)
    wait_for("the socket to close", lambda: not netlink_sockets(pid, CONNECTOR), alive=d)
    assert d.value(SERIES) is None
    watch.end()
    d.stop()

with suite.check("a storm that nobody asked about: no socket, no wake-up more than its ticks"), Forker(STORM, 0) as storm:
    other = """bundle other { promise load { promiser load keep load:1m >= 0 } }"""
    with suite.daemon(conf="interval = 1s\n" + QUIET, promises={"other.promise": other}) as idle:
        idle.wait_promise("other.load", "kept")
        pid = idle.process.pid
        assert not netlink_sockets(pid, CONNECTOR)
        time.sleep(0.5)  # whatever the start and the questions left to be done

        def cost(of):
            begin, wakes, cpu = time.monotonic(), switches(pid), cpu_ns(pid)
            of()
            return time.monotonic() - begin, switches(pid) - wakes, cpu_ns(pid) - cpu

        def go():
            storm.begin()
            storm.done()
        in_storm, at_rest = cost(go), cost(lambda: time.sleep(3))
        for what, (seconds, wakes, cpu) in (("storm", in_storm), ("rest", at_rest)):
            print("# %s: %.1f s, %d wake-ups, %.2f ms of CPU a second" % (what, seconds, wakes, cpu / 1e6 / seconds))
        # A tick each second, at most one more at the edge, and a few sleeps on the kernel's locks while it reads
        assert in_storm[1] <= in_storm[0] + 1 + 4, in_storm
        assert not netlink_sockets(pid, CONNECTOR)

suite.end()
