"""Programs that hold rules: kithd, collectd with its threshold plugin, pmie beside the pmcd that it asks.

All of them take the same values (cpu, memory, load, df) and hold rules of the same sense, in the form that each has.
"""
import os
import shutil
import socket
import time

from kith import Program, kith, kithd_argv
from peers import PCP_LINUX, REAL_TYPES, Collectd, Pmlogger, free_port

PLUGINS = ("cpu", "memory", "load", "df")
CANNOT = [
    "kithd      all of it: and margin, grace, settle, depends, windows, percentiles, forecast, records, unknown",
    "collectd   bounds of a single value, Hysteresis, Hits (so many values in a row), the rate of counters; no condition",
    "           of two values, no window, average or percentile, nothing over several instances, no time of day, no",
    "           unknown (a missing value is a failure), one action for all",
    "pmie       conditions of several values, quantifiers, rates, avg min max sum count over the last N samples; no",
    "           margin, no settle, no percentile of a window, no forecast, no depends, no records, nothing on becoming",
    "           well again but by another rule; it asks a pmcd",
]


def device_of_root():
    """As pcp names its instance; None: the root is on no device"""
    with open("/proc/self/mounts", encoding="utf-8") as f:
        for line in f:
            device, where = line.split()[:2]
            if where == "/" and device.startswith("/dev/"):
                return device
    return None


def kith_rules(n):
    """Six values in turn, each time with another threshold; none of them breaks."""
    kinds = (
        "memory:free > {low}KiB",
        "load:1m < {high}",
        "rate(cpu:total:user) < {high}",
        "df:/:free > {low}KiB",
        "memory:cached > {low}KiB",
        "load:5m < {high}",
    )
    lines = [
        f"promise p{i} {{ promiser rule\nkeep {kinds[i % 6].format(low=i + 1, high=1000 + i)} }}" for i in range(n)
    ]
    return "bundle rules {\n" + "\n".join(lines) + "\n}\n"


def collectd_rules(n):
    kinds = (
        ("memory", "", "memory", 'Instance "free"\nFailureMin {low}'),
        ("load", "", "load", 'DataSource "shortterm"\nFailureMax {high}'),
        ("cpu", "", "percent", 'Instance "user"\nFailureMax {high}'),
        ("df", 'Instance "root"\n', "df_complex", 'Instance "free"\nFailureMin {low}'),
        ("memory", "", "memory", 'Instance "cached"\nFailureMin {low}'),
        ("load", "", "load", 'DataSource "midterm"\nFailureMax {high}'),
    )
    text = []
    for i in range(n):
        plugin, instance, kind, bounds = kinds[i % 6]
        bounds = bounds.format(low=(i + 1) * 1024, high=1000 + i)
        text.append(f'<Plugin "{plugin}">\n{instance}<Type "{kind}">\n{bounds}\n</Type>\n</Plugin>')
    return "\n".join(text)


def pmie_rules(n):
    device = device_of_root()
    free = f"filesys.free #'{device}' < {{low}} Kbyte" if device else "some_inst filesys.free < {low} Kbyte"
    kinds = (
        "mem.util.free < {low} Kbyte",
        "kernel.all.load #'1 minute' > {high}",
        "kernel.all.cpu.user > {high}",
        free,
        "mem.util.cached < {low} Kbyte",
        "kernel.all.load #'5 minute' > {high}",
    )
    # Without a rule it ends at once: then one that asks for nothing.
    lines = [f'p{i} = {kinds[i % 6].format(low=i + 1, high=1000 + i)} -> print "{i}";' for i in range(n)]
    return "\n".join(lines or ['none = 1 > 2 -> print "none";']) + "\n"


class Holder(Program):
    """`into`: argv before it, into a namespace; `phase`: of the second in which it is started; rounds do not meet"""

    phase = 0.0

    def __init__(self, bench, rules, into=()):
        super().__init__(bench)
        self.rules = rules
        self.into = list(into)

    def held(self):
        """How many rules it says that it holds, none broken; None: it does not tell"""
        return None


