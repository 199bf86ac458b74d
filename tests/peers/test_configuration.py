#!/usr/bin/python3
"""What the shipped actions call, itself: puppet, ansible-pull and cf-agent run for what broke alone, and mend it; Alertmanager takes
what webhook posts. Skipped where they are not installed."""
import json
import os
import pwd
import shutil
import socket
import subprocess
import sys
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from actiontest import ACTIONS, EVIL, act, bad, event, good  # noqa: E402
from kithtest import PLUGINS, TEST_PLUGINS, Skip, Suite, wait_for, write_file  # noqa: E402
from peertest import Peer  # noqa: E402

suite = Suite()
place = suite.folder()
EVIL = EVIL.format(place)


def needed(*programs):
    for program in programs:
        if not shutil.which(program):
            raise Skip("%s is not installed" % program)


def needs_root():
    if os.geteuid() != 0:
        raise Skip("it needs root")


def path(name):
    return os.path.join(place, name)


def text_of(name):
    with open(path(name), encoding="utf-8") as f:
        return f.read()


def take(*names):
    """What was made must be there, and nothing else; it goes"""
    made = {n for n in os.listdir(place) if n.startswith("made-") and not n.endswith(".cf-before-edit")}
    assert made == set(names), made
    for name in names:
        os.remove(path(name))


def mend(name, *lines):
    """A promise that is broken runs this action, which mends it; kithd is told of each step, in its records"""
    write_file(path("value"), "1")
    plugins = suite.folder()
    shutil.copy(os.path.join(TEST_PLUGINS, "probe.so"), plugins)
    run = " ".join('"%s"' % x for x in (os.path.join(ACTIONS, name),) + lines)
    text = "bundle b {\n promise one {\n promiser probe:0\n keep probe:0:value < 5\n on broken run %s timeout 2m\n }\n}\n" % run
    with suite.daemon(conf='interval = 100ms\nplugin probe { from = "%s" }\n' % path("value"), plugins=(PLUGINS, plugins),
                      promises={"a.promise": text}, env={"HOME": place}) as d:
        d.wait_promise("b.one", "kept")
        watch = d.watch("--records")
        write_file(path("value"), "7")
        record = watch.wait("the record", lambda x: x["kind"] == "record" and x["fields"].get("program", "").endswith("/" + name), 60)
        assert record["message"].endswith(" ran"), record
        d.wait_promise("b.one", "kept")
        watch.end()
        return record["fields"]["output"]


# ---- puppet

MANIFEST = """
file { '%(place)s/made-nginx':
  ensure  => file,
  content => "${facts['kith_promise']} ${facts['kith_promiser']} ${facts['kith_because']}",
  tag     => 'kith_service_nginx',
}
file { '%(place)s/made-other':
  ensure  => file,
  content => 'other',
}
file { '%(place)s/value':
  content => "1\\n",
  tag     => 'kith_probe_0',
}
file { '/nonexistent/folder/file':
  ensure => file,
  tag    => 'fails',
}
"""

with suite.check("puppet: applies what is tagged with the promiser's name alone; a promise that breaks is mended by it"):
    needed("puppet")
    needs_root()
    write_file(path("site.pp"), MANIFEST % {"place": place})
    out = good(act("puppet", "--apply", path("site.pp"), document=event(because=EVIL)))
    assert "puppet changed what is tagged nginx,kith_service_nginx" in out, out
    assert text_of("made-nginx") == "web.door service:nginx.service " + EVIL
    out = good(act("puppet", "--apply", path("site.pp"), document=event(because=EVIL)))
    assert "nothing to change" in out, out
    take("made-nginx")
    out = mend("puppet", "--apply", path("site.pp"))
    assert out.startswith("puppet changed what is tagged kith_probe_0"), out
    take()

with suite.check("puppet: what fails, and a manifest with a fault"):
    needed("puppet")
    needs_root()
    bad(act("puppet", "--apply", path("site.pp"), "--tags", "fails"), 1, "could not set right all that is tagged fails", "/nonexistent")
    write_file(path("fault.pp"), "file {\n")
    bad(act("puppet", "--apply", path("fault.pp")), 1, "run failed", "Syntax error")
    take()

# ---- ansible

PLAYBOOK = """
- hosts: localhost
  connection: local
  gather_facts: no
  tasks:
    - copy: {dest: "%(place)s/made-nginx", content: "{{ kith.promise }} {{ kith.promiser }} {{ kith.because }}"}
      tags: kith_service_nginx
    - copy: {dest: "%(place)s/made-other", content: other}
    - copy: {dest: "%(place)s/value", content: "1"}
      tags: kith_probe_0
    - command: /bin/false
      tags: fails
"""


