#!/usr/bin/python3
"""The real collectd beside kithd: each value of collectd's plugins cpu, memory, load, interface, disk, df, processes, swap, vmem and uptime
is one of kith's too, in the same unit after the conversion that the table says, and the same number."""
import contextlib
import copy
import glob
import math
import os
import re
import shutil
import socket
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from kithtest import SOURCE, Skip, Suite, wait_for  # noqa: E402
from peertest import HZ, PAGE, Counter, Gauge, Peer, Processes, Recorder, Zero, judge, seen_when_off, wait_judged  # noqa: E402

MIB = 1 << 20
DEADLINE = 25  # seconds until every value has to fit
PLUGINS = ["cpu", "memory", "load", "interface", "disk", "df", "processes", "swap", "vmem", "uptime"]

# Everything that both can give; what collectd gives only when asked too, where kith has it as well.
COLLECTD_CONF = """
Hostname "host"
FQDNLookup false
BaseDir "%(dir)s"
PIDFile "%(dir)s/pid"
Interval 1
LoadPlugin logfile
<Plugin logfile>
	LogLevel warning
	File STDERR
</Plugin>
LoadPlugin csv
<Plugin csv>
	DataDir "%(dir)s/csv"
	StoreRates false
</Plugin>
""" + "".join("LoadPlugin %s\n" % p for p in PLUGINS) + """
<Plugin cpu>
	ReportGuestState true
	SubtractGuestState false
</Plugin>
<Plugin df>
	ReportInodes true
	ValuesPercentage true
</Plugin>
<Plugin swap>
	ReportIO true
</Plugin>
<Plugin vmem>
	Verbose true
</Plugin>
"""

# What both can be given a recorded file of: collectd by a mount on it in a namespace of its own, kithd by its option root
RECORDED = ["stat", "meminfo", "vmstat", "diskstats"]
FROM_RECORDED = {"cpu", "memory", "disk", "swap", "vmem"}

# collectd leaves nothing out by default.
KITH_CONF = """
interval = 100ms
cpu_budget = 100%
plugin disk { ignore = [] }
plugin df { all = true; ignore = []; ignore_types = [] }
plugin processes { scan = 1s }
plugin swap { io_every = 1 }
plugin vmem { verbose = true }
"""


def states():
    """The letter of each process here"""
    found = []
    for path in glob.glob("/proc/[0-9]*/stat"):
        with contextlib.suppress(OSError), open(path, errors="replace") as f:
            found.append(f.read().rpartition(")")[2].split()[0])
    return found


def seconds(metric, back=0):
    return Counter("cpu:%(instance)s:" + metric, "s", 1 / HZ, back)


def both(name, unit, metrics, factor=1):
    return {k: Counter("%s:%s" % (name, v), unit, factor) for k, v in metrics.items()}


def bytes_of(name):
    return Gauge(name, "B", tolerance=2 * MIB)


INTERFACE, DISK, DF = "interface:%(instance)s", "disk:%(instance)s", "df:%(mount)s"
NO_RESERVED_INODES = "Linux gives f_ffree and f_favail the same value: no file system of its has reserved inodes"

