# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Endpoints, computed from the inventory."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.filter.hosts_endpoints import hosts_endpoints
from ansible_collections.nexod.infra.plugins.plugin_utils._environment.endpoints import endpoint_faults

GROUPS = {
    "database_primary": ["db-1"],
    "database_replica": ["db-2", "db-3"],
    "cache": ["cache-1"],
    "pooler": ["pooler-1"],
    "api": ["api-1", "api-2"],
    "edge": ["edge-1"],
}
HOSTVARS = {
    host: {"ansible_host": f"192.0.2.{number}"}
    for number, host in enumerate((host for hosts in GROUPS.values() for host in hosts), 11)
}


def compute(
    groups: dict[str, list[str]], hostvars: t.Mapping[str, t.Mapping[str, t.Any]], **more: t.Any
) -> dict[str, t.Any]:
    return hosts_endpoints(
        groups,
        hostvars,
        database={"name": "app", "port": 5432, "sslmode": "prefer"},
        pooler_port=6432,
        cache={"port": 6379, "db": 0},
        api_port=8000,
        object_store={"bucket": "uploads", "endpoint_url": "http://127.0.0.1:5555", "region": "us-east-1"},
        **more,
    )


def test_the_contract_is_kept() -> None:
    found = compute(GROUPS, HOSTVARS)
    assert endpoint_faults(found) == []
    assert found["database"]["host"] == "192.0.2.11"
    assert [replica["host"] for replica in found["replicas"]] == ["192.0.2.12", "192.0.2.13"]
    assert found["api"]["url"] == found["cdn"]["url"] == "http://192.0.2.18"
    assert found["api"]["instances"][1] == {"name": "api-2", "host": "192.0.2.17", "port": 8000}


def test_what_a_lab_may_lack_is_null_or_empty() -> None:
    found = compute({**GROUPS, "database_replica": [], "pooler": [], "api": []}, HOSTVARS)
    assert (found["replicas"], found["pooler"], found["api"]["instances"]) == ([], None, [])
    assert endpoint_faults(found) == []


def test_a_host_without_an_address_goes_by_its_name() -> None:
    assert compute(GROUPS, {host: {} for host in HOSTVARS})["cache"]["host"] == "cache-1"


@pytest.mark.parametrize(
    ("group", "declared", "key", "value"),
    [
        pytest.param("database_primary", {}, "database", None, id="no database: the contract's check names it"),
        pytest.param("cache", {}, "cache", None, id="no cache"),
        pytest.param("edge", {}, "cdn", None, id="no entry point, so no CDN"),
        pytest.param(
            "edge",
            {},
            "api",
            {"url": "http://192.0.2.16:8000", "instances": [{"name": "api-1", "host": "192.0.2.16", "port": 8000}]},
            id="no entry point: the first instance is the address",
        ),
        pytest.param(
            "database_primary",
            {"database": {"host": "db.example.com", "port": 5433, "name": "shop", "sslmode": "require"}},
            "database",
            {"host": "db.example.com", "port": 5433, "name": "shop", "sslmode": "require"},
            id="a database that is declared",
        ),
        pytest.param(
            "cache",
            {"api": {"url": "https://api.example.com"}},
            "api",
            {"url": "https://api.example.com", "instances": [{"name": "api-1", "host": "192.0.2.16", "port": 8000}]},
            id="a part of an entry that is declared keeps the rest",
        ),
    ],
)
def test_what_the_groups_lack(group: str, declared: dict[str, t.Any], key: str, value: object) -> None:
    found = compute({**GROUPS, "api": ["api-1"], group: []}, HOSTVARS, declared=declared)
    assert found[key] == value


@pytest.mark.parametrize(
    ("address", "port", "url"),
    [("192.0.2.18", 80, "http://192.0.2.18"), ("2001:db8::1", 8080, "http://[2001:db8::1]:8080")],
)
def test_the_url_of_the_entry_point(address: str, port: int, url: str) -> None:
    hostvars = {**HOSTVARS, "edge-1": {"ansible_host": address}}
    assert compute(GROUPS, hostvars, edge_port=port)["api"]["url"] == url
