"""Every kind of resource, against the stand-ins for the vendors: created, found, compared, changed, removed."""

from __future__ import annotations

import random
import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._resources.declaration import declared
from ansible_collections.nexod.infra.plugins.module_utils._resources.engine import Engine, Outcome, Policy
from ansible_collections.nexod.infra.plugins.module_utils._resources.outcome import reported
from ansible_collections.nexod.infra.plugins.module_utils._services import client
from ansible_collections.nexod.infra.plugins.module_utils._services.accounts import services_of
from ansible_collections.nexod.infra.plugins.module_utils._services.catalogue import KINDS
from ansible_collections.nexod.infra.plugins.plugin_utils._services.declarations import declarations
from ansible_collections.nexod.infra.tests.fixtures.aws_resources import Row, actions, changed
from ansible_collections.nexod.infra.tests.fixtures.clock import Instantly
from ansible_collections.nexod.infra.tests.fixtures.services import awx, clerk, running, sentry_core, vercel

SECRETS = {"key": "canary", "other": "canary2"}
OWN, APP = "@sentry_project/api", "@vercel_project/app"
THRESHOLDS = [
    {"type": "gt", "comparison": 100, "priority": "high"},
    {"type": "gt", "comparison": 10, "priority": "medium"},
    {"type": "lte", "comparison": 10, "priority": "resolved"},
]
SLACK = {"type": "slack", "integration": "@sentry_integration/slack", "target": "C024BE91L", "title": "#alerts"}
PAGERDUTY = {"type": "pagerduty", "integration": "@sentry_integration/pagerduty", "target": "71"}
#: By vendor, one of each kind.
OF = {"organization": "@awx_organization/nexod"}
RULE = "DTSTART;TZID=Asia/Bangkok:20260101T020000 RRULE:FREQ=DAILY;INTERVAL=1"
QUESTIONS = [{"variable": "version"}, {"variable": "mode", "type": "multiplechoice", "choices": ["a", "b"]}]
TEMPLATE = {
    **OF,
    "project": "@awx_project/infra",
    "inventory": "@awx_inventory/staging",
    "playbook": "playbooks/deploy.yml",
}
WORKFLOW = "@awx_workflow/Release"
ROWS: dict[str, list[Row]] = {
    "awx": [
        ("awx_organization", "nexod", {"description": "ours\n"}),
        ("awx_team", "releases", OF),
        ("awx_managed_credential_type", "ssh", {}),
        (
            "awx_credential_type",
            "Database",
            {
                "inputs": {"fields": [{"id": "user", "label": "User"}, {"id": "key", "label": "Key", "secret": True}]},
                "injectors": {"env": {"PGUSER": "{{ user }}", "PGPASSWORD": "{{ key }}"}},
            },
        ),
        (
            "awx_credential",
            "database",
            {
                **OF,
                "credential_type": "@awx_credential_type/Database",
                "inputs": {"user": "a"},
                "secrets": {"key": "key"},
            },
        ),
        (
            "awx_credential",
            "hosts",
            {**OF, "credential_type": "@awx_managed_credential_type/ssh", "inputs": {"username": "deploy"}},
        ),
        ("awx_notification_template", "slack", {**OF, "channels": ["#deploys"], "token": "key"}),
        ("awx_execution_environment", "nexod", {**OF, "image": "registry.example/ee:1"}),
        ("awx_project", "infra", {**OF, "repository": "https://git.example/infra.git", "branch": "main"}),
        ("awx_inventory", "staging", OF),
        (
            "awx_inventory_source",
            "staging",
            {"inventory": "@awx_inventory/staging", "project": "@awx_project/infra", "path": "inventories/staging"},
        ),
        (
            "awx_job_template",
            "Deploy",
            {
                **TEMPLATE,
                "execution_environment": "@awx_execution_environment/nexod",
                "variables": {"a": [1, "b"]},
                "credentials": ["@awx_credential/hosts", "@awx_credential/database"],
                "survey": QUESTIONS,
                "notify_on_failure": ["@awx_notification_template/slack"],
            },
        ),
        ("awx_job_template", "Plan", {**TEMPLATE, "job_type": "check"}),
        ("awx_workflow", "Release", {**OF, "notify_on_approval": ["@awx_notification_template/slack"]}),
        ("awx_workflow_node", "production", {"workflow": WORKFLOW, "template": "@awx_job_template/Deploy"}),
        (
            "awx_workflow_node",
            "approval",
            {
                "workflow": WORKFLOW,
                "approval": "Production",
                "approval_seconds": 3600,
                "success": ["@awx_workflow_node/production"],
            },
        ),
        ("awx_schedule", "nightly", {"template": "@awx_job_template/Plan", "rule": RULE}),
        (
            "awx_role",
            "approve",
            {"team": "@awx_team/releases", "role": "approval", "on": "workflow_job_templates", "object": WORKFLOW},
        ),
    ],
    "clerk": [
        ("clerk_instance", "staging", {"allowed_origins": ["https://staging.nexod.ai", "http://localhost:3000"]}),
        ("clerk_redirect_url", "https://staging.nexod.ai/sso-callback", {}),
        ("clerk_redirect_url", "nexod://callback", {}),
        ("clerk_jwt_template", "api", {"claims": {"aud": "api", "email": "{{user.primary_email_address}}"}}),
    ],
    "sentry": [
        ("sentry_integration", "slack", {"provider": "slack", "called": "Nexod"}),
        ("sentry_integration", "pagerduty", {"provider": "pagerduty", "called": "nexod"}),
        ("sentry_project", "api", {"team": sentry_core.TEAM, "platform": "python-fastapi", "resolve_hours": 168}),
        ("sentry_key", "api", {"project": OWN}),
        ("sentry_ownership", "api", {"project": OWN, "rules": "path:app/* #platform"}),
        ("sentry_detector", "errors", {"project": OWN, "query": "environment:staging", "thresholds": THRESHOLDS}),
        (
            "sentry_detector",
            "slower",
            {
                "project": OWN,
                "aggregate": "p95(span.duration)",
                "dataset": "events_analytics_platform",
                "event_types": ["trace_item_span"],
                "query": "is_transaction:true",
                "window_seconds": 3600,
                "compared_seconds": 604800,
                "thresholds": THRESHOLDS[1:],
            },
        ),
        ("sentry_default_detector", "api", {"project": OWN}),
        (
            "sentry_workflow",
            "errors-on-call",
            {"detectors": ["@sentry_detector/errors"], "priority": "high", "actions": [PAGERDUTY]},
        ),
        (
            "sentry_workflow",
            "new",
            {
                "detectors": ["@sentry_default_detector/api"],
                "triggers": ["first_seen_event"],
                "event_tags": {"environment": "staging"},
                "actions": [SLACK],
            },
        ),
    ],
    "vercel": [
        (
            "vercel_project",
            "app",
            {
                "framework": "nextjs",
                "root_directory": "web",
                "node_version": "22.x",
                "protection": "preview",
                "repository": {"type": "github", "repo": "nexod/app"},
            },
        ),
        ("vercel_domain", "app.nexod.ai", {"project": APP}),
        ("vercel_domain", "staging.nexod.ai", {"project": APP, "git_branch": "develop"}),
        ("vercel_variable", "API_URL", {"project": APP, "targets": ["production"], "value": "https://api.nexod.ai"}),
        ("vercel_variable", "KEY", {"project": APP, "targets": ["production", "preview"], "secret": "key"}),
        (
            "vercel_variable",
            "API_URL of previews",
            {"key": "API_URL", "project": APP, "targets": ["preview"], "value": "https://api.staging.nexod.ai"},
        ),
    ],
}
#: What can be changed in place.
CHANGES: list[tuple[str, str, dict[str, t.Any]]] = [
    ("awx", "awx_credential_type/Database", {"injectors": {"env": {"PGUSER": "{{ user }}"}}}),
    ("awx", "awx_organization/nexod", {"description": "still ours"}),
    ("awx", "awx_credential/database", {"inputs": {"user": "b"}}),
    ("awx", "awx_credential/database", {"secrets": {"key": "other"}}),
    ("awx", "awx_notification_template/slack", {"token": "other"}),
    ("awx", "awx_notification_template/slack", {"channels": ["#deploys", "#alerts"]}),
    ("awx", "awx_execution_environment/nexod", {"image": "registry.example/ee:2"}),
    ("awx", "awx_project/infra", {"branch": "develop"}),
    ("awx", "awx_inventory_source/staging", {"path": "inventories/other"}),
    ("awx", "awx_inventory_source/staging", {"overwrite_vars": False, "credential": "@awx_credential/database"}),
    ("awx", "awx_job_template/Deploy", {"playbook": "playbooks/migrate.yml", "timeout_seconds": 600}),
    ("awx", "awx_job_template/Deploy", {"variables": {}}),
    ("awx", "awx_job_template/Deploy", {"credentials": ["@awx_credential/hosts"]}),
    ("awx", "awx_job_template/Deploy", {"survey": QUESTIONS[:1]}),
    ("awx", "awx_job_template/Deploy", {"survey": []}),
    ("awx", "awx_job_template/Deploy", {"notify_on_failure": []}),
    ("awx", "awx_workflow/Release", {"notify_on_approval": []}),
    ("awx", "awx_workflow_node/production", {"template": "@awx_job_template/Plan"}),
    ("awx", "awx_workflow_node/approval", {"approval": "Go", "approval_seconds": 60}),
    ("awx", "awx_workflow_node/approval", {"success": []}),
    ("awx", "awx_schedule/nightly", {"rule": RULE.replace("DAILY", "WEEKLY")}),
    ("awx", "awx_schedule/nightly", {"enabled": False}),
    ("clerk", "clerk_instance/staging", {"allowed_origins": ["https://staging.nexod.ai"]}),
    ("clerk", "clerk_jwt_template/api", {"claims": {"aud": "api2"}}),
    ("clerk", "clerk_jwt_template/api", {"lifetime": 120}),
    ("sentry", "sentry_project/api", {"platform": "python"}),
    ("sentry", "sentry_project/api", {"resolve_hours": 0}),
    ("sentry", "sentry_ownership/api", {"rules": "path:web/* #platform"}),
    ("sentry", "sentry_detector/errors", {"thresholds": THRESHOLDS[1:]}),
    ("sentry", "sentry_detector/errors", {"window_seconds": 600}),
    ("sentry", "sentry_detector/slower", {"compared_seconds": 86400}),
    ("sentry", "sentry_detector/slower", {"enabled": False}),
    ("sentry", "sentry_workflow/new", {"actions": [SLACK, PAGERDUTY]}),
    ("sentry", "sentry_workflow/new", {"event_tags": {"environment": "production"}}),
    ("sentry", "sentry_workflow/errors-on-call", {"priority": "medium"}),
    ("sentry", "sentry_workflow/errors-on-call", {"detectors": ["@sentry_detector/slower"]}),
    ("sentry", "sentry_workflow/errors-on-call", {"frequency_minutes": 60}),
    ("vercel", "vercel_project/app", {"framework": "remix", "node_version": "24.x"}),
    ("vercel", "vercel_project/app", {"protection": "none"}),
    ("vercel", "vercel_domain/staging.nexod.ai", {"git_branch": "next"}),
    ("vercel", "vercel_variable/API_URL", {"value": "https://api2.nexod.ai"}),
    ("vercel", "vercel_variable/API_URL", {"targets": ["production", "development"]}),
    ("vercel", "vercel_variable/KEY", {"secret": "other"}),
]
#: Requests of a run without changes.
#: Of Clerk: instance, redirect URLs, templates. Of Sentry: project, keys, owners, integrations, detectors, workflows.
#: Of Vercel: project, variables, domains.
NO_OP = {"awx": 21, "clerk": 3, "sentry": 6, "vercel": 3}
#: Of what the role declares, whatever the number of projects, alerts, domains and variables: Sentry's project is in a
#: list, as only the owners and `resolve_hours` are not.
NO_OP_OF_ROLE = {"clerk": 3, "sentry": 5, "vercel": 3}
OPTIONS: dict[str, t.Any] = {
    "environment": "production",
    "vendors": ["clerk", "sentry", "vercel"],
    "clerk_origins": ["https://app.nexod.ai"],
    "clerk_redirect_urls": ["https://app.nexod.ai/sso-callback"],
    "clerk_jwt_templates": [{"name": "api", "claims": {"aud": "api"}}],
    "sentry_team": sentry_core.TEAM,
    "sentry_projects": [{"name": "api", "platform": "python-fastapi"}, {"name": "web", "platform": "javascript"}],
    "sentry_error_alerts": [
        {"metric": "api", "count": 10, "severity": "warning"},
        {"metric": "api", "count": 100, "severity": "page"},
    ],
    "sentry_slack": {"integration": "Nexod", "target": "C024BE91L", "title": "#alerts"},
    "sentry_pagerduty": {"integration": "nexod", "target": "71"},
    "vercel_project": {"name": "app", "framework": "nextjs", "assign_domains": False},
    "vercel_targets": ["production"],
    "vercel_domains": [{"name": "app.nexod.ai"}, {"name": "www.nexod.ai", "redirect": "app.nexod.ai"}],
    "vercel_variables": [{"key": "DSN", "value": "@sentry_key/web.dsn"}, {"key": "KEY", "value_from": "key"}],
}
TOKENS = {"awx": awx.TOKEN, "clerk": clerk.TOKEN, "sentry": sentry_core.TOKEN, "vercel": vercel.TOKEN}
SCOPES: dict[str, dict[str, str]] = {
    "awx": {},
    "clerk": {},
    "sentry": {"organization": sentry_core.ORGANIZATION},
    "vercel": {"team": vercel.TEAM},
}
FOUND_ONLY = (
    "awx_managed_credential_type",
    "clerk_instance",
    "sentry_integration",
    "sentry_default_detector",
    "sentry_ownership",
)


