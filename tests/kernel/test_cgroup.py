#!/usr/bin/python3
"""Control groups of the running kernel, of both versions where it has both: made, filled, frozen, out of memory, out of processes, a thousand times made
and removed. What this kernel keeps in version 1 is tested there; version 2's memory events also on a tree of plain files, by the same inotify."""
import contextlib
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import kerneltest  # noqa: E402, F401: finds kithtest
from kithtest import Skip, Suite, sanitized, wait_for  # noqa: E402

suite = Suite()
NAME = "kith-test-%d" % os.getpid()
FS = "/sys/fs/cgroup"
CHURN = 1000
PROMISE = """
bundle groups {
    promise all {
        promiser  cgroup:/%s*
        keep      all cgroup:/%s*:oom_kills == 0
    }
}
"""


def hierarchy(*candidates):
    for path, file in candidates:
        if os.path.exists(os.path.join(path, file)):
            return path
    return None


V2 = hierarchy((FS, "cgroup.controllers"), (FS + "/unified", "cgroup.controllers"))
MEMORY = hierarchy((FS + "/memory", "memory.oom_control"))
PIDS = hierarchy((FS + "/pids", "cgroup.procs"))


class Group:
    """A group of the test's own; removed with what is in it"""

    def __init__(self, top, name=NAME, **files):
        if not top:
            raise Skip("no such hierarchy here")
        self.path = os.path.join(top, name)
        try:
            os.mkdir(self.path)
        except OSError as e:
            raise Skip("groups may not be made here: %s" % e)
        for file, text in files.items():
            self.write(file.replace("__", "."), text)

    def write(self, file, text):
        with open(os.path.join(self.path, file), "w") as f:
            f.write(text)

    def read(self, file):
        with open(os.path.join(self.path, file)) as f:
            return f.read()

    def run(self, code):
        """Python that runs within the group"""
        def enter():
            self.write("cgroup.procs", "0")
        return subprocess.Popen([sys.executable, "-c", code], preexec_fn=enter, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                stderr=subprocess.DEVNULL)

    def remove(self):
        def gone():
            with contextlib.suppress(OSError):
                for pid in self.read("cgroup.procs").split():
                    os.kill(int(pid), 9)
            try:
                os.rmdir(self.path)
            except FileNotFoundError:
                return True
            except OSError:
                return False
            return True
        wait_for("the group to go", gone)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.remove()


def sleeper(group):
    p = group.run("import sys; print('in', flush=True); sys.stdin.read()")
    assert p.stdout.readline() == b"in\n"
    return p


def end(p):
    p.stdin.close()
    p.wait()
    p.stdout.close()


def promise(name=NAME):
    return {"groups.promise": PROMISE % (name, name)}


def inotify_watches(pid):
    total = 0
    for fd in os.listdir("/proc/%d/fdinfo" % pid):
        with contextlib.suppress(FileNotFoundError):
            with open("/proc/%d/fdinfo/%s" % (pid, fd)) as f:
                total += f.read().count("inotify wd:")
    return total


def groups_there():
    """All groups of the three hierarchies: other work on this machine makes some too"""
    return sum(len(folders) for top in (V2, MEMORY, PIDS) if top for _, folders, _ in os.walk(top))


def wait_few_watches(d):
    """At most five for each group that there is; a leak would be of thousands"""
    wait_for("the watches to go", lambda: inotify_watches(d.process.pid) <= 5 * groups_there() + 50, alive=d)


def record(watch, *texts):
    return watch.wait("a record of %s" % (texts,), lambda x: x["kind"] == "record" and all(t in x["message"] for t in texts))


def state(d, metric, value, name=NAME):
    d.wait_series("cgroup:/%s:%s" % (name, metric), lambda v: v == value)


def known_to(d):
    plugin = d.plugin("cgroup")[0]
    if plugin["state"] != "running":
        raise Skip(plugin["reason"])


d = suite.daemon(conf="interval = 200ms\nplugin cgroup { max_groups = 200 }\n", promises=promise()).start()
watch = d.watch("--records", "--transitions", "cgroup:*", "groups.all")

with suite.check("version 2: a group appears, has processes, is frozen, is empty, ends: each as it happens"):
    known_to(d)
    with Group(V2) as group:
        record(watch, NAME, "has appeared")
        state(d, "populated", "no")
        p = sleeper(group)
        state(d, "populated", "yes")
        record(watch, NAME, "has processes again")
        if os.path.exists(group.path + "/cgroup.freeze"):
            group.write("cgroup.freeze", "1")
            state(d, "frozen", "yes")
            group.write("cgroup.freeze", "0")
            state(d, "frozen", "no")
        d.wait_series("cgroup:/%s:cpu" % NAME, lambda v: v is not None and v > 0)
        end(p)
        state(d, "populated", "no")
        record(watch, NAME, "is empty")
    record(watch, NAME, "has ended")
    wait_for("its series to end", lambda: d.value("cgroup:/%s:populated" % NAME) is None, alive=d)

