"""What the workflows ask GitHub: the comment with a plan on a pull request, and releases that earlier runs have built.

A comment begins with a marker that names the plan: its environment, the commit it was made for, the run that keeps it
as an artifact, and its fingerprint. By the marker it is found again: to be edited by the next plan, and to be compared
by the deploy with the plan that the run kept. Whoever may write to the repository may edit the comments of others, so
a deploy asks who edited it last, and of which commit and event the run is that it names.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._core.http_client import ask

#: Who writes the comments. Anybody may write one that begins with a marker.
BOT = "github-actions[bot]"
#: What only GraphQL says of a comment. There, the name of a bot has no suffix.
EDITOR = "query($id: ID!) { node(id: $id) { ... on IssueComment { lastEditedAt editor { __typename login } } } }"
MARKER = re.compile(r"<!-- nexod\.infra plan: (\{.*?\}) -->\s")
#: Characters of a comment that GitHub accepts, less what is added to a plan that is cut.
LONGEST = 65_536 - 1_024
PAGE = 100


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a marker says. `fingerprint` is empty if the plan failed."""

    environment: str
    commit: str
    run: int
    fingerprint: str

    @property
    def marker(self) -> str:
        return f"<!-- nexod.infra plan: {json.dumps(dataclasses.asdict(self), sort_keys=True)} -->"


def fingerprint(report: Mapping[str, Any], release: str) -> str:
    """Of the environment, the changes of a plan in any order, and the checksum of the release that it deploys."""
    changes = sorted(json.dumps(row, sort_keys=True) for row in report["changes"])
    facts = json.dumps([report["environment"], changes, release])
    return hashlib.sha256(facts.encode()).hexdigest()


def marked(text: str) -> Plan | None:
    """The plan that a comment is about; None for any other comment, and for a marker that is none of ours."""
    found = MARKER.match(text)
    try:
        facts = json.loads(found[1]) if found else {}
        return Plan(str(facts["environment"]), str(facts["commit"]), int(facts["run"]), str(facts["fingerprint"]))
    except (ValueError, KeyError, TypeError):
        return None


def shortened(text: str, most: int) -> str:
    """The first lines of Markdown; what they leave open is closed."""
    if len(text) <= most:
        return text
    kept = text[:most].rpartition("\n")[0]
    if len(re.findall(r"^```", kept, re.M)) % 2:
        kept += "\n```"
    if kept.count("<details") > kept.count("</details>"):
        kept += "\n\n</details>"
    return f"{kept}\n\n**The list is longer than a comment may be.**"


def comment_text(plan: Plan, markdown: str, page: str) -> str:
    """The comment: the marker, the list of changes, and where the rest is. `page` is the URL of the run."""
    if plan.fingerprint:
        says = f"Fingerprint `{plan.fingerprint[:12]}`: a deploy that would do anything else is refused."
    else:
        says = "This plan can't be approved: it failed."
    foot = f"For commit {plan.commit[:12]}. {says} [The whole report is an artifact of this run]({page})."
    return f"{plan.marker}\n{shortened(markdown.strip(), LONGEST - len(foot))}\n\n---\n{foot}\n"


def own_comment(
    comments: Sequence[Mapping[str, Any]], environment: str
) -> tuple[Mapping[str, Any], Plan] | tuple[None, None]:
    """Our comment with the plan of an environment, and the plan. Of several, the last one."""
    found: tuple[Mapping[str, Any], Plan] | tuple[None, None] = (None, None)
    for one in comments:
        plan = marked(one.get("body") or "")
        if plan and plan.environment == environment and (one.get("user") or {}).get("login") == BOT:
            found = one, plan
    return found


def merged_by(pulls: Sequence[Mapping[str, Any]], commit: str) -> Mapping[str, Any] | None:
    """The pull request whose merge made the commit."""
    rows = (one for one in pulls if one.get("merged_at") and one.get("merge_commit_sha") == commit)
    return next(rows, None)


#: What all refusals have in common.
ACTION = "deploy to"
BY_HAND = "or run this workflow by hand, which makes a plan that the reviewers of the environment approve"


def approved_plan(
    pull: Mapping[str, Any], comment: Mapping[str, Any] | None, plan: Plan | None, environment: str
) -> Plan:
    """The plan that was approved with a pull request. Refuses one that failed, or that later commits have outdated."""
    where = f"pull request {pull['number']}"
    if comment is None or plan is None:
        raise InfraError(ACTION, environment, f"{where} has no plan of it", f"Open another one, {BY_HAND}.")
    if plan.commit != pull["head"]["sha"]:
        cause = f"the plan in {where} is of commit {plan.commit[:12]}, and {pull['head']['sha'][:12]} was merged"
        raise InfraError(ACTION, environment, cause, f"Open another one and wait for its plan, {BY_HAND}.")
    if not plan.fingerprint:
        raise InfraError(ACTION, environment, f"the plan in {where} failed", f"Fix what it says, {BY_HAND}.")
    return plan


