#!/usr/bin/python3
"""Drop-in files, read by the real daemon."""
import os
import shutil
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from kithtest import BUNDLES, PLUGINS, Suite, sanitized, wait_for, write_file  # noqa: E402

suite = Suite()
plugins = suite.folder()
shutil.copy(os.path.join(PLUGINS, "textfile.so"), plugins)
with open(os.path.join(BUNDLES, "textfile.promise")) as f:
    BUNDLE = f.read()


def daemon(folder, promises=None, **options):
    more = "".join("    %s = %s\n" % x for x in options.items())
    return suite.daemon(conf='interval = 1s\nplugin textfile {\n    directory = "%s"\n%s}\n' % (folder, more), plugins=(plugins,), promises=promises)


with suite.check("the folder appears later; files are read when they are renamed in, and end when they go; promises know units and patterns"):
    place = suite.folder() + "/later"
    promises = {"p.promise": """bundle p {
        promise disks { promiser md
            keep all node_md_disks:*/failed:value == 0 }
        promise size { promiser backup_size_bytes
            keep backup_size_bytes:value > 1KiB and rate(backup_runs_total:value) >= 0 }
    }""", "textfile.promise": BUNDLE}
    with daemon(place, promises) as d:
        d.wait_plugin("textfile", "running")
        os.mkdir(place)
        write_file(place + "/md.prom", '# TYPE node_md_disks gauge\nnode_md_disks{device="md0",state="failed"} 0\nnode_md_disks{device="md0",state="active"} 2\n')
        d.wait_series("node_md_disks:md0/active:value", lambda v: v == 2)
        write_file(place + "/backup.prom", "backup_size_bytes 4096\nbackup_runs_total 3\n")
        assert d.wait_series("backup_size_bytes:value")["unit"] == "B"
        write_file(place + "/backup.prom", "backup_size_bytes 512\nbackup_runs_total 4\n")
        d.wait_promise("p.size", "broken")
        write_file(place + "/md.prom", 'node_md_disks{device="md0",state="failed"} 1\n')
        wait_for("the promise to break", lambda: [p for p in d.kith("promises")[1] if p["name"] == "p.disks" and p["assessment"] == "broken"])
        wait_for("active to end", lambda: not d.get("node_md_disks:md0/active:value"))
        os.unlink(place + "/backup.prom")
        wait_for("its series to end", lambda: not d.get("backup_size_bytes:value"))
        d.wait_promise("p.size", "unknown")
        shutil.rmtree(place)
        wait_for("all to end", lambda: not d.get("node_md_disks") and not d.get("textfile"))
        os.mkdir(place)
        write_file(place + "/md.prom", 'node_md_disks{device="md0",state="failed"} 0\n')
        d.wait_series("node_md_disks:md0/failed:value", lambda v: v == 0)

with suite.check("a fault: file, line and column in a record and in kith plugins; the shipped promise breaks and is kept again"):
    place = suite.folder()
    with daemon(place, {"textfile.promise": BUNDLE.replace("grace     1m", "")}) as d:
        watch = d.watch("--records")
        write_file(place + "/a.prom", "a_good 1\na_bad{x=1} 2\na_last 3\n")
        r = watch.wait("the record", lambda x: x["kind"] == "record" and x["subject"] == "textfile:a.prom")
        assert r["message"].startswith("a.prom:2:9: the label's value stands in quotes"), r
        assert "a.prom:2:9:" in d.wait_plugin("textfile", "running")["reason"]
        assert d.value("a_last:value") == 3
        d.wait_promise("textfile.readable", "broken")
        write_file(place + "/a.prom", "a_good 1\n")
        d.wait_promise("textfile.readable", "kept")
        assert d.plugin("textfile")[0]["reason"] == ""
        watch.end()

with suite.check("times beyond what there is, empty labels, a value that another file had until it went"):
    place = suite.folder()
    with daemon(place) as d:
        write_file(place + "/t.prom", "far_a 1 999999999999999999\nfar_b 2 -999999999999999999\nfar_c 3\nempty_l{a=\"\"} 4\n")
        d.wait_series("far_c:value", lambda v: v == 3)
        assert d.value("textfile:t.prom:faults") == 2 and d.value("empty_l:value") == 4, d.get("*:*:*")
        assert "t.prom:1:" in d.plugin("textfile")[0]["reason"]
        write_file(place + "/a.prom", "moves_x 1\n")
        d.wait_series("moves_x:value", lambda v: v == 1)
        write_file(place + "/b.prom", "moves_x 2\n")
        d.wait_series("textfile:b.prom:state", lambda v: v == "error")
        os.unlink(place + "/a.prom")
        d.wait_series("moves_x:value", lambda v: v == 2)
        d.wait_series("textfile:b.prom:state", lambda v: v == "ok")

with suite.check("10,000 replacements: the last one counts, memory stays"):
    place = suite.folder()
    with daemon(place) as d:
        for i in range(300):
            write_file(place + "/a.prom", "".join("storm_value{n=\"%d\"} %d\n" % (n, i) for n in range(100)))
        d.wait_series("storm_value:99:value", lambda v: v == 299)
        before = d.holds()["anonymous"]
        text = "".join("storm_value{n=\"%d\"} 7\n" % n for n in range(100))
        for i in range(10000):
            write_file(place + "/a.prom", text)
        write_file(place + "/a.prom", text.replace(" 7", " 8"))
        d.wait_series("storm_value:99:value", lambda v: v == 8)
        assert len(d.get("storm_value")) == 100
        # With sanitizers what was freed is kept for a while.
        assert sanitized() or d.holds()["anonymous"] - before < 1024, (before, d.holds())

suite.end()
