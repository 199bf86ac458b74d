#!/usr/bin/python3
"""Whole trees by fanotify, as the real daemon sees them: on file systems of the test's own."""
import os
import re
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from kerneltest import Stopped, cpu_ns, namespaces, run  # noqa: E402
from kithtest import PLUGINS, Skip, Suite, sanitized, wait_for  # noqa: E402

namespaces("mount")
run("mount", "--make-rprivate", "/")
suite = Suite()
top = suite.folder()
run("mount", "-t", "tmpfs", "kith-test", top)
plugins = suite.folder()
shutil.copy(os.path.join(PLUGINS, "file.so"), plugins)
shutil.copy(os.path.join(PLUGINS, "load.so"), plugins)
folders = 0


def folder(name=""):
    global folders
    folders += 1
    path = "%s/%d%s" % (top, folders, name)
    os.mkdir(path)
    return path


def daemon(*trees, promises=None, more="", user=False, program=None, place=plugins, interval="1s"):
    conf = "interval = %s\nplugin file { trees = [%s]; %s }\n" % (interval, ", ".join('"%s"' % t for t in trees), more)
    d = suite.daemon(conf=conf, plugins=(place,), promises=promises, user=user, **({"program": program} if program else {}))
    return d


def watched(d, tree):
    """It is watched; where this host does not permit that, the check is skipped"""
    wait_for("the state of " + tree, lambda: d.value("tree:%s:state" % tree), alive=d)
    if d.value("tree:%s:state" % tree) == "refused":
        raise Skip("fanotify is not permitted here: %s" % d.plugin("file")[0]["reason"])
    return d


def counts(d, tree):
    return {n: d.value("tree:%s:%s" % (tree, n)) for n in ("created", "changed", "removed", "renamed", "lost")}


def wait_counts(d, tree, **wanted):
    wanted = dict({"created": 0, "changed": 0, "removed": 0, "renamed": 0, "lost": 0}, **wanted)
    try:
        wait_for("the counts", lambda: counts(d, tree) == wanted, alive=d)
    except AssertionError:
        raise AssertionError("%s: %s, not %s" % (tree, counts(d, tree), wanted))


def change(tree, what, path):
    return lambda x: x["kind"] == "record" and x["subject"] == "tree:" + tree and x["fields"].get("change") == what and x["fields"]["path"] == path


def plain(path, text="one\n"):
    with open(path, "w") as f:
        f.write(text)
    return path


with suite.check("nobody names a tree: fanotify is not open"), daemon() as d:
    d.wait_plugin("file", "running")
    assert not [x for x in os.listdir("/proc/%d/fd" % d.process.pid) if "fanotify" in os.readlink("/proc/%d/fd/%s" % (d.process.pid, x))]

with suite.check("created, changed, replaced, renamed, removed, another mode: counted, and recorded with who did it"):
    tree = folder()
    os.makedirs(tree + "/a/b/c")
    with daemon(tree) as d:
        watched(d, tree)
        w = d.watch("--records")
        plain(tree + "/a/b/c/file")
        r = w.wait("the creation", change(tree, "created", tree + "/a/b/c/file"))
        name = open("/proc/self/comm").read().strip()
        assert r["fields"]["pid"] == str(os.getpid()) and r["fields"]["program"] == name and r["fields"]["size"] == "4", r
        assert r["message"] == "%s/a/b/c/file was created by %s (%d)" % (tree, name, os.getpid()), r
        wait_counts(d, tree, created=1, changed=1)
        with open(tree + "/a/b/c/file", "a") as f:
            f.write("two\n")
        w.wait("the change", change(tree, "changed", tree + "/a/b/c/file"))
        wait_counts(d, tree, created=1, changed=2)  # told too: what comes now is a record of its own
        os.chmod(tree + "/a/b/c/file", 0o4711)
        r = w.wait("the mode", change(tree, "attributes", tree + "/a/b/c/file"))
        assert r["fields"]["mode"] == "4711", r
        plain(tree + "/a/b/tmp", "new")
        os.rename(tree + "/a/b/tmp", tree + "/a/b/c/file")
        r = w.wait("the replacement", lambda x: x["kind"] == "record" and x["fields"].get("path") == tree + "/a/b/c/file" and
                   x["fields"]["change"] in ("replaced", "renamed"))
        assert r["fields"]["change"] == "replaced" or r["fields"]["from"] == tree + "/a/b/tmp", r
        os.rename(tree + "/a/b/c/file", tree + "/a/moved")
        r = w.wait("the renaming", change(tree, "renamed", tree + "/a/moved"))
        assert r["fields"]["from"] == tree + "/a/b/c/file", r
        os.link(tree + "/a/moved", tree + "/a/link")
        w.wait("the link", change(tree, "created", tree + "/a/link"))
        os.unlink(tree + "/a/moved")
        w.wait("the removal", change(tree, "removed", tree + "/a/moved"))
        wait_counts(d, tree, created=3, changed=3, renamed=2, removed=1)
        assert d.value("tree:%s:last" % tree) > 1.7e9
        w.end()

