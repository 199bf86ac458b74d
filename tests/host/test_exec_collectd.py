#!/usr/bin/python3
"""Programs that write collectd's protocol, run by the real daemon."""
import os
import shutil
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from kithtest import PLUGINS, Skip, Suite, sanitized, wait_for, write_file  # noqa: E402

suite = Suite()
plugins = suite.folder()
shutil.copy(os.path.join(PLUGINS, "exec.so"), plugins)
place = suite.folder()


def script(name, text):
    path = os.path.join(place, name)
    write_file(path, "#!/bin/sh\n" + text)
    os.chmod(path, 0o755)
    return path


def daemon(*programs, **options):
    lines = "".join("    %s = %s\n" % x for x in options.items())
    quoted = "".join('        "%s"\n' % p.replace("\\", "\\\\").replace('"', '\\"') for p in programs)
    return suite.daemon(conf="interval = 1s\nplugin exec {\n%s    collectd = [\n%s    ]\n}\n" % (lines, quoted), plugins=(plugins,))


def alive(pid):
    try:
        with open("/proc/%d/stat" % pid) as f:
            return f.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def pid_of(name):
    def read():
        try:
            with open(os.path.join(place, name)) as f:
                return int(f.read() or 0)
        except FileNotFoundError:
            return 0
    return wait_for(name, read)


with suite.check("values of every kind, several data sources, a quoted identifier, other hosts; a notification; what is wrong has its line"):
    path = script("all", """echo $$ > %s/all.pid
h=$COLLECTD_HOSTNAME
echo "PUTVAL $h/exec-one/gauge-a interval=$COLLECTD_INTERVAL N:42.5"
echo "PUTVAL $h/exec/if_octets interval=$COLLECTD_INTERVAL N:10:20"
echo "PUTVAL \\"$h/exec/load\\" N:1:U:3"
echo "PUTVAL $h/exec/absolute N:5 N:6"
echo "PUTVAL other/exec/percent-b N:99"
echo "# a comment"
echo "PUTVAL $h/exec/nosuchtype N:1"
echo "PUTVAL $h/exec/load N:1"
echo "PUTNOTIF severity=warning time=$(date +%%s) host=$h plugin=exec plugin_instance=one type=gauge type_instance=a message=\\"it is 42\\""
printf "PUTVAL $h/exec/count N:"; sleep 0.2; printf '7\\n'
echo "to standard error" >&2
exec sleep 1000
""" % place)
    with daemon("all every=10s %s" % path) as d:
        watch = d.watch("--records")
        d.wait_series("collectd_count:exec:value", lambda v: v == 7)
        assert d.value("collectd_gauge:exec-one/a:value") == 42.5
        assert d.value("collectd_if_octets:exec:rx") == 10 and d.value("collectd_if_octets:exec:tx") == 20
        assert d.get("collectd_if_octets:exec:rx")["collectd_if_octets:exec:rx"]["unit"].startswith("B")
        assert d.value("collectd_load:exec:shortterm") == 1 and d.value("collectd_load:exec:midterm") is None
        assert d.value("collectd_absolute:exec:value") == 11
        assert d.value("collectd_percent:other/exec/b:value") == 99
        d.wait_series("program:all:faults", lambda v: v == 2)
        d.wait_log(r"program all: line 7: type .nosuchtype. is not known")
        d.wait_log(r"program all: line 8: type load has 3 data sources, 1 values were given")
        d.wait_log(r"program all: to standard error")
        assert d.value("program:all:state") == "running" and d.value("program:all:starts") == 1
        watch.end()
        pid = pid_of("all.pid")
        assert alive(pid)
        with d.watch() and open(d.conf, "w") as f:
            f.write("interval = 1s\nplugin exec { }\n")
        d.reload()
        wait_for("it to end", lambda: not alive(pid))
        wait_for("its series to end", lambda: not d.get("collectd_gauge") and not d.get("program"))

