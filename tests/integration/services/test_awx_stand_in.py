"""`awxkit` takes the stand-in for AWX's API: it finds its way by the links of the answers, with its own classes."""

from __future__ import annotations

import subprocess
import typing as t
from pathlib import Path

import pytest

from ansible_collections.nexod.infra.tests.fixtures.services import awx
from ansible_collections.nexod.infra.tests.fixtures.services.running import Services

from .clients import AWXKIT, Library, loaded, python_clients

NIGHTLY = "DTSTART;TZID=Asia/Bangkok:20260101T020000 RRULE:FREQ=DAILY;INTERVAL=1"
VERSION = {"type": "text", "question_name": "Version", "variable": "version", "required": True, "default": ""}


@pytest.fixture(scope="module")
def process() -> t.Iterator[subprocess.Popen[str]]:
    with loaded(python_clients(AWXKIT) / "bin/python", Path(__file__).with_name("awxkit_client.py")) as found:
        yield found


@pytest.fixture
def library(services: Services, process: subprocess.Popen[str]) -> Library:
    return Library(process, services.awx.url, awx.TOKEN)


def made(library: Library, path: str, **fields: t.Any) -> int:
    return int(library("post", at=f"{path}/", json=fields)["id"])


class Installation(t.NamedTuple):
    organization: int
    project: int
    inventory: int
    template: int
    workflow: int


@pytest.fixture
def installed(library: Library) -> Installation:
    organization = made(library, "organizations", name="nexod")
    git = {"scm_type": "git", "scm_url": "https://git.example/infra.git"}
    project = made(library, "projects", name="infra", organization=organization, **git)
    inventory = made(library, "inventories", name="staging", organization=organization)
    of = {"project": project, "inventory": inventory, "playbook": "playbooks/deploy.yml"}
    template = made(library, "job_templates", name="Deploy", **of, ask_variables_on_launch=False)
    workflow = made(library, "workflow_job_templates", name="Release", organization=organization)
    return Installation(organization, project, inventory, template, workflow)


def test_awx_itself(library: Library) -> None:
    assert library("get", at="ping/")["version"] == "24.6.1"
    assert library("get", at="config/")["license_info"]["license_type"] == "open"
    assert library("get", at="me/")["results"][0]["username"] == "admin"
    assert library("get", at="")["organizations"] == "/api/v2/organizations/"


def test_every_list_is_one_of_awxkit(library: Library) -> None:
    for name, address in library("get", at="").items():
        if name != "tokens":
            found = library("get", at=address.removeprefix("/api/v2/"))
            assert name in {"ping", "config"} or found["count"] == len(found["results"]), name


def test_a_list_in_pages(library: Library) -> None:
    for number in range(7):
        made(library, "organizations", name=f"organization {number}")
    page = library("get", at="organizations/", query={"page_size": 3, "page": 2, "order_by": "-name"})
    assert [each["name"][-1] for each in page["results"]] == ["3", "2", "1"]
    assert (page["count"], "page=3" in page["next"], "page=1" in page["previous"]) == (7, True, True)
    assert len(library("all", at="organizations/", query={"page_size": 2})["results"]) == 7
    assert library.tried("get", at="organizations/", query={"page": 9})["error"] == "NotFound"


def test_a_filter(library: Library, installed: Installation) -> None:
    made(library, "organizations", name="other")
    found = library("get", at="organizations/", query={"or__id": installed.organization, "or__name": "other"})
    assert found["count"] == 2
    found = library("get", at="job_templates/", query={"organization__name": "nexod", "name__icontains": "dep"})
    assert [each["id"] for each in found["results"]] == [installed.template]
    assert library("get", at="job_templates/", query={"organization__name": "other"})["count"] == 0
    assert library.tried("get", at="organizations/", query={"nmae": "x"})["error"] == "BadRequest"


