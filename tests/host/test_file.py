#!/usr/bin/python3
"""Files and directories, as the real daemon sees them."""
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from kithtest import PLUGINS, Skip, Suite, sanitized, wait_for, write_file  # noqa: E402

suite = Suite()
plugins = suite.folder()
shutil.copy(os.path.join(PLUGINS, "file.so"), plugins)


def conf(**options):
    def text(v):
        return '"%s"' % v if isinstance(v, str) else str(v).lower() if isinstance(v, bool) else "[" + ", ".join('"%s"' % x for x in v) + "]" if isinstance(v, (list, tuple)) else str(v)
    return "interval = 1s\nplugin file {\n%s}\n" % "".join("    %s = %s\n" % (k, text(v)) for k, v in options.items())


def daemon(promises=None, user=False, **options):
    return suite.daemon(conf=conf(**options), plugins=(plugins,), promises=promises, user=user)


def plain(path, text="one\n", mode=0o644):
    with open(path, "w") as f:
        f.write(text)
    os.chmod(path, mode)
    return path


def change(name, what):
    return lambda x: x["kind"] == "record" and x["subject"] == "file:" + name and x["fields"].get("change") == what


def least(n):
    return lambda v: v is not None and v >= n


with suite.check("nobody names a file: it runs, watches nothing"), daemon() as d:
    assert d.wait_plugin("file", "running")["series"] == 0
    for fd in os.listdir("/proc/%d/fd" % d.process.pid):
        path = "/proc/%d/fdinfo/%s" % (d.process.pid, fd)
        try:
            assert plugins not in open(path).read()
        except FileNotFoundError:
            pass
    with open("/proc/%d/maps" % d.process.pid) as f:
        assert "libmd.so" not in f.read(), "nobody asked for a digest"

with suite.check("what a promise names is looked at: mode, owner, size; it breaks and is kept again; records say what changed"):
    place = suite.folder()
    path = plain(place + "/passwd")
    promise = """bundle f { promise mode { promiser file:%s
        keep file:%s:mode == 644 and file:%s:owner == 0 and file:%s:exists == "yes" } }""" % ((path,) * 4)
    with daemon({"f.promise": promise}) as d:
        d.wait_promise("f.mode", "kept")
        watch = d.watch("--records")
        os.chmod(path, 0o4666)
        d.wait_promise("f.mode", "broken")
        assert d.value("file:%s:mode" % path) == 4666
        r = watch.wait("the record", change(path, "mode"))
        assert r["fields"]["mode"] == "4666" and r["fields"]["mode_before"] == "0644" and "its mode changed" in r["message"], r
        os.chmod(path, 0o644)
        d.wait_promise("f.mode", "kept")
        os.chown(path, 1, 2)
        r = watch.wait("the owner's", change(path, "owner"))
        assert r["fields"]["owner"] == "1" and r["fields"]["group_before"] == "0", r
        d.wait_promise("f.mode", "broken")
        os.chown(path, 0, 0)
        d.wait_promise("f.mode", "kept")
        with open(path, "a") as f:
            f.write("two\n")
        d.wait_series("file:%s:size" % path, lambda v: v == 8)
        watch.wait("the content's", change(path, "changed"))
        write_file(path, "three\n")
        d.wait_series("file:%s:size" % path, lambda v: v == 6)
        watch.wait("the replacement's", change(path, "replaced"))
        os.unlink(path)
        watch.wait("the removal's", change(path, "removed"))
        d.wait_series("file:%s:exists" % path, lambda v: v == "no")
        assert d.value("file:%s:size" % path) is None, "what is gone has no size"
        plain(path)
        watch.wait("the creation's", change(path, "created"))
        d.wait_promise("f.mode", "kept")
        watch.end()

