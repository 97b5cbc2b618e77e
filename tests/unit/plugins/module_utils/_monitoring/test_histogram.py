# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which buckets the latency table needs, and which a page of metrics lacks."""

from __future__ import annotations

import ast
import pathlib
import typing as t

import pytest
import yaml

from ansible_collections.nexod.infra.plugins.module_utils._monitoring import exposition
from ansible_collections.nexod.infra.plugins.module_utils._monitoring.histogram import next_above, rows

NAME = "http_request_duration_seconds"
TABLE: list[dict[str, t.Any]] = [
    {"metric": "api", "quantile": 0.95, "target_seconds": 0.3, "alert_seconds": 0.5},
    {"metric": "api", "quantile": 0.99, "target_seconds": 0.5, "alert_seconds": 1},
]
SOURCES = {"api": {"histogram": NAME, "matchers": 'job="api", endpoint!~"/health|/ready"'}}


def page(*boundaries: str, labels: str = 'method="GET",endpoint="/tasks"', name: str = NAME) -> str:
    """A histogram as Python's client writes it."""
    lines = [f"# HELP {name} Time to the end of the answer.", f"# TYPE {name} histogram"]
    lines += [f'{name}_bucket{{{labels},le="{boundary}"}} 7.0' for boundary in (*boundaries, "+Inf")]
    lines += [f"{name}_count{{{labels}}} 7.0", f"{name}_sum{{{labels}}} 0.12", f"# TYPE {name}_created gauge"]
    return "\n".join([*lines, f"{name}_created{{{labels}}} 1.7956999e+09", ""])


PYTHON = page("0.1", "0.3", "0.5", "1.0", "2.5")
# As the client for Go writes it; Prometheus 2 keeps "1", Prometheus 3 makes it "1.0".
GO = page("0.1", "0.3", "0.5", "1", "2.5")
# With exemplars and _created, and without le in a canonical order.
OPENMETRICS = (
    f"# TYPE {NAME} histogram\n# UNIT {NAME} seconds\n"
    + "".join(
        f'{NAME}_bucket{{le="{edge}",endpoint="/tasks"}} 8 # {{trace_id="KOO5S4vxi0o"}} 0.067 1520879607.789\n'
        for edge in ("0.3", "0.5", "1.0", "5.0", "+Inf")
    )
    + f'{NAME}_count{{endpoint="/tasks"}} 8\n{NAME}_sum{{endpoint="/tasks"}} 1.5\n# EOF\n'
)
# A native histogram in the text format: only its last bucket is written out.
NATIVE = page()
NATIVE_OPENMETRICS_2 = f'# TYPE {NAME} histogram\n{NAME}{{endpoint="/tasks"}} {{count:12,sum:100.0,schema:3}}\n'
COARSE = page("0.1", "0.5", "1.0")


@pytest.mark.parametrize(
    ("text", "results", "missing"),
    [
        pytest.param(PYTHON, ["complete", "complete"], [[], []], id="as Python writes it"),
        pytest.param(GO, ["complete", "complete"], [[], []], id="as Go writes it"),
        pytest.param(OPENMETRICS, ["complete", "complete"], [[], []], id="OpenMetrics with exemplars"),
        pytest.param(COARSE, ["missing", "missing"], [[0.3, 2.5], [2.5]], id="coarse, and none above the alert"),
        pytest.param(NATIVE, ["missing", "missing"], [[0.3, 0.5, 2.5], [0.5, 1.0, 2.5]], id="native"),
        pytest.param(
            NATIVE_OPENMETRICS_2, ["missing", "missing"], [[0.3, 0.5, 2.5], [0.5, 1.0, 2.5]], id="native, OpenMetrics 2"
        ),
        pytest.param("", ["missing", "missing"], [[0.3, 0.5], [0.5, 1.0]], id="no such metric"),
        pytest.param(
            page("0.3", "1", "5", name=f"{NAME}_highr"),
            ["missing", "missing"],
            [[0.3, 0.5], [0.5, 1.0]],
            id="a name that begins alike",
        ),
        pytest.param(
            f"# HELP {NAME} x\n# TYPE {NAME} histogram\n", ["unknown", "unknown"], [[], []], id="nothing measured yet"
        ),
        pytest.param(
            PYTHON + page("0.1", "0.5", "1", labels='endpoint="/slow"'),
            ["missing", "missing"],
            [[0.3, 2.5], [2.5]],
            id="another label set has fewer buckets",
        ),
        pytest.param(
            PYTHON + page("9", labels='endpoint="/health"'),
            ["complete", "complete"],
            [[], []],
            id="a label set that the matchers leave out",
        ),
        pytest.param(
            page("9", labels='endpoint="/health"'), ["unknown", "unknown"], [[], []], id="nothing that they select"
        ),
        pytest.param(
            page("0.30000000000000004", "0.5", "1e+00", "1e+01"),
            ["complete", "complete"],
            [[], []],
            id="computed, and with exponents",
        ),
        pytest.param(PYTHON.replace("\n", "\r\n"), ["complete", "complete"], [[], []], id="lines that end with CRLF"),
        pytest.param("<html>nothing here {</html>", ["missing", "missing"], [[0.3, 0.5], [0.5, 1.0]], id="a web page"),
    ],
)
def test_rows(text: str, results: list[str], missing: list[list[float]]) -> None:
    found = rows(TABLE, SOURCES, text)
    assert [row.result for row in found] == results
    assert [row.missing for row in found] == missing


