# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bad input and what it gets: every kind of fault that needs no host, as rows."""

from __future__ import annotations

import re
import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.plugin_utils._preflight.inputs import (
    EvaluationError,
    Fault,
    HostInputs,
    Inputs,
    as_rows,
    asks_somebody,
    check_credentials,
    check_inputs,
    cluster,
    evaluation_next_step,
    from_rows,
    reached_from,
    render,
    scrub,
)
from ansible_collections.nexod.infra.plugins.plugin_utils._preflight.rules import (
    check_files,
    check_rules,
    hosts_have_their_own_address,
    rows_have_their_own_name,
)

SECRET = "correct horse battery"
SPECS: dict[str, dict[str, dict[str, t.Any]]] = {
    "environment": {
        "infra_environment": {"type": "str", "required": True, "choices": ["lab", "staging", "production"]},
        "infra_domain": {"type": "str", "required": True, "description": ["Domain of O(users).", "More."]},
        "infra_cache_password": {"type": "str", "no_log": True},
    },
    "pgbouncer": {
        "pgbouncer_port": {"type": "int", "default": 6432},
        "pgbouncer_users": {
            "type": "list",
            "elements": "dict",
            "options": {"name": {"type": "str", "required": True}, "password": {"type": "str", "required": True}},
        },
        "pgbouncer_pool_mode": {"type": "str", "choices": ["transaction", "session"]},
    },
    "redis": {"redis_password": {"type": "str", "required": True}},
}
GROUPS = {"all": ["a", "b"], "monitoring": ["a"], "grafana": ["a"], "pooler": ["a", "b"], "migration_runner": ["a"]}
GIVEN: dict[str, t.Any] = {
    "infra_environment": "staging",
    "infra_domain": "staging.example.net",
    "infra_cache_password": SECRET,
    "infra_database_owner_password": SECRET,
}


def evaluate(raw: t.Mapping[str, object], name: str) -> object:
    """As Ansible would: a template of one variable is that variable's value."""
    value = raw[name]
    if isinstance(value, str) and (reference := re.fullmatch(r"{{ (\w+) }}", value)):
        if reference[1] not in raw:
            raise EvaluationError(f"'{reference[1]}' is undefined")
        return evaluate(raw, reference[1])
    return "" if isinstance(value, str) and "lookup" in value else value


def inputs_of(provider: str = "aws", groups: t.Mapping[str, list[str]] | None = None, **given: t.Any) -> Inputs:
    """Two pooler hosts with the same variables; ... leaves one out."""
    groups = GROUPS if groups is None else groups
    raw = {name: value for name, value in {**GIVEN, **given}.items() if value is not ...}
    specs = {**SPECS, "environment": {**SPECS["environment"], "infra_database_owner_password": {"no_log": True}}}
    hosts = {
        name: HostInputs(
            name,
            frozenset(group for group, members in groups.items() if name in members),
            raw,
            lambda variable: evaluate(raw, variable),
        )
        for name in groups["all"]
    }
    return Inputs("staging", provider, specs, groups, hosts)


