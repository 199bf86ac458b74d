#!/usr/bin/python3
"""The plugin service under a real systemd, booted in a container: what systemd announces becomes states, records and transitions, whatever
happens to the bus and to systemd itself."""
import json
import os
import re
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from container import Container, must, staged  # noqa: E402
from kithtest import Suite, makefile, wait_for, write_file  # noqa: E402

suite = Suite()
SERVICES = {
    "good": "ExecStart=/usr/bin/sleep 1000",
    "hurt": "ExecStart=/usr/bin/sleep 1000\nRestart=on-failure\nRestartSec=300ms",
    "loops": "ExecStart=/bin/sh -c 'exit 3'\nRestart=always\nRestartSec=10ms",
    "once": "Type=oneshot\nExecStart=/usr/bin/true",
    "stays": "Type=oneshot\nRemainAfterExit=yes\nExecStart=/usr/bin/true",
    "wrong": "Type=oneshot\nExecStart=/bin/sh -c 'exit 7'",
    "killed": "ExecStart=/bin/sh -c 'kill -SEGV $$$$'",
    "slow": "Type=notify\nTimeoutStartSec=500ms\nExecStart=/usr/bin/sleep 1000",
    "many@": "ExecStart=/usr/bin/sleep 1000",
}
PROMISES = """
bundle s {
    promise good {
        promiser  service:good.service
        keep      service:good.service:state == "active"
    }
    promise hurt {
        promiser  service:hurt.service
        keep      service:hurt.service:state == "active"
    }
    promise absent {
        promiser  service:absent.service
        keep      service:absent.service:state == "active"
    }
}
"""


class ContainerWatch:
    """kith watch --json in the container"""

    def __init__(self, c):
        self.lines = []
        self.process = subprocess.Popen(["nsenter", "-t", c.leader, "-m", "-u", "-i", "-n", "-p", "--", "kith", "--verbose", "watch", "--json"],
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                        env={"PATH": "/usr/bin:/bin:" + makefile("prefix") + "/bin", "ASAN_OPTIONS": "detect_leaks=0"})
        assert "watching" in self.process.stderr.readline()
        threading.Thread(target=lambda: [self.lines.append(json.loads(x)) for x in self.process.stdout], daemon=True).start()

    def records(self, unit, at=0):
        return [x["fields"].get("event") for x in self.lines[at:] if x["kind"] == "record" and x["subject"] == "service:" + unit]

    def record(self, unit, event, at=0):
        return wait_for("the record %s of %s; there are %s" % (event, unit, self.records(unit, at)), lambda: next(
            (x for x in self.lines[at:] if x["kind"] == "record" and x["subject"] == "service:" + unit and x["fields"]["event"] == event), None))

    def transitions(self, name, at=0):
        return [x["to"] for x in self.lines[at:] if x["kind"] == "transition" and x["name"] == name]

    def end(self):
        self.process.terminate()
        self.process.wait()


def get(pattern):
    out = c.run("kith", "get", "--json", pattern).stdout
    return {x["name"]: x["value"] for x in json.loads(out)} if out.strip() else {}


def value(unit, metric="state"):
    return get("service:%s:%s" % (unit, metric)).get("service:%s:%s" % (unit, metric))


def wait_state(unit, state, metric="state"):
    wait_for("%s of %s to be %s, not %s" % (metric, unit, state, value(unit, metric)), lambda: value(unit, metric) == state)


def states():
    """What systemctl says: of loaded services"""
    out = must(c.run("systemctl", "list-units", "--all", "--plain", "--no-legend", "--type=service"))
    rows = [line.split(None, 4) for line in out.splitlines() if line.strip()]
    return {r[0]: r[2] for r in rows if r[1] != "not-found" or r[2] != "inactive"}


def agree():
    """Every unit that systemd has loaded stands in kithd with the same state"""
    def same():
        there, here = states(), {n[len("service:"):-len(":state")]: v for n, v in get("service:*:state").items()}
        bad = {n: (s, here.get(n)) for n, s in there.items() if here.get(n) != s}
        bad.update({n: (None, s) for n, s in here.items() if n not in there and s != "inactive"})
        agree.bad = bad
        return not bad
    try:
        wait_for("kithd to agree with systemctl", same)
    except AssertionError:
        raise AssertionError("systemd and kithd differ: %s" % agree.bad)


