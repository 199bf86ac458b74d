#!/usr/bin/python3
"""Lines of syslog's from real senders: logger(1) in its modes, syslog(3), Python, rsyslogd; floods, with every line accounted for."""
import calendar
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from kithtest import BUNDLES, PLUGINS, Skip, Suite, sanitized, wait_for  # noqa: E402

suite = Suite()
plugins = suite.folder()
for plugin in ("syslog.so", "load.so"):
    shutil.copy(os.path.join(PLUGINS, plugin), plugins)
LOGGER = shutil.which("logger")
RSYSLOGD = shutil.which("rsyslogd") or shutil.which("rsyslogd", path="/usr/sbin:/sbin")


def free_port(kind=socket.SOCK_STREAM):
    with socket.socket(socket.AF_INET, kind) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def daemon(options, more="", **how):
    text = "".join("    %s = %s\n" % x for x in options.items())
    return suite.daemon(conf="interval = 1s\n%splugin syslog {\n%s}\n" % (more, text), plugins=(plugins,), **how)


class Ear:
    """The records that a daemon makes, as kith watch tells them"""

    def __init__(self, d):
        self.watch = d.watch("--records")

    def hear(self, message, deadline=30.0):
        r = self.watch.wait("a record with " + message, lambda x: x["kind"] == "record" and message in x["message"], deadline)
        r["fields"] = r.get("fields", {})
        return r

    def end(self):
        return self.watch.end()


def counts(d, name):
    found = d.get("syslog:%s:*" % name)
    return {k.rsplit(":", 1)[1]: v["value"] for k, v in found.items()}


def wait_counts(d, name, **want):
    wait_for("%s to be %s" % (name, want), lambda: all(counts(d, name).get(k) == v for k, v in want.items()), alive=d)
    return counts(d, name)


def in_namespace(path, *argv):
    """A program for which `path` is /dev/log"""
    script = 'mount -t tmpfs none /dev && : >/dev/log && : >/dev/null && mount --bind "$0" /dev/log && exec "$@"'
    p = subprocess.run(["unshare", "-m", "sh", "-c", script, path, *argv], capture_output=True, text=True, timeout=60)
    if p.returncode and "unshare" in p.stderr:
        raise Skip("no mount namespaces here: " + p.stderr.strip())
    assert p.returncode == 0, p.stderr
    return p


def fields(record):
    f = record["fields"]
    return f if isinstance(f, dict) else {x["key"]: x["value"] for x in f}


with suite.check("without an option nothing is opened, and the plugin says so"):
    with daemon({}) as d:
        assert "no socket is asked for" in d.wait_plugin("syslog", "running")["reason"]

with suite.check("logger(1) in its modes: local, with a pid, a priority, RFC 5424 with structured data, a file"):
    if not LOGGER:
        raise Skip("no logger(1)")
    path = suite.folder() + "/log"
    with daemon({"sockets": '["%s"]' % path}) as d:
        d.wait_plugin("syslog", "running")
        ear = Ear(d)
        run = lambda *argv: subprocess.run([LOGGER, "-u", path, *argv], check=True, timeout=30)  # noqa: E731
        run("-t", "plain", "it is plain")
        r = ear.hear("it is plain")
        assert r["subject"] == "log:plain" and fields(r)["facility"] == "user" and fields(r)["uid"] == "0" and "host" not in fields(r), r
        run("-t", "urgent", "-p", "local3.err", "it is urgent")
        r = ear.hear("it is urgent")
        assert fields(r)["facility"] == "local3" and r["priority"] in (3, "error", "err"), r
        run("-t", "withpid", "--id=4711", "it has a pid")
        assert fields(ear.hear("it has a pid"))["pid"] == "4711"
        run("-t", "two words", "it has two words")
        assert ear.hear("it has two words")["subject"] == "log:two words"
        run("--rfc5424", "-t", "modern", "--msgid", "ID7", "--sd-id", "zoo@123", "--sd-param", 'tiger="hungry"', "--sd-param",
            'zebra="a\\"b"', "it is modern")
        r = ear.hear("it is modern")
        assert r["subject"] == "log:modern" and fields(r)["msgid"] == "ID7" and fields(r)["zoo_123_tiger"] == "hungry", r
        run("--rfc5424=notime,notq,nohost", "-t", "nil", "it has nils")
        assert ear.hear("it has nils")["subject"] == "log:nil"
        run("-t", "utf", "gr\u00fc\u00dfe \u20ac")
        assert ear.hear("gr\u00fc\u00dfe")["message"] == "gr\u00fc\u00dfe \u20ac"
        with open(path + ".txt", "w") as f:
            f.write("".join("of a file %d\n" % i for i in range(50)))
        run("-t", "file", "-f", path + ".txt")
        ear.hear("of a file 49")
        ear.end()
        wait_counts(d, "unix:" + path, received=57, dropped=0, malformed=0)
    assert not os.path.exists(path)

