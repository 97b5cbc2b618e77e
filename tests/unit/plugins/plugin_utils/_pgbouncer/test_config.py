# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of the role pgbouncer x lines of its files, and every way in which they can be wrong."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
import yaml

from ansible_collections.nexod.infra.plugins.plugin_utils._pgbouncer.config import AT_START, OWNED, configure, quoted

ROLE = next(p for p in pathlib.Path(__file__).resolve().parents if (p / "galaxy.yml").is_file()) / "roles/pgbouncer"
DEFAULTS: dict[str, t.Any] = yaml.safe_load((ROLE / "defaults/main.yml").read_text())
GIVEN = {
    "pgbouncer_databases": [{"name": "app", "host": "10.0.0.5"}],
    "pgbouncer_users": [{"name": "app", "password": "x"}],
}


def configured(**options: t.Any) -> dict[str, t.Any]:
    return configure({**DEFAULTS, **GIVEN, **{f"pgbouncer_{name}": value for name, value in options.items()}})


def test_defaults_with_a_database_and_a_user_are_enough() -> None:
    result = configured()
    assert result["problems"] == []
    assert result["databases"] == {"app": "host=10.0.0.5 port=5432 dbname=app"}
    assert (result["users"], result["restart"], result["reload"]) == ({}, {}, {})
    assert (result["share"], result["secret"]) == (100, False)


@pytest.mark.parametrize(
    ("row", "line"),
    [
        pytest.param({"port": 5433, "dbname": "other"}, "host=h port=5433 dbname=other", id="elsewhere"),
        pytest.param({"name": "*"}, "host=h port=5432", id="wildcard keeps the client's name"),
        pytest.param(
            {"user": "u", "password": "a b'c"},
            "host=h port=5432 dbname=app user=u password='a b''c'",
            id="account of its own, quoted",
        ),
        pytest.param(
            {"pool_size": "5", "pool_mode": "session", "max_connections": 10},
            "host=h port=5432 dbname=app pool_size=5 pool_mode=session max_db_connections=10",
            id="pool of its own",
        ),
        pytest.param(
            {"settings": {"connect_query": "SET x TO 'y'", "reserve_pool_size": 3}},
            "host=h port=5432 dbname=app connect_query='SET x TO ''y''' reserve_pool_size=3",
            id="further parameters",
        ),
    ],
)
def test_writes_a_database(row: dict[str, t.Any], line: str) -> None:
    row = {"name": "app", "host": "h", **row}
    result = configured(databases=[row], pool_size=5)
    assert result["databases"] == {row["name"]: line}
    assert result["problems"] == []
    assert result["secret"] == ("password" in row)


def test_writes_limits_of_users() -> None:
    users = [
        {"name": "app", "password": "x", "pool_mode": "session", "max_connections": "7"},
        {"name": "other", "password": "y", "settings": {"max_user_client_connections": 9}},
        {"name": "plain one", "password": "z"},
    ]
    assert configured(users=users)["users"] == {
        "app": "pool_mode=session max_user_connections=7",
        "other": "max_user_client_connections=9",
    }


def test_separates_what_only_a_restart_applies() -> None:
    settings = {
        "server_lifetime": 600,
        "listen_backlog": "256",
        "log_stats": False,
        "track_extra_parameters": ["a", "b"],
    }
    result = configured(settings=settings)
    assert result["restart"] == {"listen_backlog": "256", "track_extra_parameters": "a,b"}
    assert result["reload"] == {"server_lifetime": "600", "log_stats": "0"}
    assert not AT_START & OWNED.keys()


def test_each_process_has_a_part() -> None:
    """Four processes must not open four times the connections."""
    databases = [{"name": "app", "host": "h", "max_connections": 40, "pool_size": 10}, {"name": "b", "host": "h"}]
    users = [{"name": "app", "password": "x", "max_connections": 30}]
    result = configured(databases=databases, users=users, processes="4", pool_size=40)
    assert (result["share"], result["pool_size"], result["problems"]) == (15, 10, [])
    assert result["databases"]["app"] == "host=h port=5432 dbname=app pool_size=2 max_db_connections=10"
    assert result["users"] == {"app": "max_user_connections=7"}