# What collectd calls it (plugin, type-instance:field) -> what kith calls it, its unit, and what collectd's number is to be multiplied with
TABLE = {
    # Clock ticks against seconds. kith holds the kernel's estimate of idle and iowait where it steps back, collectd does not.
    "cpu/cpu-user:value": seconds("user"),
    "cpu/cpu-nice:value": seconds("nice"),
    "cpu/cpu-system:value": seconds("system"),
    "cpu/cpu-idle:value": seconds("idle", back=0.5),
    "cpu/cpu-wait:value": seconds("iowait", back=0.5),
    "cpu/cpu-interrupt:value": seconds("irq"),
    "cpu/cpu-softirq:value": seconds("softirq"),
    "cpu/cpu-steal:value": seconds("steal"),
    "cpu/cpu-guest:value": seconds("guest"),
    "cpu/cpu-guest_nice:value": seconds("guest_nice"),

    "memory/memory-used:value": bytes_of("memory:used"),
    "memory/memory-free:value": bytes_of("memory:free"),
    "memory/memory-buffered:value": bytes_of("memory:buffers"),
    "memory/memory-cached:value": bytes_of("memory:cached"),
    "memory/memory-slab_recl:value": bytes_of("memory:slab_reclaimable"),
    "memory/memory-slab_unrecl:value": bytes_of("memory:slab_unreclaimable"),

    # The kernel's file has two digits, sysinfo(2), which collectd asks, more
    "load/load:shortterm": Gauge("load:1m", "1", tolerance=0.011),
    "load/load:midterm": Gauge("load:5m", "1", tolerance=0.011),
    "load/load:longterm": Gauge("load:15m", "1", tolerance=0.011),

    **both(INTERFACE, "B", {"interface/if_octets:rx": "rx_bytes", "interface/if_octets:tx": "tx_bytes"}),
    **both(INTERFACE, "packets", {"interface/if_packets:rx": "rx_packets", "interface/if_packets:tx": "tx_packets",
                                  "interface/if_dropped:rx": "rx_dropped", "interface/if_dropped:tx": "tx_dropped",
                                  "interface/if_errors:rx": "rx_errors", "interface/if_errors:tx": "tx_errors"}),

    **both(DISK, "B", {"disk/disk_octets:read": "read_bytes", "disk/disk_octets:write": "write_bytes"}),
    **both(DISK, "ops", {"disk/disk_ops:read": "read_ops", "disk/disk_ops:write": "write_ops",
                         "disk/disk_merged:read": "read_merged", "disk/disk_merged:write": "write_merged"}),
    **both(DISK, "s", {"disk/disk_io_time:io_time": "io_time", "disk/disk_io_time:weighted_io_time": "weighted_io_time"}, 1e-3),
    "disk/pending_operations:value": Gauge(DISK + ":in_flight", "ops", tolerance=8),

    "df/df_complex-free:value": bytes_of(DF + ":free"),
    "df/df_complex-used:value": bytes_of(DF + ":used"),
    "df/df_complex-reserved:value": bytes_of(DF + ":reserved"),
    "df/percent_bytes-free:value": Gauge(DF + ":free_percent", "%", tolerance=0.01),
    "df/percent_bytes-used:value": Gauge(DF + ":used_percent", "%", tolerance=0.01),
    "df/percent_bytes-reserved:value": Gauge(DF + ":reserved_percent", "%", tolerance=0.01),
    "df/df_inodes-free:value": Gauge(DF + ":inodes_free", "inodes", tolerance=100),
    "df/df_inodes-used:value": Gauge(DF + ":inodes_used", "inodes", tolerance=100),
    "df/df_inodes-reserved:value": Zero(NO_RESERVED_INODES),
    "df/percent_inodes-free:value": Gauge(DF + ":inodes_free_percent", "%", tolerance=0.01),
    "df/percent_inodes-used:value": Gauge(DF + ":inodes_used_percent", "%", tolerance=0.01),
    "df/percent_inodes-reserved:value": Zero(NO_RESERVED_INODES),

    "processes/fork_rate:value": Counter("processes:forks", "forks"),
    # collectd counts processes whose first thread runs or waits, kith threads, as the kernel does
    "processes/ps_state-running:value": Gauge("processes:running", "threads", tolerance=3),
    "processes/ps_state-blocked:value": Gauge("processes:blocked", "threads", tolerance=3),
    "processes/ps_state-sleeping:value": Gauge("processes:sleeping", "processes", tolerance=4),
    # kith counts those that a debugger holds (state t) too
    "processes/ps_state-stopped:value": Gauge("processes:stopped", "processes", tolerance=lambda: states().count("t")),
    "processes/ps_state-zombies:value": Gauge("processes:zombies", "processes"),
    "processes/ps_state-paging:value": Gauge("processes:paging", "processes"),

    # What is in memory as well is no part of collectd's used, and one of kith's
    "swap/swap-used:value": Gauge("swap:used", "B", tolerance=2 * MIB, without="swap:cached"),
    "swap/swap-free:value": bytes_of("swap:free"),
    "swap/swap-cached:value": bytes_of("swap:cached"),
    "swap/swap_io-in:value": Counter("swap:in", "B", PAGE),
    "swap/swap_io-out:value": Counter("swap:out", "B", PAGE),

    "vmem/vmpage_io-memory:in": Counter("vmem:paged_in", "B", 1024),  # the kernel's pgpgin is KiB
    "vmem/vmpage_io-memory:out": Counter("vmem:paged_out", "B", 1024),
    "vmem/vmpage_io-swap:in": Counter("vmem:swapped_in", "pages"),
    "vmem/vmpage_io-swap:out": Counter("vmem:swapped_out", "pages"),
    "vmem/vmpage_faults:minflt": Counter("vmem:page_faults", "faults"),  # collectd's name: the kernel counts the major ones too
    "vmem/vmpage_faults:majflt": Counter("vmem:major_page_faults", "faults"),

    "uptime/uptime:value": Gauge("uptime:seconds", "s", tolerance=1),  # collectd: from the start's time in whole seconds
}


