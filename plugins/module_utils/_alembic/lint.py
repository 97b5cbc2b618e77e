# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which statements of pending revisions block or break running code, weighed by the current sizes of the tables.

The findings are squawk's and those of a few rules of our own. Runs on the controller: squawk is a PyPI package, and
hosts need no package index this way.
"""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import sys
import tempfile
import typing as t
from pathlib import Path

from ansible_collections.nexod.infra.plugins.module_utils._alembic.engine.sql import (
    NAME,
    statements_in,
    table_of,
    unquoted,
)
from ansible_collections.nexod.infra.plugins.module_utils._alembic.url import place, read_url
from ansible_collections.nexod.infra.plugins.module_utils._core.durations import milliseconds
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._core.processes import run

Facts = t.Mapping[str, t.Any]
NO_SQUAWK = "squawk is not installed, so the lint checked only its own rules. Install it: pip install squawk-cli"


@dataclasses.dataclass(frozen=True)
class Rule:
    """`harm`: "blocks" (others wait), "breaks" (running code fails), "fails" (the revision fails if there are rows),
    "always" (the revision fails).
    """

    harm: str
    reason: str
    next_step: str


# Those of squawk's rules that are about harm. Its rules of style are ignored.
RULES = {
    "require-concurrent-index-creation": Rule(
        "blocks",
        "CREATE INDEX holds a SHARE lock: all writes wait until it is built",
        "Build it CONCURRENTLY, in an autocommit_block().",
    ),
    "require-concurrent-index-deletion": Rule(
        "blocks",
        "DROP INDEX takes an ACCESS EXCLUSIVE lock on the table",
        "Drop it CONCURRENTLY, in an autocommit_block().",
    ),
    "ban-concurrent-index-creation-in-transaction": Rule(
        "always",
        "CONCURRENTLY is refused in a transaction (SQLSTATE 25001)",
        "Move it into `with op.get_context().autocommit_block():`.",
    ),
    "adding-foreign-key-constraint": Rule(
        "blocks",
        "writes to both tables wait while all rows are checked",
        "Add it as NOT VALID, and VALIDATE it in a later revision.",
    ),
    "constraint-missing-not-valid": Rule(
        "blocks",
        "the table is scanned under a lock",
        "Add it as NOT VALID, and VALIDATE it in a later revision.",
    ),
    "adding-not-nullable-field": Rule(
        "blocks",
        "SET NOT NULL scans the table under an ACCESS EXCLUSIVE lock, unless a validated CHECK proves it",
        "Add CHECK (column IS NOT NULL) NOT VALID, VALIDATE it, then SET NOT NULL and drop the CHECK.",
    ),
    "adding-required-field": Rule(
        "fails",
        "a NOT NULL column without a default can't be added to a table with rows, and code that does not know it can't "
        "insert",
        "Give it a constant default, or add it as nullable, fill it, and set NOT NULL later.",
    ),
    "adding-field-with-default": Rule(
        "blocks",
        "a volatile default rewrites every row under an ACCESS EXCLUSIVE lock",
        "Add the column without it, set the default, and fill old rows in batches.",
    ),
    "adding-serial-primary-key-field": Rule(
        "blocks",
        "the table is rewritten and indexed under an ACCESS EXCLUSIVE lock",
        "Add the column, fill it, build the index CONCURRENTLY, and add the constraint USING INDEX.",
    ),
    "changing-column-type": Rule(
        "blocks",
        "the table is rewritten under an ACCESS EXCLUSIVE lock",
        "Add a column of the new type, fill it, and switch the code to it.",
    ),
    "disallowed-unique-constraint": Rule(
        "blocks",
        "the index is built under an ACCESS EXCLUSIVE lock",
        "Build a unique index CONCURRENTLY, then ADD CONSTRAINT ... UNIQUE USING INDEX.",
    ),
    "renaming-column": Rule(
        "breaks",
        "running code uses the old name",
        "Add a new column, and drop the old one in a contract revision.",
    ),
    "renaming-table": Rule("breaks", "running code uses the old name", "Create a view with the old name."),
    "ban-drop-column": Rule(
        "breaks",
        "code that still reads it fails, and its data is lost",
        "Once no running release reads it, begin the revision's docstring with `Contract:`.",
    ),
    "ban-drop-table": Rule(
        "breaks",
        "code that still reads it fails, and its data is lost",
        "Once no running release reads it, begin the revision's docstring with `Contract:`.",
    ),
    "ban-drop-database": Rule("always", "all data is lost", "Remove the statement."),
    "ban-truncate-cascade": Rule("breaks", "tables that reference it are emptied too", "Name the tables one by one."),
    "ban-alter-domain-with-add-constraint": Rule(
        "blocks", "every table with the domain is scanned under a lock", "Add it as NOT VALID, and VALIDATE it later."
    ),
    "require-lock-timeout": Rule(
        "blocks",
        "without lock_timeout, all other queries queue behind a statement that waits for its lock",
        "Set `lock_timeout`.",
    ),
    # What squawk does not check.
    "whole-table-write": Rule(
        "blocks",
        "every row is rewritten, and locked until the revision commits",
        "Write in batches by key, each in its own transaction, or restrict the rows with WHERE.",
    ),
    "explicit-lock": Rule(
        "blocks", "the lock is held until the revision commits", "Remove it, or use a weaker lock mode."
    ),
    "blocking-refresh": Rule(
        "blocks", "reads of the view wait until it is rebuilt", "Use REFRESH MATERIALIZED VIEW CONCURRENTLY."
    ),
    "table-rewrite": Rule(
        "blocks", "the table is rewritten under an ACCESS EXCLUSIVE lock", "Use pg_repack, outside migrations."
    ),
}
OWN = (
    ("whole-table-write", re.compile(r"^\s*(?:UPDATE|DELETE)\b(?!.*\bWHERE\b)", re.IGNORECASE | re.DOTALL)),
    ("explicit-lock", re.compile(r"^\s*LOCK\b(?!.*\bIN\s+(?:ACCESS|ROW)\s+SHARE\b)", re.IGNORECASE | re.DOTALL)),
    ("blocking-refresh", re.compile(r"^\s*REFRESH\s+MATERIALIZED\s+VIEW\s+(?!CONCURRENTLY)", re.IGNORECASE)),
    ("table-rewrite", re.compile(r"^\s*(?:CLUSTER\b|VACUUM\s*\(?[^;]*\bFULL\b)", re.IGNORECASE)),
)
REQUIRED = re.compile(rf"\bALTER\s+(?:COLUMN\s+)?({NAME})\s+SET\s+NOT\s+NULL", re.IGNORECASE)
RETYPED = re.compile(
    rf"\bALTER\s+(?:COLUMN\s+)?({NAME})\s+(?:SET\s+DATA\s+)?TYPE\s+([^;]+?)(?:\s+USING\s+.*)?\s*$",
    re.IGNORECASE | re.DOTALL,
)


@dataclasses.dataclass(frozen=True)
class Verdict:
    findings: list[dict[str, t.Any]]
    unused: list[Facts]

    @property
    def stopping(self) -> list[dict[str, t.Any]]:
        return [one for one in self.findings if one["level"] == "error" and not one.get("waived")]


def squawk_program() -> str | None:
    """squawk beside the interpreter that Ansible runs with, or on the path."""
    beside = Path(sys.executable).with_name("squawk")
    return str(beside) if beside.exists() else shutil.which("squawk")


def ask_squawk(program: str, sql: t.Mapping[str, str], *, server: int, lock_timeout: int) -> list[dict[str, t.Any]]:
    """squawk's findings: `revision`, `rule`, `line` (from 0, in the revision's own text)."""
    # As the engine sets them. statement_timeout is the user's choice, even if it is none, so no finding about it.
    prelude = (f"SET lock_timeout = {lock_timeout};\n" if lock_timeout else "") + "SET statement_timeout = 60000;\n"
    shift = prelude.count("\n")
    with tempfile.TemporaryDirectory(prefix="alembic-lint-") as folder:
        names = {}
        for number, (revision, text) in enumerate(sql.items()):
            if text.strip():
                names[f"{number:05}.sql"] = revision
                Path(folder, f"{number:05}.sql").write_text(prelude + text, encoding="utf-8")
        if not names:
            return []
        argv = [program, "--reporter", "json", "--pg-version", f"{server // 10000}.0", *names]
        done = run(argv, timeout=120, cwd=folder)
    try:
        rows = json.loads(done.stdout or "[]")
    except ValueError:
        rows = None
    if rows is None or done.rc not in (0, 1):
        raise InfraError(
            "lint the pending revisions with",
            program,
            f"rc {done.rc}: {done.output[-500:]}",
            "Run it by hand to see why. `lint: off` skips the lint.",
        )
    return [
        {"revision": names[Path(row["file"]).name], "rule": row["rule_name"], "line": max(row["line"] - shift, 0)}
        for row in rows
    ]


def statement_at(statements: t.Sequence[tuple[int, str]], line: int) -> int:
    """The number of the statement that contains the line."""
    return max((number for number, (begin, _text) in enumerate(statements) if begin <= line), default=0)


def size_limit(kind: str) -> tuple[str, tuple[int, ...] | None]:
    found = re.fullmatch(r"([a-z ]+?)\s*(?:\(([\d,\s]+)\))?", kind.strip().lower())
    if found is None:
        return kind.strip().lower(), None
    name = {"varchar": "character varying", "decimal": "numeric"}.get(found[1], found[1])
    return name, tuple(int(part) for part in found[2].split(",")) if found[2] else None


def widens(old: str, new: str) -> bool:
    """Whether the new type needs no rewrite: a longer varchar, varchar to text, numeric with more digits."""
    (was, before), (will, after) = size_limit(old), size_limit(new)
    if was == "character varying" and will in ("character varying", "text"):
        return after is None or (before is not None and after >= before)
    if was == will == "numeric" and before:
        scale = (*before, 0)[1]
        return after is None or (after[0] >= before[0] and (*after, 0)[1] == scale)
    return (was, before) == (will, after)


def proven(statement: str, earlier: str, table: Facts) -> bool:
    """Whether a validated CHECK, in the database or earlier in the SQL, covers every column that becomes NOT NULL."""
    checks = table.get("checks") or []
    for name in REQUIRED.findall(statement):
        words = re.compile(rf"\(\s*{re.escape(name)}\s+IS\s+NOT\s+NULL\s*\)", re.IGNORECASE)
        held = [text for text in checks if words.search(text)]
        if any("NOT VALID" not in text for text in held):
            continue
        if not ((held or words.search(earlier)) and re.search(r"\bVALIDATE\s+CONSTRAINT\b", earlier, re.IGNORECASE)):
            return False
    return bool(REQUIRED.search(statement))


def without_rewrite(rule: str, statement: str, *, earlier: str, table: Facts) -> str | None:
    """Why the rows need neither be scanned nor rewritten; None if they do."""
    if rule == "adding-not-nullable-field" and proven(statement, earlier, table):
        return "a validated CHECK proves it, so nothing is scanned"
    retyped = RETYPED.search(statement) if rule == "changing-column-type" else None
    old = (table.get("columns") or {}).get(unquoted(retyped[1])) if retyped else None
    return f"{old} can be widened without a rewrite" if retyped and old and widens(old, retyped[2]) else None


def weigh(rule: str, statement: str, *, earlier: str, table: Facts | None, small: int, contract: bool) -> str | None:
    """Why the finding is harmless here; None if it is not. A table of unknown size may be large."""
    harm, rows = RULES[rule].harm, (table or {}).get("rows")
    if harm == "always":
        return None
    if table is not None and not table["exists"]:
        return "the table does not exist yet"
    if table is not None and table["empty"]:
        return "the table is empty"
    if harm == "breaks":
        return "the revision is declared a contract" if contract else None
    if harm == "blocks" and rows is not None and rows < small:
        return f"the table has about {rows} rows"
    return without_rewrite(rule, statement, earlier=earlier, table=table or {})


def judge(
    sql: t.Mapping[str, str],
    reported: t.Sequence[Facts],
    tables: t.Mapping[str, Facts],
    *,
    contracts: t.Container[str],
    small: int,
    waivers: t.Sequence[Facts],
) -> Verdict:
    """squawk's findings and our own, in the order of the revisions, weighed, with the waivers that accept them."""
    findings: list[dict[str, t.Any]] = []
    before = ""
    for revision, text in sql.items():
        statements = statements_in(text)
        mine = {(row["rule"], statement_at(statements, row["line"])) for row in reported if row["revision"] == revision}
        mine |= {
            (rule, number)
            for number, (_line, statement) in enumerate(statements)
            for rule, words in OWN
            if words.search(statement)
        }
        for rule, number in sorted(mine, key=lambda found: (found[1], found[0])):
            if rule not in RULES or not statements:
                continue
            statement = statements[number][1]
            name = table_of(statement)
            table = tables.get(name) if name else None
            earlier = before + ";".join(one for _line, one in statements[:number])
            why = weigh(
                rule, statement, earlier=earlier, table=table, small=small, contract=revision in contracts
            )  # fmt: skip
            waiver = next((one for one in waivers if (one["rule"], one["revision"]) == (rule, revision)), None)
            findings.append(
                {
                    "rule": rule,
                    "revision": revision,
                    "statement": statement,
                    "level": "info" if why else "error",
                    "reason": RULES[rule].reason,
                    "weighed": why,
                    "table": (table or {}).get("name") or name,
                    "rows": (table or {}).get("rows"),
                    "next_step": RULES[rule].next_step,
                    **({"waived": waiver["reason"]} if waiver else {}),
                }
            )
        before += text
    matched = {(one["rule"], one["revision"]) for one in findings}
    return Verdict(findings, [one for one in waivers if (one["rule"], one["revision"]) not in matched])


