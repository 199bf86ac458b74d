#!/usr/bin/python3
"""Promises in the daemon: their files while it runs, and their actions."""
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from kithtest import KITHD, PLUGINS, TEST_PLUGINS, Suite, install, wait_for, write_file  # noqa: E402

suite = Suite()
plugins = suite.folder()
for name in ("probe", "probe2"):
    install(os.path.join(TEST_PLUGINS, name + ".so"), os.path.join(plugins, name + ".so"))
place = suite.folder()
value, done = os.path.join(place, "value"), os.path.join(place, "done")
os.mkdir(done)


def set_value(number):
    write_file(value, str(number))


def script(name, text):
    path = os.path.join(place, name)
    write_file(path, "#!/bin/sh\n" + text)
    os.chmod(path, 0o755)
    return path


def promise(name, keep, *more, promiser="probe:0"):
    lines = ["promiser %s" % promiser, "promisee ops", "keep %s" % keep, *more]
    return "bundle b {\n    promise %s {\n%s    }\n}\n" % (name, "".join("        %s\n" % x for x in lines))




set_value(1)
conf = 'interval = 100ms\nplugin probe { from = "%s" }\n' % value
d = suite.daemon(conf=conf, plugins=(PLUGINS, plugins), promises={"a.promise": promise("one", "probe:0:value < 5")}).start()


def file(name):
    return os.path.join(d.promises, name)


# ---- files

with suite.check("a promise is kept, breaks, and is kept again with its series, and the transitions are told"):
    d.wait_promise("b.one", "kept")
    watch = d.watch("--transitions")
    set_value(7)
    p = d.wait_promise("b.one", "broken")
    assert p["promiser"] == "probe:0" and p["promisees"] == ["ops"] and "7" in p["because"], p
    set_value(2)
    d.wait_promise("b.one", "kept")
    watch.wait("the transition", lambda x: x["name"] == "b.one" and x["from"] == "broken" and x["to"] == "kept")
    lines = [(x["from"], x["to"]) for x in watch.end() if x["kind"] == "transition"]
    assert ("kept", "broken") in lines, lines

with suite.check("a new file is loaded, a changed one takes the old one's place, a removed one goes"):
    write_file(file("b.promise"), promise("two", "load:1m < 900", promiser="load"))
    d.wait_promise("b.two", "kept")
    since = d.promise("b.one")["since"]
    write_file(file("b.promise"), promise("two", "load:1m > 900", promiser="load"))
    d.wait_promise("b.two", "broken")
    os.remove(file("b.promise"))
    wait_for("it to go", lambda: d.promise("b.two") is None, alive=d)
    assert d.promise("b.one")["since"] == since, "an untouched promise lost its state"

with suite.check("a file with a fault leaves the set that runs, and says file, line and column"):
    with open(file("a.promise"), "w") as f:
        f.write(promise("one", "probe:0:valeu < 5"))
    d.wait_log(r"a\.promise:5:14: .*valeu")
    d.wait_log("faults? in the promises")
    assert d.promise("b.one")["assessment"] == "kept"
    set_value(8)
    d.wait_promise("b.one", "broken")
    set_value(1)
    d.wait_promise("b.one", "kept")

with suite.check("when it is mended it is loaded"):
    write_file(file("a.promise"), promise("one", "probe:0:value < 3"))
    d.wait_promise("b.one", "kept")
    set_value(4)
    p = d.wait_promise("b.one", "broken")
    assert "3" in p["because"], p
    set_value(1)
    d.wait_promise("b.one", "kept")

with suite.check("the plugin goes: its promise is unknown; it comes again: it is kept"):
    os.remove(os.path.join(plugins, "probe.so"))
    d.wait_promise("b.one", "unknown")
    install(os.path.join(TEST_PLUGINS, "probe.so"), os.path.join(plugins, "probe.so"))
    d.wait_promise("b.one", "kept")

with suite.check("a change of tags in the configuration brings in what is only on them, and takes it out again"):
    tagged = promise("tagged", "load:1m < 900", promiser="load").replace("bundle b {\n", 'bundle t {\n    only on tag "web"\n')
    write_file(file("c.promise"), tagged)
    d.wait_log("promises from 2 files")
    assert d.promise("t.tagged") is None
    write_file(d.conf, 'tags = ["web"]\n' + conf)
    d.wait_promise("t.tagged", "kept")
    write_file(d.conf, conf)
    wait_for("it to go", lambda: d.promise("t.tagged") is None, alive=d)
    os.remove(file("c.promise"))

# ---- actions

