# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prometheus's command line and configuration from the options of the role prometheus, and their faults."""

from __future__ import annotations

import pathlib
import re
import typing as t
import urllib.parse

from ansible_collections.nexod.infra.plugins.module_utils._monitoring.rules import (
    WINDOW,
    Document,
    Row,
    number,
    percentile,
    typed,
)
from ansible_collections.nexod.infra.plugins.plugin_utils._monitoring.rule_file import Tables, alert_names
from ansible_collections.nexod.infra.plugins.plugin_utils._monitoring.scrape import aws_faults, scrape_config
from ansible_collections.nexod.infra.plugins.plugin_utils._monitoring.settings import (
    Settings,
    credential_faults,
    doubled,
    file_name_faults,
    unnamed,
)
from ansible_collections.nexod.infra.plugins.plugin_utils._service import web
from ansible_collections.nexod.infra.plugins.plugin_utils._service.addresses import (
    address_fault,
    prefix_fault,
    socket_address,
    url_fault,
)
from ansible_collections.nexod.infra.plugins.plugin_utils._service.distribution import distribution_fault
from ansible_collections.nexod.infra.plugins.plugin_utils._service.flags import reserved, words

#: Relative to the configuration: Prometheus and promtool resolve it, so that promtool checks the staged set's files.
CREDENTIALS = "credentials/"
#: Flags that the role sets, each with what to use in its place.
FLAGS: t.Final[dict[str, str]] = {
    "agent": "it runs Prometheus as a server",
    "config.file": "use prometheus_scrape_configs, prometheus_rule_groups and the like",
    "help": "it is not for a service",
    "storage.tsdb.path": "use prometheus_data_dir",
    "storage.tsdb.retention": "use prometheus_retention_days",
    "storage.tsdb.retention.size": "use prometheus_retention_size",
    "storage.tsdb.retention.time": "use prometheus_retention_days",
    "version": "it is not for a service",
    "web.config.file": "use prometheus_tls_certificate and prometheus_web_users",
    "web.external-url": "use prometheus_external_url",
    "web.listen-address": "use prometheus_listen_address and prometheus_port",
    "web.route-prefix": "use prometheus_route_prefix",
}
#: From this version on, samples are written that versions before the other one can't read.
OTHER_SAMPLES, OLDEST_READER = (3, 0), (2, 55)
#: What a package that is not installed yet would install.
DISTRIBUTED: t.Final = {"bookworm": "2.42", "trixie": "2.53", "forky": "3.5"}
#: Folders that the unit's sandbox hides or empties.
HIDDEN = ("/dev", "/home", "/proc", "/root", "/run", "/sys", "/tmp", "/var/tmp")  # noqa: S108 none is used


def arguments(settings: Settings) -> list[str]:
    """Prometheus's command line without the program."""
    own: Document = {
        "config.file": settings["config_file"],
        "storage.tsdb.path": settings["data_dir"],
        # The flag is right for every version from 2.42 on; those of Debian refuse the form in the configuration file.
        **(
            {"storage.tsdb.retention.time": f"{settings['retention_days']}d"} if int(settings["retention_days"]) else {}
        ),
        **({"storage.tsdb.retention.size": settings["retention_size"]} if settings["retention_size"] else {}),
        **({"web.external-url": settings["external_url"]} if settings["external_url"] else {}),
        **({"web.route-prefix": settings["route_prefix"]} if settings["route_prefix"] else {}),
        **(
            {"web.config.file": str(pathlib.PurePosixPath(settings["config_file"]).parent / "web" / web.CONFIGURATION)}
            if web.is_protected(settings)
            else {}
        ),
        "web.listen-address": socket_address(settings["listen_address"], settings["port"]),
    }
    return words({**own, **{str(name).lstrip("-"): value for name, value in settings["flags"].items()}})


def alertmanager_configs(addresses: t.Sequence[str]) -> list[Document]:
    """Entries of `alertmanagers`, one for each scheme and path, from addresses written as host:port or as URLs."""
    found: dict[tuple[str, str], list[str]] = {}
    for address in addresses:
        parts = urllib.parse.urlsplit(address if "://" in address else f"http://{address}")
        port = "" if parts.port else ":443" if parts.scheme == "https" else ":80" if "://" in address else ""
        found.setdefault((parts.scheme, parts.path.rstrip("/")), []).append(parts.netloc + port)
    return [
        {
            **({"scheme": scheme} if scheme != "http" else {}),
            **({"path_prefix": path} if path else {}),
            "static_configs": [{"targets": targets}],
        }
        for (scheme, path), targets in found.items()
    ]


