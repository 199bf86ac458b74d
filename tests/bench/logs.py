#!/usr/bin/python3
"""Lines of logs: kithd beside rsyslogd, both taking the same lines from a Unix socket; CPU of the process, and what it writes.

  logs.py --build FOLDER [--lines N] [--rounds N]

kithd keeps what its record store keeps, rsyslogd writes a file. One after the other, medians of rounds; the sender waits while the socket is full, so
that each of them takes all lines. A peer that is not installed is left out, and named.
"""
import argparse
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import tempfile
import time

LINES = ["<30>Nov 28 00:59:58 sshd[4711]: Accepted publickey for ops from 192.0.2.%d port %d ssh2: ED25519 SHA256:abcdefgh" % (i % 250, 1024 + i)
         for i in range(1000)]
TICKS = os.sysconf("SC_CLK_TCK")


def cpu(pid):
    with open("/proc/%d/schedstat" % pid) as f:
        own = int(f.read().split()[0]) / 1e9
    total = 0.0
    for task in os.listdir("/proc/%d/task" % pid):
        with open("/proc/%d/task/%s/schedstat" % (pid, task)) as f:
            total += int(f.read().split()[0]) / 1e9
    return max(own, total)


def written(pid):
    with open("/proc/%d/io" % pid) as f:
        return int(re.search(r"^wchar: (\d+)", f.read(), re.M).group(1))


def wait(what, condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise SystemExit("logs.py: waited for " + what)
        time.sleep(0.01)


def send(path, n):
    lines = [x.encode() for x in LINES]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.connect(path)
        for i in range(n):
            s.send(lines[i % len(lines)])


def quiet(pid):
    """Waits until it does nothing more, and gives its CPU"""
    last, since = cpu(pid), time.monotonic()
    while time.monotonic() - since < 1.5:
        time.sleep(0.1)
        now = cpu(pid)
        if now - last > 0.002:
            since = time.monotonic()
        last = now
    return last


def measure(pid, path, n):
    send(path, 2000)
    before, bytes_before = quiet(pid), written(pid)
    send(path, n)
    after = quiet(pid)
    return (after - before) / n * 1e6, (written(pid) - bytes_before) / n


def run_kithd(build, folder, n):
    conf, path = folder + "/kith.conf", folder + "/log"
    os.makedirs(folder + "/plugins")
    os.makedirs(folder + "/promises")
    shutil.copy(build + "/plugins/syslog.so", folder + "/plugins")
    with open(conf, "w") as f:
        f.write('interval = 10s\nplugin syslog {\n sockets = ["%s"]\n rate = 10000000\n burst = 10000000\n cpu_budget = 100%%\n}\n' % path)
    p = subprocess.Popen([build + "/kithd", "-f", "-c", conf, "--run-dir", folder + "/run", "--state-dir", folder + "/state", "--plugin-dir",
                          folder + "/plugins", "--promise-dir", folder + "/promises"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return p, path


def run_rsyslogd(build, folder, n):
    conf, path = folder + "/rsyslog.conf", folder + "/log"
    with open(conf, "w") as f:
        f.write('module(load="imuxsock" SysSock.Use="off")\ninput(type="imuxsock" Socket="%s" RateLimit.Interval="0")\n'
                'global(workDirectory="%s")\n*.* action(type="omfile" file="%s/out")\n' % (path, folder, folder))
    p = subprocess.Popen([shutil.which("rsyslogd", path="/usr/sbin:/sbin:/usr/bin"), "-n", "-f", conf, "-i", folder + "/pid"],
                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return p, path


def main():
    a = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    a.add_argument("--build", default=".")
    a.add_argument("--lines", type=int, default=200000)
    a.add_argument("--rounds", type=int, default=3)
    options = a.parse_args()
    programs = {"kithd": run_kithd, "rsyslogd": run_rsyslogd}
    if not shutil.which("rsyslogd", path="/usr/sbin:/sbin:/usr/bin"):
        print("rsyslogd is not installed: left out")
        del programs["rsyslogd"]
    results = {name: [] for name in programs}
    for _ in range(options.rounds):
        for name, run in programs.items():
            folder = tempfile.mkdtemp(prefix="kith-bench-logs-")
            p, path = run(os.path.abspath(options.build), folder, options.lines)
            try:
                wait(name, lambda: os.path.exists(path))
                results[name].append(measure(p.pid, path, options.lines))
            finally:
                p.send_signal(signal.SIGTERM)
                p.wait(60)
                shutil.rmtree(folder, ignore_errors=True)
    print("%-10s %12s %14s" % ("", "us a line", "B written a line"))
    for name, rounds in results.items():
        print("%-10s %12.2f %14.0f" % (name, statistics.median(x[0] for x in rounds), statistics.median(x[1] for x in rounds)))


main()
