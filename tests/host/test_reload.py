#!/usr/bin/python3
"""The configuration: faults with their place, at the start, with -t and at run time; reloads that touch only what changed."""
import datetime
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from kithtest import PLUGINS, TEST_PLUGINS, Suite, wait_for, write_file  # noqa: E402

suite = Suite()
both = (PLUGINS, TEST_PLUGINS)

# what is wrong, where, what is said, what is suggested
FAULTS = [
    ("intervall = 1s\n", "1:1", "intervall", 'did you mean "interval"?'),
    ("interval = fast\n", "1:12", "interval", None),
    ("\ninterval = 5ms\n", "2:12", "least", "100ms"),
    ("tags = 3\n", "1:8", "tags", None),
    ("plugin df {\n  enabled = 7\n}\n", "2:13", "enabled", None),
    ("plugin df {\n", "", "", None),
]
# known only with the plugin's own descriptor
OPTION_FAULTS = [
    ("plugin df {\n  enabeld = no\n}\n", "2:3", "enabeld", 'did you mean "enabled"?'),
    ("plugin probe {\n  valeu = 3\n}\n", "2:3", "valeu", 'did you mean "value"?'),
    ("plugin probe {\n  value = many\n}\n", "2:11", "value", None),
    ("plugin probe {\n  value = 2000\n}\n", "2:11", "most", "1000"),
    ("plugin probe {\n  burn = 3MiB\n}\n", "2:10", "burn", None),
]


def told(said, d, place, what, hint):
    lines = [x for x in said.splitlines() if "kith.conf:" + place in x]
    return lines and what in lines[0] and (hint is None or hint in said)


with suite.check("a faulty configuration keeps it from starting: exit status 1, the place, a suggestion"):
    for text, place, what, hint in FAULTS:
        d = suite.daemon(conf=text)
        status, said = d.run_out()
        assert status == 1 and told(said, d, place, what, hint), (text, status, said)

with suite.check("-t says the same and exits with 1"):
    for text, place, what, hint in FAULTS + OPTION_FAULTS:
        d = suite.daemon(conf=text, plugins=both)
        status, said = d.run_out("-t")
        assert status == 1 and told(said, d, place, what, hint), (text, status, said)

with suite.check("-t with a good configuration and good promises exits with 0, and starts nothing"):
    d = suite.daemon(conf="interval = 1s\nplugin probe { value = 3 }\n", plugins=both,
                     promises={"a.promise": "bundle a {\n  promise b {\n    promiser load\n    keep load:1m < 900\n  }\n}\n"})
    status, said = d.run_out("-t")
    assert status == 0, said
    assert not os.path.exists(d.run) and not os.path.exists(d.state), os.listdir(d.dir)

with suite.check("-t names faults of promises with file, line and column"):
    d = suite.daemon(promises={"a.promise": "bundle a {\n  promise b {\n    promiser load\n    keep uptime:seconds < 10%\n  }\n}\n"})
    status, said = d.run_out("-t")
    assert status == 1 and re.search(r"a\.promise:4:\d+: ", said), said

with suite.check("-t warns of a section for a plugin that is not there, with a suggestion, and exits with 0"):
    d = suite.daemon(conf="plugin memry { interval = 1s }\n")
    status, said = d.run_out("-t")
    assert status == 0 and "kith.conf:1:8: " in said and "warning" in said and 'did you mean "memory"?' in said, said

with suite.check("a wrong option of one plugin refuses that one at the start, with the place, and the others run"):
    with suite.daemon(conf="plugin probe {\n  valeu = 3\n}\n", plugins=both) as d:
        p = d.wait_plugin("probe", "refused")
        assert "kith.conf:2:3" in p["reason"] and "valeu" in p["reason"], p
        d.wait_plugin("load", "running")

INTERVAL = 0.2
STEADY = "interval = 200ms\nplugin probe { value = %s }\n"


def numbers(lines, name):
    """The samples' times, in intervals"""
    times = [datetime.datetime.fromisoformat(x["time"].replace("Z", "+00:00")).timestamp()
             for x in lines if x.get("kind") == "sample" and x["name"] == name]
    return [int((t + 0.01) / INTERVAL) for t in times]


d = suite.daemon(conf=STEADY % 1, plugins=both).start()

with suite.check("SIGHUP: the changed section holds, the plugin is started again with it"):
    d.wait_series("probe:0:value", lambda v: v == 1)
    write_file(d.conf, STEADY % 2)
    d.reload()
    d.wait_series("probe:0:value", lambda v: v == 2)

with suite.check("a changed file is read without SIGHUP, renamed in or written over"):
    write_file(d.conf, STEADY % 3)
    d.wait_series("probe:0:value", lambda v: v == 3)
    with open(d.conf, "w") as f:
        f.write(STEADY % 4)
    d.wait_series("probe:0:value", lambda v: v == 4)

