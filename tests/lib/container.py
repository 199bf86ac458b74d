"""systemd in a container, with what make install installs: for tests of what runs under it."""
import os
import shutil
import subprocess

from kithtest import BUILD, Skip, environment, makefile, wait_for


class Container:
    """systemd booted over this machine's /usr, with what make install installs bound over it"""

    def __init__(self, suite, stage):
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


def staged(suite):
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
