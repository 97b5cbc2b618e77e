# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What on AWX is ours and is pruned, and that a refusal leaves it as it was, on the stand-in."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._resources.declaration import declared
from ansible_collections.nexod.infra.plugins.module_utils._services.applied import applied
from ansible_collections.nexod.infra.plugins.module_utils._services.catalogue import KINDS
from ansible_collections.nexod.infra.tests.fixtures.services import awx, running

MARK = "(nexod.infra nexod)"
OF = {"organization": "@awx_organization/nexod", "description": MARK}
ENVIRONMENT = {"organization": OF["organization"], "image": "registry.example/ee:1", "description": MARK}
GIT = {"repository": "https://git.example/infra.git"}
TEMPLATE = {"project": "@awx_project/infra", "inventory": "@awx_inventory/staging", "playbook": "playbooks/deploy.yml"}
RULE = "DTSTART:20260101T010000Z RRULE:FREQ=DAILY;INTERVAL=1"
FIELDS = {
    "inputs": {"fields": [{"id": "key", "label": "Key", "secret": True}]},
    "injectors": {"env": {"KEY": "{{ key }}"}},
}
Row = tuple[str, str, dict[str, t.Any]]
BASE: list[Row] = [("awx_organization", "nexod", {"kept": True})]
MORE: list[Row] = [
    ("awx_credential_type", "ours", {**FIELDS, "description": MARK}),
    (
        "awx_credential",
        "ours",
        {"organization": OF["organization"], "credential_type": "@awx_credential_type/ours", "secrets": {"key": "s"}},
    ),
    ("awx_notification_template", "slack", {"organization": OF["organization"], "channels": ["#a"], "token": "s"}),
    ("awx_execution_environment", "ee", ENVIRONMENT),
    ("awx_team", "approvers", OF),
    ("awx_user", "member", {}),
    ("awx_project", "infra", {**OF, **GIT}),
    ("awx_inventory", "staging", OF),
    (
        "awx_inventory_source",
        "staging",
        {"inventory": "@awx_inventory/staging", "project": "@awx_project/infra", "path": "a", "description": MARK},
    ),
    ("awx_job_template", "deploy", {**OF, **TEMPLATE}),
    ("awx_workflow", "release", OF),
    ("awx_workflow_node", "last", {"workflow": "@awx_workflow/release", "template": "@awx_job_template/deploy"}),
    (
        "awx_workflow_node",
        "first",
        {"workflow": "@awx_workflow/release", "approval": "Go", "always": ["@awx_workflow_node/last"]},
    ),
    ("awx_schedule", "nightly", {"template": "@awx_job_template/deploy", "rule": RULE, "description": MARK}),
    (
        "awx_role",
        "approves",
        {
            "team": "@awx_team/approvers",
            "role": "approval",
            "on": "workflow_job_templates",
            "object": "@awx_workflow/release",
        },
    ),
    (
        "awx_role",
        "member",
        {"user": "@awx_user/member", "role": "member", "on": "teams", "object": "@awx_team/approvers"},
    ),
]


def apply(
    services: running.Services, rows: list[Row], *, check: bool = False, **more: t.Any
) -> tuple[list[str], list[str]]:
    """Changes and faults."""
    account = {"url": services.awx.url, "token": more.pop("token", awx.TOKEN), "organization": "nexod"}
    options = {"environment": "nexod", "state": "present", "lose": [], "prune": False, "rehearse": True, "awx": account}
    given = [{"kind": kind, "name": name, "properties": properties} for kind, name, properties in rows]
    ordered = declared(given, KINDS, {"s": "secret"})
    outcome, _services = applied({**options, **more}, ordered, lambda _text: None, check=check)
    return [f"{one.action} {one.key}" for one in outcome.changes], [str(error) for _key, error in outcome.faults]


