# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lint's rules, and which of them a statement breaks.

A rule that squawk has too has squawk's name, so that a waiver does not depend on who found it.
"""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._alembic.effects import (
    ACCESS_EXCLUSIVE,
    BLOCKING,
    Effect,
    effects_of,
)
from ansible_collections.nexod.infra.plugins.module_utils._alembic.engine.sql import (
    outside,
    shape,
    tokens,
)
from ansible_collections.nexod.infra.plugins.module_utils._core.durations import milliseconds

Facts = t.Mapping[str, t.Any]
CONTRACT = "Once no running release uses it, begin the revision's docstring with `Contract:`."


@dataclasses.dataclass(frozen=True)
class Rule:
    """`harm`: "blocks" (others wait while rows are read or written), "breaks" (running code fails, or rows are lost),
    "fails" (the revision fails if there are rows), "always" (at any size), "exposes" (data is open to a public API),
    "unknown" (what is done can't be seen).
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
        CONTRACT,
    ),
    "ban-drop-table": Rule(
        "breaks",
        "code that still reads it fails, and its data is lost",
        CONTRACT,
    ),
    "ban-drop-database": Rule("always", "all data is lost", "Remove the statement."),
    "ban-truncate-cascade": Rule("breaks", "tables that reference it are emptied too", "Name the tables one by one."),
    "require-concurrent-reindex": Rule(
        "blocks",
        "REINDEX holds locks under which writes wait, and reads that would use the index",
        "Use REINDEX ... CONCURRENTLY, in an autocommit_block().",
    ),
    "require-concurrent-partition-detach": Rule(
        "breaks",
        "queries of the parent no longer find its rows, and all of them wait for the lock",
        "Use DETACH PARTITION ... CONCURRENTLY in an autocommit_block(), in a contract revision.",
    ),
    "ban-drop-schema": Rule("breaks", "everything in it is lost", CONTRACT),
    "ban-drop-view": Rule("breaks", "code that still reads it fails", CONTRACT),
    "ban-drop-function": Rule("breaks", "code that still calls it fails", CONTRACT),
    "ban-drop-type": Rule("breaks", "code that still uses it fails", CONTRACT),
    "ban-drop-domain": Rule("breaks", "code that still uses it fails", CONTRACT),
    "ban-drop-sequence": Rule("breaks", "code that still uses it fails", CONTRACT),
    "ban-drop-extension": Rule("breaks", "code that uses its functions and types fails", CONTRACT),
    "ban-set-schema": Rule(
        "breaks", "running code looks for it in the old schema", "Create a view with the old name in the old schema."
    ),
    "renaming-object": Rule(
        "breaks",
        "running code uses the old name",
        "Add one with the new name, and drop the old one in a contract revision.",
    ),
    "ban-disable-trigger": Rule(
        "breaks",
        "rows written meanwhile are not checked against foreign keys, and the application's triggers don't run",
        "Change the rows in a way that its triggers allow.",
    ),
    "ban-alter-row-level-security": Rule(
        "breaks", "without a policy that allows it, running code no longer finds any row", "Create the policies first."
    ),
    "ban-detach-inheritance": Rule("breaks", "queries of the parent no longer find its rows", CONTRACT),
    "ban-revoke": Rule("breaks", "running code loses its rights", CONTRACT),
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
    "detaching-partition": Rule("breaks", "queries of the parent no longer find its rows", CONTRACT),
    "attaching-unchecked-partition": Rule(
        "blocks",
        "all rows of the new partition are checked under an ACCESS EXCLUSIVE lock",
        "Add a CHECK with the partition's bounds as NOT VALID, VALIDATE it in a later revision, then attach.",
    ),
    "truncate": Rule("breaks", "all rows are lost, and reads wait until the revision commits", CONTRACT),
    "lock-held": Rule(
        "blocks",
        "an earlier statement of the same transaction holds a lock on the table, and all others wait for it meanwhile",
        "Put the two statements into two revisions, each with its own transaction.",
    ),
    "own-lock-timeout": Rule(
        "always",
        "it replaces the run's lock_timeout, and all other queries queue behind a statement that waits for its lock",
        "Remove it, and set the option `lock_timeout`.",
    ),
    # Of Supabase, and of whatever else has a REST API with a public key on some schemas.
    "table-without-row-level-security": Rule(
        "exposes",
        "row level security is off in a schema of the REST API: whoever has its public key reads and writes all rows",
        "Create the table in a schema that is not exposed (CREATE SCHEMA private), or revoke the rights of the API's "
        "roles (REVOKE ALL ON ... FROM anon, authenticated), or enable row level security without policies (ALTER "
        "TABLE ... ENABLE ROW LEVEL SECURITY), which leaves the owner's rights as they are.",
    ),
    "extension-in-exposed-schema": Rule(
        "exposes",
        "its functions can be called through the REST API",
        "Create it in the schema of extensions: CREATE EXTENSION ... WITH SCHEMA extensions.",
    ),
    "opaque-statement": Rule(
        "unknown",
        "what it runs can't be seen in the SQL",
        "Write its statements as such, or check by hand what it does and waive the finding.",
    ),
    "fails-in-rehearsal": Rule(
        "always", "it fails on a copy of the schema", "Correct the revision, or the rights that it needs."
    ),
    "not-rehearsed": Rule(
        "unknown",
        "it fails on a copy of the schema, perhaps because the copy has no rows",
        "Let it run where it finds no rows, or check by hand what it does and waive the finding.",
    ),
    "not-rendered": Rule(
        "unknown",
        "its SQL depends on what it reads, and was not linted beyond that",
        "Set `rehearsal_url`, so that it is run on a copy first, or check by hand what it does and waive the finding.",
    ),
}


