"""Vercel's SDK takes the stand-in for its API: it parses each answer with the vendor's own models."""

from __future__ import annotations

import json
import subprocess
import typing as t
from pathlib import Path

import pytest

from ansible_collections.nexod.infra.tests.fixtures.services import vercel
from ansible_collections.nexod.infra.tests.fixtures.services.running import Services

from .clients import Library, loaded, npm_client

SHA = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(scope="module")
def process() -> t.Iterator[subprocess.Popen[str]]:
    with loaded("node", Path(__file__).with_name("vercel_sdk.mjs"), npm_client("vercel") / "@vercel/sdk") as found:
        yield found


@pytest.fixture
def sdk(services: Services, process: subprocess.Popen[str]) -> Library:
    return Library(process, services.vercel.url, vercel.TOKEN, {"teamId": vercel.TEAM})


@pytest.fixture
def project(sdk: Library) -> str:
    """The name of a project that exists."""
    sdk("projects.createProject", requestBody={"name": "facts", "framework": "nextjs"})
    return "facts"


def test_who_asks(sdk: Library) -> None:
    assert sdk("user.getAuthUser")["user"]["username"] == "dev"
    assert sdk("teams.getTeam")["slug"] == "nexod"


def test_a_project_is_made_changed_and_deleted(sdk: Library) -> None:
    repository = {"type": "github", "repo": "nexod/facts"}
    made = sdk(
        "projects.createProject", requestBody={"name": "facts", "framework": "nextjs", "gitRepository": repository}
    )
    assert made["link"]["repo"] == "facts"
    again = sdk.tried("projects.createProject", requestBody={"name": "facts"})
    assert again["status"] == 409
    changes = {"buildCommand": "npm run build", "nodeVersion": "22.x", "autoAssignCustomDomains": False}
    protection = {
        "ssoProtection": {"deploymentType": "prod_deployment_urls_and_all_previews"},
        "passwordProtection": {"deploymentType": "preview", "password": "canary-0123456789"},
    }
    body = {**changes, **protection}
    changed = sdk("projects.updateProject", idOrName="facts", requestBody=body)
    assert {name: changed[name] for name in changes} == changes
    assert changed["passwordProtection"] is not None
    found = sdk("projects.getProject", idOrName=made["id"])
    assert found["ssoProtection"]["deploymentType"] == "prod_deployment_urls_and_all_previews"
    assert "canary-0123456789" not in json.dumps(found)
    listed = sdk("projects.getProjects")
    assert [each["name"] for each in listed["projects"]] == ["facts"]
    sdk("projects.deleteProject", idOrName="facts")
    assert sdk.tried("projects.getProject", idOrName="facts")["status"] == 404


def test_environment_variables(sdk: Library, project: str) -> None:
    one = {"key": "API_URL", "value": "https://api.nexod.ai", "type": "plain", "target": ["production"]}
    secret = {"key": "SENTRY_DSN", "value": "canary", "type": "sensitive", "target": ["production", "preview"]}
    reserved = {**one, "key": "VERCEL_URL"}
    made = sdk("projects.createProjectEnv", idOrName=project, upsert="true", requestBody=[one, secret, reserved])
    assert [each["key"] for each in made["created"]] == ["API_URL", "SENTRY_DSN"]
    assert [each["error"]["code"] for each in made["failed"]] == ["RESERVED_ENV_VARIABLE"]
    changed = {**one, "value": "https://api2.nexod.ai", "comment": "fingerprint"}
    sdk("projects.createProjectEnv", idOrName=project, upsert="true", requestBody=changed)
    conflict = sdk.tried("projects.createProjectEnv", idOrName=project, requestBody=one)
    assert (conflict["status"], "ENV_CONFLICT" in conflict["body"]) == (400, True)
    found = {each["key"]: each for each in sdk("projects.filterProjectEnvs", idOrName=project)["envs"]}
    assert found["API_URL"]["value"] == "https://api2.nexod.ai"
    assert found["API_URL"]["comment"] == "fingerprint"
    assert found["SENTRY_DSN"]["value"] == ""
    number = found["SENTRY_DSN"]["id"]
    assert sdk("projects.getProjectEnv", idOrName=project, id=number)["value"] == ""
    assert sdk("projects.editProjectEnv", idOrName=project, id=number, requestBody={"value": "new"})["value"] == ""
    plain = sdk.tried("projects.editProjectEnv", idOrName=project, id=number, requestBody={"type": "plain"})
    assert plain["status"] == 400
    sdk("projects.removeProjectEnv", idOrName=project, id=number)
    assert len(sdk("projects.filterProjectEnvs", idOrName=project)["envs"]) == 1