with suite.check("version 1: what exceeds its limit is killed for it: the record, the right group, the broken promise"):
    known_to(d)
    with Group(MEMORY, memory__limit_in_bytes="16777216") as group:
        with contextlib.suppress(OSError):
            group.write("memory.memsw.limit_in_bytes", "16777216")
        other = Group(MEMORY, NAME + "-b")
        try:
            d.wait_series("cgroup:/%s:memory_limit" % NAME, lambda v: v == 16777216)
            d.wait_promise("groups.all", "kept")
            p = group.run("x = bytearray(64 << 20)\nx[::4096] = b'x' * len(x[::4096])")
            p.wait()
            ended = time.monotonic()
            p.stdin.close()
            p.stdout.close()
            assert p.returncode == -9, p.returncode
            line = record(watch, "out of memory", NAME)
            print("# told %.1f ms after the process was seen to end" % (1e3 * (watch.times[watch.lines.index(line)] - ended)))
            assert line["subject"] == "cgroup:/" + NAME, line
            d.wait_series("cgroup:/%s:oom_kills" % NAME, lambda v: v == 1)
            record(watch, NAME, "90 %")
            wait_for("the promise to break", lambda: any(x["kind"] == "transition" and x["to"] == "broken" and x["promiser"].endswith(NAME)
                                                         for x in list(watch.lines)) or d.promise("groups.all")["assessment"] == "broken")
            assert d.value("cgroup:/%s-b:oom_kills" % NAME) in (0, None)
        finally:
            other.remove()

with suite.check("pids.max refuses a process: a record and a count"):
    known_to(d)
    with Group(PIDS or V2) as group:
        if not os.path.exists(group.path + "/pids.max"):
            raise Skip("no pids controller here")
        group.write("pids.max", "2")
        p = group.run("import os, sys\nfor i in range(5):\n try:\n  if os.fork() == 0: sys.stdin.read(); os._exit(0)\n except OSError: pass\n"
                      "print('in', flush=True)\nsys.stdin.read()")
        assert p.stdout.readline() == b"in\n"
        record(watch, NAME, "refused a process")
        d.wait_series("cgroup:/%s:pids_max" % NAME, lambda v: v >= 1)
        d.wait_series("cgroup:/%s:pids_limit" % NAME, lambda v: v == 2)
        end(p)

with suite.check("odd names: spaces, colons, control characters, no UTF-8, and paths longer than a series' name"):
    known_to(d)
    with contextlib.ExitStack() as stack:
        for name in (NAME + " a:b*c\\d", NAME + "\t\x01", os.fsdecode(NAME.encode() + b"\xff\xfe"), NAME + "é…"):
            stack.enter_context(Group(V2, name))
        d.wait_series("cgroup:/%s\\x09\\x01:populated" % NAME)
        d.wait_series("cgroup:/%s\\xff\\xfe:populated" % NAME)
        wait_for("the others", lambda: len(d.get("cgroup:*:populated")) >= 4, alive=d)
        at, deep = NAME + "-deep", []
        for i in range(5):
            deep.append(stack.enter_context(Group(V2, at)))
            at += "/" + "x" * 100
        p = sleeper(deep[-1])
        end(p)
        d.wait_series("cgroup:/%s-deep:populated" % NAME)
    wait_for("all to end", lambda: not [n for n in d.get("cgroup:*:populated") if NAME in n], alive=d)

with suite.check("%d groups made and removed, some while they are read: no memory, no watch, no series stays" % CHURN):
    known_to(d)

    def churn(times):
        for i in range(times):
            path = os.path.join(V2 or MEMORY or PIDS, "%s-%d" % (NAME, i))
            os.mkdir(path)
            if i % 3 == 0:
                os.mkdir(path + "/below")
                os.rmdir(path + "/below")
            os.rmdir(path)

    def settled():
        with Group(V2 or MEMORY or PIDS, NAME + "-last"):
            d.wait_series("cgroup:/%s-last:%s" % (NAME, "populated" if V2 else "oom_kills"))
        wait_for("all to end", lambda: not [n for n in d.get("cgroup") if NAME in n], alive=d)
    with Group(V2 or MEMORY or PIDS, NAME + "-first"):
        pass
    churn(200)
    settled()
    before, watches = d.holds(), inotify_watches(d.process.pid)
    begin = time.monotonic()
    churn(CHURN)
    settled()
    after = d.holds()
    print("# %.1f s; anonymous %d KiB before, %d after; %d watches before, %d after" %
          (time.monotonic() - begin, before["anonymous"], after["anonymous"], watches, inotify_watches(d.process.pid)))
    wait_few_watches(d)
    assert after["fds"] <= before["fds"] + 50, (before, after)
    assert sanitized() or after["anonymous"] <= before["anonymous"] + 1024, (before, after)
    cost = next(x for x in d.kith("cost")[1] if x["name"] == "cgroup")
    print("# %.1f us a call, %d calls" % (cost["cpu_ns"] / max(1, cost["calls"]) / 1e3, cost["calls"]))
    assert cost["failures"] == 0, cost

