# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventory plugin: what a stranger's own hosts file and a few values become."""

from __future__ import annotations

import json
import pathlib
import sys
import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.plugin_utils._environment.roles import ROLES, places
from ansible_collections.nexod.infra.tests.playbook import play

PLUGIN = "plugin: nexod.infra.environment\n"
HOSTS = """\
all:
  children:
    database_primary: {hosts: {db: {ansible_host: 192.0.2.1}}}
    migration_runner: {hosts: {ops: {ansible_host: 192.0.2.2}}}
    monitoring: {hosts: {ops: }}
    api: {hosts: {web-1: {ansible_host: 192.0.2.3}, web-2: {ansible_host: 192.0.2.4}}}
    grafana: {hosts: {dash: {ansible_host: 192.0.2.5}}}
"""
VALUES = "infra_environment: shop\ninfra_provider: hosts\ninfra_domain: shop.example.com\nbackend_version: 1.0.0\n"


def evaluate(folder: pathlib.Path, host: str, *names: str) -> dict[str, t.Any]:
    """Variables as Ansible evaluates them for a host, with the endpoints that the environment's role publishes."""
    shown = {name: "{{ " + name + " }}" for name in names}
    play = [
        {
            "hosts": host,
            "gather_facts": False,
            "tasks": [
                {"ansible.builtin.include_role": {"name": "nexod.infra.environment"}},
                {"ansible.builtin.copy": {"content": "{{ shown | to_json }}", "dest": str(folder / "shown.json")}},
            ],
            "vars": {"ansible_connection": "local", "shown": shown},
        }
    ]
    (folder / "play.json").write_text(json.dumps(play))
    ansible(folder, "ansible-playbook", str(folder / "play.json"))
    return dict(json.loads((folder / "shown.json").read_text()))


