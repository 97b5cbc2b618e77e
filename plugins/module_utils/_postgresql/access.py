# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decides which statements a server needs for the declared roles, databases and grants."""

from __future__ import annotations

import dataclasses
import typing as t
from collections.abc import Callable, Container, Iterable, Mapping, Sequence

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._postgresql.client import (
    SCRAM_ITERATIONS,
    identifier,
    literal,
    scram_matches,
    scram_verifier,
    shared_salt,
    shared_verifier,
)

Row = Mapping[str, t.Any]

# Privileges of read_write roles on all tables and sequences of the owner, including future ones.
READ_WRITE = {
    "r": ("TABLES", ("SELECT", "INSERT", "UPDATE", "DELETE")),
    "S": ("SEQUENCES", ("USAGE", "SELECT", "UPDATE")),
}

_SERVER_QUERY = """
SELECT json_build_object(
  'me', %(me)s,
  'roles', (SELECT coalesce(json_object_agg(r.rolname, json_build_object(
      'login', r.rolcanlogin, 'replication', r.rolreplication, 'connection_limit', r.rolconnlimit,
      'verifier', %(verifier)s, 'mine', pg_has_role(r.oid, 'USAGE'),
      'settings', coalesce(to_json(r.rolconfig), '[]'::json),
      'sessions', (SELECT coalesce(json_object_agg(s.client, s.number), '{}'::json) FROM (
                   SELECT coalesce(host(p.client_addr), 'this host') AS client, count(*) AS number
                   FROM pg_stat_activity p WHERE p.usesysid = r.oid AND p.pid <> pg_backend_pid()
                     AND p.backend_type IN ('client backend', 'walsender') GROUP BY 1) s),
      'member_of', (SELECT coalesce(json_agg(g.rolname), '[]'::json)
                    FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid WHERE m.member = r.oid))), '{}'::json)
    FROM %(roles)s WHERE r.rolname !~ '^pg_'),
  'databases', (SELECT json_object_agg(d.datname, json_build_object(
      'owner', pg_get_userbyid(d.datdba), 'reachable', has_database_privilege(d.oid, 'CONNECT'),
      'connect', (SELECT coalesce(json_agg(DISTINCT
                      CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(x.grantee) END), '[]'::json)
                  FROM aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) x WHERE x.privilege_type = 'CONNECT')))
    FROM pg_database d WHERE NOT d.datistemplate));
"""
# As a superuser.
SERVER_QUERY = _SERVER_QUERY % {
    "me": "NULL",
    "verifier": "a.rolpassword",
    "roles": "pg_roles r JOIN pg_authid a ON a.oid = r.oid",
}
# As an administrator, who may not read pg_authid. Its column `me` is what that account is and may see.
ADMINISTRATOR_QUERY = _SERVER_QUERY % {
    "me": "json_build_object('name', current_user, 'sees_sessions', pg_has_role('pg_read_all_stats', 'USAGE'), "
    "'reads_verifiers', has_table_privilege('pg_authid', 'SELECT'))",
    "verifier": "NULL",
    "roles": "pg_roles r",
}
VERIFIERS_QUERY = "SELECT json_object_agg(rolname, rolpassword) FROM pg_authid;"

DATABASE_QUERY = """
SELECT json_build_object(
  'extensions', (SELECT json_agg(extname) FROM pg_extension),
  'defaults', (SELECT coalesce(
      json_agg(json_build_array(pg_get_userbyid(x.grantee), d.defaclobjtype, x.privilege_type)), '[]'::json)
    FROM pg_default_acl d, aclexplode(d.defaclacl) x
    WHERE d.defaclrole = (SELECT datdba FROM pg_database WHERE datname = current_database())
      AND d.defaclnamespace = 'public'::regnamespace AND x.grantee <> 0),
  'lacking', (SELECT coalesce(json_agg(DISTINCT r.rolname), '[]'::json) FROM pg_class c, pg_roles r
    WHERE c.relnamespace = 'public'::regnamespace AND NOT r.rolsuper AND r.rolname !~ '^pg_'
      AND c.relowner = (SELECT datdba FROM pg_database WHERE datname = current_database())
      AND CASE
        WHEN c.relkind IN ('r', 'p') THEN NOT (
          has_table_privilege(r.oid, c.oid, 'SELECT') AND has_table_privilege(r.oid, c.oid, 'INSERT')
          AND has_table_privilege(r.oid, c.oid, 'UPDATE') AND has_table_privilege(r.oid, c.oid, 'DELETE'))
        WHEN c.relkind = 'S' THEN NOT (
          has_sequence_privilege(r.oid, c.oid, 'USAGE') AND has_sequence_privilege(r.oid, c.oid, 'SELECT')
          AND has_sequence_privilege(r.oid, c.oid, 'UPDATE'))
        ELSE false END));
"""

