#!/usr/bin/python3
"""The running kernel's audit log: messages of a sender, of auditctl, a promiscuous device, a process that is killed; a flood; who may not read it."""
import contextlib
import os
import socket
import struct
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from kerneltest import Stopped, run  # noqa: E402
from auditlog import AUDIT, enable, switched_on, user  # noqa: E402, by way of kerneltest
from kithtest import Skip, Suite, wait_for  # noqa: E402

suite = Suite()
CONF = 'interval = 1h\nplugin audit { records = ["all"] }\n'
refused = None
log = contextlib.ExitStack()
try:
    log.enter_context(switched_on())
except OSError as e:
    refused = str(e)


def need():
    if refused:
        raise Skip("no audit log here: " + refused)


def heard(w, subject, text):
    return w.wait("the record", lambda x: x["kind"] == "record" and x["subject"] == subject and text in x["message"])


try:
    with suite.check("logins, as programs tell of them: counted and recorded"):
        need()
        with suite.daemon(conf=CONF) as d:
            d.wait_series("audit_log:events")
            w = d.watch("--records")
            user('op=login acct="kith-test" exe="/bin/x" hostname=? addr=10.9.8.7 terminal=ssh res=failed')
            r = heard(w, "audit:logins_failed", "login of kith-test from 10.9.8.7 failed")
            assert r["priority"] == "warning" and r["fields"]["type"] == "USER_LOGIN" and r["fields"]["exe"] == "/bin/x", r
            user("op=login acct=6B697468C3A9 addr=? terminal=ssh res=success")
            heard(w, "audit:logins", "login of kith\u00e9 from ssh succeeded")
            d.wait_series("audit:logins_failed:count", lambda v: v >= 1)
            w.end()

    with suite.check("auditctl -m, and a change of the rules"):
        need()
        try:
            run("auditctl", "-m", "kith test")
        except FileNotFoundError:
            raise Skip("auditctl is not installed")
        with suite.daemon(conf=CONF) as d:
            d.wait_series("audit_log:events")
            w = d.watch("--records")
            run("auditctl", "-m", "kith says hello")
            heard(w, "audit:other", "kith says hello")
            enable(0)
            enable(1)
            heard(w, "audit:config", "CONFIG_CHANGE: ")
            w.end()

    with suite.check("a device that hears all packets, and a process that is killed by itself: anomalies, their lines joined"):
        need()
        with suite.daemon(conf=CONF) as d:
            d.wait_series("audit_log:events")
            w = d.watch("--records")
            subprocess.run(["unshare", "--net", "sh", "-c", "ip link add kithp0 type veth peer name kithp1 && ip link set kithp0 promisc on"], check=True)
            r = heard(w, "audit:anomalies", "kithp0 now hears all packets")
            assert r["fields"]["type"] == "ANOM_PROMISCUOUS", r
            subprocess.run(["sh", "-c", "ulimit -c 0; kill -SEGV $$"], check=False)
            r = heard(w, "audit:anomalies", "ended by signal 11")
            assert r["fields"]["comm"] == "sh", r
            d.wait_series("audit:anomalies:count", lambda v: v >= 2)
            w.end()

    with suite.check("a flood while kithd is stopped: what was lost is counted and said, and it goes on"):
        need()
        with suite.daemon(conf="interval = 1h\n") as d:
            d.wait_series("audit_log:events")
            w = d.watch("--records")
            with Stopped(d.process.pid):
                with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, AUDIT) as s:
                    body = b"op=flood " + b"x" * 900 + b"\0"
                    for i in range(6000):
                        s.sendto(struct.pack("=IHHII", 16 + len(body), 1123, 1, i, 0) + body, (0, 0))

            def again():
                """What is sent while the socket is still full is lost, too; and that something is, is known with the next event"""
                user("op=login acct=\"after\" addr=? terminal=tty9 res=failed")
                return any(x["kind"] == "record" and x["message"] == "login of after from tty9 failed" for x in w.lines)
            wait_for("a login behind it", again, alive=d)
            heard(w, "audit_log", "audit events were lost")
            d.wait_series("audit_log:missed", lambda v: v >= 1)
            d.wait_log("events were lost")
            w.end()
finally:
    log.close()

with suite.check("in a network namespace of its own it is skipped, with the reason"):
    p = subprocess.run(["unshare", "--net", "--map-root-user", sys.executable, "-c", """
import sys
sys.path.insert(0, sys.argv[1])
from kithtest import Suite
suite = Suite()
with suite.check("skipped"), suite.daemon(conf="interval = 1h\\n") as d:
    p = d.wait_plugin("audit", "skipped")
    assert "CAP_AUDIT_READ" in p["reason"] or "no audit log" in p["reason"], p
suite.end()
""", os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib")], capture_output=True, text=True)
    if "unshare" in p.stderr:
        raise Skip("no namespaces here")
    assert p.returncode == 0, p.stdout + p.stderr

suite.end()
