# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an alert is: one row, from which its rule, the tests of that rule and its runbook are written."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._monitoring.rules import Document, selector

Labels = t.Mapping[str, str]

#: What has never answered is reported only after this time: rules and targets are in place before the first deploy has
#: reached what they look at.
GRACE = "30m"
MINUTE = "1m"
#: A cause is reported before what follows from it, or both would be; and only after longer than a restart takes.
CAUSE = "30s"


@dataclasses.dataclass(frozen=True)
class Case:
    """One of promtool's tests: series by minute, and the alerts at the time `at`, each by the labels of its series.

    `value` is what annotations show for the alert's number. `before` is a time at which nothing fires yet.
    """

    name: str
    series: Labels
    at: str
    fires: tuple[Labels, ...] = ()
    value: str = ""
    before: str = ""


@dataclasses.dataclass(frozen=True)
class Record:
    """A recording rule: what several alerts and dashboards read, named level:metric:operations."""

    name: str
    expression: str
    labels: Labels = dataclasses.field(default_factory=dict)

    def rule(self) -> Document:
        """The rule as Prometheus reads it."""
        return {"record": self.name, "expr": self.expression, "labels": dict(self.labels)}


#: The dashboard that shows a component, by the end of its identifier.
DASHBOARDS: t.Final = {
    "api": "overview",
    "cache": "cache",
    "database": "database",
    "migrations": "database",
    "pooler": "database",
    "replica": "database",
    "host": "hosts",
    "monitoring": "hosts",
}


PLAYBOOK: t.Final = "ansible-playbook "


class Links(t.NamedTuple):
    """What a message names: the URLs of the folder of runbooks and of Grafana, and the inventory of its playbooks.

    Empty is no link, and a playbook without an inventory.
    """

    runbooks: str = ""
    dashboards: str = ""
    inventory: str = ""

    def steps(self, lines: t.Iterable[str]) -> str:
        """Commands and sentences, as they are typed in this environment."""
        text = "\n".join(lines)
        return text.replace(PLAYBOOK, f"{PLAYBOOK}-i {self.inventory} ") if self.inventory else text


NO_LINKS: t.Final = Links()


@dataclasses.dataclass(frozen=True)
class Alert:
    """One row.

    `component` is the part of the environment that is affected, a name in `inhibition.GRAPH`; `outage` says that the
    component no longer works, so that what depends on it need not be reported too. `impact` says what users notice;
    `look` and `fix` are commands and sentences, with labels as templates of Prometheus. `runbook` is the name of the
    page where it is not that of the alert.
    """

    name: str
    expression: str
    component: str
    summary: str
    impact: str
    look: tuple[str, ...]
    fix: tuple[str, ...]
    cases: tuple[Case, ...] = ()
    severity: t.Literal["page", "warning", "none", "mute"] = "warning"
    wait: str = MINUTE
    keep: str = ""
    outage: bool = False
    labels: Labels = dataclasses.field(default_factory=dict)
    runbook: str = ""

    @property
    def page(self) -> str:
        """The name of its runbook."""
        return self.runbook or self.name

    def all_labels(self) -> dict[str, str]:
        """The labels that the rule adds to those of its series."""
        return {
            "severity": self.severity,
            "component": self.component,
            **({"outage": "true"} if self.outage else {}),
            **self.labels,
        }

    @property
    def dashboard(self) -> str:
        """The identifier of the dashboard to look at."""
        return f"infrastructure-{DASHBOARDS.get(self.component, 'overview')}"

    def annotations(self, links: Links) -> dict[str, str]:
        """What a message shows."""
        return {
            "summary": self.summary,
            "description": self.impact,
            "look": links.steps(self.look),
            "fix": links.steps(self.fix),
            **({"runbook_url": f"{links.runbooks.rstrip('/')}/{self.page}.md"} if links.runbooks else {}),
            **({"dashboard_url": f"{links.dashboards.rstrip('/')}/d/{self.dashboard}"} if links.dashboards else {}),
        }

    def rule(self, links: Links) -> Document:
        """The alerting rule as Prometheus reads it."""
        return {
            "alert": self.name,
            "expr": self.expression,
            "for": self.wait,
            **({"keep_firing_for": self.keep} if self.keep else {}),
            "labels": self.all_labels(),
            "annotations": self.annotations(links),
        }

    def fired(self, case: Case, labels: Labels, links: Links) -> Document:
        """The alert as promtool must find it."""
        annotations = {key: filled(text, labels, case.value) for key, text in self.annotations(links).items()}
        own = {key: filled(text, labels, case.value) for key, text in self.all_labels().items()}
        return {"exp_labels": {**labels, **own}, "exp_annotations": annotations}

    def checks(self, case: Case, links: Links) -> list[Document]:
        """What promtool must find of the alert in a test with the series of the case."""
        fired = [self.fired(case, labels, links) for labels in case.fires]
        moments: list[tuple[str, list[Document]]] = [(case.before, [])] if case.before else []
        return [
            {"eval_time": at, "alertname": self.name, "exp_alerts": expected}
            for at, expected in [*moments, (case.at, fired)]
        ]