with suite.check("syslog(3) of the C library, through /dev/log of a mount namespace"):
    path = suite.folder() + "/log"
    with daemon({"sockets": '["%s"]' % path}) as d:
        d.wait_plugin("syslog", "running")
        ear = Ear(d)
        script = """import syslog as s
s.openlog('libc', s.LOG_PID, s.LOG_AUTHPRIV)
s.syslog(s.LOG_CRIT, 'from the library')
s.syslog(s.LOG_DEBUG, 'line\\nfeed\\ttab\\x1b')
s.closelog(); s.openlog('bare', 0, s.LOG_CRON); s.syslog(s.LOG_INFO, 'without a pid')"""
        in_namespace(path, sys.executable, "-c", script)
        r = ear.hear("from the library")
        assert r["subject"] == "log:libc" and fields(r)["facility"] == "authpriv" and int(fields(r)["pid"]) > 0, r
        assert ear.hear("line feed tab?")
        assert ear.hear("without a pid")["subject"] == "log:bare"
        if LOGGER:
            in_namespace(path, LOGGER, "-t", "ns", "through the namespace")
            assert ear.hear("through the namespace")["subject"] == "log:ns"
        ear.end()

with suite.check("UDP and TCP: both framings mixed, cut into pieces, half lines, IPv4 and IPv6"):
    udp, tcp = free_port(socket.SOCK_DGRAM), free_port()
    with daemon({"udp": '["127.0.0.1:%d", "[::1]:%d"]' % (udp, udp), "tcp": '["*:%d"]' % tcp}) as d:
        d.wait_plugin("syslog", "running")
        ear = Ear(d)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.sendto(b"<34>1 2003-10-11T22:14:15.003Z mymachine.example.com su - ID47 - \xef\xbb\xbf'su root' failed", ("127.0.0.1", udp))
        r = ear.hear("'su root' failed")
        assert fields(r)["host"] == "mymachine.example.com" and fields(r)["from"] == "127.0.0.1", r
        assert not r["time"].startswith("2003"), r  # it is not sane
        if socket.has_ipv6 and os.path.exists("/proc/net/if_inet6"):
            with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as s:
                try:
                    s.sendto(b"<34>a: over v6", ("::1", udp))
                    assert fields(ear.hear("over v6"))["from"] == "::1"
                except OSError:
                    pass
        stream = b"<13>a: one\n17 <13>a: two\n three<13>a: four\n<13>b: five\r\n" + b"9005 <13>" + b"x" * 9001 + b"<13>c: six\n<13>d: half"
        with socket.create_connection(("127.0.0.1", tcp)) as s:
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for i in range(0, len(stream), 997):
                s.sendall(stream[i:i + 997])
                time.sleep(0.002)
            for text in ("one", "two  three", "four", "five", "six"):
                ear.hear(text)
            wait_counts(d, "tcp:*:%d" % tcp, clients=1)
            assert not [x for x in ear.watch.lines if "half" in x.get("message", "")]
        ear.hear("half")
        cut = next(x for x in ear.watch.lines if x["message"].startswith("xxx"))
        assert fields(cut)["cut"] == "9005" and len(cut["message"]) == 8188, (fields(cut), len(cut["message"]))
        assert wait_counts(d, "tcp:*:%d" % tcp, clients=0)["received"] == 7
        ear.end()

with suite.check("64 TCP clients and no more; a restart while they are there"):
    tcp = free_port()
    with daemon({"tcp": '["127.0.0.1:%d"]' % tcp}) as d:
        d.wait_plugin("syslog", "running")
        clients = [socket.create_connection(("127.0.0.1", tcp)) for _ in range(64)]
        wait_counts(d, "tcp:127.0.0.1:%d" % tcp, clients=64)
        extra = socket.create_connection(("127.0.0.1", tcp))
        extra.settimeout(20)
        assert extra.recv(1) == b""
        d.wait_log("64 connections, the most that there may be")
        d.stop()
        for s in clients + [extra]:
            s.close()
        d.start()
        with socket.create_connection(("127.0.0.1", tcp)) as s:
            s.sendall(b"<13>a: again\n")
            wait_counts(d, "tcp:127.0.0.1:%d" % tcp, received=1)

