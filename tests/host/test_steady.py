#!/usr/bin/python3
"""Attention: a plugin of levels that do not move and that nobody watches is sampled less often, and as often as ever once somebody looks.

Counted in rounds of other plugins, never in seconds.
"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from kithtest import PLUGINS, TEST_PLUGINS, Suite, install, wait_for, write_file  # noqa: E402

suite = Suite()
value = os.path.join(suite.folder(), "value")
write_file(value, "1")
plugins, promises = suite.folder(), suite.folder()
for name in ("level", "probe"):
    install(os.path.join(TEST_PLUGINS, name + ".so"), os.path.join(plugins, name + ".so"))

d = suite.daemon(conf='''interval = 100ms
steady_interval = 1600ms
plugin level { from = "%s" }
''' % value, plugins=(PLUGINS, plugins), promise_dirs=(promises,)).start()


def calls(name):
    """How often its sampler was called; does not look at its series"""
    return next(c for c in d.kith("cost")[1] if c["name"] == name)["calls"]


def share(rounds):
    """Calls of level for each of probe, over so many rounds of probe"""
    level, probe = calls("level"), calls("probe")
    wait_for("%d rounds" % rounds, lambda: calls("probe") >= probe + rounds, alive=d)
    return (calls("level") - level) / (calls("probe") - probe)


def slowed():
    wait_for("level to be sampled less often", lambda: share(20) < 0.2, alive=d)


with suite.check("what is steady and unwatched is sampled less and less often, down to steady_interval"):
    slowed()
    # One in sixteen; a round more or less at the ends
    assert share(64) <= 6 / 64, "still too often"

with suite.check("whoever asks gets a value of now"):
    write_file(value, "2")
    assert d.value("level:0:value") == 2.0

with suite.check("asked for, it is sampled each round again; then less often again"):
    assert share(5) > 0.5
    slowed()

with suite.check("who watches is told at once, and each round"):
    w = d.watch("--samples", "level")
    first = w.wait("a sample", lambda x: x["name"] == "level:0:value")
    assert share(40) > 0.9
    write_file(value, "3")
    w.wait("the new value", lambda x: x["value"] == 3)
    w.end()
    slowed()

with suite.check("a promise that names it brings it back, as often as ever"):
    write_file(value, "4")
    write_file(os.path.join(promises, "a.promise"), "bundle a { promise low { promiser level:0 keep level:0:value < 100 } }")
    d.wait_promise("a.low", "kept")
    assert share(40) > 0.9
    write_file(value, "200")
    d.wait_promise("a.low", "broken")
    os.remove(os.path.join(promises, "a.promise"))
    slowed()

with suite.check("a value that moves brings it back by itself"):
    write_file(value, "5")
    wait_for("the change to be seen", lambda: share(5) > 0.5, alive=d)

with suite.check("a plugin that does more than read levels is never slowed, and neither is one with steady_interval = interval"):
    probe, load = calls("probe"), calls("load")
    wait_for("40 rounds", lambda: calls("load") >= load + 40, alive=d)
    assert calls("probe") - probe >= 39
    with open(d.conf) as f:
        conf = f.read()
    with open(d.conf, "w") as f:
        f.write(conf.replace("plugin level {", "plugin level { steady_interval = 100ms;"))
    d.wait_log("configuration read")
    wait_for("level to be sampled each round", lambda: share(20) > 0.9, alive=d)
    assert share(40) > 0.9

d.stop()
suite.end()
