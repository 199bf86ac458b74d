#!/usr/bin/python3
"""One script under the real collectd and under kithd: what collectd's exec plugin makes of its lines kithd makes too."""
import glob
import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from kithtest import PLUGINS, Skip, Suite, wait_for, write_file  # noqa: E402

suite = Suite()
SCRIPT = """#!/bin/sh
while :; do
echo "PUTVAL \\"$COLLECTD_HOSTNAME/exec-one/gauge-a\\" interval=$COLLECTD_INTERVAL N:42.5"
echo "PUTVAL $COLLECTD_HOSTNAME/exec/if_octets interval=$COLLECTD_INTERVAL N:10:20"
echo "putval $COLLECTD_HOSTNAME/exec/load interval=$COLLECTD_INTERVAL N:1:U:3"
echo "PUTVAL $COLLECTD_HOSTNAME/exec/percent-with-dash N:1"
echo "PUTVAL other/exec/count N:-3"
echo "PUTVAL $COLLECTD_HOSTNAME/exec/nosuchtype N:1"
echo "PUTVAL $COLLECTD_HOSTNAME/exec/gauge-hex N:bogus"
echo "nonsense"
echo "# comment"
sleep 1
done
"""
CONF = """
Hostname "HOST"
FQDNLookup false
BaseDir "%(dir)s"
PIDFile "%(dir)s/pid"
TypesDB "/usr/share/collectd/types.db"
Interval 1
LoadPlugin csv
<Plugin csv>
	DataDir "%(dir)s/csv"
	StoreRates false
</Plugin>
LoadPlugin exec
<Plugin exec>
	Exec "nobody" "%(script)s"
</Plugin>
"""


def files(folder):
    """identifier -> {data source: value} of the last line"""
    found = {}
    for path in glob.glob(folder + "/csv/**/*", recursive=True):
        if not os.path.isfile(path):
            continue
        with open(path) as f:
            lines = f.read().splitlines()
        if len(lines) < 2:
            continue
        values = lines[-1].split(",")[1:]
        name = os.path.relpath(path, folder + "/csv").rsplit("-", 3)[0]
        found[name] = dict(zip(lines[0].split(",")[1:], map(float, values)))
    return found


with suite.check("collectd's exec plugin beside kithd's: the same script, the same values"):
    if not shutil.which("collectd") and not os.path.exists("/usr/sbin/collectd"):
        raise Skip("collectd is not installed")
    if os.geteuid() != 0:
        raise Skip("collectd runs programs as another user: needs root")
    place = suite.folder()
    os.chmod(place, 0o755)
    script = place + "/script"
    write_file(script, SCRIPT)
    os.chmod(script, 0o755)
    host = os.uname().nodename
    write_file(place + "/conf", CONF.replace("HOST", host) % {"dir": place, "script": script})
    collectd = subprocess.Popen(["/usr/sbin/collectd", "-f", "-C", place + "/conf"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        theirs = wait_for("collectd's files", lambda: len(files(place)) >= 5 and files(place))
    finally:
        collectd.terminate()
        collectd.wait()
    plugins = suite.folder()
    shutil.copy(os.path.join(PLUGINS, "exec.so"), plugins)
    conf = 'interval = 1s\nplugin exec {\n    collectd = [ "one user=nobody every=1s %s" ]\n}\n' % script
    with suite.daemon(conf=conf, plugins=(plugins,)) as d:
        d.wait_series("collectd_count:other/exec:value")
        d.wait_series("program:one:faults", lambda v: v is not None and v >= 3)
        ours = d.get("collectd_*:*:*") or {k: v for k, v in d.get().items() if k.startswith("collectd_")}
        compared = 0
        for name, sources in theirs.items():
            at, plugin, kind = name.split("/", 2)
            kind, _, instance = kind.partition("-")
            instance = ("" if at == host else at + "/") + plugin + ("/" + instance if instance else "")
            for source, value in sources.items():
                series = "collectd_%s:%s:%s" % (kind, instance, source)
                mine = d.value(series)
                assert (value != value and mine is None) or mine == value, (series, value, mine, sorted(ours))
                compared += 1
        print("# %d values of %d identifiers are the same" % (compared, len(theirs)))
        assert compared >= 8
        assert not d.get("collectd_gauge:exec/hex:value")

suite.end()
