#!/usr/bin/python3
"""Files of lines, followed by the real daemon: rotated by hand and by logrotate under load, over restarts and crashes, with every line accounted for."""
import json
import os
import shutil
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from kithtest import KITH, PLUGINS, Skip, Suite, environment, sanitized, wait_for  # noqa: E402

suite = Suite()
plugins = suite.folder()
for plugin in ("tail.so", "load.so"):
    shutil.copy(os.path.join(PLUGINS, plugin), plugins)
LOGROTATE = shutil.which("logrotate", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def daemon(files, more="", **how):
    return suite.daemon(conf='interval = 1s\nplugin tail {\n    files = [%s]\n    rate = 1000000\n    burst = 1000000\n%s}\n'
                        % (", ".join('"%s"' % x for x in files), more), plugins=(plugins,), **how)


class Ear:
    """The messages of log:* in their order"""

    def __init__(self, d):
        self.watch = d.watch("--records")

    def messages(self):
        return [x["message"] for x in list(self.watch.lines) if x.get("subject", "").startswith("log:")]

    def wait_for(self, message, deadline=60):
        return self.watch.wait("the line " + message, lambda x: x.get("message") == message, deadline)

    def end(self):
        self.watch.end()
        return self.messages()


def append(path, *lines):
    with open(path, "a") as f:
        for line in lines:
            f.write(line + "\n")


def count(d, path, metric):
    return d.value("tail:%s:%s" % (path, metric))


class Writer(threading.Thread):
    """Numbered lines into a file, opened anew when it was renamed and `reopen` is asked for, as a daemon does on SIGHUP"""

    def __init__(self, path, pause=0.0):
        super().__init__(daemon=True)
        self.path, self.pause, self.n = path, pause, 0
        self.ended, self.reopen = threading.Event(), threading.Event()
        self.start()

    def run(self):
        f = open(self.path, "a", buffering=1)
        while not self.ended.is_set():
            if self.reopen.is_set():
                f.close()
                f = open(self.path, "a", buffering=1)
                self.reopen.clear()
            f.write("line %d\n" % self.n)
            self.n += 1
            if self.pause:
                time.sleep(self.pause)
        f.close()

    def end(self):
        self.ended.set()
        self.join()
        return self.n


def numbers(messages):
    return [int(x.split()[1]) for x in messages if x.startswith("line ")]


with suite.check("a file that is there, one that comes later, one of a pattern; long and half lines; what is no text"):
    folder = suite.folder()
    a, b, c = folder + "/a.log", folder + "/later/b.log", folder + "/p-1.log"
    append(a, "before")
    with daemon([a, b, folder + "/p-*.log"]) as d:
        d.wait_plugin("tail", "running")
        wait_for("the series", lambda: count(d, a, "lines") == 0)
        ear = Ear(d)
        append(a, "one")
        r = ear.wait_for("one")
        assert r["subject"] == "log:a.log" and r["fields"]["file"] == a and r["priority"] == "info", r
        os.mkdir(folder + "/later")
        append(b, "two")
        ear.wait_for("two")
        append(c, "three")
        ear.wait_for("three")
        with open(a, "a") as f:
            f.write("ha")
            f.flush()
            time.sleep(0.3)
            f.write("lf\n" + "x" * 9000 + "\n\x1b[31mred\ttab\n")
        ear.wait_for("half")
        ear.wait_for("?[31mred tab")
        r = next(x for x in ear.watch.lines if x.get("message", "").startswith("xxx"))
        assert len(r["message"]) == 8192 and r["fields"]["cut"] == "yes"
        assert ear.end()[:3] == ["one", "two", "three"]
        os.unlink(c)
        wait_for("it to be rotated", lambda: count(d, c, "rotated") == 1)

with suite.check("lines of one record, by indentation and by an expression; priorities of lines, syslog's form"):
    folder = suite.folder()
    a, b, s = folder + "/a.log", folder + "/b.log", folder + "/syslog"
    for path in (a, b, s):
        append(path, "before")
    more = '    multiline = ["%s indent", "%s ^[0-9]{4}-"]\n    format = ["plain", "%s syslog"]\n    priority = ["notice", "%s debug"]\n    guess = true\n    wait = 300ms\n' % (
        a, b, s, b)
    with daemon([a, b, s], more) as d:
        d.wait_plugin("tail", "running")
        wait_for("the series", lambda: count(d, s, "lines") == 0)
        ear = Ear(d)
        append(a, "Exception: x", "  at y", "  at z")
        r = ear.wait_for("Exception: x\\n  at y\\n  at z")
        assert r["priority"] == "notice", r
        append(b, "2026-11-28 it works", "more of it", "2026-11-28 ERROR it fails")
        assert ear.wait_for("2026-11-28 it works\\nmore of it")["priority"] == "debug"
        assert ear.wait_for("2026-11-28 ERROR it fails")["priority"] == "error"
        append(s, time.strftime("%b %e %H:%M:%S", time.localtime(time.time() - 60)) + " otherhost sshd[12]: Accepted")
        r = ear.wait_for("Accepted")
        assert r["subject"] == "log:sshd" and r["fields"]["pid"] == "12" and r["fields"]["host"] == "otherhost", r
        ear.end()

with suite.check("rotation by renaming under load, again and again: no line is lost, none is doubled, all in order"):
    folder = suite.folder()
    path = folder + "/app.log"
    append(path, "before")
    with daemon([path]) as d:
        d.wait_plugin("tail", "running")
        wait_for("the series", lambda: count(d, path, "lines") == 0)
        ear = Ear(d)
        w = Writer(path, 0.0003)
        for i in range(10):
            time.sleep(0.2)
            os.rename(path, path + ".%d" % i)
            time.sleep(0.05)
            w.reopen.set()
        time.sleep(0.2)
        n = w.end()
        ear.wait_for("line %d" % (n - 1))
        got = numbers(ear.end())
        assert got == list(range(n)), (n, len(got), [x for x, y in zip(got, range(n)) if x != y][:5])
        wait_for("the counts", lambda: count(d, path, "lines") == n and count(d, path, "lag") == 0)
        assert count(d, path, "rotated") == 10 and count(d, path, "dropped") == 0

with suite.check("logrotate(8): create under load is exact; copytruncate doubles nothing, and what it loses is between its copy and its truncation"):
    if not LOGROTATE:
        raise Skip("no logrotate(8)")
    folder = suite.folder()
    os.chmod(folder, 0o755)
    path, copied = folder + "/app.log", folder + "/copied.log"
    conf = folder + "/rotate.conf"
    append(path, "before")
    append(copied, "before")
    with open(conf, "w") as f:
        f.write("%s {\n rotate 20\n create\n}\n%s {\n rotate 20\n copytruncate\n}\n" % (path, copied))
    with daemon([path, copied]) as d:
        d.wait_plugin("tail", "running")
        wait_for("the series", lambda: count(d, copied, "lines") == 0)
        ear = Ear(d)
        w = Writer(path, 0.0005)
        c = Writer(copied, 0.0005)
        for i in range(5):
            time.sleep(0.3)
            p = subprocess.run([LOGROTATE, "-f", "-s", folder + "/status", conf], capture_output=True, text=True, timeout=60)
            assert p.returncode == 0, p.stderr
            w.reopen.set()
        time.sleep(0.3)
        n, m = w.end(), c.end()
        wait_for("all lines", lambda: count(d, path, "lines") == n, alive=d)
        wait_for("the copied file's last", lambda: any(x.get("message") == "line %d" % (m - 1) and x["fields"]["file"] == copied for x in list(ear.watch.lines)))
        ear.watch.end()
        got = [int(x["message"].split()[1]) for x in ear.watch.lines if x.get("fields", {}).get("file") == path]
        assert got == list(range(n)), (n, len(got))
        got = [int(x["message"].split()[1]) for x in ear.watch.lines if x.get("fields", {}).get("file") == copied and x["message"].startswith("line ")]
        assert len(set(got)) == len(got) and got == sorted(got), "lines are doubled"
        assert count(d, copied, "truncated") == 5
        print("# copytruncate: %d of %d lines, 5 rotations" % (len(got), m))
        gaps = [(a, b) for a, b in zip([-1] + got, got) if b != a + 1]
        assert len(gaps) <= 5, gaps  # one for each truncation; how wide they are is the machine's affair

with suite.check("a file under another name that matches, or under two: it is read on, and no line is doubled; a hole is passed over"):
    folder = suite.folder()
    at = {x: os.path.join(folder, x + ".log") for x in ("a", "b", "c", "h1", "h2", "hole")}
    with daemon([folder + "/*.log"], "    linger = 500ms\n") as d:
        ear = Ear(d)
        append(at["a"], "a1")
        append(at["h1"], "h1")
        ear.wait_for("h1")
        ear.wait_for("a1")
        os.link(at["h1"], at["h2"])
        # A chain, as logrotate with dateext and extension .log makes it
        os.rename(at["a"], at["b"])
        append(at["a"], "a2")
        append(at["b"], "b2")  # a writer that has not opened it anew
        ear.wait_for("a2")
        ear.wait_for("b2")
        os.unlink(at["h1"])
        os.rename(at["b"], at["c"])
        os.rename(at["a"], at["b"])
        append(at["a"], "a3")
        ear.wait_for("a3")
        time.sleep(2)
        for name in ("a", "b", "c", "h2"):
            append(at[name], name + " late")
            ear.wait_for(name + " late")
        with open(at["hole"], "w") as f:
            f.truncate(50 << 20)
            f.seek(0, 2)
            f.write("behind it\n\0\0and this\n")
        ear.wait_for("and this")
        time.sleep(1)
        late = {x["message"]: x["subject"] for x in ear.watch.lines if x.get("message", "").endswith(" late")}
        assert late == {x + " late": "log:%s.log" % x for x in ("a", "b", "c", "h2")}, late
        assert sorted(ear.end()) == sorted(["a1", "h1", "a2", "b2", "a3", "behind it", "and this", *late]), ear.messages()
        assert count(d, at["hole"], "lines") == 2

with suite.check("restarts in order, with a rotation while kithd does not run: no line is lost, none is doubled"):
    folder = suite.folder()
    path = folder + "/app.log"
    append(path, "before")
    got = []
    d = daemon([path]).start()
    wait_for("the series", lambda: count(d, path, "lines") == 0)
    w = Writer(path, 0.001)
    for i in range(4):
        ear = Ear(d)
        time.sleep(0.4)
        before = set(numbers(ear.messages()))
        d.stop()
        ear.watch.thread.join(20)
        got.append(numbers(ear.end()))
        if i == 1:
            os.rename(path, path + ".1")
            w.reopen.set()
        time.sleep(0.2)
        # What it reads at once at its start is heard by nobody here: it is counted.
        d.start()
        wait_for("the series", lambda: (count(d, path, "lines") or 0) > 0)
    n = w.end()
    wait_for("it to be up to date", lambda: count(d, path, "lag") == 0)
    time.sleep(0.1)
    d.stop()
    for part in got:
        assert part == list(range(part[0], part[-1] + 1)) if part else True, part[:5]
    flat = [x for part in got for x in part]
    assert len(set(flat)) == len(flat) and flat == sorted(flat), "lines are doubled"
    with open(os.path.join(d.state, "plugins", "tail", "places")) as f:
        places = f.read()
    size = os.path.getsize(path)
    assert "file %d %d " % (os.stat(path).st_ino, size) in places, (size, places)
    assert os.stat(os.path.join(d.state, "plugins", "tail")).st_mode & 0o777 == 0o700

with suite.check("kill -9 while lines come: none is lost; what is doubled is of the last seconds"):
    folder = suite.folder()
    path = folder + "/app.log"
    append(path, "before")
    d = daemon([path]).start()
    wait_for("the series", lambda: count(d, path, "lines") == 0)
    time.sleep(2.5)
    ear = Ear(d)
    w = Writer(path, 0.002)
    time.sleep(4)
    d.kill()
    ear.watch.thread.join(20)
    first = numbers(ear.end())
    d.start()
    d.wait_log(r" runs: \d+ promises", 2)
    wait_for("it to have read on", lambda: (count(d, path, "lines") or 0) > 0)
    n = w.end()
    size = os.path.getsize(path)
    wait_for("it to be up to date", lambda: count(d, path, "lag") == 0 and count(d, path, "bytes"), alive=d)
    time.sleep(1.5)
    # What it read in its second life is all that follows some line of the first one.
    lines = int(count(d, path, "lines"))
    begin = n - lines
    assert begin <= first[-1] + 1, ("lines are lost", begin, first[-1])
    assert begin >= first[-1] - 4 / 0.002, (begin, first[-1])
    print("# %d lines were there twice" % (first[-1] + 1 - begin))
    assert first == list(range(first[-1] + 1))
    d.stop()

with suite.check("kill -9 between two ticks that are far apart: what was read is kept, each line at least once"):
    folder = suite.folder()
    path = folder + "/app.log"
    append(path, "before")
    # `load` ticks once an hour, and so does what is written on a tick
    d = suite.daemon(conf='interval = 1h\nplugin tail {\n    files = ["%s"]\n    rate = 1000000\n    burst = 1000000\n    interval = 1s\n}\n' % path,
                     plugins=(plugins,)).start()
    wait_for("the series", lambda: count(d, path, "lines") == 0)
    for life in range(3):
        w = Writer(path, 0.002) if not life else w
        time.sleep(3.5)
        d.kill()
        d.start()
        d.wait_log(r" runs: \d+ promises", life + 2)
    n = w.end()
    append(path, "the end")
    def logged(*args):
        p = subprocess.run([KITH, "-s", d.socket, "log", "--json", "--own", *args, "log:*"], capture_output=True, text=True, env=environment(), timeout=60)
        return [json.loads(x)["message"] for x in p.stdout.splitlines()]
    wait_for("the end", lambda: "the end" in logged("-n", "1"), alive=d)
    kept = numbers(logged("--since", "10m"))
    assert set(kept) == set(range(n)), ("lines are lost", sorted(set(range(n)) - set(kept))[:5], n)
    print("# of %d lines %d were kept twice" % (n, len(kept) - n))
    d.stop()

with suite.check("isolated: lines, and places over a restart"):
    folder = suite.folder()
    path = folder + "/app.log"
    append(path, "before")
    with daemon([path], "    isolated = true\n") as d:
        wait_for("the series", lambda: count(d, path, "lines") == 0)
        ear = Ear(d)
        append(path, *["line %d" % i for i in range(2000)])
        ear.wait_for("line 1999")
        assert numbers(ear.end()) == list(range(2000))
        d.stop()
        append(path, "line 2000")
        d.start()
        wait_for("the line", lambda: count(d, path, "lines") == 1)

with suite.check("300,000 lines at once: read in parts, all of them, others served meanwhile"):
    folder = suite.folder()
    path = folder + "/app.log"
    append(path, "before")
    with daemon([path]) as d:
        wait_for("the series", lambda: count(d, path, "lines") == 0)
        with open(path, "a") as f:
            f.write("".join("2026-11-28 00:59:58 INFO request %d took 12 ms\n" % i for i in range(300000)))
        begin, slowest = time.monotonic(), 0
        while (count(d, path, "lines") or 0) < 300000:
            t = time.monotonic()
            d.kith("status")
            slowest = max(slowest, time.monotonic() - t)
            assert t - begin < 120
        print("# 300000 lines in %.2f s, slowest answer %.0f ms" % (time.monotonic() - begin, slowest * 1000))
        assert count(d, path, "lines") == 300000 and count(d, path, "dropped") == 0
        assert slowest < (10 if sanitized() else 1), slowest

suite.end()
