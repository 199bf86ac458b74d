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
        # The message last: whoever sees it finds the rest
        write_file(self.program, '#!/bin/sh\nprintf "%%s\\n" "$KITH_SUBJECT" >> "%s.subjects"\nid -un >> "%s.users"\ncat >> "%s"\n'
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


def kith(d, *args, json_out=False):
    """(exit status, standard output, standard error)"""
    p = subprocess.run([KITH, "-s", d.socket, *(["--json"] if json_out else []), *args], capture_output=True, text=True,
                       env=environment({"TZ": "UTC"}), timeout=30)
    return p.returncode, p.stdout, p.stderr


def state_of(d):
    return json.loads(kith(d, "silences", json_out=True)[1])


with suite.check("ack: until it is kept; what cannot be is refused"):
    r = Receiver()
    with suite.daemon(conf=conf(r, "repeat = 1s"), promises={"b.promise": promises(["root", "other"])}) as d:
        r.wait(1)
        status, out, err = kith(d, "ack", "b.root", "load", "b.other", "--because", "we know", "--until", "1h")
        assert status == 0 and "b.root of load is acknowledged until 20" in out and "b.other of load" in out, (status, out, err)
        for args, text in ((["b.leaf"], "b.leaf of load is unknown: there is nothing to acknowledge"), (["nix"], "no promise is like that"),
                           (["b.root", "--until", "soon"], 'no time'), (["b.root", "--until", "2020-01-01"], "has passed already"),
                           (["b.root", "--because", "x\ny"], "control characters"), (["b.root", "--because", "x" * 501], "longer than 500"),
                           (["--remove", "b.leaf"], "b.leaf of load is not acknowledged"), (["b.root@elsewhere"], "not this host")):
            status, out, err = kith(d, "ack", *args)
            assert status in (1, 2, 3) and text in err and not out, (args, status, out, err)
        root = next(p for p in d.kith("promises")[1] if p["name"] == "b.root")
        assert root["acknowledged"] is True and root["silenced"] is False, root
        assert "acknowledged: " in kith(d, "promises", "b.root")[1]
        assert "acknowledged by root at 20" in kith(d, "explain", "b.root")[1] and ": we know" in kith(d, "explain", "b.root")[1]
        acks = state_of(d)["acknowledged"]
        assert {a["name"] for a in acks} == {"b.root", "b.other"} and acks[0]["by"] == "root" and acks[0]["because"] == "we know", acks
        n = len(r.messages())  # the wish to repeat may have come before
        d.watch("--for", "2500ms").process.wait()
        assert len(r.messages()) <= n + 1, [m["subject"] for m in r.messages()]
        assert kith(d, "ack", "--remove", "b.other")[0] == 0
        wait_for("b.other to be repeated", lambda: r.messages()[-1]["subject"].endswith("b.other of load is still broken (warning)"))
        write_file(os.path.join(d.promises, "b.promise"), promises(["other"]))
        wait_for("b.root to be kept", lambda: any("b.root of load is kept again" in m["text"] or "kept again warning: b.root" in m["text"]
                                                  for m in r.messages()))
        assert [a["name"] for a in state_of(d)["acknowledged"]] == []

with suite.check("silences: what is told when one ends; what cannot be is refused"):
    r = Receiver()
    with suite.daemon(conf=conf(r), promises={"b.promise": promises([])}) as d:
        d.wait_promise("b.root", "kept")
        status, out, err = kith(d, "silence", "b", "--for", "1h", "--because", "work")
        assert status == 0 and re.match(r"silence 1 of b holds from 20.* to 20.*; kith silence --remove 1 ends it\n", out), (status, out, err)
        for args, text in ((["b"], "until when?"), (["b", "--every", "fortnight"], "no days"), ([], "of which promises?"), (["b", "--to", ""], "empty"),
                           (["b:c:", "--for", "1h"], "names nothing"), (["--remove", "7"], "there is no silence 7"),
                           (["--remove", "x"], "no number"), (["b", "--remove", "1"], "wants a number alone")):
            status, out, err = kith(d, "silence", *args)
            assert status in (1, 2) and text in err and not out, (args, status, out, err)
        status, out, err = kith(d, "silence", "df:*", "--promiser", "df:/*", "--from", "22:00", "--to", "06:00", "--every", "mon..fri", json_out=True)
        assert status == 0 and json.loads(out)["id"] == 2 and json.loads(out)["every"] == "every mon..fri from 22:00 to 06:00", out
        write_file(os.path.join(d.promises, "b.promise"), promises(["root"]))
        assert d.wait_promise("b.root", "broken")["silenced"] is True
        assert "silenced by root from 20" in kith(d, "explain", "b.root")[1]
        s = state_of(d)
        assert [(x["id"], x["active"], x["by"]) for x in s["silences"]][0] == (1, True, "root"), s
        assert s["receivers"][0]["name"] == "ops" and s["receivers"][0]["messages"] == 0, s
        d.watch("--for", "2s").process.wait()
        assert not r.messages()
        assert kith(d, "silence", "--remove", "1") == (0, "silence 1 of b is removed\n", "")
        assert r.wait(1)["subject"] == "web1: b.root of load is broken (warning)"
        assert len(state_of(d)["silences"]) == 1

with suite.check("kill -9 and a restart: nothing twice, what was mended meanwhile is told, silences and acks stand"):
    r = Receiver()
    with suite.daemon(conf=conf(r), promises={"b.promise": promises(["root", "other"], depends=False)}) as d:
        r.wait(1)
        assert kith(d, "ack", "b.other")[0] == 0
        assert kith(d, "silence", "x.*", "--for", "1d")[0] == 0
        path = os.path.join(d.state, "notices")
        wait_for("the state to be written", lambda: os.path.exists(path) and all(x in open(path).read() for x in ("told\t", "ack\t", "silence\t")))
        d.kill()
        write_file(os.path.join(d.promises, "b.promise"), promises(["other"], depends=False))
        d.start()
        assert r.wait(2)["subject"] == "web1: b.root of load is kept again (warning)"
        s = state_of(d)
        assert [a["name"] for a in s["acknowledged"]] == ["b.other"] and [x["pattern"] for x in s["silences"]] == ["x.*"], s
        wait_for("nothing to be left of it", lambda: "b.root" not in open(path).read())
        # Damaged: what can be read holds, the rest is kept aside and said
        d.stop()
        text = open(path).read()
        write_file(path, text.replace("\tx.*\t", "\ty.*\t") + "junk")
        d.start()
        d.wait_log(r"notices: 2 lines cannot be read.*kept as .*notices.bad")
        assert "junk" in open(path + ".bad").read()
        s = state_of(d)
        assert [a["name"] for a in s["acknowledged"]] == ["b.other"] and not s["silences"], s
        assert len(r.messages()) == 2

with suite.check("a disk that is full is said once; everything goes on"):
    r = Receiver()
    with suite.daemon(conf=conf(r), promises={"b.promise": promises(["root"])}) as d:
        r.wait(1)
        wait_for("the state to be written", lambda: os.path.exists(os.path.join(d.state, "notices")))
        os.mkdir(os.path.join(d.state, "notices.new"))  # stands for it: nothing can be written there
        assert kith(d, "silence", "x", "--for", "1d")[0] == 0
        d.wait_log(r"notices cannot be written: Is a directory")
        assert kith(d, "silence", "y", "--for", "1d")[0] == 0
        assert len(state_of(d)["silences"]) == 2 and len(d.lines("cannot be written")) == 1
        os.rmdir(os.path.join(d.state, "notices.new"))

suite.end()
