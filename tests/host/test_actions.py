#!/usr/bin/python3
"""The actions that are shipped, each against what it is for: a mail server, an HTTP server, a log's socket, s6; and run by kithd."""
import contextlib
import email
import email.policy
import glob
import http.server
import json
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from actiontest import ACTIONS, EVIL, NAMES, act, bad, event, good, script  # noqa: E402
from kithtest import KITH, PLUGINS, TEST_PLUGINS, Skip, Suite, environment, wait_for, write_file  # noqa: E402

suite = Suite()
place = suite.folder()
EVIL = EVIL.format(place)
LONG = "long " * 2000 + "end"
UTF8 = "größer als 漢字 😀"
MESSAGE = {"host": "web1", "time": "2026-11-22T10:00:00Z", "receiver": "ops", "what": "broken",
           "subject": "web1: 2 promises are broken, größte zuerst", "text": "web.a is broken\n\n.\nalso affected: web.b " + UTF8,
           "more": 3, "promises": [
               {"name": "web.a", "promiser": "service:a", "promisees": ["ops"], "what": "broken", "assessment": "broken",
                "severity": "critical", "since": "2026-11-22T09:59:00Z", "because": "down \"x\"",
                "affected": [{"name": "web.c", "promiser": "c"}], "n_affected": 1},
               {"name": "web.b", "promiser": "df:/", "promisees": [], "what": "repeat", "assessment": "broken",
                "severity": "warning", "since": "2026-11-22T09:59:30Z", "because": EVIL, "affected": [], "n_affected": 0},
               {"name": "web.d", "promiser": "df:/d", "promisees": [], "what": "kept", "assessment": "kept", "severity": "warning",
                "since": "2026-11-22T09:00:00Z", "because": "it is well", "affected": [], "n_affected": 0}]}
pwned = os.path.join(place, "pwned")


def needed(*programs):
    for program in programs:
        if not shutil.which(program):
            raise Skip("%s is not installed" % program)


# ---- all of them

with suite.check("they are clean to shellcheck and dash, and can be run"):
    paths = [os.path.join(ACTIONS, n) for n in NAMES]
    assert sorted(os.path.basename(x) for x in glob.glob(ACTIONS + "/[a-z]*") if "." not in os.path.basename(x)) == sorted(NAMES)
    for path in paths:
        assert os.access(path, os.X_OK), path
    needed("dash", "shellcheck")
    for path in paths + [ACTIONS + "/common.sh"]:
        subprocess.run(["dash", "-n", path], check=True)
    p = subprocess.run(["shellcheck", "-s", "sh", "-x", "-P", "SCRIPTDIR", *paths, ACTIONS + "/common.sh"], capture_output=True, text=True)
    assert p.returncode == 0, p.stdout

with suite.check("each says how it is called, with an example that is right"):
    for name in NAMES:
        status, out, err = act(name, "--help")
        assert status == 0 and out.startswith("usage: %s " % name) and not err, (name, err)
        lines = [x.strip() for x in out.splitlines() if re.match(" {4}[a-z]", x)]
        assert any('run "/usr/share/kith/actions/%s"' % name in x for x in lines), lines
        if not any(x.startswith("promiser") for x in lines):
            lines.insert(0, "promiser load")
        file = os.path.join(place, "example.promise")
        write_file(file, "bundle b {\n promise p {\n%s\n keep load:1m < 5\n}\n}\n" % "\n".join(lines))
        p = subprocess.run([KITH, "check", file], capture_output=True, text=True, env=environment())
        assert p.returncode == 0, (name, p.stdout, p.stderr)
    with open(ACTIONS + "/kith-actions.7") as f:
        examples = [x for x in re.findall(r"^\.Bd -literal\n(.*?)^\.Ed", f.read(), re.M | re.S) if x.startswith("bundle")]
    write_file(file, "".join(examples))
    p = subprocess.run([KITH, "check", file], capture_output=True, text=True, env=environment())
    assert p.returncode == 0 and len(examples) == len(NAMES), (p.stdout, p.stderr)