with suite.check("what happens beside the trees is not told; a tree within a tree; a promise names one"):
    tree, beside = folder(), folder()
    os.makedirs(tree + "/in/ner")
    os.mkdir(tree + "x")
    promise = {"t.promise": 'bundle t { promise still { promiser tree:%s/in\nkeep tree:%s/in:changed == 0 and tree:%s/in:state == "watched" } }' % ((tree,) * 3)}
    with daemon(tree, promises=promise) as d:
        watched(d, tree)
        d.wait_promise("t.still", "kept")
        plain(beside + "/f"), plain(tree + "x/f"), plain(top + "/f")
        plain(tree + "/f")
        wait_counts(d, tree, created=1, changed=1)
        wait_counts(d, tree + "/in")
        plain(tree + "/in/ner/f")
        d.wait_promise("t.still", "broken")
        wait_counts(d, tree + "/in", created=1, changed=1)
        wait_counts(d, tree, created=2, changed=2)

with suite.check("directories moved: within, in and out; what is in them has its new path, or is no longer told"):
    tree, beside = folder(), folder()
    os.makedirs(tree + "/one/deep")
    os.makedirs(beside + "/other/deep")
    with daemon(tree) as d:
        watched(d, tree)
        w = d.watch("--records")
        plain(tree + "/one/deep/f")
        w.wait("it", change(tree, "created", tree + "/one/deep/f"))
        os.rename(tree + "/one", tree + "/two")
        plain(tree + "/two/deep/g")
        w.wait("the new path", change(tree, "created", tree + "/two/deep/g"))
        # Until the kernel leaves it out
        for i in range(100):
            plain(beside + "/other/deep/%d" % i)
            if i % 20 == 0:
                d.get("load:*")
        os.rename(beside + "/other", tree + "/other")
        r = w.wait("it came", change(tree, "created", tree + "/other"))
        plain(tree + "/other/deep/h")
        w.wait("what is in it", change(tree, "created", tree + "/other/deep/h"))
        os.rename(tree + "/two", beside + "/two")
        w.wait("it went", change(tree, "removed", tree + "/two"))
        plain(beside + "/two/deep/i")
        plain(tree + "/end")
        w.wait("the end", change(tree, "created", tree + "/end"))
        wait_counts(d, tree, created=5, changed=4, renamed=1, removed=1)
        w.end()

with suite.check("odd names: new lines, UTF-8, bytes that are none, a name that looks deleted, 255 bytes"):
    tree = folder(" of \n\u00e4 (deleted)")
    text = tree.replace("\n", "\\012")
    with daemon(tree.replace("\n", "\\n")) as d:
        watched(d, text)
        w = d.watch("--records")
        names = {b"new\nline": "new\\012line", "\u00e4 b".encode(): "\u00e4 b", b"\xff\xc3": "\\377\\303", b"back\\012": "back\\134012",
                 b"gone (deleted)": "gone (deleted)", b"n" * 255: "n" * 255}
        for raw, name in names.items():
            os.close(os.open(os.path.join(tree.encode(), raw), os.O_CREAT | os.O_WRONLY))
            w.wait(name, change(text, "created", text + "/" + name))
        os.mkdir(tree + "/d (deleted)")
        plain(tree + "/d (deleted)/f")
        w.wait("in a directory", change(text, "created", text + "/d (deleted)/f"))
        w.end()

