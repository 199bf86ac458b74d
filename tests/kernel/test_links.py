#!/usr/bin/python3
"""Links that come, go, change and are called otherwise, in a network namespace of the test's own. What kithd says of them comes from
notifications: it samples once an hour here."""
import json
import os
import statistics
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from kerneltest import Stopped, ip, ip_batch, kith_states, links, namespaces, set_link, wait_agreement  # noqa: E402
from kithtest import Suite, wait_for  # noqa: E402

namespaces("net")
suite = Suite()
PROMISES = {"links.promise": """
bundle links {
    promise works {
        promiser  interface:veth0
        keep      interface:veth0:state == "up"
    }
    promise wide {
        promiser  interface:veth0
        keep      interface:veth0:mtu >= 1400
    }
}
"""}
d = suite.daemon(conf="interval = 1h\n", promises=PROMISES).start()
pid = d.process.pid
watch = d.watch("--transitions", "--records")


def moved(since, to, name="links.works"):
    """The transition to `to` among the lines that came after the first `since`"""
    fits = (lambda x: x["kind"] == "transition" and x["name"] == name and x["to"] == to)
    return wait_for("%s to become %s" % (name, to), lambda: next((x for x in watch.lines[since:] if fits(x)), None), alive=d)


def recorded(since, subject, event):
    fits = (lambda x: x["kind"] == "record" and x["subject"] == subject and x["fields"].get("event") == event)
    return wait_for("%s %s" % (subject, event), lambda: [x for x in watch.lines[since:] if fits(x)], alive=d)


def settle():
    """All that happened before has been heard: a link made now is there"""
    ip("link", "add", "sentinel", "type", "veth", "peer", "name", "sentinel1")
    wait_for("the sentinel", lambda: "sentinel" in kith_states(d), alive=d)
    ip("link", "del", "sentinel")
    wait_for("the sentinel's end", lambda: "sentinel" not in kith_states(d), alive=d)


with suite.check("a fresh namespace has lo, which is down; without the link its promise is unknown"):
    assert kith_states(d) == {"lo": "down"}, kith_states(d)
    assert d.promise("links.works")["assessment"] == "unknown", d.promise("links.works")
    at = len(watch.lines)
    ip("link", "set", "lo", "up")
    recorded(at, "interface:lo", "up")
    assert kith_states(d) == {"lo": "up"}, kith_states(d)

with suite.check("a new veth pair is there at once, for whoever asks and for promises"):
    at = len(watch.lines)
    ip("link", "add", "veth0", "type", "veth", "peer", "name", "veth1")
    states = kith_states(d)
    assert states == {"lo": "up", "veth0": "down", "veth1": "down"}, states
    assert moved(at, "broken")["from"] == "unknown"
    recorded(at, "interface:veth1", "appeared")

with suite.check("up and down are transitions, with the series that caused them; each once"):
    at = len(watch.lines)
    ip("link", "set", "veth1", "up")
    ip("link", "set", "veth0", "up")
    kept = moved(at, "kept")
    assert kept["from"] == "broken" and kept["promiser"] == "interface:veth0", kept
    assert "interface:veth0:state" in kept["because"], kept
    ip("link", "set", "veth1", "down")  # the other end: this one loses its carrier
    broken = moved(at, "broken")
    assert "interface:veth0:state" in broken["because"], broken
    settle()
    told = [(x["from"], x["to"]) for x in watch.lines[at:] if x["kind"] == "transition" and x["name"] == "links.works"]
    assert told == [("broken", "kept"), ("kept", "broken")], told
    assert d.value("interface:veth0:operstate") == "lower_layer_down", d.value("interface:veth0:operstate")

with suite.check("the median of 31 links taken down, from the call to the line of kith watch (printed, not judged)"):
    spans = []
    index = links()["veth1"]["ifindex"]
    for _ in range(31):
        at = len(watch.lines)
        set_link(index, True)
        moved(at, "kept")
        at = len(watch.lines)
        begin = time.monotonic()
        set_link(index, False)
        line = moved(at, "broken")
        spans.append(watch.times[watch.lines.index(line)] - begin)
    print("# median %.2f ms, least %.2f ms" % (1e3 * statistics.median(spans), 1e3 * min(spans)))

with suite.check("MTU and addresses follow"):
    at = len(watch.lines)
    ip_batch(["link set veth0 mtu 1280", "link set veth0 up", "link set veth1 up", "addr add 192.0.2.1/24 dev veth0",
              "addr add 192.0.2.2/24 dev veth0", "addr add 2001:db8::1/64 dev veth0 nodad"])
    moved(at, "broken", "links.wide")
    ip("link", "set", "veth0", "mtu", "1500")
    moved(at, "kept", "links.wide")
    ip("addr", "del", "192.0.2.1/24", "dev", "veth0")

    def agree():
        counts = {x["ifname"]: len(x["addr_info"]) for x in json.loads(ip("-j", "addr"))}
        return all(d.value("interface:%s:addresses" % name) == n for name, n in counts.items())
    wait_for("the addresses that ip shows", agree, alive=d)

