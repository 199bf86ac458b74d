"""What others do with the same events, to the first instruction of their action (stamp.c): latency.c makes the events and waits for the actions. kithd's own
actions are in the rows of its sources."""
import contextlib
import os
import shutil
import subprocess
import time

import latency
from detection import Room, Stamps, room_crossings, room_programs
from holders import Pmcd, Pmie
from kith import Program
from peers import Collectd, Monit, free_port
from source_rows import Left, row


class Actor(Program):
    """A program that runs stamp.c for what it sees. `prefix`: argv before it, into a namespace"""

    prefix = ()

    def __init__(self, bench):
        super().__init__(bench)
        why = self.absent()
        if why:
            raise Left(f"{why} (apt-get install {self.package})")
        # Some run their actions as another user, who has to reach them.
        os.chmod(bench.folder, 0o711)
        self.outside = bench.make_folder("outside")
        os.chmod(self.outside, 0o755)
        self.stamp = shutil.copy(bench.helper("stamp"), self.outside)
        self.socket = os.path.join(self.outside, "stamps")

    @contextlib.contextmanager
    def running(self, interval, settle):
        try:
            self.start(interval)
            time.sleep(settle)
            self.check()
            yield self
        finally:
            self.stop()

    def measure(self, name, rounds, pause, *act, prefix=()):
        """A row. `pause` in ms, and as much again at random, on each side of an event"""
        found = latency.act_rounds(self.bench, "-", "-", f"{rounds}:{pause}", self.socket, act, prefix)
        return row(f"{self.name} {name}, to its action", [at for _, at in found], None, 1000)


# ---- collectd ------------------------------------------------------------------------------------------------------


class CollectdActor(Collectd, Actor):
    """One plugin of its, which tells by notifications"""

    def __init__(self, bench, plugin, block, prefix=()):
        self.plugin, self.block, self.prefix = plugin, block, list(prefix)
        Actor.__init__(self, bench)
        self.name = f"collectd {plugin}"

    def absent(self):
        if super().absent() or not os.path.exists(f"/usr/lib/collectd/{self.plugin}.so"):
            return f"collectd or its plugin {self.plugin} is not installed"
        return None

    def prepare(self, interval):
        text = self.head(interval) + [f"LoadPlugin {self.plugin}", "LoadPlugin exec", f"<Plugin {self.plugin}>\n{self.block}\n</Plugin>",
                                      f'<Plugin exec>\nNotificationExec "nobody" "{self.stamp}" "{self.socket}"\n</Plugin>']
        # It closes every descriptor that there may be before it runs a program, one by one: as many as systemd gives a service
        return [*self.prefix, "prlimit", "--nofile=1024", self.binary, "-f", "-C", self.file("collectd.conf", "\n".join(text) + "\n")], {}


def victim(bench):
    path = os.path.join(bench.make_folder("victim"), "kithbenched")
    os.symlink(bench.helper("latency"), path)
    return path


def collectd_exit(bench, t, quick):
    # The manual gives 10 as BufferLength's default; without a value it is 0, and the plugin drops every event ("ring buffer full").
    with CollectdActor(bench, "procevent", 'BufferLength 1000\nProcess "kithbenched"').running(10, 3) as c:
        t.rows.append(c.measure("(process exit)", 6 if quick else 50, 150, "exit", victim(bench)))


def collectd_link(bench, t, quick):
    holder = subprocess.Popen(["unshare", "-n", "sleep", "1000"], start_new_session=True)
    inside = ("nsenter", "-t", str(holder.pid), "-n")
    try:
        time.sleep(0.3)
        for command in ("link add kb0 type veth peer name kb1", "link set kb1 up"):
            subprocess.run([*inside, "ip", *command.split()], check=True)
        with CollectdActor(bench, "connectivity", 'Interface "kb0"', inside).running(10, 3) as c:
            t.rows.append(c.measure("(link down)", 6 if quick else 50, 150, "link", "kb0", prefix=inside))
    finally:
        holder.kill()
        holder.wait()


# As the manual has rsyslog send it
SYSLOG = ('{"@timestamp":"2026-01-01T00:00:00.000000+00:00","@source_host":"bench","@source":"syslog://127.0.0.1","@message":"kith: %s",'
          '"@fields":{"facility":"user","severity-num":"3","severity":"err","program":"kith","processid":"1"}}')


def collectd_syslog(bench, t, quick):
    port = str(free_port())
    block = f'Listen "127.0.0.1" "{port}"\nBufferSize 4096\nBufferLength 1000\nRegexFilter "/broken/"'
    with CollectdActor(bench, "sysevent", block).running(10, 3) as c:
        t.rows.append(c.measure("(a datagram of rsyslog's)", 6 if quick else 50, 150, "datagram", port, SYSLOG % "kept", SYSLOG % "broken"))


# ---- programs that poll --------------------------------------------------------------------------------------------


class MonitActor(Monit, Actor):
    def __init__(self, bench, check):
        self.check_text = check
        Actor.__init__(self, bench)

    def prepare(self, interval):
        text = "\n".join(self.head(interval)) + "\n" + self.check_text + f' then exec "{self.stamp} {self.socket}"\n'
        return [self.binary, "-I", "-c", self.file("monitrc", text)], {}


def monit(bench, t, quick):
    # Its shortest cycle is a second; matching, as the process is another each time.
    rounds, path = 3 if quick else 20, os.path.join(bench.make_folder("monit"), "watched")
    with MonitActor(bench, 'check process victim matching "/kithbenched --victim$"\n  if does not exist').running(1, 3) as m:
        t.rows.append(m.measure("at 1 s (process exit)", rounds, 1200, "exit", victim(bench)))
    with open(path, "w") as f:
        f.write("kept")
    with MonitActor(bench, f"check file watched with path {path}\n  if changed checksum").running(1, 3) as m:
        t.rows.append(m.measure("at 1 s (file written)", rounds, 1200, "write", path, "kept", "broken"))


def pmie(bench, t, quick):
    """A tmpfs that fills, which nobody announces: kithd looks at it in rounds of a second, too"""
    why = Pmie(bench, "", None).absent() or Pmcd(bench).absent()
    if why:
        raise Left(f"{why} (apt-get install pcp)")
    names, began = ["kithd", "pmie"], []
    stamps, room = Stamps(bench, [*names, "kithd, no attention"]), None
    try:
        room = Room(bench)
        room.leave_free(48 << 20)
        for p in room_programs(bench, room, stamps, {"pmie"}):
            if p.name != "kithd, no attention":
                began.append(p)
                time.sleep((p.phase - time.time()) % 1)
                p.start(1)
        time.sleep(4)
        found, _ = room_crossings(bench, room, stamps, names, 3 if quick else 20)
    finally:
        for p in reversed(began):
            p.stop()
        if room:
            room.close()
        stamps.close()
    for name, what in (("pmie", "pmie at 1 s"), ("kithd", "kithd at 1 s")):
        t.rows.append(row(f"{what} (a tmpfs fills), to its action", [ns / 1000 for ns in found[name]]))


def osquery(bench, t, quick):
    raise Left("Debian has no package of it")


PARTS = {"collectd procevent": collectd_exit, "collectd connectivity": collectd_link, "collectd sysevent": collectd_syslog, "monit": monit, "pmie": pmie,
         "osquery": osquery}
