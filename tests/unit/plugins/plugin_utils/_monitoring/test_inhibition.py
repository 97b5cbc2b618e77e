# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which alerts are muted while another fires. The real Alertmanager is asked in tests/integration/test_alerting.py."""

from __future__ import annotations

import pytest

from ansible_collections.nexod.infra.plugins.plugin_utils._monitoring import inhibition, rule_file
from ansible_collections.nexod.infra.plugins.plugin_utils._monitoring.alerts import errors

ALERTS = [alert for alerts in rule_file.BUILT_IN.values() for alert in alerts]


@pytest.mark.parametrize(
    ("cause", "followers"),
    [
        pytest.param("host", [], id="a host mutes by its name only"),
        pytest.param(
            "database", ["replica", "pooler", "api", "edge", "frontend", "probe", "migrations"], id="through others"
        ),
        pytest.param("replica", [], id="nothing needs a replica"),
        pytest.param("edge", ["frontend", "probe"], id="edge"),
        pytest.param("probe", [], id="a probe is only a symptom"),
    ],
)
def test_followers(cause: str, followers: list[str]) -> None:
    assert inhibition.followers(cause) == followers


def test_only_components_of_the_environment_are_in_the_rules() -> None:
    text = str(inhibition.inhibit_rules(["database", "api", "probe"]))
    assert 'component=~"api|probe"' in text
    for absent in ("pooler", "cache", "edge", "replica", "host"):
        assert f'component="{absent}"' not in text


def test_every_component_is_in_the_graph() -> None:
    assert {alert.component for alert in ALERTS} <= set(inhibition.GRAPH)
    assert {need for needs in inhibition.GRAPH.values() for need in needs} <= set(inhibition.GRAPH)


def test_causes_are_the_components_that_have_an_alert_of_their_outage() -> None:
    assert {alert.component for alert in ALERTS if alert.outage} == set(inhibition.CAUSES)


def test_a_cause_that_mutes_pages_is_a_page() -> None:
    """A warning reaches nobody at night, so it must not stand for a page."""
    for alert in ALERTS:
        if alert.outage and inhibition.followers(alert.component):
            assert alert.severity == "page", alert.name
    for rule in inhibition.inhibit_rules(list(inhibition.GRAPH)):
        names = [one.partition("=")[2].strip('"') for one in rule["source_matchers"] if one.startswith("alertname=")]
        sources = [alert for alert in ALERTS if alert.name in names]
        outages = set(inhibition.OUTAGES) <= set(rule["source_matchers"])
        pages = (
            outages or inhibition.PAGE in rule["source_matchers"] or all(alert.severity == "page" for alert in sources)
        )
        assert pages or 'severity="warning"' in rule["target_matchers"]


def test_a_cause_fires_before_the_pages_that_follow_from_it() -> None:
    """A message that has left cannot be muted."""
    late = []
    for cause in (alert for alert in ALERTS if alert.outage and alert.severity == "page"):
        after = inhibition.followers(cause.component)
        for alert in (alert for alert in ALERTS if alert.severity == "page" and alert.component in after):
            # Whether a process answers is no symptom of another; whether it is ready is.
            symptom = not alert.outage or alert.name == "NoServerLeft"
            late += [(cause.name, alert.name)] if symptom and seconds(alert.wait) <= seconds(cause.wait) else []
    assert late == []


def test_errors_at_the_entry_point_are_reported_after_those_of_the_api() -> None:
    """It passes them on, and may count more than a limit some seconds before the API is scraped."""
    source = {"counter": "c", "failed": 'status=~"5.."'}
    api, edge = (
        errors.error_alert({"metric": metric, "count": 100, "severity": "page"}, source, 0)
        for metric in ("api", "edge")
    )
    assert seconds(edge.wait) >= seconds(api.wait) + 60


def seconds(wait: str) -> int:
    return int(wait[:-1]) * {"s": 1, "m": 60, "h": 3600}[wait[-1]]
