# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading SQL statements as far as the engine and the lint need it: which table, concurrent or not, where they end."""

from __future__ import annotations

import re
import typing as t

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
WORD = re.compile(
    r"""(?P<skip>--[^\n]*|/\*.*?\*/|\s+)|(?P<string>[eE]'(?:[^'\\]|''|\\.)*'|'(?:[^']|'')*'|(?P<tag>\$\w*\$).*?(?P=tag))"""
    r"""|(?P<quoted>"(?:[^"]|"")+")|(?P<name>[^\W\d][\w$]*)|(?P<number>\d[\w.]*)|(?P<other>::|.)""",
    re.DOTALL,
)
# A function that is called, in what `shape` returns.
FUNCTION = re.compile(r'((?:"[^"]+"|[a-z_][\w$]*)(?: \. (?:"[^"]+"|[a-z_][\w$]*))?) \(')
# Volatile functions that defaults commonly call, and those that PostgreSQL evaluates once for a default (and types and
# operators that look like functions). The server is asked for all others.
VOLATILE = frozenset(
    re.findall(
        r"\w+",
        "random clock_timestamp timeofday gen_random_uuid uuid_generate_v1 uuid_generate_v1mc uuid_generate_v4 nextval "
        "setval uuidv4 uuidv7 random_normal gen_random_bytes gen_salt",
    )
)
RUNS_ONCE = frozenset(
    re.findall(
        r"\w+",
        "now current_timestamp current_date current_time localtime localtimestamp statement_timestamp "
        "transaction_timestamp lower upper trim btrim ltrim rtrim concat coalesce nullif greatest least length left "
        "right replace substring md5 sha256 encode decode to_char to_date to_timestamp to_number date_trunc date_part "
        "extract make_date make_time make_timestamp make_interval age abs ceil floor round trunc sign power sqrt cast "
        "array row jsonb_build_object json_build_object jsonb_build_array json_build_array to_json to_jsonb array_fill "
        "current_setting current_user session_user interval timestamp date time numeric decimal varchar character char "
        "bit int4range int8range numrange tsrange tstzrange daterange point box circle in and or not",
    )
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
    rf"|(?:ALTER|DROP)\s+(?:INDEX|(?:MATERIALIZED\s+)?VIEW|SEQUENCE|FOREIGN\s+TABLE)\s+(?:IF\s+EXISTS\s+)?(?P<j>{QUALIFIED})"
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


LISTED = re.compile(r"(?:drop (?:foreign )?(?:table|(?:materialized )?view|sequence) |truncate |lock )", re.IGNORECASE)
ATTACHED = re.compile(rf"\bATTACH\s+PARTITION\s+({QUALIFIED})", re.IGNORECASE)
CREATED = re.compile(
    r"create (?:(?:global |local )?temp(?:orary)? |unlogged |or replace )*(?:foreign )?"
    r"(?:table|(?:recursive )?view|materialized view|type|domain|sequence|schema|function|procedure) "
    r'(?P<known>if not exists )?(?P<name>(?:"[^"]+"|[\w$]+)(?: \. (?:"[^"]+"|[\w$]+))?)'
)


def named(text: str) -> str:
    """A name as the server stores it, its parts joined by dots; `PUBLIC . "Users"` is `public.Users`."""
    return ".".join(unquoted(part) for part in re.findall(NAME, text))


def tables_in(statement: str) -> list[str]:
    """All tables that `statement` locks or changes, as written there."""
    first = table_of(statement)
    found = [first] if first else []
    whole = tokens(statement)
    if first and LISTED.match(shape(whole) + " "):
        for part in pieces(whole)[1:]:
            name = re.match(rf"(?:only )?({NAME}(?: \. {NAME})?)", shape(part))
            found += [name[1].replace(" . ", ".")] if name else []
    attached = ATTACHED.search(COMMENTS.sub(" ", statement))
    return [*found, *([attached[1]] if attached else [])]


def created_in(statement: str) -> str | None:
    """What `statement` creates; None if it creates nothing, or perhaps nothing (IF NOT EXISTS)."""
    if not statement.lstrip()[:6].lower().startswith(("create", "--", "/*")):
        return None
    found = CREATED.match(shape(tokens(statement)))
    return named(found["name"]) if found and not found["known"] else None


SEARCH_PATH = re.compile(r"^\s*SET\s+(?:SESSION\s+|LOCAL\s+)?search_path\s*(?:TO|=)\s*(.+)$", re.IGNORECASE | re.DOTALL)
CONFIGURED_PATH = re.compile(r"\bset_config\s*\(\s*'search_path'\s*,\s*'((?:[^']|'')*)'", re.IGNORECASE)


def search_path_in(statement: str) -> tuple[str, ...] | None:
    """The schemas that `statement` sets as the search_path; None if it sets none."""
    if "search_path" not in statement.lower():
        return None
    text = COMMENTS.sub(" ", statement)
    found = SEARCH_PATH.match(text) or CONFIGURED_PATH.search(text)
    if found is None:
        return None
    names = re.findall(rf"'(?:[^']|'')*'|{NAME}", found[1])
    plain = [one[1:-1].replace("''", "'") if one.startswith("'") else unquoted(one) for one in names]
    return tuple(name for name in plain if name not in ("default", "$user", "pg_catalog"))


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


def tokens(statement: str) -> list[str]:
    """The tokens without comments; what is not quoted in lower case."""
    found = (match for match in WORD.finditer(statement) if match["skip"] is None)
    return [match[0].lower() if match["name"] else match[0] for match in found]


def shape(parts: t.Iterable[str]) -> str:
    """The tokens with one space between them, and every literal as ``''``: no word in one is taken for a keyword."""
    return " ".join("''" if re.match(r"[eE]?'|\$\w*\$", one) else one for one in parts)


def pieces(parts: t.Sequence[str]) -> list[list[str]]:
    """The tokens between the commas that are in no parentheses."""
    found: list[list[str]] = [[]]
    depth = 0
    for one in parts:
        depth += (one in "([") - (one in ")]")
        if one == "," and not depth:
            found.append([])
        else:
            found[-1].append(one)
    return found


def outside(parts: t.Sequence[str]) -> list[str]:
    """The tokens that are in no parentheses."""
    found, depth = [], 0
    for one in parts:
        depth -= one == ")"
        if not depth and one != ")":
            found.append(one)
        depth += one == "("
    return found


def only_sets_up(sql: str) -> bool:
    """Whether `sql` consists of statements that a plan can skip."""
    found = statements_in(sql)
    return bool(found) and all(SETUP.match(COMMENTS.sub(" ", statement)) for _line, statement in found)
