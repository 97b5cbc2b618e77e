# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""AWX and Automation Controller: organizations, credentials, projects and inventories."""

from __future__ import annotations

import dataclasses
import json
import re
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._resources.kind import (
    FIXED,
    LATER,
    Facts,
    Property,
    Seen,
    Wanted,
)
from ansible_collections.nexod.infra.plugins.module_utils._services.client import Client
from ansible_collections.nexod.infra.plugins.module_utils._services.resource import (
    MARK,
    UNREADABLE,
    Resource,
    declared_part,
    marked,
    recognized,
)

API = "/api/v2"
OLDEST, OLDEST_CONTROLLER = (24, 0), (4, 5)
#: Statuses of a project or a source whose update has not ended.
UNDER_WAY = ("new", "pending", "waiting", "running")
FAILED = ("failed", "error", "canceled", "missing")
#: The field of the types of machines and of git that AWX takes only a private key for.
KEY = "ssh_key_data"
PRIVATE_KEY = re.compile(
    r"^-{4,} *BEGIN ([A-Z ]*PRIVATE KEY) *-{4,}\s.*\S\s*-{4,} *END \1 *-{4,}", re.DOTALL | re.MULTILINE
)
#: An image as container registries know it: a host that may have a port, a path, a tag, a digest.
IMAGE = re.compile(
    r"([A-Za-z0-9.-]+(:\d+)?/)?[a-z0-9]+([._-]+[a-z0-9]+)*(/[a-z0-9]+([._-]+[a-z0-9]+)*)*(:[\w][\w.-]{0,127})?"
    r"(@[A-Za-z][A-Za-z0-9]*([-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,})?"
)
EXAMPLE_IMAGE = "registry.example.com/nexod-infra-ee:1.0.0"
#: AWX's answer to the removal of what has a running job.
IN_USE = 409


def same_id(wanted: t.Any, seen: t.Any) -> bool:
    return str(wanted) == str(seen)


def one(kind: str, *, required: bool = True, change: str = "update", about: str = "") -> Property:
    """A property that refers to another object."""
    return Property(required=required, same=same_id, change=change, about=about or f"Its id, such as @{kind}/NAME.")


ORGANIZATION = one("awx_organization", about="Id of the organization that it belongs to.")


def same_trimmed(wanted: t.Any, seen: t.Any) -> bool:
    """AWX removes what begins or ends a text and is not seen, such as the end of the line of YAML's `|`."""
    return str(wanted).strip() == str(seen or "")


DESCRIPTION = Property(same=same_trimmed, about="Shown beside the name.")


def revealed(value: t.Any, secrets: Facts) -> tuple[t.Any, list[str]]:
    """The secrets in the place of their names."""
    wrong = [
        f".{name} names {given}, and secrets has no such entry"
        for name, given in value.items()
        if not secrets.get(given)
    ]
    values = {name: str(secrets.get(given) or "") for name, given in value.items()}
    if (key := values.get(KEY)) and not PRIVATE_KEY.search(key):
        wrong.append(
            f".{KEY} names {value[KEY]}, whose value AWX would not accept as a private key: give the whole text of its "
            "file, from -----BEGIN to -----END"
        )
    return values, wrong


SECRETS = Property(
    "dict",
    reveal=revealed,
    show=sorted,
    about="Secret fields, each with the name of its entry in the option `secrets`. AWX never shows them: they are "
    "recognized by a fingerprint in the description, so a change that somebody makes without touching the "
    "description is not seen.",
)


def accept(client: Client) -> None:
    """Ask for the version, once. Raises InfraError if AWX, or the controller, is too old."""
    if "version" in client.scope:
        return
    version = str((client.get(f"{API}/ping/") or {}).get("version", ""))
    found = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
    # An Automation Controller counts from 4: 4.5 is that of Ansible Automation Platform 2.4.
    if not (found >= OLDEST or OLDEST_CONTROLLER <= found < (5,)):
        raise InfraError(
            "use",
            "AWX",
            f"its version is {version or 'unknown'}",
            "Upgrade it: AWX 24, or Automation Controller 4.5, is the oldest that is supported. Nothing was changed.",
            everywhere="AWX",
        )
    client.scope["version"] = version


