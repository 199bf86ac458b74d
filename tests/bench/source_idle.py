"""How often an idle kithd wakes up at 10 s: with all plugins beside the ten base plugins. Events are heard, so that all of them wake it no oftener."""
from detection import cpu_over
from kith import Kithd, KithdAll, kith
from measure import between_ticks, say


class KithdEvery(Kithd):
    name = "kithd, all plugins"

    def others(self):
        return ""


def attended(bench, p):
    """What it samples oftener than every 10 s, as it is close to what is promised of it: that is what wakes it then"""
    found = {kith(bench, p.folder, "explain", x["name"], x["promiser"]).get("attention", "") for x in kith(bench, p.folder, "promises")}
    return sorted(a for a in found if a.endswith("is close to what is promised"))


def run(bench, t, quick):
    seconds = 30 if quick else 180
    base, every, shipped = Kithd(bench), KithdEvery(bench), KithdAll(bench)
    began = [base, every] + ([] if shipped.absent() else [shipped])
    base.name, shipped.name = "kithd, the ten base plugins", "kithd, all plugins and promises"
    try:
        for p in began:
            p.start(10)
        bench.end.wait(8 if quick else base.settle)
        between_ticks(10)
        found = cpu_over(bench, began, seconds)
        for p in began:
            p.check()
        close = attended(bench, shipped) if shipped in began else []
    finally:
        for p in began:
            p.stop()
    for p in began:
        t.notes.append("%-38s %5.1f wake-ups a minute, %6.0f us of CPU, idle, interval 10 s" % (p.name, found[p.name]["wakeups"], found[p.name]["cpu_us"]))
        say("  " + t.notes[-1])
    t.notes += [f"  with the promises: {a}" for a in close]
    more = found[every.name]["wakeups"] - found[base.name]["wakeups"]
    # A wake-up more or less within the window is chance.
    t.notes.append("all plugins wake it %s than the base plugins do" % ("no oftener" if more < 1.5 * 60 / seconds else "%.1f times a minute OFTENER" % more))