# Of statements other than ALTER TABLE; in lower case, each token apart from the next by one space.
OWN: tuple[tuple[str, str], ...] = (
    ("require-concurrent-index-creation", r"create (?:unique )?index (?!concurrently\b)"),
    ("require-concurrent-index-deletion", r"drop index (?!concurrently\b)"),
    ("require-concurrent-reindex", r"reindex (?!.*\bconcurrently\b)"),
    ("explicit-lock", r"lock (?!.*\bin (?:access|row) share mode\b)"),
    ("explicit-lock", r"select (?!.*\bwhere\b).*\bfor (?:no key )?update\b"),
    ("blocking-refresh", r"refresh materialized view (?!concurrently\b)(?!.* with no data$)"),
    ("table-rewrite", r"cluster\b|vacuum (?:\( .*)?\bfull\b(?! (?:off|false|0)\b)"),
    ("table-rewrite", r"alter (?:index|materialized view) (?:if exists )?.* set tablespace\b"),
    ("truncate", r"truncate\b"),
    ("ban-drop-database", r"drop database\b"),
    ("ban-drop-schema", r"drop (?:schema|owned)\b"),
    ("ban-drop-table", r"drop (?:foreign )?table\b"),
    ("ban-drop-view", r"drop (?:materialized )?view\b"),
    ("ban-drop-function", r"drop (?:function|procedure|routine|aggregate|operator)\b"),
    ("ban-drop-type", r"drop type\b"),
    ("ban-drop-domain", r"drop domain\b"),
    ("ban-drop-sequence", r"drop sequence\b"),
    ("ban-drop-extension", r"drop (?:extension|server|foreign data wrapper)\b"),
    ("ban-drop-column", r"alter type .* drop attribute\b"),
    ("ban-set-schema", r"alter (?!extension|table|foreign table).* set schema\b"),
    (
        "renaming-object",
        r"alter (?:type|domain|(?:materialized )?view|sequence|schema|function|procedure|routine|aggregate|role|user"
        r"|database|foreign data wrapper|server)\b.* rename (?:value|attribute|column|to)\b",
    ),
    ("ban-alter-domain-with-add-constraint", r"alter domain .* (?:add (?!.* not valid$)|set not null\b)"),
    ("ban-disable-trigger", r"set (?:session |local )?session_replication_role (?:to|=) (?!default\b|origin\b)"),
    ("ban-revoke", r"revoke\b"),
    ("opaque-statement", r"(?:do|call|execute)\b"),
)
PATTERNS = tuple((rule, re.compile(words)) for rule, words in OWN)
# The first words of statements that break no rule, of which a plan has many.
HARMLESS = ("begin", "commit", "insert", "comment", "grant")
EVERY_ROW = re.compile(r"(?:\( )*(?:true|not false|1 = 1|'' = ''|[\w$.\" ]+ is null)(?: \))*(?: returning .*)?$")
TIMEOUT = re.compile(
    r"set (?:session |local )?lock_timeout (?:to|=) (.+)$"
    r"|alter (?:role|user|database) .* set lock_timeout (?:to|=) (.+)$"
    r"|.*\bset_config \( 'lock_timeout' , (.+?) ,"
)
RESET = re.compile(r"(?:reset (?:all|lock_timeout)|discard all)$")


