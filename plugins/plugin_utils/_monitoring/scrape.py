# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Prometheus scrapes, derived from the jobs of the role prometheus. Pure functions."""

from __future__ import annotations

import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._monitoring.rules import Document, Row

#: Tasks of ECS are replaced within a minute; the default of Prometheus would find them after one.
DISCOVERY_INTERVAL = "15s"


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
) -> list[Document]:
    """A scrape target for each host: its address and port, known by the host's name in the inventory, with `labels`."""
    found = []
    for host in hosts:
        address = str(hostvars[host].get("ansible_host") or host)
        shown = f"[{address}]" if ":" in address and not address.startswith("[") else address
        number_of_port = port_of(host, hostvars[host], port, default)
        found.append({"address": f"{shown}:{number_of_port}", "labels": {"instance": host, **(labels or {})}})
    return found


def _given(options: Row | None) -> Document:
    """Options without those that an argument specification has filled in with nothing."""
    return {name: value for name, value in (options or {}).items() if value}


def scrape_config(job: Row) -> Document:
    """One entry of `scrape_configs`.

    A job with `probe` asks the blackbox exporter at `probe.exporter` to probe each target with `probe.module`; one with
    `discovery_url` gets its targets from there.
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
    if job.get("targets") or not url:
        config["static_configs"] = [
            {"targets": [target["address"]], **({"labels": dict(target["labels"])} if target.get("labels") else {})}
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
    return config