def ansible(folder: pathlib.Path, program: str, *arguments: str) -> str:
    done = play(
        *("-i", folder / "inventory", *arguments),
        cwd=folder,
        program=program,
        ANSIBLE_PYTHON_INTERPRETER=sys.executable,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def own(tmp_path: pathlib.Path) -> pathlib.Path:
    """An inventory outside the checkout: hosts, values, and the line that names the plugin."""
    inventory = tmp_path / "inventory"
    (inventory / "group_vars").mkdir(parents=True)
    (inventory / "hosts.yml").write_text(HOSTS)
    (inventory / "nexod.yml").write_text(PLUGIN)
    (inventory / "group_vars" / "all.yml").write_text(VALUES)
    return tmp_path


def test_groups_that_the_hosts_file_does_not_list_exist_and_are_empty(own: pathlib.Path) -> None:
    found = json.loads(ansible(own, "ansible-inventory", "--list"))
    assert found["database"]["children"] == ["database_primary", "database_replica"]
    shown = evaluate(own, "ops", "groups")["groups"]
    assert (shown["database"], shown["cache"], shown["edge"], shown["pooler"]) == (["db"], [], [], [])


def test_what_follows_from_groups_and_values(own: pathlib.Path) -> None:
    names = ("exporters_enabled", "prometheus_external_labels", "prometheus_scrape_jobs", "backend_database")
    names += ("alertmanager_silence_host", "alertmanager_silence_instances")
    found = evaluate(own, "ops", *names, "infra_endpoints")
    # The probes through its exporter as well.
    silenced = (found["alertmanager_silence_host"], found["alertmanager_silence_instances"])
    assert silenced == ("ops", ["ops", "http://192.0.2.3:8000/ready"])
    assert found["exporters_enabled"] == ["node", "blackbox"]
    assert found["prometheus_external_labels"] == {"environment": "shop"}
    jobs = {job["name"]: [target["address"] for target in job["targets"]] for job in found["prometheus_scrape_jobs"]}
    assert jobs["api"] == ["192.0.2.3:8000", "192.0.2.4:8000"]
    assert jobs["api_ready"] == ["http://192.0.2.3:8000/ready"]
    assert {"pgbouncer", "haproxy", "frontend"} & set(jobs) == set(), "jobs for what is not there"
    # Without a pooler the application connects to the database itself.
    assert (found["backend_database"]["host"], found["backend_database"]["port"]) == ("192.0.2.1", 5432)


ORIGIN = {"bucket": "b", "folder": "public", "region": "us-east-1", "distribution": "E1"}


@pytest.mark.parametrize(
    ("cdn", "more", "probed"),
    [
        pytest.param({}, "", ["https://www.example.com/"], id="whoever publishes there"),
        pytest.param({"origin": ORIGIN}, "", [], id="a bucket to which nothing is published"),
        pytest.param({"origin": ORIGIN}, "frontend_source: site\n", ["https://www.example.com/"], id="a bucket"),
    ],
)
def test_the_front_end_is_probed_where_there_is_one(
    own: pathlib.Path, cdn: dict[str, t.Any], more: str, probed: list[str]
) -> None:
    declared = json.dumps({"cdn": {"url": "https://www.example.com", **cdn}})
    (own / "inventory/group_vars/all.yml").write_text(f"{VALUES}{more}infra_endpoints_declared: {declared}\n")
    found = evaluate(own, "ops", "prometheus_scrape_jobs", "static_site_origin")
    jobs = {job["name"]: [target["address"] for target in job["targets"]] for job in found["prometheus_scrape_jobs"]}
    assert jobs.get("frontend", []) == probed
    assert found["static_site_origin"] == cdn.get("origin", {})


@pytest.mark.parametrize(
    ("provider", "version", "enabled"), [("aws", "0.67.0", True), ("aws", "", False), ("hosts", "0.67.0", False)]
)
def test_cloudwatch_is_exported_on_aws_once_a_version_is_given(
    own: pathlib.Path, provider: str, version: str, enabled: bool
) -> None:
    declared = (
        f"exporters_archives: {{cloudwatch: {{version: '{version}'}}}}\n"
        "provider_aws_endpoints_declared:\n"
        "  database: {host: db.example.com, port: 5432, name: app, sslmode: require}\n"
        "  pooler: null\n  replicas: []\n  cache: null\n  api: null\n  cdn: null\n  object_store: null\n"
    )
    values = VALUES.replace("provider: hosts", f"provider: {provider}") + declared
    (own / "inventory/group_vars/all.yml").write_text(values)
    found = evaluate(own, "ops", "exporters_enabled", "prometheus_scrape_jobs")
    jobs = {job["name"]: job["targets"] for job in found["prometheus_scrape_jobs"]}
    assert ("cloudwatch" in found["exporters_enabled"]) == enabled
    assert jobs.get("cloudwatch") == (
        [{"address": "127.0.0.1:9106", "labels": {"instance": "ops"}}] if enabled else None
    )


def test_a_port_has_one_home(own: pathlib.Path) -> None:
    """A port that is changed where its role has it is changed for all that connect to it."""
    values = own / "inventory/group_vars"
    (values / "monitoring.yml").write_text(
        "prometheus_port: 9191\nalertmanager_port: 9094\nexporters_blackbox_port: 9116\n"
    )
    (values / "grafana.yml").write_text("grafana_port: 3333\n")
    (values / "all.yml").write_text(VALUES + "exporters_node_port: 9111\ninfra_api_port: 8081\n")
    names = (
        "prometheus_scrape_jobs",
        "prometheus_alertmanagers",
        "prometheus_external_url",
        "alertmanager_external_url",
    )
    found = evaluate(own, "ops", *names)
    jobs = {job["name"]: job for job in found["prometheus_scrape_jobs"]}
    ports = {name: {target["address"].rsplit(":", 1)[1] for target in job["targets"]} for name, job in jobs.items()}
    assert {name: ports[name] for name in ("prometheus", "alertmanager", "grafana", "node", "blackbox", "api")} == {
        "prometheus": {"9191"},
        "alertmanager": {"9094"},
        "grafana": {"3333"},
        "node": {"9111"},
        "blackbox": {"9116"},
        "api": {"8081"},
    }
    assert jobs["api_ready"]["probe"]["exporter"] == "127.0.0.1:9116"
    assert found["prometheus_alertmanagers"] == ["127.0.0.1:9094"]
    assert (found["prometheus_external_url"][-5:], found["alertmanager_external_url"][-5:]) == (":9191", ":9094")
    assert evaluate(own, "dash", "grafana_datasource_url", "grafana_external_url") == {
        "grafana_datasource_url": "http://192.0.2.2:9191",
        "grafana_external_url": "http://192.0.2.5:3333",
    }


def test_only_who_asks_reaches_the_ports_of_the_monitoring(own: pathlib.Path) -> None:
    """What the role firewall gets where it is switched on: on a host with exporters only, and on that of Prometheus."""
    values = "infra_monitoring_firewall: present\ninfra_monitoring_clients: [203.0.113.0/24]\n"
    (own / "inventory/group_vars/all.yml").write_text(VALUES + values)
    exporters = {"name": "exporters", "ports": [9100], "sources": ["192.0.2.2"]}
    assert evaluate(own, "dash", "firewall_rules", "firewall_state") == {
        "firewall_rules": [exporters],
        "firewall_state": "present",
    }
    assert evaluate(own, "db", "firewall_rules")["firewall_rules"] == [{**exporters, "ports": [9100, 9187]}]
    _exporters, prometheus, alertmanager = evaluate(own, "ops", "firewall_rules")["firewall_rules"]
    assert prometheus == {
        "name": "Prometheus",
        "ports": [9090],
        "sources": ["192.0.2.2", "192.0.2.5", "203.0.113.0/24"],
    }
    assert alertmanager == {"name": "Alertmanager", "ports": [9093], "sources": ["192.0.2.2", "203.0.113.0/24"]}


def test_one_password_protects_the_monitoring_and_reaches_all_that_asks(own: pathlib.Path) -> None:
    password = "correct-horse-battery"
    values = "infra_monitoring_password: correct-horse-battery\n"
    tls = "infra_monitoring_tls: {ca: CA, certificate: CERTIFICATE, key: KEY}\n"
    (own / "inventory/group_vars/all.yml").write_text(VALUES + values + tls)
    names = (
        "prometheus_web_users",
        "prometheus_tls_key",
        "alertmanager_web_users",
        "exporters_web_users",
        "exporters_blackbox_listen_address",
        "prometheus_alertmanagers",
        "prometheus_alertmanager_configs",
        "prometheus_scrape_jobs",
        "__prometheus_environment_credentials",
        "verify_prometheus_url",
        "verify_prometheus_access",
        "haproxy_metrics_users",
        "haproxy_metrics_tls_certificate",
    )
    found = evaluate(own, "ops", *names)
    assert found["prometheus_web_users"] == found["alertmanager_web_users"] == {"monitoring": password}
    assert (found["prometheus_tls_key"], found["exporters_blackbox_listen_address"]) == ("KEY", "127.0.0.1")
    assert found["haproxy_metrics_tls_certificate"] == "CERTIFICATE\nKEY"
    assert found["haproxy_metrics_users"] == found["exporters_web_users"]
    # Whoever is root on a host with an exporter has that password, and not this one.
    [(user, derived)] = found["exporters_web_users"].items()
    assert (user, len(derived), password in derived) == ("prometheus", 64, False)
    assert found["__prometheus_environment_credentials"] == {
        "monitoring-password": password,
        "exporters-password": derived,
        "monitoring-ca": "CA",
        "monitoring-certificate": "CERTIFICATE",
        "monitoring-key": "KEY",
    }
    jobs = {job["name"]: job for job in found["prometheus_scrape_jobs"]}
    asked = {name: job["basic_auth"]["password_file"] for name, job in jobs.items() if "basic_auth" in job}
    assert {name for name, file in asked.items() if file == "credentials/monitoring-password"} == {
        "prometheus",
        "alertmanager",
    }
    # The application, and what has a login of its own, are asked as before.
    assert set(jobs) - set(asked) == {"api", "grafana"}
    tls_config = {
        "ca_file": "credentials/monitoring-ca",
        "cert_file": "credentials/monitoring-certificate",
        "key_file": "credentials/monitoring-key",
    }
    assert jobs["node"]["tls_config"] == tls_config
    assert jobs["api_ready"]["tls_config"] == {**tls_config, "server_name": "ops"}
    assert found["prometheus_alertmanagers"] == []
    [config] = found["prometheus_alertmanager_configs"]
    assert (config["scheme"], config["static_configs"]) == ("https", [{"targets": ["127.0.0.1:9093"]}])
    assert found["verify_prometheus_url"].startswith("https://127.0.0.1:")
    assert password not in json.dumps(found["verify_prometheus_access"])
    assert evaluate(own, "dash", "grafana_datasource_url", "grafana_datasource_password") == {
        "grafana_datasource_url": "https://192.0.2.2:9090",
        "grafana_datasource_password": password,
    }


def test_without_a_password_everything_is_asked_as_before(own: pathlib.Path) -> None:
    names = ("prometheus_web_users", "exporters_web_users", "prometheus_scrape_jobs", "prometheus_alertmanagers")
    found = evaluate(own, "ops", *names, "prometheus_alertmanager_configs", "verify_prometheus_access")
    assert [found[name] for name in names if name.endswith("users")] == [{}, {}]
    assert not [job for job in found["prometheus_scrape_jobs"] if {"basic_auth", "scheme", "tls_config"} & job.keys()]
    assert found["prometheus_alertmanagers"] == ["127.0.0.1:9093"]
    assert (found["prometheus_alertmanager_configs"], found["verify_prometheus_access"]) == ([], {})


@pytest.mark.parametrize("where", ["hosts.yml", "group_vars/all.yml", "group_vars/monitoring.yml", "host_vars/ops.yml"])
def test_whatever_the_inventory_sets_replaces_what_is_derived(own: pathlib.Path, where: str) -> None:
    path = own / "inventory" / where
    path.parent.mkdir(exist_ok=True)
    given = "prometheus_retention_days: 7\n"
    if where == "hosts.yml":
        path.write_text(HOSTS + "  vars: {prometheus_retention_days: 7}\n")
    else:
        path.write_text((path.read_text() if path.exists() else "") + given)
    assert evaluate(own, "ops", "prometheus_retention_days") == {"prometheus_retention_days": 7}


def test_every_role_says_where_it_belongs() -> None:
    assert sorted(places()) == sorted(path.name for path in ROLES.iterdir() if path.is_dir())


@pytest.mark.parametrize("role", sorted(places()))
def test_a_role_wires_its_own_variables_only(role: str) -> None:
    prefix = places()[role].get("prefix", f"{role}_")
    names = [name.removeprefix("__") for name in places()[role].get("variables") or {}]
    assert [name for name in names if not name.startswith(prefix)] == []


def test_two_accounts_in_turn(own: pathlib.Path) -> None:
    """While instances are replaced, both accounts log in everywhere; only the API has the new one alone."""
    values = (
        "infra_database_app_user: app_b\ninfra_database_app_password: new\ninfra_cache_password: fresh\n"
        "infra_database_app_retiring_user: app\ninfra_database_app_retiring_password: old\n"
        "infra_database_app_retired_users: [app_a]\ninfra_cache_previous_passwords: [stale]\n"
        "infra_database_owner_password: o\ninfra_database_monitor_password: m\n"
        "infra_endpoints_declared: {cache: {host: 192.0.2.9, port: 6379, tls: false, db: 0}}\n"
    )
    (own / "inventory" / "group_vars" / "all.yml").write_text(VALUES + values)
    names = ["postgresql_roles", "postgresql_databases", "postgresql_retired_roles", "pgbouncer_users"]
    names += ["redis_password", "redis_previous_passwords", "redis_password_change", "backend_database"]
    names += ["postgresql_poolers", "caches_redis", "alertmanager_silence_instances"]
    managed = ["roles", "databases", "retired_roles", "poolers"]
    seen = evaluate(own, "db", *names, *(f"database_access_{name}" for name in managed))
    # A managed server has the same accounts as one on a host of the inventory.
    assert [seen[f"database_access_{name}"] for name in managed] == [seen[f"postgresql_{name}"] for name in managed]
    assert (seen["postgresql_poolers"], seen["caches_redis"]["password"]) == ([], "fresh")
    assert seen["alertmanager_silence_instances"] == ["db"]
    changes = {row["name"]: (row["password"], row["password_change"]) for row in seen["postgresql_roles"]}
    assert changes == {
        "app_owner": ("o", "always"),
        "app_b": ("new", "unused"),
        "monitor": ("m", "always"),
        "app": ("old", "unused"),
    }
    assert seen["postgresql_databases"][0]["read_write"] == ["app_b", "app"]
    assert seen["postgresql_retired_roles"] == ["app_a"]
    pooled = {row["name"]: (row["password"], row["password_change"]) for row in seen["pgbouncer_users"]}
    # Nobody has a pooler here: the server's verifiers are its own.
    assert {row["shared_verifier"] for row in seen["postgresql_roles"] if "shared_verifier" in row} == {False}
    assert pooled == {name: change for name, change in changes.items() if name != "app_owner"}
    cache = (seen["redis_password"], seen["redis_previous_passwords"], seen["redis_password_change"])
    assert cache == ("fresh", ["stale"], "listed")
    assert (seen["backend_database"]["user"], seen["backend_database"]["password"]) == ("app_b", "new")


@pytest.mark.parametrize(
    ("poolers", "declared", "others", "hosts"),
    [
        pytest.param({"ops": "192.0.2.2"}, "", [], "192.0.2.2", id="one"),
        pytest.param({"ops": "192.0.2.2", "far": ""}, "", ["far"], "192.0.2.2,far", id="two, one known by its name"),
        pytest.param({"ops": "192.0.2.2", "far": ""}, "192.0.2.99", ["far"], "192.0.2.99", id="two behind a balancer"),
    ],
)
def test_each_pooler_knows_the_others_and_the_api_all(
    own: pathlib.Path, poolers: dict[str, str], declared: str, others: list[str], hosts: str
) -> None:
    lines = "".join(
        f"    {name}: {{{f'ansible_host: {address}' if address else ''}}}\n" for name, address in poolers.items()
    )
    (own / "inventory" / "poolers.yml").write_text(f"pooler:\n  hosts:\n{lines}")
    pooler = f"pooler: {{host: {declared or '192.0.2.2'}, port: 6432, name: app}}"
    given = (
        f"infra_database_app_password: p\ninfra_endpoints: {{{pooler}, database: {{}}, replicas: [], cache: null}}\n"
    )
    (own / "inventory" / "group_vars" / "all.yml").write_text(VALUES + given)
    seen = evaluate(own, "ops", "pgbouncer_other_hosts", "backend_database", "pgbouncer_max_server_connections")
    assert int(seen["pgbouncer_max_server_connections"]) == 100 // len(poolers)
    assert (seen["pgbouncer_other_hosts"], seen["backend_database"]["hosts"]) == (others, hosts)


def test_keys_of_redis_are_counted_seldom(own: pathlib.Path) -> None:
    """By the exporter of the monitoring host, which is asked about the same server as it is configured with."""
    values = "infra_endpoints_declared: {cache: {host: 192.0.2.9, port: 6380, tls: true, db: 2}}\n"
    (own / "inventory" / "group_vars" / "all.yml").write_text(VALUES + values)
    seen = evaluate(own, "ops", "prometheus_scrape_jobs", "exporters_redis_count_seconds")
    [job] = [one for one in seen["prometheus_scrape_jobs"] if one["name"] == "redis_keys"]
    [target] = job["targets"]
    assert (target["labels"], target["server"]) == ({"instance": "ops"}, "rediss://192.0.2.9:6380")
    assert job["keys"] == {"job": "redis", "patterns": ["db2=session:*"]}
    assert (int(job["interval_seconds"]), int(job["timeout_seconds"])) == (120, 60)
    assert int(seen["exporters_redis_count_seconds"]) == 120


def test_one_account_by_default(own: pathlib.Path) -> None:
    """As before there was a second one: nobody has to name it."""
    (own / "inventory" / "group_vars" / "all.yml").write_text(VALUES + "infra_password_changes_in_use: true\n")
    names = ["postgresql_roles", "postgresql_databases", "postgresql_retired_roles", "redis_previous_passwords"]
    seen = evaluate(own, "db", *names, "redis_password_change")
    assert {row["name"]: row["password_change"] for row in seen["postgresql_roles"]}["app"] == "always"
    assert [row["name"] for row in seen["postgresql_roles"]] == ["app_owner", "app", "monitor"]
    assert seen["postgresql_databases"][0]["read_write"] == ["app"]
    assert (seen["postgresql_retired_roles"], seen["redis_previous_passwords"]) == ([], [])
    assert seen["redis_password_change"] == "always"


@pytest.mark.parametrize(
    ("database", "pooler", "admin", "storage"),
    [
        pytest.param(True, True, "", "scram", id="a server of one's own"),
        pytest.param(True, False, "", "plain", id="no pooler"),
        pytest.param(False, True, "secret", "scram", id="a managed server, whose accounts are ours"),
        pytest.param(False, True, "", "plain", id="accounts that somebody else made"),
    ],
)
def test_the_pooler_has_no_password_where_the_accounts_are_ours(
    own: pathlib.Path, database: bool, pooler: bool, admin: str, storage: str
) -> None:
    hosts = HOSTS if database else HOSTS.replace("    database_primary: {hosts: {db: {ansible_host: 192.0.2.1}}}\n", "")
    pool = "    pooler: {hosts: {pool: {ansible_host: 192.0.2.6}}}\n" if pooler else ""
    (own / "inventory" / "hosts.yml").write_text(hosts + pool)
    values = f"infra_database_app_password: a\ninfra_database_admin_password: '{admin}'\n"
    if not database:
        values += "infra_endpoints_declared: {database: {host: 192.0.2.9, port: 5432, name: app, sslmode: require}}\n"
    (own / "inventory" / "group_vars" / "all.yml").write_text(VALUES + values)
    seen = evaluate(own, "ops", "pgbouncer_password_storage", "database_access_roles")
    assert seen["pgbouncer_password_storage"] == storage
    shared = {row["name"]: row.get("shared_verifier", False) for row in seen["database_access_roles"]}
    assert shared == {"app_owner": False, "app": storage == "scram", "monitor": storage == "scram"}


@pytest.mark.parametrize(("connections", "part"), [(0, None), (40, 20)])
def test_replicas_are_behind_the_pooler_where_they_get_connections(
    own: pathlib.Path, connections: int, part: int | None
) -> None:
    """As one database of all replicas, of whose connections each pooler has a part."""
    (own / "inventory/more.yml").write_text(
        "all: {children: {database_replica: {hosts: {r1: {ansible_host: 192.0.2.11}, r2: {ansible_host: 192.0.2.12}}},"
        " pooler: {hosts: {p1: {ansible_host: 192.0.2.8}, p2: {ansible_host: 192.0.2.9}}}}}\n"
    )
    (own / "inventory/group_vars/all.yml").write_text(f"{VALUES}infra_database_replica_connections: {connections}\n")
    databases = evaluate(own, "p1", "pgbouncer_databases")["pgbouncer_databases"]
    primary = {"name": "app", "host": "192.0.2.1", "port": 5432, "dbname": "app"}
    replica = {"name": "app_replica", "host": "192.0.2.11,192.0.2.12", "server": "replica", "port": 5432}
    sizes = {"dbname": "app", "pool_size": part, "max_connections": part}
    assert databases == [primary, *([{**replica, **sizes}] if part else [])]
