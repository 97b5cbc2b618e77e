# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the modules ``alembic_*`` and the command ``migrate`` do with a database."""

from __future__ import annotations

import dataclasses
import time
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._alembic.answers import (
    Outcome,
    drift_facts,
    first,
    interpret,
    last,
    outcome,
)
from ansible_collections.nexod.infra.plugins.module_utils._alembic.archive import history
from ansible_collections.nexod.infra.plugins.module_utils._alembic.lint import lint_downgrade
from ansible_collections.nexod.infra.plugins.module_utils._alembic.metrics import unwritable, write_metrics
from ansible_collections.nexod.infra.plugins.module_utils._alembic.request import (
    LONG_LOCK_SECONDS,
    ask_engine,
    check_revision,
    check_target,
    internal,
)
from ansible_collections.nexod.infra.plugins.module_utils._alembic.url import place, read_url
from ansible_collections.nexod.infra.plugins.module_utils._core.durations import seconds
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError

Facts = t.Mapping[str, t.Any]


def upgrade(
    parameters: Facts, *, check: bool, folder: str | None = None, approve: t.Callable[[Outcome], bool] | None = None
) -> Outcome:
    """Upgrade the database. In check mode, or if the lint has to approve the plan first, only plan it.

    `approve`: asked with the plan whether to run it, so that one engine does both.
    """
    check_revision(parameters["revision"])
    lint_first = parameters.get("lint", "off") != "off" and internal(parameters, "linted") is None
    began = time.time()
    try:
        result = run_command(
            "upgrade",
            parameters,
            check=check,
            folder=folder,
            approve=approve,
            render=check or lint_first,
            stop_at_plan=lint_first and approve is None,
        )
    except InfraError as error:
        if not check:
            warnings = write_metrics(parameters, began, error.facts, ok=False)
            error.facts["warnings"] = [*t.cast("list[str]", error.facts.get("warnings") or []), *warnings]
        raise
    warnings = long_lock_warnings(parameters)
    if check or "pending" in result.facts:
        warnings += unwritable(parameters.get("metrics_file"))
    if not check and "pending" not in result.facts:
        warnings += write_metrics(parameters, began, {**result.facts, "migrations": result.migrations}, ok=True)
    tree = internal(parameters, "tree")
    if result.database_missing and tree:
        # This deploy creates the database first, empty: every revision is pending.
        return dataclasses.replace(result, migrations=tuple(history(tree)), warnings=())
    return dataclasses.replace(result, warnings=(*result.warnings, *warnings))


def downgrade(parameters: Facts, *, check: bool, folder: str | None = None) -> Outcome:
    check_target(parameters["revision"], "downgrade to revision")
    if not parameters["confirm"]:
        raise InfraError(
            "downgrade to revision",
            f'"{parameters["revision"]}"',
            "a downgrade can delete what users have written since",
            "Check in check mode what it would do, then set `confirm: true`.",
        )
    result = run_command("downgrade", parameters, check=check, folder=folder, render=check)
    if not check or not result.inspected:
        return result
    findings, warnings = lint_downgrade(result.facts)
    return dataclasses.replace(result, facts={**result.facts, "lint": findings}, warnings=(*result.warnings, *warnings))


def stamp(parameters: Facts, *, check: bool, folder: str | None = None) -> Outcome:
    if parameters["revision"] not in ("head", "heads"):
        check_target(parameters["revision"], "stamp with revision")
    return run_command("stamp", parameters, check=check, folder=folder)


def info(parameters: Facts, *, folder: str | None = None) -> dict[str, t.Any]:
    ended, events, python = ask_engine("info", {**parameters, "revision": "heads"}, check=True, folder=folder)
    found = last(events, "info")
    if found is None:
        timeout = seconds(parameters["timeout"], "timeout")
        database = read_url(parameters["url"])
        interpret(ended, events, check=False, database=database, python=python, timeout=timeout, verb="inspect")
        raise InfraError("inspect database", place(database), "the engine returned nothing", "Run again.")
    invalid = last(events, "invalid_indexes") or {}
    return {
        "current": list(found["heads"]),
        "heads": list(found["script_heads"]),
        "unknown": list(found["unknown"]),
        "pending": [
            {name: step.get(name) for name in ("revision", "doc", "contract", "sql", "not_rendered")}
            for step in found["pending"]
        ],
        "branches": [row for row in found["history"] if row["branch_point"] or row["branches"]],
        "history": list(found["history"]),
        "lock_holder": found["holder"] or None,
        "invalid_indexes": [{"index": row["index"], "table": row["table"]} for row in invalid.get("indexes", [])],
        "server": first(events, "server").get("version"),
        "audit": list(found.get("audit") or []),
        **drift_facts(found.get("drift")),
    }


def run_command(
    command: str,
    parameters: Facts,
    *,
    check: bool,
    folder: str | None,
    approve: t.Callable[[Outcome], bool] | None = None,
    **more: t.Any,
) -> Outcome:
    def decide(events: list[dict[str, t.Any]]) -> bool:
        return approve is not None and approve(outcome(events, check=True))

    ended, events, python = ask_engine(
        command, {**parameters, **more}, check=check, folder=folder, decide=decide if approve else None
    )
    return interpret(
        ended,
        events,
        check=check,
        database=read_url(parameters["url"]),
        python=python,
        timeout=seconds(parameters["timeout"], "timeout"),
        verb=command,
        variable=parameters.get("url_env") or parameters["url_option"],
    )


def long_lock_warnings(parameters: Facts) -> list[str]:
    """PostgreSQL's own lock_timeout counts milliseconds: `200` may have been meant so."""
    given = parameters.get("lock_timeout", 0)
    if seconds(given, "lock_timeout") <= LONG_LOCK_SECONDS:
        return []
    return [
        f"lock_timeout is {seconds(given, 'lock_timeout'):g} s: all other queries on a table wait that long behind a "
        f'statement that waits for its lock. Use a short one, such as "200ms", with lock_retries.'
    ]
