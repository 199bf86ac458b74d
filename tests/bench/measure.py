"""What processes cost, from their own accounting, and the idle processes that a run wants on the host."""
import glob
import os
import re
import signal
import subprocess
import time

TICK = os.sysconf("SC_CLK_TCK")


def say(text):
    """A line of progress; the table goes to standard output alone."""
    print(text, file=__import__("sys").stderr, flush=True)


def read(path):
    with open(path, "rb", buffering=0) as f:
        return f.read(1 << 20).decode("utf-8", "replace")


def files(path):
    """Those in a folder, or of a pattern"""
    return [os.path.join(at, name) for at, _, names in os.walk(path) for name in names] or glob.glob(path)


def allocated(path):
    """Bytes that files take on the disk"""
    return sum(os.lstat(p).st_blocks * 512 for p in files(path))


def pids():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def processes():
    """All processes of the host, kernel threads included: what a scan of /proc goes through."""
    return len(pids())


def parents():
    """{pid: parent}"""
    found = {}
    for pid in pids():
        try:
            found[pid] = int(read(f"/proc/{pid}/stat").rpartition(")")[2].split()[1])
        except (OSError, IndexError, ValueError):
            pass
    return found


def tree(root):
    """A process and all that descend from it"""
    of = {}
    for pid, parent in parents().items():
        of.setdefault(parent, []).append(pid)
    found, new = [], [root]
    while new:
        pid = new.pop()
        found.append(pid)
        new += of.get(pid, [])
    return found


def io(where):
    """{"write_bytes": …} of a process, with its threads and children that ended and were waited for, or of PID/task/TID"""
    return {key: int(value) for key, value in re.findall(r"^(\w+):\s*(\d+)", read(f"/proc/{where}/io"), re.M)}


class Snapshot:
    """Sums over a process, its threads and its children at one moment. Processes that ended and were waited for count
    by their parents' cutime and cstime."""

    def __init__(self, root):
        self.time = time.monotonic()
        self.cpu_ns = self.voluntary = self.involuntary = self.disk = self.passed = self.writes = 0
        for pid in tree(root):
            try:
                self.add(pid)
            except (OSError, ValueError, IndexError):
                pass

    def add(self, pid):
        # The CPU clock of another process, as clock_getcpuclockid(3) has it: sum_exec_runtime of all of its threads,
        # those that have ended included
        self.cpu_ns += time.clock_gettime_ns((~pid << 3) | 2)
        fields = read(f"/proc/{pid}/stat").rpartition(")")[2].split()
        self.cpu_ns += (int(fields[13]) + int(fields[14])) * 1_000_000_000 // TICK
        for thread in os.listdir(f"/proc/{pid}/task"):
            text = read(f"/proc/{pid}/task/{thread}/status")
            self.voluntary += int(re.search(r"^voluntary_ctxt_switches:\s*(\d+)", text, re.M).group(1))
            self.involuntary += int(re.search(r"^nonvoluntary_ctxt_switches:\s*(\d+)", text, re.M).group(1))
        done = io(pid)
        self.disk += done["write_bytes"]
        self.passed += done["wchar"]
        self.writes += done["syscw"]


class Group:
    """CPU of a process and all that it starts, to the ns, those that ended within a tick included: a control group"""

    def __init__(self, name, pid):
        old = "/sys/fs/cgroup/cpuacct"
        self.folder = os.path.join(old if os.path.isdir(old) else "/sys/fs/cgroup", f"{name}-{pid}")
        os.mkdir(self.folder)
        for one in tree(pid):
            with open(os.path.join(self.folder, "cgroup.procs"), "w", encoding="ascii") as f:
                f.write(str(one))

    def cpu_ns(self):
        path = os.path.join(self.folder, "cpuacct.usage")
        if os.path.exists(path):
            return int(read(path))
        return int(re.search(r"^usage_usec (\d+)", read(os.path.join(self.folder, "cpu.stat")), re.M).group(1)) * 1000

    def close(self):
        """When all in it have ended"""
        end = time.monotonic() + 5
        while True:
            try:
                os.rmdir(self.folder)
                return
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)


def window(root, interval, rounds):
    """One window of so many rounds: what a round cost"""
    before = Snapshot(root)
    time.sleep(interval * rounds - 0.0005)
    after = Snapshot(root)
    minutes = (after.time - before.time) / 60
    return {
        "cpu_us": (after.cpu_ns - before.cpu_ns) / 1000 / rounds,
        "switches": (after.voluntary - before.voluntary + after.involuntary - before.involuntary) / rounds,
        "wakeups": (after.voluntary - before.voluntary) / minutes,
        "disk_bytes": (after.disk - before.disk) / minutes,
        "passed_bytes": (after.passed - before.passed) / minutes,
    }


def between_ticks(interval):
    """Programs that align their rounds do so to the wall clock: begin a window between two such moments."""
    phase = time.time() % interval
    if interval <= 1:
        if not 0.3 < phase < 0.7:
            time.sleep((0.5 - phase) % interval)
    elif phase < 0.7:
        time.sleep(0.7 - phase)
    elif phase > interval - 0.7:
        time.sleep(interval - phase + 0.7)


def memory(root):
    """Resident and anonymous bytes; proportional where several processes share"""
    all_pids = tree(root)
    rss = anonymous = 0
    for pid in all_pids:
        try:
            text = read(f"/proc/{pid}/smaps_rollup")
        except OSError:
            continue
        key = "Rss" if len(all_pids) == 1 else "Pss"
        rss += int(re.search(rf"^{key}:\s*(\d+)", text, re.M).group(1)) * 1024
        anonymous += int(re.search(r"^Anonymous:\s*(\d+)", text, re.M).group(1)) * 1024
    return rss, anonymous


def system_calls(root, interval, rounds, folder):
    """System calls a round, counted by strace; None without it. Slows the program: never within a window."""
    path = os.path.join(folder, "strace")
    command = ["strace", "-c", "-f", "-qq", "-o", path]
    for pid in tree(root):
        command += ["-p", str(pid)]
    between_ticks(interval)
    try:
        tracer = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
    except FileNotFoundError:
        return None
    time.sleep(interval * rounds)
    tracer.send_signal(signal.SIGINT)
    try:
        tracer.wait(10)
    except subprocess.TimeoutExpired:
        tracer.kill()
        tracer.wait()
        return None
    try:
        total = re.search(r"^\s*100\.00\s.*\btotal$", read(path), re.M)
        return int(total.group(0).split()[3 if total.group(0).split()[2] != "total" else 2]) / rounds
    except (OSError, AttributeError, ValueError, IndexError):
        return None


class Sleepers:
    """Idle processes until close()"""

    def __init__(self, helper, count):
        self.process = None
        if count <= 0:
            return
        self.process = subprocess.Popen([helper, str(count)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        if self.process.stdout.readline() != b"ready\n":
            self.close()
            raise RuntimeError("the idle processes could not be started: see ulimit -u")

    def close(self):
        if self.process:
            self.process.stdin.close()
            self.process.stdout.close()
            self.process.wait()
            self.process = None


def fill_to(helper, wanted):
    """Idle processes so that the host has `wanted` in all"""
    return Sleepers(helper, wanted - processes() - 1)
