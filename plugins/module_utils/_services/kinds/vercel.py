# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Vercel: projects with their domains and environment variables."""

from __future__ import annotations

import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._resources.kind import (
    FIXED,
    Facts,
    Property,
    Seen,
    Wanted,
    same_set,
)
from ansible_collections.nexod.infra.plugins.module_utils._services.client import Client
from ansible_collections.nexod.infra.plugins.module_utils._services.resource import (
    ID,
    MARK,
    UNREADABLE,
    Resource,
    dig,
    marked,
    recognized,
)

PROJECT = "/v9/projects/{project}"
#: How DNS leads to Vercel. With dns-01 there can be a certificate, but DNS leads elsewhere.
LEADS_HERE = ("A", "CNAME", "http")
OWN_PROJECT = Property(required=True, about="Id or name of the project, such as @vercel_project/app.")
TARGETS = ("production", "preview", "development")


class VercelKind(Resource):
    party, service = "Vercel", "vercel"
    #: Seconds: nothing of these takes time, so what is not shown soon was not accepted.
    patience = 30.0


class Project(VercelKind):
    """A project with its build settings. Its removal loses its deployments and variables."""

    name, title, holds_data = "vercel_project", "Vercel project", True
    outputs = ("id", "name")
    shows = {"id": "id", "name": "name"}
    collection, member, by_name = "/v11/projects", "/v9/projects/{name}", True
    places = frozenset({"repository"})
    properties = {
        "repository": Property(
            "dict",
            about="`type` (`github`, `gitlab` or `bitbucket`) and `repo` (`owner/name`) that it deploys, when it is "
            "created. A later change is made in Vercel's dashboard.",
        ),
        "framework": Property(about="Such as nextjs."),
        "root_directory": Property(about="Folder of the front end in the repository."),
        "build_command": Property(about="Instead of the framework's."),
        "install_command": Property(about="Instead of the framework's."),
        "output_directory": Property(about="Instead of the framework's."),
        "node_version": Property(about="Such as 22.x."),
        "assign_domains": Property(
            "bool",
            about="Whether each new production deployment gets the domains by itself. With false, a deployment is "
            "delivered when it is promoted, as the stage frontend does after the API serves.",
        ),
        "protection": Property(
            choices=("none", "preview", "prod_deployment_urls_and_all_previews", "all_except_custom_domains", "all"),
            about="Which deployments only members of the team may open.",
        ),
    }
    fields = {
        "root_directory": "rootDirectory",
        "build_command": "buildCommand",
        "install_command": "installCommand",
        "output_directory": "outputDirectory",
        "node_version": "nodeVersion",
        "assign_domains": "autoAssignCustomDomains",
    }
    #: What Vercel takes when a project is created. It refuses unknown fields.
    created = ("framework", "root_directory", "build_command", "install_command", "output_directory")

    def create(self, api: t.Any, wanted: Wanted) -> t.Collection[str] | None:
        names = [name for name in self.created if name in wanted.properties]
        document = {"name": wanted.name, **self.document(wanted, names)}
        if "repository" in wanted.properties:
            document["gitRepository"] = wanted["repository"]
        client = self.client(api)
        client.send("POST", self.collection, document)
        return [name for name in wanted.properties if name not in self.created and name not in self.places]

    def find(self, client: Client, wanted: Wanted) -> Facts | None:
        row = super().find(client, wanted)
        if row is not None:
            # Its domains refer to it by its id, and find there how DNS leads to them.
            client.share(self.path(client, self.member, wanted), f"/v9/projects/{row.get('id')}")
        return row

    def document(self, wanted: Wanted, names: t.Collection[str]) -> dict[str, t.Any]:
        sent = super().document(wanted, [name for name in names if name != "protection"])
        if "protection" in names:
            kind = wanted["protection"]
            sent["ssoProtection"] = None if kind == "none" else {"deploymentType": kind}
        return sent

    def seen_row(self, client: Client, wanted: Wanted, row: Facts) -> Facts:  # noqa: ARG002 - one signature
        if "protection" not in wanted.properties:
            return {}
        return {"protection": dig(row, "ssoProtection.deploymentType") or "none"}


