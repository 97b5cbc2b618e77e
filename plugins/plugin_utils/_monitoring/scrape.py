# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Prometheus scrapes, derived from the jobs of the role prometheus. Pure functions."""

from __future__ import annotations

import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._monitoring.rules import Document, Row

#: Tasks of ECS are replaced within a minute; the default of Prometheus would find them after one.
DISCOVERY_INTERVAL = "15s"
#: Of AWS' own APIs, which are limited in calls for the whole account.
AWS_INTERVAL_SECONDS = 60
#: The first version of Prometheus that finds targets of a role (its changelog). Instances of EC2 it has always found.
AWS_SINCE: t.Final[dict[str, tuple[int, int]]] = {
    "ec2": (2, 42),
    "ecs": (3, 8),
    "msk": (3, 10),
    "elasticache": (3, 11),
    "rds": (3, 11),
}
#: What follows the name of an instance where the target only counts its keys.
OF_KEYS: t.Final = "/keys"
#: The label by which a target is known.
AWS_NAMES: t.Final[dict[str, str]] = {
    "ec2": "__meta_ec2_tag_Name",
    "ecs": "__meta_ecs_task_arn",
    "msk": "__meta_msk_broker_id",
    "elasticache": "__meta_elasticache_cache_cluster_cache_cluster_id",
    "rds": "__meta_rds_instance_identifier",
}


def port_of(host: str, variables: Row, port: int | str | Row, default: int | str | None) -> int:
    """The host's port: the one of all hosts, its entry in a mapping, or the value of the variable that `port` names.

    Raises ValueError where the host has none.
    """
    found: t.Any
    if isinstance(port, t.Mapping):
        found = port.get(host, default)
    elif isinstance(port, str) and not port.isdigit():
        found = variables.get(port, default)
    else:
        found = port
    if found is None:
        where = f'the variable "{port}"' if isinstance(port, str) else "an entry"
        raise ValueError(f"Cannot write the scrape target of {host}: it has no port; give it {where}, or a default")
    return int(found)


def targets(
    hosts: t.Iterable[str],
    hostvars: t.Mapping[str, Row],
    port: int | str | Row,
    default: int | str | None = None,
    labels: t.Mapping[str, str] | None = None,
    *,
    processes: int | str = 1,
) -> list[Document]:
    """A scrape target for each host: its address and port, known by the host's name in the inventory, with `labels`.

    Of a host with several `processes`, a number or the name of a variable, one for each, on ports that follow.
    """
    found = []
    for host in hosts:
        address = str(hostvars[host].get("ansible_host") or host)
        shown = f"[{address}]" if ":" in address and not address.startswith("[") else address
        number_of_port = port_of(host, hostvars[host], port, default)
        named = isinstance(processes, str) and not processes.isdigit()
        count = int(hostvars[host].get(str(processes), 1) if named else processes)
        for process in range(count):
            own = {"instance": host, **({"process": str(process + 1)} if count > 1 else {}), **(labels or {})}
            found.append({"address": f"{shown}:{number_of_port + process}", "labels": own})
    return found


def _given(options: Row | None) -> Document:
    """Options without those that an argument specification has filled in with nothing."""
    return {name: value for name, value in (options or {}).items() if value}


def aws_sd(given: Row) -> Document:
    """What Prometheus asks AWS for. Credentials are those of the host's role; the region is always given.

    Instances of EC2 are found by the older key, which every version has.
    """
    role = given["role"]
    filters = [{"name": "instance-state-name", "values": ["running"]}] if role == "ec2" else []
    filters += [{"name": f"tag:{name}", "values": [str(value)]} for name, value in (given.get("tags") or {}).items()]
    optional = {
        "role": role if role != "ec2" else None,
        "region": given["region"],
        "port": int(given["port"]) if given.get("port") else None,
        "role_arn": given.get("role_arn"),
        "clusters": list(given.get("clusters") or ()),
        "refresh_interval": f"{given.get('refresh_seconds') or AWS_INTERVAL_SECONDS}s",
        "filters": filters,
    }
    name = "ec2_sd_configs" if role == "ec2" else "aws_sd_configs"
    # An instance without the tag Name keeps its address.
    relabel = {"source_labels": [AWS_NAMES[role]], "regex": "(.+)", "target_label": "instance"}
    return {name: [{key: value for key, value in optional.items() if value}], "relabel_configs": [relabel]}


