"""Which run asks for the lock, and when a refused one asks again."""

from __future__ import annotations

import dataclasses
import os
import typing as t

import pytest
from ansible import context
from ansible.module_utils.common.collections import ImmutableDict

from ansible_collections.nexod.infra.plugins.module_utils._deploy.lock import Holder, machine, run_name

Action = t.Callable[..., t.Any]
ME = Holder(run_name(os.getpid()), machine(), os.getpid(), "ann", "laptop", "deploy", since=0.0, until=1.0)
GONE = dataclasses.replace(ME, run=f"{machine()}/1/none", pid=2**22 + 1)


@pytest.fixture(autouse=True)
def command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(context, "CLIARGS", ImmutableDict(args=("playbooks/deploy.yml",)))
    monkeypatch.delenv("NEXOD_DEPLOY_RUN", raising=False)


def test_the_run_is_named(action: Action) -> None:
    given = {"environment": "lab", "folder": "/x"}
    result, calls = action("deploy_lock", given, {"awx_job_id": 7}, delegate_to="runner-1")
    assert calls[0]["what"] == "deploy"
    assert calls[0]["_internal"]["holder"]["run"] == run_name(os.getppid())
    assert calls[0]["_internal"]["holder"]["host"] == "AWX job 7"
    assert result["lock"] == {
        "run": run_name(os.getppid()),
        "environment": "lab",
        "host": "runner-1",
        "lease_seconds": 7200,
        "folder": "/x",
    }


def test_a_run_for_another_one_asks_in_its_name(action: Action, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEXOD_DEPLOY_RUN", "outer/1/2")
    result, calls = action("deploy_lock", {"environment": "lab"})
    assert calls[0]["_internal"]["holder"]["run"] == result["lock"]["run"] == "outer/1/2"


@pytest.mark.parametrize(
    ("holder", "asks"),
    [
        pytest.param(GONE, 2, id="one that has ended"),
        pytest.param(ME, 1, id="one that lives, whatever its lease says"),
        pytest.param(dataclasses.replace(ME, machine="there", until=2.0**40), 1, id="another machine's"),
    ],
)
def test_a_refused_run_asks_again_for_the_lock_of_one_that_has_ended(action: Action, holder: Holder, asks: int) -> None:
    def answer(options: dict[str, t.Any]) -> dict[str, t.Any]:
        held = {"held_by": dataclasses.asdict(holder)}
        return (
            {"became": "take over", **held}
            if options["_internal"].get("dead")
            else {"failed": True, "msg": "held", **held}
        )

    result, calls = action("deploy_lock", {"environment": "lab"}, answer=answer)
    assert len(calls) == asks
    assert bool(result.get("failed")) == (asks == 1)
    if asks == 2:
        assert calls[1]["_internal"]["dead"] == holder.run
