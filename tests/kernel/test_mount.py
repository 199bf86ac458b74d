#!/usr/bin/python3
"""Mounts of the running kernel, in a mount namespace of the test's own: what comes, goes and turns read-only, and a storm of them."""
import ctypes
import gzip
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from kerneltest import libc, namespaces, netlink_sockets, run, switches  # noqa: E402
from kithtest import Skip, Suite, sanitized, wait_for  # noqa: E402

namespaces("mount")
suite = Suite()
place = suite.folder()
CONF = "interval = 1h\n"
GENERIC = 16
PROMISES = {"m.promise": """bundle m {
    promise data { promiser mount:%s/data keep mount:%s/data:state == "mounted" and mount:%s/data:read_only == "rw" }
    promise all { promiser mount:* keep mount:*:turned_read_only == "no" }
}
""" % (place, place, place)}


def path(name):
    os.makedirs(os.path.join(place, name), exist_ok=True)
    return os.path.join(place, name)


def tmpfs(point):
    run("mount", "-t", "tmpfs", "-o", "size=1m", "kithtest", point)


def mount(point):
    """As tmpfs, without the time that a program takes to start"""
    assert libc.mount(b"x", point.encode(), b"tmpfs", 0, b"size=1m") == 0, os.strerror(ctypes.get_errno())


def umount(point):
    assert libc.umount2(point.encode(), 0) == 0, os.strerror(ctypes.get_errno())


def points(d, below):
    return {n[len("mount:"):-len(":state")] for n in d.get("mount:%s*:state" % below)}


data = path("data")

with suite.check("mounted, remounted, unmounted: its promise and its records, by event"), suite.daemon(conf=CONF, promises=PROMISES) as d:
    d.wait_promise("m.data", "broken")
    w = d.watch("--records", "--transitions")
    tmpfs(data)
    d.wait_promise("m.data", "kept")
    r = w.wait("the record", lambda x: x["kind"] == "record" and x["subject"] == "mount:" + data)
    assert r["message"] == "%s is mounted: tmpfs kithtest" % data and "size=1024k" in r["fields"]["super_options"], r
    run("mount", "-o", "remount,ro", data)
    d.wait_promise("m.data", "broken")
    w.wait("the record", lambda x: x["kind"] == "record" and x["subject"] == "mount:" + data and "read-only" in x["message"])
    run("mount", "-o", "remount,rw", data)
    d.wait_promise("m.data", "kept")
    run("umount", data)
    d.wait_promise("m.data", "broken")
    w.wait("the record", lambda x: x["kind"] == "record" and x["message"].startswith(data + " is unmounted") and x["priority"] == "notice")
    tmpfs(data)
    d.wait_promise("m.data", "kept")
    w.end()

with suite.check("what was there to be written to turns read-only: an error, and its promise breaks"), suite.daemon(conf=CONF, promises=PROMISES) as d:
    d.wait_promise("m.data", "kept")
    w = d.watch("--records", "--transitions")
    run("mount", "-o", "remount,ro", data)
    r = w.wait("the record", lambda x: x["kind"] == "record" and x["subject"] == "mount:" + data)
    assert r["priority"] == "error" and " has become read-only" in r["message"], r
    w.wait("the promise", lambda x: x["kind"] == "transition" and x["name"] == "m.all" and x["promiser"] == "mount:" + data and x["to"] == "broken")
    run("mount", "-o", "remount,rw", data)
    w.wait("the promise", lambda x: x["kind"] == "transition" and x["name"] == "m.all" and x["promiser"] == "mount:" + data and x["to"] == "kept")
    w.end()

with suite.check("one is moved on top of a newer one: the one on top counts, whatever their order in the table"), \
        suite.daemon(conf=CONF, promises=PROMISES) as d:
    older, point = path("older"), path("point")
    run("mount", "-t", "tmpfs", "-o", "size=1m,ro", "older", older)
    tmpfs(point)
    d.wait_series("mount:%s:read_only" % point, lambda v: v == "rw")
    run("mount", "--move", older, point)
    d.wait_series("mount:%s:read_only" % point, lambda v: v == "ro")
    umount(point)
    d.wait_series("mount:%s:read_only" % point, lambda v: v == "rw")
    umount(point)
    wait_for("both to end", lambda: not points(d, point), alive=d)

