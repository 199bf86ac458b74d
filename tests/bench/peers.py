"""The peers, each told to gather what kith's ten base plugins do: cpu memory load interface disk df processes swap vmem
uptime."""
import glob
import http.client
import os
import re
import shutil
import socket
import subprocess
import threading
import time

from kith import Program

REAL_TYPES = ("ext2", "ext3", "ext4", "xfs", "btrfs", "tmpfs", "overlay", "vfat", "f2fs", "zfs")


def mount_points():
    """File systems that kith's df would show"""
    found = {}
    with open("/proc/self/mounts", encoding="utf-8") as f:
        for line in f:
            device, where, kind = line.split()[:3]
            if kind in REAL_TYPES and "\\" not in where:
                found.setdefault(device if device.startswith("/") else where, where)
    return list(found.values())


def is_up(name):
    """Monit says each round that a link is down."""
    try:
        with open(f"/sys/class/net/{name}/operstate", encoding="utf-8") as f:
            return f.read().strip() in ("up", "unknown")
    except OSError:
        return False


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def fetch(port, path, patience=10.0):
    """A page from a program that may just be starting"""
    end = time.monotonic() + patience
    while True:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", path)
            return connection.getresponse().read().decode("utf-8", "replace")
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)
        finally:
            connection.close()


class Collectd(Program):
    name = "collectd"
    package = "collectd-core"
    binary = "/usr/sbin/collectd"
    note = "no write plugin: values end in its cache"
    writer = ""

    def absent(self):
        return None if os.access(self.binary, os.X_OK) else "collectd is not installed"

    def head(self, interval):
        return [
            'Hostname "bench"',
            "FQDNLookup false",
            f"Interval {interval}",
            f'BaseDir "{self.folder}"',
            f'PIDFile "{self.folder}/pid"',
            'TypesDB "/usr/share/collectd/types.db"',
            "LoadPlugin logfile",
            f'<Plugin logfile>\nLogLevel warning\nFile "{self.folder}/log"\n</Plugin>',
        ]

    def config(self, interval, writer):
        plugins = "cpu memory load interface disk df processes swap vmem uptime".split()
        lines = self.head(interval)
        lines += [f"LoadPlugin {p}" for p in plugins]
        lines.append(
            "<Plugin df>\nReportInodes true\nValuesPercentage true\n"
            + "".join(f'FSType "{t}"\n' for t in REAL_TYPES)
            + "</Plugin>"
        )
        return "\n".join(lines) + "\n" + writer

    def prepare(self, interval):
        path = self.file("collectd.conf", self.config(interval, self.writer))
        return [self.binary, "-f", "-C", path], {}

    def prepare_csv(self, interval):
        writer = f'LoadPlugin csv\n<Plugin csv>\nDataDir "{self.folder}/csv"\n</Plugin>\n'
        return [self.binary, "-f", "-C", self.file("collectd.conf", self.config(interval, writer))], {}

    def count_values(self):
        """The columns of what its csv plugin writes"""
        self.start(1, self.prepare_csv)
        time.sleep(4.5)
        count = 0
        for path in glob.glob(f"{self.folder}/csv/**/*", recursive=True):
            if os.path.isfile(path):
                with open(path, encoding="utf-8", errors="replace") as f:
                    count += f.readline().count(",")
        self.stop()
        return count


class CollectdRrd(Collectd):
    name = "collectd+rrd"
    note = "its rrdtool plugin as it comes"

    @property
    def writer(self):
        return f'LoadPlugin rrdtool\n<Plugin rrdtool>\nDataDir "{self.folder}/rrd"\n</Plugin>\n'

    def absent(self):
        why = super().absent()
        if why:
            return why
        found = glob.glob("/usr/lib/collectd/rrdtool.so")
        if not found:
            return "collectd's rrdtool plugin is not installed"
        linked = subprocess.run(["ldd", found[0]], capture_output=True, text=True, check=False).stdout
        if "not found" in linked:
            self.package = "librrd8"
            return "collectd's rrdtool plugin lacks librrd"
        return None

    def count_values(self):
        return self.bench.counted.get(Collectd.name) or super().count_values()