class Domain(VercelKind):
    """A domain of a project, with the DNS record that is missing while it is not verified or not configured."""

    name, title = "vercel_domain", "domain"
    outputs = ("id", "verified")
    shows = {"id": "name", "verified": "verified"}
    collection, member = "/v10/projects/{project}/domains", PROJECT + "/domains/{name}"
    places = frozenset({"project"})
    properties = {
        "project": OWN_PROJECT,
        "git_branch": Property(about="Branch whose deployments it serves; by default, production's."),
        "redirect": Property(about="Domain that it redirects to."),
    }
    fields = {"git_branch": "gitBranch"}

    def rows(self, client: Client, wanted: Wanted) -> list[Facts]:
        return client.rows(self.path(client, PROJECT + "/domains", wanted))

    def later(self, wanted: Wanted, seen: Seen, changed: t.Collection[str]) -> str:  # noqa: ARG002 - one signature
        return str(seen.properties.get("missing_record", ""))

    def seen_row(self, client: Client, wanted: Wanted, row: Facts) -> Facts:
        return {"missing_record": self.missing_record(client, wanted, row)}

    def leads_here(self, client: Client, wanted: Wanted) -> bool:
        """Whether the project's document says so already, which spares a request for each domain."""
        project = client.get(self.path(client, PROJECT, wanted)) or {}
        rows = [one for one in project.get("alias") or () if one.get("domain") == wanted.name]
        return any(one.get("configuredBy") in LEADS_HERE for one in rows)

    def missing_record(self, client: Client, wanted: Wanted, row: Facts) -> str:
        """The DNS record to set, in words; empty if there is none to set."""
        wanting = [one for one in row.get("verification") or () if isinstance(one, t.Mapping)]
        if not row.get("verified") and wanting:
            one = wanting[0]
            return f"it waits for the DNS record {one.get('type')} {one.get('domain')} {one.get('value')}"
        if self.leads_here(client, wanted):
            return ""
        config = client.get(f"/v6/domains/{wanted.name}/config") or {}
        if not config.get("misconfigured"):
            return ""
        addresses = [one.get("value") for one in config.get("recommendedIPv4") or () if one.get("rank") == 1]
        names = [one.get("value") for one in config.get("recommendedCNAME") or () if one.get("rank") == 1]
        apex = wanted.name.count(".") == 1
        if names and not apex:
            return f"it waits for the DNS record CNAME {wanted.name} {names[0]}"
        value = addresses[0] if addresses else "76.76.21.21"
        return f"it waits for the DNS record A {wanted.name} {value[0] if isinstance(value, list) else value}"