def document_of(text: t.Any) -> t.Any:
    """Variables, which AWX stores as text; what is no JSON was written by hand, and is as it is."""
    if not isinstance(text, str):
        return text
    try:
        return json.loads(text or "{}")
    except ValueError:
        return text


def associate(client: Client, path: str, wanted: t.Iterable[t.Any], seen: t.Iterable[t.Any]) -> None:
    """Associate what is declared with the object, and nothing else."""
    ours, theirs = [int(each) for each in wanted], [int(each) for each in seen]
    for number in theirs:
        if number not in ours:
            client.send("POST", path, {"id": number, "disassociate": True})
    for number in ours:
        if number not in theirs:
            client.send("POST", path, {"id": number})


class AwxKind(Resource):
    """An object of AWX, found by its name within its organization: another organization may have one of that name."""

    party, service = "AWX", "awx"
    outputs = ("id",)
    patience = 120.0
    #: Fields by which the list is narrowed.
    within: t.ClassVar[tuple[str, ...]] = ("organization",)

    def within_later(self, wanted: Wanted) -> bool:
        return any(LATER.fullmatch(str(wanted.properties.get(name, ""))) for name in self.within)

    def rows(self, client: Client, wanted: Wanted) -> list[Facts]:
        narrowed = {name: wanted.properties[name] for name in self.within if name in wanted.properties}
        return client.rows(self.collection, **narrowed)

    def find(self, client: Client, wanted: Wanted) -> Facts | None:
        accept(client)
        return super().find(client, wanted)

    def delete(self, api: t.Any, wanted: Wanted, seen: Seen) -> None:
        try:
            super().delete(api, wanted, seen)
        except InfraError as error:
            if error.facts.get("status") != IN_USE:
                raise
            raise InfraError(
                "remove",
                f"{self.name}/{wanted.name}",
                error.cause,
                "Wait until its jobs have ended, or cancel them in AWX, then run again.",
            ) from error

    def waiting(self, row: Facts) -> str:
        return f"its update is {row['status']}" if row.get("status") in UNDER_WAY else ""


class Organization(AwxKind):
    """An organization. Its removal removes its teams, inventories and credentials."""

    name, title, holds_data = "awx_organization", "organization", True
    within = ()
    collection, member = f"{API}/organizations/", f"{API}/organizations/{{id}}/"
    places = frozenset({"kept"})
    properties = {
        "description": DESCRIPTION,
        "kept": Property("bool", default=False, about="Whether state absent leaves it, as others may use it."),
    }

    def stays(self, wanted: Wanted) -> bool:
        return bool(wanted["kept"])


class Team(AwxKind):
    """A team of an organization."""

    name, title = "awx_team", "team"
    collection, member = f"{API}/teams/", f"{API}/teams/{{id}}/"
    properties = {"organization": ORGANIZATION, "description": DESCRIPTION}


class User(AwxKind):
    """A user, by the user name. It is found, never created: users come from a directory or an administrator."""

    name, title, permanent = "awx_user", "user", True
    within, identity = (), "username"
    collection, member = f"{API}/users/", f"{API}/users/{{id}}/"
    properties: t.ClassVar[dict[str, Property]] = {}

    def find(self, client: Client, wanted: Wanted) -> Facts | None:
        return found_here(self, wanted, super().find(client, wanted))


def found_here(kind: AwxKind, wanted: Wanted, row: Facts | None) -> Facts:
    """What only others create. Raises InfraError where it is not there, instead of waiting for it."""
    if row is None:
        raise InfraError(
            "find",
            f"{kind.name}/{wanted.name}",
            f"AWX has no {kind.title} of this name, or the token can't see it",
            "Correct the name, or create it in AWX.",
        )
    return row


