# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What hosts say of themselves, and what is made of it."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.plugin_utils._preflight.hosts import (
    Wants,
    check_port_numbers,
    judge,
    judge_answer,
    wanted_ports,
)
from ansible_collections.nexod.infra.plugins.plugin_utils._preflight.inputs import HostInputs, Inputs

WANTS: Wants = {
    "ports": [{"port": 6432, "role": "pgbouncer", "option": "pgbouncer_port", "units": ["pgbouncer.service"]}],
    "disk_mb": 1024,
    "memory_mb": 400,
    "clock_seconds": 60,
    "address": "10.0.0.9",
    "lab": False,
    "connections": [],
}
PROBE: dict[str, t.Any] = {
    "clock_offset_seconds": 0.4,
    "disk_free_mb": {"/": 20000, "/var": 20000},
    "init": "systemd",
    "listeners": [
        {"port": 22, "program": "sshd", "unit": "ssh.service"},
        {"port": 6432, "program": "pgbouncer", "unit": "pgbouncer.service"},
    ],
    "memory_mb": 4000,
    "os": {"id": "debian", "codename": "trixie", "name": "Debian GNU/Linux 13 (trixie)"},
    "python": "3.13.5",
    "superuser": True,
    "systemd": True,
}


@pytest.mark.parametrize(
    ("said", "faults"),
    [
        pytest.param({}, [], id="nothing wrong, our own service holds the port"),
        pytest.param({"listeners": []}, [], id="the port is free"),
        pytest.param(
            {"listeners": [{"port": 6432, "program": "nc", "unit": "session-3.scope"}]},
            [
                (
                    "port 6432",
                    "is needed by the role pgbouncer but in use by nc (unit session-3.scope)",
                    "Change pgbouncer_port, or let session-3.scope listen on another port.",
                )
            ],
            id="held by another unit",
        ),
        pytest.param(
            {"listeners": [{"port": 6432, "program": "", "unit": ""}]},
            [
                (
                    "port 6432",
                    "is needed by the role pgbouncer but in use by an unknown process",
                    "Change pgbouncer_port, or let an unknown process listen on another port.",
                )
            ],
            id="held by who knows",
        ),
        pytest.param(
            {"disk_free_mb": {"/": 900, "/var": 900}},
            [
                (
                    "disk of /",
                    "has 900 MiB free, less than the 1024 of infra_minimum_free_disk_mb",
                    "Free some space (apt-get clean, old releases) or enlarge the disk.",
                )
            ],
            id="one file system is said once",
        ),
        pytest.param(
            {"disk_free_mb": {"/": 20000, "/var": 12}},
            [
                (
                    "disk of /var",
                    "has 12 MiB free, less than the 1024 of infra_minimum_free_disk_mb",
                    "Free some space (apt-get clean, old releases) or enlarge the disk.",
                )
            ],
            id="a full /var",
        ),
        pytest.param(
            {"memory_mb": 256},
            [
                (
                    "memory",
                    "is 256 MiB, less than the 400 of infra_minimum_memory_mb",
                    "Give the host more memory, or lower infra_minimum_memory_mb.",
                )
            ],
            id="little memory",
        ),
        pytest.param(
            {"clock_offset_seconds": -3600.2},
            [
                (
                    "clock",
                    "is 3600 s behind the controller's",
                    "Synchronise both with a time server: timedatectl set-ntp true",
                )
            ],
            id="clock behind",
        ),
        pytest.param({"clock_offset_seconds": None}, [], id="clock not compared"),
        pytest.param(
            {"os": {"id": "ubuntu", "codename": "noble", "name": "Ubuntu 24.04 LTS"}},
            [
                (
                    "operating system",
                    "is Ubuntu 24.04 LTS, on which no role is tested",
                    "Use one of: debian bookworm, debian trixie, debian forky.",
                )
            ],
            id="another system",
        ),
        pytest.param(
            {"systemd": False, "init": "tini"},
            [
                (
                    "host",
                    "is not managed by systemd (process 1 is tini)",
                    "Install systemd-sysv and boot the host with systemd.",
                )
            ],
            id="no systemd",
        ),
        pytest.param(
            {"superuser": False},
            [("host", "is not managed as root", "Set ansible_become: true for it.")],
            id="no root",
        ),
        pytest.param(
            {"python": "3.7.3"},
            [
                (
                    "Python",
                    "is 3.7.3, older than 3.8",
                    "Install python3 >= 3.8 there, and set ansible_python_interpreter to it.",
                )
            ],
            id="old Python",
        ),
    ],
)
def test_judge(said: dict[str, t.Any], faults: list[tuple[str, str, str]]) -> None:
    found = judge("h", WANTS, {**PROBE, **said})
    assert [(fault.subject, fault.cause, fault.next_step) for fault in found] == faults
    assert all(fault.hosts == ("h",) for fault in found)