@pytest.mark.parametrize(
    ("limits", "budget", "share"),
    [
        pytest.param([None], 100, 100, id="alone"),
        pytest.param([None, None, None], 100, 33, id="equal parts"),
        pytest.param([60, None, None], 100, 20, id="what one leaves"),
        pytest.param([60, 40], "100", 0, id="all have their own"),
    ],
)
def test_shares_the_budget(limits: list[int | None], budget: int | str, share: int) -> None:
    databases = [{"name": f"d{n}", "host": "h", "max_connections": limit} for n, limit in enumerate(limits)]
    result = configured(databases=databases, max_server_connections=budget, pool_size="20")
    assert (result["share"], result["problems"]) == (share, [])


REPLICA = {"name": "app_replica", "host": "r1,r2", "dbname": "app", "server": "replica", "max_connections": 60}


def test_replicas_are_a_database_with_a_budget_of_its_own() -> None:
    databases = [{"name": "app", "host": "h", "server": "primary"}, REPLICA]
    result = configured(databases=databases, processes=2)
    assert (result["share"], result["problems"]) == (50, [])
    assert result["databases"]["app_replica"] == "host=r1,r2 port=5432 dbname=app max_db_connections=30"


def test_takes_numbers_and_lists_as_text() -> None:
    given = {"pool_size": "30", "max_client_connections": "500", "stats_users": "app", "admin_users": " app , app"}
    assert configured(**given)["problems"] == []


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"databases": []}, "pgbouncer_databases is empty: list at least one database"),
        ({"users": []}, "pgbouncer_users is empty: list the accounts that may log in, or set auth_user"),
        (
            {"databases": GIVEN["pgbouncer_databases"] * 2, "pool_size": 5},
            "pgbouncer_databases lists app more than once",
        ),
        ({"users": GIVEN["pgbouncer_users"] * 2}, "pgbouncer_users lists app more than once"),
        (
            {"databases": [{"name": "my app", "host": "h"}]},
            "database 'my app': a name has letters, digits, dots, hyphens and underscores only",
        ),
        (
            {"databases": [{"name": "pgbouncer", "host": "h"}]},
            "database pgbouncer: the name belongs to the admin console",
        ),
        ({"pool_size": "101"}, "database app: its pools have 101 connections, and it may open 100"),
        (
            {"databases": [{"name": "app", "host": "h", "max_connections": 101}]},
            "pgbouncer_max_server_connections is 100: too few for 1 databases, whose max_connections add up to 101",
        ),
        (
            {"databases": [{"name": "a", "host": "h", "max_connections": 100}, {"name": "b", "host": "h"}]},
            "pgbouncer_max_server_connections is 100: too few for 2 databases, whose max_connections add up to 100",
        ),
        ({"stats_users": ["app", "monitor"]}, "pgbouncer_stats_users names monitor, who is not in pgbouncer_users"),
        ({"admin_users": ["boss"]}, "pgbouncer_admin_users names boss, who is not in pgbouncer_users"),
        (
            {"server_sslmode": "verify-full"},
            "pgbouncer_server_sslmode is verify-full: set pgbouncer_server_ca or pgbouncer_server_ca_file",
        ),
        (
            {"databases": [*GIVEN["pgbouncer_databases"], {**REPLICA, "max_connections": None}]},
            "database app_replica: server is replica, whose connections are not those of"
            " pgbouncer_max_server_connections; set its max_connections",
        ),
        (
            {"databases": [*GIVEN["pgbouncer_databases"], {**REPLICA, "pool_size": 61}]},
            "database app_replica: its pools have 61 connections, and it may open 60",
        ),
        (
            {"databases": [{**REPLICA, "max_connections": 523000}]},
            "pgbouncer_max_client_connections is 1000: the unit has file descriptors for 523776",
        ),
        ({"auth_type": "hba"}, "pgbouncer_auth_type hba and pgbouncer_hba_rules need each other"),
        ({"hba_rules": ["local all all peer"]}, "pgbouncer_auth_type hba and pgbouncer_hba_rules need each other"),
        (
            {"max_client_connections": 600000},
            "pgbouncer_max_client_connections is 600000: the unit has file descriptors for 523776",
        ),
        ({"socket_dir": "run"}, "pgbouncer_socket_dir must be an absolute path"),
        ({"settings": {"listen_port": 1}}, "pgbouncer_settings: listen_port is set by pgbouncer_port"),
        (
            {"settings": {"logfile": "/x"}},
            "pgbouncer_settings: logfile can't be set, the log goes to the journal; use syslog to send it elsewhere",
        ),
        ({"settings": {"a b": 1}}, "pgbouncer_settings: 'a b' is no setting's name"),
        ({"settings": {"server_check_query": "a\nb = c"}}, "pgbouncer_settings: server_check_query has a line break"),
        (
            {"databases": [{"name": "app", "host": "h", "settings": {"pool_size": 1}}]},
            "database app: settings: pool_size is set by pool_size",
        ),
        (
            {"users": [{"name": "app", "password": "x", "settings": {"pool_mode": "session"}}]},
            "user app: settings: pool_mode is set by pool_mode",
        ),
        ({"users": [{"name": "app", "password": "sec\nret"}]}, "user app: password has a line break"),
        (
            {"users": [{"name": "an app", "password": "x", "max_connections": 1}]},
            "user 'an app': PgBouncer takes limits for plain names only",
        ),
    ],
)
def test_names_every_problem(options: dict[str, t.Any], problem: str) -> None:
    assert configured(**options)["problems"] == [problem]


