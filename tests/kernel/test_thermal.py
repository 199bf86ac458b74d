#!/usr/bin/python3
"""Temperatures of the running kernel: its messages are listened for; zones, where it has some; a recorded tree."""
import glob
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from kerneltest import netlink_sockets  # noqa: E402
from kithtest import Skip, Suite, write_file  # noqa: E402

suite = Suite()
GENERIC = 16
PROMISES = {"t.promise": 'bundle t { promise cool { promiser thermal:* keep thermal:*:trip != "critical" and thermal:*:temperature < 1000 } }\n'}


def write(path, text):
    """In place, as files of /sys change"""
    with open(path, "r+") as f:
        f.write(text)
        f.truncate()


def groups(d):
    return sum(int(s["Groups"], 16) != 0 for s in netlink_sockets(d.process.pid, GENERIC))


def without(name):
    return "plugin %s { enabled = no }\n" % name


with suite.check("the kernel's group of thermal events is joined; skipped with the reason where there is none, and nothing else"), \
        suite.daemon(conf="interval = 1h\n" + without("mount") + without("interface")) as d:
    d.wait_series("load:1m")
    plugin = d.plugin("thermal")[0]
    if plugin["state"] == "skipped":
        assert "tells of none" in plugin["reason"], plugin
        raise Skip("this kernel tells of no temperatures")
    assert plugin["state"] == "running", plugin
    with_it = groups(d)
    with suite.daemon(conf="interval = 1h\n" + "".join(without(x) for x in ("mount", "interface", "thermal"))) as other:
        other.wait_series("load:1m")
        assert with_it == groups(other) + 1, (with_it, groups(other))

with suite.check("the zones of this machine have their temperatures"), suite.daemon(conf="interval = 100ms\n", promises=PROMISES) as d:
    zones = glob.glob("/sys/class/thermal/thermal_zone*/temp")
    if not zones:
        raise Skip("there are none")
    d.wait_series("load:1m")
    assert d.get("thermal:*:trip")

with suite.check("a recorded tree: temperatures, trip points on the tick, and the promise that comes with kith"):
    root = suite.folder()
    for path, text in (("zone0/type", "x86_pkg_temp"), ("zone0/temp", "50000"), ("zone0/trip_point_0_type", "critical"), ("zone0/trip_point_0_temp", "100000")):
        path = "%s/sys/class/thermal/thermal_%s" % (root, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        write_file(path, text + "\n")
    os.makedirs(root + "/proc")
    with suite.daemon(conf='interval = 100ms\nroot = "%s"\n' % root, promises=PROMISES) as d:
        d.wait_promise("t.cool", "kept")
        d.wait_series("thermal:x86_pkg_temp:temperature", lambda v: v == 50)
        write(root + "/sys/class/thermal/thermal_zone0/temp", "101000\n")
        d.wait_promise("t.cool", "broken")
        d.wait_series("thermal:x86_pkg_temp:trip", lambda v: v == "critical")
        write(root + "/sys/class/thermal/thermal_zone0/temp", "60000\n")
        d.wait_promise("t.cool", "kept")

suite.end()
