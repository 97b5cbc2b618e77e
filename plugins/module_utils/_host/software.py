# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host has of a program before a role installs it: distribution, programs, unit and data. Nothing is written."""

from __future__ import annotations

import os
import pathlib
import pwd
import re
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._core.processes import run
from ansible_collections.nexod.infra.plugins.module_utils._host.probe import parse_os_release


class Unit(t.TypedDict):
    """A systemd unit: whether it is there and active, its file, and its command line (empty where it has none)."""

    known: bool
    active: bool
    file: str
    arguments: list[str]


def parse_exec(text: str) -> list[str]:
    """The words of `systemctl show --property=ExecStart`; those of the last command where there are several."""
    found = re.findall(r"argv\[\]=(.*?) ; ignore_errors=", text)
    return found[-1].split() if found else []


def option_value(arguments: t.Sequence[str], option: str) -> str:
    """The value of `option` among a command line's words, as `--option=value` or `--option value`; empty for none."""
    names = (f"--{option}", f"-{option}")
    found = ""
    for position, word in enumerate(arguments):
        name, equals, value = word.partition("=")
        if name in names:
            found = value if equals else (arguments[position + 1] if position + 1 < len(arguments) else "")
    return found


def parse_automatic(text: str) -> set[str]:
    """Packages that /var/lib/apt/extended_states lists as installed only because others need them."""
    found = set()
    for block in text.split("\n\n"):
        rows = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
        if rows.get("Auto-Installed") == "1" and "Package" in rows:
            found.add(rows["Package"])
    return found


def unit_of(name: str, proc: pathlib.Path = pathlib.Path("/proc")) -> Unit:
    """The unit as systemd knows it; a running one with the words of its process, where variables are expanded."""
    shown = run(["systemctl", "show", name, "--property=LoadState,ActiveState,FragmentPath,ExecStart,MainPID"])
    if shown.rc != 0:
        raise InfraError(
            "query systemd for",
            f'"{name}"',
            shown.output or f"systemctl ended with {shown.rc}",
            "This collection runs services under systemd: check that it is the host's init.",
        )
    facts = dict(line.split("=", 1) for line in shown.stdout.splitlines() if "=" in line)
    arguments = parse_exec(facts.get("ExecStart", ""))
    try:
        running = (proc / facts.get("MainPID", "0") / "cmdline").read_bytes().decode(errors="replace")
        arguments = running.rstrip("\0").split("\0") if running else arguments
    except OSError:
        pass
    file = facts.get("FragmentPath", "")
    return {
        "known": facts.get("LoadState") not in (None, "not-found"),
        "active": facts.get("ActiveState") in ("active", "activating", "reloading"),
        "file": os.path.realpath(file) if file else "",
        "arguments": arguments,
    }


def version_of(program: str) -> str:
    """What the program calls itself, such as 3.5.0; empty where it is not there or does not say."""
    if not os.path.isfile(program):
        return ""
    found = re.search(r"version v?(\d[\w.+~-]*)", run([program, "--version"], timeout=10).output)
    return found[1] if found else ""


def has_any(folder: str, names: t.Iterable[str]) -> bool:
    """Whether `folder` holds one of `names`."""
    return any(os.path.lexists(os.path.join(folder, name)) for name in names)


def has_account(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def software(options: t.Mapping[str, t.Any], root: pathlib.Path = pathlib.Path("/")) -> dict[str, t.Any]:
    """What the options ask about; `root` is where /etc and /var are looked for."""
    release = parse_os_release(_read(root / "etc/os-release"))
    unit = unit_of(f"{options['unit']}.service") if options["unit"] else None
    data_dir = option_value(unit["arguments"], options["data_option"]) if unit and options["data_option"] else ""
    folders = [data_dir, *options["data_dirs"]] if data_dir else options["data_dirs"]
    asked = list(options["version_of"])
    asked += unit["arguments"][:1] if asked and unit else []
    return {
        "distribution": {
            "id": release.get("id", ""),
            "codename": release.get("version_codename", ""),
            "name": release.get("pretty_name", ""),
        },
        "missing_programs": [path for path in options["programs"] if not (root / path.lstrip("/")).exists()],
        "automatic_packages": sorted(
            set(options["packages"]) & parse_automatic(_read(root / "var/lib/apt/extended_states"))
        ),
        "missing_accounts": [name for name in options["accounts"] if not has_account(name)],
        "versions": {program: version_of(program) for program in dict.fromkeys(asked)},
        "unit": unit,
        "data_dir": data_dir,
        "data_dirs_in_use": [folder for folder in dict.fromkeys(folders) if has_any(folder, options["data_signs"])],
    }


def _read(path: pathlib.Path) -> str:
    """A file's text; empty where it is not there."""
    try:
        return path.read_text(errors="replace")
    except FileNotFoundError:
        return ""
