"""Programs that are measured: what all have in common, kithd and the bare daemon."""
import json
import os
import shutil
import signal
import subprocess
import time


class Program:
    """One program that can be started with an interval and asked what it costs.

    name; package: what to install when it is absent; settle: seconds until its rounds are alike.
    """

    name = ""
    package = ""
    settle = 3.0
    intervals = (1, 10)
    rounds = None  # in a window at 1 s, when its rounds are not alike
    note = ""

    def __init__(self, bench):
        self.bench = bench
        self.process = None
        self.folder = None
        self.log = None

    def absent(self):
        """Why it cannot be measured; None when it can"""
        return None

    def prepare(self, interval):
        """Configuration into self.folder: argv and additional environment"""
        raise NotImplementedError

    def values(self):
        """Values a round, of the running program; None: count_values has counted, or parts() tells"""
        return None

    def count_values(self):
        """Values a round, from a run of its own before the measured ones; None: values() tells"""
        return None

    def parts(self):
        """What each of its parts has cost up to now, {name: {calls, cpu_ns, samples}}; empty when it does not tell"""
        return {}

    def started(self, interval):
        pass

    def stopping(self):
        pass

    def start(self, interval, prepare=None):
        self.folder = self.bench.make_folder(self.name.replace(" ", "_"))
        argv, environment = (prepare or self.prepare)(interval)
        self.log = open(os.path.join(self.folder, "output"), "wb")
        self.process = subprocess.Popen(
            ["taskset", "-c", str(self.bench.cpu)] + argv,
            env={**os.environ, **environment},
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=self.log,
            start_new_session=True,
        )
        time.sleep(0.3)
        self.check()
        self.started(interval)

    def check(self):
        if self.process.poll() is not None:
            with open(os.path.join(self.folder, "output"), errors="replace") as f:
                tail = f.read()[-600:].strip().splitlines()
            raise RuntimeError(f"{self.name} ended with status {self.process.returncode}: {' / '.join(tail[-3:])}")

    def end(self, patience=30):
        """Asks it to end and waits until it has. What the kernel knows of it, and its files, stay until stop()."""
        os.killpg(self.process.pid, signal.SIGTERM)
        limit = time.monotonic() + patience
        while not os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) and time.monotonic() < limit:
            time.sleep(0.05)

    def stop(self):
        if not self.process:
            return
        self.stopping()
        # Its own session: what it has started ends with it.
        for number, patience in ((signal.SIGTERM, 5), (signal.SIGKILL, 5)):
            try:
                os.killpg(self.process.pid, number)
                self.process.wait(patience)
                break
            except subprocess.TimeoutExpired:
                continue
            except ProcessLookupError:
                self.process.wait()
                break
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process = None
        self.log.close()
        if not self.bench.keep:
            shutil.rmtree(self.folder, ignore_errors=True)

    def file(self, name, text, mode=0o600):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(path, mode)
        return path

    def sub_folder(self, name):
        path = os.path.join(self.folder, name)
        os.makedirs(path, exist_ok=True)
        return path


class Bare(Program):
    name = "bare"
    settle = 2.0
    note = "preads the six files and looks at nothing"

    def prepare(self, interval):
        return [self.bench.helper("bare"), str(interval)], {}


BASE = ("cpu", "memory", "load", "interface", "disk", "df", "processes", "swap", "vmem", "uptime")


class Kithd(Program):
    name = "kithd"
    note = "the ten base plugins, no promises; df and swap less often while nothing of them moves"
    settle = 26.0  # until what is steady has its longest interval
    rounds = 10    # of which one has everything

    def promise_dir(self):
        return self.sub_folder("promises")

    def others(self):
        """kith.conf of the plugins that are left out"""
        names = [n[:-3] for n in sorted(os.listdir(os.path.join(self.bench.build, "plugins"))) if n.endswith(".so")]
        return "".join(f"plugin {n} {{ enabled = false }}\n" for n in names if n not in BASE)

    def prepare(self, interval):
        config = self.file("kith.conf", f"interval = {interval}s\n" + self.others())
        return kithd_argv(self.bench, self.folder, config, self.promise_dir()), {}

    def parts(self):
        return {c["name"]: c for c in kith(self.bench, self.folder, "cost") if c.get("kind", "plugin") == "plugin"}


class KithdPromises(Kithd):
    """With the bundles that ship; only at 1 s"""

    name = "kithd+promises"
    intervals = (1,)
    note = "and the promises that ship"

    def promise_dir(self):
        return os.path.join(self.bench.source, "promises", "bundles")

    def absent(self):
        path = self.promise_dir()
        if os.path.isdir(path) and any(name.endswith(".promise") for name in os.listdir(path)):
            return None
        return "there are no bundles in promises/bundles"


class KithdAll(KithdPromises):
    """As it is without any configuration"""

    name = "kithd+all"
    intervals = (1, 10)
    note = "all plugins and promises that ship, as without a configuration"

    def others(self):
        return ""


def kithd_argv(bench, folder, config, promises):
    return [
        os.path.join(bench.build, "kithd"),
        "--foreground",
        "--config",
        config,
        "--run-dir",
        os.path.join(folder, "run"),
        "--state-dir",
        os.path.join(folder, "state"),
        "--plugin-dir",
        os.path.join(bench.build, "plugins"),
        "--promise-dir",
        promises,
    ]


def kith_bytes(bench, folder, *command):
    """What the CLI says, as JSON that is not taken apart"""
    socket = os.path.join(folder, "run", "control.sock")
    argv = [os.path.join(bench.build, "kith"), "--socket", socket, *command, "--json"]
    return subprocess.run(argv, check=False, capture_output=True, timeout=60).stdout


def kith(bench, folder, *command):
    return json.loads(kith_bytes(bench, folder, *command) or b"[]")
