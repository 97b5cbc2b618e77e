# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What became of a task: its exit code, why it stopped, what its containers said. Nothing here calls AWS."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._aws.ecs.deployment import short

Facts = t.Mapping[str, t.Any]
LONGEST_MARK = 128
CODE_OF_SIGNAL = 128
#: Of Linux; a code above is a program's own, such as 255.
LAST_SIGNAL = 64


@dataclasses.dataclass(frozen=True)
class Outcome:
    """`exit_code` of the container that was asked about; None if it never started. `cause` is empty for success."""

    exit_code: int | None
    stopped_reason: str
    cause: str = ""


def outcome(task: Facts, container: str) -> Outcome:
    """The outcome of a stopped task by the container of that name, whatever stands first in AWS' list."""
    reason = str(task.get("stoppedReason") or "").strip()
    found = [one for one in task.get("containers") or () if one.get("name") == container]
    own = str(found[0].get("reason") or "").strip() if found else ""
    code = found[0].get("exitCode") if found else None
    said = "; ".join(dict.fromkeys(filter(None, (own, reason))))
    if not found:
        return Outcome(None, reason, f"the task has no container {container}")
    if task.get("stopCode") == "UserInitiated":
        return Outcome(code, reason, f"it was stopped: {said or 'no reason was given'}")
    if code is None:
        return Outcome(None, reason, f"the container {container} never started: {said or 'AWS gives no reason'}")
    if code:
        number = code - CODE_OF_SIGNAL
        signal = f" (signal {number})" if 0 < number <= LAST_SIGNAL else ""
        return Outcome(
            code, reason, f"the container {container} ended with exit code {code}{signal}; {said}".rstrip("; ")
        )
    return Outcome(0, reason)


def told(task: Facts) -> str:
    """One line on a task that stopped, with each of its containers."""
    containers = [
        f"{one.get('name')}: "
        + ("never started" if one.get("exitCode") is None else f"exit code {one['exitCode']}")
        + (f" ({one['reason']})" if one.get("reason") else "")
        for one in task.get("containers") or ()
    ]
    reason = str(task.get("stoppedReason") or task.get("stopCode") or "no reason given")
    return f"task {short(task.get('taskArn'))}: {reason}; {'; '.join(containers)}"


def mark_of(name: str) -> str:
    """`startedBy` for a release: AWS takes letters, digits, hyphens, underscores and slashes."""
    plain = re.sub(r"[^A-Za-z0-9/_-]", "_", name)
    if plain == name and len(plain) <= LONGEST_MARK:
        return plain
    # Otherwise 1.2 and 1_2 would be one release.
    return f"{plain[:100]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def token_of(*words: t.Any) -> str:
    """A client token: the same request twice is one task, also where the answer to the first was lost."""
    return hashlib.sha256(json.dumps(words, sort_keys=True, default=str).encode()).hexdigest()


def main_container(definition: Facts, named: str | None) -> str | None:
    """The container whose exit code counts: the one that is named, or the only one; None if that is not decided."""
    names = [str(one.get("name")) for one in definition.get("containerDefinitions") or ()]
    if named:
        return named if named in names else None
    return names[0] if len(names) == 1 else None