with suite.check("a path that somebody else listens on is left alone, and taken when it is free"):
    path = suite.folder() + "/log"
    other = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    other.bind(path)
    with daemon({"sockets": '["%s"]' % path}) as d:
        wait_for("it to say so", lambda: "somebody else listens there" in d.wait_plugin("syslog", "running")["reason"])
        other.close()
        wait_for("it to be taken", lambda: "somebody" not in d.wait_plugin("syslog", "running")["reason"])
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.connect(path)
            s.send(b"<13>a: x")
        wait_counts(d, "unix:" + path, received=1)

with suite.check("its file removed, again and again: made again at once, by kithd's notice; nothing that was sent is lost; isolated, too"):
    for more in ("", "    isolated = true\n"):
        path = suite.folder() + "/log"
        with suite.daemon(conf='interval = 1s\nplugin syslog {\n    sockets = ["%s"]\n%s}\n' % (path, more), plugins=(plugins,)) as d:
            wait_for("the socket", lambda: os.path.exists(path), alive=d)
            d.wait_plugin("syslog", "running")
            old = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            old.connect(path)
            old.send(b"<13>a: before")
            for _ in range(3):
                os.unlink(path)
                begin = time.monotonic()
                wait_for("the socket again", lambda: os.path.exists(path), 9, alive=d)
                print("# made again after %.0f ms" % ((time.monotonic() - begin) * 1000))
                with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
                    wait_for("it to be listened on", lambda: s.connect_ex(path) == 0, 9)
                    s.send(b"<13>a: after")
            d.wait_log("its file was removed or replaced: made again")
            wait_counts(d, "unix:" + path, received=4)
            assert "tried again" not in d.wait_plugin("syslog", "running")["reason"], d.wait_plugin("syslog", "running")
            old.close()

with suite.check("its file taken over by another: said, left alone, taken when it is free; who was connected is heard meanwhile"):
    path = suite.folder() + "/log"
    with daemon({"sockets": '["%s"]' % path}) as d:
        d.wait_plugin("syslog", "running")
        old = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        old.connect(path)
        other = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        other.bind(path + ".new")
        os.rename(path + ".new", path)
        wait_for("it to say so", lambda: "somebody else listens there; tried again every 10 s" in d.wait_plugin("syslog", "running")["reason"], 9)
        old.send(b"<13>a: to the old one")
        wait_counts(d, "unix:" + path, received=1)
        os.unlink(path)
        other.close()
        wait_for("it to be taken", lambda: "somebody" not in d.wait_plugin("syslog", "running")["reason"], 9)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.connect(path)
            s.send(b"<13>a: to the new one")
        old.send(b"<13>a: to the old one")
        wait_counts(d, "unix:" + path, received=3)
        old.close()

with suite.check("IPv6 hosts, Cisco's forms, zones, no priority: over UDP"):
    udp = free_port(socket.SOCK_DGRAM)
    with daemon({"udp": '["127.0.0.1:%d"]' % udp}) as d:
        d.wait_plugin("syslog", "running")
        ear = Ear(d)
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.connect(("127.0.0.1", udp))
        now = time.gmtime(time.time() - 3600)
        stamp = time.strftime("%b %d %H:%M:%S", now).replace(" 0", "  ")
        local = time.strftime("%b %d %H:%M:%S", time.localtime(time.time() - 3600)).replace(" 0", "  ")
        for i, (text, subject, host, sequence) in enumerate((
                ("<13>%(local)s ::1 c07: ", "c07", "::1", None),
                ("<13>%(local)s ::ffff:1.2.3.4 c10: ", "c10", "::ffff:1.2.3.4", None),
                ("<13>%(local)s [::1] c: ", "c", "::1", None),
                ("<189>45: *%(local)s.123: %%SYS-5-CONFIG_I: ", "%SYS-5-CONFIG_I", None, "45"),
                ("<189>46: %(local)s: %%SYS-5-CONFIG_I: ", "%SYS-5-CONFIG_I", None, "46"),
                ("<189>47: host1: *%(stamp)s.123 UTC: %%SYS-5-CONFIG_I: ", "%SYS-5-CONFIG_I", "host1", "47"),
                ("<13>%(stamp)s UTC host c12: ", "c12", "host", None),
                ("<13>:%(stamp)s UTC: %%ASA-6-302013: ", "%ASA-6-302013", None, None))):
            s.send((text % {"local": local, "stamp": stamp} + "form %d." % i).encode())
            r = ear.hear("form %d." % i)
            assert r["subject"] == "log:" + subject and fields(r).get("host") == host and fields(r).get("sequence") == sequence, (text, r)
            assert r["message"] == "form %d." % i, r
            ago = time.time() - calendar.timegm(time.strptime(r["time"][:19], "%Y-%m-%dT%H:%M:%S"))
            assert r["time"].endswith("Z") and 3590 < ago < 3700, (text, r)
        for text in ("no pri at all", "<192>no pri", "<999>no pri"):
            s.send(text.encode())
            r = ear.hear(text)
            assert fields(r)["facility"] == "user" and r["priority"] == "notice", r
        s.close()
        ear.end()