def test_what_is_no_longer_declared(services: running.Services) -> None:
    assert apply(services, [*BASE, *MORE])[1] == []
    server = services.awx
    (organization,) = server.rows("organizations")
    (template,) = server.rows("job_templates")
    server.added(
        "teams", {"name": "theirs", "organization": organization["id"], "description": "ours, not nexod.infra's"}
    )
    server.added("schedules", {"name": "theirs", "unified_job_template": template["id"], "rrule": RULE})
    other = server.added("organizations", {"name": "other"})
    server.added("teams", {"name": "marked", "organization": other["id"], "description": MARK})
    assert apply(services, [*BASE, *MORE], prune=True) == ([], [])
    # A right that somebody has given to a team of ours, and a node that somebody has added to a workflow of ours.
    (team,) = [row for row in server.rows("teams") if row["name"] == "approvers"]
    server.roles_of(template)["execute_role"]["_teams"].append(team["id"])
    (workflow,) = server.rows("workflow_job_templates")
    server.added("workflow_job_template_nodes", {"identifier": "x", "workflow_job_template": workflow["id"]})
    by_hand = ["delete awx_role/approvers execute deploy", "delete awx_workflow_node/x of release"]
    for check in (True, False):
        changes, faults = apply(services, [*BASE, *MORE], prune=True, check=check)
        assert (sorted(changes), faults) == (by_hand, [])

    predicted = apply(services, BASE, prune=True, check=True)
    done = apply(services, BASE, prune=True)
    assert (sorted(done[0]), done[1]) == (sorted(predicted[0]), [])
    assert {one.partition("/")[0].removeprefix("delete ") for one in done[0]} == {
        kind for kind, _name, _properties in MORE if kind != "awx_user"
    }
    assert sorted(row["name"] for row in server.rows("teams")) == ["marked", "theirs"]
    assert [row["name"] for row in server.rows("organizations")] == ["nexod", "other"]
    assert apply(services, BASE, prune=True) == ([], [])


def test_absent_keeps_the_organization(services: running.Services) -> None:
    apply(services, [*BASE, *MORE])
    changes, faults = apply(services, [*BASE, *MORE], state="absent", prune=True)
    assert (len(changes), faults) == (len(MORE) - 2, [])
    assert [row["name"] for row in services.awx.rows("organizations")] == ["nexod"]


def refused_version(server: awx.Awx) -> None:
    server.version = "21.0.0"


def taken_name(server: awx.Awx) -> None:
    other = server.added("organizations", {"name": "other"})
    server.added("execution_environments", {"name": "ee", "organization": other["id"], "image": "x"})


def administrator(server: awx.Awx) -> None:
    """The member administers the organization, which is not enough for a credential type."""
    made = server.added("organizations", {"name": "nexod"})
    (member,) = [user for user in server.rows("users") if user["username"] == "member"]
    server.roles_of(made)["admin_role"]["_users"].append(member["id"])


@pytest.mark.parametrize(
    ("prepare", "more", "says"),
    [
        (refused_version, {}, "its version is 21.0.0"),
        (taken_name, {}, "another organization has an execution environment of this name"),
        (administrator, {"token": awx.TOKEN_OF_A_MEMBER}, "credential types: only an administrator of AWX may"),
        (lambda _server: None, {"token": awx.TOKEN_OF_A_MEMBER}, "only an administrator of AWX may"),
        (
            lambda server: server.added("organizations", {"name": "nexod"}),
            {"token": awx.TOKEN_OF_AN_AUDITOR},
            "administrator",
        ),
    ],
)
def test_a_refusal_leaves_nothing_half_made(
    services: running.Services, prepare: t.Callable[[awx.Awx], None], more: dict[str, t.Any], says: str
) -> None:
    prepare(services.awx)
    changes, faults = apply(services, [*BASE, *MORE], **more)
    assert changes == []
    assert [one for one in faults if says in one], faults
    assert services.awx.writes() == []


def test_a_template_of_the_same_name_in_another_organization(services: running.Services) -> None:
    server = services.awx
    other = server.added("organizations", {"name": "other"})
    theirs = server.added("job_templates", {"name": "deploy", "organization": other["id"], "playbook": "theirs.yml"})
    assert apply(services, [*BASE, *MORE])[1] == []
    assert sorted(row["playbook"] for row in server.rows("job_templates")) == ["playbooks/deploy.yml", "theirs.yml"]
    assert apply(services, [*BASE, *MORE], state="absent")[1] == []
    assert [row["id"] for row in server.rows("job_templates")] == [theirs["id"]]