def bring(
    services: running.Services, *rows: Row, check: bool = False, gone: bool = False, **policy: t.Any
) -> tuple[Outcome, dict[str, int]]:
    """The outcome, and the requests by vendor."""
    given = [{"kind": kind, "name": name, "properties": properties} for kind, name, properties in rows]
    ordered = declared(given, KINDS, SECRETS)
    vendors = {row[0].partition("_")[0] for row in rows}
    accounts = {
        vendor: {
            "token": TOKENS[vendor],
            "url": services.started(vendor).url,
            **SCOPES[vendor],
        }
        for vendor in vendors
    }
    api = services_of(accounts, ordered, check=check)
    engine = Engine(api, Policy("staging", **policy), clock=Instantly())
    outcome = engine.absent(ordered) if gone else engine.present(ordered)
    return outcome, {name: len(client.requests) for name, client in api.clients.items()}


def faults(outcome: Outcome) -> list[str]:
    return [str(error) for _key, error in outcome.faults]


@pytest.mark.parametrize("vendor", ROWS)
def test_from_nothing_and_again(services: running.Services, vendor: str) -> None:
    rows, server = ROWS[vendor], services.started(vendor)
    predicted, _requests = bring(services, *rows, check=True)
    assert (faults(predicted), server.writes()) == ([], [])
    done, _requests = bring(services, *rows)
    assert faults(done) == []
    assert actions(done) == actions(predicted)
    assert {key.partition("/")[0] for key, action in actions(done) if action == "create"} == {
        kind for kind, _name, _properties in rows if kind not in FOUND_ONLY
    }
    written = len(server.writes())
    # The vendor adds fields, and has another order, which is no change.
    server.rearranges = True
    again, requests = bring(services, *rows)
    assert (faults(again), again.changes, len(server.writes())) == ([], [], written)
    assert requests[vendor] == NO_OP[vendor]
    assert "canary" not in repr((predicted, done, again))