def test_the_fix_lists_every_bucket() -> None:
    found = rows(TABLE, SOURCES, COARSE)
    assert found[0].needed == [0.3, 0.5]
    assert found[0].says == f"api p95: {NAME} has no bucket that ends at 0.3, 2.5 s"
    assert found[0].fix == f"Give {NAME} the buckets 0.1, 0.3, 0.5, 1, 2.5"


def test_it_is_told_in_how_many_label_sets() -> None:
    found = rows(TABLE, SOURCES, PYTHON + page("0.1", "0.5", "1", labels='endpoint="/slow"'))
    assert found[0].says.endswith("in 1 of 2 label sets")


@pytest.mark.parametrize(
    ("source", "says"),
    [
        pytest.param({}, "nothing measures it", id="no source"),
        pytest.param({"api": {"gauge": "probe_seconds"}}, "its source is no histogram", id="a gauge"),
    ],
)
def test_what_no_histogram_answers_is_not_checked(source: dict[str, dict[str, str]], says: str) -> None:
    found = rows(TABLE, source, PYTHON)
    assert {row.result for row in found} == {"not checked"}
    assert all(says in row.says for row in found)


def test_without_a_page_nothing_is_known() -> None:
    assert {row.result for row in rows(TABLE, SOURCES, None)} == {"unknown"}


def test_a_row_without_an_alert_needs_its_target_and_one_above() -> None:
    table = [{"metric": "api", "quantile": 0.5, "target_seconds": 0.1, "alert_seconds": None}]
    assert rows(table, SOURCES, page("0.1"))[0].missing == [0.25]
    assert rows(table, SOURCES, page("0.1", "0.2"))[0].missing == []


@pytest.mark.parametrize(
    ("value", "above"), [(1, 2.5), (0.1, 0.25), (0.3, 0.5), (5, 10), (4, 5), (0.005, 0.01), (60, 100), (0, 1)]
)
def test_next_above(value: float, above: float) -> None:
    assert next_above(value) == pytest.approx(above)


@pytest.mark.parametrize(
    ("matchers", "labels", "selected"),
    [
        pytest.param("", {"a": "x"}, True, id="none"),
        pytest.param('a="x"', {"a": "x"}, True, id="equal"),
        pytest.param('a="x"', {"a": "y"}, False, id="not equal"),
        pytest.param('a!="x"', {}, True, id="a missing label is empty"),
        pytest.param('a=~"x|y"', {"a": "y"}, True, id="a pattern"),
        pytest.param('a=~"x"', {"a": "xx"}, False, id="a pattern is for the whole value"),
        pytest.param('a!~"/v[0-9]+"', {"a": "/v1"}, False, id="not a pattern"),
        pytest.param('job="api", a="x"', {"a": "x"}, True, id="a label that a scrape adds"),
        pytest.param(r'a="say \"x\", then"', {"a": 'say "x", then'}, True, id="quotation marks and a comma"),
        pytest.param(r'a=~"/tasks\\.json"', {"a": "/tasks.json"}, True, id="an escaped dot"),
        pytest.param('a=~"["', {"a": "x"}, False, id="no pattern"),
    ],
)
def test_matchers(matchers: str, labels: dict[str, str], selected: bool) -> None:
    assert exposition.selects(matchers, labels, {"a"}) is selected


ROOT = pathlib.Path(__file__).resolve().parents[5]
#: The buckets of the example application, by the metric of the latency table.
EXAMPLE = {"api": "REQUEST_BUCKETS", "database": "DATABASE_BUCKETS", "redis": "REDIS_BUCKETS", "lcp": "VITALS_BUCKETS"}


@pytest.mark.parametrize(
    "file", ["roles/environment/meta/environment.yml", "inventories/lab/group_vars/all/environment.yml"]
)
def test_the_example_application_answers_every_row(file: str) -> None:
    tree = ast.parse((ROOT / "examples/api/src/nexod_api/metrics.py").read_text())
    buckets = {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and "_BUCKETS" in node.targets[0].id
    }
    document = yaml.safe_load((ROOT / file).read_text())
    table = document.get("variables", document)["infra_latency_targets"]
    text = "".join(page(*map(str, buckets[key]), name=f"{metric}_seconds") for metric, key in EXAMPLE.items())
    found = rows(table, {metric: {"histogram": f"{metric}_seconds"} for metric in EXAMPLE}, text)
    assert {row.metric: row.says for row in found if row.result not in ("complete", "not checked")} == {}
    assert {row.metric for row in found if row.result == "complete"} == set(EXAMPLE)


def test_label_values_with_braces_quotes_and_line_ends() -> None:
    text = f'{NAME}_bucket{{endpoint="/a{{id}}\\"\\n",le="0.3"}} 1\n'
    (labels,) = exposition.histogram(text, NAME).buckets
    assert dict(labels) == {"endpoint": '/a{id}"\n'}