NETDATA_PROC = {
    "yes": [
        "/proc/stat",
        "/proc/uptime",
        "/proc/loadavg",
        "/proc/vmstat",
        "/proc/meminfo",
        "/proc/net/dev",
        "/proc/diskstats",
    ],
    "no": [
        "netdata server resources",
        "/proc/pagetypeinfo",
        "/proc/sys/kernel/random/entropy_avail",
        "/proc/pressure",
        "/proc/interrupts",
        "/proc/softirqs",
        "/sys/kernel/mm/ksm",
        "/sys/block/zram",
        "/sys/devices/system/edac/mc",
        "/sys/devices/system/node",
        "/proc/net/wireless",
        "/proc/net/sockstat",
        "/proc/net/sockstat6",
        "/proc/net/netstat",
        "/proc/net/snmp",
        "/proc/net/snmp6",
        "/proc/net/sctp/snmp",
        "/proc/net/softnet_stat",
        "/proc/net/ip_vs/stats",
        "/sys/class/infiniband",
        "/proc/net/stat/conntrack",
        "/proc/net/stat/synproxy",
        "/proc/mdstat",
        "/proc/net/rpc/nfsd",
        "/proc/net/rpc/nfs",
        "/proc/spl/kstat/zfs/arcstats",
        "/proc/spl/kstat/zfs/pool/state",
        "/sys/fs/btrfs",
        "ipc",
        "/sys/class/power_supply",
    ],
}


NETDATA_OFF = (
    "timex idlejitter cgroups tc apps ebpf go.d python.d charts.d node.d fping ioping nfacct perf slabinfo statsd"
).split()


class Netdata(Program):
    name = "netdata"
    package = "netdata-core"
    binary = "/usr/sbin/netdata"
    settle = 10.0  # it writes its metadata database first
    database = {"mode": "ram", "retention": 300}
    note = "proc and diskspace plugins alone, 300 values of each in memory; no web, health, ml, statsd, cloud"

    def absent(self):
        return None if os.access(self.binary, os.X_OK) else "netdata is not installed"

    def config(self, interval, port):
        plugins = {"proc": "yes", "diskspace": "yes"}
        for name in NETDATA_OFF:
            plugins[name] = "no"
        plugins.update(
            {
                "checks": "no",
                "enable running new plugins": "no",
                "netdata monitoring": "no",
                "netdata monitoring extended": "no",
            }
        )
        sections = {
            "global": {
                "run as user": "root",
                "process scheduling policy": "keep",
                "hostname": "bench",
                "timezone": "UTC",
                "pthread stack size": "8388608",
            },
            "db": {**self.database, "update every": interval},
            "directories": {name: self.sub_folder(name) for name in ("config", "cache", "lib", "log", "home", "lock")},
            "logs": {name: "none" for name in ("debug", "access", "error", "health", "collector")},
            "plugins": plugins,
            "plugin:proc": {name: answer for answer, names in NETDATA_PROC.items() for name in names},
            "web": {
                "mode": "static-threaded" if port else "none",
                "bind to": f"127.0.0.1:{port}" if port else "",
                "default port": port or 19999,
            },
            "health": {"enabled": "no"},
            "ml": {"enabled": "no"},
            "statsd": {"enabled": "no"},
            "registry": {"enabled": "no"},
        }
        sections["directories"]["web"] = "/usr/share/netdata/web"
        os.makedirs(f"{self.folder}/lib/cloud.d", exist_ok=True)
        self.file("lib/cloud.d/cloud.conf", "[global]\n\tenabled = no\n")
        return "\n".join(f"[{s}]\n" + "".join(f"\t{k} = {v}\n" for k, v in kv.items()) for s, kv in sections.items())

    def prepare(self, interval, port=0):
        path = self.file("netdata.conf", self.config(interval, port))
        return [self.binary, "-D", "-c", path, "-P", f"{self.folder}/pid"], {
            "DISABLE_TELEMETRY": "1",
            "DO_NOT_TRACK": "1",
        }

    def count_values(self):
        """Dimensions, as its own API lists them"""
        port = free_port()
        self.start(1, lambda interval: self.prepare(interval, port))
        time.sleep(4)
        page = fetch(port, "/api/v1/allmetrics?format=json&help=no&types=no")
        self.stop()
        return len(re.findall(r'"value":\s*(?!null)', page))


