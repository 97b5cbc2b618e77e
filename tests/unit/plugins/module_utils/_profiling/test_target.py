# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A table of the limits on a process's memory, and how much of them is left."""

from __future__ import annotations

import pathlib

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._profiling.target import unit_room_mib

MIB = 2**20
SERVICE, SLICE = "system.slice/api.service", "system.slice"
V2 = ("memory.max", "memory.current", "inactive_file")
V1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")


def group(limit: str, used: int, cached: int = 0, names: tuple[str, str, str] = V2) -> dict[str, str]:
    """The files of a cgroup, in MiB."""
    most = str(int(limit) * MIB) if limit.isdigit() else limit
    return {names[0]: most, names[1]: str(used * MIB), "memory.stat": f"anon 1\n{names[2]} {cached * MIB}\n"}


@pytest.mark.parametrize(
    ("cgroup", "groups", "room"),
    [
        pytest.param(f"0::/{SERVICE}", {SERVICE: group("512", 400)}, 112, id="its own limit"),
        pytest.param(f"0::/{SERVICE}", {SERVICE: group("max", 400)}, float("inf"), id="no limit"),
        pytest.param(
            f"0::/{SERVICE}", {SERVICE: group("max", 400), SLICE: group("800", 750)}, 50, id="the limit of its slice"
        ),
        pytest.param(
            f"0::/{SERVICE}", {SERVICE: group("512", 400), SLICE: group("9999", 750)}, 112, id="the lower of both"
        ),
        # A service that has read large files is at its limit, and would be refused for ever.
        pytest.param(f"0::/{SERVICE}", {SERVICE: group("512", 510, 300)}, 302, id="what only caches files"),
        pytest.param("0::/", {"": group("512", 12)}, 500, id="a container, whose own cgroup is the top"),
        pytest.param(
            f"1:name=systemd:/x\n4:memory:/{SERVICE}\n0::/{SERVICE}",
            {f"memory/{SERVICE}": group("512", 412, 0, V1)},
            100,
            id="the older hierarchy",
        ),
        pytest.param("0::/gone.service", {}, float("inf"), id="a cgroup that is gone"),
        pytest.param("nonsense", {}, float("inf"), id="nothing that is known"),
    ],
)
def test_the_memory_that_a_unit_may_still_take(
    tmp_path: pathlib.Path, cgroup: str, groups: dict[str, dict[str, str]], room: float
) -> None:
    (tmp_path / "proc/7").mkdir(parents=True)
    (tmp_path / "proc/7/cgroup").write_text(f"{cgroup}\n")
    for folder, files in groups.items():
        (tmp_path / "cgroup" / folder).mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (tmp_path / "cgroup" / folder / name).write_text(text)
    assert unit_room_mib(7, str(tmp_path / "cgroup"), str(tmp_path / "proc")) == room


def test_a_process_that_is_gone_has_no_limit(tmp_path: pathlib.Path) -> None:
    assert unit_room_mib(7, str(tmp_path), str(tmp_path)) == float("inf")