def repository():
    needed("ansible-pull", "git")
    if not os.access(pwd.getpwuid(os.getuid()).pw_dir, os.W_OK):
        raise Skip("this user has no home, where Ansible writes to")
    folder = path("site.git")
    if not os.path.isdir(folder):
        os.mkdir(folder)
        write_file(os.path.join(folder, "local.yml"), PLAYBOOK % {"place": place})
        for args in (["init", "-q"], ["add", "."], ["-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "-q", "-m", "site"]):
            subprocess.run(["git", "-C", folder, *args], check=True, capture_output=True)
    return ["--url", "file://" + folder, "--directory", path("checkout")]


with suite.check("ansible-pull: plays what is tagged with the promiser's name alone; nothing in its texts is expanded; it mends"):
    where = repository()
    out = good(act("ansible", *where, document=event(because=EVIL), HOME=place))
    assert out.endswith(": 1 changed\n"), out
    assert text_of("made-nginx") == "web.door service:nginx.service " + EVIL, text_of("made-nginx")
    assert not os.path.exists(path("pwned")), "a text was expanded"
    take("made-nginx")
    out = mend("ansible", *where)
    assert out == "ansible-pull played what is tagged kith_probe_0: 1 changed", out
    take()

with suite.check("ansible-pull: a task that fails, a repository that is not there"):
    where = repository()
    bad(act("ansible", *where, "--tags", "fails", HOME=place), 1, "a task failed", "/bin/false")
    bad(act("ansible", "--url", "file:///nonexistent", "--directory", path("other"), HOME=place), 1, "ansible-pull", "/nonexistent")
    take()

# ---- CFEngine

POLICY = """
body common control
{
    bundlesequence => { "main" };
}
bundle agent main
{
  methods:
    kith_service_nginx.kith_promise_web_door::
      "nginx" usebundle => service_nginx;
    any::
      "other" usebundle => other;
}
bundle agent service_nginx
{
  vars:
    "text" string => getenv("KITH_PROMISER", 4000);
  files:
    "%(place)s/made-nginx" create => "true", edit_line => put("$(text)");
}
bundle agent probe_0
{
  files:
    "%(place)s/value" edit_defaults => anew, edit_line => put("1");
}
bundle agent other
{
  files:
    "%(place)s/made-other" create => "true";
}
bundle agent fails
{
  commands:
    "/bin/false";
}
bundle edit_line put(text)
{
  insert_lines:
    "$(text)";
}
body edit_defaults anew
{
    empty_file_before_editing => "true";
    edit_backup => "false";
}
"""

with suite.check("cf-agent: runs the bundle or the classes that the promiser names, and mends"):
    needed("cf-agent")
    needs_root()
    write_file(path("policy.cf"), POLICY % {"place": place})
    os.chmod(path("policy.cf"), 0o600)
    good(act("cfengine", "--file", path("policy.cf"), "--bundle", "%n"))
    assert text_of("made-nginx") == "service:nginx.service\n"
    take("made-nginx")
    good(act("cfengine", "--file", path("policy.cf")))
    take("made-nginx", "made-other")
    good(act("cfengine", "--file", path("policy.cf"), document=event(promise="web.other")))
    take("made-other")
    mend("cfengine", "--file", path("policy.cf"), "--bundle", "%n")
    take()

with suite.check("cf-agent: a promise of its own that is not kept, and a policy with a fault, which is not run"):
    needed("cf-agent")
    needs_root()
    bad(act("cfengine", "--file", path("policy.cf"), "--bundle", "fails"), 1, "could not keep", "/bin/false")
    write_file(path("fault.cf"), "bundle agent\n")
    os.chmod(path("fault.cf"), 0o600)
    bad(act("cfengine", "--file", path("fault.cf")), 1, "nothing was run", "syntax error")
    take()

# ---- Alertmanager


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


with suite.check("Alertmanager takes what webhook posts: the alert is there with its labels, and is resolved when the promise is kept"):
    needed("prometheus-alertmanager", "curl")
    port = free_port()
    base = "http://127.0.0.1:%d/api/v2/alerts" % port
    write_file(path("alertmanager.yml"), "route: {receiver: none}\nreceivers: [{name: none}]\n")
    command = ["prometheus-alertmanager", "--config.file=" + path("alertmanager.yml"), "--storage.path=" + path("alerts"),
               "--web.listen-address=127.0.0.1:%d" % port, "--cluster.listen-address="]
    with Peer(command, path("alertmanager.log")) as peer:
        def alerts():
            try:
                with urllib.request.urlopen(base, timeout=10) as f:
                    return json.load(f)
            except OSError:
                return None
        peer.wait("it to answer", lambda: alerts() is not None)
        good(act("webhook", "--format", "alertmanager", base, document=event(because=EVIL)))
        found = peer.wait("the alert", alerts)
        assert len(found) == 1 and found[0]["status"]["state"] in ("active", "unprocessed"), found
        assert found[0]["labels"] == {"alertname": "web.door", "instance": os.uname().nodename, "promiser": "service:nginx.service",
                                      "severity": "critical"}, found
        assert found[0]["annotations"]["description"] == EVIL, found
        good(act("webhook", "--format", "alertmanager", base, document=event(before="broken", to="kept", since="2026-11-22T10:05:00Z")))
        wait_for("it to be resolved", lambda: alerts() == [])
        err = bad(act("webhook", "--retries", "0", base), 1, "answered 4")
        assert len(err.splitlines()) == 1, err

suite.end()