def test_domains(services: Services, sdk: Library, project: str) -> None:
    services.vercel.state["dns"]["app.nexod.ai"] = {"taken": True, "configured": False}
    made = sdk("projects.addProjectDomain", idOrName=project, requestBody={"name": "app.nexod.ai"})
    assert made["verified"] is False
    (record,) = made["verification"]
    assert (record["type"], record["domain"]) == ("TXT", "_vercel.nexod.ai")
    assert sdk.tried("projects.verifyProjectDomain", idOrName=project, domain="app.nexod.ai")["status"] == 400
    config = sdk("domains.getDomainConfig", domain="app.nexod.ai", projectIdOrName=project)
    assert config["misconfigured"] is True
    assert config["recommendedCNAME"][0]["value"].endswith(".")
    (alias,) = sdk("projects.getProject", idOrName=project)["alias"]
    assert (alias["domain"], alias["target"], alias.get("configuredBy")) == ("app.nexod.ai", "PRODUCTION", None)
    services.vercel.state["dns"]["app.nexod.ai"] = {"taken": True, "txt": True}
    (alias,) = sdk("projects.getProject", idOrName=project)["alias"]
    assert alias["configuredBy"] == "CNAME"
    assert sdk("projects.verifyProjectDomain", idOrName=project, domain="app.nexod.ai")["verified"] is True
    again = sdk.tried("projects.addProjectDomain", idOrName=project, requestBody={"name": "app.nexod.ai"})
    assert again["status"] == 409
    branch = {"gitBranch": "staging"}
    sdk("projects.addProjectDomain", idOrName=project, requestBody={"name": "staging.nexod.ai"})
    sdk("projects.updateProjectDomain", idOrName=project, domain="staging.nexod.ai", requestBody=branch)
    assert sdk("projects.getProjectDomain", idOrName=project, domain="staging.nexod.ai")["gitBranch"] == "staging"
    first = sdk("projects.getProjectDomains", idOrName=project, limit=1)
    assert first["pagination"]["next"] is not None
    last = sdk("projects.getProjectDomains", idOrName=project, limit=1, until=first["pagination"]["next"])
    assert last["pagination"]["next"] is None
    assert {first["domains"][0]["name"], last["domains"][0]["name"]} == {"app.nexod.ai", "staging.nexod.ai"}
    sdk("projects.removeProjectDomain", idOrName=project, domain="staging.nexod.ai")
    assert sdk.tried("projects.getProjectDomain", idOrName=project, domain="staging.nexod.ai")["status"] == 404


