#!/usr/bin/python3
"""The shape of the sources: who includes whom, how long files and functions are, what the shared objects show, what manual pages and
shipped promises are worth. Needs no daemon."""
import glob
import os
import re
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from kithtest import BUILD, BUNDLES, KITHD, PLUGINS, SOURCE, Skip, Suite  # noqa: E402

# A module may include its own files, those of these modules, and single files that are named
MAY = {
    "base": [],
    "loop": ["base"],
    "model": ["base", "plugins/plugin.h"],
    "source": ["base", "loop", "plugins/plugin.h", "plugins/sources"],
    "conf": ["base", "plugins/plugin.h"],
    "host": ["base", "loop", "model", "source", "conf", "plugins/plugin.h"],
    "promises": ["base", "model", "plugins/plugin.h"],
    "control": ["base", "loop", "model", "promises", "store"],
    "cli": ["base", "daemon/control/client.h", "daemon/control/control.pb-c.h"],
    "store": ["base", "model", "plugins/plugin.h"],
    # kith-fold and kith-log, programs of their own that answer requests
    "store/fold": ["base", "store", "plugins/plugin.h", "daemon/control/control.pb-c.h", "daemon/control/frame.h", "daemon/control/pattern.h"],
    "store/log": ["base", "store", "daemon/control/control.pb-c.h", "daemon/control/frame.h", "daemon/control/pattern.h", "promises/regex.h"],
    "plugin": ["plugins/plugin.h", "plugins/sources", "plugin:lines"],
    "exporter": ["plugins/plugin.h", "plugins/sources"],
}
# System headers that are the affair of few: pattern -> modules
FEW = [
    (r"ev(\+\+)?\.h", ["loop"]),
    (r"(netlink/.*|linux/(netlink|rtnetlink|genetlink|connector|cn_proc)\.h)", ["source"]),
    (r"rrd.*", ["store/fold"]),
    (r"jansson\.h", ["cli"]),
    (r"(google/protobuf-c/|protobuf-c/).*", ["control"]),
    (r"dlfcn\.h", ["host", "store/fold"]),
    (r"pthread\.h", ["host", "store", "store/log"]),
    (r"zstd\.h", ["store"]),
    (r"systemd/sd-journal\.h", ["store/log"]),
]
EXCEPT = {
    "daemon/host/needs.c": ["linux/netlink.h"],  # the numbers of protocols that a plugin may need
    "plugins/file/work.c": ["dlfcn.h"],  # a library that is mapped only when somebody asks for what it does
}
FUNCTION_MAX, FUNCTION_LONG, FILE_MAX = 80, 60, 800
# Mutable state outside of contexts: the log's, a counter of each thread, and the host's name, read anew at each call
STATE = {"log_level", "log_syslog", "alloc_calls", "daemon/answer.o name"}
suite = Suite()


def sources(*folders):
    """Paths of .c and .h, from the top"""
    found = []
    for folder in folders or ("daemon", "promises", "plugins", "exporters"):
        for at, _, names in os.walk(os.path.join(SOURCE, folder)):
            found += [os.path.relpath(os.path.join(at, n), SOURCE) for n in names if n.endswith((".c", ".h"))]
    return sorted(found)


def text_of(path):
    with open(os.path.join(SOURCE, path), encoding="utf-8") as f:
        return f.read()


def module_of(path):
    parts = path.split("/")
    if parts[0] == "promises":
        return "promises"
    if path.startswith("daemon/store/fold/"):
        return "store/fold"
    if path.startswith("daemon/store/log/"):
        return "store/log"
    if parts[0] == "daemon":
        return parts[1] if len(parts) > 2 else "main"
    if path.startswith("plugins/sources/"):
        return "plugins/sources"
    if len(parts) > 2:
        return {"plugins": "plugin", "exporters": "exporter"}[parts[0]] + ":" + parts[1]
    return path


def includes(path):
    """(line, quoted?, what)"""
    for number, line in enumerate(text_of(path).splitlines(), 1):
        m = re.match(r'\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)', line)
        if m:
            yield number, m.group(1) is not None, m.group(1) or m.group(2)


def resolve(path, name):
    """Of a quoted include: the file from the top, of the sources or made by the build; None where there is none"""
    for folder in (os.path.dirname(path), "daemon", "plugins", ""):
        candidate = os.path.normpath(os.path.join(folder, name))
        if any(os.path.exists(os.path.join(top, candidate)) for top in (SOURCE, BUILD)):
            return candidate
    return None


def allowed(path, target):
    module, other = module_of(path), module_of(target)
    if module == "main" or other == module or target == "config.h" and not module.startswith(("plugin", "exporter")):
        return True
    may = MAY.get(module.split(":")[0])
    return may is not None and (other in may or target in may)