def refuse_editor(edits: Mapping[str, Any] | None, pull: int, environment: str) -> None:
    """Whoever has changed the comment may have shown the reviewers another list, or named another plan."""
    if edits is None:
        cause = f"GitHub does not say who edited the plan in pull request {pull}"
        step = f"See that this job may read pull requests (permissions in the workflow), {BY_HAND}."
        raise InfraError(ACTION, environment, cause, step)
    if not edits.get("lastEditedAt"):
        return
    editor = edits.get("editor") or {}
    login = str(editor.get("login") or "an account that is gone")
    if editor.get("__typename") == "Bot" and login.removesuffix("[bot]") == BOT.removesuffix("[bot]"):
        return
    cause = f"the plan in pull request {pull} was last edited by {login}"
    raise InfraError(ACTION, environment, cause, f"Open another one and wait for its plan, {BY_HAND}.")


def refuse_run(run: Mapping[str, Any], plan: Plan, repository: str, environment: str) -> None:
    """Only the run for the pull request's own commit, in this repository, has made the plan that was shown."""
    found = (run.get("event"), run.get("head_sha"), (run.get("head_repository") or {}).get("full_name"))
    if found == ("pull_request", plan.commit, repository):
        return
    cause = (
        f"the plan names run {plan.run}, which was for the event {found[0]} and commit {str(found[1])[:12]} "
        f"of {found[2] or 'a repository that is gone'}"
    )
    raise InfraError(ACTION, environment, cause, f"Open another one and wait for its plan, {BY_HAND}.")


def built_before(artifacts: Sequence[Mapping[str, Any]], branches: Sequence[str]) -> Mapping[str, Any] | None:
    """The newest of the artifacts that a run on one of the branches has kept.

    A run on another branch, or of a fork, executes what nobody has reviewed, and may keep anything under this name.
    """
    rows = []
    for one in artifacts:
        run = one.get("workflow_run") or {}
        own = run.get("repository_id") is not None and run.get("repository_id") == run.get("head_repository_id")
        if own and run.get("head_branch") in branches and not one.get("expired"):
            rows.append(one)
    return max(rows, key=lambda one: str(one["created_at"]), default=None)


class GitHub:
    """The REST API, for one repository."""

    def __init__(self, url: str, repository: str, token: str) -> None:
        self.url, self.repository, self._token = url.rstrip("/"), repository, token

    def _ask(self, method: str, path: str, document: Any = None, url: str = "") -> Any:
        answer = ask(
            url or f"{self.url}/repos/{self.repository}/{path}",
            document=document,
            method=method,
            timeout=60,
            accept="application/vnd.github+json",
            authorization=f"Bearer {self._token}",
            proxies=True,
        )
        if 200 <= answer.status < 300:
            return answer.document
        said = (answer.document or {}).get("message") if isinstance(answer.document, dict) else None
        cause = f"HTTP {answer.status}: {said or answer.reason}" if answer.status else answer.reason
        allow = (
            "Give the job the permission that this needs (permissions in the workflow, and of the token in general)."
        )
        again = "Run the job again; if that fails too, look at GitHub's status."
        next_step = allow if answer.status in (401, 403, 404) else again
        raise InfraError(f"{method} at GitHub", f"{self.repository}/{path.partition('?')[0]}", cause, next_step)

    def rows(self, path: str, key: str = "", **query: str) -> Iterator[Mapping[str, Any]]:
        """Every row of a list, page by page. `key` names the list if the answer is not the list itself."""
        page = 1
        while True:
            given = urllib.parse.urlencode({**query, "per_page": PAGE, "page": page})
            answer = self._ask("GET", f"{path}?{given}")
            found = answer[key] if key else answer
            yield from found
            if len(found) < PAGE:
                return
            page += 1

    def comments(self, pull: int) -> list[Mapping[str, Any]]:
        return list(self.rows(f"issues/{pull}/comments"))

    def write_comment(self, pull: int, plan: Plan, text: str) -> str:
        """Edit our comment of that environment, or write the first one; which of both."""
        found, _plan = own_comment(self.comments(pull), plan.environment)
        if found:
            self._ask("PATCH", f"issues/comments/{found['id']}", {"body": text})
            return "edited"
        self._ask("POST", f"issues/{pull}/comments", {"body": text})
        return "written"

    def edits(self, comment: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Who edited a comment last, and when; both empty if nobody has. None if GitHub does not say."""
        # That of a server of one's own is /api/graphql, beside /api/v3.
        url = f"{self.url.removesuffix('/v3')}/graphql"
        given = {"query": EDITOR, "variables": {"id": comment.get("node_id")}}
        answer = self._ask("POST", "graphql", given, url)
        found = ((answer or {}).get("data") or {}).get("node")
        return found if found and "lastEditedAt" in found else None

    def approved(self, commit: str, environment: str) -> Plan:
        pull = merged_by(list(self.rows(f"commits/{commit}/pulls")), commit)
        if pull is None:
            cause = "no merged pull request has made this commit"
            raise InfraError(ACTION, environment, cause, f"Open one, {BY_HAND}.")
        comment, marker = own_comment(self.comments(pull["number"]), environment)
        plan = approved_plan(pull, comment, marker, environment)
        refuse_editor(self.edits(comment or {}), pull["number"], environment)
        refuse_run(self._ask("GET", f"actions/runs/{plan.run}"), plan, self.repository, environment)
        return plan

    def built(self, name: str, branches: Sequence[str]) -> Mapping[str, Any] | None:
        return built_before(list(self.rows("actions/artifacts", "artifacts", name=name)), branches)
