"""Services: how long after the supervisor's own signal, as a process that only listens receives it, the transition is there (service_latency.c); what the
plugin holds in memory; and systemd's own ways to act, beside kithd's action for the same event. s6 and runit run in folders of their own,
systemd in a container."""
import os
import re
import shutil
import signal
import subprocess
import time

import latency
from detection import Stamps
from source_rows import Left, programs, row

PROMISE = 'bundle s {\n promise good {\n promiser service:%s\n keep service:%s:state == "active"\n }\n}\n'
UNITS = 300
RUN = "#!/bin/sh\nexec sleep 10000\n"


def helper(bench):
    path = bench.helper("service_latency")
    if not os.access(path, os.X_OK):
        raise Left("it is built with libsystemd alone")
    return path


def add_rows(t, what, out, cpu_us):
    rounds = [[int(x) / 1000 for x in line.split()] for line in out.splitlines()]
    cpu = cpu_us / (2 * len(rounds)) if rounds else None
    t.rows.append(row(f"service, {what}: stopped, after its own signal", [r[0] for r in rounds], cpu))
    t.rows.append(row(f"service, {what}: started, after its own signal", [r[1] for r in rounds], cpu))


def supervised(bench, t, what, supervisor, folder, count):
    """With a supervisor that runs: both wait for a second between two starts"""
    d = latency.Daemon(bench, what)
    other = "runit" if what == "s6" else "s6"
    d.conf = f'plugin service {{\n {what} = ["{folder}"]\n {other} = ["/nonexistent"]\n}}\n'
    d.file("promises.d/s.promise", PROMISE % ("good", "good"))
    p = subprocess.Popen([*supervisor, folder], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                         start_new_session=True)
    try:
        while not os.path.exists(os.path.join(folder, "good", "supervise", "status")):
            time.sleep(0.05)
            if p.poll() is not None:
                raise Left(f"{supervisor[0]} ended")
        time.sleep(1.2)
        d.start()
        spent = d.cost_us("service", "s.good")
        out = subprocess.run([helper(bench), d.socket, "s.good", str(count), what, os.path.join(folder, "good")], capture_output=True, text=True,
                             check=True, timeout=300).stdout
        add_rows(t, what, out, d.cost_us("service", "s.good") - spent)
    finally:
        d.stop()
        p.send_signal(signal.SIGHUP if what == "runit" else signal.SIGTERM)  # both take their services with them
        try:
            p.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(p.pid, signal.SIGKILL)
            p.wait()


def service_folder(bench):
    folder = bench.make_folder("services")
    os.mkdir(os.path.join(folder, "good"))
    path = os.path.join(folder, "good", "run")
    with open(path, "w") as f:
        f.write(RUN)
    os.chmod(path, 0o755)
    return folder


def s6(bench, t, quick):
    programs(("s6-svscan", "s6"))
    supervised(bench, t, "s6", ["s6-svscan"], service_folder(bench), 5 if quick else 20)


def runit(bench, t, quick):
    programs(("runsvdir", "runit"))
    supervised(bench, t, "runit", ["runsvdir"], service_folder(bench), 5 if quick else 20)


# ---- systemd -------------------------------------------------------------------------------------------------------

ACTING = """bundle k {{
 promise victim {{ promiser x
  keep service:kb-victim.service:state == "active"
  on broken run "{stamp}" "{folder}/kithd" at most 1000 per 1m }}
 promise file {{ promiser x
  keep file:"/run/kb/file":size < 10B
  on broken run "{stamp}" "{folder}/kithd-file" at most 1000 per 1m }}
}}
"""
UNIT = {
    "kb-victim.service": "[Unit]\nStartLimitIntervalSec=0\nOnFailure=kb-told.service\n[Service]\nExecStart=/usr/bin/sleep 10000\n",
    "kb-told.service": "[Unit]\nStartLimitIntervalSec=0\n[Service]\nType=oneshot\nExecStart={stamp} {folder}/onfailure\n",
    "kb-file.path": "[Path]\nPathChanged=/run/kb/file\nUnit=kb-changed.service\n",
    "kb-changed.service": "[Unit]\nStartLimitIntervalSec=0\n[Service]\nType=oneshot\nExecStart={stamp} {folder}/path\n",
}


