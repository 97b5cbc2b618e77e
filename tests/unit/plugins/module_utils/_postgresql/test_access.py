# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which statements bring a server to what is declared, and what is kept of a password."""

from __future__ import annotations

import contextlib
import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._postgresql.access import (
    NO_SERVER,
    as_batches,
    as_diff,
    check,
    concealed,
    plan,
    unreachable,
)
from ansible_collections.nexod.infra.plugins.module_utils._postgresql.client import (
    identifier,
    literal,
    scram_matches,
    scram_verifier,
    shared_salt,
    shared_verifier,
)

ALL_DEFAULTS = [
    *(["app", "r", privilege] for privilege in ("SELECT", "INSERT", "UPDATE", "DELETE")),
    *(["app", "S", privilege] for privilege in ("USAGE", "SELECT", "UPDATE")),
]


def role(name: str, **values: t.Any) -> dict[str, t.Any]:
    return {
        "name": name,
        "password": None,
        "login": True,
        "password_change": "unused",
        "replication": False,
        "connection_limit": -1,
        "member_of": [],
        "settings": {},
        **values,
    }


def database(name: str = "app", **values: t.Any) -> dict[str, t.Any]:
    return {"name": name, "owner": "owner", "read_write": [], "connect": [], "extensions": [], **values}


def on_server(**values: t.Any) -> dict[str, t.Any]:
    return {
        "login": True,
        "replication": False,
        "connection_limit": -1,
        "verifier": None,
        "settings": [],
        "member_of": [],
        "sessions": {},
        **values,
    }


@pytest.mark.parametrize(
    ("name", "quoted"),
    [
        ("app_owner", "app_owner"),
        ("App", '"App"'),
        ("1st", '"1st"'),
        ('a"b', '"a""b"'),
        ("ü", '"ü"'),
        ("nexod app", '"nexod app"'),
        ("", '""'),
    ],
)
def test_identifier(name: str, quoted: str) -> None:
    assert identifier(name) == quoted


@pytest.mark.parametrize(("text", "quoted"), [("30s", "'30s'"), ("it's", "'it''s'"), ("a\\'b", "E'a\\\\''b'")])
def test_literal(text: str, quoted: str) -> None:
    assert literal(text) == quoted


@pytest.mark.parametrize("password", ["pencil", "", "ü", "with ' \" \\ : $"])
def test_a_verifier_matches_its_password_only(password: str) -> None:
    verifier = scram_verifier(password)
    assert verifier.startswith("SCRAM-SHA-256$4096:")
    assert scram_matches(verifier, password)
    assert not scram_matches(verifier, password + "x")
    assert verifier != scram_verifier(password), "the salt is new each time"


def test_a_shared_verifier_is_always_the_same() -> None:
    verifier = shared_verifier("app", "pencil")
    assert verifier == shared_verifier("app", "pencil")
    assert scram_matches(verifier, "pencil")
    # Equal passwords of two roles, or of two environments' roles by other names, do not show.
    assert verifier.split("$")[1] != shared_verifier("other", "pencil").split("$")[1]
    assert verifier.split("$")[1] != shared_verifier("app", "Pencil").split("$")[1]


def test_a_verifier_that_the_server_made_itself_matches() -> None:
    made = (
        "SCRAM-SHA-256$4096:hr0lA/0oC+YBfTa9pXIiIQ==$"
        "6oJhKggCKEfNRXSpt3yARz10lG8fCwBu8FNDEPyEcKw=:3IpiBQkNOJvJqDvmZxTSTtURzvTyy31bxsB+9LfptOE="
    )
    assert scram_matches(made, "pencil")
    assert not scram_matches(made, "Pencil")


@pytest.mark.parametrize(
    "verifier", [None, "", "md5abc", "SCRAM-SHA-256$x:y$z", "SCRAM-SHA-256$4096:!!$a:b", "SCRAM-SHA-1$4096:YQ==$a:b"]
)
def test_what_is_no_verifier_matches_nothing(verifier: str | None) -> None:
    assert not scram_matches(verifier, "pencil")