def test_requests_of_what_the_role_declares(services: running.Services) -> None:
    rows = [(one["kind"], one["name"], one["properties"]) for one in declarations(OPTIONS)]
    assert faults(bring(services, *rows)[0]) == []
    again, requests = bring(services, *rows)
    assert (faults(again), again.changes, requests) == ([], [], NO_OP_OF_ROLE)


def test_a_project_of_sentry_by_its_slug(services: running.Services) -> None:
    """As well as by its number, also for what is only found in lists of the organization."""
    bring(services, *ROWS["sentry"], ("sentry_project", "web", {"team": sentry_core.TEAM}))
    by_slug = [(kind, name, {**given, "project": "api"}) for kind, name, given in ROWS["sentry"] if "project" in given]
    done, _requests = bring(services, *by_slug)
    assert (faults(done), done.changes) == ([], [])


@pytest.mark.parametrize(("vendor", "key", "properties"), CHANGES)
def test_a_change_in_place(services: running.Services, vendor: str, key: str, properties: dict[str, t.Any]) -> None:
    rows = ROWS[vendor]
    bring(services, *rows)
    other = changed(rows, key, **properties)
    predicted, _requests = bring(services, *other, check=True)
    done, _requests = bring(services, *other)
    assert faults(done) == []
    assert actions(predicted) == actions(done) == [(key, "update")]
    assert [sorted(one.after) for one in done.changes] == [sorted(properties)]
    assert bring(services, *other)[0].changes == []


