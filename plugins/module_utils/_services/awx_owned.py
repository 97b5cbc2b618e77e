# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What on AWX is ours and no longer declared, and whether a token may change what is declared.

AWX has no tags. Ours is what has our mark in its description, and what is a part of such an object: the nodes of a
workflow, and the rights of a team.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._resources.declaration import Declared
from ansible_collections.nexod.infra.plugins.module_utils._resources.engine import Change
from ansible_collections.nexod.infra.plugins.module_utils._resources.kind import Facts
from ansible_collections.nexod.infra.plugins.module_utils._services.catalogue import KINDS
from ansible_collections.nexod.infra.plugins.module_utils._services.client import Client
from ansible_collections.nexod.infra.plugins.module_utils._services.kinds.awx import API, AwxKind, accept
from ansible_collections.nexod.infra.plugins.module_utils._services.kinds.awx_jobs import GRANTED_ON
from ansible_collections.nexod.infra.plugins.module_utils._services.resource import MARK

#: Kinds with an organization of their own.
ORGANIZED = (
    "awx_team",
    "awx_credential",
    "awx_notification_template",
    "awx_execution_environment",
    "awx_project",
    "awx_inventory",
    "awx_job_template",
    "awx_workflow",
)
#: Each before those that refer to it, and are therefore removed before it.
RANKS = (
    "awx_credential_type",
    *ORGANIZED[:6],
    "awx_inventory_source",
    *ORGANIZED[6:],
    "awx_workflow_node",
    "awx_schedule",
    "awx_role",
)
#: Kinds whose names are unique in all of AWX, and which an organization's administrator may not change.
OF_ALL = ("awx_organization", "awx_credential_type")
EMPTY: dict[str, t.Any] = {"str": "", "list": [], "dict": {}}
#: AWX's name of a type of objects, and the part of the path with its objects.
PATHS = {name.removesuffix("s") if name != "inventories" else "inventory": name for name in GRANTED_ON}


def mark_of(organization: str) -> str:
    """What ends the description of everything that an organization's declaration has made."""
    return f"({MARK} {organization})"


def is_ours(row: Facts, mark: str) -> bool:
    """Credentials and notification templates have a fingerprint in the place of the mark."""
    description = str(row.get("description") or "")
    return description.endswith(mark) or description == MARK or description.startswith(f"{MARK} ")


@dataclasses.dataclass(frozen=True)
class Found(Declared):
    """Something that exists, as a declaration. Names of schedules and nodes are only unique within what they are of."""

    of: str = ""

    @property
    def key(self) -> str:
        return f"{self.kind.name}/{self.name}" + (f" of {self.of}" if self.of else "")


#: Kind, id, what the kind needs to find it, and what it is of.
Row = tuple[str, int, Facts, str]


def owned(client: Client, organization: str) -> t.Iterator[Row]:
    """Everything of ours in the organization."""
    accept(client)
    mark = mark_of(organization)
    for row in client.rows(f"{API}/credential_types/"):
        if not row.get("managed") and str(row.get("description") or "").endswith(mark):
            yield "awx_credential_type", row["id"], {"name": row["name"]}, ""
    found = [str(row["id"]) for row in client.rows(f"{API}/organizations/") if row["name"] == organization]
    if not found:
        return
    ours: dict[str, dict[str, str]] = {name: {} for name in ORGANIZED}
    kinds = {name: kind for name in ORGANIZED if isinstance(kind := KINDS[name], AwxKind)}
    for name, kind in kinds.items():
        for row in client.rows(kind.collection, organization=found[0]):
            if is_ours(row, mark):
                ours[name][str(row["id"])] = row["name"]
                place = {"name": row["name"], "organization": found[0]}
                if name != "awx_credential":
                    yield name, row["id"], place, ""
                    continue
                of = ((row.get("summary_fields") or {}).get("credential_type") or {}).get("name") or ""
                yield name, row["id"], {**place, "credential_type": str(row["credential_type"])}, str(of)
    for row in client.rows(f"{API}/schedules/", unified_job_template__organization=found[0]):
        if is_ours(row, mark):
            template = (row.get("summary_fields") or {}).get("unified_job_template") or {}
            of = str(template.get("name") or row["unified_job_template"])
            yield "awx_schedule", row["id"], {"name": row["name"], "template": str(row["unified_job_template"])}, of
    yield from parts(client, mark, ours)