@pytest.mark.parametrize(
    ("given", "faults"),
    [
        pytest.param({}, [], id="nothing wrong"),
        pytest.param(
            {"pgbouncer_prot": 1},
            [("pgbouncer_prot", "is not a known variable", "Did you mean pgbouncer_port?")],
            id="misspelt after the prefix",
        ),
        pytest.param(
            {"pgbuncer_port": 1},
            [("pgbuncer_port", "is not a known variable", "Did you mean pgbouncer_port?")],
            id="misspelt prefix",
        ),
        pytest.param(
            {"infra_colour": 1},
            [
                (
                    "infra_colour",
                    "is not a known variable",
                    "Remove it; roles/environment/README.md lists the valid names.",
                )
            ],
            id="unknown, resembling nothing",
        ),
        pytest.param({"my_own": 1, "__pgbouncer_unit": 1, "infra_endpoints": {}}, [], id="others' names are theirs"),
        pytest.param(
            {"pgbouncer_port": "many"},
            [("pgbouncer_port", "is 'many', but must be a whole number", "Set it to a whole number.")],
            id="wrong type",
        ),
        pytest.param({"pgbouncer_port": "6432"}, [], id="a number as text is one"),
        pytest.param(
            {"pgbouncer_port": True},
            [("pgbouncer_port", "is True, but must be a whole number", "Set it to a whole number.")],
            id="a boolean is no number",
        ),
        pytest.param(
            {"pgbouncer_users": "app"},
            [("pgbouncer_users", "is 'app', but must be a list", "Set it to a list.")],
            id="text for a list",
        ),
        pytest.param(
            {"pgbouncer_users": [{"name": "app", "pasword": SECRET}]},
            [
                ("pgbouncer_users[0]", 'has an unknown key "pasword"', "Did you mean password?"),
                ("pgbouncer_users[0]", 'has no key "password"', "Add it."),
            ],
            id="misspelt key of a row",
        ),
        pytest.param(
            {"pgbouncer_users": [{"name": "app", "password": ["a", SECRET]}]},
            [("pgbouncer_users[0].password", "must be a string", "Set it to a string.")],
            id="a secret of the wrong type is not shown",
        ),
        pytest.param(
            {"pgbouncer_pool_mode": "transactoin"},
            [
                (
                    "pgbouncer_pool_mode",
                    "is 'transactoin', but must be one of: transaction, session",
                    "Did you mean transaction?",
                )
            ],
            id="misspelt choice",
        ),
        pytest.param(
            {"infra_domain": ...},
            [("infra_domain", "is not set", "Set it in the inventory's group_vars/all: Domain of users.")],
            id="required and not set",
        ),
        pytest.param(
            {"infra_domain": None},
            [("infra_domain", "is empty", "Set infra_domain.")],
            id="required and null",
        ),
        pytest.param(
            {"infra_cache_password": "{{ lookup('ansible.builtin.env', 'NEXOD_CACHE_PASSWORD') }}"},
            [
                (
                    "infra_cache_password",
                    "is empty",
                    "Export NEXOD_CACHE_PASSWORD, or set infra_cache_password in a vault.",
                )
            ],
            id="secret from an unset environment variable",
        ),
        pytest.param(
            {"infra_cache_password": "", "pgbouncer_pool_mode": "{{ infra_cache_password }}"},
            [("infra_cache_password", "is empty", "Set infra_cache_password.")],
            id="what follows from a fault is no second one",
        ),
        pytest.param(
            {"pgbouncer_port": "{{ infra_domian }}"},
            [("pgbouncer_port", "cannot be evaluated: 'infra_domian' is undefined", "Did you mean infra_domain?")],
            id="template of a misspelt variable",
        ),
        pytest.param(
            {"ansible_host": "{{ lookup('env', 'NEXOD_A_ADDRESS') }}"},
            [
                ("host a", "has no address", "Export NEXOD_A_ADDRESS."),
                ("host b", "has no address", "Export NEXOD_A_ADDRESS."),
            ],
            id="no address",
        ),
        pytest.param(
            {"groups": {**GROUPS, "grafana": []}},
            [
                (
                    "group grafana",
                    "has no hosts, but the stage monitoring needs one",
                    "Add a host to it in the inventory's hosts file.",
                )
            ],
            id="a stage's group is empty",
        ),
        pytest.param(
            {"groups": {**GROUPS, "monitring": ["a"]}},
            [("group monitring", "is not used by any stage", "Did you mean monitoring?")],
            id="misspelt group",
        ),
        pytest.param(
            {"groups": {**GROUPS, "cache": ["a"]}},
            [
                (
                    "group cache",
                    "has hosts, but the provider aws manages that layer",
                    "Empty it in the inventory's hosts file, or change infra_provider.",
                )
            ],
            id="a group that the provider keeps",
        ),
        pytest.param({"redis_password": ...}, [], id="nothing is required of another provider's role"),
    ],
)
def test_faults_of_inputs(given: dict[str, t.Any], faults: list[tuple[str, str, str]]) -> None:
    found = cluster(check_inputs(inputs_of(**given)))
    assert [(fault.subject, fault.cause, fault.next_step) for fault in found] == faults
    assert SECRET not in str(found)


def test_one_line_for_all_hosts() -> None:
    (fault,) = cluster(check_inputs(inputs_of(pgbouncer_port="many")))
    assert fault.hosts == ("a", "b")


@pytest.mark.parametrize(
    ("error", "locked"),
    [("Attempting to decrypt but no vault secrets found", True), ("'infra_nowhere' is undefined", False)],
)
def test_only_a_locked_vault_keeps_hosts_from_being_probed(error: str, locked: bool) -> None:
    """Otherwise the problems of hosts are in the same list as those of inputs."""

    def fails(_name: str) -> object:
        raise EvaluationError(error)

    inputs = inputs_of(infra_cache_password="{{ x }}")
    inputs.hosts["a"].__dict__["evaluate"] = fails
    check_inputs(inputs)
    assert bool(inputs.locked) is locked


