#!/usr/bin/python3
"""Checks: Debian's monitoring plugins and odd programs, run by the real daemon."""
import os
import re
import shutil
import socket
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from kithtest import SOURCE, PLUGINS, Skip, Suite, install, wait_for, write_file  # noqa: E402

NAGIOS = "/usr/lib/nagios/plugins"
suite = Suite()
place = suite.folder()
plugins = suite.folder()
shutil.copy(os.path.join(PLUGINS, "exec.so"), plugins)


def need_nagios():
    if not os.path.exists(NAGIOS + "/check_dummy"):
        raise Skip("monitoring-plugins-basic is not installed")


def script(name, text, mode=0o755):
    path = os.path.join(place, name)
    write_file(path, "#!/bin/sh\n" + text)
    os.chmod(path, mode)
    return path


def conf(*checks, **options):
    lines = ["    %s = %s\n" % (k, v) for k, v in options.items()]
    quoted = "".join('        "%s"\n' % c.replace("\\", "\\\\").replace('"', '\\"') for c in checks)
    return "interval = 1s\nplugin exec {\n%s    checks = [\n%s    ]\n}\n" % ("".join(lines), quoted)


def daemon(*checks, promises=None, **options):
    return suite.daemon(conf=conf(*checks, **options), plugins=(plugins,), promises=promises)


def alive(pid):
    try:
        with open("/proc/%d/stat" % pid) as f:
            return f.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def least(n):
    return lambda v: v is not None and v >= n


def read(name):
    try:
        with open(os.path.join(place, name)) as f:
            return f.read()
    except FileNotFoundError:
        return ""


def wait_state(d, name, state):
    return d.wait_series("check:%s:state" % name, lambda v: v == state)


def of_check(name, state=None):
    return lambda x: x["kind"] == "record" and x["subject"] == "check:" + name and (
        state is None or x["fields"]["state"] == state)


def children(d):
    """All processes below kithd that are no zombies"""
    found, pids = [], [d.process.pid]
    while pids:
        pid = pids.pop()
        for entry in os.listdir("/proc"):
            if entry.isdigit() and alive(int(entry)):
                try:
                    with open("/proc/%s/stat" % entry) as f:
                        if int(f.read().rsplit(")", 1)[1].split()[1]) == pid:
                            found.append(int(entry))
                            pids.append(int(entry))
                except FileNotFoundError:
                    pass
    return found


with suite.check("without a check it runs, says so, and starts nothing"), suite.daemon(plugins=(plugins,)) as d:
    p = d.wait_plugin("exec", "running")
    assert p["reason"] == "no check is configured" and p["series"] == 0, p
    assert children(d) == []

# ---- Debian's monitoring plugins

with suite.check("check_dummy 0 to 3: the states, the exit codes, and records with their text"):
    need_nagios()
    with daemon(*("d%d every=never watch=%s/go %s/check_dummy %d 'text of %d'" % (i, place, NAGIOS, i, i) for i in range(4))) as d:
        d.wait_plugin("exec", "running")
        watch = d.watch("--records")
        write_file(os.path.join(place, "go"), "")
        for i, state in enumerate(("ok", "warning", "critical", "unknown")):
            wait_state(d, "d%d" % i, state)
            d.wait_series("check:d%d:exit_code" % i, lambda v, i=i: v == i)
            if i:
                r = watch.wait("the record", of_check("d%d" % i, state))
                assert "text of %d" % i in r["message"] and r["fields"]["check"] == "d%d" % i, r
                assert r["fields"]["output"] == r["message"], r
        assert not [x for x in watch.end() if of_check("d0")(x)], "that all is well at first is no news"

with suite.check("check_load, check_disk, check_procs and check_tcp: states, and performance data in base units"):
    need_nagios()
    server = socket.socket()
    server.bind(("127.0.0.1", 0))
    server.listen(64)
    port = server.getsockname()[1]
    with daemon("load every=1s %s/check_load -w 9999,9999,9999 -c 9999,9999,9999" % NAGIOS,
                "disk every=1s %s/check_disk -w 0%% -c 0%% -p %s" % (NAGIOS, place),
                "procs every=1s %s/check_procs -w 1:999999 -c 1:999999" % NAGIOS,
                "few every=1s %s/check_procs -w 100000: -c 0:999999" % NAGIOS,
                "tcp every=1s %s/check_tcp -H 127.0.0.1 -p %d" % (NAGIOS, port)) as d:
        for name in ("load", "disk", "procs", "tcp"):
            wait_state(d, name, "ok")
        wait_state(d, "few", "warning")
        assert d.get("perf:load/load1:value")["perf:load/load1:value"]["unit"] == "1"
        assert d.value("perf:load/load15:crit") == 9999
        disk = [x for x in d.get("perf_bytes") if x.startswith("perf_bytes:disk/") and x.endswith(":max")]
        st = os.statvfs(place)
        assert len(disk) == 1 and abs(d.value(disk[0]) - st.f_blocks * st.f_frsize) <= 0.1 * st.f_blocks * st.f_frsize, (disk, d.get("perf_bytes"))
        assert d.value("perf:procs/procs:value") > 0
        assert d.value("perf:few/procs:warn_low") == 100000 and d.value("perf:few/procs:level") == "warning"
        tcp = d.get("perf_seconds:tcp/time:value")["perf_seconds:tcp/time:value"]
        assert tcp["unit"] == "s" and 0 <= tcp["value"] < 60, tcp
        server.close()
        wait_state(d, "tcp", "critical")