def parts(client: Client, mark: str, ours: t.Mapping[str, t.Mapping[str, str]]) -> t.Iterator[Row]:
    """What is below inventories, workflows and teams of ours."""
    for inventory, title in ours["awx_inventory"].items():
        for row in client.rows(f"{API}/inventory_sources/", inventory=inventory):
            if is_ours(row, mark):
                yield "awx_inventory_source", row["id"], {"name": row["name"], "inventory": inventory}, title
    for workflow, title in ours["awx_workflow"].items():
        for row in client.rows(f"{API}/workflow_job_template_nodes/", workflow_job_template=workflow):
            yield "awx_workflow_node", row["id"], {"name": row["identifier"], "workflow": workflow}, title
    for team, title in ours["awx_team"].items():
        for row in client.rows(f"{API}/teams/{team}/roles/"):
            about = row.get("summary_fields") or {}
            if on := PATHS.get(str(about.get("resource_type"))):
                role = role_field(client, on, about["resource_id"], row["id"])
                what = {"team": team, "role": role, "on": on, "object": str(about["resource_id"])}
                yield "awx_role", row["id"], {"name": f"{title} {role} {about.get('resource_name')}", **what}, ""


def role_field(client: Client, on: str, number: t.Any, role: int) -> str:
    """The name of a role as declarations have it: AWX shows what it is called, which need not be the same."""
    summary = (client.get(f"{API}/{on}/{number}/") or {}).get("summary_fields") or {}
    names = [name for name, one in (summary.get("object_roles") or {}).items() if one["id"] == role]
    return names[0].removesuffix("_role") if names else str(role)


def undeclared(client: Client, organization: str, outputs: t.Mapping[str, Facts]) -> list[Declared]:
    """What is ours and not among the outputs of what is declared, each after what it needs."""
    known = {(key.partition("/")[0], str(values["id"]), values.get("holder")) for key, values in outputs.items()}
    rows = [
        (kind, place, of)
        for kind, number, place, of in owned(client, organization)
        if (kind, str(number), f"teams/{place['team']}" if kind == "awx_role" else None) not in known
    ]
    rows.sort(key=lambda row: RANKS.index(row[0]))
    found: list[Declared] = []
    for kind, place, of in rows:
        earlier = frozenset(one.key for one in found if one.kind.name != kind)
        # Of what is only removed, nothing else is looked at.
        empty = {name: EMPTY[one.type] for name, one in KINDS[kind].properties.items() if one.required}
        defaults = {name: one.default for name, one in KINDS[kind].properties.items() if one.default is not None}
        given = {name: value for name, value in place.items() if name != "name"}
        found.append(Found(KINDS[kind], str(place["name"]), {**empty, **defaults, **given}, earlier, of))
    return found


def may_change(client: Client, organization: str, changes: t.Sequence[Change]) -> InfraError | None:
    """Why this token would make only a part of the changes; None if nothing shows that."""
    kinds = {one.key.partition("/")[0] for one in changes if one.key.startswith("awx_")}
    rows = client.rows(f"{API}/me/") if kinds else []
    if not rows or rows[0].get("is_superuser"):
        return None
    name = rows[0].get("username")
    advice = "Use the token of an administrator of AWX, with the scope write. Nothing was changed."
    above = sorted(kinds & set(OF_ALL))
    if above:
        what = " and ".join(f"{KINDS[one].title}s" for one in above)
        return InfraError("change", what, f"only an administrator of AWX may, and the token is of {name}", advice)
    administered = client.rows(f"{API}/users/{rows[0]['id']}/admin_of_organizations/")
    if any(row["name"] == organization for row in administered):
        return None
    advice = f"Make {name} an administrator of the organization, or use another token. Nothing was changed."
    return InfraError("change", f"the organization {organization}", f"{name} is no administrator of it", advice)