class KithdHolder(Holder):
    name = "kithd"

    def __init__(self, bench, rules, into=(), config="", plugins=()):
        super().__init__(bench, rules, into)
        self.config = config
        self.plugins = plugins or [os.path.join(bench.build, "plugins", name + ".so") for name in PLUGINS]

    def prepare(self, interval):
        folder = self.sub_folder("plugins")
        for path in self.plugins:
            shutil.copy(path, folder)
        # Like the others it takes all values in each round, also of what is steady.
        config = f"interval = {interval}s\nsteady_interval = {interval}s\nmax_action_starts = 10000\n{self.config}"
        config = self.file("kith.conf", config)
        self.sub_folder("promises")
        self.file("promises/rules.promise", self.rules)
        argv = kithd_argv(self.bench, self.folder, config, os.path.join(self.folder, "promises"))
        argv[argv.index("--plugin-dir") + 1] = folder
        return self.into + argv, {}

    def held(self):
        return sum(1 for p in kith(self.bench, self.folder, "promises") if p["assessment"] == "kept")


class CollectdHolder(Collectd, Holder):
    phase = 0.3

    def __init__(self, bench, rules, into=(), notify=""):
        Holder.__init__(self, bench, rules, into)
        self.notify = notify

    def prepare(self, interval):
        lines = self.head(interval)
        lines += [f"LoadPlugin {p}" for p in PLUGINS]
        lines.append("<Plugin cpu>\nReportByCpu false\n</Plugin>")
        lines.append("<Plugin df>\n" + "".join(f'FSType "{t}"\n' for t in REAL_TYPES) + "</Plugin>")
        if self.rules:
            lines.append("LoadPlugin threshold\n<Plugin threshold>\n" + self.rules + "\n</Plugin>")
        if self.notify:
            lines.append("LoadPlugin exec\n<Plugin exec>\nNotificationExec " + self.notify + "\n</Plugin>")
        return self.into + [self.binary, "-f", "-C", self.file("collectd.conf", "\n".join(lines) + "\n")], {}


class Pmcd(Pmlogger, Holder):
    """What pmie asks. The linux agent within the process, and no other"""

    name = "pmcd"
    binary = "/usr/lib/pcp/bin/pmcd"

    def __init__(self, bench, into=()):
        Holder.__init__(self, bench, "", into)
        self.variables = {}
        self.socket = ""

    def prepare(self, interval):
        self.variables = self.environment()
        self.socket = os.path.join(self.folder, "pmcd.socket")
        _, number, library, entry = PCP_LINUX.split(",")
        config = self.file("pmcd.conf", f'linux {number} dso {entry} {library}\n[access]\nallow "*" : all;\n', 0o644)
        argv = [self.binary, "-f", "-A", "-c", config, "-l", f"{self.folder}/log", "-i", "127.0.0.1"]
        argv += ["-p", str(free_port()), "-s", self.socket, "-U", "root", "-n", f"{self.folder}/var/pmns/root"]
        return self.into + argv, self.variables

    def started(self, interval):
        """It answers"""
        for _ in range(100):
            try:
                with socket.socket(socket.AF_UNIX) as s:
                    s.connect(self.socket)
                    return
            except OSError:
                self.check()
                time.sleep(0.05)
        raise RuntimeError("pmcd did not start")


class Pmie(Holder):
    name = "pmie"
    package = "pcp"
    binary = "/usr/bin/pmie"
    phase = 0.6

    def __init__(self, bench, rules, pmcd, into=()):
        super().__init__(bench, rules, into)
        self.pmcd = pmcd

    def absent(self):
        return None if os.access(self.binary, os.X_OK) else "pcp is not installed"

    def prepare(self, interval):
        rules = self.file("rules.pmie", self.rules, 0o644)
        argv = [self.binary, "-f", "-h", f"local:/{self.pmcd.socket}", "-c", rules, "-t", f"{interval}sec"]
        return self.into + argv, self.pmcd.variables


def present(bench):
    """({"collectd", "pmie"}, lines of those that are absent)"""
    pmcd = Pmcd(bench)
    found, skipped = set(), []
    for name, program, why in (
        ("collectd", Collectd, CollectdHolder(bench, "").absent()),
        ("pmie", Pmie, Pmie(bench, "", pmcd).absent() or pmcd.absent()),
    ):
        if why:
            skipped.append(f"skipped: rules held by {name}: {why} (apt-get install {program.package})")
        else:
            found.add(name)
    return found, skipped
