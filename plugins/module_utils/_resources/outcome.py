# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The outcome of the engine as the result of a module."""

from __future__ import annotations

import json
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._resources.engine import Change, Outcome


def reported(outcome: Outcome, **more: t.Any) -> dict[str, t.Any]:
    """Everything the module returns, with `more` besides.

    Raises an InfraError with all faults, and with what was changed nevertheless.
    """
    facts = {
        "changed": bool(outcome.changes),
        "changes": [
            {"key": one.key, "action": one.action, "before": dict(one.before), "after": dict(one.after)}
            for one in outcome.changes
        ],
        "outputs": {key: dict(values) for key, values in outcome.outputs.items()},
        "later": dict(outcome.later),
        **more,
        "diff": [diff_of(one) for one in outcome.changes],
    }
    if not outcome.faults:
        return facts
    faults = _distinct(outcome.faults)
    facts["problems"] = [error.report()["error"] for _key, error in faults]
    if len(faults) == 1:
        error = faults[0][1]
        raise InfraError(
            error.action, error.object, error.cause, error.next_step, error.detail, **{**error.facts, **facts}
        )
    raise InfraError(
        "apply the declaration of",
        ", ".join(key for key, _error in faults),
        f"{len(faults)} resources failed",
        "Fix each of these, then run again; what was done stays done.",
        "\n".join(f"- {error}" for _key, error in faults),
        **facts,
    )


def _distinct(faults: t.Sequence[tuple[str, InfraError]]) -> list[tuple[str, InfraError]]:
    """Without credentials, or with a wrong clock, every resource fails for the same reason: it is reported once.

    Such an error has `everywhere`, which says where.
    """
    found: dict[object, tuple[str, InfraError]] = {}
    for key, error in faults:
        found.setdefault(error.facts.get("everywhere") or key, (key, error))
    return list(found.values())


def diff_of(change: Change) -> dict[str, str]:
    def text(values: t.Mapping[str, t.Any]) -> str:
        return "".join(f"{name}: {json.dumps(values[name], default=str)}\n" for name in values)

    title = f"{change.key} ({change.action})"
    return {
        "before_header": title,
        "after_header": title,
        "before": text(change.before),
        "after": text(change.after),
    }
