# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each form of ALTER TABLE does: which lock it takes, and whether PostgreSQL rewrites or scans the table for it.

The forms are those of PostgreSQL's manual (sql-altertable). tests/integration/test_alembic_effects.py runs every one
of them on a server and compares this table with pg_locks, relfilenode and the server's count of scans.
"""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._alembic.engine.sql import (
    FUNCTION,
    RUNS_ONCE,
    VOLATILE,
    pieces,
    shape,
    tokens,
    unquoted,
)

Facts = t.Mapping[str, t.Any]

SHARE_UPDATE_EXCLUSIVE = "SHARE UPDATE EXCLUSIVE"
SHARE_ROW_EXCLUSIVE = "SHARE ROW EXCLUSIVE"
ACCESS_EXCLUSIVE = "ACCESS EXCLUSIVE"
# The lock modes under which writes, or reads and writes, wait.
BLOCKING = ("SHARE", SHARE_ROW_EXCLUSIVE, "EXCLUSIVE", ACCESS_EXCLUSIVE)

ID = r'(?:"(?:[^"]|"")+"|[\w$]+)'
COLUMN = rf"(?:alter (?:column )?(?P<column>{ID}) )"
SERIAL = r"(?:small|big)?serial[248]?"
NOT_SCANNED = "PostgreSQL neither scans nor rewrites the table for it"


@dataclasses.dataclass(frozen=True)
class Effect:
    """Of one action of ALTER TABLE on its table. `rule`: what the lint calls it if it blocks, `breaks`: if code that
    runs fails; `why`: why there is nothing to scan or rewrite.
    """

    lock: str
    rewrite: bool = False
    scan: bool = False
    rule: str = "table-rewrite"
    breaks: str | None = None
    why: str = NOT_SCANNED
    table: str | None = None  # if another table than the statement's is scanned

    @property
    def blocks(self) -> bool:
        return (self.rewrite or self.scan) and self.lock in BLOCKING

    def rules(self) -> list[str]:
        return [*([self.rule] if self.blocks else []), *([self.breaks] if self.breaks else [])]


def size_limit(kind: str) -> tuple[str, tuple[int, ...] | None]:
    """`varchar(20)` -> ("character varying", (20,))"""
    text = re.sub(r"\s*([(),])\s*", r"\1", kind.strip().lower())
    found = re.fullmatch(r"([a-z_ ]+?)(?:\(([\d,]+)\))? ?(with(?:out)? time zone)?", text)
    if found is None:
        return text, None
    written = f"{found[1]} {found[3] or ''}".strip()
    name = {
        "varchar": "character varying",
        "decimal": "numeric",
        "varbit": "bit varying",
        "timestamp": "timestamp without time zone",
        "timestamptz": "timestamp with time zone",
        "time": "time without time zone",
        "timetz": "time with time zone",
        "int": "integer",
        "int4": "integer",
        "int8": "bigint",
        "int2": "smallint",
        "bool": "boolean",
        "float8": "double precision",
        "float4": "real",
        "char": "character",
    }.get(written, written)
    return name, tuple(int(part) for part in found[2].split(",")) if found[2] else None


# Pairs that PostgreSQL calls binary coercible: the stored bytes are the same.
COERCIBLE = {
    ("character varying", "text"),
    ("text", "character varying"),
    ("cidr", "inet"),
    ("xml", "text"),
    ("xml", "character varying"),
}
LENGTHS = ("character varying", "bit varying")
PRECISIONS = (
    "timestamp without time zone",
    "timestamp with time zone",
    "time without time zone",
    "time with time zone",
    "interval",
)


def widens(old: str, new: str) -> bool:
    """Whether the new type needs no rewrite: a longer varchar, varchar to text, numeric with more digits."""
    (was, before), (will, after) = size_limit(old), size_limit(new)
    if (was, will) in COERCIBLE:
        return after is None
    if was != will:
        return False
    if was in LENGTHS or was in PRECISIONS:
        return after is None or (before is not None and after >= before)
    if was == "numeric" and before:
        scale = (*before, 0)[1]
        return after is None or (after[0] >= before[0] and (*after, 0)[1] == scale)
    return before == after


def volatile(expression: str, table: Facts) -> bool:
    """Whether a default differs from row to row, so that it can't be stored once for all rows.

    The server knows each function's volatility; if it was not asked, one that is not known may be volatile.
    """
    known: Facts = table.get("functions") or {}
    for name in FUNCTION.findall(expression):
        plain = name.rpartition(".")[2].strip().strip('"')
        if plain in known:
            if known[plain]:
                return True
        elif plain in VOLATILE or plain not in RUNS_ONCE:
            return True
    return False


def default_of(column: str) -> str | None:
    """The default in a column's definition; None without one."""
    found = re.search(
        r"\bdefault (.+?)(?= (?:not null|null|constraint|check|references|unique|primary key|generated|collate)\b|$)",
        column,
    )
    return found[1] if found else None


