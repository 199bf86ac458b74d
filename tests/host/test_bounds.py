#!/usr/bin/python3
"""Plugins that misbehave are kept within bounds, and the rest does not notice: failures, CPU, calls that hang, instances, records."""
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from kithtest import PLUGINS, TEST_PLUGINS, Suite, install, sanitized, wait_for  # noqa: E402

SOON = 1.0 if not sanitized() else 5.0  # looking for leaks takes its time
suite = Suite()


def with_plugins(*names):
    """A folder with these plugins of the tests"""
    folder = suite.folder()
    for name in names:
        install(os.path.join(TEST_PLUGINS, name + ".so"), os.path.join(folder, name + ".so"))
    return folder


def cost(d, name):
    return next(c for c in d.kith("cost")[1] if c["name"] == name)


def goes_on(d, name="load:1m"):
    before = d.get(name)[name]["time"]
    wait_for("%s to go on" % name, lambda: d.get(name)[name]["time"] > before, alive=d)


broken = os.path.join(suite.folder(), "broken")
conf = """interval = 100ms
plugin probe { fail_while = "%s" }
plugin probe2 { burn = 60ms; cpu_budget = 1% }
""".replace("%s", broken)

d = suite.daemon(conf=conf, plugins=(PLUGINS, with_plugins("probe", "probe2"))).start()

with suite.check("one over its CPU budget is slowed, with the reason"):
    p = d.wait_plugin("probe2", "backed-off")
    assert re.search(r"slowed: \d+\.\d % CPU, its budget is 1\.0 %", p["reason"]), p

with suite.check("a sampler that keeps failing is backed off and shown, with the reason"):
    d.wait_series("probe:0:rounds")
    with open(broken, "w"):
        pass
    p = d.wait_plugin("probe", "backed-off")
    assert "Input/output error" in p["reason"], p
    assert len(d.lines("plugin probe: fails")) == 1, d.lines("plugin probe: fails")

with suite.check("it is called less and less often, its failures are counted, others go on"):
    # Three failures, then after 1 s, 2 s, …: by the third more than twenty rounds have passed.
    wait_for("two more failures", lambda: cost(d, "probe")["failures"] >= 5, alive=d)
    assert cost(d, "probe")["calls"] < cost(d, "load")["calls"] / 2, (cost(d, "probe"), cost(d, "load"))
    goes_on(d)

with suite.check("it recovers by itself, and that is said"):
    rounds = d.value("probe:0:rounds")
    os.remove(broken)
    p = d.wait_plugin("probe", "running")
    assert p["reason"] == "", p
    d.wait_log("plugin probe: works again")
    d.wait_series("probe:0:rounds", lambda v: v > (rounds or 0) + 3)

with suite.check("one that stays over its CPU budget is stopped, its series end, others go on"):
    p = d.wait_plugin("probe2", "stopped")
    assert "cpu_budget" in p["reason"], p
    wait_for("its series to end", lambda: d.value("probe2:0:value") is None, alive=d)
    goes_on(d)
    goes_on(d, "probe:0:rounds")
    calls = cost(d, "probe2")["calls"]
    goes_on(d)
    assert cost(d, "probe2")["calls"] == calls

with suite.check("a stopped plugin starts again when its section is mended"):
    with open(d.conf, "w") as f:
        f.write(conf.replace("burn = 60ms; ", ""))
    d.wait_plugin("probe2", "running")
    d.wait_series("probe2:0:rounds", lambda v: v > 3)

with suite.check("the daemon ends cleanly"):
    d.stop(within=SOON)

# ---- calls that hang

fifo = os.path.join(suite.folder(), "fifo")
os.mkfifo(fifo)
folder = with_plugins("probe", "probe2")
promises = "bundle hang {\n    promise answers {\n        promiser probe:0\n        keep probe:0:value == 1\n    }\n}\n"