NO_SERVER: Row = {"roles": {}, "databases": {}}
NO_DATABASE: Row = {"extensions": [], "defaults": [], "lacking": []}


# The value of password_change that accepts failing connections.
ALWAYS = "always"
# A variable of the session, see `concealed`.
VERIFIER = "nexod.verifier"
SAME_ONE = "the same, as the verifier that the pooler has"
# What users of a role notice when it gets another password.
NEEDED_AFTERWARDS = "sessions go on, new ones need the new password"


@dataclasses.dataclass(frozen=True)
class Step:
    """A statement, its database, and its text in a diff (without verifiers)."""

    database: str
    sql: str
    shown: str = ""
    # What the statement ends with and nobody may see: the password's verifier as an SQL string.
    secret: str = ""

    @property
    def text(self) -> str:
        return self.shown or self.sql


def check(roles: Sequence[Row], databases: Sequence[Row], passwords: Iterable[str] = ()) -> None:
    """Refuse contradictory options before the server is queried."""
    known = {role["name"] for role in roles}
    strangers = sorted(set(passwords) - known)
    if strangers:
        raise InfraError(
            "set",
            "passwords",
            f"they are for roles that are not declared: {', '.join(strangers)}",
            "Declare them under `roles`, or correct the name.",
        )
    for database in databases:
        named = [database["owner"], *database["connect"], *database["read_write"]]
        unknown = sorted({name for name in named if name not in known})
        if unknown:
            raise InfraError(
                "declare",
                f'database "{database["name"]}"',
                f"it names roles that are not declared: {', '.join(unknown)}",
                "Declare them under `roles`, or correct the name.",
            )


def _has_password(role: Row, current: Row | None) -> bool:
    """Whether the role has the declared password: by its verifier, or by a login where that can't be read."""
    if current is None:
        return False
    if current.get("matches") is not None:
        return bool(current["matches"])
    return scram_matches(current["verifier"], role["password"])


def _has_verifier(role: Row, current: Row | None) -> bool:
    """Whether the server has what it should of the password: with `shared_verifier` the one that PgBouncer has too."""
    if not _has_password(role, current) or current is None or not role.get("shared_verifier"):
        return _has_password(role, current)
    if current.get("matches") is not None:
        return current.get("salt") == (shared_salt(role["name"], role["password"]), SCRAM_ITERATIONS)
    return bool(current["verifier"] == shared_verifier(role["name"], role["password"]))


def _changes_password(role: Row, current: Row | None) -> bool:
    """Whether the role logs in with a password, and gets another one."""
    if current is None or not (role["login"] and current["login"] and role["password"]):
        return False
    # Where the verifier can't be read, the role may have one.
    if current.get("matches") is None and not current["verifier"]:
        return False
    return not _has_password(role, current)


def _sessions(role: Row, current: Row, ending: Container[str]) -> dict[str, int] | None:
    """Sessions that a change would harm, by address; None if they can't be seen."""
    if current["sessions"] is None:
        return None
    return {host: number for host, number in current["sessions"].items() if role["login"] or host not in ending}