def added_column(action: str, table: Facts) -> Effect:
    definition = re.sub(rf"^add (?:column )?(?:if not exists )?{ID} ", "", action)
    default = default_of(definition)
    stored = default is not None and default != "null"
    serial = re.match(rf"{SERIAL}\b", definition) is not None
    keyed = "primary key" in definition
    kind = re.match(rf"(?:{ID} \. )?({ID})", definition)
    domain = kind is not None and unquoted(kind[1]) in (table.get("domains") or ())
    rewrite = (
        serial
        or "as identity" in definition
        or re.search(r"generated always as \( .* \) stored", definition) is not None
        or domain
        or (stored and volatile(str(default), table))
    )
    required = "not null" in definition and not stored and not rewrite
    rules = (
        (keyed, "adding-serial-primary-key-field"),
        (rewrite, "adding-field-with-default"),
        (required, "adding-required-field"),
        ("unique" in definition.split(), "disallowed-unique-constraint"),
        ("references" in definition.split() and (stored or rewrite), "adding-foreign-key-constraint"),
        (re.search(r"\bcheck \(", definition) is not None, "constraint-missing-not-valid"),
    )
    rule = next((name for found, name in rules if found), None)
    return Effect(ACCESS_EXCLUSIVE, rewrite, scan=rule is not None and not rewrite, rule=rule or "table-rewrite")


def retyped_column(action: str, table: Facts) -> Effect:
    rule = "changing-column-type"
    found = re.match(
        rf"{COLUMN}(?:set data )?type (?P<type>.+?)(?: collate (?P<collate>\S+))?(?: using (?P<using>.+))?$", action
    )
    old = (table.get("columns") or {}).get(unquoted(found["column"])) if found else None
    if found is None or old is None or not widens(old, found["type"]):
        return Effect(ACCESS_EXCLUSIVE, rewrite=True, rule=rule)
    using = re.sub(r"^\( (.*) \)$", r"\1", found["using"] or found["column"]).partition(" :: ")[0]
    if using != found["column"]:
        return Effect(ACCESS_EXCLUSIVE, rewrite=True, rule=rule)
    column = unquoted(found["column"])
    word = re.compile(rf"\b{re.escape(column)}\b", re.IGNORECASE)
    # The columns of an index on an expression are not known.
    indexed = any(not columns or column in columns for columns in (table.get("indexes") or {}).values())
    if (found["collate"] and indexed) or any(word.search(check) for check in table.get("checks") or []):
        # Its indexes are built again for another collation, and a CHECK on it is verified again.
        return Effect(ACCESS_EXCLUSIVE, scan=True, rule=rule)
    return Effect(ACCESS_EXCLUSIVE, rule=rule, why=f"{old} can be widened without a rewrite")


def required_column(action: str, table: Facts) -> Effect:
    found = re.match(COLUMN, action)
    name = unquoted(found["column"]) if found else ""
    if name in (table.get("required") or ()):
        return Effect(ACCESS_EXCLUSIVE, rule="adding-not-nullable-field", why="the column is NOT NULL already")
    words = re.compile(rf"\(+\s*\"?{re.escape(name)}\"?\s+IS\s+NOT\s+NULL\s*\)", re.IGNORECASE)
    held = [text for text in table.get("checks") or [] if words.search(text)]
    proven = any("NOT VALID" not in text for text in held)
    why = "a validated CHECK proves it, so nothing is scanned"
    return Effect(ACCESS_EXCLUSIVE, scan=not proven, rule="adding-not-nullable-field", why=why)


def added_constraint(action: str, table: Facts) -> Effect:
    kind = re.sub(rf"^add (?:constraint {ID} )?", "", action)
    valid = " not valid" not in kind
    if kind.startswith("foreign key"):
        return Effect(SHARE_ROW_EXCLUSIVE, scan=valid, rule="adding-foreign-key-constraint")
    if kind.startswith(("unique", "primary key", "exclude")):
        built = " using index " not in f" {kind} " or " using index tablespace " in f" {kind} "
        # PRIMARY KEY makes its columns NOT NULL, which scans for those that are not.
        index = re.search(rf"using index ({ID})", kind)
        columns = (table.get("indexes") or {}).get(unquoted(index[1])) if index else None
        known = set(table.get("required") or ())
        null = kind.startswith("primary") and not built and not (columns and set(columns) <= known)
        return Effect(ACCESS_EXCLUSIVE, scan=built or null, rule="disallowed-unique-constraint")
    return Effect(ACCESS_EXCLUSIVE, scan=valid, rule="constraint-missing-not-valid")


