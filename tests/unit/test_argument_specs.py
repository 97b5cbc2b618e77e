# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every role's specification, defaults and README say the same, and preflight's tables know every role."""

from __future__ import annotations

import pathlib
import re
import typing as t

import pytest
import yaml

from ansible_collections.nexod.infra.plugins.plugin_utils._preflight import rules as _preflight_rules
from ansible_collections.nexod.infra.plugins.plugin_utils._preflight.formats import BY_NAME, NEVER
from ansible_collections.nexod.infra.plugins.plugin_utils._preflight.inputs import prefix_of
from ansible_collections.nexod.infra.plugins.plugin_utils._preflight.limits import limits_of
from ansible_collections.nexod.infra.plugins.plugin_utils._preflight.specs import is_secret, misfits
from ansible_collections.nexod.infra.plugins.plugin_utils._preflight.tables import (
    CONTROLLER_FILES,
    ROLE_GROUPS,
    ROLE_PORTS,
)

ROOT = pathlib.Path(__file__).resolve().parents[2]
ROLES = sorted(path for path in (ROOT / "roles").iterdir() if path.is_dir())
TYPES = {"bool", "dict", "float", "int", "list", "path", "raw", "str"}

of_every_role = pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)


def load(path: pathlib.Path) -> t.Any:
    return yaml.safe_load(path.read_text()) if path.exists() else None


def entries_of(role: pathlib.Path) -> dict[str, t.Any]:
    return dict((load(role / "meta/argument_specs.yml") or {}).get("argument_specs") or {})


def options_of(role: pathlib.Path) -> dict[str, t.Any]:
    return {name: spec for entry in entries_of(role).values() for name, spec in (entry.get("options") or {}).items()}


def walk(options: dict[str, t.Any], above: str = "") -> t.Iterator[tuple[str, dict[str, t.Any]]]:
    """Every option, those of rows and mappings included."""
    for name, spec in options.items():
        yield above + name, spec
        yield from walk(spec.get("options") or {}, f"{above}{name}.")


def test_there_are_roles() -> None:
    assert ROLES


@of_every_role
def test_has_a_main_entry_point(role: pathlib.Path) -> None:
    main = entries_of(role).get("main") or {}
    assert main.get("short_description")
    assert main.get("description")


@of_every_role
def test_every_option_is_typed_and_described(role: pathlib.Path) -> None:
    faults = []
    for name, spec in walk(options_of(role)):
        if spec.get("type") not in TYPES:
            faults.append(f"{name}: type {spec.get('type')}")
        if not spec.get("description"):
            faults.append(f"{name}: no description")
        if spec.get("type") == "list" and spec.get("elements") not in TYPES:
            faults.append(f"{name}: elements {spec.get('elements')}")
        if spec.get("required") and "default" in spec:
            faults.append(f"{name}: required, with a default")
    assert faults == []


@of_every_role
def test_every_number_has_a_range_that_its_default_is_in(role: pathlib.Path) -> None:
    """Negative seconds pass as a whole number. A choice is a range already."""
    numbers = [
        row for row in walk(options_of(role)) if row[1].get("type") in ("int", "float") and "choices" not in row[1]
    ]
    ranges = {name: limits_of(spec) for name, spec in numbers}
    assert [name for name, limits in ranges.items() if limits is None] == []
    defaults = {name: spec["default"] for name, spec in numbers if spec.get("default") is not None}
    wrong = [name for name, value in defaults.items() if (limits := ranges[name]) and not limits.allows(float(value))]
    assert wrong == []


def test_forms_are_of_options_that_are() -> None:
    named = {name for role in ROLES for name, _spec in walk(options_of(role))}
    assert sorted({*BY_NAME, *NEVER} - named) == []


@of_every_role
def test_a_default_has_the_form_of_its_option(role: pathlib.Path) -> None:
    faults = []
    for name, spec in options_of(role).items():
        default = spec.get("default")
        if default is not None and "{{" not in str(default):
            faults += [(name, fault) for fault in misfits(default, spec, option=name)]
    assert faults == []


@of_every_role
def test_no_description_is_a_template(role: pathlib.Path) -> None:
    """Ansible evaluates the whole specification: an example with braces would end the role."""
    entries = entries_of(role).values()
    texts = {name: str(spec.get("description")) for name, spec in walk(options_of(role))}
    texts |= {f"entry {number}": str(entry.get("description")) for number, entry in enumerate(entries)}
    assert [name for name, text in texts.items() if "{{" in text or "{%" in text] == []


@of_every_role
def test_every_name_begins_with_the_role(role: pathlib.Path) -> None:
    assert [name for name in options_of(role) if not name.startswith(prefix_of(role.name))] == []


@of_every_role
def test_defaults_are_those_of_the_specification(role: pathlib.Path) -> None:
    specified = {name: spec["default"] for name, spec in options_of(role).items() if "default" in spec}
    assert (load(role / "defaults/main.yml") or {}) == specified


@of_every_role
def test_secrets_are_marked(role: pathlib.Path) -> None:
    unmarked = [
        name
        for name, spec in walk(options_of(role))
        if spec.get("type") == "str" and is_secret(name, {}) and not spec.get("no_log")
    ]
    assert unmarked == []


@of_every_role
def test_readme_names_only_options_that_exist(role: pathlib.Path) -> None:
    """Its examples are written by hand; the rest is generated by tools/readmes.py, which lint checks."""
    named = set(re.findall(rf"^\s*({prefix_of(role.name)}\w+):", (role / "README.md").read_text(), re.MULTILINE))
    assert sorted(named - set(options_of(role))) == []


@of_every_role
def test_preflight_knows_where_it_runs(role: pathlib.Path) -> None:
    assert role.name in ROLE_GROUPS


def known_names() -> set[str]:
    return {name for role in ROLES for name in options_of(role)}


def test_preflight_speaks_of_options_that_are() -> None:
    named = {port.option for ports in ROLE_PORTS.values() for port in ports}
    named |= {port.enabled[0] for ports in ROLE_PORTS.values() for port in ports if port.enabled}
    named |= {port.number for ports in ROLE_PORTS.values() for port in ports if port.number}
    named |= set(CONTROLLER_FILES)
    assert sorted(named - known_names()) == []


def test_rules_speak_of_options_that_are() -> None:
    """A rule about a name that has been renamed would never find anything again."""
    source = pathlib.Path(_preflight_rules.__file__).read_text()
    prefixes = "|".join(prefix_of(role.name) for role in ROLES)
    # Within a text, too: a next step that names an option that is no more leads nowhere.
    named = set(re.findall(rf"(?<![a-z_])((?:{prefixes})[a-z_]*[a-z])(?![a-z_{{])", source))
    assert named, "no rule names an option"
    assert sorted(named - known_names()) == []