def refuse_in_use(role: Row, current: Row, ending: Container[str] = ()) -> None:
    """Refuse what makes the next connection of a program fail that is connected now.

    Its sessions would go on, so nobody would notice at once: but an application opens connections all the time, and
    each of its instances would fail until it is replaced. Sessions from the addresses `ending` will have ended before
    a role loses its right to log in. Sessions that can't be seen are taken for some.
    """
    sessions = _sessions(role, current, ending)
    if sessions == {}:
        return
    if sessions is None:
        used = "whether programs use it can't be seen, as the administrator is not a member of pg_read_all_stats"
        see = "Grant pg_read_all_stats (or pg_monitor) to the administrator, then run again. "
    else:
        places = ", ".join(f"{host}: {number}" for host, number in sorted(sessions.items()))
        used, see = f"{sum(sessions.values())} sessions use it ({places})", ""
    if not role["login"] and current["login"]:
        raise InfraError(
            "take the right to log in from",
            f'role "{role["name"]}"',
            f"{used}, and new connections of the same programs would fail",
            see or "Deploy these programs with their new account first, or end the sessions; then run again.",
        )
    if role["password_change"] != ALWAYS and _changes_password(role, current):
        raise InfraError(
            "change the password of",
            f'role "{role["name"]}"',
            f"{used}, and new connections of the same programs would fail until each has the new password",
            f"{see}Give the new password to a new role and deploy the programs with it while this role stays as it is "
            "(docs/passwords.md), or accept the failures: password_change: always.",
        )


def _role_steps(role: Row, current: Row | None, verifier: Callable[[str], str]) -> Iterable[Step]:
    name, password = identifier(role["name"]), role["password"]
    if not role["login"]:
        # Retired: its memberships and grants stay, so that it can come back with the same rights.
        if current is not None and current["login"]:
            yield Step("postgres", f"ALTER ROLE {name} NOLOGIN")
        return
    words, shown = [], []
    if current is None or not current["login"]:
        words.append("LOGIN")
    if role["replication"] != (current is not None and current["replication"]):
        words.append("REPLICATION" if role["replication"] else "NOREPLICATION")
    if role["connection_limit"] != (-1 if current is None else current["connection_limit"]):
        words.append(f"CONNECTION LIMIT {role['connection_limit']}")
    shown, secret = list(words), ""
    if password and not _has_verifier(role, current):
        made = shared_verifier(role["name"], password) if role.get("shared_verifier") else verifier(password)
        secret = literal(made)
        words.append(f"PASSWORD {secret}")
        shown.append("PASSWORD '...'" + (f" ({SAME_ONE})" if _has_password(role, current) else ""))
    if current is None or words:
        verb = "CREATE" if current is None else "ALTER"
        effect = f" ({NEEDED_AFTERWARDS})" if _changes_password(role, current) else ""
        text = f"{verb} ROLE {name} {' '.join(shown)}{effect}"
        yield Step("postgres", f"{verb} ROLE {name} {' '.join(words)}", text, secret)
    have = [] if current is None else current["member_of"]
    yield from (
        Step("postgres", f"GRANT {identifier(group)} TO {name}") for group in role["member_of"] if group not in have
    )
    settings = dict(row.partition("=")[::2] for row in ([] if current is None else current["settings"]))
    for key, value in role["settings"].items():
        if settings.get(key) != str(value):
            yield Step("postgres", f"ALTER ROLE {name} SET {key} = {literal(str(value))}")
    yield from (Step("postgres", f"ALTER ROLE {name} RESET {key}") for key in settings if key not in role["settings"])


def membership_steps(databases: Sequence[Row], server: Row) -> Iterable[Step]:
    """Makes the administrator a member of the databases' owners, as long as it has no superuser's rights.

    PostgreSQL lets it create a database for an owner, change what the owner grants and hand over the owner's database
    only as a member of that role.
    """
    if not server.get("me"):
        return
    me = server["me"]["name"]
    owners = [
        name
        for database in databases
        for name in (database["owner"], server["databases"].get(database["name"], database)["owner"])
    ]
    for owner in dict.fromkeys(owners):
        if owner != me and not server["roles"].get(owner, {}).get("mine"):
            yield Step("postgres", f"GRANT {identifier(owner)} TO {identifier(me)}")


def unreachable(databases: Sequence[Row], server: Row) -> list[str]:
    """Databases that exist, and that the administrator may not connect to before it is a member of their owner."""
    there = server["databases"]
    return [row["name"] for row in databases if not there.get(row["name"], {}).get("reachable", True)]


