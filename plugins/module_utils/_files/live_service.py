# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Apply a file set to a running service, and verify by asking the service itself, not systemd, that it took it.

`systemctl reload` returns 0 once a signal was sent; whether the program took its new configuration only the program
knows. So each change ends with proofs, and a set that is not proven is rolled back.
"""

from __future__ import annotations

import dataclasses
import pathlib
import re
import time
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._core.edge import as_infra_error
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._core.http_client import Access, ask
from ansible_collections.nexod.infra.plugins.module_utils._core.processes import Result, run
from ansible_collections.nexod.infra.plugins.module_utils._files import replaced
from ansible_collections.nexod.infra.plugins.module_utils._files.file_set import FileSet

#: Seconds that a service which is already running gets to prove itself before it is restarted.
AT_REST = 5.0
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0
LOG_LINES = 20
UNITS = "/etc/systemd/system"
#: What a running service notices, from least to most.
TOUCHING = ("none", "stop", "start", "reload", "restart")
#: A command of a proof ends with it where waiting cannot change what it found (EX_CONFIG of sysexits.h).
IN_VAIN = 78
#: Restarts by systemd after which waiting longer is pointless.
CRASHES = 5
#: Seconds after which an error that waiting does not change is believed.
CERTAIN = 3.0
PROPERTIES = f"LoadState,ActiveState,UnitFileState,NeedDaemonReload,NRestarts,{replaced.PROPERTIES}"


class Final(str):
    """Why a proof does not hold, and that it will not, however long one waits."""


@dataclasses.dataclass(frozen=True)
class Status:
    """The state of a unit in systemd: `known` (it has a unit file), `active`, `enabled`, `stale` (unit file changed).

    `failed` means that systemd no longer restarts it; `restarts` counts its automatic restarts. `replaced` means that
    its process runs a program that is no longer the one on disk.
    """

    known: bool
    active: bool
    enabled: bool
    stale: bool
    failed: bool = False
    restarts: int = 0
    replaced: bool = False


@dataclasses.dataclass(frozen=True)
class Proof:
    """One condition that must hold: of a `url` (HTTP status, body, metrics) or of a `command` (rc 0, output).

    `metrics` maps a metric of a Prometheus exposition to a number, or to ``since``: a Unix time in
    seconds not before the action. `after` names the actions after which it is checked; empty means always.
    `refused` is a regular expression for what will not change by waiting, such as an error in a file.
    """

    url: str | None
    status: int
    command: tuple[str, ...]
    environment: t.Mapping[str, str]
    matches: str | None
    metrics: t.Mapping[str, str]
    after: frozenset[str]
    access: Access | None = None
    refused: str | None = None


def status_of(unit: str) -> Status:
    shown = run(["systemctl", "show", unit, f"--property={PROPERTIES}"])
    if shown.rc != 0:
        raise InfraError(
            "read the state of the unit",
            f'"{unit}"',
            shown.output or f"systemctl ended with {shown.rc}",
            "Services of this collection run under systemd: check that it is the host's init.",
        )
    return as_status(dict(line.split("=", 1) for line in shown.stdout.splitlines() if "=" in line))


def as_status(facts: t.Mapping[str, str]) -> Status:
    """A unit's state out of systemd's properties."""
    return Status(
        known=facts.get("LoadState") not in (None, "not-found"),
        active=facts.get("ActiveState") in ("active", "reloading", "refreshing"),
        # A static unit can't be enabled: whatever needs it pulls it in.
        enabled=facts.get("UnitFileState") in ("enabled", "static", "generated", "alias"),
        stale=facts.get("NeedDaemonReload") == "yes",
        failed=facts.get("ActiveState") == "failed",
        restarts=int(facts.get("NRestarts") or 0),
        replaced=replaced.replaced(facts),
    )


def units_of(name: str, instances: t.Sequence[str] | None) -> list[str]:
    """The units of a service: the one that is named, or the instances of the template that is named."""
    return [name] if instances is None else [f"{name}@{instance}" for instance in instances]


def surplus(name: str, instances: t.Sequence[str] | None) -> list[str]:
    """Instances of the template that run or are enabled and are not listed."""
    if instances is None:
        return []
    found = set()
    for argv in (["list-units", "--all"], ["list-unit-files"]):
        shown = run(["systemctl", *argv, "--plain", "--no-legend", f"{name}@*"]).stdout
        found |= {words[0].removesuffix(".service") for line in shown.splitlines() if (words := line.split())}
    strangers = sorted(found - {f"{name}@", *units_of(name, instances)})
    states = {unit: status_of(unit) for unit in strangers}
    return [unit for unit, status in states.items() if status.active or status.enabled]


def plan(state: str, enabled: bool, status: Status, action: str, proven: bool = True) -> list[str]:
    """systemctl verbs, in order, from `status` to the desired state; `action` is what the file set requires.

    `proven` False: the unit is active and nothing changed, and yet the service does not pass its proofs.
    """
    if state == "absent":
        # Not `disable --now`: it removes a unit that is a link before it stops it, and then ExecStop is unknown.
        return (["stop"] if status.active else []) + (["disable"] if status.known and status.enabled else [])
    if state == "stopped":
        steps = ["stop"] if status.active else []
        return steps + (["disable"] if status.enabled and not enabled else [])
    if not status.active:
        act = ["start"]
    elif status.replaced or (action == "none" and not proven):
        # A reload does not replace the program that runs.
        act = ["restart"]
    else:
        act = [action] if action != "none" else []
    # systemd does not call a unit stale for a new folder of drop-ins: before a start, always reload.
    steps = ["daemon-reload"] if status.stale or action != "none" or act == ["start"] else []
    if enabled and not status.enabled:
        steps.append("enable")
    elif status.enabled and not enabled:
        steps.append("disable")
    return steps + act


def taken(steps: t.Sequence[str]) -> str:
    """The one of `steps` that touches the running service: start, reload, restart, stop or none."""
    for step in steps:
        if step in TOUCHING[1:]:
            return step
    return "none"


def most(actions: t.Iterable[str]) -> str:
    """Of what was done to several units, what users notice most."""
    return max(actions, key=TOUCHING.index, default="none")


def changes(steps: t.Sequence[str]) -> bool:
    """Whether a user would notice `steps`; a daemon-reload alone is bookkeeping."""
    return any(step != "daemon-reload" for step in steps)


def perform(unit: str, steps: t.Sequence[str], timeout: float) -> Result:
    """Carry out `steps` until one fails; returns the last result."""
    result = Result(0, "", "")
    for step in steps:
        if step in ("start", "restart"):
            # systemd refuses to start a unit that failed often until its counter is reset.
            run(["systemctl", "reset-failed", unit])
        if step in ("enable", "disable") and is_of_linked_template(unit):
            set_enabled(unit, step == "enable")
            continue
        argv = ["systemctl", *step.split()] if step == "daemon-reload" else ["systemctl", *step.split(), unit]
        result = run(argv, timeout=timeout)
        if result.rc != 0:
            return result
    return result


def is_of_linked_template(unit: str, units: str = UNITS) -> bool:
    template, at, _instance = unit.partition("@")
    return bool(at) and pathlib.Path(units, f"{template}@.service").is_symlink()


def set_enabled(unit: str, enabled: bool, units: str = UNITS) -> None:
    """Enable or disable an instance of a template that is a link into a set.

    systemctl would link the instance to the generation that is current now, and remove the template with the instance.
    """
    template = f"{unit.partition('@')[0]}@.service"
    link = pathlib.Path(units, "multi-user.target.wants", f"{unit}.service")
    if not enabled:
        link.unlink(missing_ok=True)
    elif not link.is_symlink():
        link.parent.mkdir(exist_ok=True)
        link.symlink_to(f"../{template}")
    run(["systemctl", "daemon-reload"])


def wait_proven(unit: str, proofs: t.Sequence[Proof], action: str, since: float, timeout: float) -> str | None:
    """Wait until every proof for `action` holds; returns None then, or what was still missing at the end."""
    due = [p for p in proofs if not p.after or action in p.after]
    deadline = end = time.monotonic() + timeout
    pause = FIRST_PAUSE
    first = status_of(unit)
    status = first
    while True:
        missing, refused = (None if status.active else "its unit is not active"), False
        for proof in due:
            if missing is None:
                missing = failing(proof, since)
                refused = bool(missing and proof.refused and re.search(proof.refused, missing))
        # A service may answer before it has read everything.
        end = min(deadline, time.monotonic() + CERTAIN, end) if refused else deadline
        if missing is None or isinstance(missing, Final) or time.monotonic() >= end:
            return missing
        if status.failed:
            return "the unit has failed, and systemd has stopped restarting it"
        if status.restarts - first.restarts >= CRASHES:
            return f"it crashes on start ({CRASHES} times since); last, {missing}"
        time.sleep(min(pause, max(0.0, deadline - time.monotonic())))
        pause = min(pause * 1.6, LONGEST_PAUSE)
        status = status_of(unit)


def _missing(unit: str, proofs: t.Sequence[Proof], act: str, since: float, timeout: float) -> str | None:
    """As `wait_proven`. Whatever keeps it from an answer is no proof either, and must not keep from a roll-back."""
    try:
        return wait_proven(unit, proofs, act, since, timeout)
    except Exception as error:
        return error.cause if isinstance(error, InfraError) else f"{type(error).__name__}: {error}"


def refuse_bad_proof(proof: Proof) -> None:
    """Refuse a proof that could never hold, before anything is touched."""
    fault = ""
    if proof.url is not None and not proof.url.startswith(("http://", "https://")):
        fault = "its url begins with neither http:// nor https://"
    for option, pattern in (("matches", proof.matches), ("refused", proof.refused)):
        try:
            re.compile(pattern or "")
        except re.error as error:
            fault = f"{option} is not a regular expression: {error}"
    for name, value in proof.metrics.items():
        try:
            float(0 if value == "since" else value)
        except ValueError:
            fault = f"metric {name} is to be {value!r}, which is neither a number nor since"
    if fault:
        what = proof.url or " ".join(proof.command)
        raise InfraError("use the proof", f'"{what}"', fault, "Correct the task's proof list.")


def failing(proof: Proof, since: float) -> str | None:
    """Why `proof` does not hold now; None if it does."""
    if proof.url is None:
        result = run(proof.command, environment=proof.environment, timeout=20)
        if result.rc != 0:
            missing = f"{proof.command[0]} ended with {result.rc}: {result.output}"
            return Final(missing) if result.rc == IN_VAIN else missing
        return _unmatched(proof, result.stdout, proof.command[0])
    answer = ask(proof.url, timeout=5, accept="*/*", access=proof.access)
    if answer.status == 0:
        return f"{proof.url} does not answer: {answer.reason}"
    if answer.status != proof.status:
        return f"{proof.url} answers {answer.status} instead of {proof.status}: {answer.body[:300].strip()}"
    return _unmatched(proof, answer.body, proof.url) or unmet_metric(proof.metrics, answer.body, since)


def _unmatched(proof: Proof, text: str, source: str) -> str | None:
    if proof.matches is None or re.search(proof.matches, text):
        return None
    return f"{source} does not match {proof.matches!r}: {text[:300].strip()!r}"


def unmet_metric(metrics: t.Mapping[str, str], body: str, since: float) -> str | None:
    """The first metric of an exposition that is missing or has another value; None if there is none."""
    for name, wanted in metrics.items():
        found = re.search(rf"^{re.escape(name)}(?:\{{[^}}]*\}})? (\S+)", body, re.MULTILINE)
        if found is None:
            return f"metric {name} is missing"
        try:
            value = float(found[1])
        except ValueError:
            return f"metric {name} is {found[1][:100]!r}, which is no number"
        # Expositions round a time to whole seconds at worst.
        held = value >= int(since) if wanted == "since" else value == float(wanted)
        if not held:
            return f"metric {name} is {found[1]}, not {f'at least {since:.0f}' if wanted == 'since' else wanted}"
    return None


def last_log_lines(unit: str, since: float) -> str:
    """The unit's last log lines since the Unix time `since`."""
    logged = run(
        ["journalctl", "-u", unit, f"--since=@{int(since)}", "-n", str(LOG_LINES), "--no-pager", "-o", "cat", "-q"]
    )
    return logged.stdout.strip() or "(it logged nothing)"


