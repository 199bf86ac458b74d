"""How soon a crossing is acted on: from the system call that changes a value to the first instruction of an action.

Crossings happen at random moments between two rounds. Room on a file system is a value that all programs see: a small
tmpfs in a mount namespace of their own. The plugin level reads its value from a file, which leaves attention alone.
"""
import os
import random
import select
import shutil
import socket
import struct
import subprocess
import threading
import time

from holders import CollectdHolder, KithdHolder, Pmcd, Pmie
from kith import kith
from measure import Snapshot, memory, say

MIB = 1 << 20
ROOM, THRESHOLD = 64 * MIB, 32 * MIB
CLOSE = MIB // 2  # to the threshold: less than the twentieth that is near
STEPS = 6  # thresholds that one value crosses between two rounds


class Stamps:
    """Where actions say when they began: a socket for each"""

    def __init__(self, bench, names, folder=None):
        self.folder = folder or bench.make_folder("stamps")
        os.chmod(self.folder, 0o755)
        # collectd runs its actions as another user: what they need is outside of folders that are the bench's alone.
        os.chmod(bench.folder, 0o711)
        self.program = shutil.copy(bench.helper("stamp"), self.folder)
        self.sockets = {}
        for name in names:
            s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            s.bind(self.path(name))
            os.chmod(self.path(name), 0o777)
            s.setblocking(False)
            self.sockets[name] = s

    def path(self, name):
        return os.path.join(self.folder, name)

    def drain(self):
        for s in self.sockets.values():
            while select.select([s], [], [], 0)[0]:
                s.recv(16)

    def wait(self, names, patience):
        """{name: CLOCK_MONOTONIC ns of its first stamp}; those that did not come are left out"""
        found = {}
        end = time.monotonic() + patience
        while len(found) < len(names):
            waiting = [self.sockets[n] for n in names if n not in found]
            ready = select.select(waiting, [], [], max(0, end - time.monotonic()))[0]
            if not ready:
                break
            for name in names:
                if self.sockets[name] in ready:
                    stamp = struct.unpack("=q", self.sockets[name].recv(16))[0]
                    found.setdefault(name, stamp)
        return found

    def close(self):
        for s in self.sockets.values():
            s.close()


def pause(bench, seconds):
    if bench.end.wait(max(0, seconds)):
        raise RuntimeError("stopped")


def cpu_over(bench, programs, seconds):
    """{name: {cpu_us, wakeups} a minute}"""
    before = {p.name: Snapshot(p.process.pid) for p in programs}
    pause(bench, seconds)
    found = {}
    for p in programs:
        after = Snapshot(p.process.pid)
        minutes = (after.time - before[p.name].time) / 60
        found[p.name] = {
            "cpu_us": (after.cpu_ns - before[p.name].cpu_ns) / 1000 / minutes,
            "wakeups": (after.voluntary - before[p.name].voluntary) / minutes,
        }
    return found


def summary(values):
    """Of times in ns"""
    values = sorted(v / 1e6 for v in values)
    if not values:
        return {"crossings": 0}
    middle = len(values) // 2
    return {
        "crossings": len(values),
        "p50_ms": values[middle] if len(values) % 2 else (values[middle - 1] + values[middle]) / 2,
        "p99_ms": values[min(len(values) - 1, int(len(values) * 0.99))],
        "min_ms": values[0],
        "max_ms": values[-1],
        "ms": values,
    }