def _database_steps(database: Row, current: Row | None) -> Iterable[Step]:
    name, owner = identifier(database["name"]), identifier(database["owner"])
    if current is None:
        yield Step("postgres", f"CREATE DATABASE {name} OWNER {owner} TEMPLATE template0 ENCODING 'UTF8'")
    elif current["owner"] != database["owner"]:
        yield Step("postgres", f"ALTER DATABASE {name} OWNER TO {owner}")
    have = ["PUBLIC"] if current is None else current["connect"]
    if "PUBLIC" in have:
        yield Step("postgres", f"REVOKE CONNECT, TEMPORARY ON DATABASE {name} FROM PUBLIC")
    wanted = sorted({*database["connect"], *database["read_write"]} - {database["owner"]})
    yield from (
        Step("postgres", f"GRANT CONNECT, TEMPORARY ON DATABASE {name} TO {identifier(role)}")
        for role in wanted
        if role not in have
    )


def _content_steps(database: Row, inside: Row) -> Iterable[Step]:
    name, owner = database["name"], identifier(database["owner"])
    for extension in database["extensions"]:
        if extension not in inside["extensions"]:
            yield Step(name, f"CREATE EXTENSION {identifier(extension)}")
    granted = {tuple(row) for row in inside["defaults"]}
    for role in database["read_write"]:
        lacks = False
        for kind, (objects, privileges) in READ_WRITE.items():
            if any((role, kind, privilege) not in granted for privilege in privileges):
                grant = f"GRANT {', '.join(privileges)} ON {objects} TO {identifier(role)}"
                yield Step(name, f"ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA public {grant}")
                lacks = True
        if role in inside["lacking"] or (lacks and inside is not NO_DATABASE):
            for objects, privileges in READ_WRITE.values():
                yield Step(
                    name, f"GRANT {', '.join(privileges)} ON ALL {objects} IN SCHEMA public TO {identifier(role)}"
                )


def plan(
    roles: Sequence[Row],
    databases: Sequence[Row],
    *,
    server: Row,
    inside: Mapping[str, Row],
    verifier: Callable[[str], str] = scram_verifier,
    ending: Container[str] = (),
    maintenance: str = "postgres",
) -> list[Step]:
    """Statements in the required order. `server` and `inside` (by database) are the results of the two queries.

    `maintenance`: the database in which roles and databases are created.

    Raises InfraError, before there is any statement, when one would break programs that are connected.
    """
    steps: list[Step] = []
    for role in roles:
        if role["name"] in server["roles"]:
            refuse_in_use(role, server["roles"][role["name"]], ending)
    for role in roles:
        steps += _role_steps(role, server["roles"].get(role["name"]), verifier)
    steps += membership_steps(databases, server)
    for database in databases:
        steps += _database_steps(database, server["databases"].get(database["name"]))
    steps = [dataclasses.replace(step, database=maintenance) for step in steps]
    for database in databases:
        steps += _content_steps(database, inside.get(database["name"], NO_DATABASE))
    return steps


def concealed(step: Step) -> Step:
    """`step` for a session that may not turn off the server's log: what is logged or kept of it has no verifier.

    The verifier goes into a variable of the session by a query, of which pg_stat_statements keeps no constants and
    log_statement = ddl nothing. An error is raised anew, because its context would quote the statement.
    """
    if not step.secret:
        return step
    statement = literal(step.sql.removesuffix(step.secret))
    body = (
        f"BEGIN EXECUTE {statement} || quote_literal(current_setting('{VERIFIER}')); "
        "EXCEPTION WHEN OTHERS THEN RAISE EXCEPTION USING ERRCODE = SQLSTATE, MESSAGE = SQLERRM; END"
    )
    variable = f"SELECT set_config('{VERIFIER}', {step.secret}, false) IS NULL"
    return dataclasses.replace(step, sql=f"{variable}; DO {literal(body)}")


def as_batches(steps: Iterable[Step]) -> list[tuple[str, list[str]]]:
    """Consecutive statements of one database together, because each group needs a process."""
    batches: list[tuple[str, list[str]]] = []
    for step in steps:
        if not batches or batches[-1][0] != step.database:
            batches.append((step.database, []))
        batches[-1][1].append(step.sql)
    return batches


def as_diff(steps: Sequence[Step]) -> dict[str, str]:
    """Ansible's diff: the statements, by database."""
    return {"before": "", "after": "".join(f"{step.database}: {step.text};\n" for step in steps)} if steps else {}
