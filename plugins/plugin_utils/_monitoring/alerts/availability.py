# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Alerts on targets that no longer answer, or never did."""

from __future__ import annotations

from ansible_collections.nexod.infra.plugins.plugin_utils._monitoring.alerts.alert import (
    CAUSE,
    Alert,
    Case,
    cases,
    gone,
    gone_cases,
    known,
    series,
)

PROBE = {"job": "api_ready", "instance": "http://e/ready"}
BLIND = {"job": "redis", "instance": "cache-1"}
UNITS = {"job": "node", "instance": "cache-1", "collector": "systemd"}
TARGET = {"job": "api", "instance": "api-1"}

ALERTS = (
    Alert(
        name="TargetDown",
        # HAProxy has an alert of its own, and what counts keys is the exporter of another job. A host that is gone is
        # one alert, not one for each of its exporters.
        expression=gone("up", 'job!~"haproxy|redis_keys"'),
        component="monitoring",
        # What it follows from is reported first.
        wait="90s",
        summary="{{ $labels.job }} on {{ $labels.instance }} cannot be scraped",
        impact="Nothing is known of it: no alert that needs its metrics can fire.",
        # Asking the target itself may need a password.
        look=("The error of the target on the page /targets of Prometheus",),
        fix=("Start its service: systemctl status and journalctl -u of the unit on {{ $labels.instance }}.",),
        cases=gone_cases("up", TARGET),
    ),
    Alert(
        name="ExporterBlind",
        expression=(
            'up{job=~"postgres|redis|pgbouncer"} == 1\n'
            'unless on (job, instance, process) {__name__=~"pg_up|redis_up|pgbouncer_up"}\n'
            # Of a host, whose other metrics are there.
            'or node_scrape_collector_success{job="node", collector="systemd"} == 0'
        ),
        component="monitoring",
        wait="5m",
        summary="The exporter of {{ $labels.job }} on {{ $labels.instance }} does not report what it is for",
        impact="Whether the server is up, or on a host which units have failed, is unknown: no alert on it can fire.",
        look=("On {{ $labels.instance }}: journalctl -u 'prometheus-{{ $labels.job }}-exporter' -n 50",),
        fix=(
            "On {{ $labels.instance }}: systemctl restart prometheus-{{ $labels.job }}-exporter",
            "For units of a host: install dbus there, through which they are read.",
        ),
        cases=(
            *cases(
                {series("up", BLIND): "1x20"},
                {series("up", BLIND): "1x20", series("redis_up", BLIND): "0x20"},
                BLIND,
            ),
            Case(
                "one of two processes",
                {
                    **{series("up", {**BLIND, "process": number}): "1x20" for number in "12"},
                    series("redis_up", {**BLIND, "process": "1"}): "1x20",
                },
                "20m",
                ({**BLIND, "process": "2"},),
            ),
            Case("reads no units", {series("node_scrape_collector_success", UNITS): "0x20"}, "15m", (UNITS,)),
            Case("reads units", {series("node_scrape_collector_success", UNITS): "1x20"}, "15m"),
        ),
    ),
    Alert(
        name="ProbeFailed",
        expression=gone("probe_success"),
        component="probe",
        severity="page",
        # What it follows from is reported first.
        wait="90s",
        summary="{{ $labels.instance }} does not answer as it should",
        impact="Users get errors or nothing at this URL.",
        look=("curl -sSiv {{ $labels.instance }}",),
        fix=("If the last deploy caused it: ansible-playbook nexod.infra.roll_back",),
        cases=gone_cases("probe_success", PROBE),
    ),
    Alert(
        name="ApiDown",
        expression=(
            'count(up{job="api"}) unless count(up{job="api"} == 1)\n' + f"""and count({known("up", 'job="api"')})"""
        ),
        component="api",
        severity="page",
        wait=CAUSE,
        outage=True,
        summary="No instance of the API answers",
        impact="No request is answered. Latency alerts are silent without traffic.",
        look=("On each host of the group api: systemctl status api; journalctl -u api -n 50",),
        fix=(
            "If the last deploy caused it: ansible-playbook nexod.infra.roll_back",
            "Otherwise: systemctl restart api",
        ),
        cases=gone_cases("up", TARGET, {}),
    ),
)