def rule_of(key, names):
    """The rule for a value of collectd's, from the table; the lines of /proc/vmstat have the same names in both"""
    plugin, instance, kind, field = key
    if plugin == "vmem" and kind.startswith("vmpage_number-"):
        line = kind.split("-", 1)[1]
        if "vmpage:%s:pages" % line in names:
            return Gauge("vmpage:%s:pages" % line, "pages", tolerance=2 * MIB // PAGE)
        return Counter("vmevent:%s:count" % line, "events")  # nr_ lines that only grow
    if plugin == "vmem" and kind.startswith("vmpage_action-"):
        action = kind.split("-", 1)[1]
        line = action if action in ("dirtied", "written") else "pg" + action + ("_" + instance if instance else "")
        return Counter("vmevent:%s:count" % line, "events")
    return TABLE.get("%s/%s:%s" % (plugin, kind, field))


def fill(rule, key, names):
    """The rule with its series' name complete"""
    if rule is None or rule.name is None or "%(" not in rule.name:
        return rule
    # collectd writes the mount point /dev/shm as dev-shm
    mounts = {n.split(":", 1)[1].rsplit(":", 1)[0] for n in names if n.startswith("df:")}
    mount = next((m for m in mounts if (m[1:].replace("/", "-") or "root") == key[1]), "?" + key[1])
    made = object.__new__(type(rule))
    made.__dict__.update(rule.__dict__, name=rule.name % {"instance": key[1], "mount": mount})
    return made


class Csv:
    """What collectd's csv plugin has written: (plugin, instance, type, field) -> [(time, value)]"""

    def __init__(self, folder):
        self.folder = folder

    def read(self):
        values = {}
        for path, _, files in os.walk(self.folder):
            for name in sorted(files):  # at midnight a second one of each begins
                plugin, _, instance = os.path.basename(path).partition("-")
                kind = re.sub(r"-\d{4}-\d\d-\d\d$", "", name)
                with open(os.path.join(path, name)) as f:
                    text = f.read()
                lines = text[:text.rfind("\n") + 1].splitlines()
                fields = lines[0].split(",")[1:] if lines else []
                for line in lines[1:]:
                    at, *numbers = line.split(",")
                    for field, number in zip(fields, numbers):
                        if math.isnan(float(number)):
                            continue  # collectd has no value then
                        values.setdefault((plugin, instance, kind, field), []).append((float(at), float(number)))
        # What has gone meanwhile (an interface, a mount) cannot be compared.
        newest = max((v[-1][0] for v in values.values()), default=0)
        return {key: v for key, v in values.items() if v[-1][0] > newest - 5}


class MeanTime:
    """collectd's disk_time is made: in each interval it adds the mean time of an operation, in ms. kith has the time and the operations
    themselves, of which any mean can be made; here the mean's limits are, from kith's values before and after both ends of the interval"""

    unit = "s"

    def __init__(self, disk, way):
        self.name, self.ops = "disk:%s:%s_time" % (disk, way), "disk:%s:%s_ops" % (disk, way)

    def judge(self, recorder, values):
        fit = 0
        for (was_at, was), (at, value) in zip(values, values[1:]):
            limits = [recorder.between(name, t) for name in (self.name, self.ops) for t in (was_at, at)]
            if None in limits:
                continue
            (t0, t1), (t2, t3), (n0, n1), (n2, n3) = limits
            least = 1000 * max(t2 - t1, 0) / max(n3 - n0, 1)
            most = 1000 * max(t3 - t0, 0) / max(n2 - n1, 1)
            step = value - was
            if not 0.8 * least - 2 <= step <= 1.2 * most + 2:  # an interval of collectd's is not a second to the dot
                return fit, "a step of %g ms, not between %g and %g by %s" % (step, least, most, self.name)
            fit += 1
        return fit, None


def resolve(key, names):
    if key[0] == "disk" and key[2] == "disk_time":
        return MeanTime(key[1], key[3])
    return fill(rule_of(key, names), key, names)


def traffic():
    """So that lo has something to count"""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        for _ in range(100):
            s.sendto(bytes(1000), s.getsockname())
            s.recv(2000)


def compare(csv, recorder, peer):
    def looked():
        found = csv.read()
        return {k[0] for k, v in found.items() if len(v) >= 2} >= set(PLUGINS)
    peer.wait("collectd to write values of each plugin", looked)

    def rules():
        names = set(recorder.units)
        made = {key: resolve(key, names) for key in csv.read()}
        return {key: rule for key, rule in made.items() if rule}

    wrong = wait_judged(recorder, rules, csv.read, DEADLINE)
    names = set(recorder.units)
    without = [key for key in csv.read() if not resolve(key, names)]
    wrong.update({key: "no counterpart in the table" for key in without})
    return wrong, csv.read(), rules()


suite = Suite()
program = shutil.which("collectd") or shutil.which("collectd", path="/usr/sbin:/sbin")
if not program:
    with suite.check("collectd beside kithd"):
        raise Skip("collectd is not installed")
    suite.end()

wrong, values, rules, recorder = {}, {}, {}, None
with suite.check("collectd runs beside kithd and each of its plugins gives values"):
    folder = suite.folder()
    conf = os.path.join(folder, "collectd.conf")
    with open(conf, "w") as f:
        f.write(COLLECTD_CONF % {"dir": folder})
    traffic()
    with suite.daemon(conf=KITH_CONF) as d, Processes():
        d.wait_series("processes:stopped", lambda n: n is not None and n >= 3)
        recorder = Recorder(d)
        try:
            wait_for("kith's first samples", lambda: recorder.of("load:1m"), alive=d)
            with Peer([program, "-f", "-C", conf], os.path.join(folder, "log")) as peer:
                wrong, values, rules = compare(Csv(os.path.join(folder, "csv")), recorder, peer)
        finally:
            recorder.end()

for plugin in PLUGINS:
    mine = [key for key in values if key[0] == plugin]
    with suite.check("%s: each of collectd's %d values is kith's as well" % (plugin, len(mine))):
        assert mine, "collectd gave no value"
        faults = ["%s-%s/%s %s: %s" % (*key, why) for key, why in sorted(wrong.items()) if key[0] == plugin]
        assert not faults, "\n".join(faults)

with suite.check("namespaces: both read files with swap, guests and stolen time in them: the same values to the dot"):
    tree = os.path.join(SOURCE, "tests", "data", "proc", "hand-4.14")
    recorded = [name for name in RECORDED if os.path.exists(os.path.join(tree, "proc", name))]
    mounts = " && ".join("mount --bind '%s/proc/%s' /proc/%s" % (tree, name, name) for name in recorded)
    if subprocess.run(["unshare", "-m", "sh", "-c", mounts], capture_output=True).returncode != 0:
        raise Skip("no file of /proc can be covered here; it takes root")
    folder = suite.folder()
    with open(os.path.join(folder, "collectd.conf"), "w") as f:
        f.write(COLLECTD_CONF % {"dir": folder})
    command = ["unshare", "-m", "sh", "-c", mounts + " && exec '%s' -f -C '%s/collectd.conf'" % (program, folder)]
    csv = Csv(os.path.join(folder, "csv"))

    def wanted():
        return {key: v for key, v in csv.read().items() if key[0] in FROM_RECORDED or key[2] == "fork_rate"}

    def rules_to_the_dot(names):
        made = {key: copy.copy(resolve(key, names)) for key in wanted()}
        for rule in filter(None, made.values()):
            rule.__dict__.update({k: 0 for k in ("tolerance", "back") if k in rule.__dict__})
        assert all(made.values()), [key for key in made if not made[key]]
        return made

    with suite.daemon(conf=KITH_CONF + 'root = "%s"\n' % tree) as d:
        still = Recorder(d)
        try:
            d.wait_series("swap:cached")
            with Peer(command, os.path.join(folder, "log")) as peer:
                peer.wait("collectd to write", lambda: {key[0] for key in wanted()} >= FROM_RECORDED)
                faults = wait_judged(still, lambda: rules_to_the_dot(set(still.units)), wanted, DEADLINE)
        finally:
            still.end()
    assert not faults, "\n".join("%s-%s/%s %s: %s" % (*key, why) for key, why in sorted(faults.items()))
    given = {key[2]: v[-1][1] for key, v in wanted().items()}
    assert all(given[kind] for kind in ("swap-used", "swap-cached", "swap_io-in", "cpu-steal", "cpu-guest")), given

with suite.check("a value of collectd's that is 5 % off would have been seen, and one without counterpart"):
    seen, unseen = seen_when_off(recorder, rules, values)
    assert not unseen and {key[0] for key in seen} >= {"cpu", "df", "vmem"}, (seen, unseen)
    assert resolve(("memory", "", "memory-new", "value"), set(recorder.units)) is None
    assert judge(recorder, Gauge("memory:new", "B"), [(0, 0)]) == "kith has no series memory:new"

suite.end()
