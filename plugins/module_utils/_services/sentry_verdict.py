# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a release has caused types of issues that its environment has not had before."""

from __future__ import annotations

import dataclasses
import datetime
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._services.client import Client
from ansible_collections.nexod.infra.plugins.module_utils._services.resource import dig
from ansible_collections.nexod.infra.plugins.module_utils._services.sentry_release import (
    RELEASES,
    in_full,
    moment,
    release_path,
)

MET, MISSED, UNKNOWN = "met", "missed", "not enough data"
ISSUES = "/api/0/organizations/{organization}/issues/"
#: Seconds between two looks.
INTERVAL = 10.0
#: Recording a deploy also sets when Sentry has last seen the release there: what is no later than this is no event.
RECORDING = 5.0
#: More are counted, and not listed.
MOST_LISTED = 20
Row = t.Mapping[str, t.Any]


@dataclasses.dataclass(frozen=True)
class Found:
    """What Sentry knows of a release in an environment: when it last had an event or a deploy of it, and its issues."""

    last_seen: float | None = None
    #: When its deploys there were recorded.
    recorded: tuple[float, ...] = ()
    issues: tuple[Row, ...] = ()


class Clock(t.Protocol):
    def monotonic(self) -> float: ...
    def sleep(self, seconds: float, /) -> None: ...


def seconds_of(text: t.Any) -> float | None:
    """A time of Sentry's in seconds since 1970."""
    if not text:
        return None
    return datetime.datetime.fromisoformat(str(text).replace("Z", "+00:00")).timestamp()


def read(client: Client, asked: Row, since: float) -> Found:
    version, environment = asked["version"], asked["environment"]
    try:
        rows = client.rows(in_full(client, RELEASES), query=version, environment=[environment])
    except InfraError as error:
        # Sentry knows no environment before its first event or deploy.
        if error.facts.get("status") != 404:
            raise
        return Found()
    release = next((row for row in rows if row.get("version") == version), None)
    if release is None:
        return Found()
    projects = [
        str(one["id"]) for one in release["projects"] if not asked["projects"] or one["slug"] in asked["projects"]
    ]
    query = f'is:unresolved firstRelease:"{version}" firstSeen:>={moment(since)[:19]}'
    issues = client.rows(
        in_full(client, ISSUES), environment=[environment], project=projects, query=query, sort="new", statsPeriod="14d"
    )
    return Found(seconds_of(release.get("lastEvent")), tuple(recorded(client, asked)), tuple(issues))


def recorded(client: Client, asked: Row) -> list[float]:
    """When deploys of the version to the environment were recorded, the latest first."""
    path = f"{in_full(client, release_path(asked['version']))}deploys/"
    try:
        deploys = client.rows(path)
    except InfraError as error:
        if error.facts.get("status") != 404:
            raise
        return []
    times = (seconds_of(one.get("dateFinished")) for one in deploys if one["environment"] == asked["environment"])
    return sorted((one for one in times if one is not None), reverse=True)


def reports(found: Found, since: float) -> bool:
    """Whether the release has sent anything since, so that the absence of issues means something."""
    seen = found.last_seen
    if seen is None or seen < since:
        return False
    return not any(-RECORDING <= seen - one <= RECORDING for one in found.recorded)


def judge(found: Found, asked: Row, since: float) -> dict[str, t.Any]:
    """The verdict, with a sentence and the issues."""
    name = f"new issue types of {asked['version']} in {asked['environment']}"
    issues = [
        {
            "id": str(one.get("shortId") or one["id"]),
            "title": str(one.get("title") or ""),
            "level": str(one.get("level") or ""),
            "project": str(dig(one, "project.slug") or ""),
            "events": int(one.get("count") or 0),
            "first_seen": str(one.get("firstSeen") or ""),
            "url": str(one.get("permalink") or ""),
        }
        for one in found.issues
    ]
    if issues:
        shown = "; ".join(f"{one['title']} {one['url']}" for one in issues[:MOST_LISTED])
        more = f"; and {len(issues) - MOST_LISTED} more" if len(issues) > MOST_LISTED else ""
        verdict, because = MISSED, f"{len(issues)} since the deploy: {shown}{more}"
    elif reports(found, since):
        verdict, because = MET, "none since the deploy"
    else:
        verdict, because = UNKNOWN, "Sentry has had no event of it since the deploy"
    return {"verdict": verdict, "says": f"{name}: {verdict} ({because})", "issues": issues}


def unknown(asked: Row, because: str) -> dict[str, t.Any]:
    says = f"new issue types of {asked['version']} in {asked['environment']}: {UNKNOWN} ({because})"
    return {"verdict": UNKNOWN, "says": says, "issues": []}


def verdict(client: Client, asked: Row, clock: Clock) -> dict[str, t.Any]:
    """Look, again and again for the seconds that the caller has, until there is a new type of issue."""
    since = asked.get("since")
    if not since:
        times = recorded(client, asked)
        if not times:
            return unknown(asked, "no deploy of it is recorded")
        since = times[0]
    end = clock.monotonic() + (asked.get("wait_seconds") or 0)
    while True:
        answer = judge(read(client, asked, since), asked, since)
        left = end - clock.monotonic()
        if answer["verdict"] == MISSED or left <= 0:
            return answer
        clock.sleep(min(INTERVAL, left))
        client.refresh()
