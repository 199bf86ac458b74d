"""What the kernel tests share, beside kithtest: namespaces of a test's own, ip, netlink sockets, what a process did meanwhile."""
import contextlib
import ctypes
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from kithtest import DEADLINE, wait_for  # noqa: E402

INSIDE = "KITH_TEST_NAMESPACES"
CONNECTOR = 11  # netlink protocols
ROUTE = 0
libc = ctypes.CDLL(None, use_errno=True)


def namespaces(*kinds):
    """The rest of the test runs in fresh namespaces of these kinds (net, mount). Without the right to them it ends as skipped."""
    if os.environ.pop(INSIDE, None):
        return
    options = ["--" + kind for kind in kinds]
    for user in ([], ["--map-root-user"]):
        refused = subprocess.run(["unshare", *user, *options, "true"], capture_output=True, text=True)
        if refused.returncode == 0:
            os.environ[INSIDE] = "1"
            os.execvp("unshare", ["unshare", *user, *options, sys.executable, *sys.argv])
    print("ok 1 - namespaces # SKIP needs namespaces of its own: run it as root (%s)" % refused.stderr.strip())
    print("1..1")
    sys.exit(0)


# For kith.conf: without those that hear what other tests do to the whole machine
QUIET = "".join("plugin %s { enabled = false }\n" % x for x in ("cgroup", "device", "kmsg", "package", "service"))


def quiet_groups():
    """Control groups are the whole machine's: in a mount namespace of its own the test has some of plain files instead, that nobody else changes"""
    top = "/sys/fs/cgroup"
    if not os.path.isdir(top):
        return
    run("mount", "-t", "tmpfs", "kith-test", top)
    for folder, files in ((top, {"cgroup.controllers": "memory pids\n", "cgroup.subtree_control": "memory pids\n"}),
                          (top + "/system.slice", {"cgroup.events": "populated 1\nfrozen 0\n", "memory.current": "4096\n", "pids.current": "1\n",
                                                   "memory.events": "low 0\nhigh 0\nmax 0\noom 0\noom_kill 0\n"})):
        os.makedirs(folder, exist_ok=True)
        for name, text in files.items():
            with open(os.path.join(folder, name), "w") as f:
                f.write(text)


def run(*command, text=None):
    """What it printed. It must end with 0."""
    p = subprocess.run(command, input=text, capture_output=True, text=True, timeout=DEADLINE * 4)
    assert p.returncode == 0, "%s: %s" % (" ".join(command), p.stderr.strip()[-500:])
    return p.stdout


def ip(*arguments):
    return run("ip", *arguments)


def ip_batch(lines):
    """All of them by one process, one right after the other"""
    run("ip", "-batch", "-", text="\n".join(lines) + "\n")


def links():
    """name -> as `ip -j link` has it"""
    return {x["ifname"]: x for x in json.loads(ip("-j", "link"))}


def state_of(link):
    """up: enabled, and the link works; where the driver says nothing of it, the carrier does"""
    flags = link["flags"]
    works = link["operstate"] == "UP" or (link["operstate"] == "UNKNOWN" and "LOWER_UP" in flags)
    return "up" if "UP" in flags and works else "down"


def kernel_states():
    return {name: state_of(x) for name, x in links().items()}


def kith_states(daemon):
    return {name.split(":")[1]: x["value"] for name, x in daemon.get("interface:*:state").items()}


def wait_agreement(daemon):
    """Until kithd has what ip has: exactly the same links, each in the same state"""
    end = time.monotonic() + DEADLINE
    while True:
        theirs, ours = kernel_states(), kith_states(daemon)
        if theirs == ours:
            return ours
        if time.monotonic() > end:
            raise AssertionError("%d links, kithd has %d; only ip: %s; only kithd: %s" %
                                 (len(theirs), len(ours), sorted(theirs.items() - ours.items())[:5],
                                  sorted(ours.items() - theirs.items())[:5]))
        time.sleep(0.02)



def set_link(index, up):
    """As `ip link set up` and down do, without the time that a program takes to start"""
    body = struct.pack("=BxHiII", socket.AF_UNSPEC, 0, index, 1 if up else 0, 1)  # IFF_UP, and that it alone is meant
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, ROUTE) as s:
        s.send(struct.pack("=IHHII", 16 + len(body), 16, 5, 1, 0) + body)  # RTM_NEWLINK, NLM_F_REQUEST | NLM_F_ACK
        error = struct.unpack_from("=i", s.recv(4096), 16)[0]
    assert error == 0, os.strerror(-error)


def threads(pid):
    return ["/proc/%d/task/%s" % (pid, t) for t in os.listdir("/proc/%d/task" % pid)]


def switches(pid):
    """How often its threads slept and were woken"""
    total = 0
    for thread in threads(pid):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError), open(thread + "/status") as f:  # one that has ended
            total += int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", f.read(), re.M).group(1))
    return total


def cpu_ns(pid):
    total = 0
    for thread in threads(pid):
        with open(thread + "/schedstat") as f:
            total += int(f.read().split()[0])
    return total


def netlink_sockets(pid, protocol):
    """The process's sockets of a netlink protocol, each as a line of /proc/net/netlink"""
    inodes = set()
    for fd in os.listdir("/proc/%d/fd" % pid):
        try:
            m = re.match(r"socket:\[(\d+)\]", os.readlink("/proc/%d/fd/%s" % (pid, fd)))
        except FileNotFoundError:
            continue
        if m:
            inodes.add(m.group(1))
    with open("/proc/%d/net/netlink" % pid) as f:
        names = f.readline().split()
        rows = [dict(zip(names, line.split())) for line in f]
    return [r for r in rows if int(r["Eth"]) == protocol and r["Inode"] in inodes]


def drops(pid, protocol):
    """Datagrams that the kernel had to drop because the process did not read them"""
    return sum(int(r["Drops"]) for r in netlink_sockets(pid, protocol))


class Stopped:
    """The process sleeps through what happens within"""

    def __init__(self, pid):
        self.pid = pid

    def __enter__(self):
        os.kill(self.pid, signal.SIGSTOP)
        wait_for("it to be stopped", lambda: all(self.state(t) == "T" for t in threads(self.pid)))

    def __exit__(self, *_):
        os.kill(self.pid, signal.SIGCONT)

    @staticmethod
    def state(thread):
        try:
            with open(thread + "/stat") as f:
                return f.read().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return "T"  # it has ended, and does nothing
