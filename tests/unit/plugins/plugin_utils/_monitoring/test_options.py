# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of the roles prometheus, alertmanager and exporters: what is written from them, and what is refused."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
import yaml

from ansible_collections.nexod.infra.plugins.plugin_utils._monitoring import alertmanager, exporters, prometheus
from ansible_collections.nexod.infra.plugins.plugin_utils._monitoring.settings import holds_secret
from ansible_collections.nexod.infra.plugins.plugin_utils._service import web

ROLES = pathlib.Path(__file__).resolve().parents[5] / "roles"
DEBIAN = {"distribution": {"id": "debian", "codename": "trixie", "name": "Debian GNU/Linux 13 (trixie)"}}


def defaults(role: str, **change: t.Any) -> dict[str, t.Any]:
    """The role's defaults by their names without the prefix, with `change`."""
    own = yaml.safe_load((ROLES / role / "defaults/main.yml").read_text())
    plain = {name.removeprefix(f"{role}_"): value for name, value in own.items()}
    return {**plain, "config_file": "/c.yml", "data_dir": plain.get("data_dir", "/d"), **change}


USERS = {"ops": "correct-horse-battery"}
CLOUDWATCH = {"enabled": ["cloudwatch"], "versions": {"cloudwatch": "0.67.0"}}


def protection(**change: t.Any) -> dict[str, t.Any]:
    """The options that protect a role, with `change`."""
    return {**{f"{part}{end}": "" for part in web.PARTS for end in ("", "_file")}, "web_users": {}, **change}


def exporter_settings(**change: t.Any) -> dict[str, t.Any]:
    known = {
        "node": {"listen_address": "0.0.0.0", "port": 9100},
        "postgres": {"listen_address": "::", "port": "9187", "password": "", "needs_password": True},
        "redis": {"listen_address": "", "port": 9121, "reserved": {"redis.addr": "use the server's options"}},
        "pgbouncer": {"listen_address": "", "port": 9127, "password": "p", "needs_password": True},
        "cloudwatch": {
            "listen_address": "127.0.0.1",
            "port": 9106,
            "archive_only": True,
            "open": True,
            "needs_configuration": True,
            "configuration": {"apiVersion": "v1alpha1"},
        },
    }
    return {"enabled": ["node"], "flags": {}, "memory_max_mb": "128", "exporters": known, **change}