with suite.check("a directory: entries and newest, itself removed and made again, its own mode"):
    place = suite.folder()
    folder = place + "/www"
    os.mkdir(folder)
    plain(folder + "/a")
    with daemon(paths=[folder + "/"]) as d:
        d.wait_series("file:%s:entries" % folder, lambda v: v == 1)
        assert d.value("file:%s:type" % folder) == "directory"
        for i in range(20):
            plain(folder + "/b%d" % i)
        d.wait_series("file:%s:entries" % folder, lambda v: v == 21)
        os.utime(folder + "/b3", (4e9, 4e9))
        d.wait_series("file:%s:newest" % folder, least(4e9))
        os.chmod(folder, 0o700)
        d.wait_series("file:%s:mode" % folder, lambda v: v == 700)
        shutil.rmtree(folder)
        d.wait_series("file:%s:exists" % folder, lambda v: v == "no")
        os.mkdir(folder)
        d.wait_series("file:%s:exists" % folder, lambda v: v == "yes")
        d.wait_series("file:%s:entries" % folder, lambda v: v == 0)
        plain(folder + "/c")
        d.wait_series("file:%s:entries" % folder, lambda v: v == 1)
        os.rename(folder, place + "/old")
        d.wait_series("file:%s:exists" % folder, lambda v: v == "no")
        plain(folder)
        d.wait_series("file:%s:type" % folder, lambda v: v == "file")

with suite.check("patterns: files are instances as soon as they appear, and end when they go; directories in between come and go"):
    place = suite.folder()
    plain(place + "/a.conf"), plain(place + "/b.txt"), plain(place + "/.hidden.conf")
    with daemon(paths=[place + "/*.conf", place + "/users/*/keys/auth*", place + "/users/*/rc"]) as d:
        d.wait_series("file:%s/a.conf:exists" % place)
        assert len(d.get("file:*:exists")) == 1, d.get("file:*:exists")
        watch = d.watch("--records")
        write_file(place + "/c.conf", "x")
        d.wait_series("file:%s/c.conf:size" % place, lambda v: v == 1)
        watch.wait("its record", change(place + "/c.conf", "created"))
        os.unlink(place + "/a.conf")
        wait_for("a.conf to end", lambda: not d.get("file:%s/a.conf:exists" % place))
        os.makedirs(place + "/users/eve/keys")
        plain(place + "/users/eve/keys/auth2")
        d.wait_series("file:%s/users/eve/keys/auth2:exists" % place)
        plain(place + "/users/eve/rc")
        d.wait_series("file:%s/users/eve/rc:exists" % place)
        os.makedirs(place + "/users/bob")
        plain(place + "/users/bob/rc", "12")
        d.wait_series("file:%s/users/bob/rc:size" % place, lambda v: v == 2)
        shutil.rmtree(place + "/users/eve")
        wait_for("eve's to end", lambda: not d.get("file:%s/users/eve*:exists" % place))
        shutil.rmtree(place + "/users")
        wait_for("all to end", lambda: list(d.get("file:*:exists")) == ["file:%s/c.conf:exists" % place])
        watch.end()

with suite.check("keep: what a pattern found stays with exists at no; a name that a promise gives stays always"):
    place = suite.folder()
    plain(place + "/a.conf")
    with daemon({"k.promise": "bundle k { promise p { promiser file:%s/none\nkeep file:%s/none:exists == \"no\" } }" % (place, place)},
                paths=[place + "/*.conf"], keep=True) as d:
        d.wait_promise("k.p", "kept")
        os.unlink(place + "/a.conf")
        d.wait_series("file:%s/a.conf:exists" % place, lambda v: v == "no")
        plain(place + "/none")
        d.wait_promise("k.p", "broken")

with suite.check("a promise over a pattern makes the instances"):
    place = suite.folder()
    plain(place + "/a.key", mode=0o600), plain(place + "/b.key", mode=0o600)
    with daemon({"k.promise": "bundle k { promise p { promiser file:%s/*.key\nkeep file:%s/*.key:mode == 600 } }" % (place, place)}) as d:
        d.wait_series("file:%s/b.key:mode" % place)
        plain(place + "/c.key", mode=0o640)
        wait_for("the promise on c.key to break", lambda: [p for p in d.kith("promises")[1] if p["promiser"].endswith("c.key") and
                                                           p["assessment"] == "broken"])
        assert [p for p in d.kith("promises")[1] if p["promiser"].endswith("b.key") and p["assessment"] == "kept"]

