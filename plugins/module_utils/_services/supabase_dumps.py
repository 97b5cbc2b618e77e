# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Dumps of what is ours in a Supabase project's database: one a day, a few of them, and only into dev again.

Each dump ends with its marker, which names the environment that it was made of and has the digest of what is before
it: in the same file, so that neither is copied, renamed or restored without the other. `pg_restore` finds what it reads
by the offsets in the file's table of contents, and never reads what follows. A dump without a marker, such as one that
was made by hand of production, is never restored, whatever its name is.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import pathlib
import re
import tempfile
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._core.processes import Result, run
from ansible_collections.nexod.infra.plugins.module_utils._postgresql.client import Server, identifier, literal
from ansible_collections.nexod.infra.plugins.module_utils._services.supabase_seeds import (
    MARKED,
    SCHEMA,
    TABLE,
    environment_of,
)

TIMEOUT = 1800
#: What of a dump is left out when it is restored: it belongs to Supabase, or exists in every project.
LEFT_OUT = (" SCHEMA - public ", " - SCHEMA public ", " DEFAULT ACL ", " EXTENSION - ", " EVENT TRIGGER ")
#: What a marker begins with, and the most bytes at the end of a file that one may have.
BEGIN, MOST = b"\n-- nexod.infra: ", 4096
#: In SQL of pg_dump: the comment by which a deploy has marked the database itself.
COMMENT = re.compile(rf"^COMMENT ON SCHEMA {SCHEMA} IS '({re.escape(MARKED)}.*)';$", re.MULTILINE)
OURS = """
SELECT coalesce(json_agg(nspname ORDER BY nspname), '[]') FROM pg_namespace
WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' AND nspname NOT IN ({own});
"""
# Rights that new objects get by default. A dump has no trace of those that a table does not have.
DEFAULTS = """
SELECT coalesce(json_agg(json_build_object('schema', nspname, 'kind', kind, 'role', rolname, 'rights', rights)), '[]')
FROM (SELECT nspname, rolname, string_agg(acl.privilege_type, ', ') AS rights,
    CASE defaclobjtype WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES' ELSE 'FUNCTIONS' END AS kind
  FROM pg_default_acl JOIN pg_namespace ON pg_namespace.oid = defaclnamespace, aclexplode(defaclacl) AS acl
  JOIN pg_roles ON pg_roles.oid = acl.grantee
  WHERE defaclrole = (SELECT oid FROM pg_roles WHERE rolname = current_user) AND defaclobjtype IN ('r', 'S', 'f')
  GROUP BY nspname, rolname, defaclobjtype) AS rows;
"""


def query(own_schemas: t.Iterable[str]) -> str:
    return OURS.format(own=", ".join(map(literal, own_schemas)) or "NULL")


def marker_of(dump: pathlib.Path) -> tuple[str, int]:
    """The text of the marker that the file ends with, empty if there is none, and the size of what is before it."""
    size = dump.stat().st_size
    with dump.open("rb") as file:
        file.seek(max(0, size - MOST))
        end = file.read()
    before, begin, text = end.rpartition(BEGIN)
    return (text.decode(errors="replace"), size - len(end) + len(before)) if begin else ("", size)


