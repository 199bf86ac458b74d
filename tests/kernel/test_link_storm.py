#!/usr/bin/python3
"""5,000 links made and removed while kithd does not read: the kernel drops notifications, and kithd finds the truth again."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from kerneltest import QUIET, ROUTE, Stopped, drops, ip, ip_batch, kernel_states, kith_states, namespaces, wait_agreement  # noqa: E402
from kithtest import Suite, wait_for  # noqa: E402

namespaces("net")
suite = Suite()
PAIRS = 2500
GROUP = "7"  # so that one request removes them all
PROMISES = {"storm.promise": """
bundle storm {
    promise far {
        promiser  interface:a2499
        keep      interface:a2499:state == "up"
    }
}
"""}
# The counters of 5,000 links ten times a second are beyond its budget, and are not what this is about
CONF = """
interval = 100ms
plugin interface { interval = 1s }
"""
d = suite.daemon(conf=CONF + QUIET, promises=PROMISES).start()
pid = d.process.pid
watch = d.watch("--records", "--transitions", "plugin:interface", "storm.far")
LOST = "events were lost"


def make():
    """A third of the pairs work, a third have one end down, a third are down"""
    lines = []
    for i in range(PAIRS):
        lines.append("link add name a%d group %s type veth peer name b%d group %s" % (i, GROUP, i, GROUP))
        if i % 3:
            lines.append("link set a%d up" % i)
        if i % 3 == 1:
            lines.append("link set b%d up" % i)
    ip_batch(lines)


def lost_said():
    return [x for x in watch.lines if x["kind"] == "record" and LOST in x["message"]]


def rss():
    return d.kith("status")[1]["rss"] // 1024


def series():
    return d.plugin("interface")[0]["series"]


def samples_go_on(name):
    """What else kithd does goes on: `name` has a sample that it did not have when this was called"""
    before = d.get(name)[name]["time"]
    wait_for("the next sample of " + name, lambda: d.get(name)[name]["time"] > before, alive=d)


wait_for("the first samples", lambda: d.value("load:1m") is not None, alive=d)
wait_agreement(d)
before, before_rss = series(), rss()

with suite.check("5,000 links made while it does not read: the kernel drops notifications"):
    with Stopped(pid):
        make()
        made = kernel_states()
        assert len(made) == 2 * PAIRS + 1, len(made)
        assert drops(pid, ROUTE) > 0, "nothing was lost: the storm is too small"

with suite.check("a record says that events were lost"):
    wait_for("the record", lost_said, alive=d)
    assert d.lines("plugin interface: .*" + LOST), d.log()[-2000:]

with suite.check("all 5,000 are there, each with the state that it has"):
    def settled():
        """The kernel says that a link is up some time after its other end is."""
        states = wait_agreement(d)
        return states if sum(state == "up" for state in states.values()) == 2 * ((PAIRS + 1) // 3) else None
    states = wait_for("all links to be up that can be", settled, alive=d)
    assert len(states) == 2 * PAIRS + 1, len(states)
    assert series() - before == 2 * PAIRS * len(d.get("interface:lo:*")), series()

with suite.check("each has its counters"):
    def counted():
        got = d.get("interface:*:tx_packets")
        return len(got) == 2 * PAIRS + 1 and all(x["value"] is not None for x in got.values())
    wait_for("the counters of all", counted, alive=d)
    samples_go_on("interface:a2499:tx_packets")

with suite.check("the others were sampled meanwhile, and are"):
    for name in ("load:1m", "memory:available", "kith:wakeups"):
        samples_go_on(name)
    for plugin in ("cpu", "memory", "load", "uptime"):
        p = d.plugin(plugin)[0]
        assert p["state"] == "running" and not p["reason"], p

with suite.check("all removed while it does not read: none is left, their promise is unknown"):
    said = len(lost_said())
    lost = drops(pid, ROUTE)
    with Stopped(pid):
        ip("link", "delete", "group", GROUP)
        make()
        ip("link", "delete", "group", GROUP)
        assert len(kernel_states()) == 1
        assert drops(pid, ROUTE) > lost, "nothing was lost: the storm is too small"
    wait_for("the next record", lambda: len(lost_said()) > said, alive=d)
    states = wait_agreement(d)
    assert set(states) == {"lo"}, len(states)
    d.wait_promise("storm.far", "unknown")

with suite.check("then there is as much as before: instances and series"):
    assert series() == before, (series(), before)
    assert not d.get("interface:a*:*"), d.get("interface:a*:*")
    print("# memory: %d KiB before, %d KiB after" % (before_rss, rss()))

with suite.check("a storm while it reads: whatever it heard or lost, it ends with the truth"):
    make()
    assert len(wait_agreement(d)) == 2 * PAIRS + 1
    ip("link", "delete", "group", GROUP)
    assert set(wait_agreement(d)) == {"lo"}
    assert series() == before, (series(), before)
    samples_go_on("load:1m")
    print("# memory: %d KiB; %d times events were lost" % (rss(), len(lost_said())))
    print("# " + str(next(x for x in d.kith("cost")[1] if x["name"] == "interface")))
    print("# " + str(d.plugin("interface")[0]))

with suite.check("slowed by its budget perhaps, it is not stopped, and hears notifications as before"):
    ip("link", "add", "after", "type", "veth", "peer", "name", "after1")
    wait_for("the link", lambda: kith_states(d).get("after") == "down", alive=d)
    p = d.plugin("interface")[0]
    assert p["state"] in ("running", "backed-off"), p
    failures = next(x for x in d.kith("cost")[1] if x["name"] == "interface")["failures"]
    assert failures == 0, (failures, d.lines("plugin interface"))
    watch.end()
    d.stop()

suite.end()