with suite.check("SHA-256: a record with the old and the new digest, the state; what it has to be"):
    place = suite.folder()
    a, b, gone = plain(place + "/a"), plain(place + "/b", "right"), place + "/gone"
    right = hashlib.sha256(b"right").hexdigest()
    with daemon(paths=[place + "/*"], sha256=[place + "/a"], expect=["%s  %s" % (right, b), "%s  %s" % (right, gone), "nonsense"]) as d:
        d.wait_series("file:%s:content" % a, lambda v: v == "same")
        d.wait_series("file:%s:content" % b, lambda v: v == "same")
        d.wait_series("file:%s:content" % gone, lambda v: v == "unreadable")
        assert d.lines("expect: \"nonsense\" is no line of sha256sum's"), d.log()
        watch = d.watch("--records")
        write_file(a, "two")
        d.wait_series("file:%s:content" % a, lambda v: v == "changed")
        r = watch.wait("its record", change(a, "content"))
        assert r["fields"]["sha256"] == hashlib.sha256(b"two").hexdigest() and r["fields"]["before"] == hashlib.sha256(b"one\n").hexdigest(), r
        write_file(a, "one\n")
        d.wait_series("file:%s:content" % a, lambda v: v == "same")
        write_file(b, "wrong")
        d.wait_series("file:%s:content" % b, lambda v: v == "changed")
        os.chmod(b, 0o600)
        plain(gone, "right")
        d.wait_series("file:%s:content" % gone, lambda v: v == "same")
        watch.end()
    with daemon(expect=["%s  %s" % (right, b)]) as d:
        d.wait_series("file:%s:content" % b, lambda v: v == "changed")

with suite.check("a file that changes all the time while it is read gets its digest when it is left alone"):
    place = suite.folder()
    path = plain(place + "/big", "")
    with open(path, "wb") as f:
        f.write(b"\0" * (24 << 20))
    with daemon(paths=[path], sha256=[path]) as d:
        for i in range(60):
            with open(path, "r+b") as f:
                f.write(b"%d" % i)
            d.get("file:*:changes")
        with open(path, "rb") as f:
            wanted = hashlib.sha256(f.read()).hexdigest()
        d.wait_series("file:%s:content" % path)
        watch = d.watch("--records")
        with open(path, "r+b") as f:
            f.write(b"the last")
        r = watch.wait("its record", change(path, "content"))
        assert r["fields"]["before"] == wanted, (wanted, r)
        watch.end()

with suite.check("symbolic links: what they lead to, and when that changes, moves or goes; not followed, themselves"):
    place = suite.folder()
    target, link = plain(place + "/target", mode=0o600), place + "/link"
    os.symlink("target", link)
    with daemon(paths=[link]) as d:
        d.wait_series("file:%s:mode" % link, lambda v: v == 600)
        os.chmod(target, 0o640)
        d.wait_series("file:%s:mode" % link, lambda v: v == 640)
        os.unlink(target)
        d.wait_series("file:%s:exists" % link, lambda v: v == "no")
        plain(target, "12345")
        d.wait_series("file:%s:size" % link, lambda v: v == 5)
        plain(place + "/other", "123456")
        os.symlink("other", place + "/new")
        os.rename(place + "/new", link)
        d.wait_series("file:%s:size" % link, lambda v: v == 6)
        os.symlink(link, place + "/loop")
        os.rename(place + "/loop", link)
        d.wait_series("file:%s:exists" % link, lambda v: v == "no")
    os.unlink(link)
    os.symlink("target", link)
    with daemon(paths=[link], follow=False) as d:
        d.wait_series("file:%s:type" % link, lambda v: v == "symlink")