def test_an_object_lives(library: Library) -> None:
    number = made(library, "organizations", name="nexod", description="before")
    again = library.tried("post", at="organizations/", json={"name": "nexod"})
    assert (again["error"], again["body"]) == ("Duplicate", {"name": ["Organization with this Name already exists."]})
    changed = library("patch", at=f"organizations/{number}/", json={"description": "after"})
    assert (changed["name"], changed["description"]) == ("nexod", "after")
    assert library("put", at=f"organizations/{number}/", json={"name": "nexod"})["description"] == ""
    library("delete", at=f"organizations/{number}/")
    assert library.tried("get", at=f"organizations/{number}/")["error"] == "NotFound"


def test_what_is_missing_is_named_by_field(library: Library) -> None:
    refused = library.tried("post", at="inventories/", json={})["body"]
    assert refused == {"name": ["This field is required."], "organization": ["This field is required."]}
    wrong = {"name": "", "organization": 999, "kind": "round"}
    assert library.tried("post", at="inventories/", json=wrong)["body"] == {
        "name": ["This field may not be blank."],
        "kind": ['"round" is not a valid choice.'],
    }
    unknown = library.tried("post", at="inventories/", json={"name": "a", "organization": 999})["body"]
    assert unknown == {"organization": ['Invalid pk "999" - object does not exist.']}


def test_a_project_is_updated(library: Library, installed: Installation) -> None:
    at = f"projects/{installed.project}/"
    assert library("get", at=at)["status"] == "successful"
    update = library("call", at=at, method="update")
    assert library("get", at=f"project_updates/{update['id']}/")["status"] == "successful"
    assert "playbooks/deploy.yml" in library("get", at=f"{at}playbooks/")


def test_an_inventory_has_a_source(library: Library, installed: Installation) -> None:
    fields = {"source": "scm", "source_path": "inventories/staging", "source_project": installed.project}
    lacks = library.tried(
        "post", at="inventory_sources/", json={"name": "s", "inventory": installed.inventory, "source": "scm"}
    )
    assert "source_project" in lacks["body"]
    number = made(library, "inventory_sources", name="staging", inventory=installed.inventory, **fields)
    assert library("call", at=f"inventory_sources/{number}/", method="update")["status"] == "successful"
    assert library("get", at=f"inventories/{installed.inventory}/inventory_sources/")["count"] == 1
    library("delete", at=f"inventories/{installed.inventory}/")
    assert library.tried("get", at=f"inventory_sources/{number}/")["error"] == "NotFound"


def test_a_credential_is_never_readable(library: Library, installed: Installation) -> None:
    fields = [{"id": "user", "label": "User"}, {"id": "password", "label": "Password", "secret": True}]
    kind = {"name": "Database", "kind": "cloud", "inputs": {"fields": fields}}
    injected = {
        "env": {"PGUSER": "{{ user }}", "PGPASSFILE": "{{ tower.filename }}"},
        "file": {"template": "{{ password }}"},
    }
    wrong = library.tried("post", at="credential_types/", json={**kind, "injectors": {"env": {"A": "{{ nobody }}"}}})
    assert "undefined field" in wrong["body"]["injectors"][0]
    number = made(library, "credential_types", **kind, injectors=injected)
    inputs = {"user": "app", "password": "canary"}
    sent = {"name": "staging", "organization": installed.organization, "credential_type": number, "inputs": inputs}
    credential = library("post", at="credentials/", json=sent)
    assert credential["inputs"] == {"user": "app", "password": "$encrypted$"}
    at = f"credentials/{credential['id']}/"
    changed = library("patch", at=at, json={"inputs": {"user": "web", "password": "$encrypted$"}})
    assert changed["inputs"] == {"user": "web", "password": "$encrypted$"}
    assert "canary" not in str(library("get", at=at))
    unknown = library.tried("patch", at=at, json={"inputs": {"pasword": "x"}})
    assert "'pasword' was unexpected" in unknown["body"]["inputs"][0]
    # What is wrong in itself is said first.
    less = library.tried("patch", at=f"credential_types/{number}/", json={"inputs": {"fields": fields[:1]}})
    assert less["body"] == {"injectors": ["template uses an undefined field ('password' is undefined)"]}
    more = {"fields": [*fields, {"id": "port", "label": "Port"}]}
    assert library.tried("patch", at=f"credential_types/{number}/", json={"inputs": more})["error"] == "Forbidden"
    library("patch", at=f"credential_types/{number}/", json={"inputs": kind["inputs"]})
    owned = library.tried("post", at="credentials/", json={**sent, "organization": None})
    assert owned["body"] == {"detail": ["Missing 'user', 'team', or 'organization'."]}