@pytest.mark.parametrize(
    ("name", "faults"),
    [
        ("ansible_hots", ["Did you mean ansible_host?"]),
        ("ansible_pythn_interpreter", ["Did you mean ansible_python_interpreter?"]),
        ("ansible_ssh_private_keyfile", ["Did you mean ansible_ssh_private_key_file?"]),
        ("ansible_usr", ["Did you mean ansible_user?"]),
        ("ansible_becom", ["Did you mean ansible_become?"]),
        ("ansible_host", []),
        ("ansible_ssh_host", []),
        ("ansible_hostname", []),
        ("ansible_podman_extra_args", []),
        ("ansible_play_hosts", []),
    ],
)
def test_connection_variables_that_ansible_does_not_know(name: str, faults: list[str]) -> None:
    found = cluster(check_inputs(inputs_of(**{name: "10.0.0.1"})))
    assert [fault.next_step for fault in found if fault.subject == name] == faults


@pytest.mark.parametrize(
    ("raw", "value", "cause"),
    [
        pytest.param("x{{ 1 }}y", "x1y", "template characters", id="a constant expression"),
        pytest.param("x{# y #}z", "xz", "template characters", id="a comment"),
        pytest.param("{{ 'a' }}", "a", "template characters", id="a quoted constant"),
        pytest.param("{{ 17 }}", 17, "template characters", id="a number of a template"),
        pytest.param(12345678, 12345678, "YAML has read as a number", id="digits without quotes"),
        pytest.param(True, True, "YAML has read as a number", id="yes without quotes"),
        pytest.param("x{{ 1 }}y", "x{{ 1 }}y", "", id="unsafe text is what was written"),
        pytest.param("{{ infra_prefix }}-x", "a-x", "", id="a template of a variable"),
        pytest.param("{{ lookup('env', 'X') }}", "s3cret-x", "", id="a lookup"),
        pytest.param("p{a}ss%w0rd#{", "p{a}ss%w0rd#{", "", id="braces that are no template"),
    ],
)
def test_a_secret_is_what_was_written(raw: object, value: object, cause: str) -> None:
    inputs = inputs_of(infra_cache_password=raw)
    for host in inputs.hosts.values():
        host.__dict__["evaluate"] = lambda name: value if name == "infra_cache_password" else GIVEN[name]
    found = [fault for fault in cluster(check_inputs(inputs)) if fault.subject == "infra_cache_password"]
    assert [cause in fault.cause for fault in found] == ([True] if cause else [])
    assert cause == "" or len(str(value)) < 3 or str(value) not in str(found)


def test_a_secret_in_a_row_is_what_was_written() -> None:
    (fault,) = cluster(check_inputs(inputs_of(pgbouncer_users=[{"name": "app", "password": 12345678}])))
    assert (fault.subject, "YAML" in fault.cause) == ("pgbouncer_users[0].password", True)


@pytest.mark.parametrize(
    ("hosts", "faults"),
    [
        pytest.param({"a": {"ansible_host": "10.0.0.1"}, "b": {"ansible_host": "10.0.0.2"}}, [], id="two addresses"),
        pytest.param(
            {"a": {"ansible_host": "10.0.0.1"}, "b": {"ansible_host": "10.0.0.1", "ansible_port": 22}},
            ["a b have the same address 10.0.0.1, port 22"],
            id="one address",
        ),
        pytest.param(
            {"a": {"ansible_host": "::1"}, "b": {"ansible_host": "0:0:0:0:0:0:0:1"}},
            ["a b have the same address ::1, port 22"],
            id="one address in two forms",
        ),
        pytest.param({"A": {}, "b": {"ansible_host": "a"}}, ["A b have the same address a, port 22"], id="name"),
        pytest.param(
            {"a": {"ansible_host": "x", "ansible_port": 2201}, "b": {"ansible_host": "x", "ansible_port": 2202}},
            [],
            id="two ports of a gateway",
        ),
        pytest.param(
            {
                "a": {"ansible_host": "10.0.0.1", "ansible_ssh_common_args": "-J one"},
                "b": {"ansible_host": "10.0.0.1", "ansible_ssh_common_args": "-J two"},
            },
            [],
            id="behind two gateways",
        ),
        pytest.param(
            {"a": {"ansible_connection": "local"}, "b": {"ansible_connection": "local", "ansible_host": "a"}},
            [],
            id="not over ssh",
        ),
    ],
)
def test_hosts_have_their_own_address(hosts: dict[str, dict[str, object]], faults: list[str]) -> None:
    known = {name: HostInputs(name, frozenset(), raw, raw.__getitem__) for name, raw in hosts.items()}
    inputs = Inputs("staging", "aws", {}, {"all": list(hosts)}, known)
    assert [f"{' '.join(fault.hosts)} {fault.cause}" for fault in hosts_have_their_own_address(inputs)] == faults


