#!/usr/bin/python3
"""The installed kithd.service under a real systemd, booted in a container: readiness, reload, restart after a crash, a clean end."""
import os
import shutil
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from kithtest import BUILD, Skip, Suite, environment, makefile, wait_for  # noqa: E402

suite = Suite()


class Container:
    """systemd booted over this machine's /usr, with what make install installs bound over it"""

    def __init__(self, stage):
        prefix = makefile("prefix")
        if not prefix.startswith("/usr") or not os.path.isdir(prefix):
            raise Skip("the prefix %s is no folder below /usr, which is all that the container has of this machine" % prefix)
        drop_in = suite.folder()
        # LeakSanitizer wants to trace the process, which the unit's sandbox does not allow.
        with open(os.path.join(drop_in, "test.conf"), "w") as f:
            f.write("[Service]\nEnvironment=ASAN_OPTIONS=detect_leaks=0\n")
        self.console = open(os.path.join(stage, "console"), "w+")
        self.process = subprocess.Popen(
            ["systemd-nspawn", "--directory=/", "--volatile=yes", "--private-network", "-b", "--register=no", "--keep-unit",
             "--machine=kith-%d" % os.getpid(), "--console=pipe", "--bind-ro=%s:%s" % (stage + prefix, prefix),
             "--bind-ro=%s:/etc/systemd/system/kithd.service.d" % drop_in],
            stdin=subprocess.DEVNULL, stdout=self.console, stderr=self.console, env=environment())
        self.leader = None
        wait_for("systemd to boot", self.booted)

    def booted(self):
        if self.process.poll() is not None:
            self.console.seek(0)
            raise Skip("no container here: " + " ".join(self.console.read().split())[-200:])
        with open("/proc/%d/task/%d/children" % (self.process.pid, self.process.pid)) as f:
            children = f.read().split()
        if not children:
            return False
        self.leader = children[0]
        state = self.run("systemctl", "is-system-running").stdout.strip()
        return state in ("running", "degraded")

    def run(self, *argv):
        return subprocess.run(["nsenter", "-t", self.leader, "-m", "-u", "-i", "-n", "-p", "--", *argv], capture_output=True,
                              text=True, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin:" + makefile("prefix") + "/bin"}, timeout=60)

    def unit(self, prop):
        return self.run("systemctl", "show", "-P", prop, "kithd.service").stdout.strip()

    def end(self):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.console.close()


def staged():
    if os.geteuid() != 0:
        raise Skip("it needs root")
    if not shutil.which("systemd-nspawn"):
        raise Skip("systemd-nspawn is missing (apt-get install systemd-container)")
    stage = suite.folder()
    subprocess.run(["make", "-s", "-C", BUILD, "install", "DESTDIR=" + stage], check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)
    return stage


def must(result):
    assert result.returncode == 0, "%s: %s%s" % (result.args[9:], result.stdout[-500:], result.stderr[-500:])
    return result.stdout


c = None
try:
    with suite.check("systemd boots with what make install installs"):
        c = Container(staged())
    if c:
        with suite.check("the unit is found"):
            assert c.unit("LoadState") == "loaded", c.run("systemctl", "status", "kithd.service").stderr
        with suite.check("the unit starts, and systemctl waits until kithd says that it is ready"):
            must(c.run("systemctl", "start", "kithd.service"))
            assert c.unit("ActiveState") == "active" and c.unit("StatusText") == "Running", c.run("systemctl", "status", "kithd").stdout
            assert must(c.run("kith", "get", "uptime:seconds")).startswith("uptime:seconds")
        with suite.check("the plugins run within the unit's sandbox"):
            wait_for("plugins", lambda: "cpu" in c.run("kith", "plugins").stdout)
            out = must(c.run("kith", "plugins"))
            bad = [line for line in out.splitlines() if " running " not in line]
            assert not bad, bad
        with suite.check("systemctl reload reads the configuration again"):
            must(c.run("systemctl", "reload", "kithd.service"))
            wait_for("the reload", lambda: "configuration read" in c.run("journalctl", "-u", "kithd", "-o", "cat").stdout)
            assert c.unit("ActiveState") == "active"
        with suite.check("its log has priorities in the journal"):
            out = c.run("journalctl", "-u", "kithd", "-p", "notice", "-o", "cat").stdout
            assert "runs:" in out and "<5>" not in out, out[-500:]
        with suite.check("killed, it is started again and answers"):
            pid = c.unit("MainPID")
            assert int(pid) > 1, "it does not run"
            must(c.run("kill", "-KILL", pid))
            wait_for("a new one", lambda: c.unit("MainPID") not in ("0", pid) and c.unit("ActiveState") == "active")
            must(c.run("kith", "status"))
        with suite.check("systemctl stop ends it cleanly, at once"):
            begin = time.monotonic()
            must(c.run("systemctl", "stop", "kithd.service"))
            assert c.unit("Result") == "success" and c.unit("ActiveState") == "inactive", c.unit("Result")
            assert time.monotonic() - begin < 5, "it took %.1f s" % (time.monotonic() - begin)
finally:
    if c:
        c.end()
sys.exit(suite.end())