class Room:
    """A tmpfs of 64 MiB that only those see who enter()"""

    def __init__(self, bench):
        self.where = bench.make_folder("room")
        command = f'mount -t tmpfs -o size={ROOM},mode=755 kithbench "$1" && echo ready && exec cat'
        self.process = subprocess.Popen(
            ["unshare", "-m", "--propagation", "private", "sh", "-c", command, "sh", self.where],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        if self.process.stdout.readline() != b"ready\n":
            self.process.wait()
            raise RuntimeError("no tmpfs could be mounted in a mount namespace")
        self.file = os.open(
            f"/proc/{self.process.pid}/root{self.where}/fill", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
        )
        self.size = 0

    def enter(self):
        return ["nsenter", "-t", str(self.process.pid), "-m", "--"]

    def leave_free(self, free):
        """CLOCK_MONOTONIC ns before the change"""
        size = ROOM - free
        began = time.monotonic_ns()
        if size > self.size:
            os.posix_fallocate(self.file, self.size, size - self.size)
        else:
            os.ftruncate(self.file, size)
        self.size = size
        return began

    def close(self):
        os.close(self.file)
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


class KithdUnattended(KithdHolder):
    name = "kithd, no attention"


def room_programs(bench, room, stamps, wanted):
    """Those that watch the room, each with an action"""

    def promise(name):
        return (
            f'bundle room {{\npromise free {{ promiser room\nkeep df:"{room.where}":free > 32MiB\n'
            f'on broken run "{stamps.program}" "{stamps.path(name)}" at most 1000 per 1m }}\n}}\n'
        )

    programs = [
        KithdHolder(bench, promise("kithd"), room.enter()),
        KithdUnattended(bench, promise(KithdUnattended.name), room.enter(), "attention_budget = 0\n"),
    ]
    if "collectd" in wanted:
        rule = (
            f'<Plugin "df">\nInstance "{room.where[1:].replace("/", "-")}"\n<Type "df_complex">\nInstance "free"\n'
            f"FailureMin {THRESHOLD}\n</Type>\n</Plugin>"
        )
        action = f'"nobody" "{stamps.program}" "{stamps.path("collectd")}"'
        programs.append(CollectdHolder(bench, rule, room.enter(), action))
    if "pmie" in wanted:
        pmcd = Pmcd(bench, room.enter())
        rule = f"rising (tmpfs.free #'{room.where}' < 32 Mbyte) -> shell \"{stamps.program} {stamps.path('pmie')}\";\n"
        programs += [pmcd, Pmie(bench, rule, pmcd, room.enter())]
    return programs


def room_crossings(bench, room, stamps, names, count):
    """{name: [ns]}, and how many were missed, by name"""
    found, missed = {name: [] for name in names}, {name: 0 for name in names}
    for _ in range(count):
        pause(bench, random.random())
        stamps.drain()
        began = room.leave_free(THRESHOLD - CLOSE)
        at = stamps.wait(names, 4)
        for name in names:
            if name in at:
                found[name].append(at[name] - began)
            else:
                missed[name] += 1
        # All have a round in which it is well again.
        room.leave_free(THRESHOLD + CLOSE)
        pause(bench, 1.5)
    return found, missed


def room_run(bench, quick, wanted):
    """Rows of kithd with attention and without, and of the peers"""
    names = ["kithd", KithdUnattended.name] + sorted(wanted)
    programs, stamps, room = [], Stamps(bench, names), None
    try:
        room = Room(bench)
        room.leave_free(ROOM - 4 * MIB)
        programs = room_programs(bench, room, stamps, wanted)
        for p in programs:
            pause(bench, (p.phase - time.time()) % 1)
            p.start(1)
        pause(bench, 3)
        far = cpu_over(bench, programs, 4 if quick else 12)
        room.leave_free(THRESHOLD + CLOSE)
        pause(bench, 2.5)
        near = cpu_over(bench, programs, 4 if quick else 12)
        crossings, missed = room_crossings(bench, room, stamps, names, 6 if quick else 24)
        for p in programs:
            p.check()
        rows = []
        for p in programs:
            row = {"program": p.name, "far": far[p.name], "near": near[p.name], "missed": missed.get(p.name)}
            row["rss"], row["anonymous"] = memory(p.process.pid)
            rows.append({**row, **summary(crossings.get(p.name, []))})
        return rows
    finally:
        for p in reversed(programs):
            p.stop()
        if room:
            room.close()
        stamps.close()


class Level:
    """The value that the plugin level reads: written at once, of always the same length"""

    def __init__(self, bench):
        self.path = os.path.join(bench.make_folder("level"), "value")
        self.file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def set(self, value):
        """CLOCK_MONOTONIC ns before the change"""
        began = time.monotonic_ns()
        os.pwrite(self.file, b"%04d\n" % value, 0)
        return began

    def close(self):
        os.close(self.file)


def level_kithd(bench, name, level, promises, config=""):
    plugin = os.path.join(bench.build, "tests", "host", "plugins", "level.so")
    program = KithdHolder(bench, promises, (), f'plugin level {{ from = "{level.path}" }}\n{config}', (plugin,))
    program.name = name
    return program


def wait_attention(bench, program, patience=13):
    end = time.monotonic() + patience
    while time.monotonic() < end:
        if "every 100 ms" in kith(bench, program.folder, "explain", "level.near")["attention"]:
            return
        pause(bench, 0.2)
    raise RuntimeError("kithd does not attend to a value that is close to its threshold")


def attended(bench, quick, row):
    """At 10 s, close to a threshold: into `row`"""
    stamps, level, program = Stamps(bench, ["broken", "kept"]), Level(bench), None
    actions = "".join(
        f'on {to} run "{stamps.program}" "{stamps.path(to)}" at most 1000 per 1m\n' for to in ("broken", "kept")
    )
    rules = f"bundle level {{\npromise near {{ promiser level\nkeep level:0:value < 100\n{actions}}}\n}}\n"
    try:
        level.set(50)
        program = level_kithd(bench, "kithd", level, rules)
        program.start(10)
        pause(bench, 2)
        row["far"] = cpu_over(bench, [program], 10 if quick else 30)["kithd"]
        level.set(96)
        wait_attention(bench, program)
        pause(bench, 1)
        row["near"] = cpu_over(bench, [program], 5 if quick else 20)["kithd"]
        times = []
        row["missed"] = 0
        for _ in range(12 if quick else 80):
            pause(bench, random.random() / 2)
            stamps.drain()
            began = level.set(104)
            at = stamps.wait(["broken"], 15)
            row["missed"] += not at
            times += [at["broken"] - began] if at else []
            level.set(96)
            stamps.wait(["kept"], 15)
        row.update(summary(times))
    finally:
        if program:
            program.stop()
        level.close()
        stamps.close()


def unattended(bench, row, end):
    """The same without attention: one value crosses several thresholds between two rounds, each at a moment of its own"""
    names = [f"step{k}" for k in range(STEPS)]
    stamps, level, program = Stamps(bench, names), Level(bench), None
    promises = "".join(
        f"promise {name} {{ promiser level\nkeep level:0:value < {100 * (k + 1)}\n"
        f'on broken run "{stamps.program}" "{stamps.path(name)}" at most 1000 per 1m }}\n'
        for k, name in enumerate(names)
    )
    try:
        level.set(0)
        program = level_kithd(bench, "kithd", level, f"bundle level {{\n{promises}}}\n", "attention_budget = 0\n")
        program.start(10)
        times = []
        row["missed"] = 0
        while True:
            # From the round in which it is 0 to shortly before the next one
            pause(bench, (0.5 - time.time()) % 10)
            stamps.drain()
            begins = time.monotonic()
            at = {}
            for k, after in enumerate(sorted(random.uniform(0, 9) for _ in names)):
                pause(bench, begins + after - time.monotonic())
                at[names[k]] = level.set(100 * (k + 1) + 50)
            seen = stamps.wait(names, 15)
            times += [seen[n] - at[n] for n in seen]
            row["missed"] += len(names) - len(seen)
            level.set(0)
            if time.monotonic() + 20 > end:
                break
            pause(bench, 1)
        row.update(summary(times))
    finally:
        if program:
            program.stop()
        level.close()
        stamps.close()


def run(bench, quick, wanted):
    """({"room": rows, "level": rows}, skipped); all of it at the same time: it is waiting, mostly"""
    found, skipped = {"room": [], "level": []}, []
    on, off = {"program": "kithd"}, {"program": "kithd, no attention"}
    end = time.monotonic() + (35 if quick else 105)

    def guarded(what, call):
        try:
            call()
        except (RuntimeError, OSError, subprocess.SubprocessError, KeyError, ValueError) as error:
            skipped.append(f"skipped: {what}: {error}")
            say(skipped[-1])

    threads = [
        threading.Thread(target=guarded, args=("crossings at 10 s", lambda: attended(bench, quick, on))),
        threading.Thread(target=guarded, args=("crossings without attention", lambda: unattended(bench, off, end))),
        threading.Thread(
            target=guarded, args=("crossings of room", lambda: found["room"].extend(room_run(bench, quick, wanted)))
        ),
    ]
    for t in threads:
        t.start()
    try:
        for t in threads:
            t.join()
    except BaseException:
        bench.end.set()
        for t in threads:
            t.join()
        raise
    found["level"] = [row for row in (on, off) if row.get("crossings")]
    return found, skipped