@pytest.mark.parametrize(
    ("host", "answer", "faults"),
    [
        pytest.param("h", {"probe": PROBE}, [], id="answered"),
        pytest.param(
            "localhost",
            {
                "probe": {
                    **PROBE,
                    "systemd": False,
                    "superuser": False,
                    "os": {"id": "darwin", "codename": "", "name": "?"},
                }
            },
            [],
            id="an engineer's own machine need be no server",
        ),
        pytest.param(
            "h",
            {
                "unreachable": True,
                "msg": 'Task failed: Data could not be sent to remote host "10.0.0.9". Make sure this host can be'
                " reached over ssh: ssh: connect to host 10.0.0.9 port 22:\n  No route to host\r\n",
            },
            ["cannot be reached: ssh: connect port 22: No route to host"],
            id="unreachable",
        ),
        pytest.param(
            "h",
            {"failed": True, "msg": "MODULE FAILURE", "module_stderr": "\n/bin/sh: 1: /usr/bin/python3: not found\n"},
            ["cannot be probed: /bin/sh: 1: /usr/bin/python3: not found"],
            id="no Python",
        ),
        pytest.param("h", {}, ["did not answer"], id="nothing at all"),
    ],
)
def test_judge_answer(host: str, answer: dict[str, t.Any], faults: list[str]) -> None:
    assert [fault.cause for fault in judge_answer(host, WANTS, answer)] == faults


def test_an_unreachable_host_of_the_lab_is_booted() -> None:
    (fault,) = judge_answer("h", {**WANTS, "lab": True}, {"unreachable": True, "msg": "x"})
    assert "lab_up.yml" in fault.next_step


def inputs_of(**values: object) -> Inputs:
    specs = {
        "prometheus": {"prometheus_port": {"default": 9090}, "prometheus_state": {"default": "present"}},
        "alertmanager": {"alertmanager_port": {"default": 9093}},
        "exporters": {
            "exporters_enabled": {"default": []},
            "exporters_node_port": {"default": 9100},
            "exporters_redis_port": {"default": 9121},
            "exporters_pgbouncer_port": {"default": 9127},
            "exporters_pgbouncer_processes": {"default": 1},
        },
    }
    host = HostInputs("m", frozenset({"monitoring"}), {}, lambda name: None)
    return Inputs("lab", "hosts", specs, {}, {"m": host}, {("m", name): value for name, value in values.items()})


@pytest.mark.parametrize(
    ("values", "ports"),
    [
        pytest.param({}, [9093, 9090], id="defaults"),
        pytest.param({"prometheus_port": "19090"}, [9093, 19090], id="given"),
        pytest.param({"exporters_enabled": ["redis"]}, [9093, 9121, 9090], id="an exporter that runs here"),
        pytest.param({"exporters_enabled": ["pgbouncer"]}, [9093, 9127, 9090], id="of one process"),
        pytest.param(
            {"exporters_enabled": ["pgbouncer"], "exporters_pgbouncer_processes": 3},
            [9093, 9127, 9128, 9129, 9090],
            id="of each process",
        ),
        pytest.param(
            {"exporters_enabled": ["pgbouncer"], "exporters_pgbouncer_processes": "two"},
            [9093, 9127, 9090],
            id="no number, which is reported elsewhere",
        ),
        pytest.param({"prometheus_state": "absent"}, [9093], id="a role that is removed wants none"),
    ],
)
def test_wanted_ports(values: dict[str, object], ports: list[int]) -> None:
    inputs = inputs_of(**values)
    assert [want["port"] for want in wanted_ports(inputs, inputs.hosts["m"])] == ports


@pytest.mark.parametrize(
    ("values", "faults"),
    [
        pytest.param({}, [], id="nothing wrong"),
        pytest.param({"prometheus_port": 70000}, ["prometheus_port is 70000"], id="no port"),
        pytest.param(
            {"prometheus_port": 9093},
            ["prometheus_port is 9093, the same port as alertmanager_port on this host"],
            id="two roles, one port",
        ),
        pytest.param(
            {"exporters_enabled": ["pgbouncer"], "exporters_pgbouncer_processes": 2, "prometheus_port": 9128},
            ["prometheus_port is 9128, the same port as exporters_pgbouncer_port on this host"],
            id="the exporter of another process",
        ),
        pytest.param(
            {"exporters_enabled": ["pgbouncer"], "exporters_pgbouncer_processes": 2, "exporters_pgbouncer_port": 9092},
            ["exporters_pgbouncer_port is 9092 and takes 9093 too, the same port as alertmanager_port on this host"],
            id="a port after the first",
        ),
    ],
)
def test_port_numbers(values: dict[str, object], faults: list[str]) -> None:
    assert [f"{fault.subject} {fault.cause}" for fault in check_port_numbers(inputs_of(**values))] == faults
