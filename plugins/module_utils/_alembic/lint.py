# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which statements of pending revisions block or break running code, weighed by the current sizes of the tables.

The findings are squawk's and those of a few rules of our own. Runs on the controller: squawk is a PyPI package, and
hosts need no package index this way.
"""

from __future__ import annotations

import bisect
import dataclasses
import json
import re
import shutil
import sys
import tempfile
import typing as t
from pathlib import Path

from ansible_collections.nexod.infra.plugins.module_utils._alembic.effects import ID, NOT_SCANNED
from ansible_collections.nexod.infra.plugins.module_utils._alembic.engine.sql import (
    created_in,
    named,
    statements_in,
    tables_in,
)
from ansible_collections.nexod.infra.plugins.module_utils._alembic.exposed import exposed, room_needed
from ansible_collections.nexod.infra.plugins.module_utils._alembic.rules import (
    RULES,
    Read,
    read,
    rules_of,
    strongest_lock,
    takes_long,
)
from ansible_collections.nexod.infra.plugins.module_utils._alembic.url import place, read_url
from ansible_collections.nexod.infra.plugins.module_utils._core.durations import milliseconds
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._core.processes import run

Facts = t.Mapping[str, t.Any]
NO_SQUAWK = "squawk is not installed, so the lint checked only its own rules. Install it: pip install squawk-cli"


@dataclasses.dataclass(frozen=True)
class Verdict:
    findings: list[dict[str, t.Any]]
    unused: list[Facts]
    strict: bool = False  # whether what can't be judged stops too

    @property
    def stopping(self) -> list[dict[str, t.Any]]:
        levels = ("error", "unknown") if self.strict else ("error",)
        return [one for one in self.findings if one["level"] in levels and not one.get("waived")]

    @property
    def unknown(self) -> list[dict[str, t.Any]]:
        """What can't be judged, and does not stop the run."""
        return [one for one in self.findings if one["level"] == "unknown" and not one.get("waived") and not self.strict]


def squawk_program() -> str | None:
    """squawk beside the interpreter that Ansible runs with, or on the path."""
    beside = Path(sys.executable).with_name("squawk")
    return str(beside) if beside.exists() else shutil.which("squawk")


def ask_squawk(program: str, sql: t.Mapping[str, str], *, server: int, lock_timeout: int) -> list[dict[str, t.Any]]:
    """squawk's findings: `revision`, `rule`, `line` (from 0, in the revision's own text)."""
    # As the engine sets them. statement_timeout is the user's choice, even if it is none, so no finding about it.
    prelude = (f"SET lock_timeout = {lock_timeout};\n" if lock_timeout else "") + "SET statement_timeout = 60000;\n"
    texts = {revision: text for revision, text in sql.items() if text.strip()}
    if not texts:
        return []
    # One file: a file for each revision costs more than the lint itself.
    begins, parts, line = [], [prelude], prelude.count("\n")
    for text in texts.values():
        begins.append(line)
        parts.append(text if text.endswith("\n") else f"{text}\n")
        line += parts[-1].count("\n")
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", prefix="alembic-lint-", suffix=".sql") as file:
        file.write("".join(parts))
        file.flush()
        argv = [program, "--reporter", "json", "--pg-version", f"{server // 10000}.0", file.name]
        done = run(argv, timeout=120)
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
    revisions = list(texts)
    found = []
    for row in rows:
        number = bisect.bisect_right(begins, row["line"]) - 1
        if number >= 0:
            found.append(
                {"revision": revisions[number], "rule": row["rule_name"], "line": row["line"] - begins[number]}
            )
    return found


def statement_at(statements: t.Sequence[tuple[int, str]], line: int) -> int:
    """The number of the statement that contains the line."""
    return max((number for number, (begin, _text) in enumerate(statements) if begin <= line), default=0)


# squawk's rules that say of ALTER TABLE what the effects say too, with less knowledge of the table.
DECIDED = {
    "adding-field-with-default",
    "adding-foreign-key-constraint",
    "adding-not-nullable-field",
    "adding-required-field",
    "adding-serial-primary-key-field",
    "changing-column-type",
    "constraint-missing-not-valid",
    "disallowed-unique-constraint",
}
OBJECT = re.compile(
    r"(?:drop|alter) (?:materialized |foreign )?(?:table|view|type|domain|schema|function|procedure|routine|sequence) "
    r'(?:if exists )?((?:"[^"]+"|[\w$]+)(?: \. (?:"[^"]+"|[\w$]+))?)'
)
ENDS = re.compile(r"(?:begin|start transaction|commit|end|rollback|abort)\b")
VALIDATED = re.compile(rf"\bvalidate constraint ({ID})")
ADDED_CHECK = re.compile(rf"\badd constraint ({ID}) (check \( .* \) not valid|not null {ID} not valid)")