def test_names_all_problems_at_once_and_no_secret() -> None:
    problems = configured(databases=[], users=[{"name": "a", "password": "sec\nret"}], socket_dir="x")["problems"]
    assert len(problems) == 3
    assert "sec" not in str(problems)


@pytest.mark.parametrize("settings", [{"auth_user": "pooler"}, {"auth_user": "pooler", "auth_query": "SELECT 1"}])
def test_needs_no_list_of_users_when_it_asks_the_server(settings: dict[str, str]) -> None:
    assert configured(users=[], settings=settings, stats_users=["monitor"])["problems"] == []


@pytest.mark.parametrize(("value", "written"), [("a", "a"), ("", "''"), ("a b", "'a b'"), ("it's", "'it''s'")])
def test_quotes_where_a_value_would_end_early(value: str, written: str) -> None:
    assert quoted(value) == written


PEM = "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----"
PAIR = {"tls_certificate": PEM, "tls_key": PEM}


@pytest.mark.parametrize(
    ("options", "settings", "files"),
    [
        pytest.param({}, {}, [], id="none"),
        pytest.param(
            {"server_sslmode": "verify-full", "server_ca": PEM},
            {"server_tls_ca_file": "server-ca.crt"},
            ["server-ca.crt"],
            id="a CA as text",
        ),
        pytest.param(
            {"server_sslmode": "verify-full", "server_ca_file": "/etc/ssl/rds.pem"},
            {"server_tls_ca_file": "/etc/ssl/rds.pem"},
            [],
            id="a CA of the host",
        ),
        pytest.param(
            {"client_sslmode": "verify-full", **PAIR, "tls_client_ca_file": "/etc/ssl/ca.pem"},
            {
                "client_tls_cert_file": "server.crt",
                "client_tls_key_file": "server.key",
                "client_tls_ca_file": "/etc/ssl/ca.pem",
            },
            ["server.crt", "server.key"],
            id="clients with certificates",
        ),
    ],
)
def test_certificates(options: dict[str, t.Any], settings: dict[str, str], files: list[str]) -> None:
    result = configured(**options)
    assert (result["problems"], result["tls"], list(result["tls_files"])) == ([], settings, files)
    assert all(text == PEM + "\n" for text in result["tls_files"].values())


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"client_sslmode": "require"}, "pgbouncer_client_sslmode is require: set pgbouncer_tls_certificate"),
        (
            {"client_sslmode": "require", "tls_certificate": PEM},
            "pgbouncer_client_sslmode is require: set pgbouncer_tls_key",
        ),
        ({"client_sslmode": "verify-ca", **PAIR}, "pgbouncer_client_sslmode is verify-ca: set pgbouncer_tls_client_ca"),
        (PAIR, "pgbouncer_client_sslmode is disable, and a certificate is given"),
        ({"auth_type": "cert"}, "pgbouncer_auth_type is cert: set pgbouncer_client_sslmode to verify-full"),
        ({"server_ca": "/etc/ssl/rds.pem"}, "pgbouncer_server_ca is not in PEM: it has no line -----BEGIN ...-----"),
        ({"server_ca": PEM, "server_ca_file": "/x"}, "pgbouncer_server_ca and pgbouncer_server_ca_file are both set"),
    ],
)
def test_certificates_that_do_not_fit(options: dict[str, t.Any], problem: str) -> None:
    assert any(line.startswith(problem) for line in configured(**options)["problems"]), configured(**options)[
        "problems"
    ]