def sentence(finding: Facts) -> str:
    """`0003: require-concurrent-index-creation on users (2000000 rows): ...`"""
    rows = f" (about {finding['rows']} rows)" if finding["rows"] is not None else ""
    table = f" on {finding['table']}{rows}" if finding["table"] else ""
    statement = " ".join(finding["statement"].split())
    short = statement if len(statement) <= 160 else statement[:157] + "..."
    return f"{finding['revision']}: {finding['rule']}{table}: {finding['reason']}. {finding['next_step']} In: {short}"


def refusal(verdict: Verdict, where: str) -> InfraError:
    stopping = verdict.stopping
    count = f"{len(stopping)} statement{'s' if len(stopping) > 1 else ''} would block or break running code"
    return InfraError(
        "upgrade database",
        where,
        f"{count} (the first in revision {stopping[0]['revision']}: {stopping[0]['rule']})",
        "Change the revision as described below, or accept the finding in `lint_waivers` with a reason. "
        "`lint: warn` only warns.",
        "\n".join(sentence(one) for one in stopping),
    )


def lint(
    arguments: Facts, policy: str, pending: t.Sequence[Facts], facts: Facts, program: str | None
) -> dict[str, t.Any]:
    """The lint's part of the result, with `failed` if `policy` refuses the plan. `program`: squawk's path, or None."""
    if policy == "off":
        return {}
    sql, where = facts["sql"], place(read_url(str(arguments["url"])))
    warnings = []
    reported: list[dict[str, t.Any]] = []
    if program and sql:
        limit = milliseconds(arguments.get("lock_timeout", "200ms"), "lock_timeout")
        reported = ask_squawk(program, sql, server=facts["server"], lock_timeout=limit)
    elif sql and policy == "error":
        raise InfraError(
            "lint the pending revisions of",
            where,
            "squawk is not installed",
            "Install it where the lint runs (pip install squawk-cli), or set `lint: warn` or `lint: off`.",
        )
    elif sql:
        warnings.append(NO_SQUAWK)
    verdict = judge(
        sql,
        reported,
        facts["tables"],
        contracts={step["revision"] for step in pending if step.get("contract")},
        small=int(arguments.get("small_table", 10000)),
        waivers=arguments.get("lint_waivers") or [],
    )
    found = {"lint": verdict.findings, "unused_waivers": list(verdict.unused)}
    if verdict.stopping and policy == "error":
        return {**refusal(verdict, where).report(), **found, "failed": True, "changed": False}
    return {**found, "warnings": warnings + lint_warnings(verdict, ran=bool(sql))}


def lint_warnings(verdict: Verdict, *, ran: bool) -> list[str]:
    """What stops nothing, but should be known. An unused waiver is only reported while there is something to lint."""
    unused = [
        f"The waiver of {one['rule']} in {one['revision']} matches no finding: remove it." for one in verdict.unused
    ]
    return [sentence(one) for one in verdict.stopping] + (unused if ran else [])