def digest(path: pathlib.Path, size: int) -> str:
    """Of the first `size` bytes."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(min(1 << 20, size)):
            found.update(block)
            size -= len(block)
    return found.hexdigest()


def check_marker(dump: pathlib.Path, environment: str) -> dict[str, t.Any]:
    """The marker of `dump`. Raises InfraError unless it says that the dump is of `environment`."""

    def refuse(cause: str) -> t.NoReturn:
        raise InfraError(
            "restore",
            f"the dump {dump}",
            cause,
            f"Choose one that a deploy of {environment} has made. Data of another environment, above all of "
            "production, does not belong here.",
        )

    if environment == "production":
        refuse("nothing is restored into production this way")
    text, size = marker_of(dump)
    if not text:
        refuse("it has no marker, so it is not known of which environment it is")
    try:
        found = json.loads(text)
    except ValueError:
        refuse("its marker can't be read, so it is not known of which environment it is")
    if not isinstance(found, dict) or not found.get("environment"):
        refuse("its marker names no environment")
    if found["environment"] != environment:
        refuse(f"it is a dump of {found['environment']}")
    if found.get("sha256") != digest(dump, size):
        refuse("it has been changed since it was made, or its marker is that of another dump")
    return t.cast("dict[str, t.Any]", found)


@dataclasses.dataclass(frozen=True)
class Database:
    server: Server
    name: str
    user: str
    password: str = dataclasses.field(repr=False, default="")

    def run(self, *argv: str) -> Result:
        given = {"PGDATABASE": self.name, "PGUSER": self.user, "PGPASSWORD": self.password}
        done = run(list(argv), timeout=TIMEOUT, cwd="/", environment={**self.server.environment, **given})
        if done.missing:
            raise InfraError(
                "run",
                argv[0],
                "there is no such program on this host",
                "Install it (Debian: postgresql-client, of the server's version or later), then run again.",
            )
        return done


def complete(dump: pathlib.Path) -> bool:
    return dump.exists() and bool(marker_of(dump)[0])


def write(database: Database, dump: pathlib.Path, schemas: t.Sequence[str], environment: str) -> None:
    """Dump these schemas; the file is complete, with its marker, or it is not there."""
    dump.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # A run that was killed has left its own.
    for left in dump.parent.glob(f".{dump.name}-*"):
        left.unlink(missing_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{dump.name}-", dir=dump.parent)
    os.close(handle)
    scratch = pathlib.Path(name)
    try:
        chosen = [f"--schema={json.dumps(schema)}" for schema in schemas]
        done = database.run("pg_dump", "--no-password", "--format=custom", *chosen, f"--file={scratch}")
        if done.rc:
            raise InfraError(
                "dump",
                f'database "{database.name}"',
                done.output[-500:] or f"pg_dump ended with {done.rc}",
                "Fix the error that is reported (pg_dump must not be older than the server), then run again. Nothing "
                "was migrated.",
            )
        size = scratch.stat().st_size
        marker = {"environment": environment, "sha256": digest(scratch, size)}
        with scratch.open("ab") as file:
            file.write(BEGIN + json.dumps(marker).encode() + b"\n")
        scratch.replace(dump)
    finally:
        scratch.unlink(missing_ok=True)


def surplus(dump: pathlib.Path, keep: int) -> list[pathlib.Path]:
    """The dumps beyond `keep`, the oldest ones, of those that are named like `dump`, which may not exist yet."""
    prefix = dump.name.rpartition("-")[0]
    return sorted({*dump.parent.glob(f"{prefix}-*.dump"), dump}, reverse=True)[keep:]


def remove(dumps: t.Iterable[pathlib.Path]) -> None:
    for dump in dumps:
        dump.unlink(missing_ok=True)


def check_database(database: Database, dump: pathlib.Path, environment: str) -> None:
    """Raise InfraError if the database that was dumped is marked as another environment's, whatever the dump's says."""
    listing = database.run("pg_restore", "--list", str(dump))
    lines = [line for line in listing.stdout.splitlines() if f" COMMENT - SCHEMA {SCHEMA} " in line]
    if listing.rc or not lines:
        # What can't be listed can't be restored either, which says why.
        return
    with tempfile.TemporaryDirectory(prefix="dump-") as folder:
        parts = pathlib.Path(folder) / "parts"
        parts.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        done = database.run("pg_restore", f"--use-list={parts}", "--file=-", str(dump))
    named = COMMENT.search(done.stdout)
    found = environment_of(named[1].replace("''", "'")) if named else ""
    if found and found != environment:
        raise InfraError(
            "restore",
            f"the dump {dump}",
            f"the database that it was made of is that of {found}",
            f"Choose one that a deploy of {environment} has made.",
        )


def restored_parts(listing: str) -> str:
    """The table of contents without what is not ours to create."""
    return "".join(
        f"{line}\n"
        for line in listing.splitlines()
        if line.strip() and not line.startswith(";") and not any(part in line for part in LEFT_OUT)
    )


def without_defaults(defaults: t.Sequence[t.Mapping[str, str]]) -> tuple[str, str]:
    """SQL that takes the default rights away, and that grants them again."""
    place = [f"ALTER DEFAULT PRIVILEGES IN SCHEMA {identifier(row['schema'])} " for row in defaults]
    what = [f"ON {row['kind']}" for row in defaults]
    roles = [identifier(row["role"]) for row in defaults]
    rights = [row["rights"] for row in defaults]
    revoked = [f"{a}REVOKE ALL {b} FROM {c};\n" for a, b, c in zip(place, what, roles, strict=True)]
    granted = [f"{a}GRANT {d} {b} TO {c};\n" for a, b, c, d in zip(place, what, roles, rights, strict=True)]
    return "".join(revoked), "".join(granted)


def restore(database: Database, dump: pathlib.Path, defaults: t.Sequence[t.Mapping[str, str]]) -> None:
    """Replace what the dump has by what it holds, all of it or nothing, with the rights that are in the dump only.

    `defaults`: the default rights of the database. With them, a restored table would be open to the API's roles.
    """
    listing = database.run("pg_restore", "--list", str(dump))
    with tempfile.TemporaryDirectory(prefix="dump-") as folder:
        before, parts, script, after = (pathlib.Path(folder) / name for name in ("before", "parts", "script", "after"))
        parts.write_text(restored_parts(listing.stdout), encoding="utf-8")
        before_text, after_text = without_defaults(defaults)
        # Which seeds were run is what the dump says, also where it is older than the first of them.
        before.write_text(f"DROP TABLE IF EXISTS {TABLE};\n{before_text}", encoding="utf-8")
        after.write_text(after_text, encoding="utf-8")
        how = ["--clean", "--if-exists", "--no-owner", f"--use-list={parts}", f"--file={script}"]
        done = database.run("pg_restore", *how, str(dump))
        if not listing.rc and not done.rc:
            files = [f"--file={path}" for path in (before, script, after)]
            options = ["--no-psqlrc", "--quiet", "--no-password", "--set=ON_ERROR_STOP=1", "--output=/dev/null"]
            done = database.run("psql", *options, "--single-transaction", *files)
    if listing.rc or done.rc:
        raise InfraError(
            "restore",
            f"the dump {dump}",
            (listing.output if listing.rc else done.output)[-500:],
            "Nothing was changed: it is one transaction. Fix the error that is reported, then run again.",
        )
