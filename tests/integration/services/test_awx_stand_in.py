"""`awxkit` takes the stand-in for AWX's API: it finds its way by the links of the answers, with its own classes.

With NEXOD_TEST_AWX these are tests of a real AWX, which shows whether the stand-in is right (CONTRIBUTING.md).
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._services.kinds.awx import UNDER_WAY
from ansible_collections.nexod.infra.tests.fixtures.services import awx
from ansible_collections.nexod.infra.tests.fixtures.services.awx_types import JOBS, TYPES

from .clients import AWXKIT, Library, loaded, python_clients

NIGHTLY = "DTSTART;TZID=Asia/Bangkok:20260101T020000 RRULE:FREQ=DAILY;INTERVAL=1"
VERSION = {"type": "text", "question_name": "Version", "variable": "version", "required": True, "default": ""}


@pytest.fixture(scope="module")
def process() -> t.Iterator[subprocess.Popen[str]]:
    with loaded(python_clients(AWXKIT) / "bin/python", Path(__file__).with_name("awxkit_client.py")) as found:
        yield found


class Server(t.NamedTuple):
    """An AWX: the stand-in, or a real one. Others log in as NAME:PASSWORD or with their tokens."""

    url: str
    token: str
    member: str
    auditor: str
    repository: str
    #: Begins the names of what is created: those of a real AWX are not all ours.
    prefix: str
    stand_in: awx.Awx | None = None


REAL = os.environ.get("NEXOD_TEST_AWX", "")
PASSWORD = "password-of-a-test"


@pytest.fixture
def server(request: pytest.FixtureRequest, process: subprocess.Popen[str]) -> t.Iterator[Server]:
    if not REAL:
        found: awx.Awx = request.getfixturevalue("services").awx
        tokens = (awx.TOKEN, awx.TOKEN_OF_A_MEMBER, awx.TOKEN_OF_AN_AUDITOR)
        yield Server(found.url, *tokens, "https://git.example/infra.git", "", found)
        return
    prefix = f"nexod-test-{secrets.token_hex(4)}-"
    names = [f"{prefix}{name}" for name in ("member", "auditor")]
    token, repository = os.environ["NEXOD_TEST_AWX_TOKEN"], os.environ["NEXOD_TEST_AWX_REPOSITORY"]
    yield Server(REAL, token, *(f"{name}:{PASSWORD}" for name in names), repository, prefix)
    library = Library(process, REAL, token)
    for path in ("job_templates", "workflow_job_templates", "projects", "inventories", "credentials"):
        removed(library, path, organization__name__startswith=prefix)
    removed(library, "users", username__startswith=prefix)
    for path in ("organizations", "credential_types"):
        removed(library, path, name__startswith=prefix)


def removed(library: Library, path: str, **query: str) -> None:
    """Remove what a test has left in a real AWX."""
    for row in library("all", at=f"{path}/", query=query)["results"]:
        library.tried("delete", at=f"{path}/{row['id']}/")


@pytest.fixture
def library(server: Server, process: subprocess.Popen[str]) -> Library:
    return Library(process, server.url, server.token)


@pytest.fixture
def stand_in(server: Server) -> awx.Awx:
    if server.stand_in is None:
        pytest.skip("only the stand-in simulates this")
    return server.stand_in


def made(library: Library, path: str, **fields: t.Any) -> int:
    return int(library("post", at=f"{path}/", json=fields)["id"])


class Installation(t.NamedTuple):
    organization: int
    project: int
    inventory: int
    template: int
    workflow: int


@pytest.fixture
def installed(library: Library, server: Server) -> Installation:
    organization = made(library, "organizations", name=f"{server.prefix}nexod")
    git = {"scm_type": "git", "scm_url": server.repository}
    project = made(library, "projects", name="infra", organization=organization, **git)
    updated(library, f"projects/{project}/")
    inventory = made(library, "inventories", name="staging", organization=organization)
    of = {"project": project, "inventory": inventory, "playbook": "playbooks/deploy.yml"}
    template = made(library, "job_templates", name="Deploy", **of, ask_variables_on_launch=False)
    workflow = made(library, "workflow_job_templates", name="Release", organization=organization)
    return Installation(organization, project, inventory, template, workflow)


def updated(library: Library, at: str) -> t.Any:
    """The object when its job has ended: at the stand-in, at once."""
    return until(lambda: library("get", at=at), lambda found: found["status"] not in UNDER_WAY)


def until(read: t.Callable[[], t.Any], ended: t.Callable[[t.Any], bool]) -> t.Any:
    for _second in range(300):
        if ended(found := read()):
            return found
        time.sleep(1)
    raise AssertionError(f"not within 5 minutes: {found}")


def test_awx_itself(library: Library) -> None:
    assert library("get", at="ping/")["version"] == "24.6.1"
    assert library("get", at="config/")["license_info"]["license_type"] == "open"
    assert library("get", at="me/")["results"][0]["username"] == "admin"
    assert library("get", at="")["organizations"] == "/api/v2/organizations/"


def test_every_list_is_one_of_awxkit(library: Library) -> None:
    for name, address in library("get", at="").items():
        if name in (*TYPES, *JOBS, "ping", "config", "me", "roles"):
            found = library("get", at=address.removeprefix("/api/v2/"), query={"page_size": 200})
            assert name in {"ping", "config"} or min(found["count"], 200) == len(found["results"]), name


def test_a_list_in_pages(library: Library, server: Server) -> None:
    for number in range(7):
        made(library, "organizations", name=f"{server.prefix}organization {number}")
    ours = {"name__startswith": f"{server.prefix}organization"}
    page = library("get", at="organizations/", query={"page_size": 3, "page": 2, "order_by": "-name", **ours})
    assert [each["name"][-1] for each in page["results"]] == ["3", "2", "1"]
    assert (page["count"], "page=3" in page["next"], "page=1" in page["previous"]) == (7, True, True)
    assert len(library("all", at="organizations/", query={"page_size": 2, **ours})["results"]) == 7
    assert library.tried("get", at="organizations/", query={"page": 9})["error"] == "NotFound"


def test_a_filter(library: Library, server: Server, installed: Installation) -> None:
    name, other = f"{server.prefix}nexod", f"{server.prefix}other"
    made(library, "organizations", name=other)
    found = library("get", at="organizations/", query={"or__id": installed.organization, "or__name": other})
    assert found["count"] == 2
    found = library("get", at="job_templates/", query={"organization__name": name, "name__icontains": "dep"})
    assert [each["id"] for each in found["results"]] == [installed.template]
    assert library("get", at="job_templates/", query={"organization__name": other})["count"] == 0
    assert library.tried("get", at="organizations/", query={"id": "abc"})["body"] == {
        "detail": '["\u201cabc\u201d value must be an integer."]'
    }
    assert library.tried("get", at="organizations/", query={"nmae": "x"})["error"] == "BadRequest"


def test_an_object_lives(library: Library, server: Server) -> None:
    name = f"{server.prefix}nexod"
    number = made(library, "organizations", name=name, description=" before\n")
    assert library("get", at=f"organizations/{number}/")["description"] == "before"
    again = library.tried("post", at="organizations/", json={"name": name})
    assert (again["error"], again["body"]) == ("Duplicate", {"name": ["Organization with this Name already exists."]})
    changed = library("patch", at=f"organizations/{number}/", json={"description": "after"})
    assert (changed["name"], changed["description"]) == (name, "after")
    assert library("put", at=f"organizations/{number}/", json={"name": name})["description"] == ""
    library("delete", at=f"organizations/{number}/")
    assert library.tried("get", at=f"organizations/{number}/")["error"] == "NotFound"


def test_what_is_missing_is_named_by_field(library: Library, installed: Installation) -> None:
    absent = library.tried("get", at="organizations/99999999/")
    assert absent["body"] == {"detail": "No Organization matches the given query."}
    refused = library.tried("post", at="inventories/", json={})["body"]
    assert refused == {"name": ["This field is required."], "organization": ["This field is required."]}
    wrong = {"name": "", "organization": installed.organization, "kind": "round"}
    assert library.tried("post", at="inventories/", json=wrong)["body"] == {
        "name": ["This field may not be blank."],
        "kind": ['"round" is not a valid choice.'],
    }
    unknown = library.tried("post", at="inventories/", json={"name": "a", "organization": 99999999})["body"]
    assert unknown == {"organization": ['Invalid pk "99999999" - object does not exist.']}


def test_a_project_is_updated(library: Library, installed: Installation) -> None:
    at = f"projects/{installed.project}/"
    assert library("get", at=at)["status"] == "successful"
    update = library("call", at=at, method="update")
    assert updated(library, f"project_updates/{update['id']}/")["status"] == "successful"
    assert "playbooks/deploy.yml" in library("get", at=f"{at}playbooks/")


def test_an_inventory_has_a_source(library: Library, installed: Installation) -> None:
    fields = {"source": "scm", "source_path": "inventories/staging", "source_project": installed.project}
    lacks = library.tried(
        "post", at="inventory_sources/", json={"name": "s", "inventory": installed.inventory, "source": "scm"}
    )
    assert "source_project" in lacks["body"]
    number = made(library, "inventory_sources", name="staging", inventory=installed.inventory, **fields)
    assert library("call", at=f"inventory_sources/{number}/", method="update")["type"] == "inventory_update"
    updated(library, f"inventory_sources/{number}/")
    assert library("get", at=f"inventories/{installed.inventory}/inventory_sources/")["count"] == 1
    library("delete", at=f"inventories/{installed.inventory}/")
    # AWX removes it later.
    gone = until(lambda: library.tried("get", at=f"inventory_sources/{number}/"), lambda found: "error" in found)
    assert gone["error"] == "NotFound"


def test_a_credential_is_never_readable(library: Library, server: Server, installed: Installation) -> None:
    fields = [{"id": "user", "label": "User"}, {"id": "password", "label": "Password", "secret": True}]
    kind = {"name": f"{server.prefix}Database", "kind": "cloud", "inputs": {"fields": fields}}
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
    assert (
        library("patch", at=at, json={"organization": 99999999, "banana": 1})["organization"] == installed.organization
    )
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
    library("patch", at=at, json={"survey_enabled": True})
    for default in ("", "1.0.0"):
        library("post", at=f"{at}survey_spec/", json={**spec, "spec": [{**VERSION, "default": default}]})
        assert library("get", at=f"{at}launch/")["variables_needed_to_start"] == ["version"]
        refused = library.tried("post", at=f"{at}launch/", json={"extra_vars": {}})
        assert refused["body"] == {"variables_needed_to_start": ["'version' value missing"]}
    job = library("post", at=f"{at}launch/", json={"extra_vars": {"version": "1.2.3", "other": 1}})
    assert (job["type"], job["ignored_fields"]) == ("job", {"extra_vars": {"other": 1}})
    assert json.loads(job["extra_vars"]) == {"version": "1.2.3"}
    updated(library, f"jobs/{job['id']}/")


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


def test_a_workflow_takes_only_what_it_asks_for(library: Library, installed: Installation) -> None:
    """Where a job template ignores it."""
    at = f"workflow_job_templates/{installed.workflow}/"
    library("post", at=f"{at}survey_spec/", json={"name": "", "description": "", "spec": [VERSION]})
    library("patch", at=at, json={"survey_enabled": True})
    given = {"version": "1.2.3", "other": 1}
    refused = library.tried("post", at=f"{at}launch/", json={"extra_vars": given})
    assert "Variables other are not allowed on launch." in refused["body"]["extra_vars"][0]


def test_a_schedule(library: Library, installed: Installation) -> None:
    sent = {"name": "nightly", "unified_job_template": installed.template, "rrule": NIGHTLY}
    schedule = library("post", at="schedules/", json=sent)
    assert (schedule["timezone"], schedule["enabled"]) == ("Asia/Bangkok", True)
    local = f"{NIGHTLY.replace(' ', '  ')};UNTIL=20301231T000000"
    ends = library("patch", at=f"schedules/{schedule['id']}/", json={"rrule": local})
    assert ends["rrule"] == f"{NIGHTLY};UNTIL=20301230T170000Z"
    assert library("get", at=f"job_templates/{installed.template}/schedules/")["count"] == 1
    variables = library.tried("patch", at=f"schedules/{schedule['id']}/", json={"extra_data": {"mode": "plan"}})
    assert "not allowed on launch" in variables["body"]["extra_data"][0]
    # By itself, AWX does not look at it.
    assert library("patch", at=f"schedules/{schedule['id']}/", json={"limit": "api"})["limit"] == "api"
    limit = library.tried("patch", at=f"schedules/{schedule['id']}/", json={"limit": "api", "extra_data": {}})
    assert limit["body"] == {"limit": ["Field is not configured to prompt on launch."]}
    library("delete", at=f"job_templates/{installed.template}/")
    assert library.tried("get", at=f"schedules/{schedule['id']}/")["error"] == "NotFound"


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
        ("DTSTART;TZID=Asia/Bankok:20260101T020000 RRULE:FREQ=DAILY;INTERVAL=1", "A valid TZID must be provided"),
        (f"{NIGHTLY};UNTIL=20301231", "rrule parsing failed validation"),
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
    refused = {"name": "key", "organization": installed.organization, "credential_type": machine}
    key = library.tried("post", at="credentials/", json={**refused, "inputs": {"ssh_key_data": "no key"}})
    assert key["body"] == {"inputs": {"ssh_key_data": ["Invalid certificate or key: no key..."]}}
    of = {"organization": installed.organization, "credential_type": machine, "inputs": {"username": "deploy"}}
    first, second = (made(library, "credentials", name=name, **of) for name in ("one", "two"))
    library("call", at=at, method="add_credential", arguments=[f"@credentials/{first}/"])
    assert library.tried("post", at=f"{at}credentials/", json={"id": second})["body"] == {
        "error": "Cannot assign multiple Machine credentials."
    }
    project = library.tried("patch", at=f"projects/{installed.project}/", json={"credential": first})
    assert project["body"] == {"credential": ["Credential kind must be 'scm'."]}


def user(library: Library, login: str, **rights: bool) -> int:
    """A user who logs in like this; a real AWX has him only now."""
    name, _colon, password = login.partition(":")
    if password:
        return made(library, "users", username=name, password=password, **rights)
    found = {awx.TOKEN_OF_A_MEMBER: "member", awx.TOKEN_OF_AN_AUDITOR: "auditor"}[login]
    return int(library("get", at="users/", query={"username": found})["results"][0]["id"])


def test_who_may_approve(server: Server, library: Library, installed: Installation) -> None:
    team = made(library, "teams", name="releases", organization=installed.organization)
    member = user(library, server.member)
    library("call", at=f"teams/{team}/", method="add_user", arguments=[f"@users/{member}/"])
    at = f"workflow_job_templates/{installed.workflow}/"
    library.token = server.member
    assert library.tried("get", at=at)["error"] == "Forbidden"
    library.token = server.token
    library("call", at=at, method="set_object_roles", arguments=[f"@teams/{team}/", "Approve"])
    role = library("get", at=at)["summary_fields"]["object_roles"]["approval_role"]["id"]
    assert [each["id"] for each in library("get", at=f"roles/{role}/teams/")["results"]] == [team]
    library.token = server.member
    assert library("get", at=at)["id"] == installed.workflow
    assert library.tried("patch", at=at, json={"description": "mine"})["error"] == "Forbidden"
    library.token = server.token
    named = {"disassociate": True}
    library("call", at=at, method="set_object_roles", arguments=[f"@teams/{team}/", "Approve"], named=named)
    assert library("get", at=f"roles/{role}/teams/")["count"] == 0


def test_who_may_not(server: Server, library: Library, installed: Installation) -> None:
    user(library, server.member)
    user(library, server.auditor, is_system_auditor=True)
    library.token = server.auditor
    assert library("get", at=f"projects/{installed.project}/")["name"] == "infra"
    assert library.tried("delete", at=f"projects/{installed.project}/")["error"] == "Forbidden"
    library.token = server.member
    assert library("get", at="projects/")["count"] == 0
    refused = library.tried("post", at="organizations/", json={"name": "mine"})
    assert (refused["status"], refused["error"]) == (403, "Forbidden")
    library.token = "unknown"
    assert library.tried("get", at="organizations/")["error"] == "Unauthorized"
    if server.stand_in:
        library.token = f"admin:{awx.PASSWORD}"
        assert library("get", at="me/")["results"][0]["username"] == "admin"
    library.token = "admin:wrong"
    assert library.tried("get", at="me/")["error"] == "Unauthorized"


def test_what_runs_is_not_removed(stand_in: awx.Awx, library: Library, installed: Installation) -> None:
    template = stand_in.one("job_templates", installed.template)
    stand_in.start("jobs", template, "running")
    refused = library.tried("delete", at=f"job_templates/{installed.template}/")
    assert (refused["error"], refused["body"]["error"]) == ("Conflict", "Resource is being used by running jobs.")


def test_a_vendor_that_adds_fields(stand_in: awx.Awx, library: Library, installed: Installation) -> None:
    stand_in.rearranges = True
    assert library("get", at=f"job_templates/{installed.template}/")["name"] == "Deploy"
