#!/usr/bin/python3
"""Uevents of the running kernel: devices that come and go, are renamed, in a storm; those of other namespaces; others who send to the group."""
import glob
import os
import signal
import socket
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from kerneltest import ip, ip_batch, namespaces, run  # noqa: E402
from kithtest import Skip, Suite, sanitized, wait_for  # noqa: E402

namespaces("net", "mount")
run("mount", "-t", "sysfs", "sysfs", "/sys")  # of this network namespace
suite = Suite()
UEVENT = 15
CONF = 'interval = 10s\nplugin device { records = ["net", "block"]; changes = ["block"] }\n'
PROMISES = {"d.promise": """bundle d {
    promise lan { promiser device:net/lan keep device:net/lan:state == "present" }
    promise storm { promiser device:net/s* keep device:net/s*:state == "present" }
}
"""}


def synthetic(path, action):
    """The kernel sends a uevent for whoever writes there; nothing else happens"""
    try:
        with open(path, "w") as f:
            f.write(action)
    except OSError as e:
        raise Skip("%s: %s" % (path, e.strerror))


def add(name):
    ip("link", "add", name, "type", "veth", "peer", "name", "p" + name)


def instances(d):
    return {n.split(":")[1] for n in d.get("device:*:state")}


with suite.check("a device that comes and goes: its promise, its records; nobody's are not followed"), \
        suite.daemon(conf=CONF, promises=PROMISES) as d:
    d.wait_promise("d.lan", "broken")
    w = d.watch("--records")
    add("lan")
    d.wait_promise("d.lan", "kept")
    r = w.wait("the record", lambda x: x["kind"] == "record" and x["subject"] == "device:net/lan")
    assert r["message"] == "net lan is there" and r["fields"]["path"].startswith("/devices/"), r
    ip("link", "set", "lan", "name", "wan")
    d.wait_promise("d.lan", "broken")
    ip("link", "set", "wan", "name", "lan")
    d.wait_promise("d.lan", "kept")
    add("other")
    ip("link", "del", "lan")
    d.wait_promise("d.lan", "broken")
    w.wait("its end", lambda x: x["kind"] == "record" and x["message"] == "net lan is gone" and x["priority"] == "notice")
    assert instances(d) == {"net/lan"}, instances(d)
    assert "kept" not in {p["assessment"] for p in d.kith("promises")[1]}
    w.end()

with suite.check("a block device that changes: recorded where that is asked for"), suite.daemon(conf=CONF) as d:
    found = sorted(glob.glob("/sys/block/*/uevent"))
    if not found:
        raise Skip("there is no block device")
    name = found[0].split("/")[3]
    d.wait_series("uevents:events")
    w = d.watch("--records")
    synthetic(found[0], "change")
    r = w.wait("the record", lambda x: x["kind"] == "record" and x["subject"] == "device:block/" + name)
    assert r["message"] == "block %s changed: /dev/%s" % (name, name) and r["fields"]["type"] == "disk", r
    w.end()

with suite.check("a storm of 2,000 devices, half of them named: each is there, then none, whatever was lost; memory stays"), \
        suite.daemon(conf=CONF.replace("device {", "device { max_instances = 4000;"), promises=PROMISES) as d:
    d.wait_series("uevents:events")
    for turn in range(2):
        ip_batch("link add s%d type veth peer name p%d" % (i, i) for i in range(1000))
        wait_for("all of them", lambda: len(instances(d)) == 1001, deadline=90, alive=d)
        ip_batch("link del s%d" % i for i in range(1000))
        wait_for("the end of all", lambda: instances(d) == {"net/lan"}, deadline=90, alive=d)
        if turn == 0:
            before = d.value("kith:anonymous")
    if before is not None and not sanitized():
        wait_for("memory as before", lambda: d.value("kith:anonymous") - before < 1 << 20, alive=d)
    add("s1")
    wait_for("one more", lambda: instances(d) == {"net/lan", "net/s1"}, alive=d)
    ip("link", "del", "s1")

with suite.check("stopped while devices come and go: what was lost is said, and what is there is right"), \
        suite.daemon(conf=CONF, promises=PROMISES) as d:
    d.wait_promise("d.lan", "broken")
    d.process.send_signal(signal.SIGSTOP)
    ip_batch("link add t%d type veth peer name q%d" % (i, i) for i in range(1000))  # each some three uevents of 1 KiB or more: the socket holds 1 MiB
    ip_batch("link del t%d" % i for i in range(1000))
    add("lan")
    d.process.send_signal(signal.SIGCONT)
    d.wait_promise("d.lan", "kept")
    d.wait_log("plugin device: events were lost; everything is read again")
    ip("link", "del", "lan")
    d.wait_promise("d.lan", "broken")

with suite.check("numbers that other namespaces use are counted as missed, and nothing else happens"), \
        suite.daemon(conf=CONF, promises=PROMISES) as d:
    d.wait_promise("d.lan", "broken")
    add("first")
    d.wait_series("uevents:events", lambda v: v >= 1)
    run("unshare", "--net", "ip", "link", "add", "x", "type", "veth", "peer", "name", "y")
    add("lan")
    d.wait_promise("d.lan", "kept")
    d.wait_series("uevents:missed", lambda v: v >= 1)
    assert not d.lines("events were lost"), d.log()
    ip("link", "del", "lan")

with suite.check("what others send to the group, or to kithd, is not believed"), suite.daemon(conf=CONF, promises=PROMISES) as d:
    d.wait_promise("d.lan", "broken")
    d.wait_series("uevents:events")
    heard = d.value("uevents:events")
    frame = b"add@/devices/virtual/net/lan\0ACTION=add\0DEVPATH=/devices/virtual/net/lan\0SUBSYSTEM=net\0SEQNUM=99999999\0"
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, UEVENT) as s:
        s.bind((0, 0))
        for target in ((d.process.pid, 0), (0, 1)):
            try:
                s.sendto(frame, target)
            except OSError:
                pass
    add("after")
    d.wait_series("uevents:events", lambda v: v > heard)
    assert d.promise("d.lan")["assessment"] == "broken"
    ip("link", "del", "after")

suite.end()
