"""For tests of the daemon from outside: starts kithd from the build folder in temporary folders, asks it through kith, ends it, and looks
at how it ended. Prints TAP lines, one for each check; exit status 1 when one failed.

    suite = Suite()
    with suite.check("it answers"), suite.daemon(conf="interval = 100ms\n") as d:
        d.wait_series("load:1m")
    suite.end()

A daemon that crashes, leaks (AddressSanitizer) or does not exit with 0 on SIGTERM fails the check that it ends in. Conditions are waited
for with a deadline that is generous, never slept for.
"""
import contextlib
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

BUILD = os.path.abspath(os.environ.get("top_builddir") or os.environ.get("builddir") or ".")
SOURCE = os.path.abspath(os.environ.get("top_srcdir") or os.environ.get("srcdir") or
                         os.path.join(os.path.dirname(__file__), "..", ".."))
KITHD = os.path.join(BUILD, "kithd")
KITH = os.path.join(BUILD, "kith")
PLAIN = os.environ.get("plain_builddir") or BUILD  # without sanitizers
PLUGINS = os.path.join(BUILD, "plugins")
TEST_PLUGINS = os.path.join(BUILD, "tests", "host", "plugins")
BUNDLES = os.path.join(SOURCE, "promises", "bundles")
DEADLINE = 60.0  # seconds; only a test that fails waits for so long
NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]


def scale(full, short):
    """How much of something: as much as kith promises to stand with KITH_FULL (./check --full), else what shows that it works"""
    return full if os.environ.get("KITH_FULL") else short


class Skip(Exception):
    """This check cannot be made here; its text says why."""


def makefile(name):
    """A variable of the build's Makefile"""
    with open(os.path.join(BUILD, "Makefile")) as f:
        m = re.search(r"^%s = (.*)$" % re.escape(name), f.read(), re.M)
    return m.group(1).strip() if m else ""


def sanitized():
    with open(os.path.join(BUILD, "config.h")) as f:
        return re.search(r"^#define KITH_SANITIZED 1", f.read(), re.M) is not None


def compiler():
    """The compiler's command line, with the sanitizers of the build: a plugin built with it fits into kithd."""
    return shlex.split(os.environ.get("CC") or makefile("CC") or "cc") + shlex.split(makefile("INSTRUMENT_CFLAGS"))


def wait_for(what, condition, deadline=DEADLINE, alive=None):
    """What condition() gives as soon as it is true. `alive`: a daemon that must not end meanwhile."""
    end = time.monotonic() + deadline
    pause = 0.01
    while True:
        value = condition()
        if value:
            return value
        if alive is not None and alive.process.poll() is not None:
            raise AssertionError("kithd ended (%d) while waiting for %s" % (alive.process.returncode, what))
        if time.monotonic() > end:
            raise AssertionError("waited %d s for %s" % (deadline, what))
        time.sleep(pause)
        pause = min(pause * 1.2, 0.1)


def write_file(path, text):
    """At once: under another name, then renamed."""
    new = os.path.join(os.path.dirname(path), "." + os.path.basename(path) + ".new")
    with open(new, "wb" if isinstance(text, bytes) else "w") as f:
        f.write(text)
    os.rename(new, path)


def install(source, target):
    """Copies a file so that nobody sees half of it"""
    with open(source, "rb") as f:
        write_file(target, f.read())


def environment(extra=None):
    env = {k: v for k, v in os.environ.items() if not k.startswith(("KITH_", "XDG_", "NOTIFY_SOCKET", "JOURNAL_STREAM"))}
    asan = [o for o in env.get("ASAN_OPTIONS", "").split(":") if o and not o.startswith(("exitcode", "detect_leaks"))]
    env["ASAN_OPTIONS"] = ":".join(asan + ["exitcode=99", "detect_leaks=1"])
    env["UBSAN_OPTIONS"] = "print_stacktrace=1:exitcode=98"
    env.update(extra or {})
    return env


asked = set()


class Watch:
    """kith watch --json, its lines gathered as they come, and when each came (monotonic). It has subscribed when it is made."""

    def __init__(self, daemon, *args):
        self.lines, self.times = [], []
        self.process = subprocess.Popen([KITH, "-s", daemon.socket, "--verbose", "watch", "--json", *args], stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, env=environment(), text=True)
        said = self.process.stderr.readline()
        assert "watching" in said, "kith watch: " + said
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        for line in self.process.stdout:
            self.times.append(time.monotonic())
            self.lines.append(json.loads(line))

    def wait(self, what, condition, deadline=DEADLINE):
        """The first line that fits"""
        return wait_for(what, lambda: next((x for x in list(self.lines) if condition(x)), None), deadline)

    def end(self):
        self.process.terminate()
        self.process.wait()
        self.thread.join()
        self.process.stdout.close()
        self.process.stderr.close()
        return self.lines


