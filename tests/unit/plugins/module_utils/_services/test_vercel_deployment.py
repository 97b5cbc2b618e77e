"""Deployments of Vercel: waited for, promoted, rolled back, removed; on the stand-in for Vercel's API."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._services.accounts import client_of
from ansible_collections.nexod.infra.plugins.module_utils._services.vercel_deployment import (
    Deployments,
    facts_of,
    latest,
)
from ansible_collections.nexod.infra.tests.fixtures.clock import Instantly
from ansible_collections.nexod.infra.tests.fixtures.services import running, vercel

ONE, TWO, THREE = ("1" * 40, "2" * 40, "3" * 40)


@pytest.fixture
def project(services: running.Services) -> vercel.Vercel:
    """A project that delivers the deployment of the first commit, and does not deliver others by itself."""
    server = services.vercel
    made = client(server).send("POST", "/v11/projects", {"name": "app"})
    server.add_deployment("app", ONE)
    server.state["projects"][made["id"]]["settings"]["autoAssignCustomDomains"] = False
    return server


def client(server: vercel.Vercel, *, check: bool = False) -> t.Any:
    return client_of("vercel", {"token": vercel.TOKEN, "team": vercel.TEAM, "url": server.url}, check=check)


def deployments(server: vercel.Vercel, *, check: bool = False, seconds: float = 60) -> tuple[Deployments, list[str]]:
    told: list[str] = []
    return Deployments(client(server, check=check), "app", seconds, told.append, Instantly()), told


def test_a_build_is_waited_for_and_promoted(project: vercel.Vercel) -> None:
    project.add_deployment("app", TWO, readyState="QUEUED", coming=["BUILDING", "READY"])
    found, told = deployments(project)
    chosen = found.ready(TWO, "production")
    assert chosen
    assert told == ["app: it is BUILDING"]
    assert facts_of(chosen)["commit"] == TWO
    before = found.live()
    checked, _told = deployments(project, check=True)
    written = len(project.writes())
    assert checked.promote(chosen) is True
    assert len(project.writes()) == written
    assert found.promote(chosen) is True
    assert found.live() == chosen["uid"] != before
    assert found.promote(chosen) is False


def test_rolled_back_once_and_promoted_again(project: vercel.Vercel) -> None:
    for commit in (TWO, THREE):
        project.add_deployment("app", commit)
        found, _told = deployments(project)
        found.promote(t.cast("t.Any", found.ready(commit, "production")))
    expected, _changed = deployments(project, check=True)[0].roll_back()
    found, _told = deployments(project)
    chosen, changed = found.roll_back()
    assert (chosen["uid"], changed, facts_of(chosen)["commit"]) == (expected["uid"], True, TWO)
    # A run that is repeated does not go further back.
    assert deployments(project)[0].roll_back()[1] is False
    assert found.promote(t.cast("t.Any", found.ready(THREE, "production"))) is True
    assert [one.operation for one in project.writes()[-2:]] == ["roll_back", "roll_back"]


def test_since_when_a_front_end_is_delivered(project: vercel.Vercel) -> None:
    found, _told = deployments(project)
    first, since = found.delivered()
    assert (facts_of(first)["commit"], since) == (ONE, first["createdAt"] // 1000)
    project.add_deployment("app", TWO)
    found.promote(t.cast("t.Any", found.ready(TWO, "production")))
    for commit in (TWO, ONE):
        # Built before, delivered now.
        (row,) = (each for each in project.state["projects"].values() if each["name"] == "app")
        row["lastAliasRequest"]["requestedAt"] += 500_000
        delivered, since = deployments(project)[0].delivered()
        assert (facts_of(delivered)["commit"], since) == (commit, row["lastAliasRequest"]["requestedAt"] // 1000)
        assert since > latest(delivered)
        if commit == TWO:
            deployments(project)[0].roll_back()
    assert deployments(project)[0].delivered("develop") == ({}, 0)
    project.add_deployment("app", THREE, branch="develop")
    project.add_deployment("app", TWO, branch="develop", readyState="BUILDING")
    preview, since = deployments(project)[0].delivered("develop")
    assert (facts_of(preview)["commit"], since) == (THREE, preview["created"] // 1000)


@pytest.mark.parametrize(
    ("row", "since"),
    [
        ({"createdAt": 1000, "readyAt": 9000, "aliasAssigned": True}, 9),
        ({"created": 1000, "ready": 2000, "aliasAssigned": 7500}, 7),
        ({"created": 1000, "aliasAssigned": False, "movedAt": None}, 1),
        ({}, 0),
    ],
)
def test_the_latest_of_its_times(row: dict[str, t.Any], since: int) -> None:
    assert latest(row) == since


def test_tags_of_the_cache(project: vercel.Vercel) -> None:
    found, _told = deployments(project)
    found.invalidate(["facts", "users"])
    assert project.state["purged"] == [{"project": "app", "tags": ["facts", "users"]}]
    project.order("invalidate_by_tags", status=503)
    with pytest.raises(InfraError, match="purge the tags facts at Vercel"):
        found.invalidate(["facts"])


def test_a_lost_answer_is_no_second_promotion(project: vercel.Vercel) -> None:
    project.add_deployment("app", TWO)
    project.order("promote", lost=True)
    found, _told = deployments(project)
    with pytest.raises(InfraError, match="Whether it was done is unknown"):
        found.promote(t.cast("t.Any", found.ready(TWO, "production")))
    again, _told = deployments(project)
    again.promote(t.cast("t.Any", again.ready(TWO, "production")))
    assert again.live() == again.ready(TWO, "production")["uid"]  # type: ignore[index]


@pytest.mark.parametrize(
    ("made", "says"),
    [
        (
            None,
            "after 60 s Vercel has no production deployment of the commit 222222222222 yet.\nCheck that the commit",
        ),
        ({"branch": "feature"}, "Vercel has no production deployment of the commit"),
        ({"readyState": "ERROR"}, "it is ERROR.\nSee why at https://vercel.com/nexod/app/"),
        ({"readyState": "BUILDING"}, "after 60 s it is BUILDING.\nSee https://vercel.com/"),
    ],
)
def test_what_is_never_built(project: vercel.Vercel, made: dict[str, t.Any] | None, says: str) -> None:
    if made is not None:
        project.add_deployment("app", TWO, **made)
    with pytest.raises(InfraError) as raised:
        deployments(project)[0].ready(TWO, "production")
    assert says in str(raised.value)


def test_a_promotion_that_fails_names_the_domains(project: vercel.Vercel) -> None:
    client(project).send("POST", "/v10/projects/app/domains", {"name": "app.nexod.ai"})
    project.add_deployment("app", TWO)
    project.alias_path = ("pending", "failed")
    found, _told = deployments(project)
    before = found.live()
    with pytest.raises(InfraError, match=r"the promotion is failed, for app\.nexod\.ai"):
        found.promote(t.cast("t.Any", found.ready(TWO, "production")))
    assert deployments(project)[0].live() == before


def test_nothing_to_roll_back_to(project: vercel.Vercel) -> None:
    with pytest.raises(InfraError, match="production has delivered no deployment before this one"):
        deployments(project)[0].roll_back()


def test_previews_of_a_closed_pull_request_go(project: vercel.Vercel) -> None:
    for branch in ("feature", "feature", "other"):
        project.add_deployment("app", TWO, branch=branch)
    expected = deployments(project, check=True)[0].remove_previews("feature")
    assert len(project.state["deployments"]) == 4
    removed = deployments(project)[0].remove_previews("feature")
    assert [row["uid"] for row in removed] == [row["uid"] for row in expected]
    left = [row["meta"]["githubCommitRef"] for row in project.state["deployments"].values()]
    assert sorted(left) == ["main", "other"]
    assert deployments(project)[0].remove_previews("feature") == []


def test_a_project_that_is_not_there(services: running.Services) -> None:
    with pytest.raises(InfraError, match="Cannot find the Vercel project app: there is none of this name"):
        deployments(services.vercel)[0].live()