@pytest.mark.parametrize("vendor", ROWS)
def test_all_of_it_goes(services: running.Services, vendor: str) -> None:
    rows = ROWS[vendor]
    bring(services, *rows)
    holding = [f"{kind}/{name}" for kind, name, _properties in rows if KINDS[kind].holds_data]
    kept, _requests = bring(services, *rows, gone=True)
    assert len(kept.faults) == len(holding)
    predicted, _requests = bring(services, *rows, gone=True, check=True, lose=frozenset(holding))
    done, _requests = bring(services, *rows, gone=True, lose=frozenset(holding))
    assert faults(done) == []
    assert actions(done) == actions(predicted)
    assert bring(services, *rows, gone=True)[0].changes == []


@pytest.mark.parametrize("vendor", ROWS)
@pytest.mark.parametrize("lost", range(8))
def test_killed_after_a_request_and_continued(services: running.Services, vendor: str, lost: int) -> None:
    """An answer is lost, so the run does not know what it did; the next one finds it, and makes nothing twice."""
    rows, server = ROWS[vendor], services.started(vendor)
    names = sorted(name for name, (operation, _run) in server.operations.items() if operation.method == "POST")
    server.order(names[lost % len(names)], lost=True)
    bring(services, *rows)
    done, _requests = bring(services, *rows)
    assert faults(done) == []
    assert bring(services, *rows)[0].changes == []
    made = server.state
    for collection in ("projects", "detectors", "workflows", "keys", "jwt_templates"):
        if collection in made:
            found = [row.get("name") for row in made[collection].values()]
            assert len(found) == len(set(found)), collection


