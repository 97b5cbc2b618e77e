# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Prometheus scrapes, from jobs."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.plugin_utils._monitoring import scrape as monitoring


@pytest.mark.parametrize(
    ("hosts", "hostvars", "addresses"),
    [
        pytest.param([], {}, [], id="an empty group"),
        pytest.param(["a"], {"a": {"ansible_host": "10.0.0.1"}}, ["10.0.0.1:80"], id="by its address"),
        pytest.param(["a"], {"a": {}}, ["a:80"], id="by its name where it has no address"),
        pytest.param(["a"], {"a": {"ansible_host": ""}}, ["a:80"], id="an empty address is none"),
    ],
)
def test_targets(hosts: list[str], hostvars: dict[str, dict[str, str]], addresses: list[str]) -> None:
    found = monitoring.targets(hosts, hostvars, 80)
    assert [target["address"] for target in found] == addresses
    assert [target["labels"]["instance"] for target in found] == hosts


@pytest.mark.parametrize(
    ("job", "config"),
    [
        pytest.param(
            {"name": "a", "targets": []}, {"job_name": "a", "static_configs": []}, id="nothing to scrape, nothing said"
        ),
        pytest.param(
            {"name": "a", "targets": [{"address": "h:1", "labels": {"instance": "h"}}], "interval_seconds": 5},
            {
                "job_name": "a",
                "scrape_interval": "5s",
                "static_configs": [{"targets": ["h:1"], "labels": {"instance": "h"}}],
            },
            id="an interval of its own",
        ),
        pytest.param(
            {"name": "a", "targets": [{"address": "http://h"}], "probe": {"exporter": "b:1", "module": "m"}},
            {
                "job_name": "a",
                "metrics_path": "/probe",
                "params": {"module": ["m"]},
                "static_configs": [{"targets": ["http://h"]}],
                "relabel_configs": [
                    {"source_labels": ["__address__"], "target_label": "__param_target"},
                    {"source_labels": ["__param_target"], "target_label": "instance"},
                    {"target_label": "__address__", "replacement": "b:1"},
                ],
            },
            id="a probe",
        ),
        pytest.param(
            {
                "name": "redis_keys",
                "targets": [{"address": "h:1", "labels": {"instance": "h"}, "server": "redis://h:2"}],
                "interval_seconds": 120,
                "timeout_seconds": 60,
                "keys": {"patterns": ["db0=session:*", "db0=cart:*"], "job": "redis"},
            },
            {
                "job_name": "redis_keys",
                "scrape_interval": "120s",
                "scrape_timeout": "60s",
                "metrics_path": "/scrape",
                "params": {"count-keys": ["db0=session:*,db0=cart:*"]},
                "static_configs": [
                    {"targets": ["h:1"], "labels": {"instance": "h", "__param_target": "redis://h:2"}},
                ],
                "relabel_configs": [
                    {
                        "source_labels": ["instance"],
                        "regex": "(.+)",
                        "target_label": "instance",
                        "replacement": "$1/keys",
                    },
                ],
                "metric_relabel_configs": [
                    {"source_labels": ["__name__"], "regex": "redis_keys_count", "action": "keep"},
                    {"target_label": "job", "replacement": "redis"},
                    {
                        "source_labels": ["instance"],
                        "regex": "(.+)/keys",
                        "target_label": "instance",
                        "replacement": "$1",
                    },
                ],
            },
            id="keys of Redis",
        ),
        pytest.param(
            {"name": "api", "discovery_url": "http://127.0.0.1:9160/"},
            {
                "job_name": "api",
                "http_sd_configs": [{"url": "http://127.0.0.1:9160/", "refresh_interval": "15s"}],
            },
            id="discovered",
        ),
        pytest.param(
            {
                "name": "node",
                "aws_sd": {
                    "role": "ec2",
                    "region": "eu-west-1",
                    "port": "9100",
                    "tags": {"nexod:environment": "staging"},
                },
            },
            {
                "job_name": "node",
                "ec2_sd_configs": [
                    {
                        "region": "eu-west-1",
                        "port": 9100,
                        "refresh_interval": "60s",
                        "filters": [
                            {"name": "instance-state-name", "values": ["running"]},
                            {"name": "tag:nexod:environment", "values": ["staging"]},
                        ],
                    }
                ],
                "relabel_configs": [
                    {"source_labels": ["__meta_ec2_tag_Name"], "regex": "(.+)", "target_label": "instance"}
                ],
            },
            id="instances",
        ),
        pytest.param(
            {
                "name": "api",
                # As an argument specification leaves it.
                "aws_sd": {
                    "role": "ecs",
                    "region": "eu-west-1",
                    "port": 8000,
                    "clusters": ["arn:aws:ecs:eu-west-1:1:cluster/a"],
                    "refresh_seconds": 20,
                    "tags": None,
                    "role_arn": None,
                },
            },
            {
                "job_name": "api",
                "aws_sd_configs": [
                    {
                        "role": "ecs",
                        "region": "eu-west-1",
                        "port": 8000,
                        "clusters": ["arn:aws:ecs:eu-west-1:1:cluster/a"],
                        "refresh_interval": "20s",
                    }
                ],
                "relabel_configs": [
                    {"source_labels": ["__meta_ecs_task_arn"], "regex": "(.+)", "target_label": "instance"}
                ],
            },
            id="tasks",
        ),
        pytest.param(
            {
                "name": "node",
                "targets": [{"address": "h:1"}],
                "scheme": "https",
                "basic_auth": {"username": "prometheus", "password_file": "credentials/exporters"},
                # As an argument specification leaves it.
                "tls_config": {"ca_file": "credentials/ca", "cert_file": None, "key_file": None, "server_name": None},
            },
            {
                "job_name": "node",
                "scheme": "https",
                "basic_auth": {"username": "prometheus", "password_file": "credentials/exporters"},
                "tls_config": {"ca_file": "credentials/ca"},
                "static_configs": [{"targets": ["h:1"]}],
            },
            id="protected",
        ),
    ],
)
def test_scrape_config(job: dict[str, t.Any], config: dict[str, t.Any]) -> None:
    assert monitoring.scrape_config(job) == config


