# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Prometheus scrapes and when it alerts, derived from plain tables. Pure functions."""

from __future__ import annotations

import typing as t

Row = t.Mapping[str, t.Any]
Document = dict[str, t.Any]

# All latency alerts look back this far, which must stay at least twice the longest scrape interval: Prometheus 3
# leaves the sample at the window's left end out.
WINDOW = "5m"
#: Tasks of ECS are replaced within a minute; the default of Prometheus would find them after one.
DISCOVERY_INTERVAL = "15s"


def number(value: float) -> str:
    """A number as people write it: 1 rather than 1.0."""
    return f"{value:g}"


def title(text: str) -> str:
    """`api_p95` as ApiP95."""
    return "".join(word[:1].upper() + word[1:] for word in text.replace("-", "_").split("_"))


def percentile(quantile: float) -> str:
    """0.95 as p95, 0.999 as p99.9."""
    return f"p{number(round(quantile * 100, 6))}"


def boundary(seconds: float) -> str:
    """A regular expression for the label `le`: Prometheus 3 writes 1.0 where older ones kept the client's 1."""
    text = number(seconds)
    plain = text.replace(".", "\\\\.")
    return plain if "." in text or "e" in text else f"{plain}|{plain}\\\\.0"


def selector(matchers: str, *more: str) -> str:
    """The braces behind a metric's name."""
    inner = ", ".join(part for part in (matchers, *more) if part)
    return "{" + inner + "}" if inner else ""


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
) -> list[Document]:
    """A scrape target for each host: its address and port, known by the host's name in the inventory."""
    found = []
    for host in hosts:
        address = str(hostvars[host].get("ansible_host") or host)
        shown = f"[{address}]" if ":" in address and not address.startswith("[") else address
        number_of_port = port_of(host, hostvars[host], port, default)
        found.append({"address": f"{shown}:{number_of_port}", "labels": {"instance": host}})
    return found


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


def is_histogram(source: Row) -> bool:
    """Whether the source counts requests into buckets, rather than being one number a probe."""
    return bool(source.get("histogram"))


def typed(row: Row) -> Row:
    """A row of the latency table with its numbers as numbers, however they were given."""
    return {**row, **{key: float(row[key]) for key in ("quantile", "target_seconds", "alert_seconds")}}


def measured(rows: t.Iterable[Row], sources: t.Mapping[str, Row]) -> list[tuple[Row, Row]]:
    """The rows of the latency table that have a source, each with it."""
    return [(typed(row), sources[row["metric"]]) for row in rows if row["metric"] in sources]


def within(source: Row, seconds: float, window: str = WINDOW) -> str:
    """The fraction of requests that took at most `seconds`: exact, where an interpolated quantile is a guess.

    Where the source counts failures, each of them is taken off the fast requests: a quick error is no fast answer.
    """
    name, matchers = source["histogram"], source.get("matchers", "")
    bucket = selector(matchers, f'le=~"{boundary(seconds)}"')
    fast = f"sum(increase({name}_bucket{bucket}[{window}]))"
    if failures := source.get("failures"):
        fast = f"clamp_min({fast} - (sum({failed(failures, window)}) or vector(0)), 0)"
    return f"{fast} / sum(increase({name}_count{selector(matchers)}[{window}]))"


def failed(failures: Row, window: str = WINDOW) -> str:
    """The series of failed requests with their number in the window.

    A series that is new in the window counts whole: `increase` takes the value that it began with for nothing.
    """
    series = failures["counter"] + selector(failures.get("matchers", ""), failures["failed"])
    return f"(({series} unless {series} offset {window}) or increase({series}[{window}]))"


def counted(failures: Row, window: str = WINDOW) -> str:
    """How many requests, failed or not, the counter has seen in the window."""
    return f"sum(increase({failures['counter']}{selector(failures.get('matchers', ''))}[{window}]))"


def requests(source: Row, window: str = WINDOW) -> str:
    """How many requests the source has seen in the window."""
    return f"sum(increase({source['histogram']}_count{selector(source.get('matchers', ''))}[{window}]))"


def gauge_quantile(row: Row, source: Row) -> str:
    """The row's quantile over the last probes of a source that is one number a probe."""
    return f"quantile_over_time({number(row['quantile'])}, ({source['gauge']})[15m:1m])"


def latency_alert(row: Row, source: Row, minimum: int) -> Document:
    """The alert of one row: too few requests within its alert threshold."""
    what, shown = percentile(row["quantile"]), number(row["alert_seconds"])
    if is_histogram(source):
        expression = (
            f"{within(source, row['alert_seconds'])} < {number(row['quantile'])}\nand {requests(source)} >= {minimum}"
        )
        value = "{{ $value | humanizePercentage }} of requests were that fast"
    else:
        expression = f"{gauge_quantile(row, source)} > {shown}"
        value = "it is {{ $value | humanizeDuration }}"
    return {
        "alert": f"{title(row['metric'])}Latency{what.upper().replace('.', '_')}High",
        "expr": expression,
        "for": "2m",
        "labels": {"severity": "page" if row["metric"] == "api" else "warning", "metric": row["metric"]},
        "annotations": {
            "summary": f"{row['metric']}: {what} above {shown} s",
            "description": f"{what} should stay at {shown} s or below; {value}.",
        },
    }


