"""The stages of the vendors as ansible-playbook runs them, in an environment that declares something at each."""

from __future__ import annotations

import json
import pathlib
import sys
import typing as t

import pytest
import yaml

from ansible_collections.nexod.infra.tests.fixtures.services import clerk, running, sentry_core, vercel, vercel_pages
from ansible_collections.nexod.infra.tests.playbook import AS_JSON, ROOT, Done, play, tasks_of

INVENTORY = {
    "infra_environment": "staging",
    "infra_provider": "hosts",
    "infra_domain": "example.com",
    "backend_version": "1.0.0",
    "services_sentry_organization": sentry_core.ORGANIZATION,
    "services_sentry_team": sentry_core.TEAM,
    "services_sentry_projects": [{"name": "api", "platform": "python-fastapi"}],
    "services_sentry_slack": {"integration": "Nexod", "target": "C024BE91L", "title": "#alerts"},
    "services_sentry_pagerduty": {"integration": "nexod", "target": "71"},
    "services_clerk_origins": ["https://staging.example.com"],
    "services_clerk_jwt_templates": [{"name": "api", "claims": {"aud": "api"}}],
    "services_vercel_team": vercel.TEAM,
    "services_vercel_project": {"name": "app", "framework": "nextjs", "assign_domains": False},
    "services_vercel_domains": [{"name": "app.example.com"}],
    "services_vercel_variables": [
        {"key": "NEXT_PUBLIC_SENTRY_DSN", "value": "@sentry_key/api.dsn"},
        {"key": "SECRET", "value_from": "secret"},
    ],
    "services_secrets": {"secret": "canary of a variable"},
}
HOSTS = (
    "all: {children: {database_primary: {hosts: {db: {ansible_host: 192.0.2.1}}}, migration_runner: {hosts: {db: }}}}\n"
)
TOKENS = {"SENTRY_AUTH_TOKEN": sentry_core.TOKEN, "CLERK_SECRET_KEY": clerk.TOKEN, "VERCEL_TOKEN": vercel.TOKEN}
COMMITS = ("1" * 40, "2" * 40)


class Stage:
    """Plays of the collection, in an inventory of their own."""

    def __init__(self, services: running.Services, folder: pathlib.Path) -> None:
        self.folder, self.services = folder, services
        self.exported: dict[str, str] = {}
        urls = {f"services_{name}_url": services.started(name).url for name in ("clerk", "sentry", "vercel")}
        # The stand-in is both, Clerk's Backend API and the instance's Frontend API.
        self.values: dict[str, t.Any] = {**INVENTORY, **urls, "infra_clerk_issuer": urls["services_clerk_url"]}
        inventory = folder / "inventory"
        (inventory / "group_vars").mkdir(parents=True)
        (inventory / "hosts.yml").write_text(HOSTS)
        (inventory / "nexod.yml").write_text("plugin: nexod.infra.environment\n")
        stage = yaml.safe_load((ROOT / "playbooks/stages/services.yml").read_text())[-1]
        asked = yaml.safe_load((ROOT / "playbooks/stages/preflight.yml").read_text())[1]
        (task,) = [one for one in asked["tasks"] if one["name"].startswith("Ask Clerk")]
        del task["when"]
        report = {
            "name": "Report",
            "nexod.infra.preflight_report": {
                "inputs": {"environment": "staging", "faults": [], "asked": {}, "hosts": []},
                "answer": "none",
                "services": "{{ services_applied | default({}) }}",
            },
        }
        (folder / "stage.yml").write_text(yaml.safe_dump([stage]))
        plays = [
            one
            for name in ("stages/frontend.yml", "roll_back.yml")
            for one in yaml.safe_load((ROOT / "playbooks" / name).read_text())
            if "Vercel" in one["name"]
        ]
        previews = yaml.safe_load((ROOT / "playbooks/remove_previews.yml").read_text())[-1]
        migrate = yaml.safe_load((ROOT / "playbooks/stages/migrate.yml").read_text())
        (live,) = [one for one in migrate if "Vercel" in one.get("name", "")]
        shown = {"ansible.builtin.debug": {"msg": "since {{ services_front_end_live_since | default('unread') }}"}}
        (folder / "live.yml").write_text(yaml.safe_dump([{**live, "tasks": [*live["tasks"], shown]}]))
        (folder / "previews.yml").write_text(yaml.safe_dump([previews]))
        for name, one in zip(("front_end.yml", "roll_back.yml"), plays, strict=True):
            (folder / name).write_text(yaml.safe_dump([one]))
        (folder / "preflight.yml").write_text(yaml.safe_dump([{**asked, "tasks": [task, report]}]))

    def writes(self) -> int:
        return sum(len(one.writes()) for one in self.services.running.values())

    def run(self, name: str, *arguments: str, tokens: t.Mapping[str, str] | None = None) -> Done:
        (self.folder / "inventory/group_vars/all.yml").write_text(json.dumps(self.values))
        python = ("-e", f"ansible_python_interpreter={sys.executable}")
        return play(
            *("-i", self.folder / "inventory", self.folder / name, *python, *arguments),
            cwd=self.folder,
            **AS_JSON,
            **(TOKENS if tokens is None else tokens),
            **self.exported,
        )


