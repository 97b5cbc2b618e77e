# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deployments of Vercel: the one of a commit, which production delivers, promotion, rollback, and removal.

Git makes them. Nothing here builds anything.
"""

from __future__ import annotations

import time
import typing as t
import urllib.parse

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._services.client import Client
from ansible_collections.nexod.infra.plugins.module_utils._services.resource import dig

Facts = t.Mapping[str, t.Any]
Tell = t.Callable[[str], None]
#: Seconds between two looks at what is being built or promoted.
PAUSE = 5.0
READY, ENDED = "READY", ("ERROR", "CANCELED", "BLOCKED", "DELETED")
PRODUCTION = "production"


def facts_of(row: Facts | None) -> dict[str, t.Any]:
    """A deployment as the module returns it; empty if there is none."""
    if not row:
        return {}
    return {
        "id": row.get("uid") or row.get("id"),
        "url": f"https://{row['url']}" if row.get("url") else "",
        "commit": dig(row, "meta.githubCommitSha") or dig(row, "meta.gitlabCommitSha") or "",
        "branch": dig(row, "meta.githubCommitRef") or dig(row, "meta.gitlabCommitRef") or "",
        "state": row.get("readyState") or row.get("state") or "",
        "created": row.get("created") or row.get("createdAt"),
        "inspector_url": row.get("inspectorUrl") or "",
    }


def latest(row: Facts) -> int:
    """The latest of the times of a deployment, in Unix time. `aliasAssigned` may also be true."""
    shown = (row.get(name) for name in ("movedAt", "aliasAssigned", "readyAt", "ready", "createdAt", "created"))
    return max((one for one in shown if isinstance(one, int) and not isinstance(one, bool)), default=0) // 1000


class Deployments:
    """Those of one project. `seconds`: how long a build or a promotion is waited for."""

    def __init__(self, client: Client, project: str, seconds: float, tell: Tell, clock: t.Any = time) -> None:
        self.client, self.project, self.seconds, self.tell, self.clock = client, project, seconds, tell, clock

    # -- reading

    def settings(self) -> Facts:
        found = self.client.get(f"/v9/projects/{urllib.parse.quote(self.project, safe='')}")
        if found is None:
            raise InfraError(
                "find",
                f"the Vercel project {self.project}",
                "there is none of this name in the account or team",
                "Correct the name or the team, or create it with the role services.",
            )
        return t.cast("Facts", found)

    def live(self) -> str:
        """The id of the deployment that production delivers; empty before the first."""
        return str(dig(self.settings(), "targets.production.id") or "")

    def delivered(self, branch: str | None = None) -> tuple[Facts, int]:
        """The deployment that production or the domain of a branch delivers, and since when; nothing before the first.

        Of the times that Vercel shows of it, the latest: one that was built long ago may have been promoted just now.
        """
        if branch:
            rows = [row for row in self.of(branch=branch, target="preview") if row.get("readyState") == READY]
            return (rows[0], latest(rows[0])) if rows else ({}, 0)
        settings = self.settings()
        target: Facts = dig(settings, f"targets.{PRODUCTION}") or {}
        if not target.get("id"):
            return {}, 0
        asked: Facts = settings.get("lastAliasRequest") or {}
        moved = asked.get("requestedAt") if asked.get("toDeploymentId") == target["id"] else None
        return target, latest({**target, "movedAt": moved})

    def of(self, **query: t.Any) -> list[Facts]:
        """The project's deployments, the newest first."""
        rows = self.client.rows("/v7/deployments", projectId=self.settings()["id"], **query)
        return sorted(rows, key=lambda row: -int(row.get("created") or 0))

    def ready(self, commit: str, target: str) -> Facts | None:
        """The newest deployment of a commit, when it is built; None where check mode would wait for one."""
        begun, told = self.clock.monotonic(), ""
        while True:
            rows = self.of(sha=commit, target=target)
            state = str(rows[0].get("readyState")) if rows else ""
            if state == READY:
                return rows[0]
            if state in ENDED:
                raise InfraError(
                    "use",
                    f"the deployment {rows[0].get('uid')} of {self.project}",
                    f"it is {state}",
                    f"See why at {rows[0].get('inspectorUrl')}, fix it, and push again.",
                )
            if self.client.check:
                return None
            left = f"it is {state}" if rows else f"Vercel has no {target} deployment of the commit {commit[:12]} yet"
            if self.clock.monotonic() - begun > self.seconds:
                raise InfraError(
                    "wait for",
                    f"the deployment of {self.project}",
                    f"after {self.seconds:.0f} s {left}",
                    f"See {rows[0].get('inspectorUrl')}, then run again."
                    if rows
                    else "Check that the commit was pushed, and that the project is connected to its repository, then "
                    "run again.",
                )
            if left != told:
                self.tell(f"{self.project}: {left}")
                told = left
            self._pause()

    # -- changing

    def promote(self, chosen: Facts) -> bool:
        """Let production deliver a deployment; whether that changes anything.

        One that production has delivered before is rolled back to, which takes a second and builds nothing.
        """
        number = str(chosen.get("uid"))
        if self.live() == number:
            return False
        if not self.client.check:
            way = f"/v1/projects/{self.project}/rollback" if chosen.get("isRollbackCandidate") else self._promotion
            # 409: it is the one already, as after an answer that was lost.
            self.client.send("POST", f"{way}/{number}", {}, missing=(409,))
            self._delivered(number)
        return True

    def roll_back(self) -> tuple[Facts, bool]:
        """Return production to the deployment before; which one, and whether that changes anything.

        After a rollback it stays there: a second one in a row needs the deployment by its id.
        """
        settings = self.settings()
        live = str(dig(settings, "targets.production.id") or "")
        rows = self.of(target=PRODUCTION)
        current = next((row for row in rows if row.get("uid") == live), None)
        if current and dig(settings, "lastRollbackTarget.toDeploymentId") == live:
            return current, False
        before = [
            row
            for row in rows
            if row.get("isRollbackCandidate") and (not current or int(row["created"]) < int(current["created"]))
        ]
        if not before:
            raise InfraError(
                "roll back",
                f"the Vercel project {self.project}",
                "production has delivered no deployment before this one",
                "Revert the commit, or name a deployment that was built.",
            )
        return before[0], self.promote(before[0])

    def invalidate(self, tags: t.Sequence[str]) -> None:
        """Mark what production has cached with these tags as stale. Each deployment has pages of its own."""
        try:
            self.client.send(
                "POST",
                "/v1/edge-cache/invalidate-by-tags",
                {"tags": list(tags), "target": PRODUCTION},
                projectIdOrName=self.project,
            )
        except InfraError as error:
            raise InfraError(
                "invalidate the cache of",
                f"the Vercel project {self.project}",
                error.cause,
                f"Production delivers the deployment already, so the next run does not repeat this: purge the tags "
                f"{', '.join(tags)} at Vercel (the project, CDN, Caches).",
            ) from error

    def remove_previews(self, branch: str) -> list[Facts]:
        """Remove the previews of a branch, as when its pull request is closed; never what production delivers."""
        live = self.live()
        rows = [row for row in self.of(branch=branch, target="preview") if row.get("uid") != live]
        for row in rows if not self.client.check else ():
            self.client.send("DELETE", f"/v13/deployments/{row['uid']}", missing=(404,))
        return rows

    @property
    def _promotion(self) -> str:
        return f"/v10/projects/{self.project}/promote"

    def _delivered(self, number: str) -> None:
        begun = self.clock.monotonic()
        while True:
            self.client.refresh()
            settings = self.settings()
            if dig(settings, "targets.production.id") == number:
                return
            asked = settings.get("lastAliasRequest") or {}
            status = str(asked.get("jobStatus") or "pending") if asked.get("toDeploymentId") == number else "pending"
            late = self.clock.monotonic() - begun > self.seconds
            if status in ("failed", "skipped") or late:
                cause = f"the promotion is {status}" + (f" after {self.seconds:.0f} s" if late else "")
                raise InfraError(
                    "promote",
                    f"the deployment {number} of {self.project}",
                    f"{cause}{self._failed_domains()}",
                    "Production delivers what it delivered before. See the project's deployments at Vercel, then run "
                    "again.",
                )
            self.tell(f"{self.project}: the promotion is {status}")
            self._pause()

    def _failed_domains(self) -> str:
        rows = self.client.rows(f"/v1/projects/{self.project}/promote/aliases", failedOnly="true")
        names = sorted(str(row.get("alias")) for row in rows)
        return f", for {', '.join(names)}" if names else ""

    def _pause(self) -> None:
        self.clock.sleep(PAUSE)
        self.client.refresh()