class Killed(BaseException):
    """The run ends here, as with kill -9."""


@pytest.mark.parametrize("vendor", ROWS)
@pytest.mark.parametrize("seed", range(3))
def test_killed_anywhere_and_continued(
    services: running.Services, monkeypatch: pytest.MonkeyPatch, vendor: str, seed: int
) -> None:
    """At a random request, before or after it reached the vendor; the next run makes nothing twice."""
    rows, server, chance = ROWS[vendor], services.started(vendor), random.Random(f"{vendor} {seed}")
    whole, real = chance.randrange(2) == 0, client.ask
    left = chance.randrange(1, 2 * len(rows))

    def killed(*given: t.Any, **more: t.Any) -> t.Any:
        nonlocal left
        left -= 1
        if left > 0:
            return real(*given, **more)
        if whole and left == 0:
            real(*given, **more)
        raise Killed

    monkeypatch.setattr(client, "ask", killed)
    with pytest.raises(Killed):
        bring(services, *rows)
    monkeypatch.setattr(client, "ask", real)
    done, _requests = bring(services, *rows)
    assert faults(done) == []
    written = len(server.writes())
    assert bring(services, *rows)[0].changes == []
    assert len(server.writes()) == written
    for collection in ("projects", "detectors", "workflows", "keys", "envs", "jwt_templates", "redirect_urls"):
        found = [str(sorted(map(str, identity(row)))) for row in server.state.get(collection, {}).values()]
        assert len(found) == len(set(found)), collection


def identity(row: t.Mapping[str, t.Any]) -> list[t.Any]:
    """What must not be there twice: a name, a URL, a key with its targets."""
    return [row.get(name) for name in ("name", "url", "key", "target")]


def test_a_vendor_that_is_down_stops_nobody_else(services: running.Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "PAUSE", 0.0)
    services.sentry.order(status=503, times=1000)
    done, requests = bring(services, *ROWS["sentry"], *ROWS["clerk"])
    assert all("HTTP 503: Internal Error, 5 times.\nCheck that http" in fault for fault in faults(done))
    with pytest.raises(InfraError) as raised:
        reported(done)
    # Once, whatever it was that was asked.
    assert len(raised.value.facts["problems"]) == 1  # type: ignore[arg-type]
    assert requests["sentry"] <= client.LANES * client.ATTEMPTS
    assert {key for key, _action in actions(done)} == {f"{kind}/{name}" for kind, name, _properties in ROWS["clerk"]}


@pytest.mark.parametrize("version", ["21.0.0", "4.2.0", ""])
def test_an_awx_that_is_too_old(services: running.Services, version: str) -> None:
    services.awx.version = version
    done, _requests = bring(services, *ROWS["awx"])
    assert services.awx.writes() == []
    assert f"its version is {version or 'unknown'}.\nUpgrade it: AWX 24" in faults(done)[0]


def test_a_token_that_may_only_read(services: running.Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TOKENS, "awx", awx.TOKEN_OF_AN_AUDITOR)
    done, _requests = bring(services, *ROWS["awx"])
    assert all("HTTP 403: You do not have permission" in fault for fault in faults(done))
    assert {seen.status for seen in services.awx.writes()} == {403}