def moved(action: str, table: Facts) -> Effect:
    """SET LOGGED, UNLOGGED, ACCESS METHOD, TABLESPACE: nothing happens if the table has it already."""
    same = {
        "set logged": table.get("persistence") == "p",
        "set unlogged": table.get("persistence") == "u",
        f"set access method {table.get('access_method')}": True,
        f"set tablespace {table.get('tablespace')}": True,
    }.get(action, False)
    return Effect(ACCESS_EXCLUSIVE, rewrite=not same, why="the table has it already")


def attached(action: str, _table: Facts) -> Effect:
    found = re.match(rf"attach partition ((?:{ID} \. )?{ID})", action)
    return Effect(
        ACCESS_EXCLUSIVE,
        scan=True,
        rule="attaching-unchecked-partition",
        table=found[1].replace(" ", "") if found else None,
    )


def parameters(action: str, _table: Facts) -> Effect:
    return Effect(ACCESS_EXCLUSIVE if "user_catalog_table" in action else SHARE_UPDATE_EXCLUSIVE)


Decision = t.Any  # an Effect, or a function of the action and the table's facts that returns one
BRIEF = Effect(ACCESS_EXCLUSIVE)
# The first that matches the action decides; the action in lower case, each token apart from the next by one space.
FORMS: tuple[tuple[str, Decision], ...] = (
    (r"rename constraint\b", BRIEF),
    (r"rename to\b", Effect(ACCESS_EXCLUSIVE, breaks="renaming-table")),
    (r"rename\b", Effect(ACCESS_EXCLUSIVE, breaks="renaming-column")),
    (r"set schema\b", Effect(ACCESS_EXCLUSIVE, breaks="ban-set-schema")),
    (r"attach partition\b", attached),
    (r"detach partition .* (?:concurrently|finalize)$", Effect(SHARE_UPDATE_EXCLUSIVE, breaks="detaching-partition")),
    (r"detach partition\b", Effect(ACCESS_EXCLUSIVE, breaks="require-concurrent-partition-detach")),
    (r"all in tablespace\b", Effect(ACCESS_EXCLUSIVE, rewrite=True)),
    (r"add (?:constraint|check|unique|primary key|exclude|foreign key|not null)\b", added_constraint),
    (r"add\b", added_column),
    (r"drop constraint\b", BRIEF),
    (r"drop\b", Effect(ACCESS_EXCLUSIVE, breaks="ban-drop-column")),
    (rf"{COLUMN}(?:set data )?type\b", retyped_column),
    (rf"{COLUMN}set not null\b", required_column),
    (rf"{COLUMN}set expression\b", Effect(ACCESS_EXCLUSIVE, rewrite=True, rule="adding-field-with-default")),
    (rf"{COLUMN}(?:set statistics|set \(|reset \()", Effect(SHARE_UPDATE_EXCLUSIVE)),
    (r"alter constraint\b", Effect(ACCESS_EXCLUSIVE)),
    (rf"{COLUMN}", BRIEF),
    (r"validate constraint\b", Effect(SHARE_UPDATE_EXCLUSIVE, scan=True)),
    (r"disable trigger\b", Effect(SHARE_ROW_EXCLUSIVE, breaks="ban-disable-trigger")),
    (r"enable (?:replica |always )?trigger\b", Effect(SHARE_ROW_EXCLUSIVE)),
    (r"(?:enable|force) row level security\b", Effect(ACCESS_EXCLUSIVE, breaks="ban-alter-row-level-security")),
    (r"(?:disable|no force) row level security\b", BRIEF),
    (r"(?:enable|disable) (?:replica |always )?rule\b", BRIEF),
    (r"(?:cluster on|set without cluster)\b", Effect(SHARE_UPDATE_EXCLUSIVE)),
    (r"set without oids\b", BRIEF),
    (r"set (?:access method|tablespace|logged|unlogged)\b", moved),
    (r"(?:set|reset) \(", parameters),
    (r"no inherit\b", Effect(ACCESS_EXCLUSIVE, breaks="ban-detach-inheritance")),
    (r"(?:inherit|of|not of|owner to|replica identity|options)\b", BRIEF),
)  # fmt: skip
ALTERS = re.compile(
    rf"alter (?:foreign )?table (?:if exists )?"
    rf"(?:(?=all in tablespace)|(?:only )?(?P<table>(?:{ID} \. )?{ID}) (?:\* )?)"
)


def effects_of(statement: str, table: Facts | None) -> list[Effect] | None:
    """The effect of each action of an ALTER TABLE; None if it is another statement, or has a form that is not known."""
    whole = tokens(statement)
    begin = ALTERS.match(shape(whole) + " ")
    if begin is None:
        return None
    rest = whole[len(begin[0].split()) :]
    found = [effect_of(shape(action), table or {}) for action in pieces(rest)]
    return None if None in found else [one for one in found if one]


def effect_of(action: str, table: Facts) -> Effect | None:
    for words, decision in FORMS:
        if re.match(words, action):
            return decision if isinstance(decision, Effect) else decision(action, table)
    return None
