# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Alertmanager's command line and configuration from the options of the role alertmanager, and their faults."""

from __future__ import annotations

import pathlib
import typing as t

from ansible_collections.nexod.infra.plugins.plugin_utils._monitoring.inhibition import GRAPH, inhibit_rules
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

Document = dict[str, t.Any]

TEAM, ON_CALL = "team", "on-call"
#: The receiver of the alert that always fires; without an address, it sends nothing.
WATCHDOG, NOBODY = "watchdog", "nobody"
#: What a message says of each alert: the cause, what users notice, the commands, and the link to the runbook.
TEXT: t.Final = (
    "{{ range .Alerts }}*{{ .Annotations.summary }}*\n{{ .Annotations.description }}\n"
    "{{ if .Annotations.look }}Look:\n```{{ .Annotations.look }}```\n{{ end }}"
    "{{ if .Annotations.fix }}Fix:\n```{{ .Annotations.fix }}```\n{{ end }}"
    "{{ if .Annotations.runbook_url }}<{{ .Annotations.runbook_url }}|Runbook> {{ end }}"
    "{{ if .Annotations.dashboard_url }}<{{ .Annotations.dashboard_url }}|Dashboard> {{ end }}"
    "<{{ .GeneratorURL }}|Graph>\n{{ end }}"
)
TITLE: t.Final = "{{ .Status | toUpper }} {{ .CommonLabels.alertname }} ({{ .CommonLabels.severity }})"
#: Where systemd puts the unit's credentials. The configuration names them there, so that no secret is in it.
CREDENTIALS = "/run/credentials/prometheus-alertmanager.service/"
#: Names of the credentials that the simple options use.
SLACK, PAGERDUTY = "slack-webhook-url", "pagerduty-routing-key"
#: Flags that the role sets, each with what to use in its place.
FLAGS: t.Final[dict[str, str]] = {
    "config.file": "use alertmanager_receivers, alertmanager_routes and the like",
    "data.retention": "use alertmanager_retention_hours",
    "help": "it is not for a service",
    "storage.path": "it keeps silences in /var/lib/prometheus/alertmanager",
    "version": "it is not for a service",
    "web.config.file": "use alertmanager_tls_certificate and alertmanager_web_users",
    "web.external-url": "use alertmanager_external_url",
    "web.listen-address": "use alertmanager_listen_address and alertmanager_port",
    "web.route-prefix": "use alertmanager_route_prefix",
}


