# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which statements of pending revisions block or break what runs beside them, weighed by the tables' live sizes.

squawk reads the SQL, rules of our own see what it does not; what matters for a database that is in use decides here.
Runs on the controller: hosts have no package index, and need none for this.
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

from ansible_collections.nexod.infra.plugins.module_utils._alembic.faults import place
from ansible_collections.nexod.infra.plugins.module_utils._alembic.helper import NAME, statements_in, table_of
from ansible_collections.nexod.infra.plugins.module_utils._alembic.request import duration, read_url
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._core.processes import run

Facts = t.Mapping[str, t.Any]
NO_SQUAWK = "squawk is not here, only a part of the lint was done: pip install squawk-cli"


@dataclasses.dataclass(frozen=True)
class Rule:
    """`harm`: blocks (others wait), breaks (running code fails), fails (the revision itself does), always (it does,
    whatever is in the table).
    """

    harm: str
    reason: str
    next_step: str


# Those of squawk's rules that are about harm. Its rules of style are not asked: they stop no deploy.
RULES = {
    "require-concurrent-index-creation": Rule(
        "blocks",
        "CREATE INDEX holds a SHARE lock: nobody writes until it is built",
        "Build it CONCURRENTLY, in an autocommit_block().",
    ),
    "require-concurrent-index-deletion": Rule(
        "blocks",
        "DROP INDEX takes an ACCESS EXCLUSIVE lock on the table",
        "Drop it CONCURRENTLY, in an autocommit_block().",
    ),
    "ban-concurrent-index-creation-in-transaction": Rule(
        "always",
        "CONCURRENTLY in a transaction is refused (SQLSTATE 25001)",
        "Put it into `with op.get_context().autocommit_block():`.",
    ),
    "adding-foreign-key-constraint": Rule(
        "blocks",
        "both tables take no writes while all rows are looked up",
        "Add it NOT VALID, and VALIDATE it in a later revision.",
    ),
    "constraint-missing-not-valid": Rule(
        "blocks",
        "the table is scanned under a lock",
        "Add it NOT VALID, and VALIDATE it in a later revision.",
    ),
    "adding-not-nullable-field": Rule(
        "blocks",
        "SET NOT NULL scans the table under an ACCESS EXCLUSIVE lock, unless a validated CHECK proves it",
        "Add CHECK (column IS NOT NULL) NOT VALID, VALIDATE it, then SET NOT NULL and drop the CHECK.",
    ),
    "adding-required-field": Rule(
        "fails",
        "a column that is NOT NULL without a default can't be added where there are rows, and code that does not know "
        "it can't insert",
        "Give it a constant default, or add it nullable, fill it and require it later.",
    ),
    "adding-field-with-default": Rule(
        "blocks",
        "a volatile default writes every row anew under an ACCESS EXCLUSIVE lock",
        "Add the column without it, set the default, and fill old rows in batches.",
    ),
    "adding-serial-primary-key-field": Rule(
        "blocks",
        "the table is written anew and indexed under an ACCESS EXCLUSIVE lock",
        "Add the column, fill it, build the index CONCURRENTLY, and make the constraint of it.",
    ),
    "changing-column-type": Rule(
        "blocks",
        "the table is written anew under an ACCESS EXCLUSIVE lock",
        "Add a column of the new type beside it, fill it, and let the code change over.",
    ),
    "disallowed-unique-constraint": Rule(
        "blocks",
        "the index is built under an ACCESS EXCLUSIVE lock",
        "Build a unique index CONCURRENTLY, then ADD CONSTRAINT ... UNIQUE USING INDEX.",
    ),
    "renaming-column": Rule("breaks", "running code asks for the old name", "Add the new one beside it; see contract."),
    "renaming-table": Rule("breaks", "running code asks for the old name", "Leave a view with the old name."),
    "ban-drop-column": Rule(
        "breaks",
        "code that still reads it fails, and its data is gone",
        "Once no release reads it, begin the revision's docstring with `Contract:`.",
    ),
    "ban-drop-table": Rule(
        "breaks",
        "code that still reads it fails, and its data is gone",
        "Once no release reads it, begin the revision's docstring with `Contract:`.",
    ),
    "ban-drop-database": Rule("always", "all data is gone", "Take it out."),
    "ban-truncate-cascade": Rule("breaks", "tables that refer to it are emptied too", "Name the tables one by one."),
    "ban-alter-domain-with-add-constraint": Rule(
        "blocks", "every table with the domain is scanned under a lock", "Add it NOT VALID, and VALIDATE it later."
    ),
    "require-lock-timeout": Rule(
        "blocks",
        "without lock_timeout everyone queues behind a statement that waits for a lock",
        "Give `lock_timeout`.",
    ),
    # What squawk does not see.
    "whole-table-write": Rule(
        "blocks",
        "every row is locked until the revision commits, and is written anew",
        "Write in batches by key, each its own transaction, or name the rows in WHERE.",
    ),
    "explicit-lock": Rule("blocks", "LOCK is held until the revision commits", "Take it out, or a weaker one."),
    "blocking-refresh": Rule(
        "blocks", "nobody reads the view until it is built", "REFRESH MATERIALIZED VIEW CONCURRENTLY."
    ),
    "table-rewrite": Rule(
        "blocks", "the table is written anew under an ACCESS EXCLUSIVE lock", "Use pg_repack, outside of migrations."
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
    """What squawk says of each revision's SQL: `revision`, `rule`, `line` (from 0, in the revision's own text)."""
    # What the module itself sets. statement_timeout is the caller's choice, also where it is none.
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
        told = json.loads(done.stdout or "[]")
    except ValueError:
        told = None
    if told is None or done.rc not in (0, 1):
        raise InfraError(
            "lint the pending revisions with",
            program,
            f"rc {done.rc}: {done.output[-500:]}",
            "Run it by hand; `lint: off` goes on without it.",
        )
    return [
        {"revision": names[Path(row["file"]).name], "rule": row["rule_name"], "line": max(row["line"] - shift, 0)}
        for row in told
    ]


def plain(name: str) -> str:
    """An identifier as the server keeps it."""
    return name[1:-1].replace('""', '"') if name.startswith('"') else name.lower()


def statement_at(statements: t.Sequence[tuple[int, str]], line: int) -> int:
    """Which of the statements the line is in."""
    return max((number for number, (begin, _text) in enumerate(statements) if begin <= line), default=0)


def size_limit(kind: str) -> tuple[str, tuple[int, ...] | None]:
    found = re.fullmatch(r"([a-z ]+?)\s*(?:\(([\d,\s]+)\))?", kind.strip().lower())
    if found is None:
        return kind.strip().lower(), None
    name = {"varchar": "character varying", "decimal": "numeric"}.get(found[1], found[1])
    return name, tuple(int(part) for part in found[2].split(",")) if found[2] else None


def widens(old: str, new: str) -> bool:
    """Whether the change of type leaves the rows as they are: varchar wider or to text, numeric with more digits."""
    (was, before), (will, after) = size_limit(old), size_limit(new)
    if was == "character varying" and will in ("character varying", "text"):
        return after is None or (before is not None and after >= before)
    if was == will == "numeric" and before:
        scale = (*before, 0)[1]
        return after is None or (after[0] >= before[0] and (*after, 0)[1] == scale)
    return (was, before) == (will, after)


def proven(statement: str, earlier: str, table: Facts) -> bool:
    """Whether a validated CHECK proves all that become NOT NULL: one in the database, or one that runs before."""
    checks = table.get("checks") or []
    for name in REQUIRED.findall(statement):
        words = re.compile(rf"\(\s*{re.escape(name)}\s+IS\s+NOT\s+NULL\s*\)", re.IGNORECASE)
        held = [text for text in checks if words.search(text)]
        if any("NOT VALID" not in text for text in held):
            continue
        if not ((held or words.search(earlier)) and re.search(r"\bVALIDATE\s+CONSTRAINT\b", earlier, re.IGNORECASE)):
            return False
    return bool(REQUIRED.search(statement))


def kept_as_it_is(rule: str, statement: str, *, earlier: str, table: Facts) -> str | None:
    """Why the rows need neither be scanned nor written anew, where that is so."""
    if rule == "adding-not-nullable-field" and proven(statement, earlier, table):
        return "a validated CHECK proves it, nothing is scanned"
    retyped = RETYPED.search(statement) if rule == "changing-column-type" else None
    old = (table.get("columns") or {}).get(plain(retyped[1])) if retyped else None
    return f"{old} is kept as it is, nothing is written anew" if retyped and old and widens(old, retyped[2]) else None


def weigh(rule: str, statement: str, *, earlier: str, table: Facts | None, small: int, contract: bool) -> str | None:
    """Why the finding harms nobody here; None where it does. A table of which nothing is known may be a large one."""
    harm, rows = RULES[rule].harm, (table or {}).get("rows")
    if harm == "always":
        return None
    if table is not None and not table["exists"]:
        return "the table is not there yet"
    if table is not None and table["empty"]:
        return "the table is empty"
    if harm == "breaks":
        return "the revision says that it is a contract" if contract else None
    if harm == "blocks" and rows is not None and rows < small:
        return f"the table has about {rows} rows"
    return kept_as_it_is(rule, statement, earlier=earlier, table=table or {})


def judge(
    sql: t.Mapping[str, str],
    said: t.Sequence[Facts],
    tables: t.Mapping[str, Facts],
    *,
    contracts: t.Container[str],
    small: int,
    waivers: t.Sequence[Facts],
) -> Verdict:
    """The findings in the order of the revisions, weighed, with the waivers that accept them."""
    findings: list[dict[str, t.Any]] = []
    before = ""
    for revision, text in sql.items():
        statements = statements_in(text)
        mine = {(row["rule"], statement_at(statements, row["line"])) for row in said if row["revision"] == revision}
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
    met = {(one["rule"], one["revision"]) for one in findings}
    return Verdict(findings, [one for one in waivers if (one["rule"], one["revision"]) not in met])


def sentence(finding: Facts) -> str:
    """`0003: require-concurrent-index-creation on users (2000000 rows): ...`"""
    rows = f" (about {finding['rows']} rows)" if finding["rows"] is not None else ""
    table = f" on {finding['table']}{rows}" if finding["table"] else ""
    statement = " ".join(finding["statement"].split())
    short = statement if len(statement) <= 160 else statement[:157] + "..."
    return f"{finding['revision']}: {finding['rule']}{table}: {finding['reason']}. {finding['next_step']} In: {short}"


def refusal(verdict: Verdict, where: str) -> InfraError:
    stopping = verdict.stopping
    count = f"{len(stopping)} statement{'s' if len(stopping) > 1 else ''} would block or break what runs beside"
    return InfraError(
        "upgrade database",
        where,
        f"{count} (the first in revision {stopping[0]['revision']}: {stopping[0]['rule']})",
        "Write the revision as said below, or accept it in `lint_waivers` with a reason; `lint: warn` only tells.",
        "\n".join(sentence(one) for one in stopping),
    )


def look(
    arguments: Facts, policy: str, pending: t.Sequence[Facts], facts: Facts, program: str | None
) -> dict[str, t.Any]:
    """The lint's part of the result; `failed` where the policy says so. `program` is squawk's path, None without it."""
    if policy == "off":
        return {}
    sql, where = facts["sql"], place(read_url(str(arguments["url"])))
    warnings = []
    said: list[dict[str, t.Any]] = []
    if program and sql:
        limit = duration(arguments.get("lock_timeout", "200ms"), "lock_timeout")
        said = ask_squawk(program, sql, server=facts["server"], lock_timeout=limit)
    elif sql and policy == "error":
        raise InfraError(
            "lint the pending revisions of",
            where,
            "squawk is not here",
            "Install it beside what runs this (pip install squawk-cli), or set `lint: warn` or `lint: off`.",
        )
    elif sql:
        warnings.append(NO_SQUAWK)
    verdict = judge(
        sql,
        said,
        facts["tables"],
        contracts={step["revision"] for step in pending if step.get("contract")},
        small=int(arguments.get("small_table", 10000)),
        waivers=arguments.get("lint_waivers") or [],
    )
    told = {"lint": verdict.findings, "unused_waivers": list(verdict.unused)}
    if verdict.stopping and policy == "error":
        return {**refusal(verdict, where).report(), **told, "failed": True, "changed": False}
    return {**told, "warnings": warnings + lint_warnings(verdict, ran=bool(sql))}


def lint_warnings(verdict: Verdict, *, ran: bool) -> list[str]:
    """What a person should know though it stops nothing. A waiver outlives its revision's run: then it is no news."""
    unused = [
        f"No finding meets the waiver of {one['rule']} in {one['revision']}: take it out." for one in verdict.unused
    ]
    return [sentence(one) for one in verdict.stopping] + (unused if ran else [])
