#!/usr/bin/python3
"""The shipped actions under a real systemd, in a container: services that are restarted, the journal, and what they can do from within
kithd's sandbox."""
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from actiontest import event  # noqa: E402
from container import Container, must, staged  # noqa: E402
from kithtest import Suite, makefile, wait_for, write_file  # noqa: E402

suite = Suite()
ACTIONS = os.path.join(makefile("prefix"), "share/kith/actions")
SERVICES = {
    "good": "ExecStart=/usr/bin/sleep 1000",
    "once": "Type=oneshot\nExecStart=/usr/bin/true",
    "leaves": "ExecStart=/bin/sh -c 'echo the database is away; exit 3'",
    "refuses": "Type=notify\nExecStart=/bin/sh -c 'echo no such folder >&2; exit 4'",
    "slow": "Type=notify\nTimeoutStartSec=60\nExecStart=/usr/bin/sleep 1000",
    "limited": "Type=notify\nExecStart=/bin/sh -c 'if [ -e /run/limited ]; then systemd-notify --ready; exec sleep 1000; fi; exit 5'\nNotifyAccess=all",
}


def act(name, *args, document=None):
    """An action outside of any sandbox: what subprocess.run gives"""
    document = event() if document is None else document
    return c.run("env", *["KITH_%s=%s" % (k.upper(), v) for k, v in document.items()], os.path.join(ACTIONS, name), *args)


def promised(name, *run):
    """A promise that is broken once kithd knows the load, and runs that: what kith explain says of it once it has ended"""
    text = ("bundle c {\n promise %s {\n promiser service:good.service\n keep load:1m > 100000\n on broken run %s\n }\n}\n"
            % (name, " ".join(x if x in ("timeout", "1s") else '"%s"' % x for x in run)))
    write_file(os.path.join(promises, name + ".promise"), text)

    def ended():
        out = c.run("kith", "explain", "--json", "c." + name).stdout
        actions = json.loads(out)["actions"] if out.strip() else ""
        return actions.split("; last at ")[1] if "; last at " in actions else None
    return wait_for("the action of c." + name, ended)


def script(name, text):
    path = os.path.join(stage + makefile("prefix"), "bin", name)
    with open(path, "w") as f:
        f.write("#!/bin/sh\n" + text)
    os.chmod(path, 0o755)
    return os.path.join(makefile("prefix"), "bin", name)


