#!/usr/bin/python3
"""What folding costs: CPU a sample through to RRD, bytes written, the space that is taken. As many series as the peers have in bench.py, at 10 s.

    bench_fold.py [BUILD] [--runs N]
"""
import argparse
import os
import shutil
import statistics
import sys
import tempfile
import time

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("build", nargs="?", default=".")
parser.add_argument("--runs", type=int, default=5)
args = parser.parse_args()
os.environ["top_builddir"] = os.path.abspath(args.build)
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from foldtest import COUNTER, FOLD, GAUGE, T0, Family, Journal, request  # noqa: E402

SHAPE = [("disk", 6, 8, COUNTER), ("interface", 3, 10, COUNTER), ("df", 4, 5, GAUGE), ("memory", 1, 12, GAUGE), ("load", 1, 3, GAUGE),
         ("processes", 1, 5, GAUGE)]
HOUR = 360


def journal(state, hours):
    families = [(Family(n, [("m%d" % k, "B", kind, 0, []) for k in range(m)]), i) for n, i, m, kind in SHAPE]
    j, count = Journal(state), 0
    for hour in range(hours):
        j.turn(T0 + 3600 * hour, start=hour == 0)
        for tick in range(HOUR):
            t = T0 + 3600 * hour + 10 * tick + 0.002
            for family, instances in families:
                for i in range(instances):
                    for n, metric in enumerate(family.metrics):
                        value = (hour * HOUR + tick) * (n * 37 + i) if metric[2] == COUNTER else (tick * (n + 1) % 17) * 4096 if n % 3 else 7
                        j.put(family, "i%d" % i if instances > 1 else "", metric[0], t, value)
                        count += 1
    j.write()
    return j, count


def run(*argv, data=b""):
    """(CPU s, bytes dirtied, wall s)"""
    read, write = os.pipe()
    begin = time.monotonic()
    pid = os.fork()
    if pid == 0:
        os.dup2(read, 0)
        os.close(write)
        os.dup2(os.open("/dev/null", os.O_WRONLY), 1)
        os.execv(argv[0], argv)
    os.close(read)
    with os.fdopen(write, "wb") as f:
        f.write(data)
    _, status, use = os.wait4(pid, 0)
    assert status == 0, argv
    return use.ru_utime + use.ru_stime, use.ru_oublock * 512, time.monotonic() - begin


def size(path):
    return sum(os.lstat(os.path.join(at, n)).st_blocks * 512 for at, _, names in os.walk(path) for n in names)


results, idle, first, answers, written = [], [], [], [], []
with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR", "/var/tmp")) as top:
    made, count = journal(os.path.join(top, "made"), 3)
    series = count // (3 * HOUR)
    names = sorted(os.listdir(made.folder))
    for n in range(args.runs):
        state = os.path.join(top, "run%d" % n)
        os.makedirs(os.path.join(state, "journal"))
        for k, into in ((0, first), (1, results)):
            shutil.copy(os.path.join(made.folder, names[k]), os.path.join(state, "journal"))
            into.append(run(FOLD, "--state-dir", state))
        idle.append(run(FOLD, "--state-dir", state))
        answers.append(run(FOLD, "--answer", "--state-dir", state, data=request(20, ["df:i1:m1"], T0, T0 + 86400))[2])
        space = size(os.path.join(state, "rrd"))
        shutil.rmtree(state)
    bytes_journal = sum(os.path.getsize(os.path.join(made.folder, n)) for n in names)

cpu = statistics.median(x[0] for x in results)
base = statistics.median(x[0] for x in idle)
dirtied = statistics.median(x[1] for x in results)
hour = count / 3
print("%d series, a sample each 10 s; an hour of them folded at once; medians of %d runs" % (series, args.runs))
print("journal                    %8.2f B a sample" % (bytes_journal / count))
print("CPU of a fold              %8.1f ms, %.1f of them to start and find nothing to do" % (cpu * 1000, base * 1000))
print("CPU a sample               %8.2f us all in all, %.2f without the start" % (cpu / hour * 1e6, (cpu - base) / hour * 1e6))
print("bytes written by a fold    %8.2f MB: %.3f MB a minute, beside the journal's %.4f" % (
    dirtied / 1e6, dirtied / 1e6 / 60, bytes_journal / 3 / 1e6 / 60))
print("the first one, with files  %8.1f ms, %.1f MB written" % (statistics.median(x[0] for x in first) * 1000, statistics.median(x[1] for x in first) / 1e6))
print("space of RRD files         %8.1f MB" % (space / 1e6))
print("an answer, one series      %8.1f ms from start to end" % (statistics.median(answers) * 1000))
