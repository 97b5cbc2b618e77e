"""Who runs this, by the variables that AWX gives and the environment of the controller."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.plugin_utils._deploy import caller as _caller

GITHUB = {"GITHUB_ACTOR": "octo", "GITHUB_RUN_ID": "99"}


@pytest.fixture(autouse=True)
def account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_caller.getpass, "getuser", lambda: "root")


@pytest.mark.parametrize(
    ("variables", "environment", "who", "job"),
    [
        pytest.param({"awx_job_id": 42, "awx_user_name": "jane"}, {}, "jane", "42", id="AWX"),
        pytest.param({"tower_job_id": "42", "tower_user_name": "jane"}, {}, "jane", "42", id="AWX by its old name"),
        pytest.param({"awx_job_id": 42, "awx_schedule_name": "nightly"}, {}, "schedule nightly", "42", id="schedule"),
        pytest.param({}, {"JOB_ID": "42", "INVENTORY_ID": "3"}, "root", "42", id="AWX by its environment"),
        pytest.param({}, {"JOB_ID": "42"}, "root", "", id="somebody else's JOB_ID"),
        pytest.param({}, GITHUB, "octo", "99", id="GitHub Actions"),
        pytest.param({"awx_job_id": 42, "awx_user_name": "jane"}, GITHUB, "jane", "42", id="both"),
        pytest.param({}, {}, "root", "", id="a terminal"),
    ],
)
def test_who_and_which_job(variables: dict[str, t.Any], environment: dict[str, str], who: str, job: str) -> None:
    assert (_caller.user(variables, environment), _caller.job(variables, environment)) == (who, job)


def test_an_account_without_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found")

    monkeypatch.setattr(_caller.getpass, "getuser", nobody)
    assert _caller.user({}, {}).startswith("user ")


@pytest.mark.parametrize(
    ("given", "filled"),
    [
        pytest.param({}, {}, id="no audit"),
        pytest.param({"audit_table": ""}, {}, id="none by an empty name"),
        pytest.param({"audit_table": "a"}, {"audit_who": "jane", "audit_job": "42"}, id="neither given"),
        pytest.param(
            {"audit_table": "a", "audit_who": "joe", "audit_job": ""},
            {"audit_who": "joe", "audit_job": "42"},
            id="one given",
        ),
        pytest.param(
            {"audit_table": "a", "audit_who": "joe", "audit_job": 7}, {"audit_who": "joe", "audit_job": 7}, id="both"
        ),
    ],
)
def test_the_audit_is_filled_in_where_it_is_silent(given: dict[str, t.Any], filled: dict[str, t.Any]) -> None:
    assert _caller.with_audit(given, {"awx_job_id": 42, "awx_user_name": "jane"}, {}) == {**given, **filled}


def test_no_job_is_no_text() -> None:
    assert _caller.with_audit({"audit_table": "a"}, {}, {})["audit_job"] is None


@pytest.mark.parametrize(
    ("variables", "environment", "host"),
    [
        (
            {"awx_job_id": 42},
            {"AWX_HOST": "https://awx.example.com/"},
            "AWX job 42 (https://awx.example.com/#/jobs/playbook/42)",
        ),
        ({"tower_job_id": 42}, {}, "AWX job 42"),
        ({}, {"JOB_ID": "42", "INVENTORY_ID": "3", "AWX_HOST": "https://towerhost"}, "AWX job 42"),
        ({}, GITHUB, ""),
        ({}, {}, ""),
    ],
)
def test_the_job_of_awx_for_the_lock(variables: dict[str, t.Any], environment: dict[str, str], host: str) -> None:
    assert _caller.awx_job(variables, environment) == host
