# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's endpoints, computed from its inventory."""

from __future__ import annotations

import typing as t

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.nexod.infra.plugins.filter.lab_endpoints import lab_endpoints
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


def compute(groups: dict[str, list[str]], hostvars: t.Mapping[str, t.Mapping[str, t.Any]]) -> dict[str, t.Any]:
    return lab_endpoints(
        groups,
        hostvars,
        database={"name": "app", "port": 5432, "sslmode": "prefer"},
        pooler_port=6432,
        cache={"port": 6379, "db": 0},
        api_port=8000,
        object_store={"bucket": "uploads", "endpoint_url": "http://127.0.0.1:5555", "region": "us-east-1"},
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


@pytest.mark.parametrize("group", ["database_primary", "cache", "edge"])
def test_a_group_without_a_host_is_named(group: str) -> None:
    with pytest.raises(AnsibleFilterError, match=f'group "{group}" has no host'):
        compute({**GROUPS, group: []}, HOSTVARS)
