# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is needed at a server x what it allows, declared or asked."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.plugin_utils._preflight.connections import (
    WantedConnections,
    judge_connections,
    wanted_connections,
)
from ansible_collections.nexod.infra.plugins.plugin_utils._preflight.inputs import Inputs

ROW: WantedConnections = {
    "database": "app",
    "pools": 80,
    "hosts": 2,
    "processes": 2,
    "migrations": 2,
    "declared": None,
    "applied": False,
}
PARTS = "pools 80 (on 2 hosts, 2 processes each), migrations 2, exporter 3, superuser's reserve"
LIMITS = {"max_connections": 200, "superuser_reserved_connections": 3, "reserved_connections": 0}
RESTART = (
    "While PgBouncer replaces a process, up to 40 more may be in use, for which {} are left: queries may then wait."
)


@pytest.mark.parametrize(
    ("row", "answer", "fault", "note"),
    [
        pytest.param({}, LIMITS, "", f"88 of 200 (the server's own max_connections): {PARTS} 3.", id="enough"),
        pytest.param(
            {},
            {**LIMITS, "max_connections": 100},
            "",
            f"88 of 100 (the server's own max_connections): {PARTS} 3. {RESTART.format(12)}",
            id="enough but for a restart",
        ),
        pytest.param(
            {},
            {**LIMITS, "max_connections": 90, "reserved_connections": 4},
            f"is 90 (the server's own max_connections), less than the 92 needed: {PARTS} 7",
            "",
            id="too few, as the server has reserved more than usual",
        ),
        pytest.param(
            {"declared": 200},
            {**LIMITS, "max_connections": 87},
            f"is 87 (the server's own max_connections), less than the 88 needed: {PARTS} 3",
            "",
            id="declared, but this run does not set it",
        ),
        pytest.param(
            {"declared": 200, "applied": True},
            {**LIMITS, "max_connections": 87},
            "",
            f"88 of 200 (declared; the server has 87 until this deploy sets it): {PARTS} 3.",
            id="this deploy sets it",
        ),
        pytest.param(
            {"declared": 200, "applied": True},
            {"fault": "it does not answer"},
            "",
            f"88 of 200 (declared; the server could not be asked: it does not answer): {PARTS} 3.",
            id="asked in vain",
        ),
        pytest.param(
            {},
            None,
            "",
            "88 of an unknown number (not declared; the server could not be asked: no PgBouncer with this database"
            f" answers): {PARTS} 3.",
            id="the first deploy of a managed server",
        ),
    ],
)
def test_what_a_server_allows(row: dict[str, t.Any], answer: dict[str, t.Any] | None, fault: str, note: str) -> None:
    wanted = t.cast("WantedConnections", {**ROW, **row})
    faults, notes = judge_connections("p1", [wanted], {"app": answer} if answer else {})
    assert [one.cause for one in faults] == ([fault] if fault else [])
    assert notes == ([f"Connections at the server of database app: {note}"] if note else [])


@pytest.mark.parametrize(
    ("groups", "tags", "declared", "applied"),
    [
        pytest.param({"database_primary": ["d1"]}, ["all"], 120, True, id="a server of the inventory"),
        pytest.param({"database_primary": ["d1"]}, ["pooler"], 120, False, id="which this run does not change"),
        pytest.param({}, ["all"], None, False, id="a managed server"),
    ],
)
def test_what_is_asked_for(groups: dict[str, list[str]], tags: list[str], declared: int | None, applied: bool) -> None:
    """A row for the primary and one for the replicas, with the connections of all poolers."""
    inputs = Inputs("lab", "hosts", {}, {"pooler": ["p1", "p2"], **groups}, {})
    inputs.values["d1", "postgresql_max_connections"] = 120
    replica = {"name": "app_replica", "server": "replica", "max_connections": 20}
    for host in ("p1", "p2"):
        inputs.values |= {
            (host, "pgbouncer_databases"): [{"name": "*"}, {"name": "app"}, replica],
            (host, "pgbouncer_users"): [{}],
            (host, "pgbouncer_pool_size"): 30,
            (host, "pgbouncer_max_server_connections"): 50,
            (host, "pgbouncer_processes"): 4,
        }
    common = {"hosts": 2, "processes": 4}
    primary = {"database": "app", "pools": 100, "migrations": 2, "declared": declared, "applied": applied}
    other = {"database": "app_replica", "pools": 40, "migrations": 0, "declared": None, "applied": False}
    assert wanted_connections(inputs, "p1", tags) == [{**common, **primary}, {**common, **other}]