PCP_METRICS = """
kernel.all.cpu kernel.percpu.cpu kernel.all.load kernel.all.uptime kernel.all.nprocs kernel.all.running
kernel.all.blocked kernel.all.sysfork mem.util.used mem.util.free mem.util.available mem.util.bufmem mem.util.cached
mem.util.active mem.util.inactive mem.util.unevictable mem.util.mlocked mem.util.dirty mem.util.writeback
mem.util.anonpages mem.util.mapped mem.util.shmem mem.util.slabReclaimable mem.util.slabUnreclaimable
mem.util.kernelStack mem.util.pageTables mem.util.commitLimit mem.util.committed_AS mem.util.vmallocUsed
mem.util.anonhugepages mem.util.hugepagesTotalBytes mem.util.hugepagesFreeBytes mem.util.hugepagesRsvdBytes
network.interface.in network.interface.out network.interface.collisions network.interface.mtu network.interface.up
network.interface.running disk.dev.read disk.dev.write disk.dev.read_bytes disk.dev.write_bytes disk.dev.read_merge
disk.dev.write_merge disk.dev.read_rawactive disk.dev.write_rawactive disk.dev.avactive disk.dev.aveq
disk.dev.inflight disk.dev.discard disk.dev.discard_bytes disk.dev.discard_merge disk.dev.discard_rawactive
disk.dev.flush disk.dev.flush_rawactive filesys.capacity filesys.used filesys.free filesys.avail filesys.full
filesys.maxfiles filesys.usedfiles filesys.freefiles filesys.readonly swap.length swap.used swap.free swap.pagesin
swap.pagesout mem.vmstat.pgpgin mem.vmstat.pgpgout mem.vmstat.pswpin mem.vmstat.pswpout mem.vmstat.pgfault
mem.vmstat.pgmajfault mem.vmstat.pgsteal_kswapd mem.vmstat.pgsteal_direct mem.vmstat.pgscan_kswapd
mem.vmstat.pgscan_direct mem.vmstat.oom_kill
""".split()
PCP_LINUX = "add,60,/var/lib/pcp/pmdas/linux/pmda_linux.so,linux_init"


