"""Playbooks as AWX runs them: by ansible-runner, without a HOME, from a read-only project, with AWX's inventory."""

from __future__ import annotations

import datetime
import pathlib
import re
import typing as t

import pytest
import yaml

from ansible_collections.nexod.infra.tests.fixtures.as_awx import SEQUENCE, imported, ran
from ansible_collections.nexod.infra.tests.playbook import ROOT

#: What AWX shows as colors; and what is none, but would be shown as text or do something to the line.
COLOR = re.compile(r"\x1b\[[0-9;]*m")
OTHER = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]|\[(?:0;)?[34][0-7]m|\[0m")
#: One change of a stage, then what deploy.yml ends with.
PLAN: list[dict[str, t.Any]] = [
    {
        "name": "Backend | Change something",
        "hosts": "localhost",
        "gather_facts": False,
        "tasks": [{"ansible.builtin.copy": {"dest": "{{ reports }}/changed", "content": "x", "mode": "0600"}}],
    },
]
NO_HOSTS = (
    "the inventory has no grafana-1, monitoring-1, pooler-1, runner-1, which staging declares. Nothing was changed."
)
NO_PROJECT = "Cannot use the Supabase project: provider_supabase_project is empty"
#: A release that was never built here.
UNBUILT = {"backend_version": "0.0.9"}
DIST = f"migration_runner_archive is {ROOT}/dist/api-0.0.9.tar, which does not exist."
#: What the stage infrastructure would say before; these only read what it has made.
NO_PASSWORD = "infra_cache_password is empty; export NEXOD_CACHE_PASSWORD, or set infra_cache_password in a vault."
Row: t.TypeAlias = tuple[str, str, tuple[str, ...], dict[str, t.Any], str]
#: Environment, playbook, options and variables; then with which words an environment that has nothing yet ends it,
#: before the first change. Without any, it succeeds. Playbooks of a single stage do what `pooler` does.
ENDS: list[Row] = [
    ("staging", "deploy", ("--check",), UNBUILT, DIST),
    ("dev", "deploy", ("--check",), UNBUILT, DIST),
    ("staging", "roll_back", (), {}, NO_HOSTS),
    ("staging", "flush_cache", (), {"caches_layers": ["l1"]}, NO_HOSTS),
]
MORE: list[Row] = [
    ("staging", "preflight", (), UNBUILT, DIST),
    ("staging", "migrate", (), {}, NO_HOSTS),
    ("staging", "migrate", ("--check",), {}, NO_HOSTS),
    ("staging", "pooler", (), {}, NO_HOSTS),
    ("staging", "dump", (), {"dump_folder": "/srv"}, "the group migration_runner has no hosts"),
    ("staging", "verify", (), {}, NO_PASSWORD),
    ("staging", "profile", (), {}, NO_PASSWORD),
    ("staging", "cost_prices", (), {}, "Cannot call pricing:GetProducts: there are no AWS credentials"),
    ("staging", "aws_policies", (), {"provider_aws_account": "123456789012"}, ""),
    ("staging", "aws_destroy", (), {}, "Cannot remove the environment staging: its name was not given"),
    ("staging", "remove_previews", (), {}, "Cannot remove previews at Vercel: no branch is named"),
    ("dev", "migrate", (), {}, NO_PROJECT),
    ("dev", "keep_awake", (), {}, NO_PROJECT),
    ("dev", "dev_restore", (), {}, "Cannot restore a dump into dev"),
    ("dev", "build_release", (), {"release_source": "examples/api"}, "Name a folder that can be written instead"),
    ("dev", "configure_awx", (), {}, "Cannot declare what AWX has: awx_url is empty"),
]
STAGES = {"backend", "caches", "frontend", "infrastructure", "monitoring", "services"}
#: In a test of its own; on the machine of whoever runs it; and one that asks upstream first.
ELSEWHERE = {"cost", "lab_down", "lab_up", "pin_versions"}


def inventory(environment: str) -> str:
    # No credentials for AWS: those of this machine have no business here.
    return imported(ROOT / "inventories" / environment, AWS_EC2_METADATA_DISABLED="true", HOME="/nonexistent")


def is_readable(shown: str) -> bool:
    """Nothing but colors, which AWX shows, and no color that the terminal would have to end."""
    lines = shown.replace("\r\n", "\n").splitlines()
    return all(set(SEQUENCE.findall(line)) <= set(COLOR.findall(line)) for line in lines) and not OTHER.search(
        SEQUENCE.sub("", shown.replace("\r\n", "\n"))
    )


@pytest.mark.parametrize(
    ("environment", "name", "options", "given", "says"),
    [*ENDS, *(pytest.param(*row, marks=pytest.mark.long) for row in MORE)],
)
def test_a_job_comes_to_its_first_stages(
    tmp_path: pathlib.Path, environment: str, name: str, options: tuple[str, ...], given: dict[str, t.Any], says: str
) -> None:
    secrets = {"AWS_EC2_METADATA_DISABLED": "true"}
    job = ran(tmp_path, f"playbooks/{name}.yml", inventory(environment), *options, secrets=secrets, **given)
    assert (job.status, says in job.said) == ("failed" if says else "successful", True), job.said[-4000:]
    assert "Traceback" not in job.said
    assert is_readable(job.shown)
    # Named as in the inventory, which AWX has under another name.
    assert {path.name for path in job.reports.iterdir() if path.is_dir()} <= {environment, "aws_policies"}


def test_every_playbook_is_in_the_table() -> None:
    books = {path.stem for path in (ROOT / "playbooks").glob("*.yml")}
    assert books == {row[1] for row in ENDS + MORE} | STAGES | ELSEWHERE


def test_the_cost_is_written_into_the_given_folder(tmp_path: pathlib.Path) -> None:
    text = (ROOT / "roles/cost/files/prices.yml").read_text()
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    prices = tmp_path / "prices.yml"
    prices.write_text("\n".join(f"dated: {today}" if line.startswith("dated:") else line for line in text.splitlines()))
    job = ran(tmp_path, "playbooks/cost.yml", inventory("staging"), cost_prices_file=str(prices))
    assert job.status == "successful", job.said[-3000:]
    assert (job.reports / "staging/cost.html").exists()


@pytest.mark.parametrize("drift", [False, True])
def test_a_plan_is_an_artifact_and_drift_is_a_failure(tmp_path: pathlib.Path, drift: bool) -> None:
    planned = yaml.safe_load((ROOT / "playbooks/stages/planned.yml").read_text())
    (tmp_path / "deploy.yml").write_text(yaml.safe_dump([*PLAN, *planned]))
    (tmp_path / "hosts.yml").write_text("all: {hosts: {localhost: {ansible_connection: local}}}\n")
    more = {"infra_environment": "staging", "plan_must_be_empty": drift}
    job = ran(tmp_path, str(tmp_path / "deploy.yml"), tmp_path / "hosts.yml", "--check", **more)
    assert not (job.reports / "changed").exists()
    if drift:
        assert job.status == "failed"
        assert "a deploy would make 1 change" in job.said
        return
    assert job.status == "successful", job.said[-3000:]
    plan = job.artifacts["plan_approved"]
    assert (plan["environment"], len(plan["changes"])) == ("staging", 1)
    assert list((job.reports / "staging").glob("*-deploy-plan/deploy-plan.md"))


@pytest.mark.parametrize(
    ("shown", "readable"),
    [
        ("\x1b[0;32mdone\x1b[0m\r\nnext", True),
        ("\x1b[1;35mtwo\x1b[0m words", True),
        ("\x1b[2K\x1b[1Gstill running", False),
        ("10 %\r20 %", False),
        ("[0;32mdone[0m", False),
        ("\x1b]0;title\x07", False),
        ("a\bb", False),
    ],
)
def test_what_is_readable(shown: str, readable: bool) -> None:
    assert is_readable(shown) is readable