def none_of(bad):
    assert not bad, "\n" + "\n".join(bad)


with suite.check("who includes whom"):
    bad, edges = [], set()
    for path in sources():
        for line, quoted, name in includes(path):
            if not quoted:
                continue
            target = resolve(path, name)
            if target is None:
                bad.append('%s:%d: "%s" is found nowhere' % (path, line, name))
            elif not allowed(path, target):
                bad.append("%s:%d: %s may not include %s" % (path, line, module_of(path), target))
            else:
                edges.add((module_of(path), module_of(target)))
    none_of(bad)
    # Were nothing found, nothing would be bad
    assert {("host", "model"), ("host", "source"), ("control", "promises"), ("cli", "control"), ("plugin:df", "plugins/plugin.h"),
            ("main", "host")} <= edges, sorted(edges)

with suite.check("libraries that are the affair of one: libev, netlink, librrd, jansson, protobuf-c, dlopen, threads"):
    bad, users = [], set()
    for path in sources():
        for line, _, name in includes(path):
            for pattern, modules in FEW:
                if not re.fullmatch(pattern, name):
                    continue
                few = any(path.startswith(place) and name in names for place, names in EXCEPT.items())
                if module_of(path) in modules:
                    users.add(module_of(path))
                elif not few:
                    bad.append("%s:%d: <%s> is for %s alone" % (path, line, name, " and ".join(modules) or "nobody"))
    none_of(bad)
    assert {"loop", "source", "cli", "host"} <= users, users

with suite.check("kithd is linked against what it needs alone: no librrd, nothing of kith's"):
    out = subprocess.run(["readelf", "-d", KITHD], capture_output=True, text=True, check=True).stdout
    needed = re.findall(r"\(NEEDED\).*\[(.*?)\]", out)
    wanted = r"lib(ev|protobuf-c|nl-3|tre|zstd|m|c|asan|ubsan|gcc_s|dl|pthread)\.so.*|ld-linux.*"
    none_of([lib for lib in needed if not re.fullmatch(wanted, lib)])
    assert any(lib.startswith("libev.") for lib in needed), needed

with suite.check("librrd is mapped by kith-fold alone, and neither kithd nor kith knows of it"):
    for name in ("kithd", "kith", "kith-fold"):
        program = os.path.join(BUILD, name)
        out = subprocess.run(["readelf", "-d", program], capture_output=True, text=True, check=True).stdout
        none_of([line for line in out.splitlines() if "(NEEDED)" in line and re.search(r"rrd|cairo|pango", line)])
        with open(program, "rb") as f:
            assert (b"librrd.so" in f.read()) == (name == "kith-fold"), name

with suite.check("plugins show one symbol, kith_plugin, and need nothing of kithd's"):
    objects = glob.glob(os.path.join(PLUGINS, "*.so"))
    assert len(objects) >= 10, objects
    bad = []
    for path in objects:
        out = subprocess.run(["nm", "-D", "--defined-only", path], capture_output=True, text=True, check=True).stdout
        names = {line.split()[-1] for line in out.splitlines()}
        if {n for n in names if not n.startswith("__odr_asan.")} != {"kith_plugin"}:
            bad.append("%s shows %s" % (os.path.basename(path), ", ".join(sorted(names))))
        out = subprocess.run(["nm", "-D", "--undefined-only", path], capture_output=True, text=True, check=True).stdout
        bad += ["%s asks for %s" % (os.path.basename(path), line.split()[-1]) for line in out.splitlines()
                if re.match(r"(kith|model|loop|host|log|buf|promises)_", line.split()[-1])]
    none_of(bad)

with suite.check("no mutable state at file level"):
    objects = [p for folder in ("daemon", "plugins", "promises", "exporters")
               for p in glob.glob(os.path.join(BUILD, folder, "**", "*.o"), recursive=True)]
    assert len(objects) > 50, objects
    bad, seen = [], set()
    for path in objects:
        out = subprocess.run(["nm", "-f", "sysv", path], capture_output=True, text=True, check=True).stdout
        for line in out.splitlines():
            parts = [p.strip() for p in line.split("|")]
            if len(parts) < 7 or not re.fullmatch(r"\.t?(bss|data)(\.(?!rel\.ro).*)?|\*COM\*", parts[6]):
                continue
            name = re.sub(r"\.\d+$", "", parts[0])
            if name in STATE or "%s %s" % (os.path.relpath(path, BUILD), name) in STATE:
                seen.add(name)
            elif not name.startswith((".", "__odr_asan", "__asan", "_ub_")):
                bad.append("%s: %s" % (os.path.relpath(path, BUILD), name))
    none_of(bad)
    assert "log_level" in seen, seen