@dataclasses.dataclass(frozen=True)
class Read:
    """A statement as the lint reads it."""

    text: str
    shape: str
    parts: tuple[str, ...]
    effects: tuple[Effect, ...] | None  # of ALTER TABLE, if its form is known


def read(statement: str, table: Facts | None) -> Read:
    parts = tokens(statement)
    effects = effects_of(statement, table)
    return Read(statement, shape(parts), tuple(parts), tuple(effects) if effects is not None else None)


def writes_every_row(parts: t.Sequence[str]) -> bool:
    """Whether an UPDATE or DELETE, also one inside WITH, is restricted to no rows."""
    if not {"update", "delete"} & set(parts):
        return False
    inner = [
        parts[number + 1 :]
        for number, one in enumerate(parts[:-1])
        if one == "(" and parts[number + 1] in ("update", "delete")
    ]
    return any(_every_row(part) for part in (parts, *inner))


def _every_row(parts: t.Sequence[str]) -> bool:
    depth, end = 0, len(parts)
    for number, one in enumerate(parts):
        depth += (one == "(") - (one == ")")
        if depth < 0:
            end = number
            break
    mine = list(parts[:end])
    text = shape(outside(mine))
    if not re.match(r"(?:with .+? )?(?:update|delete from)\b", text):
        return False
    if " where " not in f"{text} ":
        return True
    return EVERY_ROW.match(shape(mine).rpartition(" where ")[2]) is not None


def own_timeout(found: Read, limit: int) -> bool:
    """Whether the statement makes lock_timeout longer than `limit` milliseconds, or ends it."""
    if RESET.match(found.shape):
        return True
    matched = TIMEOUT.match(" ".join(found.parts)) if "lock_timeout" in found.text.lower() else None
    if matched is None:
        return False
    value = next(one for one in matched.groups() if one).strip("' ")
    if value == "default":
        return True
    try:
        given = milliseconds(value if not value.isdigit() else f"{value}ms", "lock_timeout")
    except Exception:
        return True
    return given == 0 or (limit > 0 and given > limit)


def rules_of(found: Read, limit: int) -> list[str]:
    """The rules that a statement breaks, whatever the size of its table."""
    if found.effects is not None:
        return [rule for effect in found.effects for rule in effect.rules()]
    first = found.parts[0] if found.parts else ""
    if first in HARMLESS or found.shape.startswith("create table"):
        return []
    rules = [rule for rule, words in PATTERNS if words.match(found.shape)]
    if writes_every_row(found.parts):
        rules.append("whole-table-write")
    if own_timeout(found, limit):
        rules.append("own-lock-timeout")
    return rules


def strongest_lock(found: Read) -> str | None:
    """The lock that a statement keeps on its table until the transaction ends, if others wait for it."""
    if found.effects is not None:
        locks = {effect.lock for effect in found.effects}
        return next((lock for lock in (ACCESS_EXCLUSIVE, *BLOCKING) if lock in locks), None)
    if re.match(
        r"(?:truncate|drop (?:table|index|materialized view) (?!concurrently)|lock (?!.*share mode))", found.shape
    ):
        return ACCESS_EXCLUSIVE
    if re.match(
        r"create (?:unique )?index (?!concurrently\b)|create (?:or replace )?(?:constraint )?trigger\b", found.shape
    ):
        return "SHARE"
    return None


def takes_long(found: Read) -> bool:
    """Whether the statement reads or writes rows, so that it takes the longer the larger the table is."""
    if found.effects is not None:
        return any(effect.rewrite or effect.scan for effect in found.effects)
    return bool(
        re.match(
            r"(?:update|delete|insert into .* select|merge|create (?:unique )?index|refresh"
            r"|with\b.*\b(?:update|delete))\b",
            found.shape,
        )
    )
