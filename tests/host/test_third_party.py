#!/usr/bin/python3
"""A third party's plugin: the template that is installed, built outside the tree against what is installed, dropped in, used in a
promise, replaced by a newer build, and removed; again and again, while nothing leaks and no other plugin misses a sample."""
import datetime
import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from kithtest import BUILD, PLUGINS, Suite, compiler, install, sanitized, scale, wait_for  # noqa: E402

CYCLES = int(os.environ.get("KITH_TEST_CYCLES") or (50 if sanitized() else scale(200, 100)))
WARM_UP = 10
INTERVAL = 0.5  # seconds

suite = Suite()
stage = suite.folder()
work = suite.folder()


def without_make():
    return {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "DESTDIR")}


def find(name):
    return next(os.path.join(d, name) for d, _, files in os.walk(stage) if name in files)


def pkg_config(*args):
    env = dict(without_make(), PKG_CONFIG_PATH=os.path.dirname(find("kith.pc")), PKG_CONFIG_SYSROOT_DIR=stage)
    return subprocess.run(["pkg-config", *args, "kith"], env=env, check=True, capture_output=True, text=True).stdout.split()


def build(version):
    out = os.path.join(work, "mine-%s.so" % version)
    subprocess.run([*compiler(), *pkg_config("--cflags"), "-Wall", "-Wextra", "-Werror", "-O1", "-g",
                    '-DMINE_VERSION="%s"' % version, "-shared", "-fPIC", "-o", out, find("template.c")], check=True)
    return out


def exported(path):
    out = subprocess.run(["nm", "-D", "--defined-only", path], check=True, capture_output=True, text=True).stdout
    return [x.split()[-1] for x in out.splitlines() if not x.split()[-1].startswith(("__asan", "__odr", "__ubsan"))]


with suite.check("the template and its header are installed, and build outside the tree"):
    # What `make install` does for a third party; no program is needed here.
    subprocess.run(["make", "-s", "-C", BUILD, "install-kithincludeHEADERS", "install-pkgconfigDATA",
                    "install-dist_templateDATA", "DESTDIR=" + stage], check=True, env=without_make(), stdout=subprocess.DEVNULL)
    old, new = build("1.0"), build("2.0")

with suite.check("the descriptor is its only visible symbol"):
    assert exported(old) == ["kith_plugin"], exported(old)

with suite.check("the template's Makefile builds it too, and says where it goes"):
    copy = os.path.join(work, "template")
    shutil.copytree(os.path.dirname(find("template.c")), copy)
    env = dict(without_make(), PKG_CONFIG_PATH=os.path.dirname(find("kith.pc")), PKG_CONFIG_SYSROOT_DIR=stage,
               CC=compiler()[0])
    target = os.path.join(work, "target")
    subprocess.run(["make", "-s", "-C", copy, "install", "DESTDIR=" + target], check=True, env=env)
    assert any("mine.so" in files and d.endswith("/kith") for d, _, files in os.walk(target)), list(os.walk(target))

with suite.check("plugin.h is clean in C99 and C++11"):
    for language, standard in (("c", "-std=c99"), ("c++", "-std=c++11")):
        if language == "c++" and not shutil.which("c++"):
            continue
        subprocess.run(["cc" if language == "c" else "c++", "-x", language, standard, "-pedantic", "-Wall", "-Wextra", "-Werror",
                        "-fsyntax-only", *pkg_config("--cflags"), "-"], check=True, text=True,
                       input="#include <kith/plugin.h>\n")