@pytest.mark.parametrize(
    ("change", "found", "words"),
    [
        pytest.param({}, DEBIAN, [], id="the defaults"),
        pytest.param({}, {}, [], id="a host that was checked before"),
        pytest.param(
            {"port": "9191", "retention_days": "30", "memory_max_mb": "64"}, DEBIAN, [], id="numbers given as text"
        ),
        pytest.param(
            {},
            {"distribution": {"id": "ubuntu", "codename": "noble", "name": "Ubuntu 24.04"}},
            ["Ubuntu 24.04"],
            id="os",
        ),
        pytest.param(
            {"listen_address": "1.2.3.4:80"}, DEBIAN, ["prometheus_listen_address"], id="an address with a port"
        ),
        pytest.param({"listen_address": "::1"}, DEBIAN, [], id="IPv6"),
        pytest.param({"external_url": "example.com/x"}, DEBIAN, ["prometheus_external_url"], id="no URL"),
        pytest.param(
            {"dashboard_base_url": "grafana"}, DEBIAN, ["prometheus_dashboard_base_url"], id="no URL of Grafana"
        ),
        pytest.param({"runbook_base_url": "wiki"}, DEBIAN, ["prometheus_runbook_base_url"], id="no URL of runbooks"),
        pytest.param({"playbook_inventory": "inventories/production"}, DEBIAN, [], id="an inventory"),
        pytest.param(
            {"playbook_inventory": "a; rm b"}, DEBIAN, ["prometheus_playbook_inventory"], id="no name of an inventory"
        ),
        pytest.param({"route_prefix": "prometheus"}, DEBIAN, ["begin it with a slash"], id="no path"),
        pytest.param({"retention_size": "20"}, DEBIAN, ["512MB"], id="a size without its unit"),
        pytest.param({"retention_days": 0}, DEBIAN, ["set one of them"], id="kept without an end"),
        pytest.param({"retention_days": 0, "retention_size": "1GB"}, DEBIAN, [], id="kept by size"),
        pytest.param({"flags": {"web.listen-address": ":1"}}, DEBIAN, ["use prometheus_listen_address"], id="own flag"),
        pytest.param({"flags": {"log.level": "debug"}}, DEBIAN, [], id="a flag of the user's"),
        pytest.param({"web_users": {"ops": "short"}}, DEBIAN, ["12 to 72"], id="a short password"),
        pytest.param({"tls_key": "x", "web_users": USERS}, DEBIAN, ["PRIVATE KEY", "each other"], id="half of TLS"),
        pytest.param(
            {
                "scrape_jobs": [
                    {
                        "name": "a",
                        "targets": [{"address": "a:1"}],
                        "basic_auth": {"username": "ops", "password_file": "credentials/exporters"},
                    }
                ]
            },
            DEBIAN,
            ['prometheus_credentials does not contain "exporters"'],
            id="a job's password that is not given",
        ),
        pytest.param(
            {"scrape_configs": [{"job_name": "a", "authorization": {"credentials_file": "credentials/a"}}]},
            DEBIAN,
            ['prometheus_credentials does not contain "a"'],
            id="a credential that is not given",
        ),
        pytest.param(
            {"scrape_configs": [{"job_name": "a"}], "scrape_jobs": [{"name": "a", "targets": [{"address": "a:1"}]}]},
            DEBIAN,
            ['scrape job "a" is defined 2 times'],
            id="a name twice",
        ),
        pytest.param(
            {"scrape_jobs": [{"name": "a", "targets": []}, {"name": "b", "discovery_url": "http://127.0.0.1:9160/"}]},
            DEBIAN,
            ['scrape job "a" has no targets'],
            id="nothing to scrape",
        ),
        pytest.param(
            {"scrape_jobs": [{"name": "a", "aws_sd": {"role": "ec2", "region": "eu-west-1"}}]}, DEBIAN, [], id="EC2"
        ),
        pytest.param(
            {"scrape_jobs": [{"name": "a", "aws_sd": {"role": "ecs", "region": "eu-west-1"}}]},
            {**DEBIAN, "distribution": {**DEBIAN["distribution"], "codename": "trixie"}},
            ["Prometheus 2.53 does not have; use the role ecs_discovery"],
            id="ECS, by a package that does not find it",
        ),
        pytest.param(
            {
                "archive": {"version": "3.13.1"},
                "scrape_jobs": [{"name": "a", "aws_sd": {"role": "rds", "region": "eu-west-1"}}],
            },
            DEBIAN,
            [],
            id="RDS, by an archive that finds it",
        ),
        pytest.param({"scrape_timeout_seconds": 20}, DEBIAN, ["make the timeout at most"], id="timeout above interval"),
        pytest.param({"disabled_alerts": ["No"]}, DEBIAN, ["which is no alert"], id="an alert that is none"),
        pytest.param({"disabled_alerts": ["ApiDown"]}, DEBIAN, [], id="an alert less"),
        pytest.param({"error_alerts": [{"metric": "api"}]}, DEBIAN, ["neither count nor ratio"], id="no limit"),
        pytest.param(
            {"error_alerts": [{"metric": "api", "count": 1, "ratio": 0.1}]},
            DEBIAN,
            ["count and ratio"],
            id="two limits",
        ),
        pytest.param(
            {"error_alerts": [{"metric": "api", "ratio": 5}]}, DEBIAN, ["write 5 % as 0.05"], id="a percentage"
        ),
        pytest.param({"error_alerts": [{"metric": "api", "count": -1}]}, DEBIAN, ["at least 0"], id="below none"),
        pytest.param(
            {"error_alerts": [{"metric": "api", "count": 1, "severity": "page"}] * 2},
            DEBIAN,
            ["2 times"],
            id="a row twice",
        ),
        pytest.param(
            {"error_sources": {"api": {"counter": "c"}}}, DEBIAN, ['no "failed"'], id="a source without failures"
        ),
        pytest.param({"data_dir": "/home/p"}, DEBIAN, ["sandbox"], id="a hidden folder"),
        pytest.param({"data_dir": "p"}, DEBIAN, ["absolute path"], id="a relative folder"),
        pytest.param(
            {},
            {
                **DEBIAN,
                "data_dirs_in_use": ["/var/lib/prometheus"],
                "data_dir": "/var/lib/prometheus",
                "unit": {"file": "/etc/systemd/system/prometheus.service"},
            },
            ["set prometheus_data_dir to /var/lib/prometheus"],
            id="another role's samples",
        ),
        pytest.param(
            {},
            {
                **DEBIAN,
                "data_dirs_in_use": ["/srv/p", "/var/lib/prometheus/metrics2"],
                "data_dir": "/srv/p",
                "unit": {"file": "/etc/nexod/prometheus/current/prometheus.service"},
            },
            ["set prometheus_data_dir to /srv/p"],
            id="back to older samples",
        ),
        pytest.param(
            {},
            {**DEBIAN, "data_dirs_in_use": ["/var/lib/prometheus/metrics2"], "data_dir": "", "unit": None},
            [],
            id="the package's own folder",
        ),
        pytest.param(
            {"ignore_existing_data": True},
            {**DEBIAN, "data_dirs_in_use": ["/var/lib/prometheus"], "data_dir": "", "unit": None},
            [],
            id="left behind on purpose",
        ),
        pytest.param(
            {"scrape_timeout_seconds": 20, "route_prefix": "p"}, DEBIAN, ["a slash", "timeout"], id="all faults at once"
        ),
    ],
)
def test_prometheus_faults(change: dict[str, t.Any], found: dict[str, t.Any], words: list[str]) -> None:
    faults = prometheus.faults(defaults("prometheus", **change), found)
    assert len(faults) == len(words)
    for fault, word in zip(faults, words, strict=True):
        assert word in fault