class Plan:
    """What is known of the database while the pending statements are read one after another."""

    def __init__(self, tables: t.Mapping[str, Facts]) -> None:
        self.tables = {name: dict(facts) for name, facts in tables.items()}
        self.created: set[str] = set()  # by the statements so far
        self.held: dict[str, str] = {}  # table -> the lock that the transaction holds
        self.checks: dict[str, str] = {}  # the NOT VALID constraints that were added -> their definition

    def table(self, name: str | None) -> Facts | None:
        if name is None:
            return None
        if named(name) in self.created:
            return {"exists": False, "rows": None, "empty": True}
        return self.tables.get(name)

    def key(self, name: str) -> str:
        return str((self.tables.get(name) or {}).get("name") or named(name))

    def after(self, found: Read, names: t.Sequence[str]) -> None:
        """Take notice of what the statement does."""
        if ENDS.match(found.shape):
            self.held.clear()
        created = created_in(found.text)
        if created:
            self.created.add(created)
        lock = strongest_lock(found)
        if lock and names:
            self.held.setdefault(self.key(names[0]), lock)
        facts = self.tables.get(names[0]) if names else None
        if facts is not None and found.effects is not None:
            self._constraints(found.shape, facts)

    def _constraints(self, shape: str, facts: dict[str, t.Any]) -> None:
        for name, check in ADDED_CHECK.findall(shape):
            self.checks[name] = check
            facts["checks"] = [*(facts.get("checks") or []), check.upper().replace("( ", "(").replace(" )", ")")]
        for name in VALIDATED.findall(shape):
            # The names of those that the database had before are not known.
            mine = self.checks.get(name, "").upper().replace("( ", "(").replace(" )", ")")
            facts["checks"] = [
                one.replace(" NOT VALID", "") if not mine or one == mine else one for one in facts.get("checks") or []
            ]


def weigh(rule: str, found: Read, tables: t.Sequence[Facts | None], *, small: int, contract: bool) -> str | None:
    """Why the finding is harmless here; None if it is not. A table of unknown size may be large."""
    harm = RULES[rule].harm
    if harm in ("always", "unknown"):
        return None
    whys = [_weigh_on(harm, table, small=small) for table in tables]
    if whys and all(whys):
        return whys[0]
    if harm == "breaks":
        return "the revision is declared a contract" if contract else None
    partitioned = bool(tables) and all(table and table.get("kind") == "p" for table in tables)
    if rule == "require-concurrent-index-creation" and " on only " in found.shape and partitioned:
        return "ON ONLY a partitioned table builds no index"
    return without_work(rule, found)


def _weigh_on(harm: str, table: Facts | None, *, small: int) -> str | None:
    if table is None:
        return None
    if not table["exists"]:
        return "the table does not exist yet"
    if table["empty"]:
        return "the table is empty"
    rows = table.get("rows")
    return f"the table has about {rows} rows" if harm == "blocks" and rows is not None and rows < small else None


def without_work(rule: str, found: Read) -> str | None:
    """Why nothing is scanned or rewritten, although squawk says so."""
    if found.effects is None or rule not in DECIDED or any(rule in effect.rules() for effect in found.effects):
        return None
    if any(effect.blocks and effect.rule in DECIDED for effect in found.effects):
        return None  # which of several actions it is about can't be told
    whys = [effect.why for effect in found.effects if effect.rule == rule]
    return whys[0] if whys else NOT_SCANNED


def again(found: Read, rule: str, later: t.Sequence[str]) -> str | None:
    """Why a drop is harmless: the same transaction creates it again."""
    matched = OBJECT.match(found.shape)
    if not matched or not rule.startswith("ban-drop-"):
        return None
    for text in later:
        if ENDS.match(text.lstrip().lower()):
            break
        if created_in(text) == named(matched[1]):
            return "the same transaction creates it again"
    return None


