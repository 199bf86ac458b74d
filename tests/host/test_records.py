#!/usr/bin/python3
"""The record store and kith log: what is written is there after any death, once; what is asked for is what a naive look gives."""
import contextlib
import json
import os
import random
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from kithtest import BUILD, KITH, Skip, Suite, environment, scale, wait_for, write_file  # noqa: E402

FEED = os.path.join(BUILD, "tests", "host", "records_feed")
KITH_LOG = os.path.join(BUILD, "kith-log")
BASE = 1790000000
PRIORITIES = ["emergency", "alert", "critical", "error", "warning", "notice", "info", "debug"]
KILLS = int(os.environ.get("KITH_KILLS") or scale(40, 15))
suite = Suite()


def record(i):
    """What records_feed puts as number i, as kith log --json shows it"""
    return {"time": i, "priority": PRIORITIES[i % 8], "subject": "f%d:x%d" % (i % 5, i % 13),
            "message": "Message number_%d of many, word%d" % (i, i % 97),
            "fields": {"n": str(i), "kind": "odd" if i % 2 else "even"}, "source": "kith"}


def feed(state, first, count, *more):
    subprocess.run([FEED, state, str(first), str(count), *map(str, more)], check=True, stdout=subprocess.DEVNULL, env=environment())


def varint(n):
    out = b""
    while n >= 0x80:
        out += bytes([n & 0x7f | 0x80])
        n >>= 7
    return out + bytes([n])


def ask_log(state, **options):
    """kith-log by itself: the frames that it writes"""
    body = b""
    for number, value in options.items():
        number = int(number[1:])
        body += varint(number << 3 | 2) + varint(len(value)) + value if isinstance(value, bytes) else varint(number << 3) + varint(value)
    request = varint(22 << 3 | 2) + varint(len(body)) + body
    p = subprocess.run([KITH_LOG, "--state-dir", state], input=struct.pack("<I", len(request)) + request, capture_output=True,
                       env=environment(), timeout=60)
    frames, at = [], 0
    while at < len(p.stdout):
        size, = struct.unpack_from("<I", p.stdout, at)
        frames.append(p.stdout[at + 4:at + 4 + size])
        at += 4 + size
    assert frames and frames[-1][0] >> 3 == 1, (p.returncode, p.stderr, frames[-1:])
    return frames


def numbers(state):
    """Of all records, in order"""
    found = []
    for f in ask_log(state, _9=1):
        m = re.search(rb"number_(\d+) of", f)
        if m:
            found.append(int(m.group(1)))
    return found


def verify(state):
    p = subprocess.run([KITH_LOG, "--verify", "--state-dir", state], capture_output=True, text=True, env=environment())
    return p.returncode, p.stdout


with suite.check("killed at random moments under load, %d times: none lost that was written, none doubled" % KILLS):
    state = suite.folder()
    rng = random.Random(int(os.environ.get("KITH_SEED", "7")))
    written, first = -1, 0
    for kill in range(KILLS):
        p = subprocess.Popen([FEED, state, str(first), "10000000", "16384"], stdout=subprocess.PIPE, env=environment())
        p.stdout.readline()
        time.sleep(rng.random() * 0.04)
        p.kill()
        out = p.stdout.read().split(b"\n")[:-1]
        p.wait()
        p.stdout.close()
        written = max([written] + [int(x) for x in out])
        first = max(int(m.group(1)) for f in ask_log(state, _9=1, _7=1) if (m := re.search(rb"number_(\d+) of", f))) + 1
        assert first > written, (first, written)
    found = numbers(state)
    assert found == list(range(first)), "doubled, out of order, or with gaps: %d of %d" % (len(found), first)
    feed(state, first, 10, 16384)
    code, said = verify(state)
    assert code == 0, said
    print("# %d records over %d lives: %s" % (first, KILLS, said.strip()))

