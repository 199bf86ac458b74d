#!/usr/bin/python3
"""Default routes, their gateways, rules, addresses, speeds, in a network namespace of the test's own. All of it comes by notification: it samples once an hour here."""
import array
import fcntl
import os
import socket
import struct
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from kerneltest import QUIET, ROUTE, Stopped, drops, ip, ip_batch, namespaces, netlink_sockets, switches, wait_agreement  # noqa: E402
from kithtest import BUNDLES, DEADLINE, Skip, Suite, wait_for  # noqa: E402

namespaces("net")
suite = Suite()
PROMISES = {"routes.promise": """
bundle routes {
    promise out { promiser route:default/ipv4 keep route:default/ipv4:state == "present" and route:default/ipv4:gateway != "failed" }
    promise far { promiser neighbour:out0/192.0.2.77 keep neighbour:out0/192.0.2.77:state == "reachable" }
    promise fast { promiser interface:out0 keep interface:out0:speed >= 10000 and interface:out0:duplex == "full" }
}
"""}


def recorded(w, since, subject, event, what=""):
    fits = (lambda x: x["kind"] == "record" and x["subject"] == subject and x["fields"].get("event") == event and what in x["message"])
    return wait_for("%s %s %s" % (subject, event, what), lambda: next((x for x in list(w.lines)[since:] if fits(x)), None), alive=d)


def wait_value(name, value):
    wait_for("%s to be %s" % (name, value), lambda: d.value(name) == value, alive=d)


def ping(address):
    """One datagram: the kernel looks for who has that address"""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        try:
            s.sendto(b"x", (address, 9))
        except OSError:
            pass


# The other end lives in a namespace of its own, so that it may be silent
away = subprocess.Popen(["unshare", "--net", "sleep", "1000"])
here = os.readlink("/proc/self/ns/net")
wait_for("the other namespace", lambda: os.readlink("/proc/%d/ns/net" % away.pid) != here)
ip_batch(["link set lo up", "link add out0 type veth peer name far0", "link set far0 netns %d" % away.pid, "link set out0 up",
          "addr add 192.0.2.1/24 dev out0", "addr add 2001:db8::1/64 dev out0 nodad"])


def there(*arguments):
    subprocess.run(["nsenter", "--net=/proc/%d/ns/net" % away.pid, "ip", *arguments], check=True, capture_output=True)


there("link", "set", "far0", "up")
there("addr", "add", "192.0.2.254/24", "dev", "far0")
for path in ("retrans_time_ms", "ucast_solicit", "mcast_solicit"):
    with open("/proc/sys/net/ipv4/neigh/out0/" + path, "w") as f:
        f.write("100" if "ms" in path else "1")

