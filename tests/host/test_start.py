#!/usr/bin/python3
"""Starting and ending: without configuration, as root and as anybody, in the background, twice; readiness, locks, stale sockets."""
import os
import re
import shutil
import signal
import socket
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from kithtest import (BUNDLES, DEADLINE, KITHD, PLUGINS, TEST_PLUGINS, Skip, Suite, environment, sanitized, wait_for, write_file)  # noqa: E402

BASE = {"kith"} | {name[:-3] for name in os.listdir(PLUGINS) if name.endswith(".so")}
assert BASE > {"cpu", "memory", "load", "interface", "disk", "df", "processes", "swap", "vmem", "uptime", "exec", "file", "textfile"}, BASE
SOON = 1.0 if not sanitized() else 5.0  # looking for leaks takes its time

suite = Suite()


def need_root():
    if os.geteuid() != 0:
        raise Skip("needs root")


def plugins_of(d):
    return {p["name"]: p for p in d.kith("plugins")[1]}


with suite.check("without any configuration, as it was started: every plugin runs or says what is missing"):
    with suite.daemon(conf=None, promise_dirs=[BUNDLES]) as d:
        found = plugins_of(d)
        assert set(found) == BASE, set(found) ^ BASE
        for p in found.values():
            assert p["state"] == "running" or (p["state"] == "skipped" and p["reason"]), p
        for name in ("memory:available", "load:1m", "uptime:seconds", "kith:anonymous", "interface:lo:state"):
            d.wait_series(name)
        assert d.kith("promises")[1], "no promises"
        assert d.kith("status")[0] in (0, 1)

with suite.check("without any configuration, as an ordinary user: nothing dies, and what is missing is said"):
    need_root()
    public = suite.public()
    shutil.copy(os.path.join(TEST_PLUGINS, "odd_needs.so"), os.path.join(public, "plugins"))
    d = suite.daemon(bare=True, user=True, program=os.path.join(public, "kithd"))
    for name in ("run", "home"):
        os.makedirs(d.path(name))
    d.env = {"HOME": d.path("home"), "XDG_RUNTIME_DIR": d.run}
    d.socket = d.path("run/kith/control.sock")
    with d:
        found = plugins_of(d)
        assert set(found) == BASE | {"odd_needs"}, set(found) ^ BASE
        for p in found.values():
            assert p["state"] == "running" or (p["state"] == "skipped" and p["reason"]), p
        missing = found["odd_needs"]
        assert missing["state"] == "skipped" and "CAP_SYS_PTRACE" in missing["reason"], missing
        d.wait_series("memory:available")
        d.wait_series("processes:total")
        assert os.path.isdir(d.path("home/.local/state/kith"))

with suite.check("SIGTERM ends it with 0 at once, and its socket is gone"):
    with suite.daemon() as d:
        d.stop(within=SOON)
        assert not os.path.exists(d.socket)
        assert d.log().splitlines()[-1].endswith("stopping"), d.log().splitlines()[-1]

with suite.check("SIGINT ends it the same way"):
    d = suite.daemon().start()
    d.process.send_signal(signal.SIGINT)
    assert d.process.wait(DEADLINE) == 0
    d.kill()

with suite.check("a second one on the same run directory is refused with a clear line, the first goes on"):
    with suite.daemon() as d:
        status, said = d.run_out()
        assert status == 1, (status, said)
        assert "another kithd (pid %d) runs on %s" % (d.process.pid, d.run) in said, said
        assert d.process.poll() is None and d.kith("plugins")[0] == 0
        second = suite.daemon().start()
        second.stop()

with suite.check("kill -9 leaves a socket and a lock behind: the next one takes both over"):
    d = suite.daemon().start()
    d.kill()
    assert os.path.exists(d.socket)
    os.rename(d.log_path, d.log_path + ".1")
    with d:
        assert d.kith("plugins")[0] == 0

with suite.check("what is not a socket is not removed for one"):
    d = suite.daemon()
    os.makedirs(d.run)
    with open(d.socket, "w") as f:
        f.write("precious")
    status, said = d.run_out()
    assert status == 1 and "control.sock" in said, (status, said)
    with open(d.socket) as f:
        assert f.read() == "precious"

with suite.check("a run directory that cannot be made is said, with what to do"):
    d = suite.daemon(bare=True, args=["--run-dir", "/proc/nowhere/kith", "--state-dir", suite.folder()])
    status, said = d.run_out()
    assert status == 1 and "/proc/nowhere/kith" in said and "--run-dir" in said, (status, said)

with suite.check("readiness and the end are told to the supervisor's socket"):
    place = os.path.join(suite.folder(), "notify")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listener.bind(place)
    listener.settimeout(DEADLINE)
    with suite.daemon(env={"NOTIFY_SOCKET": place}) as d:
        assert "READY=1" in listener.recv(4096).decode().splitlines()
        d.process.send_signal(signal.SIGHUP)
        assert "RELOADING=1" in listener.recv(4096).decode().splitlines()[0]
        assert "READY=1" in listener.recv(4096).decode().splitlines()
        d.stop()
        assert "STOPPING=1" in listener.recv(4096).decode().splitlines()
    listener.close()


