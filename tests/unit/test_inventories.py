# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventories name only what is specified, state a value once, and their preflight says what is missing."""

from __future__ import annotations

import json
import pathlib
import re
import typing as t

import pytest
import yaml

from ansible_collections.nexod.infra.tests.playbook import AS_JSON, ROOT, play, plays_of, tasks_of

ENVIRONMENTS = ("lab", "dev", "staging", "production")
SECRETS = ("DATABASE_OWNER_PASSWORD", "DATABASE_APP_PASSWORD", "DATABASE_MONITOR_PASSWORD", "CACHE_PASSWORD")
HOSTS = ("pooler-1", "runner-1", "monitoring-1", "grafana-1")

of_every_environment = pytest.mark.parametrize("environment", ENVIRONMENTS)
of_aws = pytest.mark.parametrize("environment", ["staging", "production"])


def load(path: pathlib.Path) -> dict[str, t.Any]:
    return yaml.safe_load(path.read_text()) or {}


def shared() -> dict[str, tuple[str, t.Any]]:
    files = sorted((ROOT / "inventories/shared").glob("*.yml"))
    return {name: (path.name, value) for path in files for name, value in load(path).items()}


def own(environment: str) -> dict[str, tuple[str, t.Any]]:
    files = sorted((ROOT / "inventories" / environment / "group_vars/all").glob("*.yml"))
    return {name: (path.name, value) for path in files for name, value in load(path).items()}


@of_every_environment
def test_sees_what_is_shared(environment: str) -> None:
    link = ROOT / "inventories" / environment / "group_vars/all/00-shared"
    assert link.is_symlink()
    assert link.resolve() == ROOT / "inventories/shared"
    assert not link.readlink().is_absolute()


@pytest.mark.parametrize("environment", ["lab", "lab_aws"])
def test_a_lab_notifies_nobody_outside(environment: str) -> None:
    """Whoever has exported a pager's key for production would be paged by a lab."""
    provider = own(environment)["infra_provider"][1]
    receivers = {
        name
        for path in (ROOT / "roles").glob("*/meta/environment.yml")
        for name, value in (load(path).get("variables") or {}).items()
        if re.search("NEXOD_(SLACK|PAGERDUTY)", str(value)) and load(path).get("provider") in (None, provider)
    }
    assert len(receivers) >= 2
    assert {name for name in receivers if own(environment).get(name, ("", True))[1]} == set()


@of_every_environment
def test_states_only_differences(environment: str) -> None:
    common = shared()
    assert [
        name for name, (_where, value) in own(environment).items() if name in common and common[name][1] == value
    ] == []


@of_every_environment
def test_a_name_has_one_home(environment: str) -> None:
    files = sorted((ROOT / "inventories" / environment / "group_vars/all").glob("*.yml"))
    names = [name for path in files for name in load(path)]
    assert sorted({name for name in names if names.count(name) > 1}) == []


def test_a_shared_name_has_one_home() -> None:
    names = [name for path in (ROOT / "inventories/shared").glob("*.yml") for name in load(path)]
    assert sorted({name for name in names if names.count(name) > 1}) == []


def test_what_staging_and_production_share_stands_in_neither() -> None:
    staging, production = own("staging"), own("production")
    same = [name for name in staging if name in production and staging[name][1] == production[name][1]]
    # Both are on AWS, dev and the lab are not: no shared file can say so.
    assert sorted(set(same) - {"infra_provider"}) == []


def elsewhere(tmp_path: pathlib.Path, address: str) -> tuple[str, ...]:
    """Arguments of an inventory whose hosts are not instances of EC2 that the provider creates."""
    groups = {
        "pooler": "pooler-1",
        "migration_runner": "runner-1",
        "monitoring": "monitoring-1",
        "grafana": "grafana-1",
    }
    hosts = {group: {"hosts": {host: {"ansible_host": address}}} for group, host in groups.items()}
    (tmp_path / "more.yml").write_text(json.dumps({"all": {"children": hosts}}))
    return ("-i", str(tmp_path / "more.yml"), "-e", json.dumps({"provider_aws_hosts": []}))


def preflight(tmp_path: pathlib.Path, environment: str, *arguments: str, **environ: str) -> dict[str, t.Any]:
    """The last result of the real stage, run as a user would, with nothing in the environment but `environ`."""
    stage = ("-i", f"inventories/{environment}", "playbooks/stages/preflight.yml")
    # No credentials are asked for at an address that only exists on EC2.
    done = play(*stage, *arguments, **AS_JSON, HOME=str(tmp_path), AWS_EC2_METADATA_DISABLED="true", **environ)
    return dict(tasks_of(done)[-1]["hosts"]["localhost"])


