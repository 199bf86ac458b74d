#!/usr/bin/python3
"""Real connections that the kernel tracks, in a network namespace of the test's own: counts, a table that fills, a storm, as nobody."""
import os
import shutil
import socket
import struct
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from kerneltest import Stopped, drops, ip, namespaces, netlink_sockets, run, switches  # noqa: E402
from kithtest import BUNDLES, Skip, Suite, sanitized, wait_for  # noqa: E402

namespaces("net")
NETFILTER = 12
suite = Suite()
PROMISES = {"flows.promise": """
bundle flows {
    promise few { promiser flow:udp/5300 keep flow:udp/5300:open < 1000000 }
}
"""}
SYS = "/proc/sys/net/netfilter/"


def setting(name, value):
    with open(SYS + name, "w") as f:
        f.write("%s\n" % value)


def flush():
    """All that is tracked ends"""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETFILTER) as s:
        s.send(struct.pack("=IHHIIBBH", 20, 0x102, 5, 1, 0, 0, 0, 0))  # IPCTNL_MSG_CT_DELETE
        assert struct.unpack_from("=i", s.recv(4096), 16)[0] == 0


def send(n, port=5300, first=10000):
    """n connections, as the kernel sees it: datagrams from different ports and addresses"""
    for i in range(n):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind(("127.0.%d.1" % (1 + i // 20000), first + i % 20000))
            try:
                s.sendto(b"12345", ("127.0.0.1", port))
            except OSError:
                pass  # dropped: the table is full


def wait_value(name, value):
    wait_for("%s to be %s" % (name, value), lambda: d.value(name) == value, alive=d)


def tracked():
    with open(SYS + "nf_conntrack_count") as f:
        return int(f.read())


reason = None
if os.geteuid() or not os.path.exists(SYS + "nf_conntrack_count"):
    reason = "needs root, and a kernel that tracks connections"
elif not shutil.which("nft"):
    reason = "nft is not installed"
else:
    ip("link", "set", "lo", "up")
    try:
        run("nft", "add table inet t; add chain inet t c { type filter hook input priority 0; }; add rule inet t c ct state new counter")
        setting("nf_conntrack_acct", 1)
    except (AssertionError, OSError) as e:
        reason = "no rule can be made here: %s" % e

with suite.check("off by default, and says how to switch it on"):
    with suite.daemon() as d:
        p = d.wait_plugin("conntrack", "skipped")
        assert os.geteuid() or "on = true" in p["reason"], p

if reason:
    with suite.check("connections"):
        raise Skip(reason)
    suite.end()

# A storm of 20,000 is beyond its budget of a calm minute, and is not what this is about
d = suite.daemon(conf="interval = 200ms\nplugin conntrack { on = true; cpu_budget = 100 }\n", promises=PROMISES).start()
pid = d.process.pid

with suite.check("how full the table is"):
    wait_for("entries", lambda: d.value("conntrack:entries") is not None, alive=d)
    send(10, 99)
    wait_for("the entries", lambda: d.value("conntrack:entries") == tracked() >= 10, alive=d)
    assert 0 < d.value("conntrack:fill_percent") < 100 and d.value("conntrack:dropped") == 0

with suite.check("connections of a port that is named: begun, open, ended, bytes"):
    send(7)
    wait_value("flow:udp/5300:begun", 7)
    assert d.value("flow:udp/5300:open") == 7
    flush()
    wait_value("flow:udp/5300:ended", 7)
    assert d.value("flow:udp/5300:open") == 0
    assert d.value("flow:udp/5300:bytes") >= 7 * 33 and d.value("flow:udp/5300:packets") >= 7, d.get("flow:*:*")

with suite.check("those of other ports wake nobody"):
    with suite.daemon(conf="interval = 1h\nplugin conntrack { on = true }\n", promises=PROMISES) as slow:
        wait_for("its socket", lambda: netlink_sockets(slow.process.pid, NETFILTER), alive=slow)
        wakes = switches(slow.process.pid)
        send(2000, 99)
        flush()
        wakes = switches(slow.process.pid) - wakes
        assert wakes < 200, wakes

with suite.check("20,000 connections while it listens: final counts are exact, memory as before"):
    begun, before = d.value("flow:udp/5300:begun"), d.holds()["anonymous"]
    send(20000)
    n = tracked()
    wait_for("what is tracked", lambda: d.value("flow:udp/5300:open") >= 20000 or d.value("conntrack:dropped"), alive=d)
    flush()
    wait_value("flow:udp/5300:open", 0)
    assert d.value("flow:udp/5300:begun") == d.value("flow:udp/5300:ended"), d.get("flow:*:*")
    assert d.value("flow:udp/5300:begun") == begun + 20000, (begun, d.get("flow:*:*"), n)
    if not sanitized():
        assert d.holds()["anonymous"] - before < 1024, (before, d.holds())

with suite.check("20,000 that it sleeps through: the loss is said, and what is open is exact"):
    w, before = d.watch("--records", "plugin:conntrack"), drops(pid, NETFILTER)
    with Stopped(pid):
        send(20000)
        wait_for("the kernel to drop some", lambda: drops(pid, NETFILTER) > before)
    w.wait("the record", lambda x: x["kind"] == "record" and "events were lost" in x["message"])
    wait_value("flow:udp/5300:open", 20000)
    with Stopped(pid):
        flush()
    wait_value("flow:udp/5300:open", 0)
    assert d.value("flow:udp/5300:begun") == d.value("flow:udp/5300:ended")
    w.end()
    c = next(x for x in d.kith("cost")[1] if x["name"] == "conntrack")
    print("# %s" % c)
    assert c["failures"] == 0, d.lines("plugin conntrack")

with suite.check("no longer named: the socket is closed"):
    os.unlink(os.path.join(d.promises, "flows.promise"))
    d.reload()
    wait_for("the socket to be closed", lambda: not netlink_sockets(pid, NETFILTER), alive=d)
    assert not d.get("flow:*:*")
    d.stop()

with suite.check("a table that is nearly full: a record, and the promise that ships breaks"):
    limit = int(open(SYS + "nf_conntrack_max").read())
    percent = max(0.01, 100.0 * 500 / limit)
    percent = max(1, percent)
    with suite.daemon(conf="interval = 200ms\nplugin conntrack { on = true; full = %d }\n" % max(1, int(percent)), promise_dirs=[BUNDLES]) as d:
        w = d.watch("--records")
        d.wait_promise("network.connections", "kept")
        send(min(20000, int(limit * percent / 100) + 100))
        w.wait("the record", lambda x: x["kind"] == "record" and x["subject"] == "conntrack" and x["fields"]["event"] == "nearly_full")
        flush()
        w.wait("the record", lambda x: x["kind"] == "record" and x["subject"] == "conntrack" and x["fields"]["event"] == "room")
        w.end()

with suite.check("as nobody: skipped, with the reason"):
    with suite.daemon(conf="plugin conntrack { on = true }\n", user=True) as d:
        p = d.wait_plugin("conntrack", "skipped")
        assert "CAP_NET_ADMIN" in p["reason"], p

suite.end()