with suite.check("on broken run: the program runs, with its arguments, its environment and the document on standard input"):
    tell = script("tell", 'cat > "%s/$1.json.new"\nenv > "%s/$1.env"\necho "$@" > "%s/$1.args"\nmv "%s/$1.json.new" "%s/$1.json"\n'
                  .replace("%s", done))
    write_file(file("a.promise"), promise("one", "probe:0:value < 3", "severity critical", 'on broken run "%s" "told" "a b"' % tell,
                                          'on kept run "%s" "mended"' % tell))
    d.wait_promise("b.one", "kept")
    wait_for("the new file", lambda: d.lines("promises from 1 file"), alive=d)
    set_value(6)
    wait_for("the action", lambda: os.path.exists(done + "/told.json"), alive=d)
    with open(done + "/told.args") as f:
        assert f.read() == "told a b\n"
    with open(done + "/told.json") as f:
        document = json.load(f)
    with open(done + "/told.env") as f:
        env = dict(x.split("=", 1) for x in f.read().splitlines() if x.startswith("KITH_"))
    assert document["promise"] == "b.one" and document["to"] == "broken" and document["from"] == "kept", document
    assert document["severity"] == "critical" and "6" in document["because"], document
    assert {k: v for k, v in env.items()} == {"KITH_" + k.upper(): v for k, v in document.items()}, (env, document)

with suite.check("on kept run: the other program, when it is kept again"):
    set_value(1)
    wait_for("the action", lambda: os.path.exists(done + "/mended.json"), alive=d)

with suite.check("at most N per time: no more are run, however often it breaks"):
    count = script("count", 'echo run >> "%s/count"\n' % done)
    write_file(file("a.promise"), promise("limited", "probe:0:value < 3", 'on broken run "%s" at most 2 per 1h' % count))
    d.wait_promise("b.limited", "kept")
    for _ in range(5):
        set_value(9)
        d.wait_promise("b.limited", "broken")
        set_value(1)
        d.wait_promise("b.limited", "kept")
    with open(done + "/count") as f:
        assert f.read() == "run\nrun\n"

with suite.check("a program that takes too long is killed with what it started, and that is a record"):
    watch = d.watch("--records")
    hang = script("hang", 'sleep 1000 &\necho $! > "%s/pid.new"\nmv "%s/pid.new" "%s/pid"\nwait\n'.replace("%s", done))
    write_file(file("a.promise"), promise("slow", "probe:0:value < 3", 'on broken run "%s" timeout 200ms' % hang))
    d.wait_promise("b.slow", "kept")
    set_value(9)
    wait_for("the action", lambda: os.path.exists(done + "/pid"), alive=d)
    with open(done + "/pid") as f:
        pid = int(f.read())

    def gone():
        try:
            with open("/proc/%d/stat" % pid) as f:
                return f.read().rsplit(")", 1)[1].split()[0] == "Z"
        except OSError:
            return True
    wait_for("the program to be killed", gone)
    watch.wait("the record", lambda x: x["kind"] == "record" and x["subject"] == "b.slow" and x["fields"].get("program") == hang)
    watch.end()
    set_value(1)

with suite.check("what a program writes is in its record; it runs in a session of its own, with limits, without kithd's descriptors"):
    watch = d.watch("--records")
    say = script("say", 'echo "core $(ulimit -c) files $(ulimit -n) cpu $(ulimit -t)"\n'
                 'echo "session $(cut -d" " -f6 /proc/$$/stat) $$"\nls /proc/$$/fd | tr "\\n" " "\nprintf "\\033[1mred\\377"\n')
    write_file(file("a.promise"), promise("says", "probe:0:value < 3", 'on broken run "%s" timeout 7s' % say))
    d.wait_promise("b.says", "kept")
    set_value(9)
    record = watch.wait("the record", lambda x: x["kind"] == "record" and x["subject"] == "b.says")
    lines = record["fields"]["output"].splitlines()
    assert lines[0] == "core 0 files 1024 cpu 9" or lines[0] == "core 0 files 1024 cpu 8", lines
    assert len(set(lines[1].split()[1:])) == 1, lines
    # The shell has its script open, and nothing else.
    assert " [1mred?" in lines[2] and len([x for x in lines[2].split() if x.isdigit()]) <= 4, lines
    watch.end()
    set_value(1)

with suite.check("what was open in the shell that started kithd is closed to what it runs"):
    starter = script("starter", "exec 8</dev/null 9</dev/null\nexec %s \"$@\"\n" % KITHD)
    listing = script("listing", "ls /proc/self/fd >%s\n" % os.path.join(done, "fds"))
    with suite.daemon(conf=conf, plugins=(plugins,), program=starter,
                      promises={"a.promise": promise("fds", "probe:0:value < 0", 'on broken run "%s"' % listing)}):
        fds = wait_for("the action", lambda: os.path.exists(os.path.join(done, "fds")) and open(os.path.join(done, "fds")).read().split())
        assert "8" not in fds and "9" not in fds, fds

