#!/usr/bin/python3
"""The plugin service with a real s6-svscan and a real runsvdir: services that start, stop, crash, come and go, and supervisors that end."""
import glob
import os
import shutil
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from kithtest import Skip, Suite, wait_for  # noqa: E402

suite = Suite()
PROMISES = {"s.promise": """
bundle s {
    promise good {
        promiser  service:good
        keep      service:good:state == "active"
    }
}
"""}


def conf(**folders):
    rows = "".join(' %s = ["%s"]\n' % x for x in folders.items())
    return "interval = 500ms\nplugin service {\n%s}\n" % rows


def make(folder, name, script="exec sleep 1000", **files):
    """A service folder, there at once"""
    new = os.path.join(os.path.dirname(folder), "new-" + name.replace("/", "-"))
    os.mkdir(new)
    for file, text in dict(files, run="#!/bin/sh\n" + script + "\n").items():
        with open(os.path.join(new, file), "w") as f:
            f.write(text)
        os.chmod(os.path.join(new, file), 0o755)
    os.rename(new, os.path.join(folder, name))


class Watched:
    def __init__(self, d):
        self.watch = d.watch()
        self.lines = self.watch.lines

    def events(self, name, at=0):
        return [x["fields"].get("event") for x in self.lines[at:] if x["kind"] == "record" and x["subject"] == "service:" + name]

    def record(self, name, event, at=0):
        return wait_for("the record %s of %s" % (event, name), lambda: next(
            (x for x in self.lines[at:] if x["kind"] == "record" and x["subject"] == "service:" + name and x["fields"]["event"] == event), None))

    def transitions(self, at=0):
        return [x["to"] for x in self.lines[at:] if x["kind"] == "transition" and x["name"] == "s.good"]


def state(d, name, what, metric="state"):
    wait_for("%s of %s to be %s" % (metric, name, what), lambda: d.value("service:%s:%s" % (name, metric)) == what, alive=d)


def fifos(folder):
    return glob.glob(os.path.join(folder, "*", "event", "ftrig1:@*")) + glob.glob(os.path.join(folder, "*", "event", ".ftrig1*"))


def s6():
    if not shutil.which("s6-svscan"):
        raise Skip("s6 is missing (apt-get install s6)")
    folder = os.path.join(suite.folder(), "scan")
    os.mkdir(folder)
    make(folder, "good")
    make(folder, "down", down="")
    make(folder, "ready", "sleep 0.5; echo >&3; exec sleep 1000", **{"notification-fd": "3\n"})
    make(folder, "gives up", "exit 4", finish="#!/bin/sh\nexit 125\n", down="")
    make(folder, "kind of b\u00f6s", "exec sleep 1000")
    return folder, subprocess.Popen(["s6-svscan", folder], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                    start_new_session=True)


def svc(folder, name, *how):
    subprocess.run(["s6-svc", *how, os.path.join(folder, name)], check=True, timeout=30)


def end_s6(folder, p):
    if p.poll() is None:
        subprocess.run(["s6-svscanctl", "-t", folder], check=False)
        try:
            p.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(p.pid, signal.SIGKILL)
            p.wait()


