"""For tests of the actions that are shipped: runs one as kithd does, with an event in its environment and on standard input."""
import json
import os
import subprocess
import tempfile

from kithtest import SOURCE, environment

ACTIONS = os.path.join(SOURCE, "promises", "actions")
NAMES = ("ansible", "cfengine", "chef", "mail", "puppet", "restart", "syslog", "webhook")
# What a promiser or a reason may hold; nothing of it may be done, and all of it has to arrive.
EVIL = ('"quoted" \'single\' \\back\\slash\\ $(touch {0}/pwned) `touch {0}/pwned` ; touch {0}/pwned | & > {0}/pwned %s %n -rf --help '
        '{{{{ lookup("pipe", "touch {0}/pwned") }}}} {{%% 1 %%}} é ü 漢字 😀 <b>&amp;</b> =?UTF-8?Q?x?= *?[] ~')


def event(promise="web.door", promiser="service:nginx.service", before="kept", to="broken", severity="critical", because="it is down",
          since="2026-11-22T10:00:00.123456789Z", time="2026-11-22T10:00:01Z"):
    return {"promise": promise, "promiser": promiser, "from": before, "to": to, "severity": severity, "since": since,
            "because": because, "time": time}


def action_environment(document, path=None, **more):
    env = {k: v for k, v in environment().items() if k in ("PATH", "HOME")}
    env.update({"KITH_" + k.upper(): v for k, v in document.items() if isinstance(v, str)})
    if path:
        env["PATH"] = path + ":" + env["PATH"]
    env.update(more)
    return env


def act(name, *args, document=None, path=None, env=True, standard_input=None, timeout=60, **more):
    """One run: (exit status, standard output, standard error). `env`: the event stands there too"""
    document = event() if document is None else document
    text = json.dumps(document, ensure_ascii=False) if standard_input is None else standard_input
    p = subprocess.run([os.path.join(ACTIONS, name), *args], input=text.encode() if isinstance(text, str) else text,
                       env=action_environment(document if env else {}, path, **more), capture_output=True, timeout=timeout,
                       cwd=tempfile.gettempdir())
    return p.returncode, p.stdout.decode(errors="replace"), p.stderr.decode(errors="replace")


def good(result):
    """It did it, and said so in one line"""
    status, out, err = result
    assert status == 0 and not err and len(out.splitlines()) == 1, result
    return out


def bad(result, expected, *words):
    """It ended so, and said why"""
    status, out, err = result
    assert status == expected and err.strip() and not out, result
    for word in words:
        assert word in err, (word, err)
    return err


def script(folder, name, text):
    path = os.path.join(folder, name)
    with open(path, "w") as f:
        f.write("#!/bin/sh\n" + text)
    os.chmod(path, 0o755)
    return path
