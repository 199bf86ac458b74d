"""How soon kithd knows of an event of each source, and what the event costs it: from the system call that makes it to the transition on the control
socket. Beside collectd's procevent and connectivity, to the first instruction of their action and of kithd's."""
import contextlib
import glob
import os
import select
import shutil
import socket
import statistics
import struct
import subprocess
import time

import latency
from kith import kith
from measure import say

PROMISE = "bundle s {{\n promise p {{\n  promiser x\n  keep {keep}\n }}\n}}\n"
BRIEF = "not changed({}, 100ms)"  # broken by the event, kept again by itself


class Left(Exception):
    """It cannot be measured here; its text says why."""


def cost_of(daemon, plugin):
    found = [c for c in kith(daemon.bench, daemon.folder, "cost") if c["name"] in (plugin, "s.p")]
    return sum(c["cpu_ns"] for c in found)


def source(bench, name, plugin, keep, act, count, conf="", prefix=(), before=None):
    """A row: p50, p99 in us, CPU of the plugin and the promise in us an event"""
    d = latency.Daemon(bench, "s", prefix)
    d.conf = conf
    d.file("promises.d/s.promise", PROMISE.format(keep=keep))
    try:
        d.start()
        inside = ("nsenter", "-t", str(d.process.pid), "-n", "-m") if prefix else ()
        if before:
            before(inside)
        d.rounds("s.p", 3, False, *act, prefix=inside)
        spent = cost_of(d, plugin)
        rounds = [r[0] / 1000 for r in d.rounds("s.p", count, False, *act, prefix=inside)]
        spent = cost_of(d, plugin) - spent
    finally:
        d.stop()
    row = {"source": name, "rounds": len(rounds), "p50": statistics.median(rounds), "p99": latency.percentile(rounds, 99),
           "cpu": spent / 1000 / (2 * count)}
    say(f"  {name}: p50 {row['p50']:.0f} us, p99 {row['p99']:.0f} us, {row['cpu']:.0f} us of CPU")
    return row


# ---- each source --------------------------------------------------------------------------------------------------


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
    return source(bench, "file: written", "file", f'file:"{path}":size < 10B', ("write", path, "short", "longer than that"), count)


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


SOURCES = {"kmsg": kmsg, "device": device, "cgroup": group, "file": file, "textfile": textfile, "mount": mount, "socket": listener}


# ---- collectd ------------------------------------------------------------------------------------------------------

COLLECTD = """BaseDir "{folder}"
PIDFile "{folder}/pid"
TypesDB "/usr/share/collectd/types.db"
Interval 10
LoadPlugin {plugin}
LoadPlugin exec
{block}
<Plugin exec>
	NotificationExec "nobody" "{program}" "{socket}"
</Plugin>
"""


class Collectd:
    """One plugin of collectd's, and when its notification's program began"""

    def __init__(self, bench, plugin, block, prefix=()):
        program = shutil.which("collectd") or "/usr/sbin/collectd"
        if not os.path.exists(f"/usr/lib/collectd/{plugin}.so") or not os.path.exists(program):
            raise Left(f"collectd or its plugin {plugin} is not installed (apt-get install collectd)")
        os.chmod(bench.folder, 0o711)
        folder = bench.make_folder("collectd")
        os.chmod(folder, 0o755)
        stamp = shutil.copy(bench.helper("stamp"), folder)
        path = os.path.join(folder, "stamps")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(path)
        os.chmod(path, 0o777)
        conf = os.path.join(folder, "conf")
        with open(conf, "w") as f:
            f.write(COLLECTD.format(folder=folder, plugin=plugin, block=block, program=stamp, socket=path))
        self.process = subprocess.Popen([*prefix, program, "-f", "-C", conf], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL, start_new_session=True)
        time.sleep(3)

    def drain(self):
        while select.select([self.socket], [], [], 0.3)[0]:
            self.socket.recv(16)

    def after(self, act):
        """us from before `act` to the program's first instruction; None: it did not come within 5 s"""
        self.drain()
        began = time.monotonic_ns()
        act()
        if not select.select([self.socket], [], [], 5)[0]:
            return None
        return (struct.unpack("=q", self.socket.recv(16))[0] - began) / 1000

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.socket.close()


