"""The whole way on the second lab, in this order: AWS is the emulator MiniStack, whose parts are real containers.

From an empty account to serving, again, upgraded, a release that does not start, rolled back, destroyed.
"""

from __future__ import annotations

import functools
import os
import subprocess
from collections.abc import Callable, Iterator

import pytest

from ansible_collections.nexod.infra.tests.lab.support import ROOT, UNHURRIED, Done, get, run, secrets, users

API = "http://10.213.81.1:4566/_alb/nexod-lab-aws"
LAB = ROOT / ".lab_aws"
LATEST = ROOT / ".report" / "lab_aws" / "latest"
Make = Callable[..., Done]
PLANNED: dict[str, list[str]] = {}


@pytest.fixture(scope="module")
def make() -> Iterator[Make]:
    """Nothing before, nothing after. LAB_KEEP=1 leaves it standing."""
    called = functools.partial(run, latest=LATEST)

    def target(name: str, *arguments: str, report: str = "") -> Done:
        return called("make", name, "ENV=lab_aws", *arguments, report=report)

    gone = target("destroy")
    assert gone.rc == 0, gone.said[-3000:]
    yield target
    if not os.environ.get("LAB_KEEP"):
        target("destroy")


def resources(done: Done) -> list[str]:
    return [change for change in done.changes() if " AWS " in change]


def test_plan_of_an_empty_account_names_every_resource_and_creates_none(make: Make) -> None:
    assert make("lab_up", report="lab_up").rc == 0
    done = make("plan")
    assert done.rc == 0, done.said[-5000:]
    PLANNED["1.0.0"] = resources(done)
    kinds = ("vpc", "rds_instance", "load_balancer", "ecs_cluster", "alarm")
    assert [kind for kind in kinds if f" {kind}/" not in str(PLANNED)] == []
    assert len(PLANNED["1.0.0"]) > 30
    assert [secret for secret in secrets(LAB) if secret in done.said] == []


def test_deploy_from_an_empty_account(make: Make) -> None:
    done = make("deploy")
    assert done.rc == 0, done.said[-5000:]
    # All that the plan names is created now: the account was still empty.
    assert resources(done) == PLANNED["1.0.0"]
    assert done.report["version"]["after"] == "1.0.0"
    assert done.report["revision"]["after"]
    assert done.report["verdict"]["faults"] == []
    assert get("/health", API)["version"] == "1.0.0"
    # The tasks reach the database through the pooler, and the cache over TLS.
    assert get("/ready", API)["status"] == "ready"
    assert [secret for secret in secrets(LAB) if secret in done.said] == []


def test_deploy_again_changes_nothing(make: Make) -> None:
    done = make("deploy")
    assert done.rc == 0, done.said[-5000:]
    assert done.report["changed_hosts"] == []
    assert done.report["verdict"]["session"] == "kept"


def test_upgrade_without_a_failed_request(make: Make) -> None:
    with users(base=API) as served:
        done = make("deploy", "VERSION=1.1.0", f"ARGS={UNHURRIED}")
    assert done.rc == 0, done.said[-5000:]
    assert get("/health", API)["version"] == "1.1.0"
    assert done.report["revision"]["before"] != done.report["revision"]["after"]
    assert served.failures == []
    assert served.versions == {"1.0.0", "1.1.0"}
    # Migrated by a task, whose log says so; Prometheus has found the tasks of the service, and measures their requests.
    assert done.report["migrations"] != []
    assert [row for row in done.report["verdict"]["rows"] if row["metric"] == "api" and not row["samples"]] == []


def test_a_release_that_does_not_start_is_ended_and_the_old_one_serves(make: Make) -> None:
    with users(base=API) as served:
        done = make("deploy", "VERSION=1.1.0", 'ARGS=--tags backend -e \'{"ecs_service_command": ["/bin/false"]}\'')
    assert done.rc != 0
    assert served.failures == []
    assert "exit code 1" in done.said or "exited with 1" in done.said
    assert get("/health", API)["version"] == "1.1.0"


def test_roll_back_without_a_failed_request(make: Make) -> None:
    with users(base=API) as served:
        done = make("roll-back", report="roll_back")
    assert done.rc == 0, done.said[-5000:]
    assert get("/health", API)["version"] == "1.0.0"
    assert served.failures == []


def playbook(name: str, *arguments: str) -> Done:
    keys = {"AWS_ACCESS_KEY_ID": "emulator", "AWS_SECRET_ACCESS_KEY": "emulator"}
    argv = (".venv/bin/ansible-playbook", "-i", "inventories/lab_aws", f"playbooks/{name}.yml")
    return run(*argv, *arguments, latest=LATEST, report=name, **keys)


def test_the_environment_is_removed_if_it_is_named(make: Make) -> None:
    refused = playbook("aws_destroy", "-e", "aws_destroy=production")
    assert refused.rc != 0
    assert "Cannot remove the environment lab_aws: its name was not given" in " ".join(refused.said.split())
    assert get("/health", API)["version"] == "1.0.0"

    named = ("-e", "aws_destroy=lab_aws")
    planned = playbook("aws_destroy", *named, "--check")
    assert planned.rc == 0, planned.said[-5000:]
    done = playbook("aws_destroy", *named)
    assert done.rc == 0, done.said[-5000:]
    assert len(resources(done)) == len(PLANNED["1.0.0"])
    again = playbook("aws_destroy", *named)
    assert (again.rc, resources(again)) == (0, [])


def test_destroy_leaves_nothing(make: Make) -> None:
    done = make("destroy")
    assert done.rc == 0, done.said[-3000:]
    names = subprocess.run(
        ["podman", "ps", "--all", "--format", "{{.Names}}"], capture_output=True, text=True, check=True
    )
    assert [name for name in names.stdout.split() if name.startswith(("nexod-lab-aws", "ministack"))] == []
    assert not LAB.exists()
