#!/usr/bin/python3
"""Bursts of lines of logs: kithd beside rsyslogd and systemd-journald, all taking the same lines from a Unix socket.

  logs.py --build FOLDER [--lines N] [--rounds N]

kithd keeps what its record store keeps, rsyslogd writes a file, journald its journal, in mounts of its own. One after the other, medians of rounds
without limits of rate: the sender waits while the socket is full, so that each takes all lines. Then a burst each with the limits that it comes with.
A peer that is not installed is left out, and named.
"""
import argparse
import glob
import os
import random
import re
import shutil
import socket
import statistics
import subprocess
import sys
import time

from bench import Bench
from holders import KithdHolder
from kith import Program, kith, kith_bytes
from measure import Snapshot, allocated, memory, say
from tables import aligned, number

WARM = 2000  # lines before those that count
MIB = 1 << 20
PATTERNS = (
    ("30 sshd[{pid}]", "Accepted publickey for {user} from {ip} port {port} ssh2: ED25519 SHA256:{hash}"),
    ("38 sshd[{pid}]", "Failed password for invalid user {user} from {ip} port {port} ssh2"),
    ("86 sshd[{pid}]", "pam_unix(sshd:session): session opened for user {user}(uid={port}) by (uid=0)"),
    ("78 CRON[{pid}]", "({user}) CMD (test -x /usr/sbin/anacron || run-parts --report /etc/cron.hourly)"),
    ("30 systemd[1]", "Started session-{port}.scope - Session {port} of User {user}."),
    ("190 nginx", '{ip} - - "GET /articles/{port}?page={pid} HTTP/1.1" 200 {pid} "-" "Mozilla/5.0 (X11; Linux x86_64)"'),
    ("22 postfix/smtpd[{pid}]", "disconnect from mail-{pid}.example.org[{ip}] ehlo=2 starttls=1 mail=1 rcpt=1 data=1 quit=1 commands=7"),
    ("4 kernel", "[{pid}.{port}] nft-drop: IN=eth0 OUT= SRC={ip} DST=192.0.2.1 LEN=60 TTL=51 ID={port} PROTO=TCP SPT={port} DPT=22 WINDOW=64240 SYN"),
    ("27 app[{pid}]", "request {hash} of {user} took {port} us: upstream timed out, retried once"),
)


def make_lines(count):
    """Always the same but for the time, which is now"""
    chance, made = random.Random(1), []
    now = time.strftime("%b %e %H:%M:%S")
    for _ in range(count):
        head, text = chance.choice(PATTERNS)
        where = {"pid": chance.randrange(300, 32768), "port": chance.randrange(1024, 65536), "hash": f"{chance.getrandbits(64):016x}"}
        where |= {"user": chance.choice(("ops", "root", "deploy", "anna", "backup")), "ip": f"198.51.100.{chance.randrange(256)}"}
        level, name = head.format(**where).split(" ", 1)
        made.append(f"<{level}>{now} {name}: {text.format(**where)}".encode())
    return made


class Taker(Program):
    """A program that takes lines. `limits`: those that it comes with, otherwise none"""

    linger = 0  # s, after which it says how many it has left out

    def __init__(self, bench, limits):
        super().__init__(bench)
        self.limits = limits

    def path(self):
        return os.path.join(self.folder, "log")

    def started(self, interval):
        end = time.monotonic() + 20
        while not os.path.exists(self.path()):
            self.check()
            if time.monotonic() > end:
                raise RuntimeError(f"{self.name} made no socket")
            time.sleep(0.01)

    def kept(self):
        """(lines that it has, lines that it says it has left out)"""
        raise NotImplementedError

    def disk(self):
        """What holds them, in bytes on the disk"""
        raise NotImplementedError


