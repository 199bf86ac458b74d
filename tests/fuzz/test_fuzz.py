#!/usr/bin/python3
"""Each fuzz target under libFuzzer, from its corpus, for a bounded number of inputs. ./check builds them with clang (KITH_FUZZ_BUILD)."""
import glob
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from kithtest import SOURCE, Skip, Suite, environment  # noqa: E402

RUNS = 20000
suite = Suite()
build = os.environ.get("KITH_FUZZ_BUILD")

for source in sorted(glob.glob(os.path.join(SOURCE, "tests", "fuzz", "fuzz_*.c"))):
    name = os.path.basename(source)[len("fuzz_"):-len(".c")]
    with suite.check("%s: %d inputs without a finding" % (name, RUNS)):
        if not build:
            raise Skip("no build with libFuzzer (configure CC=clang --enable-fuzzer, then KITH_FUZZ_BUILD)")
        found = suite.folder()
        p = subprocess.run([os.path.join(build, "tests", "fuzz", "fuzz_" + name), "-runs=%d" % RUNS, "-max_total_time=60",
                            "-timeout=10", "-print_final_stats=1", "-artifact_prefix=%s/" % found, suite.folder(),
                            os.path.join(SOURCE, "tests", "fuzz", name)], capture_output=True, text=True, errors="replace",
                           env=environment())
        seed = re.search(r"Seed: (\d+)", p.stderr)
        print("# seed %s" % (seed.group(1) if seed else "unknown"))
        assert p.returncode == 0, p.stderr[-3000:]
        assert int(re.search(r"number_of_executed_units: (\d+)", p.stderr).group(1)) > 100, p.stderr[-500:]
suite.end()
