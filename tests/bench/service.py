#!/usr/bin/python3
"""The service plugin by hand: how long after the supervisor's own signal (as a process that only listens receives it) a transition is on the
control socket, and what the plugin holds in memory. As root, from a build without sanitizers:

    make tests/bench/service_latency && top_builddir=. top_srcdir=../kith python3 ../kith/tests/bench/service.py [ROUNDS]

A container with systemd (systemd-nspawn) and a s6-svscan; what is missing is left out with a word."""
import os
import re
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from container import Container, must, staged  # noqa: E402
from kithtest import BUILD, Skip, Suite, makefile, wait_for, write_file  # noqa: E402

ROUNDS = int(sys.argv[1]) if len(sys.argv) > 1 else 200
HELPER = os.path.join(BUILD, "tests", "bench", "service_latency")
PROMISE = 'bundle s {\n promise good {\n promiser service:%s\n keep service:%s:state == "active"\n }\n}\n'
UNITS = 300
suite = Suite()


def show(what, text):
    rows = [[int(x) / 1000 for x in line.split()] for line in text.splitlines()]
    for name, values in (("broken", sorted(r[0] for r in rows)), ("kept", sorted(r[1] for r in rows))):
        print("%-8s to %-6s %4d rounds: p50 %6.0f us, p99 %6.0f us, max %6.0f us after the signal" % (
            what, name, len(values), values[len(values) // 2], values[min(len(values) - 1, len(values) * 99 // 100)], values[-1]))


def memory(c):
    pid = must(c.run("systemctl", "show", "-P", "MainPID", "kithd")).strip()
    text = must(c.run("cat", "/proc/%s/smaps_rollup" % pid))
    return [int(re.search(r"^%s:\s+(\d+)" % k, text, re.M).group(1)) for k in ("Anonymous", "Rss")]


def systemd():
    stage = staged(suite)
    etc = os.path.join(stage + makefile("prefix"), "etc/kith")
    os.makedirs(os.path.join(etc, "promises.d"), exist_ok=True)
    shutil.copy(HELPER, os.path.join(stage + makefile("prefix"), "bin"))
    c = Container(suite, stage)
    try:
        must(c.run("sh", "-c", "mkdir -p /run/systemd/system; for i in $(seq %d); do printf '[Service]\\nExecStart=/usr/bin/sleep 10000\\n' "
                   ">/run/systemd/system/b$i.service; done; systemctl daemon-reload; systemctl start --no-block $(seq -f 'b%%g.service' %d)"
                   % (UNITS, UNITS)))
        wait_for("the units", lambda: c.run("systemctl", "is-active", "b%d" % UNITS).stdout == "active\n")
        found = {}
        for what, conf in (("without", "plugin service { enabled = false }\n"), ("with", "")):
            write_file(os.path.join(etc, "kith.conf"), conf)
            must(c.run("systemctl", "restart", "kithd"))
            if what == "with":
                wait_for("the units", lambda: c.run("kith", "get", "service:b*:pid").stdout.count("service:b") == UNITS)
            must(c.run("sleep", "12"))
            found[what] = memory(c)
        count = must(c.run("kith", "get", "service:*:state")).count("\n")
        print("memory with %d services: anonymous %d KiB more (%d to %d), RSS %d KiB more (%d to %d)" % (
            count, found["with"][0] - found["without"][0], found["without"][0], found["with"][0], found["with"][1] - found["without"][1],
            found["without"][1], found["with"][1]))
        write_file(os.path.join(etc, "promises.d", "s.promise"), PROMISE % (("b1.service",) * 2))
        wait_for("the promise", lambda: '"kept"' in c.run("kith", "promises", "--json", "s.good").stdout)
        before = must(c.run("sh", "-c", "kith cost | grep 'plugin *service '"))
        show("systemd", must(c.run(os.path.join(makefile("prefix"), "bin/service_latency"), "/run/kith/control.sock", "s.good", str(ROUNDS),
                                   "systemd", "b1.service")))
        print("cost before and after:\n  " + before.strip() + "\n  " + must(c.run("sh", "-c", "kith cost | grep 'plugin *service '")).strip())
    finally:
        c.end()


def s6():
    if not shutil.which("s6-svscan"):
        raise Skip("s6 is missing")
    scan = os.path.join(suite.folder(), "scan")
    os.makedirs(os.path.join(scan, "good"))
    with open(os.path.join(scan, "good", "run"), "w") as f:
        f.write("#!/bin/sh\nexec sleep 10000\n")
    os.chmod(os.path.join(scan, "good", "run"), 0o755)
    p = subprocess.Popen(["s6-svscan", scan], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with suite.daemon(conf='plugin service { s6 = ["%s"] }\n' % scan, promises={"s.promise": PROMISE % ("good", "good")}) as d:
            d.wait_promise("s.good", "kept")
            # s6 waits for a second between two starts
            out = subprocess.run([HELPER, d.socket, "s.good", str(min(ROUNDS, 20)), "s6", os.path.join(scan, "good")], capture_output=True,
                                 text=True, check=True, timeout=300).stdout
            show("s6", out)
    finally:
        subprocess.run(["s6-svscanctl", "-t", scan], check=False)
        p.wait()


for part in (systemd, s6):
    try:
        part()
    except Skip as e:
        print("%s: left out: %s" % (part.__name__, e))
suite.end()
