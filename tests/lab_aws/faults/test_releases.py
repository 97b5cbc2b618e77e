"""Bad releases on tasks of ECS: the deploy ends with the reason, the version before serves, no request has failed."""

from __future__ import annotations

import functools
import json
import re
import subprocess
import sys

import pytest

from ansible_collections.nexod.infra.tests.lab.support import ROOT, UNHURRIED, Done, get, run, users

API = "http://10.213.81.1:4566/_alb/nexod-lab-aws"
MAKE = functools.partial(run, "make", latest=ROOT / ".report" / "lab_aws" / "latest")


def make(target: str, *arguments: str) -> Done:
    return MAKE(target, "ENV=lab_aws", *arguments)


@pytest.fixture(scope="module")
def before() -> str:
    """The version that serves: of the lab that is there, or of one made here."""
    try:
        return str(get("/health", API)["version"])
    except OSError:
        done = make("deploy", f"ARGS={UNHURRIED}")
        assert done.rc == 0, done.said[-5000:]
    return str(get("/health", API)["version"])


def playbook(name: str, *arguments: str) -> Done:
    """As `make` runs it, which would build the release anew, without its fault."""
    keys = {"AWS_ACCESS_KEY_ID": "emulator", "AWS_SECRET_ACCESS_KEY": "emulator"}
    argv = (".venv/bin/ansible-playbook", "-i", "inventories/lab_aws", f"playbooks/{name}.yml")
    return run(*argv, *arguments, latest=ROOT / ".report" / "lab_aws" / "latest", report=name, **keys)


def extra(**values: object) -> str:
    return f"ARGS=-e '{json.dumps(values)}'"


@pytest.mark.parametrize(
    ("values", "says"),
    [
        pytest.param({"ecs_service_command": ["/bin/false"]}, "exit code 1", id="ends at its start"),
        pytest.param(
            {
                "ecs_service_command": ["python3", "-m", "http.server", "8000"],
                "ecs_service_grace_seconds": 5,
                "ecs_service_wait_seconds": 60,
            },
            "health check",
            id="never gets healthy",
        ),
    ],
)
def test_a_release_that_never_serves_is_ended(before: str, values: dict[str, object], says: str) -> None:
    with users(base=API) as served:
        done = make("deploy", f"VERSION={before}", extra(**values))
    assert done.rc != 0
    assert says in done.report["failures"][-1]["message"], done.said[-3000:]
    assert served.failures == []
    assert served.versions == {before}
    again = make("deploy", f"VERSION={before}", f"ARGS={UNHURRIED}")
    assert again.rc == 0, again.said[-5000:]


def test_a_release_that_breaks_the_latency_table_is_returned(before: str) -> None:
    subprocess.run(
        [sys.executable, "examples/api/build.py", "1.1.4", "--fault", "slow", "-o", "dist/"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    # Enough to be judged, as slow as it is.
    values = (
        "-e",
        json.dumps({"backend_version": "1.1.4", "verify_minimum_samples": 50, "verify_traffic_seconds": 60}),
    )
    assert playbook("lab_up", *values).rc == 0
    with users(base=API) as served:
        done = playbook("deploy", *values)
    assert done.rc != 0
    message = done.report["failures"][-1]["message"]
    assert re.search(r"api p\d+ within [\d.]+ s: missed", message), done.said[-3000:]
    assert "was returned to" in message
    assert served.failures == []
    assert served.versions == {before, "1.1.4"}
    assert get("/health", API)["version"] == before
    assert done.report["version"]["after"] == before
