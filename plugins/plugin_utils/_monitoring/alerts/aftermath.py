# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes on muting for a while after an alert has ended.

What looks back over minutes still sees an outage that is over. And of two alerts on one cause either may end first, as
each target is scraped at a time of its own.
"""

from __future__ import annotations

from ansible_collections.nexod.infra.plugins.plugin_utils._monitoring.alerts.alert import Alert, Case, series
from ansible_collections.nexod.infra.plugins.plugin_utils._monitoring.inhibition import NAMED

OUTAGE = series(
    "ALERTS",
    {
        "alertname": "DatabaseDown",
        "alertstate": "firing",
        "component": "database",
        "instance": "db-1",
        "outage": "true",
        "severity": "page",
    },
)
LABELS = {"component": "database", "instance": "db-1"}
TARGET = {"instance": "monitoring-1", "job": "blackbox"}
AFTER = {"cause": "TargetDown", **TARGET}
CAUSE = series("ALERTS", {"alertname": "TargetDown", "alertstate": "firing", "severity": "warning", **TARGET})

ALERTS = (
    Alert(
        name="RecentOutage",
        # The window of the errors, and for how long an alert on them goes on firing.
        expression=(
            "max by (component, instance)"
            ' (max_over_time(ALERTS{alertstate="firing", outage="true", severity="page"}[8m]))'
        ),
        component="monitoring",
        severity="mute",
        wait="0m",
        labels={"component": "{{ $labels.component }}", "outage": "true"},
        summary="The component {{ $labels.component }} was out of order within 8 minutes",
        impact="None. It mutes what follows from the outage, such as its errors, which are counted over 5 minutes.",
        look=("The alert of the outage itself, on Prometheus's page /alerts",),
        fix=("Nothing. It ends by itself, and is sent to no receiver.",),
        cases=(
            Case("an outage", {OUTAGE: "1x10"}, "5m", (LABELS,)),
            Case("shortly after one", {OUTAGE: "1x10 _x20"}, "16m", (LABELS,)),
            Case("long after one", {OUTAGE: "1x10 _x20"}, "20m"),
            Case("an alert that is no outage", {OUTAGE.replace('outage="true", ', ""): "1x10"}, "5m"),
        ),
    ),
    Alert(
        name="RecentCause",
        # More than two scrapes.
        expression=(
            "label_replace(max by (alertname, instance, job, mountpoint)"
            f""" (max_over_time(ALERTS{{alertname=~"{"|".join(NAMED)}", alertstate="firing"}}[2m])),"""
            ' "cause", "$1", "alertname", "(.+)")'
        ),
        component="monitoring",
        severity="mute",
        wait="0m",
        summary="{{ $labels.cause }} fired within 2 minutes",
        impact="None. It mutes what follows from that alert, which may end some seconds later.",
        look=("The alert itself, on Prometheus's page /alerts",),
        fix=("Nothing. It ends by itself, and is sent to no receiver.",),
        cases=(
            Case("fires", {CAUSE: "1x10"}, "5m", (AFTER,)),
            Case("has just ended", {CAUSE: "1x10 _x20"}, "11m", (AFTER,)),
            Case("has ended minutes ago", {CAUSE: "1x10 _x20"}, "13m"),
            Case("waits", {CAUSE.replace("firing", "pending"): "1x10"}, "5m"),
            Case("an alert that mutes no other by its name", {CAUSE.replace("TargetDown", "HostDown"): "1x10"}, "5m"),
        ),
    ),
)