with suite.check("called the wrong way each says so in one line, with exit status 2"):
    wrong = [("mail",), ("mail", "--from"), ("mail", "--nonsense", "a@b.c"), ("mail", "--smtp", "ftp://x", "a@b.c"), ("webhook",),
             ("webhook", "ftp://x"), ("webhook", "http://x", "http://y"), ("webhook", "--format", "yaml", "http://x"),
             ("webhook", "--header", "none", "http://x"), ("webhook", "--header", "A: b\nC: d", "http://x"), ("webhook", "http://x\ny"),
             ("webhook", "--retries", "x", "http://x"), ("webhook", "--retries", "99", "http://x"), ("syslog", "--facility", "kitchen"),
             ("syslog", "x"), ("syslog", "--tag", "a b"), ("syslog", "--port", "70000"), ("restart", "a", "b"), ("restart", "-x"),
             ("restart", "../x"), ("restart", "--wait", "0", "x"), ("ansible",), ("puppet", "x"), ("cfengine", "--what"),
             ("chef", "--run-list", "a", "--named-run-list", "b"), ("puppet", "--lock-wait", "-1")]
    for name, *args in wrong:
        err = bad(act(name, *args), 2, name + ": ")
        assert len(err.splitlines()) == 1, err
    for text in ("", "{", "[]", '{"a":1} x', '{"a":}', "nothing", '{"a' * 50, '{"promise":"x"' + "[" * 100):
        bad(act("webhook", "--test", "http://x", document={}, standard_input=text), 2)
    bad(act("restart", document=event(promiser="df:/var")), 2, "df:/var")

with suite.check("they take the event from standard input, or from the environment when that is empty"):
    for how in ({"env": False}, {"standard_input": ""}):
        out = act("webhook", "--test", "https://example.org", document=event(because=EVIL), **how)[1]
        assert json.loads(out.split(":\n", 1)[1]) == event(because=EVIL), out

with suite.check("whatever bytes a promiser or a reason holds, they arrive, or are left out; none is evaluated"):
    seed = random.randrange(1 << 30)
    print("# seed %d" % seed)
    rnd = random.Random(seed)
    alphabet = '"\'\\$`(){}[]<>|&;*?#%~\n\t\r\x07\x1b\x7f =-_/.:,aé漢😀\u202e'
    for _ in range(12):
        text = "".join(rnd.choice(alphabet) for _ in range(rnd.randrange(200)))
        for fmt in ("kith", "slack", "alertmanager"):
            status, out, err = act("webhook", "--test", "--format", fmt, "http://x", document=event(because=text, promiser="file:" + text),
                                   env=False)
            assert status == 0, err
            got = json.loads(out.split(":\n", 1)[1])
            if fmt == "kith":
                assert got["because"] == text, (got, text)
            elif fmt == "alertmanager":
                assert got[0]["annotations"]["description"] == text and got[0]["labels"]["promiser"] == "file:" + text, (got, text)
    raw = b'{"promise":"a.b","promiser":"df:/\xff\xfe","to":"broken","because":"\xc3(\xe2\x82"}'
    status, out, err = act("webhook", "--test", "http://x", env=False, standard_input=raw)
    assert json.loads(out.split(":\n", 1)[1])["promiser"] == "df:/", out
    for awk in ("gawk", "mawk", "original-awk"):  # each that is here gives the same
        if shutil.which(awk):
            folder = suite.folder()
            os.symlink(shutil.which(awk), folder + "/awk")
            out = act("webhook", "--test", "--format", "slack", "http://x", document=event(because=EVIL + UTF8), path=folder)[1]
            assert "&lt;b&gt;" in json.loads(out.split(":\n", 1)[1])["text"], (awk, out)

# ---- mail


class Mails:
    """A mail server on loopback; msmtp hands over to it what sendmail would"""

    def __init__(self):
        try:
            from aiosmtpd.controller import Controller
        except ImportError:
            raise Skip("python3-aiosmtpd is not installed")
        needed("msmtp")
        self.got = []
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        self.controller = Controller(self, hostname="127.0.0.1", port=self.port)
        self.controller.start()
        config = os.path.join(place, "msmtprc")
        with open(config, "w") as f:
            f.write("account default\nhost 127.0.0.1\nport %d\nfrom kith@example.org\ntimeout 10\n" % self.port)
        os.chmod(config, 0o600)
        self.sendmail = script(place, "sendmail", 'exec msmtp -C "%s" "$@"\n' % config)

    async def handle_DATA(self, server, session, envelope):
        self.got.append((envelope.rcpt_tos, email.message_from_bytes(envelope.content, policy=email.policy.default), envelope))
        return "250 taken"

    def last(self):
        to, mail, envelope = self.got[-1]
        assert not mail.defects, mail.defects
        lines = envelope.content.split(b"\r\n")
        assert max(map(len, lines)) < 998 and all(x < 128 for x in envelope.content), "no mail for every server"
        return to, mail