def judged(
    plan: Plan,
    statement: str,
    reported: t.Iterable[str],
    later: t.Sequence[str],
    *,
    small: int,
    contract: bool,
    limit: int,
) -> list[tuple[str, str | None, str | None, Facts | None]]:
    """Rule, why it is harmless, and the table, of each finding on one statement."""
    names = tables_in(statement)
    found = read(statement, plan.table(names[0] if names else None))
    rules = dict.fromkeys([*rules_of(found, limit), *(rule for rule in reported if rule in RULES)])
    held = bool(names) and plan.key(names[0]) in plan.held and takes_long(found)
    if held and not any(RULES[rule].harm == "blocks" and not without_work(rule, found) for rule in rules):
        rules["lock-held"] = None
    answers = []
    matched = OBJECT.match(found.shape)
    new = bool(names) and all(named(name) in plan.created for name in names)
    for rule in rules:
        if new and RULES[rule].harm in ("blocks", "breaks", "fails"):
            continue
        about = names
        if rule == "attaching-unchecked-partition":
            about = names[1:]
        facts = [plan.table(name) for name in about]
        why = weigh(rule, found, facts, small=small, contract=contract) or again(found, rule, later)
        if not why and rule == "attaching-unchecked-partition":
            why = bounds_proven(statement, facts)
        if not why and not names and matched and RULES[rule].harm == "breaks" and named(matched[1]) in plan.created:
            why = "it does not exist yet"
        worst = next((n for n, one in enumerate(facts) if not _weigh_on(RULES[rule].harm, one, small=small)), 0)
        answers.append((rule, why, about[worst] if about else None, facts[worst] if facts else None))
    plan.after(found, names)
    return answers


def bounds_proven(statement: str, tables: t.Sequence[Facts | None]) -> str | None:
    """Whether a validated CHECK of the partition contains every value of the bounds."""
    values = re.findall(r"'(?:[^']|'')*'|\b\d+\b", statement[statement.upper().find("FOR VALUES") :])
    checks = [one for table in tables if table for one in table.get("checks") or [] if "NOT VALID" not in one]
    proven = values and "FOR VALUES" in statement.upper() and any(all(v in check for v in values) for check in checks)
    return "a validated CHECK proves its bounds, so nothing is scanned" if proven else None


def judge(
    sql: t.Mapping[str, str],
    reported: t.Sequence[Facts],
    tables: t.Mapping[str, Facts],
    *,
    contracts: t.Container[str],
    small: int,
    waivers: t.Sequence[Facts],
    limit: int = 0,
    incomplete: t.Mapping[str, str] | None = None,
    rehearsal: Facts | None = None,
    empty: bool = False,
    exposed_schemas: t.Sequence[str] = (),
) -> Verdict:
    """squawk's findings and our own, in the order of the revisions, weighed, with the waivers that accept them.

    `limit`: the run's lock_timeout in milliseconds; `incomplete`: why a revision was not rendered in full;
    `rehearsal`: what running it on a copy has shown; `empty`: whether the database has no revision yet;
    `exposed_schemas`: those that a public API serves.
    """
    findings: list[dict[str, t.Any]] = []
    plan = Plan(tables)
    accepted = {(one["rule"], one["revision"]): one["reason"] for one in waivers}
    squawks: dict[str, list[Facts]] = {}
    for row in reported:
        squawks.setdefault(row["revision"], []).append(row)

    def add(revision: str, statement: str, answer: tuple[str, str | None, str | None, Facts | None]) -> None:
        rule, why, name, table = answer
        level = "info" if why else "unknown" if RULES[rule].harm == "unknown" else "error"
        findings.append(
            {
                "rule": rule,
                "revision": revision,
                "statement": statement,
                "level": level,
                "reason": RULES[rule].reason,
                "weighed": why,
                "table": (table or {}).get("name") or name,
                "rows": (table or {}).get("rows"),
                "next_step": RULES[rule].next_step,
                **({"waived": accepted[rule, revision]} if (rule, revision) in accepted else {}),
            }
        )

    for revision, text in sql.items():
        statements = statements_in(text)
        texts = [one for _line, one in statements]
        plan.held.clear()
        for number, statement in enumerate(texts):
            mine = sorted(
                {row["rule"] for row in squawks.get(revision, ()) if statement_at(statements, row["line"]) == number}
            )
            answers = judged(
                plan,
                statement,
                mine,
                texts[number + 1 :],
                small=small,
                contract=revision in contracts,
                limit=limit,
            )
            for answer in answers:
                add(revision, statement, answer)
        if incomplete and revision in incomplete:
            why = "the database is empty" if empty else None
            if revision in (rehearsal or {}).get("shown", ()):
                why = "its SQL is that of the rehearsal, on a copy of the schema without rows"
            add(revision, f"-- {incomplete[revision]}", ("not-rendered", why, None, None))
        failed = (rehearsal or {}).get("failed")
        if failed and failed["revision"] == revision:
            # Of an error of Python's, or of a connection of its own, it is not certain that it would fail in the run.
            rule = "fails-in-rehearsal" if failed["sqlstate"] not in (None, "25006") else "not-rehearsed"
            add(revision, failed["statement"] or f"-- {failed['detail']}", (rule, None, None, None))
            findings[-1]["reason"] = f"it fails on a copy of the schema: {failed['detail']}"
    for one in exposed(sql, exposed_schemas):
        add(one.revision, one.statement, (one.rule, None, one.table, None))
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
    if all(one["level"] == "unknown" for one in stopping):
        count = f"{len(stopping)} revision{'s' if len(stopping) > 1 else ''} can't be linted in full"
    elif all(RULES[one["rule"]].harm == "exposes" for one in stopping):
        count = f"{len(stopping)} statement{'s' if len(stopping) > 1 else ''} would open data to a public API"
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
    limit = milliseconds(arguments.get("lock_timeout", "200ms"), "lock_timeout")
    if program and sql:
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
        limit=limit,
        incomplete=facts.get("not_rendered"),
        empty=facts.get("before") == [],
        rehearsal=facts.get("rehearsal"),
        exposed_schemas=arguments.get("exposed_schemas") or (),
    )
    verdict = dataclasses.replace(verdict, strict=arguments.get("lint_unknown") == "error")
    found = {"lint": verdict.findings, "unused_waivers": list(verdict.unused)}
    if verdict.stopping and policy == "error":
        return {**refusal(verdict, where).report(), **found, "failed": True, "changed": False}
    check_room(arguments, sql, facts["tables"], where)
    return {**found, "warnings": warnings + lint_warnings(verdict, ran=bool(sql))}


