# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Preflight of the hosts: checks what the probe of each host has returned."""

from __future__ import annotations

import fnmatch
import re
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import ssh_reason
from ansible_collections.nexod.infra.plugins.plugin_utils._preflight.connections import (
    WantedConnections,
    judge_connections,
    wanted_connections,
)
from ansible_collections.nexod.infra.plugins.plugin_utils._preflight.inputs import CONTROLLER, Fault, HostInputs, Inputs
from ansible_collections.nexod.infra.plugins.plugin_utils._preflight.tables import (
    MINIMUM_PYTHON,
    ROLE_PORTS,
    SUPPORTED_RELEASES,
)

#: Of one option. The role pgbouncer has no more processes.
MOST_PORTS: t.Final = 64


class WantedPort(t.TypedDict):
    """A port that one of our services will listen on, on a host."""

    port: int
    role: str
    option: str
    units: list[str]


class Wants(t.TypedDict):
    """What a host must have."""

    ports: list[WantedPort]
    disk_mb: int
    memory_mb: int
    clock_seconds: int
    address: str
    lab: bool
    connections: list[WantedConnections]


def wanted_ports(inputs: Inputs, host: HostInputs) -> list[WantedPort]:
    """The ports that the roles of a host will listen on."""
    found: list[WantedPort] = []
    for role in inputs.roles_of(host):
        for port in ROLE_PORTS.get(role, ()):
            number = inputs.number(host.name, port.option)
            if number is None or inputs.value(host.name, f"{role}_state") == "absent":
                continue
            if port.enabled:
                chosen = inputs.value(host.name, port.enabled[0])
                if not isinstance(chosen, list) or port.enabled[1] not in chosen:
                    continue
            count = (inputs.number(host.name, port.number) or 1) if port.number else 1
            units = _units(inputs, host, port.units)
            found += [
                {"port": number + place, "role": role, "option": port.option, "units": units}
                # What is no number of processes is reported as such.
                for place in range(min(count, MOST_PORTS))
            ]
    return found


def _units(inputs: Inputs, host: HostInputs, units: t.Iterable[str]) -> list[str]:
    """The units that may hold a port; `{backend_unit}` is the value of that option, or any unit if it is not known."""
    return [re.sub(r"\{(\w+)\}", lambda found: str(inputs.value(host.name, found[1]) or "*"), unit) for unit in units]


def check_port_numbers(inputs: Inputs) -> list[Fault]:
    """Invalid port numbers, and two roles of one host with the same port."""
    found = []
    for host in inputs.hosts.values():
        taken: dict[int, WantedPort] = {}
        for want in wanted_ports(inputs, host):
            number = inputs.number(host.name, want["option"])
            cause = f"is {number}" if want["port"] == number else f"is {number} and takes {want['port']} too"
            if not 0 < want["port"] < 65536:
                found.append(Fault(want["option"], cause, "Choose a port from 1 to 65535.", (host.name,)))
            elif (first := taken.setdefault(want["port"], want)) is not want:
                cause += f", the same port as {first['option']} on this host"
                found.append(Fault(want["option"], cause, "Change one of the two ports.", (host.name,)))
    return found


def wants_of(inputs: Inputs, host: HostInputs, tags: t.Sequence[str] = ("all",)) -> Wants:
    """The requirements on a host."""
    address = host.evaluate("ansible_host") if "ansible_host" in host.raw else host.name
    return {
        "ports": wanted_ports(inputs, host),
        "disk_mb": inputs.number(host.name, "infra_minimum_free_disk_mb") or 0,
        "memory_mb": inputs.number(host.name, "infra_minimum_memory_mb") or 0,
        "clock_seconds": inputs.number(host.name, "infra_maximum_clock_offset_seconds") or 60,
        "address": str(address),
        "lab": "lab" in host.groups,
        "connections": wanted_connections(inputs, host.name, tags) if "pooler" in host.groups else [],
    }


def judge_unreachable(host: str, wants: Wants, message: str) -> Fault:
    """A host that cannot be reached."""
    next_step = (
        "Check that it is running, and that `ssh` from here works with the address, user and key of the inventory."
    )
    if wants["lab"]:
        next_step = "Boot the lab's hosts: ansible-playbook -i inventories/lab playbooks/lab_up.yml"
    return Fault("host", f"cannot be reached: {_reason(message, wants['address'])}", next_step, (host,))


def _reason(message: str, address: str) -> str:
    """The reason without the address, so that hosts with the same reason are reported together."""
    return ssh_reason(message).replace(f"connect to host {address}", "connect")[:200].rstrip(".")