# ---- odd programs

with suite.check("one that hangs is killed in time with its whole group, and what it wrote is told"):
    hang = script("hang", """echo half of it
(sh -c 'echo $$ > "%s/grandchild.new"; mv "%s/grandchild.new" "%s/grandchild"; sleep 1000') &
sleep 1000
""" % (place, place, place))
    with daemon("hang every=never timeout=1s watch=%s/hanging %s" % (place, hang)) as d:
        watch = d.watch("--records")
        write_file(os.path.join(place, "hanging"), "")
        r = watch.wait("the record", of_check("hang"))
        assert r["message"] == "no answer within 1 s: it was killed; half of it" and r["fields"]["state"] == "unknown", r
        pid = int(read("grandchild"))
        wait_for("the grandchild to end", lambda: not alive(pid))
        values = {k: x["value"] for k, x in d.get("check:hang:*").items()}
        assert values["check:hang:timeouts"] == values["check:hang:runs"] and values["check:hang:exit_code"] is None, values
        watch.end()

with suite.check("one that is done while a child of it holds the output: not waited for, and the child ends"):
    leaves = script("leaves", 'sleep 1000 & echo $! > "%s/left"\necho "OK | a=1"\n' % place)
    with daemon("leaves timeout=1h every=1h %s" % leaves) as d:
        wait_state(d, "leaves", "ok")
        assert d.value("perf:leaves/a:value") == 1
        wait_for("what it left to end", lambda: not alive(int(read("left"))))

with suite.check("a flood of output: 64 KiB are read of a long one, an endless one is ended; the record is bounded, the loop goes on"):
    long = script("long", "head -c 500000 /dev/zero | tr '\\0' x\necho ' | a=1'\nexit 1\n")
    flood = script("flood", "exec yes\n")
    assert shutil.which("yes")
    with daemon("long every=1h %s" % long, "flood every=1h timeout=1h %s" % flood) as d:
        wait_state(d, "long", "warning")
        wait_state(d, "flood", "unknown")
        watch = d.watch("--records")
        write_file(d.conf, conf("long every=2h %s" % long, "flood every=2h timeout=1h %s" % flood))
        r = watch.wait("the record", of_check("long"))
        assert 8000 < len(r["message"]) < 8192 and set(r["message"]) == {"x"}, len(r["message"])
        r = watch.wait("the record", of_check("flood"))
        assert r["message"].startswith("it wrote more than 1 MiB and was cut off (SIGPIPE); y"), r["message"][:100]
        assert len(r["fields"]["output"]) < 8192 + 200
        assert d.value("perf:long/a:value") is None, "behind what was kept"
        watch.end()

with suite.check("what cannot be run, ends by a signal or with another status: unknown, with the reason"):
    secret = script("secret", "exit 0\n", 0o600)
    odd = {
        "missing": ("/nonexistent/check", "it cannot be run: No such file or directory (/nonexistent/check)"),
        "denied": (secret, "it cannot be run: Permission denied (%s)" % secret),
        "empty": (script("empty", "exit 2\n"), "it wrote nothing"),
        "status": (script("status", "echo text; exit 42\n"), "it ended with status 42, which is none of 0 to 3; text"),
        "signal": (script("signal", "echo text; kill -SEGV $$\n"), "it was ended by signal 11 (SIGSEGV); text"),
        "error": (script("error", "echo wrong >&2; exit 3\n"), "standard error: wrong"),
        "noise": (script("noise", "printf 'a\\033[1m\\377b\\n more\\tof it'; exit 1\n"), "a [1m\ufffdb"),
    }
    with daemon(*("%s every=never watch=%s/odd %s" % (k, place, v[0]) for k, v in odd.items()), at_once=1) as d:
        watch = d.watch("--records")
        write_file(os.path.join(place, "odd"), "")
        for name, (_, message) in odd.items():
            r = watch.wait("the record of " + name, of_check(name))
            assert r["message"] == message, (name, r)
            assert r["fields"]["state"] == {"empty": "critical", "noise": "warning"}.get(name, "unknown"), r
        assert watch.wait("noise", of_check("noise"))["fields"]["output"] == "a [1m\ufffdb / more of it"
        for name in odd:
            v = {k.rsplit(":", 1)[1]: x["value"] for k, x in d.get("check:%s:*" % name).items()}
            assert v["failures"] == (v["runs"] if name in ("missing", "denied", "status", "signal") else 0), (name, v)
        watch.end()

