# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is done to a data directory, by what lies there and what the primary says."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._postgresql.cluster import (
    STEPS,
    Local,
    Upstream,
    describe,
    parse_controldata,
    parse_lsn,
    parse_upstream,
    plan,
)

BARE = Local(configured=True)
PRISTINE = Local(configured=True, exists=True, system="1", timeline=1, position=5)
PRIMARY = Local(configured=True, exists=True, started=True, running=True, system="1", timeline=1, position=50)
STANDBY = Local(
    configured=True, exists=True, started=True, standby=True, running=True, system="7", timeline=1, position=100
)
COPIED = Local(configured=True, exists=True, standby=True, system="7", timeline=1, position=100)
UP = Upstream(system="7", timeline=1, position=100)


def up(**values: t.Any) -> Upstream:
    return Upstream(**{"system": "7", "timeline": 1, "position": 100, **values})


@pytest.mark.parametrize(
    ("local", "replica", "upstream", "rebuild", "steps"),
    [
        pytest.param(BARE, False, None, False, ["initdb"], id="primary, nothing there"),
        pytest.param(PRISTINE, False, None, False, ["initdb"], id="primary, the package's empty cluster"),
        pytest.param(PRIMARY, False, None, False, [], id="primary, nothing to do"),
        pytest.param(Local(), False, None, False, ["initdb", "register"], id="primary, dropped before"),
        pytest.param(BARE, True, None, False, ["create_slot", "copy"], id="replica, check mode before its primary"),
        pytest.param(BARE, True, up(slot="missing"), False, ["create_slot", "copy"], id="replica, nothing there"),
        pytest.param(PRISTINE, True, up(), False, ["copy"], id="replica, killed after its slot was made"),
        pytest.param(
            PRISTINE, True, up(slot="lost"), False, ["drop_slot", "create_slot", "copy"], id="replica, old slot"
        ),
        pytest.param(STANDBY, True, UP, False, [], id="replica, nothing to do"),
        pytest.param(STANDBY, True, None, False, [], id="replica, check mode and the primary away"),
        pytest.param(COPIED, True, UP, False, [], id="replica, copied but not yet started"),
        pytest.param(STANDBY, True, up(slot="missing"), False, ["create_slot"], id="replica, slot dropped"),
        pytest.param(
            *(STANDBY, True, up(slot="lost"), False, ["stop", "drop_slot", "create_slot", "copy"]),
            id="replica, away for too long",
        ),
        pytest.param(PRIMARY, True, UP, True, ["stop", "copy"], id="promoted, may be rebuilt"),
        pytest.param(
            STANDBY, True, up(system="8", slot="missing"), True, ["stop", "create_slot", "copy"], id="foreign"
        ),
    ],
)
def test_plan(local: Local, replica: bool, upstream: Upstream | None, rebuild: bool, steps: list[str]) -> None:
    assert plan(local, host="db", replica=replica, upstream=upstream, rebuild=rebuild) == steps
    assert set(steps) <= set(STEPS)


@pytest.mark.parametrize(
    ("local", "replica", "upstream", "word"),
    [
        pytest.param(STANDBY, False, None, "standby of another", id="primary wanted, standby there"),
        pytest.param(PRIMARY, True, UP, "primary of its own", id="promoted"),
        pytest.param(STANDBY, True, up(system="8"), "another primary", id="the primary was replaced"),
        pytest.param(STANDBY, True, up(position=99), "changes that the primary doesn't have", id="ahead"),
        pytest.param(STANDBY, True, up(slot="lost", position=99), "changes that", id="ahead, slot lost too"),
    ],
)
def test_data_that_may_be_the_last_of_its_kind_is_named(
    local: Local, replica: bool, upstream: Upstream | None, word: str
) -> None:
    with pytest.raises(InfraError, match=word):
        plan(local, host="db", replica=replica, upstream=upstream, rebuild=False)


def test_a_timeline_that_the_primary_does_not_know_is_named() -> None:
    local = Local(configured=True, exists=True, started=True, standby=True, system="7", timeline=2)
    with pytest.raises(InfraError, match="timeline 2"):
        plan(local, host="db", replica=True, upstream=UP, rebuild=False)


@pytest.mark.parametrize(("text", "number"), [("0/3000060", 0x3000060), ("1/0", 1 << 32), ("", 0), ("junk", 0)])
def test_parse_lsn(text: str, number: int) -> None:
    assert parse_lsn(text) == number


def test_parse_controldata() -> None:
    text = """\
pg_control version number:            1300
Database system identifier:           7365201931243409874
Latest checkpoint location:           0/3000060
Latest checkpoint's TimeLineID:       1
Minimum recovery ending location:     0/4000000
Min recovery ending loc's timeline:   2
"""
    assert parse_controldata(text) == ("7365201931243409874", 2, 0x4000000)
    assert parse_controldata("") == ("", 0, 0)


@pytest.mark.parametrize(
    ("slot", "state"), [("||\n", "missing"), ("physical|0/3000000|1\n", "kept"), ("physical||\n", "lost")]
)
def test_parse_upstream(slot: str, state: str) -> None:
    assert parse_upstream("736|3|0/3000148|\n", slot) == Upstream("736", 3, 0x3000148, state)


@pytest.mark.parametrize(
    ("local", "before"),
    [
        (BARE, "no cluster"),
        (PRISTINE, "an empty cluster that never ran"),
        (PRIMARY, "a primary"),
        (STANDBY, "a standby"),
    ],
)
def test_describe(local: Local, before: str) -> None:
    shown = describe(local, ["copy"])
    assert shown["before"] == f"{before}\n"
    assert "pg_basebackup" in shown["after"]