def check_room(
    arguments: Facts, sql: t.Mapping[str, str], tables: t.Mapping[str, Facts], where: str, mega: int = 1 << 20
) -> None:
    """Refuse revisions whose rewrites and indexes would not fit into the room that is left."""
    left = arguments.get("room_mb")
    needed = room_needed(sql, tables) if left is not None and sql else {}
    if left is None or sum(needed.values()) <= int(left) * mega:
        return
    largest = sorted(needed.items(), key=lambda one: -one[1])[:5]
    shown = ", ".join(f"{name} ({size / mega:.0f} MB)" for name, size in largest)
    raise InfraError(
        "upgrade database",
        where,
        f"its rewrites and new indexes need about {sum(needed.values()) / mega:.0f} MB, and {int(left)} MB are left: "
        f"{shown}",
        "Delete rows or indexes that are not needed (and VACUUM FULL the table), or change the plan, then run again.",
    )


def lint_downgrade(facts: Facts, small: int = 10000) -> tuple[list[dict[str, t.Any]], list[str]]:
    """The findings on a planned downgrade, and as warnings those that are not harmless. By the lint's own rules: the
    hosts that downgrade have no squawk.
    """
    given = facts_for_lint(facts)
    verdict = judge(
        given["sql"],
        [],
        given["tables"],
        contracts=(),
        small=small,
        waivers=[],
        incomplete=given["not_rendered"],
    )
    for one in verdict.findings:
        if RULES[one["rule"]].harm == "breaks":
            one["next_step"] = "Check that nobody needs the data any more, and that no running release uses it."
    return verdict.findings, lint_warnings(verdict, ran=True)


def facts_for_lint(result: Facts) -> dict[str, t.Any]:
    """What the lint needs of a plan's result."""
    return {
        "tables": result.get("tables") or {},
        "server": result.get("server") or 0,
        "sql": result.get("sql") or {},
        "not_rendered": result.get("not_rendered") or {},
        "before": result.get("before"),
        "rehearsal": result.get("rehearsal"),
    }


def lint_warnings(verdict: Verdict, *, ran: bool) -> list[str]:
    """What stops nothing, but should be known. An unused waiver is only reported while there is something to lint."""
    unused = [
        f"The waiver of {one['rule']} in {one['revision']} matches no finding: remove it." for one in verdict.unused
    ]
    return [sentence(one) for one in (*verdict.stopping, *verdict.unknown)] + (unused if ran else [])
