#!/usr/bin/python3
"""kithd with all its plugins under valgrind: a few ticks, a reload, a plugin in and out, the end. No error, nothing lost."""
import os
import re
import shutil
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from kithtest import BUNDLES, KITHD, PLUGINS, TEST_PLUGINS, Skip, Suite, environment, install, sanitized, wait_for  # noqa: E402

suite = Suite()
SLOW = 120  # seconds to wait: everything takes longer under valgrind

with suite.check("under valgrind: all plugins, 20 ticks, a reload, a plugin in and out, the end: no error and no leak"):
    if sanitized():
        raise Skip("built with sanitizers")
    if not shutil.which("valgrind"):
        raise Skip("valgrind is not installed")
    extra = suite.folder()
    d = suite.daemon(conf="interval = 100ms\n", plugins=(PLUGINS, extra), promise_dirs=[BUNDLES])
    # kithd counts allocations in malloc and its kin of its own, which pass on to libc: valgrind is to replace libc's.
    command = ["valgrind", "--leak-check=full", "--show-leak-kinds=definite,indirect", "--errors-for-leak-kinds=definite,indirect",
               "--error-exitcode=97", "--soname-synonyms=somalloc=NONE", "--child-silent-after-fork=yes", KITHD, "-f", *d.args]
    with open(d.log_path, "w") as log:
        d.process = subprocess.Popen(command, env=environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                     start_new_session=True)
    suite.daemons.append(d)
    wait_for("kithd to start", d.is_ready, SLOW, alive=d)

    def ticks():
        return next(c["calls"] for c in d.kith("cost")[1] if c["name"] == "load")

    wait_for("20 ticks", lambda: ticks() >= 20, SLOW, alive=d)
    with open(d.conf, "w") as f:
        f.write("interval = 100ms\nplugin load { interval = 200ms }\n")
    wait_for("the reload", lambda: d.reloads(), SLOW, alive=d)
    install(os.path.join(TEST_PLUGINS, "probe.so"), os.path.join(extra, "probe.so"))
    wait_for("the plugin", lambda: d.value("probe:0:value") is not None, SLOW, alive=d)
    os.remove(os.path.join(extra, "probe.so"))
    wait_for("the plugin to go", lambda: not d.plugin("probe"), SLOW, alive=d)
    d.process.send_signal(signal.SIGTERM)
    status = d.process.wait(SLOW)
    suite.daemons.remove(d)
    said = "\n".join(x for x in d.log().splitlines() if x.startswith("=="))
    assert status == 0 and re.search(r"ERROR SUMMARY: 0 errors", said), (status, said[-6000:])
    # It did see the allocations
    heap = re.search(r"total heap usage: ([\d,]+) allocs", said)
    assert heap and int(heap.group(1).replace(",", "")) > 1000, said[-2000:]
    print("# " + re.search(r"total heap usage: .*", said).group(0))

suite.end()