with suite.check("words reach the program as they were quoted; no shell looks at them"):
    words = script("words", 'for w; do echo "<$w>"; done > "%s/words.new"; mv "%s/words.new" "%s/words.out"\n' % (place, place, place))
    with daemon("w every=1h %s 'a  b' \"c'd\" e\\ f $HOME * '' \"\\\"\" ; | x > y" % words):
        wait_for("its run", lambda: read("words.out"))
        assert read("words.out").split("\n")[:-1] == ["<a  b>", "<c'd>", "<e f>", "<$HOME>", "<*>", "<>", '<">', "<;>", "<|>", "<x>",
                                                      "<>>", "<y>"], read("words.out")

with suite.check("performance data that is no good: one line says what and why, the rest counts, and is not said again"):
    bad = script("bad", "echo \"OK | a=1 word 'b c'=2ms;x;3 d=1,5%\"\n")
    with daemon("bad every=100ms %s" % bad) as d:
        d.wait_series("check:bad:runs", least(4))
        assert d.value("perf:bad/a:value") == 1 and d.value("perf_seconds:bad/b c:value") == 0.002
        assert d.value("perf_seconds:bad/b c:crit") == 0.003 and d.value("perf_percent:bad/d:value") == 1.5
        lines = d.lines("performance data")
        assert len(lines) == 1 and 'check bad' in lines[0] and '"word": no = after its label' in lines[0], lines

with suite.check("a value that is given no more ends, one in another unit changes its family"):
    changes = script("changes", 'echo "OK | $(cat "%s/perf")"\n' % place)
    write_file(os.path.join(place, "perf"), "a=1 b=5s")
    with daemon("c every=100ms %s" % changes) as d:
        d.wait_series("perf_seconds:c/b:value", lambda v: v == 5)
        write_file(os.path.join(place, "perf"), "b=6KB")
        d.wait_series("perf_bytes:c/b:value", lambda v: v == 6000)
        assert d.value("perf_seconds:c/b:value") is None
        wait_for("the end of a", lambda: d.value("perf:c/a:value") is None)

# ---- when they run

with suite.check("on demand by the trigger folder, and on a record of another"):
    count = script("count", 'echo run >> "%s/count.$1"\n' % place)
    trigger = os.path.join(place, "trigger")
    with daemon("now every=never %s now" % count, "first every=never %s/check_tcp -H 127.0.0.1 -p 1" % NAGIOS,
                "then every=never record=check:f* %s then" % count, trigger='"%s"' % trigger) as d:
        wait_for("the folder", lambda: os.path.isdir(trigger), alive=d)
        d.wait_plugin("exec", "running")
        assert read("count.now") == ""
        open(os.path.join(trigger, "now"), "w").close()
        wait_for("the run", lambda: read("count.now") == "run\n", alive=d)
        wait_state(d, "now", "ok")
        open(os.path.join(trigger, "now"), "w").close()
        wait_for("the second run", lambda: read("count.now") == "run\nrun\n", alive=d)
        assert read("count.then") == ""
        open(os.path.join(trigger, "first"), "w").close()
        wait_for("what follows it", lambda: read("count.then") == "run\n", alive=d)
        open(os.path.join(trigger, "nobody"), "w").close()
        d.wait_log("trigger/nobody was written, but there is no such check")

with suite.check("no more than at_once run at a time; a check that still runs is not started again, and that is counted"):
    slow = script("slow", 'mkdir -p "%s/slow.d" && : > "%s/slow.d/$$"\nls "%s/slow.d" | wc -l >> "%s/together"\n'
                  'while [ ! -e "%s/release" ]; do sleep 0.02; done\nrm "%s/slow.d/$$"\n' % ((place,) * 6))
    with daemon(*("s%d every=100ms timeout=1h %s" % (i, slow) for i in range(5)), at_once=2) as d:
        for i in range(5):
            d.wait_series("check:s%d:skipped" % i, least(2))
        assert len(os.listdir(place + "/slow.d")) == 2 and sum(d.value("check:s%d:runs" % i) or 0 for i in range(5)) == 0
        write_file(os.path.join(place, "release"), "")
        for i in range(5):
            d.wait_series("check:s%d:runs" % i, least(2))
        assert max(int(x) for x in read("together").split()) == 2, read("together")