with suite.check("kith-log --verify: says what is wrong, mends it, and then all is well"):
    state = suite.folder()
    feed(state, 0, 60000, 16384, 2 << 20)
    folder = os.path.join(state, "records")
    blocks = sorted(x for x in os.listdir(folder) if x.endswith(".blocks"))
    assert len(blocks) >= 2, blocks
    assert verify(state)[0] == 0
    before = numbers(state)
    # The index of the first is cut off
    path = os.path.join(folder, blocks[0])
    os.truncate(path, os.path.getsize(path) - 5)
    assert numbers(state) == before
    def by_fold(*args):
        p = subprocess.run([os.path.join(BUILD, "kith-fold"), "--verify", "--state-dir", state, *args], capture_output=True, text=True, env=environment())
        return p.returncode, p.stdout
    os.mkdir(os.path.join(state, "journal"))
    # kith-fold has the records looked at too, and changes nothing unasked
    for _ in range(2):
        code, said = by_fold()
        assert code == 1 and blocks[0] in said and "made anew" not in said and "nothing was mended" in said, said
    code, said = by_fold("--repair")
    assert code == 1 and blocks[0] in said and "made anew" in said, said
    assert by_fold()[0] == 0
    os.truncate(path, os.path.getsize(path) - 5)
    code, said = verify(state)
    assert code == 1 and blocks[0] in said and "made anew" in said, said
    assert verify(state)[0] == 0 and numbers(state) == before
    # Half a block at the end of the last, half a frame at the end of an open file
    feed(state, 60000, 20, 1 << 20)
    opened = [x for x in os.listdir(folder) if x.endswith(".open")]
    assert opened
    with open(os.path.join(folder, blocks[-1]), "ab") as f:
        with open(path, "rb") as first_block:
            f.write(first_block.read(300))
    with open(os.path.join(folder, opened[-1]), "ab") as f:
        f.write(b"KRF1" + bytes(30))
    code, said = verify(state)
    assert code == 1 and opened[-1] in said, said
    code, said = verify(state)
    assert code == 0, said
    assert numbers(state) == before + list(range(60000, 60020))
    # A byte of a block
    with open(path, "r+b") as f:
        f.seek(3000)
        byte = f.read(1)
        f.seek(3000)
        f.write(bytes([byte[0] ^ 4]))
    code, said = verify(state)
    assert code == 1 and "damaged" in said, said
    left = numbers(state)
    assert 0 < len(before) + 20 - len(left) < 300, len(left)


def log(d, *args):
    p = subprocess.run([KITH, "-s", d.socket, "log", "--json", *args], capture_output=True, text=True, env=environment(), timeout=60)
    assert p.returncode in (0, 1), (args, p.returncode, p.stderr)
    assert p.returncode == (0 if p.stdout else 1), (args, p.returncode)
    return [json.loads(x) for x in p.stdout.splitlines()]


def stamp(text):
    """Milliseconds since BASE, as the record's number"""
    seconds, fraction = re.fullmatch(r"(.*?)(?:\.(\d+))?Z", text).groups()
    return (int(time.mktime(time.strptime(seconds + " UTC", "%Y-%m-%dT%H:%M:%S %Z"))) - time.timezone - BASE) * 1000 + \
        int(((fraction or "0") + "000")[:3])


N = 30000
state = suite.folder()
feed(state, 0, N, 32768)
everything = [record(i) for i in range(N)]
FED = ("f0:*", "f1:*", "f2:*", "f3:*", "f4:*")
START = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(BASE - 1))