with suite.check("a file system that turns read-only by itself: the kernel's message has it read again"), suite.daemon(conf=CONF, promises=PROMISES) as d:
    image, there = os.path.join(place, "image"), path("disk")
    with open(image, "wb") as f:
        f.truncate(8 << 20)
    made = subprocess.run(["mkfs.ext4", "-q", "-F", image], capture_output=True, text=True)
    if made.returncode:
        raise Skip("no ext4 here: " + made.stderr.strip())
    if subprocess.run(["mount", "-o", "loop,errors=remount-ro", image, there], capture_output=True).returncode:
        raise Skip("no loop device here")
    try:
        d.wait_series("mount:%s:state" % there)
        device = os.path.basename(run("findmnt", "-n", "-o", "SOURCE", there).strip())
        trigger = "/sys/fs/ext4/%s/trigger_fs_error" % device
        if not os.path.exists(trigger) or not os.access("/dev/kmsg", os.R_OK):
            raise Skip("this kernel makes no such error")
        w = d.watch("--records")
        with open(trigger, "w") as f:
            f.write("kith test")
        w.wait("the record", lambda x: x["kind"] == "record" and x["subject"] == "mount:" + there and "read-only" in x["message"])
        d.wait_series("mount:%s:read_only" % there, lambda v: v == "ro")
        w.end()
    finally:
        run("umount", there)

with suite.check("a storm of 1,000 mounts made and removed, thrice: what is there at the end is right, memory stays, little is read"), \
        suite.daemon(conf=CONF, promises=PROMISES) as d:
    d.wait_promise("m.data", "kept")
    storm = path("storm")
    for i in range(20):
        os.makedirs("%s/s%d" % (storm, i), exist_ok=True)
    before = None
    for turn in range(3):
        woken = switches(d.process.pid)
        for n in range(50):
            for i in range(20):
                mount("%s/s%d" % (storm, i))
            for i in range(20):
                umount("%s/s%d" % (storm, i))
        many = ["%s/s%d" % (storm, i) for i in range(10)]
        for point in many:
            mount(point)
        wait_for("those that stay", lambda: points(d, storm) == set(many), alive=d)
        print("# woken %d times" % (switches(d.process.pid) - woken))
        for point in many:
            umount(point)
        wait_for("none", lambda: not points(d, storm), alive=d)
        if turn == 0:
            before = d.value("kith:anonymous")
    if before is not None and not sanitized():
        wait_for("memory as before", lambda: d.value("kith:anonymous") - before < 1 << 20, alive=d)
    assert d.promise("m.data")["assessment"] == "kept"

with suite.check("1,000 mounts at once, then none"), suite.daemon(conf=CONF, promises=PROMISES) as d:
    d.wait_promise("m.data", "kept")
    many = [path("many/m%d" % i) for i in range(1000)]
    for point in many:
        mount(point)
    wait_for("all", lambda: points(d, place + "/many") == set(many), alive=d)
    for point in many:
        umount(point)
    wait_for("none", lambda: not points(d, place + "/many"), alive=d)

with suite.check("warnings of quotas are listened for where this kernel and network namespace have them"), suite.daemon(conf=CONF) as d:
    d.wait_series("mount:/:state")
    groups = sum(int(s["Groups"], 16) != 0 for s in netlink_sockets(d.process.pid, GENERIC))
    if not groups:
        with open("/proc/config.gz", "rb") as f:
            if b"CONFIG_QUOTA_NETLINK_INTERFACE=y" not in gzip.decompress(f.read()):
                raise Skip("not this kernel")
    assert groups >= 1

run("umount", data)
suite.end()
