#!/usr/bin/python3
"""The examples of kith-promise(5): each is good, with the families that kithd's own plugins give, and without a warning that its text does not ask for."""
import json
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


def check(name, content, *more):
    path = os.path.join(folder, "%s.promise" % name)
    with open(path, "w") as f:
        f.write(content)
    p = subprocess.run([KITH, "check", *more, path], capture_output=True, text=True, env=environment())
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

with suite.check("what was understood is said in plain English, of each example"):
    for n, (what, content) in enumerate(found):
        status, said = check(str(n), content, "--explain")
        assert status == 0 and said.count(" promises") >= content.count("promise "), said + content

MEANT = """b.disk ({file}:6)
    Each df:* promises ops and db1 that df:*:free_percent is at least 10 % (once it was not, by 2 % more), and what the trend over 60 min makes of \
df:*:free in 4 h is more than 0 B.
    It is in force between 08:00 and 20:00 on mon..fri; otherwise it is unknown.
    It is for hosts where os is not "none": this is one.
    While b.mounted is broken it is unknown.
    It is broken when that has failed for 10 s.
    It is kept again when that has held for 60 s.
    To break it is a matter of severity "critical".
    When it becomes broken, it runs /usr/bin/logger full as nobody, at most 3 times in 10 min, stopped after 30 s.
"""
with suite.check("word for word"):
    content = """bundle b {
    only on not os == "none"
    let little = 10%

    promise mounted { promiser df:* keep df:*:state == "rw" }
    promise disk {
        promiser df:*
        promisee ops, db1
        keep     not df:*:free_percent < little margin 2% and forecast(df:*:free, 4h) > 0B
        grace    10s
        settle   1m
        severity critical
        depends  mounted
        between  08:00 and 20:00 on mon..fri
        on broken run "/usr/bin/logger" "full" at most 3 per 10m as nobody
    }
}
"""
    status, said = check("words", content, "--explain")
    assert MEANT.format(file=os.path.join(folder, "words.promise")) in said, said
    status, said = check("words", content, "--json", "--explain")
    means = {x["name"]: x["means"] for x in json.loads(said) if "means" in x}
    assert set(means) == {"b.mounted", "b.disk"} and means["b.disk"].startswith("    Each df:* promises ops and db1"), said

with suite.check("with a fault it says that, and nothing of what it means"):
    status, said = check("fault", "bundle b { promise p { promiser x keep memory:available > 5% } }", "--explain")
    assert status == 1 and "cannot be compared" in said and "promises that" not in said, said

suite.end()
