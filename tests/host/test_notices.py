#!/usr/bin/python3
"""What people are told, by the real kithd and a program that writes down what it got."""
import json
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from kithtest import BUILD, KITH, KITHD, Suite, environment, wait_for, write_file  # noqa: E402
import subprocess  # noqa: E402

suite = Suite()


class Receiver:
    """A program that appends its standard input to a file, a line each, and ends with the status in another file"""

    def __init__(self):
        self.dir = suite.folder("kith-receiver-")
        os.chmod(self.dir, 0o777)
        self.out, self.status = os.path.join(self.dir, "out"), os.path.join(self.dir, "status")
        self.program = os.path.join(self.dir, "tell")
        self.says(0)
        write_file(self.program, '#!/bin/sh\ncat >> "%s"\nprintf "%%s\\n" "$KITH_SUBJECT" >> "%s.subjects"\nid -un >> "%s.users"\n'
                                 'read s < "%s"\n[ $s = 0 ] || echo "no route" >&2\nexit $s\n' %
                   (self.out, self.out, self.out, self.status))
        os.chmod(self.program, 0o755)

    def says(self, status):
        write_file(self.status, "%d\n" % status)
        os.chmod(self.status, 0o644)

    def messages(self):
        try:
            with open(self.out) as f:
                return [json.loads(x) for x in f if x.endswith("\n")]
        except FileNotFoundError:
            return []

    def wait(self, n):
        wait_for("%d messages, there are: %s" % (n, [m["subject"] for m in self.messages()]), lambda: len(self.messages()) >= n)
        assert len(self.messages()) == n, [m["subject"] for m in self.messages()]
        return self.messages()[-1]


def conf(receiver, more=""):
    return 'interval = 100ms\nhost = web1\nnotify ops {\n run = ["%s", "x y"]\n wait = 1s\n %s\n}\n' % (receiver.program, more)


# exec-checked files would need a plugin: what is broken is chosen by the text of the promise itself
def promises(broken, depends=True):
    text = "bundle b {\n"
    for name, more in (("root", ""), ("leaf", "depends root" if depends else ""), ("other", "")):
        text += " promise %s {\n  promiser load\n  promisee ops\n  keep load:1m %s 0\n  %s\n }\n" % (
            name, "<" if name in broken else ">=", more)
    return text + "}\n"


with suite.check("what breaks together is one message, with what depends on it; kept again is told"):
    r = Receiver()
    with suite.daemon(conf=conf(r), promises={"b.promise": promises(["root", "other"])}) as d:
        m = r.wait(1)
        assert m["host"] == "web1" and m["receiver"] == "ops" and m["what"] == "broken" and m["count"] == 2 and m["more"] == 0, m
        assert m["subject"] == "web1: 2 broken (warning): b.root, b.other" or m["subject"] == "web1: 2 broken (warning): b.other, b.root", m
        root = next(p for p in m["promises"] if p["name"] == "b.root")
        assert root["promiser"] == "load" and root["promisees"] == ["ops"] and root["assessment"] == "broken", root
        assert root["affected"] == [{"name": "b.leaf", "promiser": "load"}] and root["n_affected"] == 1, root
        assert "also affected: 1 promise: b.leaf (load)" in m["text"], m["text"]
        with open(r.out + ".subjects") as f:
            assert f.read() == m["subject"] + "\n"
        write_file(os.path.join(d.promises, "b.promise"), promises(["other"]))
        m = r.wait(2)
        assert m["subject"] == "web1: b.root of load is kept again (warning)" and m["what"] == "kept", m

with suite.check("another user; a failure is said once, and that it works again"):
    r = Receiver()
    r.says(3)
    with suite.daemon(conf=conf(r, "user = nobody"), promises={"b.promise": promises(["root"])}) as d:
        r.wait(1)
        d.wait_log(r"notify ops cannot be told: .*exit status 3: no route; it is tried again")
        with open(r.out + ".users") as f:
            assert f.read() == "nobody\n"

with suite.check("a receiver that nobody defines is told of when promises are loaded, and by kithd -t"):
    r = Receiver()
    text = promises([]).replace("promisee ops", "promisee ops\n  tell osp, zone")
    with suite.daemon(conf=conf(r), promises={"b.promise": text}) as d:
        d.wait_log(r'b.promise:5:8: nobody is told: there is no receiver "osp".*')
        p = subprocess.run([KITHD, "-t", *d.args], capture_output=True, text=True, env=environment())
        assert p.returncode == 0 and 'no receiver "osp"' in p.stderr and 'did you mean "ops"?' in p.stderr, (p.returncode, p.stderr)
        assert p.stderr.count("zone") == p.stderr.count("tell osp, zone"), p.stderr

with suite.check("receivers come and go with the configuration; faults leave them as they are"):
    r, r2 = Receiver(), Receiver()
    with suite.daemon(conf="interval = 100ms\nhost = web1\n", promises={"b.promise": promises(["root"])}) as d:
        d.wait_promise("b.root", "broken")
        write_file(d.conf, conf(r))
        r.wait(1)
        write_file(d.conf, conf(r) + 'notify ops { wiat = 3s }\n')
        d.wait_log(r'unknown key "wiat" of notify ops')
        write_file(d.conf, conf(r) + 'notify more { run = "%s"; wait = 1s }\n' % r2.program)
        r2.wait(1)
        assert len(r.messages()) == 1

suite.end()