def rss(d):
    with open("/proc/%d/status" % d.process.pid) as f:
        return next(int(x.split()[1]) for x in f if x.startswith("VmRSS"))


def marker(ear, s, text):
    """A line, and the number of its record"""
    s.send(b"<13>marker: " + text.encode())
    return ear.hear(text)


# Of one source; the others' markers come through all the same.
def burst(d, connect, name, lines, exact):
    """Sends `lines`, then waits until all are accounted for; (counts, records, s, what a question to kithd took meanwhile)"""
    took = []
    ended = threading.Event()

    def ask():
        while not ended.is_set():
            begin = time.monotonic()
            d.kith("status")
            took.append(time.monotonic() - begin)
            ended.wait(0.02)

    before = counts(d, name).get("received", 0)
    thread = threading.Thread(target=ask)
    thread.start()
    begin = time.monotonic()
    with connect() as s:
        text = b"<30>Nov 28 00:59:58 burst[7]: a line as programs write them, with some words and a number 123456"
        for _ in range(lines):
            try:
                s.send(text)
            except ConnectionRefusedError:
                pass
    sent = time.monotonic() - begin
    wait_for("all lines", lambda: counts(d, name)["received"] + counts(d, name)["lost"] - before >= lines, 120, alive=d)
    ended.set()
    thread.join()
    c = counts(d, name)
    assert c["received"] + c["lost"] - before == lines, (c, before, lines)
    assert not exact or c["lost"] == 0, c
    return c, sent, max(took)


LINES = 200000

with suite.check("200,000 lines at once through a Unix socket: kept + dropped = sent, memory bounded, others served meanwhile"):
    path = suite.folder() + "/log"
    promises = {"logs.promise": open(os.path.join(BUNDLES, "logs.promise")).read()}
    with daemon({"sockets": '["%s"]' % path, "rate": 1000, "burst": 20000}, promises=promises) as d:
        d.wait_plugin("syslog", "running")
        d.wait_promise("syslog.complete", "kept")
        connect = lambda: socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)  # noqa: E731

        def connected():
            s = connect()
            s.connect(path)
            return s
        watch = d.watch("--records", "syslog:dropped")
        before = rss(d)
        c, sent, slowest = burst(d, connected, "unix:" + path, LINES, True)
        kept = c["received"] - c["dropped"]
        assert 20000 <= kept <= 20000 + 1000 * (sent + 2) + 2, (c, sent)
        print("# %d lines in %.2f s, %d kept, slowest answer %.0f ms, memory %d -> %d kB" % (LINES, sent, kept, slowest * 1000, before, rss(d)))
        assert slowest < (10 if sanitized() else 1), slowest
        assert rss(d) - before < (40000 if sanitized() else 2048), (before, rss(d))
        d.wait_promise("syslog.complete", "broken")
        said = lambda: [x for x in list(watch.lines) if x.get("subject") == "syslog:dropped"]  # noqa: E731
        wait_for("what was dropped to be said", lambda: sum(int(fields(x)["dropped"]) for x in said()) >= c["dropped"], 40)
        watch.end()
        assert sum(int(fields(x)["dropped"]) for x in said()) == c["dropped"], (said(), c)
        assert all(fields(x)["source"].startswith("process %d " % os.getpid()) for x in said()), said()
        assert len(said()) <= 2 + sent / 10, said()