with suite.check("what is on the way to a file: a link that leads to another folder, a folder far above that is renamed"):
    place = suite.folder()
    for release in ("1", "2"):
        os.makedirs(place + "/releases/" + release + "/conf")
        plain(place + "/releases/" + release + "/conf/app", release * 5 * int(release))
    os.symlink("releases/1", place + "/current")
    app, deep = place + "/current/conf/app", place + "/releases/1/conf/app"
    with daemon(paths=[app, deep, place + "/current/conf/*.x"]) as d:
        d.wait_series("file:%s:size" % app, lambda v: v == 5)
        os.symlink("releases/2", place + "/new")
        os.rename(place + "/new", place + "/current")
        d.wait_series("file:%s:size" % app, lambda v: v == 10)
        plain(place + "/releases/2/conf/app", "of the new one")
        d.wait_series("file:%s:size" % app, lambda v: v == 14)
        plain(place + "/releases/2/conf/a.x")
        d.wait_series("file:%s/current/conf/a.x:exists" % place)
        os.rename(place + "/releases", place + "/away")
        d.wait_series("file:%s:exists" % deep, lambda v: v == "no")
        d.wait_series("file:%s:exists" % app, lambda v: v == "no")
        os.rename(place + "/away", place + "/releases")
        d.wait_series("file:%s:size" % deep, lambda v: v == 5)
        d.wait_series("file:%s:size" % app, lambda v: v == 14)
        # Made anew, not at once: the link is gone for a while
        os.unlink(place + "/current")
        d.wait_series("file:%s:exists" % app, lambda v: v == "no")
        os.symlink(place + "/releases/1", place + "/current")
        d.wait_series("file:%s:size" % app, lambda v: v == 5)

with suite.check("odd names: new lines, UTF-8, bytes that are none, backslashes"):
    place = suite.folder()
    names = {b"new\nline": "new\\012line", "ä b".encode(): "ä b", b"\xff\xc3": "\\377\\303", b"back\\012": "back\\134012", b"a*b": "a*b", b"co:lon": "co:lon"}
    for raw in names:
        with open(os.path.join(place.encode(), raw), "w") as f:
            f.write("x")
    with open(os.path.join(place, "n" * 255), "w") as f:
        f.write("x")
    with daemon(paths=[place + "/*"]) as d:
        for name in names.values():
            wait_for(name, lambda name=name: "file:%s/%s:exists" % (place, name) in d.get("file:*:exists"))
        assert d.lines("its name is longer than 255 bytes: left out")
        os.unlink(os.path.join(place.encode(), b"new\nline"))
        wait_for("it to go", lambda: "file:%s/new\\012line:exists" % place not in d.get("file:*:exists"))

with suite.check("mounted over, unmounted, mounted again"):
    if os.geteuid() != 0 or subprocess.run(["unshare", "-m", "true"]).returncode != 0:
        raise Skip("no right to mount")
    place = suite.folder()
    os.mkdir(place + "/m")
    plain(place + "/m/f", "below")
    subprocess.run(["mount", "-t", "tmpfs", "none", place + "/m"], check=True)
    try:
        with daemon(paths=[place + "/m/f", place + "/m/*.x"]) as d:
            d.wait_series("file:%s/m/f:exists" % place, lambda v: v == "no")
            plain(place + "/m/f", "in it")
            d.wait_series("file:%s/m/f:size" % place, lambda v: v == 5)
            plain(place + "/m/a.x")
            d.wait_series("file:%s/m/a.x:exists" % place)
            subprocess.run(["umount", "-l", place + "/m"], check=True)
            d.wait_series("file:%s/m/f:exists" % place)
            wait_for("a.x to end", lambda: not d.get("file:%s/m/a.x:*" % place))
            plain(place + "/m/f", "below!")
            d.wait_series("file:%s/m/f:size" % place, lambda v: v == 6)
            subprocess.run(["mount", "-t", "tmpfs", "none", place + "/m"], check=True)
            d.wait_series("file:%s/m/f:exists" % place, lambda v: v == "no")
            plain(place + "/m/f", "again in it")
            d.wait_series("file:%s/m/f:size" % place, lambda v: v == 11)
    finally:
        subprocess.run(["umount", "-l", place + "/m"], check=False)