@pytest.fixture
def stage(services: running.Services, tmp_path: pathlib.Path) -> Stage:
    return Stage(services, tmp_path)


@pytest.fixture
def pages(stage: Stage, tmp_path: pathlib.Path) -> t.Iterator[vercel_pages.Pages]:
    """What Vercel delivers of deployments; the stages trust its certificate."""
    found = vercel_pages.Pages(tmp_path / "certificates")
    stage.exported["SSL_CERT_FILE"] = str(found.ca_file)
    yield found
    found.close()


def changed_hosts(done: Done) -> int:
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    return sum(bool(one["hosts"]["localhost"].get("changed")) for one in tasks_of(done))


def changes(done: Done) -> dict[str, str]:
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    rows = [
        one["hosts"]["localhost"] for one in tasks_of(done) if one["task"]["name"].endswith("Clerk, Sentry and Vercel")
    ]
    return {change["key"]: change["action"] for row in rows for change in row.get("changes", ())}


def test_predicted_done_and_left_alone(stage: Stage, services: running.Services) -> None:
    predicted = changes(stage.run("stage.yml", "--check", "--diff"))
    assert stage.writes() == 0
    done = stage.run("stage.yml", "--diff", "-vvv")
    assert changes(done) == predicted
    assert {key.partition("/")[0] for key in predicted} == {
        *("clerk_instance", "clerk_jwt_template"),
        *("sentry_project", "sentry_key", "sentry_detector", "sentry_workflow"),
        *("vercel_project", "vercel_domain", "vercel_variable"),
    }
    values = {one["key"]: one["value"] for one in services.vercel.state["envs"].values()}
    assert values["NEXT_PUBLIC_SENTRY_DSN"].startswith("https://")
    assert values["SECRET"] == "canary of a variable"
    names = {one["name"] for one in services.sentry.state["workflows"].values()}
    assert names == {
        "api-errors-staging-team",
        "api-errors-staging-on-call",
        "api-slower-staging-team",
        "api-new-issues-staging-team",
    }
    said = done.stdout + done.stderr
    assert [one for one in (*TOKENS.values(), "canary of a variable") if one in said] == []
    written = stage.writes()
    again = stage.run("stage.yml")
    assert (changes(again), stage.writes()) == ({}, written)


def test_the_front_end_of_a_commit_is_delivered_and_returned(
    stage: Stage, services: running.Services, pages: vercel_pages.Pages
) -> None:
    changes(stage.run("stage.yml"))
    server = services.vercel
    (project,) = server.state["projects"].values()

    def delivered() -> str:
        return str(server.state["deployments"][project["live"]]["meta"]["githubCommitSha"]) if "live" in project else ""

    stage.values["services_vercel_purge_tags"] = ["facts"]
    for commit in COMMITS:
        built = vercel_pages.Built(commit)
        server.add_deployment("app", commit, **pages.serve(built))
        stage.values["services_vercel_commit"] = commit
        before = delivered()
        assert changed_hosts(stage.run("front_end.yml", "--check")) == 1
        assert (delivered(), built.seen) == (before, [])
        assert changed_hosts(stage.run("front_end.yml")) == 1
        assert delivered() == commit
        assert changed_hosts(stage.run("front_end.yml")) == 0
    since = f"since {project['lastAliasRequest']['requestedAt'] // 1000}"
    for arguments, said in (((), "since unread"), (("-e", "migration_runner_allow_contract=true", "--check"), since)):
        assert said in stage.run("live.yml", *arguments).stdout
    # Another environment, whose front end is a preview of the same project.
    stage.values["services_vercel_targets"] = ["preview"]
    assert changed_hosts(stage.run("roll_back.yml")) == 0
    assert delivered() == COMMITS[1]
    stage.values["services_vercel_targets"] = ["production"]
    assert changed_hosts(stage.run("roll_back.yml")) == 1
    assert delivered() == COMMITS[0]
    assert changed_hosts(stage.run("roll_back.yml")) == 0


#: How a deployment is built, what is declared of it, and what is said: all at once.
WRONG: tuple[tuple[dict[str, t.Any], str, str, tuple[str, ...]], ...] = (
    (
        {"commit": "f" * 40, "api": "http://localhost:8000", "headers": {}, "lost": {"/_next/static/css/a.css"}},
        "all",
        vercel_pages.BYPASS,
        (
            "lacks the header Strict-Transport-Security",
            "/_next/static/css/a.css answers HTTP 404",
            f"neither the pages nor the 2 files that they load contain the commit {COMMITS[1]}",
            f"contain the URL of the API {vercel_pages.API}",
            "is declared to be protected, and anybody can open it",
            "redeploy this commit at Vercel (https://vercel.com/nexod/app/",
        ),
    ),
    ({"protected": True}, "none", "", ("/ answers HTTP 401", "export VERCEL_AUTOMATION_BYPASS_SECRET")),
)