@dataclasses.dataclass(frozen=True)
class Rollout:
    """What is to be done to one unit of a service, and what proves it then; `added`: it did not exist before."""

    unit: str
    steps: t.Sequence[str]
    proofs: t.Sequence[Proof]
    added: bool = False


def with_spare(rollouts: t.Sequence[Rollout], spare: Rollout) -> list[Rollout]:
    """A spare instance runs while the only one restarts: its start comes before, its end after."""
    if [taken(one.steps) for one in rollouts] != ["restart"]:
        return list(rollouts)
    return [spare, *rollouts, dataclasses.replace(spare, steps=["stop"])]


def roll_out(
    rollouts: t.Sequence[Rollout],
    files: FileSet | None,
    timeout: float,
    *,
    running: bool = True,
    settle: bool = True,
    proof_timeout: float | None = None,
) -> None:
    """Carry out the steps of one unit after another, prove each, and mark the set live; roll back if that fails.

    `running`: whether the service is to run. If not, nothing can be proven, and nothing is marked. Without `settle` a
    proven set is not marked: a trial follows.
    Raises InfraError, after the roll-back, when a step fails or a proof does not hold within `proof_timeout` seconds
    (None: `timeout`, which is for each call of systemctl, and for the proofs of the set that is returned to).
    """
    touched: list[Rollout] = []
    for one in rollouts:
        began = time.time()
        touched.append(one)
        missing = _roll_out_one(one, timeout, timeout if proof_timeout is None else proof_timeout, running)
        if missing is not None:
            act = taken(one.steps)
            lines = last_log_lines(one.unit, began)
            outcome = take_back(touched, files, timeout) if running else "Its file set was not touched"
            raise InfraError(
                act if act != "none" else "change",
                f'the service "{one.unit}"',
                f"{missing}. {outcome}",
                f"Correct what it complains of and run again; `journalctl -u {one.unit}` has more.",
                detail=f"Its last log lines:\n{lines}",
            )
    if files is not None and running and settle:
        files.mark_live()