SESSIONS = {"10.0.0.31": 4, "this host": 1}


@pytest.mark.parametrize(
    ("roles", "databases", "server", "inside", "statements"),
    [
        pytest.param([], [], NO_SERVER, {}, [], id="nothing asked"),
        pytest.param(
            [role("app", password="pw")],
            [],
            NO_SERVER,
            {},
            ["postgres: CREATE ROLE app LOGIN PASSWORD '...'"],
            id="new role",
        ),
        pytest.param(
            [role("repl", password="pw", replication=True, connection_limit=5)],
            [],
            NO_SERVER,
            {},
            ["postgres: CREATE ROLE repl LOGIN REPLICATION CONNECTION LIMIT 5 PASSWORD '...'"],
            id="new replication role",
        ),
        pytest.param(
            [role("app", password="pw")],
            [],
            {"roles": {"app": on_server(verifier=scram_verifier("pw"))}, "databases": {}},
            {},
            [],
            id="password as wanted",
        ),
        pytest.param(
            [role("app", password="pw", shared_verifier=True)],
            [],
            {"roles": {"app": on_server(verifier=shared_verifier("app", "pw"))}, "databases": {}},
            {},
            [],
            id="the verifier that the pooler has",
        ),
        pytest.param(
            [role("app", password="pw", shared_verifier=True)],
            [],
            {"roles": {"app": on_server(verifier=scram_verifier("pw"), sessions=SESSIONS)}, "databases": {}},
            {},
            ["postgres: ALTER ROLE app PASSWORD '...' (the same, as the verifier that the pooler has)"],
            id="another salt, while in use",
        ),
        pytest.param(
            [role("app", password="pw", shared_verifier=True)],
            [],
            {"roles": {"app": on_server(matches=True, salt=(shared_salt("app", "pw"), 4096))}, "databases": {}},
            {},
            [],
            id="the salt, where no verifier can be read",
        ),
        pytest.param(
            [role("app", password="pw", shared_verifier=True)],
            [],
            {"roles": {"app": on_server(matches=True, salt=(b"x" * 16, 4096))}, "databases": {}},
            {},
            ["postgres: ALTER ROLE app PASSWORD '...' (the same, as the verifier that the pooler has)"],
            id="another salt, where no verifier can be read",
        ),
        pytest.param(
            [role("app", password="new")],
            [],
            {"roles": {"app": on_server(verifier=scram_verifier("old"))}, "databases": {}},
            {},
            ["postgres: ALTER ROLE app PASSWORD '...' (sessions go on, new ones need the new password)"],
            id="password changed",
        ),
        pytest.param(
            [role("app", password="first")],
            [],
            {"roles": {"app": on_server(sessions=SESSIONS)}, "databases": {}},
            {},
            ["postgres: ALTER ROLE app PASSWORD '...'"],
            id="first password of a role that logs in otherwise",
        ),
        pytest.param(
            [role("monitor", password="new", password_change="always")],
            [],
            {"roles": {"monitor": on_server(verifier=scram_verifier("old"), sessions=SESSIONS)}, "databases": {}},
            {},
            ["postgres: ALTER ROLE monitor PASSWORD '...' (sessions go on, new ones need the new password)"],
            id="password changed while in use, as allowed",
        ),
        pytest.param(
            [role("app", login=False), role("gone", login=False), role("before", login=False, password="x")],
            [],
            {"roles": {"app": on_server(), "before": on_server(login=False, sessions=SESSIONS)}, "databases": {}},
            {},
            ["postgres: ALTER ROLE app NOLOGIN"],
            id="retired; not there; retired before, with a session that is left",
        ),
        pytest.param(
            [role("app", password="third"), role("app_b", password="second")],
            [database(read_write=["app", "app_b"])],
            {
                "roles": {
                    "app": on_server(login=False, verifier=scram_verifier("first")),
                    "app_b": on_server(verifier=scram_verifier("second"), sessions=SESSIONS),
                },
                "databases": {"app": {"owner": "owner", "connect": ["owner", "app", "app_b"]}},
            },
            {
                "app": {
                    "extensions": [],
                    "defaults": [*ALL_DEFAULTS, *(["app_b", *row[1:]] for row in ALL_DEFAULTS)],
                    "lacking": [],
                }
            },
            ["postgres: ALTER ROLE app LOGIN PASSWORD '...'"],
            id="the first of two accounts comes back",
        ),
        pytest.param(
            [role("app")],
            [],
            {"roles": {"app": on_server(login=False, replication=True, connection_limit=3)}, "databases": {}},
            {},
            ["postgres: ALTER ROLE app LOGIN NOREPLICATION CONNECTION LIMIT -1"],
            id="attributes return to what is declared",
        ),
        pytest.param(
            [role("monitor", member_of=["pg_monitor"], settings={"statement_timeout": "10s"})],
            [],
            {"roles": {"monitor": on_server(settings=["statement_timeout=5s", "work_mem=1GB"])}, "databases": {}},
            {},
            [
                "postgres: GRANT pg_monitor TO monitor",
                "postgres: ALTER ROLE monitor SET statement_timeout = '10s'",
                "postgres: ALTER ROLE monitor RESET work_mem",
            ],
            id="membership and settings",
        ),
        pytest.param(
            [role("owner"), role("app")],
            [database(read_write=["app"], connect=["monitor"], extensions=["pg_stat_statements"])],
            {"roles": {"owner": on_server(), "app": on_server()}, "databases": {"postgres": {}}},
            {},
            [
                "postgres: CREATE DATABASE app OWNER owner TEMPLATE template0 ENCODING 'UTF8'",
                "postgres: REVOKE CONNECT, TEMPORARY ON DATABASE app FROM PUBLIC",
                "postgres: GRANT CONNECT, TEMPORARY ON DATABASE app TO app",
                "postgres: GRANT CONNECT, TEMPORARY ON DATABASE app TO monitor",
                "app: CREATE EXTENSION pg_stat_statements",
                "app: ALTER DEFAULT PRIVILEGES FOR ROLE owner IN SCHEMA public "
                "GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO app",
                "app: ALTER DEFAULT PRIVILEGES FOR ROLE owner IN SCHEMA public "
                "GRANT USAGE, SELECT, UPDATE ON SEQUENCES TO app",
            ],
            id="new database",
        ),
        pytest.param(
            [],
            [database(read_write=["app"], extensions=["x"])],
            {"roles": {}, "databases": {"app": {"owner": "owner", "connect": ["owner", "app"]}}},
            {"app": {"extensions": ["x"], "defaults": ALL_DEFAULTS, "lacking": []}},
            [],
            id="database as wanted",
        ),
        pytest.param(
            [],
            [database(read_write=["app"])],
            {"roles": {}, "databases": {"app": {"owner": "old", "connect": ["PUBLIC", "app"]}}},
            {"app": {"extensions": [], "defaults": ALL_DEFAULTS, "lacking": ["app", "stranger"]}},
            [
                "postgres: ALTER DATABASE app OWNER TO owner",
                "postgres: REVOKE CONNECT, TEMPORARY ON DATABASE app FROM PUBLIC",
                "app: GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO app",
                "app: GRANT USAGE, SELECT, UPDATE ON ALL SEQUENCES IN SCHEMA public TO app",
            ],
            id="other owner, open to all, tables restored without grants",
        ),
    ],
)
def test_plan(
    roles: list[dict[str, t.Any]],
    databases: list[dict[str, t.Any]],
    server: dict[str, t.Any],
    inside: dict[str, t.Any],
    statements: list[str],
) -> None:
    steps = plan(roles, databases, server=server, inside=inside)
    assert [f"{step.database}: {step.text}" for step in steps] == statements


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        pytest.param(
            role("app", password="new"),
            'Cannot change the password of role "app": 5 sessions use it (10.0.0.31: 4, this host: 1)',
            id="password",
        ),
        pytest.param(
            role("app", login=False),
            'Cannot take the right to log in from role "app": 5 sessions use it (10.0.0.31: 4, this host: 1)',
            id="login",
        ),
        pytest.param(
            role("app", login=False, password_change="always"),
            "Cannot take the right to log in",
            id="login, where passwords may change",
        ),
    ],
)
def test_what_would_break_a_program_that_is_connected_is_refused(wanted: dict[str, t.Any], says: str) -> None:
    """A changed password was applied at once: 138 of some 900 requests failed, and the deploy said "done"."""
    server = {"roles": {"app": on_server(verifier=scram_verifier("old"), sessions=SESSIONS)}, "databases": {}}
    with pytest.raises(InfraError) as refused:
        plan([role("first"), wanted], [], server=server, inside={})
    assert says in str(refused.value)
    assert refused.value.next_step