with suite.check("a rename ends the old name and begins the new one; the promise turns unknown, and assessed when it comes back"):
    wait_for("it to be kept", lambda: d.promise("links.works")["assessment"] == "kept", alive=d)
    at = len(watch.lines)
    ip_batch(["link set veth0 down", "link set veth0 name other"])
    moved(at, "unknown")
    states = kith_states(d)
    assert "veth0" not in states and states["other"] == "down", states
    assert not d.get("interface:veth0:*"), d.get("interface:veth0:*")
    renamed = recorded(at, "interface:other", "renamed")[0]
    assert "veth0" in renamed["message"], renamed
    at = len(watch.lines)
    ip_batch(["link set other name veth0", "link set veth0 up"])
    moved(at, "kept")
    assert "other" not in kith_states(d)

with suite.check("made and deleted in the same breath: no ghost, and both are recorded"):
    at = len(watch.lines)
    ip_batch(["link add ghost0 type veth peer name ghost1", "link del ghost0"])
    settle()
    with Stopped(pid):
        ip_batch(["link add ghost2 type veth peer name ghost3", "link set ghost2 up", "link set ghost3 up", "link del ghost3",
                  "link add ghost4 type veth peer name ghost6", "link set ghost4 name ghost5", "link del ghost5"])
    settle()
    assert not [name for name in kith_states(d) if name.startswith("ghost")], kith_states(d)
    for name in ("ghost0", "ghost1", "ghost2", "ghost3", "ghost5", "ghost6"):
        recorded(at, "interface:" + name, "removed")
    wait_agreement(d)

with suite.check("another link under the same name, with another index: its own values, no state of the old one"):
    assert d.value("interface:veth0:state") == "up"
    before = links()["veth0"]["ifindex"]
    at = len(watch.lines)
    with Stopped(pid):
        ip_batch(["link del veth0", "link add veth0 index 4242 mtu 1401 type veth peer name veth1"])
    settle()
    told = [x["to"] for x in watch.lines[at:] if x["kind"] == "transition" and x["name"] == "links.works"]
    assert told[-2:] == ["unknown", "broken"], told  # before it goes the kernel takes the old one down
    appeared = recorded(at, "interface:veth0", "appeared")
    assert appeared[0]["fields"]["ifindex"] == "4242" != str(before), appeared
    assert d.value("interface:veth0:mtu") == 1401 and d.value("interface:veth0:addresses") == 0
    wait_agreement(d)

with suite.check("names that two links exchange in one breath"):
    ip("link", "add", "second", "mtu", "1402", "type", "veth", "peer", "name", "second1")
    with Stopped(pid):
        ip_batch(["link set veth0 name third", "link set second name veth0", "link set third name second", "link set second up", "link set veth1 up"])
    settle()
    got = d.get("interface:veth0:mtu", "interface:second:mtu")
    assert {name: x["value"] for name, x in got.items()} == {"interface:veth0:mtu": 1402, "interface:second:mtu": 1401}, got
    assert "third" not in wait_agreement(d)

with suite.check("with its peer a link goes too"):
    ip("link", "add", "left", "type", "veth", "peer", "name", "right")
    assert {"left", "right"} <= set(kith_states(d))
    at = len(watch.lines)
    ip("link", "del", "right")
    recorded(at, "interface:left", "removed")
    assert not {"left", "right"} & set(kith_states(d)), kith_states(d)

with suite.check("a link that moves to another network namespace ends here, one that comes back begins"):
    ip("link", "add", "left", "type", "veth", "peer", "name", "right")
    ip_batch(["link set left up", "link set right up"])
    here = os.readlink("/proc/self/ns/net")
    away = subprocess.Popen(["unshare", "--net", "sleep", "1000"])
    try:
        wait_for("the other namespace", lambda: os.readlink("/proc/%d/ns/net" % away.pid) != here)
        at = len(watch.lines)
        ip("link", "set", "right", "netns", str(away.pid))
        recorded(at, "interface:right", "removed")
        assert "right" not in kith_states(d), kith_states(d)
        assert "left" in wait_agreement(d)
        subprocess.run(["nsenter", "--net=/proc/%d/ns/net" % away.pid, "ip", "link", "set", "right", "netns", str(os.getpid())],
                       check=True)
        wait_for("it to come back", lambda: kith_states(d).get("right"), alive=d)
        ip("link", "set", "right", "netns", str(away.pid))
        wait_for("it to go again", lambda: "right" not in kith_states(d), alive=d)
    finally:
        away.kill()
        away.wait()
    # With the namespace its links end, and with them their peers here
    wait_for("the peer's end", lambda: "left" not in kith_states(d), alive=d)

with suite.check("in the end kithd has exactly the links and states that ip has"):
    wait_agreement(d)
    assert d.plugin("interface")[0]["state"] == "running" and not d.plugin("interface")[0]["reason"], d.plugin("interface")
    cost = next(x for x in d.kith("cost")[1] if x["name"] == "interface")
    assert cost["failures"] == 0, cost
    watch.end()
    d.stop()

suite.end()
