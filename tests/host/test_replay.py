#!/usr/bin/python3
"""kith replay: promises held against the recent samples that kithd keeps; and what kith explain shows of them."""
import calendar
import os
import random
import shutil
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from kithtest import BUILD, KITH, PLUGINS, TEST_PLUGINS, Suite, environment, install, wait_for, write_file  # noqa: E402

suite = Suite()
value = os.path.join(suite.folder(), "value")
write_file(value, "50")
plugins, promises = suite.folder(), suite.folder()
for name in ("level", "probe"):
    install(os.path.join(TEST_PLUGINS, name + ".so"), os.path.join(plugins, name + ".so"))

SET = '''bundle a {
    promise plain { promiser level:0 keep level:0:value < 100 }
    promise slow { promiser level:0 keep level:0:value < 100 grace 300ms settle 200ms }
    promise margin { promiser level:0 keep level:0:value < 100 margin 20 }
    promise mean { promiser level:0 keep avg(level:0:value, 1s) < 90 }
    promise most { promiser level:* keep all level:*:value < 110 and max(level:0:value, 500ms) < 120 }
    promise first { promiser level:0 keep level:0:value < 105 }
    promise after { promiser level:0 keep level:0:value < 60 depends first }
    promise jump { promiser level:0 keep delta(level:0:value, 1s) < 40 and p90(level:0:value, 2s) < 115 }
}
'''
write_file(os.path.join(promises, "a.promise"), SET)
d = suite.daemon(conf='interval = 100ms\nplugin level { from = "%s" }\n' % value, plugins=(plugins,), promise_dirs=(promises,)).start()
file = os.path.join(suite.folder(), "new.promise")


def replay(text, *args):
    write_file(file, text)
    return d.kith("replay", *args, file)


def plain(*args):
    p = subprocess.run([KITH, "-s", d.socket, *args], capture_output=True, text=True, env=environment(), timeout=60)
    return p.returncode, p.stdout, p.stderr


with suite.check("what was held live breaks at the same samples when it is replayed, for the same reasons"):
    wait_for("the promises", lambda: d.promise("a.plain")["assessment"] == "kept", alive=d)
    w = d.watch("--transitions")
    seed = random.randrange(1 << 30)
    print("# seed %d" % seed)
    rng = random.Random(seed)
    for _ in range(60):
        level = rng.choice((40, 55, 70, 85, 95, 99, 101, 104, 108, 115, 125))
        write_file(value, str(level))
        wait_for("the next round", lambda: d.value("level:0:value") == level, alive=d)
    write_file(value, "50")
    d.wait_promise("a.plain", "kept")
    d.wait_promise("a.most", "kept")
    d.wait_promise("a.jump", "kept")
    # Everything that is still to come has come when this has broken and was mended.
    write_file(value, "300")
    d.wait_promise("a.slow", "broken")
    lines = [x for x in w.lines if x["kind"] == "transition"]
    live = [(x["time"], x["name"], x["promiser"], x["from"], x["to"], x["because"]) for x in lines]
    status, found = replay(SET)
    assert status == 1
    assert len(live) > 20, len(live)
    past = [(x["time"], x["name"], x["promiser"], x["from"], x["to"], x["because"]) for x in found["transitions"]]
    # Those of before the watch are not in `live`; those after its last, not yet.
    past = [x for x in past if live[0][0] <= x[0] <= live[-1][0]]
    assert sorted(past) == sorted(live), "%s\n%s" % (sorted(set(past) - set(live))[:5], sorted(set(live) - set(past))[:5])
    w.end()

with suite.check("another set: how often it would have broken, and for how long"):
    status, found = replay("bundle b {\n promise never { promiser level:0 keep level:0:value < 1000 }\n"
                           " promise always { promiser level:0 keep level:0:value < 1 }\n"
                           " promise nothing { promiser level:0 keep level:1:value < 1 }\n}\n")
    of = {p["name"]: p for p in found["promises"]}
    assert status == 1 and found["samples"] > 30 and found["series"] == 1, found
    assert of["b.never"]["broke"] == 0 and of["b.never"]["kept_seconds"] > 2 and of["b.never"]["broken_seconds"] == 0
    assert of["b.always"]["broke"] == 1 and of["b.always"]["broken_seconds"] > 2 and of["b.always"]["kept_seconds"] == 0
    assert of["b.nothing"]["assessment"] == "unknown" and of["b.nothing"]["unknown_seconds"] > 2
    assert replay("bundle b { promise never { promiser level:0 keep level:0:value < 1000 } }")[0] == 0

with suite.check("--since: the same, but only the last is told; what was before is known all the same"):
    status, found = replay("bundle b { promise long { promiser level:0 keep count(level:0:value, 1h) < 20 } }", "--since", "1s")
    one = found["promises"][0]
    assert status == 1 and one["broke"] == 0 and 0.5 < one["broken_seconds"] < 1.6, one

with suite.check("actions of a set that is replayed are not run, nor is the daemon any the wiser"):
    mark = os.path.join(suite.folder(), "mark")
    before = len(d.kith("promises")[1])
    replay('bundle b { promise act { promiser level:0 keep level:0:value < 1 on broken run "/usr/bin/touch" "%s" } }' % mark)
    assert not os.path.exists(mark) and len(d.kith("promises")[1]) == before

with suite.check("faults of the file, as kith check tells them; status 2"):
    write_file(file, "bundle b { promise p { promiser level:0 keep level:0:valu < 1 } }\n")
    status, out, err = plain("replay", file)
    assert status == 2 and 'family "level" has no metric "valu"' in err and 'did you mean "level:0:value"?' in err, (status, err)
    status, out, err = plain("replay", file + ".none")
    assert status == 2 and "No such file" in err, (status, err)
    status, out, err = plain("replay", "--since", "soon", file)
    assert status == 2 and "duration" in err, (status, err)

