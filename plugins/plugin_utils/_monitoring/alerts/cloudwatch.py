# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Alerts on the exporter for CloudWatch; silent where there is none."""

from __future__ import annotations

from ansible_collections.nexod.infra.plugins.plugin_utils._monitoring.alerts.alert import Alert, Case, series

EXPORTER = {"job": "cloudwatch", "instance": "mon-1"}
REQUESTS = series("yace_cloudwatch_getmetricdata_requests_total", EXPORTER)
ERRORS = series("yace_cloudwatch_request_errors", {**EXPORTER, "api_name": "GetMetricData"})

ALERTS = (
    Alert(
        name="CloudwatchNotRead",
        # It asks every five minutes. Where it may not list the resources, or finds none, it asks for no metric, and
        # that is no error of its own.
        expression=(
            "increase(yace_cloudwatch_getmetricdata_requests_total[30m]) == 0\n"
            "or sum without (api_name) (increase(yace_cloudwatch_request_errors[30m])) > 2"
        ),
        component="monitoring",
        wait="15m",
        summary="The exporter on {{ $labels.instance }} does not read the metrics of CloudWatch",
        impact="Dashboards lack what AWS measures. The alarms of CloudWatch go on.",
        look=("On {{ $labels.instance }}: journalctl -u prometheus-cloudwatch-exporter -n 50",),
        fix=(
            "Grant the host tag:GetResources, cloudwatch:ListMetrics and cloudwatch:GetMetricData; see the journal.",
            "If it finds nothing: the resources have the tag nexod:environment of another environment or region.",
        ),
        cases=(
            Case("reads", {REQUESTS: "0 1x4 2x4 3x4 4x4 5x4 6x4 7x4 8x4 9x4 10x4 11x4 12x4"}, "50m"),
            Case("finds nothing", {REQUESTS: "0x60"}, "50m", (EXPORTER,)),
            Case("is refused", {REQUESTS: "0+1x60", ERRORS: "0+1x60"}, "50m", (EXPORTER,)),
            Case("was refused once", {REQUESTS: "0+1x60", ERRORS: "0x20 1x40"}, "50m"),
        ),
    ),
)
