# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The place of each role in an environment: roles/<role>/meta/environment.yml, read as data."""

from __future__ import annotations

import functools
import pathlib
import typing as t

from ansible.module_utils.common.yaml import yaml_load

ROLES: t.Final = pathlib.Path(__file__).resolve().parents[3] / "roles"


@functools.cache
def places() -> dict[str, dict[str, t.Any]]:
    """Role name to the contents of its meta/environment.yml, without `variables`: those need Ansible's own loader."""
    return {path.parts[-3]: yaml_load(path.read_text(encoding="utf-8")) for path in paths()}


def paths() -> list[pathlib.Path]:
    """The files themselves, by role name."""
    return sorted(ROLES.glob("*/meta/environment.yml"))


def defaults_of(role: str) -> dict[str, t.Any]:
    """The role's defaults/main.yml."""
    path = ROLES / role / "defaults" / "main.yml"
    return dict(yaml_load(path.read_text(encoding="utf-8")) or {}) if path.exists() else {}


def wiring(load: t.Callable[[str], t.Any]) -> dict[str, object]:
    """Every variable that the roles' files state, and the port options at their roles' defaults.

    Ports are set here so that one host can ask for another's (``hostvars[host].prometheus_port``): a role's defaults
    are visible only inside the role. `load` reads a YAML file so that its templates are trusted.
    """
    found: dict[str, object] = {}
    for path in paths():
        role = path.parts[-3]
        defaults = defaults_of(role)
        found |= {port["option"]: defaults[port["option"]] for port in places()[role].get("ports", ())}
    for path in paths():
        found |= (load(str(path)) or {}).get("variables") or {}
    return found


def inventory_groups() -> dict[str, list[str]]:
    """Groups of the inventory, each with the groups that are its children."""
    every = [place.get("inventory_groups", {}) for place in places().values()]
    return {group: children for groups in every for group, children in groups.items()}