def unit_file(name, text):
    must(c.run("sh", "-c", 'mkdir -p /run/systemd/system && printf %s "$1" >"/run/systemd/system/$0.service"', name,
               "[Unit]\nDescription=x\n[Service]\n%s\n" % text))


def plugin():
    return next(x for x in json.loads(must(c.run("kith", "plugins", "--json"))) if x["name"] == "service")


def reason(word):
    wait_for("kith plugins to say %r, not %s" % (word, plugin()["reason"]), lambda: word in (plugin()["reason"] or ""))


def samples():
    return next(x["calls"] for x in json.loads(c.run("kith", "cost", "--json").stdout) if x["name"] == "load")


c = w = None
try:
    with suite.check("systemd boots with what make install installs"):
        stage = staged(suite)
        promises = os.path.join(stage + makefile("prefix"), "etc/kith/promises.d")
        os.makedirs(promises, exist_ok=True)
        write_file(os.path.join(promises, "s.promise"), PROMISES)
        with open(os.path.join(stage + makefile("prefix"), "etc/kith/kith.conf"), "w") as f:
            f.write("interval = 200ms\n")
        c = Container(suite, stage)
    if c:
        for name, text in SERVICES.items():
            unit_file(name, text)
        must(c.run("systemctl", "daemon-reload"))
        must(c.run("systemctl", "start", "good"))
        must(c.run("systemctl", "start", "kithd.service"))
        with suite.check("all services are there, with systemd's states"):
            reason("over the system bus")
            agree()
            assert value("good.service") == "active" and value("good.service", "substate") == "running", get("service:good.service:*")
            pid = must(c.run("systemctl", "show", "-P", "MainPID", "good")).strip()
            wait_for("its pid", lambda: value("good.service", "pid") == int(pid))
            assert value("good.service", "result") == "success" and value("good.service", "load") == "loaded"
            wait_for("since", lambda: (value("good.service", "since") or 0) > 1.6e9)
        w = ContainerWatch(c)
        with suite.check("stop and start: a promise breaks and is kept again, a stopped unit stays as inactive"):
            wait_for("the promise", lambda: '"kept"' in c.run("kith", "promises", "--json", "s.good").stdout)
            at = len(w.lines)
            must(c.run("systemctl", "stop", "good"))
            w.record("good.service", "stop", at)
            wait_state("good.service", "inactive")
            must(c.run("systemctl", "start", "good"))
            w.record("good.service", "start", at)
            wait_for("transitions", lambda: w.transitions("s.good", at) == ["broken", "kept"])
        with suite.check("a service that is promised and not loaded is broken, one that does not exist unknown"):
            out = json.loads(c.run("kith", "promises", "--json").stdout)
            assert next(p for p in out if p["name"] == "s.absent")["assessment"] == "unknown"
            wait_state("hurt.service", "inactive")
            wait_for("hurt", lambda: next(p for p in json.loads(c.run("kith", "promises", "--json").stdout)
                                          if p["name"] == "s.hurt")["assessment"] == "broken")
        with suite.check("a crash that systemd mends: record with the signal, restarts counted, broken and kept"):
            must(c.run("systemctl", "start", "hurt"))
            wait_for("hurt", lambda: w.transitions("s.hurt")[-1:] == ["kept"])
            at = len(w.lines)
            must(c.run("kill", "-KILL", must(c.run("systemctl", "show", "-P", "MainPID", "hurt")).strip()))
            crash = w.record("hurt.service", "crash", at)
            assert crash["fields"]["signal"] == "9" and "SIGKILL" in crash["message"], crash
            w.record("hurt.service", "restart", at)
            wait_for("transitions", lambda: w.transitions("s.hurt", at) == ["broken", "kept"])
            wait_state("hurt.service", 1, "restarts")
        with suite.check("a restart loop ends at the start limit"):
            at = len(w.lines)
            c.run("systemctl", "start", "loops")
            limit = w.record("loops.service", "start_limit", at)
            assert limit["priority"] in ("err", "error") and "start limit" in limit["message"], limit
            wait_state("loops.service", "failed")
            assert value("loops.service", "restarts") >= 1 and value("loops.service", "exit_status") == 3
            crash = w.record("loops.service", "crash", at)
            assert crash["fields"]["exit_status"] == "3" and "exit status 3" in crash["message"], crash
        with suite.check("results: exit status, core dump, timeout"):
            at = len(w.lines)
            for name in ("wrong", "killed", "slow"):
                c.run("systemctl", "start", name)
            assert w.record("wrong.service", "crash", at)["fields"]["exit_status"] == "7"
            crash = w.record("killed.service", "crash", at)
            assert crash["fields"]["result"] in ("core-dump", "signal") and crash["fields"]["signal"] == "11", crash
            assert w.record("slow.service", "crash", at)["fields"]["result"] == "timeout"
            wait_state("slow.service", "failed")
            must(c.run("systemctl", "reset-failed"))
            agree()
        with suite.check("oneshot units: one that ends, one that stays"):
            at = len(w.lines)
            must(c.run("systemctl", "start", "once", "stays"))
            wait_state("stays.service", "active")
            assert value("stays.service", "substate") == "exited"
            # One that has begun and ended between two looks of systemd's own is not told; five in a row are not that quick.
            for last in (False, False, False, False, True):
                try:
                    wait_for("once to be told", lambda: {"end", "appeared", "removed"} & set(w.records("once.service", at)), 30 if last else 5)
                    break
                except AssertionError:
                    if last:
                        raise
                    must(c.run("systemctl", "start", "once"))
            assert not {"crash", "start_limit"} & set(w.records("once.service", at)), w.records("once.service", at)
        with suite.check("a oneshot unit that is loaded, runs and is unloaded before kithd looks"):
            at = len(w.lines)
            unit_file("swift", "Type=oneshot\nExecStart=/usr/bin/true")
            kithd = must(c.run("systemctl", "show", "-P", "MainPID", "kithd")).strip()
            must(c.run("kill", "-STOP", kithd))
            must(c.run("systemctl", "start", "swift"))
            must(c.run("kill", "-CONT", kithd))
            w.record("swift.service", "end", at)
        with suite.check("mask and unmask"):
            at = len(w.lines)
            must(c.run("systemctl", "start", "good"))
            must(c.run("ln", "-s", "/dev/null", "/etc/systemd/system/good.service"))
            must(c.run("systemctl", "daemon-reload"))
            wait_state("good.service", "masked", "load")
            w.record("good.service", "mask", at)
            must(c.run("rm", "/etc/systemd/system/good.service"))
            must(c.run("systemctl", "daemon-reload"))
            wait_state("good.service", "loaded", "load")
            w.record("good.service", "unmask", at)
            assert value("good.service") == "active"
            assert not {"start", "stop", "removed"} & set(w.records("good.service", at)), w.records("good.service", at)
        with suite.check("a new unit is there at once"):
            at = len(w.lines)
            unit_file("fresh", "ExecStart=/usr/bin/sleep 1000")
            must(c.run("systemctl", "daemon-reload"))
            must(c.run("systemctl", "start", "fresh"))
            w.record("fresh.service", "appeared", at)
            wait_state("fresh.service", "active")
            must(c.run("systemctl", "stop", "fresh"))
            wait_state("fresh.service", "inactive")
            must(c.run("rm", "/run/systemd/system/fresh.service"))
            must(c.run("systemctl", "daemon-reload"))
            wait_state("fresh.service", None)
        with suite.check("template instances with odd names"):
            names = ["many@" + n + ".service" for n in ("plain", "with\\x20space", "dev-disk-by\\x2did-x", "a_b.c:d", "\\xc3\\xa4")]
            at = len(w.lines)
            must(c.run("systemctl", "start", *names))
            wait_for("them", lambda: {get("service:*:state").get("service:%s:state" % n) for n in names} == {"active"})
            must(c.run("systemctl", "stop", *names))
            wait_for("them to go", lambda: not [n for n in get("service:*:state") if n.startswith("service:many@")])
            assert w.record(names[2], "removed", at)
        with suite.check("a transient unit comes and goes"):
            at = len(w.lines)
            must(c.run("systemd-run", "--unit=passing", "--wait", "--quiet", "/usr/bin/sleep", "0.3"))
            wait_state("passing.service", None)
        with suite.check("systemd executed anew: nothing is lost, nothing is told twice"):
            at = len(w.lines)
            must(c.run("systemctl", "daemon-reexec"))
            must(c.run("systemctl", "stop", "good"))
            wait_state("good.service", "inactive")
            must(c.run("systemctl", "start", "good"))
            wait_state("good.service", "active")
            agree()
            assert w.transitions("s.good", at)[-2:] == ["broken", "kept"], w.transitions("s.good", at)
        with suite.check("the bus hangs: other plugins go on, and what happens meanwhile is told afterwards"):
            bus = must(c.run("systemctl", "show", "-P", "MainPID", "dbus")).strip()
            assert int(bus) > 1
            at = len(w.lines)
            must(c.run("kill", "-STOP", bus))
            try:
                before = samples()
                wait_for("other plugins' samples", lambda: samples() > before + 10)
            finally:
                must(c.run("kill", "-CONT", bus))
            must(c.run("systemctl", "stop", "good"))
            w.record("good.service", "stop", at)
            must(c.run("systemctl", "start", "good"))
            wait_state("good.service", "active")
        with suite.check("started while the bus hangs: the private socket is taken, and said"):
            bus = must(c.run("systemctl", "show", "-P", "MainPID", "dbus")).strip()
            must(c.run("kill", "-STOP", bus))
            try:
                with open(os.path.join(stage + makefile("prefix"), "etc/kith/kith.conf"), "w") as f:
                    f.write("interval = 200ms\nplugin service { ignore = [\"none\"] }\n")
                pid = must(c.run("sh", "-c", "cat /run/kith/kithd.pid 2>/dev/null || pidof kithd")).split()[0]
                must(c.run("kill", "-HUP", pid))
                reason("/run/systemd/private")
                wait_state("good.service", "active")
            finally:
                must(c.run("kill", "-CONT", bus))
            at = len(w.lines)
            wait_for("agreement", lambda: value("good.service") == "active")
            must(c.run("systemctl", "restart", "good"))
            wait_for("the transitions", lambda: w.transitions("s.good", at)[-1:] == ["kept"] and "broken" in w.transitions("s.good", at))
            agree()
        with suite.check("the private socket: systemd executed anew, it is connected to again"):
            must(c.run("systemctl", "daemon-reexec"))
            must(c.run("systemctl", "stop", "good"))
            wait_state("good.service", "inactive")
            must(c.run("systemctl", "start", "good"))
            wait_state("good.service", "active")
            agree()
        with suite.check("the bus alone: without it services are unknown, with it they are known again"):
            with open(os.path.join(stage + makefile("prefix"), "etc/kith/kith.conf"), "w") as f:
                f.write("interval = 200ms\nplugin service { bus = system }\n")
            must(c.run("sh", "-c", "kill -HUP $(pidof kithd)"))
            reason("over the system bus")
            wait_state("good.service", "active")
            at = len(w.lines)
            must(c.run("systemctl", "stop", "dbus.socket", "dbus.service"))
            reason("not connected")
            wait_for("unknown", lambda: w.transitions("s.good", at) == ["unknown"])
            assert not get("service:*:state"), get("service:*:state")
            must(c.run("systemctl", "start", "dbus.socket", "dbus.service"))
            reason("over the system bus")
            wait_for("kept", lambda: w.transitions("s.good", at) == ["unknown", "kept"])
            agree()
            must(c.run("systemctl", "restart", "dbus.service"))
            must(c.run("systemctl", "stop", "good"))
            wait_state("good.service", "inactive")
            must(c.run("systemctl", "start", "good"))
            wait_state("good.service", "active")
            agree()
        with suite.check("500 units at once: all are there, all end"):
            must(c.run("sh", "-c", "systemctl start --no-block $(seq -f 'many@%g.service' 1 500)"))
            wait_for("500 units", lambda: sum(n.startswith("service:many@") and v == "active" for n, v in get("service:*:state").items()) == 500)
            agree()
            must(c.run("sh", "-c", "systemctl stop --no-block 'many@*'"))
            wait_for("them to go", lambda: not [n for n in get("service:*:state") if n.startswith("service:many@")])
        with suite.check("nothing failed, nothing was complained of"):
            row = next(x for x in json.loads(c.run("kith", "cost", "--json").stdout) if x["name"] == "service")
            assert row["failures"] == 0, row
            log = must(c.run("journalctl", "-u", "kithd", "-o", "cat"))
            assert not re.search(r"Sanitizer|runtime error", log), log[-2000:]
            assert plugin()["state"] == "running"
            must(c.run("systemctl", "stop", "kithd"))
            assert c.unit("Result") == "success", c.unit("Result")
finally:
    if w:
        w.end()
    if c:
        c.end()
sys.exit(suite.end())
