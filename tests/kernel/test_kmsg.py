#!/usr/bin/python3
"""What the running kernel says: a program that crashes, a group that is out of memory, a flood; as nobody."""
import calendar
import contextlib
import os
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import kerneltest  # noqa: E402, F401
from kithtest import Skip, Suite, sanitized, wait_for  # noqa: E402

suite = Suite()
SETTING = "/proc/sys/kernel/printk_devkmsg"


def can_read():
    try:
        os.close(os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK))
    except OSError as e:
        raise Skip("/dev/kmsg: %s" % e.strerror)


def setting(path):
    with open(path) as f:
        return f.read().split()[0]


@contextlib.contextmanager
def loud():
    """Everybody may write to /dev/kmsg as much as they like, until the end"""
    before = setting(SETTING)
    try:
        with open(SETTING, "w") as f:
            f.write("on\n")
    except OSError as e:
        raise Skip("%s: %s" % (SETTING, e.strerror))
    try:
        yield
    finally:
        with open(SETTING, "w") as f:
            f.write(before + "\n")


def write(lines):
    fd = os.open("/dev/kmsg", os.O_WRONLY)
    for line in lines:  # what has no end of line may be continued, and waits for that
        os.write(fd, line.encode() + b"\n")
    os.close(fd)


def memory_group():
    """A group whose processes may use 20 MiB; (its folder, the name it has for the kernel)"""
    name = "kith-test-%d" % os.getpid()
    for top, limit, swap in (("/sys/fs/cgroup", "memory.max", "memory.swap.max"),
                             ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.memsw.limit_in_bytes")):
        path = os.path.join(top, name)
        try:
            os.stat(os.path.join(top, "cgroup.procs"))  # else it is another file system's folder
            os.mkdir(path)
        except OSError:
            continue
        try:
            with open(os.path.join(path, limit), "w") as f:
                f.write("20971520\n")
        except OSError:
            os.rmdir(path)
            continue
        with contextlib.suppress(OSError):
            with open(os.path.join(path, swap), "w") as f:
                f.write("0\n" if swap.endswith("max") else "20971520\n")
        return path, "/" + name
    raise Skip("no group with a limit on memory can be made here")


with suite.check("a program that crashes is counted, and the record names it"):
    can_read()
    if setting("/proc/sys/debug/exception-trace") != "1":
        raise Skip("the kernel says nothing of crashes: debug.exception-trace is 0")
    with suite.daemon(conf="interval = 10s\n") as d:
        d.wait_series("kmsg:segfault:count", lambda v: v == 0)
        w = d.watch("--records")
        p = subprocess.run([sys.executable, "-c", "import ctypes; ctypes.string_at(8)"], stderr=subprocess.DEVNULL)
        assert p.returncode == -signal.SIGSEGV, p.returncode
        r = w.wait("the record", lambda x: x["kind"] == "record" and x["subject"] == "kmsg:segfault")
        assert "segfault at 8" in r["message"] and r["fields"]["pid"].isdigit() and r["fields"]["process"].startswith("python"), r
        d.wait_series("kmsg:segfault:count", lambda v: v >= 1)
        w.end()

with suite.check("a group out of memory: the kill, the process, the group; a promise on it breaks"):
    can_read()
    path, name = memory_group()
    promise = "bundle m {\n promise room { promiser kmsg:oom keep not changed(kmsg:oom:count, 15m) severity error }\n}\n"
    try:
        with suite.daemon(conf="interval = 10s\n", promises={"m.promise": promise}) as d:
            d.wait_promise("m.room", "kept")
            w = d.watch("--records")
            code = "import os; open('%s/cgroup.procs', 'w').write('0'); b'x' * (200 << 20)" % path
            p = subprocess.run([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
            assert p.returncode == -signal.SIGKILL, p.returncode
            r = w.wait("the record", lambda x: x["kind"] == "record" and x["subject"] == "kmsg:oom")
            assert "Killed process" in r["message"] and r["fields"]["cgroup"] == name, r
            assert r["fields"]["process"].startswith("python"), r
            assert abs(calendar.timegm(time.strptime(r["time"][:19], "%Y-%m-%dT%H:%M:%S")) - time.time()) < 60, r["time"]
            d.wait_promise("m.room", "broken")
            w.end()
    finally:
        wait_for("the group to be empty", lambda: not subprocess.run(["rmdir", path], capture_output=True).returncode)

with suite.check("what programs write is heard when that is wanted: each kind, odd characters"):
    can_read()
    said = {"io_error": "I/O error, dev kith, sector 1", "fs_error": "EXT4-fs error (device kith): x", "hung_task": "INFO: task a b:7 blocked for more than 9 seconds.",
            "table_full": "nf_conntrack: table full, dropping packet", "server_silent": "nfs: server kith not responding, still trying"}
    with loud(), suite.daemon(conf='plugin kmsg { user = true; level = "error" }\n') as d:
        d.wait_series("kmsg:lost:count")
        w = d.watch("--records")
        write(["<4>" + x for x in said.values()])
        for kind, text in said.items():
            r = w.wait(kind, lambda x: x["kind"] == "record" and x["subject"] == "kmsg:" + kind)
            assert r["message"] == text, r
            d.wait_series("kmsg:%s:count" % kind, lambda v: v >= 1)
        write(["<3>one\x1b[31m größe \\ \x7f\ttwo  "])
        r = w.wait("the odd one", lambda x: x["kind"] == "record" and x["message"].startswith("one"))
        assert r["message"] == "one [31m größe \\   two" and r["subject"] == "kmsg:messages" and r["fields"]["priority"] == "error", r
        w.end()

with suite.check("a flood: every message is counted, as said or as overwritten, and nothing grows"):
    can_read()
    with loud(), suite.daemon(conf='plugin kmsg { user = true; level = "none" }\n') as d:
        d.wait_series("kmsg:lost:count")
        write(["<6>before"])
        d.wait_series("kmsg:messages:count", lambda v: v >= 1)
        start = d.value("kmsg:messages:count") + d.value("kmsg:lost:count")
        anonymous = d.value("kith:anonymous")
        d.process.send_signal(signal.SIGSTOP)
        write(["<6>kith flood %d" % i for i in range(30000)])
        d.process.send_signal(signal.SIGCONT)
        write(["<6>kith flood %d" % i for i in range(30000)])
        write(["<3>I/O error, dev kith, sector 7"])
        d.wait_series("kmsg:io_error:count", lambda v: v >= 1)
        seen, lost = d.value("kmsg:messages:count"), d.value("kmsg:lost:count")
        assert seen + lost - start >= 60001, (seen, lost, start)
        assert lost > 0, "nothing was overwritten while kithd stood still: 30,000 messages fit into the kernel's buffer?"
        if anonymous is not None and not sanitized():
            grown = d.value("kith:anonymous") - anonymous
            assert grown < 1 << 20, grown

with suite.check("as nobody, where the kernel keeps it to root: skipped, with the reason"):
    if os.geteuid() or setting("/proc/sys/kernel/dmesg_restrict") != "1":
        raise Skip("the kernel lets everybody read it")
    with suite.daemon(user=True) as d:
        p = d.wait_plugin("kmsg", "skipped")
        assert "CAP_SYSLOG" in p["reason"], p

suite.end()