VERIFIER = "SCRAM-SHA-256$4096:c2FsdA==$a:b"


@pytest.mark.parametrize(
    ("options", "verifiers", "logins"),
    [
        pytest.param({"password_storage": "plain"}, [], {"app": ["app"]}, id="plain"),
        pytest.param({}, ["app"], {"app": ["app"]}, id="verifier"),
        pytest.param({"stats_users": ["app"]}, ["app"], {"app": ["pgbouncer"]}, id="console only"),
        pytest.param({"databases": [{"name": "*", "host": "h"}]}, ["app"], {"app": []}, id="names not known"),
        pytest.param({"users": [{"name": "app", "password": VERIFIER}]}, [], {}, id="a verifier is given"),
        pytest.param(
            {"databases": [{"name": "r", "host": "h", "user": "app"}]}, [], {"app": ["r"]}, id="logs in by itself"
        ),
        pytest.param({"settings": {"auth_user": "app"}}, [], {"app": ["app"]}, id="looks up the others"),
        pytest.param(
            {"users": [{"name": "app", "password": "x", "databases": []}]}, ["app"], {"app": []}, id="not to log in"
        ),
    ],
)
def test_what_is_stored_of_a_password(
    options: dict[str, t.Any], verifiers: list[str], logins: dict[str, list[str]]
) -> None:
    result = configured(**{"password_storage": "scram", **options})
    assert result["problems"] == []
    assert result["verifiers"] == verifiers
    assert {name: row["databases"] for name, row in result["logins"].items()} == logins


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        pytest.param({"auth_type": "trust"}, "pgbouncer_auth_type trust: PgBouncer logs in", id="nothing to learn"),
        pytest.param(
            {
                "users": [{"name": "app", "password": VERIFIER}],
                "databases": [{"name": "r", "host": "h", "user": "app"}],
            },
            "logs in as this account itself",
            id="a verifier is no password",
        ),
        pytest.param(
            {"users": [{"name": "app", "password": "x", "databases": ["shop"]}]},
            "databases names shop, not in pgbouncer_databases",
            id="unknown database",
        ),
    ],
)
def test_refuses_what_pgbouncer_cannot_log_in_with(options: dict[str, t.Any], problem: str) -> None:
    assert [problem in line for line in configured(password_storage="scram", **options)["problems"]] == [True]


RDS = "shop.c9akciq32.eu-central-1.rds.amazonaws.com"


@pytest.mark.parametrize(
    ("host", "settings", "refused"),
    [
        pytest.param(RDS, {"auth_user": "lookup"}, True, id="managed"),
        pytest.param(RDS, {"auth_user": "lookup", "auth_query": "SELECT * FROM pg_authid"}, True, id="no better table"),
        pytest.param(RDS, {"auth_user": "lookup", "auth_query": "SELECT * FROM own.words($1)"}, False, id="own table"),
        pytest.param(RDS, {}, False, id="accounts are listed"),
        pytest.param("10.0.0.5", {"auth_user": "lookup"}, False, id="a server of one's own"),
    ],
)
@pytest.mark.parametrize("of_database", [True, False])
def test_refuses_to_look_up_verifiers_that_nobody_can_read(
    host: str, settings: dict[str, str], refused: bool, of_database: bool
) -> None:
    row = {"name": "app", "host": host, **({"settings": settings} if of_database else {})}
    found = configured(databases=[row], **({} if of_database else {"settings": settings}))["problems"]
    assert ["Amazon RDS" in line for line in found] == [True] * refused