class Pmlogger(Program):
    name = "pmlogger"
    package = "pcp"
    binary = "/usr/bin/pmlogger"
    note = "-o: the linux agent within the process, no pmcd; an archive on disk"

    def absent(self):
        if not os.access(self.binary, os.X_OK):
            return "pcp is not installed"
        return (
            None
            if os.path.exists("/var/lib/pcp/pmns/Rebuild")
            else "pcp has no name space to build (/var/lib/pcp/pmns/Rebuild)"
        )

    def environment(self):
        """A name space of its own: that of the system is built only when pmcd is first started."""
        variable = self.sub_folder("var")
        self.sub_folder("tmp")
        shutil.copytree("/var/lib/pcp/pmns", f"{variable}/pmns", symlinks=True)
        with open("/etc/pcp.conf", encoding="utf-8") as f:
            text = f.read()
        for name, value in (
            ("PCP_VAR_DIR", variable),
            ("PCP_TMP_DIR", f"{self.folder}/tmp"),
            ("PCP_TMPFILE_DIR", f"{self.folder}/tmp"),
            ("PCP_RUN_DIR", f"{self.folder}/tmp"),
            ("PCP_LOG_DIR", self.folder),
        ):
            text = re.sub(rf"^{name}=.*", f"{name}={value}", text, flags=re.M)
        environment = {"PCP_CONF": self.file("pcp.conf", text, 0o644), "PCP_DIR": ""}
        subprocess.run(
            ["./Rebuild", "-s"],
            cwd=f"{variable}/pmns",
            env={**os.environ, **environment},
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        return environment

    def prepare(self, interval):
        environment = self.environment()
        config = self.file(
            "pmlogger.conf", f"log mandatory on {interval} sec {{\n" + "\n".join(PCP_METRICS) + "\n}\n", 0o644
        )
        return [
            self.binary,
            "-o",
            "-K",
            PCP_LINUX,
            "-c",
            config,
            "-l",
            f"{self.folder}/log",
            "-U",
            "root",
            f"{self.folder}/archive",
        ], environment

    def count_values(self):
        self.folder = self.bench.make_folder(self.name)
        out = subprocess.run(
            ["pminfo", "-L", "-K", PCP_LINUX, "-f"] + PCP_METRICS,
            env={**os.environ, **self.environment()},
            capture_output=True,
            text=True,
            check=False,
        ).stdout
        shutil.rmtree(self.folder, ignore_errors=True)
        return len(re.findall(r"^\s+(?:inst \[.*\] )?value ", out, re.M))


class Monit(Program):
    name = "monit"
    package = "monit"
    binary = "/usr/bin/monit"
    note = "system, file systems, interfaces, one process; no httpd"

    def absent(self):
        return None if os.access(self.binary, os.X_OK) else "monit is not installed"

    def head(self, interval):
        return [
            f"set daemon {interval}",
            f"set logfile {self.folder}/log",
            f"set pidfile {self.folder}/pid",
            f"set idfile {self.folder}/id",
            f"set statefile {self.folder}/state",
        ]

    def config(self, interval, port):
        lines = self.head(interval)
        if port:
            lines.append(f"set httpd port {port} and use address 127.0.0.1 allow 127.0.0.1")
        lines.append(
            "check system bench\n  if loadavg (1min) > 9999 then alert\n  if cpu usage > 99% for 60 cycles then alert\n"
            "  if memory usage > 99% for 60 cycles then alert\n  if swap usage > 99% for 60 cycles then alert"
        )
        for i, where in enumerate(mount_points()):
            lines.append(
                f"check filesystem fs{i} with path {where}\n  if space usage > 99.9% for 60 cycles then alert\n"
                "  if inode usage > 99.9% for 60 cycles then alert"
            )
        for i, name in enumerate(sorted(os.listdir("/sys/class/net"))):
            if is_up(name):
                lines.append(f"check network net{i} with interface {name}\n  if download > 99 GB/s then alert")
        lines.append(
            'check process bench_first matching "bench/bench.py"\n  if total cpu > 99% for 60 cycles then alert'
        )
        return "\n".join(lines) + "\n"

    def prepare(self, interval, port=0):
        return [self.binary, "-I", "-c", self.file("monitrc", self.config(interval, port))], {}

    def count_values(self):
        """Numbers in the status that it gives out, without those about monit itself"""
        port = free_port()
        self.start(1, lambda interval: self.prepare(interval, port))
        time.sleep(2.5)
        page = fetch(port, "/_status?format=xml")
        self.stop()
        services = "".join(re.findall(r"<service type.*?</service>", page, re.S))
        own = (
            "status",
            "status_hint",
            "monitor",
            "monitormode",
            "onreboot",
            "pendingaction",
            "collected_sec",
            "collected_usec",
            "mode",
            "uid",
            "gid",
            "euid",
            "pid",
            "ppid",
            "timestamp",
        )
        return sum(1 for tag, _ in re.findall(r"<(\w+)>(-?[\d.]+)</\1>", services) if tag not in own)


class NodeExporter(Program):
    name = "node_exporter"
    package = "prometheus-node-exporter"
    binary = "/usr/bin/prometheus-node-exporter"
    note = "scraped once an interval over loopback; the scraper is not counted"
    collectors = "cpu meminfo loadavg netdev diskstats filesystem processes stat vmstat".split()

    def __init__(self, bench):
        super().__init__(bench)
        self.port = 0
        self.end = threading.Event()
        self.thread = None
        self.count = None

    def absent(self):
        return None if os.access(self.binary, os.X_OK) else "prometheus-node-exporter is not installed"

    def prepare(self, interval):
        self.port = free_port()
        return [
            self.binary,
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--web.disable-exporter-metrics",
            "--collector.disable-defaults",
            "--log.level=error",
        ] + [f"--collector.{c}" for c in self.collectors], {}

    def scrape(self, interval):
        connection = None
        while not self.end.wait(interval - time.time() % interval):
            try:
                connection = connection or http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
                connection.request("GET", "/metrics")
                page = connection.getresponse().read()
                self.count = sum(
                    1 for line in page.splitlines() if line.startswith(b"node_") and not line.startswith(b"node_scrape")
                )
            except (OSError, http.client.HTTPException):
                connection = None
        if connection:
            connection.close()

    def started(self, interval):
        self.end.clear()
        self.thread = threading.Thread(target=self.scrape, args=(interval,), daemon=True)
        self.thread.start()

    def stopping(self):
        self.end.set()
        if self.thread:
            self.thread.join()

    def values(self):
        return self.count


PEERS = [Collectd, CollectdRrd, Netdata, Pmlogger, Monit, NodeExporter]
