"""Canaries in every secret of the lab: nobody who may not read them finds one, wherever he looks."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import subprocess
import threading
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.nexod.infra.tests.lab.support import BRIEF, HOSTS, ROOT, get, meanwhile, on, run, secrets

# Those that the lab's inventory leaves empty get a canary of their own; the others it has made itself.
CANARIES = {
    "alertmanager_slack_webhook_url": "https://127.0.0.1:9/services/canary-slack-8Yk2pQ",
    "alertmanager_pagerduty_routing_key": "canary-pagerduty-4Tz9wR",
}

PLANTED: list[str] = []


def needles() -> list[str]:
    """Every secret, and the forms that it takes in URLs and headers."""
    plain = [*secrets(), "canary-slack-8Yk2pQ", "canary-pagerduty-4Tz9wR", "canary-sentry-6Lm3xV"]
    forms = [
        form
        for one in plain
        for form in (one, urllib.parse.quote(one, safe=""), base64.b64encode(one.encode()).decode())
    ]
    return list(dict.fromkeys(forms))


def found_in(text: str, wanted: list[str]) -> list[str]:
    """The lines that hold one, cut to what tells where it is."""
    return [line[:200] for line in text.splitlines() if any(needle in line for needle in wanted)]


@contextlib.contextmanager
def watched_processes() -> Iterator[set[str]]:
    """Command lines of every process of the machine meanwhile; the hosts' processes are the machine's own too."""
    seen: set[str] = set()
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.02):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                with contextlib.suppress(OSError):
                    seen.add(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))

    with meanwhile(look, over):
        yield seen


def everything_readable(host: str, wanted: list[str]) -> str:
    """Files on a host that anybody can read and that hold one of `wanted`, which go in by standard input."""
    script = (
        "find / -xdev -type f -perm -o=r ! -path '/proc/*' ! -path '/sys/*' -size -20M -print0"
        " | xargs -0 grep -lF -f /run/needles 2>/dev/null | while read -r path; do"
        # A file that all may read in a folder that only its owner may enter is read by nobody else.
        ' if setpriv --reuid 65534 --regid 65534 --clear-groups test -r "$path"; then echo "$path"; fi; done'
    )
    argv = ["podman", "exec", "-i", f"nexod-lab-{host}", "sh", "-c"]
    subprocess.run([*argv, "umask 077; cat > /run/needles"], input="\n".join(wanted), text=True, check=True)
    try:
        return subprocess.run([*argv, script], capture_output=True, text=True, check=False).stdout
    finally:
        subprocess.run([*argv, "rm /run/needles"], check=True)


@pytest.mark.parametrize(
    "ci", [pytest.param("true", id="with CI=true"), pytest.param("", id="without", marks=pytest.mark.long)]
)
def test_no_secret_is_seen(serving, tmp_path: Path, ci: str) -> None:
    version = f"VERSION={get('/health')['version']}"
    if PLANTED:
        # By itself: the deploy of a round before has the canaries in place already.
        back = run("make", "deploy", version, f"ARGS={BRIEF}", quiet=True)
        assert back.rc == 0, back.said[-3000:]
    PLANTED.append(ci)
    given = tmp_path / "canaries.json"
    given.write_text(json.dumps(CANARIES))
    given.chmod(0o600)
    wanted, begun = needles(), time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())
    arguments = f"ARGS=-vvvv --diff -e @{given} {BRIEF}"
    environment = {"NEXOD_SENTRY_DSN": "http://canary-sentry-6Lm3xV@127.0.0.1:9/1", **({"CI": ci} if ci else {})}
    with watched_processes() as processes:
        plan = run("make", "plan", version, arguments, quiet=True, **environment)
        done = run("make", "deploy", version, arguments, quiet=True, **environment)
    assert plan.rc == 0, plan.said[-3000:]
    assert done.rc == 0, done.said[-3000:]
    # That the canaries were really there: what reads them has changed.
    changed = " ".join(done.changes())
    assert "/etc/nexod/alertmanager/" in changed
    assert "/etc/nexod/api/secrets/files/sentry-dsn" in changed
    assert len(processes) > 50
    assert found_in(plan.said, wanted) == []
    assert found_in(done.said, wanted) == []
    assert found_in("\n".join(processes), wanted) == []
    for path in (ROOT / ".report").rglob("*"):
        if path.is_file():
            assert found_in(path.read_text(errors="replace"), wanted) == [], path.name
    for host in sorted(HOSTS):
        assert found_in(on(host, "systemctl show '*'"), wanted) == [], host
        journal = on(host, f"journalctl --no-pager -o export --since '{begun}' | tr -d '\\000'")
        assert found_in(journal, wanted) == [], host
        assert everything_readable(host, wanted).split() == [], host


def test_the_search_finds_what_is_there(serving, tmp_path: Path) -> None:
    """A search that can find nothing proves nothing: planted where each of the searches above looks."""
    needle = "canary-planted-2Qw7"
    on("api-1", f"echo {needle} > /var/tmp/planted; chmod 644 /var/tmp/planted; logger {needle}")
    try:
        assert everything_readable("api-1", [needle]).split() == ["/var/tmp/planted"]
        assert found_in(on("api-1", "journalctl --no-pager -o export -n 50 | tr -d '\\000'"), [needle])
        with watched_processes() as processes:
            subprocess.run(["sh", "-c", "sleep 0.3 # " + needle], check=True, env=os.environ)
        assert found_in("\n".join(processes), [needle])
        on("api-1", "chmod 600 /var/tmp/planted")
        assert everything_readable("api-1", [needle]).split() == []
    finally:
        on("api-1", "rm /var/tmp/planted")