def functions(path):
    """(name, its first line, lines of its body): K&R, so that a function's braces stand in the first column"""
    lines, begin, name = text_of(path).splitlines(), None, None
    for number, line in enumerate(lines, 1):
        if line == "{":
            begin = number
            # Its name is on the last line before that begins in the first column
            head = next(x for x in reversed(lines[:number - 1]) if x and not x[0].isspace())
            m = re.search(r"(\w+)\s*\(", head)
            name = m.group(1) if m else head
        elif line.startswith("}") and begin:
            yield name, begin, number - begin - 1
            begin = None


with suite.check("functions of at most %d lines" % FUNCTION_MAX):
    found = [(length, path, line, name) for path in sources() for name, line, length in functions(path)]
    assert len(found) > 500, len(found)
    for length, path, line, name in sorted(found, reverse=True):
        if length > FUNCTION_LONG:
            print("# %s:%d: %s has %d lines" % (path, line, name, length))
    print("# %d functions, the middle one of %d lines" % (len(found), sorted(found)[len(found) // 2][0]))
    none_of(["%s:%d: %s has %d lines" % (p, line, name, n) for n, p, line, name in found if n > FUNCTION_MAX])

with suite.check("files of at most %d lines" % FILE_MAX):
    lengths = sorted(((len(text_of(p).splitlines()), p) for p in sources()), reverse=True)
    print("# the longest: " + ", ".join("%s %d" % (p, n) for n, p in lengths[:3]))
    none_of(["%s has %d lines" % (p, n) for n, p in lengths if n > FILE_MAX])

with suite.check("no file defines _GNU_SOURCE itself: the build does"):
    none_of([p for p in sources() if re.search(r"^\s*#\s*define\s+_GNU_SOURCE", text_of(p), re.M)])

with suite.check("the headers of plugins need libc alone, and are C99 and C++11"):
    names = {name for _, quoted, name in includes("plugins/plugin.h")}
    assert names == {"math.h", "stddef.h", "stdint.h", "string.h"}, names
    headers = [os.path.join(SOURCE, "plugins", "plugin.h"), *sorted(glob.glob(os.path.join(SOURCE, "plugins", "sources", "*.h")))]
    for header in headers[1:]:
        names = {name for _, quoted, name in includes(os.path.relpath(header, SOURCE))}
        assert names <= {"math.h", "stddef.h", "stdint.h", "string.h"}, (header, names)
    for compiler, options in (("gcc", ["-xc", "-std=c99"]), ("g++", ["-xc++", "-std=c++11"]),
                              ("clang", ["-xc", "-std=c99"]), ("clang++", ["-xc++", "-std=c++11"])):
        if not shutil.which(compiler):
            continue
        p = subprocess.run([compiler, *options, "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only", "-"],
                           input="".join('#include "%s"\n' % x for x in headers), capture_output=True, text=True)
        assert p.returncode == 0, "%s: %s" % (compiler, p.stderr)

with suite.check("manual pages have no fault that mandoc knows of"):
    pages = [p for folder in ("daemon", "promises", "plugins", "exporters")
             for p in glob.glob(os.path.join(SOURCE, folder, "**", "*.[1-8]"), recursive=True)]
    assert len(pages) >= 3, pages
    if not shutil.which("mandoc"):
        raise Skip("mandoc is not installed")
    made = os.path.join(BUILD, "plugins", "kith-sources.7")
    assert os.path.getsize(made) > 10000, made
    p = subprocess.run(["mandoc", "-Tlint", "-W", "warning", *pages, made], capture_output=True, text=True)
    assert p.returncode == 0, p.stdout

with suite.check("the promises that are shipped pass kithd's check, each alone and all together"):
    bundles = sorted(glob.glob(os.path.join(BUNDLES, "*.promise")))
    assert len(bundles) >= 3, bundles
    for files in [[b] for b in bundles] + [bundles]:
        p = subprocess.run([KITHD, "--check", *files], capture_output=True, text=True)
        assert p.returncode == 0 and not p.stderr, p.stdout + p.stderr

with suite.check("a promise with a fault does not pass it"):
    bad = os.path.join(suite.folder(), "bad.promise")
    with open(bad, "w") as f:
        f.write("bundle b {\n    promise p {\n        promiser load\n        keep load:1n < 1\n    }\n}\n")
    p = subprocess.run([KITHD, "--check", bad], capture_output=True, text=True)
    assert p.returncode == 1 and "bad.promise:4:" in p.stdout + p.stderr, (p.returncode, p.stdout, p.stderr)

suite.end()