class Daemon:
    def __init__(self, suite, conf="", conf_d=None, plugins=(PLUGINS,), promises=None, promise_dirs=None, user=False,
                 env=None, args=(), program=None, bare=False):
        """`plugins`: folders, first ones win. `promises`: name -> text. `user`: as nobody. `bare`: only `args`, no folders"""
        self.suite = suite
        self.dir = suite.folder("kithd-")
        self.run, self.state = self.path("run"), self.path("state")
        self.conf, self.conf_d = self.path("kith.conf"), self.path("conf.d")
        self.promises = self.path("promises.d")
        self.log_path = self.path("log")
        self.socket = self.path("run/control.sock")
        self.user, self.env, self.program = user, dict(env or {}), program or KITHD
        self.process = self.stopped = None
        for folder in (self.conf_d, self.promises):
            os.mkdir(folder)
        if conf is not None:
            write_file(self.conf, conf)
        for name, text in (conf_d or {}).items():
            write_file(os.path.join(self.conf_d, name), text)
        for name, text in (promises or {}).items():
            write_file(os.path.join(self.promises, name), text)
        self.args = list(args)
        if not bare:
            self.args += ["--run-dir", self.run, "--state-dir", self.state]
            self.args += ["-c", self.conf] if conf is not None else []
            for folder in plugins:
                self.args += ["--plugin-dir", folder]
            for folder in promise_dirs or [self.promises]:
                self.args += ["--promise-dir", folder]

    def path(self, name):
        return os.path.join(self.dir, name)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, kind, value, trace):
        if kind is None:
            self.stop()
        else:
            self.kill()
            print("".join("# log: %s\n" % x for x in self.log().splitlines()[-40:]), end="")
        return False

    # -- its life

    def spawn(self, *options, **more):
        if self.user:
            subprocess.run(["chown", "-R", "65534:65534", self.dir], check=True)
        return subprocess.Popen((NOBODY if self.user else []) + [self.program, *options, *self.args],
                                env=environment(self.env), stdin=subprocess.DEVNULL, start_new_session=True, **more)

    def start(self):
        with open(self.log_path, "a") as log:
            self.process = self.spawn("-f", stdout=log, stderr=log)
        self.stopped = None
        self.suite.daemons.append(self)
        wait_for("kithd to start; its log: " + self.log()[-2000:], self.is_ready, alive=self)
        return self

    def is_ready(self):
        return re.search(r" runs: \d+ promises", self.log()) and os.path.exists(self.socket)

    def stop(self, within=None):
        """SIGTERM; the time that it took. It must end with 0 and without a complaint of a sanitizer."""
        if self.stopped is not None:
            return self.stopped
        begin = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError("kithd does not end on SIGTERM")
        self.stopped = time.monotonic() - begin
        self.suite.daemons.remove(self)
        if re.search(r"ERROR: \w+Sanitizer|runtime error:", self.log()):
            print("".join("# %s\n" % x for x in self.log().splitlines()[-60:]), end="")
            raise AssertionError("a sanitizer complained")
        assert status == 0, "kithd ended with %d: %s" % (status, self.log()[-2000:])
        assert within is None or self.stopped < within, "kithd took %.1f s to end" % self.stopped
        return self.stopped

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self in self.suite.daemons:
            self.suite.daemons.remove(self)
        self.stopped = 0.0

    def run_out(self, *options):
        """Starts it, expecting that it ends by itself: (status, what it said)"""
        p = self.spawn("-f", *options, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            return p.wait(DEADLINE), p.stdout.read()
        except subprocess.TimeoutExpired:
            p.kill()
            p.wait()
            raise AssertionError("kithd does not end by itself")
        finally:
            p.stdout.close()

    def reload(self):
        """SIGHUP, and waits until the configuration was looked at"""
        before = self.reloads()
        self.process.send_signal(signal.SIGHUP)
        wait_for("the reload", lambda: self.reloads() > before, alive=self)

    def reloads(self):
        return len(re.findall(r"configuration read|the configuration has faults", self.log()))

    # -- what it says

    def log(self):
        try:
            with open(self.log_path, errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def lines(self, pattern):
        return [x for x in self.log().splitlines() if re.search(pattern, x)]

    def wait_log(self, pattern, times=1, deadline=DEADLINE):
        wait_for("the log to say /%s/" % pattern, lambda: len(self.lines(pattern)) >= times, deadline, alive=self)
        return self.lines(pattern)

    def kith(self, *args):
        """(exit status, what kith --json printed). A sanitizer is ten times the cost of an answer: of each kind, the first one has it."""
        kind = tuple(x for n, x in enumerate(args) if n == 0 or x.startswith("-"))
        program = os.path.join(PLAIN, "kith") if kind in asked else KITH
        asked.add(kind)
        p = subprocess.run([program, "-s", self.socket, "--json", *args], capture_output=True, text=True, env=environment(),
                           timeout=DEADLINE)
        assert p.returncode in (0, 1), "kith %s: %d, %s" % (" ".join(args), p.returncode, p.stderr)
        return p.returncode, json.loads(p.stdout) if p.stdout.strip() else None

    def get(self, *patterns):
        """name -> {name, value, unit, time}"""
        return {x["name"]: x for x in self.kith("get", *patterns)[1] or []}

    def value(self, name):
        return self.get(name).get(name, {}).get("value")

    def plugin(self, name):
        """All of this name: several when one is refused as a duplicate"""
        return [p for p in self.kith("plugins")[1] if p["name"] == name]

    def promise(self, name):
        return next((p for p in self.kith("promises")[1] if p["name"] == name), None)

    def wait_plugin(self, name, state, deadline=DEADLINE):
        def look():
            found = self.plugin(name)
            return found[0] if found and found[0]["state"] == state else None
        return wait_for("plugin %s to be %s" % (name, state), look, deadline, alive=self)

    def wait_no_plugin(self, name):
        wait_for("plugin %s to go" % name, lambda: not self.plugin(name), alive=self)

    def wait_series(self, name, condition=lambda value: value is not None):
        return wait_for("series " + name, lambda: condition(self.value(name)) and self.get(name)[name], alive=self)

    def wait_promise(self, name, assessment):
        return wait_for("promise %s to be %s" % (name, assessment),
                        lambda: (self.promise(name) or {}).get("assessment") == assessment and self.promise(name), alive=self)

    def watch(self, *args):
        return Watch(self, *args)

    # -- what it holds

    def holds(self):
        """What may leak: descriptors, memory files, mappings, anonymous memory in KiB"""
        pid = self.process.pid
        fds = []
        for fd in os.listdir("/proc/%d/fd" % pid):
            with contextlib.suppress(FileNotFoundError):
                fds.append(os.readlink("/proc/%d/fd/%s" % (pid, fd)))
        with open("/proc/%d/maps" % pid) as f:
            maps = f.read().splitlines()
        with open("/proc/%d/smaps_rollup" % pid) as f:
            anonymous = int(re.search(r"^Anonymous:\s+(\d+) kB", f.read(), re.M).group(1))
        # Sockets come and go with those who ask.
        return {"fds": sum(not x.startswith("socket:") for x in fds), "memfds": sum("memfd:" in x for x in fds), "maps": len(maps),
                "plugin maps": sum("memfd:" in x for x in maps), "anonymous": anonymous}


class Suite:
    def __init__(self):
        self.count = self.failed = 0
        self.daemons, self.folders = [], []

    def folder(self, prefix="kith-test-"):
        """A new temporary folder that everybody may enter"""
        path = tempfile.mkdtemp(prefix=prefix)
        os.chmod(path, 0o755)
        self.folders.append(path)
        return path

    def daemon(self, **how):
        return Daemon(self, **how)

    def public(self):
        """A copy of the programs, their plugins and bundles that other users can reach too: the folder"""
        path = self.folder()
        shutil.copy(KITHD, path)
        shutil.copy(KITH, path)
        os.makedirs(os.path.join(path, "plugins"))
        for name in os.listdir(PLUGINS):
            if name.endswith(".so"):
                shutil.copy(os.path.join(PLUGINS, name), os.path.join(path, "plugins"))
        if os.path.isdir(BUNDLES):
            shutil.copytree(BUNDLES, os.path.join(path, "promises", "bundles"))
        subprocess.run(["chmod", "-R", "a+rX", path], check=True)
        return path

    @contextlib.contextmanager
    def check(self, what):
        self.count += 1
        try:
            yield
        except Skip as e:
            print("ok %d - %s # SKIP %s" % (self.count, what, e), flush=True)
        except Exception as e:  # whatever it is, the other checks go on
            self.failed += 1
            text = "%s: %s" % (type(e).__name__, e)
            if not isinstance(e, AssertionError):
                import traceback
                text = traceback.format_exc()
            elif not str(e):
                import traceback
                text = "".join(traceback.format_tb(e.__traceback__)[-2:])
            print("".join("# %s\n" % x for x in text.splitlines()), end="")
            print("not ok %d - %s" % (self.count, what), flush=True)
        else:
            print("ok %d - %s" % (self.count, what), flush=True)

    def end(self):
        for d in list(self.daemons):
            d.kill()
        for path in self.folders:
            shutil.rmtree(path, ignore_errors=True)
        print("1..%d" % self.count)
        sys.exit(1 if self.failed else 0)
