# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One cause, one page: which alerts are muted while another fires, from what depends on what. Pure functions."""

from __future__ import annotations

import re
import typing as t

Document = dict[str, t.Any]

#: Each component, a value of the label `component`, with those that it cannot work without.
GRAPH: t.Final[dict[str, tuple[str, ...]]] = {
    "host": (),
    "database": (),
    "replica": ("database",),
    "pooler": ("database",),
    "cache": (),
    "api": ("database", "pooler", "cache"),
    "edge": ("api",),
    "frontend": ("edge",),
    "probe": ("frontend", "edge"),
    "migrations": ("database",),
    "monitoring": (),
}
#: Those of which an alert says that they no longer work.
CAUSES: t.Final = ("host", "database", "replica", "pooler", "cache", "api", "edge")
#: A page may mute anything, so that nothing is muted by what reaches nobody at night.
PAGE, WARNING, OUTAGE = 'severity="page"', 'severity="warning"', 'outage="true"'
#: A page of an outage, or RecentOutage, which stands for it for a while after it.
OUTAGES: t.Final = [OUTAGE, 'severity=~"page|mute"']
#: Jobs whose exporters report the state of another server.
SERVERS: t.Final = "postgres|redis|pgbouncer"
#: Alerts of one component of which the first says more: source, target, labels that both have. What is muted may end
#: some seconds later than what mutes it, and would be sent then: for a source that is named, RecentCause mutes on.
PAIRS: t.Final[tuple[tuple[list[str], list[str], list[str]], ...]] = (
    # Whoever is paged for a metric does not need the warning about the same metric too.
    ([PAGE, 'metric!=""'], [WARNING, 'metric!=""'], ["metric"]),
    # What fails is not slow, and a number of failures is not a fraction as well.
    ([PAGE, 'errors="count"'], ['metric!=""', 'errors!="count"'], ["metric"]),
    ([PAGE, 'errors="ratio"'], ['metric!=""', 'errors=""'], ["metric"]),
    # The entry point passes on what the API answers.
    ([PAGE, 'errors!=""', 'metric="api"'], ['errors!=""', 'metric="edge"'], []),
    (['alertname="ApiDown"'], ['alertname="NoServerLeft"'], []),
    (['alertname="ApiDown"'], ['alertname="TargetDown"', 'job="api"'], []),
    # The entry point asks the instances more often, and says what users notice.
    (['alertname="ServerDown"'], ['alertname="TargetDown"', 'job="api"', WARNING], []),
    # A server that hangs makes its exporter hang too.
    ([OUTAGE, f'job=~"{SERVERS}"'], ['alertname="TargetDown"', f'job=~"{SERVERS}"', WARNING], ["instance", "job"]),
    # Probes are made by the blackbox exporter.
    (
        ['alertname="TargetDown"', 'job="blackbox"'],
        ['alertname="TargetDown"', 'job=~"api_ready|frontend"', WARNING],
        [],
    ),
    # The slot's alert is about the primary, where it is.
    (['alertname="ReplicaDown"'], ['alertname=~"ReplicaDisconnected|ReplicationLagHigh"', WARNING], []),
    # What does not answer may be a unit that has failed: the first says what users notice.
    ([OUTAGE], ['alertname="UnitFailed"', WARNING], ["instance"]),
    (['alertname=~"TargetDown|ExporterBlind"'], ['alertname="UnitFailed"', WARNING], ["instance"]),
    (['alertname="DiskAlmostFull"'], ['alertname="DiskFilling"'], ["instance", "mountpoint"]),
    (['alertname="CertificateExpires"'], ['alertname="CertificateExpiresSoon"'], ["instance"]),
)


def followers(cause: str) -> list[str]:
    """The components that do not work without `cause`, directly or through others."""
    return [name for name in GRAPH if reaches(name, cause)]


def reaches(name: str, cause: str) -> bool:
    """Whether `name` depends on `cause`."""
    return any(need == cause or reaches(need, cause) for need in GRAPH.get(name, ()))


def rule(source: list[str], target: list[str], equal: t.Sequence[str] = ()) -> Document:
    """An inhibition rule as Alertmanager reads it."""
    return {"source_matchers": source, "target_matchers": target, **({"equal": list(equal)} if equal else {})}


def inhibit_rules(components: t.Collection[str]) -> list[Document]:
    """The rules for these components.

    No rule has an alert on both of its sides: a component never follows itself, and within a component an outage
    mutes only what is no outage. So no alert mutes itself, and no two mute each other.
    """
    causes = [name for name in CAUSES if name in components]
    found = [rule([*OUTAGES, 'component="host"'], ['component!="host"'], ["instance"])] if "host" in causes else []
    for cause in causes:
        own = [*OUTAGES, f'component="{cause}"']
        after = [name for name in followers(cause) if name in components]
        if after:
            found.append(rule(own, [f'component=~"{"|".join(after)}"']))
        # The API's alerts are about all of its instances together.
        found.append(
            rule(own, [f'component="{cause}"', 'outage!="true"'], [] if cause == "api" else ["instance"]),
        )
    for source, target, equal in PAIRS:
        found.append(rule(source, target, equal))
        if names := named(source):
            found.append(rule([f'cause=~"{"|".join(names)}"', *source[1:]], target, equal))
    return found


def named(matchers: t.Sequence[str]) -> list[str]:
    """The alerts that the matchers of a source name, which they do first."""
    name, _operator, value = re.split("(=~?)", matchers[0], maxsplit=1)
    return value.strip('"').split("|") if name == "alertname" else []


#: Those for which RecentCause stands after their end, by its label `cause`.
NAMED: t.Final = sorted({name for source, _target, _equal in PAIRS for name in named(source)})