def aws_faults(job: Row, version: tuple[int, int] | None) -> list[str]:
    """What is wrong with the discovery of a job; `version` is that of Prometheus, where it is known."""
    given = _given(job.get("aws_sd"))
    if not given:
        return []
    role, where = given["role"], f'scrape job "{job["name"]}" has aws_sd'
    found = [
        f"{where} and {other}; give it one of them" for other in ("targets", "discovery_url", "probe") if job.get(other)
    ]
    if given.get("tags") and role != "ec2":
        found.append(f"{where} with tags, by which only instances of EC2 are found; name clusters")
    if given.get("clusters") and role == "ec2":
        found.append(f"{where} with clusters, which instances of EC2 have none of; give tags")
    since = AWS_SINCE[role]
    if version and version < since:
        first, own = (f"{one[0]}.{one[1]}" for one in (since, version))
        instead = "use the role ecs_discovery, and its URL as discovery_url" if role == "ecs" else "list its targets"
        found.append(
            f"{where} with the role {role}, which Prometheus {own} does not have; {instead}, "
            f"or install {first} or later (prometheus_archive)"
        )
    return found


def labels_of(target: Row) -> dict[str, str]:
    """The labels of a target; that of the exporter's server becomes a parameter of the URL."""
    server = {"__param_target": str(target["server"])} if target.get("server") else {}
    return {**dict(target.get("labels") or {}), **server}


def keys_config(keys: Row) -> Document:
    """What makes a job one that counts keys of Redis and reads nothing else of its exporter.

    Its own `up` is none of the instance: it is asked seldom, so it would be 1 for minutes after the host is gone.
    """

    def instance(regex: str, replacement: str) -> Document:
        found = {"source_labels": ["instance"], "regex": regex, "target_label": "instance"}
        return {**found, "replacement": replacement}

    return {
        "metrics_path": "/scrape",
        "params": {"count-keys": [",".join(keys["patterns"])]},
        "relabel_configs": [instance("(.+)", f"$1{OF_KEYS}")],
        "metric_relabel_configs": [
            {"source_labels": ["__name__"], "regex": "redis_keys_count", "action": "keep"},
            {"target_label": "job", "replacement": keys["job"]},
            instance(f"(.+){OF_KEYS}", "$1"),
        ],
    }


def scrape_config(job: Row) -> Document:
    """One entry of `scrape_configs`.

    A job with `probe` asks the blackbox exporter at `probe.exporter` to probe each target with `probe.module`, and one
    with `keys` asks a Redis exporter for the number of keys of `keys.patterns`. One with `discovery_url` gets its
    targets from there, and one with `aws_sd` from AWS.
    """
    config: Document = {"job_name": job["name"]}
    optional = {
        "scrape_interval": f"{job['interval_seconds']}s" if job.get("interval_seconds") else None,
        "scrape_timeout": f"{job['timeout_seconds']}s" if job.get("timeout_seconds") else None,
        "metrics_path": job.get("metrics_path"),
        "scheme": job.get("scheme"),
        **{name: _given(job.get(name)) for name in ("basic_auth", "tls_config")},
        # Only from Prometheus 3 on: earlier ones refuse the key, so it is there only where a job asks for it.
        "fallback_scrape_protocol": job.get("fallback_scrape_protocol"),
    }
    config.update({key: value for key, value in optional.items() if value})
    # Targets are written out rather than read through file_sd: a reload does not make an unchanged file_sd look at
    # its files again, and its watch stays on the folder that the swap has left behind.
    if url := job.get("discovery_url"):
        config["http_sd_configs"] = [{"url": url, "refresh_interval": DISCOVERY_INTERVAL}]
    if given := _given(job.get("aws_sd")):
        config.update(aws_sd(given))
    elif job.get("targets") or not url:
        config["static_configs"] = [
            {"targets": [target["address"]], **({"labels": found} if (found := labels_of(target)) else {})}
            for target in job.get("targets") or []
        ]
    if probe := job.get("probe"):
        config["metrics_path"] = "/probe"
        config["params"] = {"module": [probe["module"]]}
        config["relabel_configs"] = [
            {"source_labels": ["__address__"], "target_label": "__param_target"},
            {"source_labels": ["__param_target"], "target_label": "instance"},
            {"target_label": "__address__", "replacement": probe["exporter"]},
        ]
    if keys := job.get("keys"):
        config.update(keys_config(keys))
    return config
