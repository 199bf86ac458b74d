#!/usr/bin/python3
"""The examples of kith-promise(5): each is good, with the families that kithd's own plugins give, and without a warning that its text does not ask for."""
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from kithtest import KITH, SOURCE, Suite, environment  # noqa: E402

suite = Suite()
folder = suite.folder()
with open(os.path.join(SOURCE, "promises", "kith-promise.5")) as f:
    text = f.read()
blocks = [b.replace("\\e", "\\") for b in re.findall(r"^\.Bd -literal -offset indent\n(.*?)^\.Ed", text, re.M | re.S)]


def examples():
    """(what, a file's text) of each example"""
    for block in blocks:
        if block.startswith("bundle"):
            yield block.split("{")[0].strip(), block
            continue
        for line in block.splitlines():
            pattern = re.search(r"\b([a-z]+):\*", line) if " some " not in line and not re.search(r"\b(all|any|none)\b", line) else None
            promiser = pattern.group(0) if pattern else "x"
            body = line if line.startswith("keep") else line + "\nkeep load:1m < 20"
            yield line, "bundle b {\n promise p {\n promiser %s\n %s\n }\n}\n" % (promiser, body)


def check(name, content):
    path = os.path.join(folder, "%s.promise" % name)
    with open(path, "w") as f:
        f.write(content)
    p = subprocess.run([KITH, "check", path], capture_output=True, text=True, env=environment())
    return p.returncode, p.stdout + p.stderr


found = list(examples())
for n, (what, content) in enumerate(found):
    with suite.check(what):
        status, said = check(str(n), content)
        assert status == 0, said + content
        # Nobody has a family of the example's own.
        rest = [x for x in said.splitlines() if "warning" in x and "no plugin gives family" not in x]
        assert not rest, rest

with suite.check("the grammar's functions and statements all have an example"):
    all_of_it = "\n".join(blocks)
    for word in ("promiser promisee keep grace settle severity depends between only let on run at timeout tell in matches margin some all any none "
                 "rate avg max stddev p95 forecast changed age count records of matching").split():
        assert re.search(r"\b%s\b" % word, all_of_it), word
    assert len(found) > 30, len(found)

suite.end()
