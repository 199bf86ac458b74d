#!/usr/bin/python3
"""Exporters, with the real kithd: what one is told, and what it costs the others when it goes wrong."""
import datetime
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from kithtest import BUILD, PLUGINS, TEST_PLUGINS, Suite, install, sanitized, wait_for, write_file  # noqa: E402

EXPORTERS = os.path.join(BUILD, "tests", "host", "exporters")
GAUGE, COUNTER, STATE = 0, 1, 2
EVENT = 1
UNKNOWN, KEPT, BROKEN = 0, 1, 2
NOTICE, CRIT = 5, 2
suite = Suite()


def folder_with(*names):
    """A folder with these plugins and exporters of the tests"""
    folder = suite.folder()
    for name in names:
        where = EXPORTERS if name.startswith("tap") else TEST_PLUGINS
        install(os.path.join(where, name + ".so"), os.path.join(folder, name + ".so"))
    return folder


class Sample:
    def __init__(self, words):
        self.time = int(words[0])
        self.family, self.instance, self.metric = words[1:4]
        self.value = float(words[4])
        self.unit, self.kind, self.flags = words[5], int(words[6]), int(words[7])
        self.states = None if words[8] == "-" else words[8].split(",")
        self.label, self.id, self.whole = words[9], int(words[10]), words[11] == "1"
        self.series = ":".join(x for x in words[1:4] if x)


class Heard:
    """What an exporter wrote, as far as whole lines go"""

    def __init__(self, path):
        self.path = path

    def lines(self, kind=None):
        try:
            with open(self.path) as f:
                text = f.read()
        except FileNotFoundError:
            return []
        lines = [x.split("\t") for x in text[:text.rfind("\n") + 1].splitlines()]
        return [x[1:] for x in lines if x[0] == kind] if kind else lines

    def samples(self, series=None):
        return [s for s in map(Sample, self.lines("sample")) if series in (None, s.series)]

    def records(self, pattern):
        return [r for r in self.lines("record") if re.search(pattern, r[3])]

    def wait_samples(self, d, series, n=1):
        return wait_for("%d samples of %s" % (n, series), lambda: len(self.samples(series)) >= n and self.samples(series), alive=d)


def daemon(names, conf, plugins=(), **how):
    """A daemon whose exporter tap writes to d.heard; %s in `conf` is its file."""
    folder = folder_with(*names)
    d = suite.daemon(conf="", plugins=(*plugins, folder), **how)
    d.folder = folder
    d.heard = Heard(d.path("heard"))
    write_file(d.conf, conf.replace("%s", d.heard.path))
    return d


def cost(d, name):
    return next(c for c in d.kith("cost")[1] if c["name"] == name)


def now():
    return int(datetime.datetime.now().timestamp() * 1e9)


def goes_on(d, series):
    before = d.get(series)[series]["time"]
    wait_for("%s to go on" % series, lambda: d.get(series)[series]["time"] > before, alive=d)


TAP = 'exporter tap { file = "%s" }\n'
PROMISE = """bundle b {
  promise p {
    promiser probe:0
    severity critical
    keep probe:0:value < 10
  }
}
"""

# Takes half a minute to be stopped: it runs beside the other checks.
MENDED = 'interval = 100ms\nexporter tap { file = "%s"; cpu_budget = 1% }\n'
stubborn = daemon(("probe", "tap"), MENDED.replace("cpu_budget", "burn = 60ms; cpu_budget")).start()

with suite.check("samples of what is there before it and after it, with all that is known of their metrics"):
    folder = folder_with("probe")
    d = suite.daemon(conf="interval = 100ms\nplugin probe { instances = 2 }\n", plugins=(PLUGINS, folder))
    heard = Heard(d.path("heard"))
    with d:
        d.wait_series("probe:0:rounds")
        write_file(d.conf, "interval = 100ms\nplugin probe { instances = 2; value = 7 }\n" + TAP % heard.path)
        before = now()
        install(os.path.join(EXPORTERS, "tap.so"), os.path.join(folder, "tap.so"))
        d.wait_plugin("tap", "running")
        heard.wait_samples(d, "probe:0:rounds", 5)
        s = heard.wait_samples(d, "probe:0:value", 5)[-1]
        assert (s.family, s.instance, s.metric, s.value) == ("probe", "0", "value", 7), vars(s)
        assert (s.unit, s.kind, s.flags, s.states, s.label) == ("1", GAUGE, 0, None, "number") and s.whole and s.id, vars(s)
        assert before < s.time < now(), (before, s.time)
        s = heard.samples("probe:0:rounds")
        assert (s[-1].unit, s[-1].kind) == ("rounds", COUNTER) and s[-1].id == heard.samples("probe:0:value")[-1].id + 1
        assert [x.value for x in s] == list(range(int(s[0].value), int(s[0].value) + len(s))), "one is missing"
        assert [x.time for x in s] == sorted(x.time for x in s)
        # One without instances
        s = heard.wait_samples(d, "load:1m")[-1]
        assert (s.instance, s.label) == ("", "-"), vars(s)
        # A plugin that comes later than the exporter
        install(os.path.join(TEST_PLUGINS, "probe2.so"), os.path.join(folder, "probe2.so"))
        heard.wait_samples(d, "probe2:0:rounds", 3)

