# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When Prometheus alerts, from tables."""

from __future__ import annotations

import pathlib
import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._monitoring import rules
from ansible_collections.nexod.infra.plugins.plugin_utils._monitoring import inhibition, rule_file
from ansible_collections.nexod.infra.plugins.plugin_utils._monitoring.alerts import latency
from ansible_collections.nexod.infra.plugins.plugin_utils._monitoring.alerts.alert import DASHBOARDS, Alert, Case, Links
from ansible_collections.nexod.infra.plugins.plugin_utils._monitoring.rule_file import Tables

API = {"metric": "api", "quantile": 0.99, "target_seconds": 0.5, "alert_seconds": 1}
TTFB = {"metric": "ttfb", "quantile": 0.75, "target_seconds": 0.2, "alert_seconds": 0.5}
FAILURES = {"counter": "http_requests_total", "matchers": 'job="api"', "failed": 'status=~"5.."'}
SOURCES: dict[str, dict[str, t.Any]] = {
    "api": {"histogram": "http_request_duration_seconds", "matchers": 'job="api", endpoint!~"/slow"'},
    "ttfb": {"gauge": "probe_seconds"},
}
BOTH = frozenset({"ApiLatencyP99High", "ApiLatencyP99BudgetBurns", "ApiLatencyP99BucketMissing"})
EVERY = Tables(
    [API, TTFB],
    {**SOURCES, "api": {**SOURCES["api"], "failures": FAILURES}},
    100,
    links=Links("https://r", "https://g/"),
    alertmanagers=True,
    errors=[
        {"metric": "api", "count": 10, "severity": "warning"},
        {"metric": "api", "ratio": "0.005", "severity": "page"},
        {"metric": "edge", "count": "100", "severity": "page"},
    ],
    error_sources={"api": FAILURES},
)
ALERTS = [alert for group in rule_file.every_alert(EVERY).values() for alert in group]


@pytest.mark.parametrize(
    ("rows", "alerts"),
    [
        pytest.param([], [], id="no table"),
        pytest.param(
            [API],
            ["ApiLatencyP99High", "ApiLatencyP99BudgetBurns", "ApiLatencyP99BucketMissing"],
            id="a histogram can be blind",
        ),
        pytest.param([TTFB], ["TtfbLatencyP75High"], id="a number a probe cannot"),
        pytest.param([{**API, "metric": "unknown"}], [], id="a row without a source is left out"),
        pytest.param(
            [{**API, "quantile": 0.999}],
            ["ApiLatencyP99_9High", "ApiLatencyP99_9BudgetBurns", "ApiLatencyP99_9BucketMissing"],
            id="three nines",
        ),
    ],
)
def test_the_table_becomes_alerts(rows: list[dict[str, t.Any]], alerts: list[str]) -> None:
    groups = {group["name"]: group["rules"] for group in rule_file.rule_document(Tables(rows, SOURCES, 100))["groups"]}
    assert [rule["alert"] for rule in groups.get("latency", []) if "alert" in rule] == alerts
    assert {"availability", "migrations"} <= set(groups)


def test_an_alert_compares_fractions_and_needs_traffic() -> None:
    alert = latency.latency_alert(API, SOURCES["api"], 100)
    assert "histogram_quantile" not in alert.expression
    assert alert.expression.endswith(">= 100")
    assert alert.severity == "page"


@pytest.mark.parametrize(
    ("tables", "groups", "cases"),
    [
        pytest.param(Tables([API], SOURCES, 100), {"latency", "availability", "migrations"}, True, id="every alert"),
        pytest.param(Tables([API], SOURCES, 100, builtin=False), {"latency"}, False, id="only the table's"),
        pytest.param(
            Tables([API], SOURCES, 100, disabled=BOTH),
            {"availability", "migrations"},
            True,
            id="a group without a rule does not exist",
        ),
        pytest.param(Tables([API], SOURCES, 100, builtin=False, disabled=BOTH), set(), False, id="none"),
    ],
)
def test_alerts_can_be_left_out(tables: Tables, groups: set[str], cases: bool) -> None:
    found = {group["name"] for group in rule_file.rule_document(tables)["groups"]}
    assert groups <= found
    assert bool(groups) == bool(found)
    tests = rule_file.test_document(tables, "x.yml")["tests"]
    tested = {check["alertname"] for case in tests for check in case["alert_rule_test"]}
    assert ("MigrationFailed" in tested) is cases
    assert not tested & tables.disabled


def test_numbers_of_the_table_may_be_text() -> None:
    row = {"metric": "api", "quantile": "0.99", "target_seconds": "0.5", "alert_seconds": "1"}
    found = rule_file.rule_document(Tables([row], SOURCES, 100))
    assert found == rule_file.rule_document(Tables([API], SOURCES, 100))


def test_the_rules_tests_cover_each_histogram_row() -> None:
    alert = rule_file.latency_alerts(Tables([API, TTFB], SOURCES, 100))[0]
    assert [case.name for case in alert.cases] == ["healthy", "breached", "too little traffic to judge"]