def test_a_deployment_is_built_promoted_and_rolled_back(services: Services, sdk: Library, project: str) -> None:
    sdk("projects.updateProject", idOrName=project, requestBody={"autoAssignCustomDomains": False})
    sdk("projects.addProjectDomain", idOrName=project, requestBody={"name": "app.nexod.ai"})
    one = services.vercel.add_deployment(project, "a" * 40)["id"]
    two = services.vercel.add_deployment(project, SHA, readyState="QUEUED", coming=["BUILDING", "READY"])["id"]
    states = [sdk("deployments.getDeployment", idOrUrl=two)["readyState"] for _try in range(3)]
    assert states == ["BUILDING", "READY", "READY"]
    (found,) = sdk("deployments.getDeployments", projectId=project, sha=SHA, target="production")["deployments"]
    assert (found["uid"], found["readySubstate"]) == (two, "STAGED")
    for number in (one, two):
        sdk("projects.requestPromote", projectId=project, deploymentId=number)
        seen = [sdk("projects.getProject", idOrName=project)["lastAliasRequest"]["jobStatus"] for _try in range(2)]
        assert seen == ["in-progress", "succeeded"]
    aliases = sdk("projects.listPromoteAliases", projectId=project)["aliases"]
    assert [(each["alias"], each["status"]) for each in aliases] == [("app.nexod.ai", "completed")]
    assert sdk("projects.getProject", idOrName=project)["targets"]["production"]["id"] == two
    assert sdk.tried("projects.requestPromote", projectId=project, deploymentId=two)["status"] == 409
    (before,) = sdk("deployments.getDeployments", projectId=project, rollbackCandidate=True)["deployments"]
    assert before["uid"] == one
    sdk("projects.requestRollback", projectId=project, deploymentId=one)
    for _try in range(2):
        found = sdk("projects.getProject", idOrName=project)
    assert found["targets"]["production"]["id"] == one
    assert found["lastAliasRequest"]["type"] == "rollback"


def test_previews_are_listed_by_page_and_deleted(services: Services, sdk: Library, project: str) -> None:
    made = [services.vercel.add_deployment(project, f"{n:040d}", branch="feature")["id"] for n in range(3)]
    found, until = [], {}
    while True:
        page = sdk("deployments.getDeployments", projectId=project, branch="feature", limit=2, **until)
        found += [each["uid"] for each in page["deployments"]]
        if page["pagination"]["next"] is None:
            break
        until = {"until": page["pagination"]["next"]}
    assert found == made[::-1]
    assert sdk("deployments.deleteDeployment", id=made[0])["state"] == "DELETED"
    assert sdk.tried("deployments.getDeployment", idOrUrl=made[0])["status"] == 404


def test_the_rest(services: Services, sdk: Library, project: str) -> None:
    sdk("edgeCache.invalidateByTags", projectIdOrName=project, requestBody={"tags": ["facts"]})
    assert services.vercel.state["purged"] == [{"project": "facts", "tags": ["facts"]}]
    sdk("projects.updateProjectProtectionBypass", idOrName=project, requestBody={"generate": {}})
    assert len(services.vercel.state["projects"]) == 1
    body = {"slug": "staging", "branchMatcher": {"type": "equals", "pattern": "staging"}}
    made = sdk("environment.createCustomEnvironment", idOrName=project, requestBody=body)
    listed = sdk("environment.getProjectsByIdOrNameCustomEnvironments", idOrName=project)["environments"]
    assert [each["id"] for each in listed] == [made["id"]]


def test_who_may_not(sdk: Library, project: str) -> None:
    assert sdk.tried("projects.getProject", idOrName=project, teamId=vercel.TEAM_OF_ANOTHER)["status"] == 403
    # Without its team, a project is looked for in the user's own account.
    assert sdk.tried("projects.getProject", idOrName=project, teamId=None)["status"] == 404
    sdk.token = "vcp_unknown"
    assert sdk.tried("projects.getProject", idOrName=project)["status"] == 403


def test_a_limit_and_a_plan_without_a_feature(services: Services, sdk: Library, project: str) -> None:
    services.vercel.order("get_project", status=429, after=30)
    limited = sdk.tried("projects.getProject", idOrName=project)
    assert limited["status"] == 429
    assert json.loads(limited["body"])["error"]["limit"]["reset"] > 0
    services.vercel.lacks.add("password protection")
    body = {"passwordProtection": {"deploymentType": "all", "password": "x"}}
    assert sdk.tried("projects.updateProject", idOrName=project, requestBody=body)["status"] == 402


def test_a_vendor_that_adds_fields(services: Services, sdk: Library, project: str) -> None:
    services.vercel.rearranges = True
    assert sdk("projects.getProject", idOrName=project)["name"] == project
    assert sdk("projects.filterProjectEnvs", idOrName=project)["envs"] == []