def filled(text: str, labels: Labels, value: str) -> str:
    """A template of Prometheus as it shows an alert with these labels and this value."""
    shown = re.sub(r"\{\{ \$labels\.(\w+) \}\}", lambda match: labels.get(match[1], ""), text)
    return re.sub(r"\{\{ \$value[^}]* \}\}", value, shown)


def series(metric: str, labels: Labels) -> str:
    """A series as promtool writes it."""
    return metric + selector(", ".join(f'{name}="{value}"' for name, value in labels.items()))


def known(metric: str, matchers: str = "") -> str:
    """The series of `metric` that were above 0 within the grace period, or that existed before it."""
    name = metric + selector(matchers)
    return f"(max_over_time({name}[{GRACE}]) > 0 or {name} offset {GRACE})"


def unreachable(job: str, matchers: str = "") -> str:
    """The exporters of a job whose host answers no scrape at all: what they export is gone with it."""
    chosen = ", ".join(filter(None, (f'job="{job}"', matchers)))
    return f"{gone('up', chosen)} and on (instance) max by (instance) (up) == 0"


def hanging(job: str, matchers: str = "") -> str:
    """The exporters of a job that no longer answer while the API is not ready: what they ask may hang, and they do too.

    An exporter that is only dead itself is no outage: the API is still ready.
    """
    chosen = ", ".join(filter(None, (f'job="{job}"', matchers)))
    return f'{gone("up", chosen)} and on () count(probe_success{{job="api_ready"}} == 0) > 0'


def down(metric: str, job: str, matchers: str = "") -> str:
    """What an exporter reports as down, what hangs, or what is gone with its host."""
    return f"{gone(metric, matchers)}\nor {unreachable(job, matchers)}\nor {hanging(job, matchers)}"


def gone(metric: str, matchers: str = "") -> str:
    """The series of `metric` that are 0 and were not, or have been longer than the grace period."""
    return f"{metric}{selector(matchers)} == 0 and {known(metric, matchers)}"


def gone_cases(metric: str, labels: Labels, fires: Labels | None = None) -> tuple[Case, ...]:
    """The tests of `gone`: what was there, what is new, and what never came."""
    name, alert = series(metric, labels), (labels if fires is None else fires,)
    return (
        Case("was there", {name: "1x5 0x60"}, "10m", alert, before="5m"),
        Case("still missing after the grace period", {name: "1x5 0x90"}, "80m", alert),
        Case("works", {name: "1x20"}, "10m"),
        Case("is new and not there yet", {name: "0x60"}, "10m"),
        Case("never came", {name: "0x60"}, "35m", alert),
    )


def down_cases(metric: str, job: str, labels: Labels) -> tuple[Case, ...]:
    """The tests of `down`."""
    own = {"job": job, **labels}
    ready = 'probe_success{job="api_ready"}'
    exporter, node = series("up", own), series("up", {"job": "node", "instance": labels["instance"]})
    return (
        *gone_cases(metric, own),
        Case("its host is gone", {exporter: "1x5 0x20", node: "1x5 0x20"}, "10m", (own,)),
        Case("only its exporter is gone", {exporter: "1x5 0x20", node: "1x25"}, "10m"),
        Case("it hangs", {exporter: "1x5 0x20", node: "1x25", ready: "1x6 0x20"}, "10m", (own,)),
        Case(
            "only its exporter is gone, as the API is ready", {exporter: "1x5 0x20", node: "1x25", ready: "1x26"}, "10m"
        ),
        Case("its host was never there", {exporter: "0x20", node: "0x20"}, "10m"),
    )


def cases(bad: Labels, good: Labels, fires: Labels, at: str = "20m", before: str = "") -> tuple[Case, ...]:
    """An alert that fires on the series `bad` and not on `good`."""
    return (Case("fires", bad, at, (fires,), before=before), Case("does not fire", good, at))