def test_a_template_of_the_same_name_in_another_organization(services: running.Services) -> None:
    theirs = [(kind, name, {**values}) for kind, name, values in ROWS["awx"] if name in {"nexod", "infra", "staging"}]
    template = ("awx_job_template", "Plan", TEMPLATE)
    bring(services, *theirs, template)
    (first,) = services.awx.rows("job_templates")
    services.awx.one("organizations", first["organization"])["name"] = "theirs"
    bring(services, *theirs, template)
    assert [row["name"] for row in services.awx.rows("job_templates")] == ["Plan", "Plan"]
    services.awx.rearranges = True
    assert bring(services, *theirs, template)[0].changes == []


def test_a_project_whose_update_failed_is_reported(services: running.Services) -> None:
    bring(services, *ROWS["awx"])
    (project,) = services.awx.rows("projects")
    project["status"] = "failed"
    done, _requests = bring(services, *ROWS["awx"])
    assert (done.changes, faults(done)) == ([], [])
    assert done.later == {"awx_project/infra": "its last update is failed: AWX's jobs show why"}


@pytest.mark.parametrize("gone", [True, False])
def test_an_inventory_that_is_being_removed_is_waited_for(services: running.Services, gone: bool) -> None:
    """As after a run that did not wait for its end: AWX refuses a second removal."""
    rows = [row for row in ROWS["awx"] if row[:2] in (("awx_organization", "nexod"), ("awx_inventory", "staging"))]
    bring(services, *rows)
    server = services.awx
    (inventory,) = server.rows("inventories")
    server.removes_after = 4
    inventory |= {"pending_deletion": True, "_left": 4}
    done, _requests = bring(services, *rows, gone=gone, lose=frozenset({"awx_organization/nexod"}))
    assert faults(done) == []
    assert [row["id"] for row in server.rows("inventories") if row["id"] == inventory["id"]] == []
    assert len(server.rows("inventories")) == (0 if gone else 1)


def test_a_secret_that_somebody_replaced(services: running.Services) -> None:
    bring(services, *ROWS["awx"])
    (row,) = [row for row in services.awx.rows("credentials") if row["name"] == "database"]
    assert (row["inputs"]["key"], "canary" in row["description"]) == ("canary", False)
    row["description"] = "mine"
    done, _requests = bring(services, *ROWS["awx"])
    assert actions(done) == [("awx_credential/database", "update")]
    assert "canary" not in repr(done)


def test_several_of_one_name_are_refused_and_listed(services: running.Services) -> None:
    rows, state = ROWS["sentry"], services.sentry.state
    bring(services, *rows)
    (one,) = [row for row in state["detectors"].values() if row["name"] == "errors"]
    state["detectors"]["77"] = {**one, "id": "77"}
    done, _requests = bring(services, *rows)
    assert any(f"2 have this name (ids {one['id']}, 77).\nDeclare the id" in fault for fault in faults(done))
    chosen, _requests = bring(services, *changed(rows, "sentry_detector/errors", id="77"))
    assert (faults(chosen), {key for key, _action in actions(chosen)}) == ([], {"sentry_workflow/errors-on-call"})


@pytest.mark.parametrize(
    ("dns", "says"),
    [
        ({}, ""),
        ({"taken": True}, "it waits for the DNS record TXT _vercel.nexod.ai vc-domain-verify=app.nexod.ai,"),
        ({"configured": False}, "it waits for the DNS record CNAME app.nexod.ai "),
    ],
)
def test_what_dns_lacks(services: running.Services, dns: dict[str, bool], says: str) -> None:
    rows = ROWS["vercel"][:2]
    services.vercel.state["dns"]["app.nexod.ai"] = dns
    for _run in range(2):
        done, _requests = bring(services, *rows)
        assert faults(done) == []
        assert done.later.get("vercel_domain/app.nexod.ai", "").startswith(says)
        assert bool(done.later) == bool(says)


def test_a_created_answer_with_a_failure_in_it(services: running.Services) -> None:
    failed = {"created": [], "failed": [{"error": {"code": "ENV_CONFLICT", "message": "It exists."}}]}
    services.vercel.order("create_envs", status=201, body=failed)
    done, _requests = bring(services, *ROWS["vercel"][:1], ROWS["vercel"][3])
    assert faults(done)[0].startswith("Cannot create vercel_variable/API_URL: Vercel refused it: It exists.\nCorrect")