folder = scan = None
try:
    with suite.check("s6-svscan runs"):
        folder, scan = s6()
    if scan:
        d = suite.daemon(conf=conf(s6=folder, runit="/nonexistent"), promises=PROMISES).start()
        with suite.check("s6: what is up, down, getting ready"):
            d.wait_promise("s.good", "kept")
            state(d, "down", "inactive")
            state(d, "down", "disabled", "enabled")
            state(d, "ready", "active")
            state(d, "kind of b\u00f6s", "active")
            out = subprocess.run(["s6-svstat", "-o", "pid", os.path.join(folder, "good")], capture_output=True, text=True, check=True).stdout
            state(d, "good", int(out), "pid")
            # The time of its start, by the host's own clock
            since = d.value("service:good:since")
            mtime = os.stat(os.path.join(folder, "good", "supervise", "status")).st_mtime
            assert abs(since - mtime) < 5, (since, mtime)
            wait_for("a fifo for each", lambda: len(fifos(folder)) == 5)
            assert "s6: /" in d.plugin("service")[0]["reason"], d.plugin("service")
        w = Watched(d)
        with suite.check("s6: stop and start: the promise breaks and is kept"):
            at = len(w.lines)
            svc(folder, "good", "-d")
            w.record("good", "stop", at)
            state(d, "good", "inactive")
            svc(folder, "good", "-u")
            w.record("good", "start", at)
            wait_for("transitions", lambda: w.transitions(at) == ["broken", "kept"])
            assert d.value("service:good:restarts") == 0
        with suite.check("s6: a crash: the signal, a restart, broken and kept"):
            at = len(w.lines)
            svc(folder, "good", "-k")
            crash = w.record("good", "crash", at)
            assert crash["fields"]["signal"] == "9" and "SIGKILL" in crash["message"], crash
            w.record("good", "restart", at)
            wait_for("transitions", lambda: w.transitions(at) == ["broken", "kept"])
            state(d, "good", 1, "restarts")
            state(d, "good", "signal", "result")
        with suite.check("s6: readiness"):
            at = len(w.lines)
            svc(folder, "ready", "-r")
            w.record("ready", "restart", at)
            wait_for("activating and active", lambda: [x["value"] for x in w.lines[at:] if x["kind"] == "sample" and
                                                        x["name"] == "service:ready:substate"][-2:] == ["start", "running"])
        with suite.check("s6: a service whose finish script gives up has failed, until it is started again"):
            at = len(w.lines)
            svc(folder, "gives up", "-u")
            crash = w.record("gives up", "crash", at)
            assert crash["fields"].get("exit_status") == "4", crash
            state(d, "gives up", "failed")
        with suite.check("s6: a new service is there at once, a removed one ends"):
            at = len(w.lines)
            make(folder, "new")
            subprocess.run(["s6-svscanctl", "-a", folder], check=True)
            w.record("new", "appeared", at)
            state(d, "new", "active")
            svc(folder, "new", "-d")
            os.rename(os.path.join(folder, "new"), os.path.join(os.path.dirname(folder), "gone"))
            w.record("new", "removed", at)
            state(d, "new", None)
            subprocess.run(["s6-svscanctl", "-an", folder], check=True)
        with suite.check("s6: garbage in the status or in a fifo harms nothing"):
            before = d.value("service:down:state")
            for text in (b"", b"x", b"\xff" * 35, b"\0" * 43, b"y" * 10000):
                path = os.path.join(folder, "down", "supervise", "status")
                with open(path + ".x", "wb") as f:
                    f.write(text)
                os.rename(path + ".x", path)
            # Of the size, time 0: down, wanted down
            with open([x for x in fifos(folder) if "/down/" in x][0], "wb", buffering=0) as f:
                f.write(bytes(range(256)) * 8)
            svc(folder, "good", "-d")
            state(d, "good", "inactive")
            svc(folder, "good", "-u")
            state(d, "good", "active")
            assert before == "inactive" and d.value("service:down:state") in ("inactive", "failed"), d.value("service:down:state")
        with suite.check("s6: the supervisor of one service is killed: unknown, and known again with the next one"):
            at = len(w.lines)
            pid = subprocess.run(["pgrep", "-P", str(scan.pid), "-f", "s6-supervise good$"], capture_output=True, text=True, check=True).stdout
            os.kill(int(pid), signal.SIGKILL)
            w.record("good", "unsupervised", at)
            wait_for("unknown", lambda: w.transitions(at)[:1] == ["unknown"])
            wait_for("kept", lambda: w.transitions(at)[-1:] == ["kept"])
        with suite.check("s6: a killed kithd leaves fifos that the next events remove, a stopped one none"):
            d.kill()
            os.unlink(d.log_path)
            os.unlink(d.socket)
            d.start()
            w = Watched(d)
            d.wait_promise("s.good", "kept")
            svc(folder, "good", "-r")
            w.record("good", "restart")
            wait_for("one fifo", lambda: sum("/good/" in x for x in fifos(folder)) == 1)
            d.stop()
            assert not [x for x in fifos(folder) if "/good/" in x], fifos(folder)
            w.watch.end()
            os.unlink(d.log_path)
            d.start()
        with suite.check("s6: the whole of it ends and comes back"):
            w = Watched(d)
            d.wait_promise("s.good", "kept")
            end_s6(folder, scan)
            wait_for("unknown", lambda: w.transitions()[-1:] == ["unknown"])
            assert not d.get("service:*:state"), d.get("service:*:state")
            scan = subprocess.Popen(["s6-svscan", folder], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                    start_new_session=True)
            wait_for("kept", lambda: w.transitions()[-1:] == ["kept"])
            shutil.move(folder, folder + ".away")
            wait_for("the end of all", lambda: not d.get("service:*:state"))
            shutil.move(folder + ".away", folder)
            state(d, "good", "active")
            w.watch.end()
            row = next(x for x in d.kith("cost")[1] if x["name"] == "service")
            assert row["failures"] == 0, row
            d.stop()
            # A finish script or a service that ended at the same moment may have left one: the notifier removes it
        with suite.check("s6: as nobody it is said what may not be read"):
            public = suite.public()
            if os.geteuid() != 0:
                raise Skip("it needs root")
            os.chmod(os.path.dirname(folder), 0o755)
            n = suite.daemon(conf=conf(s6=folder, runit="/nonexistent"), user=True, program=os.path.join(public, "kithd"),
                             plugins=(os.path.join(public, "plugins"),)).start()
            assert "not to be read: Permission denied" in n.plugin("service")[0]["reason"], n.plugin("service")
            n.stop()
