#!/usr/bin/python3
"""Packages, installed by the real dpkg and rpm into folders of the test's own, as the real daemon hears of it."""
import fcntl
import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from kithtest import BUNDLES, PLUGINS, Skip, Suite, wait_for, write_file  # noqa: E402

suite = Suite()
plugins = suite.folder()
shutil.copy(os.path.join(PLUGINS, "package.so"), plugins)
place = suite.folder()
with open(os.path.join(BUNDLES, "packages.promise")) as f:
    BUNDLE = f.read().replace("grace     10m", "")


def run(*command, ok=True, **more):
    p = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}, **more)
    assert not ok or p.returncode == 0, (command, p.stdout, p.stderr)
    return p


def deb(name, version, conffile=False, postinst=""):
    folder = "%s/%s-%s" % (place, name, version)
    os.makedirs(folder + "/DEBIAN")
    os.makedirs(folder + "/etc")
    write_file(folder + "/etc/%s.conf" % name, version)
    write_file(folder + "/DEBIAN/control", "Package: %s\nVersion: %s\nArchitecture: all\nMaintainer: x <x@example.org>\nDescription: x\n" % (name, version))
    if conffile:
        write_file(folder + "/DEBIAN/conffiles", "/etc/%s.conf\n" % name)
    if postinst:
        write_file(folder + "/DEBIAN/postinst", "#!/bin/sh\n" + postinst)
        os.chmod(folder + "/DEBIAN/postinst", 0o755)
    run("dpkg-deb", "--root-owner-group", "-b", folder, folder + ".deb")
    return folder + ".deb"


def dpkg_root():
    root = suite.folder()
    admin = root + "/var/lib/dpkg"
    for name in ("info", "updates", "triggers", "parts", "alternatives"):
        os.makedirs(admin + "/" + name)
    for name in ("status", "available", "diversions", "statoverride"):
        write_file(admin + "/" + name, "")
    return root


def dpkg(root, *args, ok=True):
    return run("dpkg", "--force-not-root", "--force-script-chrootless", "--root=" + root, "--log=/dev/null", *args, ok=ok)


def daemon(root, promises=None, more=""):
    conf = 'interval = 1s\nplugin package {\n    admindir = "%s/var/lib/dpkg"\n    rpmdb = "%s/var/lib/rpm"\n%s}\n' % (root, root, more)
    return suite.daemon(conf=conf, plugins=(plugins,), promises=promises)


def changed(name, change):
    return lambda x: x["kind"] == "record" and x["subject"] == "package:" + name and x["fields"]["change"] == change


with suite.check("dpkg: install, upgrade, downgrade, half configured, removal, purge: records with versions; the promises follow"):
    if not shutil.which("dpkg-deb"):
        raise Skip("dpkg is not installed")
    one, two, other = deb("kith-one", "1.0-1", conffile=True), deb("kith-one", "1.1-1", conffile=True), deb("kith-other", "2:3")
    broken = deb("kith-broken", "1", postinst="exit 1\n")
    root = dpkg_root()
    dpkg(root, "-i", other)
    promises = {"packages.promise": BUNDLE, "p.promise": """bundle p { promise one { promiser package:kith-one
        keep package:kith-one:installed == "yes" and package:kith-one:version == "expected" } }"""}
    with daemon(root, promises, '    expect = ["kith-one=1.1-1"]\n') as d:
        d.wait_promise("p.one", "broken")
        d.wait_promise("packages.whole", "kept")
        watch = d.watch("--records")
        dpkg(root, "-i", one)
        r = watch.wait("the installation", changed("kith-one", "installed"))
        assert r["fields"]["version"] == "1.0-1" and r["message"] == "kith-one 1.0-1 was installed", r
        d.wait_series("package:kith-one:installed", lambda v: v == "yes")
        assert d.value("packages:installed") == 2 and d.promise("p.one")["assessment"] == "broken"
        dpkg(root, "-i", two)
        r = watch.wait("the upgrade", changed("kith-one", "upgraded"))
        assert r["fields"]["before"] == "1.0-1" and r["fields"]["version"] == "1.1-1", r
        d.wait_promise("p.one", "kept")
        dpkg(root, "-i", broken, ok=False)
        d.wait_series("packages:broken", lambda v: v == 1)
        d.wait_promise("packages.whole", "broken")
        dpkg(root, "--purge", "--force-all", "kith-broken")
        d.wait_promise("packages.whole", "kept")
        dpkg(root, "-i", one)
        watch.wait("the downgrade", changed("kith-one", "downgraded"))
        dpkg(root, "-r", "kith-one")
        r = watch.wait("the removal", changed("kith-one", "removed"))
        assert "its configuration is left" in r["message"], r
        d.wait_series("package:kith-one:state", lambda v: v == "config_files")
        dpkg(root, "-P", "kith-one")
        watch.wait("the purge", changed("kith-one", "purged"))
        d.wait_series("package:kith-one:state", lambda v: v == "absent")
        assert not d.get("package:kith-other"), "nobody named it"
        watch.end()