def test_variables_that_overlap_are_not_guessed_at(services: running.Services) -> None:
    project = ROWS["vercel"][0]
    split = [
        ("vercel_variable", one, {"key": "A", "project": APP, "targets": [one], "value": one})
        for one in ("production", "preview")
    ]
    bring(services, project, *split)
    both = ("vercel_variable", "A", {"project": APP, "targets": ["production", "preview"], "value": "one"})
    done, _requests = bring(services, project, both)
    assert "2 variables named A have these targets" in faults(done)[0]


@pytest.mark.parametrize(
    ("vendor", "token", "says"),
    [
        ("awx", "wrong", "HTTP 401: Authentication credentials were not provided."),
        ("clerk", "sk_test_wrong", "HTTP 401: The provided Clerk Secret Key is invalid"),
        ("sentry", "sntryu_wrong", "HTTP 401: Invalid token.\nCheck SENTRY_AUTH_TOKEN: it is missing, wrong"),
        ("sentry", sentry_core.TOKEN_OF_ANOTHER, "HTTP 403: You do not have permission to perform this action."),
        ("vercel", "wrong", "HTTP 403: Not authorized.\nCheck VERCEL_TOKEN: it is missing, wrong"),
        ("vercel", vercel.TOKEN_OF_ANOTHER, "Not authorized: Trying to access resource under scope"),
    ],
)
def test_wrong_tokens(
    services: running.Services, monkeypatch: pytest.MonkeyPatch, vendor: str, token: str, says: str
) -> None:
    monkeypatch.setitem(TOKENS, vendor, token)
    done, _requests = bring(services, *ROWS[vendor], check=True)
    assert all(says in fault for fault in faults(done))
    assert faults(done) != []