with suite.check("a faulty configuration leaves the one that runs, and says where the fault is"):
    for text, place, what, hint in FAULTS + OPTION_FAULTS:
        mark = len(d.log())
        write_file(d.conf, text)
        wait_for("the fault", lambda: "has faults; the one that runs goes on" in d.log()[mark:], alive=d)
        assert told(d.log()[mark:], d, place, what, hint), (text, d.log()[mark:])
        assert d.value("probe:0:value") == 4 and d.plugin("probe")[0]["state"] == "running"
    rounds = d.value("probe:0:rounds")
    d.wait_series("probe:0:rounds", lambda v: v > rounds)

with suite.check("when it is mended it is read again, and only what changed is done again"):
    rounds = d.value("probe:0:rounds")
    write_file(d.conf, STEADY % 4)
    d.reload()
    assert d.value("probe:0:rounds") >= rounds, "it was started again"

with suite.check("a reload that does not concern a plugin gives it no sample too many and none too few"):
    watch = d.watch("--samples", "load:1m", "probe:0:rounds")
    watch.wait("samples", lambda x: x["name"] == "probe:0:rounds")
    watch.wait("samples", lambda x: x["name"] == "load:1m")
    for i in range(15):
        write_file(d.conf, STEADY % 4 + "plugin memory { interval = %ds }\n" % (i + 1))
        d.reload()
    # Until two more have come: what the last reload did is in the lines then.
    rounds = d.value("probe:0:rounds")
    d.wait_series("probe:0:rounds", lambda v: v >= rounds + 2)
    lines = watch.end()
    values = [x["value"] for x in lines if x["name"] == "probe:0:rounds"]
    assert values == list(range(int(values[0]), int(values[0]) + len(values))), values
    for name in ("load:1m", "probe:0:rounds"):
        found = numbers(lines, name)
        assert len(found) > 2 and all(b - a == 1 for a, b in zip(found, found[1:])), (name, found)

with suite.check("conf.d: files are read in order, later ones win; new, changed and removed ones are noticed"):
    write_file(d.conf, STEADY % 4)
    write_file(os.path.join(d.conf_d, "20-b.conf"), "plugin probe { value = 20 }\n")
    d.wait_series("probe:0:value", lambda v: v == 20)
    write_file(os.path.join(d.conf_d, "10-a.conf"), "plugin probe { value = 10 }\n")
    write_file(os.path.join(d.conf_d, "20-b.conf"), "plugin probe { value = 21 }\n")
    d.wait_series("probe:0:value", lambda v: v == 21)
    os.remove(os.path.join(d.conf_d, "20-b.conf"))
    d.wait_series("probe:0:value", lambda v: v == 10)
    write_file(os.path.join(d.conf_d, "30-c.conf"), "plugin probe { vlaue = 10 }\n")
    d.wait_log(r"30-c\.conf:1:16: .*vlaue")
    assert d.value("probe:0:value") == 10
    os.remove(os.path.join(d.conf_d, "30-c.conf"))
    os.remove(os.path.join(d.conf_d, "10-a.conf"))
    d.wait_series("probe:0:value", lambda v: v == 4)

with suite.check("conf.d may be missing, come and go"):
    other = suite.daemon(conf=STEADY % 1, plugins=both)
    os.rmdir(other.conf_d)
    with other:
        other.wait_series("probe:0:value", lambda v: v == 1)
        os.mkdir(other.conf_d)
        write_file(os.path.join(other.conf_d, "a.conf"), "plugin probe { value = 5 }\n")
        other.wait_series("probe:0:value", lambda v: v == 5)
        os.remove(os.path.join(other.conf_d, "a.conf"))
        os.rmdir(other.conf_d)
        other.wait_series("probe:0:value", lambda v: v == 1)

with suite.check("a plugin is switched off and on again by its section"):
    write_file(d.conf, STEADY % 4 + "plugin probe { enabled = no }\n")
    assert "configuration" in d.wait_plugin("probe", "skipped")["reason"]
    assert d.value("probe:0:value") is None
    write_file(d.conf, STEADY % 4)
    d.wait_plugin("probe", "running")
    d.wait_series("probe:0:value", lambda v: v == 4)

with suite.check("the interval of all changes without a start of the plugins"):
    rounds = d.value("probe:0:rounds")
    write_file(d.conf, (STEADY % 4).replace("200ms", "100ms"))
    d.wait_log("configuration read", len(d.lines("configuration read")) + 1)
    d.wait_series("probe:0:rounds", lambda v: v > rounds + 3)

with suite.check("the configuration file goes: it was asked for by name, so the one that runs goes on"):
    os.remove(d.conf)
    d.wait_log("cannot be read")
    assert d.value("probe:0:value") == 4

with suite.check("what is part of kithd can be taken out, and comes back"):
    write_file(d.conf, STEADY % 4 + "plugin kith { enabled = false }\n")
    wait_for("kithd's own family to end", lambda: d.value("kith:rss") is None, alive=d)
    write_file(d.conf, STEADY % 4)
    d.wait_series("kith:rss")

d.stop()
suite.end()