def bucket_alert(row: Row, source: Row) -> Document:
    """Says that a row can never alert, because its threshold is no boundary of the histogram."""
    name, matchers = source["histogram"], source.get("matchers", "")
    edge = selector(matchers, f'le=~"{boundary(row["alert_seconds"])}"')
    return {
        "alert": "LatencyBucketMissing",
        "expr": f"sum({name}_count{selector(matchers)}) unless sum({name}_bucket{edge})",
        "for": "5m",
        "labels": {"severity": "warning", "metric": row["metric"], "quantile": number(row["quantile"])},
        "annotations": {
            "summary": f"{name} has no bucket that ends at {number(row['alert_seconds'])} s",
            "description": "The latency alert of this row is blind until the application's buckets hold its threshold.",
        },
    }


# What has never answered is reported only after this time: rules and targets are in place before the first deploy has
# come to what they probe.
GRACE = "30m"


def known(metric: str, labels: str = "") -> str:
    """The series of `metric` that were 1 within the grace period, or that were there before it."""
    series = metric + selector(labels)
    return f"(max_over_time({series}[{GRACE}]) == 1 or {series} offset {GRACE})"


def availability_group() -> Document:
    """Alerts that need no table: somebody is not there who was, or who never came."""
    return {
        "name": "availability",
        "rules": [
            {
                "alert": "TargetDown",
                "expr": f"up == 0 and {known('up')}",
                "for": "1m",
                "labels": {"severity": "warning"},
                "annotations": {
                    "summary": "{{ $labels.job }} on {{ $labels.instance }} cannot be scraped",
                    "description": "Prometheus has had no answer for a minute.",
                },
            },
            {
                "alert": "ProbeFailed",
                "expr": f"probe_success == 0 and {known('probe_success')}",
                "for": "1m",
                "labels": {"severity": "page"},
                "annotations": {
                    "summary": "{{ $labels.instance }} does not answer as it should",
                    "description": "The blackbox exporter's probe {{ $labels.job }} has failed for a minute.",
                },
            },
            {
                "alert": "ApiDown",
                "expr": (
                    'count(up{job="api"}) unless count(up{job="api"} == 1)\n'
                    f"""and count({known("up", 'job="api"')})"""
                ),
                "for": "1m",
                "labels": {"severity": "page"},
                "annotations": {
                    "summary": "No instance of the API answers",
                    "description": "No instance of the API can be scraped; latency alerts are silent without traffic.",
                },
            },
            {
                "alert": "TasksNotDiscovered",
                # 0 where it has never succeeded: as long ago as can be.
                "expr": "time() - ecs_discovery_last_success_time_seconds > 300",
                "for": "1m",
                "labels": {"severity": "warning"},
                "annotations": {
                    "summary": "The tasks of ECS have not been listed for 5 minutes",
                    "description": "New tasks are not scraped. The journal of ecs-discovery.service says why.",
                },
            },
        ],
    }


def availability_cases() -> list[Document]:
    """Promtool's tests of them: a target that was there, one that is new, and one that never came."""
    api, probe = '{job="api", instance="api-1"}', '{job="api_ready", instance="http://e/ready"}'
    rules = {rule["alert"]: rule for rule in availability_group()["rules"]}
    alerts: list[tuple[str, str, dict[str, str]]] = [
        ("TargetDown", f"up{api}", {"job": "api", "instance": "api-1"}),
        ("ProbeFailed", f"probe_success{probe}", {"job": "api_ready", "instance": "http://e/ready"}),
        ("ApiDown", f"up{api}", {}),
    ]
    cases = []
    for alert, series, labels in alerts:
        annotations = {
            key: text.replace("{{ $labels.job }}", labels.get("job", "")).replace(
                "{{ $labels.instance }}", labels.get("instance", "")
            )
            for key, text in rules[alert]["annotations"].items()
        }
        fired = {"exp_labels": {**rules[alert]["labels"], **labels}, "exp_annotations": annotations}
        for name, values, at, fires in (
            ("was there", "1x5 0x60", "10m", True),
            ("still away after the grace period", "1x5 0x90", "80m", True),
            ("answers", "1x20", "10m", False),
            ("is new and not there yet", "0x60", "10m", False),
            ("never came", "0x60", "35m", True),
        ):
            cases.append(
                {
                    "name": f"{alert}: {name}",
                    "interval": "1m",
                    "input_series": [{"series": series, "values": values}],
                    "alert_rule_test": [{"eval_time": at, "alertname": alert, "exp_alerts": [fired] if fires else []}],
                }
            )
    discovered = rules["TasksNotDiscovered"]
    fired = {"exp_labels": {**discovered["labels"], "job": "d"}, "exp_annotations": discovered["annotations"]}
    for name, values, fires in (
        ("has never succeeded", "0x20", True),
        # The series is the time of the last success, here in each minute.
        ("goes on", "0+60x20", False),
        ("has stopped", "0+60x5 300x20", True),
    ):
        series = 'ecs_discovery_last_success_time_seconds{job="d"}'
        expected = {"eval_time": "15m", "alertname": "TasksNotDiscovered", "exp_alerts": [fired] if fires else []}
        cases.append(
            {
                "name": f"TasksNotDiscovered: {name}",
                "interval": "1m",
                "input_series": [{"series": series, "values": values}],
                "alert_rule_test": [expected],
            }
        )
    return cases


