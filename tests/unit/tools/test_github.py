"""The comment with a plan: found, edited, and believed only as far as it should be."""

from __future__ import annotations

import json
import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.tests.fixtures.github_stand_in import TOKEN, GitHubStandIn, github_stand_in
from ansible_collections.nexod.infra.tools.github import (
    BOT,
    LONGEST,
    PAGE,
    GitHub,
    Plan,
    built_before,
    comment_text,
    fingerprint,
    marked,
    own_comment,
    shortened,
)

HEAD, MERGE = "a" * 40, "b" * 40
PLAN = Plan("production", HEAD, 42, "f" * 64)
PULL = {"number": 7, "head": {"sha": HEAD}, "merged_at": "2026-11-27T08:00:00Z", "merge_commit_sha": MERGE}
CHANGES = [{"stage": "migrate", "object": "0009"}, {"stage": "backend", "object": "api"}]
REPORT = {"environment": "production", "changes": CHANGES}


def comment(body: str, login: str = BOT, number: int = 1) -> dict[str, t.Any]:
    return {"id": number, "node_id": f"IC_{number}", "user": {"login": login}, "body": body}


def text(plan: Plan = PLAN, markdown: str = "## Plan") -> str:
    return comment_text(plan, markdown, "https://github.example.com/runs/42")


@pytest.fixture
def stand_in() -> t.Iterator[GitHubStandIn]:
    with github_stand_in() as found:
        yield found


def client(stand_in: GitHubStandIn, token: str = TOKEN) -> GitHub:
    return GitHub(stand_in.url, stand_in.repository, token)


@pytest.mark.parametrize(
    ("report", "release", "same"),
    [
        pytest.param(REPORT, "r", True, id="the same"),
        pytest.param({**REPORT, "changes": CHANGES[::-1], "seconds": 3}, "r", True, id="another order, another time"),
        pytest.param({**REPORT, "changes": CHANGES[:1]}, "r", False, id="less"),
        pytest.param({**REPORT, "environment": "staging"}, "r", False, id="another environment"),
        pytest.param(REPORT, "other", False, id="another release"),
        pytest.param(
            {**REPORT, "changes": [{**CHANGES[0], "fingerprint": "x"}, CHANGES[1]]}, "r", False, id="another content"
        ),
    ],
)
def test_a_fingerprint_is_of_what_was_approved(report: dict[str, t.Any], release: str, same: bool) -> None:
    assert (fingerprint(report, release) == fingerprint(REPORT, "r")) == same


@pytest.mark.parametrize(
    ("body", "plan"),
    [
        pytest.param(text(), PLAN, id="ours"),
        pytest.param(f"> {text()}", None, id="quoted"),
        pytest.param("## Plan", None, id="no marker"),
        pytest.param("<!-- nexod.infra plan: {} -->\n", None, id="incomplete"),
        pytest.param("<!-- nexod.infra plan: {not json} -->\n", None, id="no JSON"),
        pytest.param('<!-- nexod.infra plan: {"run": "x", "environment": ""} -->\n', None, id="no number"),
    ],
)
def test_a_marker_is_only_what_a_comment_begins_with(body: str, plan: Plan | None) -> None:
    assert marked(body) == plan


@pytest.mark.parametrize(
    ("comments", "number"),
    [
        pytest.param([], None, id="none"),
        pytest.param([comment("LGTM"), comment(text(), number=2)], 2, id="among others"),
        pytest.param([comment(text(), login="somebody")], None, id="of somebody else"),
        pytest.param([comment(text(Plan("staging", HEAD, 1, "")))], None, id="of another environment"),
        pytest.param([comment(text()), comment(text(), number=2)], 2, id="the last of several"),
        pytest.param([{"id": 1, "user": None, "body": text()}], None, id="of a deleted account"),
    ],
)
def test_our_comment_is_found(comments: list[dict[str, t.Any]], number: int | None) -> None:
    found, plan = own_comment(comments, "production")
    assert (found and found["id"], plan and plan.environment) == (number, number and "production")