def let_go():
    """Opens the FIFO for writing, which ends the worker's open()"""
    try:
        os.close(os.open(fifo, os.O_WRONLY | os.O_NONBLOCK))
        return True
    except OSError:
        return False  # nobody waits in it just now


d = suite.daemon(conf='interval = 200ms\nplugin probe { hang = "%s" }\n' % fifo, plugins=(PLUGINS, folder),
                 promises={"hang.promise": promises}).start()

with suite.check("a call in a worker that comes back gives its sample"):
    wait_for("the promise to be kept", lambda: let_go() and d.promise("hang.answers")["assessment"] == "kept", alive=d)

with suite.check("a call that hangs stops only its own series: they turn stale, the promise on them unknown"):
    p = d.wait_promise("hang.answers", "unknown")
    assert d.plugin("probe")[0]["state"] == "running"
    goes_on(d)
    goes_on(d, "probe2:0:rounds")

with suite.check("when it comes back all is as before"):
    wait_for("the promise to be kept", lambda: let_go() and d.promise("hang.answers")["assessment"] == "kept", alive=d)

with suite.check("a plugin is removed while its call hangs, and comes again"):
    d.wait_promise("hang.answers", "unknown")
    os.remove(os.path.join(folder, "probe.so"))
    d.wait_no_plugin("probe")
    goes_on(d)
    install(os.path.join(TEST_PLUGINS, "probe.so"), os.path.join(folder, "probe.so"))
    d.wait_plugin("probe", "running")

with suite.check("the daemon ends at once while calls hang"):
    d.stop(within=SOON)
    assert d.lines("left behind"), d.log()

with suite.check("no more calls hang at a time than a plugin may have, however often it comes again"):
    # Each start leaves one behind; the sixteenth is the last of all.
    with suite.daemon(conf='interval = 100ms\nplugin probe { hang = "%s" }\n' % fifo, plugins=(folder,)) as d:
        def threads():
            return len(os.listdir("/proc/%d/task" % d.process.pid)) - base
        base = 1 if not sanitized() else len(os.listdir("/proc/%d/task" % d.process.pid))
        base = min(base, len(os.listdir("/proc/%d/task" % d.process.pid)))
        for i in range(20):
            d.wait_plugin("probe", "running")
            calls = cost(d, "probe")["calls"]
            wait_for("a sample", lambda: cost(d, "probe")["calls"] > calls, alive=d)
            os.remove(os.path.join(folder, "probe.so"))
            d.wait_no_plugin("probe")
            install(os.path.join(TEST_PLUGINS, "probe.so"), os.path.join(folder, "probe.so"))
        assert threads() <= 16, threads()
        goes_on(d, "probe2:0:rounds")
        d.stop(within=SOON)

# ---- how much

with suite.check("instances are capped: said once in the log, and in kith plugins"):
    with suite.daemon(conf="interval = 100ms\nplugin probe { instances = 50; max_instances = 5 }\n",
                      plugins=(with_plugins("probe"),)) as d:
        p = d.wait_plugin("probe", "running")
        assert p["series"] == 10 and "5 instances" in p["reason"] and "max_instances" in p["reason"], p
        assert len(d.lines("5 instances")) == 1, d.lines("5 instances")
        assert len(d.get("probe:*:value")) == 5
        d.wait_series("probe:0:rounds", lambda v: v > 2)

with suite.check("records beyond the rate are dropped, counted and said"):
    with suite.daemon(conf="interval = 200ms\nplugin probe { records = 3000 }\n", plugins=(PLUGINS, with_plugins("probe"))) as d:
        lines = d.wait_log(r"plugin probe: recorded faster than 200 a second: \d+ records were dropped", times=2)
        assert int(re.search(r"(\d+) records were dropped", lines[0]).group(1)) >= 1000, lines
        rounds = d.value("probe:0:rounds")
        d.wait_series("probe:0:rounds", lambda v: v > rounds)
        goes_on(d)

suite.end()
