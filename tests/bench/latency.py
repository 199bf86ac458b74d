"""How soon kithd knows, and acts: from the system call that changes the host to the transition on the control socket,
and to the first instruction of the action of `on broken`."""
import os
import shutil
import statistics
import subprocess
import time

from kith import kith, kithd_argv
from measure import say

# What was measured of others, for the table alone: the design's figures, not of this run
REFERENCE = [
    "for comparison (measured earlier, elsewhere): process exit to a netlink receive 60 us; collectd procevent 0.3 ms",
    "inside, 4.7 ms to an action, connectivity 9 ms; programs that poll 0.3-10 s. Here: make bench-sources",
]

ACTING = """bundle bench {{
	promise {name} {{
		promiser  {promiser}
		keep      {keep}
		on broken run "{stamp}" "{socket}" at most 1000 per 1m
	}}
}}
"""
FILED = """bundle filed {{
	promise file {{
		promiser  memory
		keep      memory:total {than} 1KiB
	}}
}}
"""


class Daemon:
    """A kithd of its own, with promises"""

    def __init__(self, bench, name, prefix=()):
        self.bench = bench
        self.folder = bench.make_folder(name)
        self.promises = os.path.join(self.folder, "promises.d")
        self.socket = os.path.join(self.folder, "run", "control.sock")
        self.stamp = os.path.join(self.folder, "stamp")
        os.mkdir(self.promises)
        self.prefix = list(prefix)
        self.process = self.log = None
        self.conf = ""  # more of it

    def file(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return path

    def start(self):
        config = self.file("kith.conf", "interval = 10s\nmax_action_starts = 10000\n" + self.conf)
        self.log = open(os.path.join(self.folder, "log"), "wb")
        self.process = subprocess.Popen(
            self.prefix + kithd_argv(self.bench, self.folder, config, self.promises),
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=self.log,
            start_new_session=True,
        )
        end = time.monotonic() + 10
        while not os.path.exists(self.socket):
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError("kithd did not start: " + open(self.log.name, encoding="utf-8").read()[-300:])
            time.sleep(0.05)

    def wait_broken(self, name):
        """The rounds begin with a broken promise."""
        end = time.monotonic() + 25
        while time.monotonic() < end:
            for promise in kith(self.bench, self.folder, "promises", name):
                if promise["assessment"] == "broken":
                    return
            time.sleep(0.1)
        raise RuntimeError(f"the promise {name} was not assessed as broken within 25 s")

    def rounds(self, promise, count, stamp, *act, prefix=()):
        """[(ns to the transition, ns to the action or None)]"""
        return act_rounds(self.bench, self.socket, promise, count, self.stamp if stamp else "-", act, prefix)

    def bare(self, count, *act, prefix=()):
        """The same for a process that only listens: ns to the receipt of the notification"""
        return [at for at, _ in act_rounds(self.bench, "-", "-", count, "-", act, prefix)]

    def cost_us(self, *names):
        """CPU of these plugins and promises up to now"""
        return sum(c["cpu_ns"] for c in kith(self.bench, self.folder, "cost") if c["name"] in names) / 1000

    def stop(self):
        if self.process:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None
        if self.log:
            self.log.close()
        if not self.bench.keep:
            shutil.rmtree(self.folder, ignore_errors=True)


def act_rounds(bench, socket, promise, rounds, stamp, act, prefix=()):
    """What latency.c measures: [(ns, ns)], None where there is none"""
    argv = [*prefix, bench.helper("latency"), socket, promise, str(rounds), stamp, *act]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip())
    return [tuple(None if at == "-" else int(at) for at in line.split()) for line in done.stdout.splitlines()]


def percentile(values, percent):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * percent / 100))]


def summary(what, bare, rounds, cpu_us=None):
    """`cpu_us`: kithd's, of all rounds; each has two events"""
    rows = []
    for to, all_values in (
        ("bare listener", bare),
        ("transition", [r[0] for r in rounds]),
        ("action", [r[1] for r in rounds]),
    ):
        values = [v / 1000 for v in all_values if v is not None]
        if values:
            rows.append(
                {
                    "what": what,
                    "to": to,
                    "rounds": len(values),
                    "p50_us": statistics.median(values),
                    "p99_us": percentile(values, 99),
                    "min_us": min(values),
                    "max_us": max(values),
                    "cpu_us": cpu_us / 2 / len(rounds) if cpu_us is not None and to == "transition" else None,
                }
            )
            say(f"  {what} to {to}: p50 {rows[-1]['p50_us']:.0f} us, p99 {rows[-1]['p99_us']:.0f} us")
    return rows


def link(bench, count):
    """In a network namespace of its own"""
    d = Daemon(bench, "link", ("unshare", "-n", "--"))
    d.file(
        "promises.d/link.promise",
        ACTING.format(
            name="link",
            promiser="interface:kb0",
            keep='interface:kb0:state == "up"',
            stamp=bench.helper("stamp"),
            socket=d.stamp,
        ),
    )
    try:
        d.start()
        inside = ("nsenter", "-t", str(d.process.pid), "-n")
        for command in ("link add kb0 type veth peer name kb1", "link set kb1 up"):
            subprocess.run([*inside, "ip", *command.split()], check=True)
        d.wait_broken("bench.link")
        bare = d.bare(count, "link", "kb0", prefix=inside)
        spent = d.cost_us("interface", "bench.link")
        rounds = d.rounds("bench.link", count, True, "link", "kb0", prefix=inside)
        return summary("veth link down", bare, rounds, d.cost_us("interface", "bench.link") - spent)
    finally:
        d.stop()


def process_exit(bench, count):
    """Process events are delivered in the first network namespace only."""
    d = Daemon(bench, "exit")
    d.file(
        "promises.d/exit.promise",
        ACTING.format(
            name="exit",
            promiser="process:kithbenched",
            keep="process:kithbenched:count >= 1",
            stamp=bench.helper("stamp"),
            socket=d.stamp,
        ),
    )
    victim = os.path.join(d.folder, "kithbenched")
    os.symlink(bench.helper("latency"), victim)
    try:
        d.start()
        d.wait_broken("bench.exit")
        bare = d.bare(count, "exit", victim)
        spent = d.cost_us("processes", "bench.exit")
        rounds = d.rounds("bench.exit", count, True, "exit", victim)
        return summary("process exit", bare, rounds, d.cost_us("processes", "bench.exit") - spent)
    finally:
        d.stop()


def promise_file(bench, count):
    d = Daemon(bench, "file")
    kept, broken = d.file("kept", FILED.format(than=">")), d.file("broken", FILED.format(than="<"))
    target = d.file("promises.d/filed.promise", FILED.format(than="<"))
    try:
        d.start()
        d.wait_broken("filed.file")
        elsewhere = d.file("unwatched", "")
        bare = d.bare(count, "file", kept, broken, os.path.join(os.path.dirname(elsewhere), "unwatched"))
        return summary(
            "promise file renamed in", bare, d.rounds("filed.file", count, False, "file", kept, broken, target)
        )
    finally:
        d.stop()


def run(bench, quick):
    """(rows, skipped)"""
    rows, skipped = [], []
    count = 50 if quick else 250
    say("latencies")
    for what, of in (("link down", link), ("process exit", process_exit), ("promise file", promise_file)):
        try:
            rows += of(bench, count)
        except (RuntimeError, OSError, subprocess.SubprocessError) as error:
            skipped.append(f"skipped: latency of {what}: {error}")
            say(skipped[-1])
    return rows, skipped