ADMINISTRATOR = {"name": "master", "sees_sessions": True, "reads_verifiers": False}
AS_DECLARED = {"owner": "owner", "connect": ["owner"], "reachable": True}


@pytest.mark.parametrize(
    ("roles", "databases", "on", "statements"),
    [
        pytest.param(
            [role("owner", password="pw")],
            [database()],
            {"roles": {}, "databases": {}},
            [
                "first: CREATE ROLE owner LOGIN PASSWORD '...'",
                "first: GRANT owner TO master",
                "first: CREATE DATABASE app OWNER owner TEMPLATE template0 ENCODING 'UTF8'",
                "first: REVOKE CONNECT, TEMPORARY ON DATABASE app FROM PUBLIC",
            ],
            id="new",
        ),
        pytest.param(
            [role("owner", password="pw")],
            [database()],
            {"roles": {"owner": on_server(mine=True, matches=True)}, "databases": {"app": AS_DECLARED}},
            [],
            id="as declared",
        ),
        pytest.param(
            [],
            [database(owner="master")],
            {
                "roles": {"master": on_server(mine=True)},
                "databases": {"app": {**AS_DECLARED, "owner": "old", "connect": ["master"]}},
            },
            ["first: GRANT old TO master", "first: ALTER DATABASE app OWNER TO master"],
            id="handed over to the administrator itself",
        ),
        pytest.param(
            [role("app", password="pw")],
            [],
            {"roles": {"app": on_server(matches=False, sessions={})}, "databases": {}},
            ["first: ALTER ROLE app PASSWORD '...' (sessions go on, new ones need the new password)"],
            id="another password",
        ),
        pytest.param(
            [role("app", password="pw")],
            [],
            {"roles": {"app": on_server(matches=True, sessions=None)}, "databases": {}},
            [],
            id="its password, sessions unseen",
        ),
        pytest.param(
            [role("app", password="pw", password_change="always")],
            [],
            {"roles": {"app": on_server(matches=False, sessions=None)}, "databases": {}},
            ["first: ALTER ROLE app PASSWORD '...' (sessions go on, new ones need the new password)"],
            id="another password, which is accepted, sessions unseen",
        ),
        pytest.param(
            [role("app", login=False)],
            [],
            {"roles": {"app": on_server(login=False, sessions=None)}, "databases": {}},
            [],
            id="retired before, sessions unseen",
        ),
        pytest.param(
            [role("app", password="pw")],
            [],
            {"roles": {"app": on_server(login=False, matches=True, sessions=None)}, "databases": {}},
            ["first: ALTER ROLE app LOGIN"],
            id="comes back with its password",
        ),
    ],
)
def test_plan_of_an_administrator(
    roles: list[dict[str, t.Any]], databases: list[dict[str, t.Any]], on: dict[str, t.Any], statements: list[str]
) -> None:
    steps = plan(roles, databases, server={"me": ADMINISTRATOR, **on}, inside={}, maintenance="first")
    assert [f"{step.database}: {step.text}" for step in steps] == statements


