"""Rows of the table of sources: how one is measured, what is left out, how it is printed."""
import os
import statistics

import latency
from measure import say

PROMISE = "bundle s {{\n promise p {{\n  promiser x\n  keep {keep}\n{more} }}\n}}\n"
BRIEF = "not changed({}, 100ms)"  # broken by the event, kept again by itself


# ms on each side of an event, and as much again at random: routes, mounts, listening ports, files are looked at 20 to 50 ms after the last look at the
# soonest, so that a storm costs no more. It is an event that comes by itself that is measured.
PAUSE = 60


class Left(Exception):
    """It cannot be measured here; its text says why."""


def row(name, values, cpu=None, unit=1):
    """`values` in us / unit, None for those that did not come; `cpu` us an event"""
    found = [v / unit for v in values if v is not None]
    if not found:
        raise Left("no action came")
    r = {"source": name, "rounds": len(found), "p50": statistics.median(found), "p99": latency.percentile(found, 99), "cpu": cpu}
    if len(found) < len(values):
        r["source"] += f" ({len(values) - len(found)} of {len(values)} did not come)"
    say(f"  {r['source']}: p50 {r['p50']:.0f} us, p99 {r['p99']:.0f} us" + ("" if cpu is None else f", {cpu:.0f} us of CPU"))
    return r


def source(bench, name, plugin, keep, act, rounds, conf="", setup=None, action=False):
    """[row]: a kithd of its own with one promise; to the transition, or to the first instruction of an action. `setup`: a shell's commands in a network
    namespace, in which it then runs"""
    d = latency.Daemon(bench, "s", ("unshare", "-n", "--", "sh", "-ec", setup + '\nexec "$@"', "sh") if setup else ())
    d.conf = conf
    more = f'  on broken run "{bench.helper("stamp")}" "{d.stamp}" at most 1000 per 1m\n' if action else ""
    d.file("promises.d/s.promise", PROMISE.format(keep=keep, more=more))
    try:
        d.start()
        inside = ("nsenter", "-t", str(d.process.pid), "-n") if setup else ()
        d.rounds("s.p", f"3:{PAUSE}", action, *act, prefix=inside)
        spent = d.cost_us(plugin, "s.p")
        found = d.rounds("s.p", f"{rounds}:{PAUSE}", action, *act, prefix=inside)
        spent = d.cost_us(plugin, "s.p") - spent
    finally:
        d.stop()
    if action:
        return [row(f"{name}, to kithd's action", [at for _, at in found], None, 1000)]
    return [row(name, [at for at, _ in found], spent / (2 * rounds), 1000)]


def programs(*wanted):
    """They are installed: (program, package)"""
    for program, package in wanted:
        if not any(os.access(os.path.join(f, program), os.X_OK) for f in (*os.environ["PATH"].split(":"), "/usr/sbin", "/sbin")):
            raise Left(f"{program} is not installed (apt-get install {package})")


def text(rows, left, notes):
    lines = ["", "%-62s %6s %9s %9s %12s" % ("", "rounds", "p50 us", "p99 us", "CPU us/event")]
    for r in rows:
        cpu = "-" if r["cpu"] is None else "%.0f" % r["cpu"]
        lines.append("%-62s %6d %9.0f %9.0f %12s" % (r["source"], r["rounds"], r["p50"], r["p99"], cpu))
    return "\n".join(lines + [""] + notes + [""] + left)