class KithdTaker(Taker, KithdHolder):
    name = "kithd"

    def __init__(self, bench, limits):
        KithdHolder.__init__(self, bench, "", plugins=[os.path.join(bench.build, "plugins", "syslog.so")])
        self.limits = limits

    def prepare(self, interval):
        off = "" if self.limits else "rate = 10000000\n burst = 10000000\n cpu_budget = 100%\n"
        self.config = f'plugin syslog {{\n sockets = ["{self.path()}"]\n {off}}}\n'
        return super().prepare(interval)

    def kept(self):
        found = kith_bytes(self.bench, self.folder, "log", "--own", "--since", "1h", "--last", "10000000", "log:*")
        dropped = kith(self.bench, self.folder, "get", "syslog:*:dropped")
        return found.count(b"\n"), int(sum(x["value"] for x in dropped))

    def disk(self):
        return allocated(os.path.join(self.folder, "state", "records"))


class Rsyslogd(Taker):
    name = "rsyslogd"
    package = "rsyslog"
    binary = "/usr/sbin/rsyslogd"

    def absent(self):
        return None if os.access(self.binary, os.X_OK) else "rsyslogd is not installed"

    def prepare(self, interval):
        off = "" if self.limits else ' RateLimit.Interval="0"'
        text = f'module(load="imuxsock" SysSock.Use="off")\ninput(type="imuxsock" Socket="{self.path()}"{off})\n'
        text += f'global(workDirectory="{self.folder}")\n*.* action(type="omfile" file="{self.folder}/out")\n'
        return [self.binary, "-n", "-f", self.file("rsyslog.conf", text), "-i", f"{self.folder}/pid"], {}

    def kept(self):
        with open(os.path.join(self.folder, "out"), "rb") as f:
            text = f.read()
        own = re.findall(rb"^.* rsyslogd: .*\n", text, re.M)
        lost = sum(int(n) for n in re.findall(rb"lost (\d+) messages", b"".join(own)))
        return text.count(b"\n") - len(own), lost

    def disk(self):
        return allocated(os.path.join(self.folder, "out"))


class Journald(Taker):
    """One with a name of its own, which reads neither the kernel's log nor the audit log"""

    name = "journald"
    package = "systemd"
    binary = "/lib/systemd/systemd-journald"
    linger = 31  # its interval is 30 s; it tells with the next line
    stream = None  # one with a name ends when it was idle for 30 s and nobody has this

    def absent(self):
        if not os.access(self.binary, os.X_OK) or not shutil.which("journalctl"):
            return "systemd-journald is not installed"
        return None if os.path.exists("/etc/machine-id") else "systemd-journald wants /etc/machine-id"

    def prepare(self, interval):
        off = "" if self.limits else "RateLimitIntervalSec=0\nRateLimitBurst=0\n"
        self.sub_folder("etc")
        self.sub_folder("log/journal")
        self.file("etc/journald@bench.conf", f"[Journal]\nStorage=persistent\n{off}", 0o644)
        script = f"set -e\nmount -t tmpfs tmpfs /run\nmount --bind '{self.folder}/etc' /etc/systemd\nmount --bind '{self.folder}/log' /var/log\n"
        script += f"mkdir -p /run/systemd/journal.bench\nexec {self.binary} bench\n"
        return ["unshare", "-m", "--propagation", "private", "sh", self.file("start", script)], {}

    def path(self, name="dev-log"):
        return f"/proc/{self.process.pid}/root/run/systemd/journal.bench/{name}"

    def started(self, interval):
        super().started(interval)
        self.stream = socket.socket(socket.AF_UNIX)
        self.stream.connect(self.path("stdout"))

    def stopping(self):
        if self.stream:
            self.stream.close()

    def kept(self):
        (folder,) = glob.glob(f"{self.folder}/log/journal/*")
        out = subprocess.run(["journalctl", "-q", "-D", folder, "-o", "short"], capture_output=True, check=True).stdout
        own = re.findall(rb"^.* systemd-journald\[\d+\]: .*\n", out, re.M)
        lost = sum(int(n) for n in re.findall(rb"Suppressed (\d+) messages", b"".join(own)))
        return out.count(b"\n") - len(own), lost

    def disk(self):
        return allocated(os.path.join(self.folder, "log", "journal"))


TAKERS = [KithdTaker, Rsyslogd, Journald]