def _roll_out_one(one: Rollout, timeout: float, proof_timeout: float, running: bool) -> str | None:
    began = time.time()
    result = perform(one.unit, one.steps, timeout)
    act = taken(one.steps)
    if result.rc != 0:
        return result.output or f"systemctl ended with {result.rc}"
    if not running or act in ("none", "stop"):
        return None
    return _missing(one.unit, one.proofs, act, began, proof_timeout)


def take_back(touched: t.Sequence[Rollout], files: FileSet | None, timeout: float) -> str:
    """Return from the unproven set to the one that was proven before, if any; returns what runs now, in sentences.

    The units that were `touched` follow, the last one first.
    """
    try:
        return _take_back(touched, files, timeout)
    except InfraError as error:
        return f"It was not returned to its previous set: {error.cause.rstrip('.')}"
    except OSError as error:
        where = str(files.home) if files else ""
        cause = as_infra_error(error, "return", touched[-1].unit, where).cause
        return f"It was not returned to its previous set: {cause}"


def _take_back(touched: t.Sequence[Rollout], files: FileSet | None, timeout: float) -> str:
    if files is None:
        return "It has no file set to return to"
    live = files.generation("live")
    if live is None:
        ended = [_end_first(one, timeout) for one in reversed(touched)]
        return f"No earlier set was ever live here, so it was {_each(touched, ended)}"
    if live == files.generation("current"):
        return "It runs the set that was live before, which has not changed"
    files.point_to("live")
    outcomes = [_return_one(one, timeout) for one in reversed(touched)]
    return f"It was returned to its previous set ({live}), which {_each(touched, outcomes)}"


