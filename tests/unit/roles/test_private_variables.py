# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A role's private variable that nothing defines fails only where it is read: on the rarest way through the role."""

from __future__ import annotations

import pathlib
import re

import pytest

from ansible_collections.nexod.infra.tests.playbook import ROOT

ROLES = sorted(path for path in (ROOT / "roles").iterdir() if path.is_dir())
#: Not of Grafana, whose begin with a dollar sign, and no path.
NAME = re.compile(r"(?<![$\w/])__[a-z]\w*\b")
DEFINED = (
    re.compile(r"^[\s{-]*(__[a-z]\w*) *:", re.M),
    re.compile(r"\b(?:register|loop_var|index_var): *(__[a-z]\w*)"),
    re.compile(r"\{%-? *(?:set|for) +(__[a-z]\w*)"),
    re.compile(r"\b(__[a-z]\w*) *\| *default\("),
)


def text_of(*folders: pathlib.Path) -> str:
    """The YAML and templates below these folders, without comments."""
    files = sorted(path for folder in folders for path in folder.rglob("*") if path.suffix in (".yml", ".j2"))
    return re.sub(r"^\s*#.*$", "", "\n".join(path.read_text(encoding="utf-8") for path in files), flags=re.M)


def defined(text: str) -> set[str]:
    return {name for pattern in DEFINED for name in pattern.findall(text)}


#: What the wiring and the stages give, and what a provider leaves for the role environment.
WIRING = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "roles").glob("*/meta/environment.yml"))
PROVIDERS = text_of(*(ROOT / "roles").glob("provider_*/tasks"))
GIVEN = defined(text_of(ROOT / "playbooks")) | defined(WIRING) | defined(PROVIDERS)


@pytest.mark.parametrize("role", ROLES, ids=lambda path: path.name)
def test_what_a_role_reads_is_defined(role: pathlib.Path) -> None:
    text = text_of(*(role / name for name in ("defaults", "vars", "tasks", "templates", "handlers", "meta")))
    assert sorted(set(NAME.findall(text)) - defined(text) - GIVEN) == []