folder = suite.folder()
watched = suite.folder()
promise = """bundle third {
    promise there {
        promiser  mine:%s
        keep      mine:%s:state == "present" and mine:%s:files < 10
    }
}
""" % (watched, watched, watched)
conf = "interval = %dms\nplugin mine { folders = [\"%s\"] }\n" % (INTERVAL * 1000, watched)
# What these hold open goes by what other tests do to the host meanwhile.
conf += "".join("plugin %s { enabled = false }\n" % x for x in ("cgroup", "device", "kmsg", "service"))
d = suite.daemon(conf=conf, plugins=(PLUGINS, folder), promises={"third.promise": promise},
                 env={"ASAN_OPTIONS": "exitcode=99:detect_leaks=1:quarantine_size_mb=1"}).start()
path = os.path.join(folder, "mine.so")


def drop(source, number):
    """Renamed in and copied in turn"""
    if number % 2:
        install(source, path)
    else:
        shutil.copyfile(source, path)


def wait_version(version):
    def look():
        found = d.plugin("mine")
        return found and found[0]["state"] == "running" and found[0]["version"] == version
    wait_for("version %s to run" % version, look, alive=d)


def cycle(number):
    drop(old, number)
    wait_version("1.0")
    d.wait_promise("third.there", "kept")
    drop(new, number // 2)
    wait_version("2.0")
    d.wait_promise("third.there", "kept")
    os.remove(path)
    d.wait_no_plugin("mine")
    d.wait_promise("third.there", "unknown")


def gaps(lines):
    """Times of samples as numbers of their interval: what is not followed by the next one"""
    names, found = {}, []
    for line in lines:
        if line.get("kind") == "sample":
            time = datetime.datetime.fromisoformat(line["time"].replace("Z", "+00:00")).timestamp()
            names.setdefault(line["name"], []).append(int((time + 0.01) / INTERVAL))
    for name, numbers in names.items():
        found += ["%s: %d missed after %d" % (name, b - a - 1, i)
                  for i, (a, b) in enumerate(zip(numbers, numbers[1:])) if b - a > 1]
    return names, found


watch = d.watch("--samples", "load:*")
before = None
with suite.check("dropped in, used in a promise, replaced by a newer build, removed: %d times" % CYCLES):
    watch.wait("the first sample", lambda x: x["kind"] == "sample")
    for n in range(CYCLES):
        if n == WARM_UP:
            before = d.holds()
        cycle(n)

after = d.holds() if d.process.poll() is None else {}
names, missed = gaps(watch.end())
print("# before %s, after %s, %d samples" % (before, after, sum(map(len, names.values()))))

with suite.check("no descriptor, no memory file and no mapping of a plugin is left over"):
    assert before and after
    assert after["memfds"] == before["memfds"] and after["plugin maps"] == before["plugin maps"], (before, after)
    assert after["fds"] == before["fds"], (before, after)
    assert after["maps"] <= before["maps"] + 4 or sanitized(), (before, after)

with suite.check("no memory is left over"):
    # With sanitizers memory that was freed is kept a while; what leaks is told at the end.
    assert before and (sanitized() or after["anonymous"] <= before["anonymous"] + 128), (before, after)

with suite.check("no sample of another plugin was missed"):
    assert set(names) == {"load:1m", "load:5m", "load:15m"}, set(names)
    assert not missed, missed[:10]

with suite.check("the log says of each that it went, and nothing is wrong"):
    assert len(d.lines("plugin mine is gone")) == CYCLES, len(d.lines("plugin mine is gone"))
    assert not d.lines("kithd: error"), d.lines("kithd: error")[:5]

with suite.check("a plugin that cannot be unmapped is replaced all the same"):
    sticky = os.path.join(work, "sticky.so")
    for version in ("3.0", "4.0"):
        subprocess.run([*compiler(), *pkg_config("--cflags"), "-Wl,-z,nodelete", '-DMINE_VERSION="%s"' % version, "-shared",
                        "-fPIC", "-o", sticky, find("template.c")], check=True)
        install(sticky, path)
        wait_version(version)
    os.remove(path)
    d.wait_no_plugin("mine")
    install(old, path)
    wait_version("1.0")

with suite.check("the daemon ends cleanly"):
    d.stop()

suite.end()
