#!/usr/bin/python3
"""The real prometheus-node-exporter beside kithd: what it says of processors, memory, load, disks, file systems, interfaces and paging is
what kith says, number for number."""
import http.client
import os
import re
import shutil
import socket
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from kithtest import Skip, Suite, wait_for  # noqa: E402
from peertest import Counter, Gauge, Peer, Recorder, seen_when_off, wait_judged  # noqa: E402

MIB = 1 << 20
DEADLINE = 25  # seconds until every value has to fit
COLLECTORS = ["cpu", "meminfo", "netdev", "filesystem", "diskstats", "loadavg", "stat", "vmstat"]
KITH_CONF = """
interval = 100ms
cpu_budget = 100%
plugin disk { ignore = [] }
plugin df { all = true; ignore = []; ignore_types = [] }
"""

MEMORY = {
    "MemTotal": "total", "MemFree": "free", "MemAvailable": "available", "Buffers": "buffers", "Cached": "cached", "Active": "active",
    "Inactive": "inactive", "Unevictable": "unevictable", "Mlocked": "locked", "Dirty": "dirty", "Writeback": "writeback",
    "AnonPages": "anonymous", "Mapped": "mapped", "Shmem": "shared", "SReclaimable": "slab_reclaimable",
    "SUnreclaim": "slab_unreclaimable", "KernelStack": "kernel_stack", "PageTables": "page_tables", "CommitLimit": "commit_limit",
    "Committed_AS": "committed", "VmallocUsed": "vmalloc_used", "Percpu": "per_cpu", "AnonHugePages": "anonymous_huge",
}
DISK = {
    "reads_completed_total": ("read_ops", "ops"), "reads_merged_total": ("read_merged", "ops"), "read_bytes_total": ("read_bytes", "B"),
    "read_time_seconds_total": ("read_time", "s"), "writes_completed_total": ("write_ops", "ops"),
    "writes_merged_total": ("write_merged", "ops"), "written_bytes_total": ("write_bytes", "B"),
    "write_time_seconds_total": ("write_time", "s"), "io_time_seconds_total": ("io_time", "s"),
    "io_time_weighted_seconds_total": ("weighted_io_time", "s"), "discards_completed_total": ("discard_ops", "ops"),
    "discards_merged_total": ("discard_merged", "ops"), "discarded_sectors_total": ("discard_bytes", "B", 512),
    "discard_time_seconds_total": ("discard_time", "s"), "flush_requests_total": ("flush_ops", "ops"),
    "flush_requests_time_seconds_total": ("flush_time", "s"),
}
NETWORK = {"bytes": ("bytes", "B"), "packets": ("packets", "packets"), "errs": ("errors", "packets"), "drop": ("dropped", "packets")}
VMSTAT = {"pgfault": ("page_faults", "faults"), "pgmajfault": ("major_page_faults", "faults"), "pgpgin": ("paged_in", "B", 1024),
          "pgpgout": ("paged_out", "B", 1024), "pswpin": ("swapped_in", "pages"), "pswpout": ("swapped_out", "pages"),
          "oom_kill": ("oom_kills", "kills")}

# Name of theirs -> the rule, made of their labels. Names of theirs that are not here are not compared.
TABLE = {
    # They and kith each hold an estimate of the kernel's that steps back, from their own start on.
    "node_cpu_seconds_total": lambda l: Counter("cpu:%(cpu)s:%(mode)s" % l, "s", back=0.5 if l["mode"] in ("idle", "iowait") else 0),
    "node_cpu_guest_seconds_total":
        lambda l: Counter("cpu:%s:%s" % (l["cpu"], {"user": "guest", "nice": "guest_nice"}[l["mode"]]), "s"),
    "node_load1": lambda l: Gauge("load:1m", "1"),
    "node_load5": lambda l: Gauge("load:5m", "1"),
    "node_load15": lambda l: Gauge("load:15m", "1"),
    "node_forks_total": lambda l: Counter("processes:forks", "forks"),
    "node_procs_running": lambda l: Gauge("processes:running", "threads", tolerance=3),
    "node_procs_blocked": lambda l: Gauge("processes:blocked", "threads", tolerance=3),
    "node_filesystem_size_bytes": lambda l: Gauge("df:%(mountpoint)s:total" % l, "B"),
    "node_filesystem_avail_bytes": lambda l: Gauge("df:%(mountpoint)s:free" % l, "B", tolerance=2 * MIB),
    "node_filesystem_files": lambda l: Gauge("df:%(mountpoint)s:inodes_total" % l, "inodes"),
    "node_filesystem_files_free": lambda l: Gauge("df:%(mountpoint)s:inodes_free" % l, "inodes", tolerance=100),
    "node_disk_io_now": lambda l: Gauge("disk:%(device)s:in_flight" % l, "ops", tolerance=8),
}
for theirs, ours in MEMORY.items():
    TABLE["node_memory_%s_bytes" % theirs] = lambda l, ours=ours: Gauge("memory:" + ours, "B", tolerance=2 * MIB)