def judge_answer(host: str, wants: Wants, answer: t.Mapping[str, t.Any]) -> list[Fault]:
    """The problems in a host's registered result: unreachable, failed, or a probe to check."""
    if answer.get("unreachable"):
        return [judge_unreachable(host, wants, str(answer.get("msg", "no answer")))]
    if "probe" in answer:
        faults, _notes = judge_connections(host, wants["connections"], answer.get("pooler_servers") or {})
        return judge(host, wants, answer["probe"], own_machine=host == CONTROLLER) + faults
    # The cause is at the end: the last line of a traceback, or the shell's "not found".
    said = [line for key in ("msg", "module_stderr") for line in str(answer.get(key, "")).splitlines() if line.strip()]
    cause = f"cannot be probed: {said[-1].strip()[:200]}" if said else "did not answer"
    return [Fault("host", cause, "Check that python3 is installed there and runs.", (host,))]


def notes_of(host: str, wants: Wants, answer: t.Mapping[str, t.Any]) -> list[str]:
    """What is no problem of a host, but should be known."""
    if "probe" not in answer:
        return []
    return judge_connections(host, wants["connections"], answer.get("pooler_servers") or {})[1]


def judge(host: str, wants: Wants, probe: t.Mapping[str, t.Any], own_machine: bool = False) -> list[Fault]:
    """Every problem in a host's probe. The controller (`own_machine`) need not be a Debian server."""
    found = _judge_resources(host, wants, probe)
    if not own_machine:
        found += _judge_system(host, probe)
    for want in wants["ports"]:
        found += _judge_port(host, want, probe["listeners"])
    return found


def _judge_system(host: str, probe: t.Mapping[str, t.Any]) -> list[Fault]:
    found = []
    system = probe["os"]
    if system["codename"] not in SUPPORTED_RELEASES.get(system["id"], ()):
        releases = ", ".join(f"{name} {release}" for name, these in SUPPORTED_RELEASES.items() for release in these)
        cause = f"is {system['name']}, on which no role is tested"
        found.append(Fault("operating system", cause, f"Use one of: {releases}.", (host,)))
    if not probe["systemd"]:
        cause = f"is not managed by systemd (process 1 is {probe['init'] or 'unknown'})"
        found.append(Fault("host", cause, "Install systemd-sysv and boot the host with systemd.", (host,)))
    if not probe["superuser"]:
        found.append(Fault("host", "is not managed as root", "Set ansible_become: true for it.", (host,)))
    version = tuple(int(part) for part in probe["python"].split(".")[:2])
    if version < MINIMUM_PYTHON:
        wanted = ".".join(map(str, MINIMUM_PYTHON))
        next_step = f"Install python3 >= {wanted} there, and set ansible_python_interpreter to it."
        found.append(Fault("Python", f"is {probe['python']}, older than {wanted}", next_step, (host,)))
    return found


def _judge_resources(host: str, wants: Wants, probe: t.Mapping[str, t.Any]) -> list[Fault]:
    found = []
    # If several paths are on one file system, report it once.
    full = {free: path for path, free in reversed(probe["disk_free_mb"].items()) if free < wants["disk_mb"]}
    for free, path in full.items():
        cause = f"has {free} MiB free, less than the {wants['disk_mb']} of infra_minimum_free_disk_mb"
        found.append(
            Fault(
                f"disk of {path}", cause, "Free some space (apt-get clean, old releases) or enlarge the disk.", (host,)
            )
        )
    if 0 < probe["memory_mb"] < wants["memory_mb"]:
        cause = f"is {probe['memory_mb']} MiB, less than the {wants['memory_mb']} of infra_minimum_memory_mb"
        found.append(Fault("memory", cause, "Give the host more memory, or lower infra_minimum_memory_mb.", (host,)))
    offset = probe["clock_offset_seconds"]
    if offset is not None and abs(offset) > wants["clock_seconds"]:
        way = "ahead of" if offset > 0 else "behind"
        cause = f"is {abs(offset):.0f} s {way} the controller's"
        found.append(Fault("clock", cause, "Synchronise both with a time server: timedatectl set-ntp true", (host,)))
    return found


def _judge_port(host: str, want: WantedPort, listeners: t.Sequence[t.Mapping[str, t.Any]]) -> list[Fault]:
    holders = [row for row in listeners if row["port"] == want["port"] and not _is_ours(row["unit"], want["units"])]
    found = []
    for row in holders:
        by = row["program"] or "an unknown process"
        unit = f" (unit {row['unit']})" if row["unit"] else ""
        where = f"port {want['port']}"
        # Never "stop it": it was there before us, and could be what the host is for, or ssh.
        next_step = f"Change {want['option']}, or let {row['unit'] or by} listen on another port."
        found.append(Fault(where, f"is needed by the role {want['role']} but in use by {by}{unit}", next_step, (host,)))
    return found


def _is_ours(unit: str, units: t.Iterable[str]) -> bool:
    return any(fnmatch.fnmatchcase(unit, pattern) for pattern in units)