with suite.check("rm -r: every file that goes is counted, though its directory is gone when its event is read"):
    tree = folder()
    for i in range(10):
        os.makedirs("%s/top/%d/deep" % (tree, i))
        for k in range(20):
            plain("%s/top/%d/deep/%d" % (tree, i, k))
    with daemon(tree) as d:
        watched(d, tree)
        with Stopped(d.process.pid):
            shutil.rmtree(tree + "/top")
        wait_counts(d, tree, removed=221)

with suite.check("the tree comes, goes and comes again; so does what leads to it"):
    place = folder()
    tree = place + "/not/yet"
    with daemon(tree) as d:
        watched(d, tree)
        assert d.value("tree:%s:state" % tree) == "missing"
        for _ in range(2):
            os.makedirs(tree)
            d.wait_series("tree:%s:state" % tree, lambda v: v == "watched")
            before = d.value("tree:%s:changed" % tree)
            plain(tree + "/f")
            d.wait_series("tree:%s:changed" % tree, lambda v: v == before + 1)
            shutil.rmtree(place + "/not")
            d.wait_series("tree:%s:state" % tree, lambda v: v == "missing")
        os.makedirs(place + "/elsewhere/yet")
        os.rename(place + "/elsewhere", place + "/not")
        d.wait_series("tree:%s:state" % tree, lambda v: v == "watched")
        os.rename(place + "/not", place + "/away")
        d.wait_series("tree:%s:state" % tree, lambda v: v == "missing")

with suite.check("mounted over, unmounted while it is watched, a file system below; ext4 of its own"):
    tree = folder()
    os.mkdir(tree + "/m")
    with daemon(tree) as d:
        watched(d, tree)
        run("mount", "-t", "tmpfs", "below", tree + "/m")
        base = d.value("tree:%s:changed" % tree)

        def until_seen(path, name="tree:%s:changed" % tree):
            """What is mounted is marked soon after"""
            before = d.value(name)
            wait_for("a change to be seen", lambda: plain(path) and (time.sleep(0.05) or d.value(name) > before), alive=d)
        until_seen(tree + "/m/f")
        run("umount", tree + "/m")
        image = top + "/image"
        with open(image, "wb") as f:
            f.truncate(8 << 20)
        made = shutil.which("mkfs.ext4", path=os.environ["PATH"] + ":/sbin:/usr/sbin")
        if made and subprocess.run([made, "-q", image]).returncode == 0 and \
                subprocess.run(["mount", "-o", "loop", image, tree + "/m"], capture_output=True).returncode == 0:
            until_seen(tree + "/m/f")
            w = d.watch("--records")
            os.mkdir(tree + "/m/d")
            plain(tree + "/m/d/g")
            w.wait("on ext4", change(tree, "created", tree + "/m/d/g"))
            os.rename(tree + "/m/d/g", tree + "/m/h")
            w.wait("renamed", lambda x: x["kind"] == "record" and x["fields"].get("path") == tree + "/m/h")
            w.end()
            run("umount", tree + "/m")
        # The tree itself
        run("mount", "-t", "tmpfs", "over", tree)
        until_seen(tree + "/f")
        run("umount", tree)
        until_seen(tree + "/f")
        assert d.value("tree:%s:state" % tree) == "watched"
        for fd in os.listdir("/proc/%d/fd" % d.process.pid):
            assert not os.readlink("/proc/%d/fd/%s" % (d.process.pid, fd)).startswith(top), "it would keep a file system from being unmounted"

with suite.check("a file system that announces nothing is refused, with the reason; the rest goes on"):
    tree = folder()
    with daemon("/proc/sys", tree) as d:
        watched(d, tree)
        d.wait_series("tree:/proc/sys:state", lambda v: v == "refused")
        wait_for("the note", lambda: "the tree /proc/sys is not watched: its file system" in (d.plugin("file")[0]["reason"] or ""))
        plain(tree + "/f")
        wait_counts(d, tree, created=1, changed=1)

with suite.check("as nobody: refused with the reason; files are watched as before"):
    if os.geteuid() != 0:
        raise Skip("only root can become nobody")
    tree = folder()
    public = suite.public()
    with daemon(tree, more='paths = ["%s/f"];' % tree, user=True, program=public + "/kithd", place=public + "/plugins") as d:
        d.wait_series("tree:%s:state" % tree, lambda v: v == "refused")
        wait_for("the note", lambda: "fanotify needs CAP_SYS_ADMIN" in (d.plugin("file")[0]["reason"] or ""))
        d.wait_series("file:%s/f:exists" % tree, lambda v: v == "no")
        plain(tree + "/f")
        d.wait_series("file:%s/f:exists" % tree, lambda v: v == "yes")
        assert d.plugin("file")[0]["state"] == "running"