def test_a_job_template(library: Library, installed: Installation) -> None:
    at = f"job_templates/{installed.template}/"
    # Its organization is its project's; what AWX does not take, it ignores.
    assert library("patch", at=at, json={"organization": 999, "banana": 1})["organization"] == installed.organization
    absent = library.tried("patch", at=at, json={"playbook": "playbooks/nothing.yml"})
    assert absent["body"] == {"playbook": ["Playbook not found for project."]}
    lacks = library.tried(
        "post", at="job_templates/", json={"name": "a", "project": installed.project, "playbook": "a"}
    )
    assert "inventory" in lacks["body"]
    sent = {"project": installed.project, "inventory": installed.inventory, "playbook": "playbooks/deploy.yml"}
    same = library.tried("post", at="job_templates/", json={**sent, "name": "Deploy"})
    assert same["body"]["__all__"] == ["JobTemplate with this (name, organization) combination already exists."]


def test_a_survey(library: Library, installed: Installation) -> None:
    at = f"job_templates/{installed.template}/"
    spec = {"name": "", "description": "", "spec": [VERSION, {**VERSION, "variable": "key", "type": "password"}]}
    spec["spec"][1]["default"] = "canary"
    library("call", at=at, method="add_survey", named={"spec": spec["spec"]})
    found = library("get", at=f"{at}survey_spec/")["spec"]
    assert [question["default"] for question in found] == ["", "$encrypted$"]
    library("post", at=f"{at}survey_spec/", json={**spec, "spec": found})
    wrong = library.tried("post", at=f"{at}survey_spec/", json={**spec, "spec": [{**VERSION, "type": "colour"}]})
    assert "allowed question types" in wrong["body"]["error"]
    assert library.tried("post", at=f"{at}survey_spec/", json={**spec, "spec": []})["error"] == "BadRequest"
    refused = library.tried("post", at=f"{at}launch/", json={"extra_vars": {}})
    assert refused["body"] == {"variables_needed_to_start": ["'version' value missing"]}
    job = library("post", at=f"{at}launch/", json={"extra_vars": {"version": "1.2.3", "other": 1}})
    assert (job["status"], job["ignored_fields"]) == ("successful", {"extra_vars": {"other": 1}})


def test_a_workflow_with_an_approval(library: Library, installed: Installation) -> None:
    below = f"workflow_job_templates/{installed.workflow}/workflow_nodes/"
    first = library("post", at=below, json={"identifier": "staging", "unified_job_template": installed.template})
    second = library("post", at=below, json={"identifier": "approval"})
    node = library("call", at=f"workflow_job_template_nodes/{second['id']}/", method="make_approval_node",
                   named={"name": "Approve production", "timeout": 3600})  # fmt: skip
    approval = library("get", at=f"workflow_approval_templates/{node['unified_job_template']}/")
    assert (approval["name"], approval["timeout"]) == ("Approve production", 3600)
    children = f"workflow_job_template_nodes/{first['id']}/success_nodes/"
    library("post", at=children, json={"id": second["id"]})
    assert library("get", at=f"workflow_job_template_nodes/{first['id']}/")["success_nodes"] == [second["id"]]
    back = f"workflow_job_template_nodes/{second['id']}/success_nodes/"
    assert library.tried("post", at=back, json={"id": first["id"]})["body"] == {"Error": "Cycle detected."}
    always = f"workflow_job_template_nodes/{first['id']}/always_nodes/"
    assert library.tried("post", at=always, json={"id": second["id"]})["body"] == {"Error": "Relationship not allowed."}
    library("delete", at=f"workflow_job_template_nodes/{second['id']}/")
    assert library.tried("get", at=f"workflow_approval_templates/{approval['id']}/")["error"] == "NotFound"