with suite.check("as nobody: what cannot be looked at is said, the rest goes on"):
    if os.geteuid() != 0:
        raise Skip("only root can become nobody")
    place = suite.folder()
    os.mkdir(place + "/closed", 0o700)
    plain(place + "/closed/f"), plain(place + "/open"), plain(place + "/secret", mode=0o600)
    public = suite.public()
    d = suite.daemon(conf=conf(paths=[place + "/closed/f", place + "/open", place + "/secret"], sha256=[place + "/secret"]),
                     plugins=(public + "/plugins",), user=True, program=public + "/kithd")
    with d:
        d.wait_series("file:%s/open:exists" % place, lambda v: v == "yes")
        d.wait_series("file:%s/secret:content" % place, lambda v: v == "unreadable")
        wait_for("the note", lambda: "1 files cannot be looked at" in (d.plugin("file")[0]["reason"] or ""))

with suite.check("more than max: bounded, and said"):
    place = suite.folder()
    for i in range(30):
        plain(place + "/f%d" % i)
    with daemon(paths=[place + "/f*"], max=10) as d:
        d.wait_log("more than 10 files")
        wait_for("ten", lambda: len(d.get("file:*:exists")) == 10)

with suite.check("100,000 changes in a watched tree: memory stays, the end is exact, losses are made up for"):
    place = suite.folder()
    os.mkdir(place + "/d")
    for i in range(50):
        plain(place + "/d/keep%d" % i)
    storm = """
import os, sys
place = sys.argv[1]
for r in range(%d):
    for i in range(100):
        p = "%%s/tmp%%d" %% (place, i)
        os.close(os.open(p, os.O_CREAT | os.O_WRONLY))
        os.rename(p, "%%s/keep%%d" %% (place, i %% 60))
""" % (25 if sanitized() else 500)
    with daemon(paths=[place + "/d/keep*", place + "/d"]) as d:
        wait_for("all", lambda: len(d.get("file:%s/d/keep*:exists" % place)) == 50)
        # What one storm takes for the first time (buffers of those that ask) is not what storms take.
        subprocess.run([sys.executable, "-c", storm.replace("range(500)", "range(10)"), place + "/d"], check=True)
        for _ in range(3):
            d.get("file:*")
        wait_for("60", lambda: len(d.get("file:%s/d/keep*:exists" % place)) == 60)
        before = d.holds()["anonymous"]
        subprocess.run([sys.executable, "-c", storm, place + "/d"], check=True)
        # And again while it cannot read: the kernel's queue (16384 events) overflows.
        watch = d.watch("--records")
        os.kill(d.process.pid, signal.SIGSTOP)
        subprocess.run([sys.executable, "-c", re.sub(r"range\(\d+\)", "range(100)", storm, count=1), place + "/d"], check=True)
        os.kill(d.process.pid, signal.SIGCONT)
        watch.wait("the loss", lambda x: x["kind"] == "record" and "file events were lost" in x["message"])
        watch.end()
        for i in range(60):
            plain(place + "/d/keep%d" % i, "x" * i, mode=0o600 + i % 8)
        for i in range(60):
            d.wait_series("file:%s/d/keep%d:size" % (place, i), lambda v, i=i: v == i)
            d.wait_series("file:%s/d/keep%d:mode" % (place, i), lambda v, i=i: v == 600 + i % 8)
        d.wait_series("file:%s/d:entries" % place, lambda v: v == 60)
        after = d.holds()["anonymous"]
        print("# anonymous memory %d KiB before, %d after; events lost: %d times" % (before, after, len(d.lines("file events were lost"))))
        assert sanitized() or after - before < 1024, (before, after)

suite.end()