@pytest.mark.parametrize("wanted", [role("app", password="new"), role("app", login=False)])
def test_sessions_that_cannot_be_seen_are_taken_for_some(wanted: dict[str, t.Any]) -> None:
    server = {"me": ADMINISTRATOR, "roles": {"app": on_server(matches=False, sessions=None)}, "databases": {}}
    with pytest.raises(InfraError, match="whether programs use it can't be seen") as refused:
        plan([wanted], [], server=server, inside={}, ending=["10.0.0.31"])
    assert "Grant pg_read_all_stats" in refused.value.next_step


def test_a_database_that_the_administrator_may_not_connect_to() -> None:
    there = {"app": AS_DECLARED, "closed": {**AS_DECLARED, "reachable": False}}
    server = {"me": ADMINISTRATOR, "roles": {}, "databases": there}
    assert unreachable([database(name) for name in ("app", "closed", "new")], server) == ["closed"]


def test_what_a_server_logs_of_a_concealed_statement_has_no_verifier() -> None:
    roles = [role("it's", password="hunter2")]
    (step,) = plan(roles, [], server=NO_SERVER, inside={}, verifier=lambda _password: "SCRAM-SHA-256$x")
    before, statement = concealed(step).sql.split("; DO ", 1)
    assert before == "SELECT set_config('nexod.verifier', 'SCRAM-SHA-256$x', false) IS NULL"
    assert "SCRAM" not in statement
    assert """EXECUTE ''CREATE ROLE "it''''s" LOGIN PASSWORD '' || quote_literal(""" in statement
    assert concealed(step).text == step.text


