# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A service that runs with the set of files it should, by its own word and not by its unit's.

`systemctl reload` says 0 when a signal was sent; whether the program took its new configuration only
the program knows. So each change ends with proofs, and a set that is not proven is taken back.
"""

from __future__ import annotations

import dataclasses
import re
import time
import typing as t
import urllib.error
import urllib.request

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._core.processes import Result, run
from ansible_collections.nexod.infra.plugins.module_utils._files.file_set import FileSet

#: Seconds that a service which should be running already gets to prove itself before it is restarted.
AT_REST = 5.0
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0
LOG_LINES = 20
#: Restarts by systemd after which waiting longer only keeps people waiting.
CRASHES = 5


@dataclasses.dataclass(frozen=True)
class Status:
    """What systemd says of a unit: `known` (it has a unit file), `active`, `enabled`, `stale` (unit file changed).

    `given_up` means that systemd starts it no more; `restarts` counts what it restarted by itself.
    """

    known: bool
    active: bool
    enabled: bool
    stale: bool
    given_up: bool = False
    restarts: int = 0


@dataclasses.dataclass(frozen=True)
class Proof:
    """One thing that must hold. Either `url` (HTTP status, body, metrics) or `command` (rc 0, output).

    `metrics` maps a metric of a Prometheus exposition to a number, or to ``since``: a Unix time in
    seconds not before the action. `after` names the actions that ask for this proof; empty is always.
    """

    url: str | None
    status: int
    command: tuple[str, ...]
    environment: t.Mapping[str, str]
    matches: str | None
    metrics: t.Mapping[str, str]
    after: frozenset[str]


def status_of(unit: str) -> Status:
    properties = "LoadState,ActiveState,UnitFileState,NeedDaemonReload,NRestarts"
    shown = run(["systemctl", "show", unit, f"--property={properties}"])
    if shown.rc != 0:
        raise InfraError(
            "ask systemd about",
            f'"{unit}"',
            shown.output or f"systemctl ended with {shown.rc}",
            "This collection runs services under systemd: check that it is the host's init.",
        )
    facts = dict(line.split("=", 1) for line in shown.stdout.splitlines() if "=" in line)
    return Status(
        known=facts.get("LoadState") not in (None, "not-found"),
        active=facts.get("ActiveState") in ("active", "reloading", "refreshing"),
        # A static unit has nothing to enable: whatever needs it pulls it in.
        enabled=facts.get("UnitFileState") in ("enabled", "static", "generated", "alias"),
        stale=facts.get("NeedDaemonReload") == "yes",
        given_up=facts.get("ActiveState") == "failed",
        restarts=int(facts.get("NRestarts") or 0),
    )


def plan(state: str, enabled: bool, status: Status, action: str, proven: bool = True) -> list[str]:
    """systemctl verbs, in order, from `status` to what is wanted; `action` is what the files ask for.

    `proven` False: the unit is active, nothing changed, and yet the service does not prove itself.
    """
    if state == "absent":
        return ["disable --now"] if status.known and (status.active or status.enabled) else []
    if state == "stopped":
        steps = ["stop"] if status.active else []
        return steps + (["disable"] if status.enabled and not enabled else [])
    if not status.active:
        act = ["start"]
    elif action == "none" and not proven:
        act = ["restart"]
    else:
        act = [action] if action != "none" else []
    # A folder of drop-ins that is new makes no unit stale in systemd's eyes: before a start it looks in any case.
    steps = ["daemon-reload"] if status.stale or action != "none" or act == ["start"] else []
    if enabled and not status.enabled:
        steps.append("enable")
    elif status.enabled and not enabled:
        steps.append("disable")
    return steps + act


def taken(steps: t.Sequence[str]) -> str:
    """The one of `steps` that touches the running service: start, reload, restart, stop or none."""
    for step in steps:
        if step in ("start", "reload", "restart", "stop"):
            return step
        if step == "disable --now":
            return "stop"
    return "none"


def changes(steps: t.Sequence[str]) -> bool:
    """A daemon-reload alone is bookkeeping: nothing that a user would notice."""
    return any(step != "daemon-reload" for step in steps)


def perform(unit: str, steps: t.Sequence[str], timeout: float) -> Result:
    """Carry out `steps` until one fails; returns the last result."""
    result = Result(0, "", "")
    for step in steps:
        if step in ("start", "restart"):
            # A unit that failed often is refused a start until its counter is cleared.
            run(["systemctl", "reset-failed", unit])
        argv = ["systemctl", *step.split()] if step == "daemon-reload" else ["systemctl", *step.split(), unit]
        result = run(argv, timeout=timeout)
        if result.rc != 0:
            return result
    return result


def wait_proven(unit: str, proofs: t.Sequence[Proof], action: str, since: float, timeout: float) -> str | None:
    """Ask until every proof that `action` calls for holds; returns None then, or what was still missing at the end."""
    asked = [p for p in proofs if not p.after or action in p.after]
    deadline = time.monotonic() + timeout
    pause = FIRST_PAUSE
    first = status_of(unit)
    status = first
    while True:
        missing = None if status.active else "its unit is not active"
        for proof in asked:
            missing = missing or failing(proof, since)
        if missing is None or time.monotonic() >= deadline:
            return missing
        if status.given_up:
            return "it ended, and systemd starts it no more"
        if status.restarts - first.restarts >= CRASHES:
            return f"it ends as soon as it starts ({CRASHES} times since); last, {missing}"
        time.sleep(min(pause, max(0.0, deadline - time.monotonic())))
        pause = min(pause * 1.6, LONGEST_PAUSE)
        status = status_of(unit)


def failing(proof: Proof, since: float) -> str | None:
    """Why `proof` does not hold now, or None where it does."""
    if proof.url is None:
        result = run(proof.command, environment=proof.environment, timeout=20)
        if result.rc != 0:
            return f"{proof.command[0]} ended with {result.rc}: {result.output}"
        return _unmatched(proof, result.stdout, proof.command[0])
    try:
        code, body = fetch(proof.url)
    except (OSError, ValueError) as error:
        return f"{proof.url} does not answer: {error}"
    if code != proof.status:
        return f"{proof.url} answers {code} instead of {proof.status}: {body[:300].strip()}"
    return _unmatched(proof, body, proof.url) or unmet_metric(proof.metrics, body, since)


def _unmatched(proof: Proof, text: str, source: str) -> str | None:
    if proof.matches is None or re.search(proof.matches, text):
        return None
    return f"{source} does not say {proof.matches!r} but {text[:300].strip()!r}"


def unmet_metric(metrics: t.Mapping[str, str], body: str, since: float) -> str | None:
    """The first metric that an exposition does not show as wanted, or None."""
    for name, wanted in metrics.items():
        found = re.search(rf"^{re.escape(name)}(?:\{{[^}}]*\}})? (\S+)", body, re.MULTILINE)
        if found is None:
            return f"metric {name} is not there"
        value = float(found[1])
        # Expositions round a time to whole seconds at worst.
        held = value >= int(since) if wanted == "since" else value == float(wanted)
        if not held:
            return f"metric {name} is {found[1]}, wanted {f'at least {since:.0f}' if wanted == 'since' else wanted}"
    return None


def fetch(url: str) -> tuple[int, str]:
    """HTTP status and body of `url`, asked directly: a proxy in the environment is not for a host's own services."""
    if not url.startswith(("http://", "https://")):
        raise ValueError("a proof's url begins with http:// or https://")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=5) as answer:
            return answer.status, answer.read().decode(errors="replace")
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(errors="replace")