@of_aws
def test_without_anything_one_list_of_what_is_missing(tmp_path: pathlib.Path, environment: str) -> None:
    said = preflight(tmp_path, environment)
    assert said["asked"] == [], "a host was asked"
    subjects = [fault["subject"] for fault in said["faults"]]
    wanted = {"AWS credentials", "hosts of EC2", *(f"infra_{name.lower()}" for name in SECRETS)}
    # Each vendor of services_vendors.
    wanted |= {"services_clerk_token", "services_sentry_token", "services_vercel_token", "infra_clerk_webhook_secrets"}
    wanted |= {"services_sentry_slack.target"}
    # Of hosts that do not exist yet, all but the address is checked.
    wanted |= {"Grafana's package", "alerts"}
    assert wanted <= set(subjects)
    assert said["msg"].startswith(f"Cannot deploy {environment}: {len(subjects)} problems to fix first.")
    # Everything that is missing can be given by the environment alone, except for a release that was never built.
    next_steps = [fault["next_step"] for fault in said["faults"] if not fault["subject"].endswith("_archive")]
    assert [next_step for next_step in next_steps if "xport " not in next_step] == []


@of_aws
def test_a_vendor_that_is_not_used_needs_nothing(tmp_path: pathlib.Path, environment: str) -> None:
    said = preflight(tmp_path, environment, "-e", json.dumps({"services_vendors": ["sentry"]}))
    steps = {fault["subject"]: fault["next_step"] for fault in said["faults"]}
    named = sorted(subject for subject in steps if re.match("services_|infra_(clerk|sentry)", subject))
    pager = ["services_sentry_pagerduty.target"] if environment == "production" else []
    assert named == [*pager, "services_sentry_slack.target", "services_sentry_token"]
    assert steps["services_sentry_token"].startswith(
        "Export SENTRY_AUTH_TOKEN, or set services_sentry_token in a vault."
    )
    assert steps["services_sentry_token"].endswith("Without sentry, leave it out of services_vendors.")


def declared(tmp_path: pathlib.Path, environment: str, **more: t.Any) -> dict[str, t.Any]:
    """What the role services would manage, by kind and name, and what the API gets of it."""
    tasks = [
        {
            "ansible.builtin.import_role": {
                "name": "nexod.infra.services",
                "tasks_from": "preflight.yml",
                "public": True,
            }
        },
        {
            "ansible.builtin.debug": {
                "msg": {"rows": "{{ __services_resources }}", "issuer": "{{ infra_clerk_issuer }}"}
            }
        },
    ]
    path = tmp_path / "declared.yml"
    path.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]))
    given = {
        "NEXOD_SENTRY_SLACK_CHANNEL": "C1",
        "NEXOD_SENTRY_PAGERDUTY_SERVICE": "71",
        "CLERK_PUBLISHABLE_KEY": "pk_1",
    }
    done = play("-i", f"inventories/{environment}", path, "-e", json.dumps(more), **AS_JSON, **given)
    shown = tasks_of(done)[-1]["hosts"]["localhost"]["msg"]
    return {"issuer": shown["issuer"], **{f"{one['kind']}/{one['name']}": one["properties"] for one in shown["rows"]}}


@of_aws
def test_what_is_declared_at_the_vendors(tmp_path: pathlib.Path, environment: str) -> None:
    found = declared(tmp_path, environment)
    domain, target, branch = {
        "staging": ("staging.nexod.ai", "preview", {"git_branch": "develop"}),
        "production": ("app.nexod.ai", "production", {}),
    }[environment]
    assert found[f"vercel_domain/{domain}"] == {"project": "@vercel_project/app", **branch}
    assert found["vercel_project/app"]["assign_domains"] is False
    variables = {name: row for name, row in found.items() if name.startswith("vercel_variable/")}
    assert {tuple(row["targets"]) for row in variables.values()} == {(target,)}
    assert {row["key"]: row.get("secret", row.get("value")) for row in variables.values()} == {
        "NEXT_PUBLIC_SENTRY_DSN": "@sentry_key/web.dsn",
        "NEXT_PUBLIC_SENTRY_ENVIRONMENT": environment,
        "NEXT_PUBLIC_SENTRY_TRACES_SAMPLE_RATE": "0.1",
        "NEXT_PUBLIC_SENTRY_PROFILES_SAMPLE_RATE": "0.01",
        "NEXT_PUBLIC_CLERK_PUBLISHABLE_KEY": "pk_1",
        "CLERK_SECRET_KEY": "clerk",
    }
    assert found[f"clerk_instance/{environment}"] == {"allowed_origins": [f"https://{domain}"]}
    assert f"clerk_redirect_url/https://{domain}/sso-callback" in found
    assert "clerk_jwt_template/api" in found
    for project in ("api", "web"):
        alerts = {name.partition("/")[2] for name in found if name.startswith(f"sentry_workflow/{project}-")}
        page = {f"{project}-errors-{environment}-on-call"} if environment == "production" else set()
        kinds = ("errors", "slower", "new-issues")
        assert alerts == {f"{project}-{kind}-{environment}-team" for kind in kinds} | page
        counts = [one["comparison"] for one in found[f"sentry_detector/{project}-errors-{environment}"]["thresholds"]]
        assert counts == [100, 10, 10]