with suite.check("more than its record takes is cut, and the program is not held up by it"):
    watch = d.watch("--records")
    chatter = script("chatter", "head -c 300000 /dev/zero | tr '\\0' x\nexit 3\n")
    write_file(file("a.promise"), promise("chats", "probe:0:value < 3", 'on broken run "%s"' % chatter))
    d.wait_promise("b.chats", "kept")
    set_value(9)
    record = watch.wait("the record", lambda x: x["kind"] == "record" and x["subject"] == "b.chats")
    assert record["message"].endswith("failed with exit status 3"), record
    assert record["fields"]["output"] == "x" * 4096 + " …", record["fields"]["output"][-80:]
    watch.end()
    set_value(1)

if os.geteuid() == 0:
    with suite.check("as a user: with its numbers, groups and home; one that there is not is said"):
        watch = d.watch("--records")
        os.chmod(place, 0o755)
        who = script("who", 'echo "$(id -u) $(id -g) $(id -G) $HOME $USER"\n')
        write_file(file("a.promise"), promise("by", "probe:0:value < 3", 'on broken run "%s" as nobody' % who))
        d.wait_promise("b.by", "kept")
        set_value(9)
        record = watch.wait("the record", lambda x: x["kind"] == "record" and x["subject"] == "b.by")
        assert record["fields"]["output"] == "65534 65534 65534 /nonexistent nobody", record
        set_value(1)
        write_file(file("a.promise"), promise("nobody", "probe:0:value < 3", 'on broken run "%s" as no-such-user' % who))
        d.wait_promise("b.nobody", "kept")
        set_value(9)
        record = watch.wait("the record", lambda x: x["kind"] == "record" and x["subject"] == "b.nobody")
        assert record["fields"]["output"] == "there is no user no-such-user", record
        assert record["message"].endswith("exit status 127"), record
        watch.end()
        set_value(1)

with suite.check("no more than max_actions run at a time: the others wait, and run when it is their turn"):
    write_file(d.conf, conf + "max_actions = 2\n")
    d.wait_log("configuration read")
    before = len(d.lines("configuration read"))
    turn = script("turn", 'echo start >> "%s/turns"\nsleep 0.2\n' % done)
    body = "".join("    promise p%d {\n promiser probe:0\n keep probe:0:value < 3\n on broken run \"%s\"\n }\n" % (i, turn) for i in range(6))
    write_file(file("a.promise"), "bundle b {\n%s}\n" % body)
    d.wait_promise("b.p5", "kept")
    set_value(9)
    wait_for("all of them", lambda: os.path.exists(done + "/turns") and open(done + "/turns").read() == "start\n" * 6, alive=d)
    set_value(1)
    write_file(d.conf, conf)
    wait_for("the old configuration", lambda: len(d.lines("configuration read")) > before, alive=d)

with suite.check("a program that is not there is a record, and nothing else happens"):
    watch = d.watch("--records")
    write_file(file("a.promise"), promise("missing", "probe:0:value < 3", 'on broken run "/nonexistent/program"'))
    d.wait_promise("b.missing", "kept")
    set_value(9)
    watch.wait("the record", lambda x: x["kind"] == "record" and x["subject"] == "b.missing")
    d.wait_promise("b.missing", "broken")
    watch.end()
    set_value(1)

with suite.check("what runs when the daemon ends, ends with it"):
    os.remove(done + "/pid")
    stay = script("stay", 'sleep 1000 &\necho $! > "%s/pid.new"\nmv "%s/pid.new" "%s/pid"\nwait\n'.replace("%s", done))
    write_file(file("a.promise"), promise("stays", "probe:0:value < 3", 'on broken run "%s"' % stay))
    d.wait_promise("b.stays", "kept")
    set_value(9)
    wait_for("the action", lambda: os.path.exists(done + "/pid"), alive=d)
    with open(done + "/pid") as f:
        pid = int(f.read())
    d.stop()
    wait_for("the program to end", gone)

with suite.check("a file with a fault at the start leaves out itself alone, and says so"), \
        suite.daemon(conf="interval = 100ms\n", promises={
            "bad.promise": "bundle bad { promise p { promiser load keep load:1m > } }\n",
            "good.promise": "bundle good { promise p { promiser load keep load:1m >= 0 } }\n"}) as d:
    d.wait_promise("good.p", "kept")
    assert d.promise("bad.p") is None
    assert len(d.lines(r"bad\.promise:1:\d+: ")) == 1 and len(d.lines("are left out, 1 promises are held")) == 1, d.log()

suite.end()
