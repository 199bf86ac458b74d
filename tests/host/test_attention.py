#!/usr/bin/python3
"""Attention: a plugin one of whose series stands close to what is promised of it is sampled every 100 ms, as far as the budget goes.

Counted in rounds of another plugin that is sampled every 100 ms anyway, never in seconds.
"""
import datetime
import os
import re
import statistics
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from kithtest import PLUGINS, TEST_PLUGINS, Suite, install, wait_for, write_file  # noqa: E402

suite = Suite()
value = os.path.join(suite.folder(), "value")
write_file(value, "50")
plugins, promises = suite.folder(), suite.folder()
for name in ("level", "probe"):
    install(os.path.join(TEST_PLUGINS, name + ".so"), os.path.join(plugins, name + ".so"))
write_file(os.path.join(promises, "a.promise"),
           "bundle a {\n promise low { promiser level:0 keep level:0:value < 100 }\n"
           " promise many { promiser level:0 keep count(level:0:value, 1h) < 1000000 }\n}\n")

CONF = '''interval = 1s
plugin level { from = "%s" }
plugin probe { interval = 100ms }
''' % value
d = suite.daemon(conf=CONF, plugins=(PLUGINS, plugins), promise_dirs=(promises,)).start()


def calls(name):
    return next(c for c in d.kith("cost")[1] if c["name"] == name)["calls"]


def share(rounds):
    """Calls of level for each of probe, over so many rounds of probe"""
    level, probe = calls("level"), calls("probe")
    wait_for("%d rounds" % rounds, lambda: calls("probe") >= probe + rounds, alive=d)
    return (calls("level") - level) / (calls("probe") - probe)


def when(line):
    return datetime.datetime.fromisoformat(line["time"].replace("Z", "+00:00")).timestamp()


def explained(promise="a.low"):
    return d.kith("explain", promise)[1]["attention"]


with suite.check("far from its threshold it is sampled as configured"):
    d.wait_promise("a.low", "kept")
    assert share(30) <= 5 / 30
    assert explained() == "level is sampled every 1 s", explained()

with suite.check("close to it, every 100 ms; and kith explain says so"):
    write_file(value, "96")
    wait_for("the value to be seen", lambda: d.value("level:0:value") == 96, alive=d)
    assert share(20) > 0.7
    assert explained() == "level is sampled every 100 ms instead of 1 s: level:0:value is close to what is promised", explained()

with suite.check("a crossing between two ticks is seen within a few rounds of 100 ms"):
    # By the daemon's own times, of the transition and of the rounds of the other plugin: what the test itself takes is not in them.
    w = d.watch("--samples", "--transitions", "probe:0:rounds", "a.low")
    w.wait("a sample", lambda x: x["kind"] == "sample")
    rounds = []
    for _ in range(6):
        for level, then in (("104", "broken"), ("96", "kept")):
            begin = time.time()
            write_file(value, level)
            seen = when(w.wait(then, lambda x: x["kind"] == "transition" and x["to"] == then and when(x) >= begin))
            w.wait("the round after it", lambda x: x["kind"] == "sample" and when(x) > seen)
            rounds.append(sum(x["kind"] == "sample" and begin <= when(x) <= seen for x in list(w.lines)))
    w.end()
    # A tick is 10 of them, 5 from anywhere between two
    assert statistics.median(rounds) <= 3, rounds

with suite.check("what counts samples does not count those"):
    def counted():
        parts = d.kith("explain", "a.many")[1]["parts"]
        return float(next(p["value"] for p in parts if p["holds"] is None and p["text"].startswith("count(")).split()[0])

    before, level = counted(), calls("level")
    wait_for("50 rounds of level", lambda: calls("level") >= level + 50, alive=d)
    assert 1 <= counted() - before <= (calls("level") - level) / 5, (counted() - before, calls("level") - level)

with suite.check("a smaller budget: less often; none: as configured"):
    # As much as makes it every 350 ms, by what a round costs; then the next round number is 500 ms.
    cost = next(c for c in d.kith("cost")[1] if c["name"] == "level")
    budget = (cost["cpu_ns"] / cost["calls"] + 30e3) * 100 / 350e6
    write_file(d.conf, CONF + "attention_budget = %.6f%%\n" % budget)
    d.reload()
    wait_for("the budget to hold", lambda: re.search("every [25]00 ms instead of 1 s", explained()), alive=d)
    assert 0.1 < share(30) < 0.7
    write_file(d.conf, CONF + "attention_budget = 0\n")
    d.reload()
    wait_for("the budget to hold", lambda: explained() == "level is sampled every 1 s", alive=d)
    assert share(30) <= 5 / 30
    write_file(d.conf, CONF)
    d.reload()
    wait_for("attention", lambda: share(20) > 0.7, alive=d)

with suite.check("away from it again, or with no such promise: as configured"):
    write_file(value, "10")
    wait_for("the old pace", lambda: explained() == "level is sampled every 1 s", alive=d)
    assert share(30) <= 5 / 30
    write_file(value, "99")
    wait_for("attention", lambda: share(20) > 0.7, alive=d)
    os.remove(os.path.join(promises, "a.promise"))
    wait_for("the promise to go", lambda: not d.promise("a.low"), alive=d)
    wait_for("the old pace", lambda: share(20) < 0.2, alive=d)

with suite.check("on its way there: sooner, before it is near"):
    write_file(os.path.join(promises, "a.promise"), "bundle a { promise low { promiser level:0 keep level:0:value < 1000 } }")
    d.wait_promise("a.low", "kept")
    seen = set()
    at = 300
    write_file(value, str(at))
    w = d.watch("--samples", "level")
    # Each step is written once the one before it was seen.
    while at < 900:
        w.wait("the step", lambda x: x["value"] == at)
        seen.add(explained())
        at += 60
        write_file(value, str(at))
    w.end()
    assert any("one of its series is soon there" in text for text in seen), seen

d.stop()
suite.end()