@pytest.mark.parametrize(
    ("running", "desired", "codename", "refused"),
    [
        pytest.param("3.5.3+ds", {"archive": {"version": "2.53.3"}}, "trixie", True, id="to an older archive"),
        pytest.param("3.5.3", {"archive": {"version": "2.55.1"}}, "trixie", False, id="to the last one that can"),
        pytest.param("3.5.3", {"archive": {"version": "3.0.0"}}, "trixie", False, id="to an older one of its kind"),
        pytest.param("2.53.3", {"archive": {"version": "2.42.0"}}, "trixie", False, id="before the change"),
        pytest.param("3.5.3", {}, "trixie", True, id="to the package of Debian 13, not installed"),
        pytest.param("3.5.3", {"program": "/usr/bin/prometheus"}, "bookworm", True, id="to the package, installed"),
        pytest.param("3.5.3", {}, "forky", False, id="to the package of forky"),
        pytest.param("", {"archive": {"version": "2.42.0"}}, "trixie", False, id="nothing runs"),
    ],
)
def test_samples_that_an_older_version_can_not_read(
    running: str, desired: dict[str, t.Any], codename: str, refused: bool
) -> None:
    folder = "/var/lib/prometheus/metrics2"
    unit = {"file": "/etc/nexod/prometheus/current/prometheus.service", "arguments": ["/opt/p/prometheus"]}
    found = {
        "distribution": {"id": "debian", "codename": codename, "name": "Debian"},
        "versions": {"/opt/p/prometheus": running, "/usr/bin/prometheus": "2.42.0" if codename == "bookworm" else ""},
        "data_dirs_in_use": [folder],
        "data_dir": folder,
        "unit": unit,
    }
    faults = prometheus.faults(defaults("prometheus", **desired), found)
    assert ["can't read" in fault for fault in faults] == ([True] if refused else [])
    elsewhere = prometheus.faults(defaults("prometheus", **desired), {**found, "data_dirs_in_use": []})
    assert elsewhere == []


def test_prometheus_arguments() -> None:
    given = defaults("prometheus", listen_address="::", port="9191", external_url="https://h/p", flags={"-a.b": "true"})
    assert prometheus.arguments(given) == [
        "--config.file=/c.yml",
        "--storage.tsdb.path=/var/lib/prometheus/metrics2",
        "--storage.tsdb.retention.time=15d",
        "--web.external-url=https://h/p",
        "--web.listen-address=[::]:9191",
        "--a.b",
    ]


