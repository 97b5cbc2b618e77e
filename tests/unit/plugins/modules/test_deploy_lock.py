"""Taking, renewing and releasing the lock, by options and answers."""

from __future__ import annotations

import pathlib
import time
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._deploy.lock import Lock

Run = t.Callable[..., dict[str, t.Any]]

ANN = {"run": "there/1/2", "machine": "there", "pid": 1, "user": "ann", "host": "laptop"}
BOB = {"run": "yonder/1/2", "machine": "yonder", "pid": 1, "user": "bob", "host": "AWX job 7"}


def options(folder: pathlib.Path, holder: dict[str, t.Any], **more: t.Any) -> dict[str, t.Any]:
    dead = more.pop("dead", "")
    return {"environment": "lab", "folder": str(folder), "_internal": {"holder": holder, "dead": dead}, **more}


def test_a_life(run_module: Run, tmp_path: pathlib.Path) -> None:
    assert run_module("deploy_lock", options(tmp_path, ANN, what="deploy"))["became"] == "take"
    refused = run_module("deploy_lock", options(tmp_path, BOB))
    assert "ann on laptop (process 1, deploy) holds it" in refused["msg"]
    assert (refused["held_by"]["run"], refused["error"]["next_step"][:4]) == (ANN["run"], "Wait")
    assert run_module("deploy_lock", options(tmp_path, ANN))["became"] == "keep"
    assert run_module("deploy_lock", options(tmp_path, BOB, dead=ANN["run"]))["became"] == "take over"
    assert run_module("deploy_lock", options(tmp_path, ANN, state="released"))["became"] == "none"
    assert run_module("deploy_lock", options(tmp_path, BOB, state="released"))["became"] == "release"
    assert not Lock("lab", str(tmp_path)).path.exists()


def test_renewing(run_module: Run, tmp_path: pathlib.Path) -> None:
    assert run_module("deploy_lock", options(tmp_path, ANN, state="renewed"))["became"] == "none"
    run_module("deploy_lock", options(tmp_path, ANN, lease_seconds=10))
    assert run_module("deploy_lock", options(tmp_path, BOB, state="renewed"))["became"] == "none"
    assert run_module("deploy_lock", options(tmp_path, ANN, state="renewed", lease_seconds=3600))["became"] == "renew"
    held = Lock("lab", str(tmp_path)).read()
    assert held
    assert held.until > time.time() + 3000


def test_check_mode_takes_nothing_and_warns(run_module: Run, tmp_path: pathlib.Path) -> None:
    assert run_module("deploy_lock", options(tmp_path, ANN), check_mode=True)["became"] == "take"
    assert list(tmp_path.iterdir()) == []
    run_module("deploy_lock", options(tmp_path, ANN))
    plan = run_module("deploy_lock", options(tmp_path, BOB), check_mode=True)
    assert (plan["became"], "may be wrong" in str(plan["warnings"])) == ("refuse", True)
    for state in ("renewed", "released"):
        assert run_module("deploy_lock", options(tmp_path, ANN, state=state), check_mode=True)["became"] == "none"
    held = Lock("lab", str(tmp_path)).read()
    assert held
    assert held.run == ANN["run"]