with suite.check("more happens than the kernel's queue holds while kithd does not read: said, and right afterwards"):
    known_to(d)
    with open("/proc/sys/fs/inotify/max_queued_events") as f:
        queue = int(f.read())
    if queue > 20000:
        raise Skip("the queue holds %d events" % queue)
    with kerneltest.Stopped(d.process.pid):
        churn(queue // 2 + 500)
        stay = Group(V2 or MEMORY or PIDS, NAME + "-stays")
    watch_lost = wait_for("the loss to be told", lambda: d.lines("events were lost"), alive=d)
    with stay:
        d.wait_series("cgroup:/%s-stays:%s" % (NAME, "populated" if V2 else "oom_kills"))
    settled()
    wait_few_watches(d)

with suite.check("a group that is removed and made again while the loss lasts: the new one is heard"):
    if queue > 20000:
        raise Skip("the queue holds %d events" % queue)
    if not V2:
        raise Skip("no hierarchy of version 2 here")
    again, lost = Group(V2, NAME + "-again"), len(d.lines("events were lost"))
    d.wait_series("cgroup:/%s-again:populated" % NAME)
    with kerneltest.Stopped(d.process.pid):
        churn(queue // 2 + 500)
        again.remove()
        again = Group(V2, NAME + "-again")
    wait_for("the loss to be told", lambda: len(d.lines("events were lost")) > lost, alive=d)
    with again:
        p = sleeper(again)
        state(d, "populated", "yes", NAME + "-again")
        end(p)
        state(d, "populated", "no", NAME + "-again")
    settled()

with suite.check("it ends with nothing left open"):
    watch.end()
    d.stop()


def tree(root, path, **files):
    """A group of plain files"""
    folder = root + FS + path
    os.makedirs(folder, exist_ok=True)
    for file, text in files.items():
        with open(os.path.join(folder, file.replace("__", ".")), "w") as f:
            f.write(text)
    return folder


EVENTS = "low 0\nhigh %d\nmax %d\noom %d\noom_kill %d\noom_group_kill 0\n"

with suite.check("version 2's memory.events: which group, once although its parents count it too; a controller that is enabled later"):
    root = suite.folder()
    os.makedirs(root + "/proc")
    tree(root, "", cgroup__controllers="memory\n", cgroup__subtree_control="")
    tree(root, "/top.slice", cgroup__events="populated 1\nfrozen 0\n", cgroup__subtree_control="", memory__events=EVENTS % (0, 0, 0, 0),
         **{"memory.events.local": EVENTS % (0, 0, 0, 0)})
    with suite.daemon(conf='interval = 200ms\nroot = "%s"\n' % root) as d:
        known_to(d)
        watch = d.watch("--records", "cgroup:*")
        d.wait_series("cgroup:/top.slice:oom_kills", lambda v: v == 0)
        app = tree(root, "/top.slice/app", cgroup__events="populated 1\nfrozen 0\n")
        # As the kernel does it: the file comes without a word, what is announced is the write to the parent's file
        tree(root, "/top.slice/app", memory__events=EVENTS % (0, 0, 0, 0), **{"memory.events.local": EVENTS % (0, 0, 0, 0)})
        tree(root, "/top.slice", cgroup__subtree_control="+memory\n")
        time.sleep(0.3)
        tree(root, "/top.slice/app", **{"memory.events.local": EVENTS % (3, 7, 1, 2)})
        tree(root, "/top.slice/app", memory__events=EVENTS % (3, 7, 1, 2))
        tree(root, "/top.slice", memory__events=EVENTS % (3, 7, 1, 2))
        record(watch, "killed 2 processes of group /top.slice/app")
        record(watch, "/top.slice/app", "limit of memory")
        d.wait_series("cgroup:/top.slice:oom_kills", lambda v: v == 2)
        time.sleep(0.2)
        assert not [x for x in watch.lines if "of group /top.slice" in x["message"] and "app" not in x["message"]], watch.lines
        watch.end()

with suite.check("as nobody: version 2 is heard all the same"):
    if os.getuid() != 0:
        raise Skip("needs root to become nobody")
    public = suite.public()
    with suite.daemon(conf="interval = 200ms\n", promises=promise(), user=True, program=os.path.join(public, "kithd"),
                      plugins=(os.path.join(public, "plugins"),)) as d:
        known_to(d)
        with Group(V2) as group:
            state(d, "populated", "no")
            p = sleeper(group)
            state(d, "populated", "yes")
            end(p)
        wait_for("its series to end", lambda: d.value("cgroup:/%s:populated" % NAME) is None, alive=d)

suite.end()