def test_vendors_that_are_left_out(tmp_path: pathlib.Path) -> None:
    found = declared(tmp_path, "production", services_vendors=["vercel"])
    assert found.pop("issuer") == ""
    assert sorted(found) == ["vercel_domain/app.nexod.ai", "vercel_project/app"]


def test_the_accounts_of_the_lab_are_stand_ins_whatever_is_exported(tmp_path: pathlib.Path) -> None:
    names = [f"services_{vendor}_{what}" for vendor in ("clerk", "sentry", "vercel") for what in ("url", "token")]
    names += ["services_vercel_team", "services_vercel_commit", "infra_sentry_project", "infra_clerk_issuer"]
    path = tmp_path / "accounts.yml"
    shown = {"msg": {name: "{{ " + name + " }}" for name in names}}
    roles = [{"ansible.builtin.include_role": {"name": "nexod.infra.services", "tasks_from": "preflight"}}]
    tasks = [*roles, {"ansible.builtin.debug": shown}]
    path.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]))
    exported = ("CLERK_SECRET_KEY", "SENTRY_AUTH_TOKEN", "VERCEL_TOKEN", "VERCEL_ORG_ID", "NEXOD_COMMIT", "GITHUB_SHA")
    done = play("-i", "inventories/lab", path, **AS_JSON, **dict.fromkeys(exported, "of-a-real-account"))
    found = tasks_of(done)[-1]["hosts"]["localhost"]["msg"]
    assert "of-a-real-account" not in json.dumps(found)
    assert {found[name].rpartition(":")[0] for name in names if name.endswith("_url")} == {"http://127.0.0.1"}
    assert {found[name] for name in ("services_vercel_commit", "infra_sentry_project", "infra_clerk_issuer")} == {""}


@pytest.mark.parametrize("environment", ["dev", "lab_aws"])
def test_other_environments_have_no_accounts(tmp_path: pathlib.Path, environment: str) -> None:
    assert declared(tmp_path, environment) == {"issuer": ""}


@of_aws
def test_preflight_asks_for_the_image_and_for_what_the_service_runs(tmp_path: pathlib.Path, environment: str) -> None:
    """What it asks follows from values of the controller, which no role of hosts has."""
    stage = ("-i", f"inventories/{environment}", "playbooks/stages/preflight.yml", *elsewhere(tmp_path, "127.0.0.1"))
    done = play(*stage, "-e", "ansible_port=9", **AS_JSON, HOME=str(tmp_path), AWS_PROFILE="none")
    results = [task["hosts"].get("localhost", {}) for one in plays_of(done) for task in one["tasks"]]
    asked = next(result["aws"]["asked"] for result in results if "aws" in result)
    name = f"nexod-{environment}"
    wanted = {"repository": f"{name}-api", "tag": "1.0.0", "cluster": name, "service": "api", "instance": name}
    assert {key: asked.get(key) for key in wanted} == wanted


def test_dev_says_which_three_things_an_engineer_lacks_and_where_they_are(tmp_path: pathlib.Path) -> None:
    (tmp_path / "release.tar").touch()
    said = preflight(tmp_path, "dev", "-e", f"backend_archive={tmp_path}/release.tar")
    steps = {fault["subject"]: fault["next_step"] for fault in said["faults"]}
    wanted = {
        "Supabase access token": ("Export SUPABASE_ACCESS_TOKEN", "supabase.com/dashboard/account/tokens"),
        "infra_database_owner_password": ("Export SUPABASE_DB_PASSWORD", "Project Settings, Database"),
        "provider_supabase_project": ("Export SUPABASE_PROJECT_REF", "supabase.com/dashboard/project/REF"),
    }
    assert {subject: [word for word in words if word not in steps[subject]] for subject, words in wanted.items()} == {
        subject: [] for subject in steps
    }