with suite.check("SIGHUP while it starts does not end it"):
    for _ in range(5):
        d = suite.daemon()
        with open(d.log_path, "a") as log:
            d.process = d.spawn("-f", stdout=log, stderr=log)
        suite.daemons.append(d)
        lock = os.path.join(d.run, "kithd.lock")
        while d.process.poll() is None and not (os.path.exists(lock) and os.path.getsize(lock)):
            pass
        d.process.send_signal(signal.SIGHUP)
        wait_for("kithd to start", d.is_ready, alive=d)
        d.stop()


def background(d):
    """Starts it without -f, as a shell would with its output captured: (status, output). It must not hold on to the output."""
    p = d.spawn(stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        return p.wait(DEADLINE), p.communicate(timeout=DEADLINE)[0]
    finally:
        p.kill()


def pid_of(d):
    with open(os.path.join(d.run, "kithd.lock")) as f:
        return int(f.read())


def end_of(pid):
    with open("/proc/%d/stat" % pid) as f:
        return f.read().rsplit(")", 1)[1].split()[0] == "Z"


def end_background(d):
    pid = pid_of(d)
    os.kill(pid, signal.SIGTERM)
    wait_for("the daemon to end", lambda: not os.path.exists("/proc/%d" % pid) or end_of(pid))


with suite.check("in the background: the command returns with 0 when it answers"):
    d = suite.daemon()
    status, said = background(d)
    assert status == 0, (status, said)
    assert d.kith("plugins")[0] == 0
    pid = pid_of(d)
    assert os.getsid(pid) == pid and os.readlink("/proc/%d/cwd" % pid) == "/"
    end_background(d)
    assert not os.path.exists(d.socket)

with suite.check("in the background: what was given relative to the folder it was started in is found"):
    d = suite.daemon(bare=True, args=["-c", "kith.conf", "--run-dir", "run", "--state-dir", "state", "--plugin-dir", "p",
                                      "--promise-dir", "promises.d"])
    os.mkdir(d.path("p"))
    p = subprocess.Popen([KITHD, *d.args], cwd=d.dir, env=environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, text=True)
    said = p.communicate(timeout=DEADLINE)[0]
    assert p.returncode == 0, said
    assert "cannot be watched" not in said, said
    assert d.kith("plugins")[0] == 0
    end_background(d)

with suite.check("in the background: the command returns with 1 and says why when it does not start"):
    d = suite.daemon(conf="intervall = 1s\n")
    status, said = background(d)
    assert status == 1 and "kith.conf:1:1" in said and "interval" in said, (status, said)

with suite.check("a usage fault is 2, the version and the help 0"):
    for args, want in ((["--nonsense"], 2), (["surplus"], 2), (["--check"], 2), (["-V"], 0), (["-h"], 0)):
        p = subprocess.run([KITHD, *args], capture_output=True, text=True, env=environment())
        assert p.returncode == want, (args, p)
        assert (p.stderr if want else p.stdout), args

with suite.check("descriptors are close-on-exec, all but the three"):
    with suite.daemon() as d:
        d.wait_series("load:1m")
        for fd in os.listdir("/proc/%d/fd" % d.process.pid):
            try:
                with open("/proc/%d/fdinfo/%s" % (d.process.pid, fd)) as f:
                    flags = int(re.search(r"^flags:\s*(\d+)", f.read(), re.M).group(1), 8)
            except FileNotFoundError:
                continue  # of one who asked, and has gone since
            assert int(fd) < 3 or flags & os.O_CLOEXEC, os.readlink("/proc/%d/fd/%s" % (d.process.pid, fd))

with suite.check("archives that kith-fold would refuse at each fold: named by -t and at the start; a reload leaves what was"):
    for text, place, what in (('archives = "10s"', "1:22", "is not how long a row is"), ('archives = "10s:6h,15s:1d"', "1:22", "15s:1d"),
                              ("step = 1500ms", "1:18", "whole seconds"), ('step = 30s; archives = "10s:6h"', "1:34", "the step, which is 30 s")):
        for how in ("-t",), ():
            status, said = suite.daemon(conf="journal { %s }\n" % text).run_out(*how)
            assert status == 1 and "kith.conf:%s: " % place in said and what in said, (text, how, status, said)
    with suite.daemon(conf='journal { step = 2s; archives = "2s:1h" }\n') as d:
        write_file(d.path("kith.conf"), 'journal { step = 2s; archives = "3s:1h" }\n')
        d.reload()
        assert d.lines(r"kith\.conf:1:33: .*the step, which is 2 s"), d.log()
        assert d.lines("the configuration has faults") and not d.lines("configuration read"), d.log()

with suite.check("a step that the archives by default do not fit: they are others then, and a fold works"):
    with suite.daemon(conf="interval = 100ms\njournal { fold = 1s; step = 7s }\n") as d:
        wait_for("a fold", lambda: os.path.exists(os.path.join(d.state, "journal", "folded")), alive=d)
        assert not d.lines("kith-fold: .*archives"), d.log()

suite.end()
