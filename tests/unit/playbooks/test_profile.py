# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which instance the playbook profiles: that is judged before any host is asked, and before the lock."""

from __future__ import annotations

import pathlib

import pytest

from ansible_collections.nexod.infra.tests.playbook import ROOT, play

CHECK = "Refuse what is no host of the API"


@pytest.mark.parametrize(
    ("arguments", "refused"),
    [
        pytest.param(
            ["-e", "profile_instance=api-9"],
            "Cannot profile the instance api-9: the group api has no such host."
            " Set profile_instance to one of api-1, api-2.",
            id="no host of the API",
        ),
        pytest.param(["-e", "profile_instance=api-2"], "", id="a host of the API"),
        pytest.param([], "", id="the first one"),
    ],
)
def test_which_instance_is_profiled(tmp_path: pathlib.Path, arguments: list[str], refused: str) -> None:
    # Within hosts that the playbook has nothing to do with: what comes after the check would connect to others.
    lab = ("-i", ROOT / "inventories" / "lab", "--limit", "edge-1,localhost", "--check")
    done = play(*lab, "nexod.infra.profile", *arguments, cwd=tmp_path)
    assert CHECK in done.stdout
    assert ("[localhost]: FAILED" in done.stdout) is bool(refused), done.stdout
    assert refused in done.stdout