mails = None
with suite.check("mail: through the host's sendmail to a mail server: subject, body, headers"):
    mails = Mails()
    out = good(act("mail", "--sendmail", mails.sendmail, "ops@example.org", "b@example.org",
                   document=event(because=UTF8, promiser="service:größe")))
    assert "ops@example.org, b@example.org" in " ".join(out.split()), out
    to, mail = mails.last()
    assert to == ["ops@example.org", "b@example.org"], to
    assert mail["Subject"] == "%s: web.door is broken (service:größe)" % os.uname().nodename, mail["Subject"]
    assert mail["Auto-Submitted"] == "auto-generated" and mail["X-Kith-Severity"] == "critical", mail.items()
    body = mail.get_content()
    assert UTF8 in body and "service:größe" in body and "web.door is broken" in body, body

with suite.check("mail: what breaks and what is kept again of one promise stand in one thread, another promise's do not"):
    if not mails:
        raise Skip("there is no mail server")
    ids = []
    for document in (event(), event(before="broken", to="kept", since="2026-11-22T11:00:00Z"), event(promiser="service:other")):
        good(act("mail", "--sendmail", mails.sendmail, "ops@example.org", document=document))
        _, mail = mails.last()
        assert mail["References"] == mail["In-Reply-To"] and mail["Message-ID"] != mail["References"], mail.items()
        ids.append((mail["References"], mail["Message-ID"], mail["Subject"]))
    assert ids[0][0] == ids[1][0] != ids[2][0] and len({x[1] for x in ids}) == 3, ids
    assert ids[1][2].endswith("web.door is kept again (service:nginx.service)"), ids

with suite.check("mail: nothing in a text becomes a header, an address or the end of the mail"):
    if not mails:
        raise Skip("there is no mail server")
    for text in ("x\nBcc: evil@example.org\n\nhello", "x\r\nBcc: evil@example.org", "x\r.\r\n.\nQUIT\n", EVIL, LONG, "é\n" + LONG,
                 "\u0085\u2028Bcc: evil@example.org"):
        good(act("mail", "--sendmail", mails.sendmail, "ops@example.org", document=event(because=text, promiser="file:" + text)))
        to, mail = mails.last()
        assert to == ["ops@example.org"] and mail["Bcc"] is None and len(mail["Subject"]) < 300, (to, mail.items())
        want = " ".join(re.sub(r"[\x00-\x1f]+", " ", text).split())[:7000]
        assert want in " ".join(mail.get_content().split()), mail.get_content()
    for address in ("a@b.c\nBcc: d@e.f", "-oQ/tmp", "", "a@b.c,d@e.f", "a b@c", "<a@b.c>", '"|touch %s"@x' % pwned):
        bad(act("mail", "--sendmail", mails.sendmail, "--", address), 2, "is no mail address")
    assert not os.path.exists(pwned)

with suite.check("mail: a message of several promises, its text line for line"):
    if not mails:
        raise Skip("there is no mail server")
    good(act("mail", "--sendmail", mails.sendmail, "--from", "kith@example.net", "ops@example.org", document=MESSAGE))
    _, mail = mails.last()
    assert mail["Subject"] == MESSAGE["subject"] and mail["From"] == "kith@example.net", mail.items()
    assert mail.get_content().replace("\r\n", "\n").rstrip("\n") == MESSAGE["text"], mail.get_content()

with suite.check("mail: to a mail server itself, with a date of its own"):
    if not mails:
        raise Skip("there is no mail server")
    needed("curl")
    good(act("mail", "--smtp", "smtp://127.0.0.1:%d" % mails.port, "a@example.org", "b@example.org", document=event(because="a\n.\nb")))
    to, mail = mails.last()
    assert to == ["a@example.org", "b@example.org"] and mail["Date"].datetime is not None, (to, mail.items())

