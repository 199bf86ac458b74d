"""How soon kithd knows of an event of each source, and what the event costs it: from the system call that makes it to the transition on the control
socket. Beside what others do with the same event, to the first instruction of their action and of kithd's; and how often an idle kithd wakes up."""
import contextlib
import glob
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import latency
import source_idle
import source_net
import source_peers
import source_service
from measure import say
from source_rows import BRIEF, Left, source, text  # noqa: F401

@contextlib.contextmanager
def loud():
    """The kernel takes from /dev/kmsg as much as is written"""
    path = "/proc/sys/kernel/printk_devkmsg"
    try:
        with open(path) as f:
            before = f.read()
        with open(path, "w") as f:
            f.write("on\n")
    except OSError as e:
        raise Left(f"{path}: {e.strerror}")
    try:
        yield
    finally:
        with open(path, "w") as f:
            f.write(before)


def kmsg(bench, count):
    text = "<3>I/O error, dev kith, sector 1\n"
    with loud():
        return source(bench, "kmsg: a message", "kmsg", BRIEF.format("kmsg:io_error:count"),
                      ("write", "/dev/kmsg", text, text), count, 'plugin kmsg { user = true; level = "none" }\n')


def device(bench, count):
    paths = sorted(glob.glob("/sys/block/*/uevent"))
    if not paths or not os.access(paths[0], os.W_OK):
        raise Left("no block device takes a uevent")
    name = "block/" + paths[0].split("/")[3]
    return source(bench, "device: a uevent", "device", BRIEF.format(f'device:"{name}":changes'),
                  ("write", paths[0], "change", "change"), count)


def group(bench, count):
    for top in ("/sys/fs/cgroup", "/sys/fs/cgroup/unified"):
        path = f"{top}/kith-bench-{os.getpid()}"
        if os.path.exists(top + "/cgroup.controllers"):
            break
    else:
        raise Left("no control groups of version 2")
    os.mkdir(path)
    name = "/" + os.path.basename(path)
    try:
        with open(path + "/cgroup.freeze", "w") as f:  # the rounds begin with a broken promise
            f.write("1")
        return source(bench, "cgroup: frozen", "cgroup", f'cgroup:"{name}":frozen == "no"',
                      ("write", path + "/cgroup.freeze", "0", "1"), count)
    finally:
        os.rmdir(path)


def file(bench, count):
    path = os.path.join(bench.make_folder("file"), "watched")
    with open(path, "w") as f:
        f.write("longer than that")
    what = ("file: written", "file", f'file:"{path}":size < 10B', ("write", path, "short", "longer than that"), count)
    return source(bench, *what) + source(bench, *what, action=True)


def textfile(bench, count):
    folder = bench.make_folder("text")
    path = os.path.join(folder, "a.prom")
    with open(path, "w") as f:
        f.write("kith_bench_level 9\n")
    return source(bench, "textfile: written", "textfile", "kith_bench_level:value < 5",
                  ("write", path, "kith_bench_level 1\n", "kith_bench_level 9\n"), count, f'plugin textfile {{ directory = "{folder}" }}\n')


def mount(bench, count):
    folder = bench.make_folder("mount")
    return source(bench, "mount: taken off", "mount", f'mount:"{folder}":state == "mounted"', ("mount", folder), count)


def listener(bench, count):
    return source(bench, "socket: closed", "socket", 'listen:"tcp/39177":state == "listening"', ("listen", "39177"), count)


def tree(bench, count):
    path = os.path.join(bench.make_folder("tree"), "deep", "file")
    os.mkdir(os.path.dirname(path))
    with open(path, "w") as f:
        f.write("x")
    top = os.path.dirname(os.path.dirname(path))
    return source(bench, "tree: a file below it is written", "file", BRIEF.format(f'tree:"{top}":changed'), ("write", path, "kept", "broken"), count)


PACKAGE = "Package: {name}\nStatus: install ok {state}\nArchitecture: all\nVersion: 1.0-1\nMaintainer: x <x@example.org>\nDescription: x\n\n"


def package(bench, count):
    """dpkg's database, of 1,000 packages, is replaced as dpkg does it"""
    folder = bench.make_folder("dpkg")
    for name in ("info", "updates", "triggers"):
        os.mkdir(os.path.join(folder, name))
    others = "".join(PACKAGE.format(name=f"kith-other-{i}", state="installed") for i in range(1000))
    path = {name: os.path.join(folder, name) for name in ("kept", "broken", "status")}
    for name, state in (("kept", "installed"), ("broken", "half-configured"), ("status", "half-configured")):
        with open(path[name], "w") as f:
            f.write(others + PACKAGE.format(name="kith-bench", state=state))
    return source(bench, "package: dpkg's database is replaced", "package", 'package:kith-bench:state == "installed"',
                  ("file", path["kept"], path["broken"], path["status"]), min(count, 30),
                  f'plugin package {{ admindir = "{folder}" }}\n')


def clock(bench, count):
    """Forward by 20 ms, and back in the other half of the round"""
    return source(bench, "clock: set", "clock", BRIEF.format("clock:steps"), ("clock", "20"), min(count, 50))


def pressure(bench, count):
    raise Left("a stall has no moment of its own: the kernel adds up waiting and looks at it every tenth of the window (50 ms at the least); "
               "and those who wait for a processor keep kithd from it, too")


SOURCES = {"kmsg": kmsg, "device": device, "cgroup": group, "file": file, "tree": tree, "textfile": textfile, "package": package, "mount": mount,
           "socket": listener, "route": source_net.route, "neighbour": source_net.neighbour, "conntrack": source_net.conntrack,
           "audit": source_net.audit, "clock": clock, "pressure": pressure}


# ---- all of them ---------------------------------------------------------------------------------------------------


class Table:
    """Rows, lines below them, and what was left out"""

    def __init__(self):
        self.rows, self.notes, self.left = [], [], []

    @contextlib.contextmanager
    def part(self, name):
        try:
            yield
        except (Left, RuntimeError, OSError, AssertionError, KeyError, ValueError, subprocess.SubprocessError) as e:
            self.left.append(f"left out: {name}: {e}")
            say("  " + self.left[-1])


def run(bench, quick, only=()):
    """A Table. `only`: these parts"""
    t, count = Table(), 15 if quick else 200
    parts = {name: lambda fn=fn: t.rows.extend(fn(bench, count)) for name, fn in SOURCES.items()}
    for what in (latency.link, latency.process_exit):
        parts[what.__name__] = lambda what=what: t.rows.extend(
            {"source": f"{r['what']} to {r['to']}", "rounds": r["rounds"], "p50": r["p50_us"], "p99": r["p99_us"], "cpu": r["cpu_us"]}
            for r in what(bench, count))
    for name, fn in source_service.PARTS.items():
        parts[name] = lambda fn=fn: fn(bench, t, quick)
    for name, fn in source_peers.PARTS.items():
        parts[name] = lambda fn=fn: fn(bench, t, quick)
    parts["idle"] = lambda: source_idle.run(bench, t, quick)
    for name in only:
        if name not in parts:
            raise SystemExit(f"bench: there is no source {name!r}; there are " + ", ".join(parts))
    say("each source, from its event to the transition:")
    for name, part in parts.items():
        if not only or name in only:
            with t.part(name):
                part()
    return t