class ManagedCredentialType(AwxKind):
    """A credential type that every AWX has, by its namespace, such as `ssh` or `aws`. It is found, never created."""

    name, title, permanent = "awx_managed_credential_type", "managed credential type", True
    within, identity = (), "namespace"
    collection, member = f"{API}/credential_types/", f"{API}/credential_types/{{id}}/"
    properties: t.ClassVar[dict[str, Property]] = {}

    def find(self, client: Client, wanted: Wanted) -> Facts | None:
        return found_here(self, wanted, super().find(client, wanted))


class CredentialType(AwxKind):
    """A credential type of our own: its fields, and the environment variables and files that jobs get them as.

    AWX refuses a change of the fields, and a removal, while a credential uses it. Such a change is refused before
    anything is sent: declare the fields as a type of another name, and let the credentials use that.
    """

    name, title = "awx_credential_type", "credential type"
    within = ()
    collection, member = f"{API}/credential_types/", f"{API}/credential_types/{{id}}/"
    properties = {
        "description": DESCRIPTION,
        "kind": Property(default="cloud", choices=("cloud", "net"), about="Which kind AWX counts it to."),
        "inputs": Property(
            "dict", required=True, same=declared_part, about="`fields`, rows of `id`, `label` and `secret`; `required`."
        ),
        "injectors": Property(
            "dict",
            required=True,
            about="`env` and `file`, in AWX's syntax. Secrets never become extra variables: those are shown.",
        ),
    }

    def faults(self, given: Facts) -> list[str]:
        found = sorted(set(given["injectors"]) - {"env", "file"})
        wrong = [f"injectors has {', '.join(found)}: hand secrets over by env or file, as extra variables are shown"]
        names = [str(row.get("id")) for row in given["inputs"].get("fields") or ()]
        twice = [
            f"inputs has the field {name} twice" for name in sorted({one for one in names if names.count(one) > 1})
        ]
        return (wrong if found else []) + twice

    def users(self, client: Client, seen: Seen) -> list[Facts]:
        return client.rows(f"{self.collection}{seen.outputs['id']}/credentials/")

    def foresee_update(self, api: t.Any, wanted: Wanted, seen: Seen, changed: t.Collection[str]) -> None:
        if "inputs" not in changed or not (users := self.users(self.client(api), seen)):
            return
        raise InfraError(
            "change the fields of",
            f"{self.name}/{wanted.name}",
            f"AWX does not allow that while credentials use it ({listed(users)}); what differs is "
            + differing_fields(wanted["inputs"], seen.properties["inputs"]),
            "Declare the fields as a credential type of another name, and let these credentials use that. They are "
            "then created once more beside the old ones, and jobs get the new ones. Nothing was done to it.",
        )

    def foresee_removal(self, api: t.Any, wanted: Wanted, seen: Seen) -> None:
        client = self.client(api)
        users = self.users(client, seen)
        if client.check:
            # Those that we have made would be removed before.
            users = [row for row in users if not str(row.get("description") or "").startswith(MARK)]
        if users:
            raise InfraError(
                "remove",
                f"{self.name}/{wanted.name}",
                f"AWX does not allow that while credentials use it ({listed(users)})",
                "Remove these credentials in AWX, or go on declaring the type. Nothing was done to it.",
            )


def listed(rows: t.Iterable[Facts]) -> str:
    """Objects with their ids: several organizations may have one of the same name."""
    return ", ".join(f"{row['name']} with the id {row['id']}" for row in rows)


def differing_fields(wanted: Facts, seen: t.Any) -> str:
    """What differs between the fields of two credential types, in words."""
    new, old = ({row["id"]: row for row in (each or {}).get("fields") or ()} for each in (wanted, seen))
    both = [name for name in new if name in old]
    changed = [name for name in both if not declared_part(new[name], old[name])]
    parts = {
        "new": [name for name in new if name not in old],
        "gone": [name for name in old if name not in new],
        "changed": changed,
    }
    found = "; ".join(f"{word}: {', '.join(names)}" for word, names in parts.items() if names)
    return found or "their order, or which are required"


