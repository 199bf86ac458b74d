#!/usr/bin/python3
"""Plugins that kithd must not run: one clear line each, and the daemon goes on. Files that are written over while they run."""
import os
import shutil
import struct
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from kithtest import DEADLINE, PLUGINS, TEST_PLUGINS, Skip, Suite, install, wait_for, write_file  # noqa: E402

suite = Suite()
conf = "interval = 100ms\n"


def test_plugin(name):
    return os.path.join(TEST_PLUGINS, name + ".so")


def bytes_of(path):
    with open(path, "rb") as f:
        return f.read()


def machine_of_others(data):
    """The same file for another machine: e_machine, 2 bytes at 18"""
    return data[:18] + struct.pack("=H", 0xF3 if data[18:20] != b"\xf3\x00" else 0x3E) + data[20:]


folder = suite.folder()
d = suite.daemon(conf=conf, plugins=(PLUGINS, folder)).start()
probe = bytes_of(test_plugin("probe"))


def refused(what, name, says, content=None, state="refused"):
    """Drops the plugin in, looks at its line, its state and at the rest, takes it out again"""
    with suite.check(what):
        path = os.path.join(folder, name + ".so")
        write_file(path, bytes_of(test_plugin(name)) if content is None else content)
        p = d.wait_plugin(name, state)
        assert says in p["reason"], p["reason"]
        lines = d.lines(r"plugin %s: %s" % (name, state))
        assert len(lines) == 1 and says in lines[0] and path in lines[0], lines
        rounds = d.get("kith:wakeups")["kith:wakeups"]["time"]
        wait_for("the others to go on", lambda: d.get("kith:wakeups")["kith:wakeups"]["time"] > rounds, alive=d)
        os.remove(path)
        d.wait_no_plugin(name)


refused("a file that is no ELF file is refused", "text", "not an ELF file", b"#!/bin/sh\necho no plugin\n")
refused("an empty file is refused", "empty", "not an ELF file", b"")
refused("a plugin for another machine is refused", "alien", "another kind of machine", machine_of_others(probe))
refused("a program is refused", "program", "no shared object", probe[:16] + struct.pack("=H", 1) + probe[18:])
refused("a plugin without descriptor is refused", "odd_no_descriptor", "no symbol kith_plugin")
refused("a plugin of another major is refused", "odd_major", "another major")
refused("a plugin of a newer minor is refused", "odd_minor", "newer than this kithd's")
refused("a plugin with a short table is refused", "odd_short", "too short")
refused("a plugin that calls itself otherwise is refused", "odd_name", 'it calls itself "odd"')
refused("a plugin with an undefined symbol is refused, and the symbol named", "odd_undefined",
        "odd_function_that_nobody_has")