with suite.check("what is put only when it changes is told once at the start: it may not come again"):
    folder = folder_with("wild")
    d = suite.daemon(conf="", plugins=(PLUGINS, folder))
    heard = Heard(d.path("heard"))
    write_file(d.conf, "interval = 100ms\n" + TAP % heard.path)
    with d:
        d.wait_series("wild:one:rounds")
        born = d.get("wild:one:mood")["wild:one:mood"]["time"]
        for turn in (1, 2):
            install(os.path.join(EXPORTERS, "tap.so"), os.path.join(folder, "tap.so"))
            heard.wait_samples(d, "wild:one:rounds", 3 * turn)
            mood = heard.samples("wild:one:mood")
            assert len(mood) == turn, [vars(s) for s in mood]
            s = mood[-1]
            assert (s.value, s.kind, s.flags, s.states) == (0, STATE, EVENT, ["calm", "wild"]), vars(s)
            at = datetime.datetime.fromtimestamp(s.time // 1000000 / 1000, datetime.timezone.utc)
            assert abs(at - datetime.datetime.fromisoformat(born.replace("Z", "+00:00"))).total_seconds() < 0.002, (at, born)
            # What it put itself before it heard anything, too
            assert len(heard.samples("tap:self:mood")) == turn
            os.remove(os.path.join(folder, "tap.so"))
            d.wait_no_plugin("tap")

with suite.check("instances that end and begin while it runs"):
    d = daemon(("wild", "tap"), "")
    order = d.path("order")
    write_file(d.conf, 'interval = 100ms\nplugin wild { order = "%s"; series = 3 }\n' % order + TAP % d.heard.path)
    with d:
        d.heard.wait_samples(d, "wild:2:rounds", 2)
        for _ in range(5):
            for word in ("begin", "end"):
                write_file(order, word)
                wait_for("order to be taken", lambda: not os.path.exists(order), alive=d)
        write_file(d.conf, 'interval = 100ms\nplugin wild { order = "%s"; series = 1 }\n' % order + TAP % d.heard.path)
        wait_for("two of three to end", lambda: d.value("wild:2:rounds") is None, alive=d)
        n = len(d.heard.samples("wild:2:rounds"))
        d.heard.wait_samples(d, "wild:one:rounds", len(d.heard.samples("wild:one:rounds")) + 3)
        assert len(d.heard.samples("wild:2:rounds")) == n
        # The new one of this name has the same series and another id.
        assert len({s.id for s in d.heard.samples("wild:one:rounds")}) == 2

with suite.check("records arrive whole, whoever made them"):
    d = daemon(("wild", "tap"), "")
    order = d.path("order")
    write_file(d.conf, 'interval = 100ms\nplugin wild { order = "%s" }\n' % order + TAP % d.heard.path)
    with d:
        d.wait_plugin("tap", "running")
        before = now()
        write_file(order, "record")
        r = wait_for("the record", lambda: d.heard.records("a word from outside"), alive=d)[0]
        assert r[1:] == [str(NOTICE), "wild:one", "a word from outside", "number=7"], r
        assert before <= int(r[0]) <= now(), r
        # kithd's own
        install(os.path.join(TEST_PLUGINS, "odd_major.so"), os.path.join(d.folder, "odd_major.so"))
        r = wait_for("kithd's record", lambda: d.heard.records("another major"), alive=d)[0]
        assert r[2] == "plugin:odd_major" and r[4:] == ["plugin=odd_major"], r

with suite.check("transitions arrive whole, and after the sample that caused them"):
    d = daemon(("probe", "tap"), "", promises={"p.promise": PROMISE})
    value = d.path("value")
    write_file(value, "1")
    write_file(d.conf, 'interval = 100ms\nplugin probe { from = "%s" }\n' % value + TAP % d.heard.path)
    with d:
        d.wait_promise("b.p", "kept")
        write_file(value, "11")
        d.wait_promise("b.p", "broken")
        os.remove(os.path.join(d.folder, "probe.so"))
        d.wait_promise("b.p", "unknown")
        found = wait_for("three transitions", lambda: len(d.heard.lines("transition")) >= 3 and d.heard.lines("transition"), alive=d)
        assert [x[1:6] for x in found] == [["b.p", "probe:0", str(a), str(b), str(CRIT)] for a, b in
                                           ((UNKNOWN, KEPT), (KEPT, BROKEN), (BROKEN, UNKNOWN))], found
        assert "is 11, promised < 10" in found[1][6] and found[2][6] == "probe:0:value has ended", found
        at = next(s.time for s in d.heard.samples("probe:0:value") if s.value == 11)
        assert int(found[1][0]) == at, (found[1], at)
        lines = d.heard.lines()
        broken = next(i for i, x in enumerate(lines) if x[0] == "transition" and x[5] == str(BROKEN))
        assert any(x[0] == "sample" and x[2:6] == ["probe", "0", "value", "11"] for x in lines[:broken + 3]), lines[broken]

with suite.check("what an exporter causes while it is called is not told to it, but to the other; what it samples itself is"):
    d = daemon(("probe", "tap", "tap_other"), "", promises={"p.promise": PROMISE})
    other, value = Heard(d.path("other")), d.path("value")
    write_file(value, "1")
    write_file(d.conf, 'interval = 100ms\nplugin probe { from = "%s" }\n' % value +
               'exporter tap { file = "%s"; talk = true }\nexporter tap_other { file = "%s"; talk = true; sample = true }\n'
               % (d.heard.path, other.path))
    with d:
        d.wait_promise("b.p", "kept")
        wait_for("the other to hear it", lambda: other.records("^tap heard"), alive=d)
        wait_for("it to hear the other", lambda: d.heard.records("^tap_other heard"), alive=d)
        r = other.records("^tap heard")[0]
        assert r[2] == "tap" and r[4].startswith("why=a "), r
        assert not d.heard.records("^tap heard") and not other.records("^tap_other heard")
        # The words within a call: to the other alone. Its own sampler's: to both.
        other.wait_samples(d, "tap:self:heard")
        other.wait_samples(d, "tap:short:heard")
        assert not d.heard.samples("tap:self:heard") and not d.heard.samples("tap:short:heard")
        other.wait_samples(d, "tap_other:self:heard", 3)
        d.heard.wait_samples(d, "tap_other:self:heard", 3)
        # One transition more is a few words more, not a storm.
        n = len(d.heard.lines("record")), len(other.lines("record"))
        write_file(value, "11")
        d.wait_promise("b.p", "broken")
        goes_on(d, "probe:0:rounds")
        goes_on(d, "probe:0:rounds")
        more = len(d.heard.lines("record")) - n[0], len(other.lines("record")) - n[1]
        assert 1 <= more[0] <= 8 and 1 <= more[1] <= 8, more

with suite.check("its cost is what it was told, and one that hears transitions alone does not pay for samples"):
    d = daemon(("probe", "tap", "tap_quiet"), "", plugins=(PLUGINS,), promises={"p.promise": PROMISE})
    quiet = Heard(d.path("quiet"))
    write_file(d.conf, "interval = 100ms\n" + TAP % d.heard.path + 'exporter tap_quiet { file = "%s" }\n' % quiet.path)
    with d:
        d.wait_promise("b.p", "kept")
        d.heard.wait_samples(d, "probe:0:rounds", 20)
        before = len(d.heard.lines())
        calls = cost(d, "tap")["calls"]
        assert before <= calls <= len(d.heard.lines()), (before, calls)
        assert cost(d, "tap")["cpu_ns"] > 0 and cost(d, "tap")["failures"] == 0
        # Its init and the one transition
        assert cost(d, "tap_quiet")["calls"] == 2 and [x[0] for x in quiet.lines()] == ["init", "transition"], quiet.lines()

with suite.check("replaced while it runs: the newer one goes on where it ended; removed, it hears no more"):
    folder = folder_with("probe")
    d = suite.daemon(conf="", plugins=(folder,))
    heard = Heard(d.path("heard"))
    write_file(d.conf, "interval = 100ms\n" + TAP % heard.path)
    target = os.path.join(folder, "tap.so")
    with d:
        install(os.path.join(EXPORTERS, "tap.so"), target)
        heard.wait_samples(d, "probe:0:rounds", 3)
        install(os.path.join(EXPORTERS, "tap-2.so"), target)
        wait_for("the newer one", lambda: d.plugin("tap")[0]["version"] == "2", alive=d)
        heard.wait_samples(d, "probe:0:rounds", len(heard.samples("probe:0:rounds")) + 3)
        os.remove(target)
        d.wait_no_plugin("tap")
        lines = heard.lines()
        assert [x[1:] for x in lines if x[0] in ("init", "fini")] == [["tap", "1"], ["tap", "1"], ["tap", "2"], ["tap", "2"]], lines
        assert lines[0][0] == "init" and lines[-1][0] == "fini"
        turn = [x[0] + x[-1] for x in lines].index("fini1")
        assert lines[turn + 1] == ["init", "tap", "2"]
        rounds = [s.value for s in heard.samples("probe:0:rounds")]
        assert rounds == list(range(int(rounds[0]), int(rounds[0]) + len(rounds))), rounds
        goes_on(d, "probe:0:rounds")
        assert heard.lines() == lines

with suite.check("dropped in, replaced and removed again and again: nothing is left of it"):
    folder = folder_with("probe")
    d = suite.daemon(conf="", plugins=(PLUGINS, folder))
    heard = Heard(d.path("heard"))
    write_file(d.conf, "interval = 100ms\n" + TAP % heard.path)
    target = os.path.join(folder, "tap.so")
    with d:
        before = None
        for turn in range(30):
            install(os.path.join(EXPORTERS, "tap.so"), target)
            d.wait_plugin("tap", "running")
            if turn % 3 == 0:
                install(os.path.join(EXPORTERS, "tap-2.so"), target)
                wait_for("the newer one", lambda: d.plugin("tap")[0]["version"] == "2", alive=d)
                heard.wait_samples(d, "probe:0:rounds", len(heard.samples("probe:0:rounds")) + 1)
            os.remove(target)
            d.wait_no_plugin("tap")
            if turn == 4:
                before = d.holds()
        after = d.holds()
        for what in ("fds", "memfds", "plugin maps"):
            assert after[what] == before[what], (what, before, after)
        assert sanitized() or after["anonymous"] < before["anonymous"] + 256, (before, after)

with suite.check("one that fails: counted, backed off with the reason, what passes it by is said, and it recovers"):
    d = daemon(("probe", "tap"), "", promises={"p.promise": PROMISE})
    fail, value = d.path("fail"), d.path("value")
    write_file(value, "1")
    write_file(d.conf, 'interval = 100ms\nplugin probe { from = "%s" }\n' % value +
               'exporter tap { file = "%s"; fail_while = "%s" }\n' % (d.heard.path, fail))
    with d:
        d.wait_promise("b.p", "kept")
        d.heard.wait_samples(d, "probe:0:rounds", 3)
        assert cost(d, "tap")["failures"] == 0
        write_file(fail, "")
        p = d.wait_plugin("tap", "backed-off")
        assert "fails: Input/output error" in p["reason"], p
        wait_for("two more failures", lambda: cost(d, "tap")["failures"] >= 5, alive=d)
        # Its samples rest; a transition is told all the same.
        n = len(d.heard.lines("transition"))
        write_file(value, "11")
        d.wait_promise("b.p", "broken")
        wait_for("the transition", lambda: len(d.heard.lines("transition")) > n, alive=d)
        assert cost(d, "probe")["failures"] == 0
        os.remove(fail)
        p = d.wait_plugin("tap", "running")
        assert p["reason"] == "", p
        d.wait_log("plugin tap: works again")
        rounds = d.value("probe:0:rounds")
        wait_for("the samples of now", lambda: d.heard.samples("probe:0:rounds")[-1].value > rounds, alive=d)
        missed = sum(int(re.search(r"not told (\d+) samples", x).group(1)) for x in d.wait_log("plugin tap: was not told"))
        assert missed >= 10, missed

with suite.check("one that is over its CPU budget is slowed: it rests, and nobody else pays for it"):
    d = daemon(("probe", "tap"), 'interval = 100ms\nexporter tap { file = "%s"; burn = 40ms; cpu_budget = 2% }\n', plugins=(PLUGINS,))
    with d:
        p = d.wait_plugin("tap", "backed-off")
        assert re.search(r"slowed: \d+\.\d % CPU, its budget is 2\.0 %", p["reason"]), p
        n = len(d.heard.samples())
        rounds = d.value("probe:0:rounds")
        d.wait_series("probe:0:rounds", lambda v: v > rounds + 20)
        # 2 % of two seconds are 40 ms: one sample, or two where the machine is slow, of a thousand.
        assert len(d.heard.samples()) - n <= (8 if not sanitized() else 20), len(d.heard.samples()) - n
        d.wait_log("plugin tap: was not told [0-9]+ samples")
        costs = {c["name"]: c["cpu_ns"] for c in d.kith("cost")[1] if "." not in c["name"]}
        for name in ("probe", "load", "cpu", "memory"):
            assert costs[name] < costs["tap"] / 4, costs
            assert d.plugin(name)[0]["state"] == "running", d.plugin(name)

with suite.check("one whose records cost more than its budget is not told that it was slowed, again and again"):
    d = daemon(("probe", "tap"), 'interval = 100ms\nexporter tap { file = "%s"; burn_records = 700ms; cpu_budget = 1% }\n')
    with d:
        install(os.path.join(TEST_PLUGINS, "odd_major.so"), os.path.join(d.folder, "odd_major.so"))
        d.wait_plugin("tap", "backed-off")
        d.wait_plugin("odd_major", "refused")
        goes_on(d, "probe:0:rounds")
        assert len(d.heard.lines("record")) == 1 and len(d.lines("plugin tap: slowed")) == 1, d.heard.lines("record")

with suite.check("a section may be called exporter or plugin; a wrong option refuses it with its place"):
    for kind in ("exporter", "plugin"):
        d = daemon(("probe", "tap"), 'interval = 100ms\n%s tap {\n  flie = "x"\n}\n' % kind)
        with d:
            p = d.wait_plugin("tap", "refused")
            assert "kith.conf:3:3" in p["reason"] and "flie" in p["reason"], p
            write_file(d.conf, 'interval = 100ms\n%s tap {\n  file = "%s"\n}\n' % (kind, d.heard.path))
            d.heard.wait_samples(d, "probe:0:rounds", 2)
        status, said = d.run_out("-t")
        assert status == 0 and "warning" not in said, said

with suite.check("isolated: refused with one clear line, in either section and by -t; without it, it runs"):
    for kind in ("exporter", "plugin"):
        text = '%s tap { file = "%%s"; isolated = true }\n' % kind
        d = daemon(("probe", "tap"), "interval = 100ms\n" + text)
        status, said = d.run_out("-t")
        assert "isolated = true: an exporter hears all that happens in kithd" in said, said
        with d:
            p = d.wait_plugin("tap", "refused")
            assert p["reason"].startswith("isolated = true: an exporter hears all"), p
            assert len(d.lines("plugin tap: refused")) == 1, d.lines("plugin tap")
            assert not d.heard.lines()
            write_file(d.conf, "interval = 100ms\n" + text.replace("; isolated = true", "").replace("%s", d.heard.path))
            d.wait_plugin("tap", "running")
            d.heard.wait_samples(d, "probe:0:rounds", 2)

with suite.check("one that stays over its CPU budget is stopped, and hears no more; with a mended section it starts again"):
    d = stubborn
    p = d.wait_plugin("tap", "stopped", deadline=60)
    assert "cpu_budget" in p["reason"], p
    wait_for("its fini", lambda: d.heard.lines()[-1][0] == "fini", alive=d)
    lines = d.heard.lines()
    goes_on(d, "probe:0:rounds")
    goes_on(d, "probe:0:rounds")
    assert d.heard.lines() == lines and d.plugin("probe")[0]["state"] == "running"
    write_file(d.conf, MENDED.replace("%s", d.heard.path))
    d.wait_plugin("tap", "running")
    d.heard.wait_samples(d, "probe:0:rounds", len(d.heard.samples("probe:0:rounds")) + 3)
    d.stop()

suite.end()