class Systemd:
    """A container with systemd, kithd's unit and many services"""

    def __init__(self, bench):
        os.environ["top_builddir"] = bench.build
        import container  # it looks for the build's folder when it is imported
        import kithtest
        self.bench, self.must, self.wait_for = bench, container.must, kithtest.wait_for
        try:
            self.stage = container.staged(self)
            self.prefix = kithtest.makefile("prefix")
            os.makedirs(os.path.join(self.stage + self.prefix, "etc/kith/promises.d"), exist_ok=True)
            for name in ("service_latency", "stamp"):
                shutil.copy(bench.helper(name), os.path.join(self.stage + self.prefix, "bin"))
            self.container = container.Container(self, self.stage)
        except kithtest.Skip as e:
            raise Left(str(e)) from e
        self.run = self.container.run

    def folder(self):
        """A folder that everybody may enter: what the container asks of a test"""
        path = self.bench.make_folder("stage")
        os.chmod(path, 0o755)
        return path

    def etc(self, name, text):
        path = os.path.join(self.stage + self.prefix, "etc/kith", name)
        with open(path + ".new", "w") as f:
            f.write(text)
        os.rename(path + ".new", path)

    def shell(self, command):
        return self.must(self.run("sh", "-c", command))

    def start_units(self):
        self.shell(f"mkdir -p /run/systemd/system; for i in $(seq {UNITS}); do printf '[Service]\\nExecStart=/usr/bin/sleep 10000\\n' "
                   f">/run/systemd/system/b$i.service; done; systemctl daemon-reload; systemctl start --no-block $(seq -f 'b%g.service' {UNITS})")
        self.wait_for("the units", lambda: self.run("systemctl", "is-active", f"b{UNITS}").stdout == "active\n")

    def cost_us(self):
        return sum(int(x) for x in re.findall(r'"name":"(?:service|s\.good)"[^{}]*?"cpu_ns":(\d+)', self.shell("kith cost --json"))) / 1000

    def promised(self, name):
        self.wait_for("the promise", lambda: '"kept"' in self.run("kith", "promises", "--json", name).stdout)

    def memory(self):
        """(anonymous, resident) KiB of kithd"""
        pid = self.must(self.run("systemctl", "show", "-P", "MainPID", "kithd")).strip()
        text = self.must(self.run("cat", f"/proc/{pid}/smaps_rollup"))
        return [int(re.search(rf"^{k}:\s+(\d+)", text, re.M).group(1)) for k in ("Anonymous", "Rss")]

    def host_pid(self, unit):
        """The unit's main process, as this side of the container numbers it"""
        inner = self.must(self.run("systemctl", "show", "-P", "MainPID", unit)).strip()
        inside = os.readlink(f"/proc/{self.container.leader}/ns/pid")
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                if os.readlink(f"/proc/{pid}/ns/pid") == inside:
                    with open(f"/proc/{pid}/status") as f:
                        if re.search(r"^NSpid:.*\t(\d+)$", f.read(), re.M).group(1) == inner:
                            return int(pid)
            except (OSError, AttributeError):
                pass
        raise RuntimeError(f"{unit} has no process")


def memory(s, t, quick):
    """What the plugin takes with many services"""
    found = {}
    for what, conf in (("without", "plugin service { enabled = false }\n"), ("with", "")):
        s.etc("kith.conf", conf)
        s.must(s.run("systemctl", "restart", "kithd"))
        if what == "with":
            s.wait_for("the units", lambda: s.run("kith", "get", "service:b*:pid").stdout.count("service:b") == UNITS)
        time.sleep(5 if quick else 12)
        found[what] = s.memory()
    count = s.must(s.run("kith", "get", "service:*:state")).count("\n")
    more = [b - a for a, b in zip(found["without"], found["with"])]
    t.notes.append(f"memory of the plugin service with {count} services: {more[0]} KiB anonymous ({found['without'][0]} to {found['with'][0]}), "
                   f"{more[1]} KiB RSS ({found['without'][1]} to {found['with'][1]})")


def signals(s, t, count):
    s.etc("promises.d/s.promise", PROMISE % (("b1.service",) * 2))
    s.promised("s.good")
    spent = s.cost_us()
    out = s.must(s.run(f"{s.prefix}/bin/service_latency", "/run/kith/control.sock", "s.good", str(count), "systemd", "b1.service"))
    add_rows(t, "systemd", out, s.cost_us() - spent)


def rounds(stamps, names, count, act, undo):
    """{name: [us]} from before `act` to each action; None where it did not come"""
    found = {name: [] for name in names}
    for _ in range(count):
        undo()
        time.sleep(0.5)
        stamps.drain()
        began = act()
        at = stamps.wait(names, 5)
        for name in names:
            found[name].append((at[name] - began) / 1000 if name in at else None)
    return found


def own_ways(s, t, count):
    """OnFailure= and a .path unit, and kithd's action for the same event, side by side"""
    folder = os.path.join(s.stage + s.prefix, "stamps")
    os.mkdir(folder)
    stamps = Stamps(s.bench, ["onfailure", "path", "kithd", "kithd-file"], folder)
    where = {"stamp": f"{s.prefix}/bin/stamp", "folder": f"{s.prefix}/stamps"}
    path = f"/proc/{s.container.leader}/root/run/kb/file"

    def kill():
        pid = s.host_pid("kb-victim.service")
        began = time.monotonic_ns()
        os.kill(pid, signal.SIGKILL)
        return began

    def again():
        s.shell("systemctl reset-failed kb-victim.service; systemctl start kb-victim.service")
        s.promised("k.victim")

    def write(text):
        began = time.monotonic_ns()
        with open(path, "w") as f:
            f.write(text)
        return began

    try:
        s.shell("mkdir -p /run/kb; echo short >/run/kb/file")
        for name, text in UNIT.items():
            with open(f"/proc/{s.container.leader}/root/run/systemd/system/{name}", "w") as f:
                f.write(text.format(**where))
        s.shell("systemctl daemon-reload; systemctl start kb-victim.service kb-file.path")
        s.etc("promises.d/k.promise", ACTING.format(**where))
        s.promised("k.victim")
        s.promised("k.file")
        found = rounds(stamps, ["onfailure", "kithd"], count, kill, again)
        t.rows.append(row("systemd OnFailure=: a service is killed, to its action", found["onfailure"]))
        t.rows.append(row("kithd beside it: a service is killed, to its action", found["kithd"]))
        found = rounds(stamps, ["path", "kithd-file"], count, lambda: write("longer than that"), lambda: write("short"))
        t.rows.append(row("systemd .path unit: a file is written, to its action", found["path"]))
        t.rows.append(row("kithd beside it: a file is written, to its action", found["kithd-file"]))
    finally:
        stamps.close()


def systemd(bench, t, quick):
    programs(("systemd-nspawn", "systemd-container"))
    helper(bench)
    s = Systemd(bench)
    try:
        s.start_units()
        with t.part("memory of the plugin service"):
            memory(s, t, quick)
        with t.part("service of systemd"):
            signals(s, t, 15 if quick else 200)
        with t.part("systemd's own actions"):
            own_ways(s, t, 5 if quick else 20)
    finally:
        s.container.end()


PARTS = {"s6": s6, "runit": runit, "systemd": systemd}