with suite.check("mail: one that cannot be sent is a failure that says why"):
    refuse = script(place, "refuse", "cat >/dev/null\necho 'queue is full' >&2\nexit 75\n")
    bad(act("mail", "--sendmail", refuse, "a@b.c"), 1, "queue is full", "75")
    bad(act("mail", "--sendmail", "/nonexistent/sendmail", "a@b.c"), 127, "/nonexistent/sendmail")
    needed("curl")
    bad(act("mail", "--smtp", "smtp://127.0.0.1:1", "a@b.c"), 1, "127.0.0.1:1")

# ---- webhook


class Hooks(http.server.ThreadingHTTPServer):
    """An HTTP server that keeps what it was posted and answers what it is told to; 0: never"""

    daemon_threads = True

    def __init__(self):
        self.got, self.answers, self.text, self.ended = [], [], "so it is", threading.Event()
        super().__init__(("127.0.0.1", 0), Hook)
        self.url = "http://127.0.0.1:%d/hook" % self.server_port
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, request, client_address):
        pass


class Hook(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((self.path, dict(self.headers), body))
        code = self.server.answers.pop(0) if self.server.answers else 200
        if code == 0:
            self.server.ended.wait(30)
            return
        self.send_response(code)
        if 300 <= code < 400:
            self.send_header("Location", "http://127.0.0.1:1/elsewhere")
        self.end_headers()
        self.wfile.write(self.server.text.encode())

    def log_message(self, *args):
        pass


hooks = Hooks()
have_curl = shutil.which("curl")


def need_curl():
    needed("curl")


with suite.check("webhook: posts the document as it is, with its headers; a token stands in nobody's arguments"):
    need_curl()
    token = os.path.join(place, "token")
    with open(token, "w") as f:
        f.write("s3cret-t0ken\n")
    watcher = script(place, "curl", 'tr "\\0" " " </proc/$$/cmdline >>"%s/cmdline"\nexec %s "$@"\n' % (place, have_curl))
    for document in (event(because=EVIL), event(because=LONG + UTF8), MESSAGE):
        good(act("webhook", "--header", 'X-Site: a "b" \\c', "--token-file", token, hooks.url, document=document, path=place))
        where, headers, body = hooks.got[-1]
        assert json.loads(body) == document and where == "/hook", body
        assert headers["Content-Type"] == "application/json" and headers["X-Site"] == 'a "b" \\c', headers
        assert headers["Authorization"] == "Bearer s3cret-t0ken", headers
    with open(place + "/cmdline") as f:
        said = f.read()
    assert said.count("--config") == 3 and "s3cret" not in said, said
    os.remove(watcher)

with suite.check("webhook: what is not 2xx is a failure with its status and the answer's first line"):
    need_curl()
    for code in (500, 404, 401):
        hooks.answers = [code]
        bad(act("webhook", "--retries", "0", hooks.url), 1, "answered %d: so it is" % code)
    hooks.answers = [301]
    bad(act("webhook", hooks.url), 1, "301", "redirection", "127.0.0.1:1/elsewhere")
    hooks.answers, hooks.text = [403], "\x1b[31m" + "x" * 100000 + "\nmore"
    err = bad(act("webhook", hooks.url), 1, "403")
    assert "\x1b" not in err and len(err) < 2500, err
    hooks.text = "so it is"

with suite.check("webhook: a failure that may pass is tried again"):
    need_curl()
    before = len(hooks.got)
    hooks.answers = [503, 200]
    good(act("webhook", hooks.url))
    assert len(hooks.got) == before + 2

with suite.check("webhook: a server that hangs, is not there, or speaks no TLS"):
    need_curl()
    hooks.answers = [0]
    bad(act("webhook", "--retries", "0", "--time", "3", hooks.url), 1, "timed out")
    hooks.ended.set()
    bad(act("webhook", "--retries", "0", "http://127.0.0.1:1/"), 1, "127.0.0.1")
    bad(act("webhook", "--retries", "0", hooks.url.replace("http:", "https:")), 1, "SSL")
    bad(act("webhook", "--token-file", "/nonexistent", hooks.url), 1, "/nonexistent")

with suite.check("webhook: in the shapes of Slack and Alertmanager"):
    need_curl()
    good(act("webhook", "--format", "slack", hooks.url, document=MESSAGE))
    assert json.loads(hooks.got[-1][2])["text"].startswith(MESSAGE["subject"] + "\n" + "web.a is broken\n"), hooks.got[-1]
    good(act("webhook", "--format", "alertmanager", hooks.url, document=MESSAGE))
    alerts = json.loads(hooks.got[-1][2])
    assert [a["labels"]["alertname"] for a in alerts] == ["web.a", "web.b", "web.d"] and alerts[0]["labels"]["instance"] == "web1", alerts
    assert alerts[1]["annotations"]["description"] == EVIL and alerts[0]["startsAt"] == "2026-11-22T09:59:00Z", alerts
    assert alerts[2]["endsAt"] == MESSAGE["time"] and "startsAt" not in alerts[2] and alerts[1]["endsAt"] > MESSAGE["time"], alerts
    good(act("webhook", "--format", "alertmanager", hooks.url, document=event(before="broken", to="kept")))
    alert = json.loads(hooks.got[-1][2])[0]
    assert alert["endsAt"] == event()["since"] and "startsAt" not in alert, alert

# ---- syslog


def received(kind, *args, document, where, **env):
    with socket.socket(where, kind) as s:
        s.settimeout(20)
        if where == socket.AF_UNIX:
            path = os.path.join(place, "log%d" % len(os.listdir(place)))
            s.bind(path)
            args = ("--socket", path, *args)
        else:
            s.bind(("127.0.0.1", 0))
            args = ("--server", "127.0.0.1", "--port", str(s.getsockname()[1]), *args)
        good(act("syslog", *args, document=document, **env))
        return s.recv(65536).decode()


with suite.check("syslog: to a log's socket, each severity as what syslog calls it; kept again is a notice"):
    needed("logger")
    levels = {"emergency": 0, "alert": 1, "critical": 2, "error": 3, "warning": 4, "notice": 5, "info": 6, "debug": 7}
    for severity, level in levels.items():
        got = received(socket.SOCK_DGRAM, "--facility", "local3", document=event(severity=severity, because=EVIL), where=socket.AF_UNIX)
        assert re.match(r"<%d>" % ((16 + 3) * 8 + level), got) and EVIL in got and re.search(r" kith\[\d+\]: ", got), got
    got = received(socket.SOCK_DGRAM, "--tag", "host-kith", document=event(to="kept", before="broken"), where=socket.AF_UNIX)
    assert got.startswith("<%d>" % (3 * 8 + 5)) and "host-kith[" in got and "is kept again" in got, got
    got = received(socket.SOCK_DGRAM, document=event(because="-n --one\n<0>two\x1b[1m"), where=socket.AF_UNIX)
    assert "-n --one <0>two [1m" in got and "\n" not in got, got
    got = received(socket.SOCK_DGRAM, document=MESSAGE, where=socket.AF_UNIX)
    assert MESSAGE["subject"] in got and got.startswith("<26>"), got
    got = received(socket.SOCK_DGRAM, document=MESSAGE, where=socket.AF_UNIX, KITH_SEVERITY="error")
    assert got.startswith("<27>"), got
    got = received(socket.SOCK_DGRAM, document=dict(MESSAGE, what="kept"), where=socket.AF_UNIX)
    assert got.startswith("<29>"), got

with suite.check("syslog: to another host, with structured data"):
    needed("logger")
    got = received(socket.SOCK_DGRAM, document=event(because='a "b" c]d \\e'), where=socket.AF_INET)
    assert got.startswith("<26>1 ") and 'promise="web.door"' in got and r'because="a \"b\" c\]d \\e"' in got, got
    assert 'promiser="service:nginx.service"' in got and "[kith@" in got, got

with suite.check("syslog: no socket there is a failure"):
    needed("logger")
    bad(act("syslog", "--socket", place + "/none"), 1, "none is no socket")

# ---- restart


@contextlib.contextmanager
def s6(services):
    needed("s6-svscan", "s6-svc")
    folder = suite.folder()
    for name, (text, *down) in services.items():
        os.mkdir(os.path.join(folder, name))
        script(os.path.join(folder, name), "run", text)
        if down:
            write_file(os.path.join(folder, name, "down"), "")
    with open(folder + "/../" + os.path.basename(folder) + ".log", "w") as log:
        p = subprocess.Popen(["s6-svscan", folder], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    try:
        for name in services:
            wait_for("s6-supervise of " + name,
                     lambda: subprocess.run(["s6-svok", os.path.join(folder, name)], capture_output=True).returncode == 0)
        yield folder
    finally:
        subprocess.run(["s6-svscanctl", "-t", folder])
        p.wait(20)
        os.remove(log.name)


def s6_pid(folder, name):
    out = subprocess.run(["s6-svstat", "-o", "up,pid", os.path.join(folder, name)], capture_output=True, text=True).stdout.split()
    return int(out[1]) if out[:1] == ["true"] else None


with suite.check("restart: a service under s6, one that is down, one that does not stay, one that there is not"), \
        s6({"web": ("exec sleep 1000\n",), "idle": ("exec sleep 1000\n", "down"), "sick": ("exit 1\n",)}) as folder:
    wait_for("web", lambda: s6_pid(folder, "web"))
    pid = s6_pid(folder, "web")
    out = good(act("restart", "--scandir", folder, "--settle", "0", document=event(promiser="service:web")))
    assert s6_pid(folder, "web") not in (None, pid) and str(s6_pid(folder, "web")) in out, out
    pid = s6_pid(folder, "web")
    good(act("restart", "--scandir", folder, "--settle", "0", "web.service"))
    assert s6_pid(folder, "web") not in (None, pid)
    out = good(act("restart", "--scandir", folder, "--settle", "0", "idle"))
    assert "was down and is up" in out and s6_pid(folder, "idle"), out
    bad(act("restart", "--scandir", folder, "--wait", "3", "--settle", "2", "sick"), 1, "sick")
    bad(act("restart", "--scandir", folder, "none"), 1, "there is no service folder")
    # One that comes and goes may be up whenever it is looked at, or down: what counts is that it is one and the same.
    moments = os.path.join(place, "moments")
    fake = suite.folder()
    for looks in ("0) echo true 10 ;; 1) echo true 11 ;; 2) echo true 12 ;;", "0) echo false -1 ;; 1) echo false -1 ;; *) echo true 12 ;;"):
        write_file(moments, "0\n")
        script(fake, "s6-svstat", 'read n <"%s"\necho $((n + 1)) >"%s"\ncase $n in %s esac\n' % (moments, moments, looks))
        bad(act("restart", "--scandir", folder, "--settle", "0", "web", path=fake), 1, "did not stay", "started once more")
    status, out, err = act("restart", "--scandir", folder, "--test", "web")
    assert status == 0 and out.startswith("would run: s6-svc ") and s6_pid(folder, "web"), (out, err)

# ---- configuration management: how they are called. tests/peers runs the tools themselves; Debian has no chef-client.

recorder = suite.folder()


def recorded(tool, action, *args, document=None, text="", status=0):
    """A run with a tool that only writes down how it was called: (its arguments, what the action said)"""
    place_of = os.path.join(recorder, "called")
    script(recorder, tool, 'for x in "$@"; do printf "%%s\\0" "$x"; done >"%s"\nenv -0 >"%s.env"\n%sexit %d\n'
           % (place_of, place_of, text, status))
    result = act(action, *args, document=document, path=recorder)
    with open(place_of) as f:
        return f.read().split("\0")[:-1], result


with suite.check("chef: what chef-client is called with, and the attributes of the node"):
    copy = os.path.join(recorder, "attributes")
    keep = 'while [ $# -gt 1 ]; do [ "$1" = --json-attributes ] && cp "$2" "%s"; shift; done\n' % copy
    argv, result = recorded("chef-client", "chef", "--run-list", "recipe[%i],role[%f]", "--", "--why-run", document=event(because=EVIL), text=keep)
    good(result)
    assert argv[:2] == ["--once", "--no-color"] and argv[-1] == "--why-run", argv
    assert argv[argv.index("--override-runlist") + 1] == "recipe[nginx],role[service]", argv
    with open(copy) as f:
        assert json.load(f) == {"kith": event(because=EVIL)}
    assert not os.path.exists(argv[argv.index("--json-attributes") + 1]), "the file stays behind"
    argv, result = recorded("chef-client", "chef", "--named-run-list", "kith_%n", document=event(promiser="df:/var/lib"))
    assert argv[argv.index("--named-run-list") + 1] == "kith_df_var_lib", argv
    bad(recorded("chef-client", "chef", text="echo FATAL: no cookbook\n", status=1)[1], 1, "exit status 1", "FATAL: no cookbook")
    assert "has to be started anew" in good(recorded("chef-client", "chef", status=37)[1])

with suite.check("puppet: what puppet agent is called with, and what its exit statuses mean"):
    argv, result = recorded("puppet", "puppet", "--environment", "web", "--noop", "--tags", "x,kith_%n", "--", "--waitforlock", "9", status=0,
                            document=event(because=EVIL))
    assert "nothing to change in what is tagged x,kith_service_nginx" in good(result)
    assert argv == ["agent", "--onetime", "--no-daemonize", "--no-usecacheonfailure", "--verbose", "--detailed-exitcodes", "--color=false",
                    "--tags", "x,kith_service_nginx", "--environment", "web", "--noop", "--waitforlock", "9"], argv
    with open(recorder + "/called.env") as f:
        env = dict(x.split("=", 1) for x in f.read().split("\0") if "=" in x)
    assert env["FACTER_kith_because"] == EVIL and env["FACTER_kith_promiser"] == "service:nginx.service", env
    assert "puppet changed" in good(recorded("puppet", "puppet", status=2)[1])
    for status, text, code, words in ((4, "echo Error: no such package\n", 1, "Error: no such package"), (6, "", 1, "could not set right"),
                                      (1, "echo Run of Puppet configuration client already in progress\n", 75, "runs already"),
                                      (1, "echo 'Skipping run: administratively disabled'\n", 1, "puppet agent --enable"),
                                      (1, "echo Could not retrieve catalog\n", 1, "Could not retrieve catalog")):
        bad(recorded("puppet", "puppet", text=text, status=status)[1], code, words)

with suite.check("a tool that is not installed is one clear line"):
    if shutil.which("chef-client"):
        raise Skip("chef-client is installed")
    err = bad(act("chef"), 127, "chef-client is not installed here")
    assert len(err.splitlines()) == 1, err



def waits(path):
    """Whether that process waits for the lock of a run"""
    with contextlib.suppress(OSError):
        with open(path, "rb") as f:
            return f.read() == b"flock\0-w\x0020\x009\0"
    return False


with suite.check("no two runs of a tool at once: the second one waits, says so, or gives up"):
    needed("flock")
    gate = os.path.join(recorder, "gate")
    os.mkfifo(gate)
    script(recorder, "chef-client", 'echo x >>"%s/runs"\nread line <"%s"\n' % (recorder, gate))
    first = threading.Thread(target=lambda: outcome.append(act("chef", path=recorder)))
    outcome = []
    first.start()
    wait_for("the first run", lambda: os.path.exists(recorder + "/runs"))
    bad(act("chef", "--lock-wait", "0", path=recorder), 75, "another run of chef", "nothing was started")
    second = threading.Thread(target=lambda: outcome.append(act("chef", path=recorder)))
    second.start()
    wait_for("the second to wait", lambda: [x for x in glob.glob("/proc/[0-9]*/cmdline") if waits(x)])
    for _ in range(2):
        with open(gate, "w") as f:
            f.write("go\n")
        wait_for("a run to end", lambda: len(outcome) > _)
    first.join()
    second.join()
    assert "after another run had ended" in good(outcome[1]) and "after" not in good(outcome[0]), outcome

with suite.check("a promiser names the resource: a service, a file, a file system, odd characters"):
    for promiser, name in (("service:nginx.service", "service_nginx"), ("file:/etc/passwd", "file_etc_passwd"), ("df:/var", "df_var"),
                           ("load", "load"), ("service:getty@tty1.service", "service_getty_tty1"), ("df:/", "df"),
                           ("file:/ä b/$(x)\n--y", "file_b_x_y"), ("interface:eth0", "interface_eth0")):
        argv, result = recorded("chef-client", "chef", "--named-run-list", "%n", document=event(promiser=promiser))
        assert argv[argv.index("--named-run-list") + 1] == name, argv
    assert not os.path.exists(pwned)

# ---- with kithd

with suite.check("run by kithd: a promise that breaks posts, one that is kept again mails, and the records say how it went"):
    need_curl()
    value = os.path.join(place, "value")
    write_file(value, "1")
    plugins = suite.folder()
    shutil.copy(os.path.join(TEST_PLUGINS, "probe.so"), plugins)
    out = os.path.join(place, "mail")
    sendmail = script(place, "keep-mail", 'cat >"%s.new" && mv "%s.new" "%s"\n' % (out, out, out))
    text = ('bundle b {\n promise one {\n promiser probe:0\n keep probe:0:value < 5\n severity error\n'
            ' on broken run "%s/webhook" "%s"\n on kept run "%s/mail" "--sendmail" "%s" "ops@example.org"\n }\n'
            ' promise two {\n promiser probe:0\n keep probe:0:value < 5\n on broken run "%s/mail" "nobody at all"\n }\n}\n'
            % (ACTIONS, hooks.url, ACTIONS, sendmail, ACTIONS))
    with suite.daemon(conf='interval = 100ms\nplugin probe { from = "%s" }\n' % value, plugins=(PLUGINS, plugins),
                      promises={"a.promise": text}) as d:
        d.wait_promise("b.one", "kept")
        wait_for("the mail of the beginning", lambda: os.path.exists(out), alive=d)
        os.remove(out)
        watch = d.watch("--records")
        before = len(hooks.got)
        write_file(value, "7")
        wait_for("the post", lambda: len(hooks.got) > before, alive=d)
        document = json.loads(hooks.got[-1][2])
        assert document["promise"] == "b.one" and document["to"] == "broken" and "7" in document["because"], document

        def record(promise, program, words):
            return watch.wait("the record of " + program, lambda x: x["kind"] == "record" and x["subject"] == promise and
                              x["fields"].get("program", "").endswith(program) and words in x["message"])
        assert record("b.one", "/webhook", "ran")["fields"]["output"] == "posted to %s: 200" % hooks.url
        assert record("b.two", "/mail", "exit status 2")["fields"]["output"] == 'mail: "nobody at all" is no mail address'
        write_file(value, "1")
        wait_for("the mail", lambda: os.path.exists(out), alive=d)
        with open(out, "rb") as f:
            mail = email.message_from_binary_file(f, policy=email.policy.default)
        assert mail["Subject"].endswith(": b.one is kept again (probe:0)"), mail.items()
        record("b.one", "/mail", "ran")
        watch.end()

with suite.check("run by kithd for a person: what breaks, and that it is kept again, are mails of one thread"):
    if not mails:
        raise Skip("there is no mail server")
    value = os.path.join(place, "value")
    write_file(value, "1")
    plugins = suite.folder()
    shutil.copy(os.path.join(TEST_PLUGINS, "probe.so"), plugins)
    conf = ('interval = 100ms\nplugin probe { from = "%s" }\nnotify ops {\n run = ["%s/mail", "--sendmail", "%s", "ops@example.org"]\n wait = 1s\n}\n'
            % (value, ACTIONS, mails.sendmail))
    text = "bundle b {\n promise told {\n promiser probe:0\n keep probe:0:value < 5\n severity error\n }\n}\n"
    with suite.daemon(conf=conf, plugins=(PLUGINS, plugins), promises={"a.promise": text}) as d:
        d.wait_promise("b.told", "kept")
        mails.got.clear()
        write_file(value, "7")
        wait_for("the mail that it is broken", lambda: len(mails.got) == 1, alive=d)
        _, broken = mails.last()
        write_file(value, "1")
        wait_for("the mail that it is kept", lambda: len(mails.got) == 2, alive=d)
        _, kept = mails.last()
        assert "b.told of probe:0 is broken (error)" in broken["Subject"] and broken["X-Kith-Assessment"] == "broken", broken.items()
        assert broken["X-Kith-Severity"] == "error" and "probe:0:value is 7" in broken.get_content(), broken.get_content()
        assert "kept again" in kept["Subject"] and kept["References"] == broken["References"], kept.items()

if mails:
    mails.controller.stop()
hooks.shutdown()
hooks.server_close()
suite.end()
