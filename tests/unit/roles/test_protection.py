"""The monitoring with a certificate and passwords: what the roles would write, and that no secret shows."""

from __future__ import annotations

import json
import pathlib
import re
import subprocess
import typing as t

import pytest
import yaml

from ansible_collections.nexod.infra.plugins.plugin_utils._monitoring import rule_file
from ansible_collections.nexod.infra.tests.playbook import AS_JSON, ROOT, play, tasks_of

CANARY = "c4nary-of-the-monitoring"
#: By role: its own options, and words of its unit or its proof.
ROWS: dict[str, tuple[dict[str, t.Any], dict[str, list[str]]]] = {
    "prometheus": (
        {},
        {"prometheus.service": ["--web.config.file=/etc/nexod/prometheus/current/web/web.yml"]},
    ),
    "alertmanager": (
        {},
        {"alertmanager.service": ["--web.config.file=/etc/nexod/alertmanager/current/web/web.yml"]},
    ),
    "exporters": (
        {
            "exporters_enabled": ["node", "postgres", "redis", "pgbouncer", "blackbox"],
            "exporters_postgres_password": "p",
            "exporters_redis_password": "r",
            "exporters_pgbouncer_password": "b",
        },
        {
            "exporter.service": [
                "LoadCredential=web.yml:/etc/nexod/exporter-node/current/secrets/web.yml",
                "LoadCredential=server.key:/etc/nexod/exporter-pgbouncer/current/secrets/server.key",
                "--web.config.file=${CREDENTIALS_DIRECTORY}/web.yml",
                "-tls-server-cert-file=${CREDENTIALS_DIRECTORY}/server.crt",
                "LoadCredential=access-password:/etc/nexod/exporter-redis/current/secrets/access-password",
                'Environment="REDIS_EXPORTER_BASIC_AUTH_USERNAME=ops"',
                'export REDIS_EXPORTER_BASIC_AUTH_PASSWORD="$$(cat "$${CREDENTIALS_DIRECTORY}/access-password")"; '
                'exec "$$0" "$$@"',
                'export PGPASSWORD="$$(cat "$${CREDENTIALS_DIRECTORY}/password")"; until "$$0"',
            ]
        },
    ),
}


def configured(role: str, tmp_path: pathlib.Path, **options: t.Any) -> tuple[str, str]:
    """All that a run in check mode shows, and the new text of every file in its diffs."""
    book = tmp_path / "book.yml"
    include = {"ansible.builtin.include_role": {"name": f"nexod.infra.{role}", "tasks_from": "configure"}}
    given = {f"{role}_{name}": value for name, value in options.items()}
    books = [{"hosts": "localhost", "gather_facts": False, "vars": given, "tasks": [include]}]
    book.write_text(yaml.safe_dump(books))
    done = play("--check", "--diff", "-vvv", "-i", "localhost,", "-c", "local", book, cwd=ROOT, **AS_JSON)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    text = json.dumps([row["hosts"]["localhost"] for row in tasks_of(done)])
    return done.stdout + done.stderr, text.encode().decode("unicode_escape")


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A certificate and its key; the roles check whether they belong together."""
    folder = tmp_path_factory.mktemp("pair")
    words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=a -keyout key -out crt"
    subprocess.run(["openssl", *words.split()], cwd=folder, check=True, capture_output=True)
    return (folder / "crt").read_text(), (folder / "key").read_text()


@pytest.mark.parametrize("role", ROWS)
def test_what_is_protected_and_that_no_secret_shows(role: str, tmp_path: pathlib.Path, pair: tuple[str, str]) -> None:
    own, files = ROWS[role]
    plain = {name.removeprefix(f"{role}_"): value for name, value in own.items()}
    certificate, key = pair
    given = {"tls_certificate": certificate, "tls_key": key, "web_users": {"ops": CANARY}}
    everything, shown = configured(role, tmp_path, **plain, **given)
    for words in files.values():
        for word in words:
            assert word in shown
    for secret in (CANARY, key.splitlines()[1], "$2b$10$"):
        assert secret not in everything


@pytest.mark.parametrize("role", ROWS)
def test_without_the_options_nothing_is_protected(role: str, tmp_path: pathlib.Path) -> None:
    plain = {name.removeprefix(f"{role}_"): value for name, value in ROWS[role][0].items()}
    _everything, shown = configured(role, tmp_path, **plain)
    for word in ("web.config.file", "server.crt", "web.yml", "BASIC_AUTH"):
        assert word not in shown


def test_grafana_asks_its_data_source_with_what_it_reads_from_credentials(
    tmp_path: pathlib.Path, pair: tuple[str, str]
) -> None:
    certificate, key = pair
    given = {
        "package_path": str(tmp_path / "grafana.deb"),
        "admin_password": "an-admin-password",
        "datasource_url": "https://prometheus:9090",
        "datasource_user": "grafana",
        "datasource_password": CANARY,
        "datasource_ca": certificate,
        "datasource_tls_certificate": certificate,
        "datasource_tls_key": key,
    }
    (tmp_path / "grafana.deb").touch()
    everything, shown = configured("grafana", tmp_path, **given)
    for word in (
        '"basicAuthUser": "grafana"',
        '"tlsAuthWithCACert": true',
        '"tlsAuth": true',
        '"basicAuthPassword": "$__file{/run/credentials/grafana-server.service/datasource-password}"',
        '"tlsClientKey": "$__file{/run/credentials/grafana-server.service/datasource-key}"',
        "LoadCredential=datasource-ca:/etc/nexod/grafana/current/secrets/datasource-ca",
    ):
        assert word in shown
    for secret in (CANARY, key.splitlines()[1]):
        assert secret not in everything
    _everything, shown = configured("grafana", tmp_path, **dict(list(given.items())[:3]))
    for word in ("basicAuth", "tlsAuth", "secureJsonData", "datasource-"):
        assert word not in shown


def test_what_a_target_that_cannot_be_scraped_raises_is_silenced_while_its_protection_changes() -> None:
    """Every alert that fires on `up` being 0 of a target of ours, wherever its table is."""
    role = yaml.safe_load((ROOT / "roles/alertmanager/vars/main.yml").read_text())
    alerts = [
        alert
        for alerts in rule_file.BUILT_IN.values()
        for alert in alerts
        if re.search(r"(?<![a-z_])up(\{[^}]*\})? == 0", alert.expression)
    ]
    assert role["__alertmanager_scrape_alerts"] == sorted(alert.name for alert in alerts)