def test_a_user_that_is_not_there(services: running.Services) -> None:
    (fault,) = apply(services, [*BASE, ("awx_user", "nobody", {})])[1]
    assert "AWX has no user of this name" in fault
    assert services.awx.writes() == []


KEY, USER = FIELDS["inputs"]["fields"][0], {"id": "user", "label": "User"}


def with_fields(name: str, *fields: dict[str, t.Any]) -> list[Row]:
    """The declaration with a credential type of this name, which the credential uses."""
    (_kind, _ours, fixed), (kind, credential, given), *rest = MORE
    changed = ("awx_credential_type", name, {**fixed, "inputs": {"fields": list(fields)}})
    return [*BASE, changed, (kind, credential, {**given, "credential_type": f"@awx_credential_type/{name}"}), *rest]


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ([KEY, USER], "what differs is new: user."),
        ([{**KEY, "label": "Token"}, USER], "what differs is new: user; changed: key."),
    ],
)
def test_fields_of_a_type_that_is_in_use(
    services: running.Services, fields: list[dict[str, t.Any]], says: str, check: bool
) -> None:
    apply(services, [*BASE, *MORE])
    written = len(services.awx.writes())
    # Without a rehearsal, too.
    changes, (fault,) = apply(services, with_fields("ours", *fields), check=check, rehearse=check)
    assert changes == []
    assert fault.startswith("Cannot change the fields of awx_credential_type/ours: AWX does not allow that while")
    assert "(ours with the id " in fault
    assert says in fault
    assert "as a credential type of another name" in fault
    assert len(services.awx.writes()) == written


def test_fields_that_change_in_a_type_of_another_name(services: running.Services) -> None:
    """What the error proposes: the credential is created once more, and the job gets that instead."""
    server = services.awx
    of_job = [*MORE[:9], ("awx_job_template", "deploy", {**OF, **TEMPLATE, "credentials": ["@awx_credential/ours"]})]
    apply(services, [*BASE, *of_job])
    rows = [*with_fields("ours-2", KEY, USER)[: len(BASE) + 9], of_job[-1]]
    predicted = apply(services, rows, prune=True, check=True)
    done = apply(services, rows, prune=True)
    assert (sorted(done[0]), done[1]) == (sorted(predicted[0]), [])
    assert sorted(done[0]) == [
        "create awx_credential/ours",
        "create awx_credential_type/ours-2",
        "delete awx_credential/ours of ours",
        "delete awx_credential_type/ours",
        "update awx_job_template/deploy",
    ]
    (credential,) = server.rows("credentials")
    assert server.one("credential_types", credential["credential_type"])["name"] == "ours-2"
    (template,) = server.rows("job_templates")
    assert template["_sets"]["credentials"] == [credential["id"]]
    assert apply(services, rows, prune=True) == ([], [])


@pytest.mark.parametrize("check", [True, False])
def test_a_type_that_a_credential_of_somebody_else_uses_is_not_removed(services: running.Services, check: bool) -> None:
    apply(services, [*BASE, *MORE])
    server = services.awx
    (kind,) = [row for row in server.rows("credential_types") if row["name"] == "ours"]
    theirs = {"name": "theirs", "credential_type": kind["id"], "inputs": {}, "description": "by hand"}
    server.added("credentials", theirs)
    changes, (fault,) = apply(services, [*BASE, *MORE], state="absent", check=check)
    assert changes == []
    assert "Cannot remove awx_credential_type/ours: AWX does not allow that while credentials use it (theirs" in fault
    assert len(server.rows("teams")) == 1


def test_a_template_with_a_running_job_is_not_removed(services: running.Services) -> None:
    apply(services, [*BASE, *MORE])
    server = services.awx
    (template,) = server.rows("job_templates")
    server.start("jobs", template)["status"] = "running"
    _changes, faults = apply(services, [*BASE, *MORE], state="absent")
    (fault,) = [one for one in faults if "awx_job_template/deploy" in one]
    assert fault.startswith("Cannot remove awx_job_template/deploy: HTTP 409: Resource is being used by running jobs")
    assert "Wait until its jobs have ended" in fault
