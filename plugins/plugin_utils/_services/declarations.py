# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The resources of an environment at Vercel, Clerk and Sentry, from the options of the role."""

from __future__ import annotations

import typing as t

Options = t.Mapping[str, t.Any]
Row = dict[str, t.Any]

#: A week, as traffic differs by the day.
WEEK = 604800
HOUR = 3600
SLOWER_PERCENT = 50
#: What Sentry may compute from: errors, and spans that are whole requests.
SPANS = {"dataset": "events_analytics_platform", "event_types": ["trace_item_span"]}


def declarations(options: Options) -> list[Row]:
    """All rows of the vendors that the environment uses, as the module service_resources takes them."""
    return [row for name, rows in VENDORS.items() if name in options["vendors"] for row in rows(options)]


def row(kind: str, name: str, **properties: t.Any) -> Row:
    return {"kind": kind, "name": name, "properties": {key: one for key, one in properties.items() if one is not None}}


# -- Clerk


def clerk(options: Options) -> t.Iterator[Row]:
    if options["clerk_origins"]:
        yield row("clerk_instance", options["environment"], allowed_origins=list(options["clerk_origins"]))
    for url in options["clerk_redirect_urls"]:
        yield row("clerk_redirect_url", url)
    for template in options["clerk_jwt_templates"]:
        yield row(
            "clerk_jwt_template", template["name"], **{key: one for key, one in template.items() if key != "name"}
        )


# -- Sentry


def sentry(options: Options) -> t.Iterator[Row]:
    for one in receivers(options):
        yield row("sentry_integration", one["type"], provider=one["type"], called=one["integration"])
    for project in options["sentry_projects"]:
        name = project["name"]
        yield row(
            "sentry_project",
            name,
            team=options["sentry_team"],
            platform=project.get("platform"),
            display_name=project.get("display_name"),
        )
        yield row("sentry_key", name, project=f"@sentry_project/{name}")
        if project.get("ownership"):
            yield row("sentry_ownership", name, project=f"@sentry_project/{name}", rules=project["ownership"])
        if project.get("alerts", True):
            yield from alerts(options, name)


def receivers(options: Options) -> list[Row]:
    """Those that are declared: Slack for the team, PagerDuty for who is on call."""
    found = [("slack", options["sentry_slack"]), ("pagerduty", options["sentry_pagerduty"])]
    return [{"type": kind, **one} for kind, one in found if one]


def action(receiver: Row) -> Row:
    return {
        "type": receiver["type"],
        "integration": f"@sentry_integration/{receiver['type']}",
        "target": receiver["target"],
        **({"title": receiver["title"]} if receiver.get("title") else {}),
    }


def alerts(options: Options, project: str) -> t.Iterator[Row]:
    """Errors by count, to the team and to who is on call; to the team also new types of issues, and slower requests."""
    environment, own = options["environment"], f"@sentry_project/{project}"
    # Not as an environment of Sentry's: it refuses one that has had no event and no deploy yet.
    of_environment = f"environment:{environment}"
    team, on_call = (
        [action(one) for one in receivers(options) if one["type"] == kind] for kind in ("slack", "pagerduty")
    )
    counts = {
        severity: min((one["count"] for one in counted(options) if one["severity"] == severity), default=None)
        for severity in ("warning", "page")
    }
    errors, slower = f"{project}-errors-{environment}", f"{project}-slower-{environment}"
    thresholds = [
        {"type": "gt", "comparison": count, "priority": priority}
        for count, priority in ((counts["page"], "high"), (counts["warning"], "medium"))
        if count is not None
    ]
    if thresholds:
        least = min(one["comparison"] for one in thresholds)
        thresholds.append({"type": "lte", "comparison": least, "priority": "resolved"})
        yield row(
            "sentry_detector", errors, project=own, query=of_environment, window_seconds=300, thresholds=thresholds
        )
    yield row(
        "sentry_detector",
        slower,
        project=own,
        query=f"is_transaction:true {of_environment}",
        aggregate="p95(span.duration)",
        **SPANS,
        window_seconds=HOUR,
        compared_seconds=WEEK,
        thresholds=[
            {"type": "gt", "comparison": SLOWER_PERCENT, "priority": "medium"},
            {"type": "lte", "comparison": SLOWER_PERCENT, "priority": "resolved"},
        ],
    )
    yield row("sentry_default_detector", project, project=own)
    if team and thresholds:
        yield notified(f"{errors}-team", [f"@sentry_detector/{errors}"], team, priority="medium")
    if on_call and counts["page"] is not None:
        yield notified(f"{errors}-on-call", [f"@sentry_detector/{errors}"], on_call, priority="high")
    if team:
        yield notified(f"{slower}-team", [f"@sentry_detector/{slower}"], team)
        yield notified(
            f"{project}-new-issues-{environment}-team",
            [f"@sentry_default_detector/{project}"],
            team,
            triggers=["first_seen_event"],
            event_tags={"environment": environment},
        )


def counted(options: Options) -> list[Row]:
    """The rows of the environment's error alerts that Sentry can evaluate: it knows the application's errors only."""
    return [one for one in options["sentry_error_alerts"] if one["metric"] == "api" and one.get("count")]


def notified(name: str, detectors: list[str], actions: list[Row], **more: t.Any) -> Row:
    return row("sentry_workflow", name, detectors=detectors, actions=actions, **more)


# -- Vercel


def vercel(options: Options) -> t.Iterator[Row]:
    project = options["vercel_project"]
    if not project:
        return
    own = f"@vercel_project/{project['name']}"
    yield row("vercel_project", project["name"], **{key: one for key, one in project.items() if key != "name"})
    for domain in options["vercel_domains"]:
        yield row(
            "vercel_domain", domain["name"], project=own, **{key: one for key, one in domain.items() if key != "name"}
        )
    for variable in options["vercel_variables"]:
        targets = variable.get("targets", options["vercel_targets"])
        given = {"value": variable.get("value"), "secret": variable.get("value_from")}
        yield row(
            "vercel_variable",
            f"{variable['key']} ({', '.join(targets)})",
            project=own,
            key=variable["key"],
            targets=targets,
            git_branch=variable.get("git_branch"),
            **given,
        )


VENDORS: t.Final[dict[str, t.Callable[[Options], t.Iterator[Row]]]] = {
    "clerk": clerk,
    "sentry": sentry,
    "vercel": vercel,
}