@pytest.mark.parametrize(("sessions", "refused"), [({"10.0.0.31": 4}, False), (SESSIONS, True)])
def test_a_plan_does_not_count_what_a_pooler_will_have_closed(sessions: dict[str, int], refused: bool) -> None:
    server = {"roles": {"app": on_server(verifier=scram_verifier("old"), sessions=sessions)}, "databases": {}}
    given: dict[str, t.Any] = {"server": server, "inside": {}, "ending": ["10.0.0.31"]}
    with pytest.raises(InfraError, match="1 sessions use it") if refused else contextlib.nullcontext():
        assert [step.text for step in plan([role("app", login=False)], [], **given)] == ["ALTER ROLE app NOLOGIN"]
    with pytest.raises(InfraError, match="Cannot change the password"):
        plan([role("app", password="new")], [], **given)


def test_no_secret_is_in_the_diff_and_no_password_in_a_statement() -> None:
    steps = plan([role("app", password="hunter2")], [], server=NO_SERVER, inside={})
    assert "hunter2" not in steps[0].sql
    assert "SCRAM-SHA-256$" in steps[0].sql
    assert "SCRAM" not in as_diff(steps)["after"]


def test_one_process_for_the_statements_of_one_database_in_turn() -> None:
    steps = plan([role("owner")], [database(extensions=["x", "y"])], server=NO_SERVER, inside={})
    assert [(name, len(statements)) for name, statements in as_batches(steps)] == [("postgres", 3), ("app", 2)]


def test_a_password_for_a_role_that_nobody_declared_is_refused_without_showing_it() -> None:
    with pytest.raises(InfraError, match="not declared: ap") as refused:
        check([role("app")], [], {"ap": "hunter2"})
    assert "hunter2" not in str(refused.value)


def test_a_database_for_roles_that_nobody_declared_is_refused() -> None:
    with pytest.raises(InfraError, match="not declared: app, owner"):
        check([role("monitor")], [database(read_write=["app"], connect=["monitor"])])
