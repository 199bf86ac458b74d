#!/usr/bin/python3
"""Pressure stalls of the running kernel: averages as in /proc/pressure, a stall told by a trigger, nothing set when nobody asks, as nobody too."""
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from kerneltest import cpu_ns  # noqa: E402
from kithtest import Skip, Suite, wait_for  # noqa: E402

suite = Suite()
PROMISE = """
bundle stall {
    promise calm {
        promiser  pressure:cpu
        keep      pressure:cpu:state == "calm"
    }
}
"""
CONF = 'interval = 200ms\nplugin pressure { stall = 20ms; window = %s }\n'


def there():
    try:
        with open("/proc/pressure/cpu") as f:
            f.read()
    except OSError as e:
        raise Skip("this kernel measures no pressure: %s" % e)


def totals():
    with open("/proc/pressure/cpu") as f:
        return int(f.readline().rsplit("=", 1)[1]) / 1e6


def triggers(pid):
    """Descriptors of pressure files that were opened to be written: triggers"""
    found = 0
    for fd in os.listdir("/proc/%d/fd" % pid):
        try:
            if "/proc/pressure/" in os.readlink("/proc/%d/fd/%s" % (pid, fd)):
                with open("/proc/%d/fdinfo/%s" % (pid, fd)) as f:
                    found += int(next(x for x in f if x.startswith("flags")).split()[1], 8) & 3 == os.O_RDWR
        except FileNotFoundError:
            pass
    return found


class Crowd:
    """More that want a processor than there are"""

    def __enter__(self):
        code = "import sys\nwhile True: pass"
        self.processes = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(2 * os.cpu_count())]

    def __exit__(self, *_):
        for p in self.processes:
            p.kill()
        for p in self.processes:
            p.wait()


def stalls_and_calms(user):
    with suite.daemon(conf=CONF % "500ms", promises={"stall.promise": PROMISE}, user=user,
                      **({"program": os.path.join(public, "kithd"), "plugins": (os.path.join(public, "plugins"),)} if user else {})) as d:
        watch = d.watch("--records", "--transitions", "pressure:*", "stall.calm")
        plugin = d.wait_plugin("pressure", "running")
        print("# %s" % (plugin["reason"] or "windows of 500 ms"))
        if "may not be written" in plugin["reason"]:
            raise Skip(plugin["reason"])
        assert triggers(d.process.pid) == 1
        with Crowd():
            watch.wait("the record", lambda x: x["kind"] == "record" and "waited for cpu" in x["message"])
            d.wait_promise("stall.calm", "broken")
            before = d.value("pressure:cpu:stalls")
            assert before >= 1
            wait_for("more of them", lambda: d.value("pressure:cpu:stalls") > before, alive=d)
        # Other work on this machine may go on stalling; what it is then is no affair of this test
        os.remove(os.path.join(d.promises, "stall.promise"))
        wait_for("the trigger to go", lambda: triggers(d.process.pid) == 0, alive=d)
        watch.end()


with suite.check("averages and totals are the kernel's"), suite.daemon(conf="interval = 100ms\n") as d:
    there()
    before = totals()
    value = d.wait_series("pressure:cpu:some_total")["value"]
    d.wait_series("pressure:cpu:some_total", lambda v: before - 1e-3 <= v <= totals() + 1e-3)
    assert value <= totals() + 1e-3
    for name in ("cpu", "memory", "io"):
        share = d.wait_series("pressure:%s:some_avg10" % name)
        assert 0 <= share["value"] <= 100 and share["unit"] == "%", share
    assert triggers(d.process.pid) == 0, "nobody asked"

with suite.check("a crowd for the processors is a stall: a record, a count, a broken promise; the trigger goes with the promise"):
    there()
    stalls_and_calms(False)

with suite.check("the same as nobody, in the kernel's own windows"):
    there()
    if os.getuid() != 0:
        raise Skip("needs root to become nobody")
    public = suite.public()
    stalls_and_calms(True)

with suite.check("what a tick of it costs is counted"), suite.daemon(conf="interval = 100ms\n") as d:
    there()
    row = wait_for("ticks", lambda: next((x for x in d.kith("cost")[1] if x["name"] == "pressure" and x["calls"] > 20), None), alive=d)
    assert row["failures"] == 0, row
    print("# %.1f us a tick; kithd used %.1f ms" % (row["cpu_ns"] / row["calls"] / 1e3, cpu_ns(d.process.pid) / 1e6))

suite.end()