# What the role migration_runner's command and daily check tell: alert, expression, summary, what to do.
MIGRATIONS = (
    (
        "MigrationFailed",
        "nexod_alembic_last_run_success == 0",
        "The last migration of database {{ $labels.database }} failed",
        "On {{ $labels.instance }}: migrate status says where the database is, migrate up goes on from there.",
    ),
    (
        "MigrationCheckFailed",
        "nexod_alembic_check_success == 0",
        "The daily check could not look at database {{ $labels.database }}",
        "On {{ $labels.instance }}: migrate check says why.",
    ),
    (
        "MigrationCheckOverdue",
        "time() > nexod_alembic_check_due_timestamp_seconds",
        "The daily check of database {{ $labels.database }} is overdue",
        "On {{ $labels.instance }}: systemctl list-timers '*-migrate-check.timer' says when it is to run.",
    ),
    (
        "InvalidIndex",
        "nexod_alembic_check_invalid_indexes > 0",
        "{{ $value }} indexes of database {{ $labels.database }} are invalid",
        "Writes keep them up, no query uses them. On {{ $labels.instance }}: migrate check names them.",
    ),
    (
        "SchemaDrift",
        "nexod_alembic_check_drift_differences > 0",
        "Database {{ $labels.database }} is not what its models say",
        "It was changed by hand, or a revision is missing. On {{ $labels.instance }}: migrate check says what.",
    ),
)


def migrations_group() -> Document:
    """Alerts on the schema; silent where no host runs migrations."""
    return {
        "name": "migrations",
        "rules": [
            {
                "alert": alert,
                "expr": expression,
                "for": "1m",
                "labels": {"severity": "warning"},
                "annotations": {"summary": summary, "description": description},
            }
            for alert, expression, summary, description in MIGRATIONS
        ],
    }


def migration_cases() -> list[Document]:
    """Promtool's tests of them: a check on its way, and each of the faults."""
    labels = '{database="app", instance="runner-1"}'
    well = {
        "last_run_success": 1,
        "check_success": 1,
        # At eval_time 10m the clock says 600.
        "check_due_timestamp_seconds": 900,
        "check_invalid_indexes": 0,
        "check_drift_differences": 0,
    }
    broken = {
        "last_run_success": 0,
        "check_success": 0,
        "check_due_timestamp_seconds": 60,
        "check_invalid_indexes": 2,
        "check_drift_differences": 1,
    }

    def filled(text: str) -> str:
        for name, value in (("$labels.database", "app"), ("$labels.instance", "runner-1"), ("$value", "2")):
            text = text.replace("{{ " + name + " }}", value)
        return text

    cases = []
    for (alert, _expression, summary, description), (metric, value) in zip(MIGRATIONS, broken.items(), strict=True):
        fired = {
            "exp_labels": {"severity": "warning", "database": "app", "instance": "runner-1"},
            "exp_annotations": {"summary": filled(summary), "description": filled(description)},
        }
        for name, values, fires in (("well", well, []), (metric, {**well, metric: value}, [fired])):
            cases.append(
                {
                    "name": f"{alert}: {name}",
                    "interval": "1m",
                    "input_series": [
                        {"series": f"nexod_alembic_{key}{labels}", "values": f"{number}x15"}
                        for key, number in values.items()
                    ],
                    "alert_rule_test": [{"eval_time": "10m", "alertname": alert, "exp_alerts": fires}],
                }
            )
    return cases


class Choice(t.NamedTuple):
    """Which alerts there are: whether those that need no table (`builtin`), and names of alerts to leave out."""

    builtin: bool = True
    disabled: frozenset[str] = frozenset()


EVERY_ALERT: t.Final = Choice()