def _each(touched: t.Sequence[Rollout], outcomes: t.Sequence[str]) -> str:
    """One outcome for all units, or each with its unit."""
    if len(set(outcomes)) == 1:
        return outcomes[0]
    return ", ".join(f"{outcome} ({one.unit})" for one, outcome in zip(reversed(touched), outcomes, strict=True))


def _return_one(one: Rollout, timeout: float) -> str:
    if one.added:
        return f"does not have it: it was {_end_first(one, timeout)}"
    missing: str | None = "it was not tried"
    # What was only reloaded is reloaded again: a restart would cut the connections that it still serves.
    for step in ["reload", "restart"] if taken(one.steps) == "reload" else ["restart"]:
        began = time.time()
        result = perform(one.unit, ["daemon-reload", step], timeout)
        if result.rc:
            missing = result.output or f"systemctl ended with {result.rc}"
        else:
            missing = _missing(one.unit, _for_any_set(one.proofs), step, began, timeout)
        if missing is None:
            return "serves again"
    return f"does not pass its proofs either: {missing}"


def _end_first(one: Rollout, timeout: float) -> str:
    """Stop a service that did not run before: nobody may take an unproven one for deployed."""
    if not one.added and taken(one.steps) != "start":
        return "left as it is"
    result = perform(one.unit, ["stop", "disable"], timeout)
    return f"to be stopped again, which failed: {result.output}" if result.rc else "stopped again"


def _for_any_set(proofs: t.Sequence[Proof]) -> list[Proof]:
    """Proofs that fit any set: what the output must match may belong to the set that was rolled back."""
    return [dataclasses.replace(proof, matches=None, refused=None) for proof in proofs]


def as_diff(unit: str, status: Status, steps: t.Sequence[str], effect: str = "") -> dict[str, str]:
    """The systemctl verbs as a diff; `effect` is what users notice of them."""
    verbs = [step for step in steps if step != "daemon-reload"]
    lines = [f"systemctl {step} {unit}\n" for step in verbs] + ([f"# {effect}\n"] if effect else [])
    before = f"{'active' if status.active else 'inactive'}, {'enabled' if status.enabled else 'not enabled'}"
    if status.active and status.replaced:
        before += ", its program was replaced since it started"
    return {
        "before_header": f"{unit} ({before})",
        "after_header": f"{unit} (systemctl {', '.join(steps)})",
        "before": "",
        "after": "".join(lines),
    }