class Credential(AwxKind):
    """A credential of an organization, found by its name and its type: each type may have one of that name."""

    name, title = "awx_credential", "credential"
    within = ("organization", "credential_type")
    collection, member = f"{API}/credentials/", f"{API}/credentials/{{id}}/"
    properties = {
        "organization": ORGANIZATION,
        "credential_type": one("awx_credential_type", change=FIXED),
        "inputs": Property("dict", default={}, about="Fields that are no secrets."),
        "secrets": SECRETS,
    }

    def document(self, wanted: Wanted, names: t.Collection[str]) -> dict[str, t.Any]:
        sent = super().document(wanted, [name for name in names if name not in {"inputs", "secrets"}])
        if {"inputs", "secrets"} & set(names):
            # AWX takes the fields as a whole.
            hidden = wanted.properties.get("secrets") or {}
            sent |= {
                "inputs": {**wanted["inputs"], **hidden},
                "description": marked(text_of(hidden)) if hidden else MARK,
            }
        return sent

    def seen_row(self, client: Client, wanted: Wanted, row: Facts) -> Facts:  # noqa: ARG002 - one signature
        inputs, hidden = row.get("inputs") or {}, wanted.properties.get("secrets") or {}
        plain = {name: value for name, value in inputs.items() if name not in hidden}
        seen: dict[str, t.Any] = {"inputs": plain}
        if "secrets" in wanted.properties:
            ours = all(inputs.get(name) for name in hidden) and recognized(
                text_of(hidden), str(row.get("description") or "")
            )
            seen["secrets"] = hidden if ours else dict.fromkeys(hidden, UNREADABLE)
        return seen


def text_of(values: Facts) -> str:
    return json.dumps(dict(values), sort_keys=True)


class NotificationTemplate(AwxKind):
    """Whom AWX notifies: channels of Slack."""

    name, title = "awx_notification_template", "notification template"
    collection, member = f"{API}/notification_templates/", f"{API}/notification_templates/{{id}}/"
    properties = {
        "organization": ORGANIZATION,
        "channels": Property("list", required=True, about="Channels of Slack, such as `#deploys`."),
        "token": Property(required=True, secret=True, about="Token of Slack's application."),
    }

    def document(self, wanted: Wanted, names: t.Collection[str]) -> dict[str, t.Any]:
        sent = super().document(wanted, [name for name in names if name == "organization"])
        if {"channels", "token"} & set(names):
            sent |= {
                "notification_type": "slack",
                "notification_configuration": {"channels": list(wanted["channels"]), "token": wanted["token"]},
                "description": marked(wanted["token"]),
            }
        return sent

    def seen_row(self, client: Client, wanted: Wanted, row: Facts) -> Facts:  # noqa: ARG002 - one signature
        settings = row.get("notification_configuration") or {}
        ours = row.get("notification_type") == "slack" and recognized(
            wanted["token"], str(row.get("description") or "")
        )
        return {"channels": settings.get("channels"), "token": wanted["token"] if ours else UNREADABLE}


class ExecutionEnvironment(AwxKind):
    """An image that jobs run in. Its name is unique in all of AWX."""

    name, title = "awx_execution_environment", "execution environment"
    within = ()
    collection, member = f"{API}/execution_environments/", f"{API}/execution_environments/{{id}}/"
    properties = {
        "organization": one("awx_organization", required=False, about="Id of the only organization that may use it."),
        "description": DESCRIPTION,
        "image": Property(required=True, about="Image with its tag or digest."),
        "pull": Property(default="missing", choices=("always", "missing", "never"), about="When the image is pulled."),
    }

    def faults(self, given: Facts) -> list[str]:
        image = str(given["image"])
        return (
            [] if IMAGE.fullmatch(image) else [f"image is {image!r}, which AWX refuses; write it as in {EXAMPLE_IMAGE}"]
        )

    def find(self, client: Client, wanted: Wanted) -> Facts | None:
        row = super().find(client, wanted)
        ours = wanted.properties.get("organization")
        if row and ours and row.get("organization") and not same_id(ours, row["organization"]):
            raise InfraError(
                "manage",
                f"{self.name}/{wanted.name}",
                "another organization has an execution environment of this name, and names are unique in all of AWX",
                "Choose another name. Nothing was done to it.",
            )
        return row


