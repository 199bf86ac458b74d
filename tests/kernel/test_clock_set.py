#!/usr/bin/python3
"""The wall clock is set, for real, by a fifth of a second forward and back: told at once, though nothing is sampled meanwhile."""
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import kerneltest  # noqa: E402, F401
from kithtest import Skip, Suite, wait_for  # noqa: E402

suite = Suite()


def set_by(seconds):
    try:
        time.clock_settime(time.CLOCK_REALTIME, time.clock_gettime(time.CLOCK_REALTIME) + seconds)
    except PermissionError:
        raise Skip("no right to set the clock")


with suite.check("a step forward and one back: counted and recorded, each by how much"), suite.daemon(conf="interval = 1h\n") as d:
    wait_for("the plugin", lambda: d.value("clock:steps") == 0, alive=d)
    w = d.watch("--records")
    set_by(0)
    for by, words in ((0.2, "forward by 0.2"), (-0.2, "back by 0.2")):
        try:
            set_by(by)
            r = w.wait("the record", lambda x: x["kind"] == "record" and x["subject"] == "clock" and "was set " + words[:4] in x["message"])
        except Exception:
            time.clock_settime(time.CLOCK_REALTIME, time.clock_gettime(time.CLOCK_REALTIME) - by)
            raise
        assert words[:-1] in r["message"] or "0.19" in r["message"], r
        assert abs(float(r["fields"]["step"]) - by) < 0.05, r
    assert d.value("clock:steps") == 2, d.get("clock:*")
    w.end()

with suite.check("what the kernel says of how it is kept is what it says to others"), suite.daemon(conf="interval = 100ms\n") as d:
    d.wait_series("clock:synchronised")
    found = d.get("clock:*")
    for name in ("offset", "frequency", "estimated_error", "maximum_error", "leap"):
        assert "clock:" + name in found, found
    assert found["clock:maximum_error"]["value"] > 0, found

with suite.check("as nobody"), suite.daemon(conf="interval = 100ms\n", user=True) as d:
    d.wait_series("clock:synchronised")

suite.end()