def test_rows_have_their_own_name() -> None:
    inputs = Inputs("staging", "aws", {}, {"all": ["a"]}, {"a": HostInputs("a", frozenset(), {}, lambda _: None)})
    inputs.values["a", "pgbouncer_databases"] = [{"name": "app"}, {"name": "other"}, {"name": "app"}]
    assert [fault.cause for fault in rows_have_their_own_name(inputs)] == ["has 2 rows with the name app"]


@pytest.mark.parametrize(
    ("address", "cause"),
    [
        ("10.0.0.256", "has the address '10.0.0.256', which is not an IP address or a host name"),
        ("https://db.example.com", "has the address 'https://db.example.com', which is not an IP address"),
        ("db.example.com", ""),
        ("10.0.0.1", ""),
        ("fe80::1%eth0", ""),
    ],
)
def test_an_address_is_one(address: str, cause: str) -> None:
    found = [fault.cause for fault in check_inputs(inputs_of(ansible_host=address)) if fault.subject == "host a"]
    assert [said.startswith(cause) for said in found] == ([True] if cause else [])


@pytest.mark.parametrize(
    ("provider", "environ", "files", "subjects"),
    [
        pytest.param("hosts", {}, (), [], id="hosts need none"),
        pytest.param("aws", {}, (), ["AWS credentials"], id="none"),
        pytest.param("aws", {"AWS_ACCESS_KEY_ID": "x"}, (), ["AWS credentials"], id="half"),
        pytest.param(
            "aws", {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": ""}, (), ["AWS credentials"], id="empty"
        ),
        pytest.param("aws", {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y"}, (), [], id="keys"),
        pytest.param("aws", {"AWS_PROFILE": "x"}, (), [], id="profile"),
        pytest.param("aws", {}, ("~/.aws/credentials",), [], id="file"),
        pytest.param("supabase", {}, (), ["Supabase access token"], id="supabase"),
        pytest.param("supabase", {"SUPABASE_ACCESS_TOKEN": "x"}, (), [], id="supabase's token"),
    ],
)
def test_credentials(provider: str, environ: dict[str, str], files: tuple[str, ...], subjects: list[str]) -> None:
    assert [fault.subject for fault in check_credentials(provider, environ, lambda path: path in files)] == subjects


TARGET = {"metric": "api", "quantile": 0.95, "target_seconds": 0.3, "alert_seconds": 0.5}
RULE_SPECS: dict[str, t.Any] = {
    name: {"default": default}
    for name, default in {
        "pgbouncer_pool_size": 40,
        "pgbouncer_max_server_connections": 100,
        "pgbouncer_max_client_connections": 1000,
        "pgbouncer_databases": [{}],
        "pgbouncer_users": [{}, {}],
        "pgbouncer_server_sslmode": "prefer",
        "pgbouncer_server_ca": "",
        "pgbouncer_server_ca_file": "",
        "postgresql_max_connections": 120,
        "postgresql_primary_host": "10.0.0.1",
        "infra_database_pooled_connections": 100,
        "infra_latency_targets": [TARGET],
        "infra_database_owner_user": "owner",
        "infra_database_app_user": "app",
        "infra_database_app_retiring_user": "",
        "infra_database_app_retiring_password": "",
        "infra_database_app_retired_users": [],
        "infra_cache_previous_passwords": [],
        "infra_database_monitor_user": "monitor",
        "prometheus_scrape_interval_seconds": 15,
        "prometheus_scrape_timeout_seconds": 10,
        "prometheus_retention_days": 30,
        "haproxy_longest_call_seconds": 600,
        "haproxy_static_port": 8081,
        "frontend_port": 8081,
        "backend_version": "1.0.0",
        "migration_runner_version": "1.0.0",
        "provider_hosts_api_port": 8000,
        "backend_port": 8000,
        "grafana_package_url": "",
        "grafana_package_path": "/x.deb",
        "grafana_repository": {},
        "grafana_package_checksum": "",
        "alertmanager_webhook_urls": ["http://x"],
        "alertmanager_slack_webhook_url": "",
        "alertmanager_pagerduty_routing_key": "",
        "provider_aws_rds_storage_gb": 100,
        "provider_aws_rds_storage_max_gb": 500,
        "provider_aws_rds_backup_days": 7,
        "provider_aws_rds_replicas": 2,
        "provider_aws_rds_password": "0123456789abcdef",
        "provider_aws_rds_public": False,
        "provider_aws_region": "us-east-1",
        "provider_aws_zones": ["us-east-1a", "us-east-1b"],
        "provider_aws_nat_gateways": 1,
        "provider_aws_cidr": "10.20.0.0/16",
        "provider_aws_peer_networks": [],
        "ecs_service_count": 2,
        "ecs_service_most": 10,
        "provider_aws_cache_tls": True,
        "provider_aws_cache_password": "0123456789abcdef",
        "provider_aws_cdn": True,
        "provider_aws_cdn_domains": [],
        "provider_aws_cdn_certificate": "",
    }.items()
}
RULE_GROUPS = {
    "pooler": ["p1"],
    "database_primary": ["d1"],
    "database_replica": ["d2"],
    "monitoring": ["m1"],
    "edge": ["e1"],
    "api": ["api-1", "api-2"],
    "grafana": ["g1"],
    "migration_runner": ["p1"],
}
AWS = {"environment": "production", "provider": "aws"}


@pytest.mark.parametrize(
    ("values", "changes", "faults"),
    [
        pytest.param({}, {}, [], id="nothing contradicts"),
        pytest.param(
            {"infra_latency_targets": [{**TARGET, "target_seconds": 0.6}]},
            {},
            ["infra_latency_targets[0] has a target (0.6 s) that is not below its alert (0.5 s) for api"],
            id="target above alert",
        ),
        pytest.param(
            {"infra_latency_targets": [{**TARGET, "target_seconds": 0}]},
            {},
            ["infra_latency_targets[0] has the target 0 s"],
            id="target of nothing",
        ),
        pytest.param(
            {"infra_latency_targets": [{**TARGET, "quantile": 95}]},
            {},
            ["infra_latency_targets[0] has the quantile 95"],
            id="quantile in per cent",
        ),
        pytest.param(
            {"infra_latency_targets": [TARGET, TARGET]},
            {},
            ["infra_latency_targets has 2 rows for api at the quantile 0.95"],
            id="a row twice",
        ),
        pytest.param(
            {"infra_latency_targets": [TARGET, {**TARGET, "quantile": 0.99, "target_seconds": 0.2}]},
            {},
            ["infra_latency_targets[1] has a shorter target for api at the quantile 0.99 (0.2 s) than at 0.95 (0.3 s)"],
            id="p99 faster than p95",
        ),
        pytest.param(
            {"infra_database_app_user": "owner"},
            {},
            ["infra_database_app_user is the same role as infra_database_owner_user"],
            id="one role for two",
        ),
        pytest.param(
            {"infra_database_app_retiring_user": "monitor", "infra_database_app_retiring_password": "x"},
            {},
            ["infra_database_monitor_user is the same role as infra_database_app_retiring_user"],
            id="a retiring account that has another purpose",
        ),
        pytest.param(
            {"infra_database_app_retiring_user": "app_a", "infra_database_app_retired_users": ["app", "old"]},
            {},
            [
                "infra_database_app_retired_users lists app, which is infra_database_app_user",
                "infra_database_app_retiring_password is empty, but infra_database_app_retiring_user is set",
            ],
            id="a retiring account without its password, a retired one in use",
        ),
        pytest.param(
            {"infra_cache_previous_passwords": ["fine", "x\n"]},
            {},
            [
                "infra_cache_previous_passwords contains a line break or another control character,"
                " or begins or ends with a space"
            ],
            id="a further password with a line break",
        ),
        pytest.param(
            {"infra_database_owner_password": "x" * 9 + "\n"},
            {},
            [
                "infra_database_owner_password contains a line break or another control character,"
                " or begins or ends with a space"
            ],
            id="password with a line break",
        ),
        pytest.param(
            {"pgbouncer_max_server_connections": 60},
            {"groups": {**RULE_GROUPS, "pooler": ["p1", "p2"]}},
            [
                "pgbouncer_max_server_connections lets 2 pooler hosts open 120 server connections together,"
                " more than the 100 of infra_database_pooled_connections",
                "postgresql_max_connections is 120, less than the 128 needed: pools 120 (on 2 hosts),"
                " migrations 2, exporter 3, superuser's reserve 3",
            ],
            id="two poolers spend too much",
        ),
        pytest.param(
            {"postgresql_max_connections": 87},
            {},
            [
                "postgresql_max_connections is 87, less than the 88 needed: pools 80 (on 1 hosts),"
                " migrations 2, exporter 3, superuser's reserve 3"
            ],
            id="one connection too few",
        ),
        pytest.param({"postgresql_max_connections": 88}, {}, [], id="just enough connections"),
        pytest.param(
            {
                "pgbouncer_databases": [{}, {"server": "replica", "max_connections": "115"}],
                "pgbouncer_processes": 4,
            },
            {},
            [
                "postgresql_max_connections is 120, less than the 121 needed:"
                " pools 115 (on 1 hosts, 4 processes each), exporter 3, superuser's reserve 3"
            ],
            id="a replica's own budget, which is not the primary's",
        ),
        pytest.param(
            {"pgbouncer_pool_size": 101},
            {},
            ["pgbouncer_pool_size is 101, more than the 100 of pgbouncer_max_server_connections"],
            id="a pool larger than all",
        ),
        pytest.param(
            {"pgbouncer_max_client_connections": 10},
            {},
            ["pgbouncer_max_client_connections is 10, less than the 100 of pgbouncer_max_server_connections"],
            id="fewer clients than servers",
        ),
        pytest.param(
            {"pgbouncer_server_sslmode": "verify-full"},
            {},
            ["pgbouncer_server_ca is empty, but pgbouncer_server_sslmode verify-full needs it"],
            id="verify against nothing",
        ),
        pytest.param(
            {},
            {"groups": {**RULE_GROUPS, "database_primary": ["d1", "d3"]}},
            ["group database_primary has 2 hosts, but replicas follow a single primary"],
            id="two primaries",
        ),
        pytest.param(
            {},
            {"groups": {**RULE_GROUPS, "database_replica": ["d1"]}},
            ["host d1 is in both database_primary and database_replica"],
            id="primary and replica",
        ),
        pytest.param(
            {"postgresql_replication_password": ""},
            {},
            ["postgresql_replication_password is empty, and there are replicas"],
            id="replicas without a password",
        ),
        pytest.param(
            {"postgresql_replication_password": ""},
            {"groups": {**RULE_GROUPS, "database_replica": []}},
            [],
            id="no replicas, so no password",
        ),
        pytest.param(
            {"postgresql_primary_host": ""},
            {},
            ["postgresql_primary_host is empty on a replica"],
            id="a replica of nobody",
        ),
        pytest.param(
            {("d2", "postgresql_max_connections"): 90},
            {},
            [
                "postgresql_max_connections is 90 on a replica, less than the primary's 120;"
                " PostgreSQL refuses to start such a replica"
            ],
            id="a replica that is too small",
        ),
        pytest.param(
            {"prometheus_scrape_timeout_seconds": 16},
            {},
            ["prometheus_scrape_timeout_seconds is 16, more than the 15 of prometheus_scrape_interval_seconds"],
            id="timeout above interval",
        ),
        pytest.param(
            {"prometheus_retention_days": 1},
            {},
            ["prometheus_retention_days is 1, less than the 2 that the longest window of a rule needs"],
            id="retention",
        ),
        pytest.param(
            {"haproxy_longest_call_seconds": 30},
            {},
            ["haproxy_longest_call_seconds is 30, but AI calls take 30 s and more"],
            id="calls are cut",
        ),
        pytest.param(
            {},
            {"groups": {**RULE_GROUPS, "api": ["api-1"]}},
            ["group api has one host; replacing it is an outage"],
            id="one instance",
        ),
        pytest.param(
            {"backend_least_serving": 0},
            {"groups": {**RULE_GROUPS, "api": ["api-1"]}},
            [],
            id="one instance, and its outage accepted",
        ),
        pytest.param({}, {"environment": "qa-2"}, [], id="any name"),
        pytest.param({}, {"environment": "../qa"}, ["infra_environment is '../qa'"], id="a name that is a path"),
        pytest.param(
            {"migration_runner_version": "1.1.0"},
            {},
            ["migration_runner_version is 1.1.0, but backend_version is 1.0.0; they must be equal"],
            id="two releases at once",
        ),
        pytest.param({"grafana_package_path": ""}, {}, ["Grafana's package is not set"], id="no Grafana"),
        pytest.param(
            {"grafana_repository": {"url": "https://x"}},
            {},
            ["Grafana's package is set in 2 ways: grafana_package_path, grafana_repository"],
            id="Grafana from two sources",
        ),
        pytest.param(
            {"grafana_package_path": "", "grafana_package_url": "https://x"},
            {},
            ["grafana_package_checksum is empty, but grafana_package_url is set"],
            id="a package without checksum",
        ),
        pytest.param(
            {"alertmanager_webhook_urls": []}, {}, ["alerts are sent to nobody: no receiver is set"], id="no receiver"
        ),
        pytest.param(
            {"provider_aws_rds_public": True},
            AWS,
            ["provider_aws_rds_public is true; production's database must never be reached from the public internet"],
            id="a public database",
        ),
        pytest.param(
            {"provider_aws_rds_storage_max_gb": 100},
            AWS,
            ["provider_aws_rds_storage_max_gb is 100, not above the 100 of provider_aws_rds_storage_gb"],
            id="storage cannot grow",
        ),
        pytest.param(
            {"provider_aws_rds_backup_days": 0},
            AWS,
            [
                "provider_aws_rds_replicas is 2, but RDS creates replicas from backups,"
                " which provider_aws_rds_backup_days disables"
            ],
            id="replicas without backups",
        ),
        pytest.param(
            {"provider_aws_rds_password": ""},
            AWS,
            ["provider_aws_rds_replicas is 2, but RDS creates no replica of a database whose password it keeps itself"],
            id="replicas of a database whose password RDS keeps",
        ),
        pytest.param(
            {"provider_aws_rds_backup_days": 36, "provider_aws_rds_replicas": 16},
            AWS,
            [
                "provider_aws_rds_backup_days is 36; RDS keeps backups for 0 to 35 days",
                "provider_aws_rds_replicas is 16",
            ],
            id="beyond what RDS takes",
        ),
        pytest.param(
            {"provider_aws_zones": ["us-east-1a", "eu-west-1b"]},
            AWS,
            ["provider_aws_zones contains eu-west-1b, which the region us-east-1 does not have"],
            id="a zone of another region",
        ),
        pytest.param(
            {"provider_aws_zones": ["us-east-1a", "us-east-1a"], "provider_aws_nat_gateways": 2},
            AWS,
            [
                "provider_aws_nat_gateways is 2, which is more than the zones (1)",
                "provider_aws_zones names 1 zone, but RDS and the load balancer need two",
            ],
            id="one zone, twice",
        ),
        pytest.param(
            {"provider_aws_cidr": "10.20.0.0/24"},
            AWS,
            [
                "provider_aws_cidr is 10.20.0.0/24;"
                " a VPC needs private addresses, and its subnets a network from /16 to /22"
            ],
            id="a network too small",
        ),
        pytest.param(
            {"provider_aws_cidr": "52.20.0.0/16"},
            AWS,
            [
                "provider_aws_cidr is 52.20.0.0/16;"
                " a VPC needs private addresses, and its subnets a network from /16 to /22"
            ],
            id="addresses of others",
        ),
        pytest.param(
            {"provider_aws_region": "us east 1"},
            AWS,
            ["provider_aws_region is 'us east 1'"],
            id="no name of a region",
        ),
        pytest.param(
            {"provider_aws_cidr": "10.20.0.0/22", "provider_aws_zones": ["us-east-1a", "us-east-1b", "us-east-1c"]},
            AWS,
            ["provider_aws_cidr is 10.20.0.0/22, which has subnets for 2 zones, and provider_aws_zones names 3"],
            id="subnets that would overlap",
        ),
        pytest.param(
            {"provider_aws_peer_networks": ["10.20.7.0/24", "10.8.0.0/16"]},
            AWS,
            ["provider_aws_cidr is 10.20.0.0/16, which overlaps with 10.20.7.0/24 of provider_aws_peer_networks"],
            id="the network of the VPN",
        ),
        pytest.param(
            {"ecs_service_count": 4, "ecs_service_most": 3},
            AWS,
            ["ecs_service_most is 3, below the 4 of ecs_service_count"],
            id="tasks: most below least",
        ),
        pytest.param({"ecs_service_count": 4, "ecs_service_most": 0}, AWS, [], id="tasks that are not scaled"),
        pytest.param(
            {"provider_aws_cache_password": "short@"},
            AWS,
            [
                "infra_cache_password contains characters that ElastiCache refuses",
                "infra_cache_password has 6 characters; ElastiCache takes 16 to 128",
            ],
            id="a password that ElastiCache refuses",
        ),
        pytest.param(
            {"provider_aws_cache_password": "short@", "provider_aws_cache_tls": False}, AWS, [], id="no password at all"
        ),
        pytest.param(
            {"provider_aws_cdn_domains": ["static.example.com"]},
            AWS,
            ["provider_aws_cdn_certificate is empty, but provider_aws_cdn_domains has names"],
            id="a name of the CDN without a certificate",
        ),
        pytest.param(
            {"provider_aws_cdn_certificate": "arn:aws:acm:eu-west-1:1:certificate/x"},
            AWS,
            [
                "provider_aws_cdn_certificate is arn:aws:acm:eu-west-1:1:certificate/x, "
                "which is not the ARN of a certificate of ACM in us-east-1"
            ],
            id="a certificate that CloudFront refuses",
        ),
        pytest.param(
            {"provider_aws_cdn_certificate": "x", "provider_aws_cdn": False}, AWS, [], id="no distribution at all"
        ),
    ],
)
def test_contradictions(values: dict[t.Any, t.Any], changes: dict[str, t.Any], faults: list[str]) -> None:
    inputs = Inputs(
        **{
            "environment": "lab",
            "provider": "hosts",
            "specs": {"any": RULE_SPECS},
            "groups": RULE_GROUPS,
            "hosts": {},
            **changes,
        }
    )
    for key, value in values.items():
        hosts = ["localhost", *(host for members in inputs.groups.values() for host in members)]
        for host, name in [key] if isinstance(key, tuple) else [(host, key) for host in hosts]:
            inputs.values[host, name] = value
    assert [f"{fault.subject} {fault.cause}" for fault in cluster(check_rules(inputs))] == faults


def test_a_file_that_is_not_there() -> None:
    inputs = inputs_of(provider="hosts")
    inputs.values["a", "backend_archive"] = "/there.tar"
    inputs.values["b", "backend_archive"] = "/gone.tar"
    (fault,) = check_files(inputs, lambda path: path == "/there.tar")
    assert (fault.subject, fault.cause, fault.hosts) == (
        "backend_archive",
        "is /gone.tar, which does not exist",
        ("b",),
    )


def test_rules_pass_over_what_is_missing() -> None:
    assert check_rules(Inputs("lab", "hosts", {}, {}, {})) == []


@pytest.mark.parametrize(
    ("raw", "reached"),
    [
        pytest.param({"a": "{{ b }}", "b": 1}, {"a", "b"}, id="one step"),
        pytest.param(
            {"a": "{{ b }}", "b": [{"x": "{{ 'y' ~ c | upper }}"}], "c": 1, "d": 1}, {"a", "b", "c"}, id="two"
        ),
        pytest.param({"a": "{{ b }}", "b": "{{ a }}"}, {"a", "b"}, id="a circle"),
        pytest.param({"a": "b", "b": 1}, {"a"}, id="a text, not a template"),
        pytest.param({"a": "{{ bc }}", "b": 1}, {"a"}, id="a longer name"),
        pytest.param({"a": 7}, {"a"}, id="a number"),
    ],
)
def test_reached_from(raw: dict[str, object], reached: set[str]) -> None:
    assert reached_from("a", raw) == reached


@pytest.mark.parametrize(
    ("value", "asks"),
    [
        ("{{ lookup('ansible.builtin.env', 'X') }}", False),
        ("{{ lookup('password', '/x') | default(q('file', '/y')) }}", False),
        ("{{ lookup('ansible.builtin.url', 'http://x') }}", True),
        ([{"x": "{{ query('amazon.aws.secretsmanager_secret', 'x') }}"}], True),
        ("plain", False),
        (7, False),
    ],
)
def test_asks_somebody(value: object, asks: bool) -> None:
    assert asks_somebody(value) is asks


def test_what_would_ask_somebody_is_not_evaluated() -> None:
    inputs = inputs_of(pgbouncer_port="{{ my_own }}", my_own="{{ lookup('ansible.builtin.url', 'http://x') }}")
    assert check_inputs(inputs) == []
    assert ("a", "pgbouncer_port") not in inputs.values


def test_a_vault_without_its_key() -> None:
    assert "--vault-password-file" in evaluation_next_step("Attempting to decrypt but no vault secrets found", {})


def test_an_undefined_option_is_to_be_set() -> None:
    error = "'backend_version' is undefined"
    assert evaluation_next_step(error, {"backend_cache": {}}, {"backend_version"}) == "Set backend_version."
    assert evaluation_next_step(error, {}) == "Correct its template."


def test_a_secret_is_covered_whoever_wrote_it() -> None:
    (fault,) = scrub([Fault("x", "invalid literal: 'hunter2hunter2'", "Not hunter2.")], {"hunter2", "hunter2hunter2"})
    assert (fault.cause, fault.next_step) == ("invalid literal: '***'", "Not ***.")


def test_rows_there_and_back() -> None:
    faults = [Fault("b", "is", "Do.", ("h",), "f:1"), Fault("a", "is", "Do.")]
    assert from_rows(as_rows(faults)) == faults


def test_what_a_person_reads() -> None:
    faults = [
        Fault("a", "is empty", "Fill it.", ("h1", "h2", "h3", "h4", "h5"), "f.yml:1"),
        Fault("b", "is empty", "Fill it.", ("h1",)),
    ]
    assert render("lab", faults, ["h1", "h2", "h3", "h4", "h5", "h6"], "A note.") == (
        "Cannot deploy lab: 2 problems to fix first. Nothing was changed.\n"
        "\n"
        "  1. a is empty. (h1, h2, h3, h4, h5; f.yml:1)\n"
        "     -> Fill it.\n"
        "\n"
        "  2. b is empty. (h1)\n"
        "     -> Fill it.\n"
        "\n"
        "A note."
    )