refused("a plugin whose init fails is refused with what it says", "odd_init_fails", "plug it in")
refused("a plugin that promises resync without having it is refused", "odd_no_resync", "resync")
refused("a need that nobody knows of skips the plugin", "odd_needs_unknown", "does not know of", state="skipped")
refused("a family that another plugin has is refused", "clash", "its family load is another plugin's already")
refused("a file that was not written to its end is refused", "probe", "half of a file", probe[:len(probe) // 2])
refused("a file whose end is still zeros is refused", "probe2", "half of a file",
        (lambda b: b[:len(b) // 2] + bytes(len(b) - len(b) // 2))(bytes_of(test_plugin("probe2"))))

with suite.check("a plugin that is written slowly runs when it is complete"):
    path = os.path.join(folder, "probe.so")
    with open(path, "wb") as f:
        f.write(probe[:4096])
        f.flush()
        p = d.wait_plugin("probe", "refused")
        assert "half of a file" in p["reason"], p
        f.write(probe[4096:])
    d.wait_plugin("probe", "running")
    d.wait_series("probe:0:value")

with suite.check("cp over the file of a running plugin: what runs goes on while the file is half there"):
    with open(path, "r+b") as f:
        f.truncate(0)
        f.write(probe[:5000])
        f.flush()
    p = wait_for("the refusal", lambda: (d.plugin("probe")[0]["reason"] and d.plugin("probe")[0]), alive=d)
    assert p["state"] == "running" and "goes on" in p["reason"] and "half of a file" in p["reason"], p
    rounds = d.value("probe:0:rounds")
    d.wait_series("probe:0:rounds", lambda v: v > rounds)
    with open(path, "r+b") as f:
        f.write(probe)
    p = wait_for("the new file", lambda: (not d.plugin("probe")[0]["reason"] and d.plugin("probe")[0]), alive=d)
    assert p["state"] == "running", p

with suite.check("cp over the file of a running plugin, 50 times in a row"):
    starts = len(d.lines("kithd: error"))
    for _ in range(50):
        shutil.copyfile(test_plugin("probe"), path)
    d.wait_plugin("probe", "running")
    d.wait_series("probe:0:rounds")
    assert len(d.lines("kithd: error")) == starts, d.lines("kithd: error")
    os.remove(path)
    d.wait_no_plugin("probe")

with suite.check("of two folders with one name the first wins; when it goes, the second takes over"):
    other = suite.folder()
    with suite.daemon(conf=conf, plugins=(folder, other)) as two:
        install(test_plugin("probe"), os.path.join(folder, "probe.so"))
        two.wait_plugin("probe", "running")
        install(test_plugin("probe"), os.path.join(other, "probe.so"))
        wait_for("the duplicate", lambda: len(two.plugin("probe")) == 2, alive=two)
        states = {p["file"]: (p["state"], p["reason"]) for p in two.plugin("probe")}
        assert states[os.path.join(folder, "probe.so")][0] == "running", states
        state, reason = states[os.path.join(other, "probe.so")]
        assert state == "refused" and reason.startswith("duplicate"), states
        assert len(two.lines("duplicate")) == 1, two.lines("duplicate")
        os.remove(os.path.join(folder, "probe.so"))
        wait_for("the second to take over", lambda: [p["state"] for p in two.plugin("probe")] == ["running"], alive=two)
        assert two.plugin("probe")[0]["file"] == os.path.join(other, "probe.so")
        two.wait_series("probe:0:value")

with suite.check("a name that is none is refused"):
    path = os.path.join(folder, "odd-name.so")
    install(test_plugin("odd_name"), path)
    assert "[a-z0-9_]" in d.wait_plugin("odd-name", "refused")["reason"]
    os.remove(path)
    d.wait_no_plugin("odd-name")

with suite.check("a busy folder does not hold a plugin off"):
    busy = os.path.join(folder, "busy.so")
    end, done = time.monotonic() + DEADLINE, False
    install(test_plugin("probe"), os.path.join(folder, "probe.so"))
    while not done and time.monotonic() < end:
        write_file(busy, b"busy")
        time.sleep(0.02)
        done = any(p["state"] == "running" for p in d.plugin("probe"))
    assert done, "never loaded"
    for name in ("busy", "probe"):
        os.remove(os.path.join(folder, name + ".so"))
        d.wait_no_plugin(name)

with suite.check("a name that kithd itself has is a duplicate"):
    install(test_plugin("probe"), os.path.join(folder, "kith.so"))
    wait_for("the duplicate", lambda: len(d.plugin("kith")) == 2, alive=d)
    assert d.plugin("kith")[1]["reason"].startswith("duplicate"), d.plugin("kith")
    os.remove(os.path.join(folder, "kith.so"))
    wait_for("it to go", lambda: len(d.plugin("kith")) == 1, alive=d)

with suite.check("a folder that is not there yet, goes and comes again"):
    late = os.path.join(suite.folder(), "late")
    with suite.daemon(conf=conf, plugins=(late,)) as two:
        for _ in range(2):
            os.mkdir(late)
            install(test_plugin("probe"), os.path.join(late, "probe.so"))
            two.wait_plugin("probe", "running")
            shutil.rmtree(late)
            two.wait_no_plugin("probe")

with suite.check("a link to a plugin is a plugin; turned to another file it is replaced"):
    store, place = suite.folder(), suite.folder()
    for name in ("probe", "probe2"):
        install(test_plugin(name), os.path.join(store, name))
    with suite.daemon(conf=conf, plugins=(place,)) as two:
        os.symlink(os.path.join(store, "probe2"), os.path.join(place, "probe.so"))
        assert 'calls itself "probe2"' in two.wait_plugin("probe", "refused")["reason"]
        os.symlink(os.path.join(store, "probe"), os.path.join(place, ".new"))
        os.rename(os.path.join(place, ".new"), os.path.join(place, "probe.so"))
        two.wait_plugin("probe", "running")
        os.remove(os.path.join(place, "probe.so"))
        two.wait_no_plugin("probe")

with suite.check("what runs is mapped from a copy in memory; with KITH_PLUGIN_DIRECT from the file"):
    place = suite.folder()
    install(test_plugin("probe"), os.path.join(place, "probe.so"))
    for env, want in (({}, "memfd:kith-probe.so"), ({"KITH_PLUGIN_DIRECT": "1"}, os.path.join(place, "probe.so"))):
        with suite.daemon(conf=conf, plugins=(place,), env=env) as two:
            two.wait_plugin("probe", "running")
            with open("/proc/%d/maps" % two.process.pid) as f:
                maps = f.read()
            assert want in maps, maps
            assert ("memfd:kith-probe.so" in maps) == (not env), maps

with suite.check("a plugin that needs what is not granted is skipped with the reason"):
    if os.geteuid() != 0:
        raise Skip("needs root to give up root")
    place = suite.folder()
    install(test_plugin("odd_needs"), os.path.join(place, "odd_needs.so"))
    public = suite.public()
    with suite.daemon(conf=conf, plugins=(place,), user=True, program=os.path.join(public, "kithd")) as u:
        p = u.wait_plugin("odd_needs", "skipped")
        assert "CAP_SYS_PTRACE" in p["reason"], p

with suite.check("after all of it the daemon ends cleanly"):
    d.stop(within=DEADLINE)

suite.end()