# ---- reloads, promises, the end

with suite.check("a reload touches only the checks that changed; a wrong entry leaves what runs; removed ones end"):
    stay = script("stay", "exit 0\n")
    with daemon("one every=200ms %s" % stay, "two every=200ms %s" % stay, "three every=200ms %s" % stay) as d:
        for name in ("one", "two", "three"):
            d.wait_series("check:%s:runs" % name, least(3))
        write_file(d.conf, conf("one every=200ms %s" % stay, "two every=1h %s" % stay))
        d.wait_series("check:two:runs", lambda v: v == 1)
        assert d.value("check:one:runs") >= 3 and d.value("check:three:state") is None
        write_file(d.conf, conf("one every=soon %s" % stay, "two every=1h %s" % stay, "four stay"))
        said = wait_for("the note", lambda: "checks cannot" in (d.plugin("exec")[0]["reason"] or "") and d.plugin("exec")[0]["reason"])
        assert said.startswith('2 of 4 checks cannot be run as written: "one every=soon'), said
        assert "every=soon is no duration: write 500ms, 30s, 5m, 1h" in said, said
        runs = d.value("check:one:runs")
        assert runs >= 3
        d.wait_series("check:one:runs", least(runs + 1))
        assert d.value("check:two:runs") == 1

with suite.check("changed, reloaded, removed, at the end: nothing that runs is left behind"):
    script("sleeper", 'echo $$ > "%s/sleeper.new"; mv "%s/sleeper.new" "%s/sleeper.$1"; sleep 1000 & wait\n' % (place, place, place))

    def sleeper(number, **options):
        return conf("sleeper every=1h timeout=1h %s/sleeper %d" % (place, number), **options)

    def begun(number):
        return int(wait_for("it to run", lambda: read("sleeper.%d" % number), alive=d))
    d = suite.daemon(conf=sleeper(1), plugins=(plugins,)).start()
    pid = begun(1)
    write_file(d.conf, sleeper(2))
    wait_for("the first to end", lambda: not alive(pid))
    pid = begun(2)
    os.remove(os.path.join(place, "sleeper.2"))
    install(os.path.join(PLUGINS, "exec.so"), os.path.join(plugins, "exec.so"))
    wait_for("the second to end", lambda: not alive(pid))
    pid = begun(2)
    os.remove(os.path.join(plugins, "exec.so"))
    d.wait_no_plugin("exec")
    wait_for("it to end with its plugin", lambda: not alive(pid) and not children(d))
    os.remove(os.path.join(place, "sleeper.2"))
    install(os.path.join(PLUGINS, "exec.so"), os.path.join(plugins, "exec.so"))
    pid = begun(2)
    d.stop()
    wait_for("it to end with kithd", lambda: not alive(pid))

with suite.check("the examples of the manual page run; a promise on a check is kept, broken, kept"):
    with open(os.path.join(SOURCE, "plugins", "exec", "kith-exec.7")) as f:
        page = f.read()
    blocks = [x.replace("\\e", "\\") for x in re.findall(r"\.Bd -literal\n(.*?)\.Ed", page.split(".Sh EXAMPLES")[1], re.S)]
    assert len(blocks) == 2 and blocks[0].startswith("plugin exec {") and blocks[1].startswith("bundle"), blocks
    fake = script("disk", 'echo "DISK $(cat "%s/level") | /=1MB"; exit "$(cat "%s/level")"\n' % (place, place))
    server = socket.socket()
    server.bind(("127.0.0.1", 0))
    server.listen(64)
    text = blocks[0].replace("/run/kith/check", place + "/check").replace("-p 22", "-p %d" % server.getsockname()[1])
    assert text.count(NAGIOS + "/check_disk") == 1
    write_file(os.path.join(place, "level"), "0")
    with suite.daemon(conf="interval = 1s\n" + text.replace(NAGIOS + "/check_disk", fake), plugins=(plugins,),
                      promises={"checks.promise": blocks[1]}) as d:
        assert not d.lines("warning|error"), d.log()
        d.wait_promise("checks.disk", "kept")
        if os.path.exists(NAGIOS + "/check_tcp"):
            d.wait_promise("checks.quick", "kept")
        for level, assessment in (("2", "broken"), ("0", "kept"), ("3", "broken"), ("0", "kept")):
            write_file(os.path.join(place, "level"), level)
            open(os.path.join(place, "check", "disk"), "w").close()
            d.wait_promise("checks.disk", assessment)
    server.close()

suite.end()
