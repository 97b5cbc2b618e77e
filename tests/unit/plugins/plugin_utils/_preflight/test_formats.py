"""Texts that name something, and those that only look like it."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.plugin_utils._preflight.formats import BY_NAME, NEVER, check_of
from ansible_collections.nexod.infra.plugins.plugin_utils._preflight.specs import misfits

GOOD: dict[str, list[str]] = {
    "alertmanager_slack_webhook_url": ["https://hooks.example.com/a?b=c", "http://10.0.0.1:9", "http://[::1]:9/x", ""],
    "alertmanager_webhook_urls": ["http://alerts"],
    "grafana_package_url": ["https://x/y.deb", "file:///srv/grafana.deb", "ftp://x/y.deb"],
    "caches_cdn.endpoint_url": ["http://127.0.0.1:5555"],
    "caches_redis.url": ["rediss://user:p%40ss@cache:6379/0", "unix:///run/redis.sock"],
    "postgresql_networks": ["10.0.0.0/8", "samenet", "2001:db8::/32", "192.0.2.7/32"],
    "lab_hosts_subnet": ["10.213.77.0/24"],
    "prometheus_listen_address": ["0.0.0.0", "::", "127.0.0.1", "*"],
    "haproxy_listen_addresses": ["*", "db-1.example.com"],
    "exporters_redis_server_host": ["redis-1", "10.0.0.1", "cache.example.com.", "a_b"],
    "pgbouncer_databases.host": ["/run/postgresql", "db-1", "db-1,db-2"],
    "infra_domain": ["app.example.com", "localhost", "10.213.77.61"],
    "infra_database_name": ["app", "_a", "app-1", "App$1"],
    "infra_database_app_user": ["postgres.abcdef", "app@server"],
    "pgbouncer_databases.name": ["*"],
    "haproxy_check_host": ["anything goes"],
    "migration_runner_lock_timeout": ["200ms", "5min", "0", "1.5h"],
    "haproxy_timeouts.connect": ["5s", "500ms", "10"],
    "haproxy_check_status": ["200", "200-399", "200,204"],
    "prometheus_retention_size": ["20GB", ""],
    "pgbouncer_socket_mode": ["0777", "770"],
    "provider_aws_permissions_boundary": ["arn:aws:iam::123456789012:policy/limits", "arn:aws:iam::aws:policy/a/b", ""],
}
BAD: dict[str, list[str]] = {
    "alertmanager_slack_webhook_url": [
        "htp:/",
        "http:/x",
        "http://",
        "hooks.example.com",
        "http://a b",
        "http://x:99999",
    ],
    "alertmanager_webhook_urls": ["ftp://x", "http://10.0.0.256/"],
    "grafana_package_url": ["file:grafana.deb", "s3://x/y"],
    "caches_cdn.endpoint_url": ["127.0.0.1:5555"],
    "caches_redis.url": ["http://cache", "redis://user:p@ss@cache", "redis://cache?timeout=1", "cache:6379"],
    "postgresql_networks": ["10.0.0.0/42", "10.0.0.0/255.0.0.0", "10.0.0.0", "samnet", "10.0.0/8", "::/129"],
    "lab_hosts_subnet": ["10.213.77.0/33", "samenet"],
    "prometheus_listen_address": ["0.0.0.0:9090", "10.0.0.256", "http://x", "1.2.3"],
    "haproxy_listen_addresses": ["a b", "-x"],
    "exporters_redis_server_host": ["redis:6379", "redis://x", "10.0.0.999"],
    "pgbouncer_databases.host": ["http://db-1", "db-1,,db-2"],
    "infra_domain": ["https://app.example.com", "app.example.com/x", "app.example.com:80", "bücher.example"],
    "infra_database_name": ["größe", "my app", "1app", "a;b", "a" * 64, "a'b", 'a"b', "a/b"],
    "infra_database_app_user": ["müller"],
    "migration_runner_lock_timeout": ["-5s", "5 parsecs", "soon"],
    "haproxy_timeouts.connect": ["-5s", "5min", "1.5s"],
    "haproxy_check_status": ["2xx", "900"],
    "prometheus_retention_size": ["-20GB", "20 GB", "20"],
    "provider_aws_permissions_boundary": ["limits", "arn:aws:iam::123456789012:role/limits", "arn:aws:iam::1:policy/x"],
    "pgbouncer_socket_mode": ["0888", "rwx"],
}


@pytest.mark.parametrize(("option", "value"), [(option, value) for option, values in GOOD.items() for value in values])
def test_good(option: str, value: str) -> None:
    assert misfits(value, {"type": "str"}, option=option) == []


@pytest.mark.parametrize(("option", "value"), [(option, value) for option, values in BAD.items() for value in values])
def test_bad(option: str, value: str) -> None:
    (fault,) = misfits(value, {"type": "str"}, option=option)
    assert fault.cause.startswith(f"is {value!r}, but must be ") or len(value) > 50


def test_a_number_in_place_of_a_text_is_checked_as_one() -> None:
    assert misfits(-5, {"type": "str"}, option="caches_deadline") != []
    assert misfits(300, {"type": "str"}, option="caches_deadline") == []


def test_a_secret_of_the_wrong_form_is_not_shown() -> None:
    (fault,) = misfits("htp:/s3cret", {"type": "str", "no_log": True}, option="alertmanager_slack_webhook_url")
    assert "s3cret" not in fault.cause + fault.next_step


@pytest.mark.parametrize(
    ("value", "spec", "option", "where"),
    [
        (["http://a", "htp:/"], {"type": "list", "elements": "str"}, "verify_urls", "[1]"),
        (
            [{"host": "a"}, {"host": "http://b"}],
            {"type": "list", "elements": "dict", "options": {"host": {"type": "str"}}},
            "haproxy_servers",
            "[1].host",
        ),
        ({"host": "a:1"}, {"type": "dict", "options": {"host": {"type": "str"}}}, "caches_redis", ".host"),
    ],
)
def test_lists_and_mappings_are_checked_below(value: t.Any, spec: dict[str, t.Any], option: str, where: str) -> None:
    assert [fault.where for fault in misfits(value, spec, option=option)] == [where]


def test_an_option_of_no_known_form_is_free() -> None:
    assert [check_of(name) for name in ("pgbouncer_pool_mode", "migration_runner_url_env", "lab_hosts_network")] == [
        None
    ] * 3
    assert not NEVER & BY_NAME.keys()