class Variable(VercelKind):
    """An environment variable of a project, for some of its targets.

    The name of the declaration is its key, or any other name if `key` is given: one key may have a value for each
    target. A value of `secret` can't be read back. It is recognized by a fingerprint in the variable's comment, so a
    change that somebody makes in the dashboard without touching the comment is not seen.
    """

    name, title = "vercel_variable", "environment variable"
    outputs = ("id",)
    collection, member = "/v10/projects/{project}/env", PROJECT + "/env/{id}"
    places = frozenset({"id", "project", "key"})
    properties = {
        "id": ID,
        "project": OWN_PROJECT,
        "key": Property(change=FIXED, about="Name of the variable, if the declaration has another one."),
        "targets": Property(
            "list", required=True, same=same_set, about="Some of `production`, `preview`, `development`."
        ),
        "value": Property(about="Its value, if that is no secret; may be a reference."),
        "secret": Property(secret=True, about="Its value, if that is a secret; Vercel then never shows it."),
        "git_branch": Property(about="Only for this branch; its only target is preview."),
    }
    fields = {"targets": "target", "git_branch": "gitBranch"}

    def faults(self, given: Facts) -> list[str]:
        faults = [
            f"targets has {one}; there are {', '.join(TARGETS)}" for one in given["targets"] if one not in TARGETS
        ]
        if ("value" in given) == ("secret" in given):
            faults.append("it needs either value or secret")
        if "secret" in given and "development" in given["targets"]:
            faults.append("Vercel has no secret variables for development: declare that target apart, with a value")
        return faults

    def rows(self, client: Client, wanted: Wanted) -> list[Facts]:
        return client.rows(self.path(client, self.collection, wanted), paged=False)

    def find(self, client: Client, wanted: Wanted) -> Facts | None:
        if self.within_later(wanted):
            return None
        key, branch = self.key_of(wanted), wanted.properties.get("git_branch")
        rows = [
            row
            for row in self.rows(client, wanted)
            if row.get("key") == key and (row.get("gitBranch") or None) == branch
        ]
        if known := wanted.properties.get("id"):
            rows = [row for row in rows if row.get("id") == known]
        shared = [row for row in rows if set(targets_of(row)) & set(wanted["targets"])]
        if len(shared) > 1:
            ids = ", ".join(f"{row.get('id')} for {'+'.join(targets_of(row))}" for row in shared)
            raise InfraError(
                "choose",
                f"{self.name}/{wanted.name}",
                f"{len(shared)} variables named {key} have these targets ({ids})",
                "Declare each target as the variables have them, or remove the others. Nothing was done to them.",
            )
        return shared[0] if shared else None

    def create(self, api: t.Any, wanted: Wanted) -> t.Collection[str] | None:
        client = self.client(api)
        # With upsert, a variable that was created while an answer was lost is no error.
        answer = client.send("POST", self.path(client, self.collection, wanted), self.row(wanted), upsert="true")
        failed = (answer or {}).get("failed") or []
        if failed:
            error = dig(failed[0], "error") or {}
            raise InfraError(
                "create",
                f"{self.name}/{wanted.name}",
                f"Vercel refused it: {error.get('message') or error.get('code') or 'it does not say why'}",
                "Correct the declaration, or remove the variable that is in the way, then run again.",
            )
        return None

    def update(self, api: t.Any, wanted: Wanted, seen: Seen, changed: t.Collection[str]) -> t.Collection[str] | None:  # noqa: ARG002 - always all
        client = self.client(api)
        client.send("PATCH", self.path(client, self.member, wanted, seen.outputs["id"]), self.row(wanted))
        return None

    def row(self, wanted: Wanted) -> dict[str, t.Any]:
        hidden = wanted.properties.get("secret")
        row = {
            "key": self.key_of(wanted),
            "value": wanted["value"] if hidden is None else hidden,
            "type": "plain" if hidden is None else "sensitive",
            "target": list(wanted["targets"]),
            "comment": MARK if hidden is None else marked(hidden),
        }
        return {**row, **({"gitBranch": wanted["git_branch"]} if "git_branch" in wanted.properties else {})}

    def seen_row(self, client: Client, wanted: Wanted, row: Facts) -> Facts:  # noqa: ARG002 - one signature
        seen: dict[str, t.Any] = {"targets": targets_of(row)}
        if "secret" in wanted.properties:
            ours = row.get("type") == "sensitive" and recognized(wanted["secret"], str(row.get("comment") or ""))
            seen["secret"] = wanted["secret"] if ours else UNREADABLE
        else:
            seen["value"] = row.get("value") if row.get("type") == "plain" else UNREADABLE
        return seen

    @staticmethod
    def key_of(wanted: Wanted) -> str:
        return str(wanted.properties.get("key") or wanted.name)


def targets_of(row: Facts) -> list[str]:
    target = row.get("target") or []
    return [target] if isinstance(target, str) else list(target)
