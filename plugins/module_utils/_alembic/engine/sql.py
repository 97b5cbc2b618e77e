# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading SQL statements as far as the engine and the lint need it: which table, concurrent or not, where they end."""

from __future__ import annotations

import re

NAME = r'(?:"(?:[^"]|"")+"|[\w$]+)'
QUALIFIED = rf"{NAME}(?:\s*\.\s*{NAME})?"
COMMENTS = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
TOKEN = re.compile(r"--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|(\$\w*\$).*?\1|;", re.DOTALL)
CONCURRENTLY = re.compile(
    r"^\s*(?:CREATE\s+(?:UNIQUE\s+)?|DROP\s+|RE)INDEX\s+(?:\([^)]*\)\s*)?(?:(?:INDEX|TABLE|SCHEMA)\s+)?CONCURRENTLY\b",
    re.IGNORECASE,
)
CREATED_INDEX = re.compile(
    r"^\s*CREATE\s+(?:UNIQUE\s+)?INDEX\s+CONCURRENTLY\s+(?:IF\s+NOT\s+EXISTS\s+)?(?P<name>(?:\"(?:[^\"]|\"\")+\"|\w+))"
    r"\s+ON\s+(?:ONLY\s+)?(?P<table>(?:(?:\"(?:[^\"]|\"\")+\"|\w+)\.)?(?:\"(?:[^\"]|\"\")+\"|\w+))",
    re.IGNORECASE,
)
# The table that a statement locks or changes; of DROP INDEX the index, for which the server knows the table.
TABLE = re.compile(
    r"^\s*(?:"
    rf"(?:ALTER|DROP)\s+TABLE\s+(?:IF\s+EXISTS\s+)?(?:ONLY\s+)?(?P<a>{QUALIFIED})"
    rf"|CREATE\s+(?:UNIQUE\s+)?INDEX\s+(?:CONCURRENTLY\s+)?(?:IF\s+NOT\s+EXISTS\s+)?(?:{NAME}\s+)?"
    rf"ON\s+(?:ONLY\s+)?(?P<b>{QUALIFIED})"
    rf"|CREATE\s+(?:OR\s+REPLACE\s+)?(?:CONSTRAINT\s+)?TRIGGER\b.*?\bON\s+(?P<c>{QUALIFIED})"
    rf"|DROP\s+INDEX\s+(?:CONCURRENTLY\s+)?(?:IF\s+EXISTS\s+)?(?P<d>{QUALIFIED})"
    rf"|TRUNCATE\s+(?:TABLE\s+)?(?:ONLY\s+)?(?P<e>{QUALIFIED})"
    rf"|(?:UPDATE|DELETE\s+FROM|INSERT\s+INTO|MERGE\s+INTO)\s+(?:ONLY\s+)?(?P<f>{QUALIFIED})"
    rf"|LOCK\s+(?:TABLE\s+)?(?:ONLY\s+)?(?P<g>{QUALIFIED})"
    rf"|(?:REFRESH|DROP)\s+MATERIALIZED\s+VIEW\s+(?:CONCURRENTLY\s+)?(?:IF\s+EXISTS\s+)?(?P<h>{QUALIFIED})"
    rf"|(?:VACUUM|CLUSTER|REINDEX)\b\s*(?:\([^)]*\)\s*)?(?:(?:FULL|FREEZE|VERBOSE|ANALYZE|TABLE|INDEX|CONCURRENTLY)\s+)*"
    rf"(?P<i>{QUALIFIED})"
    r")",
    re.IGNORECASE | re.DOTALL,
)
# Statements that env.py may run before its migrations and that a plan can skip: they only create or grant. `CREATE
# TABLE ... AS` is not among them: it could copy the version table, and the heads would be those of the copy.
SETUP = re.compile(
    r"^\s*(?:CREATE\s+(?:SCHEMA|EXTENSION|(?:UNLOGGED\s+)?TABLE|SEQUENCE|TYPE|DOMAIN|COLLATION)\b(?!.*\bAS\s*\(?\s*"
    r"(?:SELECT|WITH|VALUES|TABLE|EXECUTE)\b)|COMMENT\s+ON|GRANT|ALTER\s+DEFAULT\s+PRIVILEGES"
    r"|ALTER\s+TABLE\s+(?:IF\s+EXISTS\s+)?(?:ONLY\s+)?\S+\s+ALTER\s+(?:COLUMN\s+)?\"?version_num\"?\s+(?:SET\s+DATA\s+)?TYPE)\b",
    re.IGNORECASE | re.DOTALL,
)
READS = re.compile(r"^\s*(?:SELECT|SHOW|SET|VALUES|TABLE)\b", re.IGNORECASE)
# Sent in place of a skipped statement: no effect on a read-only connection, no rows, and accepted by every driver.
NO_OPERATION = "SET TRANSACTION READ ONLY"


def literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def unquoted(name: str) -> str:
    """An identifier as the server stores it."""
    return name[1:-1].replace('""', '"') if name.startswith('"') else name.lower()


def set_config(values: dict[str, str], *, local: bool) -> str:
    """One statement that sets all of `values`; `local`: only until the transaction ends."""
    until = "true" if local else "false"
    return "SELECT " + ", ".join(f"set_config('{name}', {literal(one)}, {until})" for name, one in values.items())


def table_of(statement: str) -> str | None:
    """The table that `statement` locks or changes, as written there; of DROP INDEX the index."""
    found = TABLE.match(COMMENTS.sub(" ", statement))
    return next((name for name in found.groups() if name), None) if found else None


def statements_in(sql: str) -> list[tuple[int, str]]:
    """The statements of `sql`, each with the line (from 0) that it begins on. Quoted semicolons don't end one."""
    found, begin = [], 0
    ends = [match.end() for match in TOKEN.finditer(sql) if match[0] == ";"]
    for end in [*ends, len(sql)]:
        text = sql[begin:end]
        if text.strip(" \t\r\n;"):
            found.append((sql.count("\n", 0, begin + len(text) - len(text.lstrip())), text.strip().rstrip(";")))
        begin = end
    return found


def only_sets_up(sql: str) -> bool:
    """Whether `sql` consists of statements that a plan can skip."""
    found = statements_in(sql)
    return bool(found) and all(SETUP.match(COMMENTS.sub(" ", statement)) for _line, statement in found)