def peer_row(name, values):
    values = [v for v in values if v is not None]
    if not values:
        raise Left("no notification came")
    row = {"source": name, "rounds": len(values), "p50": statistics.median(values), "p99": latency.percentile(values, 99), "cpu": None}
    say(f"  {name}: p50 {row['p50']:.0f} us, p99 {row['p99']:.0f} us")
    return row


def collectd_exit(bench, count):
    victim = os.path.join(bench.make_folder("victim"), "kithbenched")
    shutil.copy(bench.helper("latency"), victim)
    c = Collectd(bench, "procevent", '<Plugin procevent>\n\tProcess "kithbenched"\n</Plugin>')
    values = []
    try:
        for _ in range(count):
            p = subprocess.Popen([victim, "--victim"])
            time.sleep(0.3)
            values.append(c.after(p.kill))
            p.wait()
    finally:
        c.stop()
    return peer_row("collectd procevent: process exit to action", values)


def collectd_link(bench, count):
    holder = subprocess.Popen(["unshare", "-n", "sleep", "1000"], start_new_session=True)
    inside = ("nsenter", "-t", str(holder.pid), "-n")
    c = None
    values = []
    try:
        time.sleep(0.3)
        subprocess.run([*inside, "ip", *"link add kb0 type veth peer name kb1".split()], check=True)
        subprocess.run([*inside, "ip", *"link set kb1 up".split()], check=True)
        c = Collectd(bench, "connectivity", '<Plugin connectivity>\n\tInterface "kb0"\n</Plugin>', inside)
        for _ in range(count):
            subprocess.run([*inside, "ip", "link", "set", "kb0", "up"], check=True)
            time.sleep(0.3)
            values.append(c.after(lambda: subprocess.run([*inside, "ip", "link", "set", "kb0", "down"], check=True)))
    finally:
        if c:
            c.stop()
        holder.kill()
        holder.wait()
    return peer_row("collectd connectivity: link down (by ip) to action", values)


# ---- all of them ---------------------------------------------------------------------------------------------------


def run(bench, quick):
    """(rows, what was left out)"""
    count, rows, left = 30 if quick else 200, [], []
    say("each source, from its event to the transition:")
    for name, fn in SOURCES.items():
        try:
            if not os.path.exists(os.path.join(bench.build, "plugins", name + ".so")):
                raise Left("the plugin is not there")
            rows.append(fn(bench, count))
        except (Left, RuntimeError, OSError) as e:
            left.append(f"left out: {name}: {e}")
    for what in (latency.link, latency.process_exit):
        try:
            for row in what(bench, count):
                rows.append({"source": f"{row['what']} to {row['to']}", "rounds": row["rounds"], "p50": row["p50_us"], "p99": row["p99_us"], "cpu": None})
        except (RuntimeError, OSError) as e:
            left.append(f"left out: {e}")
    for peer in (collectd_exit, collectd_link):
        try:
            rows.append(peer(bench, 5 if quick else 20))
        except (Left, RuntimeError, OSError, subprocess.SubprocessError) as e:
            left.append(f"left out: {peer.__name__}: {e}")
    return rows, left


def text(rows, left):
    lines = ["", "%-52s %7s %9s %9s %12s" % ("", "rounds", "p50 us", "p99 us", "CPU us/event")]
    for r in rows:
        lines.append("%-52s %7d %9.0f %9.0f %12s" % (r["source"], r["rounds"], r["p50"], r["p99"], "-" if r["cpu"] is None else "%.0f" % r["cpu"]))
    return "\n".join(lines + [""] + left)