def rule_document(
    rows: t.Sequence[Row], sources: t.Mapping[str, Row], minimum: int, choice: Choice = EVERY_ALERT
) -> Document:
    """The rule file: one alert a row, one for each blind row, availability, and the schema; no group without a rule."""
    pairs = measured(rows, sources)
    rules = [latency_alert(row, source, minimum) for row, source in pairs]
    rules += [bucket_alert(row, source) for row, source in pairs if is_histogram(source)]
    groups: list[Document] = [{"name": "latency", "rules": rules}]
    groups += [availability_group(), migrations_group()] if choice.builtin else []
    chosen = [
        {**group, "rules": [rule for rule in group["rules"] if rule["alert"] not in choice.disabled]}
        for group in groups
    ]
    return {"groups": [group for group in chosen if group["rules"]]}


def alert_names(rows: t.Sequence[Row], sources: t.Mapping[str, Row]) -> set[str]:
    """The names of all alerts that `rule_document` writes where none is left out."""
    return {rule["alert"] for group in rule_document(rows, sources, 0)["groups"] for rule in group["rules"]}


def labels_of(matchers: str) -> str:
    """Matchers that are plain equalities, as a series for a test carries them."""
    return ", ".join(part.strip() for part in matchers.split(",") if "=~" not in part and "!" not in part)


def test_document(
    rows: t.Sequence[Row], sources: t.Mapping[str, Row], minimum: int, rule_file: str, choice: Choice = EVERY_ALERT
) -> Document:
    """Promtool's tests of the rule file: each row healthy, breached, not yet, and with too little traffic."""
    cases: list[Document] = []
    busy = max(minimum, 1)  # a minute; five times the guard in a window
    for row, source in measured(rows, sources):
        if not is_histogram(source):
            continue
        name = latency_alert(row, source, minimum)["alert"]
        slow = round(busy * max(row["quantile"] - 0.2, 0.05), 3)
        quiet = round(busy / 20, 3)
        for summary, fast, total, fires, errors in (
            ("healthy", busy, busy, False, 0),
            ("breached", slow, busy, True, 0),
            ("too little traffic to judge", 0, quiet, False, 0),
            *([("answered quickly, with errors", busy, busy, True, busy - slow)] if source.get("failures") else []),
        ):
            checks = [
                {
                    "eval_time": "10m",
                    "alertname": name,
                    "exp_alerts": [expected(row, source, minimum, (fast - errors) / total)] if fires else [],
                }
            ]
            if fires:
                checks.append({"eval_time": "1m", "alertname": name, "exp_alerts": []})
            cases.append(
                {
                    "name": f"{row['metric']} {percentile(row['quantile'])}: {summary}",
                    "interval": "1m",
                    "input_series": input_series(row, source, fast, total, errors),
                    "alert_rule_test": checks,
                }
            )
    cases += [*availability_cases(), *migration_cases()] if choice.builtin else []
    # The checks of one case all ask for the same alert.
    chosen = [case for case in cases if case["alert_rule_test"][0]["alertname"] not in choice.disabled]
    return {"rule_files": [rule_file], "evaluation_interval": "1m", "tests": chosen}


def expected(row: Row, source: Row, minimum: int, fraction: float) -> Document:
    """The alert as promtool must see it, its number written as Prometheus's humanizePercentage does."""
    alert = latency_alert(row, source, minimum)
    shown = f"{float(f'{fraction * 100:.4g}'):g}%"
    annotations = {
        key: text.replace("{{ $value | humanizePercentage }}", shown) for key, text in alert["annotations"].items()
    }
    return {"exp_labels": dict(alert["labels"]), "exp_annotations": annotations}


def input_series(row: Row, source: Row, fast: float, total: float, errors: float = 0) -> list[Document]:
    """A histogram that grows by `total` a minute, `fast` within the row's alert threshold; `errors` requests fail."""
    name, labels = source["histogram"], labels_of(source.get("matchers", ""))
    edge = selector(labels, f'le="{number(row["alert_seconds"])}"')
    return [
        {"series": f"{name}_bucket{edge}", "values": f"0+{number(fast)}x20"},
        {"series": f"{name}_count{selector(labels)}", "values": f"0+{number(total)}x20"},
        *([failed_series(source["failures"], errors)] if errors else []),
    ]


def failed_series(failures: Row, errors: float) -> Document:
    """A counter of failed requests that grows by `errors` a minute."""
    labels = ", ".join(filter(None, (labels_of(failures.get("matchers", "")), example_of(failures["failed"]))))
    return {"series": failures["counter"] + selector(labels), "values": f"0+{number(errors)}x20"}


def example_of(matchers: str) -> str:
    """Labels that such matchers select: of a regular expression of digits and dots, 0 for each dot."""
    return ", ".join(
        part.strip().replace("=~", "=").replace(".", "0") for part in matchers.split(",") if "!" not in part
    )
