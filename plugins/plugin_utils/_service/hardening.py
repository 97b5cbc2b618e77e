# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sandbox that every systemd unit of this collection runs in, and what a unit may change of it. Pure functions."""

from __future__ import annotations

import typing as t

#: Directives of the [Service] section (systemd.exec(5), systemd.resource-control(5)) and their values; a list is
#: one line for each value. With them `systemd-analyze security` rates a unit 1.5 or better.
SANDBOX: dict[str, str | list[str]] = {
    "AmbientCapabilities": "",
    "CapabilityBoundingSet": "",
    "DevicePolicy": "closed",
    "LockPersonality": "true",
    "MemoryDenyWriteExecute": "true",
    "NoNewPrivileges": "true",
    "PrivateDevices": "true",
    "PrivateTmp": "true",
    "PrivateUsers": "true",
    "ProcSubset": "pid",
    "ProtectClock": "true",
    "ProtectControlGroups": "true",
    "ProtectHome": "true",
    "ProtectHostname": "true",
    "ProtectKernelLogs": "true",
    "ProtectKernelModules": "true",
    "ProtectKernelTunables": "true",
    "ProtectProc": "invisible",
    "ProtectSystem": "strict",
    "RemoveIPC": "true",
    "RestrictAddressFamilies": "AF_INET AF_INET6 AF_UNIX",
    "RestrictNamespaces": "true",
    "RestrictRealtime": "true",
    "RestrictSUIDSGID": "true",
    "SystemCallArchitectures": "native",
    # A filtered call fails with EPERM instead of killing the process: programs written in Go raise their limit of open
    # files at the start and cope with a refusal.
    "SystemCallErrorNumber": "EPERM",
    "SystemCallFilter": ["@system-service", "~@privileged @resources"],
    "UMask": "0077",
}

#: Directives of the same kind that no unit has by default. Any other name is taken for a misspelling: systemd itself
#: only logs a warning about an unknown directive and runs the unit without it.
FURTHER = frozenset(
    {
        "BindPaths",
        "BindReadOnlyPaths",
        "DeviceAllow",
        "ExecPaths",
        "IPAddressAllow",
        "IPAddressDeny",
        "InaccessiblePaths",
        "NoExecPaths",
        "PrivateIPC",
        "PrivateNetwork",
        "ReadOnlyPaths",
        "ReadWritePaths",
        "SocketBindAllow",
        "SocketBindDeny",
        "TemporaryFileSystem",
    }
)


def written(value: t.Any) -> str:
    """A value as a unit file has it: booleans in lower case."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def hardening(exceptions: t.Mapping[str, t.Any]) -> str:
    """The sandbox's lines, sorted by directive, with `exceptions` in place of the defaults.

    A list is one line for each value; None leaves a directive out, so that systemd's default applies.
    Raises ValueError on a directive that is not part of a sandbox.
    """
    unknown = sorted(set(exceptions) - set(SANDBOX) - FURTHER)
    if unknown:
        raise ValueError(
            f"Cannot write the unit's sandbox: {', '.join(unknown)}: not a directive of a sandbox; "
            "correct the name, or write the directive into the unit itself"
        )
    lines = []
    for directive, value in sorted({**SANDBOX, **exceptions}.items()):
        if value is None:
            continue
        values = value if isinstance(value, list | tuple) else [value]
        lines += [f"{directive}={written(one)}" for one in values]
    return "\n".join(lines)