@pytest.mark.parametrize(
    ("addresses", "configs"),
    [
        pytest.param([], [], id="none"),
        pytest.param(["a:1", "b:2"], [{"static_configs": [{"targets": ["a:1", "b:2"]}]}], id="host and port"),
        pytest.param(
            ["https://a/am"],
            [{"scheme": "https", "path_prefix": "/am", "static_configs": [{"targets": ["a:443"]}]}],
            id="a URL",
        ),
    ],
)
def test_alertmanagers(addresses: list[str], configs: list[dict[str, t.Any]]) -> None:
    assert prometheus.alertmanager_configs(addresses) == configs


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param({}, [], id="the defaults"),
        pytest.param({"repeat_interval_seconds": "60"}, ["make it longer"], id="repeated too soon"),
        pytest.param({"repeat_interval_seconds": "300"}, ["some would be left out"], id="repeated with each look"),
        pytest.param({"repeat_interval_seconds": "301"}, [], id="repeated a second later"),
        pytest.param({"default_receiver": "no"}, ["which is no receiver"], id="no receiver"),
        pytest.param({"receivers": [{"name": "team"}]}, ['receiver "team" is defined 2 times'], id="a name twice"),
        pytest.param({"receivers": [{}]}, ['without "name"'], id="no name"),
        pytest.param({"flags": {"storage.path": "/x"}}, ["it keeps silences"], id="own flag"),
        pytest.param(
            {"receivers": [{"name": "a", "x": [{"password_file": f"{alertmanager.CREDENTIALS}b"}]}]},
            ['alertmanager_credentials does not contain "b"'],
            id="a credential that is not given",
        ),
        pytest.param({"webhook_urls": ["x"]}, ["alertmanager_webhook_urls"], id="no URL"),
        pytest.param({"dead_mans_url": "x"}, ["alertmanager_dead_mans_url"], id="a dead man without a URL"),
        pytest.param({"components": ["db"]}, ['contains "db", which is no component'], id="no component"),
    ],
)
def test_alertmanager_faults(change: dict[str, t.Any], words: list[str]) -> None:
    faults = alertmanager.faults(defaults("alertmanager", **change), DEBIAN)
    assert len(faults) == len(words)
    for fault, word in zip(faults, words, strict=True):
        assert word in fault


def test_own_routes_come_first_and_the_built_in_ones_can_go() -> None:
    own = {"receiver": "team", "matchers": ['a="b"']}
    routes = alertmanager.configuration(defaults("alertmanager", routes=[own]))["route"]["routes"]
    assert [route["receiver"] for route in routes] == ["team", "watchdog", "nobody", "on-call"]
    plain = alertmanager.configuration(defaults("alertmanager", routes=[own], builtin_routing=False))
    assert plain["route"]["routes"] == [own]
    assert "inhibit_rules" not in plain
    assert "watchdog" not in [receiver["name"] for receiver in plain["receivers"]]


def test_the_alert_that_always_fires_goes_to_its_receiver_or_nowhere() -> None:
    for url in ("", "https://example.com/ping"):
        found = alertmanager.configuration(defaults("alertmanager", dead_mans_url=url))
        assert found["route"]["routes"][0]["receiver"] == "watchdog"
        route = found["route"]["routes"][0]
        assert route["matchers"] == ['severity="none"']
        # Were they equal, some messages would be left out.
        assert (route["group_interval"], route["repeat_interval"]) == ("1m", "30s")
        receiver = next(row for row in found["receivers"] if row["name"] == "watchdog")
        assert [row["url"] for row in receiver.get("webhook_configs", [])] == ([url] if url else [])


def test_a_message_says_what_to_do() -> None:
    found = alertmanager.configuration(defaults("alertmanager", slack_webhook_url="https://example.com"))
    slack = found["receivers"][0]["slack_configs"][0]
    for name in ("summary", "description", "look", "fix", "runbook_url"):
        assert f".Annotations.{name} " in slack["text"]


def test_the_port_for_other_instances_is_closed_until_a_flag_opens_it() -> None:
    assert "--cluster.listen-address=" in alertmanager.arguments(defaults("alertmanager"))
    opened = alertmanager.arguments(defaults("alertmanager", flags={"cluster.listen-address": ":9094"}))
    assert "--cluster.listen-address=:9094" in opened
    assert "--cluster.listen-address=" not in opened


