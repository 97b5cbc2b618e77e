# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Playbooks use what roles publish: `__ROLE_` names are a role's own and may change with it."""

from __future__ import annotations

import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
ROLES = sorted(path.name for path in (ROOT / "roles").iterdir() if path.is_dir())
PLAYBOOKS = sorted((ROOT / "playbooks").rglob("*.yml")) + sorted((ROOT / "examples/roles").glob("*.yml"))


@pytest.mark.parametrize("playbook", PLAYBOOKS, ids=lambda path: path.stem)
def test_reads_nothing_private_of_a_role(playbook: pathlib.Path) -> None:
    assert re.findall(rf"\b__(?:{'|'.join(ROLES)})_\w+", playbook.read_text(encoding="utf-8")) == []
