# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sentry: projects with their client keys and owners. Its alerts are in `sentry_alerts`.

The API takes a project's slug or its number in each path; declarations refer to the number, which never changes.
"""

from __future__ import annotations

import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._resources.kind import Facts, Property, Wanted
from ansible_collections.nexod.infra.plugins.module_utils._services.client import Client
from ansible_collections.nexod.infra.plugins.module_utils._services.resource import ID, Resource, dig

API = "/api/0"
ORGANIZATION = API + "/organizations/{organization}"
PROJECT = API + "/projects/{organization}/{project}"
PROJECTS = ORGANIZATION + "/projects/"
TEAM = API + "/teams/{organization}/{team}/"
KEYS = ORGANIZATION + "/project-keys/"
OWN_PROJECT = Property(required=True, about="Id or slug of the project, such as @sentry_project/api.")


class SentryKind(Resource):
    party, service = "Sentry", "sentry"
    #: Seconds: nothing of these takes time, so what is not shown soon was not accepted.
    patience = 30.0
    method = "PUT"

    def rows(self, client: Client, wanted: Wanted) -> list[Facts]:
        return self.listed(client, wanted, self.collection)

    def listed(self, client: Client, wanted: Wanted, collection: str) -> list[Facts]:
        try:
            return client.rows(self.path(client, collection, wanted))
        except InfraError as error:
            if error.facts.get("status") != 404:
                raise
            # Every list of the organization fails for this reason, which is reported once.
            raise InfraError(
                "find",
                f'the organization "{client.scope.get("organization")}"',
                f"Sentry does not know it, or not to this token ({error.cause})",
                "Set it to its slug (Sentry, Settings, General Settings), and check that the token is of that one.",
                status=404,
                everywhere="the organization at Sentry",
            ) from error

    def project_rows(self, client: Client, wanted: Wanted, collection: str) -> list[Facts]:
        """Those of its project: the list is the organization's, and read once for all of its projects."""
        given = str(wanted["project"])
        # A slug never consists of digits only.
        number = given if given.isdigit() else next((str(r["id"]) for r in self.projects(client, wanted, given)), "")
        return [row for row in self.listed(client, wanted, collection) if str(row.get("projectId")) == number]

    def projects(self, client: Client, wanted: Wanted, slug: str) -> list[Facts]:
        return [row for row in self.listed(client, wanted, PROJECTS) if row.get("slug") == slug]


class Project(SentryKind):
    """A project. The name of the declaration is its slug. Its removal loses its issues."""

    name, title, holds_data = "sentry_project", "Sentry project", True
    outputs = ("id", "slug")
    shows = {"id": "id", "slug": "slug"}
    collection = API + "/teams/{organization}/{team}/projects/"
    member = API + "/projects/{organization}/{name}/"
    identity, by_name = "slug", True
    places = frozenset({"team"})
    properties = {
        "team": Property(required=True, about="Slug of the team that it is created in. A later change is left alone."),
        "display_name": Property(about="Shown in Sentry; the slug by default, when it is created."),
        "platform": Property(about="Such as python-fastapi or javascript-nextjs."),
        "resolve_hours": Property("int", least=0, most=720, about="After how long an issue is resolved; 0 is never."),
    }
    fields = {"display_name": "name", "resolve_hours": "resolveAge"}

    def find(self, client: Client, wanted: Wanted) -> Facts | None:
        if "resolve_hours" in wanted.properties:
            # Only the project's own document has it.
            return super().find(client, wanted)
        return next(iter(self.projects(client, wanted, wanted.name)), None)

    def foresee(self, api: t.Any, wanted: Wanted) -> None:
        client = self.client(api)
        if client.get(self.path(client, TEAM, wanted)) is None:
            raise InfraError(
                "find",
                f'the team "{wanted["team"]}"',
                f"Sentry does not know it, and {self.name}/{wanted.name} is to be created in it",
                "Set it to the slug of a team of the organization (Sentry, Settings, Teams), or create it there.",
                everywhere=f"the team {wanted['team']} at Sentry",
            )

    def create(self, api: t.Any, wanted: Wanted) -> t.Collection[str] | None:
        document = {"name": wanted.name, "slug": wanted.name, "default_rules": False}
        names = [name for name in ("display_name", "platform") if name in wanted.properties]
        client = self.client(api)
        client.send("POST", self.path(client, self.collection, wanted), {**document, **self.document(wanted, names)})
        return [name for name in ("resolve_hours",) if name in wanted.properties]


class ClientKey(SentryKind):
    """A client key of a project, whose DSN an application sends its errors to. A DSN is no secret."""

    name, title = "sentry_key", "client key"
    outputs = ("id", "dsn")
    shows = {"id": "id", "dsn": "dsn.public"}
    collection, member = PROJECT + "/keys/", PROJECT + "/keys/{id}/"
    places = frozenset({"id", "project"})
    properties = {"id": ID, "project": OWN_PROJECT}

    def rows(self, client: Client, wanted: Wanted) -> list[Facts]:
        return self.project_rows(client, wanted, KEYS)


class Ownership(SentryKind):
    """Who owns which issues of a project. It always exists: state absent leaves it as it is."""

    name, title, permanent = "sentry_ownership", "ownership rules", True
    outputs, shows = (), {}
    collection = member = PROJECT + "/ownership/"
    by_name = True
    places = frozenset({"project"})
    properties = {
        "project": OWN_PROJECT,
        "rules": Property(about='Lines such as "path:app/billing/* #billing", in the syntax of Sentry.'),
        "fallthrough": Property("bool", about="Whether everybody owns what no rule names."),
    }
    fields = {"rules": "raw"}


class Integration(SentryKind):
    """An installed integration, such as the workspace of Slack. It is found, never created: that needs a browser."""

    name, title, permanent = "sentry_integration", "integration", True
    outputs = ("id",)
    collection = ORGANIZATION + "/integrations/"
    member = collection + "{id}/"
    places = frozenset({"provider", "called"})
    properties = {
        "provider": Property(
            required=True,
            choices=("slack", "pagerduty", "github", "msteams", "discord", "opsgenie"),
            about="Its type.",
        ),
        "called": Property(required=True, about="Its name in Sentry, such as that of the workspace."),
    }

    def find(self, client: Client, wanted: Wanted) -> Facts:
        known = [row for row in self.rows(client, wanted) if dig(row, "provider.key") == wanted["provider"]]
        found = [row for row in known if row.get("name") == wanted["called"]]
        if len(found) == 1:
            return found[0]
        names = ", ".join(sorted(f"{row.get('name')!r}" for row in known)) or "none"
        raise InfraError(
            "find",
            f"{self.name}/{wanted.name}",
            f"Sentry has {len(found)} integrations of {wanted['provider']} named {wanted['called']!r}, and needs one "
            f"(there is {names})",
            "Install it in Sentry (Settings, Integrations), or correct the name.",
        )
