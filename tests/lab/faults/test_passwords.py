"""Passwords that are rotated under requests of users: no request fails, and the former ones open nothing at the end."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.nexod.infra.tests.lab.support import PLAYBOOK, ROOT, Done, get, on, run, users

pytestmark = pytest.mark.long

# How quick the lab is meanwhile is the bench's to say.
UNHURRIED = {"verify_latency_targets": [], "backend_trial_latency_targets": []}
PATHS = ("/health", "/dashboard", "/tasks?user_id=1")
SECOND = "second-password-of-the-application"
SECOND_CACHE = "second-password-of-the-cache"
BACK = {
    "infra_database_app_retiring_user": "app_b",
    "infra_database_app_retiring_password": SECOND,
    "infra_cache_previous_passwords": [SECOND_CACHE],
}
PSQL = "PGPASSWORD=$(cat) psql -XAt -h {host} -p {port} -U {user} -d app -c 'SELECT current_user' 2>&1"
REDIS = "REDISCLI_AUTH=$(cat) redis-cli --no-auth-warning ping 2>&1"
ACCOUNTS = "SELECT DISTINCT usename FROM pg_stat_activity WHERE usename LIKE 'app%' AND usename <> 'app_owner'"
CAN_LOG_IN = "SELECT rolcanlogin FROM pg_roles WHERE rolname = 'app_b'"


def first(name: str) -> str:
    """The password that the lab has made itself."""
    return (ROOT / ".lab" / "secrets" / name).read_text().split()[0]


def said(host: str, command: str, password: str) -> str:
    """What a command says that reads a password from standard input."""
    argv = ["podman", "exec", "-i", f"nexod-lab-{host}", "sh", "-c", command]
    return subprocess.run(argv, input=password, capture_output=True, text=True, check=False).stdout.strip()


def logs_in(user: str, password: str) -> tuple[str, str]:
    """What PostgreSQL and PgBouncer say to an account."""
    server = said("db-1", PSQL.format(host="10.213.77.11", port=5432, user=user), password)
    pooler = said("db-1", PSQL.format(host="10.213.77.31", port=6432, user=user), password)
    return server, pooler


class Deploys:
    """Deploys of the lab with values of a file, so that no password is in a command."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "passwords.json"
        self.file.touch(mode=0o600)

    def __call__(self, *flags: str, **values: object) -> Done:
        self.file.write_text(json.dumps({**UNHURRIED, **values}))
        return run(*PLAYBOOK, "-e", f"@{self.file}", *flags, report="deploy-plan" if flags else "", quiet=True)

    def planned(self, **values: object) -> Done:
        """A deploy that does what its plan has said."""
        plan = self("--check", "--diff", **values)
        assert plan.rc == 0, plan.said[-5000:]
        done = self(**values)
        assert done.rc == 0, done.said[-5000:]
        assert done.changes() == plan.changes()
        return done


def as_superuser(database: str, sql: str) -> str:
    return on("db-1", f'cd /; runuser -u postgres -- psql -XAtq -d {database} -c "{sql}"').strip()


@pytest.fixture
def deploy(standing, tmp_path: Path) -> Iterator[Deploys]:
    """Afterwards, wherever a test has stopped, the lab's own passwords again, and nothing of the second account."""
    made = Deploys(tmp_path)
    yield made
    if as_superuser("postgres", CAN_LOG_IN) == "t":
        made(**BACK)
        made(infra_database_app_retired_users=["app_b"])
    if as_superuser("postgres", CAN_LOG_IN) == "f":
        as_superuser("app", "DROP OWNED BY app_b")
        as_superuser("postgres", "DROP ROLE app_b")


def test_passwords_are_rotated_under_requests(deploy: Deploys) -> None:
    app, cache = first("database-app"), first("cache")
    # Values of the lab as they are: whatever a test before has left is applied before users come.
    assert deploy().rc == 0
    second = {"infra_database_app_user": "app_b", "infra_database_app_password": SECOND}
    second_cache = {"infra_cache_password": SECOND_CACHE}
    with users(PATHS) as served:
        # In place, it would be a partial outage: refused before it changes anything, by the plan too.
        for flags in (("--check",), ()):
            refused = deploy(*flags, infra_database_app_password=SECOND, **second_cache)
            assert refused.rc != 0
            messages = {row["host"]: row["message"] for row in refused.report["failures"]}
            assert 'Cannot change the password of role "app"' in messages["db-1"], messages
            assert "10.213.77.31" in messages["db-1"]
            assert "infra_cache_previous_passwords" in refused.said
        assert (logs_in("app", app), said("cache-1", REDIS, cache)) == (("app", "app"), "PONG")

        # Both accounts and both passwords are valid while the instances are replaced.
        retiring = {"infra_database_app_retiring_user": "app", "infra_database_app_retiring_password": app}
        done = deploy.planned(**second, **retiring, **second_cache, infra_cache_previous_passwords=[cache])
        changes = "\n".join(done.changes())
        assert "CREATE ROLE app_b LOGIN" in changes
        assert "reload redis-server (no client is disconnected)" in changes
        assert "reload pgbouncer (no client is disconnected)" in changes
        assert "restart redis-server" not in changes
        assert logs_in("app", app) == ("app", "app")
        assert logs_in("app_b", SECOND) == ("app_b", "app_b")
        assert [said("cache-1", REDIS, word) for word in (cache, SECOND_CACHE)] == ["PONG", "PONG"]

        # The former ones end.
        done = deploy.planned(**second, **second_cache, infra_database_app_retired_users=["app"])
        assert "ALTER ROLE app NOLOGIN" in "\n".join(done.changes())
        assert as_superuser("app", ACCOUNTS).split() == ["app_b"]
        server, pooler = logs_in("app", app)
        assert "not permitted to log in" in server
        assert pooler != "app"
        assert "WRONGPASS" in said("cache-1", REDIS, cache) or "NOAUTH" in said("cache-1", REDIS, cache)
        assert logs_in("app_b", SECOND) == ("app_b", "app_b")

        # And in turn: the first account again, as the lab's inventory has it.
        deploy.planned(**BACK)
        deploy.planned(infra_database_app_retired_users=["app_b"])
        assert as_superuser("app", ACCOUNTS).split() == ["app"]
        assert "not permitted to log in" in logs_in("app_b", SECOND)[0]
        assert (logs_in("app", app), said("cache-1", REDIS, cache)) == (("app", "app"), "PONG")
    assert served.failures == []
    assert served.answers > 500
    assert get("/ready")["status"] == "ready"
    assert deploy().rc == 0


def test_the_monitoring_password_is_changed_in_place(deploy: Deploys) -> None:
    """Exporters get it before the pooler does; users notice nothing, and each exporter finds its server in the end."""
    with users(PATHS) as served:
        done = deploy.planned(infra_database_monitor_password="second-password-of-the-monitoring")
        assert "sessions go on, new ones need the new password" in "\n".join(done.changes())
        deploy.planned()
    assert served.failures == []
