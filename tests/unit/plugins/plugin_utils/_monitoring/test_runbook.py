# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each alert has its runbook, and no runbook is without an alert."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from ansible_collections.nexod.infra.plugins.plugin_utils._monitoring import rule_file, runbook

ROOT = Path(__file__).resolve().parents[5]


def wiring(role: str) -> dict[str, object]:
    text = (ROOT / "roles" / role / "meta/environment.yml").read_text(encoding="utf-8")
    return dict(yaml.safe_load(text)["variables"])


TABLES = rule_file.default_tables(wiring("environment"), wiring("prometheus"))
ALERTS = [alert for alerts in rule_file.chosen(TABLES).values() for alert in alerts]


def test_each_alert_has_a_page_and_each_page_an_alert() -> None:
    there = {path.stem for path in (ROOT / "docs/runbooks").glob("*.md")}
    assert there == {alert.page for alert in ALERTS} | {"README"}


def test_a_page_has_every_part() -> None:
    for name, text in runbook.pages(ALERTS).items():
        for part in ("Meaning", "Impact", "Look", "Fix", "Silence", "Rule"):
            assert name == "README" or f"## {part}" in text, name
        assert "{{" not in text.partition("## Rule")[0], name


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        pytest.param("systemctl restart api", "`systemctl restart api`", id="a command"),
        pytest.param("On db-1: systemctl restart api", "On db-1: `systemctl restart api`", id="a command on a host"),
        pytest.param("Add the index that it lacks.", "Add the index that it lacks.", id="a sentence"),
    ],
)
def test_commands_are_marked(line: str, shown: str) -> None:
    assert runbook.code(line) == shown
