# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The service by rate, errors and duration, from the metrics of the API and of the entry point."""

from __future__ import annotations

from ansible_collections.nexod.infra.plugins.plugin_utils._monitoring.boards.panels import (
    OF_VERSION,
    Board,
    Line,
    Panel,
    Query,
    Section,
)

FAILED = 'status=~"5.."'

RATE = (
    Panel(
        "Requests by endpoint",
        "Requests per second that the API answered, by route.",
        "reqps",
        (Query("sum by (endpoint) (rate(http_requests_total{<api>}[<rate>]))", "{{endpoint}}"),),
    ),
    Panel(
        "Requests by version",
        "Requests per second, by the version of the instance that answered. Two lines: a rollout is under way.",
        "reqps",
        (
            Query(
                f"sum by (version) (rate(http_requests_total{{<api>}}[<rate>]) {OF_VERSION})",
                "{{version}}",
            ),
        ),
    ),
    Panel(
        "Responses at the entry point",
        "Responses per second that users got, by class of status. Includes those that no instance gave.",
        "reqps",
        (
            Query(
                'sum by (code) (rate(haproxy_backend_http_responses_total{<haproxy>, proxy=~"api.*"}[<rate>]))',
                "{{code}}",
            ),
        ),
    ),
    Panel(
        "Active users",
        "Users who were active in the last five minutes. Every instance reports the same number.",
        "short",
        (Query("max(active_users{<api>})", "active users"),),
    ),
    Panel(
        "Tasks created",
        "Tasks created per second, by type of user.",
        "ops",
        (Query("sum by (user_type) (rate(tasks_created_total{<api>}[<rate>]))", "{{user_type}}"),),
    ),
)

ERRORS = (
    Panel(
        "Error ratio",
        "Fraction of the API's answers that were server errors (5xx) or client errors (4xx).",
        "percentunit",
        (
            Query(
                f"(sum(rate(http_requests_total{{<api>, {FAILED}}}[<rate>])) or vector(0))"
                " / sum(rate(http_requests_total{<api>}[<rate>]))",
                "5xx",
            ),
            Query(
                '(sum(rate(http_requests_total{<api>, status=~"4.."}[<rate>])) or vector(0))'
                " / sum(rate(http_requests_total{<api>}[<rate>]))",
                "4xx",
            ),
        ),
        (Line(0.01, "red"),),
    ),
    Panel(
        "Errors in 5 minutes",
        "Server errors of the last 5 minutes. The lines are the usual limits of alerts: more than 10, more than 100.",
        "short",
        (Query(f"sum(increase(http_requests_total{{<api>, {FAILED}}}[5m])) or vector(0)", "errors"),),
        (Line(10, "orange"), Line(100, "red")),
    ),
    Panel(
        "Errors by endpoint",
        "Server errors per second, by route and status. Empty while there are none.",
        "reqps",
        (
            Query(
                f"sum by (endpoint, status) (rate(http_requests_total{{<api>, {FAILED}}}[<rate>])) > 0",
                "{{endpoint}} {{status}}",
            ),
        ),
    ),
    Panel(
        "Error ratio by version",
        "Fraction of each version's answers that were server errors: is the new version worse than the old one?",
        "percentunit",
        (
            Query(
                f"(sum by (version) (rate(http_requests_total{{<api>, {FAILED}}}[<rate>]) {OF_VERSION})"
                f" or 0 * group by (version) (<version>))"
                f" / sum by (version) (rate(http_requests_total{{<api>}}[<rate>]) {OF_VERSION})",
                "{{version}}",
            ),
        ),
        (Line(0.01, "red"),),
    ),
    Panel(
        "Entry point: failed connections",
        "Connections and responses of instances that failed, per second, and requests that wait for an instance.",
        "short",
        (
            Query(
                'sum(rate(haproxy_backend_connection_errors_total{<haproxy>, proxy=~"api.*"}[<rate>]))',
                "failed connections/s",
            ),
            Query(
                'sum(rate(haproxy_backend_response_errors_total{<haproxy>, proxy=~"api.*"}[<rate>]))',
                "failed responses/s",
            ),
            Query('sum(haproxy_backend_current_queue{<haproxy>, proxy=~"api.*"})', "waiting"),
        ),
    ),
)


def quantile_of(share: float, by: str, join: str = "") -> str:
    """A quantile of the API's durations, by a label."""
    labels = f"le, {by}" if by else "le"
    rate = "rate(http_request_duration_seconds_bucket{<api>}[<rate>])"
    return f"histogram_quantile({share:g}, sum by ({labels}) ({rate}{f' {join}' if join else ''}))"


DURATION = (
    Panel(
        "Duration",
        "Time to the end of the answer, over all endpoints.",
        "s",
        tuple(Query(quantile_of(share, ""), f"p{share * 100:g}") for share in (0.5, 0.95, 0.99)),
    ),
    Panel(
        "Duration by endpoint (p95)",
        "95 % of the requests to each route were answered within this time.",
        "s",
        (Query(quantile_of(0.95, "endpoint"), "{{endpoint}}"),),
    ),
    Panel(
        "Duration by version (p95)",
        "95 % of each version's requests were answered within this time.",
        "s",
        (Query(quantile_of(0.95, "version", OF_VERSION), "{{version}}"),),
    ),
    Panel(
        "Web vitals (p75)",
        "What browsers report: 75 % of the page loads were this fast.",
        "s",
        (
            Query(
                "histogram_quantile(0.75, sum by (le, name) (rate(web_vitals_seconds_bucket{<api>}[<rate>])))",
                "{{name}}",
            ),
        ),
    ),
)

STATE = (
    Panel(
        "Instances that serve",
        "Instances of the API that can be scraped, and servers that are up at the entry point.",
        "short",
        (
            Query("sum(up{<api>})", "scraped"),
            Query('sum(haproxy_server_status{<haproxy>, proxy="api", state="UP"})', "up at the entry point"),
        ),
    ),
    Panel(
        "Probes",
        "Whether the API's readiness and the front end answer from outside: 1 is yes.",
        "short",
        (
            Query("probe_success{<api_ready>}", "{{instance}}"),
            Query("probe_success{<frontend>}", "{{instance}}"),
        ),
    ),
    Panel(
        "Failing scrapes",
        "Targets that Prometheus could not scrape, by job. 0 in a healthy environment.",
        "short",
        (Query('count by (job) (up{environment=~"$environment"} == 0) or vector(0)', "{{job}}"),),
        (Line(1, "red"),),
    ),
)

OVERVIEW = Board(
    "overview",
    "Service overview",
    "Rate, errors and duration of the API, by endpoint and version, and what users get at the entry point.",
    ("api",),
    (
        Section("Rate", RATE),
        Section("Errors", ERRORS),
        Section("Duration", DURATION),
        Section("State", STATE),
    ),
)
