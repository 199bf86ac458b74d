#!/usr/bin/python3
"""The installed kithd.service under a real systemd, booted in a container: readiness, reload, restart after a crash, a clean end."""
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from container import Container, must, staged  # noqa: E402
from kithtest import Suite, wait_for  # noqa: E402

suite = Suite()

c = None
try:
    with suite.check("systemd boots with what make install installs"):
        c = Container(suite, staged(suite))
    if c:
        with suite.check("the unit is found"):
            assert c.unit("LoadState") == "loaded", c.run("systemctl", "status", "kithd.service").stderr
        with suite.check("the unit starts, and systemctl waits until kithd says that it is ready"):
            must(c.run("systemctl", "start", "kithd.service"))
            assert c.unit("ActiveState") == "active" and c.unit("StatusText") == "Running", c.run("systemctl", "status", "kithd").stdout
            assert must(c.run("kith", "get", "uptime:seconds")).startswith("uptime:seconds")
        with suite.check("the plugins run within the unit's sandbox"):
            wait_for("plugins", lambda: "cpu" in c.run("kith", "plugins").stdout)
            out = must(c.run("kith", "plugins"))
            # What a container lacks is skipped with a reason; nothing else may fail, and what it has runs.
            states = {line.split()[0]: line for line in out.splitlines()}
            bad = [line for line in states.values() if " running " not in line and " skipped " not in line]
            bad += [states.get(x, x) for x in ("cpu", "memory", "load", "interface", "disk", "df", "processes", "swap", "vmem", "uptime", "service",
                                               "cgroup", "clock", "mount", "file", "package") if " running " not in states.get(x, "")]
            assert not bad, bad
        with suite.check("systemctl reload reads the configuration again"):
            must(c.run("systemctl", "reload", "kithd.service"))
            wait_for("the reload", lambda: "configuration read" in c.run("journalctl", "-u", "kithd", "-o", "cat").stdout)
            assert c.unit("ActiveState") == "active"
        with suite.check("its log has priorities in the journal"):
            out = c.run("journalctl", "-u", "kithd", "-p", "notice", "-o", "cat").stdout
            assert "runs:" in out and "<5>" not in out, out[-500:]
        with suite.check("killed, it is started again and answers"):
            pid = c.unit("MainPID")
            assert int(pid) > 1, "it does not run"
            must(c.run("kill", "-KILL", pid))
            wait_for("a new one", lambda: c.unit("MainPID") not in ("0", pid) and c.unit("ActiveState") == "active")
            must(c.run("kith", "status"))
        with suite.check("systemctl stop ends it cleanly, at once"):
            begin = time.monotonic()
            must(c.run("systemctl", "stop", "kithd.service"))
            assert c.unit("Result") == "success" and c.unit("ActiveState") == "inactive", c.unit("Result")
            assert time.monotonic() - begin < 5, "it took %.1f s" % (time.monotonic() - begin)
finally:
    if c:
        c.end()
sys.exit(suite.end())
