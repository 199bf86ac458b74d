"""Sources of the network, each in a network namespace of its own, and the audit log."""
import os

import auditlog
from source_rows import BRIEF, Left, programs, source

LINK = """ip link set lo up
ip link add kb0 type veth peer name kb1
ip link set kb1 up
ip link set kb0 up
ip addr add 192.0.2.1/24 dev kb0
"""
# The kernel tracks connections as soon as a rule asks for it.
TRACKED = """ip link set lo up
nft 'add table inet t; add chain inet t c { type filter hook input priority 0; }; add rule inet t c ct state new counter'
"""


def route(bench, count):
    return source(bench, "route: the default route is removed", "interface", 'route:default/ipv4:state == "present"',
                  ("route", "192.0.2.254"), count, setup=LINK)


def neighbour(bench, count):
    return source(bench, "neighbour: failed", "interface", 'neighbour:"kb0/192.0.2.77":state == "reachable"',
                  ("neighbour", "kb0", "192.0.2.77"), count, setup=LINK)


def conntrack(bench, count):
    programs(("nft", "nftables"))
    if not os.path.exists("/proc/sys/net/netfilter/nf_conntrack_count"):
        raise Left("this kernel tracks no connections")
    return source(bench, "conntrack: a connection of a named port", "conntrack", BRIEF.format('flow:"udp/39178":begun'),
                  ("datagram", "39178", "x", "x"), count, "plugin conntrack { on = true }\n", setup=TRACKED)


def audit(bench, count):
    try:
        with auditlog.switched_on():
            return source(bench, "audit: a login that a program tells of", "audit", BRIEF.format("audit:logins_failed:count"),
                          ("audit", 'op=login acct="kith-bench" exe="/bin/x" hostname=? addr=? terminal=ssh res=failed'), count)
    except OSError as e:
        raise Left(f"no audit log here: {e}") from e