def last_words(unit: str, since: float) -> str:
    """The unit's last log lines since the Unix time `since`."""
    logged = run(
        ["journalctl", "-u", unit, f"--since=@{int(since)}", "-n", str(LOG_LINES), "--no-pager", "-o", "cat", "-q"]
    )
    return logged.stdout.strip() or "(it logged nothing)"


def bring(
    unit: str,
    steps: t.Sequence[str],
    proofs: t.Sequence[Proof],
    files: FileSet | None,
    timeout: float,
    *,
    settle: bool = True,
) -> None:
    """Carry out `steps`, prove the service, mark its set live; return to the set before where that fails.

    `proofs` is empty for a service that is not to run. Without `settle` a proven set is not marked: a trial follows.
    Raises InfraError, with the previous set serving again where there was one, when a step fails or a proof does
    not come within `timeout` seconds.
    """
    began = time.time()
    result = perform(unit, steps, timeout)
    act = taken(steps)
    if result.rc != 0:
        missing: str | None = result.output or f"systemctl ended with {result.rc}"
    elif act in ("start", "reload", "restart"):
        missing = wait_proven(unit, proofs, act, began, timeout)
    else:
        missing = None
    if missing is None:
        if files is not None and act != "stop" and settle:
            files.mark_live()
        return
    words = last_words(unit, began)
    raise InfraError(
        act if act != "none" else "change",
        f'the service "{unit}"',
        f"{missing}. {take_back(unit, act, proofs, files, timeout)}",
        f"Correct what it complains of and run again; `journalctl -u {unit}` has more.",
        detail=f"Its last log lines:\n{words}",
    )


def take_back(unit: str, act: str, proofs: t.Sequence[Proof], files: FileSet | None, timeout: float) -> str:
    """Take the unproven set back, if one was proven before, and say what runs now."""
    if files is None:
        return "It has no file set to return to"
    live = files.generation("live")
    if live is None:
        return "No earlier set was ever live here, so it was left as it is"
    if live == files.generation("current"):
        return "It runs the set that was live before, which has not changed"
    files.point_to("live")
    missing: str | None = "it was not tried"
    # What was only reloaded goes back by a reload: a restart would cut the connections it still serves.
    for way in ["reload", "restart"] if act == "reload" else ["restart"]:
        began = time.time()
        result = perform(unit, ["daemon-reload", way], timeout)
        missing = result.output if result.rc else wait_proven(unit, _for_any_set(proofs), way, began, timeout)
        if missing is None:
            return f"It was returned to its previous set ({live}), which serves again"
    return f"It was returned to its previous set ({live}), which does not prove itself either: {missing}"


def _for_any_set(proofs: t.Sequence[Proof]) -> list[Proof]:
    """Proofs that fit any set: what the output must say may belong to the set that was taken back."""
    return [dataclasses.replace(proof, matches=None) for proof in proofs]


def as_diff(unit: str, status: Status, steps: t.Sequence[str]) -> dict[str, str]:
    before = f"{'active' if status.active else 'inactive'}, {'enabled' if status.enabled else 'not enabled'}"
    return {
        "before_header": f"{unit} ({before})",
        "after_header": f"{unit} (systemctl {', '.join(steps)})",
        "before": "",
        "after": "".join(f"systemctl {step} {unit}\n" for step in steps if step != "daemon-reload"),
    }