def when(ms):
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(BASE + ms // 1000)) + ".%03dZ" % (ms % 1000)


def same(got, want, what):
    for g in got:
        g["time"] = stamp(g["time"])
    assert got == want, "%s: %d instead of %d; first %s, %s" % (what, len(got), len(want), got[:1], want[:1])


with suite.check("kith log with each option and many together gives what a naive look gives"), suite.daemon(conf="interval = 1s\n") as d:
    d.stop()
    shutil.rmtree(os.path.join(d.state, "records"))
    shutil.copytree(os.path.join(state, "records"), os.path.join(d.state, "records"))
    d.start()
    same(log(d, "--own", "--since", START, *FED), everything, "everything")
    same(log(d, "--own", *FED), everything[-50:], "the last page")
    same(log(d, "--own", "-n", "3", *FED), everything[-3:], "the last three")
    same(log(d, "--own", "-n", "7000", *FED), everything[-7000:], "the last 7000")
    same(log(d, "--since", START, "f1:x1"), [r for r in everything if r["subject"] == "f1:x1"], "a subject")
    same(log(d, "--since", START, "f1", "f2:x*"), [r for r in everything if r["subject"][:2] in ("f1", "f2")], "patterns")
    same(log(d, "--since", when(7000), "--until", when(9000), *FED), everything[7000:9001], "a span")
    for p in range(8):
        same(log(d, "--since", START, "--priority", PRIORITIES[p], *FED), [r for r in everything if PRIORITIES.index(r["priority"]) <= p], p)
    for grep in ("number_1234 ", "word9", "ord96$", "^Message number_2", "number_(77|88)0 of", "77|88", "[0-9]7 of", "number_29999", "Mes+age number_5",
                 "many, word1$", "no such thing", "x*number_12", ", word", "\\<word13\\>", "number_12{2}3 ", "\\.", "number_1?7 of"):
        expression = re.compile(grep.replace("\\<", "\\b").replace("\\>", "\\b"))
        same(log(d, "--since", START, "--grep", grep, *FED), [r for r in everything if expression.search(r["message"])], grep)
        same(log(d, "--grep", grep, "-n", "5", *FED), [r for r in everything if expression.search(r["message"])][-5:], grep)
    same(log(d, "--since", START, "--fields", "n=4711", *FED), [everything[4711]], "a field")
    same(log(d, "--since", START, "--fields", "n=4711,kind=even", *FED), [], "fields that exclude each other")
    same(log(d, "--since", START, "--fields", "kind=odd", "--fields", "n=4711", *FED), [everything[4711]], "fields twice")
    rng = random.Random(3)
    for _ in range(20):
        a, b, p, last = rng.randrange(N), rng.randrange(N), rng.randrange(8), rng.choice([1, 10, 500])
        a, b = min(a, b), max(a, b)
        word, kind, subject = "word%d" % rng.randrange(97), rng.choice(["odd", "even"]), "f%d" % rng.randrange(5)
        want = [r for r in everything[a:b + 1] if PRIORITIES.index(r["priority"]) <= p and word in r["message"] and
                r["fields"]["kind"] == kind and r["subject"].startswith(subject + ":")]
        same(log(d, "--since", when(a), "--until", when(b), "-p", str(p), "--grep", word, "--fields", "kind=" + kind, subject), want, "together")
        same(log(d, "--since", when(a), "--until", when(b), "-p", str(p), "--grep", word, "--fields", "kind=" + kind, "-n", str(last), subject),
             want[-last:], "the last of them")
    for bad in (["--grep", "["], ["--since", "soon"], ["--fields", "x"], ["--priority", "loud"], ["a::"], ["--follow", "--until", "1m"]):
        p = subprocess.run([KITH, "-s", d.socket, "log", *bad], capture_output=True, text=True, env=environment())
        assert p.returncode == 2 and p.stderr.startswith("kith: "), (bad, p.returncode, p.stderr)


def children(d):
    out = subprocess.run(["ps", "--ppid", str(d.process.pid), "-o", "pid=,ni=,comm="], capture_output=True, text=True).stdout
    return [x.split() for x in out.splitlines() if "kith-log" in x]


with suite.check("a reader that goes away ends kith-log; five at once are too many; each has less CPU"), suite.daemon() as d:
    readers = []
    for _ in range(4):
        readers.append(subprocess.Popen([KITH, "-s", d.socket, "log", "--follow"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                        env=environment()))
    wait_for("four of them", lambda: len(children(d)) == 4, alive=d)
    assert all(x[1] == "10" for x in children(d)), children(d)
    p = subprocess.run([KITH, "-s", d.socket, "log"], capture_output=True, text=True, env=environment())
    assert p.returncode == 3 and "try again" in p.stderr, (p.returncode, p.stderr)
    readers[0].kill()
    readers[1].terminate()
    readers[2].stdout.close()
    wait_for("two to end", lambda: len(children(d)) <= 2, alive=d)
    for r in readers:
        r.kill()
        r.wait()
        r.stdout.close()
    wait_for("all to end", lambda: not children(d), alive=d)
    assert isinstance(log(d), list)

with suite.check("a reader that does not read holds kith-log up, and nobody else"), suite.daemon() as d:
    d.stop()
    shutil.rmtree(os.path.join(d.state, "records"))
    shutil.copytree(os.path.join(state, "records"), os.path.join(d.state, "records"))
    d.start()
    slow = subprocess.Popen([KITH, "-s", d.socket, "log", "--json", "--since", START], stdout=subprocess.PIPE, env=environment())
    slow.stdout.readline()
    begin = time.monotonic()
    for _ in range(20):
        d.get("kith:rss")
    assert time.monotonic() - begin < 5
    lines = 1 + sum(1 for _ in slow.stdout)
    assert slow.wait() == 0 and lines >= N, lines
    slow.stdout.close()

with suite.check("subjects with an '@', several fields of one key, values with commas, and expressions that match characters"):
    at = os.path.join(suite.folder(), "log")
    with suite.daemon(conf='plugin syslog { sockets = ["%s"] }\n' % at) as d:
        wait_for("the socket", lambda: os.path.exists(at), alive=d)
        s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        for line in ("<14>Nov 28 11:00:00 user@host: at sign", '<13>1 - h app - - [origin ip="192.0.2.1" ip="192.0.2.129" k="a,b=c"] twice',
                     "<13>Nov 28 11:00:00 app: M\u00fcller \u00c4\u00d6\u00dc stra\u00dfe"):
            s.sendto(line.encode(), at)
        s.close()
        wait_for("the records", lambda: log(d, "-g", "stra"), alive=d)
        for pattern in ("log:user@host", "log:*@*", "log:user@h*", "log:user?host", "log:user@host@" + socket.gethostname(), "log:user@host@localhost"):
            assert [x["subject"] for x in log(d, pattern)] == ["log:user@host"], pattern
        assert not log(d, "log:user@another") and not log(d, "log:app@host")
        p = subprocess.run([KITH, "-s", d.socket, "log", "@another"], capture_output=True, text=True, env=environment())
        assert p.returncode in (2, 3), (p.returncode, p.stderr)
        follow = subprocess.Popen([KITH, "-s", d.socket, "log", "--json", "-f", "log:user@host"], stdout=subprocess.PIPE, text=True, env=environment())
        assert json.loads(follow.stdout.readline())["message"] == "at sign"
        s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        s.sendto(b"<14>Nov 28 11:00:00 other@host: not this", at)
        s.sendto(b"<14>Nov 28 11:00:00 user@host: and this", at)
        s.close()
        assert json.loads(follow.stdout.readline())["message"] == "and this"
        follow.terminate()
        follow.wait()
        follow.stdout.close()
        fields = log(d, "-g", "^twice$")[0]["fields"]
        assert fields["origin_ip"] == ["192.0.2.1", "192.0.2.129"] and fields["origin_k"] == "a,b=c", fields
        for given, n in (("origin_ip=192.0.2.1", 1), ("origin_ip=192.0.2.129,origin_ip=192.0.2.1", 1), ("origin_k=a\\,b=c", 1), ("origin_k=a\\,b=c,origin_ip=192.0.2.1", 1),
                         ("origin_k=a,b=c", 0), ("origin_k=a", 0)):
            assert len(log(d, "--fields", given)) == n, given
        for given, n in (("M.ller", 1), ("^M.{5} .{3} s", 1), ("stra\\we", 1), ("[\u00fcx]ller", 1), ("[\u00e4x]", 0), ("M..ller", 0), ("^.{17}$", 1), ("[[:alpha:]]{6} [[:upper:]]{3} ", 1)):
            assert len([x for x in log(d, "-g", given, "log:app")]) == n, given

with suite.check("--follow shows what was and what comes, once"), \
        suite.daemon(promises={"a.promise": "bundle a { promise low { promiser load\n keep load:1m >= 0 } }\n"}) as d:
    d.wait_promise("a.low", "kept")
    p = subprocess.Popen([KITH, "-s", d.socket, "log", "--json", "--follow", "a.*", "kith"], stdout=subprocess.PIPE, env=environment(), text=True)
    first = json.loads(p.stdout.readline())
    assert first["subject"] in ("load", "kith:promises"), first
    write_file(os.path.join(d.promises, "a.promise"), "bundle a { promise low { promiser load\n keep load:1m < 0\n severity alert } }\n")
    got = [first]
    while got[-1]["fields"].get("to") != "broken":
        got.append(json.loads(p.stdout.readline()))
    assert got[-1]["priority"] == "alert" and got[-1]["fields"]["promise"] == "a.low" and got[-1]["subject"] == "load", got[-1]
    p.send_signal(signal.SIGINT)
    assert p.wait() == 0
    p.stdout.close()
    texts = [(x["time"], x["subject"], x["message"]) for x in got]
    assert len(texts) == len(set(texts)), texts
    # And all of it is there afterwards, by the promise's name
    kept = [x for x in log(d, "a.low") if x["fields"].get("promise")]
    assert [x["fields"]["to"] for x in kept][-1] == "broken", kept

with suite.check("records = off in the configuration, and on again"), suite.daemon(conf="records { enabled = false }\n") as d:
    assert not os.path.exists(os.path.join(d.state, "records"))
    write_file(d.conf, "records { max_size = 1MiB }\n")
    d.wait_log("configuration read")
    wait_for("the folder", lambda: os.path.exists(os.path.join(d.state, "records")), alive=d)

with suite.check("a full disk: kithd goes on, says so, and recovers by itself"):
    if os.geteuid() != 0:
        raise Skip("needs root")
    with suite.daemon(conf="interval = 100ms\n") as d:
        d.stop()
        folder = os.path.join(d.state, "records")
        shutil.rmtree(folder)
        os.mkdir(folder)
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", folder], capture_output=True).returncode:
            raise Skip("no tmpfs can be mounted")
        try:
            filler = os.path.join(folder, "filler")
            with contextlib.suppress(OSError), open(filler, "wb", buffering=0) as f:
                while True:
                    f.write(bytes(4096))
            d.start()
            d.wait_log("records cannot be written: No space left")
            assert d.get("kith:rss")
            os.unlink(filler)
            d.wait_log("records are written again; nothing was lost")
            wait_for("the record of it", lambda: any("cannot be written" in x["message"] for x in log(d, "kith:records")), alive=d)
            d.stop()
        finally:
            subprocess.run(["umount", "-l", folder])

JOURNAL_REMOTE = "/lib/systemd/systemd-journal-remote"

with suite.check("the system's journal in place, in order with own records"):
    if not os.path.exists(JOURNAL_REMOTE):
        raise Skip("systemd-journal-remote is not installed")
    folder = suite.folder()
    entries = ""
    for i in range(300):
        entries += "__REALTIME_TIMESTAMP=%d\n__MONOTONIC_TIMESTAMP=%d\n_BOOT_ID=%032x\nMESSAGE=journal line %d\nPRIORITY=%d\n%s_PID=%d\n" \
                   "SYSLOG_IDENTIFIER=tool\n\n" % ((BASE * 1000 + i * 100) * 1000 + 500, 1000000 + i * 100000, 5, i, i % 8,
                                                   "_SYSTEMD_UNIT=ssh.service\n" if i % 3 == 0 else "", i + 1)
    p = subprocess.run([JOURNAL_REMOTE, "-o", os.path.join(folder, "test.journal"), "-"], input=entries.encode(), capture_output=True)
    if p.returncode:
        raise Skip("systemd-journal-remote: " + p.stderr.decode()[:100])

    def frames(**options):
        body = b"".join(varint(int(k[1:]) << 3 | 2) + varint(len(v)) + v if isinstance(v, bytes) else varint(int(k[1:]) << 3) + varint(v)
                        for k, v in options.items())
        request = varint(22 << 3 | 2) + varint(len(body)) + body
        p = subprocess.run([KITH_LOG, "--state-dir", state, "--journal", folder], input=struct.pack("<I", len(request)) + request,
                           capture_output=True, env=environment(), timeout=60)
        out, at = [], 0
        while at < len(p.stdout):
            size, = struct.unpack_from("<I", p.stdout, at)
            out.append(p.stdout[at + 4:at + 4 + size])
            at += 4 + size
        return [(int(m.group(1)), f) for f in out if (m := re.search(rb"(?:journal line |number_)(\d+)", f))], out

    got, _ = frames(_9=2)
    assert [n for n, _ in got] == list(range(300)), len(got)
    assert b"service:ssh.service" in got[0][1] and b"log:tool" in got[1][1] and b"journal" in got[0][1], got[:2]
    got, _ = frames(_9=2, _1=b"service:*")
    assert [n for n, _ in got] == list(range(0, 300, 3)), got
    got, _ = frames(_9=2, _4=3)
    assert [n for n, _ in got] == [i for i in range(300) if i % 8 <= 2], got
    got, _ = frames(_9=2, _5=b"line 1.7$")
    assert [n for n, _ in got] == [107, 117, 127, 137, 147, 157, 167, 177, 187, 197], got
    got, _ = frames(_9=2, _6=b"pid=11")
    assert [n for n, _ in got] == [10], got
    got, _ = frames(_9=2, _7=4)
    assert [n for n, _ in got] == [296, 297, 298, 299], got
    # Both: merged by time; the journal's line i is half a millisecond behind number 100 i
    got, _ = frames()
    order = [(n * 100 + 0.5 if b"journal line" in f else n) for n, f in got]
    assert len(order) == N + 300 and order == sorted(order)
    got, _ = frames(_7=40)
    order = [(n * 100 + 0.5 if b"journal line" in f else n) for n, f in got]
    want = sorted(list(range(N)) + [i * 100 + 0.5 for i in range(300)])[-40:]
    assert order == want, (order, want)

suite.end()