c = None
try:
    with suite.check("systemd boots with what make install installs"):
        stage = staged(suite)
        promises = os.path.join(stage + makefile("prefix"), "etc/kith/promises.d")
        os.makedirs(promises, exist_ok=True)
        c = Container(suite, stage)
    if c:
        for name, text in SERVICES.items():
            unit = "[Unit]\nDescription=x\n[Service]\n%s\n" % text
            must(c.run("sh", "-c", 'mkdir -p /run/systemd/system && printf %s "$1" >"/run/systemd/system/$0.service"', name, unit))
        must(c.run("ln", "-s", "/dev/null", "/run/systemd/system/hidden.service"))
        must(c.run("systemctl", "daemon-reload"))
        with suite.check("restart: a service that runs gets a new process, one that is down is started, a oneshot is well"):
            must(c.run("systemctl", "start", "good"))
            pid = c.run("systemctl", "show", "-P", "MainPID", "good").stdout
            out = must(act("restart", "--settle", "0", document=event(promiser="service:good.service")))
            assert out == "good.service was active and is active (running)\n", out
            assert c.run("systemctl", "show", "-P", "MainPID", "good").stdout not in (pid, "0\n")
            must(c.run("systemctl", "stop", "good"))
            assert must(act("restart", "--settle", "0", "good")).startswith("good.service was inactive and is active")
            must(act("restart", "--settle", "0", "once"))
        with suite.check("restart: one that does not start, does not stay, takes too long, is masked or is not there: why, with its log"):
            for name, args, words in (("refuses", (), ("does not start", "no such folder")),
                                      ("leaves", (), ("did not stay", "the database is away")),
                                      ("slow", ("--wait", "1"), ("still starts after 1 s",)), ("none", (), ("systemd has no none.service",))):
                r = act("restart", *args, name)
                assert r.returncode == 1 and not r.stdout and all(w in r.stderr for w in words), (r.stdout, r.stderr)
            must(c.run("systemctl", "stop", "slow"))
            r = act("restart", "hidden")
            assert r.returncode == 1 and "masked" in r.stderr, r.stderr
        with suite.check("restart: a start limit that was reached is lifted, of one that failed and of one that runs"):
            for _ in range(8):
                c.run("systemctl", "start", "limited")
            c.run("touch", "/run/limited")
            r = c.run("systemctl", "start", "limited")
            assert r.returncode != 0, "there is no limit: this test proves nothing"
            assert must(act("restart", "--settle", "0", "limited")).startswith("limited.service was failed and is active (running)")
            said = [must(act("restart", "--settle", "0", "limited")) for _ in range(7)]
            assert any(x.endswith(", after its start limit was lifted\n") for x in said), said
        with suite.check("syslog: the journal has the texts in fields of their own"):
            must(act("syslog", document=event(because='a "b"\nPRIORITY=0')))
            must(c.run("journalctl", "--sync"))
            out = must(c.run("journalctl", "-o", "json", "KITH_PROMISE=web.door"))
            entry = json.loads(out.splitlines()[-1])
            assert entry["PRIORITY"] == "2" and entry["SYSLOG_IDENTIFIER"] == "kith" and entry["KITH_TO"] == "broken", entry
            assert entry["KITH_BECAUSE"] == 'a "b" PRIORITY=0' and "web.door is broken" in entry["MESSAGE"], entry

        # ---- from within kithd's sandbox
        must(c.run("systemctl", "start", "kithd.service"))
        with suite.check("run by kithd.service: restart, and syslog"):
            pid = c.run("systemctl", "show", "-P", "MainPID", "good").stdout
            action = promised("restarts", ACTIONS + "/restart")
            assert "exit status 0" in action, action
            assert c.run("systemctl", "show", "-P", "MainPID", "good").stdout not in (pid, "0\n"), action
            assert "exit status 0" in promised("logs", ACTIONS + "/syslog")
        with suite.check("run by kithd.service: a mail goes to the spool, which its sandbox cannot write to"):
            sendmail = script("test-sendmail", 'mkdir -p /var/mail && cat >/var/mail/test\n')
            action = promised("mails", ACTIONS + "/mail", "--sendmail", sendmail, "ops@example.org")
            assert "exit status 0" in action, action
            assert "c.mails is broken" in must(c.run("cat", "/var/mail/test"))
            plain = promised("writes", script("test-writes", "mkdir -p /var/mail && echo x >/var/mail/x\n"))
            assert "exit status 0" not in plain, "there is no sandbox: this test proves nothing"
        with suite.check("run by kithd.service: configuration management changes the host, and its exit status is what counts"):
            script("chef-client", 'env >/root/chef.env\ncp "$4" /root/chef.json\nexit 37\n')
            action = promised("chef", ACTIONS + "/chef")
            assert "exit status 0" in action and "has to be started anew" in action, action
            assert json.loads(must(c.run("cat", "/root/chef.json")))["kith"]["promise"] == "c.chef"
            assert "HOME=/root\n" in must(c.run("cat", "/root/chef.env"))
        with suite.check("run by kithd.service: a run that outlives its action keeps others from starting"):
            script("chef-client", "exec sleep 1000\n")
            promised("late", ACTIONS + "/chef", "timeout", "1s")
            assert c.run("systemctl", "is-active", "kith-chef.service").stdout == "active\n"
            action = promised("later", ACTIONS + "/chef")
            assert "exit status 75" in action and "chef: kith-chef.service still runs" in action, action
            must(c.run("systemctl", "stop", "kith-chef.service"))
finally:
    if c:
        c.end()
suite.end()