class Project(AwxKind):
    """A project: playbooks in a git repository. AWX updates it when it is created, and when its repository changes."""

    name, title, patience = "awx_project", "project", 600.0
    collection, member = f"{API}/projects/", f"{API}/projects/{{id}}/"
    properties = {
        "organization": ORGANIZATION,
        "description": DESCRIPTION,
        "repository": Property(required=True, about="URL of the git repository."),
        "branch": Property(about="Branch, tag or commit; by default, the repository's default branch."),
        "credential": one("awx_credential", required=False),
        "execution_environment": one("awx_execution_environment", required=False),
        "update_on_launch": Property("bool", default=True, about="Whether it is updated before each job."),
    }
    fields = {
        "repository": "scm_url",
        "branch": "scm_branch",
        "execution_environment": "default_environment",
        "update_on_launch": "scm_update_on_launch",
    }

    def document(self, wanted: Wanted, names: t.Collection[str]) -> dict[str, t.Any]:
        return {"scm_type": "git", **super().document(wanted, names)}

    def seen_row(self, client: Client, wanted: Wanted, row: Facts) -> Facts:  # noqa: ARG002 - one signature
        return {"last_update": row.get("status")}

    def later(self, wanted: Wanted, seen: Seen, changed: t.Collection[str]) -> str:  # noqa: ARG002 - one signature
        status = seen.properties["last_update"]
        return f"its last update is {status}: AWX's jobs show why" if status in FAILED else ""


class Inventory(AwxKind):
    """An inventory. AWX removes it in the background, and refuses a second removal until that is done."""

    name, title = "awx_inventory", "inventory"
    collection, member = f"{API}/inventories/", f"{API}/inventories/{{id}}/"
    shows: t.ClassVar[t.Mapping[str, str]] = {"id": "id", "leaving": "pending_deletion"}
    properties = {"organization": ORGANIZATION, "description": DESCRIPTION}

    def read(self, api: t.Any, wanted: Wanted) -> Seen | None:
        seen = super().read(api, wanted)
        if seen is None:
            return None
        outputs = dict(seen.outputs)
        return dataclasses.replace(seen, leaving=bool(outputs.pop("leaving")), outputs=outputs)


class InventorySource(AwxKind):
    """A folder of a project that fills an inventory."""

    name, title = "awx_inventory_source", "inventory source"
    within = ("inventory",)
    collection, member = f"{API}/inventory_sources/", f"{API}/inventory_sources/{{id}}/"
    properties = {
        "inventory": one("awx_inventory", change=FIXED),
        "description": DESCRIPTION,
        "project": one("awx_project"),
        "path": Property(required=True, about="Folder or file in the project, such as `inventories/staging`."),
        "credential": one(
            "awx_credential",
            required=False,
            about="Credential that its plugins use, such as @awx_credential/aws for hosts that AWS is asked for.",
        ),
        "overwrite": Property("bool", default=True, about="Whether hosts that it lacks are removed."),
        "overwrite_vars": Property("bool", default=True, about="Whether variables that it lacks are removed."),
        "update_on_launch": Property("bool", default=True, about="Whether it is read before each job."),
    }
    fields = {"project": "source_project", "path": "source_path"}

    def document(self, wanted: Wanted, names: t.Collection[str]) -> dict[str, t.Any]:
        return {"source": "scm", **super().document(wanted, names)}
