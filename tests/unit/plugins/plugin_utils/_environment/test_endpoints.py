# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The endpoints contract: what keeps it, what breaks it."""

from __future__ import annotations

import copy
import typing as t

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.nexod.infra.plugins.filter.endpoints import endpoints
from ansible_collections.nexod.infra.plugins.plugin_utils._environment.endpoints import PLACEHOLDER, endpoint_faults


def with_changes(**changes: t.Any) -> dict[str, t.Any]:
    """The placeholder with keys replaced; ``a__b`` reaches below; ... removes."""
    whole = copy.deepcopy(PLACEHOLDER)
    for path, value in changes.items():
        *above, key = path.split("__")
        branch: t.Any = whole
        for step in above:
            branch = branch[step]
        if value is ...:
            del branch[key]
        else:
            branch[key] = value
    return whole


@pytest.mark.parametrize(
    ("changes", "faults"),
    [
        pytest.param({}, [], id="the placeholder keeps it"),
        pytest.param({"pooler": None}, [], id="no pooler"),
        pytest.param({"cache": None, "cdn": None, "object_store": None}, [], id="a bare environment"),
        pytest.param({"replicas": [], "api__instances": []}, [], id="no replicas, hidden instances"),
        pytest.param({"database": ...}, ['has no key "database"'], id="no database"),
        pytest.param({"database": None}, ["database: is empty"], id="database null"),
        pytest.param({"pooler": ...}, ['has no key "pooler"'], id="pooler left out"),
        pytest.param(
            {"database__port": "postgres"},
            ["database.port: is 'postgres', but must be a whole number"],
            id="port a name",
        ),
        pytest.param({"cache__port": 70000}, ["cache.port: 70000 is not a valid port"], id="port out of range"),
        pytest.param({"database__host": ""}, ["database.host: is empty"], id="host empty"),
        pytest.param({"databse": {}}, ['has an unknown key "databse"'], id="unknown key"),
        pytest.param(
            {"database__user_suffix": ".ref", "database__ca_file": "/ca.crt"}, [], id="a pooler with suffixes"
        ),
        pytest.param(
            {"database__host": "aws-0-eu-central-1.pooler.supabase.com", "database__port": 6543},
            [
                "database.port: 6543 at aws-0-eu-central-1.pooler.supabase.com is transaction mode, in which locks and "
                "settings of migrations do not hold; use session mode, which is port 5432 of the same host"
            ],
            id="Supabase's pooler in transaction mode",
        ),
        pytest.param(
            {"database__sslmode": "on"},
            ["database.sslmode: is 'on', but must be one of: disable, allow, prefer, require, verify-ca, verify-full"],
            id="not libpq's word",
        ),
        pytest.param(
            {"api__url": "http://api.invalid/"}, ["api.url: http://api.invalid/ ends with a slash"], id="slash"
        ),
        pytest.param({"cdn__url": "cdn.invalid"}, ["cdn.url: cdn.invalid is not an http or https URL"], id="no scheme"),
        pytest.param(
            {"cdn__url": "http://me:hunter2@cdn.invalid"},
            ["cdn.url: secrets are not allowed in the endpoints"],
            id="secret in a URL",
        ),
        pytest.param(
            {"database__password": "hunter2"},
            ['database: has an unknown key "password"', "database.password: secrets are not allowed in the endpoints"],
            id="secret by name",
        ),
    ],
)
def test_faults(changes: dict[str, t.Any], faults: list[str]) -> None:
    found = endpoint_faults(with_changes(**changes))
    assert found == faults
    assert "hunter2" not in str(found)


def test_not_even_a_mapping() -> None:
    assert endpoint_faults(["x"]) == ["infra_endpoints must be a mapping, not list"]


def test_filter_returns_what_fits() -> None:
    assert endpoints(PLACEHOLDER) is PLACEHOLDER


def test_filter_names_every_fault_at_once() -> None:
    with pytest.raises(AnsibleFilterError, match=r"database\.port.*cache\.db"):
        endpoints(with_changes(database__port="x", cache__db="y"))