with suite.check("a notification is a record with its subject, priority and fields"):
    path = script("notif", "while [ ! -e %s/go ]; do sleep 0.1; done\necho 'PUTNOTIF severity=failure host=x plugin=p type=gauge message=\"two words\"'\nexec sleep 1000\n" % place)
    with daemon("n %s" % path) as d:
        watch = d.watch("--records")
        write_file(place + "/go", "")
        r = watch.wait("the record", lambda x: x["kind"] == "record" and x["message"] == "two words")
        assert r["subject"] == "collectd_gauge:x/p" and r["fields"]["severity"] == "failure" and r["fields"]["program"] == "n", r
        watch.end()

with suite.check("one that ends is started again; one that fails after longer and longer times; one that is not there is said"):
    once = script("once", "echo PUTVAL $COLLECTD_HOSTNAME/once/counter N:$(date +%N | sed 's/^0*//')\n")
    fails = script("fails", "exit 3\n")
    with daemon("once every=200ms %s" % once, "fails every=100ms %s" % fails, "none %s/none" % place) as d:
        watch = d.watch("--records")
        d.wait_series("program:once:starts", lambda v: v is not None and v >= 4)
        d.wait_series("collectd_counter:once:value")
        d.wait_series("program:fails:starts", lambda v: v is not None and v >= 4)
        assert d.value("program:fails:exit_code") == 3
        watch.wait("longer", lambda x: x["kind"] == "record" and x["message"] == "it ended with status 3; it is started again in 0.8 s")
        d.wait_series("program:none:state", lambda v: v == "waiting")
        watch.end()

with suite.check("killed with its group when kithd ends"):
    path = script("group", "(sleep 1000 & echo $! > %s/group.pid; wait) & exec sleep 1000\n" % place)
    with daemon("g %s" % path) as d:
        pid = pid_of("group.pid")
        assert alive(pid)
    wait_for("the grandchild to end", lambda: not alive(pid))

with suite.check("as another user"):
    if os.geteuid() != 0:
        raise Skip("needs root")
    path = script("who", "echo PUTVAL $COLLECTD_HOSTNAME/$(id -un)/gauge N:$(id -u)\nexec sleep 1000\n")
    with daemon("who user=nobody %s" % path, "nobody user=no-such-user %s" % path) as d:
        d.wait_series("collectd_gauge:nobody:value", lambda v: v == 65534)
        d.wait_series("program:nobody:exit_code", lambda v: v == 127)
        d.wait_log("there is no user no-such-user")

with suite.check("a flood, endless lines, no lines: bounded, counted, the rest goes on"):
    flood = script("flood", "yes PUTVAL $COLLECTD_HOSTNAME/flood/gauge N:1 | head -n 200000\necho PUTVAL $COLLECTD_HOSTNAME/flood/gauge-last N:1\nexec sleep 1000\n")
    endless = script("endless", "head -c 300000 /dev/zero | tr '\\0' x\necho\necho PUTVAL $COLLECTD_HOSTNAME/endless/gauge N:2\nprintf unfinished\n")
    with daemon("flood %s" % flood, "endless every=1h %s" % endless) as d:
        d.wait_series("collectd_gauge:endless:value", lambda v: v == 2)
        d.wait_log("program endless: line 1: longer than 8192 bytes")
        d.wait_log("program endless: line 3: .unfinished. is no command")
        d.wait_series("program:flood:lines", lambda v: v == 200001)
        assert d.value("program:flood:dropped") >= 100000
        assert d.value("collectd_gauge:flood:value") == 1
        assert sanitized() or d.holds()["anonymous"] < 64 << 10

with suite.check("an interval of centuries"):
    path = script("rare", "echo PUTVAL $COLLECTD_HOSTNAME/rare/gauge interval=9000000000 N:1\nexec sleep 1000\n")
    with daemon("rare %s" % path) as d:
        d.wait_series("collectd_gauge:rare:value")

with suite.check("values that no longer come end"):
    path = script("quiet", "echo PUTVAL $COLLECTD_HOSTNAME/quiet/gauge interval=0.5 N:1\nexec sleep 1000\n")
    with daemon("quiet %s" % path) as d:
        d.wait_series("collectd_gauge:quiet:value")
        wait_for("it to end", lambda: not d.get("collectd_gauge:quiet:value"))

suite.end()