def test_a_schedule(library: Library, installed: Installation) -> None:
    sent = {"name": "nightly", "unified_job_template": installed.template, "rrule": NIGHTLY}
    schedule = library("post", at="schedules/", json=sent)
    assert (schedule["timezone"], schedule["enabled"]) == ("Asia/Bangkok", True)
    assert library("get", at=f"job_templates/{installed.template}/schedules/")["count"] == 1
    variables = library.tried("patch", at=f"schedules/{schedule['id']}/", json={"extra_data": {"mode": "plan"}})
    assert "not allowed on launch" in variables["body"]["extra_data"][0]
    limit = library.tried("patch", at=f"schedules/{schedule['id']}/", json={"limit": "api"})
    assert limit["body"] == {"limit": ["Field is not configured to prompt on launch."]}
    library("delete", at=f"job_templates/{installed.template}/")
    assert library("get", at="schedules/")["count"] == 0


@pytest.mark.parametrize(
    ("rrule", "said"),
    [
        ("every night", "Valid DTSTART required in rrule"),
        ("RRULE:FREQ=DAILY;INTERVAL=1", "Valid DTSTART required in rrule"),
        ("DTSTART:20260101T020000Z", "One or more rule required"),
        ("DTSTART:20260101T020000 RRULE:FREQ=DAILY;INTERVAL=1", "DTSTART cannot be a naive datetime"),
        ("DTSTART:20260101T020000Z RRULE:FREQ=DAILY", "INTERVAL required in rrule"),
        ("DTSTART:20260101T020000Z RRULE:FREQ=SECONDLY;INTERVAL=1", "SECONDLY is not supported"),
        ("DTSTART:20260101T020000Z RRULE:FREQ=NIGHTLY;INTERVAL=1", "rrule parsing failed validation"),
        ("DTSTART:20260101T020000Z RRULE:FREQ=MONTHLY;INTERVAL=1;BYDAY=2MO", "BYDAY with numeric prefix"),
        ("DTSTART:20260101T020000Z RRULE:FREQ=DAILY;INTERVAL=1;COUNT=1000", "COUNT > 999"),
        ("DTSTART:20260101T020000Z RRULE:FREQ=DAILY;INTERVAL=1 EXDATE:20260102T020000Z", "EXDATE not allowed"),
    ],
)  # fmt: skip
def test_no_rrule(library: Library, installed: Installation, rrule: str, said: str) -> None:
    sent = {"name": "nightly", "unified_job_template": installed.template, "rrule": rrule}
    refused = library.tried("post", at="schedules/", json=sent)
    assert (refused["error"], said in " ".join(refused["body"]["rrule"])) == ("BadRequest", True), refused


def test_notifications(library: Library, installed: Installation) -> None:
    settings = {"token": "canary", "channels": ["#deploys"]}
    sent = {"name": "Slack", "organization": installed.organization, "notification_type": "slack"}
    lacks = library.tried("post", at="notification_templates/", json={**sent, "notification_configuration": {}})
    assert "Missing required fields" in lacks["body"]["__all__"][0]
    number = made(library, "notification_templates", **sent, notification_configuration=settings)
    template, found = f"job_templates/{installed.template}/", f"@notification_templates/{number}/"
    arguments = [found, "notification_templates_error"]
    library("call", at=template, method="add_notification_template", arguments=arguments)
    (shown,) = library("get", at=f"{template}notification_templates_error/")["results"]
    assert shown["notification_configuration"] == {"token": "$encrypted$", "channels": ["#deploys"]}
    library("call", at=template, method="remove_notification_template", arguments=arguments)
    assert library("get", at=f"{template}notification_templates_error/")["count"] == 0