with suite.check("while the front end's lock is held nothing is read; one run of several is one difference"):
    if not shutil.which("dpkg-deb"):
        raise Skip("dpkg is not installed")
    root = dpkg_root()
    with daemon(root, None, '    packages = ["kith-*"]\n') as d:
        d.wait_series("packages:installed", lambda v: v == 0)
        watch = d.watch("--records")
        with open(root + "/var/lib/dpkg/lock-frontend", "w") as lock:
            fcntl.lockf(lock, fcntl.LOCK_EX)
            os.environ["DPKG_FRONTEND_LOCKED"] = "1"  # as apt tells it
            dpkg(root, "-i", place + "/kith-one-1.0-1.deb")
            dpkg(root, "-i", place + "/kith-one-1.1-1.deb")
            dpkg(root, "-i", place + "/kith-other-2:3.deb")
            del os.environ["DPKG_FRONTEND_LOCKED"]
        d.wait_series("packages:installed", lambda v: v == 2)
        d.wait_series("package:kith-other:installed", lambda v: v == "yes")
        seen = [x["message"] for x in watch.end() if x["kind"] == "record" and x["subject"].startswith("package:")]
        assert sorted(seen) == ["kith-one 1.1-1 was installed", "kith-other 2:3 was installed"], seen

with suite.check("a status file that is cut off, emptied or gone: said, and what was known stays; good again, said too"):
    if not shutil.which("dpkg-deb"):
        raise Skip("dpkg is not installed")
    root = dpkg_root()
    dpkg(root, "-i", place + "/kith-one-1.0-1.deb", place + "/kith-other-2:3.deb")
    path = root + "/var/lib/dpkg/status"
    with open(path) as f:
        good = f.read()
    with daemon(root, {"packages.promise": BUNDLE}) as d:
        d.wait_series("packages:installed", lambda v: v == 2)
        for bad in (good[:-20], "", "\0" * 4096, None):
            if bad is None:
                os.unlink(path)
            else:
                write_file(path, bad)
            d.wait_series("packages:database", lambda v: v == "damaged")
            d.wait_promise("packages.whole", "broken")
            assert d.value("packages:installed") == 2
            assert "cannot be believed" in d.plugin("package")[0]["reason"]
            write_file(path, good)
            d.wait_series("packages:database", lambda v: v == "ok")
            d.wait_promise("packages.whole", "kept")
        assert d.value("packages:changes") == 0

with suite.check("this host's own packages, as dpkg-query counts them; what they take"):
    if not os.path.exists("/var/lib/dpkg/status"):
        raise Skip("no dpkg")
    mine = [x for x in run("dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n").stdout.splitlines() if x.endswith(" installed")]
    with suite.daemon(conf="interval = 1s\n", plugins=(plugins,)) as bare:
        bare.wait_series("packages:installed", lambda v: v == len(mine))
        before = bare.holds()["anonymous"]
        print("# %d packages; anonymous memory of kithd in all %d KiB" % (len(mine), before))

with suite.check("rpm: install, upgrade, removal"):
    if not shutil.which("rpmbuild"):
        raise Skip("rpm is not installed")
    root = suite.folder()
    build = suite.folder()
    db = root + "/var/lib/rpm"
    os.makedirs(db)

    def rpm(version):
        spec = "%s/x-%s.spec" % (build, version)
        write_file(spec, "Name: kith-rpm\nVersion: %s\nRelease: 1\nSummary: x\nLicense: x\nBuildArch: noarch\n%%description\nx\n%%files\n" % version)
        run("rpmbuild", "-bb", "--define", "_topdir " + build, spec)
        return "%s/RPMS/noarch/kith-rpm-%s-1.noarch.rpm" % (build, version)

    first, second = rpm("1.0"), rpm("2.0")
    run("rpm", "--dbpath", db, "--initdb")
    with daemon(root, None, '    packages = ["kith-rpm"]\n') as d:
        d.wait_series("package:kith-rpm:state", lambda v: v == "absent")
        watch = d.watch("--records")
        install = ["rpm", "--dbpath", db, "--nodeps", "--justdb", "--force-debian"]
        run(*install, "-i", first)
        r = watch.wait("the installation", changed("kith-rpm", "installed"))
        assert r["fields"]["version"] == "1.0-1", r
        d.wait_series("package:kith-rpm:installed", lambda v: v == "yes")
        run(*install, "-U", second)
        r = watch.wait("the upgrade", changed("kith-rpm", "upgraded"))
        assert r["fields"]["before"] == "1.0-1" and r["fields"]["version"] == "2.0-1", r
        run(*install, "-e", "kith-rpm")
        watch.wait("the removal", changed("kith-rpm", "removed"))
        d.wait_series("package:kith-rpm:state", lambda v: v == "absent")
        watch.end()

suite.end()