def arguments(settings: Settings) -> list[str]:
    """Alertmanager's command line without the program."""
    own: Document = {
        "config.file": settings["config_file"],
        "storage.path": settings["data_dir"],
        "data.retention": f"{settings['retention_hours']}h",
        # One instance alone: the port for gossip with others stays closed, unless the flags open it.
        "cluster.listen-address": "",
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


def credentials(settings: Settings) -> dict[str, str]:
    """Name and content of every credential."""
    simple = {SLACK: settings["slack_webhook_url"], PAGERDUTY: settings["pagerduty_routing_key"]}
    return {
        **{name: str(content) for name, content in simple.items() if content},
        **{str(name): str(content) for name, content in settings["credentials"].items()},
    }


def built_in_receivers(settings: Settings) -> list[Document]:
    """The team's receiver, and that of whoever is on call."""
    webhooks = [{"url": url} for url in settings["webhook_urls"]]
    slack = {
        "api_url_file": CREDENTIALS + SLACK,
        "channel": settings["slack_channel"],
        "send_resolved": True,
        "title": TITLE,
        "text": TEXT,
    }
    summary = (
        "{{ .CommonAnnotations.summary }}{{ if not .CommonAnnotations.summary }}{{ .CommonLabels.alertname }}{{ end }}"
    )
    pagerduty = {"routing_key_file": CREDENTIALS + PAGERDUTY, "send_resolved": True, "description": summary}
    everybody = {
        **({"webhook_configs": webhooks} if webhooks else {}),
        **({"slack_configs": [slack]} if settings["slack_webhook_url"] else {}),
    }
    paged = {"pagerduty_configs": [pagerduty]} if settings["pagerduty_routing_key"] else {}
    dead_man = [{"url": settings["dead_mans_url"], "send_resolved": False}] if settings["dead_mans_url"] else []
    watchdog: Document = {"name": WATCHDOG, **({"webhook_configs": dead_man} if dead_man else {})}
    return [
        {"name": TEAM, **everybody},
        {"name": ON_CALL, **everybody, **paged},
        *([watchdog, {"name": NOBODY}] if settings["builtin_routing"] else []),
    ]


def built_in_routes() -> list[Document]:
    """Where alerts go by their severity; `none` is that of Watchdog, which always fires, `mute` of what only mutes."""
    return [
        {
            "receiver": WATCHDOG,
            "matchers": ['severity="none"'],
            "group_wait": "0s",
            "group_interval": "1m",
            # Less, or a message is left out where the one before was sent a moment after its minute had begun.
            "repeat_interval": "30s",
        },
        {"receiver": NOBODY, "matchers": ['severity="mute"']},
        {"receiver": ON_CALL, "matchers": ['severity="page"']},
    ]


def configuration(settings: Settings) -> Document:
    """The content of alertmanager.yml: own routes and rules before the built-in ones."""
    built_in = bool(settings["builtin_routing"])
    routes = [*settings["routes"], *(built_in_routes() if built_in else [])]
    muted = inhibit_rules(settings["components"]) if built_in else []
    optional: Document = {
        "global": dict(settings["global"]),
        "templates": ["templates/*.tmpl"] if settings["templates"] else [],
        "time_intervals": list(settings["time_intervals"]),
        "inhibit_rules": [*settings["inhibit_rules"], *muted],
    }
    return {
        "route": {
            "receiver": settings["default_receiver"],
            "group_by": list(settings["group_by"]),
            "group_wait": f"{settings['group_wait_seconds']}s",
            "group_interval": f"{settings['group_interval_seconds']}s",
            "repeat_interval": f"{settings['repeat_interval_seconds']}s",
            **({"routes": routes} if routes else {}),
        },
        **{key: value for key, value in optional.items() if value},
        "receivers": [*built_in_receivers(settings), *settings["receivers"]],
    }


def faults(settings: Settings, found: t.Mapping[str, t.Any]) -> list[str]:
    """What contradicts itself in the options, or does not fit the host (`found`: software_info), each with its fix."""
    document = configuration(settings)
    names = [str(row["name"]) for row in document["receivers"] if isinstance(row, t.Mapping) and row.get("name")]
    repeat, interval = int(settings["repeat_interval_seconds"]), int(settings["group_interval_seconds"])
    return [
        *distribution_fault(found.get("distribution")),
        *address_fault("alertmanager_listen_address", settings["listen_address"]),
        *url_fault("alertmanager_external_url", settings["external_url"]),
        *(fault for url in settings["webhook_urls"] for fault in url_fault("alertmanager_webhook_urls", url)),
        *prefix_fault("alertmanager_route_prefix", settings["route_prefix"]),
        *(url_fault("alertmanager_dead_mans_url", settings["dead_mans_url"])),
        *(
            f'alertmanager_components contains "{name}", which is no component; there are {", ".join(sorted(GRAPH))}'
            for name in settings["components"]
            if name not in GRAPH
        ),
        *reserved(settings["flags"], FLAGS, "alertmanager_flags"),
        *web.faults("alertmanager", settings),
        *file_name_faults("alertmanager_credentials", settings["credentials"]),
        *file_name_faults("alertmanager_templates", settings["templates"]),
        *credential_faults("alertmanager_credentials", document, CREDENTIALS, credentials(settings)),
        *unnamed("alertmanager_receivers", settings["receivers"], "name"),
        *doubled("receiver", names),
        *(
            [
                f'alertmanager_default_receiver is "{settings["default_receiver"]}", which is no receiver; '
                f"name one of {', '.join(sorted(set(names)))}"
            ]
            if settings["default_receiver"] not in names
            else []
        ),
        *(
            [
                f"alertmanager_repeat_interval_seconds is {repeat}, which is not above "
                f"alertmanager_group_interval_seconds ({interval}), the least time between two messages: some would be "
                "left out, as each is sent a moment after its time; make it longer"
            ]
            if repeat <= interval
            else []
        ),
    ]
