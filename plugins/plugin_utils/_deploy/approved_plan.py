# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check that a deploy would do exactly what was approved."""

from __future__ import annotations

import json
import pathlib
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.plugin_utils._report.changes import Change, difference, from_rows

ACTION = "verify the approved plan"
#: Set for the run that makes the new plan, so that it does not make another one.
INNER_VARIABLE = "NEXOD_PLAN_INNER"


#: Command-line options that make Ansible ask for a password: the option, and what to give instead.
PROMPTS = {
    "ask_pass": ("--ask-pass (-k)", "--connection-password-file"),
    "become_ask_pass": ("--ask-become-pass (-K)", "--become-password-file"),
    "ask_vault_pass": ("--ask-vault-pass (-J)", "--vault-password-file"),
}


def refuse_prompts(given: t.Mapping[str, t.Any]) -> None:
    """Refuse a run that asks for passwords: the new plan is made by the same command, with nobody to answer."""
    found = [PROMPTS[name] for name in PROMPTS if given.get(name)]
    if any(str(identity).rpartition("@")[2].startswith("prompt") for identity in given.get("vault_ids") or ()):
        found.append(("--vault-id prompt", "--vault-id NAME@FILE"))
    if found:
        raise InfraError(
            ACTION,
            "of a run that asks for passwords",
            f"{' and '.join(option for option, _instead in found)} can't be answered when the plan is made again",
            f"Give the passwords with {' and '.join(instead for _option, instead in found)} instead. "
            "Nothing was changed.",
        )


#: What a plan that is no file is called.
GIVEN = "the given one"


def name_of(plan: t.Any) -> str:
    """A plan is the name of a file, or itself: as an artifact of an earlier job of AWX, or as the JSON of one."""
    return GIVEN if not isinstance(plan, str) or plan.lstrip().startswith("{") else plan


def document_of(plan: t.Any) -> t.Any:
    if not isinstance(plan, str):
        return plan
    text = plan if name_of(plan) == GIVEN else pathlib.Path(plan).expanduser().read_text(encoding="utf-8")
    return json.loads(text)


def read_plan(plan: t.Any, environment: str) -> list[Change]:
    """The changes of the plan; refuses one that failed or is of another environment."""
    where = f'"{name_of(plan)}"'
    again = "Make a plan with: make plan, or ansible-playbook playbooks/deploy.yml --check"
    try:
        report: dict[str, t.Any] = document_of(plan)
        changes = from_rows(report["changes"])
    except OSError as error:
        raise InfraError(ACTION, where, error.strerror or str(error), again) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InfraError(ACTION, where, f"it is not a plan ({error!r})", again) from error
    if not report.get("check_mode"):
        raise InfraError(ACTION, where, "it is the report of a deploy, not of a plan", again)
    if report.get("outcome") != "ok":
        raise InfraError(ACTION, where, "that plan failed, so it is incomplete", again)
    if report.get("environment") != environment:
        cause = f"it was made for {report.get('environment')}, not for {environment}"
        raise InfraError(ACTION, where, cause, again)
    return changes


def compare(path: str, approved: t.Sequence[Change], found: t.Sequence[Change]) -> None:
    """Raise an error that lists every difference between `found` and `approved`."""
    more, less = difference(approved, found)
    if not more and not less:
        return
    # The same object in both, with different content.
    names = {(c.stage, c.host, c.action, c.kind, c.object) for c in less}
    lines = []
    for change in more:
        other = (change.stage, change.host, change.action, change.kind, change.object) in names
        lines.append(f"{'~' if other else '+'} {change.stage}, {change.host}: {change.sentence}")
    both = {(c.stage, c.host, c.action, c.kind, c.object) for c in more}
    lines += [
        f"- {c.stage}, {c.host}: {c.sentence}"
        for c in less
        if (c.stage, c.host, c.action, c.kind, c.object) not in both
    ]
    raise InfraError(
        ACTION,
        f'"{path}"',
        "this deploy would do something else. Nothing was changed",
        "Review the differences (+ not in the approved plan, - only in the approved plan, ~ same object, different "
        "content), then make a new plan and have it approved.",
        detail="\n".join(lines),
        more=[f"{c.stage}, {c.host}: {c.sentence}" for c in more],
        less=[f"{c.stage}, {c.host}: {c.sentence}" for c in less],
    )
