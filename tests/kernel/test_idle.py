#!/usr/bin/python3
"""What kithd does when nothing happens and nobody asks: counted, in namespaces where nobody else disturbs it."""
import os
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from kerneltest import cpu_ns, namespaces, quiet_groups, switches, threads  # noqa: E402
from kithtest import DEADLINE, KITH, Skip, Suite, environment, sanitized, wait_for  # noqa: E402

namespaces("net", "mount")
quiet_groups()
suite = Suite()
STRETCH = 31  # seconds: three or four ticks of 10 s
SLOW = "interval = 10s\n"
FAST = "interval = 100ms\n"
PROMISES = {"own.promise": """
bundle own {
    promise memory {
        promiser  memory
        keep      avg(memory:available_percent, 1m) > 0% and rate(cpu:total:user, 10s) >= 0
    }
    promise room {
        promiser  df:*
        keep      df:*:free_percent >= 0% margin 1%
        grace     1h
    }
}
"""}


def allocations(daemon):
    """plugin -> allocations in its callbacks so far: the table's last column; "-" where they are not counted"""
    out = subprocess.run([KITH, "-s", daemon.socket, "cost"], capture_output=True, text=True, env=environment(), check=True).stdout
    rows = [line.split() for line in out.splitlines()]
    return {row[1]: row[-1] for row in rows if row[0] == "plugin"}


def rounds(daemon):
    return next(c["calls"] for c in daemon.kith("cost")[1] if c["name"] == "load")


idle = suite.daemon(conf=SLOW, promises=PROMISES).start()
idle.wait_promise("own.memory", "kept")
busy = suite.daemon(conf=FAST, promises=PROMISES).start()
busy.wait_promise("own.memory", "kept")
pid = idle.process.pid
time.sleep(1)  # the questions above are over
begin, wakes, cpu = time.monotonic(), switches(pid), cpu_ns(pid)

with suite.check("on its ticks no plugin allocates, once it is warm"):
    if sanitized():
        raise Skip("the sanitizers' allocator is not counted")
    first_round = rounds(busy)
    before = allocations(busy)
    time.sleep(3)
    after = allocations(busy)
    assert len(before) > 8 and all(n.isdigit() for n in before.values()), before
    assert int(before["df"]) > 0, before
    grown = {name: (before[name], after[name]) for name in before if before[name] != after[name]}
    assert not grown, grown
    assert rounds(busy) >= first_round + 20, "it has not ticked"

with suite.check("a tick takes a bounded number of system calls, and opens nothing"):
    if not shutil.which("strace"):
        raise Skip("strace is not installed")
    trace = os.path.join(suite.folder(), "trace")
    p = subprocess.Popen(["strace", "-f", "-qq", "-o", trace, "-p", str(busy.process.pid)], stderr=subprocess.PIPE, text=True)
    try:
        wait_for("strace", lambda: p.poll() is not None or (os.path.exists(trace) and os.path.getsize(trace)))
        if p.poll() is not None:
            raise Skip("strace may not look: " + p.stderr.read().strip())
        time.sleep(3)
    finally:
        p.send_signal(signal.SIGINT)
        p.wait(DEADLINE)
        p.stderr.close()
    with open(trace) as f:
        calls = [line.split(None, 1)[1].split("(")[0] for line in f if "(" in line and "resumed" not in line]
    ticks = calls.count("epoll_wait") + calls.count("epoll_pwait")
    kinds = sorted(((calls.count(c) / ticks, c) for c in set(calls)), reverse=True)
    print("# %d ticks, %.1f calls a tick: %s" % (ticks, len(calls) / ticks, ", ".join("%.1f %s" % k for k in kinds)))
    assert ticks >= 20, ticks
    assert len(calls) / ticks <= 60, kinds
    # Nothing is opened or made on a tick
    assert not {"openat", "open", "mmap", "brk", "clone", "clone3", "fork"} & set(calls) or sanitized(), kinds

with suite.check("every 10 s one wake-up, and nothing between (%d s)" % STRETCH):
    busy.stop()
    time.sleep(max(0, STRETCH - (time.monotonic() - begin)))
    spent = time.monotonic() - begin
    wakes, cpu = switches(pid) - wakes, cpu_ns(pid) - cpu
    print("# %d wake-ups, %.2f ms of CPU in %.0f s, %d thread(s)" % (wakes, cpu / 1e6, spent, len(threads(pid))))
    assert wakes >= spent / 10 - 1, "it did not tick"
    assert wakes <= 8, wakes
    assert len(threads(pid)) == 1, threads(pid)

with suite.check("it ends cleanly"):
    idle.stop()

suite.end()