def test_the_old_key_works_until_it_is_deleted_and_the_new_one_from_then_on(
    services: running.Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    known, rows = services.clerk.tokens, ROWS["clerk"]
    monkeypatch.setitem(TOKENS, "clerk", f"sk_test_new {clerk.TOKEN}")
    bring(services, *rows)
    written = len(services.clerk.writes())
    # With a key that is refused, up to two requests are lost, as two are sent at a time.
    for tokens, requests in (
        (dict(known), 5),
        ({**known, "sk_test_new": "ins_nexod"}, 3),
        ({"sk_test_new": "ins_nexod"}, 3),
    ):
        services.clerk.tokens = tokens
        done, asked = bring(services, *rows)
        assert (faults(done), done.changes) == ([], [])
        assert 3 <= asked["clerk"] <= requests
    assert len(services.clerk.writes()) == written


@pytest.mark.parametrize(
    ("organization", "team", "says"),
    [
        ("nexus", "platform", 'find the organization "nexus": Sentry does not know it, or not to this token (HTTP 404'),
        ("nexod", "plateform", 'find the team "plateform": Sentry does not know it, and sentry_project/'),
    ],
)
def test_values_of_the_account_that_sentry_does_not_know(
    services: running.Services, monkeypatch: pytest.MonkeyPatch, organization: str, team: str, says: str
) -> None:
    """One problem each in check mode, however many resources need it."""
    monkeypatch.setitem(SCOPES, "sentry", {"organization": organization})
    projects: list[Row] = [("sentry_project", name, {"team": team}) for name in ("api", "web")]
    slack = ROWS["sentry"][0]
    assert services.sentry.writes() == []
    done, _requests = bring(services, *projects, slack, check=True)
    with pytest.raises(InfraError) as raised:
        reported(done)
    assert says in str(raised.value)
    assert len(t.cast("list[str]", raised.value.facts["problems"])) == 1


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (
            (
                "sentry_detector",
                "a",
                {"project": "1", "thresholds": [{"type": "gt", "comparison": 1, "priority": "much"}]},
            ),
            ["thresholds have the priority much", "thresholds lack a row with the priority resolved"],
        ),
        (
            ("sentry_workflow", "a", {"detectors": [], "actions": [{"type": "slack", "integration": "1"}]}),
            ["actions: slack lacks target"],
        ),
        (
            ("vercel_variable", "A", {"project": "a", "targets": ["staging"]}),
            ["targets has staging", "it needs either value or secret"],
        ),
        (
            ("vercel_variable", "A", {"project": "a", "targets": ["development"], "secret": "key"}),
            ["Vercel has no secret variables for development"],
        ),
        (
            ("vercel_variable", "A", {"project": "a", "targets": ["preview"], "secret": "none"}),
            ["secrets has no such entry"],
        ),
        (
            ("awx_schedule", "a", {"template": "1", "rule": "every night"}),
            ["rule does not begin with a DTSTART, such as"],
        ),
        (
            ("awx_schedule", "a", {"template": "1", "rule": "DTSTART:20260101T020000 RRULE:FREQ=DAILY;INTERVAL=1"}),
            ["a DTSTART without a time zone"],
        ),
        (
            ("awx_schedule", "a", {"template": "1", "rule": "DTSTART:20260101T020000Z EXRULE:FREQ=DAILY"}),
            ["rule has no RRULE"],
        ),
        (
            ("awx_schedule", "a", {"template": "1", "rule": "DTSTART:20260101T020000Z RRULE:FREQ=NIGHTLY"}),
            ["rule has the frequency NIGHTLY", "rule needs an INTERVAL"],
        ),
        (
            ("awx_schedule", "a", {"template": "1", "rule": f"{RULE};UNTIL=20301231T000000"}),
            ["rule has an UNTIL that is not a time in UTC"],
        ),
        (
            ("awx_schedule", "a", {"template": "1", "rule": RULE.replace("Bangkok", "Bankok")}),
            ["rule has the time zone Asia/Bankok, which does not exist"],
        ),
        (
            ("awx_schedule", "a", {"template": "1", "rule": RULE.replace("INTERVAL=1", "INTERVAL=0")}),
            ["rule has INTERVAL=0, with which AWX hangs"],
        ),
        (
            ("awx_execution_environment", "a", {"image": "https://registry.example.com/a"}),
            ["image is 'https://registry.example.com/a', which AWX refuses"],
        ),
        (
            ("awx_credential_type", "a", {"inputs": {"fields": [{"id": "a"}, {"id": "a"}]}, "injectors": {}}),
            ["inputs has the field a twice"],
        ),
        (
            (
                "awx_workflow",
                "a",
                {
                    "organization": "1",
                    "survey": [
                        {"variable": "a", "type": "multiplechoice", "choices": ["x", "y"], "default": "x\ny"},
                        {"variable": "b", "type": "multiselect"},
                        {"variable": "c", "type": "integer", "default": "1"},
                        {"variable": "c", "type": "multiselect", "choices": ["x"], "default": "z"},
                        {"variable": "d", "default": 5, "required": "yes"},
                    ],
                },
            ),
            [
                "survey.a has several defaults",
                "survey.b is a multiselect without choices",
                "survey.c has the default '1', which is not a number of the type integer",
                "survey.c has the default z, which is not one of its choices",
                "survey asks for c twice",
                "survey.d has the default 5, which is not a text",
                "survey.d has required yes",
            ],
        ),
        (("awx_workflow_node", "a", {"workflow": "1"}), ["it needs either template or approval"]),
        (("awx_workflow", "a", {"organization": "1", "survey": [{"type": "colour"}]}), ["survey[0] lacks variable"]),
        (
            (
                "awx_workflow",
                "a",
                {"organization": "1", "survey": [{"variable": "b", "type": "password", "default": "c"}]},
            ),
            ["survey.b is a password, whose default can't be compared"],
        ),
        (
            ("awx_credential_type", "a", {"inputs": {}, "injectors": {"extra_vars": {"a": "{{ b }}"}}}),
            ["injectors has extra_vars: hand secrets over by env or file"],
        ),
        (
            ("awx_credential", "a", {"organization": "1", "credential_type": "1", "secrets": {"key": "none"}}),
            ["secrets.key names none, and secrets has no such entry"],
        ),
        (
            ("awx_credential", "a", {"organization": "1", "credential_type": "1", "secrets": {"ssh_key_data": "key"}}),
            ["secrets.ssh_key_data names key, whose value AWX would not accept as a private key"],
        ),
        (("clerk_instance", "a", {"allowed_origins": []}), ["allowed_origins is empty, which Clerk ignores"]),
        (("clerk_jwt_template", "a", {"claims": {}, "lifetime": 5}), ["lifetime is 5, and must be from 30"]),
    ],
)
def test_declarations_that_are_refused_before_any_request(row: Row, says: list[str]) -> None:
    kind, name, properties = row
    with pytest.raises(InfraError) as raised:
        declared([{"kind": kind, "name": name, "properties": properties}], KINDS, SECRETS)
    assert [text for text in says if text not in str(raised.value)] == []