def test_a_deployment_that_is_wrong_is_not_promoted(
    stage: Stage, services: running.Services, pages: vercel_pages.Pages
) -> None:
    """By the checks of the stage verify. Production goes on delivering the deployment before."""
    stage.values["services_vercel_check_headers"] = {"Strict-Transport-Security": "max-age=[1-9]"}
    stage.values["services_vercel_check_seconds"] = 0
    changes(stage.run("stage.yml"))
    server = services.vercel
    (project,) = server.state["projects"].values()

    def deployed(built: vercel_pages.Built, commit: str, protection: str, bypass: str) -> Done:
        server.state["deployments"] = {k: v for k, v in server.state["deployments"].items() if k == project.get("live")}
        server.add_deployment("app", commit, **pages.serve(built))
        texts = [{"name": "commit", "text": commit}, {"name": "URL of the API", "text": vercel_pages.API}]
        stage.values |= {
            "services_vercel_bypass": bypass,
            "services_vercel_check_texts": texts,
            "services_vercel_commit": commit,
            "services_vercel_project": {**INVENTORY["services_vercel_project"], "protection": protection},
        }
        done = stage.run("front_end.yml", "-vvv")
        assert vercel_pages.BYPASS not in done.stdout + done.stderr
        return done

    assert changed_hosts(deployed(vercel_pages.Built(COMMITS[0]), COMMITS[0], "none", "")) == 1
    live = project["live"]
    for differences, protection, bypass, says in WRONG:
        built = vercel_pages.Built(**{"commit": COMMITS[1], **differences})
        done = deployed(built, COMMITS[1], protection, bypass)
        assert done.returncode != 0
        said = " ".join(done.stdout.split())
        assert [words for words in ("It is not promoted", *says) if words not in said] == []
        assert (project["live"], len(server.calls("promote"))) == (live, 1)
    good = vercel_pages.Built(COMMITS[1], protected=True)
    done = deployed(good, COMMITS[1], "all", vercel_pages.BYPASS)
    assert changed_hosts(done) == 1
    assert project["live"] != live
    assert {path for path, passed in good.seen if not passed} == {"/"}
    assert "front end: 1 page and the 2 files that they load are in order" in done.stdout


def test_previews_of_a_closed_pull_request(stage: Stage, services: running.Services) -> None:
    changes(stage.run("stage.yml"))
    server = services.vercel
    for branch in ("main", "feature", "other"):
        server.add_deployment("app", COMMITS[0], branch=branch)
    refused = stage.run("previews.yml")
    assert "Cannot remove previews at Vercel: no branch is named." in refused.stdout
    for check, left in (("--check", 3), ("--diff", 2)):
        assert changed_hosts(stage.run("previews.yml", "-e", "preview_branch=feature", check)) == 1
        assert len(server.state["deployments"]) == left
    assert changed_hosts(stage.run("previews.yml", "-e", "preview_branch=feature")) == 0


@pytest.mark.parametrize(
    ("values", "tokens", "says"),
    [
        ({}, {"SENTRY_AUTH_TOKEN": ""}, "SENTRY_AUTH_TOKEN is empty"),
        ({}, {"SENTRY_AUTH_TOKEN": "sntryu_wrong"}, "HTTP 401: Invalid token"),
        ({}, {"VERCEL_TOKEN": vercel.TOKEN_OF_ANOTHER}, "HTTP 403"),
        (
            {"services_sentry_slack": {"integration": "Nobody", "target": "C1"}},
            {},
            "Sentry has 0 integrations of slack named 'Nobody', and needs one (there is 'Nexod')",
        ),
        ({"infra_clerk_issuer": "http://127.0.0.1:9"}, {}, "Clerk's keys can't be read at http://127.0.0.1:9/.well-"),
        ({}, {"CLERK_SECRET_KEY": clerk.TOKEN_OF_ANOTHER}, "are not those of the secret key's instance (ins_another)"),
    ],
)
def test_what_preflight_reports_before_anything_is_changed(
    stage: Stage, values: dict[str, t.Any], tokens: dict[str, str], says: str
) -> None:
    stage.values.update(values)
    done = stage.run("preflight.yml", tokens={**TOKENS, **tokens})
    assert done.returncode != 0
    reported = [one["hosts"]["localhost"]["msg"] for one in tasks_of(done) if one["task"]["name"] == "Report"]
    assert says in reported[0]
    assert stage.writes() == 0