with suite.check("200,000 lines at once over UDP: kept + dropped + what the kernel dropped = sent"):
    udp = free_port(socket.SOCK_DGRAM)
    with daemon({"udp": '["127.0.0.1:%d"]' % udp, "rate": 1000, "burst": 20000}) as d:
        d.wait_plugin("syslog", "running")

        def udp_socket():
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            s.connect(("127.0.0.1", udp))
            return s
        before = rss(d)
        c, sent, slowest = burst(d, udp_socket, "udp:127.0.0.1:%d" % udp, LINES, False)
        print("# %d lines in %.2f s: %s, slowest answer %.0f ms, memory %d -> %d kB" % (LINES, sent, c, slowest * 1000, before, rss(d)))
        assert rss(d) - before < (40000 if sanitized() else 2048), (before, rss(d))

with suite.check("records are as many as lines were kept, by their numbers; isolated, too"):
    for more in ("", "    isolated = true\n"):
        path = suite.folder() + "/log"
        with suite.daemon(conf='interval = 1s\nplugin syslog {\n    sockets = ["%s"]\n%s}\n' % (path, more), plugins=(plugins,)) as d:
            wait_for("the socket", lambda: os.path.exists(path), alive=d)
            d.wait_plugin("syslog", "running")
            ear = Ear(d)
            s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            s.connect(path)
            s.send(b"<13>marker: the first")
            ear.hear("the first")
            for i in range(3000):
                s.send(b"<13>many: line %d" % i)
            s.send(b"<13>marker: the last")
            ear.hear("the last")
            lines = [x["message"] for x in ear.end() if x.get("subject") == "log:many"]
            assert lines == ["line %d" % i for i in range(3000)], (len(lines), lines[:3], lines[-3:])
            s.close()

with suite.check("rsyslogd forwards to it over UDP, TCP and with octet counts: all arrives, in order"):
    if not RSYSLOGD:
        raise Skip("rsyslogd is not installed")
    udp, tcp = free_port(socket.SOCK_DGRAM), free_port()
    folder = suite.folder()
    conf = folder + "/rsyslog.conf"
    with daemon({"udp": '["127.0.0.1:%d"]' % udp, "tcp": '["127.0.0.1:%d"]' % tcp}) as d:
        d.wait_plugin("syslog", "running")
        ear = Ear(d)
        with open(conf, "w") as f:
            f.write("""module(load="imuxsock" SysSock.Use="off")
input(type="imuxsock" Socket="%(folder)s/in")
global(workDirectory="%(folder)s")
local0.* action(type="omfwd" target="127.0.0.1" port="%(udp)d" protocol="udp")
local1.* action(type="omfwd" target="127.0.0.1" port="%(tcp)d" protocol="tcp")
local2.* action(type="omfwd" target="127.0.0.1" port="%(tcp)d" protocol="tcp" TCP_Framing="octet-counted" template="RSYSLOG_SyslogProtocol23Format")
""" % {"folder": folder, "udp": udp, "tcp": tcp})
        r = subprocess.Popen([RSYSLOGD, "-n", "-f", conf, "-i", folder + "/pid"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:
            wait_for("rsyslogd", lambda: os.path.exists(folder + "/in") or r.poll() is not None)
            assert r.poll() is None, r.stderr.read()
            s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            s.connect(folder + "/in")
            for i in range(500):
                for facility in (16, 17, 18):
                    s.send(b"<%d>Nov 28 00:59:58 fwd%d[12]: line %d" % (facility * 8 + 6, facility, i))
            wait_for("all of them", lambda: sum(x.get("subject", "").startswith("log:fwd") for x in list(ear.watch.lines)) >= 1500)
            for facility in (16, 17, 18):
                got = [x for x in ear.watch.lines if x.get("subject") == "log:fwd%d" % facility]
                assert [x["message"] for x in got] == ["line %d" % i for i in range(500)], (facility, got[:3])
                assert fields(got[0])["pid"] == "12" and fields(got[0])["facility"] == "local%d" % (facility - 16), got[0]
            s.close()
        finally:
            r.send_signal(signal.SIGTERM)
            r.wait(30)
            r.stderr.close()
        ear.end()

suite.end()