def test_labels_and_credentials_of_a_template(library: Library, installed: Installation) -> None:
    at = f"job_templates/{installed.template}/"
    label = library("post", at=f"{at}labels/", json={"name": "nexod", "organization": installed.organization})
    assert library("get", at=at)["summary_fields"]["labels"]["results"][0]["name"] == "nexod"
    assert library.tried("delete", at=f"labels/{label['id']}/")["error"] == "MethodNotAllowed"
    machine = library("get", at="credential_types/", query={"namespace": "ssh"})["results"][0]["id"]
    of = {"organization": installed.organization, "credential_type": machine, "inputs": {"username": "deploy"}}
    first, second = (made(library, "credentials", name=name, **of) for name in ("one", "two"))
    library("call", at=at, method="add_credential", arguments=[f"@credentials/{first}/"])
    assert library.tried("post", at=f"{at}credentials/", json={"id": second})["body"] == {
        "error": "Cannot assign multiple Machine credentials."
    }


def test_who_may_approve(services: Services, library: Library, installed: Installation) -> None:
    team = made(library, "teams", name="releases", organization=installed.organization)
    member = library("get", at="users/", query={"username": "member"})["results"][0]["id"]
    library("call", at=f"teams/{team}/", method="add_user", arguments=[f"@users/{member}/"])
    at = f"workflow_job_templates/{installed.workflow}/"
    library.token = awx.TOKEN_OF_A_MEMBER
    assert library.tried("get", at=at)["error"] == "Forbidden"
    library.token = awx.TOKEN
    library("call", at=at, method="set_object_roles", arguments=[f"@teams/{team}/", "Approve"])
    role = library("get", at=at)["summary_fields"]["object_roles"]["approval_role"]["id"]
    assert [each["id"] for each in library("get", at=f"roles/{role}/teams/")["results"]] == [team]
    library.token = awx.TOKEN_OF_A_MEMBER
    assert library("get", at=at)["id"] == installed.workflow
    assert library.tried("patch", at=at, json={"description": "mine"})["error"] == "Forbidden"
    library.token = awx.TOKEN
    named = {"disassociate": True}
    library("call", at=at, method="set_object_roles", arguments=[f"@teams/{team}/", "Approve"], named=named)
    assert library("get", at=f"roles/{role}/teams/")["count"] == 0


def test_who_may_not(library: Library, installed: Installation) -> None:
    library.token = awx.TOKEN_OF_AN_AUDITOR
    assert library("get", at=f"projects/{installed.project}/")["name"] == "infra"
    assert library.tried("delete", at=f"projects/{installed.project}/")["error"] == "Forbidden"
    library.token = awx.TOKEN_OF_A_MEMBER
    assert library("get", at="projects/")["count"] == 0
    refused = library.tried("post", at="organizations/", json={"name": "mine"})
    assert (refused["status"], refused["error"]) == (403, "Forbidden")
    library.token = "unknown"
    assert library.tried("get", at="organizations/")["error"] == "Unauthorized"
    library.token = f"admin:{awx.PASSWORD}"
    assert library("get", at="me/")["results"][0]["username"] == "admin"
    library.token = "admin:wrong"
    assert library.tried("get", at="me/")["error"] == "Unauthorized"


def test_what_runs_is_not_removed(services: Services, library: Library, installed: Installation) -> None:
    template = services.awx.one("job_templates", installed.template)
    services.awx.start("jobs", template, "running")
    refused = library.tried("delete", at=f"job_templates/{installed.template}/")
    assert (refused["error"], refused["body"]["error"]) == ("Conflict", "Resource is being used by running jobs.")


def test_a_vendor_that_adds_fields(services: Services, library: Library, installed: Installation) -> None:
    services.awx.rearranges = True
    assert library("get", at=f"job_templates/{installed.template}/")["name"] == "Deploy"