with suite.check("kithd --replay survives any input"):
    write_file(file, "bundle b { promise p { promiser level:0 keep level:0:value < 1 } }\n")
    rng = random.Random(7)
    for n in range(60):
        data = bytes(rng.randrange(256) for _ in range(n * 3))
        if n % 3 == 0:
            data = len(data).to_bytes(4, "little") + data
        p = subprocess.run([os.path.join(BUILD, "kithd"), "--replay", "0", "--", file], input=data, capture_output=True, timeout=60)
        assert p.returncode in (0, 1), (n, p.returncode, p.stderr)

with suite.check("kith explain: thresholds, distances and the samples of each part"):
    write_file(value, "70")
    d.wait_promise("a.plain", "kept")
    parts = d.kith("explain", "a.plain")[1]["parts"]
    assert parts[0]["threshold"] == 100 and parts[0]["distance"] == 30 and parts[0]["series"] is None, parts[0]
    assert parts[1]["series"] == "level:0:value" and parts[1]["threshold"] is None
    samples = parts[1]["samples"]
    values = [s["value"] for s in samples]
    assert len(values) > 30 and values[-1] == 70 and 300 in values, values
    assert samples == sorted(samples, key=lambda s: s["time"])
    status, out, err = plain("explain", "a.plain")
    line = next(x for x in out.splitlines() if x.strip().startswith("level:0:value  "))
    assert "30 to spare" in out and " to 300 in " in line, out
    longer = [s for s in d.kith("explain", "--since", "1h", "a.plain")[1]["parts"][1]["samples"]]
    times = [s["time"] for s in longer]
    # What is kept of a promise's own may begin later than what is kept of all.
    begin = max(times[0], samples[0]["time"])
    mine, all_of = ([s for s in x if s["time"] >= begin] for x in (samples, longer))
    assert times == sorted(set(times)) and len(mine) > 30 and mine == all_of[:len(mine)], (mine[:3], all_of[:3])
    assert [s["value"] for s in d.kith("explain", "--since", "1s", "a.plain")[1]["parts"][1]["samples"]][-1] == 70
    status, out, err = plain("explain", "a.plain", "--since", "1h")
    assert any(x.strip().startswith("level:0:value  ") and " to 300 in " in x for x in out.splitlines()), out
    assert plain("explain", "a.plain", "--since", "then")[0] == 2

d.stop()

with suite.check("what no promise names, out of RRD files and over a restart; a state that was put long ago"):
    conf = 'interval = 100ms\nplugin level { from = "%s" }\njournal { fold = 2s; step = 1s; archives = "1s:1h" }\n' % value
    d = suite.daemon(conf=conf, plugins=(plugins, PLUGINS)).start()
    rrd = os.path.join(d.state, "rrd", "probe")
    wait_for("RRD files", lambda: os.path.isdir(rrd) and any(x.endswith(".rrd") for x in os.listdir(rrd)), alive=d)
    time.sleep(4)
    d.stop()
    shutil.rmtree(os.path.join(d.state, "journal"))
    d.start()
    wait_for("the state", lambda: d.value("interface:lo:state") is not None, alive=d)
    time.sleep(3)
    status, found = replay('''bundle c {
        promise fast { promiser probe:0 keep rate(probe:0:rounds, 1s) > 2/s }
        promise slow { promiser probe:0 keep rate(probe:0:rounds, 1s) < 5/s }
        promise low { promiser level:0 keep level:0:value < 20 }
    }''')
    of = {p["name"]: p for p in found["promises"]}
    assert status == 1, found
    assert of["c.fast"]["kept_seconds"] > 4, found
    assert of["c.slow"]["broken_seconds"] > 4, found
    assert of["c.low"]["broken_seconds"] > 4 and of["c.low"]["kept_seconds"] == 0, found
    status, found = replay('bundle c { promise up { promiser interface:lo keep interface:lo:state == "up" } }', "--since", "1s")
    assert status == (0 if d.value("interface:lo:state") == "up" else 1), found
    one = found["promises"][0]
    assert one["kept_seconds"] + one["broken_seconds"] > 0.9 and one["unknown_seconds"] < 0.1, one
    d.stop()

with suite.check("while kithd was away nothing is known: it counts as neither kept nor broken, from when that is known"):
    d = suite.daemon(conf='interval = 100ms\nplugin level { from = "%s" }\n' % value, plugins=(plugins, PLUGINS)).start()
    wait_for("the state", lambda: d.value("interface:lo:state") is not None and d.value("level:0:value") is not None, alive=d)
    time.sleep(1)
    d.kill()
    killed = time.time()
    time.sleep(6)
    os.unlink(d.socket)
    d.start()
    wait_for("the state", lambda: d.value("interface:lo:state") is not None and d.value("level:0:value") is not None, alive=d)
    back = time.time()
    time.sleep(1)
    status, found = replay('''bundle c {
        promise down { promiser interface:lo keep interface:lo:state == "down" or interface:lo:mtu < 0B }
        promise any { promiser level:0 keep level:0:value > -1000 }
    }''')
    for p in found["promises"]:
        assert 2 < p["unknown_seconds"] < back - killed + 2 and p["kept_seconds"] + p["broken_seconds"] < 8, (p, back - killed)
    lost = [x for x in found["transitions"] if x["to"] == "unknown" and x["from"] != "unknown"]
    assert {x["name"] for x in lost} == {"c.down", "c.any"}, found["transitions"]
    for x in lost:
        at = calendar.timegm(time.strptime(x["time"][:19], "%Y-%m-%dT%H:%M:%S"))
        assert at < killed + 4, (x, killed)
    d.stop()

suite.end()
