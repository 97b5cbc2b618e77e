"""The comparison of messages; the table of faults names alerts that exist, at the receivers that they go to."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import yaml

from ansible_collections.nexod.infra.plugins.plugin_utils._monitoring import rule_file
from ansible_collections.nexod.infra.tests.lab.chaos import (
    DEAD_MAN,
    MINUTE,
    SETTLED,
    Fault,
    Load,
    Message,
    Sent,
    differences,
    least_seconds,
    nothing,
    sent,
    still_alive,
)
from ansible_collections.nexod.infra.tests.lab.chaos_table import FAULTS, NOT_MADE, QUICK

ROOT = Path(__file__).resolve().parents[3]
PAGE = Message("DatabaseDown", "on-call", 60, {"instance": "db-1"})
RIGHT = Sent("DatabaseDown", "on-call", 1040.0, {"instance": "db-1", "job": "postgres"})


@pytest.mark.parametrize(
    ("expected", "arrived", "found"),
    [
        pytest.param([PAGE], [RIGHT], [], id="as expected"),
        pytest.param([], [], [], id="nothing"),
        pytest.param([PAGE], [], ["missing: DatabaseDown to on-call {'instance': 'db-1'}"], id="missing"),
        pytest.param(
            [PAGE],
            [dataclasses.replace(RIGHT, at=1061.0)],
            ["late: DatabaseDown to on-call {'instance': 'db-1'} after 61 s, not within 60 s"],
            id="late",
        ),
        pytest.param(
            [PAGE],
            [dataclasses.replace(RIGHT, receiver="team")],
            [
                "missing: DatabaseDown to on-call {'instance': 'db-1'}",
                "too much: DatabaseDown to team {'instance': 'db-1', 'job': 'postgres'} after 40 s",
            ],
            id="another receiver",
        ),
        pytest.param(
            [PAGE],
            [RIGHT, Sent("ApiDown", "on-call", 1090.0, {})],
            ["too much: ApiDown to on-call after 90 s"],
            id="one more",
        ),
        pytest.param(
            [PAGE],
            [RIGHT, dataclasses.replace(RIGHT, labels={"instance": "db-9"})],
            ["too much: DatabaseDown to on-call {'instance': 'db-9'} after 40 s"],
            id="about something else too",
        ),
    ],
)
def test_differences(expected: list[Message], arrived: list[Sent], found: list[str]) -> None:
    assert differences([(message, 1000.0) for message in expected], arrived, 1000.0) == found


def test_a_message_is_taken_apart() -> None:
    """Each firing alert once, from when it first came; what ends it and what the dead man gets are none."""

    def line(received: float, status: str, path: str = "/") -> str:
        alerts = [{"status": status, "labels": {"alertname": "DatabaseDown", "instance": "db-1"}}]
        return json.dumps({"path": path, "received": received, "body": {"receiver": "on-call", "alerts": alerts}})

    lines = [line(1.0, "firing", DEAD_MAN), line(2.0, "firing"), line(3.0, "firing"), line(4.0, "resolved")]
    assert sent(lines) == [Sent("DatabaseDown", "on-call", 2.0, {"alertname": "DatabaseDown", "instance": "db-1"})]


@pytest.mark.parametrize(
    ("heard", "ends", "found"),
    [
        pytest.param([1010.0, 1070.0], None, [], id="goes on"),
        pytest.param([1003.0, 1210.0], 5, [], id="ends, until all is repaired"),
        pytest.param(
            [1010.0, 1070.0], 5, ["Watchdog still came after 10 s", "Watchdog still came after 70 s"], id="late"
        ),
        pytest.param([], 160, ["too short to see that Watchdog no longer comes"], id="too short"),
    ],
)
def test_watchdog(heard: list[float], ends: float | None, found: list[str]) -> None:
    assert still_alive(heard, 1000.0, 1200.0, ends) == found


@pytest.mark.parametrize(
    ("faults", "seconds"),
    [
        pytest.param([Fault("stopped", nothing, (PAGE,))], SETTLED, id="until its message has come"),
        pytest.param([Fault("an hour", nothing, (), observed=3600)], 3600, id="no message is all that there is to see"),
        pytest.param(
            [Fault("cut off", nothing, (), observed=80, watchdog_ends=100)],
            100 + MINUTE + 1,
            id="until Watchdog is late",
        ),
        pytest.param(
            [Fault("stopped", nothing, (PAGE,)), Fault("an hour", nothing, (), observed=60)], 60, id="together"
        ),
    ],
)
def test_how_long_nothing_more_may_come(faults: list[Fault], seconds: float) -> None:
    assert least_seconds(faults) == seconds


def test_a_load_that_is_the_fault_begins_with_it() -> None:
    """Users come before, or the errors would be counted, and the alert would wait, before the fault is made."""
    load = Load(requests=900, failing=30, slow_pages=60)
    assert (load.healthy(), load.unhealthy()) == (Load(900), Load(0, 30, 60))


@pytest.fixture(scope="module")
def receivers() -> dict[str, str | None]:
    """The alerts of the lab, each with the receiver that it goes to."""
    shared, own = (
        yaml.safe_load((ROOT / f"roles/{role}/meta/environment.yml").read_text(encoding="utf-8"))["variables"]
        for role in ("environment", "prometheus")
    )
    lab = yaml.safe_load((ROOT / "inventories/lab/group_vars/all/environment.yml").read_text(encoding="utf-8"))
    tables = rule_file.default_tables({**shared, **lab}, own)
    groups = rule_file.chosen(dataclasses.replace(tables, alertmanagers=True))
    by_severity = {"page": "on-call", "warning": "team"}
    return {alert.name: by_severity.get(alert.severity) for alerts in groups.values() for alert in alerts}


def test_the_table_names_alerts_that_exist(receivers: dict[str, str | None]) -> None:
    named = [(one.alert, one.receiver) for fault in FAULTS for one in fault.messages]
    assert [(alert, receivers.get(alert)) for alert, _receiver in named] == named


def test_each_alert_has_a_row_or_a_reason_why_not(receivers: dict[str, str | None]) -> None:
    made = {one.alert for fault in FAULTS for one in fault.messages}
    assert made | set(NOT_MADE) == set(receivers)
    assert made & set(NOT_MADE) == set()
    assert [name for name, reason in NOT_MADE.items() if not reason] == []


def test_the_table_is_large_and_five_of_it_are_quick() -> None:
    names = [fault.name for fault in FAULTS]
    assert len(names) == len(set(names)) >= 25
    tests = [fault.together or fault.name for fault in FAULTS]
    assert set(QUICK) <= set(tests)
    assert sum(name in QUICK for name in tests) == 5