try:
    d = suite.daemon(conf="interval = 1h\n" + QUIET, promises=PROMISES, promise_dirs=None).start()
    pid = d.process.pid
    w = d.watch("--records", "--transitions")

    with suite.check("without a default route there is no instance, and a promise on it is unknown"):
        assert not d.get("route:*:*"), d.get("route:*:*")
        assert d.promise("routes.out")["assessment"] == "unknown"
        assert d.value("rule:ipv4:count") == 3, d.get("rule:*:*")

    with suite.check("a default route appears: state, gateway, metric, a record; its promise is kept"):
        at = len(w.lines)
        ip("route", "add", "default", "via", "192.0.2.254", "metric", "100")
        r = recorded(w, at, "route:default/ipv4", "appeared")
        assert r["message"] == "the default route of IPv4 is via 192.0.2.254 on out0", r
        assert d.value("route:default/ipv4:state") == "present" and d.value("route:default/ipv4:metric") == 100
        assert d.value("route:default/ipv4:routes") == 1
        d.wait_promise("routes.out", "kept")
        ping("192.0.2.254")
        ping("198.51.100.1")
        wait_value("route:default/ipv4:gateway", "reachable")
        wait_value("neighbour:out0/192.0.2.254:state", "reachable")

    with suite.check("a better one, a second gateway, another metric: the best is told"):
        at = len(w.lines)
        ip("route", "add", "default", "via", "192.0.2.253", "metric", "50")
        recorded(w, at, "route:default/ipv4", "changed", "via 192.0.2.253 on out0, was via 192.0.2.254")
        wait_value("route:default/ipv4:metric", 50)
        assert d.value("route:default/ipv4:routes") == 2
        ip("route", "del", "default", "metric", "50")
        wait_value("route:default/ipv4:metric", 100)
        ip("route", "add", "default", "metric", "10", "nexthop", "via", "192.0.2.254", "nexthop", "via", "192.0.2.252")
        recorded(w, at, "route:default/ipv4", "changed", "via 192.0.2.254 on out0 and via 192.0.2.252 on out0")
        ip("route", "del", "default", "metric", "10")
        ip("route", "add", "default", "via", "192.0.2.254", "table", "77")  # another table's is none of ours
        ip("route", "add", "203.0.113.0/24", "via", "192.0.2.254")
        wait_value("route:default/ipv4:routes", 1)
        assert not d.get("neighbour:out0/192.0.2.253:*"), "a gateway that is none any more"

    with suite.check("the gateway falls silent: the promise breaks; it answers again: kept"):
        there("link", "set", "far0", "arp", "off")
        at = len(w.lines)
        ip("neigh", "flush", "dev", "out0")

        def silent():
            ping("192.0.2.254")
            return d.value("route:default/ipv4:gateway") == "failed"
        wait_for("the gateway to fail", silent, alive=d)
        recorded(w, at, "neighbour:out0/192.0.2.254", "failed")
        d.wait_promise("routes.out", "broken")
        there("link", "set", "far0", "arp", "on")

        def answers():
            ping("192.0.2.254")
            return d.value("route:default/ipv4:gateway") == "reachable"
        wait_for("the gateway to answer", answers, alive=d)
        recorded(w, at, "neighbour:out0/192.0.2.254", "reachable")
        d.wait_promise("routes.out", "kept")

    with suite.check("a neighbour that a promise names, with the kernel's own state"):
        assert d.value("neighbour:out0/192.0.2.77:state") == "unknown", d.get("neighbour:*:*")
        there("addr", "add", "192.0.2.77/24", "dev", "far0")

        def found():
            ping("192.0.2.77")
            return d.value("neighbour:out0/192.0.2.77:state") == "reachable"
        wait_for("the neighbour", found, alive=d)
        d.wait_promise("routes.far", "kept")
        ip("neigh", "replace", "192.0.2.77", "dev", "out0", "lladdr", "02:00:00:00:00:01", "nud", "permanent")
        wait_value("neighbour:out0/192.0.2.77:nud", "permanent")
        ip("neigh", "del", "192.0.2.77", "dev", "out0")
        wait_value("neighbour:out0/192.0.2.77:state", "unknown")

    with suite.check("of neighbours that nobody names it is not woken: 2,000 changes"):
        settle = d.value("neighbour:out0/192.0.2.77:state")
        wakes = switches(pid)
        ip_batch(["neigh replace 192.0.2.%d dev out0 lladdr 02:00:00:00:00:%02x nud permanent" % (3 + i % 60, i % 250) for i in range(2000)])
        # The gateway's: it answers, so that it answers is no news
        ip_batch(["neigh replace 192.0.2.254 dev out0 lladdr 02:00:00:00:00:%02x nud reachable" % (i % 250) for i in range(200)])
        wakes = switches(pid) - wakes
        assert wakes < 20, wakes
        assert len(d.get("neighbour:*:state")) == 2, d.get("neighbour:*:state")
        ip("neigh", "flush", "dev", "out0", "nud", "all")

    with suite.check("20,000 routes: the kernel keeps them from it, and finding the default route takes no time"):
        fds = {x["Groups"]: x for x in netlink_sockets(pid, ROUTE)}
        wakes, lost, began = switches(pid), drops(pid, ROUTE), time.monotonic()
        with open(os.path.join(suite.folder(), "batch"), "w") as f:
            f.writelines("route add 10.%d.%d.0/24 via 192.0.2.254\n" % (i // 200, i % 200) for i in range(20000))
        ip("-force", "-batch", f.name)
        # A message that got through is a wake-up; those of other plugins go on, however long the kernel takes for the routes.
        assert switches(pid) - wakes < 40 + 12 * (time.monotonic() - began), (switches(pid) - wakes, time.monotonic() - began)
        assert drops(pid, ROUTE) == lost, fds
        at = len(w.lines)
        ip("route", "add", "default", "via", "192.0.2.250", "metric", "5")
        recorded(w, at, "route:default/ipv4", "changed", "192.0.2.250")
        ip("route", "del", "default", "metric", "5")
        wait_value("route:default/ipv4:metric", 100)
        ip("route", "flush", "root", "10.0.0.0/8")

    with suite.check("IPv6 beside it; a link-local gateway"):
        at = len(w.lines)
        ip("-6", "route", "add", "default", "via", "fe80::1", "dev", "out0")
        recorded(w, at, "route:default/ipv6", "appeared", "via fe80::1 on out0")
        wait_value("route:default/ipv6:state", "present")
        ip("-6", "route", "append", "default", "via", "fe80::2", "dev", "out0")
        recorded(w, at, "route:default/ipv6", "changed", "via fe80::1 on out0 and via fe80::2 on out0")
        ip("-6", "route", "del", "default", "via", "fe80::1", "dev", "out0")
        recorded(w, at, "route:default/ipv6", "changed", "is via fe80::2 on out0, was")
        ip("-6", "route", "flush", "default")
        wait_value("route:default/ipv6:state", "absent")
        recorded(w, at, "route:default/ipv6", "gone")

    with suite.check("nexthop objects: one is replaced, one of a group goes, the last one goes, of which the kernel says nothing but that"):
        at = len(w.lines)
        ip("route", "flush", "exact", "default")
        wait_value("route:default/ipv4:state", "absent")
        if subprocess.run(["ip", "nexthop", "add", "id", "1", "via", "192.0.2.254", "dev", "out0"], capture_output=True).returncode:
            raise Skip("this kernel has none")
        ip("route", "add", "default", "nhid", "1", "metric", "100")
        recorded(w, at, "route:default/ipv4", "appeared", "via 192.0.2.254 on out0")
        ip("nexthop", "replace", "id", "1", "via", "192.0.2.253", "dev", "out0")
        recorded(w, at, "route:default/ipv4", "changed", "is via 192.0.2.253 on out0, was")
        ip("nexthop", "del", "id", "1")
        wait_value("route:default/ipv4:state", "absent")
        ip_batch(["nexthop add id 1 via 192.0.2.254 dev out0", "nexthop add id 2 via 192.0.2.253 dev out0", "nexthop add id 3 group 1/2",
                  "route add default nhid 3"])
        recorded(w, at, "route:default/ipv4", "appeared", "via 192.0.2.254 on out0 and via 192.0.2.253 on out0")
        at = len(w.lines)
        ip("nexthop", "del", "id", "1")
        recorded(w, at, "route:default/ipv4", "changed", "is via 192.0.2.253 on out0, was")
        ip("nexthop", "flush")
        wait_value("route:default/ipv4:state", "absent")

    with suite.check("the address that a default route sends from goes, of another link"):
        ip("addr", "add", "198.51.100.7/32", "dev", "lo")
        ip("route", "add", "default", "via", "192.0.2.254", "src", "198.51.100.7")
        wait_value("route:default/ipv4:state", "present")
        ip("addr", "del", "198.51.100.7/32", "dev", "lo")
        wait_value("route:default/ipv4:state", "absent")
        ip("route", "add", "default", "via", "192.0.2.254", "metric", "100")
        wait_value("route:default/ipv4:state", "present")

    with suite.check("one address with several other ends: each counts"):
        before = d.value("interface:out0:addresses_ipv4")
        for k in (2, 3):
            ip("addr", "add", "198.51.100.1", "peer", "198.51.100.%d" % k, "dev", "out0")
        wait_value("interface:out0:addresses_ipv4", before + 2)
        ip("addr", "del", "198.51.100.1", "peer", "198.51.100.2", "dev", "out0")
        wait_value("interface:out0:addresses_ipv4", before + 1)
        ip("addr", "del", "198.51.100.1", "peer", "198.51.100.3", "dev", "out0")
        wait_value("interface:out0:addresses_ipv4", before)

    with suite.check("rules: counted and told"):
        at = len(w.lines)
        ip("rule", "add", "from", "192.0.2.0/24", "to", "198.51.100.0/24", "iif", "out0", "fwmark", "7", "table", "77", "priority", "1000")
        r = recorded(w, at, "rule:ipv4", "added")
        assert r["message"] == "rule 1000 of IPv4 was added: from 192.0.2.0/24 to 198.51.100.0/24 in out0 mark 0x7 table 77", r
        wait_value("rule:ipv4:count", 4)
        ip("rule", "del", "priority", "1000")
        recorded(w, at, "rule:ipv4", "removed")
        wait_value("rule:ipv4:count", 3)

    with suite.check("addresses are told one by one, and counted by protocol"):
        at = len(w.lines)
        ip_batch(["addr add 192.0.2.9/24 dev out0", "addr add 2001:db8::9/64 dev out0 nodad", "addr del 192.0.2.9/24 dev out0"])
        assert recorded(w, at, "interface:out0", "address_added", "192.0.2.9/24")["message"] == "out0 has the address 192.0.2.9/24"
        recorded(w, at, "interface:out0", "address_added", "2001:db8::9/64")
        recorded(w, at, "interface:out0", "address_removed", "192.0.2.9/24")
        wait_value("interface:out0:addresses_ipv4", 1)
        assert d.value("interface:out0:addresses") == 1 + d.value("interface:out0:addresses_ipv6")

    with suite.check("speed and duplex of a link that a promise names; others of its kind are not asked"):
        if d.value("interface:out0:speed") is None:
            wait_for("the speed", lambda: d.value("interface:out0:speed") is not None, alive=d)
        assert d.value("interface:out0:speed") == 10000 and d.value("interface:out0:duplex") == "full", d.get("interface:out0:*")
        d.wait_promise("routes.fast", "kept")
        assert d.value("interface:lo:speed") is None

    with suite.check("settings that somebody changes are heard of"):
        if subprocess.run(["ip", "tuntap", "add", "tap0", "mode", "tap"], capture_output=True).returncode:
            raise Skip("no tap device can be made here")
        wait_value("interface:tap0:state", "down")
        at = len(w.lines)
        for speed in (100, 10):
            command = array.array("B", struct.pack("=IIIHBB", 2, 0, 0, speed, 1, 0).ljust(44, b"\0"))  # ETHTOOL_SSET
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
                fcntl.ioctl(s, 0x8946, struct.pack("16sP8x", b"tap0", command.buffer_info()[0]))
            wait_value("interface:tap0:speed", speed)
        recorded(w, at, "interface:tap0", "speed", "10 Mbit/s, was 100")
        assert d.value("interface:tap0:duplex") == "full"
        ip("link", "del", "tap0")

    with suite.check("the kernel takes IPv4's routes with their link in silence: it is heard all the same"):
        for down, up in ((("link", "set", "out0", "down"), ("link", "set", "out0", "up")),
                         (("addr", "flush", "dev", "out0", "scope", "global"), ("addr", "add", "192.0.2.1/24", "dev", "out0"))):
            wait_value("route:default/ipv4:state", "present")
            at = len(w.lines)
            ip(*down)
            wait_value("route:default/ipv4:state", "absent")
            r = recorded(w, at, "route:default/ipv4", "gone")
            assert r["priority"] == "warning" and "192.0.2.254" in r["message"], r
            d.wait_promise("routes.out", "broken")
            ip(*up)
            ip("route", "add", "default", "via", "192.0.2.254", "metric", "100")
        wait_value("route:default/ipv4:state", "present")
        d.wait_promise("routes.out", "kept")

    with suite.check("a storm of addresses and rules: some are told, the others counted; the truth at the end"):
        at, before = len(w.lines), d.value("interface:out0:addresses_ipv4")
        ip_batch(["addr add 10.9.%d.%d/32 dev out0" % (i // 250, i % 250 + 1) for i in range(1000)] +
                 ["rule add from 10.9.0.0/16 table 77 priority %d" % (2000 + i) for i in range(500)])
        wait_value("interface:out0:addresses_ipv4", before + 1000)
        wait_value("rule:ipv4:count", 503)
        r = w.wait("the storm's record", lambda x: x in w.lines[at:] and x["kind"] == "record" and x["fields"].get("event") == "storm")

        def counted():
            said = [x for x in list(w.lines)[at:] if x["kind"] == "record"]
            one = sum(x["fields"].get("event") in ("address_added", "added") for x in said)
            many = sum(int(x["fields"].get(k, 0)) for x in said for k in ("address_added", "rule_added") if x["fields"].get("event") == "storm")
            return 1500 <= one + many <= 1505 and one  # link-local addresses come when they like
        one = wait_for("all to be told or counted", counted, alive=d)
        assert one < 1000, one
        print("# %d told one by one; %s" % (one, r["message"]))
        ip_batch(["rule del priority %d" % (2000 + i) for i in range(500)])
        wait_value("rule:ipv4:count", 3)

    with suite.check("lost notifications: everything is looked at again"):
        lost = drops(pid, ROUTE)
        with Stopped(pid):
            for _ in range(12):
                ip_batch(["addr change 10.9.0.%d/32 dev out0 valid_lft %d preferred_lft 100" % (1 + i % 250, 1000 + i) for i in range(1000)])
            ip("route", "del", "default")
            ip("addr", "flush", "dev", "out0", "to", "10.9.0.0/16")
            assert drops(pid, ROUTE) > lost, "nothing was lost: the storm is too small"
        wait_value("interface:out0:addresses_ipv4", before)
        wait_value("route:default/ipv4:state", "absent")
        wait_agreement(d)
        ip("route", "add", "default", "via", "192.0.2.254")
        wait_value("route:default/ipv4:state", "present")

    with suite.check("a rename and a new link of the old name: gateway and neighbours follow"):
        ip_batch(["link set out0 down", "link set out0 name out1"])
        wait_value("route:default/ipv4:state", "absent")
        wait_value("neighbour:out0/192.0.2.77:state", "unknown")
        ip_batch(["link set out1 name out0", "link set out0 up", "route add default via 192.0.2.254 dev out0"])
        wait_value("route:default/ipv4:state", "present")

        def found():
            ping("192.0.2.77")
            return d.value("neighbour:out0/192.0.2.77:state") == "reachable"
        wait_for("the neighbour", found, alive=d)
        failures = next(x for x in d.kith("cost")[1] if x["name"] == "interface")["failures"]
        assert failures == 0, (failures, d.lines("plugin interface"))

    with suite.check("it ends cleanly"):
        w.end()
        d.stop()

    with suite.check("the promises that ship: kept with a default route, broken without, unknown where there was none"):
        with suite.daemon(promise_dirs=[BUNDLES]) as d:
            d.wait_promise("network.default_route", "kept")
            ip("route", "del", "default")
            d.wait_promise("network.default_route", "broken")
        with suite.daemon(promise_dirs=[BUNDLES]) as d:
            d.wait_promise("network.loopback", "kept")
            assert all(p["assessment"] == "unknown" for p in d.kith("promises")[1] if p["name"] == "network.default_route")
            assert d.promise("network.default_route") is None or d.promise("network.default_route")["assessment"] == "unknown"

    with suite.check("as nobody: all but what it may not change"):
        ip("route", "add", "default", "via", "192.0.2.254")
        if os.geteuid():
            raise Skip("needs root")
        with suite.daemon(user=True) as d:
            d.wait_plugin("interface", "running")
            wait_value("route:default/ipv4:state", "present")
            ip("route", "del", "default")
            wait_value("route:default/ipv4:state", "absent")
finally:
    away.kill()
    away.wait()

suite.end()