for theirs, ours in DISK.items():
    TABLE["node_disk_" + theirs] = lambda l, ours=ours: Counter("disk:%s:%s" % (l["device"], ours[0]), *ours[1:])
for theirs, ours in NETWORK.items():
    for way, short in (("receive", "rx"), ("transmit", "tx")):
        TABLE["node_network_%s_%s_total" % (way, theirs)] = \
            lambda l, ours=ours, short=short: Counter("interface:%s:%s_%s" % (l["device"], short, ours[0]), ours[1])
for theirs, ours in VMSTAT.items():
    TABLE["node_vmstat_" + theirs] = lambda l, ours=ours: Counter("vmem:" + ours[0], *ours[1:])


class Scraper:
    """Asks the exporter again and again: (name, labels) -> [(time, value)]"""

    def __init__(self, port):
        self.port, self.values, self.lock, self.next = port, {}, threading.Lock(), 0

    def scrape(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", "/metrics")
            text = connection.getresponse().read().decode()
        finally:
            connection.close()
        return time.time(), text

    def answers(self):
        try:
            return self.scrape()
        except OSError:
            return None

    def read(self):
        """What was asked so far, and once more when that was half a second ago"""
        if time.monotonic() >= self.next:
            at, text = self.scrape()
            self.next = time.monotonic() + 0.5
            for name, labels, value in re.findall(r"^(node_\w+)(?:\{(.*)\})? (\S+)$", text, re.M):
                if name in TABLE:
                    self.values.setdefault((name, labels), []).append((at, float(value)))
        newest = max((v[-1][0] for v in self.values.values()), default=0)
        return {key: v for key, v in self.values.items() if v[-1][0] > newest - 5}

    def rules(self):
        return {key: TABLE[key[0]](dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', key[1]))) for key in self.read()}


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


suite = Suite()
program = shutil.which("prometheus-node-exporter") or shutil.which("node_exporter")
if not program:
    with suite.check("node_exporter beside kithd"):
        raise Skip("prometheus-node-exporter is not installed")
    suite.end()

wrong, values, rules, recorder = {}, {}, {}, None
with suite.check("node_exporter runs beside kithd and gives values"):
    port = free_port()
    command = [program, "--web.listen-address=127.0.0.1:%d" % port, "--collector.disable-defaults"]
    with suite.daemon(conf=KITH_CONF) as d:
        recorder = Recorder(d)
        try:
            wait_for("kith's first samples", lambda: recorder.of("load:1m"), alive=d)
            log = os.path.join(suite.folder(), "log")
            with Peer(command + ["--collector." + c for c in COLLECTORS], log) as peer:
                scraper = Scraper(port)
                peer.wait("node_exporter to answer", scraper.answers)
                wrong = wait_judged(recorder, scraper.rules, scraper.read, DEADLINE)
                values, rules = scraper.read(), scraper.rules()
        finally:
            recorder.end()

for part in ("cpu", "memory", "load", "disk", "filesystem", "network", "vmstat", "procs", "forks"):
    mine = [key for key in values if key[0].startswith("node_" + part)]
    with suite.check("%s: node_exporter's %d values are kith's as well" % (part, len(mine))):
        assert mine, "node_exporter gave no value"
        faults = ["%s{%s}: %s" % (*key, why) for key, why in sorted(wrong.items()) if key in mine]
        assert not faults, "\n".join(faults)

with suite.check("a value of node_exporter's that is 5 % off would have been seen"):
    seen, unseen = seen_when_off(recorder, rules, values)
    assert len(seen) >= 10 and not unseen, (seen, unseen)

suite.end()
