"""ansible-playbook as a user calls it: for what only a whole run shows of plugins, roles and playbooks."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import typing as t
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BINARIES = Path(sys.executable).parent
#: What a developer's own settings begin with: no test may depend on them.
SETTINGS = ("ANSIBLE_", "AWS_", "CLERK_", "NEXOD_", "SENTRY_", "SUPABASE_", "VERCEL_")
#: Results as JSON, with `custom_stats` and `plays`.
AS_JSON: t.Final = {
    "ANSIBLE_CALLBACKS_ENABLED": "ansible.posix.json",
    "ANSIBLE_LOCALHOST_WARNING": "False",
    "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json",
}
_RESULTS = '{\n    "custom_stats"'

Done: t.TypeAlias = "subprocess.CompletedProcess[str]"


def environment_of(environment: t.Mapping[str, str]) -> dict[str, str]:
    """With the collection in this checkout, the caller's environment without Ansible's, and `environment`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(SETTINGS)}
    return {
        **kept,
        "PATH": f"{BINARIES}:{os.environ['PATH']}",
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".collections"),
        **environment,
    }


def play(
    *arguments: str | Path,
    cwd: Path = ROOT,
    program: str = "ansible-playbook",
    timeout: float = 180,
    **environment: str,
) -> Done:
    """Run it, in `environment_of(environment)`."""
    return subprocess.run(
        [BINARIES / program, *arguments],
        cwd=cwd,
        env=environment_of(environment),
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
    )


def killed_at(
    line: str, times: int, seconds: float, *arguments: str | Path, cwd: Path = ROOT, **environment: str
) -> tuple[bool, str]:
    """Run a playbook, and kill it with all that it started `seconds` after the line that has `line` for that time.

    Whether it came so far, and what it wrote until then.
    """
    argv = [BINARIES / "ansible-playbook", *arguments]
    pipes: dict[str, t.Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    found, lines = 0, []
    with subprocess.Popen(argv, cwd=cwd, env=environment_of(environment), start_new_session=True, **pipes) as process:
        for text in t.cast("t.TextIO", process.stdout):
            lines.append(text)
            found += line in text
            if found == times:
                time.sleep(seconds)
                os.killpg(process.pid, signal.SIGKILL)
                break
    return found == times, "".join(lines)


def plays_of(done: Done) -> list[dict[str, t.Any]]:
    """The plays of a run with AS_JSON."""
    before, begin, text = done.stdout.partition(_RESULTS)
    assert begin, before[-6000:] + done.stderr[-2000:]
    return list(json.loads(begin + text)["plays"])


def tasks_of(done: Done) -> list[dict[str, t.Any]]:
    """The tasks of the last play of a run with AS_JSON."""
    return list(plays_of(done)[-1]["tasks"])


def said_by(done: Done) -> str:
    """What a person saw during such a run, without the results."""
    return done.stdout.partition(_RESULTS)[0] + done.stderr