def test_targets_have_further_labels() -> None:
    found = monitoring.targets(["db-2"], {"db-2": {}}, 9187, labels={"role": "replica"})
    assert found == [{"address": "db-2:9187", "labels": {"instance": "db-2", "role": "replica"}}]


@pytest.mark.parametrize(
    ("variables", "processes", "expected"),
    [
        pytest.param({}, "pooled", [("p:9127", {})], id="without the variable, one"),
        pytest.param({"pooled": "1"}, "pooled", [("p:9127", {})], id="one"),
        pytest.param(
            {"pooled": "3"},
            "pooled",
            [(f"p:{9126 + n}", {"process": str(n)}) for n in (1, 2, 3)],
            id="each of several, on the ports after it",
        ),
        pytest.param({}, 2, [("p:9127", {"process": "1"}), ("p:9128", {"process": "2"})], id="a number"),
    ],
)
def test_each_process_is_a_target(
    variables: dict[str, str], processes: int | str, expected: list[tuple[str, dict[str, str]]]
) -> None:
    found = monitoring.targets(["p"], {"p": variables}, 9127, processes=processes)
    assert found == [{"address": place, "labels": {"instance": "p", **labels}} for place, labels in expected]


@pytest.mark.parametrize(
    ("given", "version", "words"),
    [
        ({"role": "ec2"}, (2, 42), []),
        ({"role": "ecs"}, (3, 8), []),
        ({"role": "ecs"}, None, []),
        ({"role": "ecs"}, (2, 53), ["Prometheus 2.53 does not have; use the role ecs_discovery"]),
        ({"role": "msk"}, (3, 9), ["or install 3.10 or later"]),
        ({"role": "rds"}, (3, 5), ["Prometheus 3.5 does not have; list its targets, or install 3.11 or later"]),
        ({"role": "elasticache"}, (3, 10), ["or install 3.11 or later"]),
        ({"role": "ecs", "tags": {"a": "b"}}, (3, 8), ["name clusters"]),
        ({"role": "ec2", "clusters": ["c"]}, (3, 8), ["give tags"]),
        ({}, (2, 42), []),
    ],
)
def test_what_a_version_does_not_find(
    given: dict[str, t.Any], version: tuple[int, int] | None, words: list[str]
) -> None:
    job = {"name": "a", "aws_sd": {**given, "region": "eu-west-1"} if given else None}
    faults = monitoring.aws_faults(job, version)
    assert len(faults) == len(words), faults
    for fault, word in zip(faults, words, strict=True):
        assert word in fault


@pytest.mark.parametrize("other", ["targets", "discovery_url", "probe"])
def test_one_source_of_targets(other: str) -> None:
    job = {"name": "a", "aws_sd": {"role": "ec2", "region": "r"}, other: [1]}
    assert monitoring.aws_faults(job, (3, 14)) == [f'scrape job "a" has aws_sd and {other}; give it one of them']