def approving(stand_in: GitHubStandIn, *comments: dict[str, t.Any], **pull: t.Any) -> GitHub:
    """GitHub after a merge: with the comments of the pull request, and the run that has made the plan in it."""
    stand_in.pulls[MERGE] = [{**PULL, **pull}]
    stand_in.comments[7] = list(comments)
    stand_in.ran(42, "pull_request", HEAD)
    return client(stand_in)


@pytest.mark.parametrize("editor", [None, "github-actions", BOT])
def test_the_approved_plan_is_that_of_the_commit_that_was_merged(stand_in: GitHubStandIn, editor: str | None) -> None:
    github = approving(stand_in, comment(text()))
    if editor:
        stand_in.editors[1] = ("Bot", editor)
    assert github.approved(MERGE, "production") == PLAN
    assert stand_in.writes == []


@pytest.mark.parametrize(
    ("comments", "pull", "cause"),
    [
        pytest.param([], {"merge_commit_sha": HEAD}, "no merged pull request has made this commit", id="pushed"),
        pytest.param([], {}, "pull request 7 has no plan of it", id="no plan"),
        pytest.param([comment(text(), login="somebody")], {}, "has no plan of it", id="a plan of somebody else"),
        pytest.param([comment(text())], {"head": {"sha": "c" * 40}}, "cccccccccccc was merged", id="an older plan"),
        pytest.param(
            [comment(text(Plan("production", HEAD, 42, "")))], {}, "the plan in pull request 7 failed", id="failed"
        ),
    ],
)
def test_what_is_no_approved_plan_is_refused(
    stand_in: GitHubStandIn, comments: list[dict[str, t.Any]], pull: dict[str, t.Any], cause: str
) -> None:
    with pytest.raises(InfraError) as raised:
        approving(stand_in, *comments, **pull).approved(MERGE, "production")
    assert cause in raised.value.cause
    assert "by hand" in raised.value.next_step


def edited_by(editor: str, kind: str = "User") -> t.Callable[[GitHubStandIn], None]:
    return lambda stand_in: stand_in.editors.update({1: (kind, editor)})


def ran(event: str = "pull_request", commit: str = HEAD, **more: t.Any) -> t.Callable[[GitHubStandIn], None]:
    def change(stand_in: GitHubStandIn) -> None:
        stand_in.ran(42, event, commit)
        stand_in.runs[42].update(more)

    return change


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        pytest.param(edited_by("somebody"), "was last edited by somebody", id="edited"),
        pytest.param(edited_by("github-actions"), "was last edited by github-actions", id="a person of the bot's name"),
        pytest.param(edited_by("renovate", "Bot"), "was last edited by renovate", id="another bot"),
        pytest.param(
            lambda stand_in: stand_in.comments[7][0].update(node_id="IC_of-nobody"), "does not say who", id="unknown"
        ),
        pytest.param(ran("push"), "run 42, which was for the event push", id="a run for a push"),
        pytest.param(ran(commit="c" * 40), "commit cccccccccccc of shop/shop", id="a run for another commit"),
        pytest.param(ran(head_repository={"full_name": "somebody/shop"}), "of somebody/shop", id="a run of a fork"),
        pytest.param(ran(head_repository=None), "of a repository that is gone", id="a run of a fork that is gone"),
        pytest.param(lambda stand_in: stand_in.runs.clear(), "HTTP 404", id="a run that is gone"),
    ],
)
def test_an_edited_comment_is_refused(
    stand_in: GitHubStandIn, change: t.Callable[[GitHubStandIn], None], cause: str
) -> None:
    github = approving(stand_in, comment(text()))
    change(stand_in)
    with pytest.raises(InfraError) as raised:
        github.approved(MERGE, "production")
    assert cause in raised.value.cause


def test_graphql_of_a_server_of_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(GitHub, "_ask", lambda _self, _method, _path, _document, url: asked.append(url))
    for url in ("https://api.github.com", "https://git.example.com/api/v3"):
        assert GitHub(url, "shop/shop", TOKEN).edits(comment(text())) is None
    assert asked == ["https://api.github.com/graphql", "https://git.example.com/api/graphql"]


OWN = {"id": 1, "repository_id": 9, "head_repository_id": 9, "head_branch": "develop"}
BUILT = {"name": "release-1", "expired": False, "created_at": "2026-11-27T08:00:00Z", "workflow_run": OWN}


