# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A unit's sandbox: the defaults, and what a unit changes of them."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.plugin_utils._service.hardening import SANDBOX, hardening


@pytest.mark.parametrize(
    ("exceptions", "present", "missing"),
    [
        pytest.param({}, ["AmbientCapabilities=", "PrivateUsers=true", "UMask=0077"], [], id="the defaults"),
        pytest.param(
            {},
            ["SystemCallFilter=@system-service", "SystemCallFilter=~@privileged @resources"],
            [],
            id="a list is a line for each value",
        ),
        pytest.param({"PrivateTmp": False}, ["PrivateTmp=false"], ["PrivateTmp=true"], id="a boolean in lower case"),
        pytest.param({"PrivateUsers": None}, [], ["PrivateUsers=true"], id="left out"),
        pytest.param(
            {"CapabilityBoundingSet": "CAP_NET_BIND_SERVICE"},
            ["CapabilityBoundingSet=CAP_NET_BIND_SERVICE"],
            ["CapabilityBoundingSet="],
            id="another value",
        ),
        pytest.param({"NoExecPaths": "/"}, ["NoExecPaths=/"], [], id="a directive more"),
        pytest.param(
            {"ReadWritePaths": ["/srv/a", "/srv/b"]}, ["ReadWritePaths=/srv/a", "ReadWritePaths=/srv/b"], [], id="two"
        ),
    ],
)
def test_lines(exceptions: dict[str, t.Any], present: list[str], missing: list[str]) -> None:
    lines = hardening(exceptions).split("\n")
    assert set(present) <= set(lines)
    assert not set(missing) & set(lines)
    assert [line.split("=")[0] for line in lines] == sorted(line.split("=")[0] for line in lines)


def test_every_default_is_written() -> None:
    assert {line.split("=")[0] for line in hardening({}).split("\n")} == set(SANDBOX)


@pytest.mark.parametrize("name", ["PrivateTemp", "privatetmp", "ExecStart", ""])
def test_a_misspelt_directive_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"Cannot write the unit's sandbox: {name}"):
        hardening({name: True})