def test_failures_are_neither_fast_nor_slow() -> None:
    source = {**SOURCES["api"], "failures": FAILURES}
    failed = f"sum({rules.failed(FAILURES)})"
    assert rules.fast(source, 0.5).count(failed) == rules.answered(source).count(failed) == 1
    # The verdict on a release: failing does not make it better.
    assert rules.within(source, 0.5).count(failed) == 1
    assert rules.fast(SOURCES["api"], 0.5).count("http_requests_total") == 0
    alert = rule_file.latency_alerts(Tables([API], {"api": source}, 100))[0]
    cases = {case.name: case for case in alert.cases}
    assert not cases["some fail quickly"].fires
    assert cases["failures do not hide slow requests"].fires
    assert 'http_requests_total{job="api", status="500"}' in cases["some fail quickly"].series


@pytest.mark.parametrize(
    ("failures", "quantiles", "recorded"),
    [
        pytest.param(True, (0.5, 0.95, 0.99), ["answered", "slow"], id="once for all rows of a metric"),
        pytest.param(True, (0.5,), ["answered"], id="where failures are counted"),
        pytest.param(False, (0.99,), ["answered", "slow"], id="where it is read over hours"),
        pytest.param(False, (0.5, 0.95), [], id="elsewhere it costs little"),
    ],
)
def test_answered_requests_are_counted_once(failures: bool, quantiles: tuple[float, ...], recorded: list[str]) -> None:
    source = {**SOURCES["api"], **({"failures": FAILURES} if failures else {})}
    tables = Tables([{**API, "quantile": quantile} for quantile in quantiles], {"api": source}, 100, builtin=False)
    rows = rule_file.rule_document(tables)["groups"][0]["rules"]
    names = [f"metric:requests_{name}:increase5m" for name in recorded]
    assert [row["record"] for row in rows if "record" in row] == names
    expressions = "".join(row["expr"] for row in rows)
    once = rules.answered(source)
    assert expressions.count(once) == (1 if recorded else 2 * len(quantiles))


def test_only_a_high_quantile_has_a_budget_to_burn() -> None:
    names = {alert.name for alert in rule_file.latency_alerts(Tables([API, {**API, "quantile": 0.95}], SOURCES, 100))}
    assert "ApiLatencyP99BudgetBurns" in names
    assert "ApiLatencyP95BudgetBurns" not in names


def test_errors_become_alerts_where_they_are_counted() -> None:
    found = {alert.name: alert for alert in rule_file.every_alert(EVERY)["errors"]}
    assert list(found) == ["ApiErrorsAbove10", "ApiErrorsAbove0_5Percent", "ApiTrafficDropped"]
    assert found["ApiErrorsAbove10"].severity == "warning"
    assert found["ApiErrorsAbove10"].expression.endswith("> 10")
    assert found["ApiErrorsAbove0_5Percent"].expression.endswith(">= 100")
    rows = rule_file.rule_document(EVERY, "errors")["groups"][0]["rules"]
    assert [row.get("record") for row in rows][:3] == [
        "metric:requests:increase5m",
        "metric:requests_failed:increase5m",
        None,
    ]


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_each_alert_says_what_to_do(alert: Alert) -> None:
    assert alert.summary
    assert alert.impact.endswith((".", "/"))
    assert alert.look
    assert alert.fix
    assert alert.annotations(Links("https://r/"))["runbook_url"] == f"https://r/{alert.page}.md"


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_each_alert_is_tested_both_ways(alert: Alert) -> None:
    if alert.name.startswith("Ttfb") or alert.name == "Watchdog":
        return
    assert any(case.fires for case in alert.cases)
    assert any(not case.fires or case.before for case in alert.cases)


def test_each_alert_links_to_a_dashboard_that_there_is() -> None:
    boards = {path.stem for path in pathlib.Path(rule_file.__file__).with_name("boards").glob("*.py")}
    assert set(DASHBOARDS.values()) <= boards
    assert set(DASHBOARDS) <= set(inhibition.GRAPH)
    links = {alert.annotations(Links("", "https://g/"))["dashboard_url"] for alert in ALERTS}
    assert {link.rpartition("/infrastructure-")[2] for link in links} <= boards
    assert "dashboard_url" not in ALERTS[0].annotations(Links("https://r"))


def test_no_two_alerts_have_one_name() -> None:
    names = [alert.name for alert in ALERTS]
    assert sorted(names) == sorted(set(names))


def test_cases_share_a_test_only_if_they_do_not_disturb_each_other() -> None:
    one = Alert("One", "up == 0 and a > 1", "host", "", "", (), ())
    two = Alert("Two", "b > 1", "host", "", "", (), ())
    first, second, third = Case("1", {"a": "1"}, "1m"), Case("2", {'b{x="y"}': "1"}, "1m"), Case("3", {"up": "1"}, "1m")
    assert rule_file.packed([(one, first), (two, second)]) == [[(one, first), (two, second)]]
    assert rule_file.packed([(one, first), (two, third)]) == [[(one, first)], [(two, third)]]


def test_packing_keeps_every_case() -> None:
    cases = [(alert, case) for alert in ALERTS for case in alert.cases]
    packs = rule_file.packed(cases)
    assert sorted(id(case) for pack in packs for _alert, case in pack) == sorted(id(case) for _alert, case in cases)
    assert len(packs) < len(cases) / 2
