# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Supabase project: restored if it is paused, healthy, of the declared version, and by which way it is reached."""

from __future__ import annotations

import dataclasses
import re
import socket
import time
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._core.lines import Tell, nobody
from ansible_collections.nexod.infra.plugins.module_utils._services.client import Client

Json = t.Mapping[str, t.Any]

DASHBOARD = "https://supabase.com/dashboard/project"
#: Session mode keeps a session for a client; transaction mode shares it: no locks or settings that outlive a statement.
SESSION_PORT, TRANSACTION_PORT = 5432, 6543
DATABASE_PORT = 5432
#: For how long a project may still be shown as paused after its restore was accepted.
ACCEPTED_SECONDS = 60.0
REF = re.compile(r"[a-z]{20}")

READY, WAIT, RESTORE, FAILED = "ready", "wait", "restore", "failed"
#: By status, as Supabase's OpenAPI document lists them: what follows from it. Of one that is new, it is waited for.
STATUSES = {
    "ACTIVE_HEALTHY": READY,
    # It runs; whether what is needed does, its health says.
    "ACTIVE_UNHEALTHY": READY,
    "INACTIVE": RESTORE,
    "PAUSING": WAIT,
    "RESTORING": WAIT,
    "COMING_UP": WAIT,
    "RESTARTING": WAIT,
    "RESIZING": WAIT,
    "UPGRADING": WAIT,
    "UNKNOWN": WAIT,
    "GOING_DOWN": FAILED,
    "REMOVED": FAILED,
    "INIT_FAILED": FAILED,
    "PAUSE_FAILED": FAILED,
    "RESTORE_FAILED": FAILED,
}
#: While a restore is under way; a project that is paused after one of them has fallen back.
COMING = ("RESTORING", "COMING_UP")
NEW_PROJECT = "Create a new project ({dashboard}), and set its ref."
SUPPORT = "Ask Supabase's support (https://supabase.com/dashboard/support/new), or create a new project."
NEXT_STEPS = {
    "GOING_DOWN": f"It is being removed. {NEW_PROJECT}",
    "REMOVED": f"It was removed. {NEW_PROJECT}",
    "INIT_FAILED": "Its creation has failed: remove it in the dashboard, create a new project, and set its ref.",
    "PAUSE_FAILED": f"Restore it in the dashboard ({{page}}), then run again. {SUPPORT}",
    "RESTORE_FAILED": f"Try again in the dashboard ({{page}}), then run again. If it fails there too: {SUPPORT}",
}
FALLEN_BACK = (
    "Read the reason in the dashboard ({page}), restore it there, or download its backup and load it into a new "
    "project; then run again."
)
#: What a refusal of the restore contains, and what to do then. The texts are no part of Supabase's documented API.
REFUSALS = (
    (
        re.compile(r"maximum limits|project limit|limit.*active|active.*limit", re.IGNORECASE),
        "Pause another free project of the organization, or change its plan, then run again.",
    ),
    (
        re.compile(r"too long|window|cannot be restored|can no longer be restored|90 days", re.IGNORECASE),
        "The time in which it can be restored is over: download its backup in the dashboard ({page}), load it into a "
        "new project, and set that one's ref.",
    ),
)


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What is asked for. `way`: auto, direct or session_pooler; `version`: major version, 0 for any."""

    ref: str
    restore: bool = True
    services: tuple[str, ...] = ("db", "auth", "rest")
    version: int = 0
    way: str = "auto"
    wait_seconds: float = 1800
    poll_seconds: float = 5
    connect_seconds: float = 5


@dataclasses.dataclass
class Found:
    """What there is, and what was done."""

    changed: bool
    status_before: str
    project: dict[str, t.Any]
    way: str
    reason: str
    host: str
    port: int
    user_suffix: str
    services: list[dict[str, t.Any]] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True)
class Way:
    name: str
    reason: str
    host: str
    port: int
    user_suffix: str = ""


def step_of(status: str, seen: t.Sequence[str], *, sent: bool, waited: float = 0) -> str:
    """What follows from `status`, after the statuses `seen` before it; "fell back" if a restore ended where it began.

    `sent`: whether this run has asked for a restore; `waited`: the seconds since then.
    """
    step = STATUSES.get(status, WAIT)
    if step != RESTORE:
        return step
    if any(one in COMING for one in seen):
        return "fell back"
    if sent:
        return WAIT if waited < ACCEPTED_SECONDS else "fell back"
    return RESTORE


def chosen_way(way: str, database: Json, ref: str, unreachable: str, pooler: t.Callable[[], t.Sequence[Json]]) -> Way:
    """How to reach the database. `unreachable`: why its own address can't be reached from here, empty if it can.

    `pooler` reads the pooler's addresses; it is asked only if it is needed.
    """
    direct = str(database.get("host") or f"db.{ref}.supabase.co")
    own = f"{direct}:{DATABASE_PORT}"
    if way == "direct" or (way == "auto" and not unreachable):
        if unreachable:
            raise InfraError(
                "reach",
                own,
                unreachable,
                "Use a network with IPv6 or Supabase's IPv4 add-on, or let the way be auto or session_pooler.",
            )
        why = "as declared" if way == "direct" else "its own address can be reached"
        return Way("direct", why, direct, DATABASE_PORT)
    rows = [row for row in pooler() if row.get("database_type", "PRIMARY") == "PRIMARY"]
    if not rows:
        raise InfraError(
            "find the pooler of",
            f"project {ref}",
            "Supabase lists none for its database",
            f"Check the pooler in the dashboard ({DASHBOARD}/{ref}/database/settings), or use a network with IPv6.",
        )
    # Supavisor serves both modes at one host. What is listed is mostly transaction mode, at a port of its own.
    row = next((row for row in rows if row.get("pool_mode") == "session"), rows[0])
    listed = int(row.get("db_port") or 0)
    in_session = row.get("pool_mode") == "session" and listed not in (0, TRANSACTION_PORT)
    user = str(row.get("db_user") or f"postgres.{ref}")
    why = "as declared" if way == "session_pooler" else f"{own} can't be reached from here ({unreachable})"
    return Way(
        "session_pooler",
        why,
        str(row["db_host"]),
        listed if in_session else SESSION_PORT,
        user[user.index(".") :] if "." in user else f".{ref}",
    )


def unreachable_from_here(host: str, port: int, seconds: float) -> str:
    """Why no connection to `host` can be opened here; empty if one can."""
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        return f"its name has no address here: {error.strerror or error}"
    reasons = []
    for family, kind, protocol, _name, address in addresses:
        try:
            with socket.socket(family, kind, protocol) as one:
                one.settimeout(seconds)
                one.connect(address)
                return ""
        except OSError as error:
            version = "IPv6" if family == socket.AF_INET6 else "IPv4"
            reasons.append(f"{version}: {error.strerror or error}")
    return ", ".join(dict.fromkeys(reasons))


class Project:
    """One project by its ref."""

    def __init__(
        self,
        client: Client,
        wanted: Wanted,
        tell: Tell = nobody,
        *,
        clock: t.Any = time,
        unreachable: t.Callable[[str, int, float], str] = unreachable_from_here,
    ) -> None:
        self.client, self.wanted, self.tell, self.clock, self.unreachable = client, wanted, tell, clock, unreachable
        self.begun = clock.monotonic()
        self.path = f"/v1/projects/{wanted.ref}"
        self.name = f"project {wanted.ref}"

    @property
    def page(self) -> str:
        return f"{DASHBOARD}/{self.wanted.ref}"

    def present(self) -> Found:
        """Restore and wait as far as that is needed. Sends nothing that changes anything in check mode."""
        if not REF.fullmatch(self.wanted.ref):
            raise InfraError(
                "look up",
                f'project "{self.wanted.ref}"',
                "a ref is 20 lower-case letters",
                f"Copy it from the address of the project in the dashboard: {DASHBOARD}/REF.",
            )
        project = self.read()
        before = str(project["status"])
        self.check_version(project)
        restored, ready = self.active(project)
        if not ready:
            return Found(restored, before, self.shown(project), **self.predicted(project))
        services = self.healthy()
        project = self.read()
        # Supabase restores to its current release, which may have another major version.
        self.check_version(project)
        way = self.way(project)
        return Found(
            restored, before, self.shown(project), way.name, way.reason, way.host, way.port, way.user_suffix, services
        )

    # -- the project

    def read(self) -> dict[str, t.Any]:
        try:
            found = self.client.get(self.path)
        except InfraError as error:
            if error.facts.get("status") == 403:
                raise self.another(error) from error
            raise
        if found is None:
            raise InfraError(
                "look up",
                self.name,
                "there is no such project",
                f"Set the ref of one that the token sees: {self.seen_by_token()}.",
            )
        return t.cast("dict[str, t.Any]", found)

    def another(self, error: InfraError) -> InfraError:
        return InfraError(
            "look up",
            self.name,
            f"the token of SUPABASE_ACCESS_TOKEN may not see it, as it is of another organization ({error.cause})",
            "Create a token as a member of the project's organization, or set the ref of a project that the token sees:"
            f" {self.seen_by_token()}.",
            status=403,
        )

    def seen_by_token(self) -> str:
        try:
            rows = self.client.rows("/v1/projects")
        except InfraError:
            return f"they are listed at {DASHBOARD}s"
        return ", ".join(f"{row['ref']} ({row['name']}, {row['status']})" for row in rows) or "it sees none"

    def check_version(self, project: Json) -> None:
        found = str((project.get("database") or {}).get("postgres_engine") or "")
        major = re.match(r"\d+", found) or re.match(r"\d+", str((project.get("database") or {}).get("version") or ""))
        if not self.wanted.version or major is None or int(major[0]) == self.wanted.version:
            return
        raise InfraError(
            "use",
            self.name,
            f"it runs PostgreSQL {major[0]}, and {self.wanted.version} is declared",
            f"Use a project with PostgreSQL {self.wanted.version}, so that migrations run as in production, or change "
            "the declared version.",
        )

    def shown(self, project: Json) -> dict[str, t.Any]:
        kept = {name: project.get(name) for name in ("ref", "name", "region", "status", "organization_slug")}
        version = str((project.get("database") or {}).get("version") or "")
        return {**kept, "database_version": version, "api_url": f"https://{self.wanted.ref}.supabase.co"}

    # -- its status

    def active(self, project: Json) -> tuple[bool, bool]:
        """Wait until it runs: whether it had to be restored, or in check mode would have to be, and whether it runs."""
        seen: list[str] = []
        sent_at: float | None = None
        while True:
            status = str(project["status"])
            waited = self.clock.monotonic() - sent_at if sent_at is not None else 0.0
            step = step_of(status, seen, sent=sent_at is not None, waited=waited)
            if not seen or seen[-1] != status:
                self.tell(f"{self.name} ({project['name']}): {status}")
                seen.append(status)
            if step == READY:
                return sent_at is not None, True
            if step == FAILED:
                self.refuse(f"its status is {status}", NEXT_STEPS[status])
            if step == "fell back":
                self.refuse("its restore has ended with the project paused again", FALLEN_BACK)
            if step == RESTORE:
                if not self.wanted.restore:
                    self.refuse(
                        "it is paused", "Restore it in the dashboard ({page}), or let this run do so (restore)."
                    )
                if self.client.check:
                    return True, False
                self.restore()
                sent_at = self.clock.monotonic()
            elif self.client.check:
                # What is under way ends without us; when, and in what state, only the real run can know.
                return status == "PAUSING" and self.wanted.restore, False
            self.pause(f"its status is still {status}")
            project = self.read()

    def restore(self) -> None:
        self.tell(f"{self.name}: restoring it, which takes minutes")
        try:
            self.client.send("POST", f"{self.path}/restore")
        except InfraError as error:
            if error.facts.get("status") != 400:
                raise
            if re.search(r"not paused", error.cause):  # somebody else has restored it meanwhile
                return
            found = (text for pattern, text in REFUSALS if pattern.search(error.cause))
            advice = next(found, "Restore it in the dashboard ({page}), which shows the reason, then run again.")
            raise InfraError(
                "restore", self.name, error.cause, advice.format(page=self.page, dashboard=DASHBOARD), status=400
            ) from error

    def healthy(self) -> list[dict[str, t.Any]]:
        """Wait until all services that are needed are."""
        if not self.wanted.services:
            return []
        told = ""
        while True:
            rows = self.client.get(f"{self.path}/health", services=list(self.wanted.services))
            shown = [
                {"name": row["name"], "healthy": bool(row.get("healthy")), "error": row.get("error") or ""}
                for row in rows or ()
            ]
            answered = {row["name"] for row in shown if row["healthy"]}
            lacking = [name for name in self.wanted.services if name not in answered]
            if not lacking:
                return shown
            errors = {row["name"]: row["error"] for row in shown if row["error"]}
            text = ", ".join(f"{name} ({errors[name]})" if name in errors else name for name in lacking)
            if self.client.check:
                return shown
            if text != told:
                self.tell(f"{self.name}: waiting for {text}")
                told = text
            self.pause(f"not healthy: {text}")

    def pause(self, cause: str) -> None:
        if self.clock.monotonic() - self.begun + self.wanted.poll_seconds > self.wanted.wait_seconds:
            self.refuse(
                f"{cause} after {self.wanted.wait_seconds:g} s",
                "Look at the project in the dashboard ({page}), then run again, with a longer wait if need be.",
            )
        self.clock.sleep(self.wanted.poll_seconds)
        self.client.refresh()

    def refuse(self, cause: str, next_step: str) -> t.NoReturn:
        raise InfraError("use", self.name, cause, next_step.format(page=self.page, dashboard=DASHBOARD))

    # -- the way in

    def way(self, project: Json) -> Way:
        database = project.get("database") or {}
        unreachable = ""
        if self.wanted.way != "session_pooler":
            host = str(database.get("host") or f"db.{self.wanted.ref}.supabase.co")
            unreachable = self.unreachable(host, DATABASE_PORT, self.wanted.connect_seconds)
        return chosen_way(
            self.wanted.way,
            database,
            self.wanted.ref,
            unreachable,
            lambda: t.cast("list[Json]", self.client.rows(f"{self.path}/config/database/pooler")),
        )

    def predicted(self, project: Json) -> dict[str, t.Any]:
        """In check mode of a project that would be restored: nothing can be reached, at an address that shows why."""
        way = "direct" if self.wanted.way == "direct" else "session_pooler"
        why = "as declared" if self.wanted.way != "auto" else "decided when the project runs"
        suffix = "" if way == "direct" else f".{project['ref']}"
        return {"way": way, "reason": why, "host": PAUSED_HOST, "port": DATABASE_PORT, "user_suffix": suffix}


#: A name that resolves nowhere (RFC 2606).
PAUSED_HOST = "supabase-project.is-paused.invalid"
