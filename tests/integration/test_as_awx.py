"""Playbooks as AWX runs them: by ansible-runner, without a HOME, from a project that nothing is written into."""

from __future__ import annotations

import datetime
import json
import os
import pathlib
import subprocess
import sys
import typing as t

import pytest
import yaml

from ansible_collections.nexod.infra.tests.playbook import BINARIES, ROOT

from .services.clients import python_clients

RUNNER = ("ansible-runner==2.4.3",)
#: One change of a stage, then what deploy.yml ends with.
PLAN: list[dict[str, t.Any]] = [
    {
        "name": "Backend | Change something",
        "hosts": "localhost",
        "gather_facts": False,
        "tasks": [{"ansible.builtin.copy": {"dest": "{{ reports }}/changed", "content": "x", "mode": "0600"}}],
    },
]


class Job(t.NamedTuple):
    status: str
    events: list[dict[str, t.Any]]
    reports: pathlib.Path

    @property
    def artifacts(self) -> dict[str, t.Any]:
        """What AWX shows as artifacts, and gives to the next job of a workflow."""
        (end,) = [one for one in self.events if one["event"] == "playbook_on_stats"]
        return dict(end["event_data"].get("artifact_data") or {})

    @property
    def said(self) -> str:
        return "".join(one.get("stdout", "") + "\n" for one in self.events)


def ran(folder: pathlib.Path, playbook: str, inventory: str, *options: str, **variables: t.Any) -> Job:
    """A job in a private folder, as AWX makes one for each."""
    private, reports = folder / "private", folder / "reports"
    for each in (private / "env", reports):
        each.mkdir(parents=True, exist_ok=True)
    environment = {
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".collections"),
        "ANSIBLE_CALLBACKS_ENABLED": "nexod.infra.summary,nexod.infra.survey",
        "NEXOD_REPORT_DIR": str(reports),
        "AWX_HOST": "https://awx.example.com",
        "JOB_ID": "42",
        "INVENTORY_ID": "3",
    }
    (private / "env/envvars").write_text(json.dumps(environment))
    given = {"awx_job_id": 42, "awx_user_name": "jane", "reports": str(reports), **variables}
    (private / "env/extravars").write_text(json.dumps({**given, "ansible_python_interpreter": sys.executable}))
    done = subprocess.run(
        [
            *(python_clients(RUNNER) / "bin/ansible-runner", "run", private, "--project-dir", ROOT),
            *("-p", playbook, "--inventory", inventory, "--ident", "job", "-q"),
            *([f"--cmdline={' '.join(options)}"] if options else []),
        ],
        # Neither HOME nor PWD, and nobody who answers a prompt.
        env={"PATH": f"{BINARIES}:/usr/bin:/bin", "LANG": os.environ.get("LANG", "C.UTF-8")},
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    artifacts = private / "artifacts/job"
    assert (artifacts / "status").exists(), done.stdout + done.stderr
    events = [json.loads(path.read_text()) for path in (artifacts / "job_events").glob("*.json")]
    events.sort(key=lambda one: one["counter"])
    return Job((artifacts / "status").read_text(), events, reports)


def files_of_the_project() -> str:
    command = ["git", "status", "--porcelain", "--ignored=no"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_the_cost_is_written_into_the_given_folder(tmp_path: pathlib.Path) -> None:
    text = (ROOT / "roles/cost/files/prices.yml").read_text()
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    prices = tmp_path / "prices.yml"
    prices.write_text("\n".join(f"dated: {today}" if line.startswith("dated:") else line for line in text.splitlines()))
    before = files_of_the_project()
    job = ran(tmp_path, "playbooks/cost.yml", str(ROOT / "inventories/staging"), cost_prices_file=str(prices))
    assert job.status == "successful", job.said[-3000:]
    assert (job.reports / "staging/cost.html").exists()
    assert files_of_the_project() == before


@pytest.mark.parametrize("drift", [False, True])
def test_a_plan_is_an_artifact_and_drift_is_a_failure(tmp_path: pathlib.Path, drift: bool) -> None:
    planned = yaml.safe_load((ROOT / "playbooks/stages/planned.yml").read_text())
    (tmp_path / "deploy.yml").write_text(yaml.safe_dump([*PLAN, *planned]))
    (tmp_path / "hosts.yml").write_text("all: {hosts: {localhost: {ansible_connection: local}}}\n")
    more = {"infra_environment": "staging", "plan_must_be_empty": drift}
    job = ran(tmp_path, str(tmp_path / "deploy.yml"), str(tmp_path / "hosts.yml"), "--check", **more)
    assert not (job.reports / "changed").exists()
    if drift:
        assert job.status == "failed"
        assert "a deploy would make 1 change" in job.said
        return
    assert job.status == "successful", job.said[-3000:]
    plan = job.artifacts["plan_approved"]
    assert (plan["environment"], len(plan["changes"])) == ("staging", 1)
    assert list((job.reports / "staging").glob("*-deploy-plan/deploy-plan.md"))