def configuration(settings: Settings) -> Document:
    """The content of prometheus.yml."""
    alertmanagers = [*alertmanager_configs(settings["alertmanagers"]), *settings["alertmanager_configs"]]
    optional = {
        "alerting": {"alertmanagers": alertmanagers} if alertmanagers else None,
        "remote_write": settings["remote_write"],
    }
    return {
        "global": {
            "scrape_interval": f"{settings['scrape_interval_seconds']}s",
            "scrape_timeout": f"{settings['scrape_timeout_seconds']}s",
            "evaluation_interval": f"{settings['evaluation_interval_seconds']}s",
            # Prometheus refuses label values that are not text.
            "external_labels": {name: str(value) for name, value in settings["external_labels"].items()},
        },
        # Relative to this file, so that promtool checks the rules of the staged set and not those in use.
        "rule_files": ["rules/*.yml"],
        **{key: value for key, value in optional.items() if value},
        "scrape_configs": [*map(scrape_config, settings["scrape_jobs"]), *settings["scrape_configs"]],
    }


def faults(settings: Settings, found: t.Mapping[str, t.Any]) -> list[str]:
    """What contradicts itself in the options, or does not fit the host (`found`: software_info), each with its fix."""
    return [
        *distribution_fault(found.get("distribution")),
        *_option_faults(settings),
        *_job_faults(settings),
        *_alert_faults(settings),
        *_data_faults(settings, found),
        *_downgrade_faults(settings, found),
        *_discovery_faults(settings, found),
    ]


def _option_faults(settings: Settings) -> list[str]:
    size = str(settings["retention_size"])
    return [
        *address_fault("prometheus_listen_address", settings["listen_address"]),
        *url_fault("prometheus_external_url", settings["external_url"]),
        *url_fault("prometheus_runbook_base_url", settings["runbook_base_url"]),
        *url_fault("prometheus_dashboard_base_url", settings["dashboard_base_url"]),
        *_inventory_fault(str(settings["playbook_inventory"])),
        *prefix_fault("prometheus_route_prefix", settings["route_prefix"]),
        *reserved(settings["flags"], FLAGS, "prometheus_flags"),
        *web.faults("prometheus", settings),
        *file_name_faults("prometheus_credentials", settings["credentials"]),
        *credential_faults(
            "prometheus_credentials",
            [settings[name] for name in ("scrape_jobs", "scrape_configs", "remote_write", "alertmanager_configs")],
            CREDENTIALS,
            settings["credentials"],
        ),
        *(
            [f'prometheus_retention_size is "{size}"; write it with a unit, such as 512MB or 20GB']
            if size and not re.fullmatch(r"\d+(B|KB|MB|GB|TB|PB|EB)", size)
            else []
        ),
        *(
            ["prometheus_retention_days is below 1 and prometheus_retention_size is empty; set one of them"]
            if int(settings["retention_days"]) < 1 and not size
            else []
        ),
    ]


def _inventory_fault(inventory: str) -> list[str]:
    """It becomes part of commands that people copy into a shell, and of a template of Prometheus."""
    if re.fullmatch(r"[\w./~-]*", inventory, re.ASCII) and not inventory.startswith("-"):
        return []
    return [f'prometheus_playbook_inventory is "{inventory}"; name it with letters, digits and . _ / ~ - only']


def _job_faults(settings: Settings) -> list[str]:
    raw = settings["scrape_configs"]
    names = [str(job["name"]) for job in settings["scrape_jobs"]]
    names += [str(job["job_name"]) for job in raw if isinstance(job, t.Mapping) and job.get("job_name")]
    found = unnamed("prometheus_scrape_configs", raw, "job_name") + doubled("scrape job", names)
    interval, timeout = int(settings["scrape_interval_seconds"]), int(settings["scrape_timeout_seconds"])
    if timeout > interval:
        found.append(
            f"prometheus_scrape_timeout_seconds is {timeout}, prometheus_scrape_interval_seconds only {interval}; "
            "make the timeout at most the interval"
        )
    found += [
        f'scrape job "{job["name"]}" has no targets; list them, or set its discovery_url or aws_sd'
        for job in settings["scrape_jobs"]
        if not (job.get("targets") or job.get("discovery_url") or job.get("aws_sd"))
    ]
    for job in settings["scrape_jobs"]:
        own_interval = int(job.get("interval_seconds") or interval)
        own_timeout = int(job.get("timeout_seconds") or timeout)
        own = job.get("interval_seconds") or job.get("timeout_seconds")
        if own and own_timeout > own_interval:
            found.append(
                f'scrape job "{job["name"]}" may take {own_timeout} s every {own_interval} s; '
                "make its timeout at most its interval"
            )
        if own_interval > 120 and settings["latency_targets"]:
            found.append(
                f'scrape job "{job["name"]}" runs every {own_interval} s; use at most 120 s, or the latency alerts, '
                f"which look back {WINDOW}, see too few samples"
            )
    return found


