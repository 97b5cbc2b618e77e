"""A deploy does what was approved, or says what else it would do."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.plugin_utils._deploy.approved_plan import (
    compare,
    read_plan,
    refuse_prompts,
)
from ansible_collections.nexod.infra.plugins.plugin_utils._report.changes import Change, as_rows

A = Change("backend", "api-1", "run", "service", "restart api")
B = Change("pooler", "pooler-1", "update", "file", "/etc/x", "aa")
B2 = Change("pooler", "pooler-1", "update", "file", "/etc/x", "bb")
GOOD: dict[str, t.Any] = {"check_mode": True, "outcome": "ok", "environment": "lab", "changes": as_rows([A, B])}


@pytest.mark.parametrize(
    ("given", "option", "instead"),
    [
        pytest.param({"become_ask_pass": True}, "-K", "--become-password-file", id="become"),
        pytest.param({"ask_pass": True}, "-k", "--connection-password-file", id="connection"),
        pytest.param({"ask_vault_pass": True}, "--ask-vault-pass", "--vault-password-file", id="vault"),
        pytest.param({"vault_ids": ["lab@prompt"]}, "--vault-id prompt", "NAME@FILE", id="vault identity"),
    ],
)
def test_a_run_that_asks_for_passwords_is_refused(given: dict[str, t.Any], option: str, instead: str) -> None:
    with pytest.raises(InfraError, match="can't be answered") as caught:
        refuse_prompts(given)
    assert option in caught.value.cause
    assert instead in caught.value.next_step


def test_a_run_that_asks_nothing_is_not_refused() -> None:
    refuse_prompts({"ask_pass": False, "vault_ids": ["lab@/etc/vault-password"], "become_password_file": "/etc/x"})


@pytest.mark.parametrize("plan", [GOOD, json.dumps(GOOD), f"\n {json.dumps(GOOD)}"])
def test_a_plan_is_given_itself(plan: t.Any) -> None:
    """As an artifact of AWX, or as the answer to a question."""
    assert read_plan(plan, "lab") == [A, B]
    with pytest.raises(InfraError, match="the given one"):
        read_plan(plan, "staging")


def test_a_plan_is_read(tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text(json.dumps(GOOD))
    assert read_plan(str(tmp_path / "p.json"), "lab") == [A, B]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        pytest.param(None, "No such file", id="not there"),
        pytest.param("{", "it is not a plan", id="cut off"),
        pytest.param("[]", "it is not a plan", id="something else"),
        pytest.param(json.dumps({**GOOD, "check_mode": False}), "not of a plan", id="a deploy's report"),
        pytest.param(json.dumps({**GOOD, "outcome": "failed"}), "that plan failed", id="failed"),
        pytest.param(json.dumps({**GOOD, "environment": "staging"}), "made for staging, not for lab", id="another's"),
    ],
)
def test_what_is_no_plan_is_refused_with_its_next_step(tmp_path: Path, text: str | None, why: str) -> None:
    path = tmp_path / "p.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InfraError, match=why) as refused:
        read_plan(str(path), "lab")
    assert "make plan" in str(refused.value)


@pytest.mark.parametrize(
    ("found", "lines"),
    [
        pytest.param([B, A], None, id="the same, in another order"),
        pytest.param([A], ["- pooler, pooler-1: update file /etc/x"], id="less"),
        pytest.param(
            [A, B, Change("caches", "r", "run", "cache", "flush")], ["+ caches, r: run cache flush"], id="more"
        ),
        pytest.param([A, B2], ["~ pooler, pooler-1: update file /etc/x"], id="another content"),
    ],
)
def test_compare(found: list[Change], lines: list[str] | None) -> None:
    if lines is None:
        compare("p.json", [A, B], found)
        return
    with pytest.raises(InfraError) as refused:
        compare("p.json", [A, B], found)
    assert refused.value.detail.splitlines() == lines