@pytest.mark.parametrize("host", ["aws-0-eu-central-1.pooler.supabase.com", "db.abcdefghijklmnopqrst.supabase.co"])
def test_dev_refuses_the_pooler_in_transaction_mode(tmp_path: pathlib.Path, host: str) -> None:
    declared = {
        "database": {"host": host, "port": 6543, "name": "postgres", "sslmode": "require"},
        "replicas": [],
        **dict.fromkeys(("pooler", "cache", "api", "cdn", "object_store")),
    }
    said = preflight(tmp_path, "dev", "-e", json.dumps({"infra_endpoints_declared": declared}))
    found = {fault["subject"]: fault for fault in said["faults"]}
    fault = found["infra_endpoints_declared.database.port"]
    assert "transaction mode" in fault["cause"]
    assert fault["next_step"] == "Use session mode, which is port 5432 of the same host."
    assert "provider_supabase_project" not in found


def test_dev_refuses_a_ref_that_is_none(tmp_path: pathlib.Path) -> None:
    said = preflight(tmp_path, "dev", SUPABASE_PROJECT_REF="facts-dev")
    found = {fault["subject"]: fault for fault in said["faults"]}
    assert "a ref is 20 lower-case letters" in found["provider_supabase_project"]["cause"]


def test_every_mistake_of_a_caller_at_once_and_no_secret(tmp_path: pathlib.Path) -> None:
    """Credentials are there, hosts have addresses that nobody answers at: inputs and hosts are in one list."""
    canary = "canary-of-a-secret"
    given = {f"NEXOD_{name}": canary for name in (*SECRETS, "GRAFANA_ADMIN_PASSWORD")}
    said = preflight(
        tmp_path,
        "production",
        *elsewhere(tmp_path, "127.0.0.1"),
        "-e",
        # Port 9 (discard) on this machine: refused at once, without the network.
        json.dumps({"ansible_port": 9, "pgbouncer_prot": 1, "infra_api_port": canary, "infra_domain": ""}),
        AWS_PROFILE="none",
        **given,
    )
    subjects = [fault["subject"] for fault in said["faults"]]
    assert {"host", "infra_api_port", "infra_domain", "pgbouncer_prot"} <= set(subjects)
    assert said["faults"][subjects.index("host")]["hosts"] == sorted(HOSTS)
    assert canary not in json.dumps(said)
    assert said["asked"] == sorted(HOSTS)


def test_hosts_are_in_the_list_where_secrets_and_credentials_are_missing(tmp_path: pathlib.Path) -> None:
    """The faults of issue 10, as a caller writes them."""
    wrong = {
        "ansible_port": 9,
        "ansible_hots": "10.0.0.1",
        "infra_database_owner_password": "x{{ 1 }}y",
        "infra_database_name": "größe",
        "pgbouncer_pool_size": -5,
        "haproxy_longest_call_seconds": -1,
        "alertmanager_webhook_urls": ["htp:/"],
    }
    said = preflight(tmp_path, "production", *elsewhere(tmp_path, "127.0.0.1"), "-e", json.dumps(wrong))
    subjects = {fault["subject"]: fault for fault in said["faults"]}
    missing = {"AWS credentials", "infra_cache_password"}
    named = {"ansible_hots", "infra_database_owner_password", "infra_database_name", "pgbouncer_pool_size"}
    assert {"host", "hosts", "alertmanager_webhook_urls[0]"} | missing | named <= set(subjects)
    assert subjects["hosts"]["cause"] == "have the same address 127.0.0.1, port 9"
    assert "template characters" in subjects["infra_database_owner_password"]["cause"]
    assert subjects["host"]["hosts"] == sorted(HOSTS)


@of_every_environment
def test_names_only_what_is_specified(tmp_path: pathlib.Path, environment: str) -> None:
    # Every host is this machine: nobody is called.
    said = preflight(tmp_path, environment, "-e", "ansible_connection=local")
    told = ("is not a known variable", "is not a variable that Ansible knows", "but must be ", "is a secret ")
    assert [fault for fault in said["faults"] if any(words in fault["cause"] for words in told)] == []