finally:
    if scan:
        end_s6(folder, scan)

runit = None
try:
    with suite.check("runsvdir runs"):
        if not shutil.which("runsvdir"):
            raise Skip("runit is missing (apt-get install runit)")
        folder = os.path.join(suite.folder(), "service")
        os.mkdir(folder)
        make(folder, "good")
        make(folder, "down", down="")
        runit = subprocess.Popen(["runsvdir", folder], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                 start_new_session=True)
    if runit:
        d = suite.daemon(conf=conf(s6="/nonexistent", runit=folder), promises=PROMISES).start()
        sv = lambda how, name: subprocess.run(["sv", how, os.path.join(folder, name)], stdout=subprocess.DEVNULL, timeout=30)  # noqa: E731
        with suite.check("runit: stop, start, crash, a new service, one that goes"):
            d.wait_promise("s.good", "kept")
            state(d, "down", "inactive")
            w = Watched(d)
            sv("down", "good")
            w.record("good", "stop")
            sv("up", "good")
            w.record("good", "start")
            wait_for("transitions", lambda: w.transitions() == ["broken", "kept"])
            since = d.value("service:good:since")
            mtime = os.stat(os.path.join(folder, "good", "supervise", "status")).st_mtime
            assert abs(since - mtime) < 5, (since, mtime)
            at = len(w.lines)
            sv("kill", "good")
            w.record("good", "restart", at)
            state(d, "good", 1, "restarts")
            make(folder, "new")
            state(d, "new", "active")
            sv("exit", "new")
            os.rename(os.path.join(folder, "new"), os.path.join(os.path.dirname(folder), "gone"))
            state(d, "new", None)
            w.watch.end()
            d.stop()
finally:
    if runit and runit.poll() is None:
        runit.send_signal(signal.SIGHUP)
        try:
            runit.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(runit.pid, signal.SIGKILL)
            runit.wait()

with suite.check("without any supervisor it is skipped, with the reason"):
    if os.path.isdir("/run/systemd/system"):
        raise Skip("systemd runs here")
    with suite.daemon(conf=conf(s6="/nonexistent", runit="/nonexistent")) as d:
        row = d.wait_plugin("service", "skipped")
        assert "neither systemd" in row["reason"], row

suite.end()