@pytest.mark.parametrize(
    ("change", "codename", "words"),
    [
        pytest.param({}, "trixie", [], id="the node exporter alone needs nothing"),
        pytest.param({"enabled": ["postgres"]}, "trixie", ["exporters_postgres_password"], id="no password"),
        pytest.param({"enabled": ["redis"]}, "trixie", [], id="a server without a password"),
        pytest.param({"enabled": ["pgbouncer"]}, "bookworm", ["Debian 12"], id="Debian 12's PgBouncer"),
        pytest.param({"enabled": ["pgbouncer"]}, "trixie", [], id="Debian 13's"),
        pytest.param({"enabled": ["mysql"]}, "trixie", ['exporters_enabled contains "mysql"'], id="none of them"),
        pytest.param(
            {"enabled": ["redis"], "flags": {"redis": {"redis.addr": "x"}}}, "trixie", ["the server's"], id="own flag"
        ),
        pytest.param(
            {"flags": {"node": {"web.listen-address": "x"}}}, "trixie", ["exporters_node_listen_address"], id="address"
        ),
        pytest.param(
            {"flags": {"node": {"web.config.file": "x"}}}, "trixie", ["use exporters_tls_certificate"], id="protection"
        ),
        pytest.param(
            {"enabled": ["redis"], "flags": {"redis": {"basic-auth-password": "x"}}},
            "trixie",
            ["use exporters_web_users"],
            id="a password on the command line",
        ),
        pytest.param({"web": protection(web_users={"ops": "short"})}, "trixie", ["12 to 72"], id="a short password"),
        pytest.param(
            {"enabled": ["redis"], "web": protection(web_users=USERS)},
            "bookworm",
            ["the Redis exporter of Debian 12"],
            id="an exporter without passwords",
        ),
        pytest.param({"web": protection(web_users=USERS)}, "bookworm", [], id="without that exporter"),
        pytest.param({"enabled": ["redis"], "web": protection(web_users=USERS)}, "trixie", [], id="a newer one"),
        pytest.param(
            {"enabled": ["cloudwatch"]}, "trixie", ["exporters_archives.cloudwatch has no version"], id="no package"
        ),
        pytest.param(CLOUDWATCH, "bookworm", [], id="from its archive"),
        pytest.param(
            {**CLOUDWATCH, "web": protection(web_users=USERS)}, "trixie", [], id="open, on the loopback address"
        ),
    ],
)
def test_exporter_faults(change: dict[str, t.Any], codename: str, words: list[str]) -> None:
    found = {"distribution": {**DEBIAN["distribution"], "codename": codename}}
    faults = exporters.faults(exporter_settings(**change), found)
    assert len(faults) == len(words)
    for fault, word in zip(faults, words, strict=True):
        assert word in fault


@pytest.mark.parametrize(
    ("own", "web", "words"),
    [
        pytest.param({"configuration": {}}, {}, ["exporters_cloudwatch_configuration is empty"], id="nothing to read"),
        pytest.param({"access_key_id": "AKIA"}, {}, ["secret_access_key need each other"], id="half a key"),
        pytest.param({"access_key_id": "AKIA", "secret_access_key": "s"}, {}, [], id="a whole one"),
        pytest.param({"listen_address": "0.0.0.0"}, {}, [], id="open like the others"),
        pytest.param(
            {"listen_address": "0.0.0.0"}, USERS, ["exporters_cloudwatch_listen_address to 127.0.0.1"], id="left open"
        ),
    ],
)
def test_faults_of_the_exporter_for_cloudwatch(own: dict[str, t.Any], web: dict[str, str], words: list[str]) -> None:
    settings = exporter_settings(**CLOUDWATCH, web=protection(web_users=web))
    settings["exporters"]["cloudwatch"].update(own)
    faults = exporters.faults(settings, DEBIAN)
    assert len(faults) == len(words), faults
    for fault, word in zip(faults, words, strict=True):
        assert word in fault


@pytest.mark.parametrize(
    ("document", "secret"),
    [
        pytest.param({"a": [{"password": "x"}]}, True, id="a password"),
        pytest.param({"password_file": "x", "password": ""}, False, id="a file"),
        pytest.param({"url": "http://me:x@host/"}, True, id="in a URL"),
        pytest.param({"url": "http://host:80/"}, False, id="a port is none"),
    ],
)
def test_holds_secret(document: t.Any, secret: bool) -> None:
    assert holds_secret(document) is secret
