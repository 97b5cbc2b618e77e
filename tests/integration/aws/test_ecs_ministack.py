"""Deploys to ECS with real containers, on the emulator MiniStack: rollouts that go well, fail, and are interrupted.

MiniStack has to run with access to podman's API; NEXOD_TEST_MINISTACK is its URL. NEXOD_TEST_MINISTACK_IMAGE is an
image with a shell and Python in podman's store, by default one of the lab.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
import typing as t
import urllib.request
import uuid
from pathlib import Path

import boto3
import pytest
import yaml
from botocore.exceptions import ClientError

ENDPOINT = os.environ.get("NEXOD_TEST_MINISTACK", "")
ROOT = Path(__file__).resolve().parents[3]
COLLECTIONS = str(ROOT / ".collections")
REGION = "us-east-1"
GROUP = "/nexod-test/ecs"
RUN = (
    f"import importlib, json, sys; sys.path.insert(0, {COLLECTIONS!r});"
    "from ansible.module_utils.testing import patch_module_args;"
    "name, options = json.load(sys.stdin);"
    "module = importlib.import_module(f'ansible_collections.nexod.infra.plugins.modules.{name}');"
    "patched = patch_module_args(options); patched.__enter__(); module.main()"
)
SERVE = ("python3", "-m", "http.server", "8000")
EXIT_3 = ["sh", "-c", "echo cannot read the configuration; exit 3"]

pytestmark = pytest.mark.skipif(
    not ENDPOINT, reason="NEXOD_TEST_MINISTACK is not set: no MiniStack (with podman's API) to start containers with"
)


def client(service: str) -> t.Any:
    return boto3.client(service, region_name=REGION, endpoint_url=ENDPOINT)


def until(holds: t.Callable[[], t.Any], seconds: float = 60) -> t.Any:
    ends = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < ends, f"not within {seconds} s"
        time.sleep(0.1)
    return found


def image() -> str:
    if given := os.environ.get("NEXOD_TEST_MINISTACK_IMAGE"):
        return given
    asked = ["podman", "images", "--filter", "reference=localhost/nexod-lab", "--format", "{{.Repository}}:{{.Tag}}"]
    found = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.split()
    assert found, "there is no image of the lab: set NEXOD_TEST_MINISTACK_IMAGE"
    return found[0]


@dataclasses.dataclass
class Place:
    """A cluster of this test's own."""

    cluster: str
    subnet: str
    image: str

    def definition(self, family: str, command: t.Sequence[str], value: str = "") -> dict[str, t.Any]:
        container = {
            "name": "app",
            "image": self.image,
            "command": list(command),
            "environment": {"VALUE": value},
            "ports": [8000],
            "log": {"group": GROUP},
        }
        return {
            "family": f"{self.cluster}-{family}",
            "cpu": 256,
            "memory_mb": 512,
            "execution_role": "nexod-test",
            "containers": [container],
        }

    def options(self, **more: t.Any) -> dict[str, t.Any]:
        common = {"cluster": self.cluster, "region": REGION, "endpoint_url": ENDPOINT, "subnets": [self.subnet]}
        return {**common, "wait_seconds": 120, **more}

    def service(self, command: t.Sequence[str] = SERVE, value: str = "", **more: t.Any) -> dict[str, t.Any]:
        definition = self.definition("api", command, value)
        return self.options(**{"name": "api", "desired_count": 2, "task_definition": definition, **more})

    def task(self, name: str, script: str, **more: t.Any) -> dict[str, t.Any]:
        definition = self.definition("job", ["true"])
        return self.options(**{"name": name, "task_definition": definition, "command": ["sh", "-c", script], **more})

    @property
    def seen(self) -> dict[str, t.Any]:
        found: dict[str, t.Any] = client("ecs").describe_services(cluster=self.cluster, services=["api"])["services"][0]
        return found

    @property
    def in_service(self) -> str:
        """Revision of the primary deployment, and how many of its tasks run."""
        first = next(one for one in self.seen["deployments"] if one["status"] == "PRIMARY")
        return f"{first['taskDefinition'].rpartition(':')[2]} {first['rolloutState']} {first['runningCount']}"

    @property
    def revisions(self) -> int:
        listed = client("ecs").list_task_definitions(familyPrefix=f"{self.cluster}-api")
        return len(listed["taskDefinitionArns"])


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def place(credentials: None) -> t.Iterator[Place]:
    name = f"nexod-test-{uuid.uuid4().hex[:8]}"
    trust = {"Statement": [{"Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}}]}
    with contextlib.suppress(ClientError):
        client("logs").create_log_group(logGroupName=GROUP)
    with contextlib.suppress(ClientError):
        client("iam").create_role(RoleName="nexod-test", AssumeRolePolicyDocument=json.dumps(trust))
    ecs = client("ecs")
    ecs.create_cluster(clusterName=name)
    yield Place(name, client("ec2").describe_subnets()["Subnets"][0]["SubnetId"], image())
    for arn in ecs.list_services(cluster=name)["serviceArns"]:
        ecs.delete_service(cluster=name, service=arn.rpartition("/")[2], force=True)
    for arn in ecs.list_tasks(cluster=name)["taskArns"]:
        ecs.stop_task(cluster=name, task=arn)
    ecs.delete_cluster(cluster=name)


def start(module: str, options: dict[str, t.Any], check: bool = False) -> subprocess.Popen[str]:
    """The module as a process of its own, which can be killed."""
    internal = {
        "_ansible_check_mode": check,
        "_ansible_remote_tmp": "/tmp",
        "_ansible_keep_remote_files": False,
    }
    pipe = subprocess.PIPE
    process = subprocess.Popen([sys.executable, "-c", RUN], stdin=pipe, stdout=pipe, stderr=pipe, text=True)
    assert process.stdin
    process.stdin.write(json.dumps([module, {**options, **internal}]))
    process.stdin.close()
    return process


def result(process: subprocess.Popen[str]) -> dict[str, t.Any]:
    assert process.stdout
    assert process.stderr
    said, errors = process.stdout.read(), process.stderr.read()
    process.wait()
    assert said, errors
    found: dict[str, t.Any] = json.loads(said)
    return found


def run(module: str, options: dict[str, t.Any], *, check: bool = False) -> dict[str, t.Any]:
    return result(start(module, options, check))


def good(module: str, options: dict[str, t.Any], *, check: bool = False) -> dict[str, t.Any]:
    found = run(module, options, check=check)
    assert not found.get("failed"), found["msg"]
    return found


def test_from_nothing_to_an_update_and_back(place: Place) -> None:
    assert good("ecs_deploy", place.service(), check=True)["action"] == "create"
    assert client("ecs").list_services(cluster=place.cluster)["serviceArns"] == []
    assert good("ecs_deploy", place.service())["action"] == "create"
    assert place.in_service == "1 COMPLETED 2"
    again = good("ecs_deploy", place.service())
    assert (again["changed"], again["diff"]) == (False, [])

    predicted = good("ecs_deploy", place.service(value="2"), check=True)
    assert (predicted["changes"], place.in_service) == (["taskDefinition"], "1 COMPLETED 2")
    done = good("ecs_deploy", place.service(value="2"))
    assert (done["changes"], done["diff"]) == (predicted["changes"], predicted["diff"])
    assert place.in_service == "2 COMPLETED 2"

    back = {**place.service(), "state": "previous"}
    assert good("ecs_deploy", back)["action"] == "return"
    assert place.in_service == "1 COMPLETED 2"
    assert not good("ecs_deploy", back)["changed"]
    assert good("ecs_deploy", {**place.service(), "state": "absent"})["action"] == "delete"
    assert client("ecs").list_tasks(cluster=place.cluster)["taskArns"] == []


@pytest.fixture
def balancer(place: Place) -> t.Iterator[tuple[str, str]]:
    """A target group with a listener, and the name by which requests reach it."""
    balancing = client("elbv2")
    subnets = client("ec2").describe_subnets()["Subnets"]
    name = place.cluster[-20:]
    made = balancing.create_target_group(
        Name=name, Protocol="HTTP", Port=8000, VpcId=subnets[0]["VpcId"], TargetType="ip"
    )
    group = made["TargetGroups"][0]["TargetGroupArn"]
    found = balancing.create_load_balancer(Name=name, Subnets=[one["SubnetId"] for one in subnets[:2]])
    arn = found["LoadBalancers"][0]["LoadBalancerArn"]
    forward = [{"Type": "forward", "TargetGroupArn": group}]
    balancing.create_listener(LoadBalancerArn=arn, Protocol="HTTP", Port=80, DefaultActions=forward)
    yield group, found["LoadBalancers"][0]["DNSName"]
    balancing.delete_load_balancer(LoadBalancerArn=arn)
    balancing.delete_target_group(TargetGroupArn=group)


def test_behind_a_load_balancer(place: Place, balancer: tuple[str, str]) -> None:
    group, host = balancer
    behind = {"load_balancers": [{"target_group": group, "container": "app", "port": 8000}]}

    def answered() -> bool:
        request = urllib.request.Request(ENDPOINT, headers={"Host": host})
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    refused = run("ecs_deploy", place.service(load_balancers=[{**behind["load_balancers"][0], "port": 9000}]))
    assert "port 9000 of app, which has [8000]" in refused["msg"]
    good("ecs_deploy", place.service(**behind))
    until(answered)
    assert not good("ecs_deploy", place.service(**behind))["changed"]
    good("ecs_deploy", place.service(value="2", **behind))
    until(answered)


def test_a_release_that_exits_is_ended_by_the_breaker_and_the_old_one_runs_on(place: Place) -> None:
    good("ecs_deploy", place.service())
    before = set(client("ecs").list_tasks(cluster=place.cluster)["taskArns"])
    failed = run("ecs_deploy", place.service(EXIT_3))
    assert failed["failed"]
    assert "circuit breaker was triggered" in failed["msg"]
    assert "AWS has rolled it back" in failed["msg"]
    assert "exit code 3" in failed["msg"]
    assert "app | cannot read the configuration" in failed["msg"]
    assert any("rolled back" in event for event in failed["events"])
    assert place.in_service == "1 COMPLETED 2"
    # The same tasks as before, not others of the same definition.
    assert set(client("ecs").list_tasks(cluster=place.cluster)["taskArns"]) >= before
    assert good("ecs_deploy", place.service())["action"] == "none"


def test_a_release_that_no_breaker_ends_is_ended_by_the_time_limit(place: Place) -> None:
    good("ecs_deploy", place.service())
    failed = run("ecs_deploy", place.service(EXIT_3, deployment={"circuit_breaker": False}, wait_seconds=10))
    assert "not complete after 10 s" in failed["msg"]
    assert "the service was returned to" in failed["msg"]
    assert "exit code 3" in failed["msg"]
    assert place.in_service == "1 COMPLETED 2"


def test_a_run_that_was_killed_during_the_rollout_is_taken_up(place: Place) -> None:
    good("ecs_deploy", place.service())
    process = start("ecs_deploy", place.service(value="2"))
    until(lambda: place.in_service.startswith("2"))
    process.send_signal(signal.SIGKILL)
    process.wait()
    ours = place.seen["deployments"][0]["id"]
    done = good("ecs_deploy", place.service(value="2"))
    assert done["deployment"] == ours
    assert (place.in_service, place.revisions) == ("2 COMPLETED 2", 2)


def test_tasks(place: Place) -> None:
    predicted = good("ecs_run_task", place.task("one", "echo first; echo last"), check=True)
    assert (predicted["changed"], predicted["task_arn"]) == (True, None)
    ran = good("ecs_run_task", place.task("one", "echo first; echo last"))
    assert (ran["exit_code"], ran["log_lines"], ran["changed"]) == (0, ["first", "last"], True)
    again = good("ecs_run_task", place.task("one", "echo first; echo last"))
    assert (again["attached"], again["changed"], again["task_arn"]) == (True, False, ran["task_arn"])

    failed = run("ecs_run_task", place.task("two", "echo why; exit 3"))
    assert (failed["exit_code"], failed["log_lines"]) == (3, ["why"])
    assert "ended with exit code 3" in failed["msg"]

    late = run("ecs_run_task", place.task("three", "echo begun; sleep 600", wait_seconds=8))
    assert "has not ended within 8 s, so it was stopped" in late["msg"]
    assert late["log_lines"] == ["begun"]
    assert client("ecs").list_tasks(cluster=place.cluster)["taskArns"] == []


def test_a_task_that_never_started(place: Place) -> None:
    options = place.task("none", "true")
    options["task_definition"]["containers"][0]["image"] = "localhost/nexod-test-none:1"
    failed = run("ecs_run_task", options)
    assert (failed["exit_code"], failed["failed"]) == (None, True)
    assert "the container app never started" in failed["msg"]


def begun(place: Place, name: str) -> list[str]:
    """Log lines of the task that was started for this name."""
    arns = client("ecs").list_tasks(cluster=place.cluster, startedBy=name)["taskArns"]
    if not arns:
        return []
    stream = f"app/app/{arns[0].rpartition('/')[2]}"
    with contextlib.suppress(ClientError):
        rows = client("logs").get_log_events(logGroupName=GROUP, logStreamName=stream)["events"]
        return [str(one["message"]) for one in rows]
    return []


def test_a_task_whose_controller_died_is_followed(place: Place) -> None:
    options = place.task("killed", "echo begun; sleep 5; echo ended")
    process = start("ecs_run_task", options)
    until(lambda: begun(place, "killed"))
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = good("ecs_run_task", options)
    assert (done["attached"], done["changed"], done["exit_code"]) == (True, True, 0)
    assert done["log_lines"] == ["begun", "ended"]


def test_a_module_that_is_asked_to_end_stops_its_task(place: Place) -> None:
    process = start("ecs_run_task", place.task("aborted", "echo begun; sleep 600"))
    until(lambda: begun(place, "aborted"))
    process.send_signal(signal.SIGTERM)
    failed = result(process)
    assert "was asked to end (SIGTERM), so the task was stopped" in failed["msg"]
    assert client("ecs").list_tasks(cluster=place.cluster)["taskArns"] == []


def test_a_playbook_shows_the_log_while_the_task_runs(place: Place, tmp_path: Path) -> None:
    options = place.task("shown", "echo first; sleep 8; echo last")
    tasks = [{"name": "Run it", "nexod.infra.ecs_run_task": options}]
    (tmp_path / "play.yml").write_text(yaml.safe_dump([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]))
    argv = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", "localhost,", "-c", "local", "play.yml"]
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": COLLECTIONS, "ANSIBLE_NOCOLOR": "1"}
    python = ["-e", f"ansible_python_interpreter={sys.executable}"]
    done = subprocess.run([*argv, *python], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "[localhost] ecs_run_task: app | first, " in done.stdout
