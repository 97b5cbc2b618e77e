# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host says of itself: the parts that read, and one real read of this machine."""

from __future__ import annotations

import os
import pathlib
import socket
import time

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._host.probe import (
    as_facts,
    listeners,
    parse_listening,
    parse_meminfo,
    parse_os_release,
    parse_unit,
    probe,
)

TCP = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:1F40 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100 0 0 10 0
   1: 0100007F:0CEA 0100007F:9C40 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0 100 0 0 10 0
"""


@pytest.mark.parametrize(
    ("text", "found"),
    [
        pytest.param(TCP, {"4711": 8000}, id="listening, not connected"),
        pytest.param("", {}, id="nothing"),
        pytest.param("  sl  local_address\n  garbage", {}, id="garbage"),
    ],
)
def test_listening(text: str, found: dict[str, int]) -> None:
    assert parse_listening(text) == found


@pytest.mark.parametrize(
    ("cgroup", "unit"),
    [
        pytest.param("0::/system.slice/prometheus.service\n", "prometheus.service", id="version 2"),
        pytest.param(
            "0::/system.slice/system-postgresql.slice/postgresql@15-main.service",
            "postgresql@15-main.service",
            id="template",
        ),
        pytest.param("0::/user.slice/user-0.slice/session-3.scope", "session-3.scope", id="a person's"),
        pytest.param("4:cpu:/x.service\n1:name=systemd:/system.slice/ssh.service\n0::/", "ssh.service", id="hybrid"),
        pytest.param("0::/", "", id="none"),
        pytest.param("", "", id="ended"),
    ],
)
def test_unit(cgroup: str, unit: str) -> None:
    assert parse_unit(cgroup) == unit


def test_os_release() -> None:
    text = '# a comment\nID=debian\nVERSION_CODENAME=trixie\nPRETTY_NAME="Debian GNU/Linux 13 (trixie)"\n'
    assert parse_os_release(text) == {
        "id": "debian",
        "version_codename": "trixie",
        "pretty_name": "Debian GNU/Linux 13 (trixie)",
    }


@pytest.mark.parametrize(("text", "mb"), [("MemTotal:        8174592 kB\nMemFree: 1 kB\n", 7983), ("", 0)])
def test_meminfo(text: str, mb: int) -> None:
    assert parse_meminfo(text) == mb


def test_finds_who_listens_here() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        program = pathlib.Path(f"/proc/{os.getpid()}/comm").read_text().strip()
        found = [row for row in listeners(pathlib.Path("/proc")) if row["port"] == server.getsockname()[1]]
    assert [row["program"] for row in found] == [program]


def test_the_whole_of_this_machine() -> None:
    found = probe(time.time() - 100)
    assert set(found["disk_free_mb"]) == {"/", "/var"}
    assert 99 < found["clock_offset_seconds"] < 110
    assert found["memory_mb"] > 100
    assert found["os"]["id"]


def test_a_machine_without_proc(tmp_path: pathlib.Path) -> None:
    (tmp_path / "var").mkdir()
    found = probe(None, tmp_path)
    assert (found["listeners"], found["memory_mb"], found["systemd"]) == ([], 0, False)
    assert found["clock_offset_seconds"] is None


@pytest.mark.parametrize(
    ("system", "facts"),
    [
        (
            {"id": "debian", "version": "13", "codename": "trixie"},
            {"distribution": "Debian", "distribution_major_version": "13", "distribution_release": "trixie"},
        ),
        (
            {"id": "ubuntu", "version": "24.04", "codename": "noble"},
            {"distribution": "Ubuntu", "distribution_major_version": "24", "distribution_release": "noble"},
        ),
        ({"id": "debian", "version": "", "codename": "forky"}, {}),
        ({"id": "arch", "version": "1", "codename": ""}, {}),
    ],
)
def test_facts_of_the_distribution(system: dict[str, str], facts: dict[str, str]) -> None:
    assert as_facts(system) == facts