def _alert_faults(settings: Settings) -> list[str]:
    rows: t.Sequence[Row] = [typed(row) for row in settings["latency_targets"]]
    sources = settings["latency_sources"]
    found = [
        f"latency of {row['metric']} {percentile(row['quantile'])}: "
        f"the target {number(row['target_seconds'])} s is not below the alert {number(row['alert_seconds'])} s; "
        "lower the target or raise the alert"
        for row in rows
        if row["target_seconds"] >= row["alert_seconds"]
    ]
    found += [
        f"latency of {row['metric']}: the quantile {number(row['quantile'])} is not between 0 and 1; write 95 % as 0.95"
        for row in rows
        if not 0 < row["quantile"] < 1
    ]
    found += [
        f'latency source "{name}" has neither "histogram" nor "gauge"; name the metric that measures it'
        for name, source in sorted(sources.items())
        if not (source.get("histogram") or source.get("gauge"))
    ]
    found += _error_faults(settings["error_alerts"], settings["error_sources"])
    tables = Tables(
        rows, sources, errors=settings["error_alerts"], error_sources=settings["error_sources"], alertmanagers=True
    )
    known = alert_names(tables) if not found else set(settings["disabled_alerts"])
    found += [
        f'prometheus_disabled_alerts contains "{name}", which is no alert of the role; '
        f"there are {', '.join(sorted(known))}"
        for name in settings["disabled_alerts"]
        if name not in known
    ]
    return found + unnamed("prometheus_rule_groups", settings["rule_groups"], "name")


def _error_faults(rows: t.Sequence[Row], sources: t.Mapping[str, Row]) -> list[str]:
    """What can't be an alert on errors."""
    found = []
    for row in rows:
        name = f"prometheus_error_alerts: a row of {row['metric']}"
        given = [key for key in ("count", "ratio") if row.get(key) is not None]
        if len(given) != 1:
            found.append(f"{name} has {' and '.join(given) or 'neither count nor ratio'}; give it one of the two")
        elif given == ["ratio"] and not 0 < float(row["ratio"]) < 1:
            found.append(f"{name} has the ratio {number(float(row['ratio']))}; write 5 % as 0.05")
        elif given == ["count"] and int(row["count"]) < 0:
            found.append(f"{name} has the count {row['count']}; make it at least 0")
    found += doubled("alert on errors", [f"{row['metric']} {row.get('count')} {row.get('ratio')}" for row in rows])
    found += [
        f'prometheus_error_sources: "{name}" has no "{key}"; name the counter, and the labels of what failed'
        for name, source in sorted(sources.items())
        for key in ("counter", "failed")
        if not source.get(key)
    ]
    return found


def _data_faults(settings: Settings, found: t.Mapping[str, t.Any]) -> list[str]:
    """A bad data folder, or samples that lie elsewhere and would be left behind."""
    folder = str(settings["data_dir"])
    if not re.fullmatch(r"(/[^/\s]+)+", folder) or ".." in folder.split("/"):
        return [
            f'prometheus_data_dir is "{folder}"; give an absolute path without spaces and without a slash at its end'
        ]
    if any(folder == hidden or folder.startswith(f"{hidden}/") for hidden in HIDDEN):
        return [f"prometheus_data_dir is {folder}, which the sandbox of the unit hides; use a folder elsewhere"]
    used = list(found.get("data_dirs_in_use") or [])
    # The running one's folder counts even if there are samples in the new one too: those are older.
    moved = found.get("data_dir") in used and found["data_dir"] != folder
    if settings["ignore_existing_data"] or not used or (folder in used and not moved):
        return []
    holder = f"of the unit {found['unit']['file']}" if used[0] == found["data_dir"] else "on this host"
    return [
        f"{used[0]} holds samples {holder}, and Prometheus would start in {folder} without them; "
        f"to continue with them, set prometheus_data_dir to {used[0]}, or move them to {folder}; "
        "to start without them, set prometheus_ignore_existing_data to true (they are not deleted)"
    ]


def _desired_version(settings: Settings, found: t.Mapping[str, t.Any]) -> str:
    """The version to run: that of the archive, of the installed package, or of the one that would be installed."""
    version = str((settings.get("archive") or {}).get("version") or "")
    packaged = DISTRIBUTED.get((found.get("distribution") or {}).get("codename", ""), "")
    return version or (found.get("versions") or {}).get(settings.get("program")) or packaged


def _discovery_faults(settings: Settings, found: t.Mapping[str, t.Any]) -> list[str]:
    """Of jobs whose targets AWS knows, for the version to run."""
    version = _desired_version(settings, found)
    return [
        fault for job in settings["scrape_jobs"] for fault in aws_faults(job, as_numbers(version) if version else None)
    ]


def _downgrade_faults(settings: Settings, found: t.Mapping[str, t.Any]) -> list[str]:
    """Samples of Prometheus 3 that the version to install can't read."""
    versions, unit = found.get("versions") or {}, found.get("unit") or {}
    running = versions.get(next(iter(unit.get("arguments") or []), "")) or ""
    desired = _desired_version(settings, found)
    folder = settings["data_dir"]
    if folder not in (found.get("data_dirs_in_use") or []) or not running or not desired:
        return []
    if as_numbers(running) < OTHER_SAMPLES or as_numbers(desired) >= OLDEST_READER:
        return []
    return [
        f"{folder} holds samples of Prometheus {running}, which Prometheus {desired} can't read; "
        "install 2.55 or later, or set prometheus_data_dir to another folder"
    ]


def as_numbers(version: str) -> tuple[int, int]:
    """The major and the minor version."""
    numbers = [int(number) for number in re.findall(r"\d+", version)[:2]]
    return numbers[0] if numbers else 0, numbers[1] if len(numbers) > 1 else 0