STORM = """
import os, sys
for i in range(int(sys.argv[2])):
    p = "%s/%d/f%d" % (sys.argv[1], i % 50, i % 997)
    os.close(os.open(p, os.O_CREAT | os.O_WRONLY))
    if i % 5 == 4:
        os.rename(p, p + "x")
"""

with suite.check("100,000 changes: memory stays, samples go on, all of them counted or the loss said, the end exact"):
    tree = folder()
    for i in range(50):
        os.mkdir("%s/%d" % (tree, i))
    with daemon(tree, interval="100ms") as d:
        watched(d, tree)
        storm = 5000 if sanitized() else 100000

        def calls(d):
            return next(c["calls"] for c in d.kith("cost")[1] if c["name"] == "load")

        def blow(n):
            run(sys.executable, "-c", STORM, tree, str(n))
        blow(2000)
        wait_for("it to be over", lambda: d.value("tree:%s:renamed" % tree) == 400, alive=d)
        d.get("tree:*"), d.get("load:*")
        before, changed, rounds = d.holds()["anonymous"], d.value("tree:%s:changed" % tree), calls(d)
        cpu = cpu_ns(d.process.pid)
        blow(storm)
        d.wait_series("tree:%s:renamed" % tree, lambda v: v == 400 + storm / 5 or d.value("tree:%s:lost" % tree) > 0)
        assert calls(d) > rounds, "no sample was taken meanwhile"
        c = counts(d, tree)
        print("# %d changes: counted %d, lost %d times, %.1f us of kithd's CPU each" %
              (storm, c["changed"] - changed, c["lost"], (cpu_ns(d.process.pid) - cpu) / 1000 / storm))
        # And again while it cannot read: the kernel's queue overflows.
        w = d.watch("--records")
        with Stopped(d.process.pid):
            blow(20000)
        w.wait("the loss", lambda x: x["kind"] == "record" and x["subject"] == "tree:" + tree and "dropped events" in x["message"])
        w.wait("the rest as a number", lambda x: x["kind"] == "record" and x["fields"].get("change") == "many")
        w.end()
        lost = d.value("tree:%s:lost" % tree)
        assert lost >= 1
        # What happens after it is counted again, to the last one.
        c = counts(d, tree)
        for i in range(40):
            plain("%s/%d/after" % (tree, i))
        wait_counts(d, tree, created=c["created"] + 40, changed=c["changed"] + 40, removed=c["removed"], renamed=c["renamed"], lost=lost)
        after = d.holds()["anonymous"]
        print("# anonymous memory %d KiB before, %d after" % (before, after))
        assert sanitized() or after - before < 1024, (before, after)
        assert d.plugin("load")[0]["state"] == "running" and not d.lines("file: stopped|over its budget")

with suite.check("much happens elsewhere on the file system: the kernel is asked to leave that out"):
    tree, noise = folder(), folder()
    os.mkdir(noise + "/spool")
    with daemon(tree) as d:
        watched(d, tree)

        def marks():
            for fd in os.listdir("/proc/%d/fdinfo" % d.process.pid):
                with open("/proc/%d/fdinfo/%s" % (d.process.pid, fd)) as f:
                    text = f.read()
                if "fanotify flags" in text:
                    return len(re.findall("^fanotify ino:", text, re.M))
        wait_for("marks", lambda: marks() == 0 if marks() is not None else False)
        for i in range(100):
            plain("%s/spool/%d" % (noise, i))
        wait_for("the kernel to leave it out", lambda: marks() == 1, alive=d)
        cpu = cpu_ns(d.process.pid)
        for i in range(2000):
            plain("%s/spool/%d" % (noise, i))
        print("# 2,000 files made in a folder that is left out: %.2f ms of kithd's CPU" % ((cpu_ns(d.process.pid) - cpu) / 1e6))
        plain(tree + "/f")
        wait_counts(d, tree, created=1, changed=1)

for _ in range(5):
    subprocess.run(["umount", "-l", top], capture_output=True)
suite.end()