@pytest.mark.parametrize(
    ("changes", "used"),
    [
        pytest.param({}, True, id="ours"),
        pytest.param({"expired": True}, False, id="expired"),
        pytest.param(
            {"workflow_run": {**OWN, "head_branch": "feature"}}, False, id="of a branch that is not protected"
        ),
        pytest.param({"workflow_run": {**OWN, "head_repository_id": 10}}, False, id="of a fork with such a branch"),
        pytest.param({"workflow_run": None}, False, id="of a run that is gone"),
    ],
)
def test_only_builds_of_protected_branches_are_used_again(changes: dict[str, t.Any], used: bool) -> None:
    assert bool(built_before([{**BUILT, **changes}], ["develop", "main"])) == used


def test_the_newest_build_is_used() -> None:
    newer = {**BUILT, "created_at": "2026-11-27T09:00:00Z"}
    assert built_before([BUILT, newer, BUILT], ["develop"]) == newer


def test_a_plan_that_is_too_long_is_cut_between_lines_and_closed() -> None:
    lines = "\n".join(f"+ create file /etc/{number}" for number in range(9000))
    markdown = f"## Plan\n\n<details open>\n\n```diff\n{lines}\n```\n\n</details>"
    body = text(markdown=markdown)
    assert LONGEST - 100 < len(body) < 65_536
    assert body.count("```") == 2
    assert body.count("<details") == body.count("</details>")
    assert "longer than a comment may be" in body
    assert marked(body) == PLAN
    assert shortened("short", 5) == "short"


def test_the_comment_is_written_once_and_edited_then(stand_in: GitHubStandIn) -> None:
    # Ours is on the second page.
    stand_in.comments[7] = [comment("LGTM", "somebody", number) for number in range(PAGE)]
    github = client(stand_in)
    assert github.write_comment(7, PLAN, text()) == "written"
    assert github.write_comment(7, PLAN, text(markdown="## Another plan")) == "edited"
    assert github.write_comment(7, Plan("staging", HEAD, 42, ""), text(Plan("staging", HEAD, 42, ""))) == "written"
    bodies = [one["body"] for one in stand_in.comments[7][PAGE:]]
    assert len(bodies) == 2
    assert "## Another plan" in bodies[0]
    assert stand_in.writes == ["POST issues/7/comments", f"PATCH issues/comments/{PAGE + 1}", "POST issues/7/comments"]


def test_the_approved_plan_is_found_by_the_commit(stand_in: GitHubStandIn) -> None:
    other = {**PULL, "number": 8, "merge_commit_sha": HEAD}
    stand_in.pulls[MERGE] = [{**other, "merged_at": None}, other, PULL]
    stand_in.comments[7] = [comment(text())]
    stand_in.ran(42, "pull_request", HEAD)
    assert client(stand_in).approved(MERGE, "production") == PLAN
    with pytest.raises(InfraError, match="no merged pull request"):
        client(stand_in).approved(HEAD, "production")


def test_a_build_is_found_by_its_name(stand_in: GitHubStandIn) -> None:
    stand_in.artifacts = [BUILT, {**BUILT, "name": "release-2"}]
    assert client(stand_in).built("release-2", ["develop"]) == stand_in.artifacts[1]
    assert client(stand_in).built("release-3", ["develop"]) is None


@pytest.mark.parametrize(
    ("refuses", "token", "cause", "next_step"),
    [
        pytest.param(None, "wrong", "HTTP 401: Bad credentials", "permission", id="token"),
        pytest.param(
            (403, "Resource not accessible by integration"), TOKEN, "Resource not accessible", "permission", id="right"
        ),
        pytest.param((502, "Server Error"), TOKEN, "HTTP 502", "again", id="GitHub"),
    ],
)
def test_what_github_refuses_is_an_error(
    stand_in: GitHubStandIn, refuses: tuple[int, str] | None, token: str, cause: str, next_step: str
) -> None:
    stand_in.refuses = refuses
    with pytest.raises(InfraError) as raised:
        client(stand_in, token).comments(7)
    assert cause in raised.value.cause
    assert next_step in raised.value.next_step
    assert token not in json.dumps(raised.value.report())
