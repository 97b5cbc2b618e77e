"""Which task of ECS can be profiled, and the command that does so; its remote part is run, beside a real process."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import shlex
import subprocess
import sys
import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._aws.ecs.profiler import Asked, chosen, command, script
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._profiling.stacks import from_raw
from ansible_collections.nexod.infra.tests.profilers import installed

ASKED = Asked("main", "api", "us-east-1", "profiler", None, 30, 100, True, None, None)
SERVICE = {"status": "ACTIVE", "enableExecuteCommand": True}
AGENT = {"name": "ExecuteCommandAgent", "lastStatus": "RUNNING"}
PROFILER = {"name": "profiler", "lastStatus": "RUNNING", "managedAgents": [AGENT]}
TASK: dict[str, t.Any] = {
    "taskArn": "arn:aws:ecs:us-east-1:1:task/main/b",
    "lastStatus": "RUNNING",
    "startedAt": "2026-11-27T10:00:00",
    "enableExecuteCommand": True,
    "containers": [{"name": "api", "lastStatus": "RUNNING"}, PROFILER],
}


def task(**changes: t.Any) -> dict[str, t.Any]:
    return {**TASK, **changes}


def profiler(**changes: t.Any) -> dict[str, t.Any]:
    return task(containers=[TASK["containers"][0], {**PROFILER, **changes}])


@pytest.mark.parametrize(
    ("service", "tasks", "cause", "next_step"),
    [
        (None, [], "there is no such service", "deploy the service first"),
        ({**SERVICE, "status": "INACTIVE"}, [], "there is no such service", "deploy the service first"),
        ({**SERVICE, "enableExecuteCommand": False}, [TASK], "ECS Exec is disabled", "provider_aws_profiler_image"),
        (SERVICE, [], "none of its tasks runs", "events of the service"),
        (SERVICE, [task(lastStatus="PENDING")], "none of its tasks runs", "events of the service"),
        (SERVICE, [task(enableExecuteCommand=False)], "before ECS Exec was enabled", "deploy"),
        (SERVICE, [task(containers=TASK["containers"][:1])], 'no container "profiler" (it has api)', "deploy"),
        (
            SERVICE,
            [profiler(lastStatus="STOPPED", reason="CannotStartContainerError")],
            'its container "profiler" is STOPPED: CannotStartContainerError',
            "provider_aws_profiler_image",
        ),
        (
            SERVICE,
            [profiler(managedAgents=[{**AGENT, "lastStatus": "STOPPED", "reason": "no route"}])],
            "the agent of ECS Exec in it is STOPPED: no route",
            "ssmmessages:CreateControlChannel",
        ),
    ],
)
def test_what_cannot_be_profiled(service: t.Any, tasks: list[t.Any], cause: str, next_step: str) -> None:
    with pytest.raises(InfraError) as refused:
        chosen(ASKED, service, tasks)
    assert cause in refused.value.cause
    assert next_step in str(refused.value)


def test_which_task_is_profiled() -> None:
    older = task(taskArn="arn:aws:ecs:us-east-1:1:task/main/c", startedAt="2026-11-27T09:00:00")
    assert chosen(ASKED, SERVICE, [TASK, older]) == older
    for name in ("b", TASK["taskArn"]):
        assert chosen(dataclasses.replace(ASKED, task=name), SERVICE, [TASK, older]) == TASK
    with pytest.raises(InfraError, match="it runs no task d"):
        chosen(dataclasses.replace(ASKED, task="d"), SERVICE, [TASK, older])


def test_the_command_is_that_of_aws(tmp_path: pathlib.Path) -> None:
    """With `aws` as a stand-in, which prints what it got and what a session prints."""
    (tmp_path / "aws").write_text(
        "#!/bin/sh\nprintf '%s\\n' \"$@\" >argv\n"
        "printf 'Starting session with SessionId: ecs-execute-command-0a1\\r\\nSamples: 12 Errors: 0\\r\\n'\n"
        "printf 'main (/app/a.py:3);work (/app/a.py:9) 12\\r\\n\\r\\nExiting session\\r\\n'\n"
    )
    (tmp_path / "aws").chmod(0o755)
    asked = dataclasses.replace(ASKED, profile="ops", nonblocking=False)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    subprocess.run(["sh", "-c", command(asked, TASK)], cwd=tmp_path, env=environment, check=True)
    argv = (tmp_path / "argv").read_text().splitlines()
    assert argv[:4] == ["ecs", "execute-command", "--region", "us-east-1"]
    assert argv[4:] == [
        *("--profile", "ops", "--cluster", "main", "--task", "b", "--container", "profiler", "--interactive"),
        *("--command", f"sh -c '{script(asked)}'"),
    ]
    assert shlex.split(argv[-1]) == ["sh", "-c", script(asked)]
    assert from_raw((tmp_path / "profile.raw").read_text()).samples == 12
    assert (tmp_path / "profile.raw").stat().st_mode & 0o777 == 0o600
    assert "--nonblocking" in script(ASKED) and "--nonblocking" not in script(asked)


@pytest.mark.parametrize("runs", [True, False])
def test_what_runs_in_the_container(tmp_path: pathlib.Path, runs: bool) -> None:
    """In a namespace of processes of its own, as the containers of a task with pidMode share one."""
    namespace = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
    if subprocess.run([*namespace, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this account may not create namespaces (CAP_SYS_ADMIN)")
    program = tmp_path / "application.py"
    program.write_text("def planted():\n    return sum(range(1000))\nwhile True:\n    planted()\n")
    text = script(dataclasses.replace(ASKED, seconds=1))
    begin = f"{shlex.quote(sys.executable)} {program} & sleep 0.5; " if runs else ""
    environment = {**os.environ, "PATH": f"{installed() / 'bin'}:{os.environ['PATH']}"}
    done = subprocess.run(
        [*namespace, "sh", "-c", begin + text], env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    if runs:
        rows = [line for line in done.stdout.splitlines() if line.rpartition(" ")[0].endswith(")")]
        assert "planted (" in "\n".join(rows), done
        assert from_raw("\n".join(rows)).samples > 10
    else:
        assert (done.returncode, "No Python process is in the task" in done.stdout) == (1, True)