def send(taker, lines):
    """The most anonymous memory meanwhile"""
    peak = 0
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.connect(taker.path())
        for i, line in enumerate(lines):
            s.send(line)
            if i % 2000 == 0:
                peak = max(peak, memory(taker.process.pid)[1])
    return peak


def quiet(taker):
    """Waits until it does nothing more: what it has used, and its anonymous memory"""
    last, since = Snapshot(taker.process.pid), time.monotonic()
    peak = 0
    while time.monotonic() - since < 1.5:
        time.sleep(0.1)
        now = Snapshot(taker.process.pid)
        if now.cpu_ns - last.cpu_ns > 2_000_000:
            since = time.monotonic()
        last = now
        peak = max(peak, memory(taker.process.pid)[1])
    return last, peak


def burst(taker, lines):
    """One start of it, and one burst"""
    try:
        taker.start(10)
        send(taker, lines[:WARM])
        before, _ = quiet(taker)
        began = time.monotonic()
        sending = send(taker, lines[WARM:])
        seconds = time.monotonic() - began
        after, waiting = quiet(taker)
        if taker.limits and taker.linger:
            time.sleep(taker.linger)
            send(taker, lines[:1])
            quiet(taker)
        kept, dropped = taker.kept()
        taker.end()
        n = len(lines) - WARM
        return {
            "cpu_us": (after.cpu_ns - before.cpu_ns) / 1000 / n,
            "written": (after.passed - before.passed) / n,
            "disk": taker.disk() / kept,
            "kept": kept - WARM - (1 if taker.limits and taker.linger else 0),
            "dropped": dropped,
            "peak": max(sending, waiting),
            "seconds": seconds,
        }
    finally:
        taker.stop()


def row(name, n, rounds):
    middle = {key: statistics.median(r[key] for r in rounds) for key in rounds[0]}
    cells = [name, number(middle["cpu_us"], 2), number(middle["disk"], 1), number(middle["written"], 1), str(n), number(middle["kept"])]
    return cells + [number(middle["dropped"]), number(middle["peak"] / MIB, 2), number(middle["seconds"], 1)]


def table(n, results):
    header = ["", "CPU us a line", "disk B a line", "written B a line", "lines", "kept", "dropped", "peak anon MiB", "s to send"]
    return aligned(header, [row(name, n, rounds) for name, rounds in results.items() if rounds])


def run(bench, count, rounds):
    """({name: rounds}, lines of what was left out)"""
    lines = make_lines(WARM + count)
    results, skipped = {}, []
    kinds = []
    for kind in TAKERS:
        why = kind(bench, False).absent()
        if why:
            skipped.append(f"skipped: {kind.name}: {why} (apt-get install {kind.package})")
        else:
            kinds.append(kind)
    plan = [(kind, False) for _ in range(rounds) for kind in kinds] + [(kind, True) for kind in kinds]
    for kind, limits in plan:
        name = kind.name + (", its limits" if limits else "")
        say(name)
        try:
            results.setdefault(name, []).append(burst(kind(bench, limits), lines))
        except (RuntimeError, OSError, subprocess.SubprocessError) as error:
            skipped.append(f"skipped: {name}: {error}")
    return results, skipped


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    a = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    a.add_argument("--build", default=".")
    a.add_argument("--lines", type=int, default=200000)
    a.add_argument("--rounds", type=int, default=3)
    o = a.parse_args()
    if os.geteuid() != 0:
        print("logs: it must run as root: the accounting of other programs needs it", file=sys.stderr)
        return 2
    bench = Bench(o.build, os.path.dirname(os.path.dirname(here)), False)
    try:
        results, skipped = run(bench, o.lines, o.rounds)
    finally:
        bench.close()
    print(f"a burst of {o.lines} lines of logs; medians of {o.rounds}, then one with the limits of rate that each comes with")
    print("\n".join(table(o.lines, results) + skipped))
    print("disk: what the files take after the end, of the lines kept; written: handed to write calls, and journald writes through a mapping")
    print("dropped: as it says itself; its limits: journald's hold for a sender that is in a unit; peak anon: looked at each 2000 lines")
    return 0


if __name__ == "__main__":
    sys.exit(main())
